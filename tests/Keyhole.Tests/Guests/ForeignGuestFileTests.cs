// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Guests;

/// <summary>What is given for a guest and is none gets one line that says what it is, and nothing of a format that it is not.</summary>
[TestClass]
public sealed class ForeignGuestFileTests
{
    private const string Formats = "give an xl.cfg, a libvirt domain XML, a command line of QEMU or a Proxmox conf";

    private static InputError Refused(byte[] bytes)
    {
        Assert.IsFalse(GuestReader.Read(new MemoryStream(bytes), "guest").TryGet(out _, out InputError? error));
        return error!;
    }

    private static InputError Refused(string text) => Refused(Encoding.UTF8.GetBytes(text));

    private static string Line(InputError error) => error.ToString();

    [TestMethod]
    [DataRow("7f454c46020101", "the file is an ELF file: a program, a library or a dump of memory")]
    [DataRow("1f8b0800", "the file is compressed (gzip): unpack it first")]
    [DataRow("fd377a585a00", "the file is compressed (xz): unpack it first")]
    [DataRow("425a683931415926", "the file is compressed (bzip2): unpack it first")]
    [DataRow("504b0304", "the file is a ZIP archive: unpack it first")]
    [DataRow("514649fb00000003", "the file is a disk image (qcow2)")]
    [DataRow("89504e470d0a1a0a", "the file is a picture (PNG)")]
    [DataRow("255044462d312e34", "the file is a PDF document")]
    [DataRow("01020304f0f1f2f3f4f5f60841424344", "the file is no text")]
    public void A_file_that_is_no_text_is_told_for_what_it_is(string hex, string what) =>
        Assert.AreEqual($"guest: {what}; {Formats}", Line(Refused([.. Convert.FromHexString(hex), .. new byte[8]])));

    [TestMethod]
    [DataRow("virt-install --name g --memory 4096", "virt-install", "virsh dumpxml")]
    [DataRow("# cloud-hypervisor \\\n  --memory size=8G \\\n  --device path=/sys/bus/pci/devices/0000:08:00.0", "Cloud Hypervisor", "guests of Xen")]
    [DataRow("crosvm run -m 4096 vmlinux", "crosvm", "guests of Xen")]
    [DataRow("$ sudo bhyve -c 4 -m 8G vm", "bhyve", "guests of Xen")]
    [DataRow("VBoxManage modifyvm \"g\" --memory 4096", "VirtualBox", "guests of Xen")]
    [DataRow("qm set 101 -hostpci0 01:00,pcie=1\nqm set 101 --machine q35", "qm (set)", "qm config 101 prints, or qm showcmd 101")]
    [DataRow("root@pve:~# qm create 104 --memory 2048", "qm (create)", "qm config 104")]
    [DataRow("lxc config device add v gpu gpu", "LXD", "-readconfig")]
    [DataRow("sudo incus launch images:debian/12 v --vm", "Incus", "-readconfig")]
    [DataRow("virsh define g.xml", "virsh", "virsh dumpxml")]
    public void A_command_of_another_program_is_told_for_what_it_is_with_what_is_read_instead(string text, string program, string instead)
    {
        string line = Line(Refused(text + "\n"));
        Assert.StartsWith("guest:1: a command of ", line);
        Assert.Contains(program, line);
        Assert.Contains(instead, line);
    }

