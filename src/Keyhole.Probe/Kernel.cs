// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Runtime;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hypercalls;
using Keyhole.PvGuest;

namespace Keyhole.Probe;

/// <summary>
/// A PV kernel that does one thing: it sets its memory up on the map that it is given, as a Linux would, looks at every page of it, and reports.
/// </summary>
internal static unsafe class Kernel
{
    private const int MaxRuns = 2048;
    private const int MaxPrepared = 512;
    private const int MaxContiguousRuns = 256;

    /// <summary>Page tables beyond those that memory needs: third and second level, device pages, both ends of ranges.</summary>
    private const ulong SpareTables = 192;

    /// <summary>The list covers all extra memory as long as it takes no more than this part of the guest.</summary>
    private const ulong ListShare = 4;

    private static StartInfo s_start;
    private static ulong s_startAddress;

    [RuntimeExport("probe_main")]
    private static void Main(StartInfo* startInfo)
    {
        s_start = *startInfo;
        s_startAddress = (ulong)startInfo;
        PrepareMachine();
        var commandLine = new CommandLine(CommandLineText(), Arena.Take<BarRequest>(CommandLine.MaxBars));
        var profile = KernelProfile.Of(commandLine.Release);
        ReportStart(in commandLine, profile);
        Run(ref commandLine, profile);
        End();
    }

    /// <summary>The report's last line, and the end of the domain.</summary>
    public static void End()
    {
        Json.Begin("verdict"u8);
        Json.Flag("passed"u8, Check.FailedChecks == 0);
        Json.Number("failedChecks"u8, Check.FailedChecks);
        Json.Number("checks"u8, Check.Checks);
        Json.End();
        Shutdown.End(s_start.IsDom0);
    }

    private static ReadOnlySpan<byte> CommandLineText()
    {
        fixed (byte* text = s_start.cmd_line)
            return new(text, StartInfo.CommandLineBytes);
    }

    /// <summary>Traps first: from then on nothing goes wrong without a message.</summary>
    private static void PrepareMachine()
    {
        Layout* layout = Native.Layout();
        long traps = RealXen.SetTrapTable(layout->TrapTable);
        long guard = default(RealXen).UpdateVaMapping(layout->StackGuard, 0, Uvmf.InvalidateLocally);
        long console = s_start.IsDom0 ? 0 : Console.UseRing(s_start.console_mfn, s_start.console_evtchn);
        long shared = SharedInfo.Map(s_start.shared_info);
        if (console != 0 || shared != 0)
            Panic.Die("console or shared page not mapped"u8);
        if (traps != 0 || guard != 0)
            Panic.Die(traps != 0 ? "set_trap_table refused"u8 : "page below the stack not taken away"u8);
    }

    private static void ReportStart(in CommandLine commandLine, KernelProfile profile)
    {
        Span<byte> name = stackalloc byte[KernelNames.MaxLength];
        Json.Begin("start"u8);
        Json.Number("version"u8, 1);
        Json.Flag("dom0"u8, s_start.IsDom0);
        Json.Text("kernel"u8, name.Slice(0, KernelNames.Write(profile.Release, name)));
        Json.Number("nrPages"u8, s_start.nr_pages);
        Json.Signed("maxPages"u8, default(RealXen).MaximumReservation(DomainId.Self));
        Json.Number("ticksPerMs"u8, SharedInfo.TicksPerMillisecond);
        Json.End();
        uint value;
        Check.Begin("stackGuard"u8, !Native.TryRead(Native.Layout()->StackGuard, &value));
        Json.Hex("at"u8, Native.Layout()->StackGuard);
        Json.End();
        if (commandLine.Unknown.IsEmpty)
            return;
        Json.Begin("note"u8);
        Json.Text("what"u8, "word on the command line passed over"u8);
        Json.Text("word"u8, commandLine.Unknown);
        Json.End();
    }

