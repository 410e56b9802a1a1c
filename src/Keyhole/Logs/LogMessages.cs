// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>The lines of a log that say what became of a boot: what Xen and a kernel say, up to a number for each word that is looked for.</summary>
internal sealed class LogMessages
{
    private const int MaxLinesOfAWord = 256;
    private const int MaxLineTextLength = 512;

    /// <summary>Xen's command line has up to 1,023 characters, Linux's 2,047.</summary>
    private const int MaxCommandLineLength = 2048;

    private const string CommandLineWord = "ommand line";

    /// <summary>Xen's panic, in a frame of asterisks: its reason stands in the next line.</summary>
    private const string PanicWord = Vocabulary.XenPanic;

    /// <summary>What a kernel or Xen says about memory while it boots; <see cref="LogScan.Lines"/> keeps the lines that hold one.</summary>
    private static readonly string[] s_messageWords = Vocabulary.Marks;

    /// <summary>A line without any of these holds no message.</summary>
    public static readonly SearchValues<string> Words = SearchValues.Create(s_messageWords, StringComparison.Ordinal);

    private readonly List<LogLine> _lines = [];
    private readonly int[] _linesOfWord = new int[s_messageWords.Length];

    /// <summary>Whether the last line kept is Xen's panic, and its next line tells why.</summary>
    private bool _wantsReason;

    /// <summary>Length of the last line kept where it is one that may go on: what a kernel says of itself or of its end, behind a stamp or its
    /// name. Else 0.</summary>
    private int _wordsLength;

    /// <summary>What stands before who speaks where the last line was a command line, which the next one may go on with; else null.</summary>
    private string? _beforeCommandLine;

    /// <summary>Whether the next line may belong to the last one that was kept.</summary>
    public bool AreOpen => _wantsReason || _wordsLength != 0 || _beforeCommandLine is not null;

    /// <summary>Takes a line for what goes on with the last one kept: the reason of Xen's panic, the rest of a command line. False where it is
    /// neither.</summary>
    public bool GoOnWith(ReadOnlySpan<char> line)
    {
        if (!_wantsReason || !LogPrefix.TryXenBody(line, out ReadOnlySpan<char> reason))
            return GoesOnWithWords(line) || GoesOnWithCommandLine(line);
        _wantsReason = false;
        _lines[^1] = _lines[^1] with { Text = InputError.OneLine($"{_lines[^1].Text} {reason.Trim()}", MaxLineTextLength) };
        return true;
    }

    /// <summary>Whether a message is wanted that the next line may go on with, as narrow windows wrap it.</summary>
    public bool MayGoOn(ReadOnlySpan<char> line) =>
        line.Length >= LogScanner.NarrowestWrap && WordIn(line) is >= 0 and var word && _linesOfWord[word] < MaxLinesOfAWord
            && KernelMessage.MayGoOn(TextOf(line));

    /// <summary>Keeps a line with one of the words, up to a number for each.</summary>
    /// <returns>What is kept; null where nothing is.</returns>
    public LogLine? Keep(ReadOnlySpan<char> line, int number)
    {
        int word = WordIn(line);
        if (word < 0 || _linesOfWord[word] >= MaxLinesOfAWord)
            return null;
        _linesOfWord[word]++;
        bool isCommandLine = s_messageWords[word] == CommandLineWord;
        LogLine kept = ToLogLine(line, number, isCommandLine ? MaxCommandLineLength : MaxLineTextLength);
        _lines.Add(kept);
        _wantsReason = s_messageWords[word] == PanicWord && kept.Speaker == LogSpeaker.Xen;
        if (kept.Speaker == LogSpeaker.Kernel && WrappedLine.ContinuationIn(line).IsEmpty
            && KernelMessage.Parse(kept.Text) is { Kind: KernelMessageKind.Release } or { BootFailure: { Kind: BootFailureKind.KernelPanic } })
            _wordsLength = line.TrimEnd(' ').Length;
        if (isCommandLine && line.Length >= LogScanner.NarrowestWrap)
            _beforeCommandLine = BeforeSpeaker(line).ToString();
        return kept;
    }

    /// <summary>Keeps a line that shows that a kernel goes on.</summary>
    public void KeepSign(ReadOnlySpan<char> line, int number) => _lines.Add(ToLogLine(line, number, MaxLineTextLength) with { IsLifeSign = true });

