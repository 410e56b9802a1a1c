// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Platforms;
using Keyhole.PvGuest;

namespace Keyhole.Forecasts;

/// <summary>When a guest's memory target changes.</summary>
public enum BalloonMoment
{
    /// <summary>While the kernel boots, as the balloon does at once for pages that were released. The local APIC's page is not claimed yet.</summary>
    Boot,

    /// <summary>After boot, as by <c>xl mem-set</c>.</summary>
    Later,
}

/// <summary>What becomes of a change of a guest's memory target: pages that come or go, from where, at which addresses, in how many calls.</summary>
public sealed record BalloonForecast
{
    /// <summary>Linux adds memory by hotplug in sections of this size (64-bit x86).</summary>
    public const ulong SectionBytes = 128UL << 20;

    private const ulong SectionPages = SectionBytes >> Frames.Shift;
    private const ulong BatchPages = Frames.SizeBytes / sizeof(ulong);

    /// <summary>Physical addresses of the processors in use; where iomem ends.</summary>
    private const int PhysicalAddressBits = 46;

    /// <summary>Pages that the guest owns before.</summary>
    public required ulong FromPages { get; init; }

    /// <summary>The target.</summary>
    public required ulong TargetPages { get; init; }

    /// <summary>Pages that it owns afterwards, if Xen has them.</summary>
    public required ulong ToPages { get; init; }

    /// <summary>Pages that come from extra memory of the map.</summary>
    public required ulong ExtraPages { get; init; }

    /// <summary>Pages that come by hotplug.</summary>
    public required ulong HotplugPages { get; init; }

    /// <summary>Where hotplug lays them: one range of whole sections; empty when there is none.</summary>
    public required ByteRange Hotplug { get; init; }

    /// <summary>Pages of extra memory that the balloon does not get: they are in the scratch pool (kernels from 6.10 on).</summary>
    public required ulong ScratchPages { get; init; }

    /// <summary>Pages of the target that are out of reach: beyond maxmem.</summary>
    public required ulong BeyondMaximumPages { get; init; }

    /// <summary>Pages of the target that are out of reach: no free addresses to lay them at.</summary>
    public required ulong BeyondRoomPages { get; init; }

    /// <summary>Rounds of at most 512 pages.</summary>
    public required ulong Batches { get; init; }

    /// <summary>Hypercalls by name, sorted by name.</summary>
    public required ImmutableArray<(string Name, ulong Count)> Hypercalls { get; init => field = Given.Array(value); }

    /// <summary>What is wrong with the change of the target.</summary>
    public required ImmutableArray<Problem> Problems { get; init => field = Given.Array(value); }

    /// <summary>Forecasts the way to a target.</summary>
    /// <param name="boot">How the guest came up. It must have.</param>
    /// <param name="targetPages">The target, in pages.</param>
    /// <param name="maxPages">Pages that the guest may own at most (maxmem); null for no limit.</param>
    /// <param name="moment">When.</param>
    public static BalloonForecast Of(BootForecast boot, ulong targetPages, ulong? maxPages, BalloonMoment moment)
    {
        ArgumentNullException.ThrowIfNull(boot);
        ulong from = boot.OwnedPages;
        ulong reachable = Math.Min(targetPages, Math.Max(maxPages ?? ulong.MaxValue, from));
        ulong extra = WholePages(boot.Extra);
        bool hasPool = boot.Request.Profile.Has(KernelBehaviour.HasScratchPool);
        ulong wanted = reachable > from ? reachable - from : 0;
        ulong fromExtra = hasPool ? 0 : Math.Min(wanted, extra);
        ulong toHotplug = wanted - fromExtra;
        // Sections come whole; the balloon fills of them what the target asks for.
        ulong sections = ((toHotplug + SectionPages - 1) / SectionPages) * SectionBytes;
        ByteRange place = sections == 0 || boot.Request.IsAutoTranslated ? default : FindPlace(boot, sections, moment);
        ulong hotplugged = place.IsEmpty ? 0 : toHotplug;
        ulong given = from > targetPages ? from - targetPages : 0;
        ulong batches = Batch(fromExtra) + Batch(hotplugged) + Batch(given);
        var forecast = new BalloonForecast
        {
            FromPages = from,
            TargetPages = targetPages,
            ToPages = from + fromExtra + hotplugged - given,
            ExtraPages = fromExtra,
            HotplugPages = hotplugged,
            Hotplug = place,
            ScratchPages = hasPool ? extra : 0,
            BeyondMaximumPages = targetPages > from ? targetPages - Math.Max(reachable, from) : 0,
            BeyondRoomPages = toHotplug - hotplugged,
            Batches = batches,
            Hypercalls = Calls(fromExtra + hotplugged + given, given > 0, batches),
            Problems = [],
        };
        return forecast with { Problems = [.. Review(boot, forecast)] };
    }

