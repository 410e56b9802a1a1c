// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;

namespace Keyhole.Logs;

/// <summary>Whether memory has a part in what Xen says, as far as the words prove it.</summary>
internal enum MemoryPart
{
    /// <summary>The words do not tell.</summary>
    NotKnown,

    /// <summary>Memory ran out, or a page of the guest's was missing.</summary>
    Yes,

    /// <summary>It is about something else than the guest's RAM.</summary>
    No,
}

/// <summary>What can be changed about a reason.</summary>
internal enum XenCure
{
    /// <summary>The words prove none.</summary>
    None,

    /// <summary>maxmem no larger than memory: nothing is filled on demand.</summary>
    MaxmemIsMemory,

    /// <summary>A larger pool for the guest's page tables.</summary>
    LargerPool,
}

/// <summary>What words of Xen's about a guest mean.</summary>
/// <param name="Says">Goes on behind the quoted words and a colon; null where they speak for themselves.</param>
internal readonly record struct XenMeaning(MemoryPart Memory, string? Says = null, XenCure Cure = XenCure.None);

/// <summary>Words by which Xen names a reason before it ends a guest.</summary>
/// <param name="Mark">The part of a line by which it is found.</param>
/// <param name="Example">A whole line, without its prefix.</param>
/// <param name="Read">What a line that has the mark means.</param>
/// <param name="Ends">Whether the domain is over with them, also where no line behind them says so.</param>
internal readonly record struct XenReason(string Mark, string Example, Func<string, XenMeaning> Read, bool Ends = false);

/// <summary>Xen's last words about a guest, with what they mean. What only Xen's source tells is told; what led there mostly is not.</summary>
/// <remarks>
/// Sources: Xen's arch/x86/mm (p2m-pod.c, p2m.c, hap/hap.c, shadow/common.c), arch/x86/hvm (hvm.c, vmx/vmx.c, svm/svm.c, io.c), common (domctl.c,
/// ioreq.c) and drivers/passthrough, 4.2 to 4.22. Words that stand in a log, and nothing but, are quoted alone.
/// </remarks>
internal static class XenReasons
{
    /// <summary>How Xen tells that a processor of an HVM or PVH domain met a fault within a fault within a fault: the domain's end.</summary>
    public const string TripleFault = "riple fault";

    /// <summary>How Xen passes on what a guest with viridian= says of its own crash; it says nothing else of it.</summary>
    private const string GuestsOwnCrash = "VIRIDIAN CRASH: ";

    /// <summary>The same since 4.20, 4.19.1 and 4.18.4, whose numbers have 0x.</summary>
    private const string GuestsOwnCrashOf420 = "VIRIDIAN GUEST_CRASH: ";

    /// <summary>Whether a line is either.</summary>
    public static bool IsGuestsOwnCrash(ReadOnlySpan<char> line) => line.Contains(GuestsOwnCrash, StringComparison.Ordinal)
        || line.Contains(GuestsOwnCrashOf420, StringComparison.Ordinal);

    /// <summary>Where in Xen's source a guest is ended: no reason.</summary>
    public const string CalledFrom = "domain_crash called from";

    private const string Unknown = "what led it there these words do not tell";

    private const string Pool = "the pool that Xen has for the guest's page tables is used up";

