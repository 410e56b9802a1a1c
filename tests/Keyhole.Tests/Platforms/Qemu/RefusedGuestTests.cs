// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.Qemu;
using Keyhole.RealQemu;
using Keyhole.Tests.Guests.Qemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>Guests that QEMU does not start, beside the like that it starts.</summary>
[TestClass]
public sealed class RefusedGuestTests
{
    private static IEnumerable<object?[]> All => RefusedGuests.All.Select(static guest => new object?[] { guest.Arguments, guest.Words });

    private static (string? Message, string? Remedy) RefusalOf(string arguments, string emulator = "7.2")
    {
        Assert.IsTrue(QemuVersion.TryParse(emulator, out QemuVersion release));
        var scenario = new Scenario
        {
            Host = Host.Unknown,
            Guest = QemuCommandLineTests.Read($"qemu-system-x86_64 -nodefaults -accel tcg {arguments}"),
            Qemu = new() { Emulator = release },
        };
        Problem? problem = Planner.Plan(scenario).Problems.SingleOrDefault(static problem => problem.Code == ProblemCodes.GuestDoesNotStart);
        return (problem?.Message.ToString(), problem?.Remedy?.ToString());
    }

    [TestMethod]
    [DataRow("-m 1G,slots=2", "leave slots= out, or give maxmem= beside it, which is more than the memory")]
    [DataRow("-m 1G,slots=2,maxmem=1G", "leave slots= out, or give maxmem= beside it, which is more than the memory")]
    [DataRow("-m 1G -object memory-backend-ram,id=m,size=2G -machine memory-backend=m",
        "give the guest the memory that its backend has (2G), or the backend that of the guest (1G)")]
    [DataRow("-m 1G -object memory-backend-ram,id=m,size=1G -device pc-dimm,memdev=m",
        "give the memory that is plugged in its room: slots=1, maxmem=2G (-m, or <maxMemory>)")]
    [DataRow("-m 1G,slots=1,maxmem=3G -object memory-backend-ram,id=m,size=1G -device pc-dimm,memdev=m -object memory-backend-ram,id=n,size=4G "
        + "-device pc-dimm,memdev=n", "give the memory that is plugged in its room: slots=2, maxmem=6G (-m, or <maxMemory>)")]
    [DataRow("-m 1G,slots=1,maxmem=3G -object memory-backend-ram,id=m,size=1G -device nvdimm,memdev=m", "write -machine nvdimm=on")]
    [DataRow("-m 1G -object memory-backend-ram,id=m,size=1G -device nvdimm,memdev=m",
        "write -machine nvdimm=on, and give the memory that is plugged in its room: slots=1, maxmem=2G (-m, or <maxMemory>)")]
    [DataRow("-m 1G -object memory-backend-ram,id=m,size=1G -device virtio-mem-pci,memdev=m",
        "give the memory that is plugged in its room: slots=0, maxmem=2G (-m, or <maxMemory>)")]
    // With both numbers QEMU still refuses these: nothing is recommended that was tried and does not help.
    [DataRow("-m 1G,slots=2 -fw_cfg name=opt/a,string=1 -fw_cfg name=opt/a,string=2", null)]
    [DataRow("-m 1G,slots=2,maxmem=4G -object memory-backend-ram,id=m,size=1G -device pc-dimm,memdev=m -device pc-dimm,memdev=m", null)]
    public void What_is_to_be_written_of_memory_is_told_where_QEMU_takes_it(string arguments, string? remedy)
    {
        (string? message, string? told) = RefusalOf($"-M q35 {arguments}");
        Assert.StartsWith("QEMU refuses to start the guest: ", message!);
        Assert.AreEqual(remedy, told);
    }

