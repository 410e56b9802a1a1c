// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.ReservedRam;

/// <summary>What is wrong with RAM kept aside on a host whose whole map is known.</summary>
internal static class ReserveReview
{
    /// <summary>What Linux takes below 4 GiB for bounce buffers (swiotlb), without which devices of 32 address bits do not work.</summary>
    private const ulong BounceBufferBytes = 64UL << 20;

    /// <summary>What a newer Linux makes do with ("SWIOTLB bounce buffer size adjusted", swiotlb_init_remap in kernel/dma/swiotlb.c).</summary>
    private const ulong LeastBounceBufferBytes = 1UL << 20;

    /// <summary>Below 4 GiB for a crash kernel that lies above (crashkernel=…,low).</summary>
    private const ulong LowCrashKernelBytes = 256UL << 20;

    public static void AddWish(List<Problem> problems, ReserveRequest request, ReservedRamMap map, GuestRam guest, TodaysHost today)
    {
        if (request.Kernel.Start < map.Start && !request.Kernel.IsEmpty)
        {
            problems.Add(new(
                Severity.Error,
                ReserveProblemCodes.KernelOverlap,
                $"the kernel, which does not move, is below the start 0x{map.Start:x}",
                request.Kernel.Start,
                request.Kernel.End));
        }

        ulong wished = request.GuestBytes ?? 0;
        if (guest.MemoryBytes == 0 || today.Guest.MemoryBytes == 0)
        {
            problems.Add(new(
                Severity.Error,
                ReserveProblemCodes.NothingKept,
                WhyNothing(request, map)));
        }
        else if (wished > guest.MemoryBytes)
        {
            problems.Add(new(
                Severity.Error,
                ReserveProblemCodes.GuestTooLarge,
                $"the guest wants {ByteSize.ToText(wished)}; what is kept {Kept(request, map)} is "
                    + $"{ByteSize.ToText(wished - guest.MemoryBytes)} too little"));
        }
        else if (wished > today.Guest.MemoryBytes)
        {
            problems.Add(new(
                Severity.Error,
                ReserveProblemCodes.GuestTooLarge,
                $"the guest wants {ByteSize.ToText(wished)}; what memmap= keeps is {ByteSize.ToText(wished - today.Guest.MemoryBytes)} too little"));
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
                today.LeftOver[^1].End));
        }
    }

    public static void AddHost(List<Problem> problems, ReserveRequest request, ReservedRamMap map, TodaysHost today)
    {
        ByteRange largest = ByteRanges.Largest(map.HostRam, ReservePlanner.StartAlignment);
        if (largest.SizeBytes < ReservePlanner.KernelBytes)
        {
            problems.Add(new(
                Severity.Error,
                ReserveProblemCodes.KernelDoesNotFit,
                $"the host keeps no {ByteSize.ToText(ReservePlanner.KernelBytes)} in one piece {Left(request, map)} (the largest is "
                    + $"{ByteSize.ToText(largest.SizeBytes)}), which its kernel needs"));
        }
        else if (request.Kernel.IsEmpty && map.Start > ReservePlanner.UsualKernelStart && request.Host.Traits is { IsEfi: not true } traits
            && traits.KernelOptions?.Contains(HostOptions.NoKaslr, System.StringComparer.Ordinal) != true)
        {
            problems.Add(new(
                Severity.Info,
                ReserveProblemCodes.KernelMustMove,
                "booted by BIOS, a kernel starts at 16 MiB unless it chooses its place (KASLR), which steers clear of memmap=; with "
                    + "nokaslr it would be in the kept RAM",
                ReservePlanner.UsualKernelStart,
                ReservePlanner.UsualKernelStart + ReservePlanner.KernelBytes,
                // Of options that are known there is nothing to take out.
                traits.KernelOptions is null ? $"boot without {HostOptions.NoKaslr}" : null));
        }

        ImmutableArray<ByteRange> low = ByteRanges.Intersect(map.HostRam, [ByteRange.FromBounds(0, Frames.FourGiB)]);
        if (ByteRanges.Sum(low) < BounceBufferBytes)
        {
            string without = "its own devices of 32 address bits do not work"
                + (request.Host.Traits.LinuxUsesIommu == true ? " where its IOMMU does not translate for them (iommu=pt)" : "");
            problems.Add(new(
                Severity.Warning,
                ReserveProblemCodes.LowMemoryGone,
                $"the host keeps {ByteSize.ToText(ByteRanges.Sum(low))} below 4 GiB: " + (ByteRanges.Sum(low) < LeastBounceBufferBytes
                    ? $"Linux gets no bounce buffers (swiotlb), and {without}"
                    : $"Linux gets no 64 MiB of bounce buffers (swiotlb): a newer one takes fewer, and with an older one {without}")));
        }

        if (request.CrashKernelBytes > 0)
            AddCrashKernel(problems, request.CrashKernelBytes, ByteRanges.Largest(low, ReservePlanner.StartAlignment), largest, Left(request, map));
        if (today.NeedsRelaxedIomem)
        {
            problems.Add(new(
                Severity.Info,
                ReserveProblemCodes.IomemRelaxed,
                "kept RAM becomes one busy resource with reserved memory below 1 MiB, which kernels with CONFIG_IO_STRICT_DEVMEM let nobody "
                    + "map; the parameters say iomem=relaxed"));
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

    /// <summary>
    /// On an EFI host the kernel does not steer clear of memmap=. From 6.10 on its EFI stub then does not choose a place by chance and takes the
    /// lowest from 16 MiB on that the firmware left free; before, it could land anywhere. Seen on 6.12 with OVMF: the kernel at 0x1600000, in what
    /// memmap=511M$1M was to keep; and with memmap=1G$1G an Oops at boot, for the stub's own data lie in low RAM too. Above 4 GiB it held.
    /// </summary>
    public static void AddEfi(List<Problem> problems, ReserveRequest request, TodaysHost today)
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
                low[^1].End));
        }
        else if (request.Host.Traits.IsEfi == true && EfiPlacement.IsLow(request.Host))
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
                Remedy: $"boot Linux 6.10 or later{EfiPlacement.OrByNoKaslr(request.Host, today.Memmaps)}, and look after the boot whether the RAM "
                    + $"is kept"));
        }
        else if (request.Host.Traits.IsEfi is null && !low.IsEmpty)
        {
            problems.Add(new(
                Severity.Warning,
                ReserveProblemCodes.EfiKernelPlace,
                "the source does not say whether this host boots by EFI; if it does, its kernel does not avoid "
                    + "memmap= and is in the kept RAM",
                low[0].Start,
                low[^1].End));
        }
    }

    private static void AddCrashKernel(List<Problem> problems, ulong sizeBytes, ByteRange low, ByteRange largest, string where)
    {
        if (low.SizeBytes >= sizeBytes + ReservePlanner.KernelBytes)
            return;
        string wanted = $"crashkernel={MemmapParameters.Size(sizeBytes)}";
        if (largest.SizeBytes < sizeBytes + ReservePlanner.KernelBytes)
        {
            problems.Add(new(
                Severity.Error,
                ReserveProblemCodes.CrashKernelDoesNotFit,
                $"{wanted} and the kernel find no place {where}; the largest piece is {ByteSize.ToText(largest.SizeBytes)}"));
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

    public static void AddSecurity(List<Problem> problems, Host host, ReservedRamMap map)
    {
        if (host.Traits.UsesIommu == true)
        {
            problems.Add(new(
                Severity.Warning,
                ReserveProblemCodes.IommuPresent,
                "Xen uses this host's IOMMU (its log says \"I/O virtualisation enabled\"): a guest needs no RAM of its own addresses, and the device "
                    + "is confined",
                Remedy: "pass the device through (pci=) to a guest without RAM that is kept for it"));
            return;
        }

        if (host.Traits.LinuxUsesIommu == true)
        {
            problems.Add(new(
                Severity.Warning,
                ReserveProblemCodes.IommuPresent,
                "the host's Linux uses its IOMMU, as its log says: a guest needs no RAM of its own addresses, and the device is confined",
                Remedy: "pass the device through with vfio-pci to a guest without RAM that is kept for it"));
            return;
        }

        if (!host.Traits.Iommus.IsEmpty || host.Traits.Iommu is not null)
        {
            string which = host.Traits.Iommus.IsEmpty ? host.Traits.Iommu == HostIommu.AmdVi ? "AMD-Vi" : "VT-d"
                : $"registers at {string.Join(", ", host.Traits.Iommus.Select(static address => $"0x{address:x}"))}";
            problems.Add(new(
                Severity.Warning,
                ReserveProblemCodes.IommuPresent,
                $"this host has an IOMMU ({which}): with it a guest needs no RAM of its own addresses, and the device is confined",
                Remedy: $"turn it on ({(host.Traits.Iommu == HostIommu.AmdVi ? "the firmware's setting, and no amd_iommu=off"
                    : "intel_iommu=on, or the firmware's setting")}) and pass the device through with vfio-pci"));
        }

        problems.Add(DeviceReachesAll($"all {ByteSize.ToText(ByteRanges.Sum(map.HostRam))} of the host's RAM"));
    }

    /// <param name="hostRam">How much RAM the host keeps, in words.</param>
    public static Problem DeviceReachesAll(string hostRam) => new(
        Severity.Warning,
        ReserveProblemCodes.DeviceReachesAll,
        $"without an IOMMU the guest's device reads and overwrites what it likes: {hostRam}, its kernel, other guests and "
            + "other devices' registers; whoever has root in the guest has the host",
        Remedy: "give it to a guest only that you trust as much as the host");

    /// <summary>What of a range to keep is no RAM. Where nothing of it is, that nothing is kept says it.</summary>
    public static IEnumerable<Problem> WithoutRam(ImmutableArray<ByteRange> kept, ImmutableArray<ByteRange> ram) =>
        ByteRanges.Intersect(kept, ram).IsEmpty ? [] : ByteRanges.Subtract(kept, ram).Select(static range => new Problem(
            Severity.Warning, ReserveProblemCodes.RangeWithoutRam,
            $"{ByteSize.ToText(range.SizeBytes)} of what is to be kept are not RAM of this host", range.Start, range.End));

    /// <summary>Ranges in words; of many the largest.</summary>
    public static string Text(ImmutableArray<ByteRange> ranges)
    {
        const int most = 3;
        IEnumerable<ByteRange> named = ranges.OrderByDescending(static range => range.SizeBytes).Take(most).OrderBy(static range => range.Start);
        return string.Join(", ", named.Select(LostLines.Text)) + (ranges.Length > most ? $" and {ranges.Length - most} smaller" : "");
    }

    private static string WhyNothing(ReserveRequest request, ReservedRamMap map)
    {
        ImmutableArray<ByteRange> ram = LinuxIomem.RamOf(request.Host.Entries);
        if (!request.Ranges.IsEmpty && ByteRanges.Intersect(ByteRanges.Union(request.Ranges), ram).IsEmpty)
        {
            return $"the host has no RAM {Kept(request, map)}: "
                + (ram.IsEmpty ? "its map has none at all" : $"its RAM is in {Text(ram)}");
        }

        return $"all RAM {Kept(request, map)} is in use by the host's kernel or its firmware, or was given as such: no page is kept";
    }

    private static string Kept(ReserveRequest request, ReservedRamMap map) =>
        request.Ranges.IsEmpty ? $"below 0x{map.Start:x}" : $"in {Text(ByteRanges.Union(request.Ranges))}";

    private static string Left(ReserveRequest request, ReservedRamMap map) =>
        request.Ranges.IsEmpty ? $"from 0x{map.Start:x} on" : "outside of what is kept";
}
