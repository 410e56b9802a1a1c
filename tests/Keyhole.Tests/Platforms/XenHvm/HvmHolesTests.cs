// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.XenHvm;

/// <summary>mmio_hole= of HVM guests: what is recommended works, and nothing smaller does.</summary>
[TestClass]
public sealed class HvmHolesTests
{
    private const int Guests = 60;

    [TestMethod]
    public void The_hole_that_is_recommended_places_every_BAR_and_the_next_smaller_one_does_not()
    {
        int seed = Environment.TickCount;
        Console.WriteLine($"seed {seed}");
        var random = new Random(seed);
        int recommended = 0;
        for (int i = 0; i < Guests; i++)
        {
            Scenario scenario = Of(1024 << random.Next(4),
                [.. Enumerable.Range(0, random.Next(1, 4)).Select(index => Bar(1UL << random.Next(20, 31), random.Next(3) == 0))]);
            SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;
            if (comparison.Best is null or "as it is")
            {
                Assert.AreEqual(comparison.Best is not null, Unplaced(scenario) == 0, $"seed {seed}");
                continue;
            }

            recommended++;
            ulong mib = ulong.Parse(comparison.Best["mmio_hole=".Length..], NumberStyles.None, CultureInfo.InvariantCulture);
            Assert.AreEqual(0, Unplaced(WithHole(scenario, mib)), $"seed {seed}: {comparison.Best}");
            if (mib > 256)
                Assert.AreNotEqual(0, Unplaced(WithHole(scenario, mib - 1)), $"seed {seed}: {comparison.Best}");
        }

        Assert.AreNotEqual(0, recommended, $"seed {seed}");
    }

    [TestMethod]
    public void A_hole_that_helps_less_than_hvmloaders_own_is_to_be_taken_out()
    {
        Scenario scenario = WithHole(Of(1024, [Bar(256UL << 20, is64Bit: false)]), 256);

        SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;

        Assert.AreEqual("no mmio_hole", comparison.Best);
        Assert.AreEqual(0, comparison.Settings.Single(static row => row.Setting == "no mmio_hole").Unplaced);
    }

    [TestMethod]
    public void BARs_of_2_GiB_and_32_bits_have_no_hole_and_fewer_devices_are_no_remedy()
    {
        Scenario scenario = Of(4096, [Bar(1UL << 31, is64Bit: false), Bar(1UL << 31, is64Bit: false)]);

        SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;

        Assert.IsNull(comparison.Best);
        const string why = "no mmio_hole= gives every BAR its place: below 4 GiB there is no place for 2 GiB, whatever else the guest has";
        Assert.AreEqual(why, comparison.Why);
        Assert.Contains(why, Planner.Plan(scenario).Problems.Select(static problem => problem.Remedy));
    }

    [TestMethod]
    public void A_value_that_xl_refuses_is_compared_as_if_it_were_not_there()
    {
        Scenario scenario = WithHole(Of(1024, [Bar(256UL << 20, is64Bit: false)]), 255);

        SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;

        Assert.AreEqual(GuestOutcome.Refused, comparison.Settings[0].Outcome);
        Assert.AreEqual("no mmio_hole", comparison.Best);
    }

    private static int Unplaced(Scenario scenario) => Planner.Plan(scenario).Firmware!.Placement!.CountUnplaced();

    private static Scenario WithHole(Scenario scenario, ulong mib) =>
        scenario with { Guest = scenario.Guest with { Hvm = HvmKeys.Of("mmio_hole", mib.ToString(CultureInfo.InvariantCulture)) } };

    private static Bar Bar(ulong size, bool is64Bit) => new(0, BarKind.Memory, 1UL << 40, (1UL << 40) + size, is64Bit, false);

    private static Scenario Of(int memoryMiB, IEnumerable<Bar> bars) => new()
    {
        Host = Host.Unknown,
        Guest = new() { Type = GuestType.Hvm, MemoryKiB = (ulong)memoryMiB << 10, MaxmemKiB = (ulong)memoryMiB << 10 },
        // Each window a device of its own place.
        Bars = [.. bars.Select(static (bar, index) => bar with { Start = bar.Start + ((ulong)index << 44), End = bar.End + ((ulong)index << 44) })],
    };
}
