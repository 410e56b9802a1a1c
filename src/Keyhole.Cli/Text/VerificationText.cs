// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using Keyhole.Addresses;
using Keyhole.Answers;
using Keyhole.Cli.Options;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.Verification;

namespace Keyhole.Cli.Text;

/// <summary><c>verify</c>'s answer in words.</summary>
internal static class VerificationText
{
    public static void Write(CommandConsole console, VerificationAnswer answer)
    {
        BootVerification verification = answer.Verification;
        if (answer.Expected is not { } expected)
        {
            WriteEnd(console, answer);
            return;
        }

        bool hasFirmware = expected.Plan.Firmware is not null;
        string size = ByteSize.ToText(expected.Plan.Scenario.StartPages << Frames.Shift);
        // Of a guest with firmware the host decides less, and that it was not told has to be said.
        if (!hasFirmware || expected.Plan.HostName.StartsWith(HostSource.ThisMachine, StringComparison.Ordinal))
            console.Ansi.WriteLine($"host:   {expected.Plan.HostName}");
        // Where nobody chooses a map there is nothing to name.
        string made = expected.Plan.Firmware is { } firmware ? $", firmware: {firmware.Name} {firmware.Version}"
            : !expected.Plan.HasPolicy ? "" : $", map: {expected.Plan.Policy}";
        console.Ansi.WriteLine($"guest:  {expected.Plan.Guest.VisibleName ?? "(no name)"}, {size}{made}");
        bool isNotCreated = verification.Outcomes is { Observed: GuestOutcome.Refused };
        bool isTaken = !hasFirmware && expected.Forecast is not null;
        string log = isNotCreated ? string.Create(CultureInfo.InvariantCulture, $"no boot, line {answer.Boot.FirstLine} of {answer.Boot.Log}")
            : Describe(answer.Boot, verification.Boot);
        console.Ansi.WriteLine($"log:    {log}");
        if (!isNotCreated)
            console.Ansi.WriteLine($"kernel: {(!isTaken && verification.Boot.Release is null ? "not named in the log" : answer.Profile)}");
        int differing = answer.Differences.Length;
        ObservedBoot boot = verification.Boot;
        bool halts = boot.Halts;
        string verdict = isNotCreated ? differing == 0 ? $"{Verdicts.NotCreated}, as forecast" : Verdicts.NotCreated
            : differing == 0
            ? halts ? "the kernel halts, as forecast"
                : expected.Boots || !hasFirmware
                    ? $"the log agrees with the forecast{Verdicts.BehindSetup(verification)}{Verdicts.AsFarAs(verification)}"
                : "the guest does not start, as forecast"
            : verification.AgreesButForNeeds ? Verdicts.NoMemoryBehindSetup
            : verification.AgreesButForLaterEnd ? Verdicts.EndedLater
            : verification.Findings is [{ What: Verifier.OutcomeWhat } end]
                ? end.Forecast is null ? "it ended, and nothing of it was forecast"
                    : !halts || verification.Boot.Map is { Entries.IsEmpty: false }
                    ? "its end is not as forecast; the rest of the log has no forecast to be compared with"
                    : "its end is not as forecast, and the log has nothing else to compare"
            : string.Create(CultureInfo.InvariantCulture, $"{differing} of {verification.Findings.Length} lines differ from the forecast");
        if (!verification.NotKnownRanges.IsEmpty)
            verdict += differing == 0 ? ", as far as the host's map is known" : "; the host's map is not known as a whole";
        console.Ansi.Write(
            verdict,
            differing > 0 || halts || isNotCreated ? TextColour.Red
                : Verdicts.BehindSetup(verification).Length > 0 ? TextColour.Yellow : TextColour.Green);
        console.Ansi.WriteLine();
        TextTable table = MapView.NewTable("The boot beside the forecast", "", "what", "forecast", "observed", "line");
        table.AlignRight(4);
        foreach (Finding finding in verification.Findings)
        {
            string mark = finding.Agrees ? "=" : "≠";
            table.AddRow(
                MapView.Cell(mark, finding.Agrees ? TextColour.Green : TextColour.Red),
                MapView.Cell(finding.What),
                MapView.Cell(finding.Forecast ?? "-"),
                MapView.Cell(finding.Agrees ? "the same" : finding.Observed ?? "-"),
                MapView.Cell(finding.Line?.ToString(CultureInfo.InvariantCulture) ?? ""));
        }

        foreach (Finding finding in verification.Undecided)
        {
            table.AddRow(
                MapView.Cell("?", TextColour.Yellow),
                MapView.Cell(finding.What),
                MapView.Cell("not known", TextColour.Yellow),
                MapView.Cell(finding.Observed ?? "-"),
                MapView.Cell(finding.Line?.ToString(CultureInfo.InvariantCulture) ?? ""));
        }

        MapView.WriteTable(console, table);
        if (!answer.NotCompared.IsEmpty)
        {
            string what = hasFirmware || !verification.NotKnownRanges.IsEmpty ? "not compared" : "not in the log";
            console.Ansi.WriteLine($"{what}: {string.Join("; ", answer.NotCompared)}");
        }

        console.Ansi.WriteLine();
        foreach (string text in answer.Explanations)
            console.Ansi.WriteLine(text);
    }

    /// <summary>All that can be told of a boot whose map is not forecast.</summary>
    private static void WriteEnd(CommandConsole console, VerificationAnswer answer)
    {
        console.Ansi.WriteLine($"log:    {Describe(answer.Boot, answer.Verification.Boot)}");
        foreach (Finding finding in answer.Verification.Findings)
            console.Ansi.WriteLine(string.Create(CultureInfo.InvariantCulture, $"observed: {finding.Observed}, line {finding.Line}"));
        foreach (string text in answer.Explanations)
            console.Ansi.WriteLine(text);
    }

    private static string Describe(ObservedBootAnswer boot, ObservedBoot observed)
    {
        string whose = observed.Owner switch
        {
            BootOwner.Dom0 => ", dom0's",
            BootOwner.Guest => observed.Domain is { } domain ? string.Create(CultureInfo.InvariantCulture, $", guest {domain}'s") : ", a guest's",
            BootOwner.Unknown => "",
        };
        string others = boot.Of == 1 ? "" : "; --boot N takes another";
        return string.Create(CultureInfo.InvariantCulture,
            $"boot {boot.Number} of {boot.Of}{whose}, lines {boot.FirstLine} to {boot.LastLine} of {boot.Log}{others}");
    }
}
