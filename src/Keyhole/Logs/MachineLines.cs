// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.E820;

namespace Keyhole.Logs;

/// <summary>
/// Which lines of a log tell of the machine that one of its maps is of. People paste the log of a guest, or of another host, behind that of the
/// first: what such a Linux says of its processor, its firmware or its devices is told of no other machine's.
/// </summary>
internal sealed class MachineLines
{
    /// <summary>Those of a log that tells of one machine.</summary>
    public static readonly MachineLines All = new([]);

    /// <summary>More boots than anybody reads in one log.</summary>
    private const int MaxSections = 1024;

    private readonly ImmutableArray<(int First, bool IsXens, bool IsOwn)> _sections;

    private MachineLines(ImmutableArray<(int First, bool IsXens, bool IsOwn)> sections) => _sections = sections;

    /// <summary>Whether every line is of the machine.</summary>
    public bool AreAll => _sections.All(static section => section.IsOwn);

    /// <param name="scan">The log.</param>
    /// <param name="boots">The log's.</param>
    /// <param name="taken">The map of the machine that is asked for.</param>
    public static MachineLines Of(LogScan scan, BootsInLog boots, LogMap taken)
    {
        // What these are of no boot tells: a guest's map within Xen's log, what a running Linux lists.
        if (taken.Kind is LogMapKind.Iomem or LogMapKind.Dom0BuiltByXen or LogMapKind.Tboot || taken.Domain is not null)
            return All;
        List<Section> sections = Section.AllIn(scan);
        if (sections.Count < 2)
            return All;
        var told = ImmutableArray.CreateBuilder<(int First, bool IsXens, bool IsOwn)>(sections.Count);
        bool isXenOwn = true;
        for (int i = 0; i < sections.Count; i++)
        {
            Section section = sections[i];
            int end = i + 1 < sections.Count ? sections[i + 1].First : int.MaxValue;
            bool isOwn = section.IsXens ? section.IsXenOf(taken) : section.IsLinuxOf(scan, boots.All, taken, end, isXenOwn);
            if (section.IsXens)
                isXenOwn = isOwn;
            told.Add((section.First, section.IsXens, isOwn));
        }

        return new(told.DrainToImmutable());
    }

    /// <summary>Whether a line is of the machine. Xen's lines among those of a Linux are of the Xen that spoke last.</summary>
    public bool Holds(ReadOnlySpan<char> line, int number) => Holds(LogPrefix.TryXenBody(line, out _), number);

    /// <summary>A log as far as it tells of the machine: its maps stay, of which the reader chooses.</summary>
    public LogScan In(LogScan scan) => AreAll ? scan : scan with
    {
        Traits = LogTraits.Of(scan, this),
        Lines = [.. scan.Lines.Where(line => Holds(line.Speaker == LogSpeaker.Xen, line.Number))],
    };

    private bool Holds(bool isXens, int number)
    {
        for (int i = _sections.Length - 1; i >= 0; i--)
        {
            if (_sections[i].First <= number && (!isXens || _sections[i].IsXens))
                return _sections[i].IsOwn;
        }

        return true;
    }

    /// <summary>Whether two maps are of one machine: from boot to boot its map differs in some entries, another machine's in most.</summary>
    internal static bool AreAlike(LogMap one, LogMap other)
    {
        HashSet<(ulong, ulong, E820Type)> known = [.. Compared(one)];
        HashSet<(ulong, ulong, E820Type)> compared = [.. Compared(other)];
        int fewer = Math.Min(known.Count, compared.Count);
        compared.IntersectWith(known);
        return compared.Count * 2 > fewer || fewer == 0;
    }

    /// <summary>Below 1 MiB all machines are much alike.</summary>
    private static IEnumerable<(ulong, ulong, E820Type)> Compared(LogMap map) =>
        map.Entries.Where(static entry => entry.Address >= X86Layout.OneMiB).Select(static entry => (entry.Address, entry.Size, entry.Type));

    /// <summary>The lines from where a Xen or a Linux begins to speak to where the next one does.</summary>
    private sealed class Section
    {
        public required int First { get; init; }

