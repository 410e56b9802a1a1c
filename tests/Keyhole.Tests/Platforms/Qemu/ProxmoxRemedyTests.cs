// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using System.Text.RegularExpressions;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Tests.Guests.Qemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

[TestClass]
public sealed class ProxmoxRemedyTests
{
    private const string Conf = """
        bios: ovmf
        cores: 4
        cpu: x86-64-v2-AES
        efidisk0: local-lvm:vm-101-disk-0,efitype=4m,size=4M
        hostpci0: 0000:05:00.0,pcie=1,rombar=0
        machine: q35,viommu=virtio
        memory: 66560
        hotplug: disk,network,usb,memory
        numa: 1
        ostype: l26
        args: -global q35-pcihost.pci-hole64-size=1T

        """;

    private static Scenario ScenarioOf(string conf, ulong sizeBytes, int hostBits) => new()
    {
        Host = Host.Unknown with
        {
            Traits = new() { CpuVendor = "AuthenticAMD", PhysicalAddressBits = hostBits, IommuAddressBits = hostBits, HasGiBPages = true },
        },
        Guest = QemuCommandLineTests.Read(conf),
        Qemu = new() { Bars = [BarRequest.Create(0, sizeBytes, BarType.Memory64Prefetchable)], HostKernel = new QemuVersion(6, 8) },
    };

    /// <summary>A conf with pasted lines, each in place of the one of its key.</summary>
    private static string Applied(string conf, string lines) => lines.Split('\n').Aggregate(conf, static (text, line) =>
    {
        string key = line[..(line.IndexOf(':', StringComparison.Ordinal) + 1)];
        string without = Regex.Replace(text, $"(?m)^{Regex.Escape(key)}.*\n", "");
        return $"{line}\n{without}";
    });

    [TestMethod]
    [DataRow(256, 43)]
    [DataRow(16, 43)]
    [DataRow(256, 46)]
    [DataRow(1024, 48)]
    public void A_remedy_that_is_applied_gives_a_guest_that_starts_and_has_all_its_BARs(int sizeGiB, int hostBits)
    {
        ulong sizeBytes = (ulong)sizeGiB << 30;
        Scenario scenario = ScenarioOf(Conf, sizeBytes, hostBits);
        Assert.AreEqual(GuestOutcome.Refused, Planner.Plan(scenario).Firmware!.Outcome);
        string paste = Planner.PlatformOf(scenario).CompareSettings(scenario)!.Paste!.Proxmox!;
        Plan plan = Planner.Plan(ScenarioOf(Applied(Conf, paste), sizeBytes, hostBits));
        Assert.IsFalse(plan.Problems.Any(static problem => problem.Code is ProblemCodes.GuestDoesNotStart or ProblemCodes.BarUnplaced),
            $"{paste}: {string.Join("; ", plan.Problems.Select(static problem => problem.Message))}");
    }

    [TestMethod]
    public void Another_board_is_a_remedy_for_a_conf_too_and_takes_pcie_out()
    {
        const string conf = "bios: seabios\ncores: 8\ncpu: host\nmachine: q35\nmemory: 16384\nostype: l26\nhostpci0: 0000:40:00.0,pcie=1\n"
            + "hostpci1: 0000:41:00.0,pcie=1\nhostpci2: 0000:42:00.0,pcie=1\n";
        Scenario scenario = Large32(conf);

        string paste = Planner.PlatformOf(scenario).CompareSettings(scenario)!.Paste!.Proxmox!;

        Assert.Contains("machine: pc\nhostpci0: 0000:40:00.0\n", paste);
        Assert.Contains("args: -machine max-ram-below-4g=2G", paste);
        Assert.IsFalse(Planner.Plan(Large32(Applied(conf, paste))).Problems
            .Any(static problem => problem.Code is ProblemCodes.GuestDoesNotStart or ProblemCodes.BarUnplaced), paste);
    }

    private static Scenario Large32(string conf)
    {
        Scenario scenario = ScenarioOf(conf, 1 << 20, 46);
        return scenario with { Qemu = scenario.Qemu with { Bars = [BarRequest.Create(0, 512 << 20, BarType.Memory32)] } };
    }
}
