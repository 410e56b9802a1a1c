// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Hosts;

namespace Keyhole.ReservedRam;

/// <summary>
/// What helps where RAM cannot be kept as wished: other starts, ranges and sizes are planned, and only one is told that has no error. Where lines of
/// the host's map are lost, it has to work whatever they said.
/// </summary>
internal sealed class ReserveRemedies
{
    /// <summary>Pieces of RAM near whose ends a start or a range is tried.</summary>
    private const int MostPieces = 12;

    /// <summary>What is not worth keeping.</summary>
    private const ulong LeastBytes = 64UL << 20;

    private const string Reaches = ", if the device reaches so far";

    private readonly ReserveRequest _request;
    private readonly ImmutableArray<Host> _hosts;
    private readonly ImmutableArray<ByteRange> _pieces;

    private ReserveRemedies(ReserveRequest request, ImmutableArray<Host> hosts)
    {
        _request = request;
        _hosts = hosts;
        _pieces = [.. LinuxIomem.RamOf(hosts[0].Entries).OrderByDescending(static range => range.SizeBytes).Take(MostPieces)
            .OrderBy(static range => range.Start)];
    }

    /// <summary>The problems with what helps against them.</summary>
    /// <param name="hosts">The host; where lines of its map are lost, one for each reading of them.</param>
    public static ImmutableArray<Problem> For(ReserveRequest request, ImmutableArray<Host> hosts, ImmutableArray<Problem> problems)
    {
        if (!problems.Any(static problem => IsSought(problem) || IsEfi(problem)))
            return problems;
        var remedies = new ReserveRemedies(request, hosts);
        Phrase? found = problems.Any(IsSought) ? remedies.Find() : null;
        return [.. problems.Select(problem => IsSought(problem) ? problem with { Remedy = found }
            : IsEfi(problem) ? problem with { Remedy = remedies.FindForEfi(problem) } : problem)];
    }

    /// <summary>RAM above 4 GiB that is as good as what is wished; null where that is there already, or none is found.</summary>
    public static Phrase? Above4GiB(ReserveRequest request)
    {
        if (request.Ranges.Any(static range => range.End > Frames.FourGiB) && request.Ranges.All(static range => range.Start >= Frames.FourGiB))
            return null;
        var remedies = new ReserveRemedies(request, [request.Host]);
        return remedies.RangeOf(request, isHigh: true) is { } high ? remedies.Offer(request, high) : null;
    }

    private static bool IsSought(Problem problem) => problem.Remedy is null && problem.Code switch
    {
        ReserveProblemCodes.CrashKernelDoesNotFit => problem.Severity == Severity.Error,
        ReserveProblemCodes.BelowOneMiB or ReserveProblemCodes.StartUnaligned or ReserveProblemCodes.StartAboveRam
            or ReserveProblemCodes.NothingKept or ReserveProblemCodes.KernelOverlap or ReserveProblemCodes.GuestTooLarge
            or ReserveProblemCodes.KernelDoesNotFit or ReserveProblemCodes.LowMemoryGone => true,
        _ => false,
    };

    private static bool IsEfi(Problem problem) =>
        problem is { Code: ReserveProblemCodes.EfiKernelPlace, Remedy: null, Severity: Severity.Error or Severity.Warning };

    private Phrase Find()
    {
        List<Phrase> found = Alternatives(_request);
        if (found.Count > 0)
            return $"tried on this host's map, and works: {Phrase.Join("; or ", found)}";
        if (_request.Host.Traits.IsEfi == true)
        {
            found = Alternatives(ByBios(_request));
            if (found.Count > 0)
                return $"tried on this host's map, and works where the host is booted by BIOS (CSM): {Phrase.Join("; or ", found)}";
        }

        return "none was found: no other start, range or size that was tried works on this host";
    }

