// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using Keyhole.Guests;
using Keyhole.Pci;

namespace Keyhole.Platforms.Qemu.Board;

/// <summary>
/// Plugs the devices of a machine together as QEMU does: what the board has by itself, then the devices of the command line in its order, each in the
/// slot that it names or in the first free one.
/// </summary>
/// <remarks>Source: QEMU's hw/pci/pci.c, hw/i386/pc_q35.c and pc_piix.c.</remarks>
internal sealed partial class QemuTopology
{
    internal const int Slots = 32;
    internal const int FunctionsOfSlot = 8;

    private readonly QemuMachine _machine;
    /// <summary>The bus of a device that Keyhole adds to a guest: the board's own, whichever board it is.</summary>
    public const string BoardsBus = "";

    private readonly Dictionary<string, QemuBus> _buses = new(StringComparer.Ordinal);
    private readonly List<QemuBus> _roots = [];
    private readonly QemuBus _root;
    private readonly PortNumbers _ports = new();
    private readonly PluggedMemory _memory;
    private int _bridges;
    private int _balloons;

    private QemuTopology(QemuMachine machine)
    {
        _machine = machine;
        _memory = new(machine);
        bool isQ35 = machine.Type.Chipset == QemuChipset.Q35;
        _root = new QemuBus { Name = isQ35 ? "pcie.0" : "pci.0", IsRoot = true, HasAcpiHotplug = HasAcpiHotplug(machine) };
        _roots.Add(_root);
        _buses.Add(_root.Name, _root);
    }

    /// <summary>The words in which QEMU refuses the machine; null where it does not.</summary>
    public string? Refusal { get; private set; }

    /// <summary>What to write instead of what QEMU refuses; null where its words tell.</summary>
    public string? RefusalRemedy { get; private set; }

    /// <summary>What stands behind those words; null where they say it.</summary>
    public string? RefusalCause { get; private set; }

    /// <summary>A device of which Keyhole does not know what it asks for; null where there is none.</summary>
    public QemuDevice? Unknown { get; private set; }

    /// <summary>Why that is not known, where it is not its model that is not known; null where it is.</summary>
    public string? WhyUnknown { get; private set; }

    /// <summary>Slots that neither firmware nor operating system looks into, although something is there that is no bridge; empty where there is no
    /// tree.</summary>
    public ImmutableArray<UnseenSlot> Unseen { get; private set; } = [];

    /// <summary>Whether there are more bridges than PCI has bus numbers: no firmware gets through that.</summary>
    public bool HasTooManyBuses => _bridges >= NumberedTree.MaxBuses;

    /// <summary>Wires the machine up. The tree is null exactly where QEMU refuses it, a device is not known or there are too many buses.</summary>
    public static QemuTopology Build(QemuMachine machine, out PciTree? tree)
    {
        var topology = new QemuTopology(machine);
        tree = topology.TryPlugAll() ? topology.ToTree() : null;
        return topology;
    }

    private bool TryPlugAll()
    {
        PlugBoard();
        if (Display(_machine.Vga) is { } display && !TryPlug(new QemuDevice(display, []), isBoards: true))
            return false;
        foreach (string model in _machine.Nics)
        {
            string driver = model == "virtio" ? "virtio-net-pci" : model;
            if (!TryPlug(new QemuDevice(driver, []), isBoards: true))
                return false;
        }

        for (int i = 0; i < _machine.Devices.Length; i++)
        {
            if (!TryPlug(_machine.Devices[i], isBoards: false, i))
                return false;
        }

        return true;
    }

    private static string? Display(string vga) => vga switch
    {
        "std" => "VGA",
        "cirrus" => "cirrus-vga",
        "vmware" => "vmware-svga",
        "qxl" => "qxl-vga",
        "virtio" => "virtio-vga",
        _ => null,
    };

    // ------------------------------------------------------------------ the board

    private void PlugBoard()
    {
        if (_machine.Type.Chipset == QemuChipset.Q35)
        {
            Own(0x00, 0, 0x29c0, 0x060000);
            Own(0x1f, 0, 0x2918, 0x060100);
            Own(0x1f, 2, 0x2922, 0x010601, Io(4, 32), BarRequest.Create(5, 4096, BarType.Memory32));
            Own(0x1f, 3, 0x2930, 0x0c0500, Io(4, 64));
            if (!_machine.HasBoardUsb)
                return;
            Own(0x1d, 0, 0x2934, 0x0c0300, Io(4, 32));
            Own(0x1d, 1, 0x2935, 0x0c0300, Io(4, 32));
            Own(0x1d, 2, 0x2936, 0x0c0300, Io(4, 32));
            Own(0x1d, 7, 0x293a, 0x0c0320, BarRequest.Create(0, 4096, BarType.Memory32));
            return;
        }

        Own(0x00, 0, 0x1237, 0x060000);
        Own(0x01, 0, 0x7000, 0x060100);
        Own(0x01, 1, 0x7010, 0x010180, Io(4, 16));
        if (_machine.HasBoardUsb)
            Own(0x01, 2, 0x7020, 0x0c0300, Io(4, 32));
        Own(0x01, 3, 0x7113, 0x068000);
    }

