// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Hypercalls;

namespace Keyhole.Dom0;

/// <summary>What a program in dom0 asks the hypervisor: the memory calls, and facts about domains. Real or simulated.</summary>
public interface IXenControl : IDisposable
{
    /// <summary>The hypercalls as this dom0 makes them.</summary>
    IHypercalls Calls { get; }

    /// <summary>"4.17.7" with whatever the vendor put behind it, or why it cannot be known.</summary>
    XenResult<string> Version();

    /// <summary>Every domain there is, by number.</summary>
    XenResult<IReadOnlyList<DomainInfo>> Domains();

    /// <summary>One domain; where there is none, a problem that says so.</summary>
    XenResult<DomainInfo> Domain(DomainId id);

    /// <summary>Bits of a PV guest's addresses, 32 or 64; negative, −<see cref="XenError"/>, where Xen does not say.</summary>
    long AddressBits(DomainId id);

    /// <summary>Copies pages of a PV guest, at most 512.</summary>
    /// <param name="machineFrames">Frames of the machine that the guest owns.</param>
    /// <param name="pages">Where they are copied to: 4,096 bytes for each.</param>
    /// <returns>0, or −<see cref="XenError"/> of the first that cannot be read; then nothing is copied.</returns>
    long ReadFrames(DomainId id, ReadOnlySpan<ulong> machineFrames, Span<byte> pages);
}
