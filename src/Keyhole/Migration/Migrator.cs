// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Hosts;
using Keyhole.Hypercalls;
using Keyhole.Logs;
using Keyhole.Pci;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;
using Keyhole.PvGuest;
using Keyhole.Simulation;

namespace Keyhole.Migration;

/// <summary>
/// Plays a guest's move between two simulated hosts: boot on the first, unplug the devices, save, new machine frames, restore, plug the devices of
/// the other side in. Stops at the first step that breaks.
/// </summary>
/// <remarks>
/// What libxl and libxc do is taken from their source: only frames with RAM behind them are carried, the restoring side lays its own P2M over the
/// guest's, in which everything else is INVALID, and the map that the guest could ask for is made again from the new host. No migration of the real
/// Xen has been recorded.
/// </remarks>
public static class Migrator
{
    internal const string LastStep = "replug";

    /// <summary>P2M entries in a page: Linux tells holes from RAM by whole pages of its list.</summary>
    internal const ulong EntriesPerP2mPage = 512;

    private static readonly DomainId s_guest = new(1);

    /// <summary>Plays a move through on simulated hosts.</summary>
    public static MigrationResult Run(MigrationRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        return new MigrationRun(request).Run();
    }

    private sealed class MigrationRun(MigrationRequest request)
    {
        private readonly List<MigrationStep> _steps = [];
        private readonly List<string> _findings = [];
        private ImmutableArray<E820Entry> _kernelMap = [];
        private DeviceP2m? _p2m;
        private ulong _moved;
        private string _policy = "";

        public MigrationResult Run()
        {
            RunSteps();
            return new()
            {
                Request = request,
                Steps = [.. _steps],
                MovedPages = _moved,
                P2m = _p2m?.Runs ?? [],
                Findings = [.. _findings],
            };
        }

        private void RunSteps()
        {
            Boot boot = request.Known ?? Boot.Of(request.Scenario);
            Plan plan = boot.Plan;
            _policy = plan.Policy;
            if (plan.Entries.IsEmpty || boot.Forecast is not { } forecast)
            {
                Break("plan", $"{_policy} has no map for the guest on {request.FromName}: {FirstError(plan.Problems)}");
                return;
            }

            if (!forecast.Boots)
            {
                Break("boot",
                    $"{KernelReleases.NameOf(request.Scenario.Kernel)} does not boot on {request.FromName}: {FirstError(forecast.Problems)}");
                return;
            }

            if (!BootOnFirstHost(plan, forecast) || !Plug("plug", request.FromName, request.Scenario))
                return;
            if (request.BalloonedPages != 0)
                Balloon();
            if (!Unplug() || !Save() || !Restore() || !Resume())
                return;
            Plug(LastStep, request.To.Name, request.To.On(request.Scenario));
        }

        private static string? FirstError(ImmutableArray<Problem> problems) =>
            problems.FirstOrDefault(static problem => problem.Severity == Severity.Error)?.Message;

        private void Done(string name, string what) => _steps.Add(new(name, true, what, _p2m?.DeviceRuns ?? []));

        private bool Break(string name, string what)
        {
            _steps.Add(new(name, false, what, _p2m?.DeviceRuns ?? []));
            return false;
        }

        private bool BootOnFirstHost(Plan plan, BootForecast forecast)
        {
            ulong pages = request.Scenario.StartPages;
            var machine = new SimulatedXen(new() { MachineMap = plan.MachineMap });
            var spec = new DomainSpec { Id = s_guest, NrPages = pages, MappedPages = 0, Placement = FramePlacement.Descending(GuestFrames.MaxOrder) };
            if (machine.CreateDomain(spec, out SimulatedDomain? domain) != XenError.None)
                return Break("boot",
                    $"{request.FromName} has {ByteSize.ToText(machine.FreeFrameCount << Frames.Shift)} of RAM, less than the guest's "
                        + $"{ByteSize.ToText(pages << Frames.Shift)}");
            List<P2mRun> runs = [];
            foreach (P2mRun run in forecast.P2m)
                GuestFrames.AddWithMachineFrames(machine, domain!, run, runs);
            // What the kernel gave back is the host's again.
            GuestFrames.GiveBackUnlisted(machine, domain!, runs);
            Audit(machine, domain!, runs, request.FromName);
            _kernelMap = forecast.KernelMap;
            _p2m = DeviceP2m.Of(_kernelMap, [.. runs], request.Fill);
            Done("boot", $"{_policy} on {request.FromName}: {ByteSize.ToText(Count(runs) << Frames.Shift)} of RAM, {forecast.RemappedPages} pages "
                + $"moved from under holes, {forecast.ReleasedPages} given back");
            return true;
        }

