// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Pci;

/// <summary>
/// lspci's text: a line at the margin for each function, what belongs to it below, indented unless a web page or a chat took the indentation away.
/// Region lines without any function (<c>lspci -vvs 01:00.0 | grep Region</c>) are those of one device.
/// </summary>
/// <param name="onlyAddress">Whose windows a text without a function holds; null where nobody says.</param>
internal sealed class LspciReader(string sourceName, PciAddress? onlyAddress)
{
    private const string Kept = "give what lspci -vv prints, as root";

    /// <summary>What details begin with that are read.</summary>
    private static readonly ImmutableArray<string> s_details =
    [
        "Region ", "Memory at ", "[virtual] ", "[enhanced] ", "I/O ports at ", "Expansion ROM at ", "Capabilities:", "Vector table: BAR=",
        "Memory behind bridge:",
        "Prefetchable memory behind bridge:", "BAR ", "Initial VFs:", "Virtual Region ",
    ];

    private readonly SortedDictionary<PciAddress, PciDevice> _devices = [];
    private readonly ImmutableArray<string>.Builder _remarks = ImmutableArray.CreateBuilder<string>();
    private WindowList _windows = new();
    private PciAddress? _address;
    private string _description = "";
    private bool _inSriov;
    private bool _inResizable;
    private bool _isResizableVirtual;
    private int _lastIndex = -1;
    private int _nextIndex;
    private int _withoutSize;
    private int _beyondXen;
    private int _vectors;

    /// <summary>The registers of the device that a "Region" has told, each with its words.</summary>
    private readonly Dictionary<int, string> _regions = [];
    private bool _hasRegions;
    private bool _anyHeader;

    /// <summary>Whether a line of a text names a function as lspci does.</summary>
    public static bool HasHeader(string text) => HasHeader(text, anywhere: true);

    /// <param name="text">The whole text.</param>
    /// <param name="anywhere">Whether something may stand before a function's name: a web page or a mail program indents or frames what is
    /// quoted.</param>
    private static bool HasHeader(string text, bool anywhere)
    {
        foreach (ReadOnlySpan<char> raw in text.AsSpan().EnumerateLines())
        {
            ReadOnlySpan<char> line = CitedLine.Unmarked(raw);
            if (LspciSyntax.TryHeader(anywhere ? PastedText.WithoutMarkup(line) : line, out _, out _))
                return true;
        }

        return false;
    }

    public Parsed<PciListing> Read(string text)
    {
        int lineNumber = 0;
        _anyHeader = HasHeader(text);
        // Where some functions stand at the margin, one further in is a word of what was quoted around it; but a page frames the first line.
        bool isIndented = !HasHeader(text, anywhere: false);
        if (!_anyHeader)
            _address = onlyAddress ?? PciAddress.Create(0, 0, 0);
        foreach (ReadOnlySpan<char> raw in text.AsSpan().EnumerateLines())
        {
            lineNumber++;
            ReadOnlySpan<char> line = CitedLine.Unmarked(raw);
            bool isAtMargin = !line.IsEmpty && line[0] is not (' ' or '\t');
            ReadOnlySpan<char> own = isIndented || isAtMargin ? PastedText.WithoutMarkup(line) : default;
            if (LspciSyntax.TryHeader(own, out PciAddress address, out bool isBeyondXen))
            {
                if (!TryFinishDevice(lineNumber, out InputError? full))
                    return full;
                if (isBeyondXen)
                {
                    _beyondXen++;
                    continue;
                }

                if (_devices.ContainsKey(address))
                    return InputError.Repeated(sourceName, lineNumber, $"a second device at {address}", "give the output of one lspci");
                _address = address;
                Describe(own[own.IndexOf(' ')..].Trim());
                continue;
            }

            if (isAtMargin && !IsDetail(own))
                continue;
            if (_address is not null && ReadDetail((isAtMargin ? own : line).Trim(), lineNumber) is { } error)
                return error;
        }

        if (!_anyHeader && !_hasRegions)
            return InputError.NothingInIt(sourceName, null, "no PCI device in it", Kept);
        if (!TryFinishDevice(lineNumber, out InputError? tooMany))
            return tooMany;
        if (!_anyHeader && onlyAddress is null)
            _remarks.Add("the text does not say whose windows these are: they are taken to be those of one device");
        if (_beyondXen > 0)
            _remarks.Add($"{_beyondXen} devices of PCI domains above ffff, which Xen does not know, were passed over");
        if (_withoutSize > 0)
            _remarks.Add($"{_withoutSize} windows stand without a size and were passed over; the resource files in sysfs have the sizes");
        return new PciListing([.. _devices.Values], _remarks.DrainToImmutable());
    }

