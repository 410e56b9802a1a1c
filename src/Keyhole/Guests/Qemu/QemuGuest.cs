// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>Whose configuration a guest of QEMU was read from; a cure is written in the same form.</summary>
public enum QemuDialect
{
    /// <summary>A command line of QEMU itself.</summary>
    CommandLine,

    /// <summary>libvirt's domain XML.</summary>
    Libvirt,

    /// <summary>Proxmox VE's VMID.conf.</summary>
    Proxmox,

    /// <summary>None: options of the user's alone describe it.</summary>
    Options,
}

/// <summary>What <c>-cpu</c> says, as far as it decides a map. Null where it is silent.</summary>
public sealed record QemuCpuChoice
{
    /// <summary>The model's name; empty for QEMU's default.</summary>
    public string Model { get; init; } = "";

    /// <summary>Whether it is libvirt's host-model: a named model with the host's features, whatever stands here as the model.</summary>
    internal bool IsHostModel { get; init; }

    /// <summary>The whole value of <c>-cpu</c> as it stands; empty where there is none.</summary>
    public string Text { get; init; } = "";

    /// <summary>phys-bits: the width of the guest's physical addresses, 32–52.</summary>
    public int? PhysBits { get; init; }

    /// <summary>host-phys-bits: whether the width is the host's.</summary>
    public bool? HostPhysBits { get; init; }

    /// <summary>0 is no limit.</summary>
    public int? HostPhysBitsLimit { get; init; }

    /// <summary>guest-phys-bits: the width that the guest is told to keep to; 0 is none.</summary>
    public int? GuestPhysBits { get; init; }

    /// <summary><c>+pdpe1gb</c> or <c>-pdpe1gb</c>.</summary>
    public bool? GiBPages { get; init; }

    /// <summary>CPUID's twelve letters.</summary>
    public string? Vendor { get; init; }
}

/// <summary>
/// A guest of QEMU as its configuration describes it. What the configuration leaves to the host and to the installed programs is filled in by
/// <see cref="TryResolve"/>.
/// </summary>
public sealed record QemuGuest
{
    /// <summary>What the guest was read from.</summary>
    public required QemuDialect Dialect { get; init; }

    /// <summary>The guest's name; null where none is given.</summary>
    public string? Name { get; init; }

    /// <summary>The machine type as written, without its options; QEMU's default is <c>pc</c>.</summary>
    public required string MachineName { get; init; }

    /// <summary>Whether KVM runs it; else QEMU emulates the processor.</summary>
    public bool IsKvm { get; init; }

    /// <summary>The release of QEMU where the source tells it.</summary>
    public QemuVersion? Emulator { get; init; }

    /// <summary>A release of QEMU that the guest has run under, where the source tells one: it is not moved to an older one.</summary>
    internal QemuVersion? LeastEmulator { get; init; }

    /// <summary>Where how far memory can be plugged in follows from an address width that only the host may tell: from which; else null.</summary>
    internal ProxmoxRoom? Room { get; init; }

    /// <summary>For a configuration of which more than the changed setting follows from a setting: the guest with lines of its own form put in, each
    /// in place of the one of its key, and without those of some keys. Null from the function where they cannot be read; null elsewhere.</summary>
    internal Func<string, ImmutableArray<string>, QemuGuest?>? WithLines { get; init; }

    /// <summary>What the source says of QEMU's package, for the guess at its firmware; empty where it says nothing.</summary>
    public string EmulatorText { get; init; } = "";

    /// <summary>The release of the host's Linux where the source tells it.</summary>
    public QemuVersion? HostKernel { get; init; }

    /// <summary>The firmware's file; empty for QEMU's own SeaBIOS.</summary>
    public string FirmwareFile { get; init; } = "";

    /// <summary>Which firmware it is; null where its file does not tell.</summary>
    public FirmwareName? Firmware { get; init; }

    /// <summary>The size of the huge pages that its RAM has to be of, where the source tells it; else null.</summary>
    internal ulong? HugePageBytes { get; init; }

    /// <summary>Whether its RAM is huge pages, of whatever size.</summary>
    internal bool HasHugePages { get; init; }

    /// <summary>The words with which QEMU ended, where the source is a log that has them; empty elsewhere.</summary>
    internal string LastWords { get; init; } = "";

    /// <summary>Why QEMU does not take what the configuration says, whatever its release is; null where nothing of the kind stops it.</summary>
    internal StartRefusal? Refusal { get; init; }

