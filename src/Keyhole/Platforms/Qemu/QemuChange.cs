// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Globalization;
using Keyhole.Guests;
using Keyhole.Platforms.Firmware;
using Keyhole.Platforms.Qemu.Board;

namespace Keyhole.Platforms.Qemu;

/// <summary>The settings of a guest of QEMU that decide where BARs lie, and that its owner can change. In the order in which they weigh, the lightest
/// first.</summary>
internal enum QemuSetting
{
    /// <summary>A chassis of its own for each port and bridge that QEMU refuses for want of one.</summary>
    Chassis,

    /// <summary>The lowest function of each slot that has no function 0, moved there.</summary>
    FirstFunction,

    /// <summary>OVMF's window above 4 GiB: <c>opt/ovmf/X-PciMmio64Mb</c>, in MiB.</summary>
    OvmfWindow,

    /// <summary>The width of the guest's physical addresses in bits.</summary>
    PhysBits,

    /// <summary>Pages of 1 GiB (pdpe1gb), without which OVMF maps 40 bits at most.</summary>
    GiBPages,

    /// <summary>What the root ports keep free for hot-plug.</summary>
    Ports,

    /// <summary><c>max-ram-below-4g</c>, in bytes.</summary>
    MaxRamBelow4GiB,

    /// <summary><c>pci-hole64-size</c>, in bytes.</summary>
    Hole64,

    /// <summary>Slots for memory to be plugged in, each of which keeps 1 GiB of addresses free; 0: no memory to be plugged in at all.</summary>
    MemorySlots,

    /// <summary>A later release of the same firmware.</summary>
    FirmwareRelease,

    /// <summary>A later version of the same board.</summary>
    MachineVersion,

    /// <summary>The other firmware: a system that was installed under one does not start under the other by itself.</summary>
    Firmware,

    /// <summary>The other board: a system finds its devices elsewhere.</summary>
    Board,
}

/// <summary>One change of a guest's settings.</summary>
/// <param name="Number">The value, in the setting's unit; 0 where it is no number.</param>
/// <param name="Text">A property and its value for <see cref="QemuSetting.Ports"/>, the name of a firmware or of a machine type, what is numbered or
/// moved for <see cref="QemuSetting.Chassis"/> and <see cref="QemuSetting.FirstFunction"/>; else empty.</param>
internal readonly record struct QemuChange(QemuSetting Setting, ulong Number, string Text)
{
    /// <summary>The name under which OVMF looks for the size of its window.</summary>
    public const string WindowName = OvmfWindows.WindowName;

    /// <summary>How much a change costs whoever makes it: sums of these are compared.</summary>
    internal int Weight => Setting switch
    {
        QemuSetting.Chassis or QemuSetting.FirstFunction or QemuSetting.OvmfWindow => 1,
        QemuSetting.PhysBits or QemuSetting.GiBPages => 2,
        QemuSetting.Ports or QemuSetting.MaxRamBelow4GiB or QemuSetting.Hole64 => 3,
        QemuSetting.MemorySlots => Number > 0 ? 3 : 9,
        QemuSetting.FirmwareRelease => 6,
        QemuSetting.MachineVersion => 8,
        QemuSetting.Firmware => 15,
        QemuSetting.Board => 20,
    };

    /// <summary>As users write it.</summary>
    public string Name => Setting switch
    {
        QemuSetting.Chassis or QemuSetting.FirstFunction => Text,
        QemuSetting.OvmfWindow => string.Create(CultureInfo.InvariantCulture, $"X-PciMmio64Mb={Number}"),
        QemuSetting.PhysBits => string.Create(CultureInfo.InvariantCulture, $"phys-bits={Number}"),
        QemuSetting.GiBPages => "pdpe1gb=on",
        QemuSetting.Ports => $"pcie-root-port.{Text}",
        QemuSetting.MaxRamBelow4GiB => $"max-ram-below-4g={Size}",
        QemuSetting.Hole64 => $"pci-hole64-size={Size}",
        QemuSetting.MemorySlots => Number > 0 ? string.Create(CultureInfo.InvariantCulture, $"slots={Number}") : "no maxmem",
        QemuSetting.FirmwareRelease or QemuSetting.Firmware => $"firmware {Text}",
        QemuSetting.MachineVersion or QemuSetting.Board => $"machine {Text}",
    };

    /// <summary>The number as QEMU's options spell it.</summary>
    public string Size => SizeText(Number);

    /// <summary>Bytes as QEMU's options spell them.</summary>
    public static string SizeText(ulong bytes) => bytes == 0 ? "0"
        : bytes % QemuLayout.TiB == 0 ? string.Create(CultureInfo.InvariantCulture, $"{bytes / QemuLayout.TiB}T")
        : bytes % QemuLayout.GiB == 0 ? string.Create(CultureInfo.InvariantCulture, $"{bytes / QemuLayout.GiB}G")
        : string.Create(CultureInfo.InvariantCulture, $"{bytes >> 20}M");

    /// <summary>The property of <see cref="QemuSetting.Ports"/>.</summary>
    internal string Property => Text[..Text.IndexOf('=', StringComparison.Ordinal)];

    /// <summary>Its value.</summary>
    internal string Value => Text[(Text.IndexOf('=', StringComparison.Ordinal) + 1)..];

    /// <summary>The machine with the change made. A change of the board is none that a machine can take by itself: see
    /// <see cref="QemuCureRequest.WithBoard"/>.</summary>
    public QemuMachine ApplyTo(QemuMachine machine)
    {
        ArgumentNullException.ThrowIfNull(machine);
        QemuChange change = this;
        switch (Setting)
        {
            case QemuSetting.Chassis:
                return PortNumbers.Mended(machine) ?? machine;
            case QemuSetting.FirstFunction:
                return UnseenSlot.Mended(machine) ?? machine;
            case QemuSetting.OvmfWindow:
                return machine with
                {
                    FwCfg = machine.FwCfg.RemoveAll(static blob => blob.Name == WindowName)
                        .Add(new(WindowName, Number.ToString(CultureInfo.InvariantCulture))),
                };
            case QemuSetting.PhysBits:
                // What KVM says that it maps goes with the width, as far as it maps.
                int bits = (int)Number;
                return machine with
                {
                    Cpu = machine.Cpu with
                    {
                        PhysBits = bits,
                        GuestPhysBits = machine.Cpu.GuestPhysBits == 0 ? 0 : Math.Min(bits, machine.Cpu.MostMappedBits),
                    },
                };
            case QemuSetting.GiBPages:
                return machine with { Cpu = machine.Cpu with { HasGiBPages = true } };
            case QemuSetting.Ports:
                return machine with { Globals = machine.Globals.Add(new("pcie-root-port", Property, Value)) };
            case QemuSetting.MaxRamBelow4GiB:
                return machine with { MaxRamBelow4GiB = Number };
            case QemuSetting.Hole64:
                string driver = machine.Type.Chipset == QemuChipset.Q35 ? "q35-pcihost" : "i440FX-pcihost";
                return machine with
                {
                    Globals = machine.Globals.RemoveAll(global => global.Property == "pci-hole64-size")
                        .Add(new(driver, "pci-hole64-size", change.Size)),
                };
            case QemuSetting.MemorySlots:
                return Number > 0 ? machine with { MemorySlots = (int)Number } : machine with { MemorySlots = 0, MaxMemoryBytes = 0 };
            case QemuSetting.FirmwareRelease or QemuSetting.Firmware:
                return QemuFirmware.TryParse(Text, out QemuFirmware firmware) ? machine with { Firmware = firmware, OtherFirmware = [] } : machine;
            case QemuSetting.MachineVersion:
                if (!QemuMachineType.TryParse(Text, machine.Emulator, out QemuMachineType type))
                    return machine;
                // A machine type is never newer than its QEMU.
                return machine with
                {
                    Type = type,
                    Emulator = type.Version > machine.Emulator ? type.Version : machine.Emulator,
                    Refusal = machine.Refusal is { IsOfType: true } ? null : machine.Refusal,
                };
            default:
                return machine;
        }
    }
}

