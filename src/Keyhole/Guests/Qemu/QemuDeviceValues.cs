// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Frozen;
using System.Collections.Generic;
using System.Globalization;

namespace Keyhole.Guests;

/// <summary>Values that QEMU refuses for the properties that decide a device's BARs, in its words: those of 7.2 and 10.0, which were asked for each
/// of them.</summary>
/// <remarks>Source: <c>-device MODEL,help</c> tells the types; hw/pci/pci.c and each device's own realize function the rest.</remarks>
internal static class QemuDeviceValues
{
    /// <summary>What QEMU says as it ends: hw/pci/pci.c, whose line differs by release. It rounds no size.</summary>
    private const string NoPowerOfTwo = "pci_register_bar: Assertion `is_power_of_2(size)' failed.";

    private enum ValueType
    {
        Size,
        UInt8,
        UInt16,
        UInt32,
        Int32,
        Bool,
    }

    /// <summary>Each property has one type in all models that have it.</summary>
    private static readonly FrozenDictionary<string, ValueType> s_types = Types();

    /// <summary>The words in which QEMU refuses one of the values; null where it does not.</summary>
    /// <param name="remedy">What to write instead; null where the words tell.</param>
    public static string? Refusal(QemuPlug plug, out string? remedy)
    {
        remedy = null;
        foreach (QemuProperty property in plug.Device.Properties)
        {
            if (s_types.TryGetValue(property.Name, out ValueType type) && Expected(type, property.Value, isGlobal: false) is { } expected)
                return $"Parameter '{property.Name}' expects {expected}";
        }

        foreach ((string driver, string name, string value) in plug.Machine.Globals)
        {
            if (!driver.Equals(plug.Device.Driver, StringComparison.OrdinalIgnoreCase)
                && (plug.Model.Parent is not { } parent || !driver.Equals(parent, StringComparison.OrdinalIgnoreCase)))
                continue;
            if (s_types.TryGetValue(name, out ValueType type) && Expected(type, value, isGlobal: true) is { } expected)
                return $"can't apply global {driver}.{name}={value}: Parameter '{name}' expects {expected}";
        }

        return RomRefusal(plug, out remedy) ?? Own(plug, out remedy);
    }

    /// <summary>Why nothing can be forecast of a device whose BARs QEMU takes: no firmware can make sense of their size, or it is not told. Null
    /// where something can.</summary>
    public static string? NotReckoned(QemuPlug plug) => plug.Device.Driver == "ivshmem-doorbell"
        ? "how much memory a device's server shares is not told"
        : IsBeyondReckoning(plug) ? "a device's BAR is larger than any processor addresses, or smaller than any register holds" : null;

    private static bool IsBeyondReckoning(QemuPlug plug)
    {
        switch (QemuDevices.FullName(plug.Device.Driver))
        {
            case "pci-testdev":
                return IsOdd(plug.Size("membar", 0));
            case "nvme":
                return IsOdd(plug.Size("cmb_size_mb", 0) * QemuDevices.M);
            case "qxl" or "qxl-vga":
                return QemuDevices.QxlSizes.Of(plug) is { Vram32: > 1UL << 31 } or { Ram: > 1UL << 31 } or { Vram: > Pci.BarRequest.MaxBytes };
            default:
                return IsOdd(plug.Size("hostmem", 0));
        }

        static bool IsOdd(ulong bytes) => bytes != 0 && bytes is < Pci.BarRequest.MinMemoryBytes or > Pci.BarRequest.MaxBytes;
    }

