// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;

namespace Keyhole.Guests;

/// <summary>
/// Variables, and arrays, that a script sets to plain text above its command, and appends to, once and for all: no other line names them but to
/// use them, and nothing else of the script can change them (a block that may be passed over, another file that is read, a here-document that only
/// looks like a script).
/// Nothing is ever run.
/// </summary>
internal static class ShellLiterals
{
    /// <summary>More variables than any script sets for one command.</summary>
    private const int MaxCount = 1000;

    /// <summary>More arrays than a script has: each is read.</summary>
    private const int MaxArrays = 100;

    /// <summary>More than Linux hands to a program in one word: what is appended to itself would grow without bound.</summary>
    private const int MostCharacters = 128 * 1024;

    /// <param name="lines">The text with the command.</param>
    /// <param name="end">The line in which the command starts, 0-based.</param>
    /// <param name="arrays">Arrays that are filled the same way: <c>NAME=( … )</c>, and <c>NAME+=( … )</c> behind it.</param>
    public static IReadOnlyDictionary<string, string> Above(IReadOnlyList<string> lines, int end,
        out IReadOnlyDictionary<string, ImmutableArray<QemuWord>> arrays)
    {
        List<(string Name, int Line, int Column, bool Adds)> fillings = [];
        Dictionary<string, Variable> variables = Above(lines, end, fillings, out Dictionary<string, int> mentions);
        var filled = new Dictionary<string, ImmutableArray<QemuWord>>(StringComparer.Ordinal);
        arrays = filled;
        foreach ((string name, int line, int column, bool adds) in fillings)
        {
            // One that another line may change, or that is filled twice, is not known.
            if (mentions.GetValueOrDefault(name) != fillings.Count(one => one.Name == name) || adds != filled.ContainsKey(name))
            {
                filled.Remove(name);
                continue;
            }

            var words = ImmutableArray.CreateBuilder<QemuWord>();
            new ShellWords(lines, line, column, 1) { IsArray = true, Literals = ValuesBefore(variables, line), Arrays = filled }.ReadInto(words);
            filled[name] = adds ? [.. filled[name], .. words] : words.ToImmutable();
        }

        return ValuesBefore(variables, end);
    }

