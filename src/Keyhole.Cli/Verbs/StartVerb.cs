// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.CommandLine;
using System.IO;
using System.Linq;
using Keyhole.Answers;
using Keyhole.Cli.Help;
using Keyhole.Cli.Options;
using Keyhole.Cli.Terminal;
using Keyhole.Cli.Text;
using Keyhole.Diagnostics;
using Keyhole.Dom0;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Planning;
using Keyhole.Platforms;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole start</c>: creates a guest, gives it a map on which it lives, and checks that it does.</summary>
internal sealed class StartVerb
{
    private readonly Option<bool> _keep = new("--keep") { Description = "Leave the guest there even if it fails." };
    private readonly Option<bool> _anyway = new("--anyway") { Description = "Start it even if the forecast says that it will not boot." };
    private readonly Option<bool> _json = JsonOption.Create();
    private readonly LaunchOptions _guest;
    private readonly CommandConsole _console;

    private StartVerb(CommandConsole console)
    {
        _console = console;
        _guest = new(console);
    }

    public static Command Build(CommandConsole console)
    {
        var verb = new StartVerb(console);
        var command = new Command("start",
            "Create a PV guest, give it a better memory map, start it, and check that it boots as forecast. In dom0, as root.")
        {
            verb._keep, verb._anyway, verb._json,
        };
        verb._guest.AddTo(command);
        Examples.AddTo(command, console, """

            Examples:
              keyhole start guest.cfg                       on the map of policy punch
              keyhole start guest.cfg --policy libxl        on libxl's own, checked all the same
              keyhole start guest.cfg --keep                leave it there for a look if it fails
            """);
        command.SetAction(verb.Run);
        return command;
    }

    private int Run(ParseResult parsed)
    {
        if (_guest.Read(parsed, out int status) is not { } request)
            return status;
        if (!_console.Dom0.OpenXen().TryGet(out IXenControl? xen, out XenProblem? problem))
            return _console.Refuse(problem);
        using (xen)
        {
            return request.OnThisMachine(_console.Dom0, xen).TryGet(out Scenario? scenario, out problem)
                ? Start(parsed, request, xen, Boot.Of(scenario)) : _console.Refuse(problem);
        }
    }

    private int Start(ParseResult parsed, GuestRequest request, IXenControl xen, Boot boot)
    {
        Plan plan = boot.Plan;
        var tools = new DomainTools(_console.Dom0.Tools, _console.Dom0.Root);
        string shown = $"guest {InputError.Quote(plan.Guest.Name)}";
        if (!tools.Look(plan.Guest.Name!).TryGet(out NamedDomain? found, out XenProblem? problem))
            return _console.Refuse(problem);
        if (found.Number is { } other)
            return _console.Refuse(new XenProblem(XenProblemKind.Guest, shown, $"there is a domain of that name already ({other.Id.Value})",
                "shut it down first, or take another name"));
        if (!plan.NeedsInstalling && new HookInstaller(_console.Dom0).IsInstalled(request.Path))
            return _console.Refuse(new XenProblem(XenProblemKind.Guest, shown,
                "its configuration names Keyhole's script, which gives it another map than libxl's while xl makes it",
                $"leave out --policy, or take the script out first: {Setting.InstallUndo}"));
        LiveMap before = LiveMap.Of(boot);
        if (plan.Entries.IsEmpty || (before.HasErrors && !parsed.GetValue(_anyway)))
        {
            Report(parsed, request.Path, plan, shown, before, null, null);
            return ExitStatus.No;
        }

        using var interruption = new Interruption();
        // A UUID of our own finds the domain again however far its creation has come.
        Guid? own = plan.Guest.Uuid;
        Guid uuid = own ?? Guid.NewGuid();
        FileStream? locked = null;
        if (own is not null && !GuestLock.Take(_console.Dom0.StateFolder, uuid, shown).TryGet(out locked, out problem))
            return _console.Refuse(problem);
        using FileStream? alone = locked;
        var launcher = new GuestLauncher(xen, tools, uuid, interruption.Token) { Keeps = parsed.GetValue(_keep) };
        bool succeeded = false;
        try
        {
            XenResult<StartedGuest> started =
                launcher.Run(request.Path, plan.Scenario, request.Timeout, _console.Tell);
            if (!started.TryGet(out StartedGuest? guest, out problem))
                return _console.Refuse(problem);
            var verdict = StartVerdict.Of(plan, guest, request.IsKernelNamed);
            succeeded = verdict.Succeeded;
            if (guest.IsInstalled && (succeeded || parsed.GetValue(_keep)))
                Remember(request, xen, guest, uuid);
            Report(parsed, request.Path, plan, shown, guest.Map, guest, verdict);
            return succeeded ? ExitStatus.Yes : ExitStatus.No;
        }
        finally
        {
            if (!succeeded && !launcher.Keeps && launcher.Destroy() is { } left)
                _console.Error($"{left.ToPhrase()}; the guest may be left over: xl list, xl destroy");
        }
    }

