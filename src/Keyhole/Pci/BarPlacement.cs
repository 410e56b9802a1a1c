// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using Keyhole.Addresses;
using Keyhole.Diagnostics;

namespace Keyhole.Pci;

/// <summary>Which limit decided that a BAR got no address.</summary>
public enum UnplacedReason
{
    /// <summary>The window below 4 GiB has no room for it.</summary>
    Window32Full,

    /// <summary>The window above 4 GiB has no room for it.</summary>
    Window64Full,

    /// <summary>There is no window above 4 GiB, and below it does not fit.</summary>
    NoWindow64,

    /// <summary>The I/O ports do not suffice.</summary>
    IoFull,

    /// <summary>The window of the bridge in front of it has no room, and the firmware does not make it larger.</summary>
    BridgeWindowFull,

    /// <summary>Its place would lie beyond what the processor can address.</summary>
    BeyondAddressWidth,

    /// <summary>Its place is taken by RAM or by something else that does not move.</summary>
    Occupied,

    /// <summary>It would have had a place, but another BAR did not fit and the firmware then gave the whole tree up.</summary>
    TreeGivenUp,

    /// <summary>The firmware never places this kind (an option ROM, say).</summary>
    NotHandled,

    /// <summary>The guest never gets to the point where BARs are placed.</summary>
    NotReached,

    /// <summary>The firmware does not look behind bridges.</summary>
    BehindBridge,
}

/// <summary>Why a BAR got no address: the limit, with the figures that a reader needs to see it.</summary>
/// <param name="NeededBytes">What the requests together would take of the limit, alignment included; 0 where no size is at stake.</param>
/// <param name="Available">What there is: the window, or what is left of it. Empty where there is none.</param>
/// <param name="AddressBits">The width in bits where it decides; else 0.</param>
public sealed record Unplaced(UnplacedReason Reason, ulong NeededBytes, ByteRange Available, int AddressBits = 0)
{
    /// <summary>The function whose BAR did not fit, where it is another one's; or what occupies the place. Empty where nothing else is at
    /// fault.</summary>
    public string Because { get; init; } = "";

    /// <summary>Why the window is not larger, to stand in brackets behind what it has; empty where that is no question.</summary>
    public string Limit { get; init; } = "";

    /// <summary>The reason in words, to stand behind "it gets no address:".</summary>
    public string ToText() => ToText(isOne: true);

    /// <summary>The same of one BAR, or of several that the same limit leaves out.</summary>
    internal string ToText(bool isOne)
    {
        string room = Available.IsEmpty ? "" : $", which has {ByteSize.ToText(Available.SizeBytes)} at [0x{Available.Start:x}, 0x{Available.End:x})"
            + (Limit.Length == 0 ? "" : $" ({Limit})");
        string need = NeededBytes == 0 ? ""
            : NeededBytes > Available.SizeBytes && ByteSize.ToText(NeededBytes) == ByteSize.ToText(Available.SizeBytes)
                ? $"; {ByteSize.ToText(NeededBytes - Available.SizeBytes)} more are needed"
            // The sum would fit: what does not is that each has to be aligned.
            : NeededBytes <= Available.SizeBytes ? $"; {ByteSize.ToText(NeededBytes)} are needed, each BAR at a multiple of its size"
            : $"; {ByteSize.ToText(NeededBytes)} are needed";
        string doesNotFit = isOne ? "it does not fit" : "they do not fit";
        string place = isOne ? "its place" : "their place";
        return Reason switch
        {
            UnplacedReason.Window32Full => $"{doesNotFit} into the window below 4 GiB{room}{need}",
            UnplacedReason.Window64Full => $"{doesNotFit} into the window above 4 GiB{room}{need}",
            UnplacedReason.NoWindow64 => $"there is no window above 4 GiB, and below {doesNotFit}{need}",
            UnplacedReason.IoFull => $"the I/O ports do not suffice{(Limit.Length == 0 ? "" : $" ({Limit})")}",
            UnplacedReason.BridgeWindowFull => $"the window of the bridge in front of {(isOne ? "it" : "them")} has no room{room}{need}",
            UnplacedReason.BeyondAddressWidth =>
                string.Create(CultureInfo.InvariantCulture, $"{place} would be beyond {AddressBits} address bits{need}"),
            UnplacedReason.Occupied => $"{place} is taken{(Because.Length == 0 ? "" : $" by {Because}")}",
            UnplacedReason.TreeGivenUp =>
                $"another BAR did not fit{(Because.Length == 0 ? "" : $" ({Because})")}, and the firmware then gave all of them up",
            UnplacedReason.NotHandled => "the firmware never places this kind",
            UnplacedReason.NotReached => "the guest never gets that far",
            UnplacedReason.BehindBridge => "the firmware gives nothing behind a bridge an address",
        };
    }
}

