// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using Keyhole.Cli.Terminal;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary><c>keyhole verify</c> as users call it: exit status, text and JSON, one line for what cannot be read.</summary>
[TestClass]
public sealed class VerifyVerbTests
{
    private static string Folder => Path.Combine(AppContext.BaseDirectory, "fixtures", "golden");

    private static IEnumerable<object[]> LogNames =>
        Directory.GetFiles(Folder, "*.log").Select(static path => new object[] { Path.GetFileNameWithoutExtension(path) })
            .OrderBy(static row => (string)row[0], StringComparer.Ordinal);

    /// <summary>Guests that xl gave its own map: the maps of the other two were installed by hand.</summary>
    private static IEnumerable<object[]> BootedGuests =>
        LogNames.SelectMany(static row => Guests((string)row[0])
            .Where(static guest => guest.Kernel.Length > 0 && guest.Name is not ("b_short" or "c_overbar"))
            .Select(guest => new object[] { row[0], guest.Name }));

    /// <summary>The record is of Linux 6.12, which swaps NVS away; its log does not name a release, so it is compared with 6.1.</summary>
    [TestMethod]
    public void Where_the_real_kernel_boots_nothing_lies_in_its_way_and_nothing_has_to_change()
    {
        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", Path.Combine(AppContext.BaseDirectory, "fixtures", "linux612", "nvskernel.log"));

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("By the forecast, which is for linux-6.1, the kernel halts", run.Output);
        Assert.Contains("The kernel of the log got past that.", run.Output);
        Assert.Contains("All of the memory setup in the log agrees with 6.12 and later", run.Output);
        Assert.DoesNotContain("What is in the way", run.Output);
        Assert.DoesNotContain("What to change", run.Output);
    }

    /// <summary>As in mails that quote the end of the boot whose log they bring.</summary>
    [TestMethod]
    public void An_end_of_Xen_that_is_quoted_before_a_whole_log_does_not_hide_the_boot_in_it()
    {
        string path = Temporary(["(XEN) Panic on CPU 1:", "(XEN) Assertion 'a == b' failed at sched_credit2.c:2137", "", HeadOf("dom0-512")]);

        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", path);

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.Contains("boot 2 of 2, dom0's", run.Output);
        Assert.Contains("is of boot 2: that one is looked at. Boot 1 (line 1), which ends with \"Assertion 'a == b' failed at "
            + "sched_credit2.c:2137\", can be taken with --boot 1.", run.Output);
        Assert.Contains("boot 1 of 2", CommandRun.Of("verify", "--dom0", "--host", path, "--boot", "1").Output);
    }

    /// <summary>Xen's word is all that a guest without a console leaves.</summary>
    [TestMethod]
    [DataRow("(XEN) Domain 1 crashed\n", "pv")]
    [DataRow("(XEN) domain_crash_sync called from entry.S: fault at ffff82d040301a53\n(XEN) Domain 1 (vcpu#0) crashed on cpu#2:\n"
        + "(XEN) ----[ Xen-4.17.2  x86_64  debug=n  Not tainted ]----\n(XEN) RIP:    e033:[<ffffffff8293fe05>]\n", "pv")]
    [DataRow("(XEN) Domain 1 crashed\n", "pvh")]
    public void A_guest_of_which_Xen_says_that_it_crashed_and_nothing_else_has_a_verdict(string log, string type)
    {
        CommandRun run = CommandRun.Of("verify", "--host", PathOf("seed8g"), "--memory", "512", "--type", type, "--dmesg", Temporary([log]));

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("its end is not as forecast, and the log has nothing else to compare", run.Output);
        Assert.DoesNotContain("lines differ", run.Output);
        Assert.DoesNotContain("Everything that the log shows", run.Output);
    }

