// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.ReservedRam;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.ReservedRam;

/// <summary>What real kernels show where RAM was kept, and where an option took it away instead (fixtures/reserve/taken).</summary>
[TestClass]
public sealed class HostCheckTests
{
    private const ulong GiB = 1UL << 30;

    private const string EfiLine = "[    0.000000] efi: EFI v2.7 by X\n";

    private const string ReservedLine = "user: [mem 0x0000000140000000-0x000000017fffffff] reserved";

    [TestMethod]
    [DataRow("memmap-lost-sign", "memmap=5G2G (line 2) takes it away: Linux reads 5 GiB of it and stops", "in place of memmap=5G2G")]
    [DataRow("memmap-limit", "memmap=5G (line 2) takes it away: no RAM from 5 GiB on", "in place of memmap=5G")]
    [DataRow("mem-limit", "mem=5G (line 2) takes it away: no RAM from 5 GiB on", "in place of mem=5G")]
    public void RAM_that_an_option_took_out_of_the_map_is_not_kept(string record, string cause, string remedy)
    {
        Problem byLog = ByLog(Text(record), 5, 6)!.Value.Single(static problem => problem.Severity == Severity.Error);
        Problem byIomem = ByIomem(record, 5, 6).Single(static problem => problem.Severity == Severity.Error);

        foreach (Problem problem in new[] { byLog, byIomem })
        {
            Assert.AreEqual((ReserveProblemCodes.NotKept, (ulong?)(5 * GiB), (ulong?)(6 * GiB)), (problem.Code, problem.Start, problem.End));
            Assert.Contains("are not reserved", problem.Message);
            Assert.Contains(@"memmap=1G\\\$5G in /etc/default/grub, memmap=1G\$5G in grub.cfg", problem.Remedy!.ToString());
        }

        Assert.Contains(cause, byLog.Message);
        Assert.Contains(remedy, byLog.Remedy!.ToString());
        Assert.Contains("a mem= or a memmap= that lost its '$'", byIomem.Message);
    }

    [TestMethod]
    public void RAM_that_is_reserved_is_kept()
    {
        Assert.IsEmpty(ByLog(Text("kept"), 5, 6)!.Value);
        Assert.IsEmpty(ByIomem("kept", 5, 6));
    }

    /// <summary>GRUB takes '$' with all that follows, a shell with one digit.</summary>
    [TestMethod]
    [DataRow("memmap=5G", "it may be memmap=5G$5G")]
    [DataRow("memmap=5GG", "it looks like memmap=5G$5G")]
    [DataRow("memmap=5G2G", "no sign stands behind the size")]
    [DataRow(@"memmap=5G\$5G", "the backslash in it has reached the kernel")]
    [DataRow("mem=5G", "no RAM from 5 GiB on")]
    public void A_lost_sign_is_named_where_the_numbers_fit_and_as_no_more_than_it_is(string option, string words)
    {
        string message = ByLog(Text("memmap-lost-sign").Replace("memmap=5G2G", option, StringComparison.Ordinal), 5, 10)!.Value[0].Message;

        Assert.Contains(words, message);
        Assert.AreEqual(words.Contains('$', StringComparison.Ordinal), message.Contains("memmap=5G$5G", StringComparison.Ordinal));
    }

    /// <summary>Linux takes RAM away for an option alone: without one, a line of the log is missing.</summary>
    [TestMethod]
    [DataRow(ReservedLine, "its line may be missing")]
    [DataRow("user: [mem ", "line 14 announces the map as the kernel's options changed it, and its lines are left out")]
    [DataRow("user: [mem 0x00000000fffc0000", "", true)]
    public void Where_lines_of_the_changed_map_are_missing_nothing_is_concluded(string line, string words, bool isKept = false)
    {
        Problem[] problems = [.. ByLog(Without("kept", line), 5, 6)!.Value];

        Assert.AreEqual(isKept ? 0 : 1, problems.Count(static problem => problem.Code == ReserveProblemCodes.KeptNotKnown));
        Assert.DoesNotContain(static problem => problem.Severity == Severity.Error, problems);
        if (!isKept)
            Assert.Contains(words, problems[0].Message);
    }

