// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Probing;
using Keyhole.PvGuest;
using Keyhole.Verification;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Probing;

[TestClass]
public sealed class ProbeReportTests
{
    [TestMethod]
    public void The_remap_of_the_seeds_machine_is_read_with_its_figures()
    {
        ProbeReport report = Recorded("seed8g-remap");

        Assert.IsTrue(report.IsDom0);
        Assert.AreEqual(Kernels.Linux61, report.Kernel);
        Assert.AreEqual(283_999UL, report.RemappedPages);
        Assert.AreEqual(0UL, report.ReleasedPages);
        Assert.IsTrue(report.Passed);
        Assert.AreEqual("283999", report.Check("displacedPages")!.Details.Single(detail => detail.Name == "pages").Value);
        Assert.AreEqual(283_999UL, report.Phase("remap")!.PageCount);
        Assert.IsLessThan(100UL, report.Phase("remap")!.Hypercalls);
        // The floor that bench/README.md tells of: the share of Xen's own work.
        Assert.AreEqual(134_761_536UL, report.Phase("remap")!.MmuUpdateTicks);
        Assert.IsGreaterThan(0.85, (double)report.Phase("map")!.MmuUpdateTicks / report.Phase("map")!.Ticks);
        Assert.IsGreaterThan(0.0, report.MillisecondsOf("remap"));
        Assert.AreEqual(report.Hypercalls.Single(call => call.Name == "total").Count,
            report.Hypercalls.Where(call => call.Name is not ("total" or "tables" or "mmu_update_entries"))
                .Aggregate(0UL, (sum, call) => sum + call.Count));
    }

    [TestMethod]
    [DataRow("seed8g-remap")]
    [DataRow("seed8g-populate")]
    public void The_forecast_for_what_the_probe_found_agrees_with_what_it_did(string name)
    {
        ProbeReport report = Recorded(name);
        var verdict = ProbeVerifier.Compare(Forecaster.Forecast(report.ToRequest()), report);

        Assert.AreEqual("", string.Join('\n', verdict.Differences.Select(finding => $"{finding.What}: {finding.Forecast} / {finding.Observed}")));
        Assert.AreEqual(ProbeOutcome.Works, verdict.Answer);
    }

    [TestMethod]
    public void Another_kernels_forecast_does_not_agree()
    {
        ProbeReport report = Recorded("seed8g-remap");
        var verdict = ProbeVerifier.Compare(Forecaster.Forecast(report.ToRequest() with { Kernel = Kernels.Linux34 }), report);

        Assert.AreEqual(ProbeOutcome.Fails, verdict.Answer);
        CollectionAssert.IsSubsetOf(new[] { "released pages", "remapped pages", "populated pages", "frames" },
            verdict.Differences.Select(finding => finding.What).ToArray());
    }

    [TestMethod]
    public void A_trap_is_the_outcome_and_says_what_was_tried()
    {
        ProbeReport report = Recorded("trap");
        Finding outcome = ProbeVerifier.Compare(Forecaster.Forecast(report.ToRequest()), report).Differences.Single();

        Assert.IsNull(report.Passed);
        Assert.AreEqual("outcome", outcome.What);
        Assert.StartsWith("trap: page fault, while trying what is forbidden, ", outcome.Observed!);
        Assert.Contains("address 0x12345678", outcome.Observed!);
    }

    [TestMethod]
    public void A_probe_without_room_for_its_tables_does_not_say_whether_the_map_works()
    {
        string[] start = [.. Lines("seed8g-remap").TakeWhile(line => !line.Contains("\"event\"", StringComparison.Ordinal))];
        ProbeReport report =
            Read(string.Join('\n', [.. start, """{"keyhole":"check","name":"room","passed":false,"needed":2600,"available":900}""",
                """{"keyhole":"verdict","passed":false,"failedChecks":1}"""]));

        Assert.AreEqual(ProbeOutcome.Unknown, ProbeVerifier.Compare(Forecaster.Forecast(report.ToRequest()), report).Answer);
    }

    [TestMethod]
    public void A_probe_that_ended_without_a_word_does_not_work()
    {
        ProbeVerdict verdict = ProbeVerifier.Compare(Forecaster.Forecast(Recorded("trap").ToRequest()), new ProbeReport());

        Assert.AreEqual(ProbeOutcome.Fails, verdict.Answer);
        Assert.AreEqual("ended without a message", verdict.Differences.Single().Observed);
    }

