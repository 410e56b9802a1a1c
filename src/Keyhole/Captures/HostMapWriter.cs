// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers.Binary;
using System.Collections.Immutable;
using System.IO;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;

namespace Keyhole.Captures;

/// <summary>
/// Writes a map in any dialect that <see cref="HostMapReader"/> reads back to the same entries. What a dialect cannot say is refused:
/// EFI's descriptors are read only; an inclusive end cannot say "empty at 0"; <c>/proc/iomem</c> is sorted, without overlaps and empty entries; iomem
/// and memmap have names for the known types only. Traits and devices are written by JSON alone.
/// </summary>
public static class HostMapWriter
{
    private const string KernelStamp = "[    0.000000] ";
    private const string AlwaysPossible = "write lines, packed or json, which hold every map";

    /// <summary>Writes the map as text (UTF-8, line feeds) or packed bytes. On an error nothing has been written.</summary>
    /// <returns>Null, or why the dialect cannot hold this map. A memmap is a folder: see <see cref="ToMemmap"/>.</returns>
    public static InputError? Write(HostDocument map, HostMapDialect dialect, Stream destination)
    {
        ArgumentNullException.ThrowIfNull(map);
        ArgumentNullException.ThrowIfNull(destination);
        if (Refusal(map, dialect) is { } error)
            return error;
        switch (dialect)
        {
            case HostMapDialect.Packed:
                WritePacked(map, destination);
                return null;
            case HostMapDialect.Json:
                HostMapJson.Write(map, destination);
                destination.WriteByte((byte)'\n');
                return null;
            case HostMapDialect.Memmap:
                return InputError.NotSupported(map.Description, null, "a memmap is a folder, not a file", "name a folder to write to");
            case HostMapDialect.Linux or HostMapDialect.LinuxOld or HostMapDialect.Linux72 or HostMapDialect.Xen or HostMapDialect.XenOld
                or HostMapDialect.Iomem
                or HostMapDialect.Lines or HostMapDialect.Efi:
                destination.Write(Encoding.UTF8.GetBytes(ToText(map, dialect)));
                return null;
        }

        return null;
    }

    /// <summary>The folders of a <c>/sys/firmware/memmap</c>, or why it cannot hold this map.</summary>
    public static Parsed<MemmapFolder> ToMemmap(HostDocument map)
    {
        ArgumentNullException.ThrowIfNull(map);
        if (Refusal(map, HostMapDialect.Memmap) is { } error)
            return error;
        ImmutableArray<MemmapEntry>.Builder entries = ImmutableArray.CreateBuilder<MemmapEntry>(map.Host.Entries.Length);
        foreach (E820Entry entry in map.Host.Entries)
            entries.Add(new($"{entries.Count}", $"0x{entry.Address:x}\n", $"0x{LastOf(entry):x}\n", $"{IomemSyntax.NameOf(entry.Type)}\n"));
        return new MemmapFolder(entries.MoveToImmutable());
    }

    /// <summary>Why the dialect cannot hold the map, or null when it can.</summary>
    public static InputError? Refusal(HostDocument map, HostMapDialect dialect)
    {
        ArgumentNullException.ThrowIfNull(map);
        string source = map.Description;
        if (dialect == HostMapDialect.Efi)
            return InputError.NotSupported(source, null,
                "EFI descriptors are read, not written: an E820 map does not say which type each was", AlwaysPossible);
        if (map.Host.Entries.IsDefaultOrEmpty)
            return InputError.NothingInIt(source, null, "the map has no entries", "nothing reads an empty map");
        if (map.Host.Entries.Length > Host.MaxEntries)
            return HostMapErrors.TooManyEntries(source, null);

        ulong end = 0;
        for (int i = 0; i < map.Host.Entries.Length; i++)
        {
            E820Entry entry = map.Host.Entries[i];
            string named = $"{source}, entry {i + 1}";
            if (!EntryRange.Sized(entry.Address, entry.Size).TryMakeEntry(entry.Type, named, null, out _, out InputError? error))
                return error;
            string? refusal = Refusal(entry, dialect, end);
            if (refusal is not null)
                return InputError.NotSupported(named, null,
                    $"{HostMapDialects.NameOf(dialect)} cannot hold [0x{entry.Address:x}, 0x{entry.End:x}) of type "
                        + $"{E820TypeNames.NameOf(entry.Type)}: {refusal}", AlwaysPossible);
            end = entry.End;
        }

        return null;
    }

