// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Platforms.Firmware;
using Keyhole.Platforms.Qemu.Board;

namespace Keyhole.Platforms.Qemu;

/// <summary>Where QEMU and the firmware put a guest's RAM and BARs, and how far it gets.</summary>
internal sealed record QemuForecast
{
    public required QemuMachine Machine { get; init; }

    public required GuestOutcome Outcome { get; init; }

    /// <summary>In QEMU's or the firmware's own words; null where they say nothing. Of OVMF what a debug build of it says.</summary>
    public string? Message { get; init; }

    /// <summary>Why the firmware does not get further where it says nothing, or what stands behind QEMU's words; null where they say it.</summary>
    public string? Cause { get; init; }

    /// <summary>What to write in place of a value that QEMU refuses; null where it refuses none, or its words tell.</summary>
    public string? Instead { get; init; }

    /// <summary>Null where QEMU refuses the machine.</summary>
    public QemuMemory? Memory { get; init; }

    /// <summary>The map as the operating system gets it; the default where it never gets one, or it is not known.</summary>
    public ImmutableArray<E820Entry> E820 { get; init; }

    /// <summary>Parts of it that are not settled before the firmware runs.</summary>
    public ImmutableArray<UnsettledRange> Unsettled { get; init => field = Given.Array(value); } = [];

    /// <summary>Every BAR and bridge, with an address or a reason; null where QEMU refuses the machine.</summary>
    public PciPlacement? Placement { get; init; }

    /// <summary>What QEMU writes into ACPI for the host bridge, from what the firmware programmed: below 4 GiB from the end of RAM to the I/O APIC.
    /// Null where no operating system ever runs; where the firmware gave its devices up, a kernel that QEMU starts itself does.</summary>
    public AcpiWindows? Acpi { get; init; }

    /// <summary>BARs that have an address at which they do not work, or not as meant.</summary>
    public ImmutableArray<FaultyBar> Faults { get; init => field = Given.Array(value); } = [];

    /// <summary>Slots with devices that neither firmware nor operating system sees.</summary>
    public ImmutableArray<UnseenSlot> Unseen { get; init => field = Given.Array(value); } = [];

    /// <summary>
    /// BARs that have no address of use: none at all, or one at which the device cannot be reached. What a firmware never maps (OVMF's option ROMs)
    /// is not counted.
    /// </summary>
    public int CountUnusable()
    {
        int count = 0;
        foreach (BarPlacement bar in Placement?.Bars ?? [])
            count += bar.Why is { Reason: not UnplacedReason.NotHandled } ? 1 : 0;
        foreach (FaultyBar fault in Faults)
            count += fault.Fault == BarFault.OverReserved ? 0 : 1;
        foreach (UnseenSlot slot in Unseen)
        {
            foreach (PciFunction function in slot.Lost)
                count += function.Bars.Length;
        }

        return count;
    }

    /// <summary>Whether the guest boots with every BAR in its place.</summary>
    public bool PlacesAll => Outcome == GuestOutcome.Boots && CountUnusable() == 0 && Unseen.IsEmpty;
}

/// <summary>Why no forecast can be made.</summary>
/// <param name="Driver">The device of which Keyhole does not know what it asks for; empty where it is something else.</param>
/// <param name="DeviceName">Its identifier or host address; may be empty.</param>
/// <param name="What">One sentence's worth of what is not known, without a full stop.</param>
public sealed record QemuUnknown(string Driver, string DeviceName, string What)
{
    /// <summary>Whether it is a device of the host, of which a listing would tell what is missing.</summary>
    public bool IsOfHost { get; init; }

    /// <summary>Whether there are several: their names are quoted, then.</summary>
    public bool AreMany { get; init; }
}

/// <summary>Guests of QEMU: the only way from a machine to its forecast.</summary>
internal static class QemuForecaster
{
    /// <summary>Sums of sizes beyond this are not reckoned: no processor addresses them, and QEMU would not hold them.</summary>
    private const ulong MostBytes = 1UL << 60;

