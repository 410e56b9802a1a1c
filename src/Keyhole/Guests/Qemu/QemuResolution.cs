// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Pci;

namespace Keyhole.Guests;

/// <summary>Something that decides where BARs come to lie and that neither the configuration nor the host's description tells.</summary>
public enum QemuUnknown
{
    /// <summary>The release of QEMU.</summary>
    Emulator,

    /// <summary>The firmware's release.</summary>
    FirmwareRelease,

    /// <summary>Which firmware it is at all. Nothing is taken in its place, and no forecast can be made.</summary>
    FirmwareName,

    /// <summary>Who made the host's processor.</summary>
    CpuVendor,

    /// <summary>The width of the host's physical addresses.</summary>
    PhysBits,

    /// <summary>Whether the host's processor has pages of 1 GiB.</summary>
    GiBPages,

    /// <summary>Whether KVM tells the guest how wide the addresses are that it can map.</summary>
    GuestPhysBits,

    /// <summary>The model of <c>-cpu</c> is none that Keyhole knows.</summary>
    CpuModel,

    /// <summary>Which BARs a device of the host has.</summary>
    HostDevice,
}

/// <summary>What was taken in place of something that is not known.</summary>
/// <param name="Message">One sentence without a full stop: what was assumed, and from what.</param>
public readonly record struct QemuAssumption(QemuUnknown Unknown, string Message);

/// <summary>Fills in what a guest's configuration leaves open.</summary>
internal sealed class QemuResolution(QemuGuest guest, QemuSurroundings around)
{
    /// <summary>From these on KVM tells the guest what it can map: QEMU and machine type, and the host's Linux.</summary>
    private static readonly QemuVersion s_tellsGuestPhysBits = new(9, 1);
    private static readonly QemuVersion s_kvmTellsGuestPhysBits = new(6, 10);

    /// <summary>The width of today's servers of both vendors that no 5-level paging has been built into.</summary>
    private const int AssumedHostPhysBits = 46;

    internal const string FirmwareNotTold = "the firmware's release is not told";

    private readonly List<QemuAssumption> _assumptions = [];

    public bool TryRun(out QemuMachine machine, out ImmutableArray<QemuAssumption> assumptions)
    {
        assumptions = [];
        machine = guest.Machine;
        string name = around.MachineName ?? guest.MachineName;
        QemuVersion emulator = Emulator(name);
        if (WhyNotKnown(name) is not null || !QemuMachineType.TryParse(name, emulator, out QemuMachineType type))
        {
            _assumptions.Clear();
            return false;
        }

        bool isTold = (around.Emulator ?? guest.Emulator) is not null;
        (QemuFirmware firmware, ImmutableArray<QemuFirmware> others, _) = Firmware(emulator, !isTold);
        machine = guest.Machine with
        {
            Type = type,
            Emulator = emulator,
            IsEmulatorAssumed = !isTold,
            Refusal = guest.Rules?.OptionRefusal(emulator) ?? guest.Refusal ?? QemuReleases.RefusalWithoutRelease(emulator, name)
                ?? (isTold ? QemuReleases.Refusal(emulator, type, QemuArguments.WithoutMark(name)) : null)
                ?? guest.Rules?.Refusal(emulator, type, QemuArguments.WithoutMark(name), guest.Cpu.Model),
            Firmware = firmware,
            OtherFirmware = others,
            Cpu = Cpu(name, type, emulator),
            Vga = guest.Vga ?? (guest.HasNoDefaultVga ? "none" : type.Version < new QemuVersion(2, 2) ? "cirrus" : "std"),
            Nics = [.. (guest.Nics ?? [""]).Select(model => model.Length > 0 ? model : DefaultNic(type))],
            Devices = Devices(),
        };
        if (guest.Room is { } room)
            machine = WithRoom(machine, room);
        assumptions = [.. _assumptions];
        return true;
    }

