// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Logs;
using Keyhole.PvGuest;
using Keyhole.Tests.Golden;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Verification;

/// <summary>Logs that hold several boots, and every wording of what a kernel says.</summary>
[TestClass]
public sealed class BootLogTests
{
    private const string Map = "[    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable";

    [TestMethod]
    public void A_record_holds_dom0_and_every_booted_guest_in_order()
    {
        foreach (string name in GoldenLog.Names)
        {
            ImmutableArray<ObservedBoot> boots = Boots(GoldenBoots.Lines(name));

            int guests = GoldenLog.Load(name).Guests().Count(static guest => guest.WasBooted);
            Assert.HasCount(1 + guests, boots, name);
            Assert.AreEqual(BootOwner.Dom0, boots[0].Owner, name);
            Assert.IsTrue(boots.Skip(1).All(static boot => boot.Owner == BootOwner.Guest), name);
            CollectionAssert.AreEqual(Enumerable.Range(1, boots.Length).ToArray(), boots.Select(static boot => boot.Number).ToArray(), name);
        }
    }

    [TestMethod]
    public void The_boots_of_a_log_are_found_once_and_a_copy_with_other_lines_has_its_own()
    {
        LogScan scan = GoldenBoots.Scan(GoldenBoots.Lines("dom0-512"));

        ObservedBoot first = BootLog.Of(scan)[0];
        LogScan copy = scan with { Maps = [], Lines = [] };

        Assert.AreSame(first, BootLog.Of(scan)[0]);
        Assert.AreSame(first, scan.Boots.Around(scan.Maps[0]));
        Assert.IsEmpty(BootLog.Of(copy));
        Assert.AreSame(first, BootLog.Of(scan)[0]);
    }

    [TestMethod]
    public void A_machine_that_boots_twice_shows_two_dom0s_each_with_its_own_pages()
    {
        string[] lines = [.. GoldenBoots.Lines("dom0-512"), .. GoldenBoots.Lines("nvskernel")];

        ImmutableArray<ObservedBoot> boots = Boots(lines);

        Assert.HasCount(2, boots);
        Assert.IsTrue(boots.All(static boot => boot.Owner == BootOwner.Dom0));
        Assert.AreEqual(Dom0Log.Of(GoldenBoots.Scan(GoldenBoots.Lines("dom0-512")))!.PageCount, boots[0].Builder!.PageCount);
        Assert.AreEqual(Dom0Log.Of(GoldenBoots.Scan(GoldenBoots.Lines("nvskernel")))!.PageCount, boots[1].Builder!.PageCount);
        Assert.IsFalse(boots[0].Halts);
        Assert.IsTrue(boots[1].Halts);
    }

    [TestMethod]
    public void Of_two_boots_the_first_tells_how_dom0_is_built()
    {
        string[] lines = [.. GoldenBoots.Lines("dom0-512"), .. GoldenBoots.Lines("nvskernel")];

        Assert.AreEqual(Dom0Log.Of(GoldenBoots.Scan(GoldenBoots.Lines("dom0-512"))), Dom0Log.Of(GoldenBoots.Scan(lines)));
    }

