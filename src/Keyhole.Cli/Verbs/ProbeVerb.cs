// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.CommandLine;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.HolePolicies;
using Keyhole.Hosts;
using Keyhole.Planning;
using Keyhole.Probing;
using Keyhole.PvGuest;
using Keyhole.Reading;
using Keyhole.Verification;
using Keyhole.Xen;
using Spectre.Console;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole probe</c>: tries a guest's map from inside, with the probe kernel in the place of its own.</summary>
internal sealed class ProbeVerb
{
    private const string ImageName = "keyhole-probe.elf";
    private const int DefaultTimeoutSeconds = 120;
    private const int MaxConfigBytes = 1024 * 1024;

    private readonly Option<string> _guest = new("--guest") { Description = "The guest's xl.cfg.", HelpName = "GUEST.cfg", Required = true };
    private readonly PolicyOption _policy = new("punch");
    private readonly KernelOption _kernel = new();
    private readonly Option<bool> _realMap = new("--with-real-map") { Description = "On the map that xl itself installs." };
    private readonly Option<string?> _image = new("--image") { Description = $"The probe's image (default: {ImageName} beside this program).", HelpName = "FILE" };
    private readonly Option<string[]> _bars = new("--read") { Description = "A device's register to read through its BAR; may be repeated.", HelpName = "ADDRESS" };
    private readonly Option<int> _timeout = new("--timeout")
    {
        Description = $"Seconds to wait for the report (default {DefaultTimeoutSeconds}).",
        HelpName = "S",
        DefaultValueFactory = static _ => DefaultTimeoutSeconds,
    };

    private readonly Option<bool> _json = new("--json") { Description = "One JSON document on standard output." };
    private readonly CommandConsole _console;

    private ProbeVerb(CommandConsole console) => _console = console;

    public static Command Build(CommandConsole console)
    {
        var verb = new ProbeVerb(console);
        var command = new Command("probe", "Try a PV guest's map on this host with a kernel that looks at every page, in the guest's place. In dom0, as root.")
        {
            verb._guest, verb._realMap, verb._image, verb._bars, verb._timeout, verb._json,
        };
        verb._policy.AddTo(command);
        verb._kernel.AddTo(command);
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
        string path = parsed.GetValue(_guest)!;
        IHolePolicy policy = new LibxlPolicy();
        if (!parsed.GetValue(_realMap))
        {
            if (!_policy.Read(parsed).TryGet(out PolicyChoice? choice, out InputError? policyError))
                return _console.Fail(policyError);
            policy = choice.Policy;
        }

        if (_kernel.Read(parsed, KernelVersions.Default, out KernelVersion kernel) is { } kernelError)
            return _console.Fail(kernelError);
        if (parsed.GetValue(_timeout) is <= 0 or > 86400)
            return _console.Fail(new InputError("--timeout", null, "this is no time to wait", "give 1 to 86400 seconds"));
        if (Words(parsed, kernel, out string words) is { } wordError)
            return _console.Fail(wordError);
        string image = Path.GetFullPath(parsed.GetValue(_image) ?? Path.Combine(AppContext.BaseDirectory, ImageName));
        if (!File.Exists(image))
            return _console.Fail(new InputError(Files.Shown(image), null, "the probe's image is not there", "build it (dotnet build -c Release src/Keyhole.Probe) and name it with --image"));
        if (!Files.Read(_console, path, "an xl.cfg", GuestReader.Read).TryGet(out GuestSpec? spec, out InputError? error))
            return _console.Fail(error);
        if (WhyNot(path, spec) is { } refusal)
            return _console.Fail(refusal);
        if (!_console.Dom0.OpenXen().TryGet(out IXenControl? xen, out XenProblem? problem))
            return _console.Refuse(problem);
        using (xen)
        {
            if (!new MachineCapture(_console.Dom0).ReadMachineMap(xen).TryGet(out HostMemoryMap? machine, out problem))
                return _console.Refuse(problem);
            MapPlan plan = Planner.Plan(machine, policy.Name == "libxl" ? spec : spec with { E820Host = true }, policy, []);
            return Try(parsed, path, image, words, xen, plan, kernel);
        }
    }

    private static InputError? WhyNot(string path, GuestSpec spec)
    {
        string source = Files.Shown(path);
        if (path == "-" || spec.LibvirtXml is not null)
            return new(source, null, "xl starts guests from an xl.cfg in a file", "write one: keyhole plan --guest FILE --emit xl");
        if (spec.Type != GuestType.Pv)
            return new(source, null, "the guest is no PV guest: its map lies in its own firmware", "set type=\"pv\"");
        if (spec.OtherSettings.Any(static setting => setting.Key == "bootloader"))
            return new(source, null, "a bootloader chooses the guest's kernel", "give a copy of the file without bootloader=");
        return spec.Name is null ? new(source, null, "the guest has no name", "set name=\"…\"") : null;
    }

    /// <summary>What the probe is told.</summary>
    private InputError? Words(ParseResult parsed, KernelVersion kernel, out string words)
    {
        var text = new StringBuilder("kernel=").Append(KernelVersions.NameOf(kernel));
        words = "";
        foreach (string register in parsed.GetValue(_bars) ?? [])
        {
            if (!register.StartsWith("0x", StringComparison.Ordinal) || !ulong.TryParse(register.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong address))
                return new("--read", null, $"{InputError.Quote(register)} is no address", "give it in hex: 0xfebc0008");
            text.Append(CultureInfo.InvariantCulture, $" bar=0x{address:x}");
        }

        words = text.ToString();
        return null;
    }

