// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.PvGuest;
using Keyhole.Simulation;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.PvGuest;

/// <summary>Differences between kernels that no record shows: known from their sources.</summary>
[TestClass]
public sealed class KernelDifferenceTests
{
    /// <summary>Two holes of three pages, and no RAM behind the guest's pages to move anything to.</summary>
    private static readonly SmallWorld s_twoHoles = new()
    {
        Map =
        [
            E820Entry.FromBounds(0, 0x10_0000, E820Type.Ram),
            E820Entry.FromBounds(0x10_0000, 0x10_3000, E820Type.Reserved),
            E820Entry.FromBounds(0x10_3000, 0x18_0000, E820Type.Ram),
            E820Entry.FromBounds(0x18_0000, 0x18_3000, E820Type.Reserved),
            E820Entry.FromBounds(0x18_3000, 0x20_0000, E820Type.Ram),
        ],
        PageCount = 0x200,
        HasDevice = true,
    };

    [TestMethod]
    [DataRow("linux-6.1", true, "0-9f000 Ram, a0000-100000 Reserved, 100000-10000000 Ram", 0x61UL)]
    [DataRow("linux-6.6", true, "0-80000 Ram, 80000-100000 Reserved, 100000-10000000 Ram", 0x80UL)]
    [DataRow("linux-6.6", false, "0-9f000 Ram, a0000-100000 Reserved, 100000-10000000 Ram", 0x61UL)]
    [DataRow("linux-7.2", true, "0-80000 Ram, 80000-100000 Reserved, 100000-10000000 Ram", 0x80UL)]
    [DataRow("linux-7.2", false, "0-9f000 Ram, a0000-100000 Reserved, 100000-10000000 Ram", 0x61UL)]
    public void Only_dom0_and_only_since_6_5_keeps_512_KiB_to_1_MiB_for_an_iBFT(string name, bool isDom0, string expected, ulong remapped)
    {
        KernelRelease kernel = Kernels.Of(name);
        BootForecast forecast = Forecaster.Forecast(new()
        {
            Map = [E820Entry.FromBounds(0, 0x9_fc00, E820Type.Ram), E820Entry.FromBounds(0x10_0000, 0x1000_0000, E820Type.Ram),
                E820Entry.FromBounds(0x1_0000_0000, 0x1_4000_0000, E820Type.Ram)],
            PageCount = 0x1_0000,
            IsDom0 = isDom0,
            MaxPages = 0x1_0000,
            Kernel = kernel,
            Layout = GuestLayout.Unknown,
        });

        Assert.AreEqual(HaltReason.None, forecast.Halt);
        Assert.AreEqual(expected, Show(forecast.KernelMap.Where(entry => entry.Address < 1UL << 32)));
        Assert.AreEqual(remapped, forecast.RemappedPages);
    }

    /// <summary>
    /// Up to 4.3 the sanitiser is told that the table has no more room than the entries it came with: where an entry lies amid another, the last
    /// piece is lost. Xen and libxl do not sort a guest's map out before it gets there.
    /// </summary>
    [TestMethod]
    [DataRow("linux-3.3", 0x400_0000UL)]
    [DataRow("linux-3.4", 0x400_0000UL)]
    [DataRow("linux-4.3", 0x400_0000UL)]
    [DataRow("linux-4.4", 0x1000_0000UL)]
    [DataRow("linux-6.1", 0x1000_0000UL)]
    [DataRow("linux-7.2", 0x1000_0000UL)]
    public void Up_to_4_3_an_entry_amid_RAM_costs_the_RAM_behind_it(string name, ulong ramEnd)
    {
        KernelRelease kernel = Kernels.Of(name);
        BootForecast forecast = Forecaster.Forecast(new()
        {
            Map = [E820Entry.FromBounds(0, 0x1000_0000, E820Type.Ram), E820Entry.FromBounds(0x400_0000, 0x400_1000, E820Type.Reserved)],
            PageCount = 0x1_0000,
            Kernel = kernel,
            Layout = GuestLayout.Unknown,
        });

        Assert.AreEqual(ramEnd, forecast.KernelMap.Where(entry => entry.IsRam).Max(entry => entry.End), Show(forecast.KernelMap));
    }

