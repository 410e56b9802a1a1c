// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.CommandLine;
using System.Linq;
using Keyhole.Answers;
using Keyhole.Captures;
using Keyhole.Cli.Help;
using Keyhole.Cli.Options;
using Keyhole.Cli.Terminal;
using Keyhole.Cli.Text;
using Keyhole.Diagnostics;
using Keyhole.Drawing;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.Verification;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole verify</c>: a real boot's log beside the forecast of it, and why the boot went as it did.</summary>
internal static class VerifyVerb
{
    /// <summary>Ranges that a message names.</summary>
    private const int MostRanges = 3;

    public static Command Build(CommandConsole console)
    {
        var source = new BootSource();
        var dmesg = new Option<string?>("--dmesg")
        {
            Description =
                "What the kernel printed: its dmesg, its console's log, or an xl -vvv log with it; - reads standard input. "
                    + "Without it the host's log is searched.",
            HelpName = "FILE|-",
        };
        var number = new Option<int?>("--boot") { Description = "Which of the log's boots to take, counted from 1.", HelpName = "N" };
        Option<bool> json = JsonOption.Create();
        var command = new Command("verify",
            "Compare a real boot's log with its forecast, line by line, and explain it: missing memory, a dom0 that does not "
                + "boot, devices that cannot be claimed.")
        {
            dmesg, number, json,
        };
        var html = new HtmlOption(console);
        html.AddTo(command);
        source.AddTo(command);
        Examples.AddTo(command, console, """

            Examples:
              keyhole verify --dom0 --host xen.log                           one pasted log of Xen and dom0: what went wrong?
              keyhole verify --dom0 --host xl-dmesg.txt --dmesg dmesg.txt    dom0's lines in a file of their own
              keyhole verify --host xen.log --guest guest.cfg --dmesg guest-console.log
              ssh guest sudo dmesg | keyhole verify --host xen.log --guest guest.cfg --dmesg - --json
              ssh guest sudo dmesg | keyhole verify --guest guest.xml --devices lspci-vv.txt --dmesg -    a KVM guest: its map, BARs and bridges

            Exit status: 0 the log agrees with the forecast (a halt that was forecast agrees too), 1 it differs, 2 nothing to compare.
            """);
        command.SetAction(parsed =>
        {
            LogScan? log = null;
            string? path = parsed.GetValue(dmesg);
            if (path == "-" && source.HostIsStandardInput(parsed))
                return console.Fail(InputError.Conflict("--dmesg", null, "standard input is the host's log already",
                    "leave out --dmesg: the host's log is searched for the kernel's lines"));
            if (path is not null && !Files.Read<LogScan>(console, path, "what the kernel printed", ReadLog)
                .TryGet(out log, out InputError? unreadable))
                return console.Fail(unreadable);
            foreach (string unread in log?.Unread ?? [])
                console.Remark(unread);
            var taken = new Taken(path is null ? null : path == "-" ? "standard input" : Files.Shown(path), log);
            Parsed<Boot> read = source.Read(parsed, console, host => taken.Look(host, source, parsed, parsed.GetValue(number), console));
            if (!read.TryGet(out Boot? boot, out InputError? error))
            {
                if (taken is not { Boot: { Halts: true } died, WhyNoForecast: { } why })
                    return console.Fail(taken.Named(error));
                var end = VerificationAnswer.Of(null, taken.Told(Verifier.WithoutForecast(died, why)), taken.Name!, taken.BootCount, OptionWords.Of);
                InputError? unwritten = html.Write(
                    parsed, $"keyhole verify: {taken.Name}", Verdicts.Of(end), isYes: false, null, [], to => VerificationText.Write(to, end),
                    to => end.WriteJson(to.OutBytes), end.Explanations);
                if (unwritten is not null)
                    return console.Fail(unwritten);
                json.Give(parsed, console, end, to => VerificationText.Write(to, end));
                return ExitStatus.No;
            }

            // Where no kernel lays the memory out by the map, the guest's own log is looked into now: the forecast needs nothing of it.
            bool isFirmwares = taken is { Boot: null, NotCreated: null };
            if (isFirmwares && taken.LookForGuest(boot.Plan, parsed.GetValue(number)) is { } notThere)
                return console.Fail(taken.Named(notThere));
            isFirmwares &= taken.NotCreated is null;
            bool isStubDomains = isFirmwares && StubDomain.IsShownBy(taken.Boot!, boot.Plan.Guest);
            if (isFirmwares && !isStubDomains)
                boot = Boot.Of(FirmwareVerifier.WithEvidence(boot.Plan.Scenario, taken.Boot!, log!));
            BootVerification verification = taken.NotCreated is { } reason ? GuestCreation.NotCreated(boot, reason, taken.Scan!)
                : isStubDomains ? StubDomain.Compare(boot.Plan, taken.Boot!, out boot)
                : isFirmwares ? FirmwareVerifier.Compare(boot.Plan, taken.Boot!, log!)
                : boot is { Forecast: null, Outcome: GuestOutcome.Refused } && !source.IsDom0(parsed) ? GuestCreation.Created(boot, taken.Boot!)
                : boot.Forecast is { } forecast ? Verifier.Compare(forecast, taken.Boot!, boot.Plan, taken.HostLog)
                : PvhDom0Verifier.Compare(boot.Plan, taken.Boot!, taken.PvhMap, taken.Scan);
            if (taken.NotCreated is null && !isStubDomains && taken.Scan is { } guests && (isFirmwares || boot.Forecast is not null))
                verification = GuestsXen.Told(boot, verification, guests, other => other.Forecast is { } forecast
                    ? Verifier.Compare(forecast, taken.Boot!, other.Plan, taken.HostLog) : FirmwareVerifier.Compare(other.Plan, taken.Boot!, log!));
            if (taken.Scan is { } ofXen)
                verification = XenRemarks.Told(verification, ofXen, source.IsDom0(parsed));
            if (verification.Findings.IsEmpty && !verification.NotKnownRanges.IsEmpty)
            {
                ImmutableArray<string> lost = boot.Plan.Host.LostRangesInWords;
                return console.Fail(InputError.NothingInIt(
                    boot.Plan.HostName,
                    null,
                    $"lines of the host's map are lost where {string.Join(", ", lost.Take(MostRanges))}{(lost.Length > MostRanges ? ", …" : "")} "
                        + $"{(lost.Length == 1 ? "is" : "are")}, and all that the boot's lines show depends on them",
                    "give the whole log, or another source of the host's map"));
            }

            if (verification.Findings.IsEmpty)
            {
                return console.Fail(InputError.NothingInIt(
                    taken.Name!,
                    taken.Boot!.FirstLine,
                    "the boot's lines say nothing that was forecast",
                    isFirmwares
                        ? "give more of what the kernel printed: \"BIOS-e820\", \"pci 0000:…\", \"root bus resource\""
                        : "give more of what the kernel printed: its map, \"Released …\", \"Remapped …\", \"available for PCI devices\""));
            }

            var answer = VerificationAnswer.Of(boot, taken.Told(verification), taken.Name!, taken.BootCount, OptionWords.Of);
            InputError? unpainted = html.Write(
                parsed, $"keyhole verify: {taken.Name}", Verdicts.Of(answer), answer.IsYes && taken is { NotCreated: null, Boot.Halts: false },
                boot.Forecast is { } painted ? () => Pictures.OfBoot(boot.Plan, painted) : () => Pictures.OfPlan(boot.Plan), [],
                to => VerificationText.Write(to, answer), to => answer.WriteJson(to.OutBytes), answer.Explanations);
            if (unpainted is not null)
                return console.Fail(unpainted);
            return json.Give(parsed, console, answer, to => VerificationText.Write(to, answer));
        });
        return command;
    }

