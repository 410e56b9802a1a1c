// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;

namespace Keyhole.Cli.Tests.Rules;

/// <content>Functions, host bridges' windows, and what of them is not compared.</content>
internal static partial class DevicePairs
{
    private const string LowRoot = "pci_bus 0000:00: root bus resource [mem 0x80000000-0xafffffff window]";
    private const string FirstRoot = "[    1.453054] pci_bus 0000:00: root bus resource [io  0x0000-0x0cf7 window]";
    private const string AllRoot = "[    1.453054] pci_bus 0000:00: root bus resource [mem 0x00000000-0xffffffffff]";
    private const string PortsRoot = "[    1.453054] pci_bus 0000:00: root bus resource [io  0x0000-0xffff]";
    private const string LargeBar = "pci 0000:02:00.0: BAR 2 [mem 0x800000000-0x80fffffff 64bit pref]";

    /// <summary>hvmloader's lines of a guest without a device.</summary>
    private const string Hvmloader = """
        (d1) HVM Loader
        (d1) Detected Xen v4.17.7
        (d1) System requested SeaBIOS
        (d1) pci dev 03:0 bar 10 size 002000000: 0f0000008
        (d1) pci dev 02:0 bar 14 size 001000000: 0f2000008
        (d1) pci dev 03:0 bar 30 size 000010000: 0f3000000
        (d1) pci dev 03:0 bar 14 size 000001000: 0f3010000
        (d1) pci dev 02:0 bar 10 size 000000100: 00000c001
        (d1) pci dev 01:1 bar 20 size 000000010: 00000c101
        (d1) Invoking SeaBIOS ...

        """;

    private static string Ports => DeviceInputs.TextOf("kvm", "verify", "sea-ports.log");

    private static RulePair[] RootWindows =>
    [
        RulePair.Of("the host bridge's windows: with", "the option is its contrary", static () => WithOption("pci=nocrs pci=use_crs"),
            static () => WithOption("pci=use_crs")),
        RulePair.Of(") Linux passes over what ACPI tells of them", "the option is the first process's", static () => WithOption("pci=nocrs"),
            static () => WithOption("-- pci=nocrs")),
        RulePair.Of("the host bridge's windows: the guest's Linux takes none from ACPI, as with pci=nocrs", "it has all ports alone",
            static () => OfPorts(DeviceInputs.Changed(Ports, FirstRoot, AllRoot)),
            static () => OfPorts(DeviceInputs.Changed(Ports, FirstRoot, PortsRoot))),
        RulePair.Of("the host bridges' windows: an expander has windows of its own", "the device is a bridge of the same root",
            static () => OfPorts(Ports, "-device pxb-pcie,id=px,bus_nr=64"), static () => OfPorts(Ports, "-device pcie-root-port,id=px,slot=9")),
        RulePair.Of("of the host bridge's windows:", "nothing tells that a line is missing",
            static () => OfPorts(DeviceInputs.Changed(Ports, $"[    1.453054] {LowRoot}", "...")),
            static () => OfPorts(DeviceInputs.Without(Ports, LowRoot))),
        RulePair.Of("lines are left out there", "they are left out far behind it",
            static () => OfPorts(DeviceInputs.Changed(Ports, $"[    1.453054] {LowRoot}", "...")),
            static () => OfPorts(Ports + "...\n")),
        RulePair.Of("of the host bridge's windows: the log ends there", "it goes on",
            static () => OfPorts(DeviceInputs.Lines(Ports, 1, 210)), static () => OfPorts(DeviceInputs.Lines(Ports, 1, 212))),
        RulePair.Of("the host bridge's windows", "the log tells them",
            static () => OfPorts(DeviceInputs.Without(Ports, "root bus resource")), static () => OfPorts(Ports)),
    ];

