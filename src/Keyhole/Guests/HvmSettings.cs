// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Hosts;

namespace Keyhole.Guests;

/// <summary>
/// What xl and libxl make of the keys of an HVM guest that decide addresses: its video card, hole, firmware, the devices that QEMU is started with.
/// </summary>
/// <remarks>Source: xl_parse.c, libxl_create.c, libxl_dm.c (libxl__build_device_model_args_new), xl.cfg(5).</remarks>
public sealed record HvmSettings
{
    private const ulong KiBOfMiB = 1024;

    /// <summary>What libxlu_disk_l.l takes before the path of a disk.</summary>
    private static readonly string[] s_oldPrefixes =
        ["raw", "qcow", "qcow2", "vhd", "iscsi", "nbd", "enbd", "drbd", "tapdisk", "tap", "tap2", "aio", "ioemu", "file", "phy"];

    /// <summary>xl takes no smaller mmio_hole, in MiB.</summary>
    public const long SmallestHoleMiB = 256;

    /// <summary>Nor a larger one.</summary>
    public const long LargestHoleMiB = 3840;

    /// <summary>rdm_mem_boundary where nobody sets it.</summary>
    internal const ulong UsualBoundaryBytes = 2UL << 30;

    /// <summary>What xl makes of a configuration with none of these keys.</summary>
    public static readonly HvmSettings Usual = Of(XlSettings.None);

    /// <summary>What the video card has of the guest's memory, in KiB.</summary>
    public ulong VideoKiB { get; init; }

    /// <summary>mmio_hole in bytes; 0 where it is not set.</summary>
    public ulong HoleBytes { get; init; }

    /// <summary>rdm_mem_boundary in bytes.</summary>
    public ulong BoundaryBytes { get; init; } = UsualBoundaryBytes;

    /// <summary>xl's <c>acpi</c>: whether the guest gets ACPI tables.</summary>
    public bool HasAcpi { get; init; } = true;

    /// <summary>xl's <c>hap</c>: whether the processor translates the guest's addresses; else Xen keeps shadow page tables.</summary>
    public bool IsHap { get; init; } = true;

    /// <summary>xl's <c>bios</c>.</summary>
    public FirmwareName Firmware { get; init; } = FirmwareName.SeaBios;

    /// <summary>What an xl takes that passes over firmware=; null where that is the same.</summary>
    private FirmwareName? OldFirmware { get; init; }

    /// <summary>Whether QEMU's board has the Xen platform device (machine xenfv).</summary>
    public bool HasPlatformDevice { get; init; } = true;

    /// <summary>xl's <c>xen_platform_pci_bar_uc</c>, since Xen 4.21: without it hvmloader puts the platform device's memory at the end of the
    /// hole.</summary>
    public bool IsPlatformBarUncached { get; init; } = true;

    /// <summary>Whether the board's own USB controller is there.</summary>
    public bool HasBoardUsb { get; init; }

    /// <summary>Whether a Linux or MiniOS domain of its own runs QEMU.</summary>
    public bool HasStubDomain { get; init; }

    /// <summary>Whether the toolstack leaves it to hvmloader to move RAM (no hvmloader/allow-memory-relocate in xenstore); null: as this Xen's libxl
    /// does.</summary>
    internal bool? LeavesRamToHvmloader { get; init; }

    /// <summary>What stubdomain_memory= says, in MiB; null where it is not set.</summary>
    public ulong? StubDomainMiB { get; init; }

    /// <summary>Whether the configuration says that qemu-xen runs in the stubdomain.</summary>
    public bool NamesDeviceModel { get; init; }

    /// <summary>The devices of QEMU's command line, in its order, without those passed through, which are plugged in afterwards.</summary>
    public ImmutableArray<QemuDevice> Devices { get; init => field = Given.Array(value); } = [];

    /// <summary>The text of rdm=, of which each Xen makes something else; null where it is not set.</summary>
    public string? Rdm { get; init; }

    /// <summary>In xl's or libxl's own words why the guest is not created; null where it is.</summary>
    public string? Refusal { get; init; }

    /// <summary>What decides the map and is not modelled; null where there is nothing of the kind.</summary>
    public string? NotModelled { get; init; }

