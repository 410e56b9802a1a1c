// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.CommandLine;
using System.CommandLine.Completions;
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
using Keyhole.Logs;
using Keyhole.Platforms;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole install</c>: makes a guest's map last, across reboots and autostart.</summary>
internal sealed class InstallVerb
{
    private const string Stop = "stop";
    private const string Libxl = "libxl";
    private const string IsThereText = "the guest is there";

    private readonly Option<string?> _orElse = new("--or-else")
    {
        Description =
            "What becomes of the guest where it cannot be given the map: stop (it is not started) or libxl (it starts on libxl's own map). "
                + "Default: stop where it would not boot on libxl's map, else libxl.",
        HelpName = "stop|libxl",
    };
    private readonly Option<bool> _undo = ChangeOption.Undo("Take it out of the configuration again.");
    private readonly Option<bool> _dryRun = ChangeOption.DryRun();
    private readonly Option<bool> _json = JsonOption.Create();
    private readonly LaunchOptions _guest;
    private readonly CommandConsole _console;

    private InstallVerb(CommandConsole console)
    {
        _console = console;
        _guest = new(console);
        _orElse.CompletionSources.Add(static _ => [new CompletionItem(Stop), new CompletionItem(Libxl)]);
    }

    public static Command Build(CommandConsole console)
    {
        var verb = new InstallVerb(console);
        var command = new Command("install",
            "Make a PV guest's better memory map last: every start and reboot by xl gives it the map. In dom0, as root.")
        {
            verb._orElse, verb._undo, verb._dryRun, verb._json,
        };
        verb._guest.AddTo(command, isWaiting: false);
        Examples.AddTo(command, console, """

            Examples:
              keyhole install /etc/xen/guest.cfg --dry-run      what would be changed
              keyhole install /etc/xen/guest.cfg                the map of policy punch from its next start on
              keyhole install /etc/xen/guest.cfg --undo         the configuration as it was, byte for byte
            """);
        command.SetAction(verb.Run);
        return command;
    }

    private int Run(ParseResult parsed)
    {
        if (_guest.ReadPath(parsed, out string path) is { } unnamed)
            return _console.Fail(unnamed);
        OrElse? orElse = parsed.GetValue(_orElse) switch
        {
            Stop => OrElse.Stop,
            Libxl => OrElse.Libxl,
            _ => null,
        };
        if (orElse is null && parsed.GetValue(_orElse) is { } other)
            return _console.Fail(InputError.UnknownWord("--or-else", null, $"{InputError.Quote(other)} is nothing that can be done",
                "take stop or libxl"));
        if (parsed.GetValue(_undo))
            return Undo(parsed, path);
        if (_guest.Read(parsed, out int status) is not { } request)
            return status;
        if (request.Policy is null or { Traits.IsToolstacksOwn: true })
            return _console.Fail(InputError.Conflict("--policy", null, "libxl makes its own map by itself",
                "take another policy, or --undo to go back to libxl's"));
        if (!_console.Dom0.OpenXen().TryGet(out IXenControl? xen, out XenProblem? problem))
            return _console.Refuse(problem);
        using (xen)
        {
            if (!request.OnThisMachine(_console.Dom0, xen).TryGet(out Scenario? scenario, out problem))
                return _console.Refuse(problem);
            Boot boot = Boot.Of(scenario);
            bool boots = IsFine(boot);
            bool bootsOnLibxls = (request with { Policy = null }).OnThisMachine(_console.Dom0, xen).TryGet(out Scenario? toolstacks, out _)
                && IsFine(Boot.Of(toolstacks));
            OrElse chosen = orElse ?? (bootsOnLibxls ? OrElse.Libxl : OrElse.Stop);
            var installer = new HookInstaller(_console.Dom0);
            FileStream? locked = null;
            if (!parsed.GetValue(_dryRun) && !installer.Lock(path).TryGet(out locked, out problem))
                return _console.Refuse(problem);
            using FileStream? alone = locked;
            if (!installer.Plan(request.Path, request.Guest.Name!, boot.Plan.Policy, ["apply", "--guest"], Options(parsed, request, scenario), chosen)
                .TryGet(out HookPlan? plan, out problem))
                return _console.Refuse(problem);
            bool isInstalled = boots && !parsed.GetValue(_dryRun);
            if (isInstalled && installer.Install(plan) is { } failure)
                return _console.Refuse(failure);
            return Answer(parsed, new()
            {
                Name = request.Guest.Name!,
                Config = plan.File.Path,
                Policy = boot.Plan.Policy,
                OrElse = chosen == OrElse.Stop ? Stop : Libxl,
                Installed = isInstalled,
                Undone = false,
                Scripts = ScriptsOf(plan.Record),
                Changes = ChangesOf(plan.Change),
                Copy = isInstalled ? plan.Copy : null,
                Forecast = LiveForecastAnswer.Of(boot.Forecast!, boot.Plan.Scenario.IsKernelAssumed),
                Problems = ProblemAnswer.AllOf(boot.Problems, OptionWords.Of),
                Remarks = MayBeThere(request.Guest.Name!) is { } there
                    ? [$"{there}, and xl makes it again at a reboot from what it remembers: shut it down and create it again to give it the map"]
                    : [],
                IsRefused = !boots,
            });
        }
    }