    [TestMethod]
    [DataRow("linux-3.3", 5UL)]
    [DataRow("linux-3.4", 3UL)]
    [DataRow("linux-6.1", 3UL)]
    public void Since_3_4_a_page_that_Xen_does_not_take_back_ends_the_release_of_its_hole_and_not_that_of_the_next(string name, ulong released)
    {
        KernelRelease kernel = Kernels.Of(name);
        SmallWorld world = s_twoHoles with { Version = kernel };
        Assert.AreEqual(6UL, PagedBoot.Of(world).Result.ReleasedPages);

        PagedBoot boot = PagedBoot.Of(world, [new Fault { Call = HypercallKind.DecreaseReservation }]);

        Assert.AreEqual(released, boot.Result.ReleasedPages);
        Assert.AreEqual(released + 1, boot.Counts.DecreaseReservation);
    }

    [TestMethod]
    [DataRow("linux-3.3")]
    [DataRow("linux-3.4")]
    [DataRow("linux-4.3")]
    [DataRow("linux-4.4")]
    [DataRow("linux-6.1")]
    [DataRow("linux-7.2")]
    public void A_guest_without_a_map_takes_its_pages_for_RAM_and_8_MiB_of_slack_behind_them_for_the_balloon(string name)
    {
        KernelRelease kernel = Kernels.Of(name);
        BootForecast forecast = Forecaster.Forecast(new() { Map = [], PageCount = 0x1_0000, Kernel = kernel, Layout = GuestLayout.Unknown });

        Assert.AreEqual(HaltReason.None, forecast.Halt);
        Assert.AreEqual("0-a0000 Ram, a0000-100000 Reserved, 100000-10800000 Ram", Show(forecast.KernelMap));
        Assert.AreEqual(ByteRange.FromBounds(0x1000_0000, 0x1080_0000), forecast.Extra.Single());
        Assert.AreEqual(0x1_0000UL, forecast.OwnedPages);
    }

    /// <summary>Before 3.5 nobody changes it; then it leads to the device, from 3.13 to 3.17 and since 5.17 nowhere, but for the ISA area of the
    /// former.</summary>
    [TestMethod]
    [DataRow("linux-3.3", false, false, false)]
    [DataRow("linux-3.5", true, true, true)]
    [DataRow("linux-3.12", true, true, true)]
    [DataRow("linux-3.13", true, true, false)]
    [DataRow("linux-3.17", true, true, false)]
    [DataRow("linux-3.19", true, true, true)]
    [DataRow("linux-5.16", true, true, true)]
    [DataRow("linux-5.17", true, false, false)]
    [DataRow("linux-7.2", true, false, false)]
    public void The_old_address_of_a_page_under_a_hole_leads_to_the_device_or_nowhere(string name, bool isChanged, bool isIsaMapped,
        bool isOtherMapped)
    {
        PagedBoot boot = PagedBoot.Of(s_twoHoles with
        {
            Version = Kernels.Of(name),
            Map =
            [
                E820Entry.FromBounds(0, 0xa_0000, E820Type.Ram),
                E820Entry.FromBounds(0xa_0000, 0xa_1000, E820Type.Reserved),
                E820Entry.FromBounds(0xa_1000, 0x10_0000, E820Type.Ram),
                .. s_twoHoles.Map.Skip(1),
            ],
            PageTables = ByteRange.FromBounds(0x1f_0000, 0x1f_8000),
        });

        foreach ((ulong pfn, bool isMapped) in new[] { (0xa0UL, isIsaMapped), (0x101UL, isOtherMapped) })
        {
            Assert.IsTrue(boot.Domain.TryReadL1Entry(DomainSpec.LinuxPageOffset + (pfn << Frames.Shift), out ulong entry));
            Assert.AreEqual(isChanged && isMapped, entry >> Frames.Shift == pfn, $"{name}: frame {pfn:x} leads to {entry:x}");
            if (isChanged && !isMapped)
                Assert.AreEqual(0UL, entry, $"{name}: frame {pfn:x}");
        }
    }

