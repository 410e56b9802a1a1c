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
            $"{(answer.Name is { } name ? InputError.OneLine(name, 128) : "(no name)")}, number {answer.Id}, {answer.Uuid}, on Xen {answer.Xen}");
        string ran = answer.HasRun ? string.Create(CultureInfo.InvariantCulture, $"has run for {answer.CpuTimeNanoseconds / 1e9:0.000} s")
            : "has never run";
        Line(console, "state", $"{answer.Type}, {answer.State}; {ran}");
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
        else
        {
            console.Remark("the toolstack does not say how the domain was made (xl list -l): which map it was given is not known");
        }
    }

    private static void Line(CommandConsole console, string what, string text) => console.Ansi.WriteLine($"{what + ":",-8}{text}");

    private static string Pages(ulong count) =>
        string.Create(CultureInfo.InvariantCulture, $"{count} pages ({ByteSize.ToText(count << Frames.Shift)})");
}
