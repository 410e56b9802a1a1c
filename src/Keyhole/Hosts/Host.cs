// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Pci;

namespace Keyhole.Hosts;

/// <summary>How much of the host's RAM a source shows.</summary>
public enum RamShown
{
    /// <summary>All of it: the firmware's map, or Xen's.</summary>
    All,

    /// <summary>What the host's own kernel has: all of it on the bare machine, but its share alone in a dom0, or less where its command line says
    /// so.</summary>
    KernelsShare,

    /// <summary>A part, and nothing says how large: a guest's own map, or a log that begins amid the map.</summary>
    Part,
}

/// <summary>A release of Xen.</summary>
public readonly record struct XenVersion(int Major, int Minor)
{
    /// <summary>No part of a release is taken for one beyond this.</summary>
    internal const int MostPart = 99;

    /// <summary>The last whose toolstack, hvmloader and dom0 builder were looked at.</summary>
    internal static XenVersion NewestKnown => new(4, 22);

    /// <summary>The stable release within it, the 5 of 4.17.5; null where it is not known.</summary>
    public int? Patch { get; init; }

    /// <summary>Whether it is this release or an older one, whatever its patch level.</summary>
    public bool IsUpTo(int major, int minor) => (Major, Minor).CompareTo((major, minor)) <= 0;

    /// <summary>Reads "4.17" or "4.17.5" from the start of a text; what follows does not count.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out XenVersion version)
    {
        Reading.TextCursor cursor = new(text);
        uint minor = 0;
        bool isVersion = cursor.TryDecimal(out uint major) && cursor.TryText(".") && cursor.TryDecimal(out minor) && major is > 0 and <= MostPart
            && minor <= MostPart;
        version = default;
        if (!isVersion)
            return false;
        uint patch = 0;
        bool hasPatch = cursor.TryText(".") && cursor.TryDecimal(out patch) && patch <= MostPart;
        version = new((int)major, (int)minor) { Patch = hasPatch ? (int)patch : null };
        return true;
    }

    /// <summary>Without the patch level: "4.17".</summary>
    public override string ToString() => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{Major}.{Minor}");
}

/// <summary>Whose reserved device memory a range is.</summary>
public readonly record struct DeviceMemoryOwner(PfnRange Range, PciAddress Device)
{
    /// <summary>The last of the devices from <see cref="Device"/> on that the range is of, where it is of several (AMD's IVMD); else null.</summary>
    public PciAddress? LastDevice { get; init; }

    /// <summary>Whether a device is one of them.</summary>
    internal bool Includes(PciAddress device) => LastDevice is not { } last ? device == Device
        : device.CompareTo(Device) >= 0 && device.CompareTo(last) <= 0;
}

/// <summary>What else a log or capture says of the host that Xen's additions depend on. Empty and null where it says nothing.</summary>
public sealed record HostTraits
{
    /// <summary>Nothing is known.</summary>
    public static readonly HostTraits Unknown = new();

    /// <summary>Physical addresses of the I/O APICs' register pages.</summary>
    public ImmutableArray<ulong> IoApics { get; init => field = Given.Array(value); } = [];

    /// <summary>Physical addresses of the VT-d or AMD-Vi register pages.</summary>
    public ImmutableArray<ulong> Iommus { get; init => field = Given.Array(value); } = [];

    /// <summary>The processor's vendor as CPUID has it ("GenuineIntel", "AuthenticAMD", "HygonGenuine"), or null.</summary>
    public string? CpuVendor { get; init; }

    /// <summary>The processor's family, extended family included (0x17 is Zen), or null.</summary>
    public int? CpuFamily { get; init; }

    /// <summary>Width of the processor's physical addresses in bits, 32–52, as the processor says it, or null.</summary>
    public int? PhysicalAddressBits { get; init; }

    /// <summary>What ACPI's DMAR table has for the platform (Linux: "DMAR: Host address width 39"), 32–52, or null. The processor may have more: an
    /// i7-13700K has 46 bits on a board whose table says 39.</summary>
    public int? AcpiAddressBits { get; init; }

