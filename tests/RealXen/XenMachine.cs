// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Keyhole.RealMachine;

namespace Keyhole.RealXen;

/// <summary>How a boot ended.</summary>
public enum RunEnd
{
    /// <summary>dom0 has done all of its steps.</summary>
    AllDone,

    /// <summary>dom0 or Xen has died; the serial log's last lines say why.</summary>
    Halted,
}

/// <summary>What came out of one boot.</summary>
/// <param name="Serial">The serial console: Xen's and dom0's kernel's messages.</param>
/// <param name="Answers">What dom0 reported, in sections.</param>
/// <param name="Elapsed">From QEMU's start to its end.</param>
/// <param name="Marks">When each section's first line arrived.</param>
public sealed record XenRun(Scenario Scenario, RunEnd End, string Serial, string Answers, TimeSpan Elapsed,
    ImmutableArray<(TimeSpan At, string Line)> Marks);

/// <summary>
/// One QEMU that plays the host of a scenario, by software emulation alone. It is ended by its process id as soon as the scenario is over, at its
/// deadline, on dispose, and when this program is told to end; timeout(1) ends it even if this program is killed.
/// </summary>
public sealed class XenMachine : IDisposable
{
    private const string AnswerPort = "0x5e9";

    // Xen kills a dom0 that touches user memory with SMAP on. And this emulator (QEMU 7.2) lets XSAVE and XRSTOR pass where CR0.TS should stop them:
    // Xen, which gives a PV domain its vector registers only when it asks, lets domains have each other's, and their programs crash now and then.
    // With RDTSCP a virtualised guest loops: the emulated SVM says nothing of an instruction's length, and Xen cannot make it out ("SVM Insn len
    // emulation failed").
    private const string Processor = "max,-smap,-smep,-la57,-xsave";
    private const int LowMemoryMiB = 3072;
    private static readonly TimeSpan s_pollInterval = TimeSpan.FromMilliseconds(100);
    private static readonly string[] s_deaths =
        ["Hardware Dom0 halted", "Hardware Dom0 crashed", "Hardware Dom0 shutdown", "Panic on CPU", "=== SHIM FAILED"];

    private static int s_runs;

    private readonly Scenario _scenario;
    private readonly Images _images;
    private readonly string _folder;
    private readonly Lock _gate = new();
    private readonly StringBuilder _answers = new();
    private readonly ImmutableArray<(TimeSpan At, string Line)>.Builder _marks = ImmutableArray.CreateBuilder<(TimeSpan At, string Line)>();
    private readonly Stopwatch _clock = new();
    private Process? _process;
    private Task _reading = Task.CompletedTask;
    private bool _answered;
    private string? _broken;

    private XenMachine(Scenario scenario, Images images)
    {
        _scenario = scenario;
        _images = images;
        _folder = Path.Combine(Workshop.Runs, $"{scenario.Name}-{Environment.ProcessId}-{Interlocked.Increment(ref s_runs)}");
    }

    /// <summary>Boots the scenario and waits for its end. Its logs stay in the workshop's runs/NAME… until the next clean-up.</summary>
    /// <exception cref="HarnessException">The run could not be made, broke down, or did not end in time.</exception>
    public static XenRun Run(Scenario scenario)
    {
        Images images = scenario.PrepareImages();
        using IDisposable slot = Workshop.MachineSlot();
        using var machine = new XenMachine(scenario, images);
        return machine.Run();
    }

    public void Dispose()
    {
        End();
        // What was killed is gone only when its end of the pipe is closed.
        _reading.Wait(TimeSpan.FromSeconds(30));
        _process?.Dispose();
        File.Delete(Path.Combine(_folder, "dom0.cpio"));
        File.WriteAllText(Path.Combine(_folder, "answers.log"), Answers());
    }

