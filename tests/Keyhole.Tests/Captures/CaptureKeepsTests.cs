// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Captures;

/// <summary>A capture keeps every member of a host, whatever members there will be.</summary>
[TestClass]
public sealed class CaptureKeepsTests
{
    /// <summary>Members that no source has: a verification puts them in.</summary>
    private static readonly string[] s_ofNoSource = ["Host.SeenInLostRanges"];

    private static readonly PciAddress s_device = PciAddress.TryParse("0000:03:00.1", out PciAddress parsed) ? parsed : default;

    private static readonly PfnRange s_pages = PfnRange.FromBounds(new Pfn(0x100), new Pfn(0x200));

    private static readonly PciDevice s_function = new(s_device, "Ethernet controller",
        [new(0, BarKind.Memory, 0xfebc0000, 0xfebe0000, true, true), new(6, BarKind.Rom, 0xfeb80000, 0xfebc0000, false, false)])
    {
        VendorId = 0x8086,
        DeviceId = 0x10d3,
        ClassCode = 0x02_0000,
        Driver = "pciback",
        IommuGroup = 7,
        Msix = new(3, 0x2000, 64),
        Requests = [Request(1, 0x1000, BarType.Memory64Prefetchable)],
        Unplaced = [new(2, BarKind.VirtualFunction, 0x4000, true, true, "unset")],
        Resizable = [new(1, 0x100000, [0x100000, 0x200000], true)],
        Sriov = new(16, 2),
    };

    /// <summary>A host of which every member is told, and none is what it is where nothing is.</summary>
    private static readonly Host s_full = new()
    {
        Entries = [E820Entry.FromBounds(0, 0xa0000, E820Type.Ram), E820Entry.FromBounds(0x200000, 0x300000, E820Type.Reserved)],
        RamShown = RamShown.Part,
        LostRanges = [ByteRange.FromBounds(0xa0000, 0x100000)],
        RamCounted = 0x10000000,
        IsMachineMap = true,
        MachineEntries = [E820Entry.FromBounds(0, 0xa0000, E820Type.Ram)],
        ReservedRegions = [new(0xfee00000, 0xfef00000, "msi")],
        LoggedDevices = [s_function with { Description = "", Driver = "vfio-pci" }],
        Devices = [s_function],
        Traits = new()
        {
            IoApics = [0xfec00000],
            Iommus = [0xfed90000],
            CpuVendor = "GenuineIntel",
            CpuFamily = 6,
            PhysicalAddressBits = 46,
            AcpiAddressBits = 39,
            IsEfi = true,
            IommuAddressBits = 48,
            XenVersion = new XenVersion(4, 17) { Patch = 3 },
            LinuxRelease = "6.12.9",
            KernelOptions = ["memmap=1G$4G", "memmap=exactmap", "mem=0x20000000", "nokaslr", "iomem=relaxed", "hugepages=0:4,1:4"],
            Firmware = new("SeaBIOS", "1.16.2", "04/01/2014"),
            HasGiBPages = true,
            Iommu = HostIommu.AmdVi,
            UsesIommu = false,
            LinuxUsesIommu = true,
            IommuNotShown = true,
            IommuFailure = "AMD-Vi: Error initialization",
            LinuxIommuFailure = "DMAR: Parse DMAR table failure",
            RootWindows = [new(0, 0x80, ByteRange.FromBounds(0x80000000, 0xe0000000))],
            ProtectedHpet = 0xfed00000,
            ReservedDeviceMemory = [s_pages],
            DeviceMemoryOwners = [new(s_pages, s_device) { LastDevice = PciAddress.Create(0xff, 0, 0) }],
            DeviceMemoryNotTold = [s_device],
            OtherDenied = [s_pages],
            ReservedInDom0 = [s_pages],
            Complaints = new()
            {
                Ineligible = [s_device],
                RelaxesDeviceMemory = false,
                Sharing = [new(s_device, 0xdb7d7000)],
                Taken = [new(s_device, 1, ByteRange.FromBounds(0xd0000000, 0xe0000000))],
                Framebuffers = [0xd0000000],
                ConsoleWindows = [(s_device, 1)],
                ConsoleRanges = [(s_device, ByteRange.FromBounds(0xd0000000, 0xe0000000))],
                MapFailures = [new(0x380010000000, 0x2000000, 22)],
                Reallocates = true,
                HugePages = [new(1UL << 30, 14, 16)],
                ExceededLock = 65536,
            },
        },
    };

