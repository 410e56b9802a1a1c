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
    Ram = 1,
    Reserved = 2,
    Acpi = 3,
    Nvs = 4,
    Unusable = 5,
    PersistentMemory = 7,
    Pram = 12,
}
