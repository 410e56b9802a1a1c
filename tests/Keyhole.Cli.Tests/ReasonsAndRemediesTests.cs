// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>A reason that <c>keyhole verify</c> and its kin tell is the one there is, and a remedy one that the guest's own tools know.</summary>
[TestClass]
public sealed class ReasonsAndRemediesTests
{
    private const string Small = "name=\"small\"\ntype=\"pv\"\nkernel=\"/boot/vmlinuz\"\nmemory=300\nmaxmem=4000\n";

    private const string LibvirtPv = """
        <domain type='xen'><name>net</name><memory unit='MiB'>1024</memory><bootloader>/usr/bin/pygrub</bootloader>
        <os><type arch='x86_64' machine='xenpv'>linux</type></os><devices>DEVICE</devices></domain>
        """;

    private const string Device = "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x00' slot='0x04' "
        + "function='0x0'/></source></hostdev>";

    private static string Fixture(params string[] parts) => Path.Combine([AppContext.BaseDirectory, "fixtures", .. parts]);

    private static string Plain => Fixture("golden", "plain4g.log");

    private static string Written(string name, string text)
    {
        string path = Path.Combine(Directory.CreateTempSubdirectory("keyhole-reasons-").FullName, name);
        File.WriteAllText(path, text);
        return path;
    }

