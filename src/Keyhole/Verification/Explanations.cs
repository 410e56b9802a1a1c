// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Platforms;

namespace Keyhole.Verification;

/// <summary>Says for people what a boot's log means: what lies in the way, which kernels cope, what to change, where memory went.</summary>
internal static class Explanations
{
    public static IEnumerable<string> Of(BootForecast forecast, ObservedBoot observed, ImmutableArray<Finding> findings, Plan? plan)
    {
        yield return Profile(forecast.Request, observed);
        bool agrees = findings.All(static finding => finding.Agrees);
        if (!agrees)
            yield return OtherProfiles(forecast.Request, observed);
        if (!agrees && OtherOrigin(forecast.Request, observed) is { Length: > 0 } origin)
            yield return origin;
        if (forecast.Halts)
        {
            foreach (string text in Halt(forecast))
                yield return text;
        }
        else if (!observed.Halts)
        {
            foreach (string text in MemoryStory.Of(forecast, observed, plan))
                yield return text;
        }

        foreach (string text in Bars(forecast, observed))
            yield return text;
        if (plan is not null && Learnt(plan) is { Length: > 0 } learnt)
            yield return learnt;
    }

    private static string Profile(BootRequest request, ObservedBoot observed)
    {
        string name = $"{KernelVersions.NameOf(request.Kernel)} ({KernelVersions.ReleasesOf(request.Kernel, request.Kernel)})";
        if (observed.Release is not { } release)
            return $"The log names no kernel version; it is compared with {name}.";
        string other = observed.Kernel is { } own && own != request.Kernel ? $", although {KernelVersions.NameOf(own)} stands for it" : "";
        return $"The log is of Linux {release.Value} (line {release.Line}); it is compared with {name}{other}.";
    }

    private static string OtherProfiles(BootRequest request, ObservedBoot observed)
    {
        string agreeing = string.Join(", ", Verifier.Agreeing(request, observed).Select(KernelVersions.NameOf));
        return agreeing.Length == 0
            ? "No kernel version that is known agrees with everything in the log: the map, the number of pages or the places of kernel and ramdisk are others than forecast."
            : $"Everything in the log agrees with {agreeing}: name it with --kernel if that is the kernel.";
    }

    /// <summary>Whether the guest of the log has the host's map and that of the forecast has not, or the reverse; empty where both are alike.</summary>
    private static string OtherOrigin(BootRequest request, ObservedBoot observed)
    {
        if (request.IsDom0 || observed.Map is not { } map)
            return "";
        bool isForecast = request.Map.Any(IsTheHosts);
        bool isObserved = map.Entries.Any(IsTheHosts);
        if (isObserved && !isForecast)
            return "The map in the log is made from a host's, the forecast's is not: the guest was started with e820_host=1 or a pci= entry. Say so with --e820-host or --pci, or give its configuration with --guest.";
        return isForecast && !isObserved && !observed.MapMayBeginLate && !observed.MapMayEndEarly
            ? "The map in the log is not made from a host's, the forecast's is: the guest was started without e820_host=1 and without a pci= entry."
            : "";
    }

    /// <summary>What is no RAM came from the host, but for the ISA range, which every kernel reserves.</summary>
    private static bool IsTheHosts(E820Entry entry) => !entry.IsRam && entry.End > 0x10_0000;

    private static IEnumerable<string> Halt(BootForecast forecast)
    {
        Problem halt = forecast.Problems.First(static problem => problem.Code == ProblemCodes.KernelHalts);
        yield return $"What lies in the way: {halt.Message}.";
        ImmutableArray<E820Entry> obstacles = Obstacles(forecast.Request);
        if (obstacles.Length > 1)
            yield return $"In all, the kernel, its start info and its page tables meet {string.Join(", ", obstacles.Select(MapComparison.Text))}.";
        ImmutableArray<BootForecast> survey = KernelSurvey.Of(forecast.Request);
        foreach (string text in KernelSurvey.Tell(survey))
            yield return $"By kernel: {text}.";
        yield return $"What to change: {string.Join("; or ", Remedies(forecast.Request, halt, survey))}.";
    }

    private static IEnumerable<string> Remedies(BootRequest request, Problem halt, ImmutableArray<BootForecast> survey)
    {
        bool found = false;
        if (KernelSurvey.ReleasesThat(static other => other.Boots, survey) is { Length: > 0 } releases)
        {
            found = true;
            yield return $"boot a kernel of {releases}";
        }

        if (KernelSurvey.PlaceThatBoots(request) is { } place)
        {
            found = true;
            yield return $"build this kernel with CONFIG_PHYSICAL_START=0x{place:x}: there it lies on RAM, and by the forecast it boots";
        }

        if (!request.IsDom0)
            yield return "give the guest a map that keeps RAM on both sides of what lies in the way (keyhole plan --policy punch shows one)";
        else if (!found)
            yield return halt.Remedy ?? "boot another kernel";
    }

    /// <summary>Everything in the map that is no RAM where the kernel, its start info and its page tables lie.</summary>
    private static ImmutableArray<E820Entry> Obstacles(BootRequest request)
    {
        GuestLayout layout = request.Layout;
        ByteRange[] needed = [layout.Kernel, layout.StartInfo, layout.PageTables];
        return
        [
            .. request.Map.Where(entry => !entry.IsRam && !(request.IsDom0 && entry.Type == E820Type.Unusable) && !entry.Wraps
                && needed.Any(range => range.Overlaps(ByteRange.FromBounds(entry.Address, entry.End)))).OrderBy(static entry => entry.Address),
        ];
    }

    private static IEnumerable<string> Bars(BootForecast forecast, ObservedBoot observed)
    {
        foreach (Sighting<FailedClaim> claim in observed.Facts.FailedClaims)
        {
            FailedClaim failed = claim.Value;
            if (failed.Obstacle is not { } obstacle)
            {
                yield return $"Line {claim.Line}: the window {Verifier.Range(failed.Window)} could not be claimed for a reason that is not the memory map's.";
            }
            else if (!BarFindings.IsOfMap(obstacle))
            {
                yield return $"Line {claim.Line}: the window {Verifier.Range(failed.Window)} meets {InputError.Quote(obstacle)}, which is no RAM, ACPI or unusable memory of the map: the devices' addresses conflict, not the map.";
            }
            else
            {
                yield return $"Line {claim.Line}: the device's window {Verifier.Range(failed.Window)} meets {obstacle} {Verifier.Range(failed.ObstacleRange)} of the {(forecast.Request.IsDom0 ? "machine's" : "guest's")} map, so the device is not usable. "
                    + (forecast.Request.IsDom0
                        ? "What to change: the firmware's settings (above 4G decoding, memory remapping), so that the window lies in a gap or in reserved memory."
                        : "What to change: a map in which the window lies in a gap or in reserved memory (e820_host=1 gives the host's), or less low memory.");
            }
        }
    }

    /// <summary>Pages that are known only because dom0's kernel prints them: there the log was compared with itself.</summary>
    private static string Learnt(Plan plan)
    {
        if (plan.Host.Traits.ReservedInDom0.IsEmpty)
            return "";
        ImmutableArray<E820Entry> without = MachineMap.Of(plan.Host with { Traits = plan.Host.Traits with { ReservedInDom0 = [] } });
        string[] learnt = [.. plan.MachineMap.Where(entry => !without.Contains(entry)).Select(MapComparison.Text)];
        return learnt.Length == 0
            ? ""
            : $"Not verified: {string.Join(", ", learnt)} in the machine map. The firmware does not name it; it was taken from dom0's own lines, as what Xen keeps to itself (IOMMU registers and the like).";
    }
}
