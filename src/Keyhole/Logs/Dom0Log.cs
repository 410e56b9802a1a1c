// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;

namespace Keyhole.Logs;

/// <summary>What a Xen log says of the dom0 that it builds.</summary>
/// <param name="PageCount">Pages that dom0 starts with; null where the log does not say.</param>
/// <param name="MaxPages">From <c>dom0_mem=max:</c>; null when there is no limit.</param>
public sealed record Dom0Log(ulong? PageCount, ulong? MaxPages, GuestLayout Layout)
{
    /// <summary>Whether dom0's kernel is a 32-bit one.</summary>
    public bool Is32Bit { get; init; }

    /// <summary>Whether the log shows where Xen lays dom0 out; else that of a usual kernel is taken, and the pages are those of
    /// <c>dom0_mem=</c>.</summary>
    public bool IsBuildShown { get; init; } = true;

    /// <summary>Whether the pages are counted from what Xen says that it allocates, where the rest of the build is not in the log.</summary>
    public bool IsCounted { get; init; }

    /// <summary>Whether the pages are those that dom0 got, whatever its options say.</summary>
    internal bool IsCountShown => IsBuildShown || IsCounted;

    /// <summary>The line that tells that dom0 is a PVH one, whose map Xen makes itself; null where nothing does.</summary>
    public LogFact<string>? Pvh { get; init; }

    /// <summary>Whether Xen's command line, which would tell a limit, is not in the log.</summary>
    public bool IsMaxUnknown { get; init; }

    /// <summary>Whether Xen's command line is in the log and neither says how much memory dom0 gets nor from which nodes.</summary>
    public bool HasNoMemoryOption { get; init; }

    /// <summary>Whether <c>dom0_mem=</c> on Xen's command line is garbled, or wrapped so that nobody can tell the limit.</summary>
    public bool IsMaxUnclear { get; init; }

    /// <summary>
    /// Whether <see cref="MaxPages"/> is reckoned from "System RAM:" because <c>dom0_mem=max:</c> is relative to what Xen has left: a few per cent
    /// too high.
    /// </summary>
    public bool IsMaxReckoned { get; init; }

    /// <summary>Linux's virtual address of pseudo-physical 0 (__START_KERNEL_map), 64 bits.</summary>
    private const ulong KernelMap = X86Layout.LinuxKernelMap;

    /// <summary>The same (__PAGE_OFFSET) of a 32-bit kernel.</summary>
    private const ulong KernelMapOf32Bit = 0xc000_0000;

    /// <summary>64 TiB: nothing that Xen builds is larger; what is larger was garbled.</summary>
    private const ulong LargestBytes = X86Layout.LinuxMemoryLimit;

    /// <summary>What Xen's command line says; the pages follow from it where nothing else tells them.</summary>
    internal Dom0MemOption Option { get; init; }

    /// <summary>
    /// The same on a machine: of <c>dom0_mem=</c> with more than what Xen surely has left of its RAM Xen gives what there is, which no option tells.
    /// Where the log has no "System RAM:", the map shows how much there is; a map of which lines are missing, how much there is at least.
    /// </summary>
    public Dom0Log On(Host host)
    {
        ArgumentNullException.ThrowIfNull(host);
        if (IsCountShown)
            return this;
        ulong ram = SortedMap.BytesIn(ByteRange.FromBounds(0, ulong.MaxValue), SortedMap.Of(host.Entries.AsSpan()).AsSpan(),
            static entry => entry.IsRam) >> Frames.Shift;
        if (ram == 0)
            return this;
        bool isAll = host.RamShown == RamShown.All && !host.HasLostEntries;
        ulong? pages = Option.PageCountWithin(ram, isAll ? ram : Math.Max(ram, LargestBytes >> Frames.Shift));
        if (pages is null && isAll && Option.IsMoreThan(ram))
            return this with { PageCount = null, IsMoreThanLeft = true };
        if (pages is null || PageCount is not null)
            return this;
        ulong? most = Option.MaxPages(pages.Value, ram, out bool isReckoned);
        return this with { PageCount = pages, MaxPages = most, IsMaxReckoned = isReckoned };
    }

    /// <summary>
    /// Whether dom0 got so little of the machine that its Xen must have a <c>dom0_mem=</c> built in (CONFIG_DOM0_MEM, since 4.12), which counts where
    /// the command line has none: a limit may be part of it, and the log does not show which.
    /// </summary>
    public bool HasBuiltInLimit(ulong ramPages, XenVersion? xen) =>
        HasNoMemoryOption && IsCountShown && !Is32Bit && PageCount is { } pages && ramPages != 0 && pages < ramPages / 2
            && xen?.IsUpTo(4, 11) != true;

