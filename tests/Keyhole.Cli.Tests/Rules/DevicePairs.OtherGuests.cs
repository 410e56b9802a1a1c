// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Cli.Tests.Rules;

/// <content>Logs of another guest, firmware, hypervisor or toolstack than what was told.</content>
internal static partial class DevicePairs
{
    /// <summary>hvmloader's own map of a guest of 512 MiB, 8 of which the video card has.</summary>
    private const string Table = """
        (d1) System requested SeaBIOS
        (d1) E820 table:
        (d1)  [00]: 00000000:00000000 - 00000000:000a0000: RAM
        (d1)  HOLE: 00000000:000a0000 - 00000000:000f0000
        (d1)  [01]: 00000000:000f0000 - 00000000:00100000: RESERVED
        (d1)  [02]: 00000000:00100000 - 00000000:1f800000: RAM
        (d1)  HOLE: 00000000:1f800000 - 00000000:fc000000
        (d1)  [03]: 00000000:fc000000 - 00000000:fc00b000: NVS
        (d1)  [04]: 00000000:fc00b000 - 00000001:00000000: RESERVED
        (d1) Invoking SeaBIOS ...

        """;

    /// <summary>As guests of a public cloud print it.</summary>
    private const string Cloud = """
        [    0.000000] Linux version 5.15.0-1063-aws (buildd@x) #69~20.04.1-Ubuntu SMP
        [    0.000000] BIOS-provided physical RAM map:
        [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009dfff] usable
        [    0.000000] BIOS-e820: [mem 0x000000000009e000-0x000000000009ffff] reserved
        [    0.000000] BIOS-e820: [mem 0x00000000000e0000-0x00000000000fffff] reserved
        [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x00000000efffffff] usable
        [    0.000000] BIOS-e820: [mem 0x00000000fc000000-0x00000000ffffffff] reserved
        [    0.000000] BIOS-e820: [mem 0x0000000100000000-0x000000010fffffff] usable
        [    0.000000] DMI: Xen HVM domU, BIOS 4.11.amazon 08/24/2006
        [    0.000000] Hypervisor detected: Xen HVM
        [    0.000000] Xen version 4.11.

        """;

    private const string Built = """
        domainbuilder: detail: xc_dom_mem_init: mem 256 MB, pages 0x10000 pages, 4k each
        domainbuilder: detail: range: start=0x0 end=0x10000400
        xc: detail: PHYSICAL MEMORY ALLOCATION:
        domainbuilder: detail: xc_dom_load_acpi: 64 bytes at address fc008000
        domainbuilder: detail: xc_dom_load_acpi: 4096 bytes at address fc000000
        domainbuilder: detail: xc_dom_load_acpi: 28672 bytes at address fc001000

        """;

    private static RulePair[] OtherHvmGuests =>
    [
        RulePair.Of("\"), and the forecast is for one with", "it is as forecast",
            static () => Hvm(DeviceInputs.Changed(Table, "System requested SeaBIOS", "System requested ROMBIOS")), static () => Hvm(Table)),
        RulePair.Of("The log is of a guest with", "another guest requested that",
            static () => Hvm(DeviceInputs.Changed(Table, "System requested SeaBIOS", "System requested OVMF")),
            static () => Hvm("(d2) System requested OVMF\n" + Table)),
        RulePair.Of("; xl has ROMBIOS with device_model_version=\"qemu-xen-traditional\" alone", "what is requested is OVMF, which xl has otherwise",
            static () => Hvm(DeviceInputs.Changed(Table, "System requested SeaBIOS", "System requested ROMBIOS")),
            static () => Hvm(DeviceInputs.Changed(Table, "System requested SeaBIOS", "System requested OVMF"))),
        RulePair.Of("). Give its configuration with", "a SeaBIOS was requested",
            static () => Hvm(DeviceInputs.Changed(Table, "System requested SeaBIOS", "System requested ROMBIOS")), static () => Hvm(Table)),
        RulePair.Of(": what is reserved below 1 MiB is as hvmloader has it for ROMBIOS (qemu-xen-traditional), and the forecast is for a guest with "
            + "SeaBIOS: the log's had another BIOS.", "the area is not where ROMBIOS is", static () => Hvm(Cloud, "memory=4096\n"),
            static () => Hvm(DeviceInputs.Changed(Cloud, "e0000-", "d0000-"), "memory=4096\n")),
        RulePair.Of(": what is reserved below 1 MiB is as hvmloader has it for ROMBIOS (qemu-xen-traditional), and the", "the log names its BIOS",
            static () => Hvm(Cloud, "memory=4096\n"), static () => Hvm(Cloud + "System requested SeaBIOS\n", "memory=4096\n")),
        RulePair.Of("The RAM in the log is that of a guest", "only what is reserved differs",
            static () => Hvm(Table, "memory=504\n"), static () => Hvm(DeviceInputs.Changed(Table, "fc00b000", "fc00c000"))),
        RulePair.Of("The RAM in the log is that of a guest", "no guest that is tried has it",
            static () => Hvm(Table, "memory=504\n"),
            static () => Hvm(DeviceInputs.Changed(Table, "[04]: 00000000:fc00b000 - 00000001:00000000: RESERVED",
                "[04]: 00000000:fc00b000 - 00000001:00000000: RESERVED\n(d1)  [05]: 00000001:00000000 - 00000001:00200000: RAM"), "memory=504\n")),
        RulePair.Of(", all else as it was told.", "the RAM is the same",
            static () => Hvm(Table, "memory=2048\n"), static () => Hvm(DeviceInputs.Changed(Table, "fc00b000", "fc00c000"))),
        RulePair.Of("The RAM in the log is that of a guest", "lines behind its RAM below 4 GiB are left out",
            static () => Hvm(Cloud, "memory=4096\n"), static () => Hvm(DeviceInputs.Changed(Cloud,
                "[    0.000000] BIOS-e820: [mem 0x0000000100000000-0x000000010fffffff] usable", "..."), "memory=4096\n")),
        RulePair.Of("whose video card takes none of it, not 8 MiB (videoram=, vga=)", "it has less RAM than with all of the card's",
            static () => Hvm(Table, "memory=504\n"), static () => Hvm(Table, "memory=503\n")),
    ];