    [TestMethod]
    public void Guests_on_their_consoles_in_Xens_log_are_kept_apart_line_by_line()
    {
        ImmutableArray<ObservedBoot> boots = Boots(
            "(d1) [    0.000000] Linux version 5.10.0 (x@y)",
            "(d2) [    0.000000] Linux version 6.12.1 (x@y)",
            "(d1) [    0.000000] Released 1 page(s)",
            "(XEN) [2024-01-01 00:00:00] (d2) [    0.000000] Released 2 page(s)",
            "(d1) [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable",
            "(d2) [    0.000000] Xen: [mem 0x0000000000000000-0x000000000008ffff] usable",
            "(d1) [    0.000000] Xen: [mem 0x0000000000100000-0x000000000fffffff] usable",
            "(d2) [    0.000000] Xen: [mem 0x0000000000200000-0x000000000fffffff] usable",
            "(d1) [    1.000000] Remapped 11 page(s)",
            "(d2) [    1.000000] Remapped 12 page(s)");

        Assert.HasCount(2, boots);
        Assert.AreEqual((1, 1UL, 11UL), (boots[0].Domain, boots[0].Facts.Released!.Value.Value, boots[0].Facts.Remapped!.Value.Value));
        Assert.AreEqual((2, 2UL, 12UL), (boots[1].Domain, boots[1].Facts.Released!.Value.Value, boots[1].Facts.Remapped!.Value.Value));
        CollectionAssert.AreEqual(new[] { 0UL, 0x10_0000UL }, boots[0].Map!.Entries.Select(static entry => entry.Address).ToArray());
        CollectionAssert.AreEqual(new[] { 6, 8 }, boots[1].Map!.EntryLines.ToArray());
        Assert.AreEqual(new KernelRelease(5, 10), boots[0].Kernel);
        Assert.AreEqual(new KernelRelease(6, 12, 1), boots[1].Kernel);
    }

    [TestMethod]
    public void A_reboot_without_a_version_line_begins_before_its_map()
    {
        string[] between = [.. Enumerable.Repeat("systemd[1]: something else", 9)];

        ImmutableArray<ObservedBoot> boots =
            Boots(["Released 1 page(s)", Map, "Remapped 1 page(s)", .. between, "Released 2 page(s)", Map, "Remapped 2 page(s)"]);

        Assert.HasCount(2, boots);
        Assert.AreEqual(13, boots[1].FirstLine);
        Assert.AreEqual(2UL, boots[1].Facts.Remapped!.Value.Value);
        Assert.AreEqual(14, boots[1].Map!.Line);
    }

    [TestMethod]
    public void A_boot_number_chooses_and_one_that_is_not_there_is_refused()
    {
        ImmutableArray<ObservedBoot> boots = Boots("Released 1 page(s)", Map, "Remapped 1 page(s)", "Released 2 page(s)", Map);

        Assert.AreSame(boots[1], BootLog.Choose(boots, wantsDom0: true, 2, "a.log").Value);
        Assert.AreEqual("a.log: there is no boot 3: the log has 2; choose the boot's number 1 to 2",
            BootLog.Choose(boots, wantsDom0: true, 3, "a.log").Error!.ToString());
        Assert.AreEqual("a.log: there is no boot 0: the log has 2; choose the boot's number 1 to 2",
            BootLog.Choose(boots, wantsDom0: true, 0, "a.log").Error!.ToString());
    }

    [TestMethod]
    public void The_boot_behind_the_hosts_map_is_chosen_and_the_end_that_a_mail_quotes_before_it_is_named()
    {
        string[] quoted = ["(XEN) Panic on CPU 1:", "(XEN) Assertion 'a == b' failed at sched_credit2.c:2137", ""];
        LogScan scan = GoldenBoots.Scan([.. quoted, .. GoldenBoots.Lines("dom0-512")]);
        ImmutableArray<ObservedBoot> boots = BootLog.Of(scan);
        LogMap map = scan.Maps.First(static map => map.Kind == LogMapKind.XenFirmware);

        ObservedBoot chosen = BootLog.Choose(boots, wantsDom0: true, null, "a.log", map).Value!;

        Assert.AreEqual(2, chosen.Number);
        Assert.AreEqual($"The host's map (line {map.Line}) is of boot 2: that one is looked at. Boot 1 (line 1), which ends with "
            + "\"Assertion 'a == b' failed at sched_credit2.c:2137\", can be taken with the boot's number 1.",
            BootLog.WhyNotTheFirst(boots, chosen, map)!.ToString());
        Assert.IsNull(BootLog.WhyNotTheFirst(boots, boots[0], map));
    }

