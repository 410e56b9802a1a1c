// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Text;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>A guest's log that names another Xen than the host's: that is told first, and what that Xen would do.</summary>
[TestClass]
public sealed class GuestsXenTests
{
    private const string Host = """
        (XEN) Xen version 4.17.5 (a@b) debug=n
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009fbff] (usable)
        (XEN)  [000000000009fc00, 00000000000fffff] (reserved)
        (XEN)  [0000000000100000, 00000000bfffffff] (usable)
        (XEN)  [0000000100000000, 000000013fffffff] (usable)

        """;

    /// <summary>Up to 4.1 libxl adds 8 MiB to a PV guest's map.</summary>
    private const string PvGuest = """
        [    0.000000] Linux version 6.1.0 (a@b) #1 SMP
        [    0.000000] ACPI in unprivileged domain disabled
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x00000000407fffff] usable
        [    0.000000] last_pfn = 0x40800 max_arch_pfn = 0x400000000
        [    0.100000] [mem 0x40800000-0xffffffff] available for PCI devices
        [    0.100000] Booting paravirtualized kernel on Xen
        [    0.100000] Xen version: 4.1.2 (preserve-AD)

        """;

    private const string HvmGuest = """
        [    0.000000] Linux version 6.1.0 (a@b) #1 SMP
        [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable
        [    0.000000] BIOS-e820: [mem 0x000000000009fc00-0x000000000009ffff] reserved
        [    0.000000] BIOS-e820: [mem 0x00000000000e0000-0x00000000000fffff] reserved
        [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000001fffffff] usable
        [    0.000000] BIOS-e820: [mem 0x00000000fc000000-0x00000000ffffffff] reserved
        [    0.000000] DMI: Xen HVM domU, BIOS 4.0.1 01/13/2011
        [    0.000000] Hypervisor detected: Xen HVM

        """;

    [TestMethod]
    public void A_PV_guest_of_another_Xen_is_told_to_be_and_that_with_that_Xen_all_is_as_forecast()
    {
        CommandRun run = Verify(PvGuest, "--memory", "1024");

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("The log is of a guest under Xen 4.1 (line 9), and the forecast for Xen 4.17, which the host has: with Xen 4.1 everything in "
            + "the log is as forecast.", Words(run.Output));
        Assert.DoesNotContain("which is not the guest that was told", Words(run.Output));
    }

    [TestMethod]
    public void A_guest_that_differs_from_that_Xens_forecast_as_well_is_told_to_be_of_another_host()
    {
        string words = Words(Verify(PvGuest.Replace("407fffff", "407effff", StringComparison.Ordinal), "--memory", "1024").Output);

        Assert.Contains("that is the first thing to mend. Give the log of the host that the guest ran on with --host (with Xen 4.1 on this one, ", words);
    }

    [TestMethod]
    [DataRow("DMI: Xen HVM domU, BIOS 4.0.1 01/13/2011", "4.0 (line 7)")]
    [DataRow("Xen version 4.0.", "4.0 (line 7)")]
    public void An_HVM_guest_of_a_Xen_that_is_not_modelled_is_told_to_be_and_nothing_else_is_concluded(string line, string named)
    {
        string log = HvmGuest.Replace("DMI: Xen HVM domU, BIOS 4.0.1 01/13/2011", line, StringComparison.Ordinal);

        string words = Words(Verify(log, "--type", "hvm", "--memory", "512").Output);

        Assert.Contains($"The log is of a guest under Xen {named}, and the forecast for Xen 4.17, which the host has: what differs says nothing. "
            + "Xen 4.0 is not modelled for such a guest.", words);
    }

    [TestMethod]
    [DataRow("BIOS 4.0.1", "BIOS 4.17.2")]
    [DataRow("DMI: Xen HVM domU, BIOS 4.0.1", "DMI: Xen HVM domU")]
    public void A_guest_of_the_hosts_Xen_or_one_that_names_none_is_not_told_to_be_of_another(string was, string isNow)
    {
        Assert.DoesNotContain("The log is of a guest under Xen",
            Verify(HvmGuest.Replace(was, isNow, StringComparison.Ordinal), "--type", "hvm", "--memory", "512").Output);
    }

    /// <summary>Xen marks the firmware's lines with the guest's number, and an attached console does not.</summary>
    [TestMethod]
    [DataRow("(d1) ", true)]
    [DataRow("", true)]
    [DataRow("(d2) HVM Loader\n(d2) Detected Xen v4.16.1\n(d1) ", false)]
    public void hvmloader_names_the_Xen_that_a_guest_ran_under(string mark, bool isNamed)
    {
        string log = $"{mark}Detected Xen v4.12.1-1.el7\n{HvmGuest.Replace("DMI: Xen HVM domU, BIOS 4.0.1 01/13/2011\n", "", StringComparison.Ordinal)}";

        string words = Words(Verify(log, "--type", "hvm", "--memory", "512").Output);

        Assert.AreEqual(isNamed, words.Contains("The log is of a guest under Xen 4.12 (line 1)", StringComparison.Ordinal), words);
        Assert.AreEqual(isNamed, words.Contains("The log is of a guest under Xen", StringComparison.Ordinal), words);
    }

    private static CommandRun Verify(string log, params string[] options)
    {
        string host = Path.Combine(Path.GetTempPath(), $"keyhole-{Guid.NewGuid():N}.log");
        File.WriteAllText(host, Host);
        try
        {
            return CommandRun.WithInput(Encoding.UTF8.GetBytes(log), ["verify", "--host", host, "--dmesg", "-", .. options]);
        }
        finally
        {
            File.Delete(host);
        }
    }

    private static string Words(string text) => string.Join(' ', text.Split(default(char[]), StringSplitOptions.RemoveEmptyEntries));
}
