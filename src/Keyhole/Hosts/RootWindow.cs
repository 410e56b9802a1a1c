// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Reading;

namespace Keyhole.Hosts;

/// <summary>Which kind of IOMMU a host has. The names of JSON are <c>vt-d</c> and <c>amd-vi</c>.</summary>
public enum HostIommu
{
    /// <summary>Intel's: the addresses that a device may use are as wide as its capability register says, 39 bits on desktops.</summary>
    IntelVtd,

    /// <summary>AMD's: its tables grow with the address, up to 64 bits.</summary>
    AmdVi,
}

/// <summary>The width of the addresses that an IOMMU lets devices use.</summary>
public static class IommuWidth
{
    /// <summary>In bits, from the capability register of a VT-d unit: its bits 21:16 and one more.</summary>
    /// <remarks>Source: VT-d specification, 11.4.2 (MGAW).</remarks>
    public static int OfVtd(ulong capability) => (int)((capability >> 16) & 0x3f) + 1;

    /// <summary>The same from the register as Linux shows it in sysfs, hex; null where it is no such number or tells less than 32 bits.</summary>
    public static int? ReadVtd(ReadOnlySpan<char> register)
    {
        var cursor = new TextCursor(register.Trim());
        return cursor.TryHex(out ulong capability) && cursor.Rest.IsEmpty && OfVtd(capability) is >= 32 and int bits ? bits : null;
    }
}

/// <summary>Addresses that a host bridge forwards to its bus: where the BARs of all that sits behind it can lie.</summary>
/// <param name="Domain">0–ffff.</param>
/// <param name="Bus">The root bus, 0–ff: a device is behind the last one whose number is not above its own.</param>
/// <param name="Range">Bytes; below 2^52.</param>
public readonly record struct RootWindow(int Domain, int Bus, ByteRange Range)
{
    /// <summary>Eight bridges of ten windows each are a large machine; a hostile log could name millions.</summary>
    public const int MaxCount = 256;

    /// <summary>The bus as Linux writes it: 0000:80.</summary>
    public string BusName => $"{Domain:x4}:{Bus:x2}";

    /// <summary>Reads a bus as Linux writes it, up to what stands behind it.</summary>
    internal static bool TryBus(ref TextCursor cursor, out int domain, out int bus)
    {
        bus = 0;
        bool isOne = cursor.TryHex(out ulong domainRead) && domainRead <= 0xffff && cursor.TryText(":") && cursor.HexRun() == 2
            && cursor.TryHex(out ulong busRead)
            && (bus = (int)busRead) >= 0;
        domain = isOne ? (int)domainRead : 0;
        return isOne;
    }

    /// <summary>Whether it is no window, but all addresses: what Linux prints where it takes no windows from ACPI (pci=nocrs, machines before
    /// 2008).</summary>
    /// <remarks>Source: x86_pci_root_bus_resources in arch/x86/pci/bus_numa.c.</remarks>
    internal static bool IsAll(ulong start, ulong end) => start == 0 && end > X86Layout.OneMiB;

    internal static bool TryCreate(int domain, int bus, ulong start, ulong last, out RootWindow window)
    {
        bool isOne = start < last && last < Frames.AddressLimit && !IsAll(start, last + 1);
        window = isOne ? new(domain, bus, ByteRange.FromBounds(start, last + 1)) : default;
        return isOne;
    }

    /// <summary>Reads <c>80000000-dfffffff : PCI Bus 0000:00</c> of <c>/proc/iomem</c>. Those of bridges stand indented below it and are
    /// none.</summary>
    public static bool TryReadIomem(ReadOnlySpan<char> line, out RootWindow window)
    {
        window = default;
        var cursor = new TextCursor(line);
        return cursor.TryHex(out ulong start) && cursor.TryText("-") && cursor.TryHex(out ulong last) && cursor.TryText(" : PCI Bus ")
            && TryBus(ref cursor, out int domain, out int bus) && cursor.Rest.Trim().IsEmpty && TryCreate(domain, bus, start, last, out window);
    }

    /// <summary>The windows that lines of <c>/proc/iomem</c> tell, in their order.</summary>
    public static ImmutableArray<RootWindow> OfIomem(IEnumerable<string> lines)
    {
        ArgumentNullException.ThrowIfNull(lines);
        var found = ImmutableArray.CreateBuilder<RootWindow>();
        foreach (string line in lines)
        {
            if (found.Count < MaxCount && TryReadIomem(line, out RootWindow window))
                found.Add(window);
        }

        return found.DrainToImmutable();
    }
}
