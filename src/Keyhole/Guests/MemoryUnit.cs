// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;

namespace Keyhole.Guests;

/// <summary>libvirt's units of memory: <c>b</c>, <c>bytes</c>; <c>K</c>, <c>KiB</c> and up by 1024; <c>KB</c> and up by 1000; up to E; in either
/// case.</summary>
/// <remarks>Source: libvirt's virScaleInteger.</remarks>
internal static class MemoryUnit
{
    /// <summary>Bytes in a unit; an empty one is KiB, as in a domain's memory. False for what libvirt does not know.</summary>
    public static bool TryGetSize(ReadOnlySpan<char> unit, out ulong sizeBytes)
    {
        sizeBytes = 1024;
        if (unit.IsEmpty)
            return true;
        sizeBytes = 1;
        if (Is(unit, "b") || Is(unit, "byte") || Is(unit, "bytes"))
            return true;
        ulong step;
        if (unit.Length == 1 || Is(unit[1..], "iB"))
            step = 1024;
        else if (Is(unit[1..], "b"))
            step = 1000;
        else
            return false;
        int power = "kmgtpe".IndexOf(char.ToLowerInvariant(unit[0]), StringComparison.Ordinal);
        for (int i = 0; i <= power; i++)
            sizeBytes *= step;
        return power >= 0;

        static bool Is(ReadOnlySpan<char> text, string name) => text.Equals(name, StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Bytes that a whole decimal number of a unit makes; <see cref="UInt128.MaxValue"/> for more than anybody has. False where it is no
    /// such number.</summary>
    public static bool TryRead(ReadOnlySpan<char> number, ulong unitBytes, out UInt128 sizeBytes)
    {
        sizeBytes = UInt128.MaxValue;
        number = number.Trim();
        if (number.IsEmpty || number.ContainsAnyExceptInRange('0', '9'))
            return false;
        number = number.TrimStart('0');
        // 19 digits are less than 2^64, so the product is less than 2^128.
        if (number.Length <= 19)
            sizeBytes = number.IsEmpty ? 0 : UInt128.Parse(number, NumberStyles.None, CultureInfo.InvariantCulture) * unitBytes;
        return true;
    }

    /// <summary>What libvirt makes of it for Xen: rounded up to whole MiB, in KiB.</summary>
    public static UInt128 RoundToKiB(UInt128 sizeBytes) => (sizeBytes + ((1 << 20) - 1)) / (1 << 20) * 1024;
}
