// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Pci;
using Keyhole.Tests.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;
using Keyhole.PvGuest;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.XenPv;

/// <summary>What holds for every map that a policy of ours makes: on every real host, with every size, and on random ones.</summary>
[TestClass]
public sealed class PolicyInvariantTests
{
    private static IEnumerable<object[]> Names =>
        Policies.All.Where(policy => policy is not LibxlPolicy).Select(policy => new object[] { policy.Name });

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void On_every_real_host_RAM_is_exactly_the_guests_and_nothing_overlaps(string name)
    {
        ForEach(name, (input, result, where) =>
        {
            Assert.AreEqual(input.Guest.MaxmemKiB << 10, RamOf(result), where);
            AssertSortedAndApart(result, where);
        });
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void On_every_real_host_every_window_lies_in_a_gap_or_a_reserved_region(string name)
    {
        ForEach(name, (input, result, where) =>
        {
            foreach ((Bar bar, ulong start) in Places(name, input))
                AssertIsFree(result, start, start + bar.SizeBytes, where);
        });
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void On_every_real_host_the_windows_are_identity_and_can_be_claimed_by_every_kernel_that_boots(string name)
    {
        int booted = 0;
        foreach (RealHost host in RealHost.All)
        {
            foreach (ulong memoryMiB in (ulong[])[256, 3500, 16384])
            {
                PolicyInput input = host.Input(memoryMiB);
                PolicyResult result = Policies.Find(name)!.Lay(input);
                foreach (KernelRelease version in KernelReleases.Named)
                {
                    BootForecast forecast = Forecast(input, result, version);
                    if (!forecast.Boots)
                        continue;
                    booted++;
                    // Up to 3.13 a hole that reaches 512 GiB (AMD's HyperTransport lies above it) is no identity at all: told, not mended.
                    if (!KernelProfile.Of(version).Has(KernelBehaviour.IdentityReaches512GiB)
                        && result.Entries.Any(static planned => planned.Entry.End >= 1UL << 39))
                        continue;
                    string where = $"{host.Name} {memoryMiB} MiB {KernelReleases.NameOf(version)}";
                    HashSet<Bar> places = [.. Places(name, input).Where(place => place.Start == place.Bar.Start).Select(place => place.Bar)];
                    foreach (BarVerdict verdict in forecast.Bars.Where(verdict => places.Contains(verdict.Bar)))
                        Assert.IsTrue(verdict.CanBeClaimed,
                            $"{where} 0x{verdict.Bar.Start:x} meets {verdict.Conflict?.Type}, identity {verdict.IsIdentity}");
                }
            }
        }

        Assert.IsGreaterThan(200, booted);
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void On_every_real_host_every_byte_below_the_end_has_a_reason(string name)
    {
        foreach (RealHost host in RealHost.All)
        {
            foreach (ulong memoryMiB in RealHost.SizesMiB)
                AssertExplained(host, memoryMiB, Policies.Find(name)!);
        }
    }

    [TestMethod]
    public void What_libxl_makes_is_explained_to_the_last_byte_too()
    {
        foreach (RealHost host in RealHost.All)
            AssertExplained(host, 3072, new LibxlPolicy());
    }

    [TestMethod]
    public void Of_libxls_map_it_holds_that_RAM_totals_the_guests_memory_before_overlaps_are_sorted_out()
    {
        foreach (RealHost host in RealHost.All)
        {
            foreach (ulong memoryMiB in RealHost.SizesMiB)
            {
                PolicyInput input = host.Input(memoryMiB);
                PolicyResult result = new LibxlPolicy().Lay(input);
                ulong ram = result.Entries.Where(planned => planned.Entry.IsRam).Aggregate(0UL, (sum, planned) => sum + planned.Entry.Size);
                // libxl reckons in KiB and cuts what lies below.
                Assert.IsLessThan(1024UL, (memoryMiB << 20) - ram, $"{host.Name} {memoryMiB}");
            }
        }
    }

    [TestMethod]
    public void Of_libxls_map_it_does_not_hold_that_nothing_overlaps_a_host_with_a_region_above_4_GiB_shows_it()
    {
        RealHost host = RealHost.All.First(candidate => candidate.Name.StartsWith("amd_epyc", StringComparison.Ordinal));

        PolicyResult libxl = new LibxlPolicy().Lay(host.Input(65536 + 4096));
        PolicyResult mended = new LibxlFixedPolicy().Lay(host.Input(65536 + 4096));

        Assert.IsTrue(libxl.Entries.Any(ram => ram.Entry.IsRam && libxl.Entries.Any(other => !other.Entry.IsRam && Overlap(ram.Entry, other.Entry))));
        Assert.IsFalse(mended.Entries.Any(ram => ram.Entry.IsRam
            && mended.Entries.Any(other => !other.Entry.IsRam && Overlap(ram.Entry, other.Entry))));
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void A_32_bit_guest_has_its_RAM_below_64_GiB_or_is_refused_in_one_line(string name)
    {
        int refused = 0;
        foreach (RealHost host in RealHost.All)
        {
            foreach (ulong memoryMiB in RealHost.SizesMiB)
            {
                PolicyResult result = Policies.Find(name)!.Lay(host.Input(memoryMiB, is32Bit: true));
                if (result.Entries.IsEmpty)
                {
                    Assert.IsTrue(result.Problems.Any(problem => problem is { Code: ProblemCodes.DoesNotFit, Severity: Severity.Error }),
                        $"{host.Name} {memoryMiB}");
                    refused++;
                    continue;
                }

                Assert.IsTrue(result.Entries.All(planned => !planned.Entry.IsRam || planned.Entry.End <= X86Layout.PaeLimit),
                    $"{host.Name} {memoryMiB}");
            }
        }

        Assert.IsGreaterThan(0, refused, "64 GiB with holes cannot fit");
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void On_random_hosts_the_same_holds(string name) => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(300).WithQuietOnSuccess(true),
        Prop.ForAll(RandomInputs(name).ToArbitrary(), input =>
        {
            PolicyResult result = Policies.Find(name)!.Lay(input);
            if (result.Entries.IsEmpty)
            {
                Assert.IsTrue(result.Problems.Any(problem => problem.Severity == Severity.Error));
                return;
            }

            Assert.AreEqual(input.Guest.MaxmemKiB << 10, RamOf(result));
            AssertSortedAndApart(result, name);
            foreach ((Bar bar, ulong start) in Places(name, input))
                AssertIsFree(result, start, start + bar.SizeBytes, name);
        }));

    [TestMethod]
    public void Hole_at_gives_the_same_map_on_every_host_that_has_no_memory_for_it_to_mark()
    {
        var policy = new HoleAtPolicy(0x4000_0000);
        string[] maps = [.. RealHost.All.Select(host => policy.Lay(host.Input(4096) with { Bars = [] }))
            .Select(result => string.Join(' ',
                result.Entries.Select(planned => $"{planned.Entry.Address:x}-{planned.Entry.End:x} {planned.Entry.Type}"))).Distinct()];

        Assert.HasCount(1, maps);
        Assert.AreEqual("0-40000000 Ram fec00000-fec01000 Reserved fee00000-fef00000 Reserved 100000000-1c0000000 Ram", maps[0]);
    }

    [TestMethod]
    public void Where_128_entries_do_not_suffice_neighbouring_regions_of_the_hosts_become_one()
    {
        ImmutableArray<E820Entry> host =
        [
            E820Entry.FromBounds(0, 0x8000_0000, E820Type.Ram),
            .. Enumerable.Range(0, 150)
                .Select(i => E820Entry.FromSize(0x8000_0000 + ((ulong)i << 20), 1 << 20, i % 2 == 0 ? E820Type.Acpi : E820Type.Nvs)),
        ];

        PolicyResult result = new PunchPolicy().Lay(RealHost.All[0].Input(4096) with { MachineMap = host, Bars = [] });

        Assert.AreEqual(4UL << 30, RamOf(result));
        Assert.AreEqual(E820Entry.FromBounds(0x8000_0000, 0x8000_0000 + (150UL << 20), E820Type.Reserved),
            result.Entries.Single(planned => !planned.Entry.IsRam).Entry);
    }

    [TestMethod]
    public void A_device_of_which_nothing_is_known_may_be_in_gaps_of_4_MiB_amid_memory_and_in_gaps_and_reserved_regions_behind_it()
    {
        ImmutableArray<ByteRange> places = HostHoles.DevicePlaces(
        [
            E820Entry.FromBounds(0, 0x1000_0000, E820Type.Ram),
            E820Entry.FromBounds(0x103f_f000, 0x2000_0000, E820Type.Ram),
            E820Entry.FromBounds(0x2040_0000, 0x4000_0000, E820Type.Ram),
            E820Entry.FromBounds(0x4000_0000, 0x4001_0000, E820Type.Acpi),
            E820Entry.FromBounds(0x4002_0000, 0x4800_0000, E820Type.Reserved),
            E820Entry.FromBounds(0x1_0000_0000, 0x2_0000_0000, E820Type.Ram),
        ]);

        CollectionAssert.AreEqual((ByteRange[])[ByteRange.FromBounds(0x2000_0000, 0x2040_0000), ByteRange.FromBounds(0x4001_0000, 0x1_0000_0000)],
            places.ToArray());
    }

    [TestMethod]
    public void A_window_below_the_hole_is_a_problem_with_the_start_that_would_do()
    {
        RealHost host = RealHost.All.Single(candidate => candidate.Name == "plain4g");
        Bar low = new(0, BarKind.Memory, 0x7000_0000, 0x7000_1000, false, false);

        PolicyResult result = new HoleAtPolicy(0x8000_0000).Lay(host.Input(4096) with { Bars = [low] });

        Problem problem = result.Problems.Single();
        Assert.AreEqual(ProblemCodes.BarOutsideHole, problem.Code);
        Assert.Contains("0x70000000 or lower", problem.Remedy!.ToString());
    }

    [TestMethod]
    public void Minimal_takes_no_more_from_low_memory_than_windows_and_APICs()
    {
        RealHost host = RealHost.All.Single(candidate => candidate.Name == "seed8g");
        PolicyInput input = host.Input(4096);

        PolicyResult result = new MinimalPolicy().Lay(input);

        ulong low = result.Entries.Where(planned => planned.Entry.IsRam).Aggregate(0UL, (sum, planned) => sum + Below4GiB(planned.Entry));
        ulong windows = input.Bars.Where(bar => bar.End <= Frames.FourGiB).Aggregate(0UL, (sum, bar) => sum + ((bar.SizeBytes + 4095) & ~4095UL));
        ulong apics = result.Entries.Where(planned => !planned.Entry.IsRam).Aggregate(0UL, (sum, planned) => sum + planned.Entry.Size);
        Assert.AreEqual(4UL << 30, low + windows + apics);
    }

    [TestMethod]
    public void Memory_that_devices_use_by_themselves_is_kept_by_minimal()
    {
        PolicyInput input = RealHost.All[0].Input(4096) with { DeviceMemory = [ByteRange.FromBounds(0x7b80_0000, 0x7f80_0000)] };

        PolicyResult result = new MinimalPolicy().Lay(input);

        Assert.IsTrue(result.Entries.Any(planned => planned.Entry == E820Entry.FromBounds(0x7b80_0000, 0x7f80_0000, E820Type.Reserved)));
    }

    private static void ForEach(string name, Action<PolicyInput, PolicyResult, string> check)
    {
        foreach (RealHost host in RealHost.All)
        {
            foreach (ulong memoryMiB in RealHost.SizesMiB)
            {
                foreach (ulong balloonMiB in (ulong[])[0, 777])
                {
                    PolicyInput input = host.Input(memoryMiB, memoryMiB + balloonMiB);
                    PolicyResult result = Policies.Find(name)!.Lay(input);
                    string where = $"{host.Name} {memoryMiB}+{balloonMiB} MiB";
                    Assert.IsNotEmpty(result.Entries, where);
                    check(input, result, where);
                }
            }
        }
    }

    /// <summary>Where the guest is to find each window: with hole-3g where a filter puts it; the guest that merges knows of none behind the host's
    /// map.</summary>
    private static IEnumerable<(Bar Bar, ulong Start)> Places(string name, PolicyInput input) => name switch
    {
        "hole-3g" => BarFilter.Place(input.Bars).Where(place => place.GuestStart is not null).Select(place => (place.Bar, place.GuestStart!.Value)),
        "guest-merge" => input.Bars.Where(bar => bar.End <= HostHoles.EndOf(input.MachineMap)).Select(bar => (bar, bar.Start)),
        _ => input.Bars.Select(bar => (bar, bar.Start)),
    };

    private static BootForecast Forecast(PolicyInput input, PolicyResult result, KernelRelease version) => Forecaster.Forecast(new()
    {
        Map = [.. result.Entries.Select(planned => planned.Entry)],
        PageCount = input.Guest.MemoryKiB >> 2,
        Kernel = version,
        Layout = GuestLayout.OfXl(input.Guest.MemoryKiB >> 2),
        Bars = input.Bars,
    });

    private static void AssertExplained(RealHost host, ulong memoryMiB, IHolePolicy policy)
    {
        PolicyInput input = host.Input(memoryMiB);
        var map = new Host { Entries = host.MachineMap, IsMachineMap = true };
        Plan plan = TestPlan.Of(map, input.Guest, policy, input.Bars);
        ulong reached = 0;
        foreach (KeptRange piece in plan.Layout)
        {
            Assert.AreEqual(reached, piece.Start, $"{host.Name} {memoryMiB}");
            Assert.IsGreaterThan(piece.Start, piece.End);
            Assert.IsNotEmpty(piece.Why);
            reached = piece.End;
        }

        Assert.IsGreaterThanOrEqualTo(plan.Entries.Max(planned => planned.Entry.End), reached);
    }

    private static ulong RamOf(PolicyResult result) =>
        result.Entries.Where(planned => planned.Entry.IsRam).Aggregate(0UL, (sum, planned) => sum + planned.Entry.Size);

    private static ulong Below4GiB(E820Entry entry) => entry.Address >= Frames.FourGiB ? 0 : Math.Min(entry.End, Frames.FourGiB) - entry.Address;

    private static bool Overlap(E820Entry left, E820Entry right) => left.Address < right.End && right.Address < left.End;

    private static void AssertSortedAndApart(PolicyResult result, string where)
    {
        ulong reached = 0;
        foreach (PlannedEntry planned in result.Entries)
        {
            Assert.IsGreaterThan(0UL, planned.Entry.Size, where);
            Assert.IsLessThanOrEqualTo(planned.Entry.Address, reached, where);
            reached = planned.Entry.End;
        }
    }

    private static void AssertIsFree(PolicyResult result, ulong start, ulong end, string where)
    {
        foreach (PlannedEntry planned in result.Entries)
        {
            bool meets = planned.Entry.Type != E820Type.Reserved && planned.Entry.Address < end && planned.Entry.End > start;
            Assert.IsFalse(meets, $"{where}: 0x{start:x} meets {planned.Entry.Type} 0x{planned.Entry.Address:x}");
        }
    }

    /// <summary>Hosts of pieces at odd addresses, overlapping or not, and windows in their gaps.</summary>
    private static Gen<PolicyInput> RandomInputs(string name)
    {
        Gen<E820Entry> entry =
            from start in Gen.Choose(0, 0x7fff)
            from offset in Gen.Elements(0UL, 0x1000UL, 0x123UL)
            from size in Gen.Choose(1, 0x1800)
            from type in Gen.Elements(E820Type.Ram, E820Type.Ram, E820Type.Reserved, E820Type.Acpi, E820Type.Nvs, E820Type.Unusable)
            select E820Entry.FromSize(((ulong)start << 20) + offset, ((ulong)size << 20) + offset, type);
        return
            from entries in Gen.ListOf(entry)
            from memoryMiB in Gen.Choose(64, 70000)
            from balloonMiB in Gen.Choose(0, 3000)
            from seeds in Gen.ListOf(Gen.Choose(0, int.MaxValue - 1))
            let map = entries.Take(40).ToImmutableArray()
            let guest = new GuestSpec { MemoryKiB = (ulong)memoryMiB << 10, MaxmemKiB = (ulong)(memoryMiB + balloonMiB) << 10, E820Host = true }
            select new PolicyInput(map, guest, WindowsIn(map, seeds.Take(6), name));
    }

    private static ImmutableArray<Bar> WindowsIn(ImmutableArray<E820Entry> map, IEnumerable<int> seeds, string name)
    {
        var bars = ImmutableArray.CreateBuilder<Bar>();
        KeptRange[] gaps = [.. HostHoles.Of(map).Where(hole => hole.Type is null && hole.Start >= LinuxPvKernel.EndOfNeed)];
        foreach (int seed in seeds)
        {
            if (gaps.Length == 0)
                break;
            KeptRange gap = gaps[seed % gaps.Length];
            ulong start = gap.Start + ((ulong)seed % (gap.End - gap.Start));
            ulong end = Math.Min(gap.End, start + 1 + ((ulong)seed % 0x30_0000));
            bars.Add(new(0, BarKind.Memory, start, end, end > Frames.FourGiB, false));
        }

        Assert.IsNotEmpty(name);
        return bars.ToImmutable();
    }
}
