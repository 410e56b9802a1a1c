// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Planning;

/// <summary>Problems at their edges: one byte less and there is none.</summary>
[TestClass]
public sealed class PlanProblemTests
{
    private const ulong MiB = 1UL << 20;
    private static readonly Host s_host = new()
    {
        Entries = [E820Entry.FromBounds(0, 0x8000_0000, E820Type.Ram), E820Entry.FromBounds(0x1_2000_0000, 0x1_2010_0000, E820Type.Reserved)],
        IsMachineMap = true,
    };

    [TestMethod]
    [DataRow(4UL * 1024 * 1024, true)]
    [DataRow((4UL * 1024 * 1024) - 1, false)]
    public void A_gap_counts_from_4_MiB_on(ulong sizeBytes, bool counts)
    {
        ulong start = 0x1_0000_0000 - sizeBytes;
        Plan plan = Plan(s_host, Ram(0, start));

        Assert.AreEqual(counts, plan.Problems.Any(problem => problem.Code == ProblemCodes.PciGap && problem.Start == start));
    }

    [TestMethod]
    [DataRow(E820Type.Ram, ProblemCodes.GapOverHostRam, Severity.Warning)]
    [DataRow(E820Type.Unusable, ProblemCodes.GapOverHostRam, Severity.Warning)]
    [DataRow(E820Type.Reserved, ProblemCodes.PciGap, Severity.Info)]
    public void A_gap_over_memory_of_the_host_is_a_warning(E820Type hosts, string code, Severity severity)
    {
        Host host = s_host with { Entries =
            [E820Entry.FromBounds(0, 0x4000_0000, E820Type.Ram), E820Entry.FromBounds(0x5000_0000, 0x6000_0000, hosts)] };

        Problem gap = Plan(host, Ram(0, 0x4000_0000)).Problems.Single(problem => problem.Start == 0x4000_0000);

        Assert.AreEqual((code, severity), (gap.Code, gap.Severity));
    }

    [TestMethod]
    [DataRow(4, 22, GuestType.Pv, false)]
    [DataRow(4, 23, GuestType.Pv, true)]
    [DataRow(4, 23, GuestType.Pvh, true)]
    [DataRow(5, 0, GuestType.Hvm, true)]
    public void A_Xen_later_than_those_that_are_known_is_told_to_be_one(int major, int minor, GuestType type, bool isTold)
    {
        GuestSpec guest = new() { Type = type, MemoryKiB = 512 << 10, MaxmemKiB = 512 << 10 };
        Plan plan = TestPlan.Of(s_host with { Traits = new() { XenVersion = new(major, minor) } }, guest, new PunchPolicy(), []);

        Assert.AreEqual(isTold, plan.Problems.Any(problem => problem.Message.ToString()
            == $"Xen {major}.{minor} is later than those that are known: it is assumed to do what 4.22 does"));
    }

    [TestMethod]
    [DataRow("03:00.0", 64, 0xfe00_2000UL, 0xfe00_3000UL)]
    [DataRow("03:00.0", 257, 0xfe00_2000UL, 0xfe00_4000UL)]
    [DataRow("03:00.0", 2048, null, null)]
    [DataRow("04:00.0", 64, null, null)]
    public void The_pages_of_the_MSI_X_table_of_the_guests_device_are_told(string guests, int vectors, ulong? start, ulong? end)
    {
        Assert.IsTrue(PciAddress.TryParse("03:00.0", out PciAddress address));
        PciDevice device = new(address, "",
            [new(3, BarKind.Memory, 0xfe00_0000, 0xfe00_4000, true, true)]) { Msix = new MsixTable(3, 0x2000, vectors) };
        GuestSpec guest = new() { MemoryKiB = 512 << 10, MaxmemKiB = 512 << 10, Pci = [PciAssignment.Parse(guests, "test", null, out _).Value!] };

        Plan plan = TestPlan.Of(s_host with { Devices = [device] }, guest, new PunchPolicy(), []);

        Problem? told = plan.Problems.SingleOrDefault(problem => problem.Code == ProblemCodes.MsixReadOnly);
        Assert.AreEqual((start, end), (told?.Start, told?.End));
    }

    [TestMethod]
    [DataRow(16UL, true)]
    [DataRow(75UL, true)]
    [DataRow(76UL, false)]
    public void RAM_must_reach_behind_the_kernel(ulong ramMiB, bool cannotStart)
    {
        Plan plan = Plan(s_host, Ram(0, ramMiB * MiB), Ram(0x1_0000_0000, 0x1_1000_0000));

        Assert.AreEqual(cannotStart, plan.Problems.Any(problem => problem.Code == ProblemCodes.KernelNotOnRam && problem.Severity == Severity.Error));
    }

    [TestMethod]
    [DataRow(0x1_2000_0000UL, false)]
    [DataRow(0x1_2000_1000UL, true)]
    public void High_RAM_over_a_reserved_region_is_told_with_the_range_that_they_share(ulong end, bool overlaps)
    {
        Plan plan = Plan(s_host, Ram(0, 0x8000_0000), new(s_host.Entries[1], "the host's"), Ram(0x1_0000_0000, end));

        Problem? told = plan.Problems.SingleOrDefault(problem => problem.Code == ProblemCodes.HighRamOverlap);
        Assert.AreEqual(overlaps, told is not null);
        Assert.AreEqual(overlaps ? 0x1_2000_0000UL : (ulong?)null, told?.Start);
        Assert.AreEqual(overlaps ? end : (ulong?)null, told?.End);
    }

