// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.PvGuest;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Forecasts;

/// <summary>The commit "Populate freed MFNs from non-RAM E820 entries and gaps to E820 RAM" of 2012 on its author's machine (facts in the records'
/// README).</summary>
[TestClass]
public sealed class Seed002Tests
{
    /// <summary>Pages of a dom0 without dom0_mem on that machine, from its owner's log.</summary>
    private const ulong AllPages = 0x1a_cb65;

    /// <summary>283,999.</summary>
    private const ulong Displaced = 98 + 512 + 512 + 116 + 137 + 282_624;

    private const ulong ThreeGiB = 3UL << (30 - Frames.Shift);

    private static readonly E820Entry[] s_firmware =
    [
        E820Entry.FromBounds(0, 0x9_ec00, E820Type.Ram),
        E820Entry.FromBounds(0x9_ec00, 0xa_0000, E820Type.Reserved),
        E820Entry.FromBounds(0xe_0000, 0x10_0000, E820Type.Reserved),
        E820Entry.FromBounds(0x10_0000, 0x2000_0000, E820Type.Ram),
        E820Entry.FromBounds(0x2000_0000, 0x2020_0000, E820Type.Reserved),
        E820Entry.FromBounds(0x2020_0000, 0x4000_0000, E820Type.Ram),
        E820Entry.FromBounds(0x4000_0000, 0x4020_0000, E820Type.Reserved),
        E820Entry.FromBounds(0x4020_0000, 0xbad8_0000, E820Type.Ram),
        E820Entry.FromBounds(0xbad8_0000, 0xbadc_9000, E820Type.Nvs),
        E820Entry.FromBounds(0xbadc_9000, 0xbadd_1000, E820Type.Acpi),
        E820Entry.FromBounds(0xbadd_1000, 0xbadf_4000, E820Type.Reserved),
        E820Entry.FromBounds(0xbadf_4000, 0xbadf_6000, E820Type.Ram),
        E820Entry.FromBounds(0xbadf_6000, 0xbae0_6000, E820Type.Reserved),
        E820Entry.FromBounds(0xbae0_6000, 0xbae1_4000, E820Type.Nvs),
        E820Entry.FromBounds(0xbae1_4000, 0xbae3_c000, E820Type.Reserved),
        E820Entry.FromBounds(0xbae3_c000, 0xbae7_f000, E820Type.Nvs),
        E820Entry.FromBounds(0xbae7_f000, 0xbb00_0000, E820Type.Ram),
        E820Entry.FromBounds(0xbb80_0000, 0xbfa0_0000, E820Type.Reserved),
        E820Entry.FromBounds(0xfed1_c000, 0xfed4_0000, E820Type.Reserved),
        E820Entry.FromBounds(0xff00_0000, 0x1_0000_0000, E820Type.Reserved),
        E820Entry.FromBounds(0x1_0000_0000, 0x2_3fe0_0000, E820Type.Ram),
    ];

    [TestMethod]
    public void Linux_3_4_frees_and_populates_in_the_words_of_the_commit()
    {
        BootForecast forecast = Dom0(Kernels.Linux34, AllPages, null);

        string[] words =
            [.. forecast.Log.Where(line => line.Contains("pfn range", StringComparison.Ordinal)
                || line.StartsWith("Released", StringComparison.Ordinal))];
        CollectionAssert.AreEqual(
            new[]
            {
                "Freeing 9e-100 pfn range: 98 pages freed",
                "Freeing 20000-20200 pfn range: 512 pages freed",
                "Freeing 40000-40200 pfn range: 512 pages freed",
                "Freeing bad80-badf4 pfn range: 116 pages freed",
                "Freeing badf6-bae7f pfn range: 137 pages freed",
                "Freeing bb000-100000 pfn range: 282624 pages freed",
                "Released 283999 pages of unused memory",
                "Populating 1acb65-1f20c4 pfn range: 283999 pages added",
            },
            words);
        Assert.AreEqual(Displaced, forecast.ReleasedPages);
        Assert.AreEqual(Displaced, forecast.PopulatedPages);
    }

    [TestMethod]
    public void Linux_3_3_loses_those_pages()
    {
        BootForecast forecast = Dom0(Kernels.Linux33, AllPages, null);

        Assert.AreEqual(Displaced, forecast.ReleasedPages);
        Assert.AreEqual(0UL, forecast.PopulatedPages);
        Assert.IsTrue(forecast.Problems.Any(problem => problem.Message.Contains("283999", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void Linux_6_1_moves_them()
    {
        BootForecast forecast = Dom0(Kernels.Linux61, AllPages, null);

        Assert.AreEqual(0UL, forecast.ReleasedPages);
        Assert.AreEqual(Displaced, forecast.RemappedPages);
        CollectionAssert.Contains(forecast.Log.ToArray(), "Remapped 283999 page(s)");
    }

    /// <summary>
    /// The three cases of the commit. "Memory: …k/9435136k" and "…k/4281724k" are the end of the kernel's RAM, before and after the commit.
    /// </summary>
    [TestMethod]
    [DataRow(AllPages, null, Displaced, 9_435_136UL, DisplayName = "no dom0_mem")]
    [DataRow(ThreeGiB, null, 21_855UL, 9_435_136UL, DisplayName = "dom0_mem=3G")]
    [DataRow(ThreeGiB, ThreeGiB, 21_855UL, 4_281_724UL, DisplayName = "dom0_mem=max:3G")]
    public void The_commit_gives_dom0_back_exactly_what_was_freed(ulong pages, ulong? max, ulong displaced, ulong endKiB)
    {
        BootForecast before = Dom0(Kernels.Linux33, pages, max);
        BootForecast after = Dom0(Kernels.Linux34, pages, max);
        BootForecast now = Dom0(Kernels.Linux61, pages, max);

        Assert.AreEqual(displaced, before.ReleasedPages);
        Assert.AreEqual(displaced, after.OwnedPages - before.OwnedPages);
        Assert.AreEqual(pages, after.OwnedPages);
        Assert.AreEqual(pages, now.OwnedPages);
        Assert.AreEqual(displaced, now.RemappedPages);
        Assert.AreEqual(displaced, RamBehind(after) - RamBehind(before));
        Assert.AreEqual(RamBehind(now), RamBehind(after));
        Assert.AreEqual(endKiB, before.KernelMap.Last(entry => entry.IsRam).End >> 10);
        Assert.AreEqual(endKiB, after.KernelMap.Last(entry => entry.IsRam).End >> 10);
    }

    /// <summary>Pages in RAM entries of the kernel's map with a machine frame behind them.</summary>
    private static ulong RamBehind(BootForecast forecast)
    {
        ulong sum = 0;
        foreach (E820Entry entry in forecast.KernelMap.Where(entry => entry.IsRam))
        {
            PfnRange ram = PfnRange.FromBounds(Pfn.AtOrAbove(entry.Address), Pfn.Containing(entry.End));
            foreach (P2mRun run in forecast.P2m.Where(run => run.HasFrames))
                sum += run.Range.Intersect(ram).Count;
        }

        return sum;
    }

    private static BootForecast Dom0(KernelRelease kernel, ulong pages, ulong? max)
    {
        ImmutableArray<E820Entry> map = MachineMap.Of(new Host { Entries = [.. s_firmware], Traits = new() });
        BootForecast forecast = Forecaster.Forecast(new() { Map = map, IsDom0 = true, PageCount = pages, MaxPages = max, Kernel = kernel,
            Layout = GuestLayout.OfDom0() });
        Assert.IsTrue(forecast.Boots);
        return forecast;
    }
}
