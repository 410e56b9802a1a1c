// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Pci;

/// <summary>
/// What a Linux's log says of the windows of PCI functions: what it found in their registers, what it assigned, and for what it had no space. The
/// last word on a window counts.
/// </summary>
/// <remarks>
/// Source: Linux' drivers/pci/probe.c, setup-res.c, setup-bus.c and iov.c: <c>reg 0x10: [mem …]</c> and <c>BAR 0: assigned [mem …]</c> up to 6.9,
/// <c>BAR 0 [mem …]: assigned</c> since.
/// </remarks>
internal sealed class KernelLogReader(string sourceName)
{
    /// <summary>Where the registers are in the configuration space, and the capability of virtual functions at its earliest.</summary>
    private const ulong FirstRegister = 0x10;
    private const ulong LastRegister = 0x24;
    private const ulong RomRegister = 0x30;
    private const ulong FirstExtendedRegister = 0x100;

    private readonly SortedDictionary<PciAddress, Function> _functions = [];

    private sealed class Function
    {
        public SortedDictionary<int, Window> Windows { get; } = [];

        public int? VendorId { get; set; }

        public int? DeviceId { get; set; }

        public int? ClassCode { get; set; }

        public int TotalFunctions { get; set; }
    }

    /// <summary>Start is null where there is no address; size is 0 where it is not told.</summary>
    private readonly record struct Window(ulong? Start, ulong SizeBytes, bool IsPorts, bool Is64Bit, bool IsPrefetchable, string Sign);

    /// <summary>Whether a line of a text tells of a window of a function.</summary>
    public static bool HasDevice(string text)
    {
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            if (TryFunction(line, out _, out ReadOnlySpan<char> rest) && (rest.Contains("[mem ", StringComparison.Ordinal) || rest.Contains("[io ", StringComparison.Ordinal)))
                return true;
        }

