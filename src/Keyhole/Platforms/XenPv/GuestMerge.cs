// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hypercalls;

namespace Keyhole.Platforms.XenPv;

/// <summary>How a guest's attempt to punch its holes itself ended.</summary>
public enum MergeOutcome
{
    /// <summary>The toolstack's map has several entries: it knew what it did, and the guest leaves it alone.</summary>
    ToolstackWins,

    /// <summary>The guest has punched its holes.</summary>
    Merged,

    /// <summary>The hypervisor does not tell the machine's map (EPERM to an unprivileged guest): the guest goes on without holes.</summary>
    Refused,

    /// <summary>The toolstack's map cannot be read for another reason than that there is none; Linux stops here (BUG).</summary>
    NoMap,
}

/// <param name="Result">What the call that decided returned: 0 or −<see cref="XenError"/>.</param>
/// <param name="Map">The map that the guest goes on with; empty for <see cref="MergeOutcome.NoMap"/>.</param>
public sealed record MergedMap(MergeOutcome Outcome, long Result, PolicyResult Map);

/// <summary>
/// A guest that makes the holes itself (seed 001, option 2): where XENMEM_memory_map says ENOSYS or has a single entry, it asks for the machine's map
/// and lays its memory around that, "to leave open the possibility of cunning tricks on the tools side".
/// </summary>
public static class GuestMerge
{
    private const int MaxMapEntries = 1024;

    /// <param name="xen">Answers as the guest's hypervisor does.</param>
    /// <param name="guest">Its memory is what the guest has where no map was set.</param>
    public static MergedMap Run<TXen>(ref TXen xen, GuestSpec guest)
        where TXen : IHypercalls
    {
        ArgumentNullException.ThrowIfNull(guest);
        E820Entry[] buffer = new E820Entry[MaxMapEntries + 1];
        long result = xen.MemoryMap(buffer, out int count);
        if (result != 0 && result != -(long)XenError.ENOSYS)
            return new(MergeOutcome.NoMap, result, new([], []));
        ulong ramBytes = guest.MemoryKiB << 10;
        PolicyResult own = new([new(E820Entry.FromSize(0, ramBytes, E820Type.Ram), "the guest's memory; no map was set")], []);
        if (result == 0)
        {
            var entries = ImmutableArray.CreateBuilder<PlannedEntry>(count);
            foreach (E820Entry entry in buffer.AsSpan(0, count))
                entries.Add(new(entry, "the toolstack's"));
            own = new(entries.ToImmutable(), []);
            if (count != 1 || !buffer[0].IsRam || buffer[0].Address != 0)
                return new(MergeOutcome.ToolstackWins, 0, own);
            ramBytes = buffer[0].Size;
        }

        result = xen.MachineMemoryMap(buffer, out count);
        if (result != 0)
            return new(MergeOutcome.Refused, result, own);
        GuestSpec sized = guest with { MemoryKiB = ramBytes >> 10, MaxmemKiB = ramBytes >> 10 };
        return new(MergeOutcome.Merged, 0, Merge(new([.. buffer.AsSpan(0, count)], sized, [])));
    }

    /// <summary>
    /// The host's holes in the guest's memory, off the place where the guest's kernel runs already. Its devices are not known to it yet: windows that
    /// do not lie in a hole of the host's map meet RAM.
    /// </summary>
    public static PolicyResult Merge(PolicyInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        List<Problem> problems = [];
        List<KeptRange> kept = HostHoles.OffTheKernel(HostHoles.Of(input.MachineMap), [], problems);
        PolicyResult result = MapAllocator.Allocate(kept, input);
        return result with { Problems = [.. problems, .. result.Problems] };
    }
}

/// <summary><see cref="GuestMerge"/> as a policy: what a guest would come to on a Xen that lets it ask, under a toolstack that gives it one RAM
/// entry.</summary>
public sealed class GuestMergePolicy : IHolePolicy
{
    /// <inheritdoc/>
    public string Name => "guest-merge";

    /// <inheritdoc/>
    public PolicyTraits Traits { get; } = new(PolicyNeeds.ChangedXen, 5) { IsMadeByGuest = true };

    /// <inheritdoc/>
    public PolicyResult Lay(PolicyInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        PolicyResult result = GuestMerge.Merge(input);
        var refused = new Problem(
            Severity.Error,
            ProblemCodes.XenRefuses,
            $"needs a Xen that tells an unprivileged guest the machine's map: the real one says EPERM (−{(int)XenError.EPERM}) to "
                + $"XENMEM_machine_memory_map, and no Linux asks",
            Remedy: "have the toolstack make the holes: punch, hole-at or minimal");
        return result with { Problems = [refused, .. result.Problems] };
    }
}
