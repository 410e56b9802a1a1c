// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.E820;

/// <summary>A growing E820 map over a span of the caller's: no more entries than the span holds, nothing allocated.</summary>
public ref struct E820Table
{
    /// <summary>Entries that a guest's map holds at most (Linux's E820MAX, libxl's E820MAX).</summary>
    public const int MaxEntries = 128;

    private readonly Span<E820Entry> _storage;

    /// <summary>An empty table that holds as many entries as the span does.</summary>
    public E820Table(Span<E820Entry> storage)
    {
        _storage = storage;
        Count = 0;
    }

    /// <summary>A table over entries that are already there.</summary>
    public E820Table(Span<E820Entry> storage, int count)
    {
        _storage = storage;
        Count = count;
    }

    /// <summary>Entries in the table.</summary>
    public int Count { get; private set; }

    /// <summary>Entries that it can hold.</summary>
    public readonly int Capacity => _storage.Length;

    /// <summary>The entries, in the caller's own memory.</summary>
    public readonly Span<E820Entry> Entries => _storage.Slice(0, Count);

    /// <summary>Adds an entry behind the last. False, and nothing changed, when the table is full.</summary>
    public bool TryAdd(E820Entry entry)
    {
        if (Count >= _storage.Length)
            return false;
        _storage[Count] = entry;
        Count++;
        return true;
    }

    /// <summary>Takes all entries out.</summary>
    public void Clear() => Count = 0;

    /// <summary>Sanitises in place as Linux does, the result cut at <paramref name="limit"/> entries; see <see cref="Sanitizer"/>.</summary>
    public bool TrySanitize(int limit, bool keepsPramApart = true)
    {
        bool sanitised = Sanitizer.TrySanitizeInPlace(_storage, Count, limit, out int count, keepsPramApart);
        Count = count;
        return sanitised;
    }
}
