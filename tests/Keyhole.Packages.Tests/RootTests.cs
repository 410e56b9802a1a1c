// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Packages.Tests;

/// <summary>A root of a test's own, in which a package is installed, used and removed.</summary>
public abstract class RootTests
{
    protected const string Version = "0.1.0";

    private static readonly string[] s_plan = ["plan", "--host", "/host.log", "--memory", "3072", "--e820-host"];

    protected string Root { get; } = Directory.CreateTempSubdirectory("keyhole-root-").FullName;

    [TestCleanup]
    public void Remove_the_root() => Directory.Delete(Root, recursive: true);

    protected string At(string path) => Path.Combine(Root, path);

    /// <summary>Runs the installed program with nothing else there, no libc either: what it plans is what the one here does.</summary>
    protected void AssertWorks(string path)
    {
        File.Copy(Path.Combine(AppContext.BaseDirectory, "fixtures", "golden", "seed8g.log"), At("host.log"), overwrite: true);
        string plan = Tools.Output("chroot", [Root, "/" + path, .. s_plan]);
        Assert.Contains("low-memory-lost [0x20000000, 0x20200000)", plan);
    }

    protected void AssertHas(params string[] paths)
    {
        foreach (string path in paths)
            Assert.IsTrue(File.Exists(At(path)), path);
    }

    /// <summary>Nothing but these folders and files is left, and folders that nobody owns, such as usr/share/doc.</summary>
    protected void AssertEmpty(params string[] but)
    {
        string[] left = [.. Directory.EnumerateFileSystemEntries(Root, "*", SearchOption.AllDirectories)
            .Where(path => !but.Any(kept => path == At(kept) || path.StartsWith(At(kept) + "/", StringComparison.Ordinal)
                || At(kept).StartsWith(path + "/", StringComparison.Ordinal)))
            .Where(path => File.Exists(path) || path[Root.Length..].Contains("keyhole", StringComparison.Ordinal))];
        Assert.IsEmpty(left, string.Join(' ', left));
    }
}
