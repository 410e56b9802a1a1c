// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Xml.Linq;

namespace Keyhole.Guests;

/// <summary>What libvirt's driver for libxl reads of an HVM guest's domain XML beyond <see cref="GuestSpec"/>: what decides addresses.</summary>
/// <param name="VideoModel">The first video card's model; null for none.</param>
/// <param name="VideoKiB">Its memory where the XML says it.</param>
/// <param name="StubDomain">Qubes' own addition to libvirt: "stubdom-linux", or "stubdom" for the one of MiniOS; null without.</param>
/// <param name="UsbInputs">The types of input devices on USB: libvirt knows "tablet" and "mouse" for Xen.</param>
/// <param name="Sound">The first sound card's model; null for none.</param>
/// <param name="Networks">The models of emulated network cards, in order.</param>
internal readonly record struct LibvirtHvm(
    string? VideoModel, ulong? VideoKiB, bool HasAcpi, bool IsOvmf, bool HasUsbController, string? StubDomain,
    ImmutableArray<string> UsbInputs, string? Sound, ImmutableArray<string> Networks)
{
    public static LibvirtHvm Of(XElement domain)
    {
        XElement? devices = domain.Element("devices");
        XElement? video = devices?.Elements("video").FirstOrDefault()?.Element("model");
        string loader = domain.Element("os")?.Element("loader")?.Value ?? "";
        return new(
            (string?)video?.Attribute("type"),
            ulong.TryParse((string?)video?.Attribute("vram"), NumberStyles.None, CultureInfo.InvariantCulture, out ulong vram) && vram < 1 << 30
                ? vram : null,
            domain.Element("features")?.Element("acpi") is not null,
            loader.Contains("ovmf", System.StringComparison.OrdinalIgnoreCase) || (string?)domain.Element("os")?.Attribute("firmware") == "efi",
            devices?.Elements("controller")
                .Any(static controller => (string?)controller.Attribute("type") == "usb" && (string?)controller.Attribute("model") != "none") == true,
            (string?)devices?.Element("emulator")?.Attribute("type"),
            [.. devices?.Elements("input").Where(static input => (string?)input.Attribute("bus") == "usb")
                .Select(static input => (string?)input.Attribute("type") ?? "") ?? []],
            (string?)devices?.Elements("sound").FirstOrDefault()?.Attribute("model"),
            [.. devices?.Elements("interface").Where(static card => (string?)card.Attribute("type") != "hostdev").Select(ModelOf).OfType<string>()
                ?? []]);
    }

    /// <summary>Null for a card that only paravirtual drivers see.</summary>
    private static string? ModelOf(XElement card) => (string?)card.Element("model")?.Attribute("type") switch
    {
        null => "rtl8139",
        "netfront" => null,
        { } model => model,
    };
}
