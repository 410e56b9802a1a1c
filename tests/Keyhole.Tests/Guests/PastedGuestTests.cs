// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Guests;

/// <summary>Guests' configurations as people paste them: amid sentences, behind a prompt, in a forum's marks.</summary>
[TestClass]
public sealed class PastedGuestTests
{
    private const string Conf = "name: fw\nbios: ovmf\nmachine: q35\nmemory: 4096\n\nhostpci0: 0000:07:00.0,pcie=1\n";

    private const string Xml = "<domain type='kvm'>\n  <name>gaming</name>\n  <memory unit='GiB'>4</memory>\n  <os><type arch='x86_64' "
        + "machine='pc-q35-9.1'>hvm</type></os>\n  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator></devices>\n</domain>";

    private static Parsed<GuestDocument> Read(string text) => GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "guest");

    [TestMethod]
    [DataRow("The VM config (/etc/pve/qemu-server/101.conf):\n\n", "")]
    [DataRow("My config:\n[CODE]\n", "[/CODE]\nThanks\n")]
    [DataRow("root@pve:~# qm config 101\n", "root@pve:~# \n")]
    [DataRow("```\n", "```\nand it does not start.\n")]
    public void A_conf_of_Proxmox_amid_sentences_is_read(string before, string after)
    {
        Assert.IsTrue(Read(before + Conf + after).TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());

        Assert.AreEqual(("fw", 4UL << 20, 1), (guest.Guest.Name, guest.Guest.MemoryKiB, guest.Guest.Pci.Length));
    }

    [TestMethod]
    public void A_line_amid_the_conf_that_is_no_setting_stays_an_error_with_its_line()
    {
        Assert.IsFalse(Read("Hi all,\nbios: ovmf\nmachine: q35\nMemory 4096\nhostpci0: 0000:07:00.0\nmemory: 2048\n")
            .TryGet(out _, out InputError? error));

        Assert.AreEqual(4, error!.Line);
    }

    [TestMethod]
    public void Sentences_with_a_few_colons_are_no_conf()
    {
        Assert.IsFalse(Read("Hi all,\nnote: it does not start\nmemory: how much?\n").TryGet(out _, out _));
    }

    [TestMethod]
    [DataRow("Hi all\n\n", "\nThanks\n")]
    [DataRow("```xml\n", "\n```\n")]
    [DataRow("# virsh dumpxml gaming\n", "")]
    [DataRow("", "\n[/CODE] what is wrong?\n")]
    public void A_domain_of_libvirt_amid_sentences_is_read(string before, string after)
    {
        Assert.IsTrue(Read(before + Xml + after).TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());

        Assert.AreEqual(("gaming", 4UL << 20), (guest.Guest.Name, guest.Guest.MemoryKiB));
    }

    [TestMethod]
    [DataRow("Hi all\n\n", "\nThanks\n", 1)]
    [DataRow("\n```xml\n", "\n```\n", 2)]
    [DataRow("", "\n\n[/CODE] what is wrong?\n", 8)]
    [DataRow("", " what is wrong?\n", 6)]
    public void The_first_line_of_what_stands_around_a_guest_is_told_and_nothing_is_done_to_it(string before, string after, int line)
    {
        Assert.IsTrue(Read(before + Xml + after).TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());

        Assert.AreEqual(line, guest.LineAround);
        Assert.AreEqual($"text around the guest's configuration is passed over (line {line})", guest.Remarks[0]);
        Assert.AreEqual($"g.xml:{line}: there is other text around the guest's configuration; give a file with the configuration alone",
            guest.WhyNotActedOn("g.xml")?.ToString());
    }

    [TestMethod]
    [DataRow(Xml)]
    [DataRow("<?xml version='1.0'?>\n<!-- made by virsh -->\n" + Xml + "\n\n")]
    [DataRow(Conf)]
    [DataRow("# a note\n" + Conf + "\n[snapshot]\nmemory: 2048\n")]
    [DataRow("name=\"g\"\nmemory=512\n")]
    public void Around_a_file_s_own_guest_there_is_nothing(string text)
    {
        Assert.IsTrue(Read(text).TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());

        Assert.IsNull(guest.LineAround);
        Assert.IsNull(guest.WhyNotActedOn("g"));
    }

    [TestMethod]
    public void What_is_wrong_in_a_domain_amid_sentences_has_its_line()
    {
        string wrong = Xml.Replace("'GiB'>4", "'GiB'>four", System.StringComparison.Ordinal);
        Assert.IsFalse(Read("Hi all\n\n" + wrong).TryGet(out _, out InputError? error));

        Assert.AreEqual(5, error!.Line);
    }
}
