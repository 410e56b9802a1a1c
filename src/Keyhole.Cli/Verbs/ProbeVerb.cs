// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.CommandLine;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Answers;
using Keyhole.Cli.Text;
using Keyhole.Diagnostics;
using Keyhole.Dom0;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.Probing;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole probe</c>: tries a guest's map from inside, with the probe kernel in the place of its own.</summary>
internal sealed class ProbeVerb
{
    private const string ImageName = "keyhole-probe.elf";
    private const int MaxConfigBytes = 1024 * 1024;

    /// <summary>What the probe takes (docs/probe.md); a word more would be passed over.</summary>
    private const int MaxRegisters = 16;

    /// <summary>One that does not lie on a multiple of its size may lie on two pages.</summary>
    private const int RegisterBytes = 4;

    private readonly Option<string> _path = new("--guest") { Description = "The guest's xl.cfg.", HelpName = "GUEST.cfg", Required = true };
    private readonly Option<bool> _realMap = new("--with-real-map") { Description = "On the map that xl itself installs." };
    private readonly Option<string?> _image = new("--image") { Description = $"The probe's image (default: {ImageName} beside this program).", HelpName = "FILE" };
    private readonly Option<string[]> _registers = new("--read") { Description = "A device's register to read through its BAR; may be repeated.", HelpName = "ADDRESS" };
    private readonly Option<bool> _json = JsonOption.Create();
    private readonly GuestInDom0 _guest;
    private readonly CommandConsole _console;

    private ProbeVerb(CommandConsole console)
    {
        _console = console;
        _guest = new(console);
    }

