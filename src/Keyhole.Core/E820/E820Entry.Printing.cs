// SPDX-License-Identifier: GPL-2.0-only

using System.Globalization;

namespace Keyhole.E820;

public readonly partial struct E820Entry
{
    /// <summary><c>[0x1000, 0x2000) Ram</c>.</summary>
    /// <remarks>For people. The probe's kernel, which has no texts, is compiled without it.</remarks>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"[0x{Address:x}, 0x{End:x}) {Type}");
}
