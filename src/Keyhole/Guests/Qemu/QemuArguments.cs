// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Diagnostics;
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

    private const string OnlyParsed = "a command is read here and never run";

    private static readonly ImmutableArray<string> s_displays =
    [
        "VGA", "isa-vga", "cirrus-vga", "isa-cirrus-vga", "vmware-svga", "qxl-vga", "virtio-vga", "ati-vga", "vhost-user-vga", "virtio-vga-gl",
        "virtio-vga-rutabaga",
    ];

    private readonly List<string> _remarks = [];
    private readonly List<(string Name, string? Value)> _options = [];
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
                if (word.Text is "$@" or "${@}" or "$*")
                {
                    Remark($"{word.Text} is what the script is called with: nothing is taken for it");
                    _references.LeaveOut();
                    continue;
                }

                if (word.NeedsShell)
                    Fail(NotSupported, word, NeedsShell(word), $"write the options that it stands for: {OnlyParsed}");
                if (LeavesOut(word.Text))
                    _references.LeaveOut();
                AddImage(word);
                continue;
            }

            QemuWord value = default;
            bool isLast = i + 1 == words.Length;
            // Of what no QEMU has nobody knows whether a value follows it.
            bool isAlone = !QemuOptionNames.IsOne(word.Text) && (isLast || QemuCommandText.IsOption(words[i + 1].Text));
            if (!isAlone && QemuOptionNames.TakesValue(word.Text))
            {
                if (isLast)
                {
                    Fail(Missing, word, $"{InputError.Quote(word.Text)} has no value", "give the whole command");
                    return;
                }

                value = words[++i];
            }

            _options.Add((word.Text, value.Text));
            if (LeavesOut(value.Text))
                _references.LeaveOut();
            if (QemuOptionNames.JsonForm(word.Text, value.Text) is { } json)
                _options.Add((json, null));
            if (word.Text.AsSpan().TrimStart('-') is "net" or "netdev" && value.Text.Contains($",{QemuOptionNames.Vlan}", StringComparison.Ordinal))
                _options.Add((QemuOptionNames.Vlan, null));
            Read(word.Text.AsSpan().TrimStart('-'), word, value);
        }
    }

    /// <summary>Whether somebody left something out there: "...", "[snip]".</summary>
    private static bool LeavesOut(string? text) => text is not null
        && (text.Contains("...", StringComparison.Ordinal) || text.Contains('…', StringComparison.Ordinal) || text.StartsWith('['));

    private static ErrorText NeedsShell(QemuWord word) => $"{InputError.Quote(word.Text)} is filled in by a shell";

    /// <summary>What to write where a shell would fill in an option's value.</summary>
    private static string ExampleOf(ReadOnlySpan<char> option) => option switch
    {
        "m" => "the memory itself, such as -m 8G",
        "smp" => "the number of processors itself, such as -smp 8",
        "cpu" => "the model itself, such as -cpu host",
        "machine" or "M" => "the machine type itself, such as -machine q35",
        "bios" or "pflash" => "the file of the firmware itself",
        "device" => "the device itself, such as -device vfio-pci,host=01:00.0",
        _ => "the value itself",
    };

    private void Fail(InputErrorCode code, QemuWord at, ErrorText what, string remedy) => _error ??= new InputError(code, sourceName,
        at.Line > 0 ? at.Line : null, what, remedy);

    private void Read(ReadOnlySpan<char> name, QemuWord option, QemuWord value)
    {
        bool isDecisive = name is "machine" or "M" or "m" or "cpu" or "smp" or "accel" or "bios" or "pflash" or "fw_cfg" or "global" or "set"
            or "device" or "object"
            or "vga" or "nic" or "net" or "readconfig";
        if (isDecisive && value.NeedsShell && !QemuShellValues.AreHarmless(name, value.Text))
        {
            Fail(NotSupported, value, $"{InputError.Quote(value.Text)} is filled in by a shell, and the map depends on {option.Text}",
                $"write {ExampleOf(name)}: {OnlyParsed}");
            return;
        }

        string text = value.Text ?? "";
        if (value.NeedsShell)
        {
            _references.LeaveOut();
            if (text.Contains("$(", StringComparison.Ordinal) || text.Contains('`', StringComparison.Ordinal))
                Remark($"what a shell puts in for {InputError.Quote(text)} behind {option.Text} is not known: nothing is taken for it");
        }

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
}
