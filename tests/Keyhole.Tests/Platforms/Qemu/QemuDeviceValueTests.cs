// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.Qemu;
using Keyhole.RealQemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>Values of properties that decide a device's BARs: what QEMU 7.2 and 10.0 said to each of them, or which BARs they gave it.</summary>
[TestClass]
public sealed class QemuDeviceValueTests
{
    private const string Assertion = "pci_register_bar: Assertion `is_power_of_2(size)' failed.";
    private const ulong MiB = 1UL << 20;

    private static GuestSpec Read(string options)
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(
            $"qemu-system-x86_64 -accel tcg -machine q35 -m 2G -nodefaults -bios /usr/share/seabios/bios-256k.bin {options}")), "guest")
            .TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());
        return guest.Guest;
    }

    private static bool TryForecast(string options, string emulator, out QemuForecast forecast)
    {
        Assert.IsTrue(QemuVersion.TryParse(emulator, out QemuVersion release));
        Assert.IsTrue(Read(options).Qemu!.TryResolve(new QemuSurroundings { Emulator = release }, out QemuMachine machine, out _));
        return QemuForecaster.TryForecast(machine, out forecast, out _);
    }

    [TestMethod]
    [DataRow("-device pci-testdev,membar=3G", Assertion)]
    [DataRow("-device pci-testdev,membar=1.5G", Assertion)]
    [DataRow("-device pci-testdev,membar=24", Assertion)]
    [DataRow("-device pci-testdev,membar=18446744073709551615", Assertion)]
    [DataRow("-device pci-testdev -global pci-testdev.membar=3G", Assertion)]
    [DataRow("-device pci-testdev,membar=16E", "Parameter 'membar' expects size")]
    [DataRow("-device pci-testdev,membar=-1", "Parameter 'membar' expects size")]
    [DataRow("-device pci-testdev,membar=1Gx", "Parameter 'membar' expects size")]
    [DataRow("-device pci-testdev -global pci-testdev.membar=abc",
        "can't apply global pci-testdev.membar=abc: Parameter 'membar' expects a non-negative number below 2^64")]
    [DataRow("-global q35-pcihost.pci-hole64-size=abc",
        "can't apply global q35-pcihost.pci-hole64-size=abc: Parameter 'pci-hole64-size' expects a non-negative number below 2^64")]
    [DataRow("-object memory-backend-ram,id=m,size=3G -device ivshmem-plain,memdev=m", Assertion)]
    [DataRow("-object memory-backend-ram,id=m,size=5000 -device ivshmem-plain,memdev=m", Assertion)]
    [DataRow("-device ivshmem-plain", "You must specify a 'memdev'")]
    [DataRow("-device ivshmem-plain,memdev=x", "Device 'x' not found")]
    [DataRow("-device nvme,serial=a,cmb_size_mb=3", Assertion)]
    [DataRow("-device nvme,serial=a,cmb_size_mb=abc", "Parameter 'cmb_size_mb' expects integer")]
    [DataRow("-device nvme,serial=a,cmb_size_mb=4294967296", "Parameter 'cmb_size_mb' expects uint32_t")]
    [DataRow("-device nvme,serial=a,max_ioqpairs=0", "max_ioqpairs must be between 1 and 65535")]
    [DataRow("-device nvme,serial=a,max_ioqpairs=65536", "max_ioqpairs must be between 1 and 65535")]
    [DataRow("-device nvme,serial=a,msix_qsize=2049", "msix_qsize must be between 1 and 2048")]
    [DataRow("-device nvme,serial=a,msix_qsize=65536", "Parameter 'msix_qsize' expects uint16_t")]
    [DataRow("-device nvme,serial=a -global nvme.msix_qsize=70000",
        "can't apply global nvme.msix_qsize=70000: Parameter 'msix_qsize' expects uint16_t")]
    [DataRow("-object memory-backend-ram,id=m,size=3M -device nvme,serial=a,pmrdev=m", "pmr backend size needs to be power of 2 in size")]
    [DataRow("-object memory-backend-ram,id=m,size=4M -device nvme,serial=a,pmrdev=m,msix-exclusive-bar=on",
        "not enough BARs available to enable PMR")]
    [DataRow("-device nvme,serial=a,pmrdev=x", "Device 'x' not found")]
    [DataRow("-device VGA,vgamem_mb=16M", "Parameter 'vgamem_mb' expects integer")]
    [DataRow("-device VGA,vgamem_mb=-1", "Parameter 'vgamem_mb' expects uint32_t")]
    [DataRow("-device VGA -global VGA.vgamem_mb=16M", "can't apply global VGA.vgamem_mb=16M: Parameter 'vgamem_mb' expects uint64")]
    [DataRow("-device cirrus-vga,vgamem_mb=3", "Invalid cirrus_vga ram size '3'")]
    [DataRow("-device bochs-display,vgamem=3M", "bochs-display: video memory too small")]
    [DataRow("-device bochs-display,vgamem=512M", "bochs-display: video memory too big")]
    [DataRow("-device e1000,romsize=3", "ROM size 3 is not a power of two")]
    [DataRow("-device e1000,romsize=1M", "Parameter 'romsize' expects integer")]
    [DataRow("-device e1000,romsize=4096", "romfile is too large for ROM size 4096")]
    [DataRow("-device e1000,rombar=abc", "Parameter 'rombar' expects integer")]
    [DataRow("-device virtio-net-pci,vectors=abc", "Parameter 'vectors' expects integer")]
    [DataRow("-device virtio-scsi-pci,num_queues=1024", "Invalid number of queues (= 1024), must be a positive integer less than 1022.")]
    [DataRow("-device pcie-root-port,id=p,io-reserve=abc", "Parameter 'io-reserve' expects size")]
    [DataRow("-device pcie-root-port,id=p,bus-reserve=abc", "Parameter 'bus-reserve' expects integer")]
    [DataRow("-device pxb-pcie,id=x,bus_nr=300", "Parameter 'bus_nr' expects uint8_t")]
    [DataRow("-fw_cfg name=opt/a,string=1 -fw_cfg opt/a,string=2", "duplicate fw_cfg file name: opt/a")]
    public void A_value_that_QEMU_does_not_take_is_refused_in_its_words(string options, string words)
    {
        foreach (string emulator in (string[])["7.2", "10.0"])
        {
            Assert.IsTrue(TryForecast(options, emulator, out QemuForecast forecast), options);
            Assert.AreEqual(GuestOutcome.Refused, forecast.Outcome);
            Assert.AreEqual(words, forecast.Message);
        }
    }

    [TestMethod]
    [DataRow("-device virtio-gpu-pci,hostmem=3G", Assertion)]
    [DataRow("-device virtio-vga,hostmem=3G", Assertion)]
    [DataRow("-device virtio-vga,hostmem=abc", "Parameter 'hostmem' expects size")]
    public void Memory_that_a_virtio_display_shares_is_no_other(string options, string words)
    {
        Assert.IsTrue(TryForecast(options, "10.0", out QemuForecast forecast));
        Assert.AreEqual(words, forecast.Message);
    }

    [TestMethod]
    [DataRow("-device VGA,vgamem_mb=3", 0, 4)]
    [DataRow("-device VGA,vgamem_mb=0", 0, 1)]
    [DataRow("-device VGA,vgamem_mb=4096", 0, 512)]
    [DataRow("-device secondary-vga,vgamem_mb=2048", 0, 512)]
    [DataRow("-device ati-vga,vgamem_mb=24", 0, 32)]
    [DataRow("-device vmware-svga,vgamem_mb=1024", 1, 512)]
    [DataRow("-device bochs-display,vgamem=5M", 0, 8)]
    [DataRow("-device qxl,ram_size_mb=100", 0, 128)]
    [DataRow("-device qxl,ram_size_mb=1", 0, 32)]
    [DataRow("-device qxl,ram_size_mb=4096", 0, 32)]
    [DataRow("-device qxl,ram_size_mb=2048", 0, 2048)]
    [DataRow("-device qxl-vga,vgamem_mb=100", 0, 256)]
    [DataRow("-device qxl-vga,vgamem_mb=256", 0, 512)]
    [DataRow("-device qxl,vram_size_mb=100", 1, 128)]
    [DataRow("-device qxl,vram64_size_mb=100", 4, 128)]
    [DataRow("-device qxl,vram64_size_mb=3", 4, 0)]
    [DataRow("-object memory-backend-ram,id=m,size=4M -device nvme,serial=a,pmrdev=m,cmb_size_mb=8", 4, 4)]
    [DataRow("-object memory-backend-ram,id=m,size=4M -device nvme,serial=a,pmrdev=m,cmb_size_mb=8", 2, 8)]
    public void What_QEMU_rounds_is_rounded_alike(string options, int register, int sizeMiB)
    {
        Assert.IsTrue(TryForecast(options, "7.2", out QemuForecast forecast));
        BarPlacement[] bars = [.. forecast.Placement!.Bars.Where(bar => bar.Bar.Index == register
            && forecast.Placement.Tree.Functions[bar.Function].Node.Plug == 0)];
        Assert.AreEqual((ulong)sizeMiB * MiB, bars.SingleOrDefault().Bar.SizeBytes);
    }

    [TestMethod]
    public void Seventy_four_guests_of_the_real_QEMU_with_such_values_come_out_as_forecast()
    {
        foreach (QemuRecord record in QemuRecord.DeviceValues)
            Assert.IsEmpty(QemuComparison.Compare(record), record.Name);
        Assert.HasCount(74, QemuRecord.DeviceValues);
        Assert.AreEqual(48, QemuRecord.DeviceValues.Count(static record => record.Outcome == "qemu-refused"));
    }

    [TestMethod]
    public void A_device_that_asks_for_more_vectors_than_there_are_has_none()
    {
        Assert.IsTrue(TryForecast("-device virtio-serial-pci,vectors=5000", "7.2", out QemuForecast forecast));
        int[] registers = [.. forecast.Placement!.Bars.Where(bar => forecast.Placement.Tree.Functions[bar.Function].Node.Plug == 0)
            .Select(static bar => bar.Bar.Index)];
        CollectionAssert.AreEqual(new[] { 0, 4 }, registers);
    }

    [TestMethod]
    [DataRow("-device pci-testdev,membar=8E", "a device's BAR is larger than any processor addresses")]
    [DataRow("-device pci-testdev,membar=8", "smaller than any register holds")]
    [DataRow("-chardev socket,id=c,path=/s -device ivshmem-doorbell,chardev=c", "how much memory a device's server shares is not told (\"ivshmem-doorbell\")")]
    public void Where_a_BAR_is_beyond_reckoning_or_somebody_else_decides_it_nothing_is_forecast(string options, string why)
    {
        Assert.IsFalse(TryForecast(options, "7.2", out _));
        Plan plan = Planner.Plan(new Scenario { Host = Keyhole.Hosts.Host.Unknown, Guest = Read(options) });
        Assert.Contains(why, plan.Problems.Single(static problem => problem.Code == ProblemCodes.MapNotKnown).Message);
    }

    [TestMethod]
    public void What_to_write_instead_of_a_size_is_told_and_no_setting_is_tried()
    {
        var scenario = new Scenario { Host = Keyhole.Hosts.Host.Unknown, Guest = Read("-device pci-testdev,membar=3G") };

        Plan plan = Planner.Plan(scenario);

        Problem problem = plan.Problems.Single(static problem => problem.Code == ProblemCodes.GuestDoesNotStart);
        Assert.AreEqual("set membar=4G: a BAR's size is a power of two, and QEMU rounds none", problem.Remedy!.ToString());
        Assert.DoesNotContain(static problem => problem.Code == ProblemCodes.NoSettingHelps, plan.Problems);
    }
}
