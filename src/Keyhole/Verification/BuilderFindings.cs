// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.Platforms.XenHvm;

namespace Keyhole.Verification;

/// <summary>
/// Compares what the domain builder says of a guest's memory (<c>xl -vvv create</c>) with the forecast: of a guest whose operating system prints no
/// map it is all there is.
/// </summary>
internal static class BuilderFindings
{
    public const string RamWhat = "RAM that libxl builds";
    public const string AcpiWhat = "ACPI that libxl loads";

    public static void Compare(Plan plan, ObservedBoot observed, PciLog log, List<Finding> findings, List<string> notCompared)
    {
        BuilderMemory[] built = [.. log.BuiltGuests.Where(guest => guest.Ram[0].Line <= observed.LastLine)];
        if (built.Length == 0)
            return;
        if (RamOf(plan) is not { } ram)
        {
            notCompared.Add($"{RamWhat}{LogExtent.BuilderNotKnown}");
            return;
        }

        // A log that shows the making of several guests does not say which of them this one is.
        List<Finding>[] each = [.. built.Select(guest => Of(plan, ram, guest))];
        findings.AddRange(each.FirstOrDefault(static one => one.TrueForAll(static finding => finding.Agrees)) ?? each[^1]);
    }

    private static List<Finding> Of(Plan plan, ImmutableArray<ByteRange> ram, BuilderMemory built)
    {
        var found = new List<Finding>();
        Pair(RamWhat, [.. ram.Select((range, i) => i < built.Ram.Length ? Settled(plan, range, built.Ram[i].Value) : range)], built.Ram, found);
        // An HVM guest's tables are hvmloader's.
        if (plan.Guest.Type == GuestType.Pvh && !built.Acpi.IsEmpty)
        {
            Pair(AcpiWhat, [.. plan.Map.Where(static entry => entry.Type is E820Type.Acpi or E820Type.Nvs).Select(static entry => entry.Range)],
                built.Acpi, found);
        }

        return found;
    }

    /// <summary>libxl's ranges; null where they are not known.</summary>
    private static ImmutableArray<ByteRange>? RamOf(Plan plan)
    {
        if (plan.Guest.Type == GuestType.Pvh)
            return plan.IsMapKnown ? [.. plan.Map.Where(static entry => entry.IsRam).Select(static entry => entry.Range)] : null;
        if (plan.Guest.Type != GuestType.Hvm || HvmGuest.Of(plan.Scenario) is not { IsMemoryKnown: true, Memory: { } memory })
            return null;
        var low = ByteRange.FromBounds(0, memory.LowEnd);
        return memory.HighEnd == 0 ? [low] : [low, ByteRange.FromBounds(Frames.FourGiB, memory.HighEnd)];
    }

    /// <summary>The forecast's range, with that of both ends that the log has, where it is not known which it is.</summary>
    private static ByteRange Settled(Plan plan, ByteRange forecast, ByteRange observed) => plan.Unsettled.Any(part =>
        part.Range.Start == forecast.End && part.Range.End == observed.End) ? ByteRange.FromBounds(forecast.Start, observed.End) : forecast;

    private static void Pair(string what, ByteRange[] forecast, ImmutableArray<LogFact<ByteRange>> observed, List<Finding> found)
    {
        for (int i = 0; i < forecast.Length || i < observed.Length; i++)
        {
            ByteRange? left = i < forecast.Length ? forecast[i] : null;
            ByteRange? right = i < observed.Length ? observed[i].Value : null;
            found.Add(new(what, left is { } one ? Verifier.Range(one) : null, right is { } other ? Verifier.Range(other) : null,
                observed[i < observed.Length ? i : observed.Length - 1].Line, left == right));
        }
    }
}
