// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary><c>keyhole verify</c> of a guest that was not created, and of one that was forecast not to be.</summary>
[TestClass]
public sealed class VerifyNotCreatedTests
{
    private const string Host = """
        (XEN) Xen version 4.17.5 (a@b) debug=n
        (XEN) Command line: placeholder dom0_mem=1024M,max:1024M
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009fbff] (usable)
        (XEN)  [000000000009fc00, 00000000000fffff] (reserved)
        (XEN)  [0000000000100000, 000000006cbfffff] (usable)
        (XEN)  [000000006cc00000, 000000006fffffff] (reserved)
        (XEN)  [0000000100000000, 000000023fffffff] (usable)
        (XEN) System RAM: 6859MB (7023612kB)

        """;

    private const string End = "libxl: error: libxl_create.c:1420:domcreate_rebuild_done: Domain 1:cannot (re-)build domain: -3\n";
    private const string LayOut = "xc: error: panic: xg_dom_boot.c:121: xc_dom_boot_mem_init: can't allocate low memory for domain: Out of memory\n";
    private const string Conflict = "libxl: error: libxl_dm.c:467:libxl__domain_device_construct_rdm: Domain 1:RDM conflict at 0x6ccfe000\n" + End;
    private const string Refused =
        "libxl: error: libxl_create.c:1164:libxl__domain_config_setdefault: Domain 4294967295:passthrough not supported on this platform\n";

    [TestMethod]
    [DataRow("hvm", Conflict, "RDM conflict")]
    [DataRow("pv", LayOut + "libxl: error: libxl_dom.c:593:libxl__build_dom: xc_dom_boot_mem_init failed: Cannot allocate memory\n" + End,
        "Memory has a part in it")]
    [DataRow("pv", LayOut + End, "libxc says \"Out of memory\" of whatever kept it from laying the guest's memory out")]
    // As libvirt writes it, without a level.
    [DataRow("pv", "2023-03-10 04:45:50.541+0000: libxl: libxl_dom.c:593:libxl__build_dom: xc_dom_boot_mem_init failed: Cannot allocate memory\n"
        + "2023-03-10 04:45:50.579+0000: libxl: libxl_create.c:1654:domcreate_rebuild_done: Domain 8:cannot (re-)build domain: -3\n",
        "Memory has a part in it")]
    [DataRow("pv", "2019-11-04 13:27:07.556+0000: libxl: libxl_pci.c:1338:libxl__add_pcidevs: libxl_device_pci_add failed: -3\n"
        + "2019-11-04 13:27:07.556+0000: libxl: libxl_create.c:1512:domcreate_attach_devices: unable to add pci devices\n",
        "libxl_device_pci_add failed: -3")]
    [DataRow("pvh", "libxl: error: libxl_pci.c:1365:libxl__add_pcidevs: libxl_device_pci_add failed: -1\n" + End
        + "(XEN) [VT-D] It's disallowed to assign 0000:00:1a.0 with shared RMRR at db7d7000 for d1.\n", "reserved memory (RMRR) at 0xdb7d7000")]
    [DataRow("hvm", "failed to free memory for the domain\n", "Memory has a part in it")]
    [DataRow("pv", Refused, "passthrough not supported")]
    [DataRow("hvm", "libxl: error: libxl_create.c:1422:domcreate_attach_pci: libxl_device_pci_add failed: -3\n", "_device_pci_add failed: -3")]
    [DataRow("hvm", "libxl: error: libxl_pci.c:879:qemu_pci_add_xenstore: qemu refused to add device: 0000:01:00.0,msitranslate=0,power_mgmt=0\n"
        + "libxl: error: libxl_pci.c:1300:libxl__add_pcidevs: Domain 4:libxl_device_pci_add failed: -3\n", "line 1: \"libxl: error: libxl_pci.c:879")]
    // libxl says it of many a device, and goes on.
    [DataRow("hvm", "libxl: error: libxl_pci.c:1575:libxl__device_pci_reset: The kernel doesn't support reset from sysfs for PCI device 0000:00:05.0\n"
        + "libxl: error: libxl_create.c:1990:domcreate_attach_devices: Domain 4:unable to add pci devices\n",
        "line 2: \"libxl: error: libxl_create.c:1990:domcreate_attach_devices: Domain 4:unable to add pci devices\"")]
    public void A_guest_that_the_toolstack_did_not_create_is_a_verdict_with_its_reason(string type, string log, string quoted)
    {
        CommandRun run = Verify(log, "--type", type);
        string text = run.Output.Replace("\n  ", " ", StringComparison.Ordinal);

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("the guest was not created\n", run.Output);
        Assert.Contains("no kernel of it ran", text);
        Assert.Contains(quoted, text);
        using var answer = JsonDocument.Parse(Verify(log, "--type", type, "--json").Output);
        Assert.AreEqual("refused", answer.RootElement.GetProperty("outcome").GetProperty("observed").GetString());
        Assert.AreEqual("boots", answer.RootElement.GetProperty("outcome").GetProperty("forecast").GetString());
        Assert.StartsWith("refused: \"", answer.RootElement.GetProperty("differences")[0].GetProperty("observed").GetString());
    }

