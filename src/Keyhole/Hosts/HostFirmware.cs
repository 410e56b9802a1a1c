// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Hosts;

/// <summary>The firmware that started a machine, as its DMI tables name it. Texts are the vendor's own, one line of printable characters; null where
/// the source does not tell them, and one of them at least is there.</summary>
/// <param name="Vendor"><c>SeaBIOS</c>, <c>American Megatrends Inc.</c></param>
/// <param name="Version"><c>1.16.2-debian-1.16.2-1</c>, <c>F.27</c>.</param>
/// <param name="Date">Of its release, as the tables have it: <c>04/01/2014</c>.</param>
public sealed record HostFirmware(string? Vendor, string? Version, string? Date)
{
    private const int MaxLength = 64;

    /// <summary>Null where none of them says anything.</summary>
    public static HostFirmware? OrNull(string? vendor, string? version, string? date)
    {
        var firmware = new HostFirmware(Told(vendor), Told(version), Told(date));
        return firmware is { Vendor: null, Version: null, Date: null } ? null : firmware;
    }

    /// <summary>What Linux says at its start behind <c>DMI: </c>, which names no vendor: <c>QEMU Standard PC (i440FX + PIIX, 1996), BIOS
    /// 1.16.2-debian-1.16.2-1 04/01/2014</c>. Null where there is no firmware in it.</summary>
    public static HostFirmware? OfLinuxLine(ReadOnlySpan<char> machine)
    {
        const string mark = ", BIOS ";
        int at = machine.LastIndexOf(mark);
        if (at < 0)
            return null;
        string told = machine[(at + mark.Length)..].Trim().ToString();
        int space = told.LastIndexOf(' ');
        return IsDate(told[(space + 1)..])
            ? OrNull(null, space < 0 ? null : told[..space], told[(space + 1)..]) : OrNull(null, told, null);
    }

    /// <summary>What can be told to others: the names of makers that many machines share, and of the version its numbers. A maker's own letters may
    /// be a machine's, or somebody's.</summary>
    internal HostFirmware? ToAnonymous() => OrNull(
        Array.Find(s_makers, maker => Vendor?.Contains(maker, StringComparison.OrdinalIgnoreCase) == true),
        Numbers(Version),
        Date is not null && IsDate(Date) ? Date : null);

    private static readonly string[] s_makers =
    [
        "American Megatrends", "Apple", "ASUSTeK", "coreboot", "Dell", "EDK II", "EFI Development Kit", "Fujitsu", "GIGABYTE", "Google",
            "Hewlett-Packard",
        "HPE", "HP", "INSYDE", "Intel", "LENOVO", "Phoenix", "Proxmox", "SeaBIOS", "Supermicro", "Xen",
    ];

    /// <summary>The first numbers with dots between them: <c>1.16.2</c> of <c>rel-1.16.2-0-gea1b7a0</c>, <c>1.75</c> of <c>N2IET97W (1.75
    /// )</c>.</summary>
    private static string? Numbers(string? version)
    {
        const int mostDigits = 4;
        if (version is null)
            return null;
        foreach (string word in version.Split([' ', '(', ')', '-', '_'], StringSplitOptions.RemoveEmptyEntries))
        {
            string[] numbers = word.Split('.');
            if (numbers.Length is >= 2 and <= 4
                && numbers.All(static number => number.Length is > 0 and <= mostDigits && number.All(char.IsAsciiDigit)))
                return word;
        }

        return null;
    }

    /// <summary><c>04/01/2014</c>: month, day, year, as the tables have them.</summary>
    private static bool IsDate(string text) => text.Length == "04/01/2014".Length && text[2] == '/' && text[5] == '/'
        && text.Replace("/", "", StringComparison.Ordinal) is { Length: 8 } digits && digits.All(char.IsAsciiDigit);

    private static string? Told(string? text)
    {
        string line = InputError.OneLine(text?.Trim(), MaxLength);
        return line.Length == 0 ? null : line;
    }
}