    /// <summary>Whether the shell of a script takes apart at blanks what it fills in outside of quotes: zsh does not, nor does any that is told other
    /// signs for it.</summary>
    public static bool AreSplit(IReadOnlyList<string> lines, int end)
    {
        for (int i = 0; i < end; i++)
        {
            string line = lines[i];
            if (line.Contains("IFS", StringComparison.Ordinal)
                || (line.StartsWith("#!", StringComparison.Ordinal) && line.Contains("zsh", StringComparison.Ordinal)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>A variable as far as the lines that were read set it.</summary>
    /// <param name="Assignments">How often.</param>
    /// <param name="Line">The last time, 0-based.</param>
    /// <param name="Used">The variables in its value.</param>
    private sealed record Variable(string Value, int Assignments, int Line, HashSet<string> Used);

    private static Dictionary<string, string> ValuesBefore(Dictionary<string, Variable> variables, int line) =>
        variables.Where(one => one.Value.Line < line).ToDictionary(static one => one.Key, static one => one.Value.Value, StringComparer.Ordinal);

    private static Dictionary<string, Variable> Above(IReadOnlyList<string> lines, int end,
        List<(string Name, int Line, int Column, bool Adds)> arrays, out Dictionary<string, int> mentions)
    {
        var found = new Dictionary<string, Variable>(StringComparer.Ordinal);
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        mentions = new Dictionary<string, int>(StringComparer.Ordinal);
        int depth = 0;
        bool isQuoted = false;
        bool isContinued = false;
        for (int i = 0; i < end; i++)
        {
            string line = lines[i];
            ReadOnlySpan<char> text = line.AsSpan().Trim();
            bool isStatement = !isQuoted && depth == 0 && !isContinued;
            isContinued = text.EndsWith("\\");
            if (text.IsEmpty || text[0] == '#')
                continue;
            // What looks like a script and is none may end anywhere, and what is read from elsewhere say anything.
            if (text.Contains("<<", StringComparison.Ordinal))
            {
                arrays.Clear();
                return [];
            }

            int last;
            if (isStatement && arrays.Count < MaxArrays
                && TryArray(lines, i, out string array, out int column, out bool adds, out last) && last < end)
            {
                arrays.Add((array, i, column, adds));
                for (; i < last; i++)
                    CountMentions(lines[i], mentions);
                CountMentions(lines[i], mentions);
                isContinued = false;
                continue;
            }

            if (isStatement && line[0] is not (' ' or '\t')
                && found.Count < MaxCount && TryAssign(lines, i, found, values, out string name, out last) && last < end)
            {
                values[name] = found[name].Value;
                for (; i < last; i++)
                    CountMentions(lines[i], mentions);
                CountMentions(lines[i], mentions);
                isContinued = false;
                continue;
            }

            if (ReadsMore(text))
            {
                arrays.Clear();
                found.Clear();
                values.Clear();
            }

            depth -= IsBlocksEnd(text) ? 1 : 0;
            depth += IsBlocksStart(text) ? 1 : 0;
            isQuoted ^= IsOdd(text);
            CountMentions(text, mentions);
        }

        RemoveUncertain(found, mentions);
        return found;
    }

    /// <summary>Takes out what a line sets or changes that was not read, and what is made of such.</summary>
    private static void RemoveUncertain(Dictionary<string, Variable> found, Dictionary<string, int> mentions)
    {
        bool isChanged = true;
        while (isChanged)
        {
            isChanged = false;
            foreach ((string name, Variable variable) in found.ToArray())
            {
                if (mentions.GetValueOrDefault(name) == variable.Assignments && variable.Used.All(used => used == name || found.ContainsKey(used)))
                    continue;
                found.Remove(name);
                isChanged = true;
            }
        }
    }

    /// <summary>
    /// <c>NAME=text</c> with quotes or without, with nothing in it that is not told above, and nothing behind it but a comment; <c>NAME+=text</c> and
    /// <c>NAME="$NAME text"</c> where the name has a value. One that is set anew is not followed: who does that may mean either.
    /// </summary>
    private static bool TryAssign(IReadOnlyList<string> lines, int line, Dictionary<string, Variable> found, Dictionary<string, string> values,
        out string name, out int last)
    {
        ReadOnlySpan<char> text = lines[line];
        name = "";
        last = line;
        int start = 0;
        foreach (string word in (ReadOnlySpan<string>)["export ", "readonly "])
        {
            if (text[start..].StartsWith(word))
                start += word.Length + text[(start + word.Length)..].IndexOfAnyExcept(' ', '\t');
        }

        int length = LengthOfName(text[start..]);
        ReadOnlySpan<char> sign = text[(start + length)..];
        bool adds = sign.StartsWith("+=");
        if (length == 0 || (!adds && !sign.StartsWith("=")))
            return false;
        var words = ImmutableArray.CreateBuilder<QemuWord>();
        var used = new HashSet<string>(StringComparer.Ordinal);
        var shell = new ShellWords(lines, line, start + length + (adds ? 2 : 1), 1)
        {
            IsValue = true,
            Literals = values,
            Used = used,
        };
        shell.ReadInto(words);
        last = shell.EndLine;
        ReadOnlySpan<char> behind = lines[last].AsSpan(Math.Min(shell.EndColumn, lines[last].Length)).Trim(" \t;");
        if (shell.Unclosed is not null || shell.CutLine is not null || words.Count > 1 || (words.Count == 1 && words[0].NeedsShell)
            || !(behind.IsEmpty || behind[0] == '#'))
            return false;
        name = text.Slice(start, length).ToString();
        string value = words.Count == 0 ? "" : words[0].Text;
        bool isKnown = found.TryGetValue(name, out Variable? before);
        if (isKnown != (adds || used.Contains(name)))
            return false;
        if (adds)
            value = before!.Value + value;
        if (value.Length > MostCharacters)
            return false;
        used.UnionWith(before?.Used ?? []);
        found[name] = new(value, (before?.Assignments ?? 0) + 1, last, used);
        return true;
    }

    /// <summary><c>NAME=(</c> or <c>NAME+=(</c> at the start of a line, and where its parenthesis is closed with nothing behind.</summary>
    private static bool TryArray(IReadOnlyList<string> lines, int line, out string name, out int column, out bool adds, out int last)
    {
        ReadOnlySpan<char> text = lines[line];
        int length = LengthOfName(text);
        name = text[..length].ToString();
        adds = text[length..].StartsWith("+=(");
        column = length + (adds ? 3 : 2);
        last = line;
        if (length == 0 || (!adds && !text[length..].StartsWith("=(")))
            return false;
        var shell = new ShellWords(lines, line, column, 1) { IsArray = true };
        shell.ReadInto(ImmutableArray.CreateBuilder<QemuWord>());
        last = shell.EndLine;
        return shell is { IsClosed: true, Unclosed: null };
    }

    /// <summary>Whether a line may read another file, or run what it makes up: behind "&amp;&amp;" or "then" as at its start.</summary>
    private static bool ReadsMore(ReadOnlySpan<char> text)
    {
        foreach (Range word in text.SplitAny(" \t;&|(){}"))
        {
            if (text[word] is "." or "source" or "eval" or "exec")
                return true;
        }

        return false;
    }

    private static bool IsBlocksStart(ReadOnlySpan<char> text)
    {
        int end = text.IndexOfAny(' ', '\t');
        ReadOnlySpan<char> first = end < 0 ? text : text[..end];
        bool isKept = first is "if" or "for" or "while" or "until" or "case" or "select";
        return (isKept && !EndsBlock(text)) || text[^1] is '{' or '(';
    }

    private static bool EndsBlock(ReadOnlySpan<char> text) => text.EndsWith(" fi") || text.EndsWith(" done") || text.EndsWith(" esac");

    private static bool IsBlocksEnd(ReadOnlySpan<char> text)
    {
        int end = text.IndexOfAny(" \t;");
        return (end < 0 ? text : text[..end]) is "fi" or "done" or "esac" or "}" or ")";
    }

    /// <summary>Whether a quote that a line opens is still open at its end, or one that was open is closed.</summary>
    private static bool IsOdd(ReadOnlySpan<char> text)
    {
        char open = '\0';
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (c == '\\' && open != '\'')
                i++;
            else if (open == '\0' && c is '"' or '\'')
                open = c;
            else if (c == open)
                open = '\0';
        }

        return open != '\0';
    }

    private static int LengthOfName(ReadOnlySpan<char> text)
    {
        int length = 0;
        while (length < text.Length && (char.IsAsciiLetter(text[length]) || text[length] == '_' || (length > 0 && char.IsAsciiDigit(text[length]))))
            length++;
        return length;
    }

    /// <summary>Counts the names of a line that are not read by <c>$NAME</c> or <c>${NAME}</c>: they are set there, or changed.</summary>
    private static void CountMentions(ReadOnlySpan<char> text, Dictionary<string, int> mentions)
    {
        for (int i = 0; i < text.Length; i++)
        {
            int length = LengthOfName(text[i..]);
            if (length == 0)
            {
                // What begins with a digit is no name.
                while (char.IsAsciiDigit(text[i]) && i + 1 < text.Length && (char.IsAsciiLetterOrDigit(text[i + 1]) || text[i + 1] == '_'))
                    i++;
                continue;
            }

            ReadOnlySpan<char> behind = text[(i + length)..];
            bool isRead = text[..i].EndsWith("$") || (text[..i].EndsWith("${") && !behind.StartsWith("=") && !behind.StartsWith(":="));
            string name = text.Slice(i, length).ToString();
            if (!isRead && (mentions.Count < MaxCount * 10 || mentions.ContainsKey(name)))
                mentions[name] = mentions.GetValueOrDefault(name) + 1;
            i += length - 1;
        }
    }
}
