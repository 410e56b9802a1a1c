// SPDX-License-Identifier: GPL-2.0-only

using System.Runtime.InteropServices;

namespace Keyhole.Dom0.Native;

internal static partial class LibC
{
    [LibraryImport("libc")]
    public static partial int munmap(nint address, nuint length);
}
