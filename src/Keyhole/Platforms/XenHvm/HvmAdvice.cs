// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms.XenHvm;

/// <summary>
/// What HVM guests of Xen suffer from, with settings that can be pasted: hvmloader sizes their hole.
/// </summary>
/// <remarks>The sizes are rules of hvmloader as its source and documentation have them, not records of a run.</remarks>
internal static class HvmAdvice
{
    /// <summary>xl.cfg(5): mmio_hole is a number of MiB in this range.</summary>
    private const ulong SmallestMmioHoleMiB = 256;

    private const ulong LargestMmioHoleMiB = 3840;

    /// <summary>hvmloader places windows below fc000000 (its PCI_MEM_END); what lies behind is its own, and the APICs'.</summary>
    private const ulong UnfilledMiB = 64;

    /// <summary>Sizes to recommend: they start where large windows are aligned.</summary>
    private static readonly ImmutableArray<ulong> s_holesMiB = [SmallestMmioHoleMiB, 512, 1024, 2048, 3072, LargestMmioHoleMiB];

    /// <summary>What QEMU's own devices (VGA, platform device, network card) take of the hole of an HVM guest.</summary>
    private const ulong EmulatedDevicesBytes = 48UL << 20;

    /// <summary>hvmloader places windows larger than this above 4 GiB without trying below.</summary>
    private const ulong LargestLowBar = 1UL << 30;

    public static void Report(Host host, GuestSpec guest, ImmutableArray<Bar> bars, List<Problem> problems)
    {
        ReportMmioHole(guest, bars, problems);
        ReportReservedDeviceMemory(host, guest, problems);
    }

    private static void ReportMmioHole(GuestSpec guest, ImmutableArray<Bar> bars, List<Problem> problems)
    {
        if (bars.IsEmpty)
            return;
        // What hvmloader tries to place below 4 GiB.
        BarRoom room = BarRoom.Of([.. bars.Where(static bar => bar.SizeBytes <= LargestLowBar)]);
        ulong wantedBytes = room.LowBytes + room.HighBytes + EmulatedDevicesBytes;
        ulong alignment = Math.Max(room.LowAlignment, room.HighAlignment);
        ulong needMiB = s_holesMiB.FirstOrDefault(holeMiB => Holds(holeMiB, wantedBytes, alignment));
        ulong? setMiB = Setting(guest, "mmio_hole") is { } text && ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong value) ? value : null;
        ulong big = bars.Where(static bar => bar.SizeBytes > LargestLowBar && bar.Kind != BarKind.BridgeWindow).Aggregate(0UL, static (sum, bar) => sum + bar.SizeBytes);
        string high = big == 0
            ? ""
            : $"; {ByteSize.ToText(big)} in windows of more than 1 GiB go above 4 GiB, up to {BarRoom.Of(bars).AddressBitsBehind((guest.MemoryKiB << 10) + Frames.FourGiB)} address bits";
        if (setMiB is { } chosen && (chosen < SmallestMmioHoleMiB || chosen > LargestMmioHoleMiB))
        {
            problems.Add(new(
                Severity.Error,
                ProblemCodes.MmioHole,
                $"mmio_hole={chosen} is outside of what xl takes ({SmallestMmioHoleMiB} to {LargestMmioHoleMiB} MiB)",
                Remedy: needMiB == 0 ? "take it out" : $"put mmio_hole={needMiB} into the xl.cfg"));
            return;
        }

        ulong haveMiB = setMiB ?? GrownMiB(guest.MemoryKiB >> 10, wantedBytes);
        if (needMiB == 0)
        {
            problems.Add(new(
                Severity.Error,
                ProblemCodes.MmioHole,
                $"the device's windows take {ByteSize.ToText(wantedBytes)} below 4 GiB, more than the largest hole ({LargestMmioHoleMiB} MiB) holds{high}",
                Remedy: "pass fewer devices through"));
        }
        else if (!Holds(haveMiB, wantedBytes, alignment))
        {
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.MmioHole,
                $"the device's windows and the emulated devices take {ByteSize.ToText(wantedBytes)} below 4 GiB, and of the hole of {haveMiB} MiB hvmloader fills {haveMiB - UnfilledMiB} MiB at most{(setMiB is null ? ", since hvmloader makes it larger only where the guest has no RAM" : "")}{high}",
                Frames.FourGiB - (haveMiB << 20),
                Frames.FourGiB,
                $"put mmio_hole={needMiB} into the xl.cfg"));
        }
        else
        {
            problems.Add(new(
                Severity.Info,
                ProblemCodes.MmioHole,
                $"hvmloader fills up to {haveMiB - UnfilledMiB} MiB of the hole of {haveMiB} MiB, and {ByteSize.ToText(wantedBytes)} are needed{high}",
                Frames.FourGiB - (haveMiB << 20),
                Frames.FourGiB));
        }
    }

    /// <summary>Windows are placed by falling size, each aligned to its own.</summary>
    private static bool Holds(ulong holeMiB, ulong wantedBytes, ulong alignment)
    {
        ulong start = Frames.FourGiB - (holeMiB << 20);
        if (alignment != 0)
            start = (start + alignment - 1) & ~(alignment - 1);
        return start + wantedBytes <= Frames.FourGiB - (UnfilledMiB << 20);
    }

    /// <summary>hvmloader starts at f0000000 and doubles the hole while it is too small and no RAM of the guest lies in the next larger one.</summary>
    private static ulong GrownMiB(ulong memoryMiB, ulong wantedBytes)
    {
        ulong holeMiB = SmallestMmioHoleMiB;
        while ((holeMiB - UnfilledMiB) << 20 < wantedBytes && holeMiB < 2048 && memoryMiB <= 4096 - (2 * holeMiB))
            holeMiB *= 2;
        return holeMiB;
    }

    private static void ReportReservedDeviceMemory(Host host, GuestSpec guest, List<Problem> problems)
    {
        string devices = string.Join(", ", guest.Pci.Select(static assignment => $"\"{assignment with { RdmPolicy = assignment.RdmPolicy ?? "relaxed" }}\""));
        if (Setting(guest, "rdm") is not null)
        {
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.RdmIgnored,
                "xl has passed over a valid rdm= without a word since December 2020",
                Remedy: guest.Pci.IsEmpty ? "take it out" : $"say it for each device: pci=[ {devices} ]"));
        }

        if (guest.Pci.IsEmpty)
            return;
        ulong ramEnd = Math.Min(guest.MemoryKiB << 10, Frames.FourGiB - (SmallestMmioHoleMiB << 20));
        foreach (PfnRange range in host.Traits.ReservedDeviceMemory)
        {
            if (range.Start.ToAddress() >= ramEnd || guest.Pci.All(static assignment => assignment.RdmPolicy is not null))
                continue;
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.ReservedDeviceMemory,
                $"devices of the host use {ByteSize.ToText(range.Count << Frames.Shift)} of its memory by themselves (RMRR), where the guest would have RAM; with the strict policy, which is the default, the device is then not assigned",
                range.Start.ToAddress(),
                range.End.ToAddress(),
                $"if the device can do without it (a network card can, a graphics card may not): pci=[ {devices} ]"));
        }
    }

    private static string? Setting(GuestSpec guest, string key) =>
        guest.OtherSettings.FirstOrDefault(setting => setting.Key == key)?.Value.Trim('"', '\'');
}