    /// <summary>Why there is no such machine, where its names can be read; else null.</summary>
    public string? WhyNotKnown(string name) => QemuReleases.WhyNotKnown(around.Emulator ?? guest.Emulator, QemuArguments.WithoutMark(name));

    private void Assume(QemuUnknown unknown, string message) => _assumptions.Add(new(unknown, message));

    private static string DefaultNic(QemuMachineType type) =>
        type.Chipset == QemuChipset.Q35 && type.Version >= new QemuVersion(2, 12) ? "e1000e" : "e1000";

    private QemuVersion Emulator(string machineName)
    {
        if ((around.Emulator ?? guest.Emulator) is { } told)
        {
            AssumeNewest(told);
            return told;
        }

        // A machine type is never newer than its QEMU; libvirt and Proxmox write the newest one of the day into the guest.
        bool hasVersion = QemuMachineType.TryParse(machineName, new(0, 0), out QemuMachineType type) && type.Version > new QemuVersion(0, 0);
        bool isLxds = !hasVersion && QemuFirmwareProducts.IsLxds(guest.FirmwareFile) && !guest.FirmwareFile.Contains("_4M", StringComparison.Ordinal);
        QemuVersion assumed = hasVersion ? type.Version : isLxds ? QemuFirmwareProducts.LxdsQemu : QemuVersion.Usual;
        bool isOfCreation = guest.LeastEmulator > assumed;
        assumed = isOfCreation ? guest.LeastEmulator!.Value : assumed;
        string? option = null;
        // No release that has the option has the machine type: then QEMU refuses one of the two.
        if (guest.Rules?.Nearest(assumed, out option) is { } nearest && !(hasVersion && nearest < type.Version) && !(nearest < guest.LeastEmulator))
            assumed = nearest;
        else
            option = null;
        bool isOld = assumed < QemuReleases.Oldest;
        assumed = isOld ? QemuReleases.Oldest : assumed;
        Assume(QemuUnknown.Emulator, $"QEMU's release is not told: {assumed} is assumed"
            + (option is not null ? $", the {(QemuOptionNames.ReleasesOf(option).Last == assumed ? "last" : "first")} that has "
                    + Diagnostics.InputError.OneLine(option, 60)
                : isOfCreation ? ", under which the guest was created"
                : isOld ? ", the oldest that is known" : hasVersion ? ", that of the machine type"
                : isLxds ? ", which LXD's snap has before 6.7" : ""));
        AssumeNewest(assumed);
        return assumed;
    }

    private void AssumeNewest(QemuVersion emulator)
    {
        if (emulator > QemuReleases.Newest)
            Assume(QemuUnknown.Emulator, $"QEMU {emulator} is later than those that are known: it is assumed to do what {QemuReleases.Newest} does");
    }

    private void AssumeNewest(QemuFirmware firmware)
    {
        QemuFirmware newest = firmware.NewestKnown;
        if (newest.IsSince(firmware.Major, firmware.Minor, firmware.Patch))
            return;
        string but = firmware.Name == FirmwareName.Ovmf ? "; but its window is a quarter of the address space, as in edk2's source" : "";
        Assume(QemuUnknown.FirmwareRelease, $"{firmware} is later than those that are known: it is assumed to do what {newest} does{but}");
    }

