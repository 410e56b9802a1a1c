// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Frozen;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Numerics;
using Keyhole.Addresses;
using Keyhole.Pci;

namespace Keyhole.Guests;

/// <summary>What kind of a bridge a model of QEMU is.</summary>
internal enum QemuBridge
{
    None,

    /// <summary>A conventional bridge: 32 slots.</summary>
    Pci,

    /// <summary>A bridge from PCI Express to conventional PCI.</summary>
    ExpressToPci,

    /// <summary>A root port: one slot.</summary>
    RootPort,

    /// <summary>The upper half of a switch: no slot, its functions are downstream ports.</summary>
    Upstream,

    /// <summary>A lower port of a switch: one slot.</summary>
    Downstream,

    /// <summary>An expander that begins a root bus of its own (pxb-pcie).</summary>
    ExpanderExpress,

    /// <summary>The same for conventional PCI (pxb): its devices sit behind a bridge on that bus.</summary>
    ExpanderPci,
}

/// <summary>Where a device of QEMU is being plugged in: its BARs depend on that, and on the release.</summary>
/// <param name="IsBehindPort">Whether it sits in the slot of a PCI Express port: virtio leaves its ports out there.</param>
internal readonly record struct QemuPlug(QemuMachine Machine, QemuDevice Device, QemuModel Model, bool IsBehindPort)
{
    /// <summary>The value of a property: the device's own, else the one set for all of its kind; null where the user set neither.</summary>
    public string? Property(string name) => Device[name] ?? Machine.Global(Device.Driver, name)
        ?? (Model.Parent is { } parent ? Machine.Global(parent, name) : null);

    /// <summary>A property as a size in bytes; the default where it is not set. A value that is no size is taken as not set: QEMU refuses
    /// it.</summary>
    public ulong Size(string name, ulong whenUnset) =>
        Property(name) is { } text && QemuNumber.TrySize(text, out ulong bytes) ? bytes : whenUnset;

    public bool Switch(string name, bool whenUnset) => QemuNumber.Switch(Property(name)) ?? whenUnset;

    public bool IsSince(int major, int minor) => Machine.Type.Version >= new QemuVersion(major, minor);
}

/// <summary>One model of a PCI device that QEMU has.</summary>
/// <param name="ClassCode">24 bits; the programming interface only where a firmware asks for it.</param>
/// <param name="Bars">Without the ROM.</param>
/// <param name="RomBytes">Size of its ROM's window as QEMU's packages ship it; 0 where it has none.</param>
/// <param name="Parent">The kind that it inherits its properties from, where users set them by that name.</param>
internal sealed record QemuModel(
    int VendorId, int DeviceId, int ClassCode, Func<QemuPlug, ImmutableArray<BarRequest>> Bars, ulong RomBytes = 0,
    QemuBridge Bridge = QemuBridge.None, string? Parent = null)
{
    /// <summary>The device number where it depends on the release or the place; <see cref="DeviceId"/> where this is null.</summary>
    public Func<QemuPlug, (int VendorId, int DeviceId)>? Ids { get; init; }

    /// <summary>The machine types from which on it has its ROM.</summary>
    public QemuVersion RomSince { get; init; }

    /// <summary>The release of QEMU from which on there is such a device, as far as it is known here.</summary>
    public QemuVersion Since { get; init; }

    /// <summary>Its virtual functions; null where it never has any.</summary>
    public Func<QemuPlug, VirtualFunctions?>? Virtual { get; init; }
}

/// <summary>
/// Which BARs each device model of QEMU has, by release and machine type. The one place that knows them.
/// </summary>
/// <remarks>
/// Source: what <c>query-pci</c> says of every model of QEMU 7.2 and 10.0, before any firmware ran, on machine types from 1.7 to 10.0; the release in
/// between that changed one from QEMU's compatibility tables (hw/core/machine.c). ROM sizes are those of Debian's packages.
/// </remarks>
internal static class QemuDevices
{
    internal const ulong K = 1UL << 10;
    internal const ulong M = 1UL << 20;
    internal const ulong Page = 4 * K;

