// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Text;
using System.Text.Json;

namespace Keyhole.Reading;

/// <summary>
/// A log of which each message is a member of a JSON object: <c>journalctl -o json</c>, <c>dmesg -J</c>, a container engine's log. What it gives are
/// the messages, a line each; a line feed of the source is one of them, so that lines keep their numbers where each has one message.
/// </summary>
internal sealed class JsonLogText(ReadOnlyMemory<byte> head, Stream rest) : ForwardStream
{
    /// <summary>More than a kernel ever says in one message.</summary>
    private const int MaxStringBytes = 64 * 1024;

    private readonly PrefixedStream _source = new(head, rest);
    private readonly byte[] _block = new byte[StreamHead.MaxLength];
    private readonly MemoryStream _string = new();
    private readonly MemoryStream _out = new();
    private State _state;

    /// <summary>Whether the string before is the name of a member that holds a message.</summary>
    private bool _isMessage;

    /// <summary>Whether the line that is being written has a message already.</summary>
    private bool _hasMessage;

    private enum State
    {
        Between,
        InString,
        BehindBackslash,
        BehindString,
        BehindColon,
    }

    /// <summary>Whether a text is such a log.</summary>
    public static bool IsNeededFor(ReadOnlySpan<byte> head)
    {
        ReadOnlySpan<byte> text = head.TrimStart(" \t\r\n\x1e\xef\xbb\xbf"u8);
        return text.StartsWith("{"u8) && (text.IndexOf("\"MESSAGE\""u8) >= 0 || (text.IndexOf("\"dmesg\""u8) >= 0 && text.IndexOf("\"msg\""u8) >= 0)
            || (text.IndexOf("\"log\""u8) >= 0 && text.IndexOf("\"stream\""u8) >= 0));
    }

    public override int Read(Span<byte> buffer)
    {
        while (_out.Position == _out.Length)
        {
            _out.SetLength(0);
            int read = _source.Read(_block);
            if (read == 0)
                return 0;
            foreach (byte next in _block.AsSpan(0, read))
                Take(next);
            _out.Position = 0;
        }

        return _out.Read(buffer);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _source.Dispose();
            _string.Dispose();
            _out.Dispose();
        }

        base.Dispose(disposing);
    }

    private void Take(byte next)
    {
        switch (_state)
        {
            case State.InString or State.BehindBackslash:
                if (_string.Length <= MaxStringBytes)
                    _string.WriteByte(next);
                if (_state == State.BehindBackslash)
                    _state = State.InString;
                else if (next == (byte)'\\')
                    _state = State.BehindBackslash;
                else if (next == (byte)'"')
                    EndString();
                break;
            default:
                TakeBetween(next);
                break;
        }
    }

    private void TakeBetween(byte next)
    {
        switch (next)
        {
            case (byte)'\n':
                _out.WriteByte(next);
                _hasMessage = false;
                break;
            case (byte)'"':
                _isMessage &= _state == State.BehindColon;
                _string.SetLength(0);
                _string.WriteByte(next);
                _state = State.InString;
                break;
            case (byte)':' when _state == State.BehindString:
                _state = State.BehindColon;
                break;
            case (byte)' ' or (byte)'\t' or (byte)'\r':
                break;
            default:
                _state = State.Between;
                _isMessage = false;
                break;
        }
    }

    private void EndString()
    {
        bool isValue = _isMessage;
        _isMessage = false;
        _state = State.BehindString;
        string? text = Text();
        if (isValue && text is not null)
        {
            if (_hasMessage)
                _out.WriteByte((byte)'\n');
            _out.Write(Encoding.UTF8.GetBytes(text.TrimEnd('\n', '\r')));
            _hasMessage = true;
        }
        else
        {
            _isMessage = text is "MESSAGE" or "msg" or "log";
        }
    }

    /// <summary>What the string says; null where it is too long, or no string of JSON's.</summary>
    private string? Text()
    {
        if (_string.Length > MaxStringBytes)
            return null;
        try
        {
            var reader = new Utf8JsonReader(_string.GetBuffer().AsSpan(0, (int)_string.Length));
            return reader.Read() ? reader.GetString() : null;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return null;
        }
    }
}
