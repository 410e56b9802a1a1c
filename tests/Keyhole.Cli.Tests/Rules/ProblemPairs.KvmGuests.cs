// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>Guests of KVM: widths, windows and firmware.</summary>
internal static partial class ProblemPairs
{
    private const string Ovmf = " -drive if=pflash,unit=0,file=/usr/share/OVMF/OVMF_CODE.fd";
    private const string Wide = "0-9fc00 usable, 100000-c0000000 usable, 100000000-30000000000 usable";
    private const string Width39 = "address sizes   : 39 bits physical, 48 bits virtual\n";
    private const string Width46 = "address sizes   : 46 bits physical, 48 bits virtual\n";
    private const string Table39 = "DMAR: Host address width 39\n";

    /// <summary>A guest with a card behind a port.</summary>
    private static string Guest(string machine = "pc-q35-8.1", string cpu = "host", string memory = "4G", string more = "", string card =
        " -device vfio-pci,host=0000:07:00.0,bus=p1") => $"/usr/bin/qemu-system-x86_64 -machine {machine},accel=kvm -cpu {cpu} -m {memory} "
        + $"-nodefaults"
            + $"{more} -device pcie-root-port,id=p1{card}\n";

    private static CommandRun OnWide(string guest, string lines, string release = "6.8.12", params string[] sizes) => Plan(guest,
        Linux(release, Wide, lines), [.. sizes.Length == 0 ? ["--bar-size", "16M,32bit", "--bar-size", "16G,64bit"] : sizes]);

    /// <summary>A guest by its command line alone, on a host of which nothing else is told.</summary>
    private static CommandRun Emulated(string options, params string[] more) => CommandRun.Of(["plan", "--guest", RulePair.Written("qemu.cmd",
        $"qemu-system-x86_64 -nodefaults -accel tcg {options}\n"), "--host", RulePair.Written("host.log", Linux(map: Wide)), "--json", .. more]);

