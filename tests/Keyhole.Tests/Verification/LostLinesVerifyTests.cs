// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Forecasts;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.Tests.Golden;
using Keyhole.Tests.Hosts;
using Keyhole.Verification;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Verification;

/// <summary>Guests of the records on a host of whose map lines are lost: what those lines decide is neither agreement nor difference.</summary>
[TestClass]
public sealed class LostLinesVerifyTests
{
    private static IEnumerable<object[]> GuestsWithHostMap => GoldenLog.Names.SelectMany(static name => GoldenLog.Load(name).Guests()
        .Where(static guest => guest is { WasBooted: true, UsesHostMap: true } && guest.Name is not ("b_short" or "c_overbar"))
        .Select(guest => new object[] { name, guest.Name }));

    [TestMethod]
    [DynamicData(nameof(GuestsWithHostMap))]
    public void A_guest_that_agrees_with_its_whole_host_does_not_differ_where_lines_of_the_hosts_map_are_lost(string log, string name)
    {
        string[] lines = [.. GoldenLog.Load(log).Head];
        GoldenGuest guest = GoldenBoots.Guest(log, name);
        ObservedBoot boot = BootLog.Choose(BootLog.Of(GoldenBoots.Scan(GoldenBoots.TextOf(guest))), wantsDom0: false, null, "a test's log").Value!;
        int first = Array.FindIndex(lines, static line => line.Contains("RAM map:", StringComparison.Ordinal)) + 1;
        int count = lines.Skip(first).TakeWhile(static line => line.StartsWith("(XEN)  [", StringComparison.Ordinal)).Count();
        Assert.AreEqual("", Differences(lines, guest, boot, out bool isAllKnown));
        Assert.IsTrue(isAllKnown);
        Assert.IsGreaterThan(5, count);
        for (int length = 1; length <= 3; length++)
        {
            for (int at = 0; at + length <= count; at++)
            {
                string[] cut = [.. lines[..(first + at)], "[...]", .. lines[(first + at + length)..]];
                Assert.AreEqual("", Differences(cut, guest, boot, out _), $"{length} from {at}");
            }
        }

        for (int at = 1; at < count; at++)
            Assert.AreEqual("", Differences(lines[(first + at)..], guest, boot, out _), $"head to {at}");
        // A log that ends right behind an entry, without a word of what was left out. What an IOMMU adds dom0's own lines tell.
        for (int at = 1; at < count && log is not ("iommu" or "passthrough"); at++)
            Assert.AreEqual("", Differences(lines[..(first + at)], guest, boot, out _), $"tail from {at}");
    }

    private static string Differences(string[] hostLog, GoldenGuest guest, ObservedBoot boot, out bool isAllKnown)
    {
        Host host = BootEvidence.WithLostLinesSeenIn(
            BootEvidence.WithOpenEnd(MapFixtures.Expect(MapFixtures.ReadText(string.Join('\n', hostLog) + "\n")), boot, isDom0: false).Host, boot);
        Boot forecast = Boot.Of(new Scenario
        {
            Host = host,
            Guest = new() { MemoryKiB = guest.MemoryMiB << 10, MaxmemKiB = guest.MaxmemMiB << 10, E820Host = true },
            Kernel = boot.Kernel ?? Kernels.Linux61,
            Layout = BootEvidence.LayoutOfGuest(boot, guest.MemoryMiB << 8),
        });
        BootVerification verification = Verifier.Compare(forecast.Forecast!, boot, forecast.Plan);
        isAllKnown = verification.NotKnownRanges.IsEmpty;
        return string.Join("; ", verification.Differences);
    }
}
