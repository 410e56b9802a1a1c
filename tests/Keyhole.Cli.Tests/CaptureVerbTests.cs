// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

[TestClass]
public sealed class CaptureVerbTests : IDisposable
{
    private readonly FakeDom0 _machine = new();

    [TestInitialize]
    public void Fill_sysfs()
    {
        _machine.Write("proc/cpuinfo",
            "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\naddress sizes\t: 48 bits physical, 48 bits virtual\n");
        _machine.Write("proc/iomem", "00000000-00000fff : Reserved\n00001000-0009fbff : System RAM\n");
        const string device = "sys/bus/pci/devices/0000:00:02.0/";
        _machine.Write(device + "resource", "0x00000000febc0000 0x00000000febdffff 0x0000000000040200\n");
        _machine.Write(device + "vendor", "0x8086\n");
        _machine.Write(device + "device", "0x100e\n");
        _machine.Write(device + "class", "0x020000\n");
        Directory.CreateDirectory(Path.Combine(_machine.Root, "sys/bus/pci/drivers/e1000"));
        File.CreateSymbolicLink(Path.Combine(_machine.Root, device, "driver"), "../../drivers/e1000");
        _machine.Write("sys/bus/pci/devices/0000:00:03.0/resource", "0x0000000000000000 0x0000000000000000 0x0000000000000000\n");
        _machine.Write("sys/bus/pci/devices/0000:00:03.0/vendor", "0x1234\n");
        _machine.Write("sys/bus/pci/devices/0000:00:03.0/device", "0x5678\n");
        _machine.Write("sys/bus/pci/devices/0000:00:03.0/class", "0x060000\n");
        _machine.Write("sys/kernel/iommu_groups/0/reserved_regions", "0x00000000fee00000 0x00000000feefffff msi\n");
        _machine.Write("sys/kernel/iommu_groups/1/reserved_regions",
            "0x00000000bf800000 0x00000000bfffffff direct\n0x00000000fee00000 0x00000000feefffff msi\n");
        _machine.Write("sys/firmware/memmap/0/start", "0x0\n");
        _machine.Write("sys/firmware/memmap/0/end", "0xbfffffff\n");
        _machine.Write("sys/firmware/memmap/0/type", "System RAM\n");
    }

    public void Dispose() => _machine.Dispose();

    [TestMethod]
    public void The_widths_of_IOMMU_and_host_bridges_are_captured_with_what_has_no_address()
    {
        _machine.Write("proc/iomem",
            "00000000-00000fff : Reserved\n00001000-0009fbff : System RAM\n80000000-dfffffff : PCI Bus 0000:00\n  "
                + "80000000-8fffffff : PCI Bus 0000:01\n");
        _machine.Write("proc/cpuinfo", "vendor_id\t: GenuineIntel\nflags\t\t: fpu pdpe1gb\naddress sizes\t: 46 bits physical, 48 bits virtual\n");
        _machine.Write("sys/class/iommu/dmar0/intel-iommu/cap", "1c0000c40660462\n");
        _machine.Write("sys/class/iommu/dmar1/intel-iommu/cap", "d2008c40660462\n");
        _machine.Write("sys/bus/pci/devices/0000:00:02.0/resource",
            "0x00000000febc0000 0x00000000febdffff 0x0000000000040200\n0x0 0x1fffffffff 0x2014220c\n");
        JsonElement capture = CommandRun.InDom0(_machine.Machine, "capture").Json();
        JsonElement traits = capture.GetProperty("traits");
        Assert.AreEqual("vt-d 39 true",
            $"{traits.GetProperty("iommu")} {traits.GetProperty("iommuAddressBits")} {traits.GetProperty("gibPages")}".ToLowerInvariant());
        Assert.AreEqual("0x80000000", traits.GetProperty("rootWindows").EnumerateArray().Single().GetProperty("start").GetString());
        JsonElement card = capture.GetProperty("devices")[0];
        Assert.AreEqual("0x2000000000", card.GetProperty("unplaced").EnumerateArray().Single().GetProperty("size").GetString());
        Assert.AreEqual("mem64-prefetchable", card.GetProperty("requests")[1].GetProperty("type").GetString());
    }

