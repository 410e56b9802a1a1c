// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.Collections.Frozen;
using Keyhole.Diagnostics;
using Keyhole.Pci;
using Keyhole.Reading;

namespace Keyhole.Guests;

/// <summary>Files that people give for a guest and that are none: each is told for what it is, where the reader of another format would find fault
/// with its syntax.</summary>
internal static class ForeignGuestFile
{
    /// <summary>What is looked at of a file that may not be text.</summary>
    private const int LookedAt = 4096;

    /// <summary>Settings without one of which there is no conf of Proxmox VE's, without their numbers.</summary>
    private static readonly FrozenSet<string> s_proxmox = FrozenSet.Create(
        StringComparer.Ordinal, "agent", "args", "balloon", "bios", "boot", "bootdisk", "cores", "cpu", "efidisk", "hostpci", "hotplug", "ide", "kvm",
        "machine", "memory", "meta", "net", "numa", "onboot", "ostype", "sata", "scsi", "scsihw", "smbios", "sockets", "tpmstate", "usb", "vga",
        "virtio", "vmgenid");

    private static readonly SearchValues<char> s_nameLetters = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

    /// <summary>Whether a key is one of Proxmox VE's that stand in most of its confs.</summary>
    public static bool IsProxmoxKey(ReadOnlySpan<char> key) => s_proxmox.Contains(key.TrimEnd("0123456789").ToString());

    private static readonly (byte[] Start, string What)[] s_starts =
    [
        ([0x1f, 0x8b], "compressed (gzip): unpack it first"),
        ([0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z'], "compressed (xz): unpack it first"),
        ([0x28, 0xb5, 0x2f, 0xfd], "compressed (zstd): unpack it first"),
        ([(byte)'B', (byte)'Z', (byte)'h'], "compressed (bzip2): unpack it first"),
        ([(byte)'P', (byte)'K', 3, 4], "a ZIP archive: unpack it first"),
    ];

    /// <summary>What is wrong with a file that is no text; null for one that may be.</summary>
    public static InputError? OfBytes(SmallInput input, string text, string sourceName, string formats)
    {
        ReadOnlySpan<byte> bytes = input.Bytes;
        foreach ((byte[] start, string what) in s_starts)
        {
            if (bytes.StartsWith(start))
                return InputError.NotSupported(sourceName, null, $"the file is {what}", $"give {formats}");
        }

        if (ForeignFile.Of(bytes) is { } foreign)
            return InputError.NotSupported(sourceName, null, $"the file is {foreign.What}", $"give {formats}");
        int odd = 0;
        ReadOnlySpan<char> head = text.AsSpan(0, Math.Min(text.Length, LookedAt));
        foreach (char c in head)
            odd += c == SmallInput.Undecodable || (c < ' ' && c is not ('\t' or '\n' or '\r' or '\f' or '\e')) ? 1 : 0;
        // Names in an old encoding have a few such characters.
        return odd > 4 && odd > head.Length / 8
            ? InputError.NotSupported(sourceName, null, "the file is no text", $"give {formats}") : null;
    }

    /// <summary>What is wrong with a text that is another tool's; null for one that may be a guest's.</summary>
    public static InputError? OfText(string text, string sourceName, string formats)
    {
        int number = 0;
        int first = 0;
        bool isYaml = false;
        bool isSettings = false;
        bool isProxmox = false;
        bool isOther = false;
        bool hasConfig = false;
        bool hasDevices = false;
        int qemus = 0;
        bool isXl = false;
        foreach (ReadOnlySpan<char> raw in text.AsSpan().EnumerateLines())
        {
            number++;
            ReadOnlySpan<char> line = raw.TrimStart('\uFEFF').TrimEnd();
            if (line.IsEmpty || (line[0] == '#' && !(number == 1 && line.StartsWith("#!"))) || line is "---")
                continue;
            if (first == 0)
            {
                first = number;
                if (OfFirstLine(line, sourceName, number, formats) is { } error)
                    return error;
            }

            if (qemus == 0 && QemuLogWords.Are(line))
                qemus = number;
            int assignment = line.IndexOf('=');
            isXl |= assignment > 0 && line[..assignment].Trim().IndexOfAnyExcept(s_nameLetters) < 0;
            bool isIndented = line[0] is ' ' or '\t';
            int colon = line.IndexOf(':');
            bool isSetting = colon > 0 && (colon + 1 == line.Length || line[colon + 1] == ' ') && line[..colon].IndexOfAny(" \"'=") < 0;
            isYaml |= isIndented || line.StartsWith("- ");
            isOther |= !isSetting && !isIndented && !line.StartsWith("- ") && line[0] != '[';
            if (!isSetting || isIndented)
                continue;
            isSettings = true;
            isProxmox |= s_proxmox.Contains(line[..colon].TrimEnd("0123456789").ToString());
            hasConfig |= line is "config:" or "config: {}";
            hasDevices |= line is "devices:" or "devices: {}";
        }

        // QEMU's own options of the name "kvm" look like Proxmox VE's setting of it.
        if (qemus > 0 && !isXl && (isOther || qemus == first))
            return InputError.NotSupported(sourceName, qemus, "QEMU's own log, without the command that started it", $"give {formats}");
        if (isOther)
            return null;
        if (hasConfig && hasDevices)
        {
            return InputError.NotSupported(sourceName, first, "the configuration of an instance of LXD or Incus, from which they make QEMU's",
                "give the file that its QEMU reads: ps shows it behind -readconfig while the instance runs");
        }

        return isProxmox || !isSettings ? null
            : isYaml ? InputError.NotSupported(sourceName, first, "a YAML document, which no guest's configuration is", $"give {formats}")
            : InputError.NotSupported(sourceName, first, "settings of the form KEY: VALUE, none of which is Proxmox VE's", $"give {formats}");
    }

    private static InputError? OfFirstLine(ReadOnlySpan<char> line, string sourceName, int number, string formats)
    {
        // Another program's may be a configuration that can be run.
        bool isScript = line.StartsWith("#!") && (line.EndsWith("sh") || line.Contains("sh ", StringComparison.Ordinal)
            || line.Contains("python", StringComparison.Ordinal) || line.Contains("perl", StringComparison.Ordinal));
        if (isScript)
            return InputError.NotSupported(sourceName, number, "a script in which no command of QEMU is", $"give {formats}");
        if (line.StartsWith("https://") || line.StartsWith("http://"))
            return InputError.NotSupported(sourceName, number, "a web address", $"give what it leads to: {formats}");
        int blank = line.IndexOf(' ');
        if (blank > 0 && PciAddress.TryParse(line[..blank], out _))
            return InputError.NotSupported(sourceName, number, "a listing of lspci, which tells devices and no guest", $"give {formats}");
        // xl's own lists are in brackets, and none begins with a brace.
        if (line[0] == '{')
            return InputError.NotSupported(sourceName, number, "JSON, in which no guest's configuration is (nor in what 'xl list -l' prints)",
                $"give {formats}");
        bool isLog = line.StartsWith("(XEN)") || (line[0] == '[' && line.IndexOf(']') is > 0 and var end && IsTime(line[1..end]));
        return isLog ? InputError.NotSupported(sourceName, number, "a log, and none of a guest's start", $"give {formats}") : null;
    }

    private static bool IsTime(ReadOnlySpan<char> text)
    {
        text = text.Trim();
        foreach (char c in text)
        {
            if (!char.IsAsciiDigit(c) && c != '.')
                return false;
        }

        return text.Contains('.');
    }
}
