// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
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

/// <summary>Builds of OVMF that Proxmox VE and LXD bring along.</summary>
[TestClass]
public sealed class ProductFirmwareTests
{
    private const string Large = "efidisk0: local-lvm:vm-101-disk-0,efitype=4m,size=4M";
    private const string Small = "efidisk0: local-lvm:vm-101-disk-0,size=4M";
    private const string Window = "args: -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=65536";
    private const string LxdsFile = "/snap/lxd/current/share/qemu//OVMF_CODE.4MB.fd";

    private static Scenario ScenarioOf(string guest, int iommuBits, int barGiB, string? qemu) => new()
    {
        Host = Host.Unknown with
        {
            Traits = new() { CpuVendor = "GenuineIntel", PhysicalAddressBits = 46, IommuAddressBits = iommuBits, HasGiBPages = true },
        },
        Guest = QemuCommandLineTests.Read(guest),
        Qemu = new()
        {
            Bars = [BarRequest.Create(1, (ulong)barGiB << 30, BarType.Memory64Prefetchable)],
            Emulator = qemu is null ? null : QemuVersion.TryParse(qemu, out QemuVersion version) ? version : default,
        },
    };

    /// <summary>A guest of Proxmox VE on a desktop whose processor has 46 bits and whose IOMMU has 39.</summary>
    private static Scenario Proxmoxs(string? qemu, params string[] lines) => ScenarioOf(
        string.Join('\n', ["bios: ovmf", "cpu: host", "hostpci0: 0000:01:00.0,pcie=1", "machine: pc-q35-9.2+pve1", "memory: 65536", .. lines]) + "\n",
        39, 32, qemu);

    private static Scenario Lxds(string? qemu) => ScenarioOf(
        "/snap/lxd/1/bin/qemu-system-x86_64 -machine q35,accel=kvm -cpu host -nodefaults -m 16G -device pcie-root-port,id=p "
            + $"-drive if=pflash,unit=0,readonly=on,file={LxdsFile} -device vfio-pci,host=01:00.0,bus=p", 46, 64, qemu);

    private static string FirmwareOf(Scenario scenario)
    {
        Assert.IsTrue(scenario.Guest.Qemu!.TryResolve(scenario.Qemu, out QemuMachine machine, out _));
        return string.Join(' ', machine.OtherFirmware.Prepend(machine.Firmware));
    }

    private static SettingComparison Compared(Scenario scenario) => Planner.PlatformOf(scenario).CompareSettings(scenario)!;

