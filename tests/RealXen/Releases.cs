// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;
using Keyhole.RealMachine;

namespace Keyhole.RealXen;

/// <summary>A Xen that can be booted: the hypervisor and its tools as a release of Debian has them.</summary>
/// <param name="Version">"4.17".</param>
/// <param name="Suite">Where its packages are.</param>
/// <param name="DeviceModelPackage">The package of the QEMU that libxl starts for an HVM guest.</param>
/// <param name="DeviceModel">That QEMU's path.</param>
public sealed record XenRelease(string Version, DebianSuite Suite, string DeviceModelPackage, string DeviceModel)
{
    public static XenRelease Default => All[1];

    public static IReadOnlyList<XenRelease> All { get; } =
    [
        new("4.14", DebianSuite.Bullseye, "qemu-system-x86", "usr/bin/qemu-system-i386"),
        new("4.17", DebianSuite.Bookworm, "qemu-system-xen", "usr/libexec/xen-qemu-system-i386"),
        new("4.20", DebianSuite.Trixie, "qemu-system-xen", "usr/libexec/xen-qemu-system-i386"),
    ];

    /// <summary>The release of that version.</summary>
    /// <exception cref="HarnessException">There is none.</exception>
    public static XenRelease Named(string version) => All.FirstOrDefault(release => release.Version == version)
        ?? throw new HarnessException(
            $"Xen {version}: not among those that can be booted: {string.Join(", ", All.Select(release => release.Version))}");

    internal string HypervisorPackage => $"xen-hypervisor-{Version}-amd64";

    internal string ToolsPackage => $"xen-utils-{Version}";
}

/// <summary>A Linux that can be booted, as dom0 and as a guest: the newest kernel of its series in a release of Debian.</summary>
/// <param name="Version">"6.1".</param>
/// <param name="Suite">Where its package is.</param>
/// <param name="MetaPackage">The package that depends on it.</param>
public sealed record LinuxRelease(string Version, DebianSuite Suite, string MetaPackage)
{
    public static LinuxRelease Default => All[1];

    public static IReadOnlyList<LinuxRelease> All { get; } =
    [
        new("5.10", DebianSuite.Bullseye, "linux-image-amd64"),
        new("6.1", DebianSuite.Bookworm, "linux-image-amd64"),
        new("6.12", DebianSuite.Bookworm, "linux-image-6.12-amd64"),
        // Whatever Debian's testing has today; a record says which.
        new("7.x", DebianSuite.Testing, "linux-image-amd64"),
    ];

    /// <summary>The packages that hold its image and modules: one, or in newer releases one that depends on a package for each of the two.</summary>
    /// <exception cref="HarnessException">They are not to be had.</exception>
    internal IReadOnlyList<Package> Packages()
    {
        string image = Suite.DependencyOf(MetaPackage, "linux-image-");
        string[] parts = [.. Suite.DependenciesOf(image)
            .Where(static name => name.StartsWith("linux-binary-", System.StringComparison.Ordinal)
                || name.StartsWith("linux-modules-", System.StringComparison.Ordinal))];
        return Suite.Obtain([image, .. parts]);
    }

    /// <summary>The release of that version.</summary>
    /// <exception cref="HarnessException">There is none.</exception>
    public static LinuxRelease Named(string version) => All.FirstOrDefault(release => release.Version == version)
        ?? throw new HarnessException(
            $"Linux {version}: not among those that can be booted: {string.Join(", ", All.Select(release => release.Version))}");
}
