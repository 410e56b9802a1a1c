// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>Values of an HVM guest's xl.cfg at which xl or libxl stops, in every release since 4.6.</summary>
/// <remarks>Source: parse_config_data in xl_parse.c (xl_cmdimpl.c before 4.10), in its order, libxl_types.idl, whose names are compared without
/// regard to case, and libxl__domain_build_info_setdefault in libxl_create.c, of the releases 4.6, 4.12, 4.17 and 4.22 by their tags.</remarks>
internal static class XlValues
{
    private const string Upstream = "qemu-xen";
    private const string Traditional = "qemu-xen-traditional";

    /// <summary>The words with which the guest is refused; null where nothing of the kind is.</summary>
    public static string? RefusalOf(XlSettings keys)
    {
        if (keys.Number("maxvcpus") is > 0 and { } most && most < (keys.Number("vcpus") ?? 1))
            return "xl: maxvcpus < vcpus";
        string bios = keys.Text("bios") ?? "";
        if (bios.Length > 0 && !IsOne(bios, "unknown", "rombios", "seabios", "ovmf"))
            return Invalid("bios", bios);
        string model = keys.Text("device_model_version") ?? "";
        if (model.Length > 0 && model is not (Upstream or Traditional))
            return $"Unknown device_model_version {InputError.Quote(model)} specified";
        if (keys.Text("hdtype") is { Length: > 0 } disks && !IsOne(disks, "ide", "ahci"))
            return Invalid("hdtype", disks);
        if (bios.Length == 0)
            return null;
        bool isRom = IsOne(bios, "rombios");
        // Which model is taken for a stubdomain where none is named is a matter of the release.
        bool isUpstream = model == Upstream || (model.Length == 0 && !keys.Flag("device_model_stubdomain_override", false));
        return model == Traditional && !isRom ? "qemu-xen-traditional requires bios=rombios."
            : isUpstream && isRom ? "qemu-xen does not support bios=rombios."
            : null;
    }

    private static string Invalid(string key, string value) => $"ERROR: invalid value {InputError.Quote(value)} for \"{key}\"";

    private static bool IsOne(string value, params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (value.Equals(name, StringComparison.OrdinalIgnoreCase))
                return true;
        }

        return false;
    }
}
