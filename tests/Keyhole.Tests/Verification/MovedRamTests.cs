// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Logs;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Tests.Platforms.XenHvm;
using Keyhole.Verification;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Verification;

/// <summary>RAM that hvmloader moved by its own lines, in the records of guests whose toolstack did not forbid it.</summary>
[TestClass]
public sealed class MovedRamTests
{
    private const string Cause = "hvmloader moved the RAM at ";

    private static HvmRecord Moved => HvmRecord.Load("moved-linux.log").Single(static record => record.Name == "moved-linux.log/moved");

    private static HvmRecord WithHole => HvmRecord.Load("moved-linux.log").Single(static record => record.Name == "moved-linux.log/hole");

    [TestMethod]
    public void Each_guest_of_which_hvmloader_says_that_it_moved_RAM_is_told_so()
    {
        HvmRecord[] records = [.. HvmRecord.Files.SelectMany(static file => HvmRecord.Load(file)).Where(static record =>
            // OVMF changes hvmloader's map, and these records have hvmloader's alone.
            record.Said.Any(static line => line.StartsWith("Relocating 0x", StringComparison.Ordinal)) && !record.Config.Contains("bios='ovmf'"))];

        Assert.IsGreaterThan(3, records.Length);
        foreach (HvmRecord record in records)
            Assert.Contains(Cause, Verify(record, Lines(record)), record.Name);
    }

    [TestMethod]
    public void The_cause_is_named_with_its_lines_and_the_hole_that_helps()
    {
        HvmRecord record = Moved;
        List<string> lines = Lines(record);
        int first = 1 + lines.FindIndex(static line => line.Contains("Relocating 0x", StringComparison.Ordinal));
        int last = 1 + lines.FindLastIndex(static line => line.Contains("Relocating 0x", StringComparison.Ordinal));

        string words = Verify(record, lines);

        Assert.Contains($"{Cause}[0x80000000, 0xf0000000), 458,752 pages (1.75 GiB), above 4 GiB to make room for BARs (lines {first} to {last})",
            words);
        Assert.Contains("What to change: put mmio_hole=2048 into the xl.cfg", words);
        // That it helps the same host has shown: nothing was moved, the map is the same, and the network card works.
        Assert.Contains("mmio_hole=2048", WithHole.Config);
        Assert.DoesNotContain(static line => line.StartsWith("Relocating 0x", StringComparison.Ordinal), WithHole.Said);
        CollectionAssert.AreEqual(record.Map.ToArray(), WithHole.Map.ToArray());
    }

    [TestMethod]
    // A page more than what the map lacks; a gap between two; the addresses of another guest's RAM.
    [DataRow("Relocating 0x7 pages", "Relocating 0x8 pages")]
    [DataRow("from 0a0005000", "from 0a0006000")]
    [DataRow("to 10f800000", "to 10f900000")]
    [DataRow("for lowmem MMIO hole", "for another hole")]
    public void Lines_that_do_not_explain_the_difference_to_the_page_explain_nothing(string was, string isNow)
    {
        string text = string.Join('\n', Lines(Moved));
        Assert.Contains(was, text);

        Assert.DoesNotContain(Cause, Verify(Moved, [.. text.Replace(was, isNow, StringComparison.Ordinal).Split('\n')]));
    }

    [TestMethod]
    public void Where_the_forecast_moves_the_RAM_too_nothing_differs_of_which_it_could_be_the_cause()
    {
        HvmRecord record = Moved;

        Assert.DoesNotContain(Cause, Verify(record.Scenario, Lines(record)));
        Assert.DoesNotContain(Cause, Verify(WithHole, Lines(WithHole)));
    }

    private static List<string> Lines(HvmRecord record) => [.. record.Said.Select(static line => $"(d1) {line}"), .. record.Kernel];

    private static string Verify(HvmRecord record, List<string> lines) => Verify(new Scenario { Host = record.Host, Guest = record.Guest }, lines);

    private static string Verify(Scenario scenario, List<string> lines)
    {
        LogScan scan = LogScanner.ScanWithPci(new MemoryStream(Encoding.UTF8.GetBytes(string.Join('\n', lines) + "\n")), "a log");
        ObservedBoot boot = FirmwareVerifier.BootsIn(scan)[0];
        BootVerification verification = FirmwareVerifier.Compare(Planner.Plan(scenario), boot, scan);
        return string.Join('\n', verification.Explanations.Select(static phrase => phrase.ToString()));
    }
}
