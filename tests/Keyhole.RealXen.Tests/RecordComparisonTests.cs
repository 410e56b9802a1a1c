// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.RealXen.Tests;

[TestClass]
public sealed class RecordComparisonTests
{
    private static readonly string[] s_judged =
        ["(XEN)  [", "Xen: [mem ", "e820_sanitize: ", "Released ", "Remapped ", "available for PCI", "last_pfn", ": System RAM", " : Reserved",
            "can't claim", "initrd moved", "conflicts with", "/sys/class/net/eth0"];

    private static readonly string[] s_timeOrMemoryDependent =
        ["MemFree:", "MemAvailable:", "MemTotal:", "RAMDISK:", " : Kernel code", "Init. ramdisk:", "module0 ", "Dom0 alloc."];

    [TestMethod]
    [DynamicData(nameof(Golden.Rows), typeof(Golden))]
    public void A_golden_record_agrees_with_itself_and_with_no_other(string name)
    {
        GoldenRecord golden = Golden.Record(name);
        foreach (string other in Golden.Names)
            Assert.AreEqual(other == name, RecordComparison.Differences(golden, Golden.Record(other)).IsEmpty, other);
    }

    [TestMethod]
    [DynamicData(nameof(Golden.Rows), typeof(Golden))]
    public void Any_line_about_maps_that_is_changed_or_lost_is_seen(string name)
    {
        // Three guests: those that follow have no other lines, and each line costs two comparisons.
        string[] lines = [.. FirstGuests(Golden.Text(name).Split('\n'), 3)];
        GoldenRecord golden = GoldenRecord.Parse(string.Join('\n', lines));
        for (int i = 0; i < lines.Length; i++)
        {
            if (!s_judged.Any(mark => lines[i].Contains(mark, StringComparison.Ordinal)))
                continue;
            // What a guest's kernel complained of it repeats under its network.
            if (lines[i].Contains("can't claim", StringComparison.Ordinal) && lines[..i].Any(line => line == lines[i]))
                continue;
            Assert.AreNotEqual(0, DifferencesWith(i, []), $"line {i + 1} lost");
            int digit = lines[i].LastIndexOfAny("0123456789".ToCharArray(), lines[i].Length - 1);
            if (lines[i].Contains("last_pfn", StringComparison.Ordinal))
                digit = lines[i].IndexOf(" max_arch", StringComparison.Ordinal) - 1;
            if (lines[i].Contains("initrd moved", StringComparison.Ordinal))
                digit = lines[i].LastIndexOf('-') - 1;
            if (digit >= 0 && !lines[i].StartsWith("Xen hypervisor", StringComparison.Ordinal)
                && !lines[i].Contains("fffff : ", StringComparison.Ordinal))
                Assert.AreNotEqual(0, DifferencesWith(i, [Changed(lines[i], digit)]), $"line {i + 1} changed");
        }

        int DifferencesWith(int at, string[] instead) =>
            RecordComparison.Differences(golden, GoldenRecord.Parse(string.Join('\n', [.. lines[..at], .. instead, .. lines[(at + 1)..]]))).Length;
    }

    [TestMethod]
    [DynamicData(nameof(Golden.Rows), typeof(Golden))]
    public void Free_memory_times_and_sizes_of_builds_make_no_difference(string name)
    {
        string[] lines = [.. Golden.Text(name).Split('\n').Select(Later)];
        Assert.IsEmpty(RecordComparison.Differences(Golden.Record(name), GoldenRecord.Parse(string.Join('\n', lines))));

        static string Later(string line)
        {
            if (s_timeOrMemoryDependent.Any(mark => line.Contains(mark, StringComparison.Ordinal)))
                return line.Replace("1", "2", StringComparison.Ordinal);
            int stamp = line.IndexOf("[    0.", StringComparison.Ordinal);
            return stamp < 0 ? line : string.Concat(line.AsSpan(0, stamp), "[   77.", line.AsSpan(stamp + "[    0.".Length));
        }
    }

    private static IEnumerable<string> FirstGuests(string[] lines, int count) =>
        lines.TakeWhile(line => !line.StartsWith("=== GUEST ", StringComparison.Ordinal) || count-- > 0);

    // Another hexadecimal or decimal digit in place of the one there.
    private static string Changed(string line, int digit)
    {
        int value = int.Parse(line.AsSpan(digit, 1), NumberStyles.HexNumber);
        return string.Concat(line.AsSpan(0, digit), value == 1 ? "2" : "1", line.AsSpan(digit + 1));
    }
}
