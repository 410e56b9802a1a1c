// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.PvGuest;

namespace Keyhole.Platforms.XenPv;

/// <summary>What is wrong with a map, whichever policy made it.</summary>
internal static class PlanReview
{
    private static readonly Phrase s_keepBothSides =
        $"install a map that keeps RAM on both sides of the host's reserved regions ({Setting.Policy} punch); none of xl's own settings does";

    public static void Report(
        IHolePolicy policy,
        ImmutableArray<E820Entry> machineMap,
        GuestSpec guest,
        ImmutableArray<PlannedEntry> entries,
        ImmutableArray<Bar> bars,
        IEnumerable<PciDevice> devices,
        List<Problem> problems)
    {
        ReportLowMemory(policy, machineMap, guest, entries, problems);
        ReportKernel(entries, guest, problems);
        ReportOverlaps(policy, guest, entries, problems);
        // A map that was given may be forecast without its host.
        if (!machineMap.IsEmpty)
            ReportGaps(machineMap, entries, problems);
        ReportBars(entries, guest, bars, devices, knowsHostMap: true, problems);
        if (guest.Is32Bit)
            Report32Bit(entries, problems);
    }

    /// <summary>Bytes of RAM below <paramref name="limit"/>, overlaps of RAM with RAM counted once and RAM under other types not at all.</summary>
    public static ulong RamBelow(ulong limit, ImmutableArray<PlannedEntry> entries) =>
        SortedMap.BytesIn(ByteRange.FromBounds(0, limit), Sanitised(entries).AsSpan(), static entry => entry.IsRam);

    public static void ReportKernel(ImmutableArray<PlannedEntry> entries, GuestSpec guest, List<Problem> problems)
    {
        // A guest that is too small for any kernel has its own problem.
        if (guest.MemoryKiB << 10 < LinuxPvKernel.EndOfNeed)
            return;
        ImmutableArray<E820Entry> map = Sanitised(entries);
        ulong reached = SortedMap.EndOfRun(map.AsSpan(), ByteRange.FromBounds(LinuxPvKernel.LoadAddress, LinuxPvKernel.EndOfNeed),
            static entry => entry.IsRam);
        if (reached == LinuxPvKernel.EndOfNeed)
            return;
        E820Entry inTheWay = map.FirstOrDefault(entry => entry.Contains(reached));
        string what = inTheWay.Size == 0 ? "a gap" : $"{Hosts.E820TypeNames.NameOf(inTheWay.Type)} memory";
        ulong ramEnd = map.Where(static entry => entry.IsRam && entry.Address < LinuxPvKernel.EndOfNeed)
            .Select(static entry => entry.End).FirstOrDefault();
        string where = reached == LinuxPvKernel.LoadAddress && ramEnd <= LinuxPvKernel.LoadAddress
            ? $"RAM ends at {Hex(ramEnd)}, below the kernel"
            : $"{what} at {Hex(reached)} is where the kernel must be";
        // What lies behind its start a smaller kernel may not reach.
        string who = reached == LinuxPvKernel.LoadAddress ? "the guest" : "a guest with a kernel of the size of Linux 6.1's";
        problems.Add(new(
            Severity.Error,
            ProblemCodes.KernelNotOnRam,
            $"{who} will not start: {where} (a Linux PV kernel is linked at {LinuxPvKernel.LoadAddress >> 20} MiB and needs about "
                + $"{LinuxPvKernel.NeededBytes >> 20} MiB)",
            Math.Max(reached, LinuxPvKernel.LoadAddress),
            LinuxPvKernel.EndOfNeed,
            s_keepBothSides));
    }

