// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>What stands before the words of a line: who says it, when, and on which guest's console.</summary>
internal static class LogPrefix
{
    /// <summary>Stands before whatever Xen says.</summary>
    public const string XenMark = "(XEN)";

    /// <summary>How Xen up to 4.4 marks what an HVM guest says on its debug port; the guest's number follows.</summary>
    private const string HvmConsole = "(XEN) HVM";

    private static readonly SearchValues<char> s_stampCharacters = SearchValues.Create(" .0123456789");

    /// <summary>What Xen says in a line, without its "(XEN)" and time stamp; false when Xen does not speak.</summary>
    public static bool TryXenBody(ReadOnlySpan<char> line, out ReadOnlySpan<char> body)
    {
        int at = line.IndexOf(XenMark, StringComparison.Ordinal);
        body = at < 0 ? default : WithoutXenStamp(line[(at + XenMark.Length)..]);
        return at >= 0;
    }

    /// <summary>What a kernel says in a line, without its time stamp or the prefix of journald and syslog.</summary>
    public static ReadOnlySpan<char> KernelMessage(ReadOnlySpan<char> line)
    {
        const int longestPrefix = 200;
        ReadOnlySpan<char> prefix = line[..Math.Min(line.Length, longestPrefix)];
        for (int open = 0; open < prefix.Length; open++)
        {
            if (prefix[open] != '[')
                continue;
            int close = prefix[open..].IndexOf(']');
            ReadOnlySpan<char> stamp = close < 0 ? default : prefix[open..][1..close];
            if (IsStamp(stamp))
                return line[(open + close + 1)..];
        }

        const string journal = "kernel: ";
        int at = line.IndexOf(journal, StringComparison.Ordinal);
        return at < 0 ? line : line[(at + journal.Length)..];
    }

    /// <summary>The guest whose console output a line of Xen's log is: <c>(d3) …</c> at its start or behind a time stamp, of an HVM guest up to Xen
    /// 4.4 <c>(XEN) HVM3: …</c>. Null where it does not say.</summary>
    public static int? DomainOf(ReadOnlySpan<char> line)
    {
        const int longestStamp = 60;
        ReadOnlySpan<char> head = line[..Math.Min(line.Length, longestStamp)];
        int at = head.IndexOf(HvmConsole, StringComparison.Ordinal);
        if (at >= 0)
        {
            TextCursor number = new(line[(at + HvmConsole.Length)..]);
            return number.TryDecimal(out uint guest) && guest is > 0 and <= ushort.MaxValue && number.TryText(":") ? (int)guest : null;
        }

        at = head.IndexOf("(d", StringComparison.Ordinal);
        if (at < 0 || !(head[..at].Trim(' ').IsEmpty || head[..at].TrimEnd(' ').EndsWith(']')
            || head[..at].TrimEnd(' ').EndsWith("(XEN)", StringComparison.Ordinal)))
            return null;
        TextCursor cursor = new(line[(at + 2)..]);
        return cursor.TryDecimal(out uint domain) && domain <= ushort.MaxValue && cursor.TryText(")") ? (int)domain : null;
    }

    /// <summary>
    /// Whether a line ends within a prefix like that of the entries before it, so that nobody can tell whether an entry followed. Digits
    /// are alike, because stamps differ. A line that is a whole stamp, a citation's mark or what comes before a message ("kernel:") is an empty
    /// message.
    /// </summary>
    public static bool EndsWithin(ReadOnlySpan<char> line, ReadOnlySpan<char> prefix)
    {
        line = line.TrimEnd(' ');
        prefix = prefix.TrimEnd(' ');
        if (line.Trim(" \t>|").IsEmpty || line.Length >= prefix.Length || line[^1] == ']' || (line[^1] == ':' && prefix[line.Length] == ' '))
            return false;
        // "22:", an empty line that grep has numbered.
        if (line[^1] == ':' && !char.IsAsciiDigit(prefix[line.Length]) && !line[..^1].ContainsAnyExceptInRange('0', '9'))
            return false;
        if (IsNumberOfEmptyLine(line, prefix))
            return false;
        for (int i = 0; i < line.Length; i++)
        {
            if (line[i] != prefix[i] && !(char.IsAsciiDigit(line[i]) && char.IsAsciiDigit(prefix[i])))
                return false;
        }

        return true;
    }

