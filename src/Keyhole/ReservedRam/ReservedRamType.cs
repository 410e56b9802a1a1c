// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.E820;
using Keyhole.Logs;

namespace Keyhole.ReservedRam;

/// <summary>
/// E820 types as the scheme of 2008 numbers them (seed 003, CONFIG_RESERVE_PHYSICAL_START): two new ones below all others, so that the sanitiser, for
/// which the highest number wins, settles every overlap the right way. Firmware's own numbers move up by two; those not named here do as well.
/// </summary>
public enum ReservedRamType : uint
{
    /// <summary>No type; the sanitiser drops it.</summary>
    None = 0,

    /// <summary>RAM below the start that the kernel leaves alone: a guest may have it one to one.</summary>
    ReservedRam = 1,

    /// <summary>RAM below the start that the kernel could not promise to leave alone.</summary>
    Failed = 2,

    /// <summary>RAM of the host.</summary>
    Ram = 3,

    /// <summary>Reserved by the firmware.</summary>
    Reserved = 4,

    /// <summary>ACPI tables.</summary>
    Acpi = 5,

    /// <summary>ACPI's non-volatile storage.</summary>
    Nvs = 6,
}

/// <summary>Names and numbers of <see cref="ReservedRamType"/>.</summary>
public static class ReservedRamTypes
{
    private const uint NewTypes = 2;

    /// <summary>The scheme's number of a firmware type. <see cref="E820Type.None"/> stays what it is: no RAM may be made of it.</summary>
    public static ReservedRamType Of(E820Type type) =>
        type == E820Type.None ? ReservedRamType.None
            : (ReservedRamType)((uint)type > uint.MaxValue - NewTypes ? uint.MaxValue : (uint)type + NewTypes);

    /// <summary>The type that a drawing or a table shows: the firmware's, and 1 and 2 as Linux today has them, reserved.</summary>
    public static E820Type ToE820(ReservedRamType type) => (uint)type switch
    {
        (uint)ReservedRamType.None => E820Type.None,
        (uint)ReservedRamType.ReservedRam or (uint)ReservedRamType.Failed => E820Type.Reserved,
        uint number => (E820Type)(number - NewTypes),
    };

    /// <summary>What the scheme's kernel calls it in /proc/iomem. Everything that has no name of its own is "reserved" there.</summary>
    public static string NameOf(ReservedRamType type) => (uint)type switch
    {
        (uint)ReservedRamType.ReservedRam => "reserved RAM",
        (uint)ReservedRamType.Failed => "reserved RAM failed",
        (uint)ReservedRamType.Ram or (uint)ReservedRamType.Acpi or (uint)ReservedRamType.Nvs => IomemSyntax.NameOf(ToE820(type))!,
        _ => "reserved",
    };
}