    /// <summary>In the order in which a line that has several is read.</summary>
    public static readonly ImmutableArray<XenReason> All =
    [
        new("out of PoD memory", "p2m_pod_demand_populate: Dom24 out of PoD memory! (tot=102385 ents=921600 dom24)", static _ => new(MemoryPart.Yes,
            "the guest touched more memory than it was started with. Up to maxmem Xen fills pages when they are first touched (populate on demand), "
                + "until the guest's balloon driver has given back what is beyond memory: this guest had not",
            XenCure.MaxmemIsMemory), Ends: true),
        new("from HAP pool", "arch/x86/mm/hap/hap.c:304: d1 failed to allocate from HAP pool",
            static _ => new(MemoryPart.Yes, Pool, XenCure.LargerPool)),
        new("from shadow pool", "d1 failed to allocate from shadow pool (tot=1024 p2m=768 min=256)",
            static _ => new(MemoryPart.Yes, Pool, XenCure.LargerPool)),
        new("pre-allocate", "Can't pre-allocate 9 shadow pages!", static _ => new(MemoryPart.Yes, Pool, XenCure.LargerPool)),
        new("building monitor pagetable", "d1: out of memory building monitor pagetable",
            static _ => new(MemoryPart.Yes, Pool, XenCure.LargerPool)),
        new("vTLB space", "Could not allocate vTLB space for d1v0", static _ => new(MemoryPart.Yes, "Xen had no memory left for it")),
        new("shatter gfn", "Failed to shatter gfn 7ed37: -12", static line => IsNoMemory(line)
            ? new(MemoryPart.Yes, "the guest ran code in a large page, which Xen splits first, and there was no memory for the page table (-12)")
            : new(MemoryPart.NotKnown, "the guest ran code in a large page, which Xen splits first, and could not")),
        new("EPT violation", "d1v0 EPT violation 0xdaa (-w-/r-x) gpa 0x000000f1008470 mfn 0xcc328 type 5", Violation),
        new("SVM violation", "d1v0 SVM violation gpa 0x000000f1008470, mfn 0xcc328, type 5", Violation),
        new(" GFN 0x", "d1: GFN 0xf3078 (0xa2616,0,5,7) -> (0xa2504,0,5,7) not permitted", Mapping),
        new("memory_map:fail", "memory_map:fail: dom1 gfn=e0000 mfn=d0000 nr=10000 ret:-16", static line => IsNoMemory(line)
            ? new(MemoryPart.Yes, "Xen had no memory left to map a device's memory there (-12)")
            : new(MemoryPart.NotKnown, "Xen did not map a device's memory there")),
        new("IOMMU mapping", "d1: IOMMU mapping dfn 0x3f800 to mfn 0x23f800 failed: -12", static line => IsNoMemory(line)
            ? new(MemoryPart.Yes, "no memory was left for the tables of the IOMMU, which a guest with a device needs (-12)")
            : new(MemoryPart.NotKnown)),
        new("root table alloc failed", "AMD-Vi: root table alloc failed, dfn = 0x3f800",
            static _ => new(MemoryPart.Yes, "no memory was left for the tables of the IOMMU, which a guest with a device needs")),
        new("IOMMU unmapping", "d1: IOMMU unmapping dfn 0x3f800 failed: -22", Quoted),
        new("IOTLB flush", "d1: IOMMU IOTLB flush failed: -110, dfn 0x3f800, page count 1 flags 1", Quoted),
        new("invalid IO pagetable", "AMD-Vi: invalid IO pagetable entry dfn = 0x3f800", Quoted),
        new("with HAP enabled", "Intercepted #PF from d1v0 with HAP enabled", Quoted),
        new("Invalid CR3 value", "d1v0 Invalid CR3 value = 7fff000", Quoted),
        new("Unexpected PIO status", "d1v0 Unexpected PIO status 1, port 0xcf8 write 0x80000000", Quoted),
        new("Weird HVM ioreq", "d1v0 Weird HVM ioreq state transition 2 -> 1", Quoted),
        new("vmentry failure", "d1v0 vmentry failure (reason 0x80000021): Invalid guest state (0)", Quoted, Ends: true),
        new(GuestsOwnCrash, "d2v0 VIRIDIAN CRASH: 7b fffff880009a98e8 ffffffffc0000034 0 0", BugCheck, Ends: true),
        new(GuestsOwnCrashOf420, "d2v0 VIRIDIAN GUEST_CRASH: 0x7b 0xfffff880009a98e8 0xffffffffc0000034 0 0", BugCheck, Ends: true),
        new("Unexpected vmexit", "d1v0 Unexpected vmexit: reason 63", Quoted),
        new(TripleFault, "d5v0 Triple fault - invoking HVM shutdown action 1", static _ => new(MemoryPart.NotKnown,
            $"a processor met a fault that the guest could not take, nor the fault that came of it. A kernel or firmware that dies before it can "
                + $"print leaves nothing else; {Unknown}"), Ends: true),
        new("Pagetable walk from", "Pagetable walk from ffff888004000000:", static _ => PageFault),
        new("Unhandled: vec", "d1v0 Unhandled: vec 14, #PF[0002]", static line => line.Contains("#PF", StringComparison.Ordinal) ? PageFault : Fault),
        new("fault/trap [#", "d1v0 Unhandled page fault fault/trap [#14, ec=0000]",
            static line => line.Contains("page fault", StringComparison.Ordinal) ? PageFault : Fault),
        new("L1TF-vulnerable", "d3 L1TF-vulnerable L1e 8010000018200066 - Crashing", static _ => new(MemoryPart.No,
            "the guest's kernel wrote an entry of a page table that is not present and still has an address, through which a processor with L1TF "
                + "reads (XSA-273), and this Xen has no shadow paging with which it lets such a guest live; it is not about how much memory "
                + "there is")),
        new("failed to set entry for", "d2v1 failed to set entry for 1f9800 -> e39800 altp2m 1, rc -12", static line => IsNoMemory(line)
            ? new(MemoryPart.Yes, Pool, XenCure.LargerPool) : new(MemoryPart.NotKnown)),
        new("MMIO emulation failed", "MMIO emulation failed (1): d1v0 16bit @ f000:0000fea7 -> 66 ea af", static _ => new(MemoryPart.NotKnown,
            $"the guest ran an instruction, at the address behind the @, that Xen carries out itself and could not; {Unknown}")),
        new("domain_crash_sync", "domain_crash_sync called from entry.S: fault at ffff82d0403a1e4c", static _ => Fault),
        new("domain_crash", CalledFrom + " p2m.c:1301", Quoted),
    ];

