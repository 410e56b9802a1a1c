// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;

namespace Keyhole.Guests;

/// <summary>Values that an HVM guest alone has, and what libxl makes of them.</summary>
internal sealed partial class XlValues
{
    private const XlTypes Hvm = XlTypes.Hvm;

    /// <summary>What of Hyper-V xl knows by name, with the release that has it first.</summary>
    private static readonly (string Name, int Since)[] s_enlightenments =
    [
        ("base", 0), ("freq", 0), ("time_ref_count", 0), ("reference_tsc", 6), ("hcall_remote_tlb_flush", 7), ("apic_assist", 7),
        ("crash_ctl", 9), ("synic", 13), ("stimer", 13), ("hcall_ipi", 13), ("ex_processor_masks", 15), ("no_vp_limit", 15), ("cpu_hotplug", 15),
    ];

    /// <summary>What libxl knows by name.</summary>
    public static readonly string[] SoundCards = ["ac97", "adlib", "cs4231a", "es1370", "gus", "hda", "sb16"];

    private static readonly string[] s_smbios =
    [
        "bios_vendor", "bios_version", "system_manufacturer", "system_product_name", "system_version", "system_serial_number",
        "baseboard_manufacturer", "baseboard_product_name", "baseboard_version", "baseboard_serial_number", "baseboard_asset_tag",
        "baseboard_location_in_chassis", "enclosure_manufacturer", "enclosure_serial_number", "enclosure_asset_tag", "battery_manufacturer",
        "battery_device_name", "oem",
    ];

    private void OfHvmFirmware()
    {
        if (_keys.Text("bios") is { } bios && !IsOne(bios, "unknown", "rombios", "seabios", "ovmf"))
            Refuse("bios", $"ERROR: invalid value {Quote(bios)} for \"bios\"", Hvm);
        foreach (XlValue item in _keys.Items("viridian") ?? [])
        {
            if (item is not XlText { Text: var name } || name is "all" or "defaults")
                continue;
            string bare = name.StartsWith('!') ? name[1..] : name;
            (string Name, int Since) = s_enlightenments.FirstOrDefault(known => IsOne(bare, known.Name));
            if (Name is null || Since > 0)
                Refuse("viridian", $"xl: unknown viridian enlightenment '{Bare(bare)}'", Hvm, until: Name is null ? int.MaxValue : Since - 1);
        }

        OfSmbios();
        if (_keys.Text("ms_vm_genid") is { } id && id is not ("generate" or "none"))
            Refuse("ms_vm_genid", "ERROR: \"ms_vm_genid\" option must be \"generate\" or \"none\"", Hvm);
        if (_keys.Has("mca_caps") && _keys.Items("mca_caps") is null)
            Refuse("mca_caps", "ERROR: unable to parse mca_caps.", Hvm, 10);
        foreach (XlValue item in _keys.Items("mca_caps") ?? [])
        {
            if (item is XlText { Text: var name } && name != "lmce")
                Refuse("mca_caps", $"ERROR: unrecognized MCA capability '{Bare(name)}'.", Hvm, 10);
        }
    }

    private void OfSmbios()
    {
        const string key = "smbios";
        if (_keys.Has(key) && _keys.Items(key) is null)
            Refuse(key, "xl: Unable to parse smbios options.", Hvm, 18);
        int number = -1;
        int free = 0;
        foreach (XlValue item in _keys.Items(key) ?? [])
        {
            number++;
            string? option = (item as XlText)?.Text;
            int at = option?.IndexOf('=', StringComparison.Ordinal) ?? -1;
            string? words = option is null ? $"xl: Unable to get element #{number} in smbios list"
                : at < 0 ? $"xl: failed to split {Quote(option)} at '='"
                : at == option.Length - 1 ? $"xl: empty value not allowed for smbios \"{Bare(option)}\""
                : !IsOne(option[..at], s_smbios) ? $"xl: unknown smbios type '{Bare(option[..at])}'"
                : IsOne(option[..at], "oem") && ++free > 99 ? "xl: smbios limited to 99 oem strings" : null;
            if (words is not null)
                Refuse(key, words, Hvm, 18);
        }
    }

    private void OfHvmDevices()
    {
        if (_keys.Text("vga") is { } card && card is not ("stdvga" or "cirrus" or "none"))
            Refuse("vga", $"Unknown vga {Quote(card)} specified", Hvm, until: card == "qxl" ? 5 : int.MaxValue);
        if (_keys.Text("hdtype") is { } disks && !IsOne(disks, "ide", "ahci"))
            Refuse("hdtype", $"ERROR: invalid value {Quote(disks)} for \"hdtype\"", Hvm, 6);
        if (_keys.Number("gfx_passthru") is null && _keys.Text("gfx_passthru") is { } graphics && !IsOne(graphics, "default", "igd"))
            Refuse("gfx_passthru", $"ERROR: invalid value {Quote(graphics)} for \"gfx_passthru\"", Hvm, 7);
        if (_keys.Text("vnclisten")?.Contains(':', StringComparison.Ordinal) == true && _keys.Number("vncdisplay") is not (null or 0))
            Refuse("vncdisplay", "ERROR: Display specified both in vnclisten and vncdisplay!", Hvm);
        if (_keys.Text("vendor_device") is { } vendor && !IsOne(vendor, "none", "xenserver"))
            Refuse("vendor_device", $"xl: unknown vendor_device '{Bare(vendor)}'", Hvm);
    }

