// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using Keyhole.RealMachine;

namespace Keyhole.RealXen;

/// <summary>The harness' own sources that are built during a run, and the records that it makes and compares with.</summary>
public static class Sources
{
    /// <summary>Records in the source tree.</summary>
    public static string Fixtures => Path.Combine(Workshop.Root, "tests", "fixtures");

    /// <summary>A piece of the harness' own source: "shim/shim.c", "dom0/init" and so on.</summary>
    public static string Text(string name)
    {
        using Stream stream = typeof(Sources).Assembly.GetManifestResourceStream(name)
            ?? throw new HarnessException($"{name}: not among the harness' sources; see Keyhole.RealXen.csproj");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
