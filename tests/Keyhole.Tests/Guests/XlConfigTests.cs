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
public sealed class XlConfigTests
{
    [TestMethod]
    public void The_example_of_a_paravirtual_guest_reads()
    {
        GuestDocument document = ReadDocument("""
            # Guest name
            name = "example.pvlinux"
            #uuid = "XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX"
            kernel = "/boot/vmlinuz"
            extra = "root=/dev/xvda1"
            memory = 128
            #maxmem = 512
            vcpus = 2
            vif = [ '' ]
            disk = [ '/dev/vg/guest-volume,raw,xvda,rw' ]

            """);
        Assert.AreEqual(
            new GuestSpec
            {
                Name = "example.pvlinux",
                MemoryKiB = 128 * 1024,
                MaxmemKiB = 128 * 1024,
                Vcpus = 2,
                Kernel = "/boot/vmlinuz",
                CommandLine = "root=/dev/xvda1",
                Hvm = HvmSettings.Usual with { Devices = document.Guest.Hvm.Devices },
            },
            document.Guest);
        CollectionAssert.AreEqual(
            new GuestSetting[] { new("vif", "[ \"\" ]"), new("disk", "[ \"/dev/vg/guest-volume,raw,xvda,rw\" ]") }, document.OtherSettings.ToArray());
    }

    [TestMethod]
    [DataRow("type=\"pv\"", GuestType.Pv)]
    [DataRow("type='pvh'", GuestType.Pvh)]
    [DataRow("type='hvm'", GuestType.Hvm)]
    [DataRow("builder='hvm'", GuestType.Hvm)]
    [DataRow("builder='generic'", GuestType.Pv)]
    [DataRow("type='hvm';builder='hvm'", GuestType.Hvm)]
    [DataRow("type=['hvm']", GuestType.Pv)]
    [DataRow("type='p'", GuestType.Pv)]
    [DataRow("type=''", GuestType.Hvm)]
    [DataRow("", GuestType.Pv)]
    public void The_type_is_found_as_xl_finds_it(string line, GuestType type) => Assert.AreEqual(type, Read($"{line}\nname='g'\nmemory=64\n").Type);

    [TestMethod]
    [DataRow("cmdline='a b'", "a b")]
    [DataRow("root='/dev/xvda1'", "root=/dev/xvda1")]
    [DataRow("extra='quiet'", "quiet")]
    [DataRow("root='/dev/xvda1'\nextra='quiet'", "root=/dev/xvda1 quiet")]
    [DataRow("extra='quiet'\nextra+=' ro'", "quiet ro")]
    [DataRow("cmdline='a'\nroot='b'\nextra='c'", "a")]
    [DataRow("", null)]
    public void The_command_line_is_put_together_as_xl_does(string lines, string? expected) =>
        Assert.AreEqual(expected, Read($"{lines}\nname='g'\nmemory=64\n").CommandLine);

    [TestMethod]
    [DataRow("", null)]
    [DataRow("e820_host=0", false)]
    [DataRow("e820_host=1", true)]
    [DataRow("e820_host=-0", null, DisplayName = "not even a number token")]
    [DataRow("e820_host='-1'", true)]
    [DataRow("e820_host='yes'", null)]
    [DataRow("e820_host=[1]", null)]
    [DataRow("e820_host=1\ne820_host=0", false)]
    [DataRow("e820_host+=1", null)]
    public void E820_host_is_a_number_that_is_not_zero(string line, bool? expected)
    {
        if (line.Contains("-0", StringComparison.Ordinal))
            Assert.IsNotNull(Error(line));
        else
            Assert.AreEqual(expected, Read($"{line}\nname='g'\nmemory=64\n").E820Host);
    }

    [TestMethod]
    public void An_unset_maxmem_is_memory_and_an_unset_memory_is_maxmem()
    {
        Assert.AreEqual(512ul * 1024, Read("memory=512").MaxmemKiB);
        Assert.AreEqual(512ul * 1024, Read("maxmem=512").MemoryKiB);
        GuestSpec silent = Read("vcpus=1");
        Assert.AreEqual(32ul * 1024, silent.MemoryKiB);
        Assert.AreEqual(32ul * 1024, silent.MaxmemKiB);
    }

    [TestMethod]
    public void A_maxmem_below_memory_is_read_for_the_planner_to_judge()
    {
        GuestSpec guest = Read("memory=512\nmaxmem=256");
        Assert.AreEqual(512ul * 1024, guest.MemoryKiB);
        Assert.AreEqual(256ul * 1024, guest.MaxmemKiB);
    }

