// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>Texts that differ in one thing, which must be there.</summary>
internal static class RuleText
{
    /// <summary>A text with another part in the place of one that it has.</summary>
    public static string With(this string text, string part, string by)
    {
        Assert.Contains(part, text);
        return text.Replace(part, by, StringComparison.Ordinal);
    }

    /// <summary>A text without the lines that have a word, of which it has one at least.</summary>
    public static string Without(this string text, string word)
    {
        Assert.Contains(word, text);
        return string.Concat(text.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Where(line => !line.Contains(word, StringComparison.Ordinal)).Select(static line => $"{line}\n"));
    }
}
