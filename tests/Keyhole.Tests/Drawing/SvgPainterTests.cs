// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Xml;
using System.Xml.Linq;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.Comparison;
using Keyhole.Drawing;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Tests.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Drawing;

/// <summary>What a picture promises: it is XML, shows everything, and nothing of it covers anything else.</summary>
[TestClass]
public sealed class SvgPainterTests
{
    private static readonly XNamespace s_svg = "http://www.w3.org/2000/svg";

    private static readonly Gen<E820Entry> s_entry =
        from start in Gen.Choose(0, 1 << 21)
        from size in Gen.Elements((uint[])[0, 1, 2, 16, 512, 4096, 1 << 18, 1 << 24])
        from type in Gen.Elements((E820Type[])[E820Type.Ram, E820Type.Reserved, E820Type.Acpi, E820Type.Nvs, E820Type.Unusable,
            E820Type.PersistentMemory, E820Type.Pram, (E820Type)99])
        select E820Entry.FromSize((ulong)start << 12, (ulong)size << 12, type);

    private static readonly Gen<DrawnWindow> s_window =
        from start in Gen.Choose(0, 1 << 22)
        from size in Gen.Choose(0, 1 << 12)
        from isReached in Gen.Elements((bool?[])[null, true, false])
        select new DrawnWindow((ulong)start << 12, (ulong)(start + size) << 12, "BAR 0", isReached);

    private static readonly Gen<DrawnMove> s_move =
        from start in Gen.Choose(0, 1 << 20)
        from to in Gen.Choose(1 << 20, 1 << 22)
        from size in Gen.Choose(1, 1 << 14)
        select new DrawnMove((ulong)start << 12, (ulong)to << 12, (ulong)size << 12, "some pages");

    private static readonly Gen<MapDrawing> s_drawing =
        from maps in s_entry.ListOf().ArrayOf(3)
        from columns in Gen.Choose(1, 3)
        from windows in s_window.ListOf()
        from moves in s_move.ListOf()
        select MapDrawing.LayOut(
            [.. maps.Take(columns).Select((entries, i) => new DrawnMap($"column {i}", [.. entries]))],
            SvgPainter.Rows,
            new() { Windows = [.. windows], Moves = [.. moves], SpareRows = SvgPainter.SpareRows });

    public static IEnumerable<object[]> Hosts() =>
        MapFixtures.GoldenLogs().Select(Path.GetFileNameWithoutExtension).Select(name => new object[] { name! });

    [TestMethod]
    [DynamicData(nameof(Hosts))]
    public void Every_entry_of_a_host_is_in_its_picture(string name)
    {
        HostDocument host = ReadGolden(name);

        AssertShows(Parse(Pictures.OfHost(host.Host, host.Description)), 0, host.Host.Entries);
    }

    private const string Cut = """
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009efff] (usable)
        (XEN)  [0000000000100000, 000000006fffffff] (usable)
        ...
        (XEN)  [00000000e0000000, 00000000efffffff] (reserved)
        (XEN)  [0000000100000000, 00000002ffffffff] (usable)

        """;

