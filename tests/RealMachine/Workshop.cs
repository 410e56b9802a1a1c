// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Security.Cryptography;
using System.Text;
using System.Threading;

namespace Keyhole.RealMachine;

/// <summary>Where the harnesses keep what they download, build and record: artifacts/machines/ of the repository, never the source tree.</summary>
public static class Workshop
{
    /// <summary>Names a folder that takes the place of artifacts/machines/downloads, so that several working trees download once.</summary>
    public const string DownloadsVariable = "KEYHOLE_DOWNLOADS";

    /// <summary>The repository's root: the nearest folder above the running program that holds Keyhole.slnx.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Debian packages as downloaded, a file for each version, and apt's lists of the suites.</summary>
    public static string Downloads =>
        Environment.GetEnvironmentVariable(DownloadsVariable) is { Length: > 0 } chosen ? Directory.CreateDirectory(chosen).FullName
            : Made("downloads");

    /// <summary>Built kernels, programs and initramfs images, a folder for each combination of inputs.</summary>
    public static string Images => Made("images");

    /// <summary>A folder for each run: its serial log, its answers and what QEMU was given.</summary>
    public static string Runs => Made("runs");

    /// <summary>Records made by a harness, where no other folder was asked for.</summary>
    public static string Records => Made("records");

    /// <summary>Keeps other processes and threads from preparing the same files at the same time, until it is disposed.</summary>
    /// <exception cref="HarnessException">Ten minutes went by.</exception>
    public static IDisposable Lock() => FirstFree(Made(""), TimeSpan.FromMinutes(10), "lock");

    /// <summary>Keeps other processes, of other working trees too, from downloading at the same time, until it is disposed.</summary>
    /// <exception cref="HarnessException">Ten minutes went by.</exception>
    internal static IDisposable DownloadLock() => FirstFree(Downloads, TimeSpan.FromMinutes(10), "lock");

    /// <summary>A place for one QEMU of the two that may run at a time in this working tree, whoever starts them, until it is disposed.</summary>
    /// <exception cref="HarnessException">An hour went by.</exception>
    public static IDisposable MachineSlot() => FirstFree(Made(""), TimeSpan.FromHours(1), "slot-1", "slot-2");

    /// <summary>
    /// The folder of images that <paramref name="build"/> fills: once for each combination of inputs. What was built under the same name from other
    /// inputs is deleted, unless a run has begun. Call it with the <see cref="Lock"/> held.
    /// </summary>
    /// <param name="name">Names the images: "xen-4.17".</param>
    /// <param name="inputs">Everything that the images follow from: versions of packages, sources, a number that is raised with the recipe.</param>
    /// <param name="build">Given the folder to fill.</param>
    public static string Built(string name, IEnumerable<string> inputs, Action<string> build)
    {
        string key = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', inputs))))[..16];
        string folder = Path.Combine(Images, $"{name}_{key}");
        if (Directory.Exists(folder))
            return folder;
        foreach (string old in Directory.GetDirectories(Runs).Length == 0 ? Directory.GetDirectories(Images, name + "_*") : [])
            Directory.Delete(old, recursive: true);
        string part = folder + ".part";
        if (Directory.Exists(part))
            Directory.Delete(part, recursive: true);
        Directory.CreateDirectory(part);
        build(part);
        Directory.Move(part, folder);
        return folder;
    }

    /// <summary>Deletes the logs of runs whose process has ended.</summary>
    public static void ForgetOldRuns()
    {
        foreach (string folder in Directory.GetDirectories(Runs))
        {
            string[] parts = Path.GetFileName(folder).Split('-');
            if (parts.Length < 3 || !Directory.Exists("/proc/" + parts[^2]))
                Directory.Delete(folder, recursive: true);
        }
    }

    // A file that is open without sharing is locked (flock), and unlocked even if this process is killed.
    private static FileStream FirstFree(string folder, TimeSpan patience, params string[] names)
    {
        var waited = Stopwatch.StartNew();
        while (true)
        {
            foreach (string name in names)
            {
                try
                {
                    return new FileStream(Path.Combine(folder, name), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
                }
                catch (IOException) when (waited.Elapsed < patience)
                {
                    continue;
                }
                catch (IOException taken)
                {
                    throw new HarnessException(
                        $"{Path.Combine(folder, name)}: another run has held it for {patience.TotalMinutes} minutes; end that run, then start again",
                        taken);
                }
            }

            Thread.Sleep(200);
        }
    }

    private static string Made(string name) => Directory.CreateDirectory(Path.Combine(Root, "artifacts", "machines", name)).FullName;

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Keyhole.slnx")))
                return folder.FullName;
        }

        throw new HarnessException($"{AppContext.BaseDirectory}: not inside the repository; run the harness from where it was built");
    }
}
