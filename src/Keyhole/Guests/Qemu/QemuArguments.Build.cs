// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Pci;

namespace Keyhole.Guests;

/// <content>The guest that the arguments make, once all are there.</content>
internal sealed partial class QemuArguments
{
    public Parsed<GuestDocument> Build()
    {
        if (_error is not null)
            return _error;
        string machineName = MachineProperty("type") ?? "pc";
        if (_emulatorText.Length == 0 && machineName.Contains("+pve", StringComparison.Ordinal))
            _emulatorText = "pve";
        machineName = WithoutMark(machineName);
        if (_program.StartsWith("qemu-system-", StringComparison.Ordinal) && !_program.StartsWith("qemu-system-x86_64", StringComparison.Ordinal)
            && !_program.StartsWith("qemu-system-i386", StringComparison.Ordinal))
        {
            return InputError.NotSupported(sourceName, null, $"{InputError.Quote(_program)} is not a machine of x86",
                "give a guest of qemu-system-x86_64");
        }

        QemuVersion? emulator = QemuVersion.TryParseLeading(_emulatorText, out QemuVersion told) ? told : null;
        if (!QemuMachineType.TryParse(machineName, emulator ?? QemuVersion.Usual, out QemuMachineType type))
        {
            return InputError.NotSupported(
                sourceName, _lineOfMachine, $"the machine type {InputError.Quote(machineName)} is not one whose map is known",
                "take pc, q35 or one of their versions, such as pc-q35-7.2");
        }

        bool isKvm = IsKvm();
        if (!isKvm && Accelerator is null && _devices.Exists(static device => HostFunctions.IsOne(device.Device)))
        {
            Remark("neither accel=kvm nor -enable-kvm is there: QEMU emulates the processor, whose address width is its own and not the host's");
        }

        ulong memoryBytes = Memory();
        string file = FirmwareFile(out bool isFlash);
        if (_error is not null)
            return _error;
        // What QEMU makes of -drive has what it needs.
        QemuDevice[] given = [.. _devices.Select(static one => one.Device), .. _jsonDevices];
        AddLateDevices();
        var devices = ImmutableArray.CreateBuilder<QemuDevice>(_boardDevices.Count + _devices.Count + _jsonDevices.Count);
        devices.AddRange(_boardDevices);
        foreach ((QemuDevice device, _) in _devices)
            devices.Add(device);
        devices.AddRange(_jsonDevices);
        if (_program.Length == 0)
            _references.LeaveOut();
        QemuCpuChoice cpu = ReadCpu();
        if (_error is not null)
            return _error;
        QemuMachine machine = new()
        {
            Type = type,
            Emulator = emulator ?? type.Version,
            Firmware = default,
            FirmwareFile = InputError.OneLine(file, 200),
            HasVariableFlash = HasVariableFlash(file, isFlash),
            Cpu = new(CpuVendor.Intel, QemuCpu.DefaultPhysBits),
            MemoryBytes = memoryBytes,
            MaxMemoryBytes = _maxMemoryBytes,
            MemorySlots = _memorySlots,
            MaxRamBelow4GiB = MachineSize("max-ram-below-4g"),
            Cpus = _processors.Count,
            MaxCpus = _processors.MostCount,
            Sockets = _processors.SocketsOn(type.Version),
            IsKvm = isKvm,
            FwCfg = [.. _fwCfg],
            Globals = [.. _globals],
            HasBoardUsb = MachineSwitch("usb"),
            BoardDisks = _disks,
            IsBootStrict = _isBootStrict,
            MemoryBackend = MachineProperty("memory-backend"),
            TakesNoNvdimm = dialect == QemuDialect.CommandLine && !MachineSwitch("nvdimm"),
            MemoryObjects = [.. _memoryObjects],
            Devices = devices.MoveToImmutable(),
        };
        if (_error is not null)
            return _error;
        var guest = new QemuGuest
        {
            Dialect = dialect,
            Name = _name,
            MachineName = machineName,
            IsKvm = isKvm,
            Emulator = emulator,
            EmulatorText = InputError.OneLine(_emulatorText, 200),
            HostKernel = _hostKernel,
            HugePageBytes = _hugePageBytes,
            HasHugePages = _hugePageBytes is not null || _options.Any(static option => IsOfHugePages(option.Name.TrimStart('-'), option.Value ?? "")),
            LastWords = _lastWords,
            Refusal = _refusal is not null ? _refusal
                : _sameName is { } words ? new("QEMU", InputError.OneLine(words, 200), "") { IsOfName = true } : null,
            Rules = dialect != QemuDialect.CommandLine ? null : new(_processors, [.. _machine.Select(static property => property.Name)],
                _references.Refusal(given, MachineSwitch("usb"), _options.Exists(static option => IsScsiDrive(option)), _globals))
                {
                    Options = RareOptions(),
                    HasNodesWithoutMemory = _references.IsWhole && _options.Exists(static option => IsNode(option))
                        && !_options.Exists(static option => IsNode(option) && HasMemory(option.Value!)),
                },
            FirmwareFile = InputError.OneLine(file, 200),
            Firmware = QemuFirmwareGuess.NameOf(file, isFlash),
            Cpu = cpu,
            Vga = _vga,
            HasNoDefaultVga = !_hasDefaults || !_hasDefaultVga,
            Nics = _hasNetworks || !_hasDefaults ? [.. _nicsOfNic, .. _nicsOfNet] : null,
            Machine = machine,
        };
        guest.TryResolve(QemuSurroundings.Unknown, out machine, out _);
        guest = guest with { Machine = machine };
        ImmutableArray<PciAssignment> pci = HostDevices(guest.Machine.Devices);
        ulong memoryKiB = memoryBytes >> 10;
        var spec = new GuestSpec
        {
            Name = _name,
            Type = GuestType.Kvm,
            MemoryKiB = memoryKiB,
            MaxmemKiB = Math.Max(memoryKiB, _maxMemoryBytes >> 10),
            Vcpus = _processors.Count,
            Pci = pci,
            Kernel = _kernel,
            Ramdisk = _ramdisk,
            CommandLine = _commandLine,
            Qemu = guest,
        };
        return new GuestDocument { Guest = spec, Remarks = [.. _remarks] };
    }

