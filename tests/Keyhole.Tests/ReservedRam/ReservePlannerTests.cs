// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.ReservedRam;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.ReservedRam;

[TestClass]
public sealed class ReservePlannerTests
{
    [TestMethod]
    [DataRow(0x3e000000UL, ReserveProblemCodes.StartAboveRam, "is above all RAM, which ends at 0x3dee0000")]
    [DataRow(0x20001000UL, ReserveProblemCodes.StartUnaligned, "is not a multiple of 2 MiB")]
    [DataRow(0x100000UL, ReserveProblemCodes.BelowOneMiB, "only memory below 1 MiB")]
    [DataRow(0UL, ReserveProblemCodes.BelowOneMiB, "only memory below 1 MiB")]
    public void An_impossible_start_is_one_problem_in_one_line(ulong start, string code, string words)
    {
        ReservePlan plan = ReserveHosts.Plan(ReserveHosts.Seed, start);
        Problem problem = plan.Problems.Single();

        Assert.AreEqual(code, problem.Code);
        Assert.AreEqual(Severity.Error, problem.Severity);
        Assert.Contains(words, problem.Message);
        Assert.DoesNotContain('\n', problem.Message + problem.Remedy);
        Assert.IsNull(plan.Map);
    }

    [TestMethod]
    public void A_start_below_all_RAM_keeps_nothing() =>
        Assert.AreEqual(ReserveProblemCodes.NothingKept,
            ReserveHosts.Plan(ReserveHosts.ToHost(E820Entry.FromBounds(1UL << 32, 2UL << 32, E820Type.Ram)), 1 << 21).Problems.Single().Code);

    [TestMethod]
    public void A_host_without_RAM_is_refused() =>
        Assert.AreEqual(ReserveProblemCodes.StartAboveRam,
            ReserveHosts.Plan(ReserveHosts.ToHost(E820Entry.FromBounds(0, 1 << 30, E820Type.Reserved)), 1 << 21).Problems.Single().Code);

    [TestMethod]
    public void A_kernel_that_cannot_move_and_lies_below_the_start_is_an_error()
    {
        ReservePlan plan =
            ReservePlanner.Plan(new() { Host = ReserveHosts.Seed, Start = 512 << 20, Kernel = ByteRange.FromBounds(0x1000000, 0x4430000) });
        Problem problem = plan.Problems.Single(static candidate => candidate.Severity == Severity.Error);

        Assert.AreEqual(ReserveProblemCodes.KernelOverlap, problem.Code);
        Assert.AreEqual(0x1000000UL, problem.Start);
        Assert.IsTrue(plan.Map!.Failed.Contains(ByteRange.FromBounds(0x1000000, 0x4430000)));
    }

    [TestMethod]
    public void A_kernel_at_the_start_is_no_error() =>
        Assert.IsFalse(ReservePlanner
            .Plan(new() { Host = ReserveHosts.Seed, Start = 16 << 20, Kernel = ByteRange.FromBounds(0x1000000, 0x4430000) }).HasErrors);

    [TestMethod]
    public void A_host_that_cannot_hold_its_kernel_any_more_is_an_error() =>
        Assert.AreEqual(ReserveProblemCodes.KernelDoesNotFit, Error(new() { Host = ReserveHosts.Seed, Start = 0x3a000000 })?.Code);

    [TestMethod]
    [DataRow(512UL, ReserveProblemCodes.GuestTooLarge)]
    [DataRow(511UL, null)]
    public void A_guest_larger_than_what_is_kept_is_an_error(ulong memoryMiB, string? code) =>
        Assert.AreEqual(code, Error(new() { Host = ReserveHosts.Seed, Start = 512 << 20, GuestBytes = memoryMiB << 20 })?.Code);

    [TestMethod]
    public void Below_an_address_no_more_is_kept_than_the_guest_needs()
    {
        ReservePlan plan = ReservePlanner.Plan(new() { Host = ReserveHosts.Seed, Start = 512 << 20, LowestStart = true, GuestBytes = 100 << 20 });

        Assert.AreEqual(102UL << 20, plan.Start);
        Assert.AreEqual(100UL << 20, plan.Today!.Guest.MemoryBytes);
        Assert.IsFalse(plan.HasErrors);
    }

    /// <summary>4 GiB is what a device of 32 bits reaches, whether or not the host has so much.</summary>
    [TestMethod]
    [DataRow(4UL << 30)]
    [DataRow(0x3dee_0000UL)]
    [DataRow(0xffff_ffffUL)]
    public void The_address_that_the_device_reaches_may_lie_above_all_RAM_and_be_unaligned(ulong limit)
    {
        ReservePlan plan = ReservePlanner.Plan(new() { Host = ReserveHosts.Seed, Start = limit, LowestStart = true, GuestBytes = 100 << 20 });

        Assert.AreEqual(102UL << 20, plan.Start);
        Assert.IsFalse(plan.HasErrors);
    }

    [TestMethod]
    public void A_guest_that_takes_all_RAM_is_too_large_wherever_the_device_reaches()
    {
        ReservePlan plan = ReservePlanner.Plan(new() { Host = ReserveHosts.Seed, Start = 4UL << 30, LowestStart = true, GuestBytes = 2UL << 30 });

        Assert.Contains(problem => problem is { Severity: Severity.Error, Code: ReserveProblemCodes.GuestTooLarge }, plan.Problems);
    }

