// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;

namespace Keyhole.Guests;

/// <summary>
/// What a model of <c>-cpu</c> has by itself. Under KVM the guest sees the host's vendor, whatever the model; 1 GiB pages only where the host has
/// them too.
/// </summary>
/// <param name="Is64Bit">A 32-bit model has 36 bits of physical address (32 without PSE-36), and no setting changes that.</param>
/// <param name="HasGiBPages">Whether the model has CPUID's <c>pdpe1gb</c>; the user may add or remove it.</param>
/// <remarks>Source: <c>query-cpu-model-expansion</c> of QEMU 7.2 for every model that it has; newer models from QEMU 10's documentation.</remarks>
internal readonly record struct QemuCpuModel(CpuVendor Vendor, bool Is64Bit, bool HasGiBPages)
{
    /// <summary>The model of a name (<c>EPYC-Rome-v2</c>), without the properties behind its comma. False for one that Keyhole does not know,
    /// and for <c>host</c>, which is the host's processor.</summary>
    public static bool TryFind(ReadOnlySpan<char> name, out QemuCpuModel model)
    {
        (bool isKnown, model) = Family(name) switch
        {
            "max" or "EPYC" or "phenom" or "Opteron_G4" or "Opteron_G5" => (true, new QemuCpuModel(CpuVendor.Amd, true, true)),
            "qemu64" or "Opteron_G1" or "Opteron_G2" or "Opteron_G3" => (true, new QemuCpuModel(CpuVendor.Amd, true, false)),
            "athlon" => (true, new QemuCpuModel(CpuVendor.Amd, false, false)),
            "Skylake-Server" or "Cascadelake" or "Cooperlake" or "Icelake" or "SapphireRapids" or "GraniteRapids" or "DiamondRapids" or "SierraForest"
                or "ClearwaterForest" or "Denverton" or "Snowridge" or "KnightsMill" => (true, new QemuCpuModel(CpuVendor.Intel, true, true)),
            "core2duo" or "Conroe" or "Penryn" or "Nehalem" or "Westmere" or "SandyBridge" or "IvyBridge" or "Haswell" or "Broadwell"
                or "Skylake-Client"
                or "kvm64" => (true, new QemuCpuModel(CpuVendor.Intel, true, false)),
            "486" or "pentium" or "pentium2" or "pentium3" or "coreduo" or "n270" or "kvm32" or "qemu32" =>
                (true, new QemuCpuModel(CpuVendor.Intel, false, false)),
            "Dhyana" or "YongFeng" => (true, new QemuCpuModel(CpuVendor.Other, true, true)),
            _ => (false, default),
        };
        return isKnown;
    }

    /// <summary>Models that any release of QEMU up to 11.1 has had, without their versions.</summary>
    private static readonly ImmutableHashSet<string> s_names = ImmutableHashSet.Create(StringComparer.Ordinal,
        "486", "Broadwell", "Broadwell-IBRS", "Broadwell-noTSX", "Broadwell-noTSX-IBRS", "Cascadelake-Server", "Cascadelake-Server-noTSX",
        "ClearwaterForest", "Conroe", "Cooperlake", "Denverton", "Dhyana", "DiamondRapids", "EPYC", "EPYC-Genoa", "EPYC-IBPB", "EPYC-Milan",
        "EPYC-Rome", "EPYC-Turin", "GraniteRapids", "Haswell", "Haswell-IBRS", "Haswell-noTSX", "Haswell-noTSX-IBRS", "Icelake-Client",
        "Icelake-Client-noTSX", "Icelake-Server", "Icelake-Server-noTSX", "IvyBridge", "IvyBridge-IBRS", "KnightsMill", "Nehalem", "Nehalem-IBRS",
        "Opteron_G1", "Opteron_G2", "Opteron_G3", "Opteron_G4", "Opteron_G5", "Penryn", "SandyBridge", "SandyBridge-IBRS", "SapphireRapids",
        "SierraForest", "Skylake-Client", "Skylake-Client-IBRS", "Skylake-Client-noTSX-IBRS", "Skylake-Server", "Skylake-Server-IBRS",
        "Skylake-Server-noTSX-IBRS", "Snowridge", "Westmere", "Westmere-IBRS", "YongFeng", "athlon", "core2duo", "coreduo", "kvm32", "kvm64",
        "n270", "pentium", "pentium2", "pentium3", "phenom", "qemu32", "qemu64", "base", "host", "max");

    /// <summary>Whether any release of QEMU up to 11.1 has a model of that name, a version behind it included.</summary>
    public static bool IsOne(string name) => s_names.Contains(WithoutVersion(name));

    /// <summary>The model whose name differs in capital letters alone; null where there is none.</summary>
    public static string? InOtherCase(string name) =>
        s_names.FirstOrDefault(other => other.Equals(WithoutVersion(name), StringComparison.OrdinalIgnoreCase)) is { } other
            ? other + name[WithoutVersion(name).Length..].ToLowerInvariant() : null;

    private static string WithoutVersion(string name)
    {
        int at = name.LastIndexOf("-v", StringComparison.OrdinalIgnoreCase);
        return at > 0 && name.Length - at is 3 or 4 && name.AsSpan(at + 2).IndexOfAnyExceptInRange('0', '9') < 0 ? name[..at] : name;
    }

    /// <summary>The name without what tells its steppings and versions apart: those differ in nothing that counts here.</summary>
    private static ReadOnlySpan<char> Family(ReadOnlySpan<char> name)
    {
        foreach (string two in (ReadOnlySpan<string>)["Skylake-Server", "Skylake-Client"])
        {
            if (name.StartsWith(two))
                return two;
        }

        int dash = name.IndexOf('-');
        return dash < 0 ? name : name[..dash];
    }
}
