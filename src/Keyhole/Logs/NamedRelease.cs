// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;

namespace Keyhole.Logs;

/// <summary>Which Linux dom0 runs, where its kernel's own version line is not in the log and another line tells: GRUB's before the boot, or one of
/// <c>xl info</c>. A guest's or another machine's is none of them.</summary>
/// <param name="Identity">The Linux.</param>
/// <param name="Line">Where it is named, counted from 1.</param>
/// <param name="Source">Who names it, as the words before it: "GRUB loads".</param>
public sealed record NamedRelease(KernelIdentity Identity, int Line, string Source)
{
    /// <summary>GRUB's lines come right before Xen's first, but for what the firmware writes between them.</summary>
    private const int MostBetween = 64;

    /// <summary>GRUB says that it loads Xen, then Linux.</summary>
    private const int MostBetweenXenAndLinux = 3;

    /// <summary><c>xl info</c> begins with its machine's name and the release.</summary>
    private const int MostBetweenHostAndRelease = 2;

    /// <summary>All of <c>xl info</c>.</summary>
    private const int MostOfInfo = 60;

    /// <summary>The release of the boot that a map of Xen's, or of dom0's kernel, belongs to; null where nothing tells it for sure.</summary>
    /// <param name="scan">The log.</param>
    /// <param name="map">One of its maps.</param>
    public static NamedRelease? OfMap(LogScan scan, LogMap map)
    {
        ArgumentNullException.ThrowIfNull(scan);
        ArgumentNullException.ThrowIfNull(map);
        ObservedBoot? boot = BootLog.Of(scan).FirstOrDefault(boot => map.Line >= boot.FirstLine && map.Line <= boot.LastLine);
        bool isDom0s = map is { Kind: LogMapKind.XenFirmware } or { Kind: LogMapKind.GuestKernel, Domain: null } && boot?.Owner != BootOwner.Guest;
        return !isDom0s ? null : ByGrub(scan, boot?.FirstLine ?? map.Line) ?? ByInfo(scan, boot);
    }

    /// <summary>A boot with the release that its log names elsewhere, where its kernel does not say it itself.</summary>
    /// <param name="scan">The log.</param>
    /// <param name="boot">One of its boots.</param>
    public static ObservedBoot Added(LogScan scan, ObservedBoot boot)
    {
        ArgumentNullException.ThrowIfNull(scan);
        ArgumentNullException.ThrowIfNull(boot);
        return boot is not { Owner: BootOwner.Dom0, Release: null } || (ByGrub(scan, boot.FirstLine) ?? ByInfo(scan, boot)) is not { } named ? boot
            : boot with { Release = new(named.Identity.Text, named.Line), Identity = named.Identity, ReleaseSource = named.Source };
    }

    /// <summary>The one release that <c>uname</c> names in the log, where whose it is does not show; null for none or several.</summary>
    /// <param name="scan">The log.</param>
    public static NamedRelease? OfNobody(LogScan scan)
    {
        ArgumentNullException.ThrowIfNull(scan);
        return Only([.. scan.ReleaseLines.Where(static line => line.Kind == ReleaseLineKind.System)], "uname names");
    }

    private static NamedRelease? ByGrub(LogScan scan, int firstLine)
    {
        ReleaseLine loaded = scan.ReleaseLines.LastOrDefault(line => line.Kind == ReleaseLineKind.LinuxLoaded && line.Number < firstLine);
        bool isOfXen = scan.ReleaseLines.Any(line => line.Kind == ReleaseLineKind.XenLoaded && line.Number <= loaded.Number
            && line.Number >= loaded.Number - MostBetweenXenAndLinux);
        bool isOfAnother = firstLine - loaded.Number > MostBetween
            || scan.Maps.Any(map => map.Line > loaded.Number && map.Line < firstLine)
            || scan.Lines.Any(line => line.Number > loaded.Number && line.Number < firstLine
                && line.Text.StartsWith(Vocabulary.Version, StringComparison.Ordinal));
        return loaded.Number != 0 && isOfXen && !isOfAnother ? Of(loaded.Text, loaded.Number, "GRUB loads") : null;
    }

