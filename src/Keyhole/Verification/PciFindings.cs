// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Logs;
using Keyhole.Pci;
using Keyhole.Platforms;

namespace Keyhole.Verification;

/// <summary>
/// The BARs and windows that a firmware was forecast to program, beside those that a Linux found. The first word on a register is the firmware's;
/// what Linux assigns afterwards is told apart.
/// </summary>
internal sealed partial class PciFindings
{
    /// <summary>Lines that a log goes on behind the last function it names before the list of functions counts as whole.</summary>
    private const int LinesBehind = 8;

    /// <summary>Sentences about what Linux did by itself; the rest is counted.</summary>
    private const int MostTold = 12;

    private const int NetworkClass = 0x02;
    private const int IdeClass = 0x0101;

    private readonly PciPlacement _placement;
    private readonly Dictionary<PciAddress, List<PciSighting>> _resources = [];
    private readonly Dictionary<PciAddress, List<PciFunctionSighting>> _functions = [];
    private readonly Dictionary<(int Function, int Bar), string> _reasons = [];
    private readonly ImmutableArray<RootWindowSighting> _roots;
    private readonly HashSet<PciAddress> _plugged;
    private readonly bool _isWhole;
    private readonly int _lastLine;
    private readonly bool _hasNoDisks;
    private readonly bool _hasNoCards;

    private PciFindings(PciPlacement placement, PciLog log, ObservedBoot boot)
    {
        _placement = placement;
        _plugged = PluggedFunctions.Of(log, boot);
        foreach (BarPlacement bar in placement.Bars)
        {
            if (bar.WhyText is { } why)
                _reasons[(bar.Function, bar.Bar.Index)] = why;
        }

        foreach (PciSighting seen in log.Resources)
        {
            if (IsOwn(seen.Line, seen.Domain))
                ListOf(_resources, seen.Function).Add(seen);
        }

        foreach (PciFunctionSighting seen in log.Functions)
        {
            if (!IsOwn(seen.Line, seen.Domain))
                continue;
            ListOf(_functions, seen.Address).Add(seen);
            _lastLine = seen.Line;
        }

        foreach (UnpluggedSighting seen in log.Unplugged)
        {
            if (!IsOwn(seen.Line, seen.Domain))
                continue;
            _hasNoDisks |= seen.IsDisks;
            _hasNoCards |= !seen.IsDisks;
        }

        _roots = [.. log.RootWindows.Where(seen => IsOwn(seen.Line, seen.Domain))];
        // A host bridge is what Linux finds first: a log without it is a part, as grep leaves it.
        bool hasFirst = placement.Tree.Functions.IsEmpty || _functions.ContainsKey(placement.Tree.Functions.Min(static function => function.Address));
        _isWhole = hasFirst && !log.IsCut && !_roots.IsEmpty && _functions.Count > 0 && boot.LastLine >= _lastLine + LinesBehind;

        bool IsOwn(int line, int? domain) => line >= boot.FirstLine && line <= boot.LastLine && domain == boot.Domain;

        static List<T> ListOf<T>(Dictionary<PciAddress, List<T>> all, PciAddress address) => all.TryGetValue(address, out List<T>? list) ? list
            : all[address] = [];
    }

    /// <param name="told">What ACPI was forecast to tell; null where that is not known.</param>
    public static void Compare(
        PciPlacement placement, AcpiWindows? told, PciLog log, ObservedBoot boot, ICollection<Finding> findings, ICollection<string> notCompared,
        ICollection<Phrase> explanations)
    {
        var pci = new PciFindings(placement, log, boot);
        if (told is not null)
            pci.CompareRoots(told, findings, notCompared);
        if (pci._functions.Count == 0 && pci._resources.Count == 0)
        {
            notCompared.Add("BARs and bridges: the log names no PCI functions");
            return;
        }

        pci.CompareFunctions(findings, notCompared);
        foreach (Phrase plugged in PluggedFunctions.Explain(log, boot))
            explanations.Add(plugged);
        pci.Explain(explanations);
    }

    // ------------------------------------------------------------------ the host bridge's windows

