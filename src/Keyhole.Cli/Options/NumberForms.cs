// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using Keyhole.Addresses;

namespace Keyhole.Cli.Options;

/// <summary>Forms in which people write sizes and addresses, and which are not read: what is wrong with them, and what to write instead.</summary>
internal static class NumberForms
{
    public const string UnknownUnit = "has a unit that is not understood: K, M, G and T are, and KiB to TiB, all of 1024";

    /// <summary>Whether a number has a unit of 1000 or of another tool's: 1GB, 1Gi.</summary>
    public static bool HasUnknownUnit(ReadOnlySpan<char> text)
    {
        text = text.Trim();
        if (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase) || text is not [>= '0' and <= '9', .., _])
            return false;
        ReadOnlySpan<char> number = text[^1] is 'B' or 'b' && text[^2] is not ('i' or 'I') || text[^1] is 'i' or 'I' ? text[..^1].TrimEnd() : default;
        return !number.IsEmpty && PhysicalAddress.TryUnit(ref number, out _) && number.IndexOfAnyExceptInRange('0', '9') < 0;
    }

    /// <summary>Whether a number has a fraction.</summary>
    /// <param name="usualShift">The unit of one without, as a power of 2.</param>
    /// <param name="shift">The unit of this one.</param>
    public static bool IsFraction(ReadOnlySpan<char> text, int usualShift, out decimal number, out int shift)
    {
        text = text.Trim();
        if (!PhysicalAddress.TryUnit(ref text, out shift))
            shift = usualShift;
        return decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out number) && text.Contains('.')
            && number < Frames.AddressLimit >> shift;
    }

    /// <summary>The same number of MiB without a fraction; null where there is none.</summary>
    public static string? WholeOf(ReadOnlySpan<char> text, int usualShift)
    {
        const int mibShift = 20;
        if (!IsFraction(text, usualShift, out decimal number, out int shift) || shift < mibShift)
            return null;
        decimal mib = number * (1UL << (shift - mibShift));
        return mib == decimal.Truncate(mib) ? string.Create(CultureInfo.InvariantCulture, $"{mib:0}M") : null;
    }
}
