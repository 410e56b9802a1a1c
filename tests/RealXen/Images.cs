// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Formats.Tar;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Security.Cryptography;
using System.Text;

namespace Keyhole.RealXen;

/// <summary>
/// Everything a boot needs that does not depend on the scenario: Xen, Linux, dom0's initramfs, the guests' and the firmware shim. Built once
/// for each combination of package versions and sources; a scenario adds only a small second archive.
/// </summary>
public sealed class Images
{
    /// <summary>Raised when the way images are put together changes without any source or package changing.</summary>
    private const int Recipe = 5;

    private static readonly string[] Dom0Programs = ["xl", "xenstored", "xenconsoled", "xen-init-dom0", "libxl-save-helper"];
    private static readonly string[] Dom0Modules = ["xen-privcmd", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xenfs", "xen-pciback"];
    private static readonly string[] GuestModules = ["xen-pcifront", "e1000"];
    private static readonly string[] Sources = ["dom0/init", "dom0/tell.c", "dom0/set-memory-map.c", "guest/init", "host/init", "host/kept-range.c", "shim/shim.c", "shim/shim.ld"];

    private static readonly Lazy<Images> s_prepared = new(BuildIfNeeded);

    private readonly string _folder;

    private Images(string folder) => _folder = folder;

    /// <summary>The hypervisor, an ELF32 file.</summary>
    public string Xen => Path.Combine(_folder, "xen.elf");

    /// <summary>The kernel of dom0, unpacked: under emulation Xen takes seconds to unpack it in every boot.</summary>
    public string Linux => Path.Combine(_folder, "vmlinux");

    /// <summary>The kernel as its package has it, which finds itself a place in memory before it unpacks itself.</summary>
    public string PackedLinux => Path.Combine(_folder, "vmlinuz");

    /// <summary>The initramfs of a Linux without Xen, without a boot's commands.</summary>
    public string Host => Path.Combine(_folder, "host.cpio");

    /// <summary>A folder with GRUB's parts for a PC's BIOS, and the program that makes an image of them.</summary>
    public string Grub => Path.Combine(_folder, "grub");

    /// <summary>The multiboot program that gives Xen a firmware map (see shim/shim.c).</summary>
    public string Shim => Path.Combine(_folder, "shim.elf");

    /// <summary>dom0's initramfs without a scenario.</summary>
    public string Dom0 => Path.Combine(_folder, "dom0.cpio");

    /// <summary>The initramfs of a guest, compressed.</summary>
    public string Guest(GuestImage image) => Path.Combine(_folder, image switch
    {
        GuestImage.Plain => "guest-plain.cpio.gz",
        GuestImage.Net => "guest-net.cpio.gz",
    });

    /// <summary>The images, built now if they have not been; asked for again, the same ones.</summary>
    /// <exception cref="RealXenException">A package or a compiler is missing.</exception>
    public static Images Prepare() => s_prepared.Value;

    private static Images BuildIfNeeded()
    {
        using IDisposable ours = Workshop.Lock();
        Workshop.ForgetOldRuns();
        Packages.EnsureTools();
        IReadOnlyList<Packages.Package> packages = Packages.Obtain();
        var inputs = new StringBuilder($"recipe {Recipe}\n");
        foreach (Packages.Package package in packages)
            inputs.Append(package.Name).Append(' ').Append(package.Version).Append('\n');
        foreach (string source in Sources)
            inputs.Append(source).Append('\n').Append(Workshop.Source(source));
        string key = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(inputs.ToString())))[..16];
        string folder = Path.Combine(Workshop.Images, key);
        if (!Directory.Exists(folder))
        {
            // What was built from other inputs will not be asked for again, except by runs that have begun.
            foreach (string old in Directory.GetDirectories(Workshop.Runs).Length == 0 ? Directory.GetDirectories(Workshop.Images) : [])
                Directory.Delete(old, recursive: true);
            string part = Path.Combine(Workshop.Images, key + ".part");
            if (Directory.Exists(part))
                Directory.Delete(part, recursive: true);
            Directory.CreateDirectory(part);
            new Builder(part, packages).Build();
            Directory.Move(part, folder);
        }

