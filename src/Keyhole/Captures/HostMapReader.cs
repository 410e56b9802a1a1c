// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Pci;
using Keyhole.Reading;

namespace Keyhole.Captures;

/// <summary>Reads a host's memory map from any dialect of <see cref="HostMapDialect"/>.</summary>
public static class HostMapReader
{
    private static readonly Phrase s_guestsSources =
        "give lines of START END TYPE, those of 'xl -vvv create', a kernel's BIOS-e820 lines, or a map in our own JSON";

    private static readonly Phrase s_withJournal = "give the host's whole journal with it ('journalctl -b'), and the guest's configuration";

    private static readonly Phrase s_sources =
        $"give the output of 'xl dmesg', 'dmesg' or 'sudo cat /proc/iomem', or name the dialect with {Setting.Dialect}";

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
        UnreadParts unread = new();
        try
        {
            if (!ReadUnpacked(ref stream, sourceName, options, unread).TryGet(out HostDocument? document, out InputError? error))
                return unread.On(error);
            ImmutableArray<Phrase> remarks =
            [
                .. unread.Told.Select(static part => (Phrase)part), .. document.Remarks,
                .. stream is BundleText bundle ? [$"taken from the bundle: {bundle.Parts}"] : ImmutableArray<Phrase>.Empty,
            ];
            return document with { Unread = unread.Told, Remarks = remarks };
        }
        catch (InvalidDataException damaged)
        {
            return PackedErrors.Unreadable(sourceName, damaged);
        }
    }

    private static Parsed<HostDocument> ReadUnpacked(ref Stream stream, string sourceName, HostMapOptions options, UnreadParts unread)
    {
        ReadOnlyMemory<byte> head = options.From is HostMapDialect.Packed ? StreamHead.Read(stream) : StreamHead.ReadText(ref stream, unread);
        if (head.IsEmpty)
            return HostMapErrors.Empty(sourceName);

        HostMapDialect dialect = options.From ?? HostMapDetection.Detect(head.Span);
        bool holdsOneMap = dialect is HostMapDialect.Packed or HostMapDialect.Lines or HostMapDialect.Json;
        if (holdsOneMap && options.MapNumber is { } number and not 1)
            return InputError.NoSuchItem(sourceName, null, $"there is no map {number}: {HostMapDialects.NameOf(dialect)} holds one map",
                $"leave out {Setting.MapNumber}");
        return dialect switch
        {
            HostMapDialect.Packed => PackedEntries.Read(head, stream, sourceName),
            HostMapDialect.Lines => EntryLines.Read(head, stream, sourceName),
            HostMapDialect.Json => HostMapJson.Read(head, stream, sourceName, options.IsGuests),
            HostMapDialect.Memmap => InputError.Unreadable(sourceName, null, "a memmap is a folder, this is a file",
                "name the folder, /sys/firmware/memmap or a copy of it"),
            HostMapDialect.Linux or HostMapDialect.LinuxOld or HostMapDialect.Linux72 or HostMapDialect.Xen or HostMapDialect.XenOld
                or HostMapDialect.Iomem
                or HostMapDialect.Efi => Choose(LogScanner.Scan(head, stream, sourceName), head, sourceName, options),
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
    /// <param name="scan">The log.</param>
    /// <param name="map">One of its maps.</param>
    /// <param name="sourceName">What errors call the log.</param>
    /// <param name="isGuests">Whether the map is wanted as the guest's that printed it, not as its machine's.</param>
    public static Parsed<HostDocument> FromLog(LogScan scan, LogMap map, string sourceName, bool isGuests = false)
    {
        ArgumentNullException.ThrowIfNull(scan);
        ArgumentNullException.ThrowIfNull(map);
        ArgumentNullException.ThrowIfNull(sourceName);
        if (map.Error is { } error)
            return scan.Maps.Length == 1 ? error
                : error with { Remedy = $"{error.Remedy}, or take another of the log's {scan.Maps.Length} maps with {Setting.MapNumber} N" };
        LinuxStretch? linux = scan.Boots.LinuxOf(map);
        MachineLines machine = scan.Boots.MachineOf(map);
        LogScan own = machine.In(scan);
        HostTraits traits = own.Traits;
        ImmutableArray<ByteRange> lost = MapExtent.LostRanges(own, map);
        bool isMadeUp = !isGuests && UnusableMadeUp.IsIn(scan, map);
        ImmutableArray<Phrase> remarks = LogMapRemarks.On(own, map);
        return new HostDocument
        {
            Host = new()
            {
                Entries = isMadeUp ? UnusableMadeUp.MachinesEntries(map.Entries) : map.Entries,
                RamShown = RamShownBy(map),
                LoggedDevices = DeviceLines.Of(scan, machine),
                LostRanges = lost,
                RamCounted = lost.IsEmpty ? null : RamCount.Of(own, map),
                IsMachineMap = map.Kind is LogMapKind.GuestKernel or LogMapKind.Dom0BuiltByXen,
                Traits = (map.Kind == LogMapKind.XenFirmware ? traits with
                {
                    ReservedInDom0 = Dom0sMap.DeniedBy(scan, map, lost),
                    IommuFailure = Vocabulary.IommuFailures.Select(words => RamCount.XensLine(scan, map, words)?.Text)
                        .FirstOrDefault(static text => text is not null) is { } failure ? InputError.OneLine(failure, 120) : null,
                }
                    : traits) with
                {
                    UsesIommu = RamCount.XensIommu(own, map)?.IsUsed,
                    IommuNotShown = IommuSilence.Of(scan, machine, map, linux),
                    LinuxRelease = LinuxOf(own, linux), KernelOptions = OptionsIn(scan, map), RootWindows = LinuxStretch.WindowsOf(own, linux),
                },
                ReservedRegions = [.. traits.ReservedDeviceMemory.Select(ReservedRegion.OfDeviceMemory).OrderBy(static region => region.Start)],
            },
            Dialect = map.Dialect,
            Description = $"{LogMapRemarks.Describe(map)}, line {map.Line} of {sourceName}",
            Log = scan,
            LogMap = map,
            OtherMaps = LogMapRemarks.OtherMaps(scan, map),
            OtherMapCount = scan.Maps.Length - 1 + (long)scan.DroppedMaps,
            Remarks = isMadeUp ? remarks.Insert(1, UnusableMadeUp.Remark) : remarks,
        };
    }

    private static Parsed<HostDocument> Choose(LogScan scan, ReadOnlyMemory<byte> head, string sourceName, HostMapOptions options)
    {
        if (scan.Maps.IsEmpty && !options.IsGuests && options is { From: null, MapNumber: null or 1 } && LibxlsMap(head, sourceName) is { } guests)
            return guests;
        if (scan.Maps.IsEmpty && options is { NeedsNoMap: true, From: null, MapNumber: null } && LogWithoutMap.Read(scan, sourceName) is { } mapless)
            return mapless;
        if (scan.Maps.IsEmpty && !options.IsGuests && scan.Traits.Complaints.MapFailures is [var failure, ..])
        {
            return InputError.NothingInIt(sourceName, null,
                $"no memory map found in {scan.LineCount} lines; QEMU's words in it (vfio_dma_map … = -{failure.Error}) are told with a guest's plan",
                s_withJournal);
        }

        if (scan.Maps.IsEmpty && OtherDeviceList.InPlaceOfMap(Encoding.UTF8.GetString(head.Span)) is { } list)
            return InputError.NothingInIt(sourceName, null, $"{list}, in which no memory map is", options.IsGuests ? s_guestsSources : s_sources);
        if (scan.Maps.IsEmpty)
            return InputError.NothingInIt(sourceName, null,
                $"no memory map found in {Counted.Of(scan.LineCount, "line")}", options.IsGuests ? s_guestsSources : s_sources);
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

            return FromLog(scan, chosen, sourceName, options.IsGuests);
        }

        foreach (LogMapKind kind in options.IsGuests ? s_nearestToGuest : s_nearestToFirmware)
        {
            LogMap[] candidates = [.. scan.Maps.Where(map => map.Kind == kind && (options.From is null || options.From == map.Dialect))];
            LogMap? chosen = Array.Find(candidates, static map => !map.IsBeforeXensChanges) ?? candidates.FirstOrDefault();
            if (chosen is not null)
                return FromLog(scan, chosen, sourceName, options.IsGuests);
        }

        string found = string.Join(", ", scan.Maps.Select(map => HostMapDialects.NameOf(map.Dialect)).Distinct());
        return InputError.NothingInIt(sourceName, null, $"no map in the dialect {HostMapDialects.NameOf(options.From!.Value)}; found {found}",
            $"leave out {Setting.Dialect}");
    }

    /// <summary>What libxl says of a guest's map ('xl -vvv create'), where the log has no other; null where its first part has none.</summary>
    private static HostDocument? LibxlsMap(ReadOnlyMemory<byte> head, string sourceName)
    {
        // Of one that goes on behind the part that is kept the end may be missing.
        const int enough = 1024;
        if (head.Length == StreamHead.MaxLength && head.Span.LastIndexOf(" -> "u8) > head.Length - enough)
            return null;
        using var text = new MemoryStream(head.ToArray());
        if (!LibxlMapReader.Read(text, sourceName).TryGet(out GuestMap? map, out _) || map.Entries.IsEmpty)
            return null;
        return new()
        {
            Host = new()
            {
                Entries = UnusableMadeUp.MachinesEntries(map.Entries),
                RamShown = RamShown.Part,
                IsMachineMap = true,
                LostRanges = map.IsPart ? LostLines.GapsIn(ByteRange.FromBounds(0, Frames.AddressLimit), map.Entries) : [],
            },
            Dialect = HostMapDialect.Lines,
            Description = map.Description,
            Remarks =
            [
                $"This is the map that libxl made for a guest, not the host's: the guest's RAM is in it, the host's above 4 GiB is not; what a "
                    + $"kernel makes of it {Setting.Boot} tells, where it is given as the guest's map",
                .. map.Entries.Any(static entry => entry.Type == E820Type.Unusable) ? [UnusableMadeUp.Remark] : ImmutableArray<Phrase>.Empty,
                .. map.Remarks.Select(static text => (Phrase)text),
            ],
        };
    }

    private static readonly LogMapKind[] s_nearestToFirmware =
    [
        LogMapKind.XenFirmware, LogMapKind.LinuxFirmware, LogMapKind.Tboot, LogMapKind.Efi, LogMapKind.GuestKernel, LogMapKind.Iomem,
        LogMapKind.Dom0BuiltByXen, LogMapKind.KernelEdited,
    ];

    // A pasted map's lines may have lost the words before them that say whose it is.
    private static readonly LogMapKind[] s_nearestToGuest =
        [LogMapKind.GuestKernel, .. s_nearestToFirmware.Where(static kind => kind != LogMapKind.GuestKernel)];

    private static RamShown RamShownBy(LogMap map) => map.Kind switch
    {
        LogMapKind.XenFirmware or LogMapKind.LinuxFirmware or LogMapKind.Efi or LogMapKind.Tboot =>
            MapExtent.BeginsAmid(map) || MapExtent.IsCrashKernels(map) ? RamShown.Part : RamShown.All,
        LogMapKind.Iomem or LogMapKind.KernelEdited => RamShown.KernelsShare,
        LogMapKind.GuestKernel or LogMapKind.Dom0BuiltByXen => RamShown.Part,
    };

    /// <summary>The numbers of the Linux whose boot the map belongs to.</summary>
    private static string? LinuxOf(LogScan scan, LinuxStretch? linux)
    {
        const string version = "Linux version ";
        foreach (LogLine line in scan.Lines)
        {
            int at = line.Text.IndexOf(version, StringComparison.Ordinal);
            if (at >= 0 && line.Domain is null && linux?.Holds(line.Number) == true
                && HostTraits.ReleaseNumbers(line.Text.AsSpan(at + version.Length)) is { } numbers)
                return numbers;
        }

        return null;
    }

    /// <summary>Of the Linux that printed the map; null for a map of another kind, and where the log does not have its command line.</summary>
    private static ImmutableArray<string>? OptionsIn(LogScan scan, LogMap map) => map.Kind == LogMapKind.LinuxFirmware
        && CommandLineEffects.FactsOf(scan, map).Facts.CommandLine is { } line ? KernelOptions.Of(line.Value) : null;

    private static bool TryAddress(string text, out ulong address)
    {
        TextCursor cursor = new(text.AsSpan().Trim());
        cursor.TryText("0x");
        return cursor.TryHex(out address) && cursor.Rest.IsEmpty;
    }
}
