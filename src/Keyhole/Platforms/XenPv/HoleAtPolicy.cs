// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Pci;

namespace Keyhole.Platforms.XenPv;

/// <summary>
/// One hole from an address to 4 GiB, whatever the host has there: the same map on every host whose devices lie in it, which is what a guest needs
/// that moves between hosts (seed 001, option 1). Windows above 4 GiB get holes of their own.
/// </summary>
/// <remarks>
/// In the hole only the pages of local and I/O APICs are reserved, since they lie there on every machine. The rest is a gap, so that the map does not
/// depend on the host; Linux may then place things where the host has memory, and a problem says so.
/// </remarks>
public sealed class HoleAtPolicy : IHolePolicy
{
    /// <summary>The hole of the host that the guest starts on: see <see cref="HostHoles.StartOfPciHole"/>.</summary>
    public HoleAtPolicy()
    {
    }

    /// <param name="holeStart">Bytes, above 0 and below 4 GiB; cut down to a page boundary.</param>
    public HoleAtPolicy(ulong holeStart)
    {
        ArgumentOutOfRangeException.ThrowIfZero(holeStart);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(holeStart, Frames.FourGiB);
        HoleStart = Pfn.Containing(holeStart).ToAddress();
    }

    /// <summary>Where the hole starts, in bytes; null for where the host's own does.</summary>
    public ulong? HoleStart { get; }

    /// <inheritdoc/>
    public string Name => HoleStart is { } start ? $"{BaseName}:0x{start:x}" : BaseName;

    /// <inheritdoc/>
    public PolicyTraits Traits { get; } = new(PolicyNeeds.InstalledMap, 2) { TakesHoleStart = true };

    /// <inheritdoc/>
    public IHolePolicy WithHoleAt(ulong holeStart) => HoleStart is null ? new HoleAtPolicy(holeStart) : this;

    internal const string BaseName = "hole-at";

    /// <inheritdoc/>
    public PolicyResult Lay(PolicyInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        ulong start = HoleStart ?? HostHoles.StartOfPciHole(input.MachineMap, input.Bars);
        List<KeptRange> kept = [.. Hole(start, "the hole for PCI devices, up to 4 GiB")];
        List<Problem> problems = [];
        foreach (Bar bar in input.Bars)
        {
            if (bar.End > Frames.FourGiB)
                kept.Add(new(Math.Max(bar.Start, Frames.FourGiB), bar.End, null, "a window of the guest's device above 4 GiB, on this host"));
            if (bar.Start < start)
            {
                problems.Add(new(
                    Severity.Error,
                    ProblemCodes.BarOutsideHole,
                    $"the hole starts at 0x{start:x}, above the device's window at [0x{bar.Start:x}, 0x{bar.End:x})",
                    bar.Start,
                    Math.Min(bar.End, start),
                    $"start it at 0x{HostHoles.StartOfPciHole(input.MachineMap, input.Bars):x} or lower ({Setting.HoleStart})"));
            }
        }

        PolicyResult result = MapAllocator.Allocate(kept, input);
        return result with { Problems = [.. problems, .. result.Problems] };
    }

    /// <summary>The tagged ranges from <paramref name="start"/> to 4 GiB.</summary>
    internal static List<KeptRange> Hole(ulong start, string why)
    {
        List<KeptRange> hole = [];
        foreach (RangePiece piece in new RangeMap<KeptRange>(s_onEveryMachine).Over(ByteRange.FromBounds(start, Frames.FourGiB)))
        {
            KeptRange kept = piece.IsGap ? new(0, 0, null, why) : s_onEveryMachine[piece.Index];
            hole.Add(kept with { Start = piece.Range.Start, End = piece.Range.End });
        }

        return hole;
    }

    private static readonly KeptRange[] s_onEveryMachine =
    [
        new(X86Layout.UsualIoApic, X86Layout.UsualIoApic + Frames.SizeBytes, E820Type.Reserved, "the I/O APIC, here on every machine"),
        new(X86Layout.LocalApicStart, X86Layout.LocalApicEnd, E820Type.Reserved, "the local APICs, here on every machine"),
    ];
}
