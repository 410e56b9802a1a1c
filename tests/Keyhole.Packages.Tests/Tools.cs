// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Threading.Tasks;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Packages.Tests;

/// <summary>Programs of the machine.</summary>
internal static class Tools
{
    public readonly record struct Result(int Status, string Output, string Errors);

    /// <summary>The source tree: the nearest folder above the tests that holds Keyhole.slnx.</summary>
    public static string Tree { get; } = FindTree();

    /// <summary>How long a program may take: enough for a native build on a machine that does something else, too.</summary>
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(20);

    public static Result Run(string program, params string[] arguments) => Run(new Dictionary<string, string>(), program, arguments);

    /// <summary>What a program says; one that hangs is ended, with all that it started, and said to have hung.</summary>
    public static Result Run(IReadOnlyDictionary<string, string> environment, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
            WorkingDirectory = Tree };
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        start.Environment["LC_ALL"] = "C.UTF-8";
        // The build servers would keep the pipes open.
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        foreach ((string name, string value) in environment)
            start.Environment[name] = value;
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        process.StandardInput.Close();
        if (!process.WaitForExit(s_limit) || !Task.WaitAll([output, errors], s_limit))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{program} {string.Join(' ', arguments)}: not done after {s_limit.TotalMinutes} minutes");
        }

        return new(process.ExitCode, output.GetAwaiter().GetResult(), errors.GetAwaiter().GetResult());
    }

    /// <summary>What a program that has to succeed says.</summary>
    public static string Output(string program, params string[] arguments)
    {
        Result result = Run(program, arguments);
        Assert.AreEqual(0, result.Status, $"{program} {string.Join(' ', arguments)}: {result.Errors}{result.Output}");
        return result.Output;
    }

    public static bool IsInstalled(string program)
    {
        foreach (string folder in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries))
        {
            if (File.Exists(Path.Combine(folder, program)))
                return true;
        }

        return false;
    }

    private static string FindTree()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Keyhole.slnx")))
            folder = folder.Parent;
        return folder?.FullName ?? throw new DirectoryNotFoundException("the tests run in no source tree");
    }
}
