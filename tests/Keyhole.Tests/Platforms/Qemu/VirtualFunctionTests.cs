// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Answers;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>Where the BARs of virtual functions lie, or why no room is kept for them.</summary>
[TestClass]
public sealed class VirtualFunctionTests
{
    private static VirtualBarAnswer[] Planned(string options, string firmware, PciDevice? device = null)
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(
            $"qemu-system-x86_64 -accel tcg -m 4G -cpu EPYC,phys-bits=40 -nodefaults -bios OVMF.fd {options}")), "guest")
            .TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());
        Assert.IsTrue(QemuFirmware.TryParse(firmware, out QemuFirmware release));
        Plan plan = Planner.Plan(new Scenario
        {
            Host = Host.Unknown,
            Guest = guest.Guest,
            Qemu = new() { Emulator = new QemuVersion(10, 0), Firmware = release, Devices = device is null ? [] : [device] },
        });
        return [.. PlanAnswer.Of(plan).VirtualFunctions ?? []];
    }

    private static string[] Texts(VirtualBarAnswer[] bars) =>
        [.. bars.Select(static bar => $"{bar.Count} {bar.Bdf} {bar.Bar} {bar.Start}-{bar.End}")];

    /// <summary>Seen on QEMU 10.0 with OVMF 2025.02, in the capability's own registers.</summary>
    [TestMethod]
    public void OVMF_puts_the_windows_of_all_virtual_functions_side_by_side() => CollectionAssert.AreEqual(
        new[] { "8 00:01.0 0 0xc000000000-0xc000020000", "8 00:01.0 3 0xc000020000-0xc000040000" },
        Texts(Planned("-machine q35 -device igb,romfile=", "ovmf-2025.02")));

    [TestMethod]
    [DataRow("-machine q35 -device igb", "seabios-1.16.3", "SeaBIOS keeps no room for them: the operating system has to find it")]
    [DataRow("-machine pc -device igb", "ovmf-2025.02", "on a board without PCI Express nobody sees that there are any")]
    [DataRow("-machine pc -device igb", "seabios-1.16.3", "on a board without PCI Express nobody sees that there are any")]
    public void Where_no_room_is_kept_that_is_told(string options, string firmware, string why)
    {
        VirtualBarAnswer[] bars = Planned(options, firmware);

        Assert.HasCount(2, bars);
        Assert.IsTrue(bars.All(bar => bar.Start is null && bar.Why == why), bars[0].Why);
    }

    [TestMethod]
    public void The_virtual_functions_of_a_device_that_is_passed_through_stay_with_the_host()
    {
        Assert.IsTrue(PciAddress.TryParse("0000:01:00.0", out PciAddress address));
        var device = new PciDevice(address, "", [new(0, BarKind.Memory, 0xd0000000, 0xd0080000, true, true)]) { Sriov = new(64, 0) };

        VirtualBarAnswer bar =
            Planned("-machine q35 -device pcie-root-port,id=p -device vfio-pci,host=01:00.0,bus=p", "ovmf-2025.02", device).Single();

        Assert.AreEqual((64, "01:00.0", "host 01:00.0"), (bar.Count, bar.Bdf, bar.Device));
        Assert.IsNull(bar.Bar);
        Assert.Contains("their windows stay with the host", bar.Why!);
    }

    [TestMethod]
    public void A_guest_without_them_has_nothing_to_tell() => Assert.IsEmpty(Planned("-machine q35 -device e1000", "ovmf-2025.02"));
}