    private XenRun Run()
    {
        Prepare();
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, _ => End());
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, _ => End());
        using PosixSignalRegistration hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, _ => End());
        TimeSpan deadline = TimeSpan.FromSeconds(_scenario.EffectiveDeadlineSeconds);
        _process = Tool.Start(_folder, "timeout",
            ["--signal=KILL", (deadline.TotalSeconds + 30).ToString(CultureInfo.InvariantCulture), MachineTools.Qemu, .. QemuArguments()]);
        _clock.Start();
        _process.StandardInput.Close();
        _reading = Task.Run(ReadAnswers);
        Task<string> complaints = _process.StandardError.ReadToEndAsync();
        RunEnd? end = null;
        while (end is null)
        {
            bool exited = _process.WaitForExit(s_pollInterval);
            end = Ended();
            if (end is null && exited)
                throw Failure($"QEMU ended by itself: {complaints.Result.Trim()}");
            if (end is null && _clock.Elapsed > deadline)
                throw Failure($"not done after {deadline.TotalSeconds} s");
        }

        TimeSpan elapsed = _clock.Elapsed;
        End();
        _reading.Wait();
        return new XenRun(_scenario, end.Value, Serial(), Answers(), elapsed, Marks());
    }

    private RunEnd? Ended()
    {
        lock (_gate)
        {
            if (_broken is not null)
                throw Failure(_broken);
            if (_answered)
                return RunEnd.AllDone;
        }

        string serial = Serial();
        return s_deaths.Any(death => serial.Contains(death, StringComparison.Ordinal)) ? RunEnd.Halted : null;
    }

    private void Prepare()
    {
        if (Directory.Exists(_folder))
            Directory.Delete(_folder, recursive: true);
        Directory.CreateDirectory(_folder);
        // Names without spaces or commas, which separate modules in QEMU's -initrd.
        File.CreateSymbolicLink(Path.Combine(_folder, "xen.elf"), _images.Xen);
        File.CreateSymbolicLink(Path.Combine(_folder, "vmlinux"), _images.Linux);
        File.CreateSymbolicLink(Path.Combine(_folder, "shim.elf"), _images.Shim);
        if (!_scenario.FirmwareMap.IsEmpty)
            File.WriteAllBytes(Path.Combine(_folder, "map"), Dom0Script.Packed(_scenario.FirmwareMap.AsSpan()));
        if (_scenario.Dom0Kernel.Length > 0)
        {
            File.CreateSymbolicLink(Path.Combine(_folder, "kernel.elf"), Path.GetFullPath(_scenario.Dom0Kernel));
            return;
        }

        using FileStream dom0 = File.Create(Path.Combine(_folder, "dom0.cpio"));
        IEnumerable<string> parts = _images.Dom0;
        if (_scenario.Guests.Any(guest => guest.Kind == GuestKind.Hvm))
            parts = parts.Append(_images.DeviceModel);
        if (_scenario.Hotplug)
            parts = parts.Append(_images.Hotplug);
        if (_scenario.Libvirt)
            parts = parts.Append(_images.Libvirt);
        foreach (string part in parts)
        {
            using FileStream archive = File.OpenRead(part);
            archive.CopyTo(dom0);
        }

        dom0.Write(Dom0Script.Archive(_scenario, _images));
        // Zeros behind the last archive are skipped by the kernel.
        if (dom0.Length < _scenario.Dom0ImageBytes)
            dom0.SetLength(_scenario.Dom0ImageBytes);
    }

    private string[] QemuArguments()
    {
        bool shimmed = !_scenario.FirmwareMap.IsEmpty;
        string dom0 = _scenario.Dom0Kernel.Length > 0
            ? $"kernel.elf {_scenario.Dom0KernelOptions}"
            : $"vmlinux {Scenario.LinuxOptions},dom0.cpio";
        // The AMD IOMMU is a PCI device, too, and takes the first slot that is free.
        string[] machine = _scenario.Machine switch
        {
            Machine.Pc => ["-machine", "pc"],
            Machine.Q35Passthrough => ["-machine", "q35", "-device", "intel-iommu,intremap=off", "-device", "e1000,addr=2"],
            Machine.Q35AmdPassthrough => ["-machine", "q35", "-device", "e1000,addr=2", "-device", "amd-iommu"],
        };
        string[] devices = [.. _scenario.Devices.SelectMany(static device => (string[])["-device", device])];
        return
        [
            "-accel", "tcg", "-cpu", _scenario.Virtualises ? Processor + ",-rdtscp" : Processor, "-smp", "1", .. machine, .. devices, "-m",
            $"{MemoryMiB()}",
            .. _scenario.CountsInstructions ? (string[])["-icount", "shift=0,sleep=off"] : [],
            "-nographic", "-monitor", "none", "-no-reboot", "-net", "none", "-serial", "file:serial.log",
            "-chardev", "stdio,id=answers,signal=off", "-device", $"isa-debugcon,iobase={AnswerPort},chardev=answers",
            "-kernel", shimmed ? "shim.elf" : "xen.elf", "-append", _scenario.XenCommandLine, "-initrd", shimmed ? $"map,xen.elf,{dom0}" : dom0,
        ];
    }

    private int MemoryMiB()
    {
        if (_scenario.MemoryMiB > 0)
            return _scenario.MemoryMiB;
        if (_scenario.FirmwareMap.IsEmpty)
            throw new HarnessException($"{_scenario.Name}: neither a firmware map nor a memory size");
        const ulong FourGiB = 1UL << 32;
        const int MiBShift = 20;
        ulong end = _scenario.FirmwareMap.Where(entry => entry.IsRam).Max(entry => entry.End);
        ulong lowEnd = _scenario.FirmwareMap.Where(entry => entry.IsRam && entry.Address < FourGiB).Max(entry => entry.End);
        if (lowEnd > (ulong)LowMemoryMiB << MiBShift)
            throw new HarnessException($"{_scenario.Name}: RAM below 4 GiB ends at 0x{lowEnd:x}; QEMU's pc has none between 3 and 4 GiB");
        return end <= FourGiB ? LowMemoryMiB : LowMemoryMiB + (int)((end - FourGiB + (1UL << MiBShift) - 1) >> MiBShift);
    }

    private void ReadAnswers()
    {
        StreamReader from = _process!.StandardOutput;
        // As it comes: who waits for a run on a busy machine, or has to end it, sees how far it is.
        using var live = new StreamWriter(Path.Combine(_folder, "answers.log")) { AutoFlush = true };
        while (from.ReadLine() is { } line)
        {
            live.WriteLine(line.TrimEnd('\r'));
            lock (_gate)
            {
                _answers.Append(line.TrimEnd('\r')).Append('\n');
                if (line.StartsWith("=== ", StringComparison.Ordinal))
                    _marks.Add((_clock.Elapsed, line.TrimEnd('\r')));
                if (line.StartsWith("=== BROKEN ", StringComparison.Ordinal))
                    _broken = $"in dom0, \"{line["=== BROKEN ".Length..]}\" failed";
                _answered |= line == "=== ALLDONE";
            }
        }
    }

    private string Answers()
    {
        lock (_gate)
            return _answers.ToString();
    }

    private ImmutableArray<(TimeSpan At, string Line)> Marks()
    {
        lock (_gate)
            return _marks.ToImmutable();
    }

    private string Serial()
    {
        string path = Path.Combine(_folder, "serial.log");
        if (!File.Exists(path))
            return "";
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(file, Encoding.Latin1);
        return reader.ReadToEnd().Replace("\r", "", StringComparison.Ordinal);
    }

    private HarnessException Failure(string what)
    {
        string[] lines = Serial().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        string last = lines.Length > 0 ? lines[^1].Trim() : "nothing";
        return new HarnessException($"{_scenario.Name}: {what}; the serial console ends with \"{last}\" (logs in {_folder})");
    }

    private void End()
    {
        try
        {
            if (_process is { HasExited: false } process)
            {
                process.Kill(entireProcessTree: true);
                process.WaitForExit();
            }
        }
        catch (InvalidOperationException)
        {
            // It was never started, or has been disposed of: nothing runs.
        }
    }
}