    /// <summary>Distributions that build edk2 themselves and of which no table says beside which QEMU: QEMU's own is assumed, and no more.</summary>
    [TestMethod]
    [DataRow("/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "edk2-stable202202 edk2-stable202211 edk2-stable202505")]
    [DataRow("/usr/share/OVMF/x64/OVMF_CODE.4m.fd", "edk2-stable202202 edk2-stable202211 edk2-stable202505")]
    [DataRow("/usr/share/qemu/ovmf-x86_64-4m-code.bin", "edk2-stable202202 edk2-stable202211 edk2-stable202505")]
    [DataRow("/run/libvirt/nix-ovmf/OVMF_CODE.fd", "edk2-stable202202 edk2-stable202211 edk2-stable202505")]
    [DataRow("/usr/share/qemu/edk2-x86_64-code.fd", "edk2-stable202202")]
    [DataRow("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf-2022.11")]
    public void Red_Hats_and_Archs_builds_are_not_taken_for_Debians(string file, string firmware) => Assert.AreEqual(firmware, FirmwareOf(ScenarioOf(
        "qemu-system-x86_64 -machine q35,accel=kvm -cpu host -nodefaults -m 16G -device pcie-root-port,id=p "
            + $"-drive if=pflash,unit=0,readonly=on,file={file} -device vfio-pci,host=01:00.0,bus=p", 46, 64, "7.2")));

    /// <summary>Red Hat's machine types tell the least QEMU that the host has, the package's name the very one.</summary>
    [TestMethod]
    [DataRow("pc-q35-rhel8.6.0", "", "from edk2-stable202111 to edk2-stable202511")]
    [DataRow("pc-q35-rhel9.2.0", "", "from edk2-stable202211 to edk2-stable202511")]
    [DataRow("pc-q35-rhel9.2.0", "7.2.0qemu-kvm-7.2.0-14.el9_2", "edk2-stable202211")]
    [DataRow("pc-q35-rhel9.4.0", "8.2.0qemu-kvm-8.2.0-11.el9_4.3", "edk2-stable202311")]
    [DataRow("pc-q35-rhel9.4.0", "10.1.0qemu-kvm-10.1.0-17.el9_8.5", "from edk2-stable202411 to edk2-stable202511")]
    [DataRow("pc-q35-8.2", "8.2.2qemu-8.2.2-1.fc40", "from edk2-stable202311 to edk2-stable202408")]
    [DataRow("pc-q35-9.2", "9.2.3qemu-9.2.3-1.fc42", "from edk2-stable202502 to edk2-stable202508")]
    public void Red_Hat_s_and_Fedora_s_firmware_is_the_one_that_they_ship_beside_that_QEMU(string machine, string version, string expected)
    {
        string[] firmware = FirmwareOf(ScenarioOf(
            (version.Length > 0 ? $"2026-01-01 10:00:00.000+0000: starting up libvirt version: 9.0.0, qemu version: {version}, kernel: 5.14.0\n" : "")
                + $"/usr/libexec/qemu-kvm -machine {machine},accel=kvm -cpu host -nodefaults -m 16G -device pcie-root-port,id=p "
                + "-drive if=pflash,unit=0,readonly=on,file=/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd -device vfio-pci,host=01:00.0,bus=p",
            46, 64, null)).Split(' ');

        Assert.AreEqual(expected, firmware.Length == 1 ? firmware[0] : $"from {firmware[0]} to {firmware[^1]}");
    }

    private static string CommandWith(string file, string more = "") =>
        $"qemu-system-x86_64 -machine q35,accel=kvm -cpu host -nodefaults -m 4G -drive if=pflash,unit=0,readonly=on,file={file} {more}";

    [TestMethod]
    [DataRow("/usr/share/ovmf/OVMF.amdsev.fd")]
    [DataRow("/usr/share/edk2/ovmf/OVMF.inteltdx.secboot.fd")]
    [DataRow("/usr/share/qemu/ovmf-x86_64-sev.bin")]
    [DataRow("/usr/share/qemu/OVMF.tdx.fd")]
    public void Of_a_build_for_confidential_guests_no_map_is_known(string file)
    {
        Plan plan = Planner.Plan(ScenarioOf(CommandWith(file), 46, 1, "8.2"));
        Problem problem = plan.Problems.Single(static problem => problem.Code == ProblemCodes.MapNotKnown);
        Assert.Contains("is OVMF as it is built for confidential guests (SEV, TDX), which lays its map by rules of its own", problem.Message.ToString());
        Assert.IsNull(problem.Remedy);
    }

    [TestMethod]
    [DataRow("8.2", "-fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=65536", true)]
    [DataRow("9.0", "-fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=65536", true)]
    [DataRow("8.2", "", false)]
    [DataRow("7.2", "-fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=65536", false)]
    [DataRow("10.0", "-fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=65536", false)]
    public void That_Ubuntu_s_updates_take_a_smaller_window_is_told_where_one_is_asked_for(string qemu, string option, bool isTold)
    {
        Plan plan = Planner.Plan(ScenarioOf(CommandWith("/usr/share/OVMF/OVMF_CODE_4M.ms.fd", option), 46, 1, qemu));
        Assert.AreEqual(isTold, plan.Problems.Any(static problem => problem.Message.ToString().StartsWith("Ubuntu's later updates of ovmf-2024.0",
            System.StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow("7.0", Large, "pve-edk2-2022.05 pve-edk2-2021.08")]
    [DataRow("8.0", Large, "pve-edk2-2023.02-4")]
    [DataRow("9.0", Large, "pve-edk2-2023.08")]
    [DataRow("9.2", Large, "pve-edk2-2025.02 pve-edk2-2025.05")]
    [DataRow("10.0", Large, "pve-edk2-2025.02 pve-edk2-2025.05")]
    [DataRow("10.1", Large, "pve-edk2-2025.05")]
    [DataRow(null, Large, "pve-edk2-2025.02 pve-edk2-2025.05")]
    [DataRow("9.2", Small, "pve-edk2-2023.02-4")]
    [DataRow("10.1", "scsihw: virtio-scsi-single", "pve-edk2-2023.02-4")]
    [DataRow("6.2", Small, "pve-edk2-2021.08")]
    public void Proxmox_s_firmware_is_the_one_that_it_shipped_beside_that_QEMU(string? qemu, string efidisk, string expected) =>
        Assert.AreEqual(expected, FirmwareOf(Proxmoxs(qemu, efidisk)));

    [TestMethod]
    [DataRow("/usr/local/qemu-4.2.0/bin/qemu-system-x86_64", "4.2")]
    [DataRow("/nix/store/0abc-qemu-9.2.0/bin/qemu-system-x86_64", "9.2")]
    [DataRow("/opt/qemu-8.1.3-rc1/bin/qemu-system-x86_64", "8.1")]
    [DataRow("/opt/qemu-2024/bin/qemu-system-x86_64", null)]
    [DataRow("/opt/myqemu-4.2.0/bin/qemu-system-x86_64", null)]
    [DataRow("/usr/bin/qemu-system-x86_64", null)]
    public void The_release_of_QEMU_is_taken_from_its_folder_s_name(string program, string? expected)
    {
        GuestSpec guest = QemuCommandLineTests.Read($"{program} -machine q35,accel=kvm -m 4G -nodefaults");

        Assert.IsTrue(guest.Qemu!.TryResolve(new(), out QemuMachine machine, out ImmutableArray<QemuAssumption> assumptions));
        Assert.AreEqual(expected is null, assumptions.Any(static assumption => assumption.Unknown == Keyhole.Guests.QemuUnknown.Emulator));
        if (expected is not null)
            Assert.AreEqual(expected, $"{machine.Emulator.Major}.{machine.Emulator.Minor}");
    }

    [TestMethod]
    public void Of_two_firmwares_that_a_host_may_have_the_remedy_cures_with_both()
    {
        // 2025.02 takes no window of the user's that is smaller than its own.
        SettingComparison compared = Compared(Proxmoxs("10.0", Large));
        Assert.AreEqual("phys-bits=39", compared.Best);
        Assert.AreEqual("X-PciMmio64Mb=65536", Compared(Proxmoxs("10.1", Large)).Best);
    }

    [TestMethod]
    [DataRow("10.0", "beyond", "with pve-edk2-2025.05, which the host may have just as well, every BAR has its place as it is")]
    [DataRow("10.1", null, null)]
    public void A_plan_tells_with_which_of_the_firmwares_it_comes_out_otherwise(string qemu, string? beyond, string? words)
    {
        Plan plan = Planner.Plan(Proxmoxs(qemu, Large, Window));
        Assert.AreEqual(beyond is not null, plan.Problems.Any(static problem => problem.Code == ProblemCodes.DmaBeyondIommu));
        Assert.AreEqual(words, plan.Problems.FirstOrDefault(static problem => problem.Code == ProblemCodes.FirmwareDecides)?.Message.ToString());
    }

    [TestMethod]
    public void Proxmox_s_images_of_2_MiB_keep_the_windows_of_2023_02()
    {
        FirmwareReport report = Planner.Plan(Proxmoxs("10.1", Small, Window)).Firmware!;
        Assert.AreEqual("2023.02", report.Version);
        Assert.IsTrue(report.Placement!.Bars.Any(static bar => bar.Bar.Type == BarType.Memory32 && bar.Address is >= 0xc0000000 and < 0xe0000000));
        // Seen: whatever X-PciMmio64Mb says, and with 46 bits as with 48.
        Assert.IsTrue(report.Placement.Bars.Any(static bar => bar.Address == 0x380000000000));
    }

    [TestMethod]
    [DataRow(null, "lxd-edk2-2023.11 ovmf-2024.02-2 ovmf-2025.02-8 ovmf-2025.11-3")]
    [DataRow("8.2", "lxd-edk2-2023.11 ovmf-2024.02-2")]
    [DataRow("10.2", "ovmf-2025.02-8 ovmf-2025.11-3")]
    public void LXD_s_firmware_is_that_of_its_snap(string? qemu, string expected) => Assert.AreEqual(expected, FirmwareOf(Lxds(qemu)));

    [TestMethod]
    [DataRow("edk2-stable202608", null, 0x380000000000ul)]
    [DataRow("edk2-stable202611", "edk2-stable202611 is later than those that are known: it is assumed to do what edk2-stable202608 does", 0x300000000000ul)]
    [DataRow("seabios-1.18.0", "seabios-1.18.0 is later than those that are known: it is assumed to do what seabios-1.17.0 does", null)]
    public void A_release_later_than_those_that_are_known_is_told_to_be_one(string name, string? words, ulong? window)
    {
        Assert.IsTrue(QemuFirmware.TryParse(name, out QemuFirmware firmware));
        Scenario scenario = Lxds(null) with { Qemu = Lxds(null).Qemu with { Firmware = firmware } };
        Plan plan = Planner.Plan(scenario);
        string? told = plan.Problems.Select(static problem => problem.Message.ToString()).FirstOrDefault(static text => text.Contains("later than those"));
        Assert.AreEqual(words is null, told is null);
        Assert.StartsWith(words ?? "", told ?? "");
        // edk2 takes a quarter of the address space from 2026-11 on, an eighth before.
        if (window is not null)
            Assert.AreEqual(window, plan.Firmware!.AcpiWindows!.Hole64!.Value.Start);
    }

    [TestMethod]
    public void LXD_s_older_builds_have_no_window_that_follows_from_the_width()
    {
        Assert.AreEqual("X-PciMmio64Mb=65536", Compared(Lxds("8.2")).Best);
        Assert.AreEqual("as it is", Compared(Lxds("10.2")).Best);
    }
}
