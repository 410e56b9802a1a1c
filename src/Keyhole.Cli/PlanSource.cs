// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;
using System.CommandLine.Completions;
using System.Linq;
using Keyhole.Guests;
using Keyhole.HolePolicies;
using Keyhole.Hosts;
using Keyhole.Planning;
using Keyhole.Reading;

namespace Keyhole.Cli;

/// <summary>Host, guest and policy options together: what every verb needs that starts from a plan.</summary>
internal sealed class PlanSource
{
    private readonly HostSource _host = new();
    private readonly GuestSource _guest = new();
    private readonly Option<string> _policy = new("--policy")
    {
        Description = "How to lay the map out: libxl does what the real libxl does; libxl-fixed, punch, minimal, hole-at[:ADDR], guest-merge, hole-3g (docs/policies.md).",
        HelpName = "POLICY",
        DefaultValueFactory = static _ => "libxl",
    };

    private readonly Option<string?> _hole = new("--hole")
    {
        Description = "Where the hole of hole-at starts (hex); the host's own hole if not given.",
        HelpName = "ADDR",
    };

    public PlanSource() => _policy.CompletionSources.Add(static _ => Policies.All.Select(static policy => new CompletionItem(policy.Name)));

    public HostSource Host => _host;

    public void AddTo(Command command)
    {
        command.Options.Add(_policy);
        command.Options.Add(_hole);
        _host.AddTo(command);
        _guest.AddTo(command);
    }

    public Parsed<MapPlan> Read(ParseResult parsed, CommandConsole console)
    {
        if (Policies.Parse(parsed.GetValue(_policy)!, parsed.GetValue(_hole), out IHolePolicy? policy) is { } unknown)
            return unknown;
        if (!_guest.Read(parsed, console).TryGet(out GuestSpec? guest, out InputError? error))
            return error;
        if (!_guest.ReadBars(parsed, console, guest).TryGet(out BarList? bars, out error))
            return error;
        if (!_host.Read(parsed, console).TryGet(out HostMemoryMap? host, out error))
            return error;
        return Planner.Plan(host, guest, policy!, bars.Bars);
    }
}
