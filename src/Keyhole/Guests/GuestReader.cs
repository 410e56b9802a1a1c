// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.IO;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Guests;

/// <summary>
/// Reads a guest's configuration in whichever of the known formats it is: libvirt domain XML where the first character is a &lt;, Proxmox VE's conf
/// where the first setting is <c>key: value</c>, a command line of QEMU where one is in it, xl.cfg else.
/// </summary>
public static class GuestReader
{
    private const string Formats = "an xl.cfg, a libvirt domain XML, a command line of QEMU or a Proxmox conf";

    /// <summary>The guest, or what is wrong with its file.</summary>
    public static Parsed<GuestDocument> Read(Stream stream, string sourceName)
    {
        // libvirt's log of a guest that was started often is long; no other guest is.
        Parsed<SmallInput> read = SmallInput.Read(
            stream, sourceName, XlConfig.MaxSizeBytes, XlConfig.Kind,
            static start => QemuCommandText.IsNulSeparated(start) || IsQemu(start.Decode())
                || JsonLogLines.Unwrapped(start.Decode()) is not null, QemuCommandLine.MaxSizeBytes);
        if (!read.TryGet(out SmallInput? input, out InputError? error))
            return error;
        if (QemuCommandText.IsNulSeparated(input))
            return QemuCommandLine.Read(input, sourceName);
        string text = input.Decode();
        ReadOnlySpan<char> start = text.AsSpan().TrimStart("\uFEFF\0 \t\r\n");
        if (start.IsEmpty)
            return InputError.NothingInIt(sourceName, null, "the file is empty", $"give {Formats}");
        if (ForeignGuestFile.OfBytes(input, text, sourceName, Formats) is { } noText)
            return noText;
        bool isMail = MailedGuest.IsOne(text);
        // A command in the mail itself is the guest's, whatever is attached; an equals sign stands in each.
        if (isMail && (!IsQemu(text) || text.Contains("=3D", StringComparison.Ordinal)))
        {
            if (!MailedGuest.Decoded(input, sourceName).TryGet(out input, out error))
                return error;
            text = input.Decode();
        }

        if (JsonLogLines.Unwrapped(text) is { } logged && IsQemu(logged))
            return QemuCommandLine.Read(logged, sourceName);
        bool isXml = start[0] == '<';
        if (XmlAmidText(text, isXml, out int around) is { } xml)
            return Around(LibvirtDomain.Read(xml, sourceName), around);
        bool isConf = !isXml && (ProxmoxConfig.IsOne(text) || ProxmoxConfig.IsAmidText(text, out _));
        if (!isXml && !isConf && !isMail && !QemuCommandText.NamesProgram(text) && OtherCommands.Of(text, sourceName) is { } other)
            return other;
        if (!isXml && IsQemu(text))
            return QemuCommandLine.Read(input, sourceName);
        if (isXml)
            return LibvirtDomain.Read(input, sourceName);
        if ((isMail || !ProxmoxConfig.IsOne(text)) && ProxmoxConfig.IsAmidText(text, out Range lines))
            return Around(ProxmoxConfig.Read(text, sourceName, lines), LineOutside(text, lines));
        if (isMail)
            return Around(MailedGuest.Read(text, sourceName, Formats), 1);
        if (ForeignGuestFile.OfText(text, sourceName, Formats) is { } foreign)
            return foreign;
        if (ProxmoxConfig.IsOne(text))
            return ProxmoxConfig.Read(text, sourceName);
        if (!XlConfig.Read(input, sourceName).TryGet(out XlConfig? config, out error))
            return Sentence.At(text, error) ?? error;
        return config.ToGuest();
    }

    /// <summary>A domain that stands amid sentences, as people paste it, with its line numbers; null where it does not, or a command of QEMU stands
    /// in front of it.</summary>
    /// <param name="around">The first line that is none of the domain's.</param>
    private static string? XmlAmidText(string text, bool isXml, out int around)
    {
        around = 0;
        const string begins = "<domain";
        const string ends = "</domain>";
        int end = text.LastIndexOf(ends, StringComparison.Ordinal);
        if (end < 0)
            return null;
        end += ends.Length;
        int at = -1;
        do
            at = text.IndexOf(begins, at + 1, StringComparison.Ordinal);
        while (at >= 0 && (at + begins.Length == text.Length || text[at + begins.Length] is not (' ' or '>' or '\t' or '\r' or '\n')
            || !IsAtStartOfLine(text, at)));
        if (at < 0 || end < at || (isXml && text.AsSpan(end).TrimStart() is [] or ['<', ..]) || (!isXml && IsQemu(text[..at])))
            return null;
        int first = text.AsSpan(0, at).Count('\n') + 1;
        around = LineOutside(text, (isXml ? 1 : first)..(text.AsSpan(0, end).Count('\n') + 2));
        around = around > 0 ? around : text.AsSpan(0, end).Count('\n') + 1;
        return isXml ? text[..end] : new string('\n', text.AsSpan(0, at).Count('\n')) + text[at..end];
    }

    private static Parsed<GuestDocument> Around(Parsed<GuestDocument> read, int line) =>
        line == 0 || !read.TryGet(out GuestDocument? document, out _) ? read : document with
        {
            LineAround = line,
            Remarks =
            [
                string.Create(CultureInfo.InvariantCulture, $"text around the guest's configuration is passed over (line {line})"),
                .. document.Remarks,
            ],
        };

    /// <summary>The first line, counted from 1, that is not blank and not of those; 0 where there is none.</summary>
    private static int LineOutside(string text, Range lines)
    {
        int number = 0;
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            number++;
            if ((number < lines.Start.Value || number >= lines.End.Value) && !line.IsWhiteSpace())
                return number;
        }

        return 0;
    }

    private static bool IsAtStartOfLine(string text, int at)
    {
        ReadOnlySpan<char> before = text.AsSpan(0, at);
        return before[(before.LastIndexOf('\n') + 1)..].IsWhiteSpace();
    }

    private static bool IsQemu(string text) => QemuCommandText.IsOne(text) || QemuConfigFile.IsOne(text);
}