    [TestMethod]
    public void A_report_that_breaks_off_does_not_work()
    {
        string[] lines = Lines("seed8g-remap");
        ProbeReport report = Read(string.Join('\n', lines[..^2]));

        Finding outcome = ProbeVerifier.Compare(Forecaster.Forecast(report.ToRequest()), report).Differences.Single();
        Assert.AreEqual("the report breaks off", outcome.Observed);
    }

    [TestMethod]
    public void A_failed_check_is_a_difference_and_names_its_frames()
    {
        string text = string.Join('\n', Lines("seed8g-remap")).Replace(
            "\"name\":\"m2p\",\"passed\":true,\"pages\":2020599",
            "\"name\":\"m2p\",\"passed\":false,\"pages\":2020599,\"failed\":1,\"pfn\":\"0x1234\",\"mfn\":\"0x9\"", StringComparison.Ordinal);
        ProbeReport report = Read(text);

        Finding failed = ProbeVerifier.Compare(Forecaster.Forecast(report.ToRequest()), report).Differences.Single();
        Assert.AreEqual("check m2p", failed.What);
        Assert.Contains("pfn 0x1234, mfn 0x9", failed.Observed!);
    }

    [TestMethod]
    public void Lines_of_Xen_in_between_are_passed_over()
    {
        string text = string.Join("\r\n(XEN) [2026] d0v0 something\r\n(d1) ", Lines("seed8g-remap"));

        Assert.AreEqual(283_999UL, Read(text).RemappedPages);
    }

    [TestMethod]
    [DataRow("nothing of the kind", "c: no line of a probe's report")]
    [DataRow("{\"keyhole\":\"start\"}", "c:1: the report's first line lacks what belongs there")]
    [DataRow("{\"keyhole\":\"start\",\"version\":9,\"dom0\":true,\"kernel\":\"linux-6.1\",\"nrPages\":1}", "c:1: a report of version 9")]
    [DataRow("\n{\"keyhole\":\"map\",\"start\":\"0x10\",\"end\":\"0x8\",\"type\":1}", "c:2: a line of kind \"map\" lacks what belongs there")]
    [DataRow("{\"keyhole\":\"p2m\",\"start\":\"0x5\",\"end\":\"0x8\",\"kind\":\"ram\"}", "c:1: a line of kind \"p2m\"")]
    [DataRow("{\"keyhole\":\"check\",\"name\":\"pages\"", "c:1: broken line")]
    [DataRow("{\"keyhole\":\"map\",\"start\":[[[[1]]]]}", "c:1: broken line")]
    [DataRow("{\"keyhole\":\"\\ud800\"}", "c:1: broken line")]
    [DataRow("{\"keyhole\":\"trap\",\"what\":\"\\ud800\"}", "c:1: broken line")]
    [DataRow("{\"keyhole\":\"check\",\"\\udfff\":1,\"passed\":true}", "c:1: broken line")]
    [DataRow("{\"keyhole\":\"trap\"}", "c:1: a line of kind \"trap\" lacks what belongs there")]
    [DataRow("{\"keyhole\":\"result\",\"halt\":4294967296}", "c:1: a line of kind \"result\" lacks what belongs there")]
    [DataRow("{\"keyhole\":\"trap\",\"what\":\"\",\"keyhole\":1}\n{\"keyhole\":\"start\"}", "c:2: the report's first line lacks what belongs there")]
    public void What_cannot_be_read_is_one_line_that_says_where_and_why(string text, string message)
    {
        Parsed<ProbeReport> parsed = ProbeReportReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "c");

