// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Frozen;
using System.Collections.Generic;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Guests;

/// <summary>Commands of other programs that people give for a guest: each is told for what it is, with what is read instead.</summary>
internal static class OtherCommands
{
    private const string FromLibvirt = "give the domain that it makes: virsh dumpxml GUEST";
    private const string Others = "guests of Xen, QEMU, libvirt and Proxmox VE are read";

    private static readonly FrozenDictionary<string, (string What, string Remedy)> s_programs = new Dictionary<string, (string What, string Remedy)>
    {
        ["virt-install"] = ("a command of virt-install, which makes a domain of libvirt's",
            "give that domain: virsh dumpxml GUEST, or the XML that the command itself prints where it is asked to"),
        ["virt-clone"] = ("a command of virt-clone, which makes a domain of libvirt's", FromLibvirt),
        ["virt-xml"] = ("a command of virt-xml, which changes a domain of libvirt's", FromLibvirt),
        ["virsh"] = ("a command of virsh and not what it prints", "give the domain: virsh dumpxml GUEST"),
        ["pvesh"] = ("a command of Proxmox VE's pvesh, which tells a part of a guest",
            "give what qm config VMID prints, or qm showcmd VMID"),
        ["lxc"] = ("a command of LXD's, which makes QEMU's configuration itself", FromLxd),
        ["incus"] = ("a command of Incus', which makes QEMU's configuration itself", FromLxd),
        ["docker"] = ("a command of Docker, and QEMU's own is made in the container", FromContainer),
        ["podman"] = ("a command of Podman, and QEMU's own is made in the container", FromContainer),
        ["nerdctl"] = ("a command of nerdctl, and QEMU's own is made in the container", FromContainer),
        ["ctr"] = ("a command of containerd's ctr, and QEMU's own is made elsewhere", FromContainer),
        ["quickemu"] = ("a command of quickemu, which makes QEMU's itself", FromContainer),
        ["cloud-hypervisor"] = ("a command of Cloud Hypervisor, whose guests are not known here", Others),
        ["crosvm"] = ("a command of crosvm, whose guests are not known here", Others),
        ["firecracker"] = ("a command of Firecracker, whose guests are not known here", Others),
        ["stratovirt"] = ("a command of StratoVirt, whose guests are not known here", Others),
        ["lkvm"] = ("a command of kvmtool, whose guests are not known here", Others),
        ["bhyve"] = ("a command of bhyve, whose guests are not known here", Others),
        ["VBoxManage"] = ("a command of VirtualBox, whose guests are not known here", Others),
        ["vboxmanage"] = ("a command of VirtualBox, whose guests are not known here", Others),
        ["VBoxHeadless"] = ("a command of VirtualBox, whose guests are not known here", Others),
        ["vmrun"] = ("a command of VMware's, whose guests are not known here", Others),
    }.ToFrozenDictionary(StringComparer.Ordinal);

    private const string FromContainer = "give QEMU's own command: ps -ef on the host shows it while the guest runs";

    private const string FromLxd = "give the file that its QEMU reads: ps shows it behind -readconfig while the instance runs";

    /// <summary>What is wrong with a text whose first line is such a command; null for any other.</summary>
    public static InputError? Of(string text, string sourceName)
    {
        int number = 0;
        foreach (ReadOnlySpan<char> raw in text.AsSpan().EnumerateLines())
        {
            number++;
            ReadOnlySpan<char> line = CitedLine.Unmarked(raw).Trim();
            if (line.IsEmpty || line.StartsWith("#!"))
                continue;
            ReadOnlySpan<char> command = WithoutPrompt(line);
            // A comment that names a program is none of it.
            if (line[0] == '#' && !HasOption(command) && command is not [.., '\\'])
                continue;
            if (Of(command) is { } found)
                return InputError.NotSupported(sourceName, number, $"{found.What}", found.Remedy);
            if (line[0] != '#')
                return null;
        }

        return null;
    }

    private static (string What, string Remedy)? Of(ReadOnlySpan<char> command)
    {
        int end = command.IndexOfAny(' ', '\t');
        ReadOnlySpan<char> program = end < 0 ? command : command[..end];
        program = program[(program.LastIndexOf('/') + 1)..];
        ReadOnlySpan<char> rest = end < 0 ? default : command[end..].TrimStart();
        // A setting of that name, or the name alone, is no command.
        if (rest.IsEmpty || rest[0] == '=')
            return null;
        if (program is "qm")
            return OfQm(rest);
        return s_programs.TryGetValue(program.ToString(), out (string What, string Remedy) found)
            && (HasOption(rest) || char.IsAsciiLetter(rest[0]) || rest[0] == '\\') ? found : null;
    }

    private static (string What, string Remedy)? OfQm(ReadOnlySpan<char> rest)
    {
        int end = rest.IndexOf(' ');
        ReadOnlySpan<char> verb = end < 0 ? rest : rest[..end];
        if (verb.IsEmpty || verb.ContainsAnyExceptInRange('a', 'z'))
            return null;
        ReadOnlySpan<char> id = end < 0 ? default : rest[end..].TrimStart();
        int length = id.IndexOfAnyExceptInRange('0', '9');
        string number = length < 0 ? id.ToString() : id[..length].ToString();
        if (number.Length is 0 or > 9)
            number = "VMID";
        return ($"a command of Proxmox VE's qm ({verb}) and not a guest's configuration",
            $"give what qm config {number} prints, or qm showcmd {number}");
    }

    private static bool HasOption(ReadOnlySpan<char> text) => text.StartsWith("-") || text.Contains(" -", StringComparison.Ordinal);

    /// <summary>The line without a shell's prompt, sudo, and variables that are set for the command alone.</summary>
    private static ReadOnlySpan<char> WithoutPrompt(ReadOnlySpan<char> line)
    {
        int at = PromptIn(line) is >= 0 and var prompt && !line[..prompt].ContainsAny(' ', '=') ? prompt + 1 : 0;
        line = line[at..].TrimStart();
        while (line.IndexOf(' ') is > 0 and var end && (line[..end] is "sudo" or "exec" or "nohup" or "doas"
            || (line[..end].IndexOf('=') is > 0 and var equals && !line[..equals].ContainsAnyExcept(s_variable))))
            line = line[end..].TrimStart();
        return line;
    }

    private static int PromptIn(ReadOnlySpan<char> line)
    {
        int root = line.IndexOf("# ");
        int user = line.IndexOf("$ ");
        return root < 0 || (user >= 0 && user < root) ? user : root;
    }

    private static readonly System.Buffers.SearchValues<char> s_variable =
        System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
}
