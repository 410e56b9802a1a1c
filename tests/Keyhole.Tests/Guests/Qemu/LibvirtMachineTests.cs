// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Planning;
using Keyhole.Platforms;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Guests.Qemu;

/// <summary>libvirt's XML of a KVM guest becomes the machine that its QEMU driver starts.</summary>
[TestClass]
public sealed class LibvirtMachineTests
{
    private static string Xml(string inside, string machine = "pc-q35-8.2",
        string devices = "<memballoon model='none'/><controller type='usb' model='none'/>", string namespaces = "") =>
        $"<domain type='kvm'{namespaces}><name>g</name><memory unit='GiB'>4</memory><vcpu>2</vcpu><os><type arch='x86_64' machine='"
            + $"{machine}'>hvm</type></os>{inside}<devices>{devices}</devices></domain>";

    private static Parsed<GuestDocument> TryRead(string text) => GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "guest.xml");

    private static GuestDocument ReadDocument(string text)
    {
        Assert.IsTrue(TryRead(text).TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());
        return guest;
    }

    private static GuestSpec Read(string text) => ReadDocument(text).Guest;

    private static QemuMachine Machine(string text) => Read(text).Qemu!.Machine;

    private static string[] Devices(QemuMachine machine) =>
        [.. machine.Devices.Select(device =>
            string.Join(",", new[] { device.Driver }.Concat(device.Properties.Select(property => $"{property.Name}={property.Value}"))))];

    [TestMethod]
    public void A_domain_with_its_addresses_is_the_machine_that_libvirt_starts()
    {
        GuestDocument document = ReadDocument(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "kvm", "libvirt-gpu.xml")));
        GuestSpec guest = document.Guest;
        QemuGuest qemu = guest.Qemu!;
        Assert.AreEqual(QemuDialect.Libvirt, qemu.Dialect);
        Assert.IsTrue(qemu.IsKvm);
        Assert.IsTrue(qemu.Machine.IsKvm);
        Assert.AreEqual("pc-q35-7.2", qemu.Machine.Type.ToString());
        Assert.AreEqual("ovmf-2022.11", qemu.Machine.Firmware.ToString());
        Assert.AreEqual("host", qemu.Cpu.Model);
        Assert.AreEqual(16UL << 30, qemu.Machine.MemoryBytes);
        Assert.AreEqual(8, qemu.Machine.Cpus);
        Assert.AreEqual("1073741824K", qemu.Machine.Global("q35-pcihost", "pci-hole64-size"));
        Assert.AreEqual("none", qemu.Machine.Vga);
        Assert.AreEqual("0000:01:00.0,seize=1", guest.Pci.Single().ToString());
        CollectionAssert.AreEqual(
            new[]
            {
                "pcie-root-port,id=pci.1,chassis=1,bus=pcie.0,multifunction=on,addr=0x2.0x0",
                "pcie-root-port,id=pci.2,chassis=2,bus=pcie.0,addr=0x2.0x1",
                "pcie-root-port,id=pci.3,chassis=3,bus=pcie.0,addr=0x2.0x2",
                "pcie-root-port,id=pci.4,chassis=4,bus=pcie.0,addr=0x2.0x3",
                "qemu-xhci,id=usb,bus=pci.2,addr=0x0.0x0",
                "virtio-blk-pci,id=virtio-disk0,bootindex=1,bus=pci.3,addr=0x0.0x0",
                "virtio-net-pci,id=net0,bus=pci.1,addr=0x0.0x0",
                "virtio-vga,id=video0,bus=pcie.0,addr=0x1.0x0",
                "vfio-pci,host=0000:01:00.0,id=hostdev0,bus=pci.4,addr=0x0.0x0",
            },
            Devices(qemu.Machine));
        Assert.IsEmpty(document.Remarks);
    }

    [TestMethod]
    public void Where_no_address_stands_each_express_device_gets_a_port_in_libvirts_order_and_one_port_is_spare()
    {
        GuestDocument document = ReadDocument(Xml("", "pc-q35-8.2", """
            <disk type='file' device='disk'><target dev='vda' bus='virtio'/></disk>
            <interface type='network'><model type='virtio'/></interface>
            <interface type='network'/>
            <video><model type='vga' vram='32768'/></video>
            <hostdev mode='subsystem' type='pci'><source><address bus='0x01' slot='0' function='0'/></source></hostdev>
            """));
        GuestSpec guest = document.Guest;
        CollectionAssert.AreEqual(
            new[]
            {
                "pcie-root-port,id=pci.1,chassis=1,bus=pcie.0,multifunction=on,addr=0x2.0x0",
                "pcie-pci-bridge,id=pci.2,bus=pci.1,addr=0x0.0x0",
                "pcie-root-port,id=pci.3,chassis=3,bus=pcie.0,addr=0x2.0x1",
                "pcie-root-port,id=pci.4,chassis=4,bus=pcie.0,addr=0x2.0x2",
                "pcie-root-port,id=pci.5,chassis=5,bus=pcie.0,addr=0x2.0x3",
                "pcie-root-port,id=pci.6,chassis=6,bus=pcie.0,addr=0x2.0x4",
                "pcie-root-port,id=pci.7,chassis=7,bus=pcie.0,addr=0x2.0x5",
                "pcie-root-port,id=pci.8,chassis=8,bus=pcie.0,addr=0x2.0x6",
                "qemu-xhci,id=usb,bus=pci.4,addr=0x0.0x0",
                "virtio-blk-pci,id=virtio-disk0,bootindex=1,bus=pci.5,addr=0x0.0x0",
                "virtio-net-pci,id=net0,bus=pci.3,addr=0x0.0x0",
                "rtl8139,id=net1,bus=pci.2,addr=0x1.0x0",
                "VGA,vgamem_mb=32,id=video0,bus=pcie.0,addr=0x1.0x0",
                "vfio-pci,host=0000:01:00.0,id=hostdev0,bus=pci.6,addr=0x0.0x0",
                "virtio-balloon-pci,id=balloon0,bus=pci.7,addr=0x0.0x0",
            },
            Devices(guest.Qemu!.Machine));
        Assert.Contains("those that libvirt assigns are taken", document.Remarks.Single());
    }

    [TestMethod]
    public void On_a_pc_devices_get_the_slots_of_the_root_bus()
    {
        string[] devices = Devices(Machine(Xml("", "pc-i440fx-6.2", """
            <disk type='file' device='disk'><target dev='hda' bus='ide'/></disk>
            <interface type='bridge'><model type='e1000'/></interface>
            <video><model type='cirrus'/></video>
            <hostdev mode='subsystem' type='pci'><source><address bus='0x01' slot='0' function='0'/></source><rom bar='off'/></hostdev>
            """)));
        CollectionAssert.AreEqual(
            new[]
            {
                "piix3-usb-uhci,id=usb,bus=pci.0,addr=0x1.0x2",
                "ide-hd,bus=ide.0,bootindex=1",
                "e1000,id=net0,bus=pci.0,addr=0x3.0x0",
                "cirrus-vga,id=video0,bus=pci.0,addr=0x2.0x0",
                "vfio-pci,host=0000:01:00.0,id=hostdev0,rombar=0,bus=pci.0,addr=0x4.0x0",
                "virtio-balloon-pci,id=balloon0,bus=pci.0,addr=0x5.0x0",
            },
            devices);
    }

    [TestMethod]
    [DataRow("<cpu mode='host-passthrough'/>", "host", 46)]
    [DataRow("<cpu mode='host-passthrough'><maxphysaddr mode='passthrough' limit='39'/></cpu>", "host", 39)]
    [DataRow("<cpu mode='host-passthrough'><maxphysaddr mode='emulate' bits='42'/></cpu>", "host", 42)]
    [DataRow("<cpu mode='host-model'/>", "host", 40)]
    [DataRow("<cpu mode='host-model'><maxphysaddr mode='passthrough'/></cpu>", "host", 46)]
    [DataRow("<cpu mode='custom' match='exact'><model>Skylake-Server-IBRS</model></cpu>", "Skylake-Server-IBRS", 40)]
    [DataRow("", "qemu64", 40)]
    public void The_address_width_follows_the_mode_of_the_processor_and_maxphysaddr(string cpu, string model, int bits)
    {
        QemuGuest guest = Read(Xml(cpu)).Qemu!;
        Assert.AreEqual(model, guest.Cpu.Model);
        Assert.IsTrue(guest.TryResolve(new() { HostPhysBits = 46, HostVendor = CpuVendor.Intel }, out QemuMachine machine, out _));
        Assert.AreEqual(bits, machine.Cpu.PhysBits);
    }

    [TestMethod]
    public void Memory_that_can_be_plugged_in_and_modules_are_told_to_QEMU_as_libvirt_does()
    {
        QemuMachine machine = Machine("""
            <domain type='kvm'><name>g</name><maxMemory slots='16' unit='GiB'>64</maxMemory><memory unit='GiB'>6</memory><currentMemory unit='GiB'>1</currentMemory>
            <os><type arch='x86_64' machine='pc-q35-8.2'>hvm</type></os>
            <devices><memory model='dimm'><target><size unit='GiB'>2</size><node>0</node></target></memory></devices></domain>
            """);
        Assert.AreEqual((4UL << 30, 64UL << 30, 16), (machine.MemoryBytes, machine.MaxMemoryBytes, machine.MemorySlots));
    }

    [TestMethod]
    [DataRow("<memory unit='GiB'>8</memory><cpu><numa><cell id='0' cpus='0' memory='2' unit='GiB'/><cell id='1' memory='1048576'/></numa></cpu>", 3UL,
        "<memory> is 8 GiB, and the cells of <numa> are 3 GiB: libvirt takes that, when the guest is defined")]
    [DataRow("<memory unit='GiB'>3</memory><cpu><numa><cell id='0' cpus='0' memory='3' unit='GiB'/></numa></cpu>", 3UL, null)]
    [DataRow("<memory unit='GiB'>3</memory><cpu><numa><cell id='0' cpus='0'/></numa></cpu>", 3UL, null)]
    public void A_guest_has_the_memory_of_its_NUMA_cells(string xml, ulong expectedGiB, string? remark)
    {
        GuestDocument document = ReadDocument($"<domain type='kvm'><name>g</name>{xml}<os><type arch='x86_64' machine='pc-q35-8.2'>hvm</type></os></domain>");
        Assert.AreEqual(expectedGiB << 30, document.Guest.Qemu!.Machine.MemoryBytes);
        Assert.AreEqual(remark, document.Remarks.SingleOrDefault(static text => text.Contains("<numa>", StringComparison.Ordinal)));
    }

    private const string Module = "<memory model='dimm'><target><size unit='GiB'>2</size><node>0</node></target>{0}</memory>";

    [TestMethod]
    [DataRow("<memory unit='GiB'>1</memory><maxMemory slots='2' unit='GiB'>8</maxMemory>", 1,
        "Total size of memory devices exceeds the total memory size (<memory> counts them in)", null)]
    [DataRow("<memory unit='GiB'>4</memory><maxMemory slots='2' unit='GiB'>3</maxMemory>", 1,
        "maximum memory size must be equal or greater than the actual memory size (<memory> counts the modules in)",
        "write <maxMemory slots='2' unit='GiB'>4</maxMemory>")]
    [DataRow("<memory unit='GiB'>4</memory>", 1, "cannot use/hotplug a memory device when domain 'maxMemory' is not defined",
        "write <maxMemory slots='1' unit='GiB'>4</maxMemory>")]
    [DataRow("<memory unit='GiB'>6</memory><maxMemory slots='1' unit='GiB'>8</maxMemory>", 2,
        "count of memory devices requiring memory slots '2' exceeds slots count '1'", "write <maxMemory slots='2' unit='GiB'>8</maxMemory>")]
    [DataRow("<memory unit='GiB'>4</memory><maxMemory slots='2' unit='GiB'>8</maxMemory>", 1, null, null)]
    [DataRow("<memory unit='GiB'>4</memory><maxMemory slots='2' unit='GiB'>8</maxMemory>", -1,
        "memory device slot '3' exceeds slots count '2'", "write <maxMemory slots='4' unit='GiB'>8</maxMemory>")]
    [DataRow("<memory unit='GiB'>6</memory><maxMemory slots='4' unit='GiB'>8</maxMemory>", -2,
        "memory device slot '3' is already being used by another memory device", null)]
    public void Memory_that_libvirt_refuses_is_refused_in_its_words(string memory, int modules, string? words, string? remedy)
    {
        string address = modules < 0 ? "<address type='dimm' slot='3'/>" : "";
        string xml = $"<domain type='qemu'><name>g</name>{memory}<os><type arch='x86_64' machine='pc-q35-8.2'>hvm</type></os><devices>"
            + string.Concat(Enumerable.Repeat(Module.Replace("{0}", address, StringComparison.Ordinal), Math.Abs(modules)))
            + "</devices></domain>";
        Assert.AreEqual((words is null ? null : $"libvirt refuses to start the guest: {words}", remedy), RefusalOf(xml));
    }

    [TestMethod]
    [DataRow("4", "sockets='1' cores='2' threads='1'", "CPU topology doesn't match maximum vcpu count (<vcpu> is 4, and sockets, dies, clusters, cores "
        + "and threads of <topology> make 2)")]
    [DataRow("4", "sockets='1' dies='2' cores='2' threads='1'", null)]
    [DataRow("256", "", "Maximum CPUs greater than specified machine type limit 255")]
    [DataRow("255", "", null)]
    public void Processors_that_libvirt_refuses_are_refused_in_its_words(string count, string topology, string? words)
    {
        string cpu = topology.Length > 0 ? $"<cpu><topology {topology}/></cpu>" : "";
        string xml = $"<domain type='qemu'><name>g</name><memory unit='GiB'>1</memory><vcpu>{count}</vcpu>{cpu}"
            + "<os><type arch='x86_64' machine='pc-i440fx-8.2'>hvm</type></os></domain>";
        Assert.AreEqual(words is null ? null : $"libvirt refuses to start the guest: {words}", RefusalOf(xml).Message);
    }

    private static (string? Message, string? Remedy) RefusalOf(string xml)
    {
        var scenario = new Scenario { Host = Keyhole.Hosts.Host.Unknown, Guest = Read(xml) };
        Problem? problem = Planner.Plan(scenario).Problems.SingleOrDefault(static problem => problem.Code == ProblemCodes.GuestDoesNotStart);
        return (problem?.Message.ToString(), problem?.Remedy?.ToString());
    }

    [TestMethod]
    public void Arguments_that_are_handed_through_count()
    {
        QemuMachine machine = Machine(Xml(
            "<qemu:commandline><qemu:arg value='-fw_cfg'/><qemu:arg value='name=opt/ovmf/X-PciMmio64Mb,string=262144'/><qemu:arg "
                + "value='-global'/><qemu:arg value='pcie-root-port.hotplug=off'/></qemu:commandline>"
            + "<qemu:override><qemu:device alias='hostdev0'><qemu:frontend><qemu:property name='rombar' type='unsigned' "
            + "value='0'/></qemu:frontend></qemu:device></qemu:override>",
            devices: "<hostdev mode='subsystem' type='pci'><source><address bus='0x01' slot='0' function='0'/></source></hostdev>",
            namespaces: " xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"));
        Assert.AreEqual("262144", machine.FwCfgValue("opt/ovmf/X-PciMmio64Mb"));
        Assert.AreEqual("off", machine.Global("pcie-root-port", "hotplug"));
        Assert.AreEqual("0", machine.Devices.Single(static device => device.Driver == "vfio-pci")["rombar"]);
    }

    [TestMethod]
    [DataRow("<os firmware='efi'>", FirmwareName.Ovmf)]
    [DataRow("<os firmware='bios'>", FirmwareName.SeaBios)]
    [DataRow("<os>", FirmwareName.SeaBios)]
    public void Which_firmware_libvirt_chooses_is_known(string os, FirmwareName firmware) =>
        Assert.AreEqual(firmware, Read(Xml("").Replace("<os>", os, StringComparison.Ordinal)).Qemu!.Firmware);

    [TestMethod]
    public void What_a_port_is_to_keep_for_hotplug_is_told_in_KiB() => CollectionAssert.Contains(
        Devices(Machine(Xml("", devices: """
            <controller type='usb' model='none'/><memballoon model='none'/>
            <controller type='pci' index='1' model='pcie-root-port'><target chassis='1' memReserve='15872'/><address type='pci' bus='0x00' slot='0x05'/></controller>
            """))),
        "pcie-root-port,id=pci.1,chassis=1,mem-reserve=15872K,bus=pcie.0,addr=0x5.0x0");

    [TestMethod]
    public void A_port_without_hotplug_is_one()
    {
        string[] devices = Devices(Machine(Xml("", devices: """
            <controller type='usb' model='none'/><memballoon model='none'/>
            <controller type='pci' index='1' model='pcie-root-port'><target chassis='7' port='0x8' hotplug='off'/><address type='pci' bus='0x00' slot='0x05' function='0x0'/></controller>
            <controller type='pci' index='2' model='pcie-expander-bus'><target busNr='128'/><address type='pci' bus='0x00' slot='0x06' function='0x0'/></controller>
            <controller type='pci' index='3' model='pcie-root-port'><address type='pci' bus='0x02' slot='0x00' function='0x0'/></controller>
            """)));
        CollectionAssert.AreEqual(
            new[]
            {
                "pcie-root-port,id=pci.1,chassis=7,hotplug=off,bus=pcie.0,addr=0x5.0x0",
                "pxb-pcie,id=pci.2,bus_nr=128,bus=pcie.0,addr=0x6.0x0",
                "pcie-root-port,id=pci.3,chassis=3,bus=pci.2,addr=0x0.0x0",
            },
            devices);
    }

    [TestMethod]
    [DataRow("<domain type='kvm'><name>g</name><memory>1</memory><os>\n<type arch='aarch64' machine='virt'>hvm</type></os></domain>",
        "guest.xml:2: the architecture \"aarch64\", which is not x86")]
    [DataRow("<domain type='kvm'><name>g</name><memory>1</memory><os>\n<type machine='microvm'>hvm</type></os></domain>",
        "guest.xml:2: the machine type \"microvm\"")]
    public void What_is_no_PC_is_an_error_with_its_line(string xml, string words)
    {
        Assert.IsFalse(TryRead(xml).TryGet(out _, out InputError? error));
        Assert.Contains(words, error.ToString());
    }

    [TestMethod]
    public void Another_size_than_the_configurations_is_the_machines()
    {
        GuestSpec guest = Read(Xml("")).WithMemory(8UL << 20);
        Assert.AreEqual(8UL << 30, guest.Qemu!.Machine.MemoryBytes);
        Assert.AreEqual((8UL << 20, 8UL << 20), (guest.MemoryKiB, guest.MaxmemKiB));
    }

    [TestMethod]
    public void A_log_of_libvirt_may_be_longer_than_any_other_guest()
    {
        const string start =
            "2026-01-01 10:00:00.000+0000: starting up libvirt version: 9.0.0, qemu version: 7.2.0, kernel: 6.1.0, hostname: "
                + "h\n/usr/bin/qemu-system-x86_64 -name guest=g -machine q35 -m 2G\n";
        string log = string.Concat(Enumerable.Repeat(start, 1 + (3 * 1024 * 1024 / start.Length)));
        Assert.AreEqual(2UL << 20, Read(log).MemoryKiB);
        Assert.IsFalse(TryRead(string.Concat(Enumerable.Repeat(start, 1 + (9 * 1024 * 1024 / start.Length)))).TryGet(out _, out InputError? error));
        Assert.Contains("longer than 8 MiB", error.ToString());
    }

    [TestMethod]
    [DataRow("<interface type='network'><model type='virtio'/></interface>", "no PCI slot is left")]
    [DataRow("<interface type='network'/>", null)]
    [DataRow("<controller type='usb' index='1' model='ich9-uhci2'/>", null)]
    public void Two_thousand_devices_are_read_or_refused_at_once(string device, string? words)
    {
        var watch = System.Diagnostics.Stopwatch.StartNew();
        Parsed<GuestDocument> read = TryRead(Xml("", devices: string.Concat(Enumerable.Repeat(device, 2000))));
        Assert.AreEqual(words is null, read.TryGet(out _, out InputError? error), error?.ToString());
        if (words is not null)
            Assert.Contains(words, error!.ToString());
        Assert.IsLessThan(20, watch.Elapsed.TotalSeconds);
        Assert.IsFalse(TryRead(Xml("", devices: string.Concat(Enumerable.Repeat(device, 3000)))).TryGet(out _, out error));
        Assert.Contains("more than 2048 devices", error!.ToString());
    }

    [TestMethod]
    [DataRow("pc-q35-jammy-hpb", 46, 46)]
    [DataRow("pc-q35-rhel9.2.0", 46, 46)]
    [DataRow("pc-q35-rhel9.2.0", 52, 48)]
    [DataRow("pc-q35-jammy", 46, 40)]
    [DataRow("pc-q35-7.2", 46, 40)]
    public void With_libvirt_s_host_model_the_machine_type_decides_whether_the_width_is_the_host_s(string type, int hostBits, int expected)
    {
        GuestSpec guest = QemuCommandLineTests.Read(
            $"<domain type='kvm'><name>a</name><memory unit='GiB'>4</memory><os><type machine='{type}'>hvm</type></os><cpu mode='host-model'/></domain>");
        Assert.IsTrue(guest.Qemu!.TryResolve(new() { HostPhysBits = hostBits }, out QemuMachine machine, out _));
        Assert.AreEqual(expected, machine.Cpu.PhysBits);
    }
}
