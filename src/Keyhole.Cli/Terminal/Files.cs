// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.CommandLine;
using System.CommandLine.Parsing;
using System.IO;
using System.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Cli.Terminal;

/// <summary>Opens what the user names. Whatever the file system says becomes one line.</summary>
internal static class Files
{
    /// <summary>What reads on and on, such as a device, ends here.</summary>
    private const long MaxInputBytes = 4L << 30;

    public static InputError InputReadTwice => InputError.Unreadable("-", null, "standard input can be read once only", "give - once");

    /// <summary>Whether more than one option of a command is to be read from standard input.</summary>
    public static bool ReadsInputTwice(ParseResult parsed)
    {
        const string output = "--output";
        int count = 0;
        foreach (SymbolResult symbol in parsed.CommandResult.Children)
        {
            if (symbol is OptionResult result && result.Option.Name != output)
                count += result.Tokens.Count(static token => token.Value == "-");
        }

        return count > 1;
    }

    /// <summary>Runs a reader on a file or, for "-", on standard input.</summary>
    public static Parsed<T> Read<T>(CommandConsole console, string path, string whatItIs, Func<Stream, string, Parsed<T>> reader)
        where T : class
    {
        string stage = path == "-" ? "" : $"waiting for {Shown(path)}";
        LimitedStream? opened = null;
        bool isTold = console.Progress.TryTell(() => opened is null ? stage
            : path != "-" ? opened.ToProgress(Shown(path)) : console.IsInputTyped ? "" : opened.ToProgress("standard input"));
        try
        {
            if (path == "-")
            {
                if (!console.TryOpenInput(out Stream? input))
                    return InputReadTwice;
                using var limitedInput = new LimitedStream(input, MaxInputBytes);
                opened = limitedInput;
                return reader(limitedInput, "standard input");
            }

            if (Directory.Exists(path))
                return InputError.Unreadable(Shown(path), null, "this is a folder", $"name {whatItIs}");
            using var limited = new LimitedStream(PatientStream.Open(path, console.Patience), MaxInputBytes);
            opened = limited;
            return reader(limited, Shown(path));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return Describe(exception, path, whatItIs);
        }
        finally
        {
            if (isTold)
                console.Progress.Tell(null);
        }
    }

    /// <summary>Writes the answer itself to the file that <c>--output</c> names; "-" is standard output. The error, or null.</summary>
    public static InputError? WriteAnswer(CommandConsole console, string path, ReadOnlySpan<byte> bytes)
    {
        if (path != "-")
            return WriteWhole(path, bytes, console.Patience);
        console.OutBytes.Write(bytes);
        return null;
    }

    /// <summary>Writes a file whole or not at all: what was there before stays until the new one is complete. The error, or null.</summary>
    /// <param name="path">As the user gives it.</param>
    /// <param name="bytes">What is in it then.</param>
    /// <param name="patience">How long a pipe is waited for that nobody reads from.</param>
    public static InputError? WriteWhole(string path, ReadOnlySpan<byte> bytes, TimeSpan patience)
    {
        string? unfinished = null;
        try
        {
            if (path == "-")
                return InputError.Conflict(path, null, "standard output has the answer in words", "name a file that can be written");
            string full = Path.GetFullPath(path);
            // What a link leads to is written, not the link: also where that is not there yet, or a device.
            if (!IsOfTheSystem(full) && new FileInfo(full).LinkTarget is not null)
                full = File.ResolveLinkTarget(full, returnFinalTarget: true)?.FullName ?? full;
            if (Directory.Exists(full))
                return InputError.Unwritable(Shown(path), null, "this is a folder", "name a file that can be written");
            if (IsOfTheSystem(full))
            {
                // Nothing there is a file that could be replaced.
                using var device = new FileStream(full, FileMode.Open, FileAccess.Write);
                device.Write(bytes);
                return null;
            }

            if (File.Exists(full))
            {
                // Nor is a pipe.
                byte[] content = bytes.ToArray();
                if (PatientStream.Await(() => WroteToPipe(full, content), patience, "nobody reads from it within"))
                    return null;
            }

            string temporary = $"{full}.{Environment.ProcessId}.new";
            using (var file = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write))
            {
                unfinished = temporary;
                if (!OperatingSystem.IsWindows() && File.Exists(full))
                    File.SetUnixFileMode(file.SafeFileHandle, File.GetUnixFileMode(full));
                file.Write(bytes);
            }

            File.Move(temporary, full, overwrite: true);
            unfinished = null;
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            InputError error = Describe(exception, path, "a file that can be written");
            return exception is DirectoryNotFoundException
                ? InputError.NotFound(error.Source, null, "there is no such folder", error.Remedy)
                : new InputError(InputErrorCode.Unwritable, error.Source, null, $"{error.What}", "name a file that can be written");
        }
        finally
        {
            if (unfinished is not null)
                File.Delete(unfinished);
        }
    }

    /// <summary>Whether it is a pipe, which then has the content: a file is not touched.</summary>
    private static bool WroteToPipe(string path, byte[] content)
    {
        using var there = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        if (there.CanSeek)
            return false;
        there.Write(content);
        return true;
    }

    /// <summary>Whether a path is that of a device or a process's stream rather than of a file.</summary>
    private static bool IsOfTheSystem(string full) =>
        full.StartsWith("/proc/", StringComparison.Ordinal)
            || (full.StartsWith("/dev/", StringComparison.Ordinal) && !full.StartsWith("/dev/shm/", StringComparison.Ordinal));

    /// <summary>A path fit for one line.</summary>
    public static string Shown(string path) => InputError.PathText(path);

    private static InputError Describe(Exception exception, string path, string whatItIs) => exception switch
    {
        InputStalledException => InputError.Unreadable(Shown(path), null, $"{exception.Message}", $"name {whatItIs}"),
        FileNotFoundException when path.Contains('\ufffd', StringComparison.Ordinal) =>
            InputError.Unreadable(Shown(path), null, "a file's name that is not UTF-8 cannot be opened", "rename the file"),
        InputTooLongException => InputError.TooLarge(path == "-" ? "standard input" : Shown(path), null, $"{exception.Message}",
            "cut out the part that matters: a boot log, a map"),
        FileNotFoundException or DirectoryNotFoundException => InputError.NotFound(Shown(path), null, "no such file", $"name {whatItIs}"),
        UnauthorizedAccessException => InputError.Unreadable(Shown(path), null, "permission denied",
            "read it as root, or copy it to where you may read it"),
        ArgumentException or NotSupportedException => InputError.Unreadable(InputError.Quote(path), null, "this is not a valid file name",
            $"name {whatItIs}"),
        _ => InputError.Unreadable(Shown(path), null, $"{exception.Message.ReplaceLineEndings(" ").TrimEnd('.')}", $"name {whatItIs}"),
    };
}
