// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Pci;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Pci;

[TestClass]
public sealed class BarReaderTests
{
    /// <summary>lspci -vv in its present form, put together from its source: all that a window's line can have.</summary>
    private const string Verbose = """
        00:1c.0 PCI bridge: Intel Corporation Root Port (rev c4) (prog-if 00 [Normal decode])
        	Control: I/O+ Mem+ BusMaster+
        	Bus: primary=00, secondary=03, subordinate=03, sec-latency=0
        	I/O behind bridge: 0000e000-0000efff [size=4K] [32-bit]
        	Memory behind bridge: f7c00000-f7dfffff [size=2M] [32-bit]
        	Prefetchable memory behind bridge: 0000000410000000-00000004101fffff [size=2M] [64-bit]
        	Secondary status: 66MHz- FastB2B-

        00:1c.4 PCI bridge: Intel Corporation Root Port
        	I/O behind bridge: [disabled] [16-bit]
        	Memory behind bridge: 0000f000-00000fff [disabled] [32-bit]
        	Prefetchable memory behind bridge: [disabled] [64-bit]

        03:00.0 Ethernet controller: Intel Corporation 82599ES 10-Gigabit
        	Subsystem: Intel Corporation Ethernet Server Adapter
        	Region 0: Memory at f7c00000 (32-bit, non-prefetchable) [size=128K]
        	Region 1: Memory at <unassigned> (32-bit, non-prefetchable) [size=4M]
        	Region 2: I/O ports at e020 [size=32]
        	Region 3: Memory at f7c44000 (32-bit, non-prefetchable) [disabled] [size=16K]
        	Region 4: Memory at 410000000 (64-bit, prefetchable) [virtual] [size=1M]
        	Expansion ROM at f7c80000 [virtual] [disabled] [size=512K]
        	Capabilities: [140 v1] Alternative Routing-ID Interpretation (ARI)
        	Capabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)
        		IOVCap:	Migration-, Interrupt Message Number: 000
        		Region 0: Memory at 00000000f7d00000 (64-bit, non-prefetchable)
        		Region 3: Memory at 00000000f7d80000 (64-bit, prefetchable) [size=16K]
        	Capabilities: [70] MSI-X: Enable+ Count=64 Masked-
        		Vector table: BAR=3 offset=00000000
        	Kernel driver in use: ixgbe

        0001:3b:00.0 VGA compatible controller [0300]: NVIDIA Corporation [10de:1b80] (rev a1)
        	Region 1: Memory at 200000000000 (64-bit, prefetchable) [size=64G]
        	Region 3: Memory at 201000000000 (64-bit, prefetchable) [size=1T]
        	Region 5: I/O ports at 3000 [size=128]

        10000:e1:00.0 Non-Volatile memory controller: behind VMD
        	Region 0: Memory at 82000000 (64-bit, non-prefetchable) [size=16K]

        """;

    [TestMethod]
    public void The_windows_of_lspci_vv_read()
    {
        PciListing listing = Read(Verbose);
        CollectionAssert.AreEqual(
            new[]
            {
                new PciDevice(Address("00:1c.0"), "PCI bridge: Intel Corporation Root Port (rev c4) (prog-if 00 [Normal decode])", [
                    new Bar(14, BarKind.BridgeWindow, 0xf7c00000, 0xf7e00000, false, false),
                    new Bar(15, BarKind.BridgeWindow, 0x410000000, 0x410200000, true, true)]),
                new PciDevice(Address("00:1c.4"), "PCI bridge: Intel Corporation Root Port", []),
                new PciDevice(Address("03:00.0"), "Ethernet controller: Intel Corporation 82599ES 10-Gigabit", [
                    new Bar(0, BarKind.Memory, 0xf7c00000, 0xf7c20000, false, false),
                    new Bar(3, BarKind.Memory, 0xf7c44000, 0xf7c48000, false, false),
                    new Bar(4, BarKind.Memory, 0x410000000, 0x410100000, true, true),
                    new Bar(6, BarKind.Rom, 0xf7c80000, 0xf7d00000, false, false),
                    new Bar(10, BarKind.VirtualFunction, 0xf7d80000, 0xf7d84000, true, true)]) { Msix = new MsixTable(3, 0, 64) },
                new PciDevice(Address("0001:3b:00.0"), "VGA compatible controller [0300]: NVIDIA Corporation [10de:1b80] (rev a1)", [
                    new Bar(1, BarKind.Memory, 0x200000000000, 0x201000000000, true, true),
                    new Bar(3, BarKind.Memory, 0x201000000000, 0x211000000000, true, true)]),
            },
            listing.Devices.Select(device => new PciDevice(device.Address, device.Description, device.Bars) { Msix = device.Msix }).ToArray());
        CollectionAssert.AreEqual(
            new[]
            {
                "0000:03:00.0: BAR 1 (4 MiB, 32-bit) has no address on this host: lspci shows <unassigned>",
                "1 devices of PCI domains above ffff, which Xen does not know, were passed over",
                "1 windows stand without a size and were passed over; the resource files in sysfs have the sizes",
            },
            listing.Remarks.ToArray());
        // What a guest's firmware has to place: also what has no address here, and ports; nothing of the virtual functions.
        Assert.AreEqual(
            "0 0x20000 mem32; 1 0x400000 mem32; 2 0x20 io; 3 0x4000 mem32; 4 0x100000 mem64-prefetchable; 6 0x80000 rom",
            Requests(listing.Devices[2]));
        Assert.AreEqual((0x10de, 0x1b80, 0x030000), (listing.Devices[3].VendorId, listing.Devices[3].DeviceId, listing.Devices[3].ClassCode));
    }