    [TestMethod]
    public void Of_two_of_one_name_one_is_to_get_another_and_compare_says_why_nothing_was_tried()
    {
        const string twice = "-M q35 -m 1G -device pci-testdev,id=a -device pci-testdev,id=a";
        Assert.AreEqual(("QEMU refuses to start the guest: Duplicate ID 'a' for device", "give one of the two another id="), RefusalOf(twice));
        // Another name would not help here: both are at the same place.
        Assert.IsNull(RefusalOf("-M q35 -m 1G -device pci-testdev,id=a,addr=5 -device pci-testdev,id=a,addr=5").Remedy);
        var scenario = new Scenario { Host = Host.Unknown, Guest = QemuCommandLineTests.Read($"qemu-system-x86_64 -nodefaults -accel tcg {twice}") };
        SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;
        Assert.AreEqual((null, "none could be tried: QEMU refuses a name that is there twice, whatever is set"), (comparison.Best, comparison.Why));
    }

    [TestMethod]
    [DataRow("-smp 4,maxcpus=2", "give maxcpus= no less than the processors of the start: maxcpus=4")]
    [DataRow("-smp 4,sockets=2,cores=2,threads=2", "give the product of the levels: maxcpus=8")]
    [DataRow("-smp 5,sockets=2", "leave sockets=, cores= and the other levels out")]
    [DataRow("-smp 300", "give at most 288 processors to this board")]
    [DataRow("-smp 4,foo=1", "take foo= out of -smp")]
    [DataRow("-cpu epyc-rome-V2", "write EPYC-Rome-v2: capital letters count")]
    [DataRow("-cpu foo", "give a model that qemu-system-x86_64 -cpu help lists")]
    [DataRow("-machine foo=1", "take foo= out of -machine: qemu-system-x86_64 -machine pc-q35-7.2,help lists what it takes")]
    [DataRow("-device e1000,netdev=n", "add the network (-netdev user,id=n or another kind), or take netdev= out")]
    [DataRow("-device e1000,mac=52", "write mac= as six pairs of hex digits, such as 52:54:00:12:34:56")]
    [DataRow("-device isa-serial,chardev=c", "add the channel (-chardev …,id=c), or take the device out")]
    [DataRow("-device virtio-blk-pci,drive=d", "add the drive (-drive if=none,id=d,file=…, or -blockdev with node-name=d), or take the device out")]
    [DataRow("-device virtio-rng-pci,rng=r", "add the object (-object …,id=r), or take rng= out")]
    // Two devices at one place: the guest does not start with that either.
    [DataRow("-smp 4,maxcpus=2 -device pci-testdev,addr=5 -device pci-testdev,addr=5", null)]
    public void What_is_to_be_written_instead_is_told_where_QEMU_takes_it(string arguments, string? remedy)
    {
        Assert.AreEqual(remedy, RefusalOf($"-M q35 -m 1G {arguments}").Remedy);
        var scenario = new Scenario { Host = Host.Unknown, Guest = QemuCommandLineTests.Read($"qemu-system-x86_64 -accel tcg -M pc-q35-7.2 {arguments}") };
        Assert.AreEqual("none could be tried: QEMU refuses the command itself, whatever is set",
            Planner.PlatformOf(scenario).CompareSettings(scenario)!.Why);
    }