    private static bool IsScsiDrive((string Name, string? Value) option) =>
        option.Name.AsSpan().TrimStart('-') is "drive" && option.Value?.Contains("if=scsi", StringComparison.Ordinal) == true;

    private static bool IsNode((string Name, string? Value) option) =>
        option.Name.AsSpan().TrimStart('-') is "numa" && option.Value is { } value
            && (value == "node" || value.StartsWith("node,", StringComparison.Ordinal));

    private static bool HasMemory(string node) => node.Contains(",mem", StringComparison.Ordinal);

    /// <summary>The options that not every release has, each once.</summary>
    private ImmutableArray<(string Name, string? Value)> RareOptions() =>
    [
        .. _options.Where(static option => !QemuOptionNames.IsOne(option.Name) || QemuOptionNames.ReleasesOf(option.Name) != default
            || QemuOptionNames.IsOfOthers(option.Name)).DistinctBy(static option => option.Name),
    ];

    /// <summary>Functions of the host that the guest gets, by their addresses; one without an address is mediated and has none of its own.</summary>
    private static ImmutableArray<PciAssignment> HostDevices(ImmutableArray<QemuDevice> devices)
    {
        var found = ImmutableArray.CreateBuilder<PciAssignment>();
        var seen = new HashSet<PciAddress>();
        foreach (QemuDevice device in devices)
        {
            if (!HostFunctions.IsOne(device))
                continue;
            if (HostFunctions.TryGetSlot(device, out PciAddress slot))
                found.Add(new(slot) { AllFunctions = true });
            else if (HostFunctions.TryGetAddress(device, out PciAddress address) && seen.Add(address))
                found.Add(new(address));
        }

        return found.DrainToImmutable();
    }
}
