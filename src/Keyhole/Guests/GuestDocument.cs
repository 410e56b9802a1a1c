// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>A guest with the file that it was read from: what stood there beside it, so that nothing is lost when it is written again.</summary>
public sealed record GuestDocument
{
    /// <summary>The guest itself. A writer brings the file up to date with it.</summary>
    public required GuestSpec Guest { get; init => field = Given.NotNull(value); }

    /// <summary>xl.cfg's keys that are carried along as they are, in the file's order; empty for other formats.</summary>
    public ImmutableArray<GuestSetting> OtherSettings { get; init => field = Given.Array(value); } = [];

    /// <summary>The libvirt domain XML that the guest was read from, or null. The writer of that format starts from it.</summary>
    public string? LibvirtXml { get; init; }

    /// <summary>Remarks for the user that are no errors, such as keys that xl does not know. Foreign text in them is fit for one line.</summary>
    public ImmutableArray<string> Remarks { get; init => field = Given.Array(value); } = [];

    /// <summary>The first line, counted from 1, of a text that people wrote or copied around the guest; null where the file holds the guest alone.
    /// What is read out of such a text is to be looked at: no toolstack reads it.</summary>
    public int? LineAround { get; init; }

    /// <summary>Why nothing is to be done to a guest that was read out of a text; null where the file holds the guest alone.</summary>
    /// <param name="source">What the error calls the file.</param>
    public InputError? WhyNotActedOn(string source) => LineAround is not { } line ? null : InputError.NotSupported(
        source, line, "there is other text around the guest's configuration", "give a file with the configuration alone");

    /// <summary>A guest that stands in no file.</summary>
    public static GuestDocument Of(GuestSpec guest) => new() { Guest = guest };

    /// <inheritdoc/>
    public bool Equals(GuestDocument? other) =>
        other is not null && Guest == other.Guest && OtherSettings.SequenceEqual(other.OtherSettings) && LibvirtXml == other.LibvirtXml
            && Remarks.SequenceEqual(other.Remarks) && LineAround == other.LineAround;

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Guest, OtherSettings.Length, LibvirtXml, Remarks.Length);
}

/// <summary>A setting of an xl.cfg that Keyhole carries along. The value is in xl.cfg's syntax.</summary>
public sealed record GuestSetting(string Key, string Value);

/// <summary>A guest written down, with what the format could not say.</summary>
public sealed record GuestText(string Text, ImmutableArray<string> Remarks)
{
    /// <inheritdoc/>
    public bool Equals(GuestText? other) => other is not null && Text == other.Text && Remarks.SequenceEqual(other.Remarks);

    /// <inheritdoc/>
    public override int GetHashCode() => Text.GetHashCode(StringComparison.Ordinal);
}
