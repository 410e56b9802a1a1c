// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.IO;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>Guests of KVM: what their host says of itself, of their device or of their last start.</summary>
internal static partial class ProblemPairs
{
    private const string KvmAlone = "/usr/bin/qemu-system-x86_64 -machine pc-q35-8.1,accel=kvm -cpu host -m 4G -nodefaults";
    private const string Kvm = KvmAlone + " -device pcie-root-port,id=p1 -device vfio-pci,host=0000:07:00.0,bus=p1";

    private const string Conf = "bios: seabios\ncpu: host\nhostpci0: 0000:07:00.0,pcie=1\nmachine: q35\nmemory: 4096\nname: a\n";

    private const string Xml = "<domain type='kvm'><name>a</name><memory unit='GiB'>4</memory><os><type arch='x86_64' "
        + "machine='pc-q35-8.1'>hvm</type></os>"
        + "<cpu mode='host-passthrough'/><devices><hostdev mode='subsystem' type='pci' managed='yes'><source>"
        + "<address domain='0x0000' bus='0x07' slot='0x00' function='0x0'/></source></hostdev></devices></domain>\n";

    private const string AmdCpu = "smpboot: CPU0: AMD EPYC 7742 64-Core Processor (family: 0x17, model: 0x31, stepping: 0x0)\n";
    private const string IntelCpu = "smpboot: CPU0: 13th Gen Intel(R) Core(TM) i7-13700K (family: 0x6, model: 0xb7, stepping: 0x1)\n";
    private const string Ranges = "DMAR: RMRR base: 0x000000f1ffd000 end: 0x000000f1ffffff\n";
    private const string Ineligible = "Device is ineligible for IOMMU domain attach due to platform RMRR requirement.  Contact your platform "
        + "vendor.\n";
    private const string OneToOne = "Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring the device without a 1:1 "
        + "mapping. Contact your platform vendor.\n";

    /// <summary>A guest on a host of KVM of which so much is told, its device's one register too.</summary>
    private static CommandRun OnKvm(string lines, string guest = Kvm + "\n", string release = "6.8.12", string options = "",
        string size = "1M,32bit") =>
        Plan(guest, Linux(release, lines: lines, options: options), "--bar-size", size);

