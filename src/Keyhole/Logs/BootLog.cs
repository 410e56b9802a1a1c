// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Logs;

/// <summary>Takes a log apart into the boots that it holds: Xen with dom0, guests behind it or on their consoles, a machine that boots
/// twice.</summary>
public static class BootLog
{
    /// <summary>The console that carries no guest's number: Xen's own, dom0's, or that of the only guest.</summary>
    private const int MainConsole = 0;

    /// <summary>Guests that are told of for their end alone.</summary>
    private const int MaxEnds = 64;

    /// <summary>Lines of Xen about faults that are kept until a domain crashes.</summary>
    private const int MaxFaults = 8;

    /// <summary>Xen ends a domain at once: what it said longer before has another story.</summary>
    private const int MostLinesBeforeEnd = 100;

    /// <summary>Of these the last that are told of one guest.</summary>
    private const int MaxToldFaults = 4;

    /// <summary>
    /// The boots in the order of their first lines. Those of which a kernel says something, or none such at all and then those that a domain builder
    /// prepares. A kernel without a version line begins where what only stands before a map follows what only stands behind one.
    /// </summary>
    public static ImmutableArray<ObservedBoot> Of(LogScan scan)
    {
        ArgumentNullException.ThrowIfNull(scan);
        return scan.Boots.All;
    }

