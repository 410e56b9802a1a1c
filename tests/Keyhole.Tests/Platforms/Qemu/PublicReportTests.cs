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
using Keyhole.Platforms.Qemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>Guests as people have described them in public reports of passthrough that failed, with what happened there and what cured it. The
/// settings are written down anew from what the reports tell.</summary>
[TestClass]
public sealed class PublicReportTests
{
    private const ulong GiB = 1UL << 30;
    private const ulong MiB = 1UL << 20;

    /// <summary>What LXD 6.1 writes for a machine with one card.</summary>
    private const string LxdConfig = """
        # Machine
        [machine]
        graphics = "off"
        type = "q35"
        accel = "kvm"
        usb = "off"

        [global]
        driver = "ICH9-LPC"
        property = "disable_s3"
        value = "1"

        [memory]
        size = "4096M"

        [object "mem0"]
        qom-type = "memory-backend-memfd"
        size = "4096M"
        share = "on"

        [smp-opts]
        cpus = "4"
        sockets = "1"
        cores = "4"
        threads = "1"

        [drive]
        file = "/snap/lxd/current/share/qemu/OVMF_CODE.4MB.fd"
        if = "pflash"
        format = "raw"
        unit = "0"
        readonly = "on"

        [device "qemu_pcie0"]
        driver = "pcie-root-port"
        bus = "pcie.0"
        addr = "1.0"
        chassis = "0"
        multifunction = "on"

        [device "qemu_balloon"]
        driver = "virtio-balloon-pci"
        bus = "qemu_pcie0"
        addr = "00.0"
        multifunction = "on"

        [device "qemu_pcie1"]
        driver = "pcie-root-port"
        bus = "pcie.0"
        addr = "1.1"
        chassis = "1"

        [device "dev-lxd_gpu"]
        driver = "vfio-pci"
        bus = "qemu_pcie1"
        addr = "00.0"
        host = "0000:41:00.0"
        """;

    private const string LxdCommand = "/snap/lxd/current/bin/qemu-system-x86_64 -S -name gpu -cpu host,migratable=no,+invtsc -nographic -nodefaults "
        + "-no-user-config -readconfig /var/snap/lxd/common/lxd/logs/gpu/qemu.conf -daemonize\n";

