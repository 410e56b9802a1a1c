// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;

namespace Keyhole.Diagnostics;

/// <summary>Names of several things in a sentence: a hostile input may have thousands.</summary>
internal static class Listed
{
    private const int Most = 8;

    /// <summary>The first few, and how many more there are.</summary>
    public static string Of(IReadOnlyCollection<string> names)
    {
        ArgumentNullException.ThrowIfNull(names);
        string first = string.Join(", ", names.Take(Most));
        return names.Count > Most ? $"{first} and {names.Count - Most} more" : first;
    }
}
