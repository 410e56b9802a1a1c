// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.Platforms;

namespace Keyhole.Verification;

/// <summary>What the other kernels would make of the same boot, and where a kernel would have to lie to get through.</summary>
internal static class KernelSurvey
{
    /// <summary>Linux's build refuses a CONFIG_PHYSICAL_START that is no multiple of it (CONFIG_PHYSICAL_ALIGN on x86-64).</summary>
    private const ulong Alignment = X86Layout.LargePageBytes;

    /// <summary>The kernel's mapping of itself is 512 MiB long.</summary>
    private const ulong ImageLimit = 512UL << 20;

    /// <summary>"6.12 and later: boots": a line for each run of releases that fare alike.</summary>
    public static IEnumerable<string> Tell(ImmutableArray<BootForecast> forecasts)
    {
        for (int i = 0; i < forecasts.Length;)
        {
            string outcome = OutcomeOf(forecasts[i]);
            int next = i + 1;
            while (next < forecasts.Length && OutcomeOf(forecasts[next]) == outcome)
                next++;
            yield return $"{KernelReleases.RangeOf(forecasts[i].Request.Kernel, forecasts[next - 1].Request.Kernel, forecasts[i].Request.Is32Bit)}: "
                + outcome;
            i = next;
        }
    }

    /// <summary>The releases of those kernels that cope: "3.4 to 3.15, or 5.13 and later".</summary>
    public static string ReleasesThat(Func<BootForecast, bool> cope, ImmutableArray<BootForecast> forecasts)
    {
        List<string> runs = [];
        for (int i = 0; i < forecasts.Length; i++)
        {
            int first = i;
            while (i < forecasts.Length && cope(forecasts[i]))
                i++;
            if (i > first)
                runs.Add(KernelReleases.RangeOf(forecasts[first].Request.Kernel, forecasts[i - 1].Request.Kernel, forecasts[first].Request.Is32Bit));
        }

        return string.Join(", or ", runs);
    }

    /// <summary>Boots, and gives no pages back for good.</summary>
    public static bool KeepsAll(BootForecast forecast) => forecast.Boots && forecast.ReleasedPages <= forecast.PopulatedPages;

    /// <summary>The same boot with every mainline release that differs from the one before, oldest first.</summary>
    public static ImmutableArray<BootForecast> Of(BootRequest request) =>
        [.. KernelReleases.Changing.Where(version => !request.Is32Bit || version <= KernelReleases.LastOf32Bits)
            .Select(version => Forecaster.Forecast(request with { Kernel = version }))];

    /// <summary>
    /// The lowest CONFIG_PHYSICAL_START with which the same kernel boots by the forecast, as the domain builder lays out what belongs to it. Null
    /// when there is none or the kernel's place is not known.
    /// </summary>
    public static ulong? PlaceThatBoots(BootRequest request)
    {
        GuestLayout layout = request.Layout;
        if (layout.Kernel.IsEmpty)
            return null;
        ulong end = Math.Max(layout.Kernel.End, Math.Max(layout.StartInfo.End, layout.PageTables.End));
        // xl lays ramdisk and p2m list behind the kernel, Xen lays dom0's elsewhere.
        if (!request.IsDom0)
            end = Math.Max(end, Math.Max(layout.Initrd.End, layout.P2mList.End));
        ulong size = end - layout.Kernel.Start;
        foreach (E820Entry ram in Ram(request))
        {
            ulong start = Math.Max(Alignment, Align.Up(ram.Address, Alignment));
            if (start + size > Math.Min(ram.End, ImageLimit))
                continue;
            if (Forecaster.Forecast(request with { Layout = Moved(layout, start, !request.IsDom0) }).Boots)
                return start;
        }

        return null;
    }

    private static string OutcomeOf(BootForecast forecast)
    {
        if (forecast.Outcome == GuestOutcome.NotKnown)
            return "not known";
        if (forecast.Halts)
            return forecast.Message is { Length: > 0 } message ? $"halts with \"{message}\"" : "halts without a message";
        ulong lost = forecast.ReleasedPages - Math.Min(forecast.ReleasedPages, forecast.PopulatedPages);
        return lost == 0 ? "boots with all its memory" : $"boots, but gives back {Verifier.Number(lost)} pages";
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
