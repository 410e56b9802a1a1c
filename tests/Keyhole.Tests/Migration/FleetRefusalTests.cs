// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json.Nodes;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Migration;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Migration;

/// <summary>A guest that the toolstack does not create on a host does not fit it, whatever hole it has: a fleet says so where a plan does.</summary>
[TestClass]
public sealed class FleetRefusalTests
{
    private const string Map = """
        (XEN) Xen-e820 RAM map:
        (XEN)  0000000000000000 - 0000000000099c00 (usable)
        (XEN)  0000000000100000 - 00000000c0000000 (usable)
        (XEN)  00000000c0000000 - 00000000d0000000 (reserved)
        (XEN)  0000000100000000 - 0000000880000000 (usable)

        """;

    private const string NoIommu = "(XEN) I/O virtualisation disabled\n";

    private const string Owners = """
        (XEN) [VT-D]found ACPI_DMAR_RMRR:
        (XEN) [VT-D] endpoint: 0000:08:00.0
        (XEN) [VT-D] endpoint: 0000:08:00.1
        (XEN) [VT-D]dmar.c:608:   RMRR region: base_addr c0000000 end_address c0001fff

        """;

    private static readonly string[] s_hosts =
    [
        Map, "(XEN) Xen version 4.12.1\n" + Map + NoIommu, "(XEN) Xen version 4.13.0\n" + Map + NoIommu, Map + NoIommu, Map + Owners,
        Map + Owners + "(XEN) CPU Vendor: AMD, Family 23 (0x17), Model 8 (0x8), Stepping 2\n",
        Map + "(XEN) [VT-D] It's disallowed to assign 0000:08:00.0 with shared RMRR at c1000000 for d1.\n",
        "(XEN) Xen version 4.5.1\n" + Map, "(XEN) Xen version 4.12.1\n" + Map, "(XEN) Xen version 4.14.0\n" + Map, "(XEN) Xen version 4.15.0\n" + Map,
    ];

    private static readonly string[] s_guests =
    [
        "type=\"pv\"\nmemory=1024\n", "type=\"pv\"\nmemory=1024\ne820_host=1\n", "type=\"pv\"\nmemory=1024\npci=[\"08:00.0\"]\n",
        "type=\"pv\"\nmemory=1024\npci=[\"08:00.0,rdm_policy=relaxed\"]\n", "type=\"pv\"\nmemory=1024\npci=[\"09:00.0\"]\n",
        "type=\"pvh\"\nmemory=1024\n", "type=\"pvh\"\nmemory=1024\npci=[\"08:00.0\"]\n",
        "type=\"pv\"\nmemory=1024\npassthrough=\"disabled\"\npci=[\"09:00.0\"]\n", "type=\"pv\"\nmemory=1024\nvnuma=[[\"pnode=0\"]]\n",
        "type=\"pvh\"\nmemory=1024\nhap=0\nnestedhvm=1\n",
    ];

    [TestMethod]
    public void A_fleet_refuses_a_guest_where_a_plan_does_from_a_log_and_from_its_capture()
    {
        int refusals = 0;
        foreach (string log in s_hosts)
        {
            HostDocument host = MapFixtures.Expect(MapFixtures.ReadText(log));
            foreach (string guest in s_guests)
            {
                GuestSpec spec = Guest(guest);
                Plan plan = Planner.Plan(new() { Host = host.Host, HostName = "host", Guest = spec });
                bool isRefused = plan.Verdict?.Outcome == GuestOutcome.Refused;
                refusals += isRefused ? 1 : 0;

                foreach (Fleet fleet in (Fleet[])[OfHost(host, FleetGuest.Of(spec, "g")), OfLine(host, FleetGuest.Of(spec, "g"))])
                {
                    FleetGuestFit fit = fleet.Guests.Single();
                    string why = fit.Refused?.Groups.Single().Why ?? "";
                    Assert.AreEqual(isRefused, fit.Refused is not null, $"{guest} on {log}");
                    Assert.AreEqual(isRefused, !fit.FitsAll, $"{guest} on {log}");
                    Assert.AreEqual(isRefused ? "host" : "", string.Join(' ', fit.Offenders.Select(static host => host.Name)));
                    Assert.AreEqual(isRefused ? plan.Problems.First(static problem => problem.Severity == Severity.Error).Message : "", why);
                    Assert.AreEqual(isRefused, fit.Guest.Judge(fleet.Hosts!.Value[0], fleet.HoleStart!.Value) == FleetVerdict.Refused);
                }
            }
        }

        // 4.13 and later, or untold: two PV guests, a third, and the PVH one; 4.10 to 4.12 the PVH one alone. Shared memory: one PV guest.
        // Settings that do not go together: passthrough= from 4.13 on, vnuma= from 4.6 on, nestedhvm= without HAP from 4.15 on.
        Assert.AreEqual(10 + 3 + 3 + 1 + 1 + 8 + 10 + 6, refusals);
    }

