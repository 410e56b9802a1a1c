// SPDX-License-Identifier: GPL-2.0-only

using System.Globalization;

namespace Keyhole.Addresses;

public readonly partial struct MfnRange
{
    /// <summary><c>[0x1, 0x2)</c>, frame numbers.</summary>
    /// <remarks>For people. The probe's kernel, which has no texts, is compiled without it.</remarks>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"[0x{Start.Value:x}, 0x{End.Value:x})");
}
