// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text.Json;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.Hosts;

namespace Keyhole.Migration;

/// <summary>
/// Reads one capture a line for what a fleet needs of it: <c>{"name":…,"entries":[…],"devices":[…]}</c>, the JSON of <c>show</c> and <c>capture</c>
/// with a name. Makes nothing but the name, unless guests are to be forecast on the host.
/// </summary>
/// <param name="guests">The fleet's guests.</param>
internal sealed class FleetCapture(ImmutableArray<FleetGuest> guests)
{
    private readonly CaptureSkim _skim = new() { WantsHost = guests.Any(static guest => guest.Forecast is not null) };

    /// <summary>The host in a line of UTF-8, or the error in it.</summary>
    /// <param name="host">Set where the result is null.</param>
    public InputError? Read(ReadOnlySpan<byte> line, string sourceName, int lineNumber, out FleetHost host)
    {
        host = default;
        _skim.Clear();
        try
        {
            var capture = new CaptureReader(line, sourceName, skim: _skim);
            if (!capture.TrySkim())
                return capture.Error! with { Line = lineNumber };
        }
        catch (InvalidOperationException)
        {
            return InputError.Malformed(
                sourceName, lineNumber, "a name in the JSON is not Unicode text: an escape is half a character (a lone surrogate)",
                $"give one capture a line, as {Setting.CaptureWriter} wrote it");
        }
        catch (JsonException)
        {
            return InputError.Malformed(
                sourceName, lineNumber, "the JSON is malformed, cut short or nested too deeply",
                $"give one capture a line, as {Setting.CaptureWriter} wrote it, without line breaks in it");
        }

        if (!_skim.LostRanges.IsEmpty || _skim.RamShown == RamShown.Part)
        {
            Host shown = new() { Entries = [.. _skim.Entries], LostRanges = _skim.LostRanges, RamShown = _skim.RamShown };
            if (LostDemand.Of(shown, sourceName, lineNumber, guests, _skim.DeviceCount > 0) is { } lost)
                return lost;
        }

        HostDemand demand = Demand(_skim.Name ?? $"{sourceName}:{lineNumber}") with { Refusing = HostDemand.RefusingOf(_skim.Traits) };
        host = _skim.Host is { } read ? FleetHost.Of(demand, read, guests) : new(demand);
        return null;
    }

    private HostDemand Demand(string name)
    {
        var map = HostDemand.MapDemand.Of(CollectionsMarshal.AsSpan(_skim.Entries));
        if (_skim.RamShown == RamShown.Part || !_skim.LostRanges.IsEmpty)
            map = map with { RamKiB = 0, LowRamKiB = 0 };
        if (_skim.DeviceCount == 0)
        {
            return map.ToHost(name) with
            {
                IsHoleNotKnown = !_skim.LostRanges.IsEmpty
                    && LostDemand.IsHoleNotKnown(new() { Entries = [.. _skim.Entries], LostRanges = _skim.LostRanges }, hasDevices: false),
            };
        }

        var windows = HostDemand.WindowDemand.None;
        foreach (CaptureWindow window in _skim.Windows)
            windows = windows.With(window.Kind, window.Start, window.End);
        return windows.ToHost(name, map);
    }
}