    private static void RegisterCallbacks(in GuestStart start, KernelProfile profile, ref RealXen xen)
    {
        Layout* layout = Native.Layout();
        ArchSetupResult arch = ArchSetup.Run(in start, profile, ref xen, layout->EventEntry);
        // What Linux does has been done; now each callback gets the entry that fits its frame.
        var failsafe = new CallbackRegister
        {
            type = CallbackOp.CALLBACKTYPE_failsafe,
            flags = CallbackOp.CALLBACKF_mask_events,
            address = layout->FailsafeEntry
        };
        var syscall = new CallbackRegister
        {
            type = CallbackOp.CALLBACKTYPE_syscall,
            flags = CallbackOp.CALLBACKF_mask_events,
            address = layout->SyscallEntry
        };
        long failsafeResult = xen.RegisterCallback(in failsafe);
        long syscallResult = xen.RegisterCallback(in syscall);
        Check.Begin("callbacks"u8, !arch.Halts && failsafeResult == 0 && syscallResult == 0);
        Json.Signed("failsafe"u8, failsafeResult);
        Json.Signed("syscall"u8, syscallResult);
        Json.Flag("sysenterOff"u8, arch.SysenterOff);
        Json.Flag("syscall32Off"u8, arch.Syscall32Off);
        Json.End();
        TryEvent();
    }

    /// <summary>Sends itself an event: the callback is entered and left.</summary>
    private static void TryEvent()
    {
        const uint EVTCHNOP_send = 4;
        const uint EVTCHNOP_bind_ipi = 7;
        const uint EVTCHNOP_unmask = 9;
        ulong* count = (ulong*)Native.Layout()->EventCount;
        SharedInfo.MaskEvents();
        ulong before = *count;
        // struct evtchn_bind_ipi: the processor in, the port out.
        uint* binding = stackalloc uint[2];
        binding[0] = 0;
        binding[1] = 0;
        long bound = RealXen.EventChannelOp(EVTCHNOP_bind_ipi, binding);
        uint port = binding[1];
        long unmasked = RealXen.EventChannelOp(EVTCHNOP_unmask, &port);
        SharedInfo.LetEventsThrough(true);
        long sent = RealXen.EventChannelOp(EVTCHNOP_send, &port);
        SharedInfo.LetEventsThrough(false);
        bool isOwn = SharedInfo.IsPending(port);
        Check.Begin("event"u8, bound == 0 && sent == 0 && *count > before && isOwn);
        Json.Signed("bind"u8, bound);
        Json.Signed("unmask"u8, unmasked);
        Json.Signed("send"u8, sent);
        Json.Number("received"u8, *count - before);
        Json.Flag("isOwn"u8, isOwn);
        Json.End();
    }

    /// <summary>The frame behind the domain builder's mappings; all below have an address of the builder's.</summary>
    private static ulong BuilderMappedEnd(ulong from)
    {
        ulong pfn = from;
        while ((AddressSpace.BuilderMapping(AddressSpace.BuilderBase + (pfn << Frames.Shift)) & 1) != 0)
            pfn++;
        return pfn;
    }

    private static GuestStart DescribeStart()
    {
        Layout* layout = Native.Layout();
        ulong initrd = s_start.mod_start;
        if (s_start.mod_len != 0 && (s_start.flags & StartInfo.SIF_MOD_START_PFN) == 0)
            initrd -= AddressSpace.BuilderBase;
        else if (s_start.mod_len != 0)
            initrd <<= Frames.Shift;
        return new()
        {
            IsDom0 = s_start.IsDom0,
            PageCount = s_start.nr_pages,
            Kernel = ByteRange.FromBounds(layout->ImageStart - AddressSpace.BuilderBase, layout->ImageEnd - AddressSpace.BuilderBase),
            StartInfo = ByteRange.FromSize(s_startAddress - AddressSpace.BuilderBase, Frames.SizeBytes),
            PageTables = ByteRange.FromSize(s_start.pt_base - AddressSpace.BuilderBase, s_start.nr_pt_frames << Frames.Shift),
            P2mList = ByteRange.FromSize(
                s_start.mfn_list - AddressSpace.BuilderBase,
                Pfn.AtOrAbove(s_start.nr_pages * sizeof(ulong)).ToAddress()),
            Initrd = ByteRange.FromSize(s_start.mod_len == 0 ? 0 : initrd, s_start.mod_len),
        };
    }