    internal const int RedHat = 0x1b36;
    internal const int Virtio = 0x1af4;
    internal const int Intel = 0x8086;

    /// <summary>Prefixes of drivers that are no PCI functions and so take no BAR: what sits on USB, SCSI, IDE, ISA and the like.</summary>
    private static readonly string[] s_notPci =
    [
        "usb-", "scsi-", "ide-", "isa-", "hda-", "virtserialport", "virtconsole", "pc-dimm", "nvdimm", "vmgenid", "vmcoreinfo", "tpm-", "pvpanic",
        "intel-iommu",
        "nvme-ns", "nvme-subsys", "smbus-", "i2c-", "floppy", "loader", "guest-loader", "sga", "ib700", "u2f-", "ccid-", "i8042", "kvm-", "xen-",
        "ipoctal", "hyperv-",
        "vmbus", "adlib", "cs4231a", "gus", "sb16", "ne2k_isa", "ipmi-bmc", "fw_cfg", "or-irq", "vmclock", "vmware-", "vmmouse", "vmport", "at24c",
        "emc141", "tmp105", "cxl-fmw",
    ];

    private static readonly FrozenDictionary<string, QemuModel> s_models = Build().ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>Names that QEMU takes for a model on a board with PCI, as <c>virtio-serial</c> for <c>virtio-serial-pci</c>.</summary>
    /// <remarks>Source: QEMU's qdev_alias_table.</remarks>
    private static readonly FrozenSet<string> s_shortened = FrozenSet.Create(
        StringComparer.Ordinal, "virtio-9p", "virtio-balloon", "virtio-blk", "virtio-gpu", "virtio-gpu-gl", "virtio-gpu-rutabaga",
        "virtio-input-host", "virtio-iommu", "virtio-keyboard", "virtio-mouse", "virtio-multitouch", "virtio-net", "virtio-rng", "virtio-scsi",
        "virtio-serial", "virtio-sound", "virtio-tablet");

    /// <summary>The model of a name; null where Keyhole does not know it, or it is no PCI device.</summary>
    public static QemuModel? Find(string driver) => s_models.GetValueOrDefault(FullName(driver));

    /// <summary>The name of the model that QEMU takes for a name.</summary>
    public static string FullName(string driver) => s_shortened.Contains(driver) ? driver + "-pci" : driver switch
    {
        "ac97" => "AC97",
        "es1370" => "ES1370",
        "lsi" => "lsi53c895a",
        _ => driver,
    };

    /// <summary>All models.</summary>
    public static IEnumerable<string> Names => s_models.Keys;

    /// <summary>Whether a driver is known to take no BAR.</summary>
    public static bool IsNotPci(string driver)
    {
        // Of the names below these two alone are PCI devices that are not known.
        if (s_models.ContainsKey(driver) || driver is "xen-platform" or "xen-pvdevice")
            return false;
        foreach (string prefix in s_notPci)
        {
            if (driver.StartsWith(prefix, StringComparison.Ordinal))
                return true;
        }

        return driver.EndsWith("-cpu", StringComparison.Ordinal);
    }

    /// <summary>Everything that the plugged device asks for, its ROM included.</summary>
    public static ImmutableArray<BarRequest> Bars(QemuPlug plug)
    {
        ImmutableArray<BarRequest> bars = plug.Model.Bars(plug);
        bool hasRom = plug.Model.RomBytes > 0 && plug.Machine.Type.Version >= plug.Model.RomSince && plug.Property("romfile") != ""
            && plug.Property("rombar") is not ("0" or "off");
        return hasRom ? bars.Add(BarRequest.Create(Bar.RomIndex, RomBytes(plug), BarType.Rom)) : bars;
    }

    private static ulong RomBytes(QemuPlug plug)
    {
        ulong asked = plug.Size("romsize", 0);
        return BitOperations.IsPow2(asked) && asked >= BarRequest.MinMemoryBytes && asked <= 1UL << 31 ? asked : plug.Model.RomBytes;
    }

