// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Xml;
using System.Xml.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>
/// The machine that libvirt's QEMU driver makes of a domain: it becomes the arguments that libvirt hands to QEMU, as far as they decide a map.
/// Devices without an address get the one that libvirt would give them, and a remark says so.
/// </summary>
/// <remarks>Source: libvirt's formatdomain.rst, qemu_command.c, qemu_domain.c, qemu_domain_address.c as of its version 11.</remarks>
internal sealed partial class LibvirtMachine(string sourceName, XElement domain)
{
    /// <summary>The namespace of what is handed to QEMU as it stands.</summary>
    public static readonly XNamespace Qemu = "http://libvirt.org/schemas/domain/qemu/1.0";

    /// <summary>What libvirt itself would choose for <c>firmware='efi'</c>: which file, only the host's installation tells.</summary>
    public const string ChosenFirmware = "OVMF";

    /// <summary>More devices than any guest has, and few enough to look through for each.</summary>
    private const int MaxDevices = 2048;

    private readonly QemuArguments _arguments = new(sourceName, QemuDialect.Libvirt);
    private readonly List<Device> _devices = [];
    private readonly SortedDictionary<int, Device> _controllers = [];
    private readonly List<string> _assigned = [];
    private LibvirtSlots _slots = new(isExpress: false);
    private InputError? _error;
    private bool _isQ35;

    /// <summary>Where on the command line a device stands: libvirt's order, which is not that of the addresses.</summary>
    private enum Place
    {
        Usb,
        Scsi,
        Sata,
        Serial,
        Disk,
        FileSystem,
        Network,
        Input,
        Video,
        Sound,
        Watchdog,
        Host,
        Balloon,
        Rng,
        SharedMemory,
        Rest,
    }

    /// <summary>A device that is being put together.</summary>
    /// <param name="Text">Driver and properties, without bus and address.</param>
    /// <param name="Connect">Where it would be plugged in; null for one that is no PCI device.</param>
    private sealed record Device(string Text, int Line, Place Place, LibvirtConnect? Connect)
    {
        public LibvirtAddress? Address { get; set; }

        public bool? Multifunction { get; set; }

        /// <summary>The index of a PCI controller; −1 for any other device.</summary>
        public int Index { get; init; } = -1;

        public string Model { get; init; } = "";
    }

    public Parsed<GuestDocument> Build(GuestDocument document)
    {
        GuestSpec spec = document.Guest;
        XElement? os = domain.Element("os");
        string machine = Attribute(os?.Element("type"), "machine") ?? "pc";
        if (Attribute(os?.Element("type"), "arch") is { } arch and not ("x86_64" or "i686"))
            return Error(InputErrorCode.NotSupported, os!.Element("type")!, $"the architecture {InputError.Quote(arch)}, which is not x86",
                "give a guest of x86_64");
        _isQ35 = machine.Contains("q35", StringComparison.Ordinal);
        _slots = new(_isQ35);
        bool isKvm = (string?)domain.Attribute("type") == "kvm";
        bool isUbuntus = QemuMachineType.TryParse(machine, QemuVersion.Usual, out QemuMachineType type)
            && !machine.Contains("rhel", StringComparison.Ordinal)
            && machine is not ("pc" or "q35") && !machine.EndsWith(type.Version.ToString(), StringComparison.Ordinal);
        _arguments.SetProgram("qemu-system-x86_64", isUbuntus ? "ubuntu" : "");
        _arguments.SetGuest(spec.Name, isKvm);
        _arguments.Add("-machine", Escaped(machine), LineOf(os?.Element("type")));
        _arguments.Add("-nodefaults");
        AddFirmware(os);
        AddProcessor(isKvm);
        AddMemory();
        AddPower();
        _arguments.Add("-smp", Processors(spec.Vcpus, machine), LineOf(domain.Element("vcpu")));
        if (domain.Elements("devices").Elements().Skip(MaxDevices).FirstOrDefault() is { } tooMany)
            return Error(InputErrorCode.TooLarge, tooMany, $"more than {MaxDevices} devices", "check that this is one guest");
        ReadDevices();
        AssignAddresses();
        if (_error is not null)
            return _error;
        EmitDevices();
        AddArguments();
        if (_error is not null)
            return _error;
        if (_assigned.Count > 0)
        {
            _arguments.Remark(
                $"no PCI address stands in the XML for {string.Join(", ", _assigned.Take(4))}{(_assigned.Count > 4 ? " and others" : "")}: " +
                "those that libvirt assigns are taken; virsh dumpxml shows them once the guest is defined");
        }

        if (!_arguments.Build().TryGet(out GuestDocument? built, out InputError? error))
            return error;
        return document with
        {
            Guest = spec with { Qemu = built.Guest.Qemu! with { Kept = Kept() } },
            Remarks = [.. document.Remarks, .. built.Remarks],
        };
    }

