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

    internal static Parsed<GuestDocument> Read(string text, string sourceName)
    {
        var settings = new SortedDictionary<string, (string Value, int Line)>(StringComparer.Ordinal);
        int lineNumber = 0;
        foreach (ReadOnlySpan<char> raw in text.AsSpan().EnumerateLines())
        {
            if (++lineNumber > MaxLines)
                return InputError.TooLarge(sourceName, lineNumber, $"more than {MaxLines} lines", "check that this is a guest's configuration");
            ReadOnlySpan<char> line = CitedLine.Unmarked(raw).Trim();
            if (line.IsEmpty || line[0] == '#')
                continue;
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
