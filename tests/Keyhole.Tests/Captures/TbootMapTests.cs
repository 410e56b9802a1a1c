// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Captures;
using Keyhole.E820;
using Keyhole.Logs;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Captures;

/// <summary>The maps that tboot prints, as in reports to OpenXT and tboot-devel.</summary>
[TestClass]
public sealed class TbootMapTests
{
    /// <summary>As tboot prints it: in the order of the loader's list, which is not that of the addresses.</summary>
    private const string Original = """
        TBOOT: original e820 map:
        TBOOT: \t0000000000000000 - 000000000009e000  (1)
        TBOOT: \t000000000009e000 - 0000000000100000  (2)
        TBOOT: \t0000000000100000 - 000000007e6d5000  (1)
        TBOOT: \t000000007eb99000 - 000000007ebf8000  (3)
        TBOOT: \t000000007ebf8000 - 000000007ec58000  (4)
        TBOOT: \t000000007f72c000 - 000000007f7fe000  (20)
        TBOOT: \t0000000100000000 - 000000027f000000  (1)
        TBOOT: \t00000000fec00000 - 00000000fec01000  (2)

        """;

    private const string Behind = """
        TBOOT: checking if module  is an SINIT for this platform...
        TBOOT:   ACM info_table version mismatch (6)
        TBOOT:   1 ACM chipset id entries:
        TBOOT: reserving tboot memory log (60000 - 67fff) in e820 table

        """;

    private const string Adjusted = """
        TBOOT: adjusted e820 map:
        TBOOT:  0000000000000000 - 0000000000060000  (1)
        TBOOT:  0000000000060000 - 0000000000068000  (2)
        TBOOT:  0000000000068000 - 000000000009e000  (1)
        TBOOT:  000000000009e000 - 0000000000100000  (2)
        TBOOT:  0000000000100000 - 000000007e6d5000  (1)
        TBOOT:  0000000100000000 - 000000027f000000  (1)
        TBOOT: got sinit match on module #2

        """;

    private const string Xens = """
        (XEN) TBOOT RAM map:
        (XEN)  0000000000000000 - 0000000000060000 (usable)
        (XEN)  0000000000100000 - 000000007e6d5000 (usable)
        (XEN)  00000000fec00000 - 00000000fec01000 (reserved)
        (XEN) System RAM: 2022MB (2070868kB)

        """;

    [TestMethod]
    public void The_map_that_tboot_was_given_is_the_hosts_and_said_to_be_from_before_tboots_own_changes()
    {
        HostDocument host = MapFixtures.Expect(MapFixtures.ReadText(WithTabs(Original + Behind)));

        CollectionAssert.AreEqual(
            new[]
            {
                E820Entry.FromBounds(0, 0x9e000, E820Type.Ram), E820Entry.FromBounds(0x9e000, 0x10_0000, E820Type.Reserved),
                E820Entry.FromBounds(0x10_0000, 0x7e6d_5000, E820Type.Ram), E820Entry.FromBounds(0x7eb9_9000, 0x7ebf_8000, E820Type.Acpi),
                E820Entry.FromBounds(0x7ebf_8000, 0x7ec5_8000, E820Type.Nvs), E820Entry.FromBounds(0x7f72_c000, 0x7f7f_e000, (E820Type)20),
                E820Entry.FromBounds(0x1_0000_0000, 0x2_7f00_0000, E820Type.Ram), E820Entry.FromBounds(0xfec0_0000, 0xfec0_1000, E820Type.Reserved),
            },
            host.Host.Entries.ToArray());
        Assert.StartsWith("tboot's map (original e820 map), line 2", host.Description);
        Assert.Contains(static remark => remark.ToString().StartsWith("This is a map from before tboot hands it over", StringComparison.Ordinal),
            host.Remarks);
    }

    [TestMethod]
    public void The_map_that_tboot_hands_over_comes_before_the_one_that_it_was_given()
    {
        string replaced = Adjusted.Replace("adjusted e820", "replaced memory", StringComparison.Ordinal);
        HostDocument host = MapFixtures.Expect(MapFixtures.ReadText(WithTabs(Original + Behind + replaced + Adjusted)));

        Assert.HasCount(6, host.Host.Entries);
        Assert.AreEqual("adjusted e820 map", host.LogMap!.Title);
        Assert.Contains(static remark => remark.ToString().StartsWith("This is the map that tboot hands to", StringComparison.Ordinal), host.Remarks);
        Assert.AreEqual(2, host.OtherMapCount);
    }

    [TestMethod]
    public void Xens_own_map_comes_before_tboots()
    {
        HostDocument host = MapFixtures.Expect(MapFixtures.ReadText(WithTabs(Original + Behind + Adjusted + Xens)));

        Assert.AreEqual(LogMapKind.XenFirmware, host.LogMap!.Kind);
        Assert.HasCount(3, host.Host.Entries);
        Assert.AreEqual(2, host.OtherMapCount);
    }

    /// <summary>At each place but within the type's word behind its bracket, where the entry is whole.</summary>
    [TestMethod]
    public void An_entry_of_tboots_that_is_cut_anywhere_makes_no_other_entry()
    {
        const string last = "TBOOT: \t0000000100000000 - 000000027f000000  (1";
        string text = WithTabs(Original).Split("TBOOT: \t0000000100000000", StringSplitOptions.None)[0];
        for (int length = "TBOOT: \t".Length + 1; length <= last.Length; length++)
        {
            Assert.IsFalse(MapFixtures.ReadText(text + last[..length]).TryGet(out _, out Keyhole.Diagnostics.InputError? error), last[..length]);
            Assert.Contains("cut short or garbled", error!.ToString());
        }
    }

    private static string WithTabs(string text) => text.Replace("\\t", "\t", StringComparison.Ordinal);
}
