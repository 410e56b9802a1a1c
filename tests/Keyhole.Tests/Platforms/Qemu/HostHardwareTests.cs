// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>What the host's hardware does not let a guest of KVM with a device of its own do, as the host's log tells it.</summary>
[TestClass]
public sealed class HostHardwareTests
{
    private const ulong MiB = 1UL << 20;
    private const ulong GiB = 1UL << 30;

    /// <summary>A guest with RAM across 1012 GiB.</summary>
    private const string Large = "/usr/bin/qemu-system-x86_64 -machine pc-q35-6.2,accel=kvm -cpu host -m 1100G -nodefaults "
        + "-drive if=pflash,unit=0,file=/usr/share/OVMF/OVMF_CODE.fd -device pcie-root-port,id=p1 -device vfio-pci,host=0000:c1:00.0,bus=p1";

    private const string Small = "/usr/bin/qemu-system-x86_64 -machine pc-q35-9.1,accel=kvm -cpu host -m 32G -nodefaults "
        + "-drive if=pflash,unit=0,file=/usr/share/OVMF/OVMF_CODE.fd -device pcie-root-port,id=p1 -device vfio-pci,host=0000:01:00.0,bus=p1";

    private static readonly ImmutableArray<BarRequest> s_card =
        [BarRequest.Create(0, 64 * MiB, BarType.Memory32), BarRequest.Create(1, 16 * GiB, BarType.Memory64Prefetchable)];

