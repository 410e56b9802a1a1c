// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Pci;

namespace Keyhole.Platforms;

/// <summary>How far a guest gets.</summary>
public enum GuestOutcome
{
    /// <summary>It boots.</summary>
    Boots,

    /// <summary>Its kernel halts while it lays out its memory.</summary>
    Halts,

    /// <summary>The virtual machine is not even started.</summary>
    Refused,

    /// <summary>Its firmware gives up on its devices and goes on without them.</summary>
    GivesUp,

    /// <summary>Its firmware stops with an error.</summary>
    Panics,

    /// <summary>Its firmware never ends.</summary>
    Hangs,

    /// <summary>Something that decides it is not known.</summary>
    NotKnown,
}

/// <summary>The outcomes' names in JSON.</summary>
public static class GuestOutcomes
{
    /// <summary>An outcome's name.</summary>
    public static string NameOf(this GuestOutcome outcome) => outcome switch
    {
        GuestOutcome.Boots => "boots",
        GuestOutcome.Halts => "halts",
        GuestOutcome.Refused => "refused",
        GuestOutcome.GivesUp => "gives-up",
        GuestOutcome.Panics => "panics",
        GuestOutcome.Hangs => "hangs",
        GuestOutcome.NotKnown => "not-known",
    };
}

/// <summary>How far a guest gets.</summary>
/// <param name="Message">In the toolstack's words; null where it says nothing.</param>
public readonly record struct GuestVerdict(GuestOutcome Outcome, string? Message);

/// <summary>The windows that ACPI tells the operating system for PCI devices, in bytes; null for one that it does not tell.</summary>
public sealed record AcpiWindows(ByteRange? Hole32, ByteRange? Hole64)
{
    /// <summary>The configuration space in memory: ACPI keeps it out of the windows. Empty where there is none.</summary>
    public ByteRange Mmconfig { get; init; }

    /// <summary>Address bits of the processor: Linux leaves out what ACPI tells beyond them. 0 where they are not known.</summary>
    public int AddressBits { get; init; }
}

/// <summary>What a guest's firmware makes of its devices. <see cref="Plan.Entries"/> is then the map that it hands to the operating system.</summary>
/// <param name="Name">seabios, ovmf, hvmloader …</param>
/// <param name="Version">The release, as its makers write it.</param>
/// <param name="Outcome">How far the guest gets under it.</param>
public sealed record FirmwareReport(string Name, string Version, GuestOutcome Outcome)
{
    /// <summary>Which of the firmwares that a guest's owner chooses from; null for what comes before them, as hvmloader does.</summary>
    public FirmwareName? Choice { get; init; }

    /// <summary>What it says, or the virtual machine monitor where that refuses; null where it says nothing.</summary>
    public string? Message { get; init; }

    /// <summary>Where each BAR lies, the bridges' windows, and from which windows they were taken; null where the guest never gets there.</summary>
    public PciPlacement? Placement { get; init; }

    /// <summary>Null where the guest has no ACPI or never gets there.</summary>
    public AcpiWindows? AcpiWindows { get; init; }

    /// <summary>Parts of the map in which what the firmware keeps cannot be told beforehand, in order of their addresses.</summary>
    public ImmutableArray<UnsettledRange> Unsettled { get; init => field = Given.Array(value); } = [];
}

/// <summary>A part of a guest's map of which it is not known what the firmware keeps there. What the map says of it may come out otherwise.</summary>
/// <param name="Range">In bytes.</param>
/// <param name="Why">A sentence without a full stop.</param>
public readonly record struct UnsettledRange(ByteRange Range, string Why)
{
    internal Problem ToProblem() => new(
        Severity.Info, ProblemCodes.MapNotSettled, $"the map may come out otherwise in one part: {Why}", Range.Start, Range.End);
}
