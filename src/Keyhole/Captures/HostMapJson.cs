// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Text;
using System.Text.Json;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Captures;

/// <summary>
/// Keyhole's own JSON (<see cref="Capture"/>). Only "entries" must be there to be read; members of other names are passed over.
/// </summary>
internal static class HostMapJson
{
    /// <summary>A capture of 1024 entries and thousands of PCI functions, told by the machine and by its log, is well below this.</summary>
    private const int MaxLengthBytes = 16 * 1024 * 1024;

    /// <param name="takesPlans">Whether "e820" of a plan's or a boot's answer is as good as "entries".</param>
    public static Parsed<HostDocument> Read(ReadOnlyMemory<byte> head, Stream stream, string sourceName, bool takesPlans = false)
    {
        using MemoryStream whole = new();
        whole.Write(head.Span);
        byte[] block = new byte[StreamHead.MaxLength];
        for (int read = stream.Read(block); read > 0; read = stream.Read(block))
        {
            whole.Write(block.AsSpan(0, read));
            if (whole.Length > MaxLengthBytes)
                return InputError.TooLarge(sourceName, null, $"the JSON is longer than {MaxLengthBytes >> 20} MiB",
                    "a map has at most 1024 entries; check the file");
        }

        ReadOnlySpan<byte> bytes = whole.GetBuffer().AsSpan(0, (int)whole.Length);
        TextForm form = TextLines.FormOf(bytes, out int markLength);
        bytes = bytes[markLength..];
        if (form != TextForm.EightBit)
            bytes = Encoding.Convert(form == TextForm.Utf16LittleEndian ? Encoding.Unicode : Encoding.BigEndianUnicode, Encoding.UTF8,
                bytes.ToArray());
        CaptureReader capture = new(bytes, sourceName, takesPlans);
        try
        {
            return capture.TryRead(out HostDocument? map) ? map! : capture.Error!;
        }
        catch (InvalidOperationException)
        {
            // .NET's reader says so of an escape that is half a character, where a name is looked at.
            return InputError.Malformed(sourceName, null, "a name in the JSON is not Unicode text: an escape is half a character (a lone surrogate)",
                $"give the file as {Setting.CaptureWriter} wrote it");
        }
        catch (JsonException exception)
        {
            int line = (int)Math.Min(int.MaxValue - 1, exception.LineNumber ?? 0) + 1;
            return InputError.Malformed(sourceName, line, "the JSON is malformed, cut short or nested too deeply",
                $"give the file as {Setting.CaptureWriter} wrote it");
        }
    }

    public static void Write(HostDocument map, Stream destination) => JsonSerializer.Serialize(destination, Capture.Of(map), CaptureForm.Info);
}
