// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.E820;

namespace Keyhole.Pci;

/// <summary>A device's <c>resource</c> file: a row a window, <c>0xSTART 0xEND 0xFLAGS</c>, the end inclusive.</summary>
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

    public Parsed<PciListing> Read(string text, PciAddress? address)
    {
        if (address is not { } owner)
            return InputError.Missing(
                sourceName, null, "a sysfs resource file, which does not say whose it is",
                "give the device's address, or the file by its full path under /sys/bus/pci/devices");
        var rows = new List<(ulong Start, ulong Last, ulong Flags, int Line)>();
        int lineNumber = 0;
        Span<Range> parts = stackalloc Range[4];
        foreach (ReadOnlySpan<char> raw in text.AsSpan().EnumerateLines())
        {
            lineNumber++;
            ReadOnlySpan<char> line = raw.Trim();
            if (line.IsEmpty)
                continue;
            int count = line.SplitAny(parts, " \t", StringSplitOptions.RemoveEmptyEntries);
            if (count != 3 || !TryNumber(line[parts[0]], out ulong start) || !TryNumber(line[parts[1]], out ulong last)
                || !TryNumber(line[parts[2]], out ulong flags))
                return InputError.Malformed(
                    sourceName, lineNumber, $"{InputError.Quote(line)} is not a row of a resource file",
                    "a row is 0xSTART 0xEND 0xFLAGS");
            if (rows.Count == MaxRows)
                return InputError.TooLarge(
                    sourceName, lineNumber, $"more than {MaxRows} rows, the most that a device has",
                    "give the resource file of one device");
            rows.Add((start, last, flags, lineNumber));
        }

        var windows = new WindowList();
        for (int i = 0; i < rows.Count; i++)
        {
            (ulong start, ulong last, ulong flags, int line) = rows[i];
            int index = rows.Count == RowsOfBridgeWithoutSriov && i > Bar.RomIndex ? i - Bar.FirstVirtualFunctionIndex + Bar.FirstBridgeIndex : i;
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
                continue;
            }

            if ((flags & IORESOURCE_MEM) == 0)
                continue;
            bool is64Bit = (flags & IORESOURCE_MEM_64) != 0;
            bool isPrefetchable = (flags & IORESOURCE_PREFETCH) != 0;
            if (BarReader.Check(sourceName, line, start, after) is { } error)
                return error;
            // A row without an address begins at 0 and still tells the size.
            if ((flags & IORESOURCE_UNSET) != 0 || start == 0)
            {
                windows.AddUnplaced(new(index, kind, end - start, is64Bit, isPrefetchable, "its row in sysfs is unset"));
                continue;
            }

            if (kind == BarKind.Rom && ((flags & IORESOURCE_ROM_SHADOW) != 0 || WindowList.IsShadow(start, end)))
                windows.AddShadowRom(end - start);
            else
                windows.Add(new Bar(index, kind, start, end, is64Bit, isPrefetchable));
        }

        PciDevice device = windows.ToDevice(owner, "");
        return new PciListing([device], [.. device.Unplaced.Select(window => BarReader.Describe(owner, window))]);
    }

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
