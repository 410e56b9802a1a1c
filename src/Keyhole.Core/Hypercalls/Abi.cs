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

    public DomainId(ushort value) => Value = value;

    public ushort Value { get; }

    /// <inheritdoc/>
    public bool Equals(DomainId other) => Value == other.Value;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is DomainId other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => Value;

    public static bool operator ==(DomainId left, DomainId right) => left.Value == right.Value;

    public static bool operator !=(DomainId left, DomainId right) => left.Value != right.Value;
}

/// <summary>struct xen_memory_reservation, 32 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct MemoryReservation
{
    public const int SizeBytes = 32;

    public ulong extent_start;
    public ulong nr_extents;
    public uint extent_order;
    public uint mem_flags;
    public ushort domid;
}

/// <summary>struct xen_memory_map, 16 bytes: room for entries in, entries written out.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct MemoryMapRequest
{
    public const int SizeBytes = 16;

    public uint nr_entries;
    public ulong buffer;
}

/// <summary>struct xen_foreign_memory_map, 24 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct ForeignMemoryMap
{
    public const int SizeBytes = 24;

    public ushort domid;
    public MemoryMapRequest map;
}

/// <summary>struct xen_memory_exchange, 72 bytes. <c>nr_exchanged</c> must be 0 on entry.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct MemoryExchange
{
    public const int SizeBytes = 72;

    public MemoryReservation @in;
    public MemoryReservation @out;
    public ulong nr_exchanged;
}

/// <summary>struct mmu_update, 16 bytes: the command in the two lowest bits of <c>ptr</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct MmuUpdate
{
    public const int SizeBytes = 16;

    public ulong ptr;
    public ulong val;
}

/// <summary>struct multicall_entry, 64 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct MulticallEntry
{
    public const int SizeBytes = 64;

    public ulong op;
    public long result;
    public ulong arg0;
    public ulong arg1;
    public ulong arg2;
    public ulong arg3;
    public ulong arg4;
    public ulong arg5;
}

/// <summary>struct callback_register on 64 bits, 16 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct CallbackRegister
{
    public const int SizeBytes = 16;

    public ushort type;
    public ushort flags;
    public ulong address;
}
