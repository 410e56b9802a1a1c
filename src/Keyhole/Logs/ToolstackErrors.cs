// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Reading;

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

    /// <summary>What xl prints first.</summary>
    internal const string Start = "Parsing config from ";

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

    /// <summary>How what a guest leaves behind is taken away. Behind a reason these end a creation, by themselves they are of a guest that ran and
    /// is shut down.</summary>
    private static readonly string[] s_removals =
        ["unable to remove device", "devices_destroy", "libxl__destroy_domid", "Destruction of domain", "nable to destroy guest"];

    /// <summary>The words that are nearest to the reason, where the log says that a guest was not created; else null. Of several guests the last one
    /// that was started counts.</summary>
    public static LogFact<string>? Of(LogScan scan)
    {
        ArgumentNullException.ThrowIfNull(scan);
        List<(LogFact<string> Words, int Start, int? Domain)> said = [];
        int starts = 0;
        int lastStart = 0;
        foreach (LogLine line in scan.Lines)
        {
            if (line.Speaker == LogSpeaker.Xen)
                continue;
            if (line.Text.Contains(Start, StringComparison.Ordinal))
                (starts, lastStart) = (starts + 1, line.Number);
            int mark = MarkIn(line.Text);
            if (mark < 0 && line.Text.Contains(Vocabulary.Segment, StringComparison.Ordinal))
                lastStart = line.Number;
            if (mark >= 0 && !line.Text.Contains(Reset, StringComparison.Ordinal))
                said.Add((new(line.Text[mark..].TrimEnd(), line.Number), starts, DomainIn(line.Text)));
        }

        // What names no domain is of the one that is named next, or else of the one before.
        for (int i = said.Count - 2; i >= 0; i--)
        {
            if (said[i].Domain is null && said[i].Start == said[i + 1].Start)
                said[i] = said[i] with { Domain = said[i + 1].Domain };
        }

        for (int i = 1; i < said.Count; i++)
        {
            if (said[i].Domain is null && said[i].Start == said[i - 1].Start)
                said[i] = said[i] with { Domain = said[i - 1].Domain };
        }

        LogFact<string>? last = null;
        int? domain = null;
        int end = 0;
        foreach (var attempt in said.GroupBy(static one => (one.Start, one.Domain)))
        {
            if (ReasonIn(attempt.Select(static one => one.Words)) is not { } reason)
                continue;
            (last, domain, end) = (reason, attempt.Key.Domain, attempt.Last().Words.Line);
        }

        // A further guest of which no such word follows was created.
        return last is null || lastStart > end ? null : XensWord(scan, domain) ?? last;
    }

    private static LogFact<string>? ReasonIn(IEnumerable<LogFact<string>> attempt)
    {
        LogFact<string>? first = null;
        bool isEnd = false;
        foreach (LogFact<string> words in attempt)
        {
            bool isRemoval = Array.Exists(s_removals, part => words.Value.Contains(part, StringComparison.Ordinal));
            if (isRemoval && first is null)
                continue;
            bool isBetter = first is { } before && before.Value.Contains(LayOut, StringComparison.Ordinal)
                && words.Value.Contains(WhyNoLayOut, StringComparison.Ordinal);
            if (first is null || isBetter)
                first = words;
            isEnd |= Array.Exists(s_ends, end => words.Value.Contains(end, StringComparison.Ordinal));
        }

        return isEnd ? first : null;
    }

    /// <summary>"It's disallowed to assign 0000:00:1a.0 with shared RMRR at db7d7000 for d1."</summary>
    private static LogFact<string>? XensWord(LogScan scan, int? domain)
    {
        foreach (LogLine line in scan.Lines)
        {
            if (line.Speaker != LogSpeaker.Xen || !line.Text.Contains(NotAssigned, StringComparison.Ordinal))
                continue;
            bool isOthers = TextCursor.TryBehind(line.Text, " for d", out TextCursor cursor) & cursor.TryDecimal(out uint whose)
                && domain is { } known && known != whose;
            if (!isOthers)
                return new(line.Text.Trim(), line.Number);
        }

        return null;
    }

    private static int MarkIn(string text)
    {
        foreach (string mark in s_marks)
        {
            int at = text.IndexOf(mark, StringComparison.Ordinal);
            if (at >= 0)
                return at;
        }

        return -1;
    }

    /// <summary>Before it has a number a domain is called 4294967295.</summary>
    private static int? DomainIn(string text) => TextCursor.TryBehind(text, "Domain ", out TextCursor cursor) && cursor.TryDecimal(out uint domain)
        && domain <= ushort.MaxValue && cursor.TryText(":") ? (int)domain : null;
}
