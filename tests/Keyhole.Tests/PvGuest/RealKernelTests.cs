// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Text.Json;
using System.Text.RegularExpressions;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.PvGuest;
using Keyhole.Tests.Golden;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.PvGuest;

[TestClass]
public sealed partial class RealKernelTests
{
    private static IEnumerable<object[]> Vectors => GoldenJson.RealHostVectors();

    [TestMethod]
    [DynamicData(nameof(Vectors))]
    public void Linux_4_4_makes_of_the_map_what_the_real_one_made(int index, string name) =>
        AssertSame(index, name, "linux_4.4", Kernels.Linux44);

    [TestMethod]
    [DynamicData(nameof(Vectors))]
    public void Linux_7_2_makes_of_the_map_what_the_real_one_made(int index, string name) =>
        AssertSame(index, name, "linux_7.2.8", Kernels.Linux72);

    private static void AssertSame(int index, string name, string kernel, KernelRelease version)
    {
        JsonElement vector = GoldenJson.Load("real-hosts.json").GetProperty("vectors")[index];
        JsonElement expected = vector.GetProperty(kernel);
        ulong pages = vector.GetProperty("memory_mib").GetUInt64() << 8;
        ImmutableArray<E820Entry> map = GoldenJson.Map(vector.GetProperty("libxl_guest_e820"));
        // The record's layout: its README.
        ulong p2mStart = 0x300_0000;
        ulong p2mEnd = p2mStart + (((pages * 8) + 0xfff) & ~0xfffUL);
        var run = RunningKernel.Boot(
            KernelProfile.Of(version),
            map,
            new GuestStart
            {
                PageCount = pages,
                Kernel = ByteRange.FromBounds(0x100_0000, 0x300_0000),
                P2mList = ByteRange.FromBounds(p2mStart, p2mEnd),
                PageTables = ByteRange.FromSize(p2mEnd, 128 << 10),
            });

        string[] messages = [.. expected.GetProperty("raw_messages").EnumerateArray().Select(message => message.GetString()!)];
        if (messages.Contains("BUG()"))
        {
            HaltReason reason = string.Concat(messages).Contains("page table", StringComparison.Ordinal) ? HaltReason.PageTableConflict
                : HaltReason.KernelConflict;
            Assert.AreEqual(reason, run.Result.Halt, name);
            return;
        }

        Assert.AreEqual(HaltReason.None, run.Result.Halt, name);
        Assert.AreEqual(Number(messages, "Released"), run.Result.ReleasedPages, name);
        Assert.AreEqual(Number(messages, "Remapped"), run.Result.RemappedPages, name);
        CollectionAssert.AreEqual(GoldenJson.Map(expected.GetProperty("e820")).ToArray(), run.KernelMap, name);
        Assert.AreEqual(ulong.Parse(expected.GetProperty("xen_max_p2m_pfn").GetString()!, NumberStyles.HexNumber, CultureInfo.InvariantCulture),
            run.Result.MaxP2mPfn.Value, name);
        AssertP2m(expected.GetProperty("p2m"), run, name);
    }

    private static void AssertP2m(JsonElement expected, RunningKernel run, string name)
    {
        List<string> rows = [];
        ulong end = 0;
        foreach (JsonElement row in expected.EnumerateArray())
        {
            rows.Add(row.GetString()!);
            end = ulong.Parse(P2mRow().Match(row.GetString()!).Groups["end"].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        }

        List<string> ours = [];
        foreach (P2mRun part in run.P2m)
        {
            PfnRange range = part.Range.Intersect(PfnRange.FromBounds(default, new Pfn(end)));
            if (range.IsEmpty)
                continue;
            string text = part.Kind switch
            {
                P2mKind.Ram or P2mKind.Remapped => $"ram origpfn {part.Mfn.Value:x}",
                P2mKind.Identity => "identity",
                P2mKind.Invalid => "missing",
                P2mKind.NonRam => $"nonram {part.Mfn.Value:x}",
            };
            // The record joins what follows on in the machine.
            ours.Add($"[{range.Start.Value:x},{range.End.Value:x}) {text}");
        }

        CollectionAssert.AreEqual(rows, ours, $"{name}\n{string.Join('\n', rows)}\n-\n{string.Join('\n', ours)}");
    }

    private static ulong Number(string[] messages, string word)
    {
        string line =
            messages.Single(message => message.Contains(word, StringComparison.Ordinal) && message.Contains("page(s)", StringComparison.Ordinal));
        return ulong.Parse(line.Split(' ')[2], CultureInfo.InvariantCulture);
    }

    [GeneratedRegex(@"^\[(?<start>[0-9a-f]+),(?<end>[0-9a-f]+)\) ")]
    private static partial Regex P2mRow();
}
