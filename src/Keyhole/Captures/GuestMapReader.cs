// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Logs;
using Keyhole.Reading;

namespace Keyhole.Captures;

/// <summary>A guest's map as somebody wrote it down or pasted it.</summary>
/// <param name="Entries">In the order of the source, which counts: maps are installed as they stand.</param>
/// <param name="Description">One line for people: "xl's e820_sanitize lines, line 2 of xl.log".</param>
/// <param name="Remarks">For people; none are errors.</param>
public sealed record GuestMap(ImmutableArray<E820Entry> Entries, string Description, ImmutableArray<string> Remarks)
{
    /// <summary>The kernel whose log the map stands in, or that boots on it behind it; null where none or several are named.</summary>
    public LogFact<KernelIdentity>? Kernel { get; init; }

    /// <summary>Whether entries are known to be missing.</summary>
    internal bool IsPart { get; init; }

    /// <summary>What is known to be missing, as a sentence; null where nothing is.</summary>
    public string? Missing =>
        IsPart ? "entries of the guest's map are missing in its source: what is forecast where they were may be otherwise" : null;
}

/// <summary>
/// Reads a guest's map: the lines that libxl prints with <c>xl -vvv</c>, the lines of a kernel's log, our own JSON (of a plan, a boot or a host),
/// lines of START END TYPE, packed entries. Of a log with several maps the last is taken that libxl printed, else the first that a kernel under Xen
/// printed.
/// </summary>
public static class GuestMapReader
{
    /// <summary>A whole guest's log is well below this.</summary>
    private const int MaxLengthBytes = 64 << 20;

    /// <param name="stream">Read to its end.</param>
    /// <param name="sourceName">What errors and the description call the source.</param>
    public static Parsed<GuestMap> Read(Stream stream, string sourceName)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(sourceName);
        using var whole = new MemoryStream();
        byte[] block = new byte[StreamHead.MaxLength];
        for (int read = stream.Read(block); read > 0; read = stream.Read(block))
        {
            if (whole.Length + read > MaxLengthBytes)
                return InputError.TooLarge(sourceName, null, $"it is longer than {MaxLengthBytes >> 20} MiB",
                    "give the lines of the guest's map alone");
            whole.Write(block.AsSpan(0, read));
        }

        whole.Position = 0;
        if (!LibxlMapReader.Read(whole, sourceName).TryGet(out GuestMap? map, out InputError? error))
            return error;
        whole.Position = 0;
        if (!map.Entries.IsEmpty)
            return map with { Kernel = KernelIn([.. BootLog.Of(LogScanner.Scan(whole, sourceName))]) };
        if (!HostMapReader.Read(whole, sourceName, HostMapOptions.Default with { IsGuests = true }).TryGet(out HostDocument? other, out error))
            return error;
        ImmutableArray<E820Entry> entries = other.Host.Entries;
        ImmutableArray<E820Entry> given = other.LogMap?.Kind == LogMapKind.GuestKernel ? WithRamAsGiven(entries) : entries;
        return new GuestMap(given, other.Description, [.. other.Unread, .. Remarks(other, given.Length != entries.Length)])
        {
            Kernel = other is { Log: { } log, LogMap: { } taken }
                ? KernelIn([.. BootLog.Of(log).Where(boot => taken.Line >= boot.FirstLine && taken.Line <= boot.LastLine)]) : null,
            IsPart = other.Host.HasLostEntries || other.LogMap?.CutLine is not null,
        };
    }

    /// <summary>The one kernel of some boots.</summary>
    private static LogFact<KernelIdentity>? KernelIn(ObservedBoot[] boots)
    {
        ObservedBoot[] named = [.. boots.Where(static boot => boot is { Identity: not null, Release: not null })];
        return named.Length > 0 && named.Length == boots.Length && named.All(boot => boot.Identity == named[0].Identity)
            ? new(named[0].Identity!, named[0].Release!.Value.Line) : null;
    }

    /// <summary>Linux reserves the ISA range of a PV guest itself, whatever the map says: toolstacks have RAM there.</summary>
    private static ImmutableArray<E820Entry> WithRamAsGiven(ImmutableArray<E820Entry> entries)
    {
        var isa = E820Entry.FromBounds(X86Layout.IsaStart, X86Layout.IsaEnd, E820Type.Reserved);
        int at = entries.IndexOf(isa);
        if (at < 1 || at + 1 >= entries.Length || !entries[at - 1].IsRam || entries[at - 1].End != isa.Address
            || !entries[at + 1].IsRam || entries[at + 1].Address != isa.End)
            return entries;
        var ram = E820Entry.FromBounds(entries[at - 1].Address, entries[at + 1].End, E820Type.Ram);
        return [.. entries[..(at - 1)], ram, .. entries[(at + 2)..]];
    }

    private static IEnumerable<string> Remarks(HostDocument map, bool hasIsaAsRam)
    {
        if (map is not { Log: { } log, LogMap: { } taken })
            yield break;
        if (taken.Kind == LogMapKind.GuestKernel)
            yield return $"line {taken.Line}: this is a map as a kernel has changed it, RAM beyond its pages left out"
                + (hasIsaAsRam ? "; [0xa0000, 0x100000), which Linux reserves itself, is taken to have been RAM, as in the maps of toolstacks" : "")
                + "; what it was given stands in the lines of 'xl -vvv create'";
        else if (taken.Kind != LogMapKind.LinuxFirmware)
            yield return $"line {taken.Line}: this is a map of a machine, not of a guest of Xen's; it is taken as it stands";
        if (taken.CutLine is { } cut)
            yield return $"line {cut} leaves out a part of this map: what is missing counts as a gap here";
        int others = log.Maps.Count(map => map.Kind == taken.Kind) - 1;
        if (others > 0)
            yield return $"the first of {others + 1} such maps is taken; to take another, give its lines alone";
    }
}
