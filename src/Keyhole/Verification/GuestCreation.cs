// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Reading;

namespace Keyhole.Verification;

/// <summary>A guest that the toolstack did not create, or was forecast not to: there is no boot beside a forecast, or no forecast beside a
/// boot.</summary>
public static class GuestCreation
{
    private const string RdmConflict = "RDM conflict at 0x";
    /// <summary>libxc's word on a part of a guest that goes beyond its memory, behind "segment NAME".</summary>
    private const string NoRoom = " too large (0x";
    private const string SharedRegion = "with shared RMRR at ";

    /// <summary>libxc's xc_dom_malloc_filemap.</summary>
    private const string TooLargeFile = "file which is too large";

    /// <summary>What the toolstack asks its own system for: processes, and mappings of a guest's frames.</summary>
    private static readonly string[] s_wordsOfOwnMemory = ["fork failed", "[mmap, errno"];

    private static readonly string[] s_wordsOfMemory =
        ["Out of memory", "Cannot allocate memory", "ot enough memory", "(12 =", "free memory for the domain"];

    /// <summary>What the toolstack, Xen or QEMU says, where a log has nothing of a guest's kernel and firmware and tells that the guest was not
    /// created; else null.</summary>
    /// <param name="scan">The log.</param>
    /// <param name="type">Of the guest that was told: libxl creates no KVM guest, and libvirt's words on one may be of another.</param>
    public static LogFact<string>? ReasonIn(LogScan scan, GuestType type)
    {
        ArgumentNullException.ThrowIfNull(scan);
        // QEMU's words alone are no boot.
        if (type == GuestType.Kvm && scan.StartError is { } error
            && FirmwareVerifier.BootsIn(scan with { Pci = scan.Pci with { Refusal = null } }).IsEmpty)
            return error.Words;
        return FirmwareVerifier.BootsIn(scan).IsEmpty ? ToolstackErrors.Of(scan) : null;
    }

    /// <param name="expected">The plan of the guest, and its boot.</param>
    /// <param name="reason">From <see cref="ReasonIn"/>.</param>
    /// <param name="scan">The log.</param>
    public static BootVerification NotCreated(Boot expected, LogFact<string> reason, LogScan scan)
    {
        ArgumentNullException.ThrowIfNull(expected);
        ArgumentNullException.ThrowIfNull(scan);
        StartError? ofQemu = scan.StartError is { } error && error.Words == reason && expected.Plan.Guest.Type == GuestType.Kvm ? error : null;
        // Another reason is no agreement.
        bool agrees = ofQemu is not null ? QemuStart.IsForecast(expected, ofQemu) : expected.Outcome == GuestOutcome.Refused
            && (Error(expected.Plan) is not { Code: ProblemCodes.LargerThanHost }
                || Array.Exists(s_wordsOfMemory, words => reason.Value.Contains(words, StringComparison.Ordinal)))
            && (expected.Message?.TrimEnd('.') is not { Length: > 0 } words
                || scan.Lines.Any(line => line.Text.Contains(words, StringComparison.Ordinal)));
        return new()
        {
            Profile = expected.Plan.Scenario.Kernel,
            Boot = new()
            {
                Number = 1,
                Owner = BootOwner.Guest,
                FirstLine = reason.Line,
                LastLine = reason.Line,
                Facts = new(),
                HasKernelLines = false,
            },
            Outcomes = (IsOfLinuxAlone(expected) ? GuestOutcome.NotKnown : expected.Outcome, GuestOutcome.Refused),
            Findings =
            [
                new(Verifier.OutcomeWhat, IsOfLinuxAlone(expected) ? null : Forecast(expected), Text(GuestOutcome.Refused, reason.Value), reason.Line,
                    agrees),
            ],
            NotCompared = ["everything after the outcome"],
            Explanations = [.. ofQemu is not null ? QemuStart.WhyNot(expected, ofQemu) : WhyNot(expected, reason)],
        };
    }

