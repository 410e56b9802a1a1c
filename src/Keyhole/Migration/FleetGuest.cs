// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;

namespace Keyhole.Migration;

/// <summary>A guest that is to move between hosts.</summary>
/// <param name="NeedsHole">Whether its map has a hole for the host's devices: a PV guest with the host's map.</param>
public sealed record FleetGuest(string Name, ulong MemoryKiB, ulong MaxmemKiB, bool NeedsHole)
{
    /// <summary>No hole starts lower: a Linux PV kernel needs the memory below.</summary>
    public const ulong LowestHole = LinuxPvKernel.EndOfNeed;

    /// <summary>The guest itself where its firmware places the BARs of its devices (KVM, HVM): it is forecast on each host. Null for
    /// others.</summary>
    public GuestSpec? Forecast { get; init; }

    /// <summary>The guest itself where its firmware places no BARs: the toolstack may refuse it on a host. One without a configuration is a PV guest
    /// with some device where <see cref="NeedsHole"/> says that it has one.</summary>
    internal GuestSpec? Unforecast { get; init; }

    /// <summary>Whether it is to have memory that its host has not: QEMU starts a guest without a device of the host with swap alone.</summary>
    private bool MayBeSwapped { get; init; }

    /// <summary>Whether the host's RAM is enough for it.</summary>
    internal bool HasRamOn(HostDemand host) => MayBeSwapped || host.HasRamFor(MemoryKiB);

    /// <summary>Why the toolstack refuses it on a host of which nothing is known, and so on every one.</summary>
    private Problem? RefusalAnywhere { get; init; }

    /// <summary>What a plan warns of on every host, whatever hole the guest has: without the host's map, a kernel of Linux 6.6 or later does not set
    /// up what translates its devices' DMA. Null where no plan does.</summary>
    public Problem? ProblemAnywhere { get; init; }

    private static readonly GuestSpec s_any =
        new() { Type = GuestType.Pv, MemoryKiB = 0, MaxmemKiB = 0, Pci = [new PciAssignment((PciAddress?)null) { Name = "any" }] };

    /// <summary>Any PV guest with a device.</summary>
    internal static readonly FleetGuest Any = new("any guest with a device", 0, 0, NeedsHole: true);

    /// <summary>What a fleet needs to know of a guest.</summary>
    public static FleetGuest Of(GuestSpec guest, string name)
    {
        ArgumentNullException.ThrowIfNull(guest);
        ArgumentNullException.ThrowIfNull(name);
        bool isForecast = Planner.PlatformOf(guest).Traits.ForecastsFirmware;
        return new(guest.VisibleName ?? name, guest.MemoryKiB, Math.Max(guest.MemoryKiB, guest.MaxmemKiB),
            guest.Type == GuestType.Pv && guest.UsesHostMap)
        {
            MayBeSwapped = guest.Qemu is { } qemu && !qemu.Machine.Devices.Any(HostFunctions.IsOne),
            Forecast = isForecast ? guest : null,
            Unforecast = isForecast ? null : guest,
            ProblemAnywhere = isForecast || guest.UsesHostMap ? null : Planner.Plan(new() { Host = Host.Unknown, Guest = guest }).Problems
                .FirstOrDefault(static problem => problem.Code == ProblemCodes.DmaNotTranslated),
            RefusalAnywhere = isForecast ? null : Planner.RefusalOf(new() { Host = Host.Unknown, Guest = guest }),
        };
    }

    /// <summary>Where the guest's memory ends when its hole starts at <paramref name="holeStart"/>: what does not fit below it goes on at 4 GiB.
    /// Bytes.</summary>
    public ulong EndOfMemory(ulong holeStart)
    {
        ulong bytes = MaxmemKiB << 10;
        return !NeedsHole || bytes <= holeStart ? bytes : Frames.FourGiB + (bytes - holeStart);
    }

    /// <summary>Whether and why not the guest, with a hole from <paramref name="holeStart"/> on, can be on the host.</summary>
    public FleetVerdict Judge(HostDemand host, ulong holeStart)
    {
        if (!HasRamOn(host))
            return FleetVerdict.TooLittleMemory;
        if (RefusalOn(host) is not null)
            return FleetVerdict.Refused;
        if (!NeedsHole)
            return FleetVerdict.Fits;
        if (holeStart < LowestHole)
            return FleetVerdict.HoleTooLow;
        if (holeStart > host.HoleStart)
            return FleetVerdict.HoleTooHigh;
        return EndOfMemory(holeStart) > host.HighWindow ? FleetVerdict.MeetsHighWindow : FleetVerdict.Fits;
    }

    /// <summary>Why the toolstack does not create the guest on the host, as a plan says it; null where it does. Of guests that are forecast the
    /// forecast tells it.</summary>
    internal Problem? RefusalOn(HostDemand host)
    {
        // Of a million hosts nearly none says anything.
        if (host.Refusing is not { } traits || Forecast is not null)
            return RefusalAnywhere;
        GuestSpec? guest = Unforecast ?? (NeedsHole ? s_any : null);
        return guest is null ? null : Planner.RefusalOf(new() { Host = Host.Unknown with { Traits = traits }, Guest = guest });
    }

    /// <summary>Whether libxl's own map leaves the guest less than half of the RAM below 4 GiB that the host has for it.</summary>
    public bool LosesHalfOfLowMemory(HostDemand host) =>
        NeedsHole && Math.Min(MemoryKiB, host.LibxlLowRamKiB) < Math.Min(MemoryKiB, host.LowRamKiB) / 2;

    /// <summary>How the guest gets from one host to another, where <paramref name="fleetHole"/> is the hole that the fleet shares (null: there is
    /// none).</summary>
    public MoveVerdict JudgeMove(HostDemand from, HostDemand to, ulong? fleetHole)
    {
        if (Judge(from, from.HoleStart) == FleetVerdict.Fits && Judge(to, from.HoleStart) == FleetVerdict.Fits)
            return MoveVerdict.AsItIs;
        return fleetHole is { } hole && Judge(from, hole) == FleetVerdict.Fits && Judge(to, hole) == FleetVerdict.Fits
            ? MoveVerdict.WithTheFleetsHole : MoveVerdict.Never;
    }
}

/// <summary>Whether a guest can be on a host.</summary>
public enum FleetVerdict
{
    /// <summary>The guest can live there.</summary>
    Fits,

    /// <summary>The host has less RAM than the guest; what Xen and dom0 take is not counted.</summary>
    TooLittleMemory,

    /// <summary>The host has a device so low that the kernel would find no memory below the hole.</summary>
    HoleTooLow,

    /// <summary>The host has a device below the hole, where the guest has RAM.</summary>
    HoleTooHigh,

    /// <summary>The guest's memory above 4 GiB reaches a window of the host's devices.</summary>
    MeetsHighWindow,

    /// <summary>The toolstack does not create the guest there, whatever map it has.</summary>
    Refused,
}

/// <summary>How a guest gets from one host to another.</summary>
public enum MoveVerdict
{
    /// <summary>It does not.</summary>
    Never,

    /// <summary>With the hole that all hosts share, not with that of the host it started on.</summary>
    WithTheFleetsHole,

    /// <summary>Also with the hole of the host it started on.</summary>
    AsItIs,
}