    private static RulePair[] Functions =>
    [
        RulePair.Of("functions behind bridges: with", "the option is the first process's",
            static () => WithOption("pci=assign-busses"), static () => WithOption("-- pci=assign-busses")),
        RulePair.Of(") Linux numbers buses itself", "it places BARs itself", static () => WithOption("pci=assign-busses"),
            static () => WithOption("pci=realloc")),
        RulePair.Of("PCI functions: the log names only a part of them", "it names the host bridge, which Linux finds first",
            static () => OfPorts(DeviceInputs.Without(Ports, "pci 0000:02:00.0", "pci 0000:00:00.0")),
            static () => OfPorts(DeviceInputs.Without(Ports, "pci 0000:02:00.0"))),
        RulePair.Of("PCI functions: the log names only a part of them", "it goes on behind the last one",
            static () => OfPorts(DeviceInputs.Lines(Ports, 1, 240)), static () => OfPorts(Ports)),
        RulePair.Of("BARs of functions that it names:", "nothing tells that a line is missing",
            static () => OfPorts(DeviceInputs.Changed(Ports, $"[    1.569054] {LargeBar}", "...")),
            static () => OfPorts(DeviceInputs.Without(Ports, LargeBar))),
        RulePair.Of("option ROMs: this firmware leaves none mapped", "the device has none",
            static () => OfUnplaced("-device e1000,bus=pcie.0"), static () => OfUnplaced("-device e1000,bus=pcie.0,romfile=")),
        RulePair.Of("BARs: hvmloader's lines on them are not in the log", "all of them are",
            static () => Hvm(DeviceInputs.Without(Hvmloader, "dev 01:1")), static () => Hvm(Hvmloader)),
        RulePair.Of("BARs and bridges: the log names no PCI functions", "hvmloader's lines name BARs",
            static () => Hvm(Table), static () => Hvm(Table + "(d1) pci dev 03:0 bar 10 size 002000000: 0f0000008\n")),
    ];

    private static RulePair[] LaterFunctions =>
    [
        RulePair.Of("was plugged in while the guest ran", "it is named with the others",
            static () => OfPlugged(PluggedIn), static () => OfPlugged(PluggedIn.Replace("   67.", "    0.", StringComparison.Ordinal))),
        RulePair.Of("was plugged in while the guest ran", "the others are named as late",
            static () => OfPlugged(PluggedIn), static () => OfPlugged(DeviceInputs.Changed(PluggedIn, "    0.400000", "   61.400000"))),
        RulePair.Of(": it is named so late, with no address in its registers (line", "a register has one",
            static () => OfPlugged(PluggedIn),
            static () => OfPlugged(DeviceInputs.Changed(PluggedIn, "0x00000000-0x00ffffff", "0xfd000000-0xfdffffff"))),
        RulePair.Of("guest's firmware has not seen it; Linux gives it what the host bridge has free", "it is named before, too",
            static () => OfPlugged(PluggedIn),
            static () => OfPlugged("[    0.500000] pci 0000:00:06.0: [10de:15f8] type 00 class 0x030200\n" + PluggedIn)),
        RulePair.Of("guest's firmware has not seen it; Linux gives it what the bridge in front of it has free", "the host bridge is in front of it",
            static () => OfPlugged(PluggedIn.Replace("0000:00:06.0", "0000:01:00.0", StringComparison.Ordinal)), static () => OfPlugged(PluggedIn)),
        RulePair.Of("What to change where that is too little: give it to the guest before that starts", "lines of its registers are left out",
            static () => OfPlugged(PluggedIn), static () => OfPlugged(DeviceInputs.Changed(PluggedIn,
                "[   67.480899] pci 0000:00:06.0: reg 0x10: [mem 0x00000000-0x00ffffff]", "..."))),
        RulePair.Of(", or have the bridge keep more free", "no bridge is in front of it that could",
            static () => OfPlugged(PluggedIn.Replace("0000:00:06.0", "0000:01:00.0", StringComparison.Ordinal)), static () => OfPlugged(PluggedIn)),
        RulePair.Of(", and had none for BAR 1 (16 GiB)", "it had room", static () => OfPlugged(PluggedIn),
            static () => OfPlugged(DeviceInputs.Without(PluggedIn, "BAR 1: "))),
        RulePair.Of("was plugged in while the guest ran", "it shows no register, as a function that its device's driver makes (SR-IOV)",
            static () => OfPlugged(PluggedIn), static () => OfPlugged(DeviceInputs.Without(PluggedIn, "reg 0x"))),
        RulePair.Of("outcome boots gives-up", "the devices without an address were plugged in", static () => OfPlugged(Two("    0.4")),
            static () => OfPlugged(Two("  100.4"))),
        RulePair.Of("was plugged in while the guest ran", "it is named before the first process, as is a log's without times",
            static () => OfPlugged(Untimed("Run /init as init process\n", "")), static () => OfPlugged(Untimed("", "Run /init as init process\n"))),
    ];

