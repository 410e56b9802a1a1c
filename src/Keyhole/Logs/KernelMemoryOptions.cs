// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using Keyhole.Addresses;
using Keyhole.E820;

namespace Keyhole.Logs;

/// <summary>What an option of a kernel's command line does to the kernel's own map.</summary>
public enum KernelMemoryOptionKind
{
    /// <summary><c>mem=SIZE</c>, <c>memmap=SIZE</c>: no RAM from that address on.</summary>
    Limit,

    /// <summary><c>memmap=SIZE@START</c> and the other signs: a range gets a type.</summary>
    Range,

    /// <summary><c>memmap=exactmap</c>: nothing but what follows.</summary>
    ExactMap,

    /// <summary>Linux reads a size and stops at a character that is no sign: it takes it for a limit.</summary>
    Broken,
}

/// <summary>One <c>mem=</c> or <c>memmap=</c>.</summary>
/// <param name="Text">As it stands on the command line.</param>
/// <param name="Limit">Bytes, of a limit or of what is read of a broken one.</param>
/// <param name="Range">Bytes.</param>
public readonly record struct KernelMemoryOption(KernelMemoryOptionKind Kind, string Text, ulong Limit, ByteRange Range, E820Type Type);

/// <summary>Reads <c>mem=</c> and <c>memmap=</c> of Linux's command line as Linux does (Documentation/admin-guide/kernel-parameters.txt).</summary>
public static class KernelMemoryOptions
{
    /// <summary>More of them than a command line has room for.</summary>
    private const int MaxOptions = 256;

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
            if (type is { } known && TrySize(rest[1..], out ulong start, out int startLength) && start <= Frames.AddressLimit && size <= Frames.AddressLimit - start)
            {
                // "%start-old+new" changes one type into another.
                if (known != E820Type.None)
                    options.Add(new(KernelMemoryOptionKind.Range, shown, 0, ByteRange.FromSize(start, size), known));
                else if (NewType(rest[(1 + startLength)..]) is { } other)
                    options.Add(new(KernelMemoryOptionKind.Range, shown, 0, ByteRange.FromSize(start, size), other));
                continue;
            }

            options.Add(new(rest.IsEmpty ? KernelMemoryOptionKind.Limit : KernelMemoryOptionKind.Broken, shown, size, default, default));
        }
    }

    private static E820Type? NewType(ReadOnlySpan<char> text)
    {
        int plus = text.IndexOf('+');
        return plus >= 0 && uint.TryParse(text[(plus + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out uint type) && type != 0 ? (E820Type)type : null;
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
