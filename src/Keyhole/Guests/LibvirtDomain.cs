// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Xml;
using System.Xml.Linq;
using Keyhole.Diagnostics;
using Keyhole.Pci;
using Keyhole.Reading;

namespace Keyhole.Guests;

/// <summary>Reads and writes libvirt's domain XML, as its libxl driver understands it.</summary>
/// <remarks>Source: libvirt's formatdomain.rst, domain_conf.c and libxl_conf.c.</remarks>
public static class LibvirtDomain
{
    /// <summary>Elements may be nested so deep. libvirt's own go to about ten; free-form metadata may go deeper.</summary>
    public const int MaxNesting = 128;

    /// <summary>What is read or looked through at each level; all else is carried along.</summary>
    private static readonly ImmutableArray<string> ReadOnTop = ["currentMemory", "devices", "features", "memory", "name", "os", "vcpu"];

    public static Parsed<GuestDocument> Read(Stream stream, string sourceName)
    {
        if (!SmallInput.Read(stream, sourceName, XlConfig.MaxSizeBytes, XlConfig.Kind).TryGet(out SmallInput? input, out InputError? error))
            return error;
        return Read(input, sourceName);
    }

    internal static Parsed<GuestDocument> Read(SmallInput input, string sourceName)
    {
        Parsed<XElement> loaded = Load(() => XmlReader.Create(new MemoryStream(input.Bytes, writable: false), Settings()), input.Decode, sourceName);
        if (!loaded.TryGet(out XElement? domain, out InputError? error))
            return error;
        return new LibvirtGuest(sourceName, domain).Build();
    }

    /// <summary>The guest as domain XML: the one it was read from brought up to date, or a new one. The error says what libvirt cannot say.</summary>
    public static Parsed<GuestText> Write(GuestDocument document)
    {
        ArgumentNullException.ThrowIfNull(document);
        GuestSpec guest = document.Guest;
        XElement? domain;
        if (document.LibvirtXml is null)
            domain = new XElement("domain", new XAttribute("type", guest.Type == GuestType.Kvm ? "kvm" : "xen"));
        else if (!Load(document.LibvirtXml, "libvirt XML").TryGet(out domain, out InputError? error))
            return error;
        return new LibvirtWriter(domain, guest, document.OtherSettings).Write();
    }

    /// <summary>The domain of a text that was read as one; null where it is none.</summary>
    internal static XElement? TryLoad(string xml) => Load(xml, "").TryGet(out XElement? domain, out _) ? domain : null;

    /// <summary>The names of the elements that are carried along unread, for a remark; empty where there are none.</summary>
    internal static string Unread(string xml)
    {
        if (!Load(xml, "").TryGet(out XElement? domain, out _))
            return "";
        var names = new SortedSet<string>(StringComparer.Ordinal);
        foreach (XElement child in domain.Elements())
        {
            if (child.Name == "devices")
                names.UnionWith(child.Elements().Where(device => !IsPciAssignment(device)).Select(device => $"devices/{device.Name.LocalName}"));
            else if (!ReadOnTop.Contains(child.Name.LocalName))
                names.Add(child.Name.LocalName);
        }

        return string.Join(", ", names);
    }

    /// <summary>Whether a device is a PCI function of the host's: a hostdev, or a network interface that is one.</summary>
    internal static bool IsPciAssignment(XElement device) =>
        (device.Name == "hostdev" && (string?)device.Attribute("mode") is null or "subsystem" && (string?)device.Attribute("type") == "pci") ||
        (device.Name == "interface" && (string?)device.Attribute("type") == "hostdev" &&
            (string?)device.Element("source")?.Element("address")?.Attribute("type") is null or "pci");

    internal static string ToText(XElement domain)
    {
        var text = new StringBuilder();
        // Entitize keeps a carriage return in a text what it is; the document's own line ends are untouched.
        var settings = new XmlWriterSettings { OmitXmlDeclaration = true, NewLineHandling = NewLineHandling.Entitize, NewLineChars = "\n" };
        using (var writer = XmlWriter.Create(text, settings))
            domain.Save(writer);
        return text.Append('\n').ToString();
    }

    private static XmlReaderSettings Settings() => new()
    {
        DtdProcessing = DtdProcessing.Prohibit,
        XmlResolver = null,
        MaxCharactersInDocument = XlConfig.MaxSizeBytes,
        MaxCharactersFromEntities = 1024,
    };

