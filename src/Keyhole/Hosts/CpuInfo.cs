// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.IO;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Hosts;

/// <summary>What Linux's <c>/proc/cpuinfo</c> says of the first processor.</summary>
public static class CpuInfo
{
    private const int MaxLines = 256;

    /// <summary>The traits with vendor, family, address bits and 1 GiB pages filled in where the text has them and they are still unknown.</summary>
    public static HostTraits AddTo(HostTraits traits, Stream stream)
    {
        ArgumentNullException.ThrowIfNull(traits);
        ArgumentNullException.ThrowIfNull(stream);
        var text = new TextLines(default, stream);
        for (int i = 0; i < MaxLines && text.TryRead(out ReadOnlySpan<char> line); i++)
        {
            int colon = line.IndexOf(':');
            if (colon < 0)
                continue;
            ReadOnlySpan<char> key = line[..colon].Trim();
            ReadOnlySpan<char> value = line[(colon + 1)..].Trim();
            if (key.SequenceEqual("vendor_id") && !value.IsEmpty)
                traits = traits with { CpuVendor = traits.CpuVendor ?? InputError.OneLine(value, 12) };
            else if (key.SequenceEqual("cpu family") && int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int family)
                && family <= 0x10e)
                traits = traits with { CpuFamily = traits.CpuFamily ?? family };
            else if (key.SequenceEqual("flags"))
                traits = traits with { HasGiBPages = traits.HasGiBPages ?? $" {value} ".Contains(" pdpe1gb ", StringComparison.Ordinal) };
            else if (key.SequenceEqual("address sizes") && value.IndexOf(' ') is > 0 and int end
                && int.TryParse(value[..end], NumberStyles.None, CultureInfo.InvariantCulture, out int bits) && bits is >= 32 and <= 52)
                traits = traits with { PhysicalAddressBits = traits.PhysicalAddressBits ?? bits };
        }

        return traits;
    }
}
