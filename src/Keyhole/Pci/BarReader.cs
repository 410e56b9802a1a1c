// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Pci;

/// <summary>Reads the memory windows of PCI functions from what <c>lspci -v</c> and <c>lspci -vv</c> print, or from a device's <c>resource</c> file in sysfs.</summary>
/// <remarks>Source: pciutils' lspci.c and ls-ecaps.c; Linux' pci-sysfs.c and ioport.h.</remarks>
public static class BarReader
{
    /// <summary>The largest listing that is read, in bytes: lspci -vvv of a thousand functions takes about 6 MiB.</summary>
    public const int MaxSizeBytes = 16 * 1024 * 1024;

    /// <summary>More functions than this are no list of one machine: a domain's buses hold 65,536.</summary>
    public const int MaxDevices = 65536;

    /// <param name="address">Whose windows a <c>resource</c> file holds; null to take it from <paramref name="sourceName"/>
    /// (/sys/bus/pci/devices/0000:03:00.0/resource). Not used for lspci's text, which says it itself.</param>
    public static Parsed<PciListing> Read(Stream stream, string sourceName, PciAddress? address = null)
    {
        ArgumentNullException.ThrowIfNull(sourceName);
        if (!SmallInput.Read(stream, sourceName, MaxSizeBytes, "a list of PCI devices").TryGet(out SmallInput? input, out InputError? error))
            return error;
        string text = input.Decode();
        return text.AsSpan().TrimStart().StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? new ResourceReader(sourceName).Read(text, address ?? AddressInPath(sourceName))
            : new LspciReader(sourceName).Read(text);
    }

    /// <summary>The address that is a folder of the path, the last one where several are.</summary>
    private static PciAddress? AddressInPath(string path)
    {
        PciAddress? found = null;
        foreach (Range part in path.AsSpan().Split('/'))
        {
            if (PciAddress.TryParse(path.AsSpan(part), out PciAddress address))
                found = address;
        }

        return found;
    }

    /// <summary>The window's row if it can be one, else the error.</summary>
    internal static InputError? Check(string sourceName, int line, ulong start, ulong end)
    {
        const string remedy = "give the text as lspci or sysfs printed it";
        if (start > Frames.AddressLimit || end > Frames.AddressLimit)
            return new InputError(sourceName, line, $"a window that reaches beyond 52 address bits: {start:x} to {end:x}", remedy);
        return start >= end ? new InputError(sourceName, line, $"a window that ends before it starts: {start:x} to {end:x}", remedy) : null;
    }
}

/// <summary>A device's <c>resource</c> file: a row a window, <c>0xSTART 0xEND 0xFLAGS</c>, the end inclusive.</summary>
internal sealed class ResourceReader(string sourceName)
{
    // Bits of a resource's flags (Linux' include/linux/ioport.h).
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
            return new InputError(
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
            if (count != 3 || !TryNumber(line[parts[0]], out ulong start) || !TryNumber(line[parts[1]], out ulong last) || !TryNumber(line[parts[2]], out ulong flags))
                return new InputError(
                    sourceName, lineNumber, $"{InputError.Quote(line)} is no row of a resource file",
                    "a row is 0xSTART 0xEND 0xFLAGS");
            if (rows.Count == MaxRows)
                return new InputError(
                    sourceName, lineNumber, $"more than {MaxRows} rows, the most that a device has",
                    "give the resource file of one device");
            rows.Add((start, last, flags, lineNumber));
        }

        var bars = ImmutableArray.CreateBuilder<Bar>();
        var remarks = ImmutableArray.CreateBuilder<string>();
        for (int i = 0; i < rows.Count; i++)
        {
            (ulong start, ulong last, ulong flags, int line) = rows[i];
            if ((flags & IORESOURCE_MEM) == 0)
                continue;
            int index = rows.Count == RowsOfBridgeWithoutSriov && i > Bar.RomIndex ? i - Bar.FirstVirtualFunctionIndex + Bar.FirstBridgeIndex : i;
            if ((flags & IORESOURCE_UNSET) != 0)
            {
                remarks.Add($"line {line}: window {index} of {owner} has no address yet");
                continue;
            }

            ulong end = last == ulong.MaxValue ? last : last + 1;
            if (BarReader.Check(sourceName, line, start, end) is { } error)
                return error;
            BarKind kind = index switch
            {
                < Bar.RomIndex => BarKind.Memory,
                Bar.RomIndex => BarKind.Rom,
                < Bar.FirstBridgeIndex => BarKind.VirtualFunction,
                _ => BarKind.BridgeWindow,
            };
            bars.Add(new Bar(index, kind, start, end, (flags & IORESOURCE_MEM_64) != 0, (flags & IORESOURCE_PREFETCH) != 0));
        }

