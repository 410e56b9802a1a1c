// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Platforms.Firmware;

namespace Keyhole.Platforms.XenHvm;

/// <summary>
/// Passed-through BARs of less than a page. hvmloader lays BARs side by side, several in a page; QEMU has Xen map whole pages, the next one where a
/// BAR begins amid a page, so that its registers are not where the guest looks, and Xen ends a guest in which one page is to lead to two of the
/// host's.
/// </summary>
/// <remarks>
/// Sources: QEMU's hw/xen/xen_pt.c (xen_pt_region_update rounds both addresses up to a page); Xen's tools/firmware/hvmloader/pci.c, and
/// set_typed_p2m_entry of arch/x86/mm/p2m.c, which refuses since XSA-378. The device models of Qubes and OpenXT round such BARs up.
/// </remarks>
internal static class HvmSmallBars
{
    private const ulong PageBytes = 1UL << Frames.Shift;
    private const string Rounded = "a device model that rounds such BARs up to a page, as those of Qubes and OpenXT do";

    /// <param name="At">Where hvmloader puts it.</param>
    /// <param name="Page">The guest's page that QEMU has mapped for it.</param>
    /// <param name="HostPage">The host's page behind it; null where nobody told where the host has the BAR.</param>
    private readonly record struct SmallBar(BarPlacement Bar, PciFunction Owner, ulong At, ulong Page, ulong? HostPage);

    /// <summary>What is wrong with them.</summary>
    /// <param name="Amid">BARs that begin amid a page.</param>
    /// <param name="Clash">BARs of which one guest's page is to lead to different pages of the host; empty where that is not so.</param>
    private readonly record struct Findings(ImmutableArray<SmallBar> Amid, ImmutableArray<SmallBar> Clash)
    {
        public bool IsEmpty => Amid.IsEmpty && Clash.IsEmpty;
    }

    /// <summary>Xen's words where it ends the guest; null where it does not, or is not known to.</summary>
    public static string? EndOf(Scenario scenario, HvmGuest guest, HvmloaderRun run) =>
        Look(scenario, run) is { Clash: [var first, ..] } && !guest.Settings.HasStubDomain && Refuses(guest.Xen) == true
            ? $"Xen ends the guest when hvmloader has placed the BARs: GFN 0x{first.Page:x} … not permitted" : null;

    public static void Report(Scenario scenario, HvmGuest guest, HvmloaderRun run, List<Problem> problems)
    {
        Findings found = Look(scenario, run);
        if (found.IsEmpty)
            return;
        // A stubdomain's QEMU may be one that was mended.
        Severity severity = guest.Settings.HasStubDomain ? Severity.Warning : Severity.Error;
        string remedy = Remedy(scenario, guest);
        if (!found.Clash.IsEmpty)
        {
            string end = Refuses(guest.Xen) switch
            {
                true => "Xen ends the guest at the second",
                false => "only the last one is reached",
                null => "with the fixes of XSA-378 Xen ends the guest at the second, without them only the last one is reached",
            };
            ulong page = found.Clash[0].Page << Frames.Shift;
            problems.Add(new(severity, EndOf(scenario, guest, run) is null ? ProblemCodes.BarConflict : ProblemCodes.GuestDoesNotStart,
                $"{Names(found.Clash)} come to one page of the guest, and QEMU maps whole pages, which are different ones on the host: {end}"
                    + (EndOf(scenario, guest, run) is null ? "" : $" (\"GFN 0x{found.Clash[0].Page:x} … not permitted\")"),
                page, page + PageBytes, remedy));
            return;
        }

        // A driver may do without one of them, as AHCI's does.
        problems.Add(new(Severity.Warning, ProblemCodes.BarConflict,
            $"{Names(found.Amid)} {(found.Amid.Length == 1 ? "begins" : "begin")} amid a page, and QEMU maps whole pages, the next one there: the "
                + $"guest does not reach {(found.Amid.Length == 1 ? "its" : "their")} registers",
            found.Amid[0].At, found.Amid[0].At + found.Amid[0].Bar.Bar.SizeBytes, remedy));
    }

