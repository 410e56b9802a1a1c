// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.CommandLine;
using System.Globalization;
using Keyhole.Addresses;
using Keyhole.Diagnostics;

namespace Keyhole.Cli.Options;

/// <summary>A size of memory: with a unit (3G, 512M, 8192K), in bytes (0x…), or a bare number of MiB. Whole pages, and no less than 1 MiB.</summary>
internal sealed class SizeOption : Option<string?>
{
    /// <summary>64 TiB: no Linux takes more.</summary>
    public const ulong MostOfGuest = 64UL << 40;

    private const ulong LeastBytes = 1UL << 20;
    private const string Units = "KMGT";

    private readonly ulong _mostBytes;

    /// <param name="description">What the size is of; the forms are added to it.</param>
    public SizeOption(string name, string description, ulong mostBytes)
        : base(name)
    {
        Description = $"{description} 3G, 512M; a bare number is MiB.";
        HelpName = "SIZE";
        _mostBytes = mostBytes;
    }

    public static SizeOption Memory(string description = "The guest's memory, instead of --guest or against it:") =>
        new("--memory", description, MostOfGuest);

    public static SizeOption Maxmem() => new("--maxmem", "Up to where the guest can balloon, the memory if not given:", MostOfGuest);

    public bool IsGiven(ParseResult parsed) => parsed.GetValue(this) is not null;

    /// <summary>The size in bytes, null where it is not given; or why it is not a size.</summary>
    public InputError? Read(ParseResult parsed, out ulong? sizeBytes)
    {
        sizeBytes = null;
        if (parsed.GetValue(this) is not { } text)
            return null;
        if (!TryParse(text, out ulong bytes) || bytes < LeastBytes || bytes > _mostBytes)
            return InputError.OutOfRange(Name, null, $"{InputError.Quote(text)} is not a size that fits",
                $"give 1M to {_mostBytes >> 40}T; a bare number is MiB");
        if (bytes % Frames.SizeBytes != 0)
            return InputError.OutOfRange(Name, null, $"{InputError.Quote(text)} is not a whole number of pages", "give a multiple of 4K");
        sizeBytes = bytes;
        return null;
    }

    private static bool TryParse(ReadOnlySpan<char> text, out ulong bytes)
    {
        text = PhysicalAddress.WithoutUnderscores(text.Trim());
        if (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
            return ulong.TryParse(text[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out bytes);
        int unit = text.IsEmpty ? -1 : Units.IndexOf(char.ToUpperInvariant(text[^1]), StringComparison.Ordinal);
        int shift = unit < 0 ? 20 : 10 * (unit + 1);
        if (!ulong.TryParse(unit < 0 ? text : text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out bytes)
            || bytes > ulong.MaxValue >> shift)
            return false;
        bytes <<= shift;
        return true;
    }
}
