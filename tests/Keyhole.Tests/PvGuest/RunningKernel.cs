// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.PvGuest;
using Keyhole.Xen;

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
        var xen = new MapOnlyXen([.. map], maximumReservation);
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

    /// <summary>Answers for the map and the reservation, all that a memory setup asks when its frames are arithmetic.</summary>
    private readonly record struct MapOnlyXen(E820Entry[] Map, ulong Maximum) : IHypercalls
    {
        public long MachineMemoryMap(Span<E820Entry> buffer, out int count)
        {
            count = 0;
            if (buffer.Length < Map.Length + 1)
                return -(long)XenError.EINVAL;
            return MemoryMap(buffer, out count);
        }

        public long MemoryMap(Span<E820Entry> buffer, out int count)
        {
            count = Math.Min(buffer.Length, Map.Length);
            Map.AsSpan(0, count).CopyTo(buffer);
            return 0;
        }

        public long SetMemoryMap(DomainId domain, ReadOnlySpan<E820Entry> map) => throw new NotSupportedException();

        public long MaximumRamPage() => throw new NotSupportedException();

        public long CurrentReservation(DomainId domain) => throw new NotSupportedException();

        public long MaximumReservation(DomainId domain) => (long)Maximum;

        public long IncreaseReservation(DomainId domain, Span<ulong> mfns, int order) => throw new NotSupportedException();

        public long DecreaseReservation(DomainId domain, ReadOnlySpan<ulong> mfns, int order) => throw new NotSupportedException();

        public long PopulatePhysmap(DomainId domain, Span<ulong> frames, int order) => throw new NotSupportedException();

        public long Exchange(DomainId domain, ReadOnlySpan<ulong> mfnsIn, int orderIn, Span<ulong> framesOut, int orderOut, out ulong exchanged) =>
            throw new NotSupportedException();

        public long MmuUpdate(ReadOnlySpan<MmuUpdate> updates, out int done) => throw new NotSupportedException();

        public long UpdateVaMapping(ulong virtualAddress, ulong pageTableEntry, ulong flags) => throw new NotSupportedException();

        public long Multicall(Span<MulticallEntry> calls) => throw new NotSupportedException();

        public long RegisterCallback(in CallbackRegister callback) => throw new NotSupportedException();

        public long VmAssist(uint command, uint type) => throw new NotSupportedException();
    }

    private readonly record struct ListLog(List<BootEvent> Events) : IBootLog
    {
        public void Report(in BootEvent bootEvent) => Events.Add(bootEvent);
    }
}
