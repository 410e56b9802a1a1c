// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Runtime.InteropServices;
using Keyhole.Dom0.Native;

namespace Keyhole.Dom0;

/// <summary>
/// Zeroed memory that a hypercall can read and write: Xen takes no page faults for the caller. From /dev/xen/hypercall, whose pages the kernel
/// neither moves nor swaps; before Linux 4.18, which lacks it, locked memory.
/// </summary>
public sealed unsafe class HypercallBuffer : IDisposable
{
    private const string Device = "/dev/xen/hypercall";
    private const int PageSizeBytes = 4096;

    private readonly MemoryMapping _mapping;

    private HypercallBuffer(MemoryMapping mapping, int sizeBytes)
    {
        _mapping = mapping;
        SizeBytes = sizeBytes;
    }

    /// <summary>Its size, whole pages.</summary>
    public int SizeBytes { get; }

    /// <summary>Where the buffer lies, as a hypercall's argument.</summary>
    public ulong Address => (ulong)_mapping.Address;

    /// <summary>All of the buffer. Not to be used after <see cref="Dispose"/>.</summary>
    public Span<byte> Bytes => new((void*)_mapping.Address, SizeBytes);

    /// <summary>A buffer of at least that size, or null where the kernel has no memory for it.</summary>
    public static HypercallBuffer? Allocate(int sizeBytes)
    {
        int rounded = checked(sizeBytes + PageSizeBytes - 1) / PageSizeBytes * PageSizeBytes;
        using FileDescriptor device = FileDescriptor.Open(Device, LibC.O_RDWR | LibC.O_CLOEXEC);
        // The mapping outlives the descriptor.
        nint address = device.IsInvalid
            ? LibC.mmap(0, (nuint)rounded, LibC.PROT_READ | LibC.PROT_WRITE, LibC.MAP_PRIVATE | LibC.MAP_ANONYMOUS | LibC.MAP_LOCKED
                | LibC.MAP_POPULATE, -1, 0)
            : LibC.mmap(0, (nuint)rounded, LibC.PROT_READ | LibC.PROT_WRITE, LibC.MAP_SHARED, (int)device.DangerousGetHandle(), 0);
        var mapping = new MemoryMapping(address, (nuint)rounded);
        if (!mapping.IsInvalid)
            return new(mapping, rounded);
        mapping.Dispose();
        return null;
    }

    /// <summary>The struct at an offset.</summary>
    public ref T At<T>(int offset)
        where T : unmanaged
        => ref MemoryMarshal.AsRef<T>(Bytes.Slice(offset, sizeof(T)));

    /// <summary>A number of structs from an offset in bytes on. Not to be used after <see cref="Dispose"/>.</summary>
    public Span<T> Span<T>(int offset, int count)
        where T : unmanaged
        => MemoryMarshal.Cast<byte, T>(Bytes.Slice(offset, checked(count * sizeof(T))));

    /// <inheritdoc/>
    public void Dispose() => _mapping.Dispose();
}
