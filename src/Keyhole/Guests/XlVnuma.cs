// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Globalization;

namespace Keyhole.Guests;

/// <summary>What xl counts of the nodes of <c>vnuma=</c>.</summary>
/// <param name="IsSet">Whether there is a node.</param>
/// <param name="MemoryKiB">That of all nodes: where maxmem is not set it is this.</param>
/// <param name="Processors">Those of all nodes.</param>
/// <param name="Refusal">Why xl stops at it, in its words; null where it does not.</param>
/// <remarks>Source: parse_vnuma_config in xl_parse.c, the same from 4.6 to 4.22.</remarks>
internal readonly record struct XlVnuma(bool IsSet, ulong MemoryKiB, ulong Processors, string? Refusal)
{
    public static XlVnuma Of(XlSettings keys)
    {
        if (keys.Items("vnuma") is not [_, ..] nodes)
            return default;
        ulong memoryKiB = 0;
        ulong processors = 0;
        foreach (XlValue node in nodes)
        {
            if (node is not XlList { Items: var options })
                return new(true, 0, 0, "xl: cannot get vnode config option list");
            if (Count(options, ref memoryKiB, ref processors) is { } words)
                return new(true, 0, 0, words);
        }

        bool isOther = keys.Number("maxvcpus") is { } most and not 0 && (ulong)most != processors;
        bool isOtherSize = keys.Number("maxmem") is { } mib && (ulong)mib << 10 != memoryKiB;
        return new(true, memoryKiB, processors, isOther ? "xl: vnuma vcpus and maxvcpus= mismatch"
            : isOtherSize ? "xl: maxmem and vnuma memory size mismatch" : null);
    }

    private static string? Count(ImmutableArray<XlValue> options, ref ulong memoryKiB, ref ulong processors)
    {
        foreach (XlValue option in options)
        {
            if (option is not XlText { Text: var text })
                continue;
            int at = text.IndexOf('=', StringComparison.Ordinal);
            if (at < 0 || at == text.Length - 1)
                return $"xl: failed to split {Diagnostics.InputError.Quote(text)} into pair";
            string value = text[(at + 1)..].Trim();
            switch (text[..at].Trim())
            {
                case "pnode" when Number(value) is null:
                case "size" when Number(value) is null:
                    return $"xl: failed to convert {Diagnostics.InputError.Quote(value)} to number";
                case "size":
                    memoryKiB = unchecked(memoryKiB + (Number(value)!.Value << 10));
                    break;
                case "vcpus":
                    foreach (string range in value.Split(',', StringSplitOptions.RemoveEmptyEntries))
                    {
                        string[] ends = range.Split('-', 2);
                        if (Number(ends[0]) is { } first && Number(ends[^1]) is { } last && first <= last)
                            processors = unchecked(processors + (last - first + 1));
                    }

                    break;
            }
        }

        return null;
    }

    /// <summary>The digits at its start; null where there are none.</summary>
    private static ulong? Number(string text)
    {
        string rest = text.TrimStart();
        int end = 0;
        while (end < rest.Length && char.IsAsciiDigit(rest[end]))
            end++;
        return ulong.TryParse(rest.AsSpan(0, end), NumberStyles.None, CultureInfo.InvariantCulture, out ulong value) ? value : null;
    }
}
