// SPDX-License-Identifier: GPL-2.0-only


namespace Keyhole.PvGuest;

/// <summary>Hypercalls that a kernel makes for its frames, by name. Each is one call, whatever it carries.</summary>
internal struct HypercallCounts
{
    public ulong DecreaseReservation;
    public ulong PopulatePhysmap;
    public ulong MmuUpdate;
    public ulong UpdateVaMapping;
}
