// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Text;
using System.Xml;
using System.Xml.Linq;
using Keyhole.Diagnostics;
using Keyhole.Pci;
using Keyhole.Reading;

namespace Keyhole.Guests;

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
                return InputError.NotSupported(
                    SourceName, null, $"{InputError.Quote(text)} has a character that XML cannot hold",
                    "remove control characters and broken Unicode");
        }

        foreach (PciAssignment entry in guest.Pci)
        {
            if (entry.Address is null)
                return InputError.NotSupported(
                    SourceName, null, $"the PCI device named {InputError.Quote(entry.Name)} has no address, which libvirt needs",
                    "give its address, as xl pci-assignable-list shows it");
            if (entry.AllFunctions)
                return InputError.NotSupported(
                    SourceName, null, $"{entry.Address.Value.ToString()[..^1]}* is all functions of a device, for which libvirt has no form",
                    "name each function");
        }

        if (guest.MemoryKiB > guest.MaxmemKiB)
        {
            (string most, string memory) = ByteSize.ToTexts(guest.MaxmemKiB << 10, guest.MemoryKiB << 10);
            return InputError.Conflict(
                SourceName, null,
                $"maxmem ({most}) is below memory ({memory}): libvirt "
                    + $"would give the guest no more than maxmem",
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

    /// <summary>Leaves what <see cref="ForeignText"/> does not show in texts and attributes only, where a reference can stand for it. What cannot be
    /// written, or null.</summary>
    private static InputError? Visible(XElement domain)
    {
        foreach (XNode node in domain.DescendantNodesAndSelf().ToArray())
        {
            if (node is XComment comment)
                comment.Value = string.Concat(comment.Value.EnumerateRunes()
                    .Select(static rune => IsHidden(rune) ? $"{ForeignText.Hidden}" : rune.ToString()));
            else if (node is XProcessingInstruction)
                node.Remove();
            else if (node is XCData data && data.Value.EnumerateRunes().Any(IsHidden))
                data.ReplaceWith(new XText(data.Value));
            else if (node is XElement element && element.Attributes().Select(static attribute => attribute.Name.ToString())
                .Prepend(element.Name.ToString()).FirstOrDefault(HasHidden) is { } name)
                return InputError.NotSupported(SourceName, null, $"the name {InputError.Quote(name)} has a character that cannot be seen",
                    "leave it out of the guest's XML");
        }

        return null;
    }

    private static string References(string text) => HasHidden(text)
        ? string.Concat(text.EnumerateRunes()
            .Select(static rune => IsHidden(rune) ? string.Create(CultureInfo.InvariantCulture, $"&#x{rune.Value:x};") : rune.ToString()))
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
