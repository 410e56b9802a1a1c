// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Packages.Tests;

/// <summary>The .deb, made, installed with dpkg, used and purged: short enough for ./test.</summary>
[TestClass]
[TestCategory("Packages")]
// What eng/package builds is built and packed by the others' set-up too.
[DoNotParallelize]
public sealed class DebTests : RootTests
{
    private readonly string _made = Directory.CreateTempSubdirectory("keyhole-deb-").FullName;

    [TestInitialize]
    public void Make_it() => Tools.Output(Path.Combine(Tools.Tree, "eng", "package"), "--deb", _made);

    [TestCleanup]
    public void Remove_it() => Directory.Delete(_made, recursive: true);

    [TestMethod]
    public void The_deb_is_installed_used_and_removed_in_a_root_that_has_nothing_else()
    {
        foreach (string folder in (string[])["updates", "info", "triggers"])
            Directory.CreateDirectory(At($"var/lib/dpkg/{folder}"));
        File.WriteAllText(At("var/lib/dpkg/status"), "");
        string package = Path.Combine(_made, $"keyhole_{Version}_amd64.deb");

        Tools.Output("dpkg", "--force-not-root", "--force-bad-path", "--root=" + Root, "--install", package);

        AssertWorks("usr/bin/keyhole");
        AssertHas("usr/share/man/man1/keyhole-plan.1.gz", "usr/share/man/man7/keyhole-policies.7.gz", "usr/share/bash-completion/completions/keyhole",
            "usr/share/zsh/vendor-completions/_keyhole", "usr/share/fish/vendor_completions.d/keyhole.fish", "usr/share/doc/keyhole/copyright",
            "usr/lib/keyhole/keyhole-probe.elf");
        Assert.Contains("Status: install ok installed", File.ReadAllText(At("var/lib/dpkg/status")));
        Assert.IsEmpty(Tools.Output("dpkg", "--root=" + Root, "--verify", "keyhole"));

        Tools.Output("dpkg", "--force-not-root", "--force-bad-path", "--root=" + Root, "--purge", "keyhole");
        AssertEmpty("var", "host.log");
    }
}
