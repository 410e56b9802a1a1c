// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.Platforms.XenHvm;

namespace Keyhole.Verification;

/// <summary>
/// The log of the domain that an HVM guest's QEMU runs in ("NAME-dm"): a PV guest with a Linux of its own, whose lines say nothing of the guest's
/// map. It has the guest's devices, and no host's map, whatever the guest's configuration says.
/// </summary>
/// <remarks>Source: libxl_dm.c (libxl__spawn_stub_dm); how Qubes OS and upstream's builders of stubdomains call their kernels.</remarks>
public static class StubDomain
{
    private const string NameInRelease = "stubdom";

    /// <summary>Proven by: its kernel is called so, or runs as a PV guest on the memory that the stubdomain of the HVM guest that was told has. Other
    /// PV guests run on any.</summary>
    public static bool IsShownBy(ObservedBoot observed, GuestSpec told)
    {
        ArgumentNullException.ThrowIfNull(observed);
        ArgumentNullException.ThrowIfNull(told);
        return told.Type == GuestType.Hvm
            && (IsCalledSo(observed) || (told.Hvm.HasStubDomain && OtherPlatform.RunsAsPv(observed)
                && observed.Map is { } map && OtherGuest.SizeKiBIn(map) == HvmStubDomain.MemoryKiB(told.Hvm)));
    }

    /// <summary>Its boot beside the forecast of it.</summary>
    /// <param name="plan">Of the HVM guest.</param>
    /// <param name="observed">One that <see cref="IsShownBy"/> is true of.</param>
    /// <param name="boot">What was forecast of the stubdomain.</param>
    public static BootVerification Compare(Plan plan, ObservedBoot observed, out Boot boot)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(observed);
        ulong usualKiB = HvmStubDomain.MemoryKiB(plan.Guest.Hvm);
        boot = BootOf(plan.Scenario, observed, usualKiB);
        string called = IsCalledSo(observed) && observed.Release is { } own ? $", line {own.Line}: {InputError.OneLine(own.Value, 60)}" : "";
        var explanations = new List<Phrase>
        {
            $"The log is of the stubdomain of the guest that was told ({boot.Plan.Guest.VisibleName ?? "NAME-dm"}{called}): a PV domain "
                + $"of its own, in which QEMU runs. It is compared with what that domain gets; of the guest's own map and firmware it says nothing.",
        };
        if (!plan.Guest.Hvm.HasStubDomain)
            explanations.Add($"The guest that was told has no stubdomain (device_model_stubdomain_override=1): the log is another guest's, or the "
                + $"configuration is not what it ran with.");
        if (HvmStubDomain.TakesTraditional(plan.Guest.Hvm, plan.Scenario.Host.Traits.XenVersion ?? HvmGuest.UsualXen))
            explanations.Add($"By the configuration that was told its QEMU would be qemu-xen-traditional, whose stubdomain has no Linux: what it ran "
                + $"with had device_model_version=\"qemu-xen\".");
        if (boot.Forecast is { } usual && !Verifier.AgreesAll(usual, observed)
            && observed.Map is { } map && OtherGuest.SizeKiBIn(map) is { } seenKiB
            && BootOf(plan.Scenario, observed, seenKiB) is { Forecast: { } seen } other && Verifier.AgreesAll(seen, observed))
        {
            // What the configuration says is not corrected by the log, but contradicted.
            string seenText = ByteSize.ToText(seenKiB << 10), libxls = ByteSize.ToText(usualKiB << 10);
            if (plan.Guest.Hvm.StubDomainMiB is { } told)
            {
                explanations.Add($"By its log it had {seenText}. With stubdomain_memory={told} libxl gives it {libxls}, "
                    + $"{ByteSize.ToText(plan.Guest.Hvm.VideoKiB << 10)} of them for the video card: the log is of another configuration, or its "
                    + $"toolstack reckons otherwise.");
            }
            else
            {
                boot = other;
                explanations.Add($"Its size is taken from the log: {seenText}. libxl gives it {libxls} where nobody says otherwise "
                    + $"(stubdomain_memory=, and what the video card has).");
            }
        }

        BootVerification verification = Verifier.Compare(boot.Forecast!, observed, boot.Plan);
        return verification with { Explanations = [.. explanations, .. verification.Explanations] };
    }

    private static bool IsCalledSo(ObservedBoot observed) =>
        observed.Release is { } release && release.Value.Contains(NameInRelease, StringComparison.Ordinal);

    private static Boot BootOf(Scenario told, ObservedBoot observed, ulong memoryKiB) => Boot.Of(told with
    {
        Guest = new()
        {
            Name = told.Guest.VisibleName is { } name ? $"{name}-dm" : null,
            MemoryKiB = memoryKiB,
            MaxmemKiB = memoryKiB,
            IsStubDomain = true,
            CommandLine = observed.Facts.CommandLine?.Value,
        },
        PageCount = null,
        Policy = null,
        Bars = [],
        Kernel = observed.Kernel ?? told.Kernel,
        Layout = BootEvidence.LayoutOfGuest(observed, memoryKiB >> (Frames.Shift - 10)),
    });
}
