// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Pci;
using Keyhole.Platforms;
using Keyhole.PvGuest;

namespace Keyhole.Forecasts;

/// <summary>What users should be told of a forecast.</summary>
internal static class ForecastReview
{
    private static readonly KernelRelease s_firstThatMovesNvs = new(6, 12);
    private static readonly KernelRelease s_firstThatMoves = new(3, 19);

    /// <summary>What helps where it is the kernel that moves nothing; null where the map has no RAM for it, and of a kernel that does.</summary>
    private static string? OldKernelsRemedy(BootForecast forecast, ulong lost)
    {
        BootRequest request = forecast.Request;
        if (request.Profile.Displaced == DisplacedPages.Remap)
            return null;
        BootForecast later = Forecaster.ForecastOne(request with { Kernel = s_firstThatMoves });
        string newer = !later.Halts && later.ReleasedPages <= later.PopulatedPages ? "boot a kernel from 3.19 on, which moves them" : "";
        string again = forecast.ExtraBytes >> Frames.Shift >= lost ? $"balloon up again ({OwnWords.SetMemory(request.Toolstack)})" : "";
        return newer.Length == 0 && again.Length == 0 ? null : string.Join(", or ", new[] { newer, again }.Where(static part => part.Length != 0));
    }

    public static IEnumerable<Problem> Report(BootForecast forecast)
    {
        if (forecast.Outcome == GuestOutcome.Halts)
            yield return Halt(forecast);
        if (forecast.Outcome == GuestOutcome.NotKnown)
        {
            yield return new(
                Severity.Error,
                ProblemCodes.LayoutNotKnown,
                "whether the kernel boots is not known, because it is not known where it is in the guest's memory",
                Remedy: "say where the kernel's image is");
        }

        if (forecast.IfShorter is { } shorter)
            yield return KernelEnd(forecast, shorter);
        if (forecast.ReleasedPages > forecast.PopulatedPages)
        {
            ulong lost = forecast.ReleasedPages - forecast.PopulatedPages;
            yield return new(
                Severity.Warning,
                ProblemCodes.MemoryReleased,
                $"the kernel gives {lost} pages ({ByteSize.ToText(lost << Frames.Shift)}) back to Xen: they are under holes of the map and it "
                    + (forecast.Request.Profile.Displaced == DisplacedPages.Release ? "gets nothing for them"
                        : "finds no RAM in the map to move them to"),
                Remedy: OldKernelsRemedy(forecast, lost) ?? MoreRoom(forecast));
        }

        if (PageAccount.PagesOf(forecast, PageAccount.Lost) is var left and not 0)
        {
            yield return new(
                Severity.Warning,
                ProblemCodes.MapTooShort,
                $"the map ends before {left} of the guest's pages ({ByteSize.ToText(left << Frames.Shift)}): the kernel does not use them, nor does "
                    + "it give them back to Xen",
                Remedy: MoreRoom(forecast));
        }

        if (RoomCut(forecast) is { } cut)
            yield return cut;
        foreach (BarVerdict verdict in forecast.Bars)
        {
            if (verdict.Conflict is { } entry)
            {
                yield return new(
                    Severity.Error,
                    ProblemCodes.BarConflict,
                    $"{BarName.Of(verdict.Bar, forecast.Request.Devices)} cannot be claimed: \""
                        + $"{KernelWords.CannotClaim(verdict.Bar, entry)}\"",
                    verdict.ConflictRange.Start,
                    verdict.ConflictRange.End,
                    "the BAR must be in a gap or in a reserved region of the guest's map: check its address against the host's map"
                        + (entry.IsRam ? ", or give the guest less low memory" : ""));
            }
            else if (!verdict.IsIdentity)
            {
                yield return Elsewhere(forecast, verdict);
            }
        }
    }