    [TestMethod]
    [DataRow(E820Type.Acpi, true)]
    [DataRow(E820Type.Nvs, true)]
    [DataRow(E820Type.Unusable, true)]
    [DataRow(E820Type.Reserved, false)]
    public void A_BAR_may_lie_in_a_reserved_region_alone(E820Type type, bool conflicts)
    {
        var layout = new Fixed([Ram(0, 0x4000_0000), new(E820Entry.FromBounds(0xf000_0000, 0xf010_0000, type), "the host's")]);

        Assert.IsTrue(Bar.ParseRange("f0080000-f0180000").TryGet(out Bar? bar, out _));

        Plan plan = TestPlan.Of(s_host, Guest, layout, [bar]);

        Assert.AreEqual(conflicts,
            plan.Problems.Any(problem => problem.Code == ProblemCodes.BarConflict && (problem.Start, problem.End) == (0xf008_0000UL, 0xf010_0000UL)));
    }

    [TestMethod]
    [DataRow(2048UL, GuestType.Pv, RamShown.All, null)]
    [DataRow(2049UL, GuestType.Pv, RamShown.All, Severity.Error)]
    [DataRow(2049UL, GuestType.Hvm, RamShown.All, Severity.Error)]
    [DataRow(2049UL, GuestType.Kvm, RamShown.All, Severity.Warning)]
    [DataRow(2049UL, GuestType.Pv, RamShown.KernelsShare, Severity.Warning)]
    [DataRow(2049UL, GuestType.Pv, RamShown.Part, null)]
    public void A_guest_larger_than_the_RAM_of_its_host_is_told_as_surely_as_the_source_shows_it(ulong memoryMiB, GuestType type, RamShown shown,
        Severity? severity)
    {
        GuestSpec guest = Guest with { MemoryKiB = memoryMiB << 10, MaxmemKiB = memoryMiB << 10, Type = type };

        Plan plan = TestPlan.Of(s_host with { RamShown = shown }, guest, new PunchPolicy(), []);

        Assert.AreEqual(severity, plan.Problems.SingleOrDefault(static problem => problem.Code == ProblemCodes.LargerThanHost)?.Severity);
    }

    [TestMethod]
    public void Of_a_guest_of_KVM_that_is_larger_than_its_host_no_Xen_is_spoken()
    {
        Plan plan = Planner.Plan(new Scenario
        {
            Host = s_host with { RamShown = RamShown.All },
            Guest = Guest with { MemoryKiB = 3UL << 20, MaxmemKiB = 3UL << 20, Type = GuestType.Kvm },
        });

        Problem told = plan.Problems.Single(static problem => problem.Code == ProblemCodes.LargerThanHost);

        Assert.DoesNotContain("Xen", told.Message + told.Remedy);
        Assert.AreEqual("give it less: the host's own system needs some, too", told.Remedy!.ToString());
    }

    [TestMethod]
    public void RAM_that_the_host_names_twice_counts_once()
    {
        Host host = s_host with { Entries = [s_host.Entries[0], s_host.Entries[0]] };
        GuestSpec guest = Guest with { MemoryKiB = 3UL << 20, MaxmemKiB = 3UL << 20 };

        Problem told = TestPlan.Of(host, guest, new PunchPolicy(), []).Problems.Single(static problem => problem.Code == ProblemCodes.LargerThanHost);

        Assert.AreEqual("3 GiB of memory are 1 GiB more than all RAM of the host (2 GiB): Xen cannot build it", told.Message);
    }

    [TestMethod]
    public void What_the_guest_may_balloon_up_to_and_a_host_without_RAM_are_no_matter()
    {
        Host bare = s_host with { Entries = [s_host.Entries[1]] };

        Assert.IsFalse(IsLarger(s_host, Guest with { MaxmemKiB = 16UL << 20 }));
        Assert.IsFalse(IsLarger(bare, Guest));
    }

    private static bool IsLarger(Host host, GuestSpec guest) =>
        TestPlan.Of(host, guest, new PunchPolicy(), []).Problems.Any(static problem => problem.Code == ProblemCodes.LargerThanHost);

    private static GuestSpec Guest => new() { MemoryKiB = 1UL << 20, MaxmemKiB = 1UL << 20, E820Host = true };

    private static Plan Plan(Host host, params PlannedEntry[] entries) => TestPlan.Of(host, Guest, new Fixed([.. entries]), []);

    private static PlannedEntry Ram(ulong start, ulong end) => new(E820Entry.FromBounds(start, end, E820Type.Ram), "the guest's");

    private sealed record Fixed(ImmutableArray<PlannedEntry> Entries) : IHolePolicy
    {
        public string Name => "fixed";

        public PolicyTraits Traits => new(PolicyNeeds.InstalledMap, 0);

        public PolicyResult Lay(PolicyInput input) => new(Entries, []);
    }
}