    private static Dictionary<string, QemuModel> Build()
    {
        var models = new Dictionary<string, QemuModel>(StringComparer.Ordinal);
        void Add(string names, QemuModel model)
        {
            foreach (string name in names.Split(' '))
                models.Add(name, model);
        }

        void Fixed(string names, int vendor, int device, int classCode, ulong rom = 0, params BarRequest[] bars)
        {
            ImmutableArray<BarRequest> all = [.. bars];
            Add(names, new QemuModel(vendor, device, classCode, _ => all, rom));
        }

        // Bridges.
        Add("pcie-root-port", new(RedHat, 0x000c, 0x060400, _ => [Mem32(0, Page)], Bridge: QemuBridge.RootPort, Parent: "pcie-root-port-base"));
        Add("ioh3420", new(Intel, 0x3420, 0x060400, None, Bridge: QemuBridge.RootPort, Parent: "pcie-root-port-base"));
        Add("x3130-upstream", new(0x104c, 0x8232, 0x060400, None, Bridge: QemuBridge.Upstream));
        Add("xio3130-downstream", new(0x104c, 0x8233, 0x060400, None, Bridge: QemuBridge.Downstream));
        Add("pci-bridge pci-bridge-seat", new(RedHat, 0x0001, 0x060400, p => HasShpc(p) ? [Mem64(0, 256)] : [], Bridge: QemuBridge.Pci));
        Add("pcie-pci-bridge", new(RedHat, 0x000e, 0x060400, _ => [Mem64(0, 256)], Bridge: QemuBridge.ExpressToPci));
        Add("i82801b11-bridge", new(Intel, 0x244e, 0x060400, None, Bridge: QemuBridge.Pci));
        Add("pxb-pcie", new(RedHat, 0x000b, 0x060000, None, Bridge: QemuBridge.ExpanderExpress));
        Add("pxb", new(RedHat, 0x0009, 0x060000, None, Bridge: QemuBridge.ExpanderPci));

        // Displays.
        Add("VGA", new(0x1234, 0x1111, 0x030000, p => [Mem32p(0, Video(p)), Mem32(2, Page)], 64 * K));
        Add("secondary-vga", new(0x1234, 0x1111, 0x038000, p => [Mem32p(0, Video(p)), Mem32(2, Page)]));
        Add("bochs-display", new(0x1234, 0x1111, 0x038000, p => [Mem32p(0, PowerOfTwo(p.Size("vgamem", 16 * M))), Mem32(2, Page)], 32 * K));
        Add("ati-vga", new(0x1002, 0x5046, 0x030000, p => [Mem32p(0, Video(p)), Io(1, 256), Mem32(2, 16 * K)], 64 * K));
        Fixed("cirrus-vga", 0x1013, 0x00b8, 0x030000, 64 * K, Mem32p(0, 32 * M), Mem32(1, Page));
        Add("vmware-svga", new(0x15ad, 0x0405, 0x030000, p => [Io(0, 16), Mem32p(1, Video(p)), Mem32p(2, 64 * K)], 64 * K));
        Add("qxl-vga", new(RedHat, 0x0100, 0x030000, Qxl, 64 * K));
        Add("qxl", new(RedHat, 0x0100, 0x038000, Qxl));
        Add("virtio-vga virtio-vga-gl virtio-vga-rutabaga vhost-user-vga", new(
            Virtio, 0x1050, 0x030000, QemuVirtio.Vga, 64 * K, Parent: "virtio-pci"));

        // Network.
        Fixed("e1000 e1000-82540em", Intel, 0x100e, 0x020000, 256 * K, Mem32(0, 128 * K), Io(1, 64));
        Fixed("e1000-82544gc", Intel, 0x100c, 0x020000, 256 * K, Mem32(0, 128 * K), Io(1, 64));
        Fixed("e1000-82545em", Intel, 0x100f, 0x020000, 256 * K, Mem32(0, 128 * K), Io(1, 64));
        Fixed("e1000e", Intel, 0x10d3, 0x020000, 256 * K, Mem32(0, 128 * K), Mem32(1, 128 * K), Io(2, 32), Mem32(3, 16 * K));
        var ofIgb = new VirtualFunctions(8, Offset: 0x80, Stride: 2, [Mem64p(0, 16 * K), Mem64p(3, 16 * K)]);
        Add("igb", new(Intel, 0x10c9, 0x020000, _ => [Mem32(0, 128 * K), Mem32(1, 128 * K), Io(2, 32), Mem64(3, 16 * K)])
        {
            Since = new(8, 0),
            Virtual = _ => ofIgb,
        });
        Fixed("rtl8139", 0x10ec, 0x8139, 0x020000, 256 * K, Io(0, 256), Mem32(1, 256));
        Fixed("ne2k_pci", 0x10ec, 0x8029, 0x020000, 256 * K, Io(0, 256));
        Fixed("pcnet", 0x1022, 0x2000, 0x020000, 256 * K, Io(0, 32), Mem32(1, 32));
        Fixed("tulip", 0x1011, 0x0019, 0x020000, 0, Io(0, 128), Mem32(1, 128));
        Add("vmxnet3", new(0x15ad, 0x07b0, 0x020000, _ => [Mem32(0, Page), Mem32(1, Page), Mem32(2, 8 * K)], 256 * K) { RomSince = new(2, 7) });
        foreach ((string name, int device) in ((string, int)[])[("i82550", 0x1209), ("i82551", 0x1209), ("i82557a", 0x1229), ("i82557b", 0x1229),
            ("i82557c", 0x1229), ("i82558a", 0x1229),
            ("i82558b", 0x1229), ("i82559a", 0x1229), ("i82559b", 0x1229), ("i82559c", 0x1229), ("i82559er", 0x1209), ("i82562", 0x1209),
            ("i82801", 0x2449)])
        {
            Fixed(name, Intel, device, 0x020000, 128 * K, Mem32p(0, Page), Io(1, 64), Mem32(2, 128 * K));
        }

        Fixed("rocker", RedHat, 0x0006, 0x028000, 0, Mem32(0, 8 * K), Mem32(1, 8 * K));

        // Disks.
        Add("nvme", new(RedHat, 0x0010, 0x010802,
            Nvme)
        { Virtual = VirtualNvme, Ids = p => p.IsSince(5, 2) && !p.Switch("use-intel-id", false) ? (RedHat, 0x0010) : (Intel, 0x5845) });
        Fixed("ich9-ahci ahci", Intel, 0x2922, 0x010601, 0, Io(4, 32), Mem32(5, Page));
        Fixed("piix3-ide", Intel, 0x7010, 0x010180, 0, Io(4, 16));
        Fixed("piix4-ide", Intel, 0x7111, 0x010180, 0, Io(4, 16));
        Fixed("am53c974 dc390", 0x1022, 0x2020, 0x010000, 0, Io(0, 128));
        Fixed("lsi53c895a lsi", 0x1000, 0x0012, 0x010000, 0, Io(0, 256), Mem32(1, K), Mem32(2, 8 * K));
        Fixed("lsi53c810", 0x1000, 0x0001, 0x010000, 0, Io(0, 256), Mem32(1, K), Mem32(2, 8 * K));
        Fixed("mptsas1068", 0x1000, 0x0054, 0x010000, 0, Io(0, 256), Mem32(1, 16 * K), Mem32(2, 64 * K));
        Fixed("megasas", 0x1000, 0x0060, 0x010400, 0, Mem64(0, 16 * K), Io(2, 256), Mem64(3, 256 * K));
        Fixed("megasas-gen2", 0x1000, 0x0079, 0x010400, 0, Io(0, 256), Mem64(1, 16 * K), Mem64(3, 256 * K));
        Fixed("pvscsi", 0x15ad, 0x07c0, 0x010000, 0, Mem32(0, 32 * K));
        Fixed("sdhci-pci", RedHat, 0x0007, 0x080500, 0, Mem32(0, 256));

        Fixed("ufs", RedHat, 0x0013, 0x010900, 0, Mem32(0, 8 * K));

        // USB.
        Fixed("qemu-xhci", RedHat, 0x000d, 0x0c0330, 0, Mem64(0, 16 * K));
        Fixed("nec-usb-xhci", 0x1033, 0x0194, 0x0c0330, 0, Mem64(0, 16 * K));
        Fixed("usb-ehci", Intel, 0x24cd, 0x0c0320, 0, Mem32(0, Page));
        Fixed("ich9-usb-ehci1", Intel, 0x293a, 0x0c0320, 0, Mem32(0, Page));
        Fixed("ich9-usb-ehci2", Intel, 0x293c, 0x0c0320, 0, Mem32(0, Page));
        for (int i = 1; i <= 6; i++)
            Fixed($"ich9-usb-uhci{i}", Intel, 0x2933 + i, 0x0c0300, 0, Io(4, 32));
        Fixed("piix3-usb-uhci", Intel, 0x7020, 0x0c0300, 0, Io(4, 32));
        Fixed("piix4-usb-uhci", Intel, 0x7112, 0x0c0300, 0, Io(4, 32));
        Fixed("pci-ohci", 0x106b, 0x003f, 0x0c0310, 0, Mem32(0, 256));

        // Sound.
        Fixed("AC97 ac97", Intel, 0x2415, 0x040100, 0, Io(0, K), Io(1, 256));
        Fixed("ES1370 es1370", 0x1274, 0x5000, 0x040100, 0, Io(0, 256));
        Fixed("intel-hda", Intel, 0x2668, 0x040300, 0, Mem32(0, 16 * K));
        Fixed("ich9-intel-hda", Intel, 0x293e, 0x040300, 0, Mem32(0, 16 * K));

        // Xen's own, with which a guest finds its paravirtual drivers.
        Fixed("xen-platform", 0x5853, 0x0001, 0xff8000, 0, Io(0, 256), Mem32p(1, 16 * M));

        // The rest.
        Add("pci-testdev", new(RedHat, 0x0005, 0x00ff00, TestDevice));
        Add("ivshmem-plain ivshmem-doorbell", new(Virtio, 0x1110, 0x050000, SharedMemory));
        Fixed("pci-serial", RedHat, 0x0002, 0x070002, 0, Io(0, 8));
        Fixed("pci-serial-2x", RedHat, 0x0003, 0x070002, 0, Io(0, 16));
        Fixed("pci-serial-4x", RedHat, 0x0004, 0x070002, 0, Io(0, 32));
        Fixed("i6300esb", Intel, 0x25ab, 0x088000, 0, Mem32(0, 16));
        Fixed("edu", 0x1234, 0x11e8, 0x00ff00, 0, Mem32(0, M));
        Add("pvpanic-pci", new(RedHat, 0x0011, 0x088000, _ => [Mem32(0, 16)]) { Since = new(6, 0) });
        Fixed("tpci200", 0x1498, 0x30c8, 0x068000, 0, Mem32(0, 128), Io(1, 128), Mem32(2, 256), Mem32(3, K), Mem32(4, 32 * M), Mem32(5, 16 * M));

        QemuVirtio.Add(Add);
        models["pvpanic-pci"] = models["pvpanic-pci"] with { Since = new(6, 0) };
        foreach (string name in (string[])["ufs", "virtio-sound-pci"])
            models[name] = models[name] with { Since = new(8, 2) };
        return models;
    }