    private static bool IsDetail(ReadOnlySpan<char> line)
    {
        foreach (string start in s_details)
        {
            if (line.StartsWith(start))
                return true;
        }

        return false;
    }

    private bool TryFinishDevice(int lineNumber, out InputError error)
    {
        error = null!;
        if (_address is { } address)
        {
            if (_devices.Count == BarReader.MaxDevices)
            {
                error = InputError.TooLarge(sourceName, lineNumber, $"more than {BarReader.MaxDevices} PCI devices", "give the output of one lspci");
                return false;
            }

            PciDevice device = _windows.ToDevice(address, _description);
            _devices.Add(address, device);
            foreach (UnplacedWindow window in device.Unplaced)
                _remarks.Add(BarReader.Describe(address, window));
        }

        _address = null;
        _description = "";
        _windows = new();
        _inSriov = false;
        _inResizable = false;
        _nextIndex = 0;
        _lastIndex = -1;
        _vectors = 0;
        _regions.Clear();
        return true;
    }

    /// <summary>What lspci says of the device: in words, with -nn and -n also in numbers.</summary>
    private void Describe(ReadOnlySpan<char> text)
    {
        const int longest = 200;
        _description = InputError.OneLine(text, longest);
        // "VGA compatible controller [0300]: NVIDIA … [10de:2204] (rev a1) (prog-if 00 [VGA controller])", or "0300: 10de:2204 (rev a1)".
        for (int i = 0; i + 10 < text.Length; i++)
        {
            if (text[i] == '[' && text[i + 5] == ':' && text[i + 10] == ']' && Bar.TryHex(text.Slice(i + 1, 4), out ulong vendor)
                && Bar.TryHex(text.Slice(i + 6, 4), out ulong device))
                (_windows.VendorId, _windows.DeviceId) = ((int)vendor, (int)device);
            else if (text[i] == '[' && text[i + 5] == ']' && text[i + 6] == ':' && Bar.TryHex(text.Slice(i + 1, 4), out ulong numbered))
                _windows.ClassCode = (int)numbered << 8;
        }

        if (text.Length >= 15 && text[4] == ':' && text[5] == ' ' && text[10] == ':' && Bar.TryHex(text[..4], out ulong classOnly)
            && Bar.TryHex(text.Slice(6, 4), out ulong vendorOnly) && Bar.TryHex(text.Slice(11, 4), out ulong deviceOnly))
        {
            (_windows.ClassCode, _windows.VendorId, _windows.DeviceId) = ((int)classOnly << 8, (int)vendorOnly, (int)deviceOnly);
        }

        int colon = text.IndexOf(": ");
        _windows.ClassCode ??= (colon < 0 ? default : text[..colon]) switch
        {
            "VGA compatible controller" => 0x030000,
            "3D controller" => 0x030200,
            "Display controller" => 0x038000,
            "Audio device" => 0x040300,
            "Ethernet controller" => 0x020000,
            "USB controller" => 0x0c0300,
            "Non-Volatile memory controller" => 0x010800,
            _ => null,
        };
        int interfaceAt = text.IndexOf("(prog-if ");
        if (interfaceAt >= 0 && interfaceAt + 11 <= text.Length && Bar.TryHex(text.Slice(interfaceAt + 9, 2), out ulong programming))
            _windows.ClassCode |= (int)programming;
    }

