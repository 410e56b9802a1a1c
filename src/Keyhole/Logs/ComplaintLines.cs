// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Addresses;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>Gathers what a Linux, or Xen, says of devices and memory that it could not give to a guest.</summary>
/// <remarks>Source: Linux' drivers/iommu/intel/iommu.c, drivers/iommu/iommu.c, drivers/pci/pci.c, drivers/video/fbdev, mm/hugetlb.c,
/// drivers/vfio/vfio_iommu_type1.c; Proxmox VE's patch for relax_rmrr; Xen's drivers/passthrough/vtd/iommu.c, since 4.6.</remarks>
internal sealed class ComplaintLines
{
    /// <summary>What /proc/iomem calls the picture of the boot console: since Linux 5.x, and by its drivers.</summary>
    private static readonly string[] s_consoles = [" : BOOTFB", " : efifb", " : simplefb", " : vesafb"];

    /// <summary>Words of which one stands in every line that is looked at.</summary>
    public static readonly string[] Words =
    [
        Ineligible, Rejecting, Relaxing, RelaxOption, Reserve, Console, Framebuffer, HugePages, MemoryLock, SharedMemory, Reallocate, Map, Slot,
        ResourceOfDevice, Boot, Virtual, .. s_consoles,
    ];

    private const int NoMemory = 12;
    private const int Invalid = 22;

    private const string Boot = "Linux version ";
    private const string Virtual = "Hypervisor detected: ";
    private const string Ineligible = "Device is ineligible for IOMMU domain attach";
    private const string Rejecting = "Firmware has requested this device have a 1:1 IOMMU mapping, rejecting";
    private const string Relaxing = "assuming all RMRRs are relaxable";
    private const string RelaxOption = "relax_rmrr";
    private const string Reserve = ": can't reserve [mem 0x";
    private const string Console = ": assigned to efifb";
    private const string Framebuffer = "framebuffer at 0x";
    private const string HugePages = "HugeTLB";
    private const string MemoryLock = "RLIMIT_MEMLOCK (";
    private const string SharedMemory = " with shared RMRR at ";
    private const string Driver = "vfio-pci ";
    private const string Reallocate = "realloc";

    /// <summary>vfio_dma_map, since QEMU 9.x vfio_container_dma_map.</summary>
    private const string Map = "_dma_map";

    /// <summary>What QEMU says before "error registering slot", with which it ends. Source: QEMU's accel/kvm/kvm-all.c.</summary>
    private const string Slot = "KVM_SET_USER_MEMORY_REGION failed, slot=";

    /// <summary>Before a device's name in /proc/iomem.</summary>
    private const string ResourceOfDevice = " : 0000:";

    private readonly List<(PciAddress, ByteRange)> _consoleRanges = [];
    private readonly List<MapFailure> _mapFailures = [];
    private (PciAddress Device, ByteRange Range)? _resource;

    private readonly List<SharedMemoryDevice> _sharing = [];

    /// <summary>What the last boot of the host's Linux says.</summary>
    private OfBoot _boot = new();

    /// <summary>What the boot before it says; null before there are two.</summary>
    private OfBoot? _earlier;
    private bool _hasBoot;

    /// <summary>What is so for one boot, and may have been mended for the next.</summary>
    private sealed class OfBoot
    {
        public List<PciAddress> Ineligible { get; } = [];
        public List<TakenWindow> Taken { get; } = [];
        public List<ulong> Framebuffers { get; } = [];
        public List<(PciAddress, int)> ConsoleWindows { get; } = [];
        public List<HugePagePool> HugePages { get; } = [];
        public bool IsAsked { get; set; }
        public bool IsRelaxed { get; set; }
        public bool Reallocates { get; set; }
        public ulong? Exceeded { get; set; }
    }

    public HostComplaints ToComplaints() => new()
    {
        Ineligible = [.. _boot.Ineligible],
        RelaxesDeviceMemory = _boot.IsRelaxed ? true : _boot.IsAsked ? false : null,
        Sharing = [.. _sharing],
        Taken = [.. _boot.Taken],
        Framebuffers = [.. _boot.Framebuffers],
        ConsoleWindows = [.. _boot.ConsoleWindows],
        ConsoleRanges = [.. _consoleRanges],
        MapFailures = [.. _mapFailures],
        Reallocates = _boot.Reallocates,
        HugePages = [.. _boot.HugePages],
        ExceededLock = _boot.Exceeded,
    };

    /// <summary>Reads one line; false where it says nothing of it.</summary>
    public bool TryRead(ReadOnlySpan<char> line)
    {
        // What a guest's console says is of its own devices.
        if (LogPrefix.DomainOf(line) is not null)
            return false;
        if (line.Contains(Boot, StringComparison.Ordinal))
        {
            if (_hasBoot)
                (_earlier, _boot) = (_boot, new());
            _hasBoot = true;
            return false;
        }

        // The boot of a guest, whose log stands behind its host's.
        if (_earlier is { } hosts && TextCursor.TryBehind(line, Virtual, out ReadOnlySpan<char> hypervisor) && !hypervisor.StartsWith("Xen PV"))
        {
            (_boot, _earlier) = (hosts, null);
            return false;
        }

        if (line.Contains(Relaxing, StringComparison.Ordinal))
            return _boot.IsRelaxed = true;
        if (TextCursor.TryBehind(line, "ommand line:", out ReadOnlySpan<char> options))
            return TryOptions(options);
        return TryIneligible(line) || TryShared(line) || TryTaken(line) || TryConsole(line) || TryFramebuffer(line) || TryHugePages(line)
            || TryLock(line) || TryMap(line) || TrySlot(line) || TryResource(line);
    }

