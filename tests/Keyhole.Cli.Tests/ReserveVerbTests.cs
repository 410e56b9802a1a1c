// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

[TestClass]
public sealed class ReserveVerbTests
{
    private static readonly byte[] s_seed = Encoding.ASCII.GetBytes("0 9f000 1\n9f000 a0000 2\n100000 3dee0000 1\n");

    /// <summary>A kernel that its EFI stub has put into the kept RAM (nvmevirt, 2023): only what it leaves out of a hibernation shows it.</summary>
    [TestMethod]
    [DataRow("0x0000000200000000-0x00000002335fffff", "0x0000000236630000-0x00000002ffffffff", "no")]
    [DataRow("0x0000000200000000-0x00000002335fffff", "0x0000000233600000-0x00000002ffffffff", "yes")]
    [DataRow("0x0000000200000000-0x00000002335fffff", "", "not known")]
    [DataRow("0x00000000000a0000-0x00000000000fffff", "0x0000000440000000-0x000000047fffffff", "not known")]
    public void A_kernel_in_the_kept_RAM_shows_in_what_it_does_not_save(string first, string second, string verdict)
    {
        string map(string title) => $"[    0.0] {title}: [mem 0x0000000000000000-0x000000000009ffff] usable\n"
            + $"[    0.0] {title}: [mem 0x0000000000100000-0x00000000bfffffff] usable\n";
        string log = "[    0.0] Linux version 6.5.0 (x) #1\n[    0.0] Command line: root=/dev/sda memmap=4G$8G\n" + map("BIOS-e820")
            + "[    0.0] BIOS-e820: [mem 0x0000000100000000-0x000000043fffffff] usable\n[    0.0] user-defined physical RAM map:\n" + map("user")
            + "[    0.0] user: [mem 0x0000000100000000-0x00000001ffffffff] usable\n[    0.0] user: [mem 0x0000000200000000-0x00000002ffffffff] reserved\n"
            + "[    0.0] user: [mem 0x0000000300000000-0x000000043fffffff] usable\n[    0.0] DMI: X\n"
            + string.Concat(new[] { first, second }.Where(static range => range.Length > 0)
                .Select(static range => $"[    0.1] PM: hibernation: Registered nosave memory: [mem {range}]\n"));

        CommandRun run = CommandRun.WithInput(Encoding.ASCII.GetBytes(log), "reserve", "--host", "-", "--range", "8G-12G", "--check");

        Assert.Contains($"\n{verdict}: ", run.Output);
        Assert.AreEqual(verdict == "yes" ? 0 : 1, run.Status, run.Output);
        Assert.AreEqual(verdict == "no", run.Output.Contains("not-kept [0x233600000, 0x236630000): the host's kernel is in the kept RAM",
            StringComparison.Ordinal));
    }

    [TestMethod]
    public void Where_lines_of_the_hosts_map_are_lost_nothing_is_told_of_them()
    {
        CommandRun run = CommandRun.WithInput("""
            (XEN) Xen-e820 RAM map:
            (XEN)  [0000000000000000, 000000000009efff] (usable)
            (XEN)  [0000000000100000, 000000006fffffff] (usable)
            ...
            (XEN)  [00000000e0000000, 00000000efffffff] (reserved)
            (XEN)  [0000000100000000, 00000002ffffffff] (usable)

            """u8.ToArray(), "reserve", "--host", "-", "--start", "512M");

        Assert.Contains("it is not known how much RAM the host has, and what is where [0x70000000, 0xe0000000) is", run.Output);
        Assert.Contains("not known 1.75 GiB", run.Output);
        Assert.DoesNotContain("gap 1.75 GiB", run.Output);
    }

    [TestMethod]
    public void The_seeds_listing_is_in_the_text_and_in_the_json()
    {
        string[] arguments = ["reserve", "--host", "-", "--start", "512M", "--resource", "cd600-d0000=pnp 00:0d", "--resource",
            "f0000-100000=reserved"];
        string[] listing =
        [
            "00000000-00000fff : reserved RAM failed", "00001000-0008ffff : reserved RAM", "00090000-00091fff : reserved RAM failed",
            "00092000-0009efff : reserved RAM",
            "0009f000-0009ffff : reserved", "000cd600-000cffff : pnp 00:0d", "000f0000-000fffff : reserved", "00100000-1fffffff : reserved RAM",
            "20000000-3dedffff : System RAM",
        ];
        CommandRun text = CommandRun.WithInput(s_seed, arguments);
        CommandRun json = CommandRun.WithInput(s_seed, [.. arguments, "--json"]);

        Assert.AreEqual(0, text.Status);
        Assert.Contains(string.Concat(listing.Select(static line => $"    {line}\n")), text.Output);
        Assert.Contains("GRUB_CMDLINE_LINUX=\"memmap=572K\\\\\\$4K memmap=511M\\\\\\$1M\"", text.Output);
        CollectionAssert.AreEqual(listing, Lines(json.Json().GetProperty("iomem")));
        CollectionAssert.AreEqual((string[])["memmap=572K$4K", "memmap=511M$1M"], Lines(json.Json().GetProperty("today").GetProperty("memmap")));
    }