    private static BarRequest Io(int index, ulong ports) => BarRequest.Create(index, ports, BarType.Io);

    private void Own(int slot, int function, int deviceId, int classCode, params ReadOnlySpan<BarRequest> bars)
    {
        var node = new PciFunction(slot, function, [.. bars]) { VendorId = 0x8086, DeviceId = deviceId, ClassCode = classCode };
        _root.Put((slot * FunctionsOfSlot) + function, new PluggedFunction(node, "", null, null, IsMultifunction: true));
    }

    // ------------------------------------------------------------------ devices

    private bool TryPlug(QemuDevice device, bool isBoards, int plugIndex = -1)
    {
        bool isHost = device.Driver is "vfio-pci" or "vfio-pci-nohotplug" or "xen-pci-passthrough";
        QemuModel? model = isHost ? null : QemuDevices.Find(device.Driver);
        if (model is not null && model.Since > _machine.Emulator && !_machine.IsEmulatorAssumed)
        {
            Refusal = $"'{device.Driver}' is not a valid device model name";
            return false;
        }

        if (model is null && !isHost)
        {
            if (QemuDevices.IsNotPci(device.Driver) || isBoards)
                return isBoards || CheckProperties(device);
            Unknown = device;
            return false;
        }

        if (isHost && device.Host is null)
        {
            Unknown = device;
            return false;
        }

        if (!TryFindBus(device, out QemuBus bus) || !CheckProperties(device))
            return false;
        if (bus.Expander is { } expander
            && model?.Bridge is null or QemuBridge.None or QemuBridge.ExpanderExpress or QemuBridge.ExpanderPci)
        {
            Refusal = $"PCI: Only PCI/PCIe bridges can be plugged into {expander}";
            return false;
        }

        if (!TryFindPlace(device, bus, out int devFn))
            return false;
        int slot = devFn / FunctionsOfSlot;
        int function = devFn % FunctionsOfSlot;
        if (!CheckPlug(device, bus, slot))
            return false;
        bool isMultifunction = QemuNumber.Switch(device["multifunction"]) == true;
        if (!CheckMultifunction(bus, slot, function, isMultifunction))
            return false;
        string name = device["id"] ?? "";
        if (isHost)
        {
            HostFunction host = device.Host!;
            var passed = new PciFunction(slot, function, WithoutUnusedRom(device, host.Bars))
            {
                Name = name.Length > 0 ? name : device["host"] ?? "",
                VendorId = host.VendorId,
                DeviceId = host.DeviceId,
                ClassCode = host.ClassCode,
                Plug = plugIndex,
                IsPassedThrough = true,
                HiddenFunctions = host.VirtualFunctions,
            };
            bus.Put(devFn, new PluggedFunction(passed, device.Driver, null, null, isMultifunction));
            return true;
        }

        var plug = new QemuPlug(_machine, device, model!, IsBehindPort: bus.HasOneSlot);
        Refusal = QemuDeviceValues.Refusal(plug, out string? remedy);
        RefusalRemedy = remedy;
        if (Refusal is not null)
            return false;
        if (QemuDeviceValues.NotReckoned(plug) is { } why)
        {
            (Unknown, WhyUnknown) = (device, why);
            return false;
        }

        if (!TryBridge(plug, bus, out PciBridge? bridge, out QemuBus? behind))
            return false;
        VirtualFunctions? more = model!.Virtual?.Invoke(plug);
        if (more is not null && !TryKeepPlaces(device, bus, devFn, more))
            return false;
        (int vendor, int id) = model.Ids?.Invoke(plug) ?? (model.VendorId, model.DeviceId);
        var node = new PciFunction(slot, function, QemuDevices.Bars(plug))
        {
            Name = name,
            Model = device.Driver,
            VendorId = vendor,
            DeviceId = id,
            ClassCode = model.ClassCode,
            Plug = plugIndex,
            Virtual = more,
        };
        bus.Put(devFn, new PluggedFunction(node, device.Driver, behind, bridge, isMultifunction));
        return true;
    }