    // ------------------------------------------------------------------ devices whose BARs follow from their properties

    private static ImmutableArray<BarRequest> None(QemuPlug plug) => [];

    private static bool HasShpc(QemuPlug plug)
    {
        // Off in the machine types of 2.9 alone: 2.10 took it back.
        bool byType = plug.Machine.Type.Version != new QemuVersion(2, 9);
        return plug.Switch("shpc", byType);
    }

    /// <summary>Whether a bridge of conventional PCI has the standard hot-plug controller.</summary>
    public static bool HasHotplugController(QemuPlug plug) => plug.Model.Bridge switch
    {
        QemuBridge.Pci => plug.Device.Driver != "i82801b11-bridge" && HasShpc(plug),
        QemuBridge.ExpressToPci => true,
        QemuBridge.None or QemuBridge.RootPort or QemuBridge.Upstream or QemuBridge.Downstream or QemuBridge.ExpanderExpress
            or QemuBridge.ExpanderPci => false,
    };

    /// <summary>QEMU rounds it up, and takes 512 MiB at most, whatever is asked for.</summary>
    private static ulong Video(QemuPlug plug) => PowerOfTwo(Math.Clamp(plug.Size("vgamem_mb", 16), 1, 512) * M);

    private static ImmutableArray<BarRequest> TestDevice(QemuPlug plug)
    {
        ulong size = plug.Size("membar", 0);
        ImmutableArray<BarRequest> bars = [Mem32(0, Page), Io(1, 256)];
        // QEMU makes it 64-bit and prefetchable unless the user says otherwise (membar-backed only decides whether there is RAM behind it).
        return size == 0 || !BarRequest.TryCreate(2, size, BarType.Memory64Prefetchable, out BarRequest memory) ? bars : bars.Add(memory);
    }

