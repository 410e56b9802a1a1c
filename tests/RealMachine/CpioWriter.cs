// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Text;

namespace Keyhole.RealMachine;

/// <summary>
/// Writes a cpio archive in the "newc" form that Linux takes as an initramfs. Parent folders are made as needed. Archives may follow one another:
/// the kernel unpacks them in order, later files replace earlier ones.
/// </summary>
public sealed class CpioWriter
{
    private const int FileType = 0x8000;
    private const int FolderType = 0x4000;
    private const int LinkType = 0xA000;
    private const int CharacterDeviceType = 0x2000;
    private const int Alignment = 4;

    private readonly Stream _to;
    private readonly SortedSet<string> _folders = new(StringComparer.Ordinal) { "" };
    private int _inode = 1;

    public CpioWriter(Stream to) => _to = to;

    public void File(string path, byte[] content, bool executable = false) => Entry(path, FileType | (executable ? 0x1ED : 0x1A4), content);

    public void Text(string path, string content, bool executable = false) => File(path, Encoding.UTF8.GetBytes(content), executable);

    public void Link(string path, string target) => Entry(path, LinkType | 0x1FF, Encoding.UTF8.GetBytes(target));

    public void CharacterDevice(string path, int major, int minor) => Entry(path, CharacterDeviceType | 0x180, [], major, minor);

    /// <summary>Ends the archive, and fills up with zeros, which the kernel skips, to <paramref name="totalBytes"/> where it is shorter.</summary>
    public void Finish(long totalBytes = 0)
    {
        Write("TRAILER!!!", 0, [], 0, 0);
        if (_to.Length < totalBytes)
            _to.SetLength(totalBytes / Alignment * Alignment);
        _to.Position = _to.Length;
    }

    private void Entry(string path, int mode, byte[] content, int major = 0, int minor = 0)
    {
        path = path.TrimStart('/');
        for (int slash = path.IndexOf('/'); slash >= 0; slash = path.IndexOf('/', slash + 1))
        {
            if (_folders.Add(path[..slash]))
                Write(path[..slash], FolderType | 0x1ED, [], 0, 0);
        }

        Write(path, mode, content, major, minor);
    }

    private void Write(string path, int mode, byte[] content, int major, int minor)
    {
        byte[] name = Encoding.UTF8.GetBytes(path + "\0");
        // magic, inode, mode, uid, gid, links, mtime, size, device of the archive (2), device described (2), length of the name, checksum
        string header =
            $"070701{_inode++:X8}{mode:X8}{0:X8}{0:X8}{1:X8}{0:X8}{content.Length:X8}{0:X8}{0:X8}{major:X8}{minor:X8}{name.Length:X8}{0:X8}";
        _to.Write(Encoding.ASCII.GetBytes(header));
        _to.Write(name);
        Pad();
        _to.Write(content);
        Pad();
    }

    private void Pad() => _to.Write(stackalloc byte[(int)(-_to.Position & (Alignment - 1))]);
}
