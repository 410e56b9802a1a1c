// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.Qemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>Single rules of QEMU and SeaBIOS, each beside the case in which it has nothing to say.</summary>
[TestClass]
public sealed class QemuRuleTests
{
    private static QemuForecast Forecast(string options, string firmware = "seabios-1.16.2", int emulator = 10,
        ImmutableArray<PciDevice> devices = default)
    {
        string text = $"qemu-system-x86_64 -nodefaults -accel tcg {options}";
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "qemu.cmd")
            .TryGet(out GuestDocument? document, out InputError? error), error?.ToString());
        Assert.IsTrue(QemuFirmware.TryParse(firmware, out QemuFirmware release));
        var around = new QemuSurroundings
        {
            Firmware = release,
            Emulator = new QemuVersion(emulator, emulator == 7 ? 2 : 0),
            Devices = devices.IsDefault ? [] : devices,
        };
        Assert.IsTrue(document.Guest.Qemu!.TryResolve(around, out QemuMachine machine, out _));
        Assert.IsTrue(QemuForecaster.TryForecast(machine, out QemuForecast forecast, out _));
        return forecast;
    }

    /// <summary>What the firmware keeps at the end of low RAM.</summary>
    private static ulong KeptBytes(QemuForecast forecast)
    {
        E820Entry last = forecast.E820.Where(static entry => entry.IsRam && entry.Address < 1UL << 32).MaxBy(static entry => entry.Address);
        return forecast.Memory!.LowEnd - last.End;
    }

    [TestMethod]
    [DataRow("-machine pc-q35-6.0 -device pci-bridge,id=b,chassis_nr=1 -device e1000,bus=b,addr=0", true)]
    [DataRow("-machine pc-q35-6.0 -device pci-bridge,id=b,chassis_nr=1 -device e1000,bus=b,addr=1", false)]
    [DataRow("-machine pc-q35-6.0 -device pci-bridge,id=b,chassis_nr=1,shpc=off -device e1000,bus=b,addr=0", false)]
    [DataRow("-machine pc-q35-6.1 -device pci-bridge,id=b,chassis_nr=1 -device e1000,bus=b,addr=0", false)]
    [DataRow("-machine pc-i440fx-6.0 -device pci-bridge,id=b,chassis_nr=1 -device e1000,bus=b,addr=0", false)]
    public void Slot_0_behind_a_standard_hot_plug_controller_is_refused_unless_ACPI_plugs_there(string options, bool isRefused) =>
        Assert.AreEqual(isRefused ? "Unsupported PCI slot 0 for standard hotplug controller. Valid slots are between 1 and 31." : null,
            Forecast(options + " -m 1G").Message);

    [TestMethod]
    [DataRow("-machine q35 -m 1", "")]
    [DataRow("-machine pc -m 1", "")]
    [DataRow("-machine q35,max-ram-below-4g=1M -m 8G", "")]
    [DataRow("-machine q35,max-ram-below-4g=960K -m 8G", "")]
    [DataRow("-machine q35 -m 1032K", "[0x100000, 0x102000) Ram")]
    [DataRow("-machine q35 -m 1536K", "[0x100000, 0x160000) Ram, [0x160000, 0x180000) Reserved")]
    [DataRow("-machine q35 -m 2", "[0x100000, 0x1e0000) Ram, [0x1e0000, 0x200000) Reserved")]
    public void SeaBIOS_keeps_nothing_at_the_end_of_low_RAM_that_has_no_room_for_it(string options, string aboveOneMiB) =>
        // As SeaBIOS 1.16.2 prints it under QEMU 7.2.
        Assert.AreEqual(aboveOneMiB, string.Join(", ", Forecast(options, emulator: 7).E820.SkipWhile(static entry => entry.End != 0x100000).Skip(1)
            .Where(static entry => entry.Address < 0x80000000)
            .Select(static entry => $"[0x{entry.Address:x}, 0x{entry.End:x}) {entry.Type}")));

    [TestMethod]
    // As SeaBIOS 1.16.2 was seen to do under QEMU 7.2: nothing is kept below, two pages or all of it between, all above.
    [DataRow("-m 1264K", null)]
    [DataRow("-m 1280K", "[0x100000, 0x140000)")]
    [DataRow("-m 1368K", "[0x100000, 0x156000)")]
    [DataRow("-m 2040K", "[0x100000, 0x1fe000)")]
    [DataRow("-m 2048K", null)]
    public void What_SeaBIOS_keeps_of_little_low_RAM_is_said_not_to_be_known(string options, string? range)
    {
        ImmutableArray<UnsettledRange> unsettled = Forecast(options, emulator: 7).Unsettled;
        Assert.AreEqual(range, unsettled.IsEmpty ? null : unsettled.Single().Range.ToString());
    }

    [TestMethod]
    [DataRow(7, "off", true)]
    [DataRow(7, "on", false)]
    [DataRow(10, "off", false)]
    [DataRow(10, "on", false)]
    public void In_QEMU_7_2_a_port_without_hot_plug_takes_ACPIs_from_the_bridges_behind_it(int emulator, string hotplug, bool isRefused) =>
        Assert.AreEqual(isRefused ? "Unsupported PCI slot 0 for standard hotplug controller. Valid slots are between 1 and 31." : null,
            Forecast($"-machine pc-q35-7.2 -m 1G -device pcie-root-port,id=p,chassis=1,hotplug={hotplug} -device pcie-pci-bridge,id=b,bus=p "
                + "-device e1000,bus=b", emulator: emulator).Message);

    /// <summary>Seen on QEMU 7.2 with OVMF 2022.11 and 2025.02: HyperTransport is reserved at [0xfd00000000, 0x10000000000).</summary>
    [TestMethod]
    [DataRow("ovmf-2022.11", 40, "512G", 524288, 0x80_0000_0000UL)]
    [DataRow("ovmf-2025.02", 46, "512G", 524288, null)]
    [DataRow("ovmf-2025.02", 46, "256G", 524288, 0x80_0000_0000UL)]
    [DataRow("ovmf-2025.02", 46, "512G", 1048576, 0x100_0000_0000UL)]
    public void Since_2023_02_no_BAR_may_have_what_QEMU_reserves_in_the_window_that_the_user_asks_for(string firmware, int bits, string size,
        int window, ulong? address)
    {
        QemuForecast forecast = Forecast($"-machine q35 -m 2G -cpu EPYC,phys-bits={bits} -device pcie-root-port,id=p,slot=1 "
            + $"-device pci-testdev,bus=p,membar={size} -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string={window}", firmware);

        BarPlacement bar = forecast.Placement!.Bars.Single(static bar => bar.Bar.SizeBytes >= 1UL << 38);
        Assert.AreEqual(address, bar.Address);
        if (address is null)
            Assert.AreEqual(ByteRange.FromBounds(0x80_0000_0000, 0xfd_0000_0000), bar.Why!.Available);
    }

    /// <summary>Seen on QEMU 7.2 and 10.0.</summary>
    [TestMethod]
    [DataRow("-machine q35 -device pxb-pcie,id=x,bus_nr=64 -device virtio-net-pci", "PCI: Only PCI/PCIe bridges can be plugged into pxb-pcie")]
    [DataRow("-machine q35 -device pxb-pcie,id=x,bus_nr=64 -device virtio-net-pci,bus=x", "PCI: Only PCI/PCIe bridges can be plugged into pxb-pcie")]
    [DataRow("-machine q35 -device pxb-pcie,id=x,bus_nr=64 -device pxb-pcie,id=y,bus_nr=128", "PCI: Only PCI/PCIe bridges can be plugged into pxb-pcie")]
    [DataRow("-machine pc -device pxb,id=x,bus_nr=64 -device pci-testdev", "PCI: Only PCI/PCIe bridges can be plugged into pxb")]
    [DataRow("-machine pc -device pxb,id=x,bus_nr=64 -device pci-testdev,bus=x", null)]
    [DataRow("-machine pc -device pxb,id=x,bus_nr=64 -device pci-testdev,bus=pci.0", null)]
    [DataRow("-machine pc -device pxb,id=x,bus_nr=64 -device pci-bridge,id=b,chassis_nr=9 -device pci-testdev,bus=b",
        "Unsupported PCI slot 0 for standard hotplug controller. Valid slots are between 1 and 31.")]
    public void An_expanders_root_bus_takes_bridges_alone_and_what_names_no_bus_comes_there(string options, string? message) =>
        Assert.AreEqual(message, Forecast(options + " -m 2G").Message);

    [TestMethod]
    [DataRow("-machine q35 -device pxb-pcie,id=x,bus_nr=64 -device pcie-root-port,id=p,slot=1", "0000:40:00.0")]
    [DataRow("-machine q35 -device pxb-pcie,id=x,bus_nr=64 -device pxb-pcie,id=y,bus_nr=32,bus=pcie.0 -device pcie-root-port,id=p,slot=1",
        "0000:20:00.0")]
    [DataRow("-machine pc -device pxb,id=x,bus_nr=64 -device pci-bridge,id=p,chassis_nr=9,addr=7", "0000:40:07.0")]
    public void A_bridge_without_a_bus_is_plugged_into_the_youngest_expander(string options, string address)
    {
        PciPlacement placement = Forecast(options + " -m 2G").Placement!;
        Assert.AreEqual(address, placement.Tree.Functions.Single(static function => function.Node.Name == "p").Address.ToString());
    }

    [TestMethod]
    [DataRow("pc-q35-7.2", "pxb-pcie", "0000:01:00.0")]
    [DataRow("pc-i440fx-7.2", "pxb", "0000:00:03.0")]
    public void A_device_that_is_added_to_a_guest_comes_to_the_boards_own_bus(string machine, string expander, string address)
    {
        string text = $"qemu-system-x86_64 -nodefaults -machine {machine} -m 4G -device {expander},id=x,bus_nr=64";
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "qemu.cmd")
            .TryGet(out GuestDocument? document, out InputError? error), error?.ToString());

        Plan plan = Plan(document.Guest, new() { Bars = [BarRequest.Create(0, 1UL << 20, BarType.Memory64Prefetchable)] });

        Assert.StartsWith(address, PassedThrough(plan).Single());
    }

    /// <summary>Seen on QEMU 7.2 with SeaBIOS 1.16.2, which was let run for 100 s.</summary>
    [TestMethod]
    [DataRow("pcie-root-port,id=p,bus=x,slot=1,bus-reserve=0 -device pci-testdev,bus=p", true)]
    [DataRow("pcie-root-port,id=p,bus=x,slot=1,bus-reserve=1 -device pci-testdev,bus=p", false)]
    [DataRow("pcie-root-port,id=p,bus=x,slot=1 -device pcie-pci-bridge,id=c,bus=p -device pci-bridge,id=d,bus=c,chassis_nr=7,addr=1,bus-reserve=0", true)]
    [DataRow("pcie-root-port,id=p,bus=pcie.0,slot=1,bus-reserve=0 -device pci-testdev,bus=p", false)]
    [DataRow("pcie-root-port,id=p,bus=pcie.0,slot=1 -device pcie-pci-bridge,id=c,bus=p -device pci-bridge,id=d,bus=c,chassis_nr=7,addr=1,"
        + "bus-reserve=0", false)]
    public void SeaBIOS_never_ends_where_a_bridge_after_an_expander_sets_the_last_bus_back(string port, bool hangs)
    {
        QemuForecast forecast = Forecast($"-machine q35 -m 2G -device pxb-pcie,id=x,bus_nr=64 -device {port}");
        Assert.AreEqual(hangs ? GuestOutcome.Hangs : GuestOutcome.Boots, forecast.Outcome);
        Assert.AreEqual(GuestOutcome.Boots, Forecast($"-machine q35 -m 2G -device pxb-pcie,id=x,bus_nr=64 -device {port}", "ovmf-2022.11").Outcome);
    }

    [TestMethod]
    public void A_second_balloon_is_refused()
    {
        Assert.AreEqual("Only one balloon device is supported",
            Forecast("-machine q35 -m 1G -device virtio-balloon-pci -device virtio-balloon-pci").Message);
        Assert.AreEqual(GuestOutcome.Boots, Forecast("-machine q35 -m 1G -device virtio-balloon-pci").Outcome);
    }

    [TestMethod]
    [DataRow("pc-q35-6.0", false)]
    [DataRow("pc-q35-6.1", true)]
    [DataRow("pc-q35-6.2", false)]
    public void Ports_of_the_machine_types_of_6_1_ask_for_4_KiB_of_ports(string machine, bool asks)
    {
        BridgeWindows port = Forecast($"-machine {machine} -m 1G -device pcie-root-port,id=p", "seabios-1.16.3").Placement!.Bridges.Single();
        Assert.AreEqual(asks ? 0x1000UL : null, port.Io?.SizeBytes);
    }

    [TestMethod]
    [DataRow("pc-q35-6.0", "2,maxcpus=96,threads=2", 0x21000UL)]
    [DataRow("pc-q35-6.0", "2,maxcpus=96,threads=1", 0x22000UL)]
    [DataRow("pc-q35-6.0", "2,maxcpus=96", 0x22000UL)]
    [DataRow("pc-q35-6.0", "2,maxcpus=96,cores=48", 0x20000UL)]
    [DataRow("pc-q35-6.2", "2,maxcpus=96,threads=2", 0x20000UL)]
    [DataRow("pc-q35-6.2", "2,maxcpus=96,threads=1", 0x20000UL)]
    public void Before_6_2_processors_that_no_level_counts_are_sockets_each_with_an_entry_of_SMBIOS(string machine, string smp, ulong kept) =>
        Assert.AreEqual(kept, KeptBytes(Forecast($"-machine {machine} -m 1G -smp {smp}", "seabios-1.16.3")));

    [TestMethod]
    public void An_NVMe_controller_keeps_memory_where_SeaBIOS_can_start_it()
    {
        ulong without = KeptBytes(Forecast("-machine q35 -m 1G"));
        Assert.AreEqual(without + 0x8000, KeptBytes(Forecast("-machine q35 -m 1G -device nvme,serial=a")));
        // Its registers go above 4 GiB together with a large BAR, where SeaBIOS does not reach them.
        Assert.AreEqual(without, KeptBytes(Forecast("-machine q35 -m 1G -device nvme,serial=a -device pci-testdev,membar=4G")));
        // Up to 1.14 it does not know that it can map them.
        Assert.AreEqual(KeptBytes(Forecast("-machine q35 -m 1G", "seabios-1.14.0")),
            KeptBytes(Forecast("-machine q35 -m 1G -device nvme,serial=a", "seabios-1.14.0")));
    }

    [TestMethod]
    public void A_disk_of_the_board_is_the_same_however_it_is_named()
    {
        ulong without = KeptBytes(Forecast("-machine q35 -m 1G"));
        ulong expected = KeptBytes(Forecast("-machine q35 -m 1G -hda a"));
        Assert.AreEqual(expected, without + 0x1000);
        Assert.AreEqual(expected, KeptBytes(Forecast("-machine q35 -m 1G -drive file=a,if=none,id=d -device ide-hd,bus=ide.0,drive=d")));
    }

    [TestMethod]
    public void A_bridge_is_given_the_buses_that_it_asks_for()
    {
        PciPlacement placement =
            Forecast("-machine q35 -m 1G -device pcie-root-port,id=a,chassis=1,bus-reserve=4 -device "
                + "pcie-root-port,id=b,chassis=2 -device e1000e,bus=b").Placement!;
        Assert.AreEqual("0000:06:00.0", placement.Tree.Functions[^1].Address.ToString());
    }

    [TestMethod]
    public void A_bridge_that_asks_for_fewer_buses_than_are_behind_it_loses_them_under_SeaBIOS()
    {
        const string options =
            "-machine q35 -m 1G -device pcie-root-port,id=a,chassis=1,bus-reserve=1 -device pcie-pci-bridge,id=b,bus=a -device "
                + "pci-bridge,id=c,bus=b,chassis_nr=2,addr=1 -device e1000,bus=c,addr=1";
        Assert.IsFalse(Forecast(options).Placement!.Tree.Functions.Any(static function => function.Node.DeviceId == 0x100e));
        Assert.IsTrue(Forecast(options, "ovmf-2022.11").Placement!.Tree.Functions.Any(static function => function.Node.DeviceId == 0x100e));
    }

    [TestMethod]
    [DataRow("Skylake-Server,phys-bits=46", "2025.02", "8 TiB at [0x380000000000, 0x400000000000) (an eighth of 46 address bits, the processor's)")]
    [DataRow("Skylake-Server,phys-bits=52", "2025.02", "8 TiB at [0x380000000000, 0x400000000000) (an eighth of 46 address bits, the most that OVMF takes)")]
    [DataRow("Skylake-Server,phys-bits=46,-pdpe1gb", "2025.02",
        "128 GiB at [0xe000000000, 0x10000000000) (an eighth of 40 address bits, the most that OVMF takes without pages of 1 GiB (pdpe1gb))")]
    [DataRow("Skylake-Server,phys-bits=46,guest-phys-bits=42", "2025.02",
        "512 GiB at [0x38000000000, 0x40000000000) (an eighth of 42 address bits, the most that KVM maps for the guest)")]
    [DataRow("Skylake-Server,phys-bits=40", "2025.02",
        "32 GiB at [0x800000000, 0x1000000000) (what OVMF takes where it does not believe the processor's 40 address bits)")]
    [DataRow("Skylake-Server,phys-bits=46", "2020.11",
        "32 GiB at [0x800000000, 0x1000000000) (what OVMF takes before 2022.11, whatever the processor's width is)")]
    public void The_limit_of_OVMFs_window_is_named(string cpu, string release, string window)
    {
        PciPlacement placement = Forecast(
            $"-machine q35 -m 1G -cpu {cpu} -device pcie-root-port,id=p -device pci-testdev,bus=p,membar=16T", $"ovmf-{release}").Placement!;
        string why = placement.Bars.Single(static bar => bar.Bar.SizeBytes == 16UL << 40).WhyText!;
        Assert.StartsWith($"it does not fit into the window above 4 GiB, which has {window}; ", why);
    }

    [TestMethod]
    public void A_window_that_the_user_asked_for_needs_no_reason()
    {
        PciPlacement placement = Forecast(
            "-machine q35 -m 1G -cpu Skylake-Server,phys-bits=46 -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=65536 -device pcie-root-port,id=p "
                + "-device pci-testdev,bus=p,membar=1T", "ovmf-2025.05").Placement!;
        Assert.Contains("which has 64 GiB at [0x1000000000, 0x2000000000); ", placement.Bars.Single(static bar => bar.Bar.SizeBytes == 1UL << 40).WhyText!);
    }

    [TestMethod]
    public void OVMF_takes_a_device_away_whole_and_the_BAR_that_did_not_fit_is_named()
    {
        PciPlacement placement =
            Forecast("-machine q35 -m 1G -cpu Skylake-Server -device pcie-root-port,id=p -device pci-testdev,bus=p,membar=128G -device "
                + "pcie-root-port,id=q,chassis=2 -device virtio-rng-pci,bus=q", "ovmf-2022.11").Placement!;
        string[] reasons = [.. placement.Bars.Where(bar => placement.Tree.Functions[bar.Function].Address.Bus == 1)
            .Select(static bar => bar.WhyText!)];
        Assert.HasCount(3, reasons);
        Assert.IsTrue(reasons[..2]
        .All(static why =>
            why == "BAR 2 of the same device does not fit into the window above 4 GiB, and the firmware then places none of the device's"),
            string.Join('\n', reasons));
        Assert.StartsWith("it does not fit into the window above 4 GiB, which has 32 GiB", reasons[2]);
    }

    // ------------------------------------------------------------------ guests of which little is told

    private static Plan Plan(GuestSpec guest, QemuSurroundings around, params Bar[] bars) => Planner.Plan(new()
    {
        Host = Host.Unknown with { Traits = new() { CpuVendor = "GenuineIntel", PhysicalAddressBits = 46, HasGiBPages = true } },
        Guest = guest,
        Qemu = around,
        Bars = [.. bars],
    });

    private static GuestSpec Kvm(params string[] pci) => new()
    {
        Type = GuestType.Kvm,
        MemoryKiB = 4 << 20,
        MaxmemKiB = 4 << 20,
        Pci = [.. pci.Select(static text => new PciAssignment(PciAddress.TryParse(text, out PciAddress address) ? address
            : throw new InvalidDataException(text)))],
    };

    private static string[] PassedThrough(Plan plan) =>
        [.. plan.Firmware!.Placement!.Tree.Functions.Where(static function => function.Node.IsPassedThrough)
            .Select(static function => $"{function.Address} {function.Node.Name} {function.Node.Bars.Length}")];

    [TestMethod]
    public void Each_device_of_a_plain_guest_sits_behind_a_port_of_its_own()
    {
        QemuSurroundings around = new() { Bars = [BarRequest.Create(0, 1UL << 30, BarType.Memory64Prefetchable)] };
        CollectionAssert.AreEqual(new[] { "0000:01:00.0 0000:81:00.0 1", "0000:02:00.0 0000:82:00.0 1" },
            PassedThrough(Plan(Kvm("81:00.0", "82:00.0"), around)));
        // On a pc there are no ports.
        CollectionAssert.AreEqual(new[] { "0000:00:02.0 0000:81:00.0 1" }, PassedThrough(Plan(Kvm("81:00.0"), around with { MachineName = "pc" })));
    }

    [TestMethod]
    public void Windows_that_no_listing_names_are_those_of_the_devices_that_nothing_tells_of()
    {
        Bar[] windows = [new(0, BarKind.Memory, 0xe0000000, 0xe1000000, false, false),
            new(1, BarKind.Memory, 1UL << 38, (1UL << 38) + (16UL << 30), true, true)];
        CollectionAssert.AreEqual(new[] { "0000:01:00.0  2" }, PassedThrough(Plan(Kvm(), new(), windows)));
        CollectionAssert.AreEqual(new[] { "0000:01:00.0 0000:81:00.0 2" }, PassedThrough(Plan(Kvm("81:00.0"), new(), windows)));
    }

    [TestMethod]
    public void A_listed_device_is_what_its_listing_says()
    {
        PciDevice listed = new(PciAddress.Create(0x81, 0, 0), "", [new(1, BarKind.Memory, 1UL << 38, (1UL << 38) + (16UL << 30), true, true)]);
        CollectionAssert.AreEqual(
            new[] { "0000:01:00.0 0000:81:00.0 1", "0000:02:00.0 0000:82:00.0 2" },
            PassedThrough(Plan(Kvm("81:00.0", "82:00.0"),
                new() { Devices = [listed], Bars = [BarRequest.Create(0, 4096, BarType.Memory32), BarRequest.Create(1, 4096, BarType.Memory32)] })));
    }

    /// <summary>No model of QEMU 7.2 and 10.0 has that capability (PCI Express 6.0, 7.8.6; number 15h): this is held by the specification, in which
    /// the register asks for the size that is set. OVMF is built without PcdPcieResizableBarSupport, SeaBIOS knows nothing of it.</summary>
    [TestMethod]
    [DataRow("seabios-1.16.3")]
    [DataRow("ovmf-2020.11")]
    [DataRow("ovmf-2025.02")]
    [DataRow("ovmf-2026.08")]
    public void A_resizable_BAR_is_placed_as_large_as_it_is_set_and_not_as_large_as_it_may_be(string firmware)
    {
        const ulong size = 256UL << 20;
        PciDevice listed = new(PciAddress.Create(0x81, 0, 0), "", [new(1, BarKind.Memory, 1UL << 38, (1UL << 38) + size, true, true)])
        {
            Resizable = [new ResizableBar(1, size, [64UL << 20, size, 16UL << 30], IsVirtual: false)],
            Sriov = new SriovCapability(16, 0),
        };
        Assert.IsTrue(QemuFirmware.TryParse(firmware, out QemuFirmware release));
        Plan plan = Plan(Kvm("81:00.0"), new() { Devices = [listed], Firmware = release });
        PciPlacement placement = plan.Firmware!.Placement!;
        BarPlacement bar = placement.Bars.Single(bar => placement.Tree.Functions[bar.Function].Node.IsPassedThrough);
        Assert.AreEqual(BarRequest.Create(1, size, BarType.Memory64Prefetchable), bar.Bar);
        Assert.AreEqual(0ul, bar.Address!.Value % size);
    }

    [TestMethod]
    public void A_device_that_is_named_beside_a_configuration_is_added_to_it()
    {
        const string text = "-machine q35,accel=kvm -m 2G -nodefaults -device pcie-root-port,id=port1 -device vfio-pci,host=81:00.0,bus=port1";
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "qemu.cmd").TryGet(out GuestDocument? document, out _));
        ImmutableArray<BarRequest> bars = [BarRequest.Create(0, 4096, BarType.Memory32)];
        Plan plan = Plan(document.Guest with { Pci = document.Guest.Pci.Add(Kvm("82:00.0").Pci[0]) }, new() { Bars = bars });
        CollectionAssert.AreEqual(new[] { "0000:01:00.0 81:00.0 1", "0000:02:00.0 0000:82:00.0 1" }, PassedThrough(plan));
    }

    [TestMethod]
    public void A_device_of_which_nothing_is_told_makes_the_map_not_known()
    {
        Plan plan = Plan(Kvm("81:00.0"), new());
        Assert.IsFalse(plan.IsMapKnown);
        Assert.IsTrue(plan.Problems.Any(static problem => problem.Code == ProblemCodes.MapNotKnown));
    }

    /// <summary>Source: SeaBIOS, src/hw/usb-xhci.c (scratch pages), ahci.c (ports with a disk).</summary>
    [TestMethod]
    [DataRow("0c03", "30", 0x4000UL, "the USB controller 0000:01:00.0")]
    [DataRow("0106", "01", 0x4000UL, "the SATA controller 0000:01:00.0")]
    [DataRow("0c03", "30", 0x1_0000_0000UL, null, DisplayName = "registers above 4 GiB, where SeaBIOS starts nothing")]
    [DataRow("0300", "00", 0x4000UL, null)]
    [DataRow("0108", "02", 0x4000UL, null)]
    public void What_SeaBIOS_keeps_for_a_controller_of_the_host_is_not_settled(string kind, string programming, ulong size, string? named)
    {
        string listing = $"01:00.0 Device [{kind}]: Vendor Device [8086:a36d] (prog-if {programming})\n"
            + $"\tRegion 0: Memory at 40{size:x8} (64-bit, prefetchable) [size={size >> 10}K]\n";
        Assert.IsTrue(BarReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(listing)), "lspci")
            .TryGet(out PciListing? read, out InputError? error), error?.ToString());
        QemuForecast forecast = Forecast("-machine pc-q35-10.0 -m 2G -cpu qemu64,phys-bits=40 -device pcie-root-port,id=p,slot=1 "
            + "-device vfio-pci,host=01:00.0,bus=p", devices: read.Devices);

        Assert.AreEqual(GuestOutcome.Boots, forecast.Outcome);
        if (named is null)
        {
            Assert.IsEmpty(forecast.Unsettled);
            return;
        }

        Assert.Contains(named, forecast.Unsettled.Single().Why);
        Assert.AreEqual(ByteRange.FromBounds(0x7f00_0000, 0x8000_0000), forecast.Unsettled.Single().Range);
    }
}
