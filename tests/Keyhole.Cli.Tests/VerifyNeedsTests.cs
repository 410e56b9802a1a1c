// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>Lines in which a kernel or a driver says that it got no memory, as <c>keyhole verify</c> tells them.</summary>
[TestClass]
public sealed class VerifyNeedsTests
{
    private const string Boot = """
        Linux version 6.6.77 (a@b) #1 SMP
        Released 0 page(s)
        BIOS-provided physical RAM map:
        Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        Xen: [mem 0x0000000000100000-0x000000001fffffff] usable

        """;

    private const string Balloon = """
        [    8.173649] kernel BUG at /usr/src/packages/BUILD/xen-4.4.2-testing/obj/default/balloon/balloon.c:407!
        [    8.173649] invalid opcode: 0000 [#1] SMP
        [    8.173649] Pid: 11, comm: kworker/0:1 Not tainted 3.0.101-63-default #1 Xen HVM domU

        """;

    private static string PathOf(params string[] parts) => Path.Combine([AppContext.BaseDirectory, "fixtures", .. parts]);

    [TestMethod]
    [DataRow("xen:swiotlb_xen: Failed to get contiguous memory for DMA from Xen!", "in one piece below 4 GiB")]
    [DataRow("[2025-05-25 19:05:04] pcifront pci-0: Could not setup SWIOTLB!", "none of the devices that are passed through comes up")]
    [DataRow("[   12.000000] nvme 0000:00:06.0: swiotlb buffer is full (sz: 65536 bytes), total 32768 (slots), used 32760 (slots)", "is too small")]
    [DataRow("[   12.000000] modprobe: page allocation failure: order:4, mode:0x40cc0(GFP_KERNEL|__GFP_COMP)", "no free memory of that order")]
    [DataRow("[   12.000000] dracut-install invoked oom-killer: gfp_mask=0x140cca, order=0, oom_score_adj=0", "ends programs")]
    [DataRow("[   12.000000] xhci_hcd: probe of 0000:00:06.0 failed with error -12", "for want of memory by its own word (-12)")]
    public void What_got_no_memory_is_told(string line, string expected)
    {
        CommandRun run = OfGuest($"{Boot}{line}\n", "pv");

        string words = line[(line.IndexOf(']') + 1)..].Trim();
        Assert.AreEqual(0, run.Status, run.Errors + run.Output);
        Assert.Contains($"Line 7: \"{words[..20]}", run.Output);
        Assert.Contains(expected, run.Output);
        Assert.DoesNotContain("the log says no more", run.Output);
        CommandRun hvm = OfGuest($"{Boot.Replace("Xen: ", "BIOS-e820: ", StringComparison.Ordinal)}{line}\n", "hvm");
        Assert.Contains(expected, hvm.Output);
    }

    [TestMethod]
    [DataRow("xhci_hcd: probe of 0000:00:06.0 failed with error -19")]
    [DataRow("xen:swiotlb_xen: Warning: only able to allocate 4 MB for software IO TLB")]
    public void Other_failures_are_not_taken_for_want_of_memory(string line) =>
        Assert.Contains("Behind line 6 the log says no more", OfGuest($"{Boot}{line}\n", "pv").Output);

    [TestMethod]
    public void A_BUG_in_the_balloon_driver_is_about_memory()
    {
        CommandRun run = OfGuest(Balloon, "hvm", "--maxmem", "1G");

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("Memory has a part in it", run.Output);
        Assert.Contains("The BUG is in the balloon driver", run.Output);
        Assert.Contains("What to change: set maxmem to memory (512 MiB)", run.Output);
        Assert.DoesNotContain("What to change", OfGuest(Balloon, "hvm").Output);
        Assert.Contains("say nothing of memory", OfGuest(Balloon.Replace("balloon.c", "slub.c", StringComparison.Ordinal), "hvm").Output);
    }

    [TestMethod]
    public void A_release_that_is_not_known_is_told_with_what_it_is_taken_for() =>
        Assert.Contains("The log is of Linux 3.0.101-63-default (line 3), which is none of those that are known", OfGuest(Balloon, "hvm").Output);

    private static CommandRun OfGuest(string log, string type, params string[] options) => CommandRun.Of(
        ["verify", "--host", PathOf("hosts", "dell-xps-8500", "boot.log"), "--memory", "512", "--type", type, "--dmesg", Written(log), .. options]);

    private static string Written(string text)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, text);
        return path;
    }
}
