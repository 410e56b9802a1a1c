// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Captures;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Hosts;

/// <summary>Lines of a log that stand for others that are left out of its map.</summary>
[TestClass]
public sealed class OmissionTests
{
    private const string XenMap =
        "(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009fbff] (usable)\n(XEN)  [0000000000100000, 000000007fffffff] (usable)\n";

    private static string Remarks(HostDocument map) => string.Join('\n', map.Remarks);

    [TestMethod]
    [DataRow("...")]
    [DataRow("> ...")]
    [DataRow("[...]")]
    [DataRow("(XEN) ...")]
    [DataRow("(XEN) [...]")]
    [DataRow("(XEN)  [...]")]
    [DataRow("8<----")]
    [DataRow("> ---- 8< ----")]
    [DataRow("\u00e2\u0080\u00a6")]
    [DataRow("<snip>")]
    [DataRow("---- snip ----")]
    [DataRow("-- >8 -- snip -- >8 --")]
    [DataRow("[ 123 lines skipped ]")]
    [DataRow("[... several lines omitted ...]")]
    [DataRow("(lines omitted)")]
    [DataRow("<truncated>")]
    [DataRow("--More--(12%)")]
    [DataRow("...skipping...")]
    [DataRow("* * *")]
    [DataRow("~~~")]
    public void People_leave_lines_out_in_many_ways(string omission) =>
        Assert.Contains("Line 3 leaves out a part",
            Remarks(MapFixtures.Expect(MapFixtures.ReadText(XenMap.Replace("(usable)\n(XEN)  [0000000000100000",
                $"(usable)\n{omission}\n(XEN)  [0000000000100000", StringComparison.Ordinal)))));

    /// <summary>Where lines of the firmware's map are left out, it may name what dom0 has reserved there.</summary>
    [TestMethod]
    [DataRow("", "[0xfed90000, 0xfed92000)")]
    [DataRow("[...]\n", "")]
    public void What_dom0_has_reserved_where_lines_are_lost_is_not_said_to_be_missing_in_the_firmwares_map(string omission, string reserved)
    {
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText($"""
            {XenMap}{omission}(XEN)  [00000000ff000000, 00000000ffffffff] (reserved)
            (XEN) System RAM: 2047MB (2096764kB)
            [    0.000000] Linux version 6.1.0 (a@b)
            [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009efff] usable
            [    0.000000] Xen: [mem 0x0000000000100000-0x000000003fffffff] usable
            [    0.000000] Xen: [mem 0x00000000fed90000-0x00000000fed91fff] reserved
            [    0.000000] Xen: [mem 0x00000000ff000000-0x00000000ffffffff] reserved
            [    0.000000] last_pfn = 0x40000 max_arch_pfn = 0x400000000

            """));

        Assert.AreEqual(omission.Length > 0, map.Host.HasLostEntries);
        Assert.AreEqual(reserved, string.Join(' ', map.Host.Traits.ReservedInDom0.Select(static pages =>
            $"[0x{pages.Start.ToAddress():x}, 0x{pages.End.ToAddress():x})")));
    }

    [TestMethod]
    [DataRow("[    0.000000] ** 3 printk messages dropped **\n")]
    [DataRow("** 3 printk messages dropped ** ")]
    [DataRow("** 12 printk messages dropped ** [    0.000000] x\n")]
    [DataRow("Feb 03 10:00:01 xps systemd-journald[123]: Missed 3 kernel messages\n")]
    [DataRow("Feb 03 10:00:01 xps systemd-journald[123]: Suppressed 3 messages from kernel\n")]
    [DataRow("Feb 03 10:00:01 xps rsyslogd[123]: imjournal: 3 messages lost due to rate-limiting\n")]
    public void Kernels_and_loggers_tell_that_they_have_lost_lines(string mark)
    {
        const string last = "[    0.000000] BIOS-e820: [mem 0x00000000fec00000-0x00000000fec00fff] reserved\n";
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(
            $"[    0.000000] BIOS-provided physical RAM map:\n[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable\n"
            + $"[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x00000000bfffffff] usable\n{mark}{last}"));

        Assert.Contains("Line 4 leaves out a part", Remarks(map));
        Assert.AreEqual("[0xc0000000, 0xfec00000)", string.Join(' ', map.Host.LostRangesInWords));
    }

    [TestMethod]
    [DataRow("~~~\n", false)]
    [DataRow("* * *\n", false)]
    [DataRow("(more lines omitted)\n", true)]
    public void What_is_drawn_behind_a_map_may_be_the_end_of_a_quotation(string behind, bool isLeftOut) =>
        Assert.AreEqual(isLeftOut,
            Remarks(MapFixtures.Expect(MapFixtures.ReadText(XenMap + behind))).Contains("Right after this map's last entry", StringComparison.Ordinal));

    [TestMethod]
    [DataRow("The lines omitted were all reserved\n")]
    [DataRow("------------[ cut here ]------------\n")]
    [DataRow("[    0.000000] journald: Suppressed 3 messages from cron.service\n")]
    [DataRow("123\n")]
    [DataRow("----\n")]
    [DataRow("... and so on\n")]
    [DataRow("\n")]
    [DataRow("(XEN) Loading ... done\n")]
    public void Dots_in_a_sentence_leave_nothing_out(string between) =>
        Assert.DoesNotContain("leaves out",
            Remarks(MapFixtures.Expect(MapFixtures.ReadText(
                $"...\n{XenMap.Replace("(usable)\n(XEN)  [0000000000100000", $"(usable)\n{between}(XEN)  [0000000000100000", StringComparison.Ordinal)}"))));
}