    /// <summary>A window that the kernel claims and whose frames its P2M does not lead to the device by.</summary>
    /// <remarks>Up to 3.15 a mapping that ioremap makes is marked (_PAGE_IOMAP), and xen_make_pte takes the address for the machine's.</remarks>
    private static Problem Elsewhere(BootForecast forecast, BarVerdict verdict)
    {
        bool isIn512GiBHole = LiesInHoleTo512GiB(forecast, verdict);
        bool marksMappings = !forecast.Request.Profile.Has(KernelBehaviour.IdentityBehindMap);
        PfnRange frames = FramesOf(verdict);
        bool hasOthers = forecast.P2m.Any(run => run.Range.Overlaps(frames) && run.Kind is not (P2mKind.Invalid or P2mKind.Identity));
        string why = isIn512GiBHole ? "this kernel leaves a hole that reaches 512 GiB without machine frames, all of it"
            : hasOthers ? "its frames have other machine frames behind them" : "its frames have no machine frames behind them";
        string name = BarName.Of(verdict.Bar, forecast.Request.Devices);
        return new(
            marksMappings ? Severity.Warning : Severity.Error,
            ProblemCodes.BarConflict,
            !marksMappings ? $"{name} does not lead to the device: {why}"
                : $"{name} leads to the device where a driver maps it for itself (ioremap), which up to Linux 3.15 goes by the address alone, and "
                    + $"not where it is mapped for a program: {why}",
            verdict.Bar.Start,
            verdict.Bar.End,
            isIn512GiBHole ? "boot a kernel from 3.14 on, or install a map that ends below 512 GiB"
                : marksMappings && !hasOthers ? "boot a kernel from 3.16 on" : "keep RAM and room for the balloon off the BAR");
    }

    private static PfnRange FramesOf(BarVerdict verdict) =>
        PfnRange.FromBounds(Pfn.Containing(verdict.Bar.Start), Pfn.AtOrAbove(verdict.Bar.End));

    /// <summary>What helps where the map has too little RAM. Nobody gives dom0 another map.</summary>
    private static string MoreRoom(BootForecast forecast) =>
        forecast.Request.IsDom0 ? "give dom0 less memory (dom0_mem=)" : "install a map with as much RAM as the guest has pages";

    /// <summary>Of dom0 it is no news: its map is the machine's, whatever it may have.</summary>
    private static Problem? RoomCut(BootForecast forecast)
    {
        if (forecast.Request.IsDom0 || BalloonRoom.Remedy(forecast) is not { } remedy)
            return null;
        return new(
            Severity.Info,
            ProblemCodes.BalloonRoomCut,
            $"{ByteSize.ToText(BalloonRoom.LeftOutBytes(forecast))} of RAM in the map are out of the balloon's room: {BalloonRoom.Why(forecast)}",
            Remedy: remedy);
    }

    private static Problem KernelEnd(BootForecast forecast, BootForecast shorter)
    {
        ByteRange open = forecast.KernelEndRange;
        string outcome = shorter.Outcome != forecast.Outcome ? shorter.Boots ? "boots" : $"halts{Words(shorter.Message)}"
            : shorter.Halts ? $"halts{Words(shorter.Message)} as well, but elsewhere" : "boots as well, but moves other things";
        return new(
            Severity.Warning,
            ProblemCodes.KernelEndNotKnown,
            $"the kernel is taken to reach 0x{open.End:x}, as far as its builder's span does, but its own end may be up to "
                + $"{ByteSize.ToText(open.SizeBytes)} before: one that ends by 0x{forecast.KernelEndThatMatters:x} {outcome}",
            open.Start,
            open.End,
            "name the kernel's image, which says where it ends");
    }

    private static string Words(string? message) => message is { Length: > 0 } ? $" with \"{message}\"" : "";

    /// <summary>Up to 3.13 a range that reaches 512 GiB is not set to identity at all.</summary>
    private static bool LiesInHoleTo512GiB(BootForecast forecast, BarVerdict verdict)
    {
        if (forecast.Request.Profile.Has(KernelBehaviour.IdentityReaches512GiB) || !forecast.KernelMap.Any(static entry => entry.End >= 1UL << 39))
            return false;
        PfnRange frames = FramesOf(verdict);
        return forecast.P2m.Where(run => run.Range.Overlaps(frames)).All(static run => run.Kind is P2mKind.Identity or P2mKind.Invalid);
    }

    private const string PageTables = "its page tables";