    [TestMethod]
    public void RAM_that_no_option_takes_is_not_said_to_be_missing_from_the_host()
    {
        string text = Text("memmap-lost-sign");
        ImmutableArray<Problem> taken = ByLog(text, 5, 6)!.Value;
        ImmutableArray<Problem> lost = ByLog(text.Replace("memmap=5G2G", "quiet", StringComparison.Ordinal), 5, 6)!.Value;

        Assert.Contains(static problem => problem.Code == ReserveProblemCodes.HostRamMissing, taken);
        Assert.AreEqual(ReserveProblemCodes.KeptNotKnown, lost.Single().Code);
    }

    /// <summary>What a kernel has been told already is no advice, however it was written.</summary>
    [TestMethod]
    [DataRow("memmap=1G$5G")]
    [DataRow("memmap=0x40000000$0x140000000")]
    [DataRow("memmap=4K$2G,2G$4G")]
    public void Parameters_that_are_in_force_are_not_advised(string option)
    {
        string text = Text("kept").Replace("memmap=1G$5G", option, StringComparison.Ordinal)
            .Replace(ReservedLine, ReservedLine.Replace("reserved", "usable", StringComparison.Ordinal), StringComparison.Ordinal);

        Assert.DoesNotContain("boot the host with", ByLog(text, 5, 6)!.Value.Single().Remedy!.ToString());
    }

    [TestMethod]
    public void A_cut_in_the_changed_map_leaves_open_what_is_there()
    {
        string cut = Text("kept").Replace($"[    0.000000] {ReservedLine}", "...", StringComparison.Ordinal);

        Problem problem = ByLog(cut, 5, 6)!.Value.Single();

        Assert.AreEqual(ReserveProblemCodes.KeptNotKnown, problem.Code);
        Assert.Contains("lines of the map of line 15 are missing there", problem.Message);
    }

    [TestMethod]
    public void A_cut_in_a_copy_of_iomem_leaves_open_what_is_there()
    {
        string cut = Iomem("kept").Replace("140000000-17fffffff : Reserved", "...", StringComparison.Ordinal);

        Problem problem = HostCheck.Compare(Plan(Text("kept"), 5, 6), Read(cut)).Single();

        Assert.AreEqual(ReserveProblemCodes.KeptNotKnown, problem.Code);
    }

    /// <summary>What grep leaves of /proc/iomem.</summary>
    [TestMethod]
    public void An_iomem_without_its_reserved_ranges_shows_not_what_is_kept()
    {
        string ram = string.Join('\n', Iomem("kept").Split('\n').Where(static line => line.Contains("RAM", StringComparison.Ordinal))) + "\n";

        Problem problem = HostCheck.Compare(Plan(Text("kept"), 5, 6),
            MapFixtures.Expect(MapFixtures.ReadText(ram, new() { From = HostMapDialect.Iomem })).Host).Single();

        Assert.AreEqual(ReserveProblemCodes.KeptNotKnown, problem.Code);
        Assert.Contains("without its reserved ranges", problem.Message);
    }

    /// <summary>An image in kept RAM is told of behind the machine's name: a log that ends before it says nothing of that.</summary>
    [TestMethod]
    public void A_log_that_ends_before_the_kernel_has_looked_at_its_image_does_not_say_where_it_is()
    {
        string text = Text("kept").Replace("[    0.000000] SMBIOS", EfiLine + "[    0.000000] SMBIOS", StringComparison.Ordinal);
        string ended = text[..text.IndexOf("[    0.000000] last_pfn", StringComparison.Ordinal)];

        Assert.IsEmpty(ByLog(text, 5, 6)!.Value);
        Assert.Contains("whether the host's kernel is in", ByLog(ended, 5, 6)!.Value.Single().Message);
    }

