// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Tests.Guests.Qemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>SeaBIOS 1.16.3 puts windows of 160 GiB side by side, so that a BAR of 128 GiB comes to a place that is no multiple of its size. This guest
/// was started on QEMU 7.2 with and without the cure, and came out as forecast.</summary>
[TestClass]
public sealed class MisalignedBarTests
{
    private const string Guest = "qemu-system-x86_64 -enable-kvm -machine pc-q35-7.2 -cpu Skylake-Server,phys-bits=46,host-phys-bits=off -m 8G "
        + "-nodefaults -device pcie-root-port,id=p0,chassis=1 -device pcie-root-port,id=p1,chassis=2 "
        + "-device pci-testdev,membar=128G,bus=p0,addr=0.0,multifunction=on -device pci-testdev,membar=32M,bus=p0,addr=0.1 "
        + "-device pci-testdev,membar=128G,bus=p1,addr=0.0,multifunction=on -device pci-testdev,membar=32M,bus=p1,addr=0.1";

    private static Scenario ScenarioOf(string guest) => new()
    {
        Host = Host.Unknown with { Traits = new() { CpuVendor = "GenuineIntel", PhysicalAddressBits = 46, HasGiBPages = true } },
        Guest = QemuCommandLineTests.Read(guest),
        Qemu = new() { Firmware = new(Keyhole.Guests.FirmwareName.SeaBios, 1, 16, 3), Emulator = new Keyhole.Guests.QemuVersion(7, 2) },
    };

    [TestMethod]
    public void The_address_that_was_written_is_told_and_what_the_register_keeps_of_it()
    {
        Problem problem = Planner.Plan(ScenarioOf(Guest)).Problems.Single(static problem => problem.Code == ProblemCodes.BarUnplaced);
        Assert.Contains("the address that the firmware writes is not a multiple of its size (0x382800000000), and the register keeps 0x382000000000",
            problem.Message.ToString());
    }

    [TestMethod]
    public void Whole_windows_at_the_ports_cure_it_and_weigh_less_than_another_firmware()
    {
        // With more RAM than 40 bits leave room beside.
        string large = Guest.Replace("-m 8G", "-m 900G", StringComparison.Ordinal);
        Scenario scenario = ScenarioOf(large);
        SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;
        Assert.AreEqual("pcie-root-port.pref64-reserve=256G", comparison.Best);
        Assert.AreEqual("-global pcie-root-port.pref64-reserve=256G", comparison.Paste!.Qemu);
        Scenario cured = ScenarioOf($"{large} {comparison.Paste.Qemu}");
        Assert.AreEqual("as it is", Planner.PlatformOf(cured).CompareSettings(cured)!.Best);
    }
}
