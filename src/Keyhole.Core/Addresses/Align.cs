// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Addresses;

/// <summary>Rounding of addresses and sizes, modulo 2^64 as the firmwares reckon: some of them wrap, and that is what happens.</summary>
internal static class Align
{
    /// <param name="alignment">A power of two.</param>
    public static ulong Up(ulong value, ulong alignment) => unchecked((value + alignment - 1) & ~(alignment - 1));

    /// <param name="alignment">A power of two.</param>
    public static ulong Down(ulong value, ulong alignment) => value & ~(alignment - 1);
}
