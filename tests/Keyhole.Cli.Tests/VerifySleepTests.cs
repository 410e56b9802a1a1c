// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>Ends behind a suspend to RAM, which are none of a boot, as <c>keyhole verify</c> tells them.</summary>
[TestClass]
public sealed class VerifySleepTests
{
    private const string Asleep = """
        (XEN) Preparing system for ACPI S3 state.
        (XEN) Disabling non-boot CPUs ...
        (XEN) Entering ACPI S3 state.

        """;

    private const string Awake = "(XEN) Finishing wakeup from ACPI S3 state.\n(XEN) Enabling non-boot CPUs  ...\n";

    private const string Panic = """
        (XEN) ****************************************
        (XEN) Panic on CPU 0:
        (XEN) Xen BUG at drivers/passthrough/amd/iommu_init.c:1386
        (XEN) ****************************************

        """;

    private static string RealLog => Path.Combine(AppContext.BaseDirectory, "fixtures", "field", "xen", "initrd-moved.txt");

    [TestMethod]
    [DataRow(Asleep, "\"Entering ACPI S3 state.\"")]
    [DataRow(Asleep + Awake, "\"Finishing wakeup from ACPI S3 state.\"")]
    public void A_panic_of_Xens_behind_S3_is_no_death_at_boot(string sleep, string behind)
    {
        CommandRun run = OfDom0(File.ReadAllText(RealLog) + sleep + Panic);

        Assert.AreEqual(1, run.Status, run.Output + run.Errors);
        Assert.Contains("the boot is as forecast; it ended later, once it had been put to sleep", Words(run));
        Assert.Contains("= outcome boots the same", Words(run));
        Assert.Contains($"Xen dies (\"Xen BUG at drivers/passthrough/amd/iommu_init.c:1386\") behind {behind}", Words(run));
        Assert.Contains("this is no death at boot, and the memory setup was over before it", Words(run));
        Assert.AreEqual("boots", run.Status == 1 ? OfDom0(File.ReadAllText(RealLog) + sleep + Panic, "--json").Json().GetProperty("outcome")
            .GetProperty("observed").GetString() : null);
    }

    [TestMethod]
    public void A_panic_behind_S3_is_no_death_at_boot_where_the_log_has_nothing_else()
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, Asleep + Awake + Panic);

        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", RealLog, "--dmesg", path);

        Assert.AreEqual(1, run.Status, run.Output + run.Errors);
        Assert.Contains("this is no death at boot", Words(run));
        Assert.DoesNotContain("no line of dom0's kernel on its memory stands before that", Words(run));
    }

    /// <summary>What Xen died of before in a mail is none of the boot behind it, and that one's own death is one at boot.</summary>
    [TestMethod]
    public void A_boot_behind_a_quoted_resume_is_a_boot_of_its_own()
    {
        string log = File.ReadAllText(RealLog);

        CommandRun run = OfDom0(Asleep + Awake + Panic + log);

        Assert.AreEqual(0, run.Status, run.Output + run.Errors);
        Assert.Contains("Xen version 4.", log);
        CommandRun died = OfDom0(Asleep + Awake + log + Panic);
        Assert.AreEqual(1, died.Status, died.Output + died.Errors);
        Assert.Contains("≠ outcome boots Xen halts:", Words(died));
        Assert.DoesNotContain("no death at boot", Words(died));
    }

    [TestMethod]
    [DataRow("[ 5000.1] PM: suspend entry (deep)\n")]
    [DataRow("[ 5000.1] ACPI: PM: Preparing to enter system sleep state S3\n[ 5001.2] ACPI: PM: Waking up from system sleep state S3\n")]
    [DataRow("[ 5000.1] PM: Preparing system for mem sleep\n")]
    public void A_panic_of_a_kernels_behind_its_suspend_is_no_death_at_boot(string sleep)
    {
        CommandRun run = OfDom0(File.ReadAllText(RealLog) + sleep + "[ 5002.3] Kernel panic - not syncing: Fatal exception in interrupt\n");

        Assert.AreEqual(1, run.Status, run.Output + run.Errors);
        Assert.Contains("the kernel dies (\"Kernel panic - not syncing: Fatal exception in interrupt\") behind", Words(run));
        Assert.Contains("= outcome boots the same", Words(run));
    }

    /// <summary>S5 is off.</summary>
    [TestMethod]
    public void A_panic_behind_a_power_off_is_not_behind_sleep()
    {
        CommandRun run = OfDom0(File.ReadAllText(RealLog) + "[ 5000.1] ACPI: PM: Preparing to enter system sleep state S5\n"
            + "[ 5002.3] Kernel panic - not syncing: Fatal exception in interrupt\n");

        Assert.DoesNotContain("put to sleep", Words(run));
    }

    [TestMethod]
    public void A_machine_that_sleeps_and_lives_on_agrees()
    {
        CommandRun run = OfDom0(File.ReadAllText(RealLog) + Asleep + Awake);

        Assert.AreEqual(0, run.Status, run.Output + run.Errors);
    }

    private static CommandRun OfDom0(string log, params string[] options)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, log);
        return CommandRun.Of(["verify", "--dom0", "--host", path, .. options]);
    }

    private static string Words(CommandRun run) => string.Join(' ', run.Output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
}
