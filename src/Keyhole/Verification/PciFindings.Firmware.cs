// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Keyhole.Logs;
using Keyhole.Pci;

namespace Keyhole.Verification;

/// <content>What hvmloader itself says of the BARs that it programs.</content>
internal sealed partial class PciFindings
{
    /// <summary>Without an operating system's lines: what hvmloader says of the BARs that it programs. False where it says nothing.</summary>
    private bool TryCompareFirmwares(ICollection<Finding> findings, ICollection<string> notCompared)
    {
        bool isAny = FirmwareVerifier.IsOfOneGuest(_boot, _log.FirmwareBars.Select(static seen => seen.Domain));
        Dictionary<(PciAddress Function, int Index), PciSighting> told = [];
        foreach (PciSighting seen in _log.FirmwareBars)
        {
            if ((isAny || seen.Domain == _boot.Domain) && seen.Line <= _boot.LastLine)
                told[(seen.Function, seen.Index)] = seen;
        }

        if (told.Count == 0)
            return false;
        Dictionary<(PciAddress Function, int Index), BarPlacement> forecast = _placement.Bars.ToDictionary(
            bar => (_placement.Tree.Functions[bar.Function].Address, bar.Bar.Index));
        foreach (((PciAddress Function, int Index) key, PciSighting seen) in told.OrderBy(static pair => pair.Value.Line))
        {
            string? expected = forecast.Remove(key, out BarPlacement bar) ? Text(bar.Address, bar.Bar.SizeBytes, bar.Bar.Type) : null;
            // Where there was no space the register's kind is not told.
            BarType type = seen.Start is null && expected is not null ? bar.Bar.Type : TypeOf(seen);
            string observed = Text(seen.Start, seen.SizeBytes, type);
            findings.Add(new(NameOf(key.Function, key.Index), expected, observed, seen.Line, expected == observed));
        }

        if (forecast.Count > 0)
            notCompared.Add(string.Create(CultureInfo.InvariantCulture, $"{forecast.Count} BARs: hvmloader's lines on them are not in the log"));
        return true;
    }
}