    /// <summary>From QEMU 10.0 on virtual functions are there from the start, and nothing else may have their places.</summary>
    private bool TryKeepPlaces(QemuDevice device, QemuBus bus, int devFn, VirtualFunctions more)
    {
        bool areThere = _machine.Emulator >= new QemuVersion(10, 0);
        string driver = device.Driver == "igb" ? "igbvf" : device.Driver;
        for (int i = 0; i < more.Count; i++)
        {
            int at = devFn + more.Offset + (i * more.Stride);
            if (at >= Slots * FunctionsOfSlot)
                Refusal = "VF addr overflows";
            else if (bus.At(at) is { } other)
            {
                Refusal = Occupied(at, driver, other);
            }

            if (Refusal is not null)
            {
                // Before, that is only found once they are switched on; what OVMF makes of it was not tried.
                if (areThere)
                    return false;
                Refusal = null;
                Unknown = device;
                return false;
            }

            if (areThere)
                bus.Put(at, new PluggedFunction(new PciFunction(at / FunctionsOfSlot, at % FunctionsOfSlot, []), driver, null, null,
                    IsMultifunction: true) { IsVirtual = true });
        }

        return true;
    }

    private bool CheckProperties(QemuDevice device)
    {
        Refusal = QemuDeviceProperties.Refusal(_machine, device) ?? _memory.Refusal(device);
        return Refusal is null;
    }

    private bool CheckPlug(QemuDevice device, QemuBus bus, int slot)
    {
        if (slot == 0 && bus is { HasController: true, HasAcpiHotplug: false })
            Refusal = "Unsupported PCI slot 0 for standard hotplug controller. Valid slots are between 1 and 31.";
        else if (device.Driver.StartsWith("virtio-balloon", StringComparison.Ordinal) && ++_balloons > 1)
            Refusal = "Only one balloon device is supported";
        return Refusal is null;
    }

    private static ImmutableArray<BarRequest> WithoutUnusedRom(QemuDevice device, ImmutableArray<BarRequest> bars) =>
        device["rombar"] is "0" or "off" ? bars.RemoveAll(bar => bar.Type == BarType.Rom) : bars;

    private bool TryFindBus(QemuDevice device, out QemuBus bus)
    {
        if (device["bus"] is BoardsBus)
        {
            bus = _root;
            return true;
        }

        if (device["bus"] is not { } name)
        {
            // QEMU looks through its host bridges, the youngest first (qbus_find_recursive).
            bus = _roots[^1];
            return true;
        }

        if (_buses.TryGetValue(name, out bus!))
            return true;
        Refusal = $"Bus '{name}' not found";
        return false;
    }

    private bool TryFindPlace(QemuDevice device, QemuBus bus, out int devFn)
    {
        devFn = 0;
        if (device["addr"] is not { } text)
        {
            if (bus.FreeSlot() is not { } free)
            {
                Refusal = $"PCI: no slot/function available for {device.Driver}, all in use or reserved";
                return false;
            }

            devFn = free * FunctionsOfSlot;
            return true;
        }

        if (!TryAddress(text, out devFn))
        {
            Refusal = $"Property '{device.Driver}.addr' doesn't take value '{text}'";
            return false;
        }

        int slot = devFn / FunctionsOfSlot;
        if (bus.HasOneSlot && slot != 0)
        {
            Refusal = $"PCI: slot {slot} is not valid for {device.Driver}, parent device only allows plugging into slot 0.";
            return false;
        }

        if (bus.At(devFn) is { } other)
        {
            Refusal = Occupied(devFn, device.Driver, other);
            return false;
        }

        return true;
    }

    /// <summary>QEMU's words for a place that is taken.</summary>
    private static string Occupied(int devFn, string driver, PluggedFunction other) =>
        $"PCI: slot {devFn / FunctionsOfSlot} function {devFn % FunctionsOfSlot} not available for {driver}, in use by "
            + (other.Driver.Length > 0 ? other.Driver : BoardName(other.Node.DeviceId))
            + $",id={(other.Node.Name.Length > 0 ? other.Node.Name : "(null)")}";

