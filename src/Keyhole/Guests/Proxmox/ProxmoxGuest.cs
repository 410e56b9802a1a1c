// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Diagnostics;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Guests;

/// <summary>What Proxmox makes of its settings.</summary>
internal sealed partial class ProxmoxGuest(string sourceName, SortedDictionary<string, (string Value, int Line)> settings)
{
    private readonly QemuArguments _arguments = new(sourceName, QemuDialect.Proxmox);
    private readonly List<(string Text, int Line)> _devices = [];
    private readonly SortedSet<int> _bridges = [];
    private InputError? _error;
    private bool _isQ35;
    private string? _iommu;
    private QemuVersion _version;
    private QemuVersion? _created;
    private int _windows;
    private bool _hidesDisplay;
    private ProxmoxRoom? _room;

    public Parsed<GuestDocument> Build()
    {
        bool isKvm = Text("kvm") is not "0";
        _arguments.SetProgram(isKvm ? "kvm" : "qemu-system-x86_64", "pve");
        _arguments.SetGuest(Text("name") is { Length: > 0 } name ? InputError.OneLine(name, 200) : null, isKvm);
        _windows = WindowsVersion(Text("ostype"));
        ReadMachine();
        AddFirmware();
        AddProcessors();
        AddCpu(isKvm);
        AddMemory();
        AddDevices();
        if (_error is not null)
            return _error;
        _arguments.Add("-nodefaults");
        foreach ((string text, int line) in _devices)
            _arguments.Add("-device", text, line);
        if (Text("args") is { } args)
        {
            ImmutableArray<QemuWord> words = QemuCommandText.Split(args, Line("args"), out UnclosedQuote? open);
            if (open is { } unclosed)
                return QemuCommandText.NeverClosed(sourceName, Line("args"), unclosed);
            _arguments.Add(words.AsSpan());
        }

        _arguments.Remark("slots, bridges and root ports are those that Proxmox VE gives by default; its configuration does not name them");
        if (!_arguments.Build().TryGet(out GuestDocument? document, out InputError? error))
            return error;
        ImmutableArray<QemuProperty> kept =
            [.. ((string[])["args", "cpu", "machine", "bios", "hotplug", .. settings.Keys.Where(static key => key.StartsWith("hostpci",
                StringComparison.Ordinal))])
                .Where(key => Text(key) is not null).Select(key => new QemuProperty(key, Text(key)!))];
        QemuGuest guest = document.Guest.Qemu! with { Kept = kept, LeastEmulator = _created, Room = _room, WithLines = WithLines };
        guest.TryResolve(QemuSurroundings.Unknown, out QemuMachine machine, out _);
        return document with { Guest = document.Guest with { Qemu = guest with { Machine = machine } } };
    }

    private QemuGuest? WithLines(string lines, ImmutableArray<string> dropped)
    {
        var changed = new SortedDictionary<string, (string Value, int Line)>(settings, StringComparer.Ordinal);
        foreach (string key in dropped)
            changed.Remove(key);
        foreach (string line in lines.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon < 0)
                return null;
            changed[line[..colon]] = (line[(colon + 1)..].Trim(), 0);
        }

