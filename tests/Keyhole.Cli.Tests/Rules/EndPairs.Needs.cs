// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Runtime.CompilerServices;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>What a kernel that goes on says of memory that it did not get.</summary>
internal static partial class EndPairs
{
    private static RulePair[] OfNeeds =>
    [
        Need("the kernel asked Xen for memory of the host in one piece below 4 GiB, as a buffer for devices that it drives, and got none.",
            "it got less than it asked for",
            "xen:swiotlb_xen: Failed to get contiguous memory for DMA from Xen!",
            "xen:swiotlb_xen: Warning: only able to allocate 4 MB for software IO TLB"),
        Need("without a buffer for them (SWIOTLB) none of the devices that are passed through comes up.", "it was set up",
            "pcifront pci-0: Could not setup SWIOTLB!", "pcifront pci-0: Installing PCI frontend"),
        Need("the driver of the bus of the devices that are passed through gave up, for want of memory by its own word (12).", "by another word",
            "pcifront pci-0: 12 Error setting up PCI Frontend", "pcifront pci-0: 2 Error setting up PCI Frontend"),
        Need("the driver of that device of Xen's gave up, for want of memory by its own word (12).", "by another word",
            "vif vif-0: 12 allocating tx ring page", "vif vif-0: 22 allocating tx ring page"),
        Need("the kernel had no memory of its own left for a buffer for devices that it drives.", "it tells of the buffer",
            "xen:swiotlb_xen: Cannot allocate Xen-SWIOTLB buffer", "xen:swiotlb_xen: software IO TLB mapped"),
        Need("the buffer through which a device reads and writes memory that it does not reach is too small.", "nearly all of it is free",
            "nvme 0000:00:06.0: swiotlb buffer is full (sz: 65536 bytes), total 32768 (slots), used 32760 (slots)",
            "nvme 0000:00:06.0: swiotlb buffer is full (sz: 65536 bytes), total 32768 (slots), used 12 (slots)"),
        Need("the buffer through which a device reads and writes memory that it does not reach had no room in one piece for that.",
            "no such buffer has that much in one piece",
            "nvme 0000:00:06.0: swiotlb buffer is full (sz: 262144 bytes), total 32768 (slots), used 12 (slots)",
            "nvme 0000:00:06.0: swiotlb buffer is full (sz: 262145 bytes), total 32768 (slots), used 12 (slots)"),
        Need("the driver wanted more in one piece than such a buffer gives (256 KiB), however large it is: a larger one (swiotlb=) does not help.",
            "it wanted 256 KiB",
            "nvme 0000:00:06.0: swiotlb buffer is full (sz: 262145 bytes), total 32768 (slots), used 32760 (slots)",
            "nvme 0000:00:06.0: swiotlb buffer is full (sz: 262144 bytes), total 32768 (slots), used 32760 (slots)"),
        Need("the kernel had no free memory of that order (2^order pages in one piece) where that use takes it from.", "it is a program's word",
            "modprobe: page allocation failure: order:4, mode:0x40cc0(GFP_KERNEL|__GFP_COMP)",
            "modprobe[312]: allocation failure of a page: order:4"),
        Need("the kernel had no free memory left, and ends programs.", "it was the limit of a container",
            "nginx invoked oom-killer: gfp_mask=0xcc0, order=0\n[   12.1] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),task=nginx,pid=1",
            "nginx invoked oom-killer: gfp_mask=0xcc0, order=0\n[   12.1] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),task=nginx,pid=1"),
        Need("the kernel had no free memory left, and ended that program.", "it was the limit of a container",
            "Out of memory: Killed process 113 (dracut-install) total-vm:9004kB, anon-rss:5120kB",
            "Memory cgroup out of memory: Killed process 113 (dracut-install) total-vm:9004kB"),
        Need("the kernel had no free memory left, and ends programs.", "somebody called the killer (SysRq)",
            "x invoked oom-killer: gfp_mask=0xcc0, order=0, oom_score_adj=0", "x invoked oom-killer: gfp_mask=0xcc0, order=-1, oom_score_adj=0"),
        Need("the kernel had no free memory left, and ends programs.", "it was memory that the program may not take",
            "x invoked oom-killer: gfp_mask=0xcc0, order=0\n[   12.1] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),task=x,pid=1",
            "x invoked oom-killer: gfp_mask=0xcc0, order=0\n[   12.1] oom-kill:constraint=CONSTRAINT_CPUSET,nodemask=0,task=x,pid=1"),
        Need("the kernel had no free memory left, and ended that program.", "somebody called the killer (SysRq)",
            "x invoked oom-killer: gfp_mask=0xcc0, order=0\n[   12.1] Out of memory: Killed process 113 (x) total-vm:9004kB",
            "x invoked oom-killer: gfp_mask=0xcc0, order=-1\n[   12.1] Out of memory: Killed process 113 (x) total-vm:9004kB"),
        Need("the files of the ramdisk have no room in memory: the first of them are there, and no more.", "the ramdisk is damaged",
            "Initramfs unpacking failed: write error", "Initramfs unpacking failed: junk within compressed archive"),
        Need("the kernel had no memory below 4 GiB left for a buffer through which devices read and write what they do not reach.", "it has one",
            "software IO TLB: Cannot allocate buffer", "software IO TLB: mapped [mem 0x0000000010000000-0x0000000014000000] (64MB)"),
        Need("the driver gave up, for want of memory by its own word (-12).", "by another word",
            "xhci_hcd 0000:00:06.0: probe with driver xhci_hcd failed with error -12",
            "xhci_hcd 0000:00:06.0: probe with driver xhci_hcd failed with error -121"),
        RulePair.Of("the driver gave up; a window of a device has no place (line 340), for which drivers say the same, whatever memory there is.",
            "it is another device's driver",
            static () => OfUnplaced("amdgpu 0000:01:00.0: probe with driver amdgpu failed with error -12"),
            static () => OfUnplaced("amdgpu 0000:02:00.0: probe with driver amdgpu failed with error -12")),
        RulePair.Of("the log agrees with the forecast; behind that it tells of a want of memory", "a window without a place is the reason",
            static () => OfUnplaced("nvme: page allocation failure: order:4, mode:0x40cc0(GFP_KERNEL|__GFP_COMP)"),
            static () => OfUnplaced("amdgpu 0000:01:00.0: probe with driver amdgpu failed with error -12")),
        RulePair.Of("a window of a device has no place", "the window is claimed",
            static () => EndInputs.Pv(EndInputs.PvBoot + Claim + NoDriver),
            static () => EndInputs.Pv(EndInputs.PvBoot + NoDriver)),
        RulePair.Of("for which drivers say the same", "the window fails after it",
            static () => EndInputs.Pv(EndInputs.PvBoot + Claim + NoDriver),
            static () => EndInputs.Pv(EndInputs.PvBoot + NoDriver + Claim)),
    ];

    private const string NoDriver = "[   12.000000] e1000 0000:00:00.0: probe with driver e1000 failed with error -12\n";

    private static CommandRun OfUnplaced(string line) => EndInputs.Kvm("ovmf-unplaced",
        $"{File.ReadAllText(RulePair.Fixture("kvm", "verify", "ovmf-unplaced.log"))}\n[   60.000000] {line}\n");

    private static RulePair Need(string rule, string unless, string said, string silent, [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0) => RulePair.Of(rule, unless, () => EndInputs.Pv($"{EndInputs.PvBoot}[   12.000000] {said}\n"),
        () => EndInputs.Pv($"{EndInputs.PvBoot}[   12.000000] {silent}\n"), file, line);
}
