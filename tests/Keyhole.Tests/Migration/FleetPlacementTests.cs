// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Migration;
using Keyhole.Planning;
using Keyhole.Platforms;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Migration;

/// <summary>On which hosts of a fleet a guest's firmware places every BAR.</summary>
[TestClass]
public sealed class FleetPlacementTests
{
    private const ulong GiB = 1UL << 30;

    private const string NewGuest = "qemu-system-x86_64 -name new -machine pc-q35-10.0,accel=kvm -cpu host -m 32G "
        + "-drive if=pflash,format=raw,file=/usr/share/OVMF/OVMF_CODE.fd -device pcie-root-port,id=r1 -device vfio-pci,host=0000:41:00.0,bus=r1";
    private const string OldGuest = "qemu-system-x86_64 -name old -machine pc-q35-6.2,accel=kvm -cpu host -m 32G "
        + "-drive if=pflash,format=raw,file=/usr/share/OVMF/OVMF_CODE.fd -device pcie-root-port,id=r1 -device vfio-pci,host=0000:41:00.0,bus=r1";

    [TestMethod]
    [DataRow(NewGuest, 46, 46, 128, HostPlacement.PlacesAll)]
    [DataRow(OldGuest, 46, 46, 128, ProblemCodes.GuestDoesNotStart)]
    [DataRow(OldGuest, 46, 46, 16, HostPlacement.PlacesAll)]
    [DataRow(NewGuest, 34, 34, 16, ProblemCodes.GuestDoesNotStart)]
    [DataRow(NewGuest, 46, 34, 16, ProblemCodes.DmaBeyondIommu)]
    public void The_hosts_widths_and_its_devices_BARs_decide(string command, int bits, int iommuBits, int barGiB, string verdict)
    {
        HostPlacement placement = On(command, Capture("host", 256, bits, iommuBits, "41", barGiB));

        Assert.AreEqual(verdict, placement.Verdict, placement.Why);
        Assert.AreEqual(verdict == HostPlacement.PlacesAll, placement.Why.Length == 0);
    }

    [TestMethod]
    public void A_host_that_has_no_such_device_is_told_from_one_that_does_not_say_which_it_has()
    {
        Assert.AreEqual(HostPlacement.DeviceMissing, On(NewGuest, Capture("host", 256, 46, 46, "42", 16)).Verdict);
        Assert.AreEqual(HostPlacement.NotKnown, On(NewGuest, Capture("host", 256, 46, 46, null, 0)).Verdict);
    }

    [TestMethod]
    public void All_memory_of_a_guest_with_a_device_is_pinned_so_the_host_must_have_it() =>
        Assert.AreEqual(HostPlacement.TooLittleMemory, On(NewGuest, Capture("host", 8, 46, 46, "41", 16)).Verdict);

    [TestMethod]
    public void A_width_that_is_assumed_is_said_to_be()
    {
        Assert.IsTrue(On(NewGuest, Capture("host", 256, null, null, "41", 16)).AssumesWidth);
        Assert.IsFalse(On(NewGuest, Capture("host", 256, 46, null, "41", 16)).AssumesWidth);
        Assert.IsFalse(On(NewGuest.Replace("-cpu host", "-cpu qemu64,phys-bits=42", StringComparison.Ordinal),
            Capture("host", 256, null, null, "41", 16)).AssumesWidth);
    }

    [TestMethod]
    public void A_window_that_the_host_itself_has_not_placed_is_given_to_no_guest()
    {
        string capture = Capture("host", 256, 46, 46, "41", 16).Replace("\"bars\":",
            """
            "unplaced":[{"index":4,"kind":"memory","size":"0x200000000","is64Bit":true,"prefetchable":true,"sign":"<ignored>"}],"bars":
            """,
            StringComparison.Ordinal);

        Assert.AreEqual(ProblemCodes.HostUnplaced, On(NewGuest, capture).Verdict);
    }

    [TestMethod]
    public void What_is_said_of_a_host_is_what_a_plan_on_it_says()
    {
        int failed = 0;
        foreach (string command in (string[])[NewGuest, OldGuest])
        {
            foreach (int bits in (int[])[36, 38, 39, 40, 42, 46, 52])
            {
                foreach (int barGiB in (int[])[1, 16, 64, 256])
                {
                    string capture = Capture("host", 256, bits, bits, "41", barGiB);
                    Plan plan = Planner.Plan(new Scenario { Host = Read(capture).Host!, Guest = Guest(command).Forecast! });

                    Assert.AreEqual(plan.HasErrors, On(command, capture).Verdict != HostPlacement.PlacesAll, capture);
                    failed += plan.HasErrors ? 1 : 0;
                }
            }
        }

        Assert.IsGreaterThan(10, failed);
    }

