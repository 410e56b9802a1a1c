// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading.Tasks;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.E820;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Core.Tests.E820;

[TestClass]
public sealed class SanitizerTests
{
    private const int WorldFrames = 12;
    private const ulong Huge = 1UL << 63;

    private static readonly E820Type[] s_types =
        [E820Type.None, E820Type.Ram, E820Type.Reserved, E820Type.Acpi, E820Type.Nvs, E820Type.Unusable, E820Type.PersistentMemory, E820Type.Pram,
            (E820Type)0x8000_0001];

    /// <summary>Few different addresses, so that edges meet; now and then one near 2^64.</summary>
    private static readonly Gen<E820Entry> s_entry =
        from start in Gen.Choose(0, 40)
        from size in Gen.Choose(0, 16)
        from scale in Gen.Frequency((8, Gen.Constant(1UL)), (1, Gen.Constant(0x1000UL)), (1, Gen.Constant(Huge / 64)))
        from type in Gen.Elements(s_types)
        select E820Entry.FromSize((ulong)start * scale, (ulong)size * scale, type);

    private static Gen<E820Entry[]> Maps(int from, int to) => Gen.Choose(from, to).SelectMany(count => s_entry.ArrayOf(count));

    [TestMethod]
    public void The_result_is_sorted_without_overlaps_and_without_empty_entries() => Check.All(Maps(2, 40), map =>
    {
        E820Entry[] made = Sanitise(map);
        for (int i = 0; i < made.Length; i++)
        {
            Assert.AreNotEqual(0UL, made[i].Size);
            Assert.AreNotEqual(E820Type.None, made[i].Type);
            if (i > 0)
                Assert.IsGreaterThanOrEqualTo(made[i - 1].End, made[i].Address);
        }
    });

    [TestMethod]
    public void At_every_address_the_highest_type_wins() => Check.All(Maps(2, 40), map =>
    {
        E820Entry[] made = Sanitise(map);
        foreach (ulong edge in map.SelectMany(entry => new[] { entry.Address, entry.End, unchecked(entry.Address - 1), unchecked(entry.End - 1) }))
            Assert.AreEqual(LinuxSanitizer.TypeAt(map, edge), LinuxSanitizer.TypeAt(made, edge), $"at {edge:x}");
    });

    [TestMethod]
    public void The_result_is_what_looking_at_every_piece_gives() =>
        Check.All(Maps(2, 128), map => CollectionAssert.AreEqual(LinuxSanitizer.Of(map), Sanitise(map)), 400);

    [TestMethod]
    public void The_order_of_the_entries_does_not_matter() => Check.All(
        Maps(2, 30).SelectMany(map => Gen.Shuffle(map).Select(shuffled => (map, shuffled))),
        pair => CollectionAssert.AreEqual(Sanitise(pair.map), Sanitise([.. pair.shuffled])));

    [TestMethod]
    public void A_sanitised_map_stays_as_it_is() => Check.All(Maps(2, 40), map =>
    {
        E820Entry[] once = Sanitise(map);
        if (once.Length >= 2)
            CollectionAssert.AreEqual(once, Sanitise(once));
    });

    [TestMethod]
    public void Pram_neighbours_stay_apart_and_an_entry_within_splits_them()
    {
        E820Entry[] neighbours = [E820Entry.FromBounds(0, 0x1000, E820Type.Pram), E820Entry.FromBounds(0x1000, 0x2000, E820Type.Pram)];
        CollectionAssert.AreEqual(neighbours, Sanitise(neighbours));

        E820Entry[] made = Sanitise([E820Entry.FromBounds(0, 0x3000, E820Type.Pram), E820Entry.FromBounds(0x1000, 0x2000, E820Type.Ram)]);
        CollectionAssert.AreEqual(
            new[]
            {
                E820Entry.FromBounds(0, 0x1000, E820Type.Pram),
                E820Entry.FromBounds(0x1000, 0x2000, E820Type.Pram),
                E820Entry.FromBounds(0x2000, 0x3000, E820Type.Pram),
            },
            made);
    }