        return new Images(folder);
    }

    private sealed class Builder
    {
        private readonly string _folder;
        private readonly IReadOnlyList<Packages.Package> _packages;
        private readonly Dictionary<string, byte[]> _modules = [];

        public Builder(string folder, IReadOnlyList<Packages.Package> packages)
        {
            _folder = folder;
            _packages = packages;
        }

        public void Build()
        {
            byte[] busybox = TakeOne(Packages.Busybox, path => path is "bin/busybox" or "usr/bin/busybox");
            using (var packed = new GZipStream(new MemoryStream(TakeOne(Packages.Hypervisor, path => path == "boot/xen-4.17-amd64.gz")), CompressionMode.Decompress))
            using (FileStream xen = File.Create(Path.Combine(_folder, "xen.elf")))
                packed.CopyTo(xen);
            TakeKernel();
            BuildShim();
            BuildDom0(busybox);
            BuildHost(busybox);
            TakeGrub();
            BuildGuest(GuestImage.Plain, busybox);
            BuildGuest(GuestImage.Net, busybox);
        }

        private Packages.Package Named(string name) => _packages.First(package => package.Name == name);

        private byte[] TakeOne(string packageName, Predicate<string> wanted)
        {
            byte[]? content = null;
            Packages.ReadFiles(Named(packageName), (path, entry) =>
            {
                if (wanted(path) && entry.EntryType is TarEntryType.RegularFile)
                    content = Content(entry);
            });
            return content ?? throw new RealXenException($"{packageName}: lacks the file the harness takes from it; its layout has changed");
        }

        private void TakeKernel()
        {
            Packages.Package kernel = _packages[^1];
            byte[]? image = null;
            Packages.ReadFiles(kernel, (path, entry) =>
            {
                if (entry.EntryType is not TarEntryType.RegularFile)
                    return;
                string name = Path.GetFileName(path);
                if (path.StartsWith("boot/vmlinuz-", StringComparison.Ordinal))
                    image = Content(entry);
                else if (name.EndsWith(".ko", StringComparison.Ordinal) && (Dom0Modules.Contains(name[..^3]) || GuestModules.Contains(name[..^3])))
                    _modules[name[..^3]] = Content(entry);
            });
            if (image is null)
                throw new RealXenException($"{kernel.Name}: holds no kernel");
            File.WriteAllBytes(Path.Combine(_folder, "vmlinuz"), image);
            string packed = Path.Combine(_folder, "payload.xz");
            File.WriteAllBytes(packed, BootImagePayload(image));
            Require("xz", "--decompress", "--single-stream", packed);
            File.Move(Path.Combine(_folder, "payload"), Path.Combine(_folder, "vmlinux"));
        }

        // The kernel proper inside a bzImage (Linux's Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length). Behind the
        // packed data stands their unpacked length, four bytes.
        private static byte[] BootImagePayload(byte[] image)
        {
            const int SectorBytes = 512, SetupSectors = 0x1f1, PayloadOffset = 0x248, PayloadLength = 0x24c, LengthBytes = 4;
            ReadOnlySpan<byte> xzMagic = [0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0];
            int start = ((image[SetupSectors] + 1) * SectorBytes) + BinaryPrimitives.ReadInt32LittleEndian(image.AsSpan(PayloadOffset));
            ReadOnlySpan<byte> payload = image.AsSpan(start, BinaryPrimitives.ReadInt32LittleEndian(image.AsSpan(PayloadLength)) - LengthBytes);
            if (!payload.StartsWith(xzMagic))
                throw new RealXenException($"the kernel is no longer packed with xz; teach {nameof(Images)} the new packing");
            return payload.ToArray();
        }

        private void BuildShim()
        {
            string source = Unpacked("shim/shim.c");
            string script = Unpacked("shim/shim.ld");
            Require("gcc", "-m32", "-ffreestanding", "-fno-pie", "-fno-stack-protector", "-fcf-protection=none", "-O2", "-Wall", "-Wextra", "-Werror", "-c", source, "-o", source + ".o");
            Require("ld", "-m", "elf_i386", "-nostdlib", "--no-warn-rwx-segments", "-z", "noexecstack", "-T", script, "-o", Path.Combine(_folder, "shim.elf"), source + ".o");
        }

        private void BuildDom0(byte[] busybox)
        {
            using FileStream file = File.Create(Path.Combine(_folder, "dom0.cpio"));
            var cpio = new CpioWriter(file);
            cpio.CharacterDevice("dev/console", 5, 1);
            cpio.File("bin/busybox", busybox, executable: true);
            cpio.Text("init", Workshop.Source("dom0/init"), executable: true);
            // Empty, but there: xl complains of a missing one at every call.
            cpio.Text("etc/xen/xl.conf", "");
            foreach (string helper in (string[])["tell", "set-memory-map"])
                cpio.File("realxen/" + helper, BuildHelper($"dom0/{helper}.c"), executable: true);
            foreach (string module in Dom0Modules)
                cpio.File($"modules/{module}.ko", Module(module));
            foreach (string package in Packages.Dom0)
                CopyPrograms(Named(package), cpio);
            // Unpacked in dom0 once, before the first guest: 65 MB would make the image larger than it was when the golden records were made.
            cpio.File("k/vmlinuz.gz", Gzipped(File.ReadAllBytes(Path.Combine(_folder, "vmlinux"))));
            cpio.Finish();
        }

        private static void CopyPrograms(Packages.Package package, CpioWriter cpio)
        {
            Packages.ReadFiles(package, (path, entry) =>
            {
                string folder = Path.GetDirectoryName(path) ?? "";
                string name = Path.GetFileName(path);
                bool wanted = folder switch
                {
                    "usr/lib/xen-4.17/bin" => Dom0Programs.Contains(name),
                    "usr/bin" => name.StartsWith("xenstore", StringComparison.Ordinal),
                    "lib/x86_64-linux-gnu" or "usr/lib/x86_64-linux-gnu" or "lib64" or "usr/lib64" => name.Contains(".so", StringComparison.Ordinal),
                    _ => false,
                };
                if (!wanted)
                    return;
                if (entry.EntryType is TarEntryType.RegularFile)
                    cpio.File(path, Content(entry), executable: true);
                else if (entry.EntryType is TarEntryType.SymbolicLink)
                    cpio.Link(path, entry.LinkName);
                else if (entry.EntryType is TarEntryType.HardLink)
                    cpio.Link(path, "/" + entry.LinkName.TrimStart('.', '/'));
            });
        }

        private void BuildGuest(GuestImage image, byte[] busybox)
        {
            using var archive = new MemoryStream();
            var cpio = new CpioWriter(archive);
            cpio.CharacterDevice("dev/console", 5, 1);
            cpio.File("bin/busybox", busybox, executable: true);
            cpio.Text("init", Workshop.Source("guest/init"), executable: true);
            if (image == GuestImage.Net)
            {
                foreach (string module in GuestModules)
                    cpio.File($"modules/{module}.ko", Module(module));
            }

            cpio.Finish();
            File.WriteAllBytes(new Images(_folder).Guest(image), Gzipped(archive.ToArray()));
        }

        private void BuildHost(byte[] busybox)
        {
            using FileStream file = File.Create(Path.Combine(_folder, "host.cpio"));
            var cpio = new CpioWriter(file);
            cpio.CharacterDevice("dev/console", 5, 1);
            cpio.File("bin/busybox", busybox, executable: true);
            cpio.Text("init", Workshop.Source("host/init"), executable: true);
            cpio.File("host/tell", BuildHelper("dom0/tell.c"), executable: true);
            cpio.File("host/kept-range", BuildHelper("host/kept-range.c"), executable: true);
            cpio.Finish();
        }

        private void TakeGrub()
        {
            string folder = Directory.CreateDirectory(Path.Combine(_folder, "grub")).FullName;
            foreach (string package in Packages.Grub)
            {
                Packages.ReadFiles(Named(package), (path, entry) =>
                {
                    bool wanted = path == "usr/bin/grub-mkimage" || Path.GetDirectoryName(path) == "usr/lib/grub/i386-pc" || Path.GetFileName(path).StartsWith("libdevmapper.so", StringComparison.Ordinal);
                    if (wanted && entry.EntryType is TarEntryType.RegularFile)
                        entry.ExtractToFile(Path.Combine(folder, Path.GetFileName(path)), overwrite: true);
                });
            }
        }

        private byte[] BuildHelper(string name)
        {
            string source = Unpacked(name);
            string program = Path.Combine(_folder, Path.GetFileNameWithoutExtension(name));
            Require("gcc", "-static", "-O2", "-s", "-Wall", "-Wextra", "-Werror", source, "-o", program);
            return File.ReadAllBytes(program);
        }

        private byte[] Module(string name) => _modules.TryGetValue(name, out byte[]? content)
            ? content
            : throw new RealXenException($"{_packages[^1].Name}: lacks the module {name}; it may be compressed or built in now");

        private string Unpacked(string source)
        {
            string path = Path.Combine(_folder, Path.GetFileName(source));
            File.WriteAllText(path, Workshop.Source(source));
            return path;
        }

        private void Require(string program, params string[] arguments)
        {
            Tool.Result result = Tool.Run(_folder, program, arguments);
            if (!result.Succeeded)
                throw new RealXenException($"{program} {string.Join(' ', arguments)}: {result.Error.Trim()}");
        }

        private static byte[] Gzipped(byte[] content)
        {
            using var to = new MemoryStream();
            using (var packed = new GZipStream(to, CompressionLevel.Optimal))
                packed.Write(content);
            return to.ToArray();
        }

        private static byte[] Content(TarEntry entry)
        {
            using var content = new MemoryStream();
            entry.DataStream?.CopyTo(content);
            return content.ToArray();
        }
    }
}