    private InputError? ReadDetail(ReadOnlySpan<char> line, int lineNumber)
    {
        if (line.StartsWith("Capabilities:"))
        {
            _inSriov = line.Contains("(SR-IOV)", StringComparison.Ordinal);
            _inResizable = line.Contains("Resizable BAR", StringComparison.Ordinal);
            _isResizableVirtual = line.Contains("Virtual Resizable BAR", StringComparison.Ordinal);
            _vectors = LspciSyntax.Vectors(line);
            return null;
        }

        if (_vectors != 0 && line.StartsWith("Vector table: BAR="))
        {
            _windows.Msix ??= Table(line["Vector table: BAR=".Length..], _vectors);
            return null;
        }

        if (_inSriov && line.StartsWith("Initial VFs:"))
        {
            ReadFunctions(line);
            return null;
        }

        if (_inResizable && line.StartsWith("BAR "))
        {
            ReadSizes(line["BAR ".Length..]);
            return null;
        }

        int index = -1;
        if (line.StartsWith("Region "))
        {
            int colon = line.IndexOf(':');
            if (colon < 0 || !int.TryParse(line["Region ".Length..colon], NumberStyles.None, CultureInfo.InvariantCulture, out index) || index > 5)
                return InputError.Malformed(sourceName, lineNumber, $"{InputError.Quote(line)} names no base address register", Kept);
            line = line[(colon + 1)..].TrimStart();
            // Those of another capability have no registers, and any size.
            if (!line.StartsWith("[enhanced] ") && !_inSriov && !IsNext(index))
            {
                if (CheckRegion(line, index, lineNumber, out bool isRepeat) is { } impossible)
                    return impossible;
                if (isRepeat)
                    return null;
            }
        }

        // Virtual functions have no registers of their own, some functions have them in another capability: the window is one all the same.
        while (line.StartsWith("[virtual] ") || line.StartsWith("[enhanced] "))
            line = line[(line.IndexOf(']') + 1)..].TrimStart();
        if (line.StartsWith("I/O ports at "))
            return ReadPorts(line["I/O ports at ".Length..], index, lineNumber);
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

    /// <summary>What no register can be; null where it can, or stands there a second time in the same words.</summary>
    private InputError? CheckRegion(ReadOnlySpan<char> line, int index, int lineNumber, out bool isRepeat)
    {
        isRepeat = _regions.TryGetValue(index, out string? known) && line.SequenceEqual(known);
        if (isRepeat)
            return null;
        const string is64Bit = "(64-bit";
        if (known is not null)
            return InputError.Repeated(sourceName, lineNumber, $"region {index} of a device is there a second time, and says something else", Kept);
        if (_regions.TryGetValue(index - 1, out string? before) && before.Contains(is64Bit, StringComparison.Ordinal))
            return InputError.Malformed(sourceName, lineNumber, $"region {index} is the upper half of region {index - 1}, which has 64 bits", Kept);
        if (index == Bar.RomIndex - 1 && line.Contains(is64Bit, StringComparison.Ordinal))
            return InputError.Malformed(sourceName, lineNumber, $"region {index} is the last register and cannot have 64 bits", Kept);
        if (LspciSyntax.TrySizeIn(line, out ulong sizeBytes) && !ulong.IsPow2(sizeBytes))
            return InputError.OutOfRange(sourceName, lineNumber, $"a region of {ByteSize.ToText(sizeBytes)}: its size is a power of two", Kept);
        _regions[index] = line.ToString();
        return null;
    }

    /// <summary><c>3 offset=00002000</c>; null where it is something else: the table is a detail, its windows are what counts.</summary>
    private static MsixTable? Table(ReadOnlySpan<char> text, int vectors)
    {
        const string mark = " offset=";
        int at = text.IndexOf(mark, StringComparison.Ordinal);
        return at == 1 && text[0] is >= '0' and <= '5' && Bar.TryHex(text[(at + mark.Length)..].Trim(), out ulong offset) && offset <= uint.MaxValue
            && offset % MsixTable.OffsetAlignment == 0
            ? new MsixTable(text[0] - '0', offset, vectors)
            : null;
    }

    /// <summary><c>Initial VFs: 16, Total VFs: 16, Number of VFs: 0, …</c></summary>
    private void ReadFunctions(ReadOnlySpan<char> line)
    {
        if (LspciSyntax.TryCount(line, "Total VFs: ", out int total) && total > 0)
            _windows.Sriov ??= new(total, LspciSyntax.TryCount(line, "Number of VFs: ", out int enabled) ? Math.Min(enabled, total) : 0);
    }

    /// <summary><c>1: current size: 32GB, supported: 64MB 128MB …</c>; passed over where it is something else.</summary>
    private void ReadSizes(ReadOnlySpan<char> line)
    {
        const string current = ": current size: ";
        const string supported = "supported: ";
        int at = line.IndexOf(current);
        if (at != 1 || line[0] is < '0' or > '5')
            return;
        ReadOnlySpan<char> rest = line[(at + current.Length)..];
        int comma = rest.IndexOf(',');
        if (!LspciSyntax.TryUnit(comma < 0 ? rest : rest[..comma], out ulong now))
            return;
        var sizes = new SortedSet<ulong>();
        int list = rest.IndexOf(supported);
        if (list >= 0)
        {
            foreach (Range part in rest[(list + supported.Length)..].Split(' '))
            {
                if (LspciSyntax.TryUnit(rest[(list + supported.Length)..][part], out ulong size))
                    sizes.Add(size);
            }
        }

        _windows.AddResizable(new(line[0] - '0', now, [.. sizes], _isResizableVirtual));
    }

    private InputError? ReadPorts(ReadOnlySpan<char> line, int index, int lineNumber)
    {
        int register = index < 0 ? Math.Min(_nextIndex, Bar.RomIndex - 1) : index;
        _nextIndex++;
        if (!TryNextDevice(register, lineNumber, out InputError? error))
            return error;
        if (!_inSriov && LspciSyntax.TrySizeIn(line, out ulong sizeBytes))
            _windows.AddPorts(register, sizeBytes);
        return null;
    }

    private InputError? ReadMemory(ReadOnlySpan<char> line, int index, int lineNumber)
    {
        bool is64Bit = line.Contains("64-bit", StringComparison.Ordinal);
        if (index < 0)
        {
            index = Math.Min(_nextIndex, Bar.RomIndex - 1);
            _nextIndex += is64Bit ? 2 : 1;
        }

        if (_inSriov)
            return ReadAt(line, lineNumber, index + Bar.FirstVirtualFunctionIndex, BarKind.VirtualFunction);
        return TryNextDevice(index, lineNumber, out InputError? error) ? ReadAt(line, lineNumber, index, BarKind.Memory) : error;
    }

    /// <summary>In a text without functions a register whose number does not rise is the next function's.</summary>
    private bool TryNextDevice(int index, int lineNumber, out InputError error)
    {
        error = null!;
        _hasRegions = true;
        bool isNext = IsNext(index);
        _lastIndex = index;
        if (!isNext || _address is not { } address || address.Function == 7 || address.Domain != 0 || _devices.ContainsKey(Next(address)))
            return true;
        if (!TryFinishDevice(lineNumber, out error))
            return false;
        _lastIndex = index;
        _address = Next(address);
        return true;
    }

    private bool IsNext(int index) => index <= _lastIndex && !_anyHeader;

    private static PciAddress Next(PciAddress address) => PciAddress.Create(address.Bus, address.Device, address.Function + 1);

    /// <summary><c>febc0000 (32-bit, non-prefetchable) [disabled] [size=128K]</c>; a word in angle brackets stands in place of an address that there
    /// is none.</summary>
    private InputError? ReadAt(ReadOnlySpan<char> line, int lineNumber, int index, BarKind kind)
    {
        bool isPrefetchable = line.Contains(" prefetchable", StringComparison.Ordinal);
        bool is64Bit = line.Contains("64-bit", StringComparison.Ordinal);
        bool hasSize = LspciSyntax.TrySizeIn(line, out ulong sizeBytes);
        if (!hasSize && line.Contains("[size=", StringComparison.Ordinal))
            return InputError.Malformed(sourceName, lineNumber, $"{InputError.Quote(line[line.IndexOf("[size=")..])} is not a valid size", Kept);
        if (line.StartsWith("<"))
        {
            int close = line.IndexOf('>');
            string sign = close is > 0 and < 20 ? InputError.OneLine(line[..(close + 1)], 20) : "<?>";
            _windows.AddUnplaced(new(index, kind, sizeBytes, is64Bit, isPrefetchable, $"lspci shows {sign}"));
            return null;
        }

        int end = line.IndexOfAny(' ', '\t');
        if (!Bar.TryHex(end < 0 ? line : line[..end], out ulong start))
            return InputError.Malformed(sourceName, lineNumber, $"{InputError.Quote(line)} does not start with an address", Kept);
        if (!hasSize)
        {
            _withoutSize++;
            return null;
        }

        if (BarReader.Check(sourceName, lineNumber, start, (UInt128)start + sizeBytes) is { } error)
            return error;
        ulong limit = start + sizeBytes;
        if (kind == BarKind.Rom && WindowList.IsShadow(start, limit))
            _windows.AddShadowRom(sizeBytes);
        else
            _windows.Add(new Bar(index, kind, start, limit, is64Bit, isPrefetchable));
        return null;
    }

    /// <summary><c>f0000000-f1ffffff [size=32M] [32-bit]</c>, the end inclusive; nothing but [disabled], or a start behind the end, is a window that
    /// is closed.</summary>
    private InputError? ReadWindow(ReadOnlySpan<char> text, int lineNumber, bool isPrefetchable)
    {
        ReadOnlySpan<char> line = text.Trim();
        if (line.StartsWith("[") || line.StartsWith("None", StringComparison.Ordinal))
            return null;
        int end = line.IndexOfAny(' ', '\t');
        ReadOnlySpan<char> range = end < 0 ? line : line[..end];
        int dash = range.IndexOf('-');
        if (dash < 0 || !Bar.TryHex(range[..dash], out ulong start) || !Bar.TryHex(range[(dash + 1)..], out ulong last))
            return InputError.Malformed(sourceName, lineNumber, $"{InputError.Quote(line)} is not a valid address range", Kept);
        if (line.Contains("[disabled]", StringComparison.Ordinal) || start > last)
            return null;
        if (BarReader.Check(sourceName, lineNumber, start, (UInt128)last + 1) is { } error)
            return error;
        ulong limit = last + 1;
        bool is64Bit = line.Contains("[64-bit]", StringComparison.Ordinal) || range.Length - dash - 1 > 8;
        _windows.Add(new Bar(Bar.FirstBridgeIndex + (isPrefetchable ? 2 : 1), BarKind.BridgeWindow, start, limit, is64Bit, isPrefetchable));
        return null;
    }
}
