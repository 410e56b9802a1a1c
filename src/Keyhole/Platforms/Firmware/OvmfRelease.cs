// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Guests;

namespace Keyhole.Platforms.Firmware;

/// <summary>What a release does, each named after what it began to do.</summary>
/// <param name="BelievesWidth">2022.11: the processor's width counts where it is one that is believed, and ports keep room in a large
/// window.</param>
/// <param name="HasDynamicWindow">2022.11: with such a width the window is an eighth of the address space. LXD's builds have that switched off,
/// from when they first had it (2023.05) until they were Ubuntu's (2024.02).</param>
/// <param name="AvoidsReserved">2023.02: the window gives way to what QEMU's map reserves (HyperTransport).</param>
/// <param name="HasHighMmconfig">2023.05: q35's MMCONFIG lies at e0000000, and the 32-bit window below it.</param>
/// <param name="LimitsTo46Bits">2023.08, and Proxmox VE's 3.20230228-4, whose images of 2 MiB it keeps: at most 46 bits (before: 47).</param>
/// <param name="KeepsNoPortIo">2023.08: ports keep no I/O.</param>
/// <param name="KnowsGuestBits">2024.08: what KVM says that it can map counts.</param>
/// <param name="TakesUsersWindow">2025.05, and Debian's 2025.02-2, but not Proxmox VE's 2025.02: the user's window size is never
/// replaced.</param>
/// <param name="PromotesMemory64">2026.02 alone: behind a bridge 64-bit memory goes to the prefetchable window.</param>
/// <param name="TakesQuarter">2026.11: the window is a quarter of the address space. By edk2's source; not recorded.</param>
/// <remarks>Source: edk2's tags (MemDetect.c); debian/patches of pve-edk2-firmware in each of its releases; LXD's snapcraft.yaml and patches. The
/// images of 2 MiB that Proxmox VE keeps were started: at 46 and 48 bits a BAR comes to lie at 380000000000, whatever X-PciMmio64Mb
/// says.</remarks>
internal readonly record struct OvmfRelease(
    bool BelievesWidth, bool HasDynamicWindow, bool AvoidsReserved, bool HasHighMmconfig, bool LimitsTo46Bits, bool KeepsNoPortIo,
    bool KnowsGuestBits, bool TakesUsersWindow, bool PromotesMemory64, bool TakesQuarter)
{
    public static OvmfRelease Of(QemuFirmware firmware) => new(
        firmware.IsSince(2022, 11),
        firmware.IsSince(2022, 11) && !(firmware.Maker == FirmwareMaker.Lxd && !firmware.IsSince(2024, 2)),
        firmware.IsSince(2023, 2), firmware.IsSince(2023, 5),
        firmware.IsSince(2023, 8) || (firmware is { Maker: FirmwareMaker.Proxmox, Major: 2023, Minor: 2 } && firmware.Revision is null or >= 4),
        firmware.IsSince(2023, 8), firmware.IsSince(2024, 8),
        firmware.IsSince(2025, 5) || (firmware is { Major: 2025, Minor: 2, IsUpstream: false, Maker: FirmwareMaker.Other }
            && firmware.Revision is null or >= 2),
        firmware is { Major: 2026, Minor: 2 },
        firmware.IsSince(2026, 11));
}
