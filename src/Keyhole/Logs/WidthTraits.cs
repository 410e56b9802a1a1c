// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Hosts;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>What a boot log says of where devices may be reached: the kind of IOMMU, and the windows of the host bridges.</summary>
/// <remarks>Source: Linux' drivers/iommu/amd/init.c, drivers/pci/bus.c and /proc/iomem; Xen's drivers/passthrough/vtd/iommu.c.</remarks>
internal sealed class WidthTraits
{
    /// <summary>Words of which one stands in every line that is looked at.</summary>
    public static string[] Words =>
        [
            Capability, "root bus resource [mem", " : PCI Bus ", Amd, XensIntel, Off, OffOfOld, OnCommandLine, .. s_failures, .. s_inUse,
            .. IommuSilence.Words,
        ];

    private const string Capability = "cap = ";
    private const string Amd = "AMD-Vi";

    /// <summary>Xen's "Intel VT-d iommu 0 supported page sizes: 4kB.", "Intel VT-d Snoop Control enabled."</summary>
    private const string XensIntel = "Intel VT-d ";

    /// <summary>What Linux says where its command line has it off (intel_iommu_setup; amd/init.c, to which up to 5.0 more words belong).</summary>
    private const string Off = "IOMMU disabled";
    private const string OffOfOld = "Intel-IOMMU: disabled";
    private static readonly string[] s_offs = ["DMAR: IOMMU disabled", "AMD-Vi: AMD IOMMU disabled", OffOfOld];

    /// <summary>What it says where it gives VT-d up (dmar_table_init, intel_iommu_init).</summary>
    private static readonly string[] s_failures = ["DMAR: Parse DMAR table failure", "DMAR: Initialization failed"];

    /// <summary>What it says when one works. "IOMMU enabled" is none of these: it repeats the command line.</summary>
    private static readonly string[] s_inUse = ["Intel(R) Virtualization Technology for Directed I/O", ": Adding to iommu group ", FoundOne];
    private const string FoundOne = "AMD-Vi: Found IOMMU ";
    private const string OnCommandLine = "DMAR: IOMMU enabled";

    private bool? _isUsed;
    private string? _failure;
    private readonly List<(RootWindow Window, int? Line)> _windows = [];
    private bool _isAmd;
    private bool _isIntel;
    private int? _narrowest;

    /// <summary>Whether a line says something of it that can be used.</summary>
    public static bool Understands(ReadOnlySpan<char> line) => TryWindow(line, out _) || TryXensCapability(line, out _) || IsAmds(line)
        || UseIn(line) is not null || IommuSilence.IsMeant(line);

    /// <summary>Reads one line; false where it says nothing of it that can be used.</summary>
    public bool TryRead(ReadOnlySpan<char> line, int number)
    {
        if (TryWindow(line, out RootWindow window))
        {
            // A guest's bridges are none of the host's.
            (RootWindow Window, int? Line) seen = (window, line.Contains(" : PCI Bus ", StringComparison.Ordinal) ? null : number);
            if (_windows.Count < RootWindow.MaxCount && LogPrefix.DomainOf(line) is null && !_windows.Contains(seen))
                _windows.Add(seen);
            return true;
        }

        if (TryXensCapability(line, out int bits))
        {
            _isIntel = true;
            if (bits >= 32)
                _narrowest = Math.Min(_narrowest ?? bits, bits);
            return true;
        }

        if (line.Contains(XensIntel, StringComparison.Ordinal) && LogPrefix.TryXenBody(line, out ReadOnlySpan<char> body)
            && body.TrimStart().StartsWith(XensIntel))
            return _isIntel = true;
        // The last word counts: of two options, of two boots.
        bool? isUsed = LogPrefix.DomainOf(line) is null ? UseIn(line) : null;
        _isUsed = isUsed ?? (line.Contains(OnCommandLine, StringComparison.Ordinal) ? null : _isUsed);
        if (isUsed is not null)
            _failure = FailureIn(line);
        bool isAmds = IsAmds(line);
        _isAmd |= isAmds;
        return isAmds || isUsed is not null || IommuSilence.IsMeant(line);
    }

    /// <summary>The windows with the lines that tell them; null for one of <c>/proc/iomem</c>.</summary>
    public ImmutableArray<(RootWindow Window, int? Line)> ToWindows() => [.. _windows];

