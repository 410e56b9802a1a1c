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
/// Whether <c>mem=</c> and <c>memmap=</c> of a kernel's command line took effect, by what the kernel printed of its map afterwards: the map changed
/// by the user, and each change. Where the log shows neither, nothing is claimed.
/// </summary>
internal static class CommandLineEffects
{
    /// <summary>The kernel prints it after all options that it takes before anything else, whatever they change.</summary>
    private const string NotTaken = "did not take effect as far as the log shows it: the kernel prints no \"user-defined physical RAM map\", which "
        + "it does where it takes one";

    /// <summary>For one boot.</summary>
    /// <param name="commandLine">The kernel's own.</param>
    /// <param name="before">The map before the options; empty where it is not known.</param>
    /// <param name="after">The map "user:" of the same boot; null where the log has none.</param>
    /// <param name="edits">What the kernel says that it changes.</param>
    /// <param name="goesOn">Whether the log goes on behind the place where the changed map would stand, and has no such map.</param>
    public static IEnumerable<string> Of(
        LogFact<string> commandLine,
        ImmutableArray<E820Entry> before,
        LogMap? after,
        ImmutableArray<LogFact<MapEdit>> edits,
        bool goesOn)
    {
        IReadOnlyList<KernelMemoryOption> options = KernelMemoryOptions.Of(commandLine.Value);
        int exact = options.Select(static (option, at) => option.Kind == KernelMemoryOptionKind.ExactMap ? at : -1).DefaultIfEmpty(-1).Max();
        // Then it is not what the options behind it begin with.
        if (exact >= 0)
            before = [];
        for (int i = 0; i < options.Count; i++)
        {
            KernelMemoryOption option = options[i];
            string name = $"{Shown(option.Text)} (line {commandLine.Line})";
            if (i < exact)
            {
                if (after is not null)
                    yield return $"{name} has no effect: {Shown(options[exact].Text)}, which comes after it, drops what came before.";
                continue;
            }

            string told = option.Kind switch
            {
                KernelMemoryOptionKind.Range => OfRange(option, before, after, edits, goesOn),
                KernelMemoryOptionKind.Change =>
                    after is null && goesOn && !edits.Any(edit => edit.Value.Range == option.Range) ? NotTaken
                    : OfChange(option, before, after),
                // What an option behind it makes of RAM is no sign of it.
                KernelMemoryOptionKind.Limit => KernelMemoryOptions.MakesRamBehind(options, option) ? ""
                    : OfLimit(option, before, after, edits, goesOn),
                KernelMemoryOptionKind.Broken =>
                    $"is not a range to Linux: it reads {ByteSize.ToText(option.Limit)} and stops, which makes it a limit of all RAM"
                        + (after is null && edits.IsEmpty && goesOn ? ". The log shows no sign of such a limit" : "") + WhyBroken(option),
                KernelMemoryOptionKind.ExactMap => after is null ? (goesOn ? NotTaken : "")
                    : $"took effect: the kernel's map is the one of line {after.Line}",
            };
            if (told.Length != 0)
                yield return $"{name} {told}.";
        }

        if (after is not null || !goesOn)
            yield break;
        foreach (KernelMemoryOption option in KernelMemoryOptions.BehindDashes(commandLine.Value))
        {
            yield return $"{Shown(option.Text)} (line {commandLine.Line}) did not take effect: it stands behind \"--\", and what follows that is "
                + "handed to init. Write it before.";
        }
    }

    /// <summary>A kernel that finds its own image outside of RAM takes that place back: what the options said of it is undone. Null where the log
    /// does not say so.</summary>
    public static string? ImageTakenBack(BootFacts facts) => facts.ImageOutsideRam is { } line
        ? $"Line {line.Line}: the kernel's own image is where its map has no RAM (a memmap= may have taken it away), so it made RAM of that "
            + $"place again{(line.Value.IsEmpty ? "; where it is, /proc/iomem shows" : $": [0x{line.Value.Start:x}, 0x{line.Value.End:x})")}."
        : null;

