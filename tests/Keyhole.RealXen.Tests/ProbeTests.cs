// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hypercalls;
using Keyhole.Probing;
using Keyhole.PvGuest;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.RealXen.Tests;

/// <summary>The probe kernel on the real Xen: as dom0 on the hosts of the golden records, as a guest with a card, and where Xen must
/// refuse.</summary>
[TestClass]
[TestCategory("RealXen")]
public sealed class ProbeTests
{
    private const string EINVAL = "-22";
    private const string EPERM = "-1";
    private const double WantedSeconds = 5;
    private const int MaxRuns = 4;

    public TestContext TestContext { get; set; } = null!;

    [TestMethod]
    [DataRow("dom0-512")]
    [DataRow("dom0-relocate")]
    [DataRow("frag")]
    [DataRow("hole1g")]
    [DataRow("no-high")]
    [DataRow("odd-mem")]
    [DataRow("plain4g")]
    [DataRow("seed8g")]
    [DataRow("seed8g-3g")]
    [DataRow("unusable")]
    public void Forecast_probe_and_Linux_agree_on_pages_and_map_of_a_dom0(string name)
    {
        ProbeReport report = AsDom0(ScenarioFile.Load(name), "mode=remap check=no");
        GoldenRecord linux = Golden.Record(name);

        AssertWorks(report);
        Assert.AreEqual(linux.Dom0Kernel.ReleasedPages, (long)report.ReleasedPages);
        Assert.AreEqual(linux.Dom0Kernel.RemappedPages, (long)report.RemappedPages);
        CollectionAssert.AreEqual(linux.Dom0Kernel.E820.ToArray(), report.KernelMap.ToArray());
        Assert.AreEqual(linux.Dom0Kernel.PciGap, (report.PciGap.Start, report.PciGap.End));
    }

    [TestMethod]
    public void On_the_seeds_machine_283_999_pages_are_remapped_and_every_page_verified()
    {
        ProbeReport report = AsDom0(ScenarioFile.Load("seed8g-all") with { DeadlineSeconds = 600 }, "mode=remap");

        AssertWorks(report);
        Assert.AreEqual(283_999UL, report.RemappedPages);
        Assert.AreEqual("283999", Detail(report, "displacedPages", "pages"));
        // Two hypercalls a page is what Linux makes: the M2P update and the mapping.
        Assert.IsLessThanOrEqualTo(2 * 283_999UL / 100, report.Phase("remap")!.Hypercalls);
        TestContext.WriteLine($"remap: {report.Phase("remap")!.Hypercalls} hypercalls, {report.MillisecondsOf("remap"):F0} ms");
    }

    [TestMethod]
    public void On_the_seeds_machine_283_999_pages_are_released_and_populated()
    {
        ProbeReport report = AsDom0(ScenarioFile.Load("seed8g-all"), "mode=populate check=no");

        AssertWorks(report);
        Assert.AreEqual(283_999UL, report.ReleasedPages);
        Assert.AreEqual(283_999UL, report.PopulatedPages);
        Assert.IsLessThanOrEqualTo(2 * 283_999UL / 100, report.Phase("release")!.Hypercalls + report.Phase("populate")!.Hypercalls);
    }

    [TestMethod]
    public void Of_512_MiB_every_page_is_looked_at_in_less_than_5_seconds()
    {
        Scenario host = (ScenarioFile.Load("dom0-512") with { Name = "dom0-512-pages" }).AsDom0();
        double seconds = double.MaxValue;
        // On a computer that does other things besides, one run may take as long as it likes.
        for (int run = 0; run < MaxRuns && seconds >= WantedSeconds; run++)
        {
            XenRun made = XenMachine.Run(host);
            ProbeReport report = Report(made.Serial);

            AssertWorks(report);
            Assert.IsGreaterThan(125_000UL, report.Phase("read")!.PageCount);
            seconds = System.Math.Min(seconds, made.Elapsed.TotalSeconds);
        }

        TestContext.WriteLine($"from QEMU's start to the verdict: {seconds:F1} s");
        Assert.IsLessThan(WantedSeconds, seconds);
    }

