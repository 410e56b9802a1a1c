// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Logs;

/// <summary>Who says that a boot is over, and how sure that is.</summary>
public enum BootFailureKind
{
    /// <summary>"Kernel panic - not syncing: …", or an exception before the kernel could print one.</summary>
    KernelPanic,

    /// <summary>"kernel BUG at …", an Oops, a fault, or what the kernel says right before its BUG().</summary>
    KernelBug,

    /// <summary>Xen's own panic: "Panic on CPU 0: …".</summary>
    XenPanic,

    /// <summary>A dump of Xen's own registers, behind which the log has nothing: the words of a panic are not in it.</summary>
    XenDump,

    /// <summary>Xen's word that a domain crashed, or met a triple fault.</summary>
    Crashed,

    /// <summary>Xen's word that dom0 halted, which a dom0 that is switched off does, too.</summary>
    Halted,
}

/// <summary>The end of a boot as a log tells it.</summary>
/// <param name="Words">What the line says, without its prefix; of Xen's panic the reason behind it.</param>
public readonly record struct BootFailure(BootFailureKind Kind, string Words)
{
    /// <summary>Longest words that are kept.</summary>
    private const int MaxLength = 200;

    private const string BugAt = "kernel BUG at ";

    /// <summary>What the kernel asked for and did not get, or could not map: words that are about memory.</summary>
    private static readonly string[] s_wordsOfMemory =
        ["to allocate", "ut of memory", "alloc_", "memblock", "not enough memory", "Not enough memory", "Failed to update kernel mapping",
            "annot allocate", "No memory", "no memory", "deadlocked on memory", "Not enough RAM", "llocation too small",
            // Xen, where it lays out and loads a PVH dom0.
            "physical memory map", "not relocatable", "find a load address", "find a memory region"];

    /// <summary>What is allocated and is no memory, behind words of <see cref="s_wordsOfMemory"/> that do not name memory.</summary>
    private static readonly string[] s_allocatedOtherwise = ["evtchn", "event channel", "irq", "interrupt", "vector", "minor", "major"];

    /// <summary>What Xen says last, whatever the reason.</summary>
    private static readonly string[] s_wordsWithoutReason = ["Could not construct d", "Could not set up DOM0", "Error creating d"];

    /// <summary>What Xen says of the reason before it gives up, or of a guest's fault before the guest crashes; null where it says nothing, and of a
    /// kernel.</summary>
    public string? Cause { get; init; }

    /// <summary>Where Xen was when it died; null of a domain's end, and where Xen does not show it.</summary>
    internal XenTrace? Trace { get; init; }

    /// <summary>Whether it is Xen's own end.</summary>
    internal bool IsXens => Kind is BootFailureKind.XenPanic or BootFailureKind.XenDump;

    /// <summary>Whether the words give no reason.</summary>
    public bool GivesNoReason
    {
        get
        {
            foreach (string words in s_wordsWithoutReason)
            {
                if (Words.StartsWith(words, StringComparison.Ordinal))
                    return Cause is null;
            }

            return Kind is BootFailureKind.Crashed or BootFailureKind.Halted && Cause is null && !IsItsOwnReason;
        }
    }

    /// <summary>Whether the words themselves are about memory. That they are not proves nothing.</summary>
    public bool IsAboutMemory
    {
        get
        {
            // Of a BUG the words are a file's name, which says nothing of memory because of its letters ("xfs_alloc_btree.c").
            bool isPlace = Words.StartsWith(BugAt, StringComparison.Ordinal);
            foreach (string words in s_wordsOfMemory)
            {
                if ((!isPlace && Words.Contains(words, StringComparison.Ordinal) && !IsAllocatedOtherwise(words))
                    || Cause?.Contains(words, StringComparison.Ordinal) == true)
                    return true;
            }

            return IsInMemorySetup || IsInBalloon || (isPlace && Words.Contains(" mm/memblock.c:", StringComparison.Ordinal))
                || XenReasons.In(this).Any(static reason => reason.Memory == MemoryPart.Yes);
        }
    }

    /// <summary>Whether the BUG is in the kernel's memory management, which is no sign that memory was short.</summary>
    internal bool IsInMemoryManagement => Words.StartsWith($"{BugAt}mm/", StringComparison.Ordinal);

    /// <summary>Whether the words are of an address that is not mapped, or not for that use.</summary>
    internal bool IsOfAddress => Words.Contains("unable to handle page fault", StringComparison.Ordinal)
        || Words.Contains("handle kernel paging request", StringComparison.Ordinal);

    private bool IsAllocatedOtherwise(string words)
    {
        string said = Words;
        return words.EndsWith("llocate", StringComparison.Ordinal) && !said.Contains("memory", StringComparison.OrdinalIgnoreCase)
            && Array.Exists(s_allocatedOtherwise, other => said.Contains(other, StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>Whether the words are Xen's of a domain that met a triple fault. A system may also restart so.</summary>
    internal bool IsTripleFault => Kind == BootFailureKind.Crashed && Words.Contains(XenReasons.TripleFault, StringComparison.Ordinal);

    /// <summary>Whether Xen's words are the end and the reason in one.</summary>
    internal bool IsItsOwnReason => Kind == BootFailureKind.Crashed && XenReasons.Of(Words) is { Ends: true };

    /// <summary>Whether the kernel had its memory set up before that: the files of the setup have other code, too.</summary>
    internal bool IsBehindSetup { get; init; }

    /// <summary>Whether the BUG is in the code that lays a PV kernel's memory out.</summary>
    public bool IsInMemorySetup => !IsBehindSetup
        && (Words.Contains("arch/x86/xen/setup.c", StringComparison.Ordinal) || Words.Contains("arch/x86/xen/p2m.c", StringComparison.Ordinal)
            || Words.Contains("arch/x86/xen/mmu", StringComparison.Ordinal));

    /// <summary>Whether the BUG is in the driver that gives a guest's memory back to Xen and takes it again.</summary>
    internal bool IsInBalloon => Words.Contains("/balloon.c:", StringComparison.Ordinal);

    /// <summary>A kernel's panic message outside of its memory setup; null where a line has none.</summary>
    internal static BootFailure? OfKernel(ReadOnlySpan<char> line)
    {
        foreach ((string mark, BootFailureKind kind) in Vocabulary.Failures)
        {
            int at = line.IndexOf(mark, StringComparison.Ordinal);
            // A program's: "traps: chrome[4711] general protection fault ip:… sp:…".
            if (at >= 0 && line.Contains(" ip:", StringComparison.Ordinal) && line.Contains(" sp:", StringComparison.Ordinal))
                continue;
            // "---[ end Kernel panic - not syncing" repeats it.
            if (at >= 0)
                return new(kind, InputError.OneLine(line[at..].TrimEnd(" -[]"), MaxLength));
        }

        return null;
    }

    /// <summary>What Xen says where it cannot build dom0, before it gives up; null where a line has nothing of the kind.</summary>
    internal static string? CauseOfXen(ReadOnlySpan<char> text)
    {
        foreach (string mark in Vocabulary.XenCauses)
        {
            if (text.Contains(mark, StringComparison.Ordinal))
                return InputError.OneLine(text.Trim(), MaxLength);
        }

        return null;
    }

    /// <summary>What Xen says of a guest before it ends it; null where a line has nothing of the kind.</summary>
    /// <param name="text">A line of Xen's without its prefix.</param>
    /// <param name="domain">Whose it is ("d1v0"); null where the line does not say.</param>
    /// <param name="isEnd">Whether the guest is over with it.</param>
    internal static string? FaultOfXen(ReadOnlySpan<char> text, out int? domain, out bool isEnd)
    {
        domain = null;
        isEnd = false;
        if (XenReasons.Of(text) is not { } reason)
            return null;
        isEnd = reason.Ends;
        domain = XenReasons.DomainIn(text);
        return InputError.OneLine(text.Trim().TrimEnd(':'), MaxLength);
    }

    /// <summary>What Xen says where it is about to end, without the panic that follows; null where a line has nothing of the kind.</summary>
    /// <param name="text">A line of Xen's without its prefix.</param>
    internal static BootFailure? AnnouncedByXen(ReadOnlySpan<char> text)
    {
        foreach (string words in Vocabulary.XensEnds)
        {
            if (text.TrimStart().StartsWith(words))
                return new(BootFailureKind.XenPanic, InputError.OneLine(text.Trim(), MaxLength));
        }

        return null;
    }

    /// <summary>What Xen says of its own end or a domain's; null where a line has nothing of the kind.</summary>
    /// <param name="text">A line of Xen's without its prefix; behind "Panic on CPU" with the reason that follows.</param>
    /// <param name="domain">Whose end it is; 0 of Xen itself.</param>
    internal static BootFailure? OfXen(ReadOnlySpan<char> text, out int domain)
    {
        domain = 0;
        int at = text.IndexOf(Vocabulary.XenPanic, StringComparison.Ordinal);
        if (at >= 0)
        {
            int colon = text[at..].IndexOf(':');
            ReadOnlySpan<char> reason = colon < 0 ? default : text[(at + colon + 1)..].Trim(" *");
            return new(BootFailureKind.XenPanic, InputError.OneLine(reason.IsEmpty ? text : reason, MaxLength));
        }

        // An HVM or PVH domain that dies early leaves this alone, and one whose system tells Xen of its crash.
        if (text.Contains(XenReasons.TripleFault, StringComparison.Ordinal) || XenReasons.IsGuestsOwnCrash(text))
        {
            domain = XenReasons.DomainIn(text) ?? -1;
            return domain < 0 ? null : new(BootFailureKind.Crashed, InputError.OneLine(text.Trim(), MaxLength));
        }

        bool isCrash = text.Contains(Vocabulary.Crashed, StringComparison.Ordinal);
        if (!isCrash && !text.Contains(Vocabulary.Halted, StringComparison.Ordinal))
            return null;
        string words = InputError.OneLine(text.Trim().TrimEnd(':'), MaxLength);
        BootFailureKind kind = isCrash ? BootFailureKind.Crashed : BootFailureKind.Halted;
        if (text.Contains("Dom0", StringComparison.Ordinal))
            return new(kind, words);
        at = text.IndexOf("Domain ", StringComparison.Ordinal);
        if (at < 0 || !new Reading.TextCursor(text[(at + "Domain ".Length)..]).TryDecimal(out uint number) || number > ushort.MaxValue)
            return null;
        domain = (int)number;
        return new(kind, words);
    }
}
