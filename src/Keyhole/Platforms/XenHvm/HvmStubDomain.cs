// SPDX-License-Identifier: GPL-2.0-only

using System.Globalization;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Platforms.Firmware;

namespace Keyhole.Platforms.XenHvm;

/// <summary>A guest whose QEMU runs in a domain of its own (device_model_stubdomain_override=): what libxl does for it, and what not.</summary>
/// <remarks>
/// Source: libxl_dm.c (libxl__spawn_stub_dm), libxl_create.c, 4.14 to 4.22, and Xen commit 97883aa269 (22 February 2024, in 4.19, 4.18.1 and
/// 4.17.4). Without it libxl does not write hvmloader/allow-memory-relocate, and hvmloader moves RAM where the BARs need room. The records of
/// <c>moved</c> are of guests without that key.
/// </remarks>
internal static class HvmStubDomain
{
    /// <summary>What libxl gives a Linux stubdomain where stubdomain_memory= does not say (LIBXL_LINUX_STUBDOM_MEM).</summary>
    private const ulong UsualMiB = 128;

    /// <summary>Why such a guest cannot be forecast; null where it can.</summary>
    public static string? NotModelled(HvmSettings settings, XenVersion xen) =>
        TakesTraditional(settings, xen)
            ? "its stubdomain runs qemu-xen-traditional, which is not modelled (up to Xen 4.20 xl takes it unless "
                + "device_model_version=\"qemu-xen\" is set)"
            : null;

    /// <summary>Whether xl takes qemu-xen-traditional because nothing names another, whose stubdomain is a mini-os.</summary>
    public static bool TakesTraditional(HvmSettings settings, XenVersion xen) =>
        settings is { HasStubDomain: true, NamesDeviceModel: false } && xen.IsUpTo(4, 20);

    /// <summary>Whether libxl leaves it to hvmloader to move RAM; null where that depends on Xen's patch level, which is not known.</summary>
    public static bool? MovesRam(HvmSettings settings, XenVersion xen) => settings.LeavesRamToHvmloader ?? (settings.HasStubDomain, xen) switch
    {
        (false, _) => false,
        (_, { Major: 4, Minor: 17 }) => xen.Patch is { } patch ? patch < 4 : null,
        (_, { Major: 4, Minor: 18 }) => xen.Patch is { } patch ? patch < 1 : null,
        _ => xen.IsUpTo(4, 16),
    };

    /// <summary>Why the map is not known where hvmloader moves RAM with one patch level of Xen and not with another.</summary>
    public static string WhyPatchCounts(Scenario scenario, HvmloaderRun run)
    {
        string known = scenario.Host.Traits.XenVersion is { } xen ? $"the host has Xen {xen}, with which patch level is not known"
            : "which Xen the host has is not known";
        return $"for a guest with a stubdomain, hvmloader moves {ByteSize.ToText(run.MovedBytes)} of RAM above 4 GiB before Xen 4.17.4 and 4.18.1, "
            + $"later not; {known}";
    }

    /// <summary>Why the map is not known where hvmloader moves RAM as BARs need it, and nobody tells what they need.</summary>
    public static string WhyBarsCount(string unknown) =>
        $"for a guest with a stubdomain, hvmloader moves RAM above 4 GiB where BARs need the room, and {unknown}";

    /// <summary>RAM that hvmloader moved is not where QEMU has it.</summary>
    public static Problem MovedRam(Scenario scenario, HvmGuest guest, HvmloaderRun run) => new(
        Severity.Error,
        ProblemCodes.BarConflict,
        $"hvmloader moves {ByteSize.ToText(run.MovedBytes)} of RAM above 4 GiB to make room for BARs, and QEMU in the stubdomain does not "
            + "learn of it: BARs in that range are not reached (a network card passed through reads as ones only), and the guest may crash",
        run.LowEnd,
        run.LowEnd + run.MovedBytes,
        (HoleRemedy(scenario, guest) is { } hole ? hole + "; or " : "")
            + "take Xen 4.17.4, 4.18.1, 4.19 or later, where libxl forbids it (its commit 97883aa269, which distributions may have taken over "
            + "earlier)");

    /// <summary>The smallest mmio_hole with which no RAM has to move; null where there is none, or nobody asked.</summary>
    public static string? HoleRemedy(Scenario scenario, HvmGuest guest) =>
        scenario.SeeksRemedies && HvmHoles.SmallestFor(scenario, guest, static tried => tried.NotModelled is null && tried.PlacesAll) is { } mib
            ? WithHole(scenario, mib) : null;

    /// <summary>What to do so that hvmloader has no RAM to move.</summary>
    public static string WithHole(Scenario scenario, ulong mib) => string.Create(CultureInfo.InvariantCulture,
        $"put mmio_hole={mib} into the xl.cfg: libxl then lays RAM around the hole itself, and tells QEMU of it{HvmHoles.WhoHasIt(scenario)}");

    /// <summary>What libxl gives the stubdomain.</summary>
    public static ulong MemoryKiB(HvmSettings settings) => ((settings.StubDomainMiB ?? UsualMiB) << 10) + settings.VideoKiB;

    /// <summary>The PV domain that QEMU runs in has a map of its own, which nothing of the guest's configuration gives the host's holes.</summary>
    public static Problem OwnMap(HvmSettings settings)
    {
        ulong bytes = MemoryKiB(settings) << 10;
        return new(
            Severity.Info,
            ProblemCodes.Assumed,
            string.Create(CultureInfo.InvariantCulture,
                $"QEMU runs in a PV domain of its own: its map is RAM from 0 to {ByteSize.ToText(bytes)}, without the host's holes, and libxl has no "
                    + $"setting for them (its kernel's advice \"e820_host=1\" cannot be followed); that QEMU has the same devices there as in dom0 "
                    + $"is assumed"));
    }
}