    [TestMethod]
    public void Without_Xen_the_capture_is_the_firmwares_map_with_devices_and_regions()
    {
        CommandRun run = CommandRun.InDom0(_machine.Machine, "capture");
        JsonElement capture = run.Json();

        SchemaTests.AssertValid("capture", run.Output);
        Assert.AreEqual("", run.Errors);
        Assert.AreEqual("0xc0000000", capture.GetProperty("entries")[0].GetProperty("end").GetString());
        Assert.IsFalse(capture.TryGetProperty("machineEntries", out _));
        JsonElement card = capture.GetProperty("devices")[0];
        Assert.AreEqual("0x8086 0x100e 0x020000 e1000",
            string.Join(' ', new[] { "vendor", "device", "class", "driver" }.Select(name => card.GetProperty(name).GetString())));
        Assert.AreEqual("0xfebc0000", card.GetProperty("bars")[0].GetProperty("start").GetString());
        Assert.IsFalse(capture.GetProperty("devices")[1].TryGetProperty("driver", out _));
        JsonElement[] regions = [.. capture.GetProperty("reservedRegions").EnumerateArray()];
        Assert.AreEqual("0xbf800000-0xc0000000 direct, 0xfee00000-0xfef00000 msi",
            string.Join(", ", regions.Select(region => $"{region.GetProperty("start")}-{region.GetProperty("end")} {region.GetProperty("type")}")));
        Assert.AreEqual(25, capture.GetProperty("traits").GetProperty("cpuFamily").GetInt32());
        Assert.HasCount(2, capture.GetProperty("iomem").EnumerateArray());
    }

    [TestMethod]
    public void In_dom0_the_firmwares_map_is_Xens_and_the_machine_map_stands_beside_it()
    {
        _machine.Write("sys/hypervisor/type", "xen\n");

        CommandRun run = CommandRun.InDom0(_machine.Machine, "capture", "--json");
        JsonElement capture = run.Json();

        SchemaTests.AssertValid("capture", run.Output);
        Assert.AreEqual("0xb0000000", capture.GetProperty("entries")[1].GetProperty("end").GetString());
        Assert.AreEqual("nvs", capture.GetProperty("machineEntries")[2].GetProperty("type").GetString());
    }

    [TestMethod]
    public void A_captures_machine_map_is_the_one_that_plans_start_from()
    {
        _machine.Write("sys/hypervisor/type", "xen\n");
        string file = Path.Combine(_machine.Root, "host.json");
        Assert.AreEqual(0, CommandRun.InDom0(_machine.Machine, "capture", "-o", file).Status);

        JsonElement plan = CommandRun.Of("plan", "--host", file, "--memory", "256", "--e820-host", "--pci", "00:02.0", "--json").Json();

        Assert.AreEqual("0x800000", plan.GetProperty("e820")[0].GetProperty("end").GetString());
        JsonElement again = CommandRun.Of("show", "--host", file, "--json").Json();
        using JsonDocument first = JsonDocument.Parse(File.ReadAllText(file));
        foreach (string member in new[] { "entries", "machineEntries", "traits", "devices", "reservedRegions", "iomem" })
            Assert.AreEqual(first.RootElement.GetProperty(member).GetRawText(), again.GetProperty(member).GetRawText(), member);
    }

