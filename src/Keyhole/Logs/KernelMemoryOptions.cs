// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.Logs;

/// <summary>What an option of a kernel's command line does to the kernel's own map.</summary>
internal enum KernelMemoryOptionKind
{
    /// <summary><c>mem=SIZE</c>, <c>memmap=SIZE</c>: no RAM from that address on.</summary>
    Limit,

    /// <summary><c>memmap=SIZE@START</c> and the other signs: a range gets a type.</summary>
    Range,

    /// <summary><c>memmap=exactmap</c>: nothing but what follows.</summary>
    ExactMap,

    /// <summary><c>memmap=SIZE%START-OLD+NEW</c>: what is of one type there becomes another, or is taken out.</summary>
    Change,

    /// <summary>Linux reads a size and stops at a character that is no sign: it takes it for a limit.</summary>
    Broken,
}

/// <summary>One <c>mem=</c> or <c>memmap=</c>.</summary>
/// <param name="Text">As it stands on the command line.</param>
/// <param name="Limit">Bytes, of a limit or of what is read of a broken one.</param>
/// <param name="Range">Bytes.</param>
/// <param name="Type">What the range becomes; <see cref="E820Type.None"/> where a change takes it out.</param>
internal readonly record struct KernelMemoryOption(KernelMemoryOptionKind Kind, string Text, ulong Limit, ByteRange Range, E820Type Type)
{
    /// <summary>Of a change: which type alone it touches; <see cref="E820Type.None"/> for all.</summary>
    public E820Type OldType { get; init; }

    /// <summary>Of what is broken: the character behind the size.</summary>
    public char Rest { get; init; }
}

/// <summary>Reads <c>mem=</c> and <c>memmap=</c> of Linux's command line as Linux does (Documentation/admin-guide/kernel-parameters.txt).</summary>
internal static class KernelMemoryOptions
{
    /// <summary>More of them than a command line has room for.</summary>
    private const int MaxOptions = 256;

    /// <summary>Those that stand behind "--".</summary>
    public static IReadOnlyList<KernelMemoryOption> BehindDashes(string commandLine)
    {
        int at = commandLine.IndexOf(" -- ", StringComparison.Ordinal);
        return at < 0 ? [] : Of(commandLine.AsSpan(at + 4));
    }

    /// <summary>In the order of the command line.</summary>
    public static IReadOnlyList<KernelMemoryOption> Of(ReadOnlySpan<char> commandLine)
    {
        List<KernelMemoryOption> options = [];
        foreach (Range at in commandLine.Split(' '))
        {
            ReadOnlySpan<char> word = commandLine[at].Trim('"');
            // What follows "--" is init's.
            if (word is "--" || options.Count >= MaxOptions)
                break;
            if (word.StartsWith("mem=", StringComparison.Ordinal) && TrySize(word[4..], out ulong limit, out _) && limit != 0)
                options.Add(new(KernelMemoryOptionKind.Limit, word.ToString(), limit, default, default));
            else if (word.StartsWith("memmap=", StringComparison.Ordinal))
                AddMaps(word["memmap=".Length..], options);
        }

        return options;
    }

    /// <summary>Whether an option that stands behind a limit makes RAM beyond it.</summary>
    public static bool MakesRamBehind(IEnumerable<KernelMemoryOption> options, KernelMemoryOption limit)
    {
        bool isBehind = false;
        foreach (KernelMemoryOption option in options)
        {
            if (isBehind && option.Type == E820Type.Ram && option.Range.End > limit.Limit
                && option.Kind is KernelMemoryOptionKind.Range or KernelMemoryOptionKind.Change)
                return true;
            isBehind |= option == limit;
        }

        return false;
    }

