// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Logs;

/// <summary>
/// How many address bits processors have of which a log names family and model: Intel's clients up to the eleventh generation, their small cores,
/// and servers up to Cascade Lake.
/// </summary>
/// <remarks>
/// <para>Source: CPUID's leaf 80000008 in the dumps of InstLatx64 (github.com/InstLatx64/InstLatx64); these are the models of which all dumps agree
/// and that have no width that firmware can change.</para>
/// <para>Left out, for their model does not settle it. Intel from the twelfth generation on: 46 bits for those with vPro, 39 for others of the same
/// model (97: i9-12900K 46, i5-12400 39; 9a: i9-12900H 46, i7-12700H 39; b7: i9-13900K 46, i9-13900KF 39). Core Ultra: 46 and 42 (c6). Xeon from
/// Ice Lake on: what is kept for memory encryption goes off it (8f: 52 and 46). AMD from Zen on: CPUID says 48 or 52, and with memory encryption on
/// up to six fewer work.</para>
/// </remarks>
internal static class ProcessorWidths
{
    private const int IntelFamily = 6;

    /// <summary>Null for a processor whose model does not settle it.</summary>
    public static int? Of(string? vendor, int? family, int? model) => (vendor, family) is not ("GenuineIntel", IntelFamily) ? null : model switch
    {
        // Nehalem's and Westmere's clients, Sandy Bridge, Ivy Bridge; Silvermont, Airmont.
        0x1e or 0x25 or 0x2a or 0x3a or 0x37 or 0x4c or 0x4d => 36,
        // Haswell, Broadwell, Skylake, Kaby, Coffee, Comet and Cannon Lake, Ice, Tiger and Rocket Lake with what is sold as Xeon E of them.
        0x3c or 0x45 or 0x46 or 0x3d or 0x47 or 0x4e or 0x5e or 0x8e or 0x9e or 0xa5 or 0xa6 or 0x66 or 0x7e or 0x8c or 0x8d or 0xa7 => 39,
        // Goldmont, Goldmont Plus, Tremont; N100 and its kin.
        0x5c or 0x5f or 0x7a or 0x96 or 0x9c or 0xbe => 39,
        // Sandy Bridge, Ivy Bridge, Haswell, Broadwell and Skylake of servers and of the large desktops (i7-5820K, i9-10900X).
        0x2d or 0x3e or 0x3f or 0x4f or 0x55 or 0x56 => 46,
        _ => null,
    };
}
