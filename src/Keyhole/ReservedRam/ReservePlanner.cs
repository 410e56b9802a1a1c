// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.ReservedRam;

/// <summary>Plans a host that keeps RAM aside for a guest that is mapped one to one.</summary>
public static class ReservePlanner
{
    /// <summary>A kernel of x86-64 lies at a multiple of this (CONFIG_PHYSICAL_ALIGN), so RAM is its own from such an address on.</summary>
    public const ulong StartAlignment = X86Layout.LargePageBytes;

    /// <summary>Room in one piece that a kernel needs to unpack itself: init_size of Debian's Linux 6.1 is 63.6 MiB.</summary>
    public const ulong KernelBytes = 64UL << 20;

    /// <summary>Where a boot loader puts a kernel that does not choose its own place (CONFIG_PHYSICAL_START).</summary>
    public const ulong UsualKernelStart = X86Layout.LinuxStart;

    /// <summary>What Linux takes below 4 GiB for bounce buffers (swiotlb), without which devices of 32 address bits do not work.</summary>
    private const ulong BounceBufferBytes = 64UL << 20;

    /// <summary>Below 4 GiB for a crash kernel that lies above (crashkernel=…,low).</summary>
    private const ulong LowCrashKernelBytes = 256UL << 20;

    /// <summary>What is kept, and what that makes of host and guest.</summary>
    public static ReservePlan Plan(ReserveRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (!request.Ranges.IsEmpty)
            return PlanRanges(request);
        ImmutableArray<E820Entry> firmware = request.Host.Entries;
        ImmutableArray<ByteRange> ram = ReservedRamMap.Of(firmware, 0, []).HostRam;
        ulong? wished = request.LowestStart ? request.GuestBytes : null;
        ulong highest = wished is null ? request.Start : Highest(request.Start, ram);
        if (Impossible(highest, ram) is { } impossible)
            return new() { Host = request.Host, HostName = request.HostName, Start = highest, Problems = [impossible] };

        ImmutableArray<EarlyReservation> further = request.Kernel.IsEmpty ? request.Reserved
            : [.. request.Reserved, new(request.Kernel, "the host's kernel")];
        ulong start = wished is { } size ? LowestStart(firmware, highest, further, size) : highest;
        ulong guestBytes = request.GuestBytes ?? ulong.MaxValue;
        ReservedRamMap map = ReservedRamMap.Of(firmware, start, [.. EarlyReservations.Of2008, .. further]);
        GuestRam guest = GuestRam.Of(map, guestBytes);
        TodaysHost today = TodaysHost.Of(firmware, start, further, request.Kernel, guestBytes);
        List<Problem> problems = [];
        AddWish(problems, request, map, guest, today);
        AddHost(problems, request, map, today);
        AddEfi(problems, request, today);
        AddSecurity(problems, request.Host, map);
        return new()
        {
            Host = request.Host,
            HostName = request.HostName,
            Start = start,
            Map = map,
            Guest = guest,
            Today = today,
            Problems = [.. problems]
        };
    }

    /// <summary>Ranges anywhere: what memmap= keeps, for devices, guests, or drivers that want RAM of their own (nvmevirt, a pmem device).</summary>
    private static ReservePlan PlanRanges(ReserveRequest request)
    {
        ImmutableArray<E820Entry> firmware = request.Host.Entries;
        ImmutableArray<ByteRange> kept = ByteRanges.Union(request.Ranges);
        ImmutableArray<EarlyReservation> further = request.Kernel.IsEmpty ? request.Reserved
            : [.. request.Reserved, new(request.Kernel, "the host's kernel")];
        TodaysHost today = TodaysHost.OfRanges(firmware, kept, further, request.Kernel, request.GuestBytes ?? ulong.MaxValue);
        List<Problem> problems = [];
        ImmutableArray<ByteRange> ram = LinuxIomem.RamOf(firmware);
        foreach (ByteRange range in ByteRanges.Subtract(kept, ram))
        {
            problems.Add(new(
                Severity.Warning, ReserveProblemCodes.RangeWithoutRam,
                $"{ByteSize.ToText(range.SizeBytes)} of what is to be kept are not RAM of this host", range.Start, range.End));
        }

        AddWish(problems, request, today.Map, today.Guest, today);
        AddHost(problems, request, today.Map, today);
        AddEfi(problems, request, today);
        AddSecurity(problems, request.Host, today.Map);
        return new()
        {
            Host = request.Host,
            HostName = request.HostName,
            Start = 0,
            Ranges = kept,
            Map = today.Map,
            Guest = today.Guest,
            Today = today,
            Problems = [.. problems]
        };
    }