    /// <summary>As apply does: inspect tells the map, and not that libxl's is in force.</summary>
    private void Remember(GuestRequest request, IXenControl xen, StartedGuest guest, Guid uuid)
    {
        if (!(request with { Policy = null }).OnThisMachine(_console.Dom0, xen).TryGet(out Scenario? toolstacks, out _))
            return;
        var applied = new AppliedMap
        {
            Domain = guest.Id,
            Uuid = uuid,
            Policy = guest.Map.Policy,
            Installed = guest.Map.Map,
            Before = Planner.Plan(toolstacks).Map
        };
        if (new AppliedMapStore(_console.Dom0.StateFolder).Save(applied) is { } error)
            _console.Remark($"the map is not remembered for inspect: {error.ToPhrase()}");
    }

    /// <param name="verdict">Null where the guest was not started.</param>
    private void Report(ParseResult parsed, string path, Plan plan, string shown, LiveMap map, StartedGuest? guest, StartVerdict? verdict)
    {
        bool succeeded = verdict is { Succeeded: true };
        bool isKept = guest is not null && (succeeded || parsed.GetValue(_keep));
        bool isForgotten = isKept && guest is { IsInstalled: true } && !new HookInstaller(_console.Dom0).IsInstalled(path);
        var answer = new StartAnswer
        {
            Name = plan.Guest.Name!,
            Id = guest?.Id.Value,
            Policy = plan.Policy,
            E820 = PlannedEntryAnswer.AllOf(plan.Entries),
            RamBelow4GiBKiB = plan.RamBelow4GiBKiB,
            Forecast = LiveForecastAnswer.Of(verdict?.Forecast ?? map.Forecast,
                plan.Scenario.IsKernelAssumed && verdict?.Verification?.Boot.Kernel is null),
            Problems = ProblemAnswer.AllOf(map.Problems, OptionWords.Of),
            Outcome = guest is null ? "not-started" : NameOf(guest.Outcome),
            Agrees = verdict?.Verification is { Agrees: true },
            Differences = FindingAnswer.AllOf(verdict?.Verification?.Differences ?? []),
            Explanations = [.. (verdict?.Verification?.Explanations ?? []).Select(static text => text.Worded(OptionWords.Of))],
            Console = verdict?.Said ?? [],
            Kept = isKept,
            Verdict = StartText.Words(verdict),
            Remark = isForgotten
                ? $"at its next reboot the guest is on libxl's own map again: keyhole install {Line(path, parsed)} makes this one last" : null,
            Succeeded = succeeded,
        };
        _json.Give(parsed, _console, answer, to => StartText.Write(to, answer, shown));
    }

    /// <summary>What to type behind "keyhole install", so that the map is the same.</summary>
    private string Line(string path, ParseResult parsed) => string.Join(' ', _guest.MapWords(parsed).Select(ShellWord).Prepend(ShellWord(path)));

    private static string ShellWord(string word) => Files.Shown(word) != word ? Files.Shown(word)
        : word.All(static c => char.IsAsciiLetterOrDigit(c) || c is '/' or '.' or '_' or '-' or '+' or ':' or ',' or '=' or '@' or '%') ? word
        : HotplugScript.Quote(word);

    private static string NameOf(StartOutcome outcome) => outcome switch
    {
        StartOutcome.Booted => "booted",
        StartOutcome.Died => "died",
        StartOutcome.Stuck => "stuck",
        StartOutcome.Silent => "silent",
    };
}
