// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Logs;
using Keyhole.Platforms;

namespace Keyhole.Verification;

/// <summary>The Xen that a guest's log names, where it is another one than the host's of the forecast: what differs has that reason first.</summary>
public static class GuestsXen
{
    /// <summary>A comparison with that reason, where there is one and something differs; else as it is.</summary>
    /// <param name="boot">The forecast.</param>
    /// <param name="verification">Its comparison with a guest's boot.</param>
    /// <param name="scan">The boot's log.</param>
    /// <param name="compare">Compares another forecast with the same boot.</param>
    public static BootVerification Told(Boot boot, BootVerification verification, LogScan scan, Func<Boot, BootVerification> compare)
    {
        ArgumentNullException.ThrowIfNull(boot);
        ArgumentNullException.ThrowIfNull(verification);
        ArgumentNullException.ThrowIfNull(scan);
        ArgumentNullException.ThrowIfNull(compare);
        Scenario scenario = boot.Plan.Scenario;
        if (verification.Agrees || scenario is not { Dom0: null, Host.Traits.XenVersion: { } hosts }
            || NamedXen.In(scan, verification.Boot) is not { } named || (named.Value.Major, named.Value.Minor) == (hosts.Major, hosts.Minor))
            return verification;
        string what = $"The log is of a guest under Xen {named.Value} (line {named.Line}), and the forecast for Xen {hosts}, which the host has";
        var under = Boot.Of(scenario with { Host = scenario.Host with { Traits = scenario.Host.Traits with { XenVersion = named.Value } } });
        if (!under.Plan.IsMapKnown || (under.Forecast is null && boot.Forecast is not null))
            return verification with
            {
                Explanations =
                [
                    $"{what}: what differs says nothing. Xen {named.Value} is not modelled for such a guest.",
                    .. verification.Explanations.Where(static text => text.ToString().StartsWith("The log is of Linux", StringComparison.Ordinal)),
                ],
            };
        BootVerification again = compare(under);
        return again.Agrees
            ? verification with { Explanations = [$"{what}: with Xen {named.Value} everything in the log is as forecast.", .. again.Explanations] }
            : verification with
            {
                Explanations =
                [
                    $"{what}: that is the first thing to mend. Give the log of the host that the guest ran on with {Setting.Host} (with Xen "
                        + $"{named.Value} on this one, {again.Differences.Length} of {again.Findings.Length} lines differ).",
                    .. again.Explanations,
                ],
            };
    }
}
