// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;

namespace Keyhole.Guests;

/// <summary>A release of QEMU, or the one that a machine type is named after: 7.2. What stands behind the second number changes no map.</summary>
public readonly record struct QemuVersion(int Major, int Minor) : IComparable<QemuVersion>
{
    /// <summary>What a guest without any release in its configuration is taken to run on: the newest that most records were made with.</summary>
    public static QemuVersion Usual { get; } = new(10, 0);

    /// <summary>Reads <c>7.2</c>, <c>10.0.2</c> or <c>9.0+pve0</c>; false where it does not begin with two numbers.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out QemuVersion version)
    {
        version = default;
        int dot = text.IndexOf('.');
        if (dot is < 1 or > 3)
            return false;
        ReadOnlySpan<char> rest = text[(dot + 1)..];
        int digits = 0;
        while (digits < rest.Length && char.IsAsciiDigit(rest[digits]))
            digits++;
        if (digits is 0 or > 3 || !int.TryParse(text[..dot], NumberStyles.None, null, out int major)
            || !int.TryParse(rest[..digits], NumberStyles.None, null, out int minor))
            return false;
        // What follows is a third number or a distribution's mark.
        if (digits < rest.Length && char.IsAsciiLetterOrDigit(rest[digits]))
            return false;
        version = new(major, minor);
        return true;
    }

    /// <summary>Reads the numbers in front of what a distribution adds: 6.8 of 6.8.0-40-generic, 7.2 of 7.2.22Debian. False where there are not
    /// two.</summary>
    public static bool TryParseLeading(ReadOnlySpan<char> text, out QemuVersion version)
    {
        int end = 0;
        while (end < text.Length && (char.IsAsciiDigit(text[end]) || text[end] == '.'))
            end++;
        return TryParse(text[..end].TrimEnd('.'), out version);
    }

    /// <inheritdoc/>
    public int CompareTo(QemuVersion other) => (Major, Minor).CompareTo((other.Major, other.Minor));

    /// <summary>Whether the left one comes before the right one.</summary>
    public static bool operator <(QemuVersion left, QemuVersion right) => left.CompareTo(right) < 0;

    /// <summary>Whether the left one comes behind the right one.</summary>
    public static bool operator >(QemuVersion left, QemuVersion right) => left.CompareTo(right) > 0;

    /// <summary>Whether the left one does not come behind the right one.</summary>
    public static bool operator <=(QemuVersion left, QemuVersion right) => left.CompareTo(right) <= 0;

    /// <summary>Whether the left one does not come before the right one.</summary>
    public static bool operator >=(QemuVersion left, QemuVersion right) => left.CompareTo(right) >= 0;

    /// <inheritdoc/>
    public override string ToString() => $"{Major}.{Minor}";
}

/// <summary>The two PC boards that QEMU knows.</summary>
public enum QemuChipset
{
    /// <summary><c>pc</c>: the 440FX of 1996, PCI.</summary>
    I440fx,

    /// <summary><c>q35</c>: the Q35 of 2007, PCI Express.</summary>
    Q35,
}

/// <summary>A machine type: the board, and the release of QEMU whose behaviour it keeps.</summary>
public readonly record struct QemuMachineType(QemuChipset Chipset, QemuVersion Version)
{
    /// <summary>What <c>-machine</c> takes: <c>pc</c>, <c>q35</c>, <c>pc-q35-7.2</c>, or a distribution's name for one of them.</summary>
    /// <param name="name">Without the options behind its comma.</param>
    /// <param name="emulator">The release of QEMU itself: <c>pc</c> and <c>q35</c> mean its newest.</param>
    public static bool TryParse(ReadOnlySpan<char> name, QemuVersion emulator, out QemuMachineType type)
    {
        type = default;
        if (name is "pc" or "pc-i440fx" or "q35" or "pc-q35" or "ubuntu" or "ubuntu-q35")
        {
            type = new(name.EndsWith("q35") ? QemuChipset.Q35 : QemuChipset.I440fx, emulator);
            return true;
        }

        QemuChipset chipset;
        if (name.StartsWith("pc-q35-"))
            chipset = QemuChipset.Q35;
        else if (name.StartsWith("pc-i440fx-"))
            chipset = QemuChipset.I440fx;
        else if (name.StartsWith("pc-") && QemuVersion.TryParse(name[3..], out QemuVersion old) && old < new QemuVersion(1, 4))
            return Create(QemuChipset.I440fx, old, out type);
        else
            return false;
        ReadOnlySpan<char> release = name[(chipset == QemuChipset.Q35 ? 7 : 10)..];
        if (QemuVersion.TryParse(release, out QemuVersion version))
            return Create(chipset, version, out type);
        return TryDistribution(release, out version) && Create(chipset, version, out type);
    }

    /// <summary>QEMU's own name for it.</summary>
    public override string ToString() => $"pc-{(Chipset == QemuChipset.Q35 ? "q35" : "i440fx")}-{Version}";

    private static bool Create(QemuChipset chipset, QemuVersion version, out QemuMachineType type)
    {
        type = new(chipset, version);
        return true;
    }

    /// <summary>Machine types that Ubuntu names after its releases and Red Hat after its own; each keeps the behaviour of the QEMU it shipped
    /// first.</summary>
    private static bool TryDistribution(ReadOnlySpan<char> release, out QemuVersion version)
    {
        // "jammy-v2" and "noble-hpb" are the same board with other options.
        int dash = release.IndexOf('-');
        ReadOnlySpan<char> name = dash < 0 ? release : release[..dash];
        (int major, int minor) = name switch
        {
            "trusty" => (2, 0),
            "xenial" => (2, 5),
            "yakkety" => (2, 6),
            "zesty" => (2, 8),
            "artful" => (2, 10),
            "bionic" => (2, 11),
            "cosmic" => (2, 12),
            "disco" => (3, 1),
            "eoan" => (4, 0),
            "focal" => (4, 2),
            "groovy" => (5, 0),
            "hirsute" => (5, 2),
            "impish" => (6, 0),
            "jammy" => (6, 2),
            "kinetic" => (7, 0),
            "lunar" => (7, 2),
            "mantic" => (8, 0),
            "noble" => (8, 2),
            "oracular" => (9, 0),
            "plucky" => (9, 2),
            "questing" => (10, 1),
            "rhel7.0.0" or "rhel7.1.0" or "rhel7.2.0" => (2, 3),
            "rhel7.3.0" => (2, 6),
            "rhel7.4.0" => (2, 9),
            "rhel7.5.0" => (2, 10),
            "rhel7.6.0" => (2, 12),
            "rhel8.0.0" => (3, 1),
            "rhel8.1.0" => (4, 0),
            "rhel8.2.0" => (4, 2),
            "rhel8.3.0" => (5, 1),
            "rhel8.4.0" => (5, 2),
            "rhel8.5.0" => (6, 0),
            "rhel8.6.0" or "rhel9.0.0" => (6, 2),
            "rhel9.2.0" => (7, 2),
            "rhel9.4.0" => (8, 2),
            "rhel9.6.0" => (9, 2),
            "rhel10.0.0" => (9, 2),
            _ => (0, 0),
        };
        version = new(major, minor);
        return major > 0;
    }
}
