// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Hosts;

namespace Keyhole.Captures;

/// <summary>What the host's log says of devices and memory that guests are to be given, as JSON has it. What it does not say is left out.</summary>
internal sealed record CaptureComplaints
{
    /// <summary>Devices that Linux gave to no guest for their reserved memory.</summary>
    public ImmutableArray<string>? Ineligible { get; init; }

    public bool? RelaxesDeviceMemory { get; init; }

    /// <summary>Devices that share their reserved memory, as Xen says.</summary>
    public ImmutableArray<CaptureSharing>? Sharing { get; init; }

    /// <summary>Windows that could not be reserved for a guest.</summary>
    public ImmutableArray<CaptureTaken>? Taken { get; init; }

    public ImmutableArray<Hex>? Framebuffers { get; init; }

    public ImmutableArray<CaptureConsoleWindow>? ConsoleWindows { get; init; }

    /// <summary>Windows in which /proc/iomem has the boot console's picture.</summary>
    public ImmutableArray<CaptureConsoleRange>? ConsoleRanges { get; init; }

    /// <summary>What QEMU could not map for a device.</summary>
    public ImmutableArray<CaptureMapFailure>? MapFailures { get; init; }

    /// <summary>True where the command line has pci=realloc; else left out.</summary>
    public bool? Reallocates { get; init; }

    public ImmutableArray<CaptureHugePages>? HugePages { get; init; }

    /// <summary>The limit on locked memory, in bytes, that a process with a device exceeded.</summary>
    public Hex? ExceededLock { get; init; }

    /// <summary>Null where the log says nothing.</summary>
    public static CaptureComplaints? OrNull(HostComplaints said)
    {
        var written = new CaptureComplaints
        {
            Ineligible = Capture.OrNull(said.Ineligible.Select(static device => device.ToString())),
            RelaxesDeviceMemory = said.RelaxesDeviceMemory,
            Sharing = Capture.OrNull(said.Sharing.Select(static device => new CaptureSharing(device.Device.ToString(), device.Address))),
            Taken = Capture.OrNull(said.Taken.Select(
                static window => new CaptureTaken(window.Device.ToString(), window.Index, window.Range.Start, window.Range.End))),
            Framebuffers = Capture.OrNull(said.Framebuffers.Select(static address => new Hex(address))),
            ConsoleWindows = Capture.OrNull(said.ConsoleWindows.Select(
                static window => new CaptureConsoleWindow(window.Device.ToString(), window.Index))),
            ConsoleRanges = Capture.OrNull(said.ConsoleRanges.Select(
                static window => new CaptureConsoleRange(window.Device.ToString(), window.Range.Start, window.Range.End))),
            MapFailures = Capture.OrNull(said.MapFailures.Select(
                static failure => new CaptureMapFailure(failure.Address, failure.SizeBytes, failure.Error, failure.IsOfKvm ? true : null))),
            Reallocates = said.Reallocates ? true : null,
            HugePages = Capture.OrNull(said.HugePages.Select(static pool => new CaptureHugePages(pool.PageBytes, pool.Count, pool.Wanted))),
            ExceededLock = said.ExceededLock is { } limit ? new Hex(limit) : null,
        };
        return written == new CaptureComplaints() ? null : written;
    }
}

/// <summary>A device that shares its reserved memory, which starts at <paramref name="Start"/>.</summary>
internal sealed record CaptureSharing(string Device, Hex Start);

/// <summary>A window that could not be reserved for a guest.</summary>
/// <param name="Index">0–5, 6 for the ROM.</param>
internal sealed record CaptureTaken(string Device, int Index, Hex Start, Hex End);

/// <summary>A window that the host's boot console has.</summary>
internal sealed record CaptureConsoleWindow(string Device, int Index);

/// <summary>A window in which the picture of the host's boot console lies.</summary>
internal sealed record CaptureConsoleRange(string Device, Hex Start, Hex End);

/// <summary>Addresses of a guest's that could not be mapped for a device.</summary>
/// <param name="Address">Where the guest has them.</param>
/// <param name="Size">In bytes.</param>
/// <param name="Error">Linux' number.</param>
/// <param name="Kvm">Whether KVM could not map them for the guest itself.</param>
internal sealed record CaptureMapFailure(Hex Address, Hex Size, int Error, bool? Kvm);

/// <summary>Huge pages that the host's Linux set aside.</summary>
/// <param name="Page">Their size: 2 MiB or 1 GiB.</param>
/// <param name="Wanted">What was asked for, where it got fewer.</param>
internal sealed record CaptureHugePages(Hex Page, ulong Count, ulong? Wanted);
