// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Reading;

namespace Keyhole.Captures;

/// <summary>Reads a host's memory map from any dialect of <see cref="HostMapDialect"/>.</summary>
public static class HostMapReader
{
    private static readonly Phrase s_guestsSources =
        "give lines of START END TYPE, those of 'xl -vvv create', a kernel's BIOS-e820 lines, or a map in our own JSON";

    private static readonly Phrase s_sources =
        $"give the output of 'xl dmesg', 'dmesg' or 'sudo cat /proc/iomem', or name the dialect with {Setting.Dialect}";

    /// <summary>Other maps of a log that are named in remarks; more are only counted.</summary>
    private const int MaxMapsNamed = 12;

    /// <summary>
    /// Reads the map of a source of any length in bounded memory. In a log with several maps the one nearest to the firmware is taken: Xen's RAM map,
    /// else Linux's BIOS-e820, else the EFI descriptors, else what a kernel under Xen made of its map; the first of its kind. The description
    /// says which, the remarks name the others.
    /// </summary>
    /// <param name="stream">Read to its end, except for JSON and packed entries that are too long.</param>
    /// <param name="sourceName">What errors and the description call the source.</param>
    public static Parsed<HostDocument> Read(Stream stream, string sourceName, HostMapOptions options)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(sourceName);
        ArgumentNullException.ThrowIfNull(options);
        try
        {
            return ReadUnpacked(stream, sourceName, options);
        }
        catch (InvalidDataException damaged)
        {
            return PackedErrors.Unreadable(sourceName, damaged);
        }
    }

    private static Parsed<HostDocument> ReadUnpacked(Stream stream, string sourceName, HostMapOptions options)
    {
        ReadOnlyMemory<byte> head = options.From is HostMapDialect.Packed ? StreamHead.Read(stream) : StreamHead.ReadText(ref stream);
        if (head.IsEmpty)
            return HostMapErrors.Empty(sourceName);
        if (options.From is not HostMapDialect.Packed && CompressionOf(head.Span) is { } compression)
            return InputError.Unreadable(sourceName, null, $"the input is compressed ({compression.Name})", $"unpack it first: {compression.Tool}");

        HostMapDialect dialect = options.From ?? Detect(head.Span);
        if (dialect == HostMapDialect.Json && LogInJson(head.Span) is { } log)
            return InputError.NotSupported(sourceName, null, $"this is the JSON of {log.Program}, not of Keyhole",
                $"give the log as text: {log.Remedy}");
        bool holdsOneMap = dialect is HostMapDialect.Packed or HostMapDialect.Lines or HostMapDialect.Json;
        if (holdsOneMap && options.MapNumber is { } number and not 1)
            return InputError.NoSuchItem(sourceName, null, $"there is no map {number}: {HostMapDialects.NameOf(dialect)} holds one map",
                $"leave out {Setting.MapNumber}");
        return dialect switch
        {
            HostMapDialect.Packed => ReadPacked(head, stream, sourceName),
            HostMapDialect.Lines => ReadLines(head, stream, sourceName),
            HostMapDialect.Json => HostMapJson.Read(head, stream, sourceName, options.IsGuests),
            HostMapDialect.Memmap => InputError.Unreadable(sourceName, null, "a memmap is a folder, this is a file",
                "name the folder, /sys/firmware/memmap or a copy of it"),
            HostMapDialect.Linux or HostMapDialect.LinuxOld or HostMapDialect.Linux72 or HostMapDialect.Xen or HostMapDialect.XenOld
                or HostMapDialect.Iomem
                or HostMapDialect.Efi => Choose(LogScanner.Scan(head, stream, sourceName), sourceName, options),
        };
    }

    /// <summary>Reads the entries of a <c>/sys/firmware/memmap</c> folder, in the order of their numbers.</summary>
    public static Parsed<HostDocument> ReadMemmap(IEnumerable<MemmapEntry> folder, string sourceName)
    {
        ArgumentNullException.ThrowIfNull(folder);
        ArgumentNullException.ThrowIfNull(sourceName);
        // Numbers are compared by length first: 10 comes after 9.
        SortedDictionary<int, E820Entry> entries = [];
        foreach (MemmapEntry read in folder)
        {
            string source = $"{sourceName}/{read.Name}";
            if (!int.TryParse(read.Name, System.Globalization.NumberStyles.None, null, out int number))
                return InputError.Malformed(source, null, "the entry's name is not a valid number",
                    "name a folder like /sys/firmware/memmap, which holds folders 0, 1, 2 …");
            if (!TryAddress(read.Start, out ulong start) || !TryAddress(read.End, out ulong last))
                return InputError.Malformed(source, null,
                    $"start or end is not a valid address: {InputError.Quote(read.Start)}, {InputError.Quote(read.End)}",
                    "both are hex numbers such as 0x100000");
            if (!IomemSyntax.TryType(read.Type.AsSpan().Trim(), out E820Type type))
                return InputError.UnknownWord(source, null, $"unknown type {InputError.Quote(read.Type.AsSpan().Trim())}",
                    "types are Linux's, such as System RAM or Reserved");
            if (!EntryRange.Inclusive(start, last).TryMakeEntry(type, source, null, out E820Entry entry, out InputError? error))
                return error!;
            if (!entries.TryAdd(number, entry))
                return InputError.Repeated(source, null, "the entry is there twice", "give each number once");
            if (entries.Count > Host.MaxEntries)
                return HostMapErrors.TooManyEntries(sourceName, null);
        }

        if (entries.Count == 0)
            return InputError.NothingInIt(sourceName, null, "no entries in the folder",
                "name a folder like /sys/firmware/memmap, which holds folders 0, 1, 2 …");
        return new HostDocument
        {
            Host = new() { Entries = [.. entries.Values] },
            Dialect = HostMapDialect.Memmap,
            Description = $"firmware map as Linux kept it, {sourceName}",
        };
    }

    /// <summary>Makes a host map of one map of a log; the error when that map is damaged.</summary>
    public static Parsed<HostDocument> FromLog(LogScan scan, LogMap map, string sourceName)
    {
        ArgumentNullException.ThrowIfNull(scan);
        ArgumentNullException.ThrowIfNull(map);
        ArgumentNullException.ThrowIfNull(sourceName);
        if (map.Error is { } error)
            return scan.Maps.Length == 1 ? error
                : error with { Remedy = $"{error.Remedy}, or take another of the log's {scan.Maps.Length} maps with {Setting.MapNumber} N" };
        return new HostDocument
        {
            Host = new()
            {
                Entries = map.Entries,
                RamShown = RamShownBy(map),
                HasLostEntries = map.Kind is LogMapKind.XenFirmware or LogMapKind.LinuxFirmware or LogMapKind.Efi
                    && (BeginsAmid(map) || map.CutLine is not null || LacksRamOfXens(scan, map)),
                IsMachineMap = map.Kind is LogMapKind.GuestKernel or LogMapKind.Dom0BuiltByXen,
                Traits = (map.Kind == LogMapKind.XenFirmware ? scan.Traits with { ReservedInDom0 = Dom0sMap.DeniedBy(scan, map) }
                    : scan.Traits) with
                { LinuxRelease = LinuxOf(scan) },
                ReservedRegions = [.. scan.Traits.ReservedDeviceMemory.Select(ReservedRegion.OfDeviceMemory).OrderBy(static region => region.Start)],
            },
            Dialect = map.Dialect,
            Description = $"{Describe(map)}, line {map.Line} of {sourceName}",
            Log = scan,
            LogMap = map,
            OtherMaps = OtherMaps(scan, map),
            OtherMapCount = scan.Maps.Length - 1 + (long)scan.DroppedMaps,
            Remarks = RemarksOn(scan, map),
        };
    }

    private static Parsed<HostDocument> Choose(LogScan scan, string sourceName, HostMapOptions options)
    {
        if (scan.Maps.IsEmpty)
            return InputError.NothingInIt(sourceName, null,
                $"no memory map found in {scan.LineCount} lines", options.IsGuests ? s_guestsSources : s_sources);
        if (options.MapNumber is { } number)
        {
            if (number < 1 || number > scan.Maps.Length)
                return InputError.NoSuchItem(sourceName, null, $"there is no map {number}: the log has {scan.Maps.Length}",
                    $"choose {Setting.MapNumber} 1 to {scan.Maps.Length}");
            LogMap chosen = scan.Maps[number - 1];
            if (options.From is { } named && chosen.Dialect != named)
            {
                return InputError.Conflict(sourceName, chosen.Line,
                    $"map {number} is in the dialect {HostMapDialects.NameOf(chosen.Dialect)}, not {HostMapDialects.NameOf(named)}",
                    $"leave out {Setting.Dialect}");
            }

            return FromLog(scan, chosen, sourceName);
        }

        foreach (LogMapKind kind in options.IsGuests ? s_nearestToGuest : s_nearestToFirmware)
        {
            LogMap[] candidates = [.. scan.Maps.Where(map => map.Kind == kind && (options.From is null || options.From == map.Dialect))];
            LogMap? chosen = Array.Find(candidates, static map => !map.IsBeforeXensChanges) ?? candidates.FirstOrDefault();
            if (chosen is not null)
                return FromLog(scan, chosen, sourceName);
        }

        string found = string.Join(", ", scan.Maps.Select(map => HostMapDialects.NameOf(map.Dialect)).Distinct());
        return InputError.NothingInIt(sourceName, null, $"no map in the dialect {HostMapDialects.NameOf(options.From!.Value)}; found {found}",
            $"leave out {Setting.Dialect}");
    }

    private static readonly LogMapKind[] s_nearestToFirmware =
    [
        LogMapKind.XenFirmware, LogMapKind.LinuxFirmware, LogMapKind.Efi, LogMapKind.GuestKernel, LogMapKind.Iomem, LogMapKind.Dom0BuiltByXen,
        LogMapKind.KernelEdited,
    ];

    // A pasted map's lines may have lost the words before them that say whose it is.
    private static readonly LogMapKind[] s_nearestToGuest =
        [LogMapKind.GuestKernel, .. s_nearestToFirmware.Where(static kind => kind != LogMapKind.GuestKernel)];

    private static string Describe(LogMap map) => map.Kind switch
    {
        LogMapKind.XenFirmware => $"Xen's firmware map ({map.Title})",
        LogMapKind.LinuxFirmware => $"Linux's firmware map ({map.Title})",
        LogMapKind.Efi => $"EFI's descriptors ({map.Title})",
        LogMapKind.GuestKernel => $"map of a kernel under Xen ({map.Title})",
        LogMapKind.Dom0BuiltByXen => $"map that Xen built for dom0 ({map.Title})",
        LogMapKind.KernelEdited => $"map changed by the kernel ({map.Title})",
        LogMapKind.Iomem => "Linux's resources (/proc/iomem)",
    };

    /// <summary>Whether the kernel's buffer ran over and took the map's first entries. It cuts the line before the map, too.</summary>
    private static bool BeginsAmid(LogMap map) => map.Line <= 2 && map.Kind != LogMapKind.Iomem && map.Entries[0].Address != 0;

    private static RamShown RamShownBy(LogMap map) => map.Kind switch
    {
        LogMapKind.XenFirmware or LogMapKind.LinuxFirmware or LogMapKind.Efi => BeginsAmid(map) ? RamShown.Part : RamShown.All,
        LogMapKind.Iomem or LogMapKind.KernelEdited => RamShown.KernelsShare,
        LogMapKind.GuestKernel or LogMapKind.Dom0BuiltByXen => RamShown.Part,
    };

    /// <summary>The numbers of the first Linux that is no guest's, as far as the log shows whose it is.</summary>
    private static string? LinuxOf(LogScan scan)
    {
        const string version = "Linux version ";
        foreach (LogLine line in scan.Lines)
        {
            int at = line.Text.IndexOf(version, StringComparison.Ordinal);
            if (at >= 0 && line.Domain is null && HostTraits.ReleaseNumbers(line.Text.AsSpan(at + version.Length)) is { } numbers)
                return numbers;
        }

        return null;
    }

    private static ImmutableArray<Phrase> RemarksOn(LogScan scan, LogMap taken)
    {
        ImmutableArray<Phrase>.Builder remarks = ImmutableArray.CreateBuilder<Phrase>();
        if (taken.Kind == LogMapKind.GuestKernel)
            remarks.Add("This is a guest kernel's view: RAM above its share is missing, what Xen adds is in; the "
                + "firmware's map stands in 'xl dmesg'");
        if (taken.Kind == LogMapKind.Iomem)
            remarks.Add("This is the kernel's view: it reserves the first page, and RAM is cut to whole pages; the "
                + "firmware's map stands in /sys/firmware/memmap");
        if (taken.Kind == LogMapKind.KernelEdited)
            remarks.Add("This map has been changed by the kernel or its command line");
        if (BeginsAmid(taken))
            remarks.Add($"The log begins with this map's entry at 0x{taken.Entries[0].Address:x}: entries before it may be lost, as "
                + $"when the kernel's buffer has run over");
        remarks.AddRange(MissingParts(scan, taken).Select(static text => (Phrase)text));
        if (taken is { Kind: LogMapKind.LinuxFirmware, Error: null })
            remarks.AddRange(CommandLineEffects.OnHost(scan, taken).Select(static text => (Phrase)text));
        return remarks.ToImmutable();
    }

    private static ImmutableArray<Phrase> OtherMaps(LogScan scan, LogMap taken)
    {
        var maps = ImmutableArray.CreateBuilder<Phrase>();
        for (int i = 0; i < scan.Maps.Length && maps.Count < MaxMapsNamed; i++)
        {
            LogMap other = scan.Maps[i];
            if (!ReferenceEquals(other, taken))
                maps.Add($"{Setting.MapNumber} {i + 1}: {Describe(other)}, line {other.Line}, {Entries(other.Entries.Length)}"
                    + $"{(other.Error is null ? "" : ", damaged")}");
        }

        return maps.ToImmutable();
    }

    private const ulong WorthMentionBytes = 1UL << 20;

    /// <summary>What tells that the map in the log is not the whole one: lines left out, next to no RAM, or Xen's own count of it.</summary>
    private static IEnumerable<string> MissingParts(LogScan scan, LogMap map)
    {
        const ulong leastRamBytes = 16UL << 20;
        if (map.CutLine is { } cut)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"Line {cut} leaves out a part of this map (\"...\"): what is missing counts as a gap here; give the whole log");
        if (map.OpenLine is { } open)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"Right after this map's last entry lines are left out (line {open}): whether the map goes on there is not to be seen");
        ulong ram = WholePagesOfRam(map);
        if (ram < leastRamBytes)
            yield return $"This map has {(ram == 0 ? "no RAM" : $"only {ByteSize.ToText(ram)} of RAM")}: it is a part of a map, such as a few "
                + $"lines that somebody quotes, not a machine's";
        // Kernels start their processors from there.
        else if (map.CutLine is null && !BeginsAmid(map) && !map.Entries.Any(static entry => entry.IsRam && entry.Address < X86Layout.OneMiB))
            yield return "This map has no RAM below 1 MiB, where every PC has some: it is a part of a map, or lines of several machines";
        if (BeginsAmid(map) || CountedByXen(scan, map) is not { } counted)
            yield break;
        if (counted.Bytes > ram + WorthMentionBytes)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"Xen counts {ByteSize.ToText(counted.Bytes)} of RAM (line {counted.Line}), this map has "
                    + $"{ByteSize.ToText(ram)}: a part of the map is missing");
        else if (counted.Bytes + WorthMentionBytes < ram)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"Xen counts {ByteSize.ToText(counted.Bytes)} of RAM (line {counted.Line}), this map has {ByteSize.ToText(ram)}: "
                    + $"Xen leaves some of it unused, or the map is not the one of this boot");
    }

    private static bool LacksRamOfXens(LogScan scan, LogMap map) =>
        CountedByXen(scan, map) is { } counted && counted.Bytes > WholePagesOfRam(map) + WorthMentionBytes;

    /// <summary>The RAM of a map of Xen's as Xen counts it; null where the log does not say it.</summary>
    private static (ulong Bytes, int Line)? CountedByXen(LogScan scan, LogMap map)
    {
        if (map.Kind != LogMapKind.XenFirmware || SystemRam(scan, map) is not { } line
            || Dom0Log.RamPages(line.Text.AsSpan()[(line.Text.IndexOf(':') + 1)..].Trim()) is not (> 0 and ulong pages))
            return null;
        // A line wrapped behind the MiB says them alone, rounded down.
        return (pages << Frames.Shift, line.Number);
    }

    private static ulong WholePagesOfRam(LogMap map)
    {
        ulong ram = 0;
        foreach (E820Entry entry in map.Entries)
        {
            if (entry.IsRam && entry.End <= Frames.AddressLimit)
                ram = Math.Min(ram + (entry.Size & ~Frames.OffsetMask), Frames.AddressLimit);
        }

        return ram;
    }

    private static string Entries(int count) => string.Create(CultureInfo.InvariantCulture, $"{count} {(count == 1 ? "entry" : "entries")}");

    /// <summary>Xen's line "System RAM:" behind the map, if it comes before the next boot's.</summary>
    private static LogLine? SystemRam(LogScan scan, LogMap map)
    {
        int next = scan.Maps.Where(other => other.Kind == LogMapKind.XenFirmware && other.Line > map.Line && !map.IsBeforeXensChanges)
            .Select(static other => other.Line).DefaultIfEmpty(int.MaxValue).Min();
        return scan.Lines.FirstOrDefault(line => line.Speaker == LogSpeaker.Xen && line.Number > map.Line && line.Number < next
            && line.Text.StartsWith("System RAM:", StringComparison.Ordinal));
    }

    private static Parsed<HostDocument> ReadPacked(ReadOnlyMemory<byte> head, Stream stream, string sourceName)
    {
        byte[] bytes = new byte[((Host.MaxEntries + 1) * E820Entry.WireSizeBytes) + 1];
        int length = Math.Min(head.Length, bytes.Length);
        head.Span[..length].CopyTo(bytes);
        length += stream.ReadAtLeast(bytes.AsSpan(length), bytes.Length - length, throwOnEndOfStream: false);
        int count = length / E820Entry.WireSizeBytes;
        if (count > Host.MaxEntries)
            return HostMapErrors.TooManyEntries(sourceName, null);
        if (length % E820Entry.WireSizeBytes != 0)
        {
            return InputError.Malformed(
                sourceName, null, $"{length} bytes are not a whole number of entries of {E820Entry.WireSizeBytes} bytes: the last is cut short",
                "give the whole table");
        }

        ImmutableArray<E820Entry>.Builder entries = ImmutableArray.CreateBuilder<E820Entry>(count);
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> bytesOfEntry = bytes.AsSpan(i * E820Entry.WireSizeBytes, E820Entry.WireSizeBytes);
            ulong start = BinaryPrimitives.ReadUInt64LittleEndian(bytesOfEntry);
            ulong size = BinaryPrimitives.ReadUInt64LittleEndian(bytesOfEntry[8..]);
            E820Type type = (E820Type)BinaryPrimitives.ReadUInt32LittleEndian(bytesOfEntry[16..]);
            if (!EntryRange.Sized(start, size).TryMakeEntry(type, $"{sourceName}, entry {i + 1}", null, out E820Entry entry, out InputError? error))
                return error!;
            entries.Add(entry);
        }

        return new HostDocument
        {
            Host = new() { Entries = entries.MoveToImmutable() },
            Dialect = HostMapDialect.Packed,
            Description = $"packed entries, {sourceName}"
        };
    }

    private static Parsed<HostDocument> ReadLines(ReadOnlyMemory<byte> head, Stream stream, string sourceName)
    {
        TextLines text = new(head, stream);
        ImmutableArray<E820Entry>.Builder entries = ImmutableArray.CreateBuilder<E820Entry>();
        while (text.TryRead(out ReadOnlySpan<char> line))
        {
            ReadOnlySpan<char> content = WithoutComment(line);
            if (content.IsEmpty)
                continue;
            if (!TryEntryLine(content, out ulong start, out ulong end, out uint type))
            {
                return InputError.Malformed(
                    sourceName, text.Number, $"expected START END TYPE, found {InputError.Quote(content)}",
                    "write two hex addresses, the end exclusive, and the type, by number or name (ram, reserved, acpi, "
                        + "nvs, unusable): 0x100000 0x80000000 ram");
            }

            if (!EntryRange.Exclusive(start, end).TryMakeEntry((E820Type)type, sourceName, text.Number, out E820Entry entry, out InputError? error))
                return error!;
            if (entries.Count == Host.MaxEntries)
                return HostMapErrors.TooManyEntries(sourceName, text.Number);
            entries.Add(entry);
        }

        if (entries.Count == 0)
            return InputError.NothingInIt(sourceName, null, "no entries: every line is empty or a comment", "write lines of START END TYPE");
        return new HostDocument
        {
            Host = new() { Entries = entries.ToImmutable() },
            Dialect = HostMapDialect.Lines,
            Description = $"lines of START END TYPE, {sourceName}"
        };
    }

    private static ReadOnlySpan<char> WithoutComment(ReadOnlySpan<char> line)
    {
        int comment = line.IndexOf('#');
        return (comment < 0 ? line : line[..comment]).Trim(" \t");
    }

    private static bool TryEntryLine(ReadOnlySpan<char> line, out ulong start, out ulong end, out uint type)
    {
        end = 0;
        type = 0;
        TextCursor cursor = new(line);
        cursor.TryText("0x");
        if (!cursor.TryHex(out start) || !TryBlanks(ref cursor))
            return false;
        cursor.TryText("0x");
        if (!cursor.TryHex(out end) || !TryBlanks(ref cursor))
            return false;
        if (TryType(cursor.Rest, out E820Type named))
        {
            type = (uint)named;
            return true;
        }

        return cursor.TryDecimal(out type) && cursor.Rest.IsEmpty;
    }

    /// <summary>Our own names and those of kernels and xl, in any case.</summary>
    private static bool TryType(ReadOnlySpan<char> name, out E820Type type)
    {
        const int longest = 16;
        type = default;
        if (name.Length > longest)
            return false;
        Span<char> lower = stackalloc char[longest];
        lower = lower[..name.ToLowerInvariant(lower)];
        ReadOnlySpan<char> known = lower switch
        {
            "usable" => "ram",
            "acpi data" => "acpi",
            "acpi nvs" => "nvs",
            _ => lower,
        };
        return E820TypeNames.TryParse(known, out type);
    }

    private static bool TryBlanks(ref TextCursor cursor)
    {
        int before = cursor.Rest.Length;
        cursor.SkipBlanks();
        return cursor.Rest.Length < before;
    }

    private static bool TryAddress(string text, out ulong address)
    {
        TextCursor cursor = new(text.AsSpan().Trim());
        cursor.TryText("0x");
        return cursor.TryHex(out address) && cursor.Rest.IsEmpty;
    }

    /// <summary>The dialect that the first bytes speak for; logs and iomem are told apart line by line later.</summary>
    private static HostMapDialect Detect(ReadOnlySpan<byte> head)
    {
        if (LooksPacked(head))
            return HostMapDialect.Packed;
        TextLines text = new(head.ToArray(), Stream.Null);
        while (text.TryRead(out ReadOnlySpan<char> line))
        {
            ReadOnlySpan<char> content = WithoutComment(line);
            if (content.IsEmpty)
                continue;
            // Wikis open quoted text with a word in braces: {noformat}, {code}.
            if (content[0] == '{' && !(content.Length > 1 && char.IsAsciiLetter(content[1])))
                return HostMapDialect.Json;
            return TryEntryLine(content, out _, out _, out _) ? HostMapDialect.Lines : HostMapDialect.Xen;
        }

        // Nothing but comments and blank lines: say so rather than look for a log.
        return head.Contains((byte)'#') ? HostMapDialect.Lines : HostMapDialect.Xen;
    }

    /// <summary>Addresses and sizes below 2^52 and a known type somewhere: no text has the zero bytes where they must be.</summary>
    private static bool LooksPacked(ReadOnlySpan<byte> head)
    {
        bool hasKnownType = false;
        bool isFirst = true;
        for (ReadOnlySpan<byte> rest = head; rest.Length >= E820Entry.WireSizeBytes; rest = rest[E820Entry.WireSizeBytes..])
        {
            ulong start = BinaryPrimitives.ReadUInt64LittleEndian(rest);
            ulong size = BinaryPrimitives.ReadUInt64LittleEndian(rest[8..]);
            E820Type type = (E820Type)BinaryPrimitives.ReadUInt32LittleEndian(rest[16..]);
            if (isFirst && (start > Frames.AddressLimit || size > Frames.AddressLimit))
                return false;
            isFirst = false;
            hasKnownType |= Enum.IsDefined(type) && type != E820Type.None;
        }

        return hasKnownType;
    }

    /// <summary>Which program wrote a log in JSON, and how to have it in text.</summary>
    private static (string Program, string Remedy)? LogInJson(ReadOnlySpan<byte> head)
    {
        if (head.IndexOf("\"MESSAGE\""u8) >= 0)
            return ("journalctl", "journalctl without -o json");
        return head.IndexOf("\"dmesg\""u8) >= 0 ? ("dmesg", "dmesg without -J") : null;
    }

    private static (string Name, string Tool)? CompressionOf(ReadOnlySpan<byte> head)
    {
        if (head.StartsWith((ReadOnlySpan<byte>)[0x28, 0xb5, 0x2f, 0xfd]))
            return ("zstd", "zstdcat FILE");
        if (head.StartsWith((ReadOnlySpan<byte>)[0xfd, 0x37, 0x7a, 0x58, 0x5a]))
            return ("xz", "xzcat FILE");
        return head.StartsWith("BZh"u8) ? ("bzip2", "bzcat FILE") : null;
    }
}
