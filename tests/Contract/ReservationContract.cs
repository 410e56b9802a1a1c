// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Hypercalls;

namespace Keyhole.Contract;

/// <summary>current_reservation, maximum_reservation, increase_reservation, decrease_reservation, populate_physmap.</summary>
public static class ReservationContract
{
    /// <summary>More pages than this are not taken to reach a domain's maximum.</summary>
    private const long MostPagesToFill = 1 << 17;

    private const int SmallOrder = 2;

    /// <summary>A pfn of the guest's that its kernel does not use: the checks only populate and give back.</summary>
    private const ulong SparePfn = 1UL << 24;

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Reservations_of_a_domain_that_does_not_exist_are_ESRCH(ContractWorld world)
    {
        Expect.Error(XenError.ESRCH, world.ControlDomain!.CurrentReservation(world.NoSuchDomain));
        Expect.Error(XenError.ESRCH, world.ControlDomain!.MaximumReservation(world.NoSuchDomain));
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void A_control_domain_sees_its_own_and_its_guests_reservations(ContractWorld world)
    {
        foreach (DomainId domain in (DomainId[])[DomainId.Self, world.Guest])
        {
            long current = world.ControlDomain!.CurrentReservation(domain);
            Expect.That(current > 0, $"current_reservation gave {current}");
            Expect.That(world.ControlDomain!.MaximumReservation(domain) >= current, "the domain owns more than it may");
        }
    }

    [CheckedAs(ContractCaller.Guest)]
    public static void A_guest_sees_its_own_reservation_but_no_other_domains(ContractWorld world)
    {
        Expect.Error(XenError.EPERM, world.GuestCalls!.CurrentReservation(world.ForeignDomain));
        Expect.Error(XenError.EPERM, world.GuestCalls!.MaximumReservation(world.ForeignDomain));
        Expect.Equal(world.GuestCalls!.CurrentReservation(DomainId.Self), world.GuestCalls!.CurrentReservation(world.Guest));
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Empty_lists_and_domains_that_do_not_exist_give_a_count_of_0(ContractWorld world)
    {
        IHypercalls xen = world.ControlDomain!;
        foreach ((DomainId domain, int length) in ((DomainId, int)[])[(world.Guest, 0), (world.NoSuchDomain, 3)])
        {
            Expect.Equal(0, xen.IncreaseReservation(domain, new ulong[length], 0));
            Expect.Equal(0, xen.DecreaseReservation(domain, new ulong[length], 0));
            Expect.Equal(0, xen.PopulatePhysmap(domain, new ulong[length], 0));
        }
    }

    [CheckedAs(ContractCaller.Guest)]
    public static void A_guest_changes_no_other_domains_reservation(ContractWorld world)
    {
        Expect.Equal(0, world.GuestCalls!.IncreaseReservation(world.ForeignDomain, new ulong[1], 0));
        Expect.Equal(0, world.GuestCalls!.DecreaseReservation(world.ForeignDomain, [world.ForeignMfn], 0));
        Expect.Equal(0, world.GuestCalls!.PopulatePhysmap(world.ForeignDomain, [SparePfn], 0));
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void An_order_above_the_callers_limit_gives_a_count_of_0(ContractWorld world)
    {
        long before = world.ControlDomain!.CurrentReservation(world.Guest);

        Expect.Equal(0, world.ControlDomain!.IncreaseReservation(world.Guest, new ulong[1], 19));
        Expect.Equal(0, world.ControlDomain!.PopulatePhysmap(world.Guest, [SparePfn], 19));
        Expect.Equal(0, world.ControlDomain!.DecreaseReservation(world.Guest, new ulong[1], 19));

        Expect.Equal(before, world.ControlDomain!.CurrentReservation(world.Guest));
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Increased_extents_are_aligned_distinct_and_counted_until_they_are_given_back(ContractWorld world)
    {
        IHypercalls xen = world.ControlDomain!;
        foreach (int order in (int[])[0, SmallOrder])
        {
            long before = Room(world, 5 << order);
            var mfns = new ulong[5];

            Expect.Equal(5, xen.IncreaseReservation(world.Guest, mfns, order));
            Expect.Equal(before + (5 << order), xen.CurrentReservation(world.Guest));
            Expect.Equal(5, xen.DecreaseReservation(world.Guest, mfns, order));
            Expect.Equal(before, xen.CurrentReservation(world.Guest));

            Expect.Equal(5, mfns.Distinct().Count());
            Expect.That(mfns.All(mfn => mfn % (1UL << order) == 0), "an extent is not aligned to its size");
        }
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Populated_extents_are_aligned_distinct_and_counted_until_they_are_given_back(ContractWorld world)
    {
        IHypercalls xen = world.ControlDomain!;
        foreach (int order in (int[])[0, SmallOrder])
        {
            long before = Room(world, 5 << order);
            ulong[] frames = SparePfns(5, order);

            Expect.Equal(5, xen.PopulatePhysmap(world.Guest, frames, order));
            Expect.Equal(before + (5 << order), xen.CurrentReservation(world.Guest));
            Expect.Equal(5, xen.DecreaseReservation(world.Guest, frames, order));
            Expect.Equal(before, xen.CurrentReservation(world.Guest));

            Expect.Equal(5, frames.Distinct().Count());
            Expect.That(frames.All(mfn => mfn % (1UL << order) == 0), "an extent is not aligned to its size");
        }
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void A_frame_that_was_given_back_cannot_be_given_back_again(ContractWorld world)
    {
        ulong[] frames = Populate(world, 1, 0);

        Expect.Equal(1, world.ControlDomain!.DecreaseReservation(world.Guest, frames, 0));
        Expect.Equal(0, world.ControlDomain!.DecreaseReservation(world.Guest, frames, 0));
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void A_frame_beyond_all_memory_is_not_given_back(ContractWorld world)
    {
        long before = world.ControlDomain!.CurrentReservation(world.Guest);

        Expect.Equal(0, world.ControlDomain!.DecreaseReservation(world.Guest, [ulong.MaxValue], 0));
        Expect.Equal(0, world.ControlDomain!.DecreaseReservation(world.Guest, [1UL << 40], 0));

        Expect.Equal(before, world.ControlDomain!.CurrentReservation(world.Guest));
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Giving_back_stops_at_the_first_frame_that_is_not_the_domains(ContractWorld world)
    {
        ulong[] frames = Populate(world, 2, 0);
        long before = world.ControlDomain!.CurrentReservation(world.Guest);

        Expect.Equal(1, world.ControlDomain!.DecreaseReservation(world.Guest, [frames[0], ulong.MaxValue, frames[1]], 0));

        Expect.Equal(before - 1, world.ControlDomain!.CurrentReservation(world.Guest));
        Expect.Equal(1, world.ControlDomain!.DecreaseReservation(world.Guest, [frames[1]], 0));
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Of_an_extent_that_fails_the_frames_before_the_bad_one_are_gone(ContractWorld world)
    {
        ulong[] extent = Populate(world, 1, 1);
        long before = world.ControlDomain!.CurrentReservation(world.Guest);
        Expect.Equal(1, world.ControlDomain!.DecreaseReservation(world.Guest, [extent[0] + 1], 0));

        Expect.Equal(0, world.ControlDomain!.DecreaseReservation(world.Guest, extent, 1));

        Expect.Equal(before - 2, world.ControlDomain!.CurrentReservation(world.Guest));
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Populating_beyond_the_maximum_reservation_gives_a_short_count(ContractWorld world)
    {
        IHypercalls xen = world.ControlDomain!;
        long before = xen.CurrentReservation(world.Guest);
        long room = xen.MaximumReservation(world.Guest) - before;
        Expect.Applies(room is >= 0 and <= MostPagesToFill, $"the guest has room for {room} pages");
        ulong[] frames = SparePfns((int)room + 3, 0);

        Expect.Equal(room, xen.PopulatePhysmap(world.Guest, frames, 0));
        Expect.Equal(0, xen.IncreaseReservation(world.Guest, new ulong[1], 0));
        Expect.Equal(xen.MaximumReservation(world.Guest), xen.CurrentReservation(world.Guest));

        Expect.Equal(SparePfn + (ulong)room, frames[room]);
        Expect.Equal(room, xen.DecreaseReservation(world.Guest, frames.AsSpan(0, (int)room), 0));
        Expect.Equal(before, xen.CurrentReservation(world.Guest));
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void An_extent_that_does_not_fit_the_maximum_reservation_is_not_given_in_part(ContractWorld world)
    {
        IHypercalls xen = world.ControlDomain!;
        long room = xen.MaximumReservation(world.Guest) - xen.CurrentReservation(world.Guest);
        Expect.Applies(room is >= 0 and < 1 << 18, $"the guest has room for {room} pages");
        long before = xen.CurrentReservation(world.Guest);

        Expect.Equal(0, xen.IncreaseReservation(world.Guest, new ulong[1], 18));

        Expect.Equal(before, xen.CurrentReservation(world.Guest));
    }

    /// <summary>What the guest owns, where it may have as many pages more.</summary>
    internal static long Room(ContractWorld world, long pageCount)
    {
        long current = world.ControlDomain!.CurrentReservation(world.Guest);
        Expect.Applies(world.ControlDomain!.MaximumReservation(world.Guest) - current >= pageCount, $"the guest may not have {pageCount} pages more");
        return current;
    }

    internal static ulong[] SparePfns(int count, int order) => [.. Enumerable.Range(0, count).Select(i => SparePfn + ((ulong)i << order))];

    internal static ulong[] Populate(ContractWorld world, int count, int order)
    {
        Room(world, (long)count << order);
        ulong[] frames = SparePfns(count, order);
        Expect.Equal(count, world.ControlDomain!.PopulatePhysmap(world.Guest, frames, order));
        return frames;
    }
}
