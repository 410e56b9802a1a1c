// SPDX-License-Identifier: GPL-2.0-only

using Microsoft.Win32.SafeHandles;

namespace Keyhole.Dom0.Native;

/// <summary>An open file that is closed exactly once.</summary>
internal sealed class FileDescriptor : SafeHandleMinusOneIsInvalid
{
    private FileDescriptor(int descriptor)
        : base(ownsHandle: true) => SetHandle(descriptor);

    /// <summary>Opens a file; where that fails, an invalid handle and the reason in the last error.</summary>
    public static FileDescriptor Open(string path, int flags) => new(LibC.open(path, flags));

    protected override bool ReleaseHandle() => LibC.close((int)handle) == 0;
}
