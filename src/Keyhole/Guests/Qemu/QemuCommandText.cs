// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Guests;

/// <summary>One argument of a command, as a shell would have handed it over.</summary>
/// <param name="Line">1-based line on which it starts.</param>
/// <param name="NeedsShell">Whether part of it is a variable or a command that only a shell could fill in.</param>
internal readonly record struct QemuWord(string Text, int Line, bool NeedsShell);

/// <summary>The one command of QEMU in a text, taken apart into its arguments. Nothing is ever run.</summary>
/// <remarks>
/// Known forms: a command as a shell reads it (quotes, line continuations), a line of ps or pgrep (no quotes), /proc/PID/cmdline (NUL separated),
/// libvirt's log of a guest, options without a program in front.
/// </remarks>
internal sealed class QemuCommandText
{
    /// <summary>More arguments than Linux hands to any program that a person would start.</summary>
    public const int MaxWords = 32768;

    private const string Advice = "give one command of QEMU, such as qm showcmd, ps or /proc/PID/cmdline shows it";

    /// <summary>The program's name without its folder; empty where only options are there.</summary>
    public required string Program { get; init; }

    /// <summary>What follows the program.</summary>
    public required ImmutableArray<QemuWord> Words { get; init => field = Given.Array(value); }

    /// <summary>What the sections of a file for <c>-readconfig</c> say that stand below the command, or alone; empty without any.</summary>
    public ImmutableArray<QemuWord> Config { get; init => field = Given.Array(value); } = [];

    /// <summary>What libvirt's log says of QEMU's version ("7.2.22Debian 1:7.2+dfsg-7+deb12u18"); empty elsewhere.</summary>
    public string EmulatorText { get; init; } = "";

    /// <summary>What libvirt's log says of the host's Linux; empty elsewhere.</summary>
    public string KernelText { get; init; } = "";

    /// <summary>The words behind the command with which QEMU ended at a device that is passed through; empty elsewhere.</summary>
    public string LastWords { get; init; } = "";

    /// <summary>1-based line on which the command starts; null where it is a text of one line.</summary>
    public int? Line { get; init; }

    /// <summary>Whether an option says what the guest is, and not merely how QEMU is run.</summary>
    public bool DescribesGuest => !Config.IsEmpty || Words.Where((word, i) => word.NeedsShell && !IsValue(i)).Any()
        || Words.Any(static word => IsOption(word.Text)
            && word.Text.AsSpan().TrimStart('-') is not ("name" or "S" or "uuid" or "sandbox" or "display" or "nographic" or "daemonize" or "pidfile"
            or "monitor" or "mon" or "chardev" or "serial" or "qmp" or "msg" or "version" or "help" or "h" or "D" or "d" or "trace" or "runas"
            or "user" or "no-user-config" or "no-shutdown" or "no-reboot"));

    /// <summary>The line, counted from 1, that ends in a backslash with nothing behind it: the command may go on; null where there is none.</summary>
    public int? CutLine { get; init; }

    /// <summary>Whether it tells the guest's memory, or may.</summary>
    public bool TellsMemory => !Config.IsEmpty
        || Words.Any(static word => (IsOption(word.Text) && word.Text.TrimStart('-') == "m") || word.NeedsShell);

    private bool IsValue(int index) => index > 0 && IsOption(Words[index - 1].Text) && QemuOptionNames.TakesValue(Words[index - 1].Text);

    public ImmutableArray<string> Remarks { get; init => field = Given.Array(value); } = [];

    /// <summary>Whether a text holds a command of QEMU, or begins with options of one.</summary>
    public static bool IsOne(string text)
    {
        bool isFirst = true;
        foreach (ReadOnlySpan<char> raw in text.AsSpan().EnumerateLines())
        {
            ReadOnlySpan<char> line = CitedLine.Unmarked(raw);
            if (IsBlankOrComment(line))
                continue;
            if (isFirst && IsOption(line.TrimStart()))
                return true;
            isFirst = false;
            if (ProgramAt(line) >= 0)
                return true;
        }

        return RootsPromptAt(text) >= 0;
    }

    /// <summary>Whether a command in a text begins with QEMU's name.</summary>
    public static bool NamesProgram(string text)
    {
        if (RootsPromptAt(text) >= 0)
            return true;
        foreach (ReadOnlySpan<char> raw in text.AsSpan().EnumerateLines())
        {
            ReadOnlySpan<char> line = CitedLine.Unmarked(raw);
            if (!IsBlankOrComment(line) && ProgramAt(line) >= 0)
                return true;
        }

        return false;
    }

