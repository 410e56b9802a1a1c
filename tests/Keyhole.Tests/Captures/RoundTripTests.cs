// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Captures;

/// <summary>What is written in a dialect reads back as the same map; what a dialect cannot hold is refused.</summary>
[TestClass]
public sealed class RoundTripTests
{
    private static readonly E820Type[] s_types =
    [
        E820Type.None, E820Type.Ram, E820Type.Reserved, E820Type.Acpi, E820Type.Nvs, E820Type.Unusable, (E820Type)6, E820Type.PersistentMemory,
        E820Type.Pram,
        (E820Type)20, (E820Type)128, E820TypeNames.SoftReserved, (E820Type)uint.MaxValue,
    ];

    private static readonly Gen<ulong> s_anyAddress =
        from high in Gen.Choose(0, (1 << 26) - 1)
        from low in Gen.Choose(0, (1 << 26) - 1)
        select ((ulong)high << 26) + (ulong)low;

    /// <summary>Addresses at the edges and anywhere, aligned or not.</summary>
    private static readonly Gen<ulong> s_address = Gen.OneOf(
        Gen.Elements((ulong[])[0, 1, 0xfff, 0x1000, 0x9fc00, 0xa0000, 0x100000, 0xffffffff, 0x100000000, (1UL << 52) - 1, 1UL << 52]),
        s_anyAddress,
        Gen.Choose(0, 1 << 21).Select(value => (ulong)value << 12));

    private static readonly Gen<E820Entry> s_anyEntry =
        from first in s_address
        from second in Gen.Frequency((9, s_address), (1, Gen.Constant(first)))
        from type in Gen.Elements(s_types)
        select E820Entry.FromBounds(Math.Min(first, second), Math.Max(first, second), type);

    /// <summary>No entry stands twice in a row: a log's line that does was said once.</summary>
    private static readonly Gen<HostDocument> s_anyMap = s_anyEntry.NonEmptyListOf().Select(entries =>
        ToMap([.. entries.Where((entry, i) => i == 0 || !entry.Equals(entries[i - 1]))]));

    /// <summary>Maps that every dialect holds: sorted, disjoint, nothing empty, named types.</summary>
    private static readonly Gen<HostDocument> s_plainMap =
        from points in s_anyAddress.Select(address => address | 2).NonEmptyListOf()
        from types in Gen.Elements(s_types.Where(IsNamed).ToArray()).ArrayOf(points.Count)
        select ToMap([.. ToEntries([.. points.AsEnumerable().Append(1UL << 52).Distinct().Order()], types)]);

    public static IEnumerable<object[]> Dialects() =>
        HostMapDialects.All.Where(dialect => dialect != HostMapDialect.Efi).Select(dialect => new object[] { dialect });

    [TestMethod]
    [DynamicData(nameof(Dialects))]
    public void A_plain_map_comes_back_from_every_dialect(HostMapDialect dialect) =>
        Prop.ForAll(s_plainMap.ToArbitrary(),
            map => MapFixtures.Show(map.Host.Entries) == MapFixtures.Show(ThroughDialect(map, dialect)!.Host.Entries)).QuickCheckThrowOnFailure();

    [TestMethod]
    [DynamicData(nameof(Dialects))]
    public void Any_map_comes_back_the_same_or_is_refused(HostMapDialect dialect) =>
        Prop.ForAll(
            s_anyMap.ToArbitrary(),
            map => ThroughDialect(map, dialect) is not { } read || MapFixtures.Show(map.Host.Entries) == MapFixtures.Show(read.Host.Entries))
            .QuickCheckThrowOnFailure();

    [TestMethod]
    [DataRow(HostMapDialect.Lines)]
    [DataRow(HostMapDialect.Packed)]
    [DataRow(HostMapDialect.Json)]
    [DataRow(HostMapDialect.LinuxOld)]
    [DataRow(HostMapDialect.XenOld)]
    public void Dialects_with_an_exclusive_end_refuse_no_map(HostMapDialect dialect) =>
        Prop.ForAll(s_anyMap.ToArbitrary(), map => HostMapWriter.Refusal(map, dialect) is null).QuickCheckThrowOnFailure();

