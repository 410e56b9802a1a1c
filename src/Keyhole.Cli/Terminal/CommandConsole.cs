// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.IO;
using System.Text;
using Keyhole.Cli.Options;
using Keyhole.Cli.Text;
using Keyhole.Diagnostics;
using Keyhole.Dom0;

namespace Keyhole.Cli.Terminal;

/// <summary>Where a command reads and writes: the process's streams, or a test's.</summary>
internal sealed class CommandConsole : IDisposable
{
    /// <summary>Wider than any answer.</summary>
    private const int UnboundedWidth = 4096;

    /// <summary>What files and mails have room for.</summary>
    private const int FileWidth = 80;

    /// <summary>Tables have room in it; a narrower terminal breaks the lines itself.</summary>
    private const int NarrowestWidth = 60;

    private readonly Func<Stream> _openInput;
    private readonly StreamWriter _out;
    private bool _isInputTaken;
    private AnswerWriter? _ansi;
    private Progress? _progress;

    public CommandConsole(StreamWriter output, TextWriter error, Func<Stream> openInput, bool hasColours)
    {
        _out = output;
        ErrorWriter = error;
        HasColours = hasColours;
        _openInput = openInput;
    }

    /// <summary>Standard output. Where it is a terminal, progress ends with its first use.</summary>
    public StreamWriter Out
    {
        get
        {
            if (IsOutputWatched)
                _progress?.End();
            return _out;
        }
    }

    /// <summary>Standard error, for the parser alone: all else goes through <see cref="Error"/>, <see cref="Remark"/> and
    /// <see cref="Tell(string)"/>.</summary>
    public TextWriter ErrorWriter { get; }

    /// <summary>Colours only on a terminal, and not against NO_COLOR.</summary>
    public bool HasColours { get; }

    /// <summary>Columns that lines are laid out for; of a test, as many as a line needs.</summary>
    public int Width { get; init; } = UnboundedWidth;

    /// <summary>How long a pipe that is named may be silent.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The machine that commands for dom0 work on.</summary>
    public LiveMachine Dom0 { get; init; } = new();

    /// <summary>Columns of standard error.</summary>
    public int ErrorWidth { get; init; } = UnboundedWidth;

    /// <summary>Whether somebody watches standard output.</summary>
    public bool IsOutputWatched { get; init; }

    /// <summary>Whether somebody watches standard error: progress is shown to nobody else.</summary>
    public bool IsErrorWatched { get; init; }

    /// <summary>Whether somebody types what is read from standard input: no progress is shown over that.</summary>
    public bool IsInputTyped { get; init; }

    /// <summary>How long nothing is told of what is being done.</summary>
    public TimeSpan ProgressDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>What is being done, for who watches standard error.</summary>
    public Progress Progress => _progress ??= new(ErrorWriter, IsErrorWatched, ProgressDelay);

    /// <summary>Where answers are written as text.</summary>
    public AnswerWriter Ansi
    {
        get
        {
            StreamWriter output = Out;
            return _ansi ??= new(output, Math.Max(NarrowestWidth, Width), HasColours);
        }
    }

    public static CommandConsole ForProcess()
    {
        var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false), 4 * 1024);
        bool isTerminal = !Console.IsOutputRedirected;
        bool hasColours = isTerminal && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"))
            && Environment.GetEnvironmentVariable("TERM") != "dumb";
        var errors = new StreamWriter(new ErrorStream(Console.OpenStandardError()), new UTF8Encoding(false), 256) { AutoFlush = true };
        return new(output, errors, Console.OpenStandardInput, hasColours)
        {
            IsOutputWatched = isTerminal,
            IsErrorWatched = !Console.IsErrorRedirected,
            IsInputTyped = !Console.IsInputRedirected,
            Width = Columns(isTerminal),
            ErrorWidth = Columns(!Console.IsErrorRedirected),
        };
    }

    /// <summary>What COLUMNS says, else the terminal; a pipe or file has as many as a mail.</summary>
    private static int Columns(bool isTerminal)
    {
        if (int.TryParse(Environment.GetEnvironmentVariable("COLUMNS"), NumberStyles.None, CultureInfo.InvariantCulture, out int columns)
            && columns > 0)
            return Math.Min(columns, UnboundedWidth);
        return isTerminal ? Console.WindowWidth : FileWidth;
    }

    /// <summary>Standard input, which can be read once: false from the second time on.</summary>
    public bool TryOpenInput([NotNullWhen(true)] out Stream? input)
    {
        input = _isInputTaken ? null : _openInput();
        _isInputTaken = true;
        return input is not null;
    }

    /// <summary>Standard output for bytes.</summary>
    public Stream OutBytes
    {
        get
        {
            Out.Flush();
            return Out.BaseStream;
        }
    }

    /// <summary>An error: one line for scripts, broken between words for people.</summary>
    public void Error(Phrase message) => Tell($"keyhole: {message.Worded(OptionWords.Of)}", IsErrorWatched);

    /// <summary>Says how a command that takes its time comes on, on standard error.</summary>
    public void Tell(string text) => Tell($"keyhole: {text}", IsErrorWatched);

    private void Tell(string text, bool isWrapped) => Progress.Write(to =>
    {
        if (isWrapped)
            new AnswerWriter(to, Math.Max(NarrowestWidth, ErrorWidth), hasColours: false).WriteLine(text);
        else
            to.WriteLine(ForeignText.OneLine(text));
    });

    /// <summary>Says what could not be read, and returns the exit status for it.</summary>
    public int Fail(InputError error)
    {
        Error(error.ToPhrase());
        return ExitStatus.BadUsage;
    }

    /// <summary>Says why something cannot be done to a domain, and returns the exit status for it.</summary>
    public int Refuse(XenProblem problem)
    {
        Error(problem.ToPhrase());
        return problem.Kind switch
        {
            XenProblemKind.Here => ExitStatus.BadUsage,
            XenProblemKind.Guest => ExitStatus.No,
            XenProblemKind.Refused => ExitStatus.Refused,
        };
    }

    /// <summary>A remark that is no error: on standard error, so that --json stays alone on standard output.</summary>
    public void Remark(Phrase message) => Tell($"note: {message.Worded(OptionWords.Of)}", isWrapped: true);

    public void Dispose()
    {
        _progress?.End();
        try
        {
            _out.Dispose();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Nobody reads what is left (keyhole … | head).
        }
    }
}
