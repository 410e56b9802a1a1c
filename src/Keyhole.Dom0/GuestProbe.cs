// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Text;
using System.Threading;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.Probing;

namespace Keyhole.Dom0;

/// <summary>What a probe of a guest's map came to.</summary>
public sealed record ProbeTrial
{
    /// <summary>The forecast for the guest's own kernel, which needs other room than the probe.</summary>
    public required LiveMap Own { get; init; }

    /// <summary>What the probe reported; empty where it died before its first word.</summary>
    public required ProbeReport Report { get; init; }

    /// <summary>The report beside its forecast.</summary>
    public required ProbeVerdict Verdict { get; init; }

    /// <summary>Whether the probe was not waited for any longer.</summary>
    public required bool IsRunning { get; init; }

    /// <summary>Whether the map works for the guest: the probe has to say so, and its own kernel to be forecast to boot.</summary>
    public ProbeOutcome Outcome => Own.Forecast.Boots && !Own.HasErrors ? Verdict.Answer : ProbeOutcome.Fails;
}

/// <summary>Tries a guest's map with the probe kernel in the place of its own.</summary>
/// <param name="image">The whole path of the probe's image; <see cref="XlText.CanQuote"/> holds for it.</param>
/// <param name="registers">Addresses of registers, multiples of 4, that the probe reads through the device's BARs.</param>
public sealed class GuestProbe(LiveMachine machine, IXenControl xen, GuestRequest request, string image, ImmutableArray<ulong> registers)
{
    private const int MaxConfigBytes = 1024 * 1024;

    /// <summary>What the probe takes; a word more would be passed over.</summary>
    public const int MaxRegisters = 16;

    /// <summary>One that does not lie on a multiple of its size may lie on two pages.</summary>
    public const int RegisterBytes = 4;

    /// <summary>Why no probe can stand in for the guest; null where one can.</summary>
    public static InputError? WhyImpossible(GuestRequest request)
    {
        ArgumentNullException.ThrowIfNull(request);
        string source = InputError.PathText(request.Path);
        if (request.Guest.HasBootloader)
            return InputError.NotSupported(source, null, "a bootloader chooses the guest's kernel", "give a copy of the file without bootloader=");
        return new FileInfo(request.Path).Length > MaxConfigBytes
            ? InputError.TooLarge(source, null, "longer than an xl.cfg ever is", "check that this is the right file") : null;
    }

    /// <summary>Creates the guest with the probe in it, lets it run and listens; nothing of it is left behind.</summary>
    /// <param name="boot">The guest on this machine.</param>
    /// <param name="progress">Is told what is being done.</param>
    /// <param name="leftOver">Is told what could not be removed.</param>
    public XenResult<ProbeTrial> Try(Boot boot, Action<string> progress, Action<Phrase> leftOver, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(boot);
        ArgumentNullException.ThrowIfNull(leftOver);
        // What its command line tells its kernel, mem= and the like, is not told to the probe, and what its settings say of its end is set aside.
        Scenario probes = boot.Plan.Scenario with
        {
            Image = null,
            Guest = boot.Plan.Guest with { CommandLine = null, RestartsAfter = GuestEnds.Reboot }
        };
        var launcher = new GuestLauncher(xen, new DomainTools(machine.Tools, machine.Root), Guid.NewGuid(), cancellation);
        string? folder = null;
        try
        {
            string configuration;
            try
            {
                // The folder is the user's alone: a configuration may hold passwords.
                folder = Directory.CreateTempSubdirectory("keyhole-probe-").FullName;
                configuration = Path.Combine(folder, "probe.cfg");
                File.WriteAllText(configuration, Configuration());
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                return new XenProblem(
                    XenProblemKind.Here,
                    InputError.PathText(Path.GetTempPath()),
                    exception.Message.ReplaceLineEndings(" ").TrimEnd('.'),
                    "make room there, or name another folder in TMPDIR");
            }

            if (!launcher.Run(configuration, probes, request.Timeout, progress, EndsWithVerdict)
                .TryGet(out StartedGuest? guest, out XenProblem? problem))
                return problem;
            // Its configuration has xl preserve it, however it ends.
            if (launcher.HasVanished && !EndsWithVerdict(guest.Console))
                return NotKnown("the probe was taken away while it ran (xl destroy?)", "probe again");
            return guest.Console.Contains('\n', StringComparison.Ordinal) && !guest.Console.Contains(ProbeReportReader.Mark, StringComparison.Ordinal)
                ? NotKnown("what was started is no probe: its words are none of a probe's", "take the probe's own image")
                : Judge(guest, LiveMap.Of(boot));
        }
        finally
        {
            if (launcher.Destroy() is { } left)
                leftOver($"{left.ToPhrase()}; the guest may be left over: xl list, xl destroy");
            if (folder is not null)
                Remove(folder, leftOver);
        }
    }

    private XenProblem NotKnown(string why, string remedy) => new(XenProblemKind.Guest, $"guest {InputError.Quote(request.Guest.Name)}",
        $"{why}: whether this map works is not known", remedy);

    private static XenResult<ProbeTrial> Judge(StartedGuest guest, LiveMap own)
    {
        ProbeReport? report = new();
        // A guest that dies or is not waited for any longer leaves half a line.
        string said = guest.Console[..(guest.Console.LastIndexOf('\n') + 1)];
        using var console = new MemoryStream(Encoding.Latin1.GetBytes(said));
        // A guest that dies before its first word is an answer, too.
        if (said.Contains(ProbeReportReader.Mark, StringComparison.Ordinal)
            && !ProbeReportReader.Read(console, "the probe's console").TryGet(out report, out InputError? error))
        {
            return new XenProblem(XenProblemKind.Guest, error.Where, error.What, error.Remedy);
        }

        bool isRunning = guest.Outcome != StartOutcome.Died && !EndsWithVerdict(said);
        return new ProbeTrial
        {
            Own = own,
            Report = report,
            Verdict = ProbeVerifier.Compare(guest.Map.Forecast, report, isRunning),
            IsRunning = isRunning
        };
    }

    private static bool EndsWithVerdict(string console) =>
        console.Contains(ProbeReportReader.Mark + "verdict\"", StringComparison.Ordinal) && console.EndsWith('\n');

    private static void Remove(string folder, Action<Phrase> leftOver)
    {
        try
        {
            Directory.Delete(folder, recursive: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            leftOver($"{InputError.PathText(folder)}: cannot be removed; do so");
        }
    }

    /// <summary>
    /// The guest's xl.cfg with the probe in its kernel's place: later settings win. The name is another, so that the real guest may be there, and
    /// its disks and network stay with it: the probe has no drivers for them.
    /// </summary>
    private string Configuration()
    {
        var words = new StringBuilder();
        foreach (ulong register in registers)
            words.Append(CultureInfo.InvariantCulture, $" bar=0x{register:x}");
        return $"""
            {File.ReadAllText(request.Path)}

            name={new XlText(request.Guest.Name + "-probe", isQuoted: true, 0)}
            kernel={new XlText(image, isQuoted: true, 0)}
            ramdisk=""
            cmdline="kernel={KernelReleases.NameOf(request.Kernel)}{words}"
            disk=[]
            vif=[]
            vfb=[]
            on_poweroff="preserve"
            on_crash="preserve"

            """;
    }
}
