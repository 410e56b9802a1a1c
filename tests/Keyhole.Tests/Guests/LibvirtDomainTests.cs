// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Pci;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Guests;

[TestClass]
public sealed class LibvirtDomainTests
{
    private const string Full = """
        <?xml version='1.0' encoding='UTF-8'?>
        <!-- written by hand -->
        <domain type='xen' id='7'>
          <name>net &amp; vpn</name>
          <uuid>45b60f51-88a9-47a8-a3b3-5e66d71b2283</uuid>
          <memory unit='GiB'>2</memory>
          <currentMemory unit='KiB'>1048576</currentMemory>
          <vcpu placement='static' current='2'>4</vcpu>
          <os>
            <type arch='x86_64' machine='xenpv'>linux</type>
            <kernel>/boot/vmlinuz</kernel>
            <initrd>/boot/initrd.img</initrd>
            <cmdline>root=/dev/xvda1  console=hvc0</cmdline>
          </os>
          <features>
            <acpi/>
            <xen>
              <e820_host state='on'/>
              <passthrough state='on' mode='sync_pt'/>
            </xen>
          </features>
          <clock offset='utc' adjustment='reset'/>
          <devices>
            <disk type='file' device='disk'>
              <source file='/a b.qcow2'/>
              <target dev='xvda' bus='xen'/>
            </disk>
            <hostdev mode='subsystem' type='pci' managed='yes'>
              <driver name='xen'/>
              <source writeFiltering='no'>
                <address domain='0x0000' bus='0x03' slot='0x1a' function='0x1'/>
              </source>
              <boot order='1'/>
            </hostdev>
            <hostdev mode='subsystem' type='usb'>
              <source><vendor id='0x1234'/><product id='0xbeef'/></source>
            </hostdev>
            <interface type='hostdev' managed='no'>
              <mac address='52:54:00:6d:90:02'/>
              <source>
                <address type='pci' domain='0' bus='10' slot='07' function='0'/>
              </source>
            </interface>
            <interface type='bridge'><source bridge='xenbr0'/></interface>
          </devices>
        </domain>
        """;

    [TestMethod]
    public void A_full_domain_reads()
    {
        GuestDocument document = ReadDocument(Full);
        GuestSpec guest = document.Guest;
        Assert.AreEqual("net & vpn", guest.Name);
        Assert.AreEqual(GuestType.Pv, guest.Type);
        Assert.AreEqual(1024ul * 1024, guest.MemoryKiB);
        Assert.AreEqual(2048ul * 1024, guest.MaxmemKiB);
        Assert.AreEqual(2, guest.Vcpus);
        Assert.AreEqual("/boot/vmlinuz", guest.Kernel);
        Assert.AreEqual("/boot/initrd.img", guest.Ramdisk);
        Assert.AreEqual("root=/dev/xvda1  console=hvc0", guest.CommandLine);
        Assert.IsTrue(guest.E820Host);
        Assert.IsTrue(guest.UsesHostMap);
        Assert.IsEmpty(document.Remarks);
        CollectionAssert.AreEqual(
            new[] { new PciAssignment(Address("03:1a.1")) { Seize = true, Permissive = true },
                new PciAssignment(Address("0a:07.0")) { Seize = false } },
            guest.Pci.ToArray());
    }

    [TestMethod]
    public void Writing_it_again_changes_nothing_but_the_prologue()
    {
        string text = LibvirtDomain.Write(ReadDocument(Full)).Value!.Text;
        // Without the declaration and the comment before the root; attributes come out in double quotes.
        string expected = Full[Full.IndexOf("<domain", StringComparison.Ordinal)..].Replace("><", ">\n<", StringComparison.Ordinal);
        Assert.AreEqual(
            expected.Replace('\'', '"').Replace(" />", "/>", StringComparison.Ordinal) + "\n",
            text.Replace("><", ">\n<", StringComparison.Ordinal).Replace(" />", "/>", StringComparison.Ordinal));
    }