        private bool Plug(string step, string hostName, Scenario there)
        {
            ImmutableArray<Bar> bars = there.Windows;
            string assumed = "";
            if (bars.IsEmpty && (there.Guest.UsesHostMap || !request.Scenario.Windows.IsEmpty))
            {
                // Not known where: it may be anywhere that the host has no memory.
                bars = [.. HostHoles.DevicePlaces(there.MachineMap)
                    .Where(static place => place.Start < X86Layout.UsualIoApic)
                    .Select(static place => new Bar(0, BarKind.Memory, place.Start, Math.Min(place.End, X86Layout.UsualIoApic), false, false))];
                assumed = "the device's place is not known, so the host's whole hole has to be free: ";
            }

            foreach (BarPlace place in PlacesOf(bars))
            {
                Bar bar = place.Bar;
                if (place.GuestStart is not { } guestStart)
                    return Break(step, $"{assumed}the hole has no room for the window at [0x{bar.Start:x}, 0x{bar.End:x})");
                PlugResult plugged = _p2m!.Plug(place);
                if (plugged.Conflict is { } conflict)
                    return Break(step,
                        $"{assumed}the window at [0x{guestStart:x}, 0x{guestStart + bar.SizeBytes:x}) conflicts with "
                            + $"{E820TypeNames.NameOf(conflict.Type)} memory [0x{conflict.Address:x}, 0x{conflict.End:x}) of the guest's map: \""
                            + $"{KernelWords.CannotClaim(bar, conflict)}\"");
                _p2m = plugged.After;
                if (!_p2m.Reaches(place) && (assumed.Length == 0 || !ReachesWholeListPages(bar)))
                    return Break(step,
                        $"{assumed}the window at [0x{guestStart:x}, 0x{guestStart + bar.SizeBytes:x}) is claimed, but its P2M entries do not lead "
                            + $"to the device: the restoring side left them INVALID and nobody filled them again");
            }

            string how = bars.IsEmpty ? "no device"
                : PlacesOf(bars).All(static place => place.IsIdentity) ? $"{Windows(bars.Length)}, every frame its own machine frame"
                : $"{Windows(bars.Length)}, not identity throughout: only a filter of configuration-space reads makes this work";
            Done(step, $"{hostName}: {assumed}{how}");
            return true;
        }

        /// <summary>For a window that is only assumed: what shares a page of the list with RAM is too little to hold it against a map.</summary>
        private bool ReachesWholeListPages(Bar bar)
        {
            const ulong listPageBytes = EntriesPerP2mPage << Frames.Shift;
            ulong start = Align.Up(bar.Start, listPageBytes);
            ulong end = Align.Down(bar.End, listPageBytes);
            return end <= start || _p2m!.Reaches(new(new(0, BarKind.Memory, start, end, false, false), start));
        }

        private static string Windows(int count) => Counted.Of(count, "window");

        private ImmutableArray<BarPlace> PlacesOf(ImmutableArray<Bar> bars) => request.Scenario.Policy is { Traits.NeedsFilter: true }
            ? BarFilter.Place(bars)
            : [.. bars.Where(static bar => bar.Kind != BarKind.BridgeWindow).Select(static bar => new BarPlace(bar, bar.Start))];