    /// <summary>A dom0 that answered <c>xl info</c> did not die at its start, and of several boots nobody knows which one answered.</summary>
    private static NamedRelease? ByInfo(LogScan scan, ObservedBoot? boot)
    {
        LogMap[] machines = [.. scan.Maps.Where(static map => map is { Kind: LogMapKind.XenFirmware, IsBeforeXensChanges: false })];
        bool isOneBoot = boot is not { Halts: true } && scan.Boots.All.Count(static other => other.Owner == BootOwner.Dom0) <= 1;
        if (!isOneBoot || machines is not [var machine] || !scan.Boots.MachineOf(machine).AreAll)
            return null;
        ImmutableArray<ReleaseLine> lines = scan.ReleaseLines;
        ReleaseLine[] told = [.. lines.Where((line, at) => line.Kind == ReleaseLineKind.InfoRelease && IsBehindHost(lines, at))];
        if (told.Length > 0)
            return told.All(line => IsOfXen(scan, line)) ? Only(told, $"{ToolOf(scan, told[0])} info names") : null;
        ReleaseLine[] systems = [.. lines.Where(static line => line.Kind == ReleaseLineKind.System)];
        return systems.All(line => IsOfDom0(lines, line)) ? Only(systems, "uname names") : null;
    }

    /// <summary>xm, where it is called before the lines, or the host's Xen has no xl yet (it came with 4.1); else xl.</summary>
    private static string ToolOf(LogScan scan, ReleaseLine told) =>
        scan.ReleaseLines.LastOrDefault(line => line.Kind == ReleaseLineKind.ToolCalled && line.Number < told.Number).IsXm
            || scan.Traits.XenVersion?.IsUpTo(4, 0) == true ? "xm" : "xl";

    private static bool IsBehindHost(ImmutableArray<ReleaseLine> lines, int at) => at > 0 && lines[at - 1].Kind == ReleaseLineKind.InfoHost
        && lines[at].Number - lines[at - 1].Number <= MostBetweenHostAndRelease;

    /// <summary>Whether what <c>xl info</c> says of Xen is what the log is of, as far as both say it.</summary>
    private static bool IsOfXen(LogScan scan, ReleaseLine release)
    {
        if (scan.Traits.XenVersion is not { } xen)
            return true;
        return Is(ReleaseLineKind.InfoXenMajor, xen.Major) && Is(ReleaseLineKind.InfoXenMinor, xen.Minor);

        bool Is(ReleaseLineKind kind, int number)
        {
            ReleaseLine line = scan.ReleaseLines.FirstOrDefault(line => line.Kind == kind && line.Number > release.Number);
            return line.Number == 0 || line.Number - release.Number > MostOfInfo
                || line.Text == number.ToString(System.Globalization.CultureInfo.InvariantCulture);
        }
    }

    /// <summary>Whether the machine of a <c>uname -a</c> is the one on which dom0's tools were called.</summary>
    private static bool IsOfDom0(ImmutableArray<ReleaseLine> lines, ReleaseLine system)
    {
        string[] words = system.Text.Split(' ', 3);
        string host = words.Length > 1 ? words[1].Split('.')[0] : "";
        return host.Length > 0 && lines.Any(line => line.Kind == ReleaseLineKind.ToolCalled
            && line.Text.Split('@', ' ', ':', '[', ']', '#', '$', '~', '(', ')').Contains(host));
    }

    private static NamedRelease? Only(ReleaseLine[] lines, string source)
    {
        NamedRelease?[] named = [.. lines.Select(line => Of(line.Text, line.Number, source))];
        return named.Length > 0 && named.All(one => one is not null && one.Identity == named[0]!.Identity) ? named[0] : null;
    }

    private static NamedRelease? Of(string text, int line, string source) =>
        KernelReleases.Identify(text) is { } identity ? new(identity, line, source) : null;
}
