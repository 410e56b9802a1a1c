// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.Platforms.XenHvm;
using Keyhole.Platforms.XenPvh;
using Keyhole.PvGuest;

namespace Keyhole.Verification;

/// <summary>What a comparison takes for granted because neither anybody nor the log tells it, as where the line that would is lost.</summary>
internal static class Assumptions
{
    /// <summary>Of a guest whose map is its firmware's or its domain builder's.</summary>
    /// <param name="plan">Of the guest, with what the log tells.</param>
    /// <param name="observed">The boot.</param>
    public static IEnumerable<Phrase> Of(Plan plan, ObservedBoot observed)
    {
        if (plan.Scenario.Qemu.Firmware is null && plan.Firmware is { } firmware
            && plan.Problems.Any(static problem => problem.Code == ProblemCodes.Assumed
                && problem.Message.StartsWith(QemuResolution.FirmwareNotTold, System.StringComparison.Ordinal)))
            yield return $"The log names no release of the guest's firmware (\"DMI: … BIOS …\"): {firmware.Name} {firmware.Version} is assumed, "
                + $"and {Setting.Firmware} names another.";
        if (plan.Guest.Type is GuestType.Hvm or GuestType.Pvh && plan.Scenario.Host.Traits.XenVersion is null)
            yield return $"Neither the log nor the host's source names the release of Xen: {HvmGuest.UsualXen} is assumed.";
        if (observed.Release is null && observed.Facts.PciGap is not null && plan.IsMapKnown && Gap(plan, false) != Gap(plan, true))
            yield return $"The log names no kernel version: for the gap for PCI devices {KernelReleases.NameOf(plan.Scenario.Kernel)} is assumed.";
    }

    /// <summary>Of two that fit releases of Linux take one or the other.</summary>
    private static ByteRange Gap(Plan plan, bool prefersHigh) => MapQueries.PciGap(
        (plan.Firmware is null ? PvhLinuxView.Of(plan.Map) : SortedMap.Of(plan.Map.AsSpan())).AsSpan(), prefersHigh);

    /// <summary>Of dom0, whose map hangs on Xen's release; null where that is told, and where what Xen makes of the machine's map is in it.</summary>
    /// <param name="plan">Of dom0; null where its map came from elsewhere.</param>
    /// <param name="taken">Which releases would do the same.</param>
    public static string? OfDom0(Plan? plan, string taken) =>
        plan is { Scenario.Dom0: not null, Host: { IsMachineMap: false, Traits.XenVersion: null } }
            ? $"The host's source does not name the release of Xen: {taken} is assumed." : null;
}
