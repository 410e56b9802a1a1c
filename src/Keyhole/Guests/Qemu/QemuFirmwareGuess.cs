// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.Linq;

namespace Keyhole.Guests;

/// <summary>
/// Which firmware a file is, and which release of it a guest most likely has: configurations name a file, hardly ever a release. What comes out
/// of the tables is a guess and is said to be one; the user can tell the release.
/// </summary>
/// <remarks>Source: QEMU's roms folder in each release; the packages of Debian and Ubuntu that ship together.</remarks>
public static class QemuFirmwareGuess
{
    /// <summary>Firmware of others for QEMU's boards: flash images, too.</summary>
    private static readonly string[] s_others =
        ["coreboot", "linuxboot", "u-boot", "uboot", "slimboot", "slim-boot", "td-shim", "tdshim", "hypervisor-fw", "qboot", "cloudhv"];

    /// <summary>In the names of edk2's builds for confidential guests (OvmfPkg/AmdSev, OvmfPkg/IntelTdx), which lay out memory otherwise.</summary>
    private static readonly string[] s_confidential = ["amdsev", "inteltdx", "tdvf", "-sev", ".sev", "-tdx", ".tdx"];

    /// <summary>The newest QEMU of which it is known what comes with it.</summary>
    private static readonly QemuVersion s_newest = new(10, 2);

    /// <summary>Before this release QEMU came without edk2.</summary>
    private static readonly QemuVersion s_carriesEdk2 = new(4, 1);

    /// <summary>Releases with which windows above 4 GiB come out otherwise than before: they follow the processor's width, and the option for their
    /// size is obeyed again.</summary>
    private static readonly QemuFirmware[] s_changing =
        [new(FirmwareName.Ovmf, 2022, 11) { IsUpstream = true }, new(FirmwareName.Ovmf, 2025, 5) { IsUpstream = true }];

    /// <summary>Whether a file is a build of OVMF for confidential guests, whose map is not known.</summary>
    internal static bool IsConfidential(string file) => s_confidential.Any(part => Has(FileName(file), part));

    /// <summary>The firmware that a file's name tells; null where it tells none.</summary>
    /// <param name="isFlash">Whether it is a flash image: SeaBIOS is hardly ever one.</param>
    public static FirmwareName? NameOf(string file, bool isFlash)
    {
        ArgumentNullException.ThrowIfNull(file);
        if (file.Length == 0 || Has(file, "seabios") || FileName(file) is "bios.bin" or "bios-256k.bin" or "vgabios.bin")
            return FirmwareName.SeaBios;
        foreach (string other in s_others)
        {
            if (Has(file, other))
                return null;
        }

        if (IsConfidential(file))
            return null;
        if (Has(file, "ovmf") || Has(file, "edk2") || Has(file, "uefi") || FileName(file).EndsWith("-code.fd", StringComparison.OrdinalIgnoreCase)
            || (isFlash && file.EndsWith(".fd", StringComparison.OrdinalIgnoreCase)))
        {
            return FirmwareName.Ovmf;
        }

        return null;
    }

    /// <param name="why">From what the release follows; null where the file itself tells it.</param>
    public static QemuFirmware Of(FirmwareName name, string file, QemuVersion emulator, string emulatorText, out string? why)
    {
        FirmwareChoice choice = ChoiceOf(name, file, emulator, isAssumed: false, emulatorText);
        why = choice.Why;
        return choice.Firmware;
    }

