// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Answers;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;

namespace Keyhole.Cli.Text;

/// <summary><c>install</c>'s answer in words.</summary>
internal static class InstallText
{
    public static void Write(CommandConsole console, InstallAnswer answer, bool isDryRun)
    {
        AnswerWriter text = console.Ansi;
        text.WriteLine($"{InputError.PathText(answer.Config)} (guest {InputError.Quote(answer.Name)}, policy {answer.Policy})");
        foreach (LineChangeAnswer change in answer.Changes)
        {
            text.WriteLine($"line {change.Line}");
            text.WriteVerbatim($"- {change.Before}", TextColour.Red);
            text.WriteVerbatim($"+ {change.After}", TextColour.Green);
        }

        foreach (InstalledScriptAnswer script in answer.Scripts)
            text.WriteLine(
                $"{InputError.PathText(script.Path)} "
                    + $"{(answer.OrElse is null ? "ran" : "gives the map, then runs")} {InputError.PathText(script.Runs)}");
        MapView.WriteProblems(console, answer.Problems);
        if (answer.Forecast is { } forecast)
            text.WriteLine(ApplyText.Describe(forecast));
        if (answer.OrElse is { } orElse)
            text.WriteLine(orElse == "stop" ? "where it cannot be given the map, the guest is not started (--or-else stop)"
                : "where it cannot be given the map, the guest starts on libxl's own (--or-else libxl)");
        foreach (string remark in answer.Remarks)
            text.WriteLine($"note: {remark}");
        if (answer.Copy is { } copy)
            text.WriteLine($"the file as it was: {InputError.PathText(copy)}");
        text.WriteLine(isDryRun ? "nothing was changed (--dry-run)"
            : answer.Undone ? "taken out" : answer.Installed ? "installed: from the guest's next start on" : "nothing was changed");
    }
}
