// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Planning;
using Keyhole.Platforms;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.XenPvh;

/// <summary>What releases of libxl made otherwise of a PVH guest's map, by their source, and for 4.11 by the log of an <c>xl -vvv create</c>
/// (xen-devel, 26 May 2020: "range: start=0x0 end=0x10000400").</summary>
[TestClass]
public sealed class PvhToolstackTests
{
    [TestMethod]
    [DataRow("4.10.4", "[0x0, 0x10000400)")]
    [DataRow("4.11.0", "[0x0, 0x10000400)")]
    [DataRow("4.13", "[0x0, 0x10000400)")]
    [DataRow("4.14.4", "[0x0, 0x10000400)")]
    [DataRow("4.14.5", "[0x0, 0x10000000)")]
    [DataRow("4.15.2", "[0x0, 0x10000400)")]
    [DataRow("4.15.3", "[0x0, 0x10000000)")]
    [DataRow("4.16.0", "[0x0, 0x10000400)")]
    [DataRow("4.16.1", "[0x0, 0x10000000)")]
    [DataRow("4.17", "[0x0, 0x10000000)")]
    public void RAM_is_1_KiB_larger_up_to_the_release_that_mended_it(string xen, string ram)
    {
        Plan plan = PlanOn(xen, 256);

        Assert.AreEqual(ram, plan.Map[0].Range.ToString());
        Assert.IsFalse(Has(plan, ProblemCodes.MapNotSettled));
    }

    /// <summary>libxl__build_hvm of 4.10 to 4.22: memory less the video memory, which is "not set" in the releases with the KiB.</summary>
    [TestMethod]
    [DataRow("4.13", 0UL, "[0x0, 0x10000000)")]
    [DataRow("4.13", 16UL, "[0x0, 0xf000000)")]
    [DataRow("4.15", 16UL, "[0x0, 0xf000000)")]
    [DataRow("4.22", 16UL, "[0x0, 0xf000000)")]
    [DataRow("4.22", 256UL, null)]
    public void What_videoram_says_is_taken_from_RAM_although_there_is_no_video_card(string xen, ulong mib, string? ram)
    {
        Plan plan = PlanOn(xen, 256, GuestFeatures.None with { VideoKiB = mib << 10 });

        Assert.AreEqual(ram, plan.Map.IsEmpty ? null : plan.Map[0].Range.ToString());
        Assert.AreEqual(ram is null, Has(plan, ProblemCodes.MapNotKnown));
        Assert.AreEqual(ram is not null && mib > 0, Has(plan, ProblemCodes.SettingIgnored));
        Assert.IsFalse(Has(plan, ProblemCodes.MapNotSettled));
        Assert.AreEqual(mib << 10, GuestFeatures.Of(XlSettings.Of([new("videoram", false, new XlText($"{mib}", false, 1), 1)])).VideoKiB);
    }

    [TestMethod]
    public void The_KiB_is_at_the_end_of_RAM_above_4_GiB_where_there_is_some()
    {
        Plan plan = PlanOn("4.13.1", 5000);

        Assert.AreEqual("[0x0, 0xfc000000)", plan.Map[0].Range.ToString());
        Assert.AreEqual("[0x100000000, 0x13c800400)", plan.Map[^1].Range.ToString());
    }

    [TestMethod]
    [DataRow(256, 0x1000_0000UL)]
    [DataRow(5000, 0x1_3c80_0000UL)]
    public void Where_a_patch_level_decides_that_is_not_told_the_KiB_is_not_settled(int memoryMiB, ulong at)
    {
        foreach (string xen in (string[])["4.14", "4.15", "4.16"])
        {
            Problem problem = PlanOn(xen, memoryMiB).Problems.Single(static problem => problem.Code == ProblemCodes.MapNotSettled);

            Assert.AreEqual((at, at + 0x400), (problem.Start, problem.End));
        }
    }

    [TestMethod]
    public void Xen_4_10_has_no_entry_for_the_special_pages_and_the_tables_pointer_below_1_MiB()
    {
        Plan plan = PlanOn("4.10.1", 5000);

        CollectionAssert.AreEqual(
            (string[])["[0x0, 0xfee00000)", "[0xff000, 0x100000)", "[0xfc000000, 0xfc001000)", "[0xfc001000, 0xfc008000)", "[0x100000000, 0x139a00400)"],
            plan.Map.Select(static entry => entry.Range.ToString()).ToArray());
    }

    [TestMethod]
    [DataRow("4.9.1")]
    [DataRow("4.4.0")]
    public void Xen_before_4_10_has_no_PVH_guests_and_no_map_is_told(string xen)
    {
        Plan plan = PlanOn(xen, 256);

        Assert.IsFalse(plan.IsMapKnown);
        Assert.IsEmpty(plan.Entries);
        Assert.AreEqual(GuestOutcome.NotKnown, plan.Verdict!.Value.Outcome);
        Assert.IsTrue(Has(plan, ProblemCodes.GuestDoesNotStart));
    }

    private static bool Has(Plan plan, string code) => plan.Problems.Any(problem => problem.Code == code);

    private static Plan PlanOn(string xen, int memoryMiB, GuestFeatures? features = null)
    {
        Assert.IsTrue(XenVersion.TryParse(xen, out XenVersion version));
        GuestSpec guest = new()
        {
            Type = GuestType.Pvh,
            MemoryKiB = (ulong)memoryMiB << 10,
            MaxmemKiB = (ulong)memoryMiB << 10,
            Features = features ?? GuestFeatures.None,
        };
        return Planner.Plan(new() { Host = Host.Unknown with { Traits = new() { XenVersion = version } }, Guest = guest });
    }
}
