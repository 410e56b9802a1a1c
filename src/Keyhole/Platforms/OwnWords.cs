// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Guests;

namespace Keyhole.Platforms;

/// <summary>Settings as the guest's own configuration spells them: advice that is in another one's words nobody can follow.</summary>
internal static class OwnWords
{
    /// <summary>What gives a PV guest the host's map.</summary>
    public static string HostMap(Toolstack toolstack) =>
        IsLibvirt(toolstack) ? "<features><xen><e820_host state='on'/></xen></features>" : "e820_host=1";

    /// <summary>The most memory that a guest may have.</summary>
    public static string Most(Toolstack toolstack) => IsLibvirt(toolstack) ? "<memory>" : "maxmem";

    /// <summary>The memory that a guest starts with.</summary>
    public static string Memory(Toolstack toolstack) => IsLibvirt(toolstack) ? "<currentMemory>" : "memory";

    /// <summary>What changes a running guest's memory.</summary>
    public static string SetMemory(Toolstack toolstack) => IsLibvirt(toolstack) ? "virsh setmem" : "xl mem-set";

    /// <summary>The devices of a guest of Xen.</summary>
    public static string Devices(Toolstack toolstack) => IsLibvirt(toolstack) ? "<hostdev>" : "pci=";

    /// <summary>What goes on behind a setting of xl's that libvirt cannot say.</summary>
    public static string XlAlone(Toolstack toolstack) => IsLibvirt(toolstack) ? "; libvirt has no element for it: xl does" : "";

    /// <summary>What makes a guest of Xen one of that type.</summary>
    public static string Type(Toolstack toolstack, GuestType type) => (IsLibvirt(toolstack), type) switch
    {
        (true, GuestType.Pv) => "<os><type>xen</type></os>",
        (true, GuestType.Pvh) => "<os><type>xenpvh</type></os>",
        (true, _) => "<os><type>hvm</type></os>",
        (false, GuestType.Pv) => "type=\"pv\"",
        (false, GuestType.Pvh) => "type=\"pvh\"",
        (false, _) => "type=\"hvm\"",
    };

    /// <summary>How QEMU may be let lock more memory; null where nothing limits it: Proxmox VE starts it as root.</summary>
    public static string? MemoryLock(QemuDialect dialect) => dialect switch
    {
        QemuDialect.Libvirt => "<memtune><hard_limit>",
        QemuDialect.Proxmox => null,
        QemuDialect.CommandLine => "ulimit -l",
        QemuDialect.Options => "ulimit -l; with libvirt <memtune><hard_limit>",
    };

    /// <summary>What keeps the room for memory that is plugged in.</summary>
    public static string Room(QemuDialect dialect) => dialect switch
    {
        QemuDialect.Libvirt => "<maxMemory>",
        QemuDialect.Proxmox => "hotplug: memory",
        QemuDialect.CommandLine or QemuDialect.Options => "maxmem",
    };

    /// <summary>What lowers the width of a guest with the host's processor.</summary>
    public static string WidthLimit(QemuDialect dialect) => dialect switch
    {
        QemuDialect.Libvirt => "<maxphysaddr mode='passthrough' limit='…'/>",
        QemuDialect.Proxmox => "args: -global host-x86_64-cpu.host-phys-bits-limit=…",
        QemuDialect.CommandLine or QemuDialect.Options => "host-phys-bits-limit",
    };

    private static bool IsLibvirt(Toolstack toolstack) => toolstack == Toolstack.Libvirt;
}