    /// <summary>The same, with what else it may be.</summary>
    /// <param name="isAssumed">Whether nobody told QEMU's release, which may be a later one.</param>
    /// <param name="machineName">The machine type's name, which may be a distribution's.</param>
    internal static FirmwareChoice ChoiceOf(
        FirmwareName name, string file, QemuVersion emulator, bool isAssumed, string emulatorText, string machineName = "")
    {
        ArgumentNullException.ThrowIfNull(file);
        ArgumentNullException.ThrowIfNull(emulatorText);
        if (TryReadRelease(name, file, out QemuFirmware told))
            return new(told, [], null);
        // What comes with releases that are not known nobody can tell.
        string release = emulator > s_newest ? $"QEMU {s_newest}, the newest of which that is known" : $"QEMU {emulator}";
        emulator = emulator > s_newest ? s_newest : emulator;
        // Others have such a folder, too: Red Hat's and Fedora's beside QEMU of their own numbers, Arch with a folder more.
        bool isRedHats = Has(emulatorText, ".el") || Has(machineName, "-rhel");
        bool isFedoras = !isRedHats && Has(emulatorText, ".fc");
        bool isInOthersFolder = isRedHats || isFedoras || Has(file, "/x64/") || Has(file, "/usr/share/edk2/");
        bool isDebians = Has(emulatorText, "Debian") || Has(emulatorText, "ubuntu") || (Has(file, "/usr/share/OVMF/") && !isInOthersFolder);
        // What QEMU itself brings along has names of its own; who has other names (Arch, SUSE, Nix, Gentoo) has built it.
        bool isOthers = file.Length > 0 && !FileName(file).StartsWith("edk2-", StringComparison.Ordinal);
        // A file that no package installs is of whoever put it there, whatever the host is.
        bool isOwn = name == FirmwareName.Ovmf && file.StartsWith('/')
            && !s_packagesFolders.Any(folder => file.StartsWith(folder, StringComparison.Ordinal));
        bool isProxmox = (Has(emulatorText, "pve") && !isOwn) || Has(file, "pve-edk2");
        if (name == FirmwareName.SeaBios)
        {
            // Proxmox ships QEMU's own file.
            (int major, int minor, int patch) = isDebians ? DebiansSeaBios(emulator) : OwnSeaBios(emulator);
            return new(new(FirmwareName.SeaBios, major, minor, patch), [],
                isDebians ? $"which Debian and Ubuntu ship with {release}" : $"which comes with {release}");
        }

        if (isProxmox)
            return QemuFirmwareProducts.Proxmoxs(file, emulator, isAssumed, release);
        if (QemuFirmwareProducts.IsLxds(file))
            return QemuFirmwareProducts.Lxds(file, emulator, isAssumed);
        if (isRedHats)
            return Doubted(QemuFirmwareProducts.RedHats(emulator, isAssumed, release));
        if (isFedoras)
            return Doubted(QemuFirmwareProducts.Fedoras(emulator, isAssumed, release));
        if (isDebians)
            return Doubted(new(DebiansOvmf(emulator), [], $"which Debian and Ubuntu ship beside {release}"));
        (int year, int month) = OwnEdk2(emulator);
        var own = new QemuFirmware(FirmwareName.Ovmf, year, month) { IsUpstream = true };
        return Doubted(new(own, isOthers ? [.. s_changing.Where(build => !own.IsSince(build.Major, build.Minor))] : [],
            (emulator < s_carriesEdk2 ? $"the oldest that a QEMU came with, from {s_carriesEdk2} on" : $"which comes with {release}")
                + (isOthers && !isOwn ? "; the distribution has its own, of another release perhaps" : "")));

        FirmwareChoice Doubted(FirmwareChoice choice) =>
            isOwn ? choice with { Why = $"{choice.Why}; the file is in no distribution's folder, and of another release perhaps" } : choice;
    }

    /// <summary>Where distributions keep what they install.</summary>
    private static readonly string[] s_packagesFolders = ["/usr/", "/run/", "/nix/", "/gnu/", "/snap/", "/app/"];

    private static bool Has(string text, string part) => text.Contains(part, StringComparison.OrdinalIgnoreCase);

    private static string FileName(string path) => path[(path.LastIndexOf('/') + 1)..];

    /// <summary>A release in the path: <c>edk2-stable202408</c>, <c>OVMF-202402-fd</c>, <c>edk2-ovmf-2024.05</c>, <c>seabios-1.16.3</c>.</summary>
    private static bool TryReadRelease(FirmwareName name, string path, out QemuFirmware firmware)
    {
        firmware = default;
        ReadOnlySpan<char> text = path;
        if (name == FirmwareName.SeaBios)
        {
            int at = path.IndexOf("seabios-", StringComparison.OrdinalIgnoreCase);
            if (at < 0)
                return false;
            int length = "seabios-".Length;
            while (at + length < path.Length && (char.IsAsciiDigit(path[at + length]) || path[at + length] == '.'))
                length++;
            return QemuFirmware.TryParse(path.AsSpan(at, length).TrimEnd('.').ToString().ToLowerInvariant(), out firmware);
        }

        for (int i = 0; i < text.Length; i++)
        {
            if (!char.IsAsciiDigit(text[i]) || (i > 0 && (char.IsAsciiLetterOrDigit(text[i - 1]) && !text[..i].EndsWith("stable"))))
                continue;
            int digits = i;
            while (digits < text.Length && char.IsAsciiDigit(text[digits]))
                digits++;
            bool isTag = digits - i == 6;
            bool isDotted = digits - i == 4 && digits + 2 < text.Length && text[digits] == '.' && char.IsAsciiDigit(text[digits + 1])
                && char.IsAsciiDigit(text[digits + 2])
                && (digits + 3 == text.Length || !char.IsAsciiDigit(text[digits + 3]));
            if (isTag && TryMonth(text.Slice(i, 4), text.Slice(i + 4, 2), out int year, out int month))
            {
                firmware = new(FirmwareName.Ovmf, year, month) { IsUpstream = true };
                return true;
            }

            if (isDotted && TryMonth(text.Slice(i, 4), text.Slice(digits + 1, 2), out year, out month))
            {
                firmware = new(FirmwareName.Ovmf, year, month);
                return true;
            }

            i = digits - 1;
        }

        return false;
    }