    private const string PluggedIn = """
        [    0.400000] pci 0000:00:00.0: [8086:1237] type 00 class 0x060000
        [   67.480726] pci 0000:00:06.0: [10de:15f8] type 00 class 0x030200
        [   67.480899] pci 0000:00:06.0: reg 0x10: [mem 0x00000000-0x00ffffff]
        [   67.481099] pci 0000:00:06.0: reg 0x14: [mem 0x00000000-0x3ffffffff 64bit pref]
        [   67.492525] pci 0000:00:06.0: BAR 1: no space for [mem size 0x400000000 64bit pref]
        [   67.492646] pci 0000:00:06.0: BAR 1: failed to assign [mem size 0x400000000 64bit pref]
        [   67.492955] pci 0000:00:06.0: BAR 0: assigned [mem 0x42000000-0x42ffffff]

        """;

    /// <summary>Two devices without an address, of which one says so a time after the other.</summary>
    private static string Two(string seconds) => string.Concat(Enumerable.Range(5, 2).Select(i =>
        $"[{seconds}{i}0000] pci 0000:00:0{i}.0: [10de:15f8] type 00 class 0x030200\n"
            + $"[{seconds}{i}1000] pci 0000:00:0{i}.0: reg 0x10: [mem 0x00000000-0x00ffffff]\n"))
            .Insert(0, "[    0.400000] pci 0000:00:00.0: [8086:1237] type 00 class 0x060000\n");

    /// <summary>The same without times, with the first process's line before or behind it.</summary>
    private static string Untimed(string before, string behind) => "pci 0000:00:00.0: [8086:1237] type 00 class 0x060000\n" + before
        + "pci 0000:00:06.0: [10de:15f8] type 00 class 0x030200\npci 0000:00:06.0: reg 0x10: [mem 0x00000000-0x00ffffff]\n" + behind;

    private static CommandRun OfPlugged(string log) => DeviceInputs.Verify(log, "--qemu", "7.2", "--guest",
        RulePair.Written("guest.cmd", "qemu-system-x86_64 -machine pc-i440fx-6.2,accel=kvm -cpu Skylake-Server,phys-bits=40 -m 2G -nodefaults\n"));

    private static CommandRun WithOption(string option) =>
        OfPorts(DeviceInputs.Changed(Ports, "Command line: console=ttyS0", $"Command line: console=ttyS0 {option}"));

    /// <summary>The recorded guest with two ports, and more devices.</summary>
    private static CommandRun OfPorts(string log, string more = "") => DeviceInputs.Verify(log, "--qemu", "7.2", "--guest",
        RulePair.Written("guest.cmd", $"{DeviceInputs.TextOf("kvm", "verify", "sea-ports.cmd").Trim()} {more}\n"));

    /// <summary>The recorded guest of OVMF, with another device.</summary>
    private static CommandRun OfUnplaced(string more) => DeviceInputs.Verify(DeviceInputs.TextOf("kvm", "verify", "ovmf-unplaced.log"), "--qemu",
        "7.2", "--guest", RulePair.Written("guest.cmd", $"{DeviceInputs.TextOf("kvm", "verify", "ovmf-unplaced.cmd").Trim()} {more}\n"));
}
