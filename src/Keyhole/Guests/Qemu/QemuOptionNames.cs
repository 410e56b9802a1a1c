// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Frozen;
using System.Collections.Generic;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>The options of QEMU for x86: which stand alone, and which releases have them.</summary>
/// <remarks>Source: QEMU's qemu-options.hx at each release from 1.0 to 10.2; 11.1 has the same ones as 10.2, by its help. <c>id</c> and
/// <c>loadstate</c> are of Proxmox VE's builds. Of options that stand alone and older builds had, some are kept so that nothing is taken for their
/// value.</remarks>
internal static class QemuOptionNames
{
    private static readonly FrozenSet<string> s_alone = FrozenSet.ToFrozenSet(
    [
        "S", "alt-grab", "async-teardown", "audio-help", "ctrl-grab", "curses", "daemonize", "enable-fips", "enable-hax", "enable-kvm",
        "enable-sync-profile", "full-screen", "h", "help", "jitdump", "localtime", "mem-prealloc", "no-acpi", "no-fd-bootchk", "no-frame",
        "no-hpet", "no-kvm", "no-kvm-irqchip", "no-kvm-pit", "no-kvm-pit-reinjection", "no-quit", "no-reboot", "no-shutdown", "no-user-config",
        "nodefaults", "nodefconfig", "nographic", "old-param", "only-migratable", "perfmap", "portrait", "preconfig", "rtc-td-hack", "s", "sdl",
        "semihosting", "show-cursor", "singlestep", "snapshot", "tdf", "usb", "version", "virtfs_synth", "win2k-hack", "xen-attach", "xen-create",
        "xen-domid-restrict",
    ]);

    private static readonly FrozenSet<string> s_withValue = FrozenSet.ToFrozenSet(
    [
        "D", "L", "M", "accel", "acpitable", "action", "add-fd", "append", "audio", "audiodev", "balloon", "bios", "blockdev", "boot", "bootp",
        "bt", "cdrom", "chardev", "chroot", "clock", "compat", "cpu", "d", "debugcon", "device", "dfilter", "display", "drive", "dtb",
        "dump-vmstate", "echr", "fda", "fdb", "fsdev", "fw_cfg", "g", "gdb", "global", "hda", "hdachs", "hdb", "hdc", "hdd", "icount", "id",
        "incoming", "initrd", "iscsi", "k", "kernel", "loadstate", "loadvm", "m", "machine", "mem-path", "mon", "monitor", "msg", "mtdblock",
        "name", "net", "netdev", "nic", "numa", "object", "option-rom", "overcommit", "parallel", "pflash", "pidfile", "plugin", "prom-env", "qmp",
        "qmp-pretty", "qtest", "qtest-log", "readconfig", "realtime", "redir", "rotate", "rtc", "run-with", "runas", "sandbox", "sd", "seed",
        "semihosting-config", "serial", "set", "shim", "smb", "smbios", "smp", "soundhw", "spice", "startdate", "tb-size", "tftp", "tpmdev",
        "trace", "usbdevice", "uuid", "vga", "virtfs", "virtioconsole", "vnc", "watchdog", "watchdog-action", "writeconfig", "xen-domid",
    ]);

    /// <summary>The first release, where that is later than the oldest that is known.</summary>
    private static readonly FrozenDictionary<string, QemuVersion> s_first = new Dictionary<string, QemuVersion>
    {
        [JsonDevice[1..]] = new(6, 2), [JsonObject[1..]] = new(6, 0),
        ["accel"] = new(2, 9), ["action"] = new(6, 0), ["async-teardown"] = new(7, 2), ["audio"] = new(7, 1), ["audiodev"] = new(4, 0),
        ["blockdev"] = new(2, 9), ["compat"] = new(6, 0), ["dfilter"] = new(2, 6), ["dump-vmstate"] = new(2, 1), ["enable-hax"] = new(2, 9),
        ["enable-sync-profile"] = new(3, 1), ["fw_cfg"] = new(2, 4), ["g"] = new(5, 0), ["jitdump"] = new(8, 0), ["nic"] = new(2, 12),
        ["only-migratable"] = new(2, 9), ["overcommit"] = new(3, 0), ["perfmap"] = new(8, 0), ["plugin"] = new(4, 2), ["preconfig"] = new(3, 0),
        ["qmp-pretty"] = new(2, 3), ["run-with"] = new(8, 1), ["seed"] = new(4, 1), ["semihosting-config"] = new(2, 3), ["shim"] = new(10, 0),
        ["xen-domid-restrict"] = new(2, 10),
    }.ToFrozenDictionary();

