// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;

namespace Keyhole.Guests;

/// <summary>The two firmwares of PC guests.</summary>
public enum FirmwareName
{
    /// <summary>SeaBIOS.</summary>
    SeaBios,

    /// <summary>OVMF, of edk2.</summary>
    Ovmf,
}

/// <summary>Who built a firmware, where that build does otherwise than edk2's release of the same name.</summary>
public enum FirmwareMaker
{
    /// <summary>A distribution, or edk2 itself.</summary>
    Other,

    /// <summary>Proxmox VE's package pve-edk2-firmware: edk2's releases, with few patches.</summary>
    Proxmox,

    /// <summary>LXD's snap, as long as it built edk2 from edk2's own source.</summary>
    Lxd,
}

/// <summary>A release of a firmware: SeaBIOS 1.16.3, or OVMF 2025.02 (edk2's tags name the same release 202502).</summary>
/// <param name="Name">Which firmware.</param>
/// <param name="Major">SeaBIOS's first number, OVMF's year.</param>
/// <param name="Minor">SeaBIOS's second number, OVMF's month.</param>
/// <param name="Patch">SeaBIOS's third number; 0 for OVMF.</param>
public readonly record struct QemuFirmware(FirmwareName Name, int Major, int Minor, int Patch = 0)
{
    private const string ProxmoxPrefix = "pve-edk2-";
    private const string ProxmoxPackage = "pve-edk2-firmware-";
    private const string LxdPrefix = "lxd-edk2-";
    private const string RpmPrefix = "edk2-ovmf-";

    /// <summary>
    /// The revision of the distribution's package (8 in Debian's 2025.02-8), or null where none is told. A package may carry changes that the
    /// release of the same name does not have.
    /// </summary>
    public int? Revision { get; init; }

    /// <summary>Whether it is edk2's own release (edk2-stable202502) and no distribution's package of it.</summary>
    public bool IsUpstream { get; init; }

    /// <summary>Who built it.</summary>
    public FirmwareMaker Maker { get; init; }

    /// <summary>The last of its kind whose behaviour is known by records.</summary>
    internal QemuFirmware NewestKnown => Name == FirmwareName.SeaBios ? new(Name, 1, 17) : new(Name, 2026, 8) { IsUpstream = true };

    /// <summary>Whether the release is the given one or a later one.</summary>
    public bool IsSince(int major, int minor, int patch = 0) => (Major, Minor, Patch).CompareTo((major, minor, patch)) >= 0;

    /// <summary>
    /// Reads <c>seabios-1.16.3</c>, <c>ovmf-2025.02-8</c>, <c>edk2-stable202505</c>, <c>pve-edk2-2025.02-4</c> (or the package's own name,
    /// <c>pve-edk2-firmware-4.2025.02-4</c>), <c>lxd-edk2-2023.11</c>, and <c>edk2-ovmf-20231122-6.el9_4</c> as the edk2 that it was made from. False
    /// where no release is named.
    /// </summary>
    public static bool TryParse(ReadOnlySpan<char> text, out QemuFirmware firmware)
    {
        firmware = default;
        if (text.StartsWith("edk2-stable") && text.Length == "edk2-stable".Length + 6
            && int.TryParse(text["edk2-stable".Length..], NumberStyles.None, null, out int tag))
        {
            firmware = new(FirmwareName.Ovmf, tag / 100, tag % 100) { IsUpstream = true };
            return IsMonth(firmware);
        }

        // As rpm -q prints it.
        if (text.StartsWith(RpmPrefix) && text.Length >= RpmPrefix.Length + 8
            && (text.Length == RpmPrefix.Length + 8 || !char.IsAsciiDigit(text[RpmPrefix.Length + 8])))
        {
            return TryOfDay(text.Slice(RpmPrefix.Length, 8), out firmware);
        }

        var maker = FirmwareMaker.Other;
        FirmwareName name;
        if (text.StartsWith(ProxmoxPrefix) || text.StartsWith(LxdPrefix))
        {
            maker = text.StartsWith(LxdPrefix) ? FirmwareMaker.Lxd : FirmwareMaker.Proxmox;
            return TryParseRelease(FirmwareName.Ovmf, maker, WithoutPackage(text), out firmware);
        }

        if (text.StartsWith("seabios-"))
            name = FirmwareName.SeaBios;
        else if (text.StartsWith("ovmf-"))
            name = FirmwareName.Ovmf;
        else
            return false;
        return TryParseRelease(name, maker, text[(text.IndexOf('-') + 1)..], out firmware);
    }

    /// <summary>What stands behind a package's name: 2025.02-4 of 4.2025.02-4, in which the first number is the package's own.</summary>
    private static ReadOnlySpan<char> WithoutPackage(ReadOnlySpan<char> text)
    {
        text = text.StartsWith(ProxmoxPackage) ? text[ProxmoxPackage.Length..] : text[ProxmoxPrefix.Length..];
        return text.Length > 2 && char.IsAsciiDigit(text[0]) && text[1] == '.' ? text[2..] : text;
    }

    private static bool TryParseRelease(FirmwareName name, FirmwareMaker maker, ReadOnlySpan<char> text, out QemuFirmware firmware)
    {
        firmware = default;
        int dash = text.IndexOf('-');
        ReadOnlySpan<char> release = dash < 0 ? text : text[..dash];
        int? revision = dash < 0 ? null : Leading(text[(dash + 1)..]);
        // Proxmox's packages before 2023.08 have a day: 3.20230228-4.
        if (maker == FirmwareMaker.Proxmox && release.Length == 8 && int.TryParse(release, NumberStyles.None, null, out int day))
        {
            firmware = new(name, day / 10000, day / 100 % 100) { Maker = maker, Revision = revision };
            return IsMonth(firmware);
        }

        Span<Range> parts = stackalloc Range[4];
        int count = release.Split(parts, '.');
        Span<int> numbers = [0, 0, 0];
        if (count < 2 || count > (name == FirmwareName.Ovmf ? 2 : 3))
            return false;
        for (int i = 0; i < count; i++)
        {
            if (release[parts[i]].Length > 4 || !int.TryParse(release[parts[i]], NumberStyles.None, null, out numbers[i]))
                return false;
        }

        firmware = new(name, numbers[0], numbers[1], numbers[2]) { Revision = revision, Maker = maker };
        return name == FirmwareName.SeaBios || IsMonth(firmware);
    }

    /// <summary>The name that <see cref="TryParse"/> reads.</summary>
    public override string ToString() => Name == FirmwareName.SeaBios ? $"seabios-{VersionText}"
        : IsUpstream ? $"edk2-stable{Major:d4}{Minor:d2}" : $"{Prefix}{VersionText}{(Revision is { } revision ? $"-{revision}" : "")}";

    private string Prefix => Maker switch
    {
        FirmwareMaker.Proxmox => ProxmoxPrefix,
        FirmwareMaker.Lxd => LxdPrefix,
        FirmwareMaker.Other => "ovmf-",
    };

    /// <summary>The release's number: 1.16.3, or 2025.02.</summary>
    public string VersionText => Name == FirmwareName.SeaBios ? $"{Major}.{Minor}.{Patch}" : $"{Major:d4}.{Minor:d2}";

    /// <summary>The tag of edk2 that a package of Red Hat's or Fedora's was made from, by the day in its name: 20221207gitfff6d81270b5 is
    /// edk2-stable202211.</summary>
    /// <remarks>The days are those of the commit or of the package, a few weeks after the tag at most; tags come in February, May, August and
    /// November (2019: in March).</remarks>
    internal static bool TryOfDay(ReadOnlySpan<char> day, out QemuFirmware firmware)
    {
        firmware = default;
        if (day.Length != 8 || !int.TryParse(day, NumberStyles.None, null, out int number))
            return false;
        (int year, int month) = (number / 10000, number / 100 % 100);
        if (!IsMonth(new(FirmwareName.Ovmf, year, month)) || year < 2019)
            return false;
        int tag = (month + 1) / 3 * 3 - 1;
        firmware = new(FirmwareName.Ovmf, tag > 0 ? year : year - 1, tag > 0 ? tag : 11) { IsUpstream = true };
        firmware = (firmware.Major, firmware.Minor) == (2019, 2) ? new(FirmwareName.Ovmf, 2019, 3) { IsUpstream = true } : firmware;
        return true;
    }

    private static bool IsMonth(QemuFirmware firmware) => firmware.Major is >= 2010 and < 2100 && firmware.Minor is >= 1 and <= 12;

    private static int? Leading(ReadOnlySpan<char> text)
    {
        int digits = 0;
        while (digits < text.Length && digits < 4 && char.IsAsciiDigit(text[digits]))
            digits++;
        return digits == 0 ? null : int.Parse(text[..digits], NumberStyles.None, null);
    }
}