    /// <summary>Whether the host's Linux is known to be of 6.10 or later.</summary>
    private static bool IsPlacedLow(string? release) => Version.TryParse(release, out Version? version) && version >= new Version(6, 10);

    /// <summary>
    /// On an EFI host the kernel does not steer clear of memmap=. From 6.10 on its EFI stub then does not choose a place by chance and takes the
    /// lowest from 16 MiB on that the firmware left free; before, it could land anywhere. Seen on 6.12 with OVMF: the kernel at 0x1600000, in what
    /// memmap=511M$1M was to keep; and with memmap=1G$1G an Oops at boot, for the stub's own data lie in low RAM too. Above 4 GiB it held.
    /// </summary>
    private static void AddEfi(List<Problem> problems, ReserveRequest request, TodaysHost today)
    {
        ImmutableArray<ByteRange> low = ByteRanges.Intersect(today.Memmaps, [ByteRange.FromBounds(X86Layout.OneMiB, Frames.FourGiB)]);
        if (request.Host.Traits.IsEfi == true && !low.IsEmpty)
        {
            problems.Add(new(
                Severity.Error,
                ReserveProblemCodes.EfiKernelPlace,
                "this host boots by EFI: there the EFI stub places its kernel and data and does not avoid memmap=: they are then in "
                    + "the kept RAM; a device would overwrite the host's kernel",
                low[0].Start,
                low[^1].End,
                "boot the host by BIOS (CSM), where the kernel chooses its place around memmap=; or keep RAM above 4 GiB and "
                    + "look after the boot whether it is kept"));
        }
        else if (request.Host.Traits.IsEfi == true && IsPlacedLow(request.Host.Traits.LinuxRelease))
        {
            problems.Add(new(
                Severity.Info,
                ReserveProblemCodes.EfiKernelPlace,
                "this host boots by EFI: its Linux is placed low, which does not go by memmap=; above 4 GiB the RAM was kept where it was tried",
                Remedy: "look after the boot whether the RAM is kept"));
        }
        else if (request.Host.Traits.IsEfi == true)
        {
            problems.Add(new(
                Severity.Warning,
                ReserveProblemCodes.EfiKernelPlace,
                "this host boots by EFI: before Linux 6.10 its kernel may land in the kept RAM in spite of memmap=; later ones are placed low",
                Remedy: "boot Linux 6.10 or later, and look after the boot whether the RAM is kept"));
        }
        else if (request.Host.Traits.IsEfi is null && !low.IsEmpty)
        {
            problems.Add(new(
                Severity.Warning,
                ReserveProblemCodes.EfiKernelPlace,
                "the source does not say whether this host boots by EFI; if it does, its kernel does not avoid "
                    + "memmap= and is in the kept RAM",
                low[0].Start,
                low[^1].End,
                "look whether the host has /sys/firmware/efi; if so, boot it by BIOS (CSM) or keep RAM above 4 GiB"));
        }
    }

    /// <summary>The highest start that leaves the host RAM, where what is given is how far the device reaches.</summary>
    private static ulong Highest(ulong limit, ImmutableArray<ByteRange> ram) =>
        Align.Down(ram.IsEmpty ? limit : ulong.Min(limit, ram[^1].End - 1), StartAlignment);

    private static Problem? Impossible(ulong start, ImmutableArray<ByteRange> ram)
    {
        ulong end = ram.IsEmpty ? 0 : ram[^1].End;
        if (start <= X86Layout.OneMiB)
        {
            return new(
                Severity.Error, ReserveProblemCodes.BelowOneMiB, $"only memory below 1 MiB is below 0x{start:x}: no guest can do with that",
                Remedy: "start higher, at 512M for instance");
        }

        if (start % StartAlignment != 0)
        {
            ulong lower = Align.Down(start, StartAlignment);
            return new(
                Severity.Error,
                ReserveProblemCodes.StartUnaligned,
                $"0x{start:x} is not a multiple of 2 MiB, where a kernel can be",
                Remedy: $"take 0x{ulong.Max(lower, StartAlignment):x} or 0x{lower + StartAlignment:x}");
        }

        if (start >= end)
        {
            return new(
                Severity.Error, ReserveProblemCodes.StartAboveRam,
                $"0x{start:x} is above all RAM, which ends at 0x{end:x}: nothing is left to the host", Remedy: "start lower");
        }

        return ram[0].Start >= start
            ? new(Severity.Error, ReserveProblemCodes.NothingKept, $"there is no RAM below 0x{start:x}; it begins at 0x{ram[0].Start:x}",
                Remedy: "start higher")
            : null;
    }