    /// <summary>The boot of a guest that was forecast not to be created.</summary>
    /// <param name="expected">The plan; its outcome is <see cref="GuestOutcome.Refused"/>.</param>
    /// <param name="observed">The boot, as far as the log has it.</param>
    public static BootVerification Created(Boot expected, ObservedBoot observed)
    {
        ArgumentNullException.ThrowIfNull(expected);
        ArgumentNullException.ThrowIfNull(observed);
        GuestOutcome seen = observed.Halts ? GuestOutcome.Halts : GuestOutcome.Boots;
        string? words = observed.Facts.PanicMessage?.Value ?? observed.BootFailure?.Value.Words;
        int line = observed.Facts.PanicMessage?.Line ?? observed.BootFailure?.Line ?? observed.FirstLine;
        var explanations = new List<Phrase>();
        if (Error(expected.Plan) is { } error)
            explanations.Add($"By the forecast {error.Message}.");
        explanations.Add($"The log has a kernel of a guest that was created: it is another guest, another host, or another toolstack than was told.");
        return new()
        {
            Profile = observed.Kernel ?? expected.Plan.Scenario.Kernel,
            Boot = observed,
            Outcomes = (expected.Outcome, seen),
            Findings = [new(Verifier.OutcomeWhat, Forecast(expected), Text(seen, words), line, Agrees: false)],
            NotCompared = ["everything after the outcome"],
            Explanations = [.. explanations],
        };
    }

    /// <summary>That no Linux has room in a guest: what was to run in one that was not created nobody has seen.</summary>
    private static bool IsOfLinuxAlone(Boot expected) => expected.Outcome == GuestOutcome.Halts
        && expected.Plan.Problems.Any(static problem => problem.Code == ProblemCodes.MemoryTooSmall);

    private static IEnumerable<Phrase> WhyNot(Boot expected, LogFact<string> reason)
    {
        Plan plan = expected.Plan;
        yield return $"The guest was not created (line {reason.Line}: \"{reason.Value}\"): no kernel of it ran, so there is nothing of its memory to "
            + $"compare.";
        bool isOfConflict = TextCursor.TryBehind(reason.Value, RdmConflict, out TextCursor cursor) & cursor.TryHex(out ulong start);
        if (isOfConflict)
        {
            foreach (Phrase text in OfConflict(plan, start))
                yield return text;
            yield break;
        }

        if (TextCursor.TryBehind(reason.Value, SharedRegion, out TextCursor shared) & shared.TryHex(out ulong at))
        {
            foreach (Phrase text in OfShared(plan, at))
                yield return text;
            yield break;
        }

        if (reason.Value.Contains(NoRoom, StringComparison.Ordinal))
        {
            yield return $"Memory has a part in it: what is loaded at the guest's start has no room in the "
                + $"{ByteSize.ToText(plan.Scenario.StartKiB << 10)} that it starts with.";
            yield return $"What to change: give the guest more memory, or a smaller kernel or ramdisk.";
            yield break;
        }

        if (reason.Value.Contains(TooLargeFile, StringComparison.Ordinal))
        {
            yield return $"No memory ran out: the file of the kernel or the ramdisk is larger than the toolstack takes, which says \"Out of memory\" "
                + $"of that. What to change: give a smaller file, and see that it is the right one.";
            yield break;
        }

        if (s_wordsOfOwnMemory.Any(words => reason.Value.Contains(words, StringComparison.Ordinal))
            && s_wordsOfMemory.Any(words => reason.Value.Contains(words, StringComparison.Ordinal)))
        {
            yield return $"Memory has a part in it, but dom0's: the toolstack itself got none from its own system ('free' in dom0 tells what is "
                + $"left). What to change: stop what takes dom0's memory, or give dom0 more (dom0_mem= on Xen's command line).";
            yield break;
        }

        bool isWhatever = reason.Value.Contains(ToolstackErrors.LayOut, StringComparison.Ordinal);
        if (isWhatever)
        {
            yield return $"libxc says \"Out of memory\" of whatever kept it from laying the guest's memory out: libxl's line on it, "
                + $"\"xc_dom_boot_mem_init failed: …\", has the reason, and the log lacks it.";
        }

        foreach (string words in s_wordsOfMemory)
        {
            if (isWhatever || !reason.Value.Contains(words, StringComparison.Ordinal))
                continue;
            yield return $"Memory has a part in it: Xen did not give what the toolstack asked for, and the guest has "
                + $"{ByteSize.ToText(plan.Guest.MemoryKiB << 10)}; what Xen has left 'xl info' tells (free_memory).";
            break;
        }

        // What keeps a kernel from booting does not keep a guest from being created.
        if (Error(plan) is { } error && (expected.Outcome == GuestOutcome.Refused || error.Code == ProblemCodes.LargerThanHost))
            yield return ByForecast(error);
        else if (plan.Problems.FirstOrDefault(static problem => problem.Code == ProblemCodes.MapNotKnown) is { } unknown)
            yield return $"Whether it would be created is not known: {unknown.Message}.";
        else
            yield return $"By the forecast nothing keeps it from being created. What 'xl dmesg' says of it at that time may tell more.";
    }

