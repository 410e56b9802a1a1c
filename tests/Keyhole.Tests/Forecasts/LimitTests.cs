// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.PvGuest;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Forecasts;

/// <summary>The largest guests, the smallest tables, and maps that nobody should have.</summary>
[TestClass]
public sealed class LimitTests
{
    private const int PagesOfGiBShift = 30 - Frames.Shift;

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void A_32_bit_kernel_manages_64_gib(bool isDom0)
    {
        BootForecast forecast = Boot(100, new() { Map = [], PageCount = 0, Is32Bit = true, IsDom0 = isDom0, Layout = GuestLayout.Unknown });

        Assert.AreEqual(36UL << PagesOfGiBShift, Line(forecast, "beyond what this kernel can manage"));
        // What lay under the hole of 1 GiB and in the ISA range is moved to RAM behind the limit, as the real kernel reckons it.
        Assert.AreEqual((65UL << 30) + 0x6_0000, forecast.KernelMap.Where(entry => entry.IsRam).Max(entry => entry.End));
    }

    [TestMethod]
    [DataRow("", false, 0UL)]
    [DataRow("xen_512gb_limit", false, 88UL)]
    [DataRow("", true, 88UL)]
    [DataRow("xen_512gb_limit=0", true, 0UL)]
    public void A_guest_keeps_to_512_gib_when_it_is_told_to(string commandLine, bool isConfigured, ulong lostGiB)
    {
        BootForecast forecast = Boot(600,
            new() { Map = [], PageCount = 0, CommandLine = commandLine, IsConfiguredFor512GiB = isConfigured, Layout = GuestLayout.Unknown });

        Assert.AreEqual(lostGiB << PagesOfGiBShift, Line(forecast, "beyond what this kernel can manage"));
    }

    [TestMethod]
    public void Dom0_does_not_keep_to_512_gib() => Assert.AreEqual(
        0UL, Line(Boot(600, new() { Map = [], PageCount = 0, IsDom0 = true, CommandLine = "xen_512gb_limit", Layout = GuestLayout.Unknown }),
            "beyond what this kernel can manage"));

    [TestMethod]
    public void Kernels_up_to_3_4_manage_500_gib() => Assert.AreEqual(
        100UL << PagesOfGiBShift, Line(Boot(600, new() { Map = [], PageCount = 0, Kernel = Kernels.Linux34, Layout = GuestLayout.Unknown }),
            "beyond what this kernel can manage"));

    [TestMethod]
    public void A_guest_of_16_tib_is_forecast_page_by_page()
    {
        foreach (KernelRelease kernel in KernelReleases.Named.Where(version => version >= Kernels.Linux43))
        {
            BootForecast forecast = Boot(16 << 10, new() { Map = [], PageCount = 0, Kernel = kernel, Layout = GuestLayout.Unknown });

            Assert.AreEqual(HaltReason.None, forecast.Halt);
            // 1 GiB lies under the hole below 4 GiB, and 96 pages in the ISA range of the map.
            Assert.AreEqual((1UL << PagesOfGiBShift) + 0x60, forecast.RemappedPages, KernelReleases.NameOf(kernel));
            Assert.AreEqual(16UL << (40 - Frames.Shift), forecast.Account.Aggregate(0UL, (sum, line) => sum + line.PageCount));
        }
    }

    [TestMethod]
    public void An_auto_translated_guest_takes_its_map_as_it_is_and_moves_nothing()
    {
        E820Entry[] map = [E820Entry.FromBounds(0x10_0000, 0x2000_0000, E820Type.Ram), E820Entry.FromBounds(0, 0x9_f000, E820Type.Ram),
            E820Entry.FromBounds(0xf000_0000, 0xf010_0000, E820Type.Unusable)];
        BootForecast forecast = Forecaster.Forecast(new() { Map = [.. map], PageCount = 0x2_0000, IsAutoTranslated = true,
            Layout = GuestLayout.Unknown });

        Assert.AreEqual(HaltReason.None, forecast.Halt);
        CollectionAssert.AreEqual(new[] { map[1], map[0], map[2] }, forecast.KernelMap.ToArray());
        Assert.AreEqual(0UL, forecast.RemappedPages + forecast.ReleasedPages);
        Assert.IsFalse(forecast.Hypercalls.Any(call => call.Name is "mmu_update" or "update_va_mapping" or "XENMEM_decrease_reservation"
            or "callback_op"));
    }