    internal static HvmSettings Of(XlSettings keys)
    {
        HvmSettings settings = new()
        {
            HasAcpi = keys.Flag("acpi", true),
            IsHap = keys.Flag("hap", true),
            HasPlatformDevice = keys.Flag("xen_platform_pci", true),
            IsPlatformBarUncached = keys.Flag("xen_platform_pci_bar_uc", true),
            HasStubDomain = keys.Flag("device_model_stubdomain_override", false),
            StubDomainMiB = keys.Number("stubdomain_memory") is { } own and >= 0 and < 1L << 30 ? (ulong)own : null,
            NamesDeviceModel = keys.Text("device_model_version") is not null,
            BoundaryBytes = keys.Number("rdm_mem_boundary") is { } mib and >= 0 and < 1L << 40 ? (ulong)mib << 20 : UsualBoundaryBytes,
            Rdm = keys.Text("rdm"),
            NotModelled = NotModelledIn(keys),
        };
        if (keys.Number("mmio_hole") is { } hole)
        {
            if (hole is < SmallestHoleMiB or > LargestHoleMiB)
                return settings with { Refusal = string.Create(CultureInfo.InvariantCulture, $"ERROR: invalid value {hole} for \"mmio_hole\"") };
            settings = settings with { HoleBytes = (ulong)hole << 20 };
        }

        settings = OfFirmware(settings, keys);
        settings = OfVideo(settings, keys);
        return settings.Refusal is null ? settings with { Devices = DevicesOf(keys, settings, out bool boardUsb), HasBoardUsb = boardUsb } : settings;
    }

    /// <summary>firmware= has the last word where it names one or "uefi", of which xl takes any beginning, and is else a path of a
    /// hvmloader.</summary>
    private static HvmSettings OfFirmware(HvmSettings settings, XlSettings keys)
    {
        FirmwareName old = Named(keys.Text("bios") ?? "") ?? FirmwareName.SeaBios;
        settings = settings with { Firmware = old };
        if (keys.Text("firmware") is not { } firmware)
            return settings;
        if (Named(firmware) is { } named)
            return settings with { Firmware = named, OldFirmware = old };
        return "uefi".StartsWith(firmware, StringComparison.Ordinal) ? settings with { Firmware = FirmwareName.Ovmf, OldFirmware = old }
            : "bios".StartsWith(firmware, StringComparison.Ordinal) || XlValues.IsOne(firmware, "unknown", "rombios") ? settings
            : settings with { NotModelled = settings.NotModelled ?? $"what {InputError.Quote(firmware)} does in hvmloader's place is not modelled" };

        static FirmwareName? Named(string name) => XlValues.IsOne(name, "seabios") ? FirmwareName.SeaBios
            : XlValues.IsOne(name, "ovmf") ? FirmwareName.Ovmf : null;
    }

    /// <summary>What xl of that Xen makes of the same keys: firmware= came with 4.10, hdtype= with 4.6.</summary>
    internal HvmSettings ReadBy(XenVersion xen)
    {
        HvmSettings read = xen.IsUpTo(4, 9) && OldFirmware is { } old && old != Firmware ? this with { Firmware = old } : this;
        return xen.IsUpTo(4, 5) && read.Devices is [.., { Driver: "ahci" }] ? read with { Devices = read.Devices[..^1] } : read;
    }

    private const string VnumaWords = "vnuma= is not modelled";

    /// <summary>The same without vnuma=.</summary>
    internal HvmSettings WithoutVnuma() => NotModelled == VnumaWords ? this with { NotModelled = null } : this;

    private static string? NotModelledIn(XlSettings keys)
    {
        if (keys.Text("device_model_version") is { } model && model != "qemu-xen")
            return $"the device model {InputError.Quote(model)} is not modelled";
        if (keys.Text("gfx_passthru") is { } graphics && graphics is not ("0" or ""))
            return "what QEMU does for gfx_passthru= is not modelled";
        if (keys.HasItems("vnuma"))
            return VnumaWords;
        if (keys.Text("firmware_override") is { } path && path[(path.LastIndexOf('/') + 1)..] != "hvmloader")
            return $"what {InputError.Quote(path)} does in hvmloader's place is not modelled";
        if (keys.Text("soundhw") is { Length: > 0 } sound && !XlValues.IsOne(sound, XlValues.SoundCards))
            return $"soundhw={InputError.Quote(sound)} is not modelled";
        foreach (string argument in (ImmutableArray<string>)[.. keys.List("device_model_args"), .. keys.List("device_model_args_hvm")])
        {
            if (argument is ['-', ..] && argument.TrimStart('-') is "M" or "machine" or "global" or "readconfig")
                return $"what {argument} of device_model_args= changes is not modelled";
        }

        foreach (string key in (ReadOnlySpan<string>)["usbctrl", "acpi_firmware", "bios_path_override"])
        {
            if (key == "usbctrl" ? keys.HasItems(key) : keys.Has(key))
                return $"what {key}= adds is not modelled";
        }

        return null;
    }

