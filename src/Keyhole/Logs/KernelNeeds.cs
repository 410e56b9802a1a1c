// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;

namespace Keyhole.Logs;

/// <summary>Words of a kernel or a driver that got no memory, behind the memory setup.</summary>
/// <param name="Mark">The part of a line by which it is found.</param>
/// <param name="Example">A whole line, without its prefix.</param>
/// <param name="Says">What it means; goes on behind the quoted words and a colon.</param>
/// <param name="IsLoss">Whether something does not work for it: a device, a program. Else the kernel may have got through without.</param>
internal readonly record struct KernelNeed(string Mark, string Example, string Says, bool IsLoss = true);

/// <summary>What a running kernel asked for and did not get: the kernel goes on, and something of it does not work.</summary>
/// <remarks>Sources: Linux' drivers/xen/swiotlb-xen.c, drivers/pci/xen-pcifront.c, drivers/xen/xenbus/xenbus_client.c,
/// drivers/net/xen-netfront.c, kernel/dma/swiotlb.c, mm/page_alloc.c, mm/oom_kill.c,
/// drivers/base/dd.c.</remarks>
internal static class KernelNeeds
{
    private const int MaxLength = 160;

    public static readonly ImmutableArray<KernelNeed> All =
    [
        new("contiguous memory for DMA", "xen:swiotlb_xen: Failed to get contiguous memory for DMA from Xen!",
            "the kernel asked Xen for memory of the host in one piece below 4 GiB, as a buffer for devices that it drives, and got none"),
        new("Could not setup SWIOTLB", "pcifront pci-0: Could not setup SWIOTLB!",
            "without a buffer for them (SWIOTLB) none of the devices that are passed through comes up"),
        new(": 12 Error setting up", "pcifront pci-0: 12 Error setting up PCI Frontend",
            "the driver of the bus of the devices that are passed through gave up, for want of memory by its own word (12)"),
        new(": 12 allocating ", "vif vif-0: 12 allocating tx ring page",
            "the driver of that device of Xen's gave up, for want of memory by its own word (12)"),
        new("Xen-SWIOTLB buffer", "xen:swiotlb_xen: Cannot allocate Xen-SWIOTLB buffer",
            "the kernel had no memory of its own left for a buffer for devices that it drives"),
        new("swiotlb buffer is full", "nvme 0000:00:06.0: swiotlb buffer is full (sz: 65536 bytes), total 32768 (slots), used 32760 (slots)",
            "the buffer through which a device reads and writes memory that it does not reach had no room in one piece for that", IsLoss: false),
        new("page allocation failure", "modprobe: page allocation failure: order:4, mode:0x40cc0(GFP_KERNEL|__GFP_COMP), nodemask=(null)",
            "the kernel had no free memory of that order (2^order pages in one piece) where that use takes it from", IsLoss: false),
        new("invoked oom-killer", "dracut-install invoked oom-killer: gfp_mask=0x140cca, order=0, oom_score_adj=0",
            "the kernel had no free memory left, and ends programs"),
        new("Out of memory: Kill", "Out of memory: Killed process 113 (dracut-install) total-vm:9004kB, anon-rss:5120kB",
            "the kernel had no free memory left, and ended that program"),
        new("unpacking failed: write error", "Initramfs unpacking failed: write error",
            "the files of the ramdisk have no room in memory: the first of them are there, and no more"),
        new("TLB: Cannot allocate buffer", "software IO TLB: Cannot allocate buffer",
            "the kernel had no memory below 4 GiB left for a buffer through which devices read and write what they do not reach", IsLoss: false),
        new("failed with error -12", "xhci_hcd 0000:00:06.0: probe with driver xhci_hcd failed with error -12",
            "the driver gave up, for want of memory by its own word (-12)"),
    ];

