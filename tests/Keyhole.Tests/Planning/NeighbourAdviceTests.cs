// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Planning;

[TestClass]
public sealed class NeighbourAdviceTests
{
    private static readonly Bar s_512MiB = new(0, BarKind.Memory, 0xc000_0000, 0xe000_0000, false, true);
    private static readonly Bar s_16GiB = new(1, BarKind.Memory, 0x80_0000_0000, 0x84_0000_0000, true, true);

    /// <summary>The window of 32 bits has no place in the usual hole; that of 16 GiB goes above 4 GiB.</summary>
    [TestMethod]
    public void An_HVM_guest_of_6_GiB_with_a_window_of_512_MiB_gets_the_mmio_hole_to_paste()
    {
        Problem problem = Find(Hvm(6144), ProblemCodes.BarUnplaced, s_512MiB, s_16GiB);

        Assert.AreEqual(Severity.Error, problem.Severity);
        Assert.Contains(
            "BAR 0 of 00:04.0 (512 MiB, mem32-prefetchable) gets no address: it does not fit into the window below 4 GiB, which has 192 MiB",
            problem.Message);
        Assert.AreEqual("put mmio_hole=1024 into the xl.cfg: then every BAR has its place", problem.Remedy);
        Assert.Contains("(16 GiB) at 0x400000000 above 4 GiB", Find(Hvm(6144), ProblemCodes.MmioHole, s_512MiB, s_16GiB).Message);
    }

    [TestMethod]
    public void A_small_HVM_guest_needs_no_setting_since_hvmloader_doubles_the_hole()
    {
        Plan plan = Plan(Hvm(1024), HostTraits.Unknown, s_512MiB);

        Assert.IsFalse(plan.HasErrors);
        Assert.AreEqual(0xc000_0000UL, plan.Firmware!.Placement!.Windows[0].Range.Start);
        Assert.Contains(0xc000_0000UL, plan.Firmware.Placement.Bars.Select(static bar => bar.Address));
    }

    /// <summary>hvmloader places windows up to fc000000: of 256 MiB it uses 192.</summary>
    [TestMethod]
    [DataRow(128UL, null)]
    [DataRow(256UL, "put mmio_hole=512 into the xl.cfg: then every BAR has its place")]
    public void The_last_64_MiB_below_4_GiB_are_no_part_of_what_hvmloader_fills(ulong windowMiB, string? remedy)
    {
        Bar window = new(0, BarKind.Memory, 0xd000_0000, 0xd000_0000 + (windowMiB << 20), false, true);

        Assert.AreEqual(remedy, Plan(Hvm(6144), HostTraits.Unknown,
            window).Problems.SingleOrDefault(static problem => problem.Code == ProblemCodes.BarUnplaced)?.Remedy);
    }

    /// <summary>The windows fit to the byte; what is smaller, of the video card, comes last and has no place.</summary>
    [TestMethod]
    public void A_hole_of_192_MiB_and_a_little_is_one_too_small()
    {
        Bar[] windows = [new(0, BarKind.Memory, 0xd000_0000, 0xd800_0000, false, true),
            new(1, BarKind.Memory, 0xd800_0000, 0xd900_0000, false, true)];

        Assert.IsEmpty(Unplaced(Hvm(6144), windows[..1]));
        CollectionAssert.AreEqual(
            new[] { "BAR 1 of 00:03.0 (4 KiB, mem32)", "BAR 6 of 00:03.0 (64 KiB, rom)" },
            Unplaced(Hvm(6144), windows)
                .Select(static problem => problem.Message[..problem.Message.IndexOf(" gets", System.StringComparison.Ordinal)]).ToArray());
    }