    private static HvmSettings OfVideo(HvmSettings settings, XlSettings keys)
    {
        string card = keys.Text("vga") ?? (keys.Flag("stdvga", false) ? "stdvga" : "cirrus");
        long? told = keys.Number("videoram");
        (string Driver, long UsualMiB, string Name) kind = card switch
        {
            "none" => ("", 0, ""),
            "stdvga" => ("VGA", 16, "STDVGA"),
            "cirrus" => ("cirrus-vga", 8, "CIRRUS"),
            "qxl" => ("qxl-vga", 128, "qxl"),
            _ => ("?", 0, ""),
        };
        if (kind.Driver == "?")
            return settings with { Refusal = $"Unknown vga \"{card}\" specified" };
        long mib = told ?? kind.UsualMiB;
        if (mib < kind.UsualMiB || mib > 1 << 20)
        {
            return settings with
            {
                Refusal = kind.Name == "qxl" ? "128 Mib videoram is the minimum for qxl default"
                    : $"videoram must be at least {kind.UsualMiB} MB for {kind.Name} on QEMU_XEN",
            };
        }

        ImmutableArray<QemuProperty> properties = kind.Driver switch
        {
            "" => [],
            "qxl-vga" => [new("vram_size_mb", Decimal(mib / 2)), new("ram_size_mb", Decimal(mib / 2))],
            _ => [new("vgamem_mb", Decimal(mib))],
        };
        // QEMU's card has no other sizes, and QEMU does not start.
        if (kind.Driver == "cirrus-vga" && mib is not (4 or 8 or 16))
            return settings with { Refusal = $"Invalid cirrus_vga ram size '{mib}'" };
        return settings with { VideoKiB = (ulong)mib * KiBOfMiB, Devices = kind.Driver.Length == 0 ? [] : [new(kind.Driver, properties)] };
    }

