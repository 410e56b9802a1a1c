// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Cli.Tests.Rules;

/// <summary>What a kernel's end has to do with memory.</summary>
internal static partial class EndPairs
{
    private const string RootFs = "[    1.500000] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n";
    private const string OutOfMemory = "[    1.500000] Kernel panic - not syncing: Out of memory and no killable processes...\n";
    private const string NoPages = "[    0.150000] Kernel panic - not syncing: memblock_alloc_or_panic: Failed to allocate 81920 bytes\n";
    private const string Fault = "(XEN) d1v0 Unhandled: vec 14, #PF[0002]\n";
    private const string OneMore = "0x000000001fffefff";

    private const string Oops = "[  300.100000] BUG: kernel NULL pointer dereference, address: 0000000000000010\n"
        + "[  300.100100] Oops: 0000 [#1] PREEMPT SMP NOPTI\n[  300.200000] ---[ end trace 0000000000000000 ]---\n";

    private const string Kept = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n";

    /// <summary>What a machine's own store keeps of a panic begins with the end.</summary>
    private static string Unstamped => (EndInputs.PvBoot.Without("Linux version") + EndInputs.PvMemory).Replace("[    0.000000] ", "",
        System.StringComparison.Ordinal).Replace("[    0.200000] ", "", System.StringComparison.Ordinal);

