// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>Logs from the field through the command line: what came out wrong once, and beside each the case in which the same rule has nothing to
/// say.</summary>
[TestClass]
public sealed class FieldTests
{
    private static string PathOf(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", "field", name);

    private static string TextOf(string name) => File.ReadAllText(PathOf(name));

    private static CommandRun Dom0(string text) => CommandRun.WithInput(Encoding.UTF8.GetBytes(text), "verify", "--dom0", "--host", "-");

    /// <summary>A guest's dmesg beside a host's map.</summary>
    private static CommandRun Guest(string dmesg, params string[] options) =>
        CommandRun.WithInput(Encoding.UTF8.GetBytes(dmesg), ["verify", "--host", PathOf("xen/bar-hotplug-host.txt"), "--dmesg", "-", .. options]);

    private static string Replaced(string text, string old, string by)
    {
        Assert.Contains(old, text);
        return text.Replace(old, by, StringComparison.Ordinal);
    }

    [TestMethod]
    public void A_panic_is_no_boot()
    {
        CommandRun run = CommandRun.Of("verify", "--host", PathOf("xen/panic.txt"), "--memory", "512", "--dmesg", PathOf("xen/panic.txt"));

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("halts: \"Kernel panic - not syncing: memblock_virt_alloc_try_nid: Failed to allocate 268435456 bytes\"", run.Output);
        Assert.Contains("The memory setup is as forecast to the last line there is of it (line 7)", run.Output);
        Assert.Contains("Memory has a part in it: it wanted 256 MiB in one piece; the guest has 512 MiB", run.Output);
        Assert.DoesNotContain("No kernel version", run.Output);
    }

    [TestMethod]
    [DataRow("Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)")]
    [DataRow("kernel BUG at drivers/foo.c:313!")]
    [DataRow("BUG: unable to handle kernel NULL pointer dereference at 0000000000000008")]
    [DataRow("BUG: unable to handle page fault for address: ffffc90000000000")]
    [DataRow("Oops: 0002 [#1] PREEMPT SMP NOPTI")]
    [DataRow("general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1] SMP")]
    [DataRow("PANIC: early exception 0x0e IP 10:ffffffff81f2ee39 error 9 cr2 0xffffffffff240000")]
    public void Of_other_ends_memory_is_not_blamed(string words)
    {
        string text = Replaced(TextOf("xen/panic.txt"), "Kernel panic - not syncing: memblock_virt_alloc_try_nid: Failed to allocate 268435456 bytes",
            words);

        CommandRun run = CommandRun.WithInput(Encoding.UTF8.GetBytes(text), "verify", "--host", PathOf("xen/panic.txt"), "--memory", "512", "--dmesg",
            "-", "--json");

        Assert.AreEqual(1, run.Status, run.Errors);
        JsonElement json = run.Json();
        JsonElement outcome = json.GetProperty("differences").EnumerateArray().Single();
        Assert.AreEqual("outcome", outcome.GetProperty("what").GetString());
        Assert.AreEqual("boots", outcome.GetProperty("forecast").GetString());
        Assert.AreEqual($"halts: \"{words.TrimEnd(']', ')')}\"".Replace(words.TrimEnd(']', ')'), words.TrimEnd(' ', '-', '[', ']'),
            StringComparison.Ordinal), outcome.GetProperty("observed").GetString());
        string told = string.Join('\n', json.GetProperty("explanations").EnumerateArray().Select(static text => text.GetString()));
        string said = words.Contains("page fault", StringComparison.Ordinal)
            ? "Its words are of an address that is not mapped, or not for that use: why they do not tell" : "Its words say nothing of memory";
        Assert.Contains($"{said}, and nothing that could be compared points to the map", told);
        Assert.DoesNotContain("Memory has a part", told);
    }

    [TestMethod]
    public void Where_lines_differ_before_the_end_the_map_is_not_acquitted()
    {
        string text = Replaced(TextOf("xen/dom0-crash-early.txt"), "0x0000000040060fff] usable", "0x0000000040061fff] usable");

        CommandRun run = Dom0(text);

        Assert.AreEqual(1, run.Status);
        Assert.Contains("1 of 6 lines of the memory setup differ from the forecast", run.Output);
        Assert.Contains("(what differs: map entry)", run.Output);
        Assert.DoesNotContain("nothing that could be compared points to the map", run.Output);
    }

    [TestMethod]
    public void A_crash_behind_the_setup_is_told_to_be_behind_it()
    {
        CommandRun run = Dom0(TextOf("xen/dom0-crash-early.txt"));

        Assert.AreEqual(1, run.Status);
        Assert.Contains(
            "The memory setup is as forecast to the last line there is of it (line 25); the kernel dies after it, at line 27: "
                + "\"kernel BUG at drivers/foo.c:313!\"", run.Output);
        Assert.DoesNotContain("No kernel version", run.Output);
        Assert.DoesNotContain("everything after the outcome", run.Output);
    }

    [TestMethod]
    public void Xens_word_alone_is_an_end_too()
    {
        CommandRun run = Dom0(Replaced(TextOf("xen/dom0-crash-early.txt"), "[    0.135841] kernel BUG at drivers/foo.c:313!\n", ""));

        Assert.AreEqual(1, run.Status);
        Assert.Contains("halts (Domain 0 (vcpu#0) crashed on cpu#0)", run.Output);
    }

    [TestMethod]
    public void A_crash_after_the_whole_setup_is_an_end_and_a_halt_is_none()
    {
        string golden = File.ReadAllText(CommandRun.Golden("plain4g.log"));
        golden = golden[..golden.IndexOf("=== ", StringComparison.Ordinal)];

        Assert.AreEqual(1, Dom0($"{golden}(XEN) Hardware Dom0 crashed: rebooting machine in 5 seconds.\n").Status);
        Assert.AreEqual(0, Dom0($"{golden}(XEN) Hardware Dom0 halted: halting machine\n").Status);
        Assert.AreEqual(0, Dom0($"{golden}(XEN) Domain 7 (vcpu#0) crashed on cpu#0:\n").Status);
    }

    [TestMethod]
    public void Xens_own_panic_before_dom0_leaves_nothing_to_compare()
    {
        string text = TextOf("xen/dom0-crash-early.txt");
        text = text[..text.IndexOf("(XEN) Freed", StringComparison.Ordinal)]
            + "(XEN) \n(XEN) ****************************************\n(XEN) Panic on CPU 0:\n(XEN) Could not construct domain 0\n(XEN) "
            + "****************************************\n";

        CommandRun run = Dom0(text);

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("Xen halts: \"Could not construct domain 0\"", run.Output);
        Assert.Contains("and no line of dom0's kernel on its memory stands before that in the log", run.Output);
        Assert.DoesNotContain("agrees with", run.Output);
        Assert.DoesNotContain("balloon", run.Output);
    }

    [TestMethod]
    public void A_log_that_just_ends_is_said_to_end()
    {
        CommandRun run = Dom0(TextOf("xen/builtin-cmdline.txt"));

        Assert.AreEqual(0, run.Status);
        Assert.Contains("whether the kernel stopped or the log was cut it does not show", run.Output);
        string golden = File.ReadAllText(CommandRun.Golden("plain4g.log"));
        Assert.DoesNotContain("the log was cut it does not show", Dom0(golden[..golden.IndexOf("=== ", StringComparison.Ordinal)]).Output);
    }

    [TestMethod]
    public void Memory_hot_plugged_over_a_window_is_not_the_maps_doing()
    {
        CommandRun run = Guest(TextOf("xen/bar-hotplug-dmesg.txt"), "--guest", PathOf("xen/bar-hotplug.cfg"), "--bar", "90004000-90008000");

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("hot-plugged later: the kernel's map (line 5 on) has no RAM there, and it is 128 MiB of whole 128 MiB sections", run.Output);
        Assert.Contains("The guest's maxmem is its memory", run.Output);
        Assert.DoesNotContain("e820_host=1", run.Output);
        Assert.DoesNotContain("set maxmem", run.Output);
        Assert.DoesNotContain("of the guest's map", run.Output);
        Assert.DoesNotContain("No kernel version", run.Output);
        // The memory setup is as forecast: no other kernel explains anything.
        Assert.DoesNotContain("All of it agrees", run.Output);
        // Its configuration gives the device from the start.
        Assert.DoesNotContain("before it starts", run.Output);
        Assert.Contains("build the driver of its bus (xen-pcifront) into the kernel", run.Output);
        // The log's map shows that the guest that ran had no more than its memory, whatever is told.
        string other = Guest(TextOf("xen/bar-hotplug-dmesg.txt"), "--guest", PathOf("xen/bar-hotplug.cfg"), "--maxmem", "4096", "--bar",
            "90004000-90008000").Output;
        Assert.DoesNotContain("set maxmem", other);
        Assert.Contains("it was not its balloon", other);
    }

    [TestMethod]
    public void A_balloon_that_may_grow_is_told_not_to()
    {
        string config = Path.GetTempFileName();
        try
        {
            File.WriteAllText(config, TextOf("xen/bar-hotplug.cfg") + "maxmem = 2048\n");
            const string last = "Xen: [mem 0x00000000fee00000-0x00000000feefffff] reserved";
            string dmesg = Replaced(TextOf("xen/bar-hotplug-dmesg.txt"), last,
                $"{last}\nXen: [mem 0x0000000100000000-0x000000013fffffff] usable");
            CommandRun run = Guest(dmesg, "--guest", config, "--bar", "90004000-90008000");

            Assert.Contains("set maxmem to memory (1024 MiB)", run.Output);
            Assert.DoesNotContain("The guest's maxmem is its memory", run.Output);
        }
        finally
        {
            File.Delete(config);
        }
    }

    [TestMethod]
    public void RAM_that_was_given_was_not_hot_plugged()
    {
        string dmesg = Replaced(TextOf("xen/bar-hotplug-dmesg.txt"),
            "BAR 0 [mem 0x90004000-0x90007fff 64bit pref]: address conflict with System RAM [mem 0x90000000-0x97ffffff]",
            "BAR 0 [mem 0x30004000-0x30007fff 64bit pref]: address conflict with System RAM [mem 0x00100000-0x3fffffff]");

        CommandRun run = Guest(dmesg, "--guest", PathOf("xen/bar-hotplug.cfg"), "--bar", "30004000-30008000");

        Assert.DoesNotContain("hot-plugged", run.Output);
        Assert.Contains("of the guest's map", run.Output);
        Assert.DoesNotContain("e820_host=1", run.Output);
    }

    /// <summary>RAM of the kernel's own command line was there before anything was plugged in.</summary>
    [TestMethod]
    public void RAM_that_the_command_line_makes_is_not_told_to_be_hot_plugged()
    {
        string log = TextOf("xen/bar-hotplug-dmesg.txt");
        string[] lines = log.Split('\n');

        CommandRun run = Guest($"{lines[0]}\nCommand line: root=/dev/xvda1 memmap=1G@0x80000000\n{string.Join('\n', lines[1..])}",
            "--guest", PathOf("xen/bar-hotplug.cfg"), "--bar", "90004000-90008000");

        Assert.DoesNotContain("hot-plugged later", run.Output);
        Assert.Contains("System RAM", run.Output);
    }

    [TestMethod]
    public void The_hosts_map_is_advised_where_it_is_not_on_yet()
    {
        const string dmesg =
            "Linux version 6.4.0\nReleased 0 page(s)\nXen: [mem 0x0000000000000000-0x000000000009ffff] usable\nXen: [mem "
                + "0x00000000000a0000-0x00000000000fffff] reserved\n"
            + "Xen: [mem 0x0000000000100000-0x000000003fffffff] usable\nRemapped 0 page(s)\n"
            + "pci 0000:00:00.4: can't claim BAR 0 [mem 0x30004000-0x30007fff 64bit pref]: address conflict with "
            + "System RAM [mem 0x00100000-0x3fffffff]\n";

        Assert.Contains("e820_host=1 gives the host's", Guest(dmesg, "--memory", "1024").Output);
    }

    [TestMethod]
    public void A_limit_on_dom0s_own_command_line_that_forbids_what_it_must_do_is_named()
    {
        CommandRun run = Dom0(TextOf("xen/dom0-memparam.txt"));

        Assert.AreEqual(1, run.Status);
        Assert.Contains(
            "mem=1024M on the kernel's own command line (line 18) forbids what it must do: by the forecast it moves "
                + "97 pages to frames beyond that limit", run.Output);
    }

    [TestMethod]
    [DataRow("mem=1024M", "mem=2G")]
    [DataRow("mem=1024M", "loglevel=8")]
    // Its kernel got past that.
    [DataRow("Failed to update kernel mapping", "Memory: 900000K/1048500K available\nFailed to update kernel mapping")]
    [DataRow("Failed to update kernel mapping for mfn=6930582 pfn=262144", "kernel BUG at drivers/foo.c:313!")]
    public void A_limit_that_forbids_nothing_is_not_blamed(string old, string by) =>
        Assert.DoesNotContain("forbids", Dom0(Replaced(TextOf("xen/dom0-memparam.txt"), old, by)).Output);

    [TestMethod]
    public void The_page_tables_behind_the_p2m_list_belong_to_it()
    {
        CommandRun run = Dom0(TextOf("xen/initrd-moved.txt"));

        Assert.AreEqual(0, run.Status, run.Output);
        Assert.Contains("[0x8000000, 0x10b5a724) to [0x18537000, 0x21091724)", run.Output);
    }

    [TestMethod]
    public void What_is_built_into_Xen_counts()
    {
        Assert.AreEqual(0, Dom0(TextOf("xen/builtin-cmdline.txt")).Status);
        Assert.AreEqual(1, Dom0(Replaced(TextOf("xen/builtin-cmdline.txt"), "(XEN) Built-in command line: dom0_mem=max:1024M\n", "")).Status);
        // What is said later counts more.
        Assert.AreEqual(1,
            Dom0(Replaced(TextOf("xen/builtin-cmdline.txt"), "Command line: placeholder", "Command line: placeholder dom0_mem=max:1100M")).Status);
    }

    [TestMethod]
    public void A_PVH_dom0_has_the_map_that_Xen_makes_it_and_no_PV_forecast()
    {
        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", PathOf("xen/pvh-dom0.txt"));

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("Hardware Dom0 crashed", run.Output);
        Assert.Contains("This dom0 is a PVH one: Xen makes its map from the machine's", run.Output);
        Assert.Contains("The log has nothing of dom0's map: its end is all that could be looked at.", run.Output);
        JsonElement boot = CommandRun.Of("boot", "--dom0", "--host", PathOf("xen/pvh-dom0.txt"), "--json").Json();
        Assert.AreEqual("xen-pvh-dom0", boot.GetProperty("platform").GetString());
        Assert.AreEqual("boots", boot.GetProperty("outcome").GetString());
        JsonElement rest = boot.GetProperty("e820")[4 - 1];
        Assert.AreEqual("0x40061000 0x80000000 unusable", $"{rest.GetProperty("start")} {rest.GetProperty("end")} {rest.GetProperty("type")}");
    }

    /// <summary>The log of a real one: every line of its map, and the gap that Linux takes for devices.</summary>
    [TestMethod]
    [DataRow("dom0-pvh.log")]
    [DataRow("dom0-pvh-all.log")]
    public void The_log_of_a_PVH_dom0_is_verified_to_the_line(string name)
    {
        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", Path.Combine(AppContext.BaseDirectory, "fixtures", "hvm", name), "--json");

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.AreEqual(0, run.Json().GetProperty("differences").GetArrayLength());
        Assert.AreEqual(14, run.Json().GetProperty("agreements").GetArrayLength());
    }

    [TestMethod]
    [DataRow("dom0=pvh", true)]
    [DataRow("dom0=verbose,pvh", true)]
    [DataRow("dom0=pvh dom0=pv", false)]
    [DataRow("dom0=pv", false)]
    [DataRow("dom0_max_vcpus=2", false)]
    public void PVH_is_read_from_Xens_command_line(string option, bool isPvh)
    {
        string log = Replaced(TextOf("xen/dom0mem-nobuild.txt"), "dom0_mem=1024M,max:1024M", $"dom0_mem=1024M,max:1024M {option}");
        // Without an IOMMU Xen starts no PVH dom0.
        log = Replaced(log, "I/O virtualisation disabled", "I/O virtualisation enabled");
        CommandRun run = CommandRun.WithInput(Encoding.UTF8.GetBytes(log), "boot", "--dom0", "--host", "-", "--json");

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.AreEqual(isPvh, run.Json().TryGetProperty("platform", out _));
    }

    [TestMethod]
    public void The_size_of_dom0_stands_on_Xens_command_line()
    {
        JsonElement json = CommandRun.Of("boot", "--dom0", "--host", PathOf("xen/dom0mem-nobuild.txt"), "--json").Json();

        Assert.AreEqual(262_144, json.GetProperty("nrPages").GetInt64());
        Assert.AreEqual(97, json.GetProperty("remappedPages").GetInt64());
    }

    [TestMethod]
    [DataRow("dom0_mem=50%,max:1G")]
    [DataRow("dom0_mem=min:1G")]
    [DataRow("dom0_mem=max:2G")]
    [DataRow("console=vga")]
    public void A_size_that_Xens_command_line_does_not_say_is_asked_for(string option) =>
        Assert.AreEqual(2,
            CommandRun.WithInput(Encoding.UTF8.GetBytes(Replaced(TextOf("xen/dom0mem-nobuild.txt"), "dom0_mem=1024M,max:1024M", option)), "boot",
                "--dom0", "--host", "-").Status);

    [TestMethod]
    public void A_replay_on_the_real_console_is_no_second_boot()
    {
        string kernel =
            "[    0.000000] Linux version 6.1.0\n[    0.000000] Released 0 page(s)\n[    0.000000] Xen: [mem "
                + "0x0000000000000000-0x000000000009ffff] usable\n"
            + "[    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved\n[    0.000000] Xen: [mem "
            + "0x0000000000100000-0x000000003fffffff] usable\n[    0.000000] printk: bootconsole [xenboot0] enabled\n"
            + "[    0.000000] Remapped 0 page(s)\n[    0.000000] [mem 0x40000000-0xffffffff] available for PCI devices\n";

        CommandRun run = Guest($"{kernel}[    0.0] printk: console [hvc0] enabled\n{kernel}[    1.0] Kernel panic - not syncing: VFS\n", "--memory",
            "1024");

        Assert.Contains("boot 1 of 1", run.Output);
        Assert.AreEqual(1, run.Status);
        string second = kernel.Replace("[    0.000000] printk: bootconsole [xenboot0] enabled\n", "", StringComparison.Ordinal);
        Assert.Contains("boot 1 of 2", Guest(second + second, "--memory", "1024").Output);
    }

    [TestMethod]
    [DataRow("memmap=79G$82G", "did not take effect as far as the log shows it")]
    [DataRow("memmap=1M$256M", "did not take effect as far as the log shows it")]
    [DataRow("memmap=79G2G", "is not a range to Linux: it reads 79 GiB and stops")]
    [DataRow("mem=4G", "takes nothing away")]
    [DataRow("memmap=exactmap", "did not take effect as far as the log shows it")]
    [DataRow("quiet", null)]
    public void What_became_of_memmap_is_told(string option, string? expected)
    {
        string text = Replaced(TextOf("xen/dom0-crash-early.txt"), "ro console=hvc0", $"ro {option} console=hvc0");
        text = Replaced(text, "[    0.135841] kernel BUG", "[    0.000000] RAMDISK: [mem 0x04600000-0x055fffff]\n[    0.135841] kernel BUG");

        CommandRun run = Dom0(text);

        if (expected is null)
            Assert.DoesNotContain("(line 18)", run.Output);
        else
            Assert.Contains($"{option} (line 18) {expected}", run.Output);
    }

    [TestMethod]
    public void The_map_that_the_command_line_made_proves_memmap()
    {
        string text = Replaced(TextOf("xen/dom0-crash-early.txt"), "ro console=hvc0", "ro memmap=1M$256M,1M$512M console=hvc0");
        text = Replaced(text, "[    0.135841] kernel BUG",
            "[    0.000000] user-defined physical RAM map:\n[    0.000000] user: [mem 0x0000000000100000-0x000000000fffffff] usable\n"
            + "[    0.000000] user: [mem 0x0000000010000000-0x00000000100fffff] reserved\n[    0.000000] user: [mem "
            + "0x0000000010100000-0x0000000040060fff] usable\n[    0.135841] kernel BUG");

        CommandRun run = Dom0(text);

        Assert.Contains("memmap=1M$256M (line 18) took effect: [0x10000000, 0x10100000) is reserved in the map of line 28", run.Output);
        Assert.Contains("memmap=1M$512M (line 18) did not take effect as written", run.Output);
    }

    [TestMethod]
    public void A_change_that_the_kernel_prints_proves_mem()
    {
        string text = Replaced(TextOf("xen/dom0-crash-early.txt"), "ro console=hvc0", "ro mem=512M console=hvc0");
        text = Replaced(text, "[    0.135841] kernel BUG",
            "[    0.000000] e820: remove [mem 0x20000000-0xfffffffffffffffe] usable\n[    0.135841] kernel BUG");

        CommandRun run = Dom0(text);

        Assert.Contains("mem=512M (line 18) took effect (line 27): no RAM from 0x20000000 on", run.Output);
        Assert.Contains("Line 27: the kernel itself takes 512 MiB of its RAM", run.Output);
    }

    [TestMethod]
    public void What_wrapping_took_from_a_claim_is_put_back()
    {
        string dmesg = Replaced(TextOf("xen/bar-hotplug-dmesg.txt"), "address conflict with System RAM", "address conflict with\nSystem RAM");

        CommandRun run = Guest(dmesg, "--guest", PathOf("xen/bar-hotplug.cfg"), "--bar", "90004000-90008000");

        Assert.Contains("[0x90004000, 0x90008000) conflicts with System RAM [0x90000000, 0x98000000)", run.Output);
    }
}