    [TestMethod]
    public void Neighbours_of_one_type_merge()
    {
        E820Entry[] made = Sanitise([E820Entry.FromBounds(0x1000, 0x2000, E820Type.Ram), E820Entry.FromBounds(0, 0x1000, E820Type.Ram)]);

        CollectionAssert.AreEqual(new[] { E820Entry.FromBounds(0, 0x2000, E820Type.Ram) }, made);
    }

    [TestMethod]
    public void An_entry_that_ends_at_the_last_address_is_none_that_wraps()
    {
        E820Entry[] made = Sanitise([E820Entry.FromSize(ulong.MaxValue - 0xfff, 0xfff, E820Type.Ram), E820Entry.FromSize(0, 0x1000, E820Type.Ram)]);

        CollectionAssert.AreEqual(
            new[] { E820Entry.FromSize(0, 0x1000, E820Type.Ram), E820Entry.FromSize(ulong.MaxValue - 0xfff, 0xfff, E820Type.Ram) }, made);
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    public void Fewer_than_two_entries_are_refused_and_stay(int count)
    {
        E820Entry[] map = [E820Entry.FromSize(0x1800, 0, E820Type.Ram), E820Entry.FromSize(0, 1, E820Type.Ram)];
        E820Entry[] before = [.. map];

        Assert.IsFalse(Sanitizer.TrySanitizeInPlace(map, count, map.Length, out int newCount));
        Assert.AreEqual(count, newCount);
        CollectionAssert.AreEqual(before, map);
    }

    [TestMethod]
    public void A_map_with_an_entry_that_wraps_is_refused_and_stays() => Check.All(
        from map in Maps(1, 20)
        from at in Gen.Choose(0, map.Length)
        from start in Gen.Choose(1, 1000)
        select (E820Entry[])[.. map[..at], E820Entry.FromSize(ulong.MaxValue - (ulong)start, (ulong)start + 1, E820Type.Ram), .. map[at..]],
        map =>
        {
            E820Entry[] table = [.. map, default, default];
            E820Entry[] before = [.. table];

            Assert.IsFalse(Sanitizer.TrySanitizeInPlace(table, map.Length, table.Length, out int count));
            Assert.AreEqual(map.Length, count);
            CollectionAssert.AreEqual(before, table);
        });

    [TestMethod]
    public void More_entries_than_any_kernel_has_are_refused_and_stay()
    {
        E820Entry[] map = [.. Enumerable.Range(0, Sanitizer.MaxInPlace + 1).Select(i => E820Entry.FromSize((ulong)i * 0x2000, 0x1000, E820Type.Ram))];
        E820Entry[] before = [.. map];

        Assert.IsFalse(Sanitizer.TrySanitizeInPlace(map, map.Length, map.Length, out int count));
        Assert.AreEqual(map.Length, count);
        CollectionAssert.AreEqual(before, map);
    }

    [TestMethod]
    public void A_table_of_320_entries_and_an_iBFT_area_is_sorted()
    {
        E820Entry[] map = [.. Enumerable.Range(0, 321).Select(i => E820Entry.FromSize((ulong)(320 - i) * 0x2000, 0x1000, E820Type.Ram))];

        Assert.IsTrue(Sanitizer.TrySanitizeInPlace(map, map.Length, map.Length, out int count));
        Assert.AreEqual(321, count);
        Assert.IsTrue(map.Zip(map.Skip(1)).All(static pair => pair.First.Address < pair.Second.Address));
    }

    [TestMethod]
    public void Until_4_1_PRAM_merges_like_any_other_type()
    {
        E820Entry[] map = [E820Entry.FromSize(0, 0x1000, E820Type.Pram), E820Entry.FromSize(0x1000, 0x1000, E820Type.Pram), default, default];

        Assert.IsTrue(Sanitizer.TrySanitizeInPlace(map, 2, map.Length, out int count, keepsPramApart: false));
        Assert.AreEqual(1, count);
        Assert.AreEqual(E820Entry.FromSize(0, 0x2000, E820Type.Pram), map[0]);
    }

    [TestMethod]
    public void A_full_table_keeps_the_lowest_entries_and_says_nothing() => Check.All(
        Maps(2, 60).SelectMany(map => Gen.Choose(0, 60).Select(limit => (map, limit))),
        pair =>
        {
            List<E820Entry> whole = LinuxSanitizer.Of(pair.map);
            E820Entry[] made = Sanitise(pair.map, pair.limit);
            CollectionAssert.AreEqual(whole.Take(pair.limit).ToList(), made);
        });

    [TestMethod]
    public void In_place_and_beside_give_the_same() => Check.All(Maps(2, 100), map =>
    {
        E820Entry[] table = new E820Entry[Math.Max(map.Length, 2 * map.Length)];
        map.CopyTo(table, 0);
        Assert.IsTrue(Sanitizer.TrySanitizeInPlace(table, map.Length, table.Length, out int count));
        CollectionAssert.AreEqual(Sanitise(map), table[..count]);
    });

    [TestMethod]
    public void Every_map_of_three_entries_in_a_world_of_twelve_frames_comes_out_right()
    {
        E820Type[] types = [E820Type.None, E820Type.Ram, E820Type.Unusable, E820Type.Pram];
        List<E820Entry> entries = [];
        for (uint start = 0; start < WorldFrames; start++)
        {
            for (uint end = start + 1; end <= WorldFrames; end++)
                entries.AddRange(types.Select(type => E820Entry.FromBounds(start, end, type)));
        }

        // The order of entries does not matter (a property of its own), so sets are enough.
        E820Entry[] all = [.. entries];
        Parallel.For(0, all.Length, first =>
        {
            E820Entry[] map = new E820Entry[3];
            E820Entry[] made = new E820Entry[6];
            int[] scratch = new int[Sanitizer.ScratchLength(3)];
            map[0] = all[first];
            for (int second = first; second < all.Length; second++)
            {
                map[1] = all[second];
                for (int third = second; third < all.Length; third++)
                {
                    map[2] = all[third];
                    if (!Sanitizer.TrySanitize(map, made, scratch, out int count) || !IsRight(map, made.AsSpan(0, count)))
                        Assert.Fail($"{Show(map)} became {Show(made.AsSpan(0, count))}");
                }
            }
        });
    }

    /// <summary>Frame by frame: type, and where one entry ends and the next begins.</summary>
    private static bool IsRight(ReadOnlySpan<E820Entry> map, ReadOnlySpan<E820Entry> made)
    {
        int next = 0;
        E820Type left = E820Type.None;
        for (uint frame = 0; frame <= WorldFrames; frame++)
        {
            E820Type type = E820Type.None;
            bool isEdge = false;
            foreach (E820Entry entry in map)
            {
                isEdge |= entry.Address == frame || entry.End == frame;
                if (entry.Type > type && entry.Contains(frame))
                    type = entry.Type;
            }

            bool isNew = type != left || (type == E820Type.Pram && isEdge);
            if (isNew && left != E820Type.None && (next >= made.Length || made[next].End != frame || made[next++].Type != left))
                return false;
            if (isNew && type != E820Type.None && (next >= made.Length || made[next].Address != frame))
                return false;
            left = type;
        }

        return next == made.Length;
    }

    private static string Show(ReadOnlySpan<E820Entry> map) =>
        string.Join(' ', map.ToArray().Select(entry => $"[{entry.Address},{entry.End}){(uint)entry.Type}"));

    private static E820Entry[] Sanitise(E820Entry[] map, int limit = int.MaxValue)
    {
        E820Entry[] made = new E820Entry[Math.Min(limit, 2 * map.Length)];
        Assert.IsTrue(Sanitizer.TrySanitize(map, made, new int[Sanitizer.ScratchLength(map.Length)], out int count));
        return made[..count];
    }
}
