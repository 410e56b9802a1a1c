// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Diagnostics;
using Keyhole.Guests;

namespace Keyhole.Platforms;

/// <summary>What is wrong with a guest's configuration, or ineffective in it, on more than one platform.</summary>
public static class GuestReview
{
    internal static void ReportMaxmem(GuestSpec guest, List<Problem> problems)
    {
        ArgumentNullException.ThrowIfNull(guest);
        ArgumentNullException.ThrowIfNull(problems);
        if (guest.MaxmemKiB >= guest.MemoryKiB)
            return;
        string consequence = guest.UsesHostMap
            ? "; libxl subtracts without checking and takes the difference for 2^64 less that much of balloon memory"
            : "";
        problems.Add(new(
            Severity.Error,
            ProblemCodes.MaxmemBelowMemory,
            $"maxmem ({guest.MaxmemKiB >> 10} MiB) is below memory ({guest.MemoryKiB >> 10} MiB){consequence}",
            Remedy: $"set {OwnWords.Most(guest.Toolstack)} to {guest.MemoryKiB >> 10} {(guest.Toolstack == Toolstack.Libvirt ? "MiB " : "")}or more"
                + (guest.Toolstack == Toolstack.Libvirt ? "" : ", or leave it out")));
    }

    /// <summary>That Xen fills what an HVM or PVH guest has beyond its memory when it is first touched, up to what its balloon driver left
    /// it.</summary>
    internal static void ReportOnDemand(GuestSpec guest, List<Problem> problems)
    {
        ArgumentNullException.ThrowIfNull(guest);
        ArgumentNullException.ThrowIfNull(problems);
        if (guest.MaxmemKiB <= guest.MemoryKiB)
            return;
        problems.Add(new(
            Severity.Info,
            ProblemCodes.PopulateOnDemand,
            $"Xen fills the {guest.MaxmemKiB >> 10} MiB of maxmem as the guest touches them, and ends a guest that touches more than memory "
                + $"({guest.MemoryKiB >> 10} MiB) before its balloon driver has given back the rest (\"out of PoD memory\")",
            Remedy: $"if the guest has no balloon driver: {OnDemandCure(guest)}"));
    }

    /// <summary>For a guest with more maxmem than memory.</summary>
    internal static string OnDemandCure(GuestSpec guest)
    {
        string most = OwnWords.Most(guest.Toolstack);
        string memory = OwnWords.Memory(guest.Toolstack);
        return $"set {most} to {memory} ({guest.MemoryKiB >> 10} MiB), or {memory} to {most} ({guest.MaxmemKiB >> 10} MiB) if the guest needs it";
    }

    /// <summary>That a guest of Xen with firmware or a boot ABI of its own does not follow the host's map, although it was asked to.</summary>
    /// <param name="type">PVH or HVM.</param>
    internal static void ReportNotPv(string type, GuestSpec guest, List<Problem> problems)
    {
        ArgumentNullException.ThrowIfNull(guest);
        ArgumentNullException.ThrowIfNull(problems);
        // Nobody who did not ask for the host's map has to hear of it.
        if (guest.E820Host != true)
            return;
        problems.Add(new(
            Severity.Warning,
            ProblemCodes.NotPv,
            $"e820_host does nothing: the guest is {type}, and libxl gives the host's map to PV guests alone",
            Remedy: $"take it out, or set {OwnWords.Type(guest.Toolstack, GuestType.Pv)} if the guest is meant to see the host's map"));
    }

    /// <summary>Why nobody can give a guest of Xen that is no PV one another map: behind "the guest is no PV guest: ".</summary>
    public static string WhyNoOtherMap(GuestType? type) => type switch
    {
        GuestType.Hvm => "hvmloader makes an HVM guest's map from its mmio_hole=, and no installed map reaches its firmware",
        GuestType.Pvh => "libxl writes a PVH guest's map into its memory, where the kernel finds it, and no installed map replaces it",
        _ => "its map is not the one that Xen's call installs",
    };

    /// <summary>What to do instead.</summary>
    /// <param name="type">The guest's; null where nobody knows it.</param>
    /// <param name="toolstack">In whose words its configuration is.</param>
    public static Phrase InsteadOfAnotherMap(GuestType? type, Toolstack toolstack = Toolstack.Xl)
    {
        string pv = $"set {OwnWords.Type(toolstack, GuestType.Pv)}";
        // Not a conditional expression: its branches would be strings before they are a phrase, and the setting a bare name. libvirt has no element
        // for the size of the hole.
        if (type == GuestType.Hvm && toolstack == Toolstack.Xl)
            return $"ask '{Setting.Compare}' which mmio_hole= places its BARs, or {pv}";
        return pv;
    }

    internal static Problem MapNotKnown(string why) => new(Severity.Warning, ProblemCodes.MapNotKnown, $"the guest's map is not known: {why}");
}
