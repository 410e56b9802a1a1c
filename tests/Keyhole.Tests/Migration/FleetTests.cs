// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Migration;
using Keyhole.Pci;
using Keyhole.Platforms.XenPv;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Migration;

/// <summary>The fleet's answer beside one that is found page by page, and what may not change it.</summary>
[TestClass]
public sealed class FleetTests
{
    private const ulong GiB = 1UL << 30;

    private static readonly ImmutableArray<FleetGuest> s_guests =
        [new("small", 512 << 10, 512 << 10, true), new("large", 6 << 20, 12 << 20, true), new("huge", 300UL << 20, 300UL << 20, true),
            new("plain", 8 << 20, 8 << 20, false)];

    private static readonly Gen<E820Entry> s_entry =
        from start in Gen.Choose(0, 0x1200)
        from size in Gen.Choose(0, 0x300)
        from offset in Gen.Elements((uint[])[0, 0x800, 0x1000])
        from type in Gen.Elements((E820Type[])[E820Type.Ram, E820Type.Ram, E820Type.Reserved, E820Type.Acpi, E820Type.Nvs, E820Type.Unusable])
        select E820Entry.FromSize(((ulong)start << 20) + offset, (ulong)size << 20, type);

    private static readonly Gen<PciDevice> s_device =
        from low in Gen.Choose(0, 0x1100)
        from size in Gen.Choose(1, 0x200)
        from high in Gen.Choose(4, 64)
        from kind in Gen.Elements(Enum.GetValues<BarKind>())
        select new PciDevice(
            default,
            "",
            [new(0, kind, (ulong)low << 20, (ulong)(low + size) << 20, false, false),
                new(2, BarKind.Memory, ((ulong)high << 30) + 0x100000, (ulong)(high + 1) << 30, true, true)]);

    private static readonly Gen<Host> s_host =
        from entries in s_entry.NonEmptyListOf()
        from devices in Gen.Frequency((2, Gen.Constant<PciDevice[]>([])), (1, s_device.ArrayOf(2)))
        select Host([.. entries]) with { Devices = [.. devices] };

    private static readonly Gen<HostDemand> s_demand =
        from name in Gen.Choose(0, 40)
        from start in Gen.Frequency((8, Gen.Choose(0x10, 0x1000)), (1, Gen.Constant(0x1000)))
        from ram in Gen.Choose(0, 64)
        from high in Gen.Frequency((3, Gen.Constant(0)), (1, Gen.Choose(4, 40)))
        select new HostDemand($"host {name}", (ulong)start << 20, (ulong)ram << 20, high == 0 ? Frames.AddressLimit : (ulong)high << 30, high == 0
            ? DemandEvidence.Map : DemandEvidence.Windows);

    public static IEnumerable<object[]> RealHosts() => Fixtures().Select(host => new object[] { host.Name });

    [TestMethod]
    [DynamicData(nameof(RealHosts))]
    public void The_demand_of_a_real_host_is_what_a_walk_over_its_pages_finds(string name)
    {
        Host host = Fixtures().Single(host => host.Name == name).Map;

        Assert.AreEqual(WalkPages(host), HostDemand.Of(host, name).HoleStart);
    }

    [TestMethod]
    [DynamicData(nameof(RealHosts))]
    public void The_demand_of_a_real_host_is_where_hole_at_puts_its_hole(string name)
    {
        Host host = Fixtures().Single(host => host.Name == name).Map;

        Assert.AreEqual(HostHoles.StartOfPciHole(MachineMap.Of(host), []), HostDemand.Of(host, name).HoleStart);
    }

    [TestMethod]
    public void The_demand_of_any_host_is_where_hole_at_puts_its_hole() => Prop.ForAll(
        s_host.ToArbitrary(),
        host => Assert.AreEqual(HostDemand.Of(host with { Devices = [] }, "").HoleStart, HostHoles.StartOfPciHole(host.Entries, []), Show(host)))
        .Check(Config.QuickThrowOnFailure);

