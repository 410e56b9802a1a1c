// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.Platforms.XenPvh;

/// <summary>The map that a Linux in a PVH domain prints first: the domain's, with what a PC has below 1 MiB, sanitised.</summary>
/// <remarks>Source: arch/x86/platform/pvh/enlighten.c (init_pvh_bootparams).</remarks>
internal static class PvhLinuxView
{
    public static ImmutableArray<E820Entry> Of(ImmutableArray<E820Entry> given)
    {
        ImmutableArray<E820Entry> map = given.Add(E820Entry.FromBounds(X86Layout.IsaStart, X86Layout.IsaEnd, E820Type.Reserved));
        return SortedMap.Of(map.AsSpan());
    }
}
