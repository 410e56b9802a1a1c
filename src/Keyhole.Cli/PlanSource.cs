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
        Description = "How to lay the map out: libxl does what the real libxl does.",
        HelpName = "POLICY",
        DefaultValueFactory = static _ => "libxl",
    };

    public PlanSource() => _policy.CompletionSources.Add(static _ => Policies.All.Select(static policy => new CompletionItem(policy.Name)));

    public HostSource Host => _host;

    public GuestSource Guest => _guest;

    public void AddTo(Command command)
    {
        command.Options.Add(_policy);
        _host.AddTo(command);
        _guest.AddTo(command);
    }

    public Parsed<MapPlan> Read(ParseResult parsed, CommandConsole console)
    {
        string name = parsed.GetValue(_policy)!;
        if (Policies.Find(name) is not { } policy)
            return new InputError("--policy", null, $"{InputError.Quote(name)} is no policy", $"take one of {string.Join(' ', Policies.All.Select(static policy => policy.Name))}");
        if (!_guest.Read(parsed, console).TryGet(out GuestSpec? guest, out InputError? error))
            return error;
        if (!_guest.ReadBars(parsed, console, guest).TryGet(out BarList? bars, out error))
            return error;
        if (!_host.Read(parsed, console).TryGet(out HostMemoryMap? host, out error))
            return error;
        return Planner.Plan(host, guest, policy, bars.Bars);
    }
}
