// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using System.Text.RegularExpressions;

namespace Keyhole.RealXen;

/// <summary>Cuts a run's logs to the lines that matter: a record in the form of tests/fixtures/golden (its README describes the sections).</summary>
public static class RecordWriter
{
    private static readonly Regex s_xenLine = new(
        @"^\(XEN\) (Command line:| ?\[[0-9a-f]{16}, |.*RAM map:$|System RAM:| Dom0 alloc\.:| Init\. ramdisk:| Loaded kernel:| Phys-Mach map:| Start info:| Page tables:)",
        RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture);

    private static readonly Regex s_dom0KernelLine = new(
        @"^\[ *\d+\.\d+\] (Command line:|initrd moved from|Released \d+ page|(Xen|BIOS-e820): \[mem |last_pfn =|RAMDISK:|Remapped \d+ |\[mem .* available for PCI|Memory: \d+K|Unable to find available)|^Xen hypervisor allocated .* conflicts with E820",
        RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture);

    private static readonly Regex s_xlLine = new(
        @"^Parsing config from |libxl__domain_make: passthrough|e820_sanitize|xc_dom_alloc_segment|domainbuilder: detail: range: |RDM|^libxl: error:|^ERROR: |^set-memory-map: ",
        RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture);

    private static readonly Regex s_guestKernelLine = new(
        @"\] (initrd moved from|Released \d+ page|(Xen|BIOS-e820): \[mem |last_pfn =|RAMDISK:|Remapped \d+ |\[mem .* available for PCI|Memory: \d+K|Unable to find available)|[Cc]ould not claim|can't claim|hypervisor allocated .* conflicts with E820",
        RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture);

    private static readonly Regex s_firmwareMapLine = new(
        @"^\(d\d+\) +(e820 map has \d+ items:|\d+: [0-9a-f]{16} - [0-9a-f]{16} = \d+ )", RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture);

    public static string Write(XenRun run)
    {
        var record = new StringBuilder();
        foreach (string line in Untangle(run.Serial).Split('\n').Where(line => s_xenLine.IsMatch(line) || s_dom0KernelLine.IsMatch(line)))
            record.Append(line).Append('\n');
        if (run.End == RunEnd.Halted)
            return record.Append("=== HALTED\n").ToString();
        foreach (string line in CutSections(run.Answers.Split('\n')))
            record.Append(line).Append('\n');
        return record.ToString();
    }

    // Xen may print whole lines of its own in the middle of one of dom0's; taken out, dom0's halves meet again.
    private static string Untangle(string serial)
    {
        const string Prefix = "(XEN) ";
        var text = new StringBuilder(serial.Length);
        foreach (string line in serial.Split('\n'))
        {
            int inside = line.IndexOf(Prefix, 1 < line.Length ? 1 : 0, StringComparison.Ordinal);
            if (inside > 0)
                text.Append(line.AsSpan(0, inside));
            else
                text.Append(line).Append('\n');
        }

        return text.ToString();
    }

    private static IEnumerable<string> CutSections(string[] lines)
    {
        string section = "";
        bool handedOver = false;
        foreach (string line in lines)
        {
            if (line.Length == 0)
                continue;
            if (line.StartsWith("=== ", StringComparison.Ordinal))
            {
                section = line;
                handedOver = false;
                yield return line;
                continue;
            }

            bool matters = section switch
            {
                "=== XL" => s_xlLine.IsMatch(line),
                "=== KERNEL" => s_guestKernelLine.IsMatch(line),
                "=== HVMLOADER" => !handedOver || s_firmwareMapLine.IsMatch(line),
                // What the kernel still says while it ends itself comes before the console is read, or does not.
                "=== DONE" => false,
                _ => true,
            };
            // Of the firmware's own messages behind it only the map that it hands over counts.
            handedOver |= line.Contains(") Invoking ", StringComparison.Ordinal);
            if (matters)
                yield return line;
        }
    }
}
