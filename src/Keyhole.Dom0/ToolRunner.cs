// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.ComponentModel;
using System.Diagnostics;
using System.IO;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Keyhole.Diagnostics;

namespace Keyhole.Dom0;

/// <summary>Runs programs for real, found by PATH.</summary>
public sealed class ToolRunner : IToolRunner
{
    /// <summary>More than any log of Xen's holds.</summary>
    private const int MaxOutputChars = 16 * 1024 * 1024;

    private static readonly TimeSpan s_step = TimeSpan.FromMilliseconds(50);

    /// <summary>What a program is given to end by itself when the user gives up: ended midway, it leaves more behind.</summary>
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(20);

    /// <summary>A program that has ended may have left its output open in a child (xl create stays to watch its guest).</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    /// <inheritdoc/>
    public ToolResult Run(string program, ImmutableArray<string> arguments, TimeSpan limit, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(program);
        Given.Array(arguments, nameof(arguments));
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.Latin1,
            StandardErrorEncoding = Encoding.Latin1,
        };
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        start.Environment["LC_ALL"] = "C";
        try
        {
            using Process process = Process.Start(start)!;
            process.StandardInput.Close();
            var output = new Captured(process.StandardOutput);
            var error = new Captured(process.StandardError);
            bool ended = Wait(process, limit, cancellation);
            if (!ended)
            {
                process.Kill(entireProcessTree: true);
                process.WaitForExit();
            }

            string said = output.Text(s_patience);
            string complained = error.Text(s_patience);
            return new(ended ? process.ExitCode : ToolResult.TookTooLong, said, complained);
        }
        catch (Exception exception) when (exception is Win32Exception or IOException)
        {
            return new(ToolResult.NotThere, "", exception.Message);
        }
    }

    private static bool Wait(Process process, TimeSpan limit, CancellationToken cancellation)
    {
        var clock = Stopwatch.StartNew();
        TimeSpan end = limit;
        bool isCancelled = false;
        while (!process.WaitForExit(s_step))
        {
            if (!isCancelled && cancellation.IsCancellationRequested)
            {
                isCancelled = true;
                end = clock.Elapsed + s_grace;
            }

            if (clock.Elapsed > end)
                return false;
        }

        return true;
    }

    private sealed class Captured
    {
        private readonly StringBuilder _text = new();
        private readonly Task _reading;

        public Captured(StreamReader from) => _reading = Task.Run(() =>
        {
            char[] block = new char[4096];
            int count;
            while ((count = from.Read(block)) > 0)
            {
                lock (_text)
                {
                    if (_text.Length < MaxOutputChars)
                        _text.Append(block, 0, count);
                }
            }
        });

        public string Text(TimeSpan patience)
        {
            try
            {
                _reading.Wait(patience);
            }
            catch (AggregateException)
            {
                // The pipe broke: what came so far is what there is.
            }

            lock (_text)
                return _text.ToString();
        }
    }
}
