// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Logs;

namespace Keyhole.ReservedRam;

/// <summary>Which option of a kernel's command line takes RAM out of its map, where it should be reserved: <c>mem=SIZE</c>, or a <c>memmap=</c> that
/// lost its '$'. Linux removes RAM then, and puts nothing in its place (e820__range_remove).</summary>
internal static class RamTaken
{
    private const int LongestOption = 80;

    private const string LostSign = "of which a shell or boot loader took '$' for the start of a variable";

    /// <summary>The option that takes a range; null where none does.</summary>
    public static KernelMemoryOption? By(LogFact<string>? commandLine, ByteRange range)
    {
        if (commandLine is not { } line)
            return null;
        IReadOnlyList<KernelMemoryOption> options = KernelMemoryOptions.Of(line.Value);
        KernelMemoryOption? taker = null;
        foreach (KernelMemoryOption option in options)
        {
            bool takes = option.Kind switch
            {
                KernelMemoryOptionKind.ExactMap => true,
                KernelMemoryOptionKind.Limit or KernelMemoryOptionKind.Broken => Align.Down(option.Limit, Frames.SizeBytes) <= range.Start,
                KernelMemoryOptionKind.Change => option.Type == E820.E820Type.None && option.Range.Overlaps(range),
                KernelMemoryOptionKind.Range => false,
            };
            // memmap=exactmap drops what came before; of several that take it the first is named.
            if (takes && (taker is null || option.Kind == KernelMemoryOptionKind.ExactMap))
                taker = option;
        }

        return taker;
    }

    /// <summary>As it is shown.</summary>
    public static string Name(KernelMemoryOption option) => InputError.OneLine(option.Text, LongestOption);

    /// <summary>What it does, as a sentence that goes on.</summary>
    /// <param name="line">Where its command line stands in a log; null where it was not read from one.</param>
    /// <param name="wanted">The memmap= ranges that the host should have.</param>
    public static string Words(KernelMemoryOption option, int? line, ImmutableArray<ByteRange> wanted)
    {
        string name = line is null ? Name(option) : $"{Name(option)} (line {line})";
        string limit = $"no RAM from {ByteSize.ToText(option.Limit)} on";
        return option.Kind switch
        {
            KernelMemoryOptionKind.ExactMap => $"{name} drops the firmware's map, and no option behind it names that range",
            KernelMemoryOptionKind.Change => $"{name} takes it out of the map",
            KernelMemoryOptionKind.Broken => $"{name} takes it away: Linux reads {ByteSize.ToText(option.Limit)} of it and stops, which means "
                + $"{limit}; {WhyBroken(option, wanted)}",
            KernelMemoryOptionKind.Limit or KernelMemoryOptionKind.Range => $"{name} takes it away: {limit}"
                + (Meant(option, wanted) is { } meant ? $"; it may be {meant}, {LostSign}" : ""),
        };
    }

    private static string WhyBroken(KernelMemoryOption option, ImmutableArray<ByteRange> wanted)
    {
        if (option.Text.Contains('\\', StringComparison.Ordinal))
            return "the backslash in it has reached the kernel";
        foreach (ByteRange range in wanted)
        {
            // In double quotes a shell takes '$' and one digit for a parameter of its own.
            string meant = MemmapParameters.ToText(range);
            if (option.Text == meant.Remove(meant.IndexOf('$', StringComparison.Ordinal), 2))
                return $"it looks like {meant}, {LostSign}";
        }

        return "no sign stands behind the size, as where a shell or boot loader takes '$' for the start of a variable";
    }

    /// <summary>GRUB takes '$' and all that follows.</summary>
    private static string? Meant(KernelMemoryOption option, ImmutableArray<ByteRange> wanted) =>
        option.Text.StartsWith("memmap=", StringComparison.Ordinal)
            ? wanted.Where(range => range.SizeBytes == option.Limit).Select(MemmapParameters.ToText).FirstOrDefault() : null;
}