    public static IEnumerable<object[]> Sources() =>
        ((string[])["golden", "hosts", "field/xen", "field/mails", "reserve", "hvm", "linux612", "kvm", "qemu"])
            .SelectMany(static folder => Directory.GetFiles(MapFixtures.Folder(folder), "*", SearchOption.AllDirectories))
            .Where(static path => new FileInfo(path).Length < 2_000_000)
            .Order(StringComparer.Ordinal)
            .Select(static path => new object[] { Path.GetRelativePath(MapFixtures.Folder("."), path) });

    [TestMethod]
    [DataRow(typeof(Host))]
    [DataRow(typeof(HostTraits))]
    [DataRow(typeof(HostComplaints))]
    [DataRow(typeof(PciDevice))]
    public void The_full_host_tells_every_member(Type type)
    {
        object full = type == typeof(Host) ? s_full : type == typeof(HostTraits) ? s_full.Traits
            : type == typeof(HostComplaints) ? s_full.Traits.Complaints : s_full.Devices[0];
        object empty = type == typeof(Host) ? Host.Unknown : type == typeof(HostTraits) ? HostTraits.Unknown
            : type == typeof(HostComplaints) ? HostComplaints.None : new PciDevice(default, "", []);

        foreach (PropertyInfo member in Members(type))
            Assert.AreNotEqual(Text(member.GetValue(empty)), Text(member.GetValue(full)), $"{type.Name}.{member.Name} is not told here: tell it");
    }

    [TestMethod]
    public void Every_member_of_a_host_comes_back_from_its_capture() => Assert.AreEqual(Text(s_full), Text(Through(s_full)));

    [TestMethod]
    public void Of_a_host_without_names_every_member_comes_back_from_its_capture()
    {
        Host host = Anonymiser.Of(new() { Host = s_full, Dialect = HostMapDialect.Lines, Description = "" }).Document.Host;

        Assert.AreEqual(Text(s_full with { Devices = [s_function with { Description = "" }] }), Text(Through(host)));
    }

    [TestMethod]
    [DynamicData(nameof(Sources))]
    public void Every_member_of_what_a_source_tells_comes_back_from_its_capture(string name)
    {
        if (!MapFixtures.ReadBytes(File.ReadAllBytes(MapFixtures.Folder(name))).TryGet(out HostDocument? read, out _))
            return;

        Assert.AreEqual(Text(read.Host), Text(Through(read.Host)));
        Assert.AreEqual(Signs(read.Host), Signs(Anonymiser.Of(read).Document.Host));
    }

    /// <summary>Whatever a log says: a capture that is written is one that is read, and says the same.</summary>
    [TestMethod]
    public void Of_a_damaged_log_the_capture_is_read_and_says_the_same()
    {
        const int rounds = 6;
        string[] names =
            [.. Sources().Select(static row => (string)row[0]).Where(static name => Path.GetExtension(name) is ".log" or ".txt" or ".eml")];
        var random = new Random(20261129);
        foreach (string name in names)
        {
            string[] lines = File.ReadAllLines(MapFixtures.Folder(name), System.Text.Encoding.Latin1);
            for (int round = 0; round < rounds; round++)
            {
                string log = Damaged(lines, random);
                if (MapFixtures.ReadText(log).TryGet(out HostDocument? read, out _))
                    Assert.AreEqual(Text(read.Host), Text(Through(read.Host)), $"{name}, round {round}\n{log}");
            }
        }
    }

    [TestMethod]
    public void A_map_of_as_many_entries_as_there_can_be_with_lines_lost_between_all_comes_back()
    {
        IEnumerable<string> entries = Enumerable.Range(1, Host.MaxEntries).Select(static i =>
            $"(XEN)  [{i * 0x2000:x16}, {i * 0x2000 + 0xfff:x16}] (usable)");
        Host host = MapFixtures.Expect(MapFixtures.ReadText(string.Join('\n', entries))).Host;

        Assert.HasCount(Host.MaxEntries + 1, host.LostRanges);
        Assert.AreEqual(Text(host), Text(Through(host)));
    }