    /// <summary>For a kernel on the bare machine: of the boot that printed a firmware's map.</summary>
    public static IEnumerable<string> OnHost(LogScan scan, LogMap firmware)
    {
        (BootFacts facts, LogMap? after, _) = FactsOf(scan, firmware);
        bool isLeftOut = after is null && facts.ChangedMapTitleLine is not null;
        IEnumerable<string> told = facts.CommandLine is { } commandLine
            ? Of(commandLine, firmware.Entries, after, facts.Edits, goesOn: !isLeftOut && GoesOnBehind(scan, firmware)) : [];
        if (isLeftOut)
        {
            told = told.Append(
                $"The lines of the map as the kernel's options changed it are left out; its title is line {facts.ChangedMapTitleLine}.");
        }

        return ImageTakenBack(facts) is { } image ? told.Append(image) : told;
    }

    /// <summary>For dom0's kernel: of the boot in which Xen printed a firmware's map.</summary>
    public static IEnumerable<string> OnDom0(LogScan scan, LogMap xens)
    {
        foreach (ObservedBoot boot in BootLog.Of(scan))
        {
            if (boot is not { Owner: BootOwner.Dom0, Facts.CommandLine: { } commandLine } || xens.Line < boot.FirstLine || xens.Line > boot.LastLine)
                continue;
            BootFacts facts = boot.Facts;
            return Of(commandLine, boot.Map is { Error: null } map ? map.Entries : [], boot.UserMap, facts.Edits, facts.HasNoChangedMap);
        }

        return [];
    }

    /// <summary>What the boot that printed a firmware's map tells: its facts, the map as its options changed it, and the last line behind the map
    /// that tells something (0: none).</summary>
    public static (BootFacts Facts, LogMap? After, int LastLine) FactsOf(LogScan scan, LogMap firmware)
    {
        LogMap[] firmwares = [.. scan.Maps.Where(static map => map.Kind == LogMapKind.LinuxFirmware)];
        int start = firmwares.Where(map => map.Line < firmware.Line).Select(static map => map.Line).DefaultIfEmpty(0).Max();
        int end = firmwares.Where(map => map.Line > firmware.Line).Select(static map => map.Line).DefaultIfEmpty(int.MaxValue).Min();
        var facts = new BootFacts();
        int last = 0;
        int next = int.MaxValue;
        foreach (LogLine line in scan.Lines)
        {
            // The command line stands above the map; that of the next boot is the next map's.
            var message = line.Speaker == LogSpeaker.Kernel && line.Number > start && line.Number < end ? KernelMessage.Parse(line.Text) : default;
            if (message.Kind == KernelMessageKind.Release && line.Number > firmware.Line)
            {
                next = line.Number;
                break;
            }

            if (message.Kind == KernelMessageKind.Release)
                facts = new();
            facts = facts.With(message, line.Number);
            last = (message.IsBehindMap || message.Kind == KernelMessageKind.OptionsTaken) && line.Number > firmware.Line ? line.Number : last;
        }

        LogMap? after = scan.Maps.FirstOrDefault(map => map is { Kind: LogMapKind.KernelEdited, Title: "user" } && map.Line > firmware.Line
            && map.Line < end && map.Line < next);
        return (facts, after, last);
    }

