// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using Keyhole.Reading;

namespace Keyhole.Cli.Terminal;

/// <summary>A stream that is read up to a limit: reading on fails with <see cref="InputTooLongException"/>.</summary>
internal sealed class LimitedStream(Stream inner, long limitBytes) : ForwardStream
{
    private long _count;

    /// <summary>Whether opening it again gives the same: not so of a pipe.</summary>
    public bool IsRepeatable => inner.CanSeek;

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