    private static bool TryMonth(ReadOnlySpan<char> yearText, ReadOnlySpan<char> monthText, out int year, out int month)
    {
        year = int.Parse(yearText, NumberStyles.None, CultureInfo.InvariantCulture);
        month = int.Parse(monthText, NumberStyles.None, CultureInfo.InvariantCulture);
        return year is >= 2015 and < 2100 && month is >= 1 and <= 12;
    }

    /// <summary>SeaBIOS in QEMU's own releases.</summary>
    private static (int Major, int Minor, int Patch) OwnSeaBios(QemuVersion emulator) => (emulator.Major, emulator.Minor) switch
    {
        ( < 2, _) or (2, 0) => (1, 7, 4),
        (2, 1) => (1, 7, 5),
        (2, 2) => (1, 7, 5),
        (2, 3) => (1, 8, 1),
        (2, < 6) => (1, 8, 2),
        (2, 6) => (1, 9, 1),
        (2, 7) => (1, 9, 3),
        (2, 8) => (1, 10, 1),
        (2, < 11) => (1, 10, 2),
        (2, 11) => (1, 11, 0),
        (2, _) => (1, 11, 1),
        (3, 0) => (1, 11, 2),
        (3, _) => (1, 12, 0),
        (4, _) => (1, 12, 1),
        (5, 0) => (1, 13, 0),
        (5, _) or (6, < 2) => (1, 14, 0),
        (6, _) => (1, 15, 0),
        (7, < 2) => (1, 16, 0),
        (7, _) => (1, 16, 1),
        (8, < 2) => (1, 16, 2),
        (8 or 9, _) or (10, 0) => (1, 16, 3),
        _ => (1, 17, 0),
    };

    private static (int Major, int Minor, int Patch) DebiansSeaBios(QemuVersion emulator) => (emulator.Major, emulator.Minor) switch
    {
        ( < 4, _) => (1, 12, 0),
        (4, _) => (1, 13, 0),
        (5, _) => (1, 14, 0),
        (6, _) => (1, 15, 0),
        (7, < 2) => (1, 16, 0),
        (7, _) or (8, < 2) => (1, 16, 2),
        (8 or 9, _) or (10, 0) => (1, 16, 3),
        _ => (1, 17, 0),
    };

    /// <summary>The tag of edk2 whose images QEMU carries.</summary>
    private static (int Year, int Month) OwnEdk2(QemuVersion emulator) => (emulator.Major, emulator.Minor) switch
    {
        ( < 5, _) or (5, < 2) => (2019, 5),
        (5 or 6, _) => (2020, 8),
        (7, _) => (2022, 2),
        (8, < 2) => (2023, 2),
        (8, _) => (2023, 8),
        (9, < 2) => (2024, 2),
        _ => (2024, 8),
    };

    private static QemuFirmware DebiansOvmf(QemuVersion emulator) => (emulator.Major, emulator.Minor) switch
    {
        ( < 4, _) => new(FirmwareName.Ovmf, 2018, 11),
        (4, _) => new(FirmwareName.Ovmf, 2019, 11),
        (5, _) or (6, < 2) => new(FirmwareName.Ovmf, 2020, 11),
        (6, _) or (7, < 2) => new(FirmwareName.Ovmf, 2022, 2),
        (7, _) => new(FirmwareName.Ovmf, 2022, 11),
        (8, < 2) => new(FirmwareName.Ovmf, 2023, 5),
        (8, _) => new(FirmwareName.Ovmf, 2024, 2),
        (9, < 2) => new(FirmwareName.Ovmf, 2024, 5),
        _ => new(FirmwareName.Ovmf, 2025, 2) { Revision = 8 },
    };
}
