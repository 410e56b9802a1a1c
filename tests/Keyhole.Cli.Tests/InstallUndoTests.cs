// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Runtime.Versioning;
using System.Threading.Tasks;
using Keyhole.Dom0;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>install and its undo where something is in their way: what is left, and what is said of it.</summary>
[TestClass]
[OSCondition(OperatingSystems.Linux)]
[SupportedOSPlatform("linux")]
public sealed class InstallUndoTests : IDisposable
{
    private const string Plain = "name=\"g2\"\ntype=\"pv\"\nmemory=256\ne820_host=1\nkernel=\"/k\"\nvif = [ 'bridge=a' ]\n";
    private const string Changed = "the file was changed since";

    private readonly FakeDom0 _dom0 = new();

    public InstallUndoTests()
    {
        _dom0.Write("etc/xen/scripts/vif-bridge", "#!/bin/sh\n");
        _dom0.Write("etc/xen/g2.cfg", Plain);
    }

    private string Config => Path.Combine(_dom0.Root, "etc/xen/g2.cfg");

    private string Folder => Path.Combine(_dom0.Root, "etc/xen/keyhole/g2");

    private string Script => Path.Combine(Folder, "vif-1");

    public void Dispose() => _dom0.Dispose();

    [TestMethod]
    public void Where_xl_does_not_tell_whether_the_guest_is_there_its_script_stays()
    {
        Run("install", Config);
        _dom0.DomidError = "libxl: error: cannot open libxc handle\n";

        CommandRun undone = Run("install", Config, "--undo");

        Assert.AreEqual(0, undone.Status, undone.Errors);
        Assert.AreEqual(Plain, File.ReadAllText(Config));
        Assert.DoesNotContain("apply", File.ReadAllText(Script));
        Assert.Contains("the guest may be there (xl domid: failed: \"libxl: error: cannot open libxc handle\"), and xl remembers the script",
            undone.Output);
    }

    [TestMethod]
    public void The_script_of_a_guest_that_has_another_name_by_now_stays()
    {
        Run("install", Config);
        _dom0.Write("var/lib/xen/userdata-d.7.11111111-2222-3333-4444-666666666666.libxl-json",
            $$"""{"c_info":{"type":"pv","name":"other"},"nics":[{"devid":0,"script":"{{Script}}"}]}""" + "\0");

        CommandRun undone = Run("install", Config, "--undo");

        Assert.Contains("the guest is there, and xl remembers the script", undone.Output);
        Assert.Contains("exec '", File.ReadAllText(Script));
    }

    [TestMethod]
    public void A_file_that_is_as_it_was_before_has_no_changes_that_stay()
    {
        Run("install", Config);
        // As an undo that was killed behind the file's change leaves it.
        File.WriteAllText(Config, Plain);

        CommandRun undone = Run("install", Config, "--undo");

        Assert.AreEqual(0, undone.Status, undone.Errors);
        Assert.DoesNotContain(Changed, undone.Output);
        Assert.AreEqual(Plain, File.ReadAllText(Config));
        Assert.IsFalse(Directory.Exists(Folder));
    }

    [TestMethod]
    public void An_installation_that_fails_leaves_nothing()
    {
        // What it is to be replaced by has no place.
        Directory.CreateDirectory(Path.Combine(_dom0.Root, $"etc/xen/.g2.cfg.{Environment.ProcessId}.keyhole"));

        Assert.AreEqual(2, Run("install", Config).Status);

        Assert.IsFalse(Directory.Exists(Path.Combine(_dom0.Root, "etc/xen/keyhole")));
        Assert.Contains("Keyhole has installed nothing there", Run("install", Config, "--undo").Errors);
    }

    [TestMethod]
    public void An_installation_that_fails_leaves_the_script_of_a_guest_that_runs_as_it_was()
    {
        Run("install", Config);
        _dom0.DomidError = "libxl: error: cannot open libxc handle\n";
        Run("install", Config, "--undo");
        string kept = File.ReadAllText(Script);
        Directory.CreateDirectory(Path.Combine(_dom0.Root, $"etc/xen/.g2.cfg.{Environment.ProcessId}.keyhole"));

        Assert.AreEqual(2, Run("install", Config).Status);

        Assert.AreEqual(kept, File.ReadAllText(Script));
        Assert.IsTrue(File.GetUnixFileMode(Script).HasFlag(UnixFileMode.UserExecute));
        Assert.Contains("Keyhole has installed nothing there", Run("install", Config, "--undo").Errors);
    }

    [TestMethod]
    public void A_file_is_the_same_by_all_paths_that_links_make()
    {
        string link = Path.Combine(_dom0.Root, "etc/link");
        File.CreateSymbolicLink(link, "xen");
        string other = Path.Combine(link, "g2.cfg");

        Assert.Contains(Config, Run("install", other).Output);
        Assert.Contains("Keyhole's script is installed already", Run("install", Config).Errors);
        Assert.DoesNotContain("give this one another name", Run("install", Config).Errors);
        Assert.AreEqual(0, Run("install", Config, "--undo").Status);
        Assert.AreEqual(Plain, File.ReadAllText(Config));
    }