    [TestMethod]
    [DataRow("qemu-system-x86_64 -accel tcg -M q35 -m 1G ... -device e1000,netdev=n")]
    [DataRow("-accel tcg -M q35 -m 1G -device e1000,netdev=n")]
    [DataRow("qemu-system-x86_64 -accel tcg -M q35 -m 1G $NET -device e1000,netdev=n,mac=$MAC")]
    [DataRow("qemu-system-x86_64 -accel tcg -M q35 -m 1G -netdev $NET -device e1000,netdev=n")]
    public void Of_part_of_a_command_nothing_is_said_to_be_missing(string command)
    {
        GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(command)), "qemu.cmd").TryGet(out GuestDocument? document, out InputError? error);
        if (error is null)
            Assert.IsNull(document!.Guest.Qemu!.Rules!.OfDevices);
        else
            Assert.AreEqual(InputErrorCode.NotSupported, error.Code);
    }

    [TestMethod]
    [DataRow("-m 1G,slots=2", "6.2", "invalid -m option value: missing 'maxmem' option")]
    [DataRow("-m 1G,slots=2", "8.2", "slots specified but no max-size")]
    [DataRow("-m 1G -object memory-backend-ram,id=m,size=1G -device virtio-mem-pci,memdev=m", "8.2",
        "the configuration is not prepared for memory devices (e.g., for memory hotplug), consider specifying the maxmem option")]
    [DataRow("-smp 0", "9.0", "Invalid CPU topology: CPU topology parameters must be greater than zero")]
    [DataRow("-smp 4,maxcpus=2", "10.0", "Invalid CPU topology: maxcpus must be equal to or greater than smp: sockets (1) * dies (1) * modules (1) "
        + "* cores (2) * threads (1) == maxcpus (2) < smp_cpus (4)")]
    [DataRow("-smp 8,clusters=2", "10.0", "clusters > 1 not supported by this machine's CPU topology")]
    [DataRow("-smp 4097", "10.0", "Invalid SMP CPUs 4097. The max CPUs supported by machine 'pc-q35-10.0' is 4096")]
    [DataRow("-machine pc-q35-8.2 -smp 1025", "10.0", "Invalid SMP CPUs 1025. The max CPUs supported by machine 'pc-q35-8.2' is 1024")]
    [DataRow("-machine pc-q35-8.0 -smp 289", "10.0", "Invalid SMP CPUs 289. The max CPUs supported by machine 'pc-q35-8.0' is 288")]
    public void Other_releases_of_QEMU_say_it_in_their_own_words(string arguments, string emulator, string words) =>
        Assert.AreEqual($"QEMU refuses to start the guest: {words}", RefusalOf($"-M q35 {arguments}", emulator).Message);

    [TestMethod]
    [DynamicData(nameof(All))]
    public void What_QEMU_7_2_refuses_is_refused_in_its_words_and_what_it_takes_is_not(string arguments, string? words)
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes($"qemu-system-x86_64 -nodefaults -accel tcg {arguments}")), "qemu.cmd")
            .TryGet(out GuestDocument? document, out InputError? error), error?.ToString());
        Assert.IsTrue(document.Guest.Qemu!.TryResolve(new QemuSurroundings { Emulator = new QemuVersion(7, 2) }, out QemuMachine machine, out _));
        Assert.IsTrue(QemuForecaster.TryForecast(machine, out QemuForecast forecast, out _));
        Assert.AreEqual(words, forecast.Outcome == GuestOutcome.Refused ? forecast.Message : null);
    }

    [TestMethod]
    [DataRow("pc-q35", "7.2", "unsupported machine type (there is q35, and pc-q35 with a release behind it, such as pc-q35-7.2)")]
    [DataRow("pc-i440fx", "9.2",
        "unsupported machine type: \"pc-i440fx\" (there is pc, and pc-i440fx with a release behind it, such as pc-i440fx-9.2)")]
    public void A_board_s_name_of_libvirt_s_kind_without_a_release_is_no_machine_type(string machine, string emulator, string words)
    {
        (string? message, string? remedy) = RefusalOf($"-M {machine} -m 1G", emulator);
        Assert.AreEqual($"QEMU refuses to start the guest: {words}", message);
        Assert.Contains($"{machine}-{emulator}", remedy!);
    }

    [TestMethod]
    public void A_property_that_QEMU_does_not_know_is_not_called_a_fault_of_how_devices_are_plugged_together()
    {
        var scenario = new Scenario
        {
            Host = Host.Unknown,
            Guest = QemuCommandLineTests.Read("qemu-system-x86_64 -nodefaults -m 1G -device virtio-net-pci,x-pci-mmio64-mb=65536"),
            Qemu = new() { Emulator = new QemuVersion(7, 2) },
        };

        string[] told = [.. Planner.Plan(scenario).Problems.Select(static problem => problem.Message.ToString())];

        Assert.IsTrue(told.Any(static message => message.Contains("not found", System.StringComparison.Ordinal)));
        Assert.IsFalse(told.Any(static message => message.Contains("refuses how", System.StringComparison.Ordinal)));
    }
}