    private bool TryOptions(ReadOnlySpan<char> options)
    {
        bool isAsked = options.Contains(RelaxOption, StringComparison.Ordinal) && options.Contains("intel_iommu=", StringComparison.Ordinal);
        bool reallocates = false;
        foreach (Range word in options.Split(' '))
        {
            if (!options[word].StartsWith("pci=", StringComparison.Ordinal))
                continue;
            ReadOnlySpan<char> values = options[word]["pci=".Length..];
            foreach (Range value in values.Split(','))
                reallocates |= values[value].Trim() is Reallocate or "realloc=on";
        }

        _boot.IsAsked |= isAsked;
        _boot.Reallocates |= reallocates;
        return isAsked || reallocates;
    }

    /// <summary><c>kvm: vfio_dma_map(0x5e043daea2f0, 0x380010000000, 0x2000000, 0x771a6ce00000) = -22 (Invalid argument)</c>: the container, the
    /// guest's address, the size, where QEMU has it.</summary>
    private bool TryMap(ReadOnlySpan<char> line)
    {
        if (!TextCursor.TryBehind(line, Map, out TextCursor cursor))
            return false;
        cursor.SkipBlanks();
        if (!cursor.TryText("(0x") || !cursor.TryHex(out _) || !cursor.TryText(", 0x")
            || !cursor.TryHex(out ulong address) || !cursor.TryText(", 0x") || !cursor.TryHex(out ulong size)
            || !TextCursor.TryBehind(cursor.Rest, ") = -", out cursor) || !cursor.TryDecimal(out uint error) || error is 0 or > 4095
            || address >= Frames.AddressLimit || size >= Frames.AddressLimit)
            return false;
        Add(_mapFailures, new MapFailure(address, size, (int)error));
        return true;
    }

    /// <summary><c>KVM_SET_USER_MEMORY_REGION failed, slot=10, start=0x400000000000, size=0x2000000: Invalid argument</c>.</summary>
    private bool TrySlot(ReadOnlySpan<char> line)
    {
        if (!TextCursor.TryBehind(line, Slot, out TextCursor cursor) || !TextCursor.TryBehind(cursor.Rest, ", start=0x", out cursor)
            || !cursor.TryHex(out ulong address) || !cursor.TryText(", size=0x") || !cursor.TryHex(out ulong size) || size == 0
            || address >= Frames.AddressLimit || size >= Frames.AddressLimit)
            return false;
        int error = cursor.Rest.Contains("Cannot allocate memory", StringComparison.Ordinal) ? NoMemory : Invalid;
        Add(_mapFailures, new MapFailure(address, size, error) { IsOfKvm = true });
        return true;
    }

    /// <summary>Lines of /proc/iomem: a device's window, and within it the console's picture.</summary>
    private bool TryResource(ReadOnlySpan<char> line)
    {
        var cursor = new TextCursor(line);
        cursor.SkipBlanks();
        if (!cursor.TryHex(out ulong start) || !cursor.TryText("-") || !cursor.TryHex(out ulong last) || !cursor.TryText(" : ") || last < start
            || last >= Frames.AddressLimit)
            return false;
        ReadOnlySpan<char> name = cursor.Rest.Trim();
        if (PciAddress.TryParse(name, out PciAddress device))
        {
            _resource = (device, ByteRange.FromBounds(start, last + 1));
            return true;
        }

        bool isConsole = name is "BOOTFB" or "efifb" or "simplefb" or "vesafb";
        if (isConsole && _resource is { } resource && resource.Range.Contains(start))
            Add(_consoleRanges, resource);
        return isConsole;
    }

    private bool TryIneligible(ReadOnlySpan<char> line)
    {
        if ((!line.Contains(Ineligible, StringComparison.Ordinal) && !line.Contains(Rejecting, StringComparison.Ordinal))
            || !TryDevice(line, Driver, out PciAddress device, out _))
            return false;
        Add(_boot.Ineligible, device);
        return true;
    }

    /// <summary><c>[VT-D] It's disallowed to assign 0000:00:14.0 with shared RMRR at c1000000 for d1.</c>, up to 4.14 <c>for Dom1.</c>;
    /// <c>risky</c> with the relaxed policy.</summary>
    private bool TryShared(ReadOnlySpan<char> line)
    {
        const string mark = " to assign ";
        int at = line.IndexOf(SharedMemory, StringComparison.Ordinal);
        if (at < 0)
            return false;
        int behind = line[..at].LastIndexOf(mark, StringComparison.Ordinal);
        if (behind < 0 || !(line[..behind].EndsWith("It's disallowed") || line[..behind].EndsWith("It's risky"))
            || !PciAddress.TryParse(line[(behind + mark.Length)..at], out PciAddress device))
            return false;
        var cursor = new TextCursor(line[(at + SharedMemory.Length)..]);
        if (!cursor.TryHex(out ulong address) || address >= Frames.AddressLimit)
            return false;
        Add(_sharing, new SharedMemoryDevice(device, address));
        return true;
    }

