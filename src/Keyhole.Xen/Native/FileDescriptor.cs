// SPDX-License-Identifier: GPL-2.0-only

using Microsoft.Win32.SafeHandles;

namespace Keyhole.Xen.Native;

/// <summary>An open file that is closed exactly once.</summary>
internal sealed class FileDescriptor : SafeHandleMinusOneIsInvalid
{
    public FileDescriptor()
        : base(ownsHandle: true)
    {
    }

    protected override bool ReleaseHandle() => LibC.close((int)handle) == 0;
}
