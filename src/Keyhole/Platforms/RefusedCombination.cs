// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;

namespace Keyhole.Platforms;

/// <summary>Settings of a guest that libxl, or Xen, does not take together.</summary>
/// <remarks>
/// Source: initiate_domain_create and libxl__domain_config_setdefault in libxl_create.c, in their order, and Xen's arch_sanitise_domain_config, of
/// the releases 4.5 to 4.22 by their tags; values that are not taken by themselves come from <see cref="XlRefusal"/>. What Xen refuses it says in a
/// debug build alone; else libxl's words are all there is.
/// </remarks>
internal static class RefusedCombination
{
    /// <summary>libxl's words for a PVH guest with a device.</summary>
    public const string NoPvhPassthrough = "passthrough not yet supported for x86 PVH guests";

    /// <summary>libxl's words for what Xen does not take.</summary>
    private const string Invalid = "domain creation fail: Invalid argument";

    /// <summary>Processors that an HVM or PVH guest of Xen's has at most (HVM_MAX_VCPUS).</summary>
    private const int MostProcessors = 128;

    /// <summary>Xen where nothing tells the host's release.</summary>
    private static readonly XenVersion s_usualXen = new(4, 17);

    /// <param name="Words">The toolstack's.</param>
    /// <param name="Why">What they leave out; empty where they say it.</param>
    /// <param name="Ways">What would help, to be tried in this order.</param>
    private readonly record struct Refusal(string Words, string Why, IEnumerable<(string Text, GuestSpec Guest)> Ways);

    /// <summary>Whether a release takes together what the one that is assumed refuses.</summary>
    public static bool DependsOn(XenVersion? xen) => xen is { } known && (known.Major, known.Minor) != (s_usualXen.Major, s_usualXen.Minor);

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

    /// <summary>Whether an HVM guest of xl's is to boot something of which there is no kernel: hvmloader is none, to xl.</summary>
    private static bool LacksKernel(GuestSpec guest) => guest is { Type: GuestType.Hvm, Toolstack: Toolstack.Xl }
        && (guest.Ramdisk ?? guest.CommandLine) is not null
        && (guest.Kernel is not { } kernel || kernel[(kernel.LastIndexOf('/') + 1)..] == "hvmloader");

    private static string KernelKeys(GuestSpec guest)
    {
        string[] given = [.. ((string[])["ramdisk", "cmdline", "root", "extra"]).Where(guest.Keys.Has).Select(static key => $"{key}=")];
        return given.Length == 0 ? guest.Ramdisk is null ? "cmdline=" : "ramdisk=" : Listed.Of(given);
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
        if (guest is { IsTypeAlone: true, Type: GuestType.Hvm, Toolstack: Toolstack.Xl } && XlReleases.HasNoType(xen))
        {
            return new("Neither kernel nor bootloader specified",
                $" (the xl of Xen {xen} passes over type=, which came with 4.10, and makes a PV guest)",
                [("put builder=\"hvm\" beside type=", guest with { IsTypeAlone = false })]);
        }

        if (OfValue(XlStage.Xl) is { } value)
            return value;
        if (IsSince(13) && has.Passthrough == false && !guest.Pci.IsEmpty)
            return new("passthrough disabled but devices are specified", "", [WithoutPassthrough()]);
        if (IsSince(13) && has.Passthrough == true && guest.Pci.IsEmpty && scenario.Host.Traits.UsesIommu == false)
        {
            return new(UnusedIommu.Words, " (Xen uses no IOMMU on this host, and passthrough= asks for one)",
                [WithoutPassthrough()]);
        }

        if (IsSince(13) && has.Passthrough == true && guest.Pci.IsEmpty && guest.Type == GuestType.Pvh)
            return new(NoPvhPassthrough, "", [WithoutPassthrough()]);
        if (IsSince(13) && has.SharesTables && UnusedIommu.RefusalOf(scenario) is null && (isPv || (has.HasNoHap && guest.Type == GuestType.Hvm)))
        {
            return new($"passthrough=\"share_pt\" {(isPv ? "not valid for PV domain" : "only valid for HAP guests")}", "",
                [WithoutPassthrough()]);
        }

        // What libxl says next of a guest with a device is said elsewhere.
        if (IsSince(13) && !guest.Pci.IsEmpty && (guest.Type == GuestType.Pvh || UnusedIommu.RefusalOf(scenario) is not null))
            return null;
        if (IsSince(6) && has.HasVnuma && isOnDemand)
        {
            return new("Cannot enable PoD and vNUMA at the same time", " (PoD: maxmem is more than memory)",
                [Without("vnuma", has with { HasVnuma = false }), Filled()]);
        }

        if (IsSince(6) && has.HasVnuma && isPv)
            return new("PV vNUMA is not yet supported", "", [Without("vnuma", has with { HasVnuma = false })]);
        if (OfValue(XlStage.Defaults) is { } unfit)
            return unfit;
        if (IsSince(6) && LacksKernel(guest))
        {
            return new("direct boot parameters specified but kernel missing", "",
                [($"take {KernelKeys(guest)} out", guest with { Ramdisk = null, CommandLine = null })]);
        }

        // The limit is meant to be of processors, and is one of bytes of a bitmap.
        if (IsSince(7) && guest.Vcpus > MostProcessors * 8)
            return new("avail_vcpus bitmap contains too many VCPUS", "", []);
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
            return new(Invalid, " (since 4.15 Xen gives no nested virtualisation without HAP)",
                [Without("hap", has with { HasNoHap = false }), Without("nestedhvm", has with { IsNested = false })]);
        }

