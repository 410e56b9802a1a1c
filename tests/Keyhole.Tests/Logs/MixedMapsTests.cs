// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Logs;

/// <summary>Two boots whose lines alternate in one file: two consoles on one line, journals that were merged.</summary>
[TestClass]
public sealed class MixedMapsTests
{
    private const string First = "0 9fc00 1\n9fc00 a0000 2\nf0000 100000 2\n100000 7ffe0000 1\n7ffe0000 80000000 2\n100000000 180000000 1";
    private const string Second = "0 9e000 1\n9e000 a0000 2\ne0000 100000 2\n100000 3fe00000 1\n3fe00000 40000000 2\n100000000 1c0000000 1";

    [TestMethod]
    [DataRow("", "")]
    [DataRow("Nov 29 10:00:00 a kernel: ", "Nov 29 10:00:00 b kernel: ")]
    public void Two_maps_of_one_speaker_are_told_to_be_mixed(string prefix, string otherPrefix)
    {
        foreach (bool isXens in new[] { true, false })
        {
            string log = Mixed(Boot(First, prefix, isXens), Boot(Second, otherPrefix, isXens));

            InputError error = MapFixtures.ExpectError(MapFixtures.ReadText(log));

            Assert.Contains("the lines of two maps are mixed here, of two boots, machines or guests: ", error.What);
            Assert.Contains("give the log of one boot of one machine, its lines in their order", error.ToString());
        }
    }

    [TestMethod]
    [DataRow("(XEN) ", "(d1) ")]
    [DataRow("(XEN) ", "[    0.000000] ")]
    [DataRow("(d1) ", "(d2) ")]
    [DataRow("(d1) ", "[    0.000000] ")]
    public void Two_maps_whose_lines_say_whose_they_are_are_told_apart(string prefix, string otherPrefix)
    {
        string log = Mixed(Boot(First, prefix.Replace("(XEN) ", "", System.StringComparison.Ordinal), prefix == "(XEN) "),
            Boot(Second, otherPrefix, isXens: false));

        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(log));

