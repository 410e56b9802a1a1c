// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Threading;
using Keyhole.RealMachine;

namespace Keyhole.RealXen;

/// <summary>One boot of Debian's Linux on a QEMU machine without Xen.</summary>
/// <param name="Name">Names the folder of its logs.</param>
/// <param name="MemoryMiB">QEMU's memory.</param>
public sealed record HostBoot(string Name, int MemoryMiB)
{
    /// <summary>Q35, with its MMCONFIG at b0000000, instead of i440FX.</summary>
    public bool IsQ35 { get; init; }

    public int Processors { get; init; } = 1;

    /// <summary>Kernel parameters beyond the console's.</summary>
    public string Parameters { get; init; } = "";

    /// <summary>Shell commands; kept-range (host/kept-range.c) is in the path.</summary>
    public string Commands { get; init; } = "";

    /// <summary>After so many seconds QEMU is ended. A boot takes ten to sixty, as busy as the machine is.</summary>
    public int DeadlineSeconds { get; init; } = 300;
}

/// <summary>What came out of a boot.</summary>
/// <param name="Firmware">The kernel's lines of the firmware's map ("BIOS-e820: …").</param>
/// <param name="Iomem">/proc/iomem.</param>
/// <param name="Output">What the commands printed.</param>
public sealed record HostRun(HostBoot Boot, string Firmware, string Iomem, string Output, TimeSpan Elapsed)
{
    /// <summary>The run in the form of the records in tests/fixtures/reserve.</summary>
    public string ToRecord(string comment) => $"# {comment}\n=== PARAMETERS\n{Boot.Parameters}\n=== FIRMWARE\n{Firmware}=== IOMEM\n{Iomem}";
}

/// <summary>
/// Boots Linux on the bare machine, by emulation alone. The kernel is the packed one of the package: only that chooses its own place in memory, and
/// steers clear of memmap= when it does.
/// </summary>
public static class HostMachine
{
    private static int s_runs;

    /// <summary>Boots and waits for the end. The logs, and the run as a record, stay in the workshop's runs/NAME… until the next clean-up.</summary>
    /// <exception cref="HarnessException">The boot could not be made, broke down, or did not end in time.</exception>
    public static HostRun Run(HostBoot boot)
    {
        Images images = Images.Prepare();
        using IDisposable slot = Workshop.MachineSlot();
        string folder =
            Directory.CreateDirectory(Path.Combine(Workshop.Runs,
                $"{boot.Name}-{Environment.ProcessId}-{Interlocked.Increment(ref s_runs)}h")).FullName;
        File.CreateSymbolicLink(Path.Combine(folder, "vmlinuz"), images.PackedLinux);
        using (FileStream initramfs = File.Create(Path.Combine(folder, "host.cpio")))
        {
            using (FileStream common = File.OpenRead(images.Host))
                common.CopyTo(initramfs);
            using var archive = new MemoryStream();
            var cpio = new CpioWriter(archive);
            cpio.Text("host/commands", boot.Commands + "\n");
            cpio.Finish();
            archive.WriteTo(initramfs);
        }

        var clock = Stopwatch.StartNew();
        Tool.Result result = Tool.Run(folder, "timeout",
            ["--signal=KILL", boot.DeadlineSeconds.ToString(CultureInfo.InvariantCulture), MachineTools.Qemu, .. Arguments(boot)]);
        TimeSpan elapsed = clock.Elapsed;
        File.Delete(Path.Combine(folder, "host.cpio"));
        string answers = result.Output.Replace("\r", "", StringComparison.Ordinal);
        File.WriteAllText(Path.Combine(folder, "answers.log"), answers);
        if (!result.Succeeded || !answers.EndsWith("=== END\n", StringComparison.Ordinal))
            throw new HarnessException(
                $"{boot.Name}: {(result.Error.Length > 0 ? result.Complaint : "the host did not come to its end")} after "
                    + $"{elapsed.TotalSeconds:0} s (logs in {folder})");
        var run = new HostRun(boot, Section(answers, "FIRMWARE"), Section(answers, "IOMEM"), Section(answers, "COMMANDS"), elapsed);
        File.WriteAllText(Path.Combine(folder, "record.log"), run.ToRecord(boot.Name));
        return run;
    }

    private static string Section(string answers, string title)
    {
        string mark = $"=== {title}\n";
        int start = answers.IndexOf(mark, StringComparison.Ordinal);
        if (start < 0)
            throw new HarnessException($"the host's answers lack \"{mark.Trim()}\"");
        start += mark.Length;
        return answers[start..answers.IndexOf("=== ", start, StringComparison.Ordinal)];
    }

    private static string[] Arguments(HostBoot boot) =>
    [
        "-accel", "tcg", "-cpu", "max,-la57", "-machine", boot.IsQ35 ? "q35" : "pc", "-m", $"{boot.MemoryMiB}", "-smp", $"{boot.Processors}",
        "-nographic", "-monitor", "none", "-no-reboot", "-net", "none", "-serial", "file:serial.log",
        "-chardev", "stdio,id=answers,signal=off", "-device", "isa-debugcon,iobase=0x5e9,chardev=answers",
        "-kernel", "vmlinuz", "-initrd", "host.cpio", "-append", $"console=ttyS0 panic=-1 {boot.Parameters}",
    ];
}
