// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.PvGuest;

namespace Keyhole.Probe;

/// <summary>What the probe tells of the setup: maps, results, its list of frames, the calls that it took.</summary>
internal static class KernelReport
{
    private const int MaxContiguousRuns = 256;

    public static void Refusal(ReadOnlySpan<byte> name, long error)
    {
        Check.Begin(name, passed: false);
        Json.Signed("error"u8, error);
        Json.Hex("at"u8, AddressSpace.Refused.ptr);
        ulong mfn = (AddressSpace.Refused.val & AddressSpace.FrameMask) >> Frames.Shift;
        Json.Hex("pfn"u8, default(RealXen).PfnOf(mfn));
        Json.Hex("mfn"u8, mfn);
        Json.End();
    }

    /// <summary>The map as Xen gives it, before the kernel changes anything in it; where Xen gives none, what the kernel takes instead.</summary>
    public static void GivenMap(bool isDom0, KernelProfile profile, ReadOnlySpan<E820Entry> otherwise)
    {
        Span<E820Entry> buffer = Arena.Take<E820Entry>(profile.XenMapEntries);
        long result = isDom0 ? default(RealXen).MachineMemoryMap(buffer, out int count) : default(RealXen).MemoryMap(buffer, out count);
        Map("map"u8, result == 0 ? buffer.Slice(0, count) : otherwise);
    }

    public static void Map(ReadOnlySpan<byte> kind, ReadOnlySpan<E820Entry> map)
    {
        foreach (E820Entry entry in map)
        {
            Json.Begin(kind);
            Json.Hex("start"u8, entry.Address);
            Json.Hex("end"u8, entry.End);
            Json.Number("type"u8, (ulong)entry.Type);
            Json.End();
        }
    }

    public static void Result(ReadOnlySpan<byte> kind, in SetupResult result)
    {
        Json.Begin(kind);
        Json.Number("halt"u8, (ulong)result.Halt);
        Json.Number("pageCount"u8, result.PageCount);
        Json.Number("released"u8, result.ReleasedPages);
        Json.Number("remapped"u8, result.RemappedPages);
        Json.Number("populated"u8, result.PopulatedPages);
        Json.Hex("identityFrom"u8, result.IdentityFrom.Value);
        Json.Hex("pciGapStart"u8, result.PciGap.Start);
        Json.Hex("pciGapEnd"u8, result.PciGap.End);
        Json.End();
    }

    public static void Layout(ReadOnlySpan<byte> name, ByteRange range)
    {
        if (range.IsEmpty)
            return;
        Json.Begin("layout"u8);
        Json.Text("name"u8, name);
        Json.Hex("start"u8, range.Start);
        Json.Hex("end"u8, range.End);
        Json.End();
    }

    public static void Extra(ReadOnlySpan<ByteRange> extra)
    {
        foreach (ByteRange region in extra)
        {
            if (region.IsEmpty)
                continue;
            Json.Begin("extra"u8);
            Json.Hex("start"u8, region.Start);
            Json.Hex("end"u8, region.End);
            Json.End();
        }
    }

    public static void SetupCheck(in SetupResult expected, in SetupResult result, long error, Pfn failedPfn, Mfn failedMfn)
    {
        bool agrees = result.Halt == HaltReason.None
            && expected.ReleasedPages == result.ReleasedPages
            && expected.RemappedPages == result.RemappedPages
            && expected.PopulatedPages == result.PopulatedPages;
        Check.Begin("setup"u8, agrees);
        if (error != 0)
        {
            Json.Signed("error"u8, error);
            Json.Hex("pfn"u8, failedPfn.Value);
            Json.Hex("mfn"u8, failedMfn.Value);
        }

        Json.Number("identityMapped"u8, FrameMapper.IdentityMapped);
        Json.Number("identityRefused"u8, FrameMapper.IdentityRefused);
        Json.End();
    }

    /// <summary>
    /// Runs of the list, frames in hex: machine frames that follow each other, identity, or nothing. Where machine frames are scattered, runs
    /// behind the first few hundred are of one kind only and name no machine frame.
    /// </summary>
    public static void Runs(ulong pageCount, ReadOnlySpan<ulong> p2m, KernelProfile profile)
    {
        ulong end = (ulong)p2m.Length;
        ulong next = 0;
        for (int reported = 0; next < end; reported++)
        {
            ulong first = next;
            ulong entry = p2m[(int)first];
            bool isContiguous = reported < MaxContiguousRuns;
            // A run ends where the guest's initial pages do: behind them lies what was moved there.
            ulong limit = first < pageCount && end > pageCount ? pageCount : end;
            bool isFirmware = FirmwareFrames.Contain(first);
            while (next < limit && FirmwareFrames.Contain(next) == isFirmware
                && (isContiguous ? Continues(entry, next - first, p2m[(int)next]) : IsSameKind(entry, p2m[(int)next])))
                next++;
            Json.Begin("p2m"u8);
            Json.Hex("start"u8, first);
            Json.Hex("end"u8, next);
            bool isRemapped = profile.Displaced == DisplacedPages.Remap && first >= pageCount;
            Json.Text("kind"u8, entry == P2mEntry.Invalid ? "invalid"u8
                : !P2mEntry.HasFrame(entry) ? "identity"u8 : isFirmware ? "nonRam"u8 : isRemapped ? "remapped"u8 : "ram"u8);
            if (P2mEntry.HasFrame(entry) && isContiguous)
                Json.Hex("mfn"u8, entry);
            Json.End();
        }
    }

    private static bool Continues(ulong first, ulong distance, ulong entry) =>
        entry == (first == P2mEntry.Invalid ? first : unchecked(first + distance));

    private static bool IsSameKind(ulong first, ulong entry) =>
        P2mEntry.HasFrame(first) ? P2mEntry.HasFrame(entry) : !P2mEntry.HasFrame(entry) && (first == P2mEntry.Invalid) == (entry == P2mEntry.Invalid);

    public static void Hypercalls()
    {
        HypercallTally tally = RealXen.Tally;
        Json.Begin("hypercalls"u8);
        Json.Number("mmu_update"u8, tally.MmuUpdate);
        Json.Number("mmu_update_entries"u8, tally.MmuUpdateEntries);
        Json.Number("update_va_mapping"u8, tally.UpdateVaMapping);
        Json.Number("multicall"u8, tally.Multicall);
        Json.Number("memory_map"u8, tally.MemoryMap);
        Json.Number("decrease_reservation"u8, tally.DecreaseReservation);
        Json.Number("populate_physmap"u8, tally.PopulatePhysmap);
        Json.Number("memory_op"u8, tally.OtherMemoryOp);
        Json.Number("event_channel_op"u8, tally.EventChannelOp);
        Json.Number("other"u8, tally.Other);
        Json.Number("total"u8, tally.Total);
        Json.Number("tables"u8, AddressSpace.TableCount);
        Json.End();
    }
}
