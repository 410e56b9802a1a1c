// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Hypercalls;
using Keyhole.Logs;
using Keyhole.Pci;
using Keyhole.Platforms;
using Keyhole.PvGuest;
using Keyhole.Simulation;

namespace Keyhole.Forecasts;

/// <summary>
/// Runs a kernel's own memory setup against the simulated Xen and tells what came of it. Costs grow with the entries of the map, never with
/// the guest's pages.
/// </summary>
internal static class Forecaster
{
    /// <summary>Runs of the P2M that are kept: several for each entry that any kernel's map may have.</summary>
    private const int MaxRuns = 4096;

    private const int MaxPreparedRemaps = 1024;

    /// <summary>Where a kernel's callbacks lead, for Xen's check of the address alone.</summary>
    private const ulong EntryPoint = X86Layout.LinuxKernelMap + X86Layout.LinuxStart;

    public static BootForecast Forecast(BootRequest request)
    {
        BootForecast forecast = ForecastOne(request);
        forecast = forecast with { IfShorter = IfShorter(forecast) };
        forecast = forecast with { Problems = [.. ForecastReview.Report(forecast)] };
        return request.Readings.IsEmpty ? forecast : OfReadings(forecast);
    }

    /// <summary>What is the same whatever lines that are lost said: of the others nobody knows what the kernel says.</summary>
    private static BootForecast OfReadings(BootForecast forecast)
    {
        BootRequest request = forecast.Request;
        // Most policies make one map of many readings.
        List<BootForecast> known = [forecast];
        ImmutableArray<BootForecast> readings = [.. request.Readings.Select(Of)];
        forecast = forecast with { Readings = readings };
        return forecast with
        {
            Message = readings.All(reading => reading.Message == forecast.Message) ? forecast.Message : null,
            IfShorter = readings.All(static reading => reading.IfShorter is not null) ? ShortestOf(forecast, readings) : null,
            Log = [.. forecast.Log.Where(line => readings.All(reading => reading.Log.Contains(line)))],
            Problems = LostLineDoubts.Agreed(request.LostRanges, [.. readings.Select(static reading => reading.Problems)],
                forecast.IsDecidedByLostLines ? ["whether it boots"] : []),
        };

        BootForecast Of(ImmutableArray<E820Entry> map)
        {
            foreach (BootForecast one in known)
            {
                if (one.Request.Map.AsSpan().SequenceEqual(map.AsSpan()))
                    return one;
            }

            known.Add(Forecast(request with { Map = map, Readings = [] }));
            return known[^1];
        }
    }

    /// <summary>The same with the shortest kernel, for each reading in which its end makes a difference.</summary>
    public static BootForecast ShortestOf(BootForecast forecast, ImmutableArray<BootForecast> readings) =>
        (forecast.IfShorter ?? forecast) with { Readings = [.. readings.Select(static reading => reading.IfShorter ?? reading)], IfShorter = null };

    /// <summary>The lowest address of a range at which the map has no RAM; its end where there is none.</summary>
    public static ulong FirstWithoutRam(BootRequest request, ByteRange range)
    {
        bool takesUnusable = request.IsDom0 && request.Profile.Has(KernelBehaviour.TakesUnusableForRam);
        // Linux takes no map with an entry that wraps; such an entry is nobody's RAM.
        ImmutableArray<E820Entry> map = SortedMap.Of([.. request.Map.Where(static entry => !entry.Wraps)]);
        return SortedMap.EndOfRun(map.AsSpan(), range, IsRam);

        bool IsRam(E820Entry entry) => entry.IsRam || (takesUnusable && entry.Type == E820Type.Unusable);
    }

    /// <summary>The same with the shortest kernel that the builder's span may hold; null where its end is known, or makes no difference.</summary>
    private static BootForecast? IfShorter(BootForecast forecast)
    {
        ByteRange open = forecast.KernelEndRange;
        if (open.IsEmpty || (forecast.Moved.IsEmpty && FirstWithoutRam(forecast.Request, open) == open.End))
            return null;
        GuestLayout layout = forecast.Request.Layout;
        BootForecast shorter =
            ForecastOne(forecast.Request with { Layout = layout with { KernelProper = ByteRange.FromBounds(layout.Kernel.Start, open.Start) } });
        shorter = shorter with { Problems = [.. ForecastReview.Report(shorter)] };
        bool isSame = shorter.Halt == forecast.Halt && shorter.Message == forecast.Message && shorter.RemappedPages == forecast.RemappedPages
            && shorter.Moved.SequenceEqual(forecast.Moved);
        return isSame ? null : shorter;
    }

