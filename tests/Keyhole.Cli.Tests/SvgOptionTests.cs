// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Xml.Linq;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary><c>--svg</c>: a whole file or none, and the usual output beside it.</summary>
[TestClass]
public sealed class SvgOptionTests
{
    private string _folder = "";

    [TestInitialize]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("keyhole").FullName;

    [TestCleanup]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow("show", "Memory map of a host")]
    [DataRow("plan", "Map of a guest by policy libxl")]
    [DataRow("boot", "linux-6.1 boots")]
    [DataRow("compare", "Of all policies, ")]
    public void Each_verb_draws_its_answer(string verb, string title)
    {
        string file = Path.Combine(_folder, "map.svg");
        string[] guest = verb == "show" ? [] : ["--memory", "3072", "--e820-host"];
        string[] args = [verb, "--host", CommandRun.Golden("seed8g.log"), .. guest];

        CommandRun plain = CommandRun.Of(args);
        CommandRun drawn = CommandRun.Of([.. args, "--svg", file]);

        Assert.AreEqual(plain.Output, drawn.Output);
        Assert.AreEqual(plain.Status, drawn.Status);
        Assert.StartsWith(title, XDocument.Load(file).Root!.Element(XName.Get("title", "http://www.w3.org/2000/svg"))!.Value);
        Assert.HasCount(1, Directory.GetFileSystemEntries(_folder));
    }

    [TestMethod]
    public void A_fleet_draws_its_answer()
    {
        string file = Path.Combine(_folder, "fleet.svg");

        CommandRun run = CommandRun.Of("fleet", CommandRun.Golden("seed8g.log"), CommandRun.Golden("plain4g.log"), "--memory", "1G", "--svg", file);

        Assert.AreEqual(0, run.Status, run.Errors);
        XElement picture = XDocument.Load(file).Root!;
        Assert.AreEqual("A fleet of 2 hosts", picture.Element(XName.Get("title", "http://www.w3.org/2000/svg"))!.Value);
        Assert.Contains("from 2.75 GiB", picture.Value);
    }

    [TestMethod]
    public void What_was_there_is_replaced_and_a_link_stays_a_link()
    {
        string file = Path.Combine(_folder, "map.svg");
        string link = Path.Combine(_folder, "link.svg");
        File.WriteAllText(file, "something longer than nothing");
        File.CreateSymbolicLink(link, file);

        CommandRun run = CommandRun.Of("show", "--host", CommandRun.Golden("seed8g.log"), "--svg", link);

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.StartsWith("<svg", File.ReadAllText(file));
        Assert.IsNotNull(new FileInfo(link).LinkTarget);
        Assert.HasCount(2, Directory.GetFileSystemEntries(_folder));
    }

    [TestMethod]
    public void The_file_that_a_link_leads_to_may_be_missing()
    {
        string file = Path.Combine(_folder, "map.svg");
        string link = Path.Combine(_folder, "link.svg");
        File.CreateSymbolicLink(link, file);

        CommandRun run = CommandRun.Of("show", "--host", CommandRun.Golden("seed8g.log"), "--svg", link);

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.StartsWith("<svg", File.ReadAllText(file));
        Assert.IsNotNull(new FileInfo(link).LinkTarget);
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void A_device_stays_a_device(bool isLink)
    {
        string name = "/dev/null";
        if (isLink)
        {
            name = Path.Combine(_folder, "link.svg");
            File.CreateSymbolicLink(name, "/dev/null");
        }

        CommandRun run = CommandRun.Of("show", "--host", CommandRun.Golden("seed8g.log"), "--svg", name);

        Assert.AreEqual(0, run.Status, run.Errors);
        using FileStream device = File.OpenRead("/dev/null");
        Assert.AreEqual(-1, device.ReadByte());
    }

    [TestMethod]
    [DataRow("", "this is a folder")]
    [DataRow("no/such/folder.svg", "there is no such folder")]
    [DataRow("a\0b", "this is not a valid file name")]
    public void What_cannot_be_written_is_one_line_and_leaves_nothing(string name, string what)
    {
        CommandRun run = CommandRun.Of("show", "--host", CommandRun.Golden("iommu.log"), "--map", "1", "--svg", name.Contains('\0') ? name
            : Path.Combine(_folder, name));

        Assert.AreEqual(2, run.Status);
        Assert.IsEmpty(run.Output);
        Assert.Contains(what, run.Errors);
        Assert.IsEmpty(Directory.GetFileSystemEntries(_folder));
    }
}