    private static SetupTables NewTables() => new(
        Arena.Take<E820Entry>(SetupTables.MapCapacity),
        Arena.Take<E820Entry>(SetupTables.MapCapacity),
        Arena.Take<ByteRange>(ExtraMemory.MaxRegions),
        Arena.Take<ByteRange>(SetupTables.ReservedCapacity));

    private static void Run(ref CommandLine commandLine, KernelProfile profile)
    {
        Span<PhaseFigures> figures = Arena.Take<PhaseFigures>((int)Phase.Count);
        var xen = new RealXen();
        GuestStart start = DescribeStart();
        var builderList = new ReadOnlySpan<ulong>((void*)s_start.mfn_list, (int)s_start.nr_pages);
        ulong topPfn = (s_start.pt_base - AddressSpace.BuilderBase) >> Frames.Shift;
        AddressSpace.TakeBuilderTables(s_start.pt_base, s_start.nr_pt_frames);
        ulong builderUsedEnd = Pfn.AtOrAbove(s_start.pt_base - AddressSpace.BuilderBase).Value + s_start.nr_pt_frames + 1;
        FrameMapper.BuilderMappedEnd = BuilderMappedEnd(topPfn);
        ReportLayout("kernel"u8, start.Kernel);
        ReportLayout("startInfo"u8, start.StartInfo);
        ReportLayout("pageTables"u8, start.PageTables);
        ReportLayout("p2mList"u8, start.P2mList);
        ReportLayout("initrd"u8, start.Initrd);
        RegisterCallbacks(in start, profile, ref xen);

        // What will come of it, reckoned by the same code before anything is touched.
        Activity.Begin(Task.Forecasting);
        PhaseFigures begun = Phases.Begin();
        var forecastTables = NewTables();
        var forecast = new RunFrames(Arena.Take<P2mRun>(MaxRuns), Arena.Take<PreparedRemap>(MaxPrepared), s_start.nr_pages, default,
            new Pfn(FrameMapper.BuilderMappedEnd));
        var quiet = new SetupLog { IsQuiet = true };
        SetupResult expected = MemorySetup.Run(in start, profile, ref xen, ref forecast, ref quiet, ref forecastTables);
        Phases.End(figures, Phase.Forecast, begun, s_start.nr_pages);
        ReportGivenMap(profile, forecastTables.XenMap.Entries);
        ReportResult("forecast"u8, in expected);
        if (expected.Halt != HaltReason.None)
        {
            Check.Begin("boots"u8, passed: false);
            Json.Number("halt"u8, (ulong)expected.Halt);
            Json.End();
            return;
        }

        // Tables of the probe's own, in its own pages.
        Activity.Begin(Task.BuildingTables);
        begun = Phases.Begin();
        ulong listEnd = ListEnd(in expected, in forecast);
        bool copiesList = MapQueries.IsReserved(forecastTables.XenMap.Entries, start.P2mList);
        ulong listPages = Pfn.AtOrAbove(listEnd * sizeof(ulong)).Value;
        ulong copyPages = copiesList ? Pfn.AtOrAbove(s_start.nr_pages * sizeof(ulong)).Value : 0;
        ulong tableCount = SpareTables + TablesFor(in forecast, listEnd) + ((listPages + copyPages) >> 9);
        var pool = new FramePool(forecast.P2m.Runs, new Pfn(FrameMapper.BuilderMappedEnd), builderList);
        if (!HasRoom(in pool, tableCount + listPages + copyPages))
            return;
        FramePool tablePool = pool;
        PfnRange tables = SkipTables(ref pool, tableCount);
        long error = AddressSpace.Prepare(builderList[(int)topPfn], tablePool, tableCount, tables);
        Span<ulong> p2m = MapList(AddressSpace.P2mFirstPage, listEnd, listPages, ref pool, ref error);
        if (copiesList && error == 0)
        {
            Span<ulong> copy = MapList(AddressSpace.P2mFirstPage + listPages, s_start.nr_pages, copyPages, ref pool, ref error);
            builderList.CopyTo(copy);
            builderList = copy;
        }

        Phases.End(figures, Phase.Tables, begun, listPages + tableCount);
        if (error != 0)
        {
            ReportRefusal("tables"u8, error);
            return;
        }

        var own = new OwnFrames(
            PfnRange.FromBounds(Pfn.Containing(start.Kernel.Start), new Pfn(builderUsedEnd)),
            PfnRange.FromBounds(pool.First, pool.Next));

        // The real thing.
        Activity.Begin(Task.SettingUpMemory);
        var setupTables = NewTables();
        var batched = new BatchedFrames<RealXen, FrameMapper>(
            xen,
            default,
            p2m,
            builderList,
            Arena.Take<PreparedRemap>(MaxPrepared),
            Arena.Take<MmuUpdate>(AddressSpace.BatchEntries),
            Arena.Take<ulong>(AddressSpace.BatchEntries));
        var frames = new TimedFrames(batched, figures);
        var log = default(SetupLog);
        begun = Phases.Begin();
        SetupResult result = MemorySetup.Run(in start, profile, ref xen, ref frames, ref log, ref setupTables);
        Phases.End(figures, Phase.Setup, begun, s_start.nr_pages);
        ReportMap("kernelMap"u8, setupTables.KernelMap.Entries);
        ReportResult("result"u8, in result);
        ReportExtra(setupTables.Extra.Slots);
        ReportSetupCheck(in expected, in result, frames.Inner.Error, frames.Inner.FailedPfn, frames.Inner.FailedMfn);
        FirmwareFrames.Moved = setupTables.NonRam;
        // As the setup left it: the balloon's pages come back as others.
        ReportRuns(p2m, profile);
        if (result.Halt == HaltReason.None)
            LookAtMemory(ref commandLine, profile, figures, ref frames.Inner, in forecast, own, setupTables.Extra.Slots);
        Activity.Begin(Task.Reporting);
        Phases.Report(figures);
        ReportHypercalls();
        GoWrong(in commandLine);
    }

