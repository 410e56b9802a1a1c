// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;

namespace Keyhole.Reading;

/// <summary>
/// The bytes of a mail's base64 part: text passes as it comes, and what is packed (a log that was attached as xl-dmesg.txt.gz, an archive) is kept
/// until its end and passes unpacked. What holds no log is passed over, as other attachments are; so is what is damaged, too long or packed in a way
/// that is not read, but that is told.
/// </summary>
internal sealed class PackedPart(UnreadParts unread) : IDisposable
{
    private const int MaxPartBytes = 32 << 20;

    /// <summary>Of all parts of a mail, or of a folder of mails.</summary>
    private const long MaxUnpackedBytes = 256L << 20;

    /// <summary>So many bytes tell how something is packed.</summary>
    private const int HeadLength = 8;

    private readonly MemoryStream _bytes = new();
    private long _left = MaxUnpackedBytes;
    private State _state;
    private string _name = "";
    private string? _damage;

    private enum State
    {
        Text,
        Begun,
        BegunText,
        Packed,
        TooLong,
        Foreign,
    }

    /// <param name="name">What the user is told of: "the attachment a.gz (line 12)".</param>
    public void Begin(string name)
    {
        _state = State.Begun;
        _name = name;
        _damage = null;
    }

    /// <summary>Something in the part is not what its encoding has. What is packed tells by itself whether that did harm.</summary>
    public void Damage(string what) => _damage ??= what;

    public void Dispose() => _bytes.Dispose();

    public void Write(byte next, MemoryStream text)
    {
        if (_state is State.TooLong or State.Foreign)
            return;
        if (_state is State.Text or State.BegunText)
        {
            text.WriteByte(next);
            return;
        }

        _bytes.WriteByte(next);
        if (_state == State.Begun && _bytes.Length == HeadLength)
        {
            ReadOnlySpan<byte> head = _bytes.GetBuffer().AsSpan(0, HeadLength);
            if (IsPacked(head))
            {
                _state = State.Packed;
            }
            else if (ForeignFile.Of(head) is { } foreign && ForeignFile.MayHoldLog(foreign))
            {
                _state = State.Foreign;
                unread.Add(_name, $"was not read: it is {foreign.What}; {foreign.Remedy}");
            }
            else
            {
                _bytes.WriteTo(text);
                _state = State.BegunText;
            }
        }
        else if (_bytes.Length > MaxPartBytes)
        {
            _state = State.TooLong;
            unread.Add(_name, $"was not read: it is longer than {MaxPartBytes >> 20} MiB");
        }
    }

    /// <summary>Ends the part. Where none was begun nothing is left to be done.</summary>
    public void End(MemoryStream text)
    {
        if (_state == State.Begun)
            _bytes.WriteTo(text);
        else if (_state == State.Packed)
            Unpack(text);
        if (_state is State.Begun or State.BegunText && _damage is not null)
            unread.Add(_name, $"is not whole: {_damage}");
        _state = State.Text;
        _bytes.SetLength(0);
    }

    private static bool IsPacked(ReadOnlySpan<byte> head) => PackedForm.Of(head) is not null || head.StartsWith("PK\x03\x04"u8);

    private void Unpack(MemoryStream text)
    {
        long start = text.Length;
        UnreadParts within = new();
        try
        {
            _bytes.Position = 0;
            Stream rest = _bytes;
            ReadOnlyMemory<byte> head = StreamHead.Read(rest);
            Bundle.Unwrap(ref head, ref rest, within);
            Copy(new PrefixedStream(head, rest), text, start);
            text.WriteByte((byte)'\n');
        }
        catch (InvalidDataException exception)
        {
            text.SetLength(start);
            if (!ForeignFile.HoldsNoLog(exception))
                unread.Add(_name, $"was not read: {exception.Message}");
        }

        foreach ((string part, string what) in within.All)
            unread.Add($"{part} in {_name}", what);
        _left -= text.Length - start;
    }

    private void Copy(PrefixedStream from, MemoryStream text, long start)
    {
        long most = Math.Min(MaxPartBytes, _left);
        byte[] block = new byte[StreamHead.MaxLength];
        while (from.Read(block) is > 0 and var read)
        {
            text.Write(block, 0, read);
            if (text.Length - start > most)
                throw new InvalidDataException("it holds more than is ever read");
        }
    }
}
