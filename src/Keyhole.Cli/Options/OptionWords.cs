// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Diagnostics;

namespace Keyhole.Cli.Options;

/// <summary>How a user of the command line sets what the library's remedies tell to set.</summary>
internal static class OptionWords
{
    public static string Of(Setting setting) => setting switch
    {
        Setting.Host => "--host",
        Setting.MapNumber => "--map",
        Setting.Dialect => "--from",
        Setting.CaptureWriter => "'show --json' or 'capture'",
        Setting.Guest => "--guest",
        Setting.HostMap => "--e820-host",
        Setting.Device => "--pci",
        Setting.Bar => "--bar",
        Setting.DeviceListing => "--devices",
        Setting.Firmware => "--firmware (seabios, ovmf, or with its release)",
        Setting.Policy => "--policy",
        Setting.HoleStart => "--hole",
        Setting.Kernel => "--kernel",
        Setting.Dom0Limit => "--max",
        Setting.KernelLog => "--dmesg",
        Setting.BootNumber => "--boot",
        Setting.Plan => "keyhole plan",
        Setting.Boot => "'keyhole boot'",
        Setting.Compare => "keyhole compare",
        Setting.Start => "keyhole start",
        Setting.InstallUndo => "keyhole install --undo",
        Setting.ReservedStart => "--start",
        Setting.ReservedBelow => "--below",
        Setting.ReservedRange => "--range",
        Setting.ReservedGuestMemory => "--guest-memory",
        Setting.CrashKernel => "--crashkernel",
        Setting.DeviceMemory => "--rmrr",
    };
}