    /// <summary>Goes through the log for <see cref="Of"/>.</summary>
    internal static ImmutableArray<ObservedBoot> Find(LogScan scan)
    {
        List<BootInProgress> boots = [];
        SortedDictionary<int, BootInProgress> live = [];
        SortedDictionary<int, (BootFailure Failure, LogLine Line)> ends = [];
        List<(int? Domain, string Words, int Line)> faults = [];
        SortedDictionary<int, (BootInProgress? Boot, BootFailure Failure, LogLine Line)> announced = [];
        List<(KernelMessage Message, LogLine Line)> needs = [];
        var trace = new XenTraceReader();
        // Of a dom0 of which the log has nothing before its end.
        (BootFailure Failure, LogLine Line)? dom0End = null;
        // What Xen says before its panic: where the panic itself is not in the log it is all there is.
        (BootFailure Failure, LogLine Line)? xensEnd = null;
        int nextMap = 0;
        foreach (LogLine line in scan.Lines)
        {
            for (; nextMap < scan.Maps.Length && scan.Maps[nextMap].Line <= line.Number; nextMap++)
                AddMap(scan.Maps[nextMap]);
            AddLine(line);
        }

        for (; nextMap < scan.Maps.Length; nextMap++)
            AddMap(scan.Maps[nextMap]);
        AddXensEnd();
        if (trace.Dump is { } dump)
            AddEnd(new(BootFailureKind.XenDump, "a dump of Xen's own registers"), 0, dump);
        // Where the log is cut behind the words that always come before an end, they are the end.
        foreach ((int domain, (BootInProgress? boot, BootFailure failure, LogLine line)) in announced)
        {
            boot?.End(failure, line);
            if (boot is null && domain != 0 && ends.Count < MaxEnds)
                ends.TryAdd(domain, (failure, line));
        }

        // A log that is cut on both sides may have no more of a kernel than that something of it got no memory.
        if (boots.TrueForAll(static boot => boot.IsSleepAlone) && ends.Count == 0 && scan.Maps.IsEmpty)
        {
            foreach ((KernelMessage message, LogLine line) in needs)
            {
                int console = line.Domain ?? MainConsole;
                (live.GetValueOrDefault(console) ?? Begin(BootOwner.Unknown, console, line.Number)).AddAlone(message, line.Number);
            }
        }

        // Of a guest of which the log has nothing else its end is all there is; beside boots it is none.
        if (!boots.Any(static boot => boot.HasKernelLines))
        {
            foreach ((int domain, (BootFailure failure, LogLine line)) in ends)
            {
                var boot = new BootInProgress(BootOwner.Guest, domain, line.Number);
                boot.End(failure, line);
                boots.Add(boot);
            }
        }

        boots.RemoveAll(static boot => boot.IsSleepAlone);
        IEnumerable<BootInProgress> told = boots.Any(static boot => boot.HasKernelLines) ? boots.Where(static boot => boot.HasKernelLines) : boots;
        return WithOnlyCrash([.. told.Select((boot, index) => Dom0Evidence.OwnerShown(boot.ToBoot(index + 1), scan))], ends);

        BootInProgress Begin(BootOwner owner, int console, int line)
        {
            var boot = new BootInProgress(console == MainConsole ? owner : BootOwner.Guest, console == MainConsole ? null : console, line);
            boots.Add(boot);
            live[console] = boot;
            return boot;
        }

        void AddMap(LogMap map)
        {
            int console = map.Domain ?? MainConsole;
            BootInProgress? boot = live.GetValueOrDefault(console);
            if (map.Kind == LogMapKind.XenFirmware)
            {
                if (boot?.TakesXen(isStart: true) != true)
                    Begin(BootOwner.Dom0, MainConsole, map.Line);
            }
            else if (map is { Kind: LogMapKind.KernelEdited, Title: "user" })
            {
                boot?.AddUsers(map);
            }
            else if (map is { Kind: LogMapKind.LinuxFirmware, Domain: null } && boot?.TakesFirmwares(map) == true
                && Dom0Evidence.IsPvhDom0s(map, boot.FirstLine, scan))
            {
                boot.AddFirmwares(map);
            }
            else if (map.Kind == LogMapKind.GuestKernel)
            {
                if (boot?.HasAlready(map) == true)
                    return;
                if (boot?.IsContinuedBy(map) == true)
                    boot.Continue(map);
                else
                    (boot?.Takes(map) == true ? boot : Begin(BootOwner.Unknown, console, map.Line)).Add(map);
            }
        }

        void AddEnd(BootFailure failure, int domain, LogLine line)
        {
            BootInProgress? boot = live.GetValueOrDefault(domain == 0 ? MainConsole : domain);
            // Xen may die before there is a dom0 to speak of.
            if (failure.IsXens)
            {
                failure = failure with { Trace = trace.Trace };
                trace.Clear();
                xensEnd = null;
            }

            if (boot is null && failure.IsXens)
            {
                boot = Begin(BootOwner.Dom0, MainConsole, line.Number);
                // Xen may die while it reboots the machine for the end of a dom0 of which the log has no more.
                if (dom0End is { } before)
                    boot.End(before.Failure, before.Line);
            }

            dom0End = boot is null && domain == 0 ? (failure, line) : null;
            if (failure.Kind == BootFailureKind.Crashed)
            {
                // The words stand before the end of the domain whose they are; a page walk does not say whose it is.
                failure = failure with { Cause = CauseIn(faults, domain, line.Number) };
                faults.Clear();
                announced.Remove(domain);
            }

            boot?.End(failure, line);
            if (boot is null && domain != 0 && failure.Kind == BootFailureKind.Crashed && ends.Count < MaxEnds)
                ends.TryAdd(domain, (failure, line));
        }

        void AddXensEnd()
        {
            if (xensEnd is { } end)
                AddEnd(end.Failure, 0, end.Line);
        }

        void AddFault(int? domain, string words, LogLine line, bool isEnd)
        {
            if (isEnd && domain is { } ended && announced.Count < MaxEnds)
                announced.TryAdd(ended, (live.GetValueOrDefault(ended == 0 ? MainConsole : ended), new(BootFailureKind.Crashed, words), line));
            if (faults.Count == MaxFaults)
                faults.RemoveAt(0);
            faults.Add((domain, words, line.Number));
        }

        void AddLine(LogLine line)
        {
            int console = line.Domain ?? MainConsole;
            BootInProgress? boot = live.GetValueOrDefault(console);
            if (line.Speaker == LogSpeaker.Xen && console == MainConsole)
            {
                if (trace.Take(line))
                {
                    // A check of Xen's own begins a dump, and is the end where nothing else tells one.
                    if (BootFailure.AnnouncedByXen(line.Text) is { } check)
                        xensEnd ??= (check, line);
                    return;
                }

                if (BootFailure.OfXen(line.Text, out int domain) is { } failure)
                {
                    AddEnd(failure, domain, line);
                    return;
                }

                if (BootFailure.AnnouncedByXen(line.Text) is { } announcement)
                {
                    xensEnd ??= (announcement, line);
                    return;
                }

                bool isStart = BootInProgress.IsXensStart(line.Text);
                if (isStart)
                    AddXensEnd();
                trace.Clear();
                if (isStart || BootInProgress.IsXensBuilder(line.Text))
                    (boot?.TakesXen(isStart) == true ? boot : Begin(BootOwner.Dom0, MainConsole, line.Number)).AddXen(line);
                else if (IsXensSleep(line.Text))
                    (boot ?? Begin(BootOwner.Dom0, MainConsole, line.Number)).NoteSleep(line.Text.Trim(), line.Number);
                else if (BootFailure.FaultOfXen(line.Text, out int? faulty, out bool isEnd) is { } fault)
                    AddFault(faulty, fault, line, isEnd);
                else if (BootFailure.CauseOfXen(line.Text) is { } cause)
                    boot?.NoteCause(cause);
                return;
            }

            KernelMessage message = line.IsLifeSign ? default : KernelMessage.Parse(line.Text);
            if (boot is not null
                && (message.Kind == KernelMessageKind.NextBoot ? boot.HasKernelLines : boot.IsOverBefore(line.Milliseconds)))
            {
                live.Remove(console);
                boot = null;
            }

            boot?.NoteTime(line);
            // A quotation may begin there: what ends behind it is no boot.
            if (message.Kind == KernelMessageKind.Sleep && boot is null)
                boot = Begin(BootOwner.Unknown, console, line.Number);
            if (line.IsLifeSign)
                boot?.NoteLife(line.Number);
            if (message.Kind is KernelMessageKind.Other or KernelMessageKind.NextBoot)
                return;
            trace.Clear();
            // What says nothing of the memory setup begins no boot.
            bool isAside = message.Kind is KernelMessageKind.LateCommandLine or KernelMessageKind.TraceRelease or KernelMessageKind.Console
                or KernelMessageKind.DeferredPages or KernelMessageKind.MapEdit or KernelMessageKind.RunsOn or KernelMessageKind.Program
                or KernelMessageKind.OptionsTaken or KernelMessageKind.ChangedMapTitle or KernelMessageKind.NotSaved or KernelMessageKind.Need
                or KernelMessageKind.Sleep;
            if (isAside && boot?.Takes(message) != true)
            {
                if (message.Kind == KernelMessageKind.Need && KernelNeeds.Of(line.Text) is { IsLoss: true } && needs.Count < MaxEnds)
                    needs.Add((message, line));
                return;
            }

            if (boot?.BeginsReplay(message) == true)
            {
                boot.BeginReplay();
                return;
            }

            BootOwner owner = message.Kind == KernelMessageKind.Segment ? BootOwner.Guest : BootOwner.Unknown;
            boot = boot?.Takes(message) == true ? boot : Begin(owner, console, line.Number);
            boot.Add(message, line.Number);
            boot.NoteTime(line);
        }
    }

