// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Text.Json;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Platforms.XenPv;
using Keyhole.Platforms;
using Keyhole.Tests.Golden;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.XenPv;

[TestClass]
public sealed class LibxlPolicyTests
{
    private static IEnumerable<object[]> EdgeCases => GoldenJson.LibxlEdgeCases();

    private static IEnumerable<object[]> Vectors => GoldenJson.RealHostVectors();

    private static IEnumerable<object[]> LogNames => GoldenLog.Names.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(EdgeCases))]
    public void Odd_input_gives_what_the_real_libxl_gave(string name)
    {
        JsonElement record = GoldenJson.Load("libxl-edge.json").EnumerateArray().Single(row => row.GetProperty("name").GetString() == name);

        PolicyResult result = LibxlPolicy.Sanitize(
            GoldenJson.Map(record.GetProperty("host")),
            record.GetProperty("target_kb").GetUInt64(),
            record.GetProperty("balloon_kb").GetUInt64());

        AssertSame(GoldenJson.Map(record.GetProperty("guest")), record.GetProperty("rc").GetInt32(), result);
    }

    [TestMethod]
    [DynamicData(nameof(Vectors))]
    public void A_real_host_gives_what_the_real_libxl_gave(int index, string name)
    {
        JsonElement root = GoldenJson.Load("real-hosts.json");
        JsonElement record = root.GetProperty("vectors")[index];
        ImmutableArray<E820Entry> host = GoldenJson.Map(root.GetProperty("hosts").GetProperty(record.GetProperty("host").GetString()!));
        ulong memoryKiB = record.GetProperty("memory_mib").GetUInt64() << 10;
        ulong maxmemKiB = record.GetProperty("maxmem_mib").GetUInt64() << 10;

        PolicyResult result = LibxlPolicy.Sanitize(host, memoryKiB, maxmemKiB - memoryKiB);

        AssertSame(GoldenJson.Map(record.GetProperty("libxl_guest_e820")), record.GetProperty("libxl_rc").GetInt32(), result);
        Assert.IsNotEmpty(name);
    }

    [TestMethod]
    [DynamicData(nameof(LogNames))]
    public void Every_guest_of_a_log_gets_the_map_that_libxl_printed(string name)
    {
        GoldenLog log = GoldenLog.Load(name);
        ImmutableArray<E820Entry> machineMap = MachineMap.Of(new Host
        {
            Entries = [.. log.Firmware],
            Traits = new() { Iommus = name is "iommu" or "passthrough" ? [0xfed9_0000] : [] },
        });

        foreach (GoldenGuest guest in log.Guests().Where(guest => guest.UsesHostMap))
        {
            ulong memoryKiB = guest.MemoryMiB << 10;
            PolicyResult result = LibxlPolicy.Sanitize(machineMap, memoryKiB, unchecked((guest.MaxmemMiB << 10) - memoryKiB));

            Assert.IsNotEmpty(guest.LibxlMap, guest.Name);
            // The log shows whole frames, both ends cut down.
            CollectionAssert.AreEqual(
                guest.LibxlMap.ToArray(),
                result.Entries.Select(planned => InWholeFrames(planned.Entry)).ToArray(),
                guest.Name);
        }
    }

    [TestMethod]
    public void A_result_of_more_than_128_entries_is_a_problem_where_libxl_would_write_behind_its_array()
    {
        var host = ImmutableArray.CreateBuilder<E820Entry>();
        for (ulong i = 0; i < 128; i++)
            host.Add(E820Entry.FromSize((i + 2) << 21, 1 << 20, E820Type.Reserved));

        PolicyResult result = LibxlPolicy.Sanitize(host.ToImmutable(), 8192, 0);

        Assert.AreEqual(ProblemCodes.TooManyEntries, result.Problems.Single().Code);
        Assert.IsEmpty(result.Entries);
    }

    [TestMethod]
    public void Every_entry_says_why_it_is_there()
    {
        GoldenLog log = GoldenLog.Load("seed8g");

        PolicyResult result = LibxlPolicy.Sanitize([.. log.Firmware], 3 << 20, 1 << 20);

        Assert.IsTrue(result.Entries.All(planned => planned.Why.Length > 0));
    }

    private static E820Entry InWholeFrames(E820Entry entry)
    {
        ulong start = entry.Address >> 12 << 12;
        return E820Entry.FromSize(start, unchecked((entry.End >> 12 << 12) - start), entry.Type);
    }

    private static void AssertSame(ImmutableArray<E820Entry> expected, int expectedError, PolicyResult result)
    {
        if (expectedError == 0)
        {
            CollectionAssert.AreEqual(expected.ToArray(), result.Entries.Select(planned => planned.Entry).ToArray());
            return;
        }

        Problem problem = result.Problems.Single();
        Assert.AreEqual(ProblemCodes.LibxlFails, problem.Code);
        Assert.Contains($"error {expectedError} ", problem.Message, StringComparison.Ordinal);
    }
}
