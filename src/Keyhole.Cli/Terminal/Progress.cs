// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Threading;
using Keyhole.Diagnostics;

namespace Keyhole.Cli.Terminal;

/// <summary>
/// One line on standard error that is written over and over and gone at the end: what is being done, once it takes longer than people wait. A timer
/// shows it, so that no reader and no computation has to tell of itself; nothing is shown where nobody watches.
/// </summary>
/// <param name="error">Standard error.</param>
/// <param name="isWatched">Whether it is a terminal.</param>
/// <param name="delay">How long nothing is shown.</param>
internal sealed class Progress(TextWriter error, bool isWatched, TimeSpan delay) : IDisposable
{
    private static readonly TimeSpan s_period = TimeSpan.FromMilliseconds(200);
    private const string Clear = "\r\e[K";

    /// <summary>So that the line never breaks.</summary>
    private const int MostColumns = 76;

    private readonly Lock _gate = new();
    private Timer? _timer;
    private Func<string>? _what;
    private long _start;
    private bool _isShown;
    private bool _isOver;

    /// <summary>Tells from now on what is being done; null: that something is. An empty text shows nothing.</summary>
    public void Tell(Func<string>? what)
    {
        if (!isWatched)
            return;
        lock (_gate)
        {
            _what = what;
            if (_isOver || _timer is not null)
                return;
            _start = Stopwatch.GetTimestamp();
            _timer = new(_ => Show(), null, delay, s_period);
        }
    }

    /// <summary>Tells what is being done unless somebody tells already; whether it was told.</summary>
    public bool TryTell(Func<string> what)
    {
        lock (_gate)
        {
            if (_what is not null)
                return false;
        }

        Tell(what);
        return isWatched;
    }

    /// <summary>Writes lines of their own to standard error, with nothing before them.</summary>
    public void Write(Action<TextWriter> write)
    {
        lock (_gate)
        {
            Erase();
            write(error);
        }
    }

    /// <summary>Ends it for good: an answer is on its way to the same terminal.</summary>
    public void End()
    {
        if (!isWatched)
            return;
        lock (_gate)
        {
            if (_timer is null)
                return;
            _isOver = true;
            _timer.Dispose();
            Erase();
        }
    }

    public void Dispose() => End();

    private void Show()
    {
        lock (_gate)
        {
            if (_isOver)
                return;
            string text = _what?.Invoke()
                ?? string.Create(CultureInfo.InvariantCulture, $"working, {Stopwatch.GetElapsedTime(_start).TotalSeconds:0} s");
            text = ForeignText.OneLine(text);
            if (text.Length == 0)
            {
                Erase();
                return;
            }

            _isShown = true;
            error.Write($"{Clear}{(text.Length > MostColumns ? text[..MostColumns] : text)}…");
            error.Flush();
        }
    }

    private void Erase()
    {
        if (!_isShown)
            return;
        _isShown = false;
        error.Write(Clear);
    }
}