    /// <summary>What the processor has at least, where it does not say its width itself: what ACPI's table has, or what a guest on it had.</summary>
    internal int? LeastAddressBits => Complaints.MappedBits is { } mapped ? int.Max(mapped, AcpiAddressBits ?? 0) : AcpiAddressBits;

    /// <summary>Whether the host was booted by EFI firmware (true) or by a BIOS (false); null where the source does not say.</summary>
    public bool? IsEfi { get; init; }

    /// <summary>Bits of an address that the IOMMU translates, where the source says it; else those of the host's addresses in ACPI's table, or
    /// null.</summary>
    public int? IommuAddressBits { get; init; }

    /// <summary>The Xen that printed the log, or null. What it keeps from dom0 depends on it.</summary>
    public XenVersion? XenVersion { get; init; }

    /// <summary>The numbers of the host's own Linux ("6.12.117"), or null.</summary>
    public string? LinuxRelease { get; init; }

    /// <summary>What that Linux was booted with that says something of its memory (<see cref="Hosts.KernelOptions"/>), in its command line's order;
    /// empty where there is nothing of that kind on it, null where the command line is not known.</summary>
    public ImmutableArray<string>? KernelOptions { get; init => field = value is { } options ? Given.Array(options) : null; }

    /// <summary>What started it, or null.</summary>
    public HostFirmware? Firmware { get; init; }

    /// <summary>The numbers that a release begins with; null where it begins with none.</summary>
    public static string? ReleaseNumbers(ReadOnlySpan<char> release)
    {
        const int longest = 20;
        int length = 0;
        while (length < release.Length && length < longest && (char.IsAsciiDigit(release[length]) || (length > 0 && release[length] == '.')))
            length++;
        ReadOnlySpan<char> numbers = release[..length].TrimEnd('.');
        return numbers.Contains('.') ? numbers.ToString() : null;
    }

    /// <summary>Whether the processor has pages of 1 GiB (pdpe1gb), or null.</summary>
    public bool? HasGiBPages { get; init; }

    /// <summary>The kind of its IOMMU, or null.</summary>
    public HostIommu? Iommu { get; init; }

    /// <summary>Whether Xen uses the host's IOMMU; null where its log does not say so.</summary>
    public bool? UsesIommu { get; init; }

    /// <summary>Why Xen does not use the IOMMU that it found, in Xen's words; null where its log does not say so.</summary>
    public string? IommuFailure { get; init; }

    /// <summary>Whether the host's own Linux uses its IOMMU; null where its log does not say so.</summary>
    public bool? LinuxUsesIommu { get; init; }

    /// <summary>With what words Linux gave its IOMMU up; null where it did not, or its command line has it off.</summary>
    internal string? LinuxIommuFailure { get; init; }

    /// <summary>Whether the log of the host's Linux is there from its first line to its first process and shows no IOMMU in use.</summary>
    public bool IommuNotShown { get; init; }

    /// <summary>What the host bridges forward, in the source's order.</summary>
    public ImmutableArray<RootWindow> RootWindows { get; init => field = Given.Array(value); } = [];

    /// <summary>Address of an HPET whose page ACPI marks as protected, or null.</summary>
    public ulong? ProtectedHpet { get; init; }

    /// <summary>Host memory that devices use by themselves (RMRR of the ACPI tables), whole pages.</summary>
    public ImmutableArray<PfnRange> ReservedDeviceMemory { get; init => field = Given.Array(value); } = [];

    /// <summary>The devices that reserved device memory belongs to, as far as the source tells.</summary>
    public ImmutableArray<DeviceMemoryOwner> DeviceMemoryOwners { get; init => field = Given.Array(value); } = [];

    /// <summary>Devices that have reserved memory whose place the source does not tell: Xen names them in every build, and the ranges in a debug
    /// build alone (before 4.17).</summary>
    public ImmutableArray<PciAddress> DeviceMemoryNotTold { get; init => field = Given.Array(value); } = [];

    /// <summary>What the host's own Linux, or Xen, says of devices and memory that it could not give to a guest.</summary>
    public HostComplaints Complaints { get; init => field = Given.NotNull(value); } = HostComplaints.None;

    /// <summary>Further pages that dom0 may not map, as the user says.</summary>
    public ImmutableArray<PfnRange> OtherDenied { get; init => field = Given.Array(value); } = [];

