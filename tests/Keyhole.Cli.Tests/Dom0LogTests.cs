// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Text;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>Logs that have a part of what Xen and dom0 say.</summary>
[TestClass]
public sealed class Dom0LogTests
{
    private const string NoIommu = """
        (XEN) Xen version 4.17.3 (a@b) debug=n
        (XEN) AMD-Vi: Error initialization
        (XEN) I/O virtualisation disabled

        """;

    private const string Dom0 = """
        (XEN) *** LOADING DOMAIN 0 ***
        [    0.000000] Linux version 5.10.13-1.fc25.qubes.x86_64 (user@build) #1 SMP
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x0000000075daffff] usable
        [    0.000000] Xen: [mem 0x0000000075db0000-0x0000000075ffffff] reserved
        [    0.000000] Xen: [mem 0x0000000100000000-0x000000018702dfff] usable

        """;

    private const string XensEnd = """
        (XEN) [   12.449137] ----[ Xen-4.19-unstable  x86_64  debug=y  Not tainted ]----
        (XEN) [   12.710000] Panic on CPU 0:
        (XEN) [   12.720000] FATAL PAGE FAULT
        (XEN) [   12.750000] ****************************************

        """;

    private const string Machine = """
        (XEN) Xen version 4.17.3 (a@b) debug=n
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009ffff] (usable)
        (XEN)  [0000000000100000, 00000000bfffffff] (usable)
        (XEN)  [0000000100000000, 0000001fffffffff] (usable)

        """;

    private static CommandRun With(string log, params string[] words) => CommandRun.WithInput(Encoding.ASCII.GetBytes(log), words);

    private static string Words(string text) => string.Join(' ', text.Split(default(char[]), StringSplitOptions.RemoveEmptyEntries));

    private static CommandRun Verify(string dmesg)
    {
        string host = System.IO.Path.GetTempFileName();
        System.IO.File.WriteAllText(host, Machine);
        try
        {
            return With(dmesg, "verify", "--dom0", "--host", host, "--dmesg", "-");
        }
        finally
        {
            System.IO.File.Delete(host);
        }
    }

    [TestMethod]
    [DataRow("pv")]
    [DataRow("hvm")]
    public void What_Xen_says_of_the_IOMMU_counts_beside_a_map_of_dom0_s(string type)
    {
        CommandRun run = With(NoIommu + Dom0, "plan", "--host", "-", "--type", type, "--memory", "1024", "--pci", "0a:00.0");

        Assert.AreEqual(1, run.Status, run.Output);
        Assert.Contains("passthrough not supported on this platform", Words(run.Output));
    }

    [TestMethod]
    public void An_IOMMU_that_Xen_does_not_use_is_not_shown_as_one_in_use() =>
        Assert.Contains("IOMMU: AMD-Vi, not used by Xen", With(NoIommu + Dom0, "show", "--host", "-").Output);

    [TestMethod]
    public void Of_a_log_without_a_map_no_map_is_said_to_be_as_forecast()
    {
        CommandRun run = Verify("""
            <4>[   51.998675] ------------[ cut here ]------------
            <2>[   51.998677] kernel BUG at arch/x86/xen/p2m.c:542!
            <4>[   51.998685] CPU: 5 PID: 2351 Comm: xenstored Not tainted 6.0.2-2.fc32.qubes.x86_64 #1

            """);

        Assert.Contains("Memory has a part in it.", Words(run.Output));
        Assert.DoesNotContain("Its map is the one that was forecast", Words(run.Output));
    }

    [TestMethod]
    public void A_Xen_that_dies_while_it_reboots_for_a_dom0_that_crashed_is_not_what_ended_the_boot()
    {
        CommandRun run = Verify("(XEN) [    5.040906] Hardware Dom0 crashed: rebooting machine in 5 seconds.\n" + XensEnd);

        Assert.Contains("Hardware Dom0 crashed", run.Output);
        Assert.DoesNotContain("no line of dom0's kernel on its memory stands before that", Words(run.Output));
        // Without that line it is Xen's own.
        Assert.Contains("no line of dom0's kernel on its memory stands before that", Words(Verify(XensEnd).Output));
    }
}
