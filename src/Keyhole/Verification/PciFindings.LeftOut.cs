// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Logs;
using Keyhole.Pci;

namespace Keyhole.Verification;

/// <content>Where lines are left out of a log, what it does not show is not known.</content>
internal sealed partial class PciFindings
{
    /// <summary>Whether a bus has the number that Linux gave it, and not the firmware's.</summary>
    private bool IsNumberedByLinux(PciAddress address) => _options.NumbersBuses is not null && address.Bus != 0;

    private const string LeftOut = "lines are left out there";
    private const string Ended = "the log ends there";

    /// <summary>Lines that a bridge's windows take.</summary>
    private const int BridgeLines = 3;

    /// <summary>Lines of others, such as slots that are registered, that may stand between two functions.</summary>
    private const int MostBetween = 64;

    private int _barsLeftOut;

    /// <summary>Whether functions may be missing from the list of them.</summary>
    private bool IsListLeftOut => _log.LeavesOut(_firstLine - LinesBehind, _lastLine + MostBetween);

    /// <summary>Whether the line may be lost with which Linux has emulated disks or network cards taken away.</summary>
    private bool MayHaveUnplugged => _isXens && !(_hasNoDisks && _hasNoCards) && _log.LeavesOut(_boot.FirstLine - 1, _firstLine);

    /// <summary>Whether the log ends, perhaps amid its last line, where more of what stands at a line may have followed.</summary>
    /// <param name="line">The last that is known, or the one that others follow.</param>
    /// <param name="count">How many may follow.</param>
    private bool EndsBehind(int line, int count) => _boot.LastLine <= line + count;

    /// <summary>The line up to which what follows a function's name, or a bridge's, is of that.</summary>
    private int EndOf(int line)
    {
        int at = _starts.BinarySearch(line + 1);
        at = at < 0 ? ~at : at;
        return Math.Min(at < _starts.Count ? _starts[at] : int.MaxValue, line + MostBetween);
    }

    private bool AreRegistersLeftOut(List<PciFunctionSighting> named)
    {
        PciFunctionSighting name = named.Find(static one => !one.IsBridge);
        return name.Line == 0 ? _log.LeavesOut(_boot.FirstLine - 1, named[0].Line) : _log.LeavesOut(name.Line, EndOf(name.Line));
    }

    private bool IsFirstListingLeftOut(List<PciFunctionSighting> named, int first) =>
        _log.LeavesOut(first == 0 ? _boot.FirstLine - 1 : named[0].Line, named[first].Line);
}
