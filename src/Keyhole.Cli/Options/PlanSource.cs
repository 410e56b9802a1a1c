// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;
using Keyhole.Captures;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Planning;
using Keyhole.Platforms;

namespace Keyhole.Cli.Options;

/// <summary>Host, guest and policy options together: what every verb needs that starts from a plan.</summary>
internal sealed class PlanSource
{
    private readonly HostSource _host = new();
    private readonly GuestSource _guest = new();
    private readonly PolicyOption _policy = new("libxl");
    private readonly QemuOptions _qemu = new();

    public HostSource Host => _host;

    public GuestSource Guest => _guest;

    public PolicyOption Policy => _policy;

    public void AddTo(Command command)
    {
        _policy.AddTo(command);
        _host.AddTo(command);
        _guest.AddTo(command);
        _qemu.AddTo(command);
    }

    public Parsed<PlanInput> Read(ParseResult parsed, CommandConsole console)
    {
        if (!_policy.Read(parsed).TryGet(out PolicyChoice? choice, out InputError? error))
            return error;
        if (!_guest.Read(parsed, console).TryGet(out GuestSpec? guest, out error))
            return error;
        if (!_guest.ReadBars(parsed, console, guest).TryGet(out BarList? bars, out error))
            return error;
        if (!_qemu.Read(parsed).TryGet(out QemuSurroundings? around, out error))
            return error;
        // Firmware gives a guest's windows addresses of its own: then the host's map is of no need.
        bool needsHost = _host.IsNamed(parsed) || Planner.PlatformOf(guest).Traits.KeepsHostAddresses || !Planner.PlatformOf(guest).Traits.IsOvercommitted;
        if (!_host.Read(parsed, console).TryGet(out HostDocument? host, out error))
        {
            if (needsHost)
                return error;
            host = HostDocument.Unknown;
        }

        var scenario = new Scenario { Host = host.Host, HostName = host.Description, Guest = guest, Bars = bars.Bars, Policy = choice.Policy, Qemu = around with { Devices = bars.Devices, Bars = bars.Sizes } };
        if (!choice.Policy.Traits.IsToolstacksOwn && !Planner.PlatformOf(scenario).UsesPolicy(scenario))
            console.Remark($"--policy {choice.Policy.Name} has no effect: the guest's map does not follow the host's; of a PV guest it does with e820_host=1 (--e820-host) or a pci= entry (--pci)");
        return new PlanInput(scenario, host);
    }
}

/// <summary>What the options come to, and the document that the host stands in.</summary>
internal sealed record PlanInput(Scenario Scenario, HostDocument Host);
