// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms;

/// <summary>The devices of a guest as they are on the host: which windows were read, which have no address there, and whether the host bridge could
/// hold what they can be set to.</summary>
internal static class HostSide
{
    private const string FirmwareRemedy =
        "switch on Above 4G Decoding (and SR-IOV or Resizable BAR, where it is about those) in the host's firmware";

    /// <summary>For a host bridge that has a window above 4 GiB.</summary>
    private const string DecodingRemedy =
        "look for a setting of SR-IOV or Resizable BAR in the host's firmware, where it is about those (Above 4G Decoding is on)";

    private const string Reallocating = ", or boot its Linux with pci=realloc";
    private const string ReallocatesAlready = "; its Linux has pci=realloc already";

    /// <summary>The guest's devices of which anything was read, each once: those that were listed before those of the host's description.</summary>
    public static ImmutableArray<PciDevice> DevicesOf(Scenario scenario)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        return
        [
            .. scenario.Qemu.Devices.Concat(scenario.Devices).DistinctBy(static device => device.Address),
        ];
    }

    /// <summary>What the host's side of the devices says of a guest whose firmware places their BARs again, or who has them where the host has
    /// them.</summary>
    internal static void Report(Scenario scenario, List<Problem> problems)
    {
        bool keepsAddresses = scenario.Guest.Type == GuestType.Pv;
        ImmutableArray<PciDevice> devices = DevicesOf(scenario);
        // The firmware decodes what it has used.
        bool hasHighBar = devices.Any(static device => device.Bars.Any(static bar => bar.Range.End > Frames.FourGiB));
        foreach (PciDevice device in devices)
        {
            ImmutableArray<ByteRange> windows = WindowsOf(scenario.Host.Traits, device.Address);
            string remedy = (hasHighBar || windows.Any(static range => range.End > Frames.FourGiB) ? DecodingRemedy : FirmwareRemedy)
                + (scenario.Host.Traits.Complaints.Reallocates ? ReallocatesAlready : Reallocating);
            foreach (UnplacedWindow window in device.Unplaced)
                ReportUnplaced(device, window, windows, remedy, keepsAddresses, problems);
            foreach (ResizableBar bar in windows.IsEmpty || keepsAddresses ? [] : device.Resizable)
                ReportResizable(device, bar, windows, problems);
        }
    }

    /// <summary>The windows of the host bridge that a device is behind; empty where nothing tells them.</summary>
    private static ImmutableArray<ByteRange> WindowsOf(HostTraits traits, PciAddress address)
    {
        int bus = -1;
        foreach (RootWindow window in traits.RootWindows)
        {
            if (window.Domain == address.Domain && window.Bus <= address.Bus)
                bus = Math.Max(bus, window.Bus);
        }

        return [.. traits.RootWindows.Where(window => window.Domain == address.Domain && window.Bus == bus).Select(static window => window.Range)];
    }

    private static void ReportUnplaced(
        PciDevice device, UnplacedWindow window, ImmutableArray<ByteRange> windows, string remedy, bool keepsAddresses, List<Problem> problems)
    {
        bool isVirtual = window.Kind == BarKind.VirtualFunction;
        string name = window.Kind switch
        {
            BarKind.Rom => "the ROM",
            BarKind.VirtualFunction => string.Create(CultureInfo.InvariantCulture,
                $"BAR {window.Index - Bar.FirstVirtualFunctionIndex} of the virtual functions"),
            BarKind.BridgeWindow => "a bridge's window",
            BarKind.Memory => string.Create(CultureInfo.InvariantCulture, $"BAR {window.Index}"),
        };
        string consequence = window.SizeBytes == 0 ? "its size is not told, and the forecast leaves it out"
            : window.Kind == BarKind.Rom ? "the guest's device then has no ROM, which a graphics card may need and hardly another"
            : isVirtual ? "no virtual function can be switched on"
            : keepsAddresses ? "it has none in the guest either, and the forecast leaves it out"
            : "the host gives the guest no such BAR until it has one; the forecast is for when it has";
        string room = window.SizeBytes == 0 || windows.IsEmpty ? "" : Holds(windows, window.SizeBytes, window.Is64Bit)
            ? $". A window of the host bridge could hold its {ByteSize.ToText(window.SizeBytes)}"
            : $". None of the host bridge's windows could hold its {ByteSize.ToText(window.SizeBytes)}: the largest has "
                + $"{ByteSize.ToText(windows.Max(static range => range.SizeBytes))}";
        // Most hosts give a ROM no address, and setups that make room for large BARs do not make any for it.
        if (window.Kind == BarKind.Rom)
        {
            problems.Add(new(Severity.Info, ProblemCodes.HostUnplaced, $"{name} of {device.Address} has no address on this host ({window.Sign}): "
                + consequence));
            return;
        }

        problems.Add(new(
            Severity.Warning,
            ProblemCodes.HostUnplaced,
            $"{name} of {device.Address} ({(window.Is64Bit ? "64-bit" : "32-bit")}{(window.IsPrefetchable ? ", prefetchable" : "")}) has no "
                + $"address on this host ({window.Sign}): {consequence}{room}",
            Remedy: remedy));
    }

    private static void ReportResizable(PciDevice device, ResizableBar bar, ImmutableArray<ByteRange> windows, List<Problem> problems)
    {
        ulong most = bar.SupportedBytes.IsEmpty ? 0 : bar.SupportedBytes[^1];
        if (most <= bar.CurrentBytes)
            return;
        ulong held = 0;
        foreach (ulong size in bar.SupportedBytes)
        {
            ulong all = bar.IsVirtual ? size * (ulong)Math.Max(1, device.Sriov?.TotalFunctions ?? 1) : size;
            if (size > bar.CurrentBytes && Holds(windows, all, is64Bit: true))
                held = size;
        }

        string name = string.Create(CultureInfo.InvariantCulture,
            $"BAR {bar.Index}{(bar.IsVirtual ? " of the virtual functions" : "")} of {device.Address}");
        string what = held == most ? $"a window of the host bridge holds its largest size, {ByteSize.ToText(most)}"
            : held > 0 ? $"the host bridge's windows hold {ByteSize.ToText(held)}, not its largest size, {ByteSize.ToText(most)}"
            : $"none of the host bridge's windows holds more (its largest size is {ByteSize.ToText(most)})";
        problems.Add(new(Severity.Info, ProblemCodes.HostWindow, $"{name} has {ByteSize.ToText(bar.CurrentBytes)} now: {what}"));
    }

    /// <summary>Whether a window has an aligned place of that size, whatever lies in it now.</summary>
    private static bool Holds(ImmutableArray<ByteRange> windows, ulong size, bool is64Bit)
    {
        ulong alignment = System.Numerics.BitOperations.RoundUpToPowerOf2(size);
        foreach (ByteRange window in windows)
        {
            ulong end = is64Bit ? window.End : Math.Min(window.End, Frames.FourGiB);
            ulong start = Align.Up(window.Start, alignment);
            if (start >= window.Start && start < end && size <= end - start)
                return true;
        }

        return false;
    }
}
