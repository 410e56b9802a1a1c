// SPDX-License-Identifier: GPL-2.0-only

using System.Runtime;
using System.Runtime.CompilerServices;

namespace Keyhole.Probe;

#pragma warning disable CS0649 // entry.S fills it in.
/// <summary>Addresses of what entry.S lays out, in its order.</summary>
internal struct Layout
{
    /// <summary>Pages in <see cref="Window"/>.</summary>
    public const int WindowPages = 128;

    public ulong ImageStart;
    public ulong ImageEnd;

    /// <summary>Pages whose mappings the probe changes at will.</summary>
    public ulong Window;

    public ulong ConsolePage;
    public ulong SharedInfoPage;
    public ulong Arena;
    public ulong ArenaEnd;
    public ulong EventEntry;
    public ulong FailsafeEntry;
    public ulong SyscallEntry;
    public ulong TrapTable;
    public ulong EventCount;

    /// <summary>The page below the stack, of which nothing is to be used.</summary>
    public ulong StackGuard;
}

#pragma warning restore CS0649

/// <summary>What C# cannot say; in entry.S.</summary>
internal static unsafe class Native
{
    /// <summary>A hypercall of up to five arguments.</summary>
    [RuntimeImport("*", "probe_hypercall")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern long Hypercall(ulong number, ulong arg0, ulong arg1, ulong arg2, ulong arg3, ulong arg4);

    [RuntimeImport("*", "probe_rdtsc")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern ulong ReadTimeStampCounter();

    [RuntimeImport("*", "memmove")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern void MoveMemory(ref byte destination, ref byte source, nuint length);

    [RuntimeImport("*", "memset")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern void FillMemory(ref byte destination, int value, nuint length);

    /// <summary>The address behind a reference: the argument, handed back.</summary>
    [RuntimeImport("*", "probe_address_of")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern void* AddressOf(ref byte reference);

    /// <summary>Reads 4 bytes that may not be there. False, and no trap, where the processor refuses.</summary>
    [RuntimeImport("*", "probe_try_read")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern bool TryRead(ulong address, uint* value);

    /// <summary>Faults with the stack pointer at 0.</summary>
    [RuntimeImport("*", "probe_fault_without_stack")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern void FaultWithoutStack();

    [RuntimeImport("*", "probe_layout")]
    [MethodImpl(MethodImplOptions.InternalCall)]
    public static extern Layout* Layout();
}
