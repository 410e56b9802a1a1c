// SPDX-License-Identifier: GPL-2.0-only

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

    private static string Added(HostTraits traits, params E820Entry[] firmware)
    {
        ImmutableArray<E820Entry> map = MachineMap.Of(new() { Entries = [.. firmware], Traits = traits });
        Assert.IsTrue(map.Where(entry => !firmware.Contains(entry)).All(entry => entry.Type == E820Type.Reserved));
        return string.Join(' ', map.Where(entry => !firmware.Contains(entry)).Select(entry => $"{entry.Address:x}-{entry.End:x}"));
    }
}
