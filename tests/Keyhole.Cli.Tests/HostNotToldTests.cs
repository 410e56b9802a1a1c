// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>A host of which no map is told, and a host that nobody names.</summary>
[TestClass]
public sealed class HostNotToldTests
{
    private const string Command = "qemu-system-x86_64 -machine q35 -accel kvm -cpu host -m 4096 -nodefaults -device pcie-root-port,id=r1,slot=1 "
        + "-device vfio-pci,host=0000:01:00.0,bus=r1\n";

    /// <summary>As <c>dmesg | grep -i dmar</c> leaves it.</summary>
    private const string Dmar = """
        [    0.012345] ACPI: DMAR 0x000000007B6F5000 0000A8 (v01 INTEL  EDK2     00000002      01000013)
        [    0.032345] DMAR: IOMMU enabled
        [    0.092345] DMAR: Host address width 39
        [    0.092345] DMAR: DRHD base: 0x000000fed90000 flags: 0x0
        [    0.092345] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap 1c0000c40660462 ecap 19e2ff0505e
        [    0.092345] DMAR: RMRR base: 0x0000007ae98000 end: 0x0000007aeb7fff

        """;

    private static readonly string[] s_guest = ["--bar", "4000000000-4010000000"];

    [TestMethod]
    public void A_hosts_lines_without_a_map_count_for_a_KVM_guest_whose_map_does_not_depend_on_it()
    {
        CommandRun run = Run("plan", Dmar);
        string text = Unbroken(run.Output);

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.Contains(" tells of it, no map\n", run.Output);
        Assert.Contains("39 bits are assumed, those of DMAR's \"Host address width\"", text);
        Assert.Contains("warning reserved-device-memory [0x7ae98000, 0x7aeb8000)", text);
        Assert.Contains("has no memory map, which this guest's does not depend on; what it tells of the host (the IOMMU) is taken.",
            Unbroken(run.Errors));
        Assert.Contains("How much RAM the host has is not known", Unbroken(run.Errors));
        using var answer = JsonDocument.Parse(Run("boot", Dmar, "--json").Output);
        Assert.AreEqual("boots", answer.RootElement.GetProperty("outcome").GetString());
    }

    [TestMethod]
    public void No_guest_is_too_large_for_a_host_whose_RAM_is_not_known()
    {
        CommandRun run = Run("plan", Dmar, "--memory", "512G");

        Assert.DoesNotContain("larger-than-host", run.Output);
    }

    [TestMethod]
    [DataRow("DMAR: IOMMU disabled\n", "guest-does-not-start")]
    [DataRow("vfio-pci 0000:01:00.0: Device is ineligible for IOMMU domain attach due to platform RMRR requirement.  Contact your platform vendor.\n",
        "reserved-device-memory")]
    public void What_such_lines_say_against_the_start_is_an_error_as_in_a_whole_log(string line, string code)
    {
        CommandRun run = Run("plan", line);

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains($"error {code}", run.Output);
    }

    [TestMethod]
    [DataRow("plan", Dmar, "--type", "hvm")]
    [DataRow("plan", Dmar, "--type", "pv")]
    [DataRow("show", Dmar)]
    [DataRow("plan", "nothing of a host\n", "--type", "kvm")]
    [DataRow("plan", Dmar, "--type", "kvm", "--map", "1")]
    public void Who_needs_the_map_or_finds_nothing_is_refused_with_what_to_give(string verb, string log, params string[] options)
    {
        CommandRun run = CommandRun.Of([verb, "--host", Written(log), .. options, .. verb == "show" ? (string[])[] : ["--memory", "4096"]]);

        Assert.AreEqual(2, run.Status, run.Output);
        Assert.Contains("no memory map found in ", run.Errors);
        Assert.Contains("give the output of 'xl dmesg', 'dmesg' or 'sudo cat /proc/iomem'", run.Errors);
    }

    [TestMethod]
    [DataRow("plan")]
    [DataRow("boot")]
    [DataRow("compare")]
    [DataRow("verify")]
    public void Without_a_host_that_is_named_the_answer_says_that_it_is_this_machine(string verb)
    {
        using var machine = new FakeDom0 { IsXen = false };
        machine.Write("sys/firmware/memmap/0/start", "0x0\n");
        machine.Write("sys/firmware/memmap/0/end", "0xbfffffff\n");
        machine.Write("sys/firmware/memmap/0/type", "System RAM\n");
        string guest = Written(Command);
        string[] log = verb == "verify" ? ["--dmesg", Written("qemu-system-x86_64: -device vfio-pci,host=0000:01:00.0: vfio 0000:01:00.0: group 1 "
            + "is not viable\n")] : [];
        string here = CommandRun.InDom0(machine.Machine, [verb, "--guest", guest, .. s_guest, .. log]).Output;
        string named = CommandRun.InDom0(machine.Machine, [verb, "--guest", guest, "--host", Written(Dmar), .. s_guest, .. log]).Output;

        Assert.Contains("host:   this machine (firmware map as Linux kept it, ", here);
        Assert.DoesNotContain("this machine", named);
    }

    private static CommandRun Run(string verb, string host, params string[] options) =>
        CommandRun.Of([verb, "--guest", Written(Command), "--host", Written(host), .. s_guest, .. options]);

    private static string Unbroken(string text) => text.Replace("\n  ", " ", StringComparison.Ordinal);

    private static string Written(string text)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, text);
        return path;
    }
}
