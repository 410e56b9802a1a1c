// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Platforms.Qemu.Board;

namespace Keyhole.Platforms.Qemu;

/// <summary>The guest's addresses against the widths of the host's processor and IOMMU, and against memory that the host's devices use by
/// themselves.</summary>
internal static class QemuWidths
{
    private const int DisplayClass = 0x03;
    private const int UsbClass = 0x0c03;

    private const string RelaxRemedy = "Proxmox VE's Linux gives it away with intel_iommu=on,relax_rmrr, at the risk that the platform goes on to "
        + "use that memory, which is the guest's then";

    private const string MapFails = "VFIO_MAP_DMA fails with -22 (Invalid argument)";

    /// <summary>QEMU's words for RAM that cannot be mapped.</summary>
    internal const string MapRefusal = "VFIO_MAP_DMA failed: Invalid argument";

    /// <summary>edk2's issue 9340: CpuIo2Dxe, for a virtio device.</summary>
    private const string FirmwareFaults = ", and OVMF has been reported to stop with a page fault (\"X64 Exception Type - 0E(#PF - Page-Fault)\") "
        + "where a driver of its own touches it: whether the guest boots is not known";

    private const string QemuEnds = "and QEMU stops (\"vfio: DMA mapping failed, unable to continue\")";

    /// <summary>What Linux says, up to 6.6 and after.</summary>
    private const string Refusal = "\"Device is ineligible for IOMMU domain attach due to platform RMRR requirement\", since 6.7 \"Firmware has "
        + "requested this device have a 1:1 IOMMU mapping\"";

    /// <summary>What a processor has that is wider than the IOMMU beside it: Intel's of twelfth generation and later, on boards whose IOMMU has 39
    /// bits.</summary>
    internal const int WiderBits = 46;

    /// <param name="asksWidth">Whether QEMU compares the guest's width with the processor's: it warns only where one was set.</param>
    /// <param name="remedy">What was tried and works; null for nothing.</param>
    public static void Report(HostTraits traits, QemuLimits limits, QemuForecast forecast, bool asksWidth, string? remedy, List<Problem> problems)
    {
        QemuMachine machine = forecast.Machine;
        if (forecast.Memory is not { } memory)
            return;
        if (machine.IsKvm)
            ReportProcessor(traits, limits, forecast, asksWidth, remedy, problems);
        if (ReportRam(limits, memory, remedy, problems) || forecast.Placement is not { } placement)
            return;
        if (limits.IommuBits is { } iommuBits)
        {
            string bits = string.Create(CultureInfo.InvariantCulture, $"the {iommuBits} address bits that the host's IOMMU has");
            ReportBarsBeyond(placement, 1UL << iommuBits, bits, remedy, problems);
        }

        if (limits.KeepsHyperTransport)
            ReportSharedAcrossHyperTransport(limits, placement, problems);
    }

    private static void ReportProcessor(
        HostTraits traits, QemuLimits limits, QemuForecast forecast, bool asksWidth, string? remedy, List<Problem> problems)
    {
        int guestBits = forecast.Machine.Cpu.PhysBits;
        if ((traits.PhysicalAddressBits ?? traits.LeastAddressBits) is not { } hostBits || guestBits <= hostBits)
            return;
        bool isTold = traits.PhysicalAddressBits is not null;
        ulong highest = QemuCures.HighestAddress(forecast);
        bool isReached = highest > 1UL << hostBits;
        string has = isTold ? string.Create(CultureInfo.InvariantCulture, $"the host's processor has {hostBits}")
            : string.Create(CultureInfo.InvariantCulture, $"the host's processor, if it has no more than DMAR's \"Host address width\", {hostBits} "
                + $"(\"address sizes\" in /proc/cpuinfo tells)");
        string consequence = isReached ? "what is beyond them the guest cannot reach" + (limits.MayFault(forecast) ? FirmwareFaults : "")
            : "nothing of the guest's is beyond them" + (asksWidth && isTold
                ? ", and QEMU only warns (\"Host physical bits does not match phys-bits property\")" : "");
        problems.Add(new(
            isReached && isTold ? Severity.Error : isReached || asksWidth ? Severity.Warning : Severity.Info,
            ProblemCodes.AddressWidth,
            string.Create(CultureInfo.InvariantCulture, $"the guest is told {guestBits} address bits and {has}: {consequence}"),
            isReached ? 1UL << hostBits : null,
            isReached ? highest : null,
            isReached ? remedy : null));
    }

