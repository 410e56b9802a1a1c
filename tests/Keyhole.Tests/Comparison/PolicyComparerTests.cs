// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Comparison;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Migration;
using Keyhole.Pci;
using Keyhole.Platforms.XenPv;
using Keyhole.Platforms;
using Keyhole.Tests.Platforms.XenPv;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Comparison;

[TestClass]
public sealed class PolicyComparerTests
{
    private static readonly Bar s_card = new(0, BarKind.Memory, 0xfebc_0000, 0xfebe_0000, false, false);

    [TestMethod]
    public void On_the_seeds_machine_libxl_costs_low_memory_and_punch_is_recommended()
    {
        PolicyComparison comparison = PolicyComparer.Compare(With(Request("seed8g", 3072), s_card));

        Assert.AreEqual("punch", comparison.Best!.Policy.Name);
        Assert.Contains("libxl keeps only 512 MiB", comparison.Why.ToString());
        Assert.AreEqual(512UL << 10, Row(comparison, "libxl").Plan.RamBelow4GiBKiB);
        Assert.IsTrue(comparison.Policies.All(row => row.ClaimedBars == 1));
    }

    [TestMethod]
    public void Where_libxl_does_as_well_as_any_nothing_else_is_recommended()
    {
        PolicyComparison comparison = PolicyComparer.Compare(Request("plain4g", 512));

        Assert.AreEqual("libxl", comparison.Best!.Policy.Name);
        Assert.Contains("nothing but e820_host=1 in the guest's configuration", comparison.Why.ToString());
    }

    [TestMethod]
    public void On_a_host_with_NVS_where_the_kernel_lies_libxl_boots_no_kernel_and_what_needs_another_Xen_or_a_filter_is_not_recommended()
    {
        PolicyComparison comparison = PolicyComparer.Compare(Request("amd_epyc_64g_marek_2024", 4096));

        Assert.IsTrue(Row(comparison, "libxl").Kernels.All(kernel => !kernel.Boots));
        Assert.AreEqual(PolicyNeeds.InstalledMap, comparison.Best!.Policy.Traits.Needs);
        Assert.IsTrue(comparison.Best.Kernels.All(kernel => kernel.Boots));
        Assert.IsNotNull(Row(comparison, "guest-merge").Against);
        Assert.IsNotNull(Row(comparison, "hole-3g").Against);
    }

    /// <summary>The map of golden/edges61 on which the real 6.1.192 boots: only its image tells that it ends by there.</summary>
    [TestMethod]
    public void A_row_that_hangs_on_where_the_kernel_ends_says_so()
    {
        ComparisonRequest request = Request("plain4g", 512) with
        {
            Policies =
            [
                new GivenMapPolicy(
                [
                    E820Entry.FromBounds(0, 0x443_0000, E820Type.Ram),
                    E820Entry.FromBounds(0x443_0000, 0x444_0000, E820Type.Reserved),
                    E820Entry.FromBounds(0x444_0000, 0x2001_0000, E820Type.Ram),
                ]),
            ],
        };

        ComparedPolicy row = PolicyComparer
            .Compare(request with { Scenario = request.Scenario with { Kernel = Kernels.Of("linux-6.1.192") } }).Policies.Single();
        ComparedPolicy withImage = PolicyComparer.Compare(request with
        {
            Scenario = request.Scenario with { Kernel = Kernels.Of("linux-6.1.192"),
                Image = new KernelImage(null, 0x100_0000, 0x440_0000, 0x443_0000, 0x4a0_0000) },
        }).Policies.Single();

        Assert.Contains("if it reaches beyond 0x4430000: its image tells where it ends", row.Against!.ToString()!);
        Assert.IsNull(withImage.Against, withImage.Against?.ToString());
        Assert.IsTrue(withImage.Forecast!.Boots);
    }