    [TestMethod]
    public void Where_reservations_take_all_that_lies_below_the_start_nothing_is_kept() => Assert.AreEqual(
        ReserveProblemCodes.NothingKept,
        Error(new() { Host = ReserveHosts.Seed, Start = 512 << 20, Reserved = [new(ByteRange.FromBounds(0, 512 << 20), "test")] })?.Code);

    [TestMethod]
    public void By_how_much_a_guest_is_too_large_is_told() => Assert.Contains(
        "400 KiB too little",
        Error(new() { Host = ReserveHosts.Seed, Start = 512 << 20, GuestBytes = 512 << 20 })!.Message);

    [TestMethod]
    public void Below_an_address_without_a_size_everything_is_kept() =>
        Assert.AreEqual(512UL << 20, ReservePlanner.Plan(new() { Host = ReserveHosts.Seed, Start = 512 << 20, LowestStart = true }).Start);

    [TestMethod]
    [DataRow(256UL, 512UL, null)]
    [DataRow(420UL, 512UL, "Error")]
    public void Whether_a_crash_kernel_still_fits_is_told(ulong crashMiB, ulong startMiB, string? severity)
    {
        ReservePlan plan = ReservePlanner.Plan(new() { Host = ReserveHosts.Seed, Start = startMiB << 20, CrashKernelBytes = crashMiB << 20 });

        Assert.AreEqual(severity,
            plan.Problems.SingleOrDefault(static problem => problem.Code == ReserveProblemCodes.CrashKernelDoesNotFit)?.Severity.ToString());
    }

    [TestMethod]
    [DataRow(768UL, Severity.Info)]
    [DataRow(770UL, Severity.Warning)]
    public void A_crash_kernel_above_4_GiB_wants_256_MiB_below(ulong startMiB, Severity severity)
    {
        Host host = ReserveHosts.Seed with { Entries =
            [E820Entry.FromBounds(0, 1 << 30, E820Type.Ram), E820Entry.FromBounds(0x1_0000_0000, 0x2_0000_0000, E820Type.Ram)] };

        ReservePlan plan = ReservePlanner.Plan(new() { Host = host, Start = startMiB << 20, CrashKernelBytes = 600 << 20 });

        Assert.AreEqual(severity, plan.Problems.Single(static problem => problem.Code == ReserveProblemCodes.CrashKernelDoesNotFit).Severity);
    }

    [TestMethod]
    public void A_host_that_keeps_nothing_below_4_GiB_is_warned_of_bounce_buffers_and_its_crash_kernel()
    {
        ReservePlan plan = ReservePlanner.Plan(new() { Host = KernelRecord.Load("start-4g").Firmware, Start = 0x108000000,
            CrashKernelBytes = 256 << 20 });

        Assert.AreEqual(Severity.Warning, plan.Problems.Single(static problem => problem.Code == ReserveProblemCodes.LowMemoryGone).Severity);
        Assert.AreEqual(Severity.Warning, plan.Problems.Single(static problem => problem.Code == ReserveProblemCodes.CrashKernelDoesNotFit).Severity);
        Assert.IsFalse(plan.HasErrors);
    }

    [TestMethod]
    public void The_price_is_said_always_and_an_IOMMU_where_there_is_one()
    {
        Host host = ReserveHosts.Seed with { Traits = new() { Iommus = [0xfed90000] } };
        string[] codes = [.. ReserveHosts.Plan(host, 512 << 20).Problems.Select(static problem => problem.Code)];

        Assert.Contains(ReserveProblemCodes.IommuPresent, codes);
        Assert.Contains(ReserveProblemCodes.DeviceReachesAll, codes);
        Assert.DoesNotContain(ReserveProblemCodes.IommuPresent,
            ReserveHosts.Plan(ReserveHosts.Seed, 512 << 20).Problems.Select(static problem => problem.Code));
    }

    [TestMethod]
    [DataRow("DMAR: Host address width 39", true)]
    [DataRow("AMD-Vi: AMD IOMMU disabled", true)]
    [DataRow("AMD-Vi: Found IOMMU cap 0x40", false)]
    [DataRow("pci 0000:00:01.0: Adding to iommu group 0", false)]
    [DataRow("DMAR: Intel(R) Virtualization Technology for Directed I/O", false)]
    public void What_Linux_says_of_its_IOMMU_tells_that_there_is_one(string line, bool isPriceSaid)
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText($"""
            Linux version 6.1.0
            BIOS-provided physical RAM map:
            BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable
            BIOS-e820: [mem 0x0000000000100000-0x00000000bfffffff] usable
            BIOS-e820: [mem 0x0000000100000000-0x000000043fffffff] usable
            {line}

            """)).Host;

        string[] codes = [.. ReserveHosts.Plan(host, 512 << 20).Problems.Select(static problem => problem.Code)];

        Assert.Contains(ReserveProblemCodes.IommuPresent, codes);
        Assert.AreEqual(isPriceSaid, codes.Contains(ReserveProblemCodes.DeviceReachesAll));
    }

    [TestMethod]
    public void Large_pages_are_counted_where_they_lie_whole_in_a_slot()
    {
        GuestRam guest = ReserveHosts.Plan(KernelRecord.Load("start-4g").Firmware, 0x108000000).Today!.Guest;

        Assert.AreEqual(new HugePages(1, 511 + 511 + 64, "default_hugepagesz=1G hugepagesz=1G hugepages=4"), HugePages.In(guest));
    }

    private static Problem? Error(ReserveRequest request) =>
        ReservePlanner.Plan(request).Problems.SingleOrDefault(static problem => problem.Severity == Severity.Error);
}
