// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.Pci;
using Keyhole.Platforms;
using Keyhole.Platforms.Qemu;

namespace Keyhole.Verification;

/// <summary>A KVM guest that was not started, beside its forecast: whether that was forecast, and what stands behind it.</summary>
internal static class QemuStart
{
    /// <summary>What QEMU says where Linux does not give the device's IOMMU domain to it, as for one with reserved memory.</summary>
    /// <remarks>Sources: QEMU's hw/vfio/common.c (vfio_init_container), Linux' drivers/iommu (EPERM of Intel's, EINVAL of a 1:1 mapping).</remarks>
    private static readonly string[] s_noDomain = ["setup container", "iommu for container", "set iommu"];

    private static readonly string[] s_notPermitted = ["Operation not permitted", "Invalid argument"];

    private static readonly string[] s_mapping = ["VFIO_MAP_DMA", "dma_map"];

    private static readonly string[] s_invalid = ["Invalid argument", "-22"];

    /// <summary>Whether the guest was forecast to be refused for what the words say: another reason is no agreement.</summary>
    public static bool IsForecast(Boot expected, StartError error)
    {
        if (expected.Outcome != GuestOutcome.Refused)
            return false;
        string words = error.Words.Value;
        if (expected.Message?.TrimEnd('.') is { Length: > 0 } message)
            return words.Contains(message, StringComparison.Ordinal) || message.Contains(words.TrimEnd('.'), StringComparison.Ordinal);
        return GuestCreation.Error(expected.Plan) switch
        {
            { Code: ProblemCodes.ReservedDeviceMemory } => IsOfDomain(words),
            { Code: ProblemCodes.LargerThanHost } => words.Contains("Cannot allocate memory", StringComparison.Ordinal),
            _ => false,
        };
    }

    /// <summary>What is known of the reason: what the words mean, and what the forecast has.</summary>
    public static IEnumerable<Phrase> WhyNot(Boot expected, StartError error)
    {
        Plan plan = expected.Plan;
        string words = error.Words.Value;
        yield return $"{error.Program} did not start the guest (line {error.Words.Line}: \"{words}\"): no kernel of it ran, so there is nothing of "
            + $"its memory to compare.";
        QemuGuest guest = QemuUsualGuest.Of(plan.Scenario);
        if (DeviceIn(words) is { } named && OthersOf(guest, named) is { } others)
            yield return $"{named} is none of the guest's devices ({others}): the words are of another guest, or of an earlier state of this one.";
        Problem[] known = [.. plan.Problems.Where(problem => IsBehind(problem, expected, words))];
        (string? cause, string? remedy) = QemuHostWords.CauseOf(guest, words, plan.Scenario.Host.Traits);
        // What was read with the guest has it already.
        if (cause is not null && !known.Any(problem => problem.Message.Contains(cause, StringComparison.Ordinal)))
        {
            yield return $"{char.ToUpperInvariant(cause[0])}{cause[1..]}.";
            if (remedy is not null)
                yield return $"What to change: {remedy}.";
        }

        foreach (Problem problem in known)
            yield return GuestCreation.ByForecast(problem);
        if (cause is null && known.Length == 0)
            yield return $"By the forecast nothing that was told of the guest and its host keeps it from being started. What the host's kernel says "
                + $"at that time (dmesg: \"vfio\", \"DMAR\", \"AMD-Vi\") may tell more: {Setting.Host} takes it.";
    }

    /// <summary>The device of the host that QEMU's words begin with: <c>vfio 0000:01:00.0: …</c>, and since 4.x its path where it is none.</summary>
    private static PciAddress? DeviceIn(string words)
    {
        foreach (string word in words.Split(' ').Take(3))
        {
            if (PciAddress.TryParse(word.AsSpan((word.LastIndexOf('/') + 1)..).TrimEnd(':'), out PciAddress device))
                return device;
        }

        return null;
    }

    /// <summary>The devices of a guest that are told with addresses, where none of them is this one; null else.</summary>
    private static string? OthersOf(QemuGuest guest, PciAddress device)
    {
        QemuDevice[] given = [.. guest.Machine.Devices.Where(HostFunctions.IsOne)];
        if (given.Length == 0 || given.Any(one => HostFunctions.Covers(one, device) || !HostFunctions.TryGetAddress(one, out _)))
            return null;
        return string.Join(", ", given.Select(static one => HostFunctions.TryGetAddress(one, out PciAddress address) ? address.ToString() : ""));
    }

    /// <summary>Whether a problem of the plan's is why, or what was forecast in its place.</summary>
    private static bool IsBehind(Problem problem, Boot expected, string words) =>
        (problem.Severity == Severity.Error && (expected.Outcome == GuestOutcome.Refused || Quotes(problem.Message, words)))
            || (problem is { Code: ProblemCodes.ReservedDeviceMemory } && IsOfDomain(words))
            || (problem is { Code: ProblemCodes.DmaBeyondIommu } && Has(words, s_mapping) && Has(words, s_invalid))
            || (problem is { Code: ProblemCodes.HugePages } && words.Contains("Cannot allocate memory", StringComparison.Ordinal));

    private static bool IsOfDomain(string words) => Has(words, s_noDomain) && Has(words, s_notPermitted) && !Has(words, s_mapping);

    /// <summary>Whether a message has a part of the words in quotation marks.</summary>
    private static bool Quotes(string message, string words)
    {
        const int least = 12;
        string[] parts = message.Split('"');
        for (int i = 1; i < parts.Length; i += 2)
        {
            if (parts[i].Length >= least && words.Contains(parts[i], StringComparison.Ordinal))
                return true;
        }

        return false;
    }

    private static bool Has(string words, string[] marks) => Array.Exists(marks, mark => words.Contains(mark, StringComparison.Ordinal));
}
