// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.IO;
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
            listing.Devices.ToArray());
        CollectionAssert.AreEqual(
            new[]
            {
                "1 devices of PCI domains above ffff, which Xen does not know, were passed over",
                "1 windows stand without a size and were passed over; the resource files in sysfs have the sizes",
            },
            listing.Remarks.ToArray());
    }

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
                new Bar(6, BarKind.Rom, 0xc0000, 0xe0000, false, false),
            },
            listing.Devices.Single().Bars.ToArray());
    }

    [TestMethod]
    [DataRow("128", 128ul)]
    [DataRow("4K", 4096ul)]
    [DataRow("3M", 3ul << 20)]
    [DataRow("64G", 64ul << 30)]
    [DataRow("2T", 2ul << 40)]
    public void Sizes_are_read_in_each_unit(string size, ulong sizeBytes) =>
        Assert.AreEqual(sizeBytes, Read($"00:02.0 x\n\tRegion 0: Memory at 1000000000 (64-bit, prefetchable) [size={size}]\n").Devices[0].Bars[0].SizeBytes);

    [TestMethod]
    [DataRow("00:02.0 x\n\tRegion 0: Memory at f000000g (32-bit, prefetchable) [size=4K]", 2, "does not start with an address")]
    [DataRow("00:02.0 x\n\tRegion 0: Memory at f0000000 (32-bit, prefetchable) [size=4X]", 2, "is no size")]
    [DataRow("00:02.0 x\n\tRegion 0: Memory at f0000000 (32-bit, prefetchable) [size=0]", 2, "is no size")]
    [DataRow("00:02.0 x\n\tRegion 0: Memory at f0000000 (32-bit, prefetchable) [size=4294967295T]", 2, "is no size")]
    [DataRow("00:02.0 x\n\tRegion 0: Memory at f0000000 (32-bit, prefetchable) [size=", 2, "is no size")]
    [DataRow("00:02.0 x\n\tRegion 0: Memory at fffffffffff000 (64-bit, prefetchable) [size=8K]", 2, "52 address bits")]
    [DataRow("00:02.0 x\n\tRegion 0: Memory at ffffffffffffffff (64-bit, prefetchable) [size=8K]", 2, "52 address bits")]
    [DataRow("00:02.0 x\n\tRegion 7: Memory at f0000000 (32-bit, prefetchable) [size=4K]", 2, "no base address register")]
    [DataRow("00:02.0 x\n\n\tMemory behind bridge: f0000000", 3, "is no address range")]
    [DataRow("00:02.0 x\n00:02.0 y", 2, "a second device at 0000:00:02.0")]
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
                new Bar(6, BarKind.Rom, 0xfeb80000, 0xfebc0000, false, true)]),
            listing.Devices.Single());
    }

    [TestMethod]
    public void The_rows_of_a_resource_file_have_their_meaning()
    {
        string[] rows = [.. Enumerable.Range(0, 17).Select(row => $"0x{row + 1:x8}0000 0x{row + 1:x8}ffff 0x{(row is 2 ? 0x101 : row is 4 ? 0x20000200 : row % 2 == 0 ? 0x14220c : 0x200):x16}")];
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
        Assert.IsTrue(bars.All(bar => bar.Is64Bit == (bar.Index % 2 == 0) && bar.IsPrefetchable == bar.Is64Bit && bar.Start == (ulong)(bar.Index + 1) << 16 && bar.SizeBytes == 0x10000));
        Assert.AreEqual("line 5: window 4 of 0000:03:00.0 has no address yet", listing.Remarks.Single());
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
    [DataRow("0x1000 0x1fff 0x200\n0x2000 0x2fff\n", 2, "is no row")]
    [DataRow("0x1000 0x1fff 0x200\n2000 2fff 200\n", 2, "is no row")]
    [DataRow("0x1000 0x1fff 0x200 0x0\n", 1, "is no row")]
    [DataRow("0x1000 0xfff 0x200\n", 1, "ends before it starts")]
    [DataRow("0x2000 0x1000 0x200\n", 1, "ends before it starts")]
    [DataRow("0x0 0x10000000000000 0x200\n", 1, "52 address bits")]
    [DataRow("0x0 0xffffffffffffffff 0x200\n", 1, "52 address bits")]
    [DataRow("0x0 0x1ffffffffffffffff 0x200\n", 1, "is no row")]
    public void What_is_wrong_with_a_resource_file_is_said_with_its_line(string text, int line, string what)
    {
        InputError error = Error(text, Address("00:02.0"));
        StringAssert.Contains(error.What, what);
        Assert.AreEqual(line, error.Line);
    }

    [TestMethod]
    public void Eighteen_rows_are_more_than_a_device_has() => Assert.AreEqual(18, Error(string.Concat(Enumerable.Repeat("0x0 0x0 0x0\n", 18)), Address("00:02.0")).Line);

    [TestMethod]
    public void A_resource_file_whose_device_is_unknown_is_refused() => StringAssert.Contains(Error("0x1000 0x1fff 0x200\n").What, "does not say whose it is");

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
        Prop.ForAll(bar.ListOf().ToArbitrary(), bars =>
        {
            string text = "05:00.0 A device\n" + string.Concat(bars.Select(each =>
                $"\tRegion {each.Index}: Memory at {each.Start:x8} ({(each.Is64Bit ? "64" : "32")}-bit, {(each.IsPrefetchable ? "" : "non-")}prefetchable) [size={Size(each.SizeBytes)}]\n"));
            CollectionAssert.AreEqual(bars.ToArray(), Read(text).Devices.Single().Bars.ToArray());
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
        byte[] rows = Encoding.UTF8.GetBytes("0x00000000febc0000 0x00000000febdffff 0x0000000000040200\n0x0000000000000000 0x0000000000000000 0x0000000000000000\n");
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
        string many = string.Concat(Enumerable.Range(0, 65536).Select(number => $"{number >> 8:x2}:{(number >> 3) & 31:x2}.{number & 7} Device {number}\n\tRegion 0: Memory at {(ulong)number << 20:x8} (32-bit, non-prefetchable) [size=1M]\n"));
        Assert.HasCount(65536, Read(many).Devices);
        StringAssert.Contains(Error(many + "0001:00:00.0 x\n").What, "more than 65536");
        Survives(Encoding.UTF8.GetBytes(new string('\n', BarReader.MaxSizeBytes)));
        Survives(Encoding.UTF8.GetBytes("00:02.0 x\n\t" + new string('x', BarReader.MaxSizeBytes - 100)));
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
    [DataRow("", "no address range")]
    [DataRow("-", "no address range")]
    [DataRow("1", "no address range")]
    [DataRow("1-", "no address range")]
    [DataRow("1-2-3", "no address range")]
    [DataRow("-1-2", "no address range")]
    [DataRow("g-h", "no address range")]
    [DataRow("1 - 2", "no address range")]
    [DataRow("00000000000000001-2", "no address range")]
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
        Assert.IsTrue(BarReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), sourceName, address).TryGet(out PciListing? listing, out InputError? error), error?.ToString());
        return listing;
    }

    private static InputError Error(string text, PciAddress? address = null)
    {
        Parsed<PciListing> parsed = BarReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "lspci.txt", address);
        Assert.IsNotNull(parsed.Error, "was read");
        return parsed.Error;
    }
}