    /// <summary>What QEMU calls the board's own functions, as it names them where another device is put in their place.</summary>
    private static string BoardName(int deviceId) => deviceId switch
    {
        0x29c0 => "mch",
        0x2918 => "ICH9-LPC",
        0x2922 => "ich9-ahci",
        0x2930 => "ICH9-SMB",
        0x2934 => "ich9-usb-uhci1",
        0x2935 => "ich9-usb-uhci2",
        0x2936 => "ich9-usb-uhci3",
        0x293a => "ich9-usb-ehci1",
        0x1237 => "i440FX",
        0x7000 => "PIIX3",
        0x7010 => "piix3-ide",
        0x7020 => "piix3-usb-uhci",
        _ => "PIIX4_PM",
    };

    /// <summary>Slot and function in hex, with or without 0x: <c>0x1d.7</c>, <c>5</c>.</summary>
    private static bool TryAddress(ReadOnlySpan<char> text, out int devFn)
    {
        devFn = 0;
        int dot = text.IndexOf('.');
        int function = 0;
        return TryHex(dot < 0 ? text : text[..dot], Slots, out int slot) && (dot < 0 || TryHex(text[(dot + 1)..], FunctionsOfSlot, out function))
            && (devFn = (slot * FunctionsOfSlot) + function) >= 0;

        static bool TryHex(ReadOnlySpan<char> digits, int limit, out int value)
        {
            if (digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
                digits = digits[2..];
            value = 0;
            return digits.Length is 1 or 2 && int.TryParse(digits, NumberStyles.AllowHexSpecifier, null, out value) && value < limit;
        }
    }

    private bool CheckMultifunction(QemuBus bus, int slot, int function, bool isMultifunction)
    {
        if (function != 0)
        {
            if (bus.At(slot * FunctionsOfSlot) is not { IsMultifunction: false })
                return true;
            Refusal = $"PCI: single function device can't be populated in function {slot:x}.{function:x}";
            return false;
        }

        for (int other = 1; !isMultifunction && other < FunctionsOfSlot; other++)
        {
            if (bus.At((slot * FunctionsOfSlot) + other) is null)
                continue;
            Refusal = $"PCI: {slot:x}.0 indicates single function, but {slot:x}.{other:x} is already populated.";
            return false;
        }

        return true;
    }

    // ------------------------------------------------------------------ the tree

    private PciTree ToTree()
    {
        _roots.Sort((a, b) => a.Number.CompareTo(b.Number));
        var roots = ImmutableArray.CreateBuilder<PciRootBus>(_roots.Count);
        foreach (QemuBus root in _roots)
            roots.Add(new PciRootBus(root.Number, Functions(root)));
        Unseen = Unseen.RemoveAll(static slot => slot.Lost.IsEmpty);
        return new PciTree(roots.MoveToImmutable());
    }

    private ImmutableArray<PciFunction> Functions(QemuBus bus)
    {
        bus.Functions.Sort((a, b) => a.DevFn.CompareTo(b.DevFn));
        var found = ImmutableArray.CreateBuilder<PciFunction>(bus.Functions.Count);
        int slotWithFirst = -1;
        foreach ((int devFn, PluggedFunction function) in bus.Functions)
        {
            if (function.IsVirtual)
                continue;
            // A slot without its function 0 is empty to every firmware.
            int slot = devFn / FunctionsOfSlot;
            if (devFn % FunctionsOfSlot == 0)
                slotWithFirst = slot;
            else if (slot != slotWithFirst)
            {
                NoteUnseen(bus, slot, function);
                continue;
            }

            found.Add(function.Bridge is { } bridge
                ? function.Node with { Bridge = bridge with { Functions = Functions(function.Behind!) } }
                : function.Node);
        }

        return found.ToImmutable();
    }

    private void NoteUnseen(QemuBus bus, int slot, PluggedFunction function)
    {
        var lost = ImmutableArray.CreateBuilder<PciFunction>();
        AddLeaves(function, lost);
        for (int i = 0; i < Unseen.Length; i++)
        {
            if (Unseen[i].Bus != bus.Name || Unseen[i].Slot != slot)
                continue;
            Unseen = Unseen.SetItem(i, Unseen[i] with { Lost = [.. Unseen[i].Lost, .. lost] });
            return;
        }

        Unseen = Unseen.Add(new(bus.Name, slot, function.Node.Plug, function.Bridge is null, lost.ToImmutable()));
    }

    private static void AddLeaves(PluggedFunction function, ImmutableArray<PciFunction>.Builder found)
    {
        if (function.Bridge is null)
            found.Add(function.Node);
        foreach ((int _, PluggedFunction inner) in function.Behind?.Functions ?? [])
        {
            if (!inner.IsVirtual)
                AddLeaves(inner, found);
        }
    }
}
