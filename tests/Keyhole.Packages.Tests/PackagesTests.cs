// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Packages.Tests;

/// <summary>What eng/package makes, built for real: installed into a root of its own with the tools of its own, used there, and removed without a
/// trace.</summary>
[TestClass]
[TestCategory("Packages")]
// What eng/package builds is built and packed by the others' set-up too.
[DoNotParallelize]
public sealed class PackagesTests : RootTests
{
    private static string s_made = "";
    private static string s_again = "";

    [ClassInitialize]
    public static void Make_the_packages(TestContext context)
    {
        s_made = Directory.CreateTempSubdirectory("keyhole-packages-").FullName;
        s_again = Directory.CreateTempSubdirectory("keyhole-packages-").FullName;
        Tools.Output(Path.Combine(Tools.Tree, "eng", "package"), s_made);
        Tools.Output(Path.Combine(Tools.Tree, "eng", "package"), "--system", s_again);
    }

    [ClassCleanup]
    public static void Remove_them()
    {
        Directory.Delete(s_made, recursive: true);
        Directory.Delete(s_again, recursive: true);
    }

    [TestMethod]
    public void The_rpm_is_installed_used_and_removed_in_a_root_that_has_nothing_else()
    {
        Tools.Output("rpm", "--root", Root, "--initdb");
        string package = Path.Combine(s_made, $"keyhole-{Version}-1.x86_64.rpm");

        Tools.Output("rpm", "--root", Root, "--install", package);

        AssertWorks("usr/bin/keyhole");
        AssertHas("usr/share/man/man1/keyhole-plan.1.gz", "usr/share/zsh/site-functions/_keyhole", "usr/share/licenses/keyhole/LICENSE",
            "usr/lib/keyhole/keyhole-probe.elf");
        Assert.StartsWith($"keyhole-{Version}-1.x86_64", Tools.Output("rpm", "--root", Root, "--query", "keyhole"));
        Assert.IsEmpty(Tools.Output("rpm", "--root", Root, "--verify", "keyhole"));
        Assert.AreEqual("GPL-2.0-only", Tools.Output("rpm", "--query", "--package", "--queryformat", "%{LICENSE}", package));

        Tools.Output("rpm", "--root", Root, "--erase", "keyhole");
        // Debian's rpm keeps its database in the home of whoever runs it.
        AssertEmpty("var", "host.log", "usr/lib/sysimage", "root/.rpmdb");
    }

    [TestMethod]
    public void The_tarball_is_installed_where_told_used_and_removed()
    {
        string unpacked = Directory.CreateTempSubdirectory("keyhole-tarball-").FullName;
        try
        {
            Tools.Output("tar", "--extract", "--directory", unpacked, "--file", Path.Combine(s_made, $"keyhole-{Version}-linux-x64.tar.gz"));
            string script = Path.Combine(unpacked, $"keyhole-{Version}-linux-x64", "install.sh");
            var environment = new Dictionary<string, string> { ["DESTDIR"] = Root };

            Assert.AreEqual(0, Tools.Run(environment, script, "--prefix", "/opt/k").Status);

            AssertWorks("opt/k/bin/keyhole");
            AssertHas("opt/k/share/man/man1/keyhole-plan.1.gz", "opt/k/share/zsh/site-functions/_keyhole");
            Assert.AreEqual(0, Tools.Run(environment, script, "--prefix", "/opt/k").Status);
            Assert.AreEqual(0, Tools.Run(environment, script, "--prefix=/opt/k", "--uninstall").Status);
            AssertEmpty("host.log");
            Tools.Result bad = Tools.Run(environment, script, "--prefix", "relative");
            Assert.AreEqual(2, bad.Status);
            Assert.Contains("--prefix: relative does not begin with a /", bad.Errors);
        }
        finally
        {
            Directory.Delete(unpacked, recursive: true);
        }
    }

    [TestMethod]
    public void The_tool_is_installed_by_dotnet_and_runs()
    {
        Tools.Output("dotnet", "tool", "install", "Keyhole.Tool", "--tool-path", Root, "--version", Version, "--source", s_made);

        Assert.AreEqual($"keyhole {Version}\n", Tools.Output(At("keyhole"), "--version"));
    }

    [TestMethod]
    public void The_libraries_carry_their_licence_and_documentation()
    {
        foreach (string name in (string[])["Keyhole", "Keyhole.Dom0"])
        {
            using ZipArchive package = ZipFile.OpenRead(Path.Combine(s_made, $"{name}.{Version}.nupkg"));
            string[] files = [.. package.Entries.Select(static entry => entry.FullName)];

            CollectionAssert.IsSubsetOf((string[])[$"lib/net10.0/{name}.dll", $"lib/net10.0/{name}.xml", "README.md"], files);
            using var specification = new StreamReader(package.GetEntry($"{name}.nuspec")!.Open());
            Assert.Contains("<license type=\"expression\">GPL-2.0-only</license>", specification.ReadToEnd());
        }
    }

    [TestMethod]
    public void The_same_commit_makes_the_same_packages()
    {
        Assert.HasCount(4, File.ReadAllLines(Path.Combine(s_made, "SHA256SUMS")));
        Assert.AreEqual(File.ReadAllText(Path.Combine(s_made, "SHA256SUMS")), File.ReadAllText(Path.Combine(s_again, "SHA256SUMS")));
    }

    [TestMethod]
    public void The_bill_of_materials_names_what_is_linked_in_and_what_only_built_it()
    {
        using JsonDocument bill = JsonDocument.Parse(File.ReadAllText(Path.Combine(s_made, $"keyhole-{Version}.cdx.json")));
        JsonElement root = bill.RootElement;
        Dictionary<string, JsonElement> components = root.GetProperty("components").EnumerateArray()
            .ToDictionary(static component => component.GetProperty("name").GetString()!);
        string[] linked = [.. components.Where(static component => component.Value.GetProperty("scope").GetString() == "required")
            .Select(static component => component.Key).Order(StringComparer.Ordinal)];

        Assert.AreEqual("CycloneDX", root.GetProperty("bomFormat").GetString());
        Assert.AreEqual("1.6", root.GetProperty("specVersion").GetString());
        CollectionAssert.AreEqual(
            (string[])["K4os.Compression.LZ4", "Microsoft.NETCore.App.Runtime.NativeAOT.linux-x64", "SharpCompress", "System.CommandLine",
                "ZstdSharp.Port", "glibc", "libgcc"], linked);
        Assert.AreEqual("excluded", components["Meziantou.Analyzer"].GetProperty("scope").GetString());
        foreach ((string name, JsonElement component) in components)
        {
            Assert.IsTrue(component.TryGetProperty("licenses", out _), name);
            Assert.AreEqual(component.GetProperty("bom-ref").GetString(), component.GetProperty("purl").GetString(), name);
        }

        CollectionAssert.AreEquivalent(
            linked.Select(name => components[name].GetProperty("bom-ref").GetString()).ToArray(),
            root.GetProperty("dependencies")[0].GetProperty("dependsOn").EnumerateArray().Select(static reference => reference.GetString())
                .ToArray());
    }
}