    /// <summary>Whether <c>dom0_mem=</c> asks for more than what Xen surely has left: how much dom0 gets is then not known.</summary>
    public bool IsMoreThanLeft { get; init; }

    /// <summary>Reads the lines of the first Xen boot in a log. Null when it has none.</summary>
    public static Dom0Log? Of(LogScan scan)
    {
        ArgumentNullException.ThrowIfNull(scan);
        return Of(scan.Lines);
    }

    /// <summary>Reads the lines of the Xen boot that printed <paramref name="map"/>. Null when there are none.</summary>
    public static Dom0Log? Of(LogScan scan, LogMap? map)
    {
        ArgumentNullException.ThrowIfNull(scan);
        LogMap[] xens = [.. scan.Maps.Where(other => other.Kind == LogMapKind.XenFirmware && other.Line <= map?.Line && !other.IsBeforeXensChanges)];
        if (xens.Length == 0)
            return Of(scan.Lines);
        // Xen's command line stands above its map, and what it says of a dom0 that it builds is of the boot before.
        int start = xens[^1].Line;
        bool isBegun = false;
        foreach (LogLine line in scan.Lines)
        {
            if (line.Speaker != LogSpeaker.Xen || line.Number >= xens[^1].Line || (xens.Length > 1 && line.Number <= xens[^2].Line))
                continue;
            if (BootInProgress.IsXensBuilder(line.Text))
                (start, isBegun) = (xens[^1].Line, false);
            else if (!isBegun && BootInProgress.IsXensStart(line.Text))
                (start, isBegun) = (line.Number, true);
        }

        Dom0Log? own = Of(scan.Lines.Where(line => line.Number >= start));
        // Of the only Xen that the log tells of, in whatever order somebody has put its lines.
        return own is null && xens.Length == 1 ? Of(scan.Lines) : own;
    }

