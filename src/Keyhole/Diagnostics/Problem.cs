// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Diagnostics;

/// <summary>How much a <see cref="Problem"/> matters.</summary>
public enum Severity
{
    /// <summary>Worth knowing; nothing has to change.</summary>
    Info,

    /// <summary>The guest works, but not as its owner would want.</summary>
    Warning,

    /// <summary>The answer is no: it does not boot, conflicts or does not fit. Exit status 1.</summary>
    Error,
}

/// <summary>Something that can be expected to go wrong, reported rather than thrown.</summary>
/// <param name="Code">A stable name for scripts; the constants of <see cref="ProblemCodes"/>.</param>
/// <param name="Message">One sentence for people, figures included.</param>
/// <param name="Start">Where the problem lies, in bytes; null when it lies nowhere.</param>
/// <param name="End">Exclusive end of that range.</param>
/// <param name="Remedy">What to do about it, or null when nothing has to be done.</param>
public sealed record Problem(Severity Severity, string Code, string Message, ulong? Start = null, ulong? End = null, Phrase? Remedy = null);

/// <summary>The codes of the problems that planning reports. They are part of the JSON contract: never renamed.</summary>
public static class ProblemCodes
{
    public const string LowMemoryLost = "low-memory-lost";
    public const string KernelNotOnRam = "kernel-not-on-ram";
    public const string MemoryTooSmall = "memory-too-small";
    public const string LargerThanHost = "larger-than-host";
    public const string HighRamOverlap = "high-ram-overlap";
    public const string MaxmemBelowMemory = "maxmem-below-memory";
    public const string TooManyEntries = "too-many-entries";
    public const string HostMapForced = "e820-host-forced";
    public const string HostMapUnused = "e820-host-unused";
    public const string PciGap = "pci-gap";
    public const string GapOverHostRam = "gap-over-host-ram";
    public const string BarConflict = "bar-conflict";
    public const string LibxlFails = "libxl-fails";
    public const string NotPv = "not-pv";
    public const string MapNotKnown = "map-not-known";
    public const string Assumed = "assumed";
    public const string GuestDoesNotStart = "guest-does-not-start";
    public const string BarUnplaced = "bar-unplaced";
    public const string BarsNotKnown = "bars-not-known";
    public const string BridgeOverwritten = "bridge-overwritten";
    public const string NoSettingHelps = "no-setting-helps";
    public const string AddressWidth = "address-width";
    public const string DmaBeyondIommu = "dma-beyond-iommu";
    public const string HostUnplaced = "host-unplaced";
    public const string HostWindow = "host-window";
    public const string LayoutNotKnown = "layout-not-known";
    public const string DoesNotFit = "does-not-fit";
    public const string HoleCovered = "hole-covered";
    public const string KernelHalts = "kernel-halts";
    public const string No32BitKernel = "no-32-bit-kernel";
    public const string KernelEndNotKnown = "kernel-end-not-known";
    public const string MemoryReleased = "memory-released";
    public const string BalloonBeyondMaximum = "balloon-beyond-maximum";
    public const string BalloonBeyondRoom = "balloon-beyond-room";
    public const string HotplugInPciGap = "hotplug-in-pci-gap";
    public const string HotplugOverDevice = "hotplug-over-device";
    public const string BarOutsideHole = "bar-outside-hole";
    public const string FilterNeeded = "filter-needed";
    public const string XenRefuses = "xen-refuses";
    public const string Beyond32Bits = "beyond-32-bits";
    public const string MmioHole = "mmio-hole";
    public const string RdmIgnored = "rdm-ignored";
    public const string ReservedDeviceMemory = "reserved-device-memory";
    public const string MsixReadOnly = "msix-read-only";
    public const string HyperTransport = "hyper-transport-hole";
    public const string LowMemory32Bit = "lowmem-32-bit";
}
