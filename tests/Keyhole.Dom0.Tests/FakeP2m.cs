// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Hypercalls;

namespace Keyhole.Dom0.Tests;

/// <summary>The memory of a guest, as far as its P2M list needs it: shared_info, page tables or the old tree, and the list.</summary>
internal sealed class FakeP2m : IXenControl
{
    public const ulong Invalid = ulong.MaxValue;
    public const ulong Identity = 1UL << 62;
    public const ulong Foreign = 1UL << 63;
    public const ulong SharedInfoFrame = 7;

    /// <summary>Where Linux's list lies on most machines; amid a page of page tables here, so that it goes over the edge of one.</summary>
    public const ulong Address = 0xffff_c900_003f_e000;

    private const int EntriesAPage = 512;

    private readonly Dictionary<ulong, ulong[]> _frames = [];
    private ulong _next = 0x1000;

    public FakeP2m() => _frames[SharedInfoFrame] = new ulong[EntriesAPage];

    public DomainInfo Guest { get; init; } = new() { Id = new(5), CpuTimeNanoseconds = 1, SharedInfoFrame = SharedInfoFrame };

    public long Bits { get; init; } = 64;

    /// <summary>Pages that were read.</summary>
    public int Read { get; private set; }

    /// <summary>Called before each read.</summary>
    public Action<FakeP2m>? Reading { get; set; }

    public ulong MaxPfn { get => Shared(3088); set => Shared(3088) = value; }

    public ulong FrameListList { get => Shared(3096); set => Shared(3096) = value; }

    public ulong Cr3 { get => Shared(3112); set => Shared(3112) = value; }

    public ulong ListAddress { get => Shared(3120); set => Shared(3120) = value; }

    public ulong Generation { get => Shared(3128); set => Shared(3128) = value; }

    public IHypercalls Calls => throw new NotSupportedException();

    /// <summary>Tells of a list as Linux does since 3.19.</summary>
    public FakeP2m WithLinearList(ReadOnlySpan<ulong> entries)
    {
        (MaxPfn, FrameListList, ListAddress) = ((ulong)entries.Length, ulong.MaxValue, Address);
        ulong root = NewFrame();
        Cr3 = root << 12;
        ulong address = Address;
        foreach (ulong page in Pages(entries))
        {
            ulong table = root;
            for (int shift = 39; shift > 12; shift -= 9)
            {
                ref ulong entry = ref _frames[table][(address >> shift) & 511];
                if (entry == 0)
                    entry = (NewFrame() << 12) | 0x8000_0000_0000_0067;
                table = (entry & 0x000f_ffff_ffff_f000) >> 12;
            }

            _frames[table][(address >> 12) & 511] = (page << 12) | 0x8000_0000_0000_0063;
            address += 4096;
        }

        return this;
    }

    /// <summary>Tells of a list as Linux did up to 3.18.</summary>
    public FakeP2m WithTree(ReadOnlySpan<ulong> entries)
    {
        (MaxPfn, FrameListList) = ((ulong)entries.Length, NewFrame());
        int index = 0;
        foreach (ulong page in Pages(entries))
        {
            ref ulong middle = ref _frames[FrameListList][index / EntriesAPage];
            if (middle == 0)
                middle = NewFrame();
            _frames[middle][index++ % EntriesAPage] = page;
        }

        return this;
    }

    /// <summary>The page of page tables that leads to the list's page.</summary>
    public ref ulong TableEntry(int level, ulong address)
    {
        ulong table = Cr3 >> 12;
        for (int at = 3; at > level; at--)
            table = (_frames[table][(address >> (12 + (9 * at))) & 511] & 0x000f_ffff_ffff_f000) >> 12;
        return ref _frames[table][(address >> (12 + (9 * level))) & 511];
    }

    public XenResult<string> Version() => "4.17.0";

    public XenResult<IReadOnlyList<DomainInfo>> Domains() => new List<DomainInfo> { Guest };

    public XenResult<DomainInfo> Domain(DomainId id) => Guest;

    public long AddressBits(DomainId id) => Bits;

    public long ReadFrames(DomainId id, ReadOnlySpan<ulong> machineFrames, Span<byte> pages)
    {
        Reading?.Invoke(this);
        foreach (ulong frame in machineFrames)
        {
            if (!_frames.ContainsKey(frame))
                return -(long)XenError.EINVAL;
        }

        for (int i = 0; i < machineFrames.Length; i++)
        {
            Read++;
            Buffer.BlockCopy(_frames[machineFrames[i]], 0, _bytes, 0, 4096);
            _bytes.CopyTo(pages[(i * 4096)..]);
        }

        return 0;
    }

    public void Dispose()
    {
    }

    private readonly byte[] _bytes = new byte[4096];

    private ref ulong Shared(int offset) => ref _frames[SharedInfoFrame][offset / sizeof(ulong)];

    private ulong NewFrame()
    {
        _frames[++_next] = new ulong[EntriesAPage];
        return _next;
    }

    /// <summary>The frames of the list's pages; pages that say the same are one, as Linux has them.</summary>
    private List<ulong> Pages(ReadOnlySpan<ulong> entries)
    {
        List<ulong> all = [];
        for (int start = 0; start < entries.Length; start += EntriesAPage)
        {
            ReadOnlySpan<ulong> part = entries[start..Math.Min(start + EntriesAPage, entries.Length)];
            if (all.Count > 0 && part.Length == EntriesAPage && part.SequenceEqual(_frames[all[^1]]))
            {
                all.Add(all[^1]);
                continue;
            }

            ulong frame = NewFrame();
            part.CopyTo(_frames[frame]);
            all.Add(frame);
        }

        return all;
    }
}