    /// <summary>A probe that finds no room for its own tables can say nothing of the map.</summary>
    private static bool HasRoom(in FramePool pool, ulong needed)
    {
        ulong available = pool.Available;
        if (available >= needed)
            return true;
        Check.Begin("room"u8, passed: false);
        Json.Number("needed"u8, needed);
        Json.Number("available"u8, available);
        Json.End();
        return false;
    }

    /// <summary>Frames that the list covers: all extra memory, or where that would cost too much, as far as there are machine frames.</summary>
    private static ulong ListEnd(in SetupResult expected, in RunFrames forecast)
    {
        ulong end = s_start.nr_pages;
        foreach (P2mRun run in forecast.P2m.Runs)
        {
            if (run.HasFrames && run.Range.End.Value > end)
                end = run.Range.End.Value;
        }

        ulong extraEnd = expected.MaxP2mPfn.Value > end ? expected.MaxP2mPfn.Value : end;
        if (extraEnd / (Frames.SizeBytes / sizeof(ulong)) <= s_start.nr_pages / ListShare && extraEnd <= AddressSpace.LinearPages)
            return extraEnd;
        if (end > AddressSpace.LinearPages)
            Panic.NoRoom("RAM above 480 GiB"u8);
        return end;
    }

    /// <summary>First-level tables for all frames that get machine frames: extra memory is not mapped.</summary>
    private static ulong TablesFor(in RunFrames forecast, ulong listEnd)
    {
        ulong count = 0;
        foreach (P2mRun run in forecast.P2m.Runs)
        {
            PfnRange part = run.Range.Intersect(PfnRange.FromBounds(default, new Pfn(listEnd)));
            if (run.HasFrames && !part.IsEmpty)
                count += ((part.End.Value - 1) >> 9) - (part.Start.Value >> 9) + 1;
        }

        return count;
    }