    private static FrozenDictionary<string, ValueType> Types()
    {
        var types = new Dictionary<string, ValueType>(StringComparer.Ordinal);
        void Add(ValueType type, string names)
        {
            foreach (string name in names.Split(' '))
                types.Add(name, type);
        }

        Add(ValueType.Size, "membar hostmem vgamem io-reserve mem-reserve pref32-reserve pref64-reserve");
        Add(ValueType.UInt8, "bus_nr chassis chassis_nr port");
        Add(ValueType.UInt16, "slot msix_qsize num-queues host_mtu sriov_vq_flexible sriov_vi_flexible");
        Add(ValueType.UInt32, "vgamem_mb ram_size vram_size ram_size_mb vram_size_mb vram64_size_mb cmb_size_mb max_ioqpairs romsize vectors "
            + "num_queues bus-reserve sriov_max_vq_per_vf sriov_max_vi_per_vf");
        Add(ValueType.Int32, "rombar");
        Add(ValueType.Bool, "multifunction shpc page-per-vq disable-modern msix-exclusive-bar use-intel-id mq");
        return types.ToFrozenDictionary(StringComparer.Ordinal);
    }

    /// <summary>What QEMU expects in place of a value; null where it takes it.</summary>
    private static string? Expected(ValueType type, string value, bool isGlobal)
    {
        switch (type)
        {
            case ValueType.Size:
                return QemuNumber.TrySize(value, out _) ? null : isGlobal ? "a non-negative number below 2^64" : "size";
            case ValueType.Bool:
                return QemuNumber.Switch(value) is not null ? null : "'on' or 'off'";
            case ValueType.UInt8 or ValueType.UInt16 or ValueType.UInt32 or ValueType.Int32:
                (long least, long most, string name) = type switch
                {
                    ValueType.UInt8 => (0L, (long)byte.MaxValue, "uint8_t"),
                    ValueType.UInt16 => (0L, (long)ushort.MaxValue, "uint16_t"),
                    ValueType.UInt32 => (0L, (long)uint.MaxValue, "uint32_t"),
                    _ => ((long)int.MinValue, (long)int.MaxValue, "int32_t"),
                };
                return !TryInteger(value, out long number) ? isGlobal ? type == ValueType.Int32 ? "int64" : "uint64" : "integer"
                    : number < least || number > most ? name : null;
            default:
                return null;
        }
    }

    /// <summary>A whole number as QEMU's options have it: no suffix. Beyond 2^63 counts as too large.</summary>
    private static bool TryInteger(ReadOnlySpan<char> text, out long value)
    {
        text = text.Trim();
        bool isNegative = text.StartsWith("-");
        ReadOnlySpan<char> digits = text.TrimStart("+-");
        bool isHex = digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
        value = long.MaxValue;
        foreach (char c in isHex ? digits[2..] : digits)
        {
            if (isHex ? !char.IsAsciiHexDigit(c) : !char.IsAsciiDigit(c))
                return false;
        }

        if (digits.Length <= (isHex ? 2 : 0))
            return false;
        if (isHex ? long.TryParse(digits[2..], NumberStyles.AllowHexSpecifier, null, out long number) && number >= 0
            : long.TryParse(digits, NumberStyles.None, null, out number))
            value = number;
        value = isNegative ? -value : value;
        return true;
    }

    /// <summary>QEMU 7.2 and later compare the window of a ROM with its file.</summary>
    private static string? RomRefusal(QemuPlug plug, out string? remedy)
    {
        remedy = null;
        if (plug.Property("romsize") is null)
            return null;
        ulong asked = plug.Size("romsize", 0);
        // All ones is the property's own default.
        if (asked == uint.MaxValue)
            return null;
        if (!ulong.IsPow2(asked))
        {
            remedy = "set romsize= to a power of two, in bytes";
            return string.Create(CultureInfo.InvariantCulture, $"ROM size {asked} is not a power of two");
        }

        // The package's file fills more than half of its window.
        if (plug.Property("romfile") is not null || plug.Model.RomBytes == 0 || asked >= plug.Model.RomBytes)
            return null;
        remedy = string.Create(CultureInfo.InvariantCulture, $"set romsize={plug.Model.RomBytes} or more, or leave it out");
        return string.Create(CultureInfo.InvariantCulture, $"romfile is too large for ROM size {asked}");
    }

