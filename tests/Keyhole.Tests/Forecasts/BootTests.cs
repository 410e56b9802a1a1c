// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;
using Keyhole.PvGuest;
using Keyhole.Verification;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Forecasts;

/// <summary>The way from a scenario to the forecast of its boot.</summary>
[TestClass]
public sealed class BootTests
{
    /// <summary>ACPI NVS at 64 MiB, amid a Linux of the size of 6.1.</summary>
    private static readonly Host s_deadly = new()
    {
        Entries =
        [
            E820Entry.FromBounds(0, 0x9_f000, E820Type.Ram),
            E820Entry.FromBounds(0x10_0000, 0x400_0000, E820Type.Ram),
            E820Entry.FromBounds(0x400_0000, 0x404_0000, E820Type.Nvs),
            E820Entry.FromBounds(0x404_0000, 0xc000_0000, E820Type.Ram),
        ],
    };

    private static Scenario Libxls => new()
    {
        Host = s_deadly,
        Guest = new() { MemoryKiB = 1UL << 20, MaxmemKiB = 1UL << 20, E820Host = true },
        Policy = new LibxlPolicy(),
    };

    [TestMethod]
    public void A_map_that_kills_the_kernel_does_not_boot_for_want_of_a_layout()
    {
        var known = Boot.Of(Libxls);
        var unknown = Boot.Of(Libxls with { Layout = GuestLayout.Unknown });

        Assert.AreEqual(GuestOutcome.Halts, known.Outcome);
        Assert.AreEqual(GuestOutcome.NotKnown, unknown.Outcome);
        Assert.IsFalse(unknown.Boots);
        Assert.IsTrue(unknown.HasErrors);
        Assert.IsTrue(unknown.Problems.Any(static problem => problem is { Code: ProblemCodes.LayoutNotKnown, Severity: Severity.Error }));
        Assert.IsFalse(unknown.Forecast!.Halts);
    }

    [TestMethod]
    public void No_32_bit_kernel_is_named_that_does_not_exist()
    {
        Scenario dom0 = Libxls with { Dom0 = new(null), Policy = null };
        var wide = Boot.Of(dom0);
        var narrow = Boot.Of(dom0 with { Guest = dom0.Guest with { Is32Bit = true } });

        Assert.Contains("6.12", string.Join('\n', wide.Problems));
        Assert.DoesNotContain("6.12", string.Join('\n', narrow.Problems));
        Assert.Contains("6.12 and later: boots", string.Join('\n', KernelSurvey.Tell(KernelSurvey.Of(wide.Forecast!.Request))));
        string[] told = [.. KernelSurvey.Tell(KernelSurvey.Of(narrow.Forecast!.Request))];
        Assert.StartsWith("4.3 to 5.8: halts", told[^1]);
        Assert.AreEqual("", KernelSurvey.ReleasesThat(static forecast => forecast.Boots, KernelSurvey.Of(narrow.Forecast.Request)));
    }

    /// <summary>The map of a log that lost the entry from 1 MiB to 64 MiB, or the one behind it.</summary>
    [TestMethod]
    [DataRow(1, true, "6.1.0", GuestOutcome.Halts)]
    [DataRow(1, true, "6.12.0", GuestOutcome.NotKnown)]
    [DataRow(1, false, "6.12.0", GuestOutcome.Halts)]
    [DataRow(2, true, "6.1.0", GuestOutcome.NotKnown)]
    [DataRow(2, false, "6.1.0", GuestOutcome.Halts)]
    public void Where_entries_are_missing_a_gap_kills_nobody_but_an_entry_in_the_way_does(int lost, bool isKnownToBeLost, string kernel,
        GuestOutcome outcome)
    {
        var boot = Boot.Of(new Scenario
        {
            Host = s_deadly with
            {
                Entries = s_deadly.Entries.RemoveAt(lost),
                LostRanges = isKnownToBeLost ? [s_deadly.Entries[lost].Range] : [],
            },
            Guest = new() { MemoryKiB = 1UL << 20, MaxmemKiB = 1UL << 20 },
            Dom0 = new(null),
            Kernel = KernelReleases.Identify(kernel)!.Release!.Value,
        });

        Assert.AreEqual(outcome, boot.Outcome, string.Join('\n', boot.Problems));
        Assert.AreEqual(outcome == GuestOutcome.Halts, boot.HasErrors);
        Assert.AreEqual(outcome == GuestOutcome.NotKnown, boot.Problems.Any(static problem =>
            problem.Code == ProblemCodes.MapNotKnown && problem.Message.Contains("whether it boots", System.StringComparison.Ordinal)));
        Assert.AreEqual(outcome == GuestOutcome.NotKnown, boot.Message is null);
        string log = string.Join('\n', boot.Forecast!.Log);
        Assert.AreEqual(outcome == GuestOutcome.Halts, log.Contains("conflicts with E820 map", System.StringComparison.Ordinal), log);
    }

    [TestMethod]
    public void What_halts_wherever_the_kernel_lies_halts_without_a_layout_too()
    {
        BootForecast forecast = Forecaster.Forecast(new() { Map = [], IsDom0 = true, PageCount = 0x1_0000, Layout = GuestLayout.Unknown });

        Assert.AreEqual(GuestOutcome.Halts, forecast.Outcome);
    }

