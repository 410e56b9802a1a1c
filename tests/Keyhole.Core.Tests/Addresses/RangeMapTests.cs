// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Core.Tests.Addresses;

/// <summary>Every sorted map of up to three ranges in a world of six addresses, seen through every window of it.</summary>
[TestClass]
public sealed class RangeMapTests
{
    private const ulong Size = 6;

    private static readonly ByteRange[] s_ranges =
        [.. Numbers(Size).SelectMany(start => Numbers(Size + 1).Where(end => end >= start).Select(end => ByteRange.FromBounds(start, end)))];

    [TestMethod]
    public void Each_address_is_in_the_piece_of_the_first_entry_that_has_it()
    {
        int count = 0;
        foreach (ByteRange[] sorted in Maps())
        {
            foreach (ByteRange whole in s_ranges)
            {
                foreach (RangePiece piece in new RangeMap<ByteRange>(sorted).Over(whole))
                {
                    for (ulong address = piece.Range.Start; address < piece.Range.End; address++)
                        Assert.AreEqual(Array.FindIndex(sorted, range => range.Contains(address)), piece.Index, Show(sorted, whole));
                }

                count++;
            }
        }

        Assert.IsGreaterThan(50_000, count);
    }

    [TestMethod]
    public void The_pieces_join_from_the_start_to_the_end()
    {
        foreach (ByteRange[] sorted in Maps())
        {
            foreach (ByteRange whole in s_ranges)
            {
                ulong reached = whole.Start;
                bool wasGap = false;
                foreach (RangePiece piece in new RangeMap<ByteRange>(sorted).Over(whole))
                {
                    Assert.AreEqual(reached, piece.Range.Start, Show(sorted, whole));
                    Assert.IsFalse(piece.Range.IsEmpty, Show(sorted, whole));
                    Assert.IsFalse(wasGap && piece.IsGap, Show(sorted, whole));
                    reached = piece.Range.End;
                    wasGap = piece.IsGap;
                }

                Assert.AreEqual(whole.End, reached, Show(sorted, whole));
            }
        }
    }

    [TestMethod]
    public void Ranges_have_in_common_what_both_contain()
    {
        foreach (ByteRange one in s_ranges)
        {
            foreach (ByteRange other in s_ranges)
            {
                ulong[] both = [.. Numbers(Size).Where(address => one.Contains(address) && other.Contains(address))];
                ByteRange common = one.Intersect(other);
                CollectionAssert.AreEqual(both, Numbers(Size).Where(common.Contains).ToArray(), $"{one} {other}");
                Assert.AreEqual(both.Length != 0, one.Overlaps(other), $"{one} {other}");
                Assert.AreEqual(!other.IsEmpty && (ulong)both.Length == other.SizeBytes, one.Contains(other), $"{one} {other}");
            }
        }
    }

    [TestMethod]
    public void A_sweep_of_the_last_addresses_ends()
    {
        E820Entry last = E820Entry.FromSize(ulong.MaxValue - 0xfff, 0x2000, E820Type.Ram);
        List<RangePiece> pieces = [];
        foreach (RangePiece piece in new RangeMap<E820Entry>([last]).Over(ByteRange.FromBounds(0, ulong.MaxValue)))
            pieces.Add(piece);

        Assert.AreEqual("[0x0, 0xfffffffffffff000) -1, [0xfffffffffffff000, 0xffffffffffffffff) 0",
            string.Join(", ", pieces.Select(static piece => $"{piece.Range} {piece.Index}")));
    }

    [TestMethod]
    public void Ranges_print_half_open()
    {
        Assert.AreEqual("[0x1000, 0x2000)", ByteRange.FromSize(0x1000, 0x1000).ToString());
        Assert.AreEqual("[0x1, 0x3)", PfnRange.FromCount(new Pfn(1), 2).ToString());
        Assert.AreEqual("[0xa, 0xc)", MfnRange.FromCount(new Mfn(10), 2).ToString());
        Assert.AreEqual("0xff 0x10", $"{new Pfn(255)} {new Mfn(16)}");
        Assert.AreEqual("[0x0, 0x9fc00) Ram", E820Entry.FromBounds(0, 0x9fc00, E820Type.Ram).ToString());
        Assert.AreEqual("[0x0, 0x1000) 20", E820Entry.FromBounds(0, 0x1000, (E820Type)20).ToString());
    }

    private static IEnumerable<ByteRange[]> Maps()
    {
        yield return [];
        foreach (ByteRange first in s_ranges)
        {
            yield return [first];
            foreach (ByteRange second in s_ranges.Where(range => range.Start >= first.Start))
            {
                yield return [first, second];
                foreach (ByteRange third in s_ranges.Where(range => range.Start >= second.Start))
                    yield return [first, second, third];
            }
        }
    }

    private static IEnumerable<ulong> Numbers(ulong limit)
    {
        for (ulong number = 0; number < limit; number++)
            yield return number;
    }

    private static string Show(ByteRange[] sorted, ByteRange whole) => $"{string.Join(" ", sorted)} over {whole}";
}
