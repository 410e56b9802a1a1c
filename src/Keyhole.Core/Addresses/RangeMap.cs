// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Addresses;

/// <summary>Something that covers a range of addresses.</summary>
internal interface IRanged
{
    /// <summary>In bytes; empty where it covers none.</summary>
    ByteRange Range { get; }
}

/// <summary>A stretch of an address space that one entry covers, or none.</summary>
/// <param name="range">Never empty.</param>
/// <param name="index">The entry's place in the map; −1 for a gap.</param>
internal readonly struct RangePiece(ByteRange range, int index)
{
    public ByteRange Range { get; } = range;

    public int Index { get; } = index;

    public bool IsGap => Index < 0;
}

/// <summary>
/// A whole address space from entries that are sorted by their start: every address is in one piece, an entry's or a gap. Where entries overlap, the
/// earlier one keeps what it has up to its end, and the later one has the rest. Allocates nothing; a sweep costs a step for each entry.
/// </summary>
/// <param name="sorted">By start; empty entries count for nothing.</param>
internal readonly ref struct RangeMap<T>(ReadOnlySpan<T> sorted)
    where T : struct, IRanged
{
    private readonly ReadOnlySpan<T> _sorted = sorted;

    /// <summary>The pieces of <paramref name="whole"/>, in order, without a break; no two gaps side by side.</summary>
    public Sweep Over(ByteRange whole) => new(_sorted, whole);

    /// <summary>Goes through the pieces.</summary>
    internal ref struct Sweep
    {
        private readonly ReadOnlySpan<T> _sorted;
        private readonly ulong _end;
        private ulong _reached;
        private int _next;
        private RangePiece _current;

        internal Sweep(ReadOnlySpan<T> sorted, ByteRange whole)
        {
            _sorted = sorted;
            _reached = whole.Start;
            _end = whole.End;
            _next = 0;
            _current = default;
        }

        public readonly RangePiece Current => _current;

        public readonly Sweep GetEnumerator() => this;

        public bool MoveNext()
        {
            if (_reached >= _end)
                return false;
            ByteRange entry = default;
            while (_next < _sorted.Length)
            {
                entry = _sorted[_next].Range;
                if (!entry.IsEmpty && entry.End > _reached)
                    break;
                _next++;
            }

            bool isGap = _next == _sorted.Length || entry.Start > _reached;
            ulong stop = _next == _sorted.Length ? _end : isGap ? entry.Start : entry.End;
            if (stop > _end)
                stop = _end;
            _current = new(ByteRange.FromBounds(_reached, stop), isGap ? -1 : _next);
            _reached = stop;
            return true;
        }
    }
}
