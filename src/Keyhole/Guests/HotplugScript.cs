// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>What becomes of a guest that cannot be given its map.</summary>
public enum OrElse
{
    /// <summary>It is not started.</summary>
    Stop,

    /// <summary>It starts on libxl's own map.</summary>
    Libxl,
}

/// <summary>
/// A hotplug script that gives a guest its map while xl builds it, and then does what the guest's own script does. xl waits for these scripts, at
/// creation and at every reboot, and makes no guest whose script fails.
/// </summary>
public sealed record HotplugScript
{
    /// <summary>Seconds that Keyhole gets in it. libxl gives the whole script 40.</summary>
    public const int LimitSeconds = 20;

    /// <summary>The script that is run behind it, by its whole path.</summary>
    public required string Own { get; init; }

    /// <summary>The guest's xl.cfg, and a copy that counts where it is gone.</summary>
    public required string Configuration { get; init; }

    /// <summary>The copy of the guest's xl.cfg.</summary>
    public required string Copy { get; init; }

    /// <summary>Keyhole's program. Where it is gone the one on the PATH is taken; where there is none, the guest starts on libxl's map.</summary>
    public required string Program { get; init; }

    /// <summary>What the program is told before the guest's file: how it is asked for this guest's map.</summary>
    public required ImmutableArray<string> Call { get; init => field = Given.Array(value); }

    /// <summary>What the program is told behind the guest's file: its policy, its kernel.</summary>
    public required ImmutableArray<string> Options { get; init => field = Given.Array(value); }

    /// <summary>What becomes of the guest where it cannot be given its map.</summary>
    public required OrElse OrElse { get; init; }

    /// <summary>Whether a name can stand in a script, in a remark too: it is what it looks like, and stays on its line.</summary>
    public static bool CanName(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.Length is > 0 and <= 4096 && XlText.CanQuote(text) && text.All(static c => c >= ' ');
    }

    /// <summary>A word of a shell's line that stands for exactly that text.</summary>
    public static string Quote(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return $"'{text.Replace("'", @"'\''", StringComparison.Ordinal)}'";
    }

    /// <summary>The script, for any POSIX shell.</summary>
    public string Write() => $$"""
        #!/bin/sh
        # Made by Keyhole for the guest of {{Configuration}}, and in its configuration until Keyhole is told to undo that.
        # xl runs it while it builds the guest and waits for it: it gives the guest its memory map, and does then what the guest's own script does.
        own={{Quote(Own)}}
        guest={{Quote(Configuration)}}
        copy={{Quote(Copy)}}
        program={{Quote(Program)}}
        or_else={{(OrElse == OrElse.Stop ? "stop" : "libxl")}}

        # say LEVEL TEXT
        say() {
            logger -t keyhole -p "daemon.$1" -- "$guest: $2" 2>/dev/null || echo "keyhole: $guest: $2" >&2
        }

        give_map() {
            if [ ! -x "$program" ] && ! program=$(command -v keyhole); then
                say warning "keyhole is not there any more: the guest starts on libxl's own map"
                return 0
            fi
            [ -r "$guest" ] || guest=$copy
            limit=
            if command -v timeout >/dev/null 2>&1; then limit="timeout {{LimitSeconds}}"; fi
            said=$($limit "$program" {{string.Join(' ', Call.Select(Quote))}} "$guest" {{string.Join(' ', Options.Select(Quote))}} 2>&1 >/dev/null)
            status=$?
            if [ "$status" -eq 0 ]; then
                say info "its map is in force ($XENBUS_PATH)"
                return 0
            fi
            said="it gets no map of Keyhole's (status $status): $said"
            if [ "$or_else" = libxl ]; then
                say err "$said; it starts on libxl's own map"
                return 0
            fi
            say err "$said; it is not started"
            # What xl prints of the reason.
            xenstore-write "$XENBUS_PATH/hotplug-error" "keyhole: $said" 2>/dev/null
            return 1
        }

        PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin
        # dom0 itself is given a disk where something in it reads a guest's.
        case "$1 $XENBUS_PATH" in
            *\ backend/*/0/*) ;;
            online\ * | add\ *) give_map || exit 1 ;;
        esac
        exec "$own" "$@"

        """;
}
