// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.E820;

/// <summary>
/// The type number of an E820 entry, as firmware, Xen and Linux use it on the wire. Any other number is a valid entry too:
/// it is kept, and treated like <see cref="Reserved"/>.
/// </summary>
public enum E820Type : uint
{
    /// <summary>No type: where entries overlap it loses against every other, and the sanitiser drops what has it.</summary>
    None = 0,

    /// <summary>RAM that the operating system may use.</summary>
    Ram = 1,

    /// <summary>Not to be used: firmware's, a device's or unknown.</summary>
    Reserved = 2,

    /// <summary>ACPI tables: RAM once the operating system has read them.</summary>
    Acpi = 3,

    /// <summary>Memory that ACPI keeps over a sleep: never to be used.</summary>
    Nvs = 4,

    /// <summary>RAM with errors; Xen marks with it what a PV guest must not use.</summary>
    Unusable = 5,

    /// <summary>Persistent memory (ACPI 6.0).</summary>
    PersistentMemory = 7,

    /// <summary>Persistent memory by the number in use before ACPI had one.</summary>
    Pram = 12,
}
