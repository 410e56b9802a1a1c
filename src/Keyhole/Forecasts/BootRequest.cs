// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.Pci;
using Keyhole.PvGuest;

namespace Keyhole.Forecasts;

/// <summary>A boot to be forecast: which kernel finds what.</summary>
public sealed record BootRequest
{
    /// <summary>What the kernel's call for its map will return: the machine map for dom0, the guest's own otherwise. Empty: none was ever
    /// set.</summary>
    public required ImmutableArray<E820Entry> Map { get; init => field = Given.Array(value); }

    /// <summary>
    /// Where lines of the map's source are lost: the map as it would be for each reading of them, one with gaps there among them. What the forecasts
    /// for these do not agree on is not known. Empty where none are lost.
    /// </summary>
    public ImmutableArray<ImmutableArray<E820Entry>> Readings { get; init => field = Given.Array(value); } = [];

    /// <summary>Where lines of the host's map are lost; empty where none are.</summary>
    public ImmutableArray<ByteRange> LostRanges { get; init => field = Given.Array(value); } = [];

    /// <summary>Whether the guest is the host's own dom0.</summary>
    public bool IsDom0 { get; init; }

    /// <summary>Whose configuration the guest was read from: advice is in its words.</summary>
    internal Toolstack Toolstack { get; init; } = Toolstack.Xl;

    /// <summary>Pages that the guest starts with.</summary>
    public required ulong PageCount { get; init; }

    /// <summary>dom0: pages that it may own; null for no limit.</summary>
    public ulong? MaxPages { get; init; }

    /// <summary>The Linux that boots.</summary>
    public KernelRelease Kernel { get; init; } = KernelReleases.Default;

    /// <summary>One behaviour in which the kernel is to differ from its release; null for none. To find out what a behaviour does to a
    /// boot.</summary>
    internal KernelBehaviour? Unlike { get; init; }

    /// <summary>How the kernel sets up memory.</summary>
    internal KernelProfile Profile => Unlike is { } turned ? KernelProfile.Of(Kernel).Unlike(turned) : KernelProfile.Of(Kernel);

    /// <summary>Whether it is a 32-bit kernel (PAE).</summary>
    public bool Is32Bit { get; init; }

    /// <summary>Whether the hypervisor keeps the guest's frames apart from the machine's (PVH): the kernel then has no P2M of its own.</summary>
    public bool IsAutoTranslated { get; init; }

    /// <summary>The kernel's command line; <c>xen_512gb_limit</c> is read from it.</summary>
    public string CommandLine { get; init => field = Given.NotNull(value); } = "";

    /// <summary>Whether the kernel was configured with CONFIG_XEN_512GB (distributions say yes or have lost the option).</summary>
    public bool IsConfiguredFor512GiB { get; init; }

    /// <summary>Where the domain builder puts things. With <see cref="GuestLayout.Unknown"/> nobody can say that the kernel boots, and the forecast
    /// does not.</summary>
    public required GuestLayout Layout { get; init => field = Given.NotNull(value); }

    /// <summary>Memory windows of devices that the guest is to claim.</summary>
    public ImmutableArray<Bar> Bars { get; init => field = Given.Array(value); } = [];

    /// <summary>The devices whose windows they are, as far as they are known: messages name them.</summary>
    internal ImmutableArray<PciDevice> Devices { get; init => field = Given.Array(value); } = [];
}
