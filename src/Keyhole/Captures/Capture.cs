// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Captures;

/// <summary>
/// A host as JSON has it: what <c>show --json</c> and <c>capture</c> write, member by member in this order, and <see cref="CaptureReader"/> reads.
/// What is not known is left out. Addresses and sizes are hex strings in bytes, ends exclusive.
/// </summary>
internal sealed record Capture
{
    public required CaptureSource Source { get; init; }

    /// <summary>True where "entries" have Xen's additions; else they are the firmware's, and this is left out.</summary>
    public bool? MachineMap { get; init; }

    /// <summary>How much of the host's RAM the entries show, where it is not all of it.</summary>
    public string? RamShown { get; init; }

    /// <summary>True where the source is known to have lost entries; else left out.</summary>
    public bool? EntriesLost { get; init; }

    /// <summary>Where it has lost them, or may have; left out where it has lost none.</summary>
    public ImmutableArray<string>? LostRanges { get; init; }

    /// <summary>Bytes of RAM that the source counts, where its map has lost entries.</summary>
    public Hex? RamCounted { get; init; }

    public required ImmutableArray<CaptureEntry> Entries { get; init => field = Given.Array(value); }

    /// <summary>Bytes of each type, in the order of the types' numbers.</summary>
    public required OrderedDictionary<string, Hex> Totals { get; init; }

    /// <summary>What Xen itself gave as the machine map.</summary>
    public ImmutableArray<CaptureEntry>? MachineEntries { get; init; }

    public required CaptureTraits Traits { get; init; }

    public required ImmutableArray<CaptureDevice> Devices { get; init => field = Given.Array(value); }

    /// <summary>What the host's own log tells of its devices; where "devices" has one, that counts.</summary>
    public ImmutableArray<CaptureDevice>? LoggedDevices { get; init; }

    public required ImmutableArray<CaptureRegion> ReservedRegions { get; init => field = Given.Array(value); }

    /// <summary>Lines of /proc/iomem.</summary>
    public ImmutableArray<string>? Iomem { get; init; }

    public static Capture Of(HostDocument document)
    {
        Host host = document.Host;
        SortedDictionary<E820Type, ulong> totals = SortedMap.TotalsOf(host.Entries.AsSpan());
        return new()
        {
            Source = new(HostMapDialects.NameOf(document.Dialect), document.Description),
            MachineMap = host.IsMachineMap ? true : null,
            RamShown = host.RamShown == Hosts.RamShown.All ? null : CaptureNames.Of(host.RamShown),
            EntriesLost = host.HasLostEntries ? true : null,
            LostRanges = OrNull(host.LostRanges.Select(static range => $"0x{range.Start:x}-0x{range.End:x}")),
            RamCounted = host.RamCounted is { } counted ? new Hex(counted) : null,
            Entries = CaptureEntry.AllOf(host.Entries),
            Totals = new(totals.Select(static total => KeyValuePair.Create(E820TypeNames.NameOf(total.Key), new Hex(total.Value)))),
            MachineEntries = host.MachineEntries.IsEmpty ? null : CaptureEntry.AllOf(host.MachineEntries),
            Traits = CaptureTraits.Of(host.Traits),
            Devices = [.. host.Devices.Select(CaptureDevice.Of)],
            LoggedDevices = OrNull(host.LoggedDevices.Take(CaptureReader.MaxLoggedDevices).Select(CaptureDevice.Of)),
            ReservedRegions = [.. host.ReservedRegions.Select(static region => new CaptureRegion(region.Start, region.End, region.Type))],
            Iomem = OrNull(document.IomemLines),
        };
    }

    /// <summary>Null for an empty list, which is left out.</summary>
    public static ImmutableArray<T>? OrNull<T>(IEnumerable<T> items) => items.ToImmutableArray() is { IsEmpty: false } some ? some : null;
}

/// <summary>Where a host was read.</summary>
internal sealed record CaptureSource(string Dialect, string Description);

internal sealed record CaptureEntry(Hex Start, Hex End, E820Type Type)
{
    public static ImmutableArray<CaptureEntry> AllOf(ImmutableArray<E820Entry> entries) =>
        [.. entries.Select(static entry => new CaptureEntry(entry.Address, entry.End, entry.Type))];
}

/// <summary>What the IOMMU keeps for the platform.</summary>
internal sealed record CaptureRegion(Hex Start, Hex End, string Type);

/// <summary>What Xen's additions and address widths depend on.</summary>
internal sealed record CaptureTraits
{
    public required ImmutableArray<Hex> IoApics { get; init => field = Given.Array(value); }

    public required ImmutableArray<Hex> Iommus { get; init => field = Given.Array(value); }

    public string? CpuVendor { get; init; }

    public int? CpuFamily { get; init; }

    public int? PhysicalAddressBits { get; init; }

    public int? AcpiAddressBits { get; init; }

    public bool? Efi { get; init; }

    public string? XenVersion { get; init; }

    public int? XenPatch { get; init; }

    public string? Linux { get; init; }

    /// <summary>What the host's Linux was booted with, as far as it is about memory.</summary>
    public ImmutableArray<string>? KernelOptions { get; init; }

    public CaptureFirmware? Firmware { get; init; }

    public bool? GibPages { get; init; }

    /// <summary>"vt-d" or "amd-vi".</summary>
    public string? Iommu { get; init; }

    public int? IommuAddressBits { get; init; }

    public bool? IommuInUse { get; init; }

    /// <summary>Why it is not, in Xen's words.</summary>
    public string? IommuFailure { get; init; }

    /// <summary>By the host's own Linux, not Xen.</summary>
    public bool? IommuInUseByLinux { get; init; }

    /// <summary>With what words Linux gave it up.</summary>
    public string? IommuFailureOfLinux { get; init; }

