// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.Text;

namespace Keyhole.Reading;

/// <summary>What a mail calls a part of it: the name in <c>Content-Disposition: attachment; filename="xl-dmesg.gz"</c>, or in the older
/// <c>Content-Type: …; name=…</c>.</summary>
internal sealed class AttachmentName
{
    private string? _name;
    private bool _isNaming;

    public void Clear()
    {
        _name = null;
        _isNaming = false;
    }

    /// <summary>Reads a line of the part's header.</summary>
    /// <param name="isFolded">Whether it goes on with the field before it.</param>
    public void TakeField(ReadOnlySpan<byte> line, bool isFolded)
    {
        string text = Encoding.UTF8.GetString(line);
        if (!isFolded)
            _isNaming = text.StartsWith("Content-Type:", StringComparison.OrdinalIgnoreCase)
                || text.StartsWith("Content-Disposition:", StringComparison.OrdinalIgnoreCase);
        if (_isNaming)
            _name ??= NameIn(text);
    }

    /// <summary>For the user: the part, with the line that its header begins in.</summary>
    public string Told(int line) => string.Create(CultureInfo.InvariantCulture,
        $"{(_name is null ? "an attachment" : $"the attachment {_name}")} (line {line})");

    private static string? NameIn(string text)
    {
        const string key = "name";
        int at = text.IndexOf(key, StringComparison.OrdinalIgnoreCase);
        ReadOnlySpan<char> value = at < 0 ? default : text.AsSpan(at + key.Length).TrimStart();
        // RFC 2231: name*=utf-8''xl%20dmesg.gz
        bool isEncoded = value.StartsWith("*=");
        value = isEncoded ? value[1..] : value;
        if (!value.StartsWith('='))
            return null;
        value = value[1..].Trim();
        if (value.StartsWith('"'))
        {
            int end = value[1..].IndexOf('"');
            value = end < 0 ? value[1..] : value[1..(end + 1)];
        }
        else if (value.IndexOf(';') is >= 0 and int end)
        {
            value = value[..end];
        }

        if (isEncoded && value.LastIndexOf('\'') is >= 0 and int quote)
            value = Uri.UnescapeDataString(value[(quote + 1)..]);
        return value.IsEmpty ? null : value.ToString();
    }
}
