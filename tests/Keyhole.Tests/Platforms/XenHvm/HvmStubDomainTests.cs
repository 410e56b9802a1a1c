// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.Firmware;
using Keyhole.Platforms.XenHvm;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.XenHvm;

/// <summary>Guests whose QEMU runs in a stubdomain: before Xen 4.17.4 and 4.18.1 hvmloader moves their RAM, and QEMU does not learn of it.</summary>
[TestClass]
public sealed class HvmStubDomainTests
{
    private const ulong GiB = 1UL << 30;

    [TestMethod]
    public void RAM_is_moved_from_where_to_where_the_real_hvmloader_says()
    {
        List<string> real = [], forecast = [];
        foreach (HvmRecord record in HvmRecord.Load("moved.log"))
        {
            real.Add($"{record.Name}: {record.Said.FirstOrDefault(static line => line.StartsWith("Relocating 0x", StringComparison.Ordinal))}");
            HvmGuest guest = HvmGuest.Of(record.Scenario);
            HvmloaderRun run = guest.Run!;
            // hvmloader moves at most 0xffff pages at a time, and says each; what it says first is the first piece.
            ulong target = guest.Memory!.HighEnd == 0 ? Frames.FourGiB : guest.Memory.HighEnd;
            ulong pages = Math.Min(run.MovedBytes >> 12, 0xffff);
            string? line = run.MovedBytes == 0 ? null : string.Create(CultureInfo.InvariantCulture,
                $"Relocating 0x{pages:x} pages from {guest.Memory.LowEnd - (pages << 12):x9} to {target:x9} for lowmem MMIO hole");
            forecast.Add($"{record.Name}: {line}");
        }

        CollectionAssert.AreEqual(real, forecast, string.Join('\n', real.Concat(forecast)));
        Assert.IsTrue(forecast.Count(static line => line.Contains("pages from", StringComparison.Ordinal)) >= 8);
    }

    [TestMethod]
    public void A_BAR_where_RAM_was_moved_from_is_dead_on_the_real_Xen_and_the_plan_says_so()
    {
        HvmRecord[] records = [.. HvmRecord.Load("moved-linux.log")];
        string text = HvmRecord.TextOf("moved-linux.log");

        // The record's e1000 has the address 52:54:00:12:34:57, where it is reached.
        Assert.AreEqual(1, text.Split("eth0 00:00:00:00:00:00").Length - 1);
        Assert.AreEqual(1, text.Split("eth0 52:54:00:12:34:57").Length - 1);
        Problem dead = Planner.Plan(records[0].Scenario with { SeeksRemedies = true }).Problems.Single(static problem => problem.Severity == Severity.Error);
        Assert.AreEqual(0x8000_0000u, dead.Start);
        Assert.AreEqual(0xf000_0000u, dead.End);
        Assert.IsTrue(HvmGuest.Of(records[0].Scenario).Run!.Placement!.Bars.Any(static bar => bar.Address == 0xc304_0000));
        StringAssert.Contains(dead.Remedy!.ToString(), "mmio_hole=256 ", StringComparison.Ordinal);
        Assert.IsFalse(Planner.Plan(records[1].Scenario).Problems.Any(static problem => problem.Severity == Severity.Error));
    }

    [TestMethod]
    [DataRow("4.14", true)]
    [DataRow("4.16.9", true)]
    [DataRow("4.17.3", true)]
    [DataRow("4.17.4", false)]
    [DataRow("4.18.0", true)]
    [DataRow("4.18.1", false)]
    [DataRow("4.19.0", false)]
    [DataRow("4.22", false)]
    public void The_release_of_Xen_decides_whether_RAM_is_moved(string xen, bool moves)
    {
        Plan plan = Planner.Plan(Of(xen, 4096, GiB));

        Assert.IsTrue(plan.IsMapKnown);
        Assert.AreEqual(moves ? 2048u : 3840u, plan.RamBelow4GiBKiB >> 10);
        Problem? problem = plan.Problems.SingleOrDefault(static problem => problem.Code == ProblemCodes.BarConflict);
        Assert.AreEqual(moves, problem is not null);
        if (moves)
            StringAssert.Contains(problem!.Remedy!.ToString(), "mmio_hole=", StringComparison.Ordinal);
    }

