// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.IO;
using System.Linq;
using Keyhole.Answers;
using Keyhole.Captures;
using Keyhole.Cli.Help;
using Keyhole.Cli.Options;
using Keyhole.Cli.Terminal;
using Keyhole.Cli.Text;
using Keyhole.Diagnostics;
using Keyhole.Dom0;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole apply</c>: gives a paused guest that has never run a better map, and takes it back.</summary>
internal sealed class ApplyVerb
{
    private readonly Argument<string?> _domain = new("DOMAIN")
    {
        Description =
            "The domain's name or number. Without it the one whose hotplug script this is run by (XENBUS_PATH), else the one that --guest names.",
        Arity = ArgumentArity.ZeroOrOne,
    };
    private readonly Option<string?> _guest = GuestFileOption.Guest(
        "The xl.cfg that the domain is made from: needed while xl is still building it, as in a hotplug script, and tells what xl list -l does not.",
        "GUEST.cfg");
    private readonly PolicyOption _policy = new("punch");
    private readonly KernelSource _kernel = new();
    private readonly HostSource _host = new();
    private readonly Option<string?> _map = GuestFileOption.Map(
        "Install the map in this file instead of planning one: lines of START END TYPE, of a guest's kernel or of 'xl -vvv create', or plan's JSON. "
            + "A file after --map is the old way to say so.",
        "FILE");
    private readonly Option<bool> _dryRun = ChangeOption.DryRun();
    private readonly Option<bool> _undo = ChangeOption.Undo("Put back what libxl had installed.");
    private readonly Option<bool> _json = JsonOption.Create();
    private readonly CommandConsole _console;
    private readonly AppliedMapStore _store;

    private ApplyVerb(CommandConsole console)
    {
        _console = console;
        _store = new(console.Dom0.StateFolder);
    }

    public static Command Build(CommandConsole console)
    {
        var verb = new ApplyVerb(console);
        var command = new Command("apply",
            "Give a PV guest that has never run another memory map: a paused one, or one that xl is building. In dom0, as root.") { verb._domain,
                verb._guest, verb._map, verb._dryRun, verb._undo, verb._json };
        verb._policy.AddTo(command);
        verb._kernel.AddTo(command);
        verb._host.AddTo(command);
        Examples.AddTo(command, console, """

            Examples:
              xl create -p guest.cfg && keyhole apply guest && xl unpause guest
              keyhole apply guest --dry-run                 what would change
              keyhole apply guest --guest-map map.txt       a map of your own: lines of START END TYPE
              keyhole apply guest --undo                    libxl's map again
              keyhole apply --guest /etc/xen/guest.cfg      in a hotplug script: what install writes
            """);
        command.SetAction(verb.Run);
        return command;
    }

