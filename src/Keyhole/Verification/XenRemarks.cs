// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Logs;
using Keyhole.Reading;

namespace Keyhole.Verification;

/// <summary>What Xen says of a guest that is no end of it by itself: memory beyond its most, and the last words of a log that is cut before Xen names
/// the domain that it ends.</summary>
/// <remarks>Source: Xen's common/page_alloc.c (assign_pages: "for domain 5: 262145 &gt; 262144", since 4.16 "for d5: …"; both pages),
/// include/xen/sched.h (domain_crash) and common/domain.c (__domain_crash), 4.0 to 4.22.</remarks>
public static class XenRemarks
{
    /// <summary>Lines of Xen that are quoted before the last.</summary>
    private const int MostFaults = 4;

    /// <summary>A comparison with what Xen says of that guest, or dom0, in the boot's log.</summary>
    /// <param name="verification">The comparison.</param>
    /// <param name="scan">The boot's log.</param>
    /// <param name="isDom0">Whether the boot is dom0's.</param>
    public static BootVerification Told(BootVerification verification, LogScan scan, bool isDom0)
    {
        ArgumentNullException.ThrowIfNull(verification);
        ArgumentNullException.ThrowIfNull(scan);
        ObservedBoot boot = verification.Boot;
        bool isCreated = verification.Outcomes is not { Observed: Platforms.GuestOutcome.Refused };
        Phrase[] told =
        [
            .. OfOverAllocation(scan, boot, isDom0, isCreated),
            .. !boot.Halts && isCreated && LoneCrash(scan) is { } crash && crash.Number >= boot.FirstLine && !GoesOnBehind(scan, boot, crash.Number)
                ? [(Phrase)$"Line {crash.Number}: {Words(scan, crash)}."] : Array.Empty<Phrase>(),
        ];
        return told.Length == 0 ? verification : verification with { Explanations = [.. verification.Explanations, .. told] };
    }

    /// <summary>Why there is nothing to compare, where all that the log has is such words; else the error as it is.</summary>
    /// <param name="error">Of a log in which no boot was found.</param>
    /// <param name="scan">The log.</param>
    public static InputError Named(InputError error, LogScan scan)
    {
        ArgumentNullException.ThrowIfNull(error);
        ArgumentNullException.ThrowIfNull(scan);
        if (error.Code != InputErrorCode.NothingInIt || BootLog.Of(scan).Any(static boot => boot.HasKernelLines))
            return error;
        if (LoneCrash(scan) is { } crash)
            return InputError.NothingInIt(error.Source, crash.Number, $"{Words(scan, crash)}", error.Remedy);
        return Read(scan).FirstOrDefault() is { Line: > 0 } first
            ? InputError.NothingInIt(error.Source, first.Line, $"nothing that a kernel says of its memory at boot is in it, but for what Xen says: "
                + $"{first.Says}", error.Remedy)
            : error;
    }

    private static IEnumerable<Phrase> OfOverAllocation(LogScan scan, ObservedBoot boot, bool isDom0, bool isCreated)
    {
        OverAllocation[] all = [.. Read(scan).Where(one => (one.Domain == 0) == isDom0 && (boot.Domain is null || one.Domain == boot.Domain))];
        // Of several guests nobody knows which one a console without a number is of.
        if (all.Length == 0 || all.Any(one => one.Domain != all[0].Domain)
            || (boot.Domain is null && !isDom0 && BootLog.Of(scan).Count(static other => other.Owner != BootOwner.Dom0) > 1))
            yield break;
        string times = all.Length == 1 ? "" : $", the first of {Counted.Of(all.Length, "such line")}";
        yield return $"Line {all[0].Line}{times}: {all[0].Says}.{(isCreated ? " By itself that ends nothing: who asked goes without." : "")}";
    }

    private static IEnumerable<OverAllocation> Read(LogScan scan) => scan.Lines
        .Where(static line => line.Speaker == LogSpeaker.Xen).Select(OverAllocation.In).Where(static one => one.Line > 0);

    /// <summary>The last word of Xen's in which it ends a domain, where none follows that names it; null else.</summary>
    private static LogLine? LoneCrash(LogScan scan)
    {
        LogLine? last = scan.Lines.LastOrDefault(static line => line.Speaker == LogSpeaker.Xen
            && (line.Text.Contains(XenReasons.CalledFrom, StringComparison.Ordinal) || BootFailure.OfXen(line.Text, out _) is not null));
        return last?.Text.Contains(XenReasons.CalledFrom, StringComparison.Ordinal) == true ? last : null;
    }

    private static bool GoesOnBehind(LogScan scan, ObservedBoot boot, int line) =>
        scan.Lines.Any(other => other.Speaker == LogSpeaker.Kernel && other.Number > line && other.Domain == boot.Domain
            && KernelMessage.Parse(other.Text).Kind != KernelMessageKind.Other);

    /// <summary>Xen prints no more of a domain that is going down already; of another the next line names it.</summary>
    private static string Words(LogScan scan, LogLine crash)
    {
        string[] faults = [.. scan.Lines.Where(line => line.Number < crash.Number && line.Speaker == LogSpeaker.Xen).Reverse()
            .TakeWhile(static line => XenReasons.Of(line.Text) is not null && BootFailure.OfXen(line.Text, out _) is null)
            .Where(static line => !line.Text.Contains(XenReasons.CalledFrom, StringComparison.Ordinal))
            .Take(MostFaults).Reverse().Select(static line => BootFailure.FaultOfXen(line.Text, out _, out _)!).Distinct()];
        BootFailure failure = new(BootFailureKind.Crashed, InputError.OneLine(crash.Text, 200)) { Cause = faults.Length == 0 ? null
            : string.Join("; ", faults) };
        return $"\"{failure.Words}\": there Xen ends a domain, or meets one that is going down already. Which one the next line tells (\"Domain N "
            + $"(vcpu#0) crashed\"), and the log has none: it may be cut"
            + (XenWords.Of(failure) is { } why ? $". {why}" : ". Why the log does not say");
    }

    /// <summary>A line that says that a domain did not get what was asked for.</summary>
    private readonly record struct OverAllocation(int Line, string Text, int Domain, int? Asker, uint Pages, uint MostPages)
    {
        private const string Mark = "Over-allocation for d";

        public string Says => $"\"{Text}\": Xen did not give domain {Domain} memory beyond its most: with what was asked for it would "
            + $"have {Verifier.Number(Pages)} pages, and may have {Verifier.Number(MostPages)} ({ByteSize.ToText((ulong)MostPages << Frames.Shift)})"
            + (Asker == Domain ? ". It asked itself, as its balloon driver does"
                : Asker == 0 ? ". dom0 asked: the toolstack, or the guest's QEMU" : "");

        public static OverAllocation In(LogLine line)
        {
            if (!TextCursor.TryBehind(line.Text, Mark, out TextCursor cursor))
                return default;
            cursor.TryText("omain ");
            if (!cursor.TryDecimal(out uint domain) || domain > ushort.MaxValue || !cursor.TryText(": ") || !cursor.TryDecimal(out uint pages)
                || !cursor.TryText(" > ") || !cursor.TryDecimal(out uint most) || most >= pages)
                return default;
            int at = line.Text.IndexOf(Mark, StringComparison.Ordinal);
            return new(line.Number, InputError.OneLine(line.Text, 120), (int)domain, XenReasons.DomainIn(line.Text.AsSpan(0, at)), pages, most);
        }
    }
}
