// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;

namespace Keyhole.Verification;

/// <summary>Says for people why a kernel could not claim the windows of devices, and what to change.</summary>
internal static class WindowExplanations
{
    /// <summary>Less memory lets go of RAM alone: what xl marks unusable begins at the end of the guest's RAM, and ends where it did.</summary>
    private static bool IsReserved(ImmutableArray<E820Entry> map, ByteRange range) =>
        map.Any(entry => entry.Type == E820Type.Reserved && entry.Range.Overlaps(range));

    private static string LessMemory(E820Type obstacle, ByteRange window, bool hasHosts) =>
        obstacle == E820Type.Ram ? window.Start >= Frames.FourGiB ? ", or less memory" : ", or less low memory"
        // Without the host's map it is what the kernel itself marks.
        : obstacle == E820Type.Unusable && hasHosts ? "; less memory does not help: what lies below the host's first reserved region "
            + "and is not the guest's RAM is marked unusable"
        : "";

    public static IEnumerable<Phrase> Of(PossibleForecasts possible, ObservedBoot observed, Plan? plan)
    {
        // What several windows meet is one fault.
        foreach (IGrouping<(string?, ByteRange, bool), LogFact<FailedClaim>> claims in observed.Facts.FailedClaims.GroupBy(
            static claim => (claim.Value.Obstacle, claim.Value.ObstacleRange, claim.Value.IsRomsCopy)))
            yield return Bar(possible, observed, plan, [.. claims]);
    }

