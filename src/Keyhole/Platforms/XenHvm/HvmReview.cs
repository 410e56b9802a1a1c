// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Platforms.Firmware;

namespace Keyhole.Platforms.XenHvm;

/// <summary>What is wrong with an HVM guest, with remedies that were tried on the model.</summary>
internal static class HvmReview
{
    /// <summary>Unplaced BARs that get a problem of their own; of more the rest is counted.</summary>
    private const int MostNamed = 16;

    public const string BarsWanted = "give the text of lspci -vv of the host, or the sizes of the device's BARs";

    public static void Report(Scenario scenario, HvmGuest guest, IPlatform platform, List<Problem> problems)
    {
        ReportDeviceMemory(scenario, guest, problems);
        if (guest.NotModelled is not null)
            return;
        ReportAssumptions(scenario, guest, problems);
        if (guest.Refusal is { } words)
        {
            ReportRefusal(scenario, guest, words, platform, problems);
            return;
        }

        GuestReview.ReportOnDemand(scenario.Guest, problems);
        if (guest.Run is not { } run)
            return;
        if (run.PanicMessage is { } panic)
        {
            problems.Add(new(Severity.Error, ProblemCodes.GuestDoesNotStart, $"hvmloader stops: {panic}"));
            return;
        }

        if (guest.Settings.Firmware == FirmwareName.Ovmf)
        {
            problems.Add(new(
                Severity.Info,
                ProblemCodes.MapNotKnown,
                "the E820 map that OVMF hands over is not modelled; where RAM is split, and every BAR's address, are "
                    + "known: OVMF keeps those of hvmloader"));
        }

        ReportBars(scenario, guest, run, problems);
        HvmSmallBars.Report(scenario, guest, run, problems);
        ReportHole(guest, run, problems);
        if (run.MovedBytes > 0)
            problems.Add(HvmStubDomain.MovedRam(scenario, guest, run));
    }

