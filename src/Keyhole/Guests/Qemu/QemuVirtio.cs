// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Text;
using Keyhole.Pci;
using static Keyhole.Guests.QemuDevices;

namespace Keyhole.Guests;

/// <summary>The virtio devices of QEMU, which differ in their configuration and their queues alone.</summary>
/// <remarks>Source: QEMU's hw/virtio/virtio-pci.c and each device's own file; the recorded guests.</remarks>
internal static class QemuVirtio
{
    /// <summary>A kind of virtio device.</summary>
    /// <param name="LegacyId">Device number as a transitional device; 0 where the kind came after them.</param>
    /// <param name="ModernId">Device number as a modern device.</param>
    /// <param name="Configuration">Bytes of the device's configuration, which the legacy interface's ports end with.</param>
    /// <param name="Vectors">MSI-X vectors; 0 where it has no MSI-X.</param>
    private sealed record VirtioKind(string Name, int LegacyId, int ModernId, int ClassCode, Func<QemuPlug, ulong> Configuration,
        Func<QemuPlug, ulong> Vectors, ulong RomBytes = 0);

    public static void Add(Action<string, QemuModel> add)
    {
        Func<QemuPlug, ulong> few = _ => 2;
        VirtioKind[] kinds =
        [
            new("virtio-net-pci", 0x1000, 0x1041, 0x020000, NetConfiguration, _ => 4, 256 * K),
            new("virtio-blk-pci", 0x1001, 0x1042, 0x010000, DiskConfiguration, p => Queues(p, "num-queues") + 1),
            new("vhost-user-blk-pci", 0x1001, 0x1042, 0x010000, DiskConfiguration, p => Queues(p, "num-queues") + 1),
            new("virtio-balloon-pci", 0x1002, 0x1045, 0x00ff00, BalloonConfiguration, p => p.IsSince(10, 0) ? 5u : 0u),
            new("virtio-serial-pci", 0x1003, 0x1043, 0x078000, p => p.Switch("emergency-write", p.IsSince(2, 8)) ? 12u : 8u, few),
            new("virtio-scsi-pci", 0x1004, 0x1048, 0x010000, _ => 36, p => Queues(p, "num_queues") + 3),
            new("vhost-scsi-pci", 0x1004, 0x1048, 0x010000, _ => 36, p => Queues(p, "num_queues") + 3),
            new("vhost-user-scsi-pci", 0x1004, 0x1048, 0x010000, _ => 36, p => Queues(p, "num_queues") + 3),
            new("virtio-rng-pci", 0x1005, 0x1044, 0x00ff00, _ => 0, p => p.IsSince(7, 2) ? 2u : 0u),
            new("virtio-9p-pci", 0x1009, 0x1049, 0x000200, ShareConfiguration, few),
            new("vhost-vsock-pci", 0x1012, 0x1053, 0x028000, _ => 8, few),
            new("vhost-user-vsock-pci", 0x1012, 0x1053, 0x028000, _ => 8, few),
            new("virtio-gpu-pci", 0, 0x1050, 0x038000, _ => 0, few),
            new("virtio-gpu-gl-pci", 0, 0x1050, 0x038000, _ => 0, few),
            new("virtio-gpu-rutabaga-pci", 0, 0x1050, 0x038000, _ => 0, few),
            new("vhost-user-gpu-pci", 0, 0x1050, 0x038000, _ => 0, few),
            new("virtio-keyboard-pci", 0, 0x1052, 0x090000, _ => 0, few),
            new("virtio-mouse-pci", 0, 0x1052, 0x090200, _ => 0, few),
            new("virtio-tablet-pci", 0, 0x1052, 0x098000, _ => 0, few),
            new("virtio-input-host-pci", 0, 0x1052, 0x098000, _ => 0, few),
            new("virtio-multitouch-pci", 0, 0x1052, 0x098000, _ => 0, few),
            new("vhost-user-input-pci", 0, 0x1052, 0x098000, _ => 0, few),
            new("virtio-crypto-pci", 0, 0x1054, 0x00ff00, _ => 0, few),
            new("virtio-iommu-pci", 0, 0x1057, 0x00ff00, _ => 0, _ => 0),
            new("virtio-mem-pci", 0, 0x1058, 0x00ff00, _ => 0, p => p.IsSince(10, 0) ? 2u : 0u),
            new("virtio-sound-pci", 0, 0x1059, 0x040100, _ => 0, few),
            new("vhost-user-fs-pci", 0, 0x105a, 0x018000, _ => 0, few),
            new("virtio-pmem-pci", 0, 0x105b, 0x00ff00, _ => 0, _ => 0),
        ];
        foreach (VirtioKind kind in kinds)
        {
            add(kind.Name, Model(kind, isTransitional: null));
            if (kind.LegacyId != 0)
            {
                add(kind.Name + "-transitional", Model(kind, isTransitional: true));
                add(kind.Name + "-non-transitional", Model(kind, isTransitional: false));
            }
        }
    }