    [TestMethod]
    public void A_change_touches_only_what_it_is_about()
    {
        GuestDocument document = ReadDocument(Full);
        GuestSpec guest = document.Guest;
        string before = LibvirtDomain.Write(document).Value!.Text;
        string after =
            LibvirtDomain.Write(document with { Guest = guest with { MemoryKiB = 512 * 1024, E820Host = false, Pci = [guest.Pci[1]] } }).Value!.Text;
        string[] lost = [.. before.Split('\n').Except(after.Split('\n'), StringComparer.Ordinal).Select(line => line.Trim())];
        CollectionAssert.AreEqual(
            new[]
            {
                "<currentMemory unit=\"KiB\">1048576</currentMemory>",
                "<e820_host state=\"on\" />",
                "<hostdev mode=\"subsystem\" type=\"pci\" managed=\"yes\">",
                "<driver name=\"xen\" />",
                "<source writeFiltering=\"no\">",
                "<address domain=\"0x0000\" bus=\"0x03\" slot=\"0x1a\" function=\"0x1\" />",
                "<boot order=\"1\" />",
            },
            lost);
        StringAssert.Contains(after, "<passthrough state=\"on\" mode=\"sync_pt\" />");
    }

    [TestMethod]
    [DataRow("KiB", "1048576", 1024)]
    [DataRow("", "1048576", 1024)]
    [DataRow("k", "1048576", 1024)]
    [DataRow("b", "1073741824", 1024)]
    [DataRow("bytes", "1073741825", 1025)]
    [DataRow("BYTE", "1", 1)]
    [DataRow("KB", "1048576", 1000)]
    [DataRow("MB", "1000", 954)]
    [DataRow("M", "1000", 1000)]
    [DataRow("mib", "1000", 1000)]
    [DataRow("GB", "1", 954)]
    [DataRow("G", "1", 1024)]
    [DataRow("GiB", "3", 3072)]
    [DataRow("TB", "1", 953675)]
    [DataRow("T", "1", 1048576)]
    [DataRow("TiB", "1", 1048576)]
    [DataRow("PiB", "4", 4294967296)]
    [DataRow("PB", "1", 953674317)]
    public void Memory_is_read_in_each_of_libvirts_units_and_rounded_up_to_mebibytes(string unit, string number, long expectedMiB)
    {
        GuestSpec guest = Read(Domain($"<memory{(unit.Length == 0 ? "" : $" unit='{unit}'")}> {number}\n</memory>"));
        Assert.AreEqual((ulong)expectedMiB * 1024, guest.MaxmemKiB);
        Assert.AreEqual(guest.MaxmemKiB, guest.MemoryKiB);
    }

    [TestMethod]
    [DataRow("<memory>0</memory>", "<memory> is 0")]
    [DataRow("", "no <memory>")]
    [DataRow("<memory unit='EiB'>1</memory>", "52 address bits")]
    [DataRow("<memory unit='PiB'>5</memory>", "52 address bits")]
    [DataRow("<memory>99999999999999999999999999999999999999999999</memory>", "52 address bits")]
    [DataRow("<memory>99999999999999999999</memory>", "52 address bits")]
    [DataRow("<memory unit='XiB'>1</memory>", "\"XiB\"")]
    [DataRow("<memory unit='KiBs'>1</memory>", "\"KiBs\"")]
    [DataRow("<memory>-1</memory>", "\"-1\" is not a number")]
    [DataRow("<memory>1.5</memory>", "\"1.5\" is not a number")]
    [DataRow("<memory/>", "\"\" is not a number")]
    [DataRow("<memory>1</memory><vcpu>0</vcpu>", "<vcpu> \"0\"")]
    [DataRow("<memory>1</memory><features><xen><e820_host state='yes'/></xen></features>", "\"yes\"")]
    [DataRow("<memory>1</memory><features><xen><e820_host/></xen></features>", "no state")]
    [DataRow("<memory>1</memory><devices><hostdev mode='subsystem' type='pci'><source/></hostdev></devices>", "<source><address>")]
    [DataRow("<memory>1</memory><devices><hostdev type='pci'><source><address bus='256' slot='0'/></source></hostdev></devices>",
        "<source><address>")]
    [DataRow("<memory>1</memory><devices><hostdev type='pci'><source><address bus='0' slot='0x20'/></source></hostdev></devices>",
        "<source><address>")]
    public void What_is_wrong_is_said_with_its_line(string body, string expected)
    {
        InputError error = Error(Domain(body));
        StringAssert.Contains(error.What, expected);
        Assert.IsTrue(error.Line is 1 or 2, $"line {error.Line}");
    }

