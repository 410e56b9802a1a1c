// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.Hypercalls;
using Keyhole.PvGuest;

namespace Keyhole.Probe;

/// <summary>Maps for <see cref="BatchedFrames{TXen, TMapper}"/>. Its state is <see cref="AddressSpace"/>'s.</summary>
internal unsafe struct FrameMapper : IFrameMapper
{
    private const int CallsPerBatch = 128;

    /// <summary>Pages that the domain builder mapped and that lead to the device now, and those that Xen did not let go there.</summary>
    public static ulong IdentityMapped;
    public static ulong IdentityRefused;

    private static MulticallEntry* s_calls;

    /// <summary>Frames below this have an address of the domain builder's.</summary>
    public static ulong BuilderMappedEnd;

    /// <summary>Maps the frames of the range that have machine frames. False, and <paramref name="error"/> what Xen says, where it refuses.</summary>
    /// <param name="range">Frames within the list.</param>
    /// <param name="p2m">The list, from frame 0 on.</param>
    public static bool Map(PfnRange range, ReadOnlySpan<ulong> p2m, out long error)
    {
        PfnRange part = range.Intersect(PfnRange.FromBounds(default, new Pfn(AddressSpace.LinearPages)));
        var source = new FrameEntries(p2m);
        return AddressSpace.Map(part.Start.Value, part.Count, ref source, out error);
    }

    public readonly void MapIdentity(PfnRange range, bool zaps)
    {
        PfnRange part = range.Intersect(PfnRange.FromBounds(default, new Pfn(BuilderMappedEnd)));
        if (s_calls == null)
        {
            fixed (MulticallEntry* calls = Arena.Take<MulticallEntry>(CallsPerBatch))
                s_calls = calls;
        }

        int count = 0;
        for (ulong pfn = part.Start.Value; pfn < part.End.Value; pfn++)
        {
            ulong address = pfn << Frames.Shift;
            s_calls[count] = new()
            {
                op = Hypercall.update_va_mapping,
                arg0 = AddressSpace.BuilderBase + address,
                arg1 = zaps ? 0 : address | AddressSpace.Device,
                arg2 = Uvmf.InvalidateLocally,
            };
            count++;
            if (count == CallsPerBatch || pfn + 1 == part.End.Value)
            {
                Carry(count);
                count = 0;
            }
        }
    }

    /// <summary>What Xen refuses to lead to the device leads nowhere: a page about to be given away must not stay mapped.</summary>
    private static void Carry(int count)
    {
        if (default(RealXen).Multicall(new Span<MulticallEntry>(s_calls, count)) != 0)
            Panic.Die("multicall refused"u8);
        int refused = 0;
        for (int i = 0; i < count; i++)
        {
            if (s_calls[i].result == 0)
                continue;
            s_calls[refused] = new() { op = Hypercall.update_va_mapping, arg0 = s_calls[i].arg0, arg2 = Uvmf.InvalidateLocally };
            refused++;
        }

        IdentityMapped += (ulong)(count - refused);
        IdentityRefused += (ulong)refused;
        if (refused == 0)
            return;
        if (default(RealXen).Multicall(new Span<MulticallEntry>(s_calls, refused)) != 0)
            Panic.Die("multicall refused"u8);
        for (int i = 0; i < refused; i++)
        {
            if (s_calls[i].result != 0)
                Panic.Die("page about to be given away stays mapped"u8);
        }
    }
}
