// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Guests;

/// <summary>
/// Reads Proxmox VE's VMID.conf: it becomes the arguments that Proxmox itself hands to QEMU, as far as they decide a map. What the file does not
/// say (slots, bridges, root ports, the firmware's file) is taken from Proxmox's defaults, and said to be.
/// </summary>
/// <remarks>Source: qemu-server's QemuServer.pm (config_to_command), PCI.pm, Memory.pm, CPUConfig.pm, OVMF.pm, USB.pm, as of its version 9.</remarks>
public static class ProxmoxConfig
{
    private const int MaxLines = 10_000;

    /// <summary>The guest, or what is wrong with its file.</summary>
    public static Parsed<GuestDocument> Read(Stream stream, string sourceName)
    {
        if (!SmallInput.Read(stream, sourceName, XlConfig.MaxSizeBytes, XlConfig.Kind).TryGet(out SmallInput? input, out InputError? error))
            return error;
        return Read(input.Decode(), sourceName);
    }

    /// <summary>Whether the first setting of a text is one of Proxmox's: <c>key: value</c>.</summary>
    internal static bool IsOne(string text)
    {
        foreach (ReadOnlySpan<char> raw in text.AsSpan().EnumerateLines())
        {
            ReadOnlySpan<char> line = CitedLine.Unmarked(raw).Trim();
            if (!line.IsEmpty && line[0] != '#')
                return TrySetting(line, out _, out _);
        }

        return false;
    }

    /// <summary>The lines of a conf that stands amid sentences, as people paste it: from the first of the settings around those that are known to the
    /// last. False where the text has fewer than three of these, or is another format's.</summary>
    /// <param name="lines">1-based; the end is exclusive.</param>
    internal static bool IsAmidText(string text, out Range lines)
    {
        const int fewest = 3;
        lines = default;
        int number = 0;
        int first = 0;
        int last = 0;
        int count = 0;
        int begun = 0;
        foreach (ReadOnlySpan<char> raw in text.AsSpan().EnumerateLines())
        {
            number++;
            ReadOnlySpan<char> line = CitedLine.Unmarked(raw);
            // What is indented, or has an equals sign behind its first word, is another format's.
            if (line.TrimStart() is [not '#', ..] other && other.IndexOf(" = ") is > 0 and var equals && other[..equals].IndexOf(' ') < 0)
                return false;
            if (count >= fewest && line is ['[', ..])
                break;
            if (line.IsWhiteSpace() || line.TrimStart() is ['#', ..])
                continue;
            if (!TrySetting(line.TrimEnd(), out ReadOnlySpan<char> key, out _))
            {
                begun = 0;
                continue;
            }

            begun = begun == 0 ? number : begun;
            bool isKnown = ForeignGuestFile.IsProxmoxKey(key);
            count += isKnown ? 1 : 0;
            first = first == 0 && isKnown ? begun : first;
            if (isKnown || (first > 0 && begun <= last))
                last = number;
        }

        lines = first..(last + 1);
        return count >= fewest;
    }

    internal static Parsed<GuestDocument> Read(string text, string sourceName) => Read(text, sourceName, 1..int.MaxValue);

    /// <param name="lines">Those that are read: 1-based, the end exclusive.</param>
    internal static Parsed<GuestDocument> Read(string text, string sourceName, Range lines)
    {
        var settings = new SortedDictionary<string, (string Value, int Line)>(StringComparer.Ordinal);
        int lineNumber = 0;
        foreach (ReadOnlySpan<char> raw in text.AsSpan().EnumerateLines())
        {
            if (++lineNumber > MaxLines)
                return InputError.TooLarge(sourceName, lineNumber, $"more than {MaxLines} lines", "check that this is a guest's configuration");
            ReadOnlySpan<char> line = CitedLine.Unmarked(raw).Trim();
            if (line.IsEmpty || line[0] == '#' || lineNumber < lines.Start.Value)
                continue;
            if (lineNumber >= lines.End.Value)
                break;
            // What follows are snapshots and changes that wait for the next start.
            if (line[0] == '[')
                break;
            if (!TrySetting(line, out ReadOnlySpan<char> key, out ReadOnlySpan<char> value))
            {
                return InputError.Malformed(
                    sourceName, lineNumber, $"{InputError.Quote(line)} is not a valid setting",
                    "a setting is KEY: VALUE, as in /etc/pve/qemu-server/VMID.conf");
            }

            settings[key.ToString()] = (value.ToString(), lineNumber);
        }

        return new ProxmoxGuest(sourceName, settings).Build();
    }

    private static bool TrySetting(ReadOnlySpan<char> line, out ReadOnlySpan<char> key, out ReadOnlySpan<char> value)
    {
        int colon = line.IndexOf(':');
        key = colon < 0 ? default : line[..colon];
        value = colon < 0 ? default : line[(colon + 1)..].Trim();
        if (key.IsEmpty || !char.IsAsciiLetterLower(key[0]))
            return false;
        foreach (char c in key)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('_' or '-'))
                return false;
        }

        // A drive letter or a URL is none.
        return colon + 1 == line.Length || line[colon + 1] is ' ' or '\t';
    }
}
