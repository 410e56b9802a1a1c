// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Platforms.Firmware;

namespace Keyhole.Platforms.XenHvm;

/// <summary>An HVM guest from its configuration to what hvmloader makes of it: the one way, for the plan, its remedies and comparisons
/// alike.</summary>
internal sealed record HvmGuest
{
    /// <summary>Xen where nothing tells the host's release.</summary>
    public static readonly XenVersion UsualXen = new(4, 17);

    /// <summary>QEMU of the Debian that has it.</summary>
    private static readonly QemuVersion s_usualQemu = new(7, 2);

    /// <summary>Where the source does not tell the processor's width.</summary>
    private const int UsualPhysBits = 40;

    /// <summary>libxl's words for a device where maxmem is more than memory (populate on demand).</summary>
    private const string PodWords = "PCI device assignment for HVM guest failed due to PoD enabled";

    /// <inheritdoc cref="PodWords"/>
    private const string NewPodWords = "IOMMU required for device passthrough but not supported together with PoD";

    /// <summary>hvmloader stops with less RAM below 4 GiB.</summary>
    private const ulong LeastBytes = 2UL << 20;

    /// <summary>What libxl lets a domain have beyond its maxmem, and what the hole for video memory leaves of it, in pages.</summary>
    private const ulong SparePages = 256 + 16;

    /// <summary>Pages of ACPI's tables, up to the 128 processors that an HVM guest may have.</summary>
    private const ulong AcpiPages = 11;

    public required HvmSettings Settings { get; init; }

    public required HvmTopology Topology { get; init; }

    public required XenVersion Xen { get; init; }

    /// <summary>What this Xen makes of rdm=.</summary>
    public HvmRdm Rdm => HvmRdm.Of(Settings.Rdm, Xen);

    /// <summary>Null where the guest is refused before.</summary>
    public HvmMemory? Memory { get; init; }

    /// <summary>Whether that is what libxl lays out, although what becomes of it may not be known.</summary>
    public bool IsMemoryKnown { get; init; }

    /// <summary>Null where the guest is refused before.</summary>
    public HvmloaderRun? Run { get; init; }

    /// <summary>In xl's, libxl's or QEMU's words; null where the guest is created.</summary>
    public string? Refusal { get; init; }

    /// <summary>Why its map is not known, where that is so; null where it is known, or the guest is refused.</summary>
    public string? NotModelled { get; init; }

    /// <summary>Whether that is for Xen's patch level alone: with an mmio_hole= that leaves hvmloader nothing to move the map is known.</summary>
    public bool DependsOnPatch { get; init; }

    /// <summary>Whether that is for the devices' BARs alone, which are not told.</summary>
    public bool DependsOnBars { get; init; }

    /// <summary>Whether every BAR has an address, and QEMU knows where RAM is.</summary>
    public bool PlacesAll => Refusal is null && Run is { PanicMessage: null, MovedBytes: 0, Placement: { } placement }
        && placement.CountUnplaced() == 0;

    /// <summary>Memory BARs that lie above 4 GiB.</summary>
    public int CountHigh => Run?.Placement?.Bars.Count(static bar => bar.Address >= Frames.FourGiB) ?? 0;

    public static HvmGuest Of(Scenario scenario)
    {
        XenVersion xen = scenario.Host.Traits.XenVersion ?? UsualXen;
        return Of(scenario, scenario.Guest.Hvm.ReadBy(xen), xen);
    }

    /// <summary>The same guest with another hole, in bytes; 0 leaves it to hvmloader.</summary>
    public HvmGuest WithHole(Scenario scenario, ulong holeBytes) => Make(scenario, Settings with { HoleBytes = holeBytes }, Topology, Xen);

    public static HvmGuest Of(Scenario scenario, HvmSettings settings, XenVersion xen) =>
        Make(scenario, settings, HvmTopology.Build(scenario, settings, scenario.Qemu.Emulator ?? s_usualQemu), xen);

