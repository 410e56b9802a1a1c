// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Text;
using System.Text.Json;

namespace Keyhole.Reading;

/// <summary>
/// Logs of which each line is a JSON object, as KubeVirt's virt-launcher, Harvester and container engines write them: what was logged is one of
/// its members, in JSON's quotes.
/// </summary>
internal static class JsonLogLines
{
    private static readonly JsonReaderOptions s_options = new() { MaxDepth = 32 };

    /// <summary>The text with what was logged in place of each such line, so that lines keep their numbers; null where it has none.</summary>
    public static string? Unwrapped(string text)
    {
        if (!text.Contains("\"msg\"", StringComparison.Ordinal) && !text.Contains("\"log\"", StringComparison.Ordinal)
            && !text.Contains("\"message\"", StringComparison.Ordinal))
            return null;
        bool hasAny = false;
        var unwrapped = new StringBuilder(text.Length);
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            if (MessageOf(line) is { } message)
            {
                hasAny = true;
                unwrapped.Append(message);
            }
            else
            {
                unwrapped.Append(line);
            }

            unwrapped.Append('\n');
        }

        return hasAny ? unwrapped.ToString() : null;
    }

    /// <summary>What a line logs; null where it is no JSON object that logs something. A prefix of a container engine may stand in front.</summary>
    private static string? MessageOf(ReadOnlySpan<char> line)
    {
        int start = line.IndexOf("{\"", StringComparison.Ordinal);
        ReadOnlySpan<char> json = start < 0 ? default : line[start..].TrimEnd();
        if (json.IsEmpty || json[^1] != '}' || line[..start].Contains(" -", StringComparison.Ordinal))
            return null;
        try
        {
            var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(json.ToString()), s_options);
            string? message = null;
            while (reader.Read())
            {
                if (reader.CurrentDepth != 1 || reader.TokenType != JsonTokenType.PropertyName)
                    continue;
                bool isMessage = reader.ValueTextEquals("msg"u8) || reader.ValueTextEquals("log"u8) || reader.ValueTextEquals("message"u8);
                if (!reader.Read())
                    return null;
                if (isMessage && reader.TokenType == JsonTokenType.String)
                    message ??= reader.GetString();
            }

            return message?.Trim().ReplaceLineEndings(" ");
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return null;
        }
    }
}
