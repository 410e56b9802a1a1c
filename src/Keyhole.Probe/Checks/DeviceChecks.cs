// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.Hypercalls;
using Keyhole.PvGuest;

namespace Keyhole.Probe;

/// <summary>Devices through the identity mapping, and what Xen must refuse.</summary>
internal static unsafe class DeviceChecks
{
    /// <summary>Maps the BAR's page at the address of its own frame and reads a register.</summary>
    /// <param name="bar">The register.</param>
    /// <param name="p2m">The list.</param>
    /// <param name="forecast">What stands behind frames that the list does not cover.</param>
    public static void ReadBar(BarRequest bar, ReadOnlySpan<ulong> p2m, in P2mRuns forecast)
    {
        Activity.Begin(Task.ReadingBar);
        Activity.Subject = bar.Address;
        ulong page = Pfn.Containing(bar.Address + bar.RegisterOffset).Value;
        bool isIdentity = page < (ulong)p2m.Length
            ? p2m[(int)page] == (page | P2mEntry.IdentityBit)
            : forecast.CountOf(P2mKind.Identity, PfnRange.FromCount(new Pfn(page), 1)) == 1;
        long error = 0;
        uint value = 0;
        bool isRead = false;
        if (isIdentity)
        {
            error = MapDevice(page);
            isRead = error == 0 && Native.TryRead(AddressOf(page) + ((bar.Address + bar.RegisterOffset) & Frames.OffsetMask), &value);
        }

        Check.Begin("bar"u8, isRead);
        Json.Hex("address"u8, bar.Address);
        Json.Hex("offset"u8, bar.RegisterOffset);
        Json.Flag("identity"u8, isIdentity);
        Json.Signed("error"u8, error);
        Json.Hex("pfn"u8, page);
        Json.Hex("value"u8, value);
        Json.End();
    }

    /// <summary>
    /// To a domain without any device Xen refuses caching bits (EINVAL) before it looks at the frame: asked again without them, it says why.
    /// </summary>
    private static long MapDevice(ulong page)
    {
        long error = Map(page, (page << Frames.Shift) | AddressSpace.Device);
        return error == -(long)XenError.EINVAL ? Map(page, (page << Frames.Shift) | AddressSpace.Writable) : error;
    }

    /// <summary>A device that lies higher than the probe's half TiB reaches is looked at through the window: which address leads to it does not
    /// matter.</summary>
    private static ulong AddressOf(ulong page) => page < AddressSpace.LinearPages ? AddressSpace.AddressOf(page) : Native.Layout()->Window;

    private static long Map(ulong page, ulong entry) =>
        page < AddressSpace.LinearPages ? AddressSpace.MapOne(page, entry)
            : default(RealXen).UpdateVaMapping(AddressOf(page), entry, Uvmf.InvalidateLocally);

    /// <summary>Tries what the command line names and Xen must not allow; the check passes when it is refused.</summary>
    public static void TryForbidden(in CommandLine commandLine, ReadOnlySpan<ulong> p2m)
    {
        Activity.Begin(Task.TryingWhatIsForbidden);
        if (commandLine.ForeignMfn != ulong.MaxValue)
        {
            Activity.Subject = commandLine.ForeignMfn;
            Span<MmuUpdate> update = stackalloc MmuUpdate[1];
            update[0] = new() { ptr = (commandLine.ForeignMfn << Frames.Shift) | MmuUpdateCommand.MMU_MACHPHYS_UPDATE, val = 0 };
            long error = default(RealXen).MmuUpdate(update, out int done);
            Check.Begin("foreignFrame"u8, error < 0 && done == 0);
            Json.Hex("mfn"u8, commandLine.ForeignMfn);
            Json.Signed("error"u8, error);
            Json.End();
        }

        if (commandLine.ForbiddenAddress != 0)
        {
            Activity.Subject = commandLine.ForbiddenAddress;
            ulong page = Pfn.Containing(commandLine.ForbiddenAddress).Value;
            bool isHole = page >= (ulong)p2m.Length || !P2mEntry.HasFrame(p2m[(int)page]);
            long error = isHole ? MapDevice(page) : 0;
            Check.Begin("forbiddenDevice"u8, error < 0);
            Json.Hex("address"u8, commandLine.ForbiddenAddress);
            Json.Flag("hole"u8, isHole);
            Json.Signed("error"u8, error);
            Json.End();
        }
    }
}
