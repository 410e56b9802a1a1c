// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;

namespace Keyhole.Pci;

/// <summary>What a <see cref="Bar"/> is: which of a function's address windows.</summary>
public enum BarKind
{
    /// <summary>One of the six base address registers, as memory.</summary>
    Memory,

    /// <summary>The expansion ROM.</summary>
    Rom,

    /// <summary>A base address register of an SR-IOV virtual function; covers all of them.</summary>
    VirtualFunction,

    /// <summary>A window that a bridge forwards.</summary>
    BridgeWindow,
}

/// <summary>
/// A memory window of a PCI function at host addresses [Start, End) in bytes, never empty and below 2^52. I/O port windows are not kept: they
/// take no part in a memory map. A window counts whether or not the device decodes it at the moment: the guest will switch it on.
/// </summary>
/// <param name="Index">0–5 the base address registers, 6 the ROM, 7–12 SR-IOV, 13–16 bridge windows: the row of sysfs' <c>resource</c>.
/// <c>lspci -v</c> does not print the register; there it is counted.</param>
public sealed record Bar(int Index, BarKind Kind, ulong Start, ulong End, bool Is64Bit, bool IsPrefetchable)
{
    /// <summary>Index of the expansion ROM.</summary>
    public const int RomIndex = 6;

    /// <summary>Index of the first base address register for virtual functions.</summary>
    public const int FirstVirtualFunctionIndex = 7;

    /// <summary>Index of the first bridge window (I/O; the next two are memory and prefetchable memory).</summary>
    public const int FirstBridgeIndex = 13;

    public ulong SizeBytes => End - Start;

    /// <summary>Reads <c>A-B</c>: hex with or without 0x, B exclusive.</summary>
    public static Parsed<Bar> ParseRange(string text, string sourceName = "--bar")
    {
        ArgumentNullException.ThrowIfNull(text);
        const string remedy = "write START-END in hex, the end exclusive, such as febc0000-febe0000";
        ReadOnlySpan<char> range = text.AsSpan().Trim();
        int dash = range.IndexOf('-');
        if (dash < 0 || !TryHex(range[..dash], out ulong start) || !TryHex(range[(dash + 1)..], out ulong end))
            return new InputError(sourceName, null, $"{InputError.Quote(text)} is no address range", remedy);
        if (start >= end)
            return new InputError(sourceName, null, $"{InputError.Quote(text)} ends before it starts, or is empty", remedy);
        if (end > Frames.AddressLimit)
            return new InputError(sourceName, null, $"{InputError.Quote(text)} reaches beyond 52 address bits", remedy);
        return new Bar(0, BarKind.Memory, start, end, Is64Bit: end > Frames.FourGiB, IsPrefetchable: false);
    }

    /// <summary>Hex of at most 16 digits, with or without 0x.</summary>
    internal static bool TryHex(ReadOnlySpan<char> text, out ulong value)
    {
        if (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
            text = text[2..];
        value = 0;
        return text.Length is > 0 and <= 16 && ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }
}

/// <summary>The MSI-X table of a function: it lies inside one of its windows.</summary>
/// <param name="BarIndex">0–5.</param>
/// <param name="OffsetBytes">From the window's start, a multiple of 8.</param>
/// <param name="Vectors">1–2048, of 16 bytes each.</param>
public sealed record MsixTable(int BarIndex, ulong OffsetBytes, int Vectors)
{
    /// <summary>Vectors that a table has at most.</summary>
    public const int MaxVectors = 2048;

    /// <summary>The offset's low bits are the register's number.</summary>
    public const ulong OffsetAlignment = 8;

    private const ulong VectorBytes = 16;

    public ulong SizeBytes => (ulong)Vectors * VectorBytes;

    /// <summary>The host addresses [Start, End) of the table in a function's window. Null where the function has no such window or the table leaves it.</summary>
    /// <remarks>Xen keeps these pages read-only for a PV guest: it writes the table itself. Registers on the same pages cannot be written either.</remarks>
    public (ulong Start, ulong End)? RangeIn(ImmutableArray<Bar> bars)
    {
        foreach (Bar bar in bars)
        {
            if (bar.Kind == BarKind.Memory && bar.Index == BarIndex)
                return OffsetBytes <= bar.SizeBytes && SizeBytes <= bar.SizeBytes - OffsetBytes ? (bar.Start + OffsetBytes, bar.Start + OffsetBytes + SizeBytes) : null;
        }

        return null;
    }
}

/// <summary>A PCI function as far as its memory windows go.</summary>
/// <param name="Description">What a person calls it ("Ethernet controller: Intel …"); empty when unknown.</param>
/// <param name="Bars">In the source's order.</param>
public sealed record PciDevice(PciAddress Address, string Description, ImmutableArray<Bar> Bars)
{
    /// <summary>PCI vendor, 0–ffff, or null when unknown.</summary>
    public int? VendorId { get; init; }

    /// <summary>PCI device, 0–ffff, or null when unknown.</summary>
    public int? DeviceId { get; init; }

    /// <summary>PCI class, 24 bits with subclass and interface (020000 is Ethernet), or null when unknown.</summary>
    public int? ClassCode { get; init; }

    /// <summary>The driver that holds it on the host ("pciback" for one that is ready to be passed through), or null.</summary>
    public string? Driver { get; init; }

    /// <summary>Null where the function has none or the source does not say.</summary>
    public MsixTable? Msix { get; init; }

    public bool Equals(PciDevice? other) => other is not null && Address == other.Address && Description == other.Description && Bars.SequenceEqual(other.Bars)
        && (VendorId, DeviceId, ClassCode, Driver) == (other.VendorId, other.DeviceId, other.ClassCode, other.Driver) && Msix == other.Msix;

    public override int GetHashCode() => HashCode.Combine(Address, Description, Bars.Length);
}

/// <summary>What a list of PCI devices says.</summary>
/// <param name="Devices">In address order; functions without memory windows too.</param>
/// <param name="Remarks">What was passed over, for the user; no errors.</param>
public sealed record PciListing(ImmutableArray<PciDevice> Devices, ImmutableArray<string> Remarks)
{
    public bool Equals(PciListing? other) => other is not null && Devices.SequenceEqual(other.Devices) && Remarks.SequenceEqual(other.Remarks);

    public override int GetHashCode() => HashCode.Combine(Devices.Length, Remarks.Length);
}
