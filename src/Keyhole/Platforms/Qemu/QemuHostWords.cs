// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Platforms.Qemu.Board;

namespace Keyhole.Platforms.Qemu;

/// <summary>What logs say of a guest's start, or of what it is to be given: no forecast, but what happened.</summary>
internal static class QemuHostWords
{
    /// <summary>QEMU's words: vfio_listener_region_add.</summary>
    private const string BarAlone = ". With this guest that is no RAM but a BAR: no other device reaches it, and QEMU goes on (\"PCI peer-to-peer "
        + "transactions on BARs are not supported\"), save where it is memory of its own as ivshmem's";

    private const string BadAddress = "Bad address";

    private const string NotPinned =
        "Linux did not pin the guest's RAM for the device; either QEMU may lock less memory than that, or the host had no more";

    /// <summary>Characters of a line of QEMU's that are quoted: the reason stands at its end.</summary>
    private const int MostOfWords = 300;

    private const string ConsoleRemedy = "boot the host's Linux with initcall_blacklist=sysfb_init (Linux 5.15 and later; video=efifb:off alone no "
        + "longer helps): it has no console on that display then";

    /// <summary>What keeps Linux from pinning, where something is known; null else.</summary>
    private static string? CmaCause(QemuGuest guest, HostTraits traits) => guest.HasHugePages
        && traits.KernelOptions is { } options && options.Any(static option => option.StartsWith(CmaOption, System.StringComparison.Ordinal))
        ? "Linux did not pin the guest's RAM for the device: huge pages that come from hugetlb_cma=, which is on the host's command line, are kept "
            + "movable"
        : null;

    private const string CmaOption = "hugetlb_cma=";
    private const string CmaRemedy = "boot the host with hugepages= in place of hugetlb_cma=";

    private static string MemoryLockRemedy(QemuGuest guest) => OwnWords.MemoryLock(guest.Dialect) is { } setting
        ? $"look for \"RLIMIT_MEMLOCK … exceeded\" in the host's log: with it, raise what QEMU may lock ({setting}); without it, give the guest less "
            + "memory than the host has free"
        : "give the guest less memory than the host has free: Proxmox VE lets QEMU lock all that there is";

    /// <param name="machine">With the devices of the host that the guest is given.</param>
    public static void Report(Scenario scenario, QemuGuest guest, QemuMachine machine, QemuLimits limits, List<Problem> problems)
    {
        HostComplaints said = scenario.Host.Traits.Complaints;
        QemuDevice[] given = [.. machine.Devices.Where(HostFunctions.IsOne)];
        QemuStops.ReportIommu(scenario, guest, machine, problems);
        ReportLastWords(guest, scenario.Host.Traits, problems);
        ReportMemoryLock(guest, machine, said, given.Length > 0, problems);
        foreach (TakenWindow window in said.Taken)
        {
            if (given.Any(device => HostFunctions.Covers(device, window.Device)))
                ReportTaken(said, window, problems);
        }

        foreach ((PciAddress device, ByteRange range) in said.ConsoleRanges)
        {
            if (given.Any(one => HostFunctions.Covers(one, device)) && !said.Taken.Any(window => window.Device == device && window.Range == range))
                ReportConsole(device, range, problems);
        }

        ReportHugePages(guest, machine, said, problems);
        if (given.Length > 0)
            ReportMapFailures(guest, machine, limits, scenario.Host.Traits, problems);
    }

    /// <summary>/proc/iomem shows what is so now: a driver that loads later finds it so.</summary>
    private static void ReportConsole(PciAddress device, ByteRange range, List<Problem> problems) => problems.Add(new(
        Severity.Warning,
        ProblemCodes.HostUnplaced,
        $"the host's boot console has its picture in this window of {device} (/proc/iomem), and the driver for guests cannot reserve the window "
            + "while it has: what the guest reads from it and writes to it does not reach the device",
        range.Start,
        range.End,
        ConsoleRemedy));

    /// <summary>Whether a range is none of the guest's RAM: QEMU maps BARs, too, so that other devices reach them, and goes on without.</summary>
    private static bool IsBar(QemuMachine machine, ByteRange range) => QemuMemory.TryLayOut(machine, out QemuMemory memory, out _)
        && range.Start >= memory.LowEnd && !range.Overlaps(memory.High) && (range.End <= Frames.FourGiB || range.Start >= memory.RamEnd);

