// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Reading;

namespace Keyhole.Captures;

/// <summary>A guest's map as somebody wrote it down or pasted it.</summary>
/// <param name="Entries">In the order of the source, which counts: maps are installed as they stand.</param>
/// <param name="Description">One line for people: "xl's e820_sanitize lines, line 2 of xl.log".</param>
/// <param name="Remarks">For people; none are errors.</param>
public sealed record GuestMap(ImmutableArray<E820Entry> Entries, string Description, ImmutableArray<string> Remarks);

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
        if (!Libxl(whole, sourceName).TryGet(out GuestMap? map, out InputError? error))
            return error;
        if (!map.Entries.IsEmpty)
            return map;
        whole.Position = 0;
        if (!HostMapReader.Read(whole, sourceName, HostMapOptions.Default with { IsGuests = true }).TryGet(out HostDocument? other, out error))
            return error;
        return new GuestMap(other.Host.Entries, other.Description, [.. Remarks(other)]);
    }

    private static IEnumerable<string> Remarks(HostDocument map)
    {
        if (map is not { Log: { } log, LogMap: { } taken })
            yield break;
        if (taken.Kind == LogMapKind.GuestKernel)
            yield return $"line {taken.Line}: this is a map as a kernel has changed it, RAM beyond its pages left out; what it was given "
                + $"stands in the lines of 'xl -vvv create'";
        else if (taken.Kind != LogMapKind.LinuxFirmware)
            yield return $"line {taken.Line}: this is a map of a machine, not of a guest of Xen's; it is taken as it stands";
        if (taken.CutLine is { } cut)
            yield return $"line {cut} leaves out a part of this map (\"...\"): what is missing counts as a gap here";
        int others = log.Maps.Count(map => map.Kind == taken.Kind) - 1;
        if (others > 0)
            yield return $"the first of {others + 1} such maps is taken; to take another, give its lines alone";
    }

    /// <summary>No entries where libxl has no lines in it.</summary>
    internal static Parsed<GuestMap> Libxl(Stream whole, string sourceName)
    {
        List<E820Entry> entries = [];
        int maps = 0;
        int first = 0;
        try
        {
            ReadOnlyMemory<byte> head = StreamHead.ReadText(ref whole);
            var text = new TextLines(head, whole);
            while (text.TryRead(out ReadOnlySpan<char> line))
            {
                if (!TryLibxlLine(line, out ulong start, out ulong end, out E820Type type))
                    continue;
                // Entries of one map follow each other, but for what other programs write in between; a map begins with the guest's RAM at 0.
                if (start == 0 || entries.Count == 0)
                {
                    entries.Clear();
                    first = text.Number;
                    maps++;
                }

                if (!EntryRange.OfFrames(start, end).TryMakeEntry(type, sourceName, text.Number, out E820Entry entry, out InputError? error))
                    return error!;
                if (entries.Count == Host.MaxEntries)
                    return HostMapErrors.TooManyEntries(sourceName, text.Number);
                entries.Add(entry);
            }
        }
        catch (InvalidDataException damaged)
        {
            return PackedErrors.Unreadable(sourceName, damaged);
        }

        return new GuestMap(
            [.. entries],
            $"libxl's map, line {first} of {sourceName}",
            maps > 1 ? [$"the last of {maps} maps that libxl printed is taken (line {first}); to take another, give its lines alone"] : []);
    }

    /// <summary><c>[20000 -&gt; 20200] Reserved</c>, in page frames, whatever stands before it.</summary>
    private static bool TryLibxlLine(ReadOnlySpan<char> line, out ulong start, out ulong end, out E820Type type)
    {
        start = 0;
        end = 0;
        type = E820Type.None;
        int open = line.LastIndexOf('[');
        if (open < 0)
            return false;
        TextCursor cursor = new(line[(open + 1)..]);
        if (!cursor.TryHex(out start) || !cursor.TryText(" -> ") || !cursor.TryHex(out end) || !cursor.TryText("] "))
            return false;
        type = cursor.Rest.Trim() switch
        {
            "RAM" => E820Type.Ram,
            "Reserved" => E820Type.Reserved,
            "ACPI" => E820Type.Acpi,
            "ACPI NVS" => E820Type.Nvs,
            "Unusable" => E820Type.Unusable,
            _ => E820Type.None,
        };
        return type != E820Type.None;
    }
}
