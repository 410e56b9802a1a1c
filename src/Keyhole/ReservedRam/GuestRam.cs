// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.ReservedRam;

/// <summary>
/// One memory slot of the guest, with the members of KVM's <c>struct kvm_userspace_memory_region</c> (linux/kvm.h) under their names' meaning.
/// <see cref="UserspaceOffset"/> stands for userspace_addr: it is to be added to where the virtual machine has mapped the slot's backing.
/// </summary>
/// <param name="Slot">Slot number, from 0 on.</param>
/// <param name="GuestAddress">guest_phys_addr: a multiple of the page size.</param>
/// <param name="SizeBytes">memory_size: a multiple of the page size, not 0.</param>
/// <param name="UserspaceOffset">Offset in /dev/mem where <paramref name="IsIdentity"/>, which is the host's physical address; else in a buffer of
/// the virtual machine.</param>
/// <param name="IsIdentity">Whether guest and host address are the same, so that a device may reach it.</param>
public sealed record MemorySlot(int Slot, ulong GuestAddress, ulong SizeBytes, ulong UserspaceOffset, bool IsIdentity)
{
    /// <summary>KVM_MEM_LOG_DIRTY_PAGES and KVM_MEM_READONLY are both unset.</summary>
    public const uint Flags = 0;

    /// <summary>The host's physical address, or null where the kernel chooses it.</summary>
    public ulong? HostAddress => IsIdentity ? UserspaceOffset : null;

    /// <summary>The guest's addresses.</summary>
    public ByteRange Guest => ByteRange.FromSize(GuestAddress, SizeBytes);
}

/// <summary>What a guest on kept RAM is given: a map that names the kept RAM only, and slots for that and for what failed.</summary>
public sealed class GuestRam
{
    private GuestRam(ImmutableArray<E820Entry> map, ImmutableArray<MemorySlot> slots)
    {
        Map = map;
        Slots = slots;
    }

    /// <summary>The guest's E820: RAM entries of whole pages, ascending.</summary>
    public ImmutableArray<E820Entry> Map { get; }

    /// <summary>Ascending, without overlaps. Failed pages have a slot although the map does not name them: kernels touch them all the same.</summary>
    public ImmutableArray<MemorySlot> Slots { get; }

    /// <summary>Bytes of RAM in the map.</summary>
    public ulong MemoryBytes => Map.Aggregate(0UL, static (sum, entry) => sum + entry.Size);

    /// <summary>Size of the buffer behind the slots that are not identity.</summary>
    public ulong BufferBytes => Slots.Where(static slot => !slot.IsIdentity).Aggregate(0UL, static (sum, slot) => sum + slot.SizeBytes);

    /// <summary>
    /// Lays the guest out. A page of which only a part was kept counts as failed: mapping it would hand the guest the rest of it too.
    /// </summary>
    /// <param name="memoryBytes">The guest's memory, taken from the lowest kept page on; more than there is gives all there is.</param>
    public static GuestRam Of(ReservedRamMap host, ulong memoryBytes = ulong.MaxValue)
    {
        ArgumentNullException.ThrowIfNull(host);
        ImmutableArray<ByteRange> kept = ByteRanges.WholePages(host.Kept);
        ImmutableArray<ByteRange> given = Lowest(kept, memoryBytes >> Frames.Shift << Frames.Shift);
        ulong end = given.IsEmpty ? 0 : given[^1].End;
        ImmutableArray<ByteRange> touched = ByteRanges.TouchedPages(ByteRanges.Union(host.Kept.Concat(host.Failed)));
        ImmutableArray<ByteRange> failed = ByteRanges.Intersect(ByteRanges.Subtract(touched, kept), end == 0 ? [] : [ByteRange.FromBounds(0, end)]);

        var slots = ImmutableArray.CreateBuilder<MemorySlot>(given.Length + failed.Length);
        ulong bufferBytes = 0;
        foreach ((ByteRange range, bool isIdentity) in Merge(given, failed))
        {
            slots.Add(new(slots.Count, range.Start, range.SizeBytes, isIdentity ? range.Start : bufferBytes, isIdentity));
            if (!isIdentity)
                bufferBytes += range.SizeBytes;
        }

        return new([.. given.Select(static range => E820Entry.FromSize(range.Start, range.SizeBytes, E820Type.Ram))], slots.MoveToImmutable());
    }

    /// <summary>
    /// The parts of a guest's RAM that a device would miss: its driver gives it guest addresses, and without an IOMMU the device takes them for the
    /// host's. Empty when every page that the map names is identity.
    /// </summary>
    public static ImmutableArray<ByteRange> NotIdentity(ImmutableArray<E820Entry> guestMap, ImmutableArray<MemorySlot> slots)
    {
        Given.Array(guestMap, nameof(guestMap));
        Given.Array(slots, nameof(slots));
        ImmutableArray<ByteRange> ram = ByteRanges.Union(
            guestMap.Where(static entry => entry.IsRam && !entry.Wraps).Select(static entry => ByteRange.FromSize(entry.Address, entry.Size)));
        ImmutableArray<ByteRange> identity = ByteRanges.Union(
            slots.Where(static slot => slot.IsIdentity && slot.HostAddress == slot.GuestAddress).Select(static slot => slot.Guest));
        return ByteRanges.Subtract(ram, identity);
    }

    private static ImmutableArray<ByteRange> Lowest(ImmutableArray<ByteRange> ranges, ulong sizeBytes)
    {
        var lowest = ImmutableArray.CreateBuilder<ByteRange>();
        foreach (ByteRange range in ranges)
        {
            ulong taken = ulong.Min(range.SizeBytes, sizeBytes);
            if (taken == 0)
                break;
            lowest.Add(ByteRange.FromSize(range.Start, taken));
            sizeBytes -= taken;
        }

        return lowest.ToImmutable();
    }

    private static IEnumerable<(ByteRange Range, bool IsIdentity)> Merge(ImmutableArray<ByteRange> identity, ImmutableArray<ByteRange> failed) =>
        identity.Select(static range => (range, true)).Concat(failed.Select(static range => (range, false))).OrderBy(static part => part.range.Start);
}
