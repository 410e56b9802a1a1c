// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Formats.Tar;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.RealMachine;

namespace Keyhole.RealXen;

/// <summary>What the harness takes out of a kernel's packages: the image, the kernel proper in it, and modules, unpacked.</summary>
internal sealed class KernelPackage
{
    private readonly string _name;
    private readonly Dictionary<string, byte[]> _modules = [];
    private readonly HashSet<string> _builtIn = [];

    /// <param name="packages">What Debian splits a kernel into, in any order; older releases have it all in one.</param>
    /// <exception cref="HarnessException">None of them holds a kernel that can be unpacked.</exception>
    public KernelPackage(IReadOnlyList<Package> packages)
    {
        _name = packages[0].Name;
        byte[]? image = null;
        foreach (Package package in packages)
            package.ReadFiles((path, entry) => Take(path, entry, ref image));
        Image = image ?? throw new HarnessException($"{_name}: neither it nor what it depends on holds a kernel");
        Kernel = Unpacker.Unpack(Payload(Image));
        if (Kernel is not [0x7f, (byte)'E', (byte)'L', (byte)'F', ..])
            throw new HarnessException($"{_name}: its kernel is packed in a way that {nameof(Unpacker)} does not know");
    }

    private void Take(string path, TarEntry entry, ref byte[]? image)
    {
        if (entry.EntryType is not TarEntryType.RegularFile)
            return;
        string name = Path.GetFileName(path);
        int dot = name.IndexOf(".ko", StringComparison.Ordinal);
        if (path.StartsWith("boot/vmlinuz-", StringComparison.Ordinal)
            || (path.StartsWith("usr/lib/modules/", StringComparison.Ordinal) && name == "vmlinuz"))
            image = Package.ContentOf(entry);
        else if (name == "modules.builtin")
            _builtIn.UnionWith(Encoding.ASCII.GetString(Package.ContentOf(entry)).Split('\n')
                .Select(static line => Plain(Path.GetFileNameWithoutExtension(line))));
        else if (dot > 0 && IsWanted(path))
            _modules[Plain(name[..dot])] = Package.ContentOf(entry);
    }

    /// <summary>The bzImage.</summary>
    public byte[] Image { get; }

    /// <summary>The kernel proper, an ELF file.</summary>
    public byte[] Kernel { get; }

    /// <summary>Name → content of the modules named and those that they depend on, each behind those; what is built into the kernel is left
    /// out.</summary>
    /// <exception cref="HarnessException">The package has no such module.</exception>
    public IReadOnlyList<(string Name, byte[] Content)> Modules(params IEnumerable<string> names)
    {
        var modules = new List<(string Name, byte[] Content)>();
        foreach (string name in names)
            Add(name);
        return modules;

        void Add(string name)
        {
            if (_builtIn.Contains(Plain(name)) || modules.Any(module => module.Name == Plain(name)))
                return;
            byte[] content = Unpacker.Unpack(_modules.GetValueOrDefault(Plain(name))
                ?? throw new HarnessException($"{_name}: lacks the module {name}"));
            foreach (string needed in Dependencies(content))
                Add(needed);
            modules.Add((Plain(name), content));
        }
    }

    private static readonly string[] s_wanted = ["/xen", "/e1000/", "/drivers/pci/", "/net/bridge/bridge.", "/net/802/stp.", "/net/llc/llc.",
        "/drivers/block/loop."];

    // Xen's drivers, the card's, PCI's and those of a bridge: a kernel has thousands of modules.
    private static bool IsWanted(string path) => Array.Exists(s_wanted, part => path.Contains(part, StringComparison.Ordinal));

    // File names have hyphens, names in a module's dependencies underscores.
    private static string Plain(string name) => name.Replace('-', '_');

    // "depends=a,b" among the strings of a module's .modinfo.
    private static string[] Dependencies(byte[] module)
    {
        ReadOnlySpan<byte> rest = module;
        int at = rest.IndexOf("\0depends="u8);
        if (at < 0)
            return [];
        rest = rest[(at + "\0depends=".Length)..];
        return Encoding.ASCII.GetString(rest[..rest.IndexOf((byte)0)]).Split(',', StringSplitOptions.RemoveEmptyEntries);
    }

    // The kernel proper inside a bzImage (Linux's Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length). Behind the packed
    // data stands their unpacked length, four bytes.
    private static byte[] Payload(byte[] image)
    {
        const int SectorBytes = 512, SetupSectors = 0x1f1, PayloadOffset = 0x248, PayloadLength = 0x24c, LengthBytes = 4;
        int start = ((image[SetupSectors] + 1) * SectorBytes) + BinaryPrimitives.ReadInt32LittleEndian(image.AsSpan(PayloadOffset));
        return image.AsSpan(start, BinaryPrimitives.ReadInt32LittleEndian(image.AsSpan(PayloadLength)) - LengthBytes).ToArray();
    }
}
