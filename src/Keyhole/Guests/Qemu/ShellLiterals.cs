// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;

namespace Keyhole.Guests;

/// <summary>
/// Variables, and arrays, that a script sets to plain text above its command, once and for all: no other line names them but to use them, and
/// nothing else of the script can change them (a block that may be passed over, another file that is read, a here-document that only looks like a
/// script).
/// Nothing is ever run.
/// </summary>
internal static class ShellLiterals
{
    /// <summary>More variables than any script sets for one command.</summary>
    private const int MaxCount = 1000;

    /// <summary>More arrays than a script has: each is read.</summary>
    private const int MaxArrays = 100;

    private static readonly Dictionary<string, string> s_none = [];

    private static readonly SearchValues<char> s_plain =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:,+@%=-");

    /// <param name="lines">The text with the command.</param>
    /// <param name="end">The line in which the command starts, 0-based.</param>
    /// <param name="arrays">Arrays that are filled the same way: <c>NAME=( … )</c>, and <c>NAME+=( … )</c> behind it.</param>
    public static IReadOnlyDictionary<string, string> Above(IReadOnlyList<string> lines, int end,
        out IReadOnlyDictionary<string, ImmutableArray<QemuWord>> arrays)
    {
        List<(string Name, int Line, int Column, bool Adds)> fillings = [];
        IReadOnlyDictionary<string, string> literals = Above(lines, end, fillings, out Dictionary<string, int> mentions);
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
            new ShellWords(lines, line, column, 1) { IsArray = true, Literals = literals, Arrays = filled }.ReadInto(words);
            filled[name] = adds ? [.. filled[name], .. words] : words.ToImmutable();
        }

        return literals;
    }

    private static IReadOnlyDictionary<string, string> Above(IReadOnlyList<string> lines, int end,
        List<(string Name, int Line, int Column, bool Adds)> arrays, out Dictionary<string, int> mentions)
    {
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        mentions = new Dictionary<string, int>(StringComparer.Ordinal);
        int depth = 0;
        bool isQuoted = false;
        for (int i = 0; i < end; i++)
        {
            string line = lines[i];
            ReadOnlySpan<char> text = line.AsSpan().Trim();
            if (text.IsEmpty || text[0] == '#')
                continue;
            // What looks like a script and is none may end anywhere, and what is read from elsewhere say anything.
            if (text.Contains("<<", StringComparison.Ordinal))
            {
                arrays.Clear();
                return s_none;
            }

            if (!isQuoted && depth == 0 && arrays.Count < MaxArrays
                && TryArray(lines, i, out string array, out int column, out bool adds, out int last) && last < end)
            {
                arrays.Add((array, i, column, adds));
                for (; i < last; i++)
                    CountMentions(lines[i], mentions);
                CountMentions(lines[i], mentions);
                continue;
            }

            if (ReadsMore(text))
                arrays.Clear();
            if (ReadsMore(text) || text[^1] == '\\')
                found.Clear();
            depth -= IsBlocksEnd(text) ? 1 : 0;
            if (!isQuoted && depth == 0 && line[0] is not (' ' or '\t') && found.Count < MaxCount
                && TryAssignment(text, out string name, out string value))
            {
                found[name] = value;
            }

            depth += IsBlocksStart(text) ? 1 : 0;
            isQuoted ^= IsOdd(text);
            CountMentions(text, mentions);
        }

        foreach (string variable in new List<string>(found.Keys))
        {
            if (mentions.GetValueOrDefault(variable) != 1)
                found.Remove(variable);
        }

        return found.Count == 0 ? s_none : found;
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

    /// <summary><c>NAME=text</c>, <c>NAME="text"</c> or <c>NAME='text'</c>, with nothing in it that a shell would replace and nothing behind it but a
    /// comment.</summary>
    private static bool TryAssignment(ReadOnlySpan<char> text, out string name, out string value)
    {
        name = "";
        value = "";
        foreach (string word in (ReadOnlySpan<string>)["export ", "readonly "])
        {
            if (text.StartsWith(word))
                text = text[word.Length..].TrimStart();
        }

        int length = LengthOfName(text);
        if (length == 0 || length >= text.Length || text[length] != '=')
            return false;
        ReadOnlySpan<char> rest = text[(length + 1)..];
        bool isQuoted = !rest.IsEmpty && rest[0] is '"' or '\'';
        int end = isQuoted ? rest[1..].IndexOf(rest[0]) + 1 : rest.IndexOfAnyExcept(s_plain);
        if (isQuoted && end == 0)
            return false;
        ReadOnlySpan<char> inner = isQuoted ? rest[1..end] : end < 0 ? rest : rest[..end];
        ReadOnlySpan<char> behind = isQuoted ? rest[(end + 1)..] : end < 0 ? default : rest[end..];
        bool isReplaced = isQuoted && rest[0] == '"' && inner.ContainsAny('$', '`', '\\');
        bool isAlone = behind.IsEmpty || (behind[0] is ' ' or '\t' or ';' && (behind.Trim(" \t;").IsEmpty || behind.TrimStart(" \t;")[0] == '#'));
        name = text[..length].ToString();
        value = inner.ToString();
        return isAlone && !isReplaced;
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
