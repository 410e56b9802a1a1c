// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>What Xen shows of itself where it dies: where in its code it was, and which address it could not use.</summary>
/// <param name="Functions">From the one that it was in to those that called it, as far as its stack tells; the first six.</param>
/// <param name="Fault">The address (cr2); null where none is told.</param>
internal sealed record XenTrace(ImmutableArray<string> Functions, ulong? Fault)
{
    /// <summary>Memory of the firmware's that Xen has not mapped, for the firmware does not say how to use it; empty where Xen says nothing of the
    /// kind.</summary>
    public ImmutableArray<ByteRange> NotMapped { get; init; } = [];
}

/// <summary>Gathers what Xen prints of its own state, line by line.</summary>
/// <remarks>Source: Xen's arch/x86/traps.c (show_registers, show_trace), common/bug.c, common/keyhandler.c, common/efi/boot.c.</remarks>
internal sealed class XenTraceReader
{
    /// <summary>Xen's code lies there: since 4.3, and before.</summary>
    public const string Code = "[<ffff82";

    public const string OwnContext = "CONTEXT: hypervisor";
    public const string Warning = "Xen WARN at";
    public const string HostState = "*** Dumping CPU";
    public const string Cr2 = " cr2: ";

    /// <summary>What Xen says of a check of its own that failed, before it shows its registers: the address in them is an older fault's.</summary>
    public static readonly ImmutableArray<string> OwnChecks = ["Xen BUG at", "Assertion '"];

    /// <summary>What follows the registers of a page fault, before the words of the panic.</summary>
    public const string PageWalk = "Pagetable walk from";

    public const string UnknownUse = "Unknown cachability for MFNs 0x";

    private const string Heading = "----[ Xen-";

    private const int MostFunctions = 6;
    private const int MostRanges = 32;
    private const int LongestName = 60;
    private const int LongestPath = 200;

    private readonly ImmutableArray<string>.Builder _functions = ImmutableArray.CreateBuilder<string>();
    private readonly ImmutableArray<ByteRange>.Builder _notMapped = ImmutableArray.CreateBuilder<ByteRange>();
    private ulong? _fault;
    private bool _isHarmless;
    private bool _isOwnCheck;

    /// <summary>The line that says that a dump is of Xen's own registers; null where none is, or where Xen goes on behind it.</summary>
    public LogLine? Dump { get; private set; }

    /// <summary>What has been shown; null where nothing has.</summary>
    public XenTrace? Trace => _functions.Count == 0 && _fault is null ? null
        : new(_functions.ToImmutable(), _fault) { NotMapped = _notMapped.ToImmutable() };

    /// <summary>Takes a line of Xen's; false where it is no part of a dump.</summary>
    public bool Take(LogLine line)
    {
        string text = line.Text;
        if (text.Contains(Warning, StringComparison.Ordinal) || text.Contains(HostState, StringComparison.Ordinal))
        {
            Clear();
            return _isHarmless = true;
        }

        // Behind "Panic on CPU" the same words are its reason.
        if (OwnChecks.Any(check => text.AsSpan().TrimStart().StartsWith(check, StringComparison.Ordinal)))
        {
            Clear();
            return _isOwnCheck = true;
        }

        if ((Dump is not null || _functions.Count != 0) && text.Contains(PageWalk, StringComparison.Ordinal))
            return true;

        // The line above a dump says whether Xen is tainted. What an earlier one showed is not this one's: Xen went on behind a warning.
        if (text.Contains(Heading, StringComparison.Ordinal))
        {
            _functions.Clear();
            _fault = null;
            return true;
        }

        if (text.Contains(OwnContext, StringComparison.Ordinal))
        {
            if (!_isHarmless)
                Dump = line;
            _isHarmless = false;
            return true;
        }

        if (TextCursor.TryBehind(text, UnknownUse, out TextCursor first))
        {
            // With efi=attr=uc they are mapped all the same.
            if (first.TryHex(out ulong start) && first.TryText("-0x") && first.TryHex(out ulong last) && first.Rest.IsEmpty && start <= last
                && last < Frames.MaxCount && _notMapped.Count < MostRanges)
                _notMapped.Add(ByteRange.FromFrames(PfnRange.FromBounds(new(start), new(last + 1))));
            return true;
        }

        return TakeFault(text) || TakeFunction(text);
    }

    /// <summary>What was shown was not the end, or has been told of: something else follows.</summary>
    public void Clear()
    {
        _functions.Clear();
        _fault = null;
        _isHarmless = false;
        _isOwnCheck = false;
        Dump = null;
    }

    private bool TakeFault(string text)
    {
        if (!TextCursor.TryBehind(text, Cr2, out TextCursor cursor))
            return false;
        if (cursor.TryHex(out ulong address) && !_isOwnCheck)
            _fault = address;
        return true;
    }

    /// <summary><c>[&lt;ffff82d0403a5ef8&gt;] R arch/x86/mm/p2m-pt.c#p2m_pt_set_entry+0x288/0x390</c>: the letter is newer than 4.11, the file stands
    /// where a name is of several functions.</summary>
    private bool TakeFunction(string text)
    {
        if (!TextCursor.TryBehind(text, Code, out ReadOnlySpan<char> rest))
            return false;
        int close = rest.IndexOf(">] ");
        if (close < 0)
            return true;
        rest = rest[(close + 3)..].Trim();
        if (rest.StartsWith("R ") || rest.StartsWith("S ") || rest.StartsWith("F "))
            rest = rest[2..];
        int plus = rest.IndexOf("+0x");
        if (plus is <= 0 or > LongestPath)
            return true;
        rest = rest[..plus];
        string name = InputError.OneLine(rest[(rest.LastIndexOf('#') + 1)..], LongestName);
        if (_functions.Count < MostFunctions && !_functions.Contains(name))
            _functions.Add(name);
        return true;
    }
}
