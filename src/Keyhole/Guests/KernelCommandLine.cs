// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Guests;

/// <summary>What a PV kernel reads from its command line before anything else.</summary>
public static class KernelCommandLine
{
    private const string Word = "xen_512gb_limit";

    /// <summary>
    /// Whether a domU keeps to 512 GiB. As Linux searches: the first "xen_512gb_limit=" anywhere, else the word itself anywhere. The value
    /// is a kernel boolean; one that is none leaves the configured limit.
    /// </summary>
    public static bool IsLimitedTo512GiB(ReadOnlySpan<char> commandLine, bool isConfigured)
    {
        if (!commandLine.Contains(Word, StringComparison.Ordinal))
            return isConfigured;
        int at = commandLine.IndexOf(Word + "=", StringComparison.Ordinal);
        if (at < 0)
            return true;
        ReadOnlySpan<char> value = commandLine[(at + Word.Length + 1)..];
        if (value.IsEmpty)
            return isConfigured;
        return value[0] switch
        {
            'y' or 'Y' or '1' => true,
            'n' or 'N' or '0' => false,
            'o' or 'O' when value.Length > 1 && value[1] is 'n' or 'N' => true,
            'o' or 'O' when value.Length > 1 && value[1] is 'f' or 'F' => false,
            _ => isConfigured,
        };
    }
}
