// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Platforms;

namespace Keyhole.Forecasts;

/// <summary>RAM of a guest's map that Linux takes no account of: it keeps room for ten times the pages that it starts with, and no more.</summary>
/// <remarks>Source: EXTRA_MEM_RATIO in Linux' arch/x86/xen/setup.c. What a guest may have (maxmem) that code does not ask Xen for; only dom0
/// does.</remarks>
internal static class BalloonRoom
{
    private const ulong PagesOfMiB = 1UL << (20 - Frames.Shift);
    private const ulong StartAndRoom = 11;

    /// <summary>Less is the edges of entries and the ISA range.</summary>
    private const ulong WorthMentionBytes = 1UL << 20;

    /// <summary>RAM of the map that the kernel's own map has no more of, but for what the guest starts with and its kernel cannot manage.
    /// Bytes.</summary>
    public static ulong LeftOutBytes(BootForecast forecast)
    {
        BootRequest request = forecast.Request;
        ulong given = Sum(request.Map, E820Type.Ram) + (request.IsDom0 ? Sum(request.Map, E820Type.Unusable) : 0);
        ulong kept = Sum(forecast.KernelMap, E820Type.Ram);
        ulong leftOut = given - ulong.Min(given, kept + (PageAccount.PagesOf(forecast, PageAccount.BeyondLimit) << Frames.Shift));
        return leftOut < WorthMentionBytes ? 0 : leftOut;
    }

    /// <summary>The least memory, in MiB, with which the same kernel leaves nothing of the same map out; null where none helps, and where it leaves
    /// nothing out.</summary>
    public static ulong? StartThatReachesAll(BootForecast forecast)
    {
        BootRequest request = forecast.Request;
        if (!forecast.Boots || LeftOutBytes(forecast) == 0)
            return null;
        ulong all = Sum(request.Map, E820Type.Ram) >> Frames.Shift;
        ulong mib = ((all / StartAndRoom) + PagesOfMiB - 1) / PagesOfMiB;
        // What is no RAM below the guest's last page costs room, or saves some: the model decides.
        for (ulong more = 0; more < 4; more++)
        {
            ulong pages = (mib + more) * PagesOfMiB;
            if (pages > request.PageCount && Forecaster.ForecastOne(request with { PageCount = pages }) is { Halts: false } with
                && LeftOutBytes(with) == 0)
                return mib + more;
        }

        return null;
    }

    /// <summary>Why the kernel leaves RAM of a guest's map out.</summary>
    public static string Why(BootForecast forecast) => StartThatReachesAll(forecast) is null
        ? "the kernel keeps no more room than ten times what it starts with, nor any beyond what it can manage"
        : $"the guest starts with {ByteSize.ToText(forecast.Request.PageCount << Frames.Shift)}, and Linux keeps room for ten times that at most";

    /// <summary>What helps; null where nothing that is known does.</summary>
    public static string? Remedy(BootForecast forecast) => StartThatReachesAll(forecast) is not { } mib ? null
        : $"set {OwnWords.Memory(forecast.Request.Toolstack)} to {mib} MiB or more";

    private static ulong Sum(ImmutableArray<E820Entry> map, E820Type type) => SortedMap.TotalsOf(map.AsSpan()).GetValueOrDefault(type);
}
