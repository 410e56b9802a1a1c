// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>A kernel that its own mem= forbids what it must do, and the ends of guests whose firmware made their map.</summary>
internal static partial class EndPairs
{
    private const string Forbidden = "mem=1024M on the kernel's own command line (line 18) forbids what it must do: by the forecast it moves 97 "
        + "pages to frames beyond that limit, from under holes of its map. What to change: leave mem= out; what dom0 gets dom0_mem= on Xen's "
        + "command line says";

    private const string NoMapping = "[    0.135841] Failed to update kernel mapping for mfn=6930582 pfn=262144\n";

    private const string L1Tf = "L1TF-vulnerable L1e 8010000018200066 - Crashing\n";

    private static string Limited => EndInputs.FieldLog("dom0-memparam.txt");

    private static readonly string s_limitedGuest = RulePair.Written("m.cfg",
        "type=\"pv\"\nname=\"m\"\nkernel=\"/x\"\nmemory=3072\ne820_host=1\nextra=\"mem=2G\"\n");

    private static RulePair[] OfLimits =>
    [
        RulePair.Of(Forbidden, "all that it moves lies below the limit",
            static () => EndInputs.Dom0(Limited),
            static () => EndInputs.Dom0(Limited.With("mem=1024M console", "mem=1025M console"))),
        RulePair.Of(Forbidden, "the kernel had mapped what it moved",
            static () => EndInputs.Dom0(Limited),
            static () => EndInputs.Dom0(Limited.With(NoMapping, "[    0.1] Memory: 900000K/1048500K available\n" + NoMapping))),
        RulePair.Of(Forbidden, "it says that it died of something else",
            static () => EndInputs.Dom0(Limited),
            static () => EndInputs.Dom0(Limited.With(NoMapping, "[    0.135841] kernel BUG at drivers/foo.c:313!\n"))),
        RulePair.Of(Forbidden, "memmap=exactmap behind it drops it",
            static () => EndInputs.Dom0(Limited),
            static () => EndInputs.Dom0(Limited.With("ro mem=1024M", "ro mem=1024M memmap=exactmap memmap=4G@0"))),
        RulePair.Of(Forbidden, "memmap= behind it makes RAM beyond it",
            static () => EndInputs.Dom0(Limited),
            static () => EndInputs.Dom0(Limited.With("ro mem=1024M", "ro mem=1024M memmap=2G@1G"))),
        RulePair.Of("mem=1024M on the kernel's own command line (line 18) forbids", "the map that the kernel made has RAM beyond it",
            static () => EndInputs.Dom0(Limited.With(NoMapping, Title + User + "0x0000000000100000-0x000000003fffffff] usable\n" + NoMapping)),
            static () => EndInputs.Dom0(Limited.With(NoMapping, Title + User + "0x0000000000100000-0x0000000040060fff] usable\n" + NoMapping))),
        RulePair.Of("forbids what it must do", "it is init's",
            static () => EndInputs.Dom0(Limited),
            static () => EndInputs.Dom0(Limited.With("ro mem=1024M", "ro -- mem=1024M"))),
        RulePair.Of("forbids what it must do", "Xen says that it crashed for something else",
            static () => EndInputs.Dom0(Limited.With(NoMapping, "(XEN) d0v0 Unhandled: vec 14, #PF[0002]\n")),
            static () => EndInputs.Dom0(Limited.With(NoMapping, "(XEN) d0 " + L1Tf))),
        RulePair.Of("mem=2G on the kernel's own command line (line 2) forbids what it must do: by the forecast it moves",
            "the limit is above its map",
            static () => OfLimited("mem=2G"),
            static () => OfLimited("mem=8G")),
        RulePair.Of("what the guest gets memory in its configuration says.", "the kernel says what it moved",
            static () => OfLimited("mem=2G"),
            static () => OfLimited("mem=2G", "[    0.2] Remapped 655360 page(s)\n")),
    ];

