// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Reading;

namespace Keyhole.Captures;

/// <summary>
/// Reads the map that libxl prints with <c>xl -vvv</c>: a line that tells what it was made from, then a line for each entry (e820_sanitize in
/// libxl_x86.c, the same since 2013). The map begins with RAM at 0, has something where the line says that the PCI hole starts, RAM at 4 GiB where
/// it says that there is a balloon or a delta, and the local APICs, which Xen adds to every machine's map: where one is missing, lines are.
/// </summary>
internal static class LibxlMapReader
{
    private const string Printer = "e820_sanitize";

    /// <summary>No entries where libxl has no lines in it.</summary>
    public static Parsed<GuestMap> Read(Stream whole, string sourceName)
    {
        var map = new Map();
        int maps = 0;
        string? summary = null;
        var unread = new UnreadParts();
        try
        {
            ReadOnlyMemory<byte> head = StreamHead.ReadText(ref whole, unread);
            var text = new TextLines(head, whole);
            while (text.TryRead(out ReadOnlySpan<char> line))
            {
                if (!TryLine(line, out ulong start, out ulong end, out E820Type? type))
                {
                    NoteOther(line, text.Number, map, ref summary);
                    continue;
                }

                // Entries of one map follow each other, but for what other programs write in between; a map begins with the guest's RAM at 0.
                if (start == 0 || map.FirstLine == 0)
                {
                    map = new() { FirstLine = text.Number, Summary = summary };
                    summary = null;
                    maps++;
                }

                // That lines of the map were left out only an entry behind them shows.
                if (map.OmissionLine != 0)
                    map.Damage(map.OmissionLine);
                if (type is not { } known)
                {
                    map.Damage(text.Number);
                    continue;
                }

                if (!EntryRange.OfFrames(start, end).TryMakeEntry(known, sourceName, text.Number, out E820Entry entry, out InputError? error))
                    return error!;
                if (map.Entries.Count == Host.MaxEntries)
                    return HostMapErrors.TooManyEntries(sourceName, text.Number);
                map.Entries.Add(entry);
            }
        }
        catch (InvalidDataException damaged)
        {
            return PackedErrors.Unreadable(sourceName, damaged);
        }

        string[] parts = map.Entries.Count == 0 ? [] : [.. map.MissingParts()];
        string[] others = maps > 1
            ? [$"the last of {maps} maps that libxl printed is taken (line {map.FirstLine}); to take another, give its lines alone"] : [];
        return new GuestMap([.. map.Entries], $"libxl's map, line {map.FirstLine} of {sourceName}", [.. others, .. parts])
        {
            IsPart = parts.Length > 0,
        };
    }

    private static void NoteOther(ReadOnlySpan<char> line, int number, Map map, ref string? summary)
    {
        int at = line.IndexOf("Memory: ", StringComparison.Ordinal);
        if (at >= 0 && line[at..].Contains("End of RAM: 0x", StringComparison.Ordinal))
            summary = line[at..].ToString();
        else if (map.FirstLine != 0 && line.Contains(Printer, StringComparison.Ordinal))
            map.Damage(number);
        else if (OmissionMarks.KindOf(line) is OmissionKind.Written or OmissionKind.Counted)
            map.OmissionLine = number;
    }

    /// <summary><c>[20000 -&gt; 20200] Reserved</c>, in page frames, whatever stands before it.</summary>
    /// <param name="type">Null where the word is none of libxl's, or is cut.</param>
    private static bool TryLine(ReadOnlySpan<char> line, out ulong start, out ulong end, out E820Type? type)
    {
        start = 0;
        end = 0;
        type = null;
        int open = line.LastIndexOf('[');
        if (open < 0)
            return false;
        TextCursor cursor = new(line[(open + 1)..]);
        if (!cursor.TryHex(out start) || !cursor.TryText(" -> ") || !cursor.TryHex(out end) || !cursor.TryText("]"))
            return false;
        ReadOnlySpan<char> word = cursor.Rest.Trim();
        foreach ((string name, E820Type known) in s_names)
        {
            if (word.Equals(name, StringComparison.OrdinalIgnoreCase))
                type = known;
        }

        return type is not null || line.Contains(Printer, StringComparison.Ordinal);
    }

    /// <summary>libxl's names; people who type them do not mind their case. What has none of these it calls Unknown.</summary>
    private static readonly (string Name, E820Type Type)[] s_names =
    [
        ("RAM", E820Type.Ram), ("Reserved", E820Type.Reserved), ("ACPI", E820Type.Acpi), ("ACPI NVS", E820Type.Nvs), ("Unusable", E820Type.Unusable),
    ];

    private sealed class Map
    {
        public List<E820Entry> Entries { get; } = [];

        public int FirstLine { get; init; }

        /// <summary>What libxl said that it makes the map from; null where the log has it not.</summary>
        public string? Summary { get; init; }

        /// <summary>The first line that is no whole entry; 0 without any.</summary>
        private int _damagedLine;

        /// <summary>Where somebody has left lines out; 0 where nobody did.</summary>
        public int OmissionLine { get; set; }

        public void Damage(int line) => _damagedLine = _damagedLine == 0 ? line : _damagedLine;

        public IEnumerable<string> MissingParts()
        {
            if (_damagedLine != 0)
                yield return $"line {_damagedLine} is no whole entry of libxl's map (cut, left out, or of a type without a name): what it says is "
                    + "missing here";
            if (Entries[0].Address != 0)
                yield return "libxl's map begins with RAM at 0: the lines before this one's first are missing";
            else if (Value("End of RAM: 0x", isHex: true) is { } end && Entries[0].End >> Frames.Shift != end)
                yield return $"libxl says that the first RAM ends at page 0x{end:x}, this map's does not: lines are missing, or of two guests";
            if (Value("(0x", isHex: true) is > 0 and < Frames.MaxCount and { } hole
                && !Entries.Exists(entry => entry.Address >> Frames.Shift == hole))
                yield return $"libxl says that the PCI hole starts at page 0x{hole:x}, where no line has anything: lines of the map are missing";
            else if (Value("Delta: ", isHex: false) + Value("Balloon ", isHex: false) is > 0
                && !Entries.Exists(static entry => entry is { IsRam: true, Address: >= Frames.FourGiB }))
                yield return "libxl says that there is RAM above 4 GiB (Delta, Balloon), this map has none: its last line is missing";
            else if (!Entries.Exists(static entry => entry.Address <= X86Layout.LocalApicStart && entry.End > X86Layout.LocalApicStart))
                yield return "this map has nothing at 0xfee00000, where every machine's local APICs are, which Xen adds to each map: lines are "
                    + "missing";
        }

        private ulong? Value(string mark, bool isHex)
        {
            int at = Summary?.IndexOf(mark, StringComparison.Ordinal) ?? -1;
            if (at < 0)
                return null;
            TextCursor cursor = new(Summary.AsSpan(at + mark.Length));
            return isHex ? cursor.TryHex(out ulong hex) ? hex : null : cursor.TryDecimal(out uint number) ? number : null;
        }
    }
}
