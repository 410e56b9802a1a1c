// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Cli.Tests.Rules;

/// <content>A firmware guest's boot as a whole: its kernel, its end, and what of it is not compared.</content>
internal static partial class DevicePairs
{
    private const string Panic = "[   20.0] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n";
    private const string LinuxOfPorts = "Linux version 6.12.117+deb12-amd64";
    private const string Wide = "qemu-system-x86_64 -machine q35 -m 64G -cpu Skylake-Server,phys-bits=36 -nodefaults\n";
    private const string PassedThrough = "name=\"g1\"\ntype=\"hvm\"\nmemory=1500\nmmio_hole=3072\npci=['c1:00.0']\n";

    private static RulePair[] FirmwareBoots =>
    [
        RulePair.Of("), which is none of those that are known (3.2 to 7.3):", "it is the last that is known",
            static () => OfPorts(DeviceInputs.Changed(Ports, LinuxOfPorts, "Linux version 7.4.0")),
            static () => OfPorts(DeviceInputs.Changed(Ports, LinuxOfPorts, "Linux version 7.3.0"))),
        RulePair.Of("where the kernel matters it is taken for", "it is a patched release of a series that is known",
            static () => OfPorts(DeviceInputs.Changed(Ports, LinuxOfPorts, "Linux version 2.6.18-400.el5")),
            static () => OfPorts(DeviceInputs.Changed(Ports, LinuxOfPorts, "Linux version 3.10.0-1160.el7.x86_64"))),
        RulePair.Of(", for those of a passed-through device are not told", "they are",
            static () => Boots(HvmLog, PassedThrough), static () => Boots(HvmLog, PassedThrough, "--devices", Elsewhere)),
        RulePair.Of("functions, BARs and the host bridge's windows: where the BARs end up is not known", "no device is passed through",
            static () => Boots(HvmLog, PassedThrough),
            static () => Boots(HvmLog, DeviceInputs.Changed(PassedThrough, "pci=['c1:00.0']\n", ""))),
        RulePair.Of("Everything that the log shows of the map and of the devices is as forecast: what ended the boot comes after it.",
            "a BAR is not as forecast", static () => OfPorts(Ports + Panic),
            static () => OfPorts(DeviceInputs.Changed(Ports, "02:00.0: BAR 0 [mem 0xfe600000-0xfe600fff]",
                "02:00.0: BAR 0 [mem 0xfe601000-0xfe601fff]") + Panic)),
        RulePair.Of("Everything that the log shows of the map and of the devices is as forecast: what ended the boot comes after it.",
            "the boot goes on", static () => OfPorts(Ports + Panic), static () => OfPorts(Ports)),
        RulePair.Of("Nothing of the map and of the devices could be compared: the guest's end is all that could be looked at.",
            "a line of the map is there, and agrees",
            static () => OfPorts("[    0.000000] Linux version 6.1.0\n" + Panic),
            static () => OfPorts(DeviceInputs.Lines(Ports, 1, 23) + Panic)),
        RulePair.Of("everything after the outcome", "QEMU starts that guest", static () => OfWide(Wide),
            static () => OfWide(Wide.Replace("phys-bits=36", "phys-bits=40", StringComparison.Ordinal))),
        RulePair.Of("the map below 1 MiB and at the end of RAM below 4 GiB: the log has hvmloader's map, and the BIOS changes it there",
            "it is the map that the BIOS printed",
            static () => Hvm(Table), static () => Hvm(Table + SeaBioses)),
        RulePair.Of("the map: what this firmware hands over is not modelled", "its firmware is SeaBIOS",
            static () => Boots(HvmLog, "name=\"g1\"\ntype=\"hvm\"\nmemory=1500\nbios=\"ovmf\"\n"),
            static () => Boots(HvmLog, "name=\"g1\"\ntype=\"hvm\"\nmemory=1500\nbios=\"seabios\"\n")),
        RulePair.Of("the outcome: lines are left out", "they are not, and every BAR is without an address",
            static () => OfGivenUp(GivenUp + "...\n"), static () => OfGivenUp(GivenUp)),
        RulePair.Of("the outcome: the log ends before it shows", "the kernel has said more than its map",
            static () => Hvm(Table), static () => Hvm(Cloud)),
    ];

    /// <summary>SeaBIOS' own lines of the same guest.</summary>
    private const string SeaBioses = """
        (d1) e820 map has 7 items:
        (d1)   0: 0000000000000000 - 000000000009fc00 = 1 RAM
        (d1)   1: 000000000009fc00 - 00000000000a0000 = 2 RESERVED
        (d1)   2: 00000000000f0000 - 0000000000100000 = 2 RESERVED
        (d1)   3: 0000000000100000 - 000000001f7ff000 = 1 RAM
        (d1)   4: 000000001f7ff000 - 000000001f800000 = 2 RESERVED
        (d1)   5: 00000000fc000000 - 00000000fc00b000 = 4 NVS
        (d1)   6: 00000000fc00b000 - 0000000100000000 = 2 RESERVED

        """;

    private const string GivenUp = """
        [    0.000000] Linux version 6.1.0
        pci 0000:00:01.0: BAR 0 [mem 0xfffff000-0xffffffff]
        pci 0000:00:1f.2: BAR 4 [io  0xffffffe0-0xffffffff]
        pci 0000:00:1f.2: BAR 5 [mem 0xfffff000-0xffffffff]

        """;

    /// <summary>The only device with 64 bits does not fit: OVMF programs none of any device.</summary>
    private static CommandRun OfGivenUp(string log) => DeviceInputs.Verify(log, "--qemu", "7.2", "--firmware", "ovmf-2022.11", "--guest",
        RulePair.Written("guest.cmd", "qemu-system-x86_64 -machine q35 -m 4096 -cpu Skylake-Server,phys-bits=40 -nodefaults -bios "
            + "/usr/share/ovmf/OVMF.fd -device pcie-root-port,id=r1,slot=1 -device pci-testdev,bus=r1,membar=64G\n"));

    private static CommandRun OfWide(string guest) => DeviceInputs.Verify("[    0.000000] Linux version 6.1.0\n"
        + "pci_bus 0000:00: root bus resource [mem 0xc0000000-0xfebfffff window]\npci 0000:00:01.0: [1b36:0005] type 00 class 0x00ff00\n", "--qemu",
        "7.2", "--guest", RulePair.Written("guest.cmd", guest));

    /// <summary>The listing of the recorded guest's device, at another address.</summary>
    private static string Elsewhere =>
        RulePair.Written("devices.lspci", DeviceInputs.Changed(DeviceInputs.TextOf("hvm", "boots", "devices.lspci"), "00:05.0", "c1:00.0"));

    private static CommandRun Boots(string log, string guest, params string[] options) =>
        DeviceInputs.Verify(log, ["--guest", RulePair.Written("guest.cfg", guest), .. options]);
}