    /// <summary>Firmware that reserves nothing behind memory at 2 GiB: libxl's RAM goes on to where it does.</summary>
    [TestMethod]
    public void RAM_over_the_hosts_own_hole_is_held_against_a_policy_while_no_device_is_known()
    {
        ImmutableArray<E820Entry> host =
        [
            E820Entry.FromBounds(0, 0x8000_0000, E820Type.Ram),
            E820Entry.FromBounds(0xfec0_0000, 0xfed0_0000, E820Type.Reserved),
            E820Entry.FromBounds(0x1_0000_0000, 0x3_0000_0000, E820Type.Ram),
        ];

        PolicyComparison large = PolicyComparer.Compare(Request(host, 3072));
        PolicyComparison small = PolicyComparer.Compare(Request(host, 2048));

        Assert.Contains("[0x80000000, 0xc0000000)", Row(large, "libxl").Against!.ToString());
        Assert.AreEqual("punch", large.Best!.Policy.Name);
        Assert.AreEqual("libxl", small.Best!.Policy.Name);
    }

    [TestMethod]
    public void A_gap_amid_the_hosts_memory_may_hold_its_device_while_none_is_known()
    {
        ImmutableArray<E820Entry> host =
        [
            E820Entry.FromBounds(0, 0x2000_0000, E820Type.Ram),
            E820Entry.FromBounds(0x4000_0000, 0xbff0_0000, E820Type.Ram),
            E820Entry.FromBounds(0xbff0_0000, 0xc000_0000, E820Type.Reserved),
            E820Entry.FromBounds(0x1_0000_0000, 0x3_0000_0000, E820Type.Ram),
        ];

        PolicyComparison comparison = PolicyComparer.Compare(Request(host, 3072));

        Assert.Contains("[0x20000000, 0x40000000)", Row(comparison, "libxl").Against!.ToString());
        Assert.AreEqual("punch", comparison.Best!.Policy.Name);
        Assert.AreEqual(0x2000_0000UL >> 10, Row(comparison, "hole-at").Plan.RamBelow4GiBKiB);
    }

    /// <summary>The first reserved region starts amid a page, as on the Dell Vostro 1700 of the fixtures: libxl's map loses that page.</summary>
    [TestMethod]
    public void A_page_that_is_lost_is_no_reason_to_install_another_map()
    {
        ImmutableArray<E820Entry> host =
        [
            E820Entry.FromBounds(0, 0x7fe6_d800, E820Type.Ram),
            E820Entry.FromBounds(0x7fe6_d800, 0x8000_0000, E820Type.Reserved),
            E820Entry.FromBounds(0x1_0000_0000, 0x3_0000_0000, E820Type.Ram),
        ];

        PolicyComparison comparison = PolicyComparer.Compare(Request(host, 3072));

        Assert.AreEqual(1UL, Row(comparison, "libxl").LostPages);
        Assert.AreEqual("libxl", comparison.Best!.Policy.Name);
        Assert.Contains("loses 1 page,", comparison.Why.ToString());
    }

    [TestMethod]
    public void Where_no_device_is_known_a_guest_moves_only_where_the_other_hosts_whole_hole_is_free()
    {
        RealHost other = RealHost.All.Single(host => host.Name == "hole1g");

        PolicyComparison comparison = PolicyComparer.Compare(Request("plain4g", 3072) with { MigrateTo = [new("other", Map(other.MachineMap), [])] });

        Assert.AreEqual("hole-at:0x40000000", comparison.Best!.Policy.Name);
        Assert.Contains("cannot move to other", Row(comparison, "libxl").Against!.ToString());
    }

    [TestMethod]
    [DataRow("seed8g", 3072UL)]
    [DataRow("plain4g", 3072UL)]
    [DataRow("ati-ixp-2g", 1024UL)]
    public void Where_no_device_is_known_a_guest_moves_between_equal_hosts_on_every_map_that_keeps_their_holes(string host, ulong memoryMiB)
    {
        ComparisonRequest request = Request(host, memoryMiB);

        PolicyComparison comparison = PolicyComparer.Compare(request with { MigrateTo = [new("twin", request.Scenario.Host, [])] });

        foreach (ComparedPolicy row in comparison.Policies.Where(row => row.Policy is LibxlPolicy or LibxlFixedPolicy or PunchPolicy or HoleAtPolicy))
            Assert.IsTrue(row.Migrations.Single().Succeeded, $"{row.Policy.Name}: {row.Migrations.Single().Failure?.What}");
    }

