// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.CommandLine;
using System.CommandLine.Completions;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;

namespace Keyhole.Cli.Options;

/// <summary><c>--policy</c> and <c>--hole</c>: how to lay a map out.</summary>
internal sealed class PolicyOption
{
    private readonly Option<string> _policy;

    private readonly Option<string?> _hole = CreateHole();

    /// <param name="fallback">The policy to take where the user names none.</param>
    public PolicyOption(string fallback)
    {
        _policy = new("--policy")
        {
            Description =
                "How to lay the map out: libxl does what the real libxl does; libxl-fixed, punch, minimal, hole-at[:ADDR], "
                    + "guest-merge, hole-3g (docs/policies.md).",
            HelpName = "POLICY",
            DefaultValueFactory = _ => fallback,
        };
        _policy.CompletionSources.Add(static _ => Policies.All.Select(static policy => new CompletionItem(policy.Name)));
    }

    /// <summary><c>--hole</c> for a verb that takes every policy.</summary>
    public static Option<string?> CreateHole() => new("--hole")
    {
        Description = "Where the hole of hole-at starts (hex, or with a unit: 3G); the host's own hole if not given.",
        HelpName = "ADDR",
    };

    public void AddTo(Command command)
    {
        command.Options.Add(_policy);
        command.Options.Add(_hole);
    }

    /// <summary>The first of these options that is given; null when none is.</summary>
    public string? FirstGiven(ParseResult parsed)
    {
        Option[] all = [_policy, _hole];
        return System.Array.Find(all, option => parsed.GetResult(option) is { Implicit: false })?.Name;
    }

    /// <summary>Whether the user names a policy or a hole.</summary>
    public bool IsNamed(ParseResult parsed) => FirstGiven(parsed) is not null;

    /// <summary>The same choice as words of a command line.</summary>
    public ImmutableArray<string> Words(ParseResult parsed) =>
        parsed.GetValue(_hole) is { } hole ? [_policy.Name, parsed.GetValue(_policy)!, _hole.Name, hole] : [_policy.Name, parsed.GetValue(_policy)!];

    public Parsed<PolicyChoice> Read(ParseResult parsed) =>
        Policies.Parse(InHex(parsed.GetValue(_policy)!), parsed.GetValue(_hole) is { } hole ? InHex(hole) : null, out IHolePolicy? policy, "--policy",
            "--hole") is { } unknown ? unknown : new PolicyChoice(policy!);

    /// <summary>A hole that is given with a unit (3G, hole-at:3G) as the policies have it, in hex; anything else as it is.</summary>
    public static string InHex(string text)
    {
        int colon = text.IndexOf(':', System.StringComparison.Ordinal);
        System.ReadOnlySpan<char> number = System.MemoryExtensions.AsSpan(text, colon + 1);
        return PhysicalAddress.TryUnit(ref number, out _) && PhysicalAddress.TryParse(text[(colon + 1)..], out ulong address)
            ? string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{text[..(colon + 1)]}0x{address:x}")
            : text;
    }
}

/// <summary>The policy that the user chose.</summary>
internal sealed record PolicyChoice(IHolePolicy Policy);
