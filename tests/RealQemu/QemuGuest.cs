// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using System.Threading;
using System.Threading.Tasks;
using Keyhole.RealMachine;

namespace Keyhole.RealQemu;

/// <summary>
/// One guest in the real QEMU, by software emulation alone, until its firmware is done with PCI: then its machine is read and QEMU ended. It is
/// ended by its process id as soon as that is over, at its deadline and when this program is told to end; timeout(1) ends it even if this program is killed.
/// </summary>
public sealed class QemuGuest : IDisposable
{
    // SeaBIOS takes a fifth of a second, OVMF three to ten; page tables for 47 bits without 1 GiB pages two minutes. Of the processor's time, so that
    // a busy machine makes no difference.
    private static readonly TimeSpan s_seaBiosLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_ovmfLimit = TimeSpan.FromSeconds(170);

    /// <summary>How long a processor must run on the same registers to hang for good: a healthy one of QEMU 10.0 stood still for more than 15 s amid
    /// the sizing of a BAR of 128 GiB, of 63 s in all.</summary>
    private static readonly TimeSpan s_stillUntilHung = TimeSpan.FromSeconds(90);

    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(20);

    private const string LogFile = "firmware.log";
    private const string SerialFile = "serial.log";

    /// <summary>The flash for the firmware's variables, in the run's folder.</summary>
    internal const string VariablesFile = "variables.fd";

    /// <summary>So many looks in a row at which the processor waits for an interrupt, or stands still: a second, three seconds.</summary>
    private const int LooksUntilIdle = 10;
    private const int LooksUntilStill = 30;
    private static readonly TimeSpan s_betweenLooks = TimeSpan.FromMilliseconds(100);

    private static int s_runs;

    private readonly QemuConfig _config;
    private readonly string _folder;
    private readonly Process _process;
    private readonly QemuMonitor _monitor;
    private readonly QemuPorts _ports;
    private readonly Task<string> _complaints;
    private readonly Stopwatch _clock;
    private volatile bool _isInterrupted;

    private QemuGuest(QemuConfig config)
    {
        _config = config;
        string[] command = EmulatorRelease.Named(config.Emulator).Command();
        FirmwareRelease release = FirmwareRelease.Named(config.Firmware);
        string firmware = release.File(config.Flash);
        string[] linux = config.StartsLinux
            ? ["-kernel", LinuxImage.File, "-append", "console=ttyS0 earlyprintk=ttyS0 ignore_loglevel nokaslr"] : [];
        string name = $"qemu-{Environment.ProcessId}-{Interlocked.Increment(ref s_runs)}";
        _folder = Directory.CreateDirectory(Path.Combine(Workshop.Runs, name)).FullName;
        if (config.HasVariables)
            File.Copy(release.File(FirmwareRelease.VariablesOf(config.Flash)), Path.Combine(_folder, VariablesFile));
        _ports = new($"keyhole-{name}");
        _clock = Stopwatch.StartNew();
        _process = Tool.Start(_folder, "timeout",
        [
            "--signal=KILL", s_longest.TotalSeconds.ToString(CultureInfo.InvariantCulture), .. command, "-accel", "tcg", "-display", "none",
            "-nodefaults", "-no-user-config", "-monitor", "none", "-no-reboot", "-chardev", "stdio,id=qmp,signal=off",
            "-mon", "chardev=qmp,mode=control", "-chardev", $"file,id=log,path={LogFile}", "-device", "isa-debugcon,iobase=0x402,chardev=log",
            "-serial", $"file:{SerialFile}", .. _ports.Arguments, .. config.Arguments(firmware), .. linux,
        ]);
        _complaints = _process.StandardError.ReadToEndAsync();
        _monitor = new(_process.StandardOutput, _process.StandardInput);
    }