    /// <summary>Whether a line is a number alone, and that of a later line than the entry's ("    18\t", "18 |"): an empty line that cat, less or an
    /// editor has numbered.</summary>
    private static bool IsNumberOfEmptyLine(ReadOnlySpan<char> line, ReadOnlySpan<char> prefix)
    {
        TextCursor entrys = new(prefix.TrimStart(' '));
        TextCursor own = new(line.Trim(" \t"));
        return entrys.TryDecimal(out uint before) && own.TryDecimal(out uint number) && number > before
            && entrys.Rest is [' ' or '\t' or '|', ..] && own.Rest.Trim(" |").IsEmpty;
    }

    /// <summary>Since the boot, by the last bracket of what stands before a message: <c>[   67.480726]</c>. Null without a stamp of that
    /// kind.</summary>
    public static ulong? MillisecondsIn(ReadOnlySpan<char> prefix)
    {
        const int printedDigits = 3;
        const uint inSecond = 1000;
        int open = prefix.LastIndexOf('[');
        if (open < 0)
            return null;
        TextCursor cursor = new(prefix[(open + 1)..]);
        cursor.SkipBlanks();
        if (!cursor.TryDecimal(out uint seconds) || !cursor.TryText(".") || cursor.Rest.Length < printedDigits)
            return null;
        TextCursor fraction = new(cursor.Rest[..printedDigits]);
        return fraction.TryDecimal(out uint thousandths) && fraction.Rest.IsEmpty ? ((ulong)seconds * inSecond) + thousandths : null;
    }

    /// <summary>Seconds (<c>    0.000000</c>), or what dmesg -T makes of them (<c>Fri Apr  7 00:04:12 2023</c>).</summary>
    private static bool IsStamp(ReadOnlySpan<char> text)
    {
        const int clockTimeLength = 24;
        // "[...]" is where somebody left lines out.
        return (text.Contains('.') && HasDigit(text) && !text.ContainsAnyExcept(s_stampCharacters))
            || (text.Length == clockTimeLength && text.Count(':') == 2);
    }

    /// <summary>How much of an entry's line comes before its addresses.</summary>
    public static int LengthBeforeEntry(ReadOnlySpan<char> line)
    {
        const int printedDigits = 16;
        int at = line.IndexOf("[mem 0x", StringComparison.Ordinal);
        if (at < 0)
            at = line.LastIndexOf('[');
        if (at < 0)
            at = line.IndexOf(" - ", StringComparison.Ordinal) - printedDigits;
        return Math.Max(at, 0);
    }

    private static ReadOnlySpan<char> WithoutXenStamp(ReadOnlySpan<char> body)
    {
        ReadOnlySpan<char> text = body.TrimStart(' ');
        if (!text.StartsWith('['))
            return body;
        int close = text.IndexOf(']');
        if (close < 0)
            return body;
        // An entry's bracket holds a comma, a stamp's never does: [    0.000000], [2024-01-01 12:00:00.123], [0000001234.567]. Before Xen knows
        // the time it prints the counter that it will tell it by, whatever console_timestamps= says: [00000012f6a8b3c4].
        ReadOnlySpan<char> stamp = text[1..close];
        const int counterDigits = 16;
        bool isCounter = stamp.Length == counterDigits && new TextCursor(stamp).HexRun() == counterDigits;
        return isCounter || (stamp.ContainsAny(".:") && HasDigit(stamp) && !stamp.Contains(',')) ? text[(close + 1)..] : body;
    }

    private static bool HasDigit(ReadOnlySpan<char> text) => text.ContainsAnyInRange('0', '9');

    public static bool IsGuestConsole(ReadOnlySpan<char> prefix) =>
        prefix.Contains(HvmConsole, StringComparison.Ordinal) || prefix.TrimStart(' ').StartsWith("(d", StringComparison.Ordinal);
}