    [TestMethod]
    public void One_extra_page_left_in_a_huge_unaligned_entry_is_no_walk_through_all_its_pages()
    {
        BootForecast forecast = Forecaster.Forecast(new()
        {
            Map = [E820Entry.FromBounds(0, 0x800_0000, E820Type.Ram), E820Entry.FromBounds(0x1000_0800, 1UL << 51, E820Type.Ram)],
            PageCount = 0x8000,
            MaxPages = 0x8001,
            IsDom0 = true,
            Layout = GuestLayout.Unknown,
        });

        Assert.AreEqual(HaltReason.None, forecast.Halt);
        Assert.IsEmpty(forecast.Extra);
    }

    /// <summary>Entries by address, size and type, whose RAM comes to nearly 2^64 bytes in the kernel's own map: readers let no such map in, and a
    /// program that makes one itself gets an answer, too.</summary>
    private const string NearlyAllAddresses =
        "fffffffffffd4680 518 2147483648; fffffffffffff1a9 8d5 1; 3dc240 70a 1; fc100 100000000c10 1; "
        + "fc5e00 8000000000000c5e 1; 200000000137000 9b9 12; 101300000 25f 12; 10000003458000 168b 12; "
        + "ffffffffffffd840 4000060f 4; ffffffffff480 f48 1; 2115c000 18ae 5; fffff93c000 4000093b 4; "
        + "7ffffffff82f0000 4000005d 2147483648; ffffffffffff9bd0 9bc 4; db900 40000dc7 5; 7ffffffff7dc0000 1fb8 1; "
        + "222e60 40000172 1; 80000694800 100000000d29 1; ffffffd774000 5dc 2; fffffffffffdfa20 8000000000000fd1 12; "
        + "100000000111d0 11d 2147483648; 500fff 502 1; 1fffffffffd5400 eaa 12; 15a4000 1ad1 4; "
        + "ffffffffffffdbe8 80000000000006f9 4; ffffd790 d7a 2; 200000000128a0 1945 2147483648; ffffffcb58000 196b 2; "
        + "fffffffffc1e8000 10000000083c 2; 1ec5e0 162f 4; fffffffffffed7ff 1d80 4; ffffffffcf480 3d3 1; "
        + "fffffffffbba8000 774 12; 6258 1c4a 5; ffffffffffe4f800 4000027b 2";

    [TestMethod]
    public void A_map_whose_RAM_fills_nearly_all_addresses_has_a_forecast()
    {
        E820Entry[] map = [.. NearlyAllAddresses.Split("; ").Select(static text => text.Split(' '))
            .Select(static part => E820Entry.FromSize(Hex(part[0]), Hex(part[1]), (E820Type)uint.Parse(part[2], CultureInfo.InvariantCulture)))];

        BootForecast forecast = Forecaster.Forecast(new()
        {
            Map = [.. map],
            PageCount = 1,
            MaxPages = 100_000,
            Kernel = Kernels.Linux44,
            Layout = GuestLayout.OfXl(1) with { Initrd = ByteRange.FromSize(0x500_0000, 0x20_0123) },
        });

        Assert.AreEqual(1UL, forecast.Account.Aggregate(0UL, static (sum, line) => sum + line.PageCount));
    }