    [TestMethod]
    public void A_kernel_that_lies_where_there_is_no_RAM_is_one_problem()
    {
        var boot = Boot.Of(Libxls);

        Assert.AreEqual(1, boot.Problems.Count(static problem => problem.Severity == Severity.Error));
        Assert.AreEqual(ProblemCodes.KernelHalts, boot.Problems.Single(static problem => problem.Severity == Severity.Error).Code);
        Assert.IsTrue(boot.Plan.Problems.Any(static problem => problem.Code == ProblemCodes.KernelNotOnRam));
    }

    [TestMethod]
    public void Another_kernel_is_forecast_on_the_same_plan()
    {
        var boot = Boot.Of(Libxls with { Kernel = Kernels.Linux61 });

        foreach (KernelRelease kernel in KernelReleases.Named)
        {
            Boot other = boot.With(kernel);
            Assert.AreEqual(kernel, other.Forecast!.Request.Kernel);
            Assert.AreEqual(Boot.Of(Libxls with { Kernel = kernel }).Outcome, other.Outcome, KernelReleases.NameOf(kernel));
        }
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Whether_the_kernel_is_a_32_bit_one_reaches_the_forecast(bool is32Bit) =>
        Assert.AreEqual(is32Bit, Boot.Of(Libxls with { Guest = Libxls.Guest with { Is32Bit = is32Bit } }).Forecast!.Request.Is32Bit);

    [TestMethod]
    [DataRow("linux-5.8", true)]
    [DataRow("linux-5.8.18", true)]
    [DataRow("linux-5.9", false)]
    [DataRow("linux-6.1.192", false)]
    public void A_32_bit_PV_kernel_since_5_9_does_not_exist_and_is_not_forecast(string name, bool exists)
    {
        var boot = Boot.Of(Libxls with { Guest = Libxls.Guest with { Is32Bit = true }, Kernel = Kernels.Of(name) });

        Assert.AreEqual(exists, boot.Forecast is not null);
        Assert.AreEqual(exists, boot.Outcome != GuestOutcome.Refused);
        Assert.AreEqual(exists ? 0 : 1,
            boot.Problems.Count(static problem => problem is { Code: ProblemCodes.No32BitKernel, Severity: Severity.Error }));
    }

    [TestMethod]
    public void A_32_bit_kernel_that_nobody_names_is_the_last_that_there_is()
    {
        Assert.AreEqual(KernelReleases.LastOf32Bits, (Libxls with { Guest = Libxls.Guest with { Is32Bit = true } }).Kernel);
        Assert.AreEqual(KernelReleases.Default, Libxls.Kernel);
    }

    [TestMethod]
    [DataRow(GuestType.Pvh)]
    [DataRow(GuestType.Hvm)]
    public void A_guest_whose_map_Xen_makes_has_one_and_a_verdict_without_a_forecast_of_its_kernels_memory(GuestType type)
    {
        var boot = Boot.Of(Libxls with { Guest = Libxls.Guest with { Type = type } });

        Assert.IsTrue(boot.Plan.IsMapKnown);
        Assert.IsNotEmpty(boot.Plan.Entries);
        Assert.IsNull(boot.Forecast);
        Assert.AreEqual(GuestOutcome.Boots, boot.Outcome);
    }

    [TestMethod]
    [DataRow("device_model_version", "\"qemu-xen-traditional\"")]
    [DataRow("gfx_passthru", "1")]
    [DataRow("vnuma", "[ [ \"pnode=0\" ] ]")]
    public void A_guest_whose_map_is_not_known_gets_none_and_no_verdict(string key, string value)
    {
        var boot = Boot.Of(Libxls with { Guest = Libxls.Guest with { Type = GuestType.Hvm, Hvm = HvmKeys.Of(key, value) } });

        Assert.IsFalse(boot.Plan.IsMapKnown);
        Assert.IsEmpty(boot.Plan.Entries);
        Assert.IsNull(boot.Forecast);
        Assert.AreEqual(GuestOutcome.NotKnown, boot.Outcome);
        Assert.AreEqual(1, boot.Problems.Count(static problem => problem.Code == ProblemCodes.MapNotKnown));
    }

    [TestMethod]
    public void A_map_given_by_hand_is_forecast_as_it_stands()
    {
        E820Entry[] map = [E820Entry.FromBounds(0, 0x4000_0000, E820Type.Ram), E820Entry.FromBounds(0x8000_0000, 0x9000_0000, E820Type.Reserved)];

        var boot = Boot.Of(Libxls with { Policy = new GivenMapPolicy([.. map]) });

        CollectionAssert.AreEqual(map, boot.Plan.Map.ToArray());
        CollectionAssert.AreEqual(map, boot.Forecast!.Request.Map.ToArray());
        Assert.IsTrue(boot.Plan.NeedsInstalling);
        Assert.IsTrue(boot.Boots);
    }

    [TestMethod]
    public void The_toolstacks_own_map_is_the_one_where_no_policy_is_named()
    {
        CollectionAssert.AreEqual(Boot.Of(Libxls).Plan.Entries.ToArray(), Planner.Plan(Libxls with { Policy = null }).Entries.ToArray());
        Assert.IsFalse(Planner.Plan(Libxls with { Policy = null }).NeedsInstalling);
    }
}