    [TestMethod]
    public void Of_two_dom0s_that_of_the_second_map_is_chosen_where_that_is_the_hosts()
    {
        LogScan scan = GoldenBoots.Scan([.. GoldenBoots.Lines("dom0-512"), .. GoldenBoots.Lines("nvskernel")]);
        LogMap[] maps = [.. scan.Maps.Where(static map => map.Kind == LogMapKind.XenFirmware)];

        Assert.AreEqual(1, BootLog.Choose(BootLog.Of(scan), wantsDom0: true, null, "a.log", maps[0]).Value!.Number);
        Assert.AreEqual(2, BootLog.Choose(BootLog.Of(scan), wantsDom0: true, null, "a.log", maps[1]).Value!.Number);
    }

    [TestMethod]
    [DataRow("Kernel panic - not syncing: Attempted to kill init!")]
    [DataRow("Linux version 6.1.0 (a@b) #1 SMP")]
    public void Without_a_hosts_map_the_first_boot_that_tells_of_its_memory_is_chosen(string quoted)
    {
        string[] text = [quoted, .. Enumerable.Repeat("Regards", 9)];
        ImmutableArray<ObservedBoot> boots = Boots([.. text, "Linux version 5.10.0 (a@b) #1 SMP", "Released 1 page(s)", Map, "Remapped 1 page(s)"]);

        ObservedBoot chosen = BootLog.Choose(boots, wantsDom0: true, null, "a.log").Value!;

        Assert.HasCount(2, boots);
        Assert.AreEqual(2, chosen.Number);
        Assert.StartsWith("Boot 2 is looked at, the first that tells of its memory. Boot 1 (line 1)",
            BootLog.WhyNotTheFirst(boots, chosen, null)!.ToString());
    }

    /// <summary>What a ring buffer or a journal has of two boots, the second one's version line lost.</summary>
    [TestMethod]
    [DataRow("[   30.500000] Kernel panic - not syncing: Attempted to kill init!", "[    1.026255] Remapped 7 page(s)")]
    [DataRow("-- Reboot --", "Remapped 7 page(s)")]
    [DataRow("-- Boot 5c0e38b35d3f4b6c8b1a3c5d7e9f0a1b --", "[   99.000000] Remapped 7 page(s)")]
    public void What_cannot_come_behind_what_a_boot_has_said_is_of_another_boot(string last, string next)
    {
        ImmutableArray<ObservedBoot> boots = Boots("[    0.000000] Released 1 page(s)", Map, last, next);

        Assert.HasCount(2, boots);
        Assert.IsNull(boots[0].Facts.Remapped);
        Assert.AreEqual(4, boots[1].FirstLine);
    }

    /// <summary>Under Xen the stamps begin again once the kernel has its clock; processors differ a little; and who looks for one word after the other
    /// (<c>grep -i memory</c>, then <c>grep -i pci</c>) has a boot in pieces.</summary>
    [TestMethod]
    [DataRow("[   35.100000] systemd[1]: Detected virtualization xen.", "[    1.026255] Remapped 7 page(s)")]
    [DataRow("[    9.026255] Memory: 156568K/524284K available", "[    1.026255] Remapped 7 page(s)")]
    [DataRow("[    9.784313] [mem 0x40061000-0xfebfffff] available for PCI devices", "[    0.050000] Memory: 156568K/524284K available")]
    [DataRow("[    1.400000] Memory: 156568K/524284K available", "[    1.300000] Remapped 7 page(s)")]
    [DataRow("-- Boot entries --", "[    1.300000] Remapped 7 page(s)")]
    public void A_stamp_that_goes_back_alone_begins_no_boot(string last, string next) =>
        Assert.HasCount(1, Boots("[    0.000000] Released 1 page(s)", Map, last, next));