    private void CompareRoots(AcpiWindows told, ICollection<Finding> findings, ICollection<string> notCompared)
    {
        const string what = "host bridge's window";
        if (_roots.IsEmpty)
        {
            notCompared.Add("the host bridge's windows");
            return;
        }

        // Expanders take pieces out of bus 0's windows as their own devices lie.
        if (_placement.Tree.Tree.Roots.Length > 1)
        {
            notCompared.Add("the host bridges' windows: an expander has windows of its own");
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

        foreach (ByteRange window in expected)
            findings.Add(new(what, Verifier.Range(window), null, _roots[^1].Line + 1, Agrees: false));
    }

    // ------------------------------------------------------------------ functions, BARs, bridges

    private void CompareFunctions(ICollection<Finding> findings, ICollection<string> notCompared)
    {
        ImmutableArray<NumberedFunction> functions = _placement.Tree.Functions;
        ILookup<int, BarPlacement> bars = _placement.Bars.ToLookup(static bar => bar.Function);
        Dictionary<int, BridgeWindows> bridges = _placement.Bridges.ToDictionary(static bridge => bridge.Function);
        var known = new HashSet<PciAddress>();
        int missing = 0;
        for (int i = 0; i < functions.Length; i++)
        {
            NumberedFunction function = functions[i];
            known.Add(function.Address);
            List<PciFunctionSighting> seen = _functions.GetValueOrDefault(function.Address, []);
            if (seen.Count == 0 && !_resources.ContainsKey(function.Address))
            {
                // Gone before Linux looked at the bus.
                if (_hasNoCards && !function.Node.IsPassedThrough && function.Node.ClassCode >> 16 == NetworkClass)
                    continue;
                if (_isWhole)
                    findings.Add(new("PCI function", NameOf(function), null, _lastLine + 1, Agrees: false));
                else
                    missing++;
                continue;
            }

            CompareIdentity(function, seen, findings);
            CompareBars(function, bars[i], seen, findings);
            if (bridges.TryGetValue(i, out BridgeWindows windows))
                CompareBridge(function, windows, seen, findings, notCompared);
        }

        foreach ((PciAddress address, List<PciFunctionSighting> seen) in _functions.OrderBy(static pair => pair.Key))
        {
            if (!known.Contains(address))
                findings.Add(new("PCI function", null, seen[0].VendorId == 0 ? address.ToString()
                    : NameOf(address, seen[0].VendorId, seen[0].DeviceId), seen[0].Line, Agrees: false));
        }

        if (missing > 0)
            notCompared.Add(string.Create(CultureInfo.InvariantCulture, $"{missing} PCI functions: the log names only a part of them"));
        if (_placement.Bars.Any(static bar => bar.Bar.Type == BarType.Rom && bar.Why is { Reason: UnplacedReason.NotHandled }))
            notCompared.Add("option ROMs: this firmware leaves none mapped");
    }

    private static void CompareIdentity(NumberedFunction function, List<PciFunctionSighting> seen, ICollection<Finding> findings)
    {
        PciFunctionSighting named = seen.Find(static one => !one.IsBridge);
        // Of a device that is passed through a listing may tell no identity.
        if (named.VendorId == 0 || function.Node.VendorId == 0)
            return;
        findings.Add(new(
            "PCI function", NameOf(function), NameOf(named.Address, named.VendorId, named.DeviceId), named.Line,
            (named.VendorId, named.DeviceId) == (function.Node.VendorId, function.Node.DeviceId)));
    }

    private void CompareBars(NumberedFunction function, IEnumerable<BarPlacement> bars, List<PciFunctionSighting> named,
        ICollection<Finding> findings)
    {
        List<PciSighting> resources = _resources.GetValueOrDefault(function.Address, []);
        var known = new HashSet<int>();
        foreach (BarPlacement bar in bars)
        {
            known.Add(bar.Bar.Index);
            if (bar.Why is { Reason: UnplacedReason.NotHandled })
                continue;
            PciSighting? found = FirstOf(resources, bar.Bar.Index);
            if (found is { } seen)
            {
                ulong? address = AddressIn(seen);
                bool isAlike = bar.Bar.SizeBytes == seen.SizeBytes && (bar.Bar.Type == BarType.Rom || bar.Bar.Type == TypeOf(seen));
                findings.Add(new(NameOf(function.Address, bar.Bar.Index), Text(bar.Address, bar.Bar.SizeBytes, bar.Bar.Type),
                    Text(address, seen.SizeBytes, TypeOf(seen)), seen.Line,
                    isAlike && (bar.Address == address || (address is null && IsReset(function)))));
            }
            else if (resources.FindLast(one => one.Index == bar.Bar.Index) is { Word: PciWord.NoRoom } last)
            {
                // What stood in the register is not in the log; that Linux has no address for it in the end is.
                findings.Add(new(NameOf(function.Address, bar.Bar.Index), Text(bar.Address, bar.Bar.SizeBytes, bar.Bar.Type), "no address", last.Line,
                    bar.Address is null));
            }
            else if (_isWhole && named.Count > 0 && resources.TrueForAll(one => one.Index != bar.Bar.Index))
            {
                findings.Add(new(NameOf(function.Address, bar.Bar.Index), Text(bar.Address, bar.Bar.SizeBytes, bar.Bar.Type), null, named[0].Line + 1,
                    Agrees: false));
            }
        }

        foreach (PciSighting seen in resources)
        {
            if (seen is { Index: <= Bar.RomIndex, Word: PciWord.Found } && known.Add(seen.Index))
                findings.Add(new(NameOf(function.Address, seen.Index), null, Text(seen.Start, seen.SizeBytes, TypeOf(seen)), seen.Line,
                    Agrees: false));
        }
    }

    /// <summary>Whether Linux had QEMU take the disks away: the controller that they hung on is reset then, and has lost its addresses when Linux
    /// looks.</summary>
    /// <remarks>Source: Linux 6.1 in an HVM guest of Xen 4.17, tests/fixtures/hvm/boots.</remarks>
    private bool IsReset(NumberedFunction function) =>
        _hasNoDisks && !function.Node.IsPassedThrough && function.Node.ClassCode >> 8 == IdeClass;

    private void CompareBridge(NumberedFunction function, BridgeWindows forecast, List<PciFunctionSighting> named, ICollection<Finding> findings,
        ICollection<string> notCompared)
    {
        int first = named.FindIndex(static one => one.IsBridge);
        if (first < 0)
        {
            notCompared.Add($"the windows of bridge {function.Address}");
            return;
        }

        int second = named.FindIndex(first + 1, static one => one.IsBridge);
        int from = named[first].Line;
        int to = second < 0 ? int.MaxValue : named[second].Line;
        PciSighting[] windows = [.. _resources.GetValueOrDefault(function.Address, []).Where(seen =>
            seen is { Index: >= Bar.FirstBridgeIndex, Word: PciWord.Found, Start: not null } && seen.Line > from && seen.Line < to)];
        Add("I/O window", forecast.Io, windows.FirstOrDefault(static seen => seen.IsPorts));
        Add("memory window", forecast.Memory, windows.FirstOrDefault(static seen => !seen.IsPorts && !seen.IsPrefetchable));
        Add("prefetchable window", forecast.Prefetchable, windows.FirstOrDefault(static seen => seen.IsPrefetchable));

        void Add(string kind, ByteRange? expected, PciSighting seen)
        {
            ByteRange? observed = seen.Start is { } start ? ByteRange.FromSize(start, seen.SizeBytes) : null;
            ByteRange? known = expected is { IsEmpty: false } ? expected : null;
            if (known is not null || observed is not null)
                findings.Add(new($"{kind} of {function.Address}", known is { } one ? Verifier.Range(one) : null, observed is { } other
                    ? Verifier.Range(other) : null, observed is null ? from + 1 : seen.Line, known == observed));
        }
    }

    // ------------------------------------------------------------------ what Linux did

    private void Explain(ICollection<Phrase> explanations)
    {
        ImmutableArray<NumberedFunction> functions = _placement.Tree.Functions;
        int more = 0;
        int told = 0;
        HashSet<PciAddress> known = [.. functions.Select(static function => function.Address)];
        // What Linux says of functions that the guest was not told to have holds all the same.
        foreach (PciAddress address in _resources.Keys.Where(address => !known.Contains(address)).Order())
            TellOf(address, -1);
        for (int i = 0; i < functions.Length; i++)
        {
            List<PciSighting> resources = _resources.GetValueOrDefault(functions[i].Address, []);
            TellOf(functions[i].Address, i);
            PciSighting window = resources.Find(static seen => seen is { Index: >= Bar.FirstBridgeIndex, Word: PciWord.Assigned, Start: not null });
            if (window.Start is not null && told++ < MostTold)
                explanations.Add(string.Create(CultureInfo.InvariantCulture,
                    $"Linux gave bridge {functions[i].Address} a window itself, [0x{window.Start:x}, 0x{window.Start + window.SizeBytes:x}) (line "
                        + $"{window.Line}): that is not the firmware's doing."));
        }

        if (more > 0)
            explanations.Add(string.Create(CultureInfo.InvariantCulture,
                $"Of {more} more BARs Linux tells that it placed them itself or found no room."));

        void TellOf(PciAddress address, int function)
        {
            // The firmware has no part in what was plugged in later.
            List<PciSighting> resources = _plugged.Contains(address) ? [] : _resources.GetValueOrDefault(address, []);
            foreach (int index in resources.Where(static seen => seen.Index < Bar.RomIndex).Select(static seen => seen.Index).Distinct().Order())
            {
                if (StoryOf(address, index, resources, function) is not { } story)
                    continue;
                if (told++ < MostTold)
                    explanations.Add(story);
                else
                    more++;
            }
        }
    }

    private string? StoryOf(PciAddress address, int index, List<PciSighting> resources, int function)
    {
        ulong? before = AddressIn(FirstOf(resources, index));
        PciSighting last = resources.FindLast(seen => seen.Index == index);
        string name = NameOf(address, index);
        string at = string.Create(CultureInfo.InvariantCulture, $"(line {last.Line})");
        string? why = _reasons.GetValueOrDefault((function, index));
        string reason = why is null ? "" : $": {why}";
        if (before is null && function >= 0 && IsReset(_placement.Tree.Functions[function]))
            return $"{name} lost its address when Linux had the emulated disks taken away, before it looked.";
        return last.Word switch
        {
            PciWord.Assigned when before is null =>
                $"{name} got no address from the firmware{reason}. Linux then placed it itself at 0x{last.Start:x} {at}.",
            PciWord.Assigned when before != last.Start =>
                $"Linux moved {name} from 0x{before:x} to 0x{last.Start:x} {at}: the first address is the firmware's.",
            PciWord.Assigned => null,
            PciWord.NoRoom when last.SizeBytes == 0 =>
                $"{name} has no address when NVIDIA's driver looks {at}: neither the firmware nor Linux has placed it{reason}.",
            PciWord.NoRoom when before is null && !resources.Exists(seen => seen.Index == index && seen.Word == PciWord.Found) =>
                $"{name} ({ByteSize.ToText(last.SizeBytes)}) has no address in the end{reason}: Linux found no room for it {at}.",
            PciWord.NoRoom when before is null =>
                $"{name} ({ByteSize.ToText(last.SizeBytes)}) got no address from the firmware{reason}. Linux found no room for it either {at}.",
            PciWord.NoRoom => $"Linux gave {name} up, which the firmware had put at 0x{before:x}: it has no room for it {at}.",
            PciWord.CannotClaim => $"Linux does not let {name} have the place that the firmware gave it {at}.",
            PciWord.Released => $"Linux took {name} from the place that the firmware gave it {at}.",
            PciWord.Found or PciWord.CannotClaim or PciWord.Released when before is null =>
                $"{name} ({ByteSize.ToText(last.SizeBytes)}) got no address from the firmware{reason}.",
            PciWord.Found => null,
        };
    }
}
