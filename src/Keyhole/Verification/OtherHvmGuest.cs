// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Reading;

namespace Keyhole.Verification;

/// <summary>The HVM guest that a log is of, as far as its RAM tells, where that is not the RAM of the one that was told: another video memory,
/// another <c>memory=</c>; and a BIOS that is not the one of the forecast.</summary>
/// <remarks>Source: Xen's tools/firmware/hvmloader (e820.c, rombios.c): what each BIOS has reserved below 1 MiB.</remarks>
internal static class OtherHvmGuest
{
    private const ulong MiB = 1UL << 20;
    private const ulong RomBiosLow = 0x9_e000;

    /// <summary>Nobody gives a card more.</summary>
    private const ulong MostVideoKiB = 256UL << 10;

    private const ulong RomBios = 0xe_0000;

    /// <summary>Whether hvmloader loaded another BIOS than the forecast's; null where it did not, or does not say.</summary>
    public static Phrase? OtherBios(Plan plan, ObservedBoot observed, LogScan scan)
    {
        if (plan.Guest.Type != GuestType.Hvm || plan.Firmware is null || BiosIn(observed, scan) is not { } bios)
            return null;
        (string name, string how) = plan.Guest.Hvm.Firmware == FirmwareName.Ovmf ? ("OVMF", "ovmf") : ("SeaBIOS", "seabios");
        bool isXls = plan.Guest.Toolstack != Toolstack.Libvirt;
        if (bios.Value == name || bios.Value is not (RomBiosName or "SeaBIOS" or "OVMF"))
            return null;
        return $"The log is of a guest with {bios.Value} (line {bios.Line}: \"{Vocabulary.RequestedBios}{bios.Value}\"), and the forecast is for one "
            + $"with {name}{(isXls ? $" (bios=\"{how}\")" : "")}. Give its configuration with {Setting.Guest}"
            + $"{(isXls && bios.Value == RomBiosName ? "; xl has ROMBIOS with device_model_version=\"qemu-xen-traditional\" alone" : "")}.";
    }

    /// <summary>The last that hvmloader names for this guest.</summary>
    private static LogFact<string>? BiosIn(ObservedBoot observed, LogScan scan)
    {
        LogLine[] all = [.. scan.Lines.Where(line => line.Text.Contains(Vocabulary.RequestedBios, System.StringComparison.Ordinal)
            && line.Number <= observed.LastLine)];
        bool isAny = FirmwareVerifier.IsOfOneGuest(observed, all.Select(static line => line.Domain));
        return all.LastOrDefault(line => isAny || line.Domain == observed.Domain) is { } last
            && TextCursor.TryBehind(last.Text, Vocabulary.RequestedBios, out TextCursor name)
            ? new(InputError.OneLine(name.Rest, 20), last.Number) : null;
    }

    private const string RomBiosName = "ROMBIOS";

    /// <summary>What other guests have by the forecast what the log shows; empty where nothing of the map differs.</summary>
    public static IEnumerable<Phrase> Of(Plan plan, ObservedBoot observed, LogScan scan, ImmutableArray<Finding> findings)
    {
        if (plan.Guest.Type != GuestType.Hvm || !plan.IsMapKnown
            || !findings.Any(static finding => !finding.Agrees && finding.What == MapComparison.What)
            || FirmwareVerifier.WithMap(observed, scan) is not { Map: { } map } withMap)
            yield break;
        // Where hvmloader names it, that is told already.
        if (BiosIn(observed, scan) is null && LineOf(map, RomBiosLow, X86Layout.IsaStart) is { } low && LineOf(map, RomBios, MiB) is { } bios)
            yield return $"Lines {low} and {bios}: what is reserved below 1 MiB is as hvmloader has it for ROMBIOS (qemu-xen-traditional), and the "
                + $"forecast is for a guest with SeaBIOS: the log's had another BIOS.";
        if (Ram.Of(map.Entries) is not { } seen || Ram.Of(plan.Map) is not { } forecast || seen == forecast)
            yield break;
        // A line that got lost makes no other guest.
        if (findings.All(static finding => finding.Agrees || finding.What != MapComparison.What || finding.Observed is null))
            yield break;
        // RAM above 4 GiB is the last entry: a cut may have taken it.
        if (withMap.MapMayEndEarly && seen.HighBytes == 0 && forecast.HighBytes != 0)
            yield break;
        List<string> others = [];
        GuestSpec told = plan.Guest;
        bool isXls = told.Toolstack != Toolstack.Libvirt;
        string video = isXls ? "videoram=, vga=" : "<video>";
        ulong videoKiB = unchecked(told.Hvm.VideoKiB + forecast.TotalKiB - seen.TotalKiB);
        if (videoKiB <= MostVideoKiB && videoKiB % 1024 == 0 && Has(told with { Hvm = told.Hvm with { VideoKiB = videoKiB } }))
            others.Add(videoKiB == 0 ? $"whose video card takes none of it, not {ByteSize.ToText(told.Hvm.VideoKiB << 10)} ({video})"
                : $"whose video card takes {ByteSize.ToText(videoKiB << 10)} of it, not {ByteSize.ToText(told.Hvm.VideoKiB << 10)} ({video})");
        ulong mostKiB = unchecked(told.MaxmemKiB + seen.TotalKiB - forecast.TotalKiB);
        bool isPlain = told.MaxmemKiB == told.MemoryKiB;
        if (mostKiB is > 0 and < Frames.AddressLimit >> 10 && mostKiB % 1024 == 0 && (isPlain || mostKiB >= told.MemoryKiB)
            && Has(told with { MaxmemKiB = mostKiB, MemoryKiB = isPlain ? mostKiB : told.MemoryKiB }))
            others.Add(isXls ? $"with {(isPlain ? "memory" : "maxmem")}={mostKiB >> 10}" : $"with <memory unit='MiB'>{mostKiB >> 10}</memory>");
        if (others.Count > 0)
            yield return $"The RAM in the log is that of a guest {string.Join(", or of one ", others)}, all else as it was told.";

        bool Has(GuestSpec guest) => Planner.Plan(plan.Scenario with { Guest = guest, PageCount = null }) is { IsMapKnown: true } tried
            && Ram.Of(tried.Map) == seen;
    }

    private static int? LineOf(LogMap map, ulong start, ulong end)
    {
        int at = map.Entries.IndexOf(E820Entry.FromBounds(start, end, E820Type.Reserved));
        return at < 0 ? null : map.EntryLines[at];
    }

    /// <summary>A guest's RAM from 1 MiB on: where it ends below 4 GiB, what a BIOS keeps there at its end included, and how much is above.</summary>
    private readonly record struct Ram(ulong LowEnd, ulong HighBytes)
    {
        public ulong TotalKiB => (LowEnd + HighBytes) >> 10;

        /// <summary>Null where it is in other pieces: those of OVMF, of devices' reserved memory.</summary>
        public static Ram? Of(ImmutableArray<E820Entry> map)
        {
            E820Entry[] ram = [.. map.Where(static entry => entry is { IsRam: true, Wraps: false } && entry.End > MiB)];
            bool isPlain = ram.Length is 1 or 2 && ram[0].Address == MiB && ram[0].End <= Frames.FourGiB
                && (ram.Length == 1 || (ram[1].Address == Frames.FourGiB && ram[1].End <= Frames.AddressLimit));
            return isPlain ? new(Align.Up(ram[0].End, MiB), ram.Length == 1 ? 0 : ram[1].End - Frames.FourGiB) : null;
        }
    }
}
