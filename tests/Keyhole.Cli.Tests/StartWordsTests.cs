// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What start says of a guest that it has started.</summary>
[TestClass]
public sealed class StartWordsTests : IDisposable
{
    private const string Setup = "[mem 0xb0000000-0xfebfffff] available for PCI devices\n";
    private const string Started = "Freeing unused kernel image (initmem) memory: 2600K\nRun /init as init process\n";
    private const string NoRoot = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n";
    private const string NoInit = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\n";

    private readonly FakeDom0 _dom0 = new();

    public StartWordsTests()
    {
        _dom0.Creation = new(0, "", "");
        _dom0.Creating = uuid => _dom0.Info = _dom0.Info with { Uuid = uuid };
    }

    public void Dispose() => _dom0.Dispose();

    [TestMethod]
    public void Why_a_guest_died_is_told_in_words_too()
    {
        JsonElement[] told = [.. Start(Setup + NoRoot, "--json").Json().GetProperty("explanations").EnumerateArray()];
        string text = Start(Setup + NoRoot).Output;

        Assert.IsNotEmpty(told);
        foreach (JsonElement explanation in told)
            Assert.Contains(explanation.GetString()!, text);
        Assert.Contains("Its words say nothing of memory", text);
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void A_guest_that_crashes_behind_its_start_has_died(bool isStillThere)
    {
        CommandRun run = Start(Setup + Started + NoInit, isStillThere);

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("no, guest \"g2\": it died, though it was forecast to boot", run.Output);
        Assert.DoesNotContain("it boots", run.Output);
    }

    [TestMethod]
    [DataRow("", "")]
    [DataRow("--policy minimal --kernel 6.1.192", " --policy minimal --kernel 6.1.192")]
    public void The_line_that_makes_a_map_last_makes_that_map_last(string options, string words)
    {
        string[] given = options.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        string plain = Start(Setup, ["--keep", "--json", .. given]).Json().GetProperty("remark").GetString()!;
        string blank = Start(Setup, "a guest.cfg", ["--keep", "--json", .. given]).Json().GetProperty("remark").GetString()!;

        Assert.Contains($"keyhole install {Path.Combine(_dom0.Root, "guest.cfg")}{words} makes this one last", plain);
        Assert.Contains($"keyhole install '{Path.Combine(_dom0.Root, "a guest.cfg")}'{words} makes this one last", blank);
    }

    /// <summary>The last line of its memory setup reads otherwise up to Linux 3.4.</summary>
    [TestMethod]
    public void An_old_kernel_that_boots_is_not_called_silent()
    {
        CommandRun run = Start("Linux version 3.2.102 (x@y) (gcc) #1 SMP\nAllocating PCI resources starting at b0000000 (gap: b0000000:4ec00000)\n"
            + "Freeing unused kernel memory: 900k freed\n", "guest.cfg", ["--json"], ends: false);

        Assert.AreEqual("booted", run.Json().GetProperty("outcome").GetString(), run.Output);
    }

    [TestMethod]
    public void A_guest_whose_script_gives_it_a_map_is_not_started_on_libxls()
    {
        _dom0.Write("etc/xen/scripts/vif-bridge", "#!/bin/sh\n");
        _dom0.Write("g3.cfg", "name=\"g3\"\ntype=\"pv\"\nmemory=256\ne820_host=1\nkernel=\"/k\"\nvif=['']\n");
        string config = Path.Combine(_dom0.Root, "g3.cfg");
        Assert.AreEqual(0, CommandRun.InDom0(_dom0.Machine, "install", config).Status);

        CommandRun run = CommandRun.InDom0(_dom0.Machine, "start", config, "--policy", "libxl", "--anyway");

        Assert.AreEqual(1, run.Status, run.Output);
        Assert.Contains("names Keyhole's script, which gives it another map than libxl's", run.Errors);
        Assert.IsEmpty(_dom0.Done);
    }

    private CommandRun Start(string said, params string[] options) => Start(said, isStillThere: true, options);

    private CommandRun Start(string said, bool isStillThere, params string[] options) => Start(said, "guest.cfg", options, isStillThere);

    private CommandRun Start(string said, string file, string[] options, bool isStillThere = true, bool ends = true)
    {
        // One for each: what is left of the last listener may take a line.
        using var console = new FakeConsole();
        _dom0.Console = console.Terminal;
        _dom0.Info = _dom0.Info with { IsPaused = true, IsShutdown = false, Uuid = Guid.Empty, CpuTimeNanoseconds = 0 };
        _dom0.Unpausing = () =>
        {
            console.Say(said);
            _dom0.Info = _dom0.Info with
            {
                IsPaused = false, IsShutdown = ends, ShutdownReason = 3, Uuid = isStillThere ? _dom0.Info.Uuid : Guid.Empty,
            };
        };
        _dom0.Write(file, "name=\"g2\"\ntype=\"pv\"\nmemory=256\ne820_host=1\nkernel=\"/k\"\non_reboot=\"destroy\"\n");
        return CommandRun.InDom0(_dom0.Machine, ["start", Path.Combine(_dom0.Root, file), "--timeout", "2", .. options]);
    }
}