    private static string Decimal(long value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>In the order of QEMU's command line.</summary>
    private static ImmutableArray<QemuDevice> DevicesOf(XlSettings keys, HvmSettings settings, out bool boardUsb)
    {
        var devices = ImmutableArray.CreateBuilder<QemuDevice>();
        foreach (string disk in keys.List("disk"))
        {
            if (VirtualDisk(disk) is not { } name || !name.StartsWith("sd", StringComparison.Ordinal))
                continue;
            devices.Add(new("lsi53c895a", []));
            break;
        }

        if (keys.Flag("spice", false) && keys.Flag("spicevdagent", false))
            devices.Add(new("virtio-serial", []));
        devices.AddRange(settings.Devices);
        boardUsb = keys.Flag("usb", false) || keys.Has("usbdevice");
        long usbVersion = keys.Number("usbversion") ?? (keys.Flag("spice", false) && keys.Number("spiceusbredirection") is > 0 ? 2 : 0);
        if (!boardUsb)
            AddUsb(devices, usbVersion);
        switch (keys.Text("soundhw")?.ToLowerInvariant())
        {
            case "hda":
                devices.Add(new("intel-hda", []));
                break;
            case "ac97":
                devices.Add(new("AC97", []));
                break;
            case "es1370":
                devices.Add(new("ES1370", []));
                break;
        }

        foreach (string vif in keys.List("vif"))
        {
            string model = "rtl8139";
            bool isEmulated = true;
            foreach (string part in vif.Split(','))
            {
                string word = part.Trim();
                if (word.StartsWith("model=", StringComparison.Ordinal))
                    model = word["model=".Length..];
                else if (word.StartsWith("type=", StringComparison.Ordinal))
                    isEmulated = word != "type=vif";
            }

            if (isEmulated)
                devices.Add(new(model == "virtio-net" ? "virtio-net-pci" : model, []));
        }

        AddArguments(devices, keys.List("device_model_args"));
        AddArguments(devices, keys.List("device_model_args_hvm"));
        if (XlValues.IsOne(keys.Text("hdtype") ?? "", "ahci"))
            devices.Add(new("ahci", []));
        return devices.ToImmutable();
    }

    private static void AddUsb(ImmutableArray<QemuDevice>.Builder devices, long version)
    {
        switch (version)
        {
            case 1:
                devices.Add(new("piix3-usb-uhci", []));
                break;
            case 2:
                devices.Add(new("ich9-usb-ehci1", [new("addr", "0x1d.7"), new("multifunction", "on")]));
                for (int i = 1; i < 4; i++)
                    devices.Add(new($"ich9-usb-uhci{i}", [new("addr", $"0x1d.{i - 1}"), new("multifunction", "on")]));
                break;
            case 3:
                devices.Add(new("nec-usb-xhci", []));
                break;
        }
    }

    /// <summary><c>-device</c> among arguments that are handed to QEMU as they are.</summary>
    private static void AddArguments(ImmutableArray<QemuDevice>.Builder devices, ImmutableArray<string> arguments)
    {
        for (int i = 0; i + 1 < arguments.Length; i++)
        {
            if (arguments[i] is not ("-device" or "--device"))
                continue;
            string[] parts = arguments[++i].Split(',');
            var properties = ImmutableArray.CreateBuilder<QemuProperty>();
            for (int part = 1; part < parts.Length; part++)
            {
                int equals = parts[part].IndexOf('=');
                properties.Add(equals < 0 ? new(parts[part], "on") : new(parts[part][..equals], parts[part][(equals + 1)..]));
            }

            string driver = parts[0].StartsWith("driver=", StringComparison.Ordinal) ? parts[0]["driver=".Length..] : parts[0];
            devices.Add(new(driver, properties.ToImmutable()));
        }
    }

    /// <summary>The guest's name for a disk, of <c>target,format,vdev,…</c> or with <c>vdev=</c>; null for a CD-ROM.</summary>
    private static string? VirtualDisk(string disk)
    {
        string? name = null;
        // An old prefix ("phy:/dev/x,sda,w") says the format, so that no word of its own does.
        int colon = disk.IndexOf(":/", StringComparison.Ordinal);
        int place = colon > 0 && s_oldPrefixes.Contains(disk[..disk.IndexOf(':')].Trim()) ? 1 : 0;
        foreach (string part in disk.Split(','))
        {
            string word = part.Trim();
            if (word is "devtype=cdrom" or "cdrom")
                return null;
            if (word.StartsWith("vdev=", StringComparison.Ordinal))
                name = word["vdev=".Length..];
            else if (!word.Contains('=', StringComparison.Ordinal) && place++ == 2)
                name ??= word;
        }

        return name is null || name.EndsWith(":cdrom", StringComparison.Ordinal) ? null : name;
    }

    /// <summary>libvirt's driver fills the same structures of libxl from its XML.</summary>
    internal static HvmSettings Of(in LibvirtHvm told)
    {
        HvmSettings settings = new();
        (string Driver, ulong UsualKiB) card = told.VideoModel switch
        {
            null => ("", 0),
            "cirrus" => ("cirrus-vga", 8192),
            "vga" or "xen" => ("VGA", 16384),
            "qxl" => ("qxl-vga", 131072),
            _ => ("?", 0),
        };
        if (card.Driver == "?")
            return settings with { Refusal = $"video type {told.VideoModel} is not supported by libxl" };
        ulong videoKiB = told.VideoKiB ?? card.UsualKiB;
        var devices = ImmutableArray.CreateBuilder<QemuDevice>();
        if (card.Driver == "qxl-vga")
            devices.Add(new(card.Driver, [new("vram_size_mb", Decimal((long)videoKiB / 2048)), new("ram_size_mb", Decimal((long)videoKiB / 2048))]));
        else if (card.Driver.Length > 0)
            devices.Add(new(card.Driver, [new("vgamem_mb", Decimal((long)videoKiB / 1024))]));
        switch (told.Sound)
        {
            case "es1370":
                devices.Add(new("ES1370", []));
                break;
            case "ac97":
                devices.Add(new("AC97", []));
                break;
            case null or "sb16":
                break;
            default:
                return settings with { Refusal = $"Unknown soundhw option '{told.Sound}'" };
        }

        if (told.UsbInputs.Any(static type => type is not ("tablet" or "mouse")))
            return settings with { Refusal = "Unknown input device type" };
        foreach (string model in told.Networks)
            devices.Add(new(model, []));
        return settings with
        {
            VideoKiB = videoKiB,
            HasAcpi = told.HasAcpi,
            HasStubDomain = told.StubDomain is "stubdom" or "stubdom-linux",
            NamesDeviceModel = told.StubDomain == "stubdom-linux",
            Firmware = told.IsOvmf ? FirmwareName.Ovmf : FirmwareName.SeaBios,
            Devices = devices.ToImmutable(),
            // libxl starts QEMU with -usb for them.
            HasBoardUsb = !told.UsbInputs.IsEmpty,
            NotModelled = told.HasUsbController ? "libvirt's USB controllers are not modelled for Xen" : null,
        };
    }

    /// <inheritdoc/>
    public bool Equals(HvmSettings? other) =>
        other is not null && VideoKiB == other.VideoKiB && HoleBytes == other.HoleBytes && BoundaryBytes == other.BoundaryBytes
            && HasAcpi == other.HasAcpi &&
        IsHap == other.IsHap && Firmware == other.Firmware && HasPlatformDevice == other.HasPlatformDevice
            && IsPlatformBarUncached == other.IsPlatformBarUncached && HasBoardUsb == other.HasBoardUsb &&
        HasStubDomain == other.HasStubDomain && StubDomainMiB == other.StubDomainMiB && NamesDeviceModel == other.NamesDeviceModel
        && Devices.SequenceEqual(other.Devices) && Rdm == other.Rdm && Refusal == other.Refusal
        && NotModelled == other.NotModelled && OldFirmware == other.OldFirmware
        && LeavesRamToHvmloader == other.LeavesRamToHvmloader;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(VideoKiB, HoleBytes, Firmware, Devices.Length, Rdm, Refusal, NotModelled);
}