    /// <summary><c>vfio-pci 0000:08:00.0: BAR 1: can't reserve [mem 0xd0000000-0xdfffffff 64bit pref]</c>.</summary>
    private bool TryTaken(ReadOnlySpan<char> line)
    {
        if (!TextCursor.TryBehind(line, Reserve, out TextCursor cursor)
            || !TryDevice(line, Driver, out PciAddress device, out ReadOnlySpan<char> rest)
            || !TryIndex(rest, out int index) || !cursor.TryHex(out ulong start) || !cursor.TryText("-0x") || !cursor.TryHex(out ulong last)
            || last < start || last >= Frames.AddressLimit)
            return false;
        Add(_boot.Taken, new TakenWindow(device, index, ByteRange.FromBounds(start, last + 1)));
        return true;
    }

    /// <summary><c>pci 0000:08:00.0: BAR 1: assigned to efifb</c>.</summary>
    private bool TryConsole(ReadOnlySpan<char> line)
    {
        if (!line.Contains(Console, StringComparison.Ordinal) || !TryDevice(line, "pci ", out PciAddress device, out ReadOnlySpan<char> rest)
            || !TryIndex(rest, out int index))
            return false;
        Add(_boot.ConsoleWindows, (device, index));
        return true;
    }

    private bool TryFramebuffer(ReadOnlySpan<char> line)
    {
        if (!TextCursor.TryBehind(line, Framebuffer, out TextCursor cursor) || !cursor.TryHex(out ulong at) || at >= Frames.AddressLimit)
            return false;
        Add(_boot.Framebuffers, at);
        return true;
    }

    /// <summary><c>HugeTLB: allocating 16 of page size 1.00 GiB failed.  Only allocated 14 hugepages.</c>, <c>HugeTLB: registered 1.00 GiB page size,
    /// pre-allocated 14 pages</c>. Of one node of several the first says nothing of the sum.</summary>
    private bool TryHugePages(ReadOnlySpan<char> line)
    {
        ulong? wanted = null;
        ReadOnlySpan<char> rest;
        if (TextCursor.TryBehind(line, "HugeTLB: allocating ", out TextCursor cursor))
        {
            if (!cursor.TryDecimal(out uint asked) || !cursor.TryText(" of page size "))
                return false;
            wanted = asked;
            rest = cursor.Rest;
        }
        else if (!TextCursor.TryBehind(line, "HugeTLB: registered ", out rest) && !TextCursor.TryBehind(line, "HugeTLB registered ", out rest))
        {
            return false;
        }

        ulong size = rest.StartsWith("1.00 GiB") || rest.StartsWith("1 GB") ? 1UL << 30
            : rest.StartsWith("2.00 MiB") || rest.StartsWith("2 MB") ? 2UL << 20 : 0;
        if (size == 0 || !TextCursor.TryBehind(rest, wanted is null ? "pre-allocated " : "failed.  Only allocated ", out cursor)
            || !cursor.TryDecimal(out uint count))
            return false;
        int known = _boot.HugePages.FindIndex(pool => pool.PageBytes == size);
        var found = new HugePagePool(size, count, wanted);
        if (known < 0)
            _boot.HugePages.Add(found);
        else if (wanted is not null || _boot.HugePages[known].Wanted is null)
            _boot.HugePages[known] = found;
        return true;
    }

    private bool TryLock(ReadOnlySpan<char> line)
    {
        if (!TextCursor.TryBehind(line, MemoryLock, out ReadOnlySpan<char> rest) || rest.IndexOf(')') is not (> 0 and var end)
            || !rest[end..].StartsWith(") exceeded") || !ulong.TryParse(rest[..end], out ulong limit))
            return false;
        _boot.Exceeded ??= limit;
        return true;
    }

    private static bool TryIndex(ReadOnlySpan<char> rest, out int index)
    {
        index = 0;
        var cursor = new TextCursor(rest);
        if (!cursor.TryText("BAR ") || !cursor.TryDecimal(out uint number) || number > 6)
            return false;
        index = (int)number;
        return true;
    }

    /// <param name="rest">Behind the device's name.</param>
    private static bool TryDevice(ReadOnlySpan<char> line, string driver, out PciAddress device, out ReadOnlySpan<char> rest)
    {
        device = default;
        rest = default;
        if (!TextCursor.TryBehind(line, driver, out ReadOnlySpan<char> named) || named.IndexOf(": ") is not (> 0 and var colon)
            || !PciAddress.TryParse(named[..colon], out device))
            return false;
        rest = named[(colon + 2)..];
        return true;
    }

    private static void Add<T>(List<T> list, T value)
    {
        if (list.Count < LogTraits.MaxPages && !list.Contains(value))
            list.Add(value);
    }
}
