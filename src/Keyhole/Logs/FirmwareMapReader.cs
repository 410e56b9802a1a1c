// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>Reads the maps that a guest's firmware prints itself: SeaBIOS the one that it hands over, hvmloader the one that it gives to its
/// BIOS.</summary>
/// <remarks>Source: SeaBIOS' src/e820map.c (dump_map), Xen's tools/firmware/hvmloader/e820.c (dump_e820_table).</remarks>
internal sealed class FirmwareMapReader
{
    /// <summary>One of these stands in every line of such a map.</summary>
    public static readonly string[] Words = ["e820 map has ", " = 1 RAM", " = 2 RESERVED", " = 3 ACPI", " = 4 NVS", " = 5 UNUSABLE", "]: 000000"];

    public const string SeaBiosTitle = "e820 map";
    public const string HvmloaderTitle = "E820 table";

    private const string Heading = "e820 map has ";
    private const int MostMaps = 64;

    private readonly List<LogMap> _maps = [];
    private readonly List<E820Entry> _entries = [];
    private readonly List<int> _lines = [];
    private string _title = "";
    private int? _domain;
    private uint _next;
    private bool _beginsLate;
    private uint? _count;
    private (uint Count, int? Domain)? _heading;

    /// <summary>In the log's order; <see cref="LogMap.IsTitled"/> where the first entry is there, without <see cref="LogMap.OpenLine"/> where the
    /// last is.</summary>
    public ImmutableArray<LogMap> ToMaps()
    {
        Close();
        return [.. _maps];
    }

    /// <param name="domain">The guest on whose console the line stands; null where its prefix is of another kind than a log's own.</param>
    public void Read(ReadOnlySpan<char> line, int number, int? domain)
    {
        domain ??= DomainIn(line);
        if (TextCursor.TryBehind(line, Heading, out TextCursor cursor) && cursor.TryDecimal(out uint count) && cursor.TryText(" items"))
        {
            Close();
            _heading = (count, domain);
            return;
        }

        if (!TryEntry(line, out uint index, out E820Entry entry, out string title))
            return;
        bool goesOn = _entries.Count > 0 && title == _title && domain == _domain && index == _next;
        if (!goesOn)
        {
            Close();
            _title = title;
            _domain = domain;
            _beginsLate = index != 0;
            _count = _heading is { } heading && heading.Domain == domain ? heading.Count : null;
            _heading = null;
        }

        _entries.Add(entry);
        _lines.Add(number);
        _next = index + 1;
    }

    /// <summary>Collectors put stamps of theirs before "(d1)".</summary>
    public static int? DomainIn(ReadOnlySpan<char> line) =>
        TextCursor.TryBehind(line, " (d", out TextCursor guest) && guest.TryDecimal(out uint own) && guest.TryText(") ")
            ? (int)uint.Min(own, ushort.MaxValue) : null;

    private void Close()
    {
        if (_entries.Count > 0 && _maps.Count < MostMaps)
        {
            bool isWhole = _count == _next;
            _maps.Add(new(LogMapKind.LinuxFirmware, HostMapDialect.Linux, _title, _lines[0], [.. _entries], [.. _lines], null)
            {
                Domain = _domain,
                IsTitled = !_beginsLate,
                OpenLine = isWhole ? null : _lines[^1] + 1,
            });
        }

        _entries.Clear();
        _lines.Clear();
        _count = null;
    }

    private static bool TryEntry(ReadOnlySpan<char> line, out uint index, out E820Entry entry, out string title)
    {
        entry = default;
        title = SeaBiosTitle;
        // "(d1)   7: 0000000100000000 - 0000000148000000 = 1 RAM"
        for (int colon = line.IndexOf(": "); colon > 0; colon = Next(line, colon))
        {
            int start = colon;
            while (start > 0 && char.IsAsciiDigit(line[start - 1]))
                start--;
            var number = new TextCursor(line[start..]);
            var cursor = new TextCursor(line[(colon + 2)..]);
            if (start < colon && number.TryDecimal(out index) && cursor.HexRun() == 16 && cursor.TryHex(out ulong from) && cursor.TryText(" - ")
                && cursor.HexRun() == 16 && cursor.TryHex(out ulong to) && cursor.TryText(" = ") && cursor.TryDecimal(out uint type)
                && cursor.TryText(" ") && from < to && type <= (uint)E820Type.Unusable)
                return TryMake(from, to, (E820Type)type, out entry);
        }

        // "(d4) [03]: 00000000:fc000000 - 00000001:00000000: RESERVED"
        title = HvmloaderTitle;
        index = 0;
        return line.IndexOf('[') is >= 0 and int open && TryHvmloaders(line[(open + 1)..], out index, out entry);
    }

    private static int Next(ReadOnlySpan<char> line, int colon)
    {
        int next = line[(colon + 1)..].IndexOf(": ");
        return next < 0 ? -1 : colon + 1 + next;
    }

    private static bool TryHvmloaders(ReadOnlySpan<char> text, out uint index, out E820Entry entry)
    {
        entry = default;
        var cursor = new TextCursor(text);
        if (!cursor.TryDecimal(out index) || !cursor.TryText("]: ") || !TryWide(ref cursor, out ulong from) || !cursor.TryText(" - ")
            || !TryWide(ref cursor, out ulong to) || !cursor.TryText(": ") || from >= to)
            return false;
        E820Type? type = cursor.Rest.Trim() switch
        {
            "RAM" => E820Type.Ram,
            "RESERVED" => E820Type.Reserved,
            "ACPI" => E820Type.Acpi,
            "NVS" => E820Type.Nvs,
            _ => null,
        };
        return type is { } known && TryMake(from, to, known, out entry);
    }

    private static bool TryWide(ref TextCursor cursor, out ulong address)
    {
        address = 0;
        if (cursor.HexRun() != 8 || !cursor.TryHex(out ulong high) || !cursor.TryText(":") || cursor.HexRun() != 8 || !cursor.TryHex(out ulong low))
            return false;
        address = (high << 32) | low;
        return true;
    }

    private static bool TryMake(ulong from, ulong to, E820Type type, out E820Entry entry)
    {
        entry = default;
        if (to > Frames.AddressLimit)
            return false;
        entry = E820Entry.FromBounds(from, to, type);
        return true;
    }
}
