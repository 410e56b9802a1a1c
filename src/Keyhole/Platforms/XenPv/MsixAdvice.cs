// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Pci;

namespace Keyhole.Platforms.XenPv;

/// <summary>What a PV guest must know of the pages that hold its device's MSI-X table.</summary>
public static class MsixAdvice
{
    /// <summary>Null where the device has no table, or none that lies in a window of its own.</summary>
    public static Problem? For(PciDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (device.Msix?.RangeIn(device.Bars) is not { } table)
            return null;
        ulong start = Pfn.Containing(table.Start).ToAddress();
        ulong end = Pfn.AtOrAbove(table.End).ToAddress();
        return new(
            Severity.Info,
            ProblemCodes.MsixReadOnly,
            $"the MSI-X table of {device.Address} is at [0x{table.Start:x}, 0x{table.End:x}): Xen writes it itself and keeps its "
                + $"{(end - start > Frames.SizeBytes ? "pages" : "page")} read-only for the guest, other registers there included",
            start,
            end);
    }
}