    [TestMethod]
    [DataRow(256, "")]
    [DataRow(64, "note: the capabilities of 1 PCI devices are hidden from all but root: their MSI-X tables are left out")]
    public void Where_a_devices_MSI_X_table_lies_is_in_the_capture_and_stays_in_it(int readableBytes, string note)
    {
        byte[] space = new byte[256];
        (space[0x06], space[0x34]) = (0x10, 0x40);
        (space[0x40], space[0x42], space[0x44], space[0x45]) = (0x11, 0x04, 0x03, 0x20);
        File.WriteAllBytes(Path.Combine(_machine.Root, "sys/bus/pci/devices/0000:00:02.0/config"), space[..readableBytes]);
        string file = Path.Combine(_machine.Root, "host.json");

        CommandRun run = CommandRun.InDom0(_machine.Machine, "capture", "-o", file);

        Assert.AreEqual(note, run.Errors.Trim());
        JsonElement card = CommandRun.Of("show", "--host", file, "--json").Json().GetProperty("devices")[0];
        Assert.AreEqual(readableBytes == 256, card.TryGetProperty("msix", out JsonElement table));
        if (readableBytes == 256)
            Assert.AreEqual("3 0x2000 5", $"{table.GetProperty("bar")} {table.GetProperty("offset")} {table.GetProperty("vectors")}");
    }

    [TestMethod]
    public void Firmware_and_IOMMU_groups_are_captured_and_shown_from_the_capture()
    {
        _machine.Write("sys/class/dmi/id/bios_vendor", "American Megatrends International, LLC.\n");
        _machine.Write("sys/class/dmi/id/bios_version", "F21 (2.06 )\n");
        _machine.Write("sys/class/dmi/id/bios_date", "11/30/2023\n");
        _machine.Write("proc/sys/kernel/osrelease", "6.12.117-amd64-alice\n");
        Directory.CreateDirectory(Path.Combine(_machine.Root, "sys/kernel/iommu_groups/7"));
        foreach (string function in (string[])["0000:00:02.0", "0000:00:03.0"])
            File.CreateSymbolicLink(Path.Combine(_machine.Root, "sys/bus/pci/devices", function, "iommu_group"), "../../../kernel/iommu_groups/7");
        string file = Path.Combine(_machine.Root, "host.json");

        CommandRun run = CommandRun.InDom0(_machine.Machine, "capture", "-o", file);

        Assert.AreEqual(0, run.Status, run.Errors);
        SchemaTests.AssertValid("capture", File.ReadAllText(file));
        JsonElement again = CommandRun.Of("show", "--host", file, "--json").Json();
        JsonElement firmware = again.GetProperty("traits").GetProperty("firmware");
        Assert.AreEqual("American Megatrends International, LLC.|F21 (2.06 )|11/30/2023",
            string.Join('|', new[] { "vendor", "version", "date" }.Select(name => firmware.GetProperty(name).GetString())));
        Assert.AreEqual(7, again.GetProperty("devices")[1].GetProperty("iommuGroup").GetInt32());
        string text = CommandRun.Of("show", "--host", file).Output;
        Assert.Contains("firmware: American Megatrends International, LLC. F21 (2.06 ) 11/30/2023, without EFI\n", text);
        Assert.Contains("runs: Linux 6.12.117\n", text);
        Assert.Contains("processor: AuthenticAMD, family 0x19, addresses of 48 bits\n", text);
        Assert.Contains("PCI: 2 functions, 1 window, 1 IOMMU group; of several functions: 7 (0000:00:02.0 0000:00:03.0)\n", text);
        Assert.Contains("the IOMMU keeps [0xfee00000, 0xfef00000) (msi)\n", text);
    }

    [TestMethod]
    [DataRow("bare", "memmap=1G$1G nokaslr")]
    [DataRow("xen", null)]
    public void What_this_machine_is_booted_with_is_captured_as_far_as_it_is_about_memory(string type, string? options)
    {
        _machine.Write("proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/alice ro memmap=1G$1G nokaslr\n");
        if (type == "xen")
            _machine.Write("sys/hypervisor/type", "xen\n");

        JsonElement traits = CommandRun.InDom0(_machine.Machine, "capture").Json().GetProperty("traits");

        Assert.AreEqual(options, traits.TryGetProperty("kernelOptions", out JsonElement told)
            ? string.Join(' ', told.EnumerateArray().Select(static option => option.GetString())) : null);
    }