    private static IEnumerable<RulePair> KvmHosts() =>
    [
        Pair("Linux does not give 0000:07:00.0 to a guest of KVM", "the log says it of another device",
            static device => OnKvm($"{Ranges}vfio-pci 0000:{device}: DMAR: {Ineligible}"), "07:00.0", "08:00.0"),
        Pair("and Linux does not give such a device to a guest of KVM", "the memory is another device's", static device => OnKvm(
            $"{Ranges}DMAR: Setting identity map for device 0000:{device} [0xf1ffd000 - 0xf1ffffff]\n"), "07:00.0", "08:00.0"),
        Pair("and Linux does not give such a device to a guest of KVM", "it is a display, which Linux gives away", static kind => OnKvmListed(
            $"{Ranges}DMAR: Setting identity map for device 0000:07:00.0 [0xf1ffd000 - 0xf1ffffff]\n", kind), "Ethernet controller [0200]",
            "VGA compatible controller [0300]"),
        Pair("save displays and USB controllers, and whether it is one, the source does not tell", "a listing tells that it is none",
            static listing => Plan(Kvm + "\n", Linux("6.8.12", lines: $"{Ranges}DMAR: Setting identity map for device 0000:07:00.0 [0xf1ffd000 - "
            + $"0xf1ffffff]\n"),
            listing.Length == 0 ? ["--bar-size", "16K,32bit"] : ["--devices", RulePair.Written("lspci.txt", listing)]), "", Card(address: "07:00.0")),
        Pair("save displays and USB controllers, and whether it is one, the source does not tell", "the log tells that it is none", static line =>
            OnKvm(
            $"{Ranges}DMAR: Setting identity map for device 0000:07:00.0 [0xf1ffd000 - 0xf1ffffff]\n{line}"), "",
            "pci 0000:07:00.0: [8086:1521] type 00 class 0x020000\npci 0000:07:00.0: reg 0x10: [mem 0xfb000000-0xfb0fffff]\n"),
        Pair("and Linux does not give such a device to a guest of KVM", "the log tells that it is a display", static kind => OnKvm(
            $"{Ranges}DMAR: Setting identity map for device 0000:07:00.0 [0xf1ffd000 - 0xf1ffffff]\npci 0000:07:00.0: [8086:1521] type 00 class "
            + $"{kind}\n"
            + "pci 0000:07:00.0: reg 0x10: [mem 0xfb000000-0xfb0fffff]\n"), "0x020000", "0x030000"),
        Pair("and which, the source does not tell: one of those is not given to a guest of KVM",
            "the device is a mediated one, which is the host's own",
            static device => Plan($"{KvmAlone} -device pcie-root-port,id=p1 -device vfio-pci,{device},bus=p1\n", Linux("6.8.12", lines: Ranges),
            "--bar-size",
            "16M"), "host=0000:07:00.0", Mediated),
        Pair("and which, the source does not tell: one of those is not given to a guest of KVM", "the device is a USB controller", static kind =>
            OnKvmListed(Ranges, kind), "Ethernet controller [0200]", "USB controller [0c03]"),
        Pair("and which, the source does not tell: one of those is not given to a guest of KVM", "the guest has no device of the host",
            static guest => Plan(guest, Linux(lines: Ranges)), Kvm + "\n", KvmAlone + "\n"),
        Pair("displays and USB controllers, which the guest's devices are, Linux gives to a guest all the same", "the device is a network card",
            static kind => OnKvmListed(Ranges, kind), "VGA compatible controller [0300]", "Ethernet controller [0200]"),
        Pair("and the host's Linux gives them to a guest all the same", "it does not say so", static line => OnKvm(Ranges + line),
            "DMAR: Intel-IOMMU: assuming all RMRRs are relaxable. This can lead to instability or data loss\n", ""),
        Pair("and all are where a Linux that knows relax_rmrr", "it is not asked to", static options => OnKvm(Ranges, options: options),
            " intel_iommu=on,relax_rmrr", " intel_iommu=on"),
        Pair("so its log says", "it says it of another device", static device => OnKvm($"{AmdCpu}vfio-pci 0000:{device}: {OneToOne}"), "07:00.0",
            "08:00.0"),
        Pair("for the host's firmware has it use memory by itself (IVMD)", "the processor is Intel's", static maker =>
            OnKvm($"{maker}vfio-pci 0000:07:00.0: {OneToOne}"), AmdCpu, IntelCpu),
        Pair("use this memory by itself (IVMD), and Linux on AMD's machines gives", "it is for other devices", static last => OnKvm(AmdCpu
            + Ivmd(last)),
            "0f:1f.7", "06:1f.7"),
        Pair("use this memory by itself (IVMD), and Linux on AMD's machines gives", "this Linux does", static linux => OnKvm(AmdCpu + Ivmd("0f:1f.7"),
            release: linux), "6.8.12", "6.6.9"),
        Pair("by themselves (IVMD), and which, the source does not tell", "this Linux gives all of them away", static linux => OnKvm(
            AmdCpu + Ranges, release: linux), "6.8.12", "6.6.9"),

        Pair("does not use its IOMMU", "it was switched on behind that", static line => OnKvm($"DMAR: IOMMU disabled\n{line}"), "",
            "DMAR: IOMMU enabled\n"),
        Pair("does not use its IOMMU", "the device is a mediated one, which needs none", static device => OnKvm("DMAR: IOMMU disabled\n",
            $"{KvmAlone} -device pcie-root-port,id=p1 -device vfio-pci,{device},bus=p1\n"), "host=0000:07:00.0",
            Mediated),
        Pair("gave its IOMMU up", "Linux only switched it off", static line => OnKvm(line), "DMAR: Parse DMAR table failure.\n",
            "DMAR: IOMMU disabled\n"),
        Pair("5.5 stops at an RMRR that the firmware has not reserved", "it is another release", static linux => OnKvm(
            "DMAR: Parse DMAR table failure.\n", release: linux), "5.5.7", "5.6.2"),
        Pair("nothing in the host's log", "one line does", static line =>
            Plan("qemu-system-x86_64 -enable-kvm -machine q35 -cpu host -m 1G -nodefaults "
            + "-device pcie-root-port,id=p -device vfio-pci,host=01:00.0,bus=p\n", string.Join('\n', Whole[..300]) + $"\n{line}"
            + string.Join('\n', Whole[300..]) + "\n", "--bar-size", "1M,32bit"), "", "[    1.700000] pci 0000:00:00.0: Adding to iommu group 0\n"),
        Pair("nothing in the host's log", "lines of it are left out", static line =>
            Plan("qemu-system-x86_64 -enable-kvm -machine q35 -cpu host -m 1G "
            + "-nodefaults -device pcie-root-port,id=p -device vfio-pci,host=01:00.0,bus=p\n", string.Join('\n', Whole[..300]) + $"\n{line}"
            + string.Join('\n', Whole[300..]) + "\n", "--bar-size", "1M,32bit"), "", "[...]\n"),

        Pair("QEMU did not start the guest when this log was written", "it was started again behind that", static again => OnKvm("", Start + Died
            + again),
            "", Start),
        Pair("Linux did not pin the guest's RAM for the device; either", "the words are of something else", static error => OnKvm("",
            Start + Died.Replace("Cannot allocate memory", error, System.StringComparison.Ordinal)), "Cannot allocate memory", "Invalid argument"),
        Pair("Linux could not get the pages behind that part of the guest's RAM", "it is another error", static error => OnKvm("",
            Start + Died.Replace("Cannot allocate memory", error, System.StringComparison.Ordinal)), "Bad address", "Cannot allocate memory"),
        Pair("was to lock more memory than it may", "the guest has no device of the host", static guest => Plan(guest, Linux(lines: Locked)),
            Kvm + "\n", KvmAlone + "\n"),
        Pair("see whether the guest's <memtune><hard_limit> is", "the guest's RAM is within it, and the line another's", static limit => OnKvm(
            $"vfio_pin_pages_remote: RLIMIT_MEMLOCK ({limit}) exceeded\n", Xml), "67108864", "8589934592"),
        Pair("RLIMIT_MEMLOCK … exceeded", "the host's log has that line", static line => OnKvm(Map12 + line), "", Locked),
        Pair("for a device (-12): Linux did not pin the guest's RAM", "the log of the guest's own start says it already", static words => OnKvm(Map12,
            Start + words), "", Died),
        Pair("is already attached", "the devices are two", static device => OnKvm("", $"{Kvm} -device vfio-pci,host=0000:{device}\n"), "07:00.0",
            "07:00.1"),
        Pair("assigned more than once", "each gives another function", static device => OnKvm("", $"{Conf}hostpci1: 0000:{device}\n"), "07:00.0",
            "07:00.1"),

        Pair("of a guest's addresses for a device (-22): beyond the", "the IOMMU has as many bits", static bits =>
            OnKvm($"DMAR: Host address width {bits}\n{MapFails("0x380010000000")}",
            size: "1M,32bit"), "39", "46"),
        Pair("which the host's IOMMU keeps for the platform", "it is Intel's", static maker => OnKvm(maker + MapFails("0xfd00000000")), AmdCpu,
            IntelCpu),
        Pair("addresses that the host's IOMMU does not have, or keeps for the platform", "its width is told, and they are beyond", static line =>
            OnKvm(
            line + MapFails("0x380010000000")), "", "DMAR: Host address width 39\n"),
        Pair("that is no RAM but a BAR", "it is RAM", static address => OnKvm(MapFails(address)), "0x380010000000", "0x10000000"),
        Pair("QEMU said in the host's log that it could not map [", "the guest has no device of the host", static guest => Plan(guest,
            Linux(lines: MapFails("0x380010000000"))), Kvm + "\n", KvmAlone + "\n"),

        Pair("cannot be reserved for a guest on this host", "it is another device's", static device => OnKvm(Taken(device)), "07:00.0", "08:00.0"),
        Pair("the host's boot console has its picture there", "the console is elsewhere", static at => OnKvm(
            $"simple-framebuffer simple-framebuffer.0: framebuffer at 0x{at}, 0x300000 bytes\n{Taken("07:00.0")}"), "d0000000", "c0000000"),
        Pair("has its picture in this window of 0000:07:00.0 (/proc/iomem)", "the guests' driver has the window", static holder => Plan(Kvm + "\n",
            Console(holder), "--bar-size", "1M,32bit"), "BOOTFB", "vfio-pci"),

        Pair("huge-pages", "the host set enough aside", static count => OnKvm($"HugeTLB: registered 1.00 GiB page size, pre-allocated {count} "
            + $"pages\n", Huge1G),
            "3", "4"),
        Pair("huge-pages", "those are of another size", static size => OnKvm($"HugeTLB: registered {size} page size, pre-allocated 3 pages\n",
            Huge1G),
            "1.00 GiB", "2.00 MiB"),
        Pair("the host's Linux had no more of 1 GiB when it booted", "it was told to set fewer aside", static wanted => OnKvm(
            $"HugeTLB: allocating {wanted} of page size 1.00 GiB failed.  Only allocated 2 hugepages.\n", Huge1G), "4", "3"),
    ];