    private static string Requests(PciDevice device) =>
        string.Join("; ", device.GetRequests().Select(request => $"{request.Index} 0x{request.SizeBytes:x} {request.Type.Name()}"));

    private static PciListing Fixture(string name)
    {
        string path = Path.Combine(AppContext.BaseDirectory, "fixtures", "kvm", name);
        return Read(File.ReadAllText(path), path, Address("0c:00.0"));
    }

    [TestMethod]
    public void The_shadow_of_a_primary_display_s_ROM_is_no_window_and_the_guest_sees_a_ROM_of_that_size()
    {
        PciDevice with = Fixture("shadow-rom.lspci").Devices.Single();
        PciDevice without = Fixture("noshadow.lspci").Devices.Single();
        CollectionAssert.AreEqual(without.Bars.ToArray(), with.Bars.ToArray());
        Assert.AreEqual("0 0x1000000 mem64; 2 0x10000000 mem64-prefetchable", Requests(without));
        Assert.AreEqual("0 0x1000000 mem64; 2 0x10000000 mem64-prefetchable; 6 0x20000 rom", Requests(with));
    }

    [TestMethod]
    public void Windows_that_the_host_s_firmware_did_not_place_are_named_and_their_sizes_used()
    {
        PciListing ignored = Fixture("ignored.lspci");
        CollectionAssert.AreEqual(
            new[]
            {
                "0000:0c:00.0: BAR 1 (its size is not told, 64-bit, prefetchable) has no address on this host: "
                    + "lspci shows <ignored>",
                "0000:0c:00.0: BAR 3 (its size is not told, 64-bit, prefetchable) has no address on this host: "
                    + "lspci shows <unassigned>",
            },
            ignored.Remarks.ToArray());
        Assert.AreEqual("0 0x1000000 mem32", Requests(ignored.Devices.Single()));

        PciListing sized = Fixture("unassigned-size.lspci");
        Assert.AreEqual("0 0x1000000 mem32; 1 0x2000000000 mem64-prefetchable", Requests(sized.Devices.Single()));
        StringAssert.StartsWith(sized.Remarks.Single(), "0000:0c:00.0: BAR 1 (128 GiB, 64-bit, prefetchable) has no address");

        PciListing unset = Fixture(Path.Combine("sysfs-unset", "resource"));
        Assert.AreEqual("0 0x1000000 mem32; 1 0x2000000000 mem64-prefetchable; 3 0x2000000 mem64-prefetchable", Requests(unset.Devices.Single()));
        Assert.HasCount(2, unset.Devices.Single().Unplaced);
        StringAssert.EndsWith(unset.Remarks[1],
            "BAR 3 (32 MiB, 64-bit, prefetchable) has no address on this host: its row in sysfs is unset");
    }

    [TestMethod]
    public void Lost_indentation_is_no_loss() =>
        Assert.AreEqual("0 0x1000000 mem32; 1 0x2000000000 mem64-prefetchable", Requests(Fixture("noindent.lspci").Devices.Single()));

    [TestMethod]
    public void A_region_that_stands_twice_in_the_same_words_is_one()
    {
        const string region = "\tRegion 0: Memory at f0000000 (32-bit, prefetchable) [size=16M]\n";

        Assert.HasCount(1, Read($"00:02.0 X\n{region}{region}{region}").Devices[0].Bars);
    }

    [TestMethod]
    public void A_window_of_another_capability_may_have_any_size() =>
        Assert.AreEqual(3UL << 20, Read("00:02.0 X\n\tRegion 0: [enhanced] Memory at f0000000 (32-bit, prefetchable) [size=3M]\n").Devices[0]
            .Bars[0].SizeBytes);

    [TestMethod]
    public void Region_lines_alone_are_those_of_one_device_or_of_several_in_turn()
    {
        const string lines = """
            	Region 0: Memory at db000000 (32-bit, non-prefetchable) [size=16M]
            	Region 1: Memory at 2000000000 (64-bit, prefetchable) [size=128G]
            	Region 0: Memory at dc000000 (32-bit, non-prefetchable) [size=16K]

            """;
        PciListing listing = Read(lines, address: Address("0c:00.0"));
        Assert.AreEqual("0000:0c:00.0 0000:0c:00.1", string.Join(" ", listing.Devices.Select(device => device.Address)));
        Assert.AreEqual("0 0x4000 mem32", Requests(listing.Devices[1]));
        Assert.IsTrue(listing.Remarks.IsEmpty);
        StringAssert.Contains(Read(lines).Remarks.Single(), "does not say whose windows");
    }

    [TestMethod]
    public void A_virtual_function_s_windows_count()
    {
        PciListing listing =
            Read("3b:02.0 Ethernet controller [0200]: Intel [8086:154c]\n\tRegion 0: [virtual] Memory at 95e00000 "
                + "(64-bit, prefetchable) [size=64K]\n");
        Assert.AreEqual("0 0x10000 mem64-prefetchable", Requests(listing.Devices.Single()));
        Assert.HasCount(1, listing.Devices.Single().Bars);
    }

