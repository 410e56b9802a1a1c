// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Xml;
using System.Xml.Linq;
using Keyhole.Diagnostics;
using Keyhole.Pci;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Guests;

/// <summary>What libvirt's libxl driver makes of a domain.</summary>
internal sealed class LibvirtGuest(string sourceName, XElement domain)
{
    private readonly List<string> _remarks = [];
    private InputError? _error;

    public Parsed<GuestDocument> Build()
    {
        if (domain.Name != "domain")
            return Error(NothingInIt, domain, $"the document is a <{domain.Name.LocalName}>, not a domain", "write it with virsh dumpxml GUEST");
        const string domains = "give a domain with type='xen' or 'kvm'";
        if ((string?)domain.Attribute("type") is not { } hypervisor)
            return Error(NotSupported, domain, "a domain without a type", domains);
        if (hypervisor is not ("xen" or "kvm" or "qemu"))
            return Error(NotSupported, domain, $"a domain of type {InputError.Quote(hypervisor)}, neither Xen's nor QEMU's", domains);
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
            HasBootloader = domain.Element("bootloader") is not null,
            Hvm = HvmSettings.Of(LibvirtHvm.Of(domain)),
        };
        if (!pci.IsEmpty && !guest.UsesHostMap && type == GuestType.Pv)
        {
            _remarks.Add(
                "the guest has PCI devices without <features><xen><e820_host state='on'/>: libvirt does not turn it on by itself, as xl does, " +
                "and Linux needs it to reach the devices");
        }

        var document = new GuestDocument { Guest = guest, LibvirtXml = LibvirtDomain.ToText(domain), Remarks = [.. _remarks] };
        return type == GuestType.Kvm ? new LibvirtMachine(sourceName, domain).Build(document) : document;
    }

    private GuestType ReadType()
    {
        if (TypeOf(domain) is { } known)
            return known;
        bool isXen = (string?)domain.Attribute("type") == "xen";
        return domain.Element("os")?.Element("type") is { } type
            ? Fail<GuestType>(UnknownWord, type, $"<os><type> {InputError.Quote(type.Value.Trim())} is not one that {(isXen ? "Xen" : "QEMU")} runs",
                isXen ? "write linux, xenpvh or hvm" : "write hvm")
            : Fail<GuestType>(Missing, domain.Element("os") ?? domain, "no <os><type>",
                isXen ? "add <os><type machine='xenpv'>linux</type></os>, or xenpvh or hvm"
                    : "add <os><type arch='x86_64' machine='q35'>hvm</type></os>, or with machine='pc'");
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
            return (Fail<ulong>(maxmemKiB is null ? Missing : OutOfRange, domain.Element("memory") ?? domain,
                maxmemKiB is null ? "no <memory>" : "<memory> is 0",
                "add <memory unit='MiB'>…</memory>"), 0);
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
            return Fail<ulong>(UnknownWord, element, $"<{name}> in the unit {InputError.Quote(unit)}, which libvirt does not know",
                "write KiB, MiB or GiB");
        ReadOnlySpan<char> text = element.Value.AsSpan().Trim();
        if (!MemoryUnit.TryRead(text, unitBytes, out UInt128 sizeBytes))
            return Fail<ulong>(Malformed, element, $"<{name}> {InputError.Quote(text)} is not a number", "give a whole number in decimal");
        if (sizeBytes > (UInt128)XlConfig.MaxMemoryKiB * 1024)
            return Fail<ulong>(OutOfRange, element, $"<{name}> {InputError.Quote(text)} is more than 52 address bits reach",
                "check the number and its unit");
        ulong sizeKiB = (ulong)MemoryUnit.RoundToKiB(sizeBytes);
        if (sizeKiB != sizeBytes / 1024)
            _remarks.Add($"<{name}> is {sizeBytes / 1024} KiB; libvirt rounds it up to {sizeKiB / 1024} MiB");
        return sizeKiB;
    }

    private int ReadVcpus()
    {
        if (domain.Element("vcpu") is not { } element)
            return 1;
        string text = (string?)element.Attribute("current") ?? element.Value.Trim();
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int vcpus) && vcpus is > 0 and <= XlConfig.MaxVcpus
            ? vcpus
            : Fail<int>(OutOfRange, element, $"<vcpu> {InputError.Quote(text)} is not a valid number of processors",
                $"give a number from 1 to {XlConfig.MaxVcpus}");
    }

    private bool? ReadE820Host()
    {
        if (domain.Element("features")?.Element("xen")?.Element("e820_host") is not { } element)
            return null;
        return (string?)element.Attribute("state") switch
        {
            "on" => true,
            "off" => false,
            string other => Fail<bool>(UnknownWord, element, $"<e820_host> has the state {InputError.Quote(other)}",
                "write state='on' or state='off'"),
            null => Fail<bool>(Missing, element, "<e820_host> has no state", "write state='on' or state='off'"),
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
                    Malformed, source ?? device, "a PCI device without a valid <source><address>",
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

    private T Fail<T>(InputErrorCode code, XElement where, ErrorText what, string remedy)
        where T : struct
    {
        _error ??= Error(code, where, what, remedy);
        return default;
    }

    private InputError Error(InputErrorCode code, XElement where, ErrorText what, string remedy) =>
        new(code, sourceName, ((IXmlLineInfo)where).HasLineInfo() ? ((IXmlLineInfo)where).LineNumber : null, what, remedy);
}
