// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;

namespace Keyhole.Guests;

/// <summary>Where libvirt plugs a device in that has no address of its own.</summary>
internal enum LibvirtConnect
{
    /// <summary>A root port: several share a slot of pcie.0.</summary>
    RootPort,

    /// <summary>A slot of the root bus itself.</summary>
    Root,

    /// <summary>The slot of a PCI Express port; on a pc a conventional one.</summary>
    Express,

    /// <summary>A slot of conventional PCI.</summary>
    Conventional,
}

/// <summary>A guest's address: the controller's index, slot 0–1f, function 0–7.</summary>
internal readonly record struct LibvirtAddress(int Bus, int Slot, int Function);

/// <summary>
/// The PCI addresses of a domain, and those that libvirt assigns where the XML has none: the lowest port or slot that is free, controllers added as
/// needed.
/// </summary>
/// <remarks>Source: libvirt's qemu_domain_address.c and domain_addr.c, whose order of devices the caller follows.</remarks>
internal sealed class LibvirtSlots
{
    private const int LastSlot = 0x1f;
    private const int MaxControllers = 256;

    private readonly bool _isExpress;
    private readonly SortedDictionary<int, string> _buses = [];
    private readonly HashSet<LibvirtAddress> _used = [];
    private readonly HashSet<(int Bus, int Slot)> _shared = [];

    /// <summary>Buses that were found without a free slot: nothing is ever given back, and they are not looked through again.</summary>
    private readonly HashSet<int> _full = [];

    public LibvirtSlots(bool isExpress)
    {
        _isExpress = isExpress;
        _buses[0] = isExpress ? "pcie-root" : "pci-root";
        // What the board has by itself.
        ReserveSlot(0, 0);
        if (isExpress)
            ReserveSlot(0, LastSlot);
        else
            ReserveSlot(0, 1);
    }

    /// <summary>Controllers that were added for devices, by index: to be plugged in like those of the XML.</summary>
    public List<(int Index, string Model)> Added { get; } = [];

    public void AddController(int index, string model) => _buses[index] = model;

    /// <summary>Takes an address that the XML gives.</summary>
    /// <param name="isShared">Whether others of its kind may share the slot: root ports.</param>
    public void Take(LibvirtAddress address, bool isShared)
    {
        _used.Add(address);
        if (isShared)
            _shared.Add((address.Bus, address.Slot));
    }

    /// <summary>Adds the controllers up to the one whose bus an address names: ports on q35, bridges on a pc.</summary>
    public void GrowTo(int bus)
    {
        for (int index = 1; index <= bus && index < MaxControllers; index++)
        {
            string model = _isExpress ? "pcie-root-port" : "pci-bridge";
            if (_buses.TryAdd(index, model))
                Added.Add((index, model));
        }
    }

    /// <summary>Whether no function of a slot is taken.</summary>
    public bool IsFree(int bus, int slot)
    {
        for (int function = 0; function < 8; function++)
        {
            if (_used.Contains(new(bus, slot, function)))
                return false;
        }

        return true;
    }

    /// <summary>Whether several functions of a slot are in use: its first one then has to say so.</summary>
    public bool HasSeveral(LibvirtAddress address)
    {
        int count = 0;
        for (int function = 0; function < 8; function++)
            count += _used.Contains(new(address.Bus, address.Slot, function)) ? 1 : 0;
        return count > 1;
    }

    /// <summary>The next address for a device; null where there is none left.</summary>
    public LibvirtAddress? Next(LibvirtConnect connect)
    {
        LibvirtAddress? found = connect switch
        {
            LibvirtConnect.RootPort => OnRoot(isShared: true),
            LibvirtConnect.Root => OnRoot(isShared: false),
            LibvirtConnect.Express when _isExpress => InPort(),
            LibvirtConnect.Express or LibvirtConnect.Conventional => InSlot(),
        };
        if (found is { } address)
            Take(address, isShared: connect == LibvirtConnect.RootPort);
        return found;
    }

    private LibvirtAddress? OnRoot(bool isShared)
    {
        for (int slot = 1; slot <= LastSlot; slot++)
        {
            if (IsFree(0, slot))
                return new(0, slot, 0);
            for (int function = 1; isShared && function < 8 && _shared.Contains((0, slot)); function++)
            {
                if (!_used.Contains(new(0, slot, function)))
                    return new(0, slot, function);
            }
        }

        return null;
    }

    private LibvirtAddress? InPort()
    {
        foreach ((int index, string model) in _buses)
        {
            if (model is not ("pcie-root-port" or "pcie-switch-downstream-port") || _full.Contains(index))
                continue;
            if (IsFree(index, 0))
                return new(index, 0, 0);
            _full.Add(index);
        }

        return Add("pcie-root-port") is { } added ? new LibvirtAddress(added, 0, 0) : null;
    }

    private LibvirtAddress? InSlot()
    {
        foreach ((int index, string model) in _buses)
        {
            if (model is not ("pci-root" or "pci-bridge" or "pcie-to-pci-bridge" or "pci-expander-bus") || _full.Contains(index))
                continue;
            for (int slot = 1; slot <= LastSlot; slot++)
            {
                if (IsFree(index, slot))
                    return new(index, slot, 0);
            }

            _full.Add(index);
        }

        return Add(_isExpress ? "pcie-to-pci-bridge" : "pci-bridge") is { } added ? new LibvirtAddress(added, 1, 0) : null;
    }

    private int? Add(string model)
    {
        for (int index = 1; index < MaxControllers; index++)
        {
            if (_buses.TryAdd(index, model))
            {
                Added.Add((index, model));
                return index;
            }
        }

        return null;
    }

    private void ReserveSlot(int bus, int slot)
    {
        for (int function = 0; function < 8; function++)
            _used.Add(new(bus, slot, function));
    }
}
