// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Logs;
using Keyhole.Pci;

namespace Keyhole.Verification;

/// <summary>
/// What does not work behind the memory setup because it got no memory: a device, a program. No forecast has it, and whether the setup went as
/// forecast it does not say; but the guest is not as it was asked for. What comes minutes or hours behind the boot, as where a program takes all the
/// memory there is, is none of the boot's, and is told alone.
/// </summary>
internal static class NeedFindings
{
    public const string What = "want of memory";

    /// <summary>What a driver says of any -ENOMEM.</summary>
    private const string NoMemoryOfDriver = "failed with error -12";

    /// <param name="facts">Of the boot.</param>
    /// <param name="pci">What the log says of BARs, where that is read.</param>
    public static IEnumerable<Finding> Of(BootFacts facts, PciLog? pci = null) => facts.Needs
        .Where(need => KernelNeeds.Of(need.Value) is { IsLoss: true } && !facts.LateNeeds.ContainsKey(need.Line)
            && WindowBehind(need, facts, pci) is null)
        .Select(static need => new Finding(What, null, need.Value, need.Line, Agrees: false));

    /// <summary>
    /// The line that has the reason where a driver that found its device's window without a place says -12 for that: there was nothing to map, and
    /// memory had no part in it. Null elsewhere.
    /// </summary>
    public static int? WindowBehind(LogFact<string> need, BootFacts facts, PciLog? pci)
    {
        if (!need.Value.Contains(NoMemoryOfDriver, StringComparison.Ordinal) || DeviceIn(need.Value) is not { } device)
            return null;
        // A guest of Xen without emulated devices: a device whose window is in the way is not switched on.
        if (pci is null)
            return facts.FailedClaims.IsEmpty || facts.FailedClaims[0].Line > need.Line ? null : facts.FailedClaims[0].Line;
        int? line = null;
        foreach (IGrouping<int, PciSighting> bar in pci.Resources
            .Where(seen => seen is { IsPorts: false, Index: < Bar.RomIndex } && seen.Function == device && seen.Line < need.Line)
            .GroupBy(static seen => seen.Index))
        {
            PciSighting last = bar.MaxBy(static seen => seen.Line);
            if (last.Word is PciWord.NoRoom or PciWord.CannotClaim)
                line ??= last.Line;
        }

        return line;
    }

    private static PciAddress? DeviceIn(string words)
    {
        foreach (string word in words.Split(' '))
        {
            if (PciAddress.TryParse(word.TrimEnd(':'), out PciAddress device))
                return device;
        }

        return null;
    }
}
