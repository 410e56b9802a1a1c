// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms;

/// <summary>What may not lie in the range below 1 TiB that AMD's processors keep for HyperTransport.</summary>
internal static class HyperTransportAdvice
{
    private const ulong HyperTransportStart = 0xfd_0000_0000;
    private const ulong HyperTransportEnd = 0x100_0000_0000;

    public static void ReportBars(Host host, ImmutableArray<Bar> bars, List<Problem> problems)
    {
        if (!IsAmd(host))
            return;
        foreach (Bar bar in bars)
        {
            if (bar.Start >= HyperTransportEnd || bar.End <= HyperTransportStart)
                continue;
            problems.Add(new(
                Severity.Error,
                ProblemCodes.HyperTransport,
                $"the BAR at [0x{bar.Start:x}, 0x{bar.End:x}) lies across AMD's HyperTransport range, which no address of a device or of RAM may be in",
                Math.Max(bar.Start, HyperTransportStart),
                Math.Min(bar.End, HyperTransportEnd),
                "have the firmware place it elsewhere"));
        }
    }

    /// <param name="remedy">What keeps the guest's RAM out of the range.</param>
    public static void ReportRam(Host host, GuestSpec guest, string remedy, List<Problem> problems)
    {
        if (!IsAmd(host) || guest.MaxmemKiB << 10 <= HyperTransportStart - Frames.FourGiB)
            return;
        problems.Add(new(
            Severity.Warning,
            ProblemCodes.HyperTransport,
            $"the guest's {ByteSize.ToText(guest.MaxmemKiB << 10)} reach into AMD's HyperTransport range: a device cannot be mapped to RAM there",
            HyperTransportStart,
            HyperTransportEnd,
            remedy));
    }

    internal static bool IsAmd(Host host) => host.Traits.CpuVendor is "AuthenticAMD" or "HygonGenuine";
}
