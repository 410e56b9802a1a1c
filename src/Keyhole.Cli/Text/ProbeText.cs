// SPDX-License-Identifier: GPL-2.0-only

using System.Globalization;
using Keyhole.Answers;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Probing;

namespace Keyhole.Cli.Text;

/// <summary><c>probe</c>'s answer in words.</summary>
internal static class ProbeText
{
    /// <param name="probed">What the probe alone came to, whatever is forecast of the guest's own kernel.</param>
    public static void Write(CommandConsole console, ProbeAnswer answer, ProbeOutcome probed)
    {
        console.Ansi.WriteLine($"policy: {answer.Policy}");
        MapView.WriteEntries(console, answer.E820);
        MapView.WriteProblems(console, answer.Problems);
        console.Ansi.WriteLine($"its own kernel's {ApplyText.Describe(answer.Forecast)}");
        if (probed != ProbeOutcome.Unknown)
        {
            console.Ansi.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"the probe: {answer.NrPages} pages, {answer.ReleasedPages} released, {answer.RemappedPages} "
                    + $"remapped, {answer.PopulatedPages} populated"));
        }

        foreach (ProbeCheckAnswer check in answer.Checks)
            console.Ansi.WriteLine($"  {(check.Passed ? "passed" : "FAILED")} {check.Name}: {check.Details}");
        if (probed == ProbeOutcome.Fails)
        {
            foreach (FindingAnswer difference in answer.Differences)
                console.Ansi.WriteLine($"differs: {difference.What}: forecast {difference.Forecast ?? "none"}, seen {difference.Observed ?? "none"}");
        }

        (string word, TextColour colour) = answer.Works switch
        {
            true => ("yes", TextColour.Green),
            false => ("no", TextColour.Red),
            null => ("unknown", TextColour.Yellow),
        };
        console.Ansi.Write(word, colour);
        console.Ansi.WriteLine($", guest {InputError.Quote(answer.Name)}: {answer.Verdict}");
    }
}