    [TestMethod]
    public void Firmware_data_that_linux_7_2_moves_away_is_not_written_to()
    {
        // ACPI NVS where the probe's image lies: 7.2 puts it behind the RAM of its own.
        Scenario host = Host("nvs-under-kernel", "100000 180000 ram", "180000 190000 nvs", "190000 10000000 ram");
        foreach (string dom0 in (string[])["dom0_mem=64M", "dom0_mem=64M,max:64M"])
        {
            // With extra memory the list of frames reaches there anyway; without any it must be made to.
            ProbeReport report = AsDom0(host with { Xen = dom0 }, "kernel=linux-7.2");

            AssertWorks(report);
            Assert.AreEqual("16", Detail(report, "nonRam", "pages"));
            Assert.AreEqual(0x180UL, report.P2m.Single(run => run.Kind == P2mKind.NonRam).Mfn.Value);
        }
    }

    [TestMethod]
    [DataRow("linux-3.3")]
    [DataRow("linux-3.4")]
    [DataRow("linux-4.4")]
    [DataRow("linux-6.1")]
    [DataRow("linux-6.6")]
    [DataRow("linux-7.2")]
    public void On_a_map_with_holes_the_probe_works_as_any_kernel_and_as_forecast(string kernel) =>
        AssertWorks(AsDom0(ScenarioFile.Load("frag"), $"check=no kernel={kernel}"));

    [TestMethod]
    public void On_a_map_with_little_low_RAM_the_tables_lie_in_pages_that_are_moved_up_and_every_page_is_looked_at()
    {
        // 12 MiB below a hole of 244 MiB: less than the list of frames and the tables take.
        ProbeReport report = AsDom0(Host("little-low-ram", "100000 c00000 ram", "c00000 10000000 nvs", "10000000 28000000 ram") with
        {
            Xen = "dom0_mem=320M",
        }, "");

        AssertWorks(report);
        Assert.IsGreaterThan(50_000UL, report.RemappedPages);
        TestContext.WriteLine($"{report.RemappedPages} pages moved, {report.Phase("read")!.PageCount} looked at");
        Assert.IsGreaterThan(70_000UL, report.Phase("read")!.PageCount);
    }

    [TestMethod]
    public void Page_tables_are_kept_for_pages_that_there_are()
    {
        // 64 MiB, and 640 MiB of extra memory, which would take 320 tables; the list of frames takes 736.
        ProbeReport report = AsDom0(Host("no-max", "100000 10000000 ram") with { Xen = "dom0_mem=64M" }, "check=no");

        AssertWorks(report);
        Assert.AreEqual(10UL * 64 << 20, report.Extra.Aggregate(0UL, (sum, range) => sum + range.SizeBytes) + (report.RemappedPages << 12));
        Assert.IsLessThan(1000UL, report.Phase("tables")!.PageCount);
    }

    [TestMethod]
    public void A_hole_where_start_info_lies_stops_the_probe_as_it_stops_linux_7_2()
    {
        GuestLayout layout = AsDom0(Host("start-info", "100000 10000000 ram"), "check=no balloon=0").Layout;
        // The builder puts start_info between the list and the page tables.
        (ulong start, ulong end) = (layout.P2mList.End, layout.PageTables.Start);
        ProbeReport report = AsDom0(
            Host("start-info-hole", $"100000 {start:x} ram", $"{start:x} {end:x} reserved", $"{end:x} 10000000 ram"),
            "kernel=linux-7.2 check=no balloon=0");

        Assert.AreEqual(HaltReason.StartInfoConflict, report.Halt);
        Assert.AreEqual(layout.P2mList.End, report.Layout.StartInfo.Start);
        Assert.AreEqual(HaltReason.StartInfoConflict, Forecaster.Forecast(report.ToRequest()).Halt);
    }