    [TestMethod]
    [DataRow("memory=0", "memory is 0")]
    [DataRow("memory=\"-5\"", "memory is -5")]
    [DataRow("memory=4294967297", "52 address bits")]
    [DataRow("memory=99999999999999999999999", "52 address bits")]
    [DataRow("memory=\"1G\"", "\"1G\" is not a number")]
    [DataRow("memory=[512]", "memory is a list")]
    [DataRow("memory=1\nmemory+=2", "+=")]
    [DataRow("maxmem=0", "maxmem is 0")]
    [DataRow("memory=1024M", "a capital letter, \"M\"")]
    [DataRow("memory=-5", "minus sign")]
    [DataRow("vcpus=8193", "8193")]
    [DataRow("type=\"kvm\"", "type \"kvm\" is unknown")]
    [DataRow("type=\"pv\"\nbuilder=\"hvm\"", "contradicts")]
    [DataRow("pci=['03:00']", "\"03:00\" is not a valid PCI address")]
    [DataRow("pci=['03:00.0,permisive=1']", "unknown PCI option \"permisive\"")]
    [DataRow("pci=['03:00.0@20']", "virtual slot \"20\"")]
    [DataRow("pci=['permissive=1']", "names no device")]
    [DataRow("pci=['03:00.0,name=nic']", "both")]
    [DataRow("a=1 b=2", "\"b\" after the value of \"a\"")]
    [DataRow("a", "not followed by =")]
    [DataRow("a=", "\"a\" has no value")]
    [DataRow("a=[1 2]", "\"2\" in a list where a comma or ] should be")]
    [DataRow("a=[1,,2]", "\",\" in a list")]
    [DataRow("a=pv", "\"pv\" is a word without quotes")]
    [DataRow("a='x\\q'", "the escape \"\\q\"")]
    [DataRow("a=1\na+=[2]", "mixes a list with a text")]
    [DataRow("import os", "not followed by =")]
    [DataRow("a=(1)", "\"(1)\" is not valid syntax")]
    [DataRow("a=1\rb=2\r", "a carriage return without a line feed")]
    [DataRow("a=\u201cx\u201d", "\"\u201cx\u201d\" stands in curly quotes")]
    [DataRow("{\"a\":1}", "JSON, in which no guest's configuration is")]
    [DataRow("a=\"x\0y\"", "NUL")]
    public void What_is_wrong_is_said_with_its_line(string lines, string expected)
    {
        InputError error = Error($"# a guest\n\n{lines}\n");
        StringAssert.Contains(error.What, expected);
        Assert.AreEqual(3 + lines.Count(c => c == '\n'), error.Line);
        Assert.IsFalse(error.ToString().Contains('\n', StringComparison.Ordinal));
    }

    [TestMethod]
    public void An_endless_quote_is_reported_where_it_starts() => Assert.AreEqual(2, Error("memory=64\nname=\"g\nvcpus=1\n").Line);

    [TestMethod]
    public void An_endless_list_is_reported_where_it_starts() => Assert.AreEqual(2, Error("memory=64\ndisk=[ 'a',\n'b'\n").Line);

    [TestMethod]
    public void A_pci_entry_in_a_list_over_several_lines_is_reported_at_its_own_line() =>
        Assert.AreEqual(4, Error("memory=64\npci=[\n'03:00.0',\n'x:y',\n]\n").Line);

    [TestMethod]
    public void Global_pci_settings_are_defaults_of_the_entries()
    {
        GuestSpec guest =
            Read("name='g'\nmemory=64\npci_permissive=1\npci_seize=0\npci_msitranslate=1\npci_power_mgmt=2\npci=['03:00.0','0000:04:00.1,permissive=0,seize=1,msitranslate=0,power_mgmt=0']\n");
        Assert.AreEqual(new PciAssignment(Address("03:00.0")) { Permissive = true, Seize = false, MsiTranslate = true, PowerManagement = true },
            guest.Pci[0]);
        Assert.AreEqual(new PciAssignment(Address("04:00.1")) { Permissive = false, Seize = true, MsiTranslate = false, PowerManagement = false },
            guest.Pci[1]);
    }

    [TestMethod]
    public void A_pci_that_is_no_list_hands_nothing_through_and_says_so()
    {
        GuestDocument document = ReadDocument("name='g'\nmemory=64\npci='03:00.0'\n");
        Assert.IsTrue(document.Guest.Pci.IsEmpty);
        StringAssert.Contains(document.Remarks.Single(), "pci is not a list");
    }

    [TestMethod]
    public void A_flag_that_is_no_number_is_pointed_out()
    {
        GuestDocument document = ReadDocument("name='g'\nmemory=64\npci=['03:00.0,permissive=yes']\n");
        Assert.IsFalse(document.Guest.Pci[0].Permissive);
        StringAssert.Contains(document.Remarks.Single(), "permissive=\"yes\"");
    }

