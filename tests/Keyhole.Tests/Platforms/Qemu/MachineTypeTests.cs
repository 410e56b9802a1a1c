// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Tests.Guests.Qemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>Which machine types a release of QEMU has, as its own source does.</summary>
[TestClass]
public sealed class MachineTypeTests
{
    private static Scenario ScenarioOf(string machine, string? qemu, string guest = "") => new()
    {
        Host = Host.Unknown,
        Guest = QemuCommandLineTests.Read(guest.Length > 0 ? guest : $"qemu-system-x86_64 -machine {machine},accel=kvm -m 2G -nodefaults"),
        Qemu = new() { Emulator = qemu is null ? null : QemuVersion.TryParse(qemu, out QemuVersion version) ? version : default },
    };

    private static string MessageOf(Plan plan, string code) => plan.Problems.First(problem => problem.Code == code).Message.ToString();

    [TestMethod]
    [DataRow("5.0", "pc-q35-9.0", "unsupported machine type (the machine type is of QEMU 9.0, and QEMU 5.0 is older)")]
    [DataRow("5.0", "pc-q35-noble", null)]
    [DataRow("9.1", "pc-q35-9.2", "unsupported machine type: \"pc-q35-9.2\" (the machine type is of QEMU 9.2, and QEMU 9.1 is older)")]
    [DataRow("9.0", "pc-i440fx-2.0", null)]
    [DataRow("9.1", "pc-i440fx-2.3", "unsupported machine type: \"pc-i440fx-2.3\" (QEMU 9.1 has dropped that type)")]
    [DataRow("9.1", "pc-i440fx-2.4", null)]
    [DataRow("8.1", "pc-i440fx-1.7", null)]
    [DataRow("8.2", "pc-i440fx-1.7", "unsupported machine type (QEMU 8.2 has dropped that type)")]
    [DataRow("5.2", "pc-1.3", null)]
    [DataRow("6.0", "pc-1.3", "unsupported machine type (QEMU 6.0 has dropped that type)")]
    [DataRow("5.0", "pc-0.15", "unsupported machine type (QEMU 5.0 has dropped that type)")]
    [DataRow("4.0", "pc-0.11", "unsupported machine type (QEMU 4.0 has dropped that type)")]
    [DataRow("2.5", "pc-q35-2.3", null)]
    [DataRow("2.6", "pc-q35-2.3", "unsupported machine type (QEMU 2.6 has dropped that type)")]
    [DataRow("10.0", "pc-q35-2.4", null)]
    [DataRow("10.1", "pc-q35-4.1", "unsupported machine type: \"pc-q35-4.1\" (QEMU 10.1 has dropped that type)")]
    [DataRow("10.1", "pc-q35-4.2", null)]
    [DataRow("10.2", "pc-q35-4.2", "unsupported machine type: \"pc-q35-4.2\" (QEMU 10.2 has dropped that type)")]
    [DataRow("10.2", "pc-q35-4.0.1", "unsupported machine type: \"pc-q35-4.0.1\" (QEMU 10.2 has dropped that type)")]
    [DataRow("10.2", "pc-i440fx-trusty", null)]
    // As -machine help of 11.1 lists them.
    [DataRow("11.1", "pc-q35-11.1", null)]
    [DataRow("11.1", "pc-i440fx-11.0", null)]
    [DataRow("11.1", "pc-q35-5.2", null)]
    [DataRow("11.1", "pc-q35-5.1", "unsupported machine type: \"pc-q35-5.1\" (QEMU 11.1 has dropped that type)")]
    [DataRow("11.1", "pc-i440fx-5.1", "unsupported machine type: \"pc-i440fx-5.1\" (QEMU 11.1 has dropped that type)")]
    [DataRow("11.0", "pc-q35-11.1", "unsupported machine type: \"pc-q35-11.1\" (the machine type is of QEMU 11.1, and QEMU 11.0 is older)")]
    [DataRow("10.1", "pc-q35-rhel8.2.0", null)]
    [DataRow(null, "pc-q35-2.4", null)]
    public void A_machine_type_that_a_QEMU_does_not_have_is_refused_in_its_words(string? qemu, string machine, string? words)
    {
        Plan plan = Planner.Plan(ScenarioOf(machine, qemu));
        Assert.AreEqual(words is null ? GuestOutcome.Boots : GuestOutcome.Refused, plan.Firmware!.Outcome);
        if (words is not null)
            Assert.AreEqual($"QEMU refuses to start the guest: {words}", MessageOf(plan, ProblemCodes.GuestDoesNotStart));
    }

