// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.PvGuest;

namespace Keyhole.Forecasts;

/// <summary>Says of every page that a guest starts with what becomes of it. The lines add up to those pages, whatever happened; a test holds it to
/// that.</summary>
internal static class PageAccount
{
    public const string Stays = "RAM, where it was";
    public const string NotUsed = "RAM that the kernel reserves (ISA range, edges of holes)";
    public const string Moved = "RAM, moved from under a hole";
    public const string GivenBack = "given back to Xen";
    public const string BeyondLimit = "beyond what this kernel can manage";
    public const string Lost = "lost: the map ends before them, and the kernel leaves them to nobody";

    /// <summary>Pages of which one of these is told.</summary>
    public static ulong PagesOf(BootForecast forecast, string what) =>
        forecast.Account.Where(line => line.What == what).Aggregate(0UL, static (sum, line) => sum + line.PageCount);

    /// <param name="map">The map as it was given.</param>
    public static ImmutableArray<AccountLine> Of(
        in SetupResult result, ulong pageCount, ImmutableArray<E820Entry> map, P2mRuns p2m, IReadOnlyList<E820Entry> kernelMap)
    {
        PfnRange initial = PfnRange.FromBounds(default, new Pfn(result.PageCount));
        ulong inPlace = p2m.CountOf(P2mKind.Ram, initial);
        ulong usable = 0;
        // A map of more entries than the kernel sorts stays as it is: they may overlap.
        Pfn counted = default;
        foreach (E820Entry entry in kernelMap.Where(static entry => entry.IsRam).OrderBy(static entry => entry.Address))
        {
            PfnRange whole = PfnRange.FromBounds(Pfn.AtOrAbove(entry.Address), Pfn.Containing(entry.End)).Intersect(initial);
            PfnRange rest = whole.Intersect(PfnRange.FromBounds(counted, initial.End));
            usable += p2m.CountOf(P2mKind.Ram, rest);
            counted = rest.IsEmpty ? counted : rest.End;
        }

        // Old kernels leave machine frames behind pages that are in no map.
        ulong mapEnd = map.Concat(kernelMap).Select(static entry => entry.Range.End).DefaultIfEmpty().Max();
        Pfn firstBehind = new(Math.Min(initial.End.Value, Pfn.AtOrAbove(mapEnd).Value));
        ulong behindMap = p2m.CountOf(P2mKind.Ram, PfnRange.FromBounds(firstBehind, initial.End));
        var lines = ImmutableArray.CreateBuilder<AccountLine>();
        Add(Stays, usable);
        Add(NotUsed, inPlace - usable - behindMap);
        Add(Moved, result.RemappedPages);
        Add(GivenBack, result.ReleasedPages);
        ulong known = inPlace + result.RemappedPages + result.ReleasedPages;
        Add(Lost, behindMap + (result.PageCount > known ? result.PageCount - known : 0));
        Add(BeyondLimit, pageCount - result.PageCount);
        return lines.ToImmutable();

        void Add(string what, ulong count)
        {
            if (count != 0)
                lines.Add(new(what, count));
        }
    }
}
