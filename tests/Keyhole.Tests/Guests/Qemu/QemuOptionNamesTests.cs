// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Guests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Guests.Qemu;

/// <summary>Options that not every release of QEMU has: what they tell of the release, and where they are refused.</summary>
[TestClass]
public sealed class QemuOptionNamesTests
{
    [TestMethod]
    [DataRow("-M pc -soundhw hda", "7.0", "QEMU's release is not told: 7.0 is assumed, the last that has -soundhw")]
    [DataRow("-M pc -soundhw hda -realtime mlock=off", "5.2", "5.2 is assumed, the last that has -realtime")]
    [DataRow("-M pc -net nic,vlan=0 -net user,vlan=0", "2.12", "2.12 is assumed, the last that has vlan=")]
    [DataRow("-M pc-q35-2.11 -audiodev none,id=a", "4.0", "4.0 is assumed, the first that has -audiodev")]
    [DataRow("-M pc -audiodev none,id=a", "10.0", "10.0 is assumed")]
    [DataRow("-M pc-i440fx-2.8 -audiodev none,id=a -device '{\"driver\":\"pci-testdev\"}'", "6.2", "6.2 is assumed, the first that has -device {")]
    [DataRow("-M pc-i440fx-2.11 -redir tcp:5555::22", "2.11", "2.11 is assumed, that of the machine type")]
    public void A_release_that_is_not_told_is_one_that_has_the_options(string arguments, string release, string assumed)
    {
        (QemuMachine machine, QemuAssumption[] assumptions) = Resolved(arguments, null);

        Assert.AreEqual(release, machine.Emulator.ToString());
        Assert.IsNull(machine.Refusal);
        Assert.Contains(assumed, assumptions.First(static one => one.Unknown == QemuUnknown.Emulator).Message);
    }

    [TestMethod]
    [DataRow("-M pc-q35-7.2 -soundhw hda", null, "-soundhw: invalid option", null)]
    [DataRow("-M pc -realtime mlock=off -audio none", null, "-realtime: invalid option", "take -realtime out")]
    [DataRow("-M pc -localtime", "10.0", "-localtime: invalid option", "write -rtc base=localtime")]
    [DataRow("-M pc -audio none", "7.0", "-audio: invalid option", null)]
    [DataRow("-M pc -Enable_KVM", null, "-Enable_KVM: invalid option", "write -enable-kvm")]
    [DataRow("-M pc -new-thing x", "11.1", "-new-thing: invalid option", null)]
    public void A_release_refuses_what_it_does_not_have(string arguments, string? release, string words, string? remedy)
    {
        StartRefusal refusal = Resolved(arguments, release).Machine.Refusal!;

        Assert.AreEqual((words, remedy), (refusal.Words, refusal.Remedy));
    }

    [TestMethod]
    [DataRow("-M pc -localtime", "3.0")]
    [DataRow("-M pc -audio none", "7.1")]
    [DataRow("-M pc -id 100", "9.2")]
    [DataRow("-M pc -new-thing x", "12.0")]
    [DataRow("-M pc -m 1G -nographic", "11.1")]
    [DataRow("-M pc \"$@\" -device usb-tablet", "10.0")]
    [DataRow("-M pc ... -device usb-tablet", "10.0")]
    [DataRow("-M pc -device [snip] -device usb-tablet", "10.0")]
    [DataRow("-M pc -numa node,$NODE0 -numa node,$NODE1", "10.0")]
    [DataRow("-M pc -numa node,nodeid=0,cpus=0-1 ...", "10.0")]
    [DataRow("-M pc-i440fx-2.5 -drive if=scsi,file=a.img -device scsi-cd", "2.11")]
    [DataRow("-M pc -drive if=virtio,file=a.img", "10.0")]
    [DataRow("-M pc -global nvme.serial=a -device nvme", "10.0")]
    [DataRow("-M pc-i440fx-2.8 -device '{\"driver\":\"pci-testdev\"}'", "2.12")]
    public void What_a_release_has_or_may_have_is_not_refused(string arguments, string release) =>
        Assert.IsNull(Resolved(arguments, release).Machine.Refusal);

    private static (QemuMachine Machine, QemuAssumption[] Assumptions) Resolved(string arguments, string? release)
    {
        QemuVersion? emulator = QemuVersion.TryParse(release ?? "", out QemuVersion told) ? told : null;
        GuestSpec guest = QemuCommandLineTests.Read($"qemu-system-x86_64 -nodefaults -accel tcg {arguments}");
        Assert.IsTrue(guest.Qemu!.TryResolve(new() { Emulator = emulator }, out QemuMachine machine, out var assumptions));
        return (machine, [.. assumptions]);
    }
}
