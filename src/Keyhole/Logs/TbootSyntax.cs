// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>
/// The maps that tboot prints before it starts Xen or Linux: as it was given it ("original e820 map"), and with what it reserves for itself, which is
/// what the kernel gets ("replaced memory map", "adjusted e820 map"). An entry: <c>TBOOT: \t0000000000100000 - 00000000bcd60000  (1)</c>, the end
/// exclusive, the type E820's number.
/// </summary>
/// <remarks>Source: tboot's common/e820.c and common/tboot.c.</remarks>
internal static class TbootSyntax
{
    /// <summary>How the title of the map begins that is handed over.</summary>
    public const string HandedOver = "adjusted";

    private const string Mark = "TBOOT:";

    /// <summary>Digits of an address as tboot prints it.</summary>
    private const int Digits = 16;

    private static readonly string[] s_titles = ["original e820 map:", "replaced memory map:", HandedOver + " e820 map:"];

    /// <summary>Whether a line is what tboot prints above a map; its words without the colon.</summary>
    public static bool TryTitle(ReadOnlySpan<char> line, out ReadOnlySpan<char> title)
    {
        title = default;
        if (!TextCursor.TryBehind(line, Mark, out ReadOnlySpan<char> said))
            return false;
        said = said.Trim(" \t");
        foreach (string known in s_titles)
        {
            if (said.SequenceEqual(known))
            {
                title = said.TrimEnd(':');
                return true;
            }
        }

        return false;
    }

    /// <summary>An entry of such a map. One that is cut is damaged wherever it is cut.</summary>
    public static LineKind Read(ReadOnlySpan<char> line, out LogEntry entry, out ReadOnlySpan<char> rest)
    {
        entry = new(LogMapKind.Tboot, HostMapDialect.XenOld, default, default);
        rest = default;
        if (!TextCursor.TryBehind(line, Mark, out ReadOnlySpan<char> said))
            return LineKind.Other;
        said = said.Trim(" \t");
        TextCursor cursor = new(said);
        int digits = cursor.HexRun();
        if (digits == 0 || (digits < Digits && digits < said.Length))
            return LineKind.Other;
        if (digits != Digits || !cursor.TryHex(out ulong start) || !cursor.TryText(" - ")
            || cursor.HexRun() != Digits || !cursor.TryHex(out ulong end))
            return LineKind.Damaged;
        cursor.SkipBlanks();
        if (!cursor.TryText("(") || !cursor.TryDecimal(out uint type) || !cursor.TryText(")"))
            return LineKind.Damaged;
        entry = entry with { Range = EntryRange.Exclusive(start, end), Type = (E820Type)type };
        rest = cursor.Rest;
        return LineKind.Entry;
    }
}
