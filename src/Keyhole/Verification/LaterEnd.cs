// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using Keyhole.Logs;

namespace Keyhole.Verification;

/// <summary>An end that comes once the machine, or the guest, had been put to sleep: it is none of the boot, whose memory setup was over by
/// then.</summary>
internal static class LaterEnd
{
    public const string What = "end behind the boot";

    public static IEnumerable<Finding> Of(ObservedBoot observed) => observed.EndedLater is { } end
        ? [new Finding(What, null, Verifier.FailureText(end.Value), end.Line, Agrees: false)] : [];

    /// <summary>Proven by: what Xen or the kernel says of sleep before its last words.</summary>
    public static IEnumerable<string> Explain(ObservedBoot observed)
    {
        if (observed is not { EndedLater: { } end, Sleep: { } sleep })
            yield break;
        BootFailure failure = end.Value;
        string cause = failure is { IsXens: true, Cause: { } words } ? $" Before that Xen says \"{words}\"." : "";
        string crash = XenWords.Of(failure) is { } meaning ? $" {meaning}." : "";
        string memory = failure.IsAboutMemory ? " Memory has a part in it." : "";
        yield return $"Line {end.Line}: {(failure.IsXens ? "Xen" : "the kernel")} dies (\"{failure.Words}\") behind \"{sleep.Value}\" (line "
            + $"{sleep.Line}): it had been running and was put to sleep, so this is no death at boot, and the memory setup was over before it."
            + $"{cause}{crash}{memory}{XenTraceWords.Of(failure)}";
    }
}