    /// <summary>The last release of those that later ones have dropped.</summary>
    private static readonly FrozenDictionary<string, QemuVersion> s_last = new Dictionary<string, QemuVersion>
    {
        ["alt-grab"] = new(7, 0), ["async-teardown"] = new(8, 2), ["audio-help"] = new(8, 1), ["balloon"] = new(3, 0), ["bootp"] = new(3, 0),
        ["bt"] = new(4, 2), ["chroot"] = new(8, 2), ["clock"] = new(3, 1), ["ctrl-grab"] = new(7, 0), ["curses"] = new(7, 0),
        ["enable-fips"] = new(7, 0), ["enable-hax"] = new(3, 1), ["hdachs"] = new(2, 11), ["localtime"] = new(3, 0), ["no-acpi"] = new(8, 2),
        ["no-frame"] = new(3, 1), ["no-hpet"] = new(8, 2), ["no-kvm"] = new(5, 1), ["no-kvm-irqchip"] = new(2, 12), ["no-kvm-pit"] = new(2, 11),
        ["no-kvm-pit-reinjection"] = new(2, 12), ["no-quit"] = new(6, 2), ["nodefconfig"] = new(3, 0), ["old-param"] = new(10, 1),
        ["portrait"] = new(9, 1), ["realtime"] = new(5, 2), ["redir"] = new(3, 0), ["rotate"] = new(9, 1), ["rtc-td-hack"] = new(3, 0),
        ["runas"] = new(9, 2), ["sdl"] = new(7, 0), ["show-cursor"] = new(5, 2), ["singlestep"] = new(8, 2), ["smb"] = new(3, 0),
        ["soundhw"] = new(7, 0), ["startdate"] = new(3, 0), ["tb-size"] = new(5, 2), ["tdf"] = new(2, 12), ["tftp"] = new(3, 0),
        ["virtfs_synth"] = new(4, 2), ["virtioconsole"] = new(3, 1), [Vlan] = new(2, 12), ["watchdog"] = new(7, 1), ["writeconfig"] = new(7, 0),
        ["xen-create"] = new(3, 1),
    }.ToFrozenDictionary();

    /// <summary>What <c>-net</c> and <c>-netdev</c> had in their values up to 2.12.</summary>
    public const string Vlan = "vlan=";

    /// <summary>A device in JSON, and an object.</summary>
    private const string JsonDevice = "-device {", JsonObject = "-object {";

    /// <summary>The form of an option with JSON behind it, which not every release takes; null for any other.</summary>
    public static string? JsonForm(string option, string? value) => value is not ['{', ..] ? null
        : option.AsSpan().TrimStart('-') is "device" ? JsonDevice : option.AsSpan().TrimStart('-') is "object" ? JsonObject : null;

    /// <summary>Whether it is no option but something in the value of one.</summary>
    public static bool IsForm(string name) => name is Vlan or JsonDevice or JsonObject;

    /// <summary>Whether a word is the name of an option that most commands have, without its dash.</summary>
    public static bool IsUsual(ReadOnlySpan<char> word) => word is "cpu" or "smp" or "m" or "M" or "machine" or "device" or "drive" or "accel"
        or "vga" or "display" or "smbios" or "global" or "object" or "netdev" or "blockdev" or "bios" or "rtc" or "boot" or "usb" or "name"
        or "monitor"
        or "serial" or "enable-kvm" or "nodefaults" or "nographic";