    /// <summary>The lowest start that keeps so much; the highest allowed where none does.</summary>
    private static ulong LowestStart(ImmutableArray<E820Entry> firmware, ulong highest, ImmutableArray<EarlyReservation> further, ulong guestBytes)
    {
        // What today's Linux keeps is the smaller part of both: where its guest fits, that of 2008 does too.
        GuestRam guest = TodaysHost.Of(firmware, highest, further, default, guestBytes).Guest;
        ulong start = guest.Map.IsEmpty ? highest : Align.Up(guest.Map[^1].End, StartAlignment);
        return ulong.Clamp(start, StartAlignment, highest);
    }

    private static void AddWish(List<Problem> problems, ReserveRequest request, ReservedRamMap map, GuestRam guest, TodaysHost today)
    {
        if (request.Kernel.Start < map.Start && !request.Kernel.IsEmpty)
        {
            problems.Add(new(
                Severity.Error,
                ReserveProblemCodes.KernelOverlap,
                $"the kernel, which does not move, is below the start 0x{map.Start:x}",
                request.Kernel.Start,
                request.Kernel.End,
                "let it choose its place (KASLR: boot without nokaslr), or start at or below it"));
        }

        ulong wished = request.GuestBytes ?? 0;
        if (guest.MemoryBytes == 0 || today.Guest.MemoryBytes == 0)
        {
            problems.Add(new(
                Severity.Error,
                ReserveProblemCodes.NothingKept,
                $"all RAM below 0x{map.Start:x} is in use by the host's kernel or its firmware: no page is kept",
                Remedy: "start higher"));
        }
        else if (wished > guest.MemoryBytes)
        {
            problems.Add(new(
                Severity.Error,
                ReserveProblemCodes.GuestTooLarge,
                $"the guest wants {ByteSize.ToText(wished)}; what is kept below 0x{map.Start:x} is "
                    + $"{ByteSize.ToText(wished - guest.MemoryBytes)} too little",
                Remedy: "start higher, or give the guest less"));
        }
        else if (wished > today.Guest.MemoryBytes)
        {
            problems.Add(new(
                Severity.Error,
                ReserveProblemCodes.GuestTooLarge,
                $"the guest wants {ByteSize.ToText(wished)}; what memmap= keeps is {ByteSize.ToText(wished - today.Guest.MemoryBytes)} too little",
                Remedy: "start higher, or give the guest less"));
        }

        foreach (ByteRange range in GuestRam.NotIdentity(guest.Map, guest.Slots).Concat(GuestRam.NotIdentity(today.Guest.Map, today.Guest.Slots)))
            problems.Add(new(Severity.Error, ReserveProblemCodes.NotKept, "the guest's map names pages that a device would miss", range.Start,
                range.End));
        if (!today.LeftOver.IsEmpty)
        {
            problems.Add(new(
                Severity.Warning,
                ReserveProblemCodes.TooManyRanges,
                $"{today.LeftOver.Length} ranges of {ByteSize.ToText(ByteRanges.Sum(today.LeftOver))} stay with the host: the kernel's choice of "
                    + $"its own place (KASLR) minds four memmap= only",
                today.LeftOver[0].Start,
                today.LeftOver[^1].End,
                "start below them, if the guest can do without"));
        }
    }

