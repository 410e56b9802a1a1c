// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What <c>keyhole plan</c> and <c>keyhole fleet</c> advise is not in force already, and helps on this host with this toolstack.</summary>
[TestClass]
public sealed class RemediesNotInForceTests
{
    private const string Kvm = "qemu-system-x86_64 -enable-kvm -M q35 -m 4G -cpu host -device pcie-root-port,id=r1,chassis=1,slot=1 "
        + "-device vfio-pci,host=01:00.0,bus=r1\n";

    private const string Gpu = """
        01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GP104 [GeForce GTX 1070] [10de:1b81] (rev a1) (prog-if 00 [VGA controller])
        	Region 0: Memory at e0000000 (32-bit, non-prefetchable) [size=16M]
        	Region 1: Memory at d0000000 (64-bit, prefetchable) [size=256M]

        """;

    private const string Map = """
        [    0.000000] BIOS-provided physical RAM map:
        [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000007fffffff] usable
        [    0.000000] BIOS-e820: [mem 0x00000000fec00000-0x00000000fec00fff] reserved
        [    0.000000] BIOS-e820: [mem 0x0000000100000000-0x000000087fffffff] usable
        [    0.000000] last_pfn = 0x880000 max_arch_pfn = 0x400000000

        """;

    private const string Amd = "[    0.1] smpboot: CPU0: AMD Ryzen 9 7950X 16-Core Processor (family: 0x19, model: 0x61, stepping: 0x2)\n"
        + "[    0.4] pci 0000:00:00.2: AMD-Vi: IOMMU performance counters supported\n";

    private const string LibvirtHvm = """
        <domain type='xen'><name>win</name><memory unit='MiB'>3000</memory>
        <os><type arch='x86_64' machine='xenfv'>hvm</type></os><devices>
        <hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x00' slot='0x04' function='0x0'/></source></hostdev>
        </devices></domain>
        """;

    private static string Fixture(params string[] parts) => Path.Combine([AppContext.BaseDirectory, "fixtures", .. parts]);

    private static string Written(string name, string text)
    {
        string path = Path.Combine(Directory.CreateTempSubdirectory("keyhole-remedies-").FullName, name);
        File.WriteAllText(path, text);
        return path;
    }

