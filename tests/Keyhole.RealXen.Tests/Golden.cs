// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;

namespace Keyhole.RealXen.Tests;

/// <summary>The records beside the test program: "plain4g" is one of golden/, "hvm/sizes" one of hvm/.</summary>
internal static class Golden
{
    public static IEnumerable<string> Names => In("golden");

    public static IEnumerable<object[]> Rows => Names.Select(name => new object[] { name });

    /// <summary>Records of HVM and PVH guests and of a PVH dom0.</summary>
    public static IEnumerable<object[]> VirtualisedRows => In("hvm").Select(name => new object[] { "hvm/" + name });

    public static IEnumerable<object[]> AllRows => Rows.Concat(VirtualisedRows);

    public static string Text(string name) =>
        File.ReadAllText(Path.Combine(Folder, name.Contains('/', StringComparison.Ordinal) ? name + ".log" : $"golden/{name}.log"));

    public static GoldenRecord Record(string name) => GoldenRecord.Parse(Text(name));

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "fixtures");

    private static IEnumerable<string> In(string folder) =>
        Directory.GetFiles(Path.Combine(Folder, folder), "*.log").Select(path => Path.GetFileNameWithoutExtension(path))
            .Order(StringComparer.Ordinal);
}
