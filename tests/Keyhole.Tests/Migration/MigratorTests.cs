// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Hosts;
using Keyhole.Migration;
using Keyhole.Pci;
using Keyhole.Platforms.XenPv;
using Keyhole.Platforms;
using Keyhole.Logs;
using Keyhole.PvGuest;
using System.Collections.Immutable;
using Keyhole.Guests;
using Keyhole.Tests.Platforms.XenPv;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Migration;

/// <summary>Two hosts as the seed has them: one whose hole starts at 3.9 GB, one at 1.2 GB.</summary>
[TestClass]
public sealed class MigratorTests
{
    private const ulong GiB = 1UL << 30;

    private static readonly MigrationHost s_high = Host("high", 0xf000_0000, Window(0xfe00_0000, 0xfe02_0000));
    private static readonly MigrationHost s_low = Host("low", 0x4cc0_0000, Window(0x5000_0000, 0x5010_0000), Window(0xfe00_0000, 0xfe00_1000));

    private static readonly KernelRelease[] s_kernels = [Kernels.Linux33, Kernels.Linux34, Kernels.Linux61];

    private static IEnumerable<object[]> Names => Policies.All.Select(policy => new object[] { policy.Name });

    [TestMethod]
    public void A_hole_low_enough_for_both_lets_the_guest_go_there_and_back()
    {
        MigrationRequest there = Request(new HoleAtPolicy(0x4000_0000));

        foreach (MigrationRequest request in (MigrationRequest[])[there, From(there, s_low) with { To = s_high }])
        {
            MigrationResult result = Migrator.Run(request);

            Assert.IsTrue(result.Succeeded, result.Failure?.What);
            Assert.AreEqual("boot plug unplug save restore resume replug", string.Join(' ', result.Steps.Select(step => step.Name)));
            Assert.AreEqual(3 * GiB >> 12, result.MovedPages);
            Assert.IsEmpty(result.Findings);
        }
    }

    [TestMethod]
    public void Holes_are_invalid_on_the_way_and_identity_before_and_after()
    {
        MigrationResult result = Migrator.Run(Request(new HoleAtPolicy(0x4000_0000)));

        Assert.IsNotEmpty(Step(result, "plug").DeviceRuns);
        foreach (string name in (string[])["unplug", "save", "restore", "resume"])
            Assert.IsEmpty(Step(result, name).DeviceRuns, name);
        P2mRun[] after = [.. Step(result, "replug").DeviceRuns];
        Assert.IsTrue(after.All(run => run.Kind == P2mKind.Identity));
        Assert.AreEqual(0x101UL, after.Aggregate(0UL, (sum, run) => sum + run.Range.Count));
        Assert.AreEqual(0x5_0000UL, after[0].Range.Start.Value);
    }

    [TestMethod]
    public void A_guest_that_started_where_the_hole_is_high_meets_its_RAM_where_the_hole_is_low()
    {
        MigrationResult result = Migrator.Run(Request(new PunchPolicy()));

        Assert.AreEqual("replug", result.Failure!.Name);
        Assert.Contains("conflicts with ram memory", result.Failure.What);
        Assert.Contains("address conflict with System RAM", result.Failure.What);
    }

    [TestMethod]
    public void Consulting_the_other_sides_map_puts_holes_over_pages_in_use()
    {
        MigrationResult result = Migrator.Run(Request(new PunchPolicy()) with { Resume = ResumeMode.ConsultsMap });

        Assert.AreEqual("resume", result.Failure!.Name);
        Assert.Contains("pages of the guest are in use", result.Failure.What);
    }

    [TestMethod]
    public void Consulting_the_map_of_a_host_whose_hole_is_higher_promises_RAM_without_pages_behind_it()
    {
        MigrationRequest back = From(Request(new PunchPolicy(), 5 * GiB), s_low) with { To = s_high };

        MigrationResult result = Migrator.Run(back with { Resume = ResumeMode.ConsultsMap });

        Assert.AreEqual("resume", result.Failure!.Name);
        Assert.Contains("promises RAM at", result.Failure.What);
    }