    /// <summary>What Linux says, behind "invoked oom-killer", of a limit that a group of processes has, such as a container, or of memory that it may
    /// not take: 4.20 on, and always.</summary>
    public static readonly ImmutableArray<(string Mark, string Example)> OfGroup =
    [
        ("constraint=CONSTRAINT_CPUSET", "oom-kill:constraint=CONSTRAINT_CPUSET,nodemask=0,cpuset=a,mems_allowed=0,task=nginx,pid=4321"),
        ("constraint=CONSTRAINT_MEMORY_POLICY", "oom-kill:constraint=CONSTRAINT_MEMORY_POLICY,nodemask=1,cpuset=/,task=nginx,pid=4321"),
        ("constraint=CONSTRAINT_MEMCG", "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,oom_memcg=/d,task=nginx,pid=4321"),
        ("Memory cgroup out of memory", "Memory cgroup out of memory: Killed process 4321 (nginx) total-vm:1263464kB"),
    ];

    /// <summary>Whether a line says that it was the limit of a group of processes, and not the memory there is, that had an end.</summary>
    public static bool IsOfGroup(ReadOnlySpan<char> line)
    {
        foreach ((string mark, _) in OfGroup)
        {
            if (line.Contains(mark, StringComparison.Ordinal))
                return true;
        }

        return false;
    }

    /// <summary>Whether words are those of the killer that somebody called (SysRq), however much memory there was.</summary>
    public static bool IsCalled(string words) => IsOfKiller(words) && words.Contains(" order=-1", StringComparison.Ordinal);

    /// <summary>Whether words of a group are of its limit.</summary>
    public static bool IsOfLimit(string words) => words.Contains("MEMCG", StringComparison.Ordinal)
        || words.Contains("Memory cgroup", StringComparison.Ordinal);

    /// <summary>Whether words are those of what the killer did.</summary>
    public static bool IsOfVictim(string words) => words.Contains("Out of memory: Kill", StringComparison.Ordinal);

    /// <summary>Whether words are those of the killer, which does not say whose limit it is.</summary>
    public static bool IsOfKiller(string words) => words.Contains("invoked oom-killer", StringComparison.Ordinal);

    /// <summary>What the words of a line mean; null where they are of none.</summary>
    public static string? SaysOf(string words)
    {
        // One mapping gets no more than 128 slots of 2 KiB: IO_TLB_SEGSIZE.
        const uint slotBytes = 1 << 11;
        const uint most = 128 * slotBytes;
        if (!Reading.TextCursor.TryBehind(words, "swiotlb buffer is full (sz: ", out Reading.TextCursor cursor) || !cursor.TryDecimal(out uint size))
            return Of(words)?.Says;
        if (size > most)
            return "the driver wanted more in one piece than such a buffer gives (256 KiB), however large it is: a larger one (swiotlb=) does not "
                + "help";
        // Where much of it is free that is in pieces, or another processor's.
        bool isTooSmall = cursor.TryText(" bytes), total ") && cursor.TryDecimal(out uint total) && cursor.TryText(" (slots), used ")
            && cursor.TryDecimal(out uint used) && (ulong)used + (size / slotBytes) > total;
        return isTooSmall ? "the buffer through which a device reads and writes memory that it does not reach is too small" : Of(words)?.Says;
    }

    /// <summary>The words of a line that tells of one, without a stamp that stood before them; null where it does not.</summary>
    public static string? WordsIn(ReadOnlySpan<char> line)
    {
        if (Of(line) is null && !IsOfGroup(line))
            return null;
        ReadOnlySpan<char> words = line.Trim();
        int close = words.StartsWith('[') ? words.IndexOf(']') : -1;
        return Diagnostics.InputError.OneLine(words[(close + 1)..].Trim(), MaxLength);
    }

    /// <summary>What a line tells of; null where of none.</summary>
    public static KernelNeed? Of(ReadOnlySpan<char> line)
    {
        foreach (KernelNeed need in All)
        {
            int at = line.IndexOf(need.Mark, StringComparison.Ordinal);
            int end = at + need.Mark.Length;
            // -12 is no part of -121.
            if (at >= 0 && !(char.IsAsciiDigit(need.Mark[^1]) && end < line.Length && char.IsAsciiDigit(line[end])))
                return need;
        }

        return null;
    }
}