    /// <summary>Two windows of 1 GiB from 4 GiB − 2,160 MiB on: the first lies at 2 GiB, the second at 3 GiB reaches over fc000000.</summary>
    [TestMethod]
    public void The_hole_to_paste_holds_the_windows_where_their_alignment_puts_them()
    {
        Bar[] windows = [new(0, BarKind.Memory, 0x4000_0000, 0x8000_0000, false, true),
            new(1, BarKind.Memory, 0x8000_0000, 0xc000_0000, false, true)];

        Assert.Contains(
            "put mmio_hole=3072 into the xl.cfg: then every BAR has its place",
            Plan(Hvm(6144), HostTraits.Unknown, windows).Problems.Select(static problem => problem.Remedy));
        Assert.IsNotEmpty(Unplaced(Hvm(6144, "mmio_hole", "2160"), windows));
        Assert.IsEmpty(Unplaced(Hvm(6144, "mmio_hole", "3072"), windows));
    }

    [TestMethod]
    public void A_setting_that_is_large_enough_is_left_alone_and_one_that_xl_refuses_is_an_error()
    {
        Assert.IsEmpty(Unplaced(Hvm(6144, "mmio_hole", "1024"), s_512MiB));
        Plan refused = Plan(Hvm(6144, "mmio_hole", "4000"), HostTraits.Unknown, s_512MiB);
        Assert.AreEqual(GuestOutcome.Refused, refused.Firmware!.Outcome);
        Assert.AreEqual("ERROR: invalid value 4000 for \"mmio_hole\"", refused.Firmware.Message);
    }

    /// <summary>The one of 1,500 MiB of the contract.</summary>
    [TestMethod]
    public void A_guest_of_1500_MiB_with_mmio_hole_3072_has_1_GiB_below_4_GiB()
    {
        Plan plan = Plan(Hvm(1500, "mmio_hole", "3072") with { Pci = [] }, HostTraits.Unknown);

        Assert.AreEqual(1UL << 20, plan.RamBelow4GiBKiB);
        Assert.Contains(E820Entry.FromBounds(0x1_0000_0000, 0x1_1d40_0000, E820Type.Ram), plan.Map);
    }

    [TestMethod]
    public void A_global_rdm_that_xl_ignores_is_said_with_the_form_that_works()
    {
        Problem problem = Find(Hvm(2048, "rdm", "\"strategy=host,policy=relaxed\""), ProblemCodes.RdmIgnored);

        Assert.AreEqual("say it for each device: pci=[ \"0000:03:00.0,rdm_policy=relaxed\" ]", problem.Remedy);
    }

    [TestMethod]
    public void RMRR_below_the_guests_RAM_end_is_reported_and_above_it_is_not()
    {
        HostTraits low = new() { ReservedDeviceMemory = [Pages(0x7b80_0000, 0x7f80_0000)] };

        Assert.AreEqual(0x7b80_0000UL, Plan(Hvm(4096), low).Problems.Single(problem => problem.Code == ProblemCodes.ReservedDeviceMemory).Start);
        Assert.IsFalse(Plan(Hvm(1024), low).Problems.Any(problem => problem.Code == ProblemCodes.ReservedDeviceMemory));
    }

    /// <summary>SeaBIOS makes the window as large as it needs; OVMF has 32 GiB where the address width is not believed.</summary>
    [TestMethod]
    public void A_KVM_guest_with_a_window_of_64_GiB_that_OVMF_has_no_room_for_is_told_which_limit_decides()
    {
        Bar bar = new(0, BarKind.Memory, 0x1000_0000_0000, 0x1010_0000_0000, true, true);
        GuestSpec guest = new() { Type = GuestType.Kvm, MemoryKiB = 8 << 20, MaxmemKiB = 8 << 20 };

        Problem problem = FindIn(guest, ProblemCodes.BarUnplaced,
            new() { Firmware = new(FirmwareName.Ovmf, 2022, 11), PhysBits = 40, Vendor = CpuVendor.Intel }, bar);

        Assert.AreEqual(Severity.Error, problem.Severity);
        Assert.Contains("the window above 4 GiB, which has 32 GiB", problem.Message);
        Assert.IsEmpty(Plan(guest, HostTraits.Unknown, bar).Problems.Where(static found => found.Code == ProblemCodes.BarUnplaced));
    }

