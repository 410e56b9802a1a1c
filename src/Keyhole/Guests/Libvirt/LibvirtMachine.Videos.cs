// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.Linq;
using System.Xml.Linq;

namespace Keyhole.Guests;

/// <content>Video cards.</content>
internal sealed partial class LibvirtMachine
{
    private void ReadVideos()
    {
        int index = 0;
        foreach (XElement video in Devices("video"))
        {
            XElement? model = video.Element("model");
            bool isFirst = index == 0;
            bool isAccelerated = Attribute(model?.Element("acceleration"), "accel3d") == "yes";
            ulong memoryKiB = (ulong)(Number(model, "vram") ?? 0);
            string? driver = Attribute(model, "type") switch
            {
                "vga" => $"{(isFirst ? "VGA" : "secondary-vga")}{InMiB("vgamem_mb", memoryKiB)}",
                "cirrus" => "cirrus-vga",
                "vmvga" => "vmware-svga",
                "bochs" => "bochs-display",
                "qxl" => Qxl(model!, isFirst),
                "virtio" => isFirst ? isAccelerated ? "virtio-vga-gl" : "virtio-vga" : isAccelerated ? "virtio-gpu-gl-pci" : "virtio-gpu-pci",
                _ => null,
            };
            if (driver is null)
                continue;
            AddPci(video, $"{driver},id=video{index++}", Place.Video,
                driver.StartsWith("virtio", StringComparison.Ordinal) || driver.StartsWith("bochs", StringComparison.Ordinal)
                    ? LibvirtConnect.Express : LibvirtConnect.Conventional);
            if (isFirst)
                PlaceFirstVideo(_devices[^1]);
        }

        if (!Devices("video").Any() && Devices("graphics").Any(static graphics => Attribute(graphics, "type") is not "egl-headless"))
        {
            _arguments.Remark(
                "the guest has <graphics> and no <video>: cirrus is taken, which libvirt adds by itself; virsh "
                    + "dumpxml shows it once the guest is defined");
            AddImplicit("cirrus-vga,id=video0", Place.Video, LibvirtConnect.Conventional);
            PlaceFirstVideo(_devices[^1]);
        }
    }

    /// <summary>The first display sits on the root bus: slot 1 of q35, slot 2 of a pc.</summary>
    private void PlaceFirstVideo(Device device)
    {
        int slot = _isQ35 ? 1 : 2;
        bool isTaken = _controllers.Values.Concat(_devices).Any(other => other.Address is { Bus: 0 } address && address.Slot == slot);
        if (device.Address is null && !isTaken)
            device.Address = new(0, slot, 0);
    }

    private static string Qxl(XElement model, bool isFirst)
    {
        string text = isFirst ? "qxl-vga" : "qxl";
        if (Number(model, "ram") is { } ram)
            text += string.Create(CultureInfo.InvariantCulture, $",ram_size={(ulong)ram * 1024}");
        if (Number(model, "vram") is { } vram)
            text += string.Create(CultureInfo.InvariantCulture, $",vram_size={(ulong)vram * 1024}");
        if (Number(model, "vram64") is { } high)
            text += InMiB("vram64_size_mb", (ulong)high);
        return text + InMiB("vgamem_mb", (ulong)(Number(model, "vgamem") ?? 0));
    }

    private static string InMiB(string property, ulong sizeKiB) =>
        sizeKiB < 1024 ? "" : string.Create(CultureInfo.InvariantCulture, $",{property}={sizeKiB / 1024}");
}