    /// <summary>libvirt has other words than xl.</summary>
    private static RulePair[] LibvirtGuests =>
    [
        RulePair.Of("(bios=\"seabios\")", "the guest is libvirt's",
            static () => Hvm(DeviceInputs.Changed(Table, "System requested SeaBIOS", "System requested OVMF"), "memory=1024\n"),
            static () => Libvirts(DeviceInputs.Changed(Table, "System requested SeaBIOS", "System requested OVMF"))),
        RulePair.Of("with memory=504", "the guest is libvirt's", static () => Hvm(Table, "memory=1024\nvideoram=0\nvga=\"none\"\n"),
            static () => Libvirts(Table)),
        RulePair.Of("with <memory unit='MiB'>504</memory>, all else as it was told.", "the guest is xl's", static () => Libvirts(Table),
            static () => Hvm(Table, "memory=1024\nvideoram=0\nvga=\"none\"\n")),
    ];

    private static CommandRun Libvirts(string log) => DeviceInputs.Verify(log, "--guest", RulePair.Written("guest.xml", """
        <domain type='xen'><name>win</name><memory unit='MiB'>1024</memory><os><type arch='x86_64' machine='xenfv'>hvm</type></os><devices>
        <emulator>/usr/lib/xen/bin/qemu-system-i386</emulator></devices></domain>

        """));

    private static RulePair[] OtherHypervisors =>
    [
        RulePair.Of("was told: another one lays its memory out, so what differs says nothing. Give its configuration with",
            "kernels before 4.12 say so in a PVH guest, too",
            static () => Type("Xen PVH", "hvm"), static () => Type("Xen HVM", "pvh")),
        RulePair.Of("was told: another one lays its memory out, so what differs says nothing. Give its configuration with",
            "it runs on what was told",
            static () => Type("KVM", "hvm"), static () => Type("Xen HVM", "hvm")),
        RulePair.Of("was told: another one lays its memory out, so what differs says nothing.", "its kernel does without what would tell",
            static () => Type("KVM", "hvm"), static () => Type("bare hardware", "hvm")),
        RulePair.Of("The log is of a guest of", "the machine is QEMU's, whatever it tells Windows",
            static () => Machine("VMware, Inc. VMware7,1/440BX Desktop Reference Platform, BIOS VMW71.00V.16707776.B64.2008070230 08/07/2020"),
            static () => Machine("QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1 04/01/2014\n[    0.0] Hypervisor detected: "
                + "Microsoft Hyper-V")),
        RulePair.Of("Microsoft Corporation Virtual Machine", "another machine of Microsoft's",
            static () => Machine("Microsoft Corporation Virtual Machine/Virtual Machine, BIOS Hyper-V UEFI Release v4.1 04/06/2022"),
            static () => Machine("Microsoft Corporation Surface Laptop/Surface Laptop, BIOS 1.2.3 04/06/2022")),
        RulePair.Of("was told: another hypervisor lays its guests out, so what differs says nothing. There is no",
            "the name is not as that hypervisor writes it",
            static () => Machine("Microsoft Corporation Virtual Machine/Virtual Machine, BIOS Hyper-V UEFI Release v4.1 04/06/2022"),
            static () => Machine("innotek VirtualBox, BIOS VirtualBox 12/01/2006")),
    ];

