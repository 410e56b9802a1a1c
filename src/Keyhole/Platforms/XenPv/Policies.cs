// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;

namespace Keyhole.Platforms.XenPv;

/// <summary>The policies there are.</summary>
public static class Policies
{
    /// <summary>Each once; those with a parameter without it.</summary>
    public static ImmutableArray<IHolePolicy> All { get; } =
    [
        new LibxlPolicy(),
        new LibxlFixedPolicy(),
        new PunchPolicy(),
        new MinimalPolicy(),
        new HoleAtPolicy(),
        new GuestMergePolicy(),
        new Hole3GPolicy(),
    ];

    /// <summary>The policy of that name, with its parameter if it has one (hole-at:0x80000000), or null.</summary>
    public static IHolePolicy? Find(string name) => Parse(name, null, out IHolePolicy? policy) is null ? policy : null;

    /// <summary>Reads a policy's name: one of <see cref="All"/>, or <c>hole-at:ADDR</c> with the address in hex.</summary>
    /// <param name="holeStart">The parameter of hole-at where the name has none.</param>
    /// <param name="policySource">What errors call the source of the name.</param>
    /// <param name="holeSource">What errors call the source of <paramref name="holeStart"/>.</param>
    /// <returns>The error; null when <paramref name="policy"/> was found.</returns>
    public static InputError? Parse(string text, string? holeStart, out IHolePolicy? policy, string policySource = "the policy",
        string holeSource = "the hole")
    {
        ArgumentNullException.ThrowIfNull(text);
        policy = null;
        string? address = holeStart;
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        // "punch:…" is nobody's name: a parameter is read where one is taken.
        policy = All.FirstOrDefault(candidate => candidate.Name == text)
            ?? (colon < 0 ? null : All.FirstOrDefault(candidate => candidate.Traits.TakesHoleStart && candidate.Name == text[..colon]));
        if (policy is not null && policy.Name != text)
        {
            if (holeStart is not null)
                return InputError.Repeated(holeSource, null, "the policy's name says already where the hole starts", "say it once");
            address = text[(colon + 1)..];
        }

        if (policy is null)
            return InputError.UnknownWord(policySource, null, $"{InputError.Quote(text)} is not a policy",
                $"take one of {string.Join(' ', All.Select(static known => known.Name))}; hole-at takes an address, as in hole-at:0x80000000");
        if (address is null)
            return null;
        if (!policy.Traits.TakesHoleStart)
            return InputError.Conflict(holeSource, null, $"the policy {policy.Name} places its holes itself", $"take {Setting.Policy} hole-at");
        if (ParseHoleStart(address, holeSource, out ulong start) is { } error)
            return error;
        policy = policy.WithHoleAt(start);
        return null;
    }

    /// <summary>All policies, the hole of those whose start is left open at <paramref name="holeStart"/>, in hex.</summary>
    /// <returns>The error; null when the address is one for a hole.</returns>
    public static InputError? WithHoleAt(string holeStart, out ImmutableArray<IHolePolicy> policies, string holeSource = "the hole")
    {
        ArgumentNullException.ThrowIfNull(holeStart);
        policies = All;
        if (ParseHoleStart(holeStart, holeSource, out ulong start) is { } error)
            return error;
        policies = [.. All.Select(policy => policy.WithHoleAt(start))];
        return null;
    }

    private static InputError? ParseHoleStart(string text, string source, out ulong address)
    {
        ReadOnlySpan<char> digits = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase) ? text.AsSpan(2) : text;
        return Reading.TextCursor.TryHexNumber(digits, out address)
            && address >= Frames.SizeBytes && address < Frames.FourGiB
            ? null
            : InputError.OutOfRange(source, null, $"{InputError.Quote(text)} is not a start for a hole",
                "give a hex address between 1000 and fffff000, such as 0x80000000");
    }
}
