// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Guests;

namespace Keyhole.Forecasts;

/// <summary>Where a kernel would have to be linked to get through.</summary>
internal static class KernelPlace
{
    /// <summary>Linux's build refuses a CONFIG_PHYSICAL_START that is no multiple of it (CONFIG_PHYSICAL_ALIGN on x86-64).</summary>
    private const ulong Alignment = X86Layout.LargePageBytes;

    /// <summary>No machine has more places for a kernel below the end of its mapping.</summary>
    private const int MostTried = 8;

    /// <summary>The kernel's mapping of itself is 512 MiB long.</summary>
    private const ulong ImageLimit = 512UL << 20;

    /// <summary>
    /// The lowest CONFIG_PHYSICAL_START with which the same kernel boots by the forecast, as the domain builder lays out what belongs to it. Null
    /// when there is none or the kernel's place is not known.
    /// </summary>
    public static ulong? ThatBoots(BootRequest request)
    {
        GuestLayout layout = request.Layout;
        if (layout.Kernel.IsEmpty)
            return null;
        ulong end = Math.Max(layout.Kernel.End, Math.Max(layout.StartInfo.End, layout.PageTables.End));
        // xl lays ramdisk and p2m list behind the kernel, Xen lays dom0's elsewhere.
        if (!request.IsDom0)
            end = Math.Max(end, Math.Max(layout.Initrd.End, layout.P2mList.End));
        ulong size = end - layout.Kernel.Start;
        int tried = 0;
        foreach (E820Entry ram in Ram(request))
        {
            ulong start = Math.Max(Alignment, Align.Up(ram.Address, Alignment));
            if (start + size > Math.Min(ram.End, ImageLimit))
                continue;
            // A map of many small pieces costs no more.
            if (++tried > MostTried)
                return null;
            if (Forecaster.ForecastOne(request with { Layout = Moved(layout, start, !request.IsDom0) }).Boots)
                return start;
        }

        return null;
    }

    private static IEnumerable<E820Entry> Ram(BootRequest request) =>
        request.Map.Where(entry => (entry.IsRam || (request.IsDom0 && entry.Type == E820Type.Unusable)) && !entry.Wraps
            && entry.End <= Frames.AddressLimit)
            .OrderBy(static entry => entry.Address);

    private static GuestLayout Moved(GuestLayout layout, ulong start, bool withAll)
    {
        return layout with
        {
            Kernel = By(layout.Kernel),
            KernelProper = By(layout.KernelProper),
            StartInfo = By(layout.StartInfo),
            PageTables = By(layout.PageTables),
            P2mList = withAll ? By(layout.P2mList) : layout.P2mList,
            Initrd = withAll ? By(layout.Initrd) : layout.Initrd,
        };

        ByteRange By(ByteRange range) => range.IsEmpty || range.Start < layout.Kernel.Start
            ? range
            : ByteRange.FromSize(range.Start - layout.Kernel.Start + start, range.SizeBytes);
    }
}
