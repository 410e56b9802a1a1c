// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Pci;

namespace Keyhole.Captures;

/// <summary>A PCI function.</summary>
internal sealed record CaptureDevice
{
    /// <summary>"0000:03:00.0".</summary>
    public required string Address { get; init; }

    public required string Description { get; init; }

    /// <summary>Four hex digits, as in lspci -nn; so has <see cref="Device"/>, and <see cref="Class"/> has six.</summary>
    public string? Vendor { get; init; }

    public string? Device { get; init; }

    public string? Class { get; init; }

    public string? Driver { get; init; }

    public int? IommuGroup { get; init; }

    public CaptureMsix? Msix { get; init; }

    public ImmutableArray<CaptureRequest>? Requests { get; init; }

    public ImmutableArray<CaptureUnplaced>? Unplaced { get; init; }

    public ImmutableArray<CaptureResizable>? Resizable { get; init; }

    public CaptureSriov? Sriov { get; init; }

    public required ImmutableArray<CaptureBar> Bars { get; init => field = Given.Array(value); }

    public static CaptureDevice Of(PciDevice device) => new()
    {
        Address = device.Address.ToString(),
        Description = device.Description,
        Vendor = Digits(device.VendorId, 4),
        Device = Digits(device.DeviceId, 4),
        Class = Digits(device.ClassCode, 6),
        Driver = device.Driver,
        IommuGroup = device.IommuGroup,
        Msix = device.Msix is { } table ? new(table.BarIndex, table.OffsetBytes, table.Vectors) : null,
        Requests = Capture.OrNull(device.Requests.Select(
            static request => new CaptureRequest(request.Index, request.SizeBytes, request.Type.Name()))),
        Unplaced = Capture.OrNull(device.Unplaced.Select(static window =>
            new CaptureUnplaced(window.Index, CaptureNames.Of(window.Kind), window.SizeBytes, window.Is64Bit, window.IsPrefetchable, window.Sign))),
        Resizable = Capture.OrNull(device.Resizable.Select(static bar =>
            new CaptureResizable(bar.Index, bar.IsVirtual, bar.CurrentBytes, [.. bar.SupportedBytes.Select(static size => new Hex(size))]))),
        Sriov = device.Sriov is { } sriov ? new(sriov.TotalFunctions, sriov.EnabledFunctions) : null,
        Bars = [.. device.Bars.Select(
            static bar => new CaptureBar(bar.Index, CaptureNames.Of(bar.Kind), bar.Start, bar.End, bar.Is64Bit, bar.IsPrefetchable))],
    };

    private static string? Digits(int? value, int count) =>
        value is { } known ? string.Create(CultureInfo.InvariantCulture, $"0x{known.ToString($"x{count}", CultureInfo.InvariantCulture)}") : null;
}

/// <summary>A device's MSI-X table.</summary>
internal sealed record CaptureMsix(int Bar, Hex Offset, int Vectors);

/// <summary>What a BAR asks for.</summary>
internal sealed record CaptureRequest(int Index, Hex Size, string Type);

/// <summary>A window that the host did not place, and by what sign that was seen.</summary>
internal sealed record CaptureUnplaced(int Index, string Kind, Hex Size, bool Is64Bit, bool Prefetchable, string Sign);

/// <summary>A BAR whose size can be changed.</summary>
internal sealed record CaptureResizable(int Index, bool Virtual, Hex Current, ImmutableArray<Hex> Supported);

/// <summary>Virtual functions: how many there may be, and are.</summary>
internal sealed record CaptureSriov(int Total, int Enabled);

/// <summary>Where a BAR, ROM or bridge window lies.</summary>
internal sealed record CaptureBar(int Index, string Kind, Hex Start, Hex End, bool Is64Bit, bool Prefetchable);
