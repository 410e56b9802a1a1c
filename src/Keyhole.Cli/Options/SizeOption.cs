// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.CommandLine;
using System.Globalization;
using Keyhole.Addresses;
using Keyhole.Diagnostics;

namespace Keyhole.Cli.Options;

/// <summary>A size of memory: with a unit (3G, 512M, 3GiB), in bytes (0x…), or a bare number of MiB. Whole pages, and no less than 1 MiB.</summary>
internal sealed class SizeOption : Option<string?>
{
    /// <summary>64 TiB: no Linux takes more.</summary>
    public const ulong MostOfGuest = 64UL << 40;

    private const ulong LeastBytes = 1UL << 20;

    /// <summary>A bare number is MiB.</summary>
    private const int UsualShift = 20;

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
        bool isRead = TryParse(text, out ulong bytes);
        if (!isRead && !IsNumber(text))
        {
            string forms = NumberForms.WholeOf(text, UsualShift) ?? "3G, 512M or 3GiB (of 1024), or bytes as 0xc0000000";
            return InputError.Malformed(Name, null, WhyNot(text), $"write {forms}; a bare number is MiB");
        }

        if (!isRead || bytes < LeastBytes || bytes > _mostBytes)
            return InputError.OutOfRange(Name, null, $"{InputError.Quote(text)} is not a size that fits",
                $"give 1M to {_mostBytes >> 40}T; a bare number is MiB");
        if (bytes % Frames.SizeBytes != 0)
            return InputError.OutOfRange(Name, null, $"{InputError.Quote(text)} is not a whole number of pages", "give a multiple of 4K");
        sizeBytes = bytes;
        return null;
    }

    /// <summary>Whether it is a number, however large.</summary>
    private static bool IsNumber(ReadOnlySpan<char> text)
    {
        text = text.Trim();
        _ = PhysicalAddress.TryUnit(ref text, out _);
        return !text.IsEmpty && text.IndexOfAnyExceptInRange('0', '9') < 0;
    }

    private static ErrorText WhyNot(string text)
    {
        if (NumberForms.IsFraction(text, UsualShift, out _, out _))
            return $"{InputError.Quote(text)} has a fraction, and sizes are whole numbers";
        return NumberForms.HasUnknownUnit(text) ? (ErrorText)$"{InputError.Quote(text)} {NumberForms.UnknownUnit}"
            : (ErrorText)$"{InputError.Quote(text)} is not a size";
    }

    private static bool TryParse(ReadOnlySpan<char> text, out ulong bytes)
    {
        text = PhysicalAddress.WithoutUnderscores(text.Trim());
        if (text.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
            return ulong.TryParse(text[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out bytes);
        if (!PhysicalAddress.TryUnit(ref text, out int shift))
            shift = UsualShift;
        if (!ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out bytes)
            || bytes > ulong.MaxValue >> shift)
            return false;
        bytes <<= shift;
        return true;
    }
}