    /// <summary>What each model says of its own sizes.</summary>
    private static string? Own(QemuPlug plug, out string? remedy)
    {
        remedy = null;
        switch (QemuDevices.FullName(plug.Device.Driver))
        {
            case "pci-testdev":
                return Rounded(plug.Size("membar", 0), "membar=", 0, out remedy);
            case "ivshmem-plain":
                if (plug.Property("memdev") is not { } backend)
                    return "You must specify a 'memdev'";
                return SizeOf(plug.Machine, backend) is { } bytes ? Rounded(bytes, "the memory object's size=", 0, out remedy)
                    : $"Device '{backend}' not found";
            case "cirrus-vga":
                return plug.Size("vgamem_mb", 4) is 4 or 8 or 16 ? null : $"Invalid cirrus_vga ram size '{plug.Size("vgamem_mb", 4)}'";
            case "bochs-display":
                ulong video = plug.Size("vgamem", 16 * QemuDevices.M);
                return video < 4 * QemuDevices.M ? "bochs-display: video memory too small"
                    : video > 256 * QemuDevices.M ? "bochs-display: video memory too big" : null;
            case "nvme":
                return OfNvme(plug, out remedy);
            case "virtio-scsi-pci" or "vhost-scsi-pci" or "vhost-user-scsi-pci":
                ulong queues = plug.Size("num_queues", 1);
                return queues is > 0 and < 1022 || plug.Property("num_queues") is null ? null : string.Create(CultureInfo.InvariantCulture,
                    $"Invalid number of queues (= {queues}), must be a positive integer less than 1022.");
            default:
                return Rounded(plug.Size("hostmem", 0), "hostmem=", 0, out remedy);
        }
    }

    private static string? OfNvme(QemuPlug plug, out string? remedy)
    {
        remedy = null;
        if (plug.Size("num_queues", 0) == 0 && plug.Size("max_ioqpairs", 64) is 0 or > 65535)
            return "max_ioqpairs must be between 1 and 65535";
        if (plug.Size("msix_qsize", 65) is 0 or > 2048)
            return "msix_qsize must be between 1 and 2048";
        if (plug.Property("pmrdev") is { } backend)
        {
            if (SizeOf(plug.Machine, backend) is not { } bytes)
                return $"Device '{backend}' not found";
            if (!ulong.IsPow2(bytes))
            {
                _ = Rounded(bytes, "the memory object's size=", 0, out remedy);
                return "pmr backend size needs to be power of 2 in size";
            }

            if (QemuDevices.HasMsixAlone(plug))
                return "not enough BARs available to enable PMR";
        }

        return Rounded(plug.Size("cmb_size_mb", 0), "cmb_size_mb=", 20, out remedy);
    }

    private static string? Rounded(ulong number, string what, int shift, out string? remedy)
    {
        remedy = null;
        if (number == 0 || ulong.IsPow2(number))
            return null;
        ulong next = number > 1UL << 62 ? 0 : System.Numerics.BitOperations.RoundUpToPowerOf2(number);
        string text = next == 0 || shift > 0 ? next.ToString(CultureInfo.InvariantCulture) : SizeText(next);
        remedy = next == 0 ? $"set {what} to a power of two" : $"set {what}{text}: a BAR's size is a power of two, and QEMU rounds none";
        return NoPowerOfTwo;
    }

    /// <summary>As QEMU's options spell it.</summary>
    internal static string SizeText(ulong bytes)
    {
        const string suffixes = "KMGTPE";
        int suffix = -1;
        for (; bytes != 0 && bytes % 1024 == 0 && suffix < suffixes.Length - 1; suffix++)
            bytes /= 1024;
        return bytes.ToString(CultureInfo.InvariantCulture) + (suffix < 0 ? "" : suffixes[suffix]);
    }

    private static ulong? SizeOf(QemuMachine machine, string backend)
    {
        foreach ((string id, ulong size) in machine.MemoryObjects)
        {
            if (id == backend)
                return size;
        }

        return null;
    }
}
