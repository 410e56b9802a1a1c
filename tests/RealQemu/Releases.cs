// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Formats.Tar;
using System.IO;
using System.Linq;
using Keyhole.RealMachine;

namespace Keyhole.RealQemu;

/// <summary>A QEMU that can be started: the machine's own where it is that release, else a release of Debian's, unpacked.</summary>
/// <param name="Version">"7.2".</param>
/// <param name="Suite">Where its packages are.</param>
public sealed record EmulatorRelease(string Version, DebianSuite Suite)
{
    /// <summary>Raised when the way it is unpacked changes.</summary>
    private const int Recipe = 1;

    private static readonly string[] s_packages = ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "ipxe-qemu", "seabios"];
    private static readonly ConcurrentDictionary<string, Lazy<string[]>> s_commands = new();

    public static IReadOnlyList<EmulatorRelease> All { get; } =
        [new("5.2", DebianSuite.Bullseye), new("7.2", DebianSuite.Bookworm), new("10.0", DebianSuite.Trixie), new("11.1", DebianSuite.Testing)];

    /// <summary>The release of that version.</summary>
    /// <exception cref="HarnessException">There is none.</exception>
    public static EmulatorRelease Named(string version) => All.FirstOrDefault(release => release.Version == version)
        ?? throw new HarnessException(
            $"QEMU {version}: not among those that can be started: {string.Join(", ", All.Select(static release => release.Version))}");

    /// <summary>Program and first arguments, to which a machine's are added.</summary>
    /// <exception cref="HarnessException">It is not to be had.</exception>
    internal string[] Command() => s_commands.GetOrAdd(Version, _ => new(Prepare)).Value;

    private string[] Prepare()
    {
        using IDisposable ours = Workshop.Lock();
        // The release that the machine's own Debian has is installed, as for every other harness.
        if (Suite == DebianSuite.Bookworm)
        {
            MachineTools.EnsureQemu();
            if (Tool.Run("/", MachineTools.Qemu, "--version").Output.Contains($"version {Version}.", StringComparison.Ordinal))
                return [MachineTools.Qemu];
        }

        IReadOnlyList<Package> packages = Suite.Obtain(s_packages);
        IReadOnlyList<Package> libraries = Suite.Obtain([.. Suite.LibrariesOf("qemu-system-x86")]);
        string folder = Workshop.Built($"qemu-{Version}", [$"recipe {Recipe}", .. packages.Concat(libraries).Select(static package => package.Input)],
            into => Unpack(into, packages, libraries));
        string[] data = ["share/qemu", "share/seabios", "lib/ipxe/qemu"];
        return
        [
            "env", $"QEMU_MODULE_DIR={folder}/usr/lib/x86_64-linux-gnu/qemu", $"{folder}/lib64/ld-linux-x86-64.so.2", "--library-path",
            $"{folder}/lib/x86_64-linux-gnu", $"{folder}/usr/bin/{MachineTools.Qemu}",
            .. data.SelectMany(part => (string[])["-L", $"{folder}/usr/{part}"]),
        ];
    }

    private static void Unpack(string folder, IReadOnlyList<Package> packages, IReadOnlyList<Package> libraries)
    {
        byte[] program = packages[0].TakeOne(static path => path == "usr/bin/" + MachineTools.Qemu);
        foreach ((string name, byte[] content) in new SharedLibraries(libraries).NeededBy([program]))
            Write(Path.Combine(folder, SharedLibraries.PlaceOf(name)), content, name.StartsWith("ld-linux", StringComparison.Ordinal));
        Write(Path.Combine(folder, "usr/bin", MachineTools.Qemu), program, isProgram: true);
        foreach (Package package in packages)
        {
            package.ReadFiles((path, entry) =>
            {
                string[] wanted = ["usr/share/qemu/", "usr/share/seabios/", "usr/lib/ipxe/qemu/", "usr/lib/x86_64-linux-gnu/qemu/"];
                if (!wanted.Any(part => path.StartsWith(part, StringComparison.Ordinal)))
                    return;
                string to = Path.Combine(folder, path);
                if (entry.EntryType is TarEntryType.RegularFile)
                    Write(to, Package.ContentOf(entry), isProgram: false);
                else if (entry.EntryType is TarEntryType.SymbolicLink && !entry.LinkName.StartsWith('/'))
                    File.CreateSymbolicLink(Made(to), entry.LinkName);
            });
        }
    }

    private static string Made(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        return path;
    }

    private static void Write(string path, byte[] content, bool isProgram)
    {
        File.WriteAllBytes(Made(path), content);
        if (isProgram && OperatingSystem.IsLinux())
            File.SetUnixFileMode(path, File.GetUnixFileMode(path) | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
    }
}

