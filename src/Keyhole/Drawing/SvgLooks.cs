// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Diagnostics;
using Keyhole.E820;

namespace Keyhole.Drawing;

/// <summary>How kinds of memory and marks look in an SVG: by day, by night and printed.</summary>
internal static class SvgLooks
{
    /// <summary>The kinds of memory that look different, in the legend's order.</summary>
    public static readonly (string Class, string Name, string? Pattern)[] All =
    [
        ("ram", "RAM", null),
        ("reserved", "reserved", """<path class="ink" d="M-1 9L9-1M3 13L13 3M-5 5L5-5"/>"""),
        ("acpi", "ACPI tables, NVS", """<circle class="dot" cx="2" cy="2" r="1.1"/><circle class="dot" cx="6" cy="6" r="1.1"/>"""),
        ("unusable", "unusable", """<path class="ink" d="M0 0L8 8M8 0L0 8"/>"""),
        ("pmem", "persistent memory", """<path class="ink" d="M0 2H8M0 6H8"/>"""),
        ("other", "other types", """<path class="ink" d="M2 0V8M6 0V8"/>"""),
        (NotKnown, "not known: lines are lost", """<path class="ink" d="M1 2Q4-1 4 3V4M4 6V7"/>"""),
    ];

    /// <summary>Where lines of the map are lost.</summary>
    public const string NotKnown = "unknown";

    public const string Style = """
        text{font:11px system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:#1f2328}
        .title{font-size:16px;font-weight:600}.head{font-size:13px;font-weight:600;text-anchor:middle}.sub{fill:#59636e}
        .axis{font-family:ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;text-anchor:end;fill:#59636e}
        .label{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}.mid{text-anchor:middle}.strong{font-weight:600}
        .paper{fill:#fff}.cell{stroke:#59636e;stroke-width:1}.tick{stroke:#d1d9e0;stroke-width:1}.four{stroke:#59636e;stroke-width:1;stroke-dasharray:2 3}
        .f-ram{fill:#b7e4c0}.f-reserved{fill:#ffd1cc}.f-acpi{fill:#ffe7a3}.f-unusable{fill:#d8dee4}.f-pmem{fill:#c9dcff}.f-other{fill:#e6d4f7}.f-unknown{fill:#fff}
        .ink{stroke:#1f2328;fill:none;stroke-opacity:.38}.dot{fill:#1f2328;fill-opacity:.42}
        .gap{fill:none;stroke-dasharray:3 3}.join{fill:#2f81f7;fill-opacity:.16}.edge{fill:none;stroke:#0b5cc4;stroke-width:1;stroke-dasharray:5 2}
        .window{fill:#fff;stroke:#0b5cc4;stroke-width:2}.lost{stroke:#b3261e;stroke-dasharray:4 2}
        .move{fill:none;stroke:#7a3fc0;stroke-width:1.6}.was{stroke:#7a3fc0;stroke-width:4;stroke-dasharray:3 2}.now{stroke:#7a3fc0;stroke-width:4}.tip{fill:#7a3fc0}
        .tear{fill:#fff;stroke:#59636e;stroke-width:1}
        @media screen and (prefers-color-scheme:dark){
        text{fill:#e6edf3}.sub,.axis{fill:#9aa5b1}.label{stroke:#0d1117}.paper{fill:#0d1117}.cell{stroke:#8b96a3}.tick{stroke:#2b323b}.four{stroke:#8b96a3}
        .f-ram{fill:#1c4a2b}.f-reserved{fill:#61231f}.f-acpi{fill:#574408}.f-unusable{fill:#343b44}.f-pmem{fill:#1b3a6b}.f-other{fill:#44275f}.f-unknown{fill:#0d1117}
        .ink{stroke:#e6edf3}.dot{fill:#e6edf3}.join{fill:#58a6ff;fill-opacity:.18}.edge{stroke:#6cb0ff}.window{fill:#0d1117;stroke:#6cb0ff}.lost{stroke:#ff8b82}
        .move,.was,.now{stroke:#c297ff}.tip{fill:#c297ff}.tear{fill:#0d1117;stroke:#8b96a3}
        .gap{fill:none}}
        @media print{.paper{fill:none}}
        """;

    /// <summary>The look of a cell; "gap" for a gap.</summary>
    public static string Of(DrawnCell cell) => cell.IsNotKnown ? NotKnown : cell.Type is { } type ? Of(type) : "gap";

    private static string Of(E820Type type) => type switch
    {
        E820Type.Ram => "ram",
        E820Type.Reserved => "reserved",
        E820Type.Acpi or E820Type.Nvs => "acpi",
        E820Type.Unusable => "unusable",
        E820Type.PersistentMemory or E820Type.Pram => "pmem",
        _ => "other",
    };

    /// <summary>One line without control characters, which XML does not hold, and with its markup escaped.</summary>
    public static string Escape(string text, int maxLength) => InputError.OneLine(text, maxLength)
        .Replace("&", "&amp;", StringComparison.Ordinal)
        .Replace("<", "&lt;", StringComparison.Ordinal)
        .Replace(">", "&gt;", StringComparison.Ordinal)
        .Replace("\"", "&quot;", StringComparison.Ordinal)
        .Replace('\uFFFE', '?')
        .Replace('\uFFFF', '?');
}
