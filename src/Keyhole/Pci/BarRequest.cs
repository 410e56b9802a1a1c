// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Pci;

/// <summary>What a BAR asks for: which addresses it can hold, and whether reads of it have side effects.</summary>
/// <remarks>Source: PCI Local Bus Specification 3.0, 6.2.5.</remarks>
public enum BarType
{
    /// <summary>Memory below 4 GiB, not prefetchable.</summary>
    Memory32,

    /// <summary>Memory anywhere, not prefetchable. Behind a bridge it lies below 4 GiB: only a bridge's prefetchable window has 64 bits.</summary>
    Memory64,

    /// <summary>Memory below 4 GiB, prefetchable.</summary>
    Memory32Prefetchable,

    /// <summary>Memory anywhere, prefetchable.</summary>
    Memory64Prefetchable,

    /// <summary>I/O ports, 16 bits of address.</summary>
    Io,

    /// <summary>The expansion ROM: memory below 4 GiB that a firmware maps while it reads it, and some leave mapped.</summary>
    Rom,
}

/// <summary>What each <see cref="BarType"/> means for a placement.</summary>
public static class BarTypes
{
    /// <summary>Every type, in the order of their numbers.</summary>
    public static ReadOnlySpan<BarType> All =>
        [BarType.Memory32, BarType.Memory64, BarType.Memory32Prefetchable, BarType.Memory64Prefetchable, BarType.Io, BarType.Rom];

    /// <summary>Whether the register holds 64 bits of address.</summary>
    public static bool Is64Bit(this BarType type) => type is BarType.Memory64 or BarType.Memory64Prefetchable;

    /// <summary>Whether reads of such a window have no side effects.</summary>
    public static bool IsPrefetchable(this BarType type) => type is BarType.Memory32Prefetchable or BarType.Memory64Prefetchable;

    /// <summary>Whether it takes memory addresses rather than ports; a ROM does.</summary>
    public static bool IsMemory(this BarType type) => type is not BarType.Io;

    /// <summary>The type of a register of memory, from what describes its window.</summary>
    public static BarType Of(BarKind kind, bool is64Bit, bool isPrefetchable) => (kind, is64Bit, isPrefetchable) switch
    {
        (BarKind.Rom, _, _) => BarType.Rom,
        (_, true, true) => BarType.Memory64Prefetchable,
        (_, true, false) => BarType.Memory64,
        (_, false, true) => BarType.Memory32Prefetchable,
        _ => BarType.Memory32,
    };

    /// <summary>The name in JSON and in texts.</summary>
    public static string Name(this BarType type) => type switch
    {
        BarType.Memory32 => "mem32",
        BarType.Memory64 => "mem64",
        BarType.Memory32Prefetchable => "mem32-prefetchable",
        BarType.Memory64Prefetchable => "mem64-prefetchable",
        BarType.Io => "io",
        BarType.Rom => "rom",
    };

    /// <summary>The type of a name; false for any other text.</summary>
    public static bool TryParse(ReadOnlySpan<char> name, out BarType type)
    {
        foreach (BarType candidate in All)
        {
            if (name.SequenceEqual(candidate.Name()))
            {
                type = candidate;
                return true;
            }
        }

        type = default;
        return false;
    }
}