    private static HvmGuest Make(Scenario scenario, HvmSettings settings, HvmTopology topology, XenVersion xen)
    {
        GuestSpec guest = scenario.Guest;
        HvmGuest made = new() { Settings = settings, Topology = topology, Xen = xen };
        // It is not created, whatever its memory would be.
        if (RefusedCombination.WordsOf(scenario) is { } combined)
            return made with { Refusal = combined };
        if (UnusedIommu.RefusalOf(scenario) is { } unused)
            return made with { Refusal = unused };
        if (RepeatedDevice.RefusalOf(scenario) is { } twice)
            return made with { Refusal = twice };
        string? ofMemory = settings.NotModelled ?? TooOld(xen) ?? UntoldDeviceMemory(scenario, made.Rdm);
        made = made with { NotModelled = HvmStubDomain.NotModelled(settings, xen) ?? ofMemory, IsMemoryKnown = ofMemory is null };
        if ((settings.Refusal ?? topology.Refusal) is { } words)
            return made with { Refusal = words };
        if (guest.MaxmemKiB > guest.MemoryKiB && (!guest.Pci.IsEmpty || (guest.Features.Passthrough == true && WordsOfPod(xen) == NewPodWords)))
            return made with { Refusal = WordsOfPod(xen) };
        if (guest.MaxmemKiB << 10 < (settings.VideoKiB << 10) + LeastBytes)
            return made with { Refusal = "hvmloader stops: less than 2 MiB of RAM are left below 4 GiB" };
        ulong bytes = ((guest.MaxmemKiB - settings.VideoKiB) << 10) & ~Frames.OffsetMask;
        ulong holeStart = settings.HoleBytes == 0 ? Hvmloader.UsualStart : Math.Min(Frames.FourGiB - settings.HoleBytes, Hvmloader.UsualStart);
        ImmutableArray<GuestDeviceMemory> regions = HvmDeviceMemory.Of(scenario, made.Rdm);
        HvmMemory memory = HvmMemory.LayOut(bytes, holeStart, settings.BoundaryBytes, settings.IsHap, regions);
        made = made with { Memory = memory };
        if (memory.Conflict is { } conflict)
            return made with { Refusal = string.Create(CultureInfo.InvariantCulture, $"RDM conflict at 0x{conflict.Start:x}.") };
        if (topology.RomPages > SparePages)
            return made with { Refusal = "device model did not start: -3" };
        if (SharedDeviceMemory.RefusedOf(scenario, made.Rdm.DevicePolicy) is not null)
            return made with { Refusal = SharedDeviceMemory.Words };
        bool? movesRam = HvmStubDomain.MovesRam(settings, xen);
        if (movesRam != false && topology.Unknown is { } bars && settings.HoleBytes == 0 && memory.LowEnd > Hvmloader.LowestStart)
            return made with { NotModelled = made.NotModelled ?? HvmStubDomain.WhyBarsCount(bars), DependsOnBars = true };
        HvmloaderRun run = RunHvmloader(scenario, made, memory, movesRam ?? true);
        // Where it is not known whether hvmloader may, it matters alone if it would.
        if (movesRam is null && run.MovedBytes == 0)
            run = RunHvmloader(scenario, made, memory, false);
        else if (movesRam is null && made.NotModelled is null)
            return made with { Run = run, NotModelled = HvmStubDomain.WhyPatchCounts(scenario, run), DependsOnPatch = true };
        return made with { Run = run };
    }

    /// <summary>Before 4.5 xl has no mmio_hole, and before 4.3 hvmloader moves RAM.</summary>
    private static string? TooOld(XenVersion xen) => xen.IsUpTo(4, 4)
        ? $"the memory of HVM guests of Xen {xen} is not modelled: that of 4.5 and later is" : null;

    /// <summary>libxl looks for reserved memory of every device of the guest, whatever rdm= says.</summary>
    private static string? UntoldDeviceMemory(Scenario scenario, HvmRdm rdm)
    {
        ImmutableArray<PfnRange> told = scenario.Host.DeviceMemory;
        HostTraits traits = scenario.Host.Traits;
        foreach (PciAddress device in told.IsEmpty ? traits.DeviceMemoryNotTold : [])
        {
            if (scenario.Guest.Pci.Any(assignment => assignment.Covers(device)))
                return $"{device} has reserved memory (RMRR), which ends RAM below 4 GiB or keeps the guest from being created, and the log does "
                    + "not tell where it is";
        }

        // A guest that is refused for it has no map.
        bool isRefused = SharedDeviceMemory.RefusedOf(scenario, rdm.DevicePolicy) is not null;
        foreach (SharedMemoryDevice said in isRefused ? [] : traits.Complaints.Sharing)
        {
            if (scenario.Guest.Pci.Any(assignment => assignment.Covers(said.Device))
                && !told.Any(range => range.Contains(Pfn.Containing(said.Address))))
                return string.Create(CultureInfo.InvariantCulture,
                    $"{said.Device} has reserved memory (RMRR) from 0x{said.Address:x} on, and the log does not tell where that ends");
        }

        return null;
    }

    /// <summary>The new words are 4.17's (commit 07449ecfa4) and of the stable releases that took them over.</summary>
    private static string WordsOfPod(XenVersion xen) => (xen.Major, xen.Minor) switch
    {
        (4, 14) => xen.Patch is null or >= 5,
        (4, 15) => xen.Patch is null or >= 3,
        (4, 16) => xen.Patch is null or >= 1,
        _ => !xen.IsUpTo(4, 13),
    } ? NewPodWords : PodWords;

    private static HvmloaderRun RunHvmloader(Scenario scenario, HvmGuest guest, HvmMemory memory, bool mayMoveRam) => Hvmloader.Run(new()
    {
        Xen = guest.Xen,
        Tree = guest.Topology.Tree,
        LowEnd = memory.LowEnd,
        HighEnd = memory.HighEnd,
        HoleBytes = guest.Settings.HoleBytes,
        MayMoveRam = mayMoveRam,
        HasPlatformBarLast = !guest.Settings.IsPlatformBarUncached && !guest.Xen.IsUpTo(4, 20),
        Reserved = memory.Told,
        HasAcpi = guest.Settings.HasAcpi,
        Next = guest.Settings.Firmware,
        AcpiPages = AcpiPages,
        // Debian ships OVMF for Xen with 2 MiB up to bookworm, with 4 MiB from trixie on.
        OvmfPages = guest.Xen.IsUpTo(4, 17) ? 512u : 1024u,
        FreePages = SparePages - guest.Topology.RomPages,
        PhysBits = scenario.Qemu.PhysBits ?? scenario.Host.Traits.PhysicalAddressBits ?? scenario.Host.Traits.AcpiAddressBits
            ?? UsualPhysBits,
    });
}
