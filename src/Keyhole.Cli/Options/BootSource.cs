// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.CommandLine;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.PvGuest;
using Keyhole.Verification;

namespace Keyhole.Cli.Options;

/// <summary>What a log tells of the boot that is to be forecast. The user's options come before it, what is usual behind it; null is not
/// told.</summary>
internal sealed record BootHints
{
    public KernelRelease? Kernel { get; init; }

    /// <summary>What is told where that kernel is taken; null for nothing.</summary>
    public string? KernelRemark { get; init; }

    /// <summary>dom0 only.</summary>
    public Dom0Log? Dom0 { get; init; }

    /// <summary>What the log shows of a PVH dom0's ACPI tables.</summary>
    public PvhDom0Tables? Tables { get; init; }

    /// <summary>The document that the machine stands in, with what the log adds to it; dom0 only.</summary>
    public HostDocument? Host { get; init; }

    /// <summary>The kernel's command line as its log has it; guests only, and where their configuration does not say it.</summary>
    public string? CommandLine { get; init; }

    /// <summary>The layout, for a guest of so many pages.</summary>
    public Func<ulong, GuestLayout>? Layout { get; init; }
}

/// <summary>The options that say which kernel boots where: plan's, and the kernel's.</summary>
internal sealed class BootSource
{
    private readonly PlanSource _plan = new();

    private readonly Option<bool> _dom0 = new("--dom0")
    {
        Description = "Forecast the host's own dom0, on the machine map. Pages and addresses are read from a Xen log where it has them.",
    };

    private readonly Option<ulong?> _nrPages = new("--nr-pages")
    {
        Description = "Pages that the guest or dom0 starts with, instead of --memory.",
        HelpName = "N",
    };

    private readonly SizeOption _max = new("--max", "dom0's maximum reservation (dom0_mem=max:), without it no limit, as in Xen:",
        Frames.AddressLimit);

    private readonly Option<string?> _guestMap = GuestFileOption.Map(
        "The guest's map as it stands in this file, instead of a planned one: lines of a guest's kernel or of 'xl -vvv create', of START END TYPE, "
            + "or plan's JSON. Needs no host.",
        "FILE|-");

    private readonly KernelSource _kernel = new();

    private readonly RangeOption _kernelSpan = RangeOption.KernelSpan("Where the kernel's image is, bss and all");
    private readonly RangeOption _pageTables = new("--page-tables", "Where the domain builder's page tables are");
    private readonly RangeOption _p2mList = new("--p2m-list", "Where the domain builder's p2m list is");
    private readonly RangeOption _startInfo = new("--start-info", "Where start_info is");
    private readonly RangeOption _initrd = new("--initrd", "Where the ramdisk is");

    public void AddTo(Command command)
    {
        command.Options.Add(_dom0);
        command.Options.Add(_nrPages);
        command.Options.Add(_max);
        command.Options.Add(_guestMap);
        _kernel.AddTo(command);
        command.Options.Add(_kernelSpan);
        command.Options.Add(_pageTables);
        command.Options.Add(_p2mList);
        command.Options.Add(_startInfo);
        command.Options.Add(_initrd);
        _plan.AddTo(command);
    }

    public bool IsDom0(ParseResult parsed) => parsed.GetValue(_dom0);

    /// <summary>Whether the user says which of the host's maps to take.</summary>
    public bool HasMapNumber(ParseResult parsed) => _plan.Host.HasMapNumber(parsed);

    /// <summary>What messages call the host's source.</summary>
    public string HostName(ParseResult parsed) => _plan.Host.NameOf(parsed);

    public bool HostIsStandardInput(ParseResult parsed) => _plan.Host.IsStandardInput(parsed);

