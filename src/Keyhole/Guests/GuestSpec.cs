// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Hosts;

namespace Keyhole.Guests;

/// <summary>How a guest is virtualised, as far as its memory map is concerned.</summary>
public enum GuestType
{
    /// <summary>A PV guest of Xen's.</summary>
    Pv,

    /// <summary>A PVH guest of Xen's.</summary>
    Pvh,

    /// <summary>An HVM guest of Xen's.</summary>
    Hvm,

    /// <summary>A virtual machine of QEMU under KVM: no guest of Xen's, read for the sake of its devices' windows.</summary>
    Kvm,
}

/// <summary>Who turns the configuration into a guest. Both use libxl, but not in the same way.</summary>
public enum Toolstack
{
    /// <summary>xl: any <c>pci=</c> entry of a PV guest turns <c>e820_host</c> on, even against <c>e820_host=0</c>.</summary>
    Xl,

    /// <summary>libvirt's driver for libxl: <c>e820_host</c> is on only where the XML says so, whatever devices there are.</summary>
    Libvirt,
}

/// <summary>How a guest can end.</summary>
[Flags]
public enum GuestEnds
{
    /// <summary>None of them.</summary>
    None = 0,

    /// <summary>It is shut down.</summary>
    Poweroff = 1,

    /// <summary>It reboots.</summary>
    Reboot = 2,

    /// <summary>It crashes.</summary>
    Crash = 4,

    /// <summary>Its watchdog ends it.</summary>
    Watchdog = 8,
}

/// <summary>The part of a guest's configuration that decides its memory map, however it was written down.</summary>
public sealed record GuestSpec
{
    /// <summary>The guest's name; null where the configuration gives none.</summary>
    public string? Name { get; init; }

    /// <summary>The name as people see one: null where it is empty or of blanks, too.</summary>
    public string? VisibleName => string.IsNullOrWhiteSpace(Name) ? null : Name;

    /// <summary>How it is virtualised.</summary>
    public GuestType Type { get; init; } = GuestType.Pv;

    /// <summary>Whether it is the domain in which another guest's QEMU runs: libxl builds it, and no configuration says how.</summary>
    internal bool IsStubDomain { get; init; }

    /// <summary>Who starts it.</summary>
    public Toolstack Toolstack { get; init; } = Toolstack.Xl;

    /// <summary>xl's <c>memory</c>, in KiB.</summary>
    public required ulong MemoryKiB { get; init; }

    /// <summary>xl's <c>maxmem</c>, in KiB; xl takes an unset one to be the memory.</summary>
    public required ulong MaxmemKiB { get; init; }

    /// <summary>Whether what is beyond the memory is plugged in: libvirt's <c>memory</c> alone is what a guest of QEMU balloons to.</summary>
    internal bool IsPlugged => Qemu is { Dialect: QemuDialect.CommandLine or QemuDialect.Proxmox };

    /// <summary>What the configuration says of <c>e820_host</c>, or null when it is silent.</summary>
    public bool? E820Host { get; init; }

    /// <summary>Devices that are passed through, in the configuration's order.</summary>
    public ImmutableArray<PciAssignment> Pci { get; init => field = Given.Array(value); } = [];

    /// <summary>Whether the guest's kernel is a 32-bit one (PAE): it sees 64 GiB. No configuration says so.</summary>
    public bool Is32Bit { get; init; }

    /// <summary>Virtual processors the guest starts with, 1–8192.</summary>
    public int Vcpus { get; init; } = 1;

    /// <summary>Virtual processors that it may be given later (xl's maxvcpus); null: those it starts with.</summary>
    public int? MaxVcpus { get; init; }

    /// <summary>The kernel's file; null where the configuration names none.</summary>
    public string? Kernel { get; init; }

    /// <summary>The ramdisk's file; null where the configuration names none.</summary>
    public string? Ramdisk { get; init; }

    /// <summary>The guest kernel's command line.</summary>
    public string? CommandLine { get; init; }

    /// <summary>Whether a bootloader takes the kernel out of the guest's disk.</summary>
    public bool HasBootloader { get; init; }

    /// <summary>The UUID that the configuration gives the guest, or null.</summary>
    public Guid? Uuid { get; init; }

    /// <summary>The ends after which the toolstack makes the guest again (xl's on_reboot and the like); by default a reboot.</summary>
    public GuestEnds RestartsAfter { get; init; } = GuestEnds.Reboot;

    /// <summary>What decides the addresses of an HVM guest of Xen's; of others it is not looked at.</summary>
    public HvmSettings Hvm { get; init => field = Given.NotNull(value); } = HvmSettings.Usual;

    /// <summary>What libxl may refuse to give it together.</summary>
    internal GuestFeatures Features { get; init; } = GuestFeatures.None;

