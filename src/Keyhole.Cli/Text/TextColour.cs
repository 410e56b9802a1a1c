// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Cli.Text;

/// <summary>A colour of a terminal's palette.</summary>
internal enum TextColour
{
    /// <summary>The terminal's own.</summary>
    None,
    Green,
    Red,
    Yellow,
    Blue,
    Grey,
}
