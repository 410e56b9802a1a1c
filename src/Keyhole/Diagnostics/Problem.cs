// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;

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
public sealed record Problem(Severity Severity, string Code, string Message, ulong? Start = null, ulong? End = null, Phrase? Remedy = null)
{
    /// <summary>The addresses that it is about; empty where it names no two.</summary>
    internal ByteRange Range => Start is { } start && End is { } end ? ByteRange.FromBounds(start, end) : default;
}

/// <summary>The codes of the problems that planning reports. They are part of the JSON contract: never renamed.</summary>
public static class ProblemCodes
{
    /// <summary>The hole takes more of the memory below 4 GiB than the host's own needs to.</summary>
    public const string LowMemoryLost = "low-memory-lost";

    /// <summary>Whatever the layout: a window of the device lies where a Linux PV kernel must.</summary>
    public const string KernelNotOnRam = "kernel-not-on-ram";

    /// <summary>A Linux PV kernel does not fit the memory.</summary>
    public const string MemoryTooSmall = "memory-too-small";

    /// <summary>The guest has more memory than the host's RAM in this map; an error where the map surely shows all of it.</summary>
    public const string LargerThanHost = "larger-than-host";

    /// <summary>RAM above 4 GiB lies over what is there already (warning), or runs past 2^64 (error).</summary>
    public const string HighRamOverlap = "high-ram-overlap";

    /// <summary><c>maxmem</c> is less than <c>memory</c>.</summary>
    public const string MaxmemBelowMemory = "maxmem-below-memory";

    /// <summary>An HVM or PVH guest of Xen has more <c>maxmem</c> than <c>memory</c>: it needs a balloon driver.</summary>
    public const string PopulateOnDemand = "populate-on-demand";

    /// <summary>The map has more entries than a guest's kernel or the hypervisor takes.</summary>
    public const string TooManyEntries = "too-many-entries";

    /// <summary>The configuration says <c>e820_host=0</c>, but a <c>pci=</c> entry makes xl use the host's map.</summary>
    public const string HostMapForced = "e820-host-forced";

    /// <summary>Neither <c>e820_host</c> nor <c>pci=</c>: one RAM entry, and no room for devices.</summary>
    public const string HostMapUnused = "e820-host-unused";

    /// <summary>A gap of the map that Linux takes for PCI space, and that is one of the host's, too.</summary>
    public const string PciGap = "pci-gap";

    /// <summary>Linux would give devices a gap of the guest's map where the host has RAM: they are not reached there.</summary>
    public const string GapOverHostRam = "gap-over-host-ram";

    /// <summary>A BAR cannot be claimed by the guest's kernel, or does not lead to the device.</summary>
    public const string BarConflict = "bar-conflict";

    /// <summary>libxl gives up on this map; the guest is not created.</summary>
    public const string LibxlFails = "libxl-fails";

    /// <summary><c>e820_host</c> is for PV guests: this guest's map does not follow the host's.</summary>
    public const string NotPv = "not-pv";

    /// <summary>The guest's map is not known, and none is printed; the message says why.</summary>
    public const string MapNotKnown = "map-not-known";

    /// <summary>A part of the guest's map may come out otherwise than it is printed; the message says why.</summary>
    public const string MapNotSettled = "map-not-settled";

    /// <summary>The source does not tell something that decides the answer; the message says what is taken.</summary>
    public const string Assumed = "assumed";

    /// <summary>The guest is refused or its firmware stops; the message has xl's, QEMU's or the firmware's own words.</summary>
    public const string GuestDoesNotStart = "guest-does-not-start";

    /// <summary>The firmware finds no address for a BAR; the message says which limit decided. A warning where the operating system can mend
    /// it.</summary>
    public const string BarUnplaced = "bar-unplaced";

    /// <summary>Whether a Linux in the guest finds room for a BAR that the firmware left out.</summary>
    public const string LeftToLinux = "left-to-linux";

    /// <summary>Nothing tells what a device asks for, so where its BARs come to lie is not known.</summary>
    public const string BarsNotKnown = "bars-not-known";

    /// <summary>A device is in a slot without function 0, into which neither firmware nor operating system looks.</summary>
    public const string DeviceUnseen = "device-unseen";

    /// <summary>hvmloader takes registers of a PCI bridge for BARs and writes over its bus numbers and windows.</summary>
    public const string BridgeOverwritten = "bridge-overwritten";

    /// <summary>A setting of the guest does nothing, for its firmware does not take the value.</summary>
    public const string SettingIgnored = "setting-ignored";

    /// <summary>None of the settings that were tried gives every BAR a place.</summary>
    public const string NoSettingHelps = "no-setting-helps";

    /// <summary>The firmware's release is not told, and with another one that the host may have it comes out otherwise whether every BAR has its
    /// place.</summary>
    public const string FirmwareDecides = "firmware-decides";

