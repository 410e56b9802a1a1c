// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPvh;
using Keyhole.Tests.Platforms.XenHvm;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.XenPvh;

/// <summary>Every PVH guest that the real Xen built for the records: the map as Linux took it over, or the refusal.</summary>
[TestClass]
public sealed class PvhRecordTests
{
    private static IEnumerable<object[]> Files =>
        HvmRecord.Files.Where(file => HvmRecord.TextOf(file).Contains("type=\"pvh\"", StringComparison.Ordinal))
            .Select(file => new object[] { file });

    [TestMethod]
    [DynamicData(nameof(Files))]
    public void Every_recorded_PVH_guest_has_the_map_that_was_forecast(string file)
    {
        List<string> wrong = [];
        foreach (HvmRecord record in HvmRecord.Load(file).Where(record => record.Guest.Type == GuestType.Pvh))
        {
            var boot = Boot.Of(record.Scenario);
            if (!record.IsCreated)
            {
                if (boot.Outcome != GuestOutcome.Refused || !record.Xl.Any(line => line.Contains(boot.Message!, StringComparison.Ordinal)))
                    wrong.Add($"{record.Name}: was refused: {string.Join(" | ", record.Xl)}");
                continue;
            }

            if (!boot.Boots)
                wrong.Add($"{record.Name}: booted, forecast {boot.Outcome}");
            E820Entry[] map = [.. PvhLinuxView.Of(boot.Plan.Map)];
            Same(record, "RAM from 1 MiB on",
                Resources(record, "System RAM").Where(static text => !text.StartsWith("00001000", StringComparison.Ordinal)),
                Above(map, E820Type.Ram), wrong);
            Same(record, "ACPI's tables", Resources(record, "ACPI Tables"), Above(map, E820Type.Acpi), wrong);
            string[] first = [.. HvmRecord.KernelMap(record.Kernel)];
            if (first.Length > 0)
                Same(record, "E820", first, map.Select(HvmRecord.KernelText), wrong);
        }

        Assert.IsEmpty(wrong, string.Join('\n', wrong));
    }

    private static IEnumerable<string> Resources(HvmRecord record, string what) =>
        record.Iomem.Where(line => line[0] != ' ' && line.EndsWith(" : " + what, StringComparison.Ordinal))
            .Select(line => line[..line.IndexOf(' ', StringComparison.Ordinal)]);

    private static IEnumerable<string> Above(E820Entry[] map, E820Type type) => map.Where(entry => entry.Type == type && entry.Address >= 0x100000)
        .Select(entry => string.Create(CultureInfo.InvariantCulture, $"{entry.Address:x8}-{entry.End - 1:x8}"));

    private static void Same(HvmRecord record, string what, IEnumerable<string> real, IEnumerable<string> forecast, List<string> wrong)
    {
        if (!real.SequenceEqual(forecast))
            wrong.Add($"{record.Name}: {what}\n  real     {string.Join("\n           ", real)}\n  forecast {string.Join("\n           ", forecast)}");
    }
}
