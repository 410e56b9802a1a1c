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

/// <summary>
/// Lays the guest's RAM over the host's map with holes only where the host has no memory, RAM going on behind each: low memory is kept.
/// </summary>
/// <remarks>
/// <para>RAM above 4 GiB lies over the host's own RAM there, too, and behind the map only what finds no place: firmware puts windows of 64-bit BARs right
/// behind RAM, where libxl means to put a guest's high memory.</para>
/// <para>A region of the host's that lies where a Linux PV kernel must (ACPI NVS at 64 MiB, as recent AMD firmware has it) is covered with RAM when no
/// device of the guest needs it: a domU uses no ACPI. Where one does, no layout helps, and a problem says so.</para>
/// </remarks>
public sealed class PunchPolicy : IHolePolicy
{
    private const ulong OneMiB = 1UL << 20;

    public string Name => "punch";

    public PolicyResult Lay(PolicyInput input)
    {
        List<Problem> problems = [];
        List<KeptRange> kept = [];
        foreach (KeptRange hole in HostHoles(input.MachineMap))
            Keep(hole, input.Bars, kept, problems);
        foreach (Bar bar in input.Bars)
        {
            // A window behind the host's map would else be where RAM goes.
            if (bar.Start >= EndOf(input.MachineMap))
                kept.Add(new(bar.Start, bar.End, null, "a window of the guest's device"));
        }

        PolicyResult result = MapAllocator.Allocate(kept, Math.Max(input.Guest.MemoryKiB, input.Guest.MaxmemKiB), input.MachineMap);
        return result with { Problems = [.. problems, .. result.Problems] };
    }

    /// <summary>Everything above 1 MiB that is not the host's memory: its other entries, and the gaps between them. The first MiB is the guest's own.</summary>
    internal static IEnumerable<KeptRange> HostHoles(ImmutableArray<E820Entry> machineMap)
    {
        ulong reached = OneMiB;
        foreach (E820Entry entry in Sorted(machineMap))
        {
            if (entry.End <= OneMiB)
                continue;
            if (entry.Address > reached)
                yield return new(reached, entry.Address, null, "a gap of the host's");
            if (entry.Type is not (E820Type.Ram or E820Type.Unusable))
                yield return new(Math.Max(entry.Address, OneMiB), entry.End, entry.Type, $"the host's: {E820TypeNames.Describe(entry.Type)}");
            reached = Math.Max(reached, entry.End);
        }

        // Below 4 GiB there may be devices behind the last entry as well.
        if (reached < Frames.FourGiB)
            yield return new(reached, Frames.FourGiB, null, "a gap of the host's");
    }

    internal static ulong EndOf(ImmutableArray<E820Entry> machineMap)
    {
        ulong end = Frames.FourGiB;
        foreach (E820Entry entry in machineMap)
        {
            if (!entry.Wraps)
                end = Math.Max(end, entry.End);
        }

        return end;
    }

    internal static E820Entry[] Sorted(ImmutableArray<E820Entry> map)
    {
        E820Entry[] sorted = new E820Entry[2 * map.Length];
        if (Sanitizer.TrySanitize(map.AsSpan(), sorted, new int[Sanitizer.ScratchLength(map.Length)], out int count))
            return sorted[..count];
        return [.. map];
    }

    /// <summary>Keeps a hole; the part of it where the kernel must lie only for a device's sake.</summary>
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
