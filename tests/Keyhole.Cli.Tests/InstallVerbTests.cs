// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Runtime.Versioning;
using System.Text;
using System.Text.Json;
using Keyhole.Dom0;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

[TestClass]
[OSCondition(OperatingSystems.Linux)]
[SupportedOSPlatform("linux")]
public sealed class InstallVerbTests : IDisposable
{
    private const string Plain =
        "name=\"g2\"\ntype=\"pv\"\nmemory=256\n# caf\u00e9\ne820_host=1\nkernel=\"/k\"\nvif = [ 'bridge=a',\n  'script=vif-route' ]\n";

    private readonly FakeDom0 _dom0 = new();

    public InstallVerbTests()
    {
        foreach (string script in (string[])["vif-bridge", "vif-route", "block"])
            _dom0.Write("etc/xen/scripts/" + script, "#!/bin/sh\n");
        // Not UTF-8, as old files are.
        Directory.CreateDirectory(Path.GetDirectoryName(Config)!);
        File.WriteAllBytes(Config, Encoding.Latin1.GetBytes(Plain));
    }

    private string Config => Path.Combine(_dom0.Root, "etc/xen/g2.cfg");

    private string Folder => Path.Combine(_dom0.Root, "etc/xen/keyhole/g2");

    public void Dispose() => _dom0.Dispose();

    [TestMethod]
    public void The_configuration_names_Keyholes_scripts_and_comes_back_byte_for_byte()
    {
        byte[] before = File.ReadAllBytes(Config);

        JsonElement installed = Run("install", Config, "--json").Json();

        SchemaTests.AssertValid("install", installed.GetRawText());
        Assert.IsTrue(installed.GetProperty("installed").GetBoolean());
        Assert.AreEqual("stop", installed.GetProperty("orElse").GetString());
        Assert.HasCount(2, installed.GetProperty("changes").EnumerateArray());
        Assert.AreEqual($"vif = [ 'bridge=a,script={Folder}/vif-1',", installed.GetProperty("changes")[0].GetProperty("after").GetString());
        Assert.AreEqual(Plain.Replace("bridge=a", $"bridge=a,script={Folder}/vif-1", StringComparison.Ordinal)
            .Replace("script=vif-route", $"script={Folder}/vif-2", StringComparison.Ordinal), Encoding.Latin1.GetString(File.ReadAllBytes(Config)));
        string script = File.ReadAllText(Path.Combine(Folder, "vif-2"));
        Assert.Contains($"own='{_dom0.Root}/etc/xen/scripts/vif-route'\n", script);
        Assert.Contains("'apply' '--guest' \"$guest\" '--policy' 'punch' '--kernel' ", script);
        Assert.IsTrue(File.GetUnixFileMode(Path.Combine(Folder, "vif-1")).HasFlag(UnixFileMode.UserExecute | UnixFileMode.OtherExecute));
        CollectionAssert.AreEqual(before, File.ReadAllBytes(Path.Combine(Folder, "before.cfg")));

        CommandRun undone = Run("install", "--undo", Config, "--json");

        SchemaTests.AssertValid("install", undone.Output);
        CollectionAssert.AreEqual(before, File.ReadAllBytes(Config));
        Assert.IsFalse(Directory.Exists(Folder));
        Refused(1, "Keyhole has installed nothing there", "install", "--undo", Config);
    }

    [TestMethod]
    public void A_dry_run_shows_the_change_and_makes_none()
    {
        string text = Run("install", Config, "--dry-run").Output;

        Assert.Contains("- vif = [ 'bridge=a',\n+ vif = [ 'bridge=a,script=", text);
        Assert.Contains("nothing was changed (--dry-run)", text);
        Assert.AreEqual(Plain, Encoding.Latin1.GetString(File.ReadAllBytes(Config)));
        Assert.IsFalse(Directory.Exists(Path.Combine(_dom0.Root, "etc/xen/keyhole")));
    }