    internal static Dom0Log? Of(IEnumerable<LogLine> lines)
    {
        GuestLayout layout = GuestLayout.Unknown;
        ulong? pages = null;
        Dom0MemOption memory = default;
        ulong ramPages = 0;
        ulong initialChunk = 0;
        ulong? otherPages = null;
        ulong? initrdPages = null;
        bool isRamdiskTold = false;
        ulong initrdBytes = 0;
        bool is32Bit = false;
        bool hasCommandLine = false;
        bool hasMemoryOption = false;
        bool isUnclear = false;
        bool found = false;
        LogFact<string>? pvh = null;
        foreach (LogLine line in lines)
        {
            if (line.Speaker != LogSpeaker.Xen)
                continue;
            ReadOnlySpan<char> text = line.Text.AsSpan().Trim();
            // The page count comes last but for two: what comes before it and stands here again is another boot's.
            if ((pages is not null && IsBeforePageCount(text)) || (initialChunk != 0 && IsBeforeAllocation(text)))
                break;
            if (TryValue(text, "Command line:", out ReadOnlySpan<char> rest) || TryValue(text, "Built-in command line:", out rest))
            {
                // What is built in comes first; of each part what is said last counts.
                Dom0MemOption? option = Dom0MemOption.Of(rest, line.Wrapped, memory);
                memory = option ?? default;
                isUnclear = option is not { IsMalformed: false };
                hasCommandLine = true;
                hasMemoryOption |= NamesDom0sMemory($"{rest}{line.Wrapped.Replace("\n", "", StringComparison.Ordinal)}");
                if (IsPvhOption(rest) is { } isPvh)
                    pvh = isPvh ? new(line.Text, line.Number) : null;
            }
            else if (text.Contains(Vocabulary.BuildingPvh, StringComparison.Ordinal))
            {
                pvh = new(line.Text.Trim(), line.Number);
                found = true;
            }
            else if (text.StartsWith(Vocabulary.PvhDom0sMap, StringComparison.Ordinal))
            {
                pvh ??= new(text.ToString(), line.Number);
                found = true;
            }
            else if (text.Contains(Vocabulary.BuildingPv, StringComparison.Ordinal))
                pvh = null;
            else if (TryValue(text, "System RAM:", out rest))
                ramPages = RamPages(rest);
            else if (TryRange(text, "Dom0 alloc.:", out ByteRange range))
            {
                initialChunk = range.SizeBytes;
                otherPages = PagesToCome($"{text}{line.Wrapped}");
            }
            else if (TryRange(text, "Init. ramdisk:", out range))
            {
                // The first one is the machine's, or there is none: its pages are dom0's own from then on.
                if (initialChunk != 0 && !isRamdiskTold && range.End <= LargestBytes)
                    initrdPages = Pfn.AtOrAbove(range.SizeBytes).Value;
                isRamdiskTold = true;
                // The machine's addresses first. Kernels that want the ramdisk mapped get it in their own addresses, too.
                initrdBytes = initrdBytes == 0 ? range.SizeBytes : initrdBytes;
                if (found && !layout.Kernel.IsEmpty)
                    layout = layout with { Initrd = Physical(range) };
            }
            else if (TryRange(text, "Loaded kernel:", out range))
                layout = layout with { Kernel = Physical(range) };
            else if (TryRange(text, "Phys-Mach map:", out range))
            {
                is32Bit = range.End <= Frames.FourGiB;
                pages = range.SizeBytes / (is32Bit ? 4UL : 8UL);
                layout = layout with { P2mList = Physical(range) };
            }
            else if (TryRange(text, "Start info:", out range))
                layout = layout with { StartInfo = Physical(range) };
            else if (TryRange(text, "Page tables:", out range))
                layout = layout with { PageTables = Physical(range) };
            else
                continue;
            found = true;
        }

        bool isBuildShown = pages is not null;
        bool isCounted = !isBuildShown && pvh is null && otherPages is not null && initrdPages is not null;
        if (isCounted)
            pages = (initialChunk >> Frames.Shift) + otherPages + initrdPages;
        // Without the lines of the build: the pages of dom0_mem=, where it says a size.
        pages ??= memory.PageCountOf(ramPages);
        bool mayBeTold = pages is not null || pvh is not null || memory.MayTellPages;
        if (!isBuildShown && mayBeTold)
            layout = GuestLayout.OfDom0();
        if (!found || !mayBeTold)
            return null;
        ulong count = pages ?? 0;
        // What Linux takes unmapped, as 64-bit kernels since 3.12 do, Xen gives the first pfns behind the chunk that it allocates first.
        ulong unmapped = initialChunk;
        if (initialChunk != 0 && layout.Initrd.IsEmpty)
        {
            layout = layout with { Initrd = ByteRange.FromSize(unmapped, initrdBytes) };
            unmapped += Pfn.AtOrAbove(initrdBytes).ToAddress();
        }

        if (initialChunk != 0 && layout.P2mList.IsEmpty)
            layout = layout with { P2mList = ByteRange.FromSize(unmapped, P2mBytesOf(count)) };
        bool isReckoned = false;
        ulong? maxPages = pages is null && pvh is null && !memory.IsMaxSize ? null : memory.MaxPages(count, ramPages, out isReckoned);
        return new(pages, maxPages, layout)
        {
            Is32Bit = is32Bit,
            IsBuildShown = isBuildShown,
            IsCounted = isCounted,
            Option = memory,
            Pvh = pvh,
            IsMaxUnknown = !hasCommandLine,
            IsMaxUnclear = isUnclear && maxPages is null,
            IsMaxReckoned = isReckoned,
            HasNoMemoryOption = hasCommandLine && !hasMemoryOption,
        };
    }

    /// <summary>
    /// The list and, behind it, the page tables that map it, which Xen hands over with it: the third level once, a page of the second for what is not
    /// filled by whole GiB, one of the first for what is not filled by whole 2 MiB. A processor with pages of 1 GiB is assumed: it matters beyond 512
    /// GiB.
    /// </summary>
    private static ulong P2mBytesOf(ulong pageCount)
    {
        const ulong largePage = X86Layout.LargePageBytes;
        const ulong hugePage = X86Layout.HugePageBytes;
        ulong list = Pfn.AtOrAbove(pageCount * sizeof(ulong)).ToAddress();
        ulong tables = 1 + (list % hugePage != 0 ? 1UL : 0) + (list % largePage != 0 ? 1UL : 0);
        return list + (tables << Frames.Shift);
    }

    /// <summary>Where it was wrapped with the loss of a blank, too.</summary>
    private static bool NamesDom0sMemory(string commandLine) => commandLine.Replace('-', '_') is var text
        && (text.Contains("dom0_mem", StringComparison.Ordinal) || text.Contains("dom0_nodes", StringComparison.Ordinal));