    /// <summary>The forecast alone: what users should be told of it, and how a shorter kernel would fare, is not in it.</summary>
    internal static BootForecast ForecastOne(BootRequest request)
    {
        KernelProfile profile = request.Profile;
        GuestStart start = StartOf(request);
        var tables = new SetupTables(
            new E820Entry[SetupTables.MapCapacity],
            new E820Entry[SetupTables.MapCapacity],
            new ByteRange[ExtraMemory.MaxRegions],
            new ByteRange[SetupTables.ReservedCapacity]);
        var frames = new RunFrames(
            new P2mRun[MaxRuns],
            new PreparedRemap[MaxPreparedRemaps],
            start.PageCount,
            default,
            MappedEnd(in start));
        if (start.Is32Bit)
            frames.LinearEnd = new(KernelProfile.MaxLowPages(is32Bit: true));
        var log = new EventList([]);
        SimulatedDomain domain = CreateDomain(request, out SimulatedXen machine);
        SimulatedHypercalls xen = machine.HypercallsOf(domain);

        ArchSetupResult arch = ArchSetup.Run(in start, profile, ref xen, EntryPoint);
        SetupResult result = arch.Halts
            ? new() { PageCount = start.PageCount, Halt = HaltReason.CallbacksRefused }
            : MemorySetup.Run(in start, profile, ref xen, ref frames, ref log, ref tables);
        return Describe(request, in result, in arch, tables, frames, log.Events, domain);
    }

    /// <summary>
    /// The kernel takes the frames up to the domain builder's p2m list for mapped (max_pfn_mapped). Where that is not known, those up to its page
    /// tables.
    /// </summary>
    private static Pfn MappedEnd(in GuestStart start) =>
        start.P2mList.IsEmpty ? Pfn.AtOrAbove(start.PageTables.End) : Pfn.AtOrAbove(start.P2mList.Start).Plus(1);

    private static GuestStart StartOf(BootRequest request) => new()
    {
        IsDom0 = request.IsDom0,
        Is32Bit = request.Is32Bit,
        IsAutoTranslated = request.IsAutoTranslated,
        IsLimitedTo512GiB = KernelCommandLine.IsLimitedTo512GiB(request.CommandLine, request.IsConfiguredFor512GiB),
        PageCount = request.PageCount,
        Kernel = request.Layout.KernelLookedAt,
        StartInfo = request.Layout.StartInfo,
        PageTables = request.Layout.PageTables,
        P2mList = request.Layout.P2mList,
        Initrd = request.Layout.Initrd,
    };

    /// <summary>A domain that answers the setup's questions. Its frames are reckoned in runs, so that it needs none of its own.</summary>
    private static SimulatedDomain CreateDomain(BootRequest request, out SimulatedXen machine)
    {
        machine = new(request.IsDom0 ? new MachineSpec { MachineMap = request.Map } : MachineSpec.OfFrames(1));
        var spec = new DomainSpec
        {
            Id = new(request.IsDom0 ? (ushort)0 : (ushort)1),
            NrPages = 0,
            MaxPages = request.MaxPages ?? DomainSpec.NoMaximum,
            Privileged = request.IsDom0,
            Translated = request.IsAutoTranslated,
            MemoryMap = request.IsDom0 || request.Map.IsEmpty ? default : request.Map,
        };
        XenError error = machine.CreateDomain(spec, out SimulatedDomain? domain);
        return domain ?? throw new InvalidOperationException($"a domain without pages was refused: {error}");
    }

    private static BootForecast Describe(
        BootRequest request,
        in SetupResult result,
        in ArchSetupResult arch,
        SetupTables tables,
        RunFrames frames,
        List<BootEvent> events,
        SimulatedDomain domain)
    {
        E820Entry[] kernelMap = tables.KernelMap.Entries.ToArray();
        bool setUp = result.Halt is HaltReason.None or HaltReason.ReleasesItself;
        Pfn end = setUp ? EndOf(in result, kernelMap, frames.P2m.Runs) : default;
        ImmutableArray<P2mRun> p2m = setUp ? Until(frames.P2m.Runs, end) : [];
        return new()
        {
            Request = request,
            Halt = result.Halt,
            Message = KernelWords.PanicMessage(result.Halt),
            KernelMap = setUp ? [.. kernelMap] : [],
            ReleasedPages = result.ReleasedPages,
            RemappedPages = result.RemappedPages,
            PopulatedPages = result.PopulatedPages,
            NonRamPages = result.NonRamPages,
            Extra = setUp ? Sorted(tables.Extra) : [],
            IgnoredEntries = result.IgnoredEntries,
            P2m = p2m,
            P2mEnd = end,
            P2mTreePages = setUp ? frames.P2m.CountTreePages(end) : 0,
            Hypercalls = Count(frames.Counts, domain),
            PciGap = setUp ? result.PciGap : default,
            Moved = [.. events.Where(static happened => happened.Kind is BootEventKind.InitrdMoved or BootEventKind.P2mListMoved
                or BootEventKind.NvsMoved).Select(Moved)],
            Account = setUp ? PageAccount.Of(in result, request.PageCount, request.Map, frames.P2m, kernelMap) : [],
            Bars = setUp ? [.. request.Bars.Select(bar => Judge(bar, kernelMap, p2m))] : [],
            SwitchedOff = [.. SwitchedOff(arch)],
            Log = [.. StartLines(arch), .. KernelWords.Log(request.Profile, events, in result, kernelMap, request.Is32Bit)],
            Problems = [],
        };
    }

