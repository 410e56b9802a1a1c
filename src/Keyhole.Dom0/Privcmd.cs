// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Runtime.InteropServices;
using Keyhole.Addresses;
using Keyhole.Dom0.Native;
using Keyhole.Hypercalls;

namespace Keyhole.Dom0;

/// <summary>The kernel's door to Xen for dom0's user space. Whoever may open it may make any hypercall as dom0.</summary>
public sealed class Privcmd : IDisposable
{
    /// <summary>The device that dom0 makes hypercalls through.</summary>
    public const string Device = "/dev/xen/privcmd";

    /// <summary>Pages that <see cref="ReadFrames"/> takes in one go.</summary>
    public const int MostFramesAtOnce = 512;

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
                Problem(device, "is not there: this is not a Xen dom0, or its driver is not loaded", "run this in dom0; there, modprobe xen-privcmd"),
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

    /// <summary>Copies pages of another domain, at most <see cref="MostFramesAtOnce"/>.</summary>
    /// <param name="domain">Whose they are. Xen lets a privileged domain read what that one owns, and nothing else.</param>
    /// <param name="machineFrames">Which pages; of a PV guest, frames of the machine.</param>
    /// <param name="pages">Where they are copied to: 4,096 bytes for each.</param>
    /// <returns>0, or −<see cref="XenError"/> of the first that cannot be read.</returns>
    public unsafe long ReadFrames(DomainId domain, ReadOnlySpan<ulong> machineFrames, Span<byte> pages)
    {
        int count = machineFrames.Length;
        if (count > MostFramesAtOnce || pages.Length < count << Frames.Shift)
            return -(long)XenError.EINVAL;
        if (count == 0)
            return 0;
        var length = (nuint)count << Frames.Shift;
        using var mapping = new MemoryMapping(
            LibC.mmap(0, length, LibC.PROT_READ, LibC.MAP_SHARED, (int)_descriptor.DangerousGetHandle(), 0), length);
        if (mapping.IsInvalid)
            return -Marshal.GetLastPInvokeError();
        int* errors = stackalloc int[count];
        fixed (ulong* frames = machineFrames)
        {
            var batch = new PrivcmdMapBatch { num = (uint)count, dom = domain.Value, addr = mapping.Address, arr = frames, err = errors };
            if (LibC.ioctl(_descriptor, PrivcmdMapBatch.IOCTL_PRIVCMD_MMAPBATCH_V2, ref batch) == -1)
                return -Marshal.GetLastPInvokeError();
        }

        for (int i = 0; i < count; i++)
        {
            if (errors[i] != 0)
                return errors[i];
        }

        new ReadOnlySpan<byte>((void*)mapping.Address, count << Frames.Shift).CopyTo(pages);
        return 0;
    }

    /// <inheritdoc/>
    public void Dispose() => _descriptor.Dispose();

    private static XenProblem Problem(string device, string what, string remedy) => new(XenProblemKind.Here, device, what, remedy);
}
