// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Xml.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <content>Memory and processors, and what libvirt itself refuses of them.</content>
/// <remarks>Source: libvirt's domain_postparse.c, domain_validate.c, qemu_domain.c and qemu_validate.c of 7.0 and 11.3.</remarks>
internal sealed partial class LibvirtMachine
{
    private const ulong GiBInKiB = 1UL << 20;

    private void AddMemory()
    {
        XElement? memory = domain.Element("memory");
        XElement[] modules = [.. Devices("memory").Where(static module => Attribute(module, "model") != "sgx-epc")];
        ulong totalKiB = SizeKiB(memory);
        ulong moduleKiB = 0;
        foreach (XElement module in modules)
            moduleKiB += Math.Min(SizeKiB(module.Element("target")?.Element("size")), XlConfig.MaxMemoryKiB);
        ulong cellKiB = 0;
        foreach (XElement cell in domain.Elements("cpu").Elements("numa").Elements("cell"))
            cellKiB += Math.Min(SizeKiB(cell, "memory"), XlConfig.MaxMemoryKiB);
        if (cellKiB > 0 && cellKiB + moduleKiB != totalKiB)
        {
            (string cells, string told) = ByteSize.ToTexts((cellKiB + moduleKiB) << 10, totalKiB << 10);
            string with = moduleKiB > 0 ? " with the modules" : "";
            _arguments.Remark($"<memory> is {told}, and the cells of <numa>{with} are {cells}: libvirt takes that, when the guest is defined");
            totalKiB = cellKiB + moduleKiB;
        }

        ulong sizeKiB = totalKiB - Math.Min(totalKiB, moduleKiB);
        XElement? most = domain.Element("maxMemory");
        ulong mostKiB = SizeKiB(most);
        int slots = most is null ? 0 : Number(most, "slots") ?? 0;
        Refuse(MemoryRefusal(modules, totalKiB, moduleKiB, mostKiB, slots));
        string text = string.Create(CultureInfo.InvariantCulture, $"size={sizeKiB}K");
        if (most is not null && mostKiB >= sizeKiB)
            text += string.Create(CultureInfo.InvariantCulture, $",slots={Escaped(Attribute(most, "slots") ?? "0")},maxmem={mostKiB}K");
        _arguments.Add("-m", text, LineOf(memory));
        // Without a size it is the host's default, which stands nowhere here.
        if (domain.Element("memoryBacking")?.Element("hugepages")?.Elements("page").ToArray() is [var page]
            && page.Attribute("nodeset") is null && MemoryUnit.TryGetSize(Attribute(page, "unit") ?? "", out ulong unit)
            && MemoryUnit.TryRead(Attribute(page, "size"), unit, out UInt128 pageBytes) && pageBytes > 0 && pageBytes <= 1UL << 40)
            _arguments.SetHugePages((ulong)pageBytes);
    }

    private void Refuse(StartRefusal? refusal)
    {
        if (refusal is not null)
            _arguments.Refuse(refusal);
    }

    private static StartRefusal? MemoryRefusal(XElement[] modules, ulong totalKiB, ulong moduleKiB, ulong mostKiB, int slots)
    {
        if (moduleKiB > totalKiB)
            return New("Total size of memory devices exceeds the total memory size", "<memory> counts them in");
        int needed = modules.Count(static module => Attribute(module, "model") is "dimm" or "nvdimm");
        // Whole GiB, for the room is easier to see so.
        ulong roomKiB = Math.Max(mostKiB, (totalKiB + GiBInKiB - 1) / GiBInKiB * GiBInKiB);
        StartRefusal? refusal = mostKiB != 0 && mostKiB < totalKiB
                ? New("maximum memory size must be equal or greater than the actual memory size", "<memory> counts the modules in")
            : modules.Length > 0 && mostKiB == 0 && slots == 0
                ? New("cannot use/hotplug a memory device when domain 'maxMemory' is not defined")
            : SlotRefusal(modules, slots) ?? (needed > slots ? New(string.Create(CultureInfo.InvariantCulture,
                $"count of memory devices requiring memory slots '{needed}' exceeds slots count '{slots}'")) : null);
        int enough = Math.Max(Math.Max(needed, slots), SlotsOf(modules).DefaultIfEmpty(-1).Max() + 1);
        return refusal is null || enough > 256 || HasTwins(modules) ? refusal : refusal with
        {
            Remedy = string.Create(CultureInfo.InvariantCulture, $"write <maxMemory slots='{enough}' unit='GiB'>{roomKiB / GiBInKiB}</maxMemory>"),
            Room = (enough, roomKiB / GiBInKiB * GiBInKiB << 10),
        };
    }

