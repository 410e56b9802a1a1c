// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using Keyhole.Pci;

namespace Keyhole.Platforms.Qemu.Board;

internal sealed class QemuBus
{
    private readonly List<(int DevFn, PluggedFunction Function)> _functions = [];
    private uint _slotsWithFirstFunction;

    public required string Name { get; init; }

    public bool IsRoot { get; init; }

    /// <summary>The model that brought this root bus, which takes bridges alone; null where there is none.</summary>
    public string? Expander { get; init; }

    /// <summary>A port of PCI Express: it has slot 0 and no other.</summary>
    public bool HasOneSlot { get; init; }

    public int Number { get; init; }

    /// <summary>Whether ACPI plugs devices in here; else what the bridge has, which may be the standard hot-plug controller.</summary>
    public bool HasAcpiHotplug { get; init; }

    public bool HasController { get; init; }

    public List<(int DevFn, PluggedFunction Function)> Functions => _functions;

    public PluggedFunction? At(int devFn)
    {
        foreach ((int at, PluggedFunction function) in _functions)
        {
            if (at == devFn)
                return function;
        }

        return null;
    }

    public int? FreeSlot()
    {
        for (int slot = 0; slot < (HasOneSlot ? 1 : QemuTopology.Slots); slot++)
        {
            if ((_slotsWithFirstFunction & (1u << slot)) == 0)
                return slot;
        }

        return null;
    }

    public void Put(int devFn, PluggedFunction function)
    {
        _functions.Add((devFn, function));
        if (devFn % QemuTopology.FunctionsOfSlot == 0)
            _slotsWithFirstFunction |= 1u << (devFn / QemuTopology.FunctionsOfSlot);
    }
}

/// <summary>A plugged function: what the firmware will find, and the bus behind it.</summary>
internal sealed record PluggedFunction(PciFunction Node, string Driver, QemuBus? Behind, PciBridge? Bridge, bool IsMultifunction)
{
    /// <summary>Whether it is a virtual function that nobody has switched on: it has a place and is not there.</summary>
    public bool IsVirtual { get; init; }
}