    private static ImmutableArray<BarRequest> SharedMemory(QemuPlug plug)
    {
        ImmutableArray<BarRequest> bars = [Mem32(0, 256)];
        if (plug.Device.Driver == "ivshmem-doorbell")
            bars = bars.Add(Mem32(1, Page));
        string? backend = plug.Property("memdev");
        foreach ((string id, ulong size) in plug.Machine.MemoryObjects)
        {
            if (id == backend && BarRequest.TryCreate(2, size, BarType.Memory64Prefetchable, out BarRequest memory))
                return bars.Add(memory);
        }

        return bars;
    }

    private static ImmutableArray<BarRequest> Qxl(QemuPlug plug)
    {
        QxlSizes sizes = QxlSizes.Of(plug);
        ImmutableArray<BarRequest> bars =
            [Mem32(0, Math.Min(sizes.Ram, 1UL << 31)), Mem32(1, Math.Min(sizes.Vram32, 1UL << 31)), Mem32(2, 8 * K), Io(3, 32)];
        return sizes.Vram > sizes.Vram32 && BarRequest.TryCreate(4, sizes.Vram, BarType.Memory64Prefetchable, out BarRequest high) ? bars.Add(high)
            : bars;
    }

    /// <summary>What qxl makes of its four sizes, in bytes: it rounds each up, and raises what is below the other ones.</summary>
    /// <remarks>Source: qxl_init_ramsize in QEMU's hw/display/qxl.c.</remarks>
    internal readonly record struct QxlSizes(ulong Ram, ulong Vram32, ulong Vram)
    {
        public static QxlSizes Of(QemuPlug plug)
        {
            ulong video = PowerOfTwo(Math.Clamp(plug.Size("vgamem_mb", 16), 8, 256) * M);
            // Kept in 32 bits: 4 GiB are none.
            ulong ram = (plug.Property("ram_size_mb") is null ? plug.Size("ram_size", 64 * M) : plug.Size("ram_size_mb", 64) * M) & uint.MaxValue;
            ulong low = plug.Property("vram_size_mb") is null ? plug.Size("vram_size", 64 * M) : plug.Size("vram_size_mb", 64) * M;
            low = Math.Max(PowerOfTwo(low), Page);
            return new(PowerOfTwo(Math.Max(ram, 2 * video)), low, Math.Max(PowerOfTwo(plug.Size("vram64_size_mb", 0) * M), low));
        }
    }