    [TestMethod]
    [DataRow(HostMapDialect.Linux, 0UL, 0UL, 1u, "linux cannot hold [0x0, 0x0) of type ram: its last address would be below 0")]
    [DataRow(HostMapDialect.Memmap, 0UL, 0UL, 1u, "memmap cannot hold [0x0, 0x0) of type ram: its last address would be below 0")]
    [DataRow(HostMapDialect.Memmap, 0UL, 1UL, 6u, "memmap cannot hold [0x0, 0x1) of type type-6: it has no name for the type")]
    [DataRow(HostMapDialect.Iomem, 0UL, 0x1000UL, 20u, "iomem cannot hold [0x0, 0x1000) of type type-20: it has no name for the type")]
    [DataRow(HostMapDialect.Iomem, 0x1000UL, 0x1000UL, 1u, "iomem cannot hold [0x1000, 0x1000) of type ram: it lists no empty entries")]
    [DataRow(HostMapDialect.Iomem, 0UL, 1UL, 1u, "iomem cannot hold [0x0, 0x1) of type ram: it shows hidden addresses as 0-0")]
    public void What_a_dialect_cannot_say_is_refused(HostMapDialect dialect, ulong start, ulong end, uint type, string expected)
    {
        using MemoryStream written = new();
        HostDocument map = ToMap([E820Entry.FromBounds(start, end, (E820Type)type)]);
        InputError? error = dialect == HostMapDialect.Memmap ? HostMapWriter.ToMemmap(map).Error : HostMapWriter.Write(map, dialect, written);
        Assert.AreEqual($"generated, entry 1: {expected}; write lines, packed or json, which hold every map", error?.ToString());
        Assert.AreEqual(0, written.Length);
    }

    [TestMethod]
    public void Overlaps_empty_maps_EFI_and_impossible_entries_are_refused()
    {
        using MemoryStream written = new();
        HostDocument overlap = ToMap([E820Entry.FromBounds(0, 0x2000, E820Type.Ram), E820Entry.FromBounds(0x1000, 0x3000, E820Type.Reserved)]);
        Assert.Contains("sorted and without overlaps", HostMapWriter.Write(overlap, HostMapDialect.Iomem, written)!.What);
        Assert.IsNotNull(HostMapWriter.Write(overlap, HostMapDialect.Efi, written));
        Assert.IsNotNull(HostMapWriter.Write(overlap, HostMapDialect.Memmap, written));
        Assert.IsNotNull(HostMapWriter.Write(ToMap([]), HostMapDialect.Lines, written));
        Assert.IsNotNull(HostMapWriter.Write(ToMap([E820Entry.FromSize(ulong.MaxValue - 1, 0x1000, E820Type.Ram)]), HostMapDialect.Packed, written));
        Assert.IsNotNull(HostMapWriter.Write(ToMap([.. Enumerable.Repeat(E820Entry.FromBounds(0, 1, E820Type.Ram), 1025)]), HostMapDialect.Lines,
            written));
        Assert.AreEqual(0, written.Length);
    }

    [TestMethod]
    public void JSON_carries_traits_devices_and_whether_Xen_s_additions_are_in()
    {
        Assert.IsTrue(PciAddress.TryParse("0000:00:02.0", out PciAddress address));
        HostDocument map = ToMap(new Host()
        {
            Entries = [E820Entry.FromBounds(0, 0x1000, E820Type.Ram)],
            IsMachineMap = true,
            Traits = new()
            {
                IoApics = [0xfec00000], Iommus = [0xfed90000, 0xfed91000], CpuVendor = "AuthenticAMD", CpuFamily = 0x17, PhysicalAddressBits = 48,
                AcpiAddressBits = 46, ProtectedHpet = 0xfed00000,
            },
            Devices = [new(address, "Ethernet controller: \"Intel\" 82540EM",
                [new(0, BarKind.Memory, 0xfebc0000, 0xfebe0000, false, true), new(6, BarKind.Rom, 0xfeb80000, 0xfebc0000, true, false)])
            {
                VendorId = 0x8086, DeviceId = 0x10d3, ClassCode = 0x02_0000, Driver = "pciback", Msix = new(3, 0xffff_fff8, 2048),
            }],
        });
        HostDocument read = ThroughDialect(map, HostMapDialect.Json)!;
        Assert.IsTrue(read.Host.IsMachineMap);
        CollectionAssert.AreEqual(map.Host.Traits.IoApics, read.Host.Traits.IoApics);
        CollectionAssert.AreEqual(map.Host.Traits.Iommus, read.Host.Traits.Iommus);
        Assert.AreEqual(map.Host.Traits with { IoApics = [], Iommus = [] }, read.Host.Traits with { IoApics = [], Iommus = [] });
        Assert.AreEqual(map.Host.Devices[0], read.Host.Devices.Single());
        Assert.AreEqual("generated (JSON, test.log)", read.Description);
    }