    /// <summary>Adds what was read; a width that other lines tell is there already.</summary>
    public HostTraits AddTo(HostTraits traits)
    {
        int? bits = _narrowest is { } told ? Math.Min(traits.IommuAddressBits ?? told, told) : traits.IommuAddressBits;
        return traits with
        {
            // Only VT-d has a width to tell.
            Iommu = _isIntel || bits is not null ? HostIommu.IntelVtd : _isAmd ? HostIommu.AmdVi : null,
            IommuAddressBits = bits,
            LinuxUsesIommu = _isUsed,
            LinuxIommuFailure = _isUsed == false ? _failure : null,
            RootWindows = [.. _windows.Select(static seen => seen.Window).Distinct()],
        };
    }

    /// <summary>Whether Linux uses the IOMMU, as the line tells; null where it tells nothing of it.</summary>
    internal static bool? UseIn(ReadOnlySpan<char> line)
    {
        if (LogPrefix.TryXenBody(line, out _))
            return null;
        foreach (string off in s_offs)
        {
            if (line.Contains(off, StringComparison.Ordinal))
                return false;
        }

        if (FailureIn(line) is not null)
            return false;

        bool isFound = line.Contains(s_inUse[0], StringComparison.Ordinal) || line.Contains(FoundOne, StringComparison.Ordinal)
            || (line.IndexOf(s_inUse[1]) is > 0 and int group && IsDeviceOfHost(line[..group]));
        return isFound ? true : null;
    }

    /// <summary>Whether a line begins with a PCI function, its driver in front ("pci 0000:00:1f.2"). A mediated device, and one that is given away
    /// without an IOMMU ("vfio-pci 0000:01:00.0"), have groups as well.</summary>
    private static bool IsDeviceOfHost(ReadOnlySpan<char> text)
    {
        int blank = text.LastIndexOf(' ');
        if (blank <= 0 || !Pci.PciAddress.TryParse(text[(blank + 1)..], out _))
            return false;
        ReadOnlySpan<char> before = text[..blank];
        return !before[(before.LastIndexOf(' ') + 1)..].Contains("vfio", StringComparison.Ordinal);
    }

    private static string? FailureIn(ReadOnlySpan<char> line)
    {
        foreach (string words in s_failures)
        {
            if (line.Contains(words, StringComparison.Ordinal))
                return words;
        }

        return null;
    }

    /// <summary>A line of AMD's IOMMU that tells nothing but that there is one; IVMD names memory, which is read elsewhere. Xen speaks of one that
    /// it did not find, too, and Linux' driver of its second version on machines of Intel's.</summary>
    private static bool IsAmds(ReadOnlySpan<char> line) => line.Contains(Amd, StringComparison.Ordinal)
        && !line.Contains("IVMD", StringComparison.Ordinal) && !line.Contains("not found", StringComparison.Ordinal)
        && !line.Contains("AMD IOMMUv2", StringComparison.Ordinal);

    /// <summary><c>pci_bus 0000:00: root bus resource [mem 0x80000000-0xdfffffff window]</c>, or a line of <c>/proc/iomem</c>.</summary>
    private static bool TryWindow(ReadOnlySpan<char> line, out RootWindow window)
    {
        const string bus = "pci_bus ";
        const string resource = ": root bus resource [mem 0x";
        window = default;
        int at = line.IndexOf(bus, StringComparison.Ordinal);
        if (at < 0)
            return line.Contains(" : PCI Bus ", StringComparison.Ordinal) && RootWindow.TryReadIomem(CitedLine.Unmarked(line), out window);
        var cursor = new TextCursor(line[(at + bus.Length)..]);
        return RootWindow.TryBus(ref cursor, out int domain, out int number) && cursor.TryText(resource) && cursor.TryHex(out ulong start)
            && cursor.TryText("-0x")
            && cursor.TryHex(out ulong last) && RootWindow.TryCreate(domain, number, start, last, out window);
    }

    /// <summary>Xen's <c>cap = c0000020660462 ecap = f0101a</c>; Linux puts the register behind the unit's address.</summary>
    private static bool TryXensCapability(ReadOnlySpan<char> line, out int bits)
    {
        bits = 0;
        int at = line.IndexOf(Capability, StringComparison.Ordinal);
        if (at < 0 || (at > 0 && char.IsAsciiLetter(line[at - 1])))
            return false;
        var cursor = new TextCursor(line[(at + Capability.Length)..]);
        if (!cursor.TryHex(out ulong capability) || !cursor.TryText(" ecap"))
            return false;
        bits = IommuWidth.OfVtd(capability);
        return true;
    }
}