    private static ImmutableArray<BarRequest> Nvme(QemuPlug plug)
    {
        ImmutableArray<BarRequest> bars;
        if (!HasMsixAlone(plug))
        {
            // Registers, a pair of doorbells for each queue, then the MSI-X table and its pending bits, each from a page of its own.
            ulong queues = Math.Min(plug.Size("num_queues", 0) is > 0 and { } all ? all - 1 : plug.Size("max_ioqpairs", 64), 0xffff) + 1;
            ulong vectors = Math.Min(plug.Size("msix_qsize", 65), 2048);
            ulong registers = PageUp(Page + (queues * 8));
            ulong table = registers + PageUp(vectors * 16);
            bars = [Mem64(0, PowerOfTwo(table + (((vectors + 63) / 64) * 8)))];
        }
        else
        {
            bars = [Mem64(0, 8 * K), Mem32(4, Page)];
        }

        ulong controllerBuffer = plug.Size("cmb_size_mb", 0) * M;
        if (controllerBuffer != 0 && BarRequest.TryCreate(2, controllerBuffer, BarType.Memory64Prefetchable, out BarRequest buffer))
            bars = bars.Add(buffer);
        // The persistent region is a BAR as large as the memory behind it.
        string? region = plug.Property("pmrdev");
        foreach ((string id, ulong size) in plug.Machine.MemoryObjects)
        {
            if (id == region && BarRequest.TryCreate(4, size, BarType.Memory64Prefetchable, out BarRequest persistent))
                return bars.Add(persistent);
        }

        return bars;
    }

