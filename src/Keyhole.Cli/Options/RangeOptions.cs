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

/// <summary>Ranges of addresses, A-B each; the option may be given again.</summary>
internal sealed class RangesOption : Option<string[]>
{
    public RangesOption(string name, string description)
        : base(name)
    {
        Description = description;
        HelpName = "A-B";
    }

    /// <summary>The ranges in the order given; or why one is not a range.</summary>
    public InputError? Read(ParseResult parsed, out ImmutableArray<ByteRange> ranges)
    {
        ranges = [];
        var read = ImmutableArray.CreateBuilder<ByteRange>();
        foreach (string text in parsed.GetValue(this) ?? [])
        {
            if (!AddressRange.TryParse(text, out ulong start, out ulong end))
                return AddressRange.Error(Name, text);
            read.Add(ByteRange.FromBounds(start, end));
        }

        ranges = read.ToImmutable();
        return null;
    }
}

/// <summary>Memory windows of devices, A-B each; the option may be given again.</summary>
internal sealed class WindowsOption : Option<string[]>
{
    public WindowsOption(string name, string description)
        : base(name)
    {
        Description = description;
        HelpName = "A-B";
    }

    /// <summary>The windows in the order given; or why one is not a window.</summary>
    public InputError? Read(ParseResult parsed, out ImmutableArray<Bar> windows)
    {
        windows = [];
        var read = ImmutableArray.CreateBuilder<Bar>();
        foreach (string text in parsed.GetValue(this) ?? [])
        {
            if (!Bar.ParseRange(text, Name).TryGet(out Bar? window, out InputError? error))
                return error;
            read.Add(window);
        }

        windows = read.ToImmutable();
        return null;
    }
}