    [TestMethod]
    [DataRow(RamShown.All)]
    [DataRow(RamShown.KernelsShare)]
    [DataRow(RamShown.Part)]
    public void JSON_carries_how_much_of_the_RAM_the_map_shows(RamShown shown)
    {
        HostDocument map = ToMap(new Host() { Entries = [E820Entry.FromBounds(0, 0x1000, E820Type.Ram)], RamShown = shown });

        Assert.AreEqual(shown, ThroughDialect(map, HostMapDialect.Json)!.Host.RamShown);
    }

    [TestMethod]
    public void A_capture_from_before_MSI_X_tables_were_written_is_read()
    {
        HostDocument read = MapFixtures.Expect(MapFixtures.ReadText(
            """{"entries":[{"start":"0x0","end":"0x1000","type":"ram"}],"devices":[{"address":"00:02.0","bars":[{"index":0,"start":"0xfebc0000","end":"0xfebe0000"}]}]}"""));

        Assert.IsNull(read.Host.Devices.Single().Msix);
        Assert.HasCount(1, read.Host.Devices.Single().Bars);
    }

    [TestMethod]
    public void Linux_7_s_gaps_are_written_where_no_entry_is()
    {
        using MemoryStream written = new();
        HostDocument map = ToMap([E820Entry.FromBounds(0, 0xa0000, E820Type.Ram), E820Entry.FromBounds(0x100000, 0x200000, E820Type.Reserved)]);
        Assert.IsNull(HostMapWriter.Write(map, HostMapDialect.Linux72, written));
        Assert.AreEqual(
            "[    0.000000] BIOS-provided physical RAM map:\n[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff]  System RAM\n"
            + "[    0.000000] BIOS-e820: [gap 0x00000000000a0000-0x00000000000fffff]\n"
            + "[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x00000000001fffff]  device reserved\n",
            Encoding.ASCII.GetString(written.ToArray()));
    }

    private static bool IsNamed(E820Type type) => Enum.IsDefined(type) && type != E820Type.None;

    private static HostDocument ToMap(ImmutableArray<E820Entry> entries) => ToMap(new Host { Entries = entries });

    private static HostDocument ToMap(Host host) => new() { Host = host, Dialect = HostMapDialect.Lines, Description = "generated" };

    private static IEnumerable<E820Entry> ToEntries(ulong[] points, E820Type[] types)
    {
        for (int i = 0; i + 1 < points.Length; i++)
            yield return E820Entry.FromBounds(points[i], points[i + 1], types[i]);
    }

    /// <summary>Null where the writer refuses; that must be an error in itself, and the reader must take what the writer wrote.</summary>
    private static HostDocument? ThroughDialect(HostDocument map, HostMapDialect dialect)
    {
        if (dialect == HostMapDialect.Memmap)
            return HostMapWriter.ToMemmap(map).TryGet(out MemmapFolder? folder, out _)
                ? MapFixtures.Expect(HostMapReader.ReadMemmap(folder.Entries.Reverse(), "memmap")) : null;
        using MemoryStream stream = new();
        if (HostMapWriter.Write(map, dialect, stream) is not null)
            return null;
        // Packed entries of unknown types only look like noise; everything else is detected.
        HostMapOptions options = new() { From = dialect == HostMapDialect.Packed ? dialect : null };
        return MapFixtures.Expect(MapFixtures.ReadBytes(stream.ToArray(), options));
    }
}
