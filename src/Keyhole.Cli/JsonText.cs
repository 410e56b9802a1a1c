// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.Cli;

/// <summary>One JSON document on standard output. Addresses are hex strings: browsers lose 64-bit numbers.</summary>
internal static class JsonText
{
    // The output is a document, not a piece of HTML: quotes and non-ASCII letters stay readable.
    private static readonly JsonWriterOptions s_options = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Write(CommandConsole console, Action<Utf8JsonWriter> body)
    {
        var buffer = new ArrayBufferWriter<byte>(8192);
        using (var writer = new Utf8JsonWriter(buffer, s_options))
        {
            writer.WriteStartObject();
            body(writer);
            writer.WriteEndObject();
        }

        console.Out.WriteLine(Encoding.UTF8.GetString(buffer.WrittenSpan));
    }

    /// <summary>Refuses <c>--json</c> beside an option that writes something else on standard output.</summary>
    public static void KeepAlone(Command command, Option json, Option other) => command.Validators.Add(result =>
    {
        if (result.GetResult(json) is not null && result.GetResult(other) is not null)
            result.AddError($"{json.Name} and {other.Name} both want standard output for themselves; give one of them");
    });

    public static void WriteAddress(this Utf8JsonWriter writer, string name, ulong address) =>
        writer.WriteString(name, string.Create(CultureInfo.InvariantCulture, $"0x{address:x}"));

    public static void WriteRange(this Utf8JsonWriter writer, ulong start, ulong end)
    {
        writer.WriteAddress("start", start);
        writer.WriteAddress("end", end);
    }

    public static void WriteEntry(this Utf8JsonWriter writer, E820Entry entry)
    {
        writer.WriteRange(entry.Address, entry.End);
        writer.WriteString("type", E820TypeNames.NameOf(entry.Type));
    }

    public static void WriteProblems(this Utf8JsonWriter writer, ImmutableArray<Problem> problems)
    {
        writer.WriteStartArray("problems");
        foreach (Problem problem in problems)
        {
            writer.WriteStartObject();
            writer.WriteString("severity", problem.Severity switch
            {
                Severity.Info => "info",
                Severity.Warning => "warning",
                Severity.Error => "error",
            });
            writer.WriteString("code", problem.Code);
            writer.WriteString("message", problem.Message);
            if (problem.Start is { } start)
                writer.WriteAddress("start", start);
            if (problem.End is { } end)
                writer.WriteAddress("end", end);
            if (problem.Remedy is { } remedy)
                writer.WriteString("remedy", remedy);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }
}
