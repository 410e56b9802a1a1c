// SPDX-License-Identifier: GPL-2.0-only

using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Answers;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;

namespace Keyhole.Cli.Text;

/// <summary><c>inspect</c>'s answer in words.</summary>
internal static class InspectText
{
    public static void Write(CommandConsole console, InspectAnswer answer)
    {
        Line(console, "domain",
            $"{(answer.Name is { Length: > 0 } name ? InputError.OneLine(name, 128) : "(no name)")}, "
                + $"number {answer.Id}, {answer.Uuid}, on Xen {answer.Xen}");
        string ran = answer.HasRun ? string.Create(CultureInfo.InvariantCulture, $"has run for {answer.CpuTimeNanoseconds / 1e9:0.000} s")
            : "has never run";
        string ended = answer is { State: "shut down", Shutdown: { } reason } ? $" ({reason})" : "";
        Line(console, "state", $"{answer.Type}, {answer.State}{ended}; {ran}");
        string maximum = answer.MaximumPages is { } most ? $", may own {Pages((ulong)most)}" : "";
        Line(console, "pages", $"owns {Pages(answer.Pages)}{maximum}");
        if (answer.TargetKiB is { } target)
            Line(console, "target",
                $"{ByteSize.ToText(target << 10)}{(answer.StaticMaxKiB is { } max ? $", at most {ByteSize.ToText(max << 10)}" : "")}");
        console.Ansi.WriteLine();
        if (answer.Id == 0)
        {
            console.Ansi.WriteLine("dom0 uses the machine's own map: keyhole show --with-xen");
            return;
        }

        console.Ansi.WriteLine($"({answer.Remark})");
        if (answer.Applied is { } applied)
        {
            console.Ansi.WriteLine($"The map that Keyhole installed ({applied.Policy}; {applied.Basis}):");
            MapView.WriteMap(console, applied.E820);
        }

        if (answer.Toolstack is { } toolstack)
        {
            console.Ansi.WriteLine($"The map that libxl gave it{(answer.Applied is null ? "" : " before")} ({toolstack.Basis}):");
            MapView.WriteMap(console, [.. toolstack.E820.Select(static entry => new EntryAnswer(entry.Start, entry.End, entry.Type))]);
        }
        else if (answer.ToolstackRemark is { } unknown)
        {
            console.Remark(unknown);
        }

        if (answer.P2m is { } list)
            WriteP2m(console, list);
        else if (answer is { P2mRemark: { } why, Type: "PV", HasRun: true })
            console.Ansi.WriteLine($"Its P2M is not shown: {why}");
    }

    private static void WriteP2m(CommandConsole console, LiveP2mAnswer list)
    {
        console.Ansi.WriteLine($"Its P2M ({list.Basis}):");
        TextTable table = MapView.NewTable("What is behind each frame", "from frame", "to frame", "pages", "behind them");
        table.AlignRight(2);
        foreach (LiveP2mRunAnswer run in list.Runs)
        {
            table.AddRow(MapView.Cell($"{run.Start}"), MapView.Cell($"{run.End}"),
                MapView.Cell((run.End.Value - run.Start.Value).ToString("#,0", CultureInfo.InvariantCulture)),
                MapView.Cell(run.Page is { } page ? $"{Shown(run.Kind)} (page {page.ToString(CultureInfo.InvariantCulture)})" : Shown(run.Kind)));
        }

        MapView.WriteTable(console, table);
        if (list.Runs.Any(static run => run.Page is not null))
        {
            console.Ansi.WriteLine("(Linux has one page for 512 frames that are all identity, and one for 512 with nothing behind them. Both look "
                + "the same from here: frames with the same page are of the same kind.)");
        }

        if (list.Forecast is { } forecast)
            console.Ansi.WriteLine(Compared(forecast));
    }

    private static string Compared(LiveP2mForecastAnswer forecast)
    {
        string what = $"the forecast for {forecast.Kernel}{(forecast.KernelIsKnown ? "" : ", which is assumed,")} on {forecast.Map}'s map";
        if (forecast.Agrees is not { } agrees)
            return $"Not compared with {what}: there it {forecast.Outcome}.";
        if (agrees)
            return $"It is {what}, to the last page.";
        LiveP2mDifferenceAnswer first = forecast.FirstDifference!;
        return string.Create(CultureInfo.InvariantCulture,
            $"{forecast.DifferingPages:#,0} frames differ from {what}. The first: [{first.Start}, {first.End}) {(IsOne(first) ? "is" : "are")} "
                + $"{Shown(first.Live)}, forecast was {Shown(first.Forecast)}. A guest that has ballooned since its boot differs there; "
                + $"{(forecast.KernelIsKnown ? "a driver that maps memory of others may, too" : "another kernel may, too: --kernel names it")}.");
    }

    private static bool IsOne(LiveP2mDifferenceAnswer range) => range.End.Value - range.Start.Value == 1;

    private static string Shown(string kind) => kind switch
    {
        "ram" => "RAM",
        "identity" => "identity",
        "foreign" => "memory of another domain",
        "unwritten" => "identity or nothing",
        _ => "nothing",
    };

    private static void Line(CommandConsole console, string what, string text) => console.Ansi.WriteLine($"{what + ":",-8}{text}");

    private static string Pages(ulong count) =>
        string.Create(CultureInfo.InvariantCulture, $"{count} pages ({ByteSize.ToText(count << Frames.Shift)})");
}
