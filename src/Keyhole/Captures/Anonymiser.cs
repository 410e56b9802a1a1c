// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Text.RegularExpressions;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Captures;

/// <summary>
/// A host to hand to others. What it keeps is what is known to be harmless and of use: numbers, and words of a fixed vocabulary. Everything else
/// goes, whatever it is: names of hosts, users and files, serial numbers, network addresses, vendors' texts, and where the running kernel lies, which
/// it hides from attackers.
/// </summary>
public static partial class Anonymiser
{
    private const string Unnamed = "device";

    private static readonly string[] s_vendors = ["GenuineIntel", "AuthenticAMD", "HygonGenuine", "CentaurHauls", "  Shanghai  "];

    private static readonly string[] s_regionTypes = ["direct", "direct-relaxable", "reserved", "msi"];

    private static readonly string[] s_signs =
    [
        "<ignored>", "<unassigned>", "unset", "no space", "not set", "NVIDIA's driver found it at address 0", "the kernel's log shows no address",
        "the kernel cannot claim it", "the kernel's log says that it cannot be claimed", "the kernel's log says that there is no space for it",
        "the kernel's log says that it cannot be assigned", "the kernel's log says that it was released",
    ];

    /// <summary>The host without what could name its owner, and in a line each what was kept and what is gone.</summary>
    public static AnonymousHost Of(HostDocument document)
    {
        ArgumentNullException.ThrowIfNull(document);
        Host host = document.Host;
        ImmutableArray<string> iomem = [.. document.IomemLines.Where(static line => !IsKernels(line)).Select(NameCut)];
        var anonymous = new HostDocument
        {
            Dialect = document.Dialect,
            Description = "an anonymised capture",
            IomemLines = iomem,
            Host = host with
            {
                Traits = host.Traits with
                {
                    CpuVendor = s_vendors.Contains(host.Traits.CpuVendor) ? host.Traits.CpuVendor : null,
                    Firmware = host.Traits.Firmware?.ToAnonymous(),
                    KernelOptions = host.Traits.KernelOptions is { } options
                        ? KernelOptions.Of(string.Join(' ', options.Select(KernelOptions.ToAnonymous))) : null,
                },
                Devices = [.. host.Devices.Select(Device)],
                LoggedDevices = [.. host.LoggedDevices.Select(Device)],
                ReservedRegions =
                    [.. host.ReservedRegions.Select(
                        static region => region with { Type = s_regionTypes.Contains(region.Type) ? region.Type : "reserved" })],
            },
        };
        return new(anonymous, [.. Kept(anonymous).Select(static text => (Phrase)text),
            "gone: names of the host, its users and files, serial numbers, network addresses, devices' texts, and where its kernel is"]);
    }

    private static IEnumerable<string> Kept(HostDocument document)
    {
        Host host = document.Host;
        yield return $"kept: the memory map ({host.Entries.Length} entries"
            + $"{(host.MachineEntries.IsEmpty ? "" : $", and Xen's of {host.MachineEntries.Length}")})";
        if (!host.Devices.IsEmpty)
            yield return $"kept: {host.Devices.Length} PCI devices: address, vendor, device and class by number, windows, driver, IOMMU group";
        if (!host.LoggedDevices.IsEmpty)
            yield return $"kept: what the log tells of {host.LoggedDevices.Length} PCI devices, by numbers";
        if (CaptureComplaints.OrNull(host.Traits.Complaints) is not null)
            yield return "kept: what the log says of devices that guests cannot have, and of huge pages, by numbers";
        if (!host.ReservedRegions.IsEmpty)
            yield return $"kept: {host.ReservedRegions.Length} ranges that the IOMMU keeps for the platform";
        if (!document.IomemLines.IsEmpty)
            yield return $"kept: {document.IomemLines.Length} lines of /proc/iomem, with the names that every machine has";
        if (host.Traits.KernelOptions is { IsEmpty: false } given)
            yield return $"kept: {given.Length} of the kernel's options, which say what it does with memory, by numbers and Linux's own words";
        yield return "kept: the processor's vendor, family and address width, the IOMMU's width, the host bridges' windows, the releases of Xen, "
            + "Linux and firmware by number, as far as they are known";
    }

    private static PciDevice Device(PciDevice device) => device with
    {
        Description = "",
        Driver = device.Driver is { } driver && DriverName().IsMatch(driver) ? driver : null,
        Unplaced = [.. device.Unplaced.Select(static window => window with { Sign = s_signs.Contains(window.Sign) ? window.Sign : "unset" })],
    };

    /// <summary>Where the running kernel lies is a secret of the machine's own.</summary>
    private static bool IsKernels(string line) => line.Contains("Kernel ", StringComparison.Ordinal);

    /// <summary>A line of /proc/iomem; a name that is not of the vocabulary goes.</summary>
    private static string NameCut(string line)
    {
        Match parts = IomemLine().Match(line);
        if (!parts.Success)
            return "";
        string name = parts.Groups["name"].Value.TrimEnd();
        return parts.Groups["range"].Value + (IomemName().IsMatch(name) ? name : Unnamed);
    }

    [GeneratedRegex("^[a-z0-9_-]{1,32}$", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex DriverName();

    [GeneratedRegex("^(?<range> *[0-9a-f]{1,16}-[0-9a-f]{1,16} : )(?<name>.*)$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex IomemLine();

    [GeneratedRegex(
        "^(System RAM|Reserved|reserved|RAM buffer|Unusable memory|Unknown E820 type|Persistent Memory( \\(legacy\\))?|Soft Reserved|Crash "
            + "kernel|ACPI Tables|ACPI Non-volatile Storage"
        + "|PCI Bus [0-9a-f]{4}:[0-9a-f]{2}|[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]|PCI (ECAM|MMCONFIG) [0-9a-f]{4}( "
        + "\\[bus [0-9a-f]{2}-[0-9a-f]{2}\\])?"
        + "|IOAPIC [0-9]{1,3}|HPET [0-9]{1,2}|Local APIC|dmar[0-9]{1,2}|amd_iommu|pnp [0-9a-f]{2}:[0-9a-f]{2}|Video (RAM area|ROM)|System "
        + "ROM|Extension ROM|Adapter ROM|[a-z0-9_]{1,16}_(pci|hcd))$",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex IomemName();
}

/// <summary>A host that names nobody.</summary>
/// <param name="Notes">What was kept and what is gone, a line each.</param>
public sealed record AnonymousHost(HostDocument Document, ImmutableArray<Phrase> Notes);