    /// <summary>What a 32-bit kernel does not see, and whether its low memory, which it cannot do without, is whole.</summary>
    private static void Report32Bit(ImmutableArray<PlannedEntry> entries, List<Problem> problems)
    {
        ulong beyond = RamBelow(ulong.MaxValue, entries) - RamBelow(X86Layout.PaeLimit, entries);
        if (beyond != 0)
        {
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.Beyond32Bits,
                $"a 32-bit kernel sees 64 GiB: {ByteSize.ToText(beyond)} of the guest's RAM are beyond",
                X86Layout.PaeLimit,
                null,
                "boot a 64-bit kernel, or give the guest less memory"));
        }

        ulong low = KernelProfile.MaxLowPages(is32Bit: true) << Frames.Shift;
        ulong there = RamBelow(low, entries);
        ulong all = RamBelow(ulong.MaxValue, entries);
        if (there < Math.Min(low, all))
        {
            (string wanted, string found) = ByteSize.ToTexts(low, there);
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.LowMemory32Bit,
                $"a 32-bit kernel keeps its own structures in the first {wanted}, of which {found} are RAM: holes "
                    + $"there cost what cannot be made up for by high memory",
                there,
                low,
                "start the hole above 896 MiB, or boot a 64-bit kernel"));
        }
    }

    /// <param name="entries">The guest's map.</param>
    /// <param name="guest">The guest.</param>
    /// <param name="bars">The windows that are looked at.</param>
    /// <param name="devices">Those whose windows they may be.</param>
    /// <param name="knowsHostMap">Whether the host's toolstack can give the host's map at all.</param>
    /// <param name="problems">What is added to.</param>
    public static void ReportBars(ImmutableArray<PlannedEntry> entries, GuestSpec guest, ImmutableArray<Bar> bars, IEnumerable<PciDevice> devices,
        bool knowsHostMap, List<Problem> problems)
    {
        ImmutableArray<E820Entry> sanitised = Sanitised(entries);
        foreach (Bar bar in bars)
        {
            if (guest.Is32Bit && bar.End > X86Layout.PaeLimit)
            {
                problems.Add(new(
                    Severity.Error,
                    ProblemCodes.Beyond32Bits,
                    $"{BarName.Of(bar, devices)} is beyond the 64 GiB that a 32-bit kernel sees",
                    bar.Start,
                    bar.End,
                    "have the firmware place it lower (no \"above 4G decoding\"), or boot a 64-bit kernel"));
            }

            if (SortedMap.Obstacle(sanitised.AsSpan(), bar.Range) is not { } entry)
                continue;
            (ulong start, ulong end) = (entry.Range.Intersect(bar.Range).Start, entry.Range.Intersect(bar.Range).End);
            problems.Add(new(
                Severity.Error,
                ProblemCodes.BarConflict,
                $"{BarName.Of(bar, devices)} conflicts with {Hosts.E820TypeNames.NameOf(entry.Type)} memory: the guest's kernel "
                    + $"will say \"can't claim BAR … address conflict\"",
                start,
                end,
                !knowsHostMap
                    ? "the BAR must be in a gap or in a reserved region of the guest's map: give the guest less low memory, or "
                        + $"{LibxlPolicy.Later}, whose toolstack gives it the host's map"
                    : guest.UsesHostMap
                    ? "the BAR must be in a gap or in a reserved region of the guest's map: check its address against the host's map"
                        + (entry.IsRam ? ", or give the guest less low memory" : "")
                    : "the BAR must be in a gap or in a reserved region of the guest's map: use the host's map "
                        + $"({OwnWords.HostMap(guest.Toolstack)}), or less low memory"));
        }
    }

    private static void ReportLowMemory(IHolePolicy policy, ImmutableArray<E820Entry> machineMap, GuestSpec guest,
        ImmutableArray<PlannedEntry> entries, List<Problem> problems)
    {
        ulong low = RamBelow(Frames.FourGiB, entries);
        ulong hostLow = SortedMap.BytesIn(ByteRange.FromBounds(0, Frames.FourGiB), machineMap.AsSpan(), static entry => entry.IsRam);
        ulong all = guest.MemoryKiB << 10;
        // What a map has RAM for nowhere is not lost to its holes: its forecast tells that.
        if (!policy.Traits.IsToolstacksOwn)
            all = Math.Min(all, RamBelow(ulong.MaxValue, entries));
        ulong possible = Math.Min(all, hostLow);
        // Below 1 MiB every map differs by some pages; that is not what users miss.
        if (low + X86Layout.OneMiB >= possible)
            return;
        (string below, string whole) = ByteSize.ToTexts(low, all);
        if (!policy.Traits.IsToolstacksOwn)
        {
            ulong end = Sanitised(entries).Where(static entry => entry.IsRam && entry.Address < Frames.FourGiB)
                .Select(static entry => Math.Min(entry.End, Frames.FourGiB)).LastOrDefault();
            string where = policy is GivenMapPolicy ? "in this map" : "with this policy's hole";
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.LowMemoryLost,
                $"only {below} of {whole} are below 4 GiB: RAM ends at {Hex(end)} {where}, where the host has "
                    + $"{ByteSize.ToText(possible - low)} more: a device that can only address 32 bits, and a 32-bit kernel, have that much less",
                end,
                Frames.FourGiB,
                policy is GivenMapPolicy ? "put more of its RAM there, as the policies punch and minimal do"
                    : "take the policy punch or minimal, which keep it"));
            return;
        }

        E820Entry first = machineMap.Where(static entry => entry.Address > X86Layout.OneMiB && entry.Type is not (E820Type.Ram or E820Type.Unusable))
            .OrderBy(static entry => entry.Address).FirstOrDefault();
        problems.Add(new(
            Severity.Warning,
            ProblemCodes.LowMemoryLost,
            $"only {below} of {whole} are below 4 GiB: the "
                + $"{Hosts.E820TypeNames.NameOf(first.Type)} region at {ByteSize.ToText(first.Address)} ({Hex(first.Address)}) costs the other "
                + $"{ByteSize.ToText(possible - low)} that the host has there",
            first.Address,
            first.End,
            s_keepBothSides));
    }

    private static void ReportOverlaps(IHolePolicy policy, GuestSpec guest, ImmutableArray<PlannedEntry> entries, List<Problem> problems)
    {
        // Whoever wrote the map wrote both entries, wherever they are.
        bool isGiven = policy is GivenMapPolicy;
        foreach (PlannedEntry ram in entries)
        {
            if (!ram.Entry.IsRam)
                continue;
            if (ram.Entry.Wraps)
            {
                problems.Add(new(
                    Severity.Error,
                    ProblemCodes.HighRamOverlap,
                    $"the RAM at {Hex(ram.Entry.Address)} runs past 2^64: Linux will not sanitise a map with such an entry",
                    ram.Entry.Address,
                    null,
                    isGiven ? (Phrase)"correct where that entry ends"
                        : $"set {OwnWords.Most(guest.Toolstack)} to {OwnWords.Memory(guest.Toolstack)} or more"));
                continue;
            }

            foreach (PlannedEntry other in entries)
            {
                ByteRange common = other.Entry.Range.Intersect(ram.Entry.Range);
                if (other.Entry.IsRam || common.IsEmpty)
                    continue;
                (ulong start, ulong end) = (common.Start, common.End);
                string type = Hosts.E820TypeNames.NameOf(other.Entry.Type);
                string taken = $"the guest's kernel takes {ByteSize.ToText(end - start)} of it for {type}";
                problems.Add(new(
                    Severity.Warning,
                    ProblemCodes.HighRamOverlap,
                    isGiven ? $"RAM at {Hex(ram.Entry.Address)} overlaps the {type} entry at {Hex(other.Entry.Address)} of the same map: {taken}"
                        : $"RAM at {Hex(ram.Entry.Address)} overlaps the host's {type} region: {taken} and the guest has that much less",
                    start,
                    end,
                    isGiven ? "give each address one type, and RAM that this cuts off a place behind the rest"
                        : "give the guest less memory above 4 GiB, or install a map that puts high RAM after the host's"));
            }
        }
    }

    private static void ReportGaps(ImmutableArray<E820Entry> machineMap, ImmutableArray<PlannedEntry> entries, List<Problem> problems)
    {
        List<ByteRange> gaps = [];
        foreach (RangePiece piece in new RangeMap<E820Entry>(Sanitised(entries).AsSpan()).Over(ByteRange.FromBounds(0, Frames.FourGiB)))
        {
            if (piece.IsGap && piece.Range.SizeBytes >= X86Layout.SmallestPciGapBytes)
                gaps.Add(piece.Range);
        }

        if (gaps.Count == 0)
            return;
        // Devices are placed from the largest gap on (pci_mem_start): what lies below it is no room for them.
        ulong lowest = gaps.MaxBy(static gap => gap.SizeBytes).Start;
        foreach (ByteRange gap in gaps)
            ReportGap(machineMap, gap.Start, gap.End, gap.Start >= lowest, problems);
    }

    private static void ReportGap(ImmutableArray<E820Entry> machineMap, ulong start, ulong end, bool isForDevices, List<Problem> problems)
    {
        ulong hostRam = SortedMap.BytesIn(ByteRange.FromBounds(start, end), machineMap.AsSpan(), SortedMap.IsMemory);
        if (hostRam == 0)
        {
            problems.Add(new(
                Severity.Info,
                ProblemCodes.PciGap,
                $"Linux takes gaps for PCI space; this one of {ByteSize.ToText(end - start)} is a gap of the host's too",
                start,
                end));
            return;
        }

        if (!isForDevices)
            return;
        problems.Add(new(
            Severity.Warning,
            ProblemCodes.GapOverHostRam,
            $"Linux would take this gap of {ByteSize.ToText(end - start)} for PCI space, but the host has {ByteSize.ToText(hostRam)} of RAM or "
                + $"unusable memory there: a device placed in it is not reached",
            start,
            end,
            "install a map with unusable memory there"));
    }

    /// <summary>The map as the guest's kernel will read it; as it stands where Linux refuses to sanitise it.</summary>
    private static ImmutableArray<E820Entry> Sanitised(ImmutableArray<PlannedEntry> entries) =>
        SortedMap.Of([.. entries.Select(static planned => planned.Entry)]);

    private static string Hex(ulong address) => $"0x{address:x}";
}