    [TestMethod]
    public void A_map_of_which_two_boots_lines_are_mixed_is_none()
    {
        string[] one = ["0x0000000000000000-0x000000000009ffff", "0x0000000000100000-0x000000000fffffff", "0x0000000010000000-0x000000001fffffff"];
        LogScan scan = GoldenBoots.Scan(one.SelectMany((range, i) =>
            new[] { range, i == 2 ? "0x0000000010000000-0x000000002fffffff" : range })
            .Select(static range => $"[    0.000000] BIOS-e820: [mem {range}] usable"));
        LogScan same = GoldenBoots.Scan(one.SelectMany(static range => new[] { range, range })
            .Select(static range => $"[    0.000000] BIOS-e820: [mem {range}] usable"));

        Assert.Contains(
            "6: the lines of two maps are mixed here, of two boots, machines or guests: [0x10000000, 0x30000000) is over another of the "
                + "entries",
            scan.Maps.Single().Error!.ToString());
        Assert.IsNull(same.Maps.Single().Error);
    }

    [TestMethod]
    public void A_guests_boot_is_not_dom0s()
    {
        GoldenLog log = GoldenLog.Load("passthrough");
        ImmutableArray<ObservedBoot> onlyGuest = Boots([.. GoldenBoots.TextOf(log.Guests()[0])]);
        ImmutableArray<ObservedBoot> both = Boots(log.Lines);

        Assert.Contains("only guests boot in this log", BootLog.Choose(onlyGuest, wantsDom0: true, null, "a.log").Error!.ToString());
        Assert.AreEqual(2, BootLog.Choose(both, wantsDom0: false, null, "a.log").Value!.Number);
        Assert.AreEqual(1, BootLog.Choose(both, wantsDom0: true, null, "a.log").Value!.Number);
    }

    [TestMethod]
    public void A_log_of_Xen_alone_holds_nothing_to_compare()
    {
        ImmutableArray<ObservedBoot> boots =
            Boots([.. GoldenBoots.Lines("plain4g").TakeWhile(static line => line.StartsWith("(XEN)", StringComparison.Ordinal))]);

        Assert.Contains("nothing that a kernel says", BootLog.Choose(boots, wantsDom0: true, null, "a.log").Error!.ToString());
    }

    [TestMethod]
    [DataRow("[    0.000000] Linux version 3.2.0-4-amd64 (debian-kernel@lists.debian.org) (gcc version 4.6.3 (Debian "
        + "4.6.3-14) ) #1 SMP Debian 3.2.102-1", "linux-3.2.102")]
    [DataRow("[    0.000000] Linux version 3.4.1", "linux-3.4.1")]
    [DataRow("[    0.000000] Linux version 4.3.0 (a@b)", "linux-4.3.0")]
    [DataRow("Apr 07 00:04:12 dom0 kernel: Linux version 4.19.107-1.pvops.qubes.x86_64 (user@build)", "linux-4.19.107")]
    [DataRow("[    0.000000] dom0 kernel: Linux version 6.6.48-1.qubes.fc37.x86_64 (mockbuild@x)", "linux-6.6.48")]
    [DataRow("(early) [    0.000000] Linux version 6.12.5-amd64", "linux-6.12.5")]
    [DataRow("[    0.000000] Linux version 6.12.117+deb12-amd64 (a@b) (x86_64-linux-gnu-gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0) #1 SMP "
        + "PREEMPT_DYNAMIC Debian 6.12.117-1~deb12u1", "linux-6.12.117")]
    [DataRow("[    0.000000] Linux version 6.1.0-50-amd64 (a@b) (gcc-12 (Debian 12.2.0-14) 12.2.0) #1 SMP "
        + "PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-01)", "linux-6.1.192")]
    [DataRow("[    0.000000] Linux version 4.4.0-210-generic (buildd@lgw) (gcc version 5.4.0) #242-Ubuntu SMP Fri Apr 16 "
        + "(Ubuntu 4.4.0-210.242-generic 4.4.262)", "linux-4.4.262")]
    public void The_version_line_tells_the_release(string line, string expected)
    {
        ObservedBoot boot = Boots(line).Single();
        Assert.AreEqual(expected, KernelReleases.NameOf(boot.Kernel!.Value));
        Assert.IsNull(boot.Identity!.Guess);
    }