    [TestMethod]
    [DataRow("(XEN) d1v0 Unhandled: vec 14, #PF[0002]\n(XEN) Pagetable walk from ffff888004000000:\n(XEN)  L4[0x111] = 0000000000000000 ffffffffffffffff\n",
        "\"d1v0 Unhandled: vec 14, #PF[0002]; Pagetable walk from ffff888004000000\": the guest used an address for which")]
    [DataRow("(XEN) d1v0 Unhandled page fault fault/trap [#14, ec=0000]\n", "\"d1v0 Unhandled page fault fault/trap [#14, ec=0000]\": the guest used")]
    [DataRow("(XEN) d1v0 Unhandled: vec 6, #UD[ffff]\n", "\"d1v0 Unhandled: vec 6, #UD[ffff]\": the guest could not take a fault of its own")]
    [DataRow("(XEN) domain_crash called from p2m.c:1301\n", "Before that Xen says \"domain_crash called from p2m.c:1301\".")]
    [DataRow("(XEN) d2v0 Unhandled: vec 14, #PF[0002]\n", "Why it died the log does not say")]
    public void What_Xen_says_of_a_fault_before_a_guest_crashes_is_told(string words, string expected)
    {
        foreach (string type in (string[])["pv", "pvh"])
        {
            CommandRun run = CommandRun.Of("verify", "--host", PathOf("seed8g"), "--memory", "512", "--type", type, "--dmesg",
                Temporary([$"{words}(XEN) Domain 1 (vcpu#0) crashed on cpu#2:\n"]));

            Assert.AreEqual(1, run.Status, run.Errors);
            Assert.Contains(expected, run.Output);
        }
    }

    [TestMethod]
    public void A_log_of_the_bare_machine_has_no_dom0()
    {
        CommandRun run = CommandRun.Of("verify", "--dom0", "--host",
            Path.Combine(AppContext.BaseDirectory, "fixtures", "hosts", "ubuntu-linux-7.0", "boot.log"));

        Assert.AreEqual(2, run.Status);
        Assert.Contains("the log is of a Linux that is no dom0", run.Errors);
    }

