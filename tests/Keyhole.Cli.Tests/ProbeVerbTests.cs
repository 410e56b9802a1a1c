// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading.Tasks;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary><c>keyhole probe</c> up to the guest's creation; the rest needs the real Xen (Keyhole.RealXen.Tests).</summary>
[TestClass]
public sealed class ProbeVerbTests : IDisposable
{
    private const string Guest = """
        name="g1"
        type="pv"
        kernel="/k/vmlinuz"
        cmdline="mem=64M"
        memory=256
        e820_host=1
        disk=['phy:/dev/vg/g1,xvda,w']
        vif=['bridge=xenbr0']

        """;

    private readonly FakeDom0 _dom0 = new();

    public ProbeVerbTests() => _dom0.Write("probe.elf", "");

    public void Dispose() => _dom0.Dispose();

    [TestMethod]
    public void The_guest_is_created_with_the_probe_for_a_kernel_another_name_and_none_of_its_disks()
    {
        CommandRun run = Run(Guest, "--read", "0xfebc0008", "--kernel", "linux-4.4");

        Assert.AreEqual(3, run.Status, run.Errors);
        GuestDocument document = Created();
        GuestSpec created = document.Guest;
        Assert.AreEqual("g1-probe", created.Name);
        Assert.AreEqual(Image, created.Kernel);
        Assert.AreEqual("kernel=linux-4.4 bar=0xfebc0008", created.CommandLine);
        Assert.AreEqual(256UL << 10, created.MemoryKiB);
        foreach (string key in new[] { "disk", "vif", "vfb" })
            Assert.AreEqual("[]", document.OtherSettings.Last(setting => setting.Key == key).Value);
    }

    [TestMethod]
    public void A_name_with_quotes_adds_no_setting()
    {
        Run(Guest.Replace("\"g1\"", "'x\"\\nmemory=1'", StringComparison.Ordinal));

        GuestDocument document = Created();
        GuestSpec created = document.Guest;
        Assert.AreEqual("x\"\nmemory=1-probe", created.Name);
        Assert.AreEqual(256UL << 10, created.MemoryKiB);
    }

    [TestMethod]
    public void Nothing_is_left_of_a_probe_that_could_not_be_created()
    {
        Run(Guest);

        string configuration = _dom0.Done.Single().Split(' ')[5];
        Assert.IsFalse(Directory.Exists(Path.GetDirectoryName(configuration)));
    }

    [TestMethod]
    public void More_registers_than_a_probe_reads_are_refused()
    {
        CommandRun run = Run(Guest, [.. Enumerable.Range(0, 17).SelectMany(static number => new[] { "--read", $"0xfebc00{number * 8:x2}" })]);

        Assert.AreEqual(2, run.Status, run.Errors);
        Assert.Contains("--read: 17 registers are more than a probe reads; give at most 16", run.Errors);
        Assert.IsEmpty(_dom0.Done);
    }

    [TestMethod]
    [DataRow("probe", "--guest")]
    [DataRow("start")]
    public void A_configuration_that_can_be_read_once_only_is_refused(params string[] words)
    {
        string pipe = Path.Combine(_dom0.Root, "pipe");
        Assert.AreEqual(0, Run("mkfifo", pipe));
        Task writing = Task.Run(() => File.AppendAllText(pipe, Guest));
        CommandRun run = CommandRun.InDom0(_dom0.Machine, [.. words, pipe, .. words[0] == "probe" ? new[] { "--image", Image } : []]);

        Assert.AreEqual(2, run.Status, run.Errors);
        Assert.Contains("this is a pipe, and xl reads it again; give a file", run.Errors);
        Assert.IsEmpty(_dom0.Done);

        static int Run(string program, string argument)
        {
            using var process = Process.Start(program, [argument]);
            process.WaitForExit();
            return process.ExitCode;
        }
    }

    [TestMethod]
    [DataRow("xl's map and a policy's are two", "--with-real-map", "--policy", "punch")]
    [DataRow("xl's map and a policy's are two", "--with-real-map", "--hole", "0x80000000")]
    [DataRow("this is not a valid time to wait", "--timeout", "0")]
    [DataRow("\"febc0008\" is not an address", "--read", "febc0008")]
    [DataRow("no register begins at \"0xfebc0ffe\"; give a multiple of 4", "--read", "0xfebc0ffe")]
    [DataRow("the probe's image is not there", "--image", "/nowhere/probe.elf")]
    [DataRow("is not a release of Linux", "--kernel", "linux-x")]
    public void Options_that_make_no_sense_are_refused_before_Xen_is_asked(string because, params string[] options)
    {
        CommandRun run = Run(Guest, options);

        Assert.AreEqual(2, run.Status, run.Errors);
        Assert.Contains(because, run.Errors);
        Assert.HasCount(1, run.Errors.TrimEnd('\n').Split('\n'));
        Assert.IsEmpty(_dom0.Done);
    }

