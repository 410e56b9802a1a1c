// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hypercalls;
using Keyhole.Logs;
using Keyhole.Platforms;

namespace Keyhole.Dom0;

/// <summary>How a started guest fared.</summary>
public enum StartOutcome
{
    /// <summary>Its kernel got through its start.</summary>
    Booted,

    /// <summary>It ended before its kernel had got through its start, or crashed after that.</summary>
    Died,

    /// <summary>Its kernel set its memory up, and then did not get through its start in the time given.</summary>
    Stuck,

    /// <summary>Its kernel said nothing of its memory in the time given.</summary>
    Silent,
}

/// <summary>A guest that was created, given a map and let run.</summary>
/// <param name="IsInstalled">Whether the map was installed, or the toolstack's own stayed.</param>
public sealed record StartedGuest(DomainId Id, LiveMap Map, bool IsInstalled, StartOutcome Outcome, string Console, bool ClaimsSeen);

/// <summary>Creates a guest paused, gives it its map, lets it run and listens; whatever goes wrong, what was made can be destroyed again.</summary>
internal sealed class GuestLauncher(IXenControl xen, DomainTools tools, Guid uuid, CancellationToken cancellation)
{
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_consoleWait = TimeSpan.FromSeconds(30);

    /// <summary>What is on its way from a guest that has ended.</summary>
    private static readonly TimeSpan s_drain = TimeSpan.FromSeconds(1);

    /// <summary>How long a device's driver is waited for once the kernel is up: it may come from the initramfs, or never.</summary>
    private static readonly TimeSpan s_claimWait = TimeSpan.FromSeconds(30);

    /// <summary>xl waits two seconds before it makes a guest again that ended and is to restart; an emulated machine is slower.</summary>
    private static readonly TimeSpan s_return = TimeSpan.FromSeconds(15);

    private bool _isBegun;
    private bool _mayReturn;
    private bool _isGone;

    /// <summary>Whether the guest stays even if the run fails: then it is not to be destroyed.</summary>
    public bool Keeps { get; init; }

    private static XenProblem Interrupted(string guest, string whatIsLeft) => new(XenProblemKind.Guest, guest, "interrupted", whatIsLeft);

    /// <summary>Does it all. On a problem the guest may be there; see <see cref="Destroy"/>.</summary>
    /// <param name="scenario">The guest on this machine, and the map that it is to have; the toolstack's own is there already.</param>
    /// <param name="isDone">Whether the console's text is all that is waited for; without it a Linux is waited for.</param>
    public XenResult<StartedGuest> Run(string configuration, Scenario scenario, TimeSpan limit, Action<string> progress,
        Func<string, bool>? isDone = null)
    {
        string shown = Diagnostics.InputError.Quote(scenario.Guest.Name ?? configuration);
        XenResult<StartedGuest> result = Launch(shown, configuration, scenario, limit, progress, isDone);
        // What fails in an interrupted run fails for the interruption.
        if (!_isBegun || !cancellation.IsCancellationRequested)
            return result;
        if (Keeps)
            return Interrupted(shown, "what there is of it is kept: see xl list");
        return Interrupted(shown, Destroy() is null ? "nothing is left of it" : "it may be left over: xl list, xl destroy");
    }

    private XenResult<StartedGuest> Launch(
        string shown, string configuration, Scenario scenario, TimeSpan limit, Action<string> progress, Func<string, bool>? isDone)
    {
        if (!Live().TryGet(out LiveDomain? other, out XenProblem? problem))
            return problem;
        if (other.Info is { } namesake)
            return new XenProblem(XenProblemKind.Guest, shown, $"domain {namesake.Id.Value} has its UUID already",
                "shut that down first, or give this guest a uuid= of its own");
        _isBegun = true;
        progress($"creating {shown}, paused");
        if (!tools.CreatePaused(configuration, uuid, cancellation).TryGet(out string? said, out problem))
            return problem;
        if (!Find().TryGet(out DomainInfo? info, out problem))
            return problem;
        if (cancellation.IsCancellationRequested)
            return Interrupted(shown, "");
        Boot boot = Boot.Of(scenario with { PageCount = info.TotalPages, Layout = DomainBuilderLog.LayoutOf(said) });
        Plan plan = boot.Plan;
        LiveMap map = LiveMap.Of(boot);
        if (map.RamPages < info.TotalPages)
        {
            return new XenProblem(
                XenProblemKind.Guest, shown, $"it has {info.TotalPages} pages, the map has RAM for {map.RamPages}",
                "its memory does not match its configuration; report this with xl -vvv's output");
        }

        if (plan.NeedsInstalling)
        {
            long result = xen.Calls.SetMemoryMap(info.Id, map.Map.AsSpan());
            if (result < 0)
                return XenProblem.Of(shown, "XENMEM_set_memory_map", result, "the guest was not started");
            progress($"installed the map of policy {plan.Policy}");
        }

        if (!OpenConsole(info.Id).TryGet(out ConsoleFollower? console, out problem))
            return problem;
        using (console)
        {
            if (cancellation.IsCancellationRequested)
                return Interrupted(shown, "");
            if (tools.Unpause(info.Id) is { } refusal)
                return refusal;
            progress("started; listening to its console");
            StartOutcome outcome = Follow(info.Id, plan.Guest, console, limit,
                plan.Bars.Count(static bar => bar.Kind is Pci.BarKind.Memory or Pci.BarKind.Rom), isDone);
            return new StartedGuest(info.Id, map, plan.NeedsInstalling, outcome, console.Text, console.ClaimsSeen(plan.Bars.Length));
        }
    }

