// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using Keyhole.E820;

namespace Keyhole.Platforms.XenPvh;

/// <summary>The map that a Linux in a PVH domain prints first: the domain's, with what a PC has below 1 MiB, sanitised.</summary>
/// <remarks>Source: arch/x86/platform/pvh/enlighten.c (init_pvh_bootparams).</remarks>
internal static class PvhLinuxView
{
    private const ulong IsaStart = 0xa0000;
    private const ulong IsaEnd = 0x100000;

    public static ImmutableArray<E820Entry> Of(ImmutableArray<E820Entry> given)
    {
        ImmutableArray<E820Entry> map = given.Add(E820Entry.FromBounds(IsaStart, IsaEnd, E820Type.Reserved));
        var sanitised = new E820Entry[2 * map.Length];
        return Sanitizer.TrySanitize(map.AsSpan(), sanitised, new int[Sanitizer.ScratchLength(map.Length)], out int count) ? [.. sanitised.AsSpan(0, count)] : map;
    }
}
