// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>The stamp of a clock in brackets: what dmesg -T makes of a kernel's own (<c>[Fri Apr  7 00:04:12 2023]</c>), and what writes a guest's
/// console down puts before its lines (<c>[2025-05-25 19:05:04]</c>). A journal's is none: it jumps where the guest's clock is set.</summary>
internal static class ClockStamp
{
    private const int LengthOfDmesg = 24;
    private const int LengthOfConsole = 19;
    private const string Months = "JanFebMarAprMayJunJulAugSepOctNovDec";

    /// <summary>Seconds since some day, by the first bracket of a line; null where no such stamp stands there.</summary>
    public static long? SecondsIn(ReadOnlySpan<char> line)
    {
        const int longestPrefix = 80;
        int open = line[..Math.Min(line.Length, longestPrefix)].IndexOf('[');
        int length = open < 0 ? -1 : line[(open + 1)..].IndexOf(']');
        return length == LengthOfDmesg ? OfDmesg(line.Slice(open + 1, length))
            : length == LengthOfConsole ? OfConsole(line.Slice(open + 1, length)) : null;
    }

    private static long? OfDmesg(ReadOnlySpan<char> stamp)
    {
        const int behindDay = 4;
        const int letters = 3;
        int month = Months.AsSpan().IndexOf(stamp.Slice(behindDay, letters));
        var cursor = new TextCursor(stamp[(behindDay + letters)..]);
        cursor.SkipBlanks();
        return month >= 0 && month % letters == 0 && cursor.TryDecimal(out uint day) && TryTime(ref cursor, out long seconds) && cursor.TryText(" ")
            && cursor.TryDecimal(out uint year) ? Of(year, (uint)(month / letters) + 1, day, seconds) : null;
    }

    private static long? OfConsole(ReadOnlySpan<char> stamp)
    {
        var cursor = new TextCursor(stamp);
        return cursor.TryDecimal(out uint year) && cursor.TryText("-") && cursor.TryDecimal(out uint month) && cursor.TryText("-")
            && cursor.TryDecimal(out uint day) && TryTime(ref cursor, out long seconds) ? Of(year, month, day, seconds) : null;
    }

    private static bool TryTime(ref TextCursor cursor, out long seconds)
    {
        seconds = 0;
        if (!cursor.TryText(" ") || !cursor.TryDecimal(out uint hour) || !cursor.TryText(":") || !cursor.TryDecimal(out uint minute)
            || !cursor.TryText(":") || !cursor.TryDecimal(out uint second) || hour > 23 || minute > 59 || second > 60)
            return false;
        seconds = (((hour * 60) + minute) * 60) + second;
        return true;
    }

    /// <summary>By the days since March of year 0: so a leap day is the last of its year.</summary>
    private static long? Of(uint year, uint month, uint day, long seconds)
    {
        if (year is < 1970 or > 9999 || month is < 1 or > 12 || day is < 1 or > 31)
            return null;
        long years = month <= 2 ? year - 1 : year;
        long months = (month + 9) % 12;
        long days = (365 * years) + (years / 4) - (years / 100) + (years / 400) + (((153 * months) + 2) / 5) + day;
        return (days * 24 * 60 * 60) + seconds;
    }
}