    /// <summary>Whether nvme has a BAR of its own for MSI-X, as before the machine types of 6.0.</summary>
    internal static bool HasMsixAlone(QemuPlug plug) => !plug.IsSince(6, 0) || plug.Switch("msix-exclusive-bar", false);

    /// <summary>Each has a share of the queues and vectors that are to be given out.</summary>
    private static VirtualFunctions? VirtualNvme(QemuPlug plug)
    {
        ulong count = Math.Min(plug.Size("sriov_max_vfs", 0), 127);
        if (count == 0)
            return null;
        ulong queues = Share("sriov_max_vq_per_vf", "sriov_vq_flexible");
        ulong vectors = Share("sriov_max_vi_per_vf", "sriov_vi_flexible");
        ulong table = PageUp(Page + (queues * 8)) + PageUp(vectors * 16);
        return new((int)count, Offset: 1, Stride: 1, [Mem64(0, PowerOfTwo(table + (((vectors + 63) / 64) * 8)))]);

        ulong Share(string each, string all) =>
            Math.Clamp(plug.Size(each, 0) is > 0 and { } said ? said : plug.Size(all, 0) / count, 1, MsixTable.MaxVectors);
    }

    // ------------------------------------------------------------------ virtio

    // ------------------------------------------------------------------ shorthands

    /// <summary>A BAR of its own for MSI-X: the table, then the pending bits from the middle of the page or behind a longer table.</summary>
    internal static ulong MsixWindow(ulong vectors)
    {
        vectors = Math.Min(vectors, MsixTable.MaxVectors);
        ulong pending = Math.Max(vectors * 16, Page / 2);
        return Math.Max(PowerOfTwo(pending + (((vectors + 63) / 64) * 8)), Page);
    }

    internal static BarRequest Mem32(int index, ulong bytes) => BarRequest.Create(index, bytes, BarType.Memory32);

    internal static BarRequest Mem32p(int index, ulong bytes) => BarRequest.Create(index, bytes, BarType.Memory32Prefetchable);

    internal static BarRequest Mem64(int index, ulong bytes) => BarRequest.Create(index, bytes, BarType.Memory64);

    internal static BarRequest Mem64p(int index, ulong bytes) => BarRequest.Create(index, bytes, BarType.Memory64Prefetchable);

    internal static BarRequest Io(int index, ulong ports) => BarRequest.Create(index, ports, BarType.Io);

    internal static ulong PageUp(ulong bytes) => Align.Up(bytes, Page);

    /// <summary>The next power of two; 0 stays 0, and what is beyond 2^62 too.</summary>
    internal static ulong PowerOfTwo(ulong bytes) => bytes is 0 or > 1UL << 62 ? 0 : BitOperations.RoundUpToPowerOf2(bytes);
}