    /// <param name="possible">What was forecast.</param>
    /// <param name="observed">The boot.</param>
    /// <param name="plan">The guest's; null where it is not known.</param>
    /// <param name="claims">Of windows that meet the same.</param>
    private static Phrase Bar(PossibleForecasts possible, ObservedBoot observed, Plan? plan, LogFact<FailedClaim>[] claims)
    {
        BootForecast forecast = possible.All[0];
        FailedClaim failed = claims[0].Value;
        bool isOne = claims.Length == 1;
        string lines = $"{(isOne ? "Line" : "Lines")} {Listed([.. claims.Select(static claim => $"{claim.Line}")])}";
        string windows = $"{(isOne ? "window" : "windows")} {Listed([.. claims.Select(static claim => Verifier.Range(claim.Value.Window))])}";
        string meets = isOne ? "conflicts" : "conflict";
        string unusable = isOne ? "so the device is not usable" : "so what needs them is not usable";
        if (failed.Obstacle is not { } obstacle)
            return $"{lines}: the {windows} could not be claimed for a reason that is not the memory map's.";
        if (obstacle.Length == 0)
            return $"{lines}: the {windows} could not be claimed; why not does not stand in {(isOne ? "that line" : "these lines")}.";
        bool isType = IomemSyntax.TryType(obstacle, out E820Type type);
        if (isType && type == E820Type.Reserved)
            return $"{lines}: the {windows} {meets} with "
                + (IsReserved(forecast.KernelMap, failed.ObstacleRange)
                    || (observed.Map is { } map && IsReserved(map.Entries, failed.ObstacleRange))
                    ? $"reserved memory of the map, {Verifier.Range(failed.ObstacleRange)}."
                    : $"{Verifier.Range(failed.ObstacleRange)}, which the kernel calls reserved, and which neither the forecast's map nor the log's "
                        + "has as such: what reserved it does not stand there.")
                + (failed.IsRomsCopy
                    ? " Below 1 MiB lies the copy of a display's ROM, which is no BAR: nothing is lost."
                    : "");
        if (obstacle == RamBuffer)
            return $"{lines}: the {windows} {meets} with {InputError.Quote(obstacle)} {Verifier.Range(failed.ObstacleRange)}, {unusable}. Linux "
                + "keeps devices out of what is behind the end of RAM in the map, up to the next multiple of 64 MiB.";
        if (obstacle == Vocabulary.ScratchName)
            return $"{lines}: the {windows} {meets} with {InputError.Quote(obstacle)} {Verifier.Range(failed.ObstacleRange)}, {unusable}. Linux has "
                + $"taken these addresses itself, as room for pages of other domains: they are not the map's. What to change: "
                + (forecast.Request.IsDom0 ? "have the device there when dom0 boots."
                    : $"let the kernel claim the device before that: {Earlier(plan)}.");
        if (!isType)
            return $"{lines}: the {windows} {meets} with {InputError.Quote(obstacle)}, which is not RAM, ACPI or unusable memory "
                + $"of the map: the devices' addresses conflict, not the map.";
        string met = $"{lines}: the device's {windows} {meets} with {obstacle} {Verifier.Range(failed.ObstacleRange)}";
        bool isDom0 = forecast.Request.IsDom0;
        if (HotPlugged(possible, observed, failed) is { Length: > 0 } how)
        {
            bool ranWithout = plan is not null && IsOfMemoryAlone(plan, observed);
            bool canGrow = plan is not null && !ranWithout && plan.Guest.MaxmemKiB > plan.Guest.MemoryKiB;
            string balloon = isDom0 || plan is null || canGrow || forecast.ReleasedPages != 0
                ? ""
                : ranWithout ? $" The map in the log has no RAM for more than {OwnWords.Memory(plan.Guest.Toolstack)} "
                    + $"({plan.Guest.MemoryKiB >> 10} MiB), so the guest that ran had no higher {OwnWords.Most(plan.Guest.Toolstack)} and it was not "
                    + "its balloon that grew: kernels add such memory for other domains' pages (grants), too."
                : $" The guest's {OwnWords.Most(plan.Guest.Toolstack)} is its {OwnWords.Memory(plan.Guest.Toolstack)}, so it was not its balloon "
                    + "that grew: kernels add such memory for other domains' pages (grants), too.";
            string smaller = !isDom0 && canGrow
                ? $"set {OwnWords.Most(plan!.Guest.Toolstack)} to {OwnWords.Memory(plan.Guest.Toolstack)} ({plan.Guest.MemoryKiB >> 10} MiB), so "
                    + "that the balloon has nothing to add; or "
                : "";
            // In dom0 Linux itself claims windows, before any driver: what is there at boot before any memory is added.
            if (isDom0 && forecast.ReleasedPages == 0 && forecast.Request.MaxPages <= forecast.Request.PageCount)
                return $"{met}, {unusable}. {how} dom0 may have no more than it starts with, so it was not its "
                    + "balloon that grew: kernels add such memory for other domains' pages (grants), too. What to change: have the device there when "
                    + "dom0 boots.";
            if (isDom0)
                return $"{met}, {unusable}. {how} What to change: keep dom0 from growing (dom0_mem=N,max:N on Xen's command line), or have the "
                    + $"device there when dom0 boots.";
            return $"{met}, {unusable}. {how}{balloon} What to change: {smaller}let the kernel claim the device before it adds "
                + $"memory: {Earlier(plan)}.";
        }

        if (isDom0)
            return $"{met} of the machine's map, {unusable}. What to change: the firmware's settings (above 4G decoding, memory "
                + $"remapping), so that {(isOne ? "the window is" : "the windows are")} in a gap or in reserved memory.";
        if (plan is { Guest.IsStubDomain: true })
            return $"{met} of the stubdomain's map, {unusable}. What to change: less memory for it; libxl gives a stubdomain no map of the host's, "
                + $"whatever its kernel advises (\"e820_host=1\").";
        // Whether the host's map is on, the log's own map tells, or the forecast's where the log has none; where it is, another policy's map or less
        // memory is what is left.
        bool hasHosts = observed.Map is { Error: null, Entries.IsEmpty: false } own
            ? own.Entries.Any(Explanations.IsTheHosts) : possible.All.Any(static one => one.Request.Map.Any(Explanations.IsTheHosts));
        Phrase other = hasHosts ? $"{Setting.Compare} tries the policies"
            : LibxlPolicy.IsKnownTo(plan?.Host.Traits.XenVersion) ? (Phrase)$"{OwnWords.HostMap(forecast.Request.Toolstack)} gives the host's"
            : (Phrase)$"{LibxlPolicy.Later}, whose toolstack gives the host's";
        return $"{met} of the guest's map, {unusable}. What to change: a map in which {(isOne ? "the window is" : "the windows are")} in a gap or in "
            + $"reserved memory ({other}){LessMemory(type, failed.Window, hasHosts)}.";
    }