    private const string Vif = "libxl: error: libxl_create.c:1676:domcreate_attach_devices: Domain 5:unable to add vif devices\n"
        + "libxl: error: libxl_domain.c:1183:libxl__destroy_domid: Domain 5:Non-existant domain\n";

    /// <summary>Where libvirt logs, all guests of weeks stand.</summary>
    [TestMethod]
    [DataRow(Vif + LayOut + "libxl: error: libxl_dom.c:583:libxl__build_dom: xc_dom_boot_mem_init failed: Cannot allocate memory\n" + End)]
    [DataRow("Parsing config from /etc/xen/a.cfg\n" + LayOut + "libxl: error: x.c:1:f: Domain 1:cannot (re-)build domain: -3\n"
        + "Parsing config from /etc/xen/a.cfg\nxc: error: panic: a.c:1: f: Cannot allocate memory\n" + End)]
    public void Of_several_guests_that_were_not_created_the_last_is_told_of(string log)
    {
        string text = Verify(log, "--type", "pv").Output.Replace("\n  ", " ", StringComparison.Ordinal);

        Assert.Contains("Cannot allocate memory\"): no kernel of it ran", text);
        Assert.DoesNotContain("vif", text);
    }

    /// <summary>To be removed a device has to have been there; and what goes on behind another guest's error was created.</summary>
    [TestMethod]
    [DataRow("libxl: error: libxl_device.c:1141:device_backend_callback: Domain 7:unable to remove device with path /local/domain/0/backend/vif/7/0\n"
        + "libxl: error: libxl_domain.c:1530:devices_destroy_cb: Domain 7:libxl__devices_destroy failed\n"
        + "libxl: error: libxl_domain.c:1459:domain_destroy_callback: Domain 7:Unable to destroy guest\n"
        + "libxl: error: libxl_domain.c:1386:domain_destroy_cb: Domain 7:Destruction of domain failed\n")]
    [DataRow("Parsing config from /etc/xen/other.cfg\n" + Vif + "Parsing config from /etc/xen/domU.cfg\n"
        + "domainbuilder: detail: xc_dom_alloc_segment:   kernel       : 0x100000 -> 0x135000  (pfn 0x100 + 0x35 pages)\n")]
    public void A_guest_that_is_shut_down_and_one_that_is_created_behind_another_s_error_are_none_that_was_not_created(string log)
    {
        CommandRun run = Verify(log, "--type", "pv");

        Assert.DoesNotContain("not created", run.Output);
    }

    /// <summary>Seen with a 32-bit guest on a Xen without them, and with a kernel that is none for PVH.</summary>
    [TestMethod]
    [DataRow("Operation not supported")]
    [DataRow("Permission denied")]
    public void What_kept_the_memory_from_being_laid_out_is_libxl_s_word_and_not_libxc_s_Out_of_memory(string words)
    {
        string text = Verify(LayOut + $"libxl: error: libxl_dom.c:586:libxl__build_dom: xc_dom_boot_mem_init failed: {words}\n" + End, "--type", "pv")
            .Output.Replace("\n  ", " ", StringComparison.Ordinal);

        Assert.Contains($"xc_dom_boot_mem_init failed: {words}", text);
        Assert.DoesNotContain("Memory has a part", text);
    }

    [TestMethod]
    public void The_address_of_a_conflict_is_passed_on_with_a_cure_that_was_tried()
    {
        string text = Verify(Conflict, "--type", "hvm", "--pci", "00:14.0").Output.Replace("\n  ", " ", StringComparison.Ordinal);

        Assert.Contains("--rmrr 0x6ccfe000-END", text);
        Assert.Contains("put rdm_mem_boundary=1740 into the xl.cfg", text);
    }

    /// <summary>The cure of a region that the host's source tells is plan's own.</summary>
    [TestMethod]
    public void A_conflict_with_memory_that_is_known_asks_for_no_address()
    {
        string output = Verify(Conflict, "--type", "hvm", "--pci", "00:14.0", "--rmrr", "0x6ccfe000-0x6cd1e000").Output;

        Assert.DoesNotContain("-END", output);
        Assert.Contains("The host's source has that reserved memory", output);
    }

