// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.IO;
using System.Text;
using System.Threading.Tasks;

namespace Keyhole.Cli.Tests;

/// <summary>A run of the command line as a process of its own.</summary>
internal static class ExecutableRun
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    public static CommandRun Of(string executable, byte[] input, string[] args)
    {
        var start = new ProcessStartInfo(executable)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = new UTF8Encoding(false),
            StandardErrorEncoding = new UTF8Encoding(false),
        };
        start.Environment["COLUMNS"] = "4096";
        foreach (string arg in args)
            start.ArgumentList.Add(arg);
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        try
        {
            process.StandardInput.BaseStream.Write(input);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It does not read all of what it is given.
        }

        if (!process.WaitForExit(s_patience))
        {
            process.Kill();
            throw new TimeoutException($"{executable} {string.Join(' ', args)}: no end within {s_patience.TotalSeconds:0} s");
        }

        return new(process.ExitCode, output.GetAwaiter().GetResult(), errors.GetAwaiter().GetResult());
    }
}
