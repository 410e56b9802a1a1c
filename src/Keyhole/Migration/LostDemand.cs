// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.Hosts;

namespace Keyhole.Migration;

/// <summary>Hosts whose map has lost lines: what such a host needs is known only if it is the same whatever the lines said. Of a host whose map is
/// that of a kernel started after a crash nothing is known.</summary>
internal static class LostDemand
{
    private const string What = "lines of its map are lost: what it needs is not known";

    private const string OfCrashKernel =
        "its map is that of a kernel started after a crash (kexec), with what crashkernel= kept for it: what the host needs is not known";

    /// <summary>Whether it says that a host was read and cannot be judged.</summary>
    public static bool IsReasonOf(InputError error) => error is { Code: InputErrorCode.NotSupported, What: What or OfCrashKernel };

    /// <summary>Whether lost lines decide where the host's hole must start.</summary>
    public static bool IsHoleNotKnown(Host host, bool hasDevices) => host.HasLostEntries && !hasDevices
        && LostLines.Readings(host).Select(static read => HostDemand.MapDemand.Of(read.Entries.AsSpan()).HoleStart).Distinct().Count() != 1;

    /// <summary>Why the host cannot be judged; null where the lines do not matter. Guests that are forecast on it have their own verdict.</summary>
    /// <param name="host">Its map, and its devices where it names any.</param>
    /// <param name="source">What the host is called.</param>
    /// <param name="line">Its line where a source has more than one.</param>
    /// <param name="guests">The fleet's guests.</param>
    /// <param name="hasDevices">Whether the host names devices: their windows then count, not the map.</param>
    public static InputError? Of(Host host, string source, int? line, ImmutableArray<FleetGuest> guests, bool hasDevices)
    {
        if (MapExtent.IsCrashKernels(host))
            return InputError.NotSupported(source, line, OfCrashKernel, "give the log of the boot before");
        if (!host.HasLostEntries || (!guests.IsEmpty && guests.All(static guest => guest.Forecast is not null)))
            return null;
        ulong ramKiB = HostDemand.MapDemand.Of(host.Entries.AsSpan()).RamKiB;
        bool hasRam = guests.All(guest => guest.Forecast is not null || guest.MemoryKiB <= ramKiB);
        return hasRam && !IsHoleNotKnown(host, hasDevices) ? null : InputError.NotSupported(
            source, line, What, "give the whole log, or another source of the host's map");
    }
}