    private static ulong Hex(string text) => ulong.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    /// <summary>A forecast that never ended would be told by nobody: what is given to one that takes longer than any should is printed, with all
    /// that it takes to run it again.</summary>
    [TestMethod]
    [Timeout(300_000)]
    public void No_map_makes_a_forecast_fail_and_its_pages_add_up() => Prop.ForAll(
        (from count in Gen.Choose(0, 140)
         from map in HostileEntry().ArrayOf(count)
         from pages in Gen.Elements<ulong>(1, 1000, 1UL << 20, 1UL << 34)
         from kernel in Gen.Elements(KernelReleases.Named.ToArray())
         from isDom0 in Gen.Elements(false, true)
         from is32Bit in Gen.Elements(false, true)
         from max in Gen.Elements<ulong?>(null, 1, 100_000, 1UL << 40)
         select new BootRequest { Map = [.. map], PageCount = pages, Kernel = kernel, IsDom0 = isDom0 && count > 0, Is32Bit = is32Bit, MaxPages = max,
             Layout = GuestLayout.OfXl(pages) with { Initrd = ByteRange.FromSize(0x500_0000, 0x20_0123) } }).ToArbitrary(),
        request =>
        {
            foreach (GuestLayout layout in new[] { request.Layout, GuestLayout.Unknown })
            {
                using var watch = new Timer(_ => Tell(request, layout), null, 20_000, Timeout.Infinite);
                BootForecast forecast = Forecaster.Forecast(request with { Layout = layout });
                if (!forecast.Account.IsEmpty)
                    Assert.AreEqual(request.PageCount, forecast.Account.Aggregate(0UL, (sum, line) => sum + line.PageCount));
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(1500));

    /// <summary>Past what the test's runner keeps of a test until it ends.</summary>
    private static void Tell(BootRequest request, GuestLayout layout)
    {
        using Stream errors = Console.OpenStandardError();
        errors.Write(Encoding.UTF8.GetBytes($"still running after 20 s: {Told(request, layout)}\n"));
    }

    /// <summary>Where the ramdisk must move, the search for a place had gone in a circle behind the end of the address space.</summary>
    [TestMethod]
    [Timeout(60_000)]
    public void An_entry_that_wraps_does_not_keep_a_forecast_from_its_end()
    {
        BootForecast forecast = Forecaster.Forecast(new()
        {
            Map =
            [
                E820Entry.FromSize(0x77d_9800, 0x4000_0fb2, E820Type.Unusable),
                E820Entry.FromSize(0xffff_ffff_fffb_c7ff, 0x8000_0000_0000_0790, E820Type.Ram),
                E820Entry.FromSize(0x1_04c0, 0x824, E820Type.Ram),
            ],
            PageCount = 1,
            MaxPages = 100_000,
            Kernel = new(7, 2),
            IsDom0 = true,
            Layout = GuestLayout.OfXl(1) with { Initrd = ByteRange.FromSize(0x500_0000, 0x20_0123) },
        });

        Assert.AreEqual(HaltReason.KernelConflict, forecast.Halt);
    }

    private static string Told(BootRequest request, GuestLayout layout) =>
        $"{request.PageCount} pages, at most {request.MaxPages}, {KernelReleases.NameOf(request.Kernel)}, dom0 {request.IsDom0}, 32 bits {request.Is32Bit}, "
            + $"{(layout == GuestLayout.Unknown ? "layout not known" : "xl's layout")}:\n"
            + string.Join('\n', request.Map.Select(static entry => $"{entry.Address:x} {entry.Size:x} {(uint)entry.Type}"));

    private static Gen<E820Entry> HostileEntry() =>
        from power in Gen.Choose(0, 63)
        from start in Gen.Elements<ulong>(0, 0x10_0000, 0x1_0000_0000, 1UL << 46, 1UL << 52, ulong.MaxValue)
        from offset in Gen.Choose(-5000, 5000)
        from size in Gen.Elements<ulong>(0, 1, 0x1000, 0x3fff_ffff, 1UL << 44, 1UL << 63, ulong.MaxValue)
        from type in Gen.Elements(E820Type.Ram, E820Type.Ram, E820Type.Reserved, E820Type.Nvs, E820Type.Unusable, E820Type.Pram,
            (E820Type)0x8000_0000)
        from shifts in Gen.Elements(false, true)
        select E820Entry.FromSize(unchecked((shifts ? 1UL << power : start) + ((ulong)(long)offset << (power & 15))), unchecked(size
            + (ulong)(long)(offset & 0xfff)), type);

    private static BootForecast Boot(ulong gib, BootRequest request)
    {
        ulong bytes = gib << 30;
        return Forecaster.Forecast(request with
        {
            PageCount = gib << PagesOfGiBShift,
            Map =
            [
                E820Entry.FromBounds(0, 0xa_0000, E820Type.Ram),
                E820Entry.FromBounds(0x10_0000, 0xc000_0000, E820Type.Ram),
                E820Entry.FromBounds(0xfee0_0000, 0xfef0_0000, E820Type.Reserved),
                E820Entry.FromBounds(1UL << 32, bytes + (2UL << 30), E820Type.Ram),
            ],
        });
    }

    private static ulong Line(BootForecast forecast, string what)
    {
        Assert.AreEqual(HaltReason.None, forecast.Halt);
        Assert.AreEqual(forecast.Request.PageCount, forecast.Account.Aggregate(0UL, (sum, line) => sum + line.PageCount));
        return forecast.Account.Where(line => line.What == what).Aggregate(0UL, (sum, line) => sum + line.PageCount);
    }
}