    [TestMethod]
    [DataRow(0UL, FleetVerdict.Fits)]
    [DataRow(4096UL, FleetVerdict.HoleTooLow)]
    public void A_hole_starts_behind_the_kernel_at_the_lowest(ulong bytesLower, FleetVerdict verdict)
    {
        ulong start = FleetGuest.LowestHole - bytesLower;

        Assert.AreEqual(verdict, s_guests[0].Judge(new("host", start, 8 << 20, Frames.AddressLimit, DemandEvidence.Map), start));
    }

    [TestMethod]
    public void The_answer_for_the_real_hosts_is_what_trying_every_page_finds()
    {
        (string Name, Host Map)[] hosts = [.. Fixtures()];
        var tally = new FleetTally(s_guests);
        foreach ((string name, Host map) in hosts)
            tally.Add(HostDemand.Of(map, name));
        Fleet fleet = tally.ToFleet();

        ulong[] starts = [.. hosts.Select(host => WalkPages(host.Map))];
        ulong highest = 0;
        for (ulong page = FleetGuest.LowestHole; page <= Frames.FourGiB; page += Frames.SizeBytes)
        {
            if (starts.Where(start => start >= FleetGuest.LowestHole).All(start => page <= start))
                highest = page;
        }

        Assert.AreEqual(highest, fleet.HoleStart);
        CollectionAssert.AreEqual(hosts.Where((_, i) => starts[i] == highest).Select(host => host.Name).Order(StringComparer.Ordinal).ToArray(),
            fleet.ForcedBy.Select(host => host.Name).ToArray());
        Assert.AreEqual(hosts.Length, fleet.HostCount);
        Assert.AreEqual(starts.Count(start => start < FleetGuest.LowestHole), fleet.ImpossibleCount);
    }

