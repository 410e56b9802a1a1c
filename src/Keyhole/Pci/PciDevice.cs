// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
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

    /// <summary>Its size.</summary>
    public ulong SizeBytes => End - Start;

    /// <summary>Where it lies, in bytes.</summary>
    public ByteRange Range => ByteRange.FromBounds(Start, End);

    /// <summary>What kind of address its register holds.</summary>
    public BarType RequestType => BarTypes.Of(Kind, Is64Bit, IsPrefetchable);

    /// <summary>Reads <c>A-B</c>: hex with or without 0x, B exclusive.</summary>
    public static Parsed<Bar> ParseRange(string text, string sourceName = "a window")
    {
        ArgumentNullException.ThrowIfNull(text);
        const string remedy = "write START-END in hex, the end exclusive, such as febc0000-febe0000";
        ReadOnlySpan<char> range = text.AsSpan().Trim();
        int dash = range.IndexOf('-');
        if (dash < 0 || !TryHex(range[..dash], out ulong start) || !TryHex(range[(dash + 1)..], out ulong end))
            return InputError.Malformed(sourceName, null, $"{InputError.Quote(text)} is not a valid address range", remedy);
        if (start >= end)
            return InputError.OutOfRange(sourceName, null, $"{InputError.Quote(text)} ends before it starts, or is empty", remedy);
        if (end > Frames.AddressLimit)
            return InputError.OutOfRange(sourceName, null, $"{InputError.Quote(text)} reaches beyond 52 address bits", remedy);
        return new Bar(0, BarKind.Memory, start, end, Is64Bit: end > Frames.FourGiB, IsPrefetchable: false);
    }

    /// <summary>Hex of at most 16 digits, with or without 0x.</summary>
    internal static bool TryHex(ReadOnlySpan<char> text, out ulong value)
    {
        if (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
            text = text[2..];
        return Reading.TextCursor.TryHexNumber(text, out value);
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

    /// <summary>The table's size: 16 bytes a vector.</summary>
    public ulong SizeBytes => (ulong)Vectors * VectorBytes;

    /// <summary>The host addresses [Start, End) of the table in a function's window. Null where the function has no such window or the table leaves
    /// it.</summary>
    /// <remarks>Xen keeps these pages read-only for a PV guest: it writes the table itself. Registers on the same pages cannot be written
    /// either.</remarks>
    public (ulong Start, ulong End)? RangeIn(ImmutableArray<Bar> bars)
    {
        foreach (Bar bar in bars)
        {
            if (bar.Kind == BarKind.Memory && bar.Index == BarIndex)
                return OffsetBytes <= bar.SizeBytes && SizeBytes <= bar.SizeBytes - OffsetBytes
                    ? (bar.Start + OffsetBytes, bar.Start + OffsetBytes + SizeBytes) : null;
        }

        return null;
    }
}

/// <summary>A window that has no address: <c>&lt;ignored&gt;</c> and <c>&lt;unassigned&gt;</c> of lspci, unset rows of sysfs, "no space" in a
/// kernel's log.</summary>
/// <param name="Index">As in <see cref="Bar"/>.</param>
/// <param name="SizeBytes">0 where the source does not tell it.</param>
/// <param name="Sign">What the source says in place of an address: <c>&lt;ignored&gt;</c>, <c>unset</c>, <c>no space</c>.</param>
public sealed record UnplacedWindow(int Index, BarKind Kind, ulong SizeBytes, bool Is64Bit, bool IsPrefetchable, string Sign)
{
    /// <summary>What kind of address its register holds.</summary>
    public BarType RequestType => BarTypes.Of(Kind, Is64Bit, IsPrefetchable);
}

/// <summary>Sizes that a base address register can be set to.</summary>
/// <param name="Index">0–5.</param>
/// <param name="CurrentBytes">The size that it has now.</param>
/// <param name="SupportedBytes">Rising.</param>
/// <param name="IsVirtual">Whether it is the register of the virtual functions, each of which has that size.</param>
public sealed record ResizableBar(int Index, ulong CurrentBytes, ImmutableArray<ulong> SupportedBytes, bool IsVirtual)
{
    /// <inheritdoc/>
    public bool Equals(ResizableBar? other) =>
        other is not null && (Index, CurrentBytes, IsVirtual) == (other.Index, other.CurrentBytes, other.IsVirtual)
        && SupportedBytes.SequenceEqual(other.SupportedBytes);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Index, CurrentBytes, SupportedBytes.Length);
}

/// <summary>Virtual functions of a device (SR-IOV).</summary>
/// <param name="TotalFunctions">That it can have, 1–65535.</param>
/// <param name="EnabledFunctions">That are switched on.</param>
public sealed record SriovCapability(int TotalFunctions, int EnabledFunctions);

