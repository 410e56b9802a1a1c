// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Simulation;

/// <summary>What the machine knows about one frame. The default is a frame that is no RAM.</summary>
internal struct FrameState : IAffine<FrameState>
{
    /// <summary>M2P entry of a frame that is nobody's page (INVALID_M2P_ENTRY).</summary>
    public const ulong InvalidM2P = ulong.MaxValue;

    /// <summary>The pfn that the owner, or Xen for it, wrote; meaningful only while the frame has an owner.</summary>
    public ulong M2P;

    /// <summary>L1 entries that map the frame, and one more while it is a page table.</summary>
    public uint References;

    /// <summary>The owner's slot in the machine's list, plus 1; 0 nobody.</summary>
    public ushort Owner;

    public FrameFlags Flags;

    public static FrameState FreeRam => new() { Flags = FrameFlags.Ram };

    public readonly bool IsRam => (Flags & FrameFlags.Ram) != FrameFlags.None;

    public readonly bool IsAllocated => (Flags & FrameFlags.Allocated) != FrameFlags.None;

    public readonly bool IsPageTable => (Flags & FrameFlags.PageTable) != FrameFlags.None;

    /// <summary>The M2P entry as a guest reads it.</summary>
    public readonly ulong VisibleM2P => Owner == 0 ? InvalidM2P : M2P;

    public readonly FrameState Advance(ulong distance)
    {
        FrameState further = this;
        if (Owner != 0 && M2P != InvalidM2P)
            further.M2P = unchecked(M2P + distance);
        return further;
    }

    public readonly bool Same(in FrameState other) =>
        M2P == other.M2P && References == other.References && Owner == other.Owner && Flags == other.Flags;
}

[Flags]
internal enum FrameFlags : ushort
{
    None = 0,

    /// <summary>RAM that Xen hands out; without it the frame is MMIO to every domain.</summary>
    Ram = 1,

    /// <summary>The owner has not given the frame back. One given back while it is mapped leaves only with its last mapping.</summary>
    Allocated = 2,

    /// <summary>In use as an L1 table: not to be mapped writable.</summary>
    PageTable = 4,
}