    /// <summary>The EFI stub of Linux 6.6 to 6.9 puts the kernel low with nokaslr, as later ones do with any memmap=
    /// (efi_decompress_kernel).</summary>
    [TestMethod]
    [DataRow("6.5.0", false, false)]
    [DataRow("6.6.0", false, true)]
    [DataRow("6.9.3", false, true)]
    [DataRow("6.9.3", true, false)]
    [DataRow("6.12.1", false, false)]
    public void A_kernel_that_EFI_put_into_kept_RAM_is_put_low_by_nokaslr_where_its_release_does_so(string release, bool hasIt, bool isAdvised)
    {
        string text = Text("kept").Replace("Linux version 6.1.0-57", $"Linux version {release}", StringComparison.Ordinal)
            .Replace("memmap=1G$5G", hasIt ? "memmap=1G$5G nokaslr" : "memmap=1G$5G", StringComparison.Ordinal)
            .Replace("[    0.000000] SMBIOS", EfiLine + "[    0.000000] SMBIOS", StringComparison.Ordinal)
            .Replace("[mem 0x140000000-0x17fffffff]", "[mem 0x140000000-0x14fffffff]\n[    0.000000] PM: hibernation: Registered nosave memory: "
                + "[mem 0x153000000-0x17fffffff]", StringComparison.Ordinal);

        Problem problem = ByLog(text, 5, 6)!.Value.Single();

        Assert.AreEqual((ReserveProblemCodes.NotKept, (ulong?)0x150000000, (ulong?)0x153000000), (problem.Code, problem.Start, problem.End));
        Assert.AreEqual(isAdvised, problem.Remedy!.ToString().Contains("nokaslr", StringComparison.Ordinal));
    }

    /// <summary>A real boot under OVMF with nokaslr: the kernel is low.</summary>
    [TestMethod]
    public void RAM_above_4_GiB_was_kept_with_EFI_and_nokaslr()
    {
        string text = File.ReadAllText(Path.Combine(MapFixtures.Folder("reserve"), "efi", "nokaslr-linux-6.1.log"));
        string iomem = File.ReadAllText(Path.Combine(MapFixtures.Folder("reserve"), "efi", "nokaslr-linux-6.1.iomem"));

        Assert.IsEmpty(ByLog(text, 5, 6)!.Value);
        Assert.IsEmpty(HostCheck.Compare(Plan(text, 5, 6), MapFixtures.Expect(MapFixtures.ReadText(iomem)).Host));
        Assert.Contains("01600000-02401d31 : Kernel code", iomem);
    }

    private static ImmutableArray<Problem>? ByLog(string text, ulong startGiB, ulong endGiB)
    {
        HostDocument host = Read(text);
        return HostCheck.Compare(Plan(text, startGiB, endGiB), host.Log!, host.LogMap!);
    }

    private static ImmutableArray<Problem> ByIomem(string record, ulong startGiB, ulong endGiB) =>
        HostCheck.Compare(Plan(Text(record), startGiB, endGiB), MapFixtures.Expect(MapFixtures.ReadText(Iomem(record))).Host);

    private static ReservePlan Plan(string log, ulong startGiB, ulong endGiB) => ReservePlanner.Plan(
        new() { Host = Read(log).Host, Start = 0, Ranges = [ByteRange.FromBounds(startGiB * GiB, endGiB * GiB)] });

    private static HostDocument Read(string log) => MapFixtures.Expect(MapFixtures.ReadText(log));

    private static string Without(string record, string words) =>
        string.Join('\n', Text(record).Split('\n').Where(line => !line.Contains(words, StringComparison.Ordinal)));

    private static string Text(string record) => File.ReadAllText(Path.Combine(MapFixtures.Folder("reserve"), "taken", record + ".log"));

    private static string Iomem(string record) => File.ReadAllText(Path.Combine(MapFixtures.Folder("reserve"), "taken", record + ".iomem"));
}