    [TestMethod]
    public void The_newest_type_of_that_QEMU_cures_it()
    {
        Scenario scenario = ScenarioOf("pc-q35-9.0", "5.0");
        SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;
        Assert.AreEqual("machine pc-q35-5.0", comparison.Best);
        Assert.HasCount(2, comparison.Settings);
    }

    [TestMethod]
    [DataRow("pc-i440fx-99.0", null)]
    [DataRow("pc-q35-7.5", null)]
    [DataRow("pc-i440fx-1.2", null)]
    [DataRow("pc-q35-1.2", null)]
    [DataRow("q35", "99.0")]
    [DataRow("q35", "0.1")]
    [DataRow("q35", "7.5")]
    public void Of_a_QEMU_that_there_is_not_the_map_is_not_known_and_no_firmware_is_named(string machine, string? qemu)
    {
        Plan plan = Planner.Plan(ScenarioOf(machine, qemu));
        Assert.Contains(qemu is null ? "is of no release of QEMU that is known" : "is not one of the releases that are known",
            MessageOf(plan, ProblemCodes.MapNotKnown));
        Assert.IsNull(plan.Firmware);
        Assert.IsFalse(plan.Problems.Any(static problem => problem.Message.ToString().Contains("comes with QEMU", System.StringComparison.Ordinal)));
    }

    [TestMethod]
    public void A_later_QEMU_than_those_that_are_known_is_assumed_to_do_what_the_newest_does()
    {
        Plan plan = Planner.Plan(ScenarioOf("pc-q35-11.2", null));
        string[] assumed =
            [.. plan.Problems.Where(static problem => problem.Code == ProblemCodes.Assumed).Select(static problem => problem.Message.ToString())];
        Assert.IsTrue(assumed.Contains("QEMU 11.2 is later than those that are known: it is assumed to do what 11.1 does"));
        Assert.IsTrue(assumed.Any(static text => text.EndsWith("with QEMU 10.2, the newest of which that is known", System.StringComparison.Ordinal)));
    }

    /// <summary>By QEMU's own tree: roms/seabios, and pc-bios' images of edk2.</summary>
    [TestMethod]
    [DataRow("2.12", FirmwareName.SeaBios, "seabios-1.11.1")]
    [DataRow("3.0", FirmwareName.SeaBios, "seabios-1.11.2")]
    [DataRow("2.8", FirmwareName.SeaBios, "seabios-1.10.1")]
    [DataRow("6.2", FirmwareName.Ovmf, "edk2-stable202008")]
    [DataRow("7.2", FirmwareName.Ovmf, "edk2-stable202202")]
    [DataRow("8.1", FirmwareName.Ovmf, "edk2-stable202302")]
    [DataRow("8.2", FirmwareName.Ovmf, "edk2-stable202308")]
    [DataRow("10.2", FirmwareName.Ovmf, "edk2-stable202408")]
    public void The_firmware_that_comes_with_a_QEMU_is_the_one_of_its_tree(string qemu, FirmwareName name, string expected)
    {
        _ = QemuVersion.TryParse(qemu, out QemuVersion version);
        Assert.AreEqual(expected, QemuFirmwareGuess.Of(name, "", version, "", out string? why).ToString());
        Assert.AreEqual($"which comes with QEMU {qemu}", why);
    }
}
