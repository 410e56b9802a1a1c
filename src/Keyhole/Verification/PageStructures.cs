// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Platforms;

namespace Keyhole.Verification;

/// <summary>What Linux needs of a domain's memory for RAM of its map that the domain does not have: a structure for each page, from the start
/// on.</summary>
/// <remarks>Source: Linux' include/linux/mm_types.h (struct page is 64 bytes on x86-64, with the alignment that SLUB asks for) and
/// mm/sparse-vmemmap.c; of 32-bit kernels the size depends on their configuration.</remarks>
internal static class PageStructures
{
    private const ulong BytesOfOne = 64;

    /// <summary>Of what a domain has, the share from which on it is told: one in so many.</summary>
    private const ulong WorthTelling = 32;

    /// <summary>What the structures of so much RAM take. Bytes.</summary>
    public static ulong BytesFor(ulong ramBytes) => (ramBytes >> Frames.Shift) * BytesOfOne;

    /// <summary>What the balloon's room costs a PV domain, and how to do without; null where that is little, or not known.</summary>
    /// <param name="request">The domain.</param>
    /// <param name="roomBytes">RAM of its map that it does not start with.</param>
    /// <param name="guest">The guest that was told; null of a map that was given.</param>
    public static string? Tell(BootRequest request, ulong roomBytes, GuestSpec? guest)
    {
        ulong has = request.PageCount << Frames.Shift;
        if (request.Is32Bit || !IsMuch(roomBytes, has))
            return null;
        ulong mib = request.PageCount >> (20 - Frames.Shift);
        // Where the limit is the start's size already, the room is what the map has beyond it, and no limit takes it away.
        string cure = request.IsDom0
            ? request.MaxPages == request.PageCount ? ""
                : $" What to change: dom0_mem={mib}M,max:{mib}M on Xen's command line, or more to start with."
            : guest is null || guest.MaxmemKiB <= guest.MemoryKiB ? "" : $" What to change: set {OwnWords.Most(request.Toolstack)} to "
                + $"{OwnWords.Memory(request.Toolstack)} ({guest.MemoryKiB >> 10}), or start the guest with more.";
        return $"{Words(roomBytes, has, request.IsDom0 ? "dom0" : "the guest")}{cure}";
    }

    private static bool IsMuch(ulong roomBytes, ulong hasBytes) => BytesFor(roomBytes) >= hasBytes / WorthTelling;

    private static string Words(ulong roomBytes, ulong hasBytes, string who) =>
        $"The kernel's structures for the pages of that room (64 bytes each) take about {ByteSize.ToText(BytesFor(roomBytes))} of the "
            + $"{ByteSize.ToText(hasBytes)} that {who} has from the start.";
}
