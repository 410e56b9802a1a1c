// SPDX-License-Identifier: GPL-2.0-only

using System.Runtime.InteropServices;

namespace Keyhole.Dom0.Native;

internal static partial class LibC
{
    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int chown(string path, uint owner, uint group);
}
