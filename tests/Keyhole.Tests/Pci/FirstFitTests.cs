// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Pci;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Pci;

/// <summary>A world of 16 addresses: each window, each two taken ranges, each size and alignment, against trying every address.</summary>
[TestClass]
public sealed class FirstFitTests
{
    private const int Size = 16;

    [TestMethod]
    public void The_lowest_place_is_the_first_aligned_address_from_which_nothing_is_taken()
    {
        foreach (ByteRange window in Ranges().Where(static range => range.SizeBytes is 5 or 12 or 16))
        {
            foreach (ByteRange first in Ranges().Where(static range => range.SizeBytes is 0 or 1 or 4))
            {
                foreach (ByteRange second in Ranges().Where(range => range.SizeBytes is 2 or 3 && range.Start >= first.Start))
                {
                    for (ulong size = 1; size <= 8; size++)
                    {
                        for (ulong alignment = 1; alignment <= 8; alignment *= 2)
                        {
                            ulong? expected = Addresses().Where(start => IsFree(start, size, alignment, window, first, second))
                                .Select(static start => (ulong?)start).FirstOrDefault();
                            Assert.AreEqual(expected, FirstFit.Lowest(window, [first, second], size, alignment),
                                $"{size} at {alignment} in {window} beside {first} {second}");
                        }
                    }
                }
            }
        }
    }

    [TestMethod]
    public void The_highest_place_is_the_last_aligned_address_of_the_window()
    {
        foreach (ByteRange window in Ranges())
        {
            for (ulong size = 1; size <= Size; size++)
            {
                for (ulong alignment = 1; alignment <= 8; alignment *= 2)
                {
                    ulong? expected = Addresses().Where(start => IsFree(start, size, alignment, window, default, default))
                        .Select(static start => (ulong?)start).LastOrDefault();
                    Assert.AreEqual(expected, FirstFit.Highest(window, size, alignment), $"{size} at {alignment} in {window}");
                }
            }
        }
    }

    private static bool IsFree(ulong start, ulong size, ulong alignment, ByteRange window, ByteRange first, ByteRange second)
    {
        var place = ByteRange.FromSize(start, size);
        return start % alignment == 0 && window.Contains(place) && !place.Overlaps(first) && !place.Overlaps(second);
    }

    private static IEnumerable<ulong> Addresses() => Enumerable.Range(0, Size).Select(static number => (ulong)number);

    private static IEnumerable<ByteRange> Ranges() =>
        Addresses().SelectMany(static start => Enumerable.Range(0, Size - (int)start + 1).Select(size => ByteRange.FromSize(start, (ulong)size)));
}
