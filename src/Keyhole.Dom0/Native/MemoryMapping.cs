// SPDX-License-Identifier: GPL-2.0-only

using Microsoft.Win32.SafeHandles;

namespace Keyhole.Dom0.Native;

/// <summary>Mapped memory that is unmapped exactly once.</summary>
internal sealed class MemoryMapping : SafeHandleMinusOneIsInvalid
{
    private readonly nuint _length;

    /// <param name="address">What mmap returned; −1 is an invalid mapping.</param>
    public MemoryMapping(nint address, nuint length)
        : base(ownsHandle: true)
    {
        _length = length;
        SetHandle(address);
    }

    public nint Address => handle;

    protected override bool ReleaseHandle() => LibC.munmap(handle, _length) == 0;
}