    /// <summary>RAM that cannot be mapped for the devices that are passed through. True where QEMU ends for it.</summary>
    /// <param name="remedy">What was tried and works; null for nothing.</param>
    public static bool ReportRam(QemuLimits limits, QemuMemory memory, string? remedy, List<Problem> problems)
    {
        if (limits.IsBeyondIommu(memory))
        {
            problems.Add(new(
                Severity.Error,
                ProblemCodes.DmaBeyondIommu,
                string.Create(CultureInfo.InvariantCulture,
                    $"RAM of the guest is beyond the {limits.IommuBits} address bits that the host's IOMMU has: {MapFails}, and QEMU does not start "
                        + $"the guest"),
                1UL << limits.IommuBits!.Value,
                memory.RamEnd,
                remedy));
        }

        if (limits.IsAcrossHyperTransport(memory))
        {
            ByteRange common = memory.High.Intersect(X86Layout.HyperTransport);
            problems.Add(new(
                limits.IsBeforeCheck ? Severity.Warning : Severity.Error,
                ProblemCodes.HyperTransport,
                "RAM of the guest is in AMD's HyperTransport range, which the host's IOMMU keeps for the platform: "
                    + (limits.IsBeforeCheck
                        ? $"a device that is passed through cannot do DMA there, and from Linux 5.4 on {MapFails}, and QEMU does not start the guest"
                        : $"{MapFails} (Linux 5.4 and later), and QEMU does not start the guest"),
                common.Start,
                common.End,
                remedy));
        }

        return limits.StopsStart(memory);
    }

    private static void ReportSharedAcrossHyperTransport(QemuLimits limits, PciPlacement placement, List<Problem> problems)
    {
        BarPlacement[] shared =
        [
            .. placement.Bars.Where(bar => IsShared(placement.Tree.Functions[bar.Function].Node) && bar.Bar.Type.IsMemory()
                && bar.Address is { } address && address < X86Layout.HyperTransportEnd
                && address + bar.Bar.SizeBytes > X86Layout.HyperTransportStart),
        ];
        if (shared.Length == 0)
            return;
        problems.Add(new(
            limits.IsBeforeCheck ? Severity.Warning : Severity.Error,
            ProblemCodes.HyperTransport,
            $"{NamesOf(placement, shared)} {(shared.Length == 1 ? "is" : "are")} memory that QEMU maps for the devices that are passed through, in "
                + $"AMD's HyperTransport range: {(limits.IsBeforeCheck ? "they cannot do DMA there, and from Linux 5.4 on " : "")}{MapFails}, "
                + QemuEnds,
            StartOf(shared),
            EndOf(shared)));
    }

    /// <summary>Where the processor's width is not told, what comes of one that is wider than the IOMMU.</summary>
    /// <param name="forecast">With the width that was assumed.</param>
    /// <param name="wider">The guest on a host with such a processor.</param>
    /// <param name="remedy">What keeps the guest within the IOMMU's width, whatever the processor has; asked for only where that is needed.</param>
    public static void ReportWiderProcessor(
        QemuLimits limits, QemuForecast forecast, QemuMachine wider, Func<string?> remedy, List<Problem> problems)
    {
        if (BeyondOnWider(limits, forecast, wider, out PciPlacement placement) is not { Length: > 0 } beyond)
            return;
        int iommuBits = limits.IommuBits!.Value;
        string consequence = beyond.Any(bar => IsShared(placement.Tree.Functions[bar.Function].Node)) ? QemuEnds
            : $"and no other device of the guest reaches {(beyond.Length == 1 ? "it" : "them")}";
        problems.Add(new(
            Severity.Warning,
            ProblemCodes.DmaBeyondIommu,
            string.Create(CultureInfo.InvariantCulture,
                $"if the host's processor has {WiderBits} address bits, as Intel's from the twelfth generation on may have (\"address sizes\" in "
                    + $"/proc/cpuinfo), {NamesOf(placement, beyond)} {(beyond.Length == 1 ? "is" : "are")} beyond the {iommuBits} bits that "
                    + $"the host's IOMMU has: {MapFails}, {consequence}"),
            StartOf(beyond),
            EndOf(beyond),
            remedy()));
    }

    /// <summary>Whether BARs that QEMU maps are beyond the IOMMU's width only where the processor is wider than was assumed.</summary>
    public static bool HasBarsBeyondOnWider(QemuLimits limits, QemuForecast forecast, QemuMachine wider) =>
        BeyondOnWider(limits, forecast, wider, out _).Length > 0;

