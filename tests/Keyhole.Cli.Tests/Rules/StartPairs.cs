// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using System.Text.Json;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>Guests that were not started, are of another platform, or have other surroundings than was told; wants of memory long behind a boot, and
/// maps that end too early.</summary>
internal static class StartPairs
{
    private const string Command = "qemu-system-x86_64 -machine q35 -accel kvm -cpu host -m 4096 -nodefaults -device pcie-root-port,id=r1,slot=1 "
        + "-device vfio-pci,host=0000:01:00.0,bus=r1\n";

    private const string NotViable = "qemu-system-x86_64: -device vfio-pci,host=0000:01:00.0,bus=r1: vfio 0000:01:00.0: group 1 is not viable\n";
    private const string Unviable = "qemu-system-x86_64: vfio_err_notifier_handler(0000:01:00.0) Unrecoverable error detected.\n";

    private const string NotPinned = "qemu-system-x86_64: -device vfio-pci,host=0000:01:00.0,bus=r1: vfio 0000:01:00.0: failed to setup container for "
        + "group 1: memory listener initialization failed: Region pc.ram: vfio_dma_map(0x5, 0x100000000, 0x80000000, 0x7) = -12 (Cannot allocate "
        + "memory)\n";

    private const string Sea = "qemu-system-x86_64 -M pc -accel tcg -m 2048 -nodefaults";

    public static ImmutableArray<RulePair> All { get; } =
    [
        RulePair.Of("QEMU did not start the guest (line 1", "QEMU said it of a guest that runs", static () => Started(NotViable),
            static () => Started(Unviable)),
        RulePair.Of("By the forecast nothing that was told of the guest and its host keeps it from being started. What the host's kernel says at that "
            + "time (dmesg: \"vfio\", \"DMAR\", \"AMD-Vi\") may tell more:", "the words tell the reason", static () => Started(NotViable),
            static () => Started(NotPinned)),
        RulePair.Of("0000:09:00.0 is none of the guest's devices (0000:01:00.0): the words are of another guest, or of an earlier state of this one.",
            "it is the guest's", static () => Started(NotViable.With("01:00.0", "09:00.0")), static () => Started(NotViable)),
        RulePair.Of("The log is of a guest of Google Compute Engine (line 3: \"Google Google Compute Engine", "the machine is QEMU's",
            static () => Machine("kvm", "DMI: Google Google Compute Engine/Google Compute Engine, BIOS Google 01/01/2011"),
            static () => Machine("kvm", "DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2 04/01/2014")),
        RulePair.Of("The log is of a guest that QEMU runs without Xen", "it is KVM's that was told",
            static () => Machine("hvm", "DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2 04/01/2014"),
            static () => Machine("kvm", "DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2 04/01/2014")),
        RulePair.Of("Everything agrees where the guest has 1 processor, those that can be plugged in counted (maxcpus); the forecast is for 8.",
            "it has so many", static () => Unplaced("-m 4096", "-smp 8 -m 4096"), static () => Unplaced("-m 4096", "-smp 1 -m 4096")),
        RulePair.Of("Everything agrees where the guest's processor is one of Intel's.", "the devices are others, too",
            static () => Unplaced("Skylake-Server", "EPYC"), static () => Unplaced("Skylake-Server", "EPYC", "membar=4G", "membar=8G")),
        RulePair.Of("processors, each a socket of its own; the forecast is for 1.", "they are cores of one",
            static () => Sockets("-smp 200,sockets=200"), static () => Sockets("-smp 200,sockets=1,cores=200")),
        RulePair.Of("It comes 2 hours behind the kernel's start: it is no part of the boot, and no difference from its forecast.",
            "it comes within the boot", static () => Killed("7261"), static () => Killed("12")),
        RulePair.Of("map-too-short", "the map has RAM for all pages", static () => OnMap("0 8000000 ram\n"), static () => OnMap("0 10000000 ram\n")),
        RulePair.Of("lost: the map ends before them, and the kernel leaves them to nobody", "the map has RAM for all pages",
            static () => OnMap("0 8000000 ram\n"), static () => OnMap("0 10000000 ram\n")),
    ];

    private static CommandRun Started(string said) =>
        DeviceInputs.Verify(said, "--guest", RulePair.Written("guest.cmd", Command), "--bar", "4000000000-4010000000");

    private static CommandRun Machine(string type, string line) => DeviceInputs.Verify(
        "[    0.000000] Linux version 6.1.0 (a@b)\n[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009fbff] usable\n"
            + $"[    0.000000] {line}\n[    0.000000] last_pfn = 0x80000 max_arch_pfn = 0x400000000\n", "--type", type, "--memory", "2048");

    private static CommandRun Unplaced(params string[] changes) => DeviceInputs.Verify(
        DeviceInputs.TextOf("kvm", "verify", "ovmf-unplaced.log"), "--qemu", "7.2", "--firmware", "ovmf-2022.11", "--guest",
        RulePair.Written("guest.cmd", DeviceInputs.Changed(DeviceInputs.TextOf("kvm", "verify", "ovmf-unplaced.cmd"), changes)));

    /// <summary>The log of a guest with these processors, told with one.</summary>
    private static CommandRun Sockets(string processors)
    {
        JsonElement map = CommandRun.Of("plan", "--json", "--qemu", "7.2", "--guest", RulePair.Written("guest.cmd", $"{Sea} {processors}\n")).Json()
            .GetProperty("e820");
        string log = "[    0.000000] Linux version 6.1.0-44-amd64\n[    0.000000] BIOS-provided physical RAM map:\n"
            + string.Concat(map.EnumerateArray().Select(static entry => $"[    0.000000] BIOS-e820: {Mem(entry)}\n"))
            + "[    0.000000] last_pfn = 0x80000 max_arch_pfn = 0x400000000\n";
        return DeviceInputs.Verify(log, "--qemu", "7.2", "--guest", RulePair.Written("guest.cmd", $"{Sea} -smp 1\n"));
    }

    private static string Mem(JsonElement entry)
    {
        ulong end = System.Convert.ToUInt64(entry.GetProperty("end").GetString(), 16);
        return $"[mem 0x{System.Convert.ToUInt64(entry.GetProperty("start").GetString(), 16):x16}-0x{end - 1:x16}] "
            + (entry.GetProperty("type").GetString() == "ram" ? "usable" : "reserved");
    }

    private static CommandRun Killed(string seconds) => DeviceInputs.Verify(
        $"{EndInputs.PvBoot}{EndInputs.PvMemory}[    2.100000] Run /init as init process\n[ {seconds}.123456] nginx invoked oom-killer: gfp_mask=0x140cca, "
            + "order=0, oom_score_adj=0\n", "--host", EndInputs.Plain, "--memory", "512");

    private static CommandRun OnMap(string map) => CommandRun.Of(
        "boot", "--guest-map", RulePair.Written("map", map), "--nr-pages", "65536", "--kernel", "6.1", "--json");
}
