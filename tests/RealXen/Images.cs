// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Formats.Tar;
using System.IO;
using System.Linq;
using Keyhole.RealMachine;

namespace Keyhole.RealXen;

/// <summary>
/// Everything a boot needs that does not depend on the scenario: Xen, Linux, the parts of dom0's initramfs, the guests' and the firmware shim. Each
/// part is built once for each combination of package versions and sources; a boot strings the archives together and adds a small one of its own.
/// </summary>
public sealed class Images
{
    /// <summary>Raised when the way images are put together changes without any source or package changing.</summary>
    private const int Recipe = 7;

    private const string Busybox = "busybox-static";

    private static readonly string[] s_dom0Programs = ["xl", "xenstored", "xenconsoled", "xen-init-dom0", "libxl-save-helper"];
    private static readonly string[] s_dom0Modules = ["xen-privcmd", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xenfs", "xen-pciback"];
    private static readonly string[] s_hotplugModules = ["bridge", "xen-netback", "xen-blkback", "loop"];
    private static readonly string[] s_guestModules = ["xen-pcifront", "e1000"];
    private static readonly string[] s_sources =
        ["dom0/init", "dom0/tell.c", "dom0/set-memory-map.c", "guest/init", "host/init", "host/kept-range.c", "shim/shim.c", "shim/shim.ld"];

    // Packages whose libraries are there whole: .NET programs open some of them by name.
    private static readonly string[] s_runtimePackages = ["libc6", "libgcc-s1", "libstdc++6", "zlib1g"];
    private static readonly string[] s_runtimeLibraries =
        ["ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libresolv.so.2", "libgcc_s.so.1",
            "libstdc++.so.6", "libz.so.1"];

    // What GRUB is built from.
    private static readonly string[] s_grubPackages = ["grub-common", "grub-pc-bin", "libdevmapper1.02.1"];

    private static readonly ConcurrentDictionary<(XenRelease, LinuxRelease), Lazy<Images>> s_prepared = new();

    private readonly XenRelease _release;
    private readonly string _common;
    private readonly string _xen;
    private readonly string _linux;
    private readonly string _grub;
    private readonly Lazy<string> _deviceModel;
    private readonly Lazy<string> _hotplug;
    private readonly Lazy<string> _libvirt;

    private Images(XenRelease xen, LinuxRelease linux)
    {
        using IDisposable ours = Workshop.Lock();
        Workshop.ForgetOldRuns();
        MachineTools.Ensure();
        _release = xen;
        Package busybox = DebianSuite.Bookworm.Obtain(Busybox)[0];
        string[] sources = [$"recipe {Recipe}", busybox.Input, .. s_sources.Select(Sources.Text)];
        _common = Workshop.Built("common", sources, folder => BuildCommon(folder, busybox));
        IReadOnlyList<Package> grub = DebianSuite.Bookworm.Obtain(s_grubPackages);
        _grub = Workshop.Built("grub", grub.Select(package => package.Input), folder => TakeGrub(folder, grub));
        IReadOnlyList<Package> kernel = linux.Packages();
        _linux = Workshop.Built($"linux-{linux.Version}", [.. sources, .. kernel.Select(package => package.Input)],
            folder => BuildLinux(folder, new KernelPackage(kernel), busybox));
        string[] programs = [xen.ToolsPackage, "xenstore-utils"];
        IReadOnlyList<Package> tools = xen.Suite.Obtain([xen.HypervisorPackage, .. programs]);
        IReadOnlyList<Package> libraries = xen.Suite.Obtain([.. s_runtimePackages, .. xen.Suite.LibrariesOf(programs)]);
        _xen = Workshop.Built($"xen-{xen.Version}", [.. sources, .. tools.Concat(libraries).Select(package => package.Input)],
            folder => BuildXen(folder, xen, tools, libraries));
        _deviceModel = new(PrepareDeviceModel);
        _hotplug = new(() => PrepareHotplug(linux));
        _libvirt = new(PrepareLibvirt);
    }

    /// <summary>The hypervisor, an ELF32 file.</summary>
    public string Xen => Path.Combine(_xen, "xen.elf");

    /// <summary>The kernel of dom0, unpacked: under emulation Xen takes seconds to unpack it in every boot.</summary>
    public string Linux => Path.Combine(_linux, "vmlinux");

    /// <summary>The kernel as its package has it, which finds itself a place in memory before it unpacks itself.</summary>
    public string PackedLinux => Path.Combine(_linux, "vmlinuz");

    /// <summary>The initramfs of a Linux without Xen, without a boot's commands.</summary>
    public string Host => Path.Combine(_common, "host.cpio");

    /// <summary>A folder with GRUB's parts for a PC's BIOS, and the program that makes an image of them.</summary>
    public string Grub => _grub;

    /// <summary>The multiboot program that gives Xen a firmware map (see shim/shim.c).</summary>
    public string Shim => Path.Combine(_common, "shim.elf");

    /// <summary>The archives of dom0's initramfs without a scenario, in order.</summary>
    public IReadOnlyList<string> Dom0 => [Path.Combine(_common, "dom0.cpio"), Path.Combine(_xen, "tools.cpio"), Path.Combine(_linux, "dom0.cpio")];

    /// <summary>The archive with what HVM guests need besides: QEMU, hvmloader and their firmware. Built when it is first asked for.</summary>
    public string DeviceModel => Path.Combine(_deviceModel.Value, "device-model.cpio");

    /// <summary>The archive with what disks and network cards of guests need besides: Xen's own hotplug scripts, bash for them, and the drivers.
    /// Built when it is first asked for.</summary>
    public string Hotplug => Path.Combine(_hotplug.Value, "hotplug.cpio");

    /// <summary>The archive with libvirtd, its libxl driver and virsh. Built when it is first asked for.</summary>
    public string Libvirt => Path.Combine(_libvirt.Value, "libvirt.cpio");

    /// <summary>The initramfs of a guest, compressed.</summary>
    public string Guest(GuestImage image) => Path.Combine(_linux, GuestFile(image));

    /// <summary>The images of Xen and Linux, built now if they have not been; asked for again, the same ones.</summary>
    /// <exception cref="HarnessException">A package or a compiler is missing.</exception>
    public static Images Prepare(XenRelease xen, LinuxRelease linux) =>
        s_prepared.GetOrAdd((xen, linux), static pair => new(() => new Images(pair.Item1, pair.Item2))).Value;

    /// <summary>The images of the Xen and the Linux that are booted where nothing else is said.</summary>
    /// <exception cref="HarnessException">A package or a compiler is missing.</exception>
    public static Images Prepare() => Prepare(XenRelease.Default, LinuxRelease.Default);

    private static string GuestFile(GuestImage image) => image switch
    {
        GuestImage.Plain => "guest-plain.cpio.gz",
        GuestImage.Net => "guest-net.cpio.gz",
    };

    private static void BuildCommon(string folder, Package busyboxPackage)
    {
        byte[] busybox = TakeBusybox(busyboxPackage);
        string source = Unpacked(folder, "shim/shim.c"), script = Unpacked(folder, "shim/shim.ld");
        Require(folder, "gcc", "-m32", "-ffreestanding", "-fno-pie", "-fno-stack-protector", "-fcf-protection=none", "-O2", "-Wall", "-Wextra",
            "-Werror", "-c", source, "-o", source + ".o");
        Require(folder, "ld", "-m", "elf_i386", "-nostdlib", "--no-warn-rwx-segments", "-z", "noexecstack", "-T", script, "-o",
            Path.Combine(folder, "shim.elf"), source + ".o");
        byte[] tell = BuildHelper(folder, "dom0/tell.c");
        Archive(Path.Combine(folder, "dom0.cpio"), busybox, "dom0/init", cpio =>
        {
            // Empty, but there: xl complains of a missing one at every call.
            cpio.Text("etc/xen/xl.conf", "");
            cpio.File("realxen/tell", tell, executable: true);
            cpio.File("realxen/set-memory-map", BuildHelper(folder, "dom0/set-memory-map.c"), executable: true);
        });
        Archive(Path.Combine(folder, "host.cpio"), busybox, "host/init", cpio =>
        {
            cpio.File("host/tell", tell, executable: true);
            cpio.File("host/kept-range", BuildHelper(folder, "host/kept-range.c"), executable: true);
        });
    }

    private static void BuildLinux(string folder, KernelPackage kernel, Package busyboxPackage)
    {
        byte[] busybox = TakeBusybox(busyboxPackage);
        File.WriteAllBytes(Path.Combine(folder, "vmlinuz"), kernel.Image);
        File.WriteAllBytes(Path.Combine(folder, "vmlinux"), kernel.Kernel);
        using (FileStream file = File.Create(Path.Combine(folder, "dom0.cpio")))
        {
            var cpio = new CpioWriter(file);
            AddModules(cpio, kernel.Modules(s_dom0Modules));
            // Unpacked in dom0 once, before the first guest: 65 MB would make the image larger than it was when the golden records were made.
            cpio.File("k/vmlinuz.gz", Unpacker.Gzip(kernel.Kernel));
            cpio.Finish();
        }

        foreach (GuestImage image in Enum.GetValues<GuestImage>())
        {
            string path = Path.Combine(folder, GuestFile(image));
            Archive(path, busybox, "guest/init", cpio =>
            {
                if (image == GuestImage.Net)
                    AddModules(cpio, kernel.Modules(s_guestModules));
            });
            File.WriteAllBytes(path, Unpacker.Gzip(File.ReadAllBytes(path)));
        }
    }

    private static void AddModules(CpioWriter cpio, IReadOnlyList<(string Name, byte[] Content)> modules, string order = "order")
    {
        foreach ((string name, byte[] content) in modules)
            cpio.File($"modules/{name}.ko", content);
        cpio.Text($"modules/{order}", string.Concat(modules.Select(module => module.Name + "\n")));
    }

    private static void BuildXen(string folder, XenRelease release, IReadOnlyList<Package> tools, IReadOnlyList<Package> libraries)
    {
        string image = $"boot/xen-{release.Version}-amd64.gz";
        File.WriteAllBytes(Path.Combine(folder, "xen.elf"), Unpacker.Unpack(tools[0].TakeOne(path => path == image)));
        string programs = $"usr/lib/xen-{release.Version}/bin";
        WritePrograms(Path.Combine(folder, "tools.cpio"), tools.Skip(1), libraries, s_runtimeLibraries,
            path => (Path.GetDirectoryName(path) ?? "", Path.GetFileName(path)) switch
        {
            (var place, var name) when place == programs => s_dom0Programs.Contains(name),
            ("usr/bin", var name) => name.StartsWith("xenstore", StringComparison.Ordinal),
            _ => false,
        });
    }

    private string PrepareDeviceModel()
    {
        using IDisposable ours = Workshop.Lock();
        DebianSuite suite = _release.Suite;
        IReadOnlyList<Package> packages = suite.Obtain(_release.ToolsPackage, _release.DeviceModelPackage, "qemu-system-data", "seabios", "ipxe-qemu",
            "ovmf");
        IReadOnlyList<Package> libraries = suite.Obtain([.. s_runtimePackages, .. suite.LibrariesOf(_release.DeviceModelPackage)]);
        string hvmLoader = $"usr/lib/xen-{_release.Version}/boot/hvmloader";
        return Workshop.Built(
            $"xen-{_release.Version}-device-model",
            [$"recipe {Recipe}", "with the ROMs that boot a kernel", .. packages.Concat(libraries).Select(package => package.Input)],
            folder => WritePrograms(Path.Combine(folder, "device-model.cpio"), packages, libraries, [], path =>
                path == hvmLoader || path == _release.DeviceModel || path is "usr/share/seabios/bios-256k.bin" or "usr/share/qemu/kvmvapic.bin"
                    or "usr/share/qemu/linuxboot.bin" or "usr/share/qemu/linuxboot_dma.bin" or "usr/share/ovmf/OVMF.fd"
                || path.StartsWith("usr/lib/ipxe/qemu/efi-", StringComparison.Ordinal)
                || path.StartsWith("usr/share/seabios/vgabios-", StringComparison.Ordinal)
                || path.StartsWith("usr/share/qemu/keymaps/en", StringComparison.Ordinal)));
    }

    private string PrepareHotplug(LinuxRelease linux)
    {
        using IDisposable ours = Workshop.Lock();
        DebianSuite suite = _release.Suite;
        IReadOnlyList<Package> kernel = linux.Packages();
        IReadOnlyList<Package> packages = suite.Obtain("xen-utils-common", "bash", "util-linux");
        IReadOnlyList<Package> libraries = suite.Obtain([.. suite.LibrariesOf("bash"), "libtinfo6"]);
        return Workshop.Built(
            $"xen-{_release.Version}-linux-{linux.Version}-hotplug",
            [$"recipe {Recipe}", .. packages.Concat(libraries).Concat(kernel).Select(package => package.Input)],
            folder =>
            {
                string tools = Path.Combine(folder, "tools.cpio"), hotplug = Path.Combine(folder, "hotplug.cpio");
                WritePrograms(tools, packages, libraries, [],
                    // Busybox has no flock, without which Xen's block script does not work.
                    path => path is "bin/bash" or "usr/bin/bash" or "usr/bin/flock" || Path.GetDirectoryName(path) == "etc/xen/scripts");
                using (FileStream file = File.Create(hotplug))
                {
                    var cpio = new CpioWriter(file);
                    AddModules(cpio, new KernelPackage(kernel).Modules(s_hotplugModules), "hotplug");
                    cpio.Finish();
                    using FileStream scripts = File.OpenRead(tools);
                    scripts.CopyTo(file);
                }

                File.Delete(tools);
            });
    }

    private string PrepareLibvirt()
    {
        using IDisposable ours = Workshop.Lock();
        DebianSuite suite = _release.Suite;
        string[] programs = ["libvirt-daemon", "libvirt-daemon-driver-xen", "libvirt-clients"];
        IReadOnlyList<Package> packages = suite.Obtain([.. programs, "libvirt0"]);
        IReadOnlyList<Package> libraries = suite.Obtain([.. suite.LibrariesOf(programs), .. suite.LibrariesOf(_release.ToolsPackage)]);
        return Workshop.Built(
            $"xen-{_release.Version}-libvirt",
            [$"recipe {Recipe}", .. packages.Concat(libraries).Select(package => package.Input)],
            folder => WritePrograms(Path.Combine(folder, "libvirt.cpio"), packages, libraries, [],
                path => path is "usr/sbin/libvirtd" or "usr/bin/virsh" || Path.GetFileName(path) == "libvirt_driver_libxl.so"
                    || path.StartsWith("usr/share/libvirt/", StringComparison.Ordinal)));
    }

    // The wanted files of the packages, and the libraries that those of them need which are programs.
    private static void WritePrograms(string path, IEnumerable<Package> packages, IEnumerable<Package> libraries, IEnumerable<string> always,
        Predicate<string> wanted)
    {
        using FileStream file = File.Create(path);
        var cpio = new CpioWriter(file);
        var programs = new List<byte[]>();
        foreach (Package package in packages)
        {
            package.ReadFiles((name, entry) =>
            {
                if (!wanted(name))
                    return;
                if (entry.EntryType is TarEntryType.RegularFile)
                {
                    programs.Add(Package.ContentOf(entry));
                    cpio.File(InstalledAt(name), programs[^1], executable: true);
                }
                else if (entry.EntryType is TarEntryType.SymbolicLink)
                {
                    cpio.Link(name, entry.LinkName);
                }
                else if (entry.EntryType is TarEntryType.HardLink)
                {
                    cpio.Link(name, "/" + entry.LinkName.TrimStart('.', '/'));
                }
            });
        }

        foreach ((string name, byte[] content) in new SharedLibraries(libraries).NeededBy(programs, always))
            cpio.File(SharedLibraries.PlaceOf(name), content, executable: true);
        cpio.Finish();
    }

    // Scripts ask for /bin/bash. On a Debian whose /bin is a link its package has it in /usr/bin.
    private static string InstalledAt(string name) => name == "usr/bin/bash" ? "bin/bash" : name;

    private static void Archive(string path, byte[] busybox, string init, Action<CpioWriter> add)
    {
        using FileStream file = File.Create(path);
        var cpio = new CpioWriter(file);
        cpio.CharacterDevice("dev/console", 5, 1);
        cpio.File("bin/busybox", busybox, executable: true);
        cpio.Text("init", Sources.Text(init), executable: true);
        add(cpio);
        cpio.Finish();
    }

    private static void TakeGrub(string folder, IReadOnlyList<Package> packages)
    {
        foreach (Package package in packages)
        {
            package.ReadFiles((path, entry) =>
            {
                bool wanted = path == "usr/bin/grub-mkimage" || Path.GetDirectoryName(path) == "usr/lib/grub/i386-pc"
                    || Path.GetFileName(path).StartsWith("libdevmapper.so", StringComparison.Ordinal);
                if (wanted && entry.EntryType is TarEntryType.RegularFile)
                    entry.ExtractToFile(Path.Combine(folder, Path.GetFileName(path)), overwrite: true);
            });
        }
    }

    private static byte[] TakeBusybox(Package package) => package.TakeOne(static path => path is "bin/busybox" or "usr/bin/busybox");

    private static byte[] BuildHelper(string folder, string name)
    {
        string source = Unpacked(folder, name);
        string program = Path.Combine(folder, Path.GetFileNameWithoutExtension(name));
        Require(folder, "gcc", "-static", "-O2", "-s", "-Wall", "-Wextra", "-Werror", source, "-o", program);
        return File.ReadAllBytes(program);
    }

    private static string Unpacked(string folder, string source)
    {
        string path = Path.Combine(folder, Path.GetFileName(source));
        File.WriteAllText(path, Sources.Text(source));
        return path;
    }

    private static void Require(string folder, string program, params string[] arguments)
    {
        Tool.Result result = Tool.Run(folder, program, arguments);
        if (!result.Succeeded)
            throw new HarnessException($"{program} {string.Join(' ', arguments)}: {result.Error.Trim()}");
    }
}