    private FirmwareChoice Firmware(QemuVersion emulator, bool isAssumed)
    {
        if (around.Firmware is { } told)
        {
            AssumeNewest(told);
            return new(told, [], null);
        }

        if ((around.FirmwareName ?? guest.Firmware) is not { } name)
        {
            // Another firmware lays another map: nothing is assumed, and whoever forecasts has to stop here.
            string file = Diagnostics.InputError.Quote(guest.FirmwareFile);
            Assume(QemuUnknown.FirmwareName, QemuFirmwareGuess.IsConfidential(guest.FirmwareFile)
                ? $"{file} is OVMF as it is built for confidential guests (SEV, TDX), which lays its map by rules of its own"
                : $"which firmware {file} is cannot be told from its name");
            return new(guest.Machine.Firmware, [], null);
        }

        // A file that is of another firmware than the user says tells nothing of that one.
        FirmwareChoice choice = QemuFirmwareGuess.ChoiceOf(name, guest.Firmware is { } own && own != name ? "" : guest.FirmwareFile, emulator,
            isAssumed, guest.EmulatorText, around.MachineName ?? guest.MachineName);
        if (choice.Why is not null)
            Assume(QemuUnknown.FirmwareRelease, $"{FirmwareNotTold}: {choice.Firmware} is assumed, {choice.Why}");
        if (choice.Why is not null
            && choice.Firmware is { Name: FirmwareName.Ovmf, IsUpstream: false, Maker: FirmwareMaker.Other, Major: 2024, Minor: < 8 }
            && guest.Machine.FwCfgValue("opt/ovmf/X-PciMmio64Mb") is not null)
        {
            Assume(QemuUnknown.FirmwareRelease, $"Ubuntu's later updates of {choice.Firmware} (Launchpad 2101903) let X-PciMmio64Mb take the place "
                + "of a larger window too, as 2025.05 does: the map is that without them");
        }

        AssumeNewest(choice.Firmware);
        return choice;
    }

    private QemuCpu Cpu(string machineName, QemuMachineType type, QemuVersion emulator)
    {
        QemuCpuChoice choice = guest.Cpu;
        bool isHosts = choice.Model == "host" || (choice.Model == "max" && guest.IsKvm);
        string modelName = choice.Model.Length > 0 ? choice.Model : "qemu64";
        if (!QemuCpuModel.TryFind(modelName, out QemuCpuModel model) || isHosts)
        {
            if (!isHosts)
                Assume(QemuUnknown.CpuModel,
                    $"the processor model {Diagnostics.InputError.Quote(modelName)} is not known: a 64-bit one with 1 GiB pages is assumed");
            model = new(around.HostVendor ?? CpuVendor.Intel, Is64Bit: true, HasGiBPages: true);
        }

        CpuVendor vendor = Vendor(choice, model, isHosts);
        bool hasGiBPages = choice.GiBPages ?? model.HasGiBPages;
        if (guest.IsKvm && hasGiBPages)
        {
            if (around.HostHasGiBPages is null && isHosts)
                Assume(QemuUnknown.GiBPages, "whether the host's processor has pages of 1 GiB is not told: it is assumed");
            hasGiBPages = around.HostHasGiBPages ?? true;
        }

        int bits = PhysBits(machineName, choice, model);
        return new(vendor, bits)
        {
            IsHosts = choice.Model == "host" && !choice.IsHostModel,
            HasGiBPages = hasGiBPages,
            GuestPhysBits = model.Is64Bit ? GuestPhysBits(choice, type, emulator, bits) : 0,
            MostMappedBits = MostMappedBits,
        };
    }

