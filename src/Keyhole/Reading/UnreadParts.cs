// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Diagnostics;

namespace Keyhole.Reading;

/// <summary>What of a mail or an archive could not be read though it may be what was asked for: told, or an answer of the rest passes for one of the
/// whole.</summary>
internal sealed class UnreadParts
{
    private const int LongestName = 120;
    private const int LongestReason = 160;

    /// <summary>Beyond that their number tells enough.</summary>
    private const int Most = 4;

    private readonly List<(string Part, string What)> _parts = [];
    private int _count;

    public IReadOnlyList<(string Part, string What)> All => _parts;

    /// <summary>A sentence for each, without its full stop.</summary>
    public ImmutableArray<string> Told
    {
        get
        {
            ImmutableArray<string>.Builder told = ImmutableArray.CreateBuilder<string>();
            foreach ((string part, string what) in _parts)
                told.Add($"{part} {what}");
            if (_count > _parts.Count)
                told.Add($"{Counted.Of(_count - _parts.Count, "further part")} {(_count == _parts.Count + 1 ? "was" : "were")} not read either");
            return told.ToImmutable();
        }
    }

    /// <param name="part">Its name, as the source tells it: hostile.</param>
    /// <param name="what">"was not read: …".</param>
    public void Add(string part, string what)
    {
        if (_count++ < Most)
            _parts.Add((InputError.OneLine(part, LongestName), InputError.OneLine(what.TrimEnd('.'), LongestReason)));
    }

    /// <summary>The error of a source, with what may have held what is missing.</summary>
    public InputError On(InputError error) => _parts.Count == 0 ? error
        : new(error.Code, error.Source, error.Line, $"{error.What}; {string.Join("; ", Told)}", error.Remedy) { Line = error.Line };
}