    private int Run(ParseResult parsed)
    {
        string? guestMap = parsed.GetValue(_map) ?? _host.FileInMap(parsed);
        if (parsed.GetValue(_undo) && guestMap is not null)
            return _console.Fail(InputError.Conflict("--undo", null, "it puts libxl's map back, not one of yours", "leave out --guest-map"));
        if (!_policy.Read(parsed).TryGet(out PolicyChoice? choice, out InputError? error))
            return _console.Fail(error);
        ImmutableArray<E820Entry>? given = null;
        if (guestMap is { } path)
        {
            if (!Files.Read<GuestMap>(_console, path, "a guest's map", GuestMapReader.Read).TryGet(out GuestMap? read, out error))
                return _console.Fail(error);
            foreach (string remark in read.Remarks)
                _console.Remark($"{Files.Shown(path)}: {remark}");
            if (read.Missing is not null)
                return _console.Fail(PartOfAMap(path));
            given = read.Entries;
        }

        if (ReadGuest(parsed, out GuestSpec? file) is { } unread)
            return _console.Fail(unread);
        if (!_console.Dom0.OpenXen().TryGet(out IXenControl? xen, out XenProblem? problem))
            return _console.Refuse(problem);
        using (xen)
        {
            if (!Find(parsed, xen, file).TryGet(out LiveGuest? guest, out problem))
                return _console.Refuse(problem);
            // In a hotplug script the guest is being built, or runs and gets one more device: then it has its map.
            bool isHotplug = _console.Dom0.Hotplug?.Guest == guest.Info.Id;
            if (isHotplug && guest.Info.HasRun)
                return LeaveAlone(parsed, guest);
            if (guest.WhyNoMap() is { } refusal)
                return _console.Refuse(refusal);
            // What is remembered must stay what is installed.
            FileStream? locked = null;
            if (!parsed.GetValue(_dryRun) && !Lock(guest, isHotplug).TryGet(out locked, out problem))
                return _console.Refuse(problem);
            using FileStream? alone = locked;
            if (!_store.Load(guest.Info.Id, guest.Info.Uuid).TryGet(out AppliedMapState? state, out problem))
                return _console.Refuse(problem);
            if (parsed.GetValue(_undo))
                return Undo(parsed, xen, guest, state.Applied);
            if (!new MachineCapture(_console.Dom0).ReadMachineMap(xen).TryGet(out Host? machine, out problem))
                return _console.Refuse(problem);
            if (guest.Spec is not { } spec || guest.ToolstackPlan(machine) is not { } before)
                return _console.Refuse(guest.No("the toolstack does not say how it was made (xl list -l), so its map could not be put back",
                    $"name its xl.cfg with {Setting.Guest}, or create it with xl or libvirt"));
            Host host = machine;
            if (_host.IsNamed(parsed))
            {
                if (!_host.Read(parsed, _console, isMapFile: true).TryGet(out HostDocument? named, out error))
                    return _console.Fail(error);
                // What is lost may be a device's place, and the guest would have RAM there.
                if (named.Host.HasLostEntries)
                    return _console.Fail(PartOfAMap(named.Description));
                host = named.Host;
            }

            if (!_kernel.Read(parsed, _console, KernelReleases.Default, spec, isHere: false).TryGet(out KernelChoice? kernel, out error))
                return _console.Fail(error);
            LiveMap map = LiveMap.Of(Boot.Of(new Scenario
            {
                Host = host,
                Guest = spec with { E820Host = true, Toolstack = guest.Toolstack },
                Policy = given is { } entries ? new GivenMapPolicy(entries) : choice.Policy,
                Kernel = kernel.Release,
                IsKernelAssumed = !kernel.IsNamed,
                Image = kernel.Image,
                PageCount = guest.Info.TotalPages,
            }));
            return Apply(parsed, xen, new(guest, state.Applied, before, map, IsGiven: given is not null));
        }
    }

    private static InputError PartOfAMap(string source) => InputError.NotSupported(
        Files.Shown(source), null, "a part of the map is missing: what is installed has to be whole",
        "give the whole log, or another source of the map");

    private InputError? ReadGuest(ParseResult parsed, out GuestSpec? file)
    {
        file = null;
        if (parsed.GetValue(_guest) is not { } path)
        {
            return parsed.GetValue(_domain) is null && _console.Dom0.Hotplug is null
                ? InputError.Missing("the domain", null, "none is named", "give its name or number, or its xl.cfg with --guest")
                : null;
        }

        if (!Files.Read(_console, path, "the guest's xl.cfg", GuestReader.Read).TryGet(out GuestDocument? document, out InputError? error))
            return error;
        file = document.Guest;
        string source = Files.Shown(path);
        if (document.WhyNotActedOn(source) is { } amidText)
            return amidText;
        if (!Planner.PlatformOf(file).Traits.TakesPolicies)
            return InputError.NotSupported(source, null,
                $"the guest is not a PV guest: {GuestReview.WhyNoOtherMap(file.Type)}",
                GuestReview.InsteadOfAnotherMap(file.Type, file.Toolstack));
        return file.Name is null && parsed.GetValue(_domain) is null && _console.Dom0.Hotplug is null
            ? InputError.Missing(source, null, "the guest has no name", "set name=\"…\", or name the domain")
            : null;
    }

    private XenResult<LiveGuest> Find(ParseResult parsed, IXenControl xen, GuestSpec? file)
    {
        var tools = new DomainTools(_console.Dom0.Tools, _console.Dom0.Root);
        string? named = parsed.GetValue(_domain);
        if (file is null)
            return LiveGuest.Find(xen, tools, named ?? _console.Dom0.Hotplug!.Guest.Value.ToString(CultureInfo.InvariantCulture));
        if (named is null && _console.Dom0.Hotplug is { } device)
            return LiveGuest.Find(xen, tools, device.Guest, file);
        return (named is null ? tools.Named(file.Name!) : tools.Find(named)).TryGet(out DomainNumber? number, out XenProblem? problem)
            ? LiveGuest.Find(xen, tools, number.Id, file)
            : problem;
    }

