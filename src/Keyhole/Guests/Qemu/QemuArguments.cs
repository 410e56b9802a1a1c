// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
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

    /// <summary>52 address bits.</summary>
    private const ulong MaxMemoryBytes = 1UL << 52;

    private const string OnlyParsed = "write the value itself: a command is read here and never run";

    /// <summary>A backing chain of flash images longer than this is a loop.</summary>
    private const int MaxNodes = 16;

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
    private string _program = "";
    private string _emulatorText = "";
    private QemuVersion? _hostKernel;
    private string? _name;
    private string _cpu = "";
    private string? _bios;
    private string? _vga;
    private ulong? _memoryBytes;
    private ulong _maxMemoryBytes;
    private int _memorySlots;
    private int _cpus = 1;
    private int _sockets;
    private int _socketsForAll = 1;
    private bool _hasCores;
    private bool _hasDefaults = true;
    private bool _hasDefaultVga = true;
    private bool _hasDefaultCdrom = true;
    private bool _hasNetworks;
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

    public void Remark(string remark) => _remarks.Add(remark);

    public void SetProgram(string program, string emulatorText)
    {
        _program = program;
        _emulatorText = emulatorText;
    }

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
                // QEMU takes a lone word for the image of a disk.
                AddDisk(0, isCdrom: false);
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
        if (!QemuMachineType.TryParse(machineName, emulator ?? new(10, 0), out QemuMachineType type))
        {
            return InputError.NotSupported(
                sourceName, _lineOfMachine, $"the machine type {InputError.Quote(machineName)} is not one whose map is known",
                "take pc, q35 or one of their versions, such as pc-q35-7.2");
        }

        bool isKvm = IsKvm();
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
        QemuCpuChoice cpu = ReadCpu();
        if (_error is not null)
            return _error;
        QemuMachine machine = new()
        {
            Type = type,
            Emulator = emulator ?? type.Version,
            Firmware = default,
            Cpu = new(CpuVendor.Intel, QemuCpu.DefaultPhysBits),
            MemoryBytes = memoryBytes,
            MaxMemoryBytes = _maxMemoryBytes,
            MemorySlots = _memorySlots,
            MaxRamBelow4GiB = MachineSize("max-ram-below-4g"),
            Cpus = _cpus,
            Sockets = Sockets(type.Version),
            IsKvm = isKvm,
            FwCfg = [.. _fwCfg],
            Globals = [.. _globals],
            HasBoardUsb = MachineSwitch("usb"),
            BoardDisks = _disks,
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
            Vcpus = _cpus,
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
            or "vga" or "nic" or "net" or "readconfig" or "name";
        if (isDecisive && value.NeedsShell)
        {
            Fail(NotSupported, value, NeedsShell(value), OnlyParsed);
            return;
        }

        string text = value.Text ?? "";
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
            case "netdev":
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
            case "name":
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

    private void ReadMachine(QemuWord option, string text)
    {
        foreach (QemuProperty property in QemuOptionSyntax.Split(text, "type"))
        {
            string name = property.Name.Replace('_', '-');
            if (name == "type")
                _lineOfMachine = option.Line > 0 ? option.Line : null;
            _machine.Add(new(name, property.Value));
        }

        _machineWord = option;
    }

    private string? MachineProperty(string name)
    {
        for (int i = _machine.Count - 1; i >= 0; i--)
        {
            if (_machine[i].Name == name)
                return _machine[i].Value;
        }

        return null;
    }

    private bool MachineSwitch(string name) => MachineProperty(name) is { } text && QemuOptionSyntax.TrySwitch(text, out bool isOn) && isOn;

    private ulong MachineSize(string name)
    {
        if (MachineProperty(name) is not { } text)
            return 0;
        if (!QemuOptionSyntax.TrySize(text, 0, out ulong sizeBytes))
            Fail(OutOfRange, _machineWord, $"{name}={InputError.Quote(text)} is not a size", "write a number with K, M, G or T");
        return sizeBytes;
    }

    private bool IsKvm()
    {
        string? first = (_accelerators.Count > 0 ? _accelerators[0] : MachineProperty("accel"))?.Split(':')[0];
        // A program whose name ends so prefers KVM where the user says nothing.
        return first is null ? _program.EndsWith("kvm", StringComparison.Ordinal) : first == "kvm";
    }

    /// <summary><c>-m 8G</c>, <c>-m size=8G,slots=4,maxmem=64G</c>; a bare number is MiB for the size and bytes for maxmem.</summary>
    private void ReadMemory(QemuWord value)
    {
        foreach (QemuProperty property in QemuOptionSyntax.Split(value.Text, "size"))
        {
            bool isRead = true;
            ulong sizeBytes = 0;
            switch (property.Name)
            {
                case "size":
                    isRead = QemuOptionSyntax.TrySize(property.Value, 20, out sizeBytes);
                    _memoryBytes = sizeBytes;
                    break;
                case "maxmem":
                    isRead = QemuOptionSyntax.TrySize(property.Value, 0, out _maxMemoryBytes);
                    break;
                case "slots":
                    isRead = QemuOptionSyntax.TryNumber(property.Value, out _memorySlots) && _memorySlots <= 256;
                    break;
            }

            if (!isRead || sizeBytes > MaxMemoryBytes || _maxMemoryBytes > MaxMemoryBytes)
            {
                Fail(OutOfRange, value, $"{property.Name} {InputError.Quote(property.Value)} is not a size of memory",
                    "write a number with M, G or T, at most 4096T");
                return;
            }
        }
    }

    private ulong Memory()
    {
        const ulong defaultBytes = 128UL << 20;
        ulong? sizeBytes = _memoryBytes;
        if (sizeBytes is null && MachineProperty("memory.size") is { } text)
            sizeBytes = QemuOptionSyntax.TrySize(text, 20, out ulong told) ? told : null;
        if (MachineProperty("memory.max-size") is not null)
            _maxMemoryBytes = MachineSize("memory.max-size");
        if (MachineProperty("memory.slots") is { } slots && QemuOptionSyntax.TryNumber(slots, out int count))
            _memorySlots = count;
        if (sizeBytes is null && MachineProperty("memory-backend") is { } id)
        {
            foreach ((string other, ulong size) in _memoryObjects)
                sizeBytes = other == id ? size : sizeBytes;
        }

        // QEMU rounds up to two pages.
        ulong memoryBytes = ((sizeBytes ?? defaultBytes) + 0x1fff) & ~0x1fffUL;
        if (memoryBytes == 0)
            memoryBytes = defaultBytes;
        if (_maxMemoryBytes != 0 && _maxMemoryBytes < memoryBytes)
        {
            _error ??= InputError.Conflict(
                sourceName, null, $"maxmem is {ByteSize.ToText(_maxMemoryBytes)}, less than the memory of {ByteSize.ToText(memoryBytes)}",
                "give it a unit (a bare number is bytes), and at least the memory");
        }

        return memoryBytes;
    }

    /// <summary>
    /// Sockets that are not named are what the other levels leave, where cores are named; where neither is, the machine types before 6.2 take cores
    /// for one and make sockets of the rest, and the later ones take one socket.
    /// </summary>
    private int Sockets(QemuVersion machine) =>
        _sockets > 0 ? _sockets : _hasCores || machine < new QemuVersion(6, 2) ? _socketsForAll : 0;

    private void ReadProcessors(QemuWord value)
    {
        ImmutableArray<QemuProperty> properties = QemuOptionSyntax.Split(value.Text, "cpus");
        int cpus = 1;
        if (QemuOptionSyntax.Find(properties, "cpus") is { } text)
        {
            if (!QemuOptionSyntax.TryNumber(text, out cpus) || cpus is < 1 or > 8192)
                Fail(OutOfRange, value, $"{InputError.Quote(text)} is not a valid number of processors", "write 1 to 8192");
        }
        else
        {
            foreach (string level in (ReadOnlySpan<string>)["sockets", "dies", "clusters", "modules", "cores", "threads"])
                cpus = Math.Min(8192, cpus * Level(level, 1));
        }

        _cpus = cpus;
        _sockets = Level("sockets", 0);
        _hasCores = Level("cores", 0) > 0;
        int inSocket = 1;
        foreach (string level in (ReadOnlySpan<string>)["dies", "clusters", "modules", "cores", "threads"])
            inSocket = Math.Min(8192, inSocket * Level(level, 1));
        _socketsForAll = Math.Max(1, Level("maxcpus", cpus) / inSocket);

        int Level(string name, int whenUnset) => QemuOptionSyntax.Find(properties, name) is { } factor
            && QemuOptionSyntax.TryNumber(factor, out int count) && count is > 0 and <= 8192 ? count : whenUnset;
    }

    private ImmutableArray<QemuProperty> Properties(QemuWord value, string impliedKey)
    {
        if (!value.Text.StartsWith('{'))
            return QemuOptionSyntax.Split(value.Text, impliedKey);
        if (!QemuOptionSyntax.TryReadJson(value.Text, out ImmutableArray<QemuProperty> properties))
            Fail(Malformed, value, $"{InputError.Quote(value.Text)} is malformed JSON", "give the value as QEMU was given it, quotes included");
        return properties;
    }

    private void ReadObject(QemuWord value)
    {
        ImmutableArray<QemuProperty> properties = Properties(value, "qom-type");
        if (QemuOptionSyntax.Find(properties, "qom-type")?.StartsWith("memory-backend", StringComparison.Ordinal) != true
            || QemuOptionSyntax.Find(properties, "id") is not { } id)
            return;
        // QEMU takes a bare number for MiB in -m alone.
        if (QemuOptionSyntax.Find(properties, "size") is not { } text || !QemuOptionSyntax.TrySize(text, 0, out ulong sizeBytes)
            || sizeBytes > MaxMemoryBytes)
        {
            Fail(Missing, value, $"the memory object {InputError.Quote(id)} has no size", "give its size=, with M, G or T");
            return;
        }

        _memoryObjects.Add((id, sizeBytes));
    }

    private void ReadDrive(string text)
    {
        ImmutableArray<QemuProperty> properties = QemuOptionSyntax.Split(text, "");
        switch (QemuOptionSyntax.Find(properties, "if") ?? "ide")
        {
            case "ide":
                // index counts; bus and unit are two disks a bus.
                int index = Number(properties, "index") ?? ((Number(properties, "bus") * 2) + (Number(properties, "unit") ?? 0))
                    ?? (_hasDiskAtZero ? -1 : 0);
                AddDisk(index, QemuOptionSyntax.Find(properties, "media") == "cdrom");
                break;
            case "virtio":
                _virtioDrives.Add(properties);
                break;
            case "pflash":
                _drives.Add(properties);
                break;
        }
    }

    private static int? Number(ImmutableArray<QemuProperty> properties, string name) =>
        QemuOptionSyntax.Find(properties, name) is { } text && QemuOptionSyntax.TryNumber(text, out int number) && number < 1024 ? number : null;

    private void AddDisk(int index, bool isCdrom)
    {
        _disks++;
        _hasDiskAtZero |= index == 0;
        _hasDiskAtTwo |= index == 2 || isCdrom;
    }

    private void ReadNode(string text)
    {
        ImmutableArray<QemuProperty> properties;
        if (!text.StartsWith('{'))
            properties = QemuOptionSyntax.Split(text, "driver");
        else if (!QemuOptionSyntax.TryReadJson(text, out properties))
            return;
        if (QemuOptionSyntax.Find(properties, "node-name") is { } name && _nodes.Count < MaxDevices)
            _nodes[name] = properties;
    }

    /// <summary><c>name=opt/ovmf/X-PciMmio64Mb,string=65536</c>.</summary>
    private void ReadFwCfg(QemuWord value)
    {
        ImmutableArray<QemuProperty> properties = QemuOptionSyntax.Split(value.Text, "name");
        if (QemuOptionSyntax.Find(properties, "name") is not { Length: > 0 } name)
        {
            Fail(Missing, value, $"{InputError.Quote(value.Text)} has no name", "write name=…,string=…");
            return;
        }

        if (QemuOptionSyntax.Find(properties, "string") is { } text)
        {
            _fwCfg.Add(new(name, text));
            return;
        }

        // What it holds decides the map for these.
        if (name is "opt/ovmf/X-PciMmio64Mb" or "opt/org.seabios/pci64")
            Fail(NotSupported, value, $"the value of {name} stands in a file that is not read", "write its content with string=");
    }

    /// <summary><c>q35-pcihost.pci-hole64-size=64G</c>, or <c>driver=…,property=…,value=…</c>.</summary>
    private void ReadGlobal(QemuWord value)
    {
        string text = value.Text;
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        int dot = equals < 0 ? -1 : text.AsSpan(0, equals).IndexOf('.');
        if (dot > 0)
        {
            _globals.Add(new(text[..dot], text[(dot + 1)..equals], text[(equals + 1)..]));
            return;
        }

        ImmutableArray<QemuProperty> properties = QemuOptionSyntax.Split(text, "");
        if (QemuOptionSyntax.Find(properties, "driver") is { } driver && QemuOptionSyntax.Find(properties, "property") is { } property
            && QemuOptionSyntax.Find(properties, "value") is { } setting)
        {
            _globals.Add(new(driver, property, setting));
            return;
        }

        Fail(Malformed, value, $"{InputError.Quote(text)} is not a valid global property", "write DRIVER.PROPERTY=VALUE");
    }

    /// <summary><c>device.ID.PROPERTY=VALUE</c> for a device that stands in front.</summary>
    private void ReadSet(QemuWord value)
    {
        string text = value.Text;
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        string[] parts = equals < 0 ? [] : text[..equals].Split('.', 3);
        if (parts is ["device", var id, var property] && !TrySet(id, property, text[(equals + 1)..]))
            Fail(NoSuchItem, value, $"there is no device {InputError.Quote(id)} in front of it", "name a device by its id");
    }

    /// <summary>Sets a property of a device that is there already; false where none has that identifier.</summary>
    public bool TrySet(string id, string property, string value)
    {
        for (int i = _devices.Count - 1; i >= 0; i--)
        {
            if (_devices[i].Device["id"] != id)
                continue;
            QemuDevice device = _devices[i].Device;
            _devices[i] = (device with { Properties = device.Properties.Add(new(property, value)) }, _devices[i].Line);
            return true;
        }

        return false;
    }

    private string FirmwareFile(out bool isFlash)
    {
        isFlash = true;
        if (MachineProperty("pflash0") is { } node)
        {
            for (int i = 0; i < MaxNodes && _nodes.TryGetValue(node, out ImmutableArray<QemuProperty> properties); i++)
            {
                if ((QemuOptionSyntax.Find(properties, "filename") ?? QemuOptionSyntax.Find(properties, "file.filename")) is { } file)
                    return file;
                node = QemuOptionSyntax.Find(properties, "file") ?? QemuOptionSyntax.Find(properties, "backing") ?? "";
            }

            return node.Length == 0 ? "pflash0" : node;
        }

        // The lower unit is the firmware, the other one its variables.
        string? flash = null;
        int lowest = int.MaxValue;
        for (int i = 0; i < _drives.Count; i++)
        {
            int unit = Number(_drives[i], "unit") ?? Number(_drives[i], "index") ?? i;
            if (unit < lowest && (QemuOptionSyntax.Find(_drives[i], "file") ?? QemuOptionSyntax.Find(_drives[i], "file.filename")) is { } file)
                (lowest, flash) = (unit, file);
        }

        if (flash is not null)
            return flash;
        isFlash = false;
        return _bios ?? MachineProperty("firmware") ?? "";
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
