// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Text;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>Logs of two machines in one paste: what the one says of itself is told of the other nowhere, in whatever order they stand.</summary>
[TestClass]
public sealed class MachinesOfALogTests
{
    private const string XensLog = """
        (XEN) Xen version 4.17.3 (a@b) debug=n
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009ffff] (usable)
        (XEN)  [00000000000a0000, 00000000000fffff] (reserved)
        (XEN)  [0000000000100000, 00000000bfffffff] (usable)
        (XEN)  [00000000e0000000, 00000000ffffffff] (reserved)
        (XEN)  [0000000100000000, 0000001fffffffff] (usable)

        """;

    private const string Dom0sLog = """
        [    0.000000] Linux version 5.15.0-91-generic (a@b) #101 SMP
        [    0.000000] Command line: placeholder root=/dev/sda1 ro
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x00000000bfffffff] usable
        [    0.000000] Xen: [mem 0x00000000e0000000-0x00000000ffffffff] reserved
        [    0.000000] DMI: Dell Inc. PowerEdge R740/0X, BIOS 2.1 01/01/2020
        [    0.000000] last_pfn = 0xc0000 max_arch_pfn = 0x400000000
        [    0.400000] smpboot: CPU0: AMD EPYC 7302 (family: 0x17, model: 0x31, stepping: 0x0)
        [    0.500000] pci_bus 0000:00: root bus resource [mem 0xc0000000-0xdfffffff window]
        [    0.600000] pci 0000:03:00.0: [10de:1b80] type 00 class 0x030000
        [    0.600000] pci 0000:03:00.0: reg 0x10: [mem 0xd0000000-0xd0ffffff]

        """;

    private const string BareLog = """
        [    0.000000] Linux version 5.15.0-91-generic (a@b) #101 SMP
        [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] BIOS-e820: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x00000000bfffffff] usable
        [    0.000000] BIOS-e820: [mem 0x00000000e0000000-0x00000000ffffffff] reserved
        [    0.000000] BIOS-e820: [mem 0x0000000100000000-0x0000001fffffffff] usable
        [    0.400000] smpboot: CPU0: AMD EPYC 7302 (family: 0x17, model: 0x31, stepping: 0x0)

        """;

    private const string HvmGuestsLog = """
        [    0.000000] Linux version 6.1.0-18-amd64 (d@d) #1
        [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable
        [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000007fffefff] usable
        [    0.000000] BIOS-e820: [mem 0x00000000fc000000-0x00000000ffffffff] reserved
        [    0.000000] efi: EFI v2.7 by Xen
        [    0.000000] DMI: Xen HVM domU, BIOS 4.17 01/01/2024
        [    0.100000] Booting paravirtualized kernel on Xen HVM
        [    0.100000] smpboot: CPU0: Intel(R) Xeon(R) CPU (family: 0x6, model: 0x55, stepping: 0x4)
        [    0.200000] HugeTLB: registered 2.00 MiB page size, pre-allocated 512 pages
        [    0.300000] pci 0000:00:05.0: [10de:1b80] type 00 class 0x030000
        [    0.300000] pci 0000:00:05.0: reg 0x10: [mem 0xf0000000-0xf0ffffff]
        [    0.400000] DMAR: Host address width 39

        """;

    /// <summary>With the host's map in force, and no root that tells a guest's.</summary>
    private const string PvGuestsLog = """
        [    0.000000] Linux version 6.1.0-18-amd64 (d@d) #1
        [    0.000000] Command line: root=/dev/mapper/dmroot ro
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x000000003fffffff] usable
        [    0.000000] Xen: [mem 0x0000000040000000-0x00000000bfffffff] unusable
        [    0.000000] Xen: [mem 0x00000000e0000000-0x00000000ffffffff] reserved
        [    0.000000] last_pfn = 0x40000 max_arch_pfn = 0x400000000
        [    0.500000] pci_bus 0000:00: root bus resource [mem 0x80000000-0xfbffffff window]

        """;

    [TestMethod]
    [DataRow(XensLog + HvmGuestsLog)]
    [DataRow(HvmGuestsLog + XensLog)]
    [DataRow(XensLog + Dom0sLog + HvmGuestsLog)]
    [DataRow(Dom0sLog + XensLog + HvmGuestsLog)]
    [DataRow(BareLog + HvmGuestsLog)]
    public void A_guests_firmware_processor_and_IOMMU_are_not_told_of_the_host(string log)
    {
        JsonElement traits = Traits(log);

        Assert.IsFalse(traits.TryGetProperty("efi", out _), traits.ToString());
        Assert.IsFalse(traits.TryGetProperty("iommuAddressBits", out _), traits.ToString());
        Assert.DoesNotContain("GenuineIntel", traits.ToString());
        Assert.DoesNotContain("01/01/2024", traits.ToString());
    }

    [TestMethod]
    [DataRow(XensLog + HvmGuestsLog)]
    [DataRow(HvmGuestsLog + XensLog)]
    [DataRow(XensLog + PvGuestsLog)]
    public void A_guests_devices_are_not_taken_for_the_hosts(string log)
    {
        CommandRun run = With(log, "plan", "--host", "-", "--type", "kvm", "--memory", "4096", "--pci", "00:05.0");

        Assert.Contains("which BARs the host's device 0000:00:05.0 has is not told", Words(run.Output));
    }

