// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Pci;

/// <summary>
/// lshw's text: <c>bus info: pci@0000:01:00.0</c>, and in <c>resources:</c> the ranges of what Linux tells in <c>resource</c>, without the numbers of
/// the rows and their flags. Which of them has 64 bits, or is prefetchable, or the ROM, it does not tell.
/// </summary>
/// <remarks>Source: lshw's pci.cc and hw.cc: "(prefetchable)" tests a bit that has meant something else since Linux 2.6.29; <c>iomemory:</c> is no
/// range, but the upper half of a register.</remarks>
internal sealed class LshwReader(string sourceName)
{
    private const string BusInfo = "bus info: pci@";
    private const string Resources = "resources:";
    private const string Memory = "memory:";
    private const string Kept = "give what lspci -vv prints, as root";

    /// <summary>More ranges than any function has: 17 rows.</summary>
    private const int MaxRanges = 17;

    private readonly SortedDictionary<PciAddress, PciDevice> _devices = [];
    private readonly ImmutableArray<string>.Builder _remarks = ImmutableArray.CreateBuilder<string>();
    private PciAddress? _address;
    private string _description = "";
    private bool _isBridge;

    /// <summary>Whether a line of a text names a function as lshw does, and another tells ranges.</summary>
    public static bool IsOne(string text) => text.Contains(BusInfo, StringComparison.Ordinal) && text.Contains(Resources, StringComparison.Ordinal);

    public Parsed<PciListing> Read(string text)
    {
        int lineNumber = 0;
        foreach (ReadOnlySpan<char> raw in text.AsSpan().EnumerateLines())
        {
            lineNumber++;
            ReadOnlySpan<char> line = CitedLine.Unmarked(raw).Trim();
            if (line.StartsWith("*-"))
            {
                ReadOnlySpan<char> node = line[2..];
                int end = node.IndexOfAny(" :");
                // What it calls a bridge, with and without the numbers that tell several apart.
                (_address, _description, _isBridge) = (null, "", (end < 0 ? node : node[..end]) is "pci");
            }
            else if (line.StartsWith("description: "))
            {
                const int longest = 200;
                ReadOnlySpan<char> words = line["description: ".Length..];
                _description = InputError.OneLine(words, longest);
            }
            else if (line.StartsWith(BusInfo))
            {
                _address = PciAddress.TryParse(line[BusInfo.Length..], out PciAddress address) ? address : null;
            }
            else if (line.StartsWith(Resources) && _address is { } owner && ReadRanges(line[Resources.Length..], owner, lineNumber) is { } error)
            {
                return error;
            }
        }

        return _devices.Count == 0
            ? InputError.NothingInIt(sourceName, null, "a list of lshw, and no device in it tells its resources", Kept)
            : new PciListing([.. _devices.Values], _remarks.DrainToImmutable()) { HasOnlyRanges = true };
    }

    private InputError? ReadRanges(ReadOnlySpan<char> text, PciAddress owner, int lineNumber)
    {
        if (_devices.ContainsKey(owner))
            return InputError.Repeated(sourceName, lineNumber, $"a second device at {owner}", "give the output of one lshw");
        if (_devices.Count == BarReader.MaxDevices)
            return InputError.TooLarge(sourceName, lineNumber, $"more than {BarReader.MaxDevices} PCI devices", "give the output of one lshw");
        var windows = new WindowList();
        int ranges = 0;
        foreach (Range part in text.Split(' '))
        {
            ReadOnlySpan<char> word = text[part];
            if (!word.StartsWith(Memory))
                continue;
            ReadOnlySpan<char> range = word[Memory.Length..];
            int end = range.IndexOf('(');
            if (end >= 0)
                range = range[..end];
            int dash = range.IndexOf('-');
            if (dash < 0 || !Bar.TryHex(range[..dash], out ulong start) || !Bar.TryHex(range[(dash + 1)..], out ulong last))
                return InputError.Malformed(sourceName, lineNumber, $"{InputError.Quote(word)} is not a valid address range", Kept);
            if (BarReader.Check(sourceName, lineNumber, start, (UInt128)last + 1) is { } error)
                return error;
            if (ranges++ == MaxRanges)
                return InputError.TooLarge(sourceName, lineNumber, $"more than {MaxRanges} windows, the most that a device has", Kept);
            Add(windows, start, last + 1, owner);
        }

        _devices.Add(owner, windows.ToDevice(owner, _description));
        return null;
    }

    private void Add(WindowList windows, ulong start, ulong end, PciAddress owner)
    {
        bool is64Bit = end > Addresses.Frames.FourGiB;
        // A row without an address begins at 0.
        if (start == 0)
            _remarks.Add($"{owner}: a window of {ByteSize.ToText(end)} has no address on this host: lshw shows it at 0");
        else if (_isBridge)
            windows.Add(new Bar(Bar.FirstBridgeIndex + 1, BarKind.BridgeWindow, start, end, is64Bit, IsPrefetchable: false));
        else if (!WindowList.IsShadow(start, end))
            windows.Add(new Bar(0, BarKind.Memory, start, end, is64Bit, IsPrefetchable: false));
    }
}
