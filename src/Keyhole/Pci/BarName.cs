// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;

namespace Keyhole.Pci;

/// <summary>What messages call a window.</summary>
internal static class BarName
{
    /// <summary>"BAR 0 of 0000:01:00.0 at [0x…, 0x…)", or its addresses alone where nothing tells whose it is.</summary>
    /// <param name="bar">At the host's addresses.</param>
    /// <param name="devices">Those whose it may be.</param>
    public static string Of(Bar bar, IEnumerable<PciDevice> devices)
    {
        string where = $"at [0x{bar.Start:x}, 0x{bar.End:x})";
        foreach (PciDevice device in devices)
        {
            if (device.Bars.FirstOrDefault(own => own.Range == bar.Range) is not { } known)
                continue;
            string what = known.Kind switch
            {
                BarKind.Memory => $"BAR {known.Index}",
                BarKind.Rom => "the ROM",
                BarKind.VirtualFunction => "the window of the virtual functions",
                BarKind.BridgeWindow => "the bridge window",
            };
            return $"{what} of {device.Address} {where}";
        }

        return $"the BAR {where}";
    }
}