    [TestMethod]
    public void Others_learn_of_the_options_numbers_and_words_of_Linuxs_own()
    {
        _machine.Write("proc/cmdline", "memmap=1Galice iomem=relaxed\n");

        JsonElement traits = CommandRun.InDom0(_machine.Machine, "capture", "--anonymise").Json().GetProperty("traits");

        Assert.AreEqual("memmap=1G iomem=relaxed",
            string.Join(' ', traits.GetProperty("kernelOptions").EnumerateArray().Select(static option => option.GetString())));
    }

    [TestMethod]
    public void What_this_machine_is_booted_with_already_is_not_advised_again()
    {
        _machine.Write("proc/cmdline", "memmap=1G$1G\n");

        JsonElement today = CommandRun.InDom0(_machine.Machine, "reserve", "--range", "40000000-80000000", "--json").Json().GetProperty("today");

        Assert.AreEqual("memmap=1G$1G", today.GetProperty("there").EnumerateArray().Single().GetString());
        Assert.AreEqual("", today.GetProperty("toAdd").GetString());
    }

    [TestMethod]
    [DataRow("American Megatrends International, LLC.", "F21 (2.06 ) SN-77Q", "11/30/2023", "American Megatrends|2.06|11/30/2023")]
    [DataRow("SeaBIOS", "rel-1.16.3-0-ga6ed6b701f0a-prebuilt.qemu.org", "04/01/2014", "SeaBIOS|1.16.3|04/01/2014")]
    [DataRow("alice's coreboot", "4.19-alice-laptop", "yesterday", "coreboot|4.19|")]
    [DataRow("Alice Ltd.", "5XKJ9H2", "S3Z9NX0M", "")]
    public void Of_the_firmware_others_learn_a_known_makers_name_numbers_and_a_date(string vendor, string version, string date, string kept)
    {
        _machine.Write("sys/class/dmi/id/bios_vendor", vendor + "\n");
        _machine.Write("sys/class/dmi/id/bios_version", version + "\n");
        _machine.Write("sys/class/dmi/id/bios_date", date + "\n");

        JsonElement traits = CommandRun.InDom0(_machine.Machine, "capture", "--anonymise").Json().GetProperty("traits");

        Assert.AreEqual(kept.Length > 0, traits.TryGetProperty("firmware", out JsonElement firmware));
        if (kept.Length > 0)
            Assert.AreEqual(kept, string.Join('|', new[] { "vendor", "version", "date" }.Select(
                name => firmware.TryGetProperty(name, out JsonElement text) ? text.GetString() : "")));
    }

    [TestMethod]
    public void A_log_tells_the_firmware_too_and_not_that_of_a_guest_on_its_console()
    {
        string file = Path.Combine(_machine.Root, "xen.log");
        File.WriteAllText(file, """
            (XEN) Xen-e820 RAM map:
            (XEN)  [0000000000000000, 000000000009fbff] (usable)
            (XEN)  [0000000000100000, 00000000bfffffff] (usable)
            (d3) [    0.000000] DMI: Xen HVM domU, BIOS 4.17.5 11/09/2024
            [    0.000000] DMI: LENOVO 20HRCTO1WW/20HRCTO1WW, BIOS N1MET64W (1.49 ) 05/14/2021

            """);

        JsonElement firmware = CommandRun.Of("show", "--host", file, "--json").Json().GetProperty("traits").GetProperty("firmware");

        Assert.AreEqual("N1MET64W (1.49 )|05/14/2021", $"{firmware.GetProperty("version")}|{firmware.GetProperty("date")}");
        Assert.AreEqual("1.49", CommandRun.Of("capture", "--anonymise", "--host", file).Json().GetProperty("traits").GetProperty("firmware")
            .GetProperty("version").GetString());
    }

    [TestMethod]
    public void What_may_not_be_read_is_said_and_left_out()
    {
        _machine.Write("proc/iomem", "00000000-00000000 : Reserved\n00000000-00000000 : System RAM\n");
        _machine.Write("sys/hypervisor/type", "xen\n");
        _machine.IsXen = false;

        CommandRun run = CommandRun.InDom0(_machine.Machine, "capture");

        Assert.AreEqual(0, run.Status);
        Assert.Contains("note: /proc/iomem hides its addresses from all but root: left out", run.Errors);
        Assert.Contains("note: the machine map is left out: /dev/xen/privcmd: is not there; run this in dom0", run.Errors);
        Assert.IsFalse(run.Json().TryGetProperty("iomem", out _));
    }

