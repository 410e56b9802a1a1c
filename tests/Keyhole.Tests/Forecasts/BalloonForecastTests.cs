// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.PvGuest;
using Keyhole.Tests.Golden;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Forecasts;

[TestClass]
public sealed class BalloonForecastTests
{
    private const ulong PagesOfMiB = 256;
    private const ulong GiB = 1UL << 30;

    /// <summary>The map of guest b_short in passthrough.log.</summary>
    private static readonly E820Entry[] s_short =
        [E820Entry.FromBounds(0, 0x1c00_0000, E820Type.Ram), E820Entry.FromBounds(0x1c00_0000, 0x4000_0000, E820Type.Reserved)];

    [TestMethod]
    public void What_linux_6_1_released_came_back_where_it_was_recorded()
    {
        BootForecast boot = Boot(s_short, 512);
        BalloonForecast forecast = BalloonForecast.Of(boot, 512 * PagesOfMiB, 512 * PagesOfMiB, BalloonMoment.Boot);

        Assert.AreEqual(16_384UL, forecast.HotplugPages);
        Assert.AreEqual(0UL, forecast.ExtraPages);
        Assert.AreEqual(512 * PagesOfMiB, forecast.ToPages);
        CollectionAssert.Contains(GoldenLog.Load("passthrough").Lines.ToArray(),
            $"{forecast.Hotplug.Start:x}-{forecast.Hotplug.End - 1:x} : System RAM");
        Assert.IsEmpty(forecast.Problems);
    }

    [TestMethod]
    public void Later_the_local_apics_page_ends_the_gap_and_memory_lands_in_the_pci_hole()
    {
        BalloonForecast forecast = BalloonForecast.Of(Boot(s_short, 512), 512 * PagesOfMiB, null, BalloonMoment.Later);

        Assert.AreEqual(ByteRange.FromSize(0x4000_0000, BalloonForecast.SectionBytes), forecast.Hotplug);
        Problem problem = forecast.Problems.Single();
        Assert.AreEqual(ProblemCodes.HotplugInPciGap, problem.Code);
        Assert.AreEqual(Severity.Warning, problem.Severity);
        // It starts with as much, and the boot gives a part of it back.
        StringAssert.Contains(problem.Remedy!.ToString(), "give back nothing at boot");
        Problem grown = BalloonForecast.Of(Boot(s_short, 512), 640 * PagesOfMiB, null, BalloonMoment.Later).Problems[0];
        StringAssert.Contains(grown.Remedy!.ToString(), "memory = maxmem");
    }

    [TestMethod]
    public void Before_6_10_extra_memory_comes_first_and_then_hotplug()
    {
        BootForecast boot = Boot([E820Entry.FromBounds(0, 640UL << 20, E820Type.Ram)], 512);
        BalloonForecast forecast = BalloonForecast.Of(boot, 800 * PagesOfMiB, 1024 * PagesOfMiB, BalloonMoment.Later);

        Assert.AreEqual(128 * PagesOfMiB, forecast.ExtraPages);
        Assert.AreEqual(160 * PagesOfMiB, forecast.HotplugPages);
        Assert.AreEqual(2 * BalloonForecast.SectionBytes, forecast.Hotplug.SizeBytes, "whole sections");
        Assert.AreEqual(0UL, forecast.ScratchPages);
        Assert.AreEqual(64UL + 80, forecast.Batches);
        CollectionAssert.AreEqual(new[] { ("XENMEM_populate_physmap", 144UL), ("update_va_mapping", 288 * PagesOfMiB) },
            forecast.Hypercalls.ToArray());
    }

    [TestMethod]
    public void From_6_10_on_extra_memory_is_scratch_and_all_growth_is_hotplug()
    {
        BootForecast boot = Boot([E820Entry.FromBounds(0, 640UL << 20, E820Type.Ram)], 512, Kernels.Linux72);
        BalloonForecast forecast = BalloonForecast.Of(boot, 640 * PagesOfMiB, 640 * PagesOfMiB, BalloonMoment.Later);

        Assert.AreEqual(0UL, forecast.ExtraPages);
        Assert.AreEqual(128 * PagesOfMiB, forecast.ScratchPages);
        Assert.AreEqual(128 * PagesOfMiB, forecast.HotplugPages);
        Assert.AreEqual(640 * PagesOfMiB, forecast.ToPages);
    }

    [TestMethod]
    [DataRow(0x3e00_0000UL, 0x4000_0000UL, DisplayName = "the buffer ends at a section")]
    [DataRow(0x4000_0000UL, 0x4000_0000UL, DisplayName = "no buffer behind RAM that ends at 64 MiB")]
    [DataRow(0x4020_0000UL, 0x4800_0000UL, DisplayName = "the buffer ends within a section")]
    public void Nothing_is_laid_into_the_buffer_behind_ram(ulong ramEnd, ulong expected)
    {
        BootForecast boot = Boot([E820Entry.FromBounds(0, ramEnd, E820Type.Ram)], ramEnd >> 20);
        BalloonForecast forecast = BalloonForecast.Of(boot, boot.OwnedPages + 1, null, BalloonMoment.Later);

        Assert.AreEqual(expected, forecast.Hotplug.Start);
    }

