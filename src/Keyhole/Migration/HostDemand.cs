// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Platforms;

namespace Keyhole.Migration;

/// <summary>What a host's demand was made from.</summary>
public enum DemandEvidence
{
    /// <summary>Its memory map alone: wherever firmware may put a window.</summary>
    Map,

    /// <summary>The windows of its devices, which the capture names.</summary>
    Windows,
}

/// <summary>What a host asks of the hole in the map of a guest that may come to it: a hole [start, 4 GiB) suits it if it starts at
/// <see cref="HoleStart"/> or lower.</summary>
/// <param name="Name">What the host is called; one line.</param>
/// <param name="HoleStart">Bytes, a page boundary, at most 4 GiB: the lowest address below 4 GiB where a device of the host's may be. 4 GiB: the host
/// asks for no hole.</param>
/// <param name="RamKiB">The host's RAM, all of it; 0 where the source does not tell how much that is.</param>
/// <param name="HighWindow">The lowest window of a device at or above 4 GiB, in bytes, cut down to a GiB; <see cref="Frames.AddressLimit"/> where
/// none is known.</param>
public readonly record struct HostDemand(string Name, ulong HoleStart, ulong RamKiB, ulong HighWindow, DemandEvidence Evidence)
{
    private const ulong GiB = 1UL << 30;

    /// <summary>Whether lost lines of the host's map decide <see cref="HoleStart"/>, which then counts for nothing.</summary>
    public bool IsHoleNotKnown { get; init; }

    /// <summary>What the host's source says of it, where the toolstack may refuse guests with devices there for that, or of an old Xen may not refuse
    /// what later ones do; else null.</summary>
    internal HostTraits? Refusing { get; init; }

    /// <summary>The host's RAM below 4 GiB in KiB; 0 where it is not known.</summary>
    public ulong LowRamKiB { get; init; }

    /// <summary>Where libxl ends a guest's low RAM on this host, in KiB: at the first address above 1 MiB whose type is neither RAM nor unusable; 4
    /// GiB at most.</summary>
    public ulong LibxlLowRamKiB { get; init; }

    /// <summary>
    /// The demand of a host. Where it names devices, their windows count and nothing else: each BAR, ROM and SR-IOV window above the first MiB, but
    /// not the bridges' windows around them. Else a device may be wherever firmware could put one: behind the host's last memory (RAM or unusable)
    /// below 4 GiB, or in a gap of 4 MiB or more amid it; the regions that the firmware keeps amid the memory hold none.
    /// </summary>
    public static HostDemand Of(Host host, string name)
    {
        ArgumentNullException.ThrowIfNull(host);
        ArgumentNullException.ThrowIfNull(name);
        MapDemand map = MapDemand.Of(host.Entries.AsSpan());
        if (host.RamShown == RamShown.Part || host.HasLostEntries)
            map = map with { RamKiB = 0, LowRamKiB = 0 };
        HostTraits? refusing = RefusingOf(host.Traits);
        if (host.Devices.IsEmpty)
            return map.ToHost(name) with { IsHoleNotKnown = LostDemand.IsHoleNotKnown(host, hasDevices: false), Refusing = refusing };
        var windows = WindowDemand.None;
        foreach (PciDevice device in host.Devices)
        {
            foreach (Bar bar in device.Bars)
                windows = windows.With(bar.Kind, bar.Start, bar.End);
        }

        return windows.ToHost(name, map) with { Refusing = refusing };
    }

    /// <summary>The traits, where a guest may be refused for what they say.</summary>
    internal static HostTraits? RefusingOf(HostTraits traits) => traits.UsesIommu == false || SharedDeviceMemory.MayBe(traits) ? traits
        : RefusedCombination.DependsOn(traits.XenVersion) ? new() { XenVersion = traits.XenVersion } : null;

    /// <summary>Whether a guest of that size has room here, as far as the source tells. What Xen and dom0 take is not counted.</summary>
    public bool HasRamFor(ulong memoryKiB) => RamKiB == 0 || RamKiB >= memoryKiB;

    /// <summary>Worst first: by where the hole must start, then by name, then by the rest, so that equal hosts alone are equal.</summary>
    internal static int CompareByHole(HostDemand left, HostDemand right) => left.HoleStart != right.HoleStart
        ? left.HoleStart.CompareTo(right.HoleStart) : CompareByName(left, right);

    internal static int CompareByRam(HostDemand left, HostDemand right) => left.RamKiB != right.RamKiB ? left.RamKiB.CompareTo(right.RamKiB)
        : CompareByName(left, right);

    internal static int CompareByHighWindow(HostDemand left, HostDemand right) =>
        left.HighWindow != right.HighWindow ? left.HighWindow.CompareTo(right.HighWindow) : CompareByName(left, right);

    internal static int CompareByName(HostDemand left, HostDemand right)
    {
        int order = string.CompareOrdinal(left.Name, right.Name);
        if (order == 0)
            order = left.HoleStart.CompareTo(right.HoleStart);
        if (order == 0)
            order = left.RamKiB.CompareTo(right.RamKiB);
        if (order == 0)
            order = left.HighWindow.CompareTo(right.HighWindow);
        return order != 0 ? order : left.Evidence.CompareTo(right.Evidence);
    }

    /// <summary>What the map alone asks for.</summary>
    internal readonly record struct MapDemand(ulong HoleStart, ulong RamKiB, ulong LowRamKiB, ulong LibxlLowRamKiB)
    {
        /// <param name="entries">In any order, also overlapping: then the highest type counts, as Linux has it.</param>
        public static MapDemand Of(ReadOnlySpan<E820Entry> entries) => Sweep(IsSorted(entries) ? entries : SortedMap.Of(entries).AsSpan());

        public HostDemand ToHost(string name) =>
            new(name, HoleStart, RamKiB, Frames.AddressLimit, DemandEvidence.Map) { LowRamKiB = LowRamKiB, LibxlLowRamKiB = LibxlLowRamKiB };

        /// <summary>Whether it is as <see cref="SortedMap"/> would have it, so that a fleet's hosts need no copy.</summary>
        private static bool IsSorted(ReadOnlySpan<E820Entry> entries)
        {
            ulong reached = 0;
            foreach (E820Entry entry in entries)
            {
                if (entry.Address < reached || entry.Wraps || entry.Type == E820Type.None)
                    return false;
                reached = entry.End;
            }

            return true;
        }

        private static MapDemand Sweep(ReadOnlySpan<E820Entry> sorted)
        {
            var low = ByteRange.FromBounds(0, Frames.FourGiB);
            ulong firstGap = Frames.FourGiB;
            ulong endOfMemory = 0;
            ulong ramBytes = 0;
            ulong lowRamBytes = 0;
            ulong firstDevice = Frames.FourGiB;
            foreach (RangePiece piece in new RangeMap<E820Entry>(sorted).Over(ByteRange.FromBounds(0, ulong.MaxValue)))
            {
                ByteRange lowPart = piece.Range.Intersect(low);
                if (piece.IsGap)
                {
                    ulong start = Math.Max(lowPart.Start, X86Layout.OneMiB);
                    if (firstGap == Frames.FourGiB && lowPart.End >= start + X86Layout.SmallestPciGapBytes)
                        firstGap = start;
                    continue;
                }

                E820Entry entry = sorted[piece.Index];
                if (entry.IsRam)
                {
                    ramBytes += piece.Range.SizeBytes;
                    lowRamBytes += lowPart.SizeBytes;
                }

                if (!SortedMap.IsMemory(entry))
                    firstDevice = entry.Address > X86Layout.OneMiB ? Math.Min(firstDevice, entry.Address) : firstDevice;
                else if (!lowPart.IsEmpty)
                    endOfMemory = lowPart.End;
            }

            return new(Pfn.Containing(Math.Min(firstGap, endOfMemory)).ToAddress(), ramBytes >> 10, lowRamBytes >> 10, firstDevice >> 10);
        }
    }

    /// <summary>What the windows of devices ask for. Starts as <see cref="None"/>.</summary>
    internal readonly record struct WindowDemand(ulong Low, ulong High)
    {
        public static readonly WindowDemand None = new(Frames.FourGiB, Frames.AddressLimit);

        public WindowDemand With(BarKind kind, ulong start, ulong end)
        {
            if (kind == BarKind.BridgeWindow || end <= X86Layout.OneMiB || end <= start)
                return this;
            return start < Frames.FourGiB
                ? new(Math.Min(Low, Pfn.Containing(start).ToAddress()), end > Frames.FourGiB ? Frames.FourGiB : High)
                : this with { High = Math.Min(High, start / GiB * GiB) };
        }

        public HostDemand ToHost(string name, MapDemand map) =>
            new(name, Low, map.RamKiB, High, DemandEvidence.Windows) { LowRamKiB = map.LowRamKiB, LibxlLowRamKiB = map.LibxlLowRamKiB };
    }
}