    private static ulong Batch(ulong pages) => (pages + BatchPages - 1) / BatchPages;

    private static ImmutableArray<(string Name, ulong Count)> Calls(ulong pages, bool isDown, ulong batches) => pages == 0
        ? []
        : [(isDown ? "XENMEM_decrease_reservation" : "XENMEM_populate_physmap", batches), ("update_va_mapping", pages)];

    private static ulong WholePages(ImmutableArray<ByteRange> regions)
    {
        ulong sum = 0;
        foreach (ByteRange region in regions)
            sum += PfnRange.FromBounds(Pfn.AtOrAbove(region.Start), Pfn.Containing(region.End)).Count;
        return sum;
    }

    /// <summary>
    /// As Linux's allocate_resource goes through iomem: the lowest free gap that holds the size at a section's boundary, each gap cut by the
    /// BIOS's ROM to its larger side.
    /// </summary>
    private static ByteRange FindPlace(BootForecast boot, ulong sizeBytes, BalloonMoment moment)
    {
        const ulong end = 1UL << PhysicalAddressBits;
        ByteRange[] taken = [.. Taken(boot, moment)];
        foreach (RangePiece piece in new RangeMap<ByteRange>(taken).Over(ByteRange.FromBounds(0, end)))
        {
            if (!piece.IsGap)
                continue;
            (ulong start, ulong stop) = WithoutBiosRom(piece.Range.Start, piece.Range.End);
            ulong aligned = Align.Up(start, SectionBytes);
            if (stop > aligned && stop - aligned >= sizeBytes)
                return ByteRange.FromSize(aligned, sizeBytes);
        }

        return default;
    }

    private static (ulong Start, ulong End) WithoutBiosRom(ulong start, ulong end)
    {
        if (end <= X86Layout.BiosRomStart || start >= Frames.FourGiB || end <= start)
            return (start, end);
        ulong low = start < X86Layout.BiosRomStart ? X86Layout.BiosRomStart - start : 0;
        ulong high = end > Frames.FourGiB ? end - Frames.FourGiB : 0;
        return low > high ? (start, X86Layout.BiosRomStart) : (Frames.FourGiB, Math.Max(end, Frames.FourGiB));
    }

    /// <summary>Resources of the kernel, by their starts: its map, the buffer behind each end of RAM, the devices' windows.</summary>
    private static IEnumerable<ByteRange> Taken(BootForecast boot, BalloonMoment moment)
    {
        List<ByteRange> taken = [ByteRange.FromSize(0, Frames.SizeBytes)];
        foreach (E820Entry entry in boot.KernelMap)
        {
            if (entry.Wraps || entry.Address >= Frames.AddressLimit || entry.End > Frames.AddressLimit)
                continue;
            taken.Add(ByteRange.FromBounds(entry.Address, entry.End));
            if (entry.IsRam)
                taken.Add(ByteRange.FromBounds(entry.End, Align.Up(entry.End, RamAlignment(entry.End))));
        }

        if (moment == BalloonMoment.Later)
        {
            taken.Add(ByteRange.FromSize(X86Layout.LocalApicStart, Frames.SizeBytes));
            foreach (BarVerdict verdict in boot.Bars.Where(static verdict => verdict.CanBeClaimed))
                taken.Add(verdict.Bar.Range);
        }

        return taken.Where(static range => !range.IsEmpty).OrderBy(static range => range.Start);
    }

