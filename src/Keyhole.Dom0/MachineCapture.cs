// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Dom0;

/// <summary>
/// Gathers what this machine says of its memory and devices. What is not there is left out; what may not be read is said.
/// </summary>
/// <remarks>
/// In a dom0 the kernel's /sys/firmware/memmap is not the firmware's map but what the kernel made of the machine map for itself, cut to its memory.
/// There Xen's log counts, and where that has run over, Xen's machine map.
/// </remarks>
public sealed class MachineCapture(LiveMachine dom0)
{
    private const int MaxSysfsFileBytes = 4096;
    private const int MaxIomemLines = 16384;
    private const int MaxIomemLineLength = 200;
    private const int MaxGroups = 4096;

    private readonly List<Phrase> _remarks = [];

    /// <summary>The machine's map with what belongs to it; the remarks say what could not be read.</summary>
    /// <param name="isWhole">Whether what no plan needs is wanted too: /proc/iomem, and the devices' configuration spaces for their MSI-X
    /// tables.</param>
    public Parsed<HostDocument> Read(bool isWhole)
    {
        HostDocument? host = IsUnderXen ? ReadXen() : ReadFirmware();
        host ??= ReadIomemMap();
        if (host is null)
            return InputError.Unreadable("this machine", null, $"says nothing of its memory map{Because}",
                $"run this as root, or name a source with {Setting.Host}");
        ImmutableArray<string> iomem = isWhole ? ReadIomemLines() : [];
        ImmutableArray<RootWindow> windows = RootWindow.OfIomem(iomem);
        HostTraits traits = ReadIommu(host.Host.Traits);
        if (!windows.IsEmpty)
            traits = traits with { RootWindows = windows };
        return host with
        {
            Host = host.Host with
            {
                // Under Xen the folder is missing although the host may have EFI: only its presence says something there.
                Traits = ReadProcessor(traits) with
                {
                    LinuxRelease = HostTraits.ReleaseNumbers(SmallText("proc/sys/kernel/osrelease")),
                    // A dom0's kernel has its own memory, not the host's.
                    KernelOptions = !IsUnderXen && SmallText("proc/cmdline") is { } commandLine ? KernelOptions.Of(commandLine) : null,
                    Firmware = HostFirmware.OrNull(SmallText("sys/class/dmi/id/bios_vendor"), SmallText("sys/class/dmi/id/bios_version"),
                        SmallText("sys/class/dmi/id/bios_date")) ?? host.Host.Traits.Firmware,
                    IsEfi = Directory.Exists(At("sys/firmware/efi")) ? true : IsUnderXen ? host.Host.Traits.IsEfi : false
                },
                Devices = ReadDevices(isWhole),
                ReservedRegions = ReadReservedRegions(),
            },
            IomemLines = iomem,
            Remarks = [.. host.Remarks, .. _remarks],
        };
    }

    /// <summary>The machine map from the hypervisor alone: what a plan for a live guest starts from. Devices for their windows.</summary>
    public XenResult<Host> ReadMachineMap(IXenControl xen) =>
        AskForMachineMap(xen).TryGet(out HostDocument? machine, out XenProblem? problem)
            ? machine.Host with { Devices = ReadDevices(withTables: false) } : problem;

    private static XenResult<HostDocument> AskForMachineMap(IXenControl xen)
    {
        var buffer = new E820Entry[Host.MaxEntries + 1];
        long result = xen.Calls.MachineMemoryMap(buffer, out int count);
        if (result < 0)
            return XenProblem.Of("Xen", "XENMEM_machine_memory_map", result, "run this as root in dom0");
        return new HostDocument
        {
            Host = new() { Entries = [.. buffer.AsSpan(0, count)], IsMachineMap = true },
            Dialect = HostMapDialect.Packed,
            Description = "this machine's map (XENMEM_machine_memory_map)",
        };
    }

    private bool IsUnderXen => SmallText("sys/hypervisor/type") == "xen"
        || SmallText("proc/xen/capabilities")?.Contains("control_d", StringComparison.Ordinal) == true;

    private string Because => _remarks.Count > 0 ? $" ({_remarks[0]})" : "";

