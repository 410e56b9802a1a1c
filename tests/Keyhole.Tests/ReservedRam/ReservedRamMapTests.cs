// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.ReservedRam;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.ReservedRam;

[TestClass]
public sealed class ReservedRamMapTests
{
    /// <summary>Every start on every host that changes something: before, at, in and behind each edge.</summary>
    private static IEnumerable<(Host Host, ulong Start)> FixtureCases() =>
        from host in ReserveHosts.Fixtures()
        from address in host.Entries.SelectMany(static entry => (ulong[])[entry.Address, entry.End]).Append(0x2000_0000UL).Append(0x1_0000_0000UL)
        from start in (ulong[])[address, address + ReservePlanner.StartAlignment]
        select (host, ulong.Max(start / ReservePlanner.StartAlignment, 1) * ReservePlanner.StartAlignment);

    [TestMethod]
    public void The_seeds_machine_gives_the_seeds_listing_line_for_line()
    {
        ReservedRamMap map = ReservedRamMap.Of(ReserveHosts.Seed.Entries, 512 << 20, EarlyReservations.Of2008);
        ImmutableArray<GivenResource> given =
            [new(ByteRange.FromBounds(0xf0000, 0x100000), "reserved"), new(ByteRange.FromBounds(0xcd600, 0xd0000), "pnp 00:0d")];

        Assert.AreEqual(
            """
            00000000-00000fff : reserved RAM failed
            00001000-0008ffff : reserved RAM
            00090000-00091fff : reserved RAM failed
            00092000-0009efff : reserved RAM
            0009f000-0009ffff : reserved
            000cd600-000cffff : pnp 00:0d
            000f0000-000fffff : reserved
            00100000-1fffffff : reserved RAM
            20000000-3dedffff : System RAM

            """.ReplaceLineEndings("\n"),
            map.ToIomem(given));
    }

    [TestMethod]
    public void A_given_resource_inside_another_stands_deeper()
    {
        ReservedRamMap map =
            ReservedRamMap.Of([E820Entry.FromBounds(0, 0x400000, E820Type.Ram), E820Entry.FromBounds(0xf0000, 0x100000, E820Type.Reserved)], 0x200000,
                []);

        Assert.AreEqual(
            "00000000-000effff : reserved RAM\n000f0000-000fffff : reserved\n  000f0000-000fffff : System ROM\n00100000-001fffff : reserved "
                + "RAM\n00200000-003fffff : System RAM\n",
            map.ToIomem([new(ByteRange.FromBounds(0xf0000, 0x100000), "System ROM")]));
    }

    [TestMethod]
    [DataRow(E820Type.Reserved, "reserved")]
    [DataRow(E820Type.Acpi, "ACPI Tables")]
    [DataRow(E820Type.Nvs, "ACPI Non-volatile Storage")]
    [DataRow(E820Type.Unusable, "reserved")]
    [DataRow((E820Type)uint.MaxValue, "reserved")]
    public void What_the_firmware_reserves_wins_over_kept_failed_and_host_RAM(E820Type type, string name)
    {
        ReservedRamMap map = ReservedRamMap.Of(
            [E820Entry.FromBounds(0, 0x600000, E820Type.Ram), E820Entry.FromBounds(0x100000, 0x500000, type)],
            0x400000,
            [new(ByteRange.FromBounds(0x80000, 0x200000), "test")]);

        Assert.AreEqual(
            $"00000000-0007ffff : reserved RAM\n00080000-000fffff : reserved RAM failed\n00100000-004fffff : "
                + $"{name}\n00500000-005fffff : System RAM\n", map.ToIomem([]));
    }

    [TestMethod]
    public void An_entry_without_a_type_is_no_RAM() =>
        Assert.AreEqual("00000000-001fffff : reserved RAM\n",
            ReservedRamMap.Of([E820Entry.FromBounds(0, 0x200000, E820Type.Ram), E820Entry.FromBounds(0x300000, 0x400000, E820Type.None)], 0x1000000,
                []).ToIomem([]));

    [TestMethod]
    public void A_reservation_above_the_start_changes_nothing()
    {
        ReservedRamMap map = ReservedRamMap.Of(ReserveHosts.Seed.Entries, 512 << 20,
            [new(ByteRange.FromBounds(0x1ff00000, 0x21000000), "straddles")]);

        Assert.Contains("00100000-1fefffff : reserved RAM\n1ff00000-1fffffff : reserved RAM failed\n20000000-3dedffff : System RAM\n",
            map.ToIomem([]));
    }

    [TestMethod]
    public void Kept_failed_and_host_RAM_make_up_the_firmwares_on_every_fixture()
    {
        int cases = 0;
        foreach ((Host host, ulong start) in FixtureCases())
        {
            AssertSumsAddUp(host, ReserveHosts.Plan(host, start));
            cases++;
        }

        Assert.IsGreaterThan(500, cases);
    }