    private static bool IsXensSleep(string text) => Vocabulary.XensSleep.Any(word => text.Contains(word, StringComparison.Ordinal));

    /// <summary>What Xen said of a domain; from where it was ended only where nothing else was said.</summary>
    private static string? CauseIn(List<(int? Domain, string Words, int Line)> faults, int domain, int end)
    {
        string[] words = [.. faults.Where(fault => (fault.Domain is null || fault.Domain == domain) && end - fault.Line <= MostLinesBeforeEnd)
            .Select(static fault => fault.Words).Distinct()];
        string[] reasons = [.. words.Where(static word => !word.Contains(XenReasons.CalledFrom, StringComparison.Ordinal)).TakeLast(MaxToldFaults)];
        return words.Length == 0 ? null : string.Join("; ", reasons.Length == 0 ? words[^1..] : reasons);
    }

    /// <summary>Behind a guest's console without prefixes (what 'xl dmesg' says, in the same file) Xen's lines bear the guest's number, the boot
    /// none. Where one guest boots and one crashed, behind it, the one may be the other.</summary>
    private static ImmutableArray<ObservedBoot> WithOnlyCrash(ImmutableArray<ObservedBoot> boots,
        SortedDictionary<int, (BootFailure Failure, LogLine Line)> ends)
    {
        ObservedBoot[] guests = [.. boots.Where(static boot => boot.Owner != BootOwner.Dom0)];
        if (ends.Count != 1 || guests is not [{ Domain: null, EndedByXen: null } guest])
            return boots;
        (BootFailure failure, LogLine line) = ends.Values.Single();
        bool mayBeRestart = failure.IsTripleFault && guest.Facts.Runs;
        // A PV guest has no tables of Xen's.
        bool isOthers = IsPv(guest) is { } isPv && !XenReasons.CanBeOf(failure, isPv);
        return line.Number <= guest.LastLine || mayBeRestart || isOthers ? boots
            : boots.Replace(guest, guest with { OnlyCrash = new(failure, line.Number) });
    }

