// SPDX-License-Identifier: GPL-2.0-only

using System.Globalization;

namespace Keyhole.Diagnostics;

/// <summary>Counts as people read them.</summary>
public static class Counted
{
    /// <summary>"1 host", "2 hosts", "1,000 hosts".</summary>
    /// <param name="one">The word for one; more get an s.</param>
    public static string Of(long count, string one) =>
        $"{count.ToString("#,0", CultureInfo.InvariantCulture)} {one}{(count == 1 ? "" : "s")}";
}