    internal static Parsed<XElement> Load(string xml, string sourceName) => Load(() => XmlReader.Create(new StringReader(xml), Settings()), () => xml, sourceName);

    /// <summary>Loads the root element. The first pass only counts: a tree of hostile depth must not be built.</summary>
    /// <param name="text">The document, asked for only where an error needs it.</param>
    private static Parsed<XElement> Load(Func<XmlReader> open, Func<string> text, string sourceName)
    {
        try
        {
            using (XmlReader reader = open())
            {
                while (reader.Read())
                {
                    if (reader.Depth > MaxNesting)
                        return new InputError(
                            sourceName, ((IXmlLineInfo)reader).LineNumber, $"elements nested more than {MaxNesting} deep",
                            "check that this is a libvirt domain");
                }
            }

            using XmlReader second = open();
            second.MoveToContent();
            return XElement.Load(second, LoadOptions.PreserveWhitespace | LoadOptions.SetLineInfo);
        }
        catch (XmlException e)
        {
            int? line = e.LineNumber > 0 ? e.LineNumber : null;
            if (e.Message.Contains("DTD", StringComparison.Ordinal))
                return new InputError(
                    sourceName, line ?? LineOf("<!DOCTYPE", text()), "a document type declaration (DTD)",
                    "remove it: libvirt's XML has none, and Keyhole reads none");
            int position = e.Message.LastIndexOf(" Line ", StringComparison.Ordinal);
            return new InputError(
                sourceName, line, $"no well-formed XML: {InputError.Quote(position < 0 ? e.Message : e.Message.AsSpan(0, position))}",
                "write it with virsh dumpxml");
        }
    }

    /// <summary>The exception for a forbidden DTD does not know where it stands.</summary>
    private static int? LineOf(string start, string text)
    {
        int position = text.IndexOf(start, StringComparison.Ordinal);
        return position < 0 ? null : 1 + text.AsSpan(0, position).Count('\n');
    }
}

/// <summary>What libvirt's libxl driver makes of a domain.</summary>
internal sealed class LibvirtGuest(string sourceName, XElement domain)
{
    private readonly List<string> _remarks = [];
    private InputError? _error;

    public Parsed<GuestDocument> Build()
    {
        if (domain.Name != "domain")
            return Error(domain, $"the document is a <{domain.Name.LocalName}>, not a domain", "write it with virsh dumpxml GUEST");
        if ((string?)domain.Attribute("type") is not ("xen" or "kvm" or "qemu"))
            return Error(
                domain, $"a domain of type {InputError.Quote((string?)domain.Attribute("type") ?? "")}, neither Xen's nor QEMU's",
                "give a domain with type='xen' or 'kvm'");
        GuestType type = ReadType();
        (ulong memoryKiB, ulong maxmemKiB) = ReadMemory();
        int vcpus = ReadVcpus();
        bool? e820Host = ReadE820Host();
        ImmutableArray<PciAssignment> pci = ReadPci();
        if (_error is not null)
            return _error;
        XElement? os = domain.Element("os");
        var guest = new GuestSpec
        {
            Name = Text(domain.Element("name")),
            Type = type,
            Toolstack = Toolstack.Libvirt,
            MemoryKiB = memoryKiB,
            MaxmemKiB = maxmemKiB,
            E820Host = e820Host,
            Pci = pci,
            Vcpus = vcpus,
            Kernel = Text(os?.Element("kernel")),
            Ramdisk = Text(os?.Element("initrd")),
            CommandLine = Text(os?.Element("cmdline")),
            Hvm = HvmSettings.Of(LibvirtHvm.Of(domain)),
        };
        if (!pci.IsEmpty && !guest.UsesHostMap && type == GuestType.Pv)
        {
            _remarks.Add(
                "the guest has PCI devices without <features><xen><e820_host state='on'/>: libvirt does not turn it on by itself, as xl does, " +
                "and Linux needs it to reach the devices");
        }

        if (e820Host == true && type != GuestType.Pv)
            _remarks.Add("e820_host is for PV guests; libxl does not read it for others");
        var document = new GuestDocument { Guest = guest, LibvirtXml = LibvirtDomain.ToText(domain), Remarks = [.. _remarks] };
        return type == GuestType.Kvm ? new LibvirtMachine(sourceName, domain).Build(document) : document;
    }

