// SPDX-License-Identifier: GPL-2.0-only

using System;
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
    // Wider than any address, so that what a message tells is what stands there, not what fits.
    private readonly UInt128 _start;
    private readonly UInt128 _end;
    private readonly bool _isInclusive;

    private EntryRange(UInt128 start, UInt128 end, bool isInclusive)
    {
        _start = start;
        _end = end;
        _isInclusive = isInclusive;
    }

    /// <summary>[start, end) as Linux 2.6, Xen 4.13 and Keyhole write it.</summary>
    public static EntryRange Exclusive(ulong start, ulong end) => new(start, end, isInclusive: false);

    /// <summary>[start, last] as newer Linux and Xen write it. Both print an empty entry with a last address one below its start.</summary>
    public static EntryRange Inclusive(ulong start, ulong last) => new(start, (UInt128)last + 1, isInclusive: true);

    /// <summary>Start and size, as the packed table has them.</summary>
    public static EntryRange Sized(ulong start, ulong sizeBytes) => new(start, (UInt128)start + sizeBytes, isInclusive: false);

    /// <summary>[start, end) in frames of 4 KiB, as libxl writes it.</summary>
    public static EntryRange OfFrames(ulong start, ulong end) =>
        new((UInt128)start << Frames.Shift, (UInt128)end << Frames.Shift, isInclusive: false);

    public bool TryMakeEntry(E820Type type, string source, int? line, out E820Entry entry, out InputError? error)
    {
        entry = default;
        if (_start > Frames.AddressLimit || _end > Frames.AddressLimit)
        {
            error = InputError.OutOfRange(source, line, $"the entry {Text()} reaches above 2^52, where no physical address is",
                "check the capture; x86 has at most 52 address bits");
            return false;
        }

        if (_end < _start)
        {
            error = InputError.OutOfRange(source, line, $"the entry {Text()} ends before it starts", "check the capture; the start comes first");
            return false;
        }

        entry = E820Entry.FromBounds((ulong)_start, (ulong)_end, type);
        error = null;
        return true;
    }

    private string Text() => _isInclusive ? $"[0x{_start:x}, 0x{unchecked((ulong)(_end - 1)):x}]" : $"[0x{_start:x}, 0x{_end:x})";
}