    /// <summary>Whether the log of the boot that printed a firmware's map goes on behind the place where the map would stand that its options have
    /// changed, and no line is left out before that.</summary>
    private static bool GoesOnBehind(LogScan scan, LogMap firmware)
    {
        int next = int.MaxValue;
        int behind = int.MaxValue;
        foreach (LogLine line in scan.Lines)
        {
            if (line.Number <= firmware.Line || line.Speaker != LogSpeaker.Kernel)
                continue;
            var message = line.IsLifeSign ? default : KernelMessage.Parse(line.Text);
            if (message.Kind == KernelMessageKind.Release)
            {
                next = line.Number;
                break;
            }

            // The first page is taken away once the options are taken.
            bool isFirstPage = message is { Kind: KernelMessageKind.MapEdit, From.Start: 0, OldType: E820Type.Ram, NewType: E820Type.Reserved };
            if (line.IsLifeSign || message.IsBehindMap || message.Kind == KernelMessageKind.OptionsTaken || isFirstPage)
                behind = Math.Min(behind, line.Number);
        }

        foreach ((string line, int number) in scan.DeviceLines?.LinesOf(MachineLines.All) ?? [])
        {
            if (number > firmware.Line && line.Contains("pci 0000:", StringComparison.Ordinal))
            {
                behind = Math.Min(behind, number);
                break;
            }
        }

        return behind < next && !scan.Omissions.Any(line => line > firmware.Line && line < behind)
            && !scan.Maps.Any(map => map.Kind == LogMapKind.LinuxFirmware && map.Line > firmware.Line && map.Line < behind);
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
                    yield return $"{Shown(option.Text)} (line {line.Number}) stands on Xen's command line, and Xen knows "
                        + $"no memmap=: it has no effect there.";
            }
        }
    }

    private static string OfRange(KernelMemoryOption option, ImmutableArray<E820Entry> before, LogMap? after, ImmutableArray<LogFact<MapEdit>> edits,
        bool goesOn)
    {
        string type = E820TypeNames.NameOf(option.Type);
        string range = $"[0x{option.Range.Start:x}, 0x{option.Range.End:x})";
        if (after is not null && after.Error is null)
        {
            ImmutableArray<(ByteRange Range, E820Type Type)> pieces = PiecesOf(after.Entries, option.Range);
            ImmutableArray<(ByteRange Range, E820Type Type)> stronger = [.. pieces.Where(piece => piece.Type > option.Type)];
            ImmutableArray<(ByteRange Range, E820Type Type)> missing = [.. pieces.Where(piece => piece.Type < option.Type)];
            if (!missing.IsEmpty && option.Type != E820Type.Ram && !before.IsEmpty && !HasRam(before, option.Range))
                return $"changed nothing that is used: this kernel has no RAM at {range}";
            // Linux makes an entry of the range in any case; only RAM can be taken away again.
            if (!missing.IsEmpty && option.Type != E820Type.Ram && missing.All(static piece => piece.Type == E820Type.None))
                return $"is not seen to take effect: the map of line {after.Line} has nothing at {Places(missing)}, so a line of it may be missing";
            if (!missing.IsEmpty)
                return $"did not take effect as written: in the map of line {after.Line} {Listed(missing)} "
                    + $"{(missing.Length == 1 ? "is" : "are")} not {type}";
            if (stronger.Aggregate(0UL, static (sum, piece) => sum + piece.Range.SizeBytes) == option.Range.SizeBytes)
                return $"did not take effect: {Listed(stronger)} {(stronger.Length == 1 ? "stays" : "stay")} what the map has there: of types that "
                    + $"overlap Linux takes the higher number";
            return $"took effect: {range} is {type} in the map of line {after.Line}"
                + (stronger.IsEmpty ? "" : $", but for {Listed(stronger)}: of types that overlap Linux takes the higher number");
        }

        foreach (LogFact<MapEdit> edit in edits)
        {
            if (edit.Value.NewType == option.Type && edit.Value.Range == option.Range)
                return $"took effect (line {edit.Line})";
        }

        return goesOn ? NotTaken : "";
    }

    private static string OfLimit(KernelMemoryOption option, ImmutableArray<E820Entry> before, LogMap? after, ImmutableArray<LogFact<MapEdit>> edits,
        bool goesOn)
    {
        string limit = string.Create(CultureInfo.InvariantCulture, $"0x{option.Limit:x}");
        var beyond = ByteRange.FromBounds(Math.Min(option.Limit, Frames.AddressLimit - 1), Frames.AddressLimit);
        if (after is not null && after.Error is null)
        {
            return HasRam(after.Entries, beyond)
                ? $"did not take effect: the map of line {after.Line} has RAM beyond {limit}"
                : !before.IsEmpty && !HasRam(before, beyond) ? $"takes nothing away: this kernel has no RAM beyond {limit}"
                : $"is in force: the map of line {after.Line} has no RAM beyond {limit}{MayLackItsSign(option, before, beyond)}";
        }

        foreach (LogFact<MapEdit> edit in edits)
        {
            if (edit.Value.NewType is null && edit.Value.Range.Start == option.Limit)
                return $"took effect (line {edit.Line}): no RAM from {limit} on{MayLackItsSign(option, before, beyond)}";
        }

        return before.IsEmpty || !goesOn ? ""
            : HasRam(before, beyond) ? NotTaken : $"takes nothing away: this kernel has no RAM beyond {limit}";
    }

    /// <summary>"%START-OLD+NEW": judged by what the map had there before, where that is known.</summary>
    private static string OfChange(KernelMemoryOption option, ImmutableArray<E820Entry> before, LogMap? after)
    {
        if (after is null || after.Error is not null || before.IsEmpty)
            return "";
        string range = $"[0x{option.Range.Start:x}, 0x{option.Range.End:x})";
        ImmutableArray<ByteRange> touched =
            [.. PiecesOf(before, option.Range)
                .Where(piece => piece.Type != E820Type.None && (option.OldType == E820Type.None || piece.Type == option.OldType))
                .Select(static piece => piece.Range)];
        if (touched.IsEmpty)
            return $"changed nothing: the map before it has "
                + $"{(option.OldType == E820Type.None ? "nothing" : $"no {E820TypeNames.NameOf(option.OldType)}")} at {range}";
        ImmutableArray<(ByteRange Range, E820Type Type)> unchanged =
            [.. touched.SelectMany(part => PiecesOf(after.Entries, part)).Where(piece => piece.Type != option.Type)];
        string wanted = option.Type == E820Type.None ? "out of the map" : E820TypeNames.NameOf(option.Type);
        if (!unchanged.IsEmpty)
            return $"did not take effect as written: in the map of line {after.Line} {Listed(unchanged)} "
                + $"{(unchanged.Length == 1 ? "is" : "are")} not {wanted}";
        return $"took effect: {(option.OldType == E820Type.None ? "what was" : $"the {E820TypeNames.NameOf(option.OldType)}")} at {range} is "
            + $"{wanted} in the map of line {after.Line}";
    }

    /// <summary>A limit is said by mem=; memmap= says it where the rest of it was lost, too.</summary>
    private static string MayLackItsSign(KernelMemoryOption option, ImmutableArray<E820Entry> before, ByteRange beyond) =>
        option.Text.StartsWith("memmap=", StringComparison.Ordinal) && HasRam(before, beyond)
            ? $". If {Shown(option.Text)}$START was written: {TakenForVariable}" : "";

    private const string TakenForVariable =
        "Boot loaders take '$' for the start of a variable: GRUB needs it as \\$ in its own file, as \\\\\\$ in /etc/default/grub";

    /// <summary>Begins with a full stop. What is left where a variable was taken out begins with a letter or a digit.</summary>
    private static string WhyBroken(KernelMemoryOption option)
    {
        if (option.Text.Contains('\\', StringComparison.Ordinal))
            return ". The backslash reached the kernel: it is for GRUB's own file or /etc/default/grub, which take it away; elsewhere write '$' as "
                + "it is";
        return char.IsAsciiLetterOrDigit(option.Rest) ? $". {TakenForVariable}" : "";
    }

    /// <summary>What a map has in a range, in pieces; <see cref="E820Type.None"/> in its gaps. Of entries that overlap the highest type counts, as
    /// Linux has it.</summary>
    private static ImmutableArray<(ByteRange Range, E820Type Type)> PiecesOf(ImmutableArray<E820Entry> map, ByteRange range)
    {
        var pieces = ImmutableArray.CreateBuilder<(ByteRange Range, E820Type Type)>();
        ImmutableArray<E820Entry> sorted = SortedMap.Of([.. map.Where(static entry => !entry.Wraps)]);
        foreach (RangePiece piece in new RangeMap<E820Entry>(sorted.AsSpan()).Over(range))
            pieces.Add((piece.Range, piece.IsGap ? E820Type.None : sorted[piece.Index].Type));
        return pieces.ToImmutable();
    }

    private static string Places(ImmutableArray<(ByteRange Range, E820Type Type)> pieces) =>
        string.Join(", ", pieces.Take(3).Select(static piece => $"[0x{piece.Range.Start:x}, 0x{piece.Range.End:x})"));

    /// <summary>"[0x806000, 0x808000) nvs": the first three.</summary>
    private static string Listed(ImmutableArray<(ByteRange Range, E820Type Type)> pieces)
    {
        const int most = 3;
        string listed = string.Join(", ",
            pieces.Take(most)
                .Select(static piece =>
                    $"[0x{piece.Range.Start:x}, 0x{piece.Range.End:x}) "
                        + $"{(piece.Type == E820Type.None ? "(a gap)" : $"({E820TypeNames.NameOf(piece.Type)})")}"));
        return pieces.Length > most ? $"{listed} and {pieces.Length - most} more" : listed;
    }

    private static bool HasRam(ImmutableArray<E820Entry> map, ByteRange range) =>
        map.Any(entry => entry.IsRam && entry.Range.Overlaps(range));

    private static string Shown(string option)
    {
        const int longest = 80;
        return InputError.OneLine(option, longest);
    }
}
