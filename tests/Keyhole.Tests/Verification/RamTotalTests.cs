// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Verification;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Verification;

/// <summary>The total of a kernel's "Memory: x/y available" beside the RAM of its map.</summary>
[TestClass]
public sealed partial class RamTotalTests
{
    private static readonly string[] s_log = GoldenBoots.Lines("seed8g");

    /// <summary>What every rule here rests on: of all boots in the fixtures whose map and total both are in the log, the total is the map's.</summary>
    [TestMethod]
    public void Every_recorded_kernel_counts_the_RAM_of_its_map_to_the_page()
    {
        int count = 0;
        foreach (string path in Directory.EnumerateFiles(Path.Combine(AppContext.BaseDirectory, "fixtures"), "*", SearchOption.AllDirectories)
            .Where(static path => Path.GetExtension(path) is ".log" or ".txt" or ".dmesg"))
        {
            LogScan scan = LogScanner.ScanWithPci(new MemoryStream(File.ReadAllBytes(path)), path);
            foreach (ObservedBoot boot in BootLog.Of(scan))
            {
                LogMap? map = boot.Map ?? FirmwareVerifier.WithMap(boot with { LastLine = scan.LineCount }, scan)?.Map;
                if (boot is not { Facts.Memory: { } memory, UserMap: null, MapMayEndEarly: false } || map is not { Error: null, Cuts.IsEmpty: true }
                    || map.Kind == LogMapKind.Dom0BuiltByXen)
                    continue;
                Assert.AreEqual(memory.Value.TotalKiB, RamTotal.KiBIn(map.Entries), $"{path}, line {memory.Line}");
                count++;
            }
        }

        Assert.IsGreaterThan(100, count);
    }

    [TestMethod]
    public void A_total_that_is_the_maps_is_compared_and_agrees()
    {
        BootVerification verification = Verify(s_log);

        Assert.IsTrue(verification.Agrees);
        Assert.Contains(static finding => finding is { What: RamTotal.What, Agrees: true }, verification.Findings);
    }

    [TestMethod]
    [DataRow(4)]
    [DataRow(1048576)]
    [DataRow(-4)]
    [DataRow(-65536)]
    public void A_total_that_the_map_cannot_have_differs_where_all_lines_of_the_map_agree(int kib)
    {
        BootVerification verification = Verify(WithTotal(s_log, kib));

        Assert.AreEqual(RamTotal.What, verification.Differences.Single().What);
        Assert.Contains("whether this line is of the same boot as the map is the first thing to look at", Words(verification));
    }

    [TestMethod]
    [DataRow("mem=2G")]
    [DataRow("memmap=1M$64M")]
    public void What_the_kernels_own_command_line_decides_is_not_compared(string option)
    {
        BootVerification verification = Verify([.. WithTotal(s_log, -65536)
            .Select(line => line.Contains("] Command line: ", StringComparison.Ordinal) ? $"{line} {option}" : line)]);

        Assert.DoesNotContain(static finding => finding.What == RamTotal.What, verification.Findings);
    }

    [TestMethod]
    [DataRow("e820: update [mem 0x10000000-0x13ffffff] usable ==> reserved", -65536, true)]
    [DataRow("e820: update [mem 0x10000000-0x13ffffff] usable ==> reserved", 0, true)]
    [DataRow("e820: update [mem 0x10000000-0x13ffffff] usable ==> reserved", -65540, false)]
    [DataRow("e820: update [mem 0x10000018-0x10002fff] usable ==> usable", -65536, false)]
    public void What_a_kernel_says_that_it_takes_out_of_its_map_is_taken_off(string edit, int kib, bool agrees)
    {
        string[] lines = [.. WithTotal(s_log, kib)
            .SelectMany(line => Total().IsMatch(line) && line.StartsWith('[') ? (string[])[$"[    0.000000] {edit}", line] : [line])];

        Assert.AreEqual(agrees, Verify(lines).Agrees);
    }

    /// <summary>A kernel of 32 bits without PAE reaches 4 GiB; one that names itself a 64-bit one reaches all.</summary>
    [TestMethod]
    [DataRow("6.12.117+deb12-amd64", false)]
    [DataRow("6.12.117-lts", true)]
    [DataRow("6.12.117-686", true)]
    public void What_a_kernel_of_32_bits_does_not_reach_is_no_difference(string release, bool agrees)
    {
        string log = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "kvm", "verify", "sea-ports.log"))
            .Replace("6.12.117+deb12-amd64", release, StringComparison.Ordinal).Replace("4005048K/4193784K", "2005048K/2096632K",
                StringComparison.Ordinal);
        using var stream = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(log));
        LogScan scan = LogScanner.ScanWithPci(stream, "dmesg");
        using var command = new MemoryStream(File.ReadAllBytes(
            Path.Combine(AppContext.BaseDirectory, "fixtures", "kvm", "verify", "sea-ports.cmd")));
        Scenario scenario = new()
        {
            Host = Host.Unknown,
            Guest = GuestReader.Read(command, "guest").Value!.Guest,
            Qemu = new() { Emulator = new QemuVersion(7, 2) },
        };
        ObservedBoot boot = FirmwareVerifier.BootsIn(scan)[0];

        BootVerification verification = FirmwareVerifier.Compare(Planner.Plan(FirmwareVerifier.WithEvidence(scenario, boot, scan)), boot, scan);

        Assert.AreEqual(agrees, verification.Findings.Single(static finding => finding.What == RamTotal.What).Agrees);
    }

    /// <summary>dom0's is the first in this log.</summary>
    private static string[] WithTotal(string[] lines, int moreKiB)
    {
        int at = Array.FindIndex(lines, static line => line.StartsWith('[') && Total().IsMatch(line));
        string changed = Total().Replace(lines[at], match =>
            $"K/{long.Parse(match.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture) + moreKiB}K available");
        return [.. lines[..at], changed, .. lines[(at + 1)..]];
    }

    private static BootVerification Verify(string[] lines)
    {
        (BootForecast forecast, ObservedBoot boot) = GoldenBoots.Dom0(lines);
        return Verifier.Compare(forecast, boot);
    }

    private static string Words(BootVerification verification) => string.Join('\n', verification.Explanations.Select(static text => text.ToString()));

    [GeneratedRegex(@"K/(\d+)K available")]
    private static partial Regex Total();
}
