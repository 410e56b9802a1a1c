// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Hypercalls;

namespace Keyhole.Contract;

/// <summary>mmu_update and update_va_mapping, and the memory behind them.</summary>
public static class PageTableContract
{
    /// <summary>Where Xen itself lives: no guest has a page table there.</summary>
    private const ulong XensOwnAddress = 0xffff_8000_0000_0000;

    /// <summary>Present, writable, accessed, dirty.</summary>
    private const ulong KernelPage = 0x63;

    private const ulong Uncached = 0x10;

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void An_empty_list_of_updates_succeeds(ContractWorld world)
    {
        Expect.Equal(0, world.ControlDomain!.MmuUpdate([], out int done));
        Expect.Equal(0, done);
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void M2P_of_a_frame_that_is_not_the_callers_is_EINVAL(ContractWorld world)
    {
        ulong[] guests = ReservationContract.Populate(world, 1, 0);

        Expect.Error(XenError.EINVAL, world.ControlDomain!.MmuUpdate([M2P(guests[0], 1)], out int done));
        Expect.Error(XenError.EINVAL, world.ControlDomain!.MmuUpdate([M2P((1UL << 40) - 1, 1)], out _));

        Expect.Equal(0, done);
        Expect.Equal(1, world.ControlDomain!.DecreaseReservation(world.Guest, guests, 0));
    }

    [CheckedAs(ContractCaller.ControlDomain)]
    public static void Without_an_L1_table_update_va_mapping_is_EINVAL(ContractWorld world) =>
        Expect.Error(XenError.EINVAL, world.ControlDomain!.UpdateVaMapping(XensOwnAddress, 0, 0));

    [CheckedAs(ContractCaller.Guest)]
    public static void Updates_stop_at_the_first_error_with_the_number_done(ContractWorld world)
    {
        MmuUpdate[] updates = [M2P(world.UnmappedMfn, 77), M2P(world.ForeignMfn, 1), M2P(world.UnmappedMfn, 78)];

        Expect.Error(XenError.EINVAL, world.GuestCalls!.MmuUpdate(updates, out int done));

        Expect.Equal(1, done);
        Expect.Equal(77UL, world.GuestMemory!.PfnOf(world.UnmappedMfn));
    }

    [CheckedAs(ContractCaller.Guest)]
    public static void M2P_takes_any_number_for_the_guests_own_frame(ContractWorld world)
    {
        Expect.Equal(0, world.GuestCalls!.MmuUpdate([M2P(world.UnmappedMfn, 0), M2P(world.UnmappedMfn, ulong.MaxValue - 1)], out int done));

        Expect.Equal(2, done);
        Expect.Equal(ulong.MaxValue - 1, world.GuestMemory!.PfnOf(world.UnmappedMfn));
    }

    [CheckedAs(ContractCaller.Guest)]
    public static void A_page_table_that_is_not_the_guests_is_EINVAL(ContractWorld world)
    {
        Expect.Error(XenError.EINVAL, world.GuestCalls!.MmuUpdate([new MmuUpdate { ptr = world.ForeignMfn << 12 }], out int done));

        Expect.Equal(0, done);
    }

    [CheckedAs(ContractCaller.Guest)]
    public static void What_is_in_a_page_follows_the_frame_and_not_the_address(ContractWorld world)
    {
        world.GuestMemory!.Page(world.WindowAddress)[5] = 111;
        Map(world, world.UnmappedMfn);
        Expect.Equal(0UL, world.GuestMemory!.Page(world.WindowAddress)[5]);
        world.GuestMemory!.Page(world.WindowAddress)[5] = 222;

        Map(world, world.WindowMfn);
        Expect.Equal(111UL, world.GuestMemory!.Page(world.WindowAddress)[5]);
        Map(world, world.UnmappedMfn);
        Expect.Equal(222UL, world.GuestMemory!.Page(world.WindowAddress)[5]);
        Map(world, world.WindowMfn);
    }

    [CheckedAs(ContractCaller.Guest)]
    public static void An_entry_that_is_not_present_maps_nothing(ContractWorld world)
    {
        Expect.Equal(0, world.GuestCalls!.UpdateVaMapping(world.WindowAddress, 0, 0));

        Expect.That(world.GuestMemory!.Page(world.WindowAddress).IsEmpty, "the page is still mapped");
        Map(world, world.WindowMfn);
    }

    [CheckedAs(ContractCaller.Guest)]
    public static void A_frame_of_another_domain_is_not_mapped_and_the_old_mapping_stays(ContractWorld world)
    {
        world.GuestMemory!.Page(world.WindowAddress)[5] = 333;

        Expect.Error(XenError.EBUSY, world.GuestCalls!.UpdateVaMapping(world.WindowAddress, (world.ForeignMfn << 12) | KernelPage, 0));

        Expect.Equal(333UL, world.GuestMemory!.Page(world.WindowAddress)[5]);
    }

    [CheckedAs(ContractCaller.Guest)]
    public static void Io_that_the_guest_may_not_map_is_EPERM_and_an_invalid_frame_EINVAL(ContractWorld world)
    {
        Expect.Error(XenError.EPERM, world.GuestCalls!.UpdateVaMapping(world.WindowAddress, (world.ForbiddenIoMfn << 12) | KernelPage, 0));
        Expect.Error(XenError.EINVAL, world.GuestCalls!.UpdateVaMapping(world.WindowAddress, (((1UL << 40) - 1) << 12) | KernelPage, 0));
    }

    [CheckedAs(ContractCaller.Guest)]
    public static void A_guest_without_a_device_may_not_choose_how_a_page_is_cached(ContractWorld world) =>
        Expect.Error(XenError.EINVAL, world.GuestCalls!.UpdateVaMapping(world.WindowAddress, (world.WindowMfn << 12) | KernelPage | Uncached, 0));

    [CheckedAs(ContractCaller.Guest)]
    public static void A_mapped_frame_that_is_given_back_goes_with_its_last_mapping(ContractWorld world)
    {
        ulong[] frames = ReservationContract.SparePfns(1, 0);
        long before = world.GuestCalls!.CurrentReservation(DomainId.Self);
        Expect.Equal(1, world.GuestCalls!.PopulatePhysmap(DomainId.Self, frames, 0));
        Map(world, frames[0]);

        Expect.Equal(1, world.GuestCalls!.DecreaseReservation(DomainId.Self, frames, 0));
        Expect.Equal(before + 1, world.GuestCalls!.CurrentReservation(DomainId.Self));
        Expect.Equal(1, world.GuestCalls!.DecreaseReservation(DomainId.Self, frames, 0));
        Map(world, world.WindowMfn);

        Expect.Equal(before, world.GuestCalls!.CurrentReservation(DomainId.Self));
        Expect.Equal(0, world.GuestCalls!.DecreaseReservation(DomainId.Self, frames, 0));
    }

    private static MmuUpdate M2P(ulong mfn, ulong pfn) => new() { ptr = (mfn << 12) | MmuUpdateCommand.MMU_MACHPHYS_UPDATE, val = pfn };

    private static void Map(ContractWorld world, ulong mfn) =>
        Expect.Equal(0, world.GuestCalls!.UpdateVaMapping(world.WindowAddress, (mfn << 12) | KernelPage, 0));
}