    private static BarPlacement[] BeyondOnWider(QemuLimits limits, QemuForecast forecast, QemuMachine wider, out PciPlacement placement)
    {
        placement = null!;
        if (limits.IommuBits is not { } iommuBits || forecast.Machine.Cpu.PhysBits >= WiderBits || !limits.Suit(forecast)
            || !QemuForecaster.TryForecast(wider, out QemuForecast other, out _) || other.Placement is not { } placed)
            return [];
        placement = placed;
        return Beyond(placed, 1UL << iommuBits, IsMapped);
    }

    private static bool IsShared(PciFunction node) => node.Model.StartsWith("ivshmem", StringComparison.Ordinal);

    /// <summary>That a passed-through device's BAR cannot be mapped QEMU only says; at memory of its own, as ivshmem's, it ends.</summary>
    private static void ReportBarsBeyond(PciPlacement placement, ulong limit, string bits, string? remedy, List<Problem> problems)
    {
        if (Beyond(placement, limit, IsShared) is { Length: > 0 } shared)
        {
            problems.Add(new(
                Severity.Error,
                ProblemCodes.DmaBeyondIommu,
                $"{NamesOf(placement, shared)} {(shared.Length == 1 ? "is" : "are")} memory that QEMU maps for the devices that are passed through, "
                    + $"beyond {bits}: {MapFails}, {QemuEnds}",
                StartOf(shared),
                EndOf(shared),
                remedy));
        }

        if (Beyond(placement, limit, static node => node.IsPassedThrough) is { Length: > 0 } passed)
        {
            bool isOne = passed.Length == 1;
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.DmaBeyondIommu,
                $"{NamesOf(placement, passed)} {(isOne ? "is" : "are")} beyond {bits}: {MapFails} for "
                    + $"{(isOne ? "it, and no other device of the guest reaches it" : "them, and no other device of the guest reaches them")}",
                StartOf(passed),
                EndOf(passed),
                remedy));
        }
    }

    /// <summary>Whether a BAR that QEMU maps for devices is beyond the IOMMU's width: its listener takes RAM and what is mapped as RAM alone
    /// (vfio_listener_skipped_section).</summary>
    internal static bool HasBarsBeyond(PciPlacement? placement, int iommuBits) => placement is not null
        && Beyond(placement, 1UL << iommuBits, IsMapped).Length > 0;

    private static bool IsMapped(PciFunction node) => node.IsPassedThrough || IsShared(node);

    private static BarPlacement[] Beyond(PciPlacement placement, ulong limit, Func<PciFunction, bool> isMeant) =>
    [
        .. placement.Bars.Where(bar => isMeant(placement.Tree.Functions[bar.Function].Node) && bar.Bar.Type.IsMemory() && bar.Address is { } address
            && unchecked(address + bar.Bar.SizeBytes - 1) >= limit),
    ];

    private static string NamesOf(PciPlacement placement, BarPlacement[] bars) =>
        QemuBarProblems.NamesOf(placement, [.. bars.Select(static bar => (bar.Function, bar.Bar))]);

    private static ulong? StartOf(BarPlacement[] bars) => bars.Min(static bar => bar.Address);

    /// <summary>Null where it would be 2^64.</summary>
    private static ulong? EndOf(BarPlacement[] bars) =>
        bars.Max(static bar => bar.Address + bar.Bar.SizeBytes - 1) is { } last && last < ulong.MaxValue ? last + 1 : null;

    /// <summary>Memory that the host's firmware told a device to use by itself (RMRR): VFIO gives no such device away, save displays and USB
    /// controllers. Where the source tells whose it is, only the owner's matters; what Linux itself said of a device comes first.</summary>
    public static void ReportReservedMemory(Scenario scenario, QemuMachine machine, List<Problem> problems)
    {
        HostComplaints said = scenario.Host.Traits.Complaints;
        QemuDevice[] all = [.. machine.Devices.Where(QemuStops.IsMapped)];
        ImmutableArray<PfnRange> ranges = scenario.Host.DeviceMemory;
        if (all.Length == 0)
            return;
        if (QemuAmdMemory.IsOf(scenario.Host.Traits))
        {
            QemuAmdMemory.Report(scenario.Host, all, problems);
            return;
        }

        if (said.RelaxesDeviceMemory == true)
        {
            if (!ranges.IsEmpty)
            {
                problems.Add(Of(Severity.Info, ranges, "devices of the host use {0} by themselves (RMRR), and the host's Linux gives them to a guest "
                    + "all the same (\"assuming all RMRRs are relaxable\", relax_rmrr): what the platform does there goes on, and may damage the "
                    + "guest's memory"));
            }

            return;
        }

        PciAddress[] refused = [.. said.Ineligible.Where(address => all.Any(device => HostFunctions.Covers(device, address)))];
        foreach (PciAddress address in refused)
        {
            problems.Add(new(
                Severity.Error,
                ProblemCodes.ReservedDeviceMemory,
                $"Linux does not give {address} to a guest of KVM, for the host's firmware has it use memory by itself (RMRR): so its log says "
                    + $"({Refusal}), and QEMU does not start the guest",
                Remedy: RelaxRemedy));
        }

        QemuDevice[] given = [.. all.Where(device => !IsExempt(ClassOf(scenario.Host, device))
            && !refused.Any(address => HostFunctions.Covers(device, address)))];
        if (given.Length == 0)
        {
            if (refused.Length == 0 && !ranges.IsEmpty)
            {
                problems.Add(Of(Severity.Info, ranges, "devices of the host use {0} by themselves (RMRR): displays and USB controllers, which the "
                    + "guest's devices are, Linux gives to a guest all the same"));
            }

            return;
        }

        List<PfnRange> ownerless = [];
        foreach (PfnRange range in ranges)
        {
            PciAddress[] owners =
                [.. scenario.Host.Traits.DeviceMemoryOwners.Where(owner => owner.Range.Overlaps(range)).Select(static owner => owner.Device)];
            if (owners.Length == 0)
                ownerless.Add(range);
            if (owners.Cast<PciAddress?>().FirstOrDefault(owner => given.Any(device => HostFunctions.Covers(device, owner!.Value))) is not { } owned)
                continue;
            bool isKindKnown = given.Any(device => HostFunctions.Covers(device, owned) && ClassOf(scenario.Host, device) != 0);
            problems.Add(new(
                isKindKnown ? Severity.Error : Severity.Warning,
                ProblemCodes.ReservedDeviceMemory,
                $"the host's firmware has {owned} use this memory by itself (RMRR), and Linux does not give such a device to a guest of KVM"
                    + $"{(isKindKnown ? "" : ", save displays and USB controllers, and whether it is one, the source does not tell")}: {Refusal}",
                range.Start.ToAddress(),
                range.End.ToAddress(),
                RelaxRemedy));
        }

        if (ownerless.Count > 0)
        {
            problems.Add(Of(Severity.Warning, [.. ownerless],
                "devices of the host use {0} by themselves (RMRR), and which, the source does not tell: "
                + $"one of those is not given to a guest of KVM: {Refusal}; displays and USB controllers are exempt"
                + (said.RelaxesDeviceMemory == false ? ", and all are where a Linux that knows relax_rmrr (Proxmox VE's), which the command line "
                    + "has, says \"assuming all RMRRs are relaxable\"" : "")));
        }
    }

    /// <summary>One problem for all ranges: of several it names the first few.</summary>
    /// <param name="message">With {0} for the ranges.</param>
    internal static Problem Of(Severity severity, ImmutableArray<PfnRange> ranges, string message)
    {
        const int mostNamed = 8;
        string named = ranges.Length == 1 ? "this memory" : string.Join(", ", ranges.Take(mostNamed).Select(static range =>
            $"[0x{range.Start.ToAddress():x}, 0x{range.End.ToAddress():x})")) + (ranges.Length > mostNamed ? " …" : "");
        return new(
            severity,
            ProblemCodes.ReservedDeviceMemory,
            message.Replace("{0}", ranges.Length == 1 ? named : $"this memory ({named})", StringComparison.Ordinal),
            ranges.Length == 1 ? ranges[0].Start.ToAddress() : null,
            ranges.Length == 1 ? ranges[0].End.ToAddress() : null);
    }

    private static bool IsExempt(int code) => code >> 16 == DisplayClass || code >> 8 == UsbClass;

    /// <summary>By a listing, or by the host's log; 0 where neither tells it.</summary>
    private static int ClassOf(Host host, QemuDevice device) => device.Host is { ClassCode: not 0 and var code } ? code
        : host.Devices.Concat(host.LoggedDevices).Where(known => HostFunctions.Covers(device, known.Address))
            .Select(static known => known.ClassCode ?? 0).FirstOrDefault(static known => known != 0);
}