        Assert.HasCount(2, map.Log!.Maps);
        Assert.AreEqual(First, MapFixtures.Show(map.Log.Maps[0].Entries));
        Assert.AreEqual(Second, MapFixtures.Show(map.Log.Maps[1].Entries));
    }

    /// <summary>Xen and the host's kernel on one serial line.</summary>
    [TestMethod]
    [DataRow("BIOS-e820: [mem(XEN) PCI add device 0000:00:1f.2", null)]
    [DataRow("BI(XEN) PCI add device 0000:00:1f.2", "OS-e820: [mem ")]
    [DataRow("BIOS-e820: [mem 0x00000000000f0(XEN) PCI add device 0000:00:1f.2", null)]
    public void An_entry_amid_which_Xen_speaks_is_damaged_and_not_passed_over(string begin, string? end)
    {
        string[] lines = [.. Boot(First, "", isXens: false)];
        int at = System.Array.FindIndex(lines, static line => line.Contains("f0000-", System.StringComparison.Ordinal));
        Assert.IsGreaterThan(0, at);
        lines[at] = $"[    0.000000] {begin}{end} 000-0x00000000000fffff] reserved";

        Assert.Contains("cut short or garbled", MapFixtures.ExpectError(MapFixtures.ReadText(string.Join('\n', lines))).What);
    }

    [TestMethod]
    public void A_log_in_reverse_order_is_told_to_be_one()
    {
        foreach (bool isXens in new[] { true, false })
        {
            InputError error = MapFixtures.ExpectError(MapFixtures.ReadText(string.Join('\n', Boot(First, "", isXens).Reverse())));

            Assert.Contains("from its end to its start: the log is in reverse order; give it from its first line on: journalctl without -r",
                error.ToString());
        }
    }

    [TestMethod]
    public void A_log_whose_line_feeds_are_lost_is_read_behind_the_title_of_its_map()
    {
        foreach (bool isXens in new[] { true, false })
        {
            HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(string.Join(' ', Boot(First, isXens ? "" : "[    0.000000] ", isXens))));

            MapFixtures.AreSame(First, map);
            Assert.AreEqual(isXens ? "Xen-e820 RAM map" : "BIOS-e820", map.LogMap!.Title[^(isXens ? 16 : 9)..]);
        }
    }

    [TestMethod]
    public void One_map_on_two_consoles_is_one_map()
    {
        IEnumerable<string> boot = Boot(First, "", isXens: false);

        MapFixtures.AreSame(First, MapFixtures.Expect(MapFixtures.ReadText(Mixed(boot, boot))));
    }

    [TestMethod]
    [DataRow(3)]
    [DataRow(4)]
    [DataRow(5)]
    [DataRow(6)]
    public void A_map_amid_whose_lines_another_boot_begins_is_refused(int linesOfABlock)
    {
        foreach (bool isXens in new[] { true, false })
        {
            string[] blocks = [.. Blocks(First).Zip(Blocks(Second)).SelectMany(static pair => new[] { pair.First, pair.Second })];

            InputError error = MapFixtures.ExpectError(MapFixtures.ReadText(string.Concat(blocks)));

            Assert.Contains("another boot begins amid the map's lines: which of the lines that follow are whose is not to be seen", error.What);
            IEnumerable<string> Blocks(string map) => Boot(map, "", isXens).Chunk(linesOfABlock)
                .Select(static lines => string.Concat(lines.Select(static line => $"{line}\n")));
        }
    }

    [TestMethod]
    public void A_whole_map_right_behind_which_a_filter_has_put_the_next_boot_s_is_read()
    {
        foreach (bool isXens in new[] { true, false })
        {
            IEnumerable<string> filtered = new[] { First, Second, First }.SelectMany(map => Boot(map, "", isXens).Skip(1).SkipLast(1));

            HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(string.Join('\n', filtered)));

            MapFixtures.AreSame(First, map);
            Assert.HasCount(3, map.Log!.Maps);
        }
    }

    [TestMethod]
    [DataRow("{0,6}\t{1}", "{0,6}\t")]
    [DataRow("{0,6}\t{1}", "{0,6}")]
    [DataRow("{0,4} | {1}", "{0,4} |")]
    [DataRow("{0} {1}", "{0}")]
    public void An_empty_line_that_has_been_numbered_is_no_entry_cut_short(string form, string empty)
    {
        foreach (int first in new[] { 1, 9, 1208 })
        {
            int number = first;
            string text = string.Concat(Boot(First, "", isXens: false).SkipLast(1)
                .Select(line => $"{string.Format(CultureInfo.InvariantCulture, form, number++, line)}\n"));
            text += string.Format(CultureInfo.InvariantCulture, empty, number) + "\n";

            MapFixtures.AreSame(First, MapFixtures.Expect(MapFixtures.ReadText(text)));
        }
    }

    [TestMethod]
    public void A_number_that_is_cut_is_no_empty_line()
    {
        string text = string.Concat(Boot(First, "", isXens: false).SkipLast(1).Select(static (line, i) => $"{1200 + i} {line}\n")) + "12\n";

        Assert.Contains("cut short or garbled", MapFixtures.ExpectError(MapFixtures.ReadText(text)).What);
    }

    private static string Mixed(IEnumerable<string> first, IEnumerable<string> second) =>
        string.Concat(first.Zip(second).Select(static pair => $"{pair.First}\n{pair.Second}\n"));

    private static IEnumerable<string> Boot(string map, string prefix, bool isXens)
    {
        string[] title = isXens ? ["(XEN) Xen version 4.17.3 (x)", "(XEN) Xen-e820 RAM map:"]
            : ["Linux version 6.1.0", "BIOS-provided physical RAM map:"];
        string[] end = isXens ? ["(XEN) Xen is relinquishing VGA console."] : ["NX (Execute Disable) protection: active"];
        return title.Concat(map.Split('\n').Select(static entry => entry.Split(' ')).Select(entry => isXens
            ? $"(XEN)  [{Address(entry[0]):x16}, {Address(entry[1]) - 1:x16}] ({Type(entry[2])})"
            : $"BIOS-e820: [mem 0x{Address(entry[0]):x16}-0x{Address(entry[1]) - 1:x16}] {Type(entry[2])}"))
            .Concat(end).Select(line => prefix + line);
    }

    private static ulong Address(string hex) => ulong.Parse(hex, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private static string Type(string number) => number == "1" ? "usable" : "reserved";
}