    private static RulePair[] OfFirmwareGuests =>
    [
        RulePair.Of("The kernel's last words say nothing of memory, and nothing that could be compared points to the map.", "they do",
            static () => EndInputs.Hvm(HvmBoot + RootFs),
            static () => EndInputs.Hvm(HvmBoot + OutOfMemory)),
        RulePair.Of("The kernel's last words say nothing of memory, and nothing that could be compared points to the map.", "its map is another",
            static () => EndInputs.Hvm(HvmBoot + RootFs),
            static () => EndInputs.Hvm(HvmBoot.With("0x000000001f7fefff", "0x000000001f7fdfff") + RootFs)),
        RulePair.Of("What to change: set maxmem to memory (512 MiB), or memory to maxmem (1024 MiB) if the guest needs it: then it has nothing to "
                + "give back at boot.", "both are the same",
            static () => EndInputs.Hvm(Balloon, "--maxmem", "1G"),
            static () => EndInputs.Hvm(Balloon)),
        RulePair.Of("then it has nothing to give back at boot.", "the BUG is in another file",
            static () => EndInputs.Hvm(Balloon, "--maxmem", "1G"),
            static () => EndInputs.Hvm(Balloon.With("balloon.c", "events_base.c"), "--maxmem", "1G")),
        RulePair.Of("With \"d1v0 vmentry failure (reason 0x80000021): Invalid guest state (0)\" Xen gives the guest up; what led it there these "
                + "words do not tell", "Xen had said why",
            static () => EndInputs.Hvm("(XEN) d1v0 vmentry failure (reason 0x80000021): Invalid guest state (0)\n"),
            static () => EndInputs.Hvm("(XEN) d1v0 Triple fault - invoking HVM shutdown action 1\n")),
        RulePair.Of("these words do not tell", "a line of Xen's says that the guest crashed, and why stands before",
            static () => EndInputs.Hvm("(XEN) d1v0 vmentry failure (reason 0x80000021): Invalid guest state (0)\n"),
            static () => EndInputs.Hvm("(XEN) d1v0 vmentry failure (reason 0x80000021): Invalid guest state (0)\n" + EndInputs.Crashed)),
        RulePair.Of("What to change: raise shadow_memory= in the guest's configuration, which is the size of that pool", "it is the host's memory",
            static () => EndInputs.Hvm("(XEN) arch/x86/mm/hap/hap.c:304: d1 failed to allocate from HAP pool\n" + EndInputs.Crashed),
            static () => EndInputs.Hvm("(XEN) d1: IOMMU mapping dfn 0x3f800 to mfn 0x23f800 failed: -12\n" + EndInputs.Crashed)),
        RulePair.Of("What to change: raise shadow_memory=", "setting the entry failed for another reason than memory",
            static () => EndInputs.Hvm("(XEN) d1v1 failed to set entry for 1f9800 -> e39800 altp2m 1, rc -12\n" + EndInputs.Crashed),
            static () => EndInputs.Hvm("(XEN) d1v1 failed to set entry for 1f9800 -> e39800 altp2m 1, rc -22\n" + EndInputs.Crashed)),
        RulePair.Of("The guest that was told has no more maxmem than memory, and so nothing to fill on demand: what it was started with is something "
                + "else.", "it has more",
            static () => EndInputs.Hvm(OnDemand + EndInputs.Crashed),
            static () => EndInputs.Hvm(OnDemand + EndInputs.Crashed, "--maxmem", "1G")),
        RulePair.Of("nothing to fill on demand", "Xen speaks of another domain",
            static () => EndInputs.Hvm(OnDemand + EndInputs.Crashed),
            static () => EndInputs.Hvm(OnDemand.With("Dom1 ", "Dom24 ") + EndInputs.Crashed)),
        RulePair.Of("Memory has a part in it", "the page is RAM, and none that is filled on demand",
            static () => EndInputs.Hvm(Violation("6") + EndInputs.Crashed),
            static () => EndInputs.Hvm(Violation("0") + EndInputs.Crashed)),
        RulePair.Of("it is not about the guest's RAM", "the page is of another type",
            static () => EndInputs.Hvm(Violation("5") + EndInputs.Crashed),
            static () => EndInputs.Hvm(Violation("7") + EndInputs.Crashed)),
        RulePair.Of("no memory was left for the tables of the IOMMU", "the mapping failed for another reason",
            static () => EndInputs.Hvm("(XEN) d1: IOMMU mapping dfn 0x3f800 to mfn 0x23f800 failed: -12\n" + EndInputs.Crashed),
            static () => EndInputs.Hvm("(XEN) d1: IOMMU mapping dfn 0x3f800 to mfn 0x23f800 failed: -22\n" + EndInputs.Crashed)),
    ];

    private const string OnDemand = "(XEN) p2m_pod_demand_populate: Dom1 out of PoD memory! (tot=102385 ents=921600 dom1)\n";

    private const string Balloon = """
        [    8.173649] kernel BUG at drivers/xen/balloon.c:407!
        [    8.173649] invalid opcode: 0000 [#1] SMP
        [    8.173649] Pid: 11, comm: kworker/0:1 Not tainted 6.1.0-1-generic #1 Xen HVM domU

        """;

    /// <summary>As hvmloader lays 512 MiB out.</summary>
    private const string HvmBoot = """
        [    0.000000] Linux version 6.1.0 (a@b) #1 SMP
        [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable
        [    0.000000] BIOS-e820: [mem 0x000000000009fc00-0x000000000009ffff] reserved
        [    0.000000] BIOS-e820: [mem 0x00000000000f0000-0x00000000000fffff] reserved
        [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000001f7fefff] usable
        [    0.000000] BIOS-e820: [mem 0x000000001f7ff000-0x000000001f7fffff] reserved
        [    0.000000] BIOS-e820: [mem 0x00000000fc000000-0x00000000fc00afff] ACPI NVS
        [    0.000000] BIOS-e820: [mem 0x00000000fc00b000-0x00000000ffffffff] reserved
        [    0.000000] Hypervisor detected: Xen HVM

        """;

    private static string Violation(string type) =>
        $"(XEN) d1v0 EPT violation 0x784 (r--/---) gpa 0x00000080000000 mfn 0xffffffffffffffff type {type}\n";

    private static CommandRun OfLimited(string option, string more = "") => EndInputs.Guest(
        EndInputs.Forecast("6.1.0", "--host", EndInputs.Seed, "--guest", s_limitedGuest, "--kernel", "linux-6.1")
            .Without("Remapped ").Without("[mem 0xc0")
            .Replace("#1 SMP\n", $"#1 SMP\n[    0.000000] Command line: {option}\n", StringComparison.Ordinal) + more + Fault + EndInputs.Crashed,
        EndInputs.Seed, "--guest", s_limitedGuest);
}
