// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Guests;

[TestClass]
public sealed class GuestRoundTripTests
{
    [TestMethod]
    public void A_guest_written_as_xl_cfg_reads_back_the_same() =>
        Check(GuestGenerators.Guest(GuestGenerators.Entry), guest => Assert.AreEqual(guest, Read(Text(Xl(guest))).Guest));

    [TestMethod]
    public void A_guest_written_as_libvirt_xml_reads_back_the_same() =>
        Check(GuestGenerators.Guest(GuestGenerators.PlainEntry).Select(guest => guest with { Toolstack = Toolstack.Libvirt }), guest =>
            Assert.AreEqual(guest, Read(Text(Libvirt(guest))).Guest with { Hvm = guest.Hvm }));

    [TestMethod]
    public void A_guest_goes_through_both_formats_unchanged_but_for_what_xl_forces() =>
        Check(GuestGenerators.Guest(GuestGenerators.PlainEntry), guest =>
        {
            GuestDocument written = Read(Text(Libvirt(guest)));
            GuestSpec libvirt = written.Guest;
            Assert.AreEqual(guest.UsesHostMap, libvirt.UsesHostMap);
            GuestSpec back = Read(Text(XlConfig.Write(written))).Guest;
            Assert.AreEqual(guest.UsesHostMap, back.UsesHostMap);
            bool? e820Host = guest.UsesHostMap ? true : guest.E820Host;
            Assert.AreEqual(GuestGenerators.Essence(guest) with { E820Host = e820Host }, GuestGenerators.Essence(back));
        });

    [TestMethod]
    public void Writing_libvirt_xml_again_changes_no_character() =>
        Check(GuestGenerators.Guest(GuestGenerators.PlainEntry).Select(guest => guest with { Toolstack = Toolstack.Libvirt }), guest =>
        {
            string text = Text(Libvirt(guest));
            Assert.AreEqual(text, Text(LibvirtDomain.Write(Read(text))));
        });

    [TestMethod]
    public void A_changed_guest_is_written_into_the_xml_it_came_from() =>
        Check(GuestGenerators.Guest(GuestGenerators.PlainEntry).Two(), pair =>
        {
            GuestSpec first = pair.Item1 with { Toolstack = Toolstack.Libvirt };
            GuestSpec second = pair.Item2 with { Toolstack = Toolstack.Libvirt };
            GuestDocument changed = Read(Text(Libvirt(first))) with { Guest = second };
            GuestSpec back = Read(Text(LibvirtDomain.Write(changed))).Guest;
            // Devices that stay keep their place in the file, so only their order may differ.
            Assert.AreEqual(second with { Pci = [.. second.Pci.OrderBy(entry => entry.Address)] },
                back with { Hvm = second.Hvm, Pci = [.. back.Pci.OrderBy(entry => entry.Address)] });
        });

    [TestMethod]
    public void Settings_that_are_only_carried_along_come_back_as_they_were()
    {
        const string text = """
            name = "web" ; memory = 512
            disk = [ 'phy:/dev/vg/web,xvda,w', "file:/a b.img,xvdb,r" ]
            vif = [ '' ]
            uuid = "45b60f51-88a9-47a8-a3b3-5e66d71b2283"
            on_crash = "it's \"over\" \\"
            vnuma = [ [ "pnode=0", "size=256" ], [ "pnode=1" ] ]
            extra_key.of_ours = 0x10

            """;
        GuestDocument guest = Read(text);
        GuestDocument again = Read(Text(XlConfig.Write(guest)));
        Assert.HasCount(6, guest.OtherSettings);
        CollectionAssert.AreEqual(guest.OtherSettings.ToArray(), again.OtherSettings.ToArray());
        Assert.AreEqual(new GuestSetting("vnuma", "[ [ \"pnode=0\", \"size=256\" ], [ \"pnode=1\" ] ]"), guest.OtherSettings[4]);
    }

    private static void Check<T>(Gen<T> generator, Action<T> check) => Prop.ForAll(generator.ToArbitrary(), check).QuickCheckThrowOnFailure();

    private static string Text(Parsed<GuestText> written)
    {
        Assert.IsTrue(written.TryGet(out GuestText? text, out InputError? error), error?.ToString());
        return text.Text;
    }

    private static Parsed<GuestText> Xl(GuestSpec guest) => XlConfig.Write(GuestDocument.Of(guest));

    private static Parsed<GuestText> Libvirt(GuestSpec guest) => LibvirtDomain.Write(GuestDocument.Of(guest));

    private static GuestDocument Read(string text)
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "guest")
            .TryGet(out GuestDocument? guest, out InputError? error), $"{error}\n{text}");
        return guest;
    }
}
