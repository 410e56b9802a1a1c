// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Platforms.Qemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>Which BARs QEMU's own devices ask for: what QEMU 7.2 told of each in 'info pci', machine type by machine type.</summary>
[TestClass]
public sealed class QemuDeviceTests
{
    public static IEnumerable<object[]> MachineTypes => File.ReadLines(Records).Select(static line => line.Split(' ')[0]).Distinct()
        .Select(static type => new object[] { type });

    private static string Records => Path.Combine(AppContext.BaseDirectory, "fixtures/kvm/device-bars.txt");

    [TestMethod]
    [DynamicData(nameof(MachineTypes))]
    public void Every_BAR_of_QEMUs_own_devices_is_as_large_as_QEMU_says(string type)
    {
        List<string> wrong = [];
        int compared = 0;
        foreach (string line in File.ReadLines(Records))
        {
            // TYPE DEVICE,OPTION… BAR:SIZE… in hex
            string[] words = line.Split(' ');
            if (words[0] != type)
                continue;
            compared++;
            string expected = string.Join(' ', words.Skip(2));
            string forecast = string.Join(' ', Bars($"-machine {type} -m 512M -object memory-backend-ram,id=m0,size=4M -device {words[1]},addr=5")
                .Select(static bar => $"{bar.Index}:{bar.SizeBytes:x}"));
            if (forecast != expected)
                wrong.Add($"{words[1]}: QEMU has {expected}, forecast was {forecast}");
        }

        Assert.IsGreaterThan(40, compared);
        Assert.IsEmpty(wrong, string.Join('\n', wrong));
    }

    /// <summary>Every model of -device help that starts by itself, on q35 and pc, in QEMU 7.2 and 10.0: EMULATOR TYPE DEVICE,OPTION…
    /// BAR:SIZE:KIND….</summary>
    [TestMethod]
    public void Each_model_that_is_known_has_the_BARs_that_QEMU_says_and_the_others_are_said_to_be_not_known()
    {
        List<string> wrong = [];
        var unknown = new SortedSet<string>(StringComparer.Ordinal);
        int compared = 0;
        foreach (string line in File.ReadLines(Path.Combine(AppContext.BaseDirectory, "fixtures/kvm/device-bar-kinds.txt")))
        {
            string[] words = line.Split(' ');
            string driver = words[2].Split(',')[0];
            if (QemuDevices.Find(driver) is null)
            {
                unknown.Add(driver);
                continue;
            }

            compared++;
            string expected = string.Join(' ', words.Skip(3));
            QemuForecast forecast = Forecast("-nodefaults -accel tcg -m 512M -object memory-backend-ram,id=m0,size=4M "
                + $"-object memory-backend-ram,id=m1,size=64K -machine {words[1]} -device {words[2]},addr=5", "qemu.cmd",
                words[0] == "7.2" ? new QemuVersion(7, 2) : new QemuVersion(10, 0));
            string told = string.Join(' ', forecast.Placement!.Tree.Functions.Single(static function => function.Address is { Bus: 0, Device: 5 })
                .Node.Bars.OrderBy(static bar => bar.Index).Select(static bar => $"{bar.Index}:{bar.SizeBytes:x}:{Kind(bar.Type)}"));
            if (told != expected)
                wrong.Add($"{line}\n    forecast {told}");
        }

        Assert.IsEmpty(wrong, string.Join('\n', wrong));
        Assert.IsGreaterThan(300, compared);
        Assert.AreEqual("acpi-erst kvaser_pci pci-ipmi-kcs", string.Join(' ', unknown));
    }

    [TestMethod]
    [DataRow("virtio-serial", "virtio-serial-pci")]
    [DataRow("virtio-scsi", "virtio-scsi-pci")]
    [DataRow("virtio-net", "virtio-net-pci")]
    [DataRow("virtio-gpu", "virtio-gpu-pci")]
    [DataRow("lsi", "lsi53c895a")]
    public void A_name_that_QEMU_takes_for_a_model_has_its_BARs(string name, string model) =>
        Assert.AreSame(QemuDevices.Find(model), QemuDevices.Find(name));