    private static void ReportAssumptions(Scenario scenario, HvmGuest guest, List<Problem> problems)
    {
        bool hasLarge = guest.Topology.Tree is { } tree &&
            tree.Functions.Any(static function =>
                function.Node.Bars.Any(static bar => bar.Type.Is64Bit() && bar.SizeBytes > Hvmloader.HighThreshold));
        XenVersion? told = scenario.Host.Traits.XenVersion;
        if (told is null && (hasLarge || guest.Rdm.IsGiven))
        {
            problems.Add(new(
                Severity.Info,
                ProblemCodes.Assumed,
                $"the source does not tell Xen's release: {HvmGuest.UsualXen} is taken, with all its fixes; before 4.17.4 and 4.18.1 BARs of more "
                    + "than 1 GiB make the hole larger, and up to 4.14 xl reads rdm="));
        }
        else if (hasLarge && told is { Patch: null } xen && Hvmloader.SetsHugeBarsApart(xen) != Hvmloader.SetsHugeBarsApart(xen with { Patch = 0 }))
        {
            problems.Add(new(
                Severity.Info,
                ProblemCodes.Assumed,
                $"which {xen} the host has is not told: the last one is taken; before 4.17.4 and 4.18.1 BARs of more than 1 GiB make the hole "
                    + "larger"));
        }

        if (guest.Settings.HasStubDomain)
            problems.Add(HvmStubDomain.OwnMap(guest.Settings));

        if (guest.Topology.Unknown is { } unknown)
        {
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.BarsNotKnown,
                $"where the BARs end up is not known: {unknown}; the map does not depend on them",
                Remedy: BarsWanted));
        }
    }

    /// <summary>The problem where the guest is refused for its devices, whatever its hole; null for other refusals.</summary>
    public static Problem? OfDevices(Scenario scenario, string words) =>
        words == UnusedIommu.RefusalOf(scenario) ? UnusedIommu.ProblemOf(words, scenario.Host)
        : words == RepeatedDevice.RefusalOf(scenario) ? RepeatedDevice.ProblemOf(scenario, words) : null;

    private static void ReportRefusal(Scenario scenario, HvmGuest guest, string words, IPlatform platform, List<Problem> problems)
    {
        string? remedy = null;
        if ((RefusedCombination.ProblemOf(scenario, platform) ?? OfDevices(scenario, words)) is { } whatever)
        {
            problems.Add(whatever);
            return;
        }

        if (words == SharedDeviceMemory.Words && SharedDeviceMemory.RefusedOf(scenario, guest.Rdm.DevicePolicy) is { } shared)
        {
            Scenario relaxed = scenario with { Guest = SharedDeviceMemory.Relaxed(scenario.Guest) };
            bool helps = HvmGuest.Of(relaxed, guest.Settings, guest.Xen).Refusal is null;
            problems.Add(SharedDeviceMemory.ProblemOf(shared, helps ? SharedDeviceMemory.RelaxedText(scenario.Guest) : null));
            return;
        }

        if (guest.Memory?.Conflict is { } conflict)
            remedy = RemedyFor(scenario, guest, conflict);
        else if (words.Contains("mmio_hole", System.StringComparison.Ordinal))
            remedy = $"give {HvmSettings.SmallestHoleMiB} to {HvmSettings.LargestHoleMiB}, or leave it out";
        else if (words.Contains("PoD", System.StringComparison.Ordinal))
            remedy = $"set {OwnWords.Most(scenario.Guest.Toolstack)} to {OwnWords.Memory(scenario.Guest.Toolstack)} "
                + $"({scenario.Guest.MemoryKiB >> 10} MiB)";
        else if (words.Contains("device model did not start", System.StringComparison.Ordinal))
            remedy = "take emulated devices away: their ROMs together may take 1 MiB and 64 KiB, which is what "
                + "libxl leaves a domain beyond its memory";
        problems.Add(new(
            Severity.Error, ProblemCodes.GuestDoesNotStart, $"the guest is not created: {words}", guest.Memory?.Conflict?.Start,
            guest.Memory?.Conflict?.End, remedy));
    }

    /// <summary>The largest boundary below the region, where the guest then starts.</summary>
    private static string? RemedyFor(Scenario scenario, HvmGuest guest, ByteRange conflict)
    {
        const ulong MiB = 1UL << 20;
        ulong boundary = conflict.Start == 0 ? 0 : (conflict.Start - 1) / MiB;
        HvmGuest tried = HvmGuest.Of(scenario, guest.Settings with { BoundaryBytes = boundary * MiB }, guest.Xen);
        if (tried is { Refusal: null, Memory: { } memory } && boundary > 0)
            return string.Create(CultureInfo.InvariantCulture,
                $"put rdm_mem_boundary={boundary} into the xl.cfg: the guest then has "
                    + $"{ByteSize.ToText(memory.LowEnd)} below 4 GiB and the rest above{OwnWords.XlAlone(scenario.Guest.Toolstack)}");
        string devices = Devices(scenario.Guest, "relaxed");
        return devices.Length == 0 ? null
            : $"if the device can do without that memory (a network card can, a graphics card may not): pci=[ {devices} ]"
                + OwnWords.XlAlone(scenario.Guest.Toolstack);
    }

    private static string Devices(GuestSpec guest, string policy) =>
        string.Join(", ", guest.Pci.Select(assignment => $"\"{assignment with { RdmPolicy = assignment.RdmPolicy ?? policy }}\""));

    private static void ReportDeviceMemory(Scenario scenario, HvmGuest guest, List<Problem> problems)
    {
        HvmRdm rdm = guest.Rdm;
        if (rdm is { IsGiven: true, IsIgnored: true })
        {
            // Where every device has a policy of its own, that counts, and nothing is missed.
            bool allSay = !scenario.Guest.Pci.IsEmpty && scenario.Guest.Pci.All(static assignment => assignment.RdmPolicy is not null);
            if (!allSay)
            {
                problems.Add(new(
                    Severity.Warning,
                    ProblemCodes.RdmIgnored,
                    rdm.Asked is null ? "xl passes over the whole of rdm=: what it knows is strategy=host, policy=strict and policy=relaxed"
                        : "xl passes over rdm= where it names a policy (since Xen 4.15), silently",
                    Remedy: rdm.Asked is not { } asked || scenario.Guest.Pci.IsEmpty ? "take it out"
                        : $"say it for each device: pci=[ {Devices(scenario.Guest, asked)} ]"));
            }
        }
        else if (rdm is { IsGiven: true, IsOfHost: true, Policy: null } && !guest.Xen.IsUpTo(4, 14))
        {
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.RdmIgnored,
                "with strategy=host alone xl (since Xen 4.15) leaves the policy to what is in its memory by chance; relaxed is taken here",
                Remedy: scenario.Guest.Pci.IsEmpty ? "take it out" : $"say it for each device: pci=[ {Devices(scenario.Guest, "relaxed")} ]"));
        }

        foreach (ByteRange dropped in guest.Memory?.Dropped ?? [])
        {
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.ReservedDeviceMemory,
                "the guest has RAM where a device uses memory by itself (RMRR), and with the relaxed policy is not told: "
                    + "the device's accesses there go wrong",
                dropped.Start,
                dropped.End));
        }

        if (scenario.Guest.Pci.IsEmpty || guest.Memory is not { } memory || rdm.IsOfHost)
            return;
        bool isTold = HvmDeviceMemory.IsToldToLibxl(scenario.Host);
        foreach (PfnRange range in isTold ? HvmDeviceMemory.Unowned(scenario.Host) : HvmDeviceMemory.PossiblyOf(scenario))
        {
            ByteRange bytes = ByteRange.FromFrames(range);
            bool isInRam = bytes.Overlaps(ByteRange.FromBounds(0, memory.LowEnd))
                || bytes.Overlaps(ByteRange.FromBounds(Frames.FourGiB, memory.HighEnd));
            if (!isInRam || (isTold && scenario.Guest.Pci.All(static assignment => assignment.RdmPolicy is not null)))
                continue;
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.ReservedDeviceMemory,
                $"a device of the host uses {ByteSize.ToText(bytes.SizeBytes)} of its memory by itself ({(isTold ? "RMRR" : "IVMD")}), where the "
                    + "guest " + (isTold || HvmDeviceMemory.Unowned(scenario.Host).Contains(range)
                        ? "has RAM, and the source does not tell which device: if the guest gets that one, " : "has RAM, and the guest gets it: ")
                    + (isTold ? "libxl gives way or refuses it" : "the device's accesses there go wrong, for up to Xen 4.15 libxl is not told of it"),
                bytes.Start,
                bytes.End,
                !isTold ? "boot Xen 4.16 or later, which tells libxl of it"
                    : $"if the device can do without it (a network card can, a graphics card may not): pci=[ "
                        + $"{Devices(scenario.Guest, "relaxed")} ]" + OwnWords.XlAlone(scenario.Guest.Toolstack)));
        }
    }

    private static void ReportBars(Scenario scenario, HvmGuest guest, HvmloaderRun run, List<Problem> problems)
    {
        if (run.Placement is not { } placement)
            return;
        BarPlacement[] unplaced = [.. placement.Bars.Where(static bar => bar.Why is not null)];
        bool isFull = unplaced.Any(static bar => bar.Why!.Reason == UnplacedReason.Window32Full);
        string? remedy = isFull && scenario.SeeksRemedies ? HoleRemedy(scenario, guest) : null;
        foreach (BarPlacement bar in unplaced.Take(MostNamed))
        {
            problems.Add(new(
                bar.Why!.Reason == UnplacedReason.BehindBridge ? Severity.Warning : Severity.Error,
                ProblemCodes.BarUnplaced,
                $"{NameOf(placement, bar)} gets no address: {bar.WhyText}",
                Remedy: bar.Why.Reason == UnplacedReason.Window32Full ? remedy : null));
        }

        if (unplaced.Length > MostNamed)
            problems.Add(new(Severity.Error, ProblemCodes.BarUnplaced,
                string.Create(CultureInfo.InvariantCulture, $"{unplaced.Length - MostNamed} more BARs get no address")));
        foreach (int bridge in run.Overwritten)
        {
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.BridgeOverwritten,
                $"hvmloader takes the registers of the bridge {FunctionText(placement, bridge)} for BARs and writes addresses over its bus numbers "
                    + $"and windows: what is behind it is only there once the operating system has set them right"));
        }
    }

    /// <summary>The smallest mmio_hole that places all BARs; what is to be done where there is none.</summary>
    private static string HoleRemedy(Scenario scenario, HvmGuest guest)
    {
        if (HvmHoles.SmallestFor(scenario, guest, static tried => tried.PlacesAll) is { } mib)
        {
            return string.Create(CultureInfo.InvariantCulture,
                $"put mmio_hole={mib} into the xl.cfg: then every BAR has its place{HvmHoles.WhoHasIt(scenario)}");
        }

        return HvmHoles.WhyNone(scenario, guest);
    }

    private static void ReportHole(HvmGuest guest, HvmloaderRun run, List<Problem> problems)
    {
        ulong lowest = Hvmloader.UsualStart;
        if (run.PciStart < lowest && guest.Memory is { HighEnd: > 0 } && guest.Settings.HoleBytes != 0)
        {
            problems.Add(new(
                Severity.Info,
                ProblemCodes.MmioHole,
                $"mmio_hole={guest.Settings.HoleBytes >> 20} leaves the guest {ByteSize.ToText(run.LowEnd)} of RAM below 4 GiB; another "
                    + $"{ByteSize.ToText(run.HighEnd - Frames.FourGiB)} above",
                run.PciStart,
                Frames.FourGiB));
        }

        if (guest.CountHigh == 0 || run.Placement is not { } placement)
            return;
        string list = string.Join(", ", placement.Bars.Where(static bar => bar.Address >= Frames.FourGiB).Take(4)
            .Select(bar => string.Create(CultureInfo.InvariantCulture,
                $"BAR {bar.Bar.Index} of {FunctionText(placement, bar.Function)} ({ByteSize.ToText(bar.Bar.SizeBytes)}) at 0x{bar.Address:x}")));
        problems.Add(new(
            Severity.Info,
            ProblemCodes.MmioHole,
            $"hvmloader puts {list} above 4 GiB: drivers and operating systems of 32 bits do not reach {(guest.CountHigh == 1 ? "it" : "them")}",
            run.High.Start,
            run.High.End));
    }

    private static string FunctionText(PciPlacement placement, int function) =>
        placement.Tree.Functions[function].Address.ToString()["0000:".Length..];

    private static string NameOf(PciPlacement placement, BarPlacement bar) => string.Create(
        CultureInfo.InvariantCulture,
        $"BAR {bar.Bar.Index} of {FunctionText(placement, bar.Function)} ({ByteSize.ToText(bar.Bar.SizeBytes)}, {bar.Bar.Type.Name()})");
}