    [TestMethod]
    public void A_log_of_the_bare_machine_that_ends_in_a_panic_has_no_dom0_either()
    {
        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", Temporary([
            "[    0.000000] Linux version 6.1.0 (a@b) #1 SMP",
            "[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable",
            "[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000007ffeffff] usable",
            "[    0.000000] BIOS-e820: [mem 0x000000007fff0000-0x000000007fffefff] ACPI data",
            "[    0.000000] BUG: unable to handle page fault for address: ffa45000",
        ]));

        Assert.AreEqual(2, run.Status);
        Assert.Contains("the log is of a Linux that is no dom0", run.Errors);
    }

    [TestMethod]
    [DynamicData(nameof(LogNames))]
    public void One_log_of_Xen_and_dom0_is_enough(string name)
    {
        (int status, string output, string error) = Run("", "verify", "--dom0", "--host", PathOf(name));

        Assert.AreEqual(0, status, output + error);
        Assert.Contains(name == "nvskernel" ? "the kernel halts, as forecast" : "the log agrees with the forecast", output);
        Assert.DoesNotContain("≠", output);
    }

    [TestMethod]
    [DynamicData(nameof(BootedGuests))]
    public void A_guests_configuration_and_its_log_are_enough(string log, string name)
    {
        Guest guest = Guests(log).Single(candidate => candidate.Name == name);
        string config = Temporary(guest.Config);
        try
        {
            (int status, string output, string error) = Run(string.Join('\n', [.. guest.Xl, .. guest.Kernel]), "verify", "--host", PathOf(log),
                "--guest", config, "--dmesg", "-");

            Assert.AreEqual(0, status, output + error);
        }
        finally
        {
            File.Delete(config);
        }
    }

    [TestMethod]
    [DataRow("The map in the log is made from a host's, the forecast's is not", "boot2048", "--memory", "2048")]
    [DataRow("The map in the log is not made from a host's, the forecast's is", "plain", "--memory", "512", "--e820-host")]
    public void A_guest_that_has_the_hosts_map_against_what_was_said_is_explained(string expected, string name, params string[] options)
    {
        string kernel = name == "plain"
            ? "[    0.000000] Released 0 page(s)\n[    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable\n[    0.000000] Xen: [mem "
                + "0x00000000000a0000-0x00000000000fffff] reserved\n"
                + "[    0.000000] Xen: [mem 0x0000000000100000-0x000000001fffffff] usable\n[    2.481133] [mem "
                + "0x20000000-0xffffffff] available for PCI devices\n"
            : string.Join('\n', Guests("seed8g").Single(guest => guest.Name == name).Kernel);

        (int status, string output, string error) = Run(kernel, ["verify", "--host", PathOf("seed8g"), "--dmesg", "-", .. options]);

        Assert.AreEqual(1, status, output + error);
        Assert.Contains(expected, output);
    }

    /// <summary>The lines that are left out may have had what the host's map has.</summary>
    [TestMethod]
    public void Of_a_map_with_lines_left_out_nobody_knows_whether_it_is_a_hosts()
    {
        const string kernel = "[    0.000000] Released 0 page(s)\n[    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable\n"
            + "[    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved\n[...]\n"
            + "[    0.000000] Xen: [mem 0x0000000000100000-0x000000001fffffff] usable\n"
            + "[    2.481133] [mem 0x20000000-0xffffffff] available for PCI devices\n";

        (_, string output, _) = Run(kernel, "verify", "--host", PathOf("seed8g"), "--dmesg", "-", "--memory", "512", "--e820-host");

        Assert.DoesNotContain("is not made from a host's", output);
        Assert.DoesNotContain("a map that is not the host's", output);
    }

    [TestMethod]
    public void The_halt_on_NVS_is_explained_in_full()
    {
        (int status, string output, _) = Run("", "verify", "--dom0", "--host", PathOf("nvskernel"));

        Assert.AreEqual(0, status);
        Assert.Contains("What is in the way: the kernel halts", output);
        Assert.Contains("nvs memory at [0x1800000, 0x1a00000)", output);
        Assert.Contains("6.12 and later: boots", output);
        Assert.Contains("What to change: boot a kernel of 6.12 and later", output);
    }

    [TestMethod]
    public void A_changed_count_is_told_with_its_line_and_status_1()
    {
        string text = File.ReadAllText(PathOf("dom0-relocate"))
            .Replace("Remapped 139361 page(s)", "Remapped 139360 page(s)", StringComparison.Ordinal);

        (int status, string output, _) = Run(text, "verify", "--dom0", "--host", "-", "--json");

        Assert.AreEqual(1, status);
        JsonElement json = JsonDocument.Parse(output).RootElement;
        Assert.IsFalse(json.GetProperty("agrees").GetBoolean());
        Assert.AreEqual("linux-6.1", json.GetProperty("profile").GetString());
        JsonElement difference = json.GetProperty("differences").EnumerateArray().Single();
        Assert.AreEqual("remapped pages", difference.GetProperty("what").GetString());
        Assert.AreEqual("139,361", difference.GetProperty("forecast").GetString());
        Assert.AreEqual("139,360", difference.GetProperty("observed").GetString());
        Assert.AreEqual(1 + Array.FindIndex(text.Split('\n'), static line => line.Contains("Remapped", StringComparison.Ordinal)),
            difference.GetProperty("line").GetInt32());
        Assert.IsGreaterThan(0, json.GetProperty("explanations").GetArrayLength());
    }

    [TestMethod]
    public void The_kernels_lines_may_be_in_a_file_of_their_own()
    {
        string[] lines = File.ReadAllLines(PathOf("passthrough"));
        string xen = Temporary(lines.Where(static line => line.StartsWith("(XEN)", StringComparison.Ordinal)));
        try
        {
            string kernel = string.Join('\n', lines.SkipWhile(static line => line.StartsWith("(XEN)", StringComparison.Ordinal))
                .TakeWhile(static line => line != "=== DOM0-IOMEM"));

            (int status, string output, string error) = Run(kernel, "verify", "--dom0", "--host", xen, "--dmesg", "-");

            Assert.AreEqual(0, status, output + error);
            Assert.Contains("Not verified: [0xfed90000, 0xfed91000) reserved", output);
        }
        finally
        {
            File.Delete(xen);
        }
    }

    [TestMethod]
    public void The_version_line_picks_the_profile_and_an_option_overrides_it()
    {
        string dmesg =
            "[    0.000000] Linux version 6.12.5 (x@y)\n[    0.000000] Released 0 page(s)\n[    0.500000] RAMDISK: [mem 0x08000000-0x0a618fff]\n";

        (_, string picked, _) = Run(dmesg, "verify", "--dom0", "--host", PathOf("nvskernel"), "--dmesg", "-", "--json");
        (_, string given, _) = Run(dmesg, "verify", "--dom0", "--host", PathOf("nvskernel"), "--dmesg", "-", "--json", "--kernel", "linux-6.1");

        Assert.AreEqual("linux-6.12.5", JsonDocument.Parse(picked).RootElement.GetProperty("profile").GetString());
        Assert.IsTrue(JsonDocument.Parse(picked).RootElement.GetProperty("agrees").GetBoolean(), picked);
        Assert.AreEqual("linux-6.1", JsonDocument.Parse(given).RootElement.GetProperty("profile").GetString());
        Assert.IsFalse(JsonDocument.Parse(given).RootElement.GetProperty("agrees").GetBoolean(), given);
    }

    [TestMethod]
    public void Another_boot_of_the_log_can_be_taken()
    {
        string text = File.ReadAllText(PathOf("plain4g")) + File.ReadAllText(PathOf("plain4g"));
        (int firstStatus, string first, _) = Run(text, "verify", "--dom0", "--host", "-", "--json");
        int boots = JsonDocument.Parse(first).RootElement.GetProperty("boot").GetProperty("of").GetInt32();

        (int status, string output, string error) = Run(text, "verify", "--dom0", "--host", "-", "--json", "--boot", $"{(boots / 2) + 1}");

        Assert.AreEqual(0, firstStatus);
        Assert.AreEqual(0, status, output + error);
        Assert.AreEqual((boots / 2) + 1, JsonDocument.Parse(output).RootElement.GetProperty("boot").GetProperty("number").GetInt32());
    }

    [TestMethod]
    public void Each_boot_of_a_log_is_compared_on_its_own_map()
    {
        string text = HeadOf("seed8g") + HeadOf("dom0-512");

        (int status, string output, string error) = Run(text, "verify", "--dom0", "--host", "-", "--boot", "2");
        (int onTheFirstMap, _, _) = Run(text, "verify", "--dom0", "--host", "-", "--boot", "2", "--map", "1");

        Assert.AreEqual(0, status, output + error);
        Assert.Contains("the log agrees with the forecast", output);
        Assert.AreEqual(1, onTheFirstMap);
    }

    [TestMethod]
    public void A_map_chosen_from_a_log_of_two_boots_brings_its_own_boot_s_dom0()
    {
        (_, string alone, _) = Run(HeadOf("dom0-512"), "boot", "--dom0", "--host", "-", "--json");
        (int status, string output, string error) = Run(HeadOf("seed8g") + HeadOf("dom0-512"), "boot", "--dom0", "--host", "-", "--map", "3",
            "--json");

        Assert.AreEqual(0, status, error);
        Assert.AreEqual(alone, output);
    }

    [TestMethod]
    [DataRow("", "standard input: the log is empty; give what the kernel printed at boot")]
    [DataRow("hello\n",
        "standard input: nothing that a kernel says of its memory at boot is in it; give what dom0's kernel printed with --dmesg ('sudo dmesg' "
            + "there, or the console's log), or ask 'keyhole boot' for the forecast alone")]
    [DataRow("Linux version 6.1.0 (x@y)\n",
        "standard input:1: the boot's lines say nothing that was forecast; give more of what the kernel printed: its map, \"Released …\", "
            + "\"Remapped …\", \"available for PCI devices\"")]
    public void What_holds_no_boot_is_refused_in_one_line(string dmesg, string expected)
    {
        (int status, string output, string error) = Run(dmesg, "verify", "--dom0", "--host", PathOf("nvskernel"), "--dmesg", "-");

        Assert.AreEqual(2, status);
        Assert.AreEqual("", output);
        Assert.AreEqual($"keyhole: {expected}", error.TrimEnd());
    }

    [TestMethod]
    public void A_map_and_last_words_copied_by_hand_are_enough()
    {
        string text = string.Join('\n',
            File.ReadLines(PathOf("nvskernel"))
                .Where(static line => line.Contains("RAM map", StringComparison.Ordinal) || line.StartsWith("(XEN)  [", StringComparison.Ordinal)))
            + "\nxen hypervisor allocated kernel memory conflicts with E820\n(XEN) Hardware Dom0 halted: halting machine\n";

        (int status, string output, string error) = Run(text, "verify", "--dom0", "--host", "-");

        Assert.AreEqual(0, status, output + error);
        Assert.Contains("nvs memory at [0x1800000, 0x1a00000)", output);
        Assert.Contains("6.12 and later: boots", output);
        Assert.Contains("the log does not show how Xen builds dom0", error);
    }

    [TestMethod]
    public void A_map_without_a_log_needs_a_dmesg()
    {
        (int status, _, string error) = Run("0 80000000 1\n", "verify", "--dom0", "--nr-pages", "1000", "--host", "-");

        Assert.AreEqual(2, status);
        Assert.AreEqual("keyhole: --dmesg: the host's map comes from no log, so it holds no boot; name what the kernel printed with --dmesg",
            error.TrimEnd());
    }

    [TestMethod]
    public void Standard_input_is_read_once()
    {
        (int status, _, string error) = Run("x\n", "verify", "--dom0", "--host", "-", "--dmesg", "-");

        Assert.AreEqual(2, status);
        Assert.AreEqual(
            "keyhole: --dmesg: standard input is the host's log already; leave out --dmesg: the host's log is searched for the kernel's lines",
            error.TrimEnd());
    }

    private static (int Status, string Output, string Error) Run(string input, params string[] args)
    {
        using var output = new MemoryStream();
        using var error = new StringWriter();
        int status;
        using (var console = new CommandConsole(new(output, new UTF8Encoding(false)), error, () => new MemoryStream(Encoding.UTF8.GetBytes(input)),
            hasColours: false))
            status = Program.Run(args, console);
        return (status, Encoding.UTF8.GetString(output.ToArray()), error.ToString());
    }

    /// <summary>Xen and dom0's kernel, without what is recorded behind them.</summary>
    private static string HeadOf(string name)
    {
        string text = File.ReadAllText(PathOf(name));
        return text[..text.IndexOf("=== ", StringComparison.Ordinal)];
    }

    private static string PathOf(string name) => Path.Combine(Folder, name + ".log");

    private static string Temporary(IEnumerable<string> lines)
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        File.WriteAllLines(path, lines);
        return path;
    }

    private static List<Guest> Guests(string log)
    {
        List<Guest> guests = [];
        string[] lines = File.ReadAllLines(PathOf(log));
        foreach (int start in Enumerable.Range(0, lines.Length).Where(index => lines[index].StartsWith("=== GUEST ", StringComparison.Ordinal)))
        {
            string[] rest = [.. lines.Skip(start + 1).TakeWhile(static line => !line.StartsWith("=== GUEST ", StringComparison.Ordinal))];
            string[] config = [.. rest.TakeWhile(static line => line != "=== XL")];
            string[] xl = [.. rest.Skip(config.Length + 1).TakeWhile(static line => line != "=== KERNEL")];
            guests.Add(new(lines[start]["=== GUEST ".Length..], config, xl, [.. rest.Skip(config.Length + xl.Length + 2)]));
        }

        return guests;
    }

    private sealed record Guest(string Name, string[] Config, string[] Xl, string[] Kernel);

    [TestMethod]
    public void What_only_some_releases_do_is_named_where_the_log_shows_it()
    {
        string path = Path.Combine(AppContext.BaseDirectory, "fixtures", "field", "xen", "linux419-unusable.txt");
        string later = File.ReadAllText(path).Replace("4.19.5-", "4.19.50-", StringComparison.Ordinal);

        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", path, "--json");
        CommandRun patched = CommandRun.WithInput(Encoding.ASCII.GetBytes(later), "verify", "--dom0", "--host", "-", "--json");

        Assert.AreEqual(0, run.Status);
        Assert.Contains(
            "what only some releases do (4.16 to 4.19, of stable series 4.14.74 on, 4.19.0 to 4.19.8): this kernel "
                + "marks RAM beyond the limit UNUSABLE", run.Output);
        Assert.AreEqual(1, patched.Status);
        Assert.Contains("All of it agrees with a kernel that does one thing as other releases do (3.2 to 4.3; 4.16 to 4.19", patched.Output);
    }

    [TestMethod]
    public void A_boot_tells_by_itself_where_its_kernel_ends()
    {
        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", Path.Combine(AppContext.BaseDirectory, "fixtures", "edges61", "k-edge61.log"),
            "--json");

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.Contains("its boot shows that it ends by 0x4430000", run.Output);
    }

    [TestMethod]
    [DataRow("oddnvs")]
    [DataRow("seed8g")]
    public void A_log_that_does_not_name_Xens_release_blames_no_kernel_for_what_another_Xen_explains(string name)
    {
        string log = Path.Combine(AppContext.BaseDirectory, "fixtures", "matrix", "xen-4.20-linux-6.12", $"{name}.log");
        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", log, "--kernel", "6.12.117");

        Assert.Contains("everything in it agrees with Xen 4.18.5, 4.19.2, 4.20.1 and later", run.Output);
        Assert.DoesNotContain("No kernel version", run.Output);
    }

    [TestMethod]
    [DataRow("edges61/k-edge61", "boots")]
    [DataRow("edges61/k-below-edge61", "halts")]
    public void Every_answer_says_how_the_boot_was_forecast_to_end_and_how_it_ended(string name, string outcome)
    {
        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", Path.Combine(AppContext.BaseDirectory, "fixtures", $"{name}.log"), "--json");

        Assert.AreEqual(outcome, run.Json().GetProperty("outcome").GetProperty("forecast").GetString());
        Assert.AreEqual(outcome, run.Json().GetProperty("outcome").GetProperty("observed").GetString());
    }

    [TestMethod]
    [DataRow("--memory 2G --e820-host", "a guest that has memory=1024, which is not the guest that was told")]
    [DataRow("--memory 512M --e820-host", "a guest that has memory=1024, which is not the guest that was told")]
    [DataRow("--memory 1G", "a guest that has the host's map (e820_host=1 or a pci= entry), which is not the guest that was told")]
    [DataRow("--memory 700M", "a guest that has memory=1024 and the host's map (e820_host=1 or a pci= entry), which is not")]
    public void A_guest_that_is_told_wrongly_is_to_blame_and_no_kernel(string options, string told)
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "fixtures", "field", "xen");
        CommandRun run = CommandRun.Of(["verify", "--host", Path.Combine(folder, "bar-hotplug-host.txt"), "--dmesg",
            Path.Combine(folder, "bar-hotplug-dmesg.txt"), .. options.Split(' ')]);

        Assert.Contains(told, run.Output);
        Assert.DoesNotContain("no kernel version", run.Output);
    }

    [TestMethod]
    public void Where_nothing_that_is_tried_agrees_no_more_is_said_than_that()
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "fixtures", "field", "xen");
        CommandRun run = CommandRun.Of("verify", "--host", Path.Combine(AppContext.BaseDirectory, "fixtures", "golden", "plain4g.log"), "--dmesg",
            Path.Combine(folder, "bar-hotplug-dmesg.txt"), "--memory", "1G", "--e820-host");

        Assert.Contains("With the guest's map and the memory that are taken here, no kernel version that is known does everything that the log shows",
            run.Output);
    }

    [TestMethod]
    public void A_PVH_dom0_that_dies_behind_its_memory_setup_is_not_said_to_die_of_its_map()
    {
        string log = Path.Combine(AppContext.BaseDirectory, "fixtures", "field", "xen", "pvh-dom0-dies.txt");
        CommandRun run = CommandRun.Of("verify", "--dom0", "--host", log);

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("kernel: not named in the log", run.Output);
        Assert.Contains("The memory setup is as forecast to the last line there is of it (line 71); the kernel dies after it", run.Output);
        Assert.Contains("Its words say nothing of memory", run.Output);
        Assert.DoesNotContain("takes it over as it is", run.Output);
    }

    /// <summary>A mail of August 2024: a kernel with patches that became 6.12's, on a machine with NVS behind the kernel's first page table.</summary>
    [TestMethod]
    [DataRow("", " and a kernel of 6.12 and later", "boots")]
    [DataRow("--kernel 6.12", "", "the log ends before it shows")]
    public void A_kernel_that_printed_its_map_did_not_stop_before_it_and_a_limit_that_explains_the_map_is_named(
        string options, string kernel, string outcome)
    {
        string mail = Path.Combine(AppContext.BaseDirectory, "fixtures", "field", "mails", "dom0-nvs-moved.eml");
        CommandRun run = CommandRun.Of(["verify", "--dom0", "--host", mail,
            .. options.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);

        Assert.Contains($"a dom0 that may have 4 GiB (dom0_mem=max:4096M on Xen's command line){kernel}. That is not what was taken", run.Output);
        Assert.Contains(outcome, run.Output);
        Assert.DoesNotContain("What is in the way", run.Output);
        Assert.DoesNotContain("room for the balloon", run.Output);
        CommandRun told = CommandRun.Of("verify", "--dom0", "--host", mail, "--max", "4096M", "--kernel", "6.12");
        Assert.AreEqual(0, told.Status, told.Output);
    }
}
