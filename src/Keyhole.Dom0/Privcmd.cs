// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Runtime.InteropServices;
using Keyhole.Dom0.Native;
using Keyhole.Hypercalls;

namespace Keyhole.Dom0;

/// <summary>The kernel's door to Xen for dom0's user space. Whoever may open it may make any hypercall as dom0.</summary>
public sealed class Privcmd : IDisposable
{
    /// <summary>The device that dom0 makes hypercalls through.</summary>
    public const string Device = "/dev/xen/privcmd";

    // Linux' numbers; Xen's are the same.
    private const int ENODEV = 19;
    private const int ENOTDIR = 20;

    private readonly FileDescriptor _descriptor;

    private Privcmd(FileDescriptor descriptor) => _descriptor = descriptor;

    /// <summary>Opens the device, or says in one line why it cannot be opened.</summary>
    public static XenResult<Privcmd> Open(string device = Device)
    {
        FileDescriptor descriptor = FileDescriptor.Open(device, LibC.O_RDWR | LibC.O_CLOEXEC);
        int error = descriptor.IsInvalid ? Marshal.GetLastPInvokeError() : 0;
        if (error == 0)
            return new Privcmd(descriptor);
        descriptor.Dispose();
        return error switch
        {
            (int)XenError.ENOENT or ENOTDIR =>
                Problem(device, "is not there: this is no Xen dom0, or its driver is not loaded", "run this in dom0; there, modprobe xen-privcmd"),
            (int)XenError.EPERM or (int)XenError.EACCES => Problem(device, "permission denied", "run this as root"),
            (int)XenError.ENXIO or ENODEV => Problem(device, "has no driver behind it", "modprobe xen-privcmd"),
            _ => Problem(device, $"cannot be opened: {XenProblem.NameOf(-error)}", "run this as root in dom0"),
        };
    }

    /// <summary>Makes a hypercall. What it returned: 0 or more on success, −<see cref="XenError"/> on failure. Pointers must lie in a
    /// <see cref="HypercallBuffer"/>.</summary>
    public long Call(uint op, ulong arg0 = 0, ulong arg1 = 0, ulong arg2 = 0, ulong arg3 = 0, ulong arg4 = 0)
    {
        var call = new PrivcmdHypercall { op = op, arg0 = arg0, arg1 = arg1, arg2 = arg2, arg3 = arg3, arg4 = arg4 };
        long result = LibC.ioctl(_descriptor, PrivcmdHypercall.IOCTL_PRIVCMD_HYPERCALL, ref call);
        return result == -1 ? -Marshal.GetLastPInvokeError() : result;
    }

    /// <inheritdoc/>
    public void Dispose() => _descriptor.Dispose();

    private static XenProblem Problem(string device, string what, string remedy) => new(XenProblemKind.Here, device, what, remedy);
}
