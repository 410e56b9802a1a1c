// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.PvGuest;
using Keyhole.Xen;

namespace Keyhole.Probe;

/// <summary>Devices through the identity mapping, and what Xen must refuse.</summary>
internal static unsafe class DeviceChecks
{
    /// <summary>Maps the BAR's page at the address of its own frame and reads a register.</summary>
    public static void ReadBar(BarRequest bar, ReadOnlySpan<ulong> p2m)
    {
        Activity.Begin(Task.ReadingBar);
        Activity.Subject = bar.Address;
        ulong page = Pfn.Containing(bar.Address + bar.RegisterOffset).Value;
        bool isIdentity = page >= (ulong)p2m.Length || p2m[(int)page] == (page | P2mEntry.IdentityBit);
        long error = 0;
        uint value = 0;
        bool isRead = false;
        if (isIdentity && page < AddressSpace.LinearPages)
        {
            error = MapDevice(page);
            isRead = error == 0 && Native.TryRead(AddressSpace.Base + bar.Address + bar.RegisterOffset, &value);
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
        long error = AddressSpace.MapOne(page, (page << Frames.Shift) | AddressSpace.Device);
        return error == -(long)XenError.EINVAL ? AddressSpace.MapOne(page, (page << Frames.Shift) | AddressSpace.Writable) : error;
    }

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