    [TestMethod]
    [DataRow(null)]
    [DataRow("4.17")]
    [DataRow("4.18")]
    public void Without_the_patch_level_the_map_is_not_known_and_a_remedy_makes_it_known(string? xen)
    {
        Scenario scenario = Of(xen, 4096, GiB);

        Plan plan = Planner.Plan(scenario);

        Assert.IsFalse(plan.IsMapKnown);
        Problem problem = plan.Problems.Single(static problem => problem.Code == ProblemCodes.MapNotKnown);
        string remedy = problem.Remedy!.ToString();
        StringAssert.Contains(remedy, "mmio_hole=", StringComparison.Ordinal);
        ulong mib = ulong.Parse(remedy.Split("mmio_hole=")[1].Split(' ')[0], CultureInfo.InvariantCulture);
        // compare names the same hole, and does not say how the guest comes out without it.
        SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;
        Assert.AreEqual($"mmio_hole={mib}", comparison.Best);
        Assert.AreEqual(GuestOutcome.NotKnown, comparison.Settings[0].Outcome);
        Plan cured = Planner.Plan(scenario with { Guest = scenario.Guest with { Hvm = scenario.Guest.Hvm with { HoleBytes = mib << 20 } } });
        Assert.IsTrue(cured.IsMapKnown);
        Assert.IsFalse(cured.Problems.Any(static problem => problem.Severity == Severity.Error));
    }

    [TestMethod]
    public void Where_no_RAM_is_in_the_way_the_patch_level_does_not_matter()
    {
        Plan plan = Planner.Plan(Of("4.17", 2000, GiB / 4));

        Assert.IsTrue(plan.IsMapKnown);
        Assert.IsFalse(plan.Problems.Any(static problem => problem.Severity == Severity.Error));
    }

    [TestMethod]
    [DataRow("4.20", false)]
    [DataRow("4.21", true)]
    public void Unless_the_device_model_is_named_a_stubdomain_of_Xen_up_to_4_20_is_not_modelled(string xen, bool isKnown)
    {
        Scenario scenario = Of(xen, 1024, GiB / 4);
        scenario = scenario with { Guest = scenario.Guest with { Hvm = scenario.Guest.Hvm with { NamesDeviceModel = false } } };

        Assert.AreEqual(isKnown, Planner.Plan(scenario).IsMapKnown);
    }

    [TestMethod]
    [DataRow("", "144 MiB")]
    [DataRow("stubdomain_memory=300\n", "316 MiB")]
    public void The_stubdomains_own_map_is_told(string line, string size)
    {
        GuestSpec guest = Read($"type=\"hvm\"\nname=\"h\"\nmemory=2048\nvga=\"stdvga\"\ndevice_model_version=\"qemu-xen\"\n"
            + $"device_model_stubdomain_override=1\n{line}");

        Plan plan = Planner.Plan(new() { Host = HostOf("4.20"), Guest = guest });

        // Qubes' stubdomain with 128 MiB and a standard VGA prints "Xen: [mem 0x100000-0x8ffffff] usable": 144 MiB.
        Assert.IsTrue(plan.Problems.Any(problem => problem.Message.ToString()!.Contains($"RAM from 0 to {size},", StringComparison.Ordinal)));
    }

    private static Scenario Of(string? xen, int memoryMiB, ulong barBytes)
    {
        GuestSpec guest = Read($"type=\"hvm\"\nname=\"h\"\nmemory={memoryMiB}\ndevice_model_version=\"qemu-xen\"\n"
            + $"device_model_stubdomain_override=1\ndevice_model_args=[\"-device\",\"pci-testdev,membar={barBytes}\"]\n");
        return new() { Host = HostOf(xen), Guest = guest, SeeksRemedies = true };
    }

    private static Host HostOf(string? xen)
    {
        Host host = HvmRecord.Load("sizes.log")[0].Host;
        return host with { Traits = host.Traits with { XenVersion = xen is not null && XenVersion.TryParse(xen, out XenVersion version) ? version : null } };
    }

    private static GuestSpec Read(string text)
    {
        Assert.IsTrue(XlConfig.Read(new StringReader(text), "h.cfg").TryGet(out XlConfig? config, out InputError? error), $"{error}");
        Assert.IsTrue(config!.ToGuest().TryGet(out GuestDocument? document, out error), $"{error}");
        return document!.Guest;
    }
}
