// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using Keyhole.Diagnostics;

namespace Keyhole.Logs;

/// <summary>What systems print that are no Linux: it is told whose it is, and what can be compared instead.</summary>
public static class OtherSystem
{
    private const string FreeBsd = "FreeBSD's";
    private const string NetBsd = "NetBSD's";
    private const string OpenBsd = "OpenBSD's";
    private const string Windows = "Windows'";

    /// <summary>FreeBSD's lines of the firmware's map, which it prints where it is booted with "boot -v".</summary>
    private const string Smap = "SMAP type=";

    private const string NoRoom = "enough free resources that it can use";

    private static readonly (string Words, string Whose)[] s_all =
    [
        (Smap, FreeBsd), ("The FreeBSD Project", FreeBsd), ("FreeBSD is a registered trademark", FreeBsd), ("real memory  = ", FreeBsd),
        ("The NetBSD Foundation", NetBsd), ("OpenBSD. All rights reserved", OpenBsd), ("(Code 12)", Windows), (NoRoom, Windows),
        ("Microsoft Windows [Version ", Windows),
    ];

    /// <summary>Words of which one stands in every line that is looked at.</summary>
    internal static ImmutableArray<string> Words { get; } = [.. Array.ConvertAll(s_all, static one => one.Words)];

    /// <summary>The error that a log tells nothing of a kernel's memory, with the system that the log is of; as it is where none is known.</summary>
    public static InputError Named(InputError error, LogScan scan)
    {
        ArgumentNullException.ThrowIfNull(error);
        ArgumentNullException.ThrowIfNull(scan);
        if (error.Code != InputErrorCode.NothingInIt || !scan.Maps.IsEmpty)
            return error;
        (string Whose, int Line)? found = null;
        bool hasMap = false;
        foreach (LogLine line in scan.Lines)
        {
            if (line.Speaker != LogSpeaker.Kernel)
                continue;
            foreach ((string words, string whose) in s_all)
            {
                if (!line.Text.Contains(words, StringComparison.Ordinal))
                    continue;
                found ??= (whose, line.Number);
                hasMap |= words == Smap;
            }
        }

        if (found is not { } told)
            return error;
        const string linux = "boot a Linux in the guest (a live medium does) and give its 'dmesg'";
        Phrase remedy = $"{linux}; which setting gives each BAR a place, {Setting.Compare} tells";
        if (hasMap)
            remedy = $"compare the SMAP lines with the map that {Setting.Plan} prints, or {linux}";
        else if (told.Whose == FreeBsd)
            remedy = $"{linux}; booted with 'boot -v' FreeBSD prints the map, too (SMAP), which {Setting.Plan} forecasts";
        return InputError.NotSupported(error.Source, told.Line, $"these are {told.Whose} words, and what is compared is what a Linux prints at boot",
            remedy);
    }
}
