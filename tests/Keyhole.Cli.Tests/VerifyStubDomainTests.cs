// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>The log of the domain that an HVM guest's QEMU runs in, where the guest's configuration is what was told. Excerpts of our own.</summary>
[TestClass]
public sealed class VerifyStubDomainTests
{
    private const string Guest = """
        name="gpu"
        type="hvm"
        memory=4096
        device_model_version="qemu-xen"
        device_model_stubdomain_override=1

        """;

    /// <summary>128 MiB and the 8 MiB that Cirrus' card has.</summary>
    private const string Log = """
        [    0.000000] Linux version 6.6.77-xen-stubdom (user@build) (gcc 12) #1 Tue Oct 2 03:34:17 UTC 2018
        [    0.000000] Command line: console=hvc0
        [    0.000000] Released 0 page(s)
        [    0.000000] BIOS-provided physical RAM map:
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x00000000087fffff] usable
        [    0.000000] [mem 0x08800000-0xffffffff] available for PCI devices
        [    0.000000] Booting paravirtualized kernel on Xen PV

        """;

    [TestMethod]
    [DataRow("-xen-stubdom", "device_model_stubdomain_override=1", false)]
    [DataRow("-generic", "device_model_stubdomain_override=1", false)]
    [DataRow("-xen-stubdom", "xen_platform_pci=1", true)]
    public void The_log_of_a_guests_stubdomain_is_compared_with_what_that_domain_gets(string release, string key, bool isOdd)
    {
        CommandRun run = Verify(Log.Replace("-xen-stubdom", release, StringComparison.Ordinal),
            Guest.Replace("device_model_stubdomain_override=1", key, StringComparison.Ordinal));

        Assert.AreEqual(0, run.Status, run.Output + run.Errors);
        Assert.Contains("guest:  gpu-dm, 136 MiB", run.Output);
        Assert.Contains("The log is of the stubdomain of the guest that was told (gpu-dm", run.Output);
        Assert.AreEqual(isOdd, run.Output.Contains("has no stubdomain", StringComparison.Ordinal));
        Assert.DoesNotContain("taken from the log", run.Output);
    }

    [TestMethod]
    [DataRow("", 0)]
    [DataRow("stubdomain_memory=136\n", 0)]
    public void A_size_that_is_not_libxls_usual_one_is_taken_from_the_log_and_told(string key, int status)
    {
        CommandRun run = Verify(Log.Replace("0x00000000087fffff", "0x0000000008ffffff", StringComparison.Ordinal)
            .Replace("0x08800000", "0x09000000", StringComparison.Ordinal), Guest + key);

        Assert.AreEqual(status, run.Status, run.Output);
        Assert.AreEqual(key.Length == 0, run.Output.Contains("Its size is taken from the log: 144 MiB", StringComparison.Ordinal), run.Output);
    }

    /// <summary>136 MiB, of which the video card has 8.</summary>
    [TestMethod]
    public void A_size_that_the_configuration_contradicts_is_a_difference()
    {
        CommandRun run = Verify(Log, Guest + "stubdomain_memory=160\n");
        string text = run.Output.Replace("\n  ", " ", StringComparison.Ordinal);

        Assert.AreEqual(1, run.Status, run.Output);
        Assert.Contains("By its log it had 136 MiB. With stubdomain_memory=160 libxl gives it 168 MiB, 8 MiB of them for the video card", text);
        Assert.DoesNotContain("where nobody says otherwise", text);
    }

    /// <summary>The stubdomain of qemu-xen-traditional has no Linux, and the guest's own map is not what is compared.</summary>
    [TestMethod]
    [DataRow("-xen-stubdom")]
    [DataRow("-generic")]
    public void A_Linux_stubdomains_log_is_compared_also_where_the_guest_is_not_modelled(string release)
    {
        string guest = Guest.Replace("device_model_version=\"qemu-xen\"\n", "", StringComparison.Ordinal);
        CommandRun run = Verify(Log.Replace("-xen-stubdom", release, StringComparison.Ordinal), guest);

        Assert.AreEqual(0, run.Status, run.Output + run.Errors);
        Assert.Contains("what it ran with had device_model_version=\"qemu-xen\"", run.Output.Replace("\n  ", " ", StringComparison.Ordinal));
        Assert.AreEqual(2, Verify("[    0.000000] Linux version 6.6.77 (a@b)\n[    0.0] BIOS-e820: [mem 0x0-0x9fbff] usable\n", guest).Status);
    }

    [TestMethod]
    public void A_log_of_a_PV_guest_is_no_stubdomains_where_the_HVM_guest_has_none()
    {
        CommandRun run = Verify(Log.Replace("-xen-stubdom", "-generic", StringComparison.Ordinal), "type=\"hvm\"\nmemory=4096\n");

        Assert.AreEqual(1, run.Status);
        Assert.Contains("The log is of a PV guest", run.Output);
        Assert.DoesNotContain("stubdomain", run.Output);
    }

    /// <summary>Xen's log shows the consoles of both.</summary>
    [TestMethod]
    public void A_guests_own_boot_is_taken_before_that_of_its_stubdomain()
    {
        string both = string.Concat(Log.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => $"(XEN) (d2) {line}\n"))
            + "(d3) [    0.000000] Linux version 6.1.90 (a@b) #1 SMP\n(d3) [    0.000000] Booting paravirtualized kernel on Xen HVM\n";
        using var answer = JsonDocument.Parse(Verify(both, Guest, "--json").Output);

        Assert.AreEqual("6.1.90", answer.RootElement.GetProperty("boot").GetProperty("release").GetString());
        Assert.AreEqual("6.6.77-xen-stubdom", JsonDocument.Parse(Verify(both, Guest, "--json", "--boot", "1").Output).RootElement
            .GetProperty("boot").GetProperty("release").GetString());
    }

    private static CommandRun Verify(string log, string guest, params string[] options) => CommandRun.Of(
        ["verify", "--host", Path.Combine(AppContext.BaseDirectory, "fixtures", "hosts", "dell-xps-8500", "boot.log"), "--guest", Written(guest),
            "--dmesg", Written(log), .. options]);

    private static string Written(string text)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, text);
        return path;
    }
}
