// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Text;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>Logs of virtual machines of hypervisors for which there is no forecast.</summary>
[TestClass]
public sealed class ForeignHypervisorTests
{
    private const string VMware = "DMI: VMware, Inc. VMware7,1/440BX Desktop Reference Platform, BIOS VMW71.00V.18227214.B64.2106252220 06/25/2021";
    private const string HyperV = "DMI: Microsoft Corporation Virtual Machine/Virtual Machine, BIOS Hyper-V UEFI Release v4.0 11/01/2019";

    private static string Log(string machine) => $"""
        [    0.000000] Linux version 6.1.0-18-amd64 (d@d) #1
        [    0.000000] BIOS-provided physical RAM map:
        [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009efff] usable
        [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x00000000bfeeffff] usable
        [    0.000000] BIOS-e820: [mem 0x0000000100000000-0x000000023fffffff] usable
        [    0.000000] {machine}
        [    0.000000] Memory: 8000000K/8388000K available

        """;

    private static CommandRun With(string log, params string[] words) => CommandRun.WithInput(Encoding.ASCII.GetBytes(log), words);

    private static string Words(string text) => string.Join(' ', text.Split(default(char[]), StringSplitOptions.RemoveEmptyEntries));

    [TestMethod]
    [DataRow(VMware)]
    [DataRow(HyperV)]
    [DataRow("Booting paravirtualized kernel on VMware hypervisor")]
    [DataRow("Booting paravirtualized kernel on Hyper-V")]
    public void A_virtual_machine_given_for_a_host_is_told_to_be_one(string machine) =>
        Assert.Contains("This is a virtual machine's own map, not its host's", Words(With(Log(machine), "show", "--host", "-").Errors));

    [TestMethod]
    [DataRow(VMware, "VMware")]
    [DataRow(HyperV, "Hyper-V")]
    [DataRow("DMI: Cloud Hypervisor cloud-hypervisor, BIOS 0", "Cloud Hypervisor")]
    [DataRow("DMI: Amazon EC2 t3.micro/, BIOS 1.0 10/16/2017", "Amazon EC2")]
    [DataRow("DMI: Google Google Compute Engine/Google Compute Engine, BIOS Google 01/01/2011", "Google Compute Engine")]
    [DataRow("DMI: ChromiumOS crosvm, BIOS 0", "crosvm")]
    [DataRow("DMI:  BHYVE, BIOS 1.00 03/14/2014", "bhyve")]
    public void A_log_of_another_hypervisor_s_guest_is_told_to_be_that(string machine, string name)
    {
        string text = Words(With(Log(machine), "verify", "--type", "kvm", "--machine", "q35", "--firmware", "ovmf", "--memory", "8192", "--dmesg",
            "-").Output);

        Assert.Contains($"The log is of a guest of {name} (line 6", text);
        Assert.DoesNotContain("what differs has another reason", text);
    }

    /// <summary>Excerpts stop before the line that tells what the kernel runs on.</summary>
    [TestMethod]
    [DataRow("kvm", "DMI: Xen HVM domU, BIOS 4.8.3 05/08/2018", "The log is of an HVM guest (line 6")]
    [DataRow("kvm", "Hypervisor detected: Xen HVM", "The log is of an HVM guest (line 6: its hypervisor is Xen HVM)")]
    [DataRow("kvm", "DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2 04/01/2014", null)]
    [DataRow("kvm", "Hypervisor detected: KVM", null)]
    [DataRow("kvm", "Hypervisor detected: Microsoft Hyper-V", null)]
    [DataRow("kvm", "DMI: Amazon EC2 m5.metal/Not Specified, BIOS 1.0 10/16/2017", null)]
    [DataRow("hvm", "DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2 04/01/2014", "The log is of a guest that QEMU runs without Xen (line 6")]
    [DataRow("hvm", "Hypervisor detected: KVM", "The log is of a KVM guest (line 6")]
    [DataRow("hvm", "DMI: Xen HVM domU, BIOS 4.8.3 05/08/2018", null)]
    [DataRow("pvh", "Hypervisor detected: Xen HVM", null)]
    public void A_log_of_another_type_of_guest_is_told_by_its_machine(string type, string machine, string? told)
    {
        string text = Words(With(Log(machine), "verify", "--type", type, "--memory", "8192", "--dmesg", "-").Output);

        if (told is null)
            Assert.DoesNotContain("The log is of a", text);
        else
            Assert.Contains(told, text);
        Assert.IsFalse(told is not null && text.Contains("another reason", StringComparison.Ordinal), text);
    }

    /// <summary>QEMU under KVM can bear Xen's name, too (xen-version=).</summary>
    [TestMethod]
    public void What_the_machine_calls_itself_goes_before_the_hypervisors_name() => Assert.DoesNotContain("The log is of a", Words(With(
        Log("DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2 04/01/2014\n[    0.000000] Hypervisor detected: Xen HVM"),
        "verify", "--type", "kvm", "--memory", "8192", "--dmesg", "-").Output));

    [TestMethod]
    [DataRow("SMAP type=01 base=0000000000000000 len=000000000009fc00\nreal memory  = 2147483648 (2048 MB)\n", "FreeBSD's words",
        "compare the SMAP lines with the map that keyhole plan prints")]
    [DataRow("Copyright (c) 1992-2023 The FreeBSD Project.\nreal memory  = 2147483648 (2048 MB)\n", "FreeBSD's words",
        "booted with 'boot -v' FreeBSD prints the map, too")]
    [DataRow("Copyright (c) 1995-2023 OpenBSD. All rights reserved.\n", "OpenBSD's words", "boot a Linux in the guest")]
    [DataRow("This device cannot find enough free resources that it can use. (Code 12)\n", "Windows' words",
        "which setting gives each BAR a place, keyhole compare tells")]
    public void A_log_of_a_system_that_is_no_Linux_is_told_to_be_that(string log, string name, string remedy)
    {
        foreach (string[] guest in new[] { ["--type", "kvm", "--machine", "q35", "--firmware", "ovmf"], new[] { "--type", "hvm" } })
        {
            CommandRun run = With(log, ["verify", .. guest, "--host", CommandRun.Golden("plain4g.log"), "--memory", "2048", "--dmesg", "-"]);

            Assert.AreEqual(2, run.Status);
            Assert.Contains(name, run.Errors);
            Assert.Contains(remedy, run.Errors);
        }
    }

    [TestMethod]
    public void A_log_that_agrees_and_has_a_window_without_an_address_is_told_to_have_one()
    {
        const string log = """
            [    0.000000] Linux version 5.15.0-94-generic (buildd@lcy02-amd64-096)
            [    1.512341] pci 0000:00:10.0: BAR 2: no space for [mem size 0x1000000000 64bit pref]
            [    1.512342] pci 0000:00:10.0: BAR 2: failed to assign [mem size 0x1000000000 64bit pref]

            """;
        string text = With(log, "verify", "--type", "kvm", "--machine", "q35", "--firmware", "ovmf", "--memory", "8192", "--dmesg", "-").Output;

        Assert.Contains("the log agrees with the forecast; not every window of a device has an address (line ", Words(text));
    }
}