    [TestMethod]
    public void The_balloon_takes_as_many_pages_as_it_is_told_from_as_many_runs_as_that_needs()
    {
        // Behind the guest's initial 64 MiB lies a hole, and behind that the 113 pages that were moved.
        ProbeReport report = AsDom0(Host("short-top", "100000 3000000 ram", "3000000 3010000 reserved", "3010000 4000000 ram",
            "4000000 4010000 reserved", "4010000 10000000 ram"), "balloon=300");

        AssertWorks(report);
        Assert.AreEqual("300", Detail(report, "balloon", "down"));
        Assert.AreEqual("300", Detail(report, "balloon", "up"));
    }

    [TestMethod]
    public void A_register_beyond_the_probes_own_addresses_is_read_too()
    {
        // 512 GiB up is no RAM, and dom0 may map what is none.
        ProbeReport report = AsDom0(Host("far-register", "100000 10000000 ram"), "bar=0x8000000000+8");

        AssertWorks(report);
        Assert.AreEqual("0x8000000", Detail(report, "bar", "pfn"));
    }

    [TestMethod]
    public void Behind_its_map_linux_3_4_knows_no_identity_and_the_probe_reads_no_register_there()
    {
        ProbeReport report = AsDom0(Host("no-identity", "100000 10000000 ram"), "kernel=linux-3.4 bar=0x4000000000");

        Assert.AreEqual("bar", report.Checks.Single(check => !check.Passed).Name);
        Assert.AreEqual("False", Detail(report, "bar", "identity"));
    }

    [TestMethod]
    public void A_long_word_that_means_nothing_leaves_the_report_whole() =>
        AssertWorks(AsDom0(Host("long-word", "100000 10000000 ram"), new string('w', 980)));

    [TestMethod]
    public void Guests_read_a_cards_register_through_the_identity_mapping_and_report_what_Xen_refuses_and_what_traps()
    {
        XenRun run = XenMachine.Run((ScenarioFile.Load("passthrough") with
        {
            Name = "probe-guests",
            Steps =
            [
                Probe.AsGuest("card", "bar=0xfebc0000+8 try-forbidden=0xfee00000 try-foreign-mfn=0x1000", "memory=128", "e820_host=1",
                    "pci=['00:02.0']"),
                Probe.AsGuest("none", "bar=0xfebc0000+8", "memory=64", "e820_host=1"),
                Probe.AsGuest("lacks", "try-populate=100000",
                    "memory=64") with { Map = ScenarioFile.ParseMap(["0 3000000 ram", "3800000 10000000 ram"]) },
                Probe.AsGuest("far", "", "memory=64") with { Map = ScenarioFile.ParseMap(["0 2000000 ram", "8000000000 8002000000 ram"]) },
                Probe.AsGuest("traps", "balloon=0 touch=0x12345678", "memory=64"),
                Probe.AsGuest("wild", "balloon=0 touch=0x8000000000000000", "memory=64"),
                Probe.AsGuest("stackless", "balloon=0 fault-without-stack", "memory=64"),
            ],
        }).WithProbe());

        // Link up, full duplex: what QEMU's e1000 says.
        ProbeReport card = Report(Console(run, "card"));
        AssertWorks(card);
        // Not one of the console, which a guest has too.
        Assert.AreEqual("True", Detail(card, "event", "isOwn"));
        Assert.AreEqual("0x80080783", Detail(card, "bar", "value"));
        Assert.AreEqual(EPERM, Detail(card, "forbiddenDevice", "error"));
        Assert.AreEqual(EINVAL, Detail(card, "foreignFrame", "error"));

        ProbeReport none = Report(Console(run, "none"));
        Assert.AreEqual("bar", none.Checks.Single(check => !check.Passed).Name);
        Assert.AreEqual(EPERM, Detail(none, "bar", "error"));
        Assert.IsFalse(none.Passed);

        // RAM that the guest lacks: 2048 pages lie in the hole and move behind the rest; of what the map has beyond, Xen gives the little
        // that maxmem leaves and refuses the next page.
        ProbeReport lacks = Report(Console(run, "lacks"));
        AssertWorks(lacks);
        Assert.AreEqual(2048UL, lacks.RemappedPages);
        Assert.IsLessThan(1000UL, ulong.Parse(Detail(lacks, "extraMemory", "got"), null));
        Assert.AreEqual($"-{(int)XenError.ENOMEM}", Detail(lacks, "extraMemory", "error"));

        // 512 GiB up the probe has no place for RAM: that says nothing of the map, on which a Linux may well live.
        ProbeReport far = Report(Console(run, "far"));
        Assert.IsNull(far.Trap);
        Assert.AreEqual("RAM above 480 GiB", Detail(far, "room", "what"));
        Assert.AreEqual(ProbeOutcome.Unknown, ProbeVerifier.Compare(Forecaster.Forecast(far.ToRequest()), far).Answer);

        ProbeReport traps = Report(Console(run, "traps"));
        Assert.IsNull(traps.Passed);
        Assert.Contains("page fault, while trying what is forbidden", traps.Trap!);
        Assert.Contains("address 0x12345678", traps.Trap!);
        ProbeReport wild = Report(Console(run, "wild"));
        Assert.IsNull(wild.Passed);
        Assert.Contains("general protection fault, while trying what is forbidden", wild.Trap!);
        Assert.Contains("0x8000000000000000", wild.Trap!);

        // No trap reaches a kernel whose stack is gone, not even a double fault: Xen ends the domain, and says so on its own console.
        ProbeReport stackless = Report(Console(run, "stackless"));
        Assert.IsNull(stackless.Passed);
        Assert.IsNull(stackless.Trap);
        Assert.IsTrue(run.Serial.Contains("domain_crash_sync called from entry.S", System.StringComparison.Ordinal));
    }

