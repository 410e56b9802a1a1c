// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Runtime.CompilerServices;

namespace Keyhole.Probe;

/// <summary>The probe's own working memory, part of its image: given out once, zeroed, never taken back.</summary>
internal static unsafe class Arena
{
    private const ulong Alignment = 16;

    private static ulong s_used;

    public static Span<T> Take<T>(int count)
        where T : unmanaged
    {
        Layout* layout = Native.Layout();
        ulong sizeBytes = ((ulong)count * (ulong)Unsafe.SizeOf<T>()) + (Alignment - 1) & ~(Alignment - 1);
        ulong address = layout->Arena + s_used;
        if (address + sizeBytes > layout->ArenaEnd)
            Panic.OutOfMemory();
        s_used += sizeBytes;
        return new((void*)address, count);
    }
}
