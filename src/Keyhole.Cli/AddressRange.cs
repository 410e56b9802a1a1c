// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using Keyhole.Addresses;
using Keyhole.Diagnostics;

namespace Keyhole.Cli;

/// <summary>Ranges as option values: <c>A-B</c>, hex with or without 0x, the end exclusive, at most 2^52.</summary>
internal static class AddressRange
{
    public static bool TryParse(string text, out ulong start, out ulong end)
    {
        end = 0;
        int dash = text.IndexOf('-');
        return TryHex(text.AsSpan(0, Math.Max(dash, 0)), out start) && TryHex(text.AsSpan(dash + 1), out end) && start < end && end <= Frames.AddressLimit;
    }

    public static InputError Error(string option, string text) =>
        new(option, null, $"{InputError.Quote(text)} is no range", "write it as A-B in hex, B exclusive and at most 10000000000000 (2^52), such as feb00000-fec00000");

    private static bool TryHex(ReadOnlySpan<char> text, out ulong value)
    {
        if (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
            text = text[2..];
        return ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }
}