    private static Parsed<LogScan> ReadLog(System.IO.Stream stream, string name)
    {
        LogScan scan;
        try
        {
            scan = LogScanner.ScanWithPci(stream, name);
        }
        catch (System.IO.InvalidDataException damaged)
        {
            return Reading.PackedErrors.Unreadable(name, damaged);
        }

        return scan.LineCount == 0 ? InputError.NothingInIt(name, null, "the log is empty", "give what the kernel printed at boot") : scan;
    }

    /// <summary>The boot that was chosen from the log, once the host has been read.</summary>
    private sealed class Taken(string? name, LogScan? log)
    {
        public string? Name { get; private set; } = name;

        public ObservedBoot? Boot { get; private set; }

        public int BootCount { get; private set; }

        /// <summary>Why it is not the first of its kind, as a sentence; null where it is.</summary>
        public Phrase? WhyBoot { get; private set; }

        /// <summary>The log that the boot is looked for in; null before the host has been read where that is its log.</summary>
        public LogScan? Scan => log ?? HostLog;

        /// <summary>The log that the host was read from, or null.</summary>
        public LogScan? HostLog { get; private set; }

        /// <summary>The map of a PVH dom0 in the log; null for others, and where it has none.</summary>
        public LogMap? PvhMap { get; private set; }

