// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Pci;

namespace Keyhole.Cli.Options;

/// <summary>The files behind what <c>--devices</c> names: a file itself, or those of a folder of sysfs or of a copy of one.</summary>
internal static class DeviceFiles
{
    private const string ResourceFile = "resource";

    /// <summary>A file, and whose windows it holds; null where its text or its path says so.</summary>
    internal readonly record struct DeviceFile(string Path, PciAddress? Address);

    /// <param name="path">As the user gives it.</param>
    /// <param name="only">The guest's device where it has one alone: a file that does not say whose it is is that one's.</param>
    public static Parsed<DeviceFile[]> Of(string path, PciAddress? only)
    {
        if (path == "-" || !Directory.Exists(path))
            return (DeviceFile[])[new(path, only)];
        try
        {
            string own = Path.Combine(path, ResourceFile);
            if (File.Exists(own))
                return (DeviceFile[])[new(own, AddressOf(Path.GetFullPath(path)) ?? only)];
            // A folder of devices' folders; in sysfs those are links.
            // This machine's whole tree is no list of devices.
            bool isRoot = Path.GetPathRoot(Path.GetFullPath(path)) == Path.GetFullPath(path);
            foreach (string below in isRoot ? [] : (string[])["", "devices", "bus/pci/devices", "sys/bus/pci/devices"])
            {
                string folder = Path.Combine(path, below);
                if (!Directory.Exists(folder))
                    continue;
                DeviceFile[] files =
                [
                    .. Directory.EnumerateDirectories(folder).Take(BarReader.MaxDevices).Order(StringComparer.Ordinal)
                        .Select(static device => new DeviceFile(Path.Combine(device, ResourceFile), AddressOf(device)))
                        .Where(static file => file.Address is not null && File.Exists(file.Path)),
                ];
                if (files.Length > 0)
                    return files;
            }

            return InputError.NothingInIt(Files.Shown(path), null, "a folder without devices",
                "name a device's folder of /sys/bus/pci/devices, that folder itself, or a copy of one");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return InputError.Unreadable(Files.Shown(path), null, "the folder cannot be read",
                "read it as root, or copy it to where you may read it");
        }
    }

    private static PciAddress? AddressOf(string folder) =>
        PciAddress.TryParse(Path.GetFileName(Path.TrimEndingDirectorySeparator(folder)), out PciAddress address) ? address : null;
}
