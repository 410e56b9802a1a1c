// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.Pci;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Pci;

/// <summary>Lists of devices that other programs than lspci print.</summary>
[TestClass]
public sealed class OtherListsTests
{
    private const string Rows = """
        0x00000000de000000 0x00000000deffffff 0x0000000000040200
        0x0000006000000000 0x000000600fffffff 0x000000000014220c
        0x0000000000000000 0x0000000000000000 0x0000000000000000
        0x0000006010000000 0x0000006011ffffff 0x000000000014220c
        0x0000000000000000 0x0000000000000000 0x0000000000000000
        0x000000000000e000 0x000000000000e07f 0x0000000000040101
        0x00000000df000000 0x00000000df07ffff 0x0000000000046200

        """;

    private const string Requests =
        "0 0x1000000 mem32; 1 0x10000000 mem64-prefetchable; 3 0x2000000 mem64-prefetchable; 5 0x80 io; 6 0x80000 rom";

    private const string Lshw = """
          *-display
               description: VGA compatible controller
               product: GA102 [GeForce RTX 3090]
               vendor: NVIDIA Corporation
               physical id: 0
               bus info: pci@0000:01:00.0
               version: a1
               width: 64 bits
               configuration: driver=vfio-pci latency=0
               resources: iomemory:600-5ff iomemory:600-5ff irq:149 memory:de000000-deffffff memory:6000000000-600fffffff memory:c0000-dffff
        """;

    [TestMethod]
    [DataRow("root@pve:~# cat /sys/bus/pci/devices/0000:01:00.0/resource\n{0}root@pve:~# ", DisplayName = "a terminal")]
    [DataRow("==> /sys/bus/pci/devices/0000:01:00.0/resource <==\n{0}", DisplayName = "head or tail")]
    [DataRow("> $ cat /sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/resource\n>\n> Here it is:\n> {0}", DisplayName = "a mail")]
    [DataRow("01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GA102 [10de:2204] (rev a1)\n{0}", DisplayName = "lspci -nn before it")]
    public void A_resource_file_as_a_terminal_shows_it_is_read_with_the_device_that_the_path_names(string form)
    {
        PciDevice device = Read(string.Format(null, form, Rows)).Devices.Single();
        Assert.AreEqual("0000:01:00.0", device.Address.ToString());
        Assert.AreEqual(Requests, RequestsOf(device));
    }

    [TestMethod]
    public void Rows_behind_the_names_of_their_files_are_several_devices()
    {
        string text = string.Concat(new[] { "0000:01:00.0", "0000:01:00.1" }.Select(static name => string.Concat(Rows.TrimEnd().Split('\n')
            .Select(row => $"/sys/bus/pci/devices/{name}/resource:{row}\n"))));
        PciListing listing = Read(text);
        CollectionAssert.AreEqual(new[] { "0000:01:00.0", "0000:01:00.1" },
            listing.Devices.Select(static device => device.Address.ToString()).ToArray());
        Assert.IsTrue(listing.Devices.All(static device => RequestsOf(device) == Requests));
    }

    [TestMethod]
    [DataRow("$ cat /sys/bus/pci/devices/0000:01:00.0/resource /sys/bus/pci/devices/0000:01:00.1/resource\n{0}{0}", "of several devices")]
    [DataRow("$ cat /sys/bus/pci/devices/0000:01:00.0/resource\n{0}$ cat /sys/bus/pci/devices/0000:01:00.1/resource\n{0}"
        + "$ cat /sys/bus/pci/devices/0000:01:00.0/resource\n{0}", "a second resource file of 0000:01:00.0")]
    [DataRow("$ cat resource\n{0}", "does not say whose it is")]
    [DataRow("$ cat /sys/bus/pci/devices/0000:01:00.0/resource\n{0}0x1000 0x2000\n", "is not a row of a resource file")]
    [DataRow("$ cat /sys/bus/pci/devices/0000:01:00.0/resource\n{0}{0}", "14 rows, which no device's resource file has")]
    public void Rows_of_which_it_is_not_told_whose_they_are_are_refused(string form, string what) =>
        StringAssert.Contains(Error(string.Format(null, form, Rows)).What, what);

    [TestMethod]
    public void Rows_without_those_of_zeros_are_refused_since_nobody_knows_their_registers()
    {
        string rows = string.Join('\n', Rows.Split('\n').Where(static row => !row.StartsWith("0x0000000000000000 ", StringComparison.Ordinal)));
        StringAssert.Contains(Error("$ grep -v ' 0x0000000000000000' /sys/bus/pci/devices/0000:01:00.0/resource\n" + rows).What,
            "rows are left out");
    }

    [TestMethod]
    public void Fewer_rows_than_Linux_writes_are_remarked() =>
        StringAssert.Contains(Read("$ head -1 /sys/bus/pci/devices/0000:01:00.0/resource\n" + Rows.Split('\n')[0]).Remarks.Single(),
            "may be missing");