    private GuestType ReadType()
    {
        if (TypeOf(domain) is { } known)
            return known;
        return domain.Element("os")?.Element("type") is { } type
            ? Fail<GuestType>(type, $"<os><type> {InputError.Quote(type.Value.Trim())} is not one that Xen runs", "write linux, xenpvh or hvm")
            : Fail<GuestType>(domain.Element("os") ?? domain, "no <os><type>", "add <os><type machine='xenpv'>linux</type></os>, or xenpvh or hvm");
    }

    /// <summary>The type that the domain has; with a bootloader it need not say. Null where there is none, or none of Xen's.</summary>
    internal static GuestType? TypeOf(XElement domain)
    {
        if (domain.Element("os")?.Element("type") is not { } type)
            return domain.Element("bootloader") is null ? null : GuestType.Pv;
        return type.Value.Trim() switch
        {
            "xenpvh" => GuestType.Pvh,
            "linux" or "xen" => GuestType.Pv,
            "hvm" when (string?)domain.Attribute("type") is "kvm" or "qemu" => GuestType.Kvm,
            "hvm" => (string?)type.Attribute("machine") == "xenpvh" ? GuestType.Pvh : GuestType.Hvm,
            _ => null,
        };
    }

    /// <summary>In libvirt <c>memory</c> is the maximum and <c>currentMemory</c> what the guest starts with.</summary>
    private (ulong MemoryKiB, ulong MaxmemKiB) ReadMemory()
    {
        ulong? maxmemKiB = MemoryOf("memory");
        ulong memoryKiB = MemoryOf("currentMemory") ?? 0;
        if (maxmemKiB is null or 0 && _error is null)
            return (Fail<ulong>(domain.Element("memory") ?? domain, maxmemKiB is null ? "no <memory>" : "<memory> is 0", "add <memory unit='MiB'>…</memory>"), 0);
        if (memoryKiB > maxmemKiB)
            _remarks.Add("currentMemory is more than memory; libvirt makes it the same");
        if (memoryKiB == 0 || memoryKiB > maxmemKiB)
            memoryKiB = maxmemKiB ?? 0;
        return (memoryKiB, maxmemKiB ?? 0);
    }

    private ulong? MemoryOf(string name)
    {
        if (domain.Element(name) is not { } element)
            return null;
        string unit = (string?)element.Attribute("unit") ?? "";
        if (!MemoryUnit.TryGetSize(unit, out ulong unitBytes))
            return Fail<ulong>(element, $"<{name}> in the unit {InputError.Quote(unit)}, which libvirt does not know", "write KiB, MiB or GiB");
        ReadOnlySpan<char> text = element.Value.AsSpan().Trim();
        if (!MemoryUnit.TryRead(text, unitBytes, out UInt128 sizeBytes))
            return Fail<ulong>(element, $"<{name}> {InputError.Quote(text)} is not a number", "give a whole number in decimal");
        if (sizeBytes > (UInt128)XlConfig.MaxMemoryKiB * 1024)
            return Fail<ulong>(element, $"<{name}> {InputError.Quote(text)} is more than 52 address bits reach", "check the number and its unit");
        ulong sizeKiB = (ulong)MemoryUnit.RoundToKiB(sizeBytes);
        if (sizeKiB != sizeBytes / 1024)
            _remarks.Add($"<{name}> is {sizeBytes / 1024} KiB; libvirt rounds it up to {sizeKiB / 1024} MiB for Xen");
        return sizeKiB;
    }

