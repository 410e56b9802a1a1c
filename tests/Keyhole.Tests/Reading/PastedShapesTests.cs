// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Keyhole.Diagnostics;
using Keyhole.Logs;
using Keyhole.Pci;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Reading;

/// <summary>What mail programs, forums, web pages, terminals and log collectors do to a text that people paste changes nothing of what it says.</summary>
[TestClass]
public sealed class PastedShapesTests
{
    /// <summary>What frames a whole line of any text.</summary>
    private static readonly (string Name, Func<string, string> Of)[] s_frames =
    [
        ("cited", static text => EachLine(text, static (line, _) => $"> {line}")),
        ("cited again", static text => EachLine(text, static (line, _) => $"> > {line}")),
        ("carriage returns", static text => EachLine(text, static (line, _) => $"{line}\r")),
        ("indented", static text => EachLine(text, static (line, _) => $"    {line}")),
        ("tab", static text => EachLine(text, static (line, _) => $"\t{line}")),
        ("code", static text => $"[code]{text}[/code]"),
        ("noformat", static text => $"{{noformat}}\n{text}{{noformat}}\n"),
        ("fence", static text => $"this is it:\n```\n{text}```\n"),
        ("page", static text => $"<p><code>{WebUtility.HtmlEncode(text)}</code></p>\n"),
        ("hard blanks", static text => WebUtility.HtmlEncode(text).Replace("  ", "&nbsp; ", StringComparison.Ordinal)),
        ("hard blanks everywhere", static text => text.Replace(" ", "&nbsp;", StringComparison.Ordinal)),
        ("line breaks", static text => EachLine(WebUtility.HtmlEncode(text), static (line, _) => $"{line}<br>")),
        ("line breaks alone", static text => WebUtility.HtmlEncode(text.TrimEnd('\n')).Replace("\n", "<br />", StringComparison.Ordinal)),
        ("numbered characters", static text => Everywhere(text, "[]()-:", static sign => $"&#{(int)sign};")),
        ("characters by hex", static text => Everywhere(text, "[]()-", static sign => $"&#x{(int)sign:x};")),
        ("characters by name", static text => Everywhere(text, "[]():", static sign => sign switch
        {
            '[' => "&lsqb;", ']' => "&rsqb;", '(' => "&lpar;", ')' => "&rpar;", _ => "&colon;",
        })),
        ("Markdown's escapes", static text => Everywhere(text, "[]()-", static sign => $"\\{sign}")),
        ("full width", static text => Everywhere(text, "0123456789", static sign => $"{(char)(sign + 0xfee0)}")),
        ("full width throughout", static text => string.Concat(text.Select(static sign => sign is > ' ' and <= '~' ? (char)(sign + 0xfee0) : sign))),
        ("wide blanks", static text => Everywhere(text, " ", static _ => "\u3000")),
        ("narrow blanks", static text => Everywhere(text, " ", static _ => "\u202f")),
        ("hyphens that do not break", static text => Everywhere(text, "-", static _ => "\u2011")),
        ("minus signs", static text => Everywhere(text, "-", static _ => "\u2212")),
        ("long dashes", static text => Everywhere(text, "-", static _ => "\u2014")),
        ("soft hyphens", static text => Everywhere(text, "-", static _ => "\u00ad-")),
        ("word joiners", static text => Everywhere(text, "-x", static sign => $"\u2060{sign}\u200b")),
        ("overstruck", static text => Everywhere(text, "ReM", static sign => $"{sign}\b{sign}")),
        ("escapes made visible", static text => EachLine(text,
            static (line, _) => $"^[[32m{line.Insert(Math.Min(line.Length, 12), "ESC[0;1m")}^[[0m")),
        ("colours", static text => EachLine(text, static (line, _) => $"\x1b[1;32m\x1b[K{line}\x1b[m\x1b[K")),
        ("colours amid", static text => EachLine(text, static (line, _) => line.Insert(Math.Min(line.Length, 12), "\x1b[0m\x1b[33m"))),
        ("quoted-printable", static text => $"From: a@b\nMessage-ID: <1>\nContent-Transfer-Encoding: quoted-printable\n\n"
            + text.Replace("=", "=3D", StringComparison.Ordinal)),
        ("base64", static text => $"From: a@b\nMessage-ID: <1>\nContent-Transfer-Encoding: base64\n\n"
            + $"{Convert.ToBase64String(Encoding.UTF8.GetBytes(text), Base64FormattingOptions.InsertLineBreaks)}\n"),
    ];

    /// <summary>What collectors and consoles put before a log's lines.</summary>
    private static readonly (string Name, Func<string, string> Of)[] s_prefixes =
    [
        ("dashes", static text => text.Replace("-0x", "\u20130x", StringComparison.Ordinal).Replace(" - ", " \u2013 ", StringComparison.Ordinal)),
        ("zero width", static text => EachLine(text, static (line, _) => $"\u200b{line}")),
        ("grep -n", static text => EachLine(text, static (line, i) => $"dmesg.txt:{i}:{line}")),
        ("grep -n alone", static text => EachLine(text, static (line, i) => $"{i}:{line}")),
        ("cat -n", static text => EachLine(text, static (line, i) => string.Create(CultureInfo.InvariantCulture, $"{i,6}\t{line}"))),
        ("pstore", static text => EachLine(text, static (line, i) => $"<{i % 8}>{line}")),
        ("console log", static text => EachLine(text, static (line, i) =>
            string.Create(CultureInfo.InvariantCulture, $"[2026-11-28 04:19:{i % 60:00}] {line}"))),
        ("syslog", static text => EachLine(text, static (line, _) => $"Nov 28 22:11:01 host kernel: {line}")),
        ("iso", static text => EachLine(text, static (line, _) => $"2026-11-28T22:11:01.123456+0100 host kernel: {line}")),
        ("dmesg -x", static text => EachLine(text, static (line, _) => $"kern  :info  : {line}")),
        ("logread", static text => EachLine(text, static (line, _) => $"Sat Nov 28 22:11:01 2026 kern.info kernel: {line}")),
        ("journalctl -o json", static text => EachLine(text, static (line, _) =>
            $"{{\"PRIORITY\":\"6\",\"MESSAGE\":{JsonSerializer.Serialize(line)},\"_BOOT_ID\":\"ab\"}}")),
        ("journalctl -o json-pretty", static text => EachLine(text, static (line, _) =>
            $"{{\n\t\"__CURSOR\" : \"s=1\",\n\t\"MESSAGE\" : {JsonSerializer.Serialize(line)}\n}}")),
        ("dmesg -J", static text => $"{{\n   \"dmesg\": [\n{EachLine(text, static (line, _) =>
            $"      {{\n         \"pri\": 6,\n         \"msg\": {JsonSerializer.Serialize(line)}\n      }},")}   ]\n}}\n"),
        ("dmesg -J in one line", static text => $"{{\"dmesg\":[{EachLine(text, static (line, _) =>
            $"{{\"pri\":6,\"msg\":{JsonSerializer.Serialize(line)}}},").Replace("\n", "", StringComparison.Ordinal)}]}}\n"),
        ("a container's log", static text => EachLine(text, static (line, _) =>
            $"{{\"log\":{JsonSerializer.Serialize(line + "\r\n")},\"stream\":\"stdout\",\"time\":\"2026\"}}")),
        ("Xen's clock", static text => text.Replace("(XEN) ", "(XEN) [2026-11-28 22:11:01.123] ", StringComparison.Ordinal)),
        ("Xen's uptime", static text => text.Replace("(XEN) ", "(XEN) [    5.040906] ", StringComparison.Ordinal)),
        ("Xen's counter", static text => text.Replace("(XEN) ", "(XEN) [00000012f6a8b3c4] ", StringComparison.Ordinal)),
    ];

    [TestMethod]
    public void A_log_says_the_same_in_every_shape()
    {
        foreach (string path in MapFixtures.GoldenLogs())
        {
            // Latin-1: the logs are of bytes. What a collector takes in is the kernel's log, not a listing of /proc/iomem.
            string text = string.Concat(File.ReadLines(path, Encoding.Latin1).Where(static line => !line.Contains('\x1b', StringComparison.Ordinal))
                .Select(static line => $"{line.TrimEnd('\r')}\n"));
            string expected = Said(text);
            foreach ((string name, Func<string, string> of) in s_frames.Concat(s_prefixes))
            {
                bool hasIndentedPrefix = s_prefixes.Any(prefix => prefix.Name == name);
                string own = hasIndentedPrefix ? Said(WithoutIomem(text)) : expected;
                Assert.AreEqual(own, Said(of(hasIndentedPrefix ? WithoutIomem(text) : text)), $"{name}: {Path.GetFileName(path)}");
            }
        }
    }

    [TestMethod]
    [DataRow("", "\n", "")]
    [DataRow("> ", "\n> ", "")]
    [DataRow("(XEN) hello\n", "\n", "")]
    [DataRow("", "\n", "\nNobody knows why.\n")]
    public void What_a_kernel_says_of_itself_and_of_its_end_goes_on_where_a_mail_program_has_wrapped_it(string before, string seam, string behind)
    {
        string text = $"{before}[    0.000000] Linux version 6.8.0-48-generic (root@build) (gcc-12{seam}(Ubuntu-12.3.0) 12.3.0) #48~22.04.1 SMP (Ubuntu "
            + $"6.8.0-48.48~22.04.1-generic{seam}6.8.12)\n{before}[    0.100000] Kernel panic - not syncing: Attempted to kill init!{seam}"
            + $"exitcode=0x0000000b\n{behind}";
        ObservedBoot boot = BootLog.Of(LogScanner.Scan(new MemoryStream(Encoding.UTF8.GetBytes(text)), "f")).Single();

        Assert.AreEqual(new(6, 8, 12), boot.Kernel);
        Assert.AreEqual("Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b", boot.BootFailure!.Value.Value.Words);
    }

    [TestMethod]
    public void A_short_last_line_does_not_go_on_with_what_somebody_writes_below_it()
    {
        const string text = "[    0.100000] Kernel panic - not syncing: No working init found.\nHelp is welcome.\n";
        ObservedBoot boot = BootLog.Of(LogScanner.Scan(new MemoryStream(Encoding.UTF8.GetBytes(text)), "f")).Single();

        Assert.AreEqual("Kernel panic - not syncing: No working init found.", boot.BootFailure!.Value.Value.Words);
    }

    [TestMethod]
    public void A_list_of_devices_says_the_same_in_every_shape()
    {
        const string listing = "00:06.0 3D controller: A GPU (rev a1)\n\tRegion 0: Memory at d0000000 (32-bit, non-prefetchable) [size=16M]\n"
            + "\tRegion 1: Memory at 383800000000 (64-bit, prefetchable) [size=16G]\n\tRegion 3: Memory at <unassigned> (64-bit, prefetchable)\n\n"
            + "00:07.0 Audio device: Its sound\n\tRegion 0: Memory at d1000000 (32-bit, non-prefetchable) [size=16K]\n";
        string expected = Listed(listing);
        Assert.HasCount(2, expected.Split('|'));
        foreach ((string name, Func<string, string> of) in s_frames)
            Assert.AreEqual(expected, Listed(of(listing)), name);
    }

    private static string WithoutIomem(string text) => string.Concat(text.Split('\n')
        .Where(static line => !line.TrimStart().Contains(" : ", StringComparison.Ordinal) || line.Contains("(XEN)", StringComparison.Ordinal))
        .Select(static line => $"{line}\n"));

    private static string Everywhere(string text, string signs, Func<char, string> instead) =>
        string.Concat(text.Select(sign => signs.Contains(sign, StringComparison.Ordinal) ? instead(sign) : $"{sign}"));

    private static string EachLine(string text, Func<string, int, string> make) =>
        string.Concat(text.TrimEnd('\n').Split('\n').Select((line, index) => $"{make(line, index + 1)}\n"));

    private static string Listed(string text)
    {
        Parsed<PciListing> parsed = BarReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "f");
        Assert.IsTrue(parsed.TryGet(out PciListing? listing, out InputError? error), $"{error}\n{text}");
        return string.Join("|", listing.Devices.Select(static device =>
            $"{device.Address} {device.Description} {string.Join(",", device.Bars)} {string.Join(",", device.Unplaced)}"));
    }

    private static string Said(string text)
    {
        LogScan scan = LogScanner.ScanWithPci(new MemoryStream(Encoding.UTF8.GetBytes(text)), "f");
        var said = new StringBuilder();
        foreach (LogMap map in scan.Maps)
            said.AppendLine(CultureInfo.InvariantCulture, $"{map.Kind} {map.Dialect} {map.Error?.What} {string.Join(";", map.Entries)}");
        HostTraits(said, scan);
        foreach (ObservedBoot boot in BootLog.Of(scan))
        {
            // Where it stands is the shape's.
            string facts = Regex.Replace($"{boot.Facts} {boot.Builder} {boot.Segments} {boot.EndedByXen}", @"Line = \d+", "");
            said.AppendLine(CultureInfo.InvariantCulture, $"{boot.Number} {boot.Owner} {boot.Release?.Value} {boot.Kernel} {boot.Halts} {facts}");
        }

        return said.ToString();
    }

    private static void HostTraits(StringBuilder said, LogScan scan) => said.AppendLine(CultureInfo.InvariantCulture,
        $"{scan.Traits.CpuVendor} {scan.Traits.PhysicalAddressBits} {scan.Traits.XenVersion} {string.Join(",", scan.Traits.ReservedDeviceMemory)} "
            + $"{string.Join(",", scan.Traits.RootWindows)} {string.Join(",", scan.Traits.Iommus)}");
}