    [TestMethod]
    public void The_command_line_in_dom0_tries_a_guests_map_and_says_whether_it_works()
    {
        const string guest = GuestStep.CommonConfig + "memory=256\n";
        XenRun run = XenMachine.Run(ScenarioFile.Load("nvs8m") with
        {
            Name = "probe-verb",
            DeadlineSeconds = 600,
            Steps =
            [
                new RunStep("punch", "keyhole probe --guest /g/guest.cfg --json"),
                new RunStep("real", "keyhole probe --guest /g/guest.cfg --with-real-map"),
                new RunStep("real-json", "keyhole probe --guest /g/guest.cfg --with-real-map --json"),
                new RunStep("plain", "keyhole probe --guest /g/plain.cfg --with-real-map"),
                new RunStep("interrupted", """
                    keyhole probe --guest /g/guest.cfg > /dev/null 2> /tmp/errors &
                    keyhole=$!
                    until xl domid g1-probe > /dev/null 2>&1; do sleep 0.1; done
                    kill -TERM $keyhole
                    wait $keyhole
                    status=$?
                    grep -v -e creating -e installed -e started /tmp/errors
                    find /tmp -name 'keyhole-probe-*'
                    exit $status
                    """),
                new RunStep("left", "xl list | awk '{ print $1 }'"),
            ],
            Files = Dom0Programs.Files,
            // The real guest's disk is not there, and need not be.
            Texts = System.Collections.Immutable.ImmutableSortedDictionary<string, string>.Empty
                .Add("g/guest.cfg", guest + "e820_host=1\ndisk=['phy:/dev/nothere,xvda,w']\n")
                .Add("g/plain.cfg", guest + "e820_host=0\n"),
        });

        Dom0Answer punch = Dom0Answer.Of(run, "punch");
        Assert.AreEqual(0, punch.Status, punch.Output);
        Assert.IsTrue(punch.Json().GetProperty("works").GetBoolean());
        Assert.AreEqual(256, punch.Json().GetProperty("remappedPages").GetInt32());
        Assert.IsTrue(punch.Json().GetProperty("checks").EnumerateArray().All(check => check.GetProperty("passed").GetBoolean()));

        // RAM of libxl's map ends at 8 MiB. The probe's tables lie in pages that were moved; a Linux at 16 MiB is known to die.
        Dom0Answer real = Dom0Answer.Of(run, "real");
        Assert.AreEqual(1, real.Status, real.Output);
        Assert.DoesNotContain("FAILED", real.Output);
        // The command line breaks its sentences at 80 columns.
        Assert.Contains("its own kernel is forecast to fail on it", real.Output.Replace("\n  ", " ", StringComparison.Ordinal));
        Dom0Answer realJson = Dom0Answer.Of(run, "real-json");
        Assert.AreEqual(1, realJson.Status, realJson.Output);
        Assert.AreEqual("libxl", realJson.Json().GetProperty("policy").GetString());
        Assert.AreEqual("halts", realJson.Json().GetProperty("forecast").GetProperty("outcome").GetString());
        Assert.IsFalse(realJson.Json().GetProperty("works").GetBoolean());

        Dom0Answer plain = Dom0Answer.Of(run, "plain");
        Assert.AreEqual(0, plain.Status, plain.Output);
        Assert.Contains("policy: none", plain.Output);
        Assert.Contains("this layout works on this host", plain.Output);
        Dom0Answer interrupted = Dom0Answer.Of(run, "interrupted");
        Assert.AreEqual(1, interrupted.Status, interrupted.Output);
        Assert.AreEqual("keyhole: \"g1\": interrupted; nothing is left of it", interrupted.Output.TrimEnd());
        Assert.AreEqual("Name\nDomain-0", Dom0Answer.Of(run, "left").Output.TrimEnd());
        TestContext.WriteLine(real.Output);
    }