    private int ReadVcpus()
    {
        if (domain.Element("vcpu") is not { } element)
            return 1;
        string text = (string?)element.Attribute("current") ?? element.Value.Trim();
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int vcpus) && vcpus is > 0 and <= XlConfig.MaxVcpus
            ? vcpus
            : Fail<int>(element, $"<vcpu> {InputError.Quote(text)} is no number of processors", $"give a number from 1 to {XlConfig.MaxVcpus}");
    }

    private bool? ReadE820Host()
    {
        if (domain.Element("features")?.Element("xen")?.Element("e820_host") is not { } element)
            return null;
        return (string?)element.Attribute("state") switch
        {
            "on" => true,
            "off" => false,
            string other => Fail<bool>(element, $"<e820_host> has the state {InputError.Quote(other)}", "write state='on' or state='off'"),
            null => Fail<bool>(element, "<e820_host> has no state", "write state='on' or state='off'"),
        };
    }

    private ImmutableArray<PciAssignment> ReadPci()
    {
        var pci = ImmutableArray.CreateBuilder<PciAssignment>();
        foreach (XElement device in domain.Elements("devices").Elements().Where(LibvirtDomain.IsPciAssignment))
        {
            XElement? source = device.Element("source");
            if (AddressOf(device) is not { } address)
            {
                Fail<bool>(
                    source ?? device, "a PCI device without a valid <source><address>",
                    "give domain, bus, slot and function as numbers, such as bus='0x03' slot='0x00' function='0x0'");
                return [];
            }

            pci.Add(new PciAssignment(address)
            {
                Seize = YesNo((string?)device.Attribute("managed")),
                Permissive = YesNo((string?)source?.Attribute("writeFiltering")) is { } filtering ? !filtering : null,
            });
        }

        return pci.DrainToImmutable();
    }

    /// <summary>The host's address of an assigned device: each part hex with 0x, octal with 0, or decimal; the domain may be missing.</summary>
    internal static PciAddress? AddressOf(XElement device)
    {
        if (device.Element("source")?.Element("address") is not { } address)
            return null;
        if (Part("domain", 0) is { } domain and <= 0xffff && Part("bus", null) is { } bus and <= 0xff &&
            Part("slot", null) is { } slot and <= 0x1f && Part("function", 0) is { } function and <= 7 &&
            PciAddress.TryParse($"{domain:x4}:{bus:x2}:{slot:x2}.{function:x}", out PciAddress found))
        {
            return found;
        }

        return null;

        ulong? Part(string name, ulong? missing) => (string?)address.Attribute(name) is not { } text ? missing
            : XlNumber.Parse(text, out long number) == XlNumberKind.Valid && number >= 0 ? (ulong)number
            : null;
    }

    private static bool? YesNo(string? text) => text switch
    {
        "yes" => true,
        "no" => false,
        _ => null,
    };

    private static string? Text(XElement? element) => element is null || element.Value.Length == 0 ? null : element.Value;

    private T Fail<T>(XElement where, string what, string remedy)
        where T : struct
    {
        _error ??= Error(where, what, remedy);
        return default;
    }

    private InputError Error(XElement where, string what, string remedy) =>
        new(sourceName, ((IXmlLineInfo)where).HasLineInfo() ? ((IXmlLineInfo)where).LineNumber : null, what, remedy);
}

/// <summary>Brings a domain's XML into line with a guest and leaves all else as it is.</summary>
internal sealed class LibvirtWriter(XElement domain, GuestSpec guest, ImmutableArray<GuestSetting> otherSettings)
{
    private const string SourceName = "libvirt XML";
    private readonly List<string> _remarks = [];

    public Parsed<GuestText> Write()
    {
        foreach (string? text in (ReadOnlySpan<string?>)[guest.Name, guest.Kernel, guest.Ramdisk, guest.CommandLine])
        {
            if (text is not null && !IsXmlText(text))
                return new InputError(
                    SourceName, null, $"{InputError.Quote(text)} has a character that XML cannot hold",
                    "remove control characters and broken Unicode");
        }

        foreach (PciAssignment entry in guest.Pci)
        {
            if (entry.Address is null)
                return new InputError(
                    SourceName, null, $"the PCI device named {InputError.Quote(entry.Name)} has no address, which libvirt needs",
                    "give its address, as xl pci-assignable-list shows it");
            if (entry.AllFunctions)
                return new InputError(
                    SourceName, null, $"{entry.Address.Value.ToString()[..^1]}* is all functions of a device, for which libvirt has no form",
                    "name each function");
        }

        if (guest.MemoryKiB > guest.MaxmemKiB)
        {
            return new InputError(
                SourceName, null, $"maxmem ({ByteSize.ToText(guest.MaxmemKiB << 10)}) is below memory ({ByteSize.ToText(guest.MemoryKiB << 10)}): libvirt would give the guest no more than maxmem",
                "set maxmem to memory or more, or leave it out");
        }

        if (guest.Name is null)
            _remarks.Add("the guest has no name, which libvirt insists on: \"guest\" was put in");
        Set(domain, "name", guest.Name ?? "guest");
        SetMemory("memory", guest.MaxmemKiB);
        SetMemory("currentMemory", guest.MemoryKiB);
        SetVcpus();
        SetOs();
        SetE820Host();
        SetPci();
        if (!otherSettings.IsEmpty)
        {
            var keys = new SortedSet<string>(otherSettings.Select(setting => setting.Key), StringComparer.Ordinal);
            _remarks.Add($"left out, as they are xl's: {string.Join(", ", keys)}");
        }

        if (Visible(domain) is { } hidden)
            return hidden;
        return new GuestText(References(LibvirtDomain.ToText(domain)), [.. _remarks]);
    }

