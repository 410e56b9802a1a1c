// SPDX-License-Identifier: GPL-2.0-only

using System.IO;

namespace Keyhole.RealMachine;

/// <summary>What the harnesses run on this machine itself: QEMU and compilers. Everything else is unpacked, never installed.</summary>
public static class MachineTools
{
    /// <summary>The emulator.</summary>
    public const string Qemu = "qemu-system-x86_64";

    /// <summary>A program or file that must be there, and the package it comes with.</summary>
    private static readonly (string File, string Package)[] s_all =
    [
        (Qemu, "qemu-system-x86"), ("gcc", "gcc"), ("ld", "binutils"), ("/usr/lib/x86_64-linux-gnu/libc.a", "libc6-dev"), ("xz", "xz-utils"),
        ("zstd", "zstd"),
    ];

    /// <summary>Installs what is missing.</summary>
    /// <exception cref="HarnessException">It could not be installed.</exception>
    public static void Ensure() => Ensure(s_all);

    /// <summary>Installs QEMU if it is missing.</summary>
    /// <exception cref="HarnessException">It could not be installed.</exception>
    public static void EnsureQemu() => Ensure(s_all[..1]);

    private static void Ensure((string File, string Package)[] tools)
    {
        foreach ((string file, string package) in tools)
        {
            if (IsThere(file))
                continue;
            Tool.Result result = Install(package);
            if (!result.Succeeded)
            {
                Tool.Run("/", "apt-get", "update");
                result = Install(package);
            }

            if (!result.Succeeded || !IsThere(file))
                throw new HarnessException(
                    $"{package}: missing, and could not be installed ({result.Complaint}); install it as root with apt-get install");
        }

        static bool IsThere(string file) => file.StartsWith('/') ? File.Exists(file) : Tool.IsInstalled(file);
        static Tool.Result Install(string package) => Tool.Run("/", "apt-get", "install", "--yes", "--no-install-recommends", package);
    }
}
