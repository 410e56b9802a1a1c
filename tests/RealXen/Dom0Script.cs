// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;
using Keyhole.E820;
using Keyhole.RealMachine;

namespace Keyhole.RealXen;

/// <summary>Turns a scenario into the second archive of dom0's initramfs: the script that dom0/init runs, guests' configurations, maps and
/// files.</summary>
internal static class Dom0Script
{
    private const string HotplugUp = """
        while read -r module; do need insmod "/modules/$module.ko"; done < /modules/hotplug
        need brctl addbr xenbr0
        need ip link set xenbr0 up
        need syslogd -O /var/log/syslog

        """;

    public static byte[] Archive(Scenario scenario, Images images)
    {
        using var archive = new MemoryStream();
        var cpio = new CpioWriter(archive);
        var script = new StringBuilder("report_dom0\n");
        if (scenario.Hotplug)
            script.Append(HotplugUp);
        string[] assigned = scenario.Assign.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        foreach (string device in assigned)
            script.Append("assign ").Append(Word(device)).Append(assigned.Length > 1 ? $" \" {device}\"" : "").Append('\n');
        if (!scenario.Steps.IsEmpty)
            script.Append("unpack_kernel\n");
        foreach (Step step in scenario.Steps)
        {
            switch (step)
            {
                case GuestStep guest:
                    cpio.Text($"g/{guest.Name}.cfg", guest.ConfigText);
                    if (!guest.Map.IsEmpty)
                        cpio.File($"g/{guest.Name}.map", Packed(guest.Map.AsSpan()));
                    if (guest.BeforeStart.Length > 0)
                        cpio.Text($"g/{guest.Name}.sh", guest.BeforeStart + "\n");
                    script.Append(
                        $"guest {Word(guest.Name)} {GuestStep.Domain} {(guest.Boot ? "boot" : "paused")} {guest.Seconds} {KindName(guest.Kind)}"
                            + $"{(guest.Firmware ? " firmware" : guest.Linux ? " linux" : "")}\n");
                    break;
                case RunStep run:
                    cpio.Text($"scenario/{run.Name}.sh", run.Commands + "\n");
                    script.Append("run ").Append(Word(run.Name)).Append('\n');
                    break;
            }
        }

        if (scenario.Guests.Any(static guest => guest.Linux))
            cpio.File("k/bzImage", File.ReadAllBytes(images.PackedLinux));

        cpio.Text("scenario/run", script.ToString());
        cpio.File("k/initrd.gz", File.ReadAllBytes(images.Guest(scenario.GuestImage)));
        foreach ((string inDom0, string content) in scenario.Texts)
            cpio.Text(inDom0, content);
        foreach ((string inDom0, string here) in scenario.Files)
            cpio.File(inDom0, File.ReadAllBytes(here), executable: true);
        cpio.Finish();
        return archive.ToArray();
    }

    /// <summary>Entries as firmware, Xen and the shim exchange them: 20 bytes each.</summary>
    public static byte[] Packed(ReadOnlySpan<E820Entry> entries) => MemoryMarshal.AsBytes(entries).ToArray();

    private static string KindName(GuestKind kind) => kind switch
    {
        GuestKind.Pv => "pv",
        GuestKind.Hvm => "hvm",
        GuestKind.Pvh => "pvh",
    };

    // One word of a shell's line, whatever is in it; names also become file names.
    private static string Word(string text)
    {
        foreach (char c in text)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.' or ':'))
                throw new HarnessException($"\"{text}\": a name of letters, digits, '-', '_', '.' and ':' is needed here");
        }

        return text;
    }
}
