// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Planning;
using Keyhole.Platforms;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Guests;

/// <summary>Keys of an xl.cfg that decide a guest's map or devices, by what the xl of each release makes of them.</summary>
[TestClass]
public sealed class HvmSettingsTests
{
    [TestMethod]
    [DataRow("4.17.0", "bios=\"OVMF\"", FirmwareName.Ovmf)]
    [DataRow("4.17.0", "bios=\"ovmf\"\nfirmware=\"seabios\"", FirmwareName.SeaBios)]
    [DataRow("4.17.0", "bios=\"ovmf\"\nfirmware=\"bios\"", FirmwareName.Ovmf)]
    [DataRow("4.17.0", "firmware=\"Ovmf\"", FirmwareName.Ovmf)]
    [DataRow("4.17.0", "firmware=\"uefi\"", FirmwareName.Ovmf)]
    [DataRow("4.17.0", "firmware=\"u\"", FirmwareName.Ovmf)]
    [DataRow("4.17.0", "firmware=\"\"", FirmwareName.Ovmf)]
    [DataRow("4.17.0", "firmware=\"bi\"", FirmwareName.SeaBios)]
    [DataRow("4.9.0", "firmware=\"uefi\"", FirmwareName.SeaBios)]
    [DataRow("4.9.0", "bios=\"ovmf\"\nfirmware=\"seabios\"", FirmwareName.Ovmf)]
    [DataRow("4.17.0", "firmware=\"/opt/hvmloader-debug\"", null)]
    [DataRow("4.17.0", "firmware_override=\"/opt/mine\"", null)]
    [DataRow("4.17.0", "firmware_override=\"/usr/lib/xen/boot/hvmloader\"", FirmwareName.SeaBios)]
    public void The_firmware_is_what_the_last_of_bios_and_firmware_names_in_any_case(string xen, string config, FirmwareName? firmware)
    {
        Plan plan = PlanOf(xen, $"builder=\"hvm\"\n{config}");

        Assert.AreEqual(firmware is null, plan.Firmware is null);
        Assert.AreEqual(firmware == FirmwareName.SeaBios, plan.IsMapKnown);
        if (firmware is not null)
            Assert.AreEqual(GuestOutcome.Boots, plan.Firmware?.Outcome);
    }

    [TestMethod]
    [DataRow("4.17.0", "hdtype=\"AHCI\"", "ahci", true)]
    [DataRow("4.5.0", "hdtype=\"ahci\"", "ahci", false)]
    [DataRow("4.17.0", "soundhw=\"HDA\"", "intel-hda", true)]
    [DataRow("4.17.0", "soundhw=\"sb16\"", "intel-hda", false)]
    public void A_device_is_there_in_whatever_case_it_is_written_and_not_before_xl_knows_its_key(
        string xen, string config, string driver, bool isThere)
    {
        Assert.IsTrue(XenVersion.TryParse(xen, out XenVersion version));
        GuestSpec guest = GuestOf($"builder=\"hvm\"\n{config}");

        Assert.AreEqual(isThere, guest.Hvm.ReadBy(version).Devices.Any(device => device.Driver == driver));
        Assert.IsTrue(PlanOf(xen, $"builder=\"hvm\"\n{config}").IsMapKnown);
    }

    [TestMethod]
    [DataRow("4.16.0", "builder=\"hvm\"\nsoundhw=\"all\"")]
    [DataRow("4.17.0", "builder=\"hvm\"\ndevice_model_args_hvm=[\"-machine\",\"q35\"]")]
    [DataRow("4.17.0", "type=\"pvh\"\npvshim=1")]
    [DataRow("4.8.0", "kernel=\"/k\"\npvh=1")]
    public void What_makes_another_machine_leaves_the_map_unknown(string xen, string config)
    {
        Plan plan = PlanOf(xen, config);

        Assert.IsFalse(plan.IsMapKnown);
        Assert.IsEmpty(plan.Entries);
        Assert.IsTrue(plan.Problems.Any(static problem => problem.Code == ProblemCodes.MapNotKnown));
    }

    [TestMethod]
    [DataRow("4.10.0", "type=\"pvh\"\npvshim=1")]
    [DataRow("4.9.0", "kernel=\"/k\"\npvh=1")]
    [DataRow("4.17.0", "kernel=\"/k\"\npvh=1\npvshim=1")]
    public void Where_xl_passes_over_the_key_the_map_is_known(string xen, string config)
    {
        Plan plan = PlanOf(xen, config);

        Assert.IsTrue(plan.IsMapKnown);
        Assert.IsNotEmpty(plan.Entries);
    }

    private static Plan PlanOf(string xen, string config)
    {
        Assert.IsTrue(XenVersion.TryParse(xen, out XenVersion version));
        return Planner.Plan(new() { Host = Host.Unknown with { Traits = new() { XenVersion = version } }, Guest = GuestOf(config) });
    }

    private static GuestSpec GuestOf(string config)
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes($"name=\"a\"\nmemory=2048\n{config}\n")), "a.cfg")
            .TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());
        return guest.Guest;
    }
}