    /// <summary>Whether a guest's kernel runs as a PV one; null where its log does not show it.</summary>
    private static bool? IsPv(ObservedBoot guest) => guest switch
    {
        { Facts.RunsOn.Value: "Xen HVM" or "Xen PVH" } => false,
        { Facts.RunsOn.Value: "Xen" or "Xen PV" } or { Map.Kind: LogMapKind.GuestKernel } or { Facts.Released: not null }
            or { Facts.Remapped: not null } => true,
        _ => null,
    };

    /// <summary>A boot that was chosen as that of the guest whose log it is: Xen's word on the only guest that crashed is of it.</summary>
    private static ObservedBoot AsTheGuests(ObservedBoot boot)
    {
        if (boot.OnlyCrash is not { } crash || boot.EndedByXen is not null)
            return boot;
        boot = boot with { LastLine = Math.Max(boot.LastLine, crash.Line), OnlyCrash = null };
        // What comes behind a sleep is no end of the boot.
        return boot.Sleep is not null ? boot with { EndedLater = boot.EndedLater ?? crash } : boot with { EndedByXen = crash };
    }

    /// <summary>Chooses a boot: the one asked for, else of the kind that is looked for the one behind the host's map, else the first that tells of
    /// its memory, else the first.</summary>
    /// <param name="boots">All of one log.</param>
    /// <param name="wantsDom0">dom0's boot, else a guest's.</param>
    /// <param name="number">1-based, or null.</param>
    /// <param name="sourceName">What errors call the log.</param>
    /// <param name="hostMap">The map of this very log that is taken for the host's; null for a map from elsewhere.</param>
    public static Parsed<ObservedBoot> Choose(
        ImmutableArray<ObservedBoot> boots, bool wantsDom0, int? number, string sourceName, LogMap? hostMap = null)
    {
        Given.Array(boots, nameof(boots));
        ArgumentNullException.ThrowIfNull(sourceName);
        string whose = wantsDom0 ? "dom0's kernel" : "the guest's kernel";
        if (!boots.Any(static boot => boot.HasKernelLines))
        {
            return InputError.NothingInIt(
                sourceName,
                null,
                $"nothing that a kernel says of its memory at boot is in it",
                $"give what {whose} printed with {Setting.KernelLog} ('sudo dmesg' there, or the console's log), or ask "
                    + $"{Setting.Boot} for the forecast alone");
        }

        if (number is { } wanted)
        {
            return wanted >= 1 && wanted <= boots.Length
                ? wantsDom0 ? boots[wanted - 1] : AsTheGuests(boots[wanted - 1])
                : InputError.NoSuchItem(sourceName, null, $"there is no boot {wanted}: the log has {boots.Length}",
                    $"choose {Setting.BootNumber} 1 to {boots.Length}");
        }

        if (BootChoice.Of(boots, wantsDom0, hostMap) is { } found)
            return wantsDom0 ? found : AsTheGuests(found);
        ErrorText what = wantsDom0 ? "only guests boot in this log" : "only dom0 boots in this log";
        return boots.Length == 1
            ? InputError.NothingInIt(sourceName, boots[0].FirstLine, what, $"give what {whose} printed with {Setting.KernelLog}")
            : InputError.NothingInIt(sourceName, boots[0].FirstLine, what,
                $"give what {whose} printed with {Setting.KernelLog}, or take one of the log's {boots.Length} boots with {Setting.BootNumber} N");
    }

    /// <summary>Why <see cref="Choose"/> took that boot where it is not the first of its kind; null where it is.</summary>
    /// <param name="boots">All of one log.</param>
    /// <param name="chosen">One of them, with no number asked for.</param>
    /// <param name="hostMap">The map of this very log that is taken for the host's; null for a map from elsewhere.</param>
    public static Phrase? WhyNotTheFirst(ImmutableArray<ObservedBoot> boots, ObservedBoot chosen, LogMap? hostMap)
    {
        Given.Array(boots, nameof(boots));
        ArgumentNullException.ThrowIfNull(chosen);
        return BootChoice.WhyNotTheFirst(boots, chosen, hostMap);
    }
}
