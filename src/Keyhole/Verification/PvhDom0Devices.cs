// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Logs;
using Keyhole.Pci;
using Keyhole.Reading;

namespace Keyhole.Verification;

/// <summary>Devices whose drivers get no BAR in a PVH dom0: something else has the addresses, and what, only <c>/proc/iomem</c> tells.</summary>
/// <remarks>Source: Linux' drivers/pci/pci.c ("can't reserve"), drivers/xen/unpopulated-alloc.c ("Xen scratch").</remarks>
internal static class PvhDom0Devices
{
    private const int MostShown = 8;

    /// <summary>A BAR that a driver could not reserve.</summary>
    private readonly record struct Unreserved(int Line, string Driver, PciAddress Device, int Index, ByteRange Range);

    /// <summary>What is to be told; null where each driver gets what it asks for.</summary>
    /// <param name="lines">Those of the boot's kernel, and what follows them up to the next boot.</param>
    public static Phrase? Of(IEnumerable<LogLine> lines)
    {
        LogLine[] own = [.. lines.Where(static line => line is { Speaker: LogSpeaker.Kernel, Domain: null })];
        Unreserved[] found = [.. own.Select(BarIn).OfType<Unreserved>().DistinctBy(static bar => (bar.Device, bar.Index))];
        if (found.Length == 0)
            return null;
        ByteRange[] scratch = [.. own.Select(ScratchIn).OfType<ByteRange>()];
        string[] shown = [.. found.Take(MostShown).Select(bar =>
            $"BAR {bar.Index} of {bar.Device} ({bar.Driver}), {Verifier.Range(bar.Range)} (line {bar.Line}{Failure(own, bar)})")];
        string rest = found.Length > MostShown ? $", and {found.Length - MostShown} more" : "";
        string what = $"Drivers of dom0 do not get what they ask for: {string.Join(", ", shown)}{rest}. ";
        return found.All(bar => scratch.Any(room => room.Overlaps(bar.Range)))
            ? $"{what}\"Xen scratch\" is there in /proc/iomem: Linux has taken these addresses as room for pages of other domains."
            : $"{what}Something else has these addresses, and what, the log does not tell: look for it in dom0's /proc/iomem. Where \"Xen scratch\" "
                + "is there, Linux has taken them as room for pages of other domains.";
    }

    /// <summary>What its driver says of the failure next, where it does.</summary>
    private static string Failure(LogLine[] lines, Unreserved bar)
    {
        const string words = "pcim_iomap_regions failed (";
        foreach (LogLine line in lines)
        {
            if (line.Number > bar.Line && line.Text.StartsWith($"{bar.Driver} {bar.Device}: {words}", StringComparison.Ordinal))
                return $"; \"{InputError.OneLine(line.Text.AsSpan(line.Text.IndexOf(words, StringComparison.Ordinal)), 60)}\", "
                    + $"line {line.Number}";
        }

        return "";
    }

    /// <summary><c>ahci 0000:07:00.1: BAR 5: can't reserve [mem 0xf0e00000-0xf0e007ff]</c>; or with the BAR's place before the colon.</summary>
    private static Unreserved? BarIn(LogLine line)
    {
        const string device = " 0000:", bar = ": BAR ", reserve = "can't reserve";
        int at = line.Text.IndexOf(device, StringComparison.Ordinal);
        int number = line.Text.IndexOf(bar, StringComparison.Ordinal);
        if (at <= 0 || number < at || !line.Text.Contains(reserve, StringComparison.Ordinal)
            || !PciAddress.TryParse(line.Text.AsSpan()[(at + 1)..number], out PciAddress address))
            return null;
        var cursor = new TextCursor(line.Text.AsSpan(number + bar.Length));
        if (!cursor.TryDecimal(out uint index) || index > Bar.RomIndex || !TextCursor.TryBehind(line.Text, "[mem 0x", out cursor)
            || !cursor.TryHex(out ulong start) || !cursor.TryText("-0x") || !cursor.TryHex(out ulong last) || last < start
            || last >= Frames.AddressLimit)
            return null;
        return new(line.Number, InputError.OneLine(line.Text.AsSpan(0, at), 40), address, (int)index, ByteRange.FromBounds(start, last + 1));
    }

    /// <summary><c>  f0400000-f0ffffff : Xen scratch</c></summary>
    private static ByteRange? ScratchIn(LogLine line)
    {
        var cursor = new TextCursor(line.Text);
        return line.Text.EndsWith(Vocabulary.ScratchRoom, StringComparison.Ordinal) && cursor.TryHex(out ulong start) && cursor.TryText("-")
            && cursor.TryHex(out ulong last) && last >= start && last < Frames.AddressLimit ? ByteRange.FromBounds(start, last + 1) : null;
    }
}
