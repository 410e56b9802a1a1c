// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Rooms;

/// <summary>An option of the command line is declared in one place, which all verbs share.</summary>
[TestClass]
public sealed partial class OptionTests
{
    [TestMethod]
    public void No_option_is_declared_twice()
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "sources", "Keyhole.Cli");
        string[] names = [.. Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories).SelectMany(static path => Declared(
            File.ReadAllText(path)))];
        Assert.IsGreaterThan(40, names.Length);

        string[] twice = [.. names.GroupBy(static name => name).Where(static group => group.Count() > 1).Select(static group => group.Key).Order()];

        Assert.AreEqual("", string.Join(' ', twice));
    }

    [TestMethod]
    public void A_declaration_is_seen_and_a_message_that_names_an_option_is_not() => CollectionAssert.AreEqual(
        new[] { "--a", "--b" },
        Declared("""
            Option<int> a = new("--a"); var b = new Option<string?>(
                "--b"); InputError.Missing("--c", null, "--d")
            """).ToArray());

    private static IEnumerable<string> Declared(string text) => Declaration().Matches(text).Select(static match => match.Groups["name"].Value);

    [GeneratedRegex(@"\bnew\b[\w<>?\[\] ]*\(\s*""(?<name>--[a-z0-9-]+)""", RegexOptions.ExplicitCapture)]
    private static partial Regex Declaration();
}
