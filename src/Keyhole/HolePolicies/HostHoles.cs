// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;

namespace Keyhole.HolePolicies;

/// <summary>Where a host has no memory: what several policies start from.</summary>
public static class HostHoles
{
    private const ulong OneMiB = 1UL << 20;
    private const ulong TwoMiB = 2UL << 20;

    /// <summary>Everything above 1 MiB that is not the host's memory: its other entries, and the gaps between them. The first MiB is the guest's own.</summary>
    public static IEnumerable<KeptRange> Of(ImmutableArray<E820Entry> machineMap)
    {
        ulong reached = OneMiB;
        foreach (E820Entry entry in Sorted(machineMap))
        {
            if (entry.End <= OneMiB)
                continue;
            if (entry.Address > reached)
                yield return new(reached, entry.Address, null, "a gap of the host's");
            if (!IsMemory(entry))
                yield return new(Math.Max(entry.Address, OneMiB), entry.End, entry.Type, $"the host's: {E820TypeNames.Describe(entry.Type)}");
            reached = Math.Max(reached, entry.End);
        }

        // Below 4 GiB there may be devices behind the last entry as well.
        if (reached < Frames.FourGiB)
            yield return new(reached, Frames.FourGiB, null, "a gap of the host's");
    }

    /// <summary>Where the host's map ends, at least 4 GiB.</summary>
    public static ulong EndOf(ImmutableArray<E820Entry> machineMap)
    {
        ulong end = Frames.FourGiB;
        foreach (E820Entry entry in machineMap)
        {
            if (!entry.Wraps && entry.Size != 0)
                end = Math.Max(end, entry.End);
        }

        return end;
    }

    /// <summary>
    /// Where the hole of a host starts that is to hold its PCI devices: behind its last memory below 4 GiB. Windows of devices that lie lower count
    /// too; regions that the firmware keeps amid the memory do not. A page boundary; 4 GiB where memory reaches there.
    /// </summary>
    public static ulong StartOfPciHole(ImmutableArray<E820Entry> machineMap, ImmutableArray<Bar> bars)
    {
        ulong start = 0;
        foreach (E820Entry entry in Sorted(machineMap))
        {
            if (IsMemory(entry) && entry.Address < Frames.FourGiB)
                start = Math.Max(start, Math.Min(entry.End, Frames.FourGiB));
        }

        foreach (Bar bar in bars)
        {
            if (bar.Start < start && bar.Kind != BarKind.BridgeWindow)
                start = bar.Start;
        }

        return Pfn.Containing(start).ToAddress();
    }

    /// <summary>
    /// A start to recommend for a hole that is to suit several hosts, in bytes: the multiple of 2 MiB at or below <paramref name="start"/>. A page of Linux's
    /// list of frames covers 2 MiB; a hole that shares one with RAM comes out of a migration INVALID, whole pages of holes stay.
    /// </summary>
    public static ulong RecommendedStart(ulong start) => start & ~(TwoMiB - 1);

    /// <summary>A map as Linux and Xen sort it out; as it stands where they refuse.</summary>
    internal static ImmutableArray<E820Entry> Sorted(ImmutableArray<E820Entry> map)
    {
        E820Entry[] sorted = new E820Entry[2 * map.Length];
        return Sanitizer.TrySanitize(map.AsSpan(), sorted, new int[Sanitizer.ScratchLength(map.Length)], out int count)
            ? [.. sorted.AsSpan(0, count)]
            : map;
    }

    /// <summary>RAM, or memory that the firmware has found to be bad: no device is there.</summary>
    internal static bool IsMemory(E820Entry entry) => entry.Type is E820Type.Ram or E820Type.Unusable;

    /// <summary>Windows behind the host's map, where RAM that finds no other place would go.</summary>
    internal static IEnumerable<KeptRange> BarsBehind(PolicyInput input)
    {
        ulong end = EndOf(input.MachineMap);
        foreach (Bar bar in input.Bars)
        {
            if (bar.End > end)
                yield return new(Math.Max(bar.Start, end), bar.End, null, "a window of the guest's device");
        }
    }

    /// <summary>The holes without the part of them where the kernel must lie, which RAM covers unless a device of the guest needs it.</summary>
    internal static List<KeptRange> OffTheKernel(IEnumerable<KeptRange> holes, ImmutableArray<Bar> bars, List<Problem> problems)
    {
        List<KeptRange> kept = [];
        foreach (KeptRange hole in holes)
            Keep(hole, bars, kept, problems);
        return kept;
    }

    private static void Keep(KeptRange hole, ImmutableArray<Bar> bars, List<KeptRange> kept, List<Problem> problems)
    {
        ulong start = Math.Max(hole.Start, LinuxPvKernel.LoadAddress);
        ulong end = Math.Min(hole.End, LinuxPvKernel.EndOfNeed);
        if (start >= end)
        {
            kept.Add(hole);
            return;
        }

        string what = hole.Type is { } type ? $"{E820TypeNames.NameOf(type)} region" : "gap";
        foreach (Bar bar in bars)
        {
            if (bar.Start >= end || bar.End <= start)
                continue;
            problems.Add(new(
                Severity.Error,
                ProblemCodes.KernelNotOnRam,
                $"no layout helps: the {what} at 0x{hole.Start:x} holds a window of the guest's device at 0x{bar.Start:x}, and a Linux PV kernel must lie there",
                start,
                end,
                "have the firmware place the device elsewhere (\"above 4G decoding\"), or link the kernel elsewhere (CONFIG_PHYSICAL_START)"));
            kept.Add(hole);
            return;
        }

        problems.Add(new(
            Severity.Info,
            ProblemCodes.HoleCovered,
            $"the host's {what} at 0x{hole.Start:x} lies where a Linux PV kernel must; RAM covers it, since no device of the guest needs it",
            start,
            end));
        if (hole.Start < start)
            kept.Add(hole with { End = start });
        if (hole.End > end)
            kept.Add(hole with { Start = end });
    }
}
