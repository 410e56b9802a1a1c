// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;
using Keyhole.RealMachine;

namespace Keyhole.RealXen;

/// <summary>Debian's GRUB, booted from a disk of its own to say what it makes of a line of its script language.</summary>
public static class GrubPrompt
{
    private const int DiskBytes = 1 << 20;

    private static int s_runs;

    /// <summary>What GRUB's <c>echo</c> prints of <paramref name="words"/>: it is given its arguments as <c>linux</c> is given a kernel's.</summary>
    /// <param name="words">A piece of a line of grub.cfg; no line feed.</param>
    /// <exception cref="HarnessException">GRUB could not be built or did not answer.</exception>
    public static string Echo(string words)
    {
        Images images = Images.Prepare();
        using IDisposable slot = Workshop.MachineSlot();
        string folder =
            Directory.CreateDirectory(Path.Combine(Workshop.Runs, $"grub-{Environment.ProcessId}-{Interlocked.Increment(ref s_runs)}")).FullName;
        File.WriteAllText(Path.Combine(folder, "grub.cfg"), $"serial --unit=0\nterminal_output serial\necho \"<<<\" {words} \">>>\"\nhalt\n");
        // grub-mkimage comes out of its package without being installed, so the one library it needs beyond Debian's base has to be named.
        Tool.Result built = Tool.Run(
            folder, "env", $"LD_LIBRARY_PATH={images.Grub}", Path.Combine(images.Grub, "grub-mkimage"), "-O", "i386-pc", "-d", images.Grub, "-p",
            "/boot/grub", "-c", "grub.cfg",
            "-o", "core.img", "echo", "serial", "terminal", "normal", "halt", "biosdisk");
        if (!built.Succeeded)
            throw new HarnessException($"grub-mkimage: {built.Complaint}");
        using (FileStream disk = File.Create(Path.Combine(folder, "disk.img")))
        {
            foreach (string part in (string[])[Path.Combine(images.Grub, "boot.img"), Path.Combine(folder, "core.img")])
                disk.Write(File.ReadAllBytes(part));
            disk.SetLength(DiskBytes);
        }

        Tool.Result run = Tool.Run(
            folder, "timeout", "--signal=KILL", "60", MachineTools.Qemu, "-accel", "tcg", "-m", "64", "-nographic", "-monitor", "none", "-no-reboot",
            "-net", "none",
            "-serial", "stdio", "-drive", "file=disk.img,format=raw");
        IEnumerable<string> answers = run.Output.ReplaceLineEndings("\n").Split('\n')
            .Where(static line => line.Contains(">>>", StringComparison.Ordinal));
        string answer = answers.FirstOrDefault() ?? throw new HarnessException($"GRUB did not answer: {run.Complaint} (logs in {folder})");
        int start = answer.IndexOf("<<<", StringComparison.Ordinal) + 3;
        return answer[start..answer.IndexOf(">>>", start, StringComparison.Ordinal)].Trim();
    }
}