/// <summary>One BAR of a function that wants a place: <see cref="SizeBytes"/> bytes (or ports) at a multiple of its size. The default asks for
/// nothing.</summary>
public readonly record struct BarRequest
{
    /// <summary>The smallest memory window that a register can ask for, in bytes.</summary>
    public const ulong MinMemoryBytes = 16;

    /// <summary>The smallest range of ports.</summary>
    public const ulong MinIoBytes = 4;

    /// <summary>The largest window: 2^51 bytes, half of what x86 can address, so that sums of a few never wrap.</summary>
    public const ulong MaxBytes = 1UL << 51;

    private BarRequest(int index, ulong sizeBytes, BarType type)
    {
        Index = index;
        SizeBytes = sizeBytes;
        Type = type;
    }

    /// <summary>0–5 the base address registers, <see cref="Bar.RomIndex"/> the ROM. A 64-bit BAR is known by the lower of its two
    /// registers.</summary>
    public int Index { get; }

    /// <summary>A power of two; 0 only in the default.</summary>
    public ulong SizeBytes { get; }

    /// <summary>What kind of window the register asks for.</summary>
    public BarType Type { get; }

    /// <summary>Builds a request from its size; false where the registers of PCI cannot express it.</summary>
    public static bool TryCreate(int index, ulong sizeBytes, BarType type, out BarRequest request)
    {
        request = default;
        bool isRom = type == BarType.Rom;
        ulong least = type == BarType.Io ? MinIoBytes : MinMemoryBytes;
        ulong most = type.Is64Bit() ? MaxBytes : type == BarType.Io ? 1UL << 16 : 1UL << 31;
        int lastIndex = isRom ? Bar.RomIndex : type.Is64Bit() ? 4 : 5;
        if (index < (isRom ? Bar.RomIndex : 0) || index > lastIndex || !ulong.IsPow2(sizeBytes) || sizeBytes < least || sizeBytes > most)
            return false;
        request = new(index, sizeBytes, type);
        return true;
    }

    /// <summary>
    /// Reads a request without an address: <c>128G,64bit</c>. Behind the size, each once and in any order: <c>64bit</c> or <c>32bit</c>,
    /// <c>prefetchable</c> or <c>non-prefetchable</c>, <c>io</c>. A window of 2 GiB is the largest of 32 bits; where nothing is said, smaller ones
    /// have 32 bits, and those of 64 bits are prefetchable.
    /// </summary>
    /// <param name="index">The register that it takes, 0–5; a 64-bit one takes the next one too.</param>
    public static bool TryParse(ReadOnlySpan<char> text, int index, out BarRequest request)
    {
        request = default;
        int comma = text.IndexOf(',');
        ReadOnlySpan<char> size = (comma < 0 ? text : text[..comma]).Trim();
        int shift = size.IsEmpty ? -1 : char.ToUpperInvariant(size[^1]) switch
        {
            'K' => 10,
            'M' => 20,
            'G' => 30,
            'T' => 40,
            >= '0' and <= '9' => 0,
            _ => -1,
        };
        if (shift < 0 || !TryCount(shift > 0 ? size[..^1] : size, out ulong number))
            return false;
        ulong sizeBytes = number << shift;
        if (sizeBytes >> shift != number)
            return false;
        bool? is64Bit = null;
        bool? isPrefetchable = null;
        bool isIo = false;
        while (comma >= 0)
        {
            text = text[(comma + 1)..];
            comma = text.IndexOf(',');
            switch ((comma < 0 ? text : text[..comma]).Trim())
            {
                case "64bit" or "64-bit" when is64Bit is null:
                    is64Bit = true;
                    break;
                case "32bit" or "32-bit" when is64Bit is null:
                    is64Bit = false;
                    break;
                case "prefetchable" or "pref" when isPrefetchable is null:
                    isPrefetchable = true;
                    break;
                case "non-prefetchable" or "nonpref" when isPrefetchable is null:
                    isPrefetchable = false;
                    break;
                case "io" when !isIo:
                    isIo = true;
                    break;
                default:
                    return false;
            }
        }

        if (isIo)
            return is64Bit is null && isPrefetchable is null && TryCreate(index, sizeBytes, BarType.Io, out request);
        bool isWide = is64Bit ?? sizeBytes > 1UL << 31;
        return TryCreate(index, sizeBytes, BarTypes.Of(BarKind.Memory, isWide, isPrefetchable ?? isWide), out request);
    }

    private static bool TryCount(ReadOnlySpan<char> text, out ulong number) => text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
        ? Bar.TryHex(text, out number)
        : ulong.TryParse(text, System.Globalization.NumberStyles.None, null, out number);

    /// <summary>A request that is known to be right.</summary>
    /// <exception cref="ArgumentException">The registers of PCI cannot express it.</exception>
    public static BarRequest Create(int index, ulong sizeBytes, BarType type) => TryCreate(index, sizeBytes, type, out BarRequest request)
        ? request
        : throw new ArgumentException($"No BAR {index} of type {type.Name()} has 0x{sizeBytes:x} bytes.", nameof(sizeBytes));
}
