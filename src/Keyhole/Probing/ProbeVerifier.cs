// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Hosts;
using Keyhole.PvGuest;
using Keyhole.Verification;

namespace Keyhole.Probing;

/// <summary>Whether a layout works on a host.</summary>
public enum ProbeOutcome
{
    /// <summary>The probe says that the map works.</summary>
    Works,

    /// <summary>A check failed, or the probe died.</summary>
    Fails,

    /// <summary>The probe has come to its own limits: no room for its tables, a guest that is too large for it, or no time to look at all of
    /// it.</summary>
    Unknown,
}

/// <summary>What a probe found beside what was forecast.</summary>
/// <param name="Findings">The outcome, the map, the pages, the list of frames; then every check that the probe made.</param>
public sealed record ProbeVerdict(ImmutableArray<Finding> Findings, ProbeOutcome Answer)
{
    /// <summary>Where the report differs from the forecast.</summary>
    public ImmutableArray<Finding> Differences => [.. Findings.Where(static finding => !finding.Agrees)];
}

/// <summary>Compares a forecast with a probe's report.</summary>
public static class ProbeVerifier
{
    /// <summary>What a probe looks at on every map on which it gets through its memory setup: a report without one of these shows nothing.</summary>
    private static readonly ImmutableArray<string> s_needed = ["callbacks", "event", "setup", "p2m", "m2p", "holes"];

    /// <param name="forecast">For the map and the layout that the probe had (<see cref="ProbeReport.ToRequest"/>), or those it ought to have
    /// had.</param>
    /// <param name="report">What the probe said.</param>
    /// <param name="isRunning">Whether it was not waited for any longer: what it had not said yet speaks neither for the map nor against it.</param>
    public static ProbeVerdict Compare(BootForecast forecast, ProbeReport report, bool isRunning = false)
    {
        ArgumentNullException.ThrowIfNull(report);
        isRunning &= report is { Trap: null, Passed: null };
        ImmutableArray<Finding> findings = [.. Findings(forecast, report, isRunning)];
        // What it has found before it came to its limits stands.
        bool isAtItsLimits = report.Trap is null && (isRunning || report.Check("room") is { Passed: false })
            && report.Checks.All(static check => check.Passed || check.Name == "room");
        ProbeOutcome answer = isAtItsLimits ? ProbeOutcome.Unknown
            : findings.All(static finding => finding.Agrees) ? ProbeOutcome.Works
            : ProbeOutcome.Fails;
        return new(findings, answer);
    }

    private static IEnumerable<Finding> Findings(BootForecast forecast, ProbeReport report, bool isRunning)
    {
        yield return Outcome(forecast, report, isRunning);
        if (report.Halt is { } halt && report.Check("room") is null)
        {
            yield return Compared("halt", forecast.Halt.ToString(), halt.ToString());
            yield return Compared("released pages", Number(forecast.ReleasedPages), Number(report.ReleasedPages));
            yield return Compared("remapped pages", Number(forecast.RemappedPages), Number(report.RemappedPages));
            yield return Compared("populated pages", Number(forecast.PopulatedPages), Number(report.PopulatedPages));
            yield return Compared("kernel's map", Show(forecast.KernelMap), report.KernelMap.IsEmpty && halt != HaltReason.None
                ? Show(forecast.KernelMap) : Show(report.KernelMap));
            // A kernel that stops gets to neither.
            if (halt == HaltReason.None)
            {
                yield return Compared("PCI gap", Show(forecast.PciGap), Show(report.PciGap));
                yield return Compared("extra memory", string.Join(' ', forecast.Extra.Select(Show)), string.Join(' ', report.Extra.Select(Show)));
            }
        }

        if (!report.P2m.IsEmpty)
        {
            Pfn end = report.P2m[^1].Range.End;
            yield return Compared("frames", Kinds(forecast.P2m, end), Kinds(report.P2m, end));
        }

        if (report is { Passed: true, Halt: HaltReason.None })
        {
            foreach (string name in s_needed.Where(name => report.Check(name) is null))
                yield return new("check " + name, "passed", "not made", null, Agrees: false);
        }

        if (report.CheckCount is { } made)
            yield return Compared("checks", Number(made), Number((ulong)report.Checks.Length));
        // The failed check says more; but its line may have been lost.
        if (report is { Passed: false, Checks: var checks } && checks.All(static check => check.Passed))
            yield return new("the probe's own verdict", "passed", "failed", null, Agrees: false);
        foreach (ProbeCheck check in report.Checks)
            yield return new("check " + check.Name, "passed", check.Passed ? "passed" : $"failed: {check.Describe()}", check.Line, check.Passed);
    }

    private static Finding Outcome(BootForecast forecast, ProbeReport report, bool isRunning)
    {
        string expected = forecast.Halts ? $"halts ({forecast.Halt})" : "boots";
        string observed = report.Trap is { } trap ? $"trap: {trap}"
            : isRunning ? "not at its end in the time given"
            : report.TicksPerMillisecond == 0 && report.PageCount == 0 ? "ended without a message"
            : report.Passed is null ? "the report breaks off"
            : report.Halt is null ? "no memory setup"
            : report.Halt == HaltReason.None ? "boots" : $"halts ({report.Halt})";
        return Compared("outcome", expected, observed);
    }

    /// <summary>Runs of one kind, joined: machine frames are the host's business.</summary>
    private static string Kinds(ImmutableArray<P2mRun> runs, Pfn end)
    {
        List<(ulong Start, ulong End, P2mKind Kind)> joined = [];
        foreach (P2mRun run in runs)
        {
            PfnRange part = run.Range.Intersect(PfnRange.FromBounds(default, end));
            if (part.IsEmpty)
                continue;
            if (joined is [.., var last] && last.Kind == run.Kind && last.End == part.Start.Value)
                joined[^1] = (last.Start, part.End.Value, last.Kind);
            else
                joined.Add((part.Start.Value, part.End.Value, run.Kind));
        }

        return string.Join(' ',
            joined.Select(static run => string.Create(CultureInfo.InvariantCulture, $"[0x{run.Start:x}, 0x{run.End:x}) {run.Kind}")));
    }

    private static Finding Compared(string what, string forecast, string observed) => new(what, forecast, observed, null, forecast == observed);

    private static string Number(ulong value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Show(ByteRange range) =>
        range.IsEmpty ? "none" : string.Create(CultureInfo.InvariantCulture, $"[0x{range.Start:x}, 0x{range.End:x})");

    private static string Show(ImmutableArray<E820Entry> map) =>
        string.Join(' ',
            map.Select(static entry => string.Create(CultureInfo.InvariantCulture,
                $"[0x{entry.Address:x}, 0x{entry.End:x}) {E820TypeNames.NameOf(entry.Type)}")));
}
