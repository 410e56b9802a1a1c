// SPDX-License-Identifier: GPL-2.0-only
using System;
using System.Runtime;

namespace Keyhole.Probe;

internal static unsafe class Kernel
{
    [RuntimeExport("probe_main")]
    private static void Main(ulong startInfo)
    {
        System.ReadOnlySpan<byte> hello = "hello from C#\n"u8;
        fixed (byte* p = &hello[0])
            Native.Hypercall(18, 0, (ulong)hello.Length, (ulong)p, 0, 0);
        ulong reason = 1;
        Native.Hypercall(29, 2, (ulong)&reason, 0, 0, 0);
    }
}
