// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.Collections.Generic;
using System.IO;
using System.Threading.Tasks;
using Keyhole.Captures;
using Keyhole.Diagnostics;

namespace Keyhole.Migration;

/// <summary>
/// Reads hosts into a <see cref="FleetTally"/>: one thread cuts the input into batches of whole lines, others parse them, and the first adds up what
/// they found in the input's order. No more batches are under way than there are processors for, so memory does not grow with the input.
/// </summary>
public sealed class FleetReader
{
    private const int BatchBytes = 1 << 20;

    /// <summary>A capture on a line is not longer: without line breaks and indents it is a third of what the reader of captures takes.</summary>
    private const int MaxLineBytes = 4 << 20;

    private readonly FleetTally _tally;
    private readonly Action<FleetHost>? _onHost;
    private readonly Action<long>? _onProgress;
    private readonly Queue<Task<Batch>> _underWay = [];
    private readonly int _maxUnderWay;

    /// <param name="tally">Where the hosts are added up.</param>
    /// <param name="processorCount">Batches that are parsed at once; at least 1.</param>
    /// <param name="onHost">Told of each host in the input's order, on the caller's thread.</param>
    /// <param name="onProgress">Told of how many hosts have been read, or could not be, after each batch.</param>
    public FleetReader(FleetTally tally, int processorCount, Action<FleetHost>? onHost = null, Action<long>? onProgress = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(processorCount, 1);
        _tally = tally;
        _onHost = onHost;
        _onProgress = onProgress;

        // As many in waiting as at work: nobody waits for the thread that cuts.
        _maxUnderWay = 2 * processorCount;
    }

    /// <summary>Whether these first bytes of a source are captures, one a line, rather than one host's map.</summary>
    public static bool AreCaptures(ReadOnlySpan<byte> head)
    {
        ReadOnlySpan<byte> rest = WithoutMark(head).TrimStart(" \t\r\n"u8);
        if (rest.IsEmpty || rest[0] != '{')
            return false;
        int lineEnd = rest.IndexOf((byte)'\n');
        ReadOnlySpan<byte> line = (lineEnd < 0 ? rest : rest[..lineEnd]).TrimEnd(" \t\r"u8);
        return line.Length > 1 && (lineEnd < 0 || line[^1] == '}');
    }

    /// <summary>Reads captures, one a line. Empty lines are passed over; a line that is no capture counts as a host that could not be read.</summary>
    public void ReadCaptures(Stream stream, string sourceName)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(BatchBytes);
        int filled = 0;
        int line = 1;
        bool isTooLong = false;
        while (true)
        {
            int read = stream.ReadAtLeast(buffer.AsSpan(filled), buffer.Length - filled, throwOnEndOfStream: false);
            bool isEnd = read < buffer.Length - filled;
            filled += read;
            if (isTooLong)
            {
                int behind = buffer.AsSpan(0, filled).IndexOf((byte)'\n');
                int passed = behind < 0 ? filled : behind + 1;
                isTooLong = behind < 0;
                line += behind < 0 ? 0 : 1;
                buffer.AsSpan(passed, filled - passed).CopyTo(buffer);
                filled -= passed;
                if (isEnd && filled == 0)
                    break;
                if (!isEnd)
                    continue;
            }

            int whole = isEnd ? filled : buffer.AsSpan(0, filled).LastIndexOf((byte)'\n') + 1;
            if (whole == 0 && !isEnd)
            {
                if (buffer.Length < MaxLineBytes)
                {
                    byte[] larger = ArrayPool<byte>.Shared.Rent(2 * buffer.Length);
                    buffer.AsSpan(0, filled).CopyTo(larger);
                    ArrayPool<byte>.Shared.Return(buffer);
                    buffer = larger;
                    continue;
                }

                int at = line;
                Start(() => new([],
                    [InputError.TooLarge(sourceName, at, $"the line is longer than {MaxLineBytes >> 20} MiB", "a capture never is: give one a line")],
                    null));
                isTooLong = true;
                filled = 0;
                continue;
            }

            if (whole == 0)
                break;
            byte[] next = ArrayPool<byte>.Shared.Rent(BatchBytes);
            if (filled - whole > next.Length)
            {
                ArrayPool<byte>.Shared.Return(next);
                next = ArrayPool<byte>.Shared.Rent(filled - whole);
            }

            buffer.AsSpan(whole, filled - whole).CopyTo(next);
            byte[] batch = buffer;
            int firstLine = line;
            line += batch.AsSpan(0, whole).Count((byte)'\n');
            Start(() => Parse(batch, whole, sourceName, firstLine));
            filled -= whole;
            buffer = next;
            if (isEnd)
                break;
        }

        ArrayPool<byte>.Shared.Return(buffer);
    }

    /// <summary>Reads one host. What does it runs on another thread, and more than one at once.</summary>
    public void ReadHost(string name, Func<Parsed<HostDocument>> read) => Start(() =>
        read().TryGet(out HostDocument? map, out InputError? error)
            && (error = LostDemand.Of(map.Host, name, null, _tally.Guests, !map.Host.Devices.IsEmpty)) is null
            ? new([FleetHost.Of(HostDemand.Of(map.Host, name), map.Host, _tally.Guests)], [], null) : new([], [error], null));

    /// <summary>Waits for what is under way. The tally is complete afterwards.</summary>
    public void Finish()
    {
        while (_underWay.Count > 0)
            AddOldest();
    }

    private static ReadOnlySpan<byte> WithoutMark(ReadOnlySpan<byte> text) => text.StartsWith((ReadOnlySpan<byte>)[0xef, 0xbb, 0xbf]) ? text[3..]
        : text;

    private Batch Parse(byte[] buffer, int length, string sourceName, int firstLine)
    {
        List<FleetHost> hosts = [];
        List<InputError> errors = [];
        FleetCapture capture = new(_tally.Guests);
        ReadOnlySpan<byte> rest = buffer.AsSpan(0, length);
        if (firstLine == 1)
            rest = WithoutMark(rest);
        for (int line = firstLine; !rest.IsEmpty; line++)
        {
            int end = rest.IndexOf((byte)'\n');
            ReadOnlySpan<byte> text = (end < 0 ? rest : rest[..end]).Trim(" \t\r"u8);
            rest = end < 0 ? default : rest[(end + 1)..];
            if (text.IsEmpty)
                continue;
            if (capture.Read(text, sourceName, line, out FleetHost host) is { } error)
                errors.Add(error);
            else
                hosts.Add(host);
        }

        return new(hosts, errors, buffer);
    }

    private void Start(Func<Batch> work)
    {
        if (_underWay.Count >= _maxUnderWay)
            AddOldest();
        _underWay.Enqueue(Task.Run(work));
    }

    private void AddOldest()
    {
        Batch batch = _underWay.Dequeue().GetAwaiter().GetResult();
        foreach (FleetHost host in batch.Hosts)
        {
            _tally.Add(host);
            _onHost?.Invoke(host);
        }

        foreach (InputError error in batch.Errors)
            _tally.AddUnreadable(error);
        if (batch.Buffer is { } buffer)
            ArrayPool<byte>.Shared.Return(buffer);
        _onProgress?.Invoke(_tally.HostCount + _tally.UnreadableCount);
    }

    private sealed record Batch(List<FleetHost> Hosts, List<InputError> Errors, byte[]? Buffer);
}