    /// <summary>Leaves the next frames to tables that are still to come: the frames that they lie between.</summary>
    private static PfnRange SkipTables(ref FramePool pool, ulong count)
    {
        pool.TakeMfn();
        var first = new Pfn(pool.Next.Value - 1);
        for (ulong i = 1; i < count; i++)
            pool.TakeMfn();
        return PfnRange.FromBounds(first, pool.Next);
    }

    private static Span<ulong> MapList(ulong firstPage, ulong entries, ulong pages, scoped ref FramePool pool, scoped ref long error)
    {
        if (error != 0)
            return default;
        AddressSpace.Map(firstPage, pages, ref pool, out error);
        return new((void*)AddressSpace.AddressOf(firstPage), (int)entries);
    }

    private static void ReportSetupCheck(in SetupResult expected, in SetupResult result, long error, Pfn failedPfn, Mfn failedMfn)
    {
        bool agrees = result.Halt == HaltReason.None
            && expected.ReleasedPages == result.ReleasedPages
            && expected.RemappedPages == result.RemappedPages
            && expected.PopulatedPages == result.PopulatedPages;
        Check.Begin("setup"u8, agrees);
        if (error != 0)
        {
            Json.Signed("error"u8, error);
            Json.Hex("pfn"u8, failedPfn.Value);
            Json.Hex("mfn"u8, failedMfn.Value);
        }

        Json.Number("identityMapped"u8, FrameMapper.IdentityMapped);
        Json.Number("identityRefused"u8, FrameMapper.IdentityRefused);
        Json.End();
    }

    private static void LookAtMemory(
        ref CommandLine commandLine,
        KernelProfile profile,
        Span<PhaseFigures> figures,
        ref BatchedFrames<RealXen, FrameMapper> frames,
        in RunFrames forecast,
        OwnFrames own,
        ReadOnlySpan<ByteRange> extra)
    {
        ReadOnlySpan<ulong> p2m = frames.P2m;
        if (!MapMemory(figures, p2m))
            return;
        PageChecks.Forecast(p2m, in forecast.P2m).Report("p2m"u8);
        PhaseFigures begun;
        if (commandLine.ChecksPages)
        {
            begun = Phases.Begin();
            ulong written = PageChecks.Write(p2m, own);
            Phases.End(figures, Phase.Write, begun, written);
            begun = Phases.Begin();
            Check pages = PageChecks.Read(p2m, own, from: 0);
            Phases.End(figures, Phase.Read, begun, pages.Passed);
            pages.Report("pages"u8);
            if (profile.Displaced != DisplacedPages.Release && p2m.Length > (int)s_start.nr_pages)
                PageChecks.Read(p2m, own, s_start.nr_pages).Report("displacedPages"u8);
            Json.Begin("own"u8);
            Json.Number("pages"u8, own.Count);
            Json.End();
        }

        begun = Phases.Begin();
        Check m2p = PageChecks.MachineToPhysical(p2m);
        Phases.End(figures, Phase.M2p, begun, m2p.Passed);
        m2p.Report("m2p"u8);
        if (FirmwareFrames.Moved.Count > 0)
            PageChecks.Firmware(p2m, s_start.IsDom0).Report("nonRam"u8);
        begun = Phases.Begin();
        Check holes = PageChecks.Holes(p2m, profile);
        Phases.End(figures, Phase.Holes, begun, holes.Passed);
        holes.Report("holes"u8);
        foreach (BarRequest bar in commandLine.Bars)
            DeviceChecks.ReadBar(bar, p2m, in forecast.P2m);
        if (commandLine.BalloonPages > 0)
            BalloonChecks.Run(commandLine.BalloonPages, ref frames, own, figures);
        DeviceChecks.TryForbidden(in commandLine, p2m);
        if (commandLine.PopulatePages > 0)
            BalloonChecks.TryExtra(commandLine.PopulatePages, ref frames, extra);
    }

