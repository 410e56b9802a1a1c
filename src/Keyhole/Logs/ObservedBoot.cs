// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Guests;
using Keyhole.PvGuest;

namespace Keyhole.Logs;

/// <summary>Whose kernel boots, as far as its log tells.</summary>
public enum BootOwner
{
    /// <summary>A dmesg without Xen's or a toolstack's lines around it.</summary>
    Unknown,

    /// <summary>The host's own dom0.</summary>
    Dom0,

    /// <summary>A guest.</summary>
    Guest,
}

/// <summary>What a log says of one boot of one kernel. Data only; see <see cref="BootLog"/>.</summary>
public sealed record ObservedBoot
{
    /// <summary>1-based, among the boots of its log.</summary>
    public required int Number { get; init; }

    /// <summary>Whose boot it is.</summary>
    public required BootOwner Owner { get; init; }

    /// <summary>The guest's number where the log is Xen's and shows its console ("(d3)").</summary>
    public int? Domain { get; init; }

    /// <summary>First and last line of the boot, 1-based.</summary>
    public required int FirstLine { get; init; }

    /// <summary>The last line of the log that belongs to it, counted from 1.</summary>
    public required int LastLine { get; init; }

    /// <summary>"6.1.0-53-amd64", from the version line.</summary>
    public LogFact<string>? Release { get; init; }

    /// <summary>Who names <see cref="Release"/> where it is not the version line: "GRUB loads", "xl info names"; null where it is.</summary>
    public string? ReleaseSource { get; init; }

    /// <summary>The kernel's own map; entries before the damage where it carries an error.</summary>
    public LogMap? Map { get; init; }

    /// <summary>The kernel's map after <c>mem=</c> and <c>memmap=</c> ("user:"); null where the log has none.</summary>
    public LogMap? UserMap { get; init; }

    /// <summary>Whether entries at the map's start may be missing: nothing of the kernel stands before them.</summary>
    public bool MapMayBeginLate { get; init; }

    /// <summary>Whether entries at the map's end may be missing: it is damaged there, or nothing of the kernel follows.</summary>
    public bool MapMayEndEarly { get; init; }

    /// <summary>Whether the log shows that the map's last line is the last that it has of it: its kernel goes on behind it.</summary>
    internal bool IsMapClosed { get; init; }

    /// <summary>The boot with all of a map in which lines are garbled.</summary>
    internal ObservedBoot PastDamage() => Map is { Error: not null } map ? WithMap(map.PastDamage()) : this;

    /// <summary>The boot with another reading of its map.</summary>
    internal ObservedBoot WithMap(LogMap map) => this with
    {
        Map = map,
        MapMayBeginLate = MapMayBeginLate || map.Cuts.Contains(0),
        MapMayEndEarly = map is { Error: not null } or { OpenLine: not null } || !IsMapClosed,
    };

    /// <summary>What its kernel says of its memory.</summary>
    public required BootFacts Facts { get; init; }

    /// <summary>What Xen says of the domain's end ("Hardware Dom0 crashed: …"), or of its own.</summary>
    public LogFact<BootFailure>? EndedByXen { get; init; }

    /// <summary>The end of a machine or guest that had been put to sleep: none of the boot.</summary>
    public LogFact<BootFailure>? EndedLater { get; init; }

    /// <summary>What Xen or the kernel says last of sleep ("Finishing wakeup from ACPI S3 state."); null where nothing.</summary>
    public LogFact<string>? Sleep { get; init; }

    /// <summary>What Xen says, behind the boot of the log's only guest, of the one guest that crashed: "Domain 1 (vcpu#0) crashed". The boot's lines
    /// bear no number, so that it is this guest's is known only where the log is that guest's.</summary>
    internal LogFact<BootFailure>? OnlyCrash { get; init; }

    /// <summary>The end of the boot, but for one with the words of the memory setup: the kernel's own word before Xen's.</summary>
    public LogFact<BootFailure>? BootFailure => Facts.BootFailure ?? EndedByXen;

    /// <summary>What Xen says of the dom0 that it builds; null for guests and where it says nothing.</summary>
    public Dom0Log? Builder { get; init; }

    /// <summary>Where xl's domain builder put things, from an <c>xl -vvv</c> log.</summary>
    public GuestLayout Segments { get; init; } = GuestLayout.Unknown;

    /// <summary>Whether the kernel, or Xen of its end, says anything at all.</summary>
    public required bool HasKernelLines { get; init; }

    /// <summary>What the version line says of the kernel; null without one.</summary>
    public KernelIdentity? Identity { get; init; }

    /// <summary>The release that the kernel is taken for; null without a version line, and where its memory setup is not known.</summary>
    public KernelRelease? Kernel => Identity?.Release;

    /// <summary>Whether the log shows that the boot ended.</summary>
    public bool Halts => Facts.PanicMessage is not null || BootFailure is not null;

    /// <summary>Whether Xen died, and no kernel had said anything.</summary>
    public bool IsXensOwnEnd =>
        EndedByXen is { Value.IsXens: true } && (Release is null || ReleaseSource is not null) && Map is null && Facts == s_nothing;

    private static readonly BootFacts s_nothing = new();
}
