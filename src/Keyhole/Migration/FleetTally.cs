// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;

namespace Keyhole.Migration;

/// <summary>
/// Adds hosts up, one after the other, in memory that does not grow with their number: a count for each page below 4 GiB, and the worst few. What
/// comes out does not depend on the order.
/// </summary>
public sealed class FleetTally
{
    /// <summary>Hosts named of each kind of trouble.</summary>
    public const int MaxOffenders = 20;

    /// <summary>Hosts up to which each is kept, so that each pair can be judged.</summary>
    public const int MaxListed = 64;

    /// <summary>Groups in the answer.</summary>
    public const int MaxGroups = 1024;

    /// <summary>Reasons kept of each guest whose firmware places BARs.</summary>
    public const int MaxPlacementGroups = 64;

    private const int GiBShift = 30;

    /// <summary>64 TiB in GiB: no guest's memory ends higher.</summary>
    private const int MaxHighGiB = 1 << 16;

    private readonly ImmutableArray<FleetGuest> _guests;
    private readonly uint[] _byHole = new uint[(Frames.FourGiB >> Frames.Shift) + 1];
    private readonly uint[] _byHighGiB = new uint[MaxHighGiB + 1];
    private readonly long[] _poor;
    private readonly long[] _able;
    private readonly long[] _halved;
    private readonly Lowest<HostDemand>[] _poorest;
    private readonly Lowest<HostDemand> _worst = new(MaxOffenders, HostDemand.CompareByHole);
    private readonly Lowest<HostDemand> _possible = new(MaxOffenders, HostDemand.CompareByHole);
    private readonly Lowest<HostDemand> _lowestWindows = new(MaxOffenders, HostDemand.CompareByHighWindow);
    private readonly Lowest<InputError> _unreadable = new(MaxOffenders, CompareErrors);
    private readonly PlacementTally?[] _placements;
    private readonly RefusalTally[] _refusals;
    private readonly RefusalTally _noDevices = new();
    private List<FleetHost>? _listed = [];

    /// <summary>A fleet without hosts.</summary>
    public FleetTally(ImmutableArray<FleetGuest> guests)
    {
        _guests = Given.Array(guests);
        _placements = [.. guests.Select(static guest => guest.Forecast is { } spec ? new PlacementTally(spec) : null)];
        _refusals = [.. guests.Select(static _ => new RefusalTally())];
        _poor = new long[guests.Length];
        _able = new long[guests.Length];
        _halved = new long[guests.Length];
        _poorest = new Lowest<HostDemand>[guests.Length];
        for (int i = 0; i < guests.Length; i++)
            _poorest[i] = new(MaxOffenders, HostDemand.CompareByRam);
    }

    /// <summary>The guests that the hosts are judged for.</summary>
    public ImmutableArray<FleetGuest> Guests => _guests;

    /// <summary>Hosts that were added.</summary>
    public long HostCount { get; private set; }

    /// <summary>Hosts that could not be read, or whose needs are not known for lines of their map are lost.</summary>
    public long UnreadableCount { get; private set; }

    /// <summary>Of those the hosts that were read, and whose needs are not known.</summary>
    public long NotJudgedCount { get; private set; }

    /// <summary>Hosts that are judged for guests that need no hole, and whose own hole is not known for lines of their map are lost.</summary>
    public long HoleNotKnownCount { get; private set; }

    /// <summary>Hosts that say where their devices' windows are.</summary>
    public long WithWindowsCount { get; private set; }

    /// <summary>Adds a host of which nothing but its map counts. Costs the same however many there are.</summary>
    public void Add(HostDemand host) => Add(new FleetHost(host));

    /// <summary>Adds a host. Costs the same however many there are.</summary>
    public void Add(FleetHost added)
    {
        HostDemand host = added.Demand;
        HostCount++;
        if (host.Evidence == DemandEvidence.Windows)
            WithWindowsCount++;
        if (host.IsHoleNotKnown)
            HoleNotKnownCount++;
        else
            _byHole[(int)(host.HoleStart >> Frames.Shift)]++;
        _byHighGiB[(int)Math.Min(host.HighWindow >> GiBShift, MaxHighGiB)]++;
        if (!host.IsHoleNotKnown)
            _worst.Add(host);
        if (!host.IsHoleNotKnown && host.HoleStart >= FleetGuest.LowestHole)
            _possible.Add(host);
        if (host.HighWindow < Frames.AddressLimit)
            _lowestWindows.Add(host);
        if (_guests.IsEmpty)
            _noDevices.Add(added, FleetGuest.Any);
        for (int i = 0; i < _guests.Length; i++)
        {
            _refusals[i].Add(added, _guests[i]);
            if (_guests[i].HasRamOn(host))
            {
                // A part of a map tells nothing of the rest.
                _able[i] += host.RamKiB != 0 ? 1 : 0;
                _halved[i] += _guests[i].LosesHalfOfLowMemory(host) ? 1 : 0;
                continue;
            }

            _poor[i]++;
            _poorest[i].Add(host);
        }

        ImmutableArray<HostPlacement> placements = added.Placements;
        for (int i = 0; i < placements.Length && i < _placements.Length; i++)
            _placements[i]?.Add(added, placements[i]);
        _listed?.Add(added with { Host = null });
        if (_listed?.Count > MaxListed)
            _listed = null;
    }

    /// <summary>Counts a host that could not be read; the first errors are kept.</summary>
    public void AddUnreadable(InputError error)
    {
        UnreadableCount++;
        if (LostDemand.IsReasonOf(error))
            NotJudgedCount++;
        _unreadable.Add(error);
    }