        /// <summary>From the top of RAM, as a balloon driver gets its pages from anywhere.</summary>
        private void Balloon()
        {
            ulong left = request.BalloonedPages;
            List<P2mRun> runs = [];
            ImmutableArray<BarPlace> plugged = _p2m!.Plugged;
            foreach (P2mRun run in _p2m.BaseRuns.Reverse())
            {
                ulong given = run.Kind == P2mKind.Ram ? Math.Min(left, run.Range.Count) : 0;
                left -= given;
                if (given != 0)
                    runs.Add(new(PfnRange.FromCount(run.Range.Start.Plus(run.Range.Count - given), given), P2mKind.Invalid, default));
                if (given < run.Range.Count)
                    runs.Add(new(PfnRange.FromCount(run.Range.Start, run.Range.Count - given), run.Kind, run.Mfn));
            }

            runs.Reverse();
            _p2m = DeviceP2m.Of(_kernelMap, [.. runs], request.Fill);
            foreach (BarPlace place in plugged)
                _p2m = _p2m.Plug(place).After;
            Done("balloon", $"{request.BalloonedPages - left} pages given back: INVALID in the P2M, RAM in the map");
        }

        private bool Unplug()
        {
            if (!request.Unplugs)
                return true;
            _p2m = _p2m!.UnplugAll();
            Done("unplug", _p2m.DeviceRuns.IsEmpty
                ? "the holes are INVALID throughout"
                : "the devices are gone; the kernel keeps the holes identity, which no toolstack carries over");
            return true;
        }

        private bool Save()
        {
            if (!_p2m!.Plugged.IsEmpty)
                return Break("save",
                    "a device is still plugged in: page tables hold machine frames that are not the guest's memory, "
                        + "and the toolstack refuses to save them");
            _moved = Count(_p2m.Runs);
            Done("save", $"{_moved} pages with their pfns; what is INVALID or identity is left out");
            return true;
        }

        private bool Restore()
        {
            var machine = new SimulatedXen(new() { MachineMap = request.To.On(request.Scenario).MachineMap });
            machine.CreateDomain(new() { Id = s_guest, NrPages = 0 }, out SimulatedDomain? domain);
            List<P2mRun> runs = [];
            ulong calls = 0;
            foreach (PfnRange range in GuestFrames.MemoryOf(_p2m!.BaseRuns))
            {
                calls += GuestFrames.CallsFor(range);
                if (!GuestFrames.Populate(machine, domain!, range, runs))
                    return Break("restore",
                        $"{request.To.Name} has {ByteSize.ToText(machine.TotalFrames << Frames.Shift)} of RAM, less than the guest's "
                            + $"{ByteSize.ToText(_moved << Frames.Shift)}");
            }

            Audit(machine, domain!, runs, request.To.Name);
            ImmutableArray<P2mRun> restored = Fill(runs);
            _p2m = DeviceP2m.Of(_kernelMap, restored, request.Fill);
            Done("restore",
                $"{request.To.Name}: {_moved} pages at their old pfns with new machine frames, {calls} calls of populate_physmap; the P2M is laid "
                    + $"over the guest's, all else in it INVALID");
            return true;
        }

        /// <summary>Puts what is not RAM between the runs: INVALID, but that Linux knows pages of its list that hold nothing but holes without
        /// looking into them.</summary>
        private ImmutableArray<P2mRun> Fill(List<P2mRun> ram)
        {
            P2mRun[] restored = [.. ram];
            var all = ImmutableArray.CreateBuilder<P2mRun>();
            var whole = PfnRange.FromBounds(default, _p2m!.BaseRuns.IsEmpty ? default : _p2m.BaseRuns[^1].Range.End);
            foreach (RangePiece piece in new RangeMap<P2mRun>(restored).Over(ByteRange.FromFrames(whole)))
            {
                if (piece.IsGap)
                    AddBetween(all, piece.Range);
                else
                    all.Add(restored[piece.Index]);
            }

            return all.ToImmutable();
        }

