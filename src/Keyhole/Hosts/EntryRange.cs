// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;

namespace Keyhole.Hosts;

/// <summary>
/// The address range of one entry as a dialect wrote it down, not yet believed. <see cref="TryMakeEntry"/> is the one place where ranges of
/// every dialect are checked.
/// </summary>
internal readonly struct EntryRange
{
    private readonly ulong _start;
    private readonly ulong _last;
    private readonly bool _isInclusive;

    private EntryRange(ulong start, ulong last, bool isInclusive)
    {
        _start = start;
        _last = last;
        _isInclusive = isInclusive;
    }

    /// <summary>[start, end) as Linux 2.6, Xen 4.13 and Keyhole write it.</summary>
    public static EntryRange Exclusive(ulong start, ulong end) => new(start, end, isInclusive: false);

    /// <summary>[start, last] as newer Linux and Xen write it. Both print an empty entry with a last address one below its start.</summary>
    public static EntryRange Inclusive(ulong start, ulong last) => new(start, last, isInclusive: true);

    public bool TryMakeEntry(E820Type type, string source, int? line, out E820Entry entry, out InputError? error)
    {
        entry = default;
        ulong end = _isInclusive ? unchecked(_last + 1) : _last;
        bool endsAt2To64 = _isInclusive && end == 0;
        if (_start > Frames.AddressLimit || endsAt2To64 || end > Frames.AddressLimit)
        {
            error = new(source, line, $"the entry {Text()} reaches above 2^52, where no physical address is", "check the capture; x86 has at most 52 address bits");
            return false;
        }

        if (end < _start)
        {
            error = new(source, line, $"the entry {Text()} ends before it starts", "check the capture; the start comes first");
            return false;
        }

        entry = E820Entry.FromBounds(_start, end, type);
        error = null;
        return true;
    }

    private string Text() => _isInclusive ? $"[0x{_start:x}, 0x{_last:x}]" : $"[0x{_start:x}, 0x{_last:x})";
}