        return new PciListing([new PciDevice(owner, "", bars.DrainToImmutable())], remarks.DrainToImmutable());
    }

    private static bool TryNumber(ReadOnlySpan<char> text, out ulong value)
    {
        value = 0;
        return text.StartsWith("0x", StringComparison.OrdinalIgnoreCase) && Bar.TryHex(text, out value);
    }
}

/// <summary>lspci's text: a line at the margin for each function, what belongs to it indented below.</summary>
internal sealed class LspciReader(string sourceName)
{
    private const string Kept = "give what lspci -vv prints, as root";

    private readonly SortedDictionary<PciAddress, PciDevice> _devices = [];
    private readonly ImmutableArray<string>.Builder _remarks = ImmutableArray.CreateBuilder<string>();
    private readonly ImmutableArray<Bar>.Builder _bars = ImmutableArray.CreateBuilder<Bar>();
    private PciAddress? _address;
    private string _description = "";
    private bool _inSriov;
    private int _nextIndex;
    private int _withoutSize;
    private int _beyondXen;
    private int _vectors;
    private MsixTable? _msix;

    public Parsed<PciListing> Read(string text)
    {
        int lineNumber = 0;
        bool anyHeader = false;
        foreach (ReadOnlySpan<char> raw in text.AsSpan().EnumerateLines())
        {
            lineNumber++;
            ReadOnlySpan<char> line = CitedLine.Unmarked(raw);
            if (!line.IsEmpty && line[0] is not (' ' or '\t'))
            {
                if (TryHeader(line, out PciAddress address, out bool isBeyondXen))
                {
                    if (!TryFinishDevice(lineNumber, out InputError? full))
                        return full;
                    anyHeader = true;
                    if (isBeyondXen)
                    {
                        _beyondXen++;
                        continue;
                    }

                    if (_devices.ContainsKey(address))
                        return new InputError(sourceName, lineNumber, $"a second device at {address}", "give the output of one lspci");
                    _address = address;
                    _description = Description(line);
                }

                continue;
            }

            if (_address is not null && ReadDetail(line.Trim(), lineNumber) is { } error)
                return error;
        }

        if (!TryFinishDevice(lineNumber, out InputError? tooMany))
            return tooMany;
        if (!anyHeader)
            return new InputError(sourceName, null, "no PCI device in it", Kept);
        if (_beyondXen > 0)
            _remarks.Add($"{_beyondXen} devices of PCI domains above ffff, which Xen does not know, were passed over");
        if (_withoutSize > 0)
            _remarks.Add($"{_withoutSize} windows stand without a size and were passed over; the resource files in sysfs have the sizes");
        return new PciListing([.. _devices.Values], _remarks.DrainToImmutable());
    }

    private bool TryFinishDevice(int lineNumber, out InputError error)
    {
        error = null!;
        if (_address is { } address)
        {
            if (_devices.Count == BarReader.MaxDevices)
            {
                error = new InputError(sourceName, lineNumber, $"more than {BarReader.MaxDevices} PCI devices", "give the output of one lspci");
                return false;
            }

            _devices.Add(address, new PciDevice(address, _description, _bars.DrainToImmutable()) { Msix = _msix });
        }

        _address = null;
        _inSriov = false;
        _nextIndex = 0;
        _vectors = 0;
        _msix = null;
        return true;
    }

