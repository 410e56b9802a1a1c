// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.IO;
using System.Threading;

namespace Keyhole.RealXen;

/// <summary>Where the harness keeps what it downloads, builds and records: artifacts/realxen/ of the repository, never the source tree.</summary>
public static class Workshop
{
    /// <summary>The repository's root: the nearest folder above the running program that holds Keyhole.slnx.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Debian packages as downloaded, a file for each version.</summary>
    public static string Packages => Made("packages");

    /// <summary>Built kernels, programs and initramfs images, a folder for each combination of inputs.</summary>
    public static string Images => Made("images");

    /// <summary>A folder for each run: its serial log, its answers and what QEMU was given.</summary>
    public static string Runs => Made("runs");

    /// <summary>Records made by the harness, where no other folder was asked for.</summary>
    public static string Records => Made("records");

    /// <summary>Golden records in the source tree.</summary>
    public static string Golden => Path.Combine(Root, "tests", "fixtures", "golden");

    /// <summary>A piece of the harness' own source that is built during a run: "shim/shim.c", "dom0/init" and so on.</summary>
    public static string Source(string name)
    {
        using Stream stream = typeof(Workshop).Assembly.GetManifestResourceStream(name)
            ?? throw new RealXenException($"{name}: not among the harness' sources; see Keyhole.RealXen.csproj");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    /// <summary>Keeps other processes and threads from preparing the same files at the same time, until it is disposed.</summary>
    /// <exception cref="RealXenException">Ten minutes went by.</exception>
    public static IDisposable Lock() => FirstFree(TimeSpan.FromMinutes(10), "lock");

    /// <summary>A place for one QEMU of the two that may run at a time in this working tree, whoever starts them, until it is disposed.</summary>
    /// <exception cref="RealXenException">An hour went by.</exception>
    public static IDisposable MachineSlot() => FirstFree(TimeSpan.FromHours(1), "slot-1", "slot-2");

    // A file that is open without sharing is locked (flock), and unlocked even if this process is killed.
    private static FileStream FirstFree(TimeSpan patience, params string[] names)
    {
        var waited = Stopwatch.StartNew();
        while (true)
        {
            foreach (string name in names)
            {
                try
                {
                    return new FileStream(Path.Combine(Made(""), name), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
                }
                catch (IOException) when (waited.Elapsed < patience)
                {
                    continue;
                }
                catch (IOException taken)
                {
                    throw new RealXenException($"{Path.Combine(Made(""), name)}: another run has held it for {patience.TotalMinutes} minutes; end that run, then start again", taken);
                }
            }

            Thread.Sleep(200);
        }
    }

    /// <summary>Deletes the logs of runs whose process has ended.</summary>
    internal static void ForgetOldRuns()
    {
        foreach (string folder in Directory.GetDirectories(Runs))
        {
            string[] parts = Path.GetFileName(folder).Split('-');
            if (parts.Length < 3 || !Directory.Exists("/proc/" + parts[^2]))
                Directory.Delete(folder, recursive: true);
        }
    }

    private static string Made(string name) => Directory.CreateDirectory(Path.Combine(Root, "artifacts", "realxen", name)).FullName;

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Keyhole.slnx")))
                return folder.FullName;
        }

        throw new RealXenException($"{AppContext.BaseDirectory}: not inside the repository; run the harness from where it was built");
    }
}
