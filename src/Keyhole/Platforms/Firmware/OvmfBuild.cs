// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Guests;

namespace Keyhole.Platforms.Firmware;

/// <summary>How an image of OVMF was built, as far as it decides what the firmware keeps of the RAM.</summary>
/// <param name="HasSmm">Whether it keeps its variables in system management mode ("secboot"): RAM at the end of low RAM is that mode's.</param>
/// <param name="IsLarge">Whether the flash is 4 MiB, not 2 MiB; null where that is not known.</param>
/// <param name="IsWide">Whether its first phases run in 64 bits already (edk2's X64, not Ia32X64); null where that is not known.</param>
/// <param name="LeastEarlyBytes">What those phases take at the end of their memory with one processor, stack included: at least.</param>
/// <param name="MostEarlyBytes">At most.</param>
/// <remarks>Source: Debian's packages, of which Linux' maps were recorded; of other images what edk2 has in common.</remarks>
internal readonly record struct OvmfBuild(bool HasSmm, bool? IsLarge, bool? IsWide, ulong LeastEarlyBytes, ulong MostEarlyBytes)
{
    /// <summary>What no build goes below and beyond: the phases' code is between 200 and 700 KiB.</summary>
    private const ulong LeastEver = 0x50000;
    private const ulong MostEver = 0xb0000;

    /// <summary>With the parts that read variables early.</summary>
    private const ulong MostWithSmm = 0x120000;

    public static OvmfBuild Of(QemuMachine machine)
    {
        QemuFirmware firmware = machine.Firmware;
        string path = machine.FirmwareFile;
        string file = path[(path.LastIndexOf('/') + 1)..];
        bool hasSmm = Names(file, "secboot") || Names(file, "secure") || Names(file, ".ms.") || Names(file, "snakeoil")
            || machine.Global("cfi.pflash01", "secure") is "on" or "true" or "yes";
        // Others have files of these names, too, elsewhere.
        string folder = path[..^file.Length];
        bool isDebians = firmware is { IsUpstream: false, Maker: FirmwareMaker.Other } && folder is ("" or "/usr/share/OVMF/" or "/usr/share/ovmf/")
            && (file.Length == 0 || file.StartsWith("OVMF", StringComparison.Ordinal));
        // Where no file is told it is the usual one. Of others a name without a size says nothing.
        bool? isLarge = file.Length == 0 || Names(file, "4m") || Names(file, "edk2-x86_64") ? true
            : (isDebians || Names(folder, "pve-edk2-firmware")) && !firmware.IsSince(2024, 8)
                && (file.StartsWith("OVMF_CODE.", StringComparison.Ordinal) || file == "OVMF.fd") ? false : null;
        // Debian's of 4 MiB were mixed until 2022.11 and are no longer in 2025.02; from 2025.11 on edk2 has no others.
        bool? isWide = Names(file, "edk2-x86_64-code") || firmware.IsSince(2025, 11) ? true
            : !isDebians ? null
            : isLarge == false || firmware.IsSince(2025, 2) ? true
            : isLarge == true && !firmware.IsSince(2023, 2) ? false : null;
        return (firmware.Major, firmware.Minor, isDebians && isLarge == true && !hasSmm) switch
        {
            (2020, 11, true) => new(hasSmm, isLarge, isWide, 0x5c000, 0x5c000),
            (2022, 11, true) => new(hasSmm, isLarge, isWide, 0x73000, 0x73000),
            (2025, 2, true) => new(hasSmm, isLarge, isWide, 0x85000, 0x85000),
            (2026, 8, _) when isDebians && isLarge == true => new(hasSmm, isLarge, isWide, 0x8000, 0x8000),
            _ => new(hasSmm, isLarge, isWide, LeastEver, hasSmm ? MostWithSmm : MostEver),
        };
    }

    private static bool Names(string file, string part) => file.Contains(part, StringComparison.OrdinalIgnoreCase);
}
