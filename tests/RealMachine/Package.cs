// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.Formats.Tar;
using System.IO;

namespace Keyhole.RealMachine;

/// <summary>One downloaded Debian package.</summary>
/// <param name="Name">"xen-utils-4.17".</param>
/// <param name="Version">As Debian writes it, with its epoch.</param>
/// <param name="File">Where it lies.</param>
public sealed record Package(string Name, string Version, string File)
{
    /// <summary>What images are keyed by.</summary>
    public string Input => $"{Name} {Version}";

    /// <summary>Reads the package's files: calls <paramref name="take"/> with each path (no leading "./") and entry.</summary>
    /// <exception cref="HarnessException">The package is damaged.</exception>
    public void ReadFiles(Action<string, TarEntry> take)
    {
        using Process process = Tool.Start("/", "dpkg-deb", "--fsys-tarfile", File);
        process.StandardInput.Close();
        try
        {
            using var tar = new TarReader(process.StandardOutput.BaseStream, leaveOpen: true);
            while (tar.GetNextEntry() is { } entry)
                take(entry.Name.StartsWith("./", StringComparison.Ordinal) ? entry.Name[2..] : entry.Name, entry);
            // The archive's end is padded; dpkg-deb wants to get rid of all of it.
            process.StandardOutput.BaseStream.CopyTo(Stream.Null);
            process.WaitForExit();
            if (process.ExitCode == 0)
                return;
        }
        catch (Exception failure) when (failure is InvalidDataException or EndOfStreamException)
        {
            throw Damaged(failure);
        }

        throw Damaged(null);
    }

    /// <summary>The one regular file that <paramref name="wanted"/> says yes to.</summary>
    /// <exception cref="HarnessException">There is none.</exception>
    public byte[] TakeOne(Predicate<string> wanted)
    {
        byte[]? content = null;
        ReadFiles((path, entry) =>
        {
            if (wanted(path) && entry.EntryType is TarEntryType.RegularFile)
                content = ContentOf(entry);
        });
        return content ?? throw new HarnessException($"{Name} {Version}: lacks the file that the harness takes from it; its layout has changed");
    }

    public static byte[] ContentOf(TarEntry entry)
    {
        using var content = new MemoryStream();
        entry.DataStream?.CopyTo(content);
        return content.ToArray();
    }

    private HarnessException Damaged(Exception? inner) => new($"{Name}: {File} is damaged; delete it and start again", inner!);
}