    /// <summary>Maps all RAM, once, where it lies in the end. Linux maps what stays before it moves the rest page by page.</summary>
    private static bool MapMemory(Span<PhaseFigures> figures, ReadOnlySpan<ulong> p2m)
    {
        Activity.Begin(Task.MappingMemory);
        PhaseFigures begun = Phases.Begin();
        ulong end = (ulong)p2m.Length;
        ulong pages = 0;
        ulong pfn = 0;
        long error = 0;
        while (pfn < end && error == 0)
        {
            ulong first = pfn;
            bool isRam = FirmwareFrames.IsRam(p2m[(int)pfn], pfn);
            while (pfn < end && FirmwareFrames.IsRam(p2m[(int)pfn], pfn) == isRam)
                pfn++;
            if (!isRam)
                continue;
            FrameMapper.Map(PfnRange.FromBounds(new Pfn(first), new Pfn(pfn)), p2m, out error);
            pages += pfn - first;
        }

        Phases.End(figures, Phase.Map, begun, pages);
        if (error != 0)
            ReportRefusal("map"u8, error);
        return error == 0;
    }

    /// <summary>What the user asks for to see how the end of a probe looks.</summary>
    private static void GoWrong(in CommandLine commandLine)
    {
        Activity.Begin(Task.TryingWhatIsForbidden);
        if (commandLine.TouchAddress != 0)
        {
            Activity.Subject = commandLine.TouchAddress;
            *(ulong*)commandLine.TouchAddress = 0;
        }

        if (commandLine.LosesStack)
            Native.FaultWithoutStack();
    }

    private static void ReportRefusal(ReadOnlySpan<byte> name, long error)
    {
        Check.Begin(name, passed: false);
        Json.Signed("error"u8, error);
        Json.Hex("at"u8, AddressSpace.Refused.ptr);
        ulong mfn = (AddressSpace.Refused.val & AddressSpace.FrameMask) >> Frames.Shift;
        Json.Hex("pfn"u8, default(RealXen).PfnOf(mfn));
        Json.Hex("mfn"u8, mfn);
        Json.End();
    }

    /// <summary>The map as Xen gives it, before the kernel changes anything in it; where Xen gives none, what the kernel takes instead.</summary>
    private static void ReportGivenMap(KernelProfile profile, ReadOnlySpan<E820Entry> otherwise)
    {
        Span<E820Entry> buffer = Arena.Take<E820Entry>(profile.XenMapEntries);
        long result = s_start.IsDom0 ? default(RealXen).MachineMemoryMap(buffer, out int count) : default(RealXen).MemoryMap(buffer, out count);
        ReportMap("map"u8, result == 0 ? buffer.Slice(0, count) : otherwise);
    }

    private static void ReportMap(ReadOnlySpan<byte> kind, ReadOnlySpan<E820Entry> map)
    {
        foreach (E820Entry entry in map)
        {
            Json.Begin(kind);
            Json.Hex("start"u8, entry.Address);
            Json.Hex("end"u8, entry.End);
            Json.Number("type"u8, (ulong)entry.Type);
            Json.End();
        }
    }

    private static void ReportResult(ReadOnlySpan<byte> kind, in SetupResult result)
    {
        Json.Begin(kind);
        Json.Number("halt"u8, (ulong)result.Halt);
        Json.Number("pageCount"u8, result.PageCount);
        Json.Number("released"u8, result.ReleasedPages);
        Json.Number("remapped"u8, result.RemappedPages);
        Json.Number("populated"u8, result.PopulatedPages);
        Json.Hex("identityFrom"u8, result.IdentityFrom.Value);
        Json.Hex("pciGapStart"u8, result.PciGap.Start);
        Json.Hex("pciGapEnd"u8, result.PciGap.End);
        Json.End();
    }