    private HostDocument? ReadXen()
    {
        HostDocument? firmware = null;
        if (new DomainTools(dom0.Tools).Log().TryGet(out string? log, out XenProblem? problem))
        {
            using var stream = new MemoryStream(Encoding.Latin1.GetBytes(log));
            if (HostMapReader.Read(stream, "xl dmesg", HostMapOptions.Default).TryGet(out firmware, out InputError? error))
                firmware = firmware.Host.IsMachineMap || firmware.Log is null ? null : firmware with { Remarks = [] };
            else
                _remarks.Add($"Xen's log has no firmware map any more ({error.What})");
        }
        else
        {
            _remarks.Add($"the firmware's map is left out: {problem.ToPhrase()}");
        }

        HostDocument? machine = null;
        if (dom0.OpenXen().TryGet(out IXenControl? xen, out problem))
        {
            using (xen)
            {
                if (!AskForMachineMap(xen).TryGet(out machine, out problem))
                    _remarks.Add($"the machine map is left out: {problem.ToPhrase()}");
            }
        }
        else
        {
            _remarks.Add($"the machine map is left out: {problem.ToPhrase()}");
        }

        return firmware is not null ? firmware with { Host = firmware.Host with { MachineEntries = machine?.Host.Entries ?? [] } } : machine;
    }

    private HostDocument? ReadFirmware()
    {
        string folder = At("sys/firmware/memmap");
        if (!Directory.Exists(folder))
        {
            _remarks.Add("this kernel has no /sys/firmware/memmap");
            return null;
        }

        if (MemmapFolderReader.Read(folder).TryGet(out HostDocument? map, out InputError? error))
            return map;
        _remarks.Add($"the firmware's map is left out: {error.ToPhrase()}");
        return null;
    }

    private HostDocument? ReadIomemMap()
    {
        try
        {
            using FileStream file = File.OpenRead(At("proc/iomem"));
            if (HostMapReader.Read(file, "/proc/iomem", HostMapOptions.Default).TryGet(out HostDocument? map, out InputError? error))
                return map;
            _remarks.Add(error.ToPhrase());
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _remarks.Add("there is no /proc/iomem");
        }

        return null;
    }

