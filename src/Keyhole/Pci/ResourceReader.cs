// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Reading;

namespace Keyhole.Pci;

/// <summary>Devices' <c>resource</c> files: a row a window, <c>0xSTART 0xEND 0xFLAGS</c>, the end inclusive. A file alone, or as a terminal shows one
/// or several (<c>cat</c>, <c>head</c>, <c>grep .</c>), whose paths tell the devices.</summary>
internal sealed class ResourceReader(string sourceName)
{
    // Bits of a resource's flags (Linux' include/linux/ioport.h).
    private const ulong IORESOURCE_ROM_SHADOW = 0x2;
    private const ulong IORESOURCE_IO = 0x100;
    private const ulong IORESOURCE_MEM = 0x200;
    private const ulong IORESOURCE_PREFETCH = 0x2000;
    private const ulong IORESOURCE_MEM_64 = 0x100000;
    private const ulong IORESOURCE_UNSET = 0x20000000;

    /// <summary>Rows of a device: with SR-IOV in the kernel 13, and 17 of a bridge; without it 7 and 11.</summary>
    private const int MaxRows = 17;
    private const int RowsOfBridgeWithoutSriov = 11;

    /// <summary>Rows of the base address registers and the ROM, the fewest that Linux writes.</summary>
    private const int FewestRows = Bar.RomIndex + 1;

    private const string OneFile = "give the resource file of one device";
    private const string Whole = "give all rows of the file, those of zeros too";
    private const string Named = "give what grep -H . /sys/bus/pci/devices/DEVICE/resource prints, which names the file in each row";
    private const string FileName = "/resource";

    private readonly record struct Row(ulong Start, ulong Last, ulong Flags, int Line);

    private readonly SortedDictionary<PciAddress, PciDevice> _devices = [];
    private readonly ImmutableArray<string>.Builder _remarks = ImmutableArray.CreateBuilder<string>();
    private readonly List<Row> _rows = [];

    /// <summary>Whether a line of a text is a row, behind a citation's marks and a file's name.</summary>
    public static bool HasRow(string text)
    {
        foreach (ReadOnlySpan<char> raw in text.AsSpan().EnumerateLines())
        {
            if (TryRow(Split(raw, out _), out _, out _, out _))
                return true;
        }

        return false;
    }

