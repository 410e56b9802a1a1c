// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Diagnostics;

/// <summary>What a user can set and a <see cref="Phrase"/> may tell them to.</summary>
public enum Setting
{
    /// <summary>The source of the host's memory map.</summary>
    Host,

    /// <summary>Which of a log's maps is the host's, counted from 1.</summary>
    MapNumber,

    /// <summary>Which dialect a source is written in.</summary>
    Dialect,

    /// <summary>Who writes captures.</summary>
    CaptureWriter,

    /// <summary>The guest's configuration.</summary>
    Guest,

    /// <summary>Whether the guest gets a map made from the host's.</summary>
    HostMap,

    /// <summary>A device to pass through.</summary>
    Device,

    /// <summary>A memory window of a device.</summary>
    Bar,

    /// <summary>A listing of devices and their windows.</summary>
    DeviceListing,

    /// <summary>The policy that lays the map.</summary>
    Policy,

    /// <summary>Where the hole of the policy hole-at starts.</summary>
    HoleStart,

    /// <summary>The kernel's release.</summary>
    Kernel,

    /// <summary>How much a dom0 may have.</summary>
    Dom0Limit,

    /// <summary>What a kernel printed at boot.</summary>
    KernelLog,

    /// <summary>Which of a log's boots is meant, counted from 1.</summary>
    BootNumber,

    /// <summary>What plans a map.</summary>
    Plan,

    /// <summary>What forecasts a boot.</summary>
    Boot,

    /// <summary>What compares policies.</summary>
    Compare,

    /// <summary>What starts a guest with a map.</summary>
    Start,

    /// <summary>What takes an installed map out of a guest's configuration.</summary>
    InstallUndo,

    /// <summary>The firmware of a guest of QEMU, and its release.</summary>
    Firmware,

    /// <summary>The lowest address that the kernel of a host uses which keeps RAM aside.</summary>
    ReservedStart,

    /// <summary>How far a device reaches for which RAM is kept aside.</summary>
    ReservedBelow,

    /// <summary>A range of RAM to keep aside.</summary>
    ReservedRange,

    /// <summary>The memory of the guest that RAM is kept aside for.</summary>
    ReservedGuestMemory,

    /// <summary>The memory of a crash kernel beside RAM that is kept aside.</summary>
    CrashKernel,

    /// <summary>Memory of the host that devices use by themselves.</summary>
    DeviceMemory,
}

/// <summary>The names of settings.</summary>
public static class SettingNames
{
    /// <summary>What a setting is called in this library.</summary>
    public static string Of(Setting setting) => setting switch
    {
        Setting.Host => "Scenario.Host",
        Setting.MapNumber => "HostMapOptions.MapNumber",
        Setting.Dialect => "HostMapOptions.From",
        Setting.CaptureWriter => "HostMapWriter",
        Setting.Guest => "Scenario.Guest",
        Setting.HostMap => "GuestSpec.E820Host",
        Setting.Device => "GuestSpec.Pci",
        Setting.Bar => "Scenario.Bars",
        Setting.DeviceListing => "BarReader",
        Setting.Firmware => "QemuSurroundings.Firmware",
        Setting.Policy => "Scenario.Policy",
        Setting.HoleStart => "HoleAtPolicy",
        Setting.Kernel => "Scenario.Kernel",
        Setting.Dom0Limit => "Dom0Choices.MaxPages",
        Setting.KernelLog => "LogScanner",
        Setting.BootNumber => "the boot's number",
        Setting.Plan => "Planner.Plan",
        Setting.Boot => "Boot.Of",
        Setting.Compare => "PolicyComparer.Compare",
        Setting.Start => "what starts a guest with a map",
        Setting.InstallUndo => "HookInstaller.Undo",
        Setting.ReservedStart => "ReserveRequest.Start",
        Setting.ReservedBelow => "ReserveRequest.Start with LowestStart",
        Setting.ReservedRange => "ReserveRequest.Ranges",
        Setting.ReservedGuestMemory => "ReserveRequest.GuestBytes",
        Setting.CrashKernel => "ReserveRequest.CrashKernelBytes",
        Setting.DeviceMemory => "HostTraits.ReservedDeviceMemory",
    };
}
