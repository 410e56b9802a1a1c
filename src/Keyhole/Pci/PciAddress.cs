// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Pci;

/// <summary>Where a PCI function sits: domain 0–ffff, bus 0–ff, device 0–1f, function 0–7. Written <c>dddd:bb:dd.f</c>, the domain optional when
/// read.</summary>
public readonly record struct PciAddress : IComparable<PciAddress>
{
    private PciAddress(ushort domain, byte bus, byte device, byte function)
    {
        Domain = domain;
        Bus = bus;
        Device = device;
        Function = function;
    }

    /// <summary>The segment, 0–0xffff.</summary>
    public ushort Domain { get; }

    /// <summary>The bus, 0–0xff.</summary>
    public byte Bus { get; }

    /// <summary>The device (slot), 0–0x1f.</summary>
    public byte Device { get; }

    /// <summary>The function, 0–7.</summary>
    public byte Function { get; }

    /// <summary>The function of a guest's first domain.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A number that PCI does not have.</exception>
    public static PciAddress Create(int bus, int device, int function)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)bus, 0xffu, nameof(bus));
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)device, 0x1fu, nameof(device));
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)function, 7u, nameof(function));
        return new(0, (byte)bus, (byte)device, (byte)function);
    }

    /// <summary>Reads <c>[dddd:]bb:dd.f</c>, hex without 0x; false for anything else, also for trailing text.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out PciAddress address)
    {
        address = default;
        int dot = text.LastIndexOf('.');
        if (dot < 0 || !TryHex(text[(dot + 1)..], 1, 7, out uint function))
            return false;
        text = text[..dot];
        int colon = text.LastIndexOf(':');
        if (colon < 0 || !TryHex(text[(colon + 1)..], 2, 0x1f, out uint device))
            return false;
        text = text[..colon];
        uint domain = 0;
        colon = text.LastIndexOf(':');
        if (colon >= 0)
        {
            if (!TryHex(text[..colon], 4, 0xffff, out domain))
                return false;
            text = text[(colon + 1)..];
        }

        if (!TryHex(text, 2, 0xff, out uint bus))
            return false;
        address = new((ushort)domain, (byte)bus, (byte)device, (byte)function);
        return true;
    }

    /// <inheritdoc/>
    public int CompareTo(PciAddress other) => Key.CompareTo(other.Key);

    /// <inheritdoc/>
    public override string ToString() => $"{Domain:x4}:{Bus:x2}:{Device:x2}.{Function:x}";

    private ulong Key => ((ulong)Domain << 24) | ((ulong)Bus << 16) | ((ulong)Device << 8) | Function;

    private static bool TryHex(ReadOnlySpan<char> text, int maxDigits, uint max, out uint value)
    {
        value = 0;
        if (text.IsEmpty || text.Length > maxDigits)
            return false;
        foreach (char c in text)
        {
            if (!char.IsAsciiHexDigit(c))
                return false;
            value = (value << 4) | (uint)(char.IsAsciiDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
        }

        return value <= max;
    }
}
