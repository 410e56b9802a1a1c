// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;
using System.Text.Json;
using Keyhole.PvGuest;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.PvGuest;

/// <summary>The forecast against what the setup code of thirty releases made of the same maps.</summary>
[TestClass]
public sealed class KernelVectorTests
{
    private const int MostShown = 4000;

    /// <summary>What the vectors do not show, with what holds it.</summary>
    private static readonly KernelBehaviour[] s_heldElsewhere =
    [
        // KernelDifferenceTests: what old addresses lead to, refusals, persistent memory, and a reservation beyond an int are in no vector.
        KernelBehaviour.StopsReleaseAtRefusal, KernelBehaviour.ZapsOldMappingButIsa, KernelBehaviour.ZapsOldMapping, KernelBehaviour.KeepsPramApart,
        KernelBehaviour.ReadsReservationAsInt,
        // Began with CountsBeforehand, which turns both.
        KernelBehaviour.ChecksConflicts,
        // LimitTests, ArchSetupTests, BalloonForecastTests, RecordedReleaseTests (edges61) and MapQueriesTests.
        KernelBehaviour.LimitedTo500GiB,
        KernelBehaviour.AsksForOneAssist, KernelBehaviour.RegistersOneFastCall, KernelBehaviour.LeavesPowerToXen,
        KernelBehaviour.HasScratchPool,
        KernelBehaviour.ChecksToEnd,
        KernelBehaviour.PrefersHighPciGap,
    ];

    public required TestContext TestContext { get; init; }

    private static IEnumerable<object[]> Releases => KernelVectors.Releases.Select(static release => new object[] { release });

    [TestMethod]
    [DynamicData(nameof(Releases))]
    public void A_release_makes_of_every_map_what_its_own_code_made(string release)
    {
        KernelRelease kernel = KernelVectors.ReleaseOf(release);
        var agree = new SortedDictionary<string, (int Agree, int Of)>(StringComparer.Ordinal);
        var report = new StringBuilder();
        int index = 0;
        foreach (JsonElement vector in KernelVectors.All)
        {
            VectorResult recorded = KernelVectors.Recorded(vector, release);
            VectorResult forecast = KernelVectors.Forecast(vector, kernel);
            Count("outcome", recorded.Outcome, forecast.Outcome);
            if (recorded.Outcome == "boots" && forecast.Outcome == "boots")
            {
                foreach (string field in KernelVectors.Fields)
                {
                    string expected = recorded.Facts[field];
                    string actual = forecast.Facts[field];
                    // A kernel that gives itself away says nothing any more; the record goes on.
                    Count(field, field == "messages" && !forecast.IsWhole && expected.StartsWith(actual, StringComparison.Ordinal) ? actual
                        : expected, actual);
                }
            }

            index++;

            void Count(string field, string expected, string actual)
            {
                (int agreed, int of) = agree.GetValueOrDefault(field);
                agree[field] = (agreed + (expected == actual ? 1 : 0), of + 1);
                if (expected != actual)
                    report.AppendLine(CultureInfo.InvariantCulture,
                        $"{release} {index} {vector.GetProperty("name").GetString()}: {field}\n  "
                            + $"{Shorten(expected, actual)}\n  {Shorten(actual, expected)}");
            }
        }

        string figures = string.Join(", ", agree.Select(static pair => $"{pair.Key} {pair.Value.Agree}/{pair.Value.Of}"));
        TestContext.WriteLine($"{release}: {figures}");
        string differences = report.ToString();
        Assert.AreEqual(0, differences.Length, $"{figures}\n{differences.AsSpan(0, Math.Min(differences.Length, MostShown))}");
    }

    private static IEnumerable<object[]> Behaviours =>
        Enum.GetValues<KernelBehaviour>().Where(static behaviour => !s_heldElsewhere.Contains(behaviour))
            .Select(static behaviour => new object[] { behaviour });

    /// <summary>What the table of behaviours tells, some record decides: a release that is made to differ from itself no longer agrees.</summary>
    [TestMethod]
    [DynamicData(nameof(Behaviours))]
    public void Each_behaviour_is_held_by_a_vector_that_it_decides(KernelBehaviour behaviour)
    {
        foreach (string release in KernelVectors.Releases)
        {
            KernelRelease kernel = KernelVectors.ReleaseOf(release);
            foreach (JsonElement vector in KernelVectors.All)
            {
                VectorResult own = KernelVectors.Forecast(vector, kernel);
                VectorResult other = KernelVectors.Forecast(vector, kernel, behaviour);
                if (own.Outcome == other.Outcome
                    && KernelVectors.Fields.All(field => own.Facts.GetValueOrDefault(field) == other.Facts.GetValueOrDefault(field)))
                    continue;
                TestContext.WriteLine($"{behaviour}: {release}, {vector.GetProperty("name").GetString()}");
                return;
            }
        }

        Assert.Fail($"no vector tells whether a kernel has {behaviour}");
    }

    /// <summary>What differs, with a little before it.</summary>
    private static string Shorten(string text, string other)
    {
        const int before = 60;
        const int most = 300;
        int same = 0;
        while (same < text.Length && same < other.Length && text[same] == other[same])
            same++;
        int start = Math.Max(0, same - before);
        return text.Substring(start, Math.Min(most, text.Length - start));
    }
}
