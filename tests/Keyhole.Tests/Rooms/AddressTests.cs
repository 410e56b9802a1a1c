// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Rooms;

/// <summary>An address that every PC has is known to one file: X86Layout.</summary>
[TestClass]
public sealed partial class AddressTests
{
    private static readonly string s_sources = Path.Combine(AppContext.BaseDirectory, "sources");

    private static readonly string s_layout = Path.Combine("Keyhole.Core", "E820", "X86Layout.cs");

    [TestMethod]
    public void An_address_of_X86Layout_stands_nowhere_else()
    {
        HashSet<ulong> known = [.. Addresses(File.ReadAllText(Path.Combine(s_sources, s_layout)))];
        Assert.IsGreaterThan(8, known.Count);

        string[] again = [.. Directory.EnumerateFiles(s_sources, "*.cs", SearchOption.AllDirectories)
            .Select(static path => Path.GetRelativePath(s_sources, path)).Where(static name => name != s_layout).Order(StringComparer.Ordinal)
            .SelectMany(name => Addresses(File.ReadAllText(Path.Combine(s_sources, name))).Where(known.Contains)
                .Select(address => $"{name}: 0x{address:x}"))];

        Assert.AreEqual("", string.Join('\n', again), "name the constant of X86Layout");
    }

    [TestMethod]
    public void An_address_is_seen_in_code_and_not_in_comments_and_texts()
    {
        CollectionAssert.AreEqual(new[] { 0xfec0_0000UL, 0xa_0000UL }, Addresses(
            "a = 0xfec00000; // 0xfee00000\nb = \"0xfee00000\"; c = 0xa_0000;").ToArray());
    }

    private static IEnumerable<ulong> Addresses(string text) => Number().Matches(CommentOrText().Replace(text, ""))
        .Select(static match => ulong.Parse(match.Groups["digits"].Value.Replace("_", "", StringComparison.Ordinal),
            NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));

    [GeneratedRegex("0x(?<digits>[0-9a-fA-F_]+)", RegexOptions.ExplicitCapture)]
    private static partial Regex Number();

    [GeneratedRegex(""""
        """.*?"""|"(\\.|[^"\\\n])*"|//[^\n]*
        """", RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex CommentOrText();
}
