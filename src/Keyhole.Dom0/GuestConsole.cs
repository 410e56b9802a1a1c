// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Runtime.InteropServices;
using Keyhole.Dom0.Native;
using Microsoft.Win32.SafeHandles;

namespace Keyhole.Dom0;

/// <summary>A guest's console as xenconsoled offers it: a pseudo terminal, opened to listen only.</summary>
public static class GuestConsole
{
    /// <summary>Opens the terminal without making it this process's own.</summary>
    public static XenResult<Stream> Open(string terminal)
    {
        using FileDescriptor descriptor = FileDescriptor.Open(terminal, LibC.O_RDONLY | LibC.O_NOCTTY | LibC.O_CLOEXEC);
        if (descriptor.IsInvalid)
        {
            return new XenProblem(
                XenProblemKind.Here, terminal, $"cannot be opened: {XenProblem.NameOf(-Marshal.GetLastPInvokeError())}",
                "check that xenconsoled runs, and run this as root");
        }

        // The stream's own handle closes it.
        var handle = new SafeFileHandle(descriptor.DangerousGetHandle(), ownsHandle: true);
        descriptor.SetHandleAsInvalid();
        return new FileStream(handle, FileAccess.Read, bufferSize: 0);
    }
}