    [TestMethod]
    [DataRow("max_mem", "maxmem")]
    [DataRow("e820host", "e820_host")]
    [DataRow("memroy", "memory")]
    [DataRow("vcpu", "vcpus")]
    [DataRow("pci_premissive", "pci_permissive")]
    [DataRow("pcidev", null)]
    [DataRow("zzz", null)]
    public void An_unknown_key_is_named_with_the_one_it_resembles(string key, string? meant)
    {
        GuestDocument document = ReadDocument($"name='g'\nmemory=64\n{key}=1\n");
        string remark = document.Remarks.Single();
        StringAssert.Contains(remark, $"line 3: xl has no key \"{key}\"");
        Assert.AreEqual(meant is not null, remark.Contains($"did you mean {meant}?", StringComparison.Ordinal), remark);
        Assert.AreEqual(new GuestSetting(key, "1"), document.OtherSettings.Single());
    }

    [TestMethod]
    public void The_known_keys_are_sorted_and_not_their_own_neighbours()
    {
        CollectionAssert.AreEqual(XlKeys.Known.Order(StringComparer.Ordinal).Distinct().ToArray(), XlKeys.Known.ToArray());
        Assert.IsTrue(XlKeys.IsKnown("e820_host"));
        Assert.IsFalse(XlKeys.IsKnown("e820host"));
    }

    [TestMethod]
    public void Line_ends_of_other_systems_and_encodings_are_read_with_a_remark()
    {
        const string text = "name=\"gé\"\r\nmemory=64\r\n";
        foreach (Encoding encoding in (Encoding[])[Encoding.Unicode, Encoding.BigEndianUnicode, Encoding.UTF8])
        {
            Assert.IsTrue(GuestReader.Read(new MemoryStream([.. encoding.GetPreamble(), .. encoding.GetBytes(text)]), "g")
                .TryGet(out GuestDocument? document, out _), encoding.WebName);
            Assert.AreEqual("gé", document.Guest.Name);
            Assert.HasCount(2, document.Remarks);
        }
    }

    [TestMethod]
    public void Text_that_is_not_utf8_is_an_error_only_where_it_matters()
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream([.. "# caf"u8, 0xe9, .. "\nmemory=64\nname='g'\n"u8]), "g").TryGet(out _, out _));
        Assert.IsFalse(GuestReader.Read(new MemoryStream([.. "memory=64\nname='caf"u8, 0xe9, .. "'\n"u8]), "g").TryGet(out _, out InputError? error));
        Assert.AreEqual("g:2: a quoted text has bytes that are not UTF-8; save the file as UTF-8", error?.ToString());
    }

    [TestMethod]
    public void What_xl_cfg_cannot_say_is_an_error_and_not_a_wrong_file()
    {
        var guest = new GuestSpec { Name = "g", MemoryKiB = 1024, MaxmemKiB = 1024 };
        var document = GuestDocument.Of(guest);
        Assert.IsNull(XlConfig.Write(document).Error);
        GuestDocument[] unsayable =
        [
            document with { Guest = guest with { Name = "a\0b" } },
            document with { Guest = guest with { Kernel = "\ud800" } },
            document with { Guest = guest with { MemoryKiB = 1025 } },
            document with { Guest = guest with { MaxmemKiB = 2047 } },
            document with { Guest = guest with { Pci = [new PciAssignment((PciAddress?)null) { Name = "a,permissive=1" }] } },
            document with { OtherSettings = [new("disk", "1\nmemory=9")] },
            document with { OtherSettings = [new("memory", "9")] },
            document with { OtherSettings = [new("disk", "[")] },
            document with { OtherSettings = [new("disk=1;x", "1")] },
        ];
        foreach (GuestDocument wrong in unsayable)
            Assert.IsNotNull(XlConfig.Write(wrong).Error, wrong.ToString());
    }

    [TestMethod]
    public void A_guest_without_a_name_is_written_with_one()
    {
        GuestText text =
            XlConfig.Write(GuestDocument.Of(new() { MemoryKiB = 1024, MaxmemKiB = 2048,
                Pci = [new PciAssignment(Address("03:00.0")) { Seize = true }] })).Value!;
        Assert.AreEqual("name=\"guest\"\ntype=\"pv\"\nmemory=1\nmaxmem=2\nvcpus=1\npci=[ \"0000:03:00.0,seize=1\" ]\n", text.Text);
        Assert.HasCount(1, text.Remarks);
    }

    private static PciAddress Address(string text)
    {
        Assert.IsTrue(PciAddress.TryParse(text, out PciAddress address));
        return address;
    }

    private static GuestDocument ReadDocument(string text)
    {
        Assert.IsTrue(XlConfig.Read(new StringReader(text), "guest.cfg").TryGet(out XlConfig? config, out InputError? error), error?.ToString());
        Assert.IsTrue(config.ToGuest().TryGet(out GuestDocument? guest, out error), error?.ToString());
        return guest;
    }

    private static GuestSpec Read(string text) => ReadDocument(text).Guest;

    private static InputError Error(string text)
    {
        Parsed<GuestDocument> parsed = GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "guest.cfg");
        Assert.IsNotNull(parsed.Error, "was read");
        return parsed.Error;
    }
}
