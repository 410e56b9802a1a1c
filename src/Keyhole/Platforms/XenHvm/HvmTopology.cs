// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Platforms.Qemu.Board;

namespace Keyhole.Platforms.XenHvm;

/// <summary>The PCI tree of an HVM guest: QEMU's board, the devices that libxl adds, then those passed through, each plugged in while QEMU
/// waits.</summary>
/// <param name="Tree">Null where QEMU refuses the devices, or what one asks for is not known.</param>
/// <param name="Refusal">QEMU's words; null where it does not refuse.</param>
/// <param name="Unknown">The device of which nobody knows what it asks for; null for none.</param>
/// <param name="RomPages">Pages that QEMU takes of the domain's memory for ROMs of its devices.</param>
internal sealed record HvmTopology(NumberedTree? Tree, string? Refusal, string? Unknown, ulong RomPages)
{
    /// <summary>QEMU's xenfv is an alias of xenfv-4.2, which keeps the devices of that release.</summary>
    private static readonly QemuVersion s_xenfv = new(4, 2);

    public static HvmTopology Build(Scenario scenario, HvmSettings settings, QemuVersion emulator)
    {
        ImmutableArray<QemuDevice> passed = PassedThrough(scenario, out string? unknown);
        var machine = new QemuMachine
        {
            Type = new(QemuChipset.I440fx, settings.HasPlatformDevice ? s_xenfv : emulator),
            Emulator = emulator,
            Firmware = new(settings.Firmware, 1, 16, 2),
            Cpu = new(CpuVendor.Other, QemuCpu.DefaultPhysBits),
            MemoryBytes = scenario.Guest.MaxmemKiB << 10,
            Cpus = Math.Clamp(scenario.Guest.MaxVcpus ?? scenario.Guest.Vcpus, scenario.Guest.Vcpus, XlConfig.MaxVcpus),
            HasBoardUsb = settings.HasBoardUsb,
            Devices = [.. settings.HasPlatformDevice ? [new QemuDevice("xen-platform", [])] : ImmutableArray<QemuDevice>.Empty, .. settings.Devices,
                .. passed],
        };
        QemuTopology topology = QemuTopology.Build(machine, out PciTree? tree);
        if (topology.Unknown is { } device)
            unknown ??= $"the BARs of {Diagnostics.InputError.Quote(device.Driver)} are not known";
        NumberedTree? numbered = null;
        if (unknown is null && tree is not null && NumberedTree.TryCreate(tree, out NumberedTree made))
            numbered = made;
        return new(numbered, topology.Refusal, unknown, RomPagesOf(numbered));
    }

    /// <summary>QEMU lays the ROMs of its own models into memory of the domain; those of devices passed through stay with the device.</summary>
    private static ulong RomPagesOf(NumberedTree? tree)
    {
        ulong pages = 0;
        foreach (NumberedFunction function in tree?.Functions ?? [])
        {
            if (function.Node.IsPassedThrough)
                continue;
            foreach (BarRequest bar in function.Node.Bars)
                pages += bar.Type == BarType.Rom ? bar.SizeBytes >> Addresses.Frames.Shift : 0;
        }

        return pages;
    }

    private static ImmutableArray<QemuDevice> PassedThrough(Scenario scenario, out string? unknown)
    {
        unknown = null;
        var lacking = new List<string>();
        var devices = ImmutableArray.CreateBuilder<QemuDevice>();
        ImmutableArray<PciDevice> listed = [.. scenario.Qemu.Devices, .. scenario.Devices];
        // Windows that no listing names are those of one device: the first that no listing names either.
        ImmutableArray<HostFunction> given = OfBars(scenario.Bars.Where(bar => !scenario.Qemu.Devices.Any(device => device.Bars.Contains(bar))));
        if (!scenario.Qemu.Bars.IsEmpty)
            given = given.Add(new(scenario.Qemu.Bars));
        foreach (PciAssignment assignment in scenario.Guest.Pci)
        {
            PciDevice[] covered = [.. listed.Where(candidate => assignment.Covers(candidate.Address)).DistinctBy(static device => device.Address)];
            if (assignment.AllFunctions && covered.Length > 1)
                unknown ??= $"which slots the functions of {assignment} get is not modelled";
            string host = assignment.DeviceName;
            ImmutableArray<QemuProperty> properties = assignment.VirtualSlot is { } slot and > 0
                ? [new("host", host), new("addr", slot.ToString("x", CultureInfo.InvariantCulture))]
                : [new("host", host)];
            if (covered.Length > 0)
            {
                // A device without BARs has nothing to place.
                devices.Add(new(Driver, properties) { Host = HostFunctions.Of(covered[0]) ?? new([]) });
                continue;
            }

            if (given.IsEmpty)
                lacking.Add(host);
            foreach (HostFunction function in given)
                devices.Add(new(Driver, properties) { Host = function });
            given = [];
        }

        if (lacking.Count > 0)
            unknown ??= $"the BARs of {Diagnostics.Listed.Of(lacking)} are not told";
        if (!scenario.Guest.Pci.IsEmpty)
            return devices.ToImmutable();
        foreach (PciDevice device in scenario.Qemu.Devices)
            devices.Add(new(Driver, [new("host", device.Address.ToString())]) { Host = HostFunctions.Of(device) ?? new([]) });
        foreach (HostFunction function in given)
            devices.Add(new(Driver, []) { Host = function });
        return devices.ToImmutable();
    }

    private const string Driver = "xen-pci-passthrough";

    /// <summary>Windows as the registers of a device, or of as many as are needed for them.</summary>
    private static ImmutableArray<HostFunction> OfBars(IEnumerable<Bar> bars)
    {
        const int registers = 6;
        var functions = ImmutableArray.CreateBuilder<HostFunction>();
        var requests = ImmutableArray.CreateBuilder<BarRequest>();
        int next = 0;
        foreach (Bar bar in bars)
        {
            if (bar.Kind is not (BarKind.Memory or BarKind.Rom))
                continue;
            bool is64Bit = bar.RequestType.Is64Bit();
            if (next + (is64Bit ? 2 : 1) > registers)
            {
                functions.Add(new(requests.DrainToImmutable()));
                next = 0;
            }

            int index = bar.Kind == BarKind.Rom ? Bar.RomIndex : next;
            // A window that is no power of two lies in a register of the next one.
            ulong size = System.Numerics.BitOperations.RoundUpToPowerOf2(bar.SizeBytes);
            if (!BarRequest.TryCreate(index, size, bar.RequestType, out BarRequest request) || requests.Any(other => other.Index == index))
                continue;
            requests.Add(request);
            next += bar.Kind == BarKind.Rom ? 0 : is64Bit ? 2 : 1;
        }

        if (requests.Count > 0)
            functions.Add(new(requests.DrainToImmutable()));
        return functions.ToImmutable();
    }
}