    private int Undo(ParseResult parsed, string path)
    {
        var installer = new HookInstaller(_console.Dom0);
        FileStream? locked = null;
        if (!parsed.GetValue(_dryRun) && !installer.Lock(path).TryGet(out locked, out XenProblem? problem))
            return _console.Refuse(problem);
        using FileStream? alone = locked;
        if (!installer.PlanUndo(path).TryGet(out HookUndo? undo, out problem))
            return _console.Refuse(problem);
        bool isUndone = !parsed.GetValue(_dryRun);
        var tools = new DomainTools(_console.Dom0.Tools, _console.Dom0.Root);
        // Its name may be another one by now.
        string? mayBeThere = undo.Record.Scripts.Any(script => tools.IsRemembered(script.Path)) ? IsThereText : MayBeThere(undo.Record.Guest);
        if (isUndone && installer.Undo(undo, isRunning: mayBeThere is not null) is { } failure)
            return _console.Refuse(failure);
        List<string> remarks = mayBeThere is null ? [] : [$"{mayBeThere}, and xl remembers the script it was made with: it is kept, and does nothing "
            + "but run the guest's own; remove its folder after the guest is shut down"];
        if (!undo.IsWhole)
            remarks.Insert(0, "the file was changed since Keyhole's script was installed: those changes stay");
        return Answer(parsed, new()
        {
            Name = undo.Record.Guest,
            Config = undo.File.Path,
            Policy = undo.Record.Policy,
            Installed = !isUndone,
            Undone = isUndone,
            Scripts = ScriptsOf(undo.Record),
            Changes = ChangesOf(undo.Change),
            Problems = [],
            Remarks = [.. remarks],
        });
    }

    private int Answer(ParseResult parsed, InstallAnswer answer)
    {
        return _json.Give(parsed, _console, answer, to => InstallText.Write(to, answer, parsed.GetValue(_dryRun)));
    }

    /// <summary>
    /// What apply is told in the script. The release in place of the image, which takes seconds to unpack where a guest is to start; the image only
    /// where the forecast hangs on where it ends.
    /// </summary>
    private ImmutableArray<string> Options(ParseResult parsed, GuestRequest request, Scenario scenario)
    {
        ImmutableArray<string> options = _guest.PolicyWords(parsed);
        if (request.Image is not null && !IsFine(Boot.Of(scenario with { Image = null })) && request.Guest.Kernel is { } kernel)
            return [.. options, "--kernel-image", Path.GetFullPath(kernel)];
        return [.. options, "--kernel", KernelReleases.NameOf(request.Kernel)];
    }

    private static bool IsFine(Boot boot) => !boot.Plan.Entries.IsEmpty && !LiveMap.Of(boot).HasErrors;

    /// <summary>What is said of the guest where it is there, or where xl does not tell; null where it is not.</summary>
    private string? MayBeThere(string guest) =>
        !new DomainTools(_console.Dom0.Tools, _console.Dom0.Root).Look(guest).TryGet(out NamedDomain? found, out XenProblem? problem)
            ? $"the guest may be there ({problem.Subject}: {problem.What})"
            : found.Number is null ? null : IsThereText;

    private static ImmutableArray<InstalledScriptAnswer> ScriptsOf(InstallRecord record) =>
        [.. record.Scripts.Select(static script => new InstalledScriptAnswer(script.Path, script.Own))];

    private static ImmutableArray<LineChangeAnswer> ChangesOf(HotplugChange change) =>
        [.. change.Lines.Select(static line => new LineChangeAnswer(line.Line, line.Before, line.After))];
}