    /// <summary>The log of the host's Linux is there as a whole and shows none in use.</summary>
    public bool? IommuNotShown { get; init; }

    public ImmutableArray<CaptureRootWindow>? RootWindows { get; init; }

    public Hex? ProtectedHpet { get; init; }

    /// <summary>Each as "0xSTART-0xEND".</summary>
    public required ImmutableArray<string> ReservedDeviceMemory { get; init => field = Given.Array(value); }

    /// <summary>Whose that memory is, as far as it is told.</summary>
    public ImmutableArray<CaptureDeviceMemoryOwner>? DeviceMemoryOwners { get; init; }

    /// <summary>Devices whose reserved memory is at a place that is not told.</summary>
    public ImmutableArray<string>? DeviceMemoryNotTold { get; init; }

    public required ImmutableArray<string> OtherDenied { get; init => field = Given.Array(value); }

    public ImmutableArray<string>? ReservedInDom0 { get; init; }

    /// <summary>What the host's log says of devices and memory that guests are to be given.</summary>
    public CaptureComplaints? Complaints { get; init; }

    public static CaptureTraits Of(HostTraits traits) => new()
    {
        IoApics = [.. traits.IoApics.Select(static address => new Hex(address))],
        Iommus = [.. traits.Iommus.Select(static address => new Hex(address))],
        CpuVendor = traits.CpuVendor,
        CpuFamily = traits.CpuFamily,
        PhysicalAddressBits = traits.PhysicalAddressBits,
        AcpiAddressBits = traits.AcpiAddressBits,
        Efi = traits.IsEfi,
        XenVersion = traits.XenVersion?.ToString(),
        XenPatch = traits.XenVersion?.Patch,
        Linux = traits.LinuxRelease,
        KernelOptions = traits.KernelOptions,
        Firmware = traits.Firmware is { } firmware ? new(firmware.Vendor, firmware.Version, firmware.Date) : null,
        GibPages = traits.HasGiBPages,
        Iommu = traits.Iommu is { } iommu ? CaptureNames.Of(iommu) : null,
        IommuAddressBits = traits.IommuAddressBits,
        IommuInUse = traits.UsesIommu,
        IommuFailure = traits.IommuFailure,
        IommuInUseByLinux = traits.LinuxUsesIommu,
        IommuFailureOfLinux = traits.LinuxIommuFailure,
        IommuNotShown = traits.IommuNotShown ? true : null,
        RootWindows =
            Capture.OrNull(traits.RootWindows.Select(static window => new CaptureRootWindow(window.BusName, window.Range.Start, window.Range.End))),
        ProtectedHpet = traits.ProtectedHpet is { } hpet ? new Hex(hpet) : null,
        ReservedDeviceMemory = Ranges(traits.ReservedDeviceMemory),
        DeviceMemoryOwners = Capture.OrNull(traits.DeviceMemoryOwners.Select(static owner =>
            new CaptureDeviceMemoryOwner(owner.Range.Start.ToAddress(), owner.Range.End.ToAddress(), owner.Device.ToString())
            {
                LastDevice = owner.LastDevice?.ToString(),
            })),
        DeviceMemoryNotTold = Capture.OrNull(traits.DeviceMemoryNotTold.Select(static device => device.ToString())),
        OtherDenied = Ranges(traits.OtherDenied),
        ReservedInDom0 = Capture.OrNull(Ranges(traits.ReservedInDom0)),
        Complaints = CaptureComplaints.OrNull(traits.Complaints),
    };

    private static ImmutableArray<string> Ranges(ImmutableArray<PfnRange> ranges) =>
        [.. ranges.Select(static range => string.Create(CultureInfo.InvariantCulture, $"0x{range.Start.ToAddress():x}-0x{range.End.ToAddress():x}"))];
}

/// <summary>What started the machine.</summary>
internal sealed record CaptureFirmware(string? Vendor, string? Version, string? Date);

/// <summary>Memory that a device uses by itself.</summary>
/// <param name="Device">"0000:00:02.0".</param>
internal sealed record CaptureDeviceMemoryOwner(Hex Start, Hex End, string Device)
{
    public string? LastDevice { get; init; }
}

/// <summary>What a host bridge forwards.</summary>
/// <param name="Bus">Its first bus: "0000:00".</param>
internal sealed record CaptureRootWindow(string Bus, Hex Start, Hex End);

/// <summary>The words of a capture.</summary>
internal static class CaptureNames
{
    public static string Of(RamShown shown) => shown switch
    {
        RamShown.All => "all",
        RamShown.KernelsShare => "kernels-share",
        RamShown.Part => "part",
    };

    public static string Of(BarKind kind) => kind switch
    {
        BarKind.Memory => "memory",
        BarKind.Rom => "rom",
        BarKind.VirtualFunction => "virtual-function",
        BarKind.BridgeWindow => "bridge-window",
    };

    public static string Of(HostIommu iommu) => iommu switch
    {
        HostIommu.IntelVtd => "vt-d",
        HostIommu.AmdVi => "amd-vi",
    };
}

/// <summary>How captures become JSON: made at compile time, without reflection.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    GenerationMode = JsonSourceGenerationMode.Metadata,
    Converters = [typeof(HexConverter), typeof(E820TypeConverter)])]
[JsonSerializable(typeof(Capture))]
internal sealed partial class CaptureContext : JsonSerializerContext;

/// <summary>How captures are written.</summary>
internal static class CaptureForm
{
    // Read by programs and people, never pasted into HTML: an apostrophe stays one.
    private static readonly CaptureContext s_visible =
        new(new JsonSerializerOptions(CaptureContext.Default.Options) { Encoder = VisibleJson.Encoder });

    public static JsonTypeInfo<Capture> Info => s_visible.Capture;
}
