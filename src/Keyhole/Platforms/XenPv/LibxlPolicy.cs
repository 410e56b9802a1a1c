// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;

namespace Keyhole.Platforms.XenPv;

/// <summary>
/// What the real libxl does with <c>e820_host</c> (unchanged since Xen 4.3 of 2013), entry for entry and slip for slip. Judged by the golden records;
/// Xen 4.2 by the source.
/// </summary>
/// <remarks>
/// One thing is not copied: libxl does not check whether its result fits 128 entries and would write behind its array; here that is a
/// problem with no entries.
/// </remarks>
public sealed class LibxlPolicy : IHolePolicy
{
    /// <summary>libxl's ERROR_INVAL.</summary>
    public const int ErrorInvalid = -6;

    /// <summary>libxl's ERROR_NOMEM.</summary>
    public const int ErrorNoMemory = -5;

    /// <inheritdoc/>
    public string Name => "libxl";

    /// <inheritdoc/>
    public PolicyTraits Traits { get; } = new(PolicyNeeds.Nothing, 0);

    /// <inheritdoc/>
    public PolicyResult Lay(PolicyInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        // Unsigned and unchecked in libxl: maxmem below memory wraps.
        ulong balloonKiB = unchecked(input.Guest.MaxmemKiB - input.Guest.MemoryKiB);
        if (!LosesWhatIsCut(input.Xen))
            return Sanitize(input.MachineMap, input.Guest.MemoryKiB, balloonKiB);
        PolicyResult result = Sanitize(input.MachineMap, input.Guest.MemoryKiB, balloonKiB, losesWhatIsCut: true);
        ulong keptKiB = result.Entries.IsEmpty ? input.Guest.MemoryKiB : result.Entries[0].Entry.Size >> 10;
        return balloonKiB != 0 || keptKiB >= input.Guest.MemoryKiB ? result
            : result with { Problems = result.Problems.Add(Lost(input.Xen!.Value, keptKiB, input.Guest)) };
    }

    private static Problem Lost(XenVersion xen, ulong keptKiB, GuestSpec guest)
    {
        (string cut, string memory) = ByteSize.ToTexts((guest.MemoryKiB - keptKiB) << 10, guest.MemoryKiB << 10);
        return new(
            Severity.Warning,
            ProblemCodes.LowMemoryLost,
            $"the toolstack of Xen {xen} puts the {cut} of {memory} that it cuts off nowhere: the guest gives them back to Xen",
            keptKiB << 10,
            Remedy: $"set {MoreThanMemory(guest)}: then it puts them at 4 GiB; or take Xen 4.3 or later");
    }

    /// <summary>What helps a guest on a host whose toolstack makes no such map: 4.2's loses memory with it.</summary>
    internal const string Later = "take Xen 4.3 or later";

    /// <summary>Whether a toolstack knows <c>e820_host</c>: Xen's since 4.2. One that is not known is taken to be a newer one's.</summary>
    public static bool IsKnownTo(XenVersion? xen) => xen?.IsUpTo(4, 1) != true;

    /// <summary>Xen 4.2 has room for what is cut off only where <c>maxmem</c> is more than <c>memory</c>; else that memory is lost.</summary>
    private static bool LosesWhatIsCut(XenVersion? xen) => xen?.IsUpTo(4, 2) == true;

    private static string MoreThanMemory(GuestSpec guest)
    {
        const ulong oneMiB = 1024;
        return guest.Toolstack == Toolstack.Libvirt ? $"<memory unit='KiB'>{guest.MemoryKiB + oneMiB}</memory>, more than <currentMemory>"
            : $"maxmem={(guest.MemoryKiB / oneMiB) + 1}, more than memory=";
    }

