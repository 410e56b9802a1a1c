// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>Bad input: one clear line each, status 2, no stack trace.</summary>
[TestClass]
public sealed class HostileInputTests
{
    private static IEnumerable<object[]> HostInputs =>
    [
        ["empty", Array.Empty<byte>()],
        ["noise", Enumerable.Range(0, 100_000).Select(i => unchecked((byte)(i * 7919 >> 3))).ToArray()],
        ["start after end", Encoding.ASCII.GetBytes("0 a0000 1\n200000 100000 1\n")],
        ["above 2^52", Encoding.ASCII.GetBytes("0 a0000 1\n100000 20000000000000 1\n")],
        ["up to 2^64 - 1", Encoding.ASCII.GetBytes("0 a0000 1\n100000 ffffffffffffffff 1\n")],
        ["no number", Encoding.ASCII.GetBytes("0 a0000 1\n100000 zz 1\n")],
        ["100,000 entries", Encoding.ASCII.GetBytes(string.Concat(Enumerable.Range(1, 100_000).Select(i => $"{i}000 {i}800 1\n")))],
        ["cut short",
            Encoding.ASCII.GetBytes(
                "(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009fbff] (usable)\n(XEN)  [0000000000100000, 00000")],
        ["iomem of zeros", Encoding.ASCII.GetBytes("00000000-00000000 : System RAM\n00000000-00000000 : Reserved\n")],
        ["broken JSON", Encoding.ASCII.GetBytes("{\"entries\":[{\"start\":\"0x0\",")],
        ["deep JSON", Encoding.ASCII.GetBytes(new string('[', 100_000))],
        ["compressed", new byte[] { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0 }],
    ];

    private static IEnumerable<object[]> GuestInputs =>
    [
        ["empty", Array.Empty<byte>()],
        ["endless quote", Encoding.ASCII.GetBytes("memory=512\nname=\"abc")],
        ["10,000 brackets", Encoding.ASCII.GetBytes("memory=512\npci=" + new string('[', 10_000))],
        ["XML bomb", Encoding.ASCII.GetBytes(
            "<!DOCTYPE a [<!ENTITY b \"bbbbbbbb\"><!ENTITY c \"&b;&b;&b;&b;\">]><domain type='xen'><name>&c;</name></domain>")],
        ["XML cut short", Encoding.ASCII.GetBytes("<domain type='xen'><memory unit='MiB'>512</mem")],
        ["bad pci", Encoding.ASCII.GetBytes("memory=512\npci=['zz:00.0']\n")],
        ["NULs", new byte[4096]],
    ];

    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public void What_never_ends_is_read_up_to_4_GiB()
    {
        CommandRun run = CommandRun.Of("show", "--host", "/dev/zero");

        Assert.AreEqual(2, run.Status);
        Assert.AreEqual("keyhole: /dev/zero: it has more than 4096 MiB; cut out the part that matters: a boot log, a map\n", run.Errors);
    }

    [TestMethod]
    [DynamicData(nameof(HostInputs))]
    public void A_bad_host_is_one_line_and_status_2(string name, byte[] input)
    {
        CommandRun run = CommandRun.WithInput(input, "show", "--host", "-", "--json");

        AssertOneLine(name, run);
    }

    [TestMethod]
    [DynamicData(nameof(GuestInputs))]
    public void A_bad_guest_is_one_line_and_status_2(string name, byte[] input)
    {
        CommandRun run = CommandRun.WithInput(input, "plan", "--host", CommandRun.Golden("iommu.log"), "--guest", "-", "--json");

        AssertOneLine(name, run);
    }

    [TestMethod]
    [DataRow("--bar", "zz")]
    [DataRow("--bar", "20-10")]
    [DataRow("--pci", "nonsense")]
    [DataRow("--memory", "0")]
    [DataRow("--memory", "18446744073709551615")]
    [DataRow("--memory", "-5")]
    [DataRow("--memory", "99999999999999999999")]
    [DataRow("--maxmem", "x")]
    [DataRow("--policy", "best")]
    [DataRow("--map", "0")]
    [DataRow("--denied", "fee00000")]
    [DataRow("--devices", "/")]
    public void A_bad_option_is_one_line_and_status_2(string option, string value)
    {
        CommandRun run = CommandRun.Of("plan", "--host", CommandRun.Golden("plain4g.log"), "--memory", "512", option, value);

        AssertOneLine(option, run);
    }

    [TestMethod]
    public void A_folder_of_other_folders_is_no_memmap_and_is_there()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory();
        try
        {
            folder.CreateSubdirectory("logs");
            CommandRun run = CommandRun.Of("show", "--host", folder.FullName);
            Assert.AreEqual(2, run.Status);
            Assert.AreEqual(
                $"keyhole: {folder.FullName}: this folder is not a memmap: its folders lack start, end or type; name a folder like "
                    + $"/sys/firmware/memmap, or a file in this one", run.Errors.TrimEnd());
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [TestMethod]
    public void A_folder_that_is_no_memmap_is_one_line() => AssertOneLine("folder", CommandRun.Of("show", "--host", AppContext.BaseDirectory));

    private static void AssertOneLine(string name, CommandRun run)
    {
        Assert.AreEqual(2, run.Status, name);
        Assert.IsEmpty(run.Output, name);
        string[] lines = [.. run.Errors.TrimEnd('\n').Split('\n').Where(line => !line.StartsWith("note: ", StringComparison.Ordinal))];
        Assert.HasCount(1, lines, run.Errors);
        Assert.StartsWith("keyhole: ", lines[0]);
        Assert.DoesNotContain("Exception", run.Errors);
        Assert.DoesNotContain("System.", run.Errors);
        Assert.IsLessThan(400, lines[0].Length);
    }
}
