// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>What a verification says of a boot's end, and of guests that were not created.</summary>
internal static partial class EndPairs
{
    public static ImmutableArray<RulePair> All { get; } =
    [
        .. OfXensDeath, .. OfXensTrace, .. OfKernels, .. OfLimits, .. OfFirmwareGuests, .. OfCreation, .. OfRemarks, .. OfOtherXens,
        .. OfStubDomains, .. OfSleep, .. OfOtherLogs, .. OfNeeds, .. OfOptions, .. OfReasons, .. OfPciOptions,
    ];
}
