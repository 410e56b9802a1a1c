// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;

namespace Keyhole.PvGuest;

/// <summary>What an entry of a flat P2M says besides a machine frame's number: Linux keeps it in the topmost bits (asm/xen/page.h).</summary>
internal static class P2mEntry
{
    /// <summary>The entry of a frame without a machine frame.</summary>
    public const ulong Invalid = ulong.MaxValue;

    /// <summary>Set in the entry of an identity frame.</summary>
    public const ulong IdentityBit = 1UL << 62;

    /// <summary>Whether the entry is the number of a machine frame that is the guest's own.</summary>
    public static bool HasFrame(ulong entry) => entry != Invalid && (entry & IdentityBit) == 0;

    /// <summary>The 512 frames whose entries stand in one page of the P2M with that of <paramref name="pfn"/>.</summary>
    public static PfnRange LeafOf(Pfn pfn) => PfnRange.FromCount(new(pfn.Value & ~511UL), 512);

    /// <summary>Whether every entry says identity.</summary>
    public static bool AreIdentity(System.ReadOnlySpan<ulong> entries)
    {
        foreach (ulong entry in entries)
        {
            if (entry == Invalid || (entry & IdentityBit) == 0)
                return false;
        }

        return true;
    }

    /// <summary>Makes all entries invalid that do not say identity.</summary>
    public static void InvalidateUnlessIdentity(System.Span<ulong> entries)
    {
        for (int i = 0; i < entries.Length; i++)
        {
            if (entries[i] == Invalid || (entries[i] & IdentityBit) == 0)
                entries[i] = Invalid;
        }
    }
}