    [TestMethod]
    public void A_Proxmox_guest_with_its_agent_is_forecast() =>
        Assert.AreEqual(64UL, Ports("machine: pc-i440fx-7.2\nmemory: 1024\nballoon: 0\nvga: none\nagent: 1\n", "101.conf"));

    [TestMethod]
    public void No_PCI_device_of_QEMU_is_taken_for_one_without_BARs_because_of_its_name()
    {
        string list = Path.Combine(AppContext.BaseDirectory, "fixtures/kvm/pci-devices-7.2.txt");
        string[] names = [.. File.ReadLines(list), "xen-platform", "xen-pvdevice"];

        Assert.IsGreaterThan(150, names.Length);
        Assert.AreEqual("", string.Join(' ', names.Where(QemuDevices.IsNotPci)));
    }

    private static string Kind(BarType type) => type switch
    {
        BarType.Io => "io",
        BarType.Memory32Prefetchable => "m32p",
        BarType.Memory64 => "m64",
        BarType.Memory64Prefetchable => "m64p",
        _ => "m32",
    };

    [TestMethod]
    [DataRow("<interface type='user'><model type='virtio'/></interface>", 32UL)]
    [DataRow("<interface type='user'><model type='virtio'/><driver queues='4'/></interface>", 64UL)]
    [DataRow("<interface type='user'><model type='virtio'/><mtu size='9000'/></interface>", 64UL)]
    [DataRow("<filesystem><source dir='/a'/><target dir='six-66'/></filesystem>", 32UL)]
    [DataRow("<filesystem><source dir='/a'/><target dir='hostshare'/></filesystem>", 64UL)]
    public void What_a_libvirt_guest_asks_of_a_device_decides_how_many_ports_it_takes(string device, ulong ports)
    {
        string xml = "<domain type='kvm'><name>g</name><memory unit='GiB'>1</memory><os><type machine='pc-i440fx-7.2'>hvm</type></os><devices>"
            + $"<controller type='usb' model='none'/><memballoon model='none'/>{device}</devices></domain>";

        Assert.AreEqual(ports, Ports(xml, "g.xml"));
    }

    [TestMethod]
    [DataRow("virtio=BC:24:11:00:00:01,bridge=vmbr0", 32UL)]
    [DataRow("virtio=BC:24:11:00:00:01,bridge=vmbr0,queues=4", 64UL)]
    [DataRow("virtio=BC:24:11:00:00:01,bridge=vmbr0,mtu=9000", 64UL)]
    public void What_a_Proxmox_guest_asks_of_a_card_decides_how_many_ports_it_takes(string net, ulong ports) =>
        Assert.AreEqual(ports, Ports($"machine: pc-i440fx-7.2\nmemory: 1024\nballoon: 0\nvga: none\nnet0: {net}\n", "101.conf"));

    private static ulong Ports(string text, string name) =>
        Forecast(text, name).Placement!.Tree.Functions.Where(static function => function.Node.VendorId == 0x1af4 && function.Node.DeviceId < 0x1040)
            .Select(static function => function.Node.Bars.Single(static bar => bar.Type == BarType.Io).SizeBytes).Max();

    private static IEnumerable<BarRequest> Bars(string options) =>
        Forecast($"-nodefaults -accel tcg {options}", "qemu.cmd").Placement!.Tree.Functions
            .Single(static function => function.Address is { Bus: 0, Device: 5 }).Node.Bars.OrderBy(static bar => bar.Index);

    private static QemuForecast Forecast(string text, string name) => Forecast(text, name, new QemuVersion(7, 2));

    private static QemuForecast Forecast(string text, string name, QemuVersion emulator)
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), name)
            .TryGet(out GuestDocument? document, out InputError? error), error?.ToString());
        Assert.IsTrue(QemuFirmware.TryParse("seabios-1.16.2", out QemuFirmware release));
        Assert.IsTrue(document.Guest.Qemu!.TryResolve(new() { Firmware = release, Emulator = emulator }, out QemuMachine machine, out _));
        Assert.IsTrue(QemuForecaster.TryForecast(machine, out QemuForecast forecast, out _));
        Assert.IsNull(forecast.Message, text);
        return forecast;
    }
}
