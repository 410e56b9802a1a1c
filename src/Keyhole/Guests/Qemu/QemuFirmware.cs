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

/// <summary>A release of a firmware: SeaBIOS 1.16.3, or OVMF 2025.02 (edk2's tags name the same release 202502).</summary>
/// <param name="Name">Which firmware.</param>
/// <param name="Major">SeaBIOS's first number, OVMF's year.</param>
/// <param name="Minor">SeaBIOS's second number, OVMF's month.</param>
/// <param name="Patch">SeaBIOS's third number; 0 for OVMF.</param>
public readonly record struct QemuFirmware(FirmwareName Name, int Major, int Minor, int Patch = 0)
{
    /// <summary>
    /// The revision of the distribution's package (8 in Debian's 2025.02-8), or null where none is told. A package may carry changes that the
    /// release of the same name does not have.
    /// </summary>
    public int? Revision { get; init; }

    /// <summary>Whether it is edk2's own release (edk2-stable202502) and no distribution's package of it.</summary>
    public bool IsUpstream { get; init; }

    /// <summary>Whether the release is the given one or a later one.</summary>
    public bool IsSince(int major, int minor, int patch = 0) => (Major, Minor, Patch).CompareTo((major, minor, patch)) >= 0;

    /// <summary>Reads <c>seabios-1.16.3</c>, <c>ovmf-2025.02-8</c>, <c>edk2-stable202502</c>. False where no release is named.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out QemuFirmware firmware)
    {
        firmware = default;
        if (text.StartsWith("edk2-stable") && text.Length == "edk2-stable".Length + 6
            && int.TryParse(text["edk2-stable".Length..], NumberStyles.None, null, out int tag))
        {
            firmware = new(FirmwareName.Ovmf, tag / 100, tag % 100) { IsUpstream = true };
            return IsMonth(firmware);
        }

        FirmwareName name;
        if (text.StartsWith("seabios-"))
            name = FirmwareName.SeaBios;
        else if (text.StartsWith("ovmf-"))
            name = FirmwareName.Ovmf;
        else
            return false;
        text = text[(text.IndexOf('-') + 1)..];
        int dash = text.IndexOf('-');
        ReadOnlySpan<char> release = dash < 0 ? text : text[..dash];
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

        firmware = new(name, numbers[0], numbers[1], numbers[2]) { Revision = dash < 0 ? null : Leading(text[(dash + 1)..]) };
        return name == FirmwareName.SeaBios || IsMonth(firmware);
    }

    /// <summary>The name that <see cref="TryParse"/> reads.</summary>
    public override string ToString() => Name == FirmwareName.SeaBios
        ? $"seabios-{VersionText}"
        : IsUpstream ? $"edk2-stable{Major:d4}{Minor:d2}" : $"ovmf-{VersionText}{(Revision is { } revision ? $"-{revision}" : "")}";

    /// <summary>The release's number: 1.16.3, or 2025.02.</summary>
    public string VersionText => Name == FirmwareName.SeaBios ? $"{Major}.{Minor}.{Patch}" : $"{Major:d4}.{Minor:d2}";

    private static bool IsMonth(QemuFirmware firmware) => firmware.Major is >= 2010 and < 2100 && firmware.Minor is >= 1 and <= 12;

    private static int? Leading(ReadOnlySpan<char> text)
    {
        int digits = 0;
        while (digits < text.Length && digits < 4 && char.IsAsciiDigit(text[digits]))
            digits++;
        return digits == 0 ? null : int.Parse(text[..digits], NumberStyles.None, null);
    }
}
