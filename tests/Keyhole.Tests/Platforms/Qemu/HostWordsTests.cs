// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Comparison;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>What logs say of a guest's start, or of what it is to be given, is told with the guest's plan.</summary>
[TestClass]
public sealed class HostWordsTests
{
    private const string Guest = "/usr/bin/qemu-system-x86_64 -machine pc-q35-8.1,accel=kvm -cpu host -m 4G -nodefaults "
        + "-device pcie-root-port,id=p1 -device vfio-pci,host=0000:07:00.0,bus=p1";

    private const string Ranges = "DMAR: RMRR base: 0x000000f1ffd000 end: 0x000000f1ffffff\nDMAR: RMRR base: 0x000000f1ff6000 end: 0x000000f1ffcfff";

    private const string Ineligible = "vfio-pci 0000:07:00.0: DMAR: Device is ineligible for IOMMU domain attach due to platform RMRR requirement.  "
        + "Contact your platform vendor.";

    private const string Rejecting = "vfio-pci 0000:07:00.0: Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring the "
        + "device without a 1:1 mapping. Contact your platform vendor.";

    private const string Relaxing = "DMAR: Intel-IOMMU: assuming all RMRRs are relaxable. This can lead to instability or data loss";

    private static GuestSpec Read(string text)
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "guest").TryGet(out GuestDocument? guest,
            out InputError? error), error?.ToString());
        return guest.Guest;
    }

    /// <param name="lines">Of the host's log, besides its map.</param>
    private static Problem[] Problems(string guest, string code, string lines, bool hasBars = true) =>
    [
        .. Planner.Plan(new Scenario
        {
            Host = MapFixtures.Expect(MapFixtures.ReadText($"""
                Linux version 6.2.16-3-pve
                Command line: BOOT_IMAGE=/boot/vmlinuz root=/dev/sda1 ro{(lines.Contains("(asked)", StringComparison.Ordinal)
                    ? " intel_iommu=on,relax_rmrr" : "")}
                BIOS-provided physical RAM map:
                BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable
                BIOS-e820: [mem 0x0000000000100000-0x00000000bfffffff] usable
                BIOS-e820: [mem 0x0000000100000000-0x000000087fffffff] usable
                tsc: Detected 2250.000 MHz processor
                {lines}

                """)).Host,
            Guest = Read(guest),
            Qemu = hasBars ? new() { Bars = [BarRequest.Create(0, 1 << 20, BarType.Memory32)] } : new(),
        }).Problems.Where(problem => problem.Code == code),
    ];

    [TestMethod]
    [DataRow(Ineligible, true)]
    [DataRow(Rejecting, true)]
    [DataRow(Ineligible, false)]
    public void A_device_that_Linux_gives_to_no_guest_for_its_reserved_memory_is_named_and_no_other(string line, bool hasBars)
    {
        Problem problem = Problems(Guest, ProblemCodes.ReservedDeviceMemory, $"{Ranges}\n{line}", hasBars).Single();
        Assert.AreEqual(Severity.Error, problem.Severity);
        Assert.Contains("Linux does not give 0000:07:00.0 to a guest of KVM", problem.Message);

        Problem other = Problems(Guest.Replace("07:00.0", "08:00.0", StringComparison.Ordinal), ProblemCodes.ReservedDeviceMemory,
            $"{Ranges}\n{line}").Single();
        Assert.AreEqual(Severity.Warning, other.Severity);
        Assert.Contains("which, the source does not tell", other.Message);
    }

    [TestMethod]
    public void Reserved_memory_of_unknown_devices_is_one_warning_that_names_the_ranges()
    {
        Problem problem = Problems(Guest, ProblemCodes.ReservedDeviceMemory, Ranges).Single();

        Assert.AreEqual(Severity.Warning, problem.Severity);
        Assert.Contains("[0xf1ff6000, 0xf1ffd000), [0xf1ffd000, 0xf2000000)", problem.Message);
    }

    [TestMethod]
    [DataRow(Relaxing, Severity.Info, "the host's Linux gives them to a guest all the same")]
    [DataRow("(asked)", Severity.Warning, "where a Linux that knows relax_rmrr")]
    public void A_Linux_that_takes_reserved_memory_for_relaxable_gives_its_devices_away(string line, Severity severity, string words)
    {
        Problem problem = Problems(Guest, ProblemCodes.ReservedDeviceMemory, $"{Ranges}\n{line}").Single();

        Assert.AreEqual(severity, problem.Severity);
        Assert.Contains(words, problem.Message);
    }

    [TestMethod]
    [DataRow("simple-framebuffer simple-framebuffer.0: framebuffer at 0xd0000000, 0x300000 bytes", true)]
    [DataRow("pci 0000:07:00.0: BAR 1: assigned to efifb", true)]
    [DataRow("simple-framebuffer simple-framebuffer.0: framebuffer at 0xc0000000, 0x300000 bytes", false)]
    public void A_BAR_that_cannot_be_reserved_is_told_and_the_boot_console_only_where_it_is_there(string line, bool isConsole)
    {
        const string taken = "vfio-pci 0000:07:00.0: BAR 1: can't reserve [mem 0xd0000000-0xdfffffff 64bit pref]";

        Problem problem = Problems(Guest, ProblemCodes.HostUnplaced, $"{line}\n{taken}\n{taken}").Single();

        Assert.AreEqual((0xd0000000UL, 0xe0000000UL), (problem.Start!.Value, problem.End!.Value));
        Assert.AreEqual(isConsole, problem.Message.Contains("the host's boot console has its picture there", StringComparison.Ordinal));
        Assert.AreEqual(isConsole, problem.Remedy!.ToString().Contains("initcall_blacklist=sysfb_init", StringComparison.Ordinal));
        Assert.IsEmpty(Problems(Guest, ProblemCodes.HostUnplaced, line));
        Assert.IsEmpty(Problems(Guest.Replace("07:00.0", "08:00.0", StringComparison.Ordinal), ProblemCodes.HostUnplaced, taken));
    }

    [TestMethod]
    [DataRow("HugeTLB: allocating 16 of page size 1.00 GiB failed.  Only allocated 14 hugepages.", "14 of the 16 that it was to")]
    [DataRow("HugeTLB: registered 1.00 GiB page size, pre-allocated 16 pages", "set aside 16 when it booted")]
    [DataRow("HugeTLB registered 1.00 GiB page size, pre-allocated 24 pages", null)]
    [DataRow("HugeTLB: registered 2.00 MiB page size, pre-allocated 16 pages", null)]
    [DataRow("HugeTLB: allocating 16 of page size 1.00 GiB failed node0.  Only allocated 7 hugepages.", null)]
    public void Too_few_huge_pages_for_the_guest_s_RAM_are_told(string line, string? words)
    {
        const string proxmox = "hugepages: 1024\nmachine: q35\nmemory: 24576\nnuma: 1\nname: a\n";
        const string libvirt = "<domain type='kvm'><name>a</name><memory unit='GiB'>24</memory><memoryBacking><hugepages><page size='1' unit='GiB'/>"
            + "</hugepages></memoryBacking><os><type arch='x86_64' machine='pc-q35-8.2'>hvm</type></os><devices/></domain>";
        foreach (string guest in new[] { proxmox, libvirt })
        {
            Problem? problem = Problems(guest, ProblemCodes.HugePages, line).SingleOrDefault();

            Assert.AreEqual(words is null, problem is null, guest);
            if (words is not null)
                Assert.Contains(words, problem!.Message);
        }
    }

    [TestMethod]
    [DataRow("can\u2019t")]
    [DataRow("can&rsquo;t")]
    public void A_typographic_apostrophe_hides_no_line(string word)
    {
        string line = $"vfio-pci 0000:07:00.0: BAR 1: {word} reserve [mem 0xe0000000-0xefffffff 64bit pref]";
        Assert.AreEqual(0xe0000000UL, Problems(Guest, ProblemCodes.HostUnplaced, line).Single().Start);
    }

    [TestMethod]
    [DataRow("BOOTFB", "07:00.0", true)]
    [DataRow("efifb", "07:00.0", true)]
    [DataRow("vfio-pci", "07:00.0", false)]
    [DataRow("BOOTFB", "08:00.0", false)]
    public void A_window_in_which_iomem_has_the_boot_console_s_picture_is_told(string holder, string device, bool isTold)
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText($"""
            root@pve:~# cat /proc/iomem
            00000000-00000fff : Reserved
            00001000-0009ffff : System RAM
            00100000-cfffffff : System RAM
            d0000000-fcffffff : PCI Bus 0000:00
              d0000000-e1ffffff : PCI Bus 0000:{device[..2]}
                d0000000-dfffffff : 0000:{device}
                  d0000000-d02fffff : {holder}
            100000000-81f37ffff : System RAM

            """)).Host;
        Plan plan = Planner.Plan(new Scenario
        {
            Host = host,
            Guest = Read(Guest),
            Qemu = new() { Bars = [BarRequest.Create(0, 1 << 20, BarType.Memory32)] },
        });

        Problem? problem = plan.Problems.FirstOrDefault(static problem => problem.Code == ProblemCodes.HostUnplaced);
        Assert.AreEqual(isTold, problem is not null);
        if (!isTold)
            return;
        Assert.AreEqual((0xd0000000UL, 0xe0000000UL), (problem!.Start!.Value, problem.End!.Value));
        Assert.Contains("initcall_blacklist=sysfb_init", problem.Remedy!.ToString());
    }

    [TestMethod]
    [DataRow("vfio_dma_map(0x5e043daea2f0, 0x380010000000, 0x2000000, 0x771a6ce00000) = -22 (Invalid argument)", "DMAR: Host address width 39",
        ProblemCodes.DmaBeyondIommu, "could not map [0x380010000000, 0x380012000000) of a guest's addresses for a device (-22): beyond the 39 addr")]
    [DataRow("vfio_container_dma_map (0x5555685b7190, 0xe0e00000000, 0x10000000, 0x714d50000000) = -22 (Invalid argument)", "",
        ProblemCodes.DmaBeyondIommu, "With this guest that is no RAM but a BAR: no other device reaches it, and QEMU goes on")]
    [DataRow("vfio_container_dma_map(0x5ae448831540, 0x3ffc00000000, 0x400000000, 0x706d10000000) = -22 (Invalid argument)", "",
        ProblemCodes.DmaBeyondIommu, "addresses that the host's IOMMU does not have, or keeps")]
    [DataRow("vfio_dma_map(0x55a6a1c1bd60, 0x0, 0x80000000, 0x7f8a5fe00000) = -12 (Cannot allocate memory)", "",
        ProblemCodes.GuestDoesNotStart, "Linux did not pin the guest's RAM")]
    public void What_QEMU_says_in_the_host_s_journal_is_told(string words, string line, string code, string expected)
    {
        Problem problem = Problems(Guest, code, $"{line}\nJun 04 07:25:13 pve1 QEMU[3989106]: kvm: {words}")
            .Single(static problem => problem.Message.StartsWith("QEMU said in the host's log", StringComparison.Ordinal));
        Assert.Contains(expected, problem.Message);
        Assert.AreNotEqual(code == ProblemCodes.GuestDoesNotStart, problem.Message.Contains("no RAM but a BAR", StringComparison.Ordinal));
        Assert.IsFalse(Problems(Guest[..Guest.IndexOf(" -device vfio", StringComparison.Ordinal)], code, words, hasBars: false)
            .Any(static problem => problem.Message.StartsWith("QEMU said", StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow("pci=realloc", true)]
    [DataRow("quiet pci=noaer,realloc=on", true)]
    [DataRow("pci=realloc=off", false)]
    [DataRow("quiet", false)]
    public void No_remedy_asks_for_what_the_host_s_command_line_has(string options, bool isThere)
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText($"""
            Linux version 6.5.13-1-pve
            Command line: BOOT_IMAGE=/boot/vmlinuz ro {options}
            BIOS-provided physical RAM map:
            BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable
            BIOS-e820: [mem 0x0000000000100000-0x00000000bfffffff] usable
            pci_bus 0000:00: root bus resource [mem 0xd0000000-0xfcffffff window]
            {Card}
            vfio-pci 0000:07:00.0: BAR 1: no space for [mem size 0x10000000 64bit pref]
            vfio-pci 0000:07:00.0: BAR 1: failed to assign [mem size 0x10000000 64bit pref]

            """)).Host;
        string remedy = Planner.Plan(new Scenario { Host = host, Guest = Read(Guest) }).Problems
            .First(static problem => problem.Code == ProblemCodes.HostUnplaced).Remedy!.ToString();
        Assert.AreEqual(isThere, remedy.EndsWith("its Linux has pci=realloc already", StringComparison.Ordinal));
        Assert.AreEqual(!isThere, remedy.EndsWith("or boot its Linux with pci=realloc", StringComparison.Ordinal));
    }

    [TestMethod]
    public void Of_several_devices_whose_BARs_are_not_told_all_are_named()
    {
        const string more = " -device vfio-pci,host=0000:07:00.1,bus=pcie.0 -device vfio-pci,host=0000:08:00.0,id=third,bus=pcie.0";
        Problem problem = Problems(Guest + more, ProblemCodes.MapNotKnown, "", hasBars: false).Single();
        Assert.Contains("devices that are passed through are not told (\"0000:07:00.0\", \"0000:07:00.1\", \"third\")", problem.Message);
        string many = string.Concat(Enumerable.Range(1, 20).Select(static i => $" -device vfio-pci,host=0000:{i + 16:x2}:00.0,bus=pcie.0"));
        Assert.Contains(" and 13 more)", Problems(Guest + many, ProblemCodes.MapNotKnown, "", hasBars: false).Single().Message);
    }

    [TestMethod]
    public void The_words_with_which_QEMU_ended_in_libvirt_s_log_are_quoted_and_those_of_earlier_starts_are_not()
    {
        const string start = "2023-05-02 09:12:44.102+0000: starting up libvirt version: 9.0.0, qemu version: 8.1.0, kernel: 5.15.0-71-generic\n"
            + Guest + "\n";
        const string words = "2023-05-02T09:12:46.998216Z qemu-system-x86_64: -device {\"driver\":\"vfio-pci\",\"host\":\"0000:07:00.0\"}: ";
        const string end = words + "VFIO_MAP_DMA failed: Cannot allocate memory\n" + words
            + "vfio 0000:07:00.0: failed to setup container for group 1: memory listener initialization failed: Region pc.ram: "
            + "vfio_dma_map(0x55a6a1c1bd60, 0x0, 0x80000000, 0x7f8a5fe00000) = -12 (Cannot allocate memory)\n";

        Problem problem = Problems(start + end, ProblemCodes.GuestDoesNotStart, "").Single();

        Assert.AreEqual(Severity.Error, problem.Severity);
        Assert.Contains("\"VFIO_MAP_DMA failed: Cannot allocate memory\": Linux did not pin the guest's RAM", problem.Message);
        Assert.Contains("RLIMIT_MEMLOCK", problem.Remedy!.ToString());
        Assert.IsEmpty(Problems(start + end + start, ProblemCodes.GuestDoesNotStart, ""));
    }

    [TestMethod]
    [DataRow("VFIO_MAP_DMA: -12", true)]
    [DataRow("VFIO_MAP_DMA: -14", false)]
    [DataRow("vfio_dma_map(0x55, 0x0, 0x80000000, 0x7f) = -22 (Invalid argument)", false)]
    public void Of_QEMU_s_last_words_only_those_of_memory_are_explained(string words, bool isExplained)
    {
        Problem problem = Problems($"{Guest}\nqemu-system-x86_64: -device vfio-pci,host=0000:07:00.0: {words}\n", ProblemCodes.GuestDoesNotStart,
            "").Single();

        Assert.Contains(words[^4..], problem.Message);
        Assert.AreEqual(isExplained, problem.Message.Contains("Linux did not pin", StringComparison.Ordinal));
        Assert.AreEqual(isExplained, problem.Remedy is not null);
        // What QEMU says of an address while the guest runs does not end it.
        Assert.IsEmpty(Problems($"{Guest}\nqemu-system-x86_64: {words}\n", ProblemCodes.GuestDoesNotStart, ""));
    }

    [TestMethod]
    public void QEMU_that_ends_because_a_device_cannot_reach_what_it_has_to_is_told_and_not_explained_by_the_guests_RAM()
    {
        const string words = "qemu-system-x86_64: VFIO_MAP_DMA: -14\n"
            + "qemu-system-x86_64: vfio_dma_map(0x7f54, 0xfebd0000, 0x2000, 0x7f55) = -14 (Bad address)\n";
        const string end = "qemu: hardware error: vfio: DMA mapping failed, unable to continue\n";

        Problem problem = Problems($"{Guest}\n{words}{end}", ProblemCodes.GuestDoesNotStart, "").Single();

        Assert.AreEqual(Severity.Error, problem.Severity);
        Assert.Contains("QEMU ended when this log was written: \"vfio_dma_map(0x7f54, 0xfebd0000, 0x2000, 0x7f55) = -14 (Bad address); hardware error: "
            + "vfio: DMA mapping failed, unable to continue\"", problem.Message);
        Assert.DoesNotContain("huge pages", problem.Message);
        Assert.IsNull(problem.Remedy);
        Assert.IsEmpty(Problems($"{Guest}\n{words}", ProblemCodes.GuestDoesNotStart, ""));
    }

    /// <summary>QEMU goes on where a device cannot reach a BAR, and ends where KVM cannot give it to the guest.</summary>
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void QEMU_ends_where_KVM_cannot_map_what_the_guest_has(bool isOfKvm)
    {
        const string map = "Oct 01 08:04:49 h QEMU[1]: kvm: vfio_container_dma_map(0x5a, 0x400000000000, 0x2000000, 0x70) = -22 (Invalid argument)\n";
        const string slot = "kvm: kvm_set_user_memory_region: KVM_SET_USER_MEMORY_REGION failed, slot=10, start=0x400000000000, size=0x2000000: "
            + "Invalid argument\n";
        const string end = "kvm_set_phys_mem: error registering slot: Invalid argument\n";
        string journal = map + (isOfKvm ? $"Oct 01 08:04:49 h QEMU[1]: {slot}Oct 01 08:04:49 h QEMU[1]: {end}" : "");

        Problem[] ends = [.. Problems(Guest, ProblemCodes.GuestDoesNotStart, journal)];
        Problem[] maps = [.. Problems(Guest, ProblemCodes.DmaBeyondIommu, journal)];
        Problem[] own = [.. Problems($"{Guest}\n{(isOfKvm ? slot + end : slot)}", ProblemCodes.GuestDoesNotStart, "")];

        Assert.AreEqual(isOfKvm ? 1 : 0, ends.Length);
        Assert.IsTrue(ends.All(static problem => problem.Message.Contains("KVM could not map [0x400000000000, 0x400002000000)",
            StringComparison.Ordinal)));
        Assert.AreEqual(!isOfKvm, maps.Single().Message.Contains("and QEMU goes on", StringComparison.Ordinal));
        Assert.AreEqual(isOfKvm ? 1 : 0, own.Length);
        Assert.IsTrue(own.All(static problem => problem.Severity == Severity.Error && problem.Message.Contains("QEMU ended when this log was written: "
            + "\"kvm_set_user_memory_region: KVM_SET_USER_MEMORY_REGION failed, slot=10", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void A_limit_on_locked_memory_that_was_exceeded_is_told_with_its_size()
    {
        Problem problem = Problems(Guest, ProblemCodes.GuestDoesNotStart, "vfio_pin_pages_remote: RLIMIT_MEMLOCK (8388608) exceeded").Single();

        Assert.AreEqual(Severity.Warning, problem.Severity);
        Assert.Contains("\"RLIMIT_MEMLOCK (8388608) exceeded\", 8 MiB", problem.Message);
        Assert.Contains("ulimit -l", problem.Remedy!.ToString());
    }

    /// <summary>What QEMU does not start compare keeps with no setting, and plan does not call "boots".</summary>
    [TestMethod]
    [DataRow(Guest, Card + "\n" + Ineligible, null)]
    [DataRow(Guest, Card + "\n" + Relaxing, "as it is")]
    public void A_guest_that_QEMU_does_not_start_is_kept_as_it_is_by_no_comparison(string guest, string lines, string? best)
    {
        Scenario scenario = Logged(guest, lines);

        SettingComparison comparison = PolicyComparer.Compare(new() { Scenario = scenario }).Settings!;
        Plan plan = Planner.Plan(scenario);

        Assert.AreEqual(best, comparison.Best, comparison.Why);
        GuestOutcome expected = best is null ? GuestOutcome.Refused : GuestOutcome.Boots;
        Assert.AreEqual((expected, expected), (comparison.Settings[0].Outcome, plan.Firmware!.Outcome));
        Assert.AreEqual(best is null, plan.HasErrors);
    }

    /// <summary>VFIO pins all of its RAM; QEMU alone starts with swap.</summary>
    [TestMethod]
    [DataRow(LargeGuest, true)]
    [DataRow(LargeGuestWithoutDevice, false)]
    public void A_guest_that_its_host_cannot_hold_is_told_what_it_gets_on_one_that_can(string guest, bool isPinned)
    {
        Scenario scenario = Logged(guest, Card);

        SettingComparison comparison = PolicyComparer.Compare(new() { Scenario = scenario }).Settings!;

        Assert.AreEqual("as it is", comparison.Best);
        Assert.AreEqual(isPinned, comparison.Why.Contains("on this one the guest is not started", StringComparison.Ordinal));
        Assert.AreEqual(isPinned,
            Planner.Plan(scenario).Problems.Any(static problem => problem.Message.Contains("QEMU does not start the guest there", StringComparison.Ordinal)));
    }

    private const string LargeGuestWithoutDevice = "/usr/bin/qemu-system-x86_64 -machine pc-q35-8.1,accel=kvm -cpu host -m 64G -nodefaults";

    private const string LargeGuest = LargeGuestWithoutDevice + " -device pcie-root-port,id=p1 -device vfio-pci,host=0000:07:00.0,bus=p1";

    private const string Card = """
        pci 0000:07:00.0: [10de:1b81] type 00 class 0x030000
        pci 0000:07:00.0: reg 0x10: [mem 0xfb000000-0xfbffffff]
        pci 0000:07:00.0: reg 0x14: [mem 0xd0000000-0xdfffffff 64bit pref]
        """;

    private static Scenario Logged(string guest, string lines) => new()
    {
        Host = MapFixtures.Expect(MapFixtures.ReadText($"""
            Linux version 6.2.16-3-pve
            BIOS-provided physical RAM map:
            BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable
            BIOS-e820: [mem 0x0000000000100000-0x00000000bfffffff] usable
            BIOS-e820: [mem 0x0000000100000000-0x000000087fffffff] usable
            tsc: Detected 2250.000 MHz processor
            {lines}

            """)).Host,
        Guest = Read(guest),
    };

    [TestMethod]
    public void What_the_host_s_log_tells_of_a_device_is_what_it_asks_for()
    {
        Plan plan = Planner.Plan(Logged(Guest, Card));

        Assert.AreEqual("0 16777216, 1 268435456", string.Join(", ", plan.Firmware!.Placement!.Bars
            .Where(bar => plan.Firmware.Placement.Tree.Functions[bar.Function].Node.IsPassedThrough)
            .Select(static bar => FormattableString.Invariant($"{bar.Bar.Index} {bar.Bar.SizeBytes}"))));
        Assert.IsEmpty(Logged(Guest, Card).Host.Devices);
    }

    [TestMethod]
    public void What_the_user_says_of_a_device_s_BARs_comes_before_the_host_s_log()
    {
        Plan plan = Planner.Plan(Logged(Guest, Card) with { Qemu = new() { Bars = [BarRequest.Create(0, 1 << 20, BarType.Memory32)] } });

        Assert.AreEqual(1UL << 20, plan.Firmware!.Placement!.Bars
            .Single(bar => plan.Firmware.Placement.Tree.Functions[bar.Function].Node.IsPassedThrough).Bar.SizeBytes);
    }

    [TestMethod]
    [DataRow("DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2 04/01/2014")]
    [DataRow("Hypervisor detected: KVM")]
    public void The_log_of_a_virtual_machine_tells_nothing_of_the_host_s_devices(string line) =>
        Assert.IsEmpty(Logged(Guest, $"{line}\n{Card}").Host.LoggedDevices);

    [TestMethod]
    public void That_a_log_may_name_a_part_of_a_device_s_functions_is_said()
    {
        const string conf = "bios: ovmf\nhostpci0: 0000:07:00,pcie=1\nmachine: q35\nmemory: 4096\n";

        Assert.IsTrue(Planner.Plan(Logged(conf, Card)).Problems.Any(static problem => problem.Code == ProblemCodes.Assumed
            && problem.Message.Contains("0000:07:00 are those that the host's log names", StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow("host=0000:00:02.0,addr=0x2", true)]
    [DataRow("host=0000:00:03.0,addr=0x2,x-igd-gms=2", true)]
    [DataRow("host=0000:07:00.0,addr=0x2", false)]
    [DataRow("host=0000:00:02.0,addr=0x5", false)]
    public void The_stolen_memory_of_an_Intel_display_at_its_place_makes_SeaBIOS_s_map_not_settled(string device, bool isUnsettled)
    {
        Plan plan = Planner.Plan(Logged($"/usr/bin/qemu-system-x86_64 -machine pc-i440fx-8.1,accel=kvm -cpu host -m 8G -nodefaults "
            + $"-device vfio-pci,{device}", "") with { Qemu = new() { Bars = [BarRequest.Create(0, 1 << 24, BarType.Memory64)] } });

        Assert.AreEqual(isUnsettled, plan.Problems.Any(static problem => problem.Code == ProblemCodes.MapNotSettled
            && problem.Message.Contains("stolen memory", StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow("BAR 0: releasing [mem 0xc0000000-0xcfffffff 64bit pref]", "BAR 0: assigned [mem 0x382000000000-0x3821ffffffff 64bit pref]")]
    [DataRow("BAR 0 [mem 0xc0000000-0xcfffffff 64bit pref]: releasing", "BAR 0 [mem 0x382000000000-0x3821ffffffff 64bit pref]: assigned")]
    public void A_BAR_that_the_host_s_driver_made_larger_has_its_new_size(string before, string after)
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText($"""
            Linux version 5.4.17
            BIOS-provided physical RAM map:
            BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable
            BIOS-e820: [mem 0x0000000000100000-0x00000000bfffffff] usable
            pci 0000:07:00.0: [1002:687f] type 00 class 0x030000
            pci 0000:07:00.0: reg 0x10: [mem 0xc0000000-0xcfffffff 64bit pref]
            amdgpu 0000:07:00.0: {before}
            amdgpu 0000:07:00.0: {after}

            """)).Host;

        Assert.AreEqual(8UL << 30, Planner.Plan(new Scenario { Host = host, Guest = Read(Guest) }).Firmware!.Placement!.Bars
            .Single(static bar => bar.Bar.SizeBytes >= 1 << 20).Bar.SizeBytes);
    }

    [TestMethod]
    [DataRow("0x380000000000", 46)]
    [DataRow("0xe0e00000000", 44)]
    [DataRow("0x7000000000", 39)]
    [DataRow("0x100000000", 39)]
    public void An_address_that_QEMU_could_not_map_tells_what_the_host_s_processor_has_at_least(string address, int bits)
    {
        string line = $"QEMU[3989]: kvm: vfio_container_dma_map(0x5e043daea2f0, {address}, 0x8000000, 0x771a38000000) = -22 (Invalid argument)";

        Problem width = Problems(Guest, ProblemCodes.Assumed, $"DMAR: Host address width 39\n{line}")
            .Single(static problem => problem.Message.Contains("the width of the host's physical addresses", StringComparison.Ordinal));

        Assert.Contains($"{bits} bits are assumed, {(bits == 39 ? "those of DMAR's" : "for QEMU said")}", width.Message);
    }

    [TestMethod]
    public void Where_no_table_tells_a_width_the_window_that_QEMU_could_not_map_does()
    {
        const string line = "kvm: vfio_dma_map(0x55, 0xe0e00000000, 0x8000000, 0x77) = -22 (Invalid argument)";

        Assert.IsTrue(Problems(Guest, ProblemCodes.Assumed, line)
            .Any(static problem => problem.Message.Contains("44 bits are assumed", StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow("pci 0000:07:00.0: DMAR: Setting identity map [0xf1ff6000 - 0xf1ffcfff]")]
    [DataRow("DMAR: Setting identity map for device 0000:07:00.0 [0xf1ff6000 - 0xf1ffcfff]")]
    [DataRow("DMAR: Ignoring identity map for HW passthrough device 0000:07:00.0 [0xf1ff6000 - 0xf1ffcfff]")]
    [DataRow("pci 0000:07:00.0: DMAR: Ignoring identity map for HW passthrough [0xf1ff6000 - 0xf1ffcfff]")]
    public void A_device_for_which_Linux_maps_reserved_memory_is_that_memory_s_owner(string line)
    {
        Problem problem = Problems(Guest, ProblemCodes.ReservedDeviceMemory, $"DMAR: RMRR base: 0x000000f1ff6000 end: 0x000000f1ffcfff\n{line}\n"
            + "pci 0000:07:00.0: [8086:1521] type 00 class 0x020000\npci 0000:07:00.0: reg 0x10: [mem 0xfb000000-0xfb0fffff]").Single();
        Assert.AreEqual(Severity.Error, problem.Severity);
        Assert.Contains("the host's firmware has 0000:07:00.0 use this memory by itself", problem.Message);

        Assert.IsEmpty(Problems(Guest.Replace("07:00.0", "08:00.0", StringComparison.Ordinal), ProblemCodes.ReservedDeviceMemory,
            $"DMAR: RMRR base: 0x000000f1ff6000 end: 0x000000f1ffcfff\n{line}"));
    }

    [TestMethod]
    [DataRow("DMAR: Parse DMAR table failure.", true)]
    [DataRow("DMAR: Initialization failed", true)]
    [DataRow("DMAR: IOMMU disabled", false)]
    public void A_Linux_that_gave_its_IOMMU_up_starts_no_guest_with_a_device(string line, bool isFailure)
    {
        Problem problem = Problems(Guest, ProblemCodes.GuestDoesNotStart, $"DMAR: IOMMU enabled\n{line}").Single();

        Assert.AreEqual(Severity.Error, problem.Severity);
        Assert.AreEqual(isFailure, problem.Message.Contains($"gave its IOMMU up (its log says \"{line.TrimEnd('.')}\")", StringComparison.Ordinal));
        Assert.AreEqual(isFailure, !problem.Remedy!.ToString().Contains("intel_iommu=on", StringComparison.Ordinal));
    }

    private static string LogOf(string said) => $"""
        2025-01-09 09:49:31.000+0000: starting up libvirt version: 9.0.0, qemu version: 8.1.0, kernel: 6.2.16, hostname: a
        LC_ALL=C \\
        {Guest.Replace(" -", " \\\n-", StringComparison.Ordinal)}
        {said}
        """;

    [TestMethod]
    [DataRow("failed to setup container for group 37: Failed to set group container: Operation not permitted")]
    [DataRow("group 0 is not viable")]
    [DataRow("failed to open /dev/vfio/1: Device or resource busy")]
    [DataRow("error getting device from group 49: Invalid argument")]
    public void Whatever_QEMU_said_of_a_device_that_it_did_not_take_the_guest_did_not_start(string words)
    {
        string said =
            $"2025-01-09T09:49:31.949124Z qemu-system-x86_64: -device {{\"driver\":\"vfio-pci\",\"id\":\"a\"}}: vfio 0000:07:00.0: {words}";
        foreach (string log in new[] { LogOf(said), LogOf(said + "\n2025-01-09 09:49:32.000+0000: shutting down, reason=failed") })
        {
            Problem problem = Problems(log, ProblemCodes.GuestDoesNotStart, "").Single();
            Assert.AreEqual(Severity.Error, problem.Severity);
            Assert.Contains(words, problem.Message);
        }

        Assert.IsEmpty(Problems(LogOf(said.Replace(": vfio 0000", ": warning: vfio 0000", StringComparison.Ordinal)),
            ProblemCodes.GuestDoesNotStart, ""));
    }

    [TestMethod]
    [DataRow("2025-01-09T09:49:31Z qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory\n", "failed",
        "cannot set up guest memory 'pc.ram'")]
    [DataRow("char device redirected to /dev/pts/0 (label charserial0)\n", "failed", "shutting down, reason=failed")]
    [DataRow("2025-01-09T09:49:31Z qemu-system-x86_64: terminating on signal 15 from pid 1\n", "shutdown", null)]
    [DataRow("2025-01-09T09:49:31Z qemu-system-x86_64: -device vfio-pci,id=a: Failed to mmap 0000:07:00.0 BAR 2. Performance may be slow\n",
        "shutdown", null)]
    public void A_log_of_libvirt_s_that_ends_with_a_start_that_failed_is_of_no_guest_that_boots(string said, string reason, string? words)
    {
        Problem? problem = Problems(LogOf($"{said}2025-01-09 09:49:32.000+0000: shutting down, reason={reason}"), ProblemCodes.GuestDoesNotStart, "")
            .SingleOrDefault();
        Assert.AreEqual(words is null, problem is null);
        if (words is not null)
            Assert.Contains(words, problem!.Message);
    }

    [TestMethod]
    public void The_range_of_RAM_that_could_not_be_mapped_is_told()
    {
        const string said = "2025-01-09T09:49:31Z qemu-system-x86_64: -device vfio-pci,id=a: vfio 0000:07:00.0: failed to setup container for "
            + "group 17: memory listener initialization failed: Region pc.ram: vfio_dma_map(0x560a, 0x100000000, 0x180000000, 0x7f6a) = -14 (Bad address)";

        Problem problem = Problems(LogOf(said), ProblemCodes.GuestDoesNotStart, "").Single();

        Assert.Contains("Region pc.ram: vfio_dma_map(0x560a, 0x100000000, 0x180000000, 0x7f6a) = -14 (Bad address)", problem.Message);
        Assert.Contains("HugePages_Free", problem.Remedy!.ToString());
    }
}