    /// <summary><c>[dddd:]bb:dd.f Class: Vendor Device</c>, or with <c>lspci -PP</c> the path to it from the root.</summary>
    private static bool TryHeader(ReadOnlySpan<char> line, out PciAddress address, out bool isBeyondXen)
    {
        isBeyondXen = false;
        address = default;
        int space = line.IndexOf(' ');
        if (space < 0)
            return false;
        ReadOnlySpan<char> name = line[..space];
        ReadOnlySpan<char> last = name[(name.LastIndexOf('/') + 1)..];
        if (PciAddress.TryParse(last, out address))
            return true;
        // Linux numbers the domains that it makes up for VMD from 10000 on.
        int colon = last.IndexOf(':');
        isBeyondXen = colon is > 4 and <= 8 && Bar.TryHex(last[..colon], out _) && PciAddress.TryParse(last[(colon + 1)..], out _);
        return isBeyondXen;
    }

    private static string Description(ReadOnlySpan<char> line)
    {
        const int longest = 200;
        ReadOnlySpan<char> text = line[line.IndexOf(' ')..].Trim();
        char[] shown = text[..Math.Min(text.Length, longest)].ToArray();
        for (int i = 0; i < shown.Length; i++)
        {
            UnicodeCategory category = char.GetUnicodeCategory(shown[i]);
            if (category is UnicodeCategory.Control or UnicodeCategory.Surrogate or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator)
                shown[i] = '?';
        }

        return new string(shown);
    }

    private InputError? ReadDetail(ReadOnlySpan<char> line, int lineNumber)
    {
        if (line.StartsWith("Capabilities:"))
        {
            _inSriov = line.Contains("(SR-IOV)", StringComparison.Ordinal);
            _vectors = Vectors(line);
            return null;
        }

        if (_vectors != 0 && line.StartsWith("Vector table: BAR="))
        {
            _msix ??= Table(line["Vector table: BAR=".Length..], _vectors);
            return null;
        }

        int index = -1;
        if (line.StartsWith("Region "))
        {
            int colon = line.IndexOf(':');
            if (colon < 0 || !int.TryParse(line["Region ".Length..colon], NumberStyles.None, CultureInfo.InvariantCulture, out index) || index > 5)
                return new InputError(sourceName, lineNumber, $"{InputError.Quote(line)} names no base address register", Kept);
            line = line[(colon + 1)..].TrimStart();
        }

        if (line.StartsWith("I/O ports at "))
        {
            _nextIndex++;
            return null;
        }

        if (line.StartsWith("Memory at "))
            return ReadMemory(line["Memory at ".Length..], index, lineNumber);
        if (line.StartsWith("Expansion ROM at "))
            return ReadAt(line["Expansion ROM at ".Length..], lineNumber, Bar.RomIndex, BarKind.Rom);
        if (line.StartsWith("Memory behind bridge:"))
            return ReadWindow(line["Memory behind bridge:".Length..], lineNumber, isPrefetchable: false);
        return line.StartsWith("Prefetchable memory behind bridge:")
            ? ReadWindow(line["Prefetchable memory behind bridge:".Length..], lineNumber, isPrefetchable: true)
            : null;
    }

