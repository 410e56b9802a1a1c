// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Diagnostics;

namespace Keyhole.Platforms;

/// <summary>How a platform differs from the others, as far as anybody outside of it has to know. Nobody asks for its name or type instead.</summary>
public sealed record PlatformTraits
{
    /// <summary>Whether policies lay its guests' maps, so that there is a choice, and the chosen map can be installed.</summary>
    public bool TakesPolicies { get; init; }

    /// <summary>Whether the guest's kernel lays its memory out by the map, page by page, without firmware: then <see cref="Plan.Entries"/> is what it
    /// starts from.</summary>
    public bool KernelLaysMemory { get; init; }

    /// <summary>Whether the plan holds what the guest's firmware makes of its devices: then the plan is the forecast of the boot as well.</summary>
    public bool ForecastsFirmware { get; init; }

    /// <summary>Whether windows of devices lie where they do on the host; else firmware gives them addresses of the guest's own.</summary>
    public bool KeepsHostAddresses { get; init; }

    /// <summary>Whether <see cref="Scenario.Qemu"/> decides: the processor's address width and the firmware's release are not the platform's
    /// own.</summary>
    public bool TakesSurroundings { get; init; }

    /// <summary>Whether the host may give memory that it does not have, as Linux does to its processes.</summary>
    public bool IsOvercommitted { get; init; }
}

/// <summary>A way of running guests: it gives them their maps. A pure function of the scenario.</summary>
public interface IPlatform
{
    /// <summary>The name in JSON: xen-pv, xen-dom0, xen-pvh, xen-hvm, qemu.</summary>
    string Name { get; }

    /// <summary>What the platform's guests have in common.</summary>
    PlatformTraits Traits { get; }

    /// <summary>Whether <see cref="Scenario.Policy"/> decides this guest's map.</summary>
    bool UsesPolicy(Scenario scenario);

    /// <summary>Why the toolstack does not create the guest on the host, whatever map it has; null where it does, and where the plan alone tells
    /// it.</summary>
    Problem? RefusalOf(Scenario scenario) => null;

    /// <summary>Tries settings of the guest's machine; null where there are none to try, or the guest as it is cannot be forecast.</summary>
    SettingComparison? CompareSettings(Scenario scenario) => null;

    /// <summary>The map that the guest is given. Where it is not known the plan says so and has none.</summary>
    Plan Plan(Scenario scenario);
}
