// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Verification;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Verification;

/// <summary>Guests that the real QEMU and their firmware started with a real Linux, whose log is held beside the forecast.</summary>
[TestClass]
public sealed class FirmwareVerifierTests
{
    private static string Fixture(string name) => File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "kvm", "verify", name));

    private static LogScan Scan(string log) => LogScanner.ScanWithPci(new MemoryStream(Encoding.UTF8.GetBytes(log)), "dmesg");

    private static Scenario ScenarioOf(string commandLine, string type = "")
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(commandLine)), $"guest{type}")
            .TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());
        return new() { Host = Host.Unknown, Guest = guest.Guest, Qemu = new() { Emulator = new QemuVersion(7, 2) } };
    }

    private static BootVerification Verify(Scenario scenario, string log)
    {
        LogScan scan = Scan(log);
        ObservedBoot boot = FirmwareVerifier.BootsIn(scan)[0];
        return FirmwareVerifier.Compare(Planner.Plan(FirmwareVerifier.WithEvidence(scenario, boot, scan)), boot, scan);
    }

    private static string Differences(BootVerification verification) =>
        string.Join('\n',
            verification.Differences.Select(
                static finding => $"{finding.What}: {finding.Forecast ?? "-"} / {finding.Observed ?? "-"} (line {finding.Line})"));

    private static string Words(BootVerification verification) =>
        string.Join('\n', verification.Explanations.Select(static phrase => phrase.ToString()));

    [TestMethod]
    [DataRow("VFS: Unable to mount root fs on unknown-block(0,0)", "last words say nothing of memory, and nothing that could be compared points")]
    [DataRow("System is deadlocked on memory", "Memory has a part in it; the guest has 4 GiB.")]
    public void A_panic_behind_what_agrees_is_told_with_memorys_part_in_it_and_no_other_machine_is_looked_for(string words, string told)
    {
        BootVerification verification = Verify(ScenarioOf(Fixture("ovmf-unplaced.cmd")),
            Fixture("ovmf-unplaced.log") + $"\n[    3.000000] Kernel panic - not syncing: {words}\n");

        Assert.AreEqual("outcome", verification.Differences.Single().What);
        Assert.Contains("what ended the boot comes after it", Words(verification));
        Assert.Contains(told, Words(verification));
        Assert.DoesNotContain("Everything agrees", Words(verification));
    }

    [TestMethod]
    [DataRow("sea-ports", 41)]
    [DataRow("ovmf-unplaced", 45)]
    [DataRow("sea-unplaced", 24)]
    public void A_recorded_guest_agrees_line_for_line(string name, int findings)
    {
        BootVerification verification = Verify(ScenarioOf(Fixture($"{name}.cmd")), Fixture($"{name}.log"));
        Assert.IsTrue(verification.Agrees, Differences(verification));
        Assert.HasCount(findings, verification.Findings, Differences(verification));
        Assert.AreEqual((GuestOutcome.Boots, GuestOutcome.Boots), verification.Outcomes);
    }

    [TestMethod]
    public void An_address_that_is_not_as_forecast_is_the_one_difference_with_its_line()
    {
        string log = Fixture("sea-ports.log");
        BootVerification verification =
            Verify(ScenarioOf(Fixture("sea-ports.cmd")),
                log.Replace("pci 0000:02:00.0: BAR 0 [mem 0xfe600000-0xfe600fff]", "pci 0000:02:00.0: BAR 0 [mem 0xfe601000-0xfe601fff]",
                    StringComparison.Ordinal));
        Finding finding = verification.Differences.Single();
        Assert.AreEqual("BAR 0 of 0000:02:00.0", finding.What);
        Assert.AreEqual("0xfe600000 (4 KiB, mem32)", finding.Forecast);
        Assert.AreEqual("0xfe601000 (4 KiB, mem32)", finding.Observed);
        int line = log[..log.IndexOf("pci 0000:02:00.0: BAR 0 [", StringComparison.Ordinal)].Count(static c => c == '\n') + 1;
        Assert.AreEqual(line, finding.Line);
    }

    [TestMethod]
    public void A_function_that_is_missing_or_too_many_is_a_difference()
    {
        string[] lines = Fixture("sea-ports.log").Split('\n');
        string without = string.Join('\n', lines.Where(static line => !line.Contains("pci 0000:02:00.0", StringComparison.Ordinal)));
        BootVerification verification = Verify(ScenarioOf(Fixture("sea-ports.cmd")), without);
        Assert.AreEqual("PCI function: 0000:02:00.0 [1b36:0005] / -", Differences(verification).Split(" (line")[0]);
        Scenario fewer = ScenarioOf(Fixture("sea-ports.cmd").Replace("-device pci-testdev,bus=r2,membar=256M", "", StringComparison.Ordinal));
        Assert.Contains(static finding => finding is { What: "PCI function", Forecast: null, Observed: "0000:02:00.0 [1b36:0005]" },
            Verify(fewer, Fixture("sea-ports.log")).Differences);
    }

    [TestMethod]
    public void Of_a_log_that_is_cut_within_the_functions_nothing_is_missing()
    {
        string log = Fixture("sea-ports.log");
        BootVerification verification =
            Verify(ScenarioOf(Fixture("sea-ports.cmd")), log[..log.IndexOf("pci 0000:01:00.0: BAR 1", StringComparison.Ordinal)]);
        Assert.IsTrue(verification.Agrees, Differences(verification));
        Assert.Contains(static text => text.Contains("the log names only a part of them", StringComparison.Ordinal), verification.NotCompared);
    }

    [TestMethod]
    public void Of_a_log_of_one_device_nothing_else_is_missing_and_what_Linux_says_of_an_unknown_one_is_told()
    {
        // As grep leaves it: the host bridge, which Linux finds first, is not there.
        string log = string.Join('\n', Fixture("sea-ports.log").Split('\n').Where(static line => !line.Contains("pci 0000:", StringComparison.Ordinal)
            || line.Contains("pci 0000:02:00.0", StringComparison.Ordinal)))
            + "\n[    1.0] pci 0000:07:00.0: [10de:2684] type 00 class 0x030000\n"
            + "[    1.0] pci 0000:07:00.0: reg 0x14: [mem 0x00000000-0x7ffffffff 64bit pref]\n"
            + "[    1.0] pci 0000:07:00.0: BAR 1: no space for [mem size 0x800000000 64bit pref]\n";
        BootVerification verification = Verify(ScenarioOf(Fixture("sea-ports.cmd")), log);

        Assert.AreEqual("PCI function: - / 0000:07:00.0 [10de:2684]", Differences(verification).Split(" (line")[0]);
        Assert.HasCount(1, verification.Differences);
        Assert.Contains(static text => text.Contains("the log names only a part of them", StringComparison.Ordinal), verification.NotCompared);
        Assert.Contains("BAR 1 of 0000:07:00.0 (32 GiB) got no address from the firmware. Linux found no room for it either", Words(verification));
        Assert.Contains("what differs has another reason", Words(verification));
    }

    [TestMethod]
    public void What_was_told_wrongly_and_makes_everything_agree_is_named()
    {
        // The user says the release that QEMU 10 has, and the width is another one.
        Scenario scenario = ScenarioOf(Fixture("sea-ports.cmd"));
        Assert.IsTrue(QemuFirmware.TryParse("seabios-1.16.3", out QemuFirmware newer));
        string words = Words(Verify(scenario with { Qemu = scenario.Qemu with { Firmware = newer } }, Fixture("sea-ports.log")));
        Assert.Contains("The log names seabios-1.16.2 as its firmware, and seabios-1.16.3 was told.", words);
        Assert.Contains("Everything agrees with seabios-1.14.0 or seabios-1.16.2.", words);
        string otherDevice = Words(Verify(ScenarioOf(Fixture("sea-ports.cmd").Replace("membar=256M", "membar=512M", StringComparison.Ordinal)),
            Fixture("sea-ports.log")));
        Assert.Contains("With none of the usual address widths", otherDevice);
        Assert.DoesNotContain("Everything agrees", otherDevice);
    }

    private const string Unplaced =
        "[    0.000000] Linux version 6.1.0\npci_bus 0000:00: root bus resource [mem 0xc0000000-0xfebfffff window]\npci 0000:00:01.0: "
            + "[1b36:0005] type 00 class 0x00ff00\n";

    [TestMethod]
    [DataRow("pci 0000:01:00.0: BAR 2 [mem 0x00000000-0xfffffffff 64bit pref]",
        "pci 0000:01:00.0: BAR 2 [mem 0x1000000000-0x1fffffffff 64bit pref]: assigned", "Linux then placed it itself at 0x1000000000 (line 3).")]
    [DataRow("pci 0000:01:00.0: reg 0x18: [mem 0x00000000-0xfffffffff 64bit pref]",
        "pci 0000:01:00.0: BAR 2: assigned [mem 0x1000000000-0x1fffffffff 64bit pref]", "Linux then placed it itself at 0x1000000000 (line 3).")]
    [DataRow("pci 0000:01:00.0: BAR 2 [mem size 0x1000000000 64bit pref]",
        "pci 0000:01:00.0: BAR 2 [mem size 0x1000000000 64bit pref]: can't assign; no space", "Linux found no room for it either (line 3).")]
    [DataRow("pci 0000:01:00.0: reg 0x18: [mem 0xfffffff000000000-0xffffffffffffffff 64bit pref]",
        "pci 0000:01:00.0: BAR 2: no space for [mem size 0x1000000000 64bit pref]", "Linux found no room for it either (line 3).")]
    [DataRow("pci 0000:01:00.0: reg 0x18: [mem 0xfffffff000000000-0xffffffffffffffff 64bit pref]",
        "pci 0000:01:00.0: BAR 2: failed to assign [mem size 0x1000000000 64bit pref]", "Linux found no room for it either (line 3).")]
    public void A_BAR_without_a_place_agrees_and_what_Linux_did_with_it_is_told_apart(string found, string later, string words)
    {
        Scenario scenario =
            ScenarioOf("qemu-system-x86_64 -machine q35 -m 4096 -cpu Skylake-Server,phys-bits=40 -nodefaults -bios /usr/share/ovmf/OVMF.fd -device "
                + "pcie-root-port,id=r1,slot=1 -device pci-testdev,bus=r1,membar=64G -device pcie-root-port,id=r2,slot=2 "
                + "-device pci-testdev,bus=r2,membar=4G");
        BootVerification verification = Verify(scenario, $"[    0.000000] Linux version 6.1.0\n{found}\n{later}\n");
        Assert.IsTrue(verification.Agrees, Differences(verification));
        Assert.Contains(static finding => finding is { What: "BAR 2 of 0000:01:00.0", Forecast: "no address (64 GiB, mem64-prefetchable)" },
            verification.Findings);
        Assert.Contains(words, Words(verification));
        Assert.Contains("it does not fit into the window above 4 GiB", Words(verification));
        Assert.Contains("What to change: ", Words(verification));
    }

    [TestMethod]
    public void What_a_real_Linux_did_with_BARs_that_OVMF_left_out_is_told()
    {
        BootVerification verification = Verify(ScenarioOf(Fixture("ovmf-unplaced.cmd")), Fixture("ovmf-unplaced.log"));
        string words = Words(verification);
        Assert.Contains("BAR 2 of 0000:01:00.0 (64 GiB) got no address from the firmware: it does not fit into the window above 4 GiB", words);
        Assert.Contains("Linux found no room for it either (line 340).", words);
        Assert.Contains("Linux then placed it itself at 0xc0200000 (line 341).", words);
        Assert.Contains("Linux moved BAR 4 of 0000:00:1f.2 from 0x7240 to 0x1040 (line 338)", words);
        Assert.Contains("What to change: X-PciMmio64Mb=", words);
        string part = verification.NotCompared.Single(static part => part.Contains("the map", StringComparison.Ordinal));
        Assert.AreEqual(
            "the map's part [0x900000, 0x7f8ed000): OVMF keeps one more reserved range there, of about 1 MiB: where depends on what its drivers took "
                + "before", part);
    }

    [TestMethod]
    public void A_line_of_the_map_that_OVMF_settles_is_compared_and_one_that_it_does_not_is_none()
    {
        string log = Fixture("ovmf-unplaced.log");
        Scenario scenario = ScenarioOf(Fixture("ovmf-unplaced.cmd"));
        // Elsewhere in the part that is not settled.
        Assert.IsTrue(Verify(scenario, log.Replace("7eeb6fff", "7eeb5fff", StringComparison.Ordinal)
            .Replace("7eeb7000", "7eeb6000", StringComparison.Ordinal).Replace("/4188332K", "/4188328K", StringComparison.Ordinal)).Agrees);
        BootVerification verification = Verify(scenario, log.Replace("7fb6cfff", "7fb6bfff", StringComparison.Ordinal)
            .Replace("7fb6d000", "7fb6c000", StringComparison.Ordinal));
        Assert.AreEqual("map entry: [0x7f8ed000, 0x7fb6d000) reserved / [0x7f8ed000, 0x7fb6c000) reserved (line 15)\n"
            + "map entry: [0x7fb6d000, 0x7fb7f000) acpi / [0x7fb6c000, 0x7fb7f000) acpi (line 16)", Differences(verification));
    }

    [TestMethod]
    public void An_address_that_Linux_changes_later_counts_as_the_firmware_left_it()
    {
        string log = Fixture("sea-ports.log")
            + "pci 0000:02:00.0: BAR 0 [mem 0xfe601000-0xfe601fff]: assigned\npci 0000:00:01.0: bridge window "
            + "[mem 0xfea10000-0xfeafffff]: assigned\n";
        BootVerification verification = Verify(ScenarioOf(Fixture("sea-ports.cmd")), log);
        Assert.IsTrue(verification.Agrees, Differences(verification));
        Assert.Contains("Linux moved BAR 0 of 0000:02:00.0 from 0xfe600000 to 0xfe601000", Words(verification));
        Assert.Contains("Linux gave bridge 0000:00:01.0 a window itself, [0xfea10000, 0xfeb00000)", Words(verification));
    }

    [TestMethod]
    public void A_boot_goes_on_until_the_next_one_begins()
    {
        string log = Fixture("sea-ports.log");
        LogScan scan = Scan(log + log.Replace("0xfe800000-0xfe800fff", "0xfe801000-0xfe801fff", StringComparison.Ordinal));
        ImmutableArray<ObservedBoot> boots = FirmwareVerifier.BootsIn(scan);
        Assert.HasCount(2, boots);
        Plan plan = Planner.Plan(FirmwareVerifier.WithEvidence(ScenarioOf(Fixture("sea-ports.cmd")), boots[0], scan));
        Assert.IsTrue(FirmwareVerifier.Compare(plan, boots[0], scan).Agrees);
        Assert.AreEqual("BAR 0 of 0000:01:00.0", FirmwareVerifier.Compare(plan, boots[1], scan).Differences.Single().What);
    }

    [TestMethod]
    public void A_guest_that_its_firmware_or_QEMU_does_not_let_start_agrees_where_that_was_forecast()
    {
        BootVerification panic =
            Verify(ScenarioOf("qemu-system-x86_64 -machine q35 -m 2048 -nodefaults -device qxl,vram_size_mb=512,ram_size_mb=512"),
                "PCI: init bdf=00:01.0 id=1b36:0100\nPCI: out of 32bit address space\n");
        Assert.IsTrue(panic.Agrees, Differences(panic));
        Assert.AreEqual((GuestOutcome.Panics, GuestOutcome.Panics), panic.Outcomes);
        BootVerification refused = Verify(
            ScenarioOf("qemu-system-x86_64 -machine q35 -m 64G -cpu Skylake-Server,phys-bits=36 -nodefaults"),
            "qemu-system-x86_64: Address space limit 0xfffffffff < 0x187fffffff phys-bits too low (36)\n");
        Assert.IsTrue(refused.Agrees, Differences(refused));
        Assert.AreEqual((GuestOutcome.Refused, GuestOutcome.Refused), refused.Outcomes);
        BootVerification boots = Verify(ScenarioOf("qemu-system-x86_64 -machine q35 -m 64G -cpu Skylake-Server,phys-bits=36 -nodefaults"), Unplaced);
        Assert.IsFalse(boots.Agrees);
        Assert.AreEqual((GuestOutcome.Refused, GuestOutcome.Boots), boots.Outcomes);
        Assert.Contains("everything after the outcome", boots.NotCompared);
    }

    [TestMethod]
    [DataRow("QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1 04/01/2014", "seabios-1.16.2")]
    [DataRow("QEMU Standard PC (i440FX + PIIX, 1996), BIOS rel-1.16.3-0-ga6ed6b701f0a-prebuilt.qemu.org 04/01/2014", "seabios-1.16.3")]
    [DataRow("QEMU Standard PC (Q35 + ICH9, 2009), BIOS Arch Linux 1.17.0-2-2 04/01/2014", "seabios-1.17.0")]
    [DataRow("QEMU Standard PC (Q35 + ICH9, 2009), BIOS 2024.02-2 03/11/2024", "ovmf-2024.02-2")]
    [DataRow("QEMU Standard PC (Q35 + ICH9, 2009), BIOS 2025.02-8+deb13u1 02/06/2015", "ovmf-2025.02-8")]
    [DataRow("Red Hat KVM/RHEL, BIOS edk2-20230524-3.el9 05/24/2023", "edk2-stable202305")]
    [DataRow("Red Hat KVM/RHEL, BIOS edk2-20221207gitfff6d81270b5-2.el9 unknown", "edk2-stable202211")]
    [DataRow("QEMU Standard PC (Q35 + ICH9, 2009), BIOS edk2-20230301gitf80f052277c8-1.fc37 03/01/2023", "edk2-stable202302")]
    [DataRow("QEMU Standard PC (Q35 + ICH9, 2009), BIOS 0.0.0 02/06/2015", null)]
    [DataRow("Dell Inc. OptiPlex 7040/0Y7WYT, BIOS 1.24.0 04/01/2023", "seabios-1.24.0")]
    [DataRow("nothing of the kind", null)]
    public void The_firmware_is_read_from_what_the_machine_calls_itself(string machine, string? release)
    {
        LogScan scan = Scan($"[    0.000000] Linux version 6.1.0\n[    0.000000] DMI: {machine}\n");
        Scenario scenario = FirmwareVerifier.WithEvidence(ScenarioOf("qemu-system-x86_64 -m 2048"), FirmwareVerifier.BootsIn(scan)[0], scan);
        // A machine that is none of QEMU's has firmware of its own.
        Assert.AreEqual(machine.StartsWith("Dell", StringComparison.Ordinal) ? null : release, scenario.Qemu.Firmware?.ToString());
    }

    [TestMethod]
    [DataRow("1.16.2-debian-1.16.2-1")]
    [DataRow("rel-1.16.3-0-ga6ed6b701f0a-prebuilt.qemu.org")]
    [DataRow("Arch Linux 1.17.0-2-2")]
    [DataRow("2025.02-8+deb13u1")]
    public void A_firmware_of_a_release_is_not_taken_for_one_between_two(string version) =>
        Assert.DoesNotContain("changes after", Words(Verify(ScenarioOf("qemu-system-x86_64 -m 2048"),
            $"[    0.000000] Linux version 6.1.0\n[    0.000000] DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS {version} 04/01/2014\n")));

    [TestMethod]
    public void A_firmware_that_gave_its_devices_up_is_told_by_registers_without_an_address()
    {
        // The only device with 64 bits does not fit: OVMF programs none of any device.
        Scenario scenario =
            ScenarioOf("qemu-system-x86_64 -machine q35 -m 4096 -cpu Skylake-Server,phys-bits=40 -nodefaults -bios /usr/share/ovmf/OVMF.fd -device "
                + "pcie-root-port,id=r1,slot=1 -device pci-testdev,bus=r1,membar=64G");
        const string log = """
            [    0.000000] Linux version 6.1.0
            pci 0000:00:01.0: BAR 0 [mem 0xfffff000-0xffffffff]
            pci 0000:00:1f.2: BAR 4 [io  0xffffffe0-0xffffffff]
            pci 0000:00:1f.2: BAR 5 [mem 0xfffff000-0xffffffff]
            """;
        BootVerification verification = Verify(scenario, log);
        Assert.IsTrue(verification.Agrees, Differences(verification));
        Assert.AreEqual((GuestOutcome.GivesUp, GuestOutcome.GivesUp), verification.Outcomes);
        BootVerification placed = Verify(scenario,
            log.Replace("pci 0000:00:01.0: BAR 0 [mem 0xfffff000-0xffffffff]", "pci 0000:00:01.0: BAR 0 [mem 0xc0402000-0xc0402fff]",
                StringComparison.Ordinal));
        Assert.AreEqual((GuestOutcome.GivesUp, GuestOutcome.Boots), placed.Outcomes);
        Assert.IsFalse(placed.Agrees);
    }

    /// <summary>After a public report of a guest that a pre-release of QEMU 8.2 started on an EPYC of Milan: its SeaBIOS put the 64-bit window where the
    /// one before and the one after did not.</summary>
    [TestMethod]
    public void A_public_log_of_a_SeaBIOS_between_two_releases_agrees_in_its_map_and_is_named_as_one()
    {
        string ports = string.Concat(Enumerable.Range(0, 14).Select(static i => $" -device pcie-root-port,id=pci.{i + 1},chassis={i + 1},bus=pcie.0,"
            + $"addr=0x{1 + (i / 8):x}.0x{i % 8:x}{(i % 8 == 0 ? ",multifunction=on" : "")}"));
        string[] devices = ["virtio-net-pci", "qemu-xhci", "virtio-serial-pci", "virtio-blk-pci,drive=d", "virtio-balloon-pci", "virtio-rng-pci"];
        Scenario scenario = ScenarioOf("qemu-system-x86_64 -nodefaults -drive if=none,id=d -machine pc-q35-8.2,accel=kvm "
            + "-cpu EPYC-Milan,phys-bits=48 -m 131072 -smp 2" + ports
            + string.Concat(devices.Select(static (device, i) => $" -device {device},bus=pci.{i + 1},addr=0x0")));
        const string log = """
            [    0.000000] Linux version 3.10.0-1160.el7.x86_64
            [    0.000000] e820: BIOS-provided physical RAM map:
            [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable
            [    0.000000] BIOS-e820: [mem 0x000000000009fc00-0x000000000009ffff] reserved
            [    0.000000] BIOS-e820: [mem 0x00000000000f0000-0x00000000000fffff] reserved
            [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x000000007ffdbfff] usable
            [    0.000000] BIOS-e820: [mem 0x000000007ffdc000-0x000000007fffffff] reserved
            [    0.000000] BIOS-e820: [mem 0x00000000b0000000-0x00000000bfffffff] reserved
            [    0.000000] BIOS-e820: [mem 0x00000000fed1c000-0x00000000fed1ffff] reserved
            [    0.000000] BIOS-e820: [mem 0x00000000feffc000-0x00000000feffffff] reserved
            [    0.000000] BIOS-e820: [mem 0x00000000fffc0000-0x00000000ffffffff] reserved
            [    0.000000] BIOS-e820: [mem 0x0000000100000000-0x000000207fffffff] usable
            [    0.000000] BIOS-e820: [mem 0x000000fd00000000-0x000000ffffffffff] reserved
            [    0.000000] DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS rel-1.16.2-14-g1e1da7a96300-prebuilt.qemu.org 04/01/2014
            [    0.000000] e820: [mem 0xc0000000-0xfed1bfff] available for PCI devices
            """;

        BootVerification verification = Verify(scenario with { Qemu = new() { Emulator = new QemuVersion(8, 2) } }, log);

        Assert.IsTrue(verification.Agrees, Differences(verification));
        Assert.HasCount(13, verification.Findings);
        Assert.StartsWith("The log names a firmware 14 changes after seabios-1.16.2: it may do what", Words(verification));
    }

    [TestMethod]
    [DataRow("pci 0000:01:00.0: BAR 2: no space for [mem size 0x1000000000 64bit pref]\npci 0000:01:00.0: BAR 2: failed to assign [mem size "
        + "0x1000000000 64bit pref]")]
    [DataRow("NVRM: BAR2 is 0M @ 0x0 (PCI:0000:01:00.0)")]
    public void A_BAR_without_an_address_is_compared_where_the_log_has_nothing_else(string lines)
    {
        const string guest = "qemu-system-x86_64 -machine pc-q35-7.2 -cpu qemu64,phys-bits=40 -m 2G -nodefaults -device pcie-root-port,id=p "
            + "-device pci-testdev,membar=64G,bus=p";
        BootVerification verification = Verify(ScenarioOf(guest), lines + "\n");

        Finding finding = verification.Findings.Single(static one => one.What == "BAR 2 of 0000:01:00.0");
        Assert.AreEqual("no address", finding.Observed);
        Assert.IsFalse(finding.Agrees);
        Assert.Contains("BAR 2 of 0000:01:00.0", Words(verification));
    }

    private const string Plugged = """
        [    0.400000] pci 0000:00:00.0: [8086:1237] type 00 class 0x060000
        [   67.480726] pci 0000:00:06.0: [10de:15f8] type 00 class 0x030200
        [   67.480899] pci 0000:00:06.0: reg 0x10: [mem 0x00000000-0x00ffffff]
        [   67.481099] pci 0000:00:06.0: reg 0x14: [mem 0x00000000-0x3ffffffff 64bit pref]
        [   67.492525] pci 0000:00:06.0: BAR 1: no space for [mem size 0x400000000 64bit pref]
        [   67.492646] pci 0000:00:06.0: BAR 1: failed to assign [mem size 0x400000000 64bit pref]
        [   67.492955] pci 0000:00:06.0: BAR 0: assigned [mem 0x42000000-0x42ffffff]

        """;

    [TestMethod]
    public void A_device_that_was_plugged_in_while_the_guest_ran_is_no_matter_of_its_firmware()
    {
        Scenario scenario = ScenarioOf("qemu-system-x86_64 -machine pc-i440fx-6.2,accel=kvm -cpu host -m 2G -nodefaults");

        string words = Words(Verify(scenario, Plugged));

        Assert.Contains("0000:00:06.0 was plugged in while the guest ran, 67 s after its boot", words);
        Assert.Contains("had none for BAR 1 (16 GiB)", words);
        Assert.DoesNotContain("got no address from the firmware", words);
        Assert.DoesNotContain("With none of the usual", words);
        Assert.Contains("got no address from the firmware", Words(Verify(scenario, Plugged.Replace("   67.", "    0.", System.StringComparison.Ordinal))));
    }

    /// <summary>A slow machine has them all late, and of a log that has no more nobody knows.</summary>
    [TestMethod]
    [DataRow("0.400000", "61.400000")]
    [DataRow("[    0.400000] pci 0000:00:00.0: [8086:1237] type 00 class 0x060000\n", "")]
    public void A_device_that_is_named_as_late_as_the_others_is_not_told_to_be_plugged_in(string old, string by)
    {
        Scenario scenario = ScenarioOf("qemu-system-x86_64 -machine pc-i440fx-6.2,accel=kvm -cpu host -m 2G -nodefaults");

        string words = Words(Verify(scenario, Plugged.Replace(old, by, StringComparison.Ordinal)));

        Assert.DoesNotContain("was plugged in", words);
        Assert.Contains("was plugged in", Words(Verify(scenario, Plugged.Replace(old, by, StringComparison.Ordinal)
            .Replace("   67.", " 6700.", StringComparison.Ordinal))));
    }
}
