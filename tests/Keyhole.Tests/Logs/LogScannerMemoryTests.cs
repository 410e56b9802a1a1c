// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Captures;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Logs;

/// <summary>Logs far larger than what may be kept of them. Not run beside other tests: it measures.</summary>
[TestClass]
[DoNotParallelize]
public sealed class LogScannerMemoryTests
{
    public TestContext TestContext { get; set; } = null!;

    [TestMethod]
    [DataRow("Nov 20 12:00:00 host systemd[1]: Started Session 4711 of user root, and so on until the line is long enough to be like the others.\n",
        200)]
    [DataRow("(XEN) d1v0 Unhandled MSR read 0x00000611, and 0000000000000000 again - a guest may say this as often as it likes (reserved)\n", 20)]
    [DataRow("no line feed at all ", 200)]
    [DataRow("[[[[[[[[(XEN) [0x extended:[gap extended:[gap extended:[gap RAM map:\n", 20)]
    [DataRow("\n", 20)]
    public void A_map_at_the_end_of_a_huge_log_is_found_in_bounded_memory(string noise, int lengthMiB)
    {
        long length = (long)lengthMiB << 20;
        string map = "\n\n(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009fbff] (usable)\n(XEN) System RAM: 1MB\n";
        using RepeatingStream stream = new(Encoding.ASCII.GetBytes(noise), length, Encoding.ASCII.GetBytes(map));
        long before = GC.GetAllocatedBytesForCurrentThread();
        // Processor time: other work on the machine does not count.
        TimeSpan started = Environment.CpuUsage.TotalTime;
        HostDocument read = MapFixtures.Expect(HostMapReader.Read(stream, "big.log", HostMapOptions.Default));
        double seconds = (Environment.CpuUsage.TotalTime - started).TotalSeconds;
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        TestContext.WriteLine($"{length / seconds / 1e6:f0} MB/s, {allocated >> 10} KiB allocated: {noise[..Math.Min(20, noise.Length)].Trim()}");
        Assert.AreEqual("0 9fc00 1", MapFixtures.Show(read.Host.Entries));
        Assert.IsLessThan(1L << 20, allocated);
        Assert.IsGreaterThan(20e6, length / seconds, "bytes a second of processor time, many times slower than measured");
    }

    /// <summary>The same bytes over and over, then an end.</summary>
    private sealed class RepeatingStream(byte[] pattern, long length, byte[] end) : Stream
    {
        private readonly byte[] _block = [.. Enumerable.Repeat(pattern, (64 << 10) / pattern.Length).SelectMany(bytes => bytes)];
        private long _left = length;
        private int _offset;
        private int _endOffset;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            if (_left <= 0)
            {
                int tail = Math.Min(buffer.Length, end.Length - _endOffset);
                end.AsSpan(_endOffset, tail).CopyTo(buffer);
                _endOffset += tail;
                return tail;
            }

            int count = Math.Min(buffer.Length, _block.Length - _offset);
            _block.AsSpan(_offset, count).CopyTo(buffer);
            _offset = (_offset + count) % _block.Length;
            _left -= count;
            return count;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
