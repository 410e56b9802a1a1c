// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Text;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What a PVH dom0's log tells beside its map: its ACPI tables, that it runs, devices of which the drivers get no BAR. Excerpts of our own,
/// made after public reports.</summary>
[TestClass]
public sealed class PvhDom0LogTests
{
    private const string Xen = """
        (XEN) Xen version 4.17.5 (a@b) debug=n
        (XEN) Command line: placeholder dom0=pvh dom0_mem=1024M,max:1024M
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009fbff] (usable)
        (XEN)  [000000000009fc00, 00000000000fffff] (reserved)
        (XEN)  [0000000000100000, 00000000bfffffff] (usable)
        (XEN)  [0000000100000000, 000000013fffffff] (usable)
        (XEN) ACPI: RSDP BD066014, 0024 (r2 ALASKA)
        (XEN) ACPI: XSDT BD066024, 0144 (r1 ALASKA)
        (XEN) System RAM: 4095MB (4193912kB)
        (XEN) *** Building a PVH Dom0 ***
        [    0.000000] Linux version 6.1.69 (a@b)

        """;

    private const string Tables = """
        [    0.103248] ACPI: RSDP 0x0000000040060F0E 000024 (v02 ALASKA)
        [    0.109716] ACPI: XSDT 0x0000000040060F32 000044 (v01 ALASKA A M I    01072009 AMI  01000013)
        [    0.119663] ACPI: APIC 0x0000000040060F76 00008A (v03 ALASKA A M I    01072009 AMI  00010013)

        """;

    private const string Runs = "[    0.408613] Memory: 627636K/1048568K available (22589K kernel code, 4588K rwdata)\n";

    [TestMethod]
    public void The_sizes_of_its_ACPI_tables_are_read_from_the_lines_that_list_them()
    {
        CommandRun run = With(Xen + Tables + Runs, "boot", "--dom0", "--host", "-");

        Assert.Contains("0x100000 0x40060f0e", Words(run.Output));
        Assert.Contains("0x40060f0e 0x40060f98 138 B acpi", Words(run.Output));
        Assert.DoesNotContain("not told", run.Output);
    }

    [TestMethod]
    // Tables of the machine itself, as a PV dom0 sees them; a table is missing; not up to the end of a page.
    [DataRow("0x0000000040060F0E 000024", "0x00000000BD066014 000024")]
    [DataRow("ACPI: APIC", "ACPI: FACP")]
    [DataRow("00008A", "00008B")]
    [DataRow("0x0000000040060F", "0x0000000040060E")]
    // Something between two of them.
    [DataRow("0x0000000040060F0E 000024", "0x0000000040060F06 000024")]
    [DataRow("0x0000000040060F0E 000024", "0x0000000040060F0E zz")]
    public void Lines_that_are_not_of_what_Xen_makes_tell_no_sizes(string was, string isNow)
    {
        CommandRun run = With(Xen + Tables.Replace(was, isNow, StringComparison.Ordinal) + Runs, "boot", "--dom0", "--host", "-");

        Assert.Contains("the sizes of the ACPI tables that Xen makes for dom0 are not told", Words(run.Output));
    }

    [TestMethod]
    [DataRow("dom0_mem=1024M,max:1024M", 0)]
    [DataRow("dom0_mem=1025M,max:1025M", 1)]
    public void Where_the_tables_are_is_compared_with_the_forecast(string size, int status)
    {
        string log = Xen.Replace("dom0_mem=1024M,max:1024M", size, StringComparison.Ordinal) + Tables + Runs;

        CommandRun run = With(log, "verify", "--dom0", "--host", "-");

        Assert.AreEqual(status, run.Status, run.Output);
        Assert.Contains(status == 0 ? "= ACPI tables for dom0 from 0x40060f0e the same" : "≠ ACPI tables for dom0", Words(run.Output));
    }

    [TestMethod]
    public void That_it_boots_is_told_where_nobody_knows_where_its_kernel_is()
    {
        // A usual kernel could not be where this machine has reserved memory: that one lies elsewhere.
        string log = Xen.Replace("""
            (XEN)  [0000000000100000, 00000000bfffffff] (usable)
            """, """
            (XEN)  [0000000000100000, 0000000003ffffff] (usable)
            (XEN)  [0000000004000000, 0000000004045fff] (ACPI NVS)
            (XEN)  [0000000004046000, 00000000bfffffff] (usable)
            """, StringComparison.Ordinal) + Runs
            + "[    0.146501] [mem 0xc0000000-0xffffffff] available for PCI devices\n";

        CommandRun run = With(log, "verify", "--dom0", "--host", "-");
        string json = With(log, "verify", "--dom0", "--host", "-", "--json").Output.Replace(" ", "", StringComparison.Ordinal);

        Assert.AreEqual(0, run.Status, run.Output);
        Assert.Contains("? outcome not known boots 15", Words(run.Output));
        Assert.Contains("\"forecast\":\"not-known\",\"observed\":\"boots\"", json.ReplaceLineEndings("").Replace("\n", "", StringComparison.Ordinal));
        Assert.DoesNotContain("it is not known where the kernel is", run.Output);
    }

    private const string Unreserved = """
        [    6.520701] ahci 0000:07:00.1: BAR 5: can't reserve [mem 0xf0e00000-0xf0e007ff]
        [   17.137025] ccp 0000:06:00.5: BAR 2 [mem 0xf0b00000-0xf0bfffff]: can't reserve
        [   17.145210] ccp 0000:06:00.5: pcim_iomap_regions failed (-16)

        """;

    [TestMethod]
    [DataRow("", "Something else has these addresses, and what, the log does not tell: look for it in dom0's /proc/iomem.")]
    [DataRow("  f0e00000-f0ffffff : Xen scratch\n", "Something else has these addresses")]
    [DataRow("  f0000000-f0ffffff : Xen scratch\n", "\"Xen scratch\" is there in /proc/iomem: Linux has taken these addresses")]
    public void Devices_of_which_the_drivers_get_no_BAR_are_named_and_the_reason_only_where_the_log_has_it(string iomem, string reason)
    {
        string words = Words(With(Xen + Tables + Runs + Unreserved + iomem, "verify", "--dom0", "--host", "-").Output);

        Assert.Contains("BAR 5 of 0000:07:00.1 (ahci), [0xf0e00000, 0xf0e00800) (line 17), BAR 2 of 0000:06:00.5 (ccp), [0xf0b00000, 0xf0c00000) "
            + "(line 18; \"pcim_iomap_regions failed (-16)\", line 19).", words);
        Assert.Contains(reason, words);
    }

    [TestMethod]
    public void A_guests_devices_behind_dom0s_log_are_none_of_dom0s()
    {
        string log = Xen + Tables + Runs + "Linux version 5.10.0 (a@b)\n[    0.000000] Memory: 1000K/2000K available\n" + Unreserved;

        Assert.DoesNotContain("do not get what they ask for", Words(With(log, "verify", "--dom0", "--host", "-").Output));
    }

    private static CommandRun With(string input, params string[] options) => CommandRun.WithInput(Encoding.UTF8.GetBytes(input), options);

    private static string Words(string text) => string.Join(' ', text.Split(default(char[]), StringSplitOptions.RemoveEmptyEntries));
}