    /// <summary>Starts the guest and reads what became of it: a record, as those of tests/fixtures/qemu are.</summary>
    /// <exception cref="HarnessException">The run could not be made.</exception>
    public static JsonObject Record(QemuConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        using IDisposable slot = Workshop.MachineSlot();
        using var guest = new QemuGuest(config);
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, _ => guest.Interrupt());
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, _ => guest.Interrupt());
        using PosixSignalRegistration hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, _ => guest.Interrupt());
        return guest.Record();
    }

    public void Dispose()
    {
        End();
        _process.Dispose();
        _ports.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private JsonObject Record()
    {
        var record = new JsonObject { ["config"] = JsonNode.Parse(_config.ToString()) };
        bool hasBegun = false;
        try
        {
            hasBegun = _monitor.TryBegin();
            if (!hasBegun)
                return _isInterrupted ? throw new HarnessException($"interrupted: {_config}") : Refused(record);
            string outcome = _config.IsOvmf ? RunOvmf() : RunSeaBios(record);
            record["outcome"] = outcome;
            record["seconds"] = Math.Round(_clock.Elapsed.TotalSeconds, 2);
            new QemuReader(_monitor, _ports, _config).ReadInto(record);
            if (!_config.IsOvmf)
                record["e820"] = SeaBiosMap(Text(LogFile));
            else if (_config.StartsLinux)
                record["e820"] = LinuxMap(Text(SerialFile));
            return record;
        }
        catch (Exception end) when (end is EndOfStreamException or IOException)
        {
            if (!hasBegun && !_isInterrupted)
                return Refused(record);
            // -no-reboot: a triple fault, or a firmware that resets.
            _process.WaitForExit();
            if (_isInterrupted)
                throw new HarnessException($"interrupted: {_config}", end);
            if (_clock.Elapsed > s_longest)
                throw new HarnessException($"not done after {s_longest.TotalMinutes} minutes: {_config}", end);
            record["outcome"] = "resets";
            return record;
        }
    }

    private JsonObject Refused(JsonObject record)
    {
        _process.WaitForExit();
        record["outcome"] = "qemu-refused";
        record["stderr"] = new JsonArray([.. _complaints.Result.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Where(static line => !line.Contains("warning", StringComparison.Ordinal)).Select(static line => (JsonNode)line)]);
        return record;
    }

    private string RunSeaBios(JsonObject record)
    {
        while (UsedTime() < s_seaBiosLimit)
        {
            Thread.Sleep(10);
            string log = Text(LogFile);
            if (log.Contains("No bootable device", StringComparison.Ordinal) || log.Contains("Booting from", StringComparison.Ordinal))
                return "booted";
            int at = log.IndexOf("PCI: out of ", StringComparison.Ordinal);
            if (at >= 0 && log.IndexOf('\n', at) is > 0 and var end)
            {
                record["message"] = log[at..end].TrimEnd('\r');
                return "fw-panic";
            }
        }

        return "no-end";
    }

    private string RunOvmf()
    {
        int idle = 0, still = 0;
        TimeSpan usedBefore = default;
        string before = "";
        while (UsedTime() is var used && used < s_ovmfLimit)
        {
            Thread.Sleep(s_betweenLooks);
            string console = Text(SerialFile);
            if (_config.StartsLinux)
            {
                if (console.Contains("efi: EFI v", StringComparison.Ordinal))
                    return "booted";
                continue;
            }

            if (console.Contains("BdsDxe", StringComparison.Ordinal) || console.Contains("UEFI", StringComparison.Ordinal))
                return "booted";
            string registers = _monitor.Human("info registers");
            bool waits = registers.Contains("HLT=1", StringComparison.Ordinal);
            // What counts is that it has run in between, and was not only left out by a busy machine.
            if (idle == 0 && still == 0)
                usedBefore = used;
            idle = waits ? idle + 1 : 0;
            string general = General(registers);
            still = !waits && general == before ? still + 1 : 0;
            before = general;
            if (idle >= LooksUntilIdle && used > usedBefore)
                return "idle-no-console";
            if (still >= LooksUntilStill && used > usedBefore + s_stillUntilHung)
                return "no-end";
        }

        return "no-end";
    }

    /// <summary>The general registers, without the instruction pointer and flags: in a loop that does nothing they stay as they are.</summary>
    private static string General(string registers)
    {
        int end = registers.IndexOf("RIP=", StringComparison.Ordinal);
        return end < 0 ? registers : registers[..end];
    }

    /// <summary>The map that SeaBIOS has printed last.</summary>
    private static JsonArray SeaBiosMap(string log)
    {
        // e820 map has 5 items:
        //   0: 0000000000000000 - 000000000009fc00 = 1 RAM
        var map = new JsonArray();
        int at = log.LastIndexOf("e820 map has", StringComparison.Ordinal);
        foreach (string line in at < 0 ? [] : log[at..].Split('\n').Skip(1))
        {
            if (line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is not [[.., ':'], var start, "-", var end, "=", var type, ..])
                break;
            map.Add((JsonNode)new JsonArray(Hex(start), Hex(end), int.Parse(type, CultureInfo.InvariantCulture)));
        }

        return map;

        static string Hex(string digits) => $"0x{ulong.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture):x}";
    }

    /// <summary>The map that Linux was given, with its own names of the types.</summary>
    private static JsonArray LinuxMap(string console)
    {
        // [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable
        var map = new JsonArray();
        foreach (string line in console.Split('\n'))
        {
            if (line.Split("BIOS-e820: [mem 0x") is not [_, var entry]
                || entry.Split(["-0x", "] "], StringSplitOptions.None) is not [var start, var last, var type])
                continue;
            map.Add((JsonNode)new JsonArray($"0x{Parse(start):x}", $"0x{Parse(last) + 1:x}", type.Trim() switch
            {
                "usable" => 1,
                "ACPI data" => 3,
                "ACPI NVS" => 4,
                _ => 2,
            }));
        }

        return map;

        static ulong Parse(string digits) => ulong.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
    }

    private string Text(string file)
    {
        string path = Path.Combine(_folder, file);
        if (!File.Exists(path))
            return "";
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(stream, Encoding.Latin1);
        return reader.ReadToEnd();
    }

    /// <summary>What QEMU has had of the processor so far.</summary>
    private TimeSpan UsedTime()
    {
        const int TicksASecond = 100;
        // timeout's child; utime and stime are the 14th and 15th field, the 12th and 13th behind the name in parentheses.
        string child = File.ReadAllText($"/proc/{_process.Id}/task/{_process.Id}/children").Trim();
        if (child.Length == 0)
            throw new EndOfStreamException();
        string[] fields;
        try
        {
            string stat = File.ReadAllText($"/proc/{child}/stat");
            fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        }
        catch (IOException)
        {
            throw new EndOfStreamException();
        }

        long ticks = long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
        return TimeSpan.FromSeconds((double)ticks / TicksASecond);
    }

    private void Interrupt()
    {
        _isInterrupted = true;
        End();
    }

    private void End()
    {
        try
        {
            if (!_process.HasExited)
            {
                _process.Kill(entireProcessTree: true);
                _process.WaitForExit();
            }
        }
        catch (InvalidOperationException)
        {
            // It has been disposed of: nothing runs.
        }
    }
}