    [TestMethod]
    [DataRow("# made by virt-install --name g\nname=\"g\"\nmemory=512\n")]
    [DataRow("virt-install --name g\nqemu-system-x86_64 -m 512M -device pci-testdev\n")]
    [DataRow("root@pve:~# qm config 101\nmachine: q35\nmemory: 512\nmeta: creation-qemu=9.0\n")]
    [DataRow("$ qm showcmd 101 --pretty\n/usr/bin/kvm \\\n  -m 512 \\\n  -device pci-testdev\n")]
    [DataRow("# lxc is not used\nname=\"g\"\nmemory=512\n")]
    [DataRow("bhyve=1\nname=\"g\"\nmemory=512\n")]
    public void A_guest_beside_another_program_s_name_is_read(string text)
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "guest").TryGet(out GuestDocument? guest, out InputError? error),
            error?.ToString());
        Assert.AreEqual(512UL << 10, guest.Guest.MemoryKiB);
    }

    [TestMethod]
    [DataRow("Hello, my guest does not boot. I have two GPUs.\nWhat can I do?\n", "guest: no guest's configuration in it: there are sentences")]
    [DataRow("Hi all,\n\nI am running Proxmox 8.4 on an i9-14900K.\n", "guest: no guest's configuration in it: there are sentences")]
    [DataRow("my guest's BARs are not placed = why?\n", "guest: no guest's configuration in it: there are sentences")]
    [DataRow("My config:\nname=\"g\"\nmemory=512\n", "guest:1: a sentence, and no setting of xl.cfg's")]
    [DataRow("name=\"g\"\nmemory=512\nand it does not start\n", "guest:3: a sentence, and no setting of xl.cfg's")]
    [DataRow("https://paste.example.com/123\n", "guest:1: a web address; give what it leads to")]
    [DataRow("name g\nmemory 512\n", "guest:1: \"name\" is not followed by =")]
    [DataRow("Name = \"g\"\n", "guest:1: a capital letter")]
    public void Sentences_are_not_blamed_on_xl_cfg_s_syntax(string text, string start) => Assert.StartsWith(start, Line(Refused(text)));

    [TestMethod]
    public void A_program_that_has_QEMU_s_name_in_it_is_no_command_line()
    {
        byte[] program = [0x7f, .. Encoding.ASCII.GetBytes("ELF\n\nqemu-system-x86_64 -m 4G -device pci-testdev\n")];
        Assert.Contains("an ELF file", Line(Refused(program)));
    }

    [TestMethod]
    public void Bytes_of_chance_are_no_text()
    {
        var random = new Random(11);
        for (int i = 0; i < 50; i++)
        {
            byte[] bytes = new byte[64 + (i * 50)];
            random.NextBytes(bytes);
            if (bytes[0] != '<')
                Assert.Contains("the file is no text", Line(Refused(bytes)));
        }
    }

    [TestMethod]
    [DataRow("architecture: x86_64\nconfig:\n  limits.memory: 8GiB\ndevices:\n  gpu:\n    type: gpu\nprofiles:\n- default\n")]
    [DataRow("name: vm\ntype: virtual-machine\nconfig:\n  image.os: Ubuntu\ndevices: {}\n")]
    public void LXD_s_own_configuration_is_told_with_what_to_give_instead(string text) =>
        Assert.AreEqual("guest:1: the configuration of an instance of LXD or Incus, from which they make QEMU's; give the file that its QEMU reads: "
            + "ps shows it behind -readconfig while the instance runs", Line(Refused(text)));

    [TestMethod]
    [DataRow("apiVersion: kubevirt.io/v1\nkind: VirtualMachine\nspec:\n  running: true\n", "a YAML document, which no guest's configuration is")]
    [DataRow("name: x\nversion: 2\n", "settings of the form KEY: VALUE, none of which is Proxmox VE's")]
    [DataRow("{\"name\":\"x\"}", "JSON, in which no guest's configuration is (nor in what 'xl list -l' prints)")]
    [DataRow("#!/bin/bash\necho hi\n", "a script in which no command of QEMU is")]
    [DataRow("01:00.0 VGA compatible controller: Test\n\tRegion 0: Memory at c0000000 (32-bit, prefetchable) [size=512M]\n",
        "a listing of lspci, which tells devices and no guest")]
    [DataRow("[    0.000000] Linux version 6.1.0\n", "a log, and none of a guest's start")]
    [DataRow("(XEN) Xen version 4.17.7\n", "a log, and none of a guest's start")]
    public void Another_text_is_told_for_what_it_is(string text, string what) =>
        Assert.AreEqual($"guest:1: {what}; {Formats}", Line(Refused(text)));

    [TestMethod]
    [DataRow("# a guest\nmemory: 4096\nname: g\ndescription: a\n[snap]\nmemory: 1\n")]
    [DataRow("hostpci3: 0000:01:00.0\n")]
    [DataRow("name = \"caf\u00e9\"\nmemory = 64\n")]
    [DataRow("#!/usr/bin/env xl\nname = \"g\"\nmemory = 64\n")]
    public void What_is_a_guest_s_stays_one(string text) =>
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "guest").TryGet(out _, out InputError? error),
            error?.ToString());

    [TestMethod]
    public void A_few_bytes_of_an_old_encoding_are_left_to_the_format_s_own_reader()
    {
        InputError error = Refused([.. Encoding.Latin1.GetBytes("name = \"caf\u00e9 \u00fcb\u00e9r all\u00e8s\"\nmemory 64\n")]);
        Assert.DoesNotContain("no text", Line(error));
    }

    [TestMethod]
    [DataRow("kvm", "add <os><type arch='x86_64' machine='q35'>hvm</type></os>, or with machine='pc'")]
    [DataRow("qemu", "add <os><type arch='x86_64' machine='q35'>hvm</type></os>, or with machine='pc'")]
    [DataRow("xen", "add <os><type machine='xenpv'>linux</type></os>, or xenpvh or hvm")]
    public void A_domain_without_a_type_of_system_gets_its_own_hypervisor_s_remedy(string type, string remedy) =>
        Assert.AreEqual($"guest:1: no <os><type>; {remedy}", Line(Refused($"<domain type='{type}'/>")));

    [TestMethod]
    public void A_system_that_QEMU_does_not_run_is_said_to_be_that() =>
        Assert.AreEqual("guest:1: <os><type> \"linux2\" is not one that QEMU runs; write hvm",
            Line(Refused("<domain type='kvm'><os><type>linux2</type></os></domain>")));
}
