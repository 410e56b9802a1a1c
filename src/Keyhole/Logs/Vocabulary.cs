// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.PvGuest;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>Something that a kernel, a domain builder or Xen says while a machine boots.</summary>
/// <param name="Mark">A part of it by which a log is searched: short, and rare in lines that say nothing of memory.</param>
/// <param name="Kind">What it is to the reader of messages; <see cref="KernelMessageKind.Other"/> where Xen or a domain builder says it.</param>
/// <param name="Example">A whole line, without its prefix.</param>
internal readonly record struct Saying(string Mark, KernelMessageKind Kind, string Example);

/// <summary>
/// The words of kernels and of Xen about memory at boot, once. <see cref="LogScanner"/> searches a log for the marks, <see cref="KernelMessage"/> and
/// <see cref="BootFailure"/> read the words out of a line, <see cref="KernelWords"/> writes a forecast's lines with them.
/// </summary>
/// <remarks>Sources: Linux' arch/x86/xen/setup.c, arch/x86/kernel/e820.c and setup.c, 2.6.37 to 7.2; Xen's arch/x86/setup.c and
/// common/shutdown.c.</remarks>
internal static class Vocabulary
{
    public const string Version = "Linux version ";
    /// <summary>What Xen says of a table that it leaves out of a PVH dom0's; the table's name follows, then <see cref="BannedTableEnd"/>.</summary>
    public const string BannedTable = "Skipping table ";
    public const string BannedTableEnd = " in non-ACPI non-reserved region";

    /// <summary>What Linux says of a window of a host bridge that it drops.</summary>
    public const string DroppedWindow = "ignoring host bridge window ";
    public const string NoIommu = "I/O virtualisation disabled";
    /// <summary>What Xen says of an IOMMU that it found and cannot use.</summary>
    public static readonly ImmutableArray<string> IommuFailures = ["IVHD Error", NoSouthbridge, "AMD-Vi: Error", "Failed to parse ACPI DMAR"];
    public const string NoSouthbridge = "No southbridge IO-APIC found in IVRS table";

    public const string IommuInUse = "I/O virtualisation enabled";
    public const string CommandLine = "Command line:";
    public const string LateCommandLine = "Kernel command line:";
    public const string RunsOn = "ooting kernel on ";
    public const string RunsParavirtualizedOn = "ooting paravirtualized kernel on ";

    // The memory setup of 3.5 to 3.17 and of older ones, a range a line.
    public const string Freeing = "Freeing ";
    public const string PagesFreed = " pages freed";
    public const string Populating = "Populating ";
    public const string PagesAdded = " pages added";
    public const string PfnRange = " pfn range: ";
    public const string NoRangeToRemap = "Unable to find available pfn range";
    public const string Released = "Released ";
    public const string PagesOfUnusedMemory = " pages of unused memory";
    public const string Set = "Set ";
    public const string PagesToIdentity = " page(s) to 1-1 mapping";

    // Later ones.
    public const string Remapped = "Remapped ";
    public const string Pages = " page(s)";
    public const string NonRamPages = " non-RAM page(s)";
    public const string InitrdMoved = "initrd moved from ";
    public const string Ramdisk = "RAMDISK: ";
    public const string Memory = "Memory: ";
    public const string LastPfn = "last_pfn = ";

    /// <summary>Before the kernel looks whether its own image is RAM; the others of <see cref="OptionsTaken"/> come behind that.</summary>
    public const string MachineName = "DMI: ";
    public const string DeferredPages = "deferred pages initialised";
    /// <summary>What is no RAM of the kernel's and that a hibernation leaves out; PM's "hibernation: " stands before it since 5.9.</summary>
    public const string NotSaved = "Registered nosave memory: ";

    public const string ImageOutsideRam = ".bss are not marked as E820";