    private static RulePair[] OtherFirmwares =>
    [
        RulePair.Of("The log is of a guest with OVMF, and SeaBIOS was forecast.", "that date is in no machine of QEMU's",
            static () => Machine("QEMU Standard PC (Q35 + ICH9, 2009), BIOS 0.0.0 02/06/2015"),
            static () => Machine("Dell Inc. OptiPlex 7040/0Y7WYT, BIOS 0.0.0 02/06/2015")),
        RulePair.Of("The log is of a guest with OVMF, and SeaBIOS was forecast.", "OVMF was told",
            static () => Machine("QEMU Standard PC (Q35 + ICH9, 2009), BIOS 0.0.0 02/06/2015"),
            static () => Machine("QEMU Standard PC (Q35 + ICH9, 2009), BIOS 0.0.0 02/06/2015", "--firmware", "ovmf")),
        RulePair.Of("The log is of a guest with SeaBIOS, and OVMF was forecast.", "SeaBIOS was told",
            static () => Machine("QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1 04/01/2014", "--firmware", "ovmf-2022.11"),
            static () => Machine("QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1 04/01/2014", "--firmware", "seabios-1.16.3")),
        RulePair.Of("as its firmware, and seabios-1.16.3 was told.", "that one was told",
            static () => Machine("QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1 04/01/2014", "--firmware", "seabios-1.16.3"),
            static () => Machine("QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1 04/01/2014", "--firmware", "seabios-1.16.2")),
        RulePair.Of("The log names a firmware", "it is of the release itself",
            static () => Machine("QEMU Standard PC (Q35 + ICH9, 2009), BIOS rel-1.16.2-14-g1e1da7a96300-prebuilt.qemu.org 04/01/2014"),
            static () => Machine("QEMU Standard PC (Q35 + ICH9, 2009), BIOS rel-1.16.2-0-gea1b7a073390-prebuilt.qemu.org 04/01/2014")),
        RulePair.Of("does, or what the release after it does.", "the number is of the distribution's package",
            static () => Machine("QEMU Standard PC (Q35 + ICH9, 2009), BIOS rel-1.16.2-14-g1e1da7a96300-prebuilt.qemu.org 04/01/2014"),
            static () => Machine("QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-14 04/01/2014")),
    ];

    private static RulePair[] Surroundings =>
    [
        RulePair.Of("agrees where the guest's processor has", "the devices are others, too",
            static () => Unplaced("phys-bits=46"), static () => Unplaced("phys-bits=46", "membar=4G", "membar=8G")),
        RulePair.Of("With none of the usual address widths, makers and numbers of processors, releases of the firmware and releases of QEMU does "
            + "everything agree: what differs has another reason, such as", "one of them does", static () => Unplaced("phys-bits=46", "membar=4G", "membar=8G"),
            static () => Unplaced("phys-bits=46")),
        RulePair.Of("other devices or another machine type than was told.", "the boot agrees",
            static () => Unplaced("phys-bits=40", "membar=4G", "membar=8G"), static () => Unplaced("phys-bits=40")),
        RulePair.Of("agrees with the toolstack of Xen", "none of them gives so much RAM",
            static () => ByToolstack(Built), static () => ByToolstack(DeviceInputs.Changed(Built, "end=0x10000400", "end=0x10100400"))),
    ];

    private static CommandRun Hvm(string log, string guest = "memory=512\n") =>
        DeviceInputs.Verify(log, "--guest", RulePair.Written("guest.cfg", $"name=\"g\"\ntype=\"hvm\"\n{guest}"));

    private static CommandRun Type(string said, string told) => DeviceInputs.Verify(
        "[    0.000000] Linux version 6.1.0 (a@b)\n[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009efff] usable\n"
            + $"[    0.000000] last_pfn = 0x20000 max_arch_pfn = 0x400000000\n[    0.000000] Booting paravirtualized kernel on {said}\n",
        "--type", told, "--memory", "512");

    private static CommandRun Machine(string named, params string[] options) => DeviceInputs.Verify(
        "[    0.000000] Linux version 6.1.0 (a@b)\n[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable\n"
            + $"[    0.000000] DMI: {named}\n[    0.000000] last_pfn = 0x80000 max_arch_pfn = 0x400000000\n",
        ["--type", "kvm", "--machine", "q35", "--memory", "2048", .. options]);

    /// <summary>The recorded guest of 40 address bits.</summary>
    private static CommandRun Unplaced(string bits, params string[] changes) => DeviceInputs.Verify(
        DeviceInputs.TextOf("kvm", "verify", "ovmf-unplaced.log"), "--qemu", "7.2", "--guest", RulePair.Written("guest.cmd",
            DeviceInputs.Changed(DeviceInputs.TextOf("kvm", "verify", "ovmf-unplaced.cmd"), ["phys-bits=40", bits, .. changes])));

    private static CommandRun ByToolstack(string log) => DeviceInputs.Verify(log, "--type", "pvh", "--memory", "256", "--host",
        RulePair.Written("host.log", "(XEN) Xen version 4.17.3 (a@b) debug=n\n(XEN) Xen-e820 RAM map:\n"
            + "(XEN)  [0000000000000000, 000000000009fbff] (usable)\n(XEN)  [0000000000100000, 00000000bffdffff] (usable)\n"));
}
