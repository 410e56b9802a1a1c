// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.IO;
using Keyhole.Answers;
using Keyhole.Cli.Help;
using Keyhole.Cli.Options;
using Keyhole.Cli.Terminal;
using Keyhole.Cli.Text;
using Keyhole.Diagnostics;
using Keyhole.Dom0;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Platforms;
using Keyhole.Probing;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole probe</c>: tries a guest's map from inside, with the probe kernel in the place of its own.</summary>
internal sealed class ProbeVerb
{
    private const string ImageName = "keyhole-probe.elf";
    private readonly Option<bool> _realMap = new("--with-real-map") { Description = "On the map that xl itself installs." };
    private readonly Option<string?> _image = new("--image")
    {
        Description = $"The probe's image (default: {ImageName} beside this program).",
        HelpName = "FILE"
    };
    private readonly Option<string[]> _registers = new("--read")
    {
        Description = "A device's register to read through its BAR; may be repeated.",
        HelpName = "ADDRESS"
    };
    private readonly Option<bool> _json = JsonOption.Create();
    private readonly LaunchOptions _guest;
    private readonly CommandConsole _console;

    private ProbeVerb(CommandConsole console)
    {
        _console = console;
        _guest = new(console);
    }

    public static Command Build(CommandConsole console)
    {
        var verb = new ProbeVerb(console);
        var command = new Command("probe",
            "Try a PV guest's map on this host with a kernel that looks at every page, in the guest's place. In dom0, as root.")
        {
            verb._realMap, verb._image, verb._registers, verb._json,
        };
        verb._guest.AddTo(command);
        Examples.AddTo(command, console, """

            Examples:
              keyhole probe --guest guest.cfg                             the map of policy punch
              keyhole probe --guest guest.cfg --with-real-map             what xl itself would install
              keyhole probe --guest guest.cfg --read 0xfebc0008           and a register of its card
            """);
        command.SetAction(verb.Run);
        return command;
    }

    private int Run(ParseResult parsed)
    {
        if (parsed.GetValue(_realMap) && _guest.IsPolicyNamed(parsed))
            return _console.Fail(InputError.Conflict("--with-real-map", null, "xl's map and a policy's are two",
                "leave out --policy, or --with-real-map"));
        if (Registers(parsed, out ImmutableArray<ulong> registers) is { } registerError)
            return _console.Fail(registerError);
        string image = parsed.GetValue(_image) ?? Path.Combine(AppContext.BaseDirectory, ImageName);
        // An empty path has no full one.
        if (File.Exists(image))
            image = Path.GetFullPath(image);
        if (!File.Exists(image) || !XlText.CanQuote(image))
            return _console.Fail(InputError.NotFound(Files.Shown(image), null, "the probe's image is not there",
                "eng/publish puts it beside the program; or build it (dotnet build -c Release src/Keyhole.Probe) and name it with --image"));
        if (_guest.Read(parsed, out int status) is not { } request)
            return status;
        if (GuestProbe.WhyImpossible(request) is { } impossible)
            return _console.Fail(impossible);
        if (parsed.GetValue(_realMap))
            request = request with { Policy = null };
        if (!_console.Dom0.OpenXen().TryGet(out IXenControl? xen, out XenProblem? problem))
            return _console.Refuse(problem);
        using (xen)
        {
            if (!request.OnThisMachine(_console.Dom0, xen).TryGet(out Scenario? scenario, out problem))
                return _console.Refuse(problem);
            var boot = Boot.Of(scenario);
            using var interruption = new Interruption();
            XenResult<ProbeTrial> tried = new GuestProbe(_console.Dom0, xen, request, image, registers)
                .Try(boot, _console.Tell, _console.Error, interruption.Token);
            if (!tried.TryGet(out ProbeTrial? trial, out problem))
                return _console.Refuse(problem);
            Report(parsed, boot.Plan, trial);
            return trial.Outcome == ProbeOutcome.Works ? ExitStatus.Yes : ExitStatus.No;
        }
    }

    /// <summary>The registers that the probe is to read.</summary>
    private InputError? Registers(ParseResult parsed, out ImmutableArray<ulong> registers)
    {
        var read = ImmutableArray.CreateBuilder<ulong>();
        registers = [];
        foreach (string register in parsed.GetValue(_registers) ?? [])
        {
            if (!register.StartsWith("0x", StringComparison.Ordinal)
                || !ulong.TryParse(register.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong address))
            {
                return InputError.Malformed(_registers.Name, null, $"{InputError.Quote(register)} is not an address", "give it in hex: 0xfebc0008");
            }

            if (address % GuestProbe.RegisterBytes != 0)
                return InputError.OutOfRange(_registers.Name, null, $"no register begins at {InputError.Quote(register)}",
                    "give a multiple of 4: 0xfebc0008");
            read.Add(address);
        }

        registers = read.ToImmutable();
        return registers.Length > GuestProbe.MaxRegisters
            ? InputError.TooLarge(
                _registers.Name,
                null,
                $"{registers.Length} registers are more than a probe reads",
                $"give at most {GuestProbe.MaxRegisters}, and probe again for the others")
            : null;
    }

    private void Report(ParseResult parsed, Plan plan, ProbeTrial trial)
    {
        ProbeOutcome outcome = trial.Outcome;
        string text = outcome switch
        {
            ProbeOutcome.Works => "this layout works on this host",
            ProbeOutcome.Fails when trial.Verdict.Answer != ProbeOutcome.Fails =>
                "this layout does not work: its own kernel is forecast to fail on it",
            ProbeOutcome.Fails => "this layout does not work on this host",
            ProbeOutcome.Unknown when trial.IsRunning =>
                "the probe did not come to its end in the time given, and whether this map works is not known; give it more with --timeout",
            ProbeOutcome.Unknown => "the probe has come to its own limits; whether this map works is not known",
        };
        bool? works = outcome == ProbeOutcome.Unknown ? null : outcome == ProbeOutcome.Works;
        var answer = ProbeAnswer.Of(plan, trial.Own.Forecast, trial.Own.Problems, trial.Report, trial.Verdict, works, text, OptionWords.Of);
        _json.Give(parsed, _console, answer, to => ProbeText.Write(to, answer, trial.Verdict.Answer));
    }
}
