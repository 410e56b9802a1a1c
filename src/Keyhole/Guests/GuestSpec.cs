// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Pci;

namespace Keyhole.Guests;

/// <summary>How a guest is virtualised, as far as its memory map is concerned.</summary>
public enum GuestType
{
    Pv,
    Pvh,
    Hvm,
}

/// <summary>One <c>pci=</c> entry: <c>[dddd:]bb:dd.f[@vslot][,key=value…]</c>. Null where the entry does not say.</summary>
public sealed record PciAssignment(PciAddress Address)
{
    /// <summary>The slot in the guest, 0–1f, from <c>@vslot</c> (hex) or <c>vslot=</c>.</summary>
    public int? VirtualSlot { get; init; }

    public bool? Permissive { get; init; }

    public bool? MsiTranslate { get; init; }

    public bool? Seize { get; init; }

    public bool? PowerManagement { get; init; }

    /// <summary>"strict" or "relaxed".</summary>
    public string? RdmPolicy { get; init; }

    public string? Name { get; init; }

    /// <summary>Whether every function of the device was asked for (<c>bb:dd.*</c>); the address then has function 0.</summary>
    public bool AllFunctions { get; init; }

    /// <summary>Whether the entry asks for the function at <paramref name="address"/>.</summary>
    public bool Covers(PciAddress address) =>
        AllFunctions
            ? (address.Domain, address.Bus, address.Device) == (Address.Domain, Address.Bus, Address.Device)
            : address == Address;
}

/// <summary>The part of a guest's configuration that decides its memory map, however it was written down.</summary>
public sealed record GuestSpec
{
    public string? Name { get; init; }

    public GuestType Type { get; init; } = GuestType.Pv;

    /// <summary>xl's <c>memory</c>, in KiB.</summary>
    public required ulong MemoryKiB { get; init; }

    /// <summary>xl's <c>maxmem</c>, in KiB; xl takes an unset one to be the memory.</summary>
    public required ulong MaxmemKiB { get; init; }

    /// <summary>What the configuration says of <c>e820_host</c>, or null when it is silent.</summary>
    public bool? E820Host { get; init; }

    public ImmutableArray<PciAssignment> Pci { get; init; } = [];

    public int Vcpus { get; init; } = 1;

    public string? Kernel { get; init; }

    public string? Ramdisk { get; init; }

    /// <summary>The guest kernel's command line.</summary>
    public string? CommandLine { get; init; }

    /// <summary>Keys that take no part in the map, in the file's order, with their values as written: kept so that nothing is lost when the guest is written again.</summary>
    public ImmutableArray<GuestSetting> OtherSettings { get; init; } = [];

    /// <summary>Remarks for the user that are no errors, such as keys that xl does not know.</summary>
    public ImmutableArray<string> Remarks { get; init; } = [];

    /// <summary>xl reads e820_host for PV guests only, and any <c>pci=</c> entry forces it on, even against <c>e820_host=0</c>.</summary>
    public bool UsesHostMap => Type == GuestType.Pv && (E820Host == true || !Pci.IsEmpty);

    /// <summary>Whether the host's map is used against the letter of the configuration.</summary>
    public bool HostMapForcedByPci => Type == GuestType.Pv && E820Host == false && !Pci.IsEmpty;
}

/// <summary>A setting that Keyhole carries along without reading it. The value is in the syntax of the file it came from.</summary>
public sealed record GuestSetting(string Key, string Value);