    /// <summary>What the hosts come to so far.</summary>
    public Fleet ToFleet()
    {
        List<FleetGroup> groups = [];
        long groupCount = 0;
        long impossible = 0;
        ulong? start = null;
        ulong? next = null;
        long forcedBy = 0;
        long seen = 0;
        double pairs = 0;
        for (int i = 0; i < _byHole.Length; i++)
        {
            long count = _byHole[i];
            if (count == 0)
                continue;
            ulong holeStart = (ulong)i << Frames.Shift;
            groupCount++;
            if (groups.Count < MaxGroups)
                groups.Add(new(holeStart, count));
            if (holeStart < FleetGuest.LowestHole)
                impossible += count;
            else if (start is not null)
                next ??= holeStart;
            else
                (start, forcedBy) = (holeStart, holeStart < Frames.FourGiB ? count : 0);

            // From a host of this group to every other whose hole starts there or higher.
            seen += count;
            if (holeStart >= FleetGuest.LowestHole)
                pairs += (double)count * (count - 1 + (HostCount - HoleNotKnownCount - seen));
        }

        List<FleetHost>? listed = _listed;
        listed?.Sort(static (left, right) => HostDemand.CompareByName(left.Demand, right.Demand));
        return new()
        {
            HostCount = HostCount,
            WithWindowsCount = WithWindowsCount,
            UnreadableCount = UnreadableCount,
            NotJudgedCount = NotJudgedCount,
            HoleNotKnownCount = HoleNotKnownCount,
            Unreadable = _unreadable.ToImmutable(),
            HoleStart = start,
            ForcedByCount = forcedBy,
            HoleStartWithout = next,
            ImpossibleCount = impossible,
            Groups = [.. groups],
            GroupCount = groupCount,
            Worst = _worst.ToImmutable(),
            Forcing = _possible.ToImmutable(),
            Hosts = listed is null ? null : [.. listed.Select(static host => host.Demand)],
            Placements = listed is null ? null : [.. listed.Select(static host => host.Placements)],
            Guests = Fit(start, impossible),
            NoDevices = _noDevices.ToRefusals(),
            ShareOfMovesAsTheyAre = HostCount == 0 ? null : HostCount == 1 ? 1 : pairs / ((double)HostCount * (HostCount - 1)),
        };
    }

    private ImmutableArray<FleetGuestFit> Fit(ulong? start, long impossible)
    {
        var fits = ImmutableArray.CreateBuilder<FleetGuestFit>(_guests.Length);
        for (int i = 0; i < _guests.Length; i++)
        {
            FleetGuest guest = _guests[i];
            SortedSet<HostDemand> offenders = new(Comparer<HostDemand>.Create(HostDemand.CompareByHole));
            offenders.UnionWith(_poorest[i].ToImmutable());
            offenders.UnionWith(_refusals[i].First.ToImmutable());
            long high = 0;
            if (guest.NeedsHole)
            {
                if (start is { } hole)
                {
                    ulong end = guest.EndOfMemory(hole);
                    for (int gib = 0; gib < MaxHighGiB && (ulong)gib << GiBShift < end; gib++)
                        high += _byHighGiB[gib];
                    foreach (HostDemand host in _lowestWindows.ToImmutable())
                    {
                        if (host.HighWindow < end)
                            offenders.Add(host);
                    }
                }

                foreach (HostDemand host in _worst.ToImmutable())
                {
                    if (host.HoleStart < FleetGuest.LowestHole)
                        offenders.Add(host);
                }
            }

            fits.Add(new(guest, _poor[i], guest.NeedsHole ? impossible : 0, high, [.. offenders])
            {
                KnownToHaveMemory = _able[i],
                LosesHalfOfLowMemory = _halved[i],
                Placement = _placements[i]?.ToPlacement(),
                Refused = _refusals[i].ToRefusals(),
            });
        }

        return fits.MoveToImmutable();
    }

    private static int CompareErrors(InputError left, InputError right)
    {
        int order = string.CompareOrdinal(left.Source, right.Source);
        if (order == 0)
            order = (left.Line ?? 0).CompareTo(right.Line ?? 0);
        return order != 0 ? order : string.CompareOrdinal(left.What, right.What);
    }

    /// <summary>On which hosts, and why, the toolstack does not create one guest.</summary>
    private sealed class RefusalTally
    {
        private readonly PlacementTally _reasons = new(null);

        public Lowest<HostDemand> First { get; } = new(MaxOffenders, HostDemand.CompareByName);

        public void Add(FleetHost host, FleetGuest guest)
        {
            if (guest.RefusalOn(host.Demand) is not { } problem)
                return;
            _reasons.Add(host, new(problem.Code, problem.Message) { Remedy = problem.Remedy });
            First.Add(host.Demand);
        }

        public FleetRefusals? ToRefusals() => _reasons.ToPlacement() is { Fails: > 0 } refused ? new(refused.Fails, refused.Groups) : null;
    }

    /// <summary>The lowest few of many.</summary>
    private sealed class Lowest<T>(int capacity, Comparison<T> compare)
    {
        private readonly List<T> _items = [];

        public void Add(T item)
        {
            if (_items.Count == capacity && compare(item, _items[^1]) >= 0)
                return;
            int low = 0;
            int high = _items.Count;
            while (low < high)
            {
                int middle = (low + high) / 2;
                if (compare(_items[middle], item) <= 0)
                    low = middle + 1;
                else
                    high = middle;
            }

            if (_items.Count == capacity)
                _items.RemoveAt(capacity - 1);
            _items.Insert(low, item);
        }

        public ImmutableArray<T> ToImmutable() => [.. _items];
    }
}