    public static Parsed<QemuCommandText> Find(SmallInput input, string sourceName) =>
        IsNulSeparated(input) ? SplitAtNuls(input, sourceName) : FindInText(input.Decode(), sourceName);

    /// <summary>The arguments of a text that is nothing but arguments, as a shell separates them: what Proxmox calls args.</summary>
    public static ImmutableArray<QemuWord> Split(string text, int line) => Split(text, line, out _);

    /// <param name="unclosed">A quote in it that is never closed; null for none.</param>
    public static ImmutableArray<QemuWord> Split(string text, int line, out UnclosedQuote? unclosed)
    {
        var words = ImmutableArray.CreateBuilder<QemuWord>();
        var shell = new ShellWords([text], 0, 0, line);
        shell.ReadInto(words);
        unclosed = shell.Unclosed;
        return words.DrainToImmutable();
    }

    /// <summary>Whether a word is an option of QEMU and no value: a dash or two, and a letter.</summary>
    internal static bool IsOption(ReadOnlySpan<char> word) =>
        word.Length >= 2 && word[0] == '-' && (char.IsAsciiLetter(word[1]) || (word[1] == '-' && word.Length >= 3 && char.IsAsciiLetter(word[2])));

    /// <summary>Whether a text is what Linux shows as the <c>cmdline</c> of a process of QEMU: the program, a NUL, its arguments.</summary>
    public static bool IsNulSeparated(SmallInput input)
    {
        int end = input.IsUtf16 ? -1 : input.Bytes.AsSpan().IndexOf((byte)0);
        return end > 0 && end < 4096 && IsProgram(Encoding.UTF8.GetString(input.Bytes, 0, end));
    }

    /// <summary>Where root's prompt stands in front of a command, which is no comment; −1 where there is none. Nothing but the command follows it: a
    /// script's comment may name one that it does not run.</summary>
    private static int RootsPromptAt(string text)
    {
        int start = 0;
        while (start < text.Length && char.IsWhiteSpace(text[start]))
            start++;
        if (start + 1 >= text.Length || text[start] != '#' || text[start + 1] != ' ')
            return -1;
        bool isFirst = true;
        foreach (ReadOnlySpan<char> line in text.AsSpan(start).EnumerateLines())
        {
            ReadOnlySpan<char> own = isFirst ? line[2..].TrimStart() : line.TrimStart();
            bool isCommands = isFirst ? ProgramAt(own) == 0 && own.IndexOf(' ') is > 0 and var end && IsOption(own[end..].TrimStart())
                : own.IsEmpty || IsOption(own) || QemuLastWords.IsOutput(own);
            if (!isCommands)
                return -1;
            isFirst = false;
        }

        return start;
    }

    private static bool IsBlankOrComment(ReadOnlySpan<char> line)
    {
        line = line.TrimStart();
        return line.IsEmpty || line[0] == '#';
    }

    private static Parsed<QemuCommandText> SplitAtNuls(SmallInput input, string sourceName)
    {
        string text = input.Decode();
        var words = ImmutableArray.CreateBuilder<QemuWord>();
        foreach (Range part in text.AsSpan().TrimEnd('\0').Split('\0'))
        {
            if (words.Count == MaxWords)
                return TooMany(sourceName, 1);
            words.Add(new(text[part], 1, NeedsShell: false));
        }

        string program = NameOf(words[0].Text).ToString();
        string release = ReleaseInPath(words[0].Text);
        words.RemoveAt(0);
        return new QemuCommandText { Program = program, Words = words.DrainToImmutable(), EmulatorText = release };
    }

