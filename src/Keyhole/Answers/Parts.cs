// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Platforms;

namespace Keyhole.Answers;

/// <summary>A range of bytes; the end is exclusive.</summary>
public readonly record struct RangeAnswer(Hex Start, Hex End)
{
    internal static RangeAnswer Of(ByteRange range) => new(range.Start, range.End);

    /// <summary>Null for an empty range, and for none.</summary>
    public static RangeAnswer? OrNull(ByteRange? range) => range is { IsEmpty: false } known ? Of(known) : null;
}

/// <summary>An entry of a memory map; the end is exclusive.</summary>
public readonly record struct EntryAnswer(Hex Start, Hex End, E820Type Type)
{
    internal static EntryAnswer Of(E820Entry entry) => new(entry.Address, entry.End, entry.Type);

    /// <summary>All entries of a map, in its order.</summary>
    public static ImmutableArray<EntryAnswer> AllOf(IEnumerable<E820Entry> map) => [.. map.Select(Of)];
}

/// <summary>An entry of a planned map, and why it is there.</summary>
public readonly record struct PlannedEntryAnswer(Hex Start, Hex End, E820Type Type, string Why)
{
    internal static PlannedEntryAnswer Of(PlannedEntry planned) => new(planned.Entry.Address, planned.Entry.End, planned.Entry.Type, planned.Why);

    /// <summary>All entries of a planned map, in its order.</summary>
    public static ImmutableArray<PlannedEntryAnswer> AllOf(IEnumerable<PlannedEntry> map) => [.. map.Select(Of)];
}

/// <summary>Something that is wrong, or worth knowing.</summary>
/// <param name="Code">Stable, for scripts: docs/plan.md lists them.</param>
/// <param name="Message">One sentence for people.</param>
/// <param name="Start">Where it lies; null when it lies nowhere.</param>
/// <param name="End">Exclusive.</param>
/// <param name="Remedy">What to do about it; null when nothing has to be done.</param>
public sealed record ProblemAnswer(Severity Severity, string Code, string Message, Hex? Start, Hex? End, string? Remedy)
{
    /// <param name="words">What settings are called in the remedy; null for their names in this library.</param>
    public static ProblemAnswer Of(Problem problem, Func<Setting, string>? words = null)
    {
        ArgumentNullException.ThrowIfNull(problem);
        return new(problem.Severity, problem.Code, problem.Message, problem.Start, problem.End, problem.Remedy?.Worded(words ?? SettingNames.Of));
    }


    /// <summary>Problems in their order, each as <see cref="Of"/> has it.</summary>
    public static ImmutableArray<ProblemAnswer> AllOf(IEnumerable<Problem> problems, Func<Setting, string>? words = null) =>
        [.. problems.Select(problem => Of(problem, words))];
}

/// <summary>Counts by name, in their order.</summary>
internal static class CountsByName
{
    public static IReadOnlyDictionary<string, ulong> Of(ImmutableArray<(string Name, ulong Count)> counts)
    {
        var named = new OrderedDictionary<string, ulong>(counts.Length);
        foreach ((string name, ulong count) in counts)
            named[name] = count;
        return named;
    }
}