    private static QemuModel Model(VirtioKind kind, bool? isTransitional) => new(
        Virtio, kind.ModernId, kind.ClassCode, plug => VirtioBars(kind, isTransitional, plug), kind.RomBytes, Parent: "virtio-pci")
    {
        Ids = plug => (Virtio, HasLegacy(kind, isTransitional, plug) ? kind.LegacyId : kind.ModernId),
    };

    private static bool HasLegacy(VirtioKind kind, bool? isTransitional, QemuPlug plug)
    {
        if (kind.LegacyId == 0 || isTransitional is not null)
            return kind.LegacyId != 0 && isTransitional.GetValueOrDefault();
        // "auto": none in the slot of an Express port. Machine types up to 2.6 had it always.
        return plug.Property("disable-legacy") switch
        {
            { } text when QemuNumber.Switch(text) is { } isOff => !isOff,
            _ => !plug.IsBehindPort || !plug.IsSince(2, 7),
        };
    }

    private static ImmutableArray<BarRequest> VirtioBars(VirtioKind kind, bool? isTransitional, QemuPlug plug)
    {
        bool hasLegacy = HasLegacy(kind, isTransitional, plug);
        bool hasModern = kind.LegacyId == 0 || isTransitional is not null || !plug.Switch("disable-modern", !plug.IsSince(2, 7));
        var bars = ImmutableArray.CreateBuilder<BarRequest>(4);
        // More than MSI-X has QEMU only warns of, and the device then has none.
        ulong vectors = plug.Size("vectors", kind.Vectors(plug)) is var asked && asked > MsixTable.MaxVectors ? 0 : asked;
        // 20 bytes of the legacy interface's own, 4 more with MSI-X.
        if (hasLegacy)
            bars.Add(Io(0, PowerOfTwo((vectors > 0 ? 24u : 20u) + kind.Configuration(plug))));
        if (vectors > 0)
            bars.Add(Mem32(1, MsixWindow(vectors)));
        ulong shared = kind.ModernId == 0x1050 ? plug.Size("hostmem", 0) : 0;
        bool hasShared = BarRequest.TryCreate(4, shared, BarType.Memory64Prefetchable, out BarRequest window);
        if (hasModern)
            bars.Add(Mem64p(hasShared ? 2 : 4, VirtioWindow(plug)));
        if (hasShared)
            bars.Add(window);
        return bars.ToImmutable();
    }

    /// <summary>Memory that is shared with the host takes the BAR of MSI-X, which then has the one in front.</summary>
    public static ImmutableArray<BarRequest> Vga(QemuPlug plug) =>
        BarRequest.TryCreate(4, plug.Size("hostmem", 0), BarType.Memory64Prefetchable, out BarRequest shared)
            ? [Mem32p(0, 8 * M), Mem32(1, Page), Mem64p(2, VirtioWindow(plug)), shared]
            : [Mem32p(0, 8 * M), Mem64p(2, VirtioWindow(plug)), Mem32(4, Page)];

    /// <summary>It ends with the last field that a feature of the device needs: hashes, speed, MTU, pairs of queues, state.</summary>
    private static ulong NetConfiguration(QemuPlug plug) =>
        plug.Switch("rss", false) || plug.Switch("hash", false) ? 24u
        : plug.Property("speed") is not null || plug.Property("duplex") is not null ? 17u
        : plug.Size("host_mtu", 0) != 0 ? 12u : plug.Switch("mq", false) ? 10u : 8u;

    /// <summary>What discarding and writing zeroes need, both on by themselves from the machine types of 4.0 on, makes it longer.</summary>
    private static ulong DiskConfiguration(QemuPlug plug) =>
        plug.Switch("discard", plug.IsSince(4, 0)) || plug.Switch("write-zeroes", plug.IsSince(4, 0)) ? 60u : 36u;

    /// <summary>QEMU 4.0 had all fields whatever the features; page-poison, which needs the last, is on by itself from 5.1 on.</summary>
    private static ulong BalloonConfiguration(QemuPlug plug) =>
        plug.Switch("page-poison", plug.IsSince(5, 1)) || (plug.IsSince(4, 0) && !plug.IsSince(4, 1)) ? 16u
        : plug.Switch("free-page-hint", false) ? 12u : 8u;

    /// <summary>The share's name with its length before it.</summary>
    private static ulong ShareConfiguration(QemuPlug plug) => 2 + (ulong)Encoding.UTF8.GetByteCount(plug.Property("mount_tag") ?? "");

    /// <summary>The modern interface: four areas of a page; with a page for each queue, as machine types up to 2.7 had it, 8 MiB.</summary>
    private static ulong VirtioWindow(QemuPlug plug) => plug.Switch("page-per-vq", !plug.IsSince(2, 8)) ? 8 * M : 16 * K;

    /// <summary>Queues of a disk: one for each processor from the machine types of 5.2 on.</summary>
    private static ulong Queues(QemuPlug plug, string property) =>
        Math.Min(plug.Size(property, plug.IsSince(5, 2) ? (ulong)plug.Machine.Cpus : 1), 1024);
}