        Assert.IsFalse(parsed.TryGet(out _, out InputError? error));
        Assert.StartsWith(message, error.ToString());
        Assert.DoesNotContain('\n', error.ToString());
    }

    [TestMethod]
    public void A_probe_that_is_not_content_does_not_work_even_if_the_line_that_says_why_is_lost()
    {
        string text = string.Join('\n', Lines("seed8g-remap"))
            .Replace("\"verdict\",\"passed\":true,\"failedChecks\":0", "\"verdict\",\"passed\":false,\"failedChecks\":1", StringComparison.Ordinal);
        ProbeReport report = Read(text);

        var verdict = ProbeVerifier.Compare(Forecaster.Forecast(report.ToRequest()), report);
        Assert.AreEqual(ProbeOutcome.Fails, verdict.Answer);
        Assert.AreEqual("the probe's own verdict", verdict.Differences.Single().What);
    }

    [TestMethod]
    public void A_report_that_lost_the_line_of_a_check_does_not_work()
    {
        string[] lines = [.. Lines("seed8g-remap")
            .Select(line => line.Replace("\"failedChecks\":0", "\"failedChecks\":0,\"checks\":9", StringComparison.Ordinal))];
        ProbeReport whole = Read(string.Join('\n', lines));
        ProbeReport report = Read(string.Join('\n', lines.Where(line => !line.Contains("\"name\":\"m2p\",\"passed\"", StringComparison.Ordinal))));
        BootForecast forecast = Forecaster.Forecast(whole.ToRequest());

        Assert.AreEqual(ProbeOutcome.Works, ProbeVerifier.Compare(forecast, whole).Answer);
        Finding lost = ProbeVerifier.Compare(forecast, report).Differences.Single(finding => finding.What == "checks");
        Assert.AreEqual("8", lost.Observed);
    }

    [TestMethod]
    [DataRow("callbacks")]
    [DataRow("event")]
    [DataRow("setup")]
    [DataRow("p2m")]
    [DataRow("m2p")]
    [DataRow("holes")]
    public void A_report_that_is_content_without_having_looked_does_not_work(string check)
    {
        // Nor does it say how many checks there should be.
        string text = string.Join('\n',
            Lines("seed8g-remap").Where(line => !line.Contains($"\"check\",\"name\":\"{check}\"", StringComparison.Ordinal)))
            .Replace(",\"checks\":9", "", StringComparison.Ordinal);
        ProbeReport report = Read(text);

        var verdict = ProbeVerifier.Compare(Forecaster.Forecast(report.ToRequest()), report);
        Assert.AreEqual(ProbeOutcome.Fails, verdict.Answer);
        Assert.AreEqual("check " + check, verdict.Differences.Single().What);
    }

    [TestMethod]
    [DataRow("""{"keyhole":"check","name":"m2p","passed":false,"pfn":"0x5"}""")]
    [DataRow("""{"keyhole":"trap","what":"page fault"}""")]
    public void What_a_probe_found_before_it_came_to_its_limits_stands(string found)
    {
        string[] lines = [.. Lines("seed8g-remap").TakeWhile(line => !line.Contains("\"p2m\",\"passed\"", StringComparison.Ordinal))];
        ProbeReport report = Read(string.Join('\n', [.. lines, found, """{"keyhole":"check","name":"room","passed":false}"""]));
        BootForecast forecast = Forecaster.Forecast(report.ToRequest());

        Assert.AreEqual(ProbeOutcome.Fails, ProbeVerifier.Compare(forecast, report).Answer);
        Assert.AreEqual(ProbeOutcome.Fails, ProbeVerifier.Compare(forecast, report, isRunning: true).Answer);
    }

    [TestMethod]
    public void Where_a_kernel_stops_as_forecast_that_is_the_only_difference()
    {
        string[] lines =
        [
            .. Lines("seed8g-remap").TakeWhile(line => !line.Contains("\"forecast\"", StringComparison.Ordinal)),
            """{"keyhole":"layout","name":"kernel","start":"0x1ff00000","end":"0x20100000"}""",
        ];
        BootForecast forecast = Forecaster.Forecast(Read(string.Join('\n', lines)).ToRequest());
        string stops =
            $"{{\"keyhole\":\"forecast\",\"halt\":{(int)forecast.Halt},\"released\":{forecast.ReleasedPages},\"remapped\":"
                + $"{forecast.RemappedPages},\"populated\":0,\"pciGapStart\":\"0xbfa00000\",\"pciGapEnd\":\"0xfec00000\"}}";
        ProbeReport report =
            Read(string.Join('\n', [.. lines, stops, """{"keyhole":"check","name":"boots","passed":false}""",
                """{"keyhole":"verdict","passed":false,"failedChecks":1,"checks":3}"""]));

        ProbeVerdict verdict = ProbeVerifier.Compare(forecast, report);
        Assert.AreEqual(HaltReason.KernelConflict, forecast.Halt);
        Assert.AreEqual(ProbeOutcome.Fails, verdict.Answer);
        Assert.AreEqual("check boots", verdict.Differences.Single().What);
    }

    [TestMethod]
    public void A_probe_that_still_runs_says_neither_yes_nor_no_and_one_that_is_through_does()
    {
        ProbeReport whole = Recorded("seed8g-remap");
        ProbeReport half = Read(string.Join('\n', Lines("seed8g-remap")[..^2]));
        BootForecast forecast = Forecaster.Forecast(whole.ToRequest());

        Assert.AreEqual(ProbeOutcome.Unknown, ProbeVerifier.Compare(forecast, half, isRunning: true).Answer);
        Assert.AreEqual(ProbeOutcome.Unknown, ProbeVerifier.Compare(forecast, new ProbeReport(), isRunning: true).Answer);
        Assert.AreEqual(ProbeOutcome.Works, ProbeVerifier.Compare(forecast, whole, isRunning: true).Answer);
    }

    [TestMethod]
    public void Reports_with_any_line_changed_are_read_or_refused_but_never_throw()
    {
        string[] lines = Lines("seed8g-populate");
        Gen<(int Line, int At, char Put)> changes =
            from line in Gen.Choose(0, lines.Length - 1)
            from at in Gen.Choose(0, 400)
            from put in Gen.Elements('0', '9', 'f', '"', '{', '}', ',', ':', '-', '\n', '\0', 'é')
            select (line, at, put);
        Prop.ForAll(changes.ArrayOf(3).ToArbitrary(), made =>
        {
            string[] changed = [.. lines];
            foreach ((int line, int at, char put) in made)
            {
                char[] text = changed[line].ToCharArray();
                text[at % text.Length] = put;
                changed[line] = new(text);
            }

            Parsed<ProbeReport> parsed = ProbeReportReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(string.Join('\n', changed))), "c");
            if (parsed.TryGet(out ProbeReport? report, out _))
                ProbeVerifier.Compare(Forecaster.Forecast(Recorded("trap").ToRequest()), report);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(200));
    }

    [TestMethod]
    public void Whatever_a_hostile_report_says_of_map_and_pages_its_forecast_is_made_in_no_time()
    {
        Gen<ulong> numbers = Gen.OneOf(
            Gen.Elements<ulong>(0, 1, 0x1000, 0x100000, 1UL << 31, 1UL << 40, (1UL << 40) - 1, 1UL << 52, ulong.MaxValue - 0xfff, ulong.MaxValue),
            Gen.Choose(0, int.MaxValue).Select(static value => (ulong)value * 4093));
        Gen<string> ranges = from start in numbers
                             from end in numbers
                             from type in Gen.Elements(0u, 1u, 1u, 1u, 2u, 4u, 7u, uint.MaxValue)
                             select $"\"start\":\"0x{Math.Min(start, end):x}\",\"end\":\"0x{Math.Max(start, end):x}\",\"type\":{type}";
        Gen<string> reports = from pages in numbers
                              from max in numbers
                              from kernel in Gen.Elements("linux-3.3", "linux-3.4", "linux-4.3", "linux-4.4", "linux-6.1", "linux-7.2")
                              from isDom0 in Gen.Elements("true", "false")
                              from map in Gen.Choose(0, 300).SelectMany(count => ranges.ArrayOf(count))
                              from layout in Gen.Elements("kernel", "pageTables", "p2mList", "initrd").Zip(ranges).ArrayOf(3)
                              select string.Join('\n', (string[])
                              [
                                  $"{{\"keyhole\":\"start\",\"version\":1,\"dom0\":{isDom0},\"kernel\":\"{kernel}\",\"nrPages\":"
                                      + $"{Math.Min(pages, 1UL << 40)},\"maxPages\":{max}}}",
                                  .. layout.Select(static part => $"{{\"keyhole\":\"layout\",\"name\":\"{part.Item1}\",{part.Item2}}}")
                                      .Where(static line => !line.Contains("fffffffff", StringComparison.Ordinal)),
                                  .. map.Select(static entry => $"{{\"keyhole\":\"map\",{entry}}}"),
                              ]);
        Prop.ForAll(reports.ToArbitrary(), text =>
        {
            Parsed<ProbeReport> parsed = ProbeReportReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "c");
            if (!parsed.TryGet(out ProbeReport? report, out _))
                return;
            var clock = System.Diagnostics.Stopwatch.StartNew();
            ProbeVerifier.Compare(Forecaster.Forecast(report.ToRequest()), report);
            Assert.IsLessThan(5000, clock.ElapsedMilliseconds);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(400));
    }

    private static string[] Lines(string name) => File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "fixtures", "probe", name + ".log"));

    private static ProbeReport Recorded(string name) => Read(string.Join('\n', Lines(name)));

    private static ProbeReport Read(string text)
    {
        Parsed<ProbeReport> parsed = ProbeReportReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "c");
        Assert.IsTrue(parsed.TryGet(out ProbeReport? report, out InputError? error), error?.ToString());
        return report;
    }
}
