// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Pci;
using Keyhole.Platforms.XenPv;
using Keyhole.PvGuest;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Forecasts;

[TestClass]
public sealed class DeviceP2mTests
{
    private static readonly ImmutableArray<E820Entry> s_map =
        [E820Entry.FromBounds(0, 0x8000_0000, E820Type.Ram), E820Entry.FromBounds(0xf000_0000, 0xf010_0000, E820Type.Nvs)];

    private static readonly ImmutableArray<P2mRun> s_boot =
    [
        new(PfnRange.FromBounds(default, new Pfn(0x8_0000)), P2mKind.Ram, new Mfn(0x100)),
        new(PfnRange.FromBounds(new Pfn(0x8_0000), new Pfn(0x10_0000)), P2mKind.Identity, default),
    ];

    private static readonly BarPlace s_card = Identity(0xfebc_0000, 0xfebe_0000);

    [TestMethod]
    public void A_hole_is_invalid_before_a_device_comes_and_identity_while_it_is_there()
    {
        DeviceP2m before = Empty();
        DeviceP2m during = before.Plug(s_card).After;
        DeviceP2m after = during.Unplug(s_card);

        Assert.AreEqual(P2mKind.Invalid, before.At(new Pfn(0xf_ebc0)).Kind);
        Assert.IsEmpty(before.DeviceRuns);
        CollectionAssert.AreEqual(new[] { new P2mRun(PfnRange.FromBounds(new Pfn(0xf_ebc0), new Pfn(0xf_ebe0)), P2mKind.Identity, default) },
            during.DeviceRuns.ToArray());
        Assert.IsTrue(during.Reaches(s_card));
        CollectionAssert.AreEqual(before.Runs.ToArray(), after.Runs.ToArray());
    }

    [TestMethod]
    public void A_page_that_two_windows_share_stays_until_the_second_goes()
    {
        BarPlace left = Identity(0xfe00_0000, 0xfe00_0800);
        BarPlace right = Identity(0xfe00_0800, 0xfe00_1000);
        DeviceP2m both = Empty().Plug(left).After.Plug(right).After;

        Assert.AreEqual(P2mKind.Identity, both.Unplug(left).At(new Pfn(0xf_e000)).Kind);
        Assert.AreEqual(P2mKind.Invalid, both.Unplug(left).Unplug(right).At(new Pfn(0xf_e000)).Kind);
    }

    [TestMethod]
    public void A_window_that_meets_RAM_or_firmware_data_is_not_plugged_in()
    {
        PlugResult onRam = Empty().Plug(Identity(0x7fff_f000, 0x8000_1000));
        PlugResult onNvs = Empty().Plug(Identity(0xf000_0000, 0xf000_1000));

        Assert.AreEqual(s_map[0], onRam.Conflict);
        Assert.AreEqual(s_map[1], onNvs.Conflict);
        Assert.IsEmpty(onRam.After.Plugged);
    }

    [TestMethod]
    public void A_window_that_a_filter_moved_has_its_machine_frames_behind_the_new_place()
    {
        BarPlace moved = new(new(0, BarKind.Memory, 0x2000_0000, 0x2000_2000, false, false), 0xc000_0000);
        DeviceP2m after = Empty().Plug(moved).After;

        P2mRun second = after.At(new Pfn(0xc_0001));
        Assert.AreEqual(P2mKind.NonRam, second.Kind);
        Assert.AreEqual(0x2_0001UL, second.Mfn.Value);
        Assert.IsTrue(after.Reaches(moved));
    }

    [TestMethod]
    public void Linux_has_holes_identity_from_the_boot_on()
    {
        DeviceP2m linux = DeviceP2m.Of(s_map, s_boot, HoleFill.AtBoot);

        Assert.AreEqual(P2mKind.Identity, linux.At(new Pfn(0xf_ebc0)).Kind);
        Assert.IsTrue(linux.Plug(s_card).After.Reaches(s_card));
    }

    [TestMethod]
    public void Whatever_is_plugged_and_unplugged_in_whatever_order_leaves_RAM_alone_and_ends_as_it_began() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(200).WithQuietOnSuccess(true),
        Prop.ForAll(Gen.ListOf(Gen.Choose(0, 0x3_ffff)).ToArbitrary(), seeds =>
        {
            DeviceP2m p2m = Empty();
            foreach (int seed in seeds)
            {
                ulong start = 0x9000_0000 + ((ulong)seed << 10);
                DeviceP2m after = p2m.Plug(Identity(start, start + 0x1400)).After;
                Assert.AreEqual(P2mKind.Ram, after.At(new Pfn(0x7_ffff)).Kind);
                Assert.AreEqual(0x8_0000UL, after.Runs.Where(run => run.Kind == P2mKind.Ram).Aggregate(0UL, (sum, run) => sum + run.Range.Count));
                p2m = after;
            }

            foreach (BarPlace place in p2m.Plugged.Reverse())
            {
                Assert.IsTrue(p2m.Reaches(place));
                p2m = p2m.Unplug(place);
            }

            CollectionAssert.AreEqual(Empty().Runs.ToArray(), p2m.Runs.ToArray());
        }));

    private static DeviceP2m Empty() => DeviceP2m.Of(s_map, s_boot, HoleFill.OnDemand);

    private static BarPlace Identity(ulong start, ulong end) => new(new(0, BarKind.Memory, start, end, false, false), start);
}
