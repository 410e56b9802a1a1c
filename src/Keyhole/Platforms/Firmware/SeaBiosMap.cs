// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Guests;
using static Keyhole.Platforms.Qemu.Board.QemuLayout;

namespace Keyhole.Platforms.Firmware;

/// <summary>The E820 map that SeaBIOS hands to the operating system: QEMU's, with what SeaBIOS keeps at the end of low RAM for tables and boot
/// disks.</summary>
/// <remarks>Source: src/malloc.c, src/fw/*.c, src/hw/*.c; met by every recorded guest. Linux sees it unchanged.</remarks>
internal static class SeaBiosMap
{
    private const ulong ExtendedBiosData = 0x9fc00;
    private const ulong VideoMemory = X86Layout.IsaStart;
    private const ulong BiosStart = 0xf0000;
    private const ulong OneMiB = X86Layout.OneMiB;
    private const ulong BiosAtTop = 0xfffc0000;
    private const ulong Page = 0x1000;

    /// <summary>A queue of virtio with all that belongs to it; a page boundary in front.</summary>
    private const ulong VirtioQueue = 0x2a40;

    /// <summary>MMCONFIG of q35 as SeaBIOS sets it up, and the root complex registers.</summary>
    public const ulong Mmconfig = 0xb0000000;
    public const ulong MmconfigEnd = 0xc0000000;
    private const ulong RootComplex = 0xfed1c000;
    private const ulong RootComplexEnd = 0xfed20000;

    /// <param name="unreachable">Identifiers of NVMe controllers whose registers lie above 4 GiB: SeaBIOS cannot start those. One for each, empty for
    /// one without.</param>
    public static ImmutableArray<E820Entry> Make(FirmwareInput input, List<string> unreachable)
    {
        ulong low = input.Memory.LowEnd;
        ulong kept = low - KeptBytes(input.Machine, !input.Memory.High.IsEmpty, unreachable);
        var map = new List<E820Entry>
        {
            E820Entry.FromBounds(0, ExtendedBiosData, E820Type.Ram),
            E820Entry.FromBounds(ExtendedBiosData, VideoMemory, E820Type.Reserved),
            E820Entry.FromBounds(BiosStart, OneMiB, E820Type.Reserved),
            E820Entry.FromBounds(OneMiB, kept, E820Type.Ram),
            E820Entry.FromBounds(kept, low, E820Type.Reserved),
        };
        if (input.IsQ35)
        {
            map.Add(E820Entry.FromBounds(Mmconfig, MmconfigEnd, E820Type.Reserved));
            map.Add(E820Entry.FromBounds(RootComplex, RootComplexEnd, E820Type.Reserved));
        }

        map.Add(E820Entry.FromBounds(BiosAtTop, Frames.FourGiB, E820Type.Reserved));
        foreach (E820Entry entry in input.Memory.FirmwareMap)
        {
            if (!entry.IsRam || entry.Address >= Frames.FourGiB)
                map.Add(entry);
        }

        map.Sort(static (a, b) => a.Address.CompareTo(b.Address));
        var joined = ImmutableArray.CreateBuilder<E820Entry>(map.Count);
        foreach (E820Entry entry in map)
        {
            // SeaBIOS joins neighbours of one type.
            if (joined.Count > 0 && joined[^1].End == entry.Address && joined[^1].Type == entry.Type)
                joined[^1] = E820Entry.FromBounds(joined[^1].Address, entry.End, entry.Type);
            else
                joined.Add(entry);
        }

        return joined.ToImmutable();
    }