    private static RulePair[] OfKernels =>
    [
        RulePair.Of("Behind line 6 the log says no more of this boot's memory: whether the kernel stopped or the log was cut it does not show.",
            "the kernel says what memory it has",
            static () => EndInputs.Pv(EndInputs.PvBoot),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory)),
        RulePair.Of("the log says no more of this boot's memory", "a program speaks far behind it",
            static () => EndInputs.Pv(EndInputs.PvBoot + "[    0.300000] systemd[1]: x\n"),
            static () => EndInputs.Pv(EndInputs.PvBoot + "[   20.300000] systemd[1]: x\n")),
        RulePair.Of("whether the kernel stopped or the log was cut it does not show.", "Xen says that it crashed",
            static () => EndInputs.Pv(EndInputs.PvBoot),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.Crashed)),
        RulePair.Of(": it ended what the kernel was doing there, and not the boot, which goes on (line 11).", "what follows it comes at once",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + Oops + "[  400.000000] systemd[1]: Started it.\n"),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + Oops + "[  300.400000] systemd[1]: Started it.\n")),
        RulePair.Of("and not the boot, which goes on", "a panic stands between",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + Oops + "[  400.000000] systemd[1]: Started it.\n"),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + Oops
                + "[  300.300000] Kernel panic - not syncing: Fatal exception\n[  400.000000] systemd[1]: Started it.\n")),
        RulePair.Of("the kernel dies after it, at line 9: \"Domain 1 (vcpu#0) crashed on cpu#3\"",
            "Xen's words are of no PV guest: it was another one",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + Fault + EndInputs.Crashed),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + "(XEN) d1v0 Unexpected vmexit: reason 63\n" + EndInputs.Crashed)),
        RulePair.Of("halts: \"Domain 1 (vcpu#0) crashed", "Xen's words are of a PV guest: it was another one",
            static () => EndInputs.Hvm(HvmBoot.With("Hypervisor detected:", "Booting paravirtualized kernel on")
                + "(XEN) d1v0 Unexpected vmexit: reason 63\n" + EndInputs.Crashed),
            static () => EndInputs.Hvm(HvmBoot.With("Hypervisor detected:", "Booting paravirtualized kernel on")
                + "(XEN) d1 " + L1Tf + EndInputs.Crashed)),
        RulePair.Of("Why it died the log does not say; nothing that could be compared points to the map.", "Xen has said why",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + EndInputs.Crashed),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + Fault + EndInputs.Crashed)),
        RulePair.Of("Why it died the log does not say", "its programs ran: it was switched off",
            static () => EndInputs.Dom0(Halting("")),
            static () => EndInputs.Dom0(Halting("[    1.2] Run /init as init process\n"))),
        RulePair.Of("Why it died the log does not say", "a program speaks far behind the map",
            static () => EndInputs.Dom0(Halting("[    0.200000] systemd[1]: Started it.\n")),
            static () => EndInputs.Dom0(Halting("[   50.200000] systemd[1]: Started it.\n"))),
        RulePair.Of("a processor met a fault that the guest could not take", "its programs ran: it may have restarted so",
            static () => EndInputs.Hvm(HvmBoot + TripleFault),
            static () => EndInputs.Hvm(HvmBoot + "[    1.2] Run /init as init process\n" + TripleFault)),
        RulePair.Of("; nothing that could be compared points to the map.", "the map is another",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + EndInputs.Crashed),
            static () => EndInputs.Pv(EndInputs.PvBoot.With("0x000000001fffffff", OneMore) + EndInputs.PvMemory + EndInputs.Crashed)),
        RulePair.Of("Its words say nothing of memory, and nothing that could be compared points to the map.", "they do",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + RootFs),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + OutOfMemory)),
        RulePair.Of(", and nothing that could be compared points to the map", "the map is another",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + RootFs),
            static () => EndInputs.Pv(EndInputs.PvBoot.With("0x000000001fffffff", OneMore) + EndInputs.PvMemory + RootFs)),
        RulePair.Of("Its words say nothing of memory", "they are of an address that is not mapped",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + "[    1.5] BUG: kernel NULL pointer dereference, address: 10\n"),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + "[    1.5] BUG: unable to handle page fault for address: ffff1\n")),
        RulePair.Of("Its words are of an address that is not mapped, or not for that use: why they do not tell", "the address is none",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + "[    1.5] BUG: unable to handle page fault for address: ffff1\n"),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + "[    1.5] BUG: kernel NULL pointer dereference, address: 10\n")),
        RulePair.Of("The BUG is in the kernel's memory management: whether memory was short its words do not tell", "it is in a driver",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + "[    1.5] kernel BUG at mm/slub.c:305!\n"),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + "[    1.5] kernel BUG at drivers/mm/slub.c:305!\n")),
        RulePair.Of("Memory has a part in it", "what was to be allocated is no memory",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + "[    1.5] Kernel panic - not syncing: Unable to allocate stack\n"),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + "[    1.5] Kernel panic - not syncing: Unable to allocate IRQ\n")),
        RulePair.Of("The memory setup is as forecast to the last line there is of it (line 7); the kernel dies after it, at line 8:",
            "a line of it is not",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + RootFs),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory.With("523900K", "523896K") + RootFs)),
        RulePair.Of("1 of 4 lines of the memory setup differ from the forecast.", "all are as forecast",
            static () => EndInputs.Pv(EndInputs.PvBoot.With("0x000000001fffffff", OneMore) + RootFs),
            static () => EndInputs.Pv(EndInputs.PvBoot + RootFs)),
        RulePair.Of("lines of the memory setup differ from the forecast.", "a device's window differs, behind the setup",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory.With("523900K", "523896K") + RootFs),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + Claim + RootFs)),
        RulePair.Of("Nothing of the memory setup stands in the log before the kernel died (line 2), so nothing of it could be compared.",
            "a line of it does",
            static () => EndInputs.Pv("[    0.000000] Linux version 6.1.0 (a@b) #1 SMP\n" + RootFs),
            static () => EndInputs.Pv("[    0.000000] Linux version 6.1.0 (a@b) #1 SMP\n" + EndInputs.PvMemory + RootFs)),
        RulePair.Of("The memory setup is as forecast; it stands behind the death in this log (line 1: \"Kernel panic - not syncing: VFS: Unable to "
                + "mount root fs on unknown-block(0,0)\"), whose parts are not in the order of time.", "it stands before it",
            static () => EndInputs.Pv(Kept + Unstamped),
            static () => EndInputs.Pv(Unstamped + Kept)),
        RulePair.Of("Memory has a part in it: it wanted 80 KiB in one piece; the guest has 512 MiB. Its map is the one that was forecast, and by the "
                + "forecast the kernel gets through its memory setup on it.", "its map is another",
            static () => EndInputs.Pv(EndInputs.PvBoot + NoPages),
            static () => EndInputs.Pv(EndInputs.PvBoot.With("0x000000001fffffff", OneMore) + NoPages)),
        RulePair.Of("Its map is the one that was forecast", "the log has nothing of its map",
            static () => EndInputs.Pv(EndInputs.PvBoot + NoPages),
            static () => EndInputs.Pv(EndInputs.PvBoot.Without("Xen: [mem").Without("BIOS-provided") + NoPages)),
        RulePair.Of("Its map is the one that was forecast", "the log begins amid its map",
            static () => EndInputs.Pv(EndInputs.PvBoot.Without("Linux version").Without("Released").Without("BIOS-provided") + NoPages),
            static () => EndInputs.Pv(EndInputs.PvBoot.Without("Linux version").Without("Released").Without("BIOS-provided")
                .Without("-0x000000000009ffff]") + NoPages)),
        RulePair.Of("Whether the lines that differ are the cause the log does not show.", "none differs",
            static () => EndInputs.Pv(EndInputs.PvBoot.With("0x000000001fffffff", OneMore) + EndInputs.PvMemory + OutOfMemory),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + OutOfMemory)),
        RulePair.Of("The BUG is in the balloon driver, which gives memory back to Xen and takes it again.", "it is in another file of that name",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + "[    8.173649] kernel BUG at drivers/xen/balloon.c:407!\n"),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + "[    8.173649] kernel BUG at drivers/virtio/virtio_balloon.c:407!\n")),
        RulePair.Of("Memory has a part in it", "the words of a BUG are a file's name",
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + "[    8.173649] kernel BUG at mm/memblock.c:939!\n"),
            static () => EndInputs.Pv(EndInputs.PvBoot + EndInputs.PvMemory + "[    8.173649] kernel BUG at fs/xfs/xfs_alloc_btree.c:939!\n")),
    ];

    private const string TripleFault = "(XEN) d1v0 Triple fault - invoking HVM shutdown action 1\n";

    /// <summary>Xen says the same of a dom0 that is switched off.</summary>
    private static string Halting(string before) => EndInputs.FieldLog("dom0-memparam.txt").Without("Failed to update").Without("crashed on")
        .With(" mem=1024M", "") + before + "(XEN) Hardware Dom0 halted: halting machine\n";

    private const string Claim = "[    0.900000] pci 0000:00:00.0: can't claim BAR 0 [mem 0x10004000-0x10007fff]: address conflict with ACPI Tables "
        + "[mem 0x10000000-0x1fffffff]\n";
}