/// <summary>A PCI function as far as its memory windows go.</summary>
/// <param name="Description">What a person calls it ("Ethernet controller: Intel …"); empty when unknown.</param>
/// <param name="Bars">In the source's order.</param>
public sealed record PciDevice(PciAddress Address, string Description, ImmutableArray<Bar> Bars)
{
    /// <summary>Its windows.</summary>
    public ImmutableArray<Bar> Bars { get; init => field = Given.Array(value); } = Given.Array(Bars);

    /// <summary>PCI vendor, 0–ffff, or null when unknown.</summary>
    public int? VendorId { get; init; }

    /// <summary>PCI device, 0–ffff, or null when unknown.</summary>
    public int? DeviceId { get; init; }

    /// <summary>PCI class, 24 bits with subclass and interface (020000 is Ethernet), or null when unknown.</summary>
    public int? ClassCode { get; init; }

    /// <summary>The driver that holds it on the host ("pciback" for one that is ready to be passed through), or null.</summary>
    public string? Driver { get; init; }

    /// <summary>Number of its IOMMU group: functions of one group go to the same guest, or stay. Null where it has none or the source does not
    /// say.</summary>
    public int? IommuGroup { get; init; }

    /// <summary>Null where the function has none or the source does not say.</summary>
    public MsixTable? Msix { get; init; }

    /// <summary>
    /// What its own registers ask for, ports included and whether or not they have an address, in the order of the registers, the ROM last. Empty
    /// where the source does not say; <see cref="GetRequests"/> then takes what <see cref="Bars"/> tell.
    /// </summary>
    public ImmutableArray<BarRequest> Requests { get; init => field = Given.Array(value); } = [];

    /// <summary>Windows that have no address on this host: its firmware and kernel did not place them.</summary>
    public ImmutableArray<UnplacedWindow> Unplaced { get; init => field = Given.Array(value); } = [];

    /// <summary>Sizes that its registers can be set to (the Resizable BAR capability), by index.</summary>
    public ImmutableArray<ResizableBar> Resizable { get; init => field = Given.Array(value); } = [];

    /// <summary>Null where it has no virtual functions or the source does not say.</summary>
    public SriovCapability? Sriov { get; init; }

    /// <summary>What a guest's firmware has to place for this function; windows of bridges and of virtual functions stay with the host.</summary>
    public ImmutableArray<BarRequest> GetRequests()
    {
        if (!Requests.IsEmpty)
            return Requests;
        var found = new SortedDictionary<int, BarRequest>();
        foreach (Bar bar in Bars)
        {
            if (bar.Kind is not (BarKind.Memory or BarKind.Rom))
                continue;
            if (BarRequest.TryCreate(bar.Index, bar.SizeBytes, bar.RequestType, out BarRequest request))
                found.TryAdd(bar.Index, request);
        }

        foreach (UnplacedWindow window in Unplaced)
        {
            if (window.Kind is BarKind.Memory or BarKind.Rom
                && BarRequest.TryCreate(window.Index, window.SizeBytes, window.RequestType, out BarRequest request))
                found.TryAdd(window.Index, request);
        }

        return [.. found.Values];
    }

    /// <inheritdoc/>
    public bool Equals(PciDevice? other) => other is not null && Address == other.Address && Description == other.Description
        && Bars.SequenceEqual(other.Bars)
        && (VendorId, DeviceId, ClassCode, Driver) == (other.VendorId, other.DeviceId, other.ClassCode, other.Driver)
        && IommuGroup == other.IommuGroup && Msix == other.Msix
        && Requests.SequenceEqual(other.Requests) && Unplaced.SequenceEqual(other.Unplaced) && Resizable.SequenceEqual(other.Resizable)
        && Sriov == other.Sriov;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Address, Description, Bars.Length);
}

/// <summary>What a list of PCI devices says.</summary>
/// <param name="Devices">In address order; functions without memory windows too.</param>
/// <param name="Remarks">What was passed over, for the user; no errors.</param>
public sealed record PciListing(ImmutableArray<PciDevice> Devices, ImmutableArray<string> Remarks)
{
    /// <summary>Whether it tells where windows are, and not of what kind (64-bit, prefetchable, the ROM): enough for a guest that sees them where
    /// the host has them, and too little for one whose firmware places them.</summary>
    public bool HasOnlyRanges { get; init; }

    /// <inheritdoc/>
    public bool Equals(PciListing? other) => other is not null && HasOnlyRanges == other.HasOnlyRanges
        && Devices.SequenceEqual(other.Devices) && Remarks.SequenceEqual(other.Remarks);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Devices.Length, Remarks.Length);
}
