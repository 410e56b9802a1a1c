// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using Keyhole.Platforms.Qemu;

namespace Keyhole.RealQemu;

/// <summary>A recorded guest whose BARs do not all have a place, and the change that Keyhole recommends for it.</summary>
/// <param name="Of">The record.</param>
/// <param name="Trial">What is recommended.</param>
/// <param name="Config">The guest with it.</param>
internal sealed record Remedy(QemuRecord Of, QemuTrial Trial, QemuConfig Config)
{
    /// <summary>The remedies of those records that have one, each different guest once.</summary>
    public static IEnumerable<Remedy> OfAll(IEnumerable<QemuRecord> records)
    {
        var seen = new HashSet<string>();
        foreach (QemuRecord record in records)
        {
            if (!QemuCures.TryFind(new(record.Machine), out QemuCure cure) || cure is not { IsWell: false, Best: { } best })
                continue;
            var remedy = new Remedy(record, best, record.Config.With(best.Changes));
            if (seen.Add(remedy.Config.ToString()))
                yield return remedy;
        }
    }

    /// <summary>What keeps it from being one in the real QEMU: none where the guest boots as it is forecast, with every BAR in its place.</summary>
    public IReadOnlyList<string> Check(QemuRecord made)
    {
        List<string> wrong = [.. QemuComparison.Compare(made)];
        // OVMF may idle on with no console to be seen: what it did with the BARs says whether it went on.
        if (QemuComparison.RealOutcome(made) != "boots")
            wrong.Add($"it does not boot: {made.Outcome}");
        if (!QemuForecaster.TryForecast(made.Machine, out QemuForecast forecast, out _) || !forecast.PlacesAll)
            wrong.Add("its forecast does not place every BAR");
        return wrong;
    }
}
