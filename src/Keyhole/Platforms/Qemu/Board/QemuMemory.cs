// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Guests;
using static Keyhole.Platforms.Qemu.Board.QemuLayout;

namespace Keyhole.Platforms.Qemu.Board;

/// <summary>Where QEMU puts RAM, what it keeps free above it, and what it tells the firmware. All in bytes.</summary>
/// <param name="LowEnd">The end of RAM below 4 GiB.</param>
/// <param name="High">RAM above 4 GiB; empty where all of it fits below.</param>
/// <param name="HotplugEnd">The end of the area for memory to be plugged in (<c>etc/reserved-memory-end</c>); null where there is none.</param>
/// <param name="Hole64Start">From where the host bridge's 64-bit window may begin.</param>
/// <param name="Hole64Bytes">The size that ACPI tells of it at least (<c>pci-hole64-size</c>).</param>
/// <param name="FirmwareMap">The entries of fw_cfg's <c>etc/e820</c>, in QEMU's order.</param>
internal sealed record QemuMemory(
    ulong LowEnd, ByteRange High, ulong? HotplugEnd, ulong Hole64Start, ulong Hole64Bytes, ImmutableArray<E820Entry> FirmwareMap)
{
    /// <summary>From this machine type on RAM is moved above the range that AMD's processors keep for HyperTransport.</summary>
    internal static readonly QemuVersion MovesAboveHyperTransport = new(7, 1);

    /// <summary>The end of the highest RAM.</summary>
    public ulong RamEnd => High.IsEmpty ? LowEnd : High.End;

    /// <summary>Lays RAM out. False where QEMU refuses the machine, with the words it does that in.</summary>
    internal static bool TryLayOut(QemuMachine machine, out QemuMemory memory, out string refusal)
    {
        memory = null!;
        if (Refusal(machine) is { } words)
        {
            refusal = words;
            return false;
        }

        QemuVersion type = machine.Type.Version;
        ulong low = Math.Min(LowRamLimit(machine), machine.MemoryBytes);
        ulong above = machine.MemoryBytes - low;
        ulong hole = Hole64Size(machine);
        int bits = machine.Cpu.PhysBits;
        ulong start = Frames.FourGiB;
        ulong end = Hole64At(machine, start, above, out ulong? hotplugEnd);
        var map = ImmutableArray.CreateBuilder<E820Entry>(4);
        // The check of the address width came with the move above HyperTransport.
        bool checksWidth = machine.Emulator >= MovesAboveHyperTransport;
        if (checksWidth && machine.Cpu.Vendor == CpuVendor.Amd && type >= MovesAboveHyperTransport)
        {
            if (LastUsed(machine, end, hole, start + above) >= HyperTransportStart)
            {
                start = HyperTransportEnd;
                end = Hole64At(machine, start, above, out hotplugEnd);
            }

            if (bits >= 40)
                map.Add(E820Entry.FromBounds(HyperTransportStart, HyperTransportEnd, E820Type.Reserved));
        }

        ulong last = LastUsed(machine, end, hole, start + above);
        ulong limit = (1UL << bits) - 1;
        if (checksWidth && limit < last)
        {
            refusal = $"Address space limit 0x{limit:x} < 0x{last:x} phys-bits too low ({bits})";
            return false;
        }

        if (machine.IsKvm)
            map.Add(E820Entry.FromBounds(KvmReserved.Start, KvmReserved.End, E820Type.Reserved));
        map.Add(E820Entry.FromSize(0, low, E820Type.Ram));
        if (above > 0)
            map.Add(E820Entry.FromSize(start, above, E820Type.Ram));
        memory = new(low, ByteRange.FromSize(start, above), hotplugEnd, end, hole, map.ToImmutable());
        refusal = "";
        return true;
    }

    private static string? Refusal(QemuMachine machine)
    {
        QemuVersion type = machine.Type.Version;
        int bits = machine.Cpu.PhysBits;
        if (machine.LacksKvm)
            return "CPU model 'host' requires KVM or HVF";
        if (bits is < 32 or > 52)
            return $"phys-bits should be between 32 and 52  (but is {bits})";
        if (machine.MaxRamBelow4GiB > Frames.FourGiB)
            return $"Machine option 'max-ram-below-4g={machine.MaxRamBelow4GiB}' expects size less than or equal to 4G";
        string hole = machine.Type.Chipset == QemuChipset.Q35 ? "q35-pcihost" : "i440FX-pcihost";
        if (machine.Global(hole, "pci-hole64-size") is { } asked && !QemuNumber.TrySize(asked, out _))
            return $"can't apply global {hole}.pci-hole64-size={asked}: Parameter 'pci-hole64-size' expects a non-negative number below 2^64";
        var names = new HashSet<string>(machine.FwCfg.Length, StringComparer.Ordinal);
        foreach (QemuFwCfg blob in machine.FwCfg)
        {
            if (!names.Add(blob.Name))
                return $"duplicate fw_cfg file name: {blob.Name}";
        }

        if (machine.MaxMemoryBytes != 0 && machine.MaxMemoryBytes < machine.MemoryBytes)
            return $"invalid value of maxmem: maximum memory size (0x{machine.MaxMemoryBytes:x}) must be at least the initial "
                + $"memory size (0x{machine.MemoryBytes:x})";
        if (PluggedMemory.Refusal(machine) is { } ofMemory)
            return ofMemory;
        bool hasSlots = machine.MemorySlots > 0 || machine.MaxMemoryBytes > machine.MemoryBytes;
        return hasSlots && type < new QemuVersion(2, 1) ? $"\"-memory 'slots|maxmem'\" is not supported by: {machine.Type}" : null;
    }

    /// <summary>How much RAM may lie below 4 GiB.</summary>
    private static ulong LowRamLimit(QemuMachine machine)
    {
        ulong ram = machine.MemoryBytes;
        if (machine.Type.Chipset == QemuChipset.Q35)
        {
            // The MMCONFIG area lies at b0000000: that is the most, and less where it is split anyway.
            ulong board = ram >= Q35LowRam ? Q35AlignedLowRam : Q35LowRam;
            return machine.MaxRamBelow4GiB == 0 ? board : Math.Min(board, machine.MaxRamBelow4GiB);
        }

        ulong most = machine.MaxRamBelow4GiB == 0 ? PcDefaultLowRam : machine.MaxRamBelow4GiB;
        bool isAligned = ram >= most && machine.Type.Version >= new QemuVersion(2, 0);
        return isAligned ? Math.Min(most, PcAlignedLowRam) : most;
    }

    private static ulong Hole64Size(QemuMachine machine)
    {
        bool isQ35 = machine.Type.Chipset == QemuChipset.Q35;
        string? asked = machine.Global(isQ35 ? "q35-pcihost" : "i440FX-pcihost", "pci-hole64-size");
        return asked is not null && QemuNumber.TrySize(asked, out ulong bytes) && bytes <= 1UL << 52 ? bytes : isQ35 ? Q35Hole64Bytes : PcHole64Bytes;
    }

    /// <summary>Where the 64-bit window may begin: behind RAM and the area for memory to be plugged in, on a whole GiB.</summary>
    private static ulong Hole64At(QemuMachine machine, ulong start, ulong above, out ulong? hotplugEnd)
    {
        QemuVersion type = machine.Type.Version;
        ulong end = GiBUp(start + above);
        hotplugEnd = null;
        if (type < new QemuVersion(2, 1) || machine.MaxMemoryBytes <= machine.MemoryBytes)
            return end;
        // Up to 2.4 the slots had no room of their own, and the area was forgotten in the reckoning.
        if (type >= new QemuVersion(2, 5))
            end = GiBUp(end + machine.MaxMemoryBytes - machine.MemoryBytes + (GiB * (ulong)machine.MemorySlots));
        hotplugEnd = end;
        return end;
    }

    /// <summary>The last address that the machine may use, with which QEMU compares the processor's width.</summary>
    private static ulong LastUsed(QemuMachine machine, ulong hole64Start, ulong hole64Bytes, ulong ramEnd)
    {
        if (machine.Cpu.Is64Bit && machine.Cpu.PhysBits > 32)
            return hole64Start + hole64Bytes - 1;
        // 32-bit processors have no such window; until 8.1 QEMU did not check them at all.
        return machine.Type.Version < new QemuVersion(8, 2) ? (1UL << machine.Cpu.PhysBits) - 1 : Math.Max(ramEnd, Frames.FourGiB) - 1;
    }

    private static ulong GiBUp(ulong bytes) => Align.Up(bytes, GiB);
}
