// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using Keyhole.Diagnostics;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Guests;

/// <content>Memory and processors: -m, -smp.</content>
internal sealed partial class QemuArguments
{
    /// <summary>52 address bits.</summary>
    private const ulong MaxMemoryBytes = 1UL << 52;

    /// <summary><c>-m 8G</c>, <c>-m size=8G,slots=4,maxmem=64G</c>; a bare number is MiB for the size and bytes for maxmem.</summary>
    private void ReadMemory(QemuWord value)
    {
        foreach (QemuProperty property in QemuOptionSyntax.Split(value.Text, "size"))
        {
            bool isRead = true;
            ulong sizeBytes = 0;
            switch (property.Name)
            {
                case "size":
                    isRead = QemuOptionSyntax.TrySize(property.Value, 20, out sizeBytes);
                    _memoryBytes = sizeBytes;
                    break;
                case "maxmem":
                    isRead = QemuOptionSyntax.TrySize(property.Value, 0, out _maxMemoryBytes);
                    break;
                case "slots":
                    isRead = QemuOptionSyntax.TryNumber(property.Value, out _memorySlots) && _memorySlots <= 256;
                    break;
            }

            if (!isRead && property.Name == "slots")
            {
                Fail(OutOfRange, value, $"{InputError.Quote(property.Value)} is not a valid number of slots for memory", "write 0 to 256");
                return;
            }

            if (!isRead || sizeBytes > MaxMemoryBytes || _maxMemoryBytes > MaxMemoryBytes)
            {
                Fail(OutOfRange, value, $"{property.Name} {InputError.Quote(property.Value)} is not a size of memory",
                    "write a number with M, G or T, at most 4096T");
                return;
            }
        }
    }

    private ulong Memory()
    {
        const ulong defaultBytes = 128UL << 20;
        ulong? sizeBytes = _memoryBytes;
        if (sizeBytes is null && MachineProperty("memory.size") is { } text)
            sizeBytes = QemuOptionSyntax.TrySize(text, 20, out ulong told) ? told : null;
        if (MachineProperty("memory.max-size") is not null)
            _maxMemoryBytes = MachineSize("memory.max-size");
        if (MachineProperty("memory.slots") is { } slots && QemuOptionSyntax.TryNumber(slots, out int count))
            _memorySlots = count;
        if (sizeBytes is null && MachineProperty("memory-backend") is { } id)
        {
            foreach ((string other, ulong size) in _memoryObjects)
                sizeBytes = other == id ? size : sizeBytes;
        }

        // QEMU rounds up to two pages.
        ulong memoryBytes = ((sizeBytes ?? defaultBytes) + 0x1fff) & ~0x1fffUL;
        if (memoryBytes == 0)
            memoryBytes = defaultBytes;
        if (_maxMemoryBytes != 0 && _maxMemoryBytes < memoryBytes)
        {
            (string most, string memory) = ByteSize.ToTexts(_maxMemoryBytes, memoryBytes);
            _error ??= InputError.Conflict(
                sourceName, null, $"maxmem is {most}, less than the memory of {memory}",
                "give it a unit (a bare number is bytes), and at least the memory");
        }

        return memoryBytes;
    }

    /// <summary>
    /// Sockets that are not named are what the other levels leave, where cores are named; where neither is, the machine types before 6.2 take cores
    /// for one and make sockets of the rest, and the later ones take one socket.
    /// </summary>
    private int Sockets(QemuVersion machine) =>
        _sockets > 0 ? _sockets : _hasCores || machine < new QemuVersion(6, 2) ? _socketsForAll : 0;

    private void ReadProcessors(QemuWord value)
    {
        ImmutableArray<QemuProperty> properties = QemuOptionSyntax.Split(value.Text, "cpus");
        int cpus = 1;
        if (QemuOptionSyntax.Find(properties, "cpus") is { } text)
        {
            if (!QemuOptionSyntax.TryNumber(text, out cpus) || cpus is < 1 or > 8192)
                Fail(OutOfRange, value, $"{InputError.Quote(text)} is not a valid number of processors", "write 1 to 8192");
        }
        else
        {
            foreach (string level in (ReadOnlySpan<string>)["sockets", "dies", "clusters", "modules", "cores", "threads"])
                cpus = Math.Min(8192, cpus * Level(level, 1));
        }

        _cpus = cpus;
        _sockets = Level("sockets", 0);
        _hasCores = Level("cores", 0) > 0;
        int inSocket = 1;
        foreach (string level in (ReadOnlySpan<string>)["dies", "clusters", "modules", "cores", "threads"])
            inSocket = Math.Min(8192, inSocket * Level(level, 1));
        _maxCpus = Level("maxcpus", 0);
        _socketsForAll = Math.Max(1, (_maxCpus > 0 ? _maxCpus : cpus) / inSocket);

        int Level(string name, int whenUnset) => QemuOptionSyntax.Find(properties, name) is { } factor
            && QemuOptionSyntax.TryNumber(factor, out int count) && count is > 0 and <= 8192 ? count : whenUnset;
    }
}
