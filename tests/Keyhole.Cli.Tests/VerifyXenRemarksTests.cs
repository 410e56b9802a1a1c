// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What Xen says of a guest that is no end of it by itself, as <c>keyhole verify</c> tells it.</summary>
[TestClass]
public sealed class VerifyXenRemarksTests
{
    private const string Boot = """
        Linux version 6.1.0 (x) #1
        Released 0 page(s)
        BIOS-provided physical RAM map:
        Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        Xen: [mem 0x0000000000100000-0x000000001fffffff] usable
        Memory: 455800K/523900K available

        """;

    private const string Called = "(XEN) domain_crash called from p2m.c:1301\n";

    /// <summary>The words of 4.0 to 4.5 (debug builds), of 4.6 to 4.15, and of 4.16 and later.</summary>
    [TestMethod]
    [DataRow("(XEN) page_alloc.c:1657:d0 Over-allocation for domain 5: 131329 > 131328\n", "dom0 asked: the toolstack")]
    [DataRow("(XEN) [2025-01-01 10:00:00] d5v0 Over-allocation for domain 5: 131329 > 131328\n", "It asked itself")]
    [DataRow("(XEN) d5v1 Over-allocation for d5: 131329 > 131328\n", "It asked itself")]
    public void Memory_beyond_a_guests_most_is_told_and_is_no_end(string line, string who)
    {
        CommandRun run = OfGuest(Boot + line + line.Replace("131329", "131330", StringComparison.Ordinal));

        Assert.AreEqual(0, run.Status, run.Output + run.Errors);
        Assert.Contains("Xen did not give domain 5 memory beyond its most: with what was asked for it would have 131,329 pages, and may have 131,328 "
            + "(513 MiB)", Words(run));
        Assert.Contains(who, Words(run));
        Assert.Contains("the first of 2 such lines", Words(run));
        Assert.Contains("By itself that ends nothing", Words(run));
    }

    /// <summary>Another domain's words; two domains', of which one may be this one; a line that is cut.</summary>
    [TestMethod]
    [DataRow("(XEN) d0v0 Over-allocation for d0: 131329 > 131328\n")]
    [DataRow("(XEN) d5v1 Over-allocation for d5: 131329 > 131328\n(XEN) d6v1 Over-allocation for d6: 131329 > 131328\n")]
    [DataRow("(XEN) d5v1 Over-allocation for d5: 131329 >\n")]
    [DataRow("(XEN) d5v1 Over-allocation for d[IDLE]: 131329 > 131328\n")]
    public void Words_of_which_nobody_knows_that_they_are_of_this_guest_are_not_told(string lines) =>
        Assert.DoesNotContain("beyond its most", OfGuest(Boot + lines).Output);

    [TestMethod]
    public void Memory_beyond_its_most_is_told_of_a_guest_that_was_not_created()
    {
        CommandRun run = OfGuest("xc: error: panic: xc_dom_boot.c:122: xc_dom_boot_mem_init: can't allocate low memory for domain: Out of memory\n"
            + "(XEN) d0v1 Over-allocation for d5: 131329 > 131328\n");

        Assert.AreEqual(1, run.Status, run.Output + run.Errors);
        Assert.Contains("Xen did not give domain 5 memory beyond its most", Words(run));
        Assert.DoesNotContain("By itself", run.Output);
    }

    [TestMethod]
    [DataRow("", "Why the log does not say.")]
    [DataRow("(XEN) d1: IOMMU mapping dfn 0x3f800 to mfn 0x23f800 failed: -12\n", "no memory was left for the tables of the IOMMU")]
    public void The_last_word_of_a_log_that_is_cut_before_Xen_names_the_domain_is_told(string before, string why)
    {
        CommandRun run = OfGuest(Boot + before + Called);

        Assert.AreEqual(0, run.Status, run.Output + run.Errors);
        Assert.Contains("there Xen ends a domain, or meets one that is going down already.", Words(run));
        Assert.Contains(why, Words(run));
    }

    /// <summary>What Xen says behind it tells which domain it was; a kernel that goes on was not ended.</summary>
    [TestMethod]
    [DataRow(Boot + Called + "(XEN) Domain 2 (vcpu#0) crashed on cpu#1:\n(XEN) Domain 3 (vcpu#0) crashed on cpu#1:\n")]
    [DataRow("Linux version 6.1.0 (x) #1\n" + Called + "Memory: 455800K/523900K available\n")]
    public void A_word_that_is_not_the_last_is_not_told(string log) =>
        Assert.DoesNotContain("there Xen ends a domain", OfGuest(log).Output);

    [TestMethod]
    [DataRow(Called, "1: \"domain_crash called from p2m.c:1301\": there Xen ends a domain")]
    [DataRow("(XEN) d5v1 Over-allocation for d5: 131329 > 131328\n", "but for what Xen says: \"d5v1 Over-allocation for d5: 131329 > 131328\"")]
    public void A_log_that_has_nothing_else_is_told_for_what_it_is(string log, string words)
    {
        CommandRun run = OfGuest(log);

        Assert.AreEqual(2, run.Status, run.Output);
        Assert.Contains(words, run.Errors);
    }

    private static string Words(CommandRun run) => string.Join(' ', run.Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    private static CommandRun OfGuest(string log)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, log);
        string host = Path.Combine(AppContext.BaseDirectory, "fixtures", "golden", "plain4g.log");
        return CommandRun.Of("verify", "--host", host, "--memory", "512", "--dmesg", path);
    }
}
