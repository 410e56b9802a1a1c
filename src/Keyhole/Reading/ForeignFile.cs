// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;

namespace Keyhole.Reading;

/// <summary>Files that are no text and that nothing here reads, known by their first bytes: each is told for what it is.</summary>
internal static class ForeignFile
{
    private static readonly (byte[] Start, string What, string Remedy)[] s_all =
    [
        ([(byte)'7', (byte)'z', 0xbc, 0xaf, 0x27, 0x1c], "a 7z archive", "unpack it (7z x) and name the log in it"),
        ([.. "Rar!\u001a\a"u8], "a RAR archive", "unpack it (unrar x, 7z x) and name the log in it"),
        ([.. "MSCF\0\0\0\0"u8], "a cabinet archive", "unpack it (cabextract, 7z x) and name the log in it"),
        ([.. "!<arch>\n"u8], "an ar archive, as .deb files are", "unpack it (ar x) and name the log in it"),
        ([0x04, 0x22, 0x4d, 0x18], "packed by lz4", "unpack it (lz4 -d) and give the text"),
        ([.. "LZIP\u0001"u8], "packed by lzip", "unpack it (lzip -d) and give the text"),
        ([0x5d, 0, 0], "packed by lzma", "unpack it (unlzma) and give the text"),
        ([0x1f, 0x9d], "packed by compress", "unpack it (uncompress) and give the text"),
        ([.. "LPKSHHRH"u8], "a journal's own file", "give what journalctl prints of it"),
        ([.. "KDUMP   "u8], "the dump of a kernel's memory", "give the log in it, which makedumpfile takes out"),
        ([0x7f, (byte)'E', (byte)'L', (byte)'F'], "an ELF file: a program, a library or a dump of memory", "give the text of a log"),
        ([0x89, (byte)'P', (byte)'N', (byte)'G'], "a picture (PNG)", "give the text, not a picture of it"),
        ([0xff, 0xd8, 0xff], "a picture (JPEG)", "give the text, not a picture of it"),
        ([.. "GIF8"u8], "a picture (GIF)", "give the text, not a picture of it"),
        ([.. "%PDF"u8], "a PDF document", "give the text in it"),
        ([0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1], "a document or mail of Microsoft Office", "give the text in it"),
        ([(byte)'Q', (byte)'F', (byte)'I', 0xfb], "a disk image (qcow2)", "give the text of a log"),
    ];

    private const string RemedyKey = "remedy";
    private const string NoLogKey = "no log";

    /// <summary>What tells that a file is one of them; .NET lets nobody derive from its own.</summary>
    public static InvalidDataException Refusal(string what, string remedy) => new(what) { Data = { [RemedyKey] = remedy } };

    /// <summary>What tells that an archive was read to its end, and no log is in it.</summary>
    public static InvalidDataException NoLog(string what) => new(what) { Data = { [NoLogKey] = true } };

    /// <summary>Whether what was told of is no log, and not a log that is damaged.</summary>
    public static bool HoldsNoLog(InvalidDataException refusal) => refusal.Data.Contains(NoLogKey)
        || (RemedyIn(refusal) is { } remedy && !MayHoldLog((refusal.Message, remedy)));

    /// <summary>Whether a file is packed: unpacked it may be a log.</summary>
    public static bool MayHoldLog((string What, string Remedy) file) => file.Remedy.StartsWith("unpack", StringComparison.Ordinal);

    /// <summary>What to give instead, where it tells that; null for any other fault.</summary>
    public static string? RemedyIn(InvalidDataException refusal) => refusal.Data[RemedyKey] as string;

    /// <summary>What a file is, and what to give instead; null for one that is not known to be something else.</summary>
    /// <param name="head">Its first bytes.</param>
    public static (string What, string Remedy)? Of(ReadOnlySpan<byte> head)
    {
        foreach ((byte[] start, string what, string remedy) in s_all)
        {
            if (head.StartsWith(start))
                return (what, remedy);
        }

        return null;
    }
}
