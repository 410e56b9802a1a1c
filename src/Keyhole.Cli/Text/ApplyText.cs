// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Answers;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.E820;

namespace Keyhole.Cli.Text;

/// <summary><c>apply</c>'s answer in words.</summary>
internal static class ApplyText
{
    /// <param name="shown">What messages call the domain.</param>
    /// <param name="earlier">The policy of the map that Keyhole gave it before; null where it had libxl's.</param>
    public static void Write(CommandConsole console, ApplyAnswer answer, string shown, string? earlier, bool isDryRun)
    {
        console.Ansi.WriteLine($"{shown}: its map until now ({(earlier is null ? "libxl's" : $"Keyhole's, policy {earlier}")})");
        MapView.WriteMap(console, answer.Old);
        console.Ansi.WriteLine($"the new one (policy {answer.Policy})");
        MapView.WriteEntries(console,
            [.. answer.New.Select(static entry => new PlannedEntryAnswer(entry.Start, entry.End, entry.Type, entry.Why ?? ""))]);
        if (!answer.New.IsEmpty)
            MapView.Draw(console, [new("until now", Map(answer.Old)), new("new", Map(New(answer)))]);
        console.Ansi.WriteLine();
        MapView.WriteProblems(console, answer.Problems ?? []);
        if (answer.Forecast is { } forecast)
            console.Ansi.WriteLine(Describe(forecast));
        console.Ansi.WriteLine(answer.Installed ? "installed" : isDryRun ? "nothing was changed (--dry-run)" : "nothing was changed");
    }

    /// <param name="shown">What messages call the domain.</param>
    /// <param name="policy">The policy of the map that is taken back.</param>
    public static void WriteUndone(CommandConsole console, ApplyAnswer answer, string shown, string policy)
    {
        console.Ansi.WriteLine($"{shown}: the map of policy {policy}");
        MapView.WriteMap(console, answer.Old);
        console.Ansi.WriteLine(answer.Installed ? "is replaced by libxl's again:" : "would be replaced by libxl's again:");
        MapView.WriteMap(console, New(answer));
    }

    /// <summary>A forecast in one line.</summary>
    public static string Describe(LiveForecastAnswer forecast)
    {
        string assumed = forecast.KernelIsAssumed == true ? "; the kernel is assumed: --kernel names another" : "";
        if (forecast.Outcome == "halts")
            return $"forecast: {forecast.Kernel} halts"
                + $"{(forecast.Message is { Length: > 0 } message ? $": \"{message}\"" : ", without a message")}{assumed}";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"forecast: {forecast.Kernel} boots, moves {forecast.RemappedPages} pages and gives {forecast.ReleasedPages} back ("
                + $"{ByteSize.ToText(forecast.ReleasedPages << Frames.Shift)}){assumed}");
    }

    private static ImmutableArray<EntryAnswer> New(ApplyAnswer answer) =>
        [.. answer.New.Select(static entry => new EntryAnswer(entry.Start, entry.End, entry.Type))];

    private static ImmutableArray<E820Entry> Map(ImmutableArray<EntryAnswer> map) =>
        [.. map.Select(static entry => E820Entry.FromSize(entry.Start.Value, unchecked(entry.End.Value - entry.Start.Value), entry.Type))];
}