    private static string Damaged(string[] lines, Random random)
    {
        const string digits = "0123456789abcdef";
        var kept = new List<string>();
        foreach (string line in lines)
        {
            if (random.Next(60) == 0)
                continue;
            kept.Add(random.Next(12) != 0 ? line : new([.. line.Select(sign => char.IsAsciiHexDigitLower(sign) && random.Next(8) == 0
                ? digits[random.Next(digits.Length)] : sign)]));
            if (random.Next(200) == 0)
                kept.Add(lines[random.Next(lines.Length)]);
            if (random.Next(400) == 0)
                kept.Add("[...]");
        }

        return string.Join('\n', kept);
    }

    [TestMethod]
    [DataRow("""{"ineligible":7}""", "\"ineligible\" is not an array")]
    [DataRow("""{"ineligible":["nonsense"]}""", "\"nonsense\" is not a valid PCI address")]
    [DataRow("""{"relaxesDeviceMemory":"yes"}""", "\"relaxesDeviceMemory\" is not true or false")]
    [DataRow("""{"sharing":[{"device":"00:14.0"}]}""", "a member of \"sharing\" lacks something")]
    [DataRow("""{"sharing":[{"device":"00:14.0","start":"0x10000000000000"}]}""", "\"start\" is above 2^52")]
    [DataRow("""{"taken":[{"device":"00:14.0","index":1,"start":"0x2000","end":"0x1000"}]}""", "a member of \"taken\" lacks something")]
    [DataRow("""{"taken":[{"device":"00:14.0","index":7,"start":"0x1000","end":"0x2000"}]}""", "\"index\" is out of range")]
    [DataRow("""{"taken":[{"device":"00:14.0","index":1,"start":"0x1000","end":"0xffffffffffffffff"}]}""", "\"end\" is above 2^52")]
    [DataRow("""{"framebuffers":["0x10000000000000"]}""", "\"framebuffers\" is above 2^52")]
    [DataRow("""{"consoleWindows":[{"index":1}]}""", "a member of \"consoleWindows\" lacks something")]
    [DataRow("""{"hugePages":[{"page":"0x1000","count":1}]}""", "\"page\" is no size of huge pages")]
    [DataRow("""{"hugePages":[{"page":"0x200000","count":-1}]}""", "\"count\" is out of range")]
    [DataRow("""{"hugePages":[{"page":"0x200000","count":1e300}]}""", "\"count\" is out of range")]
    [DataRow("""{"exceededLock":"0x10000000000000000"}""", "\"exceededLock\" is \"0x10000000000000000\", not a hex string")]
    [DataRow("""[]""", "\"complaints\" is not an object")]
    public void Complaints_of_another_form_are_refused_in_one_line(string complaints, string why)
    {
        InputError error = MapFixtures.ExpectError(MapFixtures.ReadText(
            $$$"""{"entries":[{"start":"0x0","end":"0x1000","type":"ram"}],"traits":{"complaints":{{{complaints}}}}}"""));

        Assert.Contains(why, error.ToString());
        Assert.AreEqual(1, error.Line);
    }

    /// <summary>None of them on the command line is not a command line that is not known.</summary>
    [TestMethod]
    [DataRow(null)]
    [DataRow("")]
    [DataRow("nokaslr mem=4G")]
    public void Options_that_are_not_there_are_not_options_that_are_not_known(string? options)
    {
        Host host = s_full with { Traits = s_full.Traits with { KernelOptions = options is null ? null : KernelOptions.Of(options) } };

        Assert.AreEqual(options, Through(host).Traits.KernelOptions is { } read ? string.Join(' ', read) : null);
    }

    [TestMethod]
    [DataRow("""["mem=4G root=/dev/sda1","quiet","-- nokaslr","kaslr"]""", "mem=4G")]
    [DataRow("""["memmap=1G$4G,2G$8G"]""", "memmap=1G$4G memmap=2G$8G")]
    public void Of_the_options_in_a_capture_those_are_read_that_are_written(string options, string read) =>
        Assert.AreEqual(read, string.Join(' ', MapFixtures.Expect(MapFixtures.ReadText(WithOptions(options))).Host.Traits.KernelOptions!.Value));