    [TestMethod]
    public void A_gap_over_the_bios_rom_keeps_its_larger_side()
    {
        // Up to RAM at 4 GiB + 32 MiB: the lower side is larger.
        BootForecast lower = Boot([E820Entry.FromBounds(0, GiB, E820Type.Ram), E820Entry.FromBounds((4 * GiB) + (32 << 20), 5 * GiB, E820Type.Ram)],
            512);
        Assert.AreEqual(GiB, BalloonForecast.Of(lower, 4096 * PagesOfMiB, null, BalloonMoment.Boot).Hotplug.Start);

        // Up to the end of the address space: the upper one is.
        BootForecast upper = Boot([E820Entry.FromBounds(0, GiB, E820Type.Ram)], 1024);
        Assert.AreEqual(4 * GiB, BalloonForecast.Of(upper, 1100 * PagesOfMiB, null, BalloonMoment.Boot).Hotplug.Start);
    }

    [TestMethod]
    public void A_gap_too_small_for_all_sections_is_passed_over()
    {
        BootForecast boot = Boot([E820Entry.FromBounds(0, GiB, E820Type.Ram), E820Entry.FromBounds(GiB + (300 << 20), 4 * GiB, E820Type.Reserved)],
            1024);

        Assert.AreEqual(GiB, BalloonForecast.Of(boot, (1024 + 256) * PagesOfMiB, null, BalloonMoment.Later).Hotplug.Start);
        Assert.AreEqual(4 * GiB, BalloonForecast.Of(boot, (1024 + 257) * PagesOfMiB, null, BalloonMoment.Later).Hotplug.Start);
    }

    [TestMethod]
    public void Beyond_maxmem_xen_gives_nothing_and_the_forecast_says_so()
    {
        BootForecast boot = Boot([E820Entry.FromBounds(0, 640UL << 20, E820Type.Ram)], 512);
        BalloonForecast forecast = BalloonForecast.Of(boot, 800 * PagesOfMiB, 600 * PagesOfMiB, BalloonMoment.Later);

        Assert.AreEqual(600 * PagesOfMiB, forecast.ToPages);
        Assert.AreEqual(200 * PagesOfMiB, forecast.BeyondMaximumPages);
        Assert.IsTrue(forecast.Hotplug.IsEmpty);
        Assert.AreEqual(ProblemCodes.BalloonBeyondMaximum, forecast.Problems.Single().Code);
    }

    /// <summary>dom0 is no guest and has no maxmem: Xen's own command line says what it may have.</summary>
    [TestMethod]
    public void What_dom0_may_have_is_a_matter_of_Xen_s_command_line()
    {
        BootForecast boot = Boot([E820Entry.FromBounds(0, 640UL << 20, E820Type.Ram)], 512, isDom0: true);
        Problem beyond = BalloonForecast.Of(boot, 800 * PagesOfMiB, 600 * PagesOfMiB, BalloonMoment.Later).Problems.Single();
        Problem grown = BalloonForecast.Of(
            Boot(s_short, 1024, isDom0: true), 1400 * PagesOfMiB, null, BalloonMoment.Later).Problems.First(p => p.Code == ProblemCodes.HotplugInPciGap);

        foreach (Problem problem in (Problem[])[beyond, grown])
        {
            Assert.DoesNotContain("maxmem", $"{problem.Message} {problem.Remedy}");
            Assert.Contains("dom0_mem=", problem.Remedy!.ToString()!);
        }
    }

    [TestMethod]
    public void Down_gives_pages_back_in_batches()
    {
        BalloonForecast forecast = BalloonForecast.Of(Boot([E820Entry.FromBounds(0, 640UL << 20, E820Type.Ram)], 512), 500 * PagesOfMiB, null,
            BalloonMoment.Later);

        Assert.AreEqual(500 * PagesOfMiB, forecast.ToPages);
        CollectionAssert.AreEqual(new[] { ("XENMEM_decrease_reservation", 6UL), ("update_va_mapping", 12 * PagesOfMiB) },
            forecast.Hypercalls.ToArray());
        Assert.IsEmpty(forecast.Problems);
    }

    [TestMethod]
    public void A_target_that_is_reached_already_changes_nothing()
    {
        BalloonForecast forecast = BalloonForecast.Of(Boot([E820Entry.FromBounds(0, 640UL << 20, E820Type.Ram)], 512), 512 * PagesOfMiB, null,
            BalloonMoment.Later);

        Assert.AreEqual(forecast.FromPages, forecast.ToPages);
        Assert.IsEmpty(forecast.Hypercalls);
        Assert.AreEqual(0UL, forecast.Batches);
    }

    private static BootForecast Boot(E820Entry[] map, ulong mib, KernelRelease? kernel = null, bool isDom0 = false)
    {
        BootForecast boot = Forecaster.Forecast(new() { Map = [.. map], PageCount = mib * PagesOfMiB, Kernel = kernel ?? Kernels.Linux61,
            Layout = GuestLayout.Unknown, IsDom0 = isDom0 });
        Assert.AreEqual(HaltReason.None, boot.Halt);
        return boot;
    }
}