    /// <summary>libxl's <c>e820_sanitize</c> on its own terms.</summary>
    /// <param name="machineMap">What <c>XENMEM_machine_memory_map</c> returned.</param>
    /// <param name="limitKiB">The guest's <c>memory</c>.</param>
    /// <param name="balloonKiB"><c>maxmem</c> − <c>memory</c>, modulo 2^64.</param>
    /// <param name="losesWhatIsCut">As Xen 4.2 does it: without a balloon's room there is no RAM behind the hole.</param>
    public static PolicyResult Sanitize(ImmutableArray<E820Entry> machineMap, ulong limitKiB, ulong balloonKiB, bool losesWhatIsCut = false)
    {
        if (limitKiB == 0 || machineMap.IsEmpty)
        {
            string what = limitKiB == 0 ? "the guest has no memory" : "the host's map is empty";
            return Failure(ErrorInvalid, $"libxl refuses this with error {ErrorInvalid} (ERROR_INVAL): {what}",
                "give the guest memory and a host map");
        }

        if (machineMap.Length > E820Table.MaxEntries)
        {
            return Failure(
                ErrorNoMemory,
                $"libxl refuses this with error {ErrorNoMemory} (ERROR_NOMEM): the host's map has {machineMap.Length} "
                    + $"entries, libxl takes {E820Table.MaxEntries}",
                "have the firmware report fewer ranges, or install a map of another policy");
        }

        List<E820Entry> regions = [];
        foreach (E820Entry entry in machineMap)
        {
            if (entry.Address > X86Layout.OneMiB)
                regions.Add(entry);
        }

        ulong start = LowestDevice(regions);
        ulong startKiB = start <= 1 ? 0 : start >> 10;
        ulong ramKiB = limitKiB;
        ulong deltaKiB = 0;
        if (startKiB != 0 && limitKiB > startKiB)
        {
            deltaKiB = limitKiB - startKiB;
            ramKiB = startKiB;
        }

        ulong ramEnd = ramKiB << 10;
        var map = new List<PlannedEntry>
        {
            new(
                E820Entry.FromBounds(0, ramEnd, E820Type.Ram),
                deltaKiB == 0
                    ? "the guest's memory"
                    : $"the guest's memory, cut where the host's first reserved region starts ({Hex(start)})"),
        };
        AddUnusableUpTo(start, ramEnd, Convert(regions, ramEnd), map);
        if (balloonKiB != 0 || (deltaKiB != 0 && !losesWhatIsCut))
            map.Add(HighRam(deltaKiB, balloonKiB));

        return map.Count <= E820Table.MaxEntries
            ? new([.. map], [])
            : Failure(
                0,
                $"the guest's map would have {map.Count} entries; libxl writes past its array of {E820Table.MaxEntries} without noticing",
                "install a map of another policy, with fewer entries");
    }

    /// <summary>The lowest address among what is neither RAM nor UNUSABLE; all ones when there is none.</summary>
    private static ulong LowestDevice(List<E820Entry> regions)
    {
        ulong start = ulong.MaxValue;
        foreach (E820Entry region in regions)
        {
            if (region.Type is not (E820Type.Ram or E820Type.Unusable) && region.Address < start)
                start = region.Address;
        }

        return start;
    }

    private static List<PlannedEntry> Convert(List<E820Entry> regions, ulong ramEnd)
    {
        List<PlannedEntry> kept = [];
        foreach (E820Entry region in regions)
        {
            if (region.Type == E820Type.Unusable || region.End < ramEnd)
                continue;
            if (region.Type != E820Type.Ram)
            {
                kept.Add(new(region, $"the host's: {E820TypeNames.Describe(region.Type)}"));
                continue;
            }

            if (region.Address >= Frames.FourGiB)
                continue;
            E820Entry rest = region.Address < ramEnd
                ? E820Entry.FromBounds(ramEnd, region.End, E820Type.Unusable)
                : region.WithType(E820Type.Unusable);
            kept.Add(new(
                rest,
                rest.Size == 0
                    ? "libxl keeps an empty entry where the host's RAM ends with the guest's"
                    : "the host has RAM here that is not the guest's; unusable, so that Linux does not take it for PCI space"));
        }

        return kept;
    }

    private static void AddUnusableUpTo(ulong start, ulong ramEnd, List<PlannedEntry> kept, List<PlannedEntry> map)
    {
        if (start > ramEnd)
        {
            E820Entry filler = E820Entry.FromBounds(ramEnd, start, E820Type.Unusable);
            string why = start == ulong.MaxValue
                ? "the host's map has no reserved region at all: everything after the guest's memory"
                : "between the guest's memory and the host's first reserved region; unusable, so that Linux does not take it for PCI space";
            int at = kept.FindIndex(planned => planned.Entry.Type == E820Type.Unusable && planned.Entry.Address == ramEnd);
            if (at >= 0)
                kept[at] = new(filler, why);
            else
                map.Add(new(filler, why));
        }

        map.AddRange(kept);
    }

    /// <summary>Meant to lie behind the machine's map; an operator-precedence slip makes it 4 GiB always.</summary>
    private static PlannedEntry HighRam(ulong deltaKiB, ulong balloonKiB)
    {
        ulong sizeBytes = unchecked((deltaKiB + balloonKiB) << 10);
        string why = (deltaKiB != 0, balloonKiB != 0) switch
        {
            (true, true) => "the memory cut off below, and room for the balloon up to maxmem; libxl puts it at 4 GiB whatever is there",
            (true, false) => "the memory cut off below; libxl puts it at 4 GiB whatever is there",
            _ => "room for the balloon up to maxmem; libxl puts it at 4 GiB whatever is there",
        };
        return new(E820Entry.FromSize(Frames.FourGiB, sizeBytes, E820Type.Ram), why);
    }

    private static PolicyResult Failure(int error, string message, string remedy) =>
        new([], [new(Severity.Error, error == 0 ? ProblemCodes.TooManyEntries : ProblemCodes.LibxlFails, message, Remedy: remedy)]);

    private static string Hex(ulong address) => $"0x{address:x}";
}
