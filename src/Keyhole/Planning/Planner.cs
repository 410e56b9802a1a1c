// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Guests;
using Keyhole.Platforms;
using Keyhole.Platforms.Qemu;
using Keyhole.Platforms.XenHvm;
using Keyhole.Platforms.XenPv;
using Keyhole.Platforms.XenPvh;

namespace Keyhole.Planning;

/// <summary>Scenario in, plan out: chooses the platform. The one place that knows which there are.</summary>
public static class Planner
{
    private static readonly XenPvPlatform s_xenPv = new();
    private static readonly XenDom0Platform s_xenDom0 = new();
    private static readonly XenPvhPlatform s_xenPvh = new();
    private static readonly XenPvhDom0Platform s_xenPvhDom0 = new();
    private static readonly XenHvmPlatform s_xenHvm = new();
    private static readonly QemuPlatform s_qemu = new();

    /// <summary>The map that the scenario's guest would get, and what is wrong with it.</summary>
    public static Plan Plan(Scenario scenario)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        return PlatformOf(scenario).Plan(scenario);
    }

    /// <summary>Who makes the guest's map.</summary>
    public static IPlatform PlatformOf(Scenario scenario)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        return scenario.Dom0 is not { } dom0 ? PlatformOf(scenario.Guest) : dom0.IsPvh ? s_xenPvhDom0 : s_xenDom0;
    }

    /// <summary>The platform of a guest that is no dom0.</summary>
    public static IPlatform PlatformOf(GuestSpec guest)
    {
        ArgumentNullException.ThrowIfNull(guest);
        return guest.Type switch
        {
            GuestType.Pv => s_xenPv,
            GuestType.Pvh => s_xenPvh,
            GuestType.Hvm => s_xenHvm,
            GuestType.Kvm => s_qemu,
        };
    }
}
