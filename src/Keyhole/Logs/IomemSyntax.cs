// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>
/// The lines of <c>/proc/iomem</c>: <c>00100000-1fffffff : System RAM</c>, two blanks of indentation a level. Only the resources that Linux
/// makes from its E820 map count, wherever they are nested; what lies inside one of them (kernel code, a device in reserved space) is no entry.
/// </summary>
internal struct IomemSyntax
{
    private static readonly SearchValues<char> s_rangeCharacters = SearchValues.Create("0123456789abcdef-: ");

    private int _entryDepth;
    private bool _insideEntry;
    private ulong _outerLast;

    /// <summary>Blanks before the listing's outermost lines, and one more: 0 before the first line.</summary>
    private int _outerDepth;

    /// <summary>A line of the listing without the blanks that stand before all of its lines.</summary>
    public readonly ReadOnlySpan<char> WithoutIndentation(ReadOnlySpan<char> line)
    {
        line = CitedLine.Unmarked(line);
        int blanks = Math.Min(Math.Max(_outerDepth - 1, 0), line.Length);
        return line[..blanks].IsWhiteSpace() ? line[blanks..] : line;
    }

    /// <param name="startsAgain">Whether the line lies below the outermost resource before it: another iomem begins.</param>
    /// <param name="isAllZero">Whether the addresses are 0–0, as Linux shows them to whom it does not trust.</param>
    public LineKind Read(ReadOnlySpan<char> line, out EntryRange range, out E820Type type, out bool startsAgain, out bool isAllZero)
    {
        range = default;
        type = default;
        startsAgain = false;
        isAllZero = false;
        line = CitedLine.Unmarked(line);
        TextCursor cursor = new(line);
        cursor.SkipBlanks();
        int blanks = line.Length - cursor.Rest.Length;
        // Linux prints 8 digits where all addresses fit 32 bits, else 16; 4 in /proc/ioports.
        const int fewestDigits = 8;
        if (cursor.HexRun() < fewestDigits || !cursor.TryHex(out ulong start))
            return LineKind.Other;
        if (!cursor.TryText("-") || cursor.HexRun() < fewestDigits || !cursor.TryHex(out ulong last) || !cursor.TryText(" : "))
            return cursor.Rest.ContainsAnyExcept(s_rangeCharacters) ? LineKind.Other : LineKind.Damaged;

        isAllZero = start == 0 && last == 0;
        if (_outerDepth == 0 || blanks < _outerDepth - 1)
            _outerDepth = blanks + 1;
        int depth = blanks - (_outerDepth - 1);
        if (depth == 0)
        {
            startsAgain = start < _outerLast && !isAllZero;
            _outerLast = last;
        }

        if (_insideEntry && depth > _entryDepth && !startsAgain)
            return LineKind.Filler;
        ReadOnlySpan<char> name = cursor.Rest.Trim();
        _insideEntry = TryType(name, out type);
        if (!_insideEntry && IsCutShort(name))
            return LineKind.Damaged;
        _entryDepth = depth;
        if (!_insideEntry)
            return LineKind.Filler;
        range = EntryRange.Inclusive(start, last);
        return LineKind.Entry;
    }

    /// <summary>Names of /proc/iomem and of /sys/firmware/memmap alike; Linux changed the capitals in 4.x.</summary>
    public static bool TryType(ReadOnlySpan<char> name, out E820Type type)
    {
        foreach ((string known, E820Type named) in s_names)
        {
            if (name.Equals(known, StringComparison.OrdinalIgnoreCase))
            {
                type = named;
                return true;
            }
        }

        type = default;
        return false;
    }

    /// <summary>Linux's name of a type, or null where it has none of its own ("Unknown E820 type").</summary>
    public static string? NameOf(E820Type type)
    {
        foreach ((string known, E820Type named) in s_names)
        {
            if (named == type)
                return known;
        }

        return null;
    }

    private static bool IsCutShort(ReadOnlySpan<char> name)
    {
        foreach ((string known, _) in s_names)
        {
            if (known.AsSpan().StartsWith(name, StringComparison.Ordinal))
                return true;
        }

        return false;
    }

    private static readonly (string Name, E820Type Type)[] s_names =
    [
        ("System RAM", E820Type.Ram),
        ("Reserved", E820Type.Reserved),
        ("Device Reserved", E820Type.Reserved),
        // Of kernels with the scheme of 2008.
        ("reserved RAM", E820Type.Reserved),
        ("reserved RAM failed", E820Type.Reserved),
        ("ACPI Tables", E820Type.Acpi),
        ("ACPI Non-volatile Storage", E820Type.Nvs),
        ("Unusable memory", E820Type.Unusable),
        ("Persistent Memory", E820Type.PersistentMemory),
        ("Persistent Memory (legacy)", E820Type.Pram),
        ("Persistent RAM", E820Type.PersistentMemory),
        ("Soft Reserved", E820TypeNames.SoftReserved),
        // The number is lost; kernels treat such memory as reserved.
        ("Unknown E820 type", E820Type.Reserved),
    ];
}
