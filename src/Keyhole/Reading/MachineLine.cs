// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Reading;

/// <summary>What a Linux says of its machine and its firmware: <c>DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1
/// 04/01/2014</c>.</summary>
/// <remarks>Source: Linux' drivers/firmware/dmi_scan.c (dmi_format_ids).</remarks>
internal static class MachineLine
{
    /// <summary>What it begins with.</summary>
    public const string Mark = "DMI: ";

    private const string Firmware = ", BIOS";
    private const string Date = "04/01/2014";

    /// <summary>Whether a line ends before the firmware's release and date, as mail programs wrap it.</summary>
    public static bool EndsAmid(ReadOnlySpan<char> line) =>
        line.Contains(Mark, StringComparison.Ordinal) && !EndsWithDate(line);

    /// <summary>Whether a line ends right before the firmware's release.</summary>
    public static bool LacksRelease(ReadOnlySpan<char> line) => line.TrimEnd().EndsWith(Firmware);

    /// <summary>Whether the last word is a date as SMBIOS has it: month, day, year.</summary>
    public static bool EndsWithDate(ReadOnlySpan<char> line)
    {
        ReadOnlySpan<char> text = line.TrimEnd();
        if (text.Length < Date.Length)
            return false;
        text = text[^Date.Length..];
        for (int i = 0; i < text.Length; i++)
        {
            if (Date[i] == '/' ? text[i] != '/' : !char.IsAsciiDigit(text[i]))
                return false;
        }

        return true;
    }
}