/// <summary>A firmware that can be started: always a Debian package's, unpacked.</summary>
/// <param name="Name">As records name it: "seabios-1.16.2", "ovmf-2022.11".</param>
/// <param name="Suite">Where its package is.</param>
/// <param name="PackageName">"seabios".</param>
public sealed record FirmwareRelease(string Name, DebianSuite Suite, string PackageName)
{
    private static readonly ConcurrentDictionary<string, Lazy<string>> s_files = new();

    public static IReadOnlyList<FirmwareRelease> All { get; } =
    [
        new("seabios-1.14.0", DebianSuite.Bullseye, "seabios"), new("seabios-1.16.2", DebianSuite.Bookworm, "seabios"),
        new("seabios-1.16.3", DebianSuite.Trixie, "seabios"), new("seabios-1.17.0", DebianSuite.Testing, "seabios"),
        new("ovmf-2020.11", DebianSuite.Bullseye, "ovmf"), new("ovmf-2022.11", DebianSuite.Bookworm, "ovmf"),
        new("ovmf-2025.02", DebianSuite.Trixie, "ovmf"), new("ovmf-2026.08", DebianSuite.Testing, "ovmf-generic"),
    ];

    public bool IsOvmf => Name.StartsWith("ovmf-", StringComparison.Ordinal);

    /// <summary>Whether a firmware of that name can be started.</summary>
    public static bool IsThere(string name) => All.Any(release => release.Name == WithoutRevision(name));

    /// <summary>The release of that name; a package's revision ("ovmf-2025.02-8") is whatever the suite has.</summary>
    /// <exception cref="HarnessException">There is none.</exception>
    public static FirmwareRelease Named(string name) => All.FirstOrDefault(release => release.Name == WithoutRevision(name))
        ?? throw new HarnessException(
            $"{name}: not among the firmwares that can be started: {string.Join(", ", All.Select(static release => release.Name))}");

    /// <summary>The image's path.</summary>
    /// <exception cref="HarnessException">It is not to be had, or the suite has another release by now.</exception>
    /// <param name="image">Which of the package's images; empty for the usual one.</param>
    internal string File(string image) => s_files.GetOrAdd($"{Name}/{image}", _ => new(() => Prepare(image))).Value;

    /// <summary>The image with the variables that goes with one of the firmware.</summary>
    internal static string VariablesOf(string image) => image.Length == 0 ? "OVMF_VARS_4M.fd"
        : image.Replace("CODE", "VARS", StringComparison.Ordinal).Replace(".secboot", "", StringComparison.Ordinal);

    private static string WithoutRevision(string name)
    {
        int dash = name.IndexOf('-', name.IndexOf('-', StringComparison.Ordinal) + 1);
        return dash < 0 ? name : name[..dash];
    }

    private string Prepare(string image)
    {
        using IDisposable ours = Workshop.Lock();
        Package package = Suite.Obtain(PackageName)[0];
        string release = Name[(Name.IndexOf('-', StringComparison.Ordinal) + 1)..];
        if (!package.Version.StartsWith(release, StringComparison.Ordinal))
            throw new HarnessException($"{Name}: Debian {Suite.Name} has {package.Input} by now");
        string inside = IsOvmf ? $"usr/share/OVMF/{(image.Length == 0 ? "OVMF_CODE_4M.fd" : image)}" : "usr/share/seabios/bios-256k.bin";
        string folder = Workshop.Built(image.Length == 0 ? Name : $"{Name}-{image}", [package.Input],
            into => System.IO.File.WriteAllBytes(Path.Combine(into, "firmware"), package.TakeOne(path => path == inside)));
        return Path.Combine(folder, "firmware");
    }
}

/// <summary>A Linux to start for the map that it prints: Debian's of bookworm.</summary>
internal static class LinuxImage
{
    private static readonly Lazy<string> s_file = new(Prepare);

    /// <summary>The image's path.</summary>
    /// <exception cref="HarnessException">It is not to be had.</exception>
    public static string File => s_file.Value;

    private static string Prepare()
    {
        using IDisposable ours = Workshop.Lock();
        DebianSuite suite = DebianSuite.Bookworm;
        Package package = suite.Obtain(suite.DependencyOf("linux-image-amd64", "linux-image-"))[0];
        string folder = Workshop.Built("linux-alone", [package.Input], into => System.IO.File.WriteAllBytes(Path.Combine(into, "vmlinuz"),
            package.TakeOne(static path => path.StartsWith("boot/vmlinuz-", StringComparison.Ordinal))));
        return Path.Combine(folder, "vmlinuz");
    }
}
