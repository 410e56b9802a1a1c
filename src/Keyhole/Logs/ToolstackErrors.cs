// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Logs;

/// <summary>What a toolstack says of a guest that it does not create: no kernel of the guest runs, so nothing else tells of it.</summary>
public static class ToolstackErrors
{
    internal const string Libxls = "libxl: error";
    internal const string Libxcs = "xc: error";
    internal const string Xenopsds = "xenguesthelper";

    /// <summary>libvirt's own log of libxl and libxc (<c>libxl-driver.log</c>) leaves the level out.</summary>
    internal const string LibvirtsLibxl = "libxl: libxl_";
    internal const string LibvirtsLibxc = "xc: panic:";

    internal const string Xls = "failed to free memory for the domain";

    private static readonly string[] s_marks = [Libxls, Libxcs, LibvirtsLibxl, LibvirtsLibxc, Xenopsds, Xls];

    /// <summary>libxc says "Out of memory" of whatever kept it from laying the guest's memory out; libxl then says what it was.</summary>
    internal const string LayOut = "can't allocate low memory for domain";
    private const string WhyNoLayOut = "xc_dom_boot_mem_init failed: ";

    /// <summary>What Xen says of a device that it does not give to a guest; the toolstack then says that the device failed.</summary>
    internal const string NotAssigned = "disallowed to assign";

    /// <summary>libxl says so as an error, and goes on: "The kernel doesn't support reset from sysfs for PCI device".</summary>
    private const string Reset = "libxl__device_pci_reset";

    /// <summary>After these a guest is not created. Of a device the function tells: <c>xl pci-attach</c> to a guest that runs does not come
    /// through these.</summary>
    private static readonly string[] s_ends =
        ["(re-)build domain", "panic:", "xc_assign_device failed", "Destruction of domain", "annot make domain", "device model did not start",
            ":unable to add ", ": unable to add ", ":domcreate_attach_pci:", ":libxl__add_pcidevs:",
            ":libxl__domain_config_setdefault:", ":initiate_domain_create:", Xls];

    /// <summary>The words that are nearest to the reason, where the log says that a guest was not created; else null.</summary>
    public static LogFact<string>? Of(LogScan scan)
    {
        ArgumentNullException.ThrowIfNull(scan);
        LogFact<string>? first = null;
        LogFact<string>? xens = null;
        bool isEnd = false;
        foreach (LogLine line in scan.Lines)
        {
            if (line.Speaker == LogSpeaker.Xen)
            {
                if (line.Text.Contains(NotAssigned, StringComparison.Ordinal))
                    xens ??= new(line.Text.Trim(), line.Number);
                continue;
            }

            foreach (string mark in s_marks)
            {
                int at = line.Text.IndexOf(mark, StringComparison.Ordinal);
                if (at < 0 || line.Text.Contains(Reset, StringComparison.Ordinal))
                    continue;
                bool isBetter = first is { } before && before.Value.Contains(LayOut, StringComparison.Ordinal)
                    && line.Text.Contains(WhyNoLayOut, StringComparison.Ordinal);
                if (first is null || isBetter)
                    first = new(line.Text[at..].TrimEnd(), line.Number);
                foreach (string end in s_ends)
                    isEnd |= line.Text.Contains(end, StringComparison.Ordinal);
            }
        }

        return isEnd ? xens ?? first : null;
    }
}
