// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Text;
using System.Xml;
using System.Xml.Linq;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Guests;

/// <summary>Reads and writes libvirt's domain XML, as its libxl driver understands it.</summary>
/// <remarks>Source: libvirt's formatdomain.rst, domain_conf.c and libxl_conf.c.</remarks>
public static class LibvirtDomain
{
    /// <summary>Elements may be nested so deep. libvirt's own go to about ten; free-form metadata may go deeper.</summary>
    public const int MaxNesting = 128;

    /// <summary>What is read or looked through at each level; all else is carried along.</summary>
    private static readonly ImmutableArray<string> s_readOnTop = ["currentMemory", "devices", "features", "memory", "name", "os", "vcpu"];

    /// <summary>The guest, or what is wrong with its XML.</summary>
    public static Parsed<GuestDocument> Read(Stream stream, string sourceName)
    {
        if (!SmallInput.Read(stream, sourceName, XlConfig.MaxSizeBytes, XlConfig.Kind).TryGet(out SmallInput? input, out InputError? error))
            return error;
        return Read(input, sourceName);
    }

    /// <summary>The domain of a text that has nothing else in it.</summary>
    internal static Parsed<GuestDocument> Read(string xml, string sourceName)
    {
        if (!Load(xml, sourceName).TryGet(out XElement? domain, out InputError? error))
            return error;
        return new LibvirtGuest(sourceName, domain).Build();
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
            else if (!s_readOnTop.Contains(child.Name.LocalName))
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

    internal static Parsed<XElement> Load(string xml, string sourceName) =>
        Load(() => XmlReader.Create(new StringReader(xml), Settings()), () => xml, sourceName);

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
                        return InputError.TooLarge(
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
                return InputError.NotSupported(
                    sourceName, line ?? LineOf("<!DOCTYPE", text()), "a document type declaration (DTD)",
                    "remove it: libvirt's XML has none, and Keyhole reads none");
            int position = e.Message.LastIndexOf(" Line ", StringComparison.Ordinal);
            return InputError.Malformed(
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
