// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Logs;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Verification;

/// <summary>Kernels of which a log shows that they go on: behind their map in an excerpt, and behind an Oops.</summary>
[TestClass]
public sealed class LifeSignTests
{
    private const string Map = "[    0.000000] Linux version 6.1.0 (a@b) #1 SMP\n[    0.000000] BIOS-provided physical RAM map:\n"
        + "[    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable\n[    0.000000] Xen: [mem 0x0000000000100000-0x3fffffff] usable\n";

    private const string Oops = "[  300.100000] BUG: kernel NULL pointer dereference, address: 0000000000000010\n"
        + "[  300.100100] Oops: 0000 [#1] PREEMPT SMP NOPTI\n[  300.200000] ---[ end trace 0000000000000000 ]---\n";

    private static ObservedBoot Boot(string log) =>
        BootLog.Of(LogScanner.Scan(new MemoryStream(Encoding.ASCII.GetBytes(log)), "f")).Single();

    [TestMethod]
    [DataRow("[ 9000.000000] systemd[1]: Started Session 42 of user root.\n")]
    [DataRow("[  400.000000] usb 1-1: new high-speed USB device number 2 using xhci_hcd\n")]
    [DataRow("[  400.000000] EXT4-fs (xvda1): mounted filesystem with ordered data mode\n")]
    [DataRow("[  305.000000] nothing of the kind\n[  306.000000] sshd[812]: Server listening on 0.0.0.0 port 22.\n")]
    public void An_Oops_behind_which_the_same_kernel_goes_on_is_not_its_end(string sign)
    {
        ObservedBoot boot = Boot(Map + Oops + sign);

        Assert.IsFalse(boot.Halts);
        Assert.StartsWith("BUG: kernel NULL pointer", boot.Facts.Survived?.Value.Words);
        Assert.AreEqual(5, boot.Facts.Survived?.Line);
        Assert.AreEqual(boot.LastLine, boot.Facts.AliveLine);
    }

    /// <summary>Other processors speak for a moment, a kernel that hangs tells of it, and without stamps nobody knows what came when.</summary>
    [TestMethod]
    [DataRow("")]
    [DataRow("[  300.300000] systemd[1]: Started Session 42 of user root.\n")]
    [DataRow("[  326.000000] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [modprobe:201]\n")]
    [DataRow("[  326.000000] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:\n")]
    [DataRow("[  512.000000] INFO: task systemd:1 blocked for more than 120 seconds.\n")]
    [DataRow("[    9.000000] systemd[1]: Started Session 42 of user root.\n")]
    [DataRow("systemd[1]: Started Session 42 of user root.\n")]
    [DataRow("(XEN) [ 9000.000000] xenstored[1]: x\n")]
    public void Behind_an_Oops_these_do_not_show_that_the_kernel_goes_on(string line)
    {
        ObservedBoot boot = Boot(Map + Oops + line);

        Assert.IsTrue(boot.Halts);
        Assert.StartsWith("BUG: kernel NULL pointer", boot.BootFailure?.Value.Words);
    }

    [TestMethod]
    [DataRow("[  300.300000] Kernel panic - not syncing: Fatal exception in interrupt\n")]
    [DataRow("[  900.000000] systemd[1]: Started it.\n[ 7000.000000] Kernel panic - not syncing: Fatal exception in interrupt\n")]
    public void A_panic_is_the_end_whatever_came_before(string lines)
    {
        ObservedBoot boot = Boot(Map + Oops + lines + "[ 9000.000000] systemd[1]: Started Session 42 of user root.\n");

        Assert.IsTrue(boot.Halts);
    }

    [TestMethod]
    public void A_line_far_behind_the_map_shows_that_the_setup_is_over_where_an_excerpt_has_no_other()
    {
        Assert.AreEqual(5, Boot(Map + "[   20.000000] EXT4-fs (xvda1): mounted filesystem with ordered data mode\n").Facts.AliveLine);
        Assert.AreEqual(6, Boot(Map + "[    3.000000] x\n[   20.000000] eth0: link becomes ready\n").Facts.AliveLine);
        Assert.IsNull(Boot(Map + "[    0.200000] systemd[1]: x\n").Facts.AliveLine);
        Assert.IsNull(Boot(Map + "[   20.000000] Call Trace:\n").Facts.AliveLine);
    }
}
