// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Hypercalls;

namespace Keyhole.Contract;

/// <summary>XENMEM_exchange.</summary>
public static class ExchangeContract
{
    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Exchange_refuses_lists_of_different_sizes(ContractWorld world)
    {
        Expect.Error(XenError.EINVAL, world.ControlDomain!.Exchange(world.Guest, new ulong[3], 0, new ulong[1], 1, out ulong exchanged));
        Expect.Equal(0UL, exchanged);
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Exchange_looks_at_the_order_first_and_refuses_with_EPERM(ContractWorld world)
    {
        Expect.Error(XenError.EPERM, world.ControlDomain!.Exchange(world.NoSuchDomain, new ulong[3], 19, new ulong[1], 0, out _));
        Expect.Error(XenError.EPERM, world.ControlDomain!.Exchange(world.NoSuchDomain, new ulong[3], 0, new ulong[1], 19, out _));
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Exchange_of_nothing_succeeds_for_any_domain(ContractWorld world) =>
        Expect.Equal(0, world.ControlDomain!.Exchange(world.NoSuchDomain, [], 0, [], 0, out _));

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Exchange_for_a_domain_that_does_not_exist_is_ESRCH(ContractWorld world) =>
        Expect.Error(XenError.ESRCH, world.ControlDomain!.Exchange(world.NoSuchDomain, new ulong[1], 0, new ulong[1], 0, out _));

    [CheckedAs(ContractCaller.Guest)]
    public static void A_guest_exchanges_no_other_domains_frames(ContractWorld world) =>
        Expect.Error(XenError.EPERM, world.GuestCalls!.Exchange(world.ForeignDomain, [world.ForeignMfn], 0, new ulong[1], 0, out _));

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Single_frames_are_exchanged_for_one_aligned_extent(ContractWorld world)
    {
        ulong[] old = ReservationContract.Populate(world, 4, 0);
        long before = world.ControlDomain!.CurrentReservation(world.Guest);
        ulong[] extent = ReservationContract.SparePfns(1, 2);

        Expect.Equal(0, world.ControlDomain!.Exchange(world.Guest, old, 0, extent, 2, out ulong exchanged));

        Expect.Equal(4UL, exchanged);
        Expect.Equal(before, world.ControlDomain!.CurrentReservation(world.Guest));
        Expect.Equal(0UL, extent[0] % 4);
        Expect.That(!old.Any(mfn => mfn >= extent[0] && mfn - extent[0] < 4), "a new frame is one of the old");
        Expect.Equal(0, world.ControlDomain!.DecreaseReservation(world.Guest, old.AsSpan(0, 1), 0));
        Expect.Equal(1, world.ControlDomain!.DecreaseReservation(world.Guest, extent, 2));
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void One_extent_is_exchanged_for_single_frames(ContractWorld world)
    {
        ulong[] old = ReservationContract.Populate(world, 1, 2);
        ulong[] single = ReservationContract.SparePfns(4, 0);

        Expect.Equal(0, world.ControlDomain!.Exchange(world.Guest, old, 2, single, 0, out ulong exchanged));

        Expect.Equal(1UL, exchanged);
        Expect.Equal(4, single.Distinct().Count());
        Expect.Equal(4, world.ControlDomain!.DecreaseReservation(world.Guest, single, 0));
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Exchange_tells_how_far_it_came_and_leaves_the_rest_untouched(ContractWorld world)
    {
        ulong[] old = ReservationContract.Populate(world, 4, 0);
        long before = world.ControlDomain!.CurrentReservation(world.Guest);
        ulong[] mfnsIn = [old[0], old[1], old[2], ulong.MaxValue];
        ulong[] extents = ReservationContract.SparePfns(2, 1);
        ulong untouched = extents[1];

        Expect.Error(XenError.EINVAL, world.ControlDomain!.Exchange(world.Guest, mfnsIn, 0, extents, 1, out ulong exchanged));

        Expect.Equal(2UL, exchanged);
        Expect.Equal(untouched, extents[1]);
        Expect.Equal(before, world.ControlDomain!.CurrentReservation(world.Guest));
        Expect.Equal(2, world.ControlDomain!.DecreaseReservation(world.Guest, old.AsSpan(2), 0));
        Expect.Equal(1, world.ControlDomain!.DecreaseReservation(world.Guest, extents.AsSpan(0, 1), 1));
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void A_frame_given_twice_is_not_exchanged(ContractWorld world)
    {
        ulong[] old = ReservationContract.Populate(world, 1, 0);

        Expect.Error(XenError.EINVAL, world.ControlDomain!.Exchange(world.Guest, [old[0], old[0]], 0, ReservationContract.SparePfns(1, 1), 1,
            out ulong exchanged));

        Expect.Equal(0UL, exchanged);
        Expect.Equal(1, world.ControlDomain!.DecreaseReservation(world.Guest, old, 0));
    }

    [CheckedAs(ContractCaller.Guest)]
    public static void A_mapped_frame_is_not_exchanged(ContractWorld world) =>
        Expect.Error(XenError.EINVAL, world.GuestCalls!.Exchange(DomainId.Self, [world.WindowMfn], 0, ReservationContract.SparePfns(1, 0), 0, out _));
}
