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

    /// <summary>
    /// Two sizes that are told side by side. Where both would read the same and are not, both are told in the largest unit in which they differ:
    /// <c>3071.63 MiB</c>, <c>3072 MiB</c>.
    /// </summary>
    public static (string First, string Second) ToTexts(ulong firstBytes, ulong secondBytes)
    {
        (string First, string Second) texts = (ToText(firstBytes), ToText(secondBytes));
        int unit = 0;
        while (unit < s_units.Length - 1 && ulong.Max(firstBytes, secondBytes) >> (10 * (unit + 1)) != 0)
            unit++;
        if (firstBytes == secondBytes || (texts.First != texts.Second && In(firstBytes, unit) != In(secondBytes, unit)))
            return texts;
        while (unit > 0 && In(firstBytes, unit) == In(secondBytes, unit))
            unit--;
        return (In(firstBytes, unit), In(secondBytes, unit));
    }

    private static string In(ulong sizeBytes, int unit)
    {
        decimal value = (decimal)sizeBytes / (1UL << (10 * unit));
        return $"{value.ToString("0.##", CultureInfo.InvariantCulture)} {s_units[unit]}";
    }
}
