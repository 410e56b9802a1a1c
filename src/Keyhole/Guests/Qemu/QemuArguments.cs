// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Pci;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Guests;

/// <summary>
/// Gathers a guest from QEMU's arguments, whoever wrote them: a command line has them as they are, and what libvirt or Proxmox would hand to QEMU
/// is handed here.
/// </summary>
internal sealed partial class QemuArguments(string sourceName, QemuDialect dialect)
{
    /// <summary>More devices than the 256 buses of a guest hold.</summary>
    private const int MaxDevices = 16384;

    private const string OnlyParsed = "write the value itself: a command is read here and never run";

    private static readonly ImmutableArray<string> s_displays =
    [
        "VGA", "isa-vga", "cirrus-vga", "isa-cirrus-vga", "vmware-svga", "qxl-vga", "virtio-vga", "ati-vga", "vhost-user-vga", "virtio-vga-gl",
        "virtio-vga-rutabaga",
    ];

    private readonly List<string> _remarks = [];
    private readonly List<QemuProperty> _machine = [];
    private readonly List<(QemuDevice Device, int Line)> _devices = [];
    private readonly List<QemuDevice> _jsonDevices = [];
    private readonly List<QemuDevice> _boardDevices = [];
    private readonly List<QemuGlobal> _globals = [];
    private readonly List<QemuFwCfg> _fwCfg = [];
    private readonly List<(string Id, ulong SizeBytes)> _memoryObjects = [];
    private readonly List<ImmutableArray<QemuProperty>> _drives = [];
    private readonly Dictionary<string, ImmutableArray<QemuProperty>> _nodes = new(StringComparer.Ordinal);
    private readonly List<string> _nicsOfNic = [];
    private readonly List<string> _nicsOfNet = [];
    private readonly List<string> _accelerators = [];
    private ImmutableArray<QemuWord> _config = [];
    private string _program = "";
    private string _emulatorText = "";
    private ulong? _hugePageBytes;
    private string _lastWords = "";
    private QemuVersion? _hostKernel;
    private string? _name;
    private string _cpu = "";
    private string? _bios;
    private string? _vga;
    private ulong? _memoryBytes;
    private ulong _maxMemoryBytes;
    private int _memorySlots;
    private QemuProcessors _processors = new();
    private bool _hasDefaults = true;
    private bool _hasDefaultVga = true;
    private bool _hasDefaultCdrom = true;
    private bool _hasNetworks;
    private bool _isBootStrict;
    private int _disks;
    private bool _hasDiskAtTwo;
    private bool _hasDiskAtZero;
    private readonly List<ImmutableArray<QemuProperty>> _virtioDrives = [];
    private int? _lineOfMachine;
    private QemuWord _machineWord;
    private QemuWord _cpuWord;
    private string? _kernel;
    private string? _ramdisk;
    private string? _commandLine;
    private InputError? _error;
    private readonly HashSet<(string Kind, string Name)> _names = [];
    private readonly QemuReferences _references = new();
    private string? _sameName;
    private StartRefusal? _refusal;

    public void Remark(string remark) => _remarks.Add(remark);

    public void SetProgram(string program, string emulatorText)
    {
        _program = program;
        _emulatorText = emulatorText;
    }

    /// <summary>Says that who calls QEMU refuses the guest; the first time counts.</summary>
    public void Refuse(StartRefusal refusal) => _refusal ??= refusal;

    /// <summary>The size of the pages that the guest's RAM is made of, in bytes.</summary>
    public void SetHugePages(ulong pageBytes) => _hugePageBytes = pageBytes;

    /// <summary>The words with which QEMU ended.</summary>
    public void SetLastWords(string words) => _lastWords = words;

    public void SetHostKernel(string release) => _hostKernel = QemuVersion.TryParseLeading(release, out QemuVersion version) ? version : null;

    /// <summary>The name of the guest and the accelerator, where a configuration tells them beside the arguments.</summary>
    public void SetGuest(string? name, bool isKvm)
    {
        _name = name;
        _accelerators.Add(isKvm ? "kvm" : "tcg");
    }

    /// <summary>Adds an option that stands alone.</summary>
    public void Add(string option) => Add([new QemuWord(option, 0, NeedsShell: false)]);

    /// <summary>A machine type without what Proxmox VE puts behind it (<c>pc-q35-9.2+pve1</c>): QEMU's is the one that decides.</summary>
    public static string WithoutMark(string machineName)
    {
        int at = machineName.IndexOf("+pve", StringComparison.Ordinal);
        return at < 0 ? machineName : machineName[..at];
    }

    /// <summary>Adds an option with its value, as if it had stood in the command line.</summary>
    public void Add(string option, string value, int line) => Add([new(option, line, false), new(value, line, false)]);

    /// <summary>Adds arguments in their order.</summary>
    public void Add(ReadOnlySpan<QemuWord> words)
    {
        for (int i = 0; i < words.Length && _error is null; i++)
        {
            QemuWord word = words[i];
            if (word.Text.Length == 0)
                continue;
            if (!QemuCommandText.IsOption(word.Text))
            {
                if (word.NeedsShell)
                    Fail(NotSupported, word, NeedsShell(word), OnlyParsed);
                if (word.Text.Contains("...", StringComparison.Ordinal) || word.Text.Contains('…', StringComparison.Ordinal))
                    _references.LeaveOut();
                AddImage(word);
                continue;
            }

            QemuWord value = default;
            if (QemuOptionNames.TakesValue(word.Text))
            {
                if (i + 1 == words.Length)
                {
                    Fail(Missing, word, $"{InputError.Quote(word.Text)} has no value", "give the whole command");
                    return;
                }

                value = words[++i];
            }

            Read(word.Text.AsSpan().TrimStart('-'), word, value);
        }
    }

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
            LastWords = _lastWords,
            Refusal = _refusal is not null ? _refusal
                : _sameName is { } words ? new("QEMU", InputError.OneLine(words, 200), "") { IsOfName = true } : null,
            Rules = dialect != QemuDialect.CommandLine ? null : new(_processors, [.. _machine.Select(static property => property.Name)],
                _references.Refusal([.. _devices.Select(static one => one.Device), .. _jsonDevices])),
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

