// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.E820;

namespace Keyhole.Platforms.Firmware;

/// <summary>The E820 map that an operating system makes of OVMF's memory map.</summary>
internal static class OvmfMap
{
    /// <summary>Not known yet: the default.</summary>
    public static ImmutableArray<E820Entry> Make(FirmwareInput input) => default;
}