    private static void ReportMapFailures(
        QemuGuest guest, QemuMachine machine, QemuLimits limits, HostTraits traits, List<Problem> problems)
    {
        HostComplaints said = traits.Complaints;
        string? cma = CmaCause(guest, traits);
        const int noMemory = 12;
        const int invalid = 22;
        // The last words of this guest's own log say it already.
        if (guest.LastWords.Length > 0)
            return;
        foreach (MapFailure failure in said.MapFailures.Where(static failure => failure.IsOfKvm))
        {
            var range = ByteRange.FromSize(failure.Address, failure.SizeBytes);
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.GuestDoesNotStart,
                string.Create(CultureInfo.InvariantCulture,
                    $"QEMU said in the host's log that KVM could not map [0x{range.Start:x}, 0x{range.End:x}) ")
                    + "of a guest's addresses (\"KVM_SET_USER_MEMORY_REGION failed\"), and ended with that; if it was this guest, it does not run",
                range.Start,
                range.End));
        }

        foreach (IGrouping<int, MapFailure> failures in said.MapFailures.Where(static failure => !failure.IsOfKvm)
            .GroupBy(static failure => failure.Error))
        {
            MapFailure highest = failures.MaxBy(static failure => failure.Address);
            ByteRange range = ByteRange.FromSize(highest.Address, highest.SizeBytes);
            bool isBeyond = limits.IommuBits is { } bits && (range.End - 1) >> bits != 0;
            bool isKept = limits.KeepsHyperTransport && range.Overlaps(X86Layout.HyperTransport);
            int others = failures.Count() - 1;
            string more = others == 0 ? "" : $" and {others} more";
            string ranges = string.Create(CultureInfo.InvariantCulture,
                $"[0x{range.Start:x}, 0x{range.End:x}){more}");
            string cause = failures.Key switch
            {
                noMemory => $": {cma ?? NotPinned}",
                invalid when isBeyond => $": beyond the {limits.IommuBits} address bits that the host's IOMMU has",
                invalid when isKept => ": AMD's HyperTransport range, which the host's IOMMU keeps for the platform",
                invalid => ": addresses that the host's IOMMU does not have, or keeps for the platform (DMAR's \"Host address width\" tells how "
                    + "many bits Intel's has)",
                _ => "",
            };
            problems.Add(new(
                Severity.Warning,
                failures.Key == noMemory ? ProblemCodes.GuestDoesNotStart : ProblemCodes.DmaBeyondIommu,
                $"QEMU said in the host's log that it could not map {ranges} of a guest's addresses for a device (-{failures.Key}){cause}"
                    + (IsBar(machine, range) && !said.MapFailures.Any(one => one.IsOfKvm && one.Address == highest.Address) ? BarAlone : ""),
                range.Start,
                range.End,
                failures.Key != noMemory ? null : cma is not null ? CmaRemedy : said.ExceededLock is null ? MemoryLockRemedy(guest) : null));
        }
    }

    private static void ReportLastWords(QemuGuest guest, HostTraits traits, List<Problem> problems)
    {
        if (guest.LastWords.Length > 0)
            problems.Add(LastWordsOf(guest, traits));
    }

    /// <summary>That a log of the guest's start ends with words of QEMU's.</summary>
    internal static Problem LastWordsOf(QemuGuest guest, HostTraits traits)
    {
        // What ended a guest that ran may be a BAR that another device was to reach, and no RAM.
        bool isEnd = guest.LastWords.Contains(QemuLastWords.HardwareError, System.StringComparison.Ordinal)
            || guest.LastWords.Contains(QemuLastWords.SlotError, System.StringComparison.Ordinal);
        bool isFault = guest.LastWords.Contains(BadAddress, System.StringComparison.Ordinal);
        (string? cause, string? remedy) = isEnd && isFault ? default : CauseOf(guest, guest.LastWords, traits);
        return new(
            Severity.Error,
            ProblemCodes.GuestDoesNotStart,
            $"QEMU {(isEnd ? "ended" : "did not start the guest")} when this log was written: \"{InputError.OneLine(guest.LastWords, MostOfWords)}\""
                + (cause is null ? "" : $": {cause}"),
            Remedy: remedy);
    }

    /// <summary>What stands behind such words, and what to do; nulls where they alone do not tell.</summary>
    internal static (string? Cause, string? Remedy) CauseOf(QemuGuest guest, string words, HostTraits traits)
    {
        if (words.Contains(BadAddress, System.StringComparison.Ordinal))
            return ("Linux could not get the pages behind that part of the guest's RAM, as with a file on a filesystem that is full, or huge pages "
                + "of which none are left", "look whether what the guest's RAM is made of has room: df for its file's filesystem, HugePages_Free in "
                + "/proc/meminfo");
        // Up to 5.1 QEMU named the error by its number.
        if (!words.Contains("Cannot allocate memory", System.StringComparison.Ordinal)
            && !words.EndsWith("VFIO_MAP_DMA: -12", System.StringComparison.Ordinal))
            return (null, null);
        if (words.Contains("set up guest memory", System.StringComparison.Ordinal))
            return ("Linux did not let QEMU have as much memory as the guest's RAM is: the host has not so much, or QEMU may not take it",
                "give the guest less memory than the host has free, or raise what keeps QEMU below it (ulimit -v, a control group, "
                    + "vm.overcommit_memory=2)");
        if (words.Contains("backing store", System.StringComparison.Ordinal))
            return ("Linux had not as many pages as that part of the guest's RAM takes, as where too few huge pages are left",
                "look how many are left: HugePages_Free in /proc/meminfo");
        return CmaCause(guest, traits) is { } cma ? (cma, CmaRemedy)
            : (NotPinned, traits.Complaints.ExceededLock is null ? MemoryLockRemedy(guest) : null);
    }

    private static void ReportMemoryLock(QemuGuest guest, QemuMachine machine, HostComplaints said, bool hasDevice, List<Problem> problems)
    {
        if (said.ExceededLock is not { } limit || !hasDevice)
            return;
        problems.Add(new(
            guest.LastWords.Length > 0 ? Severity.Error : Severity.Warning,
            ProblemCodes.GuestDoesNotStart,
            $"the host's log says that a process with a device of its own was to lock more memory than it may "
                + $"(\"RLIMIT_MEMLOCK ({limit}) exceeded\", {ByteSize.ToText(limit)}): VFIO_MAP_DMA fails with -12 (Cannot allocate memory) then",
            Remedy: guest.Dialect == QemuDialect.Libvirt && limit < machine.MemoryBytes
                ? $"see whether the guest's <memtune><hard_limit> is {ByteSize.ToText(limit)}, and raise it above the guest's RAM: without one, and "
                    + "with a larger one, libvirt lets QEMU lock more, and the line is of another process"
                : "raise what QEMU may lock above the guest's RAM: "
                + (OwnWords.MemoryLock(guest.Dialect) ?? "Proxmox VE itself sets no limit, and what did is in how its services are started")));
    }

    private static void ReportTaken(HostComplaints said, TakenWindow window, List<Problem> problems)
    {
        bool isConsole = said.Framebuffers.Any(window.Range.Contains) || said.ConsoleWindows.Contains((window.Device, window.Index));
        problems.Add(new(
            Severity.Warning,
            ProblemCodes.HostUnplaced,
            string.Create(CultureInfo.InvariantCulture,
                $"BAR {window.Index} of {window.Device} cannot be reserved for a guest on this host (its log: "
                + $"\"BAR {window.Index}: can't reserve [mem 0x{window.Range.Start:x}-0x{window.Range.End - 1:x}]\"): ")
                + (isConsole ? "the host's boot console has its picture there; "
                    : "something else of the host has it, and what, the log does not tell; ")
                + "what the guest reads from the BAR and writes to it does not reach the device",
            window.Range.Start,
            window.Range.End,
            isConsole ? ConsoleRemedy : "look for who has that range: /proc/iomem"));
    }

    private static void ReportHugePages(QemuGuest guest, QemuMachine machine, HostComplaints said, List<Problem> problems)
    {
        if (guest.HugePageBytes is not { } size)
            return;
        // Proxmox plugs in what it does not start with.
        ulong ramBytes = machine.MemoryBytes
            + machine.MemoryObjects.Where(static part => part.Id.StartsWith("mem-dimm", System.StringComparison.Ordinal))
                .Aggregate(0UL, static (sum, part) => sum + part.SizeBytes);
        ulong needed = (ramBytes + size - 1) / size;
        foreach (HugePagePool pool in said.HugePages)
        {
            if (pool.PageBytes != size || pool.Count >= needed)
                continue;
            string page = ByteSize.ToText(size);
            string words = pool.Wanted is { } wanted ? $"{pool.Count} of the {wanted} that it was to" : $"{pool.Count}";
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.HugePages,
                $"the guest's RAM takes {needed} huge pages of {page}, and the host's Linux set aside {words} when it booted (its log: \"HugeTLB\"): "
                    + (guest.Dialect == QemuDialect.Proxmox
                        ? "Proxmox VE asks Linux for the rest when it starts the guest, and where Linux has them not, the guest is not started"
                        : "unless more have been set aside since (HugePages_Total in /proc/meminfo), QEMU does not start the guest"),
                Remedy: $"give the guest no more than {ByteSize.ToText(pool.Count * size)}, or "
                    + (pool.Wanted >= needed ? $"smaller pages: the host's Linux had no more of {page} when it booted"
                        : $"have the host's Linux set {needed} pages of {page} aside at boot (hugepagesz=, hugepages=)")));
        }
    }
}
