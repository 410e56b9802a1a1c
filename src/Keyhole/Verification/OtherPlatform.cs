// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Logs;

namespace Keyhole.Verification;

/// <summary>Whether a log is of another kind of guest than the one that was told: then no kernel, firmware or map explains what differs.</summary>
internal static class OtherPlatform
{
    /// <summary>Proven by: the kernel itself says what it runs on. Null where it does not, or as was told.</summary>
    public static Phrase? Of(ObservedBoot observed, GuestType told, bool isDom0)
    {
        if (observed.Facts.RunsOn is not { } said || TypeOf(said.Value) is not { } type || type == told)
            return null;
        // Kernels before 4.12 say so in a PVH guest, too.
        if (type == GuestType.Hvm && told == GuestType.Pvh)
            return null;
        return $"The log is of {Named(type, isDom0)} (line {said.Line}: its kernel runs on {InputError.OneLine(said.Value, 40)}), and "
            + $"{Named(told, isDom0)} was told: another one lays its memory out, so what differs says nothing. Give its configuration with "
            + $"{Setting.Guest}.";
    }

    /// <summary>The same of a guest of another hypervisor than KVM and Xen, by what its machine calls itself: what Linux calls the hypervisor proves
    /// nothing, as QEMU can bear Hyper-V's name.</summary>
    /// <param name="observed">The boot.</param>
    /// <param name="told">The type that was told.</param>
    /// <param name="machines">What machines call themselves in the log.</param>
    public static Phrase? Foreign(ObservedBoot observed, GuestType told, IEnumerable<LogFact<string>> machines)
    {
        foreach (LogFact<string> machine in machines)
        {
            if (machine.Line < observed.FirstLine || machine.Line > observed.LastLine)
                continue;
            foreach ((string start, string name) in s_foreign)
            {
                if (machine.Value.StartsWith(start, StringComparison.Ordinal))
                    return $"The log is of a guest of {name} (line {machine.Line}: {InputError.Quote(machine.Value)}), and "
                        + $"{Named(told, isDom0: false)} was told: another hypervisor lays its guests out, so what differs says nothing. There is no "
                        + $"forecast for {name}.";
            }
        }

        return null;
    }

    private static readonly (string Start, string Name)[] s_foreign =
    [
        ("VMware, Inc. VMware", "VMware"), ("Microsoft Corporation Virtual Machine", "Hyper-V"), ("innotek GmbH VirtualBox", "VirtualBox"),
    ];

    /// <summary>Linux' drivers/pci/xen-pcifront.c gives up at once in any domain but a PV guest.</summary>
    private const string PvGuestsDriver = "pcifront ";

    /// <summary>Whether the kernel says that it runs as a PV guest, shows the map of one, or has a driver at work that only these have.</summary>
    public static bool RunsAsPv(ObservedBoot observed) =>
        observed.Facts.RunsOn is { } said ? TypeOf(said.Value) == GuestType.Pv
            : observed.Map is { Kind: LogMapKind.GuestKernel }
                || observed.Facts.Needs.Any(static need => need.Value.StartsWith(PvGuestsDriver, StringComparison.Ordinal));

    /// <remarks>Source: Linux' arch/x86/xen/enlighten_pv.c, enlighten_hvm.c, arch/x86/kernel/kvm.c (pv_info.name).</remarks>
    private static GuestType? TypeOf(string name) => name switch
    {
        "Xen" or "Xen PV" => GuestType.Pv,
        "Xen HVM" => GuestType.Hvm,
        "Xen PVH" => GuestType.Pvh,
        "KVM" => GuestType.Kvm,
        _ => null,
    };

    private static string Named(GuestType type, bool isDom0) => type switch
    {
        GuestType.Pv => isDom0 ? "a PV dom0" : "a PV guest",
        GuestType.Pvh => isDom0 ? "a PVH dom0" : "a PVH guest",
        GuestType.Hvm => "an HVM guest",
        GuestType.Kvm => "a KVM guest",
    };
}
