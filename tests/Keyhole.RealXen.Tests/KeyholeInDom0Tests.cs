// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.RealXen.Tests;

/// <summary>The command line in a real dom0: maps that it installs, guests that live on them, and what it refuses.</summary>
[TestClass]
[TestCategory("RealXen")]
public sealed class KeyholeInDom0Tests
{
    private const string Passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n";

    public TestContext TestContext { get; set; } = null!;

    [TestMethod]
    public void On_a_host_with_nvs_at_8_MiB_keyhole_starts_the_guest_that_dies_on_libxls_map()
    {
        XenRun run = Run(Nvs8m());

        Dom0Answer forecast = Dom0Answer.Of(run, "forecast");
        Assert.AreEqual(1, forecast.Status, forecast.Output);
        Assert.AreEqual("halts", forecast.Json().GetProperty("outcome").GetString());

        JsonElement onLibxls = Started(run, "libxl", 1);
        Assert.AreEqual("died", onLibxls.GetProperty("outcome").GetString());
        Assert.AreEqual("halts", onLibxls.GetProperty("forecast").GetProperty("outcome").GetString());
        Assert.IsFalse(onLibxls.GetProperty("kept").GetBoolean());

        JsonElement punched = Started(run, "punch", 0);
        Assert.AreEqual("booted", punched.GetProperty("outcome").GetString());
        Assert.IsTrue(punched.GetProperty("agrees").GetBoolean());
        Assert.AreEqual(256, punched.GetProperty("forecast").GetProperty("remappedPages").GetInt32());
        CollectionAssert.Contains(Said(punched), "Remapped 256 page(s)");
        Assert.IsGreaterThanOrEqualTo(256u << 10, punched.GetProperty("ramBelow4GiBKiB").GetUInt32());
    }

    [TestMethod]
    public void What_cannot_be_done_is_refused_in_one_line_and_leaves_no_guest()
    {
        XenRun run = Run(Faults());

        Refused(run, "dom0", 1, "dom0 uses the machine's own map");
        Refused(run, "missing", 2, "there is no such domain");
        Refused(run, "missing-number", 2, "there is no such domain");
        Refused(run, "running", 1, "it runs, and has read its map already");
        Refused(run, "has-run", 1, "it is paused but has run before");
        Refused(run, "no-root", 2, "/dev/xen/privcmd: permission denied");
        Refused(run, "interrupted", 1, "interrupted");
        Dom0Answer left = Dom0Answer.Of(run, "left");
        Assert.AreEqual("Name\nDomain-0\n", left.Output);
    }

    [TestMethod]
    public void The_contract_of_the_hypercalls_holds_on_the_real_hypervisor()
    {
        Dom0Answer answer = Dom0Answer.Of(Run(Contract()), "contract");

        TestContext.WriteLine(answer.Output);
        Assert.AreEqual(0, answer.Status, answer.Output);
    }

    [TestMethod]
    public void On_the_seeds_machine_punch_keeps_low_memory_and_both_forecasts_are_what_Linux_prints()
    {
        XenRun run = Run(Seed());

        JsonElement onLibxls = Started(run, "libxl", 0);
        JsonElement punched = Started(run, "punch", 0);
        Assert.IsTrue(onLibxls.GetProperty("agrees").GetBoolean());
        Assert.IsTrue(punched.GetProperty("agrees").GetBoolean());
        Assert.AreEqual(512u << 10, onLibxls.GetProperty("ramBelow4GiBKiB").GetUInt32());
        Assert.IsGreaterThan((uint)(2.9 * 1024 * 1024), punched.GetProperty("ramBelow4GiBKiB").GetUInt32());

        Assert.AreEqual(16384, Dom0Answer.Of(run, "short").Json().GetProperty("forecast").GetProperty("releasedPages").GetInt32());
        GuestRecord shorter = GoldenRecord.Parse(RecordWriter.Write(run)).Guest("short");
        Assert.IsTrue(shorter.Done);
        Assert.AreEqual(16384, shorter.Kernel!.ReleasedPages);
    }

    [TestMethod]
    public void A_passed_through_card_works_on_libxls_map_and_on_punch_and_not_under_RAM()
    {
        XenRun run = Run(Passthrough());

        foreach (string policy in (string[])["libxl", "punch"])
        {
            JsonElement started = Started(run, policy, 0);
            Assert.IsTrue(started.GetProperty("agrees").GetBoolean());
            Assert.AreEqual("it boots, as forecast to the last page", started.GetProperty("verdict").GetString());
            Assert.Contains("/sys/class/net/eth0 52:54:00:12:34:56", Dom0Answer.Of(run, $"net-{policy}").Output);
        }

        JsonElement applied = Dom0Answer.Of(run, "overbar").Json();
        Assert.IsTrue(applied.GetProperty("installed").GetBoolean());
        Assert.IsTrue(applied.GetProperty("forecast").GetProperty("bars").EnumerateArray().Any(bar => !bar.GetProperty("claimed").GetBoolean()));
        GuestRecord over = GoldenRecord.Parse(RecordWriter.Write(run)).Guest("overbar");
        Assert.IsTrue(over.Done);
        Assert.AreNotEqual(0, over.Kernel!.Complaints.Count(line => line.Contains("can't claim", StringComparison.Ordinal)));
    }

