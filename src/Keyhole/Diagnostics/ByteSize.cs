// SPDX-License-Identifier: GPL-2.0-only

using System.Globalization;

namespace Keyhole.Diagnostics;

/// <summary>Sizes as people read them: the largest unit that leaves at least 1, three digits at most.</summary>
public static class ByteSize
{
    private static readonly string[] s_units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

    /// <summary>The size in its largest unit: <c>512 MiB</c>, <c>3.5 GiB</c>.</summary>
    public static string ToText(ulong sizeBytes)
    {
        int unit = 0;
        double value = sizeBytes;
        while (value >= 1024 && unit < s_units.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        string format = value >= 100 || value == double.Floor(value) ? "0" : value >= 10 ? "0.#" : "0.##";
        return $"{value.ToString(format, CultureInfo.InvariantCulture)} {s_units[unit]}";
    }
}