    private static void ReportLayout(ReadOnlySpan<byte> name, ByteRange range)
    {
        if (range.IsEmpty)
            return;
        Json.Begin("layout"u8);
        Json.Text("name"u8, name);
        Json.Hex("start"u8, range.Start);
        Json.Hex("end"u8, range.End);
        Json.End();
    }

    private static void ReportExtra(ReadOnlySpan<ByteRange> extra)
    {
        foreach (ByteRange region in extra)
        {
            if (region.IsEmpty)
                continue;
            Json.Begin("extra"u8);
            Json.Hex("start"u8, region.Start);
            Json.Hex("end"u8, region.End);
            Json.End();
        }
    }

    /// <summary>
    /// Runs of the list, frames in hex: machine frames that follow each other, identity, or nothing. Where machine frames are scattered, runs
    /// behind the first few hundred are of one kind only and name no machine frame.
    /// </summary>
    private static void ReportRuns(ReadOnlySpan<ulong> p2m, KernelProfile profile)
    {
        ulong end = (ulong)p2m.Length;
        ulong next = 0;
        for (int reported = 0; next < end; reported++)
        {
            ulong first = next;
            ulong entry = p2m[(int)first];
            bool isContiguous = reported < MaxContiguousRuns;
            // A run ends where the guest's initial pages do: behind them lies what was moved there.
            ulong limit = first < s_start.nr_pages && end > s_start.nr_pages ? s_start.nr_pages : end;
            bool isFirmware = FirmwareFrames.Contain(first);
            while (next < limit && FirmwareFrames.Contain(next) == isFirmware
                && (isContiguous ? Continues(entry, next - first, p2m[(int)next]) : IsSameKind(entry, p2m[(int)next])))
                next++;
            Json.Begin("p2m"u8);
            Json.Hex("start"u8, first);
            Json.Hex("end"u8, next);
            bool isRemapped = profile.Displaced == DisplacedPages.Remap && first >= s_start.nr_pages;
            Json.Text("kind"u8, entry == P2mEntry.Invalid ? "invalid"u8
                : !P2mEntry.HasFrame(entry) ? "identity"u8 : isFirmware ? "nonRam"u8 : isRemapped ? "remapped"u8 : "ram"u8);
            if (P2mEntry.HasFrame(entry) && isContiguous)
                Json.Hex("mfn"u8, entry);
            Json.End();
        }
    }

    private static bool Continues(ulong first, ulong distance, ulong entry) =>
        entry == (first == P2mEntry.Invalid ? first : unchecked(first + distance));

    private static bool IsSameKind(ulong first, ulong entry) =>
        P2mEntry.HasFrame(first) ? P2mEntry.HasFrame(entry) : !P2mEntry.HasFrame(entry) && (first == P2mEntry.Invalid) == (entry == P2mEntry.Invalid);

    private static void ReportHypercalls()
    {
        HypercallTally tally = RealXen.Tally;
        Json.Begin("hypercalls"u8);
        Json.Number("mmu_update"u8, tally.MmuUpdate);
        Json.Number("mmu_update_entries"u8, tally.MmuUpdateEntries);
        Json.Number("update_va_mapping"u8, tally.UpdateVaMapping);
        Json.Number("multicall"u8, tally.Multicall);
        Json.Number("memory_map"u8, tally.MemoryMap);
        Json.Number("decrease_reservation"u8, tally.DecreaseReservation);
        Json.Number("populate_physmap"u8, tally.PopulatePhysmap);
        Json.Number("memory_op"u8, tally.OtherMemoryOp);
        Json.Number("event_channel_op"u8, tally.EventChannelOp);
        Json.Number("other"u8, tally.Other);
        Json.Number("total"u8, tally.Total);
        Json.Number("tables"u8, AddressSpace.TableCount);
        Json.End();
    }
}
