// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms;

/// <summary>What may not lie in the range below 1 TiB that AMD's processors keep for HyperTransport.</summary>
internal static class HyperTransportAdvice
{
    /// <summary>A device's own BAR may be there (Zen puts some at ffe0000000): only DMA to the range fails.</summary>
    public static void ReportBars(Host host, ImmutableArray<Bar> bars, List<Problem> problems)
    {
        if (!IsAmd(host.Traits))
            return;
        foreach (Bar bar in bars)
        {
            ByteRange common = bar.Range.Intersect(X86Layout.HyperTransport);
            if (common.IsEmpty)
                continue;
            problems.Add(new(
                Severity.Info,
                ProblemCodes.HyperTransport,
                $"the BAR at [0x{bar.Start:x}, 0x{bar.End:x}) is in AMD's HyperTransport range: processors reach it "
                    + $"there, the DMA of other devices does not",
                common.Start,
                common.End));
        }
    }

    /// <param name="ramEnd">Where the guest's RAM ends.</param>
    /// <param name="remedy">What keeps it out of the range.</param>
    public static void ReportRam(Host host, GuestSpec guest, ulong ramEnd, string remedy, List<Problem> problems)
    {
        // Without a device nothing is mapped for one.
        if (!IsAmd(host.Traits) || guest.Pci.IsEmpty || ramEnd <= X86Layout.HyperTransportStart)
            return;
        problems.Add(new(
            Severity.Warning,
            ProblemCodes.HyperTransport,
            $"the guest's {ByteSize.ToText(guest.MaxmemKiB << 10)} reach into AMD's HyperTransport range: a device cannot be mapped to RAM there",
            X86Layout.HyperTransportStart,
            X86Layout.HyperTransportEnd,
            remedy));
    }

    internal static bool IsAmd(HostTraits traits) => traits.CpuVendor is "AuthenticAMD" or "HygonGenuine";
}
