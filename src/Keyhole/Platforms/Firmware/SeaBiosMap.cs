// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Pci;
using static Keyhole.Platforms.Qemu.Board.QemuLayout;

namespace Keyhole.Platforms.Firmware;

/// <summary>The E820 map that SeaBIOS hands to the operating system: QEMU's, with what SeaBIOS keeps at the end of low RAM for tables and boot
/// disks.</summary>
/// <remarks>Source: src/malloc.c, src/fw/*.c, src/hw/*.c; met by every recorded guest. Linux sees it unchanged.</remarks>
internal static class SeaBiosMap
{
    /// <summary>The last KiB below <see cref="X86Layout.IsaStart"/>: SeaBIOS's extended BIOS data area.</summary>
    public const ulong ExtendedBiosData = 0x9fc00;

    private const ulong VideoMemory = X86Layout.IsaStart;
    private const ulong BiosStart = X86Layout.SystemBiosStart;
    private const ulong OneMiB = X86Layout.OneMiB;

    /// <summary>Low RAM of so much is enough for all that SeaBIOS loads: from 1.25 to 1.34 MiB the real one kept 2 pages at some sizes and all at
    /// others, with a disk of NVMe up to 1.45 MiB.</summary>
    private const ulong RoomForAll = 2 * OneMiB;
    private const ulong BiosAtTop = 0xfffc0000;
    private const ulong Page = 0x1000;

    /// <summary>How far down what outlives SeaBIOS may reach; the large one since 1.16.1.</summary>
    private const ulong SmallZone = 0x40000;
    private const ulong LargeZone = 0x1000000;

    /// <summary>MMCONFIG of q35 as SeaBIOS sets it up, and the root complex registers.</summary>
    public const ulong Mmconfig = 0xb0000000;
    public const ulong MmconfigEnd = 0xc0000000;
    private const ulong RootComplex = 0xfed1c000;
    private const ulong RootComplexEnd = 0xfed20000;

    /// <param name="isBeyondReach">Whether the registers of a function, by its index, lie above 4 GiB: SeaBIOS cannot start those.</param>
    public static ImmutableArray<E820Entry> Make(FirmwareInput input, Func<int, bool> isBeyondReach)
    {
        ulong low = input.Memory.LowEnd;
        // Where there is no room for the zone at the end of RAM, nothing is kept there, and RAM that ends at 1 MiB has no part behind it.
        ulong kept = low < OneMiB + SmallZone ? low : low - KeptBytes(input, isBeyondReach);
        var map = new List<E820Entry>
        {
            E820Entry.FromBounds(0, ExtendedBiosData, E820Type.Ram),
            E820Entry.FromBounds(ExtendedBiosData, VideoMemory, E820Type.Reserved),
            E820Entry.FromBounds(BiosStart, OneMiB, E820Type.Reserved),
        };
        if (kept > OneMiB)
            map.Add(E820Entry.FromBounds(OneMiB, kept, E820Type.Ram));
        if (low > Math.Max(kept, OneMiB))
            map.Add(E820Entry.FromBounds(Math.Max(kept, OneMiB), low, E820Type.Reserved));
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

    /// <summary>The end of low RAM, where a driver keeps memory for a device of the host and nobody can tell how much.</summary>
    public static ImmutableArray<UnsettledRange> Unsettled(FirmwareInput input, Func<int, bool> isBeyondReach)
    {
        ulong low = input.Memory.LowEnd;
        var unsettled = ImmutableArray.CreateBuilder<UnsettledRange>(1);
        // The stolen memory takes in what else SeaBIOS keeps at the end.
        if (HasIntelDisplay(input))
        {
            unsettled.Add(new(ByteRange.FromBounds(Math.Min(OneMiB, low), low),
                "SeaBIOS reserves the stolen memory of Intel's display there that is passed through to 00:02.0 (and its OpRegion): how much depends "
                    + "on the hardware, on x-igd-gms and on QEMU's release"));
        }
        else if (SeaBiosDrivers.OfHost(input, isBeyondReach) is { } device)
        {
            unsettled.Add(new(ByteRange.FromBounds(low - Math.Min(low, ZoneBytes(input.Machine)), low),
                $"SeaBIOS keeps memory there for {device} of the host that is passed through: how much depends on the hardware and on what is "
                    + "plugged into it"));
        }

        else if (low >= OneMiB + SmallZone && low < RoomForAll)
        {
            unsettled.Add(new(ByteRange.FromBounds(OneMiB, low),
                "with less than 2 MiB of RAM below 4 GiB SeaBIOS does not always find room for what it loads, and keeps less there then"));
        }

        return unsettled.DrainToImmutable();
    }

    /// <summary>Whether a device of the host at 00:02.0 is, or may be, Intel's display, which asks for stolen memory (etc/igd-bdsm-size).</summary>
    private static bool HasIntelDisplay(FirmwareInput input)
    {
        const int intel = 0x8086;
        const int display = 0x03;
        var place = PciAddress.Create(0, 2, 0);
        foreach (NumberedFunction function in input.Tree.Functions)
        {
            if (!function.Node.IsPassedThrough || function.Address != place
                || (function.Node.ClassCode != 0 && function.Node.ClassCode >> 16 != display))
                continue;
            if (function.Node.VendorId is intel && function.Node.ClassCode != 0)
                return true;
            // Where no listing tells whose it is, the options for such a display do, and its address on every host of Intel's.
            return function.Node.VendorId is 0 or intel && input.Machine.Devices.Any(device => HostFunctions.IsOne(device)
                && (device.Properties.Any(static property => property.Name.StartsWith("x-igd-", StringComparison.Ordinal))
                    || (HostFunctions.TryGetAddress(device, out PciAddress host) && host == place)));
        }

        return false;
    }

    private static ulong ZoneBytes(QemuMachine machine) => machine.Firmware.IsSince(1, 16, 1) ? LargeZone : SmallZone;

    /// <summary>Bytes at the end of low RAM that SeaBIOS keeps, in whole pages.</summary>
    private static ulong KeptBytes(FirmwareInput input, Func<int, bool> isBeyondReach)
    {
        QemuMachine machine = input.Machine;
        var zone = new SeaBiosHighZone(ZoneBytes(machine));
        ulong smbios = SmbiosBytes(machine, !input.Memory.High.IsEmpty);
        // Up to 600 bytes find room below 1 MiB.
        if (smbios > 600)
            zone.Take(smbios);
        zone.Take(AcpiBytes(machine), 64);
        if (machine.Devices.Any(static device => device.Driver == "vmgenid"))
        {
            zone.TakePage();
            zone.Take(16);
        }

        SeaBiosDrivers.Take(input, zone, isBeyondReach);
        return zone.KeptBytes;
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
}
