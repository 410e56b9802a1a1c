// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Keyhole.Logs;
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
            .SkipWhile(static line => !line.StartsWith("| behaviour", StringComparison.Ordinal))
            .TakeWhile(static line => line.StartsWith('|'))
            .Where(static line => line.StartsWith("| ", StringComparison.Ordinal))
            .Skip(1)
            .Select(static line => line.Split('|')[1..^1])
            .Select(static cells => cells.Select(static cell => cell.Trim()).ToArray())];
        KernelBehaviour[] behaviours = Enum.GetValues<KernelBehaviour>();

        Assert.HasCount(behaviours.Length, rows);
        foreach ((string[] row, KernelBehaviour behaviour) in rows.Zip(behaviours))
        {
            BehaviourSpan span = BehaviourSpan.Of(behaviour);
            string until = span.Until == BehaviourSpan.Never ? "" : KernelBehaviours.Number(KernelBehaviours.LastBefore(span.Until));
            // A row that goes on from the one above says the rest of its words.
            if (!row[0].StartsWith('…'))
                Assert.AreEqual(KernelBehaviours.Describe(behaviour), row[0]);
            Assert.AreEqual($"{KernelBehaviours.Number(span.Since)} | {until} | {string.Join(", ", Stable(span))}", $"{row[1]} | {row[2]} | {row[3]}",
                behaviour.ToString());
        }
    }

    private static IEnumerable<string> Stable(BehaviourSpan span)
    {
        for (int i = 0; i < BehaviourSpan.MaxStable; i++)
        {
            if (span.Stable(i).Until != 0)
                yield return KernelBehaviours.Text(span.Stable(i));
        }
    }
}