    /// <summary>Linux' name of what it keeps between the end of RAM and the next multiple of 64 MiB (less below 16 MiB).</summary>
    /// <remarks>Source: arch/x86/kernel/e820.c, ram_alignment; golden/plain4g's iomem has it.</remarks>
    private const string RamBuffer = "RAM buffer";

    /// <summary>How a guest's kernel comes to claim a device before it has added memory. What is in force already is no remedy.</summary>
    private static string Earlier(Plan? plan) => plan is { Guest.Pci.IsEmpty: false } ? "build the driver of its bus (xen-pcifront) into the kernel"
        : "give it to the domain before it starts, with the driver of its bus (xen-pcifront) built into the kernel";

    /// <summary>Whether the log's map has RAM for the memory that the guest starts with alone, though it was told to have more as its most: the guest
    /// that ran had no such most, as the map has RAM for all of it.</summary>
    private static bool IsOfMemoryAlone(Plan plan, ObservedBoot observed) =>
        plan.Guest.MaxmemKiB > plan.Guest.MemoryKiB && observed.Map is { Error: null, Cuts.IsEmpty: true, Garbled.IsEmpty: true } map
            && !observed.MapMayEndEarly && OtherGuest.SizeKiBIn(map) is { } size && size <= plan.Guest.MemoryKiB;

    /// <summary>One, two or three of several, and how many more there are.</summary>
    private static string Listed(string[] items)
    {
        const int most = 3;
        return items.Length > most ? $"{string.Join(", ", items[..most])} and {items.Length - most} more"
            : items.Length == 1 ? items[0] : $"{string.Join(", ", items[..^1])} and {items[^1]}";
    }

    /// <summary>
    /// Proven by: the obstacle is RAM, and the map that the kernel started with has none there; it is the log's own where it has one. Linux adds
    /// memory in whole sections of 128 MiB. Empty where the RAM was given.
    /// </summary>
    private static string HotPlugged(PossibleForecasts possible, ObservedBoot observed, FailedClaim failed)
    {
        const ulong section = BalloonForecast.SectionBytes;
        // Behind the end of a map that is cut nothing is proven.
        if (failed.Obstacle != LinuxTypeNames.OfResource(E820Type.Ram) || (observed is { Map: { } cut, MapMayEndEarly: true }
            && (cut.Entries.IsEmpty || cut.Entries[^1].Address < failed.ObstacleRange.End)))
            return "";
        LogMap? own = observed.Map is { Entries.IsEmpty: false } map ? map : null;
        ImmutableArray<E820Entry>[] given = own is not null ? [own.Entries] : [.. possible.All.Select(static one => one.KernelMap)];
        ByteRange obstacle = failed.ObstacleRange;
        // What is left out of a map may be RAM, unless the kernel calls it a gap.
        if (own?.RangesLeftOut().Any(range => range.Overlaps(obstacle)) == true && observed.Facts.PciGap?.Value.Contains(obstacle) != true)
            return "";
        // RAM that the kernel's own command line makes was there from the start.
        if (MakesRam(observed, obstacle))
            return "";
        if (given[0].IsEmpty || obstacle.IsEmpty || given.Any(one => one.Any(entry => entry.IsRam && entry.Range.Overlaps(obstacle))))
            return "";
        string source = own is not null ? $"the kernel's map (line {own.Line} on) has no RAM there"
            : "by the forecast the kernel's map has no RAM there";
        bool isSections = ((obstacle.Start | obstacle.End) & (section - 1)) == 0;
        string sections = isSections
            ? $", and it is {ByteSize.ToText(obstacle.SizeBytes)} of whole 128 MiB sections, as Linux adds memory at the lowest free address" : "";
        return $"That memory was not given but hot-plugged later: {source}{sections}.";
    }

    private static bool MakesRam(ObservedBoot observed, ByteRange range) =>
        observed.UserMap?.Entries.Any(entry => entry.IsRam && entry.Range.Overlaps(range)) == true
            || observed.Facts.Edits.Any(edit => edit.Value is { NewType: E820Type.Ram } made && made.Range.Overlaps(range))
            || (observed.Facts.CommandLine is { } line && KernelMemoryOptions.Of(line.Value).Any(option =>
                option is { Type: E820Type.Ram, Kind: KernelMemoryOptionKind.Range or KernelMemoryOptionKind.Change }
                    && option.Range.Overlaps(range)));
}
