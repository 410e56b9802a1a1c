// SPDX-License-Identifier: GPL-2.0-only

using System.Globalization;
using Keyhole.Answers;
using Keyhole.Diagnostics;
using Spectre.Console;

namespace Keyhole.Cli.Text;

/// <summary><c>plan</c>'s answer in words.</summary>
internal static class PlanText
{
    public static void Write(CommandConsole console, PlanAnswer answer)
    {
        GuestAnswer guest = answer.Guest;
        string balloon = guest.MaxmemKiB == guest.MemoryKiB ? "" : string.Create(CultureInfo.InvariantCulture, $", balloons up to {guest.MaxmemKiB >> 10} MiB");
        string devices = guest.Pci.IsEmpty ? "" : $", with {string.Join(' ', guest.Pci)}";
        console.Ansi.WriteLine($"host:   {answer.Plan.Host.Description}");
        console.Ansi.WriteLine(string.Create(CultureInfo.InvariantCulture, $"guest:  {guest.Name ?? "(no name)"}, {guest.MemoryKiB >> 10} MiB{balloon}{devices}"));
        console.Ansi.WriteLine($"policy: {answer.Policy}");
        if (answer.E820 is { IsEmpty: false } entries)
        {
            MapView.WriteEntries(console, entries);
            if (answer.RamBelow4GiBKiB is { } lowKiB)
                console.Ansi.WriteLine($"RAM below 4 GiB: {ByteSize.ToText(lowKiB << 10)}");
            console.Ansi.WriteLine();
            MapView.Draw(console, [new("host", answer.Plan.MachineMap), new("guest", answer.Plan.Map)]);
            console.Ansi.WriteLine();
        }

        MapView.WriteProblems(console, answer.Problems);
    }
}
