// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Threading;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Cli.Terminal;

/// <summary>A stream that is read up to a limit: reading on fails with <see cref="InputTooLongException"/>.</summary>
internal sealed class LimitedStream(Stream inner, long limitBytes) : ForwardStream
{
    private readonly long _length = inner.CanSeek ? inner.Length : 0;
    private long _count;

    /// <summary>Whether opening it again gives the same: not so of a pipe.</summary>
    public bool IsRepeatable => inner.CanSeek;

    /// <summary>How far it has been read, in words for people; by another thread, too.</summary>
    public string ToProgress(string name)
    {
        string all = _length >= 1 << 20 ? $" of {ByteSize.ToText((ulong)_length >> 20 << 20)}" : "";
        return $"read {ByteSize.ToText((ulong)Volatile.Read(ref _count) >> 20 << 20)}{all}: {name}";
    }

    public override int Read(Span<byte> buffer)
    {
        int count = inner.Read(buffer);
        _count += count;
        return _count <= limitBytes ? count : throw new InputTooLongException($"it has more than {limitBytes >> 20} MiB");
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            inner.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>The input has no end in sight.</summary>
internal sealed class InputTooLongException(string message) : IOException(message);
