// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>What a verification says of devices, windows, bridges and firmware.</summary>
internal static partial class DevicePairs
{
    public static ImmutableArray<RulePair> All { get; } =
    [
        .. Windows, .. HotPlugs, .. HotPlugsInDom0, .. PvhDom0, .. PvhDom0Bars, .. OtherHvmGuests, .. LibvirtGuests, .. OtherHypervisors,
        .. OtherFirmwares, .. Surroundings, .. RootWindows, .. Functions, .. LaterFunctions, .. Stories,
        .. FirmwareBoots,
    ];
}