    [TestMethod]
    public void Resizable_sizes_and_counts_of_virtual_functions_are_read()
    {
        PciDevice device = Read("""
            01:00.0 3D controller: NVIDIA Corporation GA100 [A100 PCIe 40GB] (rev a1)
            	Region 1: Memory at 20000000000 (64-bit, prefetchable) [size=64G]
            	Capabilities: [bb0 v1] Physical Resizable BAR
            		BAR 1: current size: 64GB, supported: 64MB 128MB 64GB
            	Capabilities: [bcc v1] Single Root I/O Virtualization (SR-IOV)
            		IOVCap:	Migration-, Interrupt Message Number: 000
            		Initial VFs: 20, Total VFs: 20, Number of VFs: 4, Function Dependency Link: 00
            		Region 0: Memory at db000000 (32-bit, non-prefetchable)
            	Capabilities: [c14 v1] Virtual Resizable BAR
            		BAR 0: current size: 256KB, supported: 256KB 512KB
            	Capabilities: [900 v1] Secondary PCI Express
            		BAR 5: current size: 1GB, supported: 1GB

            """).Devices.Single();
        CollectionAssert.AreEqual(
            new[]
            {
                new ResizableBar(1, 64UL << 30, [64UL << 20, 128UL << 20, 64UL << 30], IsVirtual: false),
                new ResizableBar(0, 256UL << 10, [256UL << 10, 512UL << 10], IsVirtual: true),
            },
            device.Resizable.ToArray());
        Assert.AreEqual(new SriovCapability(20, 4), device.Sriov);
        Assert.AreEqual(0x030200, device.ClassCode);
    }

    [TestMethod]
    public void A_kernel_s_log_of_old_tells_registers_assignments_and_what_found_no_space()
    {
        PciListing listing = Read("""
            [    0.415301] pci 0000:01:00.0: [10de:2330] type 00 class 0x030200
            [    0.415318] pci 0000:01:00.0: reg 0x10: [mem 0x42000000-0x42ffffff 64bit pref]
            [    0.415329] pci 0000:01:00.0: reg 0x18: [mem 0x2000000000-0x3fffffffff 64bit pref]
            [    0.415340] pci 0000:01:00.0: reg 0x24: [io  0xe000-0xe07f]
            [    0.415350] pci 0000:01:00.0: reg 0x30: [mem 0xfff80000-0xffffffff pref]
            [    0.415390] pci 0000:01:00.0: reg 0xbf0: [mem 0x00000000-0x0003ffff]
            [    0.415391] pci 0000:01:00.0: VF(n) BAR0 space: [mem 0x00000000-0x003fffff] (contains BAR0 for 16 VFs)
            [    0.430000] pci_bus 0000:00: root bus resource [mem 0x40000000-0xfebfffff window]
            [    0.440000] pci 0000:01:00.0: BAR 2: no space for [mem size 0x2000000000 64bit pref]
            [    0.440001] pci 0000:01:00.0: BAR 2: failed to assign [mem size 0x2000000000 64bit pref]
            [    0.440002] pci 0000:01:00.0: BAR 6: assigned [mem 0x43000000-0x4307ffff pref]
            [    0.440003] pci 0000:00:01.0: BAR 14: assigned [mem 0x42000000-0x43ffffff]
            """);
        PciDevice device = listing.Devices.Single();
        Assert.AreEqual("0 0x1000000 mem64-prefetchable; 2 0x2000000000 mem64-prefetchable; 5 0x80 io; 6 0x80000 rom", Requests(device));
        CollectionAssert.AreEqual(
            new[] { new Bar(0, BarKind.Memory, 0x42000000, 0x43000000, true, true), new Bar(6, BarKind.Rom, 0x43000000, 0x43080000, false, true) },
            device.Bars.ToArray());
        Assert.AreEqual(
            "0000:01:00.0: BAR 2 (128 GiB, 64-bit, prefetchable) has no address on this host: the kernel's "
                + "log says that there is no space for it",
            listing.Remarks[0]);
        Assert.AreEqual(new SriovCapability(16, 0), device.Sriov);
        Assert.AreEqual((0x10de, 0x2330, 0x030200), (device.VendorId, device.DeviceId, device.ClassCode));
    }

