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
        return OtherType(Named(type, isDom0), new($"its kernel runs on {InputError.OneLine(said.Value, 40)}", said.Line), told, isDom0);
    }

    /// <summary>The same of a guest whose map its firmware or its domain builder makes. Proven by what its machine calls itself, or else by what its
    /// kernel says of the hypervisor, of what it runs on: QEMU can bear the names of Hyper-V and Xen there.</summary>
    public static Phrase? OfFirmwareGuest(ObservedBoot observed, GuestType told, PciLog log)
    {
        if (OfBoot(observed, log.Machines) is { } machine)
        {
            string words = machine.Value.TrimStart();
            foreach ((string start, string name) in s_foreign)
            {
                if (words.StartsWith(start, StringComparison.Ordinal) && !words.Contains(BareMetal, StringComparison.Ordinal))
                    return $"The log is of a guest of {name} (line {machine.Line}: {InputError.Quote(words)}), and "
                        + $"{Named(told, isDom0: false)} was told: another hypervisor lays its guests out, so what differs says nothing. There is no "
                        + $"forecast for {name}.";
            }

            bool isXens = words.StartsWith(XensMachine, StringComparison.Ordinal);
            if (isXens || words.StartsWith(QemusMachine, StringComparison.Ordinal))
                return (isXens ? GuestType.Hvm : GuestType.Kvm) == told ? null
                    : OtherType(isXens ? Named(GuestType.Hvm, isDom0: false) : "a guest that QEMU runs without Xen",
                        new(InputError.Quote(words), machine.Line), told);
        }

        if (Of(observed, told, isDom0: false) is { } runsOn)
            return runsOn;
        return OfBoot(observed, log.Hypervisors) is { } detected && TypeOf(detected.Value) is { } type && type != told
            && (type != GuestType.Hvm || told != GuestType.Pvh)
            ? OtherType(Named(type, isDom0: false), new($"its hypervisor is {InputError.OneLine(detected.Value, 40)}", detected.Line), told)
            : null;
    }

    private static LogFact<string>? OfBoot(ObservedBoot observed, IEnumerable<LogFact<string>> facts)
    {
        foreach (LogFact<string> fact in facts)
        {
            if (fact.Line >= observed.FirstLine && fact.Line <= observed.LastLine)
                return fact;
        }

        return null;
    }

    private static Phrase OtherType(string seen, LogFact<string> proof, GuestType told, bool isDom0 = false) =>
        $"The log is of {seen} (line {proof.Line}: {proof.Value}), and {Named(told, isDom0)} was told: another one lays its memory out, so what "
            + $"differs says nothing. Give its configuration with {Setting.Guest}.";

    /// <summary>What hvmloader and QEMU write into SMBIOS where nobody says otherwise.</summary>
    private const string XensMachine = "Xen HVM domU";
    private const string QemusMachine = "QEMU Standard PC (";

    /// <summary>Amazon's machines without a hypervisor bear its name, too.</summary>
    private const string BareMetal = ".metal";

    private static readonly (string Start, string Name)[] s_foreign =
    [
        ("VMware, Inc. VMware", "VMware"), ("Microsoft Corporation Virtual Machine", "Hyper-V"), ("innotek GmbH VirtualBox", "VirtualBox"),
        ("Cloud Hypervisor ", "Cloud Hypervisor"), ("ChromiumOS crosvm", "crosvm"), ("Amazon EC2 ", "Amazon EC2"),
        ("Google Google Compute Engine", "Google Compute Engine"), ("BHYVE", "bhyve"), ("FreeBSD BHYVE", "bhyve"),
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
