// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Tests.Guests.Qemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>Ports that QEMU refuses for want of a chassis of their own: which number is recommended, and where it is to be written.</summary>
[TestClass]
public sealed class PortNumberTests
{
    private const string Command = "qemu-system-x86_64 -accel tcg -machine q35 -cpu qemu64 -m 1G -nodefaults ";

    private static Scenario ScenarioOf(string guest) => new()
    {
        Host = Host.Unknown with { Traits = new() { CpuVendor = "GenuineIntel", PhysicalAddressBits = 46, HasGiBPages = true } },
        Guest = QemuCommandLineTests.Read(guest),
        Qemu = new() { Emulator = new QemuVersion(7, 2) },
        Bars = [],
    };

    private static string? RemedyOf(Scenario scenario) =>
        Planner.Plan(scenario).Problems.Single(static problem => problem.Code == ProblemCodes.GuestDoesNotStart).Remedy?.ToString();

    private static SettingComparison Compare(Scenario scenario) => Planner.PlatformOf(scenario).CompareSettings(scenario)!;

    [TestMethod]
    public void The_port_and_the_one_that_has_its_numbers_are_named_with_a_chassis_that_is_free()
    {
        Scenario scenario = ScenarioOf(Command + "-device pcie-root-port,id=r1 -device ioh3420,id=r2,addr=4 -device pcie-root-port,id=r3,chassis=1");
        Problem problem = Planner.Plan(scenario).Problems.Single(static problem => problem.Code == ProblemCodes.GuestDoesNotStart);
        Assert.AreEqual("QEMU refuses to start the guest: Can't add chassis slot, error -16 (r2 and r1 both have chassis 0 and slot 0)",
            problem.Message.ToString());
        Assert.AreEqual("chassis=2 for r2, with which every BAR has its place: -device ioh3420,id=r2,addr=4,chassis=2 (in place of the -device of r2 "
            + "that stands there)", problem.Remedy?.ToString());
    }

    [TestMethod]
    public void What_is_recommended_is_tried_and_compare_takes_it()
    {
        SettingComparison comparison =
            Compare(ScenarioOf(Command + "-device pcie-root-port,id=r1 -device pcie-root-port,id=r2"));
        CollectionAssert.AreEqual(new[] { "as it is Refused", "chassis=1 for r2 Boots" },
            comparison.Settings.Select(static tried => $"{tried.Setting} {tried.Outcome}").ToArray());
        Assert.AreEqual("chassis=1 for r2", comparison.Best);
        Assert.AreEqual("-device pcie-root-port,id=r2,chassis=1", comparison.Paste!.Qemu);
    }

    [TestMethod]
    public void Other_settings_are_tried_beside_the_numbers()
    {
        string remedy = RemedyOf(ScenarioOf(Command
            + "-device pcie-root-port,id=r1 -device pcie-root-port,id=r2 -device pci-testdev,bus=r2,membar=1T"))!;
        Assert.StartsWith("chassis=1 for r2 and phys-bits=41, with which every BAR has its place: -cpu qemu64,host-phys-bits=off,phys-bits=41 "
            + "-device pcie-root-port,id=r2,chassis=1 (", remedy);
    }

    [TestMethod]
    public void Bridges_without_a_name_are_shown_as_they_stand_there() =>
        Assert.AreEqual("a chassis of its own for each of 2 ports and bridges, with which every BAR has its place: -device pci-bridge,chassis_nr=2 "
            + "-device pci-bridge,addr=9,chassis_nr=3 (in place of the -device pci-bridge and the -device pci-bridge,addr=9 that stand there)",
            RemedyOf(ScenarioOf(Command + "-device pci-bridge -device pci-bridge,chassis_nr=1 -device pci-bridge,addr=9")));

    [TestMethod]
    public void In_libvirts_form_the_number_belongs_into_the_controllers_target() =>
        Assert.AreEqual("chassis=1 for pci.2, with which every BAR has its place: write chassis='1' into the <target> of the "
            + "<controller type='pci' index='2'>", RemedyOf(ScenarioOf("""
            <domain type='qemu'>
              <name>g</name>
              <memory unit='GiB'>1</memory>
              <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
              <devices>
                <controller type='pci' index='0' model='pcie-root'/>
                <controller type='pci' index='1' model='pcie-root-port'><target chassis='2'/></controller>
                <controller type='pci' index='2' model='pcie-root-port'/>
              </devices>
            </domain>
            """)));

    [TestMethod]
    public void In_Proxmox_VEs_form_the_port_is_changed_where_it_stands_in_the_arguments() =>
        Assert.AreEqual("chassis=5 for r, with which every BAR has its place: args: -device pcie-root-port,id=r,chassis=5 (in place of the line "
            + "args: that stands there)", RemedyOf(ScenarioOf("""
            args: -device pcie-root-port,id=r,chassis=3
            cpu: host
            machine: q35
            memory: 2048
            ostype: l26
            vga: none

            """)));

    [TestMethod]
    public void A_port_that_Keyhole_adds_has_a_chassis_that_no_port_of_the_guest_has()
    {
        Scenario scenario = ScenarioOf(Command + "-device pcie-root-port,id=a,chassis=0x65 -device pcie-root-port,id=b,chassis=102");
        scenario = scenario with
        {
            Guest = scenario.Guest with { Pci = [new(PciAddress.Create(0x81, 0, 0)), new(PciAddress.Create(0x82, 0, 0))] },
            Qemu = scenario.Qemu with { Bars = [BarRequest.Create(0, 4096, BarType.Memory32)] },
        };
        Assert.AreEqual(GuestOutcome.Boots, Planner.Plan(scenario).Firmware!.Outcome);
    }
}
