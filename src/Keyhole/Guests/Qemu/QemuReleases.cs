// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>Which releases of QEMU there are, and which of the boards' versions each of them has.</summary>
/// <remarks>Source: QEMU's tree at each release: VERSION, hw/i386/pc_piix.c, hw/i386/pc_q35.c and, from 10.1 on, the rule of
/// MACHINE_VER_DELETION in include/hw/boards.h; 11.1 was asked and started.</remarks>
internal static class QemuReleases
{
    /// <summary>The newest that was read or started: what later ones do is taken from it, and said to be.</summary>
    public static readonly QemuVersion Newest = new(11, 1);

    /// <summary>The oldest whose source was read.</summary>
    public static readonly QemuVersion Oldest = new(2, 0);

    /// <summary>From this release on the machine type is named where it is refused.</summary>
    private static readonly QemuVersion s_namesType = new(9, 1);

    /// <summary>From this release on QEMU has no machine types that are six years older.</summary>
    private static readonly QemuVersion s_deletes = new(10, 1);

    /// <summary>How many years ahead, each with a first number of its own, a release may be and still be taken for one that follows.</summary>
    private const int YearsAhead = 2;

    /// <summary>Whether there has been such a release, or may have been since: the numbers are those that QEMU counts.</summary>
    public static bool IsOne(QemuVersion version) => version.Major <= Newest.Major + YearsAhead && version.Minor <= version.Major switch
    {
        0 => 15,
        1 => 7,
        2 => 12,
        3 => 1,
        _ => 2,
    };

    /// <summary>Why nothing is known of a guest on a release of QEMU, or of a machine type; null where that is none of the reasons.</summary>
    /// <param name="told">The release; null where nobody told it.</param>
    /// <param name="name">The machine type as written.</param>
    public static string? WhyNotKnown(QemuVersion? told, string name)
    {
        if (told is { } emulator && (!IsOne(emulator) || emulator < Oldest))
            return $"QEMU {emulator} is not one of the releases that are known ({Oldest} to {Newest}, and those that follow)";
        // Older versions of the 440FX are called pc-1.3.
        return QemuMachineType.TryParse(name, told ?? Newest, out QemuMachineType type)
            && (!IsOne(type.Version) || (type.Version < new QemuVersion(1, 4) && name.AsSpan().IndexOfAny('q', 'f') >= 0))
            ? $"the machine type {InputError.Quote(name)} is of no release of QEMU that is known: {Newest} is the newest"
            : null;
    }

    /// <summary>QEMU's refusal of a board's name that has no release behind it, as libvirt's types have; null for any other. Its own names without
    /// one are pc and q35.</summary>
    public static StartRefusal? RefusalWithoutRelease(QemuVersion emulator, string name) => name is not ("pc-q35" or "pc-i440fx") ? null
        : new("QEMU", emulator < s_namesType ? "unsupported machine type" : $"unsupported machine type: \"{name}\"",
            $"there is {(name == "pc-q35" ? "q35" : "pc")}, and {name} with a release behind it, such as {name}-{emulator}") { IsOfType = true };

    /// <summary>QEMU's refusal of a machine type; null for one that it has, or that a distribution added to it.</summary>
    public static StartRefusal? Refusal(QemuVersion emulator, QemuMachineType type, string name)
    {
        if (Has(emulator, type) || !IsOwn(name))
            return null;
        string words = emulator < s_namesType ? "unsupported machine type" : $"unsupported machine type: \"{InputError.OneLine(name, 80)}\"";
        string cause = type.Version > emulator ? $"the machine type is of QEMU {type.Version}, and QEMU {emulator} is older"
            : $"QEMU {emulator} has dropped that type";
        return new("QEMU", words, cause) { IsOfType = true };
    }

    /// <summary>Whether a machine type's name is QEMU's own: with numbers behind the board and nothing else.</summary>
    public static bool IsOwn(string name)
    {
        int number = name.StartsWith("pc-q35-", StringComparison.Ordinal) ? "pc-q35-".Length
            : name.StartsWith("pc-i440fx-", StringComparison.Ordinal) ? "pc-i440fx-".Length
            : name.StartsWith("pc-", StringComparison.Ordinal) ? "pc-".Length : name.Length;
        foreach (char c in name.AsSpan(number))
        {
            if (!char.IsAsciiDigit(c) && c != '.')
                return false;
        }

        return number < name.Length;
    }

    private static bool Has(QemuVersion emulator, QemuMachineType type)
    {
        QemuVersion version = type.Version;
        if (version > emulator)
            return false;
        if (emulator >= s_deletes && new QemuVersion(version.Major + 6, version.Minor) is var end && emulator >= end)
            return false;
        return type.Chipset == QemuChipset.Q35 ? version >= new QemuVersion(2, 4) || emulator < new QemuVersion(2, 6) : emulator < Dropped(version);
    }

    /// <summary>The first release without a version of the 440FX.</summary>
    private static QemuVersion Dropped(QemuVersion version) => (version.Major, version.Minor) switch
    {
        (0, < 12) => new(4, 0),
        (0, _) => new(5, 0),
        (1, < 4) => new(6, 0),
        (1, _) => new(8, 2),
        (2, < 4) => new(9, 1),
        (2, < 6) => s_deletes,
        _ => new(int.MaxValue, 0),
    };
}