    private static ErrorText NeedsShell(QemuWord word) => $"{InputError.Quote(word.Text)} is filled in by a shell";

    private void Fail(InputErrorCode code, QemuWord at, ErrorText what, string remedy) => _error ??= new InputError(code, sourceName,
        at.Line > 0 ? at.Line : null, what, remedy);

    private void Read(ReadOnlySpan<char> name, QemuWord option, QemuWord value)
    {
        bool isDecisive = name is "machine" or "M" or "m" or "cpu" or "smp" or "accel" or "bios" or "pflash" or "fw_cfg" or "global" or "set"
            or "device" or "object"
            or "vga" or "nic" or "net" or "readconfig";
        if (isDecisive && value.NeedsShell && !QemuShellValues.AreHarmless(name, value.Text))
        {
            Fail(NotSupported, value, NeedsShell(value), OnlyParsed);
            return;
        }

        string text = value.Text ?? "";
        if (value.NeedsShell)
            _references.LeaveOut();
        switch (name)
        {
            case "machine" or "M":
                ReadMachine(option, text);
                break;
            case "enable-kvm":
                _machine.Add(new("accel", "kvm"));
                break;
            case "no-kvm":
                _machine.Add(new("accel", "tcg"));
                break;
            case "accel":
                _accelerators.Add(QemuOptionSyntax.Find(QemuOptionSyntax.Split(text, "accel"), "accel") ?? "");
                break;
            case "cpu":
                _cpu = text;
                _cpuWord = value;
                break;
            case "m":
                ReadMemory(value);
                break;
            case "smp":
                ReadProcessors(value);
                break;
            case "object":
                ReadObject(value);
                break;
            case "bios":
                _bios = text;
                break;
            case "pflash":
                _drives.Add([new("if", "pflash"), new("file", text)]);
                break;
            case "drive":
                NoteName("drive", NameIn(text), value);
                ReadDrive(text);
                break;
            case "blockdev":
                ReadNode(text);
                break;
            case "hda" or "hdb" or "hdc" or "hdd":
                AddDisk(name[2] - 'a', isCdrom: false);
                break;
            case "cdrom":
                AddDisk(2, isCdrom: true);
                break;
            case "fw_cfg":
                ReadFwCfg(value);
                break;
            case "global":
                ReadGlobal(value);
                break;
            case "set":
                ReadSet(value);
                break;
            case "device":
                ReadDevice(value);
                break;
            case "boot":
                if (QemuOptionSyntax.Find(QemuOptionSyntax.Split(text, "order"), "strict") is { } strict
                    && QemuOptionSyntax.TrySwitch(strict, out bool isStrict))
                    _isBootStrict = isStrict;
                break;
            case "vga":
                _vga = text.Split(',')[0];
                _hasDefaultVga = false;
                break;
            case "std-vga":
                _vga = "std";
                _hasDefaultVga = false;
                break;
            case "nic" or "net":
                ReadNic(text, isNet: name is "net");
                break;
            case "chardev":
                NoteName("chardev", NameIn(text), value);
                break;
            case "netdev":
                NoteName("netdev", NameIn(text), value);
                _hasNetworks = true;
                break;
            case "nodefaults" or "nodefault":
                _hasDefaults = false;
                break;
            case "usb":
                _machine.Add(new("usb", "on"));
                break;
            case "usbdevice":
                _machine.Add(new("usb", "on"));
                break;
            case "name" when !value.NeedsShell:
                _name = QemuOptionSyntax.Find(QemuOptionSyntax.Split(text, "guest"), "guest") is { Length: > 0 } guest
                    ? InputError.OneLine(guest, 200) : _name;
                break;
            case "watchdog":
                AddDevice(new(text, []), value);
                break;
            case "virtfs":
                AddDevice(new("virtio-9p-pci", []), value);
                break;
            case "debugcon":
                AddDevice(new("isa-debugcon", []), value);
                break;
            case "soundhw":
                foreach (string model in text.Split(','))
                    AddSound(model);
                break;
            case "audio":
                if (QemuOptionSyntax.Find(QemuOptionSyntax.Split(text, "driver"), "model") is { } sound)
                    AddSound(sound);
                break;
            case "readconfig":
                ReadConfigFile(value);
                break;
            case "kernel":
                _kernel = text;
                break;
            case "initrd":
                _ramdisk = text;
                break;
            case "append":
                _commandLine = text;
                break;
        }
    }

    private ImmutableArray<QemuProperty> Properties(QemuWord value, string impliedKey)
    {
        if (!value.Text.StartsWith('{'))
            return QemuOptionSyntax.Split(value.Text, impliedKey);
        if (!QemuOptionSyntax.TryReadJson(value.Text, out ImmutableArray<QemuProperty> properties))
            Fail(Malformed, value, $"{InputError.Quote(value.Text)} is malformed JSON", "give the value as QEMU was given it, quotes included");
        return properties;
    }

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
