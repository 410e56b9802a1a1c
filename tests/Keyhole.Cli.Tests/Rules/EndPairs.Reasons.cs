// SPDX-License-Identifier: GPL-2.0-only

using System.Runtime.CompilerServices;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>What Xen says before it ends a guest.</summary>
internal static partial class EndPairs
{
    private const string Pool = "the pool that Xen has for the guest's page tables is used up";
    private const string OwnFault = "the guest could not take a fault of its own";
    private const string NoPage = "the guest used an address for which its page tables have no page";

    private static RulePair[] OfReasons =>
    [
        Reason("the guest touched more memory than it was started with.", "Xen has memory to fill with",
            "p2m_pod_demand_populate: Dom1 out of PoD memory! (tot=102385 ents=921600 dom1)", "p2m_pod_demand_populate: Dom1 (tot=102385 "
                + "ents=921600 dom1)"),
        Reason(Pool, "it is another domain's", "arch/x86/mm/hap/hap.c:304: d1 failed to allocate from HAP pool",
            "arch/x86/mm/hap/hap.c:304: d2 failed to allocate from HAP pool"),
        Reason(Pool, "the setting failed for a wrong number", "d1v1 failed to set entry for 1f9800 -> e39800 altp2m 1, rc -12",
            "d1v1 failed to set entry for 1f9800 -> e39800 altp2m 1, rc -22"),
        RulePair.Of("Before that Xen says \"Can't pre-allocate 9 shadow pages!\"", "it said that long before",
            static () => EndInputs.Hvm("(XEN) Can't pre-allocate 9 shadow pages!\n" + EndInputs.Crashed),
            static () => EndInputs.Hvm("(XEN) Can't pre-allocate 9 shadow pages!\n" + OtherLines + EndInputs.Crashed)),
        Reason("Xen had no memory left for it", "it is another domain's", "Could not allocate vTLB space for d1v0",
            "Could not allocate vTLB space for d2v0"),
        Reason("the guest ran code in a large page, which Xen splits first, and there was no memory for the page table (-12)",
            "it failed for another reason", "Failed to shatter gfn 7ed37: -12", "Failed to shatter gfn 7ed37: -22"),
        Reason("the guest ran code in a large page, which Xen splits first, and could not", "there was no memory for it",
            "Failed to shatter gfn 7ed37: -22", "Failed to shatter gfn 7ed37: -12"),
        Reason("the guest read a page of its RAM, where it may do nothing", "the page is filled on demand",
            "d1v0 EPT violation 0x784 (r--/---) gpa 0x00000080000000 mfn 0xffff type 0",
            "d1v0 EPT violation 0x784 (r--/---) gpa 0x00000080000000 mfn 0xffff type 6"),
        Reason("the guest wrote to a page that is the memory of a device of the host, where it may do no more than r-x", "it read",
            "d1v0 EPT violation 0xdaa (-w-/r-x) gpa 0x000000f1008470 mfn 0xcc328 type 5",
            "d1v0 EPT violation 0xdaa (r--/r-x) gpa 0x000000f1008470 mfn 0xcc328 type 5"),
        Reason("the guest touched a page that Xen fills when it is first touched (populate on demand), and could not fill", "it is of another type",
            "d1v0 SVM violation gpa 0x000000f1008470, mfn 0xcc328, type 6", "d1v0 SVM violation gpa 0x000000f1008470, mfn 0xcc328, type 7"),
        Reason("the guest touched a page of the host's that Xen has taken out of use because its memory failed", "it is shared",
            "d1v0 SVM violation gpa 0x000000f1008470, mfn 0xcc328, type 13", "d1v0 SVM violation gpa 0x000000f1008470, mfn 0xcc328, type 12"),
        Reason("and was to lead to other memory of a device, too, as where BARs of less than a page share one; it is not about the guest's RAM",
            "it was to lead to RAM", "d1: GFN 0xf3078 (0xa2616,0,5,7) -> (0xa2504,0,5,7) not permitted",
            "d1: GFN 0xf3078 (0xa2616,0,5,7) -> (0xa2504,0,0,7) not permitted"),
        Reason("that page of the guest leads to a device's memory, and was to lead to something else", "it led to RAM",
            "d1: GFN 0xf3078 (0xa2616,0,5,7) -> (0xa2504,0,0,7) not permitted", "d1: GFN 0xf3078 (0xa2616,0,0,7) -> (0xa2504,0,0,7) not permitted"),
        Reason("Xen had no memory left to map a device's memory there (-12)", "it failed for another reason",
            "memory_map:fail: dom1 gfn=e0000 mfn=d0000 nr=10000 ret:-12", "memory_map:fail: dom1 gfn=e0000 mfn=d0000 nr=10000 ret:-16"),
        Reason("no memory was left for the tables of the IOMMU, which a guest with a device needs", "the entry is wrong",
            "AMD-Vi: root table alloc failed, dfn = 0x3f800", "AMD-Vi: invalid IO pagetable entry dfn = 0x3f800"),
        Reason("the guest's system stopped by itself and told Xen so, as Windows does with a blue screen; its stop code (bug check) is 0x7b",
            "it told no number", "d1v0 VIRIDIAN CRASH: 7b fffff880009a98e8 0 0 0", "d1v0 VIRIDIAN CRASH: ? ? ? ? ?"),
        Reason("a processor met a fault that the guest could not take, nor the fault that came of it.", "it was one fault",
            "d1v0 Triple fault - invoking HVM shutdown action 1", "d1v0 Unhandled: vec 13, #GP[0000]"),
        Reason(NoPage, "the fault is another", "d1v0 Unhandled: vec 14, #PF[0002]", "d1v0 Unhandled: vec 13, #GP[0000]"),
        Reason(NoPage, "the fault is another", "d1v0 Unhandled page fault fault/trap [#14, ec=0000]",
            "d1v0 Unhandled general protection fault fault/trap [#13, ec=0000]"),
        Reason(OwnFault, "its page has no entry", "d1v0 Unhandled: vec 13, #GP[0000]", "d1v0 Unhandled: vec 14, #PF[0002]"),
        Reason("it is not about how much memory there is", "the words are of another domain", "d1 L1TF-vulnerable L1e 8010000018200066 - Crashing",
            "d2 L1TF-vulnerable L1e 8010000018200066 - Crashing"),
        Reason("the guest ran an instruction, at the address behind the @, that Xen carries out itself and could not", "Xen only says it is retried",
            "MMIO emulation failed (1): d1v0 16bit @ f000:0000fea7 -> 66 ea af", "MMIO emulation (1): d1v0 16bit @ f000:0000fea7 -> 66 ea af"),
    ];

    private static string OtherLines => string.Concat(System.Linq.Enumerable.Repeat("(XEN) d2: another guest's line\n", 120));

    private static RulePair Reason(string rule, string unless, string said, string silent, [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0) => RulePair.Of(rule, unless, () => EndInputs.Hvm($"(XEN) {said}\n{EndInputs.Crashed}"),
        () => EndInputs.Hvm($"(XEN) {silent}\n{EndInputs.Crashed}"), file, line);
}
