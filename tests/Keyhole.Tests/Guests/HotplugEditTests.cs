// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Guests;

[TestClass]
public sealed class HotplugEditTests
{
    private const string Hook = "/etc/xen/keyhole/g1/hook";

    [TestMethod]
    [DataRow("vif=['mac=00:16:3e:00:00:01,bridge=xenbr0']\n", "vif=['mac=00:16:3e:00:00:01,bridge=xenbr0,script=HOOK']\n")]
    [DataRow("vif = [ '' ]\n", "vif = [ 'script=HOOK' ]\n")]
    [DataRow("vif=[\"script=vif-route,ip=10.0.0.1\"]\n", "vif=[\"script=HOOK,ip=10.0.0.1\"]\n")]
    [DataRow("vif=['bridge=a, script=/etc/my vif,mac=x']\n", "vif=['bridge=a, script=HOOK,mac=x']\n")]
    [DataRow("# vif=['bridge=a']\nvif = [ # two\n  'bridge=a', # 'bridge=c'\n  \"bridge=b\",\n]; memory=256\n",
        "# vif=['bridge=a']\nvif = [ # two\n  'bridge=a,script=HOOK', # 'bridge=c'\n  \"bridge=b,script=HOOK\",\n]; memory=256\n")]
    [DataRow("memory=256\r\nvif=['bridge=a']\r\n# caf\u00e9\r\n", "memory=256\r\nvif=['bridge=a,script=HOOK']\r\n# caf\u00e9\r\n")]
    [DataRow("vif=['bridge=old']\nvif=['bridge=a']\nvif+=['bridge=b']\n",
        "vif=['bridge=old']\nvif=['bridge=a,script=HOOK']\nvif+=['bridge=b,script=HOOK']\n")]
    [DataRow("vif=['bridge=a,backend=net-vm','bridge=b,backend=0']\n", "vif=['bridge=a,backend=net-vm','bridge=b,backend=0,script=HOOK']\n")]
    [DataRow("disk=['phy:/dev/vg/a,xvda,w','/srv/b.img,raw,xvdb,w']\n", "disk=['phy:/dev/vg/a,xvda,w,script=HOOK','/srv/b.img,raw,xvdb,w']\n")]
    [DataRow("disk=['/dev/vg/a,,xvda,w']\nvif=[]\n", "disk=['/dev/vg/a,,xvda,w,script=HOOK']\nvif=[]\n")]
    [DataRow("disk=['vdev=xvda, format=raw, access=rw, target=/dev/vg/a,b']\n",
        "disk=['vdev=xvda, format=raw, access=rw,script=HOOK, target=/dev/vg/a,b']\n")]
    [DataRow("disk=['vdev=xvda,script=block-iscsi,target=iqn=x,portal=y']\n", "disk=['vdev=xvda,script=HOOK,target=iqn=x,portal=y']\n")]
    public void The_script_is_put_into_each_entry_that_counts_and_taken_out_to_the_character(string before, string after)
    {
        Dictionary<string, string?> scripts = [];

        HotplugChange change = Insert(before, scripts);

        string[] lines = change.Text.Split('\n');
        Assert.AreEqual(after, scripts.Keys.Aggregate(change.Text, static (text, path) => text.Replace(path, "HOOK", StringComparison.Ordinal)));
        Assert.HasCount(change.Entries.Select(static entry => entry.Line).Distinct().Count(), change.Lines);
        Assert.IsTrue(change.Lines.All(line => lines[line.Line - 1].TrimEnd('\r') == line.After));
        Assert.AreEqual(before, Remove(change.Text, scripts));
    }

    [TestMethod]
    [DataRow("memory=256\n")]
    [DataRow("vif=[]\n")]
    [DataRow("vif=['bridge=a']\nvif=[]\n")]
    [DataRow("vif=['bridge=a,backend=net-vm']\n")]
    [DataRow("disk=['/srv/a.img,raw,xvda,w']\n")]
    [DataRow("disk=['/srv/a.qcow2,qcow2,xvda,w']\n")]
    [DataRow("disk=['tap:aio:/dev/vg/a,xvda,w']\n")]
    [DataRow("disk=['/dev/vg/a,qcow2,xvda,w']\n")]
    [DataRow("disk=[',raw,hdc:cdrom,r']\n")]
    [DataRow("disk=['phy:/dev/vg/a,xvda,w']\nbootloader=\"pygrub\"\n")]
    public void A_guest_without_an_entry_for_which_xl_runs_a_script_in_dom0_is_told_so(string text)
    {
        HotplugChange change = Insert(text, []);

        Assert.IsNotNull(change.WhyNone);
        Assert.AreEqual(text, change.Text);
        Assert.IsEmpty(change.Lines);
    }

