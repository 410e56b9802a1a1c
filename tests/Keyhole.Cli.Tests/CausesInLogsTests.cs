// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
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

    private const string HvmGuest = """
        [    0.000000] Linux version 6.1.0-18-amd64 (d@d) #1
        [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable
        [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000007fffefff] usable
        [    0.000000] BIOS-e820: [mem 0x00000000fc000000-0x00000000ffffffff] reserved
        [    0.000000] Hypervisor detected: Xen HVM

        """;

    private const string PvGuest = """
        [    0.000000] Linux version 5.10.0-28-amd64 (d@d) #1
        [    0.000000] Command line: root=/dev/sda1 ro
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x000000003fffffff] usable
        [    0.000000] last_pfn = 0x40000 max_arch_pfn = 0x400000000
        [    0.100000] Booting paravirtualized kernel on Xen

        """;

    private const string Dom0 = """
        [    0.000000] Linux version 5.15.0-91-generic (a@b) #101 SMP
        [    0.000000] Command line: placeholder root=/dev/sda1 ro
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x00000000bfffffff] usable
        [    0.000000] Xen: [mem 0x00000000e0000000-0x00000000ffffffff] reserved
        [    0.000000] last_pfn = 0xc0000 max_arch_pfn = 0x400000000

        """;

    private const string Windows = """
        [    0.500000] pci_bus 0000:00: root bus resource [mem 0x80000000-0xfbffffff window]
        [    0.500000] acpi PNP0A03:00: ignoring host bridge window [mem 0x100000000-0x1ffffffff window] (conflicts with PCI Bus 0000:01)

        """;

    [TestMethod]
    [DataRow(HvmGuest)]
    [DataRow(PvGuest)]
    public void Another_machines_Linux_behind_Xens_lines_is_not_taken_for_dom0s(string guest)
    {
        string errors = Words(With(XensMap + guest, "boot", "--dom0", "--host", "-", "--nr-pages", "262144").Errors);

        Assert.DoesNotContain("dom0's kernel is Linux", errors);
        Assert.DoesNotContain("Linux", With(XensMap + guest, "show", "--host", "-").Output);
    }

    [TestMethod]
    public void A_PV_guests_boot_behind_Xens_lines_is_not_compared_as_dom0s()
    {
        CommandRun run = With(XensMap + PvGuest, "verify", "--dom0", "--host", "-", "--nr-pages", "262144");

        Assert.Contains("only guests boot in this log", Words(run.Errors));
    }

    [TestMethod]
    [DataRow(XensMap + HvmGuest + Windows, false)]
    [DataRow(XensMap + PvGuest + Windows, false)]
    // Its own map, and behind it another's boot.
    [DataRow(BareBoot + HvmGuest + Windows, false)]
    // Another machine's before Xen's.
    [DataRow(BareBoot + Windows + XensMap, false)]
    [DataRow(XensMap + Windows, false)]
    [DataRow(XensMap + Dom0 + Windows, true)]
    [DataRow(XensMap + Dom0 + Windows + HvmGuest, true)]
    [DataRow(BareBoot + Windows + HvmGuest, true)]
    public void Windows_are_told_of_the_boot_alone_that_the_map_belongs_to(string log, bool isTold)
    {
        CommandRun run = With(log, "show", "--host", "-");
        string errors = Words(run.Errors);

        Assert.AreEqual(isTold, errors.Contains("Linux drops the host bridge's window", StringComparison.Ordinal), errors);
        Assert.AreEqual(isTold, errors.Contains("is over RAM of this map", StringComparison.Ordinal), errors);
        Assert.AreEqual(isTold, run.Output.Contains("to bus 0000:00", StringComparison.Ordinal), run.Output);
    }

    private static CommandRun With(string host, params string[] options) => CommandRun.WithInput(Encoding.UTF8.GetBytes(host), options);

    private static string Words(string text) => string.Join(' ', text.Split(default(char[]), StringSplitOptions.RemoveEmptyEntries));

    /// <summary>Xen prints this title where EFI has loaded it, and no other line of its log says so.</summary>
    [TestMethod]
    [DataRow("EFI RAM map:", true)]
    [DataRow("Xen-e820 RAM map:", false)]
    public void The_title_of_Xens_map_says_that_the_host_boots_by_EFI(string title, bool isEfi)
    {
        byte[] log = Encoding.ASCII.GetBytes($"(XEN) {title}\n(XEN)  [0000000000000000, 000000000009ffff] (usable)\n"
            + "(XEN)  [0000000000100000, 00000000bfffffff] (usable)\n(XEN)  [0000000100000000, 000000023fffffff] (usable)\n(XEN) ACPI: RSDP\n");

        string output = CommandRun.WithInput(log, "reserve", "--host", "-", "--start", "512M").Output;

        Assert.AreEqual(isEfi, output.Contains("this host boots by EFI: ", StringComparison.Ordinal));
        Assert.AreEqual(!isEfi, output.Contains("the source does not say whether", StringComparison.Ordinal));
    }

    [TestMethod]
    public void A_PVH_dom0_does_not_start_where_Xen_uses_no_IOMMU()
    {
        string log = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "field", "xen", "pvh-dom0.txt"));
        string[] boot = ["boot", "--dom0", "--host", "-", "--nr-pages", "262144"];
        const string words = "Presently, iommu must be enabled for PVH hardware domain";

        Assert.DoesNotContain(words, CommandRun.WithInput(Encoding.ASCII.GetBytes(log), boot).Output);
        CommandRun run = CommandRun.WithInput(Encoding.ASCII.GetBytes(log + "(XEN) I/O virtualisation disabled\n"), [.. boot, "--json"]);

        Assert.AreEqual(1, run.Status);
        Assert.Contains(words, run.Output);
    }

    [TestMethod]
    public void Dom0_is_forecast_with_the_Linux_of_the_map_that_is_all_the_log_has()
    {
        const string log = """
            [    0.000000] Linux version 4.19.5-linuxkit (gcc) #1 SMP
            [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
            [    0.000000] Xen: [mem 0x0000000000100000-0x000000003fffffff] usable
            [    0.000000] Xen: [mem 0x0000000040000000-0x00000000bfffffff] unusable
            [    0.000000] Xen: [mem 0x00000000fec00000-0x00000000fec00fff] reserved
            [    0.000000] DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 0.0.0 02/06/2015

            """;
        CommandRun run = CommandRun.WithInput(Encoding.ASCII.GetBytes(log), "boot", "--dom0", "--host", "-", "--nr-pages", "262144");
        Assert.Contains("kernel: linux-4.19.5", run.Output);
        Assert.Contains("is taken for the host's RAM", Words(run.Errors));
    }

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
            [    0.000000] Xen: [mem 0x00000000e0000000-0x00000000ffffffff] reserved
            [    0.000000] Xen: [mem 0x0000000100000000-0x000000023fffffff] usable
            [    0.000000] last_pfn = 0x240000 max_arch_pfn = 0x400000000

            """;
        CommandRun run = With(XensMap + dom0, "show", "--host", "-");

        Assert.Contains("dom0: memmap=79G$82G (line 9) did not take effect as far as the log shows it",
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

    [TestMethod]
    [DataRow("hvm", "4.17.3", "passthrough not supported on this platform")]
    [DataRow("pv", "4.17.3", "passthrough not supported on this platform")]
    [DataRow("hvm", "4.12.4", "cannot be assigned - no IOMMU?")]
    // libxl looked at HVM guests alone.
    [DataRow("pv", "4.12.4", null)]
    public void A_guest_with_a_device_is_refused_where_Xen_uses_no_IOMMU(string type, string xen, string? words)
    {
        string host = XensMap.Replace("4.17.3", xen, StringComparison.Ordinal);
        string guest = Written($"name=\"g\"\nmemory=1024\ntype=\"{type}\"\npci=[\"01:00.0\"]\n");
        CommandRun run = With(host + "(XEN) I/O virtualisation disabled\n", "plan", "--host", "-", "--guest", guest);

        Assert.AreEqual(words is null ? 0 : 1, run.Status);
        if (words is not null)
            Assert.Contains($"error guest-does-not-start: the guest is not created: {words}", Words(run.Output));
        Assert.AreEqual(0, With(host + "(XEN) I/O virtualisation enabled\n", "plan", "--host", "-", "--guest", guest).Status);
        Assert.AreEqual(0, With(host + "(XEN) I/O virtualisation disabled\n", "plan", "--host", "-", "--memory", "1024").Status);
        // What is known of the host stays known in its JSON.
        string json = With(host + "(XEN) I/O virtualisation disabled\n", "show", "--host", "-", "--json").Output;
        Assert.AreEqual(run.Status, With(json, "plan", "--host", "-", "--guest", guest).Status);
    }

    private const string LibvirtGuest = """
        <domain type='xen'><name>x</name><memory unit='MiB'>1024</memory><os><type>linux</type></os>FEATURES<devices>
        <hostdev mode='subsystem' type='pci'><source><address domain='0' bus='1' slot='0' function='0'/></source></hostdev></devices></domain>
        """;

    [TestMethod]
    [DataRow("", "6.6.1", 1, "error dma-not-translated")]
    [DataRow("", "7.2.1", 1, "error dma-not-translated")]
    [DataRow("", "6.5.1", 0, "warning dma-not-translated")]
    [DataRow("<features><xen><e820_host state='on'/></xen></features>", "6.6.1", 0, null)]
    public void A_PV_guest_with_a_device_needs_a_reserved_entry_in_its_map_since_Linux_6_6(string features, string kernel, int status,
        string? problem)
    {
        string guest = LibvirtGuest.Replace("FEATURES", features, StringComparison.Ordinal);
        CommandRun run = With(XensMap, "boot", "--host", "-", "--guest", Written(guest), "--kernel", kernel);

        Assert.AreEqual(status, run.Status, run.Output);
        if (problem is null)
            Assert.DoesNotContain("dma-not-translated", run.Output);
        else
            Assert.Contains(problem, run.Output);
        string soft = guest.Replace("<type>linux</type>", "<type>linux</type><cmdline>ro iommu=pt,soft quiet</cmdline>", StringComparison.Ordinal);
        Assert.DoesNotContain("dma-not-translated", With(XensMap, "boot", "--host", "-", "--guest", Written(soft), "--kernel", kernel).Output);
        string alone = guest[..guest.IndexOf("<hostdev", StringComparison.Ordinal)] + "</devices></domain>";
        Assert.DoesNotContain("dma-not-translated", With(XensMap, "boot", "--host", "-", "--guest", Written(alone), "--kernel", kernel).Output);
    }

    [TestMethod]
    public void A_conflict_names_the_device_and_its_BAR()
    {
        string devices = Written("01:00.0 Ethernet controller: Foo\n\tRegion 0: Memory at e0000000 (32-bit, non-prefetchable) [size=1M]\n"
            + "\tRegion 2: Memory at 10000000 (32-bit, non-prefetchable) [size=64K]\n");
        CommandRun run = With(XensMap, "plan", "--host", "-", "--memory", "1024", "--pci", "01:00.0", "--devices", devices);

        Assert.Contains("BAR 2 of 0000:01:00.0 at [0x10000000, 0x10010000) conflicts with ram memory", Words(run.Output));
        Assert.Contains("BAR 2 of 0000:01:00.0 at [0x10000000, 0x10010000) cannot be claimed",
            Words(With(XensMap, "boot", "--host", "-", "--memory", "1024", "--pci", "01:00.0", "--devices", devices).Output));
        Assert.Contains("the BAR at [0x10000000, 0x10010000) conflicts with ram memory",
            Words(With(XensMap, "plan", "--host", "-", "--memory", "1024", "--e820-host", "--bar", "10000000-10010000").Output));
    }

    [TestMethod]
    [DataRow("[mem 0x40000000-0xbfffffff window] (conflicts with System RAM [mem 0x00100000-0xbfffffff])",
        "Linux drops the host bridge's window [0x40000000, 0xc0000000): it conflicts with System RAM [mem 0x00100000-0xbfffffff]")]
    [DataRow("[mem 0x000cb000-0x000dffff window] (conflicts with Video ROM [mem 0x000c0000-0x000ccfff])", null)]
    [DataRow("[io  0x0d00-0xffff window] (conflicts with PCI conf1 [io  0x0cf8-0x0cff])", null)]
    public void A_window_that_Linux_drops_is_told_but_for_those_of_old_cards(string window, string? told)
    {
        string line = $"[    1.062866] acpi PNP0A03:00: ignoring host bridge window {window}\n";
        string errors = Words(With(BareBoot + line, "show", "--host", "-").Errors);

        if (told is null)
            Assert.DoesNotContain("Linux drops", errors);
        else
            Assert.Contains(told, errors);
    }

    [TestMethod]
    [DataRow("pci_bus 0000:00: root bus resource [mem 0xb0000000-0xdfffffff window]",
        "window [0xb0000000, 0xe0000000) of bus 0000:00 is over RAM of this map, [0xb0000000, 0xc0000000)")]
    [DataRow("pci_bus 0000:00: root bus resource [mem 0xc0000000-0xdfffffff window]", null)]
    [DataRow("pci_bus 0000:00: root bus resource [mem 0xc0000000-0xcfffffff window]\n"
        + "[    1.0] pci_bus 0000:80: root bus resource [mem 0xcf000000-0xdfffffff window]",
        "The windows [0xc0000000, 0xd0000000) of bus 0000:00 and [0xcf000000, 0xe0000000) of bus 0000:80 overlap")]
    // VGA's memory, which the bridges pass on in turn.
    [DataRow("pci_bus 0000:00: root bus resource [mem 0x000a0000-0x000bffff window]\n"
        + "[    1.0] pci_bus 0000:80: root bus resource [mem 0x000a0000-0x000bffff window]", null)]
    [DataRow("pci_bus 0000:00: root bus resource [mem 0xc0000000-0xcfffffff window]\n"
        + "[    1.0] pci_bus 0000:80: root bus resource [mem 0xd0000000-0xdfffffff window]", null)]
    // Another kernel's: a guest's, say.
    [DataRow("Linux version 6.1.0 (a@b) #1 SMP\n[    1.0] pci_bus 0000:00: root bus resource [mem 0xb0000000-0xdfffffff window]", null)]
    public void A_window_over_RAM_or_over_another_bridges_is_told(string lines, string? told)
    {
        string errors = Words(With($"{BareBoot}[    1.0] {lines}\n", "show", "--host", "-").Errors);

        if (told is null)
            Assert.DoesNotContain("ACPI tables are wrong", errors);
        else
            Assert.Contains(told, errors);
    }

    [TestMethod]
    [DataRow("Skipping table SSDT in non-ACPI non-reserved region", true)]
    [DataRow("ACPI: Skipping table", false)]
    public void A_table_that_Xen_leaves_out_of_a_PVH_dom0s_is_told(string line, bool isTold)
    {
        string errors = Words(With($"{XensMap}(XEN) {line}\n", "show", "--host", "-").Errors);

        Assert.AreEqual(isTold, errors.Contains("Xen leaves ACPI's table SSDT out of a PVH dom0's (line 8)", StringComparison.Ordinal), errors);
    }

    private static string Written(string text)
    {
        string path = System.IO.Path.GetTempFileName();
        System.IO.File.WriteAllText(path, text);
        return path;
    }
}
