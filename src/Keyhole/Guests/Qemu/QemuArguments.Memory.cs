// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Diagnostics;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Guests;

/// <content>Memory and processors: -m, -smp.</content>
internal sealed partial class QemuArguments
{
    private const int MostProcessors = 8192;

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

    private void ReadProcessors(QemuWord value)
    {
        foreach (QemuProperty property in QemuOptionSyntax.Split(value.Text, "cpus"))
            AddProcessors(value, property.Name, property.Value);
    }

    private void AddProcessors(QemuWord at, string name, string value)
    {
        // QEMU says itself what it makes of none, and of more than its board takes.
        int least = dialect == QemuDialect.CommandLine || name != "cpus" ? 0 : 1;
        if (QemuOptionSyntax.TryNumber(value, out int count) && count >= least && count <= MostProcessors)
            _processors = _processors.With(name, count);
        else
        {
            string what = name == "cpus" ? "processors" : InputError.OneLine(name, 60);
            Fail(OutOfRange, at, $"{InputError.Quote(value)} is not a valid number of {what}", $"write 1 to {MostProcessors}");
        }
    }

    /// <summary>Whether an option makes RAM of a file in hugetlbfs, which is mounted at /dev/hugepages, or of huge pages without a file.</summary>
    private static bool IsOfHugePages(string name, string value) => name switch
    {
        "mem-path" => value.Contains(HugeFolder, StringComparison.Ordinal),
        "object" => (value.Contains("mem-path", StringComparison.Ordinal) && value.Contains(HugeFolder, StringComparison.Ordinal))
            || value.Contains("hugetlb=on", StringComparison.Ordinal) || value.Contains("\"hugetlb\":true", StringComparison.Ordinal),
        _ => false,
    };

    private const string HugeFolder = "huge";
}
