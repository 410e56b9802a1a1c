// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What the log shows to be in force already, or what could not help there, is told as no remedy.</summary>
[TestClass]
public sealed class RemediesInForceTests
{
    private static CommandRun With(string log, params string[] arguments) => CommandRun.WithInput(Encoding.ASCII.GetBytes(log), arguments);

    private static string Joined(CommandRun run) => Regex.Replace(run.Output, "\\n +", " ");

    private static string Dom0Log => File.ReadAllText(CommandRun.Golden("dom0-512.log"));

    /// <summary>Linux that boots by BIOS chooses its place, and steers clear of memmap=, unless nokaslr keeps it from that.</summary>
    [TestMethod]
    [DataRow(" nokaslr", true)]
    [DataRow(" quiet", false)]
    public void To_boot_without_nokaslr_is_advised_where_the_command_line_has_it(string options, bool isAdvised)
    {
        string log = $"[    0.000000] Linux version 6.1.0 (a@b) #1 SMP\n"
            + $"[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz root=/dev/sda1 ro{options}\n"
            + "[    0.000000] BIOS-provided physical RAM map:\n[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable\n"
            + "[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x00000000bfffffff] usable\n"
            + "[    0.000000] BIOS-e820: [mem 0x0000000100000000-0x000000043fffffff] usable\n"
            + "[    0.000000] last_pfn = 0x440000 max_arch_pfn = 0x400000000\n";

        string text = Joined(With(log, "reserve", "--host", "-", "--start", "512M"));

        Assert.AreEqual(isAdvised, text.Contains("boot without nokaslr", System.StringComparison.Ordinal), text);
    }

    [TestMethod]
    public void In_dom0_no_driver_claims_windows_and_none_is_to_be_built_into_the_kernel()
    {
        string text = Joined(With(Dom0Log.Replace("max:512M", "max:1G", StringComparison.Ordinal)
            + "[ 5000.000000] pci 0000:06:00.0: BAR 0 [mem 0xe0000000-0xe000ffff]: can't claim; address conflict with System RAM "
            + "[mem 0xe0000000-0xe7ffffff]\n", "verify", "--dom0", "--host", "-"));

        Assert.Contains("hot-plugged later", text);
        Assert.Contains("What to change: keep dom0 from growing (dom0_mem=N,max:N on Xen's command line), or have the device there when dom0 boots.",
            text);
        Assert.DoesNotContain("driver", text);
    }

    [TestMethod]
    [DataRow(true, "dom0 may have 512 MiB (dom0_mem=max: on Xen's command line)")]
    [DataRow(false, "dom0 may have 512 MiB (as was told, for Xen's command line has no dom0_mem=)")]
    public void A_limit_that_was_told_is_not_said_to_stand_on_Xen_s_command_line(bool isThere, string words)
    {
        string log = isThere ? Dom0Log : Regex.Replace(Dom0Log, "dom0_mem=[^ \\n]*", "");

        Assert.Contains(words, Joined(isThere ? With(log, "verify", "--dom0", "--host", "-")
            : With(log, "verify", "--dom0", "--host", "-", "--max", "512M")));
    }

    /// <summary>Where Xen itself needs the page, doing without the firmware's code does not help.</summary>
    [TestMethod]
    [DataRow("hpet.c#hpet_broadcast_init", false)]
    [DataRow("efi_rs_enter", true)]
    [DataRow("efi_get_time", true)]
    [DataRow("efi_init_memory", false)]
    public void Doing_without_EFI_is_advised_where_Xen_was_using_it(string function, bool isAdvised)
    {
        string code = $"[<ffff82d0402c1234>] R {function}+0x1a4/0x2b0";
        string log = "(XEN) Xen version 4.17.3 (a@b) debug=n\n(XEN) Command line: dom0_mem=512M\n(XEN) Xen-e820 RAM map:\n"
            + "(XEN)  [0000000000000000, 000000000009fbff] (usable)\n(XEN)  [0000000000100000, 00000000bffdffff] (usable)\n"
            + "(XEN) System RAM: 3071MB (3144700kB)\n(XEN) Unknown cachability for MFNs 0xfed1c-0xfed1f\n"
            + "(XEN) ----[ Xen-4.17.3  x86_64  debug=n  Not tainted ]----\n(XEN) CPU:    0\n"
            + $"(XEN) RIP:    e008:{code.Replace("R ", "", StringComparison.Ordinal)}\n(XEN) RFLAGS: 0000000000010246   CONTEXT: hypervisor\n"
            + "(XEN) cr3: 00000000bfe2f000   cr2: 00000000fed1c010\n(XEN) Xen call trace:\n(XEN)    " + code + "\n(XEN) \n(XEN) Panic on CPU 0:\n(XEN) FATAL PAGE FAULT\n";

        string text = Joined(With(log, "verify", "--dom0", "--host", "-"));

        Assert.Contains("What to change: efi=attr=uc on Xen's command line, which maps it", text);
        Assert.AreEqual(isAdvised, text.Contains("efi=no-rs", StringComparison.Ordinal), text);
    }

    /// <summary>Xen tells libxl of AMD's memory for devices since 4.16 (get_reserved_device_memory): before, no policy of libxl's counts.</summary>
    [TestMethod]
    [DataRow("4.15.5", "AMD, Family 23 (0x17)", "up to Xen 4.15 libxl is not told of it", "boot Xen 4.16 or later")]
    [DataRow("4.16.0", "AMD, Family 23 (0x17)", "libxl gives way or refuses it", "rdm_policy=relaxed")]
    [DataRow("4.15.5", "Intel, Family 6 (0x6)", "libxl gives way or refuses it", "rdm_policy=relaxed")]
    public void What_libxl_is_not_told_of_it_neither_refuses_nor_relaxes(string xen, string vendor, string words, string remedy)
    {
        string guest = Path.GetTempFileName();
        File.WriteAllText(guest, "type=\"hvm\"\nname=\"g\"\nmemory=2048\npci=[\"01:00.0\"]\n");
        string log = $"(XEN) Xen version {xen} (a@b) debug=n\n(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009fbff] (usable)\n"
            + "(XEN)  [0000000000100000, 00000000bffdffff] (usable)\n(XEN)  [0000000100000000, 000000043fffffff] (usable)\n"
            + $"(XEN) System RAM: 16383MB (16777188kB)\n(XEN) CPU Vendor: {vendor}, Model 1 (0x1), Stepping 1 (raw 00800f11)\n";

        string text = Joined(With(log, "plan", "--host", "-", "--guest", guest, "--rmrr", "0x4f83f000-0x4f880000"));
        File.Delete(guest);

        Assert.Contains(words, text);
        Assert.Contains(remedy, text);
    }
}