    /// <summary>Bytes at the end of low RAM that SeaBIOS keeps, in whole pages.</summary>
    private static ulong KeptBytes(QemuMachine machine, bool hasHighRam, List<string> unreachable)
    {
        var zone = new HighZone();
        ulong smbios = SmbiosBytes(machine, hasHighRam);
        // Up to 600 bytes find room below 1 MiB.
        if (smbios > 600)
            zone.Take(smbios, 16);
        zone.Take(AcpiBytes(machine), 64);
        if (machine.Devices.Any(static device => device.Driver == "vmgenid"))
        {
            zone.Take(Page, Page);
            zone.Take(16, 16);
        }

        // The USB controllers start first and give back what they took where they find nothing to boot from; disks have taken theirs by then.
        TakeUsb(zone, machine);
        for (int i = 0; i < AhciDisks(machine); i++)
        {
            zone.Take(1024, 1024);
            zone.Take(256, 256);
            zone.Take(256, 256);
        }

        foreach (QemuDevice device in machine.Devices)
        {
            switch (device.Driver)
            {
                case "virtio-blk-pci" or "virtio-blk-pci-transitional" or "virtio-blk-pci-non-transitional":
                    zone.Take(VirtioQueue, Page);
                    break;
                case "pvscsi":
                    // Its rings, whether a disk hangs on it or not.
                    zone.Take(64, 16);
                    zone.TakePages(3);
                    break;
                case "nvme" when machine.Firmware.IsSince(1, 15) && !unreachable.Remove(device["id"] ?? ""):
                    // The queues, whether there is a disk or not; the first disk brings the buffer for all.
                    zone.Take(64, 16);
                    zone.TakePages(7);
                    if (device["drive"] is not null && !zone.HasNvmeBuffer)
                    {
                        zone.HasNvmeBuffer = true;
                        zone.TakePages(1);
                    }

                    break;
            }
        }

        TakeScsi(zone, machine);
        zone.GiveBack();
        return Align.Up(zone.UsedBytes, Page);
    }

    private static void TakeUsb(HighZone zone, QemuMachine machine)
    {
        int xhci = 0;
        int ehci = machine.HasBoardUsb && machine.Type.Chipset == QemuChipset.Q35 ? 1 : 0;
        int uhci = !machine.HasBoardUsb ? 0 : machine.Type.Chipset == QemuChipset.Q35 ? 3 : 1;
        int anyDevices = 0;
        int bootDevices = 0;
        foreach (QemuDevice device in machine.Devices)
        {
            switch (device.Driver)
            {
                case "qemu-xhci" or "nec-usb-xhci":
                    xhci++;
                    break;
                case "usb-ehci" or "ich9-usb-ehci1" or "ich9-usb-ehci2":
                    ehci++;
                    break;
                case "piix3-usb-uhci" or "piix4-usb-uhci":
                    uhci++;
                    break;
                case "usb-kbd" or "usb-mouse" or "usb-storage":
                    bootDevices++;
                    anyDevices++;
                    break;
                case "usb-tablet":
                    anyDevices++;
                    break;
                default:
                    uhci += device.Driver.StartsWith("ich9-usb-uhci", StringComparison.Ordinal) ? 1 : 0;
                    break;
            }
        }

        for (int i = 0; i < xhci; i++)
        {
            // An XHCI controller keeps what it has for any device; the sizes are such that every measured mix of disks and devices comes out.
            bool isKept = i == 0 && anyDevices > 0;
            zone.Take(0x60, 16, isKept);
            zone.Take(0x208, 64, isKept);
            zone.Take(0x40, 64, isKept);
            zone.Take(0x140, 256, isKept);
            zone.Take(0x140, 256, isKept);
            for (int device = 0; isKept && device < anyDevices; device++)
                zone.Take(0x600, 64);
        }

        for (int i = 0; i < ehci; i++)
        {
            zone.Take(Page, Page, isKept: false);
            zone.Take(0x60, 128, isKept: false);
            zone.Take(0x60, 128, isKept: false);
        }

        for (int i = 0; i < uhci; i++)
        {
            bool isKept = xhci == 0 && i == 0 && bootDevices > 0;
            zone.Take(0x20, 16, isKept);
            zone.Take(Page, Page, isKept);
            zone.Take(0x60, 16, isKept);
            zone.Take(0x60, 16, isKept);
        }
    }

    /// <summary>A controller of SCSI keeps its queue where a disk hangs on it.</summary>
    private static void TakeScsi(HighZone zone, QemuMachine machine)
    {
        string? firstController = null;
        var controllers = new HashSet<string>(StringComparer.Ordinal);
        var used = new HashSet<string>(StringComparer.Ordinal);
        foreach (QemuDevice device in machine.Devices)
        {
            if (device.Driver.StartsWith("virtio-scsi-pci", StringComparison.Ordinal))
            {
                string name = device["id"] ?? "";
                controllers.Add(name);
                firstController ??= name;
            }
            else if (device.Driver is "scsi-hd" or "scsi-cd" or "scsi-block" && firstController is not null)
            {
                string bus = device["bus"] ?? firstController;
                int dot = bus.LastIndexOf('.');
                string owner = dot < 0 ? bus : bus[..dot];
                if (controllers.Contains(owner) && used.Add(owner))
                    zone.Take(VirtioQueue, Page);
            }
        }
    }

