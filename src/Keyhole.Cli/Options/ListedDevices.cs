// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Guests;
using Keyhole.Pci;

namespace Keyhole.Cli.Options;

/// <summary>
/// Which of the devices that <c>--devices</c> lists the guest gets. Most listings are of the whole host: its own disk, its bridges. So a guest gets
/// what it names; one without a configuration, that names nothing, is asked about the one card that is listed.
/// </summary>
internal static class ListedDevices
{
    /// <summary>Devices that a message names.</summary>
    private const int Most = 4;

    /// <param name="isConfigured">Whether the guest has a configuration, which says what it gets.</param>
    /// <param name="remark">What is to be said of it where the guest names no device; null where it does, and where nothing is listed.</param>
    public static PciDevice[] Of(GuestSpec guest, IReadOnlyCollection<PciDevice> listed, bool isConfigured, out string? remark)
    {
        remark = null;
        if (!guest.Pci.IsEmpty)
            return [.. listed.Where(device => guest.Pci.Any(assignment => assignment.Covers(device.Address)))];
        if (listed.Count == 0)
            return [];
        PciDevice[] cards = isConfigured ? [] : [.. listed.Where(static device => !IsBridge(device))];
        string[] names = [.. cards.Select(static device => device.Address.ToString())];
        if (cards.Select(static device => (device.Address.Domain, device.Address.Bus, device.Address.Device)).Distinct().Count() == 1)
        {
            remark = $"no device is named: the guest is taken to get the one that --devices lists ({string.Join(", ", names)}); name it with --pci, "
                + "or leave out --devices";
            return cards;
        }

        remark = isConfigured
            ? "the guest's configuration passes no device through, so what --devices lists does not count; name with --pci what it gets"
            : names.Length == 0 ? "--devices lists bridges only, and no guest gets one; name with --pci what it gets"
            : $"no device is named, and --devices lists several ({string.Join(", ", names.Take(Most))}{(names.Length > Most ? ", …" : "")}): none "
                + "of them counts; name with --pci those that the guest gets";
        return [];
    }

    /// <summary>Bridges stay with the host: vfio and pciback take none.</summary>
    private static bool IsBridge(PciDevice device) =>
        device.ClassCode is { } code ? code >> 16 == BridgeClass
            : device.Bars.Any(static bar => bar.Kind == BarKind.BridgeWindow) || device.Unplaced.Any(static one => one.Kind == BarKind.BridgeWindow)
                || device.Description.Split(": ")[0].EndsWith("bridge", StringComparison.OrdinalIgnoreCase);

    private const int BridgeClass = 0x06;
}
