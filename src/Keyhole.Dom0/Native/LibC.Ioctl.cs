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

    [LibraryImport("libc", SetLastError = true)]
    private static partial long syscall(long number, FileDescriptor descriptor, ulong request, ref PrivcmdHypercall argument);
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
