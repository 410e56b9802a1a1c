// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Pci;

namespace Keyhole.Guests;

/// <summary>Who made the processor that the guest sees (CPUID's vendor). QEMU's memory layout and both firmwares ask for it.</summary>
public enum CpuVendor
{
    /// <summary>GenuineIntel.</summary>
    Intel,

    /// <summary>AuthenticAMD.</summary>
    Amd,

    /// <summary>Any other, Hygon and Zhaoxin among them.</summary>
    Other,
}

/// <summary>What the guest's processor tells of itself, as far as it decides where memory and BARs are.</summary>
/// <param name="Vendor">Under KVM the host's, whatever the model's name is; under emulation the model's.</param>
/// <param name="PhysBits">The width of physical addresses that the guest sees, 32–52: <c>phys-bits</c>, or the host's with <c>host-phys-bits</c>, or
/// 40.</param>
public sealed record QemuCpu(CpuVendor Vendor, int PhysBits)
{
    /// <summary>QEMU's width where nothing says another.</summary>
    public const int DefaultPhysBits = 40;

    /// <summary>Whether it has long mode: every model but those of the 32-bit age.</summary>
    public bool Is64Bit { get; init; } = true;

    /// <summary>Whether it is the host's own (<c>-cpu host</c>), which QEMU has with an accelerator only.</summary>
    public bool IsHosts { get; init; }

    /// <summary>Whether pages of 1 GiB are there (CPUID's pdpe1gb): OVMF maps at most 40 bits without them.</summary>
    public bool HasGiBPages { get; init; } = true;

    /// <summary>What KVM can map of these addresses (CPUID 80000008, EAX 23:16); 0 where it is not told. QEMU tells it from 9.1 on.</summary>
    public int GuestPhysBits { get; init; }

    /// <summary>The most that KVM maps, whatever the guest is told: the host's width, and 48 bits with page tables of four levels.</summary>
    public int MostMappedBits { get; init; } = PageTableBits;

    /// <summary>What page tables of four levels map, with which KVM is taken to run guests.</summary>
    internal const int PageTableBits = 48;
}

/// <summary>A property of a device as the user wrote it: <c>membar=16G</c>.</summary>
public readonly record struct QemuProperty(string Name, string Value);

/// <summary>A value that the user set for all devices of a kind: <c>-global q35-pcihost.pci-hole64-size=64G</c>.</summary>
public readonly record struct QemuGlobal(string Driver, string Property, string Value);

/// <summary>A blob or text that the user handed to the firmware: <c>-fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=65536</c>.</summary>
public readonly record struct QemuFwCfg(string Name, string Value);

/// <summary>What a device that is passed through asks for: what its owner told, or what the host's listing says.</summary>
/// <param name="Bars">In the order of their registers, the ROM last. The current size of a resizable BAR counts.</param>
public sealed record HostFunction(ImmutableArray<BarRequest> Bars)
{
    /// <summary>Virtual functions that it may have on the host (SR-IOV), which QEMU hides from the guest; 0 where there are none, or nobody
    /// says.</summary>
    public int VirtualFunctions { get; init; }

    /// <summary>What its registers ask for.</summary>
    public ImmutableArray<BarRequest> Bars { get; init => field = Given.Array(value); } = Given.Array(Bars);

    /// <summary>0–ffff; 0 where it is not known.</summary>
    public int VendorId { get; init; }

    /// <summary>0–ffff; 0 where it is not known.</summary>
    public int DeviceId { get; init; }

    /// <summary>24 bits; 0 where it is not known.</summary>
    public int ClassCode { get; init; }

    /// <inheritdoc/>
    public bool Equals(HostFunction? other) => other is not null && Bars.SequenceEqual(other.Bars)
        && (VendorId, DeviceId, ClassCode) == (other.VendorId, other.DeviceId, other.ClassCode);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Bars.Length, VendorId, DeviceId, ClassCode);
}

/// <summary>One device of the command line: <c>-device pci-testdev,bus=r1,membar=16G</c>.</summary>
/// <param name="Driver">The model's name; of those that QEMU spells in two ways either.</param>
/// <param name="Properties">As written, in order; of one that is set twice the last counts.</param>
public sealed record QemuDevice(string Driver, ImmutableArray<QemuProperty> Properties)
{
    /// <summary>Its options, in their order.</summary>
    public ImmutableArray<QemuProperty> Properties { get; init => field = Given.Array(value); } = Given.Array(Properties);

    /// <summary>For a device of the host (vfio-pci): what it asks for. Null for a model, and for one of which nothing is known.</summary>
    public HostFunction? Host { get; init; }

