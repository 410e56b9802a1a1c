// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Logs;

namespace Keyhole.ReservedRam;

/// <summary>What helps a running host that is not set up as planned: what is not so already.</summary>
internal static class HostCheckRemedies
{
    /// <summary>Its kernel is in what is to be kept: a boot by BIOS, RAM above 4 GiB where there is such, KASLR or, with EFI, none.</summary>
    public static Phrase? ForKernel(ReservePlan plan, string? commandLine, ByteRange at)
    {
        List<Phrase> advice = [];
        bool? isEfi = plan.Host.Traits.IsEfi;
        bool hasNoKaslr = HostCheck.HasOption(commandLine, "nokaslr");
        if (isEfi != true && (commandLine is null || hasNoKaslr))
            advice.Add("boot without nokaslr");
        if (isEfi != false)
        {
            string onEfi = isEfi is null ? "on a host with EFI, " : "";
            if (!hasNoKaslr && EfiPlacement.ByNoKaslr(plan.Host, at) is { } low)
                advice.Add($"{onEfi}{low}");
            advice.Add($"{onEfi}boot by BIOS (CSM): an EFI stub does not avoid memmap=");
            if (at.Start < Frames.FourGiB && plan.Request is { } request && ReserveRemedies.Above4GiB(request) is { } high)
                advice.Add($"keep RAM above 4 GiB ({high}) in its place, and look again");
        }

        return advice.Count == 0 ? null : Phrase.Join("; or ", advice);
    }

    /// <summary>RAM that is to be kept is the kernel's: the parameters, where the host was not booted with them; without nokaslr, and by BIOS, where
    /// it matters.</summary>
    public static Phrase? ForRam(ReservePlan plan, TodaysHost today, string? commandLine, ByteRange at)
    {
        if (today.Memmaps.All(range => IsAskedFor(commandLine, range)))
            return ForKernel(plan, commandLine, at);
        string instead = commandLine?.Contains("memmap=", StringComparison.Ordinal) == true ? ", in place of the memmap= that it has" : "";
        return Boot(plan, today, commandLine, at, instead);
    }

    /// <summary>RAM was taken out of the map.</summary>
    /// <param name="taker">The option that did it; null where it is not known.</param>
    public static Phrase ForTaken(ReservePlan plan, TodaysHost today, string? commandLine, ByteRange at, KernelMemoryOption? taker) =>
        Boot(plan, today, commandLine, at, taker is { } option ? $", in place of {RamTaken.Name(option)}"
            : commandLine is null ? ", and without another mem= or memmap=" : "");

    /// <summary>Whether a kernel was told to reserve a range, in whatever form.</summary>
    private static bool IsAskedFor(string? commandLine, ByteRange range) => KernelMemoryOptions.Of(commandLine).Any(option =>
        option is { Kind: KernelMemoryOptionKind.Range, Type: E820Type.Reserved } && option.Range.Start <= range.Start
            && range.End <= option.Range.End);

    private static string Boot(ReservePlan plan, TodaysHost today, string? commandLine, ByteRange at, string instead)
    {
        bool isLow = at.Start < Frames.FourGiB;
        string how = plan.Host.Traits.IsEfi == true && isLow ? "boot the host by BIOS (CSM)" : "boot the host";
        bool isKaslrToSay = plan.Host.Traits.IsEfi != true && isLow && (commandLine is null || HostCheck.HasOption(commandLine, "nokaslr"));
        string onEfi = EfiPlacement.ByNoKaslr(plan.Host, at) is null || HostCheck.HasOption(commandLine, "nokaslr") ? ""
            : ", and with nokaslr, so that the EFI stub of Linux 6.6 to 6.9 puts the kernel low";
        return $"{how} with {today.Parameters} (for GRUB {MemmapParameters.ForDefaultGrub(today.Parameters)} in /etc/default/grub, "
            + $"{MemmapParameters.ForGrubScript(today.Parameters)} in grub.cfg){instead}{(isKaslrToSay ? ", and without nokaslr" : "")}{onEfi}";
    }
}