    [TestMethod]
    [DataRow("vif=['script=a,script=b']\n", "names more than one script")]
    [DataRow("memory=1\nvif=['bridge=a\\\\b']\n", "has an escape")]
    [DataRow("vif='bridge=a'\n", "vif is not a list")]
    [DataRow("vif=['bridge=a'\n", "has no end")]
    public void What_cannot_be_changed_safely_is_an_error_with_its_line(string text, string because)
    {
        Assert.IsFalse(HotplugEdit.Insert(text, "guest.cfg", static _ => Hook, static _ => true).TryGet(out _, out InputError? error));
        Assert.Contains(because, error.ToString());
        Assert.StartsWith($"guest.cfg:{text.Count(static c => c == '\n')}: ", error.ToString());
    }

    [TestMethod]
    public void Other_changes_stay_when_the_script_is_taken_out()
    {
        Dictionary<string, string?> scripts = [];
        HotplugChange change = Insert("memory=256\nvif=['script=vif-route','bridge=a']\n", scripts);

        string edited = change.Text.Replace("256", "512", StringComparison.Ordinal).Replace("bridge=a", "bridge=b", StringComparison.Ordinal)
            + "vif+=['bridge=c']\n";

        Assert.AreEqual("memory=512\nvif=['script=vif-route','bridge=b']\nvif+=['bridge=c']\n", Remove(edited, scripts));
    }

    /// <summary>Whatever an entry is made of: what is put in comes out, and nothing else is touched.</summary>
    [TestMethod]
    public void Any_list_of_entries_comes_back_as_it_was()
    {
        int seed = Environment.TickCount;
        var random = new Random(seed);
        string[] words = ["", " ", "bridge=a", " mac=00:16:3e:00:00:01", "script=vif-x", "ip=10.0.0.1 10.0.0.2", "type=ioemu", "model=e1000 ",
            "vifname=v,", "gatewaydev=eth0", "rate=1Mb/s", "script=", "backend=other", "xscript=y"];
        string[] between = [", ", ",\n", ",\r\n  # 'remark', ]\n  ", " , "];
        for (int i = 0; i < 2000; i++)
        {
            var text = new StringBuilder("vif = [");
            for (int entry = random.Next(4); entry >= 0; entry--)
                text.Append(random.Next(2) == 0 ? "'" : "\"")
                    .Append(string.Join(',', Enumerable.Range(0, random.Next(4)).Select(_ => words[random.Next(words.Length)]))).Append('\u0001')
                    .Append(between[random.Next(between.Length)]);
            // Each literal ends in the quote that it began with.
            string source = Close(text.ToString()) + "]\nmemory = 256 # \u00ff\n";
            Dictionary<string, string?> scripts = [];
            if (!HotplugEdit.Insert(source, "x", entry => ScriptFor(entry, scripts), static _ => true).TryGet(out HotplugChange? change, out _))
                continue;

            Assert.AreEqual(source, Remove(change.Text, scripts), $"seed {seed}");
            Assert.HasCount(change.Entries.Length, change.Text.Split(Hook).Skip(1), $"seed {seed}: {change.Text}");
        }
    }

    private static string Close(string text)
    {
        var closed = new StringBuilder();
        char quote = '\0';
        foreach (char c in text)
        {
            if (c == '\u0001')
            {
                closed.Append(quote);
                quote = '\0';
                continue;
            }

            if (quote == '\0' && c is '\'' or '"')
                quote = c;
            closed.Append(c);
        }

        return closed.ToString();
    }

    private static HotplugChange Insert(string text, Dictionary<string, string?> scripts)
    {
        Assert.IsTrue(HotplugEdit.Insert(text, "guest.cfg", entry => ScriptFor(entry, scripts),
            static path => path.StartsWith("/dev/", StringComparison.Ordinal)).TryGet(out HotplugChange? change, out InputError? error),
            error?.ToString());
        return change;
    }

    private static string ScriptFor(HotplugEntry entry, Dictionary<string, string?> scripts)
    {
        foreach ((string path, string? script) in scripts)
        {
            if (script == entry.Script)
                return path;
        }

        string made = $"{Hook}-{scripts.Count}";
        scripts.Add(made, entry.Script);
        return made;
    }

    private static string Remove(string text, Dictionary<string, string?> scripts)
    {
        Assert.IsTrue(HotplugEdit.Remove(text, "guest.cfg", scripts.ContainsKey, script => scripts[script])
            .TryGet(out HotplugChange? change, out InputError? error), error?.ToString());
        return change.Text;
    }
}