    /// <summary>The value of a property, or null where the user did not set it.</summary>
    public string? this[string name]
    {
        get
        {
            for (int i = Properties.Length - 1; i >= 0; i--)
            {
                if (Properties[i].Name == name)
                    return Properties[i].Value;
            }

            return null;
        }
    }

    /// <inheritdoc/>
    public bool Equals(QemuDevice? other) => other is not null && Driver == other.Driver && Properties.SequenceEqual(other.Properties)
        && Equals(Host, other.Host);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Driver, Properties.Length);
}

/// <summary>Why a guest is not started.</summary>
/// <param name="Program">Who refuses it: QEMU, or what would call it.</param>
/// <param name="Words">Its own.</param>
/// <param name="Cause">What stands behind them; empty where they say it.</param>
internal sealed record StartRefusal(string Program, string Words, string Cause)
{
    /// <summary>Whether another version of the board is what helps.</summary>
    public bool IsOfType { get; init; }

    /// <summary>Whether two have the same name, which no setting helps against.</summary>
    public bool IsOfName { get; init; }

    /// <summary>Whether it is the command line itself, which no setting helps against.</summary>
    public bool IsOfCommand { get; init; }

    /// <summary>Whether QEMU looks at the guest's memory first.</summary>
    public bool IsBehindMemory { get; init; }

    /// <summary>What to write instead, with which nothing else of the guest changes; null where nothing is known to help.</summary>
    public string? Remedy { get; init; }

    /// <summary>What the remedy makes of slots and of the room up to <c>maxmem</c> in bytes, which change the map; null where it changes
    /// nothing.</summary>
    public (int Slots, ulong MaxBytes)? Room { get; init; }
}

/// <summary>Everything about a guest of QEMU that decides its memory map and where its BARs come to lie, whichever file it was read from.</summary>
public sealed record QemuMachine
{
    /// <summary>The board, with the release whose behaviour it keeps.</summary>
    public required QemuMachineType Type { get; init; }

    /// <summary>The release of QEMU itself.</summary>
    public required QemuVersion Emulator { get; init; }

    /// <summary>Whether only what has a boot index is started from (<c>-boot strict=on</c>): SeaBIOS then leaves other disks alone.</summary>
    public bool IsBootStrict { get; init; }

    /// <summary>Whether nobody told that release.</summary>
    internal bool IsEmulatorAssumed { get; init; }

    /// <summary>Why the guest is not started whatever its devices are; null where nothing of the kind stops it.</summary>
    internal StartRefusal? Refusal { get; init; }

    /// <summary>The firmware and its release.</summary>
    public required QemuFirmware Firmware { get; init; }

    /// <summary>What the firmware may be just as well, where its release is not told.</summary>
    internal ImmutableArray<QemuFirmware> OtherFirmware { get; init => field = Given.Array(value); } = [];

    /// <summary>The firmware's file, with or without its folder: its name often tells how it was built. Empty where none is told.</summary>
    public string FirmwareFile { get; init; } = "";

    /// <summary>Whether there is flash in which the firmware keeps its variables; null where that is not told.</summary>
    public bool? HasVariableFlash { get; init; }

    /// <summary>What the guest's processor tells of itself.</summary>
    public required QemuCpu Cpu { get; init; }

    /// <summary>Whether KVM runs it: KVM keeps four pages below 4 GiB for itself, which emulation does not.</summary>
    public bool IsKvm { get; init; }

    /// <summary>Whether the processor is to be the host's, and nothing runs the guest on it.</summary>
    internal bool LacksKvm => Cpu.IsHosts && !IsKvm;

    /// <summary>RAM that the guest starts with, in bytes (<c>-m</c>).</summary>
    public required ulong MemoryBytes { get; init; }

    /// <summary>How far memory can be plugged in, in bytes (<c>maxmem</c>); 0 where the user did not say.</summary>
    public ulong MaxMemoryBytes { get; init; }

    /// <summary>Slots for DIMMs (<c>slots</c>).</summary>
    public int MemorySlots { get; init; }

    /// <summary><c>max-ram-below-4g</c> in bytes; 0 where the user did not say.</summary>
    public ulong MaxRamBelow4GiB { get; init; }

    /// <summary>Virtual processors, 1 or more.</summary>
    public int Cpus { get; init; } = 1;

    /// <summary>Virtual processors that can be plugged in, those of the start included (<c>maxcpus</c>); 0 where the user did not say.</summary>
    public int MaxCpus { get; init; }

    /// <summary>Processor sockets that the user asked for; 0: as many as QEMU makes of the processors (<see cref="SocketCount"/>).</summary>
    public int Sockets { get; init; }

