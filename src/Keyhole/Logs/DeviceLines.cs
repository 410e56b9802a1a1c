// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.Collections.Immutable;
using Keyhole.Diagnostics;
using Keyhole.Pci;

namespace Keyhole.Logs;

/// <summary>Keeps the lines of a host's log that tell of its PCI functions, for whoever wants to know what one of them asks for.</summary>
internal sealed class DeviceLines
{
    /// <summary>Words of which one stands in every line that is kept: of functions, of what a function's driver does with its BARs (one that makes
    /// them larger says so under its own name), and of what tells boots and machines apart.</summary>
    public static readonly string[] Words =
        [
            "pci 0000:", ": BAR ", ": VF BAR ", ": ROM [mem", "NVRM: BAR", "Linux version ", "pcifront", "DMI: QEMU ", "Hypervisor detected: KVM",
        ];

    private static readonly SearchValues<string> s_words = SearchValues.Create(Words, StringComparison.Ordinal);

    /// <summary>What was kept.</summary>
    public KeptLines Kept { get; } = new();

    public void Read(ReadOnlySpan<char> line, int number)
    {
        // A guest's console in Xen's log tells of the guest's functions.
        if (line.ContainsAny(s_words) && LogPrefix.DomainOf(line) is null)
            Kept.Add(line, number);
    }

    /// <summary>The functions of a machine, of its last boot that tells of them; none of a virtual machine's own log.</summary>
    public static ImmutableArray<PciDevice> Of(LogScan scan, MachineLines machine)
    {
        if (scan.DeviceLines is not { } kept)
            return [];
        string text = kept.Of(machine);
        return !KernelLogReader.IsGuests(text) && KernelLogReader.Read(text, "log").TryGet(out PciListing? listing, out InputError? _)
            ? listing.Devices : [];
    }
}