    private static string[] Whole => File.ReadAllLines(RulePair.Fixture("kvm", "verify", "sea-ports.log"));

    private const string Start = "2023-05-02 09:12:44.102+0000: starting up libvirt version: 9.0.0, qemu version: 8.1.0, kernel: 5.15.0-71-generic\n"
        + Kvm + "\n";

    private const string Died = "2023-05-02T09:12:46.998216Z qemu-system-x86_64: -device {\"driver\":\"vfio-pci\",\"host\":\"0000:07:00.0\"}: "
        + "VFIO_MAP_DMA failed: Cannot allocate memory\n";

    private const string Mediated = "sysfsdev=/sys/bus/mdev/devices/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";

    private const string Locked = "vfio_pin_pages_remote: RLIMIT_MEMLOCK (67108864) exceeded\n";

    private const string Map12 = "QEMU[3989]: kvm: vfio_dma_map(0x55a6a1c1bd60, 0x0, 0x80000000, 0x7f8a5fe00000) = -12 (Cannot allocate memory)\n";

    private const string Huge1G = "<domain type='kvm'><name>a</name><memory unit='GiB'>4</memory><memoryBacking><hugepages><page size='1' "
        + "unit='GiB'/>"
        + "</hugepages></memoryBacking><os><type arch='x86_64' machine='pc-q35-8.2'>hvm</type></os><devices/></domain>\n";

