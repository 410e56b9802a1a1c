// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>Guests of KVM: BARs without a place, what is assumed, and what the host's side of a device says.</summary>
internal static partial class ProblemPairs
{
    private const string Port = " -device pcie-root-port,id=p,slot=1 ";

    private static IEnumerable<RulePair> KvmBars() =>
    [
        Pair("fit into the window below 4 GiB", "this one does", static size =>
            Emulated($"-machine q35 -m 4G{Port}-device vfio-pci,host=07:00.0,bus=p",
            "--bar-size", $"{size},32bit", "--firmware", "ovmf-2022.11"), "1G", "256M"),
        Pair("fit into the window above 4 GiB", "this one does", static size => Emulated("-machine pc-q35-7.2 -m 4096 -cpu qemu64,phys-bits=38 "
            + $"{Port}-device pci-testdev,membar={size},bus=p", "--firmware", "ovmf-2022.11"), "64G", "16G"),
        Pair("refuses to start the guest", "its end is within the processor's width", static hole =>
            Emulated("-machine pc-q35-7.2 -m 4096 -cpu qemu64,"
            + $"phys-bits=38 -global q35-pcihost.pci-hole64-size={hole}"), "512G", "128G"),
        Pair("the firmware gives up on its PCI devices", "it is the firmware that leaves one out", static size =>
            Emulated("-machine pc-q35-7.2 -m 4096 "
            + $"-cpu qemu64,phys-bits=38 -device pci-testdev,membar={size}", "--firmware", "ovmf-2022.11"), "128G", "16G"),
        Pair("the firmware stops", "there is room for both", static size =>
            Emulated($"-machine q35 -m 8G -cpu qemu64{Port}-device vfio-pci,host=07:00.0,bus=p",
            "--bar-size", $"{size},32bit", "--bar-size", $"{size},32bit", "--firmware", "seabios-1.16.2"), "512M", "128M"),
        Pair("SeaBIOS never ends", "the bridge asks for no fewer than it has", static reserve =>
            Emulated("-machine q35 -m 2G -device pxb-pcie,id=x,bus_nr=64 "
            + $"-device pcie-root-port,id=p,slot=1,bus=x,bus-reserve={reserve} -device pcie-pci-bridge,id=b,bus=p", "--firmware", "seabios-1.16.2"),
            "0", "4"),
        Pair("the firmware never ends", "it reaches so far", static bits => Emulated("-machine q35 -m 2G "
            + $"-cpu EPYC,phys-bits={bits} -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=1048576", "--firmware", "ovmf-2022.11"), "40", "46"),
        Pair("take the image without system management mode", "the board is a q35 one", static board => Emulated($"-machine {board} -m 2G "
            + "-drive if=pflash,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.ms.fd"), "pc", "q35,smm=on"),
        Pair("is not a multiple of its size", "another firmware lays them otherwise", static firmware =>
            Emulated("-machine pc-q35-7.2 -cpu Skylake-Server,"
            + "phys-bits=46,host-phys-bits=off -m 8G -device pcie-root-port,id=p0,chassis=1 -device pcie-root-port,id=p1,chassis=2 "
            + "-device pci-testdev,membar=128G,bus=p0,addr=0.0,multifunction=on -device pci-testdev,membar=32M,bus=p0,addr=0.1 "
            + "-device pci-testdev,membar=128G,bus=p1,addr=0.0,multifunction=on -device pci-testdev,membar=32M,bus=p1,addr=0.1", "--firmware",
            firmware),
            "seabios-1.16.3", "seabios-1.16.2"),

        Pair("is not one of the releases that are known", "it is", static qemu => Emulated("-machine q35 -m 4G", "--qemu", qemu), "1.0", "8.2"),
        Pair("is of no release of QEMU that is known", "it is of one", static machine => Emulated($"-machine {machine} -m 4G"), "pc-q35-10.9",
            "pc-q35-10.0"),
        Pair("ends beyond what the guest's processor can address", "it ends within", static bits => Emulated("-machine q35 -m 4G "
            + $"-cpu qemu64,phys-bits={bits},host-phys-bits=off -device pcie-root-port,id=p,slot=1 -device pci-testdev,membar=1T,bus=p",
            "--firmware", "seabios-1.16.2"), "39", "46"),
        Pair("overlaps addresses that the machine keeps for something else", "the processor is Intel's, which keeps none", static model => Emulated(
            $"-machine q35 -m 2G -cpu {model},phys-bits=40 -device pci-testdev,membar=128G", "--firmware", "ovmf-2022.11"), "EPYC", "Skylake-Server"),
        Pair("is OVMF as it is built for confidential guests", "it is the usual one", static file =>
            Emulated("-machine q35 -m 4G -drive if=pflash,unit=0,"
            + $"readonly=on,file=/usr/share/ovmf/{file}"), "OVMF.amdsev.fd", "OVMF.fd"),
        Pair("which firmware", "its name tells", static file => Emulated($"-machine q35 -m 4G -bios /opt/{file}"), "mine.bin", "OVMF.fd"),
        Pair("the BARs of a device that is passed through are not told", "its BARs are told", static told => Plan(Kvm + "\n", Linux(),
            [.. told.Split(' ',
            System.StringSplitOptions.RemoveEmptyEntries)]), "", "--bar-size 16M"),
        Pair("the map may come out otherwise in one part", "SeaBIOS keeps its usual part", static memory => Emulated($"-machine q35 -m {memory}",
            "--firmware",
            "seabios-1.16.2"), "1280K", "2048K"),
        Pair("stolen memory", "the display is not at its place", static at =>
            Plan("/usr/bin/qemu-system-x86_64 -machine pc-i440fx-8.1,accel=kvm -cpu host -m 8G "
            + $"-nodefaults -device vfio-pci,host=0000:00:02.0,addr={at}\n", Linux(map: Wide), "--bar-size", "16M,64bit"), "0x2", "0x5"),

        Pair("QEMU's release is not told", "it is", static qemu => Emulated("-machine q35 -m 4G", qemu.Length == 0 ? [] : ["--qemu", qemu]), "",
            "8.2"),
        Pair("the firmware's release is not told", "it is", static firmware => Emulated("-machine q35 -m 4G", "--firmware", firmware), "seabios",
            "seabios-1.16.2"),
        Pair("who made the host's processor is not told", "it is", static maker => OnWide(Guest(), maker), "", AmdCpu),
        Pair("CPU model 'host' requires KVM or HVF", "KVM is on", static accel =>
            Plan($"qemu-system-x86_64 -nodefaults -machine q35 -m 4G -cpu host -accel {accel}\n",
            Linux()), "tcg", "kvm"),
        Pair("switch KVM on, which the model host needs", "another thing keeps QEMU from starting it", static hole => Emulated(
            $"-machine q35 -m 4G -cpu host -global q35-pcihost.pci-hole64-size={hole}"), "64G", "64T"),
        Pair("whatever its model, is not told", "without KVM it is the model's", static accel =>
            Plan("qemu-system-x86_64 -nodefaults -machine q35 -m 4G "
            + $"-cpu EPYC -accel {accel}\n", Linux()), "kvm", "tcg"),
        Pair("who made the processor decides", "it is told", static maker => OnWide(Guest(cpu: "kvm64,phys-bits=46", memory: "16G", more: Ovmf),
            maker),
            "", AmdCpu),
        Pair("whether the host's processor has pages of 1 GiB is not told", "it is", static traits => Plan(Kvm + "\n",
            Capture("0-9fc00 ram, 100000-c0000000 ram, 100000000-880000000 ram", traits)), "", "\"gibPages\": true"),
        Pair("the width of the host's physical addresses is not told", "it is", static width => OnWide(Guest(), width), "", Width46),
        Pair("39 bits are assumed, those of DMAR's", "the processor's own is told", static width => OnWide(Guest(), Table39 + width), "", Width46),
        Pair("are those that the host's log names", "a listing names them", static told => Plan(Conf.Replace("07:00.0", "07:00",
            System.StringComparison.Ordinal), Linux("6.2.16", lines: LoggedCard), [.. told.Length == 0 ? []
            : (string[])["--devices", RulePair.Written("lspci.txt", Card(address: "07:00.0"))]]), "", "lspci"),
        Pair("is later than those that are known", "it is known", static release => Emulated("-machine q35 -m 4G", "--firmware", release),
            "seabios-1.18.0",
            "seabios-1.16.3"),
        Pair("Ubuntu's later updates of ovmf-2024.0", "no window is asked for", static window =>
            Emulated("-machine q35 -m 4G -drive if=pflash,unit=0,"
            + $"readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.ms.fd{window}", "--qemu", "8.2"),
            " -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=65536", ""),

        Pair("host-unplaced", "it has an address", static region => OnKvmRegion(region), Ignored, Placed),
        Pair("the guest's device then has no ROM", "it has an address", static at =>
            OnKvmRegion($"{Placed}\tExpansion ROM at {at} [disabled] [size=512K]\n"),
            "<ignored>", "fb000000"),
        Pair("no virtual function can be switched on", "their window has an address", static unplaced => Plan(Kvm + "\n",
            "{\"entries\": [{\"start\": \"0x0\", \"end\": \"0xa0000\", \"type\": \"ram\"}, {\"start\": \"0x100000\", \"end\": \"0xc0000000\", "
            + "\"type\": \"ram\"}], \"devices\": [{\"address\": \"0000:07:00.0\", \"bars\": [{\"index\": 0, \"kind\": \"memory\", "
            + "\"start\": \"0xfebc0000\", \"end\": \"0xfebe0000\", \"is64Bit\": true, \"prefetchable\": true}]" + unplaced + "}]}"),
            ", \"unplaced\": [{\"index\": 8, \"kind\": \"virtual-function\", \"size\": \"0x4000\", \"is64Bit\": true, \"prefetchable\": true, "
            + "\"sign\": \"unset\"}]", ""),
        Pair("its size is not told, and the forecast leaves it out", "its size is told", static region => OnKvmRegion(region),
            "\tRegion 1: Memory at <ignored> (64-bit, prefetchable)\n", Ignored),
        Pair("the host gives the guest no such BAR until it has one", "a PV guest has it where the host has it", static guest => Plan(guest, Linux(),
            "--devices", RulePair.Written("lspci.txt", Card(address: "07:00.0", regions: Ignored))), Kvm + "\n",
            $"{Pv}memory=800\npci=['07:00.0']\n"),
        Pair("it has none in the guest either, and the forecast leaves it out", "its firmware places it again", static guest => Plan(guest, Linux(),
            "--devices", RulePair.Written("lspci.txt", Card(address: "07:00.0", regions: Ignored))), $"{Pv}memory=800\npci=['07:00.0']\n", Kvm
            + "\n"),
        Pair("None of the host bridge's windows could hold its", "one could", static end => OnKvmRegion(Ignored,
            $"pci_bus 0000:00: root bus resource [mem 0xd0000000-0x{end} window]\n"), "d0ffffff", "efffffff"),
        Pair("A window of the host bridge could hold its", "nothing tells of its windows", static line => OnKvmRegion(Ignored, line),
            "pci_bus 0000:00: root bus resource [mem 0xd0000000-0xefffffff window]\n", ""),
        Pair("switch on Above 4G Decoding", "it is on: the host bridge has a window there", static window => OnKvmRegion(Ignored,
            $"pci_bus 0000:00: root bus resource [mem 0x{window} window]\n"), "d0000000-0xefffffff", "4000000000-0x7fffffffff"),
        Pair("or boot its Linux with pci=realloc", "it is booted so", static option => OnKvmRegion(Ignored, "", option), "", " pci=realloc"),
        Pair("its Linux has pci=realloc already", "it is switched off", static option => OnKvmRegion(Ignored, "", option), " pci=realloc",
            " pci=realloc=off"),
        Pair("host-window", "its largest size is what it has", static sizes => OnKvmRegion(Placed
            + "\tCapabilities: [bb0 v1] Physical Resizable BAR\n"
            + $"\t\tBAR 1: current size: 256MB, supported: {sizes}\n", "pci_bus 0000:00: root bus resource [mem 0x4000000000-0x7fffffffff window]\n"),
            "64MB 128MB 256MB 512MB", "64MB 128MB 256MB"),
        Pair("a window of the host bridge holds its largest size", "none does", static end => OnKvmRegion(Placed
            + "\tCapabilities: [bb0 v1] Physical Resizable BAR\n\t\tBAR 1: current size: 256MB, supported: 256MB 512MB\n",
            $"pci_bus 0000:00: root bus resource [mem 0x4000000000-0x{end} window]\n"), "7fffffffff", "400fffffff"),
        Pair("none of the host bridge's windows holds more", "one does", static end => OnKvmRegion(Placed
            + "\tCapabilities: [bb0 v1] Physical Resizable BAR\n\t\tBAR 1: current size: 256MB, supported: 256MB 512MB\n",
            $"pci_bus 0000:00: root bus resource [mem 0x4000000000-0x{end} window]\n"), "400fffffff", "7fffffffff"),
    ];

    private const string Ignored = "\tRegion 1: Memory at <ignored> (64-bit, prefetchable) [size=256M]\n";
    private const string Placed = "\tRegion 1: Memory at d0000000 (64-bit, prefetchable) [size=256M]\n";

    private const string LoggedCard = "pci 0000:07:00.0: [10de:1b81] type 00 class 0x030000\npci 0000:07:00.0: reg 0x10: [mem "
        + "0xfb000000-0xfbffffff]\n";

    private static CommandRun OnKvmRegion(string regions, string lines = "", string options = "") => Plan(Kvm + "\n", Linux("6.8.12", lines: lines,
        options: options), "--devices", RulePair.Written("lspci.txt", Card(address: "07:00.0", regions: regions)));
}
