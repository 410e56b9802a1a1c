// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Dom0;
using Keyhole.Guests;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;

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

    /// <param name="given">A map of the guest's own, in the place of a policy's; null for none.</param>
    public Parsed<PlanInput> Read(ParseResult parsed, CommandConsole console, GuestMap? given = null)
    {
        if (!_policy.Read(parsed).TryGet(out PolicyChoice? choice, out InputError? error))
            return error;
        ulong? otherwiseKiB = given is { } map ? LiveMap.PagesOfRam(map.Entries) << (Frames.Shift - 10) : null;
        if (!_guest.Read(parsed, console, otherwiseKiB).TryGet(out GuestDocument? document, out error))
            return error;
        GuestSpec guest = document.Guest;
        if (given is not null && !Planner.PlatformOf(guest).Traits.TakesPolicies)
            return InputError.NotSupported("--guest-map", null,
                "the guest is not a PV guest: its map is its firmware's, and no other can be given to it",
                "leave it out, or take a PV guest");
        if (given is not null)
            guest = guest with { E820Host = true };
        if (!_guest.ReadBars(parsed, console, guest).TryGet(out BarList? bars, out error))
            return error;
        if (!_qemu.Read(parsed).TryGet(out QemuSurroundings? around, out error))
            return error;
        HostDocument? host = HostDocument.Unknown;
        if ((given is null || _host.IsNamed(parsed)) && !ReadHost(parsed, console, _host, guest).TryGet(out host, out error))
            return error;
        var scenario = new Scenario
        {
            Host = host.Host,
            HostName = host.Description,
            Guest = guest,
            Bars = bars.Bars,
            Policy = given is null ? choice.Policy : new GivenMapPolicy(given.Entries) { Missing = given.Missing },
            Qemu = Around(around, bars),
        };
        if (!choice.Policy.Traits.IsToolstacksOwn && !Planner.PlatformOf(scenario).UsesPolicy(scenario))
            console.Remark(
                $"--policy {choice.Policy.Name} has no effect: the guest's map does not follow the host's; of a PV guest it does with e820_host=1 "
                    + $"(--e820-host) or a pci= entry (--pci)");
        return new PlanInput(scenario, host, document with { Guest = guest });
    }

    /// <summary>What is known around a guest of QEMU beside the host: what the user says, and the devices.</summary>
    public static QemuSurroundings Around(QemuSurroundings said, BarList bars)
    {
        return said with
        {
            Devices = bars.Devices,
            Bars = bars.Sizes,
        };
    }

    /// <summary>The host; none where the guest does not need one, nobody named it, and this machine tells none.</summary>
    public static Parsed<HostDocument> ReadHost(ParseResult parsed, CommandConsole console, HostSource source, GuestSpec guest)
    {
        PlatformTraits traits = Planner.PlatformOf(guest).Traits;
        // Firmware gives a guest's windows addresses of its own: then the host's map is of no need.
        bool needsMap = traits.KeepsHostAddresses || !traits.IsOvercommitted;
        bool needsHost = source.IsNamed(parsed) || needsMap;
        if (source.Read(parsed, console, needsNoMap: !needsMap).TryGet(out HostDocument? host, out InputError? error))
            return source.IsNamed(parsed) ? host : HostSource.AsThisMachine(host);
        return needsHost ? error : HostDocument.Unknown;
    }
}

/// <summary>What the options come to, and the documents that host and guest stand in.</summary>
internal sealed record PlanInput(Scenario Scenario, HostDocument Host, GuestDocument Guest);