    [TestMethod]
    [DataRow(Dom0sLog + XensLog)]
    [DataRow(XensLog + Dom0sLog)]
    [DataRow(Dom0sLog + XensLog + HvmGuestsLog)]
    [DataRow(PvGuestsLog + XensLog + Dom0sLog)]
    public void What_dom0_says_of_its_host_is_told_wherever_it_stands(string log)
    {
        JsonElement traits = Traits(log);

        Assert.AreEqual("5.15.0", traits.GetProperty("linux").GetString());
        Assert.AreEqual("AuthenticAMD", traits.GetProperty("cpuVendor").GetString());
        Assert.AreEqual("0xc0000000", traits.GetProperty("rootWindows")[0].GetProperty("start").GetString());
        Assert.AreEqual("01/01/2020", traits.GetProperty("firmware").GetProperty("date").GetString());
    }

    /// <summary>The bare machine's log beside Xen's: the maps show that it is the same.</summary>
    [TestMethod]
    [DataRow(BareLog + XensLog)]
    [DataRow(XensLog + BareLog)]
    public void Another_boot_of_the_same_machine_tells_of_it(string log) =>
        Assert.AreEqual("AuthenticAMD", Traits(log).GetProperty("cpuVendor").GetString());

    [TestMethod]
    [DataRow(XensLog + PvGuestsLog)]
    [DataRow(PvGuestsLog + XensLog)]
    public void A_PV_guest_that_has_the_hosts_map_is_not_taken_for_dom0(string log)
    {
        Assert.Contains("only guests boot in this log", Words(With(log, "verify", "--dom0", "--host", "-", "--nr-pages", "262144").Errors));
        Assert.IsFalse(Traits(log).TryGetProperty("linux", out _));
        Assert.IsFalse(Traits(log).TryGetProperty("rootWindows", out _));
    }

    /// <summary>The changed map is that of a guest whose kernel takes options as well.</summary>
    [TestMethod]
    public void A_guests_changed_map_does_not_tell_that_the_hosts_memmap_took_effect()
    {
        string host = BareLog.Replace("BIOS-e820: [mem 0x0000000000000000-", "Command line: ro memmap=4G$8G\n[    0.000000] BIOS-e820: "
            + "[mem 0x0000000000000000-", StringComparison.Ordinal);
        string guest = PvGuestsLog.Replace("[    0.000000] last_pfn", "[    0.000000] user-defined physical RAM map:\n[    0.000000] user: "
            + "[mem 0x0000000000100000-0x000000003fffffff] usable\n[    0.000000] last_pfn", StringComparison.Ordinal);

        string errors = Words(With(host + guest, "show", "--host", "-").Errors);

        Assert.DoesNotContain("memmap=4G$8G", errors);
    }

    [TestMethod]
    [DataRow(HvmGuestsLog, true)]
    [DataRow(BareLog, false)]
    [DataRow(BareLog + HvmGuestsLog, false)]
    public void A_virtual_machines_own_map_is_told_to_be_none_of_a_hosts(string log, bool isTold) =>
        Assert.AreEqual(isTold, Words(With(log, "show", "--host", "-").Errors).Contains("This is a virtual machine's own map, not its host's",
            StringComparison.Ordinal));

    /// <summary>Such a guest has RAM where its host has it, so that its map alone does not tell.</summary>
    [TestMethod]
    public void A_kernel_without_ACPIs_tables_is_none_of_dom0s()
    {
        string guest = Dom0sLog.Replace("DMI: Dell Inc. PowerEdge R740/0X, BIOS 2.1 01/01/2020", "ACPI in unprivileged domain disabled",
            StringComparison.Ordinal);

        Assert.IsFalse(Traits(XensLog + guest).TryGetProperty("linux", out _));
        Assert.IsTrue(Traits(XensLog + Dom0sLog).TryGetProperty("linux", out _));
    }

    /// <summary>libxl makes it of the host's RAM, and the host's map is asked for.</summary>
    [TestMethod]
    public void Unusable_memory_of_a_map_of_libxls_is_told_to_be_taken_for_RAM()
    {
        const string log = """
            libxl: debug: libxl_x86.c:232:e820_sanitize: :	[0 -> 10000] RAM
            libxl: debug: libxl_x86.c:232:e820_sanitize: :	[10000 -> 7ffdf] Unusable
            libxl: debug: libxl_x86.c:232:e820_sanitize: :	[7ffdf -> 80000] Reserved

            """;

        Assert.Contains("What is unusable in it is taken for the host's RAM", Words(With(log, "show", "--host", "-").Errors));
    }

    private static JsonElement Traits(string log)
    {
        using JsonDocument document = JsonDocument.Parse(With(log, "show", "--json", "--host", "-").Output);
        return document.RootElement.GetProperty("traits").Clone();
    }

    private static CommandRun With(string host, params string[] options) => CommandRun.WithInput(Encoding.UTF8.GetBytes(host), options);

    private static string Words(string text) => string.Join(' ', text.Split(default(char[]), StringSplitOptions.RemoveEmptyEntries));
}