    [TestMethod]
    public void Json_has_the_slots_as_kvm_takes_them()
    {
        JsonElement guest = CommandRun.WithInput(s_seed, "reserve", "--host", "-", "--start", "20000000", "--json").Json().GetProperty("guest");

        Assert.AreEqual(3, guest.GetProperty("e820").GetArrayLength());
        JsonElement slot = guest.GetProperty("slots")[2];
        Assert.AreEqual(
            """{"slot":2,"flags":0,"guest_phys_addr":"0x90000","memory_size":"0x2000","userspace_addr":"0x1000","backing":"buffer","identity":false}""",
            JsonSerializer.Serialize(slot));
    }

    [TestMethod]
    [DataRow("start-512m", 0)]
    [DataRow("nokaslr-512m", 1)]
    public void A_check_says_yes_or_no_by_its_exit_status(string record, int status)
    {
        string text = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "reserve", record + ".log"));
        string iomem = Path.GetTempFileName();
        try
        {
            File.WriteAllText(iomem, text[text.IndexOf("=== IOMEM\n", StringComparison.Ordinal)..]);
            byte[] host = Encoding.ASCII.GetBytes(text);
            CommandRun run = CommandRun.WithInput(host, "reserve", "--host", "-", "--start", "512M", "--check", "--iomem", iomem);
            JsonElement check = CommandRun.WithInput(host, "reserve", "--host", "-", "--start", "512M", "--check", "--iomem", iomem, "--json").Json()
                .GetProperty("check");

            Assert.AreEqual(status, run.Status, run.Output + run.Errors);
            Assert.Contains(status == 0 ? "yes: 512 MiB below 0x20000000 are kept aside" : "error not-kept [0x1000000, 0x4430000)", run.Output);
            Assert.AreEqual(status == 0, check.GetProperty("agrees").GetBoolean());
            Assert.AreEqual(status, check.GetProperty("problems").GetArrayLength());
        }
        finally
        {
            File.Delete(iomem);
        }
    }

    [TestMethod]
    [DataRow("640K", "below-1mib")]
    [DataRow("513M1", null)]
    [DataRow("20001000", "start-unaligned")]
    [DataRow("1G", "start-above-ram")]
    [DataRow("928M", "kernel-does-not-fit")]
    public void An_impossible_wish_is_status_1_and_one_line_and_a_misspelt_one_status_2(string start, string? code)
    {
        CommandRun run = CommandRun.WithInput(s_seed, "reserve", "--host", "-", "--start", start);

        Assert.AreEqual(code is null ? 2 : 1, run.Status);
        if (code is null)
            Assert.AreEqual(
                "keyhole: --start: \"513M1\" is not a valid address; write 1G, 512M or 0x20000000; at most 2^52",
                run.Errors.Trim());
        else
            Assert.HasCount(1, run.Output.Split('\n').Where(line => line.StartsWith($"error {code}", StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow("--start: one of --start, --below and --range is needed", "reserve", "--host", "-")]
    [DataRow("--start: one of --start, --below and --range is needed", "reserve", "--host", "-", "--start", "1G", "--below", "1G")]
    [DataRow("--guest-memory: \"0\" is not a size that fits", "reserve", "--host", "-", "--start", "1G", "--guest-memory", "0")]
    [DataRow("--crashkernel: \"18446744073709551615\" is not a size that fits", "reserve", "--host", "-", "--start", "1G", "--crashkernel",
        "18446744073709551615")]
    [DataRow("--reserved: \"5-4\" is not a valid range", "reserve", "--host", "-", "--start", "1G", "--reserved", "5-4")]
    [DataRow("--resource: \"0-1=\" is not a valid resource", "reserve", "--host", "-", "--start", "1G", "--resource", "0-1=")]
    [DataRow("--kernel-span: \"x\" is not a valid range", "reserve", "--host", "-", "--start", "1G", "--kernel-span", "x")]
    [DataRow("--iomem: there is nothing to compare it with", "reserve", "--host", "-", "--start", "512M", "--iomem", "x")]
    [DataRow("no-such-file: no such file", "reserve", "--host", "-", "--start", "512M", "--check", "--iomem", "no-such-file")]
    public void Bad_usage_is_one_line(string message, params string[] arguments)
    {
        CommandRun run = CommandRun.WithInput(s_seed, arguments);

        Assert.AreEqual(2, run.Status);
        Assert.StartsWith($"keyhole: {message}", run.Errors);
        Assert.AreEqual(1, run.Errors.Count(static c => c == '\n'));
        Assert.AreEqual("", run.Output);
    }

    [TestMethod]
    [DataRow("--below", "1GB", "has a unit that is not understood: K, M, G and T are, and KiB to TiB, all of 1024; write 1G, 512M or 0x20000000")]
    [DataRow("--below", "1Gi", "has a unit that is not understood")]
    [DataRow("--start", "0.5G", "has a fraction, and addresses are whole numbers; write 512M; at most 2^52")]
    [DataRow("--start", "1G2", "is not a valid address; write 1G, 512M or 0x20000000; at most 2^52")]
    [DataRow("--range", "1GB-2GB", "\"1GB\" has a unit that is not understood")]
    [DataRow("--range", "1G-2.5G", "\"2.5G\" has a fraction")]
    [DataRow("--range", "2G-1G", "is not a valid range; write it as A-B, B exclusive")]
    public void What_is_wrong_with_an_address_is_told(string option, string value, string words)
    {
        CommandRun run = CommandRun.WithInput(s_seed, "reserve", "--host", "-", option, value);

        Assert.AreEqual(2, run.Status);
        Assert.Contains(words, run.Errors);
    }

    [TestMethod]
    public void A_remedy_for_several_problems_says_for_how_many()
    {
        CommandRun run = CommandRun.WithInput(s_seed, "reserve", "--host", "-", "--below", "2TiB", "--guest-memory", "1TiB");

        Assert.Contains("error guest-too-large", run.Output);
        Assert.Contains("remedy for these 3: tried on this host's map, and works: --guest-memory ", run.Output);
        Assert.DoesNotContain("remedy for these 1", run.Output);
    }

    [TestMethod]
    public void Below_an_address_with_a_size_keeps_no_more_than_that()
    {
        JsonElement json = CommandRun.WithInput(s_seed, "reserve", "--host", "-", "--below", "512M", "--guest-memory", "100", "--json").Json();

        Assert.AreEqual("0x6600000", json.GetProperty("start").GetString());
        Assert.AreEqual("0x6400000", json.GetProperty("today").GetProperty("guest").GetProperty("memory").GetString());
    }

    [TestMethod]
    public void A_further_reservation_fails()
    {
        CommandRun run = CommandRun.WithInput(s_seed, "reserve", "--host", "-", "--start", "512M", "--reserved", "4000000-4001000");

        Assert.Contains("    04000000-04000fff : reserved RAM failed\n", run.Output);
        Assert.Contains("memmap=63M$1M", run.Output);
    }

    /// <summary>
    /// Debian's Linux 6.12.117 under OVMF 2022.11 with memmap=511M$1M: its EFI stub put it to 0x1600000, and the kernel took its own place back as
    /// RAM.
    /// </summary>
    [TestMethod]
    public void On_a_host_with_EFI_keeping_low_RAM_is_an_error_and_no_remedy_goes_round_in_circles()
    {
        CommandRun run = CommandRun.WithInput(Efi("memmap-boot.log"), "reserve", "--host", "-", "--start", "512M");

        Assert.AreEqual(1, run.Status);
        Assert.Contains("error efi-kernel-place [0x100000, 0x20000000)", run.Output);
        Assert.DoesNotContain("nokaslr", run.Output);
    }

    /// <summary>The log names its Linux: 6.12.117, and in the second run one that could land anywhere.</summary>
    [TestMethod]
    public void A_host_whose_Linux_is_late_enough_is_not_advised_to_boot_a_later_one()
    {
        string log = Encoding.UTF8.GetString(Efi("memmap-boot.log"));
        CommandRun late = CommandRun.WithInput(Encoding.UTF8.GetBytes(log), "reserve", "--host", "-", "--range", "4G-5G");
        CommandRun early = CommandRun.WithInput(Encoding.UTF8.GetBytes(log.Replace("Linux version 6.12", "Linux version 6.1", StringComparison.Ordinal)),
            "reserve", "--host", "-", "--range", "4G-5G");

        Assert.DoesNotContain("6.10", late.Output);
        Assert.Contains("look after the boot whether the RAM is kept", late.Output);
        Assert.Contains("boot Linux 6.10 or later", early.Output);
    }

    /// <summary>The /proc/iomem of the machine that Keyhole runs on says nothing of the host whose log is given.</summary>
    [TestMethod]
    public void A_check_of_a_log_goes_by_the_log()
    {
        byte[] log = Efi("memmap-boot.log");
        CommandRun run = CommandRun.WithInput(log, "reserve", "--host", "-", "--start", "512M", "--check");
        int map = Encoding.UTF8.GetString(log).IndexOf("user-defined", StringComparison.Ordinal);
        CommandRun cut = CommandRun.WithInput(log[..map], "reserve", "--host", "-", "--start", "512M", "--check");

        Assert.AreEqual(1, run.Status, run.Errors);
        // Where /proc/iomem of the same boot shows it, too.
        Assert.Contains("error not-kept [0x1600000, 0x4230000): the host's kernel is in the kept RAM", run.Output);
        string silent = string.Join('\n', Encoding.UTF8.GetString(log).Split('\n')
            .Where(static line => !line.Contains("nosave memory", StringComparison.Ordinal)));
        Assert.Contains("takes that place back (line 54 of its log)",
            CommandRun.WithInput(Encoding.UTF8.GetBytes(silent), "reserve", "--host", "-", "--start", "512M", "--check").Output);
        Assert.HasCount(1, run.Output.Split('\n').Where(static line => line.StartsWith("error", StringComparison.Ordinal)));
        Assert.AreEqual(2, cut.Status, cut.Output);
        Assert.Contains("behind the firmware's map the log has no line that shows what the kernel made of it", cut.Errors);
    }

    [TestMethod]
    public void A_check_names_the_kernel_that_lies_in_the_kept_RAM()
    {
        string iomem = Path.Combine(AppContext.BaseDirectory, "fixtures", "reserve", "efi", "kernel-in-kept-ram.iomem");
        CommandRun run = CommandRun.WithInput(Efi("host.log"), "reserve", "--host", "-", "--start", "512M", "--check", "--iomem", iomem);

        Assert.AreEqual(1, run.Status);
        Assert.Contains("error not-kept [0x1600000, 0x4230000): the host's kernel is in the kept RAM", run.Output);
        Assert.DoesNotContain("nokaslr", run.Output);
    }

    /// <summary>Two real boots under OVMF show that RAM from 4 GiB on stays kept on a host with EFI.</summary>
    [TestMethod]
    [DataRow("above-4g-linux-6.1")]
    [DataRow("above-4g-linux-6.12")]
    public void RAM_above_4_GiB_was_kept_on_hosts_with_EFI(string record)
    {
        string iomem = Path.Combine(AppContext.BaseDirectory, "fixtures", "reserve", "efi", record + ".iomem");
        byte[] log = Efi(record + ".log");
        JsonElement plan = CommandRun.WithInput(log, "reserve", "--host", "-", "--range", "4G-5G", "--json").Json();
        CommandRun check = CommandRun.WithInput(log, "reserve", "--host", "-", "--range", "4G-5G", "--check", "--iomem", iomem);

        CollectionAssert.AreEqual((string[])["memmap=1G$4G"], Lines(plan.GetProperty("today").GetProperty("memmap")));
        Assert.AreEqual("0x100000000", plan.GetProperty("ranges")[0].GetProperty("start").GetString());
        Assert.AreEqual(0, check.Status, check.Output + check.Errors);
        Assert.Contains("yes: 1 GiB in [0x100000000, 0x140000000) are kept aside", check.Output);
    }

    [TestMethod]
    public void A_source_that_does_not_say_whether_the_host_has_EFI_gets_a_warning_and_not_a_promise()
    {
        CommandRun run = CommandRun.WithInput(s_seed, "reserve", "--host", "-", "--start", "512M");

        Assert.Contains("warning efi-kernel-place [0x100000, 0x20000000)", run.Output);
    }

    [TestMethod]
    public void A_range_beyond_RAM_is_warned_of_and_one_without_any_is_an_error()
    {
        CommandRun partly = CommandRun.WithInput(s_seed, "reserve", "--host", "-", "--range", "900M-1G");
        CommandRun none = CommandRun.WithInput(s_seed, "reserve", "--host", "-", "--range", "2G-3G");

        Assert.Contains("warning range-without-ram [0x3dee0000, 0x40000000)", partly.Output);
        Assert.AreEqual(1, none.Status);
        Assert.Contains("error nothing-kept", none.Output);
    }

    [TestMethod]
    public void A_number_without_a_unit_is_told_how_it_was_read()
    {
        Assert.Contains("--start 512 is read as hex: 0x512", CommandRun.WithInput(s_seed, "reserve", "--host", "-", "--start", "512").Errors);
        Assert.DoesNotContain("read as hex", CommandRun.WithInput(s_seed, "reserve", "--host", "-", "--start", "0x20000000").Errors);
    }

    private static byte[] Efi(string name) => File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "fixtures", "reserve", "efi", name));

    private static string[] Lines(JsonElement array) => [.. array.EnumerateArray().Select(static line => line.GetString()!)];
}
