// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Tests.Guests.Qemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>How far memory can be plugged into a guest of Proxmox VE, which its own program reckons from the host's address width.</summary>
[TestClass]
public sealed class ProxmoxRoomTests
{
    private static string Conf(string cpu, string memory = "2048") => $"""
        bios: ovmf
        cpu: {cpu}
        hostpci0: 0000:01:00.0,pcie=1
        hotplug: disk,network,usb,memory
        machine: q35
        memory: {memory}
        numa: 1
        ostype: l26

        """;

    private static Scenario ScenarioOf(string conf, int? hostBits, int? iommuBits = null) => new()
    {
        Host = Host.Unknown with
        {
            Traits = new()
            {
                CpuVendor = "GenuineIntel",
                PhysicalAddressBits = hostBits,
                IommuAddressBits = iommuBits ?? hostBits,
                AcpiAddressBits = iommuBits,
                HasGiBPages = true,
            },
        },
        Guest = QemuCommandLineTests.Read(conf),
        Qemu = new() { Bars = [BarRequest.Create(0, 16UL << 30, BarType.Memory64Prefetchable)] },
    };

    private static ulong MaxMemoryMiB(string cpu, int? hostBits)
    {
        QemuGuest guest = QemuCommandLineTests.Read(Conf(cpu)).Qemu!;
        Assert.IsTrue(guest.TryResolve(new() { HostPhysBits = hostBits }, out QemuMachine machine, out _));
        return machine.MaxMemoryBytes >> 20;
    }

    [TestMethod]
    [DataRow("host", 39, 131072)]
    [DataRow("max", 39, 131072)]
    [DataRow("host", 36, 32768)]
    [DataRow("host", 42, 2097152)]
    [DataRow("host", 43, 2097152)]
    [DataRow("host", 46, 4194304)]
    [DataRow("host", 52, 4194304)]
    [DataRow("x86-64-v2-AES", 39, 131072)]
    [DataRow("x86-64-v2-AES", 46, 524288)]
    [DataRow("kvm64,phys-bits=42", 39, 2097152)]
    [DataRow("kvm64,phys-bits=host", 39, 131072)]
    public void It_is_half_of_what_an_even_number_of_the_bits_reaches_and_4_TiB_at_most(string cpu, int hostBits, int expectedMiB) =>
        Assert.AreEqual((ulong)expectedMiB, MaxMemoryMiB(cpu, hostBits));

    [TestMethod]
    public void A_guest_with_the_processor_of_a_small_host_starts()
    {
        Plan plan = Planner.Plan(ScenarioOf(Conf("host"), 39));
        Assert.AreEqual(GuestOutcome.Boots, plan.Firmware!.Outcome);
        Assert.IsFalse(plan.Problems.Any(static problem => problem.Message.ToString().Contains("maxmem", System.StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow("host", true)]
    [DataRow("x86-64-v2-AES", true)]
    [DataRow("x86-64-v2-AES,phys-bits=42", false)]
    public void Where_the_host_is_not_told_that_is_said_and_no_figure_stands_for_it(string cpu, bool isAssumed)
    {
        Scenario scenario = ScenarioOf(Conf(cpu), null);
        Plan plan = Planner.Plan(scenario);
        Assert.AreEqual(isAssumed, plan.Problems.Any(static problem => problem.Code == ProblemCodes.Assumed
            && problem.Message.ToString().StartsWith("how far memory can be plugged in (maxmem)", System.StringComparison.Ordinal)));
        Assert.AreEqual((1024UL << 10, 2048UL << 10), (scenario.Guest.MemoryKiB, scenario.Guest.MaxmemKiB));
    }

    [TestMethod]
    public void A_limit_that_does_not_help_on_a_wider_processor_is_no_remedy_for_it()
    {
        // On a processor of 46 bits maxmem is 4 TiB, which 39 bits do not hold.
        Problem problem = Planner.Plan(ScenarioOf(Conf("host"), null, 39)).Problems
            .First(static problem => problem.Code == ProblemCodes.DmaBeyondIommu);
        Assert.Contains("if the host's processor has 46 address bits", problem.Message.ToString());
        Assert.IsNull(problem.Remedy);
        Problem other = Planner.Plan(ScenarioOf(Conf("host").Replace(",memory", "", System.StringComparison.Ordinal), null, 39)).Problems
            .First(static problem => problem.Code == ProblemCodes.DmaBeyondIommu);
        Assert.Contains("host-phys-bits-limit=39", other.Remedy!.ToString());
    }

    [TestMethod]
    public void More_memory_than_that_Proxmox_VE_refuses_and_it_need_not_be_plugged_in()
    {
        Scenario scenario = ScenarioOf(Conf("host", "263168"), 39);
        Problem problem = Planner.Plan(scenario).Problems.First(static problem => problem.Code == ProblemCodes.GuestDoesNotStart);
        Assert.AreEqual("Proxmox VE refuses to start the guest: Total memory is bigger than 131072MB (that is half of what 39 address bits reach)",
            problem.Message.ToString());
        Assert.Contains("hotplug: disk,network,usb", problem.Remedy!.ToString());
    }

    [TestMethod]
    [DataRow("numa: 1", "numa: 0", "NUMA needs to be enabled for memory hotplug")]
    [DataRow("memory: 2048", "memory: 512", "minimum memory must be 1024MB")]
    [DataRow("memory: 2048", "memory: 2000", "memory size (2000) must be aligned to 512 for hotplugging")]
    public void What_Proxmox_VE_refuses_is_told_in_its_words(string line, string other, string words)
    {
        byte[] conf = Encoding.UTF8.GetBytes(Conf("host").Replace(line, other, System.StringComparison.Ordinal));
        Assert.IsFalse(GuestReader.Read(new MemoryStream(conf), "100.conf").TryGet(out _, out InputError? error));
        Assert.Contains(words, error!.ToString());
    }

    [TestMethod]
    public void A_width_that_is_told_of_a_guest_with_the_host_s_is_the_host_s()
    {
        const string guest = "qemu-system-x86_64 -cpu host -machine q35,accel=kvm -m size=2048M,slots=8,maxmem=32768M -nodefaults "
            + "-drive if=pflash,format=raw,file=/usr/share/OVMF/OVMF_CODE.fd -device pcie-root-port,id=rp1";
        Scenario scenario = new()
        {
            Host = Host.Unknown,
            Guest = QemuCommandLineTests.Read(guest),
            Qemu = new() { PhysBits = 36, Emulator = new(10, 0) },
        };
        SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;
        Assert.IsNotNull(comparison.Best);
        Assert.IsFalse(comparison.Settings.Any(static setting => setting.Setting.Contains("phys-bits=37", System.StringComparison.Ordinal)));

        // With a limit the processor may have more.
        Scenario limited = scenario with
        {
            Guest = QemuCommandLineTests.Read(guest.Replace("-cpu host", "-cpu host,host-phys-bits-limit=36", System.StringComparison.Ordinal)),
        };
        Assert.AreEqual("phys-bits=37", Planner.PlatformOf(limited).CompareSettings(limited)!.Best);
    }
}
