// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;
using Keyhole.PvGuest;

namespace Keyhole.Probe;

/// <summary>
/// Frames behind which linux-7.2 finds ACPI NVS that it moved from under itself: they have machine frames, but those are the firmware's. They take no
/// pattern, are not Xen's to take back, and stand in no M2P.
/// </summary>
internal static class FirmwareFrames
{
    public static MovedNonRam Moved;

    public static bool Contain(ulong pfn)
    {
        for (int i = 0; i < Moved.Count; i++)
        {
            if (Moved.Get(i).Range.Contains(new Pfn(pfn)))
                return true;
        }

        return false;
    }

    /// <summary>Whether an entry of the list is a machine frame of RAM.</summary>
    public static bool IsRam(ulong entry, ulong pfn) => P2mEntry.HasFrame(entry) && !Contain(pfn);
}
