// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Pci;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Guests.Qemu;

[TestClass]
public sealed class ProxmoxConfigTests
{
    private static QemuMachine Machine(string text) => QemuCommandLineTests.Read(text).Qemu!.Machine;

    private static string[] Devices(QemuMachine machine) =>
        [.. machine.Devices.Select(device =>
            string.Join(",", new[] { device.Driver }.Concat(device.Properties.Select(property => $"{property.Name}={property.Value}"))))];

    [TestMethod]
    public void A_conf_becomes_the_machine_that_Proxmox_starts()
    {
        GuestDocument document =
            QemuCommandLineTests.ReadDocument(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "kvm", "102.conf")));
        GuestSpec guest = document.Guest;
        QemuGuest qemu = guest.Qemu!;
        Assert.AreEqual(QemuDialect.Proxmox, qemu.Dialect);
        Assert.IsTrue(qemu.IsKvm);
        Assert.AreEqual("pc-q35-9.2", qemu.Machine.Type.ToString());
        Assert.AreEqual(16UL << 30, qemu.Machine.MemoryBytes);
        Assert.AreEqual("qemu64", qemu.Cpu.Model);
        Assert.AreEqual(FirmwareName.Ovmf, qemu.Firmware);
        Assert.AreEqual("pve-edk2-2023.02-4", qemu.Machine.Firmware.ToString());
        Assert.AreEqual("512G", qemu.Machine.Global("q35-pcihost", "pci-hole64-size"));
        Assert.AreEqual("none", qemu.Machine.Vga);
        Assert.AreEqual("0000:07:00.*", guest.Pci.Single().ToString());
        string[] devices = Devices(qemu.Machine);
        // The file's eighteen, the function of the host, and the display: no balloon.
        CollectionAssert.AreEqual(
            new[] { "vfio-pci,host=0000:07:00,id=hostpci0,bus=ich9-pcie-port-1,addr=0x0,rombar=0", "VGA,id=vga,bus=pcie.0,addr=0x1" }, devices[18..]);
        StringAssert.Contains(document.Remarks.Single(), "Proxmox VE gives by default");
    }

    [TestMethod]
    public void All_functions_of_a_device_that_is_named_without_one_are_handed_through()
    {
        PciDevice[] host =
        [
            new(PciAddress.Create(7, 0, 0), "", [new Bar(1, BarKind.Memory, 1UL << 38, (1UL << 38) + (16UL << 30), true, true)]),
            new(PciAddress.Create(7, 0, 1), "", [new Bar(0, BarKind.Memory, 0xf0000000, 0xf0004000, false, false)]),
        ];
        Assert.IsTrue(QemuCommandLineTests.Read("machine: q35\nmemory: 4096\nhostpci0: 07:00,pcie=1,rombar=0,x-vga=1\n").Qemu!.TryResolve(
            new() { Devices = [.. host] }, out QemuMachine machine, out _));
        QemuDevice[] given = [.. machine.Devices.Where(device => device.Driver == "vfio-pci")];
        Assert.AreEqual(("0x0.0", "on", "0"), (given[0]["addr"], given[0]["multifunction"], given[0]["rombar"]));
        Assert.AreEqual(("0x0.1", null, null), (given[1]["addr"], given[1]["multifunction"], given[1]["rombar"]));
        Assert.AreEqual(16UL << 30, given[0].Host!.Bars[0].SizeBytes);
        Assert.AreEqual(0x4000UL, given[1].Host!.Bars[0].SizeBytes);
        // A display that is passed through takes the place of the emulated one.
        Assert.IsFalse(machine.Devices.Any(device => device.Driver == "VGA"));
    }

    [TestMethod]
    public void On_a_pc_everything_sits_behind_PCI_at_slots_of_its_own()
    {
        QemuMachine machine = Machine("""
            #A comment: with a colon
            agent: 1
            boot: order=scsi0
            cores: 2
            cpu: host,flags=-pdpe1gb
            hostpci0: 0000:01:00.0
            hostpci4: 0000:02:00.0
            memory: 2048
            name: web
            net0: virtio=BC:24:11:00:00:01,bridge=vmbr0
            net7: model=e1000,macaddr=BC:24:11:00:00:02
            ostype: l26
            scsi0: local-lvm:vm-100-disk-0,iothread=1,size=32G
            scsihw: virtio-scsi-single
            sockets: 2
            usb0: host=1-2
            virtio1: local-lvm:vm-100-disk-1

            [before]
            memory: 1024
            """);
        Assert.AreEqual(4, machine.Cpus);
        Assert.AreEqual(2UL << 30, machine.MemoryBytes);
        Assert.IsFalse(machine.Cpu.HasGiBPages);
        Assert.AreEqual(FirmwareName.SeaBios, machine.Firmware.Name);
        CollectionAssert.AreEqual(
            new[]
            {
                "pci-bridge,id=pci.1,chassis_nr=1,bus=pci.0,addr=0x1e",
                "pci-bridge,id=pci.2,chassis_nr=2,bus=pci.0,addr=0x1f",
                "pci-bridge,id=pci.3,chassis_nr=3,bus=pci.0,addr=0x5",
                "piix3-usb-uhci,id=uhci,bus=pci.0,addr=0x1.0x2",
                "qemu-xhci,p2=15,p3=15,id=xhci,bus=pci.1,addr=0x1b",
                "vfio-pci,host=0000:01:00.0,id=hostpci0,bus=pci.0,addr=0x10",
                "vfio-pci,host=0000:02:00.0,id=hostpci4,bus=pci.2,addr=0xd",
                "VGA,id=vga,bus=pci.0,addr=0x2",
                "virtio-serial,id=qga0,bus=pci.0,addr=0x8",
                "virtio-balloon-pci,id=balloon0,bus=pci.0,addr=0x3",
                "virtio-scsi-pci,id=virtioscsi0,bus=pci.3,addr=0x1",
                "virtio-blk-pci,id=virtio1,bus=pci.0,addr=0xb",
                "virtio-net-pci,netdev=net0,bus=pci.0,addr=0x12,id=net0",
                "e1000,netdev=net7,bus=pci.1,addr=0x2,id=net7",
            },
            Devices(machine));
    }

    [TestMethod]
    public void The_fifth_device_of_the_host_gets_a_root_port_of_its_own()
    {
        string[] devices =
            Devices(Machine("machine: pc-q35-8.1\nmemory: 2048\nvga: none\nballoon: 0\nhostpci4: 02:00.0,pcie=1\nhostpci12: 03:00.0,pcie=1\n"));
        CollectionAssert.AreEqual(
            new[]
            {
                "pcie-root-port,id=ich9-pcie-port-5,addr=10.0,x-speed=16,x-width=32,multifunction=on,bus=pcie.0,port=5,chassis=5",
                "vfio-pci,host=02:00.0,id=hostpci4,bus=ich9-pcie-port-5,addr=0x0",
                "pcie-root-port,id=ich9-pcie-port-13,addr=11.0,x-speed=16,x-width=32,multifunction=on,bus=pcie.0,port=13,chassis=13",
                "vfio-pci,host=03:00.0,id=hostpci12,bus=ich9-pcie-port-13,addr=0x0",
            },
            devices[18..]);
    }

    [TestMethod]
    public void Memory_that_can_be_plugged_in_starts_with_one_gibibyte()
    {
        QemuMachine machine = Machine("memory: 4096\nnuma: 1\nhotplug: disk,network,usb,memory\ncpu: host\n");
        Assert.AreEqual((1UL << 30, 4UL << 40, 255), (machine.MemoryBytes, machine.MaxMemoryBytes, machine.MemorySlots));
        Assert.AreEqual(6, machine.Devices.Count(device => device.Driver == "pc-dimm"));
        Assert.AreEqual(3UL << 30, machine.MemoryObjects.Aggregate(0UL, (sum, memory) => sum + memory.SizeBytes));
    }

    [TestMethod]
    [DataRow("cpu: x86-64-v2-AES", 40)]
    [DataRow("cpu: EPYC,phys-bits=45", 45)]
    [DataRow("cpu: kvm64,phys-bits=host", 44)]
    [DataRow("cpu: host", 44)]
    [DataRow("bios: ovmf", 40)]
    public void The_address_width_is_the_model_s_or_the_host_s(string setting, int expected)
    {
        Assert.IsTrue(QemuCommandLineTests.Read($"memory: 512\n{setting}\n").Qemu!.TryResolve(new() { HostPhysBits = 44 }, out QemuMachine machine,
            out _));
        Assert.AreEqual(expected, machine.Cpu.PhysBits);
    }

    [TestMethod]
    [DataRow("memory: 512\nostype: win11\n", "pc-i440fx-5.1")]
    [DataRow("memory: 512\nostype: win11\nmachine: q35\nmeta: creation-qemu=9.2.0,ctime=1700000000\n", "pc-q35-9.2")]
    [DataRow("memory: 512\nostype: l26\nmachine: q35\n", "pc-q35-10.0")]
    public void Windows_keeps_the_machine_version_of_its_creation(string text, string expected) =>
        Assert.AreEqual(expected, Machine(text).Type.ToString());

    [TestMethod]
    [DataRow("ostype: win11\nmachine: q35\nmeta: creation-qemu=8.1.5,ctime=1700000000\n", "pc-q35-5.1", "8.1",
        "8.1 is assumed, under which the guest was created")]
    [DataRow("machine: pc-q35-7.2\nmeta: creation-qemu=9.0.2\n", "pc-q35-7.2", "9.0", "9.0 is assumed, under which the guest was created")]
    [DataRow("machine: pc-q35-9.2\nmeta: creation-qemu=8.1.5\n", "pc-q35-9.2", "9.2", "9.2 is assumed, that of the machine type")]
    [DataRow("machine: q35\nmeta: creation-qemu=10.1.2\n", "pc-q35-10.1", "10.1", "10.1 is assumed, under which the guest was created")]
    [DataRow("ostype: win11\nmachine: q35\n", "pc-q35-5.1", "5.1", "5.1 is assumed, that of the machine type")]
    public void QEMU_is_not_older_than_the_one_that_created_the_guest(string settings, string type, string emulator, string told)
    {
        Assert.IsTrue(QemuCommandLineTests.Read($"memory: 512\n{settings}").Qemu!.TryResolve(QemuSurroundings.Unknown, out QemuMachine machine,
            out var assumptions));
        Assert.AreEqual((type, emulator), (machine.Type.ToString(), machine.Emulator.ToString()));
        Assert.AreEqual($"QEMU's release is not told: {told}", assumptions.Single(static one => one.Unknown == QemuUnknown.Emulator).Message);
    }

    [TestMethod]
    public void A_mapping_is_said_to_name_a_device_that_the_file_does_not_tell()
    {
        GuestDocument document = QemuCommandLineTests.ReadDocument("machine: q35\nmemory: 512\nhostpci0: mapping=gpu,pcie=1\n");
        StringAssert.StartsWith(document.Remarks[0], "line 3: which device the mapping \"gpu\" means");
        Assert.IsTrue(document.Guest.Qemu!.Machine.Devices.Any(device => device.Driver == "vfio-pci"));
    }

    [TestMethod]
    [DataRow("memory: lots\n", "100.conf:1: memory \"lots\" is not a valid number of MiB")]
    [DataRow("memory: 512\nhostpci0: 01:00.0,pcie=1\n", "100.conf:2: hostpci0 has pcie=1 and the machine is not a q35")]
    [DataRow("memory: 512\nhostpci0: 01:00.zz\n", "100.conf:2: \"01:00.zz\" is not a valid PCI address")]
    [DataRow("memory: 512\nnonsense\n", "100.conf:2: \"nonsense\" is not a valid setting")]
    [DataRow("memory: 512\nmachine: virt\n", "100.conf:2: the machine type \"virt\"")]
    [DataRow("memory: 512\nargs: -device \"foo\n", "100.conf:2: the quote is never closed that begins in \"\"foo")]
    [DataRow("memory: 512\nargs: -device vfio-pci,host=zz:00.0\n", "100.conf:2: \"zz:00.0\" is not a valid PCI address")]
    [DataRow("memory: 512\nargs: -device '{'\n", "100.conf:2: \"{\" is malformed JSON")]
    public void What_cannot_be_read_is_one_line_with_its_place(string text, string start)
    {
        Assert.IsFalse(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "100.conf").TryGet(out _, out InputError? error));
        StringAssert.StartsWith(error!.ToString(), start);
    }
}