    /// <summary>What lies between the end of RAM and the next boundary may be stolen RAM: Linux puts nothing there (ram_alignment).</summary>
    private static ulong RamAlignment(ulong end) => end < X86Layout.OneMiB ? 64UL << 10 : end < 16UL << 20 ? 1UL << 20 : 64UL << 20;

    /// <summary>How a domain gets what it would otherwise have to grow to.</summary>
    private static string FromTheStart(BootRequest request, BalloonForecast forecast) => forecast.TargetPages <= request.PageCount
        // It starts with all that, and the boot gives a part of it back.
        ? "see that the kernel has to give back nothing at boot, so that nothing has to grow"
        : request.IsDom0
        ? "give dom0 that memory from the start (dom0_mem= on Xen's command line), so that nothing has to grow"
        : $"set {OwnWords.Memory(request.Toolstack)} = {OwnWords.Most(request.Toolstack)}, so that nothing has to grow";

    private static IEnumerable<Problem> Review(BootForecast boot, BalloonForecast forecast)
    {
        bool isDom0 = boot.Request.IsDom0;
        if (forecast.BeyondMaximumPages > 0)
        {
            yield return new(
                Severity.Warning,
                ProblemCodes.BalloonBeyondMaximum,
                $"{forecast.BeyondMaximumPages} pages ({ByteSize.ToText(forecast.BeyondMaximumPages << Frames.Shift)}) of the target "
                    + $"are beyond {(isDom0 ? "what dom0 may have" : OwnWords.Most(boot.Request.Toolstack))}: Xen gives no more",
                Remedy: isDom0 ? "raise the max: of dom0_mem= on Xen's command line, and restart the host"
                    : $"raise {OwnWords.Most(boot.Request.Toolstack)} before the guest starts");
        }

        if (forecast.BeyondRoomPages > 0)
        {
            yield return new(
                Severity.Warning,
                ProblemCodes.BalloonBeyondRoom,
                $"{forecast.BeyondRoomPages} pages ({ByteSize.ToText(forecast.BeyondRoomPages << Frames.Shift)}) of the target are out of reach: "
                    + $"the kernel finds no free addresses to lay them at",
                Remedy: isDom0 ? "give dom0 that memory from the start (dom0_mem= on Xen's command line)" : "start the guest with that memory");
        }

        if (forecast.Hotplug.IsEmpty)
            yield break;
        foreach (BarVerdict verdict in boot.Bars)
        {
            ByteRange bar = verdict.Bar.Range;
            ByteRange common = bar.Intersect(forecast.Hotplug);
            if (common.IsEmpty)
                continue;
            yield return new(
                Severity.Error,
                ProblemCodes.HotplugOverDevice,
                $"memory grown by hotplug would be at [0x{forecast.Hotplug.Start:x}, 0x{forecast.Hotplug.End:x}), over the BAR "
                    + $"at [0x{bar.Start:x}, 0x{bar.End:x})",
                common.Start,
                common.End,
                FromTheStart(boot.Request, forecast));
        }

        ByteRange inGap = boot.PciGap.Intersect(forecast.Hotplug);
        if (!inGap.IsEmpty)
        {
            yield return new(
                Severity.Warning,
                ProblemCodes.HotplugInPciGap,
                $"memory grown by hotplug would be at [0x{forecast.Hotplug.Start:x}, 0x{forecast.Hotplug.End:x}), in the gap "
                    + $"that the kernel gives to PCI devices",
                inGap.Start,
                inGap.End,
                FromTheStart(boot.Request, forecast));
        }
    }
}
