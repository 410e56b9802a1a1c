// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
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

    /// <summary>What is kept, and what that makes of host and guest.</summary>
    public static ReservePlan Plan(ReserveRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (request.Host.HasLostEntries)
            return HostOptions.Applied(ReserveDoubts.Plan(request));
        ReservePlan plan = Model(request);
        return HostOptions.Applied(plan with { Request = request, Problems = ReserveRemedies.For(request, [request.Host], plan.Problems) });
    }

    /// <summary>The same for a host of which nothing is lost; what helps is not looked for.</summary>
    internal static ReservePlan Model(ReserveRequest request)
    {
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
        ReserveReview.AddWish(problems, request, map, guest, today);
        ReserveReview.AddHost(problems, request, map, today);
        ReserveReview.AddEfi(problems, request, today);
        ReserveReview.AddSecurity(problems, request.Host, map);
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
        problems.AddRange(ReserveReview.WithoutRam(kept, LinuxIomem.RamOf(firmware)));
        ReserveReview.AddWish(problems, request, today.Map, today.Guest, today);
        ReserveReview.AddHost(problems, request, today.Map, today);
        ReserveReview.AddEfi(problems, request, today);
        ReserveReview.AddSecurity(problems, request.Host, today.Map);
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

    /// <summary>The highest start that leaves the host RAM, where what is given is how far the device reaches.</summary>
    private static ulong Highest(ulong limit, ImmutableArray<ByteRange> ram) =>
        Align.Down(ram.IsEmpty ? limit : ulong.Min(limit, ram[^1].End - 1), StartAlignment);

    private static Problem? Impossible(ulong start, ImmutableArray<ByteRange> ram)
    {
        ulong end = ram.IsEmpty ? 0 : ram[^1].End;
        if (start <= X86Layout.OneMiB)
        {
            return new(
                Severity.Error, ReserveProblemCodes.BelowOneMiB, $"only memory below 1 MiB is below 0x{start:x}: no guest can do with that");
        }

        if (start % StartAlignment != 0)
        {
            return new(
                Severity.Error,
                ReserveProblemCodes.StartUnaligned,
                $"0x{start:x} is not a multiple of 2 MiB, where a kernel can be");
        }

        if (start >= end)
        {
            return new(
                Severity.Error, ReserveProblemCodes.StartAboveRam,
                end == 0 ? "the host's map has no RAM" : $"0x{start:x} is above all RAM, which ends at 0x{end:x}: nothing is left to the host");
        }

        return ram[0].Start >= start
            ? new(Severity.Error, ReserveProblemCodes.NothingKept, $"there is no RAM below 0x{start:x}; it begins at 0x{ram[0].Start:x}")
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
}
