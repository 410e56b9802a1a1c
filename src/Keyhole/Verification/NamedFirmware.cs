// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using Keyhole.Guests;
using Keyhole.Platforms;

namespace Keyhole.Verification;

/// <summary>What a guest's log calls its firmware: Linux prints what SMBIOS tells.</summary>
/// <param name="Name">Null where the words tell none.</param>
/// <param name="Release">Null where the words tell none, as those of OVMF before Debian's 2023.05.</param>
/// <param name="IsQ35">Null where the board is none of QEMU's.</param>
internal readonly record struct NamedFirmware(FirmwareName? Name, QemuFirmware? Release, bool? IsQ35)
{
    /// <summary>How many changes after <see cref="Release"/> it was built from, as <c>git describe</c> counts them; 0 for the release
    /// itself.</summary>
    public int Changes { get; init; }

    /// <summary>SeaBIOS's own date, whatever its release, and OVMF's.</summary>
    private const string SeaBiosDate = "04/01/2014";
    private const string OvmfDate = "02/06/2015";

    /// <summary>Reads <c>QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1 04/01/2014</c>. Null where there is nothing of the
    /// kind.</summary>
    public static NamedFirmware? In(string machine)
    {
        ReadOnlySpan<char> text = machine;
        int at = text.IndexOf(", BIOS ");
        if (at < 0)
            return null;
        bool? isQ35 = text[..at].Contains("(Q35 + ", StringComparison.Ordinal) ? true
            : text[..at].Contains("(i440FX + ", StringComparison.Ordinal) ? false : null;
        ReadOnlySpan<char> words = text[(at + ", BIOS ".Length)..];
        // Other machines have other firmware, whatever its number is.
        if (isQ35 is null && !text.StartsWith("QEMU ") && !text.Contains("KVM", StringComparison.Ordinal) && !text.StartsWith("OpenStack "))
            return null;
        // A SeaBIOS has three numbers that begin with 1, an OVMF a year and a month, or a whole date behind edk2-.
        for (int i = 0; i < words.Length; i++)
        {
            if (!char.IsAsciiDigit(words[i]) || (i > 0 && (char.IsAsciiLetterOrDigit(words[i - 1]) || words[i - 1] is '.' or '/')))
                continue;
            ReadOnlySpan<char> rest = words[i..];
            int length = 0;
            while (length < rest.Length && (char.IsAsciiDigit(rest[length]) || rest[length] == '.'))
                length++;
            ReadOnlySpan<char> number = rest[..length];
            ReadOnlySpan<char> behind = rest[length..];
            if (number.StartsWith("1.") && QemuFirmware.TryParse($"seabios-{number}", out QemuFirmware seabios) && seabios.Minor >= 7)
                return new(FirmwareName.SeaBios, seabios, isQ35) { Changes = ChangesAfter(behind) };
            if (number.Length == 7 && number[4] == '.' && QemuFirmware.TryParse($"ovmf-{number}{Revision(behind)}", out QemuFirmware ovmf))
                return new(FirmwareName.Ovmf, ovmf, isQ35);
            if (number.Length == 8 && i >= 5 && words[..i].EndsWith("edk2-") && QemuFirmware.TryOfDay(number, out QemuFirmware edk2))
                return new(FirmwareName.Ovmf, edk2, isQ35);
        }

        return words.Contains(SeaBiosDate, StringComparison.Ordinal) ? new(FirmwareName.SeaBios, null, isQ35)
            : words.Contains(OvmfDate, StringComparison.Ordinal) ? new(FirmwareName.Ovmf, null, isQ35)
            : new(null, null, isQ35);
    }

    /// <summary>A sentence where the log is of another firmware than the forecast is for; null where it is not, or nobody knows.</summary>
    /// <param name="told">What the user says; null where he says nothing.</param>
    public string? Contradicts(FirmwareReport forecast, QemuFirmware? told)
    {
        if (Name is { } name && forecast.Choice is { } choice && name != choice)
            return name == FirmwareName.Ovmf ? "The log is of a guest with OVMF, and SeaBIOS was forecast."
                : "The log is of a guest with SeaBIOS, and OVMF was forecast.";
        return Release is { } release && told is { } said && (release.Major, release.Minor, release.Patch) != (said.Major, said.Minor, said.Patch)
            ? $"The log names {release} as its firmware, and {said} was told."
            : null;
    }

    /// <summary>What a build between two releases may do; null where it is of a release.</summary>
    public string? OfSnapshot() => Release is { } release && Changes > 0
        ? string.Create(CultureInfo.InvariantCulture,
            $"The log names a firmware {Changes} changes after {release}: it may do what {release} does, or what the release after it does.")
        : null;

    /// <summary>The number in <c>-14-g1e1da7a96300</c>; 0 where there is none.</summary>
    private static int ChangesAfter(ReadOnlySpan<char> behind)
    {
        if (!behind.StartsWith("-"))
            return 0;
        ReadOnlySpan<char> rest = behind[1..];
        int dash = rest.IndexOf('-');
        return dash is > 0 and < 6 && rest[dash..].StartsWith("-g") && int.TryParse(rest[..dash], NumberStyles.None, CultureInfo.InvariantCulture,
            out int changes) ? changes : 0;
    }

    private static string Revision(ReadOnlySpan<char> behind)
    {
        if (!behind.StartsWith("-"))
            return "";
        int end = 1;
        while (end < behind.Length && char.IsAsciiDigit(behind[end]))
            end++;
        return end == 1 ? "" : behind[..end].ToString();
    }
}