    private static int AhciDisks(QemuMachine machine)
    {
        bool hasAhci = machine.Type.Chipset == QemuChipset.Q35;
        int disks = hasAhci ? machine.BoardDisks : 0;
        foreach (QemuDevice device in machine.Devices)
        {
            if (device.Driver is "ahci" or "ich9-ahci")
                hasAhci = true;
            else if (hasAhci && device.Driver is "ide-hd" or "ide-cd")
                disks++;
        }

        return disks;
    }

    /// <summary>The tables of ACPI: a fixed size since the machine types of 2.1.</summary>
    private static ulong AcpiBytes(QemuMachine machine)
    {
        if (machine.Type.Version >= new QemuVersion(2, 1))
            return 0x20000;
        // Before that so much that a guest can migrate to a host whose tables are a little larger.
        const ulong fixedPart = 6652;
        const ulong forEachCpu = 97;
        return Align.Up(fixedPart + (forEachCpu * (ulong)machine.Cpus), Page);
    }

    /// <summary>
    /// The tables of SMBIOS in bytes: one for each socket, and one for each DIMM of 16 GiB, until the machine types of 9.1 took all memory for one.
    /// The machine's name stands in two of them and in each socket's. The last one is SeaBIOS's own, as long as its version's name in Debian's
    /// packages makes it.
    /// </summary>
    private static ulong SmbiosBytes(QemuMachine machine, bool hasHighRam)
    {
        const ulong fixedPart = 279 + 67;
        const ulong forHighRam = 33;
        const ulong forEachDimm = 52;
        // The first one is in the fixed part; each is named "CPU" and two hex digits.
        const ulong forEachSocket = 55;
        ulong name = (ulong)machine.Type.ToString().Length;
        ulong bytes = fixedPart + (3 * name) + ((ulong)(machine.SocketCount - 1) * (forEachSocket + name))
            + (machine.Type.Chipset == QemuChipset.I440fx ? 3ul : 0)
            + (hasHighRam ? forHighRam : 0);
        if (machine.Type.Version >= new QemuVersion(9, 1))
            return bytes;
        ulong dimms = Math.Min((machine.MemoryBytes + (16 * GiB) - 1) / (16 * GiB), 1 << 20);
        // The first one is in the fixed part; each name ends in its number.
        for (ulong first = 1, digits = 1; first < dimms; first = digits == 1 ? 10 : first * 10, digits++)
            bytes += (Math.Min(dimms, digits == 1 ? 10 : first * 10) - first) * (forEachDimm + digits);
        return bytes;
    }

    /// <summary>SeaBIOS's allocator for what outlives it: from the top down, into the first gap that is large enough.</summary>
    private sealed class HighZone
    {
        private const ulong Top = 1UL << 32;

        /// <summary>Free ranges, the highest first; the last one is open below.</summary>
        private readonly List<(ulong Start, ulong End)> _free = [(0, Top)];

        private ulong _lowestKept = Top;
        private ulong _lowest = Top;

        public bool HasNvmeBuffer { get; set; }

        public ulong UsedBytes => Top - _lowest;

        public void TakePages(int count)
        {
            for (int i = 0; i < count; i++)
                Take(Page, Page);
        }

        public void Take(ulong size, ulong alignment, bool isKept = true)
        {
            for (int i = 0; i < _free.Count; i++)
            {
                (ulong start, ulong end) = _free[i];
                if (end - start < size)
                    continue;
                ulong at = Align.Down(end - size, alignment);
                if (at < start)
                    continue;
                _free[i] = (start, at);
                if (at + size < end)
                    _free.Insert(i, (at + size, end));
                _lowest = Math.Min(_lowest, at);
                if (isKept)
                    _lowestKept = Math.Min(_lowestKept, at);
                return;
            }
        }

        /// <summary>What was not to be kept is given back: what lies above something kept stays lost.</summary>
        public void GiveBack() => _lowest = _lowestKept;
    }
}
