// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Logs;
using Keyhole.Reading;

namespace Keyhole.Verification;

/// <summary>A log of QEMU itself that was given for what the guest's kernel printed.</summary>
public static class QemuLog
{
    /// <summary>Why there is nothing to compare, where all that the log has is QEMU's; else the error as it is.</summary>
    /// <param name="error">Of a log in which no boot was found.</param>
    /// <param name="scan">The log.</param>
    public static InputError Named(InputError error, LogScan scan)
    {
        ArgumentNullException.ThrowIfNull(error);
        ArgumentNullException.ThrowIfNull(scan);
        return error.Code == InputErrorCode.NothingInIt && scan.Maps.IsEmpty && !BootLog.Of(scan).Any(static boot => boot.HasKernelLines)
            && scan.Lines.FirstOrDefault(static line => QemuLogWords.Are(line.Text)) is { } first
            ? InputError.NothingInIt(error.Source, first.Number, $"this is QEMU's own log ({InputError.Quote(first.Text)}), and nothing that a "
                + $"guest's kernel says of its memory is in it", error.Remedy)
            : error;
    }
}