    [TestMethod]
    public void A_KVM_guest_with_more_32_bit_windows_than_q35_has_room_for_is_stopped_by_SeaBIOS()
    {
        GuestSpec guest = new() { Type = GuestType.Kvm, MemoryKiB = 8 << 20, MaxmemKiB = 8 << 20 };
        Bar second = new(1, BarKind.Memory, 0x8000_0000, 0xc000_0000, false, false);

        Assert.Contains("out of 32bit address space", Find(guest, ProblemCodes.GuestDoesNotStart, s_512MiB, second).Message);
    }

    [TestMethod]
    public void A_window_across_the_HyperTransport_range_is_noted_on_AMD_alone_and_is_no_error_where_only_DMA_fails()
    {
        Bar bar = new(0, BarKind.Memory, 0xfc_8000_0000, 0xfd_8000_0000, true, true);
        GuestSpec guest = new() { MemoryKiB = 1 << 20, MaxmemKiB = 1 << 20, E820Host = true };

        Problem problem = Plan(guest, new() { CpuVendor = "AuthenticAMD" }, bar).Problems.Single(found => found.Code == ProblemCodes.HyperTransport);

        Assert.AreEqual(Severity.Info, problem.Severity);
        Assert.AreEqual(0xfd_0000_0000UL, problem.Start);
        Assert.IsFalse(Plan(guest, new() { CpuVendor = "GenuineIntel" }, bar).Problems.Any(found => found.Code == ProblemCodes.HyperTransport));
    }

    [TestMethod]
    [DataRow(GuestType.Kvm, 1008UL, null)]
    [DataRow(GuestType.Kvm, 1009UL, null)]
    [DataRow(GuestType.Hvm, 1011UL, null)]
    [DataRow(GuestType.Hvm, 1012UL, "less than 1008 GiB")]
    public void RAM_that_reaches_into_the_HyperTransport_range_is_reported_on_AMD(GuestType type, ulong memoryGiB, string? remedy)
    {
        GuestSpec guest = new()
        {
            Type = type, MemoryKiB = memoryGiB << 20, MaxmemKiB = memoryGiB << 20,
            Pci = type == GuestType.Kvm ? [] : [new PciAssignment(PciAddress.Create(0, 4, 0))],
        };

        Problem? problem = Plan(guest,
            new() { CpuVendor = "AuthenticAMD" }).Problems.SingleOrDefault(found => found.Code == ProblemCodes.HyperTransport);

        Assert.AreEqual(remedy is null, problem is null);
        if (remedy is not null)
            Assert.Contains(remedy, problem!.Remedy!.ToString());
    }

