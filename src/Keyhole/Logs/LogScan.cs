// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.Logs;

/// <summary>Whose view of memory a map in a log is.</summary>
public enum LogMapKind
{
    /// <summary>What Xen was given: <c>Xen-e820</c>, <c>Multiboot-e820</c>, <c>EFI</c>, <c>PVH-e820</c>, <c>TBOOT</c> … <c>RAM map</c>.</summary>
    XenFirmware,

    /// <summary>What a Linux that runs on the bare machine was given: <c>BIOS-e820:</c>.</summary>
    LinuxFirmware,

    /// <summary>The firmware's own descriptors, from which the loader or Xen made the E820 map.</summary>
    Efi,

    /// <summary>What the kernel of a dom0 or a guest made of its map: <c>Xen:</c>, or any map on a guest's console in Xen's log.</summary>
    GuestKernel,

    /// <summary>The map that Xen built for a PVH dom0: <c>Dom0 memory map</c>.</summary>
    Dom0BuiltByXen,

    /// <summary>A map after changes by the kernel itself or its command line: <c>modified:</c>, <c>user:</c>, <c>extended</c>.</summary>
    KernelEdited,

    /// <summary>Linux's <c>/proc/iomem</c>.</summary>
    Iomem,

    /// <summary>What tboot was given, or hands to the Xen or Linux that it starts: <c>TBOOT: … e820 map</c>.</summary>
    Tboot,
}

/// <summary>One memory map found in a log, in the log's order of entries.</summary>
/// <param name="Title">What the log calls it ("Xen-e820 RAM map"), or the prefix of its entries.</param>
/// <param name="Line">1-based line of its first entry.</param>
/// <param name="EntryLines">The line of each entry; as long as <paramref name="Entries"/>.</param>
/// <param name="Error">What makes the map unfit for use (an entry cut short, out of range, too many): its entries are then those before it.</param>
public sealed record LogMap(
    LogMapKind Kind,
    HostMapDialect Dialect,
    string Title,
    int Line,
    ImmutableArray<E820Entry> Entries,
    ImmutableArray<int> EntryLines,
    InputError? Error)
{
    /// <summary>With e820-verbose Xen prints the map as it came, before the one that it works with and passes on; so does tboot.</summary>
    public bool IsBeforeXensChanges => Kind == LogMapKind.Tboot ? !Title.StartsWith(TbootSyntax.HandedOver, StringComparison.Ordinal)
        : Title.StartsWith("Initial ", StringComparison.Ordinal);

    /// <summary>Whether it is the machine's whole map, before a kernel took its share of it.</summary>
    internal bool IsMachines => Kind is LogMapKind.XenFirmware or LogMapKind.LinuxFirmware or LogMapKind.Efi or LogMapKind.Tboot;

    /// <summary>The guest on whose console in Xen's log the map stands ("(d3)"); null where the lines do not say.</summary>
    public int? Domain { get; init; }

    /// <summary>The line where somebody left a part of the map out ("..."); null where nobody did.</summary>
    public int? CutLine { get; init; }

    /// <summary>The entries before which somebody left lines out, as indexes of <see cref="Entries"/>.</summary>
    internal ImmutableArray<int> Cuts { get; init => field = Given.Array(value); } = [];

    /// <summary>The ranges between two entries of which somebody left the lines out. Of entries that are not in order nothing is said.</summary>
    internal IEnumerable<ByteRange> RangesLeftOut()
    {
        foreach (int next in Cuts)
        {
            if (next > 0 && next < Entries.Length && Entries[next - 1] is { Wraps: false } before && before.End <= Entries[next].Address)
                yield return ByteRange.FromBounds(before.End, Entries[next].Address);
        }
    }

    /// <summary>Its lines that are cut short or garbled: what they say of the map is not known.</summary>
    internal ImmutableArray<int> Garbled { get; init => field = Given.Array(value); } = [];

    /// <summary>The entries behind the first of these lines.</summary>
    internal ImmutableArray<E820Entry> BehindDamage { get; init => field = Given.Array(value); } = [];

    /// <summary>The line of each of them.</summary>
    internal ImmutableArray<int> BehindLines { get; init => field = Given.Array(value); } = [];

    /// <summary>As <see cref="Cuts"/>, where they follow <see cref="Entries"/>.</summary>
    internal ImmutableArray<int> BehindCuts { get; init => field = Given.Array(value); } = [];

    /// <summary>The map with what stands behind its garbled lines, which count as lines that are left out. As it is where nothing does, or where that
    /// goes back in memory, as another map would.</summary>
    internal LogMap PastDamage() =>
        BehindDamage.IsEmpty || (!Entries.IsEmpty && BehindDamage[0].Address < Entries[^1].End) ? this : this with
        {
            Entries = [.. Entries, .. BehindDamage],
            EntryLines = [.. EntryLines, .. BehindLines],
            Cuts = [.. Cuts, .. BehindCuts],
            Error = null,
            BehindDamage = [],
            BehindLines = [],
            BehindCuts = [],
        };

    /// <summary>The line right behind its last entry where somebody left lines out, of the map or of what follows; null where nobody did.</summary>
    public int? OpenLine { get; init; }

    /// <summary>Whether the line above the map is in the log.</summary>
    internal bool IsTitled { get; init; }

    /// <summary>Whether what follows the last entry is of its log (a message that has the mark of the one that says it, or another map), and not what
    /// somebody has written; null where nothing follows.</summary>
    internal bool? IsFollowedByLog { get; init; }

    /// <summary>The line right behind its last entry that begins another boot or its map; null where none does.</summary>
    internal int? BrokenOffLine { get; init; }

    /// <summary>Whether the map may go on with what one before it began, as where foreign lines stand within it.</summary>
    internal bool GoesOnWith(LogMap before) => before.Kind == Kind && !before.Entries.IsEmpty && !Entries.IsEmpty
        && Entries[0].Address >= before.Entries[^1].End;

    /// <summary>Whether its first line comes behind another map of its kind and something that somebody wrote in between.</summary>
    internal bool IsBehindProse { get; init; }
}

