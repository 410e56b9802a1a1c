// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Security.Cryptography;
using System.Text;
using System.Threading;
using Keyhole.RealMachine;

namespace Keyhole.RealXen.Tests;

/// <summary>The programs that the tests put into dom0: the command line as eng/publish makes it, and the contract suite.</summary>
internal static class Dom0Programs
{
    private static readonly Lazy<ImmutableSortedDictionary<string, string>> s_keyhole =
        new(PublishKeyhole, LazyThreadSafetyMode.ExecutionAndPublication);
    private static readonly Lazy<ImmutableSortedDictionary<string, string>> s_files = new(Publish, LazyThreadSafetyMode.ExecutionAndPublication);

    /// <summary>The command line and the contract suite: path in dom0 to path here.</summary>
    public static ImmutableSortedDictionary<string, string> Files => s_files.Value;

    /// <summary>The command line alone.</summary>
    public static ImmutableSortedDictionary<string, string> Keyhole => s_keyhole.Value;

    private static string Folder => Path.Combine(Workshop.Root, "artifacts", "publish");

    private static ImmutableSortedDictionary<string, string> PublishKeyhole()
    {
        using IDisposable alone = Workshop.Lock();
        string keyhole = Path.Combine(Folder, "dom0", "keyhole");
        // The native file, as users put it there: it finds out by itself whether there is something to make.
        Run(Path.Combine(Workshop.Root, "eng", "publish"), "--changed", Path.GetDirectoryName(keyhole)!);
        return ImmutableSortedDictionary<string, string>.Empty.Add("bin/keyhole", keyhole)
            .Add("bin/keyhole-probe.elf", Path.Combine(Folder, "dom0", "keyhole-probe.elf"));
    }

    private static ImmutableSortedDictionary<string, string> Publish()
    {
        ImmutableSortedDictionary<string, string> keyhole = Keyhole;
        using IDisposable alone = Workshop.Lock();
        string contract = Path.Combine(Folder, "contract", "Keyhole.ContractProgram");
        Make(
            contract, ["src", "tests/Contract", "tests/ContractProgram"],
            "dotnet", "publish", Path.Combine(Workshop.Root, "tests", "ContractProgram", "Keyhole.ContractProgram.csproj"), "-c", "Release", "-o",
            Path.GetDirectoryName(contract)!,
            "--nologo", "-v", "quiet", "--self-contained", "-p:PublishSingleFile=true", "-p:PublishTrimmed=true", "-p:DebugType=none",
            "-p:RunAnalyzers=false");
        return keyhole.Add("bin/keyhole-contract", contract);
    }

    /// <summary>Runs what makes a program, unless it was made from the same sources before.</summary>
    private static void Make(string program, string[] folders, string maker, params string[] arguments)
    {
        string stamp = program + ".sources";
        string sources = HashOf(folders);
        if (File.Exists(program) && File.Exists(stamp) && File.ReadAllText(stamp) == sources)
            return;
        // In a fresh tree the folder is not there yet, which Delete minds.
        Directory.CreateDirectory(Path.GetDirectoryName(program)!);
        File.Delete(stamp);
        Run(maker, arguments);
        File.WriteAllText(stamp, sources);
    }

    private static string HashOf(string[] folders)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        IEnumerable<string> files =
            folders.SelectMany(folder => Directory.EnumerateFiles(Path.Combine(Workshop.Root, folder), "*", SearchOption.AllDirectories));
        foreach (string file in files.Order(StringComparer.Ordinal))
        {
            hash.AppendData(Encoding.UTF8.GetBytes(file));
            hash.AppendData(File.ReadAllBytes(file));
        }

        return Convert.ToHexString(hash.GetHashAndReset());
    }

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
            throw new HarnessException($"{program} failed: {output.Trim()}");
    }
}
