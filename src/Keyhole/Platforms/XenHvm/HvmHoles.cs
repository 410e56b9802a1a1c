// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Platforms.XenHvm;

/// <summary>Tries holes of an HVM guest on the model.</summary>
internal static class HvmHoles
{
    /// <summary>The smallest mmio_hole in MiB with which a guest is as wished; null where there is none. What is left to hvmloader is not looked at.</summary>
    public static ulong? SmallestFor(Scenario scenario, HvmGuest guest, Func<HvmGuest, bool> isAsWished)
    {
        // Neither more room nor less RAM below 4 GiB makes a guest better all the way: a hole's start decides how BARs are aligned.
        for (ulong mib = HvmSettings.SmallestHoleMiB; mib <= HvmSettings.LargestHoleMiB; mib++)
        {
            if (isAsWished(guest.WithHole(scenario, mib << 20)))
                return mib;
        }

        return null;
    }
}