    /// <summary>The same, in text.</summary>
    public static Parsed<QemuCommandText> FindInText(string text, string sourceName)
    {
        if (RootsPromptAt(text) is >= 0 and var prompt)
            text = $"{text[..prompt]} {text[(prompt + 1)..]}";
        var lines = new List<string>();
        foreach (ReadOnlySpan<char> raw in text.AsSpan().EnumerateLines())
            lines.Add(CitedLine.Unmarked(raw).ToString());

        int start = -1;
        int startColumn = 0;
        int commands = 0;
        int first = -1;
        int beforeLast = -1;
        string header = "";
        string headerOfStart = "";
        for (int i = 0; i < lines.Count; i++)
        {
            if (IsBlankOrComment(lines[i]))
                continue;
            if (first < 0)
                first = i;
            if (HeaderOf(lines[i]) is { } found)
            {
                header = found;
                continue;
            }

            int column = ProgramAt(lines[i]);
            if (column < 0)
                continue;
            // libvirt's log tells every start; those before the last are over.
            if (commands++ > 0 && header.Length == 0)
            {
                return InputError.Repeated(
                    sourceName, i + 1, $"a second command of QEMU (the first stands in line {start + 1})", "keep the one that is meant");
            }

            beforeLast = start;
            (start, startColumn, headerOfStart) = (i, column, header);
        }

        string program = "";
        string release = "";
        ImmutableArray<QemuWord> config = QemuConfigFile.Read(text);
        if (start < 0 && QemuConfigFile.IsOne(text))
        {
            return new QemuCommandText
            {
                Program = "",
                Words = [new("-nodefaults", 0, NeedsShell: false), new("-cpu", 0, NeedsShell: false), new("host", 0, NeedsShell: false)],
                Config = config,
                Remarks = ["the command that takes this file is not told: -nodefaults and -cpu host are assumed, as LXD and Incus have them"],
            };
        }

        if (start < 0)
        {
            if (first < 0 || !IsOption(lines[first].AsSpan().TrimStart()))
                return InputError.NothingInIt(sourceName, null, "no command of QEMU in it", Advice);
            start = first;
        }

        bool isListing = IsProcessListing(lines[start].AsSpan(0, startColumn));
        var words = ImmutableArray.CreateBuilder<QemuWord>();
        int? cutLine = null;
        if (isListing)
            SplitListing(lines, start, startColumn, words);
        else if (!TrySplitShell(lines, start, startColumn, words, sourceName, out cutLine, out InputError? unclosed))
            return unclosed;
        if (words.Count > MaxWords)
            return TooMany(sourceName, start + 1);
        if (words.Count > 0 && !IsOption(words[0].Text))
        {
            program = NameOf(words[0].Text).ToString();
            release = ReleaseInPath(words[0].Text);
            words.RemoveAt(0);
        }

        return new QemuCommandText
        {
            Program = program,
            Words = words.DrainToImmutable(),
            Line = start + 1,
            CutLine = cutLine,
            Config = config,
            EmulatorText = ValueIn(headerOfStart, "qemu version: ") is { Length: > 0 } told ? told
                : QemuLastWords.MonitorRelease(lines, start) is { Length: > 0 } shown ? shown : release,
            KernelText = ValueIn(headerOfStart, "kernel: "),
            LastWords = QemuLastWords.Behind(lines, start),
            Remarks = beforeLast >= 0 ? [$"the log tells {commands} starts of the guest; the last one, line {start + 1}, is read"]
                : cutLine is not null ? [$"line {cutLine} ends in a backslash: if the command goes on, what follows is missing"] : [],
        };
    }

    /// <summary>The release in a folder's name, as who installs QEMU by hand, Nix and Guix write it (<c>/usr/local/qemu-4.2.0/bin</c>,
    /// <c>/nix/store/…-qemu-9.2.0/bin</c>); empty without one.</summary>
    private static string ReleaseInPath(string path)
    {
        const string mark = "qemu-";
        string[] folders = path.Split('/');
        foreach (string folder in folders[..^1])
        {
            int at = folder.LastIndexOf(mark, StringComparison.Ordinal);
            if (at < 0 || (at > 0 && folder[at - 1] != '-'))
                continue;
            ReadOnlySpan<char> release = folder.AsSpan(at + mark.Length);
            int length = 0;
            while (length < release.Length && (char.IsAsciiDigit(release[length]) || release[length] == '.'))
                length++;
            release = release[..length];
            if (release.Contains('.') && QemuVersion.TryParseLeading(release, out _))
                return release.ToString();
        }

        return "";
    }

    private static bool TrySplitShell(List<string> lines, int start, int column, ImmutableArray<QemuWord>.Builder words, string sourceName,
        out int? cutLine, [NotNullWhen(false)] out InputError? error)
    {
        error = null;
        cutLine = null;
        char outer = OuterQuote(lines[start].AsSpan(0, column));
        char first = lines[start][column];
        ReadOnlySpan<char> rest = lines[start].AsSpan(column + 1);
        if (first is '"' or '\'' && !rest[..Math.Max(rest.IndexOfAny(' ', '\t'), 0)].Contains(first))
            (outer, column) = (first, column + 1);
        IReadOnlyDictionary<string, string> literals =
            ShellLiterals.Above(lines, start, out IReadOnlyDictionary<string, ImmutableArray<QemuWord>> arrays);
        var shell = new ShellWords(lines, start, column, 1, outer)
        {
            Literals = literals,
            Arrays = arrays,
            Splits = ShellLiterals.AreSplit(lines, start),
        };
        shell.ReadInto(words);
        cutLine = shell.CutLine + 1;
        if (shell.Unclosed is not { } unclosed)
            return true;
        // What is copied from ps or /proc has no quotes: an apostrophe in a name is one of its letters.
        if (unclosed.IsApostrophe && unclosed.Line == start)
        {
            words.Clear();
            SplitListing(lines, start, column, words);
            return true;
        }

        // The end of a quote that was opened lines before the command.
        if (unclosed.IsLastOfLine && lines.FindIndex(0, start, line => line.Contains(unclosed.Text[0], StringComparison.Ordinal)) >= 0)
        {
            words[^1] = words[^1] with { Text = words[^1].Text.TrimEnd('\n', '\t', ' ', ')', ';', ',', ']') };
            return true;
        }

        error = NeverClosed(sourceName, unclosed.Line + 1, unclosed);
        return false;
    }

