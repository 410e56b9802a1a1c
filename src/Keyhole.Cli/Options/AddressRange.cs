// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.Diagnostics;

namespace Keyhole.Cli.Options;

/// <summary>Ranges as option values: <c>A-B</c>, hex with or without 0x, or with a unit (1G-2G), the end exclusive, at most 2^52.</summary>
internal static class AddressRange
{
    public static bool TryParse(string text, out ulong start, out ulong end)
    {
        end = 0;
        int dash = text.IndexOf('-');
        return PhysicalAddress.TryParse(text[..Math.Max(dash, 0)], out start) && PhysicalAddress.TryParse(text[(dash + 1)..], out end) && start < end
            && end <= Frames.AddressLimit;
    }

    public static InputError Error(string option, string text)
    {
        int dash = text.IndexOf('-');
        ErrorText? why = dash < 0 ? null : PhysicalAddress.WhyNot(text[..dash]) ?? PhysicalAddress.WhyNot(text[(dash + 1)..]);
        return InputError.Malformed(option, null, why ?? $"{InputError.Quote(text)} is not a valid range",
            "write it as A-B, B exclusive and at most 2^52, in hex or with a unit, such as feb00000-fec00000 or 1G-2G");
    }
}
