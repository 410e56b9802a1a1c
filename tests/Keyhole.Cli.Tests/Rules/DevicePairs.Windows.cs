// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Runtime.CompilerServices;

namespace Keyhole.Cli.Tests.Rules;

/// <content>Windows that the kernel of a PV guest or of dom0 cannot claim.</content>
internal static partial class DevicePairs
{
    private const string Claimed = "can't claim BAR 0 [mem 0x90004000-0x90007fff 64bit pref]";
    private const string Met = "address conflict with System RAM [mem 0x90000000-0x97ffffff]";
    private const string InRam = "can't claim BAR 0 [mem 0x30004000-0x30007fff 64bit pref]: address conflict with System RAM "
        + "[mem 0x00100000-0x3fffffff]";

    private const string InUnusable = "can't claim BAR 0 [mem 0x50004000-0x50007fff]: address conflict with Unusable memory "
        + "[mem 0x40000000-0x78edbfff]";

    private const string StubDomain = """
        [    0.000000] Linux version 6.6.77-xen-stubdom (user@build) (gcc 12) #1 Tue Oct 2 03:34:17 UTC 2018
        [    0.000000] BIOS-provided physical RAM map:
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x00000000087fffff] usable
        [    0.000000] [mem 0x08800000-0xffffffff] available for PCI devices
        [    0.000000] Booting paravirtualized kernel on Xen PV
        [    2.000000] pci 0000:00:00.0: can't claim BAR 0 [mem 0x04000000-0x0400ffff]: address conflict with System RAM [mem 0x00100000-0x087fffff]

        """;

    private const string WithoutMap = "Linux version 6.4.0\nReleased 0 page(s)\nXen: [mem 0x0000000000000000-0x000000000009ffff] usable\n"
        + "Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved\nXen: [mem 0x0000000000100000-0x000000003fffffff] usable\n"
        + "Remapped 0 page(s)\npci 0000:00:00.4: " + InRam + "\n";

    private static RulePair[] Windows =>
    [
        Window("could not be claimed for a reason that is not the memory map's.", "the reason is RAM",
            Claimed + ": no compatible bridge window", $"{Claimed}: {Met}"),
        Window("could not be claimed for a reason that is not the memory map's.", "the reason is cut off",
            Claimed + ": no compatible bridge window", $"{Claimed}: address conf"),
        Window("could not be claimed; why not does not stand in", "it stands in the next line",
            $"{Claimed}:", $"{Claimed}:\naddress conflict with System RAM [mem 0x90000000-0x97ffffff]"),
        Window("reserved memory of the map,", "the map has nothing reserved there",
            Claimed + ": address conflict with Reserved [mem 0x78edc000-0x8fffffff]",
            Claimed + ": address conflict with Reserved [mem 0x90000000-0x900fffff]"),
        Window(", which the kernel calls reserved, and which neither the forecast's map nor the log's has as such: what reserved it does not stand "
            + "there.", "the map has it reserved",
            Claimed + ": address conflict with Reserved [mem 0x90000000-0x900fffff]",
            Claimed + ": address conflict with Reserved [mem 0x78edc000-0x8fffffff]"),
        Window("reserved memory of the map,", "it is RAM of the map",
            Claimed + ": address conflict with Device Reserved [mem 0x78edc000-0x8fffffff]", InRam),
        Window("Below 1 MiB lies the copy of a display's ROM, which is no BAR: nothing is lost.", "it is a BAR that is there",
            "can't claim BAR 6 [mem 0x000c0000-0x000dffff]: address conflict with Reserved [mem 0x000a0000-0x000fffff]",
            "can't claim BAR 0 [mem 0x000c0000-0x000cffff]: address conflict with Reserved [mem 0x000a0000-0x000fffff]"),
        .. OfOtherResources,
        Window("so the device is not usable", "several windows meet it",
            $"{Claimed}: {Met}", $"{Claimed}: {Met}\npci 0000:00:00.4: can't claim BAR 3 [mem 0x90024000-0x90027fff 64bit pref]: {Met}"),
        Window("so what needs them is not usable", "one window meets it",
            $"{Claimed}: {Met}\npci 0000:00:00.4: can't claim BAR 3 [mem 0x90024000-0x90027fff 64bit pref]: {Met}", $"{Claimed}: {Met}"),
        Window("; less memory does not help: what lies below the host's first reserved region and is not the guest's RAM is marked unusable",
            "it is the guest's RAM",
            InUnusable, InRam),
        Window(", or less low memory", "it is RAM above 4 GiB",
            InRam, "can't claim BAR 0 [mem 0x110004000-0x110007fff]: address conflict with System RAM [mem 0x100000000-0x13fffffff]",
            LastEntry, $"{LastEntry}\nXen: [mem 0x0000000100000000-0x000000013fffffff] usable"),
        Window("or less memory", "it is RAM below 4 GiB",
            "can't claim BAR 0 [mem 0x110004000-0x110007fff]: address conflict with System RAM [mem 0x100000000-0x13fffffff]", InRam,
            LastEntry, $"{LastEntry}\nXen: [mem 0x0000000100000000-0x000000013fffffff] usable"),
        RulePair.Of("; less memory does not help: what lies below the host's first reserved region",
            "the kernel itself marks what it has no pages for",
            static () => Reported(LogWith(InUnusable), Own), static () => OfMarkingKernel("4.18.0")),
        RulePair.Of(", whose toolstack gives the host's", "the host's toolstack knows e820_host",
            static () => OfXen("4.1.6"), static () => OfXen("4.2.5")),
        RulePair.Of("of the stubdomain's map,", "it is a guest's own log",
            static () => OfStubDomain("device_model_stubdomain_override=1\n", StubDomain),
            static () => DeviceInputs.Verify(StubDomain.Replace("-xen-stubdom", "-generic", StringComparison.Ordinal), "--host",
                RulePair.Fixture("hosts", "dell-xps-8500", "boot.log"), "--memory", "136")),
        RulePair.Of(". What to change: less memory for it; libxl gives a stubdomain no map of the host's,", "the kernel names another obstacle",
            static () => OfStubDomain("device_model_stubdomain_override=1\n", StubDomain),
            static () => OfStubDomain("device_model_stubdomain_override=1\n",
                DeviceInputs.Changed(StubDomain, "address conflict with System RAM", "address conflict with Reserved"))),
        RulePair.Of("whatever its kernel advises (\"e820_host=1\").", "it is a PV guest's log",
            static () => OfStubDomain("device_model_stubdomain_override=1\n", StubDomain),
            static () => DeviceInputs.Verify(StubDomain.Replace("-xen-stubdom", "-generic", StringComparison.Ordinal), "--host",
                RulePair.Fixture("hosts", "dell-xps-8500", "boot.log"), "--memory", "136")),
    ];