    private CpuVendor Vendor(QemuCpuChoice choice, QemuCpuModel model, bool isHosts)
    {
        if (around.Vendor is { } told)
            return told;
        switch (choice.Vendor)
        {
            case "GenuineIntel":
                return CpuVendor.Intel;
            case "AuthenticAMD":
                return CpuVendor.Amd;
            case not null:
                return CpuVendor.Other;
        }

        if (!guest.IsKvm)
            return model.Vendor;
        if (around.HostVendor is { } host)
            return host;
        // QEMU's own models are of no maker's: Proxmox VE's x86-64-v2-AES is qemu64, which it calls AMD's where there is no KVM.
        bool isNobodys = isHosts || choice.Model is "" or "qemu32" or "qemu64" or "kvm32" or "kvm64";
        CpuVendor assumed = isNobodys ? CpuVendor.Intel : model.Vendor;
        Assume(QemuUnknown.CpuVendor, isHosts ? "who made the host's processor is not told: Intel is assumed"
            : "who made the host's processor, which is the guest's maker under KVM whatever its model, is not told: "
                + $"{(assumed == CpuVendor.Amd ? "AMD" : "Intel")} is assumed{(isNobodys ? "" : ", as the guest's model is theirs")}");
        return assumed;
    }

    private int PhysBits(string machineName, QemuCpuChoice choice, QemuCpuModel model)
    {
        if (around.PhysBits is { } told)
            return told;
        if (!model.Is64Bit)
            return 36;
        // Red Hat's machine types, and those of Ubuntu with hpb in their name, take the host's width for every model.
        if (!guest.TakesHostPhysBits(machineName))
            return choice.PhysBits ?? QemuCpu.DefaultPhysBits;
        int limit = guest.LimitOf(machineName);
        if (around.HostPhysBits is not { } host)
        {
            host = LeastHostBits ?? (limit > 0 ? limit : AssumedHostPhysBits);
            // A limit that no processor with the table's width can be below settles it.
            if (limit == 0 || limit > host || LeastHostBits is null)
                Assume(QemuUnknown.PhysBits, host != around.HostAcpiBits && host == around.Mapped?.Bits
                    ? $"the width of the host's physical addresses is not told: {host} bits are assumed, for QEMU said in the host's "
                        + "log that it could not map an address which a guest with fewer does not have; the processor may have more (\"address "
                        + "sizes\" in /proc/cpuinfo)"
                    : around.HostAcpiBits is not null
                    ? $"the width of the host's physical addresses is not told: {host} bits are assumed, those of DMAR's \"Host address width\"; the "
                        + "processor may have more (\"address sizes\" in /proc/cpuinfo)"
                    : limit > 0
                    ? $"the width of the host's physical addresses is not told: at least {limit} bits are assumed, the limit that the guest has"
                    : $"the width of the host's physical addresses is not told: {host} bits are assumed");
        }

        return limit > 0 ? Math.Min(host, limit) : host;
    }

    private QemuMachine WithRoom(QemuMachine machine, ProxmoxRoom room)
    {
        int bits = HostPhysBits ?? LeastHostBits ?? AssumedHostPhysBits;
        // The processor has at least what the table tells.
        if (HostPhysBits is null && !room.IsSettledBy(LeastHostBits ?? 0))
        {
            Assume(QemuUnknown.PhysBits, "how far memory can be plugged in (maxmem) Proxmox VE reckons from the width of the host's physical "
                + $"addresses, which is not told: it is taken for {bits} bits here, and RAM and BARs may lie elsewhere");
        }

        ulong mostBytes = room.BytesOn(bits);
        return machine with
        {
            MaxMemoryBytes = Math.Max(mostBytes, machine.MemoryBytes),
            Refusal = machine.Refusal ?? (room.MemoryBytes > mostBytes
                ? new("Proxmox VE", $"Total memory is bigger than {mostBytes >> 20}MB", $"that is half of what {bits} address bits reach") : null),
        };
    }

    private int GuestPhysBits(QemuCpuChoice choice, QemuMachineType type, QemuVersion emulator, int bits)
    {
        if (choice.GuestPhysBits is { } told and >= 0)
            return Math.Min(told, bits);
        if (!guest.IsKvm || type.Version < s_tellsGuestPhysBits || emulator < s_tellsGuestPhysBits)
            return 0;
        QemuVersion? kernel = around.HostKernel ?? guest.HostKernel;
        if (kernel < s_kvmTellsGuestPhysBits)
            return 0;
        if (kernel is null)
            Assume(QemuUnknown.GuestPhysBits,
                $"the host's Linux is not told: {s_kvmTellsGuestPhysBits} or later is assumed, whose KVM tells the guest how "
                    + $"wide the addresses are that it maps");
        return Math.Min(bits, MostMappedBits);
    }

    /// <summary>The width of the host's processor, also where only the guest's is told and is that.</summary>
    private int? HostPhysBits => around.HostPhysBits
        ?? (around.PhysBits is { } told && guest.TellsHostsWidth(around.MachineName ?? guest.MachineName, told) ? told : null);

    /// <summary>What the host's processor has at least, by its ACPI table and by what a guest on it had; null where neither is told, or the guest's
    /// tells too little.</summary>
    private int? LeastHostBits => around.HostAcpiBits is { } table ? int.Max(table, around.Mapped?.Bits ?? 0)
        : around.Mapped is { } mapped && (mapped.IsAll || mapped.Bits > AssumedHostPhysBits) ? mapped.Bits : null;

    /// <summary>KVM tells the width of the host's processor, or 48 where that is less (Linux, kvm/cpuid.c); QEMU lowers it to the guest's.</summary>
    private int MostMappedBits =>
        guest.IsKvm ? Math.Min(HostPhysBits ?? LeastHostBits ?? QemuCpu.PageTableBits, QemuCpu.PageTableBits)
            : QemuCpu.PageTableBits;

    private ImmutableArray<QemuDevice> Devices()
    {
        var devices = ImmutableArray.CreateBuilder<QemuDevice>(guest.Machine.Devices.Length);
        foreach (QemuDevice device in guest.Machine.Devices)
        {
            if (!HostFunctions.IsOne(device) || device.Host is not null)
                devices.Add(device);
            else if (HostFunctions.TryGetSlot(device, out PciAddress slot))
                AddFunctions(device, slot, devices);
            else
                devices.Add(WithHost(device));
        }

        return devices.DrainToImmutable();
    }

    private QemuDevice WithHost(QemuDevice device)
    {
        bool hasAddress = HostFunctions.TryGetAddress(device, out PciAddress address);
        if (hasAddress && around.Devices.FirstOrDefault(other => other.Address == address) is { } found && HostFunctions.Of(found) is { } function)
            return device with { Host = function };
        if (!around.Bars.IsEmpty)
            return device with { Host = new(around.Bars) };
        Assume(QemuUnknown.HostDevice,
            $"which BARs {(hasAddress ? $"the host's device {address}" : "a device of the host without an address")} has is not told");
        return device;
    }

    /// <summary>Proxmox hands through all functions of a device that is named without one: how many those are only the host tells.</summary>
    private void AddFunctions(QemuDevice device, PciAddress slot, ImmutableArray<QemuDevice>.Builder devices)
    {
        PciDevice[] functions =
            [.. around.Devices.Where(other => (other.Address.Domain, other.Address.Bus, other.Address.Device)
                == (slot.Domain, slot.Bus, slot.Device))];
        if (functions.Length == 0 && !around.Bars.IsEmpty)
        {
            Assume(QemuUnknown.HostDevice, $"which functions the host's device {slot.ToString()[..^2]} has is not told: one is assumed");
            devices.Add(device with { Host = new(around.Bars) });
            return;
        }

        if (functions.Length == 0)
        {
            Assume(QemuUnknown.HostDevice, $"which functions the host's device {slot.ToString()[..^2]} has is not told");
            devices.Add(device);
            return;
        }

        for (int j = 0; j < functions.Length; j++)
        {
            var properties = ImmutableArray.CreateBuilder<QemuProperty>();
            foreach (QemuProperty property in device.Properties)
            {
                // What concerns the ROM and the display is said of the first function alone.
                if (j > 0 && property.Name is "rombar" or "romfile" or "x-vga")
                    continue;
                properties.Add(property.Name switch
                {
                    "host" => new("host", functions[j].Address.ToString()),
                    "id" or "addr" when functions.Length > 1 => new(property.Name, $"{property.Value}.{j}"),
                    _ => property,
                });
            }

            if (j == 0 && functions.Length > 1)
                properties.Add(new("multifunction", "on"));
            devices.Add(WithHost(device with { Properties = properties.DrainToImmutable() }));
        }
    }
}
