// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Hosts;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>
/// Gathers what a boot log of Xen or Linux says of the machine besides its memory map. What is said first counts; of addresses, all.
/// The kernel's max_arch_pfn is left out: it is a constant of the kernel, not of the processor.
/// </summary>
internal sealed class LogTraits
{
    /// <summary>Words of which one stands in every line that is looked at.</summary>
    public static readonly string[] Words =
        ["IOAPIC[", "dmaru->address", "reg_base_addr", "DRHD base", "mmio-addr", "CPU Vendor", "CPU0:", "ost address width", "bits physical", "RMRR ", "RMRR: [",
        "efi: EFI v", "EFI stub: "];

    /// <summary>More register pages than any machine has; a hostile log could name millions.</summary>
    public const int MaxPages = 256;

    private readonly SortedSet<ulong> _ioApics = [];
    private readonly SortedSet<ulong> _iommus = [];
    private readonly SortedSet<(ulong Start, ulong End)> _deviceMemory = [];
    private string? _vendor;
    private int? _family;
    private int? _addressBits;
    private int? _dmaAddressBits;
    private bool _isEfi;

    public void Read(ReadOnlySpan<char> line)
    {
        if (Behind(line, "IOAPIC[", out ReadOnlySpan<char> rest) && Behind(rest, "address ", out rest))
            AddPage(_ioApics, rest);
        else if (Behind(line, "dmaru->address = ", out rest) || Behind(line, "reg_base_addr ", out rest) || Behind(line, "mmio-addr: ", out rest))
            AddPage(_iommus, rest);
        else if (Behind(line, "DRHD base: ", out rest))
            AddPage(_iommus, rest);
        else if (Behind(line, "RMRR region: base_addr ", out rest) || Behind(line, "RMRR base: ", out rest))
            AddDeviceMemory(rest);
        else if (Behind(line, "RMRR: [", out rest) && !rest.StartsWith("0x", StringComparison.Ordinal))
            // With 0x it is another line of Xen's, that the region is not all reserved: it counts in frames.
            AddDeviceMemory(rest);
        else if (Behind(line, "CPU Vendor: ", out rest))
            ReadXenProcessor(rest);
        else if (Behind(line, "CPU0: ", out rest))
            ReadLinuxProcessor(rest);
        else if (Behind(line, "ost address width ", out rest))
            _dmaAddressBits ??= AddressBits(rest);
        else if (Behind(line, "efi: EFI v", out _) || Behind(line, "EFI stub: ", out _))
            // No line says that there is none.
            _isEfi = true;
        else if (Behind(line, "address sizes", out rest) || Behind(line, "Address sizes", out rest))
            _addressBits ??= AddressBits(rest.TrimStart(" \t:"));
    }

    public HostTraits ToTraits() => new()
    {
        IoApics = [.. _ioApics],
        Iommus = [.. _iommus],
        ReservedDeviceMemory = [.. _deviceMemory.Select(static range => PfnRange.FromBounds(Pfn.Containing(range.Start), Pfn.AtOrAbove(range.End)))],
        IsEfi = _isEfi ? true : null,
        CpuVendor = _vendor,
        CpuFamily = _family,
        // ACPI's host address width is that of the processor on every machine seen; what the processor says comes first.
        PhysicalAddressBits = _addressBits ?? _dmaAddressBits,
    };

    private static bool Behind(ReadOnlySpan<char> line, string mark, out ReadOnlySpan<char> rest)
    {
        int at = line.IndexOf(mark, StringComparison.Ordinal);
        rest = at < 0 ? default : line[(at + mark.Length)..];
        return at >= 0;
    }

    private static void AddPage(SortedSet<ulong> pages, ReadOnlySpan<char> text)
    {
        TextCursor cursor = new(text);
        cursor.TryText("0x");
        if (cursor.TryHex(out ulong address) && address != 0 && address < Frames.AddressLimit && pages.Count < MaxPages)
            pages.Add(address);
    }

    /// <summary>
    /// <c>7b800000,7f7fffff]</c> (Xen since 4.14), <c>7b800000 end_addr 7f7fffff</c> (before), <c>7b800000 end_address 7f7fffff</c> (up to
    /// 4.4) or <c>0x000000007b800000 end: 0x000000007f7fffff</c> (Linux): the end inclusive.
    /// </summary>
    private void AddDeviceMemory(ReadOnlySpan<char> text)
    {
        TextCursor cursor = new(text);
        cursor.TryText("0x");
        if (!cursor.TryHex(out ulong start))
            return;
        cursor.SkipBlanks();
        if (!cursor.TryText(",") && !cursor.TryText("end_address") && !cursor.TryText("end_addr") && !cursor.TryText("end:"))
            return;
        cursor.SkipBlanks();
        cursor.TryText("0x");
        if (cursor.TryHex(out ulong last) && start < last && last < Frames.AddressLimit && _deviceMemory.Count < MaxPages)
            _deviceMemory.Add((start, last + 1));
    }

    /// <summary><c>CPU Vendor: AMD, Family 23 (0x17), Model 8 (0x8), …</c></summary>
    private void ReadXenProcessor(ReadOnlySpan<char> text)
    {
        _vendor ??= VendorOf(text);
        if (Behind(text, "Family ", out ReadOnlySpan<char> rest) && new TextCursor(rest).TryDecimal(out uint family) && family <= 0x10e)
            _family ??= (int)family;
    }

    /// <summary><c>smpboot: CPU0: AMD EPYC … (family: 0x17, model: 0x31, …)</c>, before 4.0 <c>(fam: 06, model: 2a, …)</c>.</summary>
    private void ReadLinuxProcessor(ReadOnlySpan<char> text)
    {
        if (!Behind(text, "(fam", out ReadOnlySpan<char> rest) || !Behind(rest, ": ", out rest))
            return;
        _vendor ??= VendorOf(text);
        TextCursor cursor = new(rest);
        cursor.TryText("0x");
        if (cursor.TryHex(out ulong family) && family <= 0x10e)
            _family ??= (int)family;
    }

    private static string? VendorOf(ReadOnlySpan<char> text)
    {
        if (text.Contains("Intel", StringComparison.Ordinal))
            return "GenuineIntel";
        if (text.Contains("AMD", StringComparison.Ordinal))
            return "AuthenticAMD";
        return text.Contains("Hygon", StringComparison.Ordinal) ? "HygonGenuine" : null;
    }

    private static int? AddressBits(ReadOnlySpan<char> text) =>
        new TextCursor(text).TryDecimal(out uint bits) && bits is >= 32 and <= 52 ? (int)bits : null;
}
