// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Keyhole.PvGuest;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>docs/kernels.md shows the table that the forecast goes by.</summary>
[TestClass]
public sealed class KernelsDocumentTests
{
    [TestMethod]
    public void The_table_of_behaviours_is_the_one_that_the_forecast_goes_by()
    {
        string[][] rows = [.. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "fixtures", "shown", "kernels.md"))
            .Where(static line => line.StartsWith("| ", StringComparison.Ordinal))
            .Skip(1)
            .Select(static line => line.Split('|')[1..^1])
            .Select(static cells => cells.Select(static cell => cell.Trim()).ToArray())];
        KernelBehaviour[] behaviours = Enum.GetValues<KernelBehaviour>();

        Assert.HasCount(behaviours.Length, rows);
        foreach ((string[] row, KernelBehaviour behaviour) in rows.Zip(behaviours))
        {
            BehaviourSpan span = BehaviourSpan.Of(behaviour);
            string until = span.Until == BehaviourSpan.Never ? "" : Number(LastBefore(span.Until));
            Assert.AreEqual($"{Number(span.Since)} | {until} | {string.Join(", ", Stable(span))}", $"{row[1]} | {row[2]} | {row[3]}", behaviour.ToString());
        }
    }

    private static IEnumerable<string> Stable(BehaviourSpan span)
    {
        for (int i = 0; i < BehaviourSpan.MaxStable; i++)
        {
            StableSpan stable = span.Stable(i);
            string series = string.Create(CultureInfo.InvariantCulture, $"{stable.Major}.{stable.Minor}");
            if (stable.Until == 0)
                continue;
            if (stable.From == ushort.MaxValue)
                yield return $"not {series}";
            else if (stable.Until == ushort.MaxValue)
                yield return string.Create(CultureInfo.InvariantCulture, $"{series}.{stable.From} on");
            else
                yield return string.Create(CultureInfo.InvariantCulture, $"{series}.{stable.From} to {series}.{stable.Until - 1}");
        }
    }

    private static KernelRelease LastBefore(KernelRelease release) =>
        release.Minor > 0 ? new((byte)release.Major, (byte)(release.Minor - 1)) : new((byte)(release.Major - 1), (byte)(release.Major == 5 ? 20 : 19));

    private static string Number(KernelRelease release) => string.Create(CultureInfo.InvariantCulture, $"{release.Major}.{release.Minor}");
}
