// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Diagnostics;

namespace Keyhole.Platforms.XenPv;

/// <summary>
/// Lays the guest's RAM over the host's map with holes only where the host has no memory, RAM going on behind each: low memory is kept.
/// </summary>
/// <remarks>
/// <para>RAM above 4 GiB lies over the host's own RAM there, too, and behind the map only what finds no place: firmware puts windows of 64-bit BARs
/// right behind RAM, where libxl means to put a guest's high memory.</para>
/// <para>A region of the host's that lies where a Linux PV kernel must (ACPI NVS at 64 MiB, as recent AMD firmware has it) is covered with RAM when
/// no device of the guest needs it: a domU uses no ACPI. Where one does, no layout helps, and a problem says so.</para>
/// </remarks>
public sealed class PunchPolicy : IHolePolicy
{
    /// <inheritdoc/>
    public string Name => "punch";

    /// <inheritdoc/>
    public PolicyTraits Traits { get; } = new(PolicyNeeds.InstalledMap, 1);

    /// <inheritdoc/>
    public PolicyResult Lay(PolicyInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        List<Problem> problems = [];
        List<KeptRange> kept = HostHoles.OffTheKernel(HostHoles.Of(input.MachineMap), input.Bars, problems);
        kept.AddRange(HostHoles.BarsBehind(input));
        PolicyResult result = MapAllocator.Allocate(kept, input);
        return result with { Problems = [.. problems, .. result.Problems] };
    }
}