    private XenResult<FileStream> Lock(LiveGuest guest, bool isHotplug) => isHotplug
        ? GuestLock.AwaitInHotplug(_console.Dom0.StateFolder, guest.Info.Uuid, guest.Shown)
        : GuestLock.Take(_console.Dom0.StateFolder, guest.Info.Uuid, guest.Shown);

    /// <summary>A guest that runs keeps its map, and its device is plugged in all the same.</summary>
    private int LeaveAlone(ParseResult parsed, LiveGuest guest)
    {
        if (!_store.Load(guest.Info.Id, guest.Info.Uuid).TryGet(out AppliedMapState? state, out XenProblem? problem))
            return _console.Refuse(problem);
        var answer = new ApplyAnswer
        {
            Id = guest.Info.Id.Value,
            Name = guest.Name,
            Policy = state.Applied?.Policy ?? "libxl",
            Installed = false,
            Old = EntryAnswer.AllOf(state.Applied?.Installed ?? []),
            New = [],
        };
        return _json.Give(parsed, _console, answer, to => to.Ansi.WriteLine($"{guest.Shown} runs, and keeps the map that it started on"));
    }

    private int Apply(ParseResult parsed, IXenControl xen, Change change)
    {
        LiveMap map = change.Map;
        ulong pages = change.Guest.Info.TotalPages;
        if (!change.IsGiven && !map.Entries.IsEmpty && map.RamPages < pages)
        {
            return _console.Refuse(change.Guest.No(
                string.Create(CultureInfo.InvariantCulture, $"it has {pages} pages, the map has RAM for {map.RamPages}"),
                "its memory does not match its configuration; create it again"));
        }

        bool isDryRun = parsed.GetValue(_dryRun);
        // A map of one's own may be meant to fail; a planned one may not.
        bool isRefused = map.Entries.IsEmpty || (!change.IsGiven && map.HasErrors);
        bool isInstalled = !isDryRun && !isRefused;
        if (isInstalled)
            _store.ForgetDead(xen);
        if (isInstalled && new MapInstaller(xen, _store).Install(change.Guest, change.Remembered, change.Old, map) is { } failure)
            return _console.Refuse(failure);
        var answer = new ApplyAnswer
        {
            Id = change.Guest.Info.Id.Value,
            Name = change.Guest.Name,
            Policy = map.Policy,
            Installed = isInstalled,
            Old = EntryAnswer.AllOf(change.Old),
            New = [.. map.Entries.Select(static planned => new NewEntryAnswer(planned.Entry.Address, planned.Entry.End, planned.Entry.Type,
                planned.Why))],
            Forecast = LiveForecastAnswer.Of(map.Forecast, map.IsKernelAssumed),
            Problems = ProblemAnswer.AllOf(map.Problems, OptionWords.Of),
            IsRefused = isRefused,
        };
        return _json.Give(parsed, _console, answer, to => ApplyText.Write(to, answer, change.Guest.Shown, change.Remembered?.Policy, isDryRun));
    }

    private int Undo(ParseResult parsed, IXenControl xen, LiveGuest guest, AppliedMap? applied)
    {
        if (applied is null)
            return _console.Refuse(guest.No("Keyhole has given it no map", "there is nothing to undo"));
        bool isDryRun = parsed.GetValue(_dryRun);
        if (!isDryRun && new MapInstaller(xen, _store).Undo(guest, applied) is { } failure)
            return _console.Refuse(failure);

        var answer = new ApplyAnswer
        {
            Id = guest.Info.Id.Value,
            Policy = "libxl",
            Installed = !isDryRun,
            Old = EntryAnswer.AllOf(applied.Installed),
            New = [.. applied.Before.Select(static entry => new NewEntryAnswer(entry.Address, entry.End, entry.Type, null))],
        };
        return _json.Give(parsed, _console, answer, to => ApplyText.WriteUndone(to, answer, guest.Shown, applied.Policy));
    }

    private sealed record Change(LiveGuest Guest, AppliedMap? Remembered, Plan Toolstack, LiveMap Map, bool IsGiven)
    {
        public ImmutableArray<E820Entry> Old => Remembered?.Installed ?? Toolstack.Map;
    }
}
