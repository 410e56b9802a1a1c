// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>What QEMU itself looks at in a command line before it starts the guest, and which no memory map hangs on.</summary>
/// <param name="Processors">Of <c>-smp</c>.</param>
/// <param name="MachineProperties">Of <c>-machine</c>, in their order, with dashes.</param>
/// <param name="OfDevices">Why it refuses one of the devices, whatever its release is; null where it does not.</param>
internal sealed record QemuCommandRules(QemuProcessors Processors, ImmutableArray<string> MachineProperties, StartRefusal? OfDevices)
{
    /// <summary>The words that were asked for are those of this release and later ones.</summary>
    private static readonly QemuVersion s_namesMachine = new(7, 2);

    /// <summary>Before, QEMU shared the memory out among nodes that have none.</summary>
    private static readonly QemuVersion s_givesNodesNoMemory = new(5, 2);

    /// <summary>Properties of the PC boards: all that 7.2, 10.0 and 11.1 list, and those that they take and do not list.</summary>
    private static readonly ImmutableHashSet<string> s_properties = ImmutableHashSet.Create(StringComparer.Ordinal,
        "accel", "acpi", "append", "aux-ram-share", "boot", "bus-lock-ratelimit", "confidential-guest-support", "cxl", "cxl-fmw",
        "default-bus-bypass-iommu", "dt-compatible", "dtb", "dump-guest-core", "dumpdtb", "fd-bootchk", "firmware", "graphics", "hmat", "hpet",
        "i8042", "igd-passthru", "initrd", "kernel", "kernel-irqchip", "kvm-shadow-mem", "max-fw-size", "max-ram-below-4g", "mem-merge", "memory",
        "memory-backend", "memory-encryption", "nvdimm", "nvdimm-persistence", "pcspk-audiodev", "pflash0", "pflash1", "phandle-start", "pic",
        "pit", "sata", "sgx-epc", "shim", "smbios-entry-point-type", "smbus", "smm", "smp", "smp-cache", "suppress-vmdesc", "type", "usb",
        "vmport", "wdat", "x-change-vmfd-on-reset", "x-oem-id", "x-oem-table-id", "x-south-bridge");

    /// <summary>The options that not every release has, with what follows them, in their order.</summary>
    public ImmutableArray<(string Name, string? Value)> Options { get; init; } = [];

    /// <summary>Whether there are NUMA nodes (<c>-numa node</c>), and none has memory.</summary>
    public bool HasNodesWithoutMemory { get; init; }

    /// <inheritdoc/>
    public bool Equals(QemuCommandRules? other) => other is not null && Processors.Equals(other.Processors)
        && MachineProperties.SequenceEqual(other.MachineProperties) && Options.SequenceEqual(other.Options)
        && HasNodesWithoutMemory == other.HasNodesWithoutMemory && OfDevices == other.OfDevices;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Processors, MachineProperties.Length, OfDevices);

    /// <summary>Why QEMU refuses an option of the command, which it does before it looks at anything else; null where it does not.</summary>
    public StartRefusal? OptionRefusal(QemuVersion emulator) =>
        Options.Where(static option => !QemuOptionNames.IsForm(option.Name))
            .Select(option => QemuOptionNames.Refusal(emulator, option.Name, option.Value)).FirstOrDefault(static refusal => refusal is not null);

    /// <summary>The release nearest to one that has all options; the same one where it has, or none can be told.</summary>
    /// <param name="option">The option that decides; null where none does.</param>
    public QemuVersion Nearest(QemuVersion assumed, out string? option)
    {
        option = null;
        QemuVersion nearest = assumed;
        foreach ((string name, _) in Options)
        {
            (QemuVersion? first, QemuVersion? last) = QemuOptionNames.ReleasesOf(name);
            if (nearest > last || nearest < first)
                (nearest, option) = (nearest > last ? last!.Value : first!.Value, name);
        }

        // No release has both of two options.
        if (Options.Any(one => IsMissing(one.Name, nearest)))
            (nearest, option) = (assumed, null);
        return nearest;
    }

    private static bool IsMissing(string option, QemuVersion release) =>
        QemuOptionNames.ReleasesOf(option) is var (first, last) && (release < first || release > last);

    /// <summary>Why QEMU refuses the command; null where it does not.</summary>
    /// <param name="name">The machine type as written, without a distribution's mark behind it.</param>
    public StartRefusal? Refusal(QemuVersion emulator, QemuMachineType type, string name, string cpuModel)
    {
        bool isOwn = QemuReleases.IsOwn(name);
        bool isKnown = isOwn || name is "pc" or "q35";
        string board = isOwn ? name : type.ToString();
        // A distribution's own boards take other numbers.
        int? mostCpus = isKnown ? MostCpus(type) : null;
        if (Processors.Refusal(emulator, type, mostCpus, board) is { } ofProcessors)
            return ofProcessors;
        if (emulator <= QemuReleases.Newest && emulator >= s_namesMachine
            && MachineProperties.FirstOrDefault(static name => !s_properties.Contains(name.Split('.')[0])) is { } stranger)
        {
            string property = InputError.OneLine(stranger.Split('.')[0], 60);
            return OfCommand($"Property '{(isKnown ? board : name)}-machine.{property}' not found",
                $"take {property}= out of -machine: qemu-system-x86_64 -machine {type},help lists what it takes");
        }

        if (cpuModel.Length > 0 && emulator <= QemuReleases.Newest && !QemuCpuModel.IsOne(cpuModel))
        {
            return OfCommand($"unable to find CPU model '{InputError.OneLine(cpuModel, 60)}'", QemuCpuModel.InOtherCase(cpuModel) is { } other
                ? $"write {other}: capital letters count" : "give a model that qemu-system-x86_64 -cpu help lists");
        }

        if (IsMissing(QemuOptionNames.Vlan, emulator) && Options.Any(static option => option.Name == QemuOptionNames.Vlan))
            return OfCommand("Invalid parameter 'vlan'", "take vlan= out of -net and -netdev");
        if (HasNodesWithoutMemory && emulator >= s_givesNodesNoMemory)
        {
            return OfCommand("total memory for NUMA nodes (0x0) should equal RAM size",
                "give each node its memory: -object memory-backend-ram,id=m0,size=…, and -numa node,memdev=m0");
        }

        return OfDevices;
    }

    private static StartRefusal OfCommand(string words, string remedy) =>
        new("QEMU", words, "") { IsOfCommand = true, IsBehindMemory = true, Remedy = remedy };

    /// <summary>How many processors a board takes.</summary>
    private static int MostCpus(QemuMachineType type) => type.Chipset != QemuChipset.Q35 ? 255
        : type.Version < new QemuVersion(2, 8) ? 255
        : type.Version < new QemuVersion(8, 1) ? 288
        : type.Version < new QemuVersion(9, 0) ? 1024 : 4096;
}
