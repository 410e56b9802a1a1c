// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Keyhole.Captures;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Dom0;
using Keyhole.Migration;
using Keyhole.Reading;

namespace Keyhole.Cli.Options;

/// <summary>The hosts of a fleet as the user names them: files, folders of files, and - for standard input.</summary>
internal static class FleetHosts
{
    private const string WhatItIs = "a boot log or another source of a memory map";
    private const int HeadBytes = 16 * 1024;

    /// <summary>Reads all of them; what cannot be read is in the tally.</summary>
    public static void Read(CommandConsole console, IEnumerable<string> paths, FleetReader reader, FleetTally tally)
    {
        foreach (string path in paths)
        {
            if (path == "-")
                ReadInput(console, reader);
            else if (Directory.Exists(path))
                ReadFolder(console, path, reader, tally);
            else
                ReadFile(console, path, reader, tally);
        }

        reader.Finish();
    }

    private static void ReadInput(CommandConsole console, FleetReader reader)
    {
        const string name = "standard input";
        if (!console.TryOpenInput(out Stream? opened))
        {
            reader.ReadHost(name, static () => Files.InputReadTwice);
            return;
        }

        using Stream input = opened;
        byte[] head = new byte[HeadBytes];
        int length = input.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        using var whole = new PrefixedStream(head.AsMemory(0, length), input);
        if (FleetReader.AreCaptures(head.AsSpan(0, length)))
        {
            reader.ReadCaptures(whole, name);
            return;
        }

        Parsed<HostDocument> read = HostMapReader.Read(whole, name, HostMapOptions.Default);
        reader.ReadHost(name, () => read);
    }

    /// <summary>Each file of a folder is a host; a copy of /sys/firmware/memmap is one.</summary>
    private static void ReadFolder(CommandConsole console, string folder, FleetReader reader, FleetTally tally)
    {
        try
        {
            if (File.Exists(Path.Combine(folder, "0", "start")))
            {
                reader.ReadHost(Files.Shown(folder), () => MemmapFolderReader.Read(folder));
                return;
            }

            bool isEmpty = true;
            // By name: the order of a folder is the file system's, and another on each machine.
            foreach (string file in Directory.EnumerateFiles(folder).Where(static file => !Path.GetFileName(file).StartsWith('.'))
                .Order(StringComparer.Ordinal))
            {
                isEmpty = false;
                var info = new FileInfo(file);
                if (!info.Exists && file.Contains('\ufffd', StringComparison.Ordinal))
                {
                    tally.AddUnreadable(InputError.Unreadable(Files.Shown(file), null, "a file's name that is not UTF-8 cannot be opened",
                        "rename the file"));
                    continue;
                }

                // A pipe among them would be waited for until somebody writes to it.
                if (info.Length == 0)
                {
                    tally.AddUnreadable(InputError.NothingInIt(Files.Shown(file), null, "there is nothing in it",
                        "give each host's log a file of its own"));
                    continue;
                }

                bool areCaptures = Path.GetExtension(file) is ".ndjson" or ".jsonl";
                if (areCaptures)
                    ReadFile(console, file, reader, tally);
                else
                    reader.ReadHost(Files.Shown(file), () => ReadMap(console, file));
            }

            if (isEmpty)
                tally.AddUnreadable(InputError.NothingInIt(Files.Shown(folder), null, "there is no file in the folder",
                    "name a folder that has a file for each host"));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            tally.AddUnreadable(InputError.Unreadable(Files.Shown(folder), null, $"{exception.Message.ReplaceLineEndings(" ").TrimEnd('.')}",
                "name a folder that can be read"));
        }
    }

    private static void ReadFile(CommandConsole console, string path, FleetReader reader, FleetTally tally)
    {
        Parsed<FileForm> read = Files.Read(console, path, WhatItIs, (stream, name) => ReadOpened(stream, name, reader));
        if (!read.TryGet(out FileForm? form, out InputError? error))
            tally.AddUnreadable(error);
        else if (form.IsMap)
            reader.ReadHost(Files.Shown(path), () => ReadMap(console, path));
    }

    /// <summary>Captures, and maps that cannot be read a second time (a pipe), are read at once; other maps on another thread.</summary>
    private static Parsed<FileForm> ReadOpened(Stream stream, string name, FleetReader reader)
    {
        byte[] head = new byte[HeadBytes];
        int length = stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        using var whole = new PrefixedStream(head.AsMemory(0, length), stream);
        if (FleetReader.AreCaptures(head.AsSpan(0, length)))
        {
            reader.ReadCaptures(whole, name);
            return new FileForm(IsMap: false);
        }

        if (stream is LimitedStream { IsRepeatable: true })
            return new FileForm(IsMap: true);
        Parsed<HostDocument> read = HostMapReader.Read(whole, name, HostMapOptions.Default);
        reader.ReadHost(name, () => read);
        return new FileForm(IsMap: false);
    }

    private static Parsed<HostDocument> ReadMap(CommandConsole console, string path) =>
        Files.Read(console, path, WhatItIs, static (stream, name) => HostMapReader.Read(stream, name, HostMapOptions.Default));

    private sealed record FileForm(bool IsMap);
}