    /// <summary><c>Capabilities: [70] MSI-X: Enable+ Count=64 Masked-</c>; 0 where the line is another or the count no count.</summary>
    private static int Vectors(ReadOnlySpan<char> line)
    {
        const string mark = " Count=";
        int at = line.Contains("MSI-X:", StringComparison.Ordinal) ? line.IndexOf(mark, StringComparison.Ordinal) : -1;
        if (at < 0)
            return 0;
        ReadOnlySpan<char> text = line[(at + mark.Length)..];
        int end = text.IndexOf(' ');
        return int.TryParse(end < 0 ? text : text[..end], NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count is >= 1 and <= MsixTable.MaxVectors ? count : 0;
    }

    /// <summary><c>3 offset=00002000</c>; null where it is something else: the table is a detail, its windows are what counts.</summary>
    private static MsixTable? Table(ReadOnlySpan<char> text, int vectors)
    {
        const string mark = " offset=";
        int at = text.IndexOf(mark, StringComparison.Ordinal);
        return at == 1 && text[0] is >= '0' and <= '5' && Bar.TryHex(text[(at + mark.Length)..].Trim(), out ulong offset) && offset <= uint.MaxValue && offset % MsixTable.OffsetAlignment == 0
            ? new MsixTable(text[0] - '0', offset, vectors)
            : null;
    }

    private InputError? ReadMemory(ReadOnlySpan<char> line, int index, int lineNumber)
    {
        bool is64Bit = line.Contains("64-bit", StringComparison.Ordinal);
        if (index < 0)
        {
            index = Math.Min(_nextIndex, Bar.RomIndex - 1);
            _nextIndex += is64Bit ? 2 : 1;
        }

        return _inSriov
            ? ReadAt(line, lineNumber, index + Bar.FirstVirtualFunctionIndex, BarKind.VirtualFunction)
            : ReadAt(line, lineNumber, index, BarKind.Memory);
    }

    /// <summary><c>febc0000 (32-bit, non-prefetchable) [disabled] [size=128K]</c>; the address may be &lt;unassigned&gt; or another word in angle brackets.</summary>
    private InputError? ReadAt(ReadOnlySpan<char> line, int lineNumber, int index, BarKind kind)
    {
        if (line.StartsWith("<"))
            return null;
        int end = line.IndexOfAny(' ', '\t');
        if (!Bar.TryHex(end < 0 ? line : line[..end], out ulong start))
            return new InputError(sourceName, lineNumber, $"{InputError.Quote(line)} does not start with an address", Kept);
        int sizeAt = line.IndexOf("[size=");
        if (sizeAt < 0)
        {
            _withoutSize++;
            return null;
        }

        if (!TrySize(line[(sizeAt + "[size=".Length)..], out ulong sizeBytes) || sizeBytes > Frames.AddressLimit)
            return new InputError(sourceName, lineNumber, $"{InputError.Quote(line[sizeAt..])} is no size", Kept);
        ulong limit = start > Frames.AddressLimit ? ulong.MaxValue : start + sizeBytes;
        if (BarReader.Check(sourceName, lineNumber, start, limit) is { } error)
            return error;
        bool isPrefetchable = line.Contains(" prefetchable", StringComparison.Ordinal);
        _bars.Add(new Bar(index, kind, start, limit, line.Contains("64-bit", StringComparison.Ordinal), isPrefetchable));
        return null;
    }

    /// <summary><c>f0000000-f1ffffff [size=32M] [32-bit]</c>, the end inclusive; nothing but [disabled], or a start behind the end, is a window that is closed.</summary>
    private InputError? ReadWindow(ReadOnlySpan<char> text, int lineNumber, bool isPrefetchable)
    {
        ReadOnlySpan<char> line = text.Trim();
        if (line.StartsWith("[") || line.StartsWith("None", StringComparison.Ordinal))
            return null;
        int end = line.IndexOfAny(' ', '\t');
        ReadOnlySpan<char> range = end < 0 ? line : line[..end];
        int dash = range.IndexOf('-');
        if (dash < 0 || !Bar.TryHex(range[..dash], out ulong start) || !Bar.TryHex(range[(dash + 1)..], out ulong last))
            return new InputError(sourceName, lineNumber, $"{InputError.Quote(line)} is no address range", Kept);
        if (line.Contains("[disabled]", StringComparison.Ordinal) || start > last)
            return null;
        ulong limit = last == ulong.MaxValue ? last : last + 1;
        if (BarReader.Check(sourceName, lineNumber, start, limit) is { } error)
            return error;
        bool is64Bit = line.Contains("[64-bit]", StringComparison.Ordinal) || range.Length - dash - 1 > 8;
        _bars.Add(new Bar(Bar.FirstBridgeIndex + (isPrefetchable ? 2 : 1), BarKind.BridgeWindow, start, limit, is64Bit, isPrefetchable));
        return null;
    }

    /// <summary><c>128K]</c>: a number, and K, M, G or T for 1024 and its powers.</summary>
    private static bool TrySize(ReadOnlySpan<char> text, out ulong sizeBytes)
    {
        sizeBytes = 0;
        int close = text.IndexOf(']');
        if (close < 1)
            return false;
        text = text[..close];
        int shift = text[^1] switch
        {
            'K' => 10,
            'M' => 20,
            'G' => 30,
            'T' => 40,
            _ => 0,
        };
        if (shift > 0)
            text = text[..^1];
        if (!uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint number) || number == 0)
            return false;
        sizeBytes = (ulong)number << shift;
        return sizeBytes >> shift == number;
    }
}
