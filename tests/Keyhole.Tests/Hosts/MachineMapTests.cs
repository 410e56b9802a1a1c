// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.E820;
using Keyhole.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Hosts;

/// <summary>What Xen adds, where no golden record has the machine for it.</summary>
[TestClass]
public sealed class MachineMapTests
{
    private const string LocalApic = "fee00000-fef00000";
    private const string IoApic = "fec00000-fec01000";

    [TestMethod]
    [DataRow(40, "", DisplayName = "ends the address space: nothing permitted follows, not reported")]
    [DataRow(41, "fd00000000-10000000000")]
    [DataRow(48, "fd00000000-10000000000")]
    public void The_HyperTransport_range_shows_where_addresses_go_on_behind_it(int addressBits, string expected)
    {
        HostTraits traits = new() { CpuVendor = "AuthenticAMD", CpuFamily = 0x10, PhysicalAddressBits = addressBits };

        Assert.AreEqual($"{IoApic} {LocalApic} {expected}".TrimEnd(), Added(traits, E820Entry.FromBounds(0, 0x8000_0000, E820Type.Ram)));
    }

    /// <summary>By the builder of dom0 in each release's source.</summary>
    [TestMethod]
    [DataRow("4.1.6", false)]
    [DataRow("4.2.3", false)]
    [DataRow("4.2.4", true)]
    [DataRow("4.3.0", false)]
    [DataRow("4.3.1", true)]
    [DataRow("4.4.0", true)]
    [DataRow("4.17.6", true)]
    [DataRow("4.18.4", true)]
    [DataRow("4.18.5", false)]
    [DataRow("4.19.1", true)]
    [DataRow("4.19.2", false)]
    [DataRow("4.20.0", true)]
    [DataRow("4.20.1", false)]
    [DataRow("4.21.0", false)]
    [DataRow("4.18", true)]
    [DataRow("4.19", true)]
    [DataRow("4.20", false)]
    public void The_whole_window_of_interrupt_messages_is_kept_by_some_releases(string release, bool isWhole)
    {
        HostTraits traits = new() { XenVersion = Version(release) };

        Assert.AreEqual($"{IoApic} fee00000-{(isWhole ? "fef00000" : "fee01000")}", Added(traits, E820Entry.FromBounds(0, 0x8000_0000, E820Type.Ram)));
    }

    /// <summary>Below 1 TiB for every family at first, where a Zen's addresses go on; from 4.4 on at all.</summary>
    [TestMethod]
    [DataRow("4.3.4", 0x10, 48, false)]
    [DataRow("4.4.0", 0x10, 48, true)]
    [DataRow("4.6.6", 0x0f, 40, true, DisplayName = "dom0 is permitted what lies beyond every address")]
    [DataRow("4.7.0", 0x0f, 40, false)]
    [DataRow("4.8.5", 0x17, 48, true)]
    [DataRow("4.13.5", 0x19, 48, true)]
    [DataRow("4.14.3", 0x17, 43, true)]
    [DataRow("4.14.4", 0x17, 43, false)]
    [DataRow("4.14.4", 0x15, 48, true)]
    [DataRow("4.15.1", 0x19, 48, true)]
    [DataRow("4.15.2", 0x19, 48, false)]
    [DataRow("4.16.0", 0x19, 48, false)]
    [DataRow("4.14", 0x19, 48, false)]
    public void The_HyperTransport_range_is_reported_by_release_and_family(string release, int family, int addressBits, bool isReported)
    {
        HostTraits traits = new()
        {
            XenVersion = Version(release),
            CpuVendor = "AuthenticAMD",
            CpuFamily = family,
            PhysicalAddressBits = addressBits,
        };

        string added = Added(traits, E820Entry.FromBounds(0, 0x8000_0000, E820Type.Ram));

        Assert.AreEqual(isReported, added.Contains("fd00000000-10000000000", StringComparison.Ordinal));
    }

    [TestMethod]
    [DataRow(0x0f, false)]
    [DataRow(0x10, true)]
    [DataRow(0x11, false)]
    [DataRow(0x12, false)]
    [DataRow(0x14, false)]
    [DataRow(0x15, true)]
    [DataRow(0x16, false)]
    public void A_family_whose_addresses_the_source_does_not_tell_has_those_of_public_dumps(int family, bool isReported)
    {
        HostTraits traits = new() { XenVersion = Version("4.12.4"), CpuVendor = "AuthenticAMD", CpuFamily = family };

        string added = Added(traits, E820Entry.FromBounds(0, 0x8000_0000, E820Type.Ram));

        Assert.AreEqual(isReported, added.Contains("fd00000000-10000000000", StringComparison.Ordinal));
    }

    [TestMethod]
    public void A_protected_HPET_is_a_page_of_its_own()
    {
        HostTraits traits = new() { ProtectedHpet = 0xfed0_0000 };

        Assert.AreEqual($"{IoApic} fed00000-fed01000 {LocalApic}", Added(traits, E820Entry.FromBounds(0, 0x8000_0000, E820Type.Ram)));
    }

    [TestMethod]
    public void A_page_that_the_firmware_names_in_part_is_no_gap()
    {
        E820Entry[] firmware = [E820Entry.FromBounds(0, 0x8000_0000, E820Type.Ram),
            E820Entry.FromBounds(0xfec0_0000, 0xfec0_0400, E820Type.Reserved)];

        Assert.AreEqual(LocalApic, Added(new(), firmware));
    }

    private static XenVersion Version(string release)
    {
        Assert.IsTrue(XenVersion.TryParse(release, out XenVersion version));
        return version;
    }

    private static string Added(HostTraits traits, params E820Entry[] firmware)
    {
        ImmutableArray<E820Entry> map = MachineMap.Of(new() { Entries = [.. firmware], Traits = traits });
        Assert.IsTrue(map.Where(entry => !firmware.Contains(entry)).All(entry => entry.Type == E820Type.Reserved));
        return string.Join(' ', map.Where(entry => !firmware.Contains(entry)).Select(entry => $"{entry.Address:x}-{entry.End:x}"));
    }
}
