// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Tests.Guests.Qemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>Devices in a slot without function 0. What QEMU 7.2 was seen to do with such a port: SeaBIOS 1.16.2, OVMF 2022.11 and Linux 6.1 leave all
/// its registers as they are after a reset, and find the same card at once where the port is at function 0.</summary>
[TestClass]
public sealed class UnseenDeviceTests
{
    private static readonly ImmutableArray<BarRequest> s_card = [BarRequest.Create(1, 16UL << 30, BarType.Memory64Prefetchable)];

    private const string Conf = """
        bios: ovmf
        cores: 4
        cpu: host
        efidisk0: local-lvm:vm-101-disk-0,efitype=4m,size=4M
        {0}
        machine: pc-q35-9.2
        memory: 8192
        ostype: l26
        vga: none

        """;

    private const string Command = "qemu-system-x86_64 -enable-kvm -machine q35 -cpu host -m 4G -nodefaults ";

    private const string Xml = """
        <domain type='kvm'>
          <name>g</name>
          <memory unit='GiB'>4</memory>
          <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
          <cpu mode='host-passthrough'/>
          <devices>
            <controller type='pci' index='0' model='pcie-root'/>
            <controller type='pci' index='7' model='pcie-root-port'>
              <address type='pci' domain='0x0000' bus='0x00' slot='0x10' function='0x3'/>
            </controller>
            <hostdev mode='subsystem' type='pci' managed='yes'>
              <source><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source>
              <address type='pci' domain='0x0000' bus='0x07' slot='0x00' function='0x0'/>
            </hostdev>
          </devices>
        </domain>
        """;

    private static string ConfWith(string lines) => Conf.Replace("{0}", lines, StringComparison.Ordinal);

    private static Scenario ScenarioOf(string guest) => new()
    {
        Host = Host.Unknown with { Traits = new() { CpuVendor = "GenuineIntel", PhysicalAddressBits = 46, HasGiBPages = true } },
        Guest = QemuCommandLineTests.Read(guest),
        Qemu = new() { Bars = s_card },
    };

    private static Problem? Find(Plan plan) => plan.Problems.FirstOrDefault(static problem => problem.Code == ProblemCodes.DeviceUnseen);

    private static SettingComparison Compare(string guest)
    {
        Scenario scenario = ScenarioOf(guest);
        return Planner.PlatformOf(scenario).CompareSettings(scenario)!;
    }

    [TestMethod]
    [DataRow("hostpci5", "hostpci4: 0000:01:00.0,pcie=1")]
    [DataRow("hostpci11", "hostpci4: 0000:01:00.0,pcie=1")]
    [DataRow("hostpci13", "hostpci12: 0000:01:00.0,pcie=1")]
    [DataRow("hostpci15", "hostpci12: 0000:01:00.0,pcie=1")]
    public void A_hostpci_whose_port_s_slot_has_no_function_0_is_an_error_with_the_line_that_cures_it(string key, string line)
    {
        string conf = ConfWith($"{key}: 0000:01:00.0,pcie=1");

        Plan plan = Planner.Plan(ScenarioOf(conf));

        Problem problem = Find(plan)!;
        Assert.AreEqual(Severity.Error, problem.Severity);
        Assert.StartsWith("0000:01:00.0 is not seen in the guest: slot 1", problem.Message.ToString());
        Assert.Contains($"{line} (in place of the line {key}: that stands there)", problem.Remedy!.ToString());
        SettingComparison comparison = Compare(conf);
        Assert.AreEqual((1, 0), (comparison.Settings[0].Unplaced!.Value, comparison.Settings[1].Unplaced!.Value));
        Assert.AreEqual(line, comparison.Paste!.Proxmox);
        Assert.AreEqual("as it is", Compare(ConfWith(line)).Best);
    }

    [TestMethod]
    [DataRow("hostpci0: 0000:01:00.0,pcie=1")]
    [DataRow("hostpci3: 0000:01:00.0,pcie=1")]
    [DataRow("hostpci4: 0000:01:00.0,pcie=1")]
    [DataRow("hostpci12: 0000:01:00.0,pcie=1")]
    [DataRow("hostpci7: 0000:01:00.0")]
    [DataRow("hostpci4: 0000:01:00.0,pcie=1\nhostpci7: 0000:02:00.0,pcie=1")]
    public void A_hostpci_behind_a_port_that_is_seen_is_none(string lines)
    {
        string conf = ConfWith(lines);
        Assert.IsNull(Find(Planner.Plan(ScenarioOf(conf))));
        Assert.AreEqual("as it is", Compare(conf).Best);
    }

    [TestMethod]
    [DataRow("-device pcie-root-port,id=r,addr=0x10.0x3,multifunction=on,chassis=3 -device vfio-pci,host=01:00.0,bus=r",
        "-device pcie-root-port,id=r,chassis=3,addr=0x10.0x0,multifunction=on")]
    [DataRow("-device vfio-pci,host=01:00.0,id=g,addr=5.1", "-device vfio-pci,host=01:00.0,id=g,addr=0x5.0x0,multifunction=on")]
    [DataRow("-device pcie-root-port,id=r,addr=6.2,chassis=3 -device virtio-net-pci,bus=r",
        "-device pcie-root-port,id=r,chassis=3,addr=0x6.0x0,multifunction=on")]
    public void A_device_of_a_command_line_that_is_not_seen_is_moved_to_function_0(string devices, string moved)
    {
        string before = Command + devices;

        Problem problem = Find(Planner.Plan(ScenarioOf(before)))!;

        Assert.AreEqual(Severity.Error, problem.Severity);
        SettingComparison comparison = Compare(before);
        Assert.AreEqual(moved, comparison.Paste!.Qemu);
        int end = devices.IndexOf(" -device", StringComparison.Ordinal);
        string after = Command + moved + (end < 0 ? "" : devices[end..]);
        Assert.AreEqual("as it is", Compare(after).Best);
        Assert.IsNull(Find(Planner.Plan(ScenarioOf(after))));
    }

    [TestMethod]
    public void A_port_of_libvirt_s_that_is_not_seen_is_given_the_address_with_function_0()
    {
        Problem problem = Find(Planner.Plan(ScenarioOf(Xml)))!;

        Assert.AreEqual(Severity.Error, problem.Severity);
        Assert.Contains("in place of the <address> of the <controller type='pci' index='7'>", problem.Remedy!.ToString());
        string paste = Compare(Xml).Paste!.Libvirt!;
        Assert.AreEqual("<address type='pci' domain='0x0000' bus='0x00' slot='0x10' function='0x0' multifunction='on' />", paste);
        string after = Xml.Replace("<address type='pci' domain='0x0000' bus='0x00' slot='0x10' function='0x3'/>", paste, StringComparison.Ordinal);
        Assert.AreEqual("as it is", Compare(after).Best);
    }

    [TestMethod]
    public void A_port_that_is_not_seen_and_has_nothing_behind_it_is_no_problem()
    {
        string command = Command + "-device pcie-root-port,id=r,addr=0x10.0x3,chassis=3";
        Assert.IsNull(Find(Planner.Plan(ScenarioOf(command))));
        Assert.AreEqual("as it is", Compare(command).Best);
    }
}