    [TestMethod]
    [DataRow("host", 0)]
    [DataRow("plan", 0)]
    [DataRow("plan", 1)]
    [DataRow("boot", 0)]
    [DataRow("boot", 1)]
    [DataRow("boot", 2)]
    [DataRow("comparison", 1)]
    public void Where_lines_are_lost_a_picture_shows_that_it_is_not_known_and_names_it_below(string picture, int column)
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText(Cut)).Host;
        var scenario = new Scenario { Host = host, Guest = new() { MemoryKiB = 3 << 20, MaxmemKiB = 3 << 20, E820Host = true } };
        Boot boot = Boot.Of(scenario);
        XDocument painted = Parse(picture switch
        {
            "host" => Pictures.OfHost(host, "a host"),
            "plan" => Pictures.OfPlan(boot.Plan),
            "boot" => Pictures.OfBoot(boot.Plan, boot.Forecast!),
            _ => Pictures.OfComparison("a host", PolicyComparer.Compare(new() { Scenario = scenario })),
        });

        XElement[] cells = [.. painted.Descendants(s_svg + "rect").Where(rect => rect.Attribute("data-column")?.Value == $"{column}"
            && rect.Attribute("data-type")?.Value == "not-known")];
        Assert.Contains("0x70000000", cells.Select(static cell => cell.Attribute("data-start")!.Value));
        Assert.IsTrue(painted.Descendants(s_svg + "text").Any(static text => text.Value == "not known: lines are lost"));
        Assert.Contains("not known [0x70000000, ", painted.Descendants(s_svg + "desc").Single().Value);
        Assert.IsFalse(painted.Descendants(s_svg + "rect").Any(rect => rect.Attribute("data-column")?.Value == $"{column}"
            && rect.Attribute("data-type")?.Value == "gap" && rect.Attribute("data-start")!.Value == "0x70000000"));
    }

    [TestMethod]
    public void Where_nobody_knows_the_maps_end_what_is_not_known_of_the_guest_ends_at_the_last_address()
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText("BIOS-e820: [mem 0x0000000000100000-0x00000000de19efff] usable\n")).Host;
        var scenario = new Scenario { Host = host, Guest = new() { MemoryKiB = 3 << 20, MaxmemKiB = 3 << 20, E820Host = true } };

        Assert.AreEqual(Frames.AddressLimit, Boot.Of(scenario).Plan.NotKnownRanges[^1].End);
    }

    [TestMethod]
    public void Where_lost_lines_decide_which_policy_is_best_a_picture_does_not_say_that_none_will_do()
    {
        Host host = MapFixtures.Expect(MapFixtures.ReadText("""
            BIOS-e820: [mem 0x00000000dee2f000-0x00000000df5d6fff] usable
            BIOS-e820: [mem 0x00000000df5d7000-0x00000000df7f1fff] reserved
            BIOS-e820: [mem 0x00000000f8000000-0x00000000fbffffff] reserved
            BIOS-e820: [mem 0x00000000fec00000-0x00000000fec00fff] reserved
            BIOS-e820: [mem 0x00000000ff000000-0x00000000ffffffff] reserved
            BIOS-e820: [mem 0x0000000100000000-0x000000021effffff] usable
            NX (Execute Disable) protection: active
            last_pfn = 0x21f800 max_arch_pfn = 0x400000000
            """)).Host;
        var scenario = new Scenario { Host = host, Guest = new() { MemoryKiB = 3 << 20, MaxmemKiB = 3 << 20, E820Host = true } };

        PolicyComparison comparison = PolicyComparer.Compare(new() { Scenario = scenario });
        Assert.IsTrue(comparison.IsNotKnown, comparison.Why.ToString());
        string painted = Pictures.OfComparison("a host", comparison);
        Assert.Contains("Which policy is best is not known", painted);
        Assert.DoesNotContain("No policy will do", painted);
        Boot boot = Boot.Of(scenario);
        Assert.DoesNotContain("..", Parse(Pictures.OfBoot(boot.Plan, boot.Forecast!)).Descendants(s_svg + "desc").Single().Value);
    }

    [TestMethod]
    public void A_range_without_a_known_end_has_neither_an_address_nor_a_size_there()
    {
        var drawn = new DrawnMap("host", [E820Entry.FromBounds(0, 0x8000_0000, E820Type.Ram)])
        {
            NotKnown = [ByteRange.FromBounds(0x8000_0000, Frames.AddressLimit)],
        };

        string text = string.Join('\n', TextPainter.Paint(MapDrawing.LayOut([drawn], 40)).Select(static line => string.Concat(line.Select(static run => run.Text))));

        Assert.Contains("???? not known\n", text);
        Assert.EndsWith(" …", text);
    }

    [TestMethod]
    [DynamicData(nameof(Hosts))]
    public void Every_entry_of_a_plan_and_of_a_forecast_is_in_its_picture(string name)
    {
        HostDocument host = ReadGolden(name);
        GuestSpec guest = new() { MemoryKiB = 3 << 20, MaxmemKiB = 4 << 20, E820Host = true };
        foreach (string policy in (string[])["libxl", "punch"])
        {
            Plan plan = TestPlan.Of(host.Host, guest, Policies.Find(policy)!, []);
            ImmutableArray<E820Entry> map = [.. plan.Entries.Select(planned => planned.Entry)];
            BootForecast forecast =
                Forecaster.Forecast(new() { Map = map, PageCount = guest.MemoryKiB >> 2, Layout = GuestLayout.OfXl(guest.MemoryKiB >> 2) });

            XDocument ofPlan = Parse(Pictures.OfPlan(plan));
            XDocument ofBoot = Parse(Pictures.OfBoot(plan, forecast));

            AssertShows(ofPlan, 0, plan.MachineMap);
            AssertShows(ofPlan, 1, map);
            AssertShows(ofBoot, 1, map);
            AssertShows(ofBoot, 2, forecast.KernelMap);
            AssertNothingOverlaps(ofPlan);
            AssertNothingOverlaps(ofBoot);
        }
    }

    [TestMethod]
    public void Nothing_covers_anything_else() => Prop.ForAll(s_drawing.ToArbitrary(), drawing =>
    {
        XDocument picture = Parse(SvgPainter.Paint(drawing, new("title", ["a line"])));
        AssertNothingOverlaps(picture);
        AssertWithinThePage(picture);
    }).QuickCheckThrowOnFailure();

    [TestMethod]
    public void Larger_ranges_are_never_drawn_smaller() => Prop.ForAll(s_drawing.ToArbitrary(), drawing =>
    {
        Assert.IsTrue(drawing.Bands.All(band => band.Rows >= 1));
        foreach ((DrawnBand smaller, DrawnBand larger) in drawing.Bands.SelectMany(left => drawing.Bands, (left, right) => (left, right)))
            Assert.IsFalse(smaller.End - smaller.Start < larger.End - larger.Start && smaller.Rows > larger.Rows);
    }).QuickCheckThrowOnFailure();

    [TestMethod]
    public void Each_move_has_an_arrow_and_each_window_a_frame() => Prop.ForAll(s_drawing.ToArbitrary(), drawing =>
    {
        XDocument picture = Parse(SvgPainter.Paint(drawing, new("title", [])));
        int frames = Rects(picture)
            .Count(rect => Class(rect).StartsWith("window", StringComparison.Ordinal) && rect.Element(s_svg + "title") is not null);
        Assert.AreEqual(drawing.Windows.Length, frames);
        Assert.AreEqual(drawing.Moves.Length, picture.Descendants(s_svg + "g").Count(group => Class(group) == "moved"));
    }).QuickCheckThrowOnFailure();

    [TestMethod]
    [DataRow("</title><script>alert(1)</script>")]
    [DataRow("\" onload=\"alert(1)")]
    [DataRow("]]>&lt;&amp;<!-- -->")]
    [DataRow("a\0b\u0001c\u001b[31m\u202e\ufffe\uffff\ud800")]
    public void A_hostile_name_is_text_and_nothing_else(string name)
    {
        HostDocument host = ReadGolden("seed8g") with { Description = name };
        GuestSpec guest = new() { Name = name, MemoryKiB = 3 << 20, MaxmemKiB = 3 << 20, E820Host = true };
        Plan plan = TestPlan.Of(host.Host, guest, new LibxlPolicy(), [new Bar(0, BarKind.Memory, 0xfebc0000, 0xfebe0000, false, false)]);
        plan = plan with { Scenario = plan.Scenario with { HostName = name } };
        MapDrawing drawing = MapDrawing.LayOut(
            [new(name, host.Host.Entries), new(name, host.Host.Entries)],
            SvgPainter.Rows,
            new() { Windows = [new(0xfebc0000, 0xfebe0000, name, true)], Moves = [new(0x10000000, 0x200000000, 0x1000, name)] });

        foreach (string picture in (string[])[Pictures.OfHost(host.Host, host.Description), Pictures.OfPlan(plan),
            SvgPainter.Paint(drawing, new(name, [name]))])
        {
            XDocument document = Parse(picture);
            string[] known = ["svg", "title", "desc", "style", "defs", "pattern", "rect", "path", "circle", "text", "g"];
            CollectionAssert.IsSubsetOf(document.Descendants().Select(element => element.Name.LocalName).Distinct().ToArray(), known);
            Assert.IsFalse(document.Descendants().Attributes().Any(attribute => attribute.Name.LocalName.StartsWith("on", StringComparison.Ordinal)));
        }
    }

    [TestMethod]
    public void A_picture_needs_nothing_from_elsewhere()
    {
        string picture = Pictures.OfHost(ReadGolden("seed8g").Host, "seed8g");

        Assert.DoesNotContain("http", picture.Replace(s_svg.NamespaceName, "", StringComparison.Ordinal));
        Assert.DoesNotContain("@import", picture);
        Assert.DoesNotContain("href", picture);
        Assert.DoesNotContain("var(", picture);
    }

    [TestMethod]
    public void A_picture_says_in_words_what_it_shows()
    {
        XElement root = Parse(Pictures.OfHost(ReadGolden("seed8g").Host, "seed8g")).Root!;

        Assert.AreEqual("img", root.Attribute("role")!.Value);
        Assert.AreEqual("Memory map of a host", root.Element(s_svg + "title")!.Value);
        Assert.Contains("reserved [0x20000000, 0x20200000)", root.Element(s_svg + "desc")!.Value);
    }

    [TestMethod]
    public void Kinds_of_memory_differ_without_colour()
    {
        XDocument picture = Parse(Pictures.OfHost(ReadGolden("seed8g").Host, "seed8g"));
        string[] patterns = [.. picture.Descendants(s_svg + "pattern")
            .Select(pattern => string.Concat(pattern.Elements().Skip(1).Select(mark => mark.ToString())))];

        Assert.IsTrue(patterns.All(marks => marks.Length > 0));
        Assert.HasCount(patterns.Length, patterns.Distinct());
    }

    [TestMethod]
    public void An_empty_map_is_a_picture_too() =>
        AssertWithinThePage(Parse(SvgPainter.Paint(MapDrawing.LayOut([new("nothing", [])], SvgPainter.Rows), new("", []))));

    [TestMethod]
    public void What_is_too_much_to_draw_is_counted()
    {
        DrawnDetails details = new()
        {
            Windows = [.. Enumerable.Range(0, 1000)
                .Select(i => new DrawnWindow(0x80000000 + ((ulong)i << 16), 0x80000000 + ((ulong)i << 16) + 0x1000, "BAR", null))],
            Moves = [.. Enumerable.Range(0, 1000).Select(i => new DrawnMove((ulong)i << 16, 0x100000000 + ((ulong)i << 16), 0x1000, "page"))],
        };

        MapDrawing drawing = MapDrawing.LayOut([new("host", [])], SvgPainter.Rows, details);
        string picture = SvgPainter.Paint(drawing, new("", []));

        Assert.AreEqual(1000, drawing.Windows.Length + drawing.WindowsLeftOut);
        Assert.AreEqual(1000, drawing.Moves.Length + drawing.MovesLeftOut);
        Assert.Contains($"{drawing.WindowsLeftOut} more windows", picture);
        Assert.Contains($"{drawing.MovesLeftOut} more moves", picture);
    }

    private static HostDocument ReadGolden(string name) =>
        MapFixtures.Expect(MapFixtures.ReadBytes(File.ReadAllBytes(Path.Combine(MapFixtures.Folder("golden"), name + ".log"))));

    private static XDocument Parse(string picture)
    {
        using var reader = XmlReader.Create(new MemoryStream(Encoding.UTF8.GetBytes(picture)), new() { DtdProcessing = DtdProcessing.Prohibit });
        return XDocument.Load(reader);
    }

    /// <summary>Each address of an entry lies in a cell of the entry's type, where no entry of a higher type covers it.</summary>
    private static void AssertShows(XDocument picture, int column, ImmutableArray<E820Entry> map)
    {
        (ulong Start, ulong End, string Type)[] cells =
            [.. Cells(picture).Where(cell => cell.Attribute("data-column")!.Value == column.ToString(CultureInfo.InvariantCulture))
            .Select(cell => (Hex(cell, "data-start"), Hex(cell, "data-end"), cell.Attribute("data-type")!.Value))];
        foreach (E820Entry entry in map)
        {
            if (entry.Size == 0 || entry.Wraps || map.Any(other => other.Type > entry.Type && other.Address < entry.End && entry.Address < other.End))
                continue;
            string name = E820TypeNames.NameOf(entry.Type);
            Assert.IsTrue(cells.Any(cell => cell.Type == name && cell.Start <= entry.Address && entry.End <= cell.End),
                $"{name} [{entry.Address:x}, {entry.End:x}) in column {column}");
        }
    }

    private static void AssertNothingOverlaps(XDocument picture)
    {
        XElement[] solid = [.. Rects(picture)
            .Where(rect => Class(rect) is var look
                && (look.StartsWith("cell", StringComparison.Ordinal) || look.StartsWith("swatch", StringComparison.Ordinal)))];
        XElement[] windows = [.. Rects(picture).Where(rect => Class(rect).StartsWith("window", StringComparison.Ordinal))];
        XElement[] joins = [.. Rects(picture).Where(rect => Class(rect) == "join")];
        foreach (XElement[] layer in (XElement[][])[[.. solid, .. windows], [.. solid, .. joins]])
        {
            Box[] boxes = [.. layer.Select(Box.Of).OrderBy(box => box.X).ThenBy(box => box.Y)];
            for (int i = 0; i < boxes.Length; i++)
            {
                Assert.IsTrue(boxes[i].Width > 0 && boxes[i].Height > 0, boxes[i].ToString());
                for (int k = i + 1; k < boxes.Length && boxes[k].X < boxes[i].X + boxes[i].Width; k++)
                    Assert.IsFalse(boxes[i].Overlaps(boxes[k]), $"{boxes[i]} and {boxes[k]}");
            }
        }

        // Texts of one column of writing stand a line apart.
        foreach (IGrouping<string, int> lines in picture.Descendants(s_svg + "text")
            .GroupBy(text => text.Attribute("x")!.Value, text => Number(text, "y")))
        {
            int[] sorted = [.. lines.Order()];
            for (int i = 1; i < sorted.Length; i++)
                Assert.IsGreaterThanOrEqualTo(12, sorted[i] - sorted[i - 1], $"lines at x {lines.Key}, y {sorted[i]}");
        }
    }

    private static void AssertWithinThePage(XDocument picture)
    {
        int width = Number(picture.Root!, "width");
        int height = Number(picture.Root!, "height");
        foreach (XElement text in picture.Descendants(s_svg + "text"))
            Assert.IsTrue(Number(text, "x") < width && Number(text, "y") <= height, text.ToString());
        foreach (Box box in Rects(picture).Where(rect => rect.Attribute("x") is not null).Select(Box.Of))
            Assert.IsTrue(box.X >= 0 && box.Y >= 0 && box.X + box.Width <= width && box.Y + box.Height <= height, box.ToString());
    }

    private static IEnumerable<XElement> Rects(XDocument picture) => picture.Root!.Elements(s_svg + "rect");

    private static IEnumerable<XElement> Cells(XDocument picture) => Rects(picture).Where(rect => rect.Attribute("data-column") is not null);

    private static string Class(XElement element) => element.Attribute("class")?.Value ?? "";

    private static int Number(XElement element, string name) => int.Parse(element.Attribute(name)!.Value, CultureInfo.InvariantCulture);

    private static ulong Hex(XElement element, string name) =>
        ulong.Parse(element.Attribute(name)!.Value.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private readonly record struct Box(int X, int Y, int Width, int Height)
    {
        public static Box Of(XElement rect) => new(Number(rect, "x"), Number(rect, "y"), Number(rect, "width"), Number(rect, "height"));

        public bool Overlaps(Box other) => X < other.X + other.Width && other.X < X + Width && Y < other.Y + other.Height && other.Y < Y + Height;
    }
}
