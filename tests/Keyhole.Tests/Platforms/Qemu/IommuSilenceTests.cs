// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Tests.Guests.Qemu;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>Hosts whose Linux shows no IOMMU in use. The log is that of a real Linux 6.12 on a machine without one.</summary>
[TestClass]
public sealed class IommuSilenceTests
{
    private const string Guest = "qemu-system-x86_64 -enable-kvm -machine q35 -cpu host -m 1G -nodefaults -device pcie-root-port,id=p "
        + "-device vfio-pci,host=01:00.0,bus=p";

    private static readonly string[] s_log = File.ReadAllLines(MapFixtures.Folder("kvm/verify/sea-ports.log"));

    private static Problem? WarningOn(string[] log, string guest = Guest) => Planner.Plan(new Scenario
    {
        Host = MapFixtures.Expect(MapFixtures.ReadText(string.Join('\n', log) + "\n")).Host,
        Guest = QemuCommandLineTests.Read(guest),
        Qemu = new() { Bars = [BarRequest.Create(0, 1UL << 20, BarType.Memory32)], Emulator = new QemuVersion(7, 2) },
    }).Problems.FirstOrDefault(static problem => problem.Code == ProblemCodes.GuestDoesNotStart);

    private static string[] With(string line, int at = 300) => [.. s_log[..at], line, .. s_log[at..]];

    [TestMethod]
    public void A_whole_boot_that_shows_no_IOMMU_in_use_is_warned_of()
    {
        Problem problem = WarningOn(s_log)!;
        Assert.AreEqual(Severity.Warning, problem.Severity);
        Assert.Contains("shows an IOMMU in use", problem.Message.ToString());
        Assert.Contains("/sys/kernel/iommu_groups", problem.Remedy!.ToString());
        // That repeats the command line, is of interrupts alone, or of devices that are given away without an IOMMU.
        foreach (string line in (string[])["DMAR: IOMMU enabled", "Intel-IOMMU: enabled", "DMAR-IR: Enabled IRQ remapping in x2apic mode",
            "DMAR: DRHD base: 0x000000fed90000 flags: 0x0", "vfio-pci 0000:01:00.0: Adding to iommu group 0",
            "mlx5_vfio_pci 0000:01:00.0: Adding to iommu group 0", "vfio_mdev 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001: Adding to iommu group 12"])
            Assert.IsNotNull(WarningOn(With($"[    0.100000] {line}")), line);
    }

    [TestMethod]
    [DataRow("[    1.700000] pci 0000:00:00.0: Adding to iommu group 0")]
    [DataRow("[    1.700000] iommu: Adding device 0000:00:00.0 to group 0")]
    [DataRow("[    1.700000] AMD-Vi: Found IOMMU cap 0x40")]
    [DataRow("[    1.700000] DMAR: Intel(R) Virtualization Technology for Directed I/O")]
    [DataRow("[    1.700000] pcieport 0000:00:1c.0: Adding to iommu group 4")]
    [DataRow("[    1.700000] pci 0001:00:06.0: Adding to iommu group 4")]
    [DataRow("[    1.700000] pci 0000:00:00.2: AMD-Vi: Found IOMMU cap 0x40")]
    [DataRow("[    1.700000] AMD-Vi: Found IOMMU at 0000:00:00.2 cap 0x40")]
    [DataRow("[    1.700000] AMD-Vi: Interrupt remapping enabled")]
    [DataRow("[    1.700000] AMD-Vi: Extended features (0x246577efa2254afa, 0x10): PPR NX GT [5] IA GA PC GA_vAPIC")]
    [DataRow("[    1.700000] AMD-Vi: Lazy IO/TLB flushing enabled")]
    [DataRow("[    1.700000] PCI-DMA: Intel(R) Virtualization Technology for Directed I/O")]
    [DataRow("[    1.700000] DMAR: dmar0: Using Queued invalidation")]
    [DataRow("[    1.700000] IOMMU: dmar0 using Queued invalidation, IOMMU: dmar0: Using Queued invalidation")]
    [DataRow("[    1.700000] DMAR: Setting identity map for device 0000:00:14.0 [0x8a0000 - 0x8affff]")]
    [DataRow("[    1.700000] DMAR: Prepare 0-16MiB unity mapping for LPC")]
    [DataRow("[    1.700000] virtio_iommu virtio0: input address: 64 bits")]
    [DataRow("[...]")]
    [DataRow("[ 60 lines skipped ]")]
    [DataRow("[    1.700000] ** 71 printk messages dropped **")]
    public void A_log_that_shows_one_or_has_lines_left_out_is_not(string line) => Assert.IsNull(WarningOn(With(line)));

    [TestMethod]
    public void A_part_of_a_boot_tells_nothing()
    {
        Assert.IsNull(WarningOn(s_log[1..]), "without its first line");
        int end = Array.FindIndex(s_log, static line => line.Contains("as init process", StringComparison.Ordinal));
        Assert.IsNull(WarningOn(s_log[..end]), "without its first process");
        string[] kept = ["Linux version", "e820", "iommu", "as init process"];
        Assert.IsNull(WarningOn([.. s_log.Where((line, i) => i % 4 == 0 || kept.Any(line.Contains))]), "without many of its lines");
    }

    [TestMethod]
    public void A_guest_without_a_device_of_the_host_is_not_warned()
    {
        Assert.IsNull(WarningOn(s_log, Guest.Replace("vfio-pci,host=01:00.0", "virtio-net-pci", StringComparison.Ordinal)));
    }
}
