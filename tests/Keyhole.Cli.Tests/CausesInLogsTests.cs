// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Text;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What a log says itself of what went wrong, or of what decides: it is told, and where the log says otherwise nothing is.</summary>
[TestClass]
public sealed class CausesInLogsTests
{
    private const string XensMap = """
        (XEN) Xen version 4.17.3 (a@b) debug=n
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009ffff] (usable)
        (XEN)  [00000000000a0000, 00000000000fffff] (reserved)
        (XEN)  [0000000000100000, 00000000bfffffff] (usable)
        (XEN)  [00000000e0000000, 00000000ffffffff] (reserved)
        (XEN)  [0000000100000000, 0000001fffffffff] (usable)

        """;

    private const string BareBoot = """
        [    0.000000] Linux version 5.15.0-91-generic (a@b) #101 SMP
        [    0.000000] Command line: root=/dev/sda1 ro memmap=79G$82G quiet
        [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] BIOS-e820: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x00000000bfffffff] usable
        [    0.000000] BIOS-e820: [mem 0x00000000e0000000-0x00000000ffffffff] reserved
        [    0.000000] BIOS-e820: [mem 0x0000000100000000-0x0000001fffffffff] usable

        """;

    private static CommandRun With(string host, params string[] options) => CommandRun.WithInput(Encoding.UTF8.GetBytes(host), options);

    private static string Words(string text) => string.Join(' ', text.Split(default(char[]), StringSplitOptions.RemoveEmptyEntries));

    [TestMethod]
    [DataRow("linux419-unusable.txt", "linux-4.19.5", "dom0's kernel is Linux 4.19.5-linuxkit, as the log says (line 16)")]
    [DataRow("initrd-moved.txt", "linux-6.8.12", "dom0's kernel is Linux 6.8.0-48-generic, as the log says (line 63)")]
    public void Dom0_is_forecast_with_the_Linux_that_its_log_names(string name, string release, string said)
    {
        string path = System.IO.Path.Combine(AppContext.BaseDirectory, "fixtures", "field", "xen", name);
        CommandRun run = CommandRun.Of("boot", "--dom0", "--host", path);

        Assert.Contains($"kernel: {release}", run.Output);
        Assert.Contains(said, Words(run.Errors));
        CommandRun other = CommandRun.Of("boot", "--dom0", "--host", path, "--kernel", "6.6.1");
        Assert.Contains("kernel: linux-6.6.1", other.Output);
        Assert.DoesNotContain("as the log says", Words(other.Errors));
    }

    [TestMethod]
    [DataRow("[    0.000000] last_pfn = 0x2000000 max_arch_pfn = 0x400000000\n", true)]
    [DataRow("[    0.000000] e820: last_pfn = 0x2000000 max_arch_pfn = 0x400000000\n", true)]
    [DataRow("[    0.000000] DMI: QEMU Standard PC (Q35 + ICH9, 2009)\n", true)]
    [DataRow("[    0.000000] ACPI: RSDP 0x00000000000F58D0 000014 (v00 BOCHS )\n", true)]
    // Linux prints that before it takes its options.
    [DataRow("[    0.000000] NX (Execute Disable) protection: active\n", false)]
    public void A_memmap_without_a_changed_map_where_the_log_goes_on_is_told_not_to_have_taken_effect(string next, bool isTold)
    {
        CommandRun run = With(BareBoot + next, "show", "--host", "-");

        Assert.AreEqual(isTold, Words(run.Errors).Contains("memmap=79G$82G (line 2) did not take effect as far as the log shows it",
            StringComparison.Ordinal), run.Errors);
    }

    [TestMethod]
    public void A_memmap_of_dom0s_kernel_is_told_of_in_a_log_of_Xens()
    {
        const string dom0 = """
            [    0.000000] Linux version 5.15.0-91-generic (a@b) #101 SMP
            [    0.000000] Command line: placeholder root=/dev/sda1 ro memmap=79G$82G quiet
            [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
            [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
            [    0.000000] Xen: [mem 0x0000000000100000-0x00000000bfffffff] usable
            [    0.000000] Xen: [mem 0x0000000100000000-0x000000023fffffff] usable
            [    0.000000] last_pfn = 0x240000 max_arch_pfn = 0x400000000

            """;
        CommandRun run = With(XensMap + dom0, "show", "--host", "-");

        Assert.Contains("dom0: memmap=79G$82G (line 9) has nothing to take: this kernel has no RAM at [0x1480000000, 0x2840000000)",
            Words(run.Errors));
        Assert.DoesNotContain("memmap", Words(With(XensMap + dom0, "plan", "--host", "-", "--memory", "512").Errors));
    }

    [TestMethod]
    [DataRow(" (", "\t(")]
    [DataRow(", 0", ",\t0")]
    [DataRow("(XEN)  [", "(XEN)\t[")]
    [DataRow("RAM map:", "RAM\tmap:")]
    public void Tabs_for_blanks_in_Xens_map_are_read(string blank, string tab)
    {
        Assert.Contains(blank, XensMap);
        Assert.AreEqual(With(XensMap, "show", "--host", "-", "--json").Output,
            With(XensMap.Replace(blank, tab, StringComparison.Ordinal), "show", "--host", "-", "--json").Output);
    }

    [TestMethod]
    [DataRow(" [mem ", "\t[mem\t")]
    [DataRow("] ", "]\t")]
    [DataRow("e820: ", "e820:\t")]
    public void Tabs_for_blanks_in_Linux_map_are_read(string blank, string tab)
    {
        Assert.Contains(blank, BareBoot);
        Assert.AreEqual(With(BareBoot, "show", "--host", "-", "--json").Output,
            With(BareBoot.Replace(blank, tab, StringComparison.Ordinal), "show", "--host", "-", "--json").Output);
    }

    [TestMethod]
    public void Tabs_for_blanks_in_Linuxs_resources_are_read()
    {
        const string iomem = "00000000-00000fff : Reserved\n00001000-0009ffff : System RAM\n00100000-bfffffff : System RAM\n"
            + "  01000000-01ffffff : Kernel code\nfec00000-fec003ff : IOAPIC 0\n100000000-1fffffffff : System RAM\n";
        Assert.AreEqual(With(iomem, "show", "--host", "-", "--json").Output,
            With(iomem.Replace(" : ", "\t:\t", StringComparison.Ordinal), "show", "--host", "-", "--json").Output);
    }

    [TestMethod]
    [DataRow("name = \"\"\nmemory = 512\n")]
    [DataRow("name = \"  \"\nmemory = 512\n")]
    [DataRow("<domain type='xen'><name></name><memory unit='MiB'>512</memory><os><type>linux</type></os></domain>")]
    public void An_empty_name_is_none(string guest)
    {
        string path = System.IO.Path.GetTempFileName();
        System.IO.File.WriteAllText(path, guest);
        foreach (string verb in new[] { "plan", "boot", "compare" })
            Assert.Contains("guest: (no name), ", Words(With(XensMap, verb, "--host", "-", "--guest", path).Output));
    }
}