    // Maps and gaps.
    public const string MapTitle = "BIOS-provided physical RAM map:";
    public const string ChangedMapTitle = "user-defined physical RAM map";
    public const string E820 = "e820: ";
    public const string Update = "update ";
    public const string Remove = "remove ";
    public const string Becomes = "==>";
    public const string MemOpening = "[mem ";
    public const string GapOpening = "[gap ";
    public const string AvailableForPci = " available for PCI devices";
    public const string OldGapOpening = "(gap: ";
    public const string NoGap = "Cannot find an available gap in the 32-bit address range";
    public const string NoGapTelling = "Cannot find an available gap in the 32";
    public const string NoGapTellingBefore412 = "annot find a gap in the 32";
    public const string NoGapBefore412 = "cannot find a gap in the 32bit address range";
    public const string NoGapBefore35 = "PCI: Warning: Cannot find a gap in the 32bit address range";

    // Windows of devices.
    public const string CannotClaim = "can't claim";
    public const string ConflictWith = " conflict with ";
    public const string ConflictsWith = " conflicts with ";
    public const string Collision = "address space collision";

    // The journal.
    public const string Reboot = "-- Reboot --";
    public const string FurtherBoot = "-- Boot ";

    // Consoles, and the domain builder of Xen's tools.
    public const string ConsoleOpening = "onsole [";
    public const string ConsoleEnabled = "] enabled";
    public const string BootConsole = "bootconsole";
    public const string Segment = "xc_dom_alloc_segment:";

    /// <summary>Behind it the name of the kernel's release stands in a trace.</summary>
    public const string Tainted = "ainted";

    /// <summary>What hvmloader says of the BIOS that it loads, since 4.2: ROMBIOS, SeaBIOS, OVMF.</summary>
    public const string RequestedBios = "System requested ";

    /// <summary>What hvmloader says of the Xen that it runs under.</summary>
    public const string DetectedXen = "Detected Xen v";

    // Xen.
    public const string Truncating = "Truncating RAM from ";
    public const string XenPanic = "Panic on CPU";

    /// <summary>What Xen says in its panic, or right before it, and nowhere else.</summary>
    public static readonly ImmutableArray<string> XensEnds =
        ["Xen BUG at ", "FATAL TRAP: ", "FATAL PAGE FAULT", "GENERAL PROTECTION FAULT", "DOUBLE FAULT"];

    public const string Crashed = "crashed";
    public const string Halted = "halted";
    public const string BuildingPvh = "Building a PVH Dom0";
    public const string BuildingPv = "Building a PV Dom0";

    /// <summary>Xen builds a map, and so prints one, for a PVH dom0 alone.</summary>
    public const string PvhDom0sMap = "Dom0 memory map:";

    /// <summary>How ACPI's tables are listed, by Linux and by Xen, with address and length.</summary>
    public const string TablePointer = "ACPI: RSDP ";
    public const string TableList = "ACPI: XSDT ";
    public const string InterruptTable = "ACPI: APIC ";

    /// <summary>Room that Linux under Xen takes for pages of other domains, in /proc/iomem.</summary>
    public const string ScratchName = "Xen scratch";
    public const string ScratchRoom = " : " + ScratchName;

    /// <summary>What stands in a log only once the kernel has started its first process: words that come once a boot.</summary>
    public static readonly ImmutableArray<string> Programs = [" as init process", "Detected virtualiz", "dracut-initqueue["];

    /// <summary>What Linux says where it is put to sleep, or wakes up: 2.6 to 4.17, 4.18 and later, and ACPI's words in all.</summary>
    /// <remarks>Source: kernel/power/suspend.c, drivers/acpi/sleep.c.</remarks>
    public static readonly ImmutableArray<string> KernelsSleep =
    [
        // S5 is off.
        "PM: suspend entry", "PM: Preparing system for ", "to enter system sleep state S3", "Waking up from system sleep state S",
        "to enter system sleep state S1", "to enter system sleep state S4",
    ];

    /// <summary>What Xen says of it, 4.0 to 4.22.</summary>
    /// <remarks>Source: arch/x86/acpi/power.c.</remarks>
    public static readonly ImmutableArray<string> XensSleep =
        ["Preparing system for ACPI S", "Entering ACPI S", "Finishing wakeup from ACPI S"];

