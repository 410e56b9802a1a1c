// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;

namespace Keyhole.RealQemu;

/// <summary>Two records of the same guest beside each other, field by field.</summary>
public static class RecordDifferences
{
    private static readonly string[] s_fields = ["outcome", "message", "fwcfg_e820", "e820", "acpi_windows"];

    /// <summary>The differences; none where the records agree. A guest that was cut off agrees with one that hangs.</summary>
    public static List<string> Of(QemuRecord golden, QemuRecord made)
    {
        ArgumentNullException.ThrowIfNull(golden);
        ArgumentNullException.ThrowIfNull(made);
        List<string> wrong = [.. s_fields.Where(name => !Same(Field(golden, name), Field(made, name)))
            .Select(name => $"{name}: {Field(golden, name)}, now {Field(made, name)}")];
        Dictionary<string, JsonElement> before = Functions(golden), now = Functions(made);
        wrong.AddRange(before.Keys.Union(now.Keys).Order(StringComparer.Ordinal)
            .Where(bdf => !before.TryGetValue(bdf, out JsonElement old) || !now.TryGetValue(bdf, out JsonElement one)
                || !JsonElement.DeepEquals(old, one))
            .Select(bdf => $"{bdf}: {(before.TryGetValue(bdf, out JsonElement old) ? old : "none")}, now "
                + $"{(now.TryGetValue(bdf, out JsonElement one) ? one : "none")}"));
        if (golden.Outcome == "qemu-refused" && made.Outcome == "qemu-refused" && !Words(golden).Intersect(Words(made)).Any())
            wrong.Add($"refused with {string.Join(' ', Words(golden))}, now {string.Join(' ', Words(made))}");
        return wrong;
    }

    private static JsonElement? Field(QemuRecord record, string name) => record.Json.TryGetProperty(name, out JsonElement value) ? value : null;

    private static bool Same(JsonElement? one, JsonElement? other) =>
        one is { } a && other is { } b ? JsonElement.DeepEquals(a, b) : one is null && other is null;

    private static Dictionary<string, JsonElement> Functions(QemuRecord record) => record.Json.TryGetProperty("pci", out JsonElement functions)
        ? functions.EnumerateArray().ToDictionary(static function => function.GetProperty("bdf").GetString()!) : [];

    // "qemu-system-x86_64: …": the program's name is not part of its words.
    private static IEnumerable<string> Words(QemuRecord record) => record.Json.GetProperty("stderr").EnumerateArray()
        .Select(static line => line.GetString()!).Select(static line => line[(line.IndexOf(": ", StringComparison.Ordinal) + 1)..]);
}