    /// <summary>No kernel ran, and it may be none of Linux: unikernels run with 8 MiB.</summary>
    [TestMethod]
    [DataRow("pv", "libxl: error: libxl_device.c:283:libxl__device_disk_set_backend: Disk vdev=xvdc failed to stat: /x: No such file or directory\n"
        + "libxl: error: libxl_create.c:906:initiate_domain_create: Unable to set disk defaults for disk 1\n")]
    [DataRow("pvh", "xc: error: panic: xc_dom_core.c:702: xc_dom_find_loader: no loader found: Invalid kernel\n" + End)]
    public void A_small_guest_that_was_not_created_is_not_told_to_want_memory_for_it(string type, string log)
    {
        CommandRun run = Verify(log, "--type", type, "--memory", "8");
        using var answer = JsonDocument.Parse(Verify(log, "--type", type, "--memory", "8", "--json").Output);

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.DoesNotContain("MiB or more", run.Output);
        Assert.DoesNotContain("halts", run.Output);
        Assert.AreEqual("not-known", answer.RootElement.GetProperty("outcome").GetProperty("forecast").GetString());
        string plan = CommandRun.Of("plan", "--memory", "8", "--host", Written(Host), "--type", type).Output
            .Replace("\n  ", " ", StringComparison.Ordinal);
        Assert.Contains(type == "pvh" ? "a Linux kernel is at 16 MiB" : "a Linux PV kernel is at 16 MiB", plan);
        Assert.Contains("a unikernel", plan);
    }

    [TestMethod]
    public void What_has_no_room_in_a_guest_is_told_as_that()
    {
        string text = Verify("xc: error: panic: xc_dom_core.c:621: xc_dom_alloc_segment: segment ramdisk too large (0x8000 > 0x4000 - 0x2000 pages): "
            + "Out of memory\n" + End, "--type", "pv", "--memory", "64").Output.Replace("\n  ", " ", StringComparison.Ordinal);

        Assert.Contains("has no room in the 64 MiB that it starts with.\nWhat to change: give the guest more memory", text);
        Assert.DoesNotContain("Xen did not give", text);
    }

    [TestMethod]
    public void What_is_refused_for_another_reason_than_was_forecast_does_not_agree()
    {
        string host = Host.Replace("(XEN) System RAM", "(XEN) I/O virtualisation disabled\n(XEN) System RAM", StringComparison.Ordinal);
        CommandRun same = VerifyOn(host, Refused, "--type", "hvm", "--pci", "00:14.0");
        CommandRun other = VerifyOn(host, Conflict, "--type", "hvm", "--pci", "00:14.0");

        Assert.AreEqual(0, same.Status, same.Output);
        Assert.Contains("the guest was not created, as forecast", same.Output);
        Assert.AreEqual(1, other.Status, other.Output);
        Assert.DoesNotContain("as forecast", other.Output);
    }

    [TestMethod]
    public void A_PV_guest_that_ran_although_it_was_to_be_refused_is_not_taken_for_a_PVH_dom0()
    {
        string host = Host.Replace("(XEN) System RAM", "(XEN) I/O virtualisation disabled\n(XEN) System RAM", StringComparison.Ordinal);
        CommandRun run = VerifyOn(host, "[    0.000000] Linux version 6.1.90 (a@b) #1 SMP\n[    0.000000] Released 0 page(s)\n"
            + "[    0.200000] Memory: 500000K/524288K available\n", "--type", "pv", "--pci", "00:14.0");

        Assert.AreEqual(1, run.Status, run.Output);
        Assert.Contains("refused: \"passthrough not supported", run.Output.Replace("\n ", " ", StringComparison.Ordinal));
        Assert.Contains("it is another guest, another", run.Output);
        Assert.DoesNotContain("PVH", run.Output);
    }

    [TestMethod]
    public void An_error_of_the_toolstack_beside_a_kernels_lines_does_not_hide_the_boot()
    {
        CommandRun run = Verify("xc: error: panic: an earlier try\n[    0.000000] Linux version 6.1.90 (a@b) #1 SMP\n"
            + "[    0.000000] Released 0 page(s)\n", "--type", "pv");

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.DoesNotContain("not created", run.Output);
    }

    private static CommandRun Verify(string log, params string[] options) => VerifyOn(Host, log, options);

    private static CommandRun VerifyOn(string host, string log, params string[] options) =>
        CommandRun.Of(["verify", "--host", Written(host), "--dmesg", Written(log), .. options,
            .. Array.IndexOf(options, "--memory") < 0 ? (string[])["--memory", "4096"] : []]);

    private static string Written(string text)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, text);
        return path;
    }
}