    /// <summary>A list, divided by commas since 3.x.</summary>
    private static void AddMaps(ReadOnlySpan<char> list, List<KernelMemoryOption> options)
    {
        foreach (Range at in list.Split(','))
        {
            ReadOnlySpan<char> text = list[at];
            string shown = $"memmap={text}";
            if (text is "exactmap")
            {
                options.Add(new(KernelMemoryOptionKind.ExactMap, shown, 0, default, default));
                continue;
            }

            if (!TrySize(text, out ulong size, out int length) || size == 0)
                continue;
            ReadOnlySpan<char> rest = text[length..];
            E820Type? type = rest.IsEmpty
                ? null
                : rest[0] switch
                {
                    '@' => E820Type.Ram,
                    '#' => E820Type.Acpi,
                    '$' => E820Type.Reserved,
                    '!' => E820Type.Pram,
                    '%' => E820Type.None,
                    _ => null,
                };
            if (type is not { } known)
            {
                options.Add(new(rest.IsEmpty ? KernelMemoryOptionKind.Limit : KernelMemoryOptionKind.Broken, shown, size, default, default)
                { Rest = rest.IsEmpty ? default : rest[0] });
                continue;
            }

            // Behind a sign Linux reads what is no number as 0.
            ulong start = 0;
            int startLength = 0;
            if ((rest.Length > 1 && char.IsAsciiDigit(rest[1]) && !TrySize(rest[1..], out start, out startLength)) || start > Frames.AddressLimit
                || size > Frames.AddressLimit - start)
                continue;
            if (known != E820Type.None)
                options.Add(new(KernelMemoryOptionKind.Range, shown, 0, ByteRange.FromSize(start, size), known));
            else if (TryTypes(rest[(1 + startLength)..], out E820Type old, out E820Type wanted))
                options.Add(new(old == E820Type.None && wanted != E820Type.None ? KernelMemoryOptionKind.Range : KernelMemoryOptionKind.Change,
                    shown, 0, ByteRange.FromSize(start, size), wanted)
                { OldType = old });
        }
    }

    /// <summary>"-OLD+NEW", each of which may be missing: without an old type the range is added, without a new one it is taken out.</summary>
    private static bool TryTypes(ReadOnlySpan<char> text, out E820Type old, out E820Type wanted)
    {
        old = wanted = E820Type.None;
        return TryType(ref text, '-', ref old) && TryType(ref text, '+', ref wanted) && text.IsEmpty;
    }

    private static bool TryType(ref ReadOnlySpan<char> text, char sign, ref E820Type type)
    {
        if (!text.StartsWith(sign))
            return true;
        // A type is no size, but has the same forms: decimal, 0x…, 0….
        int end = text[1..].IndexOf('+') is var plus and >= 0 ? plus + 1 : text.Length;
        if (!TrySize(text[1..end], out ulong number, out int length) || length != end - 1 || number > uint.MaxValue)
            return false;
        type = (E820Type)number;
        text = text[end..];
        return true;
    }

    /// <summary>Linux's memparse: a number, hex behind 0x, octal behind 0, with K, M, G, T, P or E.</summary>
    private static bool TrySize(ReadOnlySpan<char> text, out ulong size, out int length)
    {
        size = 0;
        bool isHex = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        uint radix = isHex ? 16u : text.StartsWith('0') ? 8u : 10u;
        int start = isHex ? 2 : 0;
        length = start;
        while (length < text.Length && char.IsAsciiHexDigit(text[length]) && Digit(text[length]) < radix)
        {
            if (size >= Frames.AddressLimit)
                return false;
            size = (size * radix) + Digit(text[length]);
            length++;
        }

        if (length == start)
            return false;
        if (length == text.Length)
            return size <= Frames.AddressLimit;
        int shift = char.ToUpperInvariant(text[length]) switch
        {
            'K' => 10,
            'M' => 20,
            'G' => 30,
            'T' => 40,
            'P' => 50,
            _ => 0,
        };
        length += shift == 0 ? 0 : 1;
        if (size > Frames.AddressLimit >> shift)
            return false;
        size <<= shift;
        return true;
    }

    private static uint Digit(char c) => c <= '9' ? (uint)(c - '0') : (uint)((c | 0x20) - 'a' + 10);
}