    [TestMethod]
    [DataRow("linux-4.0", 1)]
    [DataRow("linux-4.1", 2)]
    [DataRow("linux-7.2", 2)]
    public void Since_4_1_neighbours_of_persistent_memory_are_not_merged(string name, int entries)
    {
        BootForecast forecast = Forecaster.Forecast(new()
        {
            Map =
            [
                E820Entry.FromBounds(0, 0x1000_0000, E820Type.Ram),
                E820Entry.FromBounds(0x1000_0000, 0x1100_0000, (E820Type)12),
                E820Entry.FromBounds(0x1100_0000, 0x1200_0000, (E820Type)12),
            ],
            PageCount = 0x1_0000,
            Kernel = Kernels.Of(name),
            Layout = GuestLayout.Unknown,
        });

        Assert.AreEqual(entries, forecast.KernelMap.Count(static entry => entry.Type == (E820Type)12));
    }

    /// <summary>8 TiB are 2^31 pages, as an int less than nothing: an error, and so no limit. Releases have a limit of 500 GiB before that; the state
    /// of July 2015 has none.</summary>
    [TestMethod]
    [DataRow("linux-4.3", 10UL)]
    [DataRow("linux-4.3.0", 7UL)]
    public void To_the_state_of_July_2015_a_reservation_of_8_TiB_is_no_limit(string name, ulong extraTiB)
    {
        const ulong pagesOfTiB = 1UL << 28;
        BootForecast forecast = Forecaster.Forecast(new()
        {
            Map = [E820Entry.FromBounds(0, 16UL << 40, E820Type.Ram)],
            PageCount = pagesOfTiB,
            IsDom0 = true,
            MaxPages = 8 * pagesOfTiB,
            Kernel = Kernels.Of(name),
            Layout = GuestLayout.Unknown,
        });

        Assert.AreEqual(HaltReason.None, forecast.Halt);
        Assert.AreEqual(extraTiB << 40, forecast.ExtraBytes);
    }

    [TestMethod]
    [DataRow(KernelBehaviour.ChecksToEnd, "4.19.322", "4.19.323", "5.4.284", "5.4.285", "5.10.226", "5.10.227", "5.15.167", "5.15.168", "6.1.112",
        "6.1.113", "6.6.53", "6.6.54", "6.10.12", "6.10.13", "6.11.1", "6.11.2", "6.11", "6.12")]
    [DataRow(KernelBehaviour.MovesNvs, "6.6.53", "6.6.54", "6.10.12", "6.10.13", "6.11.1", "6.11.2", "6.1.192", "6.12", "5.10.262", "7.3")]
    [DataRow(KernelBehaviour.MisplacesUnalignedNvs, "6.6.142", "6.6.54", "6.6.53", "6.6.141", "6.12.92", "6.12.91", "6.18.34", "6.18.33", "7.0.11",
        "7.0.10", "7.1", "6.11.2")]
    public void What_stable_releases_took_over_begins_and_ends_with_the_patches_that_their_announcements_name(KernelBehaviour behaviour,
        params string[] withoutAndWith)
    {
        for (int i = 0; i < withoutAndWith.Length; i += 2)
        {
            Assert.IsFalse(KernelProfile.Of(Kernels.Of("linux-" + withoutAndWith[i])).Has(behaviour), withoutAndWith[i]);
            Assert.IsTrue(KernelProfile.Of(Kernels.Of("linux-" + withoutAndWith[i + 1])).Has(behaviour), withoutAndWith[i + 1]);
        }
    }

    private static string Show(IEnumerable<E820Entry> map) => string.Join(", ", map.Select(entry => $"{entry.Address:x}-{entry.End:x} {entry.Type}"));
}
