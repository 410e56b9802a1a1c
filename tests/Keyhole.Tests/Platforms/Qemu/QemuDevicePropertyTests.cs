// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Platforms;
using Keyhole.Platforms.Qemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>Properties that a device model of QEMU has not: QEMU refuses them, in words that each of these was seen to say.</summary>
[TestClass]
public sealed class QemuDevicePropertyTests
{
    private static QemuForecast Forecast(string options, string? emulator)
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(
            $"qemu-system-x86_64 -machine q35 -nodefaults -bios /usr/share/seabios/bios-256k.bin {options}")), "guest")
            .TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());
        var around = new QemuSurroundings
        {
            Emulator = emulator is null ? null : QemuVersion.TryParse(emulator, out QemuVersion release) ? release : null,
        };
        Assert.IsTrue(guest.Guest.Qemu!.TryResolve(around, out QemuMachine machine, out _));
        Assert.IsTrue(QemuForecaster.TryForecast(machine, out QemuForecast forecast, out _), options);
        return forecast;
    }

    [TestMethod]
    [DataRow("-device pci-testdev,unknownprop=1", "7.2", "Property 'pci-testdev.unknownprop' not found")]
    [DataRow("-device pci-testdev,id=foo,unknownprop=1", "10.0", "Property 'pci-testdev.unknownprop' not found")]
    [DataRow("-device '{\"driver\":\"pci-testdev\",\"unknownprop\":1}'", "10.0", "Property 'pci-testdev.unknownprop' not found")]
    [DataRow("-device pci-testdev,bus=nope,foo=1", "7.2", "Bus 'nope' not found")]
    [DataRow("-device pci-testdev,addr=0.0,foo=1", "7.2", "Property 'pci-testdev.foo' not found")]
    [DataRow("-device virtio-blk,foo=1", "7.2", "Property 'virtio-blk-pci.foo' not found")]
    [DataRow("-device qemu-xhci,id=u -device usb-tablet,bus=u.0,foo=1", "7.2", "Property 'usb-tablet.foo' not found")]
    [DataRow("-device pci-testdev,x-pcie-ext-tag=on", "7.2", "Property 'pci-testdev.x-pcie-ext-tag' not found")]
    [DataRow("-device pvpanic-pci", "5.2", "'pvpanic-pci' is not a valid device model name")]
    [DataRow("-device virtio-sound-pci,bus=nope", "7.2", "'virtio-sound-pci' is not a valid device model name")]
    [DataRow("-device pcie-root-port,id=p,prefetch64-reserve=1G", "10.0", "Property 'pcie-root-port.prefetch64-reserve' not found")]
    public void A_property_that_a_model_has_not_is_refused_in_QEMU_s_words(string options, string emulator, string words)
    {
        QemuForecast forecast = Forecast(options, emulator);
        Assert.AreEqual(GuestOutcome.Refused, forecast.Outcome);
        Assert.AreEqual(words, forecast.Message);
    }

    [TestMethod]
    [DataRow("-device pci-testdev,membar=1G,id=a,addr=5,romfile=", "7.2")]
    [DataRow("-device pci-testdev,x-pcie-ext-tag=on", "10.0")]
    [DataRow("-device pcie-root-port,id=p,pref64-reserve=1G,hotplug=off -device virtio-net-pci,bus=p,mq=on,vectors=4", "7.2")]
    // What nobody has asked: another release, a release that is only assumed where one of the two has it, an element of a list.
    [DataRow("-device pci-testdev,unknownprop=1", "8.2")]
    [DataRow("-device pci-testdev,x-pcie-ext-tag=on", null)]
    [DataRow("-device virtio-blk-pci,iothread-vq-mapping.0.iothread=t", "10.0")]
    public void What_a_model_has_and_what_is_not_known_is_not_refused(string options, string? emulator) =>
        Assert.AreEqual(GuestOutcome.Boots, Forecast(options, emulator).Outcome, Forecast(options, emulator).Message);

    [TestMethod]
    public void Of_an_assumed_release_only_what_none_has_is_refused() =>
        Assert.AreEqual("Property 'pci-testdev.unknownprop' not found", Forecast("-device pci-testdev,unknownprop=1", null).Message);

    [TestMethod]
    public void Every_model_whose_BARs_are_known_has_its_properties_in_the_table_but_those_that_Debian_packs_apart()
    {
        string[] known = ["addr", "romfile", "multifunction", "rombar"];
        int models = 0;
        foreach (string driver in QemuDevices.Names)
        {
            foreach (QemuVersion release in QemuDeviceProperties.Releases)
            {
                if (QemuDeviceProperties.Has(driver, release, "addr") is null)
                    continue;
                models++;
                foreach (string property in known)
                    Assert.IsTrue(QemuDeviceProperties.Has(driver, release, property), $"{driver} {release} {property}");
            }
        }

        Assert.IsGreaterThan(250, models);
    }
}
