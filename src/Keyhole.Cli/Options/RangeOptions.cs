// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.CommandLine;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Pci;

namespace Keyhole.Cli.Options;

/// <summary>A range of addresses, A-B.</summary>
internal sealed class RangeOption : Option<string?>
{
    /// <param name="description">What lies there; the form is added to it.</param>
    public RangeOption(string name, string description)
        : base(name)
    {
        Description = $"{description}: A-B, hex, B exclusive.";
        HelpName = "A-B";
    }

    /// <summary>Where the image of the kernel in question lies.</summary>
    public static RangeOption KernelSpan(string description) => new("--kernel-span", description);

    /// <summary>The range, or <paramref name="fallback"/> where it is not given; or why it is not a range.</summary>
    public InputError? Read(ParseResult parsed, ByteRange fallback, out ByteRange range)
    {
        range = fallback;
        if (parsed.GetValue(this) is not { } text)
            return null;
        if (!AddressRange.TryParse(text, out ulong start, out ulong end))
            return AddressRange.Error(Name, text);
        range = ByteRange.FromBounds(start, end);
        return null;
    }
}

/// <summary>An option with a range A-B that may be given again.</summary>
internal abstract class RepeatedRangeOption<T> : Option<string[]>
{
    protected RepeatedRangeOption(string name, string description)
        : base(name)
    {
        Description = description;
        HelpName = "A-B";
    }

    /// <summary>What was given, in that order; or why one is not right.</summary>
    public InputError? Read(ParseResult parsed, out ImmutableArray<T> all)
    {
        all = [];
        var read = ImmutableArray.CreateBuilder<T>();
        foreach (string text in parsed.GetValue(this) ?? [])
        {
            if (Parse(text, out T? one) is { } error)
                return error;
            read.Add(one!);
        }

        all = read.ToImmutable();
        return null;
    }

    protected abstract InputError? Parse(string text, out T? one);
}

/// <summary>Ranges of addresses.</summary>
internal sealed class RangesOption(string name, string description) : RepeatedRangeOption<ByteRange>(name, description)
{
    protected override InputError? Parse(string text, out ByteRange one)
    {
        bool isRange = AddressRange.TryParse(text, out ulong start, out ulong end);
        one = isRange ? ByteRange.FromBounds(start, end) : default;
        return isRange ? null : AddressRange.Error(Name, text);
    }
}

/// <summary>Memory windows of devices.</summary>
internal sealed class WindowsOption(string name, string description) : RepeatedRangeOption<Bar>(name, description)
{
    protected override InputError? Parse(string text, out Bar? one) => Bar.ParseRange(text, Name).TryGet(out one, out InputError? error) ? null
        : error;
}
