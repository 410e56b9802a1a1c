// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Hosts;

/// <summary>What the tests of readers and writers share.</summary>
internal static class MapFixtures
{
    public static string Folder(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", name);

    public static IEnumerable<string> GoldenLogs() => Directory.GetFiles(Folder("golden"), "*.log").Order(StringComparer.Ordinal);

    public static Parsed<HostDocument> ReadBytes(byte[] bytes, HostMapOptions? options = null) =>
        HostMapReader.Read(new MemoryStream(bytes), "test.log", options ?? HostMapOptions.Default);

    public static Parsed<HostDocument> ReadText(string text, HostMapOptions? options = null) => ReadBytes(Encoding.Latin1.GetBytes(text), options);

    public static HostDocument Expect(Parsed<HostDocument> parsed)
    {
        Assert.IsTrue(parsed.TryGet(out HostDocument? map, out InputError? error), error?.ToString());
        return map;
    }

    public static InputError ExpectError(Parsed<HostDocument> parsed)
    {
        Assert.IsFalse(parsed.TryGet(out HostDocument? map, out InputError? error), map is null ? "" : Show(map.Host.Entries));
        Assert.IsFalse(error.ToString().Any(char.IsControl), "an error is one line");
        return error;
    }

    public static string Show(IEnumerable<E820Entry> entries) =>
        string.Join('\n', entries.Select(entry => $"{entry.Address:x} {entry.End:x} {(uint)entry.Type}"));

    public static void AreSame(string expected, HostDocument map) =>
        Assert.AreEqual(expected.ReplaceLineEndings("\n").Trim(), Show(map.Host.Entries));
}
