// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using System.Numerics;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Pci;

namespace Keyhole.Hosts;

/// <summary>A window of the host's that the driver for guests could not take, for something of the host has it: [Start, End) in bytes.</summary>
/// <param name="Device">Whose window it is.</param>
/// <param name="Index">0–5, 6 for the ROM.</param>
/// <param name="Range">Where the host has it.</param>
public readonly record struct TakenWindow(PciAddress Device, int Index, ByteRange Range);

/// <summary>Addresses of a guest's that QEMU could not map for a device, by a line of the host's journal.</summary>
/// <param name="Address">Where the guest has them.</param>
/// <param name="SizeBytes">How many, in bytes.</param>
/// <param name="Error">Linux' number: 12 (no memory), 22 (invalid argument) …</param>
public readonly record struct MapFailure(ulong Address, ulong SizeBytes, int Error)
{
    /// <summary>Whether KVM could not map them for the guest itself ("KVM_SET_USER_MEMORY_REGION failed"): QEMU ends with that. Else it is a device
    /// that does not reach them.</summary>
    public bool IsOfKvm { get; init; }
}

/// <summary>How many huge pages of one size the host's Linux set aside when it booted.</summary>
/// <param name="PageBytes">2 MiB or 1 GiB.</param>
/// <param name="Count">Those that it got.</param>
/// <param name="Wanted">Those that its command line asks for, where it says that it got fewer; else null.</param>
public readonly record struct HugePagePool(ulong PageBytes, ulong Count, ulong? Wanted);

/// <summary>A device that has memory for itself together with another one (a shared RMRR): Xen says so when a guest is to be given the
/// device.</summary>
/// <param name="Address">Where that memory starts, in bytes.</param>
public readonly record struct SharedMemoryDevice(PciAddress Device, ulong Address);

/// <summary>What the host's own Linux, or Xen, says of devices and memory that guests are to be given. Empty and null where it says
/// nothing.</summary>
public sealed record HostComplaints
{
    /// <summary>It says nothing.</summary>
    public static readonly HostComplaints None = new();

    /// <summary>Devices that it gave to no guest because the host's firmware has them use memory by themselves (RMRR).</summary>
    public ImmutableArray<PciAddress> Ineligible { get; init => field = Given.Array(value); } = [];

    /// <summary>True where it says that it takes all such memory for relaxable; false where it was asked to (<c>relax_rmrr</c>) and does not say so;
    /// else null.</summary>
    public bool? RelaxesDeviceMemory { get; init; }

    /// <summary>Devices that Xen with VT-d gives to no guest, or says that it is risky to, because they share memory that the host's firmware has
    /// them use by themselves (RMRR).</summary>
    public ImmutableArray<SharedMemoryDevice> Sharing { get; init => field = Given.Array(value); } = [];

    /// <summary>Windows that could not be reserved for a guest.</summary>
    public ImmutableArray<TakenWindow> Taken { get; init => field = Given.Array(value); } = [];

    /// <summary>Where the picture of the host's boot console lies, in bytes.</summary>
    public ImmutableArray<ulong> Framebuffers { get; init => field = Given.Array(value); } = [];

    /// <summary>Windows that it says the boot console has ("BAR 1: assigned to efifb"): the device, and the window's number.</summary>
    public ImmutableArray<(PciAddress Device, int Index)> ConsoleWindows { get; init => field = Given.Array(value); } = [];

    /// <summary>Windows in which /proc/iomem has the boot console's picture (BOOTFB): the device, and the window in bytes.</summary>
    public ImmutableArray<(PciAddress Device, ByteRange Range)> ConsoleRanges { get; init => field = Given.Array(value); } = [];

    /// <summary>What QEMU said of the mapping of devices; of many lines the first.</summary>
    public ImmutableArray<MapFailure> MapFailures { get; init => field = Given.Array(value); } = [];

    /// <summary>Address bits that the guest had of which QEMU said so: what it maps is RAM, or has got an address by its firmware. A guest has no
    /// more bits than the processor, save where it was told to. Null where it says nothing above 4 GiB.</summary>
    internal int? MappedBits => MapFailures.IsEmpty ? null
        : MapFailures.Max(static failure => BitOperations.Log2(failure.Address + ulong.Max(failure.SizeBytes, 1) - 1) + 1) is > 32 and var bits
            ? int.Min(bits, 52) : null;

    /// <summary>Whether what was mapped lies where OVMF has its 64-bit window, the last eighth of the guest's addresses: it has no more
    /// then.</summary>
    internal bool IsMappedAtTheEnd =>
        MappedBits is { } bits && bits >= LeastOfWindow && MapFailures.Any(failure => failure.Address >> (bits - 3) == 7);

    /// <summary>Below, the last eighth is where a large guest has RAM.</summary>
    private const int LeastOfWindow = 40;

    /// <summary>Whether its command line has <c>pci=realloc</c>.</summary>
    public bool Reallocates { get; init; }

    /// <summary>The huge pages that it set aside.</summary>
    public ImmutableArray<HugePagePool> HugePages { get; init => field = Given.Array(value); } = [];

    /// <summary>The limit on locked memory, in bytes, that a process with a device exceeded.</summary>
    public ulong? ExceededLock { get; init; }
}