    /// <summary>Null where the release has both, with and without the fix, and its patch level is not told.</summary>
    private static bool? Refuses(XenVersion xen) => xen switch
    {
        _ when !xen.IsUpTo(4, 15) => true,
        _ when xen.IsUpTo(4, 12) => null,
        { Patch: null } => null,
        _ => xen.Patch >= (xen.Minor switch { 13 => 4, 14 => 3, _ => 1 }),
    };

    private static Findings Look(Scenario scenario, HvmloaderRun run)
    {
        if (run.Placement is not { } placement)
            return new([], []);
        ImmutableArray<PciDevice> listed = [.. scenario.Qemu.Devices, .. scenario.Devices];
        var small = new List<SmallBar>();
        foreach (BarPlacement bar in placement.Bars)
        {
            PciFunction owner = placement.Tree.Functions[bar.Function].Node;
            bool isMemory = bar.Bar.Type is not (BarType.Io or BarType.Rom);
            if (!owner.IsPassedThrough || !isMemory || bar.Bar.SizeBytes >= PageBytes || bar.Address is not { } address)
                continue;
            ulong? host = HostStart(listed, owner, bar.Bar.Index);
            small.Add(new(bar, owner, address, Up(address), host is { } start ? Up(start) : null));
        }

        ImmutableArray<SmallBar> amid = [.. small.Where(static one => (one.At & (PageBytes - 1)) != 0)];
        SmallBar[]? clash = small.GroupBy(static one => one.Page).Select(static page => page.ToArray())
            .FirstOrDefault(static page => page.Select(static one => one.HostPage).Where(static host => host is not null).Distinct().Count() > 1);
        return new(amid, clash is null ? [] : [.. clash]);
    }

    private static ulong Up(ulong address) => (address + PageBytes - 1) >> Frames.Shift;

    private static ulong? HostStart(ImmutableArray<PciDevice> listed, PciFunction owner, int index)
    {
        if (!PciAddress.TryParse(owner.Name, out PciAddress address))
            return null;
        foreach (PciDevice device in listed)
        {
            if (device.Address != address)
                continue;
            foreach (Bar bar in device.Bars)
            {
                if (bar.Index == index && bar.Kind == BarKind.Memory)
                    return bar.Start;
            }
        }

        return null;
    }

    /// <summary>Each device alone is tried: one that then has its pages for itself can go to a guest of its own.</summary>
    private static string Remedy(Scenario scenario, HvmGuest guest)
    {
        if (!scenario.SeeksRemedies || scenario.Guest.Pci.Length < 2)
            return Rounded;
        string[] alone =
        [
            .. scenario.Guest.Pci.Where(one => IsFineWith(scenario with { Guest = scenario.Guest with { Pci = [one] } }, guest))
                .Select(static one => one.DeviceName),
        ];
        return alone.Length == 0 ? Rounded
            : $"give {string.Join(" and ", alone)} to {(alone.Length == 1 ? "a guest" : "guests")} without the other devices: alone "
                + $"{(alone.Length == 1 ? "it has its" : "each has its")} BARs at pages of their own; or take {Rounded}";
    }

    private static bool IsFineWith(Scenario scenario, HvmGuest guest) =>
        HvmGuest.Of(scenario, guest.Settings, guest.Xen) is { Refusal: null, Run: { PanicMessage: null } run } && Look(scenario, run).IsEmpty;

    private static string Names(ImmutableArray<SmallBar> bars)
    {
        string[] names = [.. bars.Select(static one => $"BAR {one.Bar.Bar.Index} of {Whose(one.Owner)} ({ByteSize.ToText(one.Bar.Bar.SizeBytes)})")];
        return names.Length == 1 ? names[0] : $"{string.Join(", ", names[..^1])} and {names[^1]}";
    }

    private static string Whose(PciFunction owner) =>
        PciAddress.TryParse(owner.Name, out PciAddress host)
            ? $"host {(host.ToString() is ['0', '0', '0', '0', ':', .. var name] ? name : host.ToString())}" : "the device";
}