    /// <summary>How lines begin that Linux prints behind the place where it prints the map that its command line has changed ("user:").</summary>
    public static readonly ImmutableArray<string> OptionsTaken = [LastPfn, "e820: " + LastPfn, MachineName, TablePointer];

    /// <summary>What Linux says of its pages behind its map, before it prints one that its command line has changed.</summary>
    /// <remarks>Source: arch/x86/mm/setup_nx.c (x86_report_nx).</remarks>
    public const string NoExecute = "NX (Execute Disable) protection: ";

    /// <summary>What Xen says of a PVH dom0 that it cannot lay out or load, before it panics.</summary>
    public static readonly ImmutableArray<string> XenCauses =
    [
        "memory with order 0", "Failed to setup Dom0 ", "Failed to load kernel:", "Failed to load Dom0 ", "not relocatable", "find a load address",
        "find a memory region",
    ];

    /// <summary>What a kernel says before it stops in its memory setup; a reason that is not here has no words.</summary>
    public static readonly ImmutableArray<(HaltReason Reason, string Words)> PanicMessages =
    [
        (HaltReason.KernelConflict, "Xen hypervisor allocated kernel memory conflicts with E820 map"),
        (HaltReason.StartInfoConflict, "Xen hypervisor allocated xen_start_info memory conflicts with E820 map"),
        (HaltReason.PageTableConflict, "Xen hypervisor allocated page table memory conflicts with E820 map"),
        // As people copy it.
        (HaltReason.PageTableConflict, "Xen hypervisor allocated page table conflicts with E820 map"),
        (HaltReason.P2mListConflict, "Xen hypervisor allocated p2m list conflicts with E820 map"),
        (HaltReason.NoRoomForNvs, "No suitable area found for required E820 entry remapping action"),
        (HaltReason.TooManyNvs, "Number of required E820 entry remapping actions exceed maximum value"),
        (HaltReason.NoRoomForP2mList, "Can't find new memory area for p2m needed due to E820 map conflict"),
        (HaltReason.NoRoomForInitrd, "Can't find new memory area for initrd needed due to E820 map conflict"),
    ];

    /// <summary>How a kernel says that it is over for other reasons; what follows in the line tells why.</summary>
    public static readonly ImmutableArray<(string Words, BootFailureKind Kind)> Failures =
    [
        ("Kernel panic - not syncing", BootFailureKind.KernelPanic),
        ("PANIC: early exception", BootFailureKind.KernelPanic),
        ("kernel BUG at ", BootFailureKind.KernelBug),
        ("BUG: unable to handle", BootFailureKind.KernelBug),
        ("BUG: kernel NULL pointer", BootFailureKind.KernelBug),
        ("Unable to handle kernel", BootFailureKind.KernelBug),
        ("general protection fault", BootFailureKind.KernelBug),
        ("double fault: ", BootFailureKind.KernelBug),
        ("Oops: ", BootFailureKind.KernelBug),
        // What xen_remap_memory and its kin say before they give up.
        ("Failed to update kernel mapping for mfn", BootFailureKind.KernelBug),
    ];

