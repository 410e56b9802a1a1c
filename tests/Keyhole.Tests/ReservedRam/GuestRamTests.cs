// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.E820;
using Keyhole.ReservedRam;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.ReservedRam;

[TestClass]
public sealed class GuestRamTests
{
    private static readonly ReservedRamMap s_seed = ReservedRamMap.Of(ReserveHosts.Seed.Entries, 512 << 20, EarlyReservations.Of2008);

    [TestMethod]
    public void On_the_seeds_machine_failed_pages_have_slots_and_no_entry()
    {
        GuestRam guest = GuestRam.Of(s_seed);

        Assert.AreEqual("1000 90000 1\n92000 9f000 1\n100000 20000000 1", MapFixtures.Show(guest.Map));
        Assert.AreEqual(
            "0: 0 +1000 = buffer 0\n1: 1000 +8f000 = memory 1000\n2: 90000 +2000 = buffer 1000\n3: 92000 +d000 = memory "
                + "92000\n4: 100000 +1ff00000 = memory 100000",
            string.Join('\n',
                guest.Slots.Select(
                    slot => $"{slot.Slot}: {slot.GuestAddress:x} +{slot.SizeBytes:x} = "
                        + $"{(slot.IsIdentity ? "memory" : "buffer")} {slot.UserspaceOffset:x}")));
        Assert.AreEqual(0x3000UL, guest.BufferBytes);
        Assert.IsNull(guest.Slots[0].HostAddress);
        Assert.AreEqual(0x1000UL, guest.Slots[1].HostAddress);
    }

    [TestMethod]
    public void A_smaller_guest_takes_the_lowest_kept_pages_and_only_what_failed_below_them()
    {
        GuestRam guest = GuestRam.Of(s_seed, 0x20000);

        Assert.AreEqual("1000 21000 1", MapFixtures.Show(guest.Map));
        Assert.HasCount(2, guest.Slots);
        Assert.AreEqual(0x20000UL, guest.MemoryBytes);
        Assert.AreEqual(0x1000UL, guest.BufferBytes);
    }

    [TestMethod]
    public void A_page_of_which_a_part_is_reserved_counts_as_failed()
    {
        GuestRam guest =
            GuestRam.Of(ReservedRamMap.Of([E820Entry.FromBounds(0x1000, 0x3c00, E820Type.Ram),
                E820Entry.FromBounds(0x3c00, 0x4000, E820Type.Reserved), E820Entry.FromBounds(0x5000, 0x6000, E820Type.Ram)], 0x200000, []));

        Assert.AreEqual("1000 3000 1\n5000 6000 1", MapFixtures.Show(guest.Map));
        Assert.AreEqual("1000 True, 3000 False, 5000 True",
            string.Join(", ", guest.Slots.Select(slot => $"{slot.GuestAddress:x} {slot.IsIdentity}")));
    }

    [TestMethod]
    public void Pages_that_a_device_would_miss_are_found()
    {
        GuestRam guest = GuestRam.Of(s_seed);

        Assert.IsEmpty(GuestRam.NotIdentity(guest.Map, guest.Slots));
        Assert.AreEqual(
            "0-1000, 90000-92000, 20000000-20001000",
            string.Join(", ",
                GuestRam.NotIdentity([E820Entry.FromBounds(0, 0x9f000, E820Type.Ram), E820Entry.FromBounds(0x1ffff000, 0x20001000, E820Type.Ram)],
                    guest.Slots).Select(range => $"{range.Start:x}-{range.End:x}")));
        Assert.AreEqual(0x8f000UL, GuestRam.NotIdentity(guest.Map, guest.Slots.SetItem(1, guest.Slots[1] with { UserspaceOffset = 0x2000 }))
            .Single().SizeBytes);
    }
}
