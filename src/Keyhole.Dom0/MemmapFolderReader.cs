// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.Hosts;

namespace Keyhole.Dom0;

/// <summary>Reads <c>/sys/firmware/memmap</c> or a copy of it.</summary>
public static class MemmapFolderReader
{
    /// <summary>Entries are files of a few bytes; nothing longer is read.</summary>
    private const int MaxFileBytes = 256;

    private const string WhatItIs = "name a folder like /sys/firmware/memmap";

    /// <summary>The map in a folder that holds folders 0, 1, 2 … with the files start, end and type; or why it cannot be read.</summary>
    public static Parsed<HostDocument> Read(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        string shown = InputError.PathText(folder);
        try
        {
            List<MemmapEntry> entries = [];
            foreach (string entry in Directory.EnumerateDirectories(folder).Take(Host.MaxEntries + 1))
                entries.Add(new(Path.GetFileName(entry), ReadFile(entry, "start"), ReadFile(entry, "end"), ReadFile(entry, "type")));
            return HostMapReader.ReadMemmap(entries, shown);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return Directory.Exists(folder)
                ? InputError.NothingInIt(shown, null, "this folder is not a memmap: its folders lack start, end or type",
                    $"{WhatItIs}, or a file in this one")
                : InputError.NotFound(shown, null, "no such file", WhatItIs);
        }
        catch (UnauthorizedAccessException)
        {
            return InputError.Unreadable(shown, null, "permission denied", "read it as root, or copy it to where you may read it");
        }
        catch (IOException exception)
        {
            return InputError.Unreadable(shown, null, $"{exception.Message.ReplaceLineEndings(" ").TrimEnd('.')}", WhatItIs);
        }
    }

    private static string ReadFile(string folder, string name)
    {
        string path = Path.Combine(folder, name);
        // A pipe in a copy of the folder would be waited for without end.
        if (new FileInfo(File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path) is { Exists: true, Length: 0 })
            throw new IOException($"{name} in folder {InputError.PathText(Path.GetFileName(folder))} is empty, a pipe or a device");
        using FileStream file = File.OpenRead(path);
        byte[] bytes = new byte[MaxFileBytes];
        return Encoding.ASCII.GetString(bytes, 0, file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false));
    }
}