    /// <summary>What a log is searched for, in the order in which a line that has several is counted.</summary>
    public static readonly ImmutableArray<Saying> Sayings =
    [
        new(Tainted, KernelMessageKind.TraceRelease, "CPU: 0 PID: 128 Comm: kworker/0:2 Not tainted 6.13.6-1.x86_64 #1"),
        new("Linux version", KernelMessageKind.Release, Version + "6.1.0 (a@b) #1 SMP"),
        new("Xen version", KernelMessageKind.Other, "Xen version 4.17.3 (a@b) debug=n"),
        new("ommand line", KernelMessageKind.CommandLine, CommandLine + " root=/dev/xvda1 ro"),
        new("ommand line", KernelMessageKind.LateCommandLine, LateCommandLine + " root=/dev/xvda1 ro"),
        new(Released, KernelMessageKind.Released, Released + "97" + Pages),
        new(Released, KernelMessageKind.Released, Released + "97" + PagesOfUnusedMemory),
        new(Remapped, KernelMessageKind.Remapped, Remapped + "97" + Pages),
        new(Remapped, KernelMessageKind.RemappedNonRam, Remapped + "2" + NonRamPages),
        new(Freeing, KernelMessageKind.Freed, Freeing + "9e-100" + PfnRange + "98" + PagesFreed),
        new("Populat", KernelMessageKind.Populated, Populating + "40000-40062" + PfnRange + "98" + PagesAdded),
        new("1-1 mapping", KernelMessageKind.IdentitySet, Set + "98" + PagesToIdentity),
        new("RAMDISK", KernelMessageKind.Ramdisk, Ramdisk + MemOpening + "0x08000000-0x0a792fff]"),
        new(" moved from ", KernelMessageKind.InitrdMoved,
            InitrdMoved + MemOpening + "0x08000000-0x0a6185c0] to " + MemOpening + "0x28000000-0x2a6185c0]"),
        new("claim BAR", KernelMessageKind.BarClaim,
            CannotClaim + " BAR 0 " + MemOpening + "0xe0000000-0xe0000fff]: address" + ConflictWith + "System RAM " + MemOpening
                + "0x00100000-0xefffffff]"),
        new("conflict", KernelMessageKind.BarClaim,
            Collision + ": " + MemOpening + "0xe0000000-0xe0000fff]" + ConflictsWith + "System RAM " + MemOpening + "0x00100000-0xefffffff]"),
        .. Panics("conflict"),
        new("available for PCI", KernelMessageKind.PciGap, MemOpening + "0x40061000-0xfebfffff]" + AvailableForPci),
        new("available for PCI", KernelMessageKind.PciGap, GapOpening + "0x40061000-0xfebfffff]" + AvailableForPci),
        new("last_pfn", KernelMessageKind.Remapped, Remapped + "97" + Pages + ", last_pfn=262144"),
        new("last_pfn", KernelMessageKind.OptionsTaken, LastPfn + "0x40000 max_arch_pfn = 0x400000000"),
        new("last_pfn", KernelMessageKind.OptionsTaken, "e820: " + LastPfn + "0x40000 max_arch_pfn = 0x400000000"),
        new(MachineName, KernelMessageKind.OptionsTaken, "DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1 04/01/2014"),
        new(TablePointer, KernelMessageKind.OptionsTaken, TablePointer + "0x00000000000F58D0 000014 (v00 BOCHS )"),
        new(NoExecute, KernelMessageKind.NoExecute, NoExecute + "active"),
        new(TableList, KernelMessageKind.Other, TableList + "0x00000000BEFFFD24 000084 (v01 ALASKA A M I    01072009 AMI  01000013)"),
        new(InterruptTable, KernelMessageKind.Other, InterruptTable + "0x00000000BEFFFDA8 000258 (v03 ALASKA A M I    01072009 AMI  00010013)"),
        new(Memory, KernelMessageKind.Memory, Memory + "167432K/1048572K available"),
        new("System RAM: ", KernelMessageKind.Other, "System RAM: 4003MB (4099736kB)"),
        new(Truncating, KernelMessageKind.Other, Truncating + "9437184kB to 6291456kB"),
        new(NoIommu, KernelMessageKind.Other, NoIommu),
        new(IommuInUse, KernelMessageKind.Other, IommuInUse),
        .. IommuFailures.Select(static words => new Saying(words, KernelMessageKind.Other, words)),
        new(BannedTable, KernelMessageKind.Other, BannedTable + "SSDT" + BannedTableEnd),
        new(DroppedWindow, KernelMessageKind.Other, DroppedWindow + MemOpening + "0x000cb000-0x000dffff window] (conflicts with Video ROM "
            + MemOpening + "0x000c0000-0x000ccfff])"),
        new("Phys-Mach map", KernelMessageKind.Other, "Phys-Mach map: 0000008000000000->0000008000200000"),
        new("Loaded kernel", KernelMessageKind.Other, "Loaded kernel: ffffffff81000000->ffffffff84a00000"),
        new("Start info", KernelMessageKind.Other, "Start info:    ffffffff84a00000->ffffffff84a004b8"),
        new("Page tables:", KernelMessageKind.Other, "Page tables:   ffffffff84a01000->ffffffff84a2a000"),
        new("Init. ramdisk", KernelMessageKind.Other, "Init. ramdisk: 000000006a62b000->000000006ccff9c1"),
        new("Dom0 alloc", KernelMessageKind.Other, "Dom0 alloc.:   0000000168000000->0000000170000000"),
        new(Halted, KernelMessageKind.Other, "Hardware Dom0 halted: halting machine"),
        new(Crashed, KernelMessageKind.Other, "Hardware Dom0 crashed: rebooting machine in 5 seconds."),
        new(XensSleep[0], KernelMessageKind.Other, XensSleep[0] + "3 state."),
        new(XensSleep[1], KernelMessageKind.Other, XensSleep[1] + "3 state."),
        new(XensSleep[2], KernelMessageKind.Other, XensSleep[2] + "3 state."),
        new(KernelsSleep[0], KernelMessageKind.Sleep, KernelsSleep[0] + " (deep)"),
        new(KernelsSleep[1], KernelMessageKind.Sleep, KernelsSleep[1] + "mem sleep"),
        new(KernelsSleep[2], KernelMessageKind.Sleep, "ACPI: PM: Preparing " + KernelsSleep[2]),
        new(KernelsSleep[3], KernelMessageKind.Sleep, "ACPI: PM: " + KernelsSleep[3] + "3"),
        new(KernelsSleep[4], KernelMessageKind.Sleep, "ACPI: PM: Preparing " + KernelsSleep[4]),
        new(KernelsSleep[5], KernelMessageKind.Sleep, "ACPI: PM: Preparing " + KernelsSleep[5]),
        new("Over-allocation", KernelMessageKind.Other, "d5v0 Over-allocation for d5: 262145 > 262144"),
        .. XenReasons.All.Select(static reason => new Saying(reason.Mark, KernelMessageKind.Other, reason.Example)),
        new(RequestedBios, KernelMessageKind.Other, RequestedBios + "SeaBIOS"),
        new(DetectedXen, KernelMessageKind.Other, DetectedXen + "4.17.7"),
        .. QemuLogWords.Marks.Select(static mark => new Saying(mark, KernelMessageKind.Other, mark)),
        new("xen_memory_setup", KernelMessageKind.Other, "xen_memory_setup"),
        new("available pfn range", KernelMessageKind.NoRangeToRemap, NoRangeToRemap + ", not remapping identity pages"),
        .. Panics("remapping action"),
        new("gap in the 32", KernelMessageKind.PciGap, NoGap),
        new("gap in the 32", KernelMessageKind.PciGap, NoGapBefore412),
        new("gap in the 32", KernelMessageKind.PciGap, NoGapBefore35),
        new(OldGapOpening, KernelMessageKind.PciGap, "Allocating PCI resources starting at 40000000 " + OldGapOpening + "40000000:a0000000)"),
        new("can't claim;", KernelMessageKind.BarClaim,
            "BAR 0 " + MemOpening + "0xe0000000-0xe0000fff]: " + CannotClaim + "; address" + ConflictWith + "System RAM " + MemOpening
                + "0x00100000-0xefffffff]"),
        new("xc_dom_alloc_segment", KernelMessageKind.Segment, Segment + "   kernel       : 0x1000000 -> 0x4a00000  (pfn 0x1000 + 0x3a00 pages)"),
        new(XenPanic, KernelMessageKind.Other, XenPanic + " 0:"),
        .. OtherSystem.Words.Select(static words => new Saying(words, KernelMessageKind.Other, words)),
        .. XensEnds.Select(static words => new Saying(words, KernelMessageKind.Other, words)),
        new(KernelMapOwner.Unprivileged, KernelMessageKind.Other, KernelMapOwner.Unprivileged),
        new(XenTraceReader.OwnContext, KernelMessageKind.Other, "RFLAGS: 0000000000010046   " + XenTraceReader.OwnContext),
        new(XenTraceReader.Code, KernelMessageKind.Other, "   " + XenTraceReader.Code + "d0403a5ef8>] R amd_iommu_prepare+0x288/0x390"),
        new(XenTraceReader.Warning, KernelMessageKind.Other, XenTraceReader.Warning + " arch/x86/apic.c:124"),
        new(XenTraceReader.HostState, KernelMessageKind.Other, XenTraceReader.HostState + "0 host state: ***"),
        new(XenTraceReader.Cr2, KernelMessageKind.Other, "cr3: 00000000711d1000  " + XenTraceReader.Cr2 + "00000000ff900020"),
        .. XenTraceReader.OwnChecks.Select(static check => new Saying(check, KernelMessageKind.Other, check + " common/spinlock.c:12")),
        new(XenTraceReader.UnknownUse, KernelMessageKind.Other, XenTraceReader.UnknownUse + "ff900-0xfffff"),
        new("Kernel panic - not", KernelMessageKind.BootFailure, "Kernel panic - not syncing: Attempted to kill init!"),
        new("PANIC: early", KernelMessageKind.BootFailure, "PANIC: early exception 0x0e IP 10:ffffffff81000000 error 0 cr2 0x0"),
        new("kernel BUG at", KernelMessageKind.BootFailure, "kernel BUG at arch/x86/xen/setup.c:300!"),
        new("BUG: unable", KernelMessageKind.BootFailure, "BUG: unable to handle page fault for address: ffff888000000000"),
        new("BUG: kernel NULL", KernelMessageKind.BootFailure, "BUG: kernel NULL pointer dereference, address: 0000000000000000"),
        new("Unable to handle kernel", KernelMessageKind.BootFailure, "Unable to handle kernel paging request at virtual address 0"),
        new("general protection fault", KernelMessageKind.BootFailure, "general protection fault: 0000 [#1] SMP"),
        new("double fault: ", KernelMessageKind.BootFailure, "double fault: 0000 [#1] SMP"),
        new("Oops: ", KernelMessageKind.BootFailure, "Oops: 0002 [#1] SMP"),
        new("Failed to update kernel", KernelMessageKind.BootFailure, "Failed to update kernel mapping for mfn=6930582 pfn=262144"),
        new(E820 + Update, KernelMessageKind.MapEdit, E820 + Update + MemOpening + "0x00000000-0x00000fff] usable " + Becomes + " reserved"),
        new(E820 + Remove, KernelMessageKind.MapEdit, E820 + Remove + MemOpening + "0x000a0000-0x000fffff] usable"),
        new("user-defined phys", KernelMessageKind.ChangedMapTitle, "e820: " + ChangedMapTitle + ":"),
        new("ed nosave memory", KernelMessageKind.NotSaved, "PM: hibernation: " + NotSaved + MemOpening + "0x00000000-0x00000fff]"),
        new("not marked as E820", KernelMessageKind.ImageOutsideRam, ".text .data " + ImageOutsideRam + "_TYPE_RAM!"),
        new(ConsoleOpening, KernelMessageKind.Console, "printk: console [hvc0] enabled"),
        new("deferred pages", KernelMessageKind.DeferredPages, "node 0 " + DeferredPages + " in 256ms"),
        new("memory with order 0", KernelMessageKind.Other, "Unable to allocate memory with order 0!"),
        new("Failed to setup Dom0 ", KernelMessageKind.Other, "Failed to setup Dom0 physical memory map"),
        new("Failed to load kernel:", KernelMessageKind.Other, "Failed to load kernel: -1"),
        new("Failed to load Dom0 ", KernelMessageKind.Other, "Failed to load Dom0 kernel"),
        new("not relocatable", KernelMessageKind.Other, "d0 kernel: Address conflict and not relocatable"),
        new("find a load address", KernelMessageKind.Other, "d0 kernel: Failed find a load address"),
        new("find a memory region", KernelMessageKind.Other, "Unable to find a memory region to load initrd and metadata"),
        new(ToolstackErrors.Libxls, KernelMessageKind.Other, "libxl: error: libxl_create.c:1420:domcreate_rebuild_done: Domain 1:failed: -3"),
        new(ToolstackErrors.Libxcs, KernelMessageKind.Other, "xc: error: panic: xc_dom_boot.c:122: can't allocate low memory for domain"),
        new(ToolstackErrors.LibvirtsLibxl, KernelMessageKind.Other, "libxl: libxl_dom.c:593:libxl__build_dom: xc_dom_boot_mem_init failed"),
        new(ToolstackErrors.LibvirtsLibxc, KernelMessageKind.Other, "xc: panic: xc_dom_boot.c:120: xc_dom_boot_mem_init: failed"),
        new(ToolstackErrors.Xenopsds, KernelMessageKind.Other, "Error from xenguesthelper: xenguest: xc_dom_build_image: panic: failed"),
        new(ToolstackErrors.Xls, KernelMessageKind.Other, ToolstackErrors.Xls),
        new(ToolstackErrors.Start, KernelMessageKind.Other, ToolstackErrors.Start + "/etc/xen/domU.cfg"),
        new(ToolstackErrors.NotAssigned, KernelMessageKind.Other, "It's disallowed to assign 0000:00:1a.0 with shared RMRR at 1000 for d1."),
        new("Dom0 memory m", KernelMessageKind.Other, PvhDom0sMap),
        new("Building a P", KernelMessageKind.Other, "*** " + BuildingPvh + " ***"),
        new("Booting kern", KernelMessageKind.RunsOn, "B" + RunsOn + "Xen PVH"),
        new("lized kernel on", KernelMessageKind.RunsOn, "B" + RunsParavirtualizedOn + "Xen HVM"),
        new(": can't reserve", KernelMessageKind.Other, "ahci 0000:07:00.1: BAR 5: can't reserve " + MemOpening + "0xf0e00000-0xf0e007ff]"),
        new("]: can't reserve", KernelMessageKind.Other, "ahci 0000:07:00.1: BAR 5 " + MemOpening + "0xf0e00000-0xf0e007ff]: can't reserve"),
        new("iomap_regions failed", KernelMessageKind.Other, "ccp 0000:06:00.5: pcim_iomap_regions failed (-16)"),
        new(ScratchRoom, KernelMessageKind.Other, "f0400000-f0ffffff" + ScratchRoom),
        .. KernelNeeds.All.Select(static need => new Saying(need.Mark, KernelMessageKind.Need, need.Example)),
        .. KernelNeeds.OfGroup.Select(static one => new Saying(one.Mark, KernelMessageKind.Need, one.Example)),
        new(" as init process", KernelMessageKind.Program, "Run /init as init process"),
        new("Detected virtualiz", KernelMessageKind.Program, "systemd[1]: Detected virtualization xen."),
        new(Reboot, KernelMessageKind.NextBoot, Reboot),
        new(FurtherBoot, KernelMessageKind.NextBoot, FurtherBoot + "5c0e38b35d3f4b6c8b1a3c5d7e9f0a1b --"),
        new("dracut-initqueue[", KernelMessageKind.Program, "dracut-initqueue[311]: Warning: Could not boot."),
    ];

    /// <summary>The marks, each once, in the order of <see cref="Sayings"/>.</summary>
    public static readonly string[] Marks = [.. Sayings.Select(static saying => saying.Mark).Distinct(StringComparer.Ordinal)];

    /// <summary>The words for a reason to stop; empty where the kernel says none.</summary>
    public static string WordsOf(HaltReason reason)
    {
        foreach ((HaltReason known, string words) in PanicMessages)
        {
            if (known == reason)
                return words;
        }

        return "";
    }

    private static IEnumerable<Saying> Panics(string mark) => PanicMessages.Where(panic => panic.Words.Contains(mark, StringComparison.Ordinal))
        .Select(panic => new Saying(mark, KernelMessageKind.PanicMessage, panic.Words));
}