        return false;
    }

    public Parsed<PciListing> Read(string text)
    {
        int lineNumber = 0;
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            lineNumber++;
            if (line.Contains("NVRM: BAR", StringComparison.Ordinal))
                ReadNvidia(line);
            if (!TryFunction(line, out PciAddress address, out ReadOnlySpan<char> rest))
                continue;
            if (!_functions.TryGetValue(address, out Function? function))
            {
                if (_functions.Count == BarReader.MaxDevices)
                    return new InputError(sourceName, lineNumber, $"more than {BarReader.MaxDevices} PCI devices", "give the log of one boot");
                _functions.Add(address, function = new());
            }

            ReadLine(function, rest);
        }

        var devices = ImmutableArray.CreateBuilder<PciDevice>();
        var remarks = ImmutableArray.CreateBuilder<string>();
        foreach ((PciAddress address, Function function) in _functions)
        {
            if (function.Windows.Count == 0)
                continue;
            PciDevice device = ToDevice(address, function);
            devices.Add(device);
            remarks.AddRange(device.Unplaced.Select(window => BarReader.Describe(address, window)));
        }

        return new PciListing(devices.DrainToImmutable(), remarks.DrainToImmutable());
    }

    /// <summary>Finds <c>pci 0000:01:00.0: …</c> (or another driver's name) in a line.</summary>
    private static bool TryFunction(ReadOnlySpan<char> line, out PciAddress address, out ReadOnlySpan<char> rest)
    {
        rest = default;
        address = default;
        int from = 0;
        // An address has a dot and a digit before its colon.
        while (line[from..].IndexOf(": ") is >= 0 and int at)
        {
            int end = from + at;
            int start = line[..end].LastIndexOf(' ') + 1;
            if (end - start is >= 12 and <= 14 && PciAddress.TryParse(line[start..end], out address))
            {
                rest = line[(end + 2)..];
                return true;
            }

            from = end + 2;
        }

        return false;
    }

    private static void ReadLine(Function function, ReadOnlySpan<char> text)
    {
        text = text.TrimStart();
        if (text.StartsWith("[") && ReadIdentity(function, text))
            return;
        if (text.StartsWith("reg "))
        {
            ReadRegister(function, text["reg ".Length..]);
            return;
        }

        if (text.StartsWith("VF(n) BAR"))
        {
            ReadOldVirtual(function, text["VF(n) BAR".Length..]);
            return;
        }

        if (text.StartsWith("can't claim "))
        {
            // "can't claim BAR 0 [mem 0x…]: no compatible bridge window": it has an address, and the kernel does not let it have it.
            ReadNamed(function, text["can't claim ".Length..], "the kernel cannot claim it");
            return;
        }

        ReadNamed(function, text, null);
    }

    /// <summary><c>[10de:2330] type 00 class 0x030200</c></summary>
    private static bool ReadIdentity(Function function, ReadOnlySpan<char> text)
    {
        if (text.Length < 11 || text[5] != ':' || text[10] != ']' || !Bar.TryHex(text.Slice(1, 4), out ulong vendor) || !Bar.TryHex(text.Slice(6, 4), out ulong device))
            return false;
        (function.VendorId, function.DeviceId) = ((int)vendor, (int)device);
        int at = text.IndexOf("class 0x");
        if (at >= 0)
        {
            var cursor = new TextCursor(text[(at + "class 0x".Length)..]);
            if (cursor.TryHex(out ulong code) && code <= 0xff_ffff)
                function.ClassCode = (int)code;
        }

        return true;
    }

    /// <summary><c>0x10: [mem 0xdb000000-0xdbffffff 64bit pref]</c>, up to 3.x without the 0x.</summary>
    private static void ReadRegister(Function function, ReadOnlySpan<char> text)
    {
        var cursor = new TextCursor(text);
        cursor.TryText("0x");
        if (!cursor.TryHex(out ulong register) || !cursor.TryText(": ") || !TryResource(cursor.Rest, out Window window, out _))
            return;
        int index = register switch
        {
            >= FirstRegister and <= LastRegister => (int)(register - FirstRegister) / 4,
            RomRegister => Bar.RomIndex,
            // Of a capability only the distance is known: "VF(n) BAR0" behind it tells the register and the whole.
            _ => -1,
        };
        if (index >= 0 && register < FirstExtendedRegister)
            function.Windows[index] = window;
    }

    /// <summary><c>0 space: [mem 0x… 64bit pref] (contains BAR0 for 64 VFs)</c></summary>
    private static void ReadOldVirtual(Function function, ReadOnlySpan<char> text)
    {
        const string mark = " space: ";
        if (text.Length < 2 || text[0] is < '0' or > '5' || !text[1..].StartsWith(mark) || !TryResource(text[(1 + mark.Length)..], out Window window, out ReadOnlySpan<char> rest))
            return;
        function.Windows[Bar.FirstVirtualFunctionIndex + text[0] - '0'] = window;
        ReadCount(function, rest);
    }

    private static void ReadCount(Function function, ReadOnlySpan<char> text)
    {
        int at = text.IndexOf(" for ");
        if (at < 0)
            return;
        var cursor = new TextCursor(text[(at + " for ".Length)..]);
        if (cursor.TryDecimal(out uint count) && cursor.TryText(" VFs") && count is > 0 and <= 0xffff)
            function.TotalFunctions = (int)count;
    }

    /// <summary>
    /// <c>BAR 0 [mem …]</c>, <c>ROM [mem …]</c>, <c>VF BAR 0 [mem …]</c>, each alone or with <c>: assigned</c>, <c>: can't assign; no space</c> and
    /// the like behind; of old <c>BAR 0: assigned [mem …]</c>, <c>BAR 0: no space for [mem size 0x…]</c>, with 6 for the ROM and 7 on for virtual functions.
    /// </summary>
    private static void ReadNamed(Function function, ReadOnlySpan<char> text, string? sign)
    {
        int index;
        bool isVirtual = text.StartsWith("VF ");
        if (isVirtual)
            text = text["VF ".Length..];
        if (text.StartsWith("ROM") && !isVirtual)
        {
            index = Bar.RomIndex;
            text = text["ROM".Length..];
        }
        else if (text.StartsWith("BAR "))
        {
            var cursor = new TextCursor(text["BAR ".Length..]);
            if (!cursor.TryDecimal(out uint number) || number >= (isVirtual ? 6u : Bar.FirstBridgeIndex))
                return;
            index = isVirtual ? Bar.FirstVirtualFunctionIndex + (int)number : (int)number;
            text = cursor.Rest;
        }
        else
        {
            return;
        }

        bool isNew = text.StartsWith(" [");
        text = text.TrimStart(" :");
        int open = text.IndexOf('[');
        if (open < 0 || !TryResource(text[open..], out Window window, out ReadOnlySpan<char> behind))
            return;
        ReadOnlySpan<char> word = isNew ? behind.TrimStart(": ") : text[..open].TrimEnd();
        ReadCount(function, behind);
        function.Windows[index] = Say(function.Windows.GetValueOrDefault(index), window, word, sign);
    }

    private static Window Say(Window before, Window window, ReadOnlySpan<char> word, string? sign)
    {
        // "[mem size 0x…]" has no address; a size that was told once stays.
        if (window.SizeBytes == 0)
            window = window with { SizeBytes = before.SizeBytes };
        if (sign is null && (word.Contains("no space", StringComparison.Ordinal) || word.Contains("can't assign", StringComparison.Ordinal)
            || word.Contains("failed to assign", StringComparison.Ordinal) || word.Contains("can't claim", StringComparison.Ordinal)))
        {
            sign = "the kernel's log says " + (word.Contains("can't claim", StringComparison.Ordinal) ? "that it cannot be claimed"
                : word.Contains("no space", StringComparison.Ordinal) ? "that there is no space for it"
                : "that it cannot be assigned");
            // "failed to assign" follows the reason, which tells more.
            if (before is { Start: null, Sign.Length: > 0 } && !word.Contains("no space", StringComparison.Ordinal))
                sign = before.Sign;
        }

        if (sign is null && word.Contains("releasing", StringComparison.Ordinal))
            sign = "the kernel's log says that it was released";
        return sign is null ? window : window with { Start = null, Sign = sign };
    }

    /// <summary><c>[mem 0xA-0xB 64bit pref]</c>, <c>[mem size 0xS 64bit pref]</c>, <c>[io  0xe000-0xe03f]</c>; the end inclusive.</summary>
    private static bool TryResource(ReadOnlySpan<char> text, out Window window, out ReadOnlySpan<char> rest)
    {
        window = default;
        rest = default;
        int close = text.IndexOf(']');
        if (!text.StartsWith("[") || close < 0)
            return false;
        rest = text[(close + 1)..];
        text = text[1..close];
        bool isPorts = text.StartsWith("io ");
        if (!isPorts && !text.StartsWith("mem "))
            return false;
        var cursor = new TextCursor(text[(isPorts ? 3 : 4)..]);
        cursor.SkipBlanks();
        bool isSize = cursor.TryText("size ");
        if (!cursor.TryText("0x") || !cursor.TryHex(out ulong first))
            return false;
        ulong last = 0;
        if (!isSize && (!cursor.TryText("-0x") || !cursor.TryHex(out last) || last < first || last - first >= Frames.AddressLimit || last >= Frames.AddressLimit))
            return false;
        if (isSize && first > Frames.AddressLimit)
            return false;
        ReadOnlySpan<char> flags = cursor.Rest;
        ulong size = isSize ? first : last - first + 1;
        // A register that nobody wrote reads as 0: the size is told, the place is none.
        bool isPlaced = !isSize && first != 0;
        window = new(isPlaced ? first : null, size, isPorts, flags.Contains("64bit", StringComparison.Ordinal), flags.Contains("pref", StringComparison.Ordinal),
            isPlaced ? "" : "the kernel's log shows no address");
        return true;
    }

    /// <summary><c>NVRM: BAR1 is 0M @ 0x0 (PCI:0000:01:00.0)</c>: its driver found no address in the register.</summary>
    private void ReadNvidia(ReadOnlySpan<char> line)
    {
        int at = line.IndexOf("NVRM: BAR");
        var cursor = new TextCursor(line[(at + "NVRM: BAR".Length)..]);
        if (!cursor.TryDecimal(out uint index) || index > 5 || !cursor.TryText(" is 0M @ 0x0 (PCI:"))
            return;
        int close = cursor.Rest.IndexOf(')');
        if (close < 0 || !PciAddress.TryParse(cursor.Rest[..close], out PciAddress address) || _functions.Count >= BarReader.MaxDevices)
            return;
        if (!_functions.TryGetValue(address, out Function? function))
            _functions.Add(address, function = new());
        Window before = function.Windows.GetValueOrDefault((int)index, new(null, 0, false, Is64Bit: true, IsPrefetchable: true, ""));
        function.Windows[(int)index] = before with { Start = null, Sign = "NVIDIA's driver found it at address 0" };
    }

    private static PciDevice ToDevice(PciAddress address, Function function)
    {
        var windows = new WindowList { VendorId = function.VendorId, DeviceId = function.DeviceId, ClassCode = function.ClassCode };
        if (function.TotalFunctions > 0)
            windows.Sriov = new(function.TotalFunctions, 0);
        foreach ((int index, Window window) in function.Windows)
        {
            BarKind kind = index == Bar.RomIndex ? BarKind.Rom : index < Bar.RomIndex ? BarKind.Memory : BarKind.VirtualFunction;
            if (window.IsPorts)
            {
                if (kind == BarKind.Memory)
                    windows.AddPorts(index, window.SizeBytes);
            }
            else if (window.Start is not { } start)
            {
                windows.AddUnplaced(new(index, kind, window.SizeBytes, window.Is64Bit, window.IsPrefetchable, window.Sign));
            }
            else if (kind == BarKind.Rom && WindowList.IsShadow(start, start + window.SizeBytes))
            {
                windows.AddShadowRom(window.SizeBytes);
            }
            else
            {
                windows.Add(new Bar(index, kind, start, start + window.SizeBytes, window.Is64Bit, window.IsPrefetchable));
            }
        }

        return windows.ToDevice(address, "");
    }
}
