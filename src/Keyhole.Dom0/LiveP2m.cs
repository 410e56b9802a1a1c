// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.PvGuest;

namespace Keyhole.Dom0;

/// <summary>What a running guest's P2M list says of a frame.</summary>
public enum LiveP2mKind
{
    /// <summary>No machine frame: given back, or never populated.</summary>
    Invalid,

    /// <summary>A machine frame that is the guest's own, given there or moved there: the list does not tell the two apart.</summary>
    Ram,

    /// <summary>The machine frame of the same number: a device's, or nobody's.</summary>
    Identity,

    /// <summary>A machine frame of another domain, mapped by grant or as foreign.</summary>
    Foreign,

    /// <summary>
    /// Nothing is written there: identity, or no machine frame. Where 512 frames in a row are of one of the two kinds, Linux puts one page for all of
    /// them into its list, one for each kind, and both say "invalid": only the kernel itself knows which of the two pages is which.
    /// </summary>
    Unwritten,
}

/// <summary>Frames in a row of which the list says the same.</summary>
/// <param name="Page">For <see cref="LiveP2mKind.Unwritten"/> which page of the list it is, numbered from 1 as they come; frames with the same page
/// are of the same kind. Else 0.</param>
public readonly record struct LiveP2mRun(PfnRange Range, LiveP2mKind Kind, int Page = 0);

/// <summary>Where a list and a forecast differ first.</summary>
/// <param name="Range">Frames in a row that differ in the same way.</param>
/// <param name="Live">What the list says of them.</param>
/// <param name="Forecast">What was forecast.</param>
public readonly record struct LiveP2mDifference(PfnRange Range, LiveP2mKind Live, LiveP2mKind Forecast);

/// <summary>A guest's own P2M list as it was at one moment, in runs.</summary>
public sealed record LiveP2m
{
    /// <summary>Frames that the list has entries for. Linux takes whatever lies behind them for identity.</summary>
    public required ulong FrameCount { get; init; }

    /// <summary>Sorted, without gaps from frame 0 to <see cref="FrameCount"/>; runs next to each other differ in kind.</summary>
    public required ImmutableArray<LiveP2mRun> Runs { get; init => field = Given.Array(value); }

    /// <summary>Frames of a kind.</summary>
    public ulong CountOf(LiveP2mKind kind)
    {
        ulong count = 0;
        foreach (LiveP2mRun run in Runs)
            count += run.Kind == kind ? run.Range.Count : 0;
        return count;
    }

    /// <summary>Compares the list with a forecast, from frame 0 to where the forecast's part of interest ends. What is unwritten agrees with identity
    /// and with no machine frame, but each of its pages with one of the two alone.</summary>
    /// <param name="forecast">Of this guest on the map that it was given.</param>
    /// <param name="differing">Frames that differ.</param>
    /// <returns>The first that differ; null where none do.</returns>
    public LiveP2mDifference? Compare(BootForecast forecast, out ulong differing)
    {
        ArgumentNullException.ThrowIfNull(forecast);
        differing = 0;
        LiveP2mDifference? first = null;
        int at = 0;
        Dictionary<int, LiveP2mKind> meanings = [];
        foreach (P2mRun expected in forecast.P2m)
        {
            LiveP2mKind wanted = KindOf(expected.Kind);
            PfnRange rest = expected.Range.Intersect(PfnRange.FromBounds(default, forecast.P2mEnd));
            while (!rest.IsEmpty)
            {
                while (at < Runs.Length && Runs[at].Range.End <= rest.Start)
                    at++;
                bool isListed = at < Runs.Length;
                LiveP2mKind live = isListed ? Runs[at].Kind : LiveP2mKind.Identity;
                if (live == LiveP2mKind.Unwritten && wanted is LiveP2mKind.Identity or LiveP2mKind.Invalid)
                {
                    // What the page means first, it means everywhere.
                    meanings.TryAdd(Runs[at].Page, wanted);
                    live = meanings[Runs[at].Page];
                }

                var part = PfnRange.FromBounds(rest.Start, isListed && Runs[at].Range.End < rest.End ? Runs[at].Range.End : rest.End);
                if (live != wanted)
                {
                    differing += part.Count;
                    first ??= new(part, live, wanted);
                }

                rest = PfnRange.FromBounds(part.End, rest.End);
            }
        }

        return first;
    }

    /// <summary>What a list says of frames that a forecast has so.</summary>
    private static LiveP2mKind KindOf(P2mKind kind) => kind switch
    {
        P2mKind.Invalid => LiveP2mKind.Invalid,
        P2mKind.Identity => LiveP2mKind.Identity,
        P2mKind.Ram or P2mKind.Remapped or P2mKind.NonRam => LiveP2mKind.Ram,
    };
}
