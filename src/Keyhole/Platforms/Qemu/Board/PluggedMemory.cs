// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Guests;

namespace Keyhole.Platforms.Qemu.Board;

/// <summary>Memory that a guest has from the start beside that of <c>-m</c>: what its modules take of the slots, and all of the room up to
/// <c>maxmem</c>.</summary>
/// <remarks>Source: QEMU's hw/mem/pc-dimm.c and memory-device.c, hw/core/machine.c; each case was tried on 7.2.</remarks>
internal sealed class PluggedMemory(QemuMachine machine)
{
    /// <summary>QEMU rounds memory up to this, not what a backend has.</summary>
    private const ulong Rounding = 8192;

    private const int MostSlots = 256;
    private const string NoNvdimm = "nvdimm is not enabled: missing 'nvdimm' in '-M'";

    /// <summary>From these on -m is read by the machine, and a guest without room is refused in other words.</summary>
    private static readonly QemuVersion s_asksForNvdimm = new(2, 9);
    private static readonly QemuVersion s_machineReadsMemory = new(7, 1);
    private static readonly QemuVersion s_hasOneWordForNoRoom = new(8, 1);

    private readonly HashSet<long> _slots = [];
    private readonly HashSet<string> _busy = machine.MemoryBackend is { } backend ? [backend] : [];
    private ulong _used;

    /// <summary>The words in which QEMU refuses the guest for its own memory; null where it does not.</summary>
    public static string? Refusal(QemuMachine machine)
    {
        if (machine.MemorySlots > 0 && machine.MaxMemoryBytes == 0)
            return machine.Emulator >= s_machineReadsMemory ? "slots specified but no max-size" : "invalid -m option value: missing 'maxmem' option";
        if (machine.MemorySlots > 0 && machine.MaxMemoryBytes == machine.MemoryBytes)
        {
            return "invalid value of maxmem: memory slots were specified but maximum memory size "
                + $"(0x{machine.MaxMemoryBytes:x}) is equal to the initial memory size (0x{machine.MemoryBytes:x})";
        }

        if (machine.MemoryBackend is not { } backend)
            return null;
        return SizeOf(machine, backend) is not { } bytes ? $"Memory backend '{backend}' not found"
            : IsOther(machine, bytes) ? "Machine memory size does not match the size of the memory backend" : null;
    }

    /// <summary>The words in which QEMU refuses a device of memory; null where it does not, or what memory it has is not told.</summary>
    public string? Refusal(QemuDevice device)
    {
        bool isModule = IsModule(device);
        if ((!isModule && !IsVirtio(device)) || device["memdev"] is not { } backend)
            return null;
        if (SizeOf(machine, backend) is not { } bytes)
            return $"Device '{backend}' not found";
        if (!_busy.Add(backend))
            return $"can't use already busy memdev: {backend}";
        if (machine.TakesNoNvdimm && device.Driver == "nvdimm" && machine.Emulator >= s_asksForNvdimm)
            return NoNvdimm;
        if (isModule && SlotRefusal(device) is { } words)
            return words;
        ulong room = machine.MaxMemoryBytes > machine.MemoryBytes ? machine.MaxMemoryBytes - machine.MemoryBytes : 0;
        if (room == 0)
        {
            return machine.Emulator >= s_hasOneWordForNoRoom
                ? "the configuration is not prepared for memory devices (e.g., for memory hotplug), consider specifying the maxmem option"
                : "memory devices (e.g. for memory hotplug) are not enabled, please specify the maxmem option";
        }

        if (bytes > room - _used)
            return $"not enough space, currently 0x{_used:x} in use of total space for memory devices 0x{room:x}";
        _used += bytes;
        return null;
    }

    /// <summary>What of <c>-m</c> is to be written for memory that QEMU refuses, and the guest with it, which is still to be tried; null where
    /// nothing of the kind helps.</summary>
    public static (QemuMachine Machine, string Text)? Mended(QemuMachine machine)
    {
        if (machine.MemoryBackend is { } backend && SizeOf(machine, backend) is { } bytes && IsOther(machine, bytes))
        {
            return (machine with { MemoryBytes = bytes, MaxMemoryBytes = machine.MaxMemoryBytes == 0 ? 0 : Math.Max(machine.MaxMemoryBytes, bytes) },
                $"give the guest the memory that its backend has ({QemuDeviceValues.SizeText(bytes)}), or the backend that of the guest "
                    + $"({QemuDeviceValues.SizeText(machine.MemoryBytes)})");
        }

        // Room for it may be wanting, too.
        if (machine.TakesNoNvdimm && machine.Devices.Any(static device => device.Driver == "nvdimm"))
        {
            machine = machine with { TakesNoNvdimm = false };
            const string switchedOn = "write -machine nvdimm=on";
            return new PluggedMemory(machine).TakesAll() ? (machine, switchedOn)
                : Mended(machine) is { } roomy ? (roomy.Machine, $"{switchedOn}, and {roomy.Text}") : null;
        }

        int modules = machine.Devices.Count(IsModule);
        ulong plugged = 0;
        foreach (QemuDevice device in machine.Devices)
            plugged += (IsModule(device) || IsVirtio(device)) && device["memdev"] is { } id ? SizeOf(machine, id) ?? 0 : 0;
        if (plugged == 0)
        {
            return machine.MemorySlots == 0 ? null
                : (machine with { MemorySlots = 0 }, "leave slots= out, or give maxmem= beside it, which is more than the memory");
        }

        int slots = Math.Max(modules, machine.MemorySlots);
        ulong most = Math.Max(Align.Up(machine.MemoryBytes + plugged, QemuLayout.GiB), machine.MaxMemoryBytes);
        return slots > MostSlots || plugged > Frames.AddressLimit ? null
            : (machine with { MemorySlots = slots, MaxMemoryBytes = most }, string.Create(CultureInfo.InvariantCulture,
                $"give the memory that is plugged in its room: slots={slots}, maxmem={QemuDeviceValues.SizeText(most)} (-m, or <maxMemory>)"));
    }

    /// <summary>The machine without modules, which have no BARs: whether there is room for them is a question of settings.</summary>
    public static QemuMachine WithoutModules(QemuMachine machine) => machine with { Devices = machine.Devices.RemoveAll(IsModule) };

    private bool TakesAll()
    {
        foreach (QemuDevice device in machine.Devices)
        {
            if (Refusal(device) is not null)
                return false;
        }

        return Refusal(machine) is null;
    }

    private string? SlotRefusal(QemuDevice device)
    {
        const long any = -1;
        int all = machine.MemorySlots;
        long asked = long.TryParse(device["slot"], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number) ? number : any;
        if (all == 0)
            return "no slots where allocated, please specify the 'slots' option";
        if (asked != any && (asked < 0 || asked >= all))
            return $"invalid slot number {asked}, valid range is [0-{all - 1}]";
        if (asked != any)
            return _slots.Add(asked) ? null : $"slot {asked} is busy";
        for (long slot = 0; slot < all; slot++)
        {
            if (_slots.Add(slot))
                return null;
        }

        return "no free slots available";
    }

    private static bool IsModule(QemuDevice device) => device.Driver is "pc-dimm" or "nvdimm";

    private static bool IsVirtio(QemuDevice device) => QemuDevices.FullName(device.Driver) is "virtio-mem-pci" or "virtio-pmem-pci";

    private static bool IsOther(QemuMachine machine, ulong bytes) =>
        bytes > machine.MemoryBytes ? bytes - machine.MemoryBytes >= Rounding : machine.MemoryBytes - bytes >= Rounding;

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