    [TestMethod]
    [DataRow("<domain type='lxc'/>", "\"lxc\"")]
    [DataRow("<domain/>", "a domain without a type")]
    [DataRow("<network/>", "<network>")]
    [DataRow("<domain type='xen'><memory>1</memory></domain>", "no <os><type>")]
    [DataRow("<domain type='xen'><os><type>exe</type></os><memory>1</memory></domain>", "\"exe\"")]
    [DataRow("<domain type='xen'", "no well-formed XML")]
    [DataRow("<domain type='xen'></doman>", "no well-formed XML")]
    [DataRow("<domain type='xen'>&undeclared;</domain>", "no well-formed XML")]
    [DataRow("<domain type='xen'>\u0001</domain>", "no well-formed XML")]
    [DataRow("<domain type='xen'>\0</domain>", "no well-formed XML")]
    [DataRow("<?xml version='1.0' encoding='klingon'?><domain/>", "no well-formed XML")]
    [DataRow("<!DOCTYPE domain [<!ENTITY a 'b'>]><domain type='xen'>&a;</domain>", "DTD")]
    [DataRow("<!DOCTYPE domain SYSTEM 'file:///etc/passwd'><domain/>", "DTD")]
    public void A_document_that_is_no_domain_of_xen_is_refused(string text, string expected)
    {
        InputError error = Error(text);
        StringAssert.Contains(error.What, expected);
        Assert.AreEqual(1, error.Line);
        Assert.IsFalse(error.ToString().Contains('\n', StringComparison.Ordinal));
    }

    [TestMethod]
    public void A_device_does_not_turn_e820_host_on_as_under_xl()
    {
        GuestDocument document = ReadDocument(Full.Replace("<e820_host state='on'/>", "", StringComparison.Ordinal));
        GuestSpec guest = document.Guest;
        Assert.IsFalse(guest.UsesHostMap);
        StringAssert.Contains(document.Remarks.Single(), "e820_host");
        Assert.IsTrue((guest with { Toolstack = Toolstack.Xl }).UsesHostMap);
    }

    [TestMethod]
    [DataRow("<os><type machine='xenpv'>linux</type></os>", GuestType.Pv)]
    [DataRow("<os><type>xen</type></os>", GuestType.Pv)]
    [DataRow("<bootloader>/usr/bin/pygrub</bootloader>", GuestType.Pv)]
    [DataRow("<os><type machine='xenpvh'>xenpvh</type></os>", GuestType.Pvh)]
    [DataRow("<os><type machine='xenpvh'>hvm</type></os>", GuestType.Pvh)]
    [DataRow("<os><type arch='x86_64' machine='xenfv'>hvm</type></os>", GuestType.Hvm)]
    public void The_type_is_found_and_kept(string os, GuestType type)
    {
        string text = $"<domain type='xen'><name>g</name><memory>1024</memory>{os}</domain>";
        GuestDocument document = ReadDocument(text);
        Assert.AreEqual(type, document.Guest.Type);
        string written = LibvirtDomain.Write(document).Value!.Text;
        Assert.AreEqual(type, Read(written).Type);
    }

    [TestMethod]
    public void More_current_memory_than_memory_is_cut_as_libvirt_cuts_it()
    {
        GuestDocument document = ReadDocument(Domain("<memory unit='MiB'>512</memory><currentMemory unit='MiB'>1024</currentMemory>"));
        Assert.AreEqual(512ul * 1024, document.Guest.MemoryKiB);
        StringAssert.Contains(document.Remarks.Single(), "currentMemory");
        Assert.AreEqual(512ul * 1024, Read(Domain("<memory unit='MiB'>512</memory><currentMemory>0</currentMemory>")).MemoryKiB);
    }

