// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;

namespace Keyhole.Platforms;

/// <summary>Settings of a guest that libxl, or Xen, does not take together.</summary>
/// <remarks>
/// Source: initiate_domain_create and libxl__domain_config_setdefault in libxl_create.c, in their order, and Xen's arch_sanitise_domain_config, of
/// the releases 4.5 to 4.20 by their tags. What Xen refuses it says in a debug build alone; else libxl's words are all there is.
/// </remarks>
internal static class RefusedCombination
{
    /// <summary>libxl's words for a PVH guest with a device.</summary>
    public const string NoPvhPassthrough = "passthrough not yet supported for x86 PVH guests";

    /// <summary>Xen where nothing tells the host's release.</summary>
    private static readonly XenVersion s_usualXen = new(4, 17);

    /// <param name="Words">The toolstack's.</param>
    /// <param name="Why">What they leave out; empty where they say it.</param>
    /// <param name="Ways">What would help, to be tried in this order.</param>
    private readonly record struct Refusal(string Words, string Why, IEnumerable<(string Text, GuestSpec Guest)> Ways);

    /// <summary>Whether a release takes together what the one that is assumed refuses.</summary>
    public static bool DependsOn(XenVersion? xen) => xen?.IsUpTo(4, 14) == true;

    /// <summary>The toolstack's words; null where it has none of them to refuse.</summary>
    public static string? WordsOf(Scenario scenario) => Find(scenario) is { } found ? found.Words : null;

    /// <summary>The problem; null where there is none. Its remedies are those with which <paramref name="platform"/> starts the guest.</summary>
    public static Problem? ProblemOf(Scenario scenario, IPlatform platform)
    {
        if (Find(scenario) is not { } found)
            return null;
        string[] helps = scenario.SeeksRemedies ? [.. found.Ways.Where(way => platform
            .Plan(scenario with { Guest = way.Guest, SeeksRemedies = false }).Problems.All(IsNoRefusal)).Select(static way => way.Text)] : [];
        return new(Severity.Error, ProblemCodes.GuestDoesNotStart, $"the guest is not created: {found.Words}{found.Why}",
            Remedy: helps.Length == 0 ? null : string.Join(", or ", helps));
    }

    private static bool IsNoRefusal(Problem problem) => problem.Code != ProblemCodes.GuestDoesNotStart;

    private static Refusal? Find(Scenario scenario)
    {
        GuestSpec guest = scenario.Guest;
        GuestFeatures has = guest.Features;
        XenVersion xen = scenario.Host.Traits.XenVersion ?? s_usualXen;
        bool isPv = guest.Type == GuestType.Pv;
        bool isOnDemand = !isPv && guest.MaxmemKiB > guest.MemoryKiB;
        bool hasAltP2m = (has.HasAltP2m && !isPv && IsSince(9)) || (has.HasOldAltP2m && guest.Type == GuestType.Hvm);
        if (IsSince(13) && has.Passthrough == false && !guest.Pci.IsEmpty)
            return new("passthrough disabled but devices are specified", "", [Without("passthrough", has with { Passthrough = null })]);
        if (IsSince(13) && has.Passthrough == true && guest.Pci.IsEmpty && scenario.Host.Traits.UsesIommu == false)
        {
            return new(UnusedIommu.Words, " (Xen uses no IOMMU on this host, and passthrough= asks for one)",
                [Without("passthrough", has with { Passthrough = null })]);
        }

        if (IsSince(13) && has.Passthrough == true && guest.Pci.IsEmpty && guest.Type == GuestType.Pvh)
            return new(NoPvhPassthrough, "", [Without("passthrough", has with { Passthrough = null })]);
        if (IsSince(6) && has.HasVnuma && isOnDemand)
        {
            return new("Cannot enable PoD and vNUMA at the same time", " (PoD: maxmem is more than memory)",
                [Without("vnuma", has with { HasVnuma = false }), Filled()]);
        }

        if (IsSince(6) && has.HasVnuma && isPv)
            return new("PV vNUMA is not yet supported", "", [Without("vnuma", has with { HasVnuma = false })]);
        // In 4.10 libxl looks for altp2mhvm= where other guests have other things.
        if (IsSince(6) && has.IsNested && !isPv && hasAltP2m && (has.HasAltP2m || (xen.Major, xen.Minor) != (4, 10)))
        {
            return new("nestedhvm and altp2mhvm cannot be used together", "",
                [WithoutAltP2m(), Without("nestedhvm", has with { IsNested = false })]);
        }

        if (IsSince(8) && hasAltP2m && isOnDemand)
        {
            return new("Cannot enable PoD and ALTP2M at the same time", " (PoD: maxmem is more than memory)",
                [Equal(), WithoutAltP2m()]);
        }

        if (IsSince(15) && has.IsNested && has.HasNoHap && !isPv)
        {
            return new("domain creation fail: Invalid argument", " (since 4.15 Xen gives no nested virtualisation without HAP)",
                [Without("hap", has with { HasNoHap = false }), Without("nestedhvm", has with { IsNested = false })]);
        }

        return null;

        bool IsSince(int minor) => !xen.IsUpTo(4, minor - 1);

        (string, GuestSpec) Without(string key, GuestFeatures features) =>
            ($"take {key}= out", guest with { Features = features, Hvm = key == "vnuma" ? guest.Hvm.WithoutVnuma() : guest.Hvm });

        (string, GuestSpec) WithoutAltP2m() => Without(has.HasAltP2m ? "altp2m" : "altp2mhvm", has with { HasAltP2m = false, HasOldAltP2m = false });

        (string, GuestSpec) Equal() => ($"set maxmem to memory ({guest.MemoryKiB >> 10} MiB)", guest with { MaxmemKiB = guest.MemoryKiB });

        (string, GuestSpec) Filled() => ($"set memory to maxmem ({guest.MaxmemKiB >> 10} MiB)", guest with { MemoryKiB = guest.MaxmemKiB });
    }
}