    /// <summary>Pages that dom0's own map in the same log shows to be reserved, and the firmware's does not name.</summary>
    public ImmutableArray<PfnRange> ReservedInDom0 { get; init => field = Given.Array(value); } = [];
}

/// <summary>A machine that guests run on, as far as its memory goes: a value, whatever it was read from.</summary>
public sealed record Host
{
    /// <summary>Entries that a host's map may have: Xen itself keeps no more (its E820MAX since 2017).</summary>
    public const int MaxEntries = 1024;

    /// <summary>A host of which nothing is known: for guests whose map does not depend on it.</summary>
    public static readonly Host Unknown = new() { Entries = [] };

    /// <summary>The memory map, in the source's order.</summary>
    public required ImmutableArray<E820Entry> Entries { get; init => field = Given.Array(value); }

    /// <summary>How much of the host's RAM <see cref="Entries"/> show.</summary>
    public RamShown RamShown { get; init; }

    /// <summary>
    /// Where the source is known to have lost entries of the map, or may have lost them: before a log's first line that begins amid it, where lines
    /// are left out, behind a log's last line, everywhere around a few lines that somebody quotes, where the RAM may be that Xen counts and no entry
    /// has. What is there is not known. By address, without overlap; no entry has a part of them. One that ends at <see cref="Frames.AddressLimit"/>
    /// has no end that is known.
    /// </summary>
    public ImmutableArray<ByteRange> LostRanges { get; init => field = Given.Array(value); } = [];

    /// <summary>Whether the source is known to have lost entries of the map.</summary>
    public bool HasLostEntries => !LostRanges.IsEmpty;

    /// <summary><see cref="LostRanges"/> as people read them; "…" stands for an end that is not known.</summary>
    public ImmutableArray<string> LostRangesInWords => [.. LostRanges.Select(LostLines.Text)];

    /// <summary>A map of another source that may show what is in <see cref="LostRanges"/>; elsewhere it does not count. Empty where there is
    /// none.</summary>
    internal ImmutableArray<E820Entry> SeenInLostRanges { get; init => field = Given.Array(value); } = [];

    /// <summary>Bytes of RAM that the source counts, where its map has lost entries; null where it has not, or does not count.</summary>
    public ulong? RamCounted { get; init; }

    /// <summary>Whether what Xen adds for dom0 is in the map already.</summary>
    public bool IsMachineMap { get; init; }

    /// <summary>
    /// What Xen itself gave as the machine map (<c>XENMEM_machine_memory_map</c>), where the source has it besides the firmware's; empty where it has
    /// to be reckoned from <see cref="Entries"/> and <see cref="Traits"/>.
    /// </summary>
    public ImmutableArray<E820Entry> MachineEntries { get; init => field = Given.Array(value); } = [];

    /// <summary>What else Xen's additions depend on.</summary>
    public HostTraits Traits { get; init => field = Given.NotNull(value); } = HostTraits.Unknown;

    /// <summary>What the IOMMU keeps for the platform, by address.</summary>
    public ImmutableArray<ReservedRegion> ReservedRegions { get; init => field = Given.Array(value); } = [];

    /// <summary>All memory that devices use by themselves, by whichever part of the source it is told: whole pages.</summary>
    public ImmutableArray<PfnRange> DeviceMemory =>
    [
        .. Traits.ReservedDeviceMemory,
        .. ReservedRegions.Where(static region => region.Type == ReservedRegion.Direct)
            .Select(static region => PfnRange.FromBounds(Pfn.Containing(region.Start), Pfn.AtOrAbove(region.End)))
            .Where(pages => !Traits.ReservedDeviceMemory.Contains(pages)),
    ];

    /// <summary>PCI functions of which the host's own log tells what they ask for, in address order: often a part of them, as a log is pasted. Where
    /// <see cref="Devices"/> has one, that counts.</summary>
    public ImmutableArray<PciDevice> LoggedDevices { get; init => field = Given.Array(value); } = [];

    /// <summary>PCI functions that the source names, in address order.</summary>
    public ImmutableArray<PciDevice> Devices { get; init => field = Given.Array(value); } = [];
}
