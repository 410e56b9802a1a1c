// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Formats.Tar;
using System.IO;
using System.Linq;

namespace Keyhole.RealXen;

/// <summary>
/// The Debian packages the run is made of: downloaded by the machine's own apt into the workshop, once for each version, and read
/// there; only QEMU and compilers get installed. What cannot be had is named in one line.
/// </summary>
public static class Packages
{
    public const string Hypervisor = "xen-hypervisor-4.17-amd64";
    public const string Busybox = "busybox-static";
    private const string KernelMetaPackage = "linux-image-amd64";

    // A program or file that must be there, and the package it comes with.
    private static readonly (string File, string Package)[] Tools =
    [
        (XenMachine.Qemu, "qemu-system-x86"), ("gcc", "gcc"), ("ld", "binutils"), ("/usr/lib/x86_64-linux-gnu/libc.a", "libc6-dev"), ("xz", "xz-utils"),
    ];

    /// <summary>Packages whose programs and libraries dom0 uses.</summary>
    public static IReadOnlyList<string> Dom0 { get; } =
    [
        "xen-utils-4.17", "xenstore-utils", "libc6", "libyajl2", "libxencall1", "libxendevicemodel1", "libxenevtchn1", "libxenforeignmemory1",
        "libxengnttab1", "libxenhypfs1", "libxenmisc4.17", "libxenstore4", "libxentoolcore1", "libxentoollog1", "libuuid1", "zlib1g", "liblzma5",
        "libbz2-1.0", "libzstd1", "libgcc-s1", "libstdc++6",
    ];

    /// <summary>Packages that GRUB is built from.</summary>
    public static IReadOnlyList<string> Grub { get; } = ["grub-common", "grub-pc-bin", "libdevmapper1.02.1"];

    /// <summary>One downloaded package.</summary>
    public sealed record Package(string Name, string Version, string File);

    /// <summary>Every package of the run, in a fixed order, downloaded now if it has not been; the kernel last, whatever its version.</summary>
    /// <exception cref="RealXenException">A package is not to be had.</exception>
    public static IReadOnlyList<Package> Obtain()
    {
        try
        {
            return ObtainFromLists();
        }
        catch (RealXenException)
        {
            // Lists that are missing or older than the archive have one remedy; a second failure is the user's to see.
            UpdateLists();
            return ObtainFromLists();
        }
    }

    /// <summary>Installs what the harness runs on this machine itself, where it is missing.</summary>
    /// <exception cref="RealXenException">It could not be installed.</exception>
    public static void EnsureTools()
    {
        foreach ((string file, string package) in Tools)
        {
            if (IsThere(file))
                continue;
            Tool.Result result = Install(package);
            if (!result.Succeeded)
            {
                UpdateLists();
                result = Install(package);
            }

            if (!result.Succeeded || !IsThere(file))
                throw new RealXenException($"{package}: missing, and could not be installed ({result.Complaint}); install it as root with apt-get install");
        }

        static bool IsThere(string file) => file.StartsWith('/') ? File.Exists(file) : Tool.IsInstalled(file);
        static Tool.Result Install(string package) => Tool.Run("/", "apt-get", "install", "--yes", "--no-install-recommends", package);
    }

    /// <summary>Reads a package's files: calls <paramref name="take"/> with each path (no leading "./") and entry.</summary>
    internal static void ReadFiles(Package package, Action<string, TarEntry> take)
    {
        using Process process = Tool.Start("/", "dpkg-deb", "--fsys-tarfile", package.File);
        process.StandardInput.Close();
        try
        {
            using var tar = new TarReader(process.StandardOutput.BaseStream, leaveOpen: true);
            while (tar.GetNextEntry() is { } entry)
                take(entry.Name.StartsWith("./", StringComparison.Ordinal) ? entry.Name[2..] : entry.Name, entry);
            // The archive's end is padded; dpkg-deb wants to get rid of all of it.
            process.StandardOutput.BaseStream.CopyTo(Stream.Null);
            process.WaitForExit();
            if (process.ExitCode == 0)
                return;
        }
        catch (Exception failure) when (failure is InvalidDataException or EndOfStreamException)
        {
            throw Damaged(package, failure);
        }

        throw Damaged(package, null);
    }

    private static RealXenException Damaged(Package package, Exception? inner) =>
        new($"{package.Name}: {package.File} is damaged; delete it and start again", inner!);

    private static List<Package> ObtainFromLists()
    {
        string kernel = Tool.Run("/", "apt-cache", "depends", KernelMetaPackage).Output
            .Split('\n').Select(line => line.Trim()).FirstOrDefault(line => line.StartsWith("Depends: linux-image-", StringComparison.Ordinal))?["Depends: ".Length..]
            ?? throw new RealXenException($"{KernelMetaPackage}: not in apt's lists; the harness needs a Debian bookworm machine whose lists are up to date");
        string[] names = [Hypervisor, Busybox, .. Dom0, .. Grub, kernel];
        Dictionary<string, string> candidates = Candidates(names);
        var packages = new List<Package>();
        foreach (string name in names)
        {
            if (!candidates.TryGetValue(name, out string? version) || version == "(none)")
                throw new RealXenException($"{name}: not in apt's lists; the harness needs a Debian bookworm machine whose lists are up to date");
            packages.Add(new Package(name, version, Path.Combine(Workshop.Packages, $"{name}_{version.Replace(':', '-')}.deb")));
        }

        Download([.. packages.Where(package => !File.Exists(package.File))]);
        return packages;
    }

    private static Dictionary<string, string> Candidates(string[] names)
    {
        var candidates = new Dictionary<string, string>();
        string current = "";
        foreach (string line in Tool.Run("/", "apt-cache", ["policy", .. names]).Output.Split('\n'))
        {
            if (line.Length > 0 && line[0] != ' ')
                current = line.TrimEnd(':');
            else if (line.StartsWith("  Candidate: ", StringComparison.Ordinal))
                candidates[current] = line["  Candidate: ".Length..].Trim();
        }

        return candidates;
    }

    private static void Download(IReadOnlyList<Package> missing)
    {
        if (missing.Count == 0)
            return;
        string folder = Path.Combine(Workshop.Packages, "incoming");
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
        Directory.CreateDirectory(folder);
        Tool.Result result = Tool.Run(folder, "apt-get", ["download", .. missing.Select(package => $"{package.Name}={package.Version}")]);
        foreach (Package package in missing)
        {
            if (Directory.GetFiles(folder, package.Name + "_*.deb") is not [string file])
                throw new RealXenException($"{package.Name} {package.Version}: could not be downloaded ({result.Complaint})");
            File.Move(file, package.File, overwrite: true);
        }
    }

    private static void UpdateLists()
    {
        Tool.Result result = Tool.Run("/", "apt-get", "update");
        if (!result.Succeeded)
            throw new RealXenException($"apt-get update failed ({result.Complaint}); the harness needs apt's lists to find Debian's Xen");
    }
}