/// <summary>Settings that were tried together.</summary>
/// <param name="Changes">Empty: as it is.</param>
/// <param name="Unplaced">BARs without an address of use. Where the guest does not get that far, all.</param>
/// <param name="IsCure">Whether the guest boots with every BAR in its place, within the widths that the host has.</param>
internal sealed record QemuTrial(ImmutableArray<QemuChange> Changes, GuestOutcome Outcome, int Unplaced, bool IsCure)
{
    /// <summary>The settings as users write them.</summary>
    public string Name
    {
        get
        {
            if (Changes.IsEmpty)
                return "as it is";
            var names = new string[Changes.Length];
            for (int i = 0; i < names.Length; i++)
                names[i] = Changes[i].Name;
            return string.Join(" and ", names);
        }
    }
}

/// <summary>A guest for which settings are to be tried.</summary>
/// <param name="Machine">As it is.</param>
internal sealed record QemuCureRequest(QemuMachine Machine)
{
    /// <summary>Where the host's hardware does not let the guest be.</summary>
    public QemuLimits Limits { get; init; }

    /// <summary>Whether the guest has the width of the host's processor, or a limit below it: a number is such a limit then.</summary>
    public bool HasHostsWidth { get; init; }

    /// <summary>Whether the width of the host's IOMMU is told, or no device needs it.</summary>
    public bool KnowsIommu { get; init; } = true;

    /// <summary>Whether the guest's processor can have pages of 1 GiB: under KVM where the host's has, or nobody knows.</summary>
    public bool CanHaveGiBPages { get; init; } = true;

    /// <summary>Whether the guest's form says how many slots there are for memory to be plugged in: Proxmox VE has 255 of its own.</summary>
    public bool NamesSlots { get; init; } = true;

    /// <summary>The guest on a board of that name; null where only its owner could rebuild it.</summary>
    public Func<string, QemuMachine?>? WithBoard { get; init; }

    /// <summary>The guest as its own form gives it with the changes, where more follows from a setting than what was changed (Proxmox VE's maxmem
    /// from the width): null from the function where the changed form cannot be read; null elsewhere.</summary>
    public Func<ImmutableArray<QemuChange>, QemuMachine?>? Rebuilt { get; init; }
}

/// <summary>What was tried, and what is best.</summary>
/// <param name="Trials">As it is first; then the best value of each setting; where none does alone, what does together.</param>
/// <param name="Best">The lightest change that places all; null where none of those tried does.</param>
internal sealed record QemuCure(ImmutableArray<QemuTrial> Trials, QemuTrial? Best)
{
    /// <summary>Whether nothing was tried but the guest as it is.</summary>
    public bool IsUntried => Best is null && Trials.Length <= 1;

    /// <summary>Whether nothing was tried because QEMU refuses how the devices are plugged together.</summary>
    public bool IsPlugRefused { get; init; }

    /// <summary>Whether nothing was tried because two have the same name.</summary>
    public bool IsNameRefused { get; init; }

    /// <summary>Who refuses the configuration itself, so that nothing was tried; null where nobody does.</summary>
    public string? RefusedBy { get; init; }

    /// <summary>Whether BARs of devices that are passed through are not told and do not count: the guest starts, and no more is said.</summary>
    public bool IsStartOnly { get; init; }

    /// <summary>Whether there is nothing to cure.</summary>
    public bool IsWell => Best is { Changes.IsEmpty: true };
}