    private void TakenByLibxl()
    {
        OfBios();
        if (_keys.Text(Model) == "qemu-xen" && _keys.Flag("device_model_stubdomain_override", false))
            Defaults("device_model_stubdomain_override", "device model stubdomains require \"qemu-xen-traditional\"", Hvm, until: 13);
        OfUsb();
        if (_keys.Number("max_grant_version") is > 15 and <= int.MaxValue and { } version)
            Defaults("max_grant_version", $"max grant version {version} out of range", XlTypes.All, 16);
        OfTrace();
        if (_keys.Items("llc_colors") is [_, ..])
            Refuse("llc_colors", "LLC coloring not enabled in the hypervisor", since: 20, stage: XlStage.Domain);
        OfQemu();
    }

    /// <summary>Up to Xen 4.20 nothing says which model a guest with a stubdomain has where none is named: that is a matter of the release.</summary>
    private void OfBios()
    {
        string model = _keys.Text(Model) ?? "";
        if (IsOne(_keys.Text("firmware") ?? "", "rombios") && (model == "qemu-xen" || !_keys.Flag("device_model_stubdomain_override", false))
            && model != "qemu-xen-traditional")
            Defaults("firmware", "qemu-xen does not support bios=rombios.", Hvm, 10);
        string bios = _keys.Text("bios") is { } told && !IsOne(told, "unknown") ? told : "";
        if (bios.Length == 0)
            return;
        bool isRom = IsOne(bios, "rombios");
        // Since 4.10 firmware= has the last word.
        int last = _keys.Text("firmware") is { } other && (IsOne(other, "seabios", "ovmf") || "uefi".StartsWith(other, StringComparison.Ordinal))
            ? 9 : int.MaxValue;
        if (model == "qemu-xen-traditional" && !isRom)
        {
            Silent($"bios|{Model}", "qemu-xen-traditional requires bios=rombios.", Math.Min(last, 20));
        }
        else if (isRom && model == "qemu-xen")
        {
            Silent("bios", "qemu-xen does not support bios=rombios.", last);
        }
        else if (isRom && model.Length == 0)
        {
            bool isStub = _keys.Flag("device_model_stubdomain_override", false);
            if (!isStub)
                Silent("bios", "qemu-xen does not support bios=rombios.", last);
            else if (last == int.MaxValue)
                Defaults("bios", "qemu-xen does not support bios=rombios.", Hvm, 21);
        }

        // Up to 4.6 libxl has no words of its own for it.
        void Silent(string ways, string words, int until)
        {
            Add(new("Unable to set domain build info defaults", ways)
            {
                Why = $" (later releases say: {words})",
                Types = Hvm,
                Until = 6,
                Stage = XlStage.Defaults,
            });
            Defaults(ways, words, Hvm, 7, until);
        }
    }

    private void OfUsb()
    {
        bool hasSpice = _keys.Flag("spice", false);
        long redirection = hasSpice ? _keys.Number("spiceusbredirection") ?? 0 : 0;
        bool hasVersion = _keys.Number("usbversion") is not (null or 0);
        bool hasOld = _keys.Flag("usb", false) || _keys.Has("usbdevice");
        if ((hasVersion || redirection > 0) && hasOld)
        {
            string newer = string.Join('+', new[] { hasVersion ? "usbversion" : null, redirection > 0 ? "spiceusbredirection" : null }
                .OfType<string>());
            string older = string.Join('+', new[] { _keys.Flag("usb", false) ? "usb" : null, _keys.Has("usbdevice") ? "usbdevice" : null }
                .OfType<string>());
            Defaults($"{newer}|{older}", "usbversion and/or usbredirection cannot be enabled with usb and/or usbdevice parameters.", Hvm);
        }
    }

    private void OfTrace()
    {
        if (_keys.Number("vmtrace_buf_kb") is not { } size || size == 0)
            return;
        const string words = "domain creation fail: Invalid argument";
        Add(new(words, "vmtrace_buf_kb")
        {
            Why = " (vmtrace_buf_kb= is for HVM and PVH guests)",
            Types = XlTypes.Pv,
            Since = 15,
            Stage = XlStage.Domain,
        });
        if (size is > 0 and <= 64 * 1024 && (size < 4 ? 4 : size + 3 & ~3L) is var pages && (pages & (pages - 1)) != 0)
        {
            Add(new(words, "vmtrace_buf_kb")
            {
                Why = " (vmtrace_buf_kb= is no power of two)",
                Types = Hvm | XlTypes.Pvh,
                Since = 15,
                Stage = XlStage.Domain,
            });
        }
    }

    private void OfQemu()
    {
        bool hasOldUsb = _keys.Flag("usb", false) || _keys.Has("usbdevice");
        if (!hasOldUsb && _keys.Number("usbversion") is not (null or 0 or 1 or 2 or 3))
            Refuse("usbversion", "usbversion parameter is invalid, must be between 1 and 3", Hvm, stage: XlStage.DeviceModel);
        if (_keys.Text("soundhw") is { } card && !IsOne(card, SoundCards))
            Refuse("soundhw", $"Unknown soundhw option '{Bare(card)}'", Hvm, 17, stage: XlStage.DeviceModel);
        if (_keys.Flag("spice", false) && _keys.Number("spiceusbredirection") is > 4)
            Refuse("spiceusbredirection", "usbredirection parameter is invalid, it must be between 1 and 4", Hvm, stage: XlStage.DeviceModel);
    }

    private void Defaults(string ways, string words, XlTypes types, int since = 0, int until = int.MaxValue) =>
        Refuse(ways, words, types, since, until, XlStage.Defaults);
}