    [TestMethod]
    [DataRow("""{"mem":"4G"}""", "\"kernelOptions\" is not an array")]
    [DataRow("[4]", "\"kernelOptions\" is not a string")]
    public void Options_of_another_form_are_refused_in_one_line(string options, string why) =>
        Assert.Contains(why, MapFixtures.ExpectError(MapFixtures.ReadText(WithOptions(options))).ToString());

    [TestMethod]
    public void More_options_than_a_command_line_has_room_for_are_refused()
    {
        string many = string.Join(',', Enumerable.Repeat("\"mem=4G\"", KernelOptions.MaxCount + 1));

        Assert.AreEqual(InputErrorCode.TooLarge, MapFixtures.ExpectError(MapFixtures.ReadText(WithOptions($"[{many}]"))).Code);
    }

    private static string WithOptions(string options) =>
        $$$"""{"entries":[{"start":"0x0","end":"0x1000","type":"ram"}],"traits":{"kernelOptions":{{{options}}}}}""";

    [TestMethod]
    [DataRow("ineligible", "\"00:14.0\"", 257)]
    [DataRow("sharing", "{\"device\":\"00:14.0\",\"start\":\"0x1000\"}", 257)]
    [DataRow("loggedDevices", "{\"address\":\"00:14.0\"}", 4097)]
    public void Lists_without_an_end_are_refused(string list, string member, int count)
    {
        string members = string.Join(',', Enumerable.Repeat(member, count));
        string host = list == "loggedDevices" ? $"\"{list}\":[{members}]" : $$$"""
            "traits":{"complaints":{"{{{list}}}":[{{{members}}}]}}
            """;

        InputError error = MapFixtures.ExpectError(MapFixtures.ReadText($$"""{"entries":[{"start":"0x0","end":"0x1000","type":"ram"}],{{host}}}"""));

        Assert.AreEqual(InputErrorCode.TooLarge, error.Code);
    }

    private static Host Through(Host host)
    {
        using var written = new MemoryStream();
        Assert.IsNull(HostMapWriter.Write(new() { Host = host, Dialect = HostMapDialect.Lines, Description = "" }, HostMapDialect.Json, written));
        return MapFixtures.Expect(MapFixtures.ReadBytes(written.ToArray())).Host;
    }

    private static BarRequest Request(int index, ulong size, BarType type)
    {
        Assert.IsTrue(BarRequest.TryCreate(index, size, type, out BarRequest request));
        return request;
    }

    /// <summary>What is set of a value: reckoned members follow from it.</summary>
    private static IEnumerable<PropertyInfo> Members(Type type) =>
        type.GetProperties(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
            .Where(member => member.Name != "EqualityContract" && member.GetIndexParameters().Length == 0
                && (member.SetMethod is not null || member.DeclaringType!.GetField($"<{member.Name}>k__BackingField",
                    BindingFlags.Instance | BindingFlags.NonPublic) is not null)
                && !s_ofNoSource.Contains($"{type.Name}.{member.Name}"));

    /// <summary>Everything of a value, to its ends.</summary>
    private static string Text(object? value) => value switch
    {
        null => "null",
        string text => $"'{text}'",
        IEnumerable list => $"[{string.Join(", ", list.Cast<object?>().Select(Text))}]",
        PciAddress or Enum => value.ToString()!,
        IFormattable plain when value.GetType().IsPrimitive => plain.ToString(null, System.Globalization.CultureInfo.InvariantCulture),
        bool flag => flag.ToString(),
        System.Runtime.CompilerServices.ITuple tuple => $"({string.Join(", ", Enumerable.Range(0, tuple.Length).Select(i => Text(tuple[i])))})",
        _ when Members(value.GetType()).ToArray() is { Length: > 0 } members =>
            $"{value.GetType().Name} {{ {string.Join(", ", members.Select(member => $"{member.Name} = {Text(member.GetValue(value))}"))} }}",
        _ => value.ToString()!,
    };

    private static string Signs(Host host) =>
        string.Join(", ", host.LoggedDevices.SelectMany(static device => device.Unplaced).Select(static window => window.Sign));
}