    private static GuestDocument Document(string text)
    {
        Parsed<GuestDocument> read = GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "guest");
        Assert.IsTrue(read.TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());
        return guest;
    }

    private static ImmutableArray<BarRequest> Card(ulong registers, ulong sizeBytes) =>
        [BarRequest.Create(0, registers, BarType.Memory32), BarRequest.Create(1, sizeBytes, BarType.Memory64Prefetchable),
            BarRequest.Create(3, 32 * MiB, BarType.Memory64Prefetchable)];

    private static Scenario ScenarioOf(string guest, ImmutableArray<BarRequest> bars, int bits, int? iommuBits = null,
        string vendor = "GenuineIntel") => new()
        {
            Host = Host.Unknown with
            {
                Traits = new() { CpuVendor = vendor, PhysicalAddressBits = bits, IommuAddressBits = iommuBits, HasGiBPages = true },
            },
            Guest = Document(guest).Guest,
            Qemu = new() { Bars = bars, HostKernel = new QemuVersion(6, 8) },
        };

    private static SettingComparison Compare(Scenario scenario) => Planner.PlatformOf(scenario).CompareSettings(scenario)!;

    private static ulong?[] Addresses(Plan plan, int bus, int device, params int[] registers)
    {
        PciPlacement placement = plan.Firmware!.Placement!;
        return [.. registers.Select(register => placement.Bars.Single(bar => bar.Bar.Index == register
            && placement.Tree.Functions[bar.Function].Address is var at && at.Bus == bus && at.Device == device && at.Function == 0).Address)];
    }

    [TestMethod]
    [DataRow(LxdCommand + LxdConfig)]
    [DataRow(LxdConfig)]
    public void LXD_s_machine_with_a_card_of_24_GiB_needs_the_window_that_cured_it(string guest)
    {
        Scenario scenario = ScenarioOf(guest, Card(16 * MiB, 32 * GiB), 46);
        Assert.IsTrue(QemuFirmware.TryParse("ovmf-2022.05", out QemuFirmware firmware));
        scenario = scenario with { Qemu = scenario.Qemu with { Firmware = firmware } };
        Problem problem = Planner.Plan(scenario).Problems.Single(static problem => problem.Code == ProblemCodes.BarUnplaced);
        Assert.StartsWith("BAR 1 of 0000:02:00.0 (32 GiB, mem64-prefetchable) gets no address: it does not fit into the window above 4 GiB",
            problem.Message);
        Assert.EndsWith("; the firmware then leaves out BARs 0 and 3 of the device, too", problem.Message);
        SettingComparison comparison = Compare(scenario);
        Assert.AreEqual("X-PciMmio64Mb=65536", comparison.Best);
    }

    /// <summary>Seen on QEMU 7.2.</summary>
    [TestMethod]
    [DataRow("q35", "0.0", "slot 0 function 0", "mch,id=(null)")]
    [DataRow("q35", "1f.2", "slot 31 function 2", "ich9-ahci,id=(null)")]
    [DataRow("q35", "1d.7", "slot 29 function 7", "ich9-usb-ehci1,id=(null)")]
    [DataRow("q35", "2.0", "slot 2 function 0", "e1000,id=net")]
    [DataRow("q35", "3.0", "slot 3 function 0", "e1000,id=(null)")]
    [DataRow("pc", "1.0", "slot 1 function 0", "PIIX3,id=(null)")]
    [DataRow("pc", "1.3", "slot 1 function 3", "PIIX4_PM,id=(null)")]
    public void A_place_that_is_taken_is_refused_in_QEMU_s_words(string board, string place, string where, string owner)
    {
        GuestSpec guest = Document($"qemu-system-x86_64 -M {board},accel=kvm,usb=on -m 1G -nodefaults -device e1000,addr=2.0,id=net,multifunction=on "
            + $"-device e1000,addr=3.0,multifunction=on -device e1000,addr={place},multifunction=on").Guest;

        Assert.IsTrue(guest.Qemu!.TryResolve(new QemuSurroundings(), out QemuMachine machine, out _));
        Assert.IsTrue(QemuForecaster.TryForecast(machine, out QemuForecast forecast, out _));
        Assert.AreEqual($"PCI: {where} not available for e1000, in use by {owner}", forecast.Message);
    }

    [TestMethod]
    public void A_readconfig_file_s_text_below_the_command_is_what_its_options_would_be()
    {
        GuestSpec read = Document(LxdCommand + LxdConfig).Guest;
        GuestSpec same = Document("qemu-system-x86_64 -cpu host,migratable=no,+invtsc -nodefaults -name gpu -machine "
            + "type=q35,accel=kvm,graphics=off,usb=off -global ICH9-LPC.disable_s3=1 -m 4096M -object memory-backend-memfd,id=mem0,size=4096M,share=on "
            + "-smp 4,sockets=1,cores=4,threads=1 -drive if=pflash,format=raw,unit=0,readonly=on,file=/snap/lxd/current/share/qemu/OVMF_CODE.4MB.fd "
            + "-device pcie-root-port,id=qemu_pcie0,bus=pcie.0,addr=1.0,chassis=0,multifunction=on "
            + "-device virtio-balloon-pci,id=qemu_balloon,bus=qemu_pcie0,addr=00.0,multifunction=on "
            + "-device pcie-root-port,id=qemu_pcie1,bus=pcie.0,addr=1.1,chassis=1 "
            + "-device vfio-pci,id=dev-lxd_gpu,bus=qemu_pcie1,addr=00.0,host=0000:41:00.0").Guest;
        Assert.AreEqual("gpu", read.Name);
        Assert.AreEqual(same.Pci.Single(), read.Pci.Single());
        QemuMachine machine = read.Qemu!.Machine;
        QemuMachine other = same.Qemu!.Machine;
        Assert.AreEqual(other with { Devices = [] }, machine with { Devices = [] });
        Assert.AreEqual(Sorted(other), Sorted(machine));
    }

    private static string Sorted(QemuMachine machine) => string.Join("\n", machine.Devices.Select(static device => device.Driver + ": "
        + string.Join(",", device.Properties.Select(static property => $"{property.Name}={property.Value}").Order(System.StringComparer.Ordinal))));

    [TestMethod]
    public void Incus_slots_for_memory_do_not_fit_36_bits_and_eight_of_them_do()
    {
        Scenario scenario = ScenarioOf("qemu-system-x86_64 -machine q35,accel=kvm -cpu host -m 2G,slots=64,maxmem=16G -nodefaults -drive "
            + "if=pflash,unit=0,file=/usr/share/OVMF/OVMF_CODE.fd -device pcie-root-port,id=p0,chassis=1", [], 36);
        scenario = scenario with { Qemu = scenario.Qemu with { Emulator = new QemuVersion(9, 0) } };
        Problem problem = Planner.Plan(scenario).Problems.Single(static problem => problem.Code == ProblemCodes.GuestDoesNotStart);
        Assert.EndsWith("Address space limit 0xfffffffff < 0x1c7fffffff phys-bits too low (36)", problem.Message);
        SettingComparison comparison = Compare(scenario);
        Assert.AreEqual("slots=8", comparison.Best);
        Assert.AreEqual("-m 2048M,slots=8,maxmem=16384M", comparison.Paste!.Qemu);
        foreach (TriedSetting refused in comparison.Settings.Where(static tried => tried.Outcome == GuestOutcome.Refused))
            Assert.IsGreaterThan(0, refused.Unplaced!.Value, refused.Setting);
    }

    [TestMethod]
    public void Slots_that_are_taken_are_not_taken_away()
    {
        Scenario scenario = ScenarioOf("qemu-system-x86_64 -machine q35,accel=kvm -cpu host -m 2G,slots=64,maxmem=16G -nodefaults "
            + string.Concat(Enumerable.Range(0, 9).Select(static i => $"-device pc-dimm,memdev=m{i} "))
            + "-device pcie-root-port,id=p0,chassis=1", [], 36);
        scenario = scenario with { Qemu = scenario.Qemu with { Emulator = new QemuVersion(9, 0) } };
        Assert.IsFalse(Compare(scenario).Settings.Any(static tried => tried.Setting is "slots=8" or "no maxmem"));
    }

    [TestMethod]
    public void A_desktop_s_IOMMU_of_39_bits_does_not_reach_where_OVMF_puts_a_card_for_46()
    {
        const string guest = """
            <domain type='kvm'>
              <name>win</name>
              <memory unit='GiB'>32</memory>
              <os firmware='efi'><type arch='x86_64' machine='pc-q35-10.0'>hvm</type></os>
              <cpu mode='host-passthrough' check='none' migratable='off'/>
              <devices>
                <hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source>
                </hostdev>
              </devices>
            </domain>
            """;
        Scenario scenario = ScenarioOf(guest, Card(64 * MiB, 16 * GiB), 46, 39);
        Plan plan = Planner.Plan(scenario);
        Problem problem = plan.Problems.Single(static problem => problem.Code == ProblemCodes.DmaBeyondIommu);
        Assert.Contains("BAR 1 of ", problem.Message);
        Assert.Contains("BAR 3 of ", problem.Message);
        Assert.IsGreaterThanOrEqualTo(0x380000000000UL, problem.Start!.Value);
        Assert.Contains("<maxphysaddr mode='passthrough' limit='39' />", problem.Remedy!.ToString());
    }

    [TestMethod]
    public void Proxmox_puts_a_card_where_its_log_of_failed_mappings_says()
    {
        const string conf = """
            bios: ovmf
            cores: 16
            cpu: host
            efidisk0: local-lvm:vm-101-disk-0,efitype=4m,size=4M
            hostpci0: 0000:01:00.0,pcie=1,x-vga=1
            machine: q35
            memory: 65536
            meta: creation-qemu=8.1.5,ctime=1717500000
            net0: virtio=BC:24:11:00:00:01,bridge=vmbr0
            vga: none
            """;
        Plan plan = Planner.Plan(ScenarioOf(conf, Card(16 * MiB, 256 * MiB), 46, 39));
        ulong?[] logged = [0x380000000000, 0x380010000000];
        Assert.AreSequenceEqual(logged, Addresses(plan, 1, 0, 1, 3));
    }

    [TestMethod]
    public void Shared_memory_beyond_the_IOMMU_ends_QEMU()
    {
        const string guest = "qemu-system-x86_64 -machine q35,accel=kvm -cpu host,level=30 -m 16G -nodefaults -bios /usr/share/edk2/ovmf/OVMF.fd "
            + "-device pcie-root-port,id=pci.15,chassis=15,addr=0x2 -device pcie-pci-bridge,id=pci.16,bus=pci.15,addr=0 "
            + "-object '{\"qom-type\":\"memory-backend-file\",\"id\":\"shm0\",\"mem-path\":\"/dev/kvmfr0\",\"size\":268435456,\"share\":true}' "
            + "-device '{\"driver\":\"ivshmem-plain\",\"id\":\"shmem0\",\"memdev\":\"shm0\",\"bus\":\"pci.16\",\"addr\":\"0x1\"}' "
            + "-device pcie-root-port,id=p0,chassis=1";
        const string withCard = guest + " -device vfio-pci,host=0000:01:00.0,bus=p0";
        Problem problem = Planner.Plan(ScenarioOf(withCard, Card(64 * MiB, 256 * MiB), 46, 39)).Problems
            .Single(static problem => problem is { Code: ProblemCodes.DmaBeyondIommu, Severity: Severity.Error });
        Assert.StartsWith("BAR 2 of 0000:03:01.0 (256 MiB, mem64-prefetchable) is memory that QEMU maps", problem.Message);
        Assert.Contains("host-phys-bits-limit=39", problem.Remedy!.ToString());
        // Where nothing is passed through, nothing is mapped for it; and an IOMMU as wide as the processor reaches it.
        Assert.IsFalse(Planner.Plan(ScenarioOf(guest, [], 46, 39)).Problems.Any(static other => other.Code == ProblemCodes.DmaBeyondIommu));
        Assert.IsFalse(Planner.Plan(ScenarioOf(withCard, Card(64 * MiB, 256 * MiB), 46, 46)).Problems
            .Any(static other => other.Code == ProblemCodes.DmaBeyondIommu));
    }

    [TestMethod]
    public void A_B300_s_512_GiB_do_not_fit_the_256_GiB_that_its_owner_gave()
    {
        const string conf = """
            args: -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=262144
            bios: ovmf
            cpu: host
            efidisk0: local-lvm:vm-100-disk-0,efitype=4m,size=4M
            hostpci0: 0000:1b:00.0,pcie=1
            machine: q35
            memory: 131072
            meta: creation-qemu=10.1.2,ctime=1768800000
            """;
        ImmutableArray<BarRequest> bars = [BarRequest.Create(0, 64 * MiB, BarType.Memory64Prefetchable),
            BarRequest.Create(2, 512 * GiB, BarType.Memory64Prefetchable), BarRequest.Create(4, 32 * MiB, BarType.Memory64Prefetchable)];
        Scenario scenario = ScenarioOf(conf, bars, 52, 52);
        Problem problem = Planner.Plan(scenario).Problems.Single(static problem => problem.Code == ProblemCodes.BarUnplaced);
        Assert.EndsWith("which has 256 GiB at [0x4000000000, 0x8000000000); 520 GiB are needed; the firmware then leaves out BARs 0 and 4 of the "
            + "device, too", problem.Message);
        Assert.AreEqual("args: -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=1048576", Compare(scenario).Paste!.Proxmox);
    }

    [TestMethod]
    [DataRow(8, 0)]
    [DataRow(9, 8)]
    public void Eight_cards_of_512_GiB_fill_an_eighth_of_46_bits(int cards, int unplaced)
    {
        string guest = "qemu-system-x86_64 -machine q35,accel=kvm -cpu host -m 512G -nodefaults -drive "
            + "if=pflash,unit=0,file=/usr/share/OVMF/OVMF_CODE.fd"
            + string.Concat(Enumerable.Range(0, cards).Select(static i =>
                $" -device pcie-root-port,id=r{i},chassis={i + 1} -device vfio-pci,host=0000:4{i}:00.0,bus=r{i}"));
        Problem[] problems = [.. Planner.Plan(ScenarioOf(guest, Card(64 * MiB, 512 * GiB), 46)).Problems
            .Where(static problem => problem.Code == ProblemCodes.BarUnplaced)];
        Assert.HasCount(unplaced == 0 ? 0 : 1, problems);
    }

    [TestMethod]
    public void Kata_s_card_gets_its_place_behind_a_port_that_is_there_from_the_start()
    {
        const string guest = "/usr/bin/qemu-vanilla-system-x86_64 -name sandbox -machine q35,accel=kvm,kernel_irqchip,nvdimm -cpu host,pmu=off "
            + "-m 2048M,slots=10,maxmem=257721M -device pci-bridge,bus=pcie.0,id=pci-bridge-0,chassis_nr=1,shpc=on,addr=2,romfile= "
            + "-device virtio-serial-pci,disable-modern=true,id=serial0,romfile= -device virtio-scsi-pci,id=scsi0,disable-modern=true,romfile= "
            + "-device pcie-root-port,id=rp0,bus=pcie.0,chassis=0,slot=0,multifunction=off "
            + "-device pcie-root-port,id=rp1,bus=pcie.0,chassis=0,slot=1,multifunction=off -vga none -no-user-config -nodefaults -nographic "
            + "-kernel /usr/share/kata-containers/vmlinuz.container -device vfio-pci,host=34:00.0,id=vfio,bus=rp1";
        Scenario scenario = ScenarioOf(guest, Card(16 * MiB, 32 * GiB), 46);
        Plan plan = Planner.Plan(scenario with { Qemu = scenario.Qemu with { Emulator = new QemuVersion(5, 0) } });
        Assert.AreEqual(GuestOutcome.Boots, plan.Firmware!.Outcome);
        Assert.IsFalse(plan.Problems.Any(static problem => problem.Code == ProblemCodes.BarUnplaced));
    }

    [TestMethod]
    public void RAM_that_AMD_s_range_sends_above_1_TiB_is_told_with_what_keeps_it_below()
    {
        const string guest = "qemu-system-x86_64 -machine q35,accel=kvm -cpu host -m size=16G,slots=16,maxmem=1100G -nodefaults -drive "
            + "if=pflash,unit=0,file=/usr/share/OVMF/OVMF_CODE.fd -device pcie-root-port,id=p0 -device vfio-pci,host=0000:41:00.0,bus=p0";
        Problem problem = Planner.Plan(ScenarioOf(guest, Card(16 * MiB, 32 * GiB), 52, vendor: "AuthenticAMD")).Problems
            .Single(static problem => problem.Code == ProblemCodes.HyperTransport);
        Assert.AreEqual(Severity.Info, problem.Severity);
        Assert.AreEqual(1UL << 40, problem.Start);
        Assert.Contains("maxmem", problem.Remedy!.ToString());
        Assert.IsFalse(Planner.Plan(ScenarioOf(guest, Card(16 * MiB, 32 * GiB), 52)).Problems
            .Any(static other => other.Code == ProblemCodes.HyperTransport));
    }

    [TestMethod]
    public void The_host_s_processor_without_KVM_is_refused_in_QEMU_s_words()
    {
        const string guest = "qemu-system-x86_64 -machine q35 -cpu host -m 2G -device vfio-pci,host=0000:41:00.0";
        Problem problem = Planner.Plan(ScenarioOf(guest, Card(16 * MiB, GiB), 46)).Problems
            .Single(static problem => problem.Code == ProblemCodes.GuestDoesNotStart);
        Assert.EndsWith("CPU model 'host' requires KVM or HVF", problem.Message);
        Assert.Contains(static remark => remark.StartsWith("neither accel=kvm nor -enable-kvm", System.StringComparison.Ordinal), Document(guest).Remarks);
        Assert.AreEqual(GuestOutcome.Boots, Planner.Plan(ScenarioOf(guest.Replace("q35", "q35,accel=kvm", System.StringComparison.Ordinal),
            Card(16 * MiB, GiB), 46)).Firmware!.Outcome);
    }

    [TestMethod]
    [DataRow(HostIommu.IntelVtd, "Intel")]
    [DataRow(HostIommu.AmdVi, "AMD")]
    public void Who_made_the_processor_follows_from_the_IOMMU_where_no_line_says_it(HostIommu iommu, string vendor)
    {
        Scenario scenario = ScenarioOf("qemu-system-x86_64 -machine q35,accel=kvm -cpu host -m 2G", [], 46);
        scenario = scenario with { Host = scenario.Host with { Traits = scenario.Host.Traits with { CpuVendor = null, Iommu = iommu } } };
        Assert.IsFalse(Planner.Plan(scenario).Problems.Any(static problem => problem.Message.Contains("who made the host's processor",
            System.StringComparison.Ordinal)), vendor);
    }

    [TestMethod]
    public void Addresses_on_controllers_that_the_XML_has_lost_bring_the_ports_that_libvirt_adds()
    {
        const string guest = """
            <domain type='kvm'>
              <memory unit='GiB'>4</memory>
              <os><type arch='x86_64' machine='pc-q35-9.0'>hvm</type></os>
              <devices>
                <controller type='usb' model='none'/>
                <controller type='pci' index='0' model='pcie-root'/>
                PORTS
                <memballoon model='virtio'><address type='pci' domain='0' bus='2' slot='0' function='0'/></memballoon>
              </devices>
            </domain>
            """;
        const string ports = """
            <controller type='pci' index='1' model='pcie-root-port'><address type='pci' domain='0' bus='0' slot='1' function='0' multifunction='on'/>
            </controller><controller type='pci' index='2' model='pcie-root-port'><address type='pci' domain='0' bus='0' slot='1' function='1'/></controller>
            """;
        GuestDocument lost = Document(guest.Replace("PORTS", "", System.StringComparison.Ordinal));
        GuestDocument whole = Document(guest.Replace("PORTS", ports, System.StringComparison.Ordinal));
        Assert.Contains("the XML has addresses on PCI controllers that it does not have (2): those that libvirt adds are taken", lost.Remarks);
        Assert.AreEqual(Sorted(whole.Guest.Qemu!.Machine), Sorted(lost.Guest.Qemu!.Machine));
    }

    /// <summary>Where low RAM ends: as SeaBIOS 1.16.2 said in the real QEMU 7.2 with these options.</summary>
    [TestMethod]
    [DataRow(",bootindex=1", "", 0x3ffcf000UL)]
    [DataRow(",bootindex=1", "-boot strict=on", 0x3ffdd000UL)]
    [DataRow("", "-boot strict=on", 0x3ffcf000UL)]
    [DataRow("", "-boot strict=on -device virtio-scsi-pci,id=s2 -device scsi-cd,bus=s2.0,bootindex=3", 0x3ffdd000UL)]
    public void Disks_that_a_strict_order_leaves_out_keep_no_memory_of_SeaBIOS(string index, string options, ulong end)
    {
        Scenario scenario = ScenarioOf("qemu-system-x86_64 -accel tcg -machine q35 -m 1024 -nodefaults -cpu qemu64 "
            + "-blockdev null-co,node-name=b0 -blockdev null-co,node-name=b1 -blockdev null-co,node-name=b2 -blockdev null-co,node-name=b3 "
            + $"-device virtio-blk-pci,drive=b0{index} -device virtio-blk-pci,drive=b1 -device nvme,drive=b2,serial=x -device virtio-scsi-pci,id=s -device scsi-hd,drive=b3,bus=s.0 "
            + options, [], 40);
        Assert.IsTrue(QemuFirmware.TryParse("seabios-1.16.2", out QemuFirmware firmware));
        Plan plan = Planner.Plan(scenario with { Qemu = scenario.Qemu with { Firmware = firmware, Emulator = new QemuVersion(7, 2) } });
        Assert.AreEqual(end, plan.Entries.Last(static entry => entry.Entry.IsRam).Entry.End);
    }

    [TestMethod]
    [DataRow("", "", "vda:1 vdb: sda:")]
    [DataRow("<boot dev='cdrom'/><boot dev='hd'/>", "", "vda:2 vdb: sda:1")]
    [DataRow("<boot dev='network'/>", "", "vda: vdb: sda:")]
    [DataRow("", "<boot order='7'/>", "vda: vdb:7 sda:")]
    public void libvirt_starts_strictly_and_gives_the_first_disk_of_a_kind_its_index(string os, string order, string expected)
    {
        QemuMachine machine = Document($"""
            <domain type='kvm'>
              <memory unit='GiB'>4</memory>
              <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type>{os}</os>
              <devices>
                <disk type='file' device='disk'><target dev='vdb' bus='virtio'/>{order}</disk>
                <disk type='file' device='disk'><target dev='vda' bus='virtio'/></disk>
                <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
                <interface type='network'><model type='virtio'/></interface>
              </devices>
            </domain>
            """).Guest.Qemu!.Machine;
        Assert.IsTrue(machine.IsBootStrict);
        QemuDevice[] virtio = [.. machine.Devices.Where(static device => device.Driver == "virtio-blk-pci")];
        QemuDevice cdrom = machine.Devices.Single(static device => device.Driver == "ide-cd");
        Assert.AreEqual(expected, $"vda:{virtio[1]["bootindex"]} vdb:{virtio[0]["bootindex"]} sda:{cdrom["bootindex"]}");
        Assert.AreEqual(os.Contains("network", System.StringComparison.Ordinal) ? "1" : null,
            machine.Devices.Single(static device => device.Driver == "virtio-net-pci")["bootindex"]);
    }
}