    public static Command Build(CommandConsole console)
    {
        var verb = new ProbeVerb(console);
        var command = new Command("probe", "Try a PV guest's map on this host with a kernel that looks at every page, in the guest's place. In dom0, as root.")
        {
            verb._path, verb._realMap, verb._image, verb._registers, verb._json,
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
            return _console.Fail(new InputError("--with-real-map", null, "xl's map and a policy's are two", "leave out --policy, or --with-real-map"));
        if (Words(parsed, out string words) is { } wordError)
            return _console.Fail(wordError);
        string image = Path.GetFullPath(parsed.GetValue(_image) ?? Path.Combine(AppContext.BaseDirectory, ImageName));
        if (!File.Exists(image) || !XlText.CanQuote(image))
            return _console.Fail(new InputError(Files.Shown(image), null, "the probe's image is not there", "eng/publish puts it beside the program; or build it (dotnet build -c Release src/Keyhole.Probe) and name it with --image"));
        if (_guest.Read(parsed, parsed.GetValue(_path)!, out int status) is not { } request)
            return status;
        if (request.Guest.OtherSettings.Any(static setting => setting.Key == "bootloader"))
            return _console.Fail(new InputError(Files.Shown(request.Path), null, "a bootloader chooses the guest's kernel", "give a copy of the file without bootloader="));
        if (new FileInfo(request.Path).Length > MaxConfigBytes)
            return _console.Fail(new InputError(Files.Shown(request.Path), null, "longer than an xl.cfg ever is", "check that this is the right file"));
        if (parsed.GetValue(_realMap))
            request = request with { Policy = null };
        if (!_console.Dom0.OpenXen().TryGet(out IXenControl? xen, out XenProblem? problem))
            return _console.Refuse(problem);
        using (xen)
        {
            return request.OnThisMachine(_console.Dom0, xen).TryGet(out Scenario? scenario, out problem)
                ? Try(parsed, request, Configuration(request, image, words), xen, Boot.Of(scenario))
                : _console.Refuse(problem);
        }
    }

    /// <summary>What the probe is told, but for the kernel that it is to set memory up like.</summary>
    private InputError? Words(ParseResult parsed, out string words)
    {
        var text = new StringBuilder();
        words = "";
        foreach (string register in parsed.GetValue(_registers) ?? [])
        {
            if (!register.StartsWith("0x", StringComparison.Ordinal) || !ulong.TryParse(register.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong address))
                return new("--read", null, $"{InputError.Quote(register)} is no address", "give it in hex: 0xfebc0008");
            if (address % RegisterBytes != 0)
                return new("--read", null, $"no register begins at {InputError.Quote(register)}", "give a multiple of 4: 0xfebc0008");
            text.Append(CultureInfo.InvariantCulture, $" bar=0x{address:x}");
        }

        words = text.ToString();
        return parsed.GetValue(_registers) is { Length: > MaxRegisters and var count }
            ? new("--read", null, string.Create(CultureInfo.InvariantCulture, $"{count} registers are more than a probe reads"), $"give at most {MaxRegisters}, and probe again for the others")
            : null;
    }

    /// <summary>
    /// The guest's xl.cfg with the probe in its kernel's place: later settings win. The name is another, so that the real guest may be there, and
    /// its disks and network stay with it: the probe has no drivers for them.
    /// </summary>
    private static string Configuration(GuestRequest request, string image, string words) => $"""
        {File.ReadAllText(request.Path)}

        name={new XlText(request.Guest.Name + "-probe", isQuoted: true, 0)}
        kernel={new XlText(image, isQuoted: true, 0)}
        ramdisk=""
        cmdline="kernel={KernelReleases.NameOf(request.Kernel)}{words}"
        disk=[]
        vif=[]
        vfb=[]
        on_poweroff="preserve"
        on_crash="preserve"

        """;

    private int Try(ParseResult parsed, GuestRequest request, string text, IXenControl xen, Boot boot)
    {
        Plan plan = boot.Plan;
        LiveMap own = LiveMap.Of(boot);
        // What its command line tells its kernel, mem= and the like, is not told to the probe, and what its settings say of its end is set aside.
        Scenario probes = plan.Scenario with { Guest = plan.Guest with { CommandLine = null, OtherSettings = [] } };
        using var interruption = new Interruption();
        var launcher = new GuestLauncher(xen, new DomainTools(_console.Dom0.Tools), Guid.NewGuid(), interruption.Token);
        string? folder = null;
        try
        {
            string configuration;
            try
            {
                // The folder is the user's alone: a configuration may hold passwords.
                folder = Directory.CreateTempSubdirectory("keyhole-probe-").FullName;
                configuration = Path.Combine(folder, "probe.cfg");
                File.WriteAllText(configuration, text);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                return _console.Fail(new InputError(Files.Shown(Path.GetTempPath()), null, exception.Message.ReplaceLineEndings(" ").TrimEnd('.'), "make room there, or name another folder in TMPDIR"));
            }

            XenResult<StartedGuest> started = launcher.Run(
                configuration, probes, request.Timeout, progress => _console.ErrorWriter.WriteLine($"keyhole: {progress}"), EndsWithVerdict);
            if (!started.TryGet(out StartedGuest? guest, out XenProblem? problem))
                return _console.Refuse(problem);
            ProbeReport? report = new();
            // A guest that dies or is not waited for any longer leaves half a line.
            string said = guest.Console[..(guest.Console.LastIndexOf('\n') + 1)];
            using var console = new MemoryStream(Encoding.Latin1.GetBytes(said));
            // A guest that dies before its first word is an answer, too.
            if (said.Contains(ProbeReportReader.Mark, StringComparison.Ordinal) && !ProbeReportReader.Read(console, "the probe's console").TryGet(out report, out InputError? error))
            {
                _console.Error(error.ToString());
                return ExitStatus.No;
            }

            bool isRunning = guest.Outcome != StartOutcome.Died && !EndsWithVerdict(said);
            var verdict = ProbeVerifier.Compare(guest.Map.Forecast, report, isRunning);
            ProbeOutcome outcome = own.Forecast.Boots && !own.HasErrors ? verdict.Answer : ProbeOutcome.Fails;
            Report(parsed, plan, own, report, verdict, outcome, isRunning);
            return outcome == ProbeOutcome.Works ? ExitStatus.Yes : ExitStatus.No;
        }
        finally
        {
            if (launcher.Destroy() is { } left)
                _console.Error($"{left}; the guest may be left over: xl list, xl destroy");
            if (folder is not null)
                Remove(folder);
        }
    }

    private void Remove(string folder)
    {
        try
        {
            Directory.Delete(folder, recursive: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _console.Error($"{Files.Shown(folder)}: cannot be removed; do so");
        }
    }

    private static bool EndsWithVerdict(string console) => console.Contains(ProbeReportReader.Mark + "verdict\"", StringComparison.Ordinal) && console.EndsWith('\n');

    /// <param name="own">The forecast for the guest's own kernel, which needs other room than the probe.</param>
    /// <param name="isRunning">Whether the probe was not waited for any longer.</param>
    private void Report(ParseResult parsed, Plan plan, LiveMap own, ProbeReport report, ProbeVerdict verdict, ProbeOutcome outcome, bool isRunning)
    {
        string text = outcome switch
        {
            ProbeOutcome.Works => "this layout works on this host",
            ProbeOutcome.Fails when verdict.Answer != ProbeOutcome.Fails => "this layout does not work: its own kernel is forecast to fail on it",
            ProbeOutcome.Fails => "this layout does not work on this host",
            ProbeOutcome.Unknown when isRunning => "the probe did not come to its end in the time given, and whether this map works is not known; give it more with --timeout",
            ProbeOutcome.Unknown => "the probe has come to its own limits; whether this map works is not known",
        };
        bool? works = outcome == ProbeOutcome.Unknown ? null : outcome == ProbeOutcome.Works;
        var answer = ProbeAnswer.Of(plan, own.Forecast, own.Problems, report, verdict, works, text);
        if (parsed.GetValue(_json))
            answer.WriteJson(_console.OutBytes);
        else
            ProbeText.Write(_console, answer, verdict.Answer);
    }
}