    [TestMethod]
    public void The_lines_that_change_are_shown_whole_however_long_they_are()
    {
        string line = $"vif = ['bridge=a,mac=00:16:3e:00:00:01,ip={new string('1', 90)}']";
        File.WriteAllText(Config, $"{Plain[..Plain.IndexOf("vif", StringComparison.Ordinal)]}{line}\n");

        string[] lines = Run("install", Config, "--dry-run").Output.Split('\n');

        Assert.Contains($"- {line}", lines);
        Assert.Contains($"+ {line[..^2]},script={Path.Combine(Folder, "vif-1")}']", lines);
    }

    [TestMethod]
    public void It_is_not_installed_twice_nor_over_another_guests_script()
    {
        Run("install", Config);
        byte[] once = File.ReadAllBytes(Config);
        string copy = Path.Combine(_dom0.Root, "copy.cfg");
        File.Copy(Config, copy);

        Refused(1, "Keyhole's script is installed already", "install", Config);
        Refused(1, "Keyhole's script is installed already for a guest of that name", "install", copy);
        Refused(1, "it names a script of Keyhole's that was made for another file", "install", "--undo", copy);
        CollectionAssert.AreEqual(once, File.ReadAllBytes(Config));
    }

    [TestMethod]
    public void What_was_changed_by_hand_since_stays_when_it_is_undone()
    {
        Run("install", Config);
        File.WriteAllBytes(Config, Encoding.Latin1.GetBytes(Encoding.Latin1.GetString(File.ReadAllBytes(Config))
            .Replace("memory=256", "memory=512", StringComparison.Ordinal)));

        Refused(1, "the file was changed since", "install", Config);
        CommandRun undone = Run("install", "--undo", Config);

        Assert.Contains("the file was changed since Keyhole's script was installed: those changes stay", undone.Output);
        Assert.AreEqual(Plain.Replace("memory=256", "memory=512", StringComparison.Ordinal), Encoding.Latin1.GetString(File.ReadAllBytes(Config)));
    }

    [TestMethod]
    public void What_was_restored_by_hand_can_be_installed_again()
    {
        Run("install", Config);
        File.WriteAllBytes(Config, Encoding.Latin1.GetBytes(Plain));

        Assert.AreEqual(0, Run("install", Config).Status);
    }

