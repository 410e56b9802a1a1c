// SPDX-License-Identifier: GPL-2.0-only

using System.Globalization;

namespace Keyhole.Addresses;

public readonly partial struct Mfn
{
    /// <summary><c>0x1</c>.</summary>
    /// <remarks>For people. The probe's kernel, which has no texts, is compiled without it.</remarks>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"0x{Value:x}");
}
