// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Keyhole.Simulation;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Simulation;

/// <summary>The trees below the simulator against plain arrays.</summary>
[TestClass]
public sealed class FrameTreeTests
{
    private const int Length = 3000;

    [TestMethod]
    public void An_affine_tree_is_an_array_whatever_is_written() => Scripts.Check(script =>
    {
        var tree = new AffineTree<TranslatedEntry>(3);
        var array = new TranslatedEntry[Length];
        while (!script.IsEmpty)
        {
            int start = script.Next(Length);
            int count = script.Next(2) == 0 ? 1 : Math.Min(Length - start, script.Next(Length));
            TranslatedEntry first = script.Next(3) == 0 ? default : new TranslatedEntry((ulong)script.Next(1 << 20));
            tree.SetRange((ulong)start, (ulong)count, first);
            for (int i = 0; i < count; i++)
                array[start + i] = first.Advance((ulong)i);
            int probe = script.Next(Length);
            tree.Edit((ulong)probe) = array[probe] = new TranslatedEntry((ulong)probe);
        }

        for (int i = 0; i < Length; i++)
            Assert.IsTrue(tree.Get((ulong)i).Same(array[i]), $"key {i}");
        AssertRuns(tree, array);
    });

    [TestMethod]
    public void Keys_outside_an_affine_tree_have_the_default_value()
    {
        var tree = new AffineTree<TranslatedEntry>(1);
        tree.SetRange(0, 64, new TranslatedEntry(1));

        Assert.IsTrue(tree.Get(64).IsHole);
        Assert.IsTrue(tree.Get(ulong.MaxValue).IsHole);
    }

    [TestMethod]
    public void Free_frames_are_a_bit_map_from_which_aligned_blocks_are_taken_at_either_end() => Scripts.Check(script =>
    {
        var free = new FreeFrames(Length);
        var bits = new bool[Length];
        free.Release(0, Length);
        Array.Fill(bits, true);
        while (!script.IsEmpty)
        {
            int start = script.Next(Length);
            if (script.Next(2) == 0)
            {
                int order = script.Next(12);
                bool highest = script.Next(2) == 0;
                int? expected = Block(bits, 1 << order, highest);
                Assert.AreEqual(expected is not null, free.TryTake(order, highest, out ulong taken), $"order {order}");
                if (expected is not { } block)
                    continue;
                Assert.AreEqual(block, (int)taken, $"order {order}");
                Array.Fill(bits, false, block, 1 << order);
                continue;
            }

            int count = 1;
            while (start + count < Length && bits[start + count] == bits[start] && script.Next(40) != 0)
                count++;
            if (bits[start])
                free.TakeRange((ulong)start, (ulong)count);
            else
                free.Release((ulong)start, (ulong)count);
            Array.Fill(bits, !bits[start], start, count);
        }

        Assert.AreEqual(bits.Count(bit => bit), (int)free.Count);
        for (int i = 0; i < Length; i++)
            Assert.AreEqual(bits[i], free.IsFree((ulong)i), $"frame {i}");
        var listed = new bool[Length];
        foreach (MfnRange run in free.Runs())
            Array.Fill(listed, true, (int)run.Start.Value, (int)run.Count);
        CollectionAssert.AreEqual(bits, listed);
    });

    private static void AssertRuns(AffineTree<TranslatedEntry> tree, TranslatedEntry[] array)
    {
        List<(int Start, int Count)> runs = [];
        tree.Visit(0, Length, (start, count, in first) =>
        {
            runs.Add(((int)start, (int)count));
            Assert.IsTrue(tree.IsOneRun(start, count, out TranslatedEntry same) && same.Same(first), $"run at {start}");
            Assert.IsFalse(start + count < Length && tree.IsOneRun(start, count + 1, out _), $"run at {start} is cut short");
            for (ulong i = 0; i < count; i++)
                Assert.IsTrue(first.Advance(i).Same(array[start + i]), $"key {start + i}");
        });
        Assert.AreEqual(Length, runs.Sum(run => run.Count));
    }

    private static int? Block(bool[] bits, int size, bool highest)
    {
        IEnumerable<int> starts = Enumerable.Range(0, Length / size).Select(i => i * size)
            .Where(start => bits.AsSpan(start, size).IndexOf(false) < 0);
        return highest ? starts.Select(start => (int?)start).LastOrDefault() : starts.Select(start => (int?)start).FirstOrDefault();
    }
}

/// <summary>Random numbers that a test interprets as a program: FsCheck shortens the list of a failing one.</summary>
internal sealed class Script(int[] numbers)
{
    private int _next;

    public bool IsEmpty => _next >= numbers.Length;

    /// <summary>A number below <paramref name="limit"/>; 0 when the script is at its end.</summary>
    public int Next(int limit) => IsEmpty ? 0 : numbers[_next++] % limit;
}

internal static class Scripts
{
    public static void Check(Action<Script> test, int runs = 150, int mostNumbers = 200)
    {
        Arbitrary<int[]> arbitrary = Arb.From(Gen.Choose(0, int.MaxValue - 1).ArrayOf().Resize(mostNumbers), Shorter);
        Prop.ForAll(arbitrary, numbers => test(new Script(numbers))).Check(Config.QuickThrowOnFailure.WithMaxTest(runs).WithEndSize(mostNumbers));
    }

    /// <summary>The script without each of its halves, quarters … single numbers.</summary>
    private static IEnumerable<int[]> Shorter(int[] numbers)
    {
        for (int length = numbers.Length / 2; length > 0; length /= 2)
        {
            for (int start = 0; start + length <= numbers.Length; start += length)
                yield return [.. numbers[..start], .. numbers[(start + length)..]];
        }
    }
}
