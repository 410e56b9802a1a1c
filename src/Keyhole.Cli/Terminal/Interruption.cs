// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading;

namespace Keyhole.Cli.Terminal;

/// <summary>While it lives, Ctrl-C and the like cancel a token instead of ending the program: what was begun can be put back.</summary>
internal sealed class Interruption : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration[] _signals;

    public Interruption() => _signals =
    [
        .. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP }.Select(signal => PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            _source.Cancel();
        })),
    ];

    public CancellationToken Token => _source.Token;

    public void Dispose()
    {
        foreach (PosixSignalRegistration signal in _signals)
            signal.Dispose();
        _source.Dispose();
    }
}
