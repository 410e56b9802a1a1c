// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using Keyhole.Diagnostics;

namespace Keyhole.Logs;

/// <summary>Why a KVM guest was not started.</summary>
/// <param name="Words">Of whoever did not start it, without the option that they are about; with their line.</param>
/// <param name="Program">Who says them: QEMU, libvirt, Proxmox VE.</param>
internal sealed record StartError(LogFact<string> Words, string Program);

/// <summary>Gathers what QEMU, libvirt and Proxmox VE say of a guest that they do not start, as it stands on a terminal, in a window of virt-manager,
/// in a task's log, a journal or libvirt's log of the guest. Of several starts the last one counts.</summary>
/// <remarks>Sources: QEMU's util/error-report.c (an option stands before an error as long as the command line is read; "warning:" and "info:" before
/// what is none), and QEMU 7.2 started here with what it refuses; libvirt's virsh-domain.c, qemu_process.c and qemu_monitor.c, virt-manager's
/// asyncjob; Proxmox VE's QemuServer.pm and PCI.pm.</remarks>
internal sealed class StartErrorLines
{
    private const int MaxWords = 300;
    private const int MostJoined = 2048;
    private const string ProxmoxsTask = "TASK ERROR: ";
    private const string ProxmoxsStart = "start failed: ";
    private const string StartsUp = "starting up libvirt version";
    private const string ShutDown = ": shutting down, reason=";

    private static readonly string[] s_programs = ["qemu-system-x86_64: ", "qemu-system-i386: ", "qemu-kvm: ", "kvm: ", "qemu: "];

    /// <summary>What QEMU says with no option before it, and ends at.</summary>
    private static readonly string[] s_ends =
    [
        "cannot set up guest memory", "can't open backing store", "could not load PC BIOS", "unable to find CPU model", "unsupported machine type",
        "nvalid CPU topology", "failed to initialize ", "No accelerator found", "invalid accelerator", "phys-bits too low",
    ];

    /// <summary>What QEMU says of a device or an option without its "warning:", and goes on.</summary>
    private static readonly string[] s_noEnds =
        ["Failed to mmap ", "Performance may be slow", "annot read device rom", "Device option ROM", "char device redirected", "p2p may not work"];

    /// <summary>virsh, and virt-manager.</summary>
    private static readonly string[] s_libvirtsStarts = ["Failed to start domain", "Failed to create domain", "Error starting domain"];

    private static readonly string[] s_behindMonitor = ["closed the monitor", "connecting to monitor", "end of file from monitor"];

    /// <summary>Proxmox VE's words on a device, which <c>qm start</c> prints as they are.</summary>
    private static readonly string[] s_proxmoxs =
        ["cannot prepare PCI pass-through", "can't unbind/bind PCI group to VFIO", "can't reset PCI device", "no pci device info for device"];

    /// <summary>One of these stands in every line that is looked at.</summary>
    private static readonly SearchValues<string> s_words = SearchValues.Create(
        [.. s_programs, .. s_libvirtsStarts, .. s_proxmoxs, ProxmoxsTask, ProxmoxsStart, ShutDown, StartsUp], StringComparison.Ordinal);

    private StartError? _ofHostDevice;
    private StartError? _located;
    private StartError? _other;
    private StartError? _libvirts;
    private StartError? _proxmoxs;
    private bool _isSaid;

    /// <summary>The beginning of an error whose option goes on in the next line; empty where none is open.</summary>
    private string _open = "";
    private int _openLine;

    /// <summary>Whether libvirt says in the next line why.</summary>
    private bool _awaitsLibvirt;

    /// <summary>Reads the next line of the log.</summary>
    public void Read(ReadOnlySpan<char> line, int number)
    {
        line = line.Trim();
        if (line.IsEmpty)
            return;
        if (_open.Length > 0)
        {
            string joined = $"{_open} {line}";
            _open = "";
            ReadOfQemu(joined, _openLine);
            return;
        }

        if (!_awaitsLibvirt && !line.ContainsAny(s_words))
            return;
        if (line.Contains(StartsUp, StringComparison.Ordinal))
        {
            Forget();
            return;
        }

        // Of a guest that ran both are the end; libvirt ends QEMU, too, where something else fails in a start.
        if (line.IndexOf(ShutDown) is >= 0 and var end && char.IsAsciiDigit(line[0]))
        {
            if (line[end..].Contains("reason=failed", StringComparison.Ordinal))
                _isSaid = true;
            else
                Forget();
            return;
        }

        if (ProgramIn(line) is (>= 0 and var at, var program))
        {
            NoteLibvirt(line, number);
            ReadOfQemu($"{program}{line[(at + program.Length)..]}", number);
            return;
        }

        NoteLibvirt(line, number);
        NoteProxmox(line, number);
    }