    /// <summary>In the log's order.</summary>
    public ImmutableArray<LogLine> ToLines() => [.. _lines];

    private static int WordIn(ReadOnlySpan<char> line)
    {
        for (int i = 0; i < s_messageWords.Length; i++)
        {
            if (line.Contains(s_messageWords[i], StringComparison.Ordinal))
                return i;
        }

        return -1;
    }

    /// <summary>A line without time stamps and other prefixes.</summary>
    public static ReadOnlySpan<char> TextOf(ReadOnlySpan<char> line) =>
        (LogPrefix.TryXenBody(line, out ReadOnlySpan<char> body) ? body : LogPrefix.KernelMessage(line)).Trim();

    /// <summary>What a mail program or a log collector has put before a line of Xen's; before a kernel's the marks of a citation.</summary>
    private static ReadOnlySpan<char> BeforeSpeaker(ReadOnlySpan<char> line)
    {
        int mark = line.IndexOf(LogPrefix.XenMark, StringComparison.Ordinal);
        return mark >= 0 ? line[..mark] : line[..(line.Length - CitedLine.Unmarked(line).Length)];
    }

    /// <summary>
    /// Takes a line that carries nobody's mark, right behind one that a kernel has marked, for the rest of what it says, where its first word would
    /// not have fitted there.
    /// </summary>
    private bool GoesOnWithWords(ReadOnlySpan<char> line)
    {
        // Mail programs wrap at 72 to 78 columns; screens amid a word.
        const int usualWidth = 76, screenWidth = 80;
        int length = _wordsLength;
        _wordsLength = 0;
        if (length == 0)
            return false;
        ReadOnlySpan<char> text = WrappedLine.ContinuationIn(line);
        int word = text.IndexOf(' ');
        word = word < 0 ? text.Length : word;
        string known = _lines[^1].Text;
        bool mayBeWrapped = !text.IsEmpty && length <= screenWidth && length + 1 + word > usualWidth;
        if (!mayBeWrapped || known.Length + 1 + text.Length > MaxLineTextLength || line.ContainsAny(LogScanner.MapAndTraitWords)
            || line.ContainsAny(Words))
            return false;
        _lines[^1] = _lines[^1] with { Text = InputError.OneLine($"{known}{(length == screenWidth ? "" : " ")}{text}", MaxLineTextLength) };
        _wordsLength = line.TrimEnd(' ').Length;
        return true;
    }

    /// <summary>Takes a line that carries nobody's mark, right behind a command line, for the rest of it.</summary>
    private bool GoesOnWithCommandLine(ReadOnlySpan<char> line)
    {
        if (_beforeCommandLine is not { } before)
            return false;
        ReadOnlySpan<char> text = line.StartsWith(before, StringComparison.Ordinal) ? line[before.Length..] : line;
        text = text.Trim();
        LogLine commandLine = _lines[^1];
        // Stamps and names of those who speak have brackets or a colon; options of Xen's have colons, but never at the end of a word.
        bool isMessage = text.ContainsAny('(', '[') || text.EndsWith(':') || text.Contains(": ", StringComparison.Ordinal);
        if (isMessage || text.IsEmpty || commandLine.Wrapped.Length + text.Length >= MaxCommandLineLength)
        {
            _beforeCommandLine = null;
            return false;
        }

        _lines[^1] = commandLine with { Wrapped = $"{commandLine.Wrapped}\n{InputError.OneLine(text, MaxCommandLineLength)}" };
        return true;
    }

    private static LogLine ToLogLine(ReadOnlySpan<char> line, int number, int maxLength)
    {
        bool isXen = LogPrefix.TryXenBody(line, out ReadOnlySpan<char> text);
        if (!isXen)
            text = LogPrefix.KernelMessage(line);
        return new(number, isXen ? LogSpeaker.Xen : LogSpeaker.Kernel,
            InputError.OneLine(text.Trim(), maxLength))
        {
            Domain = LogPrefix.DomainOf(line),
            Milliseconds = isXen ? null : LogPrefix.MillisecondsIn(line[..^text.Length]),
            ClockSeconds = isXen ? null : ClockStamp.SecondsIn(line),
        };
    }
}