    [TestMethod]
    public void An_anonymised_capture_keeps_maps_and_devices_and_nothing_that_names_anybody()
    {
        _machine.Write("proc/iomem", """
            00001000-0009fbff : System RAM
            01000000-02ffffff : Kernel code
            80000000-dfffffff : PCI Bus 0000:00
              80000000-800fffff : 0000:00:02.0
                80000000-800fffff : acme-secret-lab-card SN12345
            fed40000-fed44fff : MSFT0101:00 alice

            """);

        CommandRun run = CommandRun.InDom0(_machine.Machine, "capture", "--anonymise", "--json");

        JsonElement capture = run.Json();
        SchemaTests.AssertValid("capture", run.Output);
        Assert.AreEqual("0xc0000000", capture.GetProperty("entries")[0].GetProperty("end").GetString());
        Assert.AreEqual("0x8086 e1000",
            $"{capture.GetProperty("devices")[0].GetProperty("vendor")} {capture.GetProperty("devices")[0].GetProperty("driver")}");
        Assert.AreEqual(
            "00001000-0009fbff : System RAM|80000000-dfffffff : PCI Bus 0000:00|  80000000-800fffff : 0000:00:02.0|    80000000-800fffff "
                + ": device|fed40000-fed44fff : device",
            string.Join('|', capture.GetProperty("iomem").EnumerateArray().Select(static line => line.GetString())));
        Assert.Contains("note: kept: the memory map (1 entries)", run.Errors);
        Assert.Contains("note: gone: ", run.Errors);
    }

    [TestMethod]
    [DataRow("xen")]
    [DataRow("capture")]
    public void Nothing_of_a_log_or_a_capture_that_names_anybody_gets_into_an_anonymised_one(string kind)
    {
        string[] secrets = ["alice", "lab-7", "S3Z9NX0M", "52:54:00:12:34:56", "192.168.7.9", "Samsung", "/home/"];
        string folder = Directory.CreateDirectory(Path.Combine(_machine.Root, "home", "alice")).FullName;
        string file = Path.Combine(folder, "lab-7.log");
        File.WriteAllText(file, kind == "xen"
            ? """
              (XEN) Command line: dom0_mem=2G hostname=lab-7 ssh=alice@192.168.7.9
              (XEN) Xen-e820 RAM map:
              (XEN)  [0000000000000000, 000000000009fbff] (usable)
              (XEN)  [0000000000100000, 00000000bfffffff] (usable)
              [    1.0] Linux version 6.1.0 (alice@lab-7) (gcc 12)
              [    1.2] ata1.00: ATA-11: Samsung SSD 860, S3Z9NX0M, max UDMA/133
              [    1.3] e1000 0000:00:02.0 eth0: (PCI:33MHz:32-bit) 52:54:00:12:34:56

              """
            : """
              {"name":"lab-7","source":{"dialect":"xen","description":"/home/alice/lab-7.log 192.168.7.9"},"entries":[{"start":"0x0","end":"0xc0000000","type":"ram"}],
               "traits":{"cpuVendor":"AuthenticAMD"},"devices":[{"address":"0000:00:02.0","description":"NVMe: Samsung S3Z9NX0M 52:54:00:12:34:56","driver":"nvme","bars":[]}],
               "iomem":["00000000-bfffffff : alice"]}
              """);

        CommandRun run = CommandRun.Of("capture", "--anonymise", "--host", file);

        Assert.AreEqual(0, run.Status, run.Errors);
        foreach (string secret in secrets)
            Assert.DoesNotContain(secret, run.Output);
        Assert.AreEqual("0xc0000000", run.Json().GetProperty("entries").EnumerateArray().Last().GetProperty("end").GetString());
    }
}
