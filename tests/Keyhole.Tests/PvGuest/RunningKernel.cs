// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hypercalls;
using Keyhole.PvGuest;
using Keyhole.Simulation;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.PvGuest;

/// <summary>One memory setup on a map, run by run, and what it left.</summary>
internal sealed class RunningKernel
{
    public SetupResult Result { get; private init; }

    public E820Entry[] KernelMap { get; private init; } = [];

    public P2mRun[] P2m { get; private init; } = [];

    public ByteRange[] Extra { get; private init; } = [];

    public List<BootEvent> Events { get; private init; } = [];

    public static RunningKernel Boot(KernelProfile profile, IEnumerable<E820Entry> map, GuestStart start, ulong maximumReservation = 0xffff_ffff)
    {
        var tables = new SetupTables(
            new E820Entry[SetupTables.MapCapacity],
            new E820Entry[SetupTables.MapCapacity],
            new ByteRange[ExtraMemory.MaxRegions],
            new ByteRange[SetupTables.ReservedCapacity]);
        var frames = new RunFrames(new P2mRun[4096], new PreparedRemap[1024], start.PageCount, default, Pfn.AtOrAbove(start.PageTables.End));
        ImmutableArray<E820Entry> entries = [.. map];
        var machine = new SimulatedXen(start.IsDom0 ? new MachineSpec { MachineMap = entries } : MachineSpec.OfFrames(1));
        Assert.AreEqual(XenError.None, machine.CreateDomain(
            new() { Id = new((ushort)(start.IsDom0 ? 0 : 1)), NrPages = 0, MaxPages = maximumReservation, Privileged = start.IsDom0,
                MemoryMap = start.IsDom0 ? default : entries },
            out SimulatedDomain? domain));
        SimulatedHypercalls xen = machine.HypercallsOf(domain!);
        var log = new ListLog([]);
        SetupResult result = MemorySetup.Run(in start, profile, ref xen, ref frames, ref log, ref tables);
        return new()
        {
            Result = result,
            KernelMap = tables.KernelMap.Entries.ToArray(),
            P2m = frames.P2m.Runs.ToArray(),
            Extra = [.. tables.Extra.Slots.ToArray().Where(region => !region.IsEmpty)],
            Events = log.Events,
        };
    }

    private readonly record struct ListLog(List<BootEvent> Events) : IBootLog
    {
        public void Report(in BootEvent bootEvent) => Events.Add(bootEvent);
    }
}