        /// <summary>Why there is no forecast to compare with, as a sentence; null where there is one.</summary>
        public string? WhyNoForecast { get; private set; }

        /// <summary>The toolstack's or Xen's reason where the guest was not created; null where it was, as far as the log tells.</summary>
        public LogFact<string>? NotCreated { get; private set; }

        /// <summary>An error with Xen's own words, where the log has no more than these.</summary>
        public InputError Named(InputError error) => Scan is { } scan
            ? XenRemarks.Named(QemuLog.Named(OtherSystem.Named(error, scan), scan), scan)
            : error;

        /// <summary>The comparison with the reason for the choice of the boot, where that is not the first.</summary>
        public BootVerification Told(BootVerification verification) => WhyBoot is { } why
            ? verification with { Explanations = [why, .. verification.Explanations] } : verification;

        /// <summary>Chooses the boot of a guest that has firmware, or none and no PV kernel. The error, or null.</summary>
        public InputError? LookForGuest(Plan plan, int? number)
        {
            if (log is null)
                return InputError.Missing("--dmesg", null, "what the guest's kernel printed is not told",
                    "name it with --dmesg: 'sudo dmesg' in the guest, or its console's log");
            if ((NotCreated = GuestCreation.ReasonIn(log, plan.Guest.Type)) is not null)
            {
                BootCount = 1;
                return null;
            }

            ImmutableArray<ObservedBoot> boots = FirmwareVerifier.BootsIn(log);
            // The domain of a guest's QEMU has a map of its own, which hangs on nothing of the guest's.
            bool isKnown = plan.Firmware is not null || plan.Verdict is not null || plan.IsMapKnown;
            if (!isKnown)
                boots = [.. boots.Where(boot => StubDomain.IsShownBy(boot, plan.Guest))];
            if (!isKnown && boots.IsEmpty)
            {
                Problem? why = plan.Problems.FirstOrDefault(static problem => problem.Code == ProblemCodes.MapNotKnown);
                return InputError.NotSupported("the guest", null, $"{why?.Message ?? "its map is not known"}", why?.Remedy?.Worded(OptionWords.Of)
                    ?? "ask 'keyhole plan' what is missing");
            }

            if (boots.IsEmpty)
                boots = FirmwareVerifier.MadeIn(log);
            BootCount = boots.Length;
            // Words of a firmware or of QEMU alone are a boot as well, one without a kernel.
            if (boots is [{ HasKernelLines: false } dead] && number is null or 1)
            {
                Boot = dead;
                return null;
            }

            // A guest's own boot comes before that of its stubdomain.
            ObservedBoot[] own = [.. boots.Where(boot => boot.HasKernelLines && !StubDomain.IsShownBy(boot, plan.Guest))];
            ImmutableArray<ObservedBoot> choice = number is null && own.Length > 0 ? [.. own] : boots;
            if (!BootLog.Choose(choice, wantsDom0: false, number, Name!).TryGet(out ObservedBoot? chosen, out InputError? error))
                return error;
            Boot = chosen;
            WhyBoot = number is null ? BootLog.WhyNotTheFirst(choice, chosen, null) : null;
            return null;
        }

