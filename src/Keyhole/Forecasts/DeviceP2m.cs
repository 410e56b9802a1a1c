// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Platforms.XenPv;
using Keyhole.PvGuest;

namespace Keyhole.Forecasts;

/// <summary>How the entries of holes are filled.</summary>
public enum HoleFill
{
    /// <summary>INVALID until a device is plugged in, and again when it goes: "when devices show up we populate on demand the P2M array with the
    /// MFNs" (seed 001).</summary>
    OnDemand,

    /// <summary>Identity from the boot on, device or none, as Linux does it.</summary>
    AtBoot,
}

/// <summary>What came of plugging a window in.</summary>
/// <param name="After">The P2M afterwards: unchanged where the window meets something.</param>
/// <param name="Conflict">What it meets in the kernel's map; null when it was claimed.</param>
public sealed record PlugResult(DeviceP2m After, E820Entry? Conflict);

/// <summary>
/// A guest's P2M as its devices come and go: RAM as the boot left it, and in the holes what <see cref="HoleFill"/> says. An edit makes a new one.
/// </summary>
public sealed class DeviceP2m
{
    private readonly ImmutableArray<E820Entry> _kernelMap;
    private readonly ImmutableArray<P2mRun> _base;
    private readonly ImmutableArray<BarPlace> _plugged;

    private DeviceP2m(ImmutableArray<E820Entry> kernelMap, ImmutableArray<P2mRun> atBoot, ImmutableArray<BarPlace> plugged, HoleFill fill)
    {
        _kernelMap = kernelMap;
        _base = atBoot;
        _plugged = plugged;
        Fill = fill;
    }

    /// <summary>What the P2M has in holes where no device is.</summary>
    public HoleFill Fill { get; }

    /// <summary>The windows that are plugged in, in the order they came.</summary>
    public ImmutableArray<BarPlace> Plugged => _plugged;

    /// <summary>The runs that it was made of.</summary>
    internal ImmutableArray<P2mRun> BaseRuns => _base;

    /// <summary>The P2M of a booted kernel without devices.</summary>
    public static DeviceP2m Of(BootForecast forecast, HoleFill fill = HoleFill.OnDemand)
    {
        ArgumentNullException.ThrowIfNull(forecast);
        return Of(forecast.KernelMap, forecast.P2m, fill);
    }

    /// <param name="kernelMap">The map by which the kernel judges windows.</param>
    /// <param name="p2m">Sorted runs; identity runs are holes.</param>
    public static DeviceP2m Of(ImmutableArray<E820Entry> kernelMap, ImmutableArray<P2mRun> p2m, HoleFill fill) => new(kernelMap, p2m, [], fill);

    /// <summary>The guest finds a device: the window is claimed, and with <see cref="HoleFill.OnDemand"/> its frames get their machine
    /// frames.</summary>
    /// <param name="place">Where the guest is told that the window lies; without a place it cannot be plugged in.</param>
    public PlugResult Plug(BarPlace place)
    {
        ArgumentNullException.ThrowIfNull(place);
        if (place.GuestStart is not { } start)
            throw new ArgumentException("the window has no place", nameof(place));
        foreach (E820Entry entry in _kernelMap)
        {
            if (entry.Type != E820Type.Reserved && entry.Address < start + place.Bar.SizeBytes && entry.End > start)
                return new(this, entry);
        }

        return new(new(_kernelMap, _base, _plugged.Add(place), Fill), null);
    }

    /// <summary>The device goes: its frames are INVALID again, unless another window shares their page or holes are filled at boot.</summary>
    public DeviceP2m Unplug(BarPlace place) => new(_kernelMap, _base, _plugged.Remove(place), Fill);

    /// <summary>Takes all devices out again.</summary>
    public DeviceP2m UnplugAll() => new(_kernelMap, _base, [], Fill);

    /// <summary>What stands behind a frame.</summary>
    public P2mRun At(Pfn pfn) => Explain(PfnRange.FromCount(pfn, 1));