    /// <summary>That a quote is never closed: no shell runs such a command, and what follows would be taken for a part of one value.</summary>
    internal static InputError NeverClosed(string sourceName, int line, UnclosedQuote unclosed) => InputError.Malformed(sourceName, line,
        $"the quote is never closed that begins in {InputError.Quote(unclosed.Text)}", "close it where the value ends, or take it out");

    /// <summary>The quote that was opened in front of a command and holds it; NUL for none. An apostrophe within a word opens nothing.</summary>
    private static char OuterQuote(ReadOnlySpan<char> before)
    {
        char open = '\0';
        for (int i = 0; i < before.Length; i++)
        {
            char c = before[i];
            if (open != '\0' && c == open)
                open = '\0';
            else if (open == '\0' && c is '"' or '\'' && (i == 0 || before[i - 1] is ' ' or '\t' or '=' or '(' or '[' or ','))
                open = c;
        }

        return open;
    }

    private static InputError TooMany(string sourceName, int line) =>
        InputError.TooLarge(sourceName, line, $"more than {MaxWords} arguments", "check that this is a command of QEMU");

    /// <summary>What libvirt writes in front of a command ("… starting up libvirt version: 9.0.0, …"); null for another line.</summary>
    private static string? HeaderOf(string line)
    {
        int at = line.IndexOf(": starting up", StringComparison.Ordinal);
        return at < 0 || line.Length == 0 || !char.IsAsciiDigit(line[0]) ? null : line[at..];
    }

    private static string ValueIn(string header, string mark)
    {
        int at = header.IndexOf(mark, StringComparison.Ordinal);
        if (at < 0)
            return "";
        string text = header[(at + mark.Length)..];
        int end = text.IndexOf(", ", StringComparison.Ordinal);
        return end < 0 ? text : text[..end];
    }

    /// <summary>The column at which a command of QEMU starts in a line; −1 where none does.</summary>
    private static int ProgramAt(ReadOnlySpan<char> line)
    {
        int position = 0;
        bool isSearch = false;
        while (true)
        {
            while (position < line.Length && char.IsWhiteSpace(line[position]))
                position++;
            if (position == line.Length)
                return -1;
            int end = position;
            while (end < line.Length && !char.IsWhiteSpace(line[end]))
                end++;
            ReadOnlySpan<char> word = line[position..end];
            int value = IsAssignment(word) ? word.IndexOf('=') + 1 : 0;
            ReadOnlySpan<char> rest = line[end..].TrimStart();
            // Prose and searches name the program too; a command goes on with an option, or with something that is no word of prose.
            // Debian's short name has no folder, and stands in front.
            bool isShort = word is "kvm" && IsOption(rest) && line[..position].Trim() is "" or "sudo" or "exec" or "$" or "nohup";
            if (!isSearch && (isShort || IsProgram(word[value..])) && !IsQuotedValue(line[..position], word)
                && (value == 0 || (!rest.IsEmpty && word[value] is not ('"' or '\'')))
                && (rest.IsEmpty || rest[0] is '\\' or '"' or '\'' or '$' or '/' or '.' || IsOption(rest)))
            {
                return position + value;
            }

            isSearch |= NameOf(word) is "grep" or "pgrep" or "egrep" or "which" or "pidof";
            position = end;
        }
    }

    /// <summary><c>ExecStart=/usr/bin/qemu-system-x86_64</c> of a systemd unit; an xl.cfg names the program in quotes.</summary>
    private static bool IsAssignment(ReadOnlySpan<char> word) => word.IndexOf('=') is > 0 and var at && word[..at].IndexOfAnyExcept(s_letters) < 0;

    /// <summary><c>device_model_override = "/usr/bin/qemu-system-i386"</c> of an xl.cfg.</summary>
    private static bool IsQuotedValue(ReadOnlySpan<char> before, ReadOnlySpan<char> word) =>
        word[0] is '"' or '\'' && before.TrimEnd() is [.. var key, '='] && key.Trim().IndexOfAnyExcept(s_letters) < 0;