    [TestMethod]
    public void Ranges_of_lshw_are_windows_whose_kinds_are_not_told()
    {
        PciListing listing = Read(Lshw);
        Assert.IsTrue(listing.HasOnlyRanges);
        PciDevice device = listing.Devices.Single();
        Assert.AreEqual("0000:01:00.0", device.Address.ToString());
        // What iomemory: tells is no range, and a ROM in the firmware's area no window.
        CollectionAssert.AreEqual(new[] { (0xde000000ul, 0xdf000000ul), (0x6000000000ul, 0x6010000000ul) },
            device.Bars.Select(static bar => (bar.Start, bar.End)).ToArray());
        Assert.IsFalse(Read("01:00.0 X\n\tRegion 0: Memory at de000000 (32-bit, non-prefetchable) [size=16M]\n").HasOnlyRanges);
    }

    [TestMethod]
    public void What_lshw_tells_of_a_bridge_are_the_windows_behind_it()
    {
        PciListing listing = Read("  *-pci:0\n       bus info: pci@0000:00:01.0\n       resources: irq:0 memory:de000000-deffffff\n" + Lshw);
        CollectionAssert.AreEqual(new[] { BarKind.BridgeWindow, BarKind.Memory, BarKind.Memory },
            listing.Devices.SelectMany(static device => device.Bars).Select(static bar => bar.Kind).ToArray());
    }

    [TestMethod]
    [DataRow("memory:de000000", "is not a valid address range")]
    [DataRow("memory:deffffff-de000000", "ends before it starts")]
    [DataRow("memory:0-ffffffffffffffff", "52 address bits")]
    public void What_is_wrong_with_a_list_of_lshw_is_said_with_its_line(string resource, string what)
    {
        InputError error = Error($"  *-display\n       bus info: pci@0000:01:00.0\n       resources: irq:1 {resource}\n");
        StringAssert.Contains(error.What, what);
        Assert.AreEqual(3, error.Line);
    }

    [TestMethod]
    [DataRow("IOMMU Group 1 01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GA102 [10de:2204]", "a list of IOMMU groups, which")]
    [DataRow("<device>\n  <name>pci_0000_01_00_0</name>\n  <capability type='pci'>\n    <class>0x030000</class>",
        "what virsh nodedev-dumpxml prints")]
    [DataRow("13: PCI 100.0: 0300 VGA compatible controller (VGA)\n  SysFS BusID: 0000:01:00.0\n  Memory Range: 0xde000000-0xdeffffff (rw)",
        "a list of hwinfo, which does not tell what kind")]
    [DataRow("Bus info          Device      Class          Description\npci@0000:01:00.0              display        GA102", "lshw -businfo")]
    [DataRow("H/W path           Device      Class          Description\n/0/100/1/0                     display        GA102", "lshw -short")]
    [DataRow("Slot:\t01:00.0\nClass:\tVGA compatible controller", "lspci -vmm")]
    [DataRow("-[0000:00]-+-00.0  Intel Corporation Device\n           +-01.0-[01]--+-00.0  NVIDIA", "the tree that lspci -t prints")]
    [DataRow("0000:01:00.0\n0000:01:00.1", "a list of devices' addresses")]
    public void A_list_that_tells_no_BARs_is_called_by_its_name_and_what_tells_them_is_said(string text, string name)
    {
        InputError error = Error(text);
        StringAssert.Contains(error.What, name);
        StringAssert.Contains(error.Remedy.ToString(), "lspci -vv");
    }

    [TestMethod]
    [DataRow(Lshw, "a list of lshw")]
    [DataRow("IOMMU Group 1 01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GA102", "a list of IOMMU groups")]
    [DataRow("01:00.0 VGA compatible controller: NVIDIA Corporation GA102", "what lspci prints")]
    [DataRow(Rows, "a device's resource file")]
    public void A_list_of_devices_in_place_of_a_host_s_map_is_called_by_its_name(string text, string name)
    {
        Parsed<HostDocument> read = HostMapReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "list.txt", new HostMapOptions());
        StringAssert.Contains(read.Error!.What, $"{name}");
        StringAssert.Contains(read.Error.What, "no memory map");
    }

    private static string RequestsOf(PciDevice device) =>
        string.Join("; ", device.GetRequests().Select(request => $"{request.Index} 0x{request.SizeBytes:x} {request.Type.Name()}"));

    private static PciListing Read(string text)
    {
        Parsed<PciListing> parsed = BarReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "list.txt");
        Assert.IsTrue(parsed.TryGet(out PciListing? listing, out InputError? error), error?.ToString());
        return listing;
    }

    private static InputError Error(string text)
    {
        Parsed<PciListing> parsed = BarReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "list.txt");
        Assert.IsNotNull(parsed.Error, "was read");
        return parsed.Error;
    }
}