    /// <param name="look">Looks for hints in what the host was read from; null for none.</param>
    public Parsed<Boot> Read(ParseResult parsed, CommandConsole console, Func<HostDocument, Parsed<BootHints>>? look = null)
    {
        bool isDom0 = parsed.GetValue(_dom0);
        if (!isDom0 && _max.IsGiven(parsed))
            return InputError.Conflict("--max", null, "only dom0 has a maximum reservation of its own", "give --dom0, or --maxmem for a guest");
        if (isDom0 && _plan.Guest.FirstGiven(parsed) is { } guestsOption)
            return InputError.Conflict(guestsOption, null, "this says what a guest gets, and dom0 is not a guest",
                "leave it or --dom0 out; dom0's size is --nr-pages and --max");
        if (isDom0 && _plan.Policy.FirstGiven(parsed) is { } policysOption)
            return InputError.Conflict(policysOption, null, "this lays a guest's map out, and dom0 gets the machine's", "leave it or --dom0 out");
        if (isDom0 && parsed.GetValue(_guestMap) is not null)
            return InputError.Conflict("--guest-map", null, "dom0 gets the machine's map", "give the machine's with --host, or leave --dom0 out");
        if (parsed.GetValue(_guestMap) is not null && _plan.Policy.FirstGiven(parsed) is { } policysToo)
            return InputError.Conflict(policysToo, null, "a map is given: no policy lays one", "leave it or --guest-map out");
        if (parsed.GetValue(_kernelSpan) is not null && _kernel.IsImageGiven(parsed))
            return InputError.Conflict("--kernel-span", null, "the kernel's image says where it is", "leave it or --kernel-image out");
        look ??= static _ => new BootHints();
        BootHints? hints;
        Parsed<Scenario> made = isDom0 ? Dom0(parsed, console, look, out hints) : Guest(parsed, console, look, out hints);
        if (!made.TryGet(out Scenario? scenario, out InputError? error))
            return error;
        if (!_kernel.Read(parsed, console, hints!.Kernel ?? KernelReleases.UsualOf(scenario.Guest.Is32Bit),
            isDom0 || hints.Layout is not null || !Planner.PlatformOf(scenario).Traits.KernelLaysMemory ? null : scenario.Guest,
            remark: hints.KernelRemark)
            .TryGet(out KernelChoice? kernel, out error))
        {
            return error;
        }

        // Where the user says that the kernel lies, a guest's own image says only which Linux it is.
        scenario = scenario with
        {
            Kernel = kernel.Release,
            IsKernelAssumed = !kernel.IsNamed && hints.Kernel is null,
            Image = parsed.GetValue(_kernelSpan) is null ? kernel.Image : null,
        };
        return Layout(parsed, console, scenario).TryGet(out GuestLayout? layout, out error) ? Boot.Of(scenario with { Layout = layout }) : error;
    }

    /// <summary>Where things lie: what the user says comes before what the log says, and what follows from it before what is usual.</summary>
    private Parsed<GuestLayout> Layout(ParseResult parsed, CommandConsole console, Scenario scenario)
    {
        GuestLayout layout = scenario.LayoutThatCounts;
        if (!layout.IsKnown && parsed.GetValue(_kernelSpan) is null && Planner.PlatformOf(scenario).Traits.KernelLaysMemory)
        {
            console.Remark(
                "the log does not show where the kernel is: it is taken to be a Linux of the size of 6.1; if it is another, "
                    + "say where it is with --kernel-span");
            layout = layout with { Kernel = scenario.UsualLayout.Kernel };
        }

        if (_kernelSpan.Read(parsed, default, out ByteRange image) is { } first)
            return first;
        if (!image.IsEmpty)
        {
            // Where a log has the builder's own words for what follows, they stand, unless the kernel would lie over them.
            GuestLayout following = scenario.LayoutWith(image);
            bool keeps = scenario.Layout is not null && !image.Overlaps(layout.StartInfo) && !image.Overlaps(layout.PageTables)
                && !image.Overlaps(layout.P2mList);
            layout = keeps
                ? layout with { Kernel = image, KernelProper = image }
                : following with
                {
                    KernelProper = image,
                    Initrd = layout.Initrd,
                    P2mList = scenario.Dom0 is null ? following.P2mList
                        : layout.P2mList
                };
        }

        if (_pageTables.Read(parsed, layout.PageTables, out ByteRange pageTables) is { } second)
            return second;
        if (_p2mList.Read(parsed, layout.P2mList, out ByteRange p2mList) is { } third)
            return third;
        if (_startInfo.Read(parsed, layout.StartInfo, out ByteRange startInfo) is { } fourth)
            return fourth;
        if (_initrd.Read(parsed, layout.Initrd, out ByteRange initrd) is { } fifth)
            return fifth;
        return layout with { PageTables = pageTables, P2mList = p2mList, StartInfo = startInfo, Initrd = initrd };
    }