        public Parsed<BootHints> Look(HostDocument host, BootSource source, ParseResult parsed, int? number, CommandConsole console)
        {
            bool isDom0 = source.IsDom0(parsed);
            HostLog = host.Log;
            if ((log ?? host.Log) is not { } scan)
                return InputError.NothingInIt("--dmesg", null, "the host's map comes from no log, so it holds no boot",
                    "name what the kernel printed with --dmesg");
            Name ??= "the host's log";
            if (!isDom0 && (NotCreated = GuestCreation.ReasonIn(scan, GuestType.Pv)) is not null)
            {
                BootCount = 1;
                return new BootHints { Layout = static pages => GuestLayout.OfXl(pages) };
            }

            ImmutableArray<ObservedBoot> boots = BootLog.Of(scan);
            BootCount = boots.Length;
            LogMap? hostMap = log is null && isDom0 ? host.LogMap : null;
            if (!BootLog.Choose(boots, isDom0, number, Name, hostMap).TryGet(out ObservedBoot? chosen, out InputError? error))
                return error;
            if (isDom0)
                chosen = NamedRelease.Added(scan, chosen);
            Boot = chosen;
            WhyBoot = number is null ? BootLog.WhyNotTheFirst(boots, chosen, hostMap) : null;
            host = BootEvidence.WithOpenEnd(host, chosen, isDom0);
            if (!isDom0)
                return new BootHints
                {
                    Kernel = chosen.Kernel,
                    CommandLine = chosen.Facts.CommandLine?.Value,
                    Layout = pages => BootEvidence.LayoutOfGuest(chosen, pages),
                    Host = host with { Host = BootEvidence.WithLostLinesSeenIn(host.Host, chosen) },
                };
            if (log is null && !source.HasMapNumber(parsed))
            {
                if (!BootEvidence.OnTheMapOf(host, chosen, source.HostName(parsed)).TryGet(out HostDocument? own, out error))
                    return error;
                host = BootEvidence.WithOpenEnd(own, chosen, isDom0);
            }

            bool isTold = chosen.Builder is { PageCount: not null } or { Pvh: not null };
            Dom0Log? builder =
                ((isTold || host.Log is not { } hostLog ? chosen.Builder : Dom0Log.Of(hostLog, host.LogMap)) ?? chosen.Builder)?.On(host.Host);
            if (builder is { IsMoreThanLeft: true, Pvh: null })
                WhyNoForecast = "dom0_mem= is about all of the machine's RAM or more, and how much Xen had left to give the log does not show, so "
                    + "nothing but its end could be looked at.";
            PvhDom0Tables? tables = null;
            if (builder?.Pvh is { } pvh)
            {
                PvhMap = PvhDom0Verifier.MapOf(scan, chosen);
                tables = PvhDom0Verifier.TablesOf(scan, chosen);
                // Without dom0_mem= Xen gives it what it has left, which no log tells but by dom0's own map, where that keeps apart what
                // is not dom0's.
                if (builder.PageCount is null && PvhMap is not null && PvhDom0Verifier.TellsSize(PvhMap, chosen, host.Host))
                    builder = builder with { PageCount = PvhDom0Verifier.PagesIn(PvhMap) };
                if (builder.PageCount is null)
                    WhyNoForecast =
                        $"This dom0 is a PVH one (line {pvh.Line}: {pvh.Value}), and neither dom0_mem= nor a map tells its size, so "
                            + $"nothing but its end could be looked at.";
            }

            // What a Linux on the bare machine dies of is not dom0's end, but for the messages that only a kernel under Xen has.
            bool isBare = log is null && host.LogMap?.Kind == LogMapKind.LinuxFirmware && chosen.Facts.PanicMessage is null
                && chosen.BootFailure is { Value.Kind: BootFailureKind.KernelPanic or BootFailureKind.KernelBug };
            if (builder is null or { PageCount: null, Pvh: null, IsMoreThanLeft: false } && (chosen.Halts || chosen.EndedLater is not null)
                && !isBare)
            {
                // A map and a panic message copied from a photograph are enough to say what lies in the way.
                builder = BootEvidence.UsualDom0(host.Host);
                console.Remark("the log does not show how Xen builds dom0: it is taken to be a Linux of the size of 6.1 with "
                    + (host.Host is { HasLostEntries: true, RamCounted: null }
                        ? "the RAM that the host's map shows; lines of the map are lost, and how much more the host has is not known"
                        : "all of the host's RAM"));
            }

            if (builder is { IsMaxUnknown: true } && BootEvidence.LimitWhereHeadIsLost(host, chosen) is { } limit && limit >= builder.PageCount)
                builder = builder with { MaxPages = limit };
            return new BootHints
            {
                Kernel = chosen.Kernel,
                Dom0 = builder,
                Tables = tables,
                Host = host with { Host = BootEvidence.WithLostLinesSeenIn(BootEvidence.WithPagesReservedIn(host.Host, chosen), chosen) },
                Layout = _ => BootEvidence.LayoutOfDom0(chosen, builder),
            };
        }
    }
}