    [TestMethod]
    public void Consulting_does_no_harm_where_the_toolstack_gives_the_same_map_on_both_sides()
    {
        MigrationResult result = Migrator.Run(Request(new HoleAtPolicy(0x4000_0000)) with { Resume = ResumeMode.ConsultsMap });

        Assert.IsTrue(result.Succeeded, result.Failure?.What);
    }

    [TestMethod]
    public void A_device_that_stays_plugged_in_keeps_the_guest_from_being_saved()
    {
        MigrationResult result = Migrator.Run(Request(new HoleAtPolicy(0x4000_0000)) with { Unplugs = false });

        Assert.AreEqual("save", result.Failure!.Name);
    }

    [TestMethod]
    public void A_ballooned_guest_takes_along_what_it_has_left()
    {
        MigrationRequest request = Request(new HoleAtPolicy(0x4000_0000)) with { BalloonedPages = 100_000 };

        MigrationResult result = Migrator.Run(request);
        MigrationResult consulting = Migrator.Run(request with { Resume = ResumeMode.ConsultsMap });

        Assert.IsTrue(result.Succeeded, result.Failure?.What);
        Assert.AreEqual((3 * GiB >> 12) - 100_000, result.MovedPages);
        Assert.AreEqual(result.MovedPages, result.P2m.Where(run => run.Kind == P2mKind.Ram).Aggregate(0UL, (sum, run) => sum + run.Range.Count));
        Assert.IsTrue(consulting.Succeeded, consulting.Failure?.What);
        Assert.Contains("100000 pages that were ballooned away", Step(consulting, "resume").What);
    }

    [TestMethod]
    public void The_other_host_must_have_room()
    {
        MigrationHost small = new("small", Map([E820Entry.FromBounds(0x10_0000, GiB, E820Type.Ram)]), []);

        MigrationResult result = Migrator.Run(Request(new HoleAtPolicy(0x4000_0000)) with { To = small });

        Assert.AreEqual("restore", result.Failure!.Name);
        Assert.Contains("small has", result.Failure.What);
    }

    [TestMethod]
    public void With_holes_filled_at_boot_only_a_window_that_shares_its_page_of_the_list_with_RAM_is_lost_on_the_way()
    {
        // RAM ends amid 512 frames: the entries behind it share a page of the P2M.
        MigrationHost to = s_high with { Bars = [Window(0x4000_2000, 0x4000_3000)] };
        MigrationRequest request = Request(new HoleAtPolicy(0x4000_1000)) with { Fill = HoleFill.AtBoot };

        MigrationResult lost = Migrator.Run(request with { To = to });
        MigrationResult kept = Migrator.Run(request);
        MigrationResult onDemand = Migrator.Run(request with { To = to, Fill = HoleFill.OnDemand });

        Assert.AreEqual("replug", lost.Failure!.Name);
        Assert.Contains("INVALID", lost.Failure.What);
        Assert.IsTrue(kept.Succeeded, kept.Failure?.What);
        Assert.IsTrue(onDemand.Succeeded, onDemand.Failure?.What);
    }

