// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Linq;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What is said of a KVM guest beside its configuration: machine, firmware, QEMU, width, vendor.</summary>
[TestClass]
public sealed class QemuOptionsTests
{
    private static CommandRun Plan(params string[] options) =>
        CommandRun.Of(["plan", "--host", Path.Combine(System.AppContext.BaseDirectory, "fixtures", "kvm", "h39.json"), "--type", "kvm", "--memory",
            "4096", "--json", .. options]);

    [TestMethod]
    [DataRow("--firmware", "seabios-1.16.2", "seabios", "1.16.2")]
    [DataRow("--firmware", "seabios", "seabios", "1.16.3")]
    [DataRow("--firmware", "ovmf-2025.02-8", "ovmf", "2025.02")]
    [DataRow("--firmware", "edk2-stable202505", "ovmf", "2025.05")]
    [DataRow("--qemu", "7.2", "seabios", "1.16.1")]
    public void The_firmware_is_the_one_that_is_named_or_ships_with_that_QEMU(string option, string value, string name, string version)
    {
        JsonElement firmware = Plan(option, value).Json().GetProperty("firmware");
        Assert.AreEqual((name, version), (firmware.GetProperty("name").GetString(), firmware.GetProperty("version").GetString()));
    }

    [TestMethod]
    [DataRow("ovmf", "pc-q35-7.2", "2022.02", "edk2-stable202202 is assumed, which comes with QEMU 7.2")]
    [DataRow("seabios", "pc-q35-7.2", "1.16.1", "seabios-1.16.1 is assumed, which comes with QEMU 7.2")]
    [DataRow("ovmf-2022.11", "pc-q35-7.2", "2022.11", null)]
    public void Where_no_release_of_the_firmware_is_named_the_one_that_is_assumed_is_said(string name, string machine, string version, string? said)
    {
        JsonElement plan = Plan("--firmware", name, "--machine", machine).Json();
        Assert.AreEqual(version, plan.GetProperty("firmware").GetProperty("version").GetString());
        string[] told = [.. plan.GetProperty("problems").EnumerateArray().Select(static problem => problem.GetProperty("message").GetString()!)
            .Where(static message => message.StartsWith("the firmware's release is not told", System.StringComparison.Ordinal))];
        Assert.AreEqual(said is null ? "" : $"the firmware's release is not told: {said}", string.Join('\n', told));
    }

    [TestMethod]
    public void The_machine_decides_where_RAM_is_split()
    {
        Assert.AreEqual(2UL << 20, Plan("--machine", "q35").Json().GetProperty("ramBelow4GiBKiB").GetUInt64());
        Assert.AreEqual(3UL << 20, Plan("--machine", "pc").Json().GetProperty("ramBelow4GiBKiB").GetUInt64());
    }

    [TestMethod]
    public void Width_and_vendor_decide_where_a_large_BAR_lies()
    {
        string Address(params string[] options) =>
            Plan(["--firmware", "seabios-1.16.3", "--bar-size", "16G,64bit", .. options]).Json().GetProperty("bars").EnumerateArray()
            .Single(static bar => bar.GetProperty("size").GetString() == "0x400000000").GetProperty("address").GetString()!;

        Assert.AreEqual("0x7000000000", Address());
        Assert.AreEqual("0x380000000000", Address("--phys-bits", "46"));
        // 40 bits are QEMU's default, and no Intel processor's.
        Assert.AreNotEqual(Address("--phys-bits", "40", "--cpu-vendor", "intel"), Address("--phys-bits", "40", "--cpu-vendor", "amd"));
    }

    [TestMethod]
    [DataRow("--machine", "isapc")]
    [DataRow("--firmware", "coreboot")]
    [DataRow("--qemu", "new")]
    [DataRow("--phys-bits", "64")]
    [DataRow("--cpu-vendor", "via")]
    public void What_is_not_known_is_refused_in_one_line(string option, string value)
    {
        CommandRun run = Plan(option, value);
        Assert.AreEqual(2, run.Status);
        Assert.StartsWith($"keyhole: {option}: ", run.Errors);
        Assert.HasCount(1, run.Errors.TrimEnd('\n').Split('\n'));
    }
}