    private static string MapFails(string address) =>
        $"QEMU[3989]: kvm: vfio_container_dma_map(0x5e043daea2f0, {address}, 0x8000000, 0x771a38000000) = -22 (Invalid argument)\n";

    private static string Taken(string device) => $"vfio-pci 0000:{device}: BAR 1: can't reserve [mem 0xd0000000-0xdfffffff 64bit pref]\n";

    private static string Ivmd(string last) => $"AMD-Vi: IVMD_TYPE_RANGE devid_start: 0000:00:00.0 devid_end: 0000:{last} "
        + "range_start: 00000000bd000000 range_end: 00000000bd001000 flags: f\n";

    private static CommandRun OnKvmListed(string lines, string kind) => Plan(Kvm + "\n", Linux("6.8.12", lines: lines), "--devices",
        RulePair.Written("lspci.txt", $"07:00.0 {kind}: A maker's thing [10de:1b81] (rev a1)\n"
            + "\tRegion 0: Memory at e0000000 (32-bit, non-prefetchable) [size=16M]\n"));

    private static string Console(string holder) => $"""
        root@pve:~# cat /proc/iomem
        00000000-00000fff : Reserved
        00001000-0009ffff : System RAM
        00100000-cfffffff : System RAM
        d0000000-fcffffff : PCI Bus 0000:00
          d0000000-e1ffffff : PCI Bus 0000:07
            d0000000-dfffffff : 0000:07:00.0
              d0000000-d02fffff : {holder}
        100000000-81f37ffff : System RAM

        """;
}