    [TestMethod]
    [DataRow("4.4.0-210-generic", "linux-4.4.148")]
    [DataRow("6.1.0-50-amd64", "linux-6.1.113")]
    [DataRow("5.14.0-427.13.1.el9_4.x86_64", "linux-5.14.9")]
    [DataRow("5.14.0-el9", "linux-5.14.9")]
    [DataRow("5.15.0-91-generic", "linux-5.15.168")]
    [DataRow("7.3-rc1", "linux-7.3")]
    [DataRow("5.14.0-rc5", "linux-5.14")]
    public void A_distributions_kernel_that_does_not_tell_its_patch_is_guessed_and_said_to_be(string text, string expected)
    {
        KernelIdentity identity = KernelReleases.Identify(text)!;
        Assert.AreEqual(expected, KernelReleases.NameOf(identity.Release!.Value));
        Assert.Contains(text, identity.Guess!);
    }

    [TestMethod]
    [DataRow("v6.1", "linux-6.1")]
    [DataRow("V6.1.192", "linux-6.1.192")]
    [DataRow("Linux 6.12.117+deb13-amd64", "linux-6.12.117")]
    [DataRow("Linux dom0 6.1.0-50-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-01) x86_64 GNU/Linux", "linux-6.1.192")]
    [DataRow("Linux 6.1.0-50-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-01)", "linux-6.1.192")]
    [DataRow("Linux dom0 6.1.192", null)]
    [DataRow("Linux version", null)]
    [DataRow("Linux ", null)]
    [DataRow("v", null)]
    [DataRow("vv6.1", null)]
    [DataRow("v6.1 #1", null)]
    public void A_tag_and_what_uname_prints_name_a_release(string text, string? expected) =>
        Assert.AreEqual(expected, KernelReleases.Identify(text) is { Release: { } release } ? KernelReleases.NameOf(release) : null);

    [TestMethod]
    [DataRow("2.6.32-754.el6.x86_64")]
    [DataRow("3.1")]
    [DataRow("7.4")]
    [DataRow("8.0.1")]
    [DataRow("4.21")]
    public void A_release_outside_3_2_to_7_3_is_not_known(string text) => Assert.IsNull(KernelReleases.Identify(text)!.Release);

    [TestMethod]
    [DataRow("")]
    [DataRow("linux")]
    [DataRow("6")]
    [DataRow("6.x")]
    [DataRow("6.1x")]
    [DataRow("99999.1")]
    [DataRow("-6.1")]
    [DataRow("6.1 7.2")]
    [DataRow("6.1.")]
    [DataRow("6.1\n7")]
    public void What_is_no_release_is_refused(string text) => Assert.IsNull(KernelReleases.Identify(text));

    [TestMethod]
    public void A_name_is_read_back_as_the_release_that_it_was_made_of()
    {
        foreach (KernelRelease release in KernelReleases.Named.Concat(KernelReleases.Changing).Append(new(4, 19, 304)).Append(new(3, 4))
            .Append(new(4, 3)).Append(new(4, 3, 1)))
            Assert.AreEqual(KernelReleases.NameOf(release), KernelReleases.NameOf(Kernels.Of(KernelReleases.NameOf(release))));
    }

    [TestMethod]
    public void The_words_for_neighbours_cover_every_release_once()
    {
        Assert.AreEqual("3.4 and older", KernelReleases.RangeOf(new(3, 2), new(3, 4)));
        string all = string.Join(", ", KernelReleases.Changing.Select(static release => KernelReleases.RangeOf(release, release)));
        Assert.StartsWith("3.3 and older, 3.4, 3.5, 3.6 to 3.10, ", all);
        Assert.EndsWith(", 7.1 and later", all);
    }

