// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
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

    public const string FunctionWhat = "PCI function";

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
    private readonly PciLog _log;
    private readonly ObservedBoot _boot;
    private readonly bool _isXens;
    private readonly bool _isWhole;
    private readonly List<int> _starts = [];
    private readonly int _firstLine;
    private readonly int _lastLine;
    private readonly bool _hasNoDisks;
    private readonly bool _hasNoCards;
    private readonly PciOptions _options;
    private readonly int _firstOfLinuxs;

    private PciFindings(PciPlacement placement, PciLog log, ObservedBoot boot, bool isXens)
    {
        _placement = placement;
        _log = log;
        _boot = boot;
        _isXens = isXens;
        _options = PciOptions.Of(boot);
        _firstOfLinuxs = int.MaxValue;
        _plugged = PluggedFunctions.Of(log, boot);
        foreach (BarPlacement bar in placement.Bars)
        {
            if (bar.WhyText is { } why)
                _reasons[(bar.Function, bar.Bar.Index)] = why;
        }

        foreach (PciSighting seen in log.Resources)
        {
            if (!IsOwn(seen.Line, seen.Domain))
                continue;
            ListOf(_resources, seen.Function).Add(seen);
            if (seen.Word is PciWord.Assigned or PciWord.Released)
                _firstOfLinuxs = Math.Min(_firstOfLinuxs, seen.Line);
        }

        foreach (PciFunctionSighting seen in log.Functions)
        {
            if (!IsOwn(seen.Line, seen.Domain))
                continue;
            ListOf(_functions, seen.Address).Add(seen);
            _starts.Add(seen.Line);
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
        _firstLine = !_roots.IsEmpty ? _roots[0].Line : _starts.Count > 0 ? _starts[0] : _boot.LastLine;
        // A host bridge is what Linux finds first: a log without it is a part, as grep leaves it.
        bool hasFirst = placement.Tree.Functions.IsEmpty || _functions.ContainsKey(placement.Tree.Functions.Min(static function => function.Address));
        _isWhole = hasFirst && !log.IsCut && !_roots.IsEmpty && _functions.Count > 0 && boot.LastLine >= _lastLine + LinesBehind;

        bool IsOwn(int line, int? domain) => line >= boot.FirstLine && line <= boot.LastLine && domain == boot.Domain;

        static List<T> ListOf<T>(Dictionary<PciAddress, List<T>> all, PciAddress address) => all.TryGetValue(address, out List<T>? list) ? list
            : all[address] = [];
    }

    /// <param name="isXens">Whether it is a guest of Xen, whose Linux may have emulated devices taken away.</param>
    /// <param name="told">What ACPI was forecast to tell; null where that is not known.</param>
    public static void Compare(
        PciPlacement placement, AcpiWindows? told, PciLog log, ObservedBoot boot, bool isXens, ICollection<Finding> findings,
        ICollection<string> notCompared, ICollection<Phrase> explanations)
    {
        var pci = new PciFindings(placement, log, boot, isXens);
        if (told is not null)
            pci.CompareRoots(told, findings, notCompared);
        if (pci._functions.Count == 0 && pci._resources.Count == 0)
        {
            if (!pci.TryCompareFirmwares(findings, notCompared))
                notCompared.Add("BARs and bridges: the log names no PCI functions");
            return;
        }

        pci.CompareFunctions(findings, notCompared);
        foreach (Phrase plugged in PluggedFunctions.Explain(log, boot))
            explanations.Add(plugged);
        pci.Explain(explanations);
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
            if (IsNumberedByLinux(function.Address))
                continue;
            List<PciFunctionSighting> seen = _functions.GetValueOrDefault(function.Address, []);
            if (seen.Count == 0 && !_resources.ContainsKey(function.Address))
            {
                // Gone before Linux looked at the bus.
                if (_hasNoCards && !function.Node.IsPassedThrough && function.Node.ClassCode >> 16 == NetworkClass)
                    continue;
                if (_isWhole && !IsListLeftOut && !(function.Node.ClassCode >> 16 == NetworkClass && MayHaveUnplugged))
                    findings.Add(new(FunctionWhat, NameOf(function), null, _lastLine + 1, Agrees: false));
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
            if (!known.Contains(address) && !IsNumberedByLinux(address))
                findings.Add(new(FunctionWhat, null, seen[0].VendorId == 0 ? address.ToString()
                    : NameOf(address, seen[0].VendorId, seen[0].DeviceId), seen[0].Line, Agrees: false));
        }

        if (functions.Any(function => IsNumberedByLinux(function.Address)))
            notCompared.Add($"functions behind bridges: with {_options.NumbersBuses} (line {_options.Line}) Linux numbers buses itself");
        if (missing > 0)
            notCompared.Add(string.Create(CultureInfo.InvariantCulture, $"{missing} PCI functions: the log names only a part of them"));
        if (_barsLeftOut > 0)
            notCompared.Add(string.Create(CultureInfo.InvariantCulture, $"{_barsLeftOut} BARs of functions that it names: {LeftOut}"));
        if (_placement.Bars.Any(static bar => bar.Bar.Type == BarType.Rom && bar.Why is { Reason: UnplacedReason.NotHandled }))
            notCompared.Add(LogExtent.NoRoms);
    }

    private static void CompareIdentity(NumberedFunction function, List<PciFunctionSighting> seen, ICollection<Finding> findings)
    {
        PciFunctionSighting named = seen.Find(static one => !one.IsBridge);
        // Of a device that is passed through a listing may tell no identity.
        if (named.VendorId == 0 || function.Node.VendorId == 0)
            return;
        findings.Add(new(
            FunctionWhat, NameOf(function), NameOf(named.Address, named.VendorId, named.DeviceId), named.Line,
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
                if (address is null && bar.Address is not null && IsIde(function) && MayHaveUnplugged)
                {
                    _barsLeftOut++;
                    continue;
                }

                bool isAlike = bar.Bar.SizeBytes == seen.SizeBytes && (bar.Bar.Type == BarType.Rom || bar.Bar.Type == TypeOf(seen));
                findings.Add(new(NameOf(function.Address, bar.Bar.Index), Text(bar.Address, bar.Bar.SizeBytes, bar.Bar.Type),
                    Text(address, seen.SizeBytes, TypeOf(seen)), seen.Line,
                    isAlike && (bar.Address == address || (address is null && IsReset(function)))));
            }
            else if (resources.FindLast(one => one.Index == bar.Bar.Index) is { Word: PciWord.NoRoom } last)
            {
                // What stood in the register is not in the log; that Linux has no address for it in the end is. What Linux itself may have taken
                // away in lines that are left out the firmware may have placed.
                if (bar.Address is not null && _log.LeavesOut(_boot.FirstLine - 1, last.Line))
                {
                    _barsLeftOut++;
                    continue;
                }

                findings.Add(new(NameOf(function.Address, bar.Bar.Index), Text(bar.Address, bar.Bar.SizeBytes, bar.Bar.Type), "no address", last.Line,
                    bar.Address is null));
            }
            else if (_isWhole && named.Count > 0 && resources.TrueForAll(one => one.Index != bar.Bar.Index))
            {
                if (AreRegistersLeftOut(named))
                {
                    _barsLeftOut++;
                    continue;
                }

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
        _hasNoDisks && IsIde(function);

    private static bool IsIde(NumberedFunction function) => !function.Node.IsPassedThrough && function.Node.ClassCode >> 8 == IdeClass;

    private void CompareBridge(NumberedFunction function, BridgeWindows forecast, List<PciFunctionSighting> named, ICollection<Finding> findings,
        ICollection<string> notCompared)
    {
        // Further listings show what Linux made of them.
        int first = named.FindIndex(static one => one.IsBridge);
        // So does the first one in a log that has no more of Linux' first look at the bus.
        if (first < 0 || IsFirstListingLeftOut(named, first) || named[first].Line > _firstOfLinuxs)
        {
            notCompared.Add($"the windows of bridge {function.Address}");
            return;
        }

        int second = named.FindIndex(first + 1, static one => one.IsBridge);
        int from = named[first].Line;
        int to = second < 0 ? int.MaxValue : named[second].Line;
        bool isLeftOut = _log.LeavesOut(from, EndOf(from));
        bool isCut = isLeftOut || (EndsBehind(from, BridgeLines + 1) && EndOf(from) > _boot.LastLine);
        bool isTold = false;
        PciSighting[] windows = [.. _resources.GetValueOrDefault(function.Address, []).Where(seen =>
            seen is { Index: >= Bar.FirstBridgeIndex, Word: PciWord.Found, Start: not null } && seen.Line > from && seen.Line < to)];
        Add("I/O window", forecast.Io, windows.FirstOrDefault(static seen => seen.IsPorts));
        Add("memory window", forecast.Memory, windows.FirstOrDefault(static seen => !seen.IsPorts && !seen.IsPrefetchable));
        Add("prefetchable window", forecast.Prefetchable, windows.FirstOrDefault(static seen => seen.IsPrefetchable));

        void Add(string kind, ByteRange? expected, PciSighting seen)
        {
            ByteRange? observed = seen.Start is { } start ? ByteRange.FromSize(start, seen.SizeBytes) : null;
            ByteRange? known = expected is { IsEmpty: false } ? expected : null;
            // What stands behind lines that are left out may be of a further listing.
            if (isCut && (observed is null || _log.LeavesOut(from, seen.Line)))
            {
                if (!isTold && known is not null)
                    notCompared.Add($"windows of bridge {function.Address}: {(isLeftOut ? LeftOut : Ended)}");
                isTold |= known is not null;
                return;
            }

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
            // Another function may have that address where Linux numbers buses itself.
            TellOf(functions[i].Address, IsNumberedByLinux(functions[i].Address) ? -1 : i);
            PciSighting window = resources.Find(seen => seen is { Index: >= Bar.FirstBridgeIndex, Word: PciWord.Assigned, Start: not null }
                && !resources.Exists(one => one is { Index: >= Bar.FirstBridgeIndex, Word: PciWord.Found } && one.Line < seen.Line
                    && (one.IsPorts, one.Start, one.SizeBytes) == (seen.IsPorts, seen.Start, seen.SizeBytes)));
            if (window.Start is not null && told++ < MostTold)
                explanations.Add(string.Create(CultureInfo.InvariantCulture,
                    $"Linux gave bridge {functions[i].Address} a window itself, [0x{window.Start:x}, 0x{window.Start + window.SizeBytes:x}) (line "
                        + $"{window.Line}): that is not the firmware's doing."));
        }

        if (told > 0 && _options.PlacesAnew is { } option)
            explanations.Add($"With {option} on its command line (line {_options.Line}) Linux places BARs and bridges' windows anew where it sees "
                + $"fit: what it tells of that is none of the firmware's doing.");
        if (more > 0)
            explanations.Add(string.Create(CultureInfo.InvariantCulture,
                $"The log tells as much of {more} more BARs."));

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
}
