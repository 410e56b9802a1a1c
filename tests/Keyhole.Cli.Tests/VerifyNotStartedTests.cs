// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary><c>keyhole verify</c> of a KVM guest that QEMU, libvirt or Proxmox VE did not start: what they say is a verdict.</summary>
[TestClass]
public sealed class VerifyNotStartedTests
{
    private const string Command = "qemu-system-x86_64 -machine q35 -accel kvm -cpu host -m 4096 -nodefaults -device pcie-root-port,id=r1,slot=1 "
        + "-device vfio-pci,host=0000:01:00.0,bus=r1\n";

    private const string Device = "-device vfio-pci,host=0000:01:00.0,bus=r1: vfio 0000:01:00.0: ";
    private const string NotViable = Device + "group 1 is not viable\n"
        + "Please ensure all devices within the iommu_group are bound to their vfio bus driver.\n";

    private const string Json = "-device {\"driver\":\"vfio-pci\",\"host\":\"0000:01:00.0\",\"bus\":\"pci.1\",\"addr\":\"0x0\"}: vfio 0000:01:00.0: ";

    private const string Failed = "error: Failed to start domain 'win10'\n";

    [TestMethod]
    [DataRow("qemu-system-x86_64: " + NotViable, "QEMU", 1, "vfio 0000:01:00.0: group 1 is not viable")]
    [DataRow("$ ./run.sh\n2026-11-30T03:46:58.653831Z qemu-system-x86_64: " + NotViable, "QEMU", 2, "vfio 0000:01:00.0: group 1 is not viable")]
    // Up to QEMU 2.x three errors tell of one.
    [DataRow("qemu-kvm: -device vfio-pci,host=01:00.0: vfio: error, group 8 is not viable\nqemu-kvm: -device vfio-pci,host=01:00.0: vfio: failed to "
        + "get group 8\nqemu-kvm: -device vfio-pci,host=01:00.0: Device 'vfio-pci' could not be initialized\n", "QEMU", 1, "group 8 is not viable")]
    // libvirt, and virt-manager.
    [DataRow(Failed + "error: internal error: qemu unexpectedly closed the monitor: 2022-07-02T19:41:18.784519Z qemu-system-x86_64: " + Json
        + "failed to open /dev/vfio/1: No such file or directory\n", "QEMU", 2, "vfio 0000:01:00.0: failed to open /dev/vfio/1")]
    [DataRow(Failed + "error: unsupported configuration: host doesn't support passthrough of host PCI devices\n", "libvirt", 2,
        "unsupported configuration: host doesn't support passthrough")]
    [DataRow("Error starting domain: Requested operation is not valid: PCI device 0000:01:00.0 is in use by driver QEMU, domain other\n\n"
        + "Traceback (most recent call last):\n", "libvirt", 1, "PCI device 0000:01:00.0 is in use by driver QEMU")]
    [DataRow(Failed + "error: internal error: qemu unexpectedly closed the monitor: Could not access KVM kernel module: Permission denied\n"
        + "2023-03-01T05:47:14.825945Z qemu-system-x86_64: failed to initialize KVM: Permission denied\n", "QEMU", 3, "failed to initialize KVM")]
    [DataRow("2020-01-01 00:00:00.000+0000: starting up libvirt version: 9.0.0\n2020-01-01T00:00:01.000000Z qemu-system-x86_64: " + Json
        + "group 1 is not viable\n2020-01-01 00:00:02.000+0000: shutting down, reason=failed\n", "QEMU", 2, "group 1 is not viable")]
    // Proxmox VE, whose QEMU goes on after the first of these.
    [DataRow("kvm: -device vfio-pci,host=0000:01:00.0,id=hostpci0: Failed to mmap 0000:01:00.0 BAR 2. Performance may be slow\n"
        + "kvm: -device ide-cd,bus=ide.0,unit=1,id=ide1: Can't create IDE unit 1, bus supports only 1 units\n"
        + "TASK ERROR: start failed: QEMU exited with code 1\n", "QEMU", 2, "Can't create IDE unit 1")]
    [DataRow("TASK ERROR: cannot prepare PCI pass-through, IOMMU not present\n", "Proxmox VE", 1, "cannot prepare PCI pass-through")]
    [DataRow("Nov 30 03:46:58 pve pvedaemon[1]: start failed: QEMU exited with code 1\nstart failed: QEMU exited with code 1\n", "Proxmox VE", 2,
        "QEMU exited with code 1")]
    // Broken by a mail or a terminal.
    [DataRow("kvm: -device vfio-pci,host=0000:01:00.0,id=hostpci0,bus=ich9-pcie-port-1,\naddr=0x0: vfio 0000:01:00.0: group 1 is not viable\n",
        "QEMU", 1, "group 1 is not viable")]
    [DataRow("qemu-system-x86_64: Address space limit 0xffffffffff < 0x5007fffffff phys-bits too low (40)\n", "QEMU", 1, "phys-bits too low (40)")]
    public void A_guest_that_was_not_started_is_a_verdict_with_the_line_that_says_so(string log, string program, int line, string words)
    {
        CommandRun run = Verify(log);
        string text = Unbroken(run);

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("the guest was not created\n", run.Output);
        Assert.Contains($"{program} did not start the guest (line {line}: \"", text);
        Assert.Contains(words, text);
        using var answer = JsonDocument.Parse(Verify(log, "--json").Output);
        JsonElement difference = answer.RootElement.GetProperty("differences")[0];
        Assert.AreEqual("refused", answer.RootElement.GetProperty("outcome").GetProperty("observed").GetString());
        Assert.AreEqual(line, difference.GetProperty("line").GetInt32());
        Assert.Contains(words, difference.GetProperty("observed").GetString()!);
    }

