// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Comparison;
using Keyhole.Devices;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.HolePolicies;
using Keyhole.Hosts;
using Keyhole.Migration;
using Keyhole.Pci;
using Keyhole.Tests.HolePolicies;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Comparison;

[TestClass]
public sealed class PolicyComparerTests
{
    private static readonly Bar s_card = new(0, BarKind.Memory, 0xfebc_0000, 0xfebe_0000, false, false);

    [TestMethod]
    public void On_the_seeds_machine_libxl_costs_low_memory_and_punch_is_recommended()
    {
        PolicyComparison comparison = PolicyComparer.Compare(Request("seed8g", 3072) with { Bars = [s_card] });

        Assert.AreEqual("punch", comparison.Best!.Policy.Name);
        Assert.Contains("libxl keeps only 512 MiB", comparison.Why);
        Assert.AreEqual(512UL << 10, Row(comparison, "libxl").Plan.RamBelow4GiBKiB);
        Assert.IsTrue(comparison.Policies.All(row => row.ClaimedBars == 1));
    }

    [TestMethod]
    public void Where_libxl_does_as_well_as_any_nothing_else_is_recommended()
    {
        PolicyComparison comparison = PolicyComparer.Compare(Request("plain4g", 512));

        Assert.AreEqual("libxl", comparison.Best!.Policy.Name);
        Assert.Contains("nothing but xl itself", comparison.Why);
    }

    [TestMethod]
    public void On_a_host_with_NVS_where_the_kernel_lies_libxl_boots_no_kernel_and_what_needs_another_Xen_or_a_filter_is_not_recommended()
    {
        PolicyComparison comparison = PolicyComparer.Compare(Request("amd_epyc_64g_marek_2024", 4096));

        Assert.IsTrue(Row(comparison, "libxl").Kernels.All(kernel => !kernel.Boots));
        Assert.AreEqual(PolicyNeeds.InstalledMap, comparison.Best!.Policy.Needs);
        Assert.IsTrue(comparison.Best.Kernels.All(kernel => kernel.Boots));
        Assert.IsNotNull(Row(comparison, "guest-merge").Against);
        Assert.IsNotNull(Row(comparison, "hole-3g").Against);
    }

    [TestMethod]
    public void Where_the_guest_is_to_move_the_hole_that_suits_all_hosts_is_recommended()
    {
        RealHost other = RealHost.All.Single(host => host.Name == "hole1g");

        PolicyComparison comparison = PolicyComparer.Compare(Request("seed8g", 3072) with { Bars = [s_card], MigrateTo = [new("other", other.MachineMap, [])] });

        Assert.AreEqual("hole-at:0x40000000", comparison.Best!.Policy.Name);
        Assert.Contains("can move to other", comparison.Why);
        Assert.IsFalse(Row(comparison, "punch").Migrations.Single().Succeeded);
    }

    /// <summary>The other host's device lies right behind its memory: from a start amid 2 MiB its entries of the P2M would share a page with RAM.</summary>
    [TestMethod]
    [DataRow(0x4000_0000UL, "hole-at:0x40000000")]
    [DataRow(0x4000_1000UL, "hole-at:0x40000000")]
    [DataRow(0x401f_f000UL, "hole-at:0x40000000")]
    [DataRow(0x4020_0000UL, "hole-at:0x40200000")]
    public void A_hole_for_all_hosts_starts_at_a_multiple_of_2_MiB_so_that_a_device_at_its_start_is_reached_after_the_move(ulong memoryEnd, string expected)
    {
        MigrationHost other = new(
            "other",
            [E820Entry.FromBounds(0, memoryEnd, E820Type.Ram), E820Entry.FromBounds(0x1_0000_0000, 0x3_0000_0000, E820Type.Ram)],
            [new(0, BarKind.Memory, memoryEnd + 0x1000, memoryEnd + 0x2000, false, false)]);

        PolicyComparison comparison = PolicyComparer.Compare(Request("seed8g", 3072) with { Bars = [s_card], MigrateTo = [other] });

        MigrationResult move = Row(comparison, expected).Migrations.Single();
        Assert.IsTrue(move.Succeeded, move.Failure?.What);
    }

    [TestMethod]
    public void A_host_that_constrains_nothing_changes_nothing()
    {
        ComparisonRequest request = Request("seed8g", 3072) with { Bars = [s_card] };
        RealHost same = RealHost.All.Single(host => host.Name == "seed8g");

        PolicyComparison alone = PolicyComparer.Compare(request);
        PolicyComparison withItself = PolicyComparer.Compare(request with { MigrateTo = [new("twin", same.MachineMap, [s_card])] });

        Assert.AreEqual(alone.Best!.Policy.Name, withItself.Best!.Policy.Name);
        foreach (ComparedPolicy row in alone.Policies.Where(row => row.Policy is not HoleAtPolicy))
            CollectionAssert.AreEqual(row.Plan.Entries.ToArray(), Row(withItself, row.Policy.Name).Plan.Entries.ToArray());
    }

    [TestMethod]
    public void For_an_HVM_guest_no_policy_applies()
    {
        ComparisonRequest request = Request("plain4g", 4096);

        PolicyComparison comparison = PolicyComparer.Compare(request with { Guest = request.Guest with { Type = GuestType.Hvm } });

        Assert.IsNull(comparison.Best);
        Assert.Contains("no PV guest", comparison.Why);
    }

    [TestMethod]
    public void The_room_that_windows_take_is_told_for_PV_guests_and_others_and_counts_a_window_once()
    {
        Bar graphics = new(1, BarKind.Memory, 0x20_0000_0000, 0x24_0000_0000, true, true);
        ComparisonRequest request = Request("seed8g", 3072) with { Bars = [s_card, s_card with { Index = 2 }, graphics, new(14, BarKind.BridgeWindow, 0xf000_0000, 0xf800_0000, false, false)] };

        foreach (GuestType type in (GuestType[])[GuestType.Pv, GuestType.Hvm])
        {
            BarRoom room = PolicyComparer.Compare(request with { Guest = request.Guest with { Type = type } }).Room!;

            Assert.AreEqual((128UL << 10, 128UL << 10), (room.LowBytes, room.LowAlignment));
            Assert.AreEqual((16UL << 30, 16UL << 30), (room.HighBytes, room.HighAlignment));
            Assert.IsNull(room.SmallestHoleForAllBytes);
            Assert.AreEqual(38, room.AddressBitsNow);
        }
    }

    [TestMethod]
    public void Without_a_device_there_is_no_room_to_tell() => Assert.IsNull(PolicyComparer.Compare(Request("seed8g", 3072)).Room);

    private static ComparedPolicy Row(PolicyComparison comparison, string name) => comparison.Policies.Single(row => row.Policy.Name == name);

    private static ComparisonRequest Request(string host, ulong memoryMiB) => new()
    {
        Host = new HostMemoryMap
        {
            Entries = RealHost.All.First(candidate => candidate.Name == host).MachineMap,
            IsMachineMap = true,
            Dialect = HostMapDialect.Lines,
            Description = host,
        },
        Guest = new GuestSpec { MemoryKiB = memoryMiB << 10, MaxmemKiB = memoryMiB << 10 },
    };
}
