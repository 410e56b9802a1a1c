// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.Logs;

/// <summary>
/// Whether <c>mem=</c> and <c>memmap=</c> of a kernel's command line took effect, by what the kernel printed of its map afterwards: the map changed by the user,
/// and each change. Where the log shows neither, nothing is claimed.
/// </summary>
internal static class CommandLineEffects
{
    /// <summary>For one boot.</summary>
    /// <param name="commandLine">The kernel's own.</param>
    /// <param name="before">The map before the options; empty where it is not known.</param>
    /// <param name="after">The map "user:" of the same boot; null where the log has none.</param>
    /// <param name="edits">What the kernel says that it changes.</param>
    /// <param name="goesOn">Whether the log goes on behind the place where the changed map would stand.</param>
    public static IEnumerable<string> Of(
        Sighting<string> commandLine,
        ImmutableArray<E820Entry> before,
        LogMap? after,
        ImmutableArray<Sighting<MapEdit>> edits,
        bool goesOn)
    {
        foreach (KernelMemoryOption option in KernelMemoryOptions.Of(commandLine.Value))
        {
            string name = $"{Shown(option.Text)} (line {commandLine.Line})";
            string told = option.Kind switch
            {
                KernelMemoryOptionKind.Range => OfRange(option, before, after, edits, goesOn),
                KernelMemoryOptionKind.Limit => OfLimit(option, before, after, edits, goesOn),
                KernelMemoryOptionKind.Broken =>
                    $"is no range to Linux: it reads {ByteSize.ToText(option.Limit)} and stops, which makes it a limit of all RAM. Boot loaders take '$' for the start of a variable: GRUB needs it as \\$ in its own file, as \\\\\\$ in /etc/default/grub",
                KernelMemoryOptionKind.ExactMap => after is null ? "" : $"took effect: the kernel's map is the one of line {after.Line}",
            };
            if (told.Length != 0)
                yield return $"{name} {told}.";
        }
    }

    /// <summary>For a kernel on the bare machine: of the boot that printed a firmware's map.</summary>
    public static IEnumerable<string> OnHost(LogScan scan, LogMap firmware)
    {
        LogMap[] firmwares = [.. scan.Maps.Where(static map => map.Kind == LogMapKind.LinuxFirmware)];
        int start = firmwares.Where(map => map.Line < firmware.Line).Select(static map => map.Line).DefaultIfEmpty(0).Max();
        int end = firmwares.Where(map => map.Line > firmware.Line).Select(static map => map.Line).DefaultIfEmpty(int.MaxValue).Min();
        var facts = new BootFacts();
        int last = 0;
        foreach (LogLine line in scan.Lines)
        {
            // The command line stands above the map; that of the next boot is the next map's.
            var message = line.Speaker == LogSpeaker.Kernel && line.Number > start && line.Number < end ? KernelMessage.Parse(line.Text) : default;
            if (message.Kind == KernelMessageKind.Release && line.Number > firmware.Line)
                break;
            if (message.Kind == KernelMessageKind.Release)
                facts = new();
            facts = facts.With(message, line.Number);
            last = message.IsBehindMap && line.Number > firmware.Line ? line.Number : last;
        }

        LogMap? after = scan.Maps.FirstOrDefault(map => map is { Kind: LogMapKind.KernelEdited, Title: "user" } && map.Line > firmware.Line && map.Line < end);
        return facts.CommandLine is { } commandLine ? Of(commandLine, firmware.Entries, after, facts.Edits, goesOn: last != 0) : [];
    }

    /// <summary>The options on Xen's command line, which does not know them.</summary>
    public static IEnumerable<string> OnXens(IEnumerable<LogLine> lines)
    {
        foreach (LogLine line in lines)
        {
            if (line.Speaker != LogSpeaker.Xen || !line.Text.StartsWith("Command line:", StringComparison.Ordinal))
                continue;
            foreach (KernelMemoryOption option in KernelMemoryOptions.Of(line.Text.AsSpan("Command line:".Length)))
            {
                // Xen has a mem= of its own.
                if (option.Text.StartsWith("memmap=", StringComparison.Ordinal))
                    yield return $"{Shown(option.Text)} (line {line.Number}) stands on Xen's command line, and Xen knows no memmap=: it has no effect there.";
            }
        }
    }

    private static string OfRange(KernelMemoryOption option, ImmutableArray<E820Entry> before, LogMap? after, ImmutableArray<Sighting<MapEdit>> edits, bool goesOn)
    {
        string type = E820TypeNames.NameOf(option.Type);
        string range = $"[0x{option.Range.Start:x}, 0x{option.Range.End:x})";
        if (after is not null && after.Error is null)
        {
            if (Holds(after.Entries, option.Range, option.Type))
                return $"took effect: {range} is {type} in the map of line {after.Line}";
            if (option.Type != E820Type.Ram && !before.IsEmpty && !HasRam(before, option.Range))
                return $"changed nothing that is used: this kernel has no RAM at {range}";
            return $"did not take effect as written: {range} is not all {type} in the map of line {after.Line}";
        }

        foreach (Sighting<MapEdit> edit in edits)
        {
            if (edit.Value.NewType == option.Type && edit.Value.Range == option.Range)
                return $"took effect (line {edit.Line})";
        }

        if (option.Type != E820Type.Ram && !before.IsEmpty && goesOn && !HasRam(before, option.Range))
            return $"has nothing to take: this kernel has no RAM at {range}, which lies beyond its map or in a hole of it";
        return goesOn
            ? $"did not take effect as far as the log shows it: the kernel prints no \"user-defined physical RAM map\", which it does where it takes one"
            : "";
    }

    private static string OfLimit(KernelMemoryOption option, ImmutableArray<E820Entry> before, LogMap? after, ImmutableArray<Sighting<MapEdit>> edits, bool goesOn)
    {
        string limit = string.Create(CultureInfo.InvariantCulture, $"0x{option.Limit:x}");
        var beyond = ByteRange.FromBounds(Math.Min(option.Limit, Frames.AddressLimit - 1), Frames.AddressLimit);
        if (after is not null && after.Error is null)
        {
            return HasRam(after.Entries, beyond)
                ? $"did not take effect: the map of line {after.Line} has RAM beyond {limit}"
                : $"is in force: the map of line {after.Line} has no RAM beyond {limit}";
        }

        foreach (Sighting<MapEdit> edit in edits)
        {
            if (edit.Value.NewType is null && edit.Value.Range.Start == option.Limit)
                return $"took effect (line {edit.Line}): no RAM from {limit} on";
        }

        return !before.IsEmpty && goesOn && !HasRam(before, beyond) ? $"takes nothing away: this kernel has no RAM beyond {limit}" : "";
    }

    private static bool Holds(ImmutableArray<E820Entry> map, ByteRange range, E820Type type)
    {
        ulong reached = range.Start;
        foreach (E820Entry entry in map.Sort(static (left, right) => left.Address.CompareTo(right.Address)))
        {
            if (entry.Type == type && entry.Address <= reached && entry.End > reached)
                reached = entry.End;
        }

        return reached >= range.End;
    }

    private static bool HasRam(ImmutableArray<E820Entry> map, ByteRange range) =>
        map.Any(entry => entry.IsRam && entry.Range.Overlaps(range));

    private static string Shown(string option)
    {
        const int longest = 80;
        return InputError.OneLine(option, longest);
    }
}
