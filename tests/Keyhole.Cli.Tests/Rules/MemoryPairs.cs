// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>What a verification says of memory, of the guest, the kernel and the Xen that the log may be of.</summary>
internal static partial class MemoryPairs
{
    public static ImmutableArray<RulePair> All { get; } =
        [.. Pages, .. Room, .. Kernels, .. Halts, .. Guests, .. Totals, .. Lost, .. MovedPages, .. Assumed, .. Extent];
}
