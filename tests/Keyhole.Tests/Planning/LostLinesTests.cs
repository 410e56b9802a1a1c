// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Answers;
using Keyhole.Captures;
using Keyhole.Comparison;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;
using Keyhole.PvGuest;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Planning;

/// <summary>What is answered of a host of whose map lines are lost holds for the whole map; what depends on them is said to be not known.</summary>
[TestClass]
public sealed class LostLinesTests
{
    private const string Cut = """
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009efff] (usable)
        (XEN)  [0000000000100000, 000000006fffffff] (usable)
        ...
        (XEN)  [00000000e0000000, 00000000efffffff] (reserved)
        (XEN)  [0000000100000000, 00000002ffffffff] (usable)

        """;

    private static GuestSpec Guest(ulong gib) => new() { MemoryKiB = gib << 20, MaxmemKiB = gib << 20, E820Host = true };

    [TestMethod]
    public void Where_lines_are_left_out_it_is_known()
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText(Cut)).Host;

        CollectionAssert.AreEqual(new[] { ByteRange.FromBounds(0x7000_0000, 0xe000_0000) }, host.LostRanges.ToArray());
    }

    [TestMethod]
    public void Of_two_places_where_lines_are_left_out_both_are_known()
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText(Cut.Replace("(XEN)  [00000001", "[...]\n(XEN)  [00000001", StringComparison.Ordinal))).Host;

        CollectionAssert.AreEqual(
            new[] { ByteRange.FromBounds(0x7000_0000, 0xe000_0000), ByteRange.FromBounds(0xf000_0000, 0x1_0000_0000) }, host.LostRanges.ToArray());
    }

    [TestMethod]
    public void RAM_that_Xen_counts_and_no_entry_has_may_be_where_there_is_room_for_it()
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText(
            Cut.Replace("...\n", "", StringComparison.Ordinal) + "(XEN) System RAM: 18175MB (18611836kB)\n")).Host;

        Assert.AreEqual(1, host.LostRanges.Length);
        Assert.AreEqual(0x3_0000_0000UL, host.LostRanges[0].Start);
    }

    [TestMethod]
    public void Lost_ranges_survive_JSON()
    {
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(Cut));
        using var json = new MemoryStream();
        HostMapWriter.Write(map, HostMapDialect.Json, json);

        Host again = MapFixtures.Expect(MapFixtures.ReadBytes(json.ToArray())).Host;

        CollectionAssert.AreEqual(map.Host.LostRanges.ToArray(), again.LostRanges.ToArray());
    }

    [TestMethod]
    public void RAM_below_4_GiB_that_lost_lines_decide_is_a_span_and_no_figure()
    {
        Plan plan = Planner.Plan(new Scenario { Host = MapFixtures.Expect(MapFixtures.ReadText(Cut)).Host, Guest = Guest(3) });

        Assert.IsNull(plan.RamBelow4GiBKiB);
        Problem told = plan.Problems.Single(static problem => problem.Code == ProblemCodes.MapNotKnown);
        Assert.Contains("at least 1.75 GiB, at most 3 GiB", told.Message);
        Assert.IsFalse(plan.Problems.Any(static problem => problem.Code == ProblemCodes.LowMemoryLost));
    }

    [TestMethod]
    public void What_lost_lines_do_not_decide_is_told_as_ever()
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText(Cut)).Host;
        var boot = Boot.Of(new Scenario { Host = host, Guest = Guest(1) });
        var whole = Boot.Of(new Scenario { Host = host with { LostRanges = [] }, Guest = Guest(1) });

        Assert.AreEqual(1UL << 20, boot.Plan.RamBelow4GiBKiB);
        Assert.AreEqual(GuestOutcome.Boots, boot.Outcome);
        Assert.AreEqual(0UL, BootAnswer.Of(boot).RemappedPages);
        Assert.AreEqual(BootAnswer.Of(whole).Account!.Value.Length, BootAnswer.Of(boot).Account!.Value.Length);
    }

    [TestMethod]
    public void What_the_kernel_says_of_gaps_is_not_told_where_lost_lines_may_have_been_between_them()
    {
        const string cut = """
            (XEN) Xen-e820 RAM map:
            (XEN)  [0000000000000000, 000000000009efff] (usable)
            (XEN)  [0000000000100000, 000000008d2fffff] (usable)
            ...
            (XEN)  [00000000ff000000, 00000000ffffffff] (reserved)

            """;
        Host host = MapFixtures.Expect(MapFixtures.ReadText(cut)).Host;

        BootAnswer answer = BootAnswer.Of(Boot.Of(new Scenario { Host = host, Guest = Guest(3) }));

        Assert.IsNull(answer.PciGap);
        Assert.IsFalse(answer.Log!.Value.Any(static line => line.Contains("PCI devices", StringComparison.Ordinal)));
        Assert.Contains("which gaps its kernel takes for PCI devices", string.Join('\n', answer.Problems.Select(static problem => problem.Message)));
    }

    [TestMethod]
    public void Whether_a_window_can_be_claimed_is_not_told_where_lost_lines_decide_it()
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText(Cut)).Host;
        var window = new Bar(0, BarKind.Memory, 0xc000_0000, 0xc100_0000, false, false);
        var request = new ComparisonRequest { Scenario = new() { Host = host, Guest = Guest(3), Bars = [window] } };

        var answer = ComparisonAnswer.Of(request, PolicyComparer.Compare(request));

        Assert.IsNull(answer.Policies!.Value.First(static row => row.Policy == "libxl").Bars);
    }

    [TestMethod]
    public void No_policy_is_recommended_where_lost_lines_decide_which_is_best()
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText(Cut)).Host;

        PolicyComparison large = PolicyComparer.Compare(new() { Scenario = new() { Host = host, Guest = Guest(3) } });
        PolicyComparison small = PolicyComparer.Compare(new() { Scenario = new() { Host = host, Guest = Guest(1) } });

        Assert.IsNull(large.Best);
        Assert.Contains("which is best is not known", large.Why.ToString());
        Assert.AreEqual("libxl", small.Best?.Policy.Name);
    }

    [TestMethod]
    [DataRow("BIOS-e820: [mem 0x00000000dceff000-0x00000000dfa0ffff] reserved\n", null)]
    [DataRow("BIOS-e820: [mem 0x0000000000100000-0x00000000bfffffff] usable\nBIOS-e820: [mem 0x00000000dceff000-0x00000000dfa0ffff] reserved\n", 3UL << 20)]
    public void Of_a_few_lines_that_somebody_quotes_everything_else_is_lost(string quoted, ulong? lowKiB)
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText($"Hello,\nthe machine says:\n{quoted}")).Host;

        Plan plan = Planner.Plan(new Scenario { Host = host, Guest = Guest(3) });

        Assert.IsTrue(host.HasLostEntries);
        Assert.AreEqual(lowKiB, plan.RamBelow4GiBKiB);
        Assert.AreEqual(lowKiB is null ? GuestOutcome.NotKnown : GuestOutcome.Boots, Boot.Of(plan).Outcome);
    }

    [TestMethod]
    [DataRow("BIOS-e820: [mem 0x00000000dceff000-0x00000000dfa0ffff] reserved\n", "[0x0, 0xdceff000) [0xdfa10000, …)")]
    [DataRow("Xen: [mem 0x00000000dceff000-0x00000000dfa0ffff] reserved\n", "[0x0, 0xdceff000) [0xdfa10000, …)")]
    [DataRow("dceff000-dfa0ffff : Reserved\n", "[0x0, 0xdceff000) [0xdfa10000, …)")]
    [DataRow("(XEN)  [00000000dceff000, 00000000dfa0ffff] (reserved)\n", "[0x0, 0xdceff000) [0xdfa10000, …)")]
    [DataRow("BIOS-e820: [mem 0x0000000000100000-0x000000000fffffff] usable\nBIOS-e820: [mem 0x0000000010000000-0x000000001fffffff] reserved\n"
        + "BIOS-e820: [mem 0x00000000ff000000-0x00000000ffffffff] reserved\n", "[0x0, 0x100000) [0x20000000, 0xff000000) [0x100000000, …)")]
    [DataRow("BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable\nBIOS-e820: [mem 0x0000000000100000-0x00000000bfffffff] usable\n"
        + "BIOS-e820: [mem 0x00000000dceff000-0x00000000dfa0ffff] reserved\n", "[0xa0000, 0x100000) [0xc0000000, 0xdceff000) [0xdfa10000, …)")]
    public void Of_bare_lines_that_are_no_whole_map_what_is_between_and_around_them_is_not_known(string lines, string lost)
    {
        HostDocument map = MapFixtures.Expect(MapFixtures.ReadText(lines));

        Assert.AreEqual(lost, string.Join(' ', map.Host.LostRangesInWords));
        Assert.Contains("whether it goes on is not to be seen", string.Join('\n', map.Remarks));
    }

    [TestMethod]
    [DataRow("BIOS-e820: [mem 0x00000000fffc0000-0x00000000ffffffff] reserved\n", "")]
    [DataRow("BIOS-e820: [mem 0x0000000100000000-0x000000013fffffff] usable\n", "")]
    [DataRow("", "[    0.000000] NX (Execute Disable) protection: active\n")]
    [DataRow("", "NX (Execute Disable) protection: active\nMemory: 520000K/523900K available (8192K kernel code)\n")]
    public void Bare_lines_that_reach_the_chipsets_addresses_or_whose_log_goes_on_are_a_whole_map(string last, string behind)
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText(
            $"BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable\n"
            + $"BIOS-e820: [mem 0x0000000000100000-0x000000001fffffff] usable\n{last}{behind}")).Host;

        Assert.IsFalse(host.HasLostEntries);
    }

    [TestMethod]
    public void Of_a_log_that_begins_amid_its_map_what_is_behind_the_map_is_known()
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText("""
            [    0.000000] BIOS-e820: [mem 0x00000000dceff000-0x00000000dfa0ffff] reserved
            [    0.000000] BIOS-e820: [mem 0x00000000e0000000-0x00000000efffffff] reserved
            [    0.000000] NX (Execute Disable) protection: active

            """)).Host;

        Assert.AreEqual("[0x0, 0xdceff000)", string.Join(' ', host.LostRangesInWords));
    }

    [TestMethod]
    [DataRow("..", "[0x30000000, …)")]
    [DataRow("and so on", "[0x30000000, …)")]
    [DataRow("", "")]
    public void A_map_behind_its_title_ends_with_the_source_and_not_where_somebody_goes_on_writing(string behind, string lost)
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText("(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009efff] (usable)\n"
            + $"(XEN)  [0000000000100000, 000000002fffffff] (usable)\n{behind}\n")).Host;

        Assert.AreEqual(lost, string.Join(' ', host.LostRangesInWords));
    }

    [TestMethod]
    public void The_end_of_lost_lines_is_open_but_for_what_the_processor_can_address()
    {
        string map = Cut.Replace("...\n", "", StringComparison.Ordinal) + "(XEN) System RAM: 18175MB (18611836kB)\n";
        Host open = MapFixtures.Expect(MapFixtures.ReadText(map)).Host;
        Host limited = MapFixtures.Expect(MapFixtures.ReadText($"{map}address sizes : 39 bits physical, 48 bits virtual\n")).Host;

        Assert.AreEqual(Frames.AddressLimit, open.LostRanges[^1].End);
        Assert.AreEqual(1UL << 39, limited.LostRanges[^1].End);
    }

    [TestMethod]
    [DataRow("(XEN) System RAM: 18175MB (18611836kB)\n", 17UL, false)]
    [DataRow("(XEN) System RAM: 18175MB (18611836kB)\n", 18UL, true)]
    public void Whether_the_host_has_as_much_RAM_its_log_tells_where_lines_of_its_map_are_lost(string counted, ulong gib, bool isTooLarge)
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText(Cut + counted)).Host;

        ImmutableArray<Problem> problems = Planner.Plan(new Scenario { Host = host, Guest = Guest(gib) }).Problems;

        Assert.AreEqual(isTooLarge, problems.Any(static problem => problem is { Code: ProblemCodes.LargerThanHost, Severity: Severity.Error }));
        Assert.DoesNotContain("whether the host has as much RAM", string.Join('\n', problems.Select(static problem => problem.Message)));
        using var json = new MemoryStream();
        HostMapWriter.Write(MapFixtures.Expect(MapFixtures.ReadText(Cut + counted)), HostMapDialect.Json, json);
        Assert.AreEqual(18611836UL << 10, MapFixtures.Expect(MapFixtures.ReadBytes(json.ToArray())).Host.RamCounted);
    }

    [TestMethod]
    [DataRow("", 18611836UL)]
    [DataRow("[    0.0] modified: [mem 0x0000000000000000-0x0000000000000fff] reserved\n", null)]
    public void What_Linux_counts_tells_the_hosts_RAM_unless_it_has_changed_the_map(string edited, ulong? kiB)
    {
        string lines = "[    0.0] BIOS-e820: [mem 0x0000000000000000-0x000000000009efff] usable\n"
            + "[    0.0] BIOS-e820: [mem 0x0000000000100000-0x000000006fffffff] usable\n...\n"
            + "[    0.0] BIOS-e820: [mem 0x0000000100000000-0x00000002ffffffff] usable\n";

        Host host = MapFixtures.Expect(MapFixtures.ReadText($"{lines}{edited}[    0.1] Memory: 18000000K/18611836K available (1K kernel code)\n")).Host;

        Assert.AreEqual(kiB << 10, host.RamCounted);
    }

    [TestMethod]
    [DataRow(GuestType.Kvm)]
    [DataRow(GuestType.Hvm)]
    public void The_hosts_holes_speak_against_no_guest_whose_firmware_gives_the_addresses(GuestType type)
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText(Cut.Replace("...\n", "", StringComparison.Ordinal))).Host;
        PolicyComparison comparison = PolicyComparer.Compare(new() { Scenario = new() { Host = host, Guest = Guest(4) with { Type = type } } });

        Assert.IsNull(comparison.Policies.Single().Against);
    }

    /// <summary>Real maps with some of their entries taken out: whatever is told of the rest is so of the whole.</summary>
    [TestMethod]
    public void What_is_told_of_a_map_with_lost_lines_is_true_of_the_whole_map()
    {
        const int seed = 20261129;
        Console.WriteLine($"seed {seed}");
        var random = new Random(seed);
        int told = 0;
        int unknown = 0;
        foreach ((string name, byte[] text) in MapCorpusTests.Maps())
        {
            Host whole = MapFixtures.Expect(HostMapReader.Read(new MemoryStream(text), name, HostMapOptions.Default)).Host;
            if (whole.HasLostEntries || whole.Entries.Length < 4 || !IsInOrder(whole.Entries))
                continue;
            for (int round = 0; round < 1; round++)
            {
                int first = random.Next(0, whole.Entries.Length - 2);
                int behind = Math.Min(first + random.Next(1, 4), whole.Entries.Length - 1);
                var lost = ByteRange.FromBounds(first == 0 ? 0 : whole.Entries[first - 1].End, whole.Entries[behind].Address);
                Host cut = whole with { Entries = whole.Entries.RemoveRange(first, behind - first), LostRanges = [lost] };
                foreach (Scenario scenario in ScenariosOf(whole, random))
                {
                    string what = $"{name} without {first} to {behind}, {scenario.Policy?.Name ?? "dom0"}, {scenario.Guest.MemoryKiB >> 20} GiB";
                    Check(Boot.Of(scenario), Boot.Of(scenario with { Host = cut }), what, ref told, ref unknown);
                }
            }
        }

        Console.WriteLine($"{told} figures told, {unknown} not known");
        Assert.IsGreaterThan(1000, told);
        Assert.IsGreaterThan(100, unknown);
    }

    private static IEnumerable<Scenario> ScenariosOf(Host host, Random random)
    {
        KernelRelease kernel = KernelReleases.Named[random.Next(KernelReleases.Named.Count)];
        GuestSpec guest = Guest((ulong)random.Next(1, 5));
        foreach (IHolePolicy policy in Policies.All)
            yield return new() { Host = host, Guest = guest, Policy = policy, Kernel = kernel };
        yield return new() { Host = host, Guest = guest, Dom0 = new(null), Kernel = kernel };
    }

    private static void Check(Boot truth, Boot boot, string what, ref int told, ref int unknown)
    {
        BootAnswer right = BootAnswer.Of(truth);
        BootAnswer answer = BootAnswer.Of(boot);
        if (boot.Outcome == GuestOutcome.NotKnown)
            unknown++;
        else
            Assert.AreEqual(truth.Outcome, boot.Outcome, what);
        foreach ((ulong? expected, ulong? given) in new[]
        {
            (right.RamBelow4GiBKiB, answer.RamBelow4GiBKiB), (right.ReleasedPages, answer.ReleasedPages), (right.RemappedPages, answer.RemappedPages),
            (right.PopulatedPages, answer.PopulatedPages),
        })
        {
            if (given is null)
                unknown++;
            else
                Assert.AreEqual(expected, given, what);
            told += given is null ? 0 : 1;
        }

        Assert.IsTrue(answer.Account is null || answer.Account.Value.SequenceEqual(right.Account!.Value), what);
        Assert.IsTrue(answer.Extra is null || answer.Extra.Value.SequenceEqual(right.Extra!.Value), what);
        Assert.IsTrue(answer.P2m is null || answer.P2m.Value.SequenceEqual(right.P2m!.Value), what);
        ImmutableArray<ByteRange> differing = MapReadings.Differences([truth.Plan.Map, boot.Plan.Map]);
        Assert.AreEqual("", string.Join(' ', ByteRanges.Subtract(differing, boot.Plan.NotKnownRanges)), what);
        Assert.IsTrue(boot.Problems.Where(static problem => problem.Severity == Severity.Error)
            .All(error => truth.Problems.Any(real => real.Code == error.Code && real.Severity == Severity.Error)), what);
    }

    private static bool IsInOrder(ImmutableArray<E820Entry> entries) =>
        entries.Zip(entries.Skip(1)).All(static pair => pair.First.End <= pair.Second.Address && !pair.Second.Wraps && pair.First.Size > 0);
}
