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

    /// <summary>Page tables beyond those that memory needs: third and second level, device pages, both ends of ranges.</summary>
    private const ulong SpareTables = 192;

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
        KernelReport.Layout("kernel"u8, start.Kernel);
        KernelReport.Layout("startInfo"u8, start.StartInfo);
        KernelReport.Layout("pageTables"u8, start.PageTables);
        KernelReport.Layout("p2mList"u8, start.P2mList);
        KernelReport.Layout("initrd"u8, start.Initrd);
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
        KernelReport.GivenMap(s_start.IsDom0, profile, forecastTables.XenMap.Entries);
        KernelReport.Result("forecast"u8, in expected);
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
        ulong listEnd = P2mList.EndOf(s_start.nr_pages, in expected, in forecast);
        bool copiesList = MapQueries.IsReserved(forecastTables.XenMap.Entries, start.P2mList);
        ulong listPages = Pfn.AtOrAbove(listEnd * sizeof(ulong)).Value;
        ulong copyPages = copiesList ? Pfn.AtOrAbove(s_start.nr_pages * sizeof(ulong)).Value : 0;
        ulong tableCount = SpareTables + P2mList.TablesFor(in forecast, listEnd) + ((listPages + copyPages) >> 9);
        var pool = new FramePool(forecast.P2m.Runs, new Pfn(FrameMapper.BuilderMappedEnd), builderList);
        if (!HasRoom(in pool, tableCount + listPages + copyPages))
            return;
        FramePool tablePool = pool;
        PfnRange tables = P2mList.SkipTables(ref pool, tableCount);
        long error = AddressSpace.Prepare(builderList[(int)topPfn], tablePool, tableCount, tables);
        Span<ulong> p2m = P2mList.Map(AddressSpace.P2mFirstPage, listEnd, listPages, ref pool, ref error);
        if (copiesList && error == 0)
        {
            Span<ulong> copy = P2mList.Map(AddressSpace.P2mFirstPage + listPages, s_start.nr_pages, copyPages, ref pool, ref error);
            builderList.CopyTo(copy);
            builderList = copy;
        }

        Phases.End(figures, Phase.Tables, begun, listPages + tableCount);
        if (error != 0)
        {
            KernelReport.Refusal("tables"u8, error);
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
        KernelReport.Map("kernelMap"u8, setupTables.KernelMap.Entries);
        KernelReport.Result("result"u8, in result);
        KernelReport.Extra(setupTables.Extra.Slots);
        KernelReport.SetupCheck(in expected, in result, frames.Inner.Error, frames.Inner.FailedPfn, frames.Inner.FailedMfn);
        FirmwareFrames.Moved = setupTables.NonRam;
        // As the setup left it: the balloon's pages come back as others.
        KernelReport.Runs(s_start.nr_pages, p2m, profile);
        if (result.Halt == HaltReason.None)
            LookAtMemory(ref commandLine, profile, figures, ref frames.Inner, in forecast, own, setupTables.Extra.Slots);
        Activity.Begin(Task.Reporting);
        Phases.Report(figures);
        KernelReport.Hypercalls();
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
            KernelReport.Refusal("map"u8, error);
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
}