    /// <summary>What Xen says of HVM and PVH domains alone.</summary>
    private static readonly string[] s_ofHardwareGuests = ["out of PoD memory", "from HAP pool", "vTLB space", "shatter gfn", "EPT violation",
        "SVM violation", "with HAP enabled", "Unexpected PIO status", "Weird HVM ioreq", "vmentry failure", GuestsOwnCrash, GuestsOwnCrashOf420,
        "Unexpected vmexit", TripleFault, "MMIO emulation failed"];

    /// <summary>What it says of PV domains alone.</summary>
    private static readonly string[] s_ofPvGuests = ["L1TF-vulnerable", "domain_crash_sync called from entry.S"];

    /// <summary>Whether the words of a guest's end can be of a guest of that kind.</summary>
    public static bool CanBeOf(BootFailure failure, bool isPv) => !Array.Exists(isPv ? s_ofHardwareGuests : s_ofPvGuests, mark =>
        failure.Words.Contains(mark, StringComparison.Ordinal) || failure.Cause?.Contains(mark, StringComparison.Ordinal) == true);

    private static XenMeaning PageFault => new(MemoryPart.NotKnown,
        $"the guest used an address for which its page tables have no page, or not for that use, and could not take the fault; {Unknown}");

    private static XenMeaning Fault => new(MemoryPart.NotKnown, $"the guest could not take a fault of its own; {Unknown}");

    /// <summary>What stands in the words of a guest's end and of the cause; nothing where a kernel speaks.</summary>
    public static IEnumerable<XenMeaning> In(BootFailure failure) => failure.Kind != BootFailureKind.Crashed ? []
        : $"{failure.Cause}; {failure.Words}".Split("; ").SelectMany(static line => Of(line) is { } reason ? (XenMeaning[])[reason.Read(line)] : []);

    /// <summary>The reason that a line of Xen's names; null where it names none.</summary>
    public static XenReason? Of(ReadOnlySpan<char> line)
    {
        foreach (XenReason reason in All)
        {
            if (line.Contains(reason.Mark, StringComparison.Ordinal))
                return reason;
        }

        return null;
    }

    /// <summary>The domain that a line is about: "d1v0", "d1:", "Dom24", the first that it names; null where it names none.</summary>
    public static int? DomainIn(ReadOnlySpan<char> line)
    {
        for (int at = 0; at < line.Length; at++)
        {
            if (at > 0 && line[at - 1] is not (' ' or ':'))
                continue;
            Reading.TextCursor cursor = new(line[at..]);
            bool isLong = cursor.TryText("Dom") || cursor.TryText("dom");
            if (!isLong && !cursor.TryText("d"))
                continue;
            if (cursor.TryDecimal(out uint number) && number <= ushort.MaxValue)
                return (int)number;
        }

        return null;
    }

    private static XenMeaning Quoted(string line) => new(MemoryPart.NotKnown);