    private int Try(ParseResult parsed, string path, string image, string words, IXenControl xen, MapPlan plan, KernelVersion kernel)
    {
        var tools = new DomainTools(_console.Dom0.Tools);
        using var interruption = new CancellationTokenSource();
        using PosixSignalRegistration interrupt = On(PosixSignal.SIGINT, interruption);
        using PosixSignalRegistration terminate = On(PosixSignal.SIGTERM, interruption);
        using PosixSignalRegistration hangUp = On(PosixSignal.SIGHUP, interruption);
        var uuid = Guid.NewGuid();
        var launcher = new GuestLauncher(xen, tools, uuid, interruption.Token);
        string folder = Directory.CreateTempSubdirectory("keyhole-probe-").FullName;
        try
        {
            string configuration = Path.Combine(folder, "probe.cfg");
            if (new FileInfo(path).Length > MaxConfigBytes)
                return _console.Fail(new InputError(Files.Shown(path), null, "longer than an xl.cfg ever is", "check that this is the right file"));
            File.WriteAllText(configuration, File.ReadAllText(path) + Overrides(plan.Guest.Name!, image, words));
            XenResult<StartedGuest> started = launcher.Run(
                configuration,
                plan,
                kernel,
                TimeSpan.FromSeconds(parsed.GetValue(_timeout)),
                text => _console.ErrorWriter.WriteLine($"keyhole: {text}"),
                static console => console.Contains("{\"keyhole\":\"verdict\"", StringComparison.Ordinal) && console.EndsWith('\n'));
            if (!started.TryGet(out StartedGuest? guest, out XenProblem? problem))
                return _console.Refuse(problem);
            using var text = new MemoryStream(Encoding.Latin1.GetBytes(guest.Console));
            if (!ProbeReportReader.Read(text, "the probe's console").TryGet(out ProbeReport? report, out InputError? error))
            {
                _console.Error(error.ToString());
                return ExitStatus.No;
            }

            var verdict = ProbeVerifier.Compare(guest.Map.Forecast, report);
            Report(parsed, plan, report, verdict);
            return verdict.Works ? ExitStatus.Yes : ExitStatus.No;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
            if (launcher.Destroy() is { } left)
                _console.Error($"{left}; the guest may be left over: xl list, xl destroy");
        }
    }

    /// <summary>Later settings win in an xl.cfg. The name is another, so that the real guest may be there.</summary>
    private static string Overrides(string name, string image, string words) => $"""


        name="{name}-probe"
        kernel="{image}"
        ramdisk=""
        cmdline="{words}"
        on_poweroff="preserve"
        on_crash="preserve"

        """;

    private static PosixSignalRegistration On(PosixSignal signal, CancellationTokenSource interruption) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        interruption.Cancel();
    });

    private void Report(ParseResult parsed, MapPlan plan, ProbeReport report, ProbeVerdict verdict)
    {
        string text = verdict.Works ? "this layout works on this host" : "this layout does not work on this host";
        if (parsed.GetValue(_json))
        {
            JsonText.Write(_console, writer =>
            {
                writer.WriteString("name", plan.Guest.Name);
                writer.WriteString("policy", plan.Policy);
                LiveMap.WriteEntries(writer, "e820", plan.Entries);
                writer.WriteBoolean("works", verdict.Works);
                writer.WriteString("verdict", text);
                writer.WriteNumber("nrPages", report.PageCount);
                writer.WriteNumber("releasedPages", report.ReleasedPages);
                writer.WriteNumber("remappedPages", report.RemappedPages);
                writer.WriteNumber("populatedPages", report.PopulatedPages);
                VerifyVerb.WriteFindings(writer, "differences", verdict.Differences);
                writer.WriteStartObject("hypercalls");
                foreach ((string name, ulong count) in report.Hypercalls)
                    writer.WriteNumber(name, count);
                writer.WriteEndObject();
                writer.WriteStartArray("checks");
                foreach (ProbeCheck check in report.Checks)
                {
                    writer.WriteStartObject();
                    writer.WriteString("name", check.Name);
                    writer.WriteBoolean("passed", check.Passed);
                    writer.WriteString("details", check.Describe());
                    writer.WriteEndObject();
                }

                writer.WriteEndArray();
            });
            return;
        }

        _console.Ansi.WriteLine($"policy: {plan.Policy}");
        MapView.WriteEntries(_console, plan.Entries);
        _console.Ansi.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{report.PageCount} pages: {report.ReleasedPages} released, {report.RemappedPages} remapped, {report.PopulatedPages} populated"));
        foreach (ProbeCheck check in report.Checks)
            _console.Ansi.WriteLine($"  {(check.Passed ? "passed" : "FAILED")} {check.Name}: {check.Describe()}");
        foreach (Finding difference in verdict.Differences)
            _console.Ansi.WriteLine($"differs: {difference.What}: forecast {difference.Forecast ?? "none"}, seen {difference.Observed ?? "none"}");
        _console.Ansi.Write(new Text(verdict.Works ? "yes" : "no", new Style(verdict.Works ? Color.Green : Color.Red)));
        _console.Ansi.WriteLine($", guest {InputError.Quote(plan.Guest.Name)}: {text}");
    }
}
