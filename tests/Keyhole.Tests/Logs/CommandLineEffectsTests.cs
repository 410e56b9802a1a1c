// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Logs;

/// <summary>What a log's map proves of mem= and memmap=, and what it does not.</summary>
[TestClass]
public sealed class CommandLineEffectsTests
{
    private const string Title = "[    0.0] user-defined physical RAM map:\n";

    private const string Low = "[    0.0] user: [mem 0x0000000000000000-0x000000003fffffff] usable\n";

    [TestMethod]
    [DataRow("memmap=512M$1G", Title, "The lines of the map as the kernel's options changed it are left out; its title is line 4.")]
    [DataRow("memmap=512M$1G", Title + Low, "memmap=512M$1G (line 1) is not seen to take effect: the map of line 5 has nothing at "
        + "[0x40000000, 0x60000000), so a line of it may be missing.")]
    public void A_changed_map_that_lacks_lines_does_not_prove_that_an_option_was_not_taken(string option, string changed, string expected)
    {
        string remarks = Remarks(option, changed);

        Assert.Contains(expected, remarks);
        Assert.DoesNotContain("did not take effect", remarks);
    }

    [TestMethod]
    [DataRow("memmap=1G", Low, true)]
    [DataRow("mem=1G", Low, false)]
    [DataRow("memmap=8G", Low + "[    0.0] user: [mem 0x0000000040000000-0x000000007fffffff] usable\n", false)]
    public void A_memmap_that_takes_RAM_away_may_have_lost_its_sign(string option, string changed, bool isTold) => Assert.AreEqual(isTold,
        Remarks(option, Title + changed).Contains($"If {option}$START was written: Boot loaders take '$'", System.StringComparison.Ordinal));

    [TestMethod]
    [DataRow("memmap=512M$1G")]
    [DataRow("mem=1G")]
    [DataRow("memmap=exactmap")]
    [DataRow("memmap=512M%1G-1+2")]
    public void An_option_behind_which_the_log_goes_on_without_a_changed_map_was_not_taken(string option)
    {
        foreach (string behind in new[]
        {
            "[    0.0] e820: update [mem 0x00000000-0x00000fff] usable ==> reserved", "[    0.0] e820: last_pfn = 0x80000 max_arch_pfn = 0x400000000",
            "[    0.3] pci 0000:00:00.0: [8086:1237] type 00 class 0x060000", "[    2.500000] systemd[1]: Detected architecture x86-64.",
            "[    0.0] DMI: A B/C, BIOS 1 01/01/2020",
        })
        {

            Assert.Contains($"{option} (line 1) did not take effect as far as the log shows it: the kernel prints no", Of(option, behind), behind);
        }
    }

    [TestMethod]
    [DataRow("[    0.0] NX (Execute Disable) protection: active")]
    [DataRow("...\n[    0.0] DMI: A B/C, BIOS 1 01/01/2020")]
    [DataRow("[    0.0] Linux version 6.1.0\n[    0.0] DMI: A B/C, BIOS 1 01/01/2020")]
    public void Where_the_log_does_not_show_what_stands_behind_the_map_nothing_is_said_of_an_option(string behind) =>
        Assert.DoesNotContain("take effect", Of("memmap=512M$1G", behind));

    [TestMethod]
    public void An_option_behind_two_dashes_is_told_to_be_init_s()
    {
        Assert.Contains("memmap=512M$1G (line 1) did not take effect: it stands behind \"--\", and what follows that is handed to init.",
            Of("-- memmap=512M$1G", "[    0.0] DMI: A B/C, BIOS 1 01/01/2020"));
        Assert.DoesNotContain("memmap=512M$1G", Of("-- memmap=512M$1G", Title + Low));
    }

    private static string Of(string option, string behind) => string.Join('\n', MapFixtures.Expect(MapFixtures.ReadText(
        $"[    0.0] Command line: ro {option} quiet\n[    0.0] BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable\n"
            + $"[    0.0] BIOS-e820: [mem 0x0000000000100000-0x000000007fffffff] usable\n{behind}\n"))
        .Remarks.Select(static remark => remark.ToString()));

    private static string Remarks(string option, string changed) => string.Join('\n', MapFixtures.Expect(MapFixtures.ReadText(
        $"[    0.0] Command line: ro {option} quiet\n[    0.0] BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable\n"
            + $"[    0.0] BIOS-e820: [mem 0x0000000000100000-0x000000007fffffff] usable\n{changed}"
            + "[    0.0] [mem 0x80000000-0xffffffff] available for PCI devices\n")).Remarks.Select(static remark => remark.ToString()));
}