    [TestMethod]
    public void A_link_stays_a_link_and_permissions_stay()
    {
        string link = Path.Combine(_dom0.Root, "etc/xen/auto/g2.cfg");
        Directory.CreateDirectory(Path.GetDirectoryName(link)!);
        File.CreateSymbolicLink(link, "../g2.cfg");
        File.SetUnixFileMode(Config, UnixFileMode.UserRead | UnixFileMode.UserWrite);

        Run("install", link);

        Assert.AreEqual("../g2.cfg", new FileInfo(link).LinkTarget);
        Assert.AreEqual(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Config));
        Assert.AreEqual(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(Folder, "before.cfg")));
        Assert.HasCount(1, Directory.GetFileSystemEntries(Path.GetDirectoryName(link)!));
        Assert.Contains("script=", File.ReadAllText(Config).Split("bridge=a")[1]);
    }

    [TestMethod]
    public void Where_libxls_own_map_would_do_the_guest_starts_on_it_and_a_choice_counts()
    {
        File.WriteAllText(Config, "name=\"g2\"\ntype=\"pv\"\nmemory=256\nvif=['']\nkernel=\"/k\"\n");

        Assert.AreEqual("libxl", Run("install", Config, "--dry-run", "--json").Json().GetProperty("orElse").GetString());
        Assert.AreEqual("stop", Run("install", Config, "--dry-run", "--json", "--or-else", "stop").Json().GetProperty("orElse").GetString());
        Run("install", Config);
        Assert.Contains("or_else=libxl\n", File.ReadAllText(Path.Combine(Folder, "vif-1")));
    }

    [TestMethod]
    public void A_guest_that_is_there_keeps_a_script_that_does_nothing_of_its_own()
    {
        File.WriteAllText(Config, Plain.Replace("g2", "g1", StringComparison.Ordinal));
        string folder = Path.Combine(_dom0.Root, "etc/xen/keyhole/g1");
        Assert.Contains("shut it down and create it again", Run("install", Config).Output);

        Assert.Contains("xl remembers the script", Run("install", "--undo", Config).Output);

        Assert.Contains("exec '", File.ReadAllText(Path.Combine(folder, "vif-1")));
        Assert.DoesNotContain("apply", File.ReadAllText(Path.Combine(folder, "vif-1")));
        Assert.AreEqual(0, Run("install", Config).Status);
        Assert.Contains("apply", File.ReadAllText(Path.Combine(folder, "vif-1")));
    }

    [TestMethod]
    public void What_cannot_be_done_is_refused_in_one_line_and_changes_nothing()
    {
        Refused(2, "take stop or libxl", "install", Config, "--or-else", "wait");
        Refused(2, "libxl makes its own map by itself", "install", Config, "--policy", "libxl");
        Refused(2, "no file is named", "install");
        File.WriteAllText(Config, "name=\"g2\"\ntype=\"pv\"\nmemory=256\nkernel=\"/k\"\ndisk=['/srv/a.img,raw,xvda,w']\n");
        Refused(1, "it has no vif that dom0 serves, and no disk on a block device", "install", Config);
        File.WriteAllText(Config, "name=\"g2\"\ntype=\"pv\"\nmemory=256\nkernel=\"/k\"\nvif=['script=vif-gone']\n");
        Refused(1, "vif-gone\", is not there", "install", Config);
        File.WriteAllText(Config, "name=\"g2\"\ntype=\"hvm\"\nmemory=256\nvif=['']\n");
        Refused(2, "the guest is not a PV guest", "install", Config);
        File.WriteAllText(Config, "name=\"g2\"\ntype=\"pv\"\nmemory=256\nkernel=\"/k\"\nvif=['']\n");
        _dom0.Write("etc/xen/xl.conf", "run_hotplug_scripts=0\n");
        Refused(1, "udev runs the scripts, and xl does not wait for them", "install", Config);
        File.SetUnixFileMode(Config, UnixFileMode.UserRead | UnixFileMode.OtherRead | UnixFileMode.OtherWrite);
        Refused(1, "anybody may write to it", "install", Config);
        _dom0.IsXen = false;
        Refused(2, "/dev/xen/privcmd", "install", Config);
        Assert.IsFalse(Directory.Exists(Path.Combine(_dom0.Root, "etc/xen/keyhole")));
    }

    [TestMethod]
    public void The_default_script_is_xl_confs()
    {
        _dom0.Write("etc/xen/xl.conf", "vif.default.script=\"vif-route\"\n");
        File.WriteAllText(Config, "name=\"a guest's name\"\ntype=\"pv\"\nmemory=256\nvif=['']\nkernel=\"/k\"\n");

        JsonElement installed = Run("install", Config, "--json").Json();

        Assert.AreEqual($"{_dom0.Root}/etc/xen/scripts/vif-route", installed.GetProperty("scripts")[0].GetProperty("runs").GetString());
        // A name that is no plain word is no folder's.
        Assert.Contains("/etc/xen/keyhole/guest-", installed.GetProperty("scripts")[0].GetProperty("path").GetString()!);
    }

    [TestMethod]
    public void A_map_is_applied_to_a_guest_that_xl_is_building_and_its_size_is_xenstores()
    {
        File.WriteAllText(Config, "name=\"g1\"\ntype=\"pv\"\nmemory=64\ne820_host=1\nkernel=\"/k\"\n");
        _dom0.KnowsConfiguration = false;
        Refused(1, "the toolstack does not say how it was made", "apply", "g1");

        foreach (LiveMachine machine in (LiveMachine[])[_dom0.Machine, _dom0.Machine with { Hotplug = new(FakeDom0.Guest) }])
        {
            JsonElement applied = CommandRun.InDom0(machine, "apply", "--guest", Config, "--json").Json();

            Assert.IsTrue(applied.GetProperty("installed").GetBoolean());
            Assert.AreEqual(65536, applied.GetProperty("forecast").GetProperty("nrPages").GetInt32());
            Assert.AreEqual("0x800000", applied.GetProperty("old")[0].GetProperty("end").GetString());
        }

        Assert.AreEqual(0, Run("apply", "5", "--guest", Config).Status);
        Assert.AreEqual(0, Run("apply", "g1", "--guest", Config).Status);
        Refused(2, "none is named", "apply");
        Refused(2, "there is no such domain", "apply", "--guest", WithName("other"));
        Assert.IsNotEmpty(_dom0.GuestsMap());
    }

    [TestMethod]
    public void A_hotplug_script_leaves_a_guest_alone_that_runs_already()
    {
        _dom0.Info = _dom0.Info with { IsPaused = false, CpuTimeNanoseconds = 1 };
        LiveMachine machine = _dom0.Machine with { Hotplug = new(FakeDom0.Guest) };

        CommandRun run = CommandRun.InDom0(machine, "apply", "--guest", WithName("g1"));

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.Contains("runs, and keeps the map that it started on", run.Output);
        SchemaTests.AssertValid("apply", CommandRun.InDom0(machine, "apply", "--guest", WithName("g1"), "--json").Output);
        Assert.IsEmpty(_dom0.GuestsMap());
        Refused(1, "it runs, and has read its map already", "apply", "--guest", WithName("g1"));
    }

    [TestMethod]
    public void Hotplug_scripts_of_one_guest_wait_for_each_other_and_not_for_whoever_makes_it()
    {
        _dom0.Write($"state/guest-{_dom0.Info.Uuid}.lock", "");
        using var maker = new FileStream(Path.Combine(_dom0.Machine.StateFolder, $"guest-{_dom0.Info.Uuid}.lock"), FileMode.Open,
            FileAccess.ReadWrite, FileShare.None);
        LiveMachine machine = _dom0.Machine with { Hotplug = new(FakeDom0.Guest) };
        string config = WithName("g1");

        int[] statuses = [.. Enumerable.Range(0, 8).AsParallel().WithDegreeOfParallelism(8)
            .Select(_ => CommandRun.InDom0(machine, "apply", "--guest", config).Status)];

        Assert.IsTrue(statuses.All(static status => status == 0));
        Assert.IsNotEmpty(_dom0.GuestsMap());
    }

    [TestMethod]
    [DataRow("backend/vif/5/0", 5)]
    [DataRow("/local/domain/0/backend/vbd/12/51712", 12)]
    [DataRow("backend/vif/5", null)]
    [DataRow("backend/vif/70000/0", null)]
    [DataRow("xbackend/vif/5/0", null)]
    [DataRow("", null)]
    [DataRow(null, null)]
    public void The_guest_of_a_hotplug_script_is_in_its_devices_path(string? path, int? guest) =>
        Assert.AreEqual(guest, HotplugDevice.TryParse(path, out HotplugDevice? device) ? device.Guest.Value : null);

    [TestMethod]
    public void What_is_remembered_of_domains_that_are_gone_goes()
    {
        Run("apply", "g1");
        string old = Path.Combine(_dom0.Machine.StateFolder, "domain-4.json");
        File.Copy(Path.Combine(_dom0.Machine.StateFolder, "domain-5.json"), old);

        Run("inspect", "g1");

        Assert.IsFalse(File.Exists(old));
        Assert.IsTrue(File.Exists(Path.Combine(_dom0.Machine.StateFolder, "domain-5.json")));
    }

    private string WithName(string name)
    {
        string path = Path.Combine(_dom0.Root, $"{name}.cfg");
        File.WriteAllText(path, $"name=\"{name}\"\ntype=\"pv\"\nmemory=256\ne820_host=1\nkernel=\"/k\"\n");
        return path;
    }

    private CommandRun Run(params string[] args) => CommandRun.InDom0(_dom0.Machine, args);

    private void Refused(int status, string because, params string[] args)
    {
        CommandRun run = Run(args);
        Assert.AreEqual(status, run.Status, run.Errors + run.Output);
        Assert.Contains(because, run.Errors);
        Assert.StartsWith("keyhole: ", run.Errors.Split("note: ")[0].Length == 0
            ? run.Errors[run.Errors.IndexOf("keyhole: ", StringComparison.Ordinal)..] : run.Errors);
    }
}
