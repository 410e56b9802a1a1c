// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hypercalls;
using Keyhole.Platforms.XenPv;
using Keyhole.Simulation;
using Keyhole.Tests.Golden;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.XenPv;

/// <summary>The guest that punches its holes itself, on the simulated Xen.</summary>
[TestClass]
public sealed class GuestMergeTests
{
    private static readonly ImmutableArray<E820Entry> s_host = [.. GoldenLog.Load("seed8g").Firmware];
    private static readonly GuestSpec s_guest = new() { MemoryKiB = 3 << 20, MaxmemKiB = 3 << 20 };

    [TestMethod]
    public void The_real_Xen_refuses_and_the_guest_goes_on_without_holes()
    {
        MergedMap merged = Run(isAllowed: false, [E820Entry.FromSize(0, 3UL << 30, E820Type.Ram)]);

        Assert.AreEqual(MergeOutcome.Refused, merged.Outcome);
        Assert.AreEqual(-(long)XenError.EPERM, merged.Result);
        Assert.HasCount(1, merged.Map.Entries);
    }

    [TestMethod]
    public void Where_Xen_allows_it_a_single_entry_is_merged_with_the_hosts_holes()
    {
        MergedMap merged = Run(isAllowed: true, [E820Entry.FromSize(0, 3UL << 30, E820Type.Ram)]);

        Assert.AreEqual(MergeOutcome.Merged, merged.Outcome);
        Assert.IsTrue(merged.Map.Entries.Any(planned => planned.Entry == E820Entry.FromBounds(0x2000_0000, 0x2020_0000, E820Type.Reserved)));
        Assert.AreEqual(3UL << 30, merged.Map.Entries.Where(planned => planned.Entry.IsRam)
            .Aggregate(0UL, (sum, planned) => sum + planned.Entry.Size));
    }

    [TestMethod]
    public void So_is_no_map_at_all()
    {
        MergedMap merged = Run(isAllowed: true, default);

        Assert.AreEqual(MergeOutcome.Merged, merged.Outcome);
        Assert.AreEqual(3UL << 30, merged.Map.Entries.Where(planned => planned.Entry.IsRam)
            .Aggregate(0UL, (sum, planned) => sum + planned.Entry.Size));
    }

    [TestMethod]
    public void A_toolstacks_own_map_wins()
    {
        ImmutableArray<E820Entry> own = [E820Entry.FromSize(0, 1UL << 30, E820Type.Ram), E820Entry.FromSize(4UL << 30, 2UL << 30, E820Type.Ram)];

        MergedMap merged = Run(isAllowed: true, own);

        Assert.AreEqual(MergeOutcome.ToolstackWins, merged.Outcome);
        CollectionAssert.AreEqual(own.ToArray(), merged.Map.Entries.Select(planned => planned.Entry).ToArray());
    }

    private static MergedMap Run(bool isAllowed, ImmutableArray<E820Entry> memoryMap)
    {
        var machine = new SimulatedXen(new() { MachineMap = s_host, MachineMapForEveryone = isAllowed });
        Assert.AreEqual(XenError.None, machine.CreateDomain(new() { Id = new(1), NrPages = 0, MemoryMap = memoryMap }, out SimulatedDomain? domain));
        SimulatedHypercalls xen = machine.HypercallsOf(domain!);
        return GuestMerge.Run(ref xen, s_guest);
    }
}