    [TestMethod]
    public void Kept_failed_and_host_RAM_make_up_the_firmwares_on_random_hosts() =>
        Prop.ForAll(ReserveHosts.Random.ToArbitrary(), ReserveHosts.Start.ToArbitrary(),
            static (host, start) => AssertSumsAddUp(host, ReserveHosts.Plan(host, start)))
            .QuickCheckThrowOnFailure();

    [TestMethod]
    public void A_guests_pages_are_identity_or_failed_on_every_fixture()
    {
        foreach ((Host host, ulong start) in FixtureCases())
            AssertGuestIsSound(ReserveHosts.Plan(host, start));
    }

    [TestMethod]
    public void A_guests_pages_are_identity_or_failed_on_random_hosts() =>
        Prop.ForAll(ReserveHosts.Random.ToArbitrary(), ReserveHosts.Start.ToArbitrary(),
            static (host, start) => AssertGuestIsSound(ReserveHosts.Plan(host, start)))
            .QuickCheckThrowOnFailure();

    private static void AssertSumsAddUp(Host host, ReservePlan plan)
    {
        if (plan.Map is null)
            return;
        E820Entry[] settled = new E820Entry[2 * host.Entries.Length];
        E820Entry[] source = [.. host.Entries];
        Assert.IsTrue(Sanitizer.TrySanitize(source, settled, new int[Sanitizer.ScratchLength(source.Length)], out int count));
        ulong firmwareRam = settled.Take(count).Where(static entry => entry.IsRam).Aggregate(0UL, static (sum, entry) => sum + entry.Size);
        foreach (ReservedRamMap map in (ReservedRamMap[])[plan.Map, plan.Today!.Map])
        {
            Assert.AreEqual(firmwareRam, Sum(map.Kept) + Sum(map.Failed) + Sum(map.HostRam));
            Assert.IsTrue(map.Kept.Concat(map.Failed).All(range => range.End <= plan.Start));
            Assert.IsTrue(map.HostRam.All(range => range.Start >= plan.Start));
        }
    }

    private static void AssertGuestIsSound(ReservePlan plan)
    {
        if (plan.Map is null)
            return;
        AssertGuestIsSound(plan.Map, plan.Guest!);
        AssertGuestIsSound(plan.Today!.Map, plan.Today.Guest);
    }

    private static void AssertGuestIsSound(ReservedRamMap host, GuestRam guest)
    {
        ulong end = 0;
        ulong buffer = 0;
        foreach (MemorySlot slot in guest.Slots)
        {
            Assert.AreEqual(0UL, (slot.GuestAddress | slot.SizeBytes | slot.UserspaceOffset) & 0xfff);
            Assert.AreNotEqual(0UL, slot.SizeBytes);
            Assert.IsGreaterThanOrEqualTo(end, slot.GuestAddress);
            end = slot.GuestAddress + slot.SizeBytes;
            if (slot.IsIdentity)
            {
                Assert.AreEqual(slot.GuestAddress, slot.UserspaceOffset);
                Assert.IsTrue(host.Kept.Any(range => range.Start <= slot.GuestAddress && end <= range.End), "an identity slot is kept RAM, whole");
            }
            else
            {
                Assert.AreEqual(buffer, slot.UserspaceOffset);
                buffer += slot.SizeBytes;
                Assert.IsFalse(guest.Map.Any(entry => entry.Address < end && slot.GuestAddress < entry.End), "the map does not name what failed");
            }
        }

        Assert.AreEqual(buffer, guest.BufferBytes);
        Assert.IsEmpty(GuestRam.NotIdentity(guest.Map, guest.Slots));
        ulong last = guest.Map.IsEmpty ? 0 : guest.Map[^1].End;

        // Each piece of kept or failed RAM up to the guest's end is in a slot: looked at page by page where the pieces begin and end.
        foreach (ByteRange range in host.Kept.Concat(host.Failed))
        {
            foreach (ulong address in (ulong[])[range.Start, range.Start + (range.SizeBytes / 2), range.End - 1])
            {
                if (address >= last)
                    continue;
                MemorySlot slot =
                    guest.Slots.Single(candidate => candidate.GuestAddress <= address && address < candidate.GuestAddress + candidate.SizeBytes);
                bool isNamed = guest.Map.Any(entry => entry.Contains(address));
                Assert.AreEqual(slot.IsIdentity, isNamed);
                ulong page = address & ~0xfffUL;
                bool isWhole = Enumerable.Range(0, 0x1000).Where(static offset => offset % 8 == 0)
                    .All(offset => ReserveHosts.IsIn(host.Kept, page + (ulong)offset));
                Assert.AreEqual(isWhole, slot.IsIdentity);
            }
        }
    }

    private static ulong Sum(IEnumerable<ByteRange> ranges) => ranges.Aggregate(0UL, static (sum, range) => sum + range.SizeBytes);
}