    [TestMethod]
    public void What_libvirt_cannot_say_is_an_error_or_a_remark()
    {
        var guest = new GuestSpec { Name = "g", MemoryKiB = 1024, MaxmemKiB = 1024 };
        var document = new GuestDocument { Guest = guest, OtherSettings = [new("vif", "[ ]"), new("disk", "[ ]")] };
        Assert.AreEqual("left out, as they are xl's: disk, vif", LibvirtDomain.Write(document).Value!.Remarks.Single());
        Assert.IsNotNull(LibvirtDomain.Write(document with { Guest = guest with { Name = "a\u0001" } }).Error);
        Assert.IsNotNull(LibvirtDomain.Write(document with { Guest = guest with { Kernel = "\udc00" } }).Error);
        Assert.IsNotNull(LibvirtDomain
            .Write(document with { Guest = guest with { Pci = [new PciAssignment((PciAddress?)null) { Name = "nic" }] } }).Error);
        StringAssert.Contains(LibvirtDomain
            .Write(document with { Guest = guest with { Pci = [new PciAssignment(Address("03:00.0")) { AllFunctions = true }] } }).Error!.What,
            "0000:03:00.*");
    }

    [TestMethod]
    public void A_new_domain_is_written_as_libvirt_writes_it()
    {
        var guest = new GuestSpec { Name = "g", MemoryKiB = 1024, MaxmemKiB = 2048, Vcpus = 2, Kernel = "/k", E820Host = true,
            Pci = [new PciAssignment(Address("03:00.1")) { Seize = true }] };
        Assert.AreEqual(
            """
            <domain type="xen">
              <name>g</name>
              <memory unit="KiB">2048</memory>
              <currentMemory unit="KiB">1024</currentMemory>
              <vcpu>2</vcpu>
              <os>
                <type arch="x86_64" machine="xenpv">linux</type>
                <kernel>/k</kernel>
              </os>
              <features>
                <xen>
                  <e820_host state="on" />
                </xen>
              </features>
              <devices>
                <hostdev mode="subsystem" type="pci" managed="yes">
                  <source>
                    <address domain="0x0000" bus="0x03" slot="0x00" function="0x1" />
                  </source>
                </hostdev>
              </devices>
            </domain>

            """,
            LibvirtDomain.Write(GuestDocument.Of(guest)).Value!.Text);
    }

    [TestMethod]
    public void Writing_it_as_xl_cfg_names_what_is_left_out()
    {
        GuestText text = XlConfig.Write(ReadDocument(Full)).Value!;
        Assert.AreEqual("left out, as they are libvirt's: clock, devices/disk, devices/hostdev, devices/interface, uuid", text.Remarks.Single());
        StringAssert.Contains(text.Text, "pci=[ \"0000:03:1a.1,permissive=1,seize=1\", \"0000:0a:07.0,seize=0\" ]");
    }

    [TestMethod]
    public void Utf16_and_latin1_are_read_by_their_declaration()
    {
        const string text = "<?xml version='1.0' encoding='{0}'?><domain type='xen'><name>gé</name><memory>1024</memory><bootloader/></domain>";
        foreach (Encoding encoding in (Encoding[])[Encoding.Unicode, Encoding.BigEndianUnicode, Encoding.UTF8, Encoding.Latin1])
        {
            byte[] bytes = [.. encoding.GetPreamble(),
                .. encoding.GetBytes(text.Replace("{0}", encoding.WebName.Replace("utf-16BE", "utf-16", StringComparison.Ordinal),
                    StringComparison.Ordinal))];
            Assert.IsTrue(GuestReader.Read(new MemoryStream(bytes), "g").TryGet(out GuestDocument? document, out InputError? error),
                error?.ToString());
            Assert.AreEqual("gé", document.Guest.Name, encoding.WebName);
        }
    }

    private static string Domain(string body) => $"<domain type='xen'><name>g</name><os><type>linux</type></os>\n{body}</domain>";

    private static PciAddress Address(string text)
    {
        Assert.IsTrue(PciAddress.TryParse(text, out PciAddress address));
        return address;
    }

    private static GuestDocument ReadDocument(string text)
    {
        Assert.IsTrue(LibvirtDomain.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "guest.xml")
            .TryGet(out GuestDocument? guest, out InputError? error), $"{error}\n{text}");
        return guest;
    }

    private static GuestSpec Read(string text) => ReadDocument(text).Guest;

    private static InputError Error(string text)
    {
        Parsed<GuestDocument> parsed = GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "guest.xml");
        Assert.IsNotNull(parsed.Error, "was read");
        return parsed.Error;
    }
}