    /// <summary>Why the last guest that the log tells of was not started; null where it does not tell that.</summary>
    public StartError? ToError()
    {
        if (_open.Length > 0)
        {
            (string open, _open) = (_open, "");
            ReadOfQemu(open + " ", _openLine);
        }

        return _ofHostDevice ?? _located ?? (_isSaid ? _other ?? _libvirts ?? _proxmoxs : null);
    }

    private void Forget()
    {
        (_ofHostDevice, _located, _other, _libvirts, _proxmoxs) = (null, null, null, null, null);
        (_isSaid, _awaitsLibvirt) = (false, false);
    }

    private static (int At, string Program) ProgramIn(ReadOnlySpan<char> line)
    {
        foreach (string program in s_programs)
        {
            int at = line.IndexOf(program);
            if (at >= 0 && (at == 0 || line[at - 1] is ' ' or '/' or '\t' or '`'))
                return (at, program);
        }

        return (-1, "");
    }

    private void ReadOfQemu(string text, int number)
    {
        ReadOnlySpan<char> words = text.AsSpan(text.IndexOf(": ", StringComparison.Ordinal) + 2);
        bool isLocated = words.StartsWith("-") && words.Length > 1 && char.IsAsciiLetter(words[1]);
        if (isLocated)
        {
            // No value of an option has a colon and a blank in it.
            int end = words.IndexOf(": ");
            if (end < 0)
            {
                // A mail, or a terminal, has broken the line.
                if (text.Length < MostJoined && !text.EndsWith(' '))
                    (_open, _openLine) = (text, number);
                return;
            }

            words = words[(end + 2)..];
        }

        words = words.Trim();
        if (words.IsEmpty || words.StartsWith("warning:") || words.StartsWith("info:") || Has(words, s_noEnds))
            return;
        if (words.StartsWith("terminating on signal"))
        {
            Forget();
            return;
        }

        var error = new StartError(new(InputError.OneLine(words, MaxWords), number), "QEMU");
        if (isLocated && words.StartsWith("vfio"))
            _ofHostDevice ??= error;
        else if (isLocated)
            _located = error;
        else
            _other = error;
        _isSaid |= !isLocated && Has(words, s_ends);
    }

    private void NoteLibvirt(ReadOnlySpan<char> line, int number)
    {
        foreach (string start in s_libvirtsStarts)
        {
            if (line.IndexOf(start) is not (>= 0 and var at))
                continue;
            // Every start that fails has such a line.
            _libvirts = null;
            _isSaid = true;
            _awaitsLibvirt = true;
            int colon = line[at..].IndexOf(": ");
            if (colon >= 0)
                NoteLibvirtsReason(line[(at + colon + 2)..], number);
            return;
        }

        if (_awaitsLibvirt && line.StartsWith("error: "))
            NoteLibvirtsReason(line["error: ".Length..], number);
    }

    private void NoteLibvirtsReason(ReadOnlySpan<char> words, int number)
    {
        foreach (string mark in s_behindMonitor)
        {
            if (words.IndexOf(mark) is not (>= 0 and var at))
                continue;
            // What QEMU said last: it stands here, or in lines of its own.
            int colon = words[at..].IndexOf(": ");
            words = colon < 0 || ProgramIn(words).At >= 0 ? default : words[(at + colon + 2)..].Trim();
            break;
        }

        if (words.IsEmpty)
            return;
        _libvirts = new(new(InputError.OneLine(words, MaxWords), number), "libvirt");
        _awaitsLibvirt = false;
    }

    private void NoteProxmox(ReadOnlySpan<char> line, int number)
    {
        int task = line.IndexOf(ProxmoxsTask);
        ReadOnlySpan<char> words = task >= 0 ? line[(task + ProxmoxsTask.Length)..] : line;
        bool isStart = words.StartsWith(ProxmoxsStart);
        int device = -1;
        foreach (string mark in s_proxmoxs)
            device = device < 0 ? words.IndexOf(mark) : device;
        if (!isStart && device < 0)
            return;
        _isSaid = true;
        _proxmoxs ??= new(new(InputError.OneLine(isStart ? words : words[device..], MaxWords), number), "Proxmox VE");
    }

    private static bool Has(ReadOnlySpan<char> words, string[] marks)
    {
        foreach (string mark in marks)
        {
            if (words.Contains(mark, StringComparison.Ordinal))
                return true;
        }

        return false;
    }
}