    public Parsed<PciListing> Read(string text, PciAddress? address)
    {
        PciAddress? owner = null;
        bool isTerminals = !text.AsSpan().TrimStart().StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        int lineNumber = 0;
        foreach (ReadOnlySpan<char> raw in text.AsSpan().EnumerateLines())
        {
            lineNumber++;
            ReadOnlySpan<char> line = Split(raw, out PciAddress? named);
            if (line.IsEmpty && named is null)
                continue;
            bool isRow = TryRow(line, out ulong start, out ulong last, out ulong flags);
            if (!isRow && line.IndexOf(FileName) != line.LastIndexOf(FileName))
            {
                return InputError.NotSupported(sourceName, lineNumber,
                    "one command shows the resource files of several devices, and nothing says where the next begins", Named);
            }

            // A path, or what lspci says of a function, in front of its rows.
            if (named is null && !isRow && isTerminals && LspciSyntax.TryHeader(line, out PciAddress function, out bool isBeyondXen) && !isBeyondXen)
                named = function;
            if (named is { } next && next != owner)
            {
                if (Finish(owner ?? (_rows.Count > 0 ? address : null)) is { } error)
                    return error;
                owner = next;
            }

            if (isRow)
            {
                if (_rows.Count == MaxRows)
                    return InputError.TooLarge(sourceName, lineNumber, $"more than {MaxRows} rows, the most that a device has", OneFile);
                _rows.Add(new(start, last, flags, lineNumber));
            }
            else if (!isTerminals || line.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
            {
                return InputError.Malformed(sourceName, lineNumber, $"{InputError.Quote(line)} is not a row of a resource file",
                    "a row is 0xSTART 0xEND 0xFLAGS");
            }
        }

        return Finish(owner ?? address) is { } incomplete ? incomplete : new PciListing([.. _devices.Values], _remarks.DrainToImmutable());
    }

    /// <summary>A line without marks of a citation and, as <c>grep</c> writes it, the file's name in front; with the device that a path in it
    /// names.</summary>
    private static ReadOnlySpan<char> Split(ReadOnlySpan<char> raw, out PciAddress? named)
    {
        ReadOnlySpan<char> line = CitedLine.Unmarked(raw).Trim();
        named = null;
        int at = line.LastIndexOf(FileName);
        if (at <= 0)
            return line;
        ReadOnlySpan<char> folder = line[..at];
        if (PciAddress.TryParse(folder[(folder.LastIndexOf('/') + 1)..], out PciAddress address))
            named = address;
        ReadOnlySpan<char> behind = line[(at + FileName.Length)..];
        return behind.StartsWith(":") ? behind[1..].Trim() : line;
    }

    private static bool TryRow(ReadOnlySpan<char> line, out ulong start, out ulong last, out ulong flags)
    {
        start = last = flags = 0;
        Span<Range> parts = stackalloc Range[4];
        return line.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            && line.SplitAny(parts, " \t", StringSplitOptions.RemoveEmptyEntries) == 3
            && TryNumber(line[parts[0]], out start) && TryNumber(line[parts[1]], out last) && TryNumber(line[parts[2]], out flags);
    }

    /// <summary>Makes a device of the rows that were gathered, if there are any or the device is known.</summary>
    private InputError? Finish(PciAddress? address)
    {
        if (_rows.Count == 0 && _devices.Count + (address is null ? 1 : 0) > 0)
            return null;
        if (address is not { } owner)
        {
            return InputError.Missing(sourceName, null, "a sysfs resource file, which does not say whose it is",
                "give the device's address, or the file by its full path under /sys/bus/pci/devices");
        }

        int first = _rows.Count == 0 ? 1 : _rows[0].Line;
        if (_devices.ContainsKey(owner))
            return InputError.Repeated(sourceName, first, $"a second resource file of {owner}", "give each device's file once");
        if (_devices.Count == BarReader.MaxDevices)
            return InputError.TooLarge(sourceName, first, $"more than {BarReader.MaxDevices} PCI devices", OneFile);
        if (_rows.Count > FewestRows && !IsWhole(_rows.Count))
            return InputError.Malformed(sourceName, first, $"{_rows.Count} rows, which no device's resource file has", Whole);
        var windows = new WindowList();
        for (int i = 0; i < _rows.Count; i++)
        {
            if (Add(windows, i) is { } error)
                return error;
        }

        PciDevice device = windows.ToDevice(owner, "");
        _devices.Add(owner, device);
        foreach (UnplacedWindow window in device.Unplaced)
            _remarks.Add(BarReader.Describe(owner, window));
        if (_rows.Count is > 0 and < FewestRows)
            _remarks.Add($"{owner}: {Counted.Of(_rows.Count, "row")} of its resource file, which has {FewestRows} at least: a window may be missing");
        _rows.Clear();
        return null;
    }

    private InputError? Add(WindowList windows, int row)
    {
        (ulong start, ulong last, ulong flags, int line) = _rows[row];
        int index = _rows.Count == RowsOfBridgeWithoutSriov && row > Bar.RomIndex ? row - Bar.FirstVirtualFunctionIndex + Bar.FirstBridgeIndex : row;
        BarKind kind = index switch
        {
            < Bar.RomIndex => BarKind.Memory,
            Bar.RomIndex => BarKind.Rom,
            < Bar.FirstBridgeIndex => BarKind.VirtualFunction,
            _ => BarKind.BridgeWindow,
        };
        UInt128 after = (UInt128)last + 1;
        ulong end = unchecked((ulong)after);
        if ((flags & IORESOURCE_IO) != 0)
        {
            if (kind == BarKind.Memory && end > start)
                windows.AddPorts(index, end - start);
            return null;
        }

        if ((flags & IORESOURCE_MEM) == 0)
            return null;
        bool is64Bit = (flags & IORESOURCE_MEM_64) != 0;
        bool isPrefetchable = (flags & IORESOURCE_PREFETCH) != 0;
        if (BarReader.Check(sourceName, line, start, after) is { } error)
            return error;
        if (kind == BarKind.Memory && is64Bit && row + 1 < _rows.Count && row + 1 < Bar.RomIndex && _rows[row + 1].Flags != 0)
        {
            return InputError.Malformed(sourceName, _rows[row + 1].Line, "a row of its own where the upper half of the row before stands, which has "
                + "64 bits: rows are left out", Whole);
        }

        // A row without an address begins at 0 and still tells the size.
        if ((flags & IORESOURCE_UNSET) != 0 || start == 0)
            windows.AddUnplaced(new(index, kind, end - start, is64Bit, isPrefetchable, "its row in sysfs is unset"));
        else if (kind == BarKind.Rom && ((flags & IORESOURCE_ROM_SHADOW) != 0 || WindowList.IsShadow(start, end)))
            windows.AddShadowRom(end - start);
        else
            windows.Add(new Bar(index, kind, start, end, is64Bit, isPrefetchable));
        return null;
    }

    private static bool IsWhole(int rows) => rows is FewestRows or RowsOfBridgeWithoutSriov or Bar.FirstBridgeIndex or MaxRows;

    private static bool TryNumber(ReadOnlySpan<char> text, out ulong value)
    {
        value = 0;
        return text.StartsWith("0x", StringComparison.OrdinalIgnoreCase) && Bar.TryHex(text, out value);
    }
}

/// <summary>Gathers what a source says of one function's windows.</summary>
internal sealed class WindowList
{
    /// <summary>
    /// Whether a ROM's place is that of the copy of a primary display's ROM that the firmware left in memory. It is no window of the device; a guest
    /// that is given the device sees a ROM of that size all the same.
    /// </summary>
    public static bool IsShadow(ulong start, ulong end) => start >= X86Layout.IsaStart && end <= X86Layout.IsaEnd;

