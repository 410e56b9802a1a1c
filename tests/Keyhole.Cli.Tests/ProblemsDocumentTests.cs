// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using Keyhole.Diagnostics;
using Keyhole.ReservedRam;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>docs/problems.md has every code once.</summary>
[TestClass]
public sealed class ProblemsDocumentTests
{
    private static readonly string[] s_severities = ["info", "warning", "error"];

    private static string[][] Rows => [.. File.ReadLines(Path.Combine(AppContext.BaseDirectory, "fixtures", "shown", "problems.md"))
        .Where(static line => line.StartsWith("| `", StringComparison.Ordinal))
        .Select(static line => line.Split('|')[1..^1].Select(static cell => cell.Trim()).ToArray())];

    [TestMethod]
    public void Every_code_of_a_problem_is_told_once_and_no_other()
    {
        IEnumerable<string> codes = new[] { typeof(ProblemCodes), typeof(ReserveProblemCodes) }
            .SelectMany(static type => type.GetFields(BindingFlags.Public | BindingFlags.Static))
            .Select(static field => (string)field.GetRawConstantValue()!);
        CollectionAssert.AreEquivalent(codes.ToArray(), Rows.Where(static row => row.Length == 3).Select(static row => row[0].Trim('`')).ToArray());
    }

    [TestMethod]
    public void Every_code_of_an_input_that_cannot_be_read_is_told_once_and_no_other() => CollectionAssert.AreEquivalent(
        Enum.GetValues<InputErrorCode>().Select(InputErrorCodes.NameOf).ToArray(),
        Rows.Where(static row => row.Length == 2).Select(static row => row[0].Trim('`')).ToArray());

    [TestMethod]
    public void Each_row_has_its_severities_and_says_something()
    {
        foreach (string[] row in Rows)
        {
            Assert.IsTrue(row.Length == 2 || row[1].Split(", ").All(s_severities.Contains), row[0]);
            Assert.EndsWith(".", row[^1]);
        }
    }
}