    /// <summary>For a command line, what QEMU looks at in it before it starts the guest; null elsewhere.</summary>
    internal QemuCommandRules? Rules { get; init; }

    /// <summary>What is said of the processor.</summary>
    public QemuCpuChoice Cpu { get; init; } = new();

    /// <summary>What <c>-vga</c> says; null where it is silent.</summary>
    public string? Vga { get; init; }

    /// <summary>Whether a display was named with <c>-device</c>, or defaults are switched off: QEMU then adds none by itself.</summary>
    public bool HasNoDefaultVga { get; init; }

    /// <summary>Network cards of <c>-nic</c> and <c>-net nic</c> by their models, an empty one for the board's default; null where nothing is said of
    /// networks.</summary>
    public ImmutableArray<string>? Nics { get; init; }

    /// <summary>Settings of the configuration as they stand, of which a change has to keep the rest: Proxmox's <c>args</c>, <c>cpu</c>,
    /// <c>machine</c> …, libvirt's elements <c>cpu</c>, <c>os</c>, <c>maxMemory</c>, <c>sysinfo</c> …</summary>
    public ImmutableArray<QemuProperty> Kept { get; init => field = Given.Array(value); } = [];

    /// <summary>
    /// The guest on a host of which nothing is known. Everything the configuration says stands here; type, emulator, firmware, processor, and the
    /// devices that QEMU adds by itself may come out otherwise with <see cref="TryResolve"/>.
    /// </summary>
    public required QemuMachine Machine { get; init; }

    /// <inheritdoc/>
    public bool Equals(QemuGuest? other) => other is not null
        && (Dialect, Name, MachineName, IsKvm, Emulator, EmulatorText, HostKernel) == (other.Dialect, other.Name, other.MachineName, other.IsKvm,
            other.Emulator, other.EmulatorText, other.HostKernel)
        && (LeastEmulator, HugePageBytes, HasHugePages, LastWords, Room)
            == (other.LeastEmulator, other.HugePageBytes, other.HasHugePages, other.LastWords, other.Room)
        && Refusal == other.Refusal && Equals(Rules, other.Rules)
        && (FirmwareFile, Firmware, Cpu, Vga, HasNoDefaultVga, Machine) == (other.FirmwareFile, other.Firmware, other.Cpu, other.Vga,
            other.HasNoDefaultVga, other.Machine)
        && Kept.SequenceEqual(other.Kept) && Nics.HasValue == other.Nics.HasValue && (Nics is not { } nics || nics.SequenceEqual(other.Nics!.Value));

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Dialect, Name, MachineName, Emulator, Machine);

    /// <summary>Whether the guest's address width is the host's: so it is with <c>-cpu host</c>, and where the configuration asks for it.</summary>
    /// <param name="machineName">The machine type as written: some distributions' types ask for it.</param>
    public bool TakesHostPhysBits(string machineName)
    {
        ArgumentNullException.ThrowIfNull(machineName);
        bool isHosts = (Cpu.Model == "host" && !Cpu.IsHostModel) || (Cpu.Model == "max" && IsKvm);
        return IsKvm && (Cpu.HostPhysBits
            ?? (isHosts || machineName.Contains("-rhel", StringComparison.Ordinal) || machineName.EndsWith("-hpb", StringComparison.Ordinal)));
    }

    /// <summary>Whether a guest's width that somebody tells is the host's: it takes the host's, and no limit stands in between.</summary>
    internal bool TellsHostsWidth(string machineName, int toldBits) => TakesHostPhysBits(machineName)
        && (LimitOf(machineName) == 0 || LimitOf(machineName) > toldBits);

    /// <summary>The limit of a width that is the host's; 0 for none.</summary>
    internal int LimitOf(string machineName) =>
        Cpu.HostPhysBitsLimit ?? (machineName.Contains("-rhel", StringComparison.Ordinal) ? 48 : 0);

    /// <summary>Why <see cref="TryResolve"/> fails where the machine type's name can be read; else null.</summary>
    internal string? WhyNotKnown(QemuSurroundings around) => new QemuResolution(this, around).WhyNotKnown(around.MachineName ?? MachineName);

    /// <summary>The guest on its host. False where the machine type is none that Keyhole knows; <paramref name="assumptions"/> then is
    /// empty.</summary>
    public bool TryResolve(QemuSurroundings around, out QemuMachine machine, out ImmutableArray<QemuAssumption> assumptions)
    {
        ArgumentNullException.ThrowIfNull(around);
        return new QemuResolution(this, around).TryRun(out machine, out assumptions);
    }
}
