// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Logs;
using Keyhole.Pci;

namespace Keyhole.Verification;

/// <summary>Functions that were plugged in while the guest ran: its firmware has not seen them, and no forecast of a boot has them.</summary>
internal static class PluggedFunctions
{
    /// <summary>Seconds after which no Linux looks for its devices for the first time, unless it has hundreds.</summary>
    private const uint Late = 30;

    /// <summary>Seconds after which it is a plugged one also where the log has nothing of an earlier look: no boot takes that long.</summary>
    private const uint VeryLate = 600;

    /// <summary>Lines in which a function's registers follow its name.</summary>
    private const int LinesOfOne = 16;

    /// <summary>Those that a boot shows so: named late, or after its first process had started, without an address in any register.</summary>
    public static HashSet<PciAddress> Of(PciLog log, ObservedBoot boot)
    {
        int firstProcess = log.FirstProcesses.Where(fact => IsOf(boot, fact.Line, fact.Value)).Select(static fact => fact.Line)
            .DefaultIfEmpty(int.MaxValue).Min();
        // A slow machine, or a slow console, has all of its devices late.
        uint first = log.Functions.Where(one => IsOf(boot, one.Line, one.Domain)).Select(static one => one.Seconds ?? 0)
            .DefaultIfEmpty<uint>(0).Min();
        HashSet<PciAddress> before = [];
        HashSet<PciAddress> late = [];
        Dictionary<PciAddress, int> named = [];
        foreach (PciFunctionSighting seen in log.Functions)
        {
            if (!IsOf(boot, seen.Line, seen.Domain) || seen.IsBridge || !before.Add(seen.Address))
                continue;
            if (seen.Seconds is { } seconds ? seconds >= Math.Min(first + (ulong)Late, VeryLate) : seen.Line > firstProcess)
            {
                late.Add(seen.Address);
                named[seen.Address] = seen.Line;
            }
        }

        ILookup<PciAddress, PciSighting> registers = log.Resources
            .Where(one => IsOf(boot, one.Line, one.Domain) && one is { Word: PciWord.Found, IsPorts: false }).ToLookup(static one => one.Function);
        late.RemoveWhere(address => !registers[address].Any() || registers[address].Any(static one => one.Start is > 0)
            || log.LeavesOut(named[address], named[address] + LinesOfOne));
        return late;
    }

    /// <summary>One sentence for each.</summary>
    public static IEnumerable<Phrase> Explain(PciLog log, ObservedBoot boot)
    {
        const int most = 8;
        foreach (PciAddress address in Of(log, boot).Order().Take(most))
        {
            PciFunctionSighting seen = log.Functions.First(one => one.Address == address && IsOf(boot, one.Line, one.Domain));
            string when = seen.Seconds is { } seconds ? string.Create(CultureInfo.InvariantCulture, $", {seconds} s after its boot") : "";
            string[] without =
            [
                .. log.Resources.Where(one => one.Function == address && one is { Word: PciWord.NoRoom, Index: < Bar.RomIndex, SizeBytes: > 0 }
                        && IsOf(boot, one.Line, one.Domain))
                    .DistinctBy(static one => one.Index)
                    .Select(static one => string.Create(CultureInfo.InvariantCulture, $"BAR {one.Index} ({ByteSize.ToText(one.SizeBytes)})")),
            ];
            string room = without.Length == 0 ? "" : $", and had none for {Listed.Of(without)}";
            // A host bridge passes on what it passes on.
            (string bridge, string otherwise) = address.Bus == 0 ? ("the host bridge has free", "")
                : ("the bridge in front of it has free", ", or have the bridge keep more free");
            yield return string.Create(CultureInfo.InvariantCulture,
                $"{address} was plugged in while the guest ran{when}: it is named so late, with no address in its registers (line {seen.Line}). The "
                    + $"guest's firmware has not seen it; Linux gives it what {bridge}{room}. What to change where that is too little: give it to "
                    + $"the guest before that starts{otherwise}.");
        }
    }

    /// <summary>Whether such functions are all that a boot and its forecast differ in.</summary>
    public static bool AreAllThatDiffers(IEnumerable<Finding> findings, PciLog log, ObservedBoot boot)
    {
        HashSet<PciAddress> plugged = Of(log, boot);
        return plugged.Count > 0 && findings.Where(static finding => !finding.Agrees)
            .All(finding => plugged.Any(address => finding.Observed?.StartsWith(address.ToString(), StringComparison.Ordinal) == true));
    }

    private static bool IsOf(ObservedBoot boot, int line, int? domain) => line >= boot.FirstLine && line <= boot.LastLine && domain == boot.Domain;
}
