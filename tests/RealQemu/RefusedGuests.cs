// SPDX-License-Identifier: GPL-2.0-only

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

    private const string NoSlots = "no slots where allocated, please specify the 'slots' option";
    private const string OtherSize = "Machine memory size does not match the size of the memory backend";

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
        ("-M q35 -m 1G -device pxb-pcie,id=x,bus_nr=20 -device pcie-root-port,id=a,bus=x,chassis=1 -device ioh3420,id=b,bus=pcie.0,chassis=1",
            NoRoom),
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

        // Names.
        ("-M q35 -m 1G -device pci-testdev,id=a -device pci-testdev,id=a", "Duplicate ID 'a' for device"),
        ("-M q35 -m 1G -device pcie-root-port,id=a -device isa-serial,id=a", "Duplicate ID 'a' for device"),
        ("-M q35 -m 1G -device pci-testdev,id=a -device {\"driver\":\"pci-testdev\",\"id\":\"a\"}", "Duplicate device ID 'a'"),
        ("-M q35 -m 1G -device pci-testdev -device pci-testdev", null),
        ($"-M q35 -m 1G {Memory("m", "1G")} {Memory("m", "1G")}", "Duplicate ID 'm' for object"),
        ($"-M q35 -m 1G {Memory("m", "1G")} -object iothread,id=m", "Duplicate ID 'm' for object"),
        ($"-M q35 -m 1G {Memory("m", "1G")} -device ivshmem-plain,id=m,memdev=m", null),
        ("-M q35 -m 1G -netdev user,id=n -netdev user,id=n", "Duplicate ID 'n' for netdev"),
        ("-M q35 -m 1G -drive id=x,if=none -drive id=x,if=none", "Duplicate ID 'x' for drive"),
        ("-M q35 -m 1G -chardev null,id=x -chardev null,id=x", "Duplicate ID 'x' for chardev"),
        ("-M q35 -m 1G -chardev null,id=x -netdev user,id=x -drive id=x,if=none -device pci-testdev,id=x", null),

        // The guest's own memory.
        ("-M q35 -m 1G,slots=2", "slots specified but no max-size"),
        ("-M pc-q35-4.0 -m 1G,slots=2", "slots specified but no max-size"),
        ("-M q35 -m 1G,slots=2,maxmem=1G", "invalid value of maxmem: memory slots were specified but maximum memory size (0x40000000) is equal to "
            + "the initial memory size (0x40000000)"),
        ("-M q35 -m 1G,slots=0,maxmem=1G", null),
        ("-M q35 -m 1G,maxmem=4G", null),
        ("-M q35 -m 1G,slots=256,maxmem=4G", null),
        ($"-M q35 {Memory("m", "2G")} -machine memory-backend=m", null),
        ($"-M q35 -m 2G {Memory("m", "2G")} -machine memory-backend=m", null),
        ($"-M q35 -m 1G {Memory("m", "2G")} -machine memory-backend=m", OtherSize),
        ($"-M q35 -m 3G {Memory("m", "2G")} -machine memory-backend=m", OtherSize),
        ("-M q35 -m 2G -machine memory-backend=m", "Memory backend 'm' not found"),

        // Memory that is plugged in.
        ($"-M q35 -m 1G {Module("m", "1G")}", NoSlots),
        ($"-M q35 -m 1G,maxmem=4G {Module("m", "8G")}", NoSlots),
        ($"-M q35 -m 1G,slots=1,maxmem=3G {Module("m", "4G")}",
            "not enough space, currently 0x0 in use of total space for memory devices 0x80000000"),
        ($"-M q35 -m 1G,slots=1,maxmem=3G {Module("m", "2G")}", null),
        ($"-M q35 -m 1G,slots=2,maxmem=3G {Module("m", "1G")} {Module("n", "2G")}",
            "not enough space, currently 0x40000000 in use of total space for memory devices 0x80000000"),
        ($"-M q35 -m 1G,slots=1,maxmem=4G {Module("m", "1G")} {Module("n", "128M")}", "no free slots available"),
        ($"-M q35 -m 1G,slots=2,maxmem=4G {Module("m", "1G")} -device pc-dimm,memdev=m", "can't use already busy memdev: m"),
        ("-M q35 -m 1G,slots=2,maxmem=4G -device pc-dimm,memdev=m", "Device 'm' not found"),
        ($"-M q35 -m 1G,slots=2,maxmem=4G {Module("m", "1G")},slot=2", "invalid slot number 2, valid range is [0-1]"),
        ($"-M q35 -m 1G,slots=2,maxmem=4G {Module("m", "1G")},slot=0 {Module("n", "128M")},slot=0", "slot 0 is busy"),
        ($"-M q35 -m 1G,slots=2,maxmem=4G {Module("m", "1G")},slot=1 {Module("n", "128M")},slot=-1", null),
        ($"-M q35 -m 1G,maxmem=4G {Memory("m", "1G")} -device virtio-mem-pci,memdev=m", null),
        ($"-M q35 -m 1G {Memory("m", "1G")} -device virtio-mem-pci,memdev=m",
            "memory devices (e.g. for memory hotplug) are not enabled, please specify the maxmem option"),
        ($"-M q35 -m 1G,slots=4,maxmem=3G {Module("m", "512M")} {Memory("n", "1G")} -device virtio-pmem-pci,memdev=n {Module("o", "1G")}",
            "not enough space, currently 0x60000000 in use of total space for memory devices 0x80000000"),
        ($"-M q35 -m 1G,slots=4,maxmem=3G {Module("m", "512M")} {Memory("n", "1G")} -device virtio-pmem-pci,memdev=n {Module("o", "512M")}", null),
    ];

    private static string Memory(string id, string size) => $"-object memory-backend-ram,id={id},size={size}";

    private static string Module(string id, string size) => $"{Memory(id, size)} -device pc-dimm,memdev={id}";

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