    private static readonly System.Buffers.SearchValues<char> s_letters =
        System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_");

    private static bool IsProgram(ReadOnlySpan<char> word)
    {
        word = word.Trim("\"'");
        if (IsVariable(word))
            return true;
        ReadOnlySpan<char> name = NameOf(word);
        // Some name what they built of it: qemu-vanilla-system-x86_64.
        const string system = "system-";
        if (name.StartsWith("qemu-") && name.IndexOf(system) is > 0 and var at)
            return name.IndexOfAnyExcept(s_nameCharacters) < 0 && name.Length > at + system.Length;
        // The short names are words too: with a folder, or as the whole word.
        return name is "qemu-kvm" or "kvm-spice" || (name is "kvm" or "qemu" && name.Length < word.Length && word is not "/dev/kvm");
    }

    /// <summary><c>$QEMU</c>, <c>${QEMU_BIN}</c>: what a script calls the program.</summary>
    private static bool IsVariable(ReadOnlySpan<char> word)
    {
        if (word.Length < 2 || word[0] != '$')
            return false;
        ReadOnlySpan<char> name = word[1] == '{' && word[^1] == '}' ? word[2..^1] : word[1..];
        return name.IndexOfAnyExcept(s_variable) < 0 && name.Contains("qemu", StringComparison.OrdinalIgnoreCase)
            && !name.Contains("img", StringComparison.OrdinalIgnoreCase) && !name.Contains("nbd", StringComparison.OrdinalIgnoreCase);
    }

    private static readonly System.Buffers.SearchValues<char> s_variable =
        System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

    private static readonly System.Buffers.SearchValues<char> s_nameCharacters =
        System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");

    private static ReadOnlySpan<char> NameOf(ReadOnlySpan<char> word)
    {
        word = word.Trim("\"'");
        return word[(word.LastIndexOf('/') + 1)..];
    }

    /// <summary>
    /// Whether what stands in front of the program is what process listings put there: <c>PID</c> first (ps ax, pgrep -a), or a user and the PID,
    /// and at least three columns more (ps aux, ps -ef).
    /// </summary>
    private static bool IsProcessListing(ReadOnlySpan<char> before)
    {
        int count = 0;
        bool isFirstNumber = false;
        bool isSecondNumber = false;
        foreach (Range part in before.Split(' '))
        {
            ReadOnlySpan<char> column = before[part].Trim();
            if (column.IsEmpty)
                continue;
            bool isNumber = !column.ContainsAnyExceptInRange('0', '9');
            isFirstNumber |= count == 0 && isNumber;
            isSecondNumber |= count == 1 && isNumber;
            count++;
        }

        return isFirstNumber || (isSecondNumber && count >= 5);
    }

    /// <summary>A listing shows arguments without quotes: a word that is neither an option nor the value of one belongs to the word before
    /// it.</summary>
    private static void SplitListing(List<string> lines, int start, int column, ImmutableArray<QemuWord>.Builder words)
    {
        bool awaitsValue = false;
        var text = new StringBuilder();
        for (int i = start; i < lines.Count; i++)
        {
            ReadOnlySpan<char> line = lines[i].AsSpan(i == start ? column : 0);
            // A terminal or mail program may have wrapped the line; another process begins with its user or number.
            if (i > start && !awaitsValue && !IsOption(line.TrimStart()))
                break;
            foreach (Range part in line.Split(' '))
            {
                ReadOnlySpan<char> word = line[part].Trim();
                if (word.IsEmpty)
                    continue;
                if (words.Count > 1 && !awaitsValue && !IsOption(word))
                {
                    QemuWord last = words[^1];
                    if (text.Length == 0)
                        text.Append(last.Text);
                    text.Append(' ').Append(word);
                    continue;
                }

                Flush(words, text);
                if (words.Count > MaxWords)
                    return;
                words.Add(new(word.ToString(), i + 1, NeedsShell: false));
                awaitsValue = !awaitsValue && words.Count > 1 && IsOption(word) && QemuOptionNames.TakesValue(word);
            }
        }

        Flush(words, text);
    }

    /// <summary>Puts the last word together, in one go: a line of a million blanks must not cost its square.</summary>
    private static void Flush(ImmutableArray<QemuWord>.Builder words, StringBuilder text)
    {
        if (text.Length == 0)
            return;
        words[^1] = words[^1] with { Text = text.ToString() };
        text.Clear();
    }
}