    [TestMethod]
    [DataRow("pci 0000:00:00.0: BAR 0 [mem 0xfebc0000-0xfebdffff]: can't claim; address conflict with Unusable memory [mem 0xfeb00000-0xfebfffff]")]
    [DataRow("pci 0000:00:00.0: BAR 0 [mem 0xfebc0000-0xfebdffff 64bit pref]: can't claim; address conflict with "
        + "Unusable memory [mem 0xfeb00000-0xfebfffff]")]
    [DataRow("pci 0000:00:00.0: can't claim BAR 0 [mem 0xfebc0000-0xfebdffff]: address conflict with Unusable memory [mem 0xfeb00000-0xfebfffff]")]
    [DataRow("pci 0000:00:00.0: address space collision: [mem 0xfebc0000-0xfebdffff] conflicts with Unusable memory [mem 0xfeb00000-0xfebfffff]")]
    public void A_failed_claim_is_read_in_every_wording(string line)
    {
        FailedClaim claim = Boots(line).Single().Facts.FailedClaims.Single().Value;

        Assert.AreEqual(new FailedClaim(ByteRange.FromBounds(0xfebc_0000, 0xfebe_0000), "Unusable memory",
            ByteRange.FromBounds(0xfeb0_0000, 0xfec0_0000)), claim);
    }

    [TestMethod]
    [DataRow("pci 0000:00:00.4: can't claim BAR 0 [mem 0x90004000-0x90007fff 64bit pref]:",
        "address conflict with System RAM [mem 0x90000000-0x97ffffff]", "System RAM")]
    [DataRow("pci 0000:00:00.4: can't claim BAR 0 [mem 0x90004000-0x90007fff 64bit pref]: address",
        "conflict with System RAM [mem 0x90000000-0x97ffffff]", "System RAM")]
    [DataRow("pci 0000:00:00.4: BAR 0 [mem 0x90004000-0x90007fff 64bit pref]: can't claim;",
        "address conflict with System RAM [mem 0x90000000-0x97ffffff]", "System RAM")]
    [DataRow("pci 0000:00:00.4: can't claim BAR 0 [mem 0x90004000-0x90007fff 64bit pref]:", "Device offline.", "")]
    [DataRow("pci 0000:00:00.4: can't claim BAR 0 [mem 0x90004000-0x90007fff 64bit pref]:", "", "")]
    public void A_failed_claim_that_is_wrapped_before_its_reason_is_joined_and_no_reason_is_made_up(string first, string second, string obstacle) =>
        Assert.AreEqual(obstacle, Boots($"> {first}\n> {second}").Single().Facts.FailedClaims.Single().Value.Obstacle);

    [TestMethod]
    [DataRow("pci 0000:01:00.0: can't claim BAR 6 [mem 0xfffe0000-0xffffffff pref]: no compatible bridge window", true)]
    [DataRow("pci 0000:01:00.0: ROM [mem 0xfffe0000-0xffffffff pref]: can't claim; no compatible bridge window", true)]
    [DataRow("pci 0000:00:08.0: can't claim BAR 0 [io  0xd360-0xd36f]: address conflict with PCI Bus 0000:01 [io  0xd000-0xdfff]", false)]
    public void A_claim_that_fails_for_no_memory_has_no_obstacle(string line, bool isWindow)
    {
        ImmutableArray<ObservedBoot> boots = Boots(line);

        Assert.HasCount(isWindow ? 1 : 0, boots);
        if (isWindow)
            Assert.IsNull(boots[0].Facts.FailedClaims.Single().Value.Obstacle);
    }

    [TestMethod]
    [DataRow("[    0.000000] [mem 0xc0000000-0xfebfffff] available for PCI devices")]
    [DataRow("[    0.000000] e820: [mem 0xc0000000-0xfebfffff] available for PCI devices")]
    [DataRow("[    0.000000] [gap 0xc0000000-0xfebfffff] available for PCI devices")]
    [DataRow("[    0.000000] Allocating PCI resources starting at c0000000 (gap: c0000000:3ec00000)")]
    public void The_gap_is_read_in_every_wording(string line) =>
        Assert.AreEqual(ByteRange.FromBounds(0xc000_0000, 0xfec0_0000), Boots(line).Single().Facts.PciGap!.Value.Value);

