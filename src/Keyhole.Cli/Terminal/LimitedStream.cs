// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;

namespace Keyhole.Cli.Terminal;

/// <summary>A stream that is read up to a limit: reading on fails with <see cref="InputTooLongException"/>.</summary>
internal sealed class LimitedStream(Stream inner, long limitBytes) : Stream
{
    private long _count;

    /// <summary>Whether opening it again gives the same: not so of a pipe.</summary>
    public bool IsRepeatable => inner.CanSeek;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        int count = inner.Read(buffer);
        _count += count;
        return _count <= limitBytes ? count : throw new InputTooLongException($"it has more than {limitBytes >> 20} MiB");
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            inner.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>The input has no end in sight.</summary>
internal sealed class InputTooLongException(string message) : IOException(message);