    /// <summary>Source: Xen's arch/x86/hvm/viridian (HV_X64_MSR_CRASH_CTL), 4.9 to 4.22: the five numbers are what the guest wrote.</summary>
    private static XenMeaning BugCheck(string line)
    {
        const string before = "CRASH: ", hex = "0x";
        string numbers = line[(line.IndexOf(before, StringComparison.Ordinal) + before.Length)..];
        string code = new([.. numbers.Skip(numbers.StartsWith(hex, StringComparison.Ordinal) ? hex.Length : 0).TakeWhile(char.IsAsciiHexDigit)]);
        return new(MemoryPart.NotKnown, "the guest's system stopped by itself and told Xen so, as Windows does with a blue screen"
            + (code.Length is > 0 and <= 16 ? $"; its stop code (bug check) is 0x{code}, and the other numbers are its parameters" : "")
            + ". Whether it was at boot or later this line does not tell");
    }

    /// <summary>-ENOMEM at the line's end.</summary>
    private static bool IsNoMemory(string line) => line.TrimEnd().EndsWith(":-12", StringComparison.Ordinal)
        || line.TrimEnd().EndsWith(": -12", StringComparison.Ordinal) || line.TrimEnd().EndsWith("rc -12", StringComparison.Ordinal);

    /// <summary>The type is that of the page in Xen's table for the guest; the numbers have been the same since 4.2.</summary>
    private static XenMeaning Violation(string line)
    {
        const int ram = 0, device = 5, onDemand = 6, broken = 13;
        int at = line.LastIndexOf("type ", StringComparison.Ordinal);
        if (at < 0 || !new Reading.TextCursor(line.AsSpan(at + "type ".Length)).TryDecimal(out uint type))
            return new(MemoryPart.NotKnown);
        string use = UseIn(line, out string allowed);
        return type switch
        {
            ram => new(MemoryPart.NotKnown, $"the guest {use} a page of its RAM{allowed}; {Unknown}"),
            device => new(MemoryPart.No,
                $"the guest {use} a page that is the memory of a device of the host{allowed}; it is not about the guest's RAM"),
            onDemand => new(MemoryPart.Yes,
                "the guest touched a page that Xen fills when it is first touched (populate on demand), and could not fill"),
            broken => new(MemoryPart.Yes, "the guest touched a page of the host's that Xen has taken out of use because its memory failed"),
            _ => new(MemoryPart.NotKnown),
        };
    }

    /// <summary>"(-w-/r-x)": what the guest did, and what it may do.</summary>
    private static string UseIn(string line, out string allowed)
    {
        int open = line.IndexOf('(');
        bool isTold = open >= 0 && open + 8 < line.Length && line[open + 4] == '/' && line[open + 8] == ')';
        string may = isTold ? line.Substring(open + 5, 3) : "";
        allowed = !isTold ? "" : may == "---" ? ", where it may do nothing" : $", where it may do no more than {may}";
        return !isTold ? "used" : line[open + 2] == 'w' ? "wrote to" : line[open + 3] == 'x' ? "ran code in" : "read";
    }

    /// <summary>"(0xa2616,0,5,7) -> (0xa2504,0,5,7)": host's page, order, type, access; without the order where RAM is put in.</summary>
    private static XenMeaning Mapping(string line)
    {
        const string device = "5";
        if (!line.Contains("not permitted", StringComparison.Ordinal))
        {
            return IsNoMemory(line) ? new(MemoryPart.Yes, "Xen had no memory left for the guest's page tables (-12)") : new(MemoryPart.NotKnown);
        }

        string[] parts = line.Split('(', ')');
        string[] old = parts.Length > 3 ? parts[1].Split(',') : [];
        string[] wanted = parts.Length > 3 ? parts[3].Split(',') : [];
        if (old.Length < 3 || wanted.Length != old.Length || old[^2] != device)
            return new(MemoryPart.NotKnown);
        return wanted[^2] == device
            ? new(MemoryPart.No, "that page of the guest leads to a device's memory, and was to lead to other memory of a device, too, as where BARs "
                + "of less than a page share one; it is not about the guest's RAM")
            : new(MemoryPart.NotKnown, "that page of the guest leads to a device's memory, and was to lead to something else");
    }
}