    private static IEnumerable<string> StartLines(ArchSetupResult arch)
    {
        if (arch.SyscallError != 0)
            yield return string.Create(CultureInfo.InvariantCulture, $"Failed to set syscall callback: {arch.SyscallError}");
        if (arch.AcpiOff)
            yield return "ACPI in unprivileged domain disabled";
    }

    private static IEnumerable<string> SwitchedOff(ArchSetupResult arch)
    {
        if (arch.AcpiOff)
            yield return "ACPI";
        if (arch.NumaOff)
            yield return "NUMA";
        if (arch.CpuidleOff)
            yield return "cpuidle";
        if (arch.CpufreqOff)
            yield return "cpufreq";
        // The note in the 32-bit vDSO that makes programs take the libraries built for Xen.
        if (arch.HasNoSegNegNote)
            yield return "negative segments (vDSO note nosegneg)";
    }

    private static MovedRange Moved(BootEvent happened) => new(
        happened.Kind switch
        {
            BootEventKind.InitrdMoved => "initrd",
            BootEventKind.P2mListMoved => "p2m list",
            _ => "ACPI NVS",
        },
        happened.From,
        happened.To);

    /// <summary>Behind the map and behind the last frame that is not as all that follow are.</summary>
    private static Pfn EndOf(in SetupResult result, E820Entry[] kernelMap, ReadOnlySpan<P2mRun> runs)
    {
        Pfn end = result.MaxP2mPfn;
        foreach (E820Entry entry in kernelMap)
        {
            if (!entry.Wraps && Pfn.AtOrAbove(entry.End) > end)
                end = Pfn.AtOrAbove(entry.End);
        }

        Pfn behind = runs[^1].Range.Start;
        if (behind > end)
            end = behind;
        return end.Value > Frames.MaxCount ? new(Frames.MaxCount) : end;
    }

    private static ImmutableArray<P2mRun> Until(ReadOnlySpan<P2mRun> runs, Pfn end)
    {
        var cut = ImmutableArray.CreateBuilder<P2mRun>();
        foreach (P2mRun run in runs)
        {
            PfnRange range = run.Range.Intersect(PfnRange.FromBounds(default, end));
            if (!range.IsEmpty)
                cut.Add(new(range, run.Kind, run.Mfn));
        }

        return cut.ToImmutable();
    }

    private static ImmutableArray<ByteRange> Sorted(ExtraMemory extra)
    {
        List<ByteRange> regions = [];
        foreach (ByteRange region in extra.Slots)
        {
            if (!region.IsEmpty)
                regions.Add(region);
        }

        regions.Sort(static (left, right) => left.Start.CompareTo(right.Start));
        return [.. regions];
    }

    private static ImmutableArray<(string Name, ulong Count)> Count(HypercallCounts counts, SimulatedDomain domain)
    {
        var names = new SortedDictionary<string, ulong>(StringComparer.Ordinal);
        foreach ((string name, long count) in domain.HypercallCounts)
            names[name] = (ulong)count;
        Add("XENMEM_decrease_reservation", counts.DecreaseReservation);
        Add("XENMEM_populate_physmap", counts.PopulatePhysmap);
        Add("mmu_update", counts.MmuUpdate);
        Add("update_va_mapping", counts.UpdateVaMapping);
        return [.. names.Select(static pair => (pair.Key, pair.Value))];

        void Add(string name, ulong count)
        {
            if (count != 0)
                names[name] = names.GetValueOrDefault(name) + count;
        }
    }

    private static BarVerdict Judge(Bar bar, E820Entry[] kernelMap, ImmutableArray<P2mRun> p2m)
    {
        E820Entry? conflict = SortedMap.Obstacle(kernelMap, bar.Range);
        PfnRange frames = PfnRange.FromBounds(Pfn.Containing(bar.Start), Pfn.AtOrAbove(bar.End));
        bool isIdentity = p2m.All(run => run.Kind == P2mKind.Identity || !run.Range.Overlaps(frames));
        return new(bar, isIdentity, conflict);
    }

    private readonly record struct EventList(List<BootEvent> Events) : IBootLog
    {
        public void Report(in BootEvent bootEvent) => Events.Add(bootEvent);
    }
}
