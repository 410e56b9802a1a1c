// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Logs;
using Keyhole.Platforms;

namespace Keyhole.Verification;

/// <content>The host bridge's windows.</content>
internal sealed partial class PciFindings
{
    private void CompareRoots(AcpiWindows told, ICollection<Finding> findings, ICollection<string> notCompared)
    {
        const string what = "host bridge's window";
        if (_options.PassesOverWindows is { } passing)
        {
            notCompared.Add($"the host bridge's windows: with {passing} (line {_options.Line}) Linux passes over what ACPI tells of them");
            return;
        }

        if (_roots.IsEmpty)
        {
            notCompared.Add("the host bridge's windows");
            return;
        }

        if (_roots.Any(static seen => !seen.IsPorts && Hosts.RootWindow.IsAll(seen.Range.Start, seen.Range.End)))
        {
            notCompared.Add("the host bridge's windows: the guest's Linux takes none from ACPI, as with pci=nocrs");
            return;
        }

        // Expanders take pieces out of bus 0's windows as their own devices lie.
        if (_placement.Tree.Tree.Roots.Length > 1)
        {
            notCompared.Add(LogExtent.Expander);
            return;
        }

        var expected = new List<ByteRange>();
        ByteRange low = told.Hole32 ?? default;
        if (low.Overlaps(told.Mmconfig))
        {
            expected.Add(ByteRange.FromBounds(low.Start, told.Mmconfig.Start));
            expected.Add(ByteRange.FromBounds(told.Mmconfig.End, low.End));
        }
        else
        {
            expected.Add(low);
        }

        ByteRange high = told.Hole64 ?? default;
        expected.Add(told.AddressBits == 0 ? high : high.Intersect(ByteRange.FromBounds(0, 1UL << told.AddressBits)));
        expected.RemoveAll(static window => window.IsEmpty);
        foreach (RootWindowSighting seen in _roots)
        {
            // Video memory has a window on every PC.
            if (seen.IsPorts || seen.Range.End <= X86Layout.OneMiB)
                continue;
            int same = expected.FindIndex(window => window == seen.Range);
            int alike = same >= 0 ? same
                : expected.FindIndex(window => window.Overlaps(seen.Range) || window.Start >= Frames.FourGiB == seen.Range.Start >= Frames.FourGiB);
            ByteRange? known = alike < 0 ? null : expected[alike];
            if (alike >= 0)
                expected.RemoveAt(alike);
            findings.Add(new(what, known is { } range ? Verifier.Range(range) : null, Verifier.Range(seen.Range), seen.Line, same >= 0));
        }

        if (expected.Count > 0 && _log.LeavesOut(_roots[0].Line - LinesBehind, _roots[^1].Line + LinesBehind))
        {
            notCompared.Add($"{expected.Count} of the host bridge's windows: {LeftOut}");
            return;
        }

        if (expected.Count > 0 && EndsBehind(_roots[^1].Line, 1))
        {
            notCompared.Add($"{expected.Count} of the host bridge's windows: {Ended}");
            return;
        }

        foreach (ByteRange window in expected)
            findings.Add(new(what, Verifier.Range(window), null, _roots[^1].Line + 1, Agrees: false));
    }
}
