// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Probe;

/// <summary>
/// Writes the report: one JSON object a line, the first member <c>"keyhole"</c> and the line's kind, so that a reader finds it among whatever
/// else is on the console.
/// </summary>
internal static unsafe class Json
{
    /// <summary>Room for the longest word of a command line, which is passed on in a note, and what stands around it.</summary>
    private const int LineBytes = 2 * StartInfo.CommandLineBytes;

    private static byte* s_line;
    private static uint s_used;

    public static void Begin(ReadOnlySpan<byte> kind)
    {
        if (s_line == null)
        {
            fixed (byte* line = Arena.Take<byte>(LineBytes))
                s_line = line;
        }

        s_used = 0;
        Raw("{\"keyhole\":\""u8);
        Raw(kind);
        Put((byte)'"');
    }

    public static void Hex(ReadOnlySpan<byte> name, ulong value)
    {
        Name(name);
        Raw("\"0x"u8);
        int shift = 60;
        while (shift > 0 && (value >> shift) == 0)
            shift -= 4;
        for (; shift >= 0; shift -= 4)
        {
            int digit = (int)((value >> shift) & 15);
            Put((byte)(digit < 10 ? '0' + digit : 'a' + digit - 10));
        }

        Put((byte)'"');
    }

    public static void Number(ReadOnlySpan<byte> name, ulong value)
    {
        Name(name);
        Digits(value);
    }

    public static void Signed(ReadOnlySpan<byte> name, long value)
    {
        Name(name);
        if (value < 0)
            Put((byte)'-');
        Digits(value < 0 ? unchecked((ulong)-value) : (ulong)value);
    }

    public static void Flag(ReadOnlySpan<byte> name, bool value)
    {
        Name(name);
        Raw(value ? "true"u8 : "false"u8);
    }

    /// <summary>A text of our own, or one from outside: what JSON does not take as it is becomes '?'.</summary>
    public static void Text(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        Name(name);
        Put((byte)'"');
        foreach (byte c in value)
            Put(c is < 0x20 or > 0x7e or (byte)'"' or (byte)'\\' ? (byte)'?' : c);
        Put((byte)'"');
    }

    public static void End()
    {
        // Room for these two is always kept.
        s_line[s_used] = (byte)'}';
        s_line[s_used + 1] = (byte)'\n';
        Console.Write(s_line, s_used + 2);
    }

    private static void Name(ReadOnlySpan<byte> name)
    {
        Raw(",\""u8);
        Raw(name);
        Raw("\":"u8);
    }

    private static void Digits(ulong value)
    {
        ulong divisor = 1;
        while (value / divisor >= 10)
            divisor *= 10;
        for (; divisor > 0; divisor /= 10)
            Put((byte)('0' + (value / divisor % 10)));
    }

    private static void Raw(ReadOnlySpan<byte> text)
    {
        foreach (byte c in text)
            Put(c);
    }

    private static void Put(byte c)
    {
        if (s_used >= LineBytes - 2)
            return;
        s_line[s_used] = c;
        s_used++;
    }
}