    private static StartRefusal? SlotRefusal(XElement[] modules, int slots)
    {
        var taken = new HashSet<int>();
        foreach (int slot in SlotsOf(modules))
        {
            if (!taken.Add(slot))
            {
                return New(string.Create(CultureInfo.InvariantCulture,
                    $"memory device slot '{slot}' is already being used by another memory device"));
            }
        }

        foreach (int slot in SlotsOf(modules))
        {
            if (slot >= slots)
                return New(string.Create(CultureInfo.InvariantCulture, $"memory device slot '{slot}' exceeds slots count '{slots}'"));
        }

        return null;
    }

    private static bool HasTwins(XElement[] modules) => SlotsOf(modules).Count() != SlotsOf(modules).Distinct().Count();

    private static IEnumerable<int> SlotsOf(XElement[] modules) => modules
        .Select(static module => module.Elements("address").FirstOrDefault(static address => Attribute(address, "type") == "dimm"))
        .Select(static address => address is null ? null : Number(address, "slot")).OfType<int>();

    private static StartRefusal New(string words, string cause = "") =>
        new("libvirt", words, cause) { IsOfCommand = true };

    /// <summary>A size of libvirt's in KiB, rounded up to whole MiB as its QEMU driver does.</summary>
    /// <param name="attribute">The attribute that the number stands in; null for the element's text.</param>
    private ulong SizeKiB(XElement? element, string? attribute = null)
    {
        if (element is null || (attribute is not null && Attribute(element, attribute) is null))
            return 0;
        string text = attribute is null ? element.Value : Attribute(element, attribute)!;
        if (MemoryUnit.TryGetSize(Attribute(element, "unit") ?? "", out ulong unit) && MemoryUnit.TryRead(text, unit, out UInt128 sizeBytes)
            && sizeBytes <= (UInt128)XlConfig.MaxMemoryKiB * 1024)
        {
            return (ulong)MemoryUnit.RoundToKiB(sizeBytes);
        }

        _error ??= Error(InputErrorCode.Malformed, element, $"<{element.Name.LocalName}> {InputError.Quote(text.Trim())} is not a size",
            "give a whole number, with a unit of libvirt's");
        return 0;
    }

    /// <summary>libvirt always names the sockets: one for each processor where the domain has no topology.</summary>
    private string Processors(int vcpus, string machine)
    {
        int most = TryCount(domain.Element("vcpu")?.Value, out int all) ? Math.Max(all, vcpus) : vcpus;
        XElement? topology = domain.Element("cpu")?.Element("topology");
        int sockets = TryCount((string?)topology?.Attribute("sockets"), out int named) ? named : most;
        long product = sockets;
        foreach (string level in (ReadOnlySpan<string>)["dies", "clusters", "cores", "threads"])
            product = Math.Min(int.MaxValue, product * (TryCount((string?)topology?.Attribute(level), out int count) ? count : 1));
        const int mostOnPc = 255;
        Refuse(most > mostOnPc && machine.StartsWith("pc", StringComparison.Ordinal) && !_isQ35
                ? New($"Maximum CPUs greater than specified machine type limit {mostOnPc}")
            : named > 0 && product != most ? New("CPU topology doesn't match maximum vcpu count", string.Create(CultureInfo.InvariantCulture,
                $"<vcpu> is {most}, and sockets, dies, clusters, cores and threads of <topology> make {product}")) : null);
        return string.Create(CultureInfo.InvariantCulture, $"{vcpus},maxcpus={most},sockets={sockets}");

        static bool TryCount(string? text, out int count) =>
            int.TryParse(text?.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out count) && count is > 0 and <= 8192;
    }
}