    private Parsed<Scenario> Guest(ParseResult parsed, CommandConsole console, Func<HostDocument, Parsed<BootHints>> look, out BootHints? hints)
    {
        hints = null;
        GuestMap? given = null;
        InputError? error;
        if (parsed.GetValue(_guestMap) is { } path)
        {
            if (!Files.Read<GuestMap>(console, path, "a guest's map", GuestMapReader.Read).TryGet(out given, out error))
                return error;
            foreach (string remark in given.Remarks)
                console.Remark($"{Files.Shown(path)}: {remark}");
        }

        if (!_plan.Read(parsed, console, given).TryGet(out PlanInput? input, out error))
            return error;
        Scenario scenario = input.Scenario;
        // Such a guest's plan is the forecast as well.
        if (!Planner.PlatformOf(scenario).Traits.KernelLaysMemory)
        {
            hints = new();
            return scenario;
        }

        if (!look(input.Host).TryGet(out hints, out error))
            return error;
        scenario = scenario with { PageCount = parsed.GetValue(_nrPages), Host = hints.Host?.Host ?? scenario.Host };
        ulong pages = scenario.StartPages;
        if (pages == 0 && given is not null && scenario.PageCount is null && _plan.Guest.FirstGiven(parsed) is null)
            return InputError.OutOfRange(parsed.GetValue(_guestMap) is "-" ? "standard input" : Files.Shown(parsed.GetValue(_guestMap)!), null,
                "there is less than 1 MiB of RAM in this map", "give the guest's whole map, or its size with --memory");
        if (given?.Kernel is { } told && hints is { Kernel: null, KernelRemark: null })
            hints = With(hints, told.Value, $"the map's log is of Linux {Shown(told.Value)} (line {told.Line})");
        if (hints.CommandLine is { } commandLine && scenario.Guest.CommandLine is null)
            scenario = scenario with { Guest = scenario.Guest with { CommandLine = commandLine } };
        return OutOfRange(pages) is { } tooMany ? tooMany : scenario with { Layout = hints.Layout?.Invoke(pages) };
    }

    private Parsed<Scenario> Dom0(ParseResult parsed, CommandConsole console, Func<HostDocument, Parsed<BootHints>> look, out BootHints? hints)
    {
        hints = null;
        if (!_plan.Host.Read(parsed, console).TryGet(out HostDocument? host, out InputError? error))
            return error;
        if (!look(host).TryGet(out hints, out error))
            return error;
        host = hints.Host ?? host;
        Dom0Log? log = hints.Dom0 ?? (host.Log is { } scan ? Dom0Log.Of(scan, host.LogMap)?.On(host.Host) : null);
        if (log is { Pvh: not null } && hints.Dom0 is null && host is { Log: { } lines, LogMap: { } machine })
        {
            if (PvhDom0Verifier.BuiltBehind(lines, machine) is { } built)
            {
                hints = hints with { Tables = PvhDom0Verifier.TablesIn(built) };
                log = log with { PageCount = log.PageCount ?? PvhDom0Verifier.PagesIn(built) };
            }

            ObservedBoot? own = BootLog.Of(lines).FirstOrDefault(boot => machine.Line >= boot.FirstLine && machine.Line <= boot.LastLine);
            if (hints.Tables is null && own is { Owner: BootOwner.Dom0 })
                hints = hints with { Tables = PvhDom0Verifier.TablesOf(lines, own) };
        }

        if (parsed.GetValue(_nrPages) is null && log?.PageCount is null && host.LogMap?.Kind == LogMapKind.LinuxFirmware)
            return InputError.NotSupported("--dom0", null, "the log is of a Linux that is no dom0",
                "give the log of a boot under Xen, or ask with --nr-pages N how a dom0 of that size would fare here");
        if ((parsed.GetValue(_nrPages) ?? log?.PageCount) is not { } pages)
        {
            return InputError.Missing("--dom0", null, log is { IsMoreThanLeft: true }
                ? "how many pages dom0 starts with is not known: dom0_mem= is about all of the machine's RAM or more, and Xen gives what it has left"
                : "how many pages dom0 starts with is not known", "give --nr-pages N, or a Xen log that shows how dom0 is built");
        }

        if (OutOfRange(pages) is { } tooMany)
            return tooMany;
        if (_max.Read(parsed, out ulong? maxBytes) is { } maxError)
            return maxError;
        if (maxBytes is { } limit && limit >> Frames.Shift < pages)
            return InputError.Conflict("--max", null,
                $"dom0 starts with {Counted.Of((long)pages, "page")} ({ByteSize.ToText(pages << Frames.Shift)}), and Xen gives it no more than "
                    + $"its maximum",
                "give the maximum that it was given, or with --nr-pages what it starts with under this one");
        ulong? maxPages = maxBytes is { } most ? most >> Frames.Shift : log?.MaxPages;
        bool isPvh = log?.Pvh is not null;
        if (hints is { Kernel: null, KernelRemark: null } && host is { Log: { } boots, LogMap: { } taken })
            hints = WithKernelOf(hints, boots, taken, host.Host.Traits.LinuxRelease is not null, isPvh);
        if (log is { IsBuildShown: false } && !isPvh && parsed.GetValue(_nrPages) is null)
            console.Remark(log.IsCounted
                ? "the log does not show where Xen lays dom0 out: it is taken to have a Linux of the size of 6.1"
                : "the log does not show how Xen builds dom0: it is taken to have the pages of dom0_mem= and a Linux of the size of 6.1");
        if (log is { IsMaxReckoned: true } && maxBytes is null)
            console.Remark(
                "dom0_mem=max: on Xen's command line is relative to what Xen has left of the machine's memory; it is reckoned from all of it, a "
                    + "little too high: --max tells the limit");
        if (log is { IsMaxUnknown: true } && maxBytes is null && !isPvh)
            console.Remark("Xen's command line is not in the log: dom0 is taken to have no limit; if it was given dom0_mem=max:, say so with --max");
        SortedMap.TotalsOf(host.Host.Entries.AsSpan()).TryGetValue(E820Type.Ram, out ulong ramBytes);
        if (maxBytes is null && maxPages is null && log?.HasBuiltInLimit(ramBytes >> Frames.Shift, host.Host.Traits.XenVersion) == true)
            console.Remark(
                "Xen gives dom0 less than half of the machine, and its command line has no dom0_mem=: one is built into it, with a limit or without; "
                    + "none is taken, --max tells one");
        if (log is { IsMaxUnclear: true } && maxBytes is null)
            console.Remark(
                "dom0_mem= on Xen's command line cannot be read (is the log wrapped or garbled there?): dom0 is taken to have no limit; if "
                    + "it was given max:, say so with --max");
        var scenario = new Scenario
        {
            Host = host.Host,
            HostName = host.Description,
            Guest = new()
            {
                Name = "dom0",
                MemoryKiB = pages << (Frames.Shift - 10),
                MaxmemKiB = (maxPages ?? pages) << (Frames.Shift - 10),
                Is32Bit = log is { Is32Bit: true },
            },
            Dom0 = new(maxPages) { IsPvh = isPvh, Tables = hints.Tables },
            PageCount = pages,
        };
        return isPvh ? scenario : scenario with { Layout = hints.Layout?.Invoke(pages) ?? log?.Layout };
    }

