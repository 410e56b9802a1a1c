// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.PvGuest;

namespace Keyhole.Platforms.XenPvh;

/// <summary>
/// Whether Xen can load a PVH dom0's kernel where it is linked, which must be RAM of dom0's map in one piece. Xen from 4.19 on loads a kernel
/// elsewhere that allows it, which Linux does from 6.12 on; else Xen panics before any kernel runs.
/// </summary>
/// <remarks>Source: Xen's arch/x86/hvm/dom0_build.c (pvh_load_kernel, find_kernel_memory), commit dfc9fab003 of 4.19; Linux'
/// arch/x86/platform/pvh/head.S (XEN_ELFNOTE_PHYS32_RELOC, which the images of 6.12 have and those of 6.1 have not).</remarks>
internal static class PvhKernelPlace
{
    /// <summary>What Linux allows in its image: from <see cref="X86Layout.LinuxStart"/> on, in steps of <see cref="X86Layout.LargePageBytes"/>, up to
    /// 1 GiB (0x3fffffff in Debian's 6.12; 512 MiB in a kernel that was built without CONFIG_RANDOMIZE_BASE, which hardly one is).</summary>
    private const ulong Limit = 1UL << 30;

    private static readonly KernelRelease s_firstThatMoves = new(6, 12);

    /// <summary>An error where it is known where the kernel lies, a warning where that of a usual one is taken; null where it can be
    /// loaded.</summary>
    public static Problem? ProblemOf(Scenario scenario, ImmutableArray<E820Entry> map)
    {
        ByteRange kernel = scenario.LayoutThatCounts.Kernel;
        if (kernel.IsEmpty || FirstThatIsNotRam(kernel, map) is not { } conflict)
            return null;
        bool canMove = HasRoom(kernel.SizeBytes, map);
        bool xenMoves = scenario.Host.Traits.XenVersion is { } xen && !xen.IsUpTo(4, 18);
        if (canMove && xenMoves && scenario.Kernel >= s_firstThatMoves)
            return null;
        bool isUsual = scenario.Image is null && kernel == LinuxPvKernel.UsualImage;
        bool isTold = !isUsual && !(conflict.IsGap && scenario.Host.HasLostEntries);
        string where = $"[0x{kernel.Start:x}, 0x{kernel.End:x})";
        string what = $"{conflict.Name} at 0x{conflict.Start:x} is where it must be";
        return new(
            isTold ? Severity.Error : Severity.Warning,
            ProblemCodes.KernelNotOnRam,
            isTold ? $"Xen cannot load dom0's kernel to {where}, and panics: {what}"
                : $"whether Xen can load dom0's kernel is not known: to {where}"
                    + $"{(isUsual ? ", where one as large as Linux 6.1's goes," : "")} it could not: {what}",
            conflict.Start,
            conflict.End,
            Remedy: !canMove ? null
                : xenMoves ? "boot a Linux from 6.12 on, which Xen may load elsewhere"
                : "boot Xen 4.19 or later with a Linux from 6.12 on, which Xen then loads elsewhere");
    }

    private static (ulong Start, ulong End, string Name, bool IsGap)? FirstThatIsNotRam(ByteRange kernel, ImmutableArray<E820Entry> map)
    {
        ulong reached = kernel.Start;
        foreach (E820Entry entry in SortedMap.Of(map.AsSpan()))
        {
            if (entry.Wraps || entry.End <= reached)
                continue;
            if (entry.Address > reached)
                break;
            if (!entry.IsRam)
                return (reached > entry.Address ? reached : entry.Address, entry.End, $"{E820TypeNames.NameOf(entry.Type)} memory", false);
            reached = entry.End;
            if (reached >= kernel.End)
                return null;
        }

        return (reached, kernel.End, "no memory of dom0's", true);
    }

    private static bool HasRoom(ulong size, ImmutableArray<E820Entry> map)
    {
        foreach (E820Entry entry in map)
        {
            if (!entry.IsRam || entry.Wraps)
                continue;
            ulong start = Align.Up(ulong.Max(entry.Address, X86Layout.LinuxStart), X86Layout.LargePageBytes);
            ulong end = ulong.Min(entry.End, Limit);
            if (start < end && end - start >= size)
                return true;
        }

        return false;
    }
}