    [TestMethod]
    public void A_kernel_s_log_since_6_10_has_the_window_in_front_of_the_word()
    {
        PciListing listing = Read("""
            Jan 01 10:00:00 h kernel: pci 0000:01:00.0: [10de:2b85] type 00 class 0x030000 PCIe Legacy Endpoint
            Jan 01 10:00:00 h kernel: pci 0000:01:00.0: BAR 0 [mem 0xf8000000-0xfbffffff]
            Jan 01 10:00:00 h kernel: pci 0000:01:00.0: BAR 1 [mem 0xfc00000000-0xffffffffff 64bit pref]
            Jan 01 10:00:00 h kernel: pci 0000:01:00.0: BAR 5 [io  0xf000-0xf07f]
            Jan 01 10:00:00 h kernel: pci 0000:01:00.0: ROM [mem 0xfc000000-0xfc07ffff pref]
            Jan 01 10:00:00 h kernel: pci 0000:01:00.0: VF BAR 0 [mem 0x00000000-0x0003ffff 64bit]: contains BAR 0 for 8 VFs
            Jan 01 10:00:00 h kernel: pci 0000:01:00.0: BAR 1 [mem size 0x400000000 64bit pref]: can't assign; no space
            Jan 01 10:00:00 h kernel: pci 0000:01:00.0: BAR 1 [mem size 0x400000000 64bit pref]: failed to assign
            Jan 01 10:00:00 h kernel: pci 0000:02:00.0: BAR 0 [mem 0xe0000000-0xefffffff 64bit pref]: can't claim; no compatible bridge window
            Jan 01 10:00:00 h kernel: pci 0000:02:00.0: BAR 0 [mem 0x4000000000-0x400fffffff 64bit pref]: assigned
            Jan 01 10:00:01 h kernel: NVRM: BAR1 is 0M @ 0x0 (PCI:0000:03:00.0)
            """);
        Assert.AreEqual("0 0x4000000 mem32; 1 0x400000000 mem64-prefetchable; 5 0x80 io; 6 0x80000 rom", Requests(listing.Devices[0]));
        StringAssert.EndsWith(listing.Remarks[0], "the kernel's log says that there is no space for it");
        Assert.AreEqual(0x4000000000UL, listing.Devices[1].Bars.Single().Start);
        Assert.IsTrue(listing.Devices[1].Unplaced.IsEmpty);
        Assert.AreEqual(
            "0000:03:00.0: BAR 1 (its size is not told, 64-bit, prefetchable) has no address on this host: "
                + "NVIDIA's driver found it at address 0",
            listing.Remarks[^1]);
    }

    [TestMethod]
    public void Windows_of_a_kernel_s_log_that_a_mail_program_wrapped_are_read_and_the_last_word_counts()
    {
        PciListing listing = Read("""
            [    7.043813] pci 0000:06:00.0: [10de:2330] type 00 class 0x030200
            PCIe Endpoint
            [    7.295739] pci 0000:06:00.0: BAR 0 [mem
            0x382002000000-0x382002ffffff 64bit pref]
            > [    7.551734] pci 0000:06:00.0: BAR 2 [mem 0x380000000000-
            > 0x381fffffffff 64bit pref]
            [    8.000000] pci 0000:07:00.0: BAR 1: no space for
            [mem size 0x20000000 64bit pref]
            [    8.000001] pci 0000:07:00.0: BAR 3 [mem 0x6010000000-0x6011ffffff
            64bit pref]: releasing
            [    9.000001] pci 0000:07:00.0: BAR 1 [mem 0x6000000000-0x600fffffff
            64bit pref]: assigned
            [    9.000002] pci 0000:07:00.0: BAR 3 [mem 0x6010000000-0x6011ffffff 64bit pref]:
            assigned
            """);
        Assert.AreEqual("0 0x1000000 mem64-prefetchable; 2 0x2000000000 mem64-prefetchable", Requests(listing.Devices[0]));
        CollectionAssert.AreEqual(
            new[]
            {
                new Bar(1, BarKind.Memory, 0x6000000000, 0x6010000000, true, true), new Bar(3, BarKind.Memory, 0x6010000000, 0x6012000000, true, true),
            },
            listing.Devices[1].Bars.ToArray());
        Assert.IsTrue(listing.Remarks.IsEmpty);
    }

    [TestMethod]
    public void A_line_of_its_own_behind_one_that_was_cut_is_not_its_rest()
    {
        PciListing listing = Read("""
            [    7.295739] pci 0000:06:00.0: BAR 0 [mem
            [    7.551734] pci 0000:06:00.0: BAR 2 [mem 0x380000000000-0x381fffffffff 64bit pref]
            """);
        Assert.AreEqual("2 0x2000000000 mem64-prefetchable", Requests(listing.Devices.Single()));
    }

    [TestMethod]
    public void What_a_PV_guest_of_Xen_cannot_claim_has_its_place_on_the_host()
    {
        PciListing listing = Read("""
            pcifront pci-0: claiming resource 0000:00:00.4/0
            pci 0000:00:00.4: can't claim BAR 0 [mem 0x90004000-0x90007fff 64bit pref]: address conflict with System RAM [mem 0x90000000-0x97ffffff]
            """);
        Assert.AreEqual(new Bar(0, BarKind.Memory, 0x90004000, 0x90008000, true, true), listing.Devices.Single().Bars.Single());
        Assert.AreEqual(
            "the log is of a PV guest of Xen (pcifront): functions have the guest's own addresses in it, and BARs those of the host",
            listing.Remarks.Single());
    }

    [TestMethod]
    public void The_log_of_a_virtual_machine_is_named_for_its_BARs_are_not_where_the_host_has_them()
    {
        PciListing listing = Read("""
            [    0.000000] DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 2024.02-2 03/11/2024
            [    0.295739] pci 0000:06:00.0: BAR 0 [mem 0x81a00000-0x81a00fff]
            """);
        StringAssert.StartsWith(listing.Remarks.Single(), "the log is of a virtual machine");
    }