    private static void AddHost(List<Problem> problems, ReserveRequest request, ReservedRamMap map, TodaysHost today)
    {
        ByteRange largest = ByteRanges.Largest(map.HostRam, StartAlignment);
        if (largest.SizeBytes < KernelBytes)
        {
            problems.Add(new(
                Severity.Error,
                ReserveProblemCodes.KernelDoesNotFit,
                $"the host keeps no {ByteSize.ToText(KernelBytes)} in one piece from 0x{map.Start:x} on (the largest is "
                    + $"{ByteSize.ToText(largest.SizeBytes)}), which its kernel needs",
                Remedy: "start lower"));
        }
        else if (request.Kernel.IsEmpty && map.Start > UsualKernelStart && request.Host.Traits.IsEfi != true)
        {
            problems.Add(new(
                Severity.Info,
                ReserveProblemCodes.KernelMustMove,
                "booted by BIOS, a kernel starts at 16 MiB unless it chooses its place (KASLR), which steers clear of memmap=; with "
                    + "nokaslr it would be in the kept RAM",
                UsualKernelStart,
                UsualKernelStart + KernelBytes,
                "boot without nokaslr"));
        }

        ImmutableArray<ByteRange> low = ByteRanges.Intersect(map.HostRam, [ByteRange.FromBounds(0, Frames.FourGiB)]);
        if (ByteRanges.Sum(low) < BounceBufferBytes)
        {
            problems.Add(new(
                Severity.Warning,
                ReserveProblemCodes.LowMemoryGone,
                $"the host keeps {ByteSize.ToText(ByteRanges.Sum(low))} below 4 GiB: Linux gets no bounce buffers (swiotlb), and its own "
                    + $"devices of 32 address bits do not work",
                Remedy: $"start at least {ByteSize.ToText(BounceBufferBytes)} below the end of low RAM"));
        }

        if (request.CrashKernelBytes > 0)
            AddCrashKernel(problems, request.CrashKernelBytes, ByteRanges.Largest(low, StartAlignment), largest, map.Start);
        if (today.NeedsRelaxedIomem)
        {
            problems.Add(new(
                Severity.Info,
                ReserveProblemCodes.IomemRelaxed,
                "kept RAM becomes one busy resource with reserved memory below 1 MiB, which kernels with CONFIG_IO_STRICT_DEVMEM let nobody "
                    + "map; the parameters say iomem=relaxed"));
        }

        if (request.Host.HasLostEntries)
        {
            ImmutableArray<ByteRange> lost = request.Host.LostRanges;
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.MapNotKnown,
                $"it is not known how much RAM the host has, and what is where {string.Join(", ", request.Host.LostRangesInWords)} "
                    + $"{(lost.Length == 1 ? "is" : "are")}: lines of its map are lost, and the figures are those of the lines that are there",
                lost[0].Start,
                lost[0].End,
                "give the whole log, or another source of the host's map"));
        }

        if (request.Host.RamShown == RamShown.KernelsShare || request.Host.IsMachineMap)
        {
            problems.Add(new(
                Severity.Warning,
                ReserveProblemCodes.NotFirmwareMap,
                "this map is a kernel's: what was kept aside at its boot is missing from the RAM in it",
                Remedy: "give the firmware's: /sys/firmware/memmap or the boot log"));
        }
    }

    private static void AddCrashKernel(List<Problem> problems, ulong sizeBytes, ByteRange low, ByteRange largest, ulong start)
    {
        if (low.SizeBytes >= sizeBytes + KernelBytes)
            return;
        string wanted = $"crashkernel={MemmapParameters.Size(sizeBytes)}";
        if (largest.SizeBytes < sizeBytes + KernelBytes)
        {
            problems.Add(new(
                Severity.Error,
                ReserveProblemCodes.CrashKernelDoesNotFit,
                $"{wanted} and the kernel find no place from 0x{start:x} on; the largest piece is {ByteSize.ToText(largest.SizeBytes)}",
                Remedy: "start lower, or reserve less"));
        }
        else
        {
            problems.Add(new(
                low.SizeBytes >= LowCrashKernelBytes ? Severity.Info : Severity.Warning,
                ReserveProblemCodes.CrashKernelDoesNotFit,
                $"{wanted} fits above 4 GiB only, and then wants {ByteSize.ToText(LowCrashKernelBytes)} below besides; the host keeps "
                    + $"{ByteSize.ToText(low.SizeBytes)} there in one piece",
                Remedy: $"say {wanted},high, with crashkernel=…,low of a size that is there"));
        }
    }

    private static void AddSecurity(List<Problem> problems, Host host, ReservedRamMap map)
    {
        if (!host.Traits.Iommus.IsEmpty)
        {
            problems.Add(new(
                Severity.Warning,
                ReserveProblemCodes.IommuPresent,
                $"this host has an IOMMU (registers at {string.Join(", ", host.Traits.Iommus.Select(static address => $"0x{address:x}"))}): with "
                    + $"it a guest needs no RAM of its own addresses, and the device is confined",
                Remedy: "turn it on (intel_iommu=on, or the firmware's setting) and pass the device through with vfio-pci"));
        }

        problems.Add(new(
            Severity.Warning,
            ReserveProblemCodes.DeviceReachesAll,
            $"without an IOMMU the guest's device reads and overwrites what it likes: all {ByteSize.ToText(ByteRanges.Sum(map.HostRam))} of the "
                + $"host's RAM, its kernel, other guests and other "
            + "devices' registers; whoever has root in the guest has the host",
            Remedy: "give it to a guest only that you trust as much as the host"));
    }
}
