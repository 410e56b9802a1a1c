// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Formats.Tar;
using System.IO;
using System.Linq;
using System.Text;

namespace Keyhole.RealMachine;

/// <summary>The shared libraries in a set of packages, and which of them a program needs: an image then holds no more than that.</summary>
public sealed class SharedLibraries
{
    // File name → content, or the file name that a link leads to. Where two packages have the same name the first one counts, as with a loader's
    // search path.
    private readonly Dictionary<string, byte[]> _files = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _links = new(StringComparer.Ordinal);

    /// <summary>Reads all libraries of the packages.</summary>
    public SharedLibraries(IEnumerable<Package> packages)
    {
        foreach (Package package in packages)
        {
            package.ReadFiles((path, entry) =>
            {
                string name = Path.GetFileName(path);
                if (!IsLibraryFolder(Path.GetDirectoryName(path) ?? "") || !name.Contains(".so", StringComparison.Ordinal))
                    return;
                if (entry.EntryType is TarEntryType.RegularFile)
                    _files.TryAdd(name, Package.ContentOf(entry));
                else if (entry.EntryType is TarEntryType.SymbolicLink or TarEntryType.HardLink)
                    _links.TryAdd(name, Path.GetFileName(entry.LinkName));
            });
        }
    }

    /// <summary>Name → content of every library that the programs need, and that those libraries need, the loader among them.</summary>
    /// <param name="programs">ELF files; others need nothing.</param>
    /// <param name="names">Libraries that are wanted in any case: those that are opened by name, or that somebody else's programs need.</param>
    /// <exception cref="HarnessException">A library is in none of the packages.</exception>
    public SortedDictionary<string, byte[]> NeededBy(IEnumerable<byte[]> programs, params IEnumerable<string> names)
    {
        var needed = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        var open = new Queue<string>(programs.SelectMany(NeededNames).Concat(names));
        while (open.TryDequeue(out string? name))
        {
            if (needed.ContainsKey(name))
                continue;
            byte[] content = Content(name) ?? throw new HarnessException($"{name}: needed, but in none of the packages that were unpacked");
            needed.Add(name, content);
            foreach (string next in NeededNames(content))
                open.Enqueue(next);
        }

        return needed;
    }

    /// <summary>Where a library lies in an image: one folder for all, but for the loader, whose place programs name.</summary>
    public static string PlaceOf(string name) => name.StartsWith("ld-linux", StringComparison.Ordinal) ? "lib64/" + name
        : "lib/x86_64-linux-gnu/" + name;

    private byte[]? Content(string name)
    {
        const int LongestChain = 8;
        for (int i = 0; i < LongestChain && !_files.ContainsKey(name); i++)
        {
            if (!_links.TryGetValue(name, out string? target))
                return null;
            name = target;
        }

        return _files.GetValueOrDefault(name);
    }

    private static bool IsLibraryFolder(string folder) =>
        folder is "lib/x86_64-linux-gnu" or "usr/lib/x86_64-linux-gnu" or "lib64" or "usr/lib64"
            || (folder.StartsWith("usr/lib/xen-", StringComparison.Ordinal) && folder.EndsWith("/lib/x86_64-linux-gnu", StringComparison.Ordinal));

    // The DT_NEEDED entries of a 64-bit little-endian ELF file (System V ABI): names in the string table that DT_STRTAB gives the address of.
    private static IEnumerable<string> NeededNames(byte[] elf)
    {
        const int ProgramHeaders = 0x20, ProgramHeaderCount = 0x38, ProgramHeaderBytes = 56, Load = 1, Dynamic = 2, EntryBytes = 16;
        const ulong End = 0, Needed = 1, StringTable = 5;
        if (elf is not [0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, ..])
            yield break;
        int first = (int)U64(ProgramHeaders), count = BinaryPrimitives.ReadUInt16LittleEndian(elf.AsSpan(ProgramHeaderCount));
        (uint Type, int Offset, ulong Address, int Bytes)[] segments =
            [.. Enumerable.Range(0, count).Select(i => first + (i * ProgramHeaderBytes))
                .Select(at => (U32(at), (int)U64(at + 8), U64(at + 16), (int)U64(at + 32)))];
        (uint _, int dynamic, ulong _, int bytes) = segments.FirstOrDefault(segment => segment.Type == Dynamic);
        (ulong Tag, ulong Value)[] entries =
            [.. Enumerable.Range(0, bytes / EntryBytes).Select(i => dynamic + (i * EntryBytes)).Select(at => (U64(at), U64(at + 8)))
                .TakeWhile(entry => entry.Item1 != End)];
        ulong table = entries.FirstOrDefault(entry => entry.Tag == StringTable).Value;
        (uint Type, int Offset, ulong Address, int Bytes) holds =
            segments.FirstOrDefault(segment => segment.Type == Load && table >= segment.Address && table - segment.Address < (ulong)segment.Bytes);
        foreach ((ulong tag, ulong value) in entries)
        {
            if (tag != Needed)
                continue;
            int start = holds.Offset + (int)(table - holds.Address + value);
            yield return Encoding.ASCII.GetString(elf, start, Array.IndexOf(elf, (byte)0, start) - start);
        }

        ulong U64(int at) => BinaryPrimitives.ReadUInt64LittleEndian(elf.AsSpan(at));
        uint U32(int at) => BinaryPrimitives.ReadUInt32LittleEndian(elf.AsSpan(at));
    }
}