    /// <summary>Forecasts a machine. False where something about it is not known; then nothing is said at all.</summary>
    public static bool TryForecast(QemuMachine machine, out QemuForecast forecast, out QemuUnknown unknown)
    {
        ArgumentNullException.ThrowIfNull(machine);
        forecast = null!;
        unknown = null!;
        if (machine.MemoryBytes > 1UL << 52 || machine.MaxMemoryBytes > 1UL << 52 || machine.MemorySlots is < 0 or > 256)
        {
            unknown = new("", "", "memory beyond what x86 addresses");
            return false;
        }

        if (machine.Refusal is { IsBehindMemory: false } refused)
        {
            forecast = Refused(machine, refused);
            return true;
        }

        if (!QemuMemory.TryLayOut(machine, out QemuMemory memory, out string refusal))
        {
            forecast = new() { Machine = machine, Outcome = GuestOutcome.Refused, Message = refusal,
                Instead = MemoryThatStarts(machine) ?? KvmThatStarts(machine) };
            return true;
        }

        if (machine.Refusal is { } late)
        {
            forecast = Refused(machine, late);
            return true;
        }

        QemuTopology topology = QemuTopology.Build(machine, out PciTree? tree);
        if (topology.Unknown is { } device)
        {
            bool isHost = device.Driver.StartsWith("vfio-pci", StringComparison.Ordinal);
            // Of several all are named, so that all can be told at once.
            string[] names = isHost && topology.WhyUnknown is null ? [.. machine.Devices.Where(one => one.Driver == device.Driver && one.Host is null)
                .Select(NameOf)] : [NameOf(device)];
            string what = topology.WhyUnknown
                ?? (names.Length > 1 ? "the BARs of devices that are passed through are not told"
                    : isHost ? "the BARs of a device that is passed through are not told" : "the BARs of this device model are not known");
            bool areMany = names.Length > 1;
            string name = areMany ? Listed.Of([.. names.Select(static one => InputError.Quote(one))]) : NameOf(device);
            unknown = new(device.Driver, name, what) { IsOfHost = isHost, AreMany = areMany };
            return false;
        }

        if (topology.Refusal is { } words)
        {
            forecast = new()
            {
                Machine = machine,
                Outcome = GuestOutcome.Refused,
                Message = words,
                Cause = topology.RefusalCause,
                Instead = topology.RefusalRemedy ?? MemoryThatStarts(machine),
            };
            return true;
        }

        if (tree is null || !TryNumber(machine, tree, out NumberedTree numbered, out bool neverEnds) || !IsReckonable(numbered))
        {
            unknown = new("", "", "more buses or larger BARs than PCI has numbers for");
            return false;
        }

        var input = new FirmwareInput(machine, memory, numbered);
        FirmwareRun run = machine.Firmware.Name switch
        {
            FirmwareName.SeaBios when neverEnds => SeaBios.NumbersForEver(input),
            FirmwareName.SeaBios => SeaBios.Run(input),
            FirmwareName.Ovmf => Ovmf.Run(input),
        };
        bool boots = run.Outcome == GuestOutcome.Boots;
        forecast = new()
        {
            Machine = machine,
            Outcome = run.Outcome,
            Message = run.Message,
            Cause = run.Cause,
            Memory = memory,
            E820 = run.E820,
            Unsettled = run.Unsettled,
            Placement = run.Placement,
            Acpi = boots || run.Outcome == GuestOutcome.GivesUp
                ? Windows(machine, memory, run.Placement!) with { Mmconfig = run.Mmconfig, AddressBits = machine.Cpu.PhysBits } : null,
            Faults = boots ? Faults(machine, memory, run) : [],
            Unseen = topology.Unseen,
        };
        return true;
    }

    private static QemuForecast Refused(QemuMachine machine, StartRefusal refusal) => new()
    {
        Machine = machine,
        Outcome = GuestOutcome.Refused,
        Message = refusal.Words,
        Instead = refusal.Remedy is not { } remedy ? NamesThatStart(machine)
            : TryForecast(WithRoom(machine with { Refusal = null }, refusal.Room), out QemuForecast tried, out _)
                && tried.Outcome != GuestOutcome.Refused ? remedy : null,
    };

    private static QemuMachine WithRoom(QemuMachine machine, (int Slots, ulong MaxBytes)? room) =>
        room is { } wanted ? machine with { MemorySlots = wanted.Slots, MaxMemoryBytes = wanted.MaxBytes } : machine;

    /// <summary>What of the guest's memory is to be written in place of what QEMU refuses, as tried; null where that is not what it
    /// refuses.</summary>
    private static string? MemoryThatStarts(QemuMachine machine) => PluggedMemory.Mended(machine) is { } mended && !mended.Machine.Equals(machine)
        && TryForecast(mended.Machine, out QemuForecast tried, out _) && tried.Outcome != GuestOutcome.Refused ? mended.Text : null;

    /// <summary>That KVM is what lacks, as tried; null where it is not.</summary>
    private static string? KvmThatStarts(QemuMachine machine) => machine.LacksKvm
        && TryForecast(machine with { IsKvm = true }, out QemuForecast tried, out _) && tried.Outcome != GuestOutcome.Refused
            ? "switch KVM on, which the model host needs (-accel kvm; in libvirt's XML <domain type='kvm'>; in Proxmox VE's conf kvm: 1)" : null;

