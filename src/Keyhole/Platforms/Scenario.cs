// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Pci;
using Keyhole.PvGuest;

namespace Keyhole.Platforms;

/// <summary>What only a dom0 is told.</summary>
/// <param name="MaxPages">Pages that it may own (dom0_mem=max:); null for no limit.</param>
public sealed record Dom0Choices(ulong? MaxPages)
{
    /// <summary>Whether it is a PVH dom0, whose map Xen makes itself; else a PV one.</summary>
    public bool IsPvh { get; init; }

    /// <summary>A PVH dom0's ACPI tables; null where their sizes are not told.</summary>
    public PvhDom0Tables? Tables { get; init; }
}

/// <summary>Everything that decides how a guest fares on a host. Each answer starts from one: <c>Scenario → Plan → Boot</c> is the only
/// way.</summary>
public sealed record Scenario
{
    private readonly KernelRelease? _kernel;

    /// <summary>The host, as far as it is known.</summary>
    public required Host Host { get; init => field = Given.NotNull(value); }

    /// <summary>What the host is called, in one line: which map of which source.</summary>
    public string HostName { get; init; } = "";

    /// <summary>The guest, as the toolstack of the host's Xen reads its configuration; of a dom0 its size and name.</summary>
    public required GuestSpec Guest { get => field.AsReadBy(Host.Traits.XenVersion); init => field = Given.NotNull(value); }

    /// <summary>Set where the guest is the host's own dom0.</summary>
    public Dom0Choices? Dom0 { get; init; }

    /// <summary>What the user says of a guest of QEMU beside its configuration: machine type, releases, address width.</summary>
    public QemuSurroundings Qemu { get; init; } = QemuSurroundings.Unknown;

    /// <summary>Windows of the devices passed through, in addition to those of the host's devices that the guest's <c>pci=</c> names.</summary>
    public ImmutableArray<Bar> Bars { get; init => field = Given.Array(value); } = [];

    /// <summary>How the map is laid where there is a choice; null: as the toolstack does it by itself.</summary>
    public IHolePolicy? Policy { get; init; }

    /// <summary>Which Linux boots; what it is usually where nobody says.</summary>
    public KernelRelease Kernel { get => _kernel ?? KernelReleases.UsualOf(Guest.Is32Bit); init => _kernel = value; }

    /// <summary>Whether nobody said which Linux boots.</summary>
    public bool IsKernelAssumed { get => field || _kernel is null; init; }

    /// <summary>What the kernel's image says of itself; null where nobody has it.</summary>
    public KernelImage? Image { get; init; }

    /// <summary>Whether settings are tried for what is wrong, so that a remedy can be named: that takes many forecasts where BARs have no
    /// place.</summary>
    public bool SeeksRemedies { get; init; } = true;

    /// <summary>Pages that the guest starts with; null: what its memory comes to.</summary>
    public ulong? PageCount { get; init; }

    /// <summary>Where the domain builder puts things; null: <see cref="UsualLayout"/>. <see cref="GuestLayout.Unknown"/> is an answer as well: then
    /// nobody can say whether the kernel boots.</summary>
    public GuestLayout? Layout { get; init; }

    /// <summary>Pages that the guest starts with: the domain builder cuts its memory to whole MiB.</summary>
    public ulong StartPages => PageCount ?? (Guest.MemoryKiB >> 10) << (20 - Frames.Shift);

    /// <summary>What the guest starts with, in KiB.</summary>
    public ulong StartKiB => PageCount is { } pages ? pages << (Frames.Shift - 10) : Guest.MemoryKiB;

    /// <summary>What the domain builder does with the kernel's image, or with a Linux of the size of 6.1 where that is not known.</summary>
    public GuestLayout UsualLayout => LayoutWith(Image?.Loaded);

    /// <summary>What the domain builder does with an image that is given so much; null: a Linux of the size of 6.1.</summary>
    public GuestLayout LayoutWith(ByteRange? kernel) => Dom0 is null ? GuestLayout.OfXl(StartPages, Guest.Is32Bit, kernel)
        : GuestLayout.OfDom0(kernel);

    /// <summary>The layout that counts, with what the kernel itself looks at where its image tells.</summary>
    public GuestLayout LayoutThatCounts
    {
        get
        {
            GuestLayout layout = Layout ?? UsualLayout;
            return Image is { } image && layout.KernelProper.IsEmpty
                ? layout with { KernelProper = image.Checked(KernelProfile.Of(Kernel).Has(KernelBehaviour.ChecksToEnd)) } : layout;
        }
    }

    /// <summary>All windows of the devices passed through, as far as they are known: the given ones first.</summary>
    public ImmutableArray<Bar> Windows => [.. Bars, .. Devices.SelectMany(static device => device.Bars)];

    /// <summary>The host's devices that the guest is given: those that its source lists, and those that its log alone tells of.</summary>
    public IEnumerable<PciDevice> Devices => Host.Devices
        .Concat(LoggedDevices.Where(logged => Host.Devices.All(one => one.Address != logged.Address)))
        .Where(device => Guest.Pci.Any(assignment => assignment.Covers(device.Address)));

    /// <summary>What the host's log tells of its devices, where the user says nothing himself of their windows.</summary>
    internal IEnumerable<PciDevice> LoggedDevices
    {
        get
        {
            QemuSurroundings around = Qemu;
            return !around.Bars.IsEmpty || !Bars.All(bar => around.Devices.Any(device => device.Bars.Contains(bar)))
                ? [] : Host.LoggedDevices.Where(logged => around.Devices.All(told => told.Address != logged.Address));
        }
    }

    /// <summary>The host's map, with Xen's additions where the guest runs on it.</summary>
    public ImmutableArray<E820Entry> MachineMap => Guest.Type == GuestType.Kvm ? Host.Entries : Hosts.MachineMap.Of(Host);
}
