// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Pci;

namespace Keyhole.Logs;

/// <summary>Keeps the lines of a host's log that tell of its PCI functions, for whoever wants to know what one of them asks for.</summary>
internal sealed class DeviceLines
{
    /// <summary>Far more than the lines of a large server's devices, in characters.</summary>
    private const int MostKept = 8 << 20;

    /// <summary>Words of which one stands in every line that is kept: of functions, and of what tells boots and machines apart.</summary>
    public static readonly string[] Words = ["pci 0000:", "Linux version ", "pcifront", "DMI: QEMU ", "Hypervisor detected: KVM"];

    private static readonly SearchValues<string> s_words = SearchValues.Create(Words, StringComparison.Ordinal);

    private readonly StringBuilder _text = new();

    public void Read(ReadOnlySpan<char> line)
    {
        // A guest's console in Xen's log tells of the guest's functions.
        if (_text.Length < MostKept && line.ContainsAny(s_words) && LogPrefix.DomainOf(line) is null)
            _text.Append(line).Append('\n');
    }

    /// <summary>The functions of the last boot that tells of them; none of a virtual machine's own log.</summary>
    public ImmutableArray<PciDevice> ToDevices()
    {
        string text = _text.ToString();
        return !KernelLogReader.IsGuests(text) && KernelLogReader.Read(text, "log").TryGet(out PciListing? listing, out InputError? _)
            ? listing.Devices : [];
    }
}
