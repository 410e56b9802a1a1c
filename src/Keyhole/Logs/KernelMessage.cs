// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.Globalization;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>What a line of a kernel's log tells of its memory, in the order in which a boot says it.</summary>
internal enum KernelMessageKind
{
    Other,

    // Before the kernel prints its map.
    Release,
    CommandLine,
    Freed,
    Populated,
    NoRangeToRemap,
    InitrdMoved,
    PanicMessage,
    Released,
    IdentitySet,

    // Behind it.
    Ramdisk,
    Remapped,
    RemappedNonRam,
    PciGap,
    Memory,
    BarClaim,

    // The toolstack's, before the kernel runs.
    Segment,

    // At any time.
    LateCommandLine,
    TraceRelease,
    BootFailure,
    MapEdit,
    Console,
    DeferredPages,
    ImageOutsideRam,
    RunsOn,
    NoExecute,
    OptionsTaken,
    ChangedMapTitle,
    NotSaved,
    Program,
    Sleep,
    Need,

    // The journal's, between the lines of two boots.
    NextBoot,
}

/// <summary>
/// One message of a kernel or domain builder, in the wordings of Linux 2.6.37 to 7.2. Which members mean something, the kind tells. Numbers that no
/// machine has (addresses above 2^52, more than 2^40 pages) make a line no message.
/// </summary>
internal readonly record struct KernelMessage(KernelMessageKind Kind)
{
    private const ulong MaxKiB = Frames.AddressLimit >> 10;

    /// <summary>Of what a kernel runs on.</summary>
    private const int MaxNameLength = 40;

    private const int MaxSleepLength = 80;

    /// <summary>Of the journal's boots.</summary>
    private static readonly SearchValues<char> s_idDigits = SearchValues.Create("0123456789abcdef");

    /// <summary>Pages; of <see cref="KernelMessageKind.Memory"/> the KiB available.</summary>
    public ulong Count { get; private init; }

    /// <summary>The KiB in all, of <see cref="KernelMessageKind.Memory"/>.</summary>
    public ulong TotalKiB { get; private init; }

    public PfnRange Pfns { get; private init; }

    public ByteRange From { get; private init; }

    public ByteRange To { get; private init; }

    /// <summary>What the kernel makes of <see cref="From"/> in its own map; null where it takes it out.</summary>
    public E820Type? NewType { get; private init; }

    /// <summary>What it takes there.</summary>
    public E820Type? OldType { get; private init; }

    public BootFailure? BootFailure { get; private init; }

    /// <summary>A release, a panic message, what got no memory, a command line, a segment's name, what the kernel runs on, or what a window conflicts
    /// with (null: with nothing that has a place; empty: the line is cut before it).</summary>
    public string? Text { get; private init; }

    /// <summary>Of <see cref="KernelMessageKind.Release"/>: which Linux says so.</summary>
    public KernelIdentity? Kernel { get; private init; }

    public bool IsBeforeMap => Kind is >= KernelMessageKind.Release and <= KernelMessageKind.IdentitySet;

    public bool IsBehindMap => Kind is >= KernelMessageKind.Ramdisk and <= KernelMessageKind.BarClaim;

    /// <summary><c>-- Boot 5c0e…32 digits… --</c>, of older ones <c>-- Reboot --</c>: what journalctl prints before the lines of a further
    /// boot.</summary>
    private static bool IsBetweenBoots(ReadOnlySpan<char> line)
    {
        const int idDigits = 32;
        line = line.Trim();
        if (line.SequenceEqual(Vocabulary.Reboot))
            return true;
        if (!line.StartsWith(Vocabulary.FurtherBoot, StringComparison.Ordinal))
            return false;
        ReadOnlySpan<char> rest = line[Vocabulary.FurtherBoot.Length..];
        return rest.Length > idDigits && !rest[..idDigits].ContainsAnyExcept(s_idDigits) && rest[idDigits..].SequenceEqual(" --");
    }

    public static KernelMessage Parse(ReadOnlySpan<char> line)
    {
        if (TextCursor.TryBehind(line, Vocabulary.Version, out TextCursor cursor))
            return Release(cursor.Rest);
        if (TraceRelease(line) is { Kind: not KernelMessageKind.Other } trace)
            return trace;
        if (IsBetweenBoots(line))
            return new(KernelMessageKind.NextBoot);
        if (TextCursor.TryBehind(line, Vocabulary.CommandLine, out cursor))
            return new(KernelMessageKind.CommandLine) { Text = cursor.Rest.Trim().ToString() };
        // It comes again once the kernel can parse it, with what is built in.
        if (TextCursor.TryBehind(line, Vocabulary.LateCommandLine, out cursor))
            return new(KernelMessageKind.LateCommandLine) { Text = cursor.Rest.Trim().ToString() };
        if (TextCursor.TryBehind(line, Vocabulary.RunsOn, out cursor) || TextCursor.TryBehind(line, Vocabulary.RunsParavirtualizedOn, out cursor))
            return new(KernelMessageKind.RunsOn) { Text = InputError.OneLine(cursor.Rest.Trim(), MaxNameLength) };
        if (line.StartsWith(Vocabulary.NoExecute, StringComparison.Ordinal))
            return new(KernelMessageKind.NoExecute);
        foreach (string word in Vocabulary.OptionsTaken)
        {
            if (line.StartsWith(word, StringComparison.Ordinal))
                return new(KernelMessageKind.OptionsTaken) { Text = word };
        }

        if (line.Contains(Vocabulary.ChangedMapTitle, StringComparison.Ordinal))
            return new(KernelMessageKind.ChangedMapTitle);

        foreach (string word in Vocabulary.Programs)
        {
            if (line.Contains(word, StringComparison.Ordinal))
                return new(KernelMessageKind.Program);
        }

        if (TextCursor.TryBehind(line, Vocabulary.Freeing, out cursor)
            && TryFrames(ref cursor, Vocabulary.PagesFreed, out PfnRange frames, out ulong count))
            return new(KernelMessageKind.Freed) { Pfns = frames, Count = count };
        if (TextCursor.TryBehind(line, Vocabulary.Populating, out cursor) && TryFrames(ref cursor, Vocabulary.PagesAdded, out frames, out count))
            return new(KernelMessageKind.Populated) { Pfns = frames, Count = count };
        if (line.Contains(Vocabulary.NoRangeToRemap, StringComparison.Ordinal))
            return new(KernelMessageKind.NoRangeToRemap);
        if (TextCursor.TryBehind(line, Vocabulary.InitrdMoved, out cursor))
            return InitrdMoved(ref cursor);
        if (PanicMessageIn(line) is { } words)
            return new(KernelMessageKind.PanicMessage) { Text = words };
        if (Logs.BootFailure.OfKernel(line) is { } failure)
            return new(KernelMessageKind.BootFailure) { BootFailure = failure };
        foreach (string word in Vocabulary.KernelsSleep)
        {
            if (line.Contains(word, StringComparison.Ordinal))
                return new(KernelMessageKind.Sleep) { Text = InputError.OneLine(line.Trim(), MaxSleepLength) };
        }

        if (KernelNeeds.WordsIn(line) is { } need)
            return new(KernelMessageKind.Need) { Text = need };
        if (TextCursor.TryBehind(line, Vocabulary.NotSaved, out cursor) && TryMem(ref cursor, isInclusive: true, out ByteRange notSaved))
            return new(KernelMessageKind.NotSaved) { From = notSaved };
        if (line.Contains(Vocabulary.ImageOutsideRam, StringComparison.Ordinal))
            return new(KernelMessageKind.ImageOutsideRam);
        if (TextCursor.TryBehind(line, Vocabulary.E820, out cursor) && TryEdit(ref cursor, out KernelMessage edit))
            return edit;
        if (line.Contains(Vocabulary.ConsoleOpening, StringComparison.Ordinal) && line.Contains(Vocabulary.ConsoleEnabled, StringComparison.Ordinal))
            return new(KernelMessageKind.Console) { Text = line.Contains(Vocabulary.BootConsole, StringComparison.Ordinal) ? "boot" : "real" };
        if (line.Contains(Vocabulary.DeferredPages, StringComparison.Ordinal))
            return new(KernelMessageKind.DeferredPages);
        if (TextCursor.TryBehind(line, Vocabulary.Released, out cursor) && TryCount(ref cursor, out count) && cursor.TryText(" page"))
            return IsWhole(cursor.Rest) ? new(KernelMessageKind.Released) { Count = count } : default;
        if (TextCursor.TryBehind(line, Vocabulary.Set, out cursor) && TryCount(ref cursor, out count) && cursor.TryText(Vocabulary.PagesToIdentity))
            return new(KernelMessageKind.IdentitySet) { Count = count };
        if (TextCursor.TryBehind(line, Vocabulary.Ramdisk, out cursor))
            return Ramdisk(ref cursor);
        if (TextCursor.TryBehind(line, Vocabulary.Remapped, out cursor) && TryCount(ref cursor, out count))
            return Remapped(ref cursor, count);
        if (TextCursor.TryBehind(line, Vocabulary.Memory, out cursor))
            return Memory(ref cursor);
        if (TextCursor.TryBehind(line, Vocabulary.Segment, out cursor))
            return Segment(cursor.Rest);
        return line.Contains("claim", StringComparison.Ordinal) || line.Contains(Vocabulary.Collision, StringComparison.Ordinal)
            ? BarClaim(line) : PciGap(line);
    }

    /// <summary>Whether a message may be one that was wrapped: it says nothing as it stands, or not what a window conflicts with.</summary>
    public static bool MayGoOn(ReadOnlySpan<char> line)
    {
        var message = Parse(line);
        return message.Kind == KernelMessageKind.Other
            || message is { Kind: KernelMessageKind.BarClaim, Text: "" };
    }

    /// <summary>Reads a line that says something and lacks nothing of it.</summary>
    public static bool TryParseWhole(ReadOnlySpan<char> line, out KernelMessage message)
    {
        message = Parse(line);
        return message.Kind is not (KernelMessageKind.Other or KernelMessageKind.PanicMessage or KernelMessageKind.CommandLine
            or KernelMessageKind.LateCommandLine or KernelMessageKind.TraceRelease or KernelMessageKind.BootFailure or KernelMessageKind.RunsOn
            or KernelMessageKind.Program or KernelMessageKind.Sleep or KernelMessageKind.NoExecute or KernelMessageKind.OptionsTaken
            or KernelMessageKind.ChangedMapTitle or KernelMessageKind.NotSaved or KernelMessageKind.Need)
            && message is not { Kind: KernelMessageKind.BarClaim, Text: null or "" };
    }

    /// <summary>A trace names the kernel as well: "CPU: 0 PID: 128 Comm: kworker/0:2 Not tainted 6.13.6-1.qubes #1", "… Tainted: G        W  5.16.1
    /// #1".</summary>
    private static KernelMessage TraceRelease(ReadOnlySpan<char> line)
    {
        if (!line.Contains(" comm: ", StringComparison.OrdinalIgnoreCase))
            return default;
        int at = line.IndexOf(Vocabulary.Tainted, StringComparison.Ordinal);
        if (at < 0)
            return default;
        ReadOnlySpan<char> rest = line[at..];
        int end = rest.IndexOf(" #");
        if (end < 0)
            return default;
        ReadOnlySpan<char> words = rest[..end].TrimEnd();
        KernelMessage release = Release(words[(words.LastIndexOf(' ') + 1)..]);
        return release.Kind == KernelMessageKind.Release ? release with { Kind = KernelMessageKind.TraceRelease } : default;
    }

    private static KernelMessage Release(ReadOnlySpan<char> text)
    {
        const int longest = 80;
        int end = text.IndexOf(' ');
        ReadOnlySpan<char> release = end < 0 ? text : text[..end];
        return release.IsEmpty || release.Length > longest || !char.IsAsciiDigit(release[0])
            ? default
            : new(KernelMessageKind.Release) { Text = release.ToString(), Kernel = KernelReleases.Identify(text) };
    }

    /// <summary>"e820: update [mem 0x…-0x…] usable ==> reserved", "e820: remove [mem 0x…-0x…] usable"; "modified" instead of a type where it is
    /// several.</summary>
    private static bool TryEdit(ref TextCursor cursor, out KernelMessage edit)
    {
        edit = default;
        bool isRemoval = cursor.TryText(Vocabulary.Remove);
        if ((!isRemoval && !cursor.TryText(Vocabulary.Update)) || !TryMem(ref cursor, isInclusive: true, out ByteRange range, isOpen: true))
            return false;
        cursor.SkipBlanks();
        E820Type? newType = null;
        _ = LogEntrySyntax.TryLinuxType(ref cursor, out E820Type oldType, out _);
        if (!isRemoval)
        {
            cursor.SkipBlanks();
            if (!cursor.TryText(Vocabulary.Becomes))
                return false;
            cursor.SkipBlanks();
            if (!LogEntrySyntax.TryLinuxType(ref cursor, out E820Type type, out _))
                return false;
            newType = type;
        }

        edit = new(KernelMessageKind.MapEdit) { From = range, OldType = oldType == E820Type.None ? null : oldType, NewType = newType };
        return true;
    }

    /// <summary>"9e-100 pfn range: 98 pages freed".</summary>
    private static bool TryFrames(ref TextCursor cursor, string unit, out PfnRange frames, out ulong count)
    {
        frames = default;
        count = 0;
        cursor.SkipBlanks();
        if (!cursor.TryHex(out ulong start) || !cursor.TryText("-") || !cursor.TryHex(out ulong end) || !cursor.TryText(Vocabulary.PfnRange))
            return false;
        if (start > end || end > Frames.MaxCount || !TryCount(ref cursor, out count) || !cursor.TryText(unit))
            return false;
        frames = PfnRange.FromBounds(new(start), new(end));
        return true;
    }

    /// <summary>"[mem 0x08000000-0x0a6185c0] to [mem 0x28000000-0x2a6185c0]": ends are exclusive here, and zero has no 0x.</summary>
    private static KernelMessage InitrdMoved(ref TextCursor cursor)
    {
        if (!TryMem(ref cursor, isInclusive: false, out ByteRange from) || !cursor.TryText(" to ")
            || !TryMem(ref cursor, isInclusive: false, out ByteRange to))
            return default;
        return new(KernelMessageKind.InitrdMoved) { From = from, To = to };
    }

    /// <summary>"[mem 0x08000000-0x0a792fff]"; before 3.5 "08000000 - 0a793000".</summary>
    private static KernelMessage Ramdisk(ref TextCursor cursor)
    {
        if (TryMem(ref cursor, isInclusive: true, out ByteRange range))
            return new(KernelMessageKind.Ramdisk) { From = range };
        if (!cursor.TryHex(out ulong start) || !cursor.TryText(" - ") || !cursor.TryHex(out ulong end) || start >= end || end > Frames.AddressLimit)
            return default;
        return new(KernelMessageKind.Ramdisk) { From = ByteRange.FromBounds(start, end) };
    }

    private static KernelMessage Remapped(ref TextCursor cursor, ulong count)
    {
        if (cursor.TryText(" non-RAM page"))
            return IsWhole(cursor.Rest) ? new(KernelMessageKind.RemappedNonRam) { Count = count } : default;
        return cursor.TryText(" page") && IsWhole(cursor.Rest) ? new(KernelMessageKind.Remapped) { Count = count } : default;
    }

    /// <summary>"167432K/1048572K available"; with a small k, before 3.10, the total counts holes too and is not read.</summary>
    private static KernelMessage Memory(ref TextCursor cursor)
    {
        if (!TryCount(ref cursor, out ulong available) || !cursor.TryText("K/") || !TryCount(ref cursor, out ulong total)
            || !cursor.TryText("K available"))
            return default;
        return total > MaxKiB || available > total ? default : new(KernelMessageKind.Memory) { Count = available, TotalKiB = total };
    }

    /// <summary>"   page tables  : 0x… -&gt; 0x…  (pfn 0x4a03 + 0x29 pages)".</summary>
    private static KernelMessage Segment(ReadOnlySpan<char> text)
    {
        int colon = text.IndexOf(':');
        if (colon < 0 || !TextCursor.TryBehind(text, "(pfn 0x", out TextCursor cursor))
            return default;
        if (!cursor.TryHex(out ulong pfn) || !cursor.TryText(" + 0x") || !cursor.TryHex(out ulong pages) || !cursor.TryText(" pages)"))
            return default;
        if (pfn > Frames.MaxCount || pages > Frames.MaxCount - pfn)
            return default;
        return new(KernelMessageKind.Segment)
        {
            Text = text[..colon].Trim().ToString(),
            From = ByteRange.FromSize(pfn << Frames.Shift, pages << Frames.Shift)
        };
    }

    /// <summary>
    /// "[mem 0x40061000-0x7ffdefff] available for PCI devices", since 7.0 "[gap 0x…-0x…] available …", before 3.5 "(gap: 40000000:a0000000)", start
    /// and size. The range is empty where the kernel says that it found none.
    /// </summary>
    private static KernelMessage PciGap(ReadOnlySpan<char> line)
    {
        if (TextCursor.TryBehind(line, Vocabulary.OldGapOpening, out TextCursor cursor))
        {
            if (!cursor.TryHex(out ulong start) || !cursor.TryText(":") || !cursor.TryHex(out ulong size) || !cursor.TryText(")"))
                return default;
            return start > Frames.AddressLimit || size > Frames.AddressLimit - start ? default
                : new(KernelMessageKind.PciGap) { From = ByteRange.FromSize(start, size) };
        }

        if (line.Contains(Vocabulary.NoGapTelling, StringComparison.Ordinal)
            || line.Contains(Vocabulary.NoGapTellingBefore412, StringComparison.Ordinal))
            return new(KernelMessageKind.PciGap);
        string opening = line.Contains(Vocabulary.MemOpening, StringComparison.Ordinal) ? Vocabulary.MemOpening : Vocabulary.GapOpening;
        int at = line.IndexOf(opening, StringComparison.Ordinal);
        if (at < 0)
            return default;
        cursor = new(line[at..]);
        return TryMem(ref cursor, isInclusive: true, out ByteRange range, opening) && cursor.TryText(Vocabulary.AvailableForPci)
            ? new(KernelMessageKind.PciGap) { From = range }
            : default;
    }

    /// <summary>
    /// "pci 0000:00:00.0: BAR 0 [mem …]: can't claim; address conflict with Unusable memory [mem …]"; 4.0 to 6.x "can't claim BAR 0 [mem …]: address
    /// conflict with …"; before "address space collision: [mem …] conflicts with …". The device's own window comes first in each.
    /// </summary>
    private static KernelMessage BarClaim(ReadOnlySpan<char> line)
    {
        bool isClaim = line.Contains(Vocabulary.CannotClaim, StringComparison.Ordinal)
            || line.Contains(Vocabulary.Collision, StringComparison.Ordinal);
        int at = line.IndexOf(Vocabulary.MemOpening, StringComparison.Ordinal);
        if (!isClaim || at < 0)
            return default;
        TextCursor cursor = new(line[at..]);
        if (!TryMem(ref cursor, isInclusive: true, out ByteRange window))
            return default;
        if (!TextCursor.TryBehind(cursor.Rest, Vocabulary.ConflictWith, out TextCursor conflict)
            && !TextCursor.TryBehind(cursor.Rest, Vocabulary.ConflictsWith, out conflict))
            return new(KernelMessageKind.BarClaim) { From = window, Text = GivesReason(cursor.Rest) ? null : "" };
        int with = conflict.Rest.LastIndexOf(Vocabulary.MemOpening, StringComparison.Ordinal);
        if (with < 0)
            return new(KernelMessageKind.BarClaim) { From = window, Text = "" };
        string name = conflict.Rest[..with].Trim().ToString();
        cursor = new(conflict.Rest[with..]);
        return TryMem(ref cursor, isInclusive: true, out ByteRange other)
            ? new(KernelMessageKind.BarClaim) { From = window, To = other, Text = name } : default;
    }

    /// <summary>Whether a line goes on behind a window with why the window cannot be claimed, and why is not a conflict.</summary>
    private static bool GivesReason(ReadOnlySpan<char> rest)
    {
        const string address = "address";
        rest = rest.Trim(" :;");
        if (rest.StartsWith(Vocabulary.CannotClaim, StringComparison.Ordinal))
            rest = rest[Vocabulary.CannotClaim.Length..].Trim(" :;");
        return !rest.IsEmpty && !rest.StartsWith(address, StringComparison.Ordinal) && !rest.Contains("conflict", StringComparison.Ordinal);
    }

    /// <summary>People copy panic messages from photographs: case and the end do not count.</summary>
    private static string? PanicMessageIn(ReadOnlySpan<char> line)
    {
        const string end = " map";
        foreach ((_, string words) in Vocabulary.PanicMessages)
        {
            ReadOnlySpan<char> telling = words.EndsWith(end, StringComparison.Ordinal) ? words.AsSpan(0, words.Length - end.Length) : words;
            if (line.Contains(telling, StringComparison.OrdinalIgnoreCase))
                return words;
        }

        return null;
    }

    /// <param name="isOpen">Whether the end may be that of the address space, as where all behind a limit is meant.</param>
    private static bool TryMem(ref TextCursor cursor, bool isInclusive, out ByteRange range, string opening = Vocabulary.MemOpening,
        bool isOpen = false)
    {
        range = default;
        if (!cursor.TryText(opening))
            return false;
        cursor.TryText("0x");
        if (!cursor.TryHex(out ulong start) || !cursor.TryText("-"))
            return false;
        cursor.TryText("0x");
        if (!cursor.TryHex(out ulong end) || start > end)
            return false;
        if (isOpen && end >= Frames.AddressLimit)
            end = Frames.AddressLimit - 1;
        if (end > Frames.AddressLimit || start > end)
            return false;
        // "64bit pref", "window" and the like.
        int close = cursor.Rest.IndexOf(']');
        if (close < 0 || (close > 0 && cursor.Rest[0] != ' '))
            return false;
        cursor = new(cursor.Rest[(close + 1)..]);
        range = ByteRange.FromBounds(start, isInclusive ? end + 1 : end);
        return true;
    }

    private static bool TryCount(ref TextCursor cursor, out ulong count)
    {
        int digits = 0;
        while (digits < cursor.Rest.Length && char.IsAsciiDigit(cursor.Rest[digits]))
            digits++;
        if (!ulong.TryParse(cursor.Rest[..digits], NumberStyles.None, CultureInfo.InvariantCulture, out count) || count > MaxKiB)
            return false;
        cursor = new(cursor.Rest[digits..]);
        return true;
    }

    /// <summary>"(s)" of newer kernels or "s" of older ones: a line cut before it may have lost nothing else, but nobody knows.</summary>
    private static bool IsWhole(ReadOnlySpan<char> rest) => rest.StartsWith("(s)", StringComparison.Ordinal) || rest.StartsWith('s');
}
