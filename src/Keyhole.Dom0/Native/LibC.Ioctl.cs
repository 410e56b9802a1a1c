// SPDX-License-Identifier: GPL-2.0-only

using System.Runtime.InteropServices;

namespace Keyhole.Dom0.Native;

internal static partial class LibC
{
    private const long SYS_ioctl = 16;

    /// <summary>
    /// ioctl as the kernel has it. glibc's wrapper returns an int, and would take the 0xffffffff pages of an unlimited maximum_reservation for −1.
    /// </summary>
    public static long ioctl(FileDescriptor descriptor, ulong request, ref PrivcmdHypercall argument) =>
        syscall(SYS_ioctl, descriptor, request, ref argument);

    /// <inheritdoc cref="ioctl(FileDescriptor, ulong, ref PrivcmdHypercall)"/>
    public static long ioctl(FileDescriptor descriptor, ulong request, ref PrivcmdMapBatch argument) =>
        syscall(SYS_ioctl, descriptor, request, ref argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial long syscall(long number, FileDescriptor descriptor, ulong request, ref PrivcmdHypercall argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial long syscall(long number, FileDescriptor descriptor, ulong request, ref PrivcmdMapBatch argument);
}

/// <summary>struct privcmd_hypercall, 48 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PrivcmdHypercall
{
    /// <summary>_IOC(NONE, 'P', 0, 48).</summary>
    public const ulong IOCTL_PRIVCMD_HYPERCALL = 0x305000;

    public ulong op;
    public ulong arg0;
    public ulong arg1;
    public ulong arg2;
    public ulong arg3;
    public ulong arg4;
}

/// <summary>struct privcmd_mmapbatch_v2, 32 bytes: frames of another domain for a mapping that is there already.</summary>
[StructLayout(LayoutKind.Explicit, Size = 32)]
internal unsafe struct PrivcmdMapBatch
{
    /// <summary>_IOC(NONE, 'P', 4, 32).</summary>
    public const ulong IOCTL_PRIVCMD_MMAPBATCH_V2 = 0x205004;

    [FieldOffset(0)]
    public uint num;
    [FieldOffset(4)]
    public ushort dom;
    [FieldOffset(8)]
    public nint addr;
    [FieldOffset(16)]
    public ulong* arr;

    /// <summary>One number for each frame: 0, or why it is not mapped.</summary>
    [FieldOffset(24)]
    public int* err;
}
