// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;

namespace Keyhole.Guests;

/// <summary>A firmware that a guest is taken to have.</summary>
/// <param name="Firmware">The one that is assumed.</param>
/// <param name="Others">What it may be just as well.</param>
/// <param name="Why">From what it follows; null where the file itself tells it.</param>
internal readonly record struct FirmwareChoice(QemuFirmware Firmware, ImmutableArray<QemuFirmware> Others, string? Why);

/// <summary>Builds of OVMF that products bring along: what they do is not always what the release of that name does.</summary>
/// <remarks>Source: the changelogs of pve-edk2-firmware and pve-qemu-kvm, by their days; qemu-server's OVMF.pm; LXD's snapcraft.yaml and its notes
/// of releases; Fedora's edk2.spec, and the packages of RHEL, CentOS, Rocky and Fedora that lists and logs of users name.</remarks>
internal static class QemuFirmwareProducts
{
    /// <summary>What Proxmox VE has shipped, each with the first and the last release of QEMU that it came beside.</summary>
    private static readonly ImmutableArray<(string Name, QemuVersion First, QemuVersion Last)> s_proxmox =
    [
        ("pve-edk2-2019.05", new(0, 0), new(4, 0)), ("pve-edk2-2019.11", new(4, 1), new(4, 1)), ("pve-edk2-2020.02", new(4, 2), new(5, 0)),
        ("pve-edk2-2020.05", new(5, 0), new(6, 0)), ("pve-edk2-2021.08", new(6, 1), new(7, 0)), ("pve-edk2-2022.05", new(7, 0), new(7, 2)),
        ("pve-edk2-2022.11", new(7, 2), new(7, 2)), ("pve-edk2-2023.02-4", new(7, 2), new(8, 0)), ("pve-edk2-2023.08", new(8, 1), new(9, 1)),
        ("pve-edk2-2025.02", new(9, 2), new(10, 0)), ("pve-edk2-2025.05", new(9, 2), new(int.MaxValue, 0)),
    ];

    /// <summary>What RHEL and those built from it have, each with the first and the last QEMU of that product. RHEL 8 stays at 2021-11, RHEL 9 at
    /// 2024-11; the last two are RHEL 10's.</summary>
    private static readonly ImmutableArray<(string Name, QemuVersion First, QemuVersion Last)> s_redHat =
    [
        ("edk2-stable201903", new(0, 0), new(4, 1)), ("edk2-stable201908", new(4, 2), new(4, 2)), ("edk2-stable202005", new(4, 2), new(5, 2)),
        ("edk2-stable202105", new(6, 0), new(6, 1)), ("edk2-stable202111", new(6, 2), new(6, 2)), ("edk2-stable202205", new(7, 0), new(7, 1)),
        ("edk2-stable202211", new(7, 2), new(7, 2)), ("edk2-stable202305", new(8, 0), new(8, 1)), ("edk2-stable202311", new(8, 2), new(8, 2)),
        ("edk2-stable202405", new(9, 0), new(9, 0)), ("edk2-stable202411", new(9, 1), new(10, 1)), ("edk2-stable202505", new(10, 0), new(10, 0)),
        ("edk2-stable202511", new(10, 1), new(int.MaxValue, 0)),
    ];

    /// <summary>The same of Fedora, whose releases go on to later ones of edk2 while they live.</summary>
    private static readonly ImmutableArray<(string Name, QemuVersion First, QemuVersion Last)> s_fedora =
    [
        ("edk2-stable201905", new(0, 0), new(4, 1)), ("edk2-stable202002", new(4, 2), new(5, 0)), ("edk2-stable202008", new(5, 1), new(6, 0)),
        ("edk2-stable202105", new(6, 1), new(6, 1)), ("edk2-stable202202", new(6, 2), new(6, 2)), ("edk2-stable202208", new(6, 2), new(7, 0)),
        ("edk2-stable202211", new(6, 2), new(7, 1)), ("edk2-stable202302", new(7, 0), new(7, 2)), ("edk2-stable202305", new(7, 0), new(8, 0)),
        ("edk2-stable202308", new(7, 2), new(8, 1)), ("edk2-stable202311", new(7, 2), new(8, 2)), ("edk2-stable202402", new(8, 1), new(8, 2)),
        ("edk2-stable202405", new(8, 1), new(9, 0)), ("edk2-stable202408", new(8, 2), new(9, 1)), ("edk2-stable202411", new(9, 1), new(9, 1)),
        ("edk2-stable202502", new(9, 1), new(9, 2)), ("edk2-stable202505", new(9, 1), new(10, 0)), ("edk2-stable202508", new(9, 2), new(10, 1)),
        ("edk2-stable202511", new(10, 1), new(int.MaxValue, 0)),
    ];

    /// <summary>The last that had images of 2 MiB, which Proxmox VE ships to this day for guests that began with them.</summary>
    private static readonly QemuFirmware s_proxmoxSmall = new(FirmwareName.Ovmf, 2023, 2) { Maker = FirmwareMaker.Proxmox, Revision = 4 };

    /// <summary>From this release of it LXD's snap has QEMU 10.2, and Ubuntu's build of edk2.</summary>
    private static readonly QemuVersion s_lxdChanges = new(9, 0);

    /// <summary>The QEMU of LXD 5.21 and 6.1 to 6.6.</summary>
    public static readonly QemuVersion LxdsQemu = new(8, 2);