    /// <summary>Leaves what <see cref="ForeignText"/> does not show in texts and attributes only, where a reference can stand for it. What cannot be written, or null.</summary>
    private static InputError? Visible(XElement domain)
    {
        foreach (XNode node in domain.DescendantNodesAndSelf().ToArray())
        {
            if (node is XComment comment)
                comment.Value = string.Concat(comment.Value.EnumerateRunes().Select(static rune => IsHidden(rune) ? $"{ForeignText.Hidden}" : rune.ToString()));
            else if (node is XProcessingInstruction)
                node.Remove();
            else if (node is XCData data && data.Value.EnumerateRunes().Any(IsHidden))
                data.ReplaceWith(new XText(data.Value));
            else if (node is XElement element && element.Attributes().Select(static attribute => attribute.Name.ToString()).Prepend(element.Name.ToString()).FirstOrDefault(HasHidden) is { } name)
                return new InputError(SourceName, null, $"the name {InputError.Quote(name)} has a character that cannot be seen", "leave it out of the guest's XML");
        }

        return null;
    }

    private static string References(string text) => HasHidden(text)
        ? string.Concat(text.EnumerateRunes().Select(static rune => IsHidden(rune) ? string.Create(CultureInfo.InvariantCulture, $"&#x{rune.Value:x};") : rune.ToString()))
        : text;

    private static bool HasHidden(string text) => text.EnumerateRunes().Any(IsHidden);

    private static bool IsHidden(Rune rune) => rune.Value is not ('\n' or '\t' or '\r') && ForeignText.IsHidden(rune);

    private static bool IsXmlText(string text)
    {
        foreach (Rune rune in text.EnumerateRunes())
        {
            // An unpaired surrogate comes out of the enumeration as U+FFFD.
            if (rune.Value is SmallInput.Undecodable || (rune.IsBmp && !XmlConvert.IsXmlChar((char)rune.Value)))
                return false;
        }

        return true;
    }

    private void SetMemory(string name, ulong sizeKiB)
    {
        XElement element = Ensure(domain, name);
        // A size that is right stays as it was put, whatever its unit.
        if (MemoryUnit.TryGetSize((string?)element.Attribute("unit") ?? "", out ulong unitBytes) &&
            MemoryUnit.TryRead(element.Value, unitBytes, out UInt128 sizeBytes) &&
            sizeBytes <= ulong.MaxValue && MemoryUnit.RoundToKiB(sizeBytes) == sizeKiB)
        {
            return;
        }

        element.SetAttributeValue("unit", "KiB");
        element.Value = sizeKiB.ToString(CultureInfo.InvariantCulture);
    }

    private void SetVcpus()
    {
        XElement element = Ensure(domain, "vcpu");
        string text = guest.Vcpus.ToString(CultureInfo.InvariantCulture);
        if (element.Attribute("current") is not { } current)
        {
            element.Value = text;
            return;
        }

        current.Value = text;
        if (!int.TryParse(element.Value, NumberStyles.None, CultureInfo.InvariantCulture, out int most) || most < guest.Vcpus)
            element.Value = text;
    }

    private void SetOs()
    {
        XElement os = Ensure(domain, "os");
        if (LibvirtGuest.TypeOf(domain) != guest.Type)
        {
            (string machine, string name) = guest.Type switch
            {
                GuestType.Pv => ("xenpv", "linux"),
                GuestType.Pvh => ("xenpvh", "xenpvh"),
                GuestType.Hvm => ("xenfv", "hvm"),
                GuestType.Kvm => ("q35", "hvm"),
            };
            domain.SetAttributeValue("type", guest.Type == GuestType.Kvm ? "kvm" : "xen");
            XElement type = Ensure(os, "type");
            if (type.Attribute("arch") is null)
                type.SetAttributeValue("arch", "x86_64");
            type.SetAttributeValue("machine", machine);
            type.Value = name;
        }

        Set(os, "kernel", guest.Kernel);
        Set(os, "initrd", guest.Ramdisk);
        Set(os, "cmdline", guest.CommandLine);
    }

