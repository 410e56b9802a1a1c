// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Guests;

namespace Keyhole.Platforms.Firmware;

/// <summary>What a release does, each named after what it began to do.</summary>
/// <param name="HasDynamicWindow">2022.11: with a width that is believed the window is an eighth of the address space; ports keep room in
/// it.</param>
/// <param name="AvoidsReserved">2023.02: the window gives way to what QEMU's map reserves (HyperTransport).</param>
/// <param name="HasHighMmconfig">2023.05: q35's MMCONFIG lies at e0000000, and the 32-bit window below it.</param>
/// <param name="LimitsTo46Bits">2023.08: at most 46 bits (before: 47), and ports keep no I/O.</param>
/// <param name="KnowsGuestBits">2024.08: what KVM says that it can map counts.</param>
/// <param name="TakesUsersWindow">2025.05, and Debian's 2025.02-2: the user's window size is never replaced.</param>
/// <param name="PromotesMemory64">2026.02 alone: behind a bridge 64-bit memory goes to the prefetchable window.</param>
internal readonly record struct OvmfRelease(
    bool HasDynamicWindow, bool AvoidsReserved, bool HasHighMmconfig, bool LimitsTo46Bits, bool KnowsGuestBits, bool TakesUsersWindow,
    bool PromotesMemory64)
{
    public static OvmfRelease Of(QemuFirmware firmware) => new(
        firmware.IsSince(2022, 11), firmware.IsSince(2023, 2), firmware.IsSince(2023, 5), firmware.IsSince(2023, 8), firmware.IsSince(2024, 8),
        firmware.IsSince(2025, 5) || (firmware is { Major: 2025, Minor: 2, IsUpstream: false } && firmware.Revision is null or >= 2),
        firmware is { Major: 2026, Minor: 2 });
}
