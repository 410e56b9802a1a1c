// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Globalization;
using Keyhole.PvGuest;

namespace Keyhole.Logs;

/// <summary>The behaviours of releases in words: the same as in docs/kernels.md, so that what a message names can be looked up there.</summary>
internal static class KernelBehaviours
{
    /// <summary>What a kernel does that has it: "keeps the first page reserved meanwhile".</summary>
    public static string Describe(KernelBehaviour behaviour) => behaviour switch
    {
        KernelBehaviour.PopulatesElsewhere => "gives back the pages under holes and populates as many elsewhere",
        KernelBehaviour.PopulatesThroughHoles => "populates on from where it stopped, through holes as well; RAM rounded outward to pages",
        KernelBehaviour.RemapsInBlocks => "moves the pages under holes at once, in aligned blocks of 512",
        KernelBehaviour.RemapsByList => "moves the pages under holes by a list, once memory can be allocated",
        KernelBehaviour.StopsReleaseAtRefusal => "stops to give back a hole's pages at the first that Xen refuses",
        KernelBehaviour.UpdatesOldMapping => "makes the old address of a page under a hole lead elsewhere",
        KernelBehaviour.ZapsOldMappingButIsa => "makes the old address of a page under a hole lead nowhere, but for the ISA area",
        KernelBehaviour.ZapsOldMapping => "makes the old address of a page under a hole lead nowhere",
        KernelBehaviour.TakesUnusableForRam => "takes UNUSABLE memory of the machine map for RAM (dom0)",
        KernelBehaviour.IdentityReaches512GiB => "takes a hole that reaches 512 GiB for identity; before, all of it was without machine frames",
        KernelBehaviour.IdentityBehindMap => "takes everything after the map for identity",
        KernelBehaviour.ExtraSparesIdentity => "lets a page that extra memory shares with a hole keep its identity",
        KernelBehaviour.LeavesTailInvalid =>
            "has no machine frames from the end of the initial pages to the next multiple of 512, where nothing else is said",
        KernelBehaviour.KeepsPramApart => "never merges entries of persistent memory of type 12",
        KernelBehaviour.ChecksConflicts => "checks where kernel and page tables are; p2m list and initrd move",
        KernelBehaviour.CountsBeforehand => "counts the pages to move beforehand and adds them to the limit",
        KernelBehaviour.CountsSharedPagesTwice => "counts pages that two entries share twice, which can end in a BUG",
        KernelBehaviour.ExtraInBytes => "keeps extra memory in bytes instead of whole pages",
        KernelBehaviour.LimitedTo500GiB => "manages 500 GiB at most",
        KernelBehaviour.ReadsReservationAsInt => "reads the maximum reservation as an int: no limit is an error to it",
        KernelBehaviour.SanitizesWithinItsCount => "sorts Xen's map in no more room than its entries came with",
        KernelBehaviour.MarksSurplusUnusable or KernelBehaviour.MarksSurplusUnusableAgain =>
            "marks RAM beyond the limit UNUSABLE instead of leaving it out",
        KernelBehaviour.StopsAtRangeEndingAtTarget => "ends its search for room at RAM that ends just where the next page is to go",
        KernelBehaviour.TakesLargeMaps => "takes maps of more than 128 entries from Xen; before, such a dom0 stops with a BUG",
        KernelBehaviour.ReservesKernelEarly => "keeps kernel and initrd reserved while it sets memory up",
        KernelBehaviour.ReservesFirstPage => "keeps the first page reserved meanwhile; before, a p2m list could not move to the lowest RAM",
        KernelBehaviour.ReservesFirst64KiB => "keeps the first 64 KiB reserved meanwhile",
        KernelBehaviour.AsksForOneAssist => "asks for one vm_assist only",
        KernelBehaviour.RegistersOneFastCall => "registers one fast way for 32-bit programs only",
        KernelBehaviour.LeavesPowerToXen => "leaves cpuidle and cpufreq to Xen",
        KernelBehaviour.KeepsIbftArea => "keeps 512 KiB to 1 MiB for an iBFT (dom0)",
        KernelBehaviour.HasScratchPool => "puts all extra memory into a pool that grows by hotplug",
        KernelBehaviour.ChecksToEnd => "checks the kernel to its very end (`_end`); before, to the end of its bss",
        KernelBehaviour.MovesNvs => "checks first, start_info too, and moves ACPI NVS out of the way",
        KernelBehaviour.MisplacesUnalignedNvs => "moves an unaligned ACPI NVS to a wrong place",
        KernelBehaviour.SearchesNvsAnew => "looks for more ACPI NVS from the start again after each that it moved",
        KernelBehaviour.PrefersHighPciGap => "takes the highest of equal gaps for PCI; before, the lowest",
        KernelBehaviour.SaysMem => "says `[mem 0x…-0x…]`, after `e820: `",
        KernelBehaviour.SaysAvailableGap => "says `available gap`, `32-bit`",
        KernelBehaviour.SaysNoPrefix => "says no `e820: `",
        KernelBehaviour.SaysSystemRam => "says `System RAM`, `device reserved`, `[gap …]`",
    };

    /// <summary>The releases that have it: "4.16 to 4.19, of stable series 4.14.74 on".</summary>
    public static string When(KernelBehaviour behaviour)
    {
        BehaviourSpan span = BehaviourSpan.Of(behaviour);
        string mainline = span.Until == BehaviourSpan.Never ? $"{Number(span.Since)} on"
            : span.Since == LastBefore(span.Until) ? Number(span.Since) : $"{Number(span.Since)} to {Number(LastBefore(span.Until))}";
        List<string> stableSeries = [];
        for (int i = 0; i < BehaviourSpan.MaxStable; i++)
        {
            StableSpan stable = span.Stable(i);
            if (stable.Until != 0)
                stableSeries.Add(Text(stable));
        }

        return stableSeries.Count == 0 ? mainline : $"{mainline}, of stable series {string.Join(", ", stableSeries)}";
    }

    /// <summary>"4.14.74 on", "4.19.0 to 4.19.8", "not 5.13".</summary>
    public static string Text(StableSpan stable)
    {
        string series = string.Create(CultureInfo.InvariantCulture, $"{stable.Major}.{stable.Minor}");
        return stable.From == ushort.MaxValue ? $"not {series}"
            : stable.Until == ushort.MaxValue ? string.Create(CultureInfo.InvariantCulture, $"{series}.{stable.From} on")
            : string.Create(CultureInfo.InvariantCulture, $"{series}.{stable.From} to {series}.{stable.Until - 1}");
    }

    /// <summary>The mainline release before another.</summary>
    public static KernelRelease LastBefore(KernelRelease release) =>
        release.Minor > 0 ? new((byte)release.Major, (byte)(release.Minor - 1))
            : new((byte)(release.Major - 1), (byte)(release.Major == 5 ? 20 : 19));

    /// <summary>"4.16".</summary>
    public static string Number(KernelRelease release) => string.Create(CultureInfo.InvariantCulture, $"{release.Major}.{release.Minor}");
}
