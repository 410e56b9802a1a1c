// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Tests.Golden;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Captures;

/// <summary>Every form in which people have a guest's map.</summary>
[TestClass]
public sealed class GuestMapReaderTests
{
    [TestMethod]
    public void The_lines_of_xl_are_read_in_their_order_and_in_frames()
    {
        GoldenGuest guest = GoldenLog.Load("seed8g").Guests().First(static guest => guest.Name == "boot2048");

        GuestMap map = Read(string.Join('\n', guest.Xl));

        CollectionAssert.AreEqual(guest.LibxlMap.ToArray(), map.Entries.ToArray());
        Assert.IsEmpty(map.Remarks);
    }

    [TestMethod]
    public void Of_several_maps_that_xl_printed_the_last_is_taken_and_told()
    {
        GoldenLog log = GoldenLog.Load("seed8g");

        GuestMap map = Read(string.Join('\n', log.Lines));

        CollectionAssert.AreEqual(log.Guests()[^1].LibxlMap.ToArray(), map.Entries.ToArray());
        Assert.StartsWith($"the last of {log.Guests().Count} maps", map.Remarks.Single());
    }

    [TestMethod]
    public void A_guests_own_log_gives_the_map_that_its_kernel_printed()
    {
        GoldenGuest guest = GoldenLog.Load("seed8g").Guests().First(static guest => guest.WasBooted);

        GuestMap map = Read(string.Join('\n', guest.Kernel));

        E820Entry[] printed = [.. GoldenLog.KernelMap(guest.Kernel)];
        Assert.AreEqual(E820Entry.FromBounds(0xa_0000, 0x10_0000, E820Type.Reserved), printed[1]);
        E820Entry[] given = [E820Entry.FromBounds(0, printed[2].End, E820Type.Ram), .. printed[3..]];
        CollectionAssert.AreEqual(given, map.Entries.ToArray());
        Assert.Contains("as a kernel has changed it", map.Remarks.Single());
    }

    [TestMethod]
    [DataRow("0x00000000000a0000-0x00000000000fffff] usable", "0x0000000000100000-0x0000000010ffffff] usable")]
    [DataRow("0x00000000000a0000-0x00000000000fffff] reserved", "0x0000000000200000-0x0000000010ffffff] usable")]
    [DataRow("0x0000000000090000-0x00000000000fffff] reserved", "0x0000000000100000-0x0000000010ffffff] usable")]
    public void What_a_kernel_of_a_guest_does_not_reserve_itself_stays_as_it_was_printed(string second, string third)
    {
        GuestMap map = Read($"Xen: [mem 0x0000000000000000-0x000000000008ffff] usable\nXen: [mem {second}\nXen: [mem {third}\n");

        Assert.HasCount(3, map.Entries);
        Assert.DoesNotContain("reserves itself", map.Remarks.Single());
    }

    [TestMethod]
    [DataRow("0 8000000 ram\n8000000 9000000 reserved # the hole\n9000000 11000000 1\n")]
    [DataRow("""{"policy":"punch","e820":[{"start":"0x0","end":"0x8000000","type":"ram","why":"x"},{"start":"0x8000000","end":"0x9000000","type":"reserved"},{"start":"0x9000000","end":"0x11000000","type":"ram"}]}""")]
    [DataRow("""{"entries":[{"start":"0x0","end":"0x8000000","type":"ram"},{"start":"0x8000000","end":"0x9000000","type":"reserved"},{"start":"0x9000000","end":"0x11000000","type":"ram"}]}""")]
    [DataRow("[0 -> 8000] RAM\n[8000 -&gt; 9000] Reserved\r\n[9000 -> 11000] RAM\n")]
    [DataRow("[    0.000000] Xen: [mem 0x0000000000000000-0x0000000007ffffff] usable\n[    0.000000] Xen: [mem "
        + "0x0000000008000000-0x0000000008ffffff] reserved\n[    0.000000] Xen: [mem 0x0000000009000000-0x0000000010ffffff] usable\n")]
    [DataRow("BIOS-e820: [mem 0x0000000000000000-0x0000000007ffffff] usable\nBIOS-e820: [mem 0x0000000008000000-0x0000000008ffffff] "
        + "reserved\nBIOS-e820: [mem 0x0000000009000000-0x0000000010ffffff] usable\n")]
    public void All_forms_of_one_map_are_one_map(string text)
    {
        CollectionAssert.AreEqual(
            new[] { E820Entry.FromBounds(0, 0x800_0000, E820Type.Ram), E820Entry.FromBounds(0x800_0000, 0x900_0000, E820Type.Reserved),
                E820Entry.FromBounds(0x900_0000, 0x1100_0000, E820Type.Ram) },
            Read(text).Entries.ToArray());
    }

    [TestMethod]
    [DataRow("0 1000 ram\n2000 1000 ram\n", "map:2: the entry [0x2000, 0x1000) ends before it starts")]
    [DataRow("0 1000 ram\n1000 2000 rum\n", "map:2: expected START END TYPE")]
    [DataRow("[0 -> 8000] RAM\n[9000 -> 8000] Reserved\n", "map:2: the entry [0x9000000, 0x8000000) ends before it starts")]
    [DataRow("[0 -> 8000] RAM\n[9000 -> ffffffffffffffff] Reserved\n", "map:2: ")]
    [DataRow("{\n\"e820\":[\n{\"start\":\"0x0\",\"end\":\"0x1000\",\"type\":\"rum\"}]}", "map:3: unknown type \"rum\"")]
    [DataRow("{\"policy\":\"x\"}", "map:1: there is neither \"e820\" nor \"entries\" in the JSON")]
    [DataRow("", "map: ")]
    [DataRow("a guest\n", "map: no memory map found in 1 line;")]
    public void What_is_no_map_is_told_in_one_line(string text, string message)
    {
        Assert.IsFalse(GuestMapReader.Read(new MemoryStream(Encoding.Latin1.GetBytes(text)), "map").TryGet(out _, out InputError? error));
        Assert.StartsWith(message, error.ToString());
        Assert.DoesNotContain('\n', error.ToString());
    }

    private static GuestMap Read(string text)
    {
        Assert.IsTrue(GuestMapReader.Read(new MemoryStream(Encoding.Latin1.GetBytes(text)), "map").TryGet(out GuestMap? map, out InputError? error),
            error?.ToString());
        return map;
    }
}