    [TestMethod]
    public void Of_several_boots_the_last_of_the_machine_itself_counts()
    {
        PciListing listing = Read("""
            [    0.000000] Linux version 5.17.0 (a@b) #1 SMP
            [    0.295739] pci 0001:01:00.0: BAR 0 [mem 0x81a00000-0x81a00fff]
            [    0.000000] Linux version 5.18.0 (a@b) #1 SMP
            [    0.295739] pci 0000:01:00.0: BAR 0 [mem 0x82a00000-0x82a00fff]
            [    0.000000] Linux version 6.1.0 (a@b) #1 SMP
            [    0.000000] Hypervisor detected: KVM
            [    0.295739] pci 0000:06:00.0: BAR 0 [mem 0x83a00000-0x83a00fff]
            """);
        Assert.AreEqual(0x82a00000UL, listing.Devices.Single().Bars.Single().Start);
        Assert.AreEqual("the log has 3 boots that tell of windows: those of one are taken", listing.Remarks.Single());
    }

    /// <summary>Kernels without virtual functions count a bridge's windows from 7 on, where others have those of a card.</summary>
    [TestMethod]
    public void A_bridge_of_a_kernel_s_log_is_no_device()
    {
        PciListing listing = Read("""
            [    0.1] pci 0000:01:00.0: [104c:8231] type 01 class 0x060400
            [    0.2] pci 0000:06:05.0: BAR 0: assigned [mem 0xd8000000-0xd83fffff]
            [    0.3] pci 0000:01:00.0: BAR 8: assigned [mem 0xd8000000-0xd8bfffff]
            [    0.4] pci 0000:02:02.0: BAR 8: assigned [mem 0xd8000000-0xd85fffff]
            [    0.5] pci 0000:02:02.0: PCI bridge to [bus 06]
            """);
        Assert.AreEqual("06:05.0", listing.Devices.Single().Address.ToString()[5..]);
    }

    [TestMethod]
    public void A_sentence_that_begins_with_an_address_is_no_function_of_lspci()
    {
        PciListing listing = Read("""
            01:00.0 3D controller: Somebody Device 20b2 (rev a1)
                    Memory at 2000000000 (64-bit, prefetchable) [size=128G]

            [   15.185625] [drm] Initialized a-drm 0.0.0 20160202 for
            0000:01:00.0 on minor 1
            """);
        Assert.AreEqual("0 0x2000000000 mem64-prefetchable", Requests(listing.Devices.Single()));
    }

