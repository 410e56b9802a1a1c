// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using Keyhole.E820;
using Keyhole.Logs;
using Keyhole.PvGuest;

namespace Keyhole.Captures;

/// <summary>What "unusable" is in the map of a kernel under Xen: RAM of the machine that somebody made unusable, libxl for a guest or the kernel
/// itself beyond dom0's share. Xen, whom libxl asks for the machine's map, has RAM there.</summary>
/// <remarks>Source: libxl_x86.c, e820_sanitize: the machine's RAM becomes E820_UNUSABLE, its own unusable ranges are left out. Linux,
/// arch/x86/xen/setup.c: dom0 takes what the machine's map has as unusable for RAM (from 3.11 on), so that none comes from there; up to 4.3
/// and from 4.16 to 4.19 it marks RAM beyond the limit unusable.</remarks>
internal static class UnusableMadeUp
{
    public const string Remark = "What is unusable in it is taken for the host's RAM: libxl, or dom0's kernel beyond dom0's share, has made "
        + "that of RAM";

    /// <summary>Whether the map's unusable ranges are known to be no word of the machine's.</summary>
    public static bool IsIn(LogScan scan, LogMap map)
    {
        if (map.Kind != LogMapKind.GuestKernel || map.Entries.All(static entry => entry.Type != E820Type.Unusable))
            return false;
        return scan.Boots.OwnerOf(map) == BootOwner.Guest
            || (scan.Boots.Around(map)?.Identity?.Release is { } release && KernelProfile.Of(release) is var kernel
                && (kernel.MarksSurplusUnusable || kernel.Has(KernelBehaviour.TakesUnusableForRam)));
    }

    /// <summary>The machine's entries, as far as the map tells: with RAM where it is made unusable, in one piece with RAM next to it.</summary>
    public static ImmutableArray<E820Entry> MachinesEntries(ImmutableArray<E820Entry> entries)
    {
        var machine = ImmutableArray.CreateBuilder<E820Entry>(entries.Length);
        bool wasMade = false;
        foreach (E820Entry entry in entries)
        {
            bool isMade = entry.Type == E820Type.Unusable;
            E820Entry own = isMade ? entry.WithType(E820Type.Ram) : entry;
            if (machine.Count != 0 && (isMade || wasMade) && !own.Wraps && machine[^1] is { IsRam: true, Wraps: false } last && own.IsRam
                && last.End == own.Address)
                machine[^1] = E820Entry.FromBounds(last.Address, own.End, E820Type.Ram);
            else
                machine.Add(own);
            wasMade = isMade;
        }

        return machine.ToImmutable();
    }
}