    /// <summary>libxl lays 3.5 GiB from 64 GiB on, where a 32-bit kernel has no addresses.</summary>
    [TestMethod]
    public void What_a_32_bit_kernel_does_not_see_is_lost()
    {
        ComparisonRequest request = Request("seed8g", 65536);

        ComparedPolicy narrow = Row(PolicyComparer.Compare(With(request, guest => guest with { Is32Bit = true })), "libxl");
        ComparedPolicy wide = Row(PolicyComparer.Compare(request), "libxl");

        Assert.AreEqual(3584UL << 8, narrow.LostPages);
        Assert.AreEqual(0UL, wide.LostPages);
    }

    /// <summary>A 32-bit guest's p2m list, which cannot move, lies where the firmware keeps 4 MiB: from 4.3 on Linux minds, and hole-at lays RAM
    /// there.</summary>
    [TestMethod]
    public void Of_two_that_are_equally_good_the_one_that_boots_more_kernels_is_recommended()
    {
        ComparisonRequest request = Request(
            [
                E820Entry.FromBounds(0, 0x4c0_0000, E820Type.Ram),
                E820Entry.FromBounds(0x4c0_0000, 0x500_0000, E820Type.Reserved),
                E820Entry.FromBounds(0x500_0000, 0xc000_0000, E820Type.Ram),
                E820Entry.FromBounds(0x1_0000_0000, 0x3_0000_0000, E820Type.Ram),
            ],
            2048);

        PolicyComparison comparison =
            PolicyComparer.Compare(request with { Scenario =
                request.Scenario with { Guest = request.Scenario.Guest with { Is32Bit = true }, Kernel = Kernels.Linux34 } });

        Assert.IsNull(Row(comparison, "punch").Against);
        Assert.IsFalse(Row(comparison, "punch").Kernels.All(kernel => kernel.Boots));
        Assert.AreEqual("hole-at", comparison.Best!.Policy.Name);
    }

    [TestMethod]
    public void That_the_minimal_map_has_no_room_for_another_device_is_told_with_its_recommendation()
    {
        PolicyComparison comparison = PolicyComparer.Compare(With(Request("hole1g", 3072), s_card));

        Assert.AreEqual("minimal", comparison.Best!.Policy.Name);
        Assert.Contains("no room for a device that is added later", comparison.Why.ToString());
    }

    [TestMethod]
    public void Where_the_guest_is_to_move_the_hole_that_suits_all_hosts_is_recommended()
    {
        RealHost other = RealHost.All.Single(host => host.Name == "hole1g");

        PolicyComparison comparison =
            PolicyComparer.Compare(With(Request("seed8g", 3072), s_card) with { MigrateTo = [new("other", Map(other.MachineMap), [])] });

        Assert.AreEqual("hole-at:0x40000000", comparison.Best!.Policy.Name);
        Assert.Contains("can move to other", comparison.Why.ToString());
        Assert.IsFalse(Row(comparison, "punch").Migrations.Single().Succeeded);
    }

    /// <summary>The other host's device lies right behind its memory: from a start amid 2 MiB its entries of the P2M would share a page with
    /// RAM.</summary>
    [TestMethod]
    [DataRow(0x4000_0000UL, "hole-at:0x40000000")]
    [DataRow(0x4000_1000UL, "hole-at:0x40000000")]
    [DataRow(0x401f_f000UL, "hole-at:0x40000000")]
    [DataRow(0x4020_0000UL, "hole-at:0x40200000")]
    public void A_hole_for_all_hosts_starts_at_a_multiple_of_2_MiB_so_that_a_device_at_its_start_is_reached_after_the_move(ulong memoryEnd,
        string expected)
    {
        MigrationHost other = new(
            "other",
            Map([E820Entry.FromBounds(0, memoryEnd, E820Type.Ram), E820Entry.FromBounds(0x1_0000_0000, 0x3_0000_0000, E820Type.Ram)]),
            [new(0, BarKind.Memory, memoryEnd + 0x1000, memoryEnd + 0x2000, false, false)]);

        PolicyComparison comparison = PolicyComparer.Compare(With(Request("seed8g", 3072), s_card) with { MigrateTo = [other] });

        MigrationResult move = Row(comparison, expected).Migrations.Single();
        Assert.IsTrue(move.Succeeded, move.Failure?.What);
    }