    [TestMethod]
    public void The_demand_of_any_host_is_what_a_walk_over_its_pages_finds() =>
        Prop.ForAll(s_host.ToArbitrary(), host => Assert.AreEqual(WalkPages(host), HostDemand.Of(host, "").HoleStart))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(25));

    [TestMethod]
    public void Counts_and_pairs_are_those_that_judging_each_finds() => Prop.ForAll(s_demand.ListOf().ToArbitrary(), hosts =>
    {
        Fleet fleet = Add(hosts);
        ulong[] possible = [.. hosts.Select(host => host.HoleStart).Where(start => start >= FleetGuest.LowestHole)];
        ulong? start = possible.Length == 0 ? null : possible.Min();
        Assert.AreEqual(start, fleet.HoleStart);
        Assert.AreEqual(start is null or Frames.FourGiB ? 0 : possible.Count(other => other == start), fleet.ForcedByCount);
        Assert.AreEqual(possible.Any(other => other > start) ? possible.Where(other => other > start).Min() : null, fleet.HoleStartWithout);
        Assert.AreEqual(hosts.Count, fleet.Groups.Sum(group => group.HostCount));
        foreach (FleetGuestFit fit in fleet.Guests)
        {
            FleetVerdict[] verdicts =
                [.. hosts.Select(host => fit.Guest.Judge(host, start is { } hole && host.HoleStart >= hole ? hole : host.HoleStart))];
            Assert.AreEqual(verdicts.All(verdict => verdict == FleetVerdict.Fits), fit.FitsAll, fit.ToString());
            Assert.AreEqual(verdicts.Count(verdict => verdict == FleetVerdict.TooLittleMemory), fit.TooLittleMemory);
            Assert.IsTrue(fit.Offenders.All(host => hosts.Where((_, i) => verdicts[i] != FleetVerdict.Fits).Contains(host)));
        }

        if (hosts.Count < 2)
            return;
        double pairs =
            hosts.Select((from, i) => hosts.Where((to, k) => i != k && from.HoleStart >= FleetGuest.LowestHole && from.HoleStart <= to.HoleStart)
                .Count()).Sum();
        Assert.AreEqual(pairs / ((double)hosts.Count * (hosts.Count - 1)), fleet.ShareOfMovesAsTheyAre!.Value, 1e-9);
    }).QuickCheckThrowOnFailure();

    [TestMethod]
    public void The_order_of_the_hosts_changes_nothing() =>
        Prop.ForAll(
            (from hosts in s_demand.ListOf(90) from order in Gen.Shuffle(hosts.ToArray()) select (hosts, order)).ToArbitrary(),
            pair => Assert.AreEqual(Show(Add(pair.hosts)), Show(Add(pair.order)))).QuickCheckThrowOnFailure();

    [TestMethod]
    public void A_host_that_asks_for_nothing_changes_nothing() => Prop.ForAll(s_demand.NonEmptyListOf().ToArbitrary(), hosts =>
    {
        Fleet before = Add(hosts);
        Fleet after = Add([.. hosts, new("zzz", Frames.FourGiB, ulong.MaxValue >> 10, Frames.AddressLimit, DemandEvidence.Windows)]);

        Assert.AreEqual(before.HoleStart ?? Frames.FourGiB, after.HoleStart);
        Assert.AreEqual(before.ForcedByCount, after.ForcedByCount);
        Assert.AreEqual(Show(before.ForcedBy), Show(after.ForcedBy));
        Assert.AreEqual(before.ImpossibleCount, after.ImpossibleCount);
        if (before.HoleStart is not null)
            CollectionAssert.AreEqual(before.Guests
                .Select(fit => (fit.FitsAll, fit.TooLittleMemory, fit.HoleTooLow, fit.MeetsHighWindow, Show(fit.Offenders))).ToArray(),
                after.Guests.Select(fit => (fit.FitsAll, fit.TooLittleMemory, fit.HoleTooLow, fit.MeetsHighWindow, Show(fit.Offenders))).ToArray());
    }).QuickCheckThrowOnFailure();

    [TestMethod]
    public void A_host_more_never_raises_the_hole() =>
        Prop.ForAll(s_demand.NonEmptyListOf().ToArbitrary(), s_demand.ToArbitrary(), (hosts, another) =>
        Add(hosts).HoleStart is not { } before || Add([.. hosts, another]).HoleStart <= before).QuickCheckThrowOnFailure();

    [TestMethod]
    public void A_guest_that_can_move_as_it_is_can_be_on_both_hosts() => Prop.ForAll(s_demand.ToArbitrary(), s_demand.ToArbitrary(), (from, to) =>
    {
        foreach (FleetGuest guest in s_guests)
        {
            MoveVerdict move = guest.JudgeMove(from, to, null);
            bool isAsItIs = guest.Judge(from, from.HoleStart) == FleetVerdict.Fits && guest.Judge(to, from.HoleStart) == FleetVerdict.Fits;
            Assert.AreEqual(isAsItIs ? MoveVerdict.AsItIs : MoveVerdict.Never, move);
            if (guest.NeedsHole && move == MoveVerdict.AsItIs)
                Assert.IsLessThanOrEqualTo(to.HoleStart, from.HoleStart);
        }
    }).QuickCheckThrowOnFailure();

    [TestMethod]
    public void The_memory_that_does_not_fit_below_the_hole_goes_on_at_4_GiB()
    {
        FleetGuest guest = new("", 3 << 20, 3 << 20, true);

        Assert.AreEqual(3 * GiB, guest.EndOfMemory(3 * GiB));
        Assert.AreEqual(5 * GiB, guest.EndOfMemory(2 * GiB));
        Assert.AreEqual(FleetVerdict.MeetsHighWindow, guest.Judge(new("", 2 * GiB, 1 << 30, 4 * GiB, DemandEvidence.Windows), 2 * GiB));
        Assert.AreEqual(FleetVerdict.HoleTooHigh, guest.Judge(new("", 2 * GiB, 1 << 30, Frames.AddressLimit, DemandEvidence.Windows), 3 * GiB));
        Assert.AreEqual(FleetVerdict.Fits, guest.Judge(new("", 2 * GiB, 1 << 30, 5 * GiB, DemandEvidence.Windows), 2 * GiB));
    }

    [TestMethod]
    public void Lines_of_captures_say_what_the_reader_of_captures_says() => Prop.ForAll(s_host.ToArbitrary(), host =>
    {
        string line = OneLine(host);
        var tally = new FleetTally([]);
        List<HostDemand> read = [];
        var reader = new FleetReader(tally, 2, host => read.Add(host.Demand));
        reader.ReadCaptures(new MemoryStream(Encoding.UTF8.GetBytes(line)), "fleet");
        reader.Finish();
        Assert.AreEqual(HostDemand.Of(MapFixtures.Expect(MapFixtures.ReadText(line)).Host, "fleet:1"), read.Single());
    }).QuickCheckThrowOnFailure();

    [TestMethod]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x40000000","type":"ram"}]}""", true)]
    [DataRow("""{"entries":[{"start":"0X0","end":"0x40000000","type":"ram"}]}""", false)]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x40000000","type":"type-77"}]}""", true)]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x40000000","type":"RAM"}]}""", false)]
    [DataRow("""{"entries":[{"start":"0x2","end":"0x1","type":"ram"}]}""", false)]
    [DataRow("""{"entries":[]}""", false)]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x40000000","type":"ram"}],"entries":[]}""", false)]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x40000000","type":"ram","color":{"deep":[1]}}]}""", true)]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x40000000","type":"ram"}],"traits":{"cpuFamily":"six"}}""", false)]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x40000000","type":"ram"}],"traits":{"iommus":["0xfed90000"],"cpuFamily":6}}""", true)]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x40000000","type":"ram"}],"traits":{"protectedHpet":"0xfffffffffffffff"}}""", false)]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x40000000","type":"ram"}],"traits":{"reservedDeviceMemory":["0x1000-0x2000"],"otherDenied":[]}}""",
        true)]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x40000000","type":"ram"}],"traits":{"reservedDeviceMemory":["all"]}}""", false)]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x40000000","type":"ram"}],"machineMap":1}""", false)]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x40000000","type":"ram"}],"source":7}""", false)]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x40000000","type":"ram"}],"devices":[{"bars":[]}]}""", false)]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x40000000","type":"ram"}],"devices":[{"address":"00:02.0","bars":[{"start":"0xe0000000","end":"0xf0000000","kind":"rom"}]}]}""", true)]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x40000000","type":"ram"}],"devices":[{"address":"00:02.0","bars":[{"start":"0xe0000000","end":"0xf0000000","kind":"door"}]}]}""", false)]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x40000000","type":"ram"}]} x""", false)]
    [DataRow("""{"n\u0061me":"a\u0062","entries":[{"st\u0061rt":"0x0","end":"0x4000000\u0030","type":"ram"}]}""", true)]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x40000000","type":"ram"}""", false)]
    [DataRow("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", false)]
    [DataRow("""{"name":5,"entries":[{"start":"0x0","end":"0x40000000","type":"ram"}]}""", true)]
    [DataRow("""{"name":"\ud800","entries":[{"start":"0x0","end":"0x40000000","type":"ram"}]}""", true)]
    public void A_line_is_taken_or_refused_as_the_reader_of_captures_does(string line, bool isTaken)
    {
        Fleet fleet = ReadLines($"\n{line}\n");

        Assert.AreEqual(isTaken, fleet.HostCount == 1);
        Assert.AreEqual(isTaken, MapFixtures.ReadText(line, new() { From = HostMapDialect.Json }).Value is not null);
        Assert.AreEqual(isTaken ? 0 : 1, fleet.UnreadableCount);
        Assert.IsTrue(fleet.Unreadable.All(error => error.Line == 2), string.Join('\n', fleet.Unreadable));
    }

    [TestMethod]
    public void Names_come_from_the_capture_and_are_one_line()
    {
        const string rest = """ "entries":[{"start":"0x0","end":"0x40000000","type":"ram"}]}""";
        Fleet fleet = ReadLines($$"""
            {"name":"alpha",{{rest}}
            {"name":"b\u0000\n\u202eeta",{{rest}}
            {"name":"γάμμα",{{rest}}
            {{{rest}}
            """);

        CollectionAssert.AreEqual(new[] { "alpha", "b???eta", "lines:4", "γάμμα" }, fleet.Hosts!.Value.Select(host => host.Name).ToArray());
    }

    [TestMethod]
    public void A_line_that_never_ends_is_one_host_that_cannot_be_read()
    {
        byte[] good = Encoding.ASCII.GetBytes("{\"name\":\"good\",\"entries\":[{\"start\":\"0x0\",\"end\":\"0x40000000\",\"type\":\"ram\"}]}");
        byte[] input = [.. good, (byte)'\n', .. Enumerable.Repeat((byte)'{', 20 << 20), (byte)'\n', .. good, (byte)'\n', .. good];

        Fleet fleet = ReadLines(input);

        Assert.AreEqual(3, fleet.HostCount);
        Assert.AreEqual(1, fleet.UnreadableCount);
        Assert.AreEqual(2, fleet.Unreadable.Single().Line);
    }

    [TestMethod]
    public void Errors_name_the_line_however_the_input_is_cut_into_batches()
    {
        var text = new StringBuilder();
        for (int i = 1; i <= 30_000; i++)
            text.Append(i % 10_000 == 0 ? "{}\r\n"
                : "{\"entries\":[{\"start\":\"0x0\",\"end\":\"0x40000000\",\"type\":\"ram\"}],\"pad\":\"01234567890123456789\"}\r\n");

        Fleet fleet = ReadLines(text.ToString());

        Assert.AreEqual(29_997, fleet.HostCount);
        CollectionAssert.AreEqual(new int?[] { 10_000, 20_000, 30_000 }, fleet.Unreadable.Select(error => error.Line).ToArray());
    }

    [TestMethod]
    public void The_tally_takes_no_memory_for_a_host()
    {
        var tally = new FleetTally(s_guests);
        HostDemand[] hosts = [.. Enumerable.Range(0, 1000)
            .Select(i => new HostDemand($"host {i}", (ulong)(4096 - i) << 20, (ulong)i << 20, (ulong)(2000 - i) << 30, DemandEvidence.Windows))];
        AddAll();
        long before = GC.GetAllocatedBytesForCurrentThread();

        for (int i = 0; i < 100; i++)
            AddAll();

        // Less than a byte a host: the runtime's own bookkeeping is some kilobytes.
        Assert.IsLessThan(100_000, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.AreEqual(101_000, tally.HostCount);

        void AddAll()
        {
            foreach (HostDemand host in hosts)
                tally.Add(host);
        }
    }

    [TestMethod]
    public void No_more_is_read_ahead_than_processors_can_be_busy_with()
    {
        const int processors = 2;
        const long mostAhead = ((2 * processors) + 3) << 20;
        byte[] bytes = Generate(40_000, 9);
        using var stream = new MemoryStream(bytes);
        int done = 0;
        long ahead = 0;
        var reader = new FleetReader(new FleetTally([]), processors, _ =>
        {
            done += bytes.AsSpan(done).IndexOf((byte)'\n') + 1;
            ahead = Math.Max(ahead, stream.Position - done);
        });

        reader.ReadCaptures(stream, "fleet");
        reader.Finish();

        Assert.AreEqual(bytes.Length, done);
        Assert.IsGreaterThan(3 * mostAhead, bytes.LongLength, "the input must be much longer, or this says nothing");
        Assert.IsLessThan(mostAhead, ahead);
    }

    [TestMethod]
    public void Made_up_hosts_are_read_without_error_and_are_the_same_each_time()
    {
        byte[] hosts = Generate(3_000, 5);

        Fleet fleet = ReadLines(hosts);

        Assert.AreEqual(3_000, fleet.HostCount);
        Assert.AreEqual(0, fleet.UnreadableCount);
        Assert.IsGreaterThan(100, fleet.WithWindowsCount);
        CollectionAssert.AreEqual(hosts, Generate(3_000, 5));
        CollectionAssert.AreNotEqual(hosts, Generate(3_000, 6));
    }

    [TestMethod]
    public void Hosts_come_in_the_order_of_the_input()
    {
        List<string> names = [];
        var reader = new FleetReader(new FleetTally([]), 3, host => names.Add(host.Demand.Name));
        reader.ReadCaptures(new MemoryStream(Generate(5_000, 1)), "fleet");
        reader.Finish();

        CollectionAssert.AreEqual(names.Order(StringComparer.Ordinal).ToArray(), names);
        Assert.HasCount(5_000, names);
    }

    private static byte[] Generate(long count, ulong seed)
    {
        using var stream = new MemoryStream();
        FleetGenerator.Write(stream, count, seed);
        return stream.ToArray();
    }

    private static Fleet ReadLines(string text) => ReadLines(Encoding.UTF8.GetBytes(text));

    private static Fleet ReadLines(byte[] bytes)
    {
        var tally = new FleetTally([]);
        var reader = new FleetReader(tally, 2);
        reader.ReadCaptures(new MemoryStream(bytes), "lines");
        reader.Finish();
        return tally.ToFleet();
    }

    private static Fleet Add(IEnumerable<HostDemand> hosts)
    {
        var tally = new FleetTally(s_guests);
        foreach (HostDemand host in hosts)
            tally.Add(host);
        return tally.ToFleet();
    }

    private static string Show(Fleet fleet) => string.Join(
        '\n',
        fleet with { Unreadable = [], Groups = [], Worst = [], Forcing = [], Hosts = null, Guests = [] },
        Show(fleet.Worst),
        Show(fleet.Forcing),
        Show(fleet.Hosts ?? []),
        string.Join(',', fleet.Groups),
        string.Join(',', fleet.Guests.Select(fit => $"{fit with { Offenders = [] }} {Show(fit.Offenders)}")));

    private static string Show(IEnumerable<HostDemand> hosts) => string.Join(',', hosts);

    private static string Show(Host host) => string.Join(" | ", host.Entries.Select(entry => $"{entry.Range} {entry.Type}"));

    private static string OneLine(Host host)
    {
        using var stream = new MemoryStream();
        Assert.IsNull(HostMapWriter.Write(new() { Host = host, Dialect = HostMapDialect.Json, Description = "" }, HostMapDialect.Json, stream));
        return Encoding.UTF8.GetString(stream.ToArray()).ReplaceLineEndings("");
    }

    private static Host Host(ImmutableArray<E820Entry> entries) => new() { Entries = entries };

    private static IEnumerable<(string Name, Host Map)> Fixtures()
    {
        foreach (string folder in Directory.GetDirectories(MapFixtures.Folder("hosts")).Order(StringComparer.Ordinal))
        {
            string file = Directory.GetFiles(folder).Single(file => Path.GetFileName(file) is "boot.log" or "iomem.txt");
            yield return (Path.GetFileName(folder), MapFixtures.Expect(MapFixtures.ReadBytes(File.ReadAllBytes(file))).Host);
        }

        foreach (string file in MapFixtures.GoldenLogs())
            yield return (Path.GetFileName(file), MapFixtures.Expect(MapFixtures.ReadBytes(File.ReadAllBytes(file))).Host);
    }

    /// <summary>The definition, page by page: the first page that may hold a device of the host.</summary>
    private static ulong WalkPages(Host host)
    {
        const int firstMiB = 256;
        int pages = (int)(Frames.FourGiB >> Frames.Shift);
        ulong[] types = new ulong[2 * pages];
        foreach (E820Entry entry in host.Entries.OrderBy(entry => entry.Type))
        {
            // Halves of pages, since the generator makes those.
            for (ulong half = entry.Address >> 11; half < Math.Min(entry.End >> 11, (ulong)types.Length); half++)
                types[half] = (ulong)entry.Type;
        }

        if (!host.Devices.IsEmpty)
        {
            for (int page = 0; page < pages; page++)
            {
                ulong at = (ulong)page << Frames.Shift;
                if (host.Devices.SelectMany(device => device.Bars).Any(bar =>
                    bar.Kind != BarKind.BridgeWindow && bar.End > 1 << 20 && bar.Start < bar.End && bar.Start < at + Frames.SizeBytes
                        && at < bar.End))
                {
                    return at;
                }
            }

            return Frames.FourGiB;
        }

        int lastMemory = Array.FindLastIndex(types, type => (E820Type)type is E820Type.Ram or E820Type.Unusable);
        int run = 0;
        for (int half = 2 * firstMiB; half <= lastMemory; half++)
        {
            run = types[half] == 0 ? run + 1 : 0;
            if (run == (int)(X86Layout.SmallestPciGapBytes >> 11))
                return (ulong)((half - run + 1) / 2) << Frames.Shift;
        }

        return (ulong)((lastMemory + 1) / 2) << Frames.Shift;
    }
}