    /// <summary>A machine with a dom0 of 64 MiB.</summary>
    private static Scenario Host(string name, params string[] map) => new()
    {
        Name = name,
        Xen = "dom0_mem=64M,max:64M",
        FirmwareMap = ScenarioFile.ParseMap(["0 9f000 ram", .. map, "10000000 40000000 reserved", "40000000 b0000000 ram",
            "fec00000 fec01000 reserved", "fee00000 fee01000 reserved"]),
    };

    private ProbeReport AsDom0(Scenario scenario, string options)
    {
        XenRun run = XenMachine.Run(scenario.AsDom0(options));
        TestContext.WriteLine($"{scenario.Name}: {run.Elapsed.TotalSeconds:F1} s");
        return Report(run.Serial);
    }

    /// <summary>The probe has found nothing wrong, and what it did is what was forecast for its map.</summary>
    private static void AssertWorks(ProbeReport report)
    {
        var verdict = ProbeVerifier.Compare(Forecaster.Forecast(report.ToRequest()), report);
        Assert.AreEqual("", string.Join('\n', verdict.Differences.Select(finding => $"{finding.What}: {finding.Forecast} / {finding.Observed}")));
        Assert.IsTrue(report.Passed);
    }

    private static string Detail(ProbeReport report, string check, string name) =>
        report.Check(check)!.Details.Single(detail => detail.Name == name).Value;

    private static ProbeReport Report(string console)
    {
        Parsed<ProbeReport> parsed = ProbeReportReader.Read(new MemoryStream(Encoding.Latin1.GetBytes(console)), "console");
        Assert.IsTrue(parsed.TryGet(out ProbeReport? report, out InputError? error), $"{error}\n{console}");
        return report;
    }

    private static string Console(XenRun run, string guest)
    {
        IEnumerable<string> lines = run.Answers.Split('\n').SkipWhile(line => line != $"=== GUEST {guest}").SkipWhile(line => line != "=== KERNEL")
            .TakeWhile(line => line != "=== END");
        return string.Join('\n', lines);
    }
}