    [TestMethod]
    [DataRow("type=\"pv\"", "type=\"hvm\"", "the guest is not a PV guest")]
    [DataRow("kernel=", "bootloader=", "a bootloader chooses the guest's kernel")]
    public void Guests_whose_kernel_it_cannot_stand_in_for_are_refused(string from, string to, string because)
    {
        CommandRun run = Run(Guest.Replace(from, to, StringComparison.Ordinal));

        Assert.AreEqual(2, run.Status, run.Errors);
        Assert.Contains(because, run.Errors);
        Assert.IsEmpty(_dom0.Done);
    }

    [TestMethod]
    [DataRow(false,
        "unknown, guest \"g1\": the probe did not come to its end in the time given, and whether this map works is "
            + "not known; give it more with --timeout")]
    [DataRow(true, "no, guest \"g1\": this layout does not work on this host")]
    public void A_probe_that_still_runs_when_time_is_up_is_no_answer_and_one_that_ended_midway_is(bool ends, string verdict)
    {
        using var console = new FakeConsole();
        _dom0.Console = console.Terminal;
        _dom0.Creation = new(0, "", "");
        _dom0.Creating = uuid => _dom0.Info = _dom0.Info with { Uuid = uuid };
        _dom0.Unpausing = () =>
        {
            console.Say("""
                {"keyhole":"start","version":1,"dom0":false,"kernel":"linux-6.1","nrPages":65536,"maxPages":65792,"ticksPerMs":1000}
                {"keyhole":"check","name":"callbacks","passed":true}
                {"keyhole":"che
                """);
            _dom0.Info = _dom0.Info with { IsPaused = false, IsShutdown = ends, ShutdownReason = 3 };
        };

        CommandRun run = Run(Guest.Replace("cmdline=\"mem=64M\"\n", "", StringComparison.Ordinal), "--timeout", "2");

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.EndsWith(verdict + "\n", run.Output.Replace("\n", " ", StringComparison.Ordinal).TrimEnd() + "\n");
        Assert.AreEqual("xl destroy 5", _dom0.Done.Last());
    }

    [TestMethod]
    [DataRow("{\"keyhole\":\"start\",\"version\":1,\"dom0\":false}\n", true, "the probe was taken away while it ran (xl destroy?)")]
    [DataRow("Linux version 6.1.0\nKernel panic - not syncing: VFS\n", false, "what was started is no probe: its words are none of a probe's")]
    public void A_probe_that_is_taken_away_and_what_is_no_probe_are_no_answer(string said, bool isTaken, string because)
    {
        using var console = new FakeConsole();
        _dom0.Console = console.Terminal;
        _dom0.Creation = new(0, "", "");
        _dom0.Creating = uuid => _dom0.Info = _dom0.Info with { Uuid = uuid };
        _dom0.Unpausing = () =>
        {
            console.Say(said);
            Guid uuid = isTaken ? Guid.Empty : _dom0.Info.Uuid;
            _dom0.Info = _dom0.Info with { IsPaused = false, IsShutdown = !isTaken, ShutdownReason = 3, Uuid = uuid };
        };

        CommandRun run = Run(Guest, "--timeout", "2");

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.IsEmpty(run.Output);
        Assert.Contains($"{because}: whether this map works is not known", run.Errors);
    }

    [TestMethod]
    public void What_its_own_settings_say_of_a_guests_end_is_not_waited_for()
    {
        using var console = new FakeConsole();
        _dom0.Console = console.Terminal;
        _dom0.Creation = new(0, "", "");
        _dom0.Creating = uuid => _dom0.Info = _dom0.Info with { Uuid = uuid };
        _dom0.Unpausing = () => _dom0.Info = _dom0.Info with { IsPaused = false, IsShutdown = true, ShutdownReason = 3 };
        var clock = Stopwatch.StartNew();

        // The probe's configuration says preserve: nothing comes back.
        CommandRun run = Run(Guest + "on_crash=\"restart\"\n", "--timeout", "2");

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.AreEqual("preserve", Created().OtherSettings.Last(static setting => setting.Key == "on_crash").Value.Trim('"'));
        Assert.IsLessThan(TimeSpan.FromSeconds(10), clock.Elapsed);
    }

    private string Image => Path.Combine(_dom0.Root, "probe.elf");

    private CommandRun Run(string guest, params string[] options)
    {
        _dom0.Write("guest.cfg", guest);
        return CommandRun.InDom0(_dom0.Machine,
            ["probe", "--guest", Path.Combine(_dom0.Root, "guest.cfg"), .. options.Contains("--image") ? [] : new[] { "--image", Image },
                .. options]);
    }

    /// <summary>The guest as xl understands the file: later settings win.</summary>
    private GuestDocument Created()
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(_dom0.Configurations.Single()));
        Assert.IsTrue(GuestReader.Read(stream, "probe.cfg").TryGet(out GuestDocument? document, out InputError? error), error?.ToString());
        return document;
    }
}
