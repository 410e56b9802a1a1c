// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using Keyhole.Addresses;
using Keyhole.Diagnostics;

namespace Keyhole.Cli.Options;

/// <summary>An address as an option's value: hex, with or without 0x, or a decimal number with K, M, G or T, as kernel parameters have them. At most
/// 2^52.</summary>
internal static class PhysicalAddress
{
    private const string Units = "KMGT";

    public static bool TryParse(string text, out ulong address)
    {
        ReadOnlySpan<char> digits = WithoutUnderscores(text.AsSpan().Trim());
        if (TryUnit(ref digits, out int shift))
        {
            if (!ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out address) || address > Frames.AddressLimit >> shift)
                return false;
            address <<= shift;
            return true;
        }

        if (digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
            digits = digits[2..];
        return ulong.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out address) && address <= Frames.AddressLimit;
    }

    /// <summary>Takes a unit off the end of a number: K, M, G, T, or the same spelled out, KiB to TiB. All are powers of 1024.</summary>
    /// <param name="shift">The unit as a power of 2.</param>
    public static bool TryUnit(ref ReadOnlySpan<char> number, out int shift)
    {
        ReadOnlySpan<char> rest = number.EndsWith("iB", StringComparison.OrdinalIgnoreCase) ? number[..^2] : number;
        int unit = rest.IsEmpty ? -1 : Units.IndexOf(char.ToUpperInvariant(rest[^1]), StringComparison.Ordinal);
        shift = 10 * (unit + 1);
        if (unit < 0)
            return false;
        number = rest[..^1].TrimEnd();
        return true;
    }

    /// <summary>Of a number that is written with them between its digits, as 0x7f49_f000.</summary>
    public static ReadOnlySpan<char> WithoutUnderscores(ReadOnlySpan<char> number) =>
        number.Contains('_') && number is [not '_', .., not '_'] ? number.ToString().Replace("_", "", StringComparison.Ordinal) : number;

    /// <summary>How a value without 0x and without a unit was read, for those who meant something else; null where nothing is unclear.</summary>
    public static string? Reading(string option, string text)
    {
        string digits = text.Trim();
        return digits.Length > 0 && digits.AsSpan().IndexOfAnyExceptInRange('0', '9') < 0 && digits != "0" && TryParse(digits, out ulong address)
            ? string.Create(CultureInfo.InvariantCulture,
                $"{option} {digits} is read as hex: 0x{address:x} ({Diagnostics.ByteSize.ToText(address)}); write "
                    + $"{digits}M or {digits}G for MiB or GiB")
            : null;
    }

    public static InputError Error(string option, string text) => InputError.Malformed(option, null,
        WhyNot(text) ?? $"{InputError.Quote(text)} is not a valid address",
        $"write {NumberForms.WholeOf(text, 0) ?? "1G, 512M or 0x20000000"}; at most 2^52");

    /// <summary>What is wrong with an address where that can be told; else null.</summary>
    public static ErrorText? WhyNot(string text)
    {
        if (NumberForms.IsFraction(text, 0, out _, out _))
            return $"{InputError.Quote(text)} has a fraction, and addresses are whole numbers";
        return NumberForms.HasUnknownUnit(text) ? (ErrorText)$"{InputError.Quote(text)} {NumberForms.UnknownUnit}" : null;
    }
}
