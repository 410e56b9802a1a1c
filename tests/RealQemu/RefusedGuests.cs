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

    private const string TooFew = "Invalid CPU topology: maxcpus must be equal to or greater than smp: ";
    private const string NoProduct = "Invalid CPU topology: product of the hierarchy must match maxcpus: ";

    private const string NoNvdimm = "nvdimm is not enabled: missing 'nvdimm' in '-M'";
    private const string NoSlots = "no slots where allocated, please specify the 'slots' option";
    private const string OtherSize = "Machine memory size does not match the size of the memory backend";

    /// <summary>Arguments, and the words in which QEMU refuses them; null for what it takes.</summary>
    public static IReadOnlyList<(string Arguments, string? Words)> All { get; } =
    [
        // Options.
        ("-M q35 -m 1G -soundhw hda", "-soundhw: invalid option"),
        ("-M q35 -m 1G --soundhw hda", "--soundhw: invalid option"),
        ("-M q35 -m 1G -localtime", "-localtime: invalid option"),
        ("-M q35 -m 1G -balloon none", "-balloon: invalid option"),
        ("-M q35 -m 1G -realtime mlock=off", "-realtime: invalid option"),
        ("-M q35 -m 1G -no-kvm", "-no-kvm: invalid option"),
        ("-M q35 -m 1G -sdl", "-sdl: invalid option"),
        ("-M q35 -m 1G -no-quit", "-no-quit: invalid option"),
        ("-M q35 -m 1G -watchdog i6300esb", "-watchdog: invalid option"),
        ("-M q35 -m 1G -redir tcp:5555::22", "-redir: invalid option"),
        ("-M q35 -m 1G -shim a", "-shim: invalid option"),
        ("-M q35 -m 1G -run-with chroot=/", "-run-with: invalid option"),
        ("-M q35 -m 1G -jitdump", "-jitdump: invalid option"),
        ("-M q35 -m 1G -enable_kvm", "-enable_kvm: invalid option"),
        ("-M q35 -m 1G -foobar x", "-foobar: invalid option"),
        ("-M q35 -m 1G -nodefault", "-nodefault: invalid option"),
        ("-M q35 -m 1G -old-param", "-old-param: Option not supported for this target"),
        ("-M q35 -m 1G -g 800x600x8", "-g 800x600x8: Option not supported for this target"),
        ("-M q35 -m 1G -semihosting", "-semihosting: Option not supported for this target"),
        ("-M q35 -m 1G -net nic,vlan=0", "Invalid parameter 'vlan'"),
        ("-M q35 -m 1G -netdev user,id=n,vlan=1", "Invalid parameter 'vlan'"),
        ("-M q35 -m 1G -net nic -netdev user,id=n", null),
        ("-M q35 -m 1G -portrait", null),
        ("-M q35 -m 1G -no-hpet", null),
        ("-M q35 -m 1G -no-acpi", null),
        ("-M q35 -m 1G --no-reboot", null),
        ("-M q35 -m 1G -singlestep", null),
        ("-M q35 -m 1G -msg guest-name=on", null),

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
        ($"-M q35 -m 1G,slots=1,maxmem=4G {Memory("m", "1G")} -device nvdimm,memdev=m", NoNvdimm),
        ($"-M q35,nvdimm=off -m 1G {Memory("m", "1G")} -device nvdimm,memdev=m", NoNvdimm),
        ("-M q35 -device nvdimm,memdev=m", "Device 'm' not found"),
        ($"-M q35 -machine nvdimm=on -m 1G,slots=1,maxmem=4G {Memory("m", "1G")} -device nvdimm,memdev=m", null),
        ($"-M q35,nvdimm=on -m 1G {Memory("m", "1G")} -device nvdimm,memdev=m", NoSlots),

        // Processors.
        ("-M q35 -smp 4,maxcpus=2", TooFew + "sockets (1) * dies (1) * cores (2) * threads (1) == maxcpus (2) < smp_cpus (4)"),
        ("-M q35,smp.maxcpus=2 -smp 4", TooFew + "sockets (1) * dies (1) * cores (2) * threads (1) == maxcpus (2) < smp_cpus (4)"),
        ("-M q35 -smp maxcpus=2 -smp 4", TooFew + "sockets (1) * dies (1) * cores (2) * threads (1) == maxcpus (2) < smp_cpus (4)"),
        ("-M q35 -smp 4,maxcpus=2 -smp 2", null),
        ("-M q35 -smp 4,sockets=1,cores=2,threads=1", NoProduct + "sockets (1) * dies (1) * cores (2) * threads (1) != maxcpus (4)"),
        ("-M q35 -smp 4,sockets=2,cores=2,threads=2", NoProduct + "sockets (2) * dies (1) * cores (2) * threads (2) != maxcpus (4)"),
        ("-M q35 -smp 2,maxcpus=4,sockets=1,cores=4", null),
        ("-M q35 -smp 5,sockets=2", NoProduct + "sockets (2) * dies (1) * cores (2) * threads (1) != maxcpus (5)"),
        ("-M pc-q35-6.1 -smp 5,cores=2", NoProduct + "sockets (2) * dies (1) * cores (2) * threads (1) != maxcpus (5)"),
        ("-M q35 -smp 6,sockets=2,dies=2,cores=2,threads=1", NoProduct + "sockets (2) * dies (2) * cores (2) * threads (1) != maxcpus (6)"),
        ("-M q35 -smp 8,sockets=2,dies=2,cores=2,threads=1", null),
        ("-M q35 -smp 4,sockets=5", NoProduct + "sockets (5) * dies (1) * cores (0) * threads (1) != maxcpus (4)"),
        ("-M q35 -smp cpus=4,maxcpus=8,threads=3", NoProduct + "sockets (1) * dies (1) * cores (2) * threads (3) != maxcpus (8)"),
        ("-M q35 -smp 4,cores=3 -smp 4", NoProduct + "sockets (1) * dies (1) * cores (3) * threads (1) != maxcpus (4)"),
        ("-M q35 -smp sockets=2,cores=2", null),
        ("-M q35 -smp maxcpus=8,sockets=2", null),
        ("-M q35 -smp 0", null),
        ("-M q35 -smp 4,sockets=0", null),
        ("-M q35 -smp 8,clusters=2", "clusters not supported by this machine's CPU topology"),
        ("-M q35 -smp 4,modules=2", "Parameter 'smp.modules' is unexpected"),
        ("-M q35 -smp 4,foo=1", "Parameter 'smp.foo' is unexpected"),
        ("-M q35 -smp 289", "Invalid SMP CPUs 289. The max CPUs supported by machine 'pc-q35-7.2' is 288"),
        ("-M q35 -smp 1,maxcpus=289", "Invalid SMP CPUs 289. The max CPUs supported by machine 'pc-q35-7.2' is 288"),
        ("-M pc-q35-2.7 -smp 256", "Invalid SMP CPUs 256. The max CPUs supported by machine 'pc-q35-2.7' is 255"),
        ("-M pc -smp 256", "Invalid SMP CPUs 256. The max CPUs supported by machine 'pc-i440fx-7.2' is 255"),
        ("-M pc -smp 255", null),

        // The board's properties, the processor's model.
        ("-M q35,foo=1", "Property 'pc-q35-7.2-machine.foo' not found"),
        ("-M pc -machine foo_bar=1", "Property 'pc-i440fx-7.2-machine.foo-bar' not found"),
        ("-M pc-q35-6.2,x-foo.bar=1", "Property 'pc-q35-6.2-machine.x-foo' not found"),
        ("-M q35,kernel_irqchip=on,dump_guest_core=off,vmport=off,usb=off,smm=on,igd-passthru=on,hmat=on,sata=off,pit=off", null),
        ("-M q35,foo=1 -smp 4,maxcpus=2", TooFew + "sockets (1) * dies (1) * cores (2) * threads (1) == maxcpus (2) < smp_cpus (4)"),
        ("-M q35,foo=1 -m 1G,slots=2", "slots specified but no max-size"),
        ("-cpu foo", "unable to find CPU model 'foo'"),
        ("-cpu KVM64", "unable to find CPU model 'KVM64'"),
        ("-cpu x86-64-v2-AES", "unable to find CPU model 'x86-64-v2-AES'"),
        ("-cpu Icelake-Server-v6", null),
        ("-cpu max,+foo -m 1G,slots=2", "slots specified but no max-size"),
        ("-cpu foo -m 1G,slots=2", "slots specified but no max-size"),
        ("-cpu foo -device e1000,netdev=n", "unable to find CPU model 'foo'"),

        // What devices name.
        ("-M q35 -device e1000,netdev=n", "Property 'e1000.netdev' can't find value 'n'"),
        ("-M q35 -device e1000,mac=foo,netdev=n", "Property 'e1000.netdev' can't find value 'n'"),
        ("-M q35 -device virtio-net-pci,netdev=n", "Property 'virtio-net-device.netdev' can't find value 'n'"),
        ("-M q35 -device virtio-net,netdev=", "Property 'virtio-net-device.netdev' can't find value ''"),
        ("-M q35 -device {\"driver\":\"e1000\",\"netdev\":\"n\"}", "Property 'e1000.netdev' can't find value 'n'"),
        ("-M q35 -netdev user,id=n -device e1000,netdev=n", null),
        ("-M q35 -netdev {\"type\":\"user\",\"id\":\"n\"} -device e1000,netdev=n", null),
        ("-M q35 -netdev user,id=n -device virtio-net-pci,netdev=n -device e1000,netdev=n",
            "Property 'e1000.netdev' can't take value 'n', it's in use"),
        ("-M q35 -device e1000,mac=foo", "Property 'e1000.mac' doesn't take value 'foo'"),
        ("-M q35 -device virtio-net,mac=52:54:00:12:34:5", "Property 'virtio-net-device.mac' doesn't take value '52:54:00:12:34:5'"),
        ("-M q35 -device e1000,mac=525400123456", "Property 'e1000.mac' doesn't take value '525400123456'"),
        ("-M q35 -device e1000,mac=52-54:00-12:34-5a", null),
        ("-M q35 -device isa-serial,chardev=c", "Property 'serial.chardev' can't find value 'c'"),
        ("-M q35 -chardev null,id=c -device isa-serial,chardev=c", null),
        ("-M q35 -device isa-serial,chardev=", null),
        ("-M q35 -device virtio-serial-pci -device virtserialport,chardev=c", "Property 'virtserialport.chardev' can't find value 'c'"),
        ("-M q35 -device vhost-user-blk-pci,chardev=c", "Property 'vhost-user-blk.chardev' can't find value 'c'"),
        ("-M q35 -device vhost-user-fs-pci,chardev=c,tag=x", "Property 'vhost-user-fs-device.chardev' can't find value 'c'"),
        ("-M q35 -device virtio-blk-pci,drive=d", "Property 'virtio-blk-device.drive' can't find value 'd'"),
        ("-M q35 -device virtio-scsi-pci -device scsi-hd,drive=d", "Property 'scsi-hd.drive' can't find value 'd'"),
        ("-M q35 -device ide-hd,drive=d", "Property 'ide-hd.drive' can't find value 'd'"),
        ("-M q35 -blockdev null-co,node-name=d -device virtio-blk-pci,drive=d", null),
        ("-M q35 -blockdev {\"driver\":\"raw\",\"node-name\":\"d\",\"file\":{\"driver\":\"null-co\",\"node-name\":\"e\"}} -device ide-hd,drive=e",
            null),
        ("-M q35 -drive if=none,file=null-co://,format=raw -device virtio-blk-pci,drive=none0", null),
        ("-M q35 -device usb-tablet", "No 'usb-bus' bus found for device 'usb-tablet'"),
        ("-M q35 -device usb-tablet -device qemu-xhci", "No 'usb-bus' bus found for device 'usb-tablet'"),
        ("-M q35 -device qemu-xhci -device usb-tablet", null),
        ("-M q35 -device ich9-usb-uhci1 -device usb-kbd", null),
        ("-M pc -usb -device usb-tablet", null),
        ("-M pc -usbdevice tablet -device usb-kbd", null),
        ("-M q35,usb=on -device usb-mouse", null),
        ("-M q35 -device scsi-hd", "No 'SCSI' bus found for device 'scsi-hd'"),
        ("-M q35 -device virtio-scsi-pci -device scsi-hd", "drive property not set"),
        ("-M pc -device lsi -drive id=d,if=none,file=null-co://,format=raw -device scsi-hd,drive=d", null),
        ("-M pc -device qemu-xhci -device usb-uas -drive id=d,if=none,file=null-co://,format=raw -device scsi-hd,drive=d", null),
        ("-M q35 -chardev null,id=c -device virtserialport,chardev=c", "No 'virtio-serial-bus' bus found for device 'virtserialport'"),
        ("-M q35 -chardev null,id=c -device virtio-serial -device virtserialport,chardev=c", null),
        ("-M q35 -device virtio-blk-pci", "drive property not set"),
        ("-M q35 -drive if=virtio,file=null-co://,format=raw", null),
        ("-M q35 -drive if=none,id=d,file=null-co://,format=raw -global nvme.serial=abc -device nvme,drive=d", null),
        ("-M q35 -device ide-hd", "No drive specified"),
        ("-M q35 -device ide-cd", null),
        ("-M q35 -device nvme", "serial property not set"),
        ("-M q35 -device nvme,serial=x", null),
        ("-M q35 -m 1G -numa node,cpus=0", "total memory for NUMA nodes (0x0) should equal RAM size"),
        ("-M pc-q35-5.0 -m 1G -numa node", "total memory for NUMA nodes (0x0) should equal RAM size"),
        ($"-M q35 -m 1G {Memory("m", "1G")} -numa node,memdev=m", null),
        ("-M q35 -device virtio-rng-pci,rng=r", "Device 'r' not found"),
        ("-M q35 -object rng-random,id=r,filename=/dev/urandom -device virtio-rng-pci,rng=r", null),
        ("-M q35 -device virtio-scsi-pci,iothread=i", "Device 'i' not found"),
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
            process.Kill(entireProcessTree: true);
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
