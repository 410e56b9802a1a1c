// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using Keyhole.Addresses;

namespace Keyhole.Logs;

/// <summary>
/// Xen's <c>dom0_mem=</c>: a list of <c>min:</c>, <c>max:</c> and a plain amount. It may be given again; of each part the last one counts.
/// An amount is a size, <c>-SIZE</c> (what Xen has left without it), <c>N%</c> of what Xen has left, or <c>SIZE+N%</c>.
/// </summary>
internal readonly record struct Dom0MemOption
{
    private const string Name = "dom0_mem=";
    private const string MinWord = "min:";
    private const string MaxWord = "max:";

    /// <summary>What part of the RAM is more than Xen takes for itself.</summary>
    internal const ulong ShareOfXen = 16;

    private Amount Plain { get; init; }

    private Amount Max { get; init; }

    /// <summary>Whether an amount was no amount, as where its line was cut.</summary>
    public bool IsMalformed { get; init; }

    /// <summary>
    /// Reads a command line that was wrapped, with or without the loss of a blank: whichever gives a whole option. Null where both give
    /// one, and not the same.
    /// </summary>
    /// <param name="wrapped">Further lines, each behind a line feed.</param>
    /// <param name="before">What a command line before this one says.</param>
    public static Dom0MemOption? Of(ReadOnlySpan<char> commandLine, string wrapped, Dom0MemOption before = default)
    {
        Dom0MemOption words = Of($"{commandLine}{wrapped.Replace('\n', ' ')}", before);
        Dom0MemOption letters = Of($"{commandLine}{wrapped.Replace("\n", "", StringComparison.Ordinal)}", before);
        if (words == letters || !letters.IsWhole)
            return words;
        return words.IsWhole ? null : letters;
    }

    private static Dom0MemOption Of(ReadOnlySpan<char> commandLine, Dom0MemOption option)
    {
        foreach (Range at in commandLine.Split(' '))
        {
            ReadOnlySpan<char> word = commandLine[at].Trim('"');
            if (!IsOption(word))
                continue;
            ReadOnlySpan<char> list = word[Name.Length..];
            foreach (Range part in list.Split(','))
            {
                ReadOnlySpan<char> text = list[part];
                if (text.StartsWith(MinWord, StringComparison.Ordinal))
                    continue;
                bool isMax = text.StartsWith(MaxWord, StringComparison.Ordinal);
                if (Amount.Of(isMax ? text[MaxWord.Length..] : text) is not { } amount)
                {
                    option = option with { IsMalformed = true };
                    break;
                }

                option = isMax ? option with { Max = amount } : option with { Plain = amount };
            }
        }

        return option;
    }

    private bool IsWhole => (Plain.IsGiven || Max.IsGiven) && !IsMalformed;

    /// <summary>The pages that dom0 starts with, where nothing else says it; null where the option does not say either, or asks for more than there
    /// is.</summary>
    /// <param name="ramPages">All of the machine's that Xen may use; 0 where that is not known.</param>
    public ulong? PageCountOf(ulong ramPages)
    {
        if (IsMalformed)
            return null;
        Amount amount = Plain.IsGiven ? Plain : Max;
        if (!amount.IsGiven || amount is not { IsMinus: false, Percent: 0, Pages: > 0 })
            return null;
        // dom0 gets it only where Xen has as much left; a sixteenth of all is more than Xen takes.
        if ((ramPages != 0 || !Plain.IsGiven) && amount.Pages > ramPages - (ramPages / ShareOfXen))
            return null;
        return amount.Pages;
    }

    /// <summary>The limit in pages; null when there is none.</summary>
    /// <param name="pageCount">Pages that dom0 got.</param>
    /// <param name="ramPages">All of the machine's that Xen may use; 0 where that is not known.</param>
    /// <param name="isReckoned">Whether the limit is reckoned from <paramref name="ramPages"/>, which are more than what Xen has left.</param>
    public ulong? MaxPages(ulong pageCount, ulong ramPages, out bool isReckoned)
    {
        isReckoned = false;
        if (!Max.IsGiven)
            return null;
        if (Max is { IsMinus: false, Percent: 0 })
            return Max.Pages;
        // Without an amount of its own dom0 gets all that it may have.
        if (!Plain.IsGiven || Plain == Max)
            return pageCount;
        if (ramPages == 0)
            return null;
        isReckoned = true;
        ulong limit = Max.IsMinus ? ramPages - Math.Min(ramPages, Max.Pages) : Math.Min(ramPages, Max.Pages) + (ramPages * Max.Percent / 100);
        return Math.Max(limit, pageCount);
    }

    /// <summary>Xen takes "-" for "_" in the names of its options.</summary>
    private static bool IsOption(ReadOnlySpan<char> word) =>
        word.StartsWith(Name, StringComparison.Ordinal) || word.StartsWith("dom0-mem=", StringComparison.Ordinal);

    private readonly record struct Amount(bool IsGiven, bool IsMinus, ulong Pages, uint Percent)
    {
        public static Amount? Of(ReadOnlySpan<char> text)
        {
            bool isMinus = text.StartsWith('-');
            if (isMinus)
                text = text[1..];
            ulong pages = 0;
            uint percent = 0;
            foreach (Range at in text.Split('+'))
            {
                ReadOnlySpan<char> part = text[at];
                if (part.EndsWith('%'))
                {
                    if (!uint.TryParse(part[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out percent) || percent >= 100)
                        return null;
                }
                else if (Size(part) is { } size)
                {
                    pages = size;
                }
                else
                {
                    return null;
                }
            }

            return new(true, isMinus, pages, percent);
        }

        /// <summary>Xen's sizes in pages: a number, decimal or hex, with B, K, M, G or T, K when there is none.</summary>
        private static ulong? Size(ReadOnlySpan<char> text)
        {
            bool isHex = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
            ReadOnlySpan<char> rest = isHex ? text[2..] : text;
            int digits = 0;
            while (digits < rest.Length && (isHex ? char.IsAsciiHexDigit(rest[digits]) : char.IsAsciiDigit(rest[digits])))
                digits++;
            if (!ulong.TryParse(rest[..digits], isHex ? NumberStyles.AllowHexSpecifier : NumberStyles.None, CultureInfo.InvariantCulture,
                out ulong number))
                return null;
            if (digits < rest.Length - 1)
                return null;
            int? shift = digits == rest.Length
                ? 10
                : char.ToUpperInvariant(rest[digits]) switch
                {
                    'B' => 0,
                    'K' => 10,
                    'M' => 20,
                    'G' => 30,
                    'T' => 40,
                    _ => null,
                };
            return shift is not { } by || number > Frames.AddressLimit >> by ? null : (number << by) >> Frames.Shift;
        }
    }
}