    [TestMethod]
    public void Where_the_other_sides_device_lies_is_not_known_its_whole_hole_must_be_free()
    {
        MigrationResult fits = Migrator.Run(Request(new HoleAtPolicy(0x4000_0000)) with { To = s_low with { Bars = [] } });
        MigrationResult meets = Migrator.Run(Request(new HoleAtPolicy(0x8000_0000)) with { To = s_low with { Bars = [] } });

        Assert.IsTrue(fits.Succeeded, fits.Failure?.What);
        Assert.AreEqual("replug", meets.Failure!.Name);
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Between_real_hosts_the_books_are_right_whatever_happens(string name)
    {
        RealHost[] hosts = [.. RealHost.All.Where((_, index) => index % 9 == 0)];
        SortedDictionary<KernelRelease, int> moves = [];
        SortedDictionary<KernelRelease, int> arrivals = [];
        foreach (RealHost from in hosts)
        {
            foreach (RealHost to in hosts)
            {
                foreach (KernelRelease kernel in s_kernels)
                {
                    MigrationResult result = Migrator.Run(new()
                    {
                        Scenario = new()
                        {
                            Host = Map(from.MachineMap),
                            Bars = from.Bars(),
                            Guest = new GuestSpec { MemoryKiB = 700 << 10, MaxmemKiB = 800 << 10, E820Host = true },
                            Policy = Policies.Find(name)!,
                            Kernel = kernel,
                        },
                        FromName = from.Name,
                        To = new(to.Name, Map(to.MachineMap), to.Bars()),
                        BalloonedPages = 1000,
                    });

                    Assert.IsEmpty(result.Findings, $"{from.Name} {to.Name} {KernelReleases.NameOf(kernel)}: {string.Join('\n', result.Findings)}");
                    Assert.IsNotEmpty(result.Steps);
                    moves[kernel] = moves.GetValueOrDefault(kernel) + (result.MovedPages > 0 ? 1 : 0);
                    arrivals[kernel] = arrivals.GetValueOrDefault(kernel) + (result.Succeeded ? 1 : 0);
                }
            }
        }

        // Of 16 pairs for each kernel: on libxl's map one of the hosts has no guest that lives. Journeys on which nothing moves would prove nothing.
        foreach (KernelRelease kernel in s_kernels)
        {
            Assert.IsGreaterThanOrEqualTo(12, moves[kernel], $"{KernelReleases.NameOf(kernel)} moves");
            Assert.IsGreaterThanOrEqualTo(9, arrivals[kernel], $"{KernelReleases.NameOf(kernel)} arrives");
        }
    }

    private static MigrationStep Step(MigrationResult result, string name) => result.Steps.Single(step => step.Name == name);

    /// <summary>What is counted is work, not time: pieces of the P2M, and what is allocated on the way.</summary>
    [TestMethod]
    public void A_move_costs_what_its_pieces_of_1_GiB_cost_not_what_its_pages_do()
    {
        var big = new MigrationHost("big",
            Map([E820Entry.FromBounds(0x10_0000, 0x8000_0000, E820Type.Ram), E820Entry.FromBounds(4 * GiB, 2048 * GiB, E820Type.Ram)]),
            [Window(0x9000_0000, 0x9010_0000)]);
        MigrationRequest usual = Request(new HoleAtPolicy(0x8000_0000));
        long Allocated(ulong memory)
        {
            MigrationRequest request = usual with { To = big, FromName = big.Name,
                Scenario = big.On(usual.Scenario with { Host = big.Host,
                    Guest = usual.Scenario.Guest with { MemoryKiB = memory >> 10, MaxmemKiB = memory >> 10 } }) };
            long before = GC.GetAllocatedBytesForCurrentThread();
            MigrationResult result = Migrator.Run(request);
            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.IsTrue(result.Succeeded, result.Failure?.What);
            Assert.IsEmpty(result.Findings);
            Assert.IsLessThan((int)(memory / GiB) + 64, result.P2m.Length);
            return allocated;
        }

        Allocated(4 * GiB);
        long small = Allocated(64 * GiB);
        long large = Allocated(1024 * GiB);

        Assert.IsLessThan(16 * small, large, "sixteen times the memory");
        Assert.IsLessThan(16L << 20, large);
    }

    private static MigrationRequest Request(IHolePolicy policy, ulong memoryBytes = 3 * GiB) => new()
    {
        Scenario = s_high.On(new()
        {
            Host = s_high.Host,
            Guest = new GuestSpec { MemoryKiB = memoryBytes >> 10, MaxmemKiB = memoryBytes >> 10, E820Host = true },
            Policy = policy,
        }),
        FromName = s_high.Name,
        To = s_low,
    };

    private static MigrationRequest From(MigrationRequest request, MigrationHost host) =>
        request with { Scenario = host.On(request.Scenario), FromName = host.Name };

    private static MigrationHost Host(string name, ulong holeStart, params Bar[] bars) => new(
        name,
        Map([E820Entry.FromBounds(0, 0x9_f000, E820Type.Ram), E820Entry.FromBounds(0x10_0000, holeStart, E820Type.Ram),
            E820Entry.FromBounds(4 * GiB, 12 * GiB, E820Type.Ram)]),
        [.. bars]);

    private static Host Map(ImmutableArray<E820Entry> machineMap) => new()
    {
        Entries = machineMap,
        IsMachineMap = true,
    };

    private static Bar Window(ulong start, ulong end) => new(0, BarKind.Memory, start, end, false, false);
}
