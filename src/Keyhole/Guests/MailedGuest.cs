// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Guests;

/// <summary>A stored mail that was given for a guest: an xl.cfg is a part of its own in it, mostly an attachment.</summary>
internal static class MailedGuest
{
    /// <summary>What every mail's header has one of.</summary>
    private static readonly string[] s_fields = ["MIME-Version:", "Message-ID:", "Received:", "Content-Type:"];

    /// <summary>Settings of which an xl.cfg has two at least.</summary>
    private static readonly string[] s_usual = ["name", "memory", "type", "builder", "kernel", "bootloader", "vcpus", "disk", "vif", "pci"];

    /// <summary>Whether the text begins with a mail's header.</summary>
    public static bool IsOne(string text)
    {
        bool hasField = false;
        foreach (ReadOnlySpan<char> line in text.AsSpan().TrimStart("\r\n").EnumerateLines())
        {
            if (line.IsEmpty || !IsOfHeader(line))
                return hasField && line.IsEmpty;
            foreach (string field in s_fields)
                hasField |= line.StartsWith(field, StringComparison.OrdinalIgnoreCase);
        }

        return false;
    }

    /// <summary>The mail with what its encoding hides decoded; its lines keep their numbers, save behind what is in base64.</summary>
    public static Parsed<SmallInput> Decoded(SmallInput input, string sourceName)
    {
        // A mail of which half the header is lost, and that hides nothing, is read as it is.
        if (!MailText.IsMail(input.Bytes))
            return input;
        using var mail = new MailText(input.Bytes, Stream.Null, new UnreadParts());
        return SmallInput.Read(mail, sourceName, QemuCommandLine.MaxSizeBytes, XlConfig.Kind);
    }

    /// <summary>The one part that is an xl.cfg.</summary>
    /// <param name="text">The mail, decoded.</param>
    /// <param name="formats">What can be given instead.</param>
    public static Parsed<GuestDocument> Read(string text, string sourceName, string formats)
    {
        string[] lines = text.Split('\n');
        List<(int Line, XlConfig Config)> found = [];
        foreach (Range part in PartsOf(lines))
        {
            (int start, int length) = part.GetOffsetAndLength(lines.Length);
            string alone = new string('\n', start) + string.Join('\n', lines.AsSpan(start, length));
            if (alone.Length <= XlConfig.MaxSizeBytes && XlConfig.Read(new StringReader(alone), sourceName).TryGet(out XlConfig? config, out _)
                && s_usual.Count(key => config.Settings.Any(setting => setting.Key == key)) > 1)
                found.Add((start + 1, config));
        }

        if (found is [(_, { } only)])
            return only.ToGuest();
        return found.Count == 0
            ? InputError.NothingInIt(sourceName, null, "a mail, no part of which is a guest's configuration by itself", $"give {formats} alone")
            : InputError.NotSupported(sourceName, found[1].Line, $"a mail with {found.Count} guests' configurations", "give one of them alone");
    }

    /// <summary>The bodies between the headers and the boundaries: what a boundary begins has a header of its own.</summary>
    private static IEnumerable<Range> PartsOf(string[] lines)
    {
        int start = -1;
        bool isHeader = true;
        for (int i = 0; i <= lines.Length; i++)
        {
            string line = i == lines.Length ? "" : lines[i].TrimEnd('\r');
            bool isBoundary = i == lines.Length || (line.Length > 8 && line.StartsWith("--", StringComparison.Ordinal) && !line.Contains(' '));
            if (isBoundary)
            {
                if (start >= 0 && start < i)
                    yield return start..i;
                (isHeader, start) = (true, -1);
            }
            else if (isHeader && line.Length == 0)
            {
                (isHeader, start) = (false, i + 1);
            }
        }
    }

    /// <summary>"From " of an mbox, a field, or what goes on with one.</summary>
    private static bool IsOfHeader(ReadOnlySpan<char> line)
    {
        if (line[0] is ' ' or '\t' || line.StartsWith("From "))
            return true;
        int colon = line.IndexOf(':');
        return colon > 0 && line[..colon].IndexOfAnyExceptInRange('!', '~') < 0;
    }
}
