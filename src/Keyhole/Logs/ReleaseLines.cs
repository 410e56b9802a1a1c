// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>What a line around a log tells of the Linux that it is of.</summary>
internal enum ReleaseLineKind
{
    /// <summary>GRUB loads Xen.</summary>
    XenLoaded,

    /// <summary>GRUB loads a Linux: its release.</summary>
    LinuxLoaded,

    /// <summary>The name of the machine that <c>xl info</c> was asked on.</summary>
    InfoHost,

    /// <summary>The release of dom0's Linux by <c>xl info</c>.</summary>
    InfoRelease,

    /// <summary>The major number of its Xen.</summary>
    InfoXenMajor,

    /// <summary>The minor number of its Xen.</summary>
    InfoXenMinor,

    /// <summary>What <c>uname -a</c> prints, on whatever machine.</summary>
    System,

    /// <summary>A shell's line in which dom0's tools are called.</summary>
    ToolCalled,
}

/// <summary>Such a line, and what it tells.</summary>
internal readonly record struct ReleaseLine(int Number, ReleaseLineKind Kind, string Text)
{
    /// <summary>Whether the tool that is called is xm, which prints the same.</summary>
    public bool IsXm { get; init; }
}

/// <summary>Gathers the lines around a log that name a Linux's release: GRUB's, those of <c>xl info</c> and <c>uname -a</c>. Guests' consoles in
/// Xen's log are left out.</summary>
/// <remarks>Source: GRUB's util/grub.d/20_linux_xen.in, Xen's tools/xl/xl_info.c.</remarks>
internal sealed class ReleaseLines
{
    private static readonly string[] s_tools = ["xl dmesg", "xl info", "xm dmesg", "xm info"];

    /// <summary>Words of which one stands in every line that is looked at.</summary>
    public static readonly string[] Words = [LoadsXen, LoadsLinux, "host ", "release ", "xen_major", "xen_minor", SmpKernel, .. s_tools];

    private const string LoadsXen = "Loading Xen ";
    private const string LoadsLinux = "Loading Linux ";
    private const string SmpKernel = " SMP ";
    private const int MaxLines = 256;
    private const int MaxTextLength = 256;

    private static readonly SearchValues<string> s_words = SearchValues.Create(Words, StringComparison.Ordinal);

    private readonly List<ReleaseLine> _lines = [];

    /// <summary>In the log's order.</summary>
    public ImmutableArray<ReleaseLine> ToLines() => [.. _lines];

    /// <summary>Keeps what a line tells.</summary>
    public void Read(ReadOnlySpan<char> line, int number)
    {
        if (_lines.Count == MaxLines || !line.ContainsAny(s_words) || LogPrefix.DomainOf(line) is not null
            || !TryParse(CitedLine.Unmarked(line).Trim(), out ReleaseLineKind kind, out ReadOnlySpan<char> text))
            return;
        _lines.Add(new(number, kind, InputError.OneLine(text.Trim(), MaxTextLength))
        {
            IsXm = kind == ReleaseLineKind.ToolCalled && line.Contains("xm info", StringComparison.Ordinal),
        });
    }

    private static bool TryParse(ReadOnlySpan<char> line, out ReleaseLineKind kind, out ReadOnlySpan<char> text)
    {
        kind = default;
        text = line;
        if (line.IndexOf(LoadsLinux) is >= 0 and int linux)
        {
            kind = ReleaseLineKind.LinuxLoaded;
            text = line[(linux + LoadsLinux.Length)..];
            int end = text.IndexOf(' ');
            text = text[..(end < 0 ? text.Length : end)];
            return true;
        }

        if (line.Contains(LoadsXen, StringComparison.Ordinal))
        {
            kind = ReleaseLineKind.XenLoaded;
            return true;
        }

        if (line.StartsWith("Linux ") && line.Contains(" #", StringComparison.Ordinal))
        {
            kind = ReleaseLineKind.System;
            return !line.StartsWith("Linux version ");
        }

        foreach (string tool in s_tools)
        {
            if (line.IndexOf(tool, StringComparison.Ordinal) is > 0 and int at && line[..at].ContainsAny('#', '$'))
            {
                kind = ReleaseLineKind.ToolCalled;
                text = line[..at];
                return true;
            }
        }

        int colon = line.IndexOf(" :", StringComparison.Ordinal);
        if (colon < 0)
            return false;
        text = line[(colon + 2)..];
        switch (line[..colon].TrimEnd())
        {
            case "host":
                kind = ReleaseLineKind.InfoHost;
                return true;
            case "release":
                kind = ReleaseLineKind.InfoRelease;
                return true;
            case "xen_major":
                kind = ReleaseLineKind.InfoXenMajor;
                return true;
            case "xen_minor":
                kind = ReleaseLineKind.InfoXenMinor;
                return true;
            default:
                return false;
        }
    }
}
