// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Guests;

/// <summary>From which address width Proxmox VE reckons how far memory can be plugged into a guest (QEMU's maxmem).</summary>
/// <param name="Bits">A width of the guest's own; or the most that counts of the host's.</param>
/// <param name="IsHosts">Whether the host's width counts, up to that.</param>
/// <param name="MemoryBytes">What the guest has when it starts.</param>
/// <remarks>Source: qemu-server's Memory.pm, get_max_mem, since November 2022; get_host_phys_address_bits reads "address sizes" of
/// /proc/cpuinfo.</remarks>
internal readonly record struct ProxmoxRoom(int Bits, bool IsHosts, ulong MemoryBytes)
{
    /// <summary>More than any processor has.</summary>
    public const int WidestHost = 57;

    private const int MostBits = 43;

    /// <summary>maxmem in bytes: half of what an even number of bits addresses, and 4 TiB at most.</summary>
    /// <param name="hostBits">The width of the host's processor.</param>
    public ulong BytesOn(int hostBits)
    {
        int bits = (IsHosts ? Math.Min(hostBits, Bits) : Bits) & ~1;
        return 1UL << Math.Min(bits - 1, MostBits - 1);
    }

    /// <summary>Whether a host of so many bits or more has all that counts.</summary>
    public bool IsSettledBy(int leastHostBits) => !IsHosts || leastHostBits >= Math.Min(Bits, MostBits + 1);
}
