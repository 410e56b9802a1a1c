// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Hosts;
using Keyhole.Pci;
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
    [
        "IOAPIC[", "dmaru->address", "reg_base_addr", "DRHD base", "mmio-addr", "CPU Vendor", "CPU0:", "ost address width", "bits physical", "RMRR ",
        "RMRR: [", "IVMD",
        "Start_Addr_Phys", "Mem_Length", "dentity map ", "Xen version", Vocabulary.DetectedXen, "efi: EFI v", "EFI stub: ", EfiMap, " rmrr=",
        "found ACPI_DMAR_", " endpoint: ", "vendor_id", "Vendor ID:",
        .. VirtualHostLines.Words, .. WidthTraits.Words, .. ComplaintLines.Words,
    ];

    /// <summary>Xen's title of its map where EFI has loaded it (setup.c: EFI_LOADER).</summary>
    private const string EfiMap = "EFI RAM map:";

    /// <summary>More register pages than any machine has; a hostile log could name millions.</summary>
    public const int MaxPages = 256;

    private readonly WidthTraits _widths = new();
    private readonly ComplaintLines _complaints = new();
    private readonly SortedSet<ulong> _ioApics = [];
    private readonly SortedSet<ulong> _iommus = [];
    private readonly SortedSet<(ulong Start, ulong End)> _deviceMemory = [];
    private readonly List<DeviceMemoryOwner> _owners = [];
    private readonly List<PciAddress> _notTold = [];

    /// <summary>The devices of the table's entry that Xen is going through (iommu=verbose); null outside of an entry for reserved memory.</summary>
    private List<PciAddress>? _entryDevices;
    private string? _vendor;
    private int? _family;
    private int? _model;
    private bool _isVirtual;
    private int? _addressBits;
    private int? _hostAddressBits;
    private int? _iommuAddressBits;
    private XenVersion? _xenVersion;
    private bool _isEfi;
    private HostFirmware? _firmware;

    /// <summary>Where the IVMD block of the line before starts: Xen up to 4.12 says in the next one how long it is.</summary>
    private ulong? _blockStart;

    private enum Subject
    {
        IoApic,
        Iommu,
        DeviceMemory,
        DeviceMemoryOption,
        TableEntry,
        TableDevice,
        BlockStart,
        BlockLength,
        XenVersion,
        XenProcessor,
        LinuxProcessor,
        HostAddressWidth,
        ProcessorAddressWidth,
        ProcessorMaker,
        Efi,
    }

    /// <summary>What was read, for whoever wants to know what is of one machine alone.</summary>
    public KeptLines Kept { get; } = new();

    /// <summary>What a log says of one of the machines that it tells of.</summary>
    public static HostTraits Of(LogScan scan, MachineLines machine)
    {
        if (scan.TraitLines is not { } kept || machine.AreAll)
            return scan.Traits;
        LogTraits traits = new();
        foreach ((string line, int number) in kept.LinesOf(machine))
            traits.TryReadOne(line, number);
        return traits.ToTraits();
    }

    /// <summary>Reads one line; false where it holds one of the words and nothing that can be used.</summary>
    public bool TryRead(ReadOnlySpan<char> line, int number)
    {
        bool isUsed = TryReadOne(line, number);
        if (isUsed)
            Kept.Add(line, number);
        return isUsed;
    }

    private bool TryReadOne(ReadOnlySpan<char> line, int number)
    {
        bool isVirtual = LogPrefix.DomainOf(line) is null && VirtualHostLines.IsOne(line);
        _isVirtual |= isVirtual;
        if (line.IndexOf(MachineLine.Mark) is >= 0 and int dmi)
        {
            // A guest's machine is none of the host's.
            if (LogPrefix.DomainOf(line) is null)
                _firmware ??= HostFirmware.OfLinuxLine(line[(dmi + MachineLine.Mark.Length)..]);
            return !MachineLine.LacksRelease(line);
        }

        if (isVirtual)
        {
            _complaints.TryRead(line);
            return true;
        }

        bool isOfWidths = _widths.TryRead(line, number) | _complaints.TryRead(line);
        if (!TryParse(line, out Subject subject, out ulong first, out ulong second, out ReadOnlySpan<char> rest))
            return isOfWidths;
        ulong? blockStart = _blockStart;
        _blockStart = null;
        switch (subject)
        {
            case Subject.IoApic:
                AddPage(_ioApics, first);
                break;
            case Subject.Iommu:
                AddPage(_iommus, first);
                ReadCapabilities(rest);
                break;
            case Subject.DeviceMemory:
                AddDeviceMemory(first, second);
                AddOwners(first, second);
                PfnRange memory = PfnRange.FromBounds(Pfn.Containing(first), Pfn.AtOrAbove(second));
                if (DeviceMemorySyntax.LinuxOwnerIn(line) is { } owner)
                    AddOwner(memory, owner, null);
                else if (DeviceMemorySyntax.TryDevices(line, out PciAddress from, out PciAddress to))
                    AddOwner(memory, from, to == from ? null : to);
                break;
            case Subject.DeviceMemoryOption:
                ReadDeviceMemoryOption(rest);
                break;
            case Subject.TableEntry:
                EndEntry();
                _entryDevices = rest.StartsWith("RMRR", StringComparison.Ordinal) ? [] : null;
                break;
            case Subject.TableDevice:
                if (PciAddress.TryParse(FirstWord(rest), out PciAddress device) && _entryDevices is { Count: < MaxPages })
                    _entryDevices.Add(device);
                break;
            case Subject.BlockStart:
                _blockStart = first;
                break;
            case Subject.BlockLength:
                if (blockStart is { } start && first <= Frames.AddressLimit - start)
                    AddDeviceMemory(start, start + first);
                break;
            case Subject.XenVersion:
                _xenVersion ??= XenVersion.TryParse(rest, out XenVersion version) ? version : null;
                break;
            case Subject.XenProcessor:
                ReadXenProcessor(rest);
                break;
            case Subject.LinuxProcessor:
                ReadLinuxProcessor(rest);
                break;
            case Subject.HostAddressWidth:
                _hostAddressBits ??= (int)first;
                break;
            case Subject.ProcessorAddressWidth:
                _addressBits ??= (int)first;
                break;
            case Subject.ProcessorMaker:
                _vendor ??= MakerIn(rest);
                break;
            case Subject.Efi:
                // No line says that there is none.
                _isEfi = true;
                break;
        }

        return true;
    }

    /// <summary>Whether a line says something that can be used.</summary>
    public static bool Understands(ReadOnlySpan<char> line) => WidthTraits.Understands(line)
        || (line.Contains(MachineLine.Mark, StringComparison.Ordinal) && MachineLine.EndsWithDate(line))
        || TryParse(line, out _, out _, out _, out _);

    /// <param name="line">From anywhere in a line.</param>
    /// <param name="subject">What it tells of.</param>
    /// <param name="first">An address, a range's start or a width.</param>
    /// <param name="second">A range's end, exclusive.</param>
    /// <param name="rest">What follows, where more of it is read.</param>
    private static bool TryParse(ReadOnlySpan<char> line, out Subject subject, out ulong first, out ulong second, out ReadOnlySpan<char> rest)
    {
        first = 0;
        second = 0;
        subject = Subject.IoApic;
        if (TextCursor.TryBehind(line, "IOAPIC[", out rest))
            return TextCursor.TryBehind(rest, "address ", out rest) && TryAddress(ref rest, out first);
        subject = Subject.Iommu;
        if (TextCursor.TryBehind(line, "dmaru->address = ", out rest) || TextCursor.TryBehind(line, "reg_base_addr ", out rest)
            || TextCursor.TryBehind(line, "mmio-addr: ", out rest) || TextCursor.TryBehind(line, "DRHD base: ", out rest))
            return TryAddress(ref rest, out first);
        subject = Subject.XenProcessor;
        if (TextCursor.TryBehind(line, "CPU Vendor: ", out rest))
            return true;
        subject = Subject.LinuxProcessor;
        if (TextCursor.TryBehind(line, "CPU0: ", out rest))
            return true;
        subject = Subject.HostAddressWidth;
        if (TextCursor.TryBehind(line, "ost address width ", out rest))
            return TryBits(rest, out first);
        subject = Subject.ProcessorAddressWidth;
        if (TextCursor.TryBehind(line, "address sizes", out rest) || TextCursor.TryBehind(line, "Address sizes", out rest))
            return TryBits(rest.TrimStart(" \t:"), out first);
        subject = Subject.ProcessorMaker;
        if (TextCursor.TryBehind(line, "vendor_id", out rest) || TextCursor.TryBehind(line, "Vendor ID:", out rest))
            return MakerIn(rest) is not null;
        subject = Subject.Efi;
        if (TextCursor.TryBehind(line, "efi: EFI v", out rest) || TextCursor.TryBehind(line, "EFI stub: ", out rest)
            || TextCursor.TryBehind(line, EfiMap, out rest))
            return true;
        subject = Subject.XenVersion;
        // hvmloader asks the Xen that runs: a log whose head is lost has its line.
        if (TextCursor.TryBehind(line, "Xen version ", out rest) || TextCursor.TryBehind(line, Vocabulary.DetectedXen, out rest))
            return XenVersion.TryParse(rest, out _);
        subject = Subject.TableEntry;
        if (TextCursor.TryBehind(line, "found ACPI_DMAR_", out rest))
            return true;
        subject = Subject.TableDevice;
        if (TextCursor.TryBehind(line, " endpoint: ", out rest))
            return true;
        subject = Subject.DeviceMemoryOption;
        if (TextCursor.TryBehind(line, "ommand line:", out rest) && TextCursor.TryBehind(rest, " rmrr=", out rest))
            return true;
        subject = Subject.BlockStart;
        if (TextCursor.TryBehind(line, "Start_Addr_Phys ", out rest))
            return TryAddress(ref rest, out first);
        subject = Subject.BlockLength;
        if (TextCursor.TryBehind(line, "Mem_Length ", out rest))
            return TryAddress(ref rest, out first);
        subject = Subject.DeviceMemory;
        return DeviceMemorySyntax.TryRead(line, out first, out second);
    }

    /// <inheritdoc cref="WidthTraits.ToWindows"/>
    public ImmutableArray<(RootWindow Window, int? Line)> ToWindows() => _widths.ToWindows();

    public HostTraits ToTraits()
    {
        EndEntry();
        return _widths.AddTo(Traits());
    }

    private HostTraits Traits() => new()
    {
        IoApics = [.. _ioApics],
        Iommus = [.. _iommus],
        ReservedDeviceMemory = [.. _deviceMemory.Select(static range => PfnRange.FromBounds(Pfn.Containing(range.Start), Pfn.AtOrAbove(range.End)))],
        DeviceMemoryOwners = [.. _owners],
        // Where ranges stand elsewhere in the log the devices' are among them.
        DeviceMemoryNotTold = _deviceMemory.Count == 0 ? [.. _notTold] : [],
        IsEfi = _isEfi ? true : null,
        Firmware = _firmware,
        CpuVendor = _vendor,
        CpuFamily = _family,
        Complaints = _complaints.ToComplaints(),
        PhysicalAddressBits = _addressBits ?? (_isVirtual ? null : ProcessorWidths.Of(_vendor, _family, _model)),
        AcpiAddressBits = _hostAddressBits,
        IommuAddressBits = _iommuAddressBits ?? _hostAddressBits,
        XenVersion = _xenVersion,
    };

    private static void AddPage(SortedSet<ulong> pages, ulong address)
    {
        if (address != 0 && address < Frames.AddressLimit && pages.Count < MaxPages)
            pages.Add(address);
    }

    private static ReadOnlySpan<char> FirstWord(ReadOnlySpan<char> text)
    {
        text = text.TrimStart();
        int end = text.IndexOfAny(" \t,;");
        return end < 0 ? text : text[..end];
    }

    private void AddOwners(ulong start, ulong end)
    {
        PfnRange range = PfnRange.FromBounds(Pfn.Containing(start), Pfn.AtOrAbove(end));
        foreach (PciAddress device in _entryDevices ?? [])
            AddOwner(range, device);
        _entryDevices = null;
    }

    /// <summary>A table's entry of which Xen, in a build without debugging, told the devices and not the range.</summary>
    private void EndEntry()
    {
        foreach (PciAddress device in _entryDevices ?? [])
        {
            if (_notTold.Count < MaxPages && !_notTold.Contains(device))
                _notTold.Add(device);
        }

        _entryDevices = null;
    }

    private void AddOwner(PfnRange range, PciAddress device, PciAddress? last = null)
    {
        DeviceMemoryOwner owner = new(range, device) { LastDevice = last };
        if (_owners.Count < MaxPages && !_owners.Contains(owner))
            _owners.Add(owner);
    }

    /// <summary>Xen's <c>rmrr=START[-END]=[SEG:]BUS:DEV.FN[,…][;…]</c>: page frames in hex, the end inclusive.</summary>
    private void ReadDeviceMemoryOption(ReadOnlySpan<char> text)
    {
        text = text.TrimStart('"');
        int end = text.IndexOfAny(' ', '"');
        text = end < 0 ? text : text[..end];
        foreach (Range at in text.Split(';'))
        {
            ReadOnlySpan<char> part = text[at];
            int equals = part.IndexOf('=');
            if (equals < 0)
                continue;
            TextCursor cursor = new(part[..equals]);
            cursor.TryText("0x");
            if (!cursor.TryHex(out ulong first))
                continue;
            ulong last = first;
            if (cursor.TryText("-"))
            {
                cursor.TryText("0x");
                if (!cursor.TryHex(out last))
                    continue;
            }

            if (last < first || last >= Frames.MaxCount)
                continue;
            AddDeviceMemory(first << Frames.Shift, (last + 1) << Frames.Shift);
            ReadOnlySpan<char> devices = part[(equals + 1)..];
            foreach (Range one in devices.Split(','))
            {
                if (DeviceMemorySyntax.TryDevice(devices[one], out PciAddress device))
                    AddOwner(PfnRange.FromBounds(new Pfn(first), new Pfn(last + 1)), device);
            }
        }
    }

    private void AddDeviceMemory(ulong start, ulong end)
    {
        if (start < end && end <= Frames.AddressLimit && _deviceMemory.Count < MaxPages)
            _deviceMemory.Add((start & ~Frames.OffsetMask, (end + Frames.OffsetMask) & ~Frames.OffsetMask));
    }

    /// <summary>
    /// What VT-d's capability register says of its width: <c>… ver 1:0 cap c0000020660462 ecap f0101a</c>, bits 21:16 (MGAW) one less than the
    /// bits of a guest's addresses. Of several units the narrowest counts.
    /// </summary>
    private void ReadCapabilities(ReadOnlySpan<char> text)
    {
        const int widthShift = 16;
        const ulong widthMask = 0x3f;
        if (!TextCursor.TryBehind(text, " cap ", out ReadOnlySpan<char> rest) || !new TextCursor(rest).TryHex(out ulong capabilities))
            return;
        int bits = (int)((capabilities >> widthShift) & widthMask) + 1;
        if (bits is >= 32 and <= 57)
            _iommuAddressBits = Math.Min(_iommuAddressBits ?? bits, bits);
    }

    private static bool TryAddress(ref ReadOnlySpan<char> text, out ulong address)
    {
        TextCursor cursor = new(text);
        cursor.TryText("0x");
        bool isAddress = cursor.TryHex(out address);
        text = cursor.Rest;
        return isAddress;
    }

    private static bool TryBits(ReadOnlySpan<char> text, out ulong bits)
    {
        bool isNumber = new TextCursor(text).TryDecimal(out uint number);
        bits = number;
        return isNumber && number is >= 32 and <= 52;
    }

    /// <summary><c>CPU Vendor: AMD, Family 23 (0x17), Model 8 (0x8), …</c></summary>
    private void ReadXenProcessor(ReadOnlySpan<char> text)
    {
        _vendor ??= VendorOf(text);
        if (_family is not null || !TextCursor.TryBehind(text, "Family ", out ReadOnlySpan<char> rest)
            || !new TextCursor(rest).TryDecimal(out uint family) || family > 0x10e)
            return;
        _family = (int)family;
        if (TextCursor.TryBehind(rest, "Model ", out rest) && new TextCursor(rest).TryDecimal(out uint model) && model <= 0xff)
            _model = (int)model;
    }

    /// <summary><c>smpboot: CPU0: AMD EPYC … (family: 0x17, model: 0x31, …)</c>, before 4.0 <c>(fam: 06, model: 2a, …)</c>.</summary>
    private void ReadLinuxProcessor(ReadOnlySpan<char> text)
    {
        if (!TextCursor.TryBehind(text, "(fam", out ReadOnlySpan<char> rest) || !TextCursor.TryBehind(rest, ": ", out rest))
            return;
        _vendor ??= VendorOf(text);
        TextCursor cursor = new(rest);
        cursor.TryText("0x");
        if (_family is not null || !cursor.TryHex(out ulong family) || family > 0x10e)
            return;
        _family = (int)family;
        if (!TextCursor.TryBehind(rest, "model: ", out rest))
            return;
        cursor = new(rest);
        cursor.TryText("0x");
        if (cursor.TryHex(out ulong model) && model <= 0xff)
            _model = (int)model;
    }

    /// <summary><c>vendor_id : AuthenticAMD</c> of /proc/cpuinfo, <c>Vendor ID: AuthenticAMD</c> of lscpu.</summary>
    private static string? MakerIn(ReadOnlySpan<char> text) => text.Trim(" \t:") switch
    {
        "GenuineIntel" => "GenuineIntel",
        "AuthenticAMD" => "AuthenticAMD",
        "HygonGenuine" => "HygonGenuine",
        _ => null,
    };

    private static string? VendorOf(ReadOnlySpan<char> text)
    {
        if (text.Contains("Intel", StringComparison.Ordinal))
            return "GenuineIntel";
        if (text.Contains("AMD", StringComparison.Ordinal))
            return "AuthenticAMD";
        return text.Contains("Hygon", StringComparison.Ordinal) ? "HygonGenuine" : null;
    }
}