    /// <summary>Errors of a guest that ran, and of an earlier start.</summary>
    [TestMethod]
    [DataRow("qemu-system-x86_64: " + NotViable + "2020-01-01 00:00:00.000+0000: starting up libvirt version: 9.0.0\n"
        + "qemu-system-x86_64: terminating on signal 15 from pid 812 (libvirtd)\n2020-01-01 00:00:00.000+0000: shutting down, reason=shutdown\n")]
    [DataRow("kvm: -device vfio-pci,host=0000:01:00.0,id=hostpci0: Failed to mmap 0000:01:00.0 BAR 2. Performance may be slow\n")]
    [DataRow("qemu-system-x86_64: -accel kvm: warning: Number of SMP cpus requested (2) exceeds the recommended cpus supported by KVM (1)\n")]
    [DataRow("qemu-system-x86_64: vfio_err_notifier_handler(0000:01:00.0) Unrecoverable error detected.\n")]
    public void What_QEMU_says_of_a_guest_that_runs_is_no_refusal(string log)
    {
        CommandRun run = Verify(log);

        Assert.AreEqual(2, run.Status, run.Output);
        Assert.Contains("this is QEMU's own log", run.Errors);
    }

    [TestMethod]
    public void Beside_a_kernels_lines_an_earlier_refusal_does_not_hide_the_boot()
    {
        CommandRun run = Verify("qemu-system-x86_64: " + NotViable + "[    0.000000] Linux version 6.1.0-44-amd64\n"
            + "[    0.000000] BIOS-provided physical RAM map:\n[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable\n");

        Assert.DoesNotContain("not created", run.Output);
    }

    [TestMethod]
    public void A_refusal_that_was_forecast_agrees_and_one_for_another_reason_does_not()
    {
        string[] narrow = ["--guest", Written(Command.Replace("-cpu host", "-cpu host,host-phys-bits=off,phys-bits=36", StringComparison.Ordinal)
            .Replace("-m 4096", "-m 128G", StringComparison.Ordinal))];
        CommandRun same = CommandRun.Of([.. With(narrow), "--dmesg",
            Written("qemu-system-x86_64: Address space limit 0xfffffffff < 0x287fffffff phys-bits too low (36)\n")]);
        CommandRun other = CommandRun.Of([.. With(narrow), "--dmesg", Written("qemu-system-x86_64: " + NotViable)]);

        Assert.AreEqual(0, same.Status, same.Output);
        Assert.Contains("the guest was not created, as forecast", same.Output);
        Assert.AreEqual(1, other.Status, other.Output);
        Assert.DoesNotContain("as forecast", other.Output);
    }

    [TestMethod]
    public void What_the_host_tells_of_the_reason_is_told_and_else_nothing_is_guessed()
    {
        const string host = "[    0.000000] Linux version 6.1.0-44-amd64\n[    0.000000] BIOS-provided physical RAM map:\n"
            + "[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable\n"
            + "[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x0000000fffffffff] usable\n"
            + "[    0.000000] last_pfn = 0x1000000 max_arch_pfn = 0x4\n";
        string known = Unbroken(Verify("qemu-system-x86_64: " + Device + "no iommu_group found: No such file or directory\n", "--host",
            Written(host + "[    0.010000] DMAR: IOMMU disabled\n")));
        string unknown = Unbroken(Verify("qemu-system-x86_64: " + NotViable, "--host", Written(host)));

        Assert.Contains("its log says \"IOMMU disabled\"", known);
        Assert.DoesNotContain("nothing that was told", known);
        Assert.DoesNotContain("IOMMU disabled", unknown);
        Assert.Contains("By the forecast nothing that was told of the guest and its host keeps it from being started.", unknown);
        Assert.DoesNotContain("What to change", unknown);
    }

    [TestMethod]
    [DataRow("cannot set up guest memory 'pc.ram': Cannot allocate memory", "as much memory as the guest's RAM is", "Linux did not pin")]
    [DataRow(Device + "failed to setup container for group 1: memory listener initialization failed: Region pc.ram: vfio_dma_map(0x5, 0x100000000, "
        + "0x80000000, 0x7) = -12 (Cannot allocate memory)", "Linux did not pin the guest's RAM for the device", "as much memory as")]
    public void Of_memory_that_QEMU_did_not_get_the_words_tell_which(string words, string told, string other)
    {
        string text = Unbroken(Verify($"qemu-system-x86_64: {words}\n"));

        Assert.Contains(told, text);
        Assert.DoesNotContain(other, text);
        Assert.DoesNotContain("none of the guest's devices", text);
    }

    [TestMethod]
    public void Words_on_a_device_that_the_guest_is_not_given_are_told_to_be_of_another_guest()
    {
        string text = Unbroken(Verify("qemu-system-x86_64: " + NotViable.Replace("01:00.0", "09:00.0", StringComparison.Ordinal)));

        Assert.Contains("0000:09:00.0 is none of the guest's devices (0000:01:00.0)", text);
    }

    private static string Unbroken(CommandRun run) => run.Output.Replace("\n  ", " ", StringComparison.Ordinal);

    private static string[] With(string[] guest) => ["verify", .. guest, "--bar", "4000000000-4010000000"];

    private static CommandRun Verify(string log, params string[] options) =>
        CommandRun.Of([.. With(["--guest", Written(Command)]), "--dmesg", Written(log), .. options]);

    private static string Written(string text)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, text);
        return path;
    }
}
