// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;
using System.CommandLine.Completions;
using System.Linq;
using Keyhole.HolePolicies;
using Keyhole.Reading;

namespace Keyhole.Cli;

/// <summary><c>--policy</c>: how to lay a map out.</summary>
internal sealed class PolicyOption
{
    private readonly Option<string> _policy;

    /// <param name="fallback">The policy to take where the user names none.</param>
    public PolicyOption(string fallback)
    {
        _policy = new("--policy")
        {
            Description = "How to lay the map out: libxl does what the real libxl does.",
            HelpName = "POLICY",
            DefaultValueFactory = _ => fallback,
        };
        _policy.CompletionSources.Add(static _ => Policies.All.Select(static policy => new CompletionItem(policy.Name)));
    }

    public void AddTo(Command command) => command.Options.Add(_policy);

    public Parsed<PolicyChoice> Read(ParseResult parsed)
    {
        string name = parsed.GetValue(_policy)!;
        return Policies.Find(name) is { } policy
            ? new PolicyChoice(policy)
            : new InputError("--policy", null, $"{InputError.Quote(name)} is no policy", $"take one of {string.Join(' ', Policies.All.Select(static policy => policy.Name))}");
    }
}

/// <summary>The policy that the user chose.</summary>
internal sealed record PolicyChoice(IHolePolicy Policy);
