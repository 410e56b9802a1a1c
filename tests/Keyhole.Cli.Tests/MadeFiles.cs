// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>The files and folders among a command's arguments that the command makes: put aside after a first run, and compared with those of a
/// second.</summary>
internal sealed class MadeFiles : IDisposable
{
    private readonly string[] _missing;
    private readonly string _aside = Directory.CreateTempSubdirectory("keyhole-made-").FullName;
    private string[] _made = [];

    public MadeFiles(IEnumerable<string> args) => _missing = [.. args.Where(static arg => arg.Length > 0 && !Path.Exists(arg)).Distinct()];

    public void PutAside()
    {
        _made = [.. _missing.Where(Path.Exists)];
        for (int i = 0; i < _made.Length; i++)
            Directory.Move(_made[i], Path.Combine(_aside, $"{i}"));
    }

    public void AssertSame()
    {
        for (int i = 0; i < _made.Length; i++)
            AssertSame(Path.Combine(_aside, $"{i}"), _made[i]);
        foreach (string path in _missing.Except(_made))
            Assert.IsFalse(Path.Exists(path), path);
    }

    public void Dispose() => Directory.Delete(_aside, recursive: true);

    private static void AssertSame(string first, string second)
    {
        if (!Directory.Exists(first))
        {
            CollectionAssert.AreEqual(File.ReadAllBytes(first), File.ReadAllBytes(second), second);
            return;
        }

        string[] names = NamesIn(first);
        CollectionAssert.AreEqual(names, NamesIn(second), second);
        foreach (string name in names)
            AssertSame(Path.Combine(first, name), Path.Combine(second, name));
    }

    private static string[] NamesIn(string folder) =>
        [.. Directory.EnumerateFileSystemEntries(folder).Select(static path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
}