    private static string Flat(CommandRun run) =>
        string.Join(' ', (run.Output + run.Errors).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    private static string Boot(string release, string lines, string options = "") =>
        $"[    0.000000] Linux version {release} (a@b) (gcc) #1 SMP\n[    0.000000] Command line: root=/dev/sda1 ro{options}\n{Map}{lines}";

    private static CommandRun Plan(string hostLog, string guest = Kvm, string devices = Gpu) =>
        CommandRun.Of("plan", "--host", Written("host.log", hostLog), "--guest", Written("guest", guest), "--devices",
            Written("devices.lspci", devices));

    private static CommandRun OfXen(string hostLog, string guest) => CommandRun.Of("plan", "--host", hostLog, "--guest", Written("guest", guest));

    [TestMethod]
    [DataRow("6.12.5", "00:00.0", "0f:1f.7", 1, "has 01:00.0 use this memory by itself (IVMD)")]
    [DataRow("6.12.5", "02:00.0", "0f:1f.7", 0, null)]
    [DataRow("6.6.9", "00:00.0", "0f:1f.7", 0, null)]
    public void AMDs_Linux_exempts_no_display_from_memory_that_the_firmware_keeps_for_a_device(
        string release, string first, string last, int status, string? told)
    {
        string line = $"[    0.6] AMD-Vi: IVMD_TYPE_RANGE devid_start: 0000:{first} devid_end: 0000:{last} range_start: 00000000bd000000 "
            + "range_end: 00000000bd001000 flags: f\n";

        CommandRun run = Plan(Boot(release, Amd + line));

        Assert.AreEqual(status, run.Status, Flat(run));
        Assert.DoesNotContain("intel_iommu", Flat(run));
        Assert.DoesNotContain("gives to a guest all the same", Flat(run).Replace("Linux gives", "gives", StringComparison.Ordinal));
        if (told is null)
            Assert.DoesNotContain("IVMD", Flat(run));
        else
            Assert.Contains(told, Flat(run));
    }

    [TestMethod]
    public void A_device_that_AMDs_Linux_refused_is_not_cured_by_an_option_of_Intels()
    {
        const string refused = "[   50.0] vfio-pci 0000:01:00.0: Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring "
            + "the device without a 1:1 mapping. Contact your platform vendor.\n";

        string amds = Flat(Plan(Boot("6.12.5", Amd + refused)));

        Assert.Contains("(IVMD): so its log says", amds);
        Assert.DoesNotContain("intel_iommu", amds);
        Assert.Contains("intel_iommu=on,relax_rmrr", Flat(Plan(Boot("6.12.5", refused))));
    }

    [TestMethod]
    public void Of_two_boots_in_a_file_the_last_one_tells_what_is_wrong()
    {
        const string console = "[    0.7] efifb: framebuffer at 0xd0000000, using 3072k, total 3072k\n"
            + "[   20.0] vfio-pci 0000:01:00.0: BAR 1: can't reserve [mem 0xd0000000-0xdfffffff 64bit pref]\n";
        string first = Boot("6.8.12", console);
        string mended = Boot("6.8.12", "", " initcall_blacklist=sysfb_init");
        string guests = Boot("6.1.0", "[    0.000000] Hypervisor detected: KVM\n");

        Assert.Contains("BAR 1 of 0000:01:00.0 cannot be reserved", Flat(Plan(first)));
        Assert.DoesNotContain("cannot be reserved", Flat(Plan(first + mended)));
        Assert.Contains("BAR 1 of 0000:01:00.0 cannot be reserved", Flat(Plan(mended + first)));
        Assert.Contains("BAR 1 of 0000:01:00.0 cannot be reserved", Flat(Plan(first + guests)));
    }

    [TestMethod]
    [DataRow("40 of page size 1.00 GiB failed.  Only allocated 29", "or smaller pages: the host's Linux had no more", "hugepages=)")]
    [DataRow("30 of page size 1.00 GiB failed.  Only allocated 29", "have the host's Linux set 32 pages of 1 GiB aside", "or smaller pages")]
    public void Huge_pages_that_the_host_was_told_to_set_aside_and_could_not_are_not_asked_of_it_again(string line, string told, string notTold)
    {
        const string guest = "<domain type='kvm'><name>big</name><memory unit='GiB'>32</memory><memoryBacking><hugepages><page size='1' "
            + "unit='GiB'/></hugepages></memoryBacking><os><type arch='x86_64' machine='pc-q35-8.2'>hvm</type></os><devices/></domain>";

        string text = Flat(CommandRun.Of("plan", "--host", Written("h.log", Boot("6.8.12", $"[    0.3] HugeTLB: allocating {line} hugepages.\n")),
            "--guest", Written("g.xml", guest)));

        Assert.Contains(told, text);
        Assert.DoesNotContain(notTold, text);
    }

    [TestMethod]
    public void A_limit_that_libvirt_gives_no_QEMU_is_not_taken_for_the_guests()
    {
        const string guest = "<domain type='kvm'><name>big</name><memory unit='GiB'>8</memory><memtune><hard_limit unit='GiB'>36</hard_limit>"
            + "</memtune><os><type arch='x86_64' machine='pc-q35-8.2'>hvm</type></os><devices><hostdev mode='subsystem' type='pci' managed='yes'>"
            + "<source><address domain='0' bus='1' slot='0' function='0'/></source></hostdev></devices></domain>";
        const string line = "[  100.0] vfio_pin_pages_remote: RLIMIT_MEMLOCK (67108864) exceeded\n";

        Assert.Contains("the line is of another process", Flat(Plan(Boot("6.8.12", line), guest)));
        Assert.DoesNotContain("another process", Flat(Plan(Boot("6.8.12", line))));
    }

    [TestMethod]
    [DataRow("strategy=host,policy=strict", "", "rdm_policy=strict", "relaxed")]
    [DataRow("strategy=host,policy=relaxed", "", "rdm_policy=relaxed", "strict")]
    [DataRow("strategy=none", "(XEN) Xen version 4.14.5\n", "what it knows is strategy=host", "silently")]
    [DataRow("nonsense", "", "what it knows is strategy=host", "silently")]
    public void What_rdm_asks_for_is_what_is_advised_instead_of_it(string value, string release, string told, string notTold)
    {
        string host = Written("rmrr.log", release + File.ReadAllText(Fixture("hvm", "rmrr.log")));
        string text = Flat(OfXen(host, $"type=\"hvm\"\nname=\"n\"\nmemory=1024\npci=[\"00:04.0\"]\nrdm=\"{value}\"\n"));
        int at = text.IndexOf("rdm-ignored", StringComparison.Ordinal);

        Assert.IsGreaterThanOrEqualTo(0, at, text);
        string problem = text[at..Math.Min(text.Length, at + 240)];
        Assert.Contains(told, problem);
        Assert.DoesNotContain(told.StartsWith("what", StringComparison.Ordinal) ? notTold : $"rdm_policy={notTold}", problem);
    }

    [TestMethod]
    public void What_libvirt_cannot_say_is_not_advised_as_if_it_could()
    {
        Assert.Contains("libvirt has no element for it: xl does", Flat(OfXen(Fixture("hvm", "rmrr.log"), LibvirtHvm)));
        Assert.DoesNotContain("libvirt", Flat(OfXen(Fixture("hvm", "rmrr.log"), "type=\"hvm\"\nname=\"n\"\nmemory=3000\npci=[\"00:04.0\"]\n")));
    }

    [TestMethod]
    [DataRow("(XEN) IVHD Error: Invalid IO-APIC 0xff\n(XEN) AMD-Vi: Error initialization\n", "ivrs_ioapic", "switch on VT-d")]
    [DataRow("(XEN) No southbridge IO-APIC found in IVRS table\n(XEN) AMD-Vi: Error initialization\n", "iommu=no-intremap on Xen's command line",
        "update the host's firmware")]
    [DataRow("(XEN) Failed to parse ACPI DMAR.  Disabling VT-d.\n", "the firmware's tables on it are wrong", "switch on VT-d")]
    [DataRow("", "switch on VT-d", "the firmware's tables")]
    public void An_IOMMU_that_Xen_found_and_cannot_use_is_not_to_be_switched_on(string lines, string told, string notTold)
    {
        string host = Written("x.log", "(XEN) Xen version 4.17.2 (a@b) (gcc) debug=n\n(XEN) Xen-e820 RAM map:\n"
            + "(XEN)  [0000000000000000, 000000000009ffff] (usable)\n(XEN)  [0000000000100000, 00000000bfffffff] (usable)\n"
            + $"(XEN)  [0000000100000000, 000000043fffffff] (usable)\n(XEN) System RAM: 16383MB\n{lines}(XEN) I/O virtualisation disabled\n");

        string text = Flat(OfXen(host, "type=\"hvm\"\nname=\"n\"\nmemory=1024\npci=[\"00:04.0\"]\n"));

        Assert.Contains(told, text);
        Assert.DoesNotContain(notTold, text);
    }

    [TestMethod]
    [DataRow(" hugepagesz=1G hugetlb_cma=68G", "/dev/hugepages", true)]
    [DataRow(" hugepagesz=1G hugepages=68", "/dev/hugepages", false)]
    [DataRow(" hugepagesz=1G hugetlb_cma=68G", "/dev/shm/ram", false)]
    public void Huge_pages_of_CMA_are_why_RAM_was_not_pinned(string options, string file, bool isTold)
    {
        string text = Flat(Plan(Boot("5.15.0", "", options), Kvm.Replace(" -device pcie", $" -machine memory-backend=m -object "
            + $"memory-backend-file,id=m,size=4G,mem-path={file} -device pcie", StringComparison.Ordinal)
            + "qemu-system-x86_64: -device vfio-pci,host=01:00.0,bus=r1: VFIO_MAP_DMA failed: Cannot allocate memory\n"));

        Assert.Contains("Linux did not pin the guest's RAM for the device", text);
        Assert.AreEqual(isTold, text.Contains("remedy: boot the host with hugepages= in place of hugetlb_cma=", StringComparison.Ordinal), text);
        Assert.AreEqual(!isTold, text.Contains("RLIMIT_MEMLOCK", StringComparison.Ordinal), text);
    }

    [TestMethod]
    [DataRow("/root/OVMF/OVMF_CODE.fd", false)]
    [DataRow("/usr/share/pve-edk2-firmware/OVMF_CODE_4M.fd", true)]
    public void Proxmoxs_package_says_nothing_of_a_firmware_that_is_not_in_it(string file, bool isPackages)
    {
        string text = Flat(Plan(Boot("6.2.16-3-pve", ""), "bios: seabios\nmachine: pc-q35-7.2\nmemory: 4096\nhostpci0: 0000:01:00.0,pcie=1\n"
            + $"args: -drive 'if=pflash,unit=0,format=raw,readonly=on,file={file}'\n"));

        Assert.AreEqual(isPackages, text.Contains("dpkg -l pve-edk2-firmware-ovmf", StringComparison.Ordinal), text);
        Assert.AreEqual(!isPackages, text.Contains("the file is in no distribution's folder, and of another release perhaps",
            StringComparison.Ordinal), text);
    }

    [TestMethod]
    [DataRow("type=\"pvh\"\nkernel=\"/x\"\nmemory=1200000\n", false)]
    [DataRow("type=\"hvm\"\nname=\"n\"\nmemory=1200000\n", false)]
    [DataRow("type=\"hvm\"\nname=\"n\"\nmemory=1200000\npci=[\"00:04.0\"]\n", true)]
    public void RAM_at_AMDs_HyperTransport_matters_to_guests_with_a_device(string guest, bool isTold) =>
        Assert.AreEqual(isTold, Flat(OfXen(Fixture("kvm", "hamd.json"), guest)).Contains("HyperTransport", StringComparison.Ordinal));

    [TestMethod]
    public void Dom0_is_given_memory_on_Xens_command_line()
    {
        string text = Flat(CommandRun.Of("boot", "--dom0", "--host", Fixture("golden", "plain4g.log"), "--nr-pages", "16384"));

        Assert.Contains("give dom0 76 MiB or more (dom0_mem= on Xen's command line)", text);
        Assert.DoesNotContain("unikernel", text);
        Assert.Contains("give the guest 76 MiB or more", Flat(OfXen(Fixture("golden", "plain4g.log"), "type=\"pv\"\nkernel=\"/x\"\nmemory=64\n")));
    }

    /// <summary>pci=nocrs, or a bus that Linux found without a table: it has all addresses.</summary>
    [TestMethod]
    [DataRow("[mem 0x00000000-0x3fffffffffff]", false)]
    [DataRow("[mem 0x80000000-0xfebfffff window]", true)]
    public void All_addresses_are_no_window_of_a_host_bridge(string resource, bool isWindow)
    {
        string host = Written("h.log", Boot("6.8.12", $"[    0.5] pci_bus 0000:00: root bus resource {resource}\n", " pci=nocrs"));

        string text = Flat(CommandRun.Of("show", "--host", host));

        Assert.AreEqual(isWindow, text.Contains("host bridges pass on", StringComparison.Ordinal), text);
        Assert.DoesNotContain("ACPI tables are wrong", text);
    }

    [TestMethod]
    [DataRow("BAR 6: no space for [mem size 0x00080000 pref]\n", 0)]
    [DataRow("BAR 0: no space for [mem size 0x00100000]\n", 1)]
    public void A_ROM_without_an_address_on_the_host_costs_the_guest_no_BAR(string line, int status)
    {
        string host = Written("h.log", Boot("6.8.12", "[    0.6] pci 0000:01:00.0: [8086:1521] type 00 class 0x020000\n"
            + "[    0.6] pci 0000:01:00.0: reg 0x10: [mem 0xe0000000-0xe00fffff]\n[    0.6] pci 0000:01:00.0: reg 0x30: [mem 0xfff80000-0xffffffff "
            + $"pref]\n[    0.7] pci 0000:01:00.0: {line}[    0.8] pci 0000:01:00.0: Adding to iommu group 5\n"));

        CommandRun run = CommandRun.Of("fleet", host, "--guest", Written("g.cmd", Kvm));

        Assert.AreEqual(status, run.Status, Flat(run));
    }

    [TestMethod]
    [DataRow("qemu-system-x86_64 -enable-kvm -M q35 -m 64G\n", 0)]
    [DataRow("qemu-system-x86_64 -enable-kvm -M q35 -m 64G -device vfio-pci,host=01:00.0\n", 1)]
    public void A_host_with_less_RAM_than_a_guest_without_a_device_may_still_start_it(string guest, int status) =>
        Assert.AreEqual(status, CommandRun.Of("fleet", Written("h.log", Boot("6.8.12", "")), "--guest", Written("g.cmd", guest)).Status);
}