    private static Problem Halt(BootForecast forecast)
    {
        (string what, ByteRange range) = InTheWay(forecast);
        string words = forecast.Message is { Length: > 0 } message ? $", saying \"{message}\"" : " without a message";
        if (range.IsEmpty)
        {
            string why = forecast.Halt switch
            {
                HaltReason.NoMemoryMap => forecast.Request.IsDom0
                    ? "it gets no memory map from Xen: the machine map has more entries than the kernel's table"
                    : "it gets no memory map from Xen, or an empty one",
                HaltReason.TooManyPieces => "no statement: the map has more pieces than this forecast keeps account of",
                HaltReason.CallbacksRefused => "Xen refuses its event callbacks",
                _ => "what it moves and what it counted disagree",
            };
            return new(Severity.Error, ProblemCodes.KernelHalts, $"the kernel halts{words}: {why}",
                Remedy: forecast.Request.IsDom0 ? "boot another kernel" : "install another map, or boot another kernel");
        }

        E820Entry? obstacle = Obstacle(forecast, range);
        string inTheWay = obstacle is { } entry ? $"{E820TypeNames.NameOf(entry.Type)} memory at [0x{entry.Address:x}, 0x{entry.End:x})"
            : "a gap in the map";
        return new(
            Severity.Error,
            ProblemCodes.KernelHalts,
            $"the kernel halts{words}: {what} at [0x{range.Start:x}, 0x{range.End:x}) {(what == PageTables ? "overlap" : "overlaps")} {inTheWay}",
            obstacle?.Address ?? range.Start,
            obstacle?.End ?? range.End,
            Remedies(forecast.Request, obstacle) is { Length: > 0 } remedy ? remedy : null);
    }

    /// <summary>What a forecast says to help.</summary>
    private static string Remedies(BootRequest request, E820Entry? obstacle)
    {
        List<string> remedies = [];
        bool mayMove = obstacle is { Type: E820Type.Nvs } && !request.Profile.Has(KernelBehaviour.MovesNvs) && !request.Is32Bit;
        bool helpsToMoveNvs = mayMove && Forecaster.ForecastOne(request with { Kernel = s_firstThatMovesNvs }).Boots;
        if (helpsToMoveNvs)
            remedies.Add("boot a kernel from 6.12 on, which moves ACPI NVS out of its way");
        // Nobody gives dom0 another map: it has the machine's.
        if (!request.IsDom0)
            remedies.Add("install a map that keeps RAM there");
        if (!helpsToMoveNvs && KernelPlace.ThatBoots(request) is not null)
            remedies.Add("boot a kernel that is linked elsewhere (CONFIG_PHYSICAL_START)");
        return string.Join(", or ", remedies);
    }

    /// <summary>What of the guest lies where the kernel stops at; empty where it is no matter of a place.</summary>
    private static (string What, ByteRange Range) InTheWay(BootForecast forecast)
    {
        GuestLayout layout = forecast.Request.Layout;
        return forecast.Halt switch
        {
            HaltReason.KernelConflict or HaltReason.NoRoomForNvs or HaltReason.TooManyNvs or HaltReason.NvsTargetUnaligned =>
                ("its image", layout.KernelLookedAt),
            // Up to 4.2 nobody looks: whichever of the two does not lie in RAM is given away.
            HaltReason.ReleasesItself => MapQueries.IsReserved(forecast.Request.Map.AsSpan(), layout.KernelLookedAt)
                ? ("its image", layout.KernelLookedAt) : (PageTables, layout.PageTables),
            HaltReason.StartInfoConflict => ("its start info", layout.StartInfo),
            HaltReason.PageTableConflict => (PageTables, layout.PageTables),
            HaltReason.P2mListConflict or HaltReason.NoRoomForP2mList => ("its p2m list", layout.P2mList),
            HaltReason.NoRoomForInitrd => ("its initrd", layout.Initrd),
            HaltReason.None or HaltReason.NoMemoryMap or HaltReason.ExtraMemoryMismatch or HaltReason.RemapFailed or HaltReason.TooManyPieces
                or HaltReason.CallbacksRefused => ("", default),
        };
    }

    private static bool IsRam(BootRequest request, E820Entry entry) =>
        entry.IsRam || (request.IsDom0 && request.Profile.Has(KernelBehaviour.TakesUnusableForRam) && entry.Type == E820Type.Unusable);

    /// <summary>The lowest entry in the way; what the kernel has moved away no longer is, unless it is all there is.</summary>
    private static E820Entry? Obstacle(BootForecast forecast, ByteRange range)
    {
        E820Entry? found = null;
        foreach (E820Entry entry in forecast.Request.Map)
        {
            if (IsRam(forecast.Request, entry) || entry.Wraps || !entry.Range.Overlaps(range))
                continue;
            bool isLower = found is not { } other || (IsMoved(entry), entry.Address).CompareTo((IsMoved(other), other.Address)) < 0;
            if (isLower)
                found = entry;
        }

        return found;

        bool IsMoved(E820Entry entry) => forecast.Moved.Any(moved => moved.From.Overlaps(entry.Range) && entry.Type == E820Type.Nvs);
    }
}