    private ImmutableArray<string> ReadIomemLines()
    {
        var lines = ImmutableArray.CreateBuilder<string>();
        bool anyAddress = false;
        try
        {
            foreach (string line in File.ReadLines(At("proc/iomem")).Take(MaxIomemLines))
            {
                lines.Add(InputError.OneLine(line, MaxIomemLineLength));
                int colon = line.IndexOf(" : ", StringComparison.Ordinal);
                anyAddress |= colon > 0 && line.AsSpan(0, colon).ContainsAnyExcept("0- ");
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _remarks.Add("/proc/iomem cannot be read: left out");
            return [];
        }

        if (anyAddress)
            return lines.ToImmutable();
        _remarks.Add("/proc/iomem hides its addresses from all but root: left out");
        return [];
    }

    private HostTraits ReadProcessor(HostTraits traits)
    {
        try
        {
            using FileStream file = File.OpenRead(At("proc/cpuinfo"));
            return CpuInfo.AddTo(traits, file);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _remarks.Add("/proc/cpuinfo cannot be read: the processor is left out");
            return traits;
        }
    }

    /// <summary>The kind of the IOMMU, and the width of the narrowest one: Linux shows each unit's capability register.</summary>
    private HostTraits ReadIommu(HostTraits traits)
    {
        foreach (string unit in Folders("sys/class/iommu").Take(MaxGroups))
        {
            string name = Path.GetFileName(unit);
            if (name.StartsWith("ivhd", StringComparison.Ordinal))
                traits = traits with { Iommu = HostIommu.AmdVi };
            if (!name.StartsWith("dmar", StringComparison.Ordinal))
                continue;
            traits = traits with { Iommu = HostIommu.IntelVtd };
            if (SmallText($"sys/class/iommu/{name}/intel-iommu/cap") is { } text && IommuWidth.ReadVtd(text) is { } bits)
                traits = traits with { IommuAddressBits = Math.Min(traits.IommuAddressBits ?? bits, bits) };
        }

        return traits;
    }

    private ImmutableArray<PciDevice> ReadDevices(bool withTables)
    {
        var devices = new SortedDictionary<PciAddress, PciDevice>();
        int unreadable = 0;
        int hidden = 0;
        foreach (string folder in Folders("sys/bus/pci/devices"))
        {
            if (!PciAddress.TryParse(Path.GetFileName(folder), out PciAddress address))
                continue;
            try
            {
                using FileStream file = File.OpenRead(Path.Combine(folder, "resource"));
                if (!BarReader.Read(file, $"resource of {address}", address).TryGet(out PciListing? listing, out InputError? error))
                {
                    _remarks.Add(error.ToPhrase());
                    continue;
                }

                PciDevice device = listing.Devices.FirstOrDefault() ?? new(address, "", []);
                devices[address] = device with
                {
                    VendorId = Hex(folder, "vendor"),
                    DeviceId = Hex(folder, "device"),
                    ClassCode = Hex(folder, "class"),
                    Driver = NameAt(folder, "driver"),
                    IommuGroup = int.TryParse(NameAt(folder, "iommu_group"), NumberStyles.None, CultureInfo.InvariantCulture, out int group)
                        ? group : null,
                };
                if (!withTables)
                    continue;
                byte[]? space = ReadConfiguration(folder);
                devices[address] = devices[address] with { Msix = ConfigurationSpace.FindMsix(space) };
                hidden += space is null || ConfigurationSpace.HidesCapabilities(space) ? 1 : 0;
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                unreadable++;
            }
        }

        if (unreadable > 0)
            _remarks.Add(string.Create(CultureInfo.InvariantCulture, $"the windows of {unreadable} PCI devices cannot be read: left out"));
        if (hidden > 0)
            _remarks.Add(string.Create(CultureInfo.InvariantCulture,
                $"the capabilities of {hidden} PCI devices are hidden from all but root: their MSI-X tables are left out"));
        return [.. devices.Values];
    }

    private ImmutableArray<ReservedRegion> ReadReservedRegions()
    {
        using var all = new MemoryStream();
        int unreadable = 0;
        foreach (string group in Folders("sys/kernel/iommu_groups").Take(MaxGroups))
        {
            try
            {
                string path = Path.Combine(group, "reserved_regions");
                if (File.Exists(path))
                    all.Write(Encoding.UTF8.GetBytes(ReadSmall(path) + "\n"));
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                unreadable++;
            }
        }

        if (unreadable > 0)
            _remarks.Add(string.Create(CultureInfo.InvariantCulture, $"the reserved regions of {unreadable} IOMMU groups cannot be read: left out"));
        all.Position = 0;
        if (ReservedRegion.Read(all, "reserved_regions").TryGet(out ReservedRegionList? list, out InputError? error))
            return list.Regions;
        _remarks.Add(error.ToPhrase());
        return [];
    }

    /// <summary>The name of what the device's link leads to, its driver or IOMMU group; null where it has none.</summary>
    private static string? NameAt(string folder, string link) => Path.GetFileName(new FileInfo(Path.Combine(folder, link)).LinkTarget);

    private static int? Hex(string folder, string name)
    {
        string text = ReadSmall(Path.Combine(folder, name));
        return text.StartsWith("0x", StringComparison.Ordinal)
            && int.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value) ? value : null;
    }

    /// <summary>The device's configuration space as far as this user may see it; empty where it has no file, null where it cannot be read.</summary>
    private static byte[]? ReadConfiguration(string folder)
    {
        string path = Path.Combine(folder, "config");
        try
        {
            return File.Exists(path) ? ReadBytes(path) : [];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string ReadSmall(string path) => Encoding.Latin1.GetString(ReadBytes(path)).Trim();

    private static byte[] ReadBytes(string path)
    {
        using FileStream file = File.OpenRead(path);
        byte[] bytes = new byte[MaxSysfsFileBytes];
        return bytes[..file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false)];
    }

    private string At(string path) => Path.Combine(dom0.Root, path);

    private string? SmallText(string path)
    {
        try
        {
            return ReadSmall(At(path));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private IEnumerable<string> Folders(string path)
    {
        try
        {
            return Directory.Exists(At(path)) ? Directory.GetDirectories(At(path)).Order(StringComparer.Ordinal) : [];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            _remarks.Add($"/{path} cannot be read: left out");
            return [];
        }
    }
}