    /// <summary>On each host of the fixtures alone, with the hole that the fleet finds, as with libxl's own map.</summary>
    [TestMethod]
    public void What_a_fleet_says_of_a_guest_on_a_host_a_plan_says_too()
    {
        const string xml = "<domain type='xen'><name>g</name><memory unit='MiB'>256</memory><os><type machine='xenpv'>linux</type>"
            + "<kernel>/k</kernel><cmdline>CMD</cmdline></os><features>FEATURES</features><devices><hostdev mode='subsystem' type='pci'><source>"
            + "<address domain='0' bus='9' slot='0' function='0'/></source></hostdev></devices></domain>";
        string[] guests =
        [
            .. s_guests.Select(static guest => guest.Replace("1024", "256", System.StringComparison.Ordinal)), xml,
            xml.Replace("CMD", "iommu=soft", System.StringComparison.Ordinal),
            xml.Replace("FEATURES", "<xen><e820_host state='on'/></xen>", System.StringComparison.Ordinal),
        ];
        int untranslated = 0;
        foreach (string file in Directory.GetDirectories(MapFixtures.Folder("hosts")).SelectMany(Directory.GetFiles)
            .Where(static file => Path.GetFileName(file) is "boot.log" or "iomem.txt").Concat(MapFixtures.GoldenLogs()))
        {
            HostDocument host = MapFixtures.Expect(MapFixtures.ReadBytes(File.ReadAllBytes(file)));
            foreach (string guest in guests)
            {
                GuestSpec spec = Guest(guest);
                Fleet fleet = OfHost(host, FleetGuest.Of(spec, "g"));
                FleetGuestFit fit = fleet.Guests.Single();
                ulong? hole = fit.Guest.NeedsHole ? fleet.HoleStart : null;
                IHolePolicy? policy = hole is { } start and < (1UL << 32) ? Policies.Find($"hole-at:0x{HostHoles.RecommendedStart(start):x}") : null;

                Plan plan = Planner.Plan(new() { Host = host.Host, HostName = "host", Guest = spec, Policy = policy });

                string[] said = [.. new[] { fit.Guest.ProblemAnywhere?.Code, fit.Refused?.Groups.Single().Verdict }.OfType<string>()];
                string[] planned = [.. plan.Problems.Where(static problem => problem.Severity == Severity.Error
                    || problem.Code == ProblemCodes.DmaNotTranslated).Select(static problem => problem.Code)];
                Assert.AreEqual(fit.FitsAll, !plan.Problems.Any(static problem => problem.Severity == Severity.Error), $"{guest} on {file}");
                CollectionAssert.AreEquivalent(planned, said, $"{guest} on {file}: {string.Join(',', planned)}");
                untranslated += fit.Guest.ProblemAnywhere is null ? 0 : 1;
            }
        }

        Assert.IsGreaterThan(10, untranslated);
    }

    [TestMethod]
    public void Without_guests_it_is_told_where_no_guest_with_a_device_is_created()
    {
        Fleet fleet = OfHost(MapFixtures.Expect(MapFixtures.ReadText(Map + NoIommu)));

        Assert.AreEqual(1, fleet.NoDevices?.HostCount);
        Assert.IsFalse(fleet.SuitsAll);
        Assert.IsNull(OfHost(MapFixtures.Expect(MapFixtures.ReadText(Map + Owners))).NoDevices);
    }

    [TestMethod]
    public void A_guest_of_which_nothing_but_its_memory_is_said_has_a_device()
    {
        Fleet fleet = OfHost(MapFixtures.Expect(MapFixtures.ReadText(Map + NoIommu)), new FleetGuest("1 GiB", 1 << 20, 1 << 20, NeedsHole: true));

        Assert.AreEqual(1, fleet.Guests.Single().Refused?.HostCount);
    }

    [TestMethod]
    public void Of_no_host_no_share_of_moves_is_told()
    {
        Assert.IsNull(new FleetTally([]).ToFleet().ShareOfMovesAsTheyAre);
        Assert.AreEqual(1, OfHost(MapFixtures.Expect(MapFixtures.ReadText(Map))).ShareOfMovesAsTheyAre);
    }

    private static Fleet OfHost(HostDocument host, params IEnumerable<FleetGuest> guests)
    {
        var tally = new FleetTally([.. guests]);
        var reader = new FleetReader(tally, 1);
        reader.ReadHost("host", () => host);
        reader.Finish();
        return tally.ToFleet();
    }

    private static Fleet OfLine(HostDocument host, FleetGuest guest)
    {
        using var written = new MemoryStream();
        Assert.IsNull(HostMapWriter.Write(host, HostMapDialect.Json, written));
        JsonNode capture = JsonNode.Parse(written.ToArray())!;
        capture["name"] = "host";
        var tally = new FleetTally([guest]);
        var reader = new FleetReader(tally, 1);
        using (var line = new MemoryStream(Encoding.UTF8.GetBytes(capture.ToJsonString())))
            reader.ReadCaptures(line, "hosts");
        reader.Finish();
        return tally.ToFleet();
    }

    private static GuestSpec Guest(string text)
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(text.StartsWith('<') ? text : $"name=\"g\"\n{text}"));
        Assert.IsTrue(GuestReader.Read(stream, "guest").TryGet(out GuestDocument? document, out InputError? error), $"{error}");
        return document.Guest;
    }
}