    /// <summary>What is no type of the map is not therefore another device's.</summary>
    private static RulePair[] OfOtherResources =>
    [
        Window("of the map: the devices' addresses conflict, not the map.", "it is RAM of the map",
            Claimed + ": address conflict with PCI Bus 0000:00 [mem 0x90000000-0x9fffffff]", InRam),
        Window("of the map: the devices' addresses conflict, not the map.", "it is memory that newer kernels call reserved so",
            Claimed + ": address conflict with PCI Bus 0000:00 [mem 0x78edc000-0x8fffffff]",
            Claimed + ": address conflict with Device Reserved [mem 0x78edc000-0x8fffffff]"),
        Window(", which is not RAM, ACPI or unusable memory", "it is memory of the map that the firmware keeps for a purpose",
            Claimed + ": address conflict with PCI MMCONFIG 0000 [mem 0x90000000-0x9fffffff]",
            Claimed + ": address conflict with Soft Reserved [mem 0x90000000-0x9fffffff]"),
        Window("of the map: the devices' addresses conflict, not the map.", "it is what Linux keeps behind the end of the map's RAM",
            Claimed + ": address conflict with PCI Bus 0000:00 [mem 0x90000000-0x9fffffff]",
            Claimed + ": address conflict with RAM buffer [mem 0x90000000-0x93ffffff]"),
        Window("of the map: the devices' addresses conflict, not the map.", "Linux has taken the addresses itself",
            Claimed + ": address conflict with PCI Bus 0000:00 [mem 0x90000000-0x9fffffff]",
            Claimed + ": address conflict with Xen scratch [mem 0x90000000-0x9fffffff]"),
    ];

    /// <summary>The guest of the field's report, with another line on the window in each run.</summary>
    private static RulePair Window(string rule, string unless, string said, string silent, string old = LastEntry, string by = LastEntry,
        [CallerLineNumber] int line = 0) =>
        RulePair.Of(rule, unless, () => Reported(LogWith(said, old, by), Own), () => Reported(LogWith(silent, old, by), Own), line: line);

    /// <summary>A guest without the host's map, whose kernel marks the RAM of the map that it has no pages for.</summary>
    private static CommandRun OfMarkingKernel(string release)
    {
        string guest = RulePair.Written("small.cfg", "name=\"small\"\ntype=\"pv\"\nkernel=\"/boot/vmlinuz\"\nmemory=300\nmaxmem=4000\n");
        string[] options = ["--host", RulePair.Fixture("golden", "plain4g.log"), "--guest", guest];
        return DeviceInputs.Verify(DeviceInputs.LogOf(release, ["boot", .. options, "--kernel", "linux-4.18"])
            + "[    1.1] pci 0000:00:00.0: BAR 0 [mem 0xe0000000-0xe000ffff]: can't claim; address conflict with Unusable memory "
            + "[mem 0xce400000-0xf9ffffff]\n", options);
    }

    private static string Own => RulePair.Fixture("field", "xen", "bar-hotplug.cfg");

    private static string LogWith(string claim, params string[] changes) =>
        DeviceInputs.Changed(DeviceInputs.TextOf("field", "xen", "bar-hotplug-dmesg.txt"), [$"{Claimed}: {Met}", claim, .. changes]);

    private static CommandRun Reported(string log, string guest, params string[] options) => DeviceInputs.Verify(log,
        ["--host", RulePair.Fixture("field", "xen", "bar-hotplug-host.txt"), "--guest", guest, .. options]);

    /// <summary>A guest without the host's map, on a host of that Xen.</summary>
    private static CommandRun OfXen(string version) => DeviceInputs.Verify(WithoutMap, "--memory", "1024", "--host", RulePair.Written("host.log",
        $"(XEN) Xen version {version} (a@b)\n{DeviceInputs.TextOf("field", "xen", "bar-hotplug-host.txt")}"));

    private static CommandRun OfStubDomain(string key, string log) => DeviceInputs.Verify(log, "--host",
        RulePair.Fixture("hosts", "dell-xps-8500", "boot.log"), "--guest",
        RulePair.Written("guest.cfg", $"name=\"gpu\"\ntype=\"hvm\"\nmemory=4096\ndevice_model_version=\"qemu-xen\"\n{key}"));
}
