// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Reading;

/// <summary>What QEMU itself, or libvirt around it, writes into its log: nothing of it is a guest's configuration or what its kernel says.</summary>
/// <remarks>Sources: QEMU's os-posix.c (terminating on signal), chardev/char.c, ui/vnc.c, hw/xen (xen be, xen_pt), vl.c and error reports of
/// options; libvirt's qemu_domain.c.</remarks>
internal static class QemuLogWords
{
    /// <summary>A part of each line.</summary>
    public static readonly string[] Marks =
    [
        "terminating on signal ", "char device redirected to ", "VNC server running on ", "xen be: ", "xen_pt_", "starting up libvirt version",
        "shutting down, reason=", "kvm: -", "qemu-system-x86_64: ", "qemu-system-i386: ",
    ];

    /// <summary>Whether a line has one of them.</summary>
    public static bool Are(ReadOnlySpan<char> line)
    {
        foreach (string mark in Marks)
        {
            if (line.Contains(mark, StringComparison.Ordinal))
                return true;
        }

        return false;
    }
}
