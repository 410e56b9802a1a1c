// SPDX-License-Identifier: GPL-2.0-only

using System.Runtime.InteropServices;

namespace Keyhole.Hypercalls;

/// <summary>A domain's number. <see cref="Self"/> stands for the caller.</summary>
public readonly struct DomainId : System.IEquatable<DomainId>
{
    /// <summary>DOMID_SELF: the domain that makes the call.</summary>
    public static DomainId Self => new(SelfValue);

    /// <summary>The number behind <see cref="Self"/>, for the calls that take it bare.</summary>
    public const ushort SelfValue = 0x7ff0;

    /// <summary>Domain numbers are below this (DOMID_FIRST_RESERVED).</summary>
    public const ushort FirstReserved = 0x7ff0;

    /// <summary>The domain of that number.</summary>
    public DomainId(ushort value) => Value = value;

    /// <summary>The number, below <see cref="FirstReserved"/> for a domain, or one of Xen's special ones.</summary>
    public ushort Value { get; }

    /// <inheritdoc/>
    public bool Equals(DomainId other) => Value == other.Value;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is DomainId other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => Value;

    /// <summary>Whether both are equal.</summary>
    public static bool operator ==(DomainId left, DomainId right) => left.Value == right.Value;

    /// <summary>Whether they differ.</summary>
    public static bool operator !=(DomainId left, DomainId right) => left.Value != right.Value;
}

/// <summary>struct xen_memory_reservation, 32 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct MemoryReservation
{
    /// <summary>Bytes of the structure.</summary>
    public const int SizeBytes = 32;

    /// <summary>Address of the list of frame numbers.</summary>
    public ulong extent_start;

    /// <summary>Frame numbers in the list.</summary>
    public ulong nr_extents;

    /// <summary>Pages of each extent, as a power of two.</summary>
    public uint extent_order;

    /// <summary>XENMEMF_*: address width, node, populate on demand.</summary>
    public uint mem_flags;

    /// <summary>The domain whose memory it is.</summary>
    public ushort domid;
}

/// <summary>struct xen_memory_map, 16 bytes: room for entries in, entries written out.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct MemoryMapRequest
{
    /// <summary>Bytes of the structure.</summary>
    public const int SizeBytes = 16;

    /// <summary>In: entries that the buffer holds. Out: entries written.</summary>
    public uint nr_entries;

    /// <summary>Address of the entries, 20 bytes each.</summary>
    public ulong buffer;
}

/// <summary>struct xen_foreign_memory_map, 24 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct ForeignMemoryMap
{
    /// <summary>Bytes of the structure.</summary>
    public const int SizeBytes = 24;

    /// <summary>The domain that gets the map.</summary>
    public ushort domid;

    /// <summary>The map.</summary>
    public MemoryMapRequest map;
}

/// <summary>struct xen_memory_exchange, 72 bytes. <c>nr_exchanged</c> must be 0 on entry.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct MemoryExchange
{
    /// <summary>Bytes of the structure.</summary>
    public const int SizeBytes = 72;

    /// <summary>The extents that are given up.</summary>
    public MemoryReservation @in;

    /// <summary>The extents that are got for them.</summary>
    public MemoryReservation @out;

    /// <summary>Out: extents of <see cref="@in"/> that were exchanged.</summary>
    public ulong nr_exchanged;
}

/// <summary>struct mmu_update, 16 bytes: the command in the two lowest bits of <c>ptr</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct MmuUpdate
{
    /// <summary>Bytes of the structure.</summary>
    public const int SizeBytes = 16;

    /// <summary>Machine address of what is written, with the command in its two lowest bits.</summary>
    public ulong ptr;

    /// <summary>What is written there.</summary>
    public ulong val;
}

/// <summary>struct multicall_entry, 64 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct MulticallEntry
{
    /// <summary>Bytes of the structure.</summary>
    public const int SizeBytes = 64;

    /// <summary>Number of the hypercall.</summary>
    public ulong op;

    /// <summary>Out: what it returned.</summary>
    public long result;

    /// <summary>First argument.</summary>
    public ulong arg0;

    /// <summary>Second argument.</summary>
    public ulong arg1;

    /// <summary>Third argument.</summary>
    public ulong arg2;

    /// <summary>Fourth argument.</summary>
    public ulong arg3;

    /// <summary>Fifth argument.</summary>
    public ulong arg4;

    /// <summary>Sixth argument.</summary>
    public ulong arg5;
}

/// <summary>struct callback_register on 64 bits, 16 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct CallbackRegister
{
    /// <summary>Bytes of the structure.</summary>
    public const int SizeBytes = 16;

    /// <summary>CALLBACKTYPE_*.</summary>
    public ushort type;

    /// <summary>CALLBACKF_*.</summary>
    public ushort flags;

    /// <summary>Where Xen enters the guest.</summary>
    public ulong address;
}