    [TestMethod]
    public void A_libvirt_domain_of_KVM_is_read_as_one()
    {
        const string xml =
            "<domain type='kvm'><name>g</name><memory unit='GiB'>8</memory><vcpu>2</vcpu><os><type machine='q35'>hvm</type></os></domain>";

        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(xml)), "g.xml")
            .TryGet(out GuestDocument? document, out InputError? error), error?.ToString());
        Assert.AreEqual(GuestType.Kvm, document.Guest.Type);
        Assert.IsFalse(XlConfig.Write(document).TryGet(out _, out _));
        Assert.IsTrue(LibvirtDomain.Write(document).TryGet(out GuestText? text, out _));
        Assert.Contains("type=\"kvm\"", text.Text);
    }

    [TestMethod]
    [DataRow("(XEN) [VT-D]drivers/passthrough/vtd/dmar.c:610:  RMRR: [7b800000,7f7fffff]")]
    [DataRow("(XEN) [VT-D]  RMRR region: base_addr 7b800000 end_addr 7f7fffff")]
    [DataRow("(XEN) [VT-D]dmar.c:606:   RMRR region: base_addr 7b800000 end_address 7f7fffff")]
    [DataRow("[    0.012345] DMAR: RMRR base: 0x0000007b800000 end: 0x0000007f7fffff")]
    public void RMRR_is_read_from_boot_logs(string line)
    {
        string log = $"[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable\n[    0.000000] BIOS-e820: [mem "
            + $"0x0000000000100000-0x00000000bfffffff] usable\n{line}\n";

        Assert.IsTrue(HostMapReader.Read(new MemoryStream(Encoding.ASCII.GetBytes(log)), "x.log", HostMapOptions.Default)
            .TryGet(out HostDocument? map, out InputError? error), error?.ToString());

        Assert.AreEqual(Pages(0x7b80_0000, 0x7f80_0000), map.Host.Traits.ReservedDeviceMemory.Single());
    }

    /// <summary>Xen's warning that the firmware's map does not reserve such a region gives frames.</summary>
    [TestMethod]
    public void Frames_of_RMRR_are_taken_for_pages_not_for_addresses()
    {
        const string log =
            "(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009fbff] (usable)\n(XEN) RMRR: [0x7b800 ,0x7f7ff] is "
                + "not (entirely) in reserved memory\n";

        Assert.IsTrue(HostMapReader.Read(new MemoryStream(Encoding.ASCII.GetBytes(log)), "x.log", HostMapOptions.Default)
            .TryGet(out HostDocument? map, out InputError? error), error?.ToString());

        Assert.AreEqual(Pages(0x7b80_0000, 0x7f80_0000), map.Host.Traits.ReservedDeviceMemory.Single());
    }

    [TestMethod]
    public void RMRR_survives_the_JSON_of_a_capture()
    {
        Host map = Host(new() { ReservedDeviceMemory = [Pages(0x7b80_0000, 0x7f80_0000)] });
        var bytes = new MemoryStream();
        Assert.IsNull(HostMapWriter.Write(new() { Host = map, Dialect = HostMapDialect.Json, Description = "" }, HostMapDialect.Json, bytes));

        Assert.IsTrue(HostMapReader.Read(new MemoryStream(bytes.ToArray()), "x.json", HostMapOptions.Default)
            .TryGet(out HostDocument? read, out InputError? error), error?.ToString());
        CollectionAssert.AreEqual(map.Traits.ReservedDeviceMemory.ToArray(), read.Host.Traits.ReservedDeviceMemory.ToArray());
    }

    private static PfnRange Pages(ulong start, ulong end) => PfnRange.FromBounds(Pfn.Containing(start), Pfn.Containing(end));

    private static GuestSpec Hvm(ulong memoryMiB, string? key = null, string value = "") => new()
    {
        Type = GuestType.Hvm,
        MemoryKiB = memoryMiB << 10,
        MaxmemKiB = memoryMiB << 10,
        Pci = [PciAssignment.Parse("03:00.0", "test", null, out _).Value!],
        Hvm = key is null ? HvmSettings.Usual : HvmKeys.Of(key, value),
    };

    private static Host Host(HostTraits traits) => new()
    {
        Entries = [E820Entry.FromBounds(0, 0xc000_0000, E820Type.Ram)],
        Traits = traits,
    };

    private static Problem[] Unplaced(GuestSpec guest, params Bar[] bars) =>
        [.. Plan(guest, HostTraits.Unknown, bars).Problems.Where(static problem => problem.Code == ProblemCodes.BarUnplaced)];

    private static Plan Plan(GuestSpec guest, HostTraits traits, params Bar[] bars) => TestPlan.Of(Host(traits), guest, new PunchPolicy(), [.. bars]);

    private static Problem Find(GuestSpec guest, string code, params Bar[] bars) =>
        Plan(guest, HostTraits.Unknown, bars).Problems.Single(problem => problem.Code == code);

    private static Problem FindIn(GuestSpec guest, string code, QemuSurroundings around, params Bar[] bars) =>
        Keyhole.Planning.Planner.Plan(new Scenario { Host = Host(HostTraits.Unknown), Guest = guest, Bars = [.. bars],
            Qemu = around }).Problems.Single(problem => problem.Code == code);
}