    [TestMethod]
    public void A_packed_listing_is_read_a_cut_one_refused_and_an_archive_named()
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionMode.Compress, leaveOpen: true))
            gzip.Write(Encoding.UTF8.GetBytes(Verbose));
        byte[] bytes = packed.ToArray();

        Assert.IsTrue(BarReader.Read(new MemoryStream(bytes), "d.gz").TryGet(out PciListing? listing, out InputError? error), $"{error}");
        CollectionAssert.AreEqual(Read(Verbose).Devices.ToArray(), listing.Devices.ToArray());
        Assert.IsFalse(BarReader.Read(new MemoryStream(bytes[..^9]), "d.gz").TryGet(out _, out error));
        Assert.AreEqual(InputErrorCode.Unreadable, error!.Code);
        Assert.IsFalse(BarReader.Read(new MemoryStream([(byte)'P', (byte)'K', 3, 4, 0, 0]), "d.zip").TryGet(out _, out error));
        Assert.Contains("an archive", error!.What.ToString());
    }

    [TestMethod]
    [DataRow("128G,64bit", 0x2000000000UL, BarType.Memory64Prefetchable)]
    [DataRow("128G", 0x2000000000UL, BarType.Memory64Prefetchable)]
    [DataRow("256M", 0x10000000UL, BarType.Memory32)]
    [DataRow("256M,prefetchable", 0x10000000UL, BarType.Memory32Prefetchable)]
    [DataRow("0x1000,64bit,non-prefetchable", 0x1000UL, BarType.Memory64)]
    [DataRow("16k , 64-bit, nonpref", 0x4000UL, BarType.Memory64)]
    [DataRow("128,io", 128UL, BarType.Io)]
    public void A_request_without_an_address_reads(string text, ulong sizeBytes, BarType type)
    {
        Assert.IsTrue(BarRequest.TryParse(text, 1 - 1, out BarRequest request));
        Assert.AreEqual(BarRequest.Create(0, sizeBytes, type), request);
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("G")]
    [DataRow("3G")]
    [DataRow("4G,32bit")]
    [DataRow("128G,wide")]
    [DataRow("16777216T")]
    [DataRow("8,io,64bit")]
    [DataRow("16M,64bit,32bit")]
    [DataRow("16M,64bit,64bit")]
    [DataRow("16M,prefetchable,non-prefetchable")]
    [DataRow("8,io,io")]
    [DataRow("-1")]
    public void A_request_that_no_register_can_make_is_refused(string text) => Assert.IsFalse(BarRequest.TryParse(text, 0, out _));

    [TestMethod]
    [DataRow("> ")]
    [DataRow(">")]
    [DataRow("> > ")]
    public void What_lspci_prints_is_read_from_a_mail_that_cites_it(string mark) =>
        CollectionAssert.AreEqual(Read(Verbose).Devices.ToArray(), Read(mark + Verbose.ReplaceLineEndings($"\n{mark}")).Devices.ToArray());

    [TestMethod]
    public void The_windows_of_lspci_v_are_counted()
    {
        PciListing listing = Read("""
            00:02.0 VGA compatible controller: Intel
            	Flags: bus master, fast devsel, latency 0, IRQ 33
            	Memory at f7800000 (64-bit, non-prefetchable) [size=4M]
            	I/O ports at f000 [size=64]
            	Memory at e0000000 (32-bit, prefetchable) [size=256M]
            	Expansion ROM at 000c0000 [virtual] [disabled] [size=128K]

            """);
        CollectionAssert.AreEqual(
            new[]
            {
                new Bar(0, BarKind.Memory, 0xf7800000, 0xf7c00000, true, false),
                new Bar(3, BarKind.Memory, 0xe0000000, 0xf0000000, false, true),
            },
            listing.Devices.Single().Bars.ToArray());
        Assert.AreEqual("0 0x400000 mem64; 2 0x40 io; 3 0x10000000 mem32-prefetchable; 6 0x20000 rom", Requests(listing.Devices.Single()));
    }

    [TestMethod]
    [DataRow("128", 128ul)]
    [DataRow("4K", 4096ul)]
    [DataRow("2M", 2ul << 20)]
    [DataRow("64G", 64ul << 30)]
    [DataRow("2T", 2ul << 40)]
    public void Sizes_are_read_in_each_unit(string size, ulong sizeBytes) =>
        Assert.AreEqual(sizeBytes,
            Read($"00:02.0 X\n\tRegion 0: Memory at 1000000000 (64-bit, prefetchable) [size={size}]\n").Devices[0].Bars[0].SizeBytes);

    [TestMethod]
    [DataRow("00:02.0 X\n\tRegion 0: Memory at f000000g (32-bit, prefetchable) [size=4K]", 2, "does not start with an address")]
    [DataRow("00:02.0 X\n\tRegion 0: Memory at f0000000 (32-bit, prefetchable) [size=4X]", 2, "is not a valid size")]
    [DataRow("00:02.0 X\n\tRegion 0: Memory at f0000000 (32-bit, prefetchable) [size=0]", 2, "is not a valid size")]
    [DataRow("00:02.0 X\n\tRegion 0: Memory at f0000000 (32-bit, prefetchable) [size=4294967295T]", 2, "is not a valid size")]
    [DataRow("00:02.0 X\n\tRegion 0: Memory at f0000000 (32-bit, prefetchable) [size=", 2, "is not a valid size")]
    [DataRow("00:02.0 X\n\tRegion 0: Memory at fffffffffff000 (64-bit, prefetchable) [size=8K]", 2, "52 address bits")]
    [DataRow("00:02.0 X\n\tRegion 0: Memory at ffffffffffffffff (64-bit, prefetchable) [size=8K]", 2,
        "52 address bits: ffffffffffffffff to 10000000000001fff")]
    [DataRow("00:02.0 X\n\tRegion 7: Memory at f0000000 (32-bit, prefetchable) [size=4K]", 2, "no base address register")]
    [DataRow("00:02.0 X\n\tRegion 0: Memory at f0000000 (32-bit, prefetchable) [size=3M]", 2, "power of two")]
    [DataRow("00:02.0 X\n\tRegion 5: Memory at f0000000 (64-bit, prefetchable) [size=16M]", 2, "cannot have 64 bits")]
    [DataRow("00:02.0 X\n\tRegion 0: Memory at f0000000 (64-bit, prefetchable) [size=16M]\n\tRegion 1: Memory at e0000000 (32-bit, prefetchable) "
        + "[size=16M]", 3, "upper half of region 0")]
    [DataRow("00:02.0 X\n\tRegion 0: Memory at f0000000 (32-bit, prefetchable) [size=16M]\n\tRegion 0: Memory at e0000000 (32-bit, prefetchable) "
        + "[size=16M]", 3, "there a second time")]
    [DataRow("00:02.0 X\n\n\tMemory behind bridge: f0000000", 3, "is not a valid address range")]
    [DataRow("00:02.0 X\n00:02.0 Y", 2, "a second device at 0000:00:02.0")]
    [DataRow("hello", null, "no PCI device in it")]
    [DataRow("", null, "no PCI device in it")]
    public void What_is_wrong_with_lspci_is_said_with_its_line(string text, int? line, string what)
    {
        InputError error = Error(text);
        StringAssert.Contains(error.What, what);
        Assert.AreEqual(line, error.Line);
    }

    [TestMethod]
    [DataRow("iommu.log")]
    [DataRow("passthrough.log")]
    public void The_resource_file_of_the_golden_records_reads(string log)
    {
        string text = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "golden", log));
        string section = text.Split("=== BARS\n")[1].Split("=== END")[0];
        PciListing listing = Read(section, "/sys/bus/pci/devices/0000:00:02.0/resource");
        Assert.AreEqual(
            new PciDevice(Address("00:02.0"), "", [
                new Bar(0, BarKind.Memory, 0xfebc0000, 0xfebe0000, false, false),
                new Bar(6, BarKind.Rom, 0xfeb80000, 0xfebc0000, false, true)])
            {
                Requests = [BarRequest.Create(0, 0x20000, BarType.Memory32), BarRequest.Create(1, 0x40, BarType.Io),
                    BarRequest.Create(6, 0x40000, BarType.Rom)],
            },
            listing.Devices.Single());
    }

    [TestMethod]
    public void The_rows_of_a_resource_file_have_their_meaning()
    {
        string[] rows = [.. Enumerable.Range(0, 17)
            .Select(row =>
                $"0x{row + 1:x8}0000 0x{row + 1:x8}ffff 0x{(row is 2 ? 0x101 : row is 4 ? 0x20000200 : row > 5 && row % 2 == 0 ? 0x14220c : 0x200):x16}")];
        PciListing listing = Read(string.Join("\r\n", rows), address: Address("03:00.0"));
        Bar[] bars = [.. listing.Devices.Single().Bars];
        CollectionAssert.AreEqual(new[] { 0, 1, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 }, bars.Select(bar => bar.Index).ToArray());
        Assert.IsTrue(bars.All(bar => bar.Kind == bar.Index switch
        {
            <= 5 => BarKind.Memory,
            6 => BarKind.Rom,
            <= 12 => BarKind.VirtualFunction,
            _ => BarKind.BridgeWindow,
        }));
        Assert.IsTrue(bars.All(bar => bar.Is64Bit == (bar.Index > 5 && bar.Index % 2 == 0) && bar.IsPrefetchable == bar.Is64Bit
            && bar.Start == (ulong)(bar.Index + 1) << 16 && bar.SizeBytes == 0x10000));
        Assert.AreEqual("0000:03:00.0: BAR 4 (64 KiB, 32-bit) has no address on this host: its row in sysfs is unset",
            listing.Remarks.Single());
    }

    [TestMethod]
    public void Without_sriov_in_the_kernel_a_bridges_windows_follow_its_rom()
    {
        string rows = string.Concat(Enumerable.Range(0, 11).Select(row => $"0x{row + 1:x8}0000 0x{row + 1:x8}ffff 0x200\n"));
        Bar[] bars = [.. Read(rows, address: Address("00:1c.0")).Devices.Single().Bars];
        CollectionAssert.AreEqual(new[] { 0, 1, 2, 3, 4, 5, 6, 13, 14, 15, 16 }, bars.Select(bar => bar.Index).ToArray());
        Assert.AreEqual(BarKind.BridgeWindow, bars[7].Kind);
    }

    [TestMethod]
    [DataRow("0x1000 0x1fff 0x200\n0x2000 0x2fff\n", 2, "is not a row")]
    [DataRow("0x1000 0x1fff 0x200\n2000 2fff 200\n", 2, "is not a row")]
    [DataRow("0x1000 0x1fff 0x200 0x0\n", 1, "is not a row")]
    [DataRow("0x1000 0xfff 0x200\n", 1, "ends before it starts")]
    [DataRow("0x2000 0x1000 0x200\n", 1, "ends before it starts")]
    [DataRow("0x0 0x10000000000000 0x200\n", 1, "52 address bits")]
    [DataRow("0x0 0xffffffffffffffff 0x200\n", 1, "52 address bits: 0 to 10000000000000000")]
    [DataRow("0x0 0x1ffffffffffffffff 0x200\n", 1, "is not a row")]
    public void What_is_wrong_with_a_resource_file_is_said_with_its_line(string text, int line, string what)
    {
        InputError error = Error(text, Address("00:02.0"));
        StringAssert.Contains(error.What, what);
        Assert.AreEqual(line, error.Line);
    }

    [TestMethod]
    public void Eighteen_rows_are_more_than_a_device_has() =>
        Assert.AreEqual(18, Error(string.Concat(Enumerable.Repeat("0x0 0x0 0x0\n", 18)), Address("00:02.0")).Line);

    [TestMethod]
    public void A_resource_file_whose_device_is_unknown_is_refused() =>
        StringAssert.Contains(Error("0x1000 0x1fff 0x200\n").What, "does not say whose it is");

    [TestMethod]
    public void The_device_of_a_resource_file_is_the_last_address_in_its_path()
    {
        const string path = "/sys/devices/pci0000:00/0000:00:1c.0/0000:03:00.1/resource";
        Assert.AreEqual(Address("03:00.1"), Read("0x1000 0x1fff 0x200\n", path).Devices.Single().Address);
    }

    [TestMethod]
    public void What_lspci_prints_of_random_windows_reads_back()
    {
        Gen<Bar> bar =
            from index in Gen.Choose(0, 5)
            from shift in Gen.Choose(4, 40)
            from slot in Gen.Choose(1, 1 << 11)
            from is64Bit in Gen.Elements(false, true)
            from isPrefetchable in Gen.Elements(false, true)
            select new Bar(index, BarKind.Memory, (ulong)slot << shift, ((ulong)slot + 1) << shift, is64Bit, isPrefetchable);
        Prop.ForAll(bar.ListOf().ToArbitrary(), random =>
        {
            // Each register once, and none within a window of 64 bits.
            Bar[] bars = [.. random.DistinctBy(static each => each.Index).Where(each => !(each is { Index: 5, Is64Bit: true })
                && !random.Any(other => other.Is64Bit && other.Index == each.Index - 1))];
            string text = "05:00.0 A device\n" + string.Concat(bars.Select(each =>
                $"\tRegion {each.Index}: Memory at {each.Start:x8} ({(each.Is64Bit ? "64" : "32")}-bit, "
                    + $"{(each.IsPrefetchable ? "" : "non-")}prefetchable) [size={Size(each.SizeBytes)}]\n"));
            CollectionAssert.AreEqual(bars, Read(text).Devices.Single().Bars.ToArray());
        }).QuickCheckThrowOnFailure();

        static string Size(ulong sizeBytes)
        {
            int unit = 0;
            while (unit < 4 && sizeBytes % 1024 == 0)
            {
                sizeBytes /= 1024;
                unit++;
            }

            return $"{sizeBytes}{"KMGT".AsSpan(Math.Max(0, unit - 1), Math.Min(1, unit))}";
        }
    }

    [TestMethod]
    public void Every_truncation_and_damage_is_read_or_refused_in_one_line()
    {
        byte[] bytes = Encoding.UTF8.GetBytes(Verbose);
        for (int length = 0; length < bytes.Length; length++)
            Survives(bytes[..length]);
        var random = new Random(4);
        byte[] rows =
            Encoding.UTF8.GetBytes(
                "0x00000000febc0000 0x00000000febdffff 0x0000000000040200\n0x0000000000000000 0x0000000000000000 0x0000000000000000\n");
        for (int i = 0; i < 2000; i++)
        {
            byte[] damaged = [.. i % 2 == 0 ? bytes : rows];
            for (int flips = random.Next(1, 4); flips > 0; flips--)
                damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            Survives(damaged);
        }
    }

    [TestMethod]
    public void Sixteen_mebibytes_are_read_in_bounded_time_and_more_are_refused()
    {
        string many = string.Concat(Enumerable.Range(0, 65536)
            .Select(number =>
                $"{number >> 8:x2}:{(number >> 3) & 31:x2}.{number & 7} Device {number}\n\tRegion 0: Memory at {(ulong)number << 20:x8} "
                    + $"(32-bit, non-prefetchable) [size=1M]\n"));
        Assert.HasCount(65536, Read(many).Devices);
        StringAssert.Contains(Error(many + "0001:00:00.0 X\n").What, "more than 65536");
        Survives(Encoding.UTF8.GetBytes(new string('\n', BarReader.MaxSizeBytes)));
        Survives(Encoding.UTF8.GetBytes("00:02.0 X\n\t" + new string('x', BarReader.MaxSizeBytes - 100)));
        StringAssert.Contains(Error(new string('x', BarReader.MaxSizeBytes + 1)).What, "longer than 16 MiB");
    }

    [TestMethod]
    [DataRow("febc0000-febe0000", 0xfebc0000ul, 0xfebe0000ul)]
    [DataRow("0xfebc0000-0xfebe0000", 0xfebc0000ul, 0xfebe0000ul)]
    [DataRow(" 0-10000000000000 ", 0ul, 1ul << 52)]
    [DataRow("0-1", 0ul, 1ul)]
    public void A_range_from_the_command_line_reads(string text, ulong start, ulong end)
    {
        Assert.IsTrue(Bar.ParseRange(text).TryGet(out Bar? bar, out _));
        Assert.AreEqual(new Bar(0, BarKind.Memory, start, end, end > 1ul << 32, false), bar);
    }

    [TestMethod]
    [DataRow("", "is not a valid address range")]
    [DataRow("-", "is not a valid address range")]
    [DataRow("1", "is not a valid address range")]
    [DataRow("1-", "is not a valid address range")]
    [DataRow("1-2-3", "is not a valid address range")]
    [DataRow("-1-2", "is not a valid address range")]
    [DataRow("g-h", "is not a valid address range")]
    [DataRow("1 - 2", "is not a valid address range")]
    [DataRow("00000000000000001-2", "is not a valid address range")]
    [DataRow("2-1", "ends before it starts")]
    [DataRow("1-1", "ends before it starts")]
    [DataRow("0-10000000000001", "52 address bits")]
    [DataRow("0-ffffffffffffffff", "52 address bits")]
    public void A_range_that_is_none_is_refused(string text, string what) => StringAssert.Contains(Bar.ParseRange(text).Error?.What, what);

    private static void Survives(byte[] bytes)
    {
        long start = Stopwatch.GetTimestamp();
        Parsed<PciListing> parsed = BarReader.Read(new MemoryStream(bytes), "lspci", Address("00:02.0"));
        if (!parsed.TryGet(out PciListing? listing, out InputError? error))
        {
            Assert.IsFalse(error.ToString().Any(char.IsControl), error.ToString());
        }
        else
        {
            foreach (PciDevice device in listing.Devices)
            {
                Assert.IsFalse(device.Description.Any(char.IsControl));
                Assert.IsTrue(device.Bars.All(bar => bar.Start < bar.End && bar.End <= Frames.AddressLimit && bar.Index is >= 0 and <= 16));
            }
        }

        Assert.IsLessThan(TimeSpan.FromSeconds(30), Stopwatch.GetElapsedTime(start));
    }

    private static PciAddress Address(string text)
    {
        Assert.IsTrue(PciAddress.TryParse(text, out PciAddress address));
        return address;
    }

    private static PciListing Read(string text, string sourceName = "lspci.txt", PciAddress? address = null)
    {
        Assert.IsTrue(BarReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), sourceName, address)
            .TryGet(out PciListing? listing, out InputError? error), error?.ToString());
        return listing;
    }

    private static InputError Error(string text, PciAddress? address = null)
    {
        Parsed<PciListing> parsed = BarReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "lspci.txt", address);
        Assert.IsNotNull(parsed.Error, "was read");
        return parsed.Error;
    }
}