    private void SetE820Host()
    {
        bool? wanted = guest.E820Host;
        if (guest.UsesHostMap && wanted != true)
        {
            wanted = true;
            _remarks.Add("e820_host is on, as xl turns it on for PCI devices and libvirt does not");
        }

        XElement? element = domain.Element("features")?.Element("xen")?.Element("e820_host");
        if (wanted is null)
        {
            if (element is not null)
                Remove(element);
            return;
        }

        element ??= Ensure(Ensure(Ensure(domain, "features"), "xen"), "e820_host");
        element.SetAttributeValue("state", wanted.Value ? "on" : "off");
    }

    private void SetPci()
    {
        var missing = new List<PciAssignment>(guest.Pci);
        foreach (XElement device in domain.Elements("devices").Elements().Where(LibvirtDomain.IsPciAssignment).ToList())
        {
            int index = missing.FindIndex(entry => entry.Address == LibvirtGuest.AddressOf(device));
            if (index < 0)
            {
                Remove(device);
                continue;
            }

            SetFlags(device, missing[index]);
            missing.RemoveAt(index);
        }

        if (guest.Pci.Any(entry => (entry.VirtualSlot, entry.MsiTranslate, entry.PowerManagement, entry.RdmPolicy) != (null, null, null, null)))
            _remarks.Add("left out, as libvirt has no form for them: the virtual slot, msitranslate, power_mgmt and rdm_policy of PCI devices");
        if (missing.Count == 0)
            return;
        XElement devices = Ensure(domain, "devices");
        foreach (PciAssignment entry in missing)
        {
            PciAddress address = entry.Address!.Value;
            XElement device = Add(devices, new XElement("hostdev", new XAttribute("mode", "subsystem"), new XAttribute("type", "pci")));
            XElement source = Add(device, new XElement("source"));
            Add(source, new XElement(
                "address",
                new XAttribute("domain", $"0x{address.Domain:x4}"),
                new XAttribute("bus", $"0x{address.Bus:x2}"),
                new XAttribute("slot", $"0x{address.Device:x2}"),
                new XAttribute("function", $"0x{address.Function:x}")));
            SetFlags(device, entry);
        }
    }

    private static void SetFlags(XElement device, PciAssignment entry)
    {
        device.SetAttributeValue("managed", entry.Seize is { } managed ? (managed ? "yes" : "no") : null);
        device.Element("source")?.SetAttributeValue("writeFiltering", entry.Permissive is { } permissive ? (permissive ? "no" : "yes") : null);
    }

    private static void Set(XElement parent, string name, string? value)
    {
        XElement? element = parent.Element(name);
        if (value is null)
        {
            if (element is not null)
                Remove(element);
        }
        else if (value.Contains('\n', StringComparison.Ordinal))
        {
            (element ?? Ensure(parent, name)).ReplaceNodes(new OneLineText(value));
        }
        else if (element is null || element.Value != value)
        {
            (element ?? Ensure(parent, name)).Value = value;
        }
    }

    /// <summary>A text whose line ends are written as references: what stands behind one begins no line of the file.</summary>
    private sealed class OneLineText(string text) : XText(text)
    {
        public override void WriteTo(XmlWriter writer)
        {
            string[] lines = Value.Split('\n');
            writer.WriteString(lines[0]);
            foreach (string line in lines.AsSpan(1))
            {
                writer.WriteCharEntity('\n');
                writer.WriteString(line);
            }
        }
    }

    private static XElement Ensure(XElement parent, string name) => parent.Element(name) ?? Add(parent, new XElement(name));

    /// <summary>Puts an element last, on a line of its own, indented as libvirt does.</summary>
    private static XElement Add(XElement parent, XElement child)
    {
        string indent = "\n" + new string(' ', 2 * parent.AncestorsAndSelf().Count());
        if (parent.LastNode is XText text && text.Value.AsSpan().Trim().IsEmpty)
            text.Remove();
        parent.Add(new XText(indent), child, new XText(indent[..^2]));
        return child;
    }

    private static void Remove(XElement element)
    {
        if (element.PreviousNode is XText text && text.Value.AsSpan().Trim().IsEmpty)
            text.Remove();
        element.Remove();
    }
}
