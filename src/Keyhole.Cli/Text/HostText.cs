// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Cli.Terminal;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Cli.Text;

/// <summary>What is known of a host beside its map, a line each; nothing where nothing is.</summary>
internal static class HostText
{
    /// <summary>Groups, windows and regions that are named; of more their number is told.</summary>
    private const int MostNamed = 8;

    public static void Write(CommandConsole console, Host host)
    {
        foreach (string line in Lines(host))
            console.Ansi.WriteLine(line);
    }

    private static IEnumerable<string> Lines(Host host)
    {
        HostTraits traits = host.Traits;
        if (Sentence(traits.Firmware is { } firmware ? Joined(" ", firmware.Vendor, firmware.Version, firmware.Date) : null,
            traits.IsEfi switch { true => "started by EFI", false => "without EFI", null => null }) is { } started)
            yield return $"firmware: {started}";
        if (Sentence(traits.XenVersion is { } xen ? $"Xen {xen}" : null, traits.LinuxRelease is { } linux ? $"Linux {linux}" : null) is { } runs)
            yield return $"runs: {runs}";
        if (Sentence(traits.CpuVendor, traits.CpuFamily is { } family ? string.Create(CultureInfo.InvariantCulture, $"family 0x{family:x}") : null,
            Bits(traits.PhysicalAddressBits), traits.HasGiBPages == true ? "pages of 1 GiB" : null) is { } processor)
            yield return $"processor: {processor}";
        if (Sentence(traits.Iommu switch { HostIommu.IntelVtd => "VT-d", HostIommu.AmdVi => "AMD-Vi", null => null },
            Bits(traits.IommuAddressBits), traits is { LinuxUsesIommu: false, Iommu: not null } ? "not used by Linux"
                : traits is { UsesIommu: false, Iommu: not null } ? "not used by Xen" : null) is { } iommu)
            yield return $"IOMMU: {iommu}";
        if (!traits.RootWindows.IsEmpty)
            yield return "host bridges pass on: " + Named(
                [.. traits.RootWindows.Select(static window => $"{Range(window.Range.Start, window.Range.End)} to bus {window.BusName}")]);
        if (!host.Devices.IsEmpty)
            yield return string.Create(CultureInfo.InvariantCulture,
                $"PCI: {Count(host.Devices.Length, "function")}, {Count(host.Devices.Sum(static device => device.Bars.Length), "window")}"
                + $"{Groups(host.Devices)}");
        foreach (ReservedRegion region in host.ReservedRegions.Where(static region => region.Type != ReservedRegion.Direct).Take(MostNamed))
            yield return $"the IOMMU keeps {Range(region.Start, region.End)} ({region.Type})";
    }

    /// <summary>Functions that can only be given away together, those of a group with others.</summary>
    private static string Groups(ImmutableArray<PciDevice> devices)
    {
        IGrouping<int, PciDevice>[] groups =
            [.. devices.Where(static device => device.IommuGroup is not null).GroupBy(static device => device.IommuGroup!.Value)
                .OrderBy(static group => group.Key)];
        if (groups.Length == 0)
            return "";
        string[] shared = [.. groups.Where(static group => group.Count() > 1).Select(static group => string.Create(CultureInfo.InvariantCulture,
            $"{group.Key} ({string.Join(' ', group.Select(static device => device.Address.ToString()).Take(MostNamed))}"
                + $"{(group.Count() > MostNamed ? " …" : "")})"))];
        return string.Create(CultureInfo.InvariantCulture, $", {Count(groups.Length, "IOMMU group")}")
            + (shared.Length == 0 ? ", each with one function" : $"; of several functions: {Named(shared)}");
    }

    private static string Named(string[] all) => all.Length <= MostNamed ? string.Join(", ", all)
        : string.Create(CultureInfo.InvariantCulture, $"{string.Join(", ", all.Take(MostNamed))} and {all.Length - MostNamed} more");

    private static string Count(int count, string what) => string.Create(CultureInfo.InvariantCulture, $"{count} {what}{(count == 1 ? "" : "s")}");

    private static string? Bits(int? bits) => bits is { } known ? string.Create(CultureInfo.InvariantCulture, $"addresses of {known} bits") : null;

    private static string Range(ulong start, ulong end) => $"[{MapView.Hex(start)}, {MapView.Hex(end)})";

    private static string? Sentence(params string?[] parts) => Joined(", ", parts);

    private static string? Joined(string between, params string?[] parts) =>
        string.Join(between, parts.Where(static part => part is not null)) is { Length: > 0 } text ? text : null;
}
