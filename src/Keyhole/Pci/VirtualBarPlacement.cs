// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;

namespace Keyhole.Pci;

/// <summary>Where a BAR of a function's virtual functions (SR-IOV) lies: those of all of them are side by side.</summary>
/// <param name="Function">Index in <see cref="NumberedTree.Functions"/> of the function that has them.</param>
/// <param name="Count">How many virtual functions there may be.</param>
/// <param name="Bar">What each asks for; null where the guest does not see that there are any.</param>
/// <param name="Address">Of the first one's, in bytes; null where the firmware keeps no room.</param>
/// <param name="Why">Why it has none; null exactly where it has one. A sentence without a full stop.</param>
public readonly record struct VirtualBarPlacement(int Function, int Count, BarRequest? Bar, ulong? Address, string? Why)
{
    /// <summary>The capability lies beyond the 256 bytes of configuration space that such a board reaches.</summary>
    internal const string NotSeen = "on a board without PCI Express nobody sees that there are any";

    /// <summary>Source: vfio_add_ext_cap in QEMU's hw/vfio/pci.c drops the capability.</summary>
    private const string Hidden = "QEMU hides them from the guest, as of every device that is passed through: their windows stay with the host";

    /// <summary>All of a tree, in its order.</summary>
    internal static ImmutableArray<VirtualBarPlacement> AllOf(NumberedTree tree, Func<int, int, ulong?> address, string why)
    {
        var found = ImmutableArray.CreateBuilder<VirtualBarPlacement>();
        for (int i = 0; i < tree.Functions.Length; i++)
        {
            PciFunction node = tree.Functions[i].Node;
            if (node.HiddenFunctions > 0)
                found.Add(new(i, node.HiddenFunctions, null, null, Hidden));
            for (int b = 0; node.Virtual is { } more && b < more.Bars.Length; b++)
            {
                ulong? at = address(i, b);
                found.Add(new(i, more.Count, more.Bars[b], at, at is null ? why : null));
            }
        }

        return found.DrainToImmutable();
    }
}