    /// <summary>Processor sockets: where the user does not say, one for each processor in the machine types before 6.2, one for all since.</summary>
    public int SocketCount => Sockets > 0 ? Sockets : Type.Version < new QemuVersion(6, 2) ? Math.Max(Cpus, 1) : 1;

    /// <summary>What the firmware's configuration interface was given.</summary>
    public ImmutableArray<QemuFwCfg> FwCfg { get; init => field = Given.Array(value); } = [];

    /// <summary>In the order of the command line; the last one for a property counts.</summary>
    public ImmutableArray<QemuGlobal> Globals { get; init => field = Given.Array(value); } = [];

    /// <summary>
    /// The display that QEMU adds by itself, a name of <c>-vga</c>: std, cirrus, vmware, qxl, virtio or none. Where the user did not say it is std,
    /// and none with <c>-nodefaults</c>.
    /// </summary>
    public string Vga { get; init; } = "none";

    /// <summary>
    /// Network cards that QEMU adds by itself, in order, by their models (<c>-nic</c>, <c>-net nic</c>). Where the user says nothing of networks
    /// it is one e1000 (pc) or e1000e (q35), and none with <c>-nodefaults</c>.
    /// </summary>
    public ImmutableArray<string> Nics { get; init => field = Given.Array(value); } = [];

    /// <summary>Whether the board's own USB controllers are there (<c>-usb</c>, <c>-machine usb=on</c>).</summary>
    public bool HasBoardUsb { get; init; }

    /// <summary>Disks on the board's own IDE or AHCI controller: SeaBIOS keeps memory for those of AHCI.</summary>
    public int BoardDisks { get; init; }

    /// <summary>The object that the guest's own memory is (<c>-machine memory-backend=</c>); null where QEMU makes it.</summary>
    internal string? MemoryBackend { get; init; }

    /// <summary>Whether the board takes no <c>nvdimm</c>: a command line has to ask for that (<c>-machine nvdimm=on</c>), libvirt does so by
    /// itself.</summary>
    internal bool TakesNoNvdimm { get; init; }

    /// <summary>Objects of memory by their identifiers, sizes in bytes: what <c>memdev=</c> of ivshmem-plain means.</summary>
    public ImmutableArray<(string Id, ulong SizeBytes)> MemoryObjects { get; init => field = Given.Array(value); } = [];

    /// <summary>What the command line adds with <c>-device</c>, in its order; drives with <c>if=virtio</c> stand behind them.</summary>
    public ImmutableArray<QemuDevice> Devices { get; init => field = Given.Array(value); } = [];

    /// <summary>The value that the user set for a property of a kind of device; null where none is set.</summary>
    public string? Global(string driver, string property)
    {
        for (int i = Globals.Length - 1; i >= 0; i--)
        {
            if (Globals[i].Property == property && Globals[i].Driver.Equals(driver, StringComparison.OrdinalIgnoreCase))
                return Globals[i].Value;
        }

        return null;
    }

    /// <summary>What the firmware was given under a name; null where nothing is.</summary>
    public string? FwCfgValue(string name)
    {
        for (int i = FwCfg.Length - 1; i >= 0; i--)
        {
            if (FwCfg[i].Name == name)
                return FwCfg[i].Value;
        }

        return null;
    }

    /// <inheritdoc/>
    public bool Equals(QemuMachine? other) => other is not null
        && (Type, Emulator, Firmware, Cpu) == (other.Type, other.Emulator, other.Firmware, other.Cpu)
        && (FirmwareFile, HasVariableFlash) == (other.FirmwareFile, other.HasVariableFlash)
        && (MemoryBytes, MaxMemoryBytes, MemorySlots, MaxRamBelow4GiB, Cpus, MaxCpus, Sockets)
            == (other.MemoryBytes, other.MaxMemoryBytes, other.MemorySlots, other.MaxRamBelow4GiB, other.Cpus, other.MaxCpus, other.Sockets)
        && (BoardDisks, IsKvm, IsBootStrict, Refusal) == (other.BoardDisks, other.IsKvm, other.IsBootStrict, other.Refusal)
        && (MemoryBackend, TakesNoNvdimm) == (other.MemoryBackend, other.TakesNoNvdimm)
        && Vga == other.Vga && HasBoardUsb == other.HasBoardUsb && FwCfg.SequenceEqual(other.FwCfg) && Globals.SequenceEqual(other.Globals)
        && Nics.SequenceEqual(other.Nics) && MemoryObjects.SequenceEqual(other.MemoryObjects) && Devices.SequenceEqual(other.Devices);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Type, Firmware, MemoryBytes, MaxMemoryBytes, Devices.Length, FwCfg.Length);
}
