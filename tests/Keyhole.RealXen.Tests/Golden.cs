// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;

namespace Keyhole.RealXen.Tests;

/// <summary>The golden records beside the test program.</summary>
internal static class Golden
{
    private static string Folder => Path.Combine(AppContext.BaseDirectory, "fixtures", "golden");

    public static IEnumerable<string> Names => Directory.GetFiles(Folder, "*.log").Select(path => Path.GetFileNameWithoutExtension(path)).Order(StringComparer.Ordinal);

    public static IEnumerable<object[]> Rows => Names.Select(name => new object[] { name });

    public static string Text(string name) => File.ReadAllText(Path.Combine(Folder, name + ".log"));

    public static GoldenRecord Record(string name) => GoldenRecord.Parse(Text(name));
}
