// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;

namespace Keyhole.Planning;

/// <summary>Host map and guest in, plan out.</summary>
public static class Planner
{
    /// <param name="host">The host's map, firmware's or with Xen's additions, as it says itself.</param>
    /// <param name="guest">The guest.</param>
    /// <param name="policy">How to lay its map out.</param>
    /// <param name="bars">Windows of the devices passed through, in addition to those of the host's devices that the guest's <c>pci=</c> names.</param>
    public static Plan Plan(HostMemoryMap host, GuestSpec guest, IHolePolicy policy, ImmutableArray<Bar> bars)
    {
        ImmutableArray<E820Entry> machineMap = MachineMap.Of(host);
        bars = [.. bars, .. BarsOf(host, guest)];
        List<Problem> problems = [];
        ReportGuest(guest, problems);
        DomainMemory.ReportTooLarge(host, machineMap, guest.MemoryKiB, isOvercommitted: guest.Type == GuestType.Kvm, problems);
        PolicyResult result;
        // A guest that makes its holes itself does so where the toolstack does not.
        bool usesPolicy = guest.UsesHostMap || (guest.Type == GuestType.Pv && policy is GuestMergePolicy);
        if (usesPolicy)
        {
            result = policy.Lay(InputOf(host, machineMap, guest, bars));
            problems.AddRange(result.Problems);
            if (!result.Entries.IsEmpty)
                PlanReview.Report(policy, machineMap, guest, result.Entries, bars, problems);
        }
        else
        {
            result = PlainMap(guest);
            if (guest.Type == GuestType.Pv)
            {
                PlanReview.ReportKernel(result.Entries, guest, problems);
                PlanReview.ReportBars(result.Entries, guest, bars, problems);
            }
        }

        if (guest.Type == GuestType.Pv)
            problems.AddRange(DevicesOf(host, guest).Select(MsixAdvice.For).OfType<Problem>());
        NeighbourAdvice.Report(host, guest, bars, problems);

        return new()
        {
            Policy = usesPolicy ? policy.Name : "none",
            Host = host,
            MachineMap = machineMap,
            Guest = guest,
            Bars = bars,
            Entries = result.Entries,
            Gaps = result.Gaps,
            Problems = [.. problems],
            RamBelow4GiBKiB = PlanReview.RamBelow(Frames.FourGiB, result.Entries) >> 10,
        };
    }

    /// <summary>What a policy is told of a host.</summary>
    public static PolicyInput InputOf(HostMemoryMap host, ImmutableArray<E820Entry> machineMap, GuestSpec guest, ImmutableArray<Bar> bars) =>
        new(machineMap, guest, bars) { DeviceMemory = [.. host.Traits.ReservedDeviceMemory.Select(ByteRange.FromFrames)] };

    /// <summary>Without the host's map the toolstack sets one RAM entry of maxmem.</summary>
    private static PolicyResult PlainMap(GuestSpec guest) =>
        new([new(E820Entry.FromSize(0, guest.MaxmemKiB << 10, E820Type.Ram), "one RAM entry of maxmem: the guest does not use the host's map")], []);

    private static string NameOf(GuestType type) => type switch
    {
        GuestType.Pv => "PV",
        GuestType.Pvh => "PVH",
        GuestType.Hvm => "HVM",
        GuestType.Kvm => "KVM",
    };

    /// <summary>The windows of the host's devices that the guest's <c>pci=</c> names.</summary>
    public static IEnumerable<Bar> BarsOf(HostMemoryMap host, GuestSpec guest) => DevicesOf(host, guest).SelectMany(static device => device.Bars);

    private static IEnumerable<PciDevice> DevicesOf(HostMemoryMap host, GuestSpec guest) =>
        host.Devices.Where(device => guest.Pci.Any(assignment => assignment.Covers(device.Address)));

    private static void ReportGuest(GuestSpec guest, List<Problem> problems)
    {
        if (guest.Type == GuestType.Kvm)
        {
            problems.Add(new(Severity.Info, ProblemCodes.NotPv, "the guest is one of KVM's: QEMU makes its map, and e820_host is not for it"));
        }
        else if (guest.Type != GuestType.Pv)
        {
            problems.Add(new(
                guest.E820Host == true ? Severity.Warning : Severity.Info,
                ProblemCodes.NotPv,
                $"the guest is {NameOf(guest.Type)}: xl reads e820_host for PV guests only, and its map does not follow the host's",
                Remedy: "set type=\"pv\" if the guest is meant to see the host's map"));
        }
        else if (guest.HostMapForcedByPci)
        {
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.HostMapForced,
                "the configuration says e820_host=0, but any pci= entry makes xl use the host's map all the same",
                Remedy: "take e820_host=0 out: it says what is not so"));
        }
        else if (!guest.UsesHostMap)
        {
            problems.Add(new(
                Severity.Info,
                ProblemCodes.HostMapUnused,
                "the guest has neither e820_host nor pci=: it gets one RAM entry and no room for devices",
                Remedy: "set e820_host=1 if a device will be passed through later"));
        }

        if (guest.MaxmemKiB < guest.MemoryKiB)
        {
            string consequence = guest.UsesHostMap
                ? "; libxl subtracts without checking and takes the difference for 2^64 less that much of balloon memory"
                : "";
            problems.Add(new(
                Severity.Error,
                ProblemCodes.MaxmemBelowMemory,
                $"maxmem ({guest.MaxmemKiB >> 10} MiB) is below memory ({guest.MemoryKiB >> 10} MiB){consequence}",
                Remedy: $"set maxmem to {guest.MemoryKiB >> 10} or more, or leave it out"));
        }

        if (guest.Type == GuestType.Pv)
            DomainMemory.ReportTooSmall(guest.MemoryKiB, problems);
    }
}
