// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.PvGuest;

namespace Keyhole.Probe;

/// <summary>The frames that a list gives machine frames, tables for reading only.</summary>
internal readonly unsafe ref struct FrameEntries : IEntrySource
{
    private readonly ReadOnlySpan<ulong> _p2m;

    public FrameEntries(ReadOnlySpan<ulong> p2m) => _p2m = p2m;

    public ulong EntryOf(ulong page)
    {
        ulong entry = _p2m[(int)page];
        if (!P2mEntry.HasFrame(entry))
            return 0;
        return (entry << Frames.Shift) | (AddressSpace.IsTable(page) ? AddressSpace.ReadOnly : AddressSpace.Writable);
    }

    public void Fill(ulong* entries, ulong page, int count)
    {
        if (AddressSpace.MayBeTable(page, (ulong)count))
        {
            for (int i = 0; i < count; i++)
                entries[i] = EntryOf(page + (ulong)i);
            return;
        }

        // Most of memory takes this way: no more than the entry itself is looked at.
        fixed (ulong* frames = _p2m.Slice((int)page, count))
        {
            unchecked
            {
                for (nint i = 0; i < count; i++)
                {
                    ulong frame = frames[i];
                    entries[i] = frame < P2mEntry.IdentityBit ? (frame << Frames.Shift) | AddressSpace.Writable : 0;
                }
            }
        }
    }
}