    /// <summary>The Linux that the log shows as dom0's: by its own lines behind the map of Xen's that is taken, else by what GRUB or xl info says. Of
    /// one whose memory setup is not known there is a remark alone.</summary>
    /// <param name="hasVersion">Whether a kernel that is not a guest's says its version.</param>
    /// <param name="isPvh">Whether dom0 is a PVH one, whose map Linux prints as a machine's.</param>
    private static BootHints WithKernelOf(BootHints hints, LogScan log, LogMap taken, bool hasVersion, bool isPvh)
    {
        foreach (ObservedBoot boot in hasVersion ? BootLog.Of(log) : [])
        {
            if (boot is { Owner: BootOwner.Dom0 or BootOwner.Unknown, Identity: { } identity } && (isPvh || boot.Map is not null)
                && (boot.Owner != BootOwner.Unknown || taken.Kind == LogMapKind.GuestKernel)
                && taken.Line >= boot.FirstLine && taken.Line <= boot.LastLine)
                return With(hints, identity, $"dom0's kernel is Linux {Shown(identity)}, as the log says"
                    + $"{(boot.Release is { } at ? $" (line {at.Line})" : "")}");
        }

        if (NamedRelease.OfMap(log, taken) is { } named)
            return With(hints, named.Identity, $"dom0's kernel: {named.Source} Linux {Shown(named.Identity)} (line {named.Line})");
        return NamedRelease.OfNobody(log) is { } other
            ? hints with { KernelRemark = $"{other.Source} Linux {Shown(other.Identity)} (line {other.Line}); whether that is dom0's does not show: "
                + "if it is, say so with --kernel" }
            : hints;
    }

    private static string Shown(KernelIdentity identity) => InputError.OneLine(identity.Text, 80);

    /// <summary>A kernel that the log tells, which is taken where its memory setup is known.</summary>
    private static BootHints With(BootHints hints, KernelIdentity identity, string said) => hints with
    {
        Kernel = identity.Release,
        KernelRemark = identity.Release is null
            ? $"{said}, whose memory setup is not known (known are 3.2 to 7.3); it is taken for {KernelReleases.NameOf(KernelReleases.Default)}: "
                + "--kernel names another"
            : $"{said}{(identity.Guess is { } guess ? $" (a guess: {guess})" : "")}; --kernel names another",
    };

    private static InputError? OutOfRange(ulong pages) => pages is 0 or > (64UL << 40) >> Frames.Shift
        ? InputError.OutOfRange("--nr-pages", null, $"{pages} pages are not a valid size for a guest",
            "give 1 to 17179869184 pages of 4 KiB (64 TiB)")
        : null;
}