    [TestMethod]
    [DataRow("[    0.000000] Cannot find an available gap in the 32-bit address range")]
    [DataRow("[    0.000000] e820: cannot find a gap in the 32bit address range")]
    [DataRow("[    0.000000] PCI: Warning: Cannot find a gap in the 32bit address range")]
    public void No_gap_is_an_empty_one(string line) => Assert.IsTrue(Boots(line).Single().Facts.PciGap!.Value.Value.IsEmpty);

    [TestMethod]
    [DataRow("RAMDISK: [mem 0x04c00000-0x04e41fff]")]
    [DataRow("RAMDISK: 04c00000 - 04e42000")]
    public void The_ramdisk_is_read_in_both_wordings(string line) =>
        Assert.AreEqual(ByteRange.FromBounds(0x4c0_0000, 0x4e4_2000), Boots(line).Single().Facts.Ramdisk!.Value.Value);

    [TestMethod]
    [DataRow("Released 512 page(s)")]
    [DataRow("Released 512 pages of unused memory")]
    public void Released_pages_are_read_in_both_wordings(string line) => Assert.AreEqual(512UL, Boots(line).Single().Facts.Released!.Value.Value);

    [TestMethod]
    [DataRow("Xen hypervisor allocated kernel memory conflicts with E820 map")]
    [DataRow("xen hypervisor allocated kernel memory conflicts with E820")]
    [DataRow("(d7) Xen hypervisor allocated kernel memory conflicts with E820 map")]
    public void Last_words_are_known_also_as_people_copy_them(string line)
    {
        ObservedBoot boot = Boots(line).Single();

        Assert.IsTrue(boot.Halts);
        Assert.AreEqual("Xen hypervisor allocated kernel memory conflicts with E820 map", boot.Facts.PanicMessage!.Value.Value);
    }

    [TestMethod]
    [DataRow("Released 512 pa")]
    [DataRow("Remapped 99999999999999999999 page(s)")]
    [DataRow("Remapped 7 non-RAM pa")]
    [DataRow("RAMDISK: [mem 0x04c00000-0x04e41ff")]
    [DataRow("RAMDISK: [mem 0x04c00000-0xffffffffffffffff]")]
    [DataRow("Freeing unused kernel image (initmem) memory: 2824K")]
    [DataRow("Kernel command line: root=/dev/xvda")]
    [DataRow("Memory: 1234K/1k available")]
    public void What_is_cut_or_garbled_or_something_else_is_not_read(string line) => Assert.IsEmpty(Boots(line));

    private static ImmutableArray<ObservedBoot> Boots(params string[] lines) => BootLog.Of(GoldenBoots.Scan(lines));

    /// <summary>Lines of reports on xen-devel of 2025 and 2022.</summary>
    [TestMethod]
    [DataRow("CPU: 0 UID: 0 PID: 128 Comm: kworker/0:2 Not tainted 6.13.6-1.qubes.fc37.x86_64 #1", "6.13.6-1.qubes.fc37.x86_64")]
    [DataRow("CPU: 0 PID: 0 Comm: swapper Tainted: G        W         5.16.1-20220118-doflr+ #1", "5.16.1-20220118-doflr+")]
    [DataRow("Pid: 11, comm: kworker/0:1 Not tainted 3.0.101-63-default #1 Xen HVM domU", "3.0.101-63-default")]
    [DataRow("CPU: 0 PID: 0 Comm: swapper Not tainted", null)]
    public void A_trace_names_the_kernel_where_no_other_line_does(string line, string? release)
    {
        string log = $"[    0.1] BUG: kernel NULL pointer dereference, address: 0000000000000070\n[    0.1] {line}\n"
            + "[    0.1] Kernel panic - not syncing: x\n";
        ObservedBoot boot = BootLog.Of(LogScanner.Scan(new System.IO.MemoryStream(System.Text.Encoding.ASCII.GetBytes(log)), "f")).Single();

        Assert.AreEqual(release, boot.Release?.Value);
        Assert.AreEqual(1, boot.FirstLine);
        Assert.AreEqual("BUG: kernel NULL pointer dereference, address: 0000000000000070", boot.BootFailure?.Value.Words);
    }
}