        private void AddBetween(ImmutableArray<P2mRun>.Builder all, ByteRange gap)
        {
            ReadOnlySpan<P2mRun> runs = _p2m!.BaseRuns.AsSpan();
            foreach (RangePiece piece in new RangeMap<P2mRun>(runs).Over(gap))
            {
                if (piece.IsGap)
                    continue;
                P2mRun before = runs[piece.Index];
                PfnRange part = piece.Range.Touched;
                PfnRange whole = before.Kind == P2mKind.Identity && request.Fill == HoleFill.AtBoot
                    ? PfnRange.FromBounds(
                        new Pfn((part.Start.Value + EntriesPerP2mPage - 1) / EntriesPerP2mPage * EntriesPerP2mPage),
                        new Pfn(part.End.Value / EntriesPerP2mPage * EntriesPerP2mPage)).Intersect(part)
                    : default;
                if (whole.IsEmpty)
                {
                    all.Add(new(part, P2mKind.Invalid, default));
                    continue;
                }

                Add(all, PfnRange.FromBounds(part.Start, whole.Start), P2mKind.Invalid);
                Add(all, whole, P2mKind.Identity);
                Add(all, PfnRange.FromBounds(whole.End, part.End), P2mKind.Invalid);
            }
        }

        private static void Add(ImmutableArray<P2mRun>.Builder all, PfnRange range, P2mKind kind)
        {
            if (!range.IsEmpty)
                all.Add(new(range, kind, default));
        }

        private bool Resume()
        {
            if (request.Resume == ResumeMode.KeepsP2m)
            {
                Done("resume", "the guest goes on with the map and the P2M of its first boot, as Linux does");
                return true;
            }

            Boot there = Boot.Of(request.To.On(request.Scenario));
            if (there.Plan.Entries.IsEmpty || there.Forecast is not { } forecast)
                return Break("resume", $"{_policy} has no map for the guest on {request.To.Name}");
            ulong underHoles = 0;
            ulong withoutPages = 0;
            foreach (P2mRun mine in _p2m!.BaseRuns)
            {
                foreach (P2mRun theirs in forecast.P2m)
                {
                    ulong common = mine.Range.Intersect(theirs.Range).Count;
                    bool isHole = theirs.Kind is P2mKind.Identity or P2mKind.NonRam;
                    bool isRam = theirs.Kind is P2mKind.Ram or P2mKind.Remapped;
                    if (mine.Kind == P2mKind.Ram && isHole)
                        underHoles += common;
                    else if (mine.Kind != P2mKind.Ram && isRam)
                        withoutPages += common;
                }
            }

            _kernelMap = forecast.KernelMap;
            _p2m = DeviceP2m.Of(_kernelMap, _p2m.BaseRuns, request.Fill);
            if (underHoles != 0)
                return Break("resume",
                    $"the map of {request.To.Name} has holes where {underHoles} pages of the guest are in use ("
                        + $"{ByteSize.ToText(underHoles << Frames.Shift)}): whoever believes it maps devices over them, or loses what is in them");
            if (withoutPages > request.BalloonedPages)
                return Break("resume",
                    $"the map of {request.To.Name} promises RAM at {withoutPages} pages that have no machine frame: "
                        + $"the first use of one kills the guest");
            Done("resume", withoutPages == 0
                ? $"the map of {request.To.Name} says RAM where the guest's pages are"
                : $"the map of {request.To.Name} says RAM where the guest's pages are; {withoutPages} pages that were "
                    + $"ballooned away must not be taken for RAM");
            return true;
        }

        private void Audit(SimulatedXen machine, SimulatedDomain domain, List<P2mRun> runs, string host)
        {
            P2MAudit audit = P2MAudit.Of(machine, domain,
                runs.Where(static run => run.Kind == P2mKind.Ram).Select(static run => new FrameRun(run.Range.Start, run.Mfn, run.Range.Count)));
            foreach (AuditFinding finding in audit.Findings)
                _findings.Add($"{host}: {finding}");
            if (audit.UnlistedPages != 0)
                _findings.Add($"{host}: {audit.UnlistedPages} pages are the guest's, and not in its P2M");
            foreach (AuditFinding finding in machine.Audit())
                _findings.Add($"{host}: {finding}");
        }

        private static ulong Count(IEnumerable<P2mRun> runs) =>
            runs.Where(static run => run.Kind == P2mKind.Ram).Aggregate(0UL, static (sum, run) => sum + run.Range.Count);
    }
}
