// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using Keyhole.Pci;

namespace Keyhole.Platforms.Firmware;

/// <summary>A BAR, or what a bridge needs for what is behind it.</summary>
/// <param name="Bar">Index among the function's BARs; −1 for a bridge's window.</param>
internal readonly record struct SeaBiosEntry(int Function, int Bar, ulong Size, ulong Alignment, bool Is64Bit, int Order);

/// <summary>All that asks for addresses of one kind on one bus.</summary>
internal sealed class SeaBiosRegion
{
    private const int UsbClass = 0x0c03;

    public List<SeaBiosEntry> Entries { get; private set; } = [];

    public ulong Base { get; set; }

    /// <summary>Largest alignment first, then largest size, then as they came.</summary>
    public void Sort() => Entries.Sort(static (a, b) =>
        a.Alignment != b.Alignment ? b.Alignment.CompareTo(a.Alignment)
            : a.Size != b.Size ? b.Size.CompareTo(a.Size) : a.Order.CompareTo(b.Order));

    public ulong Sum()
    {
        ulong sum = 0;
        foreach (SeaBiosEntry entry in Entries)
            sum = unchecked(sum + entry.Size);
        return sum;
    }

    public ulong Alignment => Entries.Count == 0 ? 1 : Entries[0].Alignment;

    /// <summary>Takes the entries out that may go above 4 GiB.</summary>
    public SeaBiosRegion TakeHigh(NumberedTree tree)
    {
        var high = new SeaBiosRegion();
        var low = new List<SeaBiosEntry>();
        foreach (SeaBiosEntry entry in Entries)
        {
            bool isHigh = entry.Is64Bit && tree.Functions[entry.Function].Node.ClassCode >> 8 != UsbClass;
            (isHigh ? high.Entries : low).Add(entry);
        }

        Entries = low;
        return high;
    }
}
