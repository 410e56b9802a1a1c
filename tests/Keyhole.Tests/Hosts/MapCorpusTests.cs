// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Formats.Tar;
using System.Globalization;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Text.RegularExpressions;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Migration;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Hosts;

/// <summary>Firmware maps of real machines: read entry for entry, and planned and forecast with every policy.</summary>
[TestClass]
public sealed partial class MapCorpusTests
{
    private static readonly Dictionary<string, uint> s_types = new(StringComparer.Ordinal)
    {
        ["usable"] = 1,
        ["reserved"] = 2,
        ["ACPI data"] = 3,
        ["ACPI NVS"] = 4,
        ["unusable"] = 5,
        ["System RAM"] = 1,
        ["device reserved"] = 2,
    };

    internal static IEnumerable<(string Name, byte[] Text)> Maps()
    {
        using FileStream file = File.OpenRead(Path.Combine(MapFixtures.Folder("field"), "maps.tar.gz"));
        using var tar = new TarReader(new GZipStream(file, CompressionMode.Decompress));
        while (tar.GetNextEntry() is { } entry)
        {
            if (entry.DataStream is not { } data)
                continue;
            using var text = new MemoryStream();
            data.CopyTo(text);
            yield return (entry.Name, text.ToArray());
        }
    }

    [TestMethod]
    public void Every_map_is_read_entry_for_entry_planned_and_forecast()
    {
        int count = 0;
        foreach ((string name, byte[] text) in Maps())
        {
            count++;
            HostDocument host = MapFixtures.Expect(HostMapReader.Read(new MemoryStream(text), name, HostMapOptions.Default));
            Assert.AreEqual(string.Join('\n', Expected(System.Text.Encoding.Latin1.GetString(text))), MapFixtures.Show(host.Host.Entries), name);
            var guest = new GuestSpec { MemoryKiB = 3 << 20, MaxmemKiB = 3 << 20, E820Host = true };
            foreach (IHolePolicy policy in Policies.All)
            {
                Boot boot = Boot.Of(new Scenario { Host = host.Host, Guest = guest, Policy = policy });

                Assert.IsTrue(boot.Plan.HasErrors || boot.Forecast is not null, $"{name}, {policy.Name}");
            }
        }

        Assert.AreEqual(150, count);
    }

    /// <summary>The fleet's count, which sees each host only in passing, is what the planned maps come to.</summary>
    [TestMethod]
    public void On_39_percent_of_the_machines_with_3_GiB_libxls_map_leaves_less_than_half_of_the_low_RAM()
    {
        FleetGuest fleetGuest = new("3 GiB", 3 << 20, 3 << 20, NeedsHole: true);
        var tally = new FleetTally([fleetGuest]);
        var guest = new GuestSpec { MemoryKiB = 3 << 20, MaxmemKiB = 3 << 20, E820Host = true };
        foreach ((string name, byte[] text) in Maps())
        {
            HostDocument host = MapFixtures.Expect(HostMapReader.Read(new MemoryStream(text), name, HostMapOptions.Default));
            HostDemand demand = HostDemand.Of(host.Host, name);
            tally.Add(demand);
            ulong libxl = RamBelow4GiB(host.Host, guest, Policies.All[0]);
            ulong possible = Math.Min(3UL << 30, RamOf(host.Host));
            Assert.AreEqual("libxl", Policies.All[0].Name);
            Assert.AreEqual(host.Host.RamShown != RamShown.Part && !host.Host.HasLostEntries && libxl < possible / 2, fleetGuest.LosesHalfOfLowMemory(demand), name);
        }

        FleetGuestFit fit = tally.ToFleet().Guests.Single();

        Assert.AreEqual((135, 52), (fit.KnownToHaveMemory, fit.LosesHalfOfLowMemory));
    }

    private static ulong RamOf(Host host) =>
        SortedMap.BytesIn(ByteRange.FromBounds(0, Frames.FourGiB), SortedMap.Of(host.Entries.AsSpan()).AsSpan(), static entry => entry.IsRam);

    private static ulong RamBelow4GiB(Host host, GuestSpec guest, IHolePolicy policy) =>
        (Planner.Plan(new Scenario { Host = host, Guest = guest, Policy = policy }).RamBelow4GiBKiB ?? 0) << 10;

    private static IEnumerable<string> Expected(string text)
    {
        foreach (Match match in Entry().Matches(text))
        {
            string type = match.Groups["type"].Value.Trim('(', ')', '\r', ' ');
            if (!s_types.TryGetValue(type, out uint number))
                number = uint.Parse(Number().Match(type).Value, CultureInfo.InvariantCulture);
            ulong start = ulong.Parse(match.Groups["start"].Value, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            ulong end = ulong.Parse(match.Groups["end"].Value, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)
                + (match.Groups["new"].Success ? 1UL : 0);
            yield return $"{start:x} {end:x} {number}";
        }
    }

    [GeneratedRegex(@"BIOS-e820: (?:(?<new>\[mem 0x)(?<start>\w+)-0x(?<end>\w+)\] (?<type>[^\n]+)|(?<start>\w{16}) - (?<end>\w{16}) (?<type>\([^\n]+\)))")]
    private static partial Regex Entry();

    [GeneratedRegex("[0-9]+")]
    private static partial Regex Number();
}