    /// <summary>Whether an option is followed by its value; of one that no QEMU has nobody knows, and it is taken for one that is.</summary>
    /// <param name="option">With its dashes.</param>
    public static bool TakesValue(ReadOnlySpan<char> option) => !s_alone.Contains(NameOf(option));

    /// <summary>Whether some release, for x86 or another machine, has the option.</summary>
    /// <param name="option">With its dashes.</param>
    public static bool IsOne(ReadOnlySpan<char> option) => NameOf(option) is var name && (s_alone.Contains(name) || s_withValue.Contains(name));

    /// <summary>The releases that have an option: from the first, where that is later than the oldest that is known, to the last.</summary>
    /// <param name="option">With its dashes.</param>
    public static (QemuVersion? First, QemuVersion? Last) ReleasesOf(ReadOnlySpan<char> option)
    {
        string name = NameOf(option);
        return (s_first.TryGetValue(name, out QemuVersion first) ? first : null, s_last.TryGetValue(name, out QemuVersion last) ? last : null);
    }

    /// <summary>Whether it is an option of machines of other processors alone.</summary>
    public static bool IsOfOthers(ReadOnlySpan<char> option) => option.TrimStart('-') is "g" or "prom-env" or "semihosting" or "semihosting-config"
        or "old-param";

    /// <summary>Why a release refuses an option; null where it has it.</summary>
    /// <param name="option">As written, with its dashes.</param>
    /// <param name="value">What follows it; null where nothing does.</param>
    public static StartRefusal? Refusal(QemuVersion emulator, string option, string? value)
    {
        string name = NameOf(option);
        string shown = InputError.OneLine(option, 60);
        (QemuVersion? first, QemuVersion? last) = ReleasesOf(option);
        if (IsOfOthers(option) && !(emulator > last))
        {
            return new("QEMU", $"{(value is null ? shown : InputError.OneLine($"{option} {value}", 120))}: Option not supported for this target",
                "it is of machines of other processors") { IsOfCommand = true, Remedy = $"take {shown} out" };
        }

        string words = $"{shown}: invalid option";
        if (emulator < first)
            return new("QEMU", words, $"QEMU {first} is the first that has it") { IsOfCommand = true };
        if (emulator > last)
            return new("QEMU", words, $"QEMU {last} is the last that has it") { IsOfCommand = true, Remedy = InsteadOf(name, value) };
        // Later releases may have options that nobody knows yet.
        if (IsOne(option) || emulator > QemuReleases.Newest)
            return null;
        string dashed = $"-{name.Replace('_', '-').ToLowerInvariant()}";
        return new("QEMU", words, "no release of QEMU has it") { IsOfCommand = true, Remedy = IsOne(dashed) ? $"write {dashed}" : null };
    }

    /// <summary>What newer releases have in place of an option, with which nothing of the map changes; null where there is nothing.</summary>
    private static string? InsteadOf(string name, string? value) => (name, value) switch
    {
        ("localtime", _) => "write -rtc base=localtime",
        ("no-kvm", _) => "write -accel tcg",
        ("no-quit" or "no-frame" or "alt-grab" or "ctrl-grab" or "show-cursor" or "nodefconfig" or "tdf" or "no-kvm-pit-reinjection" or "rtc-td-hack"
            or "no-kvm-pit" or "portrait" or "enable-fips", _) => $"take -{name} out",
        ("sdl" or "curses", _) => $"write -display {name}",
        ("realtime", "mlock=off") => "take -realtime out",
        ("realtime", "mlock=on" or "mlock") => "write -overcommit mem-lock=on",
        ("balloon", "none") => "take -balloon out",
        ("watchdog", { Length: > 0 } model) => $"write -device {InputError.OneLine(model, 60)}",
        _ => null,
    };

    private static string NameOf(ReadOnlySpan<char> option) => option.TrimStart('-').ToString();
}
