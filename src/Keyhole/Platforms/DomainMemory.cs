// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;

namespace Keyhole.Platforms;

/// <summary>Whether what a domain is to start with is enough for a kernel, and there at all.</summary>
internal static class DomainMemory
{
    public const string PvKernel = "a Linux PV kernel";
    public const string Kernel = "a Linux kernel";
    private const ulong MiB = 1UL << 20;

    /// <summary>Reports a PV or PVH domain in which no Linux has room, and tells whether it is one.</summary>
    /// <param name="memoryKiB">What it starts with.</param>
    /// <param name="kernel">What is in it where nobody says otherwise.</param>
    /// <param name="problems">Takes the report.</param>
    /// <param name="isDom0">Whether it is the host's own dom0.</param>
    public static bool ReportTooSmall(ulong memoryKiB, string kernel, List<Problem> problems, bool isDom0 = false)
    {
        ArgumentNullException.ThrowIfNull(problems);
        if (memoryKiB << 10 >= LinuxPvKernel.EndOfNeed)
            return false;
        problems.Add(new(
            Severity.Error,
            ProblemCodes.MemoryTooSmall,
            $"{ByteSize.ToText(memoryKiB << 10)} of memory are too little: {kernel} is at {LinuxPvKernel.LoadAddress / MiB} MiB and "
                + $"needs about {LinuxPvKernel.NeededBytes / MiB} MiB",
            Remedy: isDom0 ? $"give dom0 {LinuxPvKernel.EndOfNeed / MiB} MiB or more (dom0_mem= on Xen's command line)"
                : $"give the guest {LinuxPvKernel.EndOfNeed / MiB} MiB or more; what is no Linux (a unikernel) may do with less"));
        return true;
    }

    /// <summary>Reports a domain that is larger than its host; nothing where the source does not show the host's RAM.</summary>
    /// <param name="machineMap">The host's, in any order.</param>
    /// <param name="memoryKiB">What the domain starts with. What it could balloon up to is another matter: the next host may have it.</param>
    /// <param name="isOvercommitted">Whether the host may give memory that it does not have, as Linux does to its processes.</param>
    /// <param name="isDom0">Whether it is the host's own dom0, which Xen gives what it has left, if it asks for more.</param>
    /// <param name="isPinned">Whether all of it has to be there from the start, as with a device that is passed through, whatever the host may
    /// give.</param>
    public static void ReportTooLarge(Host host, ImmutableArray<E820Entry> machineMap, ulong memoryKiB, bool isOvercommitted, List<Problem> problems,
        bool isDom0 = false, bool isPinned = false)
    {
        ArgumentNullException.ThrowIfNull(host);
        ArgumentNullException.ThrowIfNull(problems);
        ulong hostKiB = (host.RamCounted ?? SumBytes(machineMap)) >> 10;
        if (host.RamShown == RamShown.Part || hostKiB == 0 || memoryKiB <= hostKiB)
            return;
        (string wanted, string there) = ByteSize.ToTexts(memoryKiB << 10, hostKiB << 10);
        string sizes = $"{wanted} of memory are {ByteSize.ToText((memoryKiB - hostKiB) << 10)} more than all RAM of the host ({there})";
        bool isCertain = host.RamShown == RamShown.All && !isOvercommitted;
        string consequence = isOvercommitted && isPinned
            ? "with a device passed through, which pins all of them, QEMU does not start the guest there"
                + (host.RamShown == RamShown.All ? "; what is forecast is for a host that has them"
                    : ", unless the source shows no more than a part of the host's RAM")
            : isOvercommitted ? "QEMU starts with swap alone"
            : isDom0 ? "Xen gives dom0 what it has left, not more"
            : isCertain ? "Xen cannot build it"
            : "Xen cannot build it, unless the source shows no more than dom0's share";
        problems.Add(new(
            isCertain ? Severity.Error : Severity.Warning,
            ProblemCodes.LargerThanHost,
            $"{sizes}: {consequence}",
            Remedy: isDom0 ? "say how many pages it has: fewer than all, for Xen needs some itself"
                : isOvercommitted ? "give it less: the host's own system needs some, too"
                : isCertain ? "give it less: Xen and dom0 need some, too"
                : "give it less, or name the log of 'xl dmesg' as the host"));
    }

    /// <summary>Where entries overlap, the highest type counts, as Linux has it.</summary>
    private static ulong SumBytes(ImmutableArray<E820Entry> map) =>
        SortedMap.BytesIn(ByteRange.FromBounds(0, ulong.MaxValue), SortedMap.Of(map.AsSpan()).AsSpan(), static entry => entry.IsRam);
}
