// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Guests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Guests.Qemu;

[TestClass]
public sealed class QemuMachineTests
{
    [TestMethod]
    [DataRow("pc", "pc-i440fx-10.0")]
    [DataRow("q35", "pc-q35-10.0")]
    [DataRow("pc-q35-7.2", "pc-q35-7.2")]
    [DataRow("pc-i440fx-2.11", "pc-i440fx-2.11")]
    [DataRow("pc-q35-9.0+pve0", "pc-q35-9.0")]
    [DataRow("pc-i440fx-jammy-v2", "pc-i440fx-6.2")]
    [DataRow("pc-q35-rhel9.2.0", "pc-q35-7.2")]
    [DataRow("pc-1.3", "pc-i440fx-1.3")]
    [DataRow("microvm", null)]
    [DataRow("pc-q35-", null)]
    [DataRow("pc-q35-7", null)]
    [DataRow("pc-q35-7.x", null)]
    [DataRow("pc-q35-7.2x", null)]
    [DataRow("pc-q35-99999.1", null)]
    [DataRow("", null)]
    public void A_machine_type_is_a_board_with_the_release_that_it_keeps(string name, string? expected)
    {
        bool isOne = QemuMachineType.TryParse(name, new QemuVersion(10, 0), out QemuMachineType type);
        Assert.AreEqual(expected, isOne ? type.ToString() : null);
    }

    [TestMethod]
    [DataRow("seabios-1.16.3", "seabios-1.16.3")]
    [DataRow("seabios-1.17", "seabios-1.17.0")]
    [DataRow("seabios-1.16.3-debian-1.16.3-2", "seabios-1.16.3")]
    [DataRow("ovmf-2022.11", "ovmf-2022.11")]
    [DataRow("ovmf-2025.02-8", "ovmf-2025.02-8")]
    [DataRow("pve-edk2-2025.02", "pve-edk2-2025.02")]
    [DataRow("pve-edk2-firmware-4.2025.02-4", "pve-edk2-2025.02-4")]
    [DataRow("pve-edk2-firmware-3.20230228-4", "pve-edk2-2023.02-4")]
    [DataRow("lxd-edk2-2023.11", "lxd-edk2-2023.11")]
    [DataRow("ovmf-2025.02-8ubuntu3", "ovmf-2025.02-8")]
    [DataRow("edk2-stable202502", "edk2-stable202502")]
    [DataRow("edk2-ovmf-20221207gitfff6d81270b5-9.el9_2", "edk2-stable202211")]
    [DataRow("edk2-ovmf-20220126gitbb1bba3d77-13.el8_10.noarch", "edk2-stable202111")]
    [DataRow("edk2-ovmf-20190308git89910a39dcfd-6.el8", "edk2-stable201903")]
    [DataRow("edk2-ovmf-20250812-24.fc43.noarch", "edk2-stable202508")]
    [DataRow("edk2-ovmf-202311221", null)]
    [DataRow("edk2-ovmf-20231322-6.el9", null)]
    [DataRow("edk2-stable2025", null)]
    [DataRow("edk2-stable202513", null)]
    [DataRow("ovmf-2025", null)]
    [DataRow("ovmf-2025.13", null)]
    [DataRow("ovmf", null)]
    [DataRow("coreboot-4.1", null)]
    public void A_firmware_is_named_by_its_release(string text, string? expected)
    {
        bool isOne = QemuFirmware.TryParse(text, out QemuFirmware firmware);
        Assert.AreEqual(expected, isOne ? firmware.ToString() : null);
    }

    [TestMethod]
    [DataRow("EPYC-Rome-v2", CpuVendor.Amd, true, true)]
    [DataRow("qemu64", CpuVendor.Amd, true, false)]
    [DataRow("Haswell-noTSX", CpuVendor.Intel, true, false)]
    [DataRow("Skylake-Client-v3", CpuVendor.Intel, true, false)]
    [DataRow("Skylake-Server-IBRS", CpuVendor.Intel, true, true)]
    [DataRow("Dhyana", CpuVendor.Other, true, true)]
    [DataRow("pentium3-v1", CpuVendor.Intel, false, false)]
    public void A_processor_model_has_a_vendor_and_may_have_GiB_pages(string name, CpuVendor vendor, bool is64Bit, bool hasGiBPages)
    {
        Assert.IsTrue(QemuCpuModel.TryFind(name, out QemuCpuModel model));
        Assert.AreEqual(new QemuCpuModel(vendor, is64Bit, hasGiBPages), model);
    }

    [TestMethod]
    public void Of_a_property_that_is_set_twice_the_last_counts()
    {
        var device = new QemuDevice("pci-testdev", [new("membar", "1G"), new("membar", "2G")]);
        Assert.AreEqual("2G", device["membar"]);
        Assert.IsNull(device["bus"]);
    }
}