    private readonly ImmutableArray<Bar>.Builder _bars = ImmutableArray.CreateBuilder<Bar>();
    private readonly ImmutableArray<UnplacedWindow>.Builder _unplaced = ImmutableArray.CreateBuilder<UnplacedWindow>();
    private readonly ImmutableArray<ResizableBar>.Builder _resizable = ImmutableArray.CreateBuilder<ResizableBar>();
    private readonly SortedDictionary<int, BarRequest> _requests = [];

    public SriovCapability? Sriov { get; set; }

    public MsixTable? Msix { get; set; }

    public int? VendorId { get; set; }

    public int? DeviceId { get; set; }

    public int? ClassCode { get; set; }

    public void Add(Bar bar)
    {
        _bars.Add(bar);
        if (bar.Kind is BarKind.Memory or BarKind.Rom)
            Request(bar.Index, bar.SizeBytes, bar.RequestType);
    }

    public void AddUnplaced(UnplacedWindow window)
    {
        _unplaced.Add(window);
        if (window.Kind is BarKind.Memory or BarKind.Rom)
            Request(window.Index, window.SizeBytes, window.RequestType);
    }

    public void AddShadowRom(ulong sizeBytes) => Request(Bar.RomIndex, sizeBytes, BarType.Rom);

    public void AddPorts(int index, ulong sizeBytes) => Request(index, sizeBytes, BarType.Io);

    public void AddResizable(ResizableBar resizable)
    {
        // Six registers of the function and six of its virtual functions.
        if (_resizable.Count < 12)
            _resizable.Add(resizable);
    }

    public PciDevice ToDevice(PciAddress address, string description) => new(address, description, _bars.DrainToImmutable())
    {
        Requests = [.. _requests.Values],
        Unplaced = _unplaced.DrainToImmutable(),
        Resizable = _resizable.DrainToImmutable(),
        Sriov = Sriov,
        Msix = Msix,
        VendorId = VendorId,
        DeviceId = DeviceId,
        ClassCode = ClassCode,
    };

    /// <summary>What no register can ask for is left out: a size that is not told, or one that the kernel made of several.</summary>
    private void Request(int index, ulong sizeBytes, BarType type)
    {
        if (BarRequest.TryCreate(index, sizeBytes, type, out BarRequest request))
            _requests.TryAdd(index, request);
    }
}