    /// <summary>Whether a file is of LXD's snap.</summary>
    public static bool IsLxds(string file) => file.StartsWith("/snap/lxd/", StringComparison.Ordinal);

    /// <summary>Proxmox VE's firmware beside a QEMU.</summary>
    /// <param name="isAssumed">Whether QEMU's release is assumed, which may then be a later one.</param>
    /// <param name="release">QEMU's release in words.</param>
    public static FirmwareChoice Proxmoxs(string file, QemuVersion emulator, bool isAssumed, string release)
    {
        bool isLarge = file.Contains("_4M", StringComparison.Ordinal) || file.Length == 0;
        QemuFirmware[] builds =
            [.. s_proxmox.Where(build => build.Last >= emulator && (isAssumed || build.First <= emulator)).Select(static build => Parse(build.Name))
                // Images of 4 MiB began with 2021.08; those of 2 MiB ended.
                .Select(build => isLarge && !build.IsSince(2021, 8) ? new(FirmwareName.Ovmf, 2021, 8) { Maker = FirmwareMaker.Proxmox }
                    : !isLarge && build.IsSince(2023, 8) ? s_proxmoxSmall : build)
                .Distinct()];
        // The last that a release of QEMU saw in its time; where it is followed by another one while it is still current, the one before it.
        int usual = Math.Max(0,
            Array.FindLastIndex(builds, build => s_proxmox.Any(known => Parse(known.Name) == build && known.First <= emulator)));
        if (usual > 0 && builds[usual].IsSince(2025, 5))
            usual--;
        QemuFirmware assumed = builds[usual];
        ImmutableArray<QemuFirmware> others = [.. builds.Where((_, i) => i != usual)];
        string why = !isLarge && assumed == s_proxmoxSmall && emulator > new QemuVersion(8, 0)
            ? "which Proxmox VE keeps for guests of which efidisk0 does not say efitype=4m (OVMF_CODE.fd)"
            : $"which Proxmox VE ships beside {release}";
        return new(assumed, others, why + Others(others, "dpkg -l pve-edk2-firmware-ovmf tells"));
    }

    /// <summary>The firmware of RHEL and those built from it, beside a QEMU.</summary>
    /// <param name="isAssumed">Whether QEMU's release is assumed, which may then be a later one.</param>
    public static FirmwareChoice RedHats(QemuVersion emulator, bool isAssumed, string release) =>
        Rpms(s_redHat, emulator, isAssumed, $"which Red Hat ships beside {release}");

    /// <summary>Fedora's firmware beside a QEMU.</summary>
    /// <param name="isAssumed">Whether QEMU's release is assumed, which may then be a later one.</param>
    public static FirmwareChoice Fedoras(QemuVersion emulator, bool isAssumed, string release) =>
        Rpms(s_fedora, emulator, isAssumed, $"which Fedora has beside {release}");

    private static FirmwareChoice Rpms(
        ImmutableArray<(string Name, QemuVersion First, QemuVersion Last)> table, QemuVersion emulator, bool isAssumed, string why)
    {
        QemuFirmware[] builds =
            [.. table.Where(build => build.Last >= emulator && (isAssumed || build.First <= emulator)).Select(static build => Parse(build.Name))];
        // The first that came beside that QEMU; what it was updated to may be there just as well.
        string doubt = builds.Length == 1 ? "" : $"; it may be a later one, up to {builds[^1]} (rpm -q edk2-ovmf tells)";
        return new(builds[0], [.. builds.Skip(1)], why + doubt);
    }

    /// <summary>The firmware of LXD's snap.</summary>
    /// <param name="isAssumed">Whether QEMU's release is assumed.</param>
    public static FirmwareChoice Lxds(string file, QemuVersion emulator, bool isAssumed)
    {
        QemuFirmware ubuntus = Parse("ovmf-2025.02-8");
        QemuFirmware newest = Parse("ovmf-2025.11-3");
        if (emulator >= s_lxdChanges || file.Contains("_4M", StringComparison.Ordinal))
        {
            bool isNewest = file.Contains("_4M", StringComparison.Ordinal);
            ImmutableArray<QemuFirmware> later = isNewest ? [] : [newest];
            return new(isNewest ? newest : ubuntus, later, "which LXD's snap has from 6.7 on" + Others(later, "snap list lxd tells LXD's release"));
        }

        if (!file.Contains("4MB", StringComparison.Ordinal))
            return new(Parse("lxd-edk2-2022.08"), [], "which LXD's snap has up to 5.0.7");
        ImmutableArray<QemuFirmware> others = isAssumed ? [Parse("ovmf-2024.02-2"), ubuntus, newest] : [Parse("ovmf-2024.02-2")];
        return new(Parse("lxd-edk2-2023.11"), others, "which LXD's snap has up to 5.21.4 and from 6.1 to 6.6, with OVMF's dynamic window switched off"
            + Others(others, "snap list lxd tells LXD's release"));
    }

    private static string Others(ImmutableArray<QemuFirmware> others, string how) =>
        others.IsEmpty ? "" : $"; it may be {string.Join(" or ", others)} just as well ({how})";

    private static QemuFirmware Parse(string name) =>
        QemuFirmware.TryParse(name, out QemuFirmware firmware) ? firmware : throw new InvalidOperationException(name);
}