/// <summary>Who says a line of a log.</summary>
public enum LogSpeaker
{
    /// <summary>A Linux, the host's or a guest's.</summary>
    Kernel,

    /// <summary>The hypervisor.</summary>
    Xen,
}

/// <summary>A line of a log that tells how a boot went, without time stamps and other prefixes, at most 512 characters long (a command line:
/// 2,048).</summary>
public sealed record LogLine(int Number, LogSpeaker Speaker, string Text)
{
    /// <summary>The guest whose console output in Xen's log the line is ("(d3)"); null where the line does not say.</summary>
    public int? Domain { get; init; }

    /// <summary>Milliseconds since the boot by a kernel's own stamp; null without one.</summary>
    internal ulong? Milliseconds { get; init; }

    /// <summary>Seconds by a stamp of a clock that does not jump while a kernel runs; null without one. Two of them tell how much later one line
    /// is.</summary>
    internal long? ClockSeconds { get; init; }

    /// <summary>Whether it says nothing of memory, and shows that its kernel goes on behind its map or an Oops.</summary>
    internal bool IsLifeSign { get; init; }

    /// <summary>
    /// What follows of Xen's command line in a log that was wrapped at the edge of a screen or by a mail program: each further line behind a line
    /// feed, 2,048 characters at most. Whether a blank stood where it was wrapped nobody can tell.
    /// </summary>
    public string Wrapped { get; init; } = "";
}

/// <summary>What one pass over a log found.</summary>
public sealed record LogScan
{
    /// <summary>Maps in the order of their first lines; of each kind the first 64.</summary>
    public required ImmutableArray<LogMap> Maps { get; init => field = Given.Array(value); }

    /// <summary>Maps beyond those kept.</summary>
    public int DroppedMaps { get; init; }

    /// <summary>What the log says of the host beside its maps.</summary>
    public required HostTraits Traits { get; init; }

    /// <summary>
    /// What kernels and Xen say about memory at boot ("Released …", "Remapped …", "can't claim BAR …", "Linux version …"): of each such message
    /// the first 256.
    /// </summary>
    public required ImmutableArray<LogLine> Lines { get; init => field = Given.Array(value); }

    /// <summary>The boots that the lines and maps tell of, found when somebody first asks. A copy with other lines has others.</summary>
    internal BootsInLog Boots => field is { } known && known.AreOf(this) ? known : field = new(this);

    /// <summary>Lines of the whole log.</summary>
    public int LineCount { get; init; }

    /// <summary>What of the mail or archive that the log came in could not be read ("the attachment a.gz (line 12) was not read: …"), a sentence
    /// each. Empty where nothing was lost, and where who read the source was told.</summary>
    public ImmutableArray<string> Unread { get; init => field = Given.Array(value); } = [];

    /// <summary>Why a KVM guest was not started, where the log is of such a start; null elsewhere, and where nobody looked for it.</summary>
    internal StartError? StartError { get; init; }

    /// <summary>Lines that stand for others which somebody or a program has left out; of more the first 64.</summary>
    internal ImmutableArray<int> Omissions { get; init => field = Given.Array(value); } = [];

    /// <summary>The lines that <see cref="Traits"/> were read of; null where nobody kept them.</summary>
    internal KeptLines? TraitLines { get; init; }

    /// <summary>The lines that tell what PCI functions ask for; null where nobody kept them.</summary>
    internal KeptLines? DeviceLines { get; init; }

    /// <summary>The lines around the log that name a Linux's release.</summary>
    internal ImmutableArray<ReleaseLine> ReleaseLines { get; init => field = Given.Array(value); } = [];

    /// <summary>The windows of host bridges with the lines that tell them, guests' left out; null for one of <c>/proc/iomem</c>.</summary>
    internal ImmutableArray<(RootWindow Window, int? Line)> RootWindows { get; init => field = Given.Array(value); } = [];

    /// <summary>What the log says of PCI functions; empty where nobody asked for it.</summary>
    public PciLog Pci { get; init; } = PciLog.Empty;
}