    [TestMethod]
    public void A_host_that_constrains_nothing_changes_nothing()
    {
        ComparisonRequest request = With(Request("seed8g", 3072), s_card);
        RealHost same = RealHost.All.Single(host => host.Name == "seed8g");

        PolicyComparison alone = PolicyComparer.Compare(request);
        PolicyComparison withItself = PolicyComparer.Compare(request with { MigrateTo = [new("twin", Map(same.MachineMap), [s_card])] });

        Assert.AreEqual(alone.Best!.Policy.Name, withItself.Best!.Policy.Name);
        foreach (ComparedPolicy row in alone.Policies.Where(row => row.Policy is not HoleAtPolicy))
            CollectionAssert.AreEqual(row.Plan.Entries.ToArray(), Row(withItself, row.Policy.Name).Plan.Entries.ToArray());
    }

    [TestMethod]
    public void For_a_PVH_guest_no_policy_applies()
    {
        ComparisonRequest request = Request("plain4g", 4096);

        PolicyComparison comparison = PolicyComparer.Compare(With(request, guest => guest with { Type = GuestType.Pvh }));

        Assert.IsNull(comparison.Best);
        Assert.Contains("not a PV guest", comparison.Why.ToString());
    }

    [TestMethod]
    public void For_an_HVM_guest_no_policy_applies_and_its_holes_are_compared_instead()
    {
        ComparisonRequest request = Request("plain4g", 2048);

        PolicyComparison comparison = PolicyComparer.Compare(With(request, guest => guest with { Type = GuestType.Hvm }));

        Assert.IsNull(comparison.Best);
        Assert.IsNotNull(comparison.Settings);
        Assert.Contains("as it is", comparison.Why.ToString());
    }

    [TestMethod]
    public void The_room_that_windows_take_is_told_for_PV_guests_and_others_and_counts_a_window_once()
    {
        Bar graphics = new(1, BarKind.Memory, 0x20_0000_0000, 0x24_0000_0000, true, true);
        ComparisonRequest request = With(Request("seed8g", 3072), s_card, s_card with { Index = 2 }, graphics,
            new(14, BarKind.BridgeWindow, 0xf000_0000, 0xf800_0000, false, false));

        foreach (GuestType type in (GuestType[])[GuestType.Pv, GuestType.Hvm])
        {
            BarRoom room = PolicyComparer.Compare(With(request, guest => guest with { Type = type })).Room!;

            Assert.AreEqual((128UL << 10, 128UL << 10), (room.LowBytes, room.LowAlignment));
            Assert.AreEqual((16UL << 30, 16UL << 30), (room.HighBytes, room.HighAlignment));
            Assert.IsNull(room.SmallestHoleForAllBytes);
            Assert.AreEqual(38, room.AddressBitsNow);
        }
    }

    [TestMethod]
    public void Without_a_device_there_is_no_room_to_tell() => Assert.IsNull(PolicyComparer.Compare(Request("seed8g", 3072)).Room);

    private static ComparedPolicy Row(PolicyComparison comparison, string name) => comparison.Policies.Single(row => row.Policy.Name == name);

    private static ComparisonRequest Request(string host, ulong memoryMiB) =>
        Request(RealHost.All.First(candidate => candidate.Name == host).MachineMap, memoryMiB);

    private static ComparisonRequest Request(ImmutableArray<E820Entry> machineMap, ulong memoryMiB) => new()
    {
        Scenario = new()
        {
            Host = Map(machineMap),
            Guest = new GuestSpec { MemoryKiB = memoryMiB << 10, MaxmemKiB = memoryMiB << 10 },
        },
    };

    private static Host Map(ImmutableArray<E820Entry> machineMap) => new()
    {
        Entries = machineMap,
        IsMachineMap = true,
    };

    private static ComparisonRequest With(ComparisonRequest request, params Bar[] bars) =>
        request with { Scenario = request.Scenario with { Bars = [.. bars] } };

    private static ComparisonRequest With(ComparisonRequest request, Func<GuestSpec, GuestSpec> change) =>
        request with { Scenario = request.Scenario with { Guest = change(request.Scenario.Guest) } };
}