        if (OfAltP2m() is { } untold)
            return untold;
        if (!isPv && Math.Max(guest.Vcpus, guest.MaxVcpus ?? 0) > MostProcessors)
        {
            return new(IsSince(12) ? Invalid : "Couldn't set max vcpu count",
                $" (HVM and PVH guests have at most {MostProcessors} virtual processors)", []);
        }

        return OfValue(XlStage.Domain) ?? OfValue(XlStage.DeviceModel);

        Refusal? OfValue(XlStage stage)
        {
            if (guest.Toolstack != Toolstack.Xl)
                return null;
            XlRefusal? found = guest.Refusals.FirstOrDefault(refusal => refusal.Stage == stage && refusal.IsOf(guest.Type, xen));
            return found is null ? null : new(found.Words, found.Why, found.Ways.Split('|').Where(static way => way.Length > 0).Select(TakenOut));
        }

        (string, GuestSpec) TakenOut(string way)
        {
            string[] keys = way.Split('+');
            return ($"take {Listed.Of([.. keys.Select(static key => $"{key}=")])} out", guest.Without(keys));
        }

        // Since 4.19 libxl tells Xen of altp2m when it asks for the domain, whatever its type.
        Refusal? OfAltP2m()
        {
            bool hasMode = has.HasAltP2m || (has.HasOldAltP2m && guest.Type == GuestType.Hvm);
            if (IsSince(19) && hasMode && (isPv || has.HasNoHap))
            {
                return new(Invalid, " (since 4.19 Xen gives altp2m to guests with HAP alone)",
                    isPv ? [WithoutAltP2m()] : [WithoutAltP2m(), Without("hap", has with { HasNoHap = false })]);
            }

            const long unset = ushort.MaxValue;
            const long usual = 10;
            const long largest = 512;
            long count = has.AltP2mCount is { } told and not unset ? told : hasMode && guest.Type == GuestType.Hvm ? usual : 0;
            if (!IsSince(21) || (hasMode ? count is > 0 and <= largest : count == 0))
                return null;
            (string, GuestSpec) countOut = Without("altp2m_count", has with { AltP2mCount = null });
            return new(Invalid, hasMode
                ? $" (altp2m needs an altp2m_count= from 1 to {largest}; of HVM guests alone it is {usual} where it is not set)"
                : " (altp2m_count= is set, and altp2m= is not)", [countOut, WithoutAltP2m()]);
        }

        bool IsSince(int minor) => !xen.IsUpTo(4, minor - 1);

        (string, GuestSpec) Without(string key, GuestFeatures features) =>
            ($"take {key}= out", guest with { Features = features, Hvm = key == "vnuma" ? guest.Hvm.WithoutVnuma() : guest.Hvm });

        (string, GuestSpec) WithoutPassthrough() => Without("passthrough", has with { Passthrough = null, SharesTables = false });

        (string, GuestSpec) WithoutAltP2m() => Without(has.HasAltP2m ? "altp2m" : "altp2mhvm", has with { HasAltP2m = false, HasOldAltP2m = false });

        (string, GuestSpec) Equal() => ($"set maxmem to memory ({guest.MemoryKiB >> 10} MiB)", guest with { MaxmemKiB = guest.MemoryKiB });

        (string, GuestSpec) Filled() => ($"set memory to maxmem ({guest.MaxmemKiB >> 10} MiB)", guest with { MemoryKiB = guest.MaxmemKiB });
    }
}
