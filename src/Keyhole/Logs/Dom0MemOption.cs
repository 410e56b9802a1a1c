// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using Keyhole.Addresses;

namespace Keyhole.Logs;

/// <summary>
/// Xen's <c>dom0_mem=</c>: a list of <c>min:</c>, <c>max:</c> and a plain amount, which stays within the other two. It may be given again; of each
/// part the last one counts.
/// An amount is a size, <c>-SIZE</c> (what Xen has left without it), <c>N%</c> of what Xen has left, or <c>SIZE+N%</c>.
/// </summary>
internal readonly record struct Dom0MemOption
{
    private const string Name = "dom0_mem=";
    private const string MinWord = "min:";
    private const string MaxWord = "max:";

    /// <summary>What part of the RAM is more than Xen takes for itself.</summary>
    private const ulong ShareOfXen = 16;

    /// <summary>What Xen keeps for itself of what it has left where no amount is said: a sixteenth, at most 128 MiB.</summary>
    private const ulong ShareOfDefault = 16;
    private const ulong MostOfDefault = (128UL << 20) >> Frames.Shift;

    private Amount Plain { get; init; }

    private Amount Min { get; init; }

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
                bool isMin = text.StartsWith(MinWord, StringComparison.Ordinal);
                bool isMax = text.StartsWith(MaxWord, StringComparison.Ordinal);
                if (Amount.Of(isMin ? text[MinWord.Length..] : isMax ? text[MaxWord.Length..] : text) is not { } amount)
                {
                    option = option with { IsMalformed = true };
                    break;
                }

                option = isMin ? option with { Min = amount } : isMax ? option with { Max = amount } : option with { Plain = amount };
            }
        }

        return option;
    }

    private bool IsWhole => (Plain.IsGiven || Max.IsGiven) && !IsMalformed;

    /// <summary>Whether the limit is a size that does not hang on what Xen has left.</summary>
    public bool IsMaxSize => Max.IsSize;

    /// <summary>Whether the pages may follow from it, once it is known how many the machine has.</summary>
    public bool MayTellPages => !IsMalformed && (Plain.IsGiven || Max.IsGiven);

    /// <summary>The pages that dom0 starts with, where nothing else says it; null where the option does not say either, or asks for more than there
    /// is.</summary>
    /// <param name="ramPages">All of the machine's that Xen may use; 0 where that is not known.</param>
    public ulong? PageCountOf(ulong ramPages)
    {
        if (ramPages != 0)
            return PageCountWithin(ramPages, ramPages);
        // What it is without regard to what there is.
        return !IsMalformed && Plain.IsSize && (!Min.IsGiven || Min.IsSize) ? Clamped(Plain.Pages, ulong.MaxValue) : null;
    }

    /// <summary>The same where the machine has at least so many pages, and at most so many: what is the same with the least that Xen surely has left
    /// and with all is so.</summary>
    /// <param name="least">More than 0.</param>
    /// <param name="most">All, where all are known.</param>
    public ulong? PageCountWithin(ulong least, ulong most)
    {
        if (!MayTellPages)
            return null;
        ulong few = Computed(least - (least / ShareOfXen));
        return few != 0 && few == Computed(most) ? few : null;
    }

    /// <summary>Whether the amount is more than what Xen surely has left of so many pages.</summary>
    public bool IsMoreThan(ulong ramPages) => MayTellPages && (Plain.IsGiven ? Plain : Max) is { IsSize: true } amount
        && amount.Pages > ramPages - (ramPages / ShareOfXen);

    /// <summary>As Xen reckons (dom0_compute_nr_pages): each step grows with what is left.</summary>
    private ulong Computed(ulong left)
    {
        ulong pages = Plain.IsGiven ? Plain.Of(left) : 0;
        if (pages == 0)
            pages = left - Math.Min(left / ShareOfDefault, MostOfDefault);
        return Clamped(pages, left);
    }

    private ulong Clamped(ulong pages, ulong left)
    {
        if (Min.IsGiven)
            pages = Math.Max(pages, Min.Of(left));
        if (Max.IsGiven && (left != ulong.MaxValue || Max.IsSize))
            pages = Math.Min(pages, Max.Of(left));
        return Math.Min(pages, left);
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
        /// <summary>Whether it is a size that does not hang on what Xen has left.</summary>
        public bool IsSize => IsGiven && !IsMinus && Percent == 0 && Pages > 0;

        /// <summary>In pages, of what Xen has left.</summary>
        public ulong Of(ulong left)
        {
            ulong pages = Percent == 0 ? Pages : Pages + (ulong)((UInt128)left * Percent / 100);
            return IsMinus ? left - Math.Min(left, pages) : pages;
        }

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
