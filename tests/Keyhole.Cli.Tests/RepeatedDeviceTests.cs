// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>Guests that are given the same device of the host twice: no toolstack starts them.</summary>
[TestClass]
public sealed class RepeatedDeviceTests
{
    private const string CommandLine =
        "qemu-system-x86_64 -accel kvm -M q35 -m 2G -device vfio-pci,host=01:00.0 -device vfio-pci,host=0000:01:00.0\n";

    private const string Xml = """
        <domain type='kvm'><name>g</name><memory unit='MiB'>2048</memory><os><type arch='x86_64' machine='pc-q35-9.0'>hvm</type></os><devices>
        <hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='1' slot='0' function='0'/></source></hostdev>
        <hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='1' slot='0' function='0'/></source></hostdev>
        </devices></domain>
        """;

    private const string Proxmox = "memory: 2048\nmachine: q35\nhostpci0: 01:00.0,pcie=1\nhostpci1: 0000:01:00.0,pcie=1\n";
    private const string WholeAndFunction = "memory: 2048\nmachine: q35\nhostpci0: 01:00,pcie=1\nhostpci1: 0000:01:00.0,pcie=1\n";
    private const string Hvm = "name=\"a\"\nmemory=2048\ntype=\"hvm\"\npci=[\"01:00.0\",\"0000:01:00.0\"]\n";
    private const string Pv = "name=\"a\"\nmemory=2048\ntype=\"pv\"\npci=[\"01:00.*\",\"0000:01:00.0\"]\n";
    private const string Named = "name=\"a\"\nmemory=2048\ntype=\"pv\"\npci=[\"name=nic\",\"name=nic\"]\n";

    private const string XenXml = """
        <domain type='xen'><name>g</name><memory unit='MiB'>2048</memory><os><type>hvm</type></os><devices>
        <hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='1' slot='0' function='0'/></source></hostdev>
        <hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='1' slot='0' function='0'/></source></hostdev>
        </devices></domain>
        """;

    private static string Fixture(params string[] parts) => Path.Combine([AppContext.BaseDirectory, "fixtures", .. parts]);

    private static string Words(string output) => string.Join(' ', output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    private static CommandRun Run(string verb, string guest, params string[] options)
    {
        string path = Path.GetTempFileName();
        File.WriteAllText(path, guest);
        try
        {
            string[] host = options.Contains("--host") ? [] : ["--host", Fixture("golden", "plain4g.log")];
            return CommandRun.Of([verb, .. host, "--guest", path, "--devices", Fixture("kvm", "noindent.lspci"), .. options]);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [TestMethod]
    [DataRow(CommandLine, "vfio 0000:01:00.0: device is already attached")]
    [DataRow(Xml, "Device 0000:01:00.0 is already in use")]
    [DataRow(Proxmox, "device '0000:01:00.0' assigned more than once")]
    [DataRow(WholeAndFunction, "device '0000:01:00.0' assigned more than once")]
    [DataRow(Hvm, "PCI device 0:1:0.0 is not assignable")]
    [DataRow(Pv, "PCI device 0:1:0.0 is not assignable")]
    [DataRow(Named, "the same PCI device is given twice")]
    [DataRow(XenXml, "Device 0000:01:00.0 is already in use")]
    public void The_toolstack_refuses_the_device_the_second_time(string guest, string words)
    {
        foreach (string verb in new[] { "plan", "compare" })
        {
            CommandRun run = Run(verb, guest);

            Assert.AreEqual(1, run.Status, $"{verb}: {run.Output}{run.Errors}");
            Assert.Contains(words, Words(run.Output), verb);
            Assert.DoesNotContain("as it is: every BAR has its place", run.Output);
        }

        JsonElement answer = Run("plan", guest, "--json").Json();
        Assert.HasCount(1, answer.GetProperty("problems").EnumerateArray()
            .Where(static problem => problem.GetProperty("code").GetString() == "guest-does-not-start").ToArray());
    }

    [TestMethod]
    [DataRow("4.12.4", Hvm, "PCI device 0000:01:00.0 already assigned to a different guest?")]
    [DataRow("4.14.6", Hvm, "PCI device 0000:01:00.0 is given twice")]
    [DataRow("4.12.4", Pv, "PCI device 0000:01:00.0 is given twice")]
    public void The_words_are_those_of_the_host_s_Xen(string xen, string guest, string words)
    {
        string host = Path.GetTempFileName();
        File.WriteAllText(host, $"(XEN) Xen version {xen} (a@b) (gcc) debug=n\n" + File.ReadAllText(Fixture("golden", "plain4g.log")));
        try
        {
            Assert.Contains(words, Words(Run("plan", guest, "--host", host).Output));
        }
        finally
        {
            File.Delete(host);
        }
    }

    [TestMethod]
    [DataRow(CommandLine)]
    [DataRow(Xml)]
    [DataRow(Proxmox)]
    public void Two_functions_of_a_card_are_two_devices(string guest)
    {
        string other = guest == Xml ? guest[..guest.LastIndexOf("function='0'", StringComparison.Ordinal)] + "function='1'/></source></hostdev>"
            + "</devices></domain>" : guest.Replace("0000:01:00.0", "0000:01:00.1", StringComparison.Ordinal);

        CommandRun run = Run("plan", other);

        Assert.DoesNotContain("twice", run.Output);
        Assert.DoesNotContain("guest-does-not-start", run.Output);
    }
}
