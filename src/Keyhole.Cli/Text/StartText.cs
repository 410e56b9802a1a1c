// SPDX-License-Identifier: GPL-2.0-only

using System.Globalization;
using Keyhole.Answers;
using Keyhole.Cli.Terminal;
using Keyhole.Dom0;

namespace Keyhole.Cli.Text;

/// <summary><c>start</c>'s answer in words.</summary>
internal static class StartText
{
    /// <param name="shown">What messages call the guest.</param>
    public static void Write(CommandConsole console, StartAnswer answer, string shown)
    {
        console.Ansi.WriteLine($"policy: {answer.Policy}");
        MapView.WriteEntries(console, answer.E820);
        MapView.WriteProblems(console, answer.Problems);
        console.Ansi.WriteLine(ApplyText.Describe(answer.Forecast));
        foreach (string line in answer.Console)
            console.Ansi.WriteLine($"  {line}");
        foreach (FindingAnswer difference in answer.Differences)
            console.Ansi.WriteLine($"differs: {difference.What}: forecast {difference.Forecast ?? "none"}, seen {difference.Observed ?? "none"}");
        foreach (string text in answer.Succeeded ? [] : answer.Explanations)
            console.Ansi.WriteLine(text);
        console.Ansi.Write(answer.Succeeded ? "yes" : "no", answer.Succeeded ? TextColour.Green : TextColour.Red);
        console.Ansi.WriteLine($", {shown}: {answer.Verdict}");
        if (answer.Remark is { } remark)
            console.Ansi.WriteLine($"note: {remark}");
    }

    /// <summary>The verdict as a clause about "it", the guest.</summary>
    /// <param name="verdict">Null where the guest was not started.</param>
    public static string Words(StartVerdict? verdict) =>
        verdict is null ? "it was not started: the forecast says no (--anyway starts it all the same)" : Said(verdict);

    private static string LinesDiffer(int count) =>
        count == 1 ? "one line differs" : string.Create(CultureInfo.InvariantCulture, $"{count} lines differ");

    private static string Said(StartVerdict verdict) => verdict.Result switch
    {
        StartResult.BootsAgainstForecast => "it boots, though it was forecast to halt",
        StartResult.Differs => string.Create(CultureInfo.InvariantCulture,
            $"it boots, but not as forecast: {LinesDiffer(verdict.Verification?.Differences.Length ?? 0)}"),
        StartResult.WithForecastErrors => "it boots, with the errors that were forecast",
        StartResult.AsForecast => "it boots, as forecast to the last page"
            + (verdict.AwaitsClaims ? "; it has not said whether it claims its device's windows (xen-pcifront not loaded?)" : ""),
        StartResult.DiedAsForecast => "it died, as forecast",
        StartResult.DiedAgainstForecast => "it died, though it was forecast to boot",
        StartResult.Stuck => "it set its memory up, but did not get through its start in the time given (--timeout)",
        StartResult.Silent => "it said nothing of its memory in the time given: console=hvc0 and no \"quiet\" on its kernel's command line?",
        StartResult.SilentAsForecast => "it said nothing in the time given; it was forecast to halt",
    };
}