    /// <summary>That another name is what helps, as tried; null where names are not what QEMU refuses, or another one does not help.</summary>
    private static string? NamesThatStart(QemuMachine machine)
    {
        if (machine.Refusal is not { IsOfName: true })
            return null;
        var names = new HashSet<string>(StringComparer.Ordinal);
        ImmutableArray<QemuDevice> devices = machine.Devices;
        for (int i = 0; i < devices.Length; i++)
        {
            string? name = devices[i]["id"];
            if (name is null || names.Add(name))
                continue;
            while (!names.Add(name))
                name += "b";
            devices = devices.SetItem(i, devices[i] with
            {
                Properties = [.. devices[i].Properties.Where(static property => property.Name != "id"), new("id", name)],
            });
        }

        return TryForecast(machine with { Refusal = null, Devices = devices }, out QemuForecast tried, out _) && tried.Outcome != GuestOutcome.Refused
            ? "give one of the two another id=" : null;
    }

    private static string NameOf(QemuDevice device) => device["id"] ?? device["host"] ?? "";

    private static bool TryNumber(QemuMachine machine, PciTree tree, out NumberedTree numbered, out bool neverEnds)
    {
        neverEnds = false;
        return machine.Firmware.Name switch
        {
            FirmwareName.SeaBios => SeaBiosBuses.TryNumber(tree, out numbered, out neverEnds),
            // OVMF asks only those bridges behind which it can plug in.
            FirmwareName.Ovmf => NumberedTree.TryCreate(tree, static bridge => bridge.Hotplug == BridgeHotplug.None ? 0 : bridge.Reserve?.Buses ?? 0,
                (more, at) => machine.Type.Chipset == QemuChipset.Q35 ? BusesFor(more, at, machine.Firmware) : 0, out numbered),
        };
    }

    /// <summary>OVMF keeps the buses that virtual functions reach into; before 2022.11 it took one too many.</summary>
    private static int BusesFor(VirtualFunctions more, PciAddress at, QemuFirmware firmware) =>
        (more.LastOf((at.Device * 8) + at.Function) >> 8) + (firmware.IsSince(2022, 11) ? 0 : 1);

    private static bool IsReckonable(NumberedTree tree)
    {
        ulong sum = 0;
        foreach (NumberedFunction function in tree.Functions)
        {
            foreach (BarRequest bar in function.Node.Bars)
                sum += bar.SizeBytes;
            if (sum > MostBytes)
                return false;
        }

        return true;
    }

    /// <summary>QEMU looks at what the firmware programmed on bus 0: 64-bit BARs and the prefetchable windows of bridges.</summary>
    private static AcpiWindows Windows(QemuMachine machine, QemuMemory memory, PciPlacement placement)
    {
        ulong first = ulong.MaxValue;
        ulong end = 0;
        ImmutableArray<NumberedFunction> functions = placement.Tree.Functions;
        foreach (BarPlacement bar in placement.Bars)
        {
            if (bar.Bar.Type.Is64Bit() && functions[bar.Function].Address.Bus == 0 && bar.Address is > 0 and { } address)
                Extend(address, bar.Bar.SizeBytes);
        }

        foreach (BridgeWindows bridge in placement.Bridges)
        {
            if (functions[bridge.Function].Address.Bus == 0 && bridge.Prefetchable is { } window)
                Extend(window.Start, window.SizeBytes);
        }

        // Until 2.10 the hole was what the firmware had used and no more.
        bool isFixed = machine.Type.Version >= new QemuVersion(2, 11);
        ulong start = end != 0 ? first : isFixed ? memory.Hole64Start : 0;
        if (isFixed)
            end = Math.Max(end, Align.Up(start + memory.Hole64Bytes, QemuLayout.GiB));
        return new(ByteRange.FromBounds(memory.LowEnd, QemuLayout.IoApic), start != 0 ? ByteRange.FromBounds(start, end) : null);

        void Extend(ulong address, ulong size)
        {
            ulong last = unchecked(address + size - 1);
            address = Math.Max(address, Frames.FourGiB);
            if (last < address || last == ulong.MaxValue)
                return;
            first = Math.Min(first, address);
            end = Math.Max(end, last + 1);
        }
    }

    private static ImmutableArray<FaultyBar> Faults(QemuMachine machine, QemuMemory memory, FirmwareRun run)
    {
        var faults = run.Misaligned.ToBuilder();
        ulong limit = 1UL << machine.Cpu.PhysBits;
        foreach (BarPlacement bar in run.Placement!.Bars)
        {
            if (bar.Address is not { } address || !bar.Bar.Type.IsMemory())
                continue;
            ulong last = unchecked(address + bar.Bar.SizeBytes - 1);
            if (last < address || last >= limit)
                faults.Add(new(bar.Function, bar.Bar, address, BarFault.BeyondAddressWidth));
            foreach (E820Entry entry in memory.FirmwareMap)
            {
                if (last >= address && address < entry.End && last >= entry.Address)
                    faults.Add(new(bar.Function, bar.Bar, address, entry.IsRam ? BarFault.OverRam : BarFault.OverReserved));
            }
        }

        return faults.ToImmutable();
    }
}