/// <summary>A BAR and the address it was given.</summary>
/// <param name="Function">Index in <see cref="NumberedTree.Functions"/>.</param>
/// <param name="Address">Bytes, or the first port; null where it got none.</param>
/// <param name="Why">Null exactly where there is an address.</param>
public readonly record struct BarPlacement(int Function, BarRequest Bar, ulong? Address, Unplaced? Why)
{
    /// <summary>Why it got no address, in words; null where it got one.</summary>
    /// <remarks>OVMF drops a device whole: BARs of 32 bits and I/O then have no address because one of 64 bits did not fit.</remarks>
    public string? WhyText => Why switch
    {
        {
            Because.Length: > 0, Reason: UnplacedReason.Window64Full or UnplacedReason.Window32Full or UnplacedReason.NoWindow64
            or UnplacedReason.IoFull
        } =>
            $"{Why.Because} of the same device does not fit into {Place(Why.Reason)}, and the firmware then places none of the device's",
        { Reason: UnplacedReason.Window64Full } when !Bar.Type.Is64Bit() =>
            "another BAR of the same device does not fit into the window above 4 GiB, and the firmware then places none of the device's",
        _ => Why?.ToText(),
    };

    /// <summary>Whether the firmware leaves it out because another BAR of its device found no room, and its own size is not at stake.</summary>
    internal bool IsLeftOutWithAnother => Why switch
    {
        null => false,
        {
            Because.Length: > 0, Reason: UnplacedReason.Window64Full or UnplacedReason.Window32Full or UnplacedReason.NoWindow64
            or UnplacedReason.IoFull
        } => true,
        { Reason: UnplacedReason.Window64Full } => !Bar.Type.Is64Bit(),
        _ => false,
    };

    private static string Place(UnplacedReason reason) => reason switch
    {
        UnplacedReason.IoFull => "the I/O ports",
        UnplacedReason.Window64Full => "the window above 4 GiB",
        _ => "the window below 4 GiB",
    };

    /// <summary>A BAR that has a place, in bytes.</summary>
    public static BarPlacement At(int function, BarRequest bar, ulong address) => new(function, bar, address, null);

    /// <summary>A BAR without a place, and why.</summary>
    public static BarPlacement None(int function, BarRequest bar, Unplaced why) => new(function, bar, null, why);
}

/// <summary>What a bridge forwards; null for a window that it was given none of.</summary>
/// <param name="Function">Index in <see cref="NumberedTree.Functions"/>.</param>
/// <param name="Io">Ports.</param>
public readonly record struct BridgeWindows(int Function, ByteRange? Io, ByteRange? Memory, ByteRange? Prefetchable);

/// <summary>What kind of addresses a window of the host bridge holds.</summary>
public enum WindowKind
{
    /// <summary>Memory below 4 GiB.</summary>
    Memory32,

    /// <summary>Memory above 4 GiB.</summary>
    Memory64,

    /// <summary>I/O ports.</summary>
    Io,
}

/// <summary>A range from which BARs are given their addresses.</summary>
public readonly record struct PlacementWindow(WindowKind Kind, ByteRange Range);

/// <summary>Where a firmware, a domain builder or a policy put the BARs of a tree.</summary>
/// <param name="Tree">Whose functions the indexes mean.</param>
/// <param name="Windows">From which the addresses were taken.</param>
/// <param name="Bars">Every BAR of the tree, in the tree's order.</param>
/// <param name="Bridges">Every bridge, in the tree's order.</param>
public sealed record PciPlacement(
    NumberedTree Tree, ImmutableArray<PlacementWindow> Windows, ImmutableArray<BarPlacement> Bars, ImmutableArray<BridgeWindows> Bridges)
{
    /// <summary>The BARs of virtual functions (SR-IOV), in the tree's order.</summary>
    public ImmutableArray<VirtualBarPlacement> VirtualBars { get; init => field = Given.Array(value); } = [];

    /// <summary>BARs without an address.</summary>
    public int CountUnplaced()
    {
        int count = 0;
        foreach (ref readonly BarPlacement bar in Bars.AsSpan())
            count += bar.Address is null ? 1 : 0;
        return count;
    }
}
