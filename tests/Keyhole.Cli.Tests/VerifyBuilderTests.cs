// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>
/// What <c>xl -vvv create</c> says of the memory of the guest that it makes, where no Linux of the guest says anything: a unikernel on Xen 4.11
/// (xen-devel, 26 May 2020) and a Windows on 4.16 (xen-devel, January 2022), the lines as posted.
/// </summary>
[TestClass]
public sealed class VerifyBuilderTests
{
    private const string Unikernel = """
        domainbuilder: detail: xc_dom_mem_init: mem 256 MB, pages 0x10000 pages, 4k each
        domainbuilder: detail: xc_dom_boot_mem_init: called
        domainbuilder: detail: range: start=0x0 end=0x10000400
        xc: detail: PHYSICAL MEMORY ALLOCATION:
        domainbuilder: detail: xc_dom_alloc_segment:   kernel       : 0x100000 -> 0x116000  (pfn 0x100 + 0x16 pages)
        domainbuilder: detail: xc_dom_load_acpi: 64 bytes at address fc008000
        domainbuilder: detail: xc_dom_load_acpi: 4096 bytes at address fc000000
        domainbuilder: detail: xc_dom_load_acpi: 28672 bytes at address fc001000
        domainbuilder: detail: xc_dom_release: called

        """;

    private const string Windows = """
        domainbuilder: detail: xc_dom_mem_init: mem 24560 MB, pages 0x5ff000 pages, 4k each
        domainbuilder: detail: range: start=0x0 end=0xf0000000
        domainbuilder: detail: range: start=0x100000000 end=0x60f000000

        """;

    private const string Small = "type=\"pvh\"\nmemory=256\n";
    private const string Large = "type=\"hvm\"\nmemory=24576\nvga=\"stdvga\"\nvideoram=16\n";

    [TestMethod]
    public void The_RAM_and_the_ACPI_tables_of_a_PVH_guest_are_compared()
    {
        CommandRun run = Verify("4.11.0", Small, Unikernel);

        Assert.AreEqual(0, run.Status, run.Errors + run.Output);
        Assert.Contains("=   RAM that libxl builds   [0x0, 0x10000400)", run.Output);
        Assert.Contains("=   ACPI that libxl loads   [0xfc001000, 0xfc008000)", run.Output);
    }

    [TestMethod]
    public void A_release_of_Xen_with_which_all_agrees_is_named()
    {
        CommandRun run = Verify("4.17.3", Small, Unikernel);

        Assert.AreEqual(1, run.Status, run.Errors + run.Output);
        Assert.Contains("agrees with the toolstack of Xen 4.11 to 4.14.4, 4.15.0 to 4.15.2 or 4.16.0.", Joined(run));
    }

    [TestMethod]
    [DataRow("end=0x10000400")]
    [DataRow("end=0x10000000")]
    public void A_KiB_that_the_patch_level_decides_is_no_difference(string end)
    {
        CommandRun run = Verify("4.16", Small, Unikernel.Replace("end=0x10000400", end, StringComparison.Ordinal));

        Assert.AreEqual(0, run.Status, run.Errors + run.Output);
    }

    [TestMethod]
    [DataRow("end=0x60f000000", 0)]
    [DataRow("end=0x60f200000", 1)]
    public void The_RAM_of_an_HVM_guest_is_compared_as_libxl_splits_it(string end, int status)
    {
        CommandRun run = Verify("4.16.0", Large, Windows.Replace("end=0x60f000000", end, StringComparison.Ordinal));

        Assert.AreEqual(status, run.Status, run.Errors + run.Output);
        Assert.Contains("=   RAM that libxl builds   [0x0, 0xf0000000)", run.Output);
    }

    [TestMethod]
    public void A_guest_that_was_not_created_after_its_memory_was_built_is_still_that()
    {
        CommandRun run = Verify("4.16.0", Large, Windows
            + "libxl: error: libxl_create.c:1676:domcreate_launch_dm: Domain 1:unable to add disk devices\n");

        Assert.AreEqual(1, run.Status, run.Errors + run.Output);
        Assert.Contains("The guest was not created", Joined(run));
    }

    private static string Joined(CommandRun run) => run.Output.Replace("\n  ", " ", StringComparison.Ordinal);

    private static CommandRun Verify(string xen, string config, string log) => CommandRun.Of(
        "verify", "--host", Written($"""
            (XEN) Xen version {xen} (mock@example.org) (gcc 12) debug=n
            (XEN) Xen-e820 RAM map:
            (XEN)  0000000000000000 - 000000000009d800 (usable)
            (XEN)  000000000009d800 - 0000000000100000 (reserved)
            (XEN)  0000000000100000 - 00000000de19f000 (usable)
            (XEN)  00000000de19f000 - 00000000df800000 (reserved)
            (XEN)  00000000fec00000 - 0000000100000000 (reserved)
            (XEN)  0000000100000000 - 000000101f000000 (usable)
            (XEN) System RAM: 65500MB (67072000kB)

            """), "--guest", Written(config), "--dmesg", Written(log));

    private static string Written(string text)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, text);
        return path;
    }
}