    /// <summary>libxl names where the reserved memory of a device begins: what no log of a Xen without debugging tells.</summary>
    private static IEnumerable<Phrase> OfConflict(Plan plan, ulong start)
    {
        Scenario scenario = plan.Scenario;
        HostTraits traits = scenario.Host.Traits;
        if (scenario.Host.DeviceMemory.Any(range => range.Start.ToAddress() == start))
        {
            yield return Error(plan) is { } known ? ByForecast(known)
                : $"The host's source has that reserved memory of devices (RMRR) at 0x{start:x}, and by the forecast it is in nobody's way: the "
                    + $"guest, or its devices, are others than were told.";
            yield break;
        }

        yield return $"A device of the guest has reserved memory (RMRR) at 0x{start:x}, where its RAM would be; the host's source does not tell it. "
            + $"Say it to {Setting.Plan} with {Setting.DeviceMemory} 0x{start:x}-END: its end stands in the host's ACPI tables (DMAR).";
        if (start >= Frames.AddressLimit - Frames.SizeBytes)
            yield break;
        // Where it begins is all that decides about RAM below it.
        var page = PfnRange.FromCount(Pfn.Containing(start), 1);
        Plan with = Planner.Plan(scenario with
        {
            Host = scenario.Host with
            {
                Traits = traits with
                {
                    ReservedDeviceMemory = traits.ReservedDeviceMemory.Add(page),
                    DeviceMemoryOwners =
                    [
                        .. traits.DeviceMemoryOwners,
                        .. scenario.Guest.Pci.Where(static device => device.Address is not null)
                            .Select(device => new DeviceMemoryOwner(page, device.Address!.Value)),
                    ],
                },
            },
        });
        if ((with.Firmware?.Outcome ?? with.Verdict?.Outcome) == GuestOutcome.Refused && Error(with) is { Remedy: { } remedy })
            yield return $"With it the forecast is the same. What to change: {remedy}.";
    }

    /// <summary>Xen says so since 4.6 of a device that it does not give to a guest.</summary>
    private static IEnumerable<Phrase> OfShared(Plan plan, ulong start)
    {
        bool isTold = plan.Scenario.Host.DeviceMemory.Any(range => range.Start.ToAddress() == start);
        string told = isTold ? "" : "the host's source does not tell it, and ";
        yield return $"That device has reserved memory (RMRR) at 0x{start:x}, which another device shares; {told}"
            + $"Xen gives such a device to a guest with the relaxed policy alone.";
        if (!plan.Guest.Pci.IsEmpty)
            yield return $"What to change: {SharedDeviceMemory.RelaxedText(plan.Guest)}.";
    }

    private static string? Forecast(Boot expected) =>
        expected.Outcome == GuestOutcome.NotKnown ? null : Text(expected.Outcome, expected.Message);

    internal static Phrase ByForecast(Problem error) => error.Remedy is { } remedy
        ? $"By the forecast {error.Message}. What to change: {remedy}."
        : (Phrase)$"By the forecast {error.Message}.";

    internal static Problem? Error(Plan plan) => plan.Problems.FirstOrDefault(static problem => problem.Severity == Severity.Error);

    private static string Text(GuestOutcome outcome, string? words) => words is { Length: > 0 } && outcome != GuestOutcome.Boots
        ? $"{outcome.NameOf()}: \"{words}\"" : outcome.NameOf();
}