        return new ProxmoxGuest(sourceName, changed).Build().TryGet(out GuestDocument? document, out _) ? document.Guest.Qemu : null;
    }

    private string? Text(string key) => settings.TryGetValue(key, out (string Value, int Line) setting) ? setting.Value : null;

    private int Line(string key) => settings.TryGetValue(key, out (string Value, int Line) setting) ? setting.Line : 0;

    /// <summary>The properties of a setting, the first one's key implied.</summary>
    private ImmutableArray<QemuProperty> Properties(string key, string impliedKey) =>
        Text(key) is { } text ? QemuOptionSyntax.Split(text, impliedKey) : [];

    private int Number(string key, int otherwise, int most)
    {
        if (Text(key) is not { } text)
            return otherwise;
        if (QemuOptionSyntax.TryNumber(text, out int number) && number <= most)
            return number;
        Fail(OutOfRange, key, $"{key} {InputError.Quote(text)} is not a number up to {most}", "give a whole number");
        return otherwise;
    }

    private void Fail(InputErrorCode code, string key, ErrorText what, string remedy) => _error ??= new InputError(code, sourceName, Line(key), what,
        remedy);

    private static bool IsOn(ImmutableArray<QemuProperty> properties, string name) => QemuOptionSyntax.Find(properties, name) is "1" or "on" or "yes"
        or "true";

    private static int WindowsVersion(string? type) => type switch
    {
        null => 0,
        "wxp" or "w2k3" or "w2k" => 5,
        "w2k8" or "wvista" => 6,
        _ when type.StartsWith("win", StringComparison.Ordinal) && QemuOptionSyntax.TryNumber(type.AsSpan(3), out int number) => number,
        _ => 0,
    };

    private void ReadMachine()
    {
        ImmutableArray<QemuProperty> machine = Properties("machine", "type");
        string name = QemuOptionSyntax.Find(machine, "type") ?? "pc";
        _isQ35 = name.Contains("q35", StringComparison.Ordinal);
        QemuVersion created = QemuVersion.TryParse(QemuOptionSyntax.Find(Properties("meta", "creation-qemu"), "creation-qemu"), out QemuVersion told)
            ? told : default;
        _created = created == default ? null : created;
        if (name is "pc" or "q35" && _windows > 0)
        {
            // Windows gets a version for good: that of its creation, and 5.1 where it is older than that rule.
            bool isOfCreation = created >= new QemuVersion(9, 1);
            name = $"{(_isQ35 ? "pc-q35" : "pc-i440fx")}-{(isOfCreation ? created : new(5, 1))}";
            _arguments.Remark(isOfCreation
                ? $"the machine type is {name}, that of the QEMU under which the Windows guest was created (creation-qemu): its machine: names none"
                : $"the machine type is {name}: so Proxmox VE starts a Windows guest whose machine: names no version and that was not created under "
                    + "QEMU 9.1 or later (creation-qemu)");
        }

        bool isNamed = QemuMachineType.TryParse(QemuArguments.WithoutMark(name), QemuVersion.Usual, out QemuMachineType type);
        _version = isNamed ? type.Version : QemuVersion.Usual;
        if (name is "pc" or "q35" && created > _version)
            _version = created;
        _arguments.Add("-machine", $"type={name}", Line("machine"));
        if (name == "q35" && created < new QemuVersion(6, 1) && Text("ostype") == "l26")
            _arguments.Add("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off", Line("machine"));
        _iommu = QemuOptionSyntax.Find(machine, "viommu");
    }

    private void AddFirmware()
    {
        if (Text("bios") is not "ovmf")
            return;
        const string folder = "/usr/share/pve-edk2-firmware//";
        bool is4M = QemuOptionSyntax.Find(Properties("efidisk0", "file"), "efitype") == "4m";
        string file = folder + (!is4M ? "OVMF_CODE.fd" : _isQ35 ? "OVMF_CODE_4M.secboot.fd" : "OVMF_CODE_4M.fd");
        _arguments.Add("-drive", $"if=pflash,unit=0,format=raw,readonly=on,file={file}", Line("bios"));
        // Without a disk for them the variables are in a file that lasts until the guest stops.
        _arguments.Add("-drive", "if=pflash,unit=1,format=raw,file=efidisk0", Line("bios"));
    }

    private void AddProcessors()
    {
        int sockets = Math.Max(1, Number("sockets", Number("smp", 1, 512), 512));
        int cores = Math.Max(1, Number("cores", 1, 8192));
        int all = (int)Math.Min(8192L, (long)sockets * cores);
        int vcpus = Number("vcpus", all, 8192);
        _arguments.Add("-smp",
            string.Create(CultureInfo.InvariantCulture, $"{(vcpus < 1 ? all : vcpus)},sockets={sockets},cores={cores},maxcpus={all}"), Line("cores"));
    }

    private void AddCpu(bool isKvm)
    {
        ImmutableArray<QemuProperty> cpu = Properties("cpu", "cputype");
        string type = QemuOptionSyntax.Find(cpu, "cputype") ?? (isKvm ? "kvm64" : "qemu64");
        string model = type.StartsWith("x86-64-v", StringComparison.Ordinal) ? "qemu64"
            : type.StartsWith("Icelake-Client", StringComparison.Ordinal) ? "Icelake-Server"
            : type;
        string text = model;
        foreach (string flag in (QemuOptionSyntax.Find(cpu, "flags") ?? "").Split(';'))
        {
            if (flag is "+pdpe1gb" or "-pdpe1gb")
                text += "," + flag;
        }

        // Proxmox names the vendor of every model that has one of its own.
        if (model is not ("host" or "max" or "kvm32" or "kvm64" or "qemu32" or "qemu64") && QemuCpuModel.TryFind(model, out QemuCpuModel known))
            text += known.Vendor == CpuVendor.Amd ? ",vendor=AuthenticAMD" : known.Vendor == CpuVendor.Intel ? ",vendor=GenuineIntel" : "";
        if (QemuOptionSyntax.Find(cpu, "guest-phys-bits") is { } guestBits)
            text += ",guest-phys-bits=" + guestBits;
        if (QemuOptionSyntax.Find(cpu, "phys-bits") is { } bits)
            text += bits == "host" ? ",host-phys-bits=on" : ",phys-bits=" + bits;
        if (type.StartsWith("custom-", StringComparison.Ordinal))
            _arguments.Remark(
                $"line {Line("cpu")}: the processor model {InputError.Quote(type)} stands in "
                    + $"/etc/pve/virtual-guest/cpu-models.conf, which is not read");
        _arguments.Add("-cpu", text, Line("cpu"));
    }

    private void AddMemory()
    {
        ImmutableArray<QemuProperty> memory = Properties("memory", "current");
        string text = QemuOptionSyntax.Find(memory, "current") ?? "512";
        if (!QemuOptionSyntax.TryNumber(text, out int sizeMiB) || sizeMiB is < 16 or > 16 << 20)
        {
            Fail(Malformed, "memory", $"memory {InputError.Quote(text)} is not a valid number of MiB", "give a whole number of MiB, 16 to 16777216");
            return;
        }

        // Without NUMA Proxmox refuses the setting; "any" takes whichever fits.
        if (Text("hugepages") is "1024" or "2")
            _arguments.SetHugePages(Text("hugepages") == "2" ? 2UL << 20 : 1UL << 30);
        if (Array.IndexOf((Text("hotplug") ?? "").Split(','), "memory") < 0)
        {
            _arguments.Add("-m", text, Line("memory"));
            return;
        }

        // Proxmox starts with 1 GiB and plugs the rest in; what can be plugged in follows from the guest's address width.
        int sockets = Math.Max(1, Number("sockets", 1, 512));
        bool isHuge = Text("hugepages") == "1024";
        int staticMiB = isHuge ? 1024 * sockets : 1024;
        if (Text("numa") != "1")
        {
            Fail(Conflict, "hotplug", "hotplug has memory and numa is not 1, for which Proxmox VE refuses to start the guest (\"NUMA needs to be "
                + "enabled for memory hotplug\")", "write numa: 1, or leave memory out of hotplug");
            return;
        }

        if (sizeMiB < staticMiB)
        {
            Fail(Conflict, "memory", $"memory {sizeMiB} is less than what a guest has that memory can be plugged into: Proxmox VE does not start it "
                + $"(\"minimum memory must be {staticMiB}MB\")", $"write {staticMiB} or more, or leave memory out of hotplug");
            return;
        }

        ImmutableArray<QemuProperty> cpu = Properties("cpu", "cputype");
        string? width = QemuOptionSyntax.Find(cpu, "phys-bits");
        bool isNumber = QemuOptionSyntax.TryNumber(width, out int number) && number is >= 32 and <= 57;
        bool isHosts = width == "host" || QemuOptionSyntax.Find(cpu, "cputype") is "host" or "max";
        _room = new(isNumber ? number : isHosts ? ProxmoxRoom.WidestHost : QemuCpu.DefaultPhysBits, !isNumber, (ulong)sizeMiB << 20);
        _arguments.Add("-m", string.Create(CultureInfo.InvariantCulture, $"size={staticMiB},slots=255,maxmem={sizeMiB}M"), Line("memory"));
        int current = staticMiB;
        int dimm = isHuge ? 1024 : 512;
        for (int i = 0; i < 256 && current < sizeMiB; i++)
        {
            _arguments.Add("-object", string.Create(CultureInfo.InvariantCulture, $"memory-backend-ram,id=mem-dimm{i},size={dimm}M"), Line("memory"));
            _arguments.Add("-device", string.Create(CultureInfo.InvariantCulture, $"pc-dimm,id=dimm{i},memdev=mem-dimm{i},node={i % sockets}"),
                Line("memory"));
            current += dimm;
            if (i % 32 == 31 && current < sizeMiB)
                dimm = Math.Min(dimm * 2, 1 << 20);
        }

        if (current > sizeMiB)
        {
            Fail(Conflict, "memory", $"memory {sizeMiB} is not what Proxmox VE can plug in (\"memory size ({sizeMiB}) must be aligned to {dimm} for "
                + $"hotplugging\")", $"write {current}");
        }
    }
}