    /// <summary>Whether dom0= on a command line asks for a PVH dom0 or a PV one; null where it does not say.</summary>
    private static bool? IsPvhOption(ReadOnlySpan<char> commandLine)
    {
        const string name = "dom0=";
        bool? isPvh = null;
        foreach (Range at in commandLine.Split(' '))
        {
            ReadOnlySpan<char> word = commandLine[at].Trim('"');
            if (!word.StartsWith(name, StringComparison.Ordinal))
                continue;
            ReadOnlySpan<char> list = word[name.Length..];
            foreach (Range part in list.Split(','))
            {
                isPvh = list[part] switch
                {
                    "pvh" or "pvh=1" or "pvh=true" or "pvh=yes" or "pvh=on" or "no-pv" => true,
                    "pv" or "no-pvh" or "pvh=0" or "pvh=false" or "pvh=no" or "pvh=off" => false,
                    _ => isPvh,
                };
            }
        }

        return isPvh;
    }

    /// <summary><c>8104MB (8299140kB)</c>; where the line is wrapped behind the MiB, those. 0 where it says nothing that a machine has.</summary>
    internal static ulong RamPages(ReadOnlySpan<char> text)
    {
        int open = text.IndexOf('(');
        ReadOnlySpan<char> number = open < 0 ? text : text[(open + 1)..];
        int digits = 0;
        while (digits < number.Length && char.IsAsciiDigit(number[digits]))
            digits++;
        int shift = open < 0 ? 20 : 10;
        return ulong.TryParse(number[..digits], NumberStyles.None, CultureInfo.InvariantCulture, out ulong size) && size <= LargestBytes >> shift
            ? size << shift >> Frames.Shift
            : 0;
    }

    private static bool IsBeforePageCount(ReadOnlySpan<char> text) =>
        text.StartsWith("Command line:", StringComparison.Ordinal) || text.StartsWith("Built-in command line:", StringComparison.Ordinal)
            || text.StartsWith("Dom0 alloc.:", StringComparison.Ordinal)
        || text.StartsWith("Loaded kernel:", StringComparison.Ordinal) || text.StartsWith("Phys-Mach map:", StringComparison.Ordinal);

    private static bool IsBeforeAllocation(ReadOnlySpan<char> text) =>
        text.StartsWith("Command line:", StringComparison.Ordinal) || text.StartsWith("Dom0 alloc.:", StringComparison.Ordinal);

    /// <summary><c>(32890764 pages to be allocated)</c> behind the range: what dom0 gets beside the chunk and its ramdisk; null where it is not
    /// said.</summary>
    private static ulong? PagesToCome(string text)
    {
        int open = text.IndexOf('(', StringComparison.Ordinal);
        Reading.TextCursor cursor = new(open < 0 ? "" : text.AsSpan(open + 1));
        return cursor.TryDecimal(out uint pages) && cursor.TryText(" pages") ? pages : null;
    }

    /// <summary>Empty for what lies at an address of its own, outside of the kernel's map of its memory.</summary>
    private static ByteRange Physical(ByteRange range)
    {
        if (range.Start >= KernelMap)
            return ByteRange.FromSize(range.Start - KernelMap, range.SizeBytes);
        return range.Start >= KernelMapOf32Bit && range.End <= Frames.FourGiB ? ByteRange.FromSize(range.Start - KernelMapOf32Bit, range.SizeBytes)
            : default;
    }

    private static bool TryValue(ReadOnlySpan<char> text, string key, out ReadOnlySpan<char> rest)
    {
        rest = text.StartsWith(key, StringComparison.Ordinal) ? text[key.Length..].TrimStart() : default;
        return !rest.IsEmpty;
    }

    /// <summary><c>key  start-&gt;end</c>, hex, the end exclusive, anything behind it.</summary>
    private static bool TryRange(ReadOnlySpan<char> text, string key, out ByteRange range)
    {
        range = default;
        if (!TryValue(text, key, out ReadOnlySpan<char> rest))
            return false;
        int arrow = rest.IndexOf("->", StringComparison.Ordinal);
        if (arrow <= 0 || !TryHex(rest[..arrow], out ulong start) || !TryHex(rest[(arrow + 2)..], out ulong end) || end < start
            || end - start > LargestBytes)
            return false;
        range = ByteRange.FromBounds(start, end);
        return true;
    }

    private static bool TryHex(ReadOnlySpan<char> text, out ulong value)
    {
        int digits = 0;
        while (digits < text.Length && char.IsAsciiHexDigit(text[digits]))
            digits++;
        return ulong.TryParse(text[..digits], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }
}
