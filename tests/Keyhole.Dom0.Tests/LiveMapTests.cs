// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Dom0.Tests;

[TestClass]
public sealed class LiveMapTests
{
    // RAM that is split above 4 GiB: libxl puts the guest's high RAM there whatever lies in it.
    private static readonly Scenario s_splitHigh = new()
    {
        Host = new()
        {
            Entries =
            [
                E820Entry.FromBounds(0, 0x2000_0000, E820Type.Ram),
                E820Entry.FromBounds(0x2000_0000, 0x2000_1000, E820Type.Reserved),
                E820Entry.FromBounds(0x2000_1000, 0xb000_0000, E820Type.Ram),
                E820Entry.FromBounds(0x1_0000_0000, 0x1_1000_0000, E820Type.Ram),
                E820Entry.FromBounds(0x1_1000_0000, 0x1_1800_0000, E820Type.Reserved),
                E820Entry.FromBounds(0x1_1800_0000, 0x2_4000_0000, E820Type.Ram),
            ],
        },
        Guest = new() { Type = GuestType.Pv, MemoryKiB = 3 << 20, MaxmemKiB = 3 << 20, E820Host = true },
    };

    [TestMethod]
    public void Of_libxls_own_map_the_pages_that_it_means_to_give_count_where_its_high_RAM_lies_on_something_of_the_hosts()
    {
        var own = LiveMap.Of(Boot.Of(s_splitHigh));

        Assert.IsTrue(own.IsToolstacksOwn);
        Assert.AreEqual(s_splitHigh.StartPages, own.RamPages);
        Assert.AreEqual(s_splitHigh.StartPages - 0x8000, LiveMap.PagesOfRam(own.Map));
    }

    /// <summary>A map of one's own has to have RAM for every page: nobody says that the kernel copes with less.</summary>
    [TestMethod]
    public void Of_any_other_map_what_the_kernel_finds_as_RAM_counts()
    {
        var same = LiveMap.Of(Boot.Of(s_splitHigh with { Policy = new GivenMapPolicy(LiveMap.Of(Boot.Of(s_splitHigh)).Map) }));

        Assert.IsFalse(same.IsToolstacksOwn);
        Assert.AreEqual(s_splitHigh.StartPages - 0x8000, same.RamPages);
    }
}
