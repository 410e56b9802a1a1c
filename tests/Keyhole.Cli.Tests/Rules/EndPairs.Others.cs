// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Cli.Tests.Rules;

/// <summary>What Xen remarks of guests, other Xens and stubdomains, logs of QEMU's and of the domain builder's, and ends behind a sleep.</summary>
internal static partial class EndPairs
{
    private const string CalledFrom = "(XEN) domain_crash called from p2m.c:1301\n";
    private const string NoIommuMemory = "(XEN) d1: IOMMU mapping dfn 0x3f800 to mfn 0x23f800 failed: -12\n";
    private const string TooMuch = "(XEN) d5v1 Over-allocation for d5: 131329 > 131328\n";
    private const string NotLaidOut = "xc: error: panic: xc_dom_boot.c:122: xc_dom_boot_mem_init: can't allocate low memory for domain: Out "
        + "of memory\n";

    private const string Refusal = "Xen did not give domain 5 memory beyond its most: with what was asked for it would have 131,329 pages, and may "
        + "have 131,328 (513 MiB)";

    private static RulePair[] OfRemarks =>
    [
        RulePair.Of(Refusal, "the line is cut",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + TooMuch),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + TooMuch.With(" 131328\n", "\n"))),
        RulePair.Of(Refusal, "the line is dom0's",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + TooMuch),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + TooMuch.With("for d5", "for d0"))),
        RulePair.Of(Refusal, "another guest has such a line, too: the console bears no number",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + TooMuch),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + TooMuch + TooMuch.With("for d5", "for d6"))),
        RulePair.Of("memory beyond its most: with what was asked for it would have", "what is asked for is not beyond it",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + TooMuch),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + TooMuch.With("131329", "131328"))),
        RulePair.Of(". It asked itself, as its balloon driver does", "dom0 asked",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + TooMuch),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + TooMuch.With("d5v1", "d0v1"))),
        RulePair.Of(". dom0 asked: the toolstack, or the guest's QEMU", "another domain asked",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + TooMuch.With("d5v1", "d0v1")),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + TooMuch.With("d5v1", "d3v1"))),
        RulePair.Of("By itself that ends nothing: who asked goes without.", "the guest was not created",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + TooMuch.With("d5v1", "d0v1")),
            static () => EndInputs.Pv(NotLaidOut + TooMuch.With("d5v1", "d0v1"))),
        RulePair.Of("nothing that a kernel says of its memory at boot is in it, but for what Xen says: \"d5v1 Over-allocation",
            "a kernel does say it",
            static () => EndInputs.Pv(TooMuch),
            static () => EndInputs.Pv(EndInputs.PvBoot + TooMuch)),
        RulePair.Of("\": there Xen ends a domain, or meets one that is going down already. Which one the next line tells (\"Domain N (vcpu#0) "
                + "crashed\"), and the log has none: it may be cut. Why the log does not say", "the next line tells",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + CalledFrom),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + CalledFrom + EndInputs.Crashed)),
        RulePair.Of("there Xen ends a domain", "the kernel goes on",
            static () => EndInputs.Pv(EndInputs.PvBoot + CalledFrom),
            static () => EndInputs.Pv(EndInputs.PvBoot + CalledFrom + EndInputs.PvMemory)),
        RulePair.Of("there Xen ends a domain", "the kernel's own panic stands before",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + CalledFrom),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + RootFs + CalledFrom)),
        RulePair.Of(". Why the log does not say", "the line before says why",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + CalledFrom),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + NoIommuMemory + CalledFrom)),
    ];

    private static readonly string s_xen417 = RulePair.Written("host.log", """
        (XEN) Xen version 4.17.5 (a@b) debug=n
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009fbff] (usable)
        (XEN)  [000000000009fc00, 00000000000fffff] (reserved)
        (XEN)  [0000000000100000, 00000000bfffffff] (usable)
        (XEN)  [0000000100000000, 000000013fffffff] (usable)

        """);

    /// <summary>Up to 4.1 libxl adds 8 MiB to a PV guest's map.</summary>
    private const string OldPv = """
        [    0.000000] Linux version 6.1.0 (a@b) #1 SMP
        [    0.000000] ACPI in unprivileged domain disabled
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x00000000407fffff] usable
        [    0.000000] last_pfn = 0x40800 max_arch_pfn = 0x400000000
        [    0.100000] Booting paravirtualized kernel on Xen
        [    0.100000] Xen version: 4.1.2 (preserve-AD)

        """;

    private const string OldHvm = """
        [    0.000000] Linux version 6.1.0 (a@b) #1 SMP
        [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable
        [    0.000000] BIOS-e820: [mem 0x000000000009fc00-0x000000000009ffff] reserved
        [    0.000000] BIOS-e820: [mem 0x00000000000e0000-0x00000000000fffff] reserved
        [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000001fffffff] usable
        [    0.000000] BIOS-e820: [mem 0x00000000fc000000-0x00000000ffffffff] reserved
        [    0.000000] DMI: Xen HVM domU, BIOS 4.0.1 01/13/2011
        [    0.000000] Hypervisor detected: Xen HVM

        """;

    private static RulePair[] OfOtherXens =>
    [
        RulePair.Of("The log is of a guest under Xen 4.1 (line 8), and the forecast for Xen 4.17, which the host has: with Xen 4.1 everything in "
                + "the log is as forecast.", "it names no Xen",
            static () => OnXen417(OldPv, "--memory", "1024"),
            static () => OnXen417(OldPv.Without("Xen version:"), "--memory", "1024")),
        RulePair.Of("The log is of a guest under Xen", "its map is the one that the host's Xen gives, too",
            static () => OnXen417(OldPv, "--memory", "1024"),
            static () => OnXen417(OldPv.With("407fffff", "3fffffff").With("0x40800", "0x40000"), "--memory", "1024")),
        RulePair.Of("everything in the log is as forecast.", "under its own Xen a line differs, too",
            static () => OnXen417(OldPv, "--memory", "1024"),
            static () => OnXen417(OldPv.With("407fffff", "407effff"), "--memory", "1024")),
        RulePair.Of(": that is the first thing to mend. Give the log of the host that the guest ran on with --host (with Xen 4.1 on this one,",
            "under its own Xen all agrees",
            static () => OnXen417(OldPv.With("407fffff", "407effff"), "--memory", "1024"),
            static () => OnXen417(OldPv, "--memory", "1024")),
        RulePair.Of("The log is of a guest under Xen 4.0 (line 7), and the forecast for Xen 4.17, which the host has: what differs says nothing. "
                + "Xen 4.0 is not modelled for such a guest.", "it is modelled",
            static () => OnXen417(OldHvm, "--type", "hvm", "--memory", "512"),
            static () => OnXen417(OldHvm.With("BIOS 4.0.1", "BIOS 4.8.1"), "--type", "hvm", "--memory", "512")),
        RulePair.Of("is not modelled for such a guest.", "it is the host's",
            static () => OnXen417(OldHvm, "--type", "hvm", "--memory", "512"),
            static () => OnXen417(OldHvm.With("BIOS 4.0.1", "BIOS 4.17.1"), "--type", "hvm", "--memory", "512")),
    ];

    private const string HvmWithStub = """
        name="gpu"
        type="hvm"
        memory=4096
        device_model_version="qemu-xen"
        device_model_stubdomain_override=1

        """;

    /// <summary>128 MiB and the 8 MiB that Cirrus' card has.</summary>
    private const string StubLog = """
        [    0.000000] Linux version 6.6.77-xen-stubdom (user@build) (gcc 12) #1 Tue Oct 2 03:34:17 UTC 2018
        [    0.000000] Command line: console=hvc0
        [    0.000000] Released 0 page(s)
        [    0.000000] BIOS-provided physical RAM map:
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x00000000087fffff] usable
        [    0.000000] [mem 0x08800000-0xffffffff] available for PCI devices
        [    0.000000] Booting paravirtualized kernel on Xen PV

        """;

    private static string LargerStub => StubLog.With("0x00000000087fffff", "0x0000000008ffffff").With("0x08800000", "0x09000000");

    private static RulePair[] OfStubDomains =>
    [
        RulePair.Of("The log is of the stubdomain of the guest that was told (gpu-dm): a PV domain of its own, in which QEMU runs. It is compared "
                + "with what that domain gets; of the guest's own map and firmware it says nothing.",
            "the guest has none, and the kernel is not called so",
            static () => Stub(StubLog.With("-xen-stubdom", "-generic"), HvmWithStub),
            static () => Stub(StubLog.With("-xen-stubdom", "-generic"), HvmWithStub.Without("stubdomain_override"))),
        RulePair.Of("The log is of the stubdomain", "its kernel is not called so, and has other memory than a stubdomain",
            static () => Stub(StubLog.With("-xen-stubdom", "-generic"), HvmWithStub),
            static () => Stub(LargerStub.With("-xen-stubdom", "-generic"), HvmWithStub)),
        RulePair.Of("The log is of the stubdomain", "its kernel runs as the HVM guest",
            static () => Stub(StubLog.With("-xen-stubdom", "-generic"), HvmWithStub),
            static () => Stub(OldHvm, HvmWithStub)),
        RulePair.Of("The guest that was told has no stubdomain (device_model_stubdomain_override=1): the log is another guest's, or the "
                + "configuration is not what it ran with.", "it has",
            static () => Stub(StubLog, HvmWithStub.Without("stubdomain_override")),
            static () => Stub(StubLog, HvmWithStub)),
        RulePair.Of("By the configuration that was told its QEMU would be qemu-xen-traditional, whose stubdomain has no Linux: what it ran with had "
                + "device_model_version=\"qemu-xen\".", "the configuration says so",
            static () => Stub(StubLog, HvmWithStub.Without("device_model_version")),
            static () => Stub(StubLog, HvmWithStub)),
        RulePair.Of("Its size is taken from the log: 144 MiB. libxl gives it 136 MiB where nobody says otherwise (stubdomain_memory=, and what the "
                + "video card has).", "it is libxl's",
            static () => Stub(LargerStub, HvmWithStub),
            static () => Stub(StubLog, HvmWithStub)),
        RulePair.Of("Its size is taken from the log", "no line says where its map ends",
            static () => Stub(LargerStub, HvmWithStub),
            static () => Stub(LargerStub.Without("0x0000000008ffffff"), HvmWithStub)),
        RulePair.Of("By its log it had 136 MiB. With stubdomain_memory=160 libxl gives it 168 MiB, 8 MiB of them for the video card: the log is of "
                + "another configuration, or its toolstack reckons otherwise.", "the key says what the log has",
            static () => Stub(StubLog, HvmWithStub + "stubdomain_memory=160\n"),
            static () => Stub(StubLog, HvmWithStub + "stubdomain_memory=128\n")),
    ];

    private const string Asleep = "(XEN) Preparing system for ACPI S3 state.\n(XEN) Entering ACPI S3 state.\n";
    private const string Deadlocked = "[ 5002.3] Kernel panic - not syncing: System is deadlocked on memory\n";
    private const string Interrupted = "[ 5002.3] Kernel panic - not syncing: Fatal exception in interrupt\n";
    private const string Suspended = "[ 5000.1] PM: suspend entry (deep)\n";

    private static string RealDom0 => EndInputs.FieldLog("initrd-moved.txt");

    private static RulePair[] OfSleep =>
    [
        RulePair.Of(": it had been running and was put to sleep, so this is no death at boot, and the memory setup was over before it.",
            "it was switched off (S5)",
            static () => EndInputs.Dom0(RealDom0 + "[ 5000.1] ACPI: PM: Preparing to enter system sleep state S3\n" + Interrupted),
            static () => EndInputs.Dom0(RealDom0 + "[ 5000.1] ACPI: PM: Preparing to enter system sleep state S5\n" + Interrupted)),
        RulePair.Of("so this is no death at boot", "the machine boots anew between",
            static () => EndInputs.Dom0(RealDom0 + Asleep + Bug),
            static () => EndInputs.Dom0(Asleep + RealDom0 + Bug)),
        RulePair.Of("so this is no death at boot", "the guest had not been put to sleep before Xen's word that it crashed",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + Suspended + EndInputs.Crashed),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + EndInputs.Crashed)),
        RulePair.Of("the kernel dies after it, at line", "it had been put to sleep before",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + EndInputs.Crashed),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + Suspended + EndInputs.Crashed)),
        RulePair.Of("Memory has a part in it.", "its words say nothing of memory",
            static () => EndInputs.Dom0(RealDom0 + Suspended + Deadlocked),
            static () => EndInputs.Dom0(RealDom0 + Suspended + Interrupted)),
    ];

    private const string QemusLine = "char device redirected to /dev/pts/3 (label serial0)\n";

    private static RulePair[] OfOtherLogs =>
    [
        RulePair.Of("this is QEMU's own log (\"char device redirected to /dev/pts/3 (label serial0)\"), and nothing that a guest's kernel says of "
                + "its memory is in it", "a kernel's lines follow",
            static () => EndInputs.Pv(QemusLine),
            static () => EndInputs.Pv(QemusLine + EndInputs.PvBoot)),
        RulePair.Of("RAM that libxl builds: where it lies is not known by the forecast", "the guest is xl's",
            static () => EndInputs.Guest(Range + HvmBoot, RulePair.Fixture("kvm", "h39.json"),
                "--guest", RulePair.Fixture("kvm", "verify", "sea-ports.cmd")),
            static () => EndInputs.Hvm(Range + HvmBoot)),
    ];

    private const string Range = "domainbuilder: detail: range: start=0x0 end=0x1f800000\n";

    private static CommandRun Stub(string log, string guest) => EndInputs.Guest(log, RulePair.Fixture("hosts", "dell-xps-8500", "boot.log"),
        "--guest", RulePair.Written("gpu.cfg", guest));

    private static CommandRun OnXen417(string log, params string[] options) => EndInputs.Guest(log, s_xen417, options);
}
