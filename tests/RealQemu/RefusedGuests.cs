// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using Keyhole.Guests;
using Keyhole.RealMachine;

namespace Keyhole.RealQemu;

/// <summary>Command lines that QEMU 7.2 refuses before any firmware runs, beside the like that it takes, each as it was seen to do.</summary>
public static class RefusedGuests
{
    private const string NoRoom = "Can't add chassis slot, error -16";
    private const string NoChassis = "Bridge chassis not specified. Each bridge is required to be assigned a unique chassis id > 0.";
    private const string Port = "-device pcie-root-port,id=p -device x3130-upstream,id=u,bus=p ";

    /// <summary>Arguments, and the words in which QEMU refuses them; null for what it takes.</summary>
    public static IReadOnlyList<(string Arguments, string? Words)> All { get; } =
    [
        // Ports and bridges.
        ("-M q35 -m 1G -device pcie-root-port,id=a -device pcie-root-port,id=b", NoRoom),
        ("-M q35 -m 1G -device pcie-root-port -device pcie-root-port", NoRoom),
        ("-M q35 -m 1G -device pcie-root-port,id=a -device ioh3420,id=b", NoRoom),
        ("-M q35 -m 1G -device pcie-root-port,id=a,chassis=0x0 -device ioh3420,id=b,chassis=1", null),
        ("-M q35 -m 1G -device pcie-root-port,id=a,slot=1 -device pcie-root-port,id=b,slot=2", null),
        ("-M q35 -m 1G -device pcie-root-port,id=a,chassis=1,slot=1 -device pcie-root-port,id=b,chassis=1,slot=1", NoRoom),
        ("-M q35 -m 1G -device pcie-root-port,id=a,chassis=1,chassis=2 -device pcie-root-port,id=b,chassis=1", null),
        ("-M q35 -m 1G -device pxb-pcie,id=x,bus_nr=20 -device pcie-root-port,id=a,bus=x,chassis=1 -device ioh3420,id=b,bus=pcie.0,chassis=1", NoRoom),
        ("-M q35 -m 1G -global pcie-root-port.chassis=3 -device pcie-root-port,id=a -device pcie-root-port,id=b,chassis=3", NoRoom),
        ("-M q35 -m 1G -global pcie-root-port-base.slot=3 -device pcie-root-port,id=a,chassis=1 -device ioh3420,id=b,chassis=1", NoRoom),
        ($"-M q35 -m 1G {Port}-device xio3130-downstream,id=d,bus=u", NoRoom),
        ($"-M q35 -m 1G {Port}-device xio3130-downstream,id=d,bus=u,chassis=1 -device xio3130-downstream,id=e,bus=u,chassis=1", NoRoom),
        ($"-M q35 -m 1G {Port}-device xio3130-downstream,id=d,bus=u,chassis=1 -device xio3130-downstream,id=e,bus=u,chassis=1,slot=1", null),
        ("-M q35 -m 1G -device pcie-root-port,id=a,chassis=256", "Parameter 'chassis' expects uint8_t"),
        ("-M q35 -m 1G -device pcie-root-port,id=a,slot=65536", "Parameter 'slot' expects uint16_t"),
        ("-M q35 -m 1G -device pcie-root-port,id=a,port=256", "Parameter 'port' expects uint8_t"),
        ("-M pc -m 1G -device pci-bridge,id=b", NoChassis),
        ("-M pc -m 1G -device pci-bridge-seat,id=b", NoChassis),
        ("-M pc -m 1G -device pci-bridge,id=b,chassis_nr=0,shpc=off", NoChassis),
        ("-M pc -m 1G -global pci-bridge.chassis_nr=1 -device pci-bridge,id=b", null),
        ("-M pc -m 1G -device pci-bridge,id=b,chassis_nr=1 -device pci-bridge,id=c,chassis_nr=1", null),
        ("-M pc -m 1G -device pci-bridge,id=b,chassis_nr=256", "Parameter 'chassis_nr' expects uint8_t"),
        ("-M pc -m 1G -device i82801b11-bridge,id=b", null),
        ("-M q35 -m 1G -device pcie-pci-bridge,id=b", null),
        ("-M pc -m 1G -device pxb,id=x,bus_nr=20", null),
    ];

    /// <summary>What the real QEMU says to arguments as it ends; null where it starts.</summary>
    /// <exception cref="HarnessException">It is not to be had.</exception>
    public static string? Ask(IEnumerable<string> arguments)
    {
        using Process process = Tool.Start("/", "timeout", ["--signal=KILL", "60", .. EmulatorRelease.Named("7.2").Command(), "-nodefaults",
            "-no-user-config", "-accel", "tcg", "-display", "none", "-S", "-qmp", "stdio", .. arguments]);
        System.Threading.Tasks.Task<string> said = process.StandardError.ReadToEndAsync();
        var monitor = new QemuMonitor(process.StandardOutput, process.StandardInput);
        bool isStarted = monitor.TryBegin();
        if (isStarted)
            process.Kill();
        process.WaitForExit();
        return isStarted ? null : said.Result.Trim();
    }

    /// <summary>What the command lines have as -device, as it is forecast; those that are passed through stand for test devices, which need no
    /// host.</summary>
    internal static IEnumerable<string> Arguments(IEnumerable<QemuDevice> devices) => devices.SelectMany(static device => new[]
    {
        "-device", string.Join(',', [HostFunctions.IsOne(device) ? "pci-testdev" : device.Driver, .. device.Properties
            .Where(static property => property.Name != "host" && property.Value.Length > 0)
            .Select(static property => $"{property.Name}={property.Value}")]),
    });
}
