// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Text;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>A host whose Xen was told to take less RAM (mem=), in the order in which Xen's init_e820 prints: what it cuts off first, then the map in
/// which that is unusable.</summary>
[TestClass]
public sealed class XensRamLimitTests
{
    private const string Map = """
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009fbff] (usable)
        (XEN)  [000000000009fc00, 000000000009ffff] (reserved)
        (XEN)  [00000000000f0000, 00000000000fffff] (reserved)
        (XEN)  [0000000000100000, 00000000bffdffff] (usable)
        (XEN)  [00000000bffe0000, 00000000bfffffff] (reserved)
        (XEN)  [00000000fffc0000, 00000000ffffffff] (reserved)

        """;

    private const string Whole = Map + "(XEN)  [0000000100000000, 000000023fffffff] (usable)\n";

    private const string Cut = "(XEN) Truncating RAM from 9437184kB to 6291456kB\n" + Map
        + "(XEN)  [0000000100000000, 000000017fffffff] (usable)\n(XEN)  [0000000180000000, 000000023fffffff] (unusable)\n";

    private const string Limit = "Xen takes no RAM from 6 GiB on (line 3: mem= or availmem= on its command line";

    [TestMethod]
    public void The_hosts_RAM_is_what_Xen_takes_and_why_is_said()
    {
        CommandRun run = With(Cut, "5119MB (5242364kB)", "plan", "--host", "-", "--memory", "7168", "--e820-host");

        Assert.AreEqual(1, run.Status);
        Assert.Contains("7 GiB of memory are 2 GiB more than all RAM of the host (5 GiB)", Joined(run.Output));
        Assert.Contains(Limit, Joined(run.Errors));
        Assert.DoesNotContain("Xen counts", run.Errors);
    }

    [TestMethod]
    public void Of_both_maps_of_a_verbose_Xen_the_one_that_is_cut_counts()
    {
        CommandRun run = With(Whole.Replace("Xen-e820", "Initial Xen-e820", StringComparison.Ordinal) + Cut, "5119MB (5242364kB)",
            "plan", "--host", "-", "--memory", "7168", "--e820-host");

        Assert.Contains("all RAM of the host (5 GiB)", Joined(run.Output));
        Assert.Contains(Limit.Replace("line 3", "line 11", StringComparison.Ordinal), Joined(run.Errors));
    }

    [TestMethod]
    public void A_limit_of_another_boot_says_nothing_of_this_one()
    {
        string first = "(XEN) Xen version 4.16.0 (a@b)\n(XEN) Command line: mem=6G\n" + Cut + "(XEN) System RAM: 5119MB (5242364kB)\n";

        CommandRun run = CommandRun.WithInput(Encoding.UTF8.GetBytes(first + "(XEN) Xen version 4.16.0 (a@b)\n(XEN) Command line: x\n" + Whole
            + "(XEN) System RAM: 8191MB (8387068kB)\n"), "show", "--host", "-", "--map", "2");

        Assert.Contains("ram 8 GiB", run.Output);
        Assert.DoesNotContain("takes no RAM", run.Errors);
    }

    private static CommandRun With(string maps, string counted, params string[] args) => CommandRun.WithInput(
        Encoding.UTF8.GetBytes($"(XEN) Xen version 4.16.0 (a@b)\n(XEN) Command line: mem=6G\n{maps}(XEN) System RAM: {counted}\n"), args);

    private static string Joined(string text) => text.Replace("\n  ", " ", StringComparison.Ordinal);
}
