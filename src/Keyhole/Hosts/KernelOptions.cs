// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using System.Text.RegularExpressions;

namespace Keyhole.Hosts;

/// <summary>What a Linux is booted with that says something of its memory, or of its own place in it: of a command line nothing else is kept, for
/// users write there what is theirs alone.</summary>
public static partial class KernelOptions
{
    /// <summary>More of them than a command line has room for.</summary>
    internal const int MaxCount = 256;

    /// <summary>Characters of one.</summary>
    internal const int MaxLength = 200;

    private const string Memmap = "memmap=";

    /// <summary>As Linux names them (Documentation/admin-guide/kernel-parameters.txt).</summary>
    private static readonly string[] s_names =
    [
        "mem", "memmap", "nokaslr", "kaslr", "iomem", "hugepages", "hugepagesz", "default_hugepagesz", "hugetlb_cma", "cma", "movable_node",
        "movablecore", "kernelcore", "crashkernel", "efi", "efi_fake_mem", "add_efi_memmap",
    ];

    /// <summary>Words that stand behind their '='.</summary>
    private static readonly string[] s_words =
    [
        "exactmap", "nopentium", "relaxed", "strict", "mirror", "high", "low", "cma", "runtime", "noruntime", "nosoftreserve", "novamap", "nochunk",
        "debug", "disable_early_pci_dma", "no_disable_early_pci_dma",
    ];

    /// <summary>Those of a command line, in its order, a <c>memmap=</c> for each range of a list; empty where it has none. What follows "--" is
    /// init's.</summary>
    public static ImmutableArray<string> Of(ReadOnlySpan<char> commandLine)
    {
        var options = ImmutableArray.CreateBuilder<string>();
        foreach (Range at in commandLine.Split(' '))
        {
            ReadOnlySpan<char> word = commandLine[at].Trim('"');
            if (word is "--")
                break;
            int sign = word.IndexOf('=');
            if (!IsKept(sign < 0 ? word : word[..sign]))
                continue;
            if (!word.StartsWith(Memmap, StringComparison.Ordinal))
            {
                Add(options, word);
                continue;
            }

            ReadOnlySpan<char> list = word[Memmap.Length..];
            foreach (Range part in list.Split(','))
                Add(options, $"{Memmap}{list[part]}");
        }

        return options.DrainToImmutable();
    }

    /// <summary>What can be told to others: numbers, and Linux's own words. What stands behind them does not change what Linux makes of the
    /// option.</summary>
    internal static string ToAnonymous(string option)
    {
        int value = option.IndexOf('=', StringComparison.Ordinal) + 1;
        return value == 0 ? option : option[..value]
            + string.Join(',', option[value..].Split(',').Select(static part => IsWord(part) ? part : Numbers().Match(part).Value));
    }

    /// <summary>Printable, and no longer than what is read of a capture: Linux reads the number in front, whatever follows.</summary>
    private static void Add(ImmutableArray<string>.Builder options, ReadOnlySpan<char> option)
    {
        int end = option.IndexOfAnyExceptInRange('!', '~');
        ReadOnlySpan<char> kept = option[..int.Min(end < 0 ? option.Length : end, MaxLength)].TrimEnd('"');
        if (options.Count < MaxCount && !kept.EndsWith('='))
            options.Add(kept.ToString());
    }

    private static bool IsKept(ReadOnlySpan<char> name) => s_names.AsSpan().Contains(name.ToString());

    private static bool IsWord(string text) => s_words.Contains(text, StringComparer.Ordinal);

    /// <summary>Sizes and addresses with the signs between them.</summary>
    [GeneratedRegex(@"^(?:(?:0x[0-9a-f]{1,16}|[0-9]{1,20})[kmgtpe]?|[$@#!%+:\\-])*", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex Numbers();
}