    /// <summary>The host's Linux has set fewer huge pages aside than the guest's RAM takes.</summary>
    public const string HugePages = "huge-pages";

    /// <summary>The guest is told another width of addresses than the host's processor has; an error where a BAR lies beyond what the host
    /// reaches.</summary>
    public const string AddressWidth = "address-width";

    /// <summary>RAM (error: the guest does not start) or a BAR (warning) lies beyond the address bits of the host's IOMMU.</summary>
    public const string DmaBeyondIommu = "dma-beyond-iommu";

    /// <summary>A PV guest's map has no reserved entry, by which Linux 6.6 and later tells that a device may come: its DMA is not
    /// translated.</summary>
    public const string DmaNotTranslated = "dma-not-translated";

    /// <summary>The host itself has not placed a window of the device.</summary>
    public const string HostUnplaced = "host-unplaced";

    /// <summary>What is worth knowing of a device's window on the host, such as a size that can be changed.</summary>
    public const string HostWindow = "host-window";

    /// <summary>It is not known where the kernel lies, so nobody can say whether it boots.</summary>
    public const string LayoutNotKnown = "layout-not-known";

    /// <summary>The guest's memory does not fit the addresses that its kernel sees, with the holes of the map.</summary>
    public const string DoesNotFit = "does-not-fit";

    /// <summary>The host has a hole where a Linux PV kernel must lie; RAM covers it, as no device of the guest needs it.</summary>
    public const string HoleCovered = "hole-covered";

    /// <summary>The kernel halts on this map; the message has its own words.</summary>
    public const string KernelHalts = "kernel-halts";

    /// <summary>The kernel's release has no 32-bit PV form any more.</summary>
    public const string No32BitKernel = "no-32-bit-kernel";

    /// <summary>The verdict hangs on where the kernel ends, and its image was not read.</summary>
    public const string KernelEndNotKnown = "kernel-end-not-known";

    /// <summary>Pages under holes go back to Xen, since the map has no RAM to move them to.</summary>
    public const string MemoryReleased = "memory-released";

    /// <summary>The map ends before the guest's pages do: nobody has those behind it.</summary>
    public const string MapTooShort = "map-too-short";

    /// <summary>Part of a memory target lies beyond maxmem: Xen gives no more.</summary>
    public const string BalloonBeyondMaximum = "balloon-beyond-maximum";

    /// <summary>Part of a memory target is out of reach: the kernel finds no free addresses to lay it at.</summary>
    public const string BalloonBeyondRoom = "balloon-beyond-room";

    /// <summary>Linux keeps room for ten times the memory that a guest starts with, and its map has RAM beyond that.</summary>
    public const string BalloonRoomCut = "balloon-room-cut";

    /// <summary>Memory grown later would lie in the gap that the kernel gives to PCI devices.</summary>
    public const string HotplugInPciGap = "hotplug-in-pci-gap";

    /// <summary>Memory grown later would lie over a BAR.</summary>
    public const string HotplugOverDevice = "hotplug-over-device";

    /// <summary>The hole of <c>hole-at</c> starts above a window of the device.</summary>
    public const string BarOutsideHole = "bar-outside-hole";

    /// <summary>The policy needs a filter of configuration-space reads, which Xen does not have.</summary>
    public const string FilterNeeded = "filter-needed";

    /// <summary>The policy needs a Xen that answers what the real one refuses.</summary>
    public const string XenRefuses = "xen-refuses";

    /// <summary>RAM (warning) or a BAR (error) lies beyond the 64 GiB that a 32-bit kernel sees.</summary>
    public const string Beyond32Bits = "beyond-32-bits";

    /// <summary>What the guest's hole leaves below 4 GiB, or which BARs hvmloader puts above.</summary>
    public const string MmioHole = "mmio-hole";

    /// <summary>xl passes over <c>rdm=</c>, or takes its policy from what is in its memory by chance.</summary>
    public const string RdmIgnored = "rdm-ignored";

    /// <summary>The guest has RAM where a device of the host uses memory by itself (RMRR).</summary>
    public const string ReservedDeviceMemory = "reserved-device-memory";

    /// <summary>A device's MSI-X table: Xen writes it itself and keeps its pages read-only for the guest.</summary>
    public const string MsixReadOnly = "msix-read-only";

    /// <summary>AMD's HyperTransport range: a BAR in it (info) is not reached by other devices' DMA; RAM that reaches into it (warning) cannot be
    /// mapped for a device.</summary>
    public const string HyperTransport = "hyper-transport-hole";

    /// <summary>Holes in the first MiB that a 32-bit kernel keeps its own structures in: high memory does not make up for them.</summary>
    public const string LowMemory32Bit = "lowmem-32-bit";
}
