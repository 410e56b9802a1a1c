// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Threading.Tasks;
using Keyhole.Reading;

namespace Keyhole.Cli.Terminal;

/// <summary>What may have nobody at its other end (a pipe, a terminal): it is waited for, but not without end.</summary>
internal sealed class PatientStream(Stream inner, TimeSpan patience) : ForwardStream
{
    private const string NobodyWrites = "it is a pipe or a device that nobody writes to: nothing came from it within";

    private readonly byte[] _buffer = new byte[1 << 16];
    private ReadOnlyMemory<byte> _rest;

    /// <summary>Opens a file. A file with something in it is opened at once; a pipe as soon as somebody writes to it.</summary>
    /// <exception cref="InputStalledException">Nobody does.</exception>
    public static Stream Open(string path, TimeSpan patience)
    {
        // Of a link that is the link's own length: it may lead to a pipe, as /dev/fd/63 does.
        if (new FileInfo(path) is { Exists: true, Length: > 0, LinkTarget: null })
            return OpenFile(path);
        FileStream opened = Await(() => OpenFile(path), patience, NobodyWrites);
        return opened.CanSeek ? opened : new PatientStream(opened, patience);
    }

    public override int Read(Span<byte> buffer)
    {
        if (_rest.IsEmpty)
            _rest = _buffer.AsMemory(0, Await(() => inner.Read(_buffer), patience, NobodyWrites));
        int count = Math.Min(buffer.Length, _rest.Length);
        _rest.Span[..count].CopyTo(buffer);
        _rest = _rest[count..];
        return count;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            inner.Dispose();
        base.Dispose(disposing);
    }

    private static FileStream OpenFile(string path) =>
        new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, 1 << 16, FileOptions.SequentialScan);

    /// <summary>A call that the system may never end goes on on a thread of its own, which ends with the process.</summary>
    /// <param name="call">It.</param>
    /// <param name="patience">How long it is waited for.</param>
    /// <param name="complaint">What is then said, up to the time.</param>
    /// <exception cref="InputStalledException">It did not end.</exception>
    public static T Await<T>(Func<T> call, TimeSpan patience, string complaint)
    {
        Task<T> task = Task.Factory.StartNew(call, default, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        return Task.WaitAny([task], patience) == 0
            ? task.GetAwaiter().GetResult()
            : throw new InputStalledException(FormattableString.Invariant($"{complaint} {patience.TotalSeconds:0.###} seconds"));
    }
}

/// <summary>Nobody is at the other end.</summary>
internal sealed class InputStalledException(string message) : IOException(message);