    [TestMethod]
    public void The_order_of_the_hosts_changes_nothing_and_their_number_only_the_counts()
    {
        string[] captures =
        [
            .. Enumerable.Range(0, 30).Select(i => Capture($"h{i}", 128 + (ulong)i, 46, 46, i % 3 == 0 ? null : "41", i % 2 == 0 ? 16 : 128)),
            .. Enumerable.Range(0, 100).Select(i => Capture($"poor{i:d3}", 1 + ((ulong)i / 5), 46, 46, "41", 16)),
        ];
        var random = new Random(20261128);

        FleetPlacement first = Tally(captures);
        random.Shuffle(captures);
        FleetPlacement second = Tally(captures);

        Assert.AreEqual(130, first.PlacesAll + first.Fails + first.NotKnown);
        Assert.AreEqual(first.PlacesAll, second.PlacesAll);
        Assert.AreEqual(Words(first), Words(second));
        Assert.AreEqual(first.Fails + first.NotKnown, first.Groups.Sum(static group => group.HostCount) + first.Ungrouped);
    }

    [TestMethod]
    public void More_reasons_than_are_kept_are_counted()
    {
        FleetPlacement placement = Tally([.. Enumerable.Range(1, 100).Select(i => Capture($"h{i:d3}", 0, 46, 46, "41", 16, ramMiB: 64 * (ulong)i))]);

        Assert.HasCount(FleetTally.MaxPlacementGroups, placement.Groups);
        Assert.AreEqual(100 - FleetTally.MaxPlacementGroups, placement.Ungrouped);
        Assert.AreEqual(100, placement.Fails);
    }

    [TestMethod]
    public void A_remedy_is_that_of_a_plan_on_the_first_host_by_name()
    {
        PlacementGroup group = Tally([Capture("b", 256, 46, 46, "41", 128), Capture("a", 256, 46, 46, "41", 128)], OldGuest).Groups.Single();

        CollectionAssert.AreEqual(new[] { "a", "b" }, group.First.ToArray());
        Assert.Contains("X-PciMmio64Mb", $"{group.Remedy}");
    }

    private static string Words(FleetPlacement placement) => string.Join('\n', placement.Groups
        .Select(static group => $"{group.Verdict} {group.Why} {group.HostCount} {string.Join(',', group.First)} {group.Remedy}").Order());

    private static FleetPlacement Tally(string[] captures, string command = OldGuest)
    {
        var tally = new FleetTally([Guest(command)]);
        var reader = new FleetReader(tally, 2);
        using (var stream = new MemoryStream(Encoding.UTF8.GetBytes(string.Join('\n', captures))))
            reader.ReadCaptures(stream, "hosts");
        reader.Finish();
        Fleet fleet = tally.ToFleet();
        Assert.AreEqual(0, fleet.UnreadableCount);
        return fleet.Guests.Single().Placement!;
    }

    private static HostPlacement On(string command, string capture) => Read(capture, Guest(command)).Placements.Single();

    private static FleetHost Read(string capture, params FleetGuest[] guests)
    {
        FleetHost? read = null;
        var tally = new FleetTally(guests.Length == 0 ? [Guest(NewGuest)] : [.. guests]);
        var reader = new FleetReader(tally, 1, host => read = host);
        using (var stream = new MemoryStream(Encoding.UTF8.GetBytes(capture)))
            reader.ReadCaptures(stream, "host");
        reader.Finish();
        Assert.AreEqual(0, tally.UnreadableCount, $"{tally.ToFleet().Unreadable.FirstOrDefault()}");
        return read!.Value;
    }

    private static FleetGuest Guest(string command)
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(command));
        Assert.IsTrue(GuestReader.Read(stream, "guest").TryGet(out GuestDocument? document, out InputError? error), $"{error}");
        return FleetGuest.Of(document.Guest, "guest");
    }

    private static string Capture(string name, ulong ramGiB, int? bits, int? iommuBits, string? bus, int barGiB, ulong ramMiB = 0)
    {
        ulong ram = ramMiB > 0 ? ramMiB << 20 : ramGiB * GiB;
        ulong low = Math.Min(ram, 2 * GiB);
        string high = ram > low ? $$""",{"start":"0x100000000","end":"0x{{0x1_0000_0000 + ram - low:x}}","type":"ram"}""" : "";
        string widths = (bits is { } width ? $",\"physicalAddressBits\":{width}" : "")
            + (iommuBits is { } iommu ? $",\"iommuAddressBits\":{iommu}" : "");
        string devices = bus is null ? "" : $$"""
            {"address":"0000:{{bus}}:00.0","description":"a display","bars":[{"index":0,"kind":"memory","start":"0xc0000000","end":"0xc1000000"},{"index":2,"kind":"memory","start":"0x200000000000","end":"0x{{0x2000_0000_0000 + ((ulong)barGiB * GiB):x}}","is64Bit":true,"prefetchable":true}]}
            """.Trim();
        return $$"""{"name":"{{name}}","entries":[{"start":"0x0","end":"0x{{low:x}}","type":"ram"}{{high}}],"traits":{"cpuVendor":"GenuineIntel","gibPages":true{{widths}}},"devices":[{{devices}}]}""";
    }
}