    /// <summary>In one line: where it is broken does not matter.</summary>
    private static string Flat(CommandRun run) =>
        string.Join(' ', (run.Output + run.Errors).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    /// <summary>The log of a guest that boots as is forecast, with more lines behind it.</summary>
    private static string LogOf(string release, string more, params string[] boot)
    {
        using var answer = JsonDocument.Parse(CommandRun.Of(["boot", .. boot, "--json"]).Output);
        string[] lines = [.. answer.RootElement.GetProperty("log").EnumerateArray().Select(static line => $"[    0.000000] {line.GetString()}")];
        // What a kernel counts: whole pages of RAM, without the first and the ISA hole.
        ulong pages = 0;
        foreach (JsonElement entry in answer.RootElement.GetProperty("kernelE820").EnumerateArray().Where(static entry =>
            entry.GetProperty("type").GetString() == "ram"))
        {
            (ulong first, ulong end) = ((Address(entry, "start") + 0xfff) >> 12, Address(entry, "end") >> 12);
            for (ulong page = first; page < end; page++)
                pages += page is 0 or (>= 0xa0 and < 0x100) ? 0UL : 1UL;
        }

        return Written("guest.log", $"[    0.000000] Linux version {release} (x@y) (gcc) #1 SMP\n{string.Join('\n', lines)}\n"
            + more.Replace("TOTAL", (pages * 4).ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal));
    }

    private static ulong Address(JsonElement entry, string name) =>
        ulong.Parse(entry.GetProperty(name).GetString()!.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    [TestMethod]
    public void RAM_that_a_kernel_marks_unusable_itself_is_none_of_the_hosts()
    {
        string guest = Written("small.cfg", Small);
        string log = LogOf("4.18.0-generic", "[    0.1] Memory: 250000K/TOTALK available (x)\n", "--host", Plain, "--guest", guest,
            "--kernel", "linux-4.18");

        CommandRun run = CommandRun.Of("verify", "--host", Plain, "--guest", guest, "--dmesg", log);

        Assert.AreEqual(0, run.Status, Flat(run));
        Assert.Contains("The kernel marks them unusable", Flat(run));
        Assert.DoesNotContain("RAM of the host that the guest was not given", Flat(run));
        string other = Written("other.cfg", Small.Replace("300", "512", StringComparison.Ordinal).Replace("4000", "6000", StringComparison.Ordinal));
        Assert.DoesNotContain("made from a host's", Flat(CommandRun.Of("verify", "--host", Plain, "--guest", other, "--dmesg", log)));

        string claim = LogOf("4.18.0-generic", "[    1.1] pci 0000:00:00.0: BAR 0 [mem 0x90000000-0x9000ffff]: can't claim; address conflict with "
            + "System RAM [mem 0x00100000-0xce3fffff]\n", "--host", Plain, "--guest", guest, "--kernel", "linux-4.18");
        Assert.Contains("e820_host=1 gives the host's", Flat(CommandRun.Of("verify", "--host", Plain, "--guest", guest, "--dmesg", claim)));
    }

    [TestMethod]
    public void RAM_of_the_hosts_that_libxl_marks_unusable_is_told_and_its_map_known_for_the_hosts()
    {
        string guest = Written("host.cfg", $"{Small.Replace("4000", "300", StringComparison.Ordinal)}e820_host=1\n");
        string without = Written("plain.cfg", Small.Replace("4000", "300", StringComparison.Ordinal));
        string log = LogOf("6.1.0", "[    0.1] Memory: 250000K/TOTALK available (x)\n", "--host", Plain, "--guest", guest, "--kernel", "linux-6.1");

        Assert.Contains("RAM of the host that the guest was not given",
            Flat(CommandRun.Of("verify", "--host", Plain, "--guest", guest, "--dmesg", log)));
        Assert.Contains("The map in the log is made from a host's",
            Flat(CommandRun.Of("verify", "--host", Plain, "--guest", without, "--dmesg", log)));
    }

    [TestMethod]
    [DataRow("6.12.20", "linux-6.12", "keeps for itself: xl mem-set gives the guest memory at other addresses", "room for the balloon")]
    [DataRow("6.1.20", "linux-6.1", "are room for the balloon: the guest gets them with xl mem-set", "by hotplug")]
    public void Room_that_no_balloon_reaches_is_not_called_the_balloons(string release, string kernel, string told, string notTold)
    {
        string host = Fixture("golden", "seed8g.log");
        string guest = Written("g.cfg", "type=\"pv\"\nkernel=\"/x\"\nmemory=1024\nmaxmem=2048\ne820_host=1\n");
        string log = LogOf(release, "[    0.5] Memory: 900000K/TOTALK available (x)\n", "--host", host, "--guest", guest, "--kernel", kernel);

        string text = Flat(CommandRun.Of("verify", "--host", host, "--guest", guest, "--dmesg", log));

        Assert.Contains(told, text);
        Assert.DoesNotContain(notTold, text);
    }

    /// <summary>Up to Xen 4.2 libxl put no RAM behind the host's map, so that nothing can be moved there.</summary>
    [TestMethod]
    [DataRow("linux-3.2")]
    [DataRow("linux-3.12")]
    public void A_newer_kernel_is_no_remedy_where_the_map_has_nothing_to_move_pages_to(string kernel)
    {
        string guest = Written("g.cfg", "type=\"pv\"\nkernel=\"/x\"\nmemory=4096\ne820_host=1\n");
        string host = Written("xen42.log",
            File.ReadAllText(Plain).Replace("Xen version 4.17", "Xen version 4.2", StringComparison.Ordinal).Insert(0, "(XEN) Xen version 4.2.3\n"));

        Assert.DoesNotContain("boot a kernel from 3.19 on", Flat(CommandRun.Of("boot", "--host", host, "--guest", guest, "--kernel", kernel)));
        // RAM behind the map: a kernel from 3.19 on moves the pages there.
        string larger = Written("l.cfg", "type=\"pv\"\nkernel=\"/x\"\nmemory=1024\nmaxmem=2048\ne820_host=1\n");
        string seed = Fixture("golden", "seed8g.log");
        Assert.Contains("boot a kernel from 3.19 on", Flat(CommandRun.Of("boot", "--host", seed, "--guest", larger, "--kernel", "linux-3.2")));
    }

    [TestMethod]
    public void Without_the_guests_own_command_line_nobody_knows_that_its_DMA_is_not_translated()
    {
        string guest = Written("pygrub.xml", LibvirtPv.Replace("DEVICE", Device, StringComparison.Ordinal));
        string known = Written("own.cfg", "type=\"pv\"\nkernel=\"/x\"\nmemory=1024\npci=[]\n");
        CommandRun run = CommandRun.Of("boot", "--host", Plain, "--guest", guest, "--kernel", "6.12.20");

        Assert.AreEqual(0, run.Status, Flat(run));
        Assert.Contains("warning dma-not-translated", Flat(run));
        Assert.Contains("with iommu=soft on it this is not so", Flat(run));
        string own = LibvirtPv.Replace("DEVICE", Device, StringComparison.Ordinal).Replace("<bootloader>/usr/bin/pygrub</bootloader>", "",
            StringComparison.Ordinal).Replace("linux</type>", "linux</type><kernel>/x</kernel>", StringComparison.Ordinal);
        Assert.Contains("error dma-not-translated",
            Flat(CommandRun.Of("boot", "--host", Plain, "--guest", Written("own.xml", own), "--kernel", "6.12.20")));
        Assert.DoesNotContain("dma-not-translated", Flat(CommandRun.Of("boot", "--host", Plain, "--guest", known, "--kernel", "6.12.20")));
    }

    [TestMethod]
    [DataRow("type=\"pv\"\nkernel=\"/x\"\nmemory=3600\n", "it needs nothing but e820_host=1 in the guest's configuration")]
    [DataRow("type=\"pv\"\nkernel=\"/x\"\nmemory=3600\ne820_host=1\n", "it needs nothing but xl itself")]
    public void What_the_policy_of_libxl_needs_is_the_hosts_map(string guest, string told) =>
        Assert.Contains(told, Flat(CommandRun.Of("compare", "--host", Plain, "--guest", Written("g.cfg", guest))));

    [TestMethod]
    public void Under_libvirt_a_device_does_not_give_the_hosts_map_and_is_not_advised_for_it()
    {
        string guest = Written("none.xml", LibvirtPv.Replace("DEVICE", "", StringComparison.Ordinal));
        string on = Written("on.cfg", "type=\"pv\"\nkernel=\"/x\"\nmemory=1024\ne820_host=1\n");
        string log = LogOf("6.1.0", "[    0.1] Memory: 250000K/TOTALK available (x)\n", "--host", Plain, "--guest", on, "--kernel", "linux-6.1");

        string text = Flat(CommandRun.Of("verify", "--host", Plain, "--guest", guest, "--dmesg", log));

        Assert.Contains("Say so with --e820-host, or give its configuration", text);
        Assert.DoesNotContain("--pci", text);
        Assert.DoesNotContain("pci= entry", text);
        string xls = Written("xl.cfg", "type=\"pv\"\nkernel=\"/x\"\nmemory=1024\n");
        Assert.Contains("Say so with --e820-host or --pci", Flat(CommandRun.Of("verify", "--host", Plain, "--guest", xls, "--dmesg", log)));
    }

    [TestMethod]
    [DataRow("xc: error: panic: xg_dom_core.c:223: xc_dom_malloc_filemap: tried to map file which is too large: Out of memory\n",
        "the file of the kernel or the ramdisk is larger", "Xen did not give")]
    [DataRow("libxl: error: libxl_fork.c:613:libxl__ev_child_fork: fork failed: Cannot allocate memory\n", "but dom0's", "Xen did not give")]
    [DataRow("libxl: error: libxl_dom.c:1:libxl__build_pv: Domain 5:xc_dom_boot_mem_init failed: Cannot allocate memory\n", "Xen did not give",
        "but dom0's")]
    public void Memory_that_the_toolstack_did_not_ask_Xen_for_is_not_Xens(string line, string told, string notTold)
    {
        const string end = "libxl: error: libxl_create.c:1327:domcreate_rebuild_done: Domain 5:cannot (re-)build domain: -3\n";
        string log = Written("xl.log", line + end);
        string text = Flat(CommandRun.Of("verify", "--host", Plain, "--guest", Written("g.cfg", Small), "--dmesg", log));

        Assert.Contains(told, text);
        Assert.DoesNotContain(notTold, text);
    }

    [TestMethod]
    public void A_kernel_that_got_to_its_programs_was_not_stopped_by_its_own_limit()
    {
        string host = Fixture("golden", "seed8g.log");
        string guest = Written("m.cfg", "type=\"pv\"\nname=\"m\"\nkernel=\"/x\"\nmemory=3072\ne820_host=1\nextra=\"mem=2G\"\n");
        const string crash = "(XEN) d1v0 Unhandled: vec 14, #PF[0002]\n(XEN) Domain 1 (vcpu#0) crashed on cpu#3:\n";
        string with = LogOf("6.1.0", $"[    0.5] Memory: 1900000K/TOTALK available (x)\n[    1.2] Run /init as init process\n{crash}",
            "--host", host, "--guest", guest, "--kernel", "linux-6.1");
        string text = File.ReadAllText(with);
        File.WriteAllText(with, text.Replace("#1 SMP\n", "#1 SMP\n[    0.000000] Command line: mem=2G\n", StringComparison.Ordinal));

        Assert.DoesNotContain("forbids what it must do", Flat(CommandRun.Of("verify", "--host", host, "--guest", guest, "--dmesg", with)));
    }

    [TestMethod]
    [DataRow("kernel BUG at fs/xfs/libxfs/xfs_alloc_btree.c:215!", false)]
    [DataRow("kernel BUG at lib/alloc_tag.c:35!", false)]
    [DataRow("kernel BUG at arch/x86/xen/mmu_pv.c:939!", false)]
    [DataRow("kernel BUG at mm/memblock.c:939!", true)]
    public void The_letters_of_a_files_name_do_not_prove_a_want_of_memory(string bug, bool isMemory)
    {
        string guest = Written("g.cfg", "type=\"pv\"\nkernel=\"/x\"\nmemory=1024\n");
        string log = LogOf("6.1.0", $"[    0.5] Memory: 900000K/TOTALK available (x)\n[    1.2] Run /init as init process\n[  812.0] {bug}\n",
            "--host", Plain, "--guest", guest, "--kernel", "linux-6.1");

        Assert.AreEqual(isMemory,
            Flat(CommandRun.Of("verify", "--host", Plain, "--guest", guest, "--dmesg", log)).Contains("Memory has a part", StringComparison.Ordinal));
    }

    [TestMethod]
    [DataRow("[ 300.1] traps: chrome[4711] general protection fault ip:7f01 sp:7ffc error:0 in libfoo.so[7f00+1000]", 0)]
    [DataRow("[ 300.1] general protection fault: 0000 [#1] SMP", 1)]
    [DataRow("[  10.1] i2c_designware: probe of 1-0050 failed with error -121", 0)]
    [DataRow("[  10.1] xhci_hcd: probe of 0000:00:06.0 failed with error -12", 1)]
    [DataRow("[8123.1] nginx invoked oom-killer: gfp_mask=0xcc0\n[8123.2] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),task=nginx,pid=1", 0)]
    [DataRow("[8123.1] nginx invoked oom-killer: gfp_mask=0xcc0\n[8123.2] Memory cgroup out of memory: Kill process 1 (nginx)", 0)]
    [DataRow("[8123.1] nginx invoked oom-killer: gfp_mask=0xcc0\n[8123.2] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),task=nginx,pid=1", 1)]
    public void What_happens_in_a_guest_that_runs_is_no_end_of_its_boot_and_no_want_of_its_memory(string lines, int status)
    {
        string guest = Written("g.cfg", "type=\"pv\"\nkernel=\"/x\"\nmemory=1024\n");
        string log = LogOf("6.1.0", $"[    0.5] Memory: 900000K/TOTALK available (x)\n[    1.2] Run /init as init process\n{lines}\n",
            "--host", Plain, "--guest", guest, "--kernel", "linux-6.1");

        CommandRun run = CommandRun.Of("verify", "--host", Plain, "--guest", guest, "--dmesg", log);

        Assert.AreEqual(status, run.Status, Flat(run));
    }

    [TestMethod]
    [DataRow("sz: 524288 bytes), total 32768 (slots), used 12 (slots)", "a larger one (swiotlb=) does not help")]
    [DataRow("sz: 65536 bytes), total 32768 (slots), used 32760 (slots)", "is too small")]
    public void A_buffer_for_DMA_that_no_size_helps_is_not_called_too_small(string numbers, string told)
    {
        string guest = Written("g.cfg", "type=\"pv\"\nkernel=\"/x\"\nmemory=1024\n");
        string log = LogOf("6.1.0", $"[   12.0] nvme 0000:00:06.0: swiotlb buffer is full ({numbers}\n", "--host", Plain,
            "--guest", guest, "--kernel", "linux-6.1");

        Assert.Contains(told, Flat(CommandRun.Of("verify", "--host", Plain, "--guest", guest, "--dmesg", log)));
    }

    /// <summary>Its window has no place, which the driver answers with -12 as well.</summary>
    [TestMethod]
    [DataRow("amdgpu 0000:01:00.0: probe with driver amdgpu failed with error -12", 0)]
    [DataRow("amdgpu 0000:02:00.0: probe with driver amdgpu failed with error -12", 1)]
    public void A_driver_without_its_window_does_not_prove_a_want_of_memory(string line, int status)
    {
        string log = Written("ovmf.log", $"{File.ReadAllText(Fixture("kvm", "verify", "ovmf-unplaced.log"))}\n[   60.000000] {line}\n");

        CommandRun run = CommandRun.Of("verify", "--guest", Fixture("kvm", "verify", "ovmf-unplaced.cmd"), "--dmesg", log, "--firmware",
            "ovmf-2022.11", "--qemu", "7.2");

        Assert.AreEqual(status, run.Status, Flat(run));
        Assert.AreEqual(status == 1, Flat(run).Contains("for want of memory by its own word", StringComparison.Ordinal));
    }

    [TestMethod]
    public void A_guest_that_takes_no_windows_from_ACPI_is_not_compared_with_them()
    {
        string[] lines = File.ReadAllLines(Fixture("kvm", "verify", "sea-ports.log"));
        string[] kept = [.. lines.Where(static line => !line.Contains("root bus resource [mem", StringComparison.Ordinal))];
        int at = Array.FindIndex(kept, static line => line.Contains("root bus resource", StringComparison.Ordinal));
        string log = Written("nocrs.log", string.Join('\n',
            [.. kept[..at], "[    1.453054] pci_bus 0000:00: root bus resource [mem 0x00000000-0xffffffffff]", .. kept[at..]]) + "\n");

        CommandRun run = CommandRun.Of("verify", "--guest", Fixture("kvm", "verify", "sea-ports.cmd"), "--host", Fixture("kvm", "h39.json"),
            "--dmesg", log);

        Assert.AreEqual(0, run.Status, Flat(run));
        Assert.Contains("the guest's Linux takes none from ACPI, as with pci=nocrs", Flat(run));
    }

    [TestMethod]
    public void The_map_of_a_policy_is_not_called_the_toolstacks()
    {
        string host = Fixture("golden", "seed8g.log");
        string[] guest = ["--memory", "3072", "--e820-host"];
        string[] of = [.. guest, "--policy", "hole-at:40000000"];
        string log = LogOf("6.1.0", "[    0.1] Memory: 250000K/TOTALK available (x)\n", ["--host", host, .. of, "--kernel", "linux-6.1"]);

        string text = Flat(CommandRun.Of(["verify", "--host", host, .. of, "--dmesg", log]));

        Assert.Contains("By the map of hole-at:0x40000000: only 1 GiB of 3 GiB", text);
        Assert.Contains("What to change: take the policy punch or minimal", text);
        string own = LogOf("6.1.0", "[    0.1] Memory: 250000K/TOTALK available (x)\n", ["--host", host, .. guest, "--kernel", "linux-6.1"]);
        Assert.Contains("By the toolstack's map", Flat(CommandRun.Of(["verify", "--host", host, .. guest, "--dmesg", own])));
    }
}