    [TestMethod]
    public void A_record_of_a_path_with_a_link_in_it_is_the_files()
    {
        File.CreateSymbolicLink(Path.Combine(_dom0.Root, "etc/link"), "xen");
        Run("install", Config);
        string record = Path.Combine(Folder, "installed.json");
        File.WriteAllText(record, File.ReadAllText(record).Replace("etc/xen/g2.cfg", "etc/link/g2.cfg", StringComparison.Ordinal));

        Assert.AreEqual(0, Run("install", Config, "--undo").Status);
        Assert.AreEqual(Plain, File.ReadAllText(Config));
    }

    [TestMethod]
    public void Links_that_lead_in_a_circle_are_refused()
    {
        string link = Path.Combine(_dom0.Root, "circle");
        File.CreateSymbolicLink(link, "circle");

        CommandRun run = Run("install", "--undo", link);

        Assert.AreEqual(2, run.Status);
        Assert.Contains("Too many levels of symbolic links", run.Errors);
    }

    [TestMethod]
    public void A_file_with_two_names_is_refused()
    {
        string second = Path.Combine(_dom0.Root, "etc/second.cfg");
        Assert.AreEqual(0, ExecutableRun.Of("/bin/ln", [], [Config, second]).Status);

        CommandRun run = Run("install", Config);

        Assert.AreEqual(1, run.Status, run.Output);
        Assert.Contains("it has another name (a hard link), under which the file would stay as it is", run.Errors);
        Assert.AreEqual(Plain, File.ReadAllText(Config));
        Assert.IsFalse(Directory.Exists(Folder));
    }

    [TestMethod]
    public void A_build_that_the_next_ones_take_away_is_not_installed()
    {
        CommandRun run = CommandRun.InDom0(_dom0.Machine with { Program = "/src/keyhole/artifacts/keyhole/build-3/Keyhole.Cli" }, "install", Config);

        Assert.AreEqual(2, run.Status, run.Output);
        Assert.Contains("this build goes when the sources change", run.Errors);
        Assert.IsFalse(Directory.Exists(Folder));
    }

    [TestMethod]
    public void Of_two_that_install_at_once_the_script_is_the_ones_that_succeeds()
    {
        for (int i = 0; i < 10; i++)
        {
            string[] choices = ["stop", "libxl"];
            int[] statuses = [.. choices.AsParallel().AsOrdered().WithDegreeOfParallelism(2)
                .Select(choice => Run("install", Config, "--or-else", choice).Status)];

            Assert.HasCount(1, statuses.Where(static status => status == 0));
            Assert.Contains($"or_else={choices[Array.IndexOf(statuses, 0)]}\n", File.ReadAllText(Script));
            Assert.AreEqual(0, Run("install", Config, "--undo").Status);
        }
    }

    [TestMethod]
    public async Task An_installation_waits_for_the_one_that_is_at_work()
    {
        Directory.CreateDirectory(_dom0.Machine.StateFolder);
        Task<CommandRun> second;
        using (new FileStream(Path.Combine(_dom0.Machine.StateFolder, "install.lock"), FileMode.Create, FileAccess.ReadWrite, FileShare.None))
        {
            second = Task.Run(() => Run("install", Config));
            Assert.AreNotSame(second, await Task.WhenAny(second, Task.Delay(TimeSpan.FromSeconds(2))));
            Assert.AreEqual(Plain, File.ReadAllText(Config));
        }

        Assert.AreEqual(0, (await second).Status);
    }

    [TestMethod]
    public void What_helps_is_told_by_what_failed()
    {
        Assert.AreEqual("make room there", FileProblem.Remedy(new IOException("No space left on device", 28), isRoot: true));
        Assert.Contains("remount,rw", FileProblem.Remedy(new IOException("Read-only file system", 30), isRoot: true));
        Assert.AreEqual("run this as root", FileProblem.Remedy(new UnauthorizedAccessException(), isRoot: false));
        Assert.DoesNotContain("run this as root", FileProblem.Remedy(new UnauthorizedAccessException(), isRoot: true));
    }

    [TestMethod]
    public void A_map_that_cannot_be_remembered_leaves_no_file()
    {
        string folder = _dom0.Machine.StateFolder;
        Directory.CreateDirectory(Path.Combine(folder, "domain-5.json"));
        var applied = new AppliedMap { Domain = FakeDom0.Guest, Uuid = Guid.Empty, Policy = "punch", Installed = [], Before = [] };

        Assert.IsNotNull(new AppliedMapStore(folder).Save(applied));

        Assert.HasCount(1, Directory.GetFileSystemEntries(folder));
    }

    private CommandRun Run(params string[] args) => CommandRun.InDom0(_dom0.Machine, args);
}