    /// <summary>Values of the xl.cfg for which some release does not create it.</summary>
    internal ImmutableArray<XlRefusal> Refusals { get; init => field = Given.Array(value); } = [];

    /// <summary>The settings that it was read from, for trying it without some of them; none where it is from no xl.cfg.</summary>
    internal XlSettings Keys { get; init; } = XlSettings.None;

    /// <summary>The guest that xl makes of the same file without some keys that decide nothing but what xl, libxl and QEMU take.</summary>
    internal GuestSpec Without(params ReadOnlySpan<string> keys)
    {
        XlSettings left = Keys.Without(keys);
        return this with
        {
            Keys = left,
            Refusals = XlValues.Of(left),
            MaxVcpus = XlGuest.MaxVcpusOf(left),
            Hvm = HvmSettings.Of(left),
            Features = GuestFeatures.Of(left),
        };
    }

    /// <summary>What the configuration says of a guest of QEMU's own (<see cref="GuestType.Kvm"/>); null for others, and where options alone describe
    /// the guest.</summary>
    public QemuGuest? Qemu { get; init; }

    /// <summary>The guest with another size, whatever its configuration says. One that balloons no further than its memory goes with it, up and
    /// down.</summary>
    public GuestSpec WithMemory(ulong memoryKiB)
    {
        ulong kept = MaxmemKiB == MemoryKiB ? 0 : MaxmemKiB;
        ulong sizeBytes = memoryKiB << 10;
        return this with
        {
            MemoryKiB = memoryKiB,
            MaxmemKiB = Math.Max(kept, memoryKiB),
            Qemu = Qemu is null ? null : Qemu with
            {
                Machine = Qemu.Machine with
                {
                    MemoryBytes = sizeBytes,
                    MaxMemoryBytes = Qemu.Machine.MaxMemoryBytes == 0 ? 0
                        : Math.Max(Qemu.Machine.MaxMemoryBytes, sizeBytes)
                },
            },
        };
    }

    /// <summary>Whether the guest's map is made from the host's. libxl reads e820_host for PV guests only.</summary>
    public bool UsesHostMap => Type == GuestType.Pv && !IsHostMapOff && (E820Host == true || (Toolstack == Toolstack.Xl && !Pci.IsEmpty));

    /// <summary>Whether an xl.cfg says by type= alone, without builder=, that it is an HVM guest. That is how it was written, and makes no other
    /// guest.</summary>
    internal bool IsTypeAlone { get; init; }

    /// <summary>Whether that xl passes over the type= that says otherwise.</summary>
    internal bool IsTypePassedOver { get; init; }

    /// <summary>Whether e820_host=0 counts in spite of devices.</summary>
    internal bool IsHostMapOff { get; init; }

    /// <summary>The guest that the toolstack of that Xen makes of the same configuration; null: of the usual one.</summary>
    internal GuestSpec AsReadBy(XenVersion? xen)
    {
        if (xen is not { } known || Toolstack != Toolstack.Xl)
            return this;
        // Without a kernel and a bootloader it is refused.
        if (IsTypeAlone && Type == GuestType.Hvm && XlReleases.HasNoType(known) && (Kernel is not null || HasBootloader))
            return this with { Type = GuestType.Pv, IsTypePassedOver = true };
        return Type == GuestType.Pv && E820Host == false && !IsHostMapOff && !Pci.IsEmpty && XlReleases.ReadsDevicesFirst(known)
            ? this with { IsHostMapOff = true } : this;
    }

    /// <summary>Whether the host's map is used against the letter of the configuration.</summary>
    public bool HostMapForcedByPci => UsesHostMap && E820Host == false;

    /// <inheritdoc/>
    public bool Equals(GuestSpec? other) =>
        other is not null && Name == other.Name && Type == other.Type && Toolstack == other.Toolstack && MemoryKiB == other.MemoryKiB &&
        MaxmemKiB == other.MaxmemKiB && E820Host == other.E820Host && Pci.SequenceEqual(other.Pci) && Is32Bit == other.Is32Bit
        && Vcpus == other.Vcpus && MaxVcpus == other.MaxVcpus &&
        Kernel == other.Kernel && Ramdisk == other.Ramdisk && CommandLine == other.CommandLine && HasBootloader == other.HasBootloader
        && Uuid == other.Uuid &&
        RestartsAfter == other.RestartsAfter && Hvm == other.Hvm && Features == other.Features && Refusals.SequenceEqual(other.Refusals)
        && (IsTypePassedOver, IsHostMapOff) == (other.IsTypePassedOver, other.IsHostMapOff) && Qemu == other.Qemu;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Name, Type, MemoryKiB, MaxmemKiB, E820Host, Pci.Length, Vcpus);
}