    private static Scenario Nvs8m() => OnHost("keyhole-nvs8m", "nvs8m", Steps(
        Command("forecast", "keyhole boot --guest /g/guest.cfg --json"),
        Command("libxl", "keyhole start /g/guest.cfg --policy libxl --anyway --timeout 40 --json"),
        Command("punch", "keyhole start /g/guest.cfg --json"),
        Command("undo", """
            xl destroy g1
            xl create -q -p /g/guest.cfg && keyhole apply g1 && keyhole inspect g1 && keyhole apply g1 --undo && keyhole inspect g1
            status=$?
            xl destroy g1
            exit $status
            """),
        Command("capture", "keyhole capture"))) with
    {
        Texts = Texts("memory=256\ne820_host=1\n"),
    };

    private static Scenario Faults() => OnHost("keyhole-faults", "nvs8m", Steps(
        Command("dom0", "keyhole apply 0"),
        Command("missing", "keyhole apply nobody-here"),
        Command("missing-number", "keyhole apply 31000"),
        Command("no-root", "su nobody -c 'keyhole apply 0'"),
        Command("running", "xl create -q /g/guest.cfg && sleep 2; keyhole apply g1"),
        Command("has-run", "xl pause g1; keyhole apply g1; status=$?; xl destroy g1; exit $status"),
        Command("interrupted", """
            keyhole start /g/guest.cfg 2> /tmp/errors > /dev/null &
            keyhole=$!
            until xl domid g1 > /dev/null 2>&1; do sleep 0.1; done
            kill -TERM $keyhole
            wait $keyhole
            status=$?
            grep -v -e creating -e installed -e started /tmp/errors
            exit $status
            """),
        Command("left", "xl list | cut -d ' ' -f 1"))) with
    {
        Texts = Texts("memory=256\n").Add("etc/passwd", Passwd),
    };

    private static Scenario Contract() => OnHost("keyhole-contract", "nvs8m", Steps(
        Command("contract", "xl create -q -p /g/guest.cfg && keyhole-contract $(xl domid g1)"))) with
    {
        Texts = Texts("memory=64\n"),
    };

    private static Scenario Seed() => OnHost("keyhole-seed", "seed8g", Steps(
        Command("libxl", "keyhole start /g/guest.cfg --policy libxl --json"),
        Command("free", "xl destroy g1"),
        Command("punch", "keyhole start /g/guest.cfg --json"),
        Command("free-again", "xl destroy g1"),
        new GuestStep("short", ["memory=512"]) { Boot = true, BeforeStart = "keyhole apply g1 --map /g/short.map.txt --json" })) with
    {
        Texts = Texts("memory=3072\ne820_host=1\n").Add("g/short.map.txt", "0 1c000000 1\n1c000000 40000000 2\n"),
    };

    private static Scenario Passthrough() => OnHost("keyhole-passthrough", "passthrough", Steps(
        Command("libxl", "keyhole start /g/guest.cfg --policy libxl --json"),
        Command("net-libxl", Net),
        Command("punch", "keyhole start /g/guest.cfg --json"),
        Command("net-punch", Net),
        new GuestStep("overbar", ["memory=256", "pci=['00:02.0']"]) { Boot = true, BeforeStart = "keyhole apply g1 --map /g/over.map.txt --json" })) with
    {
        Texts = Texts("memory=256\npci=['00:02.0']\n").Add("g/over.map.txt", "0 10000000 1\nfeb00000 fec00000 1\n"),
    };

    private const string Net = """
        for i in $(seq 100); do grep -q "^=== DONE" /var/log/xen/console/guest-g1.log && break; sleep 0.3; done
        sed -n '/^=== NET/,$p' /var/log/xen/console/guest-g1.log
        xl destroy g1
        rm -f /var/log/xen/console/guest-g1.log
        """;

    private static RunStep Command(string name, string commands) => new(name, commands);

    private static ImmutableArray<Step> Steps(params Step[] steps) => [.. steps];

    private static ImmutableSortedDictionary<string, string> Texts(string config) =>
        ImmutableSortedDictionary<string, string>.Empty.Add("g/guest.cfg", GuestStep.CommonConfig + config);

    private static Scenario OnHost(string name, string host, ImmutableArray<Step> steps) =>
        ScenarioFile.Load(host) with { Name = name, Steps = steps, Files = Dom0Programs.Files, DeadlineSeconds = 420 };

    private static JsonElement Started(XenRun run, string name, int status)
    {
        Dom0Answer answer = Dom0Answer.Of(run, name);
        Assert.AreEqual(status, answer.Status, answer.Output);
        return answer.Json();
    }

    private static string[] Said(JsonElement started) => [.. started.GetProperty("console").EnumerateArray().Select(line => line.GetString()!)];

    private static void Refused(XenRun run, string name, int status, string because)
    {
        Dom0Answer answer = Dom0Answer.Of(run, name);
        string line = answer.Output.TrimEnd('\n');
        Assert.AreEqual(status, answer.Status, answer.Output);
        Assert.StartsWith("keyhole: ", line);
        Assert.Contains(because, line);
        Assert.DoesNotContain("\n", line);
    }

    private XenRun Run(Scenario scenario)
    {
        XenRun run = XenMachine.Run(scenario);
        TestContext.WriteLine($"{scenario.Name}: {run.End} after {run.Elapsed.TotalSeconds:0.0} s");
        TestContext.WriteLine(run.Answers);
        return run;
    }
}
