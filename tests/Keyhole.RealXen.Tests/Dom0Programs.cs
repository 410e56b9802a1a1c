// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading;

namespace Keyhole.RealXen.Tests;

/// <summary>The programs that the tests put into dom0: the command line as eng/publish makes it, and the contract suite.</summary>
internal static class Dom0Programs
{
    private static readonly Lazy<ImmutableSortedDictionary<string, string>> s_files = new(Publish, LazyThreadSafetyMode.ExecutionAndPublication);

    /// <summary>Path in dom0 to path here.</summary>
    public static ImmutableSortedDictionary<string, string> Files => s_files.Value;

    private static string Folder => Path.Combine(Workshop.Root, "artifacts", "publish");

    private static ImmutableSortedDictionary<string, string> Publish()
    {
        using IDisposable alone = Workshop.Lock();
        string keyhole = Path.Combine(Folder, "dom0", "keyhole");
        string contract = Path.Combine(Folder, "contract", "Keyhole.ContractProgram");
        if (IsOlderThanSources(keyhole, "src", "eng"))
            Run(Path.Combine(Workshop.Root, "eng", "publish"), Path.GetDirectoryName(keyhole)!);
        if (IsOlderThanSources(contract, "src", "tests/Contract", "tests/ContractProgram"))
        {
            Run(
                "dotnet", "publish", Path.Combine(Workshop.Root, "tests", "ContractProgram", "Keyhole.ContractProgram.csproj"), "-c", "Release", "-o", Path.GetDirectoryName(contract)!,
                "--nologo", "-v", "quiet", "--self-contained", "-p:PublishSingleFile=true", "-p:PublishTrimmed=true", "-p:DebugType=none", "-p:RunAnalyzers=false");
        }

        return ImmutableSortedDictionary<string, string>.Empty.Add("bin/keyhole", keyhole).Add("bin/keyhole-contract", contract);
    }

    private static bool IsOlderThanSources(string program, params string[] folders) =>
        !File.Exists(program)
        || folders.SelectMany(folder => Directory.EnumerateFiles(Path.Combine(Workshop.Root, folder), "*", SearchOption.AllDirectories))
            .Any(source => File.GetLastWriteTimeUtc(source) > File.GetLastWriteTimeUtc(program));

    private static void Run(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = Workshop.Root };
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        // The build servers would keep the pipes open.
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd() + process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new RealXenException($"{program} failed: {output.Trim()}");
    }
}
