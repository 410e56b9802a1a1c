// SPDX-License-Identifier: GPL-2.0-only

using System.ComponentModel;
using System.Diagnostics;
using System.Threading.Tasks;

namespace Keyhole.RealMachine;

/// <summary>Runs the few programs of the machine that a harness needs. Arguments are always a list, never a shell's string.</summary>
public static class Tool
{
    public readonly record struct Result(int ExitCode, string Output, string Error)
    {
        public bool Succeeded => ExitCode == 0;

        /// <summary>The last line of what the program complained about.</summary>
        public string Complaint
        {
            get
            {
                string[] lines = Error.Split('\n', System.StringSplitOptions.RemoveEmptyEntries | System.StringSplitOptions.TrimEntries);
                return lines.Length > 0 ? lines[^1] : $"exit status {ExitCode}";
            }
        }
    }

    /// <exception cref="HarnessException">The program is not there.</exception>
    public static Result Run(string folder, string program, params string[] arguments)
    {
        using Process process = Start(folder, program, arguments);
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        process.StandardInput.Close();
        Task.WaitAll(output, error);
        process.WaitForExit();
        return new Result(process.ExitCode, output.Result, error.Result);
    }

    /// <summary>Starts a program whose three streams are ours to read and write.</summary>
    /// <exception cref="HarnessException">The program is not there.</exception>
    public static Process Start(string folder, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // apt's and gcc's messages are compared and quoted: not in the user's language.
        start.Environment["LC_ALL"] = "C.UTF-8";
        start.Environment["DEBIAN_FRONTEND"] = "noninteractive";
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        try
        {
            return Process.Start(start) ?? throw new HarnessException($"{program}: could not be started");
        }
        catch (Win32Exception failure)
        {
            throw new HarnessException($"{program}: could not be started ({failure.Message}); install it", failure);
        }
    }

    public static bool IsInstalled(string program)
    {
        foreach (string folder in (System.Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', System.StringSplitOptions.RemoveEmptyEntries))
        {
            if (System.IO.File.Exists(System.IO.Path.Combine(folder, program)))
                return true;
        }

        return false;
    }
}