    private static IEnumerable<RulePair> KvmGuests() =>
    [
        Pair("address-width", "the guest follows the host", static cpu => OnWide(Guest(cpu: cpu), IntelCpu + Width39), "Skylake-Server,phys-bits=46",
            "host"),
        Pair("what is beyond them the guest cannot reach", "nothing of the guest's is beyond", static size => OnWide(Guest(cpu:
            "Skylake-Server,phys-bits=46", more: Ovmf), IntelCpu + Width39, "6.8.12", "--bar-size", size), "64G,64bit", "16M,32bit"),
        Pair("and OVMF has been reported to stop with a page fault", "the firmware is SeaBIOS", static firmware => OnWide(Guest(cpu:
            "Skylake-Client-IBRS,phys-bits=42", more: firmware, card: " -device virtio-net-pci,bus=p1"), IntelCpu + Width39, "6.1.0", "--firmware",
            firmware.Length == 0 ? "seabios-1.16.3" : "ovmf-2022.11"), Ovmf, ""),
        Pair("and QEMU only warns", "no width was set", static cpu => OnWide(Guest(cpu: cpu), IntelCpu + Width39), "kvm64,phys-bits=40", "kvm64"),
        Pair("if it has no more than DMAR's", "the processor's own width is told", static line => OnWide(Guest(cpu: "kvm64,phys-bits=40"),
            IntelCpu + line), Table39, Table39 + Width39),

        Pair("dma-beyond-iommu", "the IOMMU is as wide as the processor", static bits => OnWide(Guest(more: Ovmf),
            IntelCpu + Width46 + $"DMAR: Host address width {bits}\n"), "39", "46"),
        Pair("and no other device of the guest reaches it", "the guest is limited to the IOMMU's width", static cpu => OnWide(Guest(cpu: cpu,
            more: Ovmf),
            IntelCpu + Width46 + Table39), "host", "host,host-phys-bits-limit=39"),
        Pair("RAM of the guest is beyond the 39 address bits", "it ends within them", static memory => OnWide(Guest(memory: memory),
            IntelCpu + Width46 + Table39), "600G", "500G"),
        Pair("RAM of the guest is beyond the 39 address bits", "the guest has no device of the host", static card => Plan(Guest(memory: "600G",
            card: card),
            Linux(map: Wide, lines: IntelCpu + Width46 + Table39)), " -device vfio-pci,host=0000:07:00.0,bus=p1", ""),
        Pair("RAM of the guest is beyond the 39 address bits", "the device is a mediated one, which pins what it uses alone", static device => Plan(
            Guest(memory: "600G", card: $" -device vfio-pci,{device},bus=p1"), Linux(map: Wide, lines: IntelCpu + Width46 + Table39), "--bar-size",
            "16M"),
            "host=0000:07:00.0", Mediated),
        Pair("is memory that QEMU maps for the devices that are passed through, beyond the 39 address bits",
            "it is a device's of QEMU, which it does not map",
            static device => OnWide(Guest("pc-q35-9.1", memory: "32G", more: Ovmf) + $" -device pcie-root-port,id=p2,chassis=2 -device {device}\n",
            IntelCpu + Width46 + Table39, "6.1.0", "--bar-size", "64M,32bit", "--firmware", "ovmf-2024.11"),
            "ivshmem-plain,bus=p2,memdev=m -object memory-backend-ram,id=m,size=1G,share=on", "virtio-net-pci,bus=p2"),
        Pair("if the host's processor has 46 address bits", "the processor's own width is told", static line => OnWide(Guest("pc-q35-9.1",
            memory: "32G",
            more: Ovmf), IntelCpu + Table39 + line, "6.12.8"), "", Width39),
        Pair("if the host's processor has 46 address bits", "the guest is limited to the IOMMU's width", static cpu => OnWide(Guest("pc-q35-9.1",
            cpu, "32G",
            Ovmf), IntelCpu + Table39, "6.12.8"), "host", "host,host-phys-bits-limit=39"),

        Pair("RAM of the guest is in AMD's HyperTransport range", "the processor is Intel's", static maker => OnWide(Guest("pc-q35-6.2",
            memory: "1100G",
            more: Ovmf), maker), AmdCpu, IntelCpu),
        Pair("RAM of the guest is in AMD's HyperTransport range", "this machine type keeps it out", static machine => OnWide(Guest(machine,
            memory: "1100G",
            more: Ovmf), AmdCpu), "pc-q35-6.2", "pc-q35-7.1"),
        Pair("(Linux 5.4 and later), and QEMU does not start the guest", "this Linux does not look", static linux => OnWide(Guest("pc-q35-6.2",
            memory: "1100G", more: Ovmf), AmdCpu, linux), "5.4.0", "5.3.18"),
        Pair("a device that is passed through cannot do DMA there, and from Linux 5.4 on", "it is one of those", static linux =>
            OnWide(Guest("pc-q35-6.2",
            memory: "1100G", more: Ovmf), AmdCpu, linux), "5.3.18", "5.4.0"),
        Pair("QEMU puts the RAM above 4 GiB at 1 TiB", "the guest has no device of the host", static card => Plan(Guest("pc-q35-7.1", memory: "1100G",
            card: card), Linux(map: Wide, lines: AmdCpu), "--devices", RulePair.Written("lspci.txt", Card(address: "07:00.0"))),
            " -device vfio-pci,host=0000:07:00.0,bus=p1", ""),
        Pair("without room for memory to be plugged in", "the memory itself is as much", static memory => OnWide(Guest("pc-q35-7.1", "host",
            memory), AmdCpu),
            "4G,slots=4,maxmem=1100G", "1100G"),
        Pair("in AMD's HyperTransport range: VFIO_MAP_DMA fails", "it is a device's of QEMU, which it does not map", static device => OnWide(
            "/usr/bin/qemu-system-x86_64 -machine pc-q35-6.2,accel=kvm -cpu EPYC,phys-bits=40 -m 2G -nodefaults" + Ovmf
                + $" -device vfio-pci,host=0000:07:00.0 -device {device}\n", AmdCpu + Width46, "6.8.12", "--bar-size", "1M,32bit", "--firmware",
            "ovmf-2022.11"), "ivshmem-plain,memdev=m -object memory-backend-ram,id=m,size=128G,share=on", "pci-testdev,membar=128G"),

        Pair("in AMD's HyperTransport range: VFIO_MAP_DMA fails", "this Linux does not look", static linux => OnWide(
            "/usr/bin/qemu-system-x86_64 -machine pc-q35-6.2,accel=kvm -cpu EPYC,phys-bits=40 -m 2G -nodefaults" + Ovmf
                + " -device vfio-pci,host=0000:07:00.0 -device ivshmem-plain,memdev=m -object memory-backend-ram,id=m,size=128G,share=on\n",
            AmdCpu + Width46, linux, "--bar-size", "1M,32bit", "--firmware", "ovmf-2022.11"), "5.4.0", "5.3.18"),

        Pair("device-unseen", "its slot has function 0", static port => Emulated($"-machine q35 -m 4G -device pcie-root-port,id=r,addr={port},"
            + "multifunction=on,chassis=3 -device virtio-net-pci,bus=r"), "0x10.0x3", "0x10.0x0"),
        Pair("device-unseen", "nothing is behind the port", static device => Emulated("-machine q35 -m 4G -device pcie-root-port,id=r,addr=0x10.0x3,"
            + $"multifunction=on,chassis=3{device}"), " -device virtio-net-pci,bus=r", ""),
        Pair("OVMF ignores opt/ovmf/X-PciMmio64Mb", "it is one that OVMF takes", static value => OnWide(Guest(more:
            $"{Ovmf} -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string={value}"), IntelCpu), "64G", "65536"),
        Pair("OVMF ignores opt/ovmf/X-PciMmio64Mb", "the firmware is SeaBIOS, which has none", static firmware => OnWide(Guest(more:
            $"{firmware} -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=64G"), IntelCpu), Ovmf, ""),
        Pair("OVMF has no setting", "it has this one", static name => OnWide(Guest(more: $"{Ovmf} -fw_cfg name=opt/ovmf/{name},string=65536"),
            IntelCpu),
            "X-PciMmio64MB", "X-PciMmio64Mb"),
        Pair("phys-bits=40 does nothing", "the host's width is not asked for", static more => OnWide(Guest(cpu: $"host,phys-bits=40{more}"),
            IntelCpu),
            "", ",host-phys-bits=off"),
        Pair("no-setting-helps", "one does", static size => OnWide(Guest(), IntelCpu, "6.8.12", "--bar-size", size, "--bar-size", size, "--bar-size",
            size), "1G,32bit", "256M,32bit"),
        Pair("firmware-decides", "the host has one of them alone", static qemu => OnWide(Conf.Replace("seabios", "ovmf",
            System.StringComparison.Ordinal) + "efidisk0: local-lvm:vm-101-disk-0,efitype=4m,size=4M\nargs: -fw_cfg name=opt/ovmf/X-PciMmio64Mb,"
            + "string=65536\n", IntelCpu + Width46 + Table39, "6.8.12", "--bar-size", "32G,64bit,prefetchable", "--qemu", qemu), "10.0", "10.1"),
        Pair("not every BAR has a place where it works; with", "with each of them every one has", static bits => OnWide(Guest("q35", more:
            " -drive if=pflash,unit=0,readonly=on,file=/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd"), IntelCpu + Width46
            + $"DMAR: Host address width {bits}\n", "6.8.12", "--bar-size", "16G,64bit,prefetchable", "--qemu", "7.2"), "39", "46"),
        Pair("every BAR has its place as it is", "with none of them it has", static size => OnWide(LxdsGuest, IntelCpu + Width46,
            "6.8.12", "--bar-size", size), "64G,64bit,prefetchable", "16T,64bit,prefetchable"),

        Pair("left-to-linux", "every BAR has its place", static size => Emulated("-machine pc-q35-7.2 -m 4096 -cpu qemu64,phys-bits=38 -global "
            + $"q35-pcihost.pci-hole64-size=128G -kernel /k -device pcie-root-port,id=p,slot=1 -device pci-testdev,membar={size},bus=p",
            "--firmware", "ovmf-2022.11"), "64G", "1G"),
        Pair("a Linux guest looks for a place itself", "ACPI's window has none", static hole => Emulated("-machine pc-q35-7.2 -m 4096 -cpu qemu64,"
            + $"phys-bits=38 -global q35-pcihost.pci-hole64-size={hole} -kernel /k -device pcie-root-port,id=p,slot=1 -device "
            + $"pci-testdev,membar=64G,bus=p",
            "--firmware", "ovmf-2022.11"), "128G", "32G"),
        Pair("a Linux guest finds no place either", "ACPI's window has one", static hole => Emulated("-machine pc-q35-7.2 -m 4096 -cpu qemu64,"
            + $"phys-bits=38 -global q35-pcihost.pci-hole64-size={hole} -kernel /k -device pcie-root-port,id=p,slot=1 -device "
            + $"pci-testdev,membar=64G,bus=p",
            "--firmware", "ovmf-2022.11"), "32G", "128G"),
        Pair("a Linux guest finds no place by itself", "no bridge is in the way", static other => Emulated("-machine pc-q35-7.2 -m 4096 -cpu qemu64,"
            + "phys-bits=38 -kernel /k -device pcie-root-port,id=p,chassis=1,slot=1 -device pci-testdev,membar=32G,bus=p" + other, "--firmware",
            "ovmf-2022.11"), " -device pcie-root-port,id=q,chassis=2,slot=2 -device pci-testdev,membar=16G,bus=q", ""),
    ];

    private const string LxdsGuest = "/snap/lxd/1/bin/qemu-system-x86_64 -machine q35,accel=kvm -cpu host -nodefaults -m 16G -device "
        + "pcie-root-port,id=p1 "
        + "-drive if=pflash,unit=0,readonly=on,file=/snap/lxd/current/share/qemu//OVMF_CODE.4MB.fd -device vfio-pci,host=0000:07:00.0,bus=p1\n";
}
