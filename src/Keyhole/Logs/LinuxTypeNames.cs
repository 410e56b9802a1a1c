// SPDX-License-Identifier: GPL-2.0-only

using System.Globalization;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.Logs;

/// <summary>What Linux calls E820 types: in its log's map, and in its resources (/proc/iomem).</summary>
/// <remarks>Source: arch/x86/kernel/e820.c, e820_print_type and e820_type_to_string.</remarks>
internal static class LinuxTypeNames
{
    /// <summary>In lines of a map.</summary>
    /// <param name="isNew">Whether it is a kernel that says "System RAM" there, as 7.2 does.</param>
    public static string InMap(E820Type type, bool isNew) => (uint)type switch
    {
        (uint)E820Type.Ram => isNew ? "System RAM" : "usable",
        (uint)E820Type.Reserved => isNew ? "device reserved" : "reserved",
        (uint)E820Type.Acpi => "ACPI data",
        (uint)E820Type.Nvs => "ACPI NVS",
        (uint)E820Type.Unusable => "unusable",
        (uint)E820TypeNames.SoftReserved => "soft reserved",
        (uint)E820Type.PersistentMemory or (uint)E820Type.Pram =>
            string.Create(CultureInfo.InvariantCulture, $"persistent{(isNew ? " RAM" : "")} (type {(uint)type})"),
        uint number => string.Create(CultureInfo.InvariantCulture, $"type {number}"),
    };

    /// <summary>Of resources ("can't claim; address conflict with …").</summary>
    public static string OfResource(E820Type type) => IomemSyntax.NameOf(type) ?? "Reserved";
}