    private Phrase? FindForEfi(Problem problem)
    {
        List<Phrase> found = [];
        if (Works(ByBios(_request)))
            found.Add("boot the host by BIOS (CSM), where the kernel chooses its place around memmap=");
        if (RangeOf(_request, isHigh: true) is { } high)
        {
            found.Add($"keep RAM above 4 GiB ({Offer(_request, high)}), and look after the boot whether it is kept");
        }

        bool isSure = problem.Severity == Severity.Error;
        if (found.Count == 0)
            return isSure ? null : (Phrase)"look whether the host has /sys/firmware/efi";
        var joined = Phrase.Join("; or ", found);
        return isSure ? joined : (Phrase)$"look whether the host has /sys/firmware/efi; if so, {joined}";
    }

    private List<Phrase> Alternatives(ReserveRequest request)
    {
        List<Phrase> found = [];
        if (!request.Kernel.IsEmpty && Works(request with { Kernel = default }))
            found.Add("let the kernel choose its place (KASLR: boot without nokaslr)");
        if (request.Ranges.IsEmpty && StartOf(request) is { } start)
        {
            Setting setting = request.LowestStart ? Setting.ReservedBelow : Setting.ReservedStart;
            found.Add($"{setting} {Size(start)}{(request.LowestStart && start > request.Start ? Reaches : "")}");
        }

        if (RangeOf(request, isHigh: true) is { } high)
            found.Add(Offer(request, high));
        else if (!request.Ranges.IsEmpty && RangeOf(request, isHigh: false) is { } low)
            found.Add(Offer(request, low));
        if (GuestOf(request) is { } guest)
            found.Add($"{Setting.ReservedGuestMemory} {Size(guest)}");
        for (ulong crash = request.CrashKernelBytes >> 1; crash >= LeastBytes; crash = Align.Down(crash >> 1, Frames.SizeBytes))
        {
            if (!Works(request with { CrashKernelBytes = crash }))
                continue;
            found.Add($"{Setting.CrashKernel} {Size(crash)}");
            break;
        }

        return found;
    }

    /// <summary>A range in place of what is wished: that it keeps less, and that the device has to reach it, is told.</summary>
    private Phrase Offer(ReserveRequest request, ByteRange range)
    {
        ulong wanted = Wanted(request);
        string less = range.SizeBytes >= wanted ? "" : $", which keeps {ByteSize.ToText(range.SizeBytes)} instead of {ByteSize.ToText(wanted)}";
        bool isFarther = request.Ranges.IsEmpty ? range.End > request.Start : request.Ranges.All(asked => asked.End < range.End);
        return $"{Setting.ReservedRange} {Text(range)}{less}{(isFarther ? Reaches : "")}";
    }

    /// <summary>The start nearest to the wished one that works.</summary>
    private ulong? StartOf(ReserveRequest request)
    {
        foreach (ulong start in Starts(request).Where(start => start != request.Start)
            .OrderBy(start => start > request.Start ? start - request.Start : request.Start - start))
        {
            if (Works(request with { Start = start }))
                return start;
        }

        return null;
    }

    private IEnumerable<ulong> Starts(ReserveRequest request)
    {
        const ulong step = ReservePlanner.StartAlignment;
        ulong room = ReservePlanner.KernelBytes + request.CrashKernelBytes;
        List<ulong> starts = [Align.Down(request.Start, step), Align.Up(request.Start, step), 512UL << 20, Frames.FourGiB];
        foreach (ByteRange piece in _pieces)
            starts.AddRange([Align.Up(piece.Start, step), Align.Down(piece.End - ulong.Min(room, piece.SizeBytes), step)]);
        if (!request.Kernel.IsEmpty)
            starts.Add(Align.Down(request.Kernel.Start, step));
        if (request.GuestBytes is { } bytes && _pieces.Length > 0)
        {
            ulong most = Align.Down(_pieces[^1].End - 1, step);
            if (ReservePlanner.Model(request with { Host = _hosts[0], Start = most, LowestStart = true, GuestBytes = bytes }).Start is var start)
                starts.Add(start);
        }

        return starts.Where(static start => start is > X86Start and <= Frames.AddressLimit).Distinct();
    }

