// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Globalization;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Logs;
using Keyhole.Pci;

namespace Keyhole.Verification;

/// <content>What a log says of one register, and how it is named.</content>
internal sealed partial class PciFindings
{
    private static PciSighting? FirstOf(List<PciSighting> resources, int index)
    {
        int at = resources.FindIndex(seen => seen.Index == index && seen.Word == PciWord.Found);
        return at < 0 ? null : resources[at];
    }

    /// <summary>Where the log has nothing of the register, the first line on it, if that takes its place away.</summary>
    private static PciSighting? TakenFrom(List<PciSighting> resources, int index) =>
        resources.Find(seen => seen.Index == index) is { Word: PciWord.CannotClaim or PciWord.Released } first ? first : null;

    /// <summary>A register of 32 bits that was sized and never written. Of ports some kernels print 16 bits, some 32.</summary>
    private static bool IsAllOnes(PciSighting seen) =>
        seen.Start is { } start && (start + seen.SizeBytes == Frames.FourGiB || (seen.IsPorts && start + seen.SizeBytes == 1UL << 16));

    /// <summary>The address that the firmware left in the register; null where it left none.</summary>
    private static ulong? AddressIn(PciSighting? seen) => seen is { } found && !IsAllOnes(found) ? found.Start : null;

    /// <summary>Whether the log shows several functions and none of their BARs has an address: their firmware gave its devices up.</summary>
    public static bool ShowsNoAddress(PciLog log, ObservedBoot boot)
    {
        var functions = new HashSet<PciAddress>();
        // Of what was plugged in later the firmware knows nothing.
        HashSet<PciAddress> plugged = PluggedFunctions.Of(log, boot);
        foreach (PciSighting seen in log.Resources)
        {
            if (plugged.Contains(seen.Function) || seen.Line < boot.FirstLine || seen.Line > boot.LastLine || seen.Domain != boot.Domain
                || seen is not { Index: < Bar.RomIndex, Word: PciWord.Found, IsPorts: false })
                continue;
            functions.Add(seen.Function);
            if (AddressIn(seen) is not null)
                return false;
        }

        return functions.Count > 1;
    }

    /// <summary>The line of the first memory window of a device that has no address in the end; null where every one has, or lines are left out
    /// behind it.</summary>
    public static int? LineWithoutAddress(PciLog log, ObservedBoot boot)
    {
        var last = new Dictionary<(PciAddress, int), PciSighting>();
        foreach (PciSighting seen in log.Resources)
        {
            if (seen.Line >= boot.FirstLine && seen.Line <= boot.LastLine && seen.Domain == boot.Domain
                && seen is { Index: < Bar.RomIndex, IsPorts: false })
                last[(seen.Function, seen.Index)] = seen;
        }

        int? found = null;
        foreach (PciSighting seen in last.Values)
        {
            if (seen.Word == PciWord.NoRoom && !(seen.Line >= found) && !log.LeavesOut(seen.Line, boot.LastLine))
                found = seen.Line;
        }

        return found;
    }

    private static BarType TypeOf(PciSighting seen) =>
        seen.IsPorts ? BarType.Io : BarTypes.Of(seen.Index == Bar.RomIndex ? BarKind.Rom : BarKind.Memory, seen.Is64Bit, seen.IsPrefetchable);

    private static string Text(ulong? address, ulong sizeBytes, BarType type) =>
        $"{(address is { } at ? $"0x{at:x}" : "no address")} ({ByteSize.ToText(sizeBytes)}, {type.Name()})";

    private static string NameOf(PciAddress address, int index) => index == Bar.RomIndex ? $"ROM of {address}"
        : string.Create(CultureInfo.InvariantCulture, $"BAR {index} of {address}");

    private static string NameOf(NumberedFunction function) => function.Node.VendorId == 0 ? function.Address.ToString()
        : NameOf(function.Address, function.Node.VendorId, function.Node.DeviceId);

    private static string NameOf(PciAddress address, int vendorId, int deviceId) => $"{address} [{vendorId:x4}:{deviceId:x4}]";
}
