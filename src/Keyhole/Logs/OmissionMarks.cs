// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.Linq;

namespace Keyhole.Logs;

/// <summary>How a line is told to stand for others that are left out.</summary>
internal enum OmissionKind
{
    /// <summary>It is no such line.</summary>
    None,

    /// <summary>What somebody draws, which may as well end a quotation: it counts between two entries alone.</summary>
    Drawn,

    /// <summary>Words or dots.</summary>
    Written,

    /// <summary>What a kernel or a program says that has lost lines itself.</summary>
    Counted,
}

/// <summary>The marks of lines that are left out of a log: what people and pagers write there, and what kernels and loggers say of lines that they
/// have lost. UTF-8 is read as Latin-1.</summary>
internal static class OmissionMarks
{
    private const string EllipsisInUtf8 = "\u00e2\u0080\u00a6";

    private static readonly SearchValues<char> s_separators = SearchValues.Create(" \t|[](){}-=~_*#.,:;" + EllipsisInUtf8);

    /// <summary>More words are a sentence.</summary>
    private const int MaxWords = 8;

    /// <summary>Programs' own sentences: a number stands between the two parts. Journald loses no kernel's lines to a service's rate limit.</summary>
    private static readonly (string Before, string Behind)[] s_counts =
    [
        ("** ", " printk messages dropped **"),
        ("Missed ", " kernel messages"),
        ("Suppressed ", " messages from kernel"),
        ("imjournal: ", " messages lost due to rate-limiting"),
    ];

    /// <summary>One of these, alone or among words of the other list, says that lines are missing.</summary>
    private static readonly string[] s_telling =
    [
        "snip", "snipped", "cut", "omitted", "skipped", "skipping", "truncated", "trimmed", "elided", "removed", "deleted", "dropped", "suppressed",
        "etc", "more", "missing", "missed", "out",
    ];

    private static readonly string[] s_besides =
    [
        "a", "and", "are", "been", "brevity", "entries", "entry", "few", "for", "has", "have", "is", "left", "line", "lines", "log", "many", "map",
        "message", "messages", "of", "other", "others", "output", "part", "rest", "several", "some", "text", "the", "was", "were",
    ];

    /// <summary>Words of which one stands in every line that stands for others, as far as those are written as usual.</summary>
    public static string[] Words =>
    [
        "...", EllipsisInUtf8, ">8", "8<", .. s_counts.Select(static pair => pair.Behind),
        .. s_telling.SelectMany(static word => (string[])[word, char.ToUpperInvariant(word[0]) + word[1..]]).Where(static word => word.Length > 3),
    ];

    /// <summary>What a line stands for that is given without the log's own stamps before it.</summary>
    public static OmissionKind KindOf(ReadOnlySpan<char> text)
    {
        if (text.IsWhiteSpace())
            return OmissionKind.None;
        if (CountIn(text) >= 0)
            return OmissionKind.Counted;
        ReadOnlySpan<char> bare = text.Trim(" \t>|[](){}<>-*").TrimEnd(':');
        if (bare is "..." or "...." or "....." or ".." or EllipsisInUtf8 || IsInWords(text))
            return OmissionKind.Written;
        ReadOnlySpan<char> drawn = text.Trim(" \t>|");
        return drawn.Length <= MaxWords && drawn.ContainsAny('*', '~')
            && (drawn.Trim(" *").IsEmpty || drawn.Trim(" ~").IsEmpty) && drawn.Trim(' ').Length >= 3 ? OmissionKind.Drawn : OmissionKind.None;
    }

    /// <summary>Where a program's own sentence begins in a line: older kernels end it with no line feed. -1 where there is none.</summary>
    public static int CountIn(ReadOnlySpan<char> line)
    {
        foreach ((string before, string behind) in s_counts)
        {
            int end = line.IndexOf(behind, StringComparison.Ordinal);
            if (end < 0)
                continue;
            int start = line[..end].LastIndexOf(before, StringComparison.Ordinal);
            ReadOnlySpan<char> number = start < 0 ? default : line[(start + before.Length)..end];
            if (!number.IsEmpty && !number.ContainsAnyExceptInRange('0', '9'))
                return start;
        }

        return -1;
    }

    /// <summary>"[ 123 lines skipped ]", "&lt;truncated&gt;", "-- &gt;8 -- snip -- &gt;8 --": nothing but words that say it, or scissors.</summary>
    private static bool IsInWords(ReadOnlySpan<char> text)
    {
        bool isTold = false;
        bool isCut = false;
        bool isHere = false;
        for (int words = 0; text.IndexOfAnyExcept(s_separators) is >= 0 and { } start; words++)
        {
            text = text[start..];
            int length = text.IndexOfAny(s_separators);
            ReadOnlySpan<char> word = length < 0 ? text : text[..length];
            text = text[word.Length..];
            bool isScissors = !word.ContainsAnyExcept("8%<>") && word.ContainsAny('<', '>') && word.ContainsAny('8', '%');
            ReadOnlySpan<char> bare = word.Trim("<>%");
            if (words == MaxWords)
                return false;
            isCut |= isScissors;
            if (isScissors || bare.IsEmpty || !bare.ContainsAnyExceptInRange('0', '9'))
                continue;
            if (Has(s_telling, bare))
                isTold = true;
            else if (bare.Equals("here", StringComparison.OrdinalIgnoreCase))
                isHere = true;
            else if (!Has(s_besides, bare))
                return false;
        }

        // "[ cut here ]" is a kernel's own line above a warning.
        return isCut || (isTold && !isHere);
    }

    private static bool Has(string[] words, ReadOnlySpan<char> word)
    {
        foreach (string known in words)
        {
            if (word.Equals(known, StringComparison.OrdinalIgnoreCase))
                return true;
        }

        return false;
    }
}