    private const ulong X86Start = E820.X86Layout.OneMiB;

    /// <summary>How much is to be kept.</summary>
    private ulong Wanted(ReserveRequest request) => request.GuestBytes ?? ByteRanges.Sum(request.Ranges.IsEmpty
        ? ByteRanges.Intersect(_pieces, [ByteRange.FromBounds(0, request.Start)]) : ByteRanges.Union(request.Ranges));

    /// <summary>A range of the same size; of half of it, and so on, where no guest's memory is given.</summary>
    private ByteRange? RangeOf(ReserveRequest request, bool isHigh)
    {
        ulong asked = Wanted(request);
        ImmutableArray<ByteRange> area =
            [isHigh ? ByteRange.FromBounds(Frames.FourGiB, Frames.AddressLimit) : ByteRange.FromBounds(X86Start, Frames.FourGiB)];
        for (ulong bytes = Align.Up(ulong.Min(asked, Frames.AddressLimit), ReservePlanner.StartAlignment); bytes >= LeastBytes || bytes == asked;
            bytes = Align.Down(bytes >> 1, ReservePlanner.StartAlignment))
        {
            foreach (ByteRange piece in ByteRanges.Intersect(_pieces, area))
            {
                ulong first = Align.Up(piece.Start, ReservePlanner.StartAlignment);
                if (first >= piece.End || piece.End - first < bytes || bytes == 0)
                    continue;
                foreach (ulong start in new[] { first, Align.Down(piece.End - bytes, ReservePlanner.StartAlignment) })
                {
                    var range = ByteRange.FromSize(start, bytes);
                    if (!request.Ranges.SequenceEqual([range]) && Works(request with { Start = 0, LowestStart = false, Ranges = [range] }))
                        return range;
                }
            }

            if (request.GuestBytes is not null || bytes == 0)
                return null;
        }

        return null;
    }

    /// <summary>The most memory of a guest that works with the same start or ranges.</summary>
    private ulong? GuestOf(ReserveRequest request)
    {
        if (request.GuestBytes is not { } asked)
            return null;
        IEnumerable<ulong> starts = !request.Ranges.IsEmpty || !request.LowestStart ? [request.Start]
            : Starts(request).Append(request.Start).Where(start => start <= request.Start);
        IEnumerable<ulong> kept = starts.Select(start =>
        {
            ReservePlan plan = ReservePlanner.Model(request with { Host = _hosts[0], Start = start, GuestBytes = null });
            return plan is { Guest: { } guest, Today: { } today }
                ? Align.Down(ulong.Min(guest.MemoryBytes, today.Guest.MemoryBytes), 1UL << 20) : 0;
        });
        foreach (ulong bytes in kept.Where(bytes => bytes > 0 && bytes < asked).Distinct().OrderDescending())
        {
            if (Works(request with { GuestBytes = bytes }))
                return bytes;
        }

        return null;
    }

    /// <summary>Whether it has no error, whatever lost lines say, and leaves the host its low RAM.</summary>
    private bool Works(ReserveRequest request) => _hosts.All(host =>
        ReservePlanner.Model(request with { Host = host with { Traits = host.Traits with { IsEfi = request.Host.Traits.IsEfi } } }).Problems.All(
            static problem => problem.Severity != Severity.Error && problem.Code != ReserveProblemCodes.LowMemoryGone));

    private static ReserveRequest ByBios(ReserveRequest request) =>
        request with { Host = request.Host with { Traits = request.Host.Traits with { IsEfi = false } } };

    private static string Size(ulong bytes) => MemmapParameters.Size(bytes);

    private static string Text(ByteRange range) => $"{Size(range.Start)}-{Size(range.End)}";
}