    /// <summary>Destroys whatever domain carries the UUID, also one that xl makes again of a guest that ended. Null when nothing is left of
    /// it.</summary>
    public XenProblem? Destroy()
    {
        // Before its creation a domain with the UUID is somebody else's.
        if (!_isBegun || _isGone)
            return null;
        XenProblem? refusal = DestroyAll();
        _isGone = refusal is null;
        return refusal;
    }

    /// <summary>Whether the guest went while it was listened to, and not by an end of its own that was seen.</summary>
    public bool HasVanished { get; private set; }

    private XenProblem? DestroyAll()
    {
        var clock = Stopwatch.StartNew();
        bool hasGone = false;
        while (true)
        {
            if (!Live().TryGet(out LiveDomain? left, out XenProblem? problem))
                return problem;
            XenProblem? refusal = left.Info is { } info ? tools.Destroy(info.Id) : null;
            // One that comes back and is destroyed stays away: xl makes again only what ended by itself.
            if (!_mayReturn || (hasGone && left.Info is not null))
                return refusal;
            if (clock.Elapsed > s_return)
                return null;
            hasGone |= left.Info is null;
            Thread.Sleep(s_poll);
        }
    }

    private XenResult<DomainInfo> Find()
    {
        if (!Live().TryGet(out LiveDomain? found, out XenProblem? problem))
            return problem;
        return found.Info is { } info
            ? info
            : new XenProblem(XenProblemKind.Refused, "xl create", "succeeded, but there is no domain with the UUID it was given", "see xl list -v");
    }

    /// <summary>The domain with the UUID.</summary>
    private XenResult<LiveDomain> Live() => xen.Domains().TryGet(out IReadOnlyList<DomainInfo>? domains, out XenProblem? problem)
        ? new LiveDomain(domains.FirstOrDefault(domain => domain.Uuid == uuid && !domain.IsDying))
        : problem;

    private XenResult<ConsoleFollower> OpenConsole(DomainId id)
    {
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < s_consoleWait && !cancellation.IsCancellationRequested)
        {
            if (tools.ConsoleOf(id) is { } terminal)
                return GuestConsole.Open(terminal).TryGet(out Stream? stream, out XenProblem? problem) ? new ConsoleFollower(stream) : problem;
            cancellation.WaitHandle.WaitOne(s_poll);
        }

        return new XenProblem(XenProblemKind.Here, $"domain {id.Value}", "xenconsoled gives it no console (console/tty in xenstore)",
            "check that xenconsoled runs");
    }

    private StartOutcome Follow(DomainId id, GuestSpec guest, ConsoleFollower console, TimeSpan limit, int windowCount, Func<string, bool>? isDone)
    {
        var clock = Stopwatch.StartNew();
        TimeSpan? startedAt = null;
        while (clock.Elapsed < limit && !cancellation.IsCancellationRequested)
        {
            if (isDone?.Invoke(console.Text) == true)
                return StartOutcome.Booted;
            if (console is { SetupDone: true, Started: true })
            {
                startedAt ??= clock.Elapsed;
                if (windowCount == 0 || console.ClaimsSeen(windowCount) || clock.Elapsed - startedAt > s_claimWait)
                    return StartOutcome.Booted;
            }

            if (HasEnded(id, out DomainInfo? last))
            {
                _mayReturn = MayReturn(guest, last);
                HasVanished = last is null or { IsShutdown: false };
                cancellation.WaitHandle.WaitOne(s_drain);
                // One that shuts itself down has done what it was for; one that crashed has not.
                return console is { SetupDone: true, Started: true } && last is not { IsShutdown: true, ShutdownName: "crash" } ? StartOutcome.Booted
                    : StartOutcome.Died;
            }

            cancellation.WaitHandle.WaitOne(s_poll);
        }

        return !console.SetupDone ? StartOutcome.Silent : console.Started ? StartOutcome.Booted : StartOutcome.Stuck;
    }

    private bool HasEnded(DomainId id, out DomainInfo? last)
    {
        last = xen.Domain(id).TryGet(out DomainInfo? info, out _) && info.Uuid == uuid ? info : null;
        return last is null || last.IsDying || last.IsShutdown;
    }

    /// <summary>Whether xl makes a guest again that has ended like this: on_crash="restart" and the like; a reboot does by default.</summary>
    /// <param name="last">What was last seen of it; null where it was gone too soon.</param>
    internal static bool MayReturn(GuestSpec guest, DomainInfo? last)
    {
        // In the order of Xen's numbers for the reason; a suspended guest stays.
        GuestEnds[] ends = [GuestEnds.Poweroff, GuestEnds.Reboot, GuestEnds.None, GuestEnds.Crash, GuestEnds.Watchdog];
        return last is { IsShutdown: true, ShutdownReason: var reason }
            ? reason < ends.Length && (guest.RestartsAfter & ends[reason]) != GuestEnds.None
            : guest.RestartsAfter != GuestEnds.None;
    }

    private sealed record LiveDomain(DomainInfo? Info);
}
