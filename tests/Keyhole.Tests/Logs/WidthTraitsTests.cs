// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.Pci;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Logs;

[TestClass]
public sealed class WidthTraitsTests
{
    private const string Map = "BIOS-e820: [mem 0x0000000000000000-0x000000003fffffff] usable\n";

    private static HostDocument Read(string text)
    {
        Assert.IsTrue(HostMapReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "boot.log", HostMapOptions.Default)
            .TryGet(out HostDocument? map, out InputError? error), error?.ToString());
        return map;
    }

    private static string Text(ByteRange range) => $"[0x{range.Start:x}, 0x{range.End:x})";

    private static HostDocument RoundTrip(HostDocument map)
    {
        using var written = new MemoryStream();
        HostMapWriter.Write(map, HostMapDialect.Json, written);
        return Read(Encoding.UTF8.GetString(written.ToArray()));
    }

    [TestMethod]
    [DataRow("DMAR: Host address width 39", HostIommu.IntelVtd, 39)]
    [DataRow("DMAR: Host address width 46\n[    0.1] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap 1c0000c40660462 ecap 19e2ff0505e",
        HostIommu.IntelVtd, 39)]
    [DataRow("DMAR: dmar0: reg_base_addr c5ffc000 ver 1:0 cap 8d2078c106f0466 ecap f020df\nDMAR: dmar1: reg_base_addr fed91000 "
        + "ver 1:0 cap d2008c40660462 ecap f050da", HostIommu.IntelVtd, 39)]
    [DataRow("DMAR: dmar0: reg_base_addr c5ffc000 ver 1:0 cap 8d2078c106f0466 ecap f020df", HostIommu.IntelVtd, 48)]
    [DataRow("(XEN) [VT-D]cap = c0000020660462 ecap = f0101a", HostIommu.IntelVtd, 39)]
    [DataRow("pci 0000:00:00.2: AMD-Vi: Found IOMMU cap 0x40", HostIommu.AmdVi, null)]
    [DataRow("cap ffff ecap", null, null)]
    [DataRow("no recap ecap of it", null, null)]
    public void The_IOMMU_s_width_is_that_of_its_narrowest_unit(string lines, HostIommu? iommu, int? bits)
    {
        HostTraits traits = Read(Map + lines + "\n").Host.Traits;
        Assert.AreEqual((iommu, bits), (traits.Iommu, traits.IommuAddressBits));
    }

    [TestMethod]
    public void The_windows_of_host_bridges_are_read_from_a_log()
    {
        HostTraits traits = Read(Map + """
            [    0.5] pci_bus 0000:00: root bus resource [io  0x0000-0x0cf7 window]
            [    0.5] pci_bus 0000:00: root bus resource [mem 0x000a0000-0x000bffff window]
            [    0.5] pci_bus 0000:00: root bus resource [mem 0x80000000-0xdfffffff window]
            [    0.5] pci_bus 0000:00: root bus resource [mem 0x4000000000-0x7fffffffff window]
            [    0.5] pci_bus 0000:00: root bus resource [bus 00-fe]
            [    0.5] pci_bus 0001:80: root bus resource [mem 0x380000000000-0x383fffffffff window]
            [    0.5] pci_bus 0000:00: root bus resource [mem 0x80000000-0xdfffffff window]
            [    0.5] pci_bus 0000:00: root bus resource [mem 0x90000000-0x8fffffff window]
            """ + "\n").Host.Traits;
        Assert.AreEqual(
            "0000:00 [0xa0000, 0xc0000); 0000:00 [0x80000000, 0xe0000000); 0000:00 [0x4000000000, 0x8000000000); "
                + "0001:80 [0x380000000000, 0x384000000000)",
            string.Join("; ", traits.RootWindows.Select(window => $"{window.BusName} {Text(window.Range)}")));
    }

    [TestMethod]
    public void The_windows_of_host_bridges_are_those_at_the_margin_of_iomem()
    {
        HostTraits traits = Read("""
            00000000-00000fff : Reserved
            00001000-3fffffff : System RAM
            40000000-dfffffff : PCI Bus 0000:00
              40000000-41ffffff : PCI Bus 0000:01
                40000000-40ffffff : 0000:01:00.0
            4000000000-7fffffffff : PCI Bus 0000:00

            """).Host.Traits;
        Assert.AreEqual("[0x40000000, 0xe0000000) [0x4000000000, 0x8000000000)",
            string.Join(" ", traits.RootWindows.Select(window => Text(window.Range))));
    }

    [TestMethod]
    public void What_is_known_of_widths_and_devices_survives_a_capture()
    {
        var device = new PciDevice(PciAddress.Create(1, 0, 0), "GPU", [new Bar(0, BarKind.Memory, 0xdb000000, 0xdc000000, false, false)])
        {
            Requests = [BarRequest.Create(0, 0x1000000, BarType.Memory32), BarRequest.Create(1, 0x2000000000, BarType.Memory64Prefetchable),
                BarRequest.Create(5, 0x80, BarType.Io)],
            Unplaced = [new UnplacedWindow(1, BarKind.Memory, 0x2000000000, true, true, "its row in sysfs is unset")],
            Resizable = [new ResizableBar(1, 0x2000000000, [1UL << 28, 0x2000000000], false), new ResizableBar(0, 1UL << 20, [], true)],
            Sriov = new SriovCapability(16, 2),
        };
        HostDocument map = Read(Map);
        Host host = map.Host with
        {
            Traits = map.Host.Traits with
            {
                Iommu = HostIommu.IntelVtd,
                IommuAddressBits = 39,
                HasGiBPages = false,
                RootWindows = [new RootWindow(1, 0x80, ByteRange.FromBounds(0x80000000, 0xe0000000))],
            },
            Devices = [device],
        };
        Host again = RoundTrip(map with { Host = host }).Host;
        Assert.AreEqual((HostIommu.IntelVtd, 39, false), (again.Traits.Iommu, again.Traits.IommuAddressBits, again.Traits.HasGiBPages));
        Assert.AreEqual(host.Traits.RootWindows.Single(), again.Traits.RootWindows.Single());
        Assert.AreEqual(device, again.Devices.Single());
    }

    [TestMethod]
    [DataRow("\"traits\":{\"iommu\":\"other\"}", "\"iommu\" is \"other\"")]
    [DataRow("\"traits\":{\"iommuAddressBits\":12}", "out of range")]
    [DataRow("\"traits\":{\"rootWindows\":[{\"bus\":\"0\",\"start\":\"0x0\",\"end\":\"0x1000\"}]}", "a root window lacks its bus")]
    [DataRow("\"traits\":{\"rootWindows\":[{\"bus\":\"0000:00\",\"start\":\"0x2000\",\"end\":\"0x1000\"}]}", "ends before it starts")]
    [DataRow("\"devices\":[{\"address\":\"01:00.0\",\"requests\":[{\"index\":0,\"size\":\"0x3000\",\"type\":\"mem32\"}]}]",
        "no register can ask for")]
    [DataRow("\"devices\":[{\"address\":\"01:00.0\",\"sriov\":{\"total\":1,\"enabled\":2}}]", "\"sriov\" has no total")]
    [DataRow("\"devices\":[{\"address\":\"01:00.0\",\"resizable\":[{\"index\":7}]}]", "index above 5")]
    public void A_capture_that_says_nonsense_of_them_is_refused(string member, string what)
    {
        string json = $"{{\"entries\":[{{\"start\":\"0x0\",\"end\":\"0xa0000\",\"type\":\"ram\"}}],{member}}}";
        Parsed<HostDocument> read = HostMapReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(json)), "a.json", HostMapOptions.Default);
        StringAssert.Contains(read.Error?.What, what);
    }

    [TestMethod]
    [DataRow("fpu vme pdpe1gb rdtscp", true)]
    [DataRow("fpu vme pdpe1gbx", false)]
    public void GiB_pages_are_a_flag_of_the_processor(string flags, bool has)
    {
        string text = $"processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: {flags}\naddress sizes\t: 39 bits physical, 48 bits virtual\n";
        HostTraits traits = CpuInfo.AddTo(HostTraits.Unknown, new MemoryStream(Encoding.UTF8.GetBytes(text)));
        Assert.AreEqual((has, 39), (traits.HasGiBPages, traits.PhysicalAddressBits));
    }
}