    /// <summary>Elements that a change of the guest starts from.</summary>
    private ImmutableArray<QemuProperty> Kept() =>
        [.. domain.Elements().Where(static element => element.Name == "cpu" || element.Name == "os" || element.Name == "maxMemory"
                || element.Name == Qemu + "commandline" || (element.Name == "sysinfo" && Attribute(element, "type") == "fwcfg"))
            .Concat(Devices("controller").Where(static element => Attribute(element, "type") == "pci" && Attribute(element, "index") is null or "0"))
            .Select(static element => new QemuProperty(element.Name.LocalName, LibvirtDomain.ToText(element)))];

    // ------------------------------------------------------------------ the board

    private void AddFirmware(XElement? os)
    {
        XElement? loader = os?.Element("loader");
        string path = loader?.Value.Trim() ?? "";
        bool isEfi = Attribute(os, "firmware") == "efi";
        bool isFlash = Attribute(loader, "type") is "pflash"
            || (Attribute(loader, "type") is null && path.EndsWith(".fd", StringComparison.OrdinalIgnoreCase));
        if (path.Length == 0 && !isEfi)
            return;
        if (path.Length == 0)
            path = ChosenFirmware;
        if (isEfi || isFlash)
        {
            _arguments.Add("-drive", $"if=pflash,unit=0,format=raw,readonly=on,file={Escaped(path)}", LineOf(loader ?? os));
            // libvirt makes a file for the variables unless it is told that there shall be none.
            if (Attribute(loader, "stateless") is not "yes")
                _arguments.Add("-drive", $"if=pflash,unit=1,format=raw,file={Escaped(os?.Element("nvram")?.Value.Trim() is { Length: > 0 } variables
                    ? variables : "nvram")}", LineOf(os?.Element("nvram") ?? os));
            // The firmware's own protection of its variables needs system management mode.
            if (Attribute(loader, "secure") is "yes")
                _arguments.Add("-global", "driver=cfi.pflash01,property=secure,value=on", LineOf(loader));
        }
        else
            _arguments.Add("-bios", path, LineOf(loader));
    }

    /// <summary>Which sleep states the guest may have: OVMF keeps RAM for a resume.</summary>
    private void AddPower()
    {
        XElement? power = domain.Element("pm");
        string board = _isQ35 ? "ICH9-LPC" : "PIIX4_PM";
        foreach ((string name, string property) in ((string, string)[])[("suspend-to-mem", "disable_s3"), ("suspend-to-disk", "disable_s4")])
        {
            if (Attribute(power?.Element(name), "enabled") is { } enabled)
                _arguments.Add("-global", $"{board}.{property}={(enabled == "no" ? 1 : 0)}", LineOf(power?.Element(name)));
        }
    }

    private void AddProcessor(bool isKvm)
    {
        XElement? cpu = domain.Element("cpu");
        XElement? width = cpu?.Element("maxphysaddr");
        string? model = cpu?.Element("model")?.Value.Trim();
        string text;
        switch (Attribute(cpu, "mode"))
        {
            case "host-passthrough":
                text = isKvm ? "host" : "max";
                break;
            case "maximum":
                text = "max";
                break;
            case "host-model":
                // libvirt writes a named model and its features: vendor and pages are the host's, the width is the machine type's.
                text = isKvm ? "host" : "max";
                _arguments.SetHostModel(isKvm);
                break;
            default:
                text = model is { Length: > 0 } ? Escaped(model) : "qemu64";
                break;
        }

        foreach (XElement feature in cpu?.Elements("feature") ?? [])
        {
            if (Attribute(feature, "name") == "pdpe1gb")
                text += Attribute(feature, "policy") is "disable" or "forbid" ? ",-pdpe1gb" : ",+pdpe1gb";
        }

        switch (Attribute(width, "mode"))
        {
            case "passthrough":
                text += ",host-phys-bits=on";
                if (Attribute(width, "limit") is { } limit)
                    text += $",host-phys-bits-limit={Escaped(limit)}";
                break;
            case "emulate":
                text += $",host-phys-bits=off,phys-bits={Escaped(Attribute(width, "bits") ?? "")}";
                break;
        }

        _arguments.Add("-cpu", text, LineOf(width ?? cpu));
    }

    // ------------------------------------------------------------------ what is handed through

    private void AddArguments()
    {
        foreach (XElement entry in domain.Elements("sysinfo").Where(static info => Attribute(info, "type") == "fwcfg").Elements("entry"))
        {
            if (Attribute(entry, "name") is { } reserved && (reserved.StartsWith("opt/ovmf/", StringComparison.Ordinal)
                || reserved.StartsWith("opt/org.seabios/", StringComparison.Ordinal)))
                _arguments.Remark($"line {LineOf(entry)}: libvirt refuses {InputError.Quote(reserved)} in <sysinfo> "
                    + "(\"That firmware name is reserved\"): it has to stand in <qemu:commandline>");
            if (Attribute(entry, "name") is { } name && Attribute(entry, "file") is null)
                _arguments.Add("-fw_cfg", $"name={Escaped(name)},string={Escaped(entry.Value.Trim())}", LineOf(entry));
        }

        var words = ImmutableArray.CreateBuilder<QemuWord>();
        foreach (XElement argument in domain.Elements(Qemu + "commandline").Elements(Qemu + "arg"))
            words.Add(new(Attribute(argument, "value") ?? "", LineOf(argument), NeedsShell: false));
        _arguments.Add(words.ToArray().AsSpan());
        foreach (XElement device in domain.Elements(Qemu + "override").Elements(Qemu + "device"))
        {
            foreach (XElement property in device.Elements(Qemu + "frontend").Elements(Qemu + "property"))
            {
                if (Attribute(device, "alias") is not { } alias || Attribute(property, "name") is not { } name)
                    continue;
                string value = Attribute(property, "value") ?? "";
                if (!_arguments.TrySet(alias, name, Attribute(property, "type") == "bool" ? value == "true" ? "on" : "off" : value))
                    _arguments.Remark(
                        $"line {LineOf(device)}: the device {InputError.Quote(alias)} of <qemu:override> is not known by that name, and "
                            + $"{InputError.Quote(name)} is not taken over");
            }
        }
    }

    // ------------------------------------------------------------------ XML

    private static string? Attribute(XElement? element, string name) => (string?)element?.Attribute(name);

    /// <summary>A number of libvirt's: decimal, hex with 0x. Null where there is none, or another text.</summary>
    private static int? Number(XElement? element, string name) =>
        Attribute(element, name) is { } text && XlNumber.Parse(text, out long value) == XlNumberKind.Valid && value is >= 0 and <= int.MaxValue
            ? (int)value : null;

    private static int LineOf(XElement? element) => element is IXmlLineInfo info && info.HasLineInfo() ? info.LineNumber : 0;

    /// <summary>A comma ends a property; two are one.</summary>
    private static string Escaped(string text) => text.Replace(",", ",,", StringComparison.Ordinal);

    private InputError Error(InputErrorCode code, XElement where, ErrorText what, string remedy) =>
        new(code, sourceName, LineOf(where) is > 0 and int line ? line : null, what, remedy);
}