    private static GuestSpec Read(string text)
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "guest").TryGet(out GuestDocument? guest, out InputError? error),
            error?.ToString());
        return guest.Guest;
    }

    /// <param name="lines">Of the host's log, besides its map.</param>
    private static Scenario ScenarioOf(string guest, string linux, params string[] lines) => new()
    {
        Host = MapFixtures.Expect(MapFixtures.ReadText($"""
            Linux version {linux}
            BIOS-provided physical RAM map:
            BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable
            BIOS-e820: [mem 0x0000000000100000-0x00000000bfffffff] usable
            BIOS-e820: [mem 0x0000000100000000-0x000001ff4fffffff] usable
            tsc: Detected 2250.000 MHz processor
            {string.Join('\n', lines)}

            """)).Host,
        Guest = Read(guest),
        Qemu = new() { Bars = s_card },
    };

    private const string Amd = "smpboot: CPU0: AMD EPYC 7742 64-Core Processor (family: 0x17, model: 0x31, stepping: 0x0)";
    private const string Intel = "smpboot: CPU0: 13th Gen Intel(R) Core(TM) i7-13700K (family: 0x6, model: 0xb7, stepping: 0x1)";
    private const string Table = "DMAR: Host address width 39";

    private static Problem? Find(Plan plan, string code) => plan.Problems.FirstOrDefault(problem => problem.Code == code);

    [TestMethod]
    [DataRow("5.15.0-91-generic", Severity.Error, GuestOutcome.Refused)]
    [DataRow("5.4.0", Severity.Error, GuestOutcome.Refused)]
    [DataRow("5.3.18", Severity.Warning, GuestOutcome.Boots)]
    public void QEMU_does_not_start_with_RAM_in_the_HyperTransport_range_and_a_later_machine_type_cures_it(string linux, Severity severity,
        GuestOutcome outcome)
    {
        Scenario scenario = ScenarioOf(Large, linux, Amd);

        Plan plan = Planner.Plan(scenario);

        Problem problem = Find(plan, ProblemCodes.HyperTransport)!;
        Assert.AreEqual(severity, problem.Severity);
        Assert.AreEqual((0xfd_0000_0000UL, 1UL << 40), (problem.Start!.Value, problem.End!.Value));
        Assert.AreEqual(outcome, plan.Firmware!.Outcome);
        Assert.Contains("machine pc-q35-7.1", problem.Remedy!.ToString());
        Assert.Contains("QEMU has to be 7.1 or later", problem.Remedy!.ToString());
        SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;
        Assert.AreEqual("machine pc-q35-7.1", comparison.Best);
        Assert.AreEqual(outcome, comparison.Settings[0].Outcome);
    }

    [TestMethod]
    [DataRow("address sizes   : 39 bits physical, 48 bits virtual", "OVMF_CODE.fd", GuestOutcome.NotKnown)]
    [DataRow("DMAR: Host address width 39", "OVMF_CODE.fd", GuestOutcome.NotKnown)]
    [DataRow("address sizes   : 42 bits physical, 48 bits virtual", "OVMF_CODE.fd", GuestOutcome.Boots)]
    [DataRow("address sizes   : 39 bits physical, 48 bits virtual", "seabios-1.16.3/bios.bin", GuestOutcome.Boots)]
    public void Whether_OVMF_stands_BARs_beyond_the_processor_s_width_is_not_known(string line, string file, GuestOutcome expected)
    {
        Scenario scenario = ScenarioOf("/usr/bin/qemu-system-x86_64 -machine pc-q35-7.1,accel=kvm -cpu Skylake-Client-IBRS,+pdpe1gb,phys-bits=42 "
            + $"-m 4G -nodefaults -bios /usr/share/OVMF/{file} -device pcie-root-port,id=p1 -device virtio-net-pci,bus=p1", "6.1.0", Intel, line)
            with { Qemu = new() { Firmware = file.StartsWith("OVMF", System.StringComparison.Ordinal) ? new(FirmwareName.Ovmf, 2022, 11) : null } };
        Plan plan = Planner.Plan(scenario);
        Assert.AreEqual(expected, plan.Firmware!.Outcome);
        SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;
        Assert.AreEqual(expected, comparison.Settings[0].Outcome);
        if (expected != GuestOutcome.NotKnown)
            return;
        Assert.Contains("OVMF has been reported to stop with a page fault", Find(plan, ProblemCodes.AddressWidth)!.Message.ToString());
        Assert.AreEqual("phys-bits=39", comparison.Best);
    }

    [TestMethod]
    [DataRow("virtio-net-pci,bus=p2", "as it is")]
    [DataRow("ivshmem-plain,bus=p2,memdev=m -object memory-backend-ram,id=m,size=1G,share=on", "phys-bits=39")]
    public void Beyond_the_IOMMU_s_width_only_memory_that_QEMU_maps_is_anything_to_cure(string device, string expected)
    {
        Scenario scenario = ScenarioOf($"{Small} -device pcie-root-port,id=p2,chassis=2 -device {device}", "6.1.0", Intel, Table,
            "address sizes   : 46 bits physical, 48 bits virtual")
            with { Qemu = new() { Bars = [s_card[0]], Firmware = new(FirmwareName.Ovmf, 2024, 11) } };

        Plan plan = Planner.Plan(scenario);

        Assert.IsTrue(plan.Firmware!.Placement!.Bars.Any(static bar => bar.Bar.Type.IsMemory() && bar.Address >= 1UL << 39));
        Assert.AreEqual(expected == "as it is", Find(plan, ProblemCodes.DmaBeyondIommu) is null);
        Assert.AreEqual(expected, Planner.PlatformOf(scenario).CompareSettings(scenario)!.Best);
    }

    private static readonly string s_log = $"2024-05-01 10:00:00.000+0000: starting up libvirt version: 9.0.0\n{Small}\n"
        + "2024-05-01T10:00:01.0Z qemu-system-x86_64: -device vfio-pci,host=0000:01:00.0,bus=p1: VFIO_MAP_DMA failed: Cannot allocate memory\n";

    [TestMethod]
    [DataRow(Small, "DMAR: IOMMU disabled", "no iommu_group found")]
    [DataRow(Small, "AMD-Vi: AMD IOMMU disabled", "no iommu_group found")]
    [DataRow("bios: ovmf\nmemory: 4096\nhostpci0: 0000:01:00.0,pcie=1\nmachine: q35\n", "DMAR: IOMMU disabled", "IOMMU not present")]
    [DataRow(null, "DMAR: IOMMU enabled", "VFIO_MAP_DMA failed: Cannot allocate memory")]
    public void A_guest_that_QEMU_does_not_start_for_its_host_boots_with_no_setting(string? guest, string line, string words)
    {
        Scenario scenario = ScenarioOf(guest ?? s_log, "6.1.0", line);

        Plan plan = Planner.Plan(scenario);

        Assert.AreEqual(GuestOutcome.Refused, plan.Firmware!.Outcome);
        Assert.Contains(words, plan.Firmware.Message!);
        Assert.IsTrue(plan.Problems.Any(problem => problem is { Severity: Severity.Error, Code: ProblemCodes.GuestDoesNotStart }
            && problem.Message.ToString().Contains(words, System.StringComparison.Ordinal)));
        SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;
        Assert.IsNull(comparison.Best);
        Assert.AreEqual(GuestOutcome.Refused, comparison.Settings.Single().Outcome);
        Assert.Contains(words, comparison.Why);
    }

    [TestMethod]
    [DataRow("DMAR: IOMMU disabled", false)]
    [DataRow("DMAR: IOMMU disabled\nDMAR: IOMMU enabled", null)]
    [DataRow("DMAR: IOMMU enabled", null)]
    [DataRow("AMD-Vi: AMD IOMMU disabled on kernel command-line", false)]
    [DataRow("vfio-pci 0000:01:00.0: Adding to iommu group 0", null)]
    [DataRow("DMAR: IOMMU disabled\nvfio_mdev 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001: Adding to iommu group 0", false)]
    [DataRow("pci 0000:00:01.0: Adding to iommu group 0", true)]
    [DataRow("AMD-Vi: Found IOMMU at 0000:00:00.2 cap 0x40", true)]
    [DataRow("(XEN) AMD-Vi: AMD IOMMU disabled", null)]
    public void Whether_Linux_uses_the_IOMMU_its_own_words_tell(string lines, bool? expected) =>
        Assert.AreEqual(expected, ScenarioOf(Small, "6.1.0", lines).Host.Traits.LinuxUsesIommu);

    [TestMethod]
    public void A_mediated_device_needs_no_IOMMU()
    {
        const string mediated = "sysfsdev=/sys/bus/mdev/devices/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
        string guest = Small.Replace("host=0000:01:00.0", mediated, System.StringComparison.Ordinal);
        Scenario scenario = ScenarioOf(guest, "6.1.0", "DMAR: IOMMU disabled");

        Assert.IsNull(Find(Planner.Plan(scenario), ProblemCodes.GuestDoesNotStart));
    }

    [TestMethod]
    public void RAM_in_the_HyperTransport_range_is_an_error_whatever_BARs_the_device_has()
    {
        Scenario scenario = ScenarioOf(Large, "6.1.0", Amd);

        Plan plan = Planner.Plan(scenario with { Qemu = new() });

        Assert.IsNotNull(Find(plan, ProblemCodes.MapNotKnown));
        Problem problem = Find(plan, ProblemCodes.HyperTransport)!;
        Assert.AreEqual(Severity.Error, problem.Severity);
        Assert.Contains("machine pc-q35-7.1, with which QEMU starts the guest", problem.Remedy!.ToString());
    }

    [TestMethod]
    public void RAM_in_the_HyperTransport_range_harms_no_guest_without_a_device_and_none_on_Intel()
    {
        const string without = "/usr/bin/qemu-system-x86_64 -machine pc-q35-6.2,accel=kvm -cpu host -m 1100G -nodefaults "
            + "-drive if=pflash,unit=0,file=/usr/share/OVMF/OVMF_CODE.fd";

        Assert.IsNull(Find(Planner.Plan(ScenarioOf(without, "6.1.0", Amd) with { Qemu = new() }), ProblemCodes.HyperTransport));
        Assert.IsNull(Find(Planner.Plan(ScenarioOf(Large, "6.1.0", Intel)), ProblemCodes.HyperTransport));
    }

    [TestMethod]
    public void The_host_address_width_of_the_DMAR_table_is_the_IOMMU_s_and_not_the_processor_s()
    {
        Host host = ScenarioOf(Small, "6.12.8", Table, Intel).Host;

        Assert.AreEqual((null, 39, 39), (host.Traits.PhysicalAddressBits, host.Traits.AcpiAddressBits, host.Traits.IommuAddressBits));
    }

    [TestMethod]
    [DataRow("Intel(R) Core(TM) i7-6700 CPU @ 3.40GHz (family: 0x6, model: 0x5e, stepping: 0x3)", 39)]
    [DataRow("11th Gen Intel(R) Core(TM) i7-11850H @ 2.50GHz (family: 0x6, model: 0x8d, stepping: 0x1)", 39)]
    [DataRow("Intel(R) N100 (family: 0x6, model: 0xbe, stepping: 0x0)", 39)]
    [DataRow("Intel(R) Core(TM) i9-10980XE CPU @ 3.00GHz (family: 0x6, model: 0x55, stepping: 0x7)", 46)]
    [DataRow("Intel(R) Core(TM) i9-14900K (family: 0x6, model: 0xb7, stepping: 0x1)", null)]
    [DataRow("12th Gen Intel(R) Core(TM) i5-12400 (family: 0x6, model: 0x97, stepping: 0x5)", null)]
    [DataRow("Intel(R) Xeon(R) Platinum 8480+ (family: 0x6, model: 0x8f, stepping: 0x8)", null)]
    [DataRow("AMD EPYC 7742 64-Core Processor (family: 0x17, model: 0x31, stepping: 0x0)", null)]
    public void A_processor_whose_model_settles_its_width_has_it_and_others_are_not_known(string processor, int? bits)
    {
        Scenario scenario = ScenarioOf(Small, "6.8.12", $"smpboot: CPU0: {processor}");
        Assert.AreEqual(bits, scenario.Host.Traits.PhysicalAddressBits);
        foreach (string line in (string[])["Hypervisor detected: KVM", "DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2 04/01/2014",
            "DMI: Red Hat KVM/RHEL, BIOS 1.16.1-1.el9 04/01/2014", "DMI: VMware, Inc. VMware Virtual Platform/440BX Desktop Reference Platform, BIOS 6.00",
            "ACPI: RSDT 0x000000007FFE2412 000038 (v01 BOCHS  BXPC     00000001 BXPC 00000001)",
            "(XEN) ACPI: RSDT 7FFE2412, 0038 (r1 BOCHS  BXPC            1 BXPC        1)"])
            Assert.IsNull(ScenarioOf(Small, "6.8.12", line, $"smpboot: CPU0: {processor}").Host.Traits.PhysicalAddressBits, line);
    }

    [TestMethod]
    [DataRow("Hypervisor detected: Xen PV")]
    [DataRow("DMI: Gigabyte Technology Co., Ltd. Z390 GAMING X/Z390 GAMING X-CF, BIOS F9 11/06/2019")]
    [DataRow("ACPI: RSDP 0x00000000000F05B0 000024 (v02 ALASKA)")]
    public void A_machine_that_is_no_virtual_one_has_the_width_of_its_processor_s_model(string line) => Assert.AreEqual(39, ScenarioOf(
        Small, "6.8.12", line, "smpboot: CPU0: Intel(R) Core(TM) i7-6700 CPU @ 3.40GHz (family: 0x6, model: 0x5e, stepping: 0x3)")
        .Host.Traits.PhysicalAddressBits);

    [TestMethod]
    public void A_Xen_on_OVMF_runs_in_a_virtual_machine_whatever_processor_that_shows()
    {
        string log = File.ReadAllText(Path.Combine(MapFixtures.Folder("hosts"), "qemu-ovmf-8g", "boot.log"));
        Assert.IsNull(MapFixtures.Expect(MapFixtures.ReadText(log)).Host.Traits.PhysicalAddressBits);
        // What OVMF alone keeps for a resume tells it.
        string other = log.Replace("0000000000807fff] (ACPI NVS)", "0000000000806fff] (ACPI NVS)", System.StringComparison.Ordinal);
        Assert.AreEqual(46, MapFixtures.Expect(MapFixtures.ReadText(other)).Host.Traits.PhysicalAddressBits);
    }

    [TestMethod]
    [DataRow("qemu64", "which is the guest's maker under KVM whatever its model, is not told: Intel is assumed")]
    [DataRow("kvm64", "whatever its model, is not told: Intel is assumed")]
    [DataRow("EPYC", "whatever its model, is not told: AMD is assumed, as the guest's model is theirs")]
    [DataRow("host", "who made the host's processor is not told: Intel is assumed")]
    public void Under_KVM_the_guest_has_the_host_s_maker_whatever_its_model(string model, string words)
    {
        string guest = Small.Replace("-cpu host", $"-cpu {model}", System.StringComparison.Ordinal);
        Assert.Contains(problem => problem.Message.ToString().Contains(words, System.StringComparison.Ordinal),
            Planner.Plan(ScenarioOf(guest, "6.1.0")).Problems);
        foreach (string line in (string[])[Amd, "vendor_id\t: AuthenticAMD"])
        {
            Plan plan = Planner.Plan(ScenarioOf(guest, "6.1.0", line));
            Assert.DoesNotContain(problem => problem.Message.ToString().Contains("who made", System.StringComparison.Ordinal), plan.Problems);
        }
    }

    [TestMethod]
    [DataRow("-device vfio-pci,host=0000:01:00.0,bus=p1", "who made the processor decides: with one of AMD's RAM or BARs are elsewhere")]
    [DataRow("", null)]
    public void Where_the_maker_that_is_assumed_decides_that_is_told(string device, string? words)
    {
        string guest = Small.Replace("-cpu host -m 32G", "-cpu kvm64,phys-bits=46 -m 16G", System.StringComparison.Ordinal)
            .Replace("-device vfio-pci,host=0000:01:00.0,bus=p1", device, System.StringComparison.Ordinal);
        Scenario scenario = ScenarioOf(guest, "6.1.0");
        Plan plan = Planner.Plan(device.Length > 0 ? scenario : scenario with { Qemu = new() });
        Assert.AreEqual(words, plan.Problems.Select(static problem => problem.Message.ToString())
            .FirstOrDefault(static message => message.Contains("decides: with", System.StringComparison.Ordinal)));
        Plan told = Planner.Plan(ScenarioOf(guest, "6.1.0", Amd));
        Assert.DoesNotContain(static problem => problem.Message.ToString().Contains("decides: with", System.StringComparison.Ordinal), told.Problems);
    }

    [TestMethod]
    public void Proxmox_VE_s_generic_models_are_of_no_maker_s()
    {
        const string conf = "cores: 4\ncpu: x86-64-v2-AES\nmachine: pc-q35-9.2\nmemory: 4096\nostype: l26\n";
        Plan plan = Planner.Plan(ScenarioOf(conf, "6.1.0"));
        Assert.Contains(problem => problem.Message.ToString().Contains("Intel is assumed", System.StringComparison.Ordinal), plan.Problems);
        Assert.DoesNotContain(problem => problem.Message.ToString().Contains("AMD is assumed", System.StringComparison.Ordinal), plan.Problems);
    }

    [TestMethod]
    public void A_processor_whose_model_settles_its_width_is_not_warned_of_a_wider_one()
    {
        Scenario scenario = ScenarioOf(Small, "6.8.12",
            "smpboot: CPU0: Intel(R) Core(TM) i7-6700 CPU @ 3.40GHz (family: 0x6, model: 0x5e, stepping: 0x3)", Table);
        Assert.IsNull(Find(Planner.Plan(scenario), ProblemCodes.DmaBeyondIommu));
        Assert.AreEqual("as it is", Planner.PlatformOf(scenario).CompareSettings(scenario)!.Best);
    }

    [TestMethod]
    public void Where_a_wider_processor_is_warned_of_compare_recommends_what_helps_on_either()
    {
        Scenario scenario = ScenarioOf(Small, "6.8.12", Intel, Table);
        Assert.Contains("if the host's processor has 46 address bits", Find(Planner.Plan(scenario), ProblemCodes.DmaBeyondIommu)!.Message.ToString());
        SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;
        Assert.AreEqual("phys-bits=39", comparison.Best);
        Assert.Contains("whatever the processor has", comparison.Why);
        Assert.AreEqual("-cpu host,host-phys-bits=on,host-phys-bits-limit=39", comparison.Paste!.Qemu);
    }

    [TestMethod]
    public void Where_only_the_DMAR_table_tells_a_width_it_is_assumed_and_a_wider_processor_is_warned_of()
    {
        Plan plan = Planner.Plan(ScenarioOf(Small, "6.12.8", Table, Intel));

        Assert.IsTrue(plan.Problems.Any(static problem => problem.Code == ProblemCodes.Assumed
            && problem.Message.Contains("39 bits are assumed, those of DMAR's \"Host address width\"", System.StringComparison.Ordinal)));
        Problem problem = Find(plan, ProblemCodes.DmaBeyondIommu)!;
        Assert.AreEqual(Severity.Warning, problem.Severity);
        Assert.Contains("if the host's processor has 46 address bits", problem.Message);
        Assert.IsGreaterThan(1UL << 39, problem.Start!.Value);
        Assert.Contains("host-phys-bits-limit=39", problem.Remedy!.ToString());
    }

    [TestMethod]
    [DataRow("address sizes : 39 bits physical, 48 bits virtual", false)]
    [DataRow("address sizes : 46 bits physical, 48 bits virtual", true)]
    public void A_processor_that_tells_its_width_is_not_guessed_at(string cpuInfo, bool isBeyond)
    {
        Plan plan = Planner.Plan(ScenarioOf(Small, "6.12.8", Table, Intel, cpuInfo));

        Assert.IsFalse(plan.Problems.Any(static problem => problem.Code == ProblemCodes.Assumed
            && problem.Message.Contains("width of the host", System.StringComparison.Ordinal)));
        if (!isBeyond)
            Assert.IsNull(Find(plan, ProblemCodes.DmaBeyondIommu));
        else
            Assert.Contains("beyond the 39 address bits that the host's IOMMU has", Find(plan, ProblemCodes.DmaBeyondIommu)!.Message);
    }

    [TestMethod]
    [DataRow("host-phys-bits=on,host-phys-bits-limit=39")]
    [DataRow("host-phys-bits=off,phys-bits=39")]
    public void A_limit_that_the_guest_has_leaves_nothing_to_assume(string limit)
    {
        Plan plan = Planner.Plan(ScenarioOf(Small.Replace("-cpu host", $"-cpu host,{limit}", System.StringComparison.Ordinal), "6.12.8", Table, Intel));

        Assert.IsNull(Find(plan, ProblemCodes.DmaBeyondIommu));
    }

    [TestMethod]
    public void A_host_of_KVM_has_none_of_Xen_s_additions_in_its_map()
    {
        Scenario scenario = ScenarioOf(Small, "6.12.8", Intel);

        CollectionAssert.AreEqual(scenario.Host.Entries.ToArray(), Planner.Plan(scenario).MachineMap.ToArray());
        Assert.AreNotEqual(scenario.Host.Entries.Length, (scenario with { Guest = new() { MemoryKiB = 1 << 20, MaxmemKiB = 1 << 20 } }).MachineMap.Length);
    }

    [TestMethod]
    [DataRow("kvm64", false)]
    [DataRow("kvm64,phys-bits=40", true)]
    public void QEMU_warns_of_another_width_only_where_one_was_set(string cpu, bool warns)
    {
        Plan plan = Planner.Plan(ScenarioOf(Small.Replace("-cpu host", $"-cpu {cpu}", System.StringComparison.Ordinal)
            .Replace("-m 32G", "-m 4G", System.StringComparison.Ordinal), "6.12.8", Table, Intel, "address sizes : 39 bits physical"));

        Problem problem = Find(plan, ProblemCodes.AddressWidth)!;
        Assert.AreEqual(warns ? Severity.Warning : Severity.Info, problem.Severity);
        Assert.AreEqual(warns, problem.Message.Contains("QEMU only warns", System.StringComparison.Ordinal));
    }
}
