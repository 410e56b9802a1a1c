// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net.Sockets;
using Keyhole.RealMachine;

namespace Keyhole.RealQemu;

/// <summary>
/// Reads and writes a guest's ports from outside, over QEMU's qtest: the monitor can do it, too, and takes a hundred times as long. QEMU connects
/// to a socket that is there before it starts.
/// </summary>
internal sealed class QemuPorts : IDisposable
{
    private const int AddressPort = 0xcf8;
    private const int DataPort = 0xcfc;
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(1);

    private readonly string _path;
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private StreamReader? _answers;
    private StreamWriter? _commands;

    /// <param name="name">Of the socket: a path of at most 107 bytes is all that there may be, so it lies in the folder for such things.</param>
    public QemuPorts(string name)
    {
        _path = Path.Combine(Path.GetTempPath(), name);
        File.Delete(_path);
        _listener.Bind(new UnixDomainSocketEndPoint(_path));
        _listener.Listen(1);
    }

    /// <summary>QEMU's arguments.</summary>
    public string[] Arguments => ["-qtest", $"unix:{_path}", "-qtest-log", "none"];

    public void Write(char size, int port, uint value) => Ask([Out(size, port, value)]);

    /// <summary>Reads the same port so many times.</summary>
    public uint[] Read(char size, int port, int times) => Ask([.. Enumerable.Repeat(In(size, port), times)]);

    /// <summary>The first 64 bytes of a function's configuration space, by the ports that firmware uses.</summary>
    public uint[] ReadHeader(int bus, int slot, int function)
    {
        const int Words = 16;
        uint of = 0x80000000 | ((uint)bus << 16) | ((uint)slot << 11) | ((uint)function << 8);
        uint[] answers = Ask([.. Enumerable.Range(0, Words)
            .SelectMany(i => (string[])[Out('l', AddressPort, of | ((uint)i * 4)), In('l', DataPort)])]);
        return [.. Enumerable.Range(0, Words).Select(i => answers[(2 * i) + 1])];
    }

    public void Dispose()
    {
        _commands?.Dispose();
        _answers?.Dispose();
        _listener.Dispose();
        File.Delete(_path);
    }

    private static string Out(char size, int port, uint value) => string.Create(CultureInfo.InvariantCulture, $"out{size} 0x{port:x} 0x{value:x}");

    private static string In(char size, int port) => string.Create(CultureInfo.InvariantCulture, $"in{size} 0x{port:x}");

    /// <summary>All at once: on a busy machine each answer that is waited for takes as long as a turn of the processor.</summary>
    private uint[] Ask(IReadOnlyCollection<string> lines)
    {
        Connect();
        foreach (string line in lines)
            _commands!.Write(line + "\n");
        _commands!.Flush();
        return [.. lines.Select(Answer)];
    }

    private uint Answer(string line)
    {
        // "OK", or "OK 0x0000000029c08086"; what interrupts say comes in between.
        while (_answers!.ReadLine() is { } answer)
        {
            if (answer == "OK")
                return 0;
            if (answer.StartsWith("OK 0x", StringComparison.Ordinal))
                return (uint)ulong.Parse(answer.AsSpan("OK 0x".Length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            if (!answer.StartsWith("IRQ", StringComparison.Ordinal))
                throw new HarnessException($"QEMU answers \"{answer}\" to {line}");
        }

        throw new EndOfStreamException();
    }

    private void Connect()
    {
        if (_commands is not null)
            return;
        if (!_listener.Poll(s_patience, SelectMode.SelectRead))
            throw new HarnessException("QEMU does not connect to the socket for its ports");
        var stream = new NetworkStream(_listener.Accept(), ownsSocket: true);
        _answers = new(stream);
        _commands = new(stream);
    }
}