    /// <summary>The whole P2M in runs, sorted, to where the boot's ended or the last window does.</summary>
    public ImmutableArray<P2mRun> Runs
    {
        get
        {
            SortedSet<ulong> edges = [];
            foreach (P2mRun run in _base)
            {
                edges.Add(run.Range.Start.Value);
                edges.Add(run.Range.End.Value);
            }

            foreach (BarPlace place in _plugged)
            {
                edges.Add(FramesOf(place).Start.Value);
                edges.Add(FramesOf(place).End.Value);
            }

            List<P2mRun> runs = [];
            ulong start = 0;
            foreach (ulong end in edges)
            {
                if (end > start)
                    Append(runs, Explain(PfnRange.FromBounds(new Pfn(start), new Pfn(end))));
                start = end;
            }

            return [.. runs];
        }
    }

    /// <summary>Frames of holes that lead somewhere, sorted runs. With <see cref="HoleFill.OnDemand"/> there are none without a device.</summary>
    public ImmutableArray<P2mRun> DeviceRuns => [.. Runs.Where(static run => run.Kind is P2mKind.Identity or P2mKind.NonRam)];

    /// <summary>Whether every frame of a plugged window leads to its device.</summary>
    public bool Reaches(BarPlace place)
    {
        PfnRange window = FramesOf(place);
        ulong found = 0;
        foreach (P2mRun run in Runs)
        {
            PfnRange part = run.Range.Intersect(window);
            if (part.IsEmpty)
                continue;
            ulong mfn = run.Kind switch
            {
                P2mKind.Identity => part.Start.Value,
                P2mKind.NonRam => run.Mfn.Value + (part.Start.Value - run.Range.Start.Value),
                P2mKind.Invalid or P2mKind.Ram or P2mKind.Remapped => ulong.MaxValue,
            };
            if (mfn != place.FirstMfn.Value + (part.Start.Value - window.Start.Value))
                return false;
            found += part.Count;
        }

        // Behind the list's end Linux takes every frame for identity.
        return found == window.Count || (place.IsIdentity && Fill == HoleFill.AtBoot);
    }

    internal static PfnRange FramesOf(BarPlace place) =>
        PfnRange.FromBounds(Pfn.Containing(place.GuestStart!.Value), Pfn.AtOrAbove(place.GuestStart.Value + place.Bar.SizeBytes));

    private static void Append(List<P2mRun> runs, P2mRun run)
    {
        if (runs.Count > 0 && runs[^1].Kind == run.Kind && (!run.HasFrames || run.Mfn.Value == runs[^1].Mfn.Value + runs[^1].Range.Count))
            runs[^1] = new(PfnRange.FromBounds(runs[^1].Range.Start, run.Range.End), run.Kind, runs[^1].Mfn);
        else
            runs.Add(run);
    }

    /// <summary>A range that no edge cuts.</summary>
    private P2mRun Explain(PfnRange range)
    {
        foreach (BarPlace place in _plugged)
        {
            PfnRange window = FramesOf(place);
            if (Fill == HoleFill.AtBoot || !window.Contains(range.Start))
                continue;
            return place.IsIdentity
                ? new(range, P2mKind.Identity, default)
                : new(range, P2mKind.NonRam, place.FirstMfn.Plus(range.Start.Value - window.Start.Value));
        }

        if (TryFindBase(range.Start, out P2mRun run))
        {
            if (run.Kind == P2mKind.Identity && Fill == HoleFill.OnDemand)
                return new(range, P2mKind.Invalid, default);
            return new(range, run.Kind, run.HasFrames ? run.Mfn.Plus(range.Start.Value - run.Range.Start.Value) : default);
        }

        return new(range, Fill == HoleFill.OnDemand ? P2mKind.Invalid : P2mKind.Identity, default);
    }

    private bool TryFindBase(Pfn pfn, out P2mRun found)
    {
        int low = 0;
        int high = _base.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) / 2;
            if (_base[middle].Range.Contains(pfn))
            {
                found = _base[middle];
                return true;
            }

            if (_base[middle].Range.Start > pfn)
                high = middle - 1;
            else
                low = middle + 1;
        }

        found = default;
        return false;
    }
}