    /// <param name="previousEnd">Where the entry before this one ends.</param>
    private static string? Refusal(E820Entry entry, HostMapDialect dialect, ulong previousEnd)
    {
        bool hasInclusiveEnd = dialect is HostMapDialect.Linux or HostMapDialect.Linux72 or HostMapDialect.Xen or HostMapDialect.Memmap;
        bool isIomem = dialect == HostMapDialect.Iomem;
        if (hasInclusiveEnd && entry.End == 0)
            return "its last address would be below 0";
        if (isIomem && entry.Size == 0)
            return "it lists no empty entries";
        if (isIomem && entry.Address < previousEnd)
            return "it is sorted and without overlaps";
        if (isIomem && entry.End == 1)
            return "it shows hidden addresses as 0-0";
        bool needsName = isIomem || dialect == HostMapDialect.Memmap;
        return needsName && IomemSyntax.NameOf(entry.Type) is null ? "it has no name for the type" : null;
    }

    private static string ToText(HostDocument map, HostMapDialect dialect)
    {
        StringBuilder text = new();
        text.Append(dialect switch
        {
            HostMapDialect.Linux or HostMapDialect.LinuxOld or HostMapDialect.Linux72 => $"{KernelStamp}BIOS-provided physical RAM map:\n",
            HostMapDialect.Xen or HostMapDialect.XenOld => "(XEN) Xen-e820 RAM map:\n",
            HostMapDialect.Lines => "# START END TYPE (hex, end exclusive, E820 number)\n",
            HostMapDialect.Iomem or HostMapDialect.Memmap or HostMapDialect.Packed or HostMapDialect.Json or HostMapDialect.Efi => "",
        });
        ulong end = 0;
        foreach (E820Entry entry in map.Host.Entries)
        {
            if (dialect == HostMapDialect.Linux72 && entry.Address > end)
                text.Append($"{KernelStamp}BIOS-e820: [gap 0x{end:x16}-0x{entry.Address - 1:x16}]\n");
            AppendEntry(text, entry, dialect);
            end = entry.End;
        }

        return text.ToString();
    }

    private static void AppendEntry(StringBuilder text, E820Entry entry, HostMapDialect dialect)
    {
        ulong start = entry.Address;
        switch (dialect)
        {
            case HostMapDialect.Linux:
                text.Append($"{KernelStamp}BIOS-e820: [mem 0x{start:x16}-0x{LastOf(entry):x16}] {LinuxTypeNames.InMap(entry.Type, isNew: false)}\n");
                break;
            case HostMapDialect.Linux72:
                text.Append($"{KernelStamp}BIOS-e820: [mem 0x{start:x16}-0x{LastOf(entry):x16}]  {LinuxTypeNames.InMap(entry.Type, isNew: true)}\n");
                break;
            case HostMapDialect.LinuxOld:
                text.Append($"{KernelStamp}BIOS-e820: {start:x16} - {entry.End:x16} {BracketedName(entry.Type)}\n");
                break;
            case HostMapDialect.Xen:
                text.Append($"(XEN)  [{start:x16}, {LastOf(entry):x16}] {BracketedName(entry.Type)}\n");
                break;
            case HostMapDialect.XenOld:
                text.Append($"(XEN)  {start:x16} - {entry.End:x16} {BracketedName(entry.Type)}\n");
                break;
            case HostMapDialect.Iomem:
                text.Append($"{start:x8}-{LastOf(entry):x8} : {IomemSyntax.NameOf(entry.Type)}\n");
                break;
            case HostMapDialect.Lines:
                text.Append($"0x{start:x} 0x{entry.End:x} {(uint)entry.Type}\n");
                break;
            case HostMapDialect.Memmap or HostMapDialect.Packed or HostMapDialect.Json or HostMapDialect.Efi:
                break;
        }
    }

    private static void WritePacked(HostDocument map, Stream destination)
    {
        Span<byte> bytes = stackalloc byte[E820Entry.WireSizeBytes];
        foreach (E820Entry entry in map.Host.Entries)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, entry.Address);
            BinaryPrimitives.WriteUInt64LittleEndian(bytes[8..], entry.Size);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes[16..], (uint)entry.Type);
            destination.Write(bytes);
        }
    }

    /// <summary>The inclusive end, one below the start for an empty entry, as Linux and Xen print it.</summary>
    private static ulong LastOf(E820Entry entry) => entry.End - 1;

    /// <summary>Xen's and old Linux's: the types that are older than 2.6 in brackets, others by number.</summary>
    private static string BracketedName(E820Type type) =>
        type is >= E820Type.Ram and <= E820Type.Unusable ? $"({LinuxTypeNames.InMap(type, isNew: false)})" : $"type {(uint)type}";
}

/// <summary>A <c>/sys/firmware/memmap</c> folder as values.</summary>
public sealed record MemmapFolder(ImmutableArray<MemmapEntry> Entries);
