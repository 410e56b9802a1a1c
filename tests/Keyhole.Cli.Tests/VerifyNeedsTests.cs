// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text.Json;
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
    [DataRow("[2025-05-25 19:05:04] pcifront pci-0: 12 Error setting up PCI Frontend", "the driver of the bus of the devices that are passed")]
    [DataRow("vif vif-0: 12 allocating tx ring page", "for want of memory by its own word (12)")]
    [DataRow("[   12.000000] nvme 0000:00:06.0: swiotlb buffer is full (sz: 65536 bytes), total 32768 (slots), used 32760 (slots)", "is too small")]
    [DataRow("[   12.000000] modprobe: page allocation failure: order:4, mode:0x40cc0(GFP_KERNEL|__GFP_COMP)", "no free memory of that order")]
    [DataRow("[   12.000000] Out of memory: Killed process 113 (dracut-install) total-vm:9004kB, anon-rss:5120kB", "ended that program")]
    [DataRow("[    2.000000] Initramfs unpacking failed: write error", "have no room in memory")]
    [DataRow("[   12.000000] dracut-install invoked oom-killer: gfp_mask=0x140cca, order=0, oom_score_adj=0", "ends programs")]
    [DataRow("[   12.000000] xhci_hcd: probe of 0000:00:06.0 failed with error -12", "for want of memory by its own word (-12)")]
    public void What_got_no_memory_is_told(string line, string expected)
    {
        CommandRun run = OfGuest($"{Boot}{line}\n", "pv");

        string words = line[(line.IndexOf(']') + 1)..].Trim();
        Assert.Contains($"Line 7: \"{words[..20]}", run.Output);
        Assert.Contains(expected, run.Output);
        Assert.DoesNotContain("the log says no more", run.Output);
        CommandRun hvm = OfGuest($"{Boot.Replace("Xen: ", "BIOS-e820: ", StringComparison.Ordinal)}{line}\n", "hvm");
        Assert.Contains(expected, hvm.Output);
    }

    /// <summary>Logs are cut at both ends.</summary>
    [TestMethod]
    [DataRow("[2025-05-25 19:05:04] pcifront pci-0: Could not setup SWIOTLB!", 1)]
    [DataRow("xhci_hcd: probe of 0000:00:06.0 failed with error -12", 1)]
    [DataRow("modprobe: page allocation failure: order:4, mode:0x40cc0(GFP_KERNEL|__GFP_COMP)", 2)]
    [DataRow("xhci_hcd: probe of 0000:00:06.0 failed with error -19", 2)]
    public void What_got_no_memory_is_told_where_nothing_else_of_the_kernel_is_in_the_log(string line, int status)
    {
        foreach (string type in (string[])["pv", "hvm"])
        {
            CommandRun run = OfGuest($"{line}\n", type);

            Assert.AreEqual(status, run.Status, run.Output + run.Errors);
            Assert.AreEqual(status == 1, run.Output.Contains("Line 1: \"", StringComparison.Ordinal), run.Output);
        }
    }

    [TestMethod]
    [DataRow("pcifront pci-0: Could not setup SWIOTLB!", true)]
    [DataRow("xhci_hcd: probe of 0000:00:06.0 failed with error -12", true)]
    [DataRow("dracut-install invoked oom-killer: gfp_mask=0x140cca, order=0, oom_score_adj=0", true)]
    [DataRow("modprobe: page allocation failure: order:4, mode:0x40cc0(GFP_KERNEL|__GFP_COMP)", false)]
    [DataRow("nvme 0000:00:06.0: swiotlb buffer is full (sz: 65536 bytes), total 32768 (slots), used 32760 (slots)", false)]
    public void A_boot_in_which_something_got_no_memory_is_not_said_to_be_well(string line, bool isLoss)
    {
        foreach (string type in (string[])["pv", "hvm"])
        {
            string log = type == "pv" ? Boot : $"{Boot[..Boot.IndexOf('\n', StringComparison.Ordinal)]}\n";
            CommandRun run = OfGuest($"{log}{line}\n", type, "--json");
            using var answer = JsonDocument.Parse(run.Output);
            JsonElement differences = answer.RootElement.GetProperty("differences");

            Assert.AreEqual(isLoss ? 1 : 0, run.Status, run.Output);
            Assert.AreEqual(!isLoss, answer.RootElement.GetProperty("agrees").GetBoolean());
            Assert.AreEqual(isLoss ? 1 : 0, differences.GetArrayLength(), run.Output);
            if (isLoss)
                Assert.AreEqual("want of memory", differences[0].GetProperty("what").GetString());
            string text = OfGuest($"{log}{line}\n", type).Output.Replace("\n  ", " ", StringComparison.Ordinal);
            Assert.Contains(isLoss ? "the memory setup is as forecast, and behind it something got no memory and does not work"
                : "the log agrees with the forecast; behind that it tells of a want of memory", text);
            Assert.DoesNotContain("No kernel version", text);
        }
    }

    private const string Killer = "nginx invoked oom-killer: gfp_mask=0x140cca, order=0, oom_score_adj=0";
    private const string Driver = "xhci_hcd 0000:00:06.0: probe with driver xhci_hcd failed with error -12";
    private const string Init = "[    2.100000] Run /init as init process\n";

    /// <summary>A program that takes all memory hours later, a device that is plugged in.</summary>
    [TestMethod]
    [DataRow(Init + "[ 7261.123456] " + Killer, "2 hours")]
    [DataRow(Init + "[  301.123456] " + Driver, "5 minutes")]
    [DataRow("[  601.123456] " + Driver, "10 minutes")]
    // As dmesg -T, and as a console's stamps have it.
    [DataRow("[Sun Nov 29 23:00:00 2026] Kernel command line: root=/dev/xvda\n"
        + "[Mon Nov 30 02:30:00 2026] Out of memory: Killed process 113 (nginx) total-vm:9kB", "3 hours")]
    [DataRow("[2026-11-30 02:00:00] Kernel command line: root=/dev/xvda\n[2026-11-30 02:15:00] " + Killer, "15 minutes")]
    public void What_gets_no_memory_long_behind_the_boot_is_told_and_no_difference(string lines, string age)
    {
        foreach (string type in (string[])["pv", "hvm"])
        {
            string log = (type == "pv" ? Boot : $"{Boot[..Boot.IndexOf('\n', StringComparison.Ordinal)]}\n") + lines + "\n";
            CommandRun run = OfGuest(log, type);
            string text = run.Output.Replace("\n  ", " ", StringComparison.Ordinal);

            Assert.AreEqual(0, run.Status, run.Output + run.Errors);
            Assert.Contains("the log agrees with the forecast; long behind the boot it tells of a want of memory", text);
            Assert.Contains($"It comes {age} behind the kernel's start: it is no part of the boot, and no difference from its forecast.", text);
            using var answer = JsonDocument.Parse(OfGuest(log, type, "--json").Output);
            Assert.IsTrue(answer.RootElement.GetProperty("agrees").GetBoolean());
            Assert.AreEqual(0, answer.RootElement.GetProperty("differences").GetArrayLength());
        }
    }

    [TestMethod]
    [DataRow(Init + "[  120.123456] " + Killer)]
    [DataRow("[  301.123456] " + Driver)]
    [DataRow("[2026-11-30 02:00:00] Kernel command line: root=/dev/xvda\n[2026-11-30 02:01:30] " + Killer)]
    // A journal's stamps jump where the guest's clock is set.
    [DataRow("Nov 30 00:00:00 guest kernel: Kernel command line: root=/dev/xvda\nNov 30 02:00:00 guest kernel: " + Killer)]
    public void What_may_be_of_the_boot_stays_a_difference(string lines)
    {
        CommandRun run = OfGuest($"{Boot}{lines}\n", "pv");

        Assert.AreEqual(1, run.Status, run.Output + run.Errors);
        Assert.DoesNotContain("no part of the boot", run.Output.Replace("\n  ", " ", StringComparison.Ordinal));
    }

    /// <summary>What differs within the boot is no less so for what comes later.</summary>
    [TestMethod]
    public void A_loss_within_the_boot_counts_beside_one_that_comes_later()
    {
        CommandRun run = OfGuest($"{Boot}[    1.500000] {Driver}\n{Init}[ 9000.500000] {Killer}\n", "pv", "--json");
        using var answer = JsonDocument.Parse(run.Output);

        Assert.AreEqual(1, run.Status, run.Output);
        Assert.AreEqual(1, answer.RootElement.GetProperty("differences").GetArrayLength(), run.Output);
    }

    [TestMethod]
    [DataRow("4096", true)]
    [DataRow("1024", false)]
    public void What_the_balloons_room_costs_is_told_where_it_is_much(string maxmem, bool isMuch)
    {
        string end = maxmem == "4096" ? "0x00000000ffffffff" : "0x000000003fffffff";
        string log = Boot.Replace("0x000000001fffffff", end, StringComparison.Ordinal);
        string text = OfGuest($"{log}[    0.1] Memory: 300000K/{(maxmem == "4096" ? 4193916 : 1048188)}K available\n", "pv", "--maxmem", $"{maxmem}M")
            .Output.Replace("\n  ", " ", StringComparison.Ordinal);

        Assert.Contains("are room for the balloon", text);
        Assert.AreEqual(isMuch, text.Contains("(64 bytes each) take about 56 MiB of the 512 MiB that the guest has from the start. What to change: "
            + "set maxmem to memory (512), or start the guest with more.", StringComparison.Ordinal), text);
    }

    /// <summary>Linux keeps room for ten times what a guest starts with, whatever Xen would give it.</summary>
    [TestMethod]
    public void RAM_beyond_ten_times_the_start_is_not_said_to_be_beyond_maxmem()
    {
        string log = Boot.Replace("0x000000001fffffff", "0x00000000ce3fffff", StringComparison.Ordinal);
        string text = OfGuest(log, "pv", "--memory", "300", "--maxmem", "4000M").Output.Replace("\n  ", " ", StringComparison.Ordinal);

        Assert.Contains("700 MiB of the 3.91 GiB of RAM in the map are out of the balloon's room: the guest starts with 300 MiB, and Linux keeps "
            + "room for ten times that at most. The kernel leaves them out of its map. What to change: set memory to 364 MiB or more.", text);
        Assert.DoesNotContain("(maxmem)", text);
        Assert.Contains("balloon-room-cut: 7.38 MiB of RAM", BootOf("363"));
        Assert.DoesNotContain("balloon-room-cut", BootOf("364"));
    }

    [TestMethod]
    public void What_a_dom0_without_a_limit_pays_for_room_is_told_with_the_limit()
    {
        const string log = """
            (XEN) Xen version 4.17.5 (a@b) debug=n
            (XEN) Command line: placeholder dom0_mem=1024M
            (XEN) Xen-e820 RAM map:
            (XEN)  [0000000000000000, 000000000009fbff] (usable)
            (XEN)  [000000000009fc00, 00000000000fffff] (reserved)
            (XEN)  [0000000000100000, 00000000bfffffff] (usable)
            (XEN)  [0000000100000000, 000000033fffffff] (usable)
            (XEN) System RAM: 12287MB (12582524kB)
            [    0.000000] Linux version 6.12.20 (a@b) #1 SMP
            [    0.000000] Released 0 page(s)
            [    0.200000] Memory: 700000K/11533820K available

            """;
        string text = CommandRun.Of("verify", "--dom0", "--host", Written(log)).Output.Replace("\n  ", " ", StringComparison.Ordinal);

        Assert.Contains("of the 1 GiB that dom0 has from the start. What to change: dom0_mem=1024M,max:1024M on Xen's command line", text);
    }

    /// <summary>Then nearly all of what is not dom0's is Xen's own.</summary>
    [TestMethod]
    public void What_Xen_uses_itself_is_not_promised_to_a_dom0_that_has_all_the_rest()
    {
        const string log = """
            (XEN) Xen version 4.17.5 (a@b) debug=n
            (XEN) Command line: placeholder vga=keep
            (XEN) Xen-e820 RAM map:
            (XEN)  [0000000000000000, 000000000009fbff] (usable)
            (XEN)  [000000000009fc00, 00000000000fffff] (reserved)
            (XEN)  [0000000000100000, 00000000bfffffff] (usable)
            (XEN)  [0000000100000000, 000000033fffffff] (usable)
            (XEN) System RAM: 12287MB (12582524kB)
            (XEN)  Dom0 alloc.:   0000000330000000->0000000334000000 (2999247 pages to be allocated)
            (XEN)  Loaded kernel: ffffffff81000000->ffffffff84a00000
            (XEN)  Phys-Mach map: 0000008000000000->0000008001701e78
            (XEN)  Start info:    ffffffff84a00000->ffffffff84a004b8
            (XEN)  Page tables:   ffffffff84a01000->ffffffff84a2a000
            [    0.000000] Linux version 6.12.20 (a@b) #1 SMP
            [    0.000000] Released 0 page(s)

            """;
        string text = CommandRun.Of("verify", "--dom0", "--host", Written(log)).Output.Replace("\n  ", " ", StringComparison.Ordinal);

        Assert.Contains("Without dom0_mem= on its command line Xen gives dom0 all that it has left but for 128 MiB at most", text);
        Assert.DoesNotContain("they are not missing", text);
        string told = CommandRun.Of("verify", "--dom0", "--host", Written(log.Replace("vga=", "dom0_mem=4096M vga=", StringComparison.Ordinal)))
            .Output.Replace("\n  ", " ", StringComparison.Ordinal);
        Assert.Contains("as far as Xen has them free", told);
    }

    /// <summary>What came behind the setup no other release and no other guest explains.</summary>
    [TestMethod]
    public void A_want_of_memory_is_not_blamed_on_the_kernels_release()
    {
        string output = OfGuest($"{Boot}pcifront pci-0: Could not setup SWIOTLB!\n", "pv").Output;

        foreach (string claim in (string[])["no kernel version that is known", "agrees with", "does one thing as other releases"])
            Assert.DoesNotContain(claim, output);
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
        ["verify", "--host", PathOf("hosts", "dell-xps-8500", "boot.log"), "--type", type, "--dmesg", Written(log), .. options,
            .. options.Contains("--memory") ? (string[])[] : ["--memory", "512"]]);

    private static string BootOf(string memory) => CommandRun.Of(
        "boot", "--host", PathOf("hosts", "dell-xps-8500", "boot.log"), "--memory", memory, "--maxmem", "4000M").Output;

    private static string Written(string text)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, text);
        return path;
    }
}
