// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Keyhole.Captures;
using Keyhole.Hosts;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Captures;

/// <summary>Logs of real machines: each folder holds the capture, where it comes from, and the map that it must give.</summary>
[TestClass]
public sealed class HostFixtureTests
{
    public static IEnumerable<object[]> Machines() =>
        Directory.GetDirectories(MapFixtures.Folder("hosts")).Order(StringComparer.Ordinal).Select(path => new object[] { Path.GetFileName(path) });

    [TestMethod]
    [DynamicData(nameof(Machines))]
    public void Every_machine_s_log_gives_its_expected_map(string machine)
    {
        string folder = Path.Combine(MapFixtures.Folder("hosts"), machine);
        HostDocument expected = Read(Path.Combine(folder, "expected.txt"));
        string capture = Directory.GetFiles(folder).Single(path => Path.GetFileName(path) is not "expected.txt" and not "PROVENANCE.md");
        HostDocument map = Read(capture);
        Assert.AreEqual(MapFixtures.Show(expected.Host.Entries), MapFixtures.Show(map.Host.Entries));
        Assert.AreNotEqual(HostMapDialect.Lines, map.Dialect);
        Assert.IsGreaterThan(40, new FileInfo(Path.Combine(folder, "PROVENANCE.md")).Length);
    }

    private static HostDocument Read(string path)
    {
        using FileStream stream = File.OpenRead(path);
        return MapFixtures.Expect(HostMapReader.Read(stream, Path.GetFileName(path), HostMapOptions.Default));
    }
}