        public bool IsXens { get; init; }

        /// <summary>Its first map of those that a boot prints.</summary>
        public LogMap? Map { get; private set; }

        public static List<Section> AllIn(LogScan scan)
        {
            List<Section> sections = [new() { First = 0 }];
            Section? xen = null;
            int nextMap = 0;
            foreach (LogLine line in scan.Lines)
            {
                for (; nextMap < scan.Maps.Length && scan.Maps[nextMap].Line < line.Number; nextMap++)
                    AddMap(scan.Maps[nextMap]);
                if (line.Domain is not null)
                    continue;
                if (line.Speaker == LogSpeaker.Kernel && line.Text.StartsWith(Vocabulary.Version, StringComparison.Ordinal))
                    Begin(line.Number, isXens: false);
                else if (line.Speaker == LogSpeaker.Xen && BootInProgress.IsXensStart(line.Text) && xen is not { Map: null })
                    Begin(line.Number, isXens: true);
            }

            for (; nextMap < scan.Maps.Length; nextMap++)
                AddMap(scan.Maps[nextMap]);
            return sections;

            Section Begin(int first, bool isXens)
            {
                if (sections.Count == MaxSections)
                    return sections[^1];
                Section section = new() { First = first, IsXens = isXens };
                sections.Add(section);
                if (isXens)
                    xen = section;
                return section;
            }

            void AddMap(LogMap map)
            {
                if (map.Domain is not null)
                    return;
                if (map.Kind == LogMapKind.XenFirmware)
                {
                    // What Xen was given and what it made of it come one behind the other.
                    if (xen is null || (xen.Map is { IsBeforeXensChanges: false } before && !before.Entries.SequenceEqual(map.Entries)))
                        Begin(map.Line, isXens: true);
                    if (xen is { Map: null or { IsBeforeXensChanges: true } })
                        xen.Map = map;
                }
                else if (map.Kind is LogMapKind.LinuxFirmware or LogMapKind.GuestKernel)
                {
                    Section last = sections[^1];
                    bool isNext = last.IsXens || (last.Map is { } before && !before.Entries.SequenceEqual(map.Entries) && !map.GoesOnWith(before));
                    Section linux = isNext ? Begin(map.Line, isXens: false) : last;
                    linux.Map ??= map;
                }
            }
        }

        public bool IsXenOf(LogMap taken) => Map is not { } own || own == taken || AreAlike(own, taken);

        public bool IsLinuxOf(LogScan scan, ImmutableArray<ObservedBoot> boots, LogMap taken, int end, bool isXenOwn)
        {
            if (taken.Line >= First && taken.Line < end && taken.Kind != LogMapKind.XenFirmware)
                return true;
            ObservedBoot? boot = boots.FirstOrDefault(boot => (boot.Release?.Line ?? boot.Map?.Line) is { } line && line >= First && line < end);
            if (boot is { Owner: BootOwner.Dom0 } && taken.Kind == LogMapKind.XenFirmware)
                return isXenOwn;
            if (boot is { Owner: BootOwner.Guest })
                return false;
            if (Map is not { } own)
                return boot?.Facts.RunsOn is not { } runsOn || !IsVirtual(runsOn.Value);
            if (own.Kind == taken.Kind)
                return AreAlike(own, taken);
            // One booted under Xen, the other on the bare machine; or Xen's own map.
            return own.Kind == LogMapKind.GuestKernel ? Dom0sMap.IsOfThisHost(own.Entries, taken.Entries)
                : taken.Kind == LogMapKind.GuestKernel ? Dom0sMap.IsOfThisHost(taken.Entries, own.Entries)
                : AreAlike(own, taken) || scan.Maps.Any(map => map.Kind == LogMapKind.Dom0BuiltByXen && AreAlike(own, map));
        }

        private static bool IsVirtual(string runsOn) =>
            runsOn.Contains("HVM", StringComparison.Ordinal) || runsOn.Contains("KVM", StringComparison.Ordinal);
    }
}
