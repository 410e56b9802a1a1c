// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Answers;
using Spectre.Console;

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
        console.Ansi.Write(MapView.Cell(answer.Succeeded ? "yes" : "no", answer.Succeeded ? Color.Green : Color.Red));
        console.Ansi.WriteLine($", {shown}: {answer.Verdict}");
    }
}
